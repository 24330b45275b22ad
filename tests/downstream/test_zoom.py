from dataclasses import replace

import numpy as np
import pytest
import scipy.special
import torch
from PIL import Image

from liif_bench.datasets import load_dataset
from liif_bench.downstream.classifiers import Classifier, load_classifier
from liif_bench.downstream.views import views_of_answer, views_of_truth
from liif_bench.downstream.zoom import ZoomAgreement, ZoomKl, ZoomTop1, zoom_crops
from liif_bench.errors import LiifBenchError, NotApplicableError
from liif_bench.evaluate import answer_case
from liif_bench.images import to_tensor
from liif_bench.metrics import load_metric
from liif_bench.metrics.base import Case, Output
from liif_bench.protocol import load_protocol
from liif_bench.resample import resample
from liif_bench.upsamplers import load_upsampler

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


# The views of a grid

SMALL = PROTOCOL.changed({"zoom.sizes": (24, 256)})
NAMES = {
    "zoom-one-top1": (True, True), "zoom-one-top5": (True, True), "zoom-mean-top1": (True, True),
    "zoom-mean-top5": (True, True), "zoom-centre-any": (True, True), "zoom-grid-any": (True, True),
    "zoom-mean-agreement": (True, False), "zoom-mean-kl": (False, False),
}  # fmt: skip
"""Name -> whether higher is better, and whether it needs a label."""


@pytest.fixture(scope="module")
def looked(lite0, cat):
    """The cat at x8 as bicubic answers it, and what the classifier thinks, worked out here."""
    cat = cat.crop((0, 0, 440, 296))
    labels = load_dataset("sample").items[0].labels
    low = resample(cat, (37, 55), Image.Resampling.BICUBIC)
    case = Case(SMALL, 8.0, tensor(low), tensor(cat), "pil-bicubic-uint8", labels)
    output = answer_case(load_upsampler("bicubic"), case, whole=False).output
    views = [
        torch.cat(list(views_of_answer(case, output, SMALL.zoom.sizes))),
        torch.cat(list(views_of_truth(case, SMALL.zoom.sizes))),
    ]
    with torch.inference_mode():
        logits = [lite0.model((each - 0.5) / 0.5).double() for each in views]
    return case, output, *(scipy.special.softmax(x.numpy(), axis=1) for x in logits)


def scored(name, case, output):
    return load_metric(name).score(case, output)


@pytest.mark.weights
def test_numbers_of_the_grid_are_worked_out_alike(looked, lite0):
    case, output, sr, hr = looked
    places = {wnid: place for place, wnid in enumerate(lite0.wnids)}
    # a label that is right in some views only, and one that the classifier does not know
    labels = (lite0.wnids[sr[0].argmax()], lite0.wnids[sr[13].argsort()[-4]], "n00000000")
    case = replace(case, labels=labels)
    known = [places[label] for label in labels[:2]]
    order = (-sr).argsort(axis=1)
    top1 = np.isin(order[:, :1], known).any(axis=1)
    top5 = np.isin(order[:, :5], known).any(axis=1)
    assert 0 < top1.mean() < top5.mean() <= 1
    agrees = sr.argmax(axis=1) == hr.argmax(axis=1)
    divergence = scipy.special.rel_entr(hr, sr).sum(axis=1)
    centre = 9 + 4  # the second size, 256
    expected = {
        "zoom-one-top1": top1[centre],
        "zoom-one-top5": top5[centre],
        "zoom-mean-top1": top1.mean(),
        "zoom-mean-top5": top5.mean(),
        "zoom-centre-any": top1[[4, centre]].any(),
        "zoom-grid-any": top1.any(),
        "zoom-mean-agreement": agrees.mean(),
        "zoom-mean-kl": divergence.mean(),
    }
    assert expected.keys() == NAMES.keys()
    output = Output(output.sr, output.image)
    for name, value in expected.items():
        assert scored(name, case, output) == pytest.approx(float(value), rel=1e-4), name

    rows = load_metric("zoom-mean-kl").details(case, output)
    assert [(row["size"], row["row"], row["column"]) for row in rows] == [
        (size, row, column) for size in (24, 256) for row in range(3) for column in range(3)
    ]
    best = np.isin(order, known).argmax(axis=1) + 1
    assert [row["rank"] for row in rows] == best.tolist()
    assert [row["top"] for row in rows] == [lite0.wnids[place] for place in order[:, 0]]
    assert [row["agrees"] for row in rows] == agrees.tolist()
    confidence = [row["confidence"] for row in rows]
    np.testing.assert_allclose(confidence, sr.max(axis=1), rtol=1e-4)
    np.testing.assert_allclose([row["kl"] for row in rows], divergence, rtol=1e-3, atol=1e-6)


