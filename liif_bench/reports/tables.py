"""Paper-style tables: methods by scales, per metric; in- and out-of-distribution scales apart."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from liif_bench.errors import LiifBenchError
from liif_bench.metrics import METRICS as REGISTRY
from liif_bench.records import failures, is_not_applicable
from liif_bench.references import Reference, matching

DASH = "–"
DAGGER = "†"
DOUBLE_DAGGER = "‡"
RING = "°"

METRICS, PAPER, PER_IMAGE = LAYOUTS = ("metrics", "paper", "per-image")
"""A row per metric and model; a table per metric, a row per model; the same for every image."""

NONE, BEST, SECOND = HIGHLIGHTS = ("none", "best", "second")
"""What is marked in each column: nothing, the best, the best and the second."""

MIXED = "mixed"
_REGIMES = {"in": "in distribution", "out": "out of distribution", MIXED: MIXED, "": ""}


@dataclass(frozen=True)
class MetricStyle:
    """How a metric is shown: its title and its decimals."""

    title: str
    decimals: int


def style_of(metric: str) -> MetricStyle:
    """Return how a metric is shown, as the registry says; with an argument, that follows its title.

    Metrics of plug-in packages are called by their names.
    """
    name, _, argument = metric.partition(":")
    entry = REGISTRY.builtin.get(name)
    if entry is None:
        return MetricStyle(metric, 4)
    title = entry.title or entry.name
    return MetricStyle(f"{title}, {argument}" if argument else title, entry.decimals)


@dataclass(frozen=True)
class Cell:
    """The mean of one model at one scale.

    Attributes:
        mean: Over the items that have a value; None where none has.
        count: Items with a value.
        expected: Items for which the metric has a meaning.
        best: Whether no other model is better at this precision.
        regime: "in", "out", or "" for a model that was never trained.
        second: Whether only the best are better; never where there are but two values.
    """

    mean: float | None
    count: int
    expected: int
    best: bool
    regime: str
    second: bool = False

    @property
    def partial(self) -> bool:
        """Whether some items lack a value through an error."""
        return self.count < self.expected


@dataclass(frozen=True)
class Line:
    """One row of a section as it is printed.

    Attributes:
        name: Model, or a published method with a dagger.
        texts: One per scale.
        best: For each text whether it is the best of its column.
        published: Whether the values come from elsewhere.
        second: For each text whether it is the second of its column.
    """

    name: str
    texts: tuple[str, ...]
    best: tuple[bool, ...]
    published: bool
    second: tuple[bool, ...]


@dataclass(frozen=True)
class PublishedRow:
    """A published row beside measured ones.

    Attributes:
        reference: The row.
        scales: Those of the table at which it has a value.
        otherwise: Those of them at which its LR was made otherwise than here.
    """

    reference: Reference
    scales: frozenset[float]
    otherwise: frozenset[float]

    def show(self, scale: float) -> str:
        """Return the value as printed, a dash where there is none; marked where LR differs."""
        if scale not in self.scales:
            return DASH
        mark = DOUBLE_DAGGER if scale in self.otherwise else ""
        return self.reference.show(scale) + mark


@dataclass(frozen=True)
class Section:
    """One metric, of all images or of one: a row of cells per model.

    Attributes:
        metric: Name of the metric.
        variant: Which of the numbers that go by that name.
        higher_is_better: Direction.
        decimals: Digits after the point.
        rows: Model and its cells, one per scale.
        published: Rows from elsewhere, shown below and part of no average and no ranking.
        item: The image that it is of; None for means over all of them.
    """

    metric: str
    variant: str
    higher_is_better: bool
    decimals: int
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]
    published: tuple[PublishedRow, ...] = ()
    item: str | None = None

    def lines(self, scales: Sequence[float]) -> list[Line]:
        """Return the rows as they are printed: the measured ones, then the published ones."""
        mixed = self.mixed
        measured = [
            Line(
                model,
                tuple(
                    self.show(cell) + (RING if place in mixed and cell.regime == "out" else "")
                    for place, cell in enumerate(cells)
                ),
                tuple(cell.best for cell in cells),
                published=False,
                second=tuple(cell.second for cell in cells),
            )
            for model, cells in self.rows
        ]
        published = [
            Line(
                f"{DAGGER} {row.reference.method}",
                tuple(row.show(scale) for scale in scales),
                (False,) * len(scales),
                published=True,
                second=(False,) * len(scales),
            )
            for row in self.published
        ]
        return measured + published

    @property
    def title(self) -> str:
        """Title with an arrow that points where better is."""
        arrow = "↑" if self.higher_is_better else "↓"
        return f"{style_of(self.metric).title} {arrow}"

    def show(self, cell: Cell) -> str:
        """Return a cell's text: a dash where there is no value, an asterisk where some lack."""
        if cell.mean is None:
            return DASH
        number = f"{cell.mean:.{self.decimals}f}" if math.isfinite(cell.mean) else f"{cell.mean:g}"
        return number + ("*" if cell.partial else "")

    @property
    def mixed(self) -> set[int]:
        """Columns that are in the distribution of one model and out of another's."""
        columns = zip(*(cells for _, cells in self.rows), strict=True)
        return {
            place
            for place, column in enumerate(columns)
            if {"in", "out"} <= {cell.regime for cell in column}
        }

    @property
    def items(self) -> int:
        """Items for which the metric has a meaning."""
        return max(cell.expected for _, cells in self.rows for cell in cells)


