import math

import numpy as np
import pandas as pd
import pytest
from explained import rows_of, write_run
from scipy.stats import wilcoxon

from liif_bench.analysis.explain import explain
from liif_bench.errors import LiifBenchError
from liif_bench.records import RECORDS, load_run

MODELS = ("bicubic", "liif-edsr", "liif-edsr (ensemble off)", "liif-edsr (cell x2)")


def measured(model, metric, scale, image):
    """LIIF is ahead by 2 at x2, by 1 at x4 and by nothing sure at x8; its parts matter."""
    base = 30 - scale + 0.37 * image
    wobble = math.sin(3 * image + scale)
    ahead = {2: 2 + 0.2 * wobble, 4: 1 + 0.3 * wobble, 8: 0.5 * wobble}[scale]
    lost = {"bicubic": ahead, "liif-edsr (ensemble off)": 0.4 + 0.1 * wobble}.get(model, 0)
    if model == "liif-edsr (cell x2)" and scale != 2:
        lost = -0.3 + 0.05 * wobble
    quality = base - lost
    return quality if metric == "psnr" else (40 - quality) / 50


@pytest.fixture
def run(tmp_path):
    return write_run(tmp_path / "run", rows_of(measured, MODELS))


def test_differences_are_paired_by_image(run):
    found = explain([run])
    psnr, lpips = found.advantages
    assert (psnr.metric, lpips.metric) == ("psnr", "lpips")
    for step in psnr.steps:
        per_image = [
            measured("liif-edsr", "psnr", step.scale, n)
            - measured("bicubic", "psnr", step.scale, n)
            for n in range(8)
        ]
        assert step.paired.difference.mean == pytest.approx(np.mean(per_image))
        assert step.paired.p == pytest.approx(wilcoxon(per_image, method="exact").pvalue)
        assert step.candidate - step.baseline == pytest.approx(np.mean(per_image))
        assert step.paired.n == 8
    # of LPIPS less is better
    assert [step.gain > 0 for step in lpips.steps[:2]] == [True, True]
    assert lpips.steps[0].paired.difference.mean < 0


def test_an_advantage_ends_at_the_first_scale_that_does_not_show_it(run):
    for advantage in explain([run]).advantages:
        assert advantage.last.scale == 4
        assert advantage.lost.scale == 8
        assert advantage.testable


def test_a_scale_that_fails_ends_it_even_if_a_larger_one_does_not(tmp_path):
    def gap(model, metric, scale, image):
        return 20 + (model != "bicubic") * (math.sin(5 * image) if scale == 4 else 1 + image / 9)

    run = write_run(tmp_path / "r", rows_of(gap, ("bicubic", "liif-edsr"), metrics=("psnr",)))
    (advantage,) = explain([run]).advantages
    assert [step.shown for step in advantage.steps] == [True, False, True]
    assert (advantage.last.scale, advantage.lost.scale) == (2, 4)


@pytest.mark.parametrize(("images", "testable"), [(5, False), (6, True)])
def test_five_images_show_nothing_at_the_5_percent_level(tmp_path, images, testable):
    run = write_run(tmp_path / "r", rows_of(measured, MODELS[:2], images))
    advantage = explain([run]).advantages[0]
    assert advantage.testable is testable
    assert (advantage.last is not None) is testable


def test_ingredients_are_what_the_whole_model_has_over_a_variant(run):
    off, cell = explain([run]).variants
    assert off.model == "liif-edsr (ensemble off)"
    assert off.switches == {"ensemble": "off"}
    assert [step.better for step in off.effects["psnr"]] == [True, True, True]
    assert [step.better for step in off.effects["lpips"]] == [True, True, True]
    assert [step.better for step in cell.effects["psnr"]] == [None, False, False]
    assert cell.effects["psnr"][0].paired.p == 1


def test_comparisons_are_corrected_for_their_number(run, tmp_path):
    for each in explain([run]).corrections:
        # two variants at three scales; 4 of 8 images' least p-values, 2/256, times 6 is under 5 %
        assert (each.comparisons, each.possible) == (6, True)
        assert each.significant == 5  # all but the one in which nothing differs
    few = write_run(tmp_path / "few", rows_of(measured, MODELS, 6))
    assert not any(each.possible for each in explain([few]).corrections)


def test_images_without_both_values_are_left_out(tmp_path):
    def broken(model, metric, scale, image):
        return "no" if (model, image) == ("bicubic", 3) else measured(model, metric, scale, image)

    run = write_run(tmp_path / "r", rows_of(broken, MODELS))
    found = explain([run])
    assert {step.paired.n for each in found.advantages for step in each.steps} == {7}
    assert {step.paired.n for v in found.variants for s in v.effects.values() for step in s} == {8}
    assert found.images == 8


def test_a_variant_of_other_weights_is_none(tmp_path):
    run = write_run(tmp_path / "r", rows_of(measured, MODELS))
    run.manifest["plan"]["models"]["liif-edsr (ensemble off)"] = "other"
    assert [each.model for each in explain([run]).variants] == ["liif-edsr (cell x2)"]


def test_seconds_are_counted_once_per_case(tmp_path):
    run = write_run(tmp_path / "r", rows_of(measured, MODELS[:2]), seconds=0.5)
    assert explain([run]).seconds == {
        model: {2.0: 0.5, 4.0: 0.5, 8.0: 0.5} for model in ("bicubic", "liif-edsr")
    }


def test_resolution_comes_from_the_first_run_that_has_it(run, tmp_path):
    def mtf(model, metric, scale, image):
        per_lr = {"hr": 0.6 * scale, "bicubic": 0.4, "liif-edsr": min(0.5 + 0.1 * scale, 0.9)}[
            model
        ]
        return per_lr if metric == "mtf50-lr" else per_lr / scale

    scenes = rows_of(mtf, ("hr", "bicubic", "liif-edsr"), 3, metrics=("mtf50", "mtf50-lr"))
    edges = write_run(tmp_path / "edges", scenes)
    assert explain([run]).resolution == {}
    found = explain([run, edges]).resolution
    assert list(found) == ["liif-edsr", "bicubic"]
    assert found["liif-edsr"].stops == 4
    assert found["bicubic"].stops == 2


def test_what_cannot_be_explained_is_refused_in_one_line(run, tmp_path):
    with pytest.raises(LiifBenchError, match=r"no LIIF to explain \(it has bicubic\)"):
        explain([write_run(tmp_path / "a", rows_of(measured, ("bicubic",)))])
    with pytest.raises(LiifBenchError, match="did you mean sample"):
        explain([run], "sampel")
    both = pd.concat([run.records, run.records.assign(dataset="other")])
    both.to_parquet(run.path / RECORDS)
    several = load_run(run.path)
    with pytest.raises(LiifBenchError, match="choose with --data one of sample, other"):
        explain([several])
    assert explain([several], "other").dataset == "other"