@pytest.mark.weights
def test_every_distinct_view_is_classified_once(looked, monkeypatch):
    case, *_ = looked
    case = Case(SMALL, case.scale, case.lr, case.hr, case.lr_source, case.labels)
    original = Classifier.log_probabilities
    seen = []

    def counted(self, crops):
        seen.extend(crops)
        return original(self, crops)

    monkeypatch.setattr(Classifier, "log_probabilities", counted)
    models = [load_upsampler(name) for name in ("hr", "bicubic", "lanczos", "bicubic")]
    for model in models:
        answer = answer_case(model, case, whole=False).output
        for name in NAMES:
            scored(name, case, answer)
        load_metric("zoom-mean-kl").details(case, answer)
    # 18 of HR; 9 of LR at 24, one set for all; 9 each of bicubic and of Lanczos at 256
    assert len(seen) == 18 + 9 + 9 + 9
    assert len({view.numpy().tobytes() for view in seen}) == len(seen)


@pytest.mark.weights
def test_the_ground_truth_agrees_with_itself(looked):
    case, *_ = looked
    truth = answer_case(load_upsampler("hr"), case, whole=False).output
    assert scored("zoom-mean-agreement", case, truth) == 1
    assert scored("zoom-mean-kl", case, truth) == 0
    assert scored("zoom-grid-any", case, truth) == 1


@pytest.mark.weights
@pytest.mark.parametrize("name", NAMES)
def test_what_has_no_meaning_says_so(name, looked):
    higher, labelled = NAMES[name]
    case, output, *_ = looked
    metric = load_metric(name)
    assert (metric.name, metric.higher_is_better) == (name, higher)
    assert metric.needs(SMALL) == ("efficientnet-lite0",)
    assert metric.identify(SMALL) == {}
    assert metric.variant(SMALL) == "tf_efficientnet_lite0, 3x3 views of 224 at 24 256"
    if labelled:
        for labels, words in (((), "no label"), (("n00000000",), "knows no label")):
            with pytest.raises(NotApplicableError, match=words):
                metric.score(replace(case, labels=labels), output)
    if "-one-" in name:
        elsewhere = replace(case, protocol=PROTOCOL.changed({"zoom.sizes": (24,)}))
        with pytest.raises(NotApplicableError, match="the zoom grid has no size 256"):
            metric.score(elsewhere, output)


@pytest.mark.weights
def test_views_without_a_label_have_no_rank(looked):
    case, output, *_ = looked
    fresh = Output(output.sr, output.image)
    rows = load_metric("zoom-mean-kl").details(replace(case, labels=()), fresh)
    assert {row["rank"] for row in rows} == {None}


def test_a_grid_of_many_sizes_is_named_by_its_ends():
    shown = load_metric("zoom-mean-kl").variant(load_protocol("zoom-paper"))
    assert shown == "tf_efficientnet_lite0, 3x3 views of 224 at 36 sizes 10 to 1024"


def test_the_protocol_names_the_classifier():
    other = PROTOCOL.with_classifier("timm:resnet50?checkpoint=x.pth")
    for name in ("zoom-top1", "zoom-mean-kl"):
        metric = load_metric(name)
        assert metric.needs(other) == ()
        assert metric.variant(other).startswith("resnet50?checkpoint=x.pth, 3x3 ")
    with pytest.raises(LiifBenchError, match=r"checkpoint 'x\.pth' does not exist"):
        load_metric("zoom-kl").identify(other)