@dataclass(frozen=True)
class Table:
    """The table of one data set.

    Attributes:
        dataset: Its name.
        items: Its number of items.
        protocol: Name and hash of the protocol.
        scales: Columns.
        regimes: For each scale "in", "out", "mixed", or "" where no model was trained.
        sections: One per metric; per image, and one of means, of a single metric.
        layout: One of `LAYOUTS`.
    """

    dataset: str
    items: int
    protocol: str
    scales: tuple[float, ...]
    regimes: tuple[str, ...]
    sections: tuple[Section, ...]
    layout: str = METRICS

    @property
    def title(self) -> str:
        """One line: data set, metric where there is only one, number of images, protocol."""
        images = "1 image" if self.items == 1 else f"{self.items} images"
        name = self.dataset
        if self.layout != METRICS:
            name += f", {self.sections[0].title}"
        what = f"each of {images}" if self.layout == PER_IMAGE else f"mean over {images}"
        return f"{name}: {what}, protocol {self.protocol}"

    @property
    def heads(self) -> tuple[str, ...]:
        """Heads of the columns that stand before the numbers."""
        return {METRICS: ("Metric", "Model"), PAPER: ("Model",), PER_IMAGE: ("Image", "Model")}[
            self.layout
        ]

    def names(self, section: Section, line: Line, number: int) -> tuple[str, ...]:
        """Return the texts of these columns.

        Args:
            section: One of the table's.
            line: One of the section's.
            number: Its place in the section; only its first line names the section.
        """
        if self.layout == PAPER:
            return (line.name,)
        return (self.head_of(section) if number == 0 else "", line.name)

    def head_of(self, section: Section) -> str:
        """Return what a section is called: its metric, its image, or the mean."""
        if self.layout == PER_IMAGE:
            return "mean" if section.item is None else section.item
        return section.title

    @property
    def notes(self) -> list[str]:
        """What a reader has to know about some cells."""
        notes = [
            f"{section.title[:-2]}: {section.items} of {self.items} images"
            for section in self.sections
            if section.item is None and section.items < self.items
        ]
        cells = [cell for s in self.sections for _, row in s.rows for cell in row]
        if any(cell.partial and cell.count for cell in cells):
            notes.append("*: mean of fewer images, the others have an error")
        if any(cell.mean is None for cell in cells):
            notes.append(f"{DASH}: no value; the run's records say why")
        if MIXED in self.regimes:
            notes.append(f"{RING}: this model was not trained on this scale, others were")
        published = [row for section in self.sections for row in section.published]
        notes += dict.fromkeys(_published_note(row.reference) for row in published)
        if any(row.otherwise for row in published):
            notes.append(f"{DOUBLE_DAGGER}: its LR was made otherwise than LR here")
        return notes

    @property
    def variants(self) -> str:
        """Which of the numbers that go by a metric's name, by metric."""
        known = {section.metric: section.variant for section in self.sections}
        return "; ".join(f"{metric}: {variant}" for metric, variant in known.items())

    def groups(self) -> list[tuple[str, list[int]]]:
        """Return runs of neighbouring columns of one regime: its title and their indices."""
        found: list[tuple[str, list[int]]] = []
        for index, regime in enumerate(self.regimes):
            if found and found[-1][0] == _REGIMES[regime]:
                found[-1][1].append(index)
            else:
                found.append((_REGIMES[regime], [index]))
        return found


