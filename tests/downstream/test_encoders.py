import lpips
import pytest
import timm
import torch
from timm.data.config import resolve_model_data_config

from liif_bench.downstream import ENCODERS
from liif_bench.downstream.classifiers import TIMM_NAMES
from liif_bench.downstream.encoders import cut_to, filled_to, load_encoder
from liif_bench.downstream.features import mse
from liif_bench.errors import LiifBenchError
from liif_bench.metrics.perceptual import load_lpips
from liif_bench.weights.readers import efficientnet_lite_state

VIT = "vit_tiny_patch16_224"


@pytest.fixture(scope="module")
def images():
    return torch.rand(3, 3, 64, 96, generator=torch.Generator().manual_seed(3))


@pytest.fixture(scope="module")
def transformer(tmp_path_factory):
    """A checkpoint of random weights, and the network that it was saved from."""
    torch.manual_seed(1)
    model = timm.create_model(VIT, pretrained=False).eval()
    path = tmp_path_factory.mktemp("vit") / "random.pth"
    torch.save(model.state_dict(), path)
    return f"timm:{VIT}?checkpoint={path}", model


@pytest.mark.weights
@pytest.mark.parametrize("number", [0, 1, 2])
def test_stages_are_those_that_timm_gives(number, weights, images):
    weights_id = f"efficientnet-lite{number}"
    name = TIMM_NAMES[weights_id]
    whole = timm.create_model(name, pretrained=False)
    state = efficientnet_lite_state(weights(weights_id), whole)
    stages = timm.create_model(name, pretrained=False, features_only=True).eval()
    stages.load_state_dict({key: state[key] for key in stages.state_dict()})
    with torch.inference_mode():
        expected = stages((images - 0.5) / 0.5)
    for stage in range(1, 6):
        encoder = load_encoder(f"{weights_id}@{stage}")
        got = encoder.features(images)
        assert encoder.stride == 2**stage == 64 // got.shape[2]
        torch.testing.assert_close(got, expected[stage - 1], rtol=1e-4, atol=1e-4)
    assert encoder.native == resolve_model_data_config(whole)["input_size"][-1]


@pytest.mark.weights
def test_layers_of_vgg_are_those_of_lpips(weights, images):
    """LPIPS scales its input otherwise, to the same numbers."""
    weights("lpips-vgg")
    model: lpips.LPIPS = load_lpips("vgg")
    with torch.inference_mode():
        expected = model.net(model.scaling_layer(2 * images - 1))
    for layer, activations in expected._asdict().items():
        encoder = load_encoder(f"vgg16@{layer.removeprefix('h_')}")
        got = encoder.features(images)
        assert encoder.stride == 64 // got.shape[2]
        torch.testing.assert_close(got, activations, rtol=1e-3, atol=1e-3)


def test_a_transformer_from_a_checkpoint_gives_its_patch_tokens(transformer, images):
    """At its own size; the hub is not asked."""
    name, model = transformer
    encoder = load_encoder(name)
    assert (encoder.stride, encoder.native) == (16, 224)
    assert encoder.mean == encoder.std == (0.5, 0.5, 0.5)
    image = torch.nn.functional.interpolate(images[:1], (224, 224))
    with torch.inference_mode():
        tokens = model.forward_features((image - 0.5) / 0.5)[:, model.num_prefix_tokens :]
    got = encoder.features(image)
    assert got.shape == (1, 192, 14, 14)
    torch.testing.assert_close(got.flatten(2).transpose(1, 2), tokens, rtol=1e-4, atol=1e-4)


def test_a_transformer_takes_other_sizes(transformer, images):
    assert load_encoder(transformer[0]).features(images).shape == (3, 192, 4, 6)


@pytest.mark.weights
@pytest.mark.parametrize("name", ["efficientnet-lite0@4", "vgg16@relu3_3", "vit"])
def test_one_at_a_time_is_as_many_at_once(name, images, weights, transformer):
    encoder = load_encoder(transformer[0] if name == "vit" else name)
    many = torch.cat([images, images.flip(3), images.flip(2), 1 - images])  # more than a batch
    together = encoder.features(many)
    alone = torch.cat([encoder.features(image[None]) for image in many])
    # What records hold is the same to 1e-6. Single features are sums of float32 over some thirty
    # layers, in an order that depends on batch and threads: some ten units in the last place.
    for one, other in (alone, together), (alone.roll(1, 0), together.roll(1, 0)):
        numbers = [mse(a, b) for a, b in zip(one, alone.roll(2, 0), strict=True)]
        expected = [mse(a, b) for a, b in zip(other, together.roll(2, 0), strict=True)]
        assert numbers == pytest.approx(expected, rel=1e-6)
    scale = float(together.abs().max())
    torch.testing.assert_close(alone / scale, together / scale, rtol=0, atol=3e-6)


@pytest.mark.weights
def test_sides_are_multiples_of_the_stride(weights, images):
    weights("efficientnet-lite0")
    encoder = load_encoder("efficientnet-lite0@4")
    with pytest.raises(LiifBenchError, match="multiples of 16, got 95x64"):
        encoder.features(images[..., :95])
    with pytest.raises(LiifBenchError, match="got 96x0"):
        encoder.features(images[..., :0, :])


def test_cutting_and_filling():
    image = torch.arange(3 * 21 * 37).float().reshape(3, 21, 37)
    assert torch.equal(cut_to(image, 8), image[:, :16, :32])
    filled = filled_to(image, 8)
    assert filled.shape == (3, 24, 40)
    assert torch.equal(filled[:, :21, :37], image)
    assert torch.equal(filled[:, 21:, :37], image[:, 20:].expand(3, 3, 37))
    assert torch.equal(filled[:, :, 37:], filled[:, :, 36:37].expand(3, 24, 3))
    assert torch.equal(filled_to(cut_to(image, 8), 8), cut_to(image, 8))
    with pytest.raises(LiifBenchError, match="37x21 pixels are too small for an encoder of stride"):
        cut_to(image, 32)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("vgg16@relu4_9", "unknown encoder 'vgg16@relu4_9': did you mean vgg16@relu4_3"),
        ("timm", "needs an argument"),
        ("timm:vit_tini_patch16_224", "unknown timm model 'vit_tini_patch16_224'"),
        ("timm:resnet18?checkpoint=/no/such.pth", "checkpoint '/no/such.pth' does not exist"),
    ],
)
def test_wrong_names_are_one_line(name, message):
    with pytest.raises(LiifBenchError, match=message) as error:
        load_encoder(name)
    assert "\n" not in str(error.value)


def test_what_is_no_transformer_is_refused(tmp_path):
    path = tmp_path / "x.pth"
    torch.save(timm.create_model("resnet18", pretrained=False).state_dict(), path)
    with pytest.raises(LiifBenchError, match="encoder 'timm:resnet18"):
        load_encoder(f"timm:resnet18?checkpoint={path}")


def test_every_entry_has_a_factory():
    for name, entry in ENCODERS.entries().items():
        factory, _ = ENCODERS.factory(f"{name}:x" if entry.argument else name)
        assert callable(factory)
