import pytest
import torch
from oracles.textbook_metasr import decode
from oracles.textbook_rdn import random_state

from liif_bench.errors import LiifBenchError
from liif_bench.upsamplers import load_upsampler
from liif_bench.upsamplers import metasr as metasr_module
from liif_bench.upsamplers.base import FULL, Options, Window, pixel_window, regime
from liif_bench.upsamplers.liif.edsr import EdsrBaseline
from liif_bench.upsamplers.liif.features import TiledFeatures, WholeFeatures
from liif_bench.upsamplers.metasr import MetaImage

# The authors' weights are on no package index, so random ones: the arithmetic is what is tested.


@pytest.fixture(scope="module")
def layers():
    generator = torch.Generator().manual_seed(2)

    def draw(*shape, size):
        return torch.randn(*shape, generator=generator) * size

    # as large as a trained one's: offsets and sizes of pixels matter, RGB stays about [-1, 1]
    return [
        (draw(256, 3, size=1.0), draw(256, size=0.5)),
        (draw(1728, 256, size=0.004), draw(1728, size=0.02)),
    ]


@pytest.fixture(scope="module")
def checkpoint(layers):
    """What the authors' code saves for EDSR-baseline-MetaSR."""
    torch.manual_seed(4)
    state = {f"encoder.{key}": value for key, value in EdsrBaseline().state_dict().items()}
    for number, (weight, bias) in zip((0, 2), layers, strict=True):
        state[f"imnet.layers.{number}.weight"] = weight
        state[f"imnet.layers.{number}.bias"] = bias
    specification = {"encoder_spec": {"name": "edsr-baseline", "args": {"no_upsampling": True}}}
    return {"model": {"name": "metasr", "args": specification, "sd": state}}


@pytest.fixture(scope="module")
def file(checkpoint, tmp_path_factory):
    path = tmp_path_factory.mktemp("metasr") / "random.pth"
    torch.save(checkpoint, path)
    return path


@pytest.fixture(scope="module")
def metasr(file):
    return load_upsampler(f"metasr-edsr:{file}", Options())


@pytest.fixture(scope="module")
def image(metasr):
    return metasr.encode(torch.rand(3, 12, 17, generator=torch.Generator().manual_seed(0)))


def oracle(image, layers, size, window=FULL, **switches):
    with torch.no_grad():
        return (decode(image.features.map, layers, size, window=window, **switches) + 1) / 2


@pytest.mark.parametrize(
    ("size", "window"),
    [
        ((24, 34), FULL),
        ((36, 51), FULL),
        ((44, 63), FULL),  # x3.7
        ((31, 100), FULL),  # another factor for each axis
        ((12, 17), FULL),
        ((100, 140), Window(0.1, 0.25, 0.35, 0.7)),
        ((60, 60), Window(0.0, 0.9, 0.02, 1.0)),  # a corner, far beyond the training scales
        ((5, 9), FULL),  # smaller than LR
        ((1, 1), FULL),
    ],
)
def test_render_equals_the_textbook_decoder(image, layers, size, window):
    expected = oracle(image, layers, size, window)
    assert size == (1, 1) or expected.clamp(0, 1).std() > 0.05
    got = image.render(size, window).double()
    torch.testing.assert_close(got, expected.clamp(0, 1), rtol=0, atol=2e-6)


def test_a_window_equals_the_crop_of_the_whole(image):
    size = (150, 111)
    whole = image.render(size)
    part = image.render((40, 30), pixel_window(size, 37, 52, 40, 30))
    torch.testing.assert_close(part, whole[:, 37:77, 52:82], rtol=0, atol=1e-6)