def _published_note(reference: Reference) -> str:
    confirmed = "confirmed" if reference.verified else "not confirmed independently"
    further = [f"protocol {reference.protocol}", confirmed, *reference.remarks]
    return (
        f"{DAGGER} {reference.method}: published, not measured here; {reference.source};"
        f" {', '.join(further)}"
    )


def build_tables(
    records: pd.DataFrame,
    decimals: int | None = None,
    references: Iterable[Reference] = (),
    *,
    across_protocols: bool = False,
    layout: str = METRICS,
    highlight: str = BEST,
) -> list[Table]:
    """Average records per data set, metric, model and scale.

    Args:
        records: Of one run, or of several that `analysis.combine` put together.
        decimals: Digits after the point; each metric's own where None.
        references: Published rows to show beside those of their data set, metric and protocol.
        across_protocols: Whether to show published rows of other protocols too.
        layout: One of `LAYOUTS`.
        highlight: One of `HIGHLIGHTS`.

    Returns:
        One table per data set, or per data set and metric, in the order of the plan.

    Raises:
        LiifBenchError: There are no records, or one model has some of two protocols.
    """
    if records.empty:
        raise LiifBenchError("there are no records yet: continue the run first")
    for (dataset, model), hashes in records.groupby(["dataset", "upsampler"])["protocol_hash"]:
        if hashes.nunique() > 1:
            raise LiifBenchError(
                f"records of '{model}' on '{dataset}' come from protocols"
                f" {' and '.join(hashes.unique())}: they cannot be averaged"
            )
    references = tuple(references)
    tables: list[Table] = []
    for name, rows in records.groupby("dataset", sort=False, observed=True):
        hashes = None if across_protocols else set(rows["protocol_hash"])
        fitting = [
            reference
            for reference in references
            if hashes is None or reference.protocol_hash in hashes
        ]
        table = _table(str(name), rows, decimals, fitting)
        tables += [table] if layout == METRICS else _by_metric(table, rows, decimals, layout)
    return [_highlighted(table, highlight) for table in tables]


def _by_metric(
    table: Table, rows: pd.DataFrame, decimals: int | None, layout: str
) -> Iterable[Table]:
    """Make a table of every metric of a table, with a section per image where that is asked."""
    models = [model for model, _ in table.sections[0].rows]
    for section in table.sections:
        images: list[Section] = []
        if layout == PER_IMAGE:
            mine = rows[rows["metric"] == section.metric]
            images = [
                replace(
                    _section(section.metric, group, models, table.scales, decimals, ()),
                    item=str(item),
                )
                for item, group in mine.groupby("item", sort=False)
            ]
        yield replace(table, sections=(*images, section), layout=layout)


def _highlighted(table: Table, highlight: str) -> Table:
    """Keep only the marks that are wanted."""
    if highlight == SECOND:
        return table

    def kept(cell: Cell) -> Cell:
        return replace(cell, best=cell.best and highlight == BEST, second=False)

    sections = (
        replace(each, rows=tuple((name, tuple(map(kept, cells))) for name, cells in each.rows))
        for each in table.sections
    )
    return replace(table, sections=tuple(sections))


def _table(
    dataset: str, rows: pd.DataFrame, decimals: int | None, references: Sequence[Reference]
) -> Table:
    scales = tuple(float(scale) for scale in sorted(rows["scale"].unique()))
    models = [str(model) for model in rows["upsampler"].unique()]
    sections = tuple(
        _section(
            str(metric),
            group,
            models,
            scales,
            decimals,
            matching(references, dataset=dataset, metric=str(metric)),
        )
        for metric, group in rows.groupby("metric", sort=False)
    )
    protocols = rows[["protocol", "protocol_hash"]].drop_duplicates().itertuples(index=False)
    return Table(
        dataset=dataset,
        items=rows["item"].nunique(),
        protocol=" and ".join(f"{name} ({digest})" for name, digest in protocols),
        scales=scales,
        regimes=tuple(_regime(rows.loc[rows["scale"] == scale, "regime"]) for scale in scales),
        sections=sections,
    )


