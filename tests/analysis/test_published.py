import math

import pytest
from frames import made_up, made_up_reference

from liif_bench.analysis.published import compare_with_published
from liif_bench.protocol import load_protocol

ROW = made_up_reference(given_scales=(2.0,), values={2.0: 30.12, 8.0: 25.0})
HASH = load_protocol("liif-benchmark").hash


def records(*values, scale=2, lr="given", **columns):
    rows = [(str(n), scale, "liif-edsr", "psnr", value) for n, value in enumerate(values)]
    common = {"dataset": "set5", "protocol_hash": HASH, "lr_source": lr}
    return made_up(rows, **common | columns)


def compare(frame, row=ROW, scales=(2.0,), missing=None):
    return compare_with_published(frame, [row], scales, missing or {})


@pytest.mark.parametrize(
    ("ours", "confirmed", "unconfirmed"),
    [
        (30.12, "met", "near"),
        (30.1249, "met", "near"),
        (30.125, "met", "near"),
        (30.115, "met", "near"),
        (30.1251, "missed", "far"),
        (30.1149, "missed", "far"),
    ],
)
def test_the_rounding_of_print_decides(ours, confirmed, unconfirmed):
    (one,) = compare(records(ours - 1, ours + 1))
    assert one.ours == pytest.approx(ours)
    assert one.verdict == confirmed
    (one,) = compare(records(ours), ROW.model_copy(update={"verified": False}))
    assert one.verdict == unconfirmed


def test_the_difference_is_ours_minus_theirs():
    (one,) = compare(records(30.0))
    assert one.difference == pytest.approx(-0.12)


def test_every_scale_that_was_asked_for_is_compared():
    found = compare(records(30.12), scales=(2.0, 8.0, 3.0))
    assert [(one.scale, one.verdict) for one in found] == [(2.0, "met"), (8.0, "not run")]
    assert found[1].reason == "not part of this run"


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (records(30.12, lr="pil-bicubic-uint8"), "the data set has no LR files at x2"),
        (records(30.12, dataset="set14"), "not part of this run"),
        (records(30.12, protocol_hash="other"), "not part of this run"),
        (records(30.12, "truncated"), "1 of 2 images: truncated"),
        (records(30.12, math.inf), "the mean is not finite"),
    ],
)
def test_what_is_not_the_same_measurement_is_not_compared(frame, reason):
    (one,) = compare(frame)
    assert (one.verdict, one.ours, one.difference) == ("not run", None, None)
    assert one.reason == reason


def test_lr_files_where_the_paper_made_lr_are_not_the_same():
    (one,) = compare(records(25.0, scale=8), scales=(8.0,))
    assert one.reason == "LR is given here, pil-bicubic-uint8 there"
    (one,) = compare(records(25.0, scale=8, lr="pil-bicubic-uint8"), scales=(8.0,))
    assert one.verdict == "met"


def test_a_missing_data_set_says_why():
    (one,) = compare(records(30.12), missing={"set5": "not there"})
    assert (one.verdict, one.reason) == ("not run", "not there")
