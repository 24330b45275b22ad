import hashlib

import pytest
import safetensors.torch
import timm
import torch
import torch.nn.functional as F
from commands import refused
from PIL import Image
from timm.data.config import resolve_model_data_config
from timm.data.transforms_factory import create_transform

from liif_bench.downstream.classifiers import (
    TIMM_NAMES,
    Classifier,
    load_classifier,
)
from liif_bench.downstream.networks import state_sha256
from liif_bench.errors import LiifBenchError


@pytest.fixture
def lite0(weights):
    weights("efficientnet-lite0")
    return load_classifier("efficientnet-lite0")


@pytest.fixture
def crops():
    return torch.rand(9, 3, 224, 224, generator=torch.Generator().manual_seed(2))


@pytest.mark.data
@pytest.mark.weights
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("efficientnet-lite0", 0.896),
        pytest.param("efficientnet-lite1", 0.928, marks=pytest.mark.slow),
        pytest.param("efficientnet-lite2", 0.904, marks=pytest.mark.slow),
    ],
)
def test_top1_on_imagenet(name, expected, reference_data, weights):
    weights(name)
    classifier = load_classifier(name)
    config = resolve_model_data_config(timm.create_model(TIMM_NAMES[name]))
    # timm normalises at the end; the classifier does that itself
    transform = create_transform(**config | {"mean": (0, 0, 0), "std": (1, 1, 1)})
    files = sorted((reference_data / "imagenet_sample").glob("*.JPEG"))
    assert len(files) == 125
    right = 0
    for start in range(0, 125, 25):
        batch = files[start : start + 25]
        images = torch.stack([transform(Image.open(file).convert("RGB")) for file in batch])
        best = classifier.log_probabilities(images).argmax(dim=1).tolist()
        truth = [file.name.partition("_")[0] for file in batch]
        right += sum(classifier.wnids[i] == wnid for i, wnid in zip(best, truth, strict=True))
    assert right / 125 == pytest.approx(expected, abs=0.01)


@pytest.mark.weights
def test_log_probabilities_are_the_networks_own(lite0, crops):
    with torch.inference_mode():
        logits = lite0.model((crops[:2] - 0.5) / 0.5)
    got = lite0.log_probabilities(crops[:2])
    assert got.shape == (2, 1000)
    assert got.dtype == torch.float32
    expected = logits.double() - torch.logsumexp(logits.double(), dim=1, keepdim=True)
    torch.testing.assert_close(got.double(), expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(got.double().exp().sum(dim=1), torch.ones(2).double())


@pytest.mark.weights
def test_the_batch_does_not_matter(lite0, crops):
    together = lite0.log_probabilities(crops)
    alone = torch.cat([lite0.log_probabilities(crop[None]) for crop in crops])
    torch.testing.assert_close(alone, together, rtol=0, atol=1e-5)


@pytest.mark.weights
def test_an_image_is_left_as_it_is(lite0, crops):
    copy = crops[:1].clone()
    lite0.log_probabilities(crops[:1])
    assert torch.equal(copy, crops[:1])


@pytest.mark.weights
def test_wnids_stand_in_imagenet_order(lite0):
    """The 1000 classes are numbered by the order of their WordNet ids."""
    assert len(set(lite0.wnids)) == 1000
    assert tuple(sorted(lite0.wnids)) == lite0.wnids
    assert (lite0.wnids[0], lite0.wnids[281], lite0.wnids[999]) == (
        "n01440764",  # tench
        "n02123045",  # tabby
        "n15075141",  # toilet tissue
    )


@pytest.mark.weights
def test_a_loaded_classifier_is_frozen_and_kept(lite0):
    assert not lite0.model.training
    assert not any(parameter.requires_grad for parameter in lite0.model.parameters())
    assert load_classifier("efficientnet-lite0") is lite0


@pytest.mark.parametrize(
    ("name", "side"),
    [("efficientnet-lite0", 224), ("efficientnet-lite1", 240), ("efficientnet-lite2", 260)],
)
def test_preprocessing_is_the_one_of_the_weights(name, side):
    untrained = Classifier(name, timm.create_model(TIMM_NAMES[name]), (), "cpu")
    assert untrained.input_size == side
    config = untrained.config
    assert config["mean"] == config["std"] == (0.5, 0.5, 0.5)
    assert config["crop_pct"] in (0.875, 0.882, 0.89)
    assert config["interpolation"] == "bicubic"


def test_unknown_classifier():
    with pytest.raises(LiifBenchError, match="unknown classifier 'efficientnet-lite9': did you"):
        load_classifier("efficientnet-lite9")


def test_crops_are_resized_to_what_the_network_wants():
    untrained = Classifier("x", timm.create_model("tf_efficientnet_lite1"), (), "cpu")
    untrained.model.eval()
    crops = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(4))
    large = F.interpolate(crops, (240, 240), mode="bicubic", antialias=True).clamp(0, 1)
    got = untrained.log_probabilities(crops)
    torch.testing.assert_close(got, untrained.log_probabilities(large), rtol=0, atol=1e-5)


