import io
import math
import re
import shlex
from itertools import pairwise

import numpy as np
import pytest
from explained import DECIMALS, facts, numbers, rows_of, write_run
from rich.console import Console

from liif_bench.analysis.explain import explain
from liif_bench.analysis.stats import detectable_difference
from liif_bench.reports.explain import (
    SOURCES_FILE,
    draw_gains,
    explanation,
    print_explanation,
    render_markdown,
)
from liif_bench.reports.grids import Grid
from liif_bench.shipped import read_toml

MODELS = (
    "bicubic",
    "liif-edsr",
    "liif-edsr (ensemble off)",
    "liif-edsr (coordinate at centre)",
    "liif-edsr (cell x2)",
)


def measured(model, metric, scale, image):
    """Numbers without a pattern of their own, so that none is right by accident."""
    noise = math.sin(37 * image + 11 * scale + 5 * MODELS.index(model))
    ahead = (0.0, 1.7, 1.1, -0.4, 1.9)[MODELS.index(model)]
    quality = 31.3 - 0.61 * scale + 0.27 * image + ahead * 3 / scale + 0.23 * noise
    return quality if metric == "psnr" else (45.7 - quality) / 53


@pytest.fixture
def run(tmp_path):
    return write_run(tmp_path / "run", rows_of(measured, MODELS), seconds=0.123)


@pytest.fixture
def edges(tmp_path):
    def mtf(model, metric, scale, image):
        per_lr = 0.41 if model == "bicubic" else min(0.52 + 0.09 * scale, 0.87)
        return per_lr + 0.001 * image if metric == "mtf50-lr" else per_lr / scale

    rows = rows_of(mtf, MODELS[:2], 3, metrics=("mtf50", "mtf50-lr"))
    return write_run(tmp_path / "edges", rows)


def written(*runs):
    return render_markdown(explanation(explain(runs)))


def section(text, title):
    return re.search(rf"## {title}\n(.*?)(?=\n## |\Z)", text, re.DOTALL)[1]


def test_every_number_is_found_in_the_records(run, edges):
    text = written(run, edges)
    found = numbers(text)
    assert len(found) > 150
    known = facts(run, edges=edges)
    assert [number for number in found if number not in known] == []


def test_the_trace_would_notice_a_number_that_is_not_measured(run):
    known = facts(run)
    assert "+12.34" not in known
    assert numbers("by +12.34 dB at x2, `x9`, 1,234 [0.5, -0.1]") == [
        "+12.34", "2", "1,234", "0.5", "-0.1",
    ]  # fmt: skip


def test_the_answer_comes_first(run):
    title, first, second, third, fourth = written(run).split("\n\n")[:5]
    assert title == "# What keeps it real, and where does that end?"
    table = run.records.pivot(
        index=["metric", "scale", "item"], columns="upsampler", values="value"
    )
    gain = (table["liif-edsr"] - table["bicubic"]).groupby(level=["metric", "scale"]).mean()
    for metric, decimals in DECIMALS.items():
        for scale in (2, 8):
            assert f"{gain[metric, scale]:+.{decimals}f}" in first
    assert "without it the mean is no better than bicubic's at x2, x4 and x8" in second
    assert second.startswith("**What keeps it real:** By PSNR the coordinate does most")
    assert third.startswith("**Where it ends:** By PSNR the advantage is shown")
    means = table["liif-edsr"].groupby(level=["metric", "scale"]).mean()
    assert (
        f"itself has: PSNR {means['psnr', 2]:.2f} dB at x2 and {means['psnr', 8]:.2f} dB" in fourth
    )
    assert f"; LPIPS {means['lpips', 2]:.4f} at x2 and {means['lpips', 8]:.4f} at x8" in fourth


def test_a_part_that_only_hurts_is_not_said_to_help(tmp_path):
    def better_without(model, metric, scale, image):
        return 20 + image + MODELS.index(model) + 0.01 * image * MODELS.index(model)

    rows = rows_of(better_without, MODELS[:3], metrics=("psnr",))
    text = written(write_run(tmp_path / "r", rows)).split("## ")[0]
    assert "By PSNR no part is shown to help. By PSNR the ensemble hurts, -1.03 dB" in text


