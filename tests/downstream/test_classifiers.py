import pytest
import timm
import torch
from PIL import Image
from timm.data.config import resolve_model_data_config
from timm.data.transforms_factory import create_transform

from liif_bench.downstream.classifiers import TIMM_NAMES, Classifier, load_classifier
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
