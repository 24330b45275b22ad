from dataclasses import replace

import numpy as np
import pytest
import scipy.special
import torch
from PIL import Image

from liif_bench.datasets import load_dataset
from liif_bench.downstream import tta
from liif_bench.downstream.adapt import adapted, logits_under
from liif_bench.downstream.augment import crops_of_answer
from liif_bench.downstream.classifiers import Classifier, load_classifier
from liif_bench.downstream.views import one_crop_of_answer, views_of_answer
from liif_bench.downstream.zoom import ClassifierMetric
from liif_bench.errors import NotApplicableError
from liif_bench.evaluate import answer_case
from liif_bench.images import to_tensor
from liif_bench.metrics import load_metric
from liif_bench.metrics.base import Case, Output
from liif_bench.protocol import load_protocol
from liif_bench.resample import resample
from liif_bench.upsamplers import load_upsampler

PROTOCOL = load_protocol("liif-div2k")
FEW = 6
NAMES = ("tta-mean-top1", "tta-mean-top5", "tta-memo-top1", "tta-memo-top5")


@pytest.fixture(scope="module")
def lite0(weights):
    weights("efficientnet-lite0")
    return load_classifier("efficientnet-lite0")


@pytest.fixture
def few(monkeypatch):
    """Six crops in place of 64, which take six gigabytes."""
    monkeypatch.setattr(
        tta, "crops_of_answer", lambda case, output: crops_of_answer(case, output, FEW)
    )


@pytest.fixture
def looked(lite0):
    """The cat at x8 as bicubic answers it."""
    sample = load_dataset("sample").items[0]
    cat = Image.fromarray(sample.read_hr(1.0)).crop((0, 0, 440, 296))
    low = resample(cat, (37, 55), Image.Resampling.BICUBIC)
    pixels = [to_tensor(np.array(image)) for image in (low, cat)]
    case = Case(PROTOCOL, 8.0, *pixels, "made", sample.labels, sample.name)
    return case, answer_case(load_upsampler("bicubic"), case, whole=False).output


@pytest.mark.weights
def test_the_mean_is_worked_out_alike(looked, lite0, few):
    case, output = looked
    crops = torch.stack([*crops_of_answer(case, output, FEW)])
    with torch.inference_mode():
        logits = lite0.model((crops - 0.5) / 0.5).double().numpy()
    shares = scipy.special.softmax(logits, axis=1).mean(axis=0)
    order = (-shares).argsort()
    case = replace(case, labels=("n00000000", lite0.wnids[order[2]]))
    assert load_metric("tta-mean-top1").score(case, output) == 0
    assert load_metric("tta-mean-top5").score(case, output) == 1
    one, mean = load_metric("tta-mean-top1").details(case, output)
    assert (one["method"], mean["method"]) == ("one", "mean")
    assert mean["rank"] == 3
    assert mean["top"] == lite0.wnids[order[0]]
    assert mean["confidence"] == pytest.approx(shares.max(), rel=1e-4)


@pytest.mark.weights
def test_memo_judges_the_one_crop_after_the_step(looked, lite0, few):
    case, output = looked
    parameters = adapted(lite0, torch.stack([*crops_of_answer(case, output, FEW)]))
    with torch.no_grad():
        logits = logits_under(lite0, parameters, one_crop_of_answer(case, output)[None])[0]
    order = logits.argsort(descending=True)
    case = replace(case, labels=(lite0.wnids[order[1]],))
    assert load_metric("tta-memo-top1").score(case, output) == 0
    assert load_metric("tta-memo-top5").score(case, output) == 1
    _, memo = load_metric("tta-memo-top5").details(case, output)
    assert (memo["method"], memo["rank"], memo["top"]) == ("memo", 2, lite0.wnids[order[0]])
    assert memo["confidence"] == pytest.approx(float(logits.softmax(0).max()), rel=1e-5)


@pytest.mark.weights
@pytest.mark.parametrize("name", ["hr", "bicubic", "liif-edsr"])
def test_the_plain_judgement_is_that_of_the_one_crop_view(name, looked, few, weights):
    weights("liif-edsr")
    case = replace(looked[0], protocol=PROTOCOL.changed({"zoom.sizes": (256,)}))
    output = answer_case(load_upsampler(name), case, whole=False).output
    (nine,) = views_of_answer(case, output, [256])
    assert torch.equal(one_crop_of_answer(case, output), nine[4])
    one, _ = load_metric("tta-mean-top1").details(case, output)
    assert float(one["rank"] <= 1) == load_metric("zoom-one-top1").score(case, output)
    assert float(one["rank"] <= 5) == load_metric("zoom-one-top5").score(case, output)


@pytest.mark.weights
def test_crops_are_rendered_and_networks_run_once(looked, few, monkeypatch):
    case, output = looked
    rendered, stepped = [], []
    original = tta.crops_of_answer
    monkeypatch.setattr(
        tta, "crops_of_answer", lambda *given: rendered.append(1) or original(*given)
    )
    monkeypatch.setattr(tta, "adapted", lambda *given: stepped.append(1) or adapted(*given))
    for name in NAMES:
        load_metric(name).score(case, output)
        load_metric(name).details(case, output)
    assert len(rendered) == len(stepped) == 1


@pytest.mark.weights
@pytest.mark.parametrize("name", NAMES)
def test_what_has_no_meaning_says_so_and_runs_nothing(name, looked, lite0, monkeypatch):
    case, output = looked
    monkeypatch.setattr(Classifier, "log_probabilities", None)
    metric = load_metric(name)
    assert (metric.name, metric.higher_is_better, metric.windows_only) == (name, True, True)
    assert metric.needs(PROTOCOL) == ("efficientnet-lite0",)
    for labels, words in (((), "no label"), (("n00000000",), "knows no label")):
        unlabelled = replace(case, labels=labels)
        with pytest.raises(NotApplicableError, match=words):
            metric.score(unlabelled, output)
        assert metric.details(unlabelled, output) == []


@pytest.mark.weights
def test_a_classifier_that_shows_no_network_is_not_adapted(looked, lite0, few, monkeypatch):
    class Closed:
        wnids = lite0.wnids
        log_probabilities = staticmethod(lite0.log_probabilities)

    case, output = looked
    monkeypatch.setattr(ClassifierMetric, "classifier", lambda self, protocol: Closed())
    metric = load_metric("tta-memo-top1")
    with pytest.raises(NotApplicableError, match="'efficientnet-lite0' shows no network to adapt"):
        metric.score(case, output)
    assert metric.details(case, Output(output.sr, output.image)) == []
    assert load_metric("tta-mean-top5").score(case, output) in (0, 1)


def test_variants_state_every_choice():
    assert load_metric("tta-mean-top1").variant(PROTOCOL) == (
        "tf_efficientnet_lite0, mean of 64 random resized crops of 224"
    )
    assert load_metric("tta-memo-top5").variant(PROTOCOL) == (
        "tf_efficientnet_lite0, MEMO: 1 SGD step of 0.00025 on 64 random resized crops of 224,"
        " BN prior 16, judged at 256"
    )
