from dataclasses import replace

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image

from liif_bench.errors import LiifBenchError
from liif_bench.images import read_rgb, to_tensor
from liif_bench.metrics.base import Case, Output
from liif_bench.metrics.perceptual import Lpips, load_lpips, lpips_distance
from liif_bench.protocol import load_protocol
from liif_bench.weights.readers import lpips_heads, lpips_trunk

ALEX = load_protocol("liif-div2k")
VGG = ALEX.changed({"lpips.net": "vgg"})

# The trunks without their classifiers, and the activations that LPIPS reads.
TRUNKS = {
    "alex": (lambda: torchvision.models.alexnet().features, (1, 4, 7, 9, 11)),
    "vgg": (
        lambda: torchvision.models.vgg.make_layers(torchvision.models.vgg.cfgs["D"]),
        (3, 8, 15, 22, 29),
    ),
}


@pytest.fixture(params=["alex", "vgg"])
def net(request, weights):
    weights(f"lpips-{request.param}")
    return request.param


@pytest.fixture
def pair():
    generator = torch.Generator().manual_seed(4)
    hr = torch.rand(3, 50, 67, generator=generator)
    return (hr + 0.1 * torch.randn(hr.shape, generator=generator)).clamp(0, 1), hr


@pytest.mark.data
@pytest.mark.weights
@pytest.mark.parametrize(("name", "expected"), [("ex_p0", 0.72188), ("ex_p1", 0.13757)])
def test_the_authors_examples(name, expected, reference_data, weights):
    weights("lpips-alex")
    folder = reference_data / "lpips"
    reference = to_tensor(read_rgb(folder / "ex_ref.png"))
    image = to_tensor(read_rgb(folder / f"{name}.png"))
    assert lpips_distance(image, reference) == pytest.approx(expected, abs=1e-4)
    case = Case(ALEX, 2.0, reference, reference, "given")
    assert Lpips().score(case, Output(image)) == pytest.approx(expected, abs=1e-4)


@pytest.mark.weights
def test_lpips_is_the_papers_formula(net, pair, weights):
    """Zhang et al. 2018, equation 1, on torchvision's layers and the file's own heads."""
    build, taps = TRUNKS[net]
    trunk = build().eval()
    trunk.load_state_dict(lpips_trunk(weights(f"lpips-{net}")))
    heads = lpips_heads(weights(f"lpips-{net}"))
    shift = torch.tensor([-0.030, -0.088, -0.188]).view(3, 1, 1)
    scale = torch.tensor([0.458, 0.448, 0.450]).view(3, 1, 1)

    @torch.inference_mode()
    def features(image):
        x = (((image * 2 - 1) - shift) / scale)[None]
        taken = []
        for index, layer in enumerate(trunk[: taps[-1] + 1]):
            x = layer(x)
            if index in taps:
                taken.append(x / (x.pow(2).sum(1, keepdim=True).sqrt() + 1e-10))
        return taken

    expected = sum(
        float(((a - b).pow(2) * head).sum(1).mean())
        for a, b, head in zip(features(pair[0]), features(pair[1]), heads, strict=True)
    )
    assert lpips_distance(*pair, net) == pytest.approx(expected, abs=1e-6)


@pytest.mark.weights
@pytest.mark.parametrize("shave", [0, 3])
@pytest.mark.parametrize("span", ["-1..1", "0..1"])
def test_the_score_is_the_packages_own_and_hr_is_looked_at_once(net, pair, span, shave):
    sr, hr = pair
    protocol = ALEX.changed({"lpips.net": net, "lpips.range": span, "lpips.shave_extra": shave})
    model = load_lpips(net, "cpu")
    outputs = [sr, sr.flip(1), 1 - sr]
    inner = slice(shave, -shave or None)
    with torch.inference_mode():
        expected = [
            float(
                model(
                    one[None, :, inner, inner],
                    hr[None, :, inner, inner],
                    normalize=span == "-1..1",
                )
            )
            for one in outputs
        ]
    calls = []
    hook = model.net.register_forward_hook(lambda *_: calls.append(1))
    try:
        case = Case(protocol, 2.0, hr, hr, "given")
        scores = [Lpips().score(case, Output(one)) for one in outputs]
    finally:
        hook.remove()
    assert scores == pytest.approx(expected, abs=1e-7, rel=0)
    assert len(calls) == 1 + len(outputs)