# Models of timm by name


@pytest.fixture(scope="module")
def state(weights):
    """EfficientNet-Lite0's tensors under timm's names."""
    weights("efficientnet-lite0")
    return load_classifier("efficientnet-lite0").model.state_dict()


@pytest.mark.weights
@pytest.mark.parametrize("kind", ["plain.pth", "training.pth", "tensors.safetensors"])
def test_a_checkpoint_gives_the_networks_logits(kind, state, lite0, crops, tmp_path):
    path = tmp_path / kind
    if path.suffix == ".safetensors":
        safetensors.torch.save_file({name: t.contiguous() for name, t in state.items()}, path)
    elif kind == "training.pth":
        parallel = {f"module.{name}": tensor for name, tensor in state.items()}
        torch.save({"epoch": 3, "state_dict": parallel}, path)
    else:
        torch.save(state, path)
    name = f"timm:tf_efficientnet_lite0?checkpoint={path}"
    loaded = load_classifier(name)
    assert torch.equal(loaded.log_probabilities(crops[:2]), lite0.log_probabilities(crops[:2]))
    assert loaded.name == name
    assert loaded.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert loaded.wnids == lite0.wnids


class Evil:
    def __reduce__(self):
        return (print, ("run!",))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"conv.weight": torch.zeros(3)}, "is no checkpoint of 'mobilenetv3_small_050': RuntimeE"),
        ({"state_dict": Evil()}, "refers to"),
        ([torch.zeros(3)], "holds no state dict"),
    ],
    ids=["another network", "code", "a list"],
)
def test_what_is_no_checkpoint_of_the_network_is_refused(content, message, tmp_path, capsys):
    path = tmp_path / "file.pth"
    torch.save(content, path)
    with pytest.raises(LiifBenchError, match=message) as error:
        load_classifier(f"timm:mobilenetv3_small_050?checkpoint={path}")
    assert "\n" not in str(error.value)
    assert "run!" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("timm", "needs an argument"),
        ("timm:resnet5o", "unknown timm model 'resnet5o': did you mean resnet50"),
        ("timm:resnet18?chekpoint=x", "unknown option 'chekpoint'"),
        ("timm:resnet18?checkpoint=/no/such.pth", "checkpoint '/no/such.pth' does not exist"),
        ("timm:test_byobnet.nonsense", "timm has no weights for 'test_byobnet.nonsense'"),
    ],
)
def test_wrong_names_are_one_line(name, message):
    with pytest.raises(LiifBenchError, match=message) as error:
        load_classifier(name)
    assert "\n" not in str(error.value)


def test_another_set_of_classes_is_refused(tmp_path):
    name = "mobilenetv3_large_100.miil_in21k"
    path = tmp_path / "x.pth"
    torch.save(timm.create_model(name, pretrained=False).state_dict(), path)
    with pytest.raises(LiifBenchError, match=r"tells 11221 classes apart, not the 1000"):
        load_classifier(f"timm:{name}?checkpoint={path}")


def test_weights_of_a_hub_are_known_by_their_values():
    model = timm.create_model("mobilenetv3_small_050")
    digest = state_sha256(model.state_dict())
    assert digest == state_sha256(model.state_dict())
    with torch.no_grad():
        next(model.parameters())[0] += 1e-3
    assert digest != state_sha256(model.state_dict())


@pytest.mark.slow  # the hub's client tries ten times
def test_a_hub_that_cannot_be_reached_is_one_line(photo_folder, tmp_path):
    """In a process of its own: what the hub's client prints would stand there, too."""
    nowhere = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path / "hub")}
    line = refused(
        "run", "--data", f"folder:{photo_folder()}", "--models", "bicubic", "--scales", "2",
        "--metrics", "zoom-mean-kl", "--classifier", "timm:test_byobnet",
        "--out", tmp_path / "out", "--quiet",
        env=nowhere,
    )  # fmt: skip
    assert "classifier 'timm:test_byobnet' cannot be loaded" in line
    assert "name a file as timm:test_byobnet?checkpoint=FILE" in line
    assert not (tmp_path / "out").exists()


def test_an_unknown_classifier_is_refused_before_torch_is_loaded(tmp_path):
    assert "unknown classifier 'resnet50'" in refused("run", "--classifier", "resnet50")