@pytest.mark.parametrize(("block", "queries"), [(1, 1), (60_000, 100), (1 << 30, 1 << 30)])
def test_blocks_change_nothing(image, monkeypatch, block, queries):
    expected = image.render((50, 41))
    monkeypatch.setattr(metasr_module, "_LARGEST_BLOCK", block)
    monkeypatch.setattr(metasr_module, "_QUERIES", queries)
    torch.testing.assert_close(image.render((50, 41)), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("longest", [1, 7])
def test_features_made_tile_by_tile_change_nothing(metasr, image, longest):
    lr = torch.rand(3, 12, 17, generator=torch.Generator().manual_seed(0)) * 2 - 1
    features = TiledFeatures(lr, metasr.encoder, longest)
    with torch.inference_mode():
        whole = WholeFeatures(metasr.encoder(lr[None])[0])
    got, expected = (MetaImage(each, metasr.decoder).render((30, 43)) for each in (features, whole))
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-6)


def test_the_clipped_cell_matters_only_beyond_x4(file, image, layers):
    clipped = load_upsampler(f"metasr-edsr:{file}", Options(cell_rule="clip"))
    other = MetaImage(image.features, clipped.decoder)
    torch.testing.assert_close(other.render((48, 68)), image.render((48, 68)), rtol=0, atol=0)
    expected = oracle(image, layers, (96, 136), smallest_pixel=0.25).clamp(0, 1)
    got = other.render((96, 136)).double()
    torch.testing.assert_close(got, expected, rtol=0, atol=2e-6)
    assert not torch.allclose(got.float(), image.render((96, 136)), atol=1e-4)


def test_bfloat16_stays_close(file, image):
    lr = torch.rand(3, 12, 17, generator=torch.Generator().manual_seed(0))
    fast = load_upsampler(f"metasr-edsr:{file}", Options(precision="bfloat16"))
    difference = (fast.encode(lr).render((36, 51)) - image.render((36, 51))).abs()
    assert 0 < difference.mean() < 0.02


def test_it_says_what_it_is(metasr, file):
    assert metasr.name == "metasr-edsr:random"
    assert metasr.weights.id == str(file)
    assert [regime(metasr, scale) for scale in (1, 4, 4.5)] == ["in", "in", "out"]


def test_the_rdn_encoder_serves_too(layers, checkpoint, tmp_path):
    state = {f"encoder.{key}": value for key, value in random_state().items()}
    state |= {
        key: value
        for key, value in checkpoint["model"]["sd"].items()
        if not key.startswith("encoder.")
    }
    model = {"name": "metasr", "args": {"encoder_spec": {"name": "rdn"}}, "sd": state}
    path = tmp_path / "random.pth"
    torch.save({"model": model}, path)
    image = load_upsampler(f"metasr-rdn:{path}", Options()).encode(torch.rand(3, 7, 9))
    expected = oracle(image, layers, (26, 33)).clamp(0, 1)
    torch.testing.assert_close(image.render((26, 33)).double(), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda m: m.update(name="liif"), "holds the model 'liif', not 'metasr'"),
        (
            lambda m: m["args"]["encoder_spec"].update(name="rdn"),
            "holds metasr with the encoder 'rdn'; metasr-edsr reads 'edsr-baseline'",
        ),
        (
            lambda m: m["sd"].update({"imnet.layers.0.weight": torch.ones(256, 4)}),
            "2 layers from 4 to 1728 values; Meta-SR has 2, from 3 to 1728",
        ),
        (
            lambda m: m["sd"].update(
                {"imnet.layers.4.weight": torch.ones(3, 1728), "imnet.layers.4.bias": torch.ones(3)}
            ),
            "3 layers from 3 to 3 values",
        ),
    ],
)
def test_another_architecture_is_refused(checkpoint, tmp_path, damage, message):
    model = checkpoint["model"]
    content = {
        "name": model["name"],
        "args": {"encoder_spec": dict(model["args"]["encoder_spec"])},
        "sd": dict(model["sd"]),
    }
    damage(content)
    path = tmp_path / "wrong.pth"
    torch.save({"model": content}, path)
    with pytest.raises(LiifBenchError, match=message):
        load_upsampler(f"metasr-edsr:{path}", Options())
