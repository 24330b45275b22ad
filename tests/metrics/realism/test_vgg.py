import pytest
import torch
from oracles import vgg16

from liif_bench.errors import LiifBenchError
from liif_bench.metrics.base import Case, Output
from liif_bench.metrics.perceptual import load_lpips
from liif_bench.metrics.realism.vgg import both_seen
from liif_bench.protocol import load_protocol

PROTOCOL = load_protocol("liif-div2k")
POOLED = {"max": vgg16.max_pooled, "l2": vgg16.l2_pooled}


def pair(height=37, width=46):
    hr = torch.rand(3, height, width, generator=torch.Generator().manual_seed(3))
    return hr.flip(1), hr


def case_of(hr):
    return Case(PROTOCOL, 2.0, hr, hr, "given")


@pytest.mark.weights
@pytest.mark.parametrize("pooling", POOLED)
def test_both_passes_are_torchvisions_layers_with_either_pooling(pooling, weights):
    """Sides that no pooling halves evenly, in float64 against our float32."""
    weights("lpips-vgg")
    sr, hr = pair()
    seen = both_seen(case_of(hr), Output(sr), pooling, "cpu")
    for image, ours in zip((sr, hr), seen, strict=True):
        expected = vgg16.layers(image, POOLED[pooling])
        assert [maps.shape for maps in ours] == [maps.shape for maps in expected]
        for maps, truth in zip(ours, expected, strict=True):
            torch.testing.assert_close(maps.double(), truth, rtol=1e-4, atol=1e-4)


@pytest.mark.weights
def test_each_image_is_looked_at_once_and_the_first_layer_serves_both_poolings(weights):
    weights("lpips-vgg")
    sr, hr = pair()
    net = load_lpips("vgg", "cpu").net
    begun, ended = [], []
    hooks = [
        net.slice1[0].register_forward_hook(lambda *_: begun.append(1)),
        net.slice5[-1].register_forward_hook(lambda *_: ended.append(1)),
    ]
    try:
        case = case_of(hr)
        for image in (sr, 1 - sr):
            output = Output(image)
            for pooling in ("max", "l2", "max", "l2"):
                both_seen(case, output, pooling, "cpu")
    finally:
        for hook in hooks:
            hook.remove()
    assert len(begun) == 3
    assert len(ended) == 6
    poolings = [both_seen(case, output, pooling, "cpu")[1] for pooling in POOLED]
    assert poolings[0][0] is poolings[1][0]


@pytest.mark.weights
def test_the_memory_is_what_the_module_says(weights):
    weights("lpips-vgg")
    sr, hr = pair(64, 96)
    case, output = case_of(hr), Output(sr)
    seen = {
        maps.data_ptr(): maps.numel() * maps.element_size()
        for pooling in POOLED
        for image in both_seen(case, output, pooling, "cpu")
        for maps in image
    }
    assert sum(seen.values()) == 2 * 720 * 64 * 96


def test_too_small_an_image_is_refused_before_any_weights_are_asked_for():
    sr, hr = pair(30, 40)
    with pytest.raises(LiifBenchError, match="40x30 pixels are too small for VGG16"):
        both_seen(case_of(hr), Output(sr), "max", "cpu")
