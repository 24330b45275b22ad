import pandas as pd
import pytest

from liif_bench.analysis.offsets import Audit, needed_protocols, single_steps
from liif_bench.protocol import load_protocol
from liif_bench.reports.offsets import audit_grids, sentence

BASE = load_protocol("liif-benchmark")
PRESETS = tuple(load_protocol(name) for name in ("lte", "basicsr-y", "liif-div2k", "clit-ssim"))


def score(protocol, metric, scale):
    """A made-up score to which each choice adds an amount of its own."""
    rules = getattr(protocol, metric)
    value = {"psnr": 30.0, "ssim": 0.9}[metric] - scale
    value -= 2.0 * (rules.colour == "rgb")
    value += 0.5 * rules.shave_extra
    value -= 0.0001 * (protocol.rounding == "uint8")
    value -= 0.25 * (protocol.network.cell_rule == "clip") * (scale > 4)
    return value


@pytest.fixture
def audit():
    metrics = ("psnr", "ssim")
    steps = tuple(single_steps(BASE, metrics))
    scores = [
        {
            "dataset": "set", "item": item, "scale": scale, "upsampler": "m", "metric": metric,
            "protocol_hash": protocol.hash, "value": score(protocol, metric, scale), "error": None,
        }
        for protocol in needed_protocols(BASE, PRESETS, steps).values()
        for item in ("a", "b")
        for scale in (2.0, 8.0)
        for metric in metrics
    ]  # fmt: skip
    return Audit(BASE, PRESETS, steps, metrics, pd.DataFrame(scores))


def test_presets_are_shown_with_their_offsets(audit):
    psnr = audit_grids(audit)[0]
    assert psnr.columns == ("protocol", "x2", "offset", "x8", "offset")
    rows = {row[0]: row[1:] for row in psnr.rows}
    assert rows["liif-benchmark"] == ("28.000", "", "22.000", "")
    assert rows["liif-div2k"] == ("29.000", "+1.000", "23.000", "+1.000")
    assert rows["lte"] == ("28.000", "+0.000", "21.750", "-0.250")


def test_single_choices_are_shown_for_the_metrics_that_they_concern(audit):
    grid = audit_grids(audit)[2]
    rows = {row[:3]: row[3:] for row in grid.rows}
    assert rows["colour", "y-liif", "rgb"] == ("-2.000", "-2.000", "-2.00000", "-2.00000")
    assert rows["cell rule", "exact", "clip"] == ("+0.000", "-0.250", "+0.00000", "-0.25000")
    assert rows["window", "valid", "full"] == ("", "", "+0.00000", "+0.00000")


@pytest.mark.parametrize(
    ("preset", "expected"),
    [
        (
            "liif-div2k",
            "liif-div2k in PSNR at x2 / x8: +1.000 / +1.000 dB, of which colour y-liif -> rgb"
            " -2.000 / -2.000; border s -> s+6 +3.000 / +3.000.",
        ),
        (
            "lte",
            "lte in PSNR at x2 / x8: +0.000 / -0.250 dB, of which cell rule exact -> clip"
            " +0.000 / -0.250.",
        ),
        (
            "basicsr-y",
            "basicsr-y in PSNR at x2 / x8: +0.000 / +0.000 dB. Without effect here: LR files,"
            " else pil-bicubic-uint8 -> files, else matlab-bicubic-uint8; rounding none -> uint8;"
            " colour y-liif -> y.",
        ),
    ],
)
def test_a_sentence_names_the_choices_that_cause_the_difference(audit, preset, expected):
    assert sentence(audit, ("set", "m"), "psnr", load_protocol(preset)) == expected


def test_equal_choices_are_called_so(audit):
    mine = BASE.model_copy(update={"name": "mine"})
    assert sentence(audit, ("set", "m"), "psnr", mine) == (
        "mine makes the same choices for PSNR as liif-benchmark."
    )


def test_there_is_a_sentence_for_every_pair_and_metric(audit):
    assert len(audit_grids(audit)[-1].notes) == len(PRESETS) * 2


def test_what_has_no_score_is_a_dash_with_its_reason(audit):
    lost = audit.scores["protocol_hash"] == load_protocol("liif-div2k").hash
    lost &= audit.scores["scale"] == 8.0
    audit.scores.loc[lost, "value"] = None
    audit.scores.loc[lost, "error"] = "too small"
    psnr = audit_grids(audit)[0]
    assert next(row for row in psnr.rows if row[0] == "liif-div2k")[3:] == ("–", "–")
    assert "no value: a x8 under liif-div2k: too small" in psnr.notes


def test_a_choice_that_starts_elsewhere_for_another_metric_has_a_line_of_its_own(audit):
    base = BASE.changed({"ssim.shave_scale": 0.0})
    steps = tuple(single_steps(base, audit.metrics))
    rows = [
        {
            "dataset": "set", "item": "a", "scale": 2.0, "upsampler": "m", "metric": metric,
            "protocol_hash": protocol.hash, "value": score(protocol, metric, 2.0), "error": None,
        }
        for protocol in needed_protocols(base, (), steps).values()
        for metric in audit.metrics
    ]  # fmt: skip
    grid = audit_grids(Audit(base, (), steps, audit.metrics, pd.DataFrame(rows)))[2]
    borders = {row[1:3]: row[3:] for row in grid.rows if row[0] == "border"}
    assert borders == {
        ("s", "0"): ("+0.000", ""),
        ("0", "s"): ("", "+0.00000"),
        ("s", "s+6"): ("+3.000", ""),
        ("0", "s+6"): ("", "+3.00000"),
    }
