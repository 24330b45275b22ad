"""Runs as one page: the answer, what keeps it real, the zoom viewer, tables, errors, manifests."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

from liif_bench.analysis.combine import combine
from liif_bench.analysis.compare import IN, Comparison, compare
from liif_bench.analysis.explain import explain
from liif_bench.errors import LiifBenchError
from liif_bench.records import Run, failures
from liif_bench.reports.compare import compare_grids
from liif_bench.reports.explain import explanation
from liif_bench.reports.figures import draw_plane, draw_scales, literal_names, rendered
from liif_bench.reports.grids import Grid
from liif_bench.reports.html.gallery import gather
from liif_bench.reports.html.page import data_uri, render_page
from liif_bench.reports.html.story import tell
from liif_bench.reports.tables import PAPER, SECOND, build_tables, style_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_SIZE = 15_000_000
"""Bytes that the pictures of a report may take, if nothing else is asked for."""

_DPI = 110
_MOST_ERRORS = 500  # lines; the records hold the rest
_MOST_CURVES = 12  # figures of one data set; metrics beyond them are in the tables
_DIGITS = 6  # of a value in the table of images


@dataclass(frozen=True)
class Report:
    """A finished report.

    Attributes:
        html: The page.
        notes: What is missing in it, and why.
    """

    html: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Chapter:
    """An explanation of a run.

    Attributes:
        title: Which run and data set.
        blocks: Text as HTML, and tables.
    """

    title: str
    blocks: tuple[Markup | Grid, ...]


@dataclass(frozen=True)
class Picture:
    """A figure.

    Attributes:
        caption: What it shows.
        address: The picture itself, as a data address.
        wide: Whether it takes a row of its own.
    """

    caption: str
    address: str
    wide: bool


def build_report(
    runs: Sequence[Run],
    *,
    title: str | None = None,
    baseline: str | None = None,
    max_bytes: int = MAX_SIZE,
    across_protocols: bool = False,
) -> Report:
    """Build the report of runs.

    Args:
        runs: One or more.
        title: Heading; the names of the runs where None.
        baseline: Model that differences are from; bicubic, or else the first, where None.
        max_bytes: Bytes that figures and crops may take; crops that do not fit are left out.
        across_protocols: Whether runs of different protocols may stand side by side.

    Raises:
        LiifBenchError: The runs cannot stand side by side, have no records, or a file of theirs
            cannot be read.
    """
    records = combine(runs, across_protocols=across_protocols)
    comparisons = _comparisons(records, baseline)
    notes = [
        f"the run '{run.manifest['run']}' is not finished: cases are missing"
        for run in runs
        if not run.finished
    ]
    figures = []
    if find_spec("matplotlib"):
        with literal_names():
            figures = [
                Picture(caption, data_uri(rendered(figure, "png", _DPI)), wide)
                for caption, figure, wide in _figures(records, comparisons)
            ]
    else:
        notes.append("no figures: matplotlib is not installed (pip install 'liif-bench[figures]')")
    drawn = len(figures)
    figures, room = _fitting(figures, max_bytes)
    bound = f"were left out to stay within --max-size {max_bytes / 1e6:g} MB"
    if len(figures) < drawn:
        notes.append(f"{drawn - len(figures)} of {drawn} figures {bound}")
    gallery = gather(runs, records, _names(runs, records), room)
    if gallery.dropped:
        views = len(gallery.views) + gallery.dropped
        notes.append(f"pictures of {gallery.dropped} of {views} cases {bound}")
    elif not gallery.views:
        notes.append("no pictures: the runs kept no crops (liif-bench run --crops N keeps some)")
    errors, more = _errors(records)
    stories = [tell(comparison) for comparison in comparisons]
    leaders = [story.leader for story in stories if story.leader is not None]
    html = render_page(
        "report.html.j2",
        ("tables.js", "viewer.js"),
        title=title or ", ".join(dict.fromkeys(str(run.manifest["run"]) for run in runs)),
        runs=[_run_facts(run) for run in runs],
        stories=stories,
        chapters=list(_chapters(runs)),
        figures=figures,
        tables=[
            (table, list(_means(table.sections[0].rows)))
            for table in build_tables(
                records, layout=PAPER, highlight=SECOND, across_protocols=across_protocols
            )
        ],
        grids=[(each.dataset, compare_grids(each)) for each in comparisons],
        images=_per_image(records),
        gallery=gallery.payload(leaders),
        errors=errors,
        more_errors=more,
        notes=notes,
    )
    return Report(html, tuple(notes))


def _comparisons(records: pd.DataFrame, baseline: str | None) -> list[Comparison]:
    """Compare data set by data set; one with a single model has nothing to compare."""
    found = []
    for _, rows in records.groupby("dataset", sort=False, observed=True):
        if rows["upsampler"].nunique() > 1:
            found += compare(rows, baseline)
    return found


def _names(runs: Sequence[Run], records: pd.DataFrame) -> list[Mapping[str, str]]:
    """Return for each run what its models are called in the records of all of them."""
    found: list[Mapping[str, str]] = []
    start = 0
    for run in runs:
        own = run.records["upsampler"]
        called = records["upsampler"].iloc[start : start + len(own)]
        found.append(dict(zip(own.unique(), called.unique(), strict=True)))
        start += len(own)
    return found


def _chapters(runs: Sequence[Run]) -> Iterator[Chapter]:
    for run in runs:
        others = [other for other in runs if other is not run]
        for dataset in dict.fromkeys(run.records["dataset"]):
            try:
                found = explain([run, *others], dataset)
            except LiifBenchError:  # no LIIF in it
                continue
            if found.advantages or found.variants:
                blocks = [
                    block if isinstance(block, Grid) else _html(block)
                    for block in explanation(found)[1:]  # without its heading
                ]
                yield Chapter(f"{run.manifest['run']}, {dataset}", tuple(blocks))


_markdown = MarkdownIt("commonmark", {"html": False})


def _html(text: str) -> Markup:
    """Return Markdown as HTML: headings two levels lower, addresses as text and not as links."""
    tokens = _markdown.parse(text)
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1]) + 2)}"
        if token.children:
            token.children = list(_unlinked(token.children))
    html = _markdown.renderer.render(tokens, _markdown.options, {})
    return Markup(html)


def _unlinked(tokens: Sequence[Token]) -> Iterator[Token]:
    addresses = []
    for token in tokens:
        if token.type == "link_open":
            addresses.append(str(token.attrGet("href")))
        elif token.type == "link_close":
            address = addresses.pop().removeprefix("https://").removeprefix("http://")
            yield Token("text", "", 0, content=f" {address}")
        elif token.type != "image":
            yield token


def _figures(
    records: pd.DataFrame, comparisons: Sequence[Comparison]
) -> Iterator[tuple[str, Figure, bool]]:
    """Yield captions, figures, and whether one takes a row of its own."""
    for comparison in comparisons:
        shaded = ", shaded is what a trained model was trained on"
        known = IN in comparison.regimes.values()
        rows = records[records["dataset"] == comparison.dataset]
        for metric in comparison.metrics[:_MOST_CURVES]:
            try:
                figure = draw_scales(rows, metric.name, small=True)
            except LiifBenchError:  # no model with finite values, or one scale
                continue
            yield (
                f"{comparison.dataset}: {style_of(metric.name).title} by scale, with 95 % intervals"
                f" over images; up is better{shaded if known else ''}",
                figure,
                False,
            )
    for table in build_tables(records):
        if {"psnr", "lpips"} <= {section.metric for section in table.sections}:
            try:
                figure = draw_plane(table)
            except LiifBenchError:  # no model with both
                continue
            yield (
                f"{table.dataset}: LPIPS against PSNR; what is close to the original lies right,"
                " what looks right lies high",
                figure,
                True,
            )


def _fitting(figures: Sequence[Picture], room: int) -> tuple[list[Picture], int]:
    """Return the first figures that fit, and the bytes that they leave."""
    kept: list[Picture] = []
    for figure in figures:
        if len(figure.address) > room:
            break
        room -= len(figure.address)
        kept.append(figure)
    return kept, room


def _means(rows: Sequence[tuple[str, Sequence[Any]]]) -> Iterator[list[str]]:
    """Yield the numbers that rows of a table are sorted by, as text; empty where there is none."""
    for _, cells in rows:
        yield ["" if cell.mean is None else f"{cell.mean!r}" for cell in cells]


def _per_image(records: pd.DataFrame) -> dict[str, Any]:
    """Return the values of every image for the script that shows them: columns of short numbers."""
    keys = ["dataset", "item", "scale", "upsampler"]
    row, index = pd.factorize(pd.MultiIndex.from_frame(records[keys]))
    names = index.to_frame(index=False, name=keys)
    coded = {key: pd.factorize(names[key]) for key in ("dataset", "item", "upsampler")}
    columns = []
    for metric in dict.fromkeys(records["metric"]):
        mine = (records["metric"] == metric).to_numpy()
        values = np.full(len(index), math.nan)
        values[row[mine]] = records["value"].to_numpy(float)[mine]
        style = style_of(metric)
        columns.append(
            {
                "name": style.title,
                "decimals": style.decimals,
                "values": [_short(value) for value in values.tolist()],
            }
        )
    return {
        "names": {key: [str(name) for name in found] for key, (_, found) in coded.items()},
        **{key: codes.tolist() for key, (codes, _) in coded.items()},
        "scale": [float(scale) for scale in names["scale"]],
        "metrics": columns,
    }


def _short(value: float) -> float | str | None:
    """Return a value for JSON, which has no infinity."""
    if math.isnan(value):
        return None
    return float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else f"{value:g}"


def _errors(records: pd.DataFrame) -> tuple[list[tuple[str, ...]], int]:
    """Return what could not be measured: data set, image, scales, models, metrics, reason.

    Returns:
        The first lines, and how many there are beyond them.
    """
    failed = failures(records)
    groups = failed.groupby(["dataset", "item", "error"], sort=False, observed=True)
    lines: list[tuple[str, ...]] = []
    for (dataset, item, error), rows in groups:
        if len(lines) == _MOST_ERRORS:
            break
        scales = ", ".join(f"x{scale:g}" for scale in sorted(rows["scale"].unique()))
        models, metrics = (", ".join(rows[key].unique()) for key in ("upsampler", "metric"))
        lines.append((str(dataset), str(item), scales, models, metrics, str(error)))
    return lines, groups.ngroups - len(lines)


def _run_facts(run: Run) -> dict[str, Any]:
    """Return what the end of the page says of a run."""
    manifest = run.manifest
    machine, git = manifest.get("machine", {}), manifest.get("git")
    facts = {
        "suite": f"{manifest['plan']['suite']} version {manifest['plan']['suite_version']}",
        "protocol": f"{manifest['plan']['protocol']} ({manifest['plan']['protocol_hash']})",
        "created": manifest.get("created", ""),
        "finished": manifest.get("finished") or "not yet: some cases are missing",
        "command": " ".join(manifest.get("command", [])),
        "machine": ", ".join(str(value) for value in machine.values()),
        "versions": ", ".join(f"{k} {v}" for k, v in manifest.get("versions", {}).items()),
        "git": f"{git['revision']}{', with changes' if git['dirty'] else ''}" if git else "",
        "seconds": f"{manifest['wall_seconds']:.0f}" if "wall_seconds" in manifest else "",
        "errors": str(manifest.get("errors", "")),
    }
    return {
        "name": str(manifest["run"]),
        "facts": {name: value for name, value in facts.items() if value},
        "json": json.dumps(manifest, indent=2, ensure_ascii=False),
    }