@pytest.mark.weights
def test_other_rules_do_not_get_the_features_of_the_last(weights, pair):
    """A case is scored under several protocols by the audit, which share its memo."""
    weights("lpips-alex")
    weights("lpips-vgg")
    sr, hr = pair
    shared = Case(ALEX, 2.0, hr, hr, "given")
    changes = ({}, {"lpips.net": "vgg"}, {"lpips.range": "0..1"}, {"lpips.shave_extra": 2}, {})
    for change in changes:
        protocol = ALEX.changed(change)
        alone = Lpips().score(Case(protocol, 2.0, hr, hr, "given"), Output(sr))
        assert Lpips().score(replace(shared, protocol=protocol), Output(sr)) == alone


@pytest.mark.weights
def test_equal_images_have_no_distance(net, pair):
    assert lpips_distance(pair[1], pair[1].clone(), net) == 0
    assert lpips_distance(*pair, net) > 0.01


@pytest.mark.weights
def test_the_order_does_not_matter(net, pair):
    """The formula is symmetric; float32 keeps it so to rounding."""
    sr, hr = pair
    assert lpips_distance(sr, hr, net) == pytest.approx(lpips_distance(hr, sr, net), abs=1e-7)


@pytest.mark.weights
def test_the_range_is_zero_to_one(weights):
    """An image in [0, 1] that is taken for one in [-1, 1] gives a distance, only a wrong one."""
    weights("lpips-alex")
    hr = torch.rand(3, 40, 40, generator=torch.Generator().manual_seed(1))
    sr = hr.flip(2)
    model = load_lpips("alex")
    with torch.inference_mode():
        expected = float(model(sr[None] * 2 - 1, hr[None] * 2 - 1))
        wrong = float(model(sr[None], hr[None]))
    assert lpips_distance(sr, hr) == pytest.approx(expected, abs=1e-7)
    assert abs(expected - wrong) > 0.01


@pytest.mark.weights
def test_a_batch_gives_what_each_image_gives(net, pair):
    sr, hr = pair
    srs, hrs = torch.stack([sr, sr.flip(1), 1 - sr]), torch.stack([hr, hr.flip(2), hr])
    with torch.inference_mode():
        together = load_lpips(net)(srs, hrs, normalize=True).flatten().tolist()
    alone = [lpips_distance(*images, net) for images in zip(srs, hrs, strict=True)]
    assert alone == pytest.approx(together, abs=1e-6)


@pytest.mark.weights
def test_the_whole_image_counts_whatever_the_other_metrics_leave_out(weights, pair):
    weights("lpips-alex")
    sr, hr = pair
    corner = hr.clone()
    corner[:, :6, :6] = 1 - corner[:, :6, :6]
    assert ALEX.psnr.shave(4.0) == ALEX.ssim.shave(4.0) == 10
    case = Case(ALEX, 4.0, hr, hr, "given")
    assert Lpips().score(case, Output(corner)) > 1e-4
    assert Lpips().score(case, Output(sr)) == lpips_distance(sr, hr)


@pytest.mark.weights
def test_the_protocol_chooses_the_trunk(weights, pair):
    weights("lpips-alex")
    weights("lpips-vgg")
    sr, hr = pair
    scores = [Lpips().score(Case(p, 2.0, hr, hr, "given"), Output(sr)) for p in (ALEX, VGG)]
    assert scores == [lpips_distance(sr, hr, "alex"), lpips_distance(sr, hr, "vgg")]
    assert abs(scores[0] - scores[1]) > 0.01


