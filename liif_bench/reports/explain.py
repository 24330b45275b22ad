"""What keeps an enlargement real, and where that ends, as prose; nothing here imports torch.

Every number in it comes from the records or the manifest of a run. What a run has not measured is
said, with the command that would measure it.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markdown import Markdown

from liif_bench.analysis.explain import (
    BASELINE,
    MEASURES,
    Advantage,
    Comparison,
    Explained,
    Variant,
)
from liif_bench.analysis.resolution import GROWTH
from liif_bench.analysis.stats import CONFIDENCE, LEVEL
from liif_bench.metrics import METRICS
from liif_bench.reports.figures import COLOURS, empty_figure
from liif_bench.reports.grids import Grid, print_grids, render_grids
from liif_bench.reports.tables import DASH, style_of
from liif_bench.shipped import read_toml
from liif_bench.suite import load_suite

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SOURCES_FILE = Path(__file__).with_name("sources.toml")
SUITE = "ingredients"
SCENES = "scenes"

_NAMES = {"psnr": "PSNR", "lpips": "LPIPS", "realism": "realism"}
_UNITS = {"psnr": " dB"}

Block = str | Grid
"""A paragraph of Markdown, or a table."""

_INGREDIENTS = {
    (("ensemble", "off"),): (
        "The ensemble",
        "blends the answers of the four codes around a point. Switched off, the nearest code"
        " answers alone",
    ),
    (("coord", "centre"),): (
        "The coordinate",
        "tells the function where in its LR pixel a point lies. Switched off, every code answers"
        " for its own centre, and only the blend of the answers is left",
    ),
    (("coord", "centre"), ("ensemble", "off")): (
        "Coordinate and ensemble together",
        "are what makes the function continuous. Without both there is one colour per LR pixel",
    ),
    (("cell", "clip"),): (
        "The cell beyond the training range",
        "tells the function how small an output pixel is. Here it never gets smaller than at the"
        " end of that range",
    ),
}
_CELL = (
    "The true cell",
    "tells the function how large an output pixel is. Here it is told that of {} at every scale",
)


def explanation(found: Explained, figures: Sequence[str] = ()) -> list[Block]:
    """Put what a run says into words.

    Args:
        found: As `analysis.explain.explain` returns it.
        figures: Paths of figures to show, as seen from where the text will be read.

    Returns:
        Paragraphs and tables, the answer first.
    """
    return [
        "# What keeps it real, and where does that end?",
        *_answer(found),
        *(f"![Gain over {BASELINE} by scale]({path})" for path in figures),
        "## The task",
        *_task(found),
        "## The model in this run",
        *_model(found),
        "## What keeps it real",
        *_ingredients(found),
        "## Where real ends",
        *_ends(found),
        "## What this run does not say",
        *_lacks(found),
        "## Where this comes from",
        *_sources(found),
    ]


def render_markdown(blocks: Iterable[Block]) -> str:
    """Return an explanation as Markdown."""
    texts = (
        block if isinstance(block, str) else render_grids([block], "markdown") for block in blocks
    )
    return "\n\n".join(text.rstrip("\n") for text in texts) + "\n"


def print_explanation(blocks: Iterable[Block], console: Console) -> None:
    """Print an explanation on a terminal."""
    for block in blocks:
        if isinstance(block, str):
            console.print(Markdown(block, hyperlinks=False))
            console.print()
        else:
            print_grids([block], console)


def _answer(found: Explained) -> Iterator[str]:
    if not found.advantages:
        yield (
            f"This run cannot say: it lacks {BASELINE} beside {_code(found.model)}, or PSNR and"
            " LPIPS. The commands below measure them."
        )
        return
    parts = [
        f"{_named(each.metric)} by {_join(_at(step, step.paired.difference.mean) for step in each.steps)}"
        for each in found.advantages
    ]
    directions = {
        step.higher_is_better: each.metric for each in found.advantages for step in each.steps
    }
    lower = [each.metric for each in found.advantages if not each.steps[0].higher_is_better]
    note = f" (lower {_join(map(_named, lower))} is better)" if lower else ""
    del directions
    yield (
        f"On {_images(found.images)} of {_code(found.dataset)}, {_code(found.model)} instead of"
        f" {BASELINE} interpolation changes {'; '.join(parts)}{note}."
    )
    yield " ".join(_kept(each) for each in found.advantages)
    yield " ".join(_most(found))


def _kept(advantage: Advantage) -> str:
    """Say up to which scale an advantage is shown, in one sentence."""
    name, smallest, largest = _named(advantage.metric), advantage.steps[0], advantage.steps[-1]
    if not advantage.testable:
        return f"By {name} {_images(smallest.paired.n)} are too few to show any advantage."
    if advantage.lost is None:
        return f"By {name} the advantage is there at every scale of the run, up to {_x(largest.scale)}."
    if advantage.last is None:
        return f"By {name} no advantage is shown, not even at {_x(smallest.scale)}."
    return (
        f"By {name} the advantage is there up to {_x(advantage.last.scale)} and no longer shown at"
        f" {_x(advantage.lost.scale)}."
    )


def _most(found: Explained) -> Iterator[str]:
    """Say which ingredient does most, and where resolution stops."""
    if not found.variants:
        yield "Which part of the model does it, this run has not measured."
    for metric in found.metrics:
        steps = [(step, each) for each in found.variants for step in each.effects.get(metric, ())]
        if steps:
            step, variant = max(steps, key=lambda pair: pair[0].gain)
            yield (
                f"By {_named(metric)} most hangs on what {_code(variant.model)} lacks: it makes"
                f" {_amount(step)} at {_x(step.scale)}."
            )
    mine = found.resolution.get(found.model)
    if mine is not None and mine.stops is not None:
        yield f"Beyond {_x(mine.stops)} it adds pixels but no resolution."


def _task(found: Explained) -> Iterator[str]:
    inside = [scale for scale in found.scales if found.regimes.get(scale) == "in"]
    outside = [scale for scale in found.scales if found.regimes.get(scale) == "out"]
    yield (
        "An image is made smaller by a known rule, and the model has to make it large again without"
        " having seen the original. The original (HR) is there to compare with, so what looks real"
        " can be told from what is right. PSNR says how close the pixels are, LPIPS how close what"
        " a network sees in them is."
    )
    said = []
    if inside:
        said.append(
            f"{_scales(inside)} {_are(inside)} within the range of scales that it was trained on"
        )
    if outside:
        said.append(
            f"{_scales(outside)} {_are(outside)} outside it"
            if inside
            else f"{_scales(outside)} {_are(outside)} outside the range that it was trained on"
        )
    yield (
        f"Of the scales of this run, {', and '.join(said)}. Whatever it does there was never"
        " practised."
        if outside
        else f"Of the scales of this run, {', and '.join(said)}."
    )


def _model(found: Explained) -> Iterator[Block]:
    network, example = found.network, found.example
    if example is not None:
        (h, w), (height, width) = example.lr, example.hr
        yield (
            f"**Input.** LR, three colours by pixels. {_code(example.item)} at {_x(example.scale)}:"
            f" {_shape(3, h, w)}."
        )
    if network:
        channels, unfolded, cell = network["channels"], network["unfolded"], network["cell"]
        shape = f": {_shape(channels, *example.lr)}" if example else ""
        yield (
            f"**Encoder.** {network['encoder']}, {network['encoder_parameters']:,} parameters, makes"
            f" {channels} numbers of every LR pixel, its latent code{shape}. A code knows"
            f" {network['encoder_reach']} LR pixels around it."
        )
        told = [
            f"the code with its neighbours ({unfolded} x {channels})"
            if unfolded > 1
            else f"the code ({channels})"
        ]
        told.append("where the point lies relative to the code's centre (2)")
        if cell:
            told.append(f"how large an output pixel is, the cell ({cell})")
        yield (
            f"**Local implicit function.** A network of {network['mlp_layers']} layers,"
            f" {network['mlp_width']} wide, {network['mlp_parameters']:,} parameters. For any point of"
            f" the picture it is told {network['mlp_inputs']} numbers: {_join(told)}. It answers with"
            " the colour there. " + _blended(found)
        )
        total = network["encoder_parameters"] + network["mlp_parameters"]
        yield f"Together that is {total:,} parameters."
    if example is not None:
        yield (
            f"**Output.** SR, {_shape(3, height, width)} here: one question per pixel,"
            f" {height * width:,} of them. Nothing in the model fixes a size. The image is encoded"
            " once, and as many points are asked for as are wanted; that is why one network serves"
            " every scale."
        )
    yield from _times(found)


def _blended(found: Explained) -> str:
    rules = found.run.manifest.get("protocol", {}).get("network", {})
    if rules.get("local_ensemble", True):
        return (
            "The four codes around a point are asked, and their answers are blended by area (the"
            " ensemble), so that no seam shows where one code's region ends."
        )
    return "The nearest code is asked alone: this run's protocol has the ensemble off."


def _times(found: Explained) -> Iterator[Block]:
    shown = [name for name in (found.model, BASELINE) if name in found.seconds]
    if found.stages is not None:
        encode, render = found.stages
        machine = found.run.manifest.get("machine", {})
        where = f" on {machine['device']} ({machine['threads']} threads)" if machine else ""
        yield (
            f"**Time.** In this run{where} {_code(found.model)} encoded for {encode:.1f} s and"
            f" answered for {render:.1f} s in all."
        )
    if found.model in shown and found.metrics:
        yield Grid(
            title="Seconds per image",
            columns=("model", *map(_x, found.scales)),
            rows=tuple(
                (
                    name,
                    *(
                        f"{found.seconds[name][scale]:.3f}"
                        if scale in found.seconds[name]
                        else DASH
                        for scale in found.scales
                    ),
                )
                for name in shown
            ),
        )


def _ingredients(found: Explained) -> Iterator[Block]:
    if not found.variants:
        yield (
            f"This run has {_code(found.model)} whole and never with a part switched off, so it does"
            " not say which part does what. The command at the end measures that."
        )
        return
    yield (
        "Each line compares the whole model with the same weights without one part, image by image."
        " It shows what this network's answer owes to the part, not what a network trained without"
        f" it would do. In brackets: the {CONFIDENCE} % interval of the mean over the images."
    )
    for variant in found.variants:
        name, what = _ingredient(variant)
        verdicts = " ".join(_verdict(metric, steps) for metric, steps in variant.effects.items())
        yield f"**{name}** {what} ({_code(variant.model)}). {verdicts}"
    for metric in found.metrics:
        yield _effects(found, metric)
    yield " ".join(_corrected(found))


def _ingredient(variant: Variant) -> tuple[str, str]:
    key = tuple(sorted(variant.switches.items()))
    if key in _INGREDIENTS:
        return _INGREDIENTS[key]
    if list(variant.switches) == ["cell"]:
        return _CELL[0], _CELL[1].format(variant.switches["cell"])
    return "Several parts together", "are switched off"


def _verdict(metric: str, steps: Sequence[Comparison]) -> str:
    """Say at which scales an ingredient helps, hurts, or makes no difference, in one sentence."""
    groups = [
        ("it helps", [step for step in steps if step.better is True and not _is_nothing(step)]),
        ("it hurts", [step for step in steps if step.better is False and not _is_nothing(step)]),
        ("no difference is shown", [s for s in steps if s.better is None and not _is_nothing(s)]),
        ("nothing changes", [step for step in steps if _is_nothing(step)]),
    ]
    said = []
    for words, group in groups:
        if not group:
            continue
        text = f"{words} at {_scales([step.scale for step in group])}"
        if words in ("it helps", "it hurts"):
            largest = max(group, key=lambda step: abs(step.gain))
            most = "most at " + _x(largest.scale) + ", " if len(group) > 1 else ""
            text += f" ({most}{_amount(largest)})"
        said.append(text)
    return f"By {_named(metric)} {'; '.join(said)}."


def _is_nothing(step: Comparison) -> bool:
    """Whether a difference and its interval are zero to the decimals that are shown."""
    difference = step.paired.difference
    decimals = style_of(step.metric).decimals
    ends = (difference.mean, difference.low, difference.high)
    return all(round(value, decimals) == 0 for value in ends)


def _effects(found: Explained, metric: str) -> Grid:
    scales = found.scales
    rows = []
    for variant in found.variants:
        steps = {step.scale: step for step in variant.effects.get(metric, ())}
        rows.append((variant.model, *(_cell_text(steps.get(scale)) for scale in scales)))
    return Grid(
        title=f"{_title(metric)}: {found.model} less the model without",
        columns=("model without", *map(_x, scales)),
        rows=tuple(rows),
    )


def _corrected(found: Explained) -> Iterator[str]:
    for each in found.corrections:
        if not each.possible:
            yield (
                f"By {_named(each.metric)} these are {each.comparisons} comparisons, and on"
                f" {_images(found.images)} none can stand once it is corrected for their number:"
                " read the intervals as they are, each for itself."
            )
        else:
            yield (
                f"By {_named(each.metric)} {each.significant} of {each.comparisons} comparisons"
                " remain significant once they are corrected for their number (Holm)."
            )


def _ends(found: Explained) -> Iterator[Block]:
    if found.advantages:
        scales = found.scales
        rows = []
        for each in found.advantages:
            steps = {step.scale: step for step in each.steps}
            rows.append((_title(each.metric), *(_cell_text(steps.get(scale)) for scale in scales)))
            rows.append(("p", *(_p(steps.get(scale)) for scale in scales)))
        yield Grid(
            title=f"{found.model} less {BASELINE}",
            columns=("metric", *map(_x, scales)),
            rows=tuple(rows),
            notes=(
                f"mean over the images [{CONFIDENCE} % interval]; p: Wilcoxon's signed-rank test",
            ),
        )
        yield (
            f"An advantage counts where the interval is on the better side of zero and p is at most"
            f" {LEVEL:g}. Scales are asked from the smallest upwards, and the first that fails ends"
            " it, so no correction for their number is due."
        )
        for each in found.advantages:
            yield " ".join(_end(each))
    else:
        yield f"Without {BASELINE} and {_code(found.model)} on the same images there is nothing to end."
    yield from _resolved(found)


def _end(advantage: Advantage) -> Iterator[str]:
    yield _kept(advantage)
    lost = advantage.lost
    if not advantage.testable or lost is None:
        return
    lacking = lost.paired.detectable
    if lost.better is False:
        yield f"There {BASELINE} is ahead, by {_amount(lost)}."
    else:
        yield (
            f"There the difference is {_amount(lost)}. {_images(lost.paired.n)} like these would"
            f" show one of {_number(lacking, lost.metric)}{_UNITS.get(lost.metric, '')} four times"
            " in five, so a smaller one may be there all the same."
        )
    again = [step.scale for step in advantage.steps if step.scale > lost.scale and step.shown]
    if again:
        yield f"At {_scales(again)} it would be there again, but an end is an end by this rule."


def _resolved(found: Explained) -> Iterator[str]:
    for name, each in found.resolution.items():
        values = _join(f"{value:.3f} at {_x(scale)}" for scale, value in each.per_lr.items())
        said = f"On slanted edges {_code(name)} resolves {values} cycles per LR pixel (MTF50)"
        if len(each.per_lr) < 2:
            yield f"{said}; one scale does not say where that stops."
        elif each.stops is None:
            yield f"{said}; it still grows at {_x(max(each.per_lr))}."
        else:
            yield (
                f"{said}. Beyond {_x(each.stops)} that grows by no more than {GROWTH:.0%}: the picture"
                " gets larger, and not finer."
            )


def _lacks(found: Explained) -> Iterator[str]:
    """Say what was not measured, with the commands that would measure it."""
    manifest = found.run.manifest
    if not found.run.finished:
        yield "The run is not finished: everything above is of the cases that it has so far."
    known = METRICS.entries()
    metrics = [metric for metric in MEASURES if metric in known and metric not in found.metrics]
    missing = [_named(metric) for metric in metrics]
    if not found.advantages:
        missing.append(f"{BASELINE} beside {_code(found.model)}")
    if not found.variants:
        missing.append("what each part of the model does")
    if missing:
        yield f"Not measured: {_join(missing)}. This measures it:\n\n{_block(_command(found))}"
    if not found.network:
        yield "How the model is built: the run was made before runs kept that. Any new run does."
    if not found.resolution:
        again = f"liif-bench explain {shlex.quote(str(found.run.path))} EDGES"
        run = "liif-bench run scenes --out EDGES"
        yield (
            "Not measured: MTF50 of slanted edges, that is how much of the zoom is resolution."
            f" This measures it:\n\n{_block(run, again)}"
        )
    short = [each for each in found.corrections if not each.possible]
    if short or any(not each.testable for each in found.advantages):
        yield (
            f"{_images(found.images)} are few. More of them make the intervals narrower:"
            f" add `--data folder:PHOTOS` with a folder of yours."
        )
    yield (
        "The figures hold for these images and this way of making LR"
        f" (protocol {_code(manifest['plan']['protocol'])}), not for photographs that were made"
        " small in another way."
    )


def _command(found: Explained) -> str:
    """Return the command that measures the ingredients on what the run was made of."""
    plan, request = found.run.manifest["plan"], found.run.manifest["request"]
    suite = load_suite(SUITE)
    words = ["liif-bench", "run", SUITE]
    if list(request["datasets"]) != list(suite.datasets):
        words += [word for spec in request["datasets"] for word in ("--data", spec)]
    if request.get("data_root"):
        words += ["--data-root", request["data_root"]]
    if found.scales != tuple(sorted(suite.scales)):
        words += ["--scales", ",".join(f"{scale:g}" for scale in found.scales)]
    if plan.get("limit"):
        words += ["--limit", str(plan["limit"])]
    if plan["protocol"] != suite.protocol:
        words += ["--protocol", plan["protocol"]]
    if found.spec not in suite.models:
        own = [model.replace("liif-edsr:", f"{found.spec}?", 1) for model in suite.models]
        own = [found.spec if model == "liif-edsr" else model for model in own]
        words += [word for model in own for word in ("--model", model)]
    wanted = [metric for metric in MEASURES if metric in METRICS.entries()]
    if not set(wanted) <= set(suite.metrics):
        words += ["--metrics", ",".join(wanted)]
    return shlex.join(words)


def _block(*commands: str) -> str:
    return "\n".join(f"    {command}" for command in commands)


def _sources(found: Explained) -> Iterator[str]:
    manifest = found.run.manifest
    plan = manifest["plan"]
    yield (
        f"Every figure is of the run {_code(manifest['run'])}: suite {_code(plan['suite'])} version"
        f" {plan['suite_version']}, protocol {_code(plan['protocol'])} ({plan['protocol_hash']})."
    )
    lines = []
    for source in read_toml(SOURCES_FILE)["source"]:
        code = f", [code]({source['code']})" if "code" in source else ""
        lines.append(f"- {source['name']}: {source['what']} ([paper]({source['paper']}){code})")
    yield "\n".join(lines)


def draw_gains(found: Explained) -> Figure:
    """Draw the gain over the baseline by scale, a panel per metric; up is better.

    The whole model has its 95 % interval, variants are thin lines.

    Raises:
        LiifBenchError: matplotlib is not installed.
    """
    figure = empty_figure(width=1.8 + 4.0 * max(1, len(found.advantages)), height=4.2)
    panels = figure.subplots(1, max(1, len(found.advantages)), squeeze=False)[0]
    for panel, advantage in zip(panels, found.advantages, strict=False):
        for number, (name, line) in enumerate(found.lines[advantage.metric].items()):
            sign = 1 if advantage.steps[0].higher_is_better else -1
            values = [sign * gain for gain in line.values()]
            whole = name == found.model
            panel.plot(
                list(line), values, marker="o" if whole else None, ms=4, lw=2 if whole else 1,
                color=COLOURS[number % len(COLOURS)], label=name, zorder=3 if whole else 2,
                ls="-" if whole else "--",
            )  # fmt: skip
        differences = [step.paired.difference for step in advantage.steps]
        panel.fill_between(
            [step.scale for step in advantage.steps],
            [each.low for each in differences],
            [each.high for each in differences],
            color=COLOURS[0], alpha=0.2, lw=0,
        )  # fmt: skip
        panel.axhline(0, color="0.4", lw=1)
        panel.set_xscale("log", base=2)
        panel.set_xticks(found.scales, [_x(scale) for scale in found.scales])
        panel.minorticks_off()
        panel.set_ylabel(f"{_title(advantage.metric)}, less {BASELINE}")
        panel.yaxis.set_inverted(not advantage.steps[0].higher_is_better)
        panel.grid(visible=True, alpha=0.25)
    panels[-1].legend(fontsize=8, loc="center left", bbox_to_anchor=(1.01, 0.5))
    figure.suptitle(
        f"{found.dataset}: gain over {BASELINE}, {CONFIDENCE} % interval over"
        f" {_images(found.images)}; up is better",
        fontsize=9,
    )
    return figure


def _named(metric: str) -> str:
    return _NAMES.get(metric, metric)


def _title(metric: str) -> str:
    unit = _UNITS.get(metric, "").strip()
    return f"{_named(metric)} ({unit})" if unit else _named(metric)


def _x(scale: float) -> str:
    return f"x{scale:g}"


def _scales(scales: Iterable[float]) -> str:
    return _join(map(_x, scales))


def _are(things: Sequence[object]) -> str:
    return "is" if len(things) == 1 else "are"


def _images(count: int) -> str:
    return "1 image" if count == 1 else f"{count} images"


def _join(parts: Iterable[str]) -> str:
    texts = list(parts)
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"


def _shape(*sides: int) -> str:
    return " x ".join(map(str, sides))


def _code(text: str) -> str:
    return "`" + text.replace("`", "'") + "`"


def _number(value: float, metric: str) -> str:
    return f"{value:.{style_of(metric).decimals}f}"


def _signed(value: float, metric: str) -> str:
    decimals = style_of(metric).decimals
    return f"{round(value, decimals) + 0.0:+.{decimals}f}"  # no minus in front of zero


def _at(step: Comparison, value: float) -> str:
    return f"{_signed(value, step.metric)}{_UNITS.get(step.metric, '')} at {_x(step.scale)}"


def _range(step: Comparison) -> str:
    difference = step.paired.difference
    return f"[{_signed(difference.low, step.metric)}, {_signed(difference.high, step.metric)}]"


def _amount(step: Comparison) -> str:
    mean = _signed(step.paired.difference.mean, step.metric)
    return f"{mean}{_UNITS.get(step.metric, '')} {_range(step)}"


def _cell_text(step: Comparison | None) -> str:
    if step is None:
        return DASH
    return f"{_signed(step.paired.difference.mean, step.metric)} {_range(step)}"


def _p(step: Comparison | None) -> str:
    if step is None:
        return DASH
    return f"{step.paired.p:.3f}" if step.paired.p >= 0.001 else "<0.001"
