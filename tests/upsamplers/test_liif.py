import itertools
import subprocess
import sys

import pytest
import torch
from oracles.textbook_liif import decode

from liif_bench.errors import LiifBenchError
from liif_bench.upsamplers import load_upsampler
from liif_bench.upsamplers.base import (
    DEFAULT_MEMORY,
    FULL,
    Options,
    Retunable,
    Window,
    pixel_window,
)
from liif_bench.upsamplers.liif import Liif
from liif_bench.upsamplers.liif import decoder as decoder_module
from liif_bench.upsamplers.liif.checkpoint import read_checkpoint
from liif_bench.upsamplers.liif.decoder import Decoder, DecoderConfig, locate
from liif_bench.upsamplers.liif.features import TiledFeatures, WholeFeatures, make_features

pytestmark = pytest.mark.weights


@pytest.fixture(scope="module")
def checkpoint(weights):
    return read_checkpoint(weights("liif-edsr"))


@pytest.fixture(scope="module")
def image(liif):
    torch.manual_seed(0)
    return liif.encode(torch.rand(3, 24, 17))


def oracle(image, checkpoint, size, window=FULL, **switches):
    with torch.no_grad():
        features = image.features.map
        return (decode(features, checkpoint.layers, size, window=window, **switches) + 1) / 2


@pytest.mark.parametrize(
    ("size", "window"),
    [
        ((48, 34), FULL),
        ((61, 100), FULL),  # not square, not integer
        ((24, 17), FULL),
        ((200, 130), Window(0.1, 0.25, 0.35, 0.7)),
        ((64, 64), Window(0.0, 0.9, 0.02, 1.0)),  # a corner, far beyond the training scales
        ((1, 1), FULL),
    ],
)
def test_render_equals_the_textbook_decoder(image, checkpoint, size, window):
    # float32 sums of 580 terms through five layers, against the same in float64
    expected = oracle(image, checkpoint, size, window).clamp(0, 1)
    torch.testing.assert_close(image.render(size, window).double(), expected, rtol=0, atol=5e-6)


def test_without_local_ensemble_the_nearest_code_decides(weights, image, checkpoint):
    options = Options(local_ensemble=False)
    plain = load_upsampler("liif-edsr", options)
    got = type(image)(image.features, plain.decoder).render((57, 40))
    expected = oracle(image, checkpoint, (57, 40), local_ensemble=False).clamp(0, 1)
    torch.testing.assert_close(got.double(), expected, rtol=0, atol=5e-6)
    assert not torch.allclose(got, image.render((57, 40)), atol=1e-3)


