import pytest
import torch
from oracles.textbook_liif import decode
from safetensors.torch import save_file

from liif_bench.errors import LiifBenchError
from liif_bench.upsamplers import load_upsampler
from liif_bench.upsamplers.base import FULL, Described, Options, Window
from liif_bench.upsamplers.liif.checkpoint import read_checkpoint
from liif_bench.upsamplers.liif.decoder import ALL_ON, Switches
from liif_bench.upsamplers.liif.variants import named, read_switches, switched_off

LR = (11, 8)

VARIANTS = {
    "ensemble=off": ("liif-edsr (ensemble off)", {"local_ensemble": False}),
    "coord=centre": ("liif-edsr (coordinate at centre)", {"coordinate": False}),
    "ensemble=off&coord=centre": (
        "liif-edsr (nearest latent only)",
        {"local_ensemble": False, "coordinate": False},
    ),
    "cell=x1": ("liif-edsr (cell x1)", {"cell_scale": 1}),
    "cell=x2": ("liif-edsr (cell x2)", {"cell_scale": 2}),
    "cell=x4": ("liif-edsr (cell x4)", {"cell_scale": 4}),
    "ensemble=off&cell=x2": (
        "liif-edsr (ensemble off, cell x2)",
        {"local_ensemble": False, "cell_scale": 2},
    ),
}


def lr():
    torch.manual_seed(0)
    return torch.rand(3, *LR)


@pytest.fixture(scope="module")
def checkpoint(weights):
    return read_checkpoint(weights("liif-edsr"))


@pytest.fixture(scope="module")
def features(liif):
    return liif.encode(lr()).features.map


def variant(options, protocol=None):
    return load_upsampler(f"liif-edsr:{options}", protocol or Options())


def textbook(features, checkpoint, size, window=FULL, **switches):
    with torch.no_grad():
        made = decode(features, checkpoint.layers, size, window=window, **switches)
    return ((made + 1) / 2).clamp(0, 1)


@pytest.mark.weights
@pytest.mark.parametrize(
    ("size", "window"),
    [
        ((22, 16), FULL),  # x2
        ((29, 25), FULL),  # in distribution, not whole, not the same along both axes
        ((88, 64), FULL),  # x8, out of distribution
        ((40, 36), Window(0.7, 0.0, 0.7 + 40 / 330, 36 / 240)),  # a part of x30
    ],
)
@pytest.mark.parametrize("options", VARIANTS)
def test_a_variant_equals_the_textbook_decoder(features, checkpoint, options, size, window):
    name, switches = VARIANTS[options]
    model = variant(options)
    assert model.name == name
    got = model.encode(lr()).render(size, window)
    expected = textbook(features, checkpoint, size, window, **switches)
    torch.testing.assert_close(got.double(), expected, rtol=0, atol=5e-6)


@pytest.mark.weights
@pytest.mark.parametrize("scale", [2, 4, 8])
def test_the_clipped_cell_is_that_of_x4_beyond_it(features, checkpoint, scale):
    size = (LR[0] * scale, LR[1] * scale)
    got = variant("cell=clip").encode(lr()).render(size)
    expected = textbook(features, checkpoint, size, cell_scale=min(scale, 4))
    torch.testing.assert_close(got.double(), expected, rtol=0, atol=5e-6)


@pytest.mark.weights
def test_at_its_own_scale_a_fixed_cell_changes_nothing(liif):
    size = (LR[0] * 2, LR[1] * 2)
    got, whole = variant("cell=x2").encode(lr()).render(size), liif.encode(lr()).render(size)
    torch.testing.assert_close(got, whole, rtol=0, atol=1e-6)
    assert not torch.allclose(variant("cell=x4").encode(lr()).render(size), whole, atol=1e-3)


@pytest.mark.weights
def test_the_nearest_latent_only_is_one_colour_per_lr_pixel():
    sr = variant("ensemble=off&coord=centre").encode(lr()).render((LR[0] * 5, LR[1] * 5))
    blocks = sr.unfold(1, 5, 5).unfold(2, 5, 5).flatten(3)
    assert float((blocks.amax(-1) - blocks.amin(-1)).max()) < 1e-6


@pytest.mark.weights
@pytest.mark.parametrize("options", ["ensemble=off", "cell=x2", "coord=centre"])
def test_a_variant_stays_one_under_every_protocol(options):
    size = (LR[0] * 6, LR[1] * 6)
    expected = variant(options).encode(lr()).render(size)
    rules = {
        "ensemble=off": {"local_ensemble": True, "cell_rule": "exact"},
        "cell=x2": {"local_ensemble": True, "cell_rule": "clip"},
        "coord=centre": {"local_ensemble": True, "cell_rule": "exact"},
    }[options]
    other = variant(options, Options(local_ensemble=False, cell_rule="clip")).encode(lr())
    torch.testing.assert_close(other.under(**rules).render(size), expected, rtol=0, atol=1e-6)