def _regime(regimes: pd.Series[str]) -> str:
    known = regimes.dropna().unique()
    return MIXED if len(known) > 1 else str(known[0]) if len(known) else ""


def _section(
    metric: str,
    rows: pd.DataFrame,
    models: Sequence[str],
    scales: Sequence[float],
    decimals: int | None,
    references: Sequence[Reference],
) -> Section:
    if decimals is None:
        decimals = style_of(metric).decimals
    higher = bool(rows["higher_is_better"].iloc[0])
    meant = rows[~is_not_applicable(rows)]
    groups = meant.groupby(["upsampler", "scale"])["value"].agg(["mean", "count", "size"])
    cells = {
        (str(model), float(scale)): (float(mean) if count else None, int(count), int(size))
        for (model, scale), mean, count, size in groups.itertuples(name=None)
    }
    known = rows.dropna(subset="regime").groupby(["upsampler", "scale"])["regime"].first()
    regimes = known.to_dict()
    placed = {scale: _placed(cells, models, scale, higher, decimals) for scale in scales}
    nothing = (None, 0, 0)
    return Section(
        metric=metric,
        variant=" / ".join(dict.fromkeys(rows["variant"])),
        higher_is_better=higher,
        decimals=decimals,
        rows=tuple(
            (model, tuple(
                Cell(
                    *cells.get((model, scale), nothing),
                    best=model in placed[scale][0],
                    regime=str(regimes.get((model, scale), "")),
                    second=model in placed[scale][1],
                )
                for scale in scales
            ))
            for model in models
        ),
        published=_published(rows, references, scales),
    )  # fmt: skip


def _published(
    rows: pd.DataFrame, references: Sequence[Reference], scales: Sequence[float]
) -> tuple[PublishedRow, ...]:
    found = []
    for reference in references:
        shared = reference.values.keys() & set(scales)
        otherwise = {
            scale
            for scale in shared
            if set(rows.loc[rows["scale"] == scale, "lr_source"].dropna())
            != {reference.lr_source(scale)}
        }
        if shared:
            found.append(PublishedRow(reference, frozenset(shared), frozenset(otherwise)))
    return tuple(found)


def _placed(
    cells: dict[tuple[str, float], tuple[float | None, int, int]],
    models: Sequence[str],
    scale: float,
    higher: bool,
    decimals: int,
) -> tuple[set[str], set[str]]:
    """Return the models with the best and the second mean at a scale, as it is printed.

    Partial means are out. Nobody is best where all are equal, nor second of two.
    """
    means = {}
    for model in models:
        mean, count, expected = cells.get((model, scale), (None, 0, 0))
        if mean is not None and count == expected:
            means[model] = round(mean, decimals) if math.isfinite(mean) else mean
    places = sorted(set(means.values()), reverse=higher)
    best, second = ({m for m, mean in means.items() if [mean] == places[n : n + 1]} for n in (0, 1))
    return best if len(places) > 1 else set(), second if len(places) > 2 else set()


def failure_lines(records: pd.DataFrame) -> list[str]:
    """Return one line per item and reason of what could not be measured, worst known first."""
    failed = failures(records)
    lines = []
    for (dataset, item, error), rows in failed.groupby(["dataset", "item", "error"], sort=False):
        scales = ",".join(f"x{scale:g}" for scale in sorted(rows["scale"].unique()))
        metrics = sorted(rows["metric"].unique())
        whole = len(metrics) == records["metric"].nunique()
        what = "" if whole else f" {','.join(metrics)}"
        models = rows["upsampler"].unique()
        every = len(models) == records["upsampler"].nunique()
        who = "" if every else f" {','.join(models)}"
        lines.append(f"{dataset}: {item} {scales}{who}{what}: {error}")
    return lines
