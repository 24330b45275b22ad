from dataclasses import replace

import numpy as np
import pytest
import scipy.special
import torch
from PIL import Image

from liif_bench.datasets import load_dataset
from liif_bench.downstream.classifiers import Classifier, load_classifier
from liif_bench.downstream.zoom import ZoomAgreement, ZoomKl, ZoomTop1, anchors, zoom_crops
from liif_bench.errors import NotApplicableError
from liif_bench.images import to_tensor
from liif_bench.metrics import load_metric
from liif_bench.metrics.base import Case, Output
from liif_bench.protocol import load_protocol

PROTOCOL = load_protocol("liif-div2k")
ALL = (ZoomTop1, ZoomAgreement, ZoomKl)

# Ours is a resize in floating point. Pillow rounds after each of its two passes: half a level at
# the end, and half a level in between, which the second pass can stretch by 5/4 (the sum of the
# absolute weights of the cubic where it is largest).
GREY_LEVEL = 1.13 / 255


def imagenet_hard_crops(image, shorter=448, size=224):
    """The steps of arXiv 2304.05538 on Pillow and numpy: `(9, size, size, 3)` uint8."""
    width, height = image.size
    if width <= height:
        new = (shorter, int(shorter * height / width))
    else:
        new = (int(shorter * width / height), shorter)
    pixels = np.array(image.resize(new, Image.Resampling.BICUBIC))
    half = size // 2
    padded = np.pad(pixels, ((half, half), (half, half), (0, 0)))
    tile_h, tile_w = pixels.shape[0] // 3, pixels.shape[1] // 3
    crops = []
    for row in range(3):
        for column in range(3):
            y = row * tile_h + tile_h // 2
            x = column * tile_w + tile_w // 2
            crops.append(padded[y : y + size, x : x + size])
    return np.stack(crops)


def picture(height, width):
    """A smooth picture without symmetry, so that no crop can be taken for another."""
    coarse = np.random.default_rng(height * 1000 + width).integers(30, 226, (5, 6, 3), np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BILINEAR)


@pytest.fixture(scope="module")
def cat():
    """The cat of the sample set."""
    return Image.fromarray(load_dataset("sample").items[0].read_hr(1.0))


def tensor(image):
    return to_tensor(np.array(image))


# Crops


@pytest.mark.parametrize(
    ("length", "expected"),
    [(448, [74, 223, 372]), (449, [74, 223, 372]), (450, [75, 225, 375]), (3, [0, 1, 2])],
)
def test_anchors(length, expected):
    assert anchors(length) == expected


@pytest.mark.parametrize(
    ("height", "width"),
    [
        (448, 448),
        (300, 500),
        (500, 300),
        (37, 64),
        (64, 37),
        (12, 200),
        (2, 3),
        (1, 1),
        (1, 3),
        (3, 1),
        (1000, 601),
    ],
)
def test_crops_are_those_of_the_paper(height, width):
    image = picture(height, width)
    expected = imagenet_hard_crops(image) / 255
    got = zoom_crops(tensor(image))
    assert got.shape == (9, 3, 224, 224)
    assert np.abs(got.numpy().transpose(0, 2, 3, 1) - expected).max() <= GREY_LEVEL