@pytest.mark.weights
def test_the_manifest_learns_what_is_switched_off(liif):
    assert not liif.settings
    assert dict(variant("cell=clip&ensemble=off").settings) == {"ensemble": "off", "cell": "clip"}
    assert variant("cell=clip").weights == liif.weights
    assert variant("cell=clip").training_scales == liif.training_scales


@pytest.mark.weights
def test_a_checkpoint_and_options_go_together(tmp_path, checkpoint, liif):
    path = tmp_path / "mine.safetensors"
    save_file(state(checkpoint.layers, checkpoint.encoder), path)
    mine = load_upsampler(f"liif-edsr:{path}?ensemble=off", Options())
    assert mine.name == "liif-edsr:mine (ensemble off)"
    got = mine.encode(lr()).render((30, 30))
    torch.testing.assert_close(got, variant("ensemble=off").encode(lr()).render((30, 30)))


@pytest.mark.weights
def test_without_a_trained_cell_there_is_none_to_fix(tmp_path, checkpoint):
    weight, bias = checkpoint.layers[0]
    path = tmp_path / "no-cell.safetensors"
    first = (weight[:, :-2].clone(), bias)
    save_file(state([first, *checkpoint.layers[1:]], checkpoint.encoder), path)
    assert load_upsampler(f"liif-edsr:{path}?ensemble=off", Options())
    with pytest.raises(LiifBenchError, match=r"no-cell\.safetensors' was trained without the cell"):
        load_upsampler(f"liif-edsr:{path}?cell=x2", Options())


def state(layers, encoder):
    """A checkpoint's state dict as the authors name it."""
    mlp = {
        f"imnet.layers.{2 * number}.{kind}": part
        for number, layer in enumerate(layers)
        for kind, part in zip(("weight", "bias"), layer, strict=True)
    }
    return mlp | {f"encoder.{name}": part for name, part in encoder.items()}


@pytest.mark.parametrize(
    ("argument", "path", "switches"),
    [
        ("", "", ALL_ON),
        ("mine.pth", "mine.pth", ALL_ON),
        ("./lr=1.pth", "./lr=1.pth", ALL_ON),
        ("what?.pth", "what?.pth", ALL_ON),
        ("ensemble=off", "", Switches(ensemble=False)),
        ("?ensemble=off", "", Switches(ensemble=False)),
        ("a/b.pth?cell=x4", "a/b.pth", Switches(cell="x4")),
        ("b.pth?cell=clip&coord=centre", "b.pth", Switches(coordinate=False, cell="clip")),
    ],
)
def test_what_is_switched_off_is_read_from_the_argument(argument, path, switches):
    assert read_switches(argument) == (path, switches)
    options = "&".join(f"{name}={value}" for name, value in switched_off(switches).items())
    assert read_switches(options) == ("", switches)


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("ensemble=on", "ensemble=on is not possible: use off"),
        ("cell=x3", "use x1 or x2 or x4 or clip"),
        ("a.pth?cell=x2&cell=x2", "'cell' is given twice"),
        ("ensembel=off", "did you mean ensemble"),
    ],
)
def test_impossible_options_are_refused_in_one_line(argument, message):
    with pytest.raises(LiifBenchError, match=message) as caught:
        read_switches(argument)
    assert "\n" not in str(caught.value)


def test_the_rdn_encoder_needs_a_checkpoint_beside_options():
    with pytest.raises(LiifBenchError, match=r"rdn-liif:PATH\?ensemble=off"):
        load_upsampler("rdn-liif:ensemble=off", Options())


def test_names_are_short_enough_for_tables():
    assert named("liif-edsr", ALL_ON) == "liif-edsr"
    assert named("rdn-liif:mine", Switches(cell="clip")) == "rdn-liif:mine (cell clipped)"


@pytest.mark.weights
def test_a_model_says_how_it_is_built(liif, checkpoint):
    built = liif.structure
    assert built["encoder_parameters"] + built["mlp_parameters"] == checkpoint.parameters
    assert built["encoder_parameters"] == sum(p.numel() for p in liif.encoder.parameters())
    inputs = built["unfolded"] * built["channels"] + 2 + built["cell"]
    assert inputs == built["mlp_inputs"] == checkpoint.layers[0][0].shape[1]
    assert isinstance(liif, Described)
    assert liif.encode(lr()).features.map.shape == (built["channels"], *LR)
    assert variant("ensemble=off").structure == built