def test_each_ingredient_is_said_to_help_or_hurt_where_its_interval_says_so(run):
    found = explain([run])
    text = section(written(run), "What keeps it real")
    for variant in found.variants:
        line = next(each for each in text.splitlines() if f"(`{variant.model}`)" in each)
        for metric, name in (("psnr", "PSNR"), ("lpips", "LPIPS")):
            said = re.search(rf"By {name} (.*?)\.(?: By|$)", line)[1]
            for word, better in (("helps", True), ("hurts", False)):
                scales = [f"x{s.scale:g}" for s in variant.effects[metric] if s.better is better]
                part = re.search(rf"the part {word} at ([^(;]*)", said)
                assert (re.findall(r"x\d+", part[1]) if part else []) == scales


@pytest.mark.parametrize(("metric", "name"), [("psnr", "PSNR (dB)"), ("lpips", "LPIPS")])
def test_each_number_of_a_table_stands_at_its_model_and_scale(run, metric, name):
    blocks = explanation(explain([run]))
    grids = {block.title: block for block in blocks if isinstance(block, Grid)}
    shown = {row[0]: row[1:] for row in grids[f"{name}: liif-edsr less the model without"].rows}
    shown["bicubic"] = next(
        row[1:] for row in grids["liif-edsr less bicubic"].rows if row[0] == name
    )
    table = run.records.pivot(
        index=["metric", "scale", "item"], columns="upsampler", values="value"
    )
    assert shown.keys() == set(MODELS) - {"liif-edsr"}
    for model, cells in shown.items():
        mean = (table["liif-edsr"] - table[model])[metric].groupby(level="scale").mean()
        expected = [f"{value:+.{DECIMALS[metric]}f}" for value in mean]
        assert [cell.split()[0] for cell in cells] == expected


def test_the_shapes_and_parameters_are_those_of_the_run(run):
    text = section(written(run), "The model in this run")
    assert "`image0` at x4: 3 x 12 x 16." in text
    assert "64 x 12 x 16" in text
    assert "580 numbers: the code with its neighbours (9 x 64)" in text
    assert "Together that is 1,567,299 parameters." in text
    assert "3 x 96 x 128 here" in text
    assert "12,288 of them" in text
    assert "encoded for 2.5 s and answered for 2.5 s" in text


def test_the_end_is_told_with_what_could_have_been_shown(tmp_path):
    def close(model, metric, scale, image):
        wobble = math.sin(7 * image + 1)
        return 20 + image + (model != "bicubic") * (wobble if scale == 8 else 2 + wobble)

    run = write_run(tmp_path / "r", rows_of(close, MODELS[:2], 6, (2, 8), ("psnr",)))
    differences = [math.sin(7 * image + 1) for image in range(6)]
    detectable = detectable_difference(float(np.std(differences, ddof=1)), 6)
    text = section(written(run), "Where real ends")
    assert "By PSNR the advantage is shown up to x2, and no longer at x8." in text
    assert f"There it is {np.mean(differences):+.2f} dB" in text
    assert f"With 6 images like these a difference of {detectable:.2f} dB would be shown" in text


def test_an_advantage_at_every_scale_ends_beyond_the_run(tmp_path):
    def ahead(model, metric, scale, image):
        return 20 + image + (model != "bicubic") * (1 + 0.1 * image)

    run = write_run(tmp_path / "r", rows_of(ahead, MODELS[:2], 6, (2, 8), ("psnr",)))
    text = section(written(run), "Where real ends")
    assert "shown at every scale, up to x8. Where it ends lies beyond the scales of this" in text


def test_where_the_baseline_is_ahead_the_end_says_so(tmp_path):
    def behind(model, metric, scale, image):
        return 20 + image + (model != "bicubic") * (1 if scale == 2 else -1) * (1 + 0.1 * image)

    run = write_run(tmp_path / "r", rows_of(behind, MODELS[:2], 6, (2, 8, 9), ("psnr",)))
    text = section(written(run), "Where real ends")
    assert "There bicubic is ahead: the difference is -1.25 dB" in text
    assert "shown again" not in text


def test_resolution_is_told_where_a_run_has_it(run, edges):
    alone, together = written(run), written(run, edges)
    assert f"liif-bench explain {run.path} EDGES" in alone
    assert "EDGES" not in together
    assert "MTF50 is of the run `edges`." in together
    assert "Beyond x4 that grows by no more than 5%" in together
    assert "Beyond x4 it adds pixels and no resolution." in together.split("## ")[0]