@pytest.mark.weights
def test_the_protocol_chooses_the_range(net, pair):
    sr, hr = pair
    model = load_lpips(net)
    protocol = ALEX.changed({"lpips.net": net})
    wrong = protocol.changed({"lpips.range": "0..1"})
    with torch.inference_mode():
        expected = [float(model(sr[None] * k - b, hr[None] * k - b)) for k, b in ((2, 1), (1, 0))]
    scores = [Lpips().score(Case(p, 2.0, hr, hr, "given"), Output(sr)) for p in (protocol, wrong)]
    assert scores == pytest.approx(expected, abs=1e-7)
    assert abs(expected[0] - expected[1]) > 1e-4


@pytest.mark.weights
@pytest.mark.parametrize(
    ("factor", "extra", "scale", "shave"), [(1, 0, 2.5, 3), (0, 4, 8.0, 4), (1, 6, 2.0, 8)]
)
def test_a_border_is_left_out_where_the_protocol_says_so(
    factor, extra, scale, shave, pair, weights
):
    weights("lpips-alex")
    sr, hr = pair
    protocol = ALEX.changed({"lpips.shave_scale": factor, "lpips.shave_extra": extra})
    case = Case(protocol, scale, hr, hr, "given")
    got = Lpips().score(case, Output(sr))
    inner = (slice(None), slice(shave, -shave), slice(shave, -shave))
    assert got == lpips_distance(sr[inner], hr[inner])
    framed = hr.clone()
    framed[inner] = sr[inner]
    assert Lpips().score(case, Output(framed)) == got


def test_too_small_for_the_border():
    """Before any weights are asked for."""
    protocol = ALEX.changed({"lpips.shave_scale": 1})
    for side, words in ((38, "30x30 pixels are too small for LPIPS"), (8, "shave of 4 on every")):
        image = torch.rand(3, side, side)
        with pytest.raises(LiifBenchError, match=words):
            Lpips().score(Case(protocol, 4.0, image, image, "given"), Output(image))


@pytest.mark.weights
def test_a_loaded_network_is_frozen_and_kept(net):
    model = load_lpips(net)
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert load_lpips(net) is load_lpips(net, "cpu") is load_lpips(net, device="cpu") is model


@pytest.mark.parametrize(("height", "width"), [(30, 100), (100, 30), (1, 1)])
def test_too_small(height, width):
    """Before any weights are asked for."""
    image = torch.rand(3, height, width)
    with pytest.raises(LiifBenchError) as error:
        lpips_distance(image, image)
    assert f"{width}x{height} pixels are too small for LPIPS" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.weights
@pytest.mark.parametrize(("height", "width"), [(31, 31), (31, 80), (80, 31)])
def test_the_smallest_size_has_a_value(height, width, weights):
    weights("lpips-alex")
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    hr = to_tensor(noise)
    sr = to_tensor(np.array(Image.fromarray(noise).transpose(Image.Transpose.FLIP_LEFT_RIGHT)))
    assert 0 < lpips_distance(sr, hr) < 2


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, "alex v0.1, whole image"),
        ({"lpips.net": "vgg"}, "vgg v0.1, whole image"),
        ({"lpips.shave_scale": 1}, "alex v0.1, shave s"),
        ({"lpips.shave_extra": 3}, "alex v0.1, shave 3"),
        ({"lpips.range": "0..1"}, "alex v0.1, whole image, input 0..1"),
        ({"rounding": "uint8"}, "alex v0.1, whole image, uint8"),
        ({"psnr.colour": "y", "ssim.shave_extra": 0}, "alex v0.1, whole image"),
        (
            {"lpips.range": "0..1", "lpips.shave_scale": 0.5, "rounding": "uint8"},
            "alex v0.1, shave 0.5s, input 0..1, uint8",
        ),
    ],
)
def test_variants(change, expected):
    assert Lpips().variant(ALEX.changed(change)) == expected


def test_needs_and_direction():
    assert Lpips().needs(ALEX) == ("lpips-alex",)
    assert Lpips().needs(VGG) == ("lpips-vgg",)
    assert not Lpips().higher_is_better
