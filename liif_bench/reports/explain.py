"""What keeps an enlargement real, and where that ends, as prose; nothing here imports torch.

Every number in it comes from the records or the manifest of a run. What a run has not measured is
said, with the command that would measure it.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

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


@dataclass(frozen=True)
class Ingredient:
    """A part of the model in words.

    Attributes:
        name: What it is called in the middle of a sentence.
        does: What it does, as the rest of a sentence.
        without: What happens where it is switched off.
    """

    name: str
    does: str
    without: str


_SPECIAL = {
    (("ensemble", "off"),): Ingredient(
        "the ensemble",
        "blends the answers of the four codes around a point",
        "Without it the nearest code answers alone",
    ),
    (("coord", "centre"),): Ingredient(
        "the coordinate",
        "tells the function where in its LR pixel a point lies",
        "Without it every code answers for its own centre, and only their blend is left",
    ),
    (("coord", "centre"), ("ensemble", "off")): Ingredient(
        "coordinate and ensemble together",
        "are what makes the function continuous",
        "Without both there is one colour per LR pixel",
    ),
}
_CELL = "the cell", "tells the function how large an output pixel is"


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
        *(f"![Gain over {BASELINE} by scale]({quote(path)})" for path in figures),
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
    parts = []
    for each in found.advantages:
        ends = dict.fromkeys((each.steps[0], each.steps[-1]))
        parts.append(f"{_named(each.metric)} by {_join(map(_at, ends))}")
    lower = [each.metric for each in found.advantages if not each.steps[0].higher_is_better]
    note = f" (of {_join(map(_named, lower))} less is better)" if lower else ""
    yield (
        f"On {_images(found.images)} of {_code(found.dataset)}, taking {_code(found.model)} instead"
        f" of {BASELINE} interpolation changes {', and '.join(parts)}{note}."
    )
    yield " ".join(["**What keeps it real:**", *_most(found)])
    yield " ".join(["**Where it ends:**", *map(_kept, found.advantages), *_finest(found)])
    yield (
        f"To be ahead of {BASELINE} is not yet to be real. What {_code(found.model)} itself has:"
        f" {'; '.join(map(_level, found.advantages))}."
    )


def _level(advantage: Advantage) -> str:
    """Return how good the model itself is, at the smallest and at the largest scale."""
    first, last = advantage.steps[0], advantage.steps[-1]
    said = [
        f"{_number(step.candidate, step.metric)}{_unit(step.metric)} at {_x(step.scale)}"
        for step in dict.fromkeys((first, last))
    ]
    return f"{_named(advantage.metric)} {_join(said)}"


def _kept(advantage: Advantage) -> str:
    """Say up to which scale an advantage is shown, in one sentence."""
    name, smallest, largest = _named(advantage.metric), advantage.steps[0], advantage.steps[-1]
    if not advantage.testable:
        return f"By {name} {_images(smallest.paired.n)} are too few to show any advantage."
    if advantage.lost is None:
        return f"By {name} the advantage is shown at every scale, up to {_x(largest.scale)}."
    if advantage.last is None:
        return f"By {name} no advantage is shown, not even at {_x(smallest.scale)}."
    return (
        f"By {name} the advantage is shown up to {_x(advantage.last.scale)}, and no longer at"
        f" {_x(advantage.lost.scale)}."
    )


def _most(found: Explained) -> Iterator[str]:
    """Say which part of the model does most."""
    if not found.variants:
        yield "This run does not say, for it has the model whole only."
        return
    single = [each for each in found.variants if len(each.switches) == 1] or found.variants
    said = []
    for metric in found.metrics:
        steps = [(step, each) for each in single for step in each.effects.get(metric, ())]
        if not steps:
            continue
        name = _named(metric)
        step, variant = max(steps, key=lambda pair: pair[0].gain)
        text = f"By {name} {_ingredient(variant).name} does most, {_at(step)}"
        gains = found.lines.get(metric, {}).get(variant.model, {})
        if worse := [scale for scale, gain in gains.items() if gain <= 0]:
            text += f"; without it the mean is no better than {BASELINE}'s at {_scales(worse)}"
        said.append(text if step.better else f"By {name} no part is shown to help")
        step, variant = min(steps, key=lambda pair: pair[0].gain)
        if step.better is False and not _is_nothing(step):
            said.append(f"By {name} {_ingredient(variant).name} hurts, {_at(step)}")
    yield " ".join(f"{text}." for text in said)


def _finest(found: Explained) -> Iterator[str]:
    """Say where more pixels stop being more resolution."""
    mine = found.resolution.get(found.model)
    if mine is not None and mine.stops is not None:
        yield f"Beyond {_x(mine.stops)} it adds pixels and no resolution."


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
        said.append(f"{_scales(inside)} {_are(inside)} within the range that it was trained on")
    if outside:
        said.append(f"{_scales(outside)} {_are(outside)} beyond what it was trained on")
    if said:
        yield f"Of the scales of this run, {', and '.join(said)}."


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
            f"**Encoder.** {network['encoder']}, {network['encoder_parameters']:,} parameters."
            f" It makes {channels} numbers for every LR pixel, the pixel's latent code{shape}."
            f" A code knows what lies up to {network['encoder_reach']} LR pixels away."
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
            f" {network['mlp_width']} wide, {network['mlp_parameters']:,} parameters. For any point"
            f" of the picture it is told {network['mlp_inputs']} numbers: {_join(told)}. It answers"
            f" with the colour there. {_blended(found)}"
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
    models = (found.model, *(each.model for each in found.variants), BASELINE)
    shown = [name for name in models if name in found.seconds]
    if found.stages is not None:
        encode, render = found.stages
        machine = found.run.manifest.get("machine", {})
        where = ""
        if machine:
            cores = "1 thread" if machine["threads"] == 1 else f"{machine['threads']} threads"
            where = f" ({machine['device']}, {cores})"
        yield (
            f"**Time.** In the whole run{where} {_code(found.model)} encoded for {encode:.1f} s and"
            f" answered for {render:.1f} s."
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
            f"This run has {_code(found.model)} whole only, so it does not say which part does"
            " what. The command below measures that."
        )
        return
    yield (
        "The whole model is compared with the same weights without one part, image by image. That"
        " shows what this network's answer owes to the part, not what a network trained without it"
        f" would do. In brackets: the {CONFIDENCE} % interval of the mean over the images."
    )
    together: dict[str, list[Variant]] = {}
    for variant in found.variants:
        together.setdefault(_ingredient(variant).name, []).append(variant)
    for variants in together.values():
        part = _ingredient(variants[0])
        yield f"**{_capital(part.name)}** {part.does}."
        yield "\n".join(map(_bullet, variants))
    for metric in found.metrics:
        yield _effects(found, metric)
    yield " ".join(_corrected(found))


def _bullet(variant: Variant) -> str:
    verdicts = " ".join(_verdict(metric, steps) for metric, steps in variant.effects.items())
    return f"- {_ingredient(variant).without} ({_code(variant.model)}). {verdicts}"


def _ingredient(variant: Variant) -> Ingredient:
    key = tuple(sorted(variant.switches.items()))
    if key in _SPECIAL:
        return _SPECIAL[key]
    if list(variant.switches) == ["cell"]:
        rule = variant.switches["cell"]
        without = "Kept from getting smaller than at the end of the training range"
        return Ingredient(
            *_CELL, without if rule == "clip" else f"Fixed to that of {rule} at every scale"
        )
    return Ingredient("several parts together", "are more than one of the above", "Without them")


def _verdict(metric: str, steps: Sequence[Comparison]) -> str:
    """Say at which scales an ingredient helps, hurts, or makes no difference, in one sentence."""
    groups = [
        (
            "the part helps",
            [step for step in steps if step.better is True and not _is_nothing(step)],
        ),
        (
            "the part hurts",
            [step for step in steps if step.better is False and not _is_nothing(step)],
        ),
        ("no difference is shown", [s for s in steps if s.better is None and not _is_nothing(s)]),
        ("nothing changes", [step for step in steps if _is_nothing(step)]),
    ]
    said = []
    for words, group in groups:
        if not group:
            continue
        text = f"{words} at {_scales([step.scale for step in group])}"
        if words.startswith("the part"):
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
    """Say what is left once the number of comparisons is corrected for."""
    alike: dict[tuple[int, int, bool], list[str]] = {}
    for each in found.corrections:
        outcome = (each.comparisons, each.significant, each.possible)
        alike.setdefault(outcome, []).append(_named(each.metric))
    for (comparisons, significant, possible), names in alike.items():
        by = f"By {_join(names)} these are {comparisons} comparisons{' each' * (len(names) > 1)}"
        if possible:
            yield f"{by}; corrected for their number (Holm), {significant} remain significant."
        else:
            yield (
                f"{by}. On {_images(found.images)} none can stay significant once it is corrected"
                " for their number: read each interval for itself."
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
        yield f"This run has no {BASELINE} beside {_code(found.model)} to be better than."
    yield from _resolved(found)


def _end(advantage: Advantage) -> Iterator[str]:
    yield _kept(advantage)
    lost = advantage.lost
    if not advantage.testable:
        return
    if lost is None:
        yield "Where it ends lies beyond the scales of this run."
        return
    if lost.better is False:
        yield f"There {BASELINE} is ahead: the difference is {_amount(lost)}."
    else:
        detectable = f"{_number(lost.paired.detectable, lost.metric)}{_unit(lost.metric)}"
        yield (
            f"There it is {_amount(lost)}, p = {_p(lost)}. With {_images(lost.paired.n)} like these"
            f" a difference of {detectable} would be shown four times in five; a smaller one may be"
            " there all the same."
        )
    again = [step.scale for step in advantage.steps if step.scale > lost.scale and step.shown]
    if again:
        yield f"At {_scales(again)} it is shown again, which by this rule counts no more."


def _resolved(found: Explained) -> Iterator[str]:
    if found.resolution:
        yield (
            "A slanted edge says how fine an enlargement is drawn. An edge is easy to guess, so a"
            " sharp one does not say that other detail is right."
        )
    for name, each in found.resolution.items():
        values = _join(f"{value:.3f} at {_x(scale)}" for scale, value in each.per_lr.items())
        said = f"On slanted edges {_code(name)} resolves {values} cycles per LR pixel (MTF50)"
        if len(each.per_lr) < 2:
            yield f"{said}; one scale does not say where that stops."
        elif each.stops is None:
            yield f"{said}; it still grows at {_x(max(each.per_lr))}."
        else:
            yield (
                f"{said}. Beyond {_x(each.stops)} that grows by no more than {GROWTH:.0%}: the"
                " picture gets larger, and not finer."
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
            " `--data folder:PHOTOS` takes a folder of yours."
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
    whence = (
        f"Every figure is of the run {_code(manifest['run'])}: suite {_code(plan['suite'])} version"
        f" {plan['suite_version']}, protocol {_code(plan['protocol'])} ({plan['protocol_hash']})."
    )
    if found.edges is not None and found.edges is not found.run:
        whence += f" MTF50 is of the run {_code(found.edges.manifest['run'])}."
    yield whence
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


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _named(metric: str) -> str:
    return _NAMES.get(metric, metric)


def _title(metric: str) -> str:
    unit = _unit(metric).strip()
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


def _unit(metric: str) -> str:
    return _UNITS.get(metric, "")


def _at(step: Comparison) -> str:
    mean = _signed(step.paired.difference.mean, step.metric)
    return f"{mean}{_unit(step.metric)} at {_x(step.scale)}"


def _range(step: Comparison) -> str:
    difference = step.paired.difference
    return f"[{_signed(difference.low, step.metric)}, {_signed(difference.high, step.metric)}]"


def _amount(step: Comparison) -> str:
    mean = _signed(step.paired.difference.mean, step.metric)
    return f"{mean}{_unit(step.metric)} {_range(step)}"


def _cell_text(step: Comparison | None) -> str:
    if step is None:
        return DASH
    return f"{_signed(step.paired.difference.mean, step.metric)} {_range(step)}"


def _p(step: Comparison | None) -> str:
    if step is None:
        return DASH
    return f"{step.paired.p:.3f}" if step.paired.p >= 0.001 else "<0.001"