def test_crops_of_a_photograph(cat):
    cat = cat.point(lambda level: 32 + level * 3 // 4)  # Pillow also clips between its passes
    expected = imagenet_hard_crops(cat) / 255
    got = zoom_crops(tensor(cat)).numpy().transpose(0, 2, 3, 1)
    assert np.abs(got - expected).max() <= GREY_LEVEL


def test_rows_come_before_columns():
    """At its own size nothing is resampled: the middle of a crop is the pixel it is cut round."""
    rows, columns = torch.meshgrid(torch.arange(448), torch.arange(600), indexing="ij")
    image = torch.stack([rows / 600, columns / 600, torch.ones(448, 600)])
    centres = zoom_crops(image)[:, :2, 112, 112] * 600
    expected = [(y, x) for y in (74, 223, 372) for x in (100, 300, 500)]
    torch.testing.assert_close(centres, torch.tensor(expected).float(), rtol=0, atol=0.01)


def test_black_beyond_the_edges():
    crops = zoom_crops(torch.ones(3, 448, 448))
    # 74 - 112 = -38 rows of the first row of crops are missing, 372 + 112 - 448 = 36 of the last
    assert crops[0, :, :38].max() == crops[0, :, :, :38].max() == 0
    assert crops[0, :, 38:, 38:].min() > 0.999
    assert crops[8, :, 188:].max() == crops[8, :, :, 188:].max() == 0
    assert crops[8, :, :188, :188].min() > 0.999
    assert crops[4].min() > 0.999


def test_crops_stay_in_range():
    """Bicubic overshoots at edges."""
    image = torch.zeros(3, 20, 20)
    image[:, :, 10:] = 1
    crops = zoom_crops(image)
    assert crops.min() == 0
    assert crops.max() == 1


def test_other_sizes():
    image = picture(50, 70)
    got = zoom_crops(tensor(image), shorter=96, size=64).numpy().transpose(0, 2, 3, 1)
    expected = imagenet_hard_crops(image, shorter=96, size=64) / 255
    assert np.abs(got - expected).max() <= GREY_LEVEL


# Scores


@pytest.fixture(scope="module")
def lite0(weights):
    weights("efficientnet-lite0")
    return load_classifier("efficientnet-lite0")


@pytest.fixture(scope="module")
def opinions(lite0, cat):
    """HR, a blurred SR, and what the classifier thinks of their crops, worked out here."""
    hr = tensor(cat)
    small = cat.resize((cat.width // 4, cat.height // 4), Image.Resampling.BICUBIC)
    sr = tensor(small.resize(cat.size, Image.Resampling.BICUBIC))
    with torch.inference_mode():
        logits = [lite0.model((zoom_crops(image) - 0.5) / 0.5).double() for image in (hr, sr)]
    return hr, sr, *(scipy.special.softmax(x.numpy(), axis=1) for x in logits)


def case_of(hr, labels=()):
    return Case(PROTOCOL, 4.0, hr, hr, "given", labels)


@pytest.mark.weights
def test_scores_are_worked_out_alike(opinions, lite0):
    hr, sr, hr_shares, sr_shares = opinions
    hr_best, sr_best = hr_shares.argmax(axis=1), sr_shares.argmax(axis=1)
    labels = ("n00000000", lite0.wnids[sr_best[4]], lite0.wnids[999])
    case, output = case_of(hr, labels), Output(sr)

    right = np.isin(sr_best, [sr_best[4], 999])
    same = hr_best == sr_best
    assert 0 < right.mean() < 1  # or the test would show little
    assert 0 < same.mean() < 1
    assert ZoomTop1().score(case, output) == pytest.approx(right.mean())
    unlabelled = replace(case, labels=())
    assert ZoomAgreement().score(unlabelled, output) == pytest.approx(same.mean())
    divergence = scipy.special.rel_entr(hr_shares, sr_shares).sum(axis=1).mean()
    assert divergence > 0.1
    assert ZoomKl().score(unlabelled, output) == pytest.approx(divergence, rel=1e-4)


@pytest.mark.weights
def test_divergence_is_from_hr_to_sr(opinions):
    hr, sr, hr_shares, sr_shares = opinions
    turned = ZoomKl().score(case_of(sr), Output(hr))
    expected = scipy.special.rel_entr(sr_shares, hr_shares).sum(axis=1).mean()
    assert turned == pytest.approx(expected, rel=1e-4)
    forward = scipy.special.rel_entr(hr_shares, sr_shares).sum(axis=1).mean()
    assert abs(turned - forward) > 0.01


@pytest.mark.weights
def test_equal_images_get_equal_opinions(opinions, lite0):
    hr, _, hr_shares, _ = opinions
    label = lite0.wnids[hr_shares[4].argmax()]
    case, output = case_of(hr, (label,)), Output(hr.clone())
    assert ZoomAgreement().score(case, output) == 1
    assert ZoomKl().score(case, output) == pytest.approx(0, abs=1e-9)
    expected = (hr_shares.argmax(axis=1) == hr_shares[4].argmax()).mean()
    assert ZoomTop1().score(case, output) == pytest.approx(expected)


@pytest.mark.weights
def test_the_cat_is_a_cat(opinions):
    hr = opinions[0]
    labels = load_dataset("sample").items[0].labels
    assert ZoomTop1().score(case_of(hr, labels), Output(hr)) >= 5 / 9


@pytest.mark.weights
def test_each_image_is_looked_at_once(lite0, cat, monkeypatch):
    original = Classifier.log_probabilities
    seen = []

    def counted(self, crops):
        seen.append(crops)
        return original(self, crops)

    monkeypatch.setattr(Classifier, "log_probabilities", counted)
    hr = tensor(cat)
    case = case_of(hr, ("n02123045",))
    outputs = [Output(hr.flip(2)), Output(1 - hr)]
    for output in outputs:
        for metric in ALL:
            metric().score(case, output)
    assert len(seen) == 1 + len(outputs)
    assert sum(torch.equal(crops, zoom_crops(hr)) for crops in seen) == 1


def test_no_label_no_top1(monkeypatch):
    """And no network is asked."""
    monkeypatch.setattr(Classifier, "log_probabilities", None)
    image = torch.rand(3, 8, 8)
    with pytest.raises(NotApplicableError, match="no label"):
        ZoomTop1().score(case_of(image), Output(image))


@pytest.mark.parametrize(
    ("name", "higher"), [("zoom-top1", True), ("zoom-agreement", True), ("zoom-kl", False)]
)
def test_name_direction_needs_and_variant(name, higher):
    metric = load_metric(name)
    assert metric.higher_is_better is higher
    assert metric.needs(PROTOCOL) == ("efficientnet-lite0",)
    expected = "tf_efficientnet_lite0, 3x3 crops of 224 at 448"
    assert metric.variant(PROTOCOL) == expected
