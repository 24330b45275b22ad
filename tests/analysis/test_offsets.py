from itertools import pairwise, permutations

import numpy as np
import pandas as pd
import pytest

from liif_bench.analysis.offsets import (
    RENDERING,
    Audit,
    needed_protocols,
    path,
    single_steps,
)
from liif_bench.protocol import differences, load_protocol, protocol_names

BASE = load_protocol("liif-benchmark")


class TestPath:
    @pytest.mark.parametrize(("first", "second"), list(permutations(protocol_names(), 2)))
    def test_it_leads_from_one_protocol_to_the_other_by_one_choice_at_a_time(self, first, second):
        one, other = load_protocol(first), load_protocol(second)
        steps = path(one, other)
        assert steps[0].before.hash == one.hash
        assert steps[-1].after.hash == other.hash
        for step, following in pairwise(steps):
            assert step.after == following.before
        assert len({step.choice for step in steps}) == len(steps)
        changed = [d.field for step in steps for d in differences(step.before, step.after)]
        assert sorted(changed) == sorted(d.field for d in differences(one, other))

    def test_there_is_none_between_equals(self):
        assert path(BASE, BASE) == []

    def test_steps_say_what_changes_for_a_metric(self):
        steps = {step.choice: step for step in path(BASE, load_protocol("clit-ssim"))}
        assert steps["colour"].describe("psnr") == "colour y-liif -> rgb"
        assert steps["border"].describe("psnr") == "border s -> s+6"
        assert steps["border"].describe("ssim") == "border s -> 0"
        assert steps["window"].describe("ssim") == "window valid -> zero"
        lr = path(BASE, load_protocol("mmagic"))[0]
        assert lr.describe("psnr") == (
            "LR files, else pil-bicubic-uint8 -> pil-bicubic-uint8 of HR in multiples of 12"
        )

    def test_a_step_concerns_the_metrics_whose_fields_it_changes(self):
        window = next(s for s in path(BASE, load_protocol("clit-ssim")) if s.choice == "window")
        assert [metric for metric in ("psnr", "ssim", "lpips") if window.concerns(metric)] == [
            "ssim"
        ]
        rounding = next(s for s in path(BASE, load_protocol("mmagic")) if s.choice == "rounding")
        assert all(rounding.concerns(metric) for metric in ("psnr", "ssim", "lpips"))


class TestSingleSteps:
    def test_each_changes_one_choice_of_the_base(self):
        steps = single_steps(BASE, ("psnr", "ssim", "lpips"))
        assert all(step.before == BASE for step in steps)
        hashes = [step.after.hash for step in steps]
        assert BASE.hash not in hashes
        assert len(set(hashes)) == len(hashes)

    def test_they_hold_the_choices_that_people_argue_about(self):
        said = {step.describe("ssim") for step in single_steps(BASE, ("psnr", "ssim"))}
        assert {
            "colour y-liif -> rgb",
            "LR files, else pil-bicubic-uint8 -> pil-bicubic-uint8",
            "LR files, else pil-bicubic-uint8 -> matlab-bicubic-uint8",
            "rounding none -> uint8",
            "window valid -> full",
            "cell rule exact -> clip",
        } <= said

    def test_only_those_of_the_metrics_asked_for(self):
        assert {"window", "trunk", "input range"}.isdisjoint(
            step.choice for step in single_steps(BASE, ("psnr",))
        )
        (lpips,) = {
            step.choice for step in single_steps(BASE, ("lpips",))
        } - {*RENDERING, "rounding", "border", "trunk"}  # fmt: skip
        assert lpips == "input range"

    def test_a_base_that_makes_lr_of_multiples_can_be_changed_too(self):
        steps = single_steps(load_protocol("mmagic"), ("psnr",))
        assert "LR pil-bicubic-uint8 of HR in multiples of 12 -> files, else pil-bicubic-uint8" in {
            step.describe("psnr") for step in steps
        }


def test_every_protocol_that_is_compared_is_scored_once():
    presets = [load_protocol(name) for name in protocol_names()]
    steps = single_steps(BASE, ("psnr", "ssim"))
    needed = needed_protocols(BASE, presets, steps)
    assert BASE.hash in needed
    assert {preset.hash for preset in presets} <= set(needed)
    assert {step.after.hash for preset in presets for step in path(BASE, preset)} <= set(needed)
    assert all(protocol.hash == key for key, protocol in needed.items())


@pytest.fixture
def audit():
    """Two images at x4 under two protocols; the second image has no score under the second."""
    other = load_protocol("mmagic")
    rows = [
        ("a", BASE, 30.0), ("a", other, 28.5), ("b", BASE, 40.0), ("b", other, None),
        ("c", BASE, 20.0), ("c", other, 21.0), ("d", BASE, np.inf), ("d", other, np.inf),
    ]  # fmt: skip
    scores = pd.DataFrame(
        [
            {
                "dataset": "set", "item": item, "scale": 4.0, "upsampler": "m", "metric": "psnr",
                "protocol_hash": protocol.hash, "value": value, "error": None,
            }
            for item, protocol, value in rows
        ]
    )  # fmt: skip
    return Audit(BASE, (other,), (), ("psnr",), scores)


class TestOffset:
    def test_it_is_the_mean_over_the_images_that_have_both_scores(self, audit):
        offset = audit.offset(BASE, audit.presets[0], ("set", "m"), "psnr", 4.0)
        assert offset.mean == pytest.approx(-0.25)
        assert offset.largest == pytest.approx(-1.5)
        assert offset.images == 2

    def test_it_changes_its_sign_with_the_direction(self, audit):
        there = audit.offset(BASE, audit.presets[0], ("set", "m"), "psnr", 4.0)
        back = audit.offset(audit.presets[0], BASE, ("set", "m"), "psnr", 4.0)
        assert back.mean == -there.mean

    def test_there_is_none_without_a_common_image(self, audit):
        assert audit.offset(BASE, audit.presets[0], ("set", "m"), "psnr", 8.0) is None
        assert audit.mean(BASE, ("set", "m"), "ssim", 4.0) is None