@pytest.mark.parametrize("unfold", [True, False])
@pytest.mark.parametrize("cell", [True, False])
def test_the_ablations_of_table_3_equal_the_textbook_decoder(unfold, cell):
    # No published weights for these, so random ones: the arithmetic is what is tested.
    torch.manual_seed(1)
    inputs = 8 * (9 if unfold else 1) + 2 + (2 if cell else 0)
    sizes = [inputs, 32, 32, 32, 3]
    layers = [(torch.randn(b, a) / a**0.5, torch.randn(b)) for a, b in itertools.pairwise(sizes)]
    config = DecoderConfig(feat_unfold=unfold, cell_decode=cell)
    decoder = Decoder(layers, 8, config, torch.device("cpu"), torch.float32, DEFAULT_MEMORY)
    features = torch.randn(8, 7, 9)
    source = WholeFeatures(features)
    got = decoder.render(source, locate(7, 20, 0, 1, config), locate(9, 31, 0, 1, config))
    with torch.no_grad():
        expected = decode(features, layers, (20, 31), unfold=unfold, cell=cell)
    torch.testing.assert_close(got.double(), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("rules", [(True, "clip"), (False, "exact"), (True, "exact")])
def test_an_encoded_image_renders_under_other_rules(weights, image, rules):
    ensemble, cell = rules
    other = load_upsampler("liif-edsr", Options(local_ensemble=ensemble, cell_rule=cell))
    torch.manual_seed(0)
    expected = other.encode(torch.rand(3, 24, 17)).render((240, 170))
    before = image.render((240, 170))
    retuned = image.under(local_ensemble=ensemble, cell_rule=cell)
    torch.testing.assert_close(retuned.render((240, 170)), expected, rtol=0, atol=1e-6)
    assert torch.equal(image.render((240, 170)), before)  # the first image keeps its rules
    assert isinstance(image, Retunable)


@pytest.mark.parametrize("memory", [DEFAULT_MEMORY, 64 << 20, 15 << 20])
def test_a_batch_equals_its_images_one_by_one(weights, liif, memory):
    torch.manual_seed(4)
    batch = torch.rand(5, 3, 90, 77)
    images = load_upsampler("liif-edsr", Options(memory=memory)).encode_batch(batch)
    assert len(images) == 5
    window = Window(0.2, 0.1, 0.5, 0.6)
    for lr, image in zip(batch, images, strict=True):
        expected = liif.encode(lr).render((70, 61), window)
        torch.testing.assert_close(image.render((70, 61), window), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("shape", [(3, 8, 8), (0, 3, 8, 8), (2, 1, 8, 8)])
def test_what_is_no_batch_is_refused(liif, shape):
    with pytest.raises(LiifBenchError, match="must be a"):
        liif.encode_batch(torch.rand(shape))


def test_a_window_equals_the_crop_of_the_whole(image):
    size = (150, 111)
    whole = image.render(size)
    part = image.render((40, 30), pixel_window(size, 37, 52, 40, 30))
    torch.testing.assert_close(part, whole[:, 37:77, 52:82], rtol=0, atol=1e-6)


@pytest.mark.parametrize("tile", [(1, 1), (1, 7), (13, 3), (1000, 1000)])
@pytest.mark.parametrize("band_bytes", [1, 1 << 30])
def test_tiles_and_bands_change_nothing(image, monkeypatch, tile, band_bytes):
    expected = image.render((50, 41))
    monkeypatch.setattr(decoder_module, "_TILE_ROWS", tile[0])
    monkeypatch.setattr(image.decoder, "tile_columns", tile[1])
    monkeypatch.setattr(decoder_module, "_BAND_BYTES", band_bytes)
    torch.testing.assert_close(image.render((50, 41)), expected, rtol=0, atol=1e-6)


def test_one_latent_code_is_enough(liif):
    sr = liif.encode(torch.full((3, 1, 1), 0.5)).render((30, 30))
    assert sr.shape == (3, 30, 30)
    assert torch.isfinite(sr).all()


def test_output_is_float32_on_the_cpu_in_range(image):
    sr = image.render((31, 29))
    assert sr.dtype == torch.float32
    assert sr.device.type == "cpu"
    assert 0 <= sr.min() <= sr.max() <= 1


def test_bfloat16_stays_close(weights, image):
    torch.manual_seed(0)
    lr = torch.rand(3, 24, 17)
    fast = load_upsampler("liif-edsr", Options(precision="bfloat16"))
    difference = (fast.encode(lr).render((96, 68)) - image.render((96, 68))).abs()
    assert 0 < difference.mean() < 0.01


def test_float16_on_the_cpu_is_refused(weights):
    with pytest.raises(LiifBenchError, match="float16 needs a GPU"):
        load_upsampler("liif-edsr", Options(precision="float16"))


def test_the_clipped_cell_matters_only_beyond_x4(weights, image):
    clipped = load_upsampler("liif-edsr", Options(cell_rule="clip"))
    other = type(image)(image.features, clipped.decoder)
    torch.testing.assert_close(other.render((96, 68)), image.render((96, 68)), rtol=0, atol=0)
    assert not torch.allclose(other.render((240, 170)), image.render((240, 170)), atol=1e-4)


def test_the_official_checkpoint_has_the_papers_parameters(checkpoint):
    # 1,567,323 in the file, of which 24 belong to mean shifts that LIIF does not use
    assert checkpoint.parameters == 1_567_299


@pytest.mark.gpu
def test_cuda_equals_the_cpu(weights, image):
    torch.manual_seed(0)
    lr = torch.rand(3, 24, 17)
    on_gpu = load_upsampler("liif-edsr", Options(device="cuda"))
    difference = on_gpu.encode(lr).render((200, 130)) - image.render((200, 130))
    assert difference.abs().max() < 1e-5


@pytest.mark.parametrize(
    ("lr", "message"),
    [
        (torch.rand(1, 8, 8), r"\(3, h, w\)"),
        (torch.rand(3, 8, 0), r"\(3, h, w\)"),
        (torch.zeros(3, 8, 8, dtype=torch.uint8), "floating-point"),
        (torch.rand(3, 8, 8) + 1, r"\[0, 1\]"),
        (torch.full((3, 8, 8), float("nan")), r"\[0, 1\]"),
    ],
)
def test_what_is_no_lr_is_refused(liif, lr, message):
    with pytest.raises(LiifBenchError, match=message):
        liif.encode(lr)


class TestCheckpoints:
    @staticmethod
    def authors(checkpoint):
        """The parts of a checkpoint in the layout that the authors' code saves."""
        state = {f"encoder.{key}": value for key, value in checkpoint.encoder.items()}
        for number, (weight, bias) in zip((0, 2, 4, 6, 8), checkpoint.layers, strict=True):
            state[f"imnet.layers.{number}.weight"] = weight
            state[f"imnet.layers.{number}.bias"] = bias
        specification = {"encoder_spec": {"name": "edsr-baseline"}}
        return {"model": {"name": "liif", "args": specification, "sd": state}}

    def test_a_users_checkpoint_renders_as_the_official_one(self, tmp_path, checkpoint, image):
        path = tmp_path / "mine.pth"
        torch.save(self.authors(checkpoint), path)
        mine = load_upsampler(f"liif-edsr:{path}", Options())
        assert isinstance(mine, Liif)
        assert mine.name == "liif-edsr:mine"
        assert mine.weights.id == str(path)
        torch.manual_seed(0)
        got = mine.encode(torch.rand(3, 24, 17)).render((60, 40))
        torch.testing.assert_close(got, image.render((60, 40)), rtol=0, atol=0)

    def test_safetensors_of_the_state_dict_load_too(self, tmp_path, checkpoint):
        from safetensors.torch import save_file

        path = tmp_path / "mine.safetensors"
        save_file(self.authors(checkpoint)["model"]["sd"], path)
        assert read_checkpoint(path).parameters == checkpoint.parameters

    @pytest.mark.parametrize(
        ("damage", "message"),
        [
            (lambda c: c.clear(), "not a LIIF checkpoint"),
            (lambda c: c["model"].update(name="metasr"), "holds the model 'metasr'"),
            (lambda c: c["model"]["args"]["encoder_spec"].update(name="rdn"), "encoder 'rdn'"),
            (lambda c: c["model"]["sd"].pop("encoder.head.0.bias"), "lacks 'encoder.head.0.bias'"),
            (
                lambda c: c["model"]["sd"].update({"encoder.body.3.extra": torch.ones(1)}),
                "unexpected 'encoder.body.3.extra'",
            ),
            (
                lambda c: c["model"]["sd"].update({"encoder.head.0.bias": torch.ones(3)}),
                r"is \(3,\), expected \(64,\)",
            ),
            (lambda c: c["model"]["sd"].pop("imnet.layers.4.bias"), "imnet.layers.4.bias"),
            (
                lambda c: c["model"]["sd"].update({"imnet.layers.2.weight": torch.ones(256, 255)}),
                "layer 2 of the MLP",
            ),
            (
                lambda c: c["model"]["sd"].update({"imnet.layers.0.weight": torch.ones(256, 100)}),
                "from 100 to 3",
            ),
        ],
    )
    def test_another_architecture_is_refused(self, tmp_path, checkpoint, damage, message):
        content = self.authors(checkpoint)
        damage(content)
        path = tmp_path / "wrong.pth"
        torch.save(content, path)
        with pytest.raises(LiifBenchError, match=message) as caught:
            read_checkpoint(path)
        assert "wrong.pth" in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_a_missing_file_is_named(self):
        with pytest.raises(LiifBenchError, match=r"'nowhere\.pth' does not exist"):
            load_upsampler("liif-edsr:nowhere.pth", Options())

    def test_the_home_of_nobody_is_named(self):
        with pytest.raises(LiifBenchError, match=r"'~no-such-user-here/x\.pth' does not exist"):
            load_upsampler("liif-edsr:~no-such-user-here/x.pth", Options())


@pytest.fixture(scope="module")
def lr():
    torch.manual_seed(3)
    return torch.rand(3, 150, 170)


@pytest.fixture(scope="module")
def whole(liif, lr):
    return liif.encode(lr)


class TestMemory:
    """Features that are made tile by tile, and what a budget bounds."""

    def encoded(self, liif, lr):
        return ((lr - 0.5) / 0.5).to(liif.options.dtype)

    @pytest.mark.parametrize("longest", [1, 64, 1000])
    def test_a_part_equals_that_part_of_the_whole(self, liif, lr, whole, longest):
        tiled = TiledFeatures(self.encoded(liif, lr), liif.encoder, longest)
        for rows, columns in (
            (slice(0, 1), slice(0, 1)),
            (slice(70, 75), slice(80, 81)),
            (slice(100, 150), slice(140, 170)),
        ):
            torch.testing.assert_close(
                tiled.part(rows, columns), whole.features.part(rows, columns), rtol=0, atol=2e-5
            )

    @pytest.mark.parametrize(
        ("longest", "size", "window"),
        [
            (12, (30, 43), Window(0.4, 0.4, 0.5, 0.5)),
            (60, (225, 255), FULL),
            (100, (331, 190), FULL),  # larger and smaller pixels than LR has
            (100, (90, 60), Window(0.2, 0.1, 0.9, 0.35)),
        ],
    )
    def test_tiles_change_nothing(self, liif, lr, whole, longest, size, window):
        tiled = TiledFeatures(self.encoded(liif, lr), liif.encoder, longest)
        got = type(whole)(tiled, liif.decoder).render(size, window)
        torch.testing.assert_close(got, whole.render(size, window), rtol=0, atol=1e-6)

    def test_the_budget_decides_what_is_held(self, liif, lr):
        encoded = self.encoded(liif, lr)
        pixels = 150 * 170 * 64 * 4

        def made(memory):
            (features,) = make_features(encoded[None], liif.encoder, memory)
            return features

        assert isinstance(made(16 * pixels), WholeFeatures)
        held = made(3 * pixels)
        assert isinstance(held, WholeFeatures)  # made tile by tile, but held
        torch.testing.assert_close(held.map, liif.encoder(encoded[None])[0], rtol=0, atol=2e-5)
        assert isinstance(made(2 * pixels), TiledFeatures)

    def test_a_smaller_budget_gives_the_same_picture(self, weights, lr, whole):
        small = load_upsampler("liif-edsr", Options(memory=15 << 20)).encode(lr)
        assert isinstance(small.features, TiledFeatures)
        window = Window(0.3, 0.3, 0.6, 0.6)
        torch.testing.assert_close(
            small.render((120, 130), window), whole.render((120, 130), window), rtol=0, atol=1e-6
        )

    def test_the_encoder_sees_as_far_as_it_says(self, liif):
        reach = liif.encoder.reach
        lr = torch.zeros(1, 3, 2 * reach + 9, 1 + 2)
        changed = lr.clone()
        changed[:, :, 0] = 1
        with torch.inference_mode():
            moved = (liif.encoder(changed) - liif.encoder(lr)).abs().amax(dim=(0, 1, 3))
        assert moved[reach] > 0
        assert moved[reach + 1 :].max() == 0

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("budget", "lr", "size", "window"),
        [
            # one output more would not fit, and all queries at once would be 10 GB
            (160, (512, 512), (2048, 2048), FULL),
            (256, (3456, 4608), (512, 512), (0.3, 0.4, 0.448148148, 0.511111111)),
        ],
    )
    def test_peak_memory_keeps_to_the_budget(self, weights, budget, lr, size, window):
        """A process of its own, whose peak beyond LR and output is that of the upsampler."""
        done = subprocess.run(
            [sys.executable, "-c", MEASURE, *map(str, (*lr, *size, *window, budget))],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert float(done.stdout) <= budget, done.stdout


MEASURE = """
import resource, sys
import torch
from liif_bench.upsamplers import load_upsampler
from liif_bench.upsamplers.base import Options, Window

numbers = sys.argv[1:]
lr_size, size = [tuple(map(int, numbers[i : i + 2])) for i in (0, 2)]
window = Window(*map(float, numbers[4:8]))
upsampler = load_upsampler("liif-edsr", Options(memory=int(numbers[8]) << 20))
upsampler.encode(torch.rand(3, 32, 32)).render((64, 64))  # libraries' own buffers
lr = torch.rand(3, *lr_size)
ready = lr.mul(1), torch.ones(3, *size), torch.ones(3, *size)
del ready  # what LR in the network's range and the output in both ranges take

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

before = peak()
upsampler.encode(lr).render(size, window)
print(peak() - before)
"""