class TestWhatIsMissing:
    def command(self, text):
        (line,) = re.findall(r"(?m)^    (liif-bench run ingredients.*)$", text)
        return shlex.split(line)[2:]

    def test_a_run_without_variants_says_how_to_measure_them(self, tmp_path):
        run = write_run(tmp_path / "r", rows_of(measured, MODELS[:2], scales=(2, 4, 8)))
        text = written(run)
        assert "This run does not say, for it has the model whole only" in text
        assert "Not measured: " in text
        assert "what each part of the model does" in text
        assert self.command(text)[:3] == ["ingredients", "--scales", "2,4,8"]

    def test_the_command_is_for_the_same_images_protocol_and_weights(self, tmp_path):
        rows = [
            (item, scale, model.replace("edsr", "edsr:mine"), metric, value)
            for item, scale, model, metric, value in rows_of(measured, MODELS[:2])
        ]
        run = write_run(tmp_path / "r", rows)
        run.manifest["request"] |= {
            "datasets": ["folder:my photos"],
            "models": ["bicubic", "liif-edsr:w/mine.pth"],
            "data_root": "/data",
        }
        run.manifest["plan"] |= {"protocol": "mmagic", "limit": 8}
        words = self.command(written(run))
        for option, value in (
            ("--data", "folder:my photos"),
            ("--data-root", "/data"),
            ("--protocol", "mmagic"),
            ("--limit", "8"),
        ):
            assert words[words.index(option) + 1] == value
        models = [value for option, value in pairwise(words) if option == "--model"]
        assert models[:2] == ["bicubic", "liif-edsr:w/mine.pth"]
        assert "liif-edsr:w/mine.pth?ensemble=off&coord=centre" in models
        assert len(models) == 9

    def test_a_run_without_bicubic_says_so(self, tmp_path):
        text = written(write_run(tmp_path / "r", rows_of(measured, MODELS[1:])))
        assert "bicubic beside `liif-edsr`" in text
        assert "**What keeps it real:**" not in text
        assert "Where real ends" in text

    def test_an_older_or_unfinished_run_is_explained_as_far_as_it_goes(self, tmp_path):
        rows = rows_of(measured, MODELS)
        run = write_run(tmp_path / "r", rows, {"networks": {}, "finished": None, "stages": {}})
        text = written(run)
        assert "The run is not finished" in text
        assert "How the model is built: " in text
        assert "Encoder" not in section(text, "The model in this run")

    def test_few_images_are_said_to_be_few(self, tmp_path):
        text = written(write_run(tmp_path / "r", rows_of(measured, MODELS, 3)))
        assert "3 images are too few to show any advantage" in text
        assert "On 3 images none can stay significant" in text


def test_the_text_fits_a_terminal_and_names_its_sources(run):
    screen = io.StringIO()
    print_explanation(explanation(explain([run])), Console(file=screen, width=80))
    text = screen.getvalue()
    assert max(map(len, text.splitlines())) <= 80
    assert "**" not in text
    for source in read_toml(SOURCES_FILE)["source"]:
        assert source["paper"] in text.replace("\n", "").replace(" ", "")


def test_figures_are_shown_where_they_are_given(run):
    blocks = explanation(explain([run]), ["my figures/sample_gain.png"])
    assert "](my%20figures/sample_gain.png)" in render_markdown(blocks)
    assert sum(isinstance(block, Grid) for block in blocks) == 4


def test_the_figure_draws_the_gains_of_the_records(run):
    pytest.importorskip("matplotlib")
    figure = draw_gains(explain([run]))
    table = run.records.pivot(
        index=["metric", "scale", "item"], columns="upsampler", values="value"
    )
    for panel, metric in zip(figure.axes, ("psnr", "lpips"), strict=True):
        for model in MODELS[1:]:
            (line,) = (each for each in panel.get_lines() if each.get_label() == model)
            gain = (table[model] - table["bicubic"])[metric].groupby(level="scale").mean()
            np.testing.assert_allclose(line.get_ydata(), gain.to_numpy())
            np.testing.assert_array_equal(line.get_xdata(), [2, 4, 8])
        band = panel.collections[0].get_paths()[0].vertices
        steps = next(e for e in explain([run]).advantages if e.metric == metric).steps
        lows = {step.scale: step.paired.difference.low for step in steps}
        assert all(any(np.allclose(v, (x, y)) for v in band) for x, y in lows.items())
        assert panel.yaxis_inverted() == (metric == "lpips")
