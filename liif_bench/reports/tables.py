"""Paper-style tables: methods by scales, per metric; in- and out-of-distribution scales apart."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd
from rich.console import Console
from rich.text import Text

from liif_bench.errors import LiifBenchError
from liif_bench.records import failures, is_not_applicable
from liif_bench.references import Reference, matching

FORMATS = ("terminal", "markdown", "csv", "latex")

DASH = "–"
DAGGER = "†"
DOUBLE_DAGGER = "‡"
RING = "°"

MIXED = "mixed"
_REGIMES = {"in": "in distribution", "out": "out of distribution", MIXED: MIXED, "": ""}


@dataclass(frozen=True)
class MetricStyle:
    """How a metric is shown: its title and its decimals."""

    title: str
    decimals: int


_STYLES = {
    "psnr": MetricStyle("PSNR (dB)", 2),
    "ssim": MetricStyle("SSIM", 4),
    "lpips": MetricStyle("LPIPS", 4),
    "zoom-top1": MetricStyle("Top-1 accuracy on zoomed crops", 3),
    "zoom-agreement": MetricStyle("Top-1 agreement with HR on zoomed crops", 3),
    "zoom-kl": MetricStyle("KL from HR on zoomed crops (nats)", 3),
    "zoom-one-top1": MetricStyle("Top-1 accuracy, one crop", 3),
    "zoom-one-top5": MetricStyle("Top-5 accuracy, one crop", 3),
    "zoom-mean-top1": MetricStyle("Top-1 accuracy, mean over the zoom grid", 3),
    "zoom-mean-top5": MetricStyle("Top-5 accuracy, mean over the zoom grid", 3),
    "zoom-centre-any": MetricStyle("Right in any centre view", 3),
    "zoom-grid-any": MetricStyle("Right in any view", 3),
    "zoom-mean-agreement": MetricStyle("Top-1 agreement with HR, mean over the zoom grid", 3),
    "zoom-mean-kl": MetricStyle("KL from HR, mean over the zoom grid (nats)", 3),
    "feature-mse": MetricStyle("MSE of features", 4),
    "feature-cosine": MetricStyle("Cosine of features", 3),
    "feature-gaussian-kl": MetricStyle("Gaussian KL of features from HR (nats per channel)", 3),
    "feature-mmd": MetricStyle("MMD² of features", 4),
    "feature-jitter": MetricStyle("Jitter of features, a diagnostic that rewards smoothness", 3),
    "tta-mean-top1": MetricStyle("Top-1 accuracy, mean of random crops", 3),
    "tta-mean-top5": MetricStyle("Top-5 accuracy, mean of random crops", 3),
    "tta-memo-top1": MetricStyle("Top-1 accuracy, MEMO on random crops", 3),
    "tta-memo-top5": MetricStyle("Top-5 accuracy, MEMO on random crops", 3),
    "mtf50": MetricStyle("MTF50 (cycles / HR pixel)", 4),
    "mtf50-lr": MetricStyle("MTF50 (cycles / LR pixel)", 3),
    "aliasing": MetricStyle("Aliasing (false energy / HR's)", 4),
    "legibility": MetricStyle("Legible glyphs", 3),
    "legibility-margin": MetricStyle("Margin of the right glyph", 3),
    "embedding": MetricStyle("Cosine of pooled features", 3),
}


def style_of(metric: str) -> MetricStyle:
    """Return how a metric is shown; one with an argument carries it in its title."""
    name, _, argument = metric.partition(":")
    style = _STYLES.get(name)
    if style is None:
        return MetricStyle(metric, 4)
    return MetricStyle(f"{style.title}, {argument}", style.decimals) if argument else style


@dataclass(frozen=True)
class Cell:
    """The mean of one model at one scale.

    Attributes:
        mean: Over the items that have a value; None where none has.
        count: Items with a value.
        expected: Items for which the metric has a meaning.
        best: Whether no other model is better at this precision.
        regime: "in", "out", or "" for a model that was never trained.
    """

    mean: float | None
    count: int
    expected: int
    best: bool
    regime: str

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
    """

    name: str
    texts: tuple[str, ...]
    best: tuple[bool, ...]
    published: bool


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
    """One metric: a row of cells per model.

    Attributes:
        metric: Name of the metric.
        variant: Which of the numbers that go by that name.
        higher_is_better: Direction.
        decimals: Digits after the point.
        rows: Model and its cells, one per scale.
        published: Rows from elsewhere, shown below and part of no average and no ranking.
    """

    metric: str
    variant: str
    higher_is_better: bool
    decimals: int
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]
    published: tuple[PublishedRow, ...] = ()

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
            )
            for model, cells in self.rows
        ]
        published = [
            Line(
                f"{DAGGER} {row.reference.method}",
                tuple(row.show(scale) for scale in scales),
                (False,) * len(scales),
                published=True,
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
        sections: One per metric.
    """

    dataset: str
    items: int
    protocol: str
    scales: tuple[float, ...]
    regimes: tuple[str, ...]
    sections: tuple[Section, ...]

    @property
    def title(self) -> str:
        """One line: data set, number of images, protocol."""
        images = "1 image" if self.items == 1 else f"{self.items} images"
        return f"{self.dataset}: mean over {images}, protocol {self.protocol}"

    @property
    def notes(self) -> list[str]:
        """What a reader has to know about some cells."""
        notes = [
            f"{section.title[:-2]}: {section.items} of {self.items} images"
            for section in self.sections
            if section.items < self.items
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
) -> list[Table]:
    """Average records per data set, metric, model and scale.

    Args:
        records: Of one run, or of several that `analysis.combine` put together.
        decimals: Digits after the point; each metric's own where None.
        references: Published rows to show beside those of their data set, metric and protocol.
        across_protocols: Whether to show published rows of other protocols too.

    Returns:
        One table per data set, in the order of the plan.

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
    tables = []
    for name, rows in records.groupby("dataset", sort=False, observed=True):
        hashes = None if across_protocols else set(rows["protocol_hash"])
        fitting = [
            reference
            for reference in references
            if hashes is None or reference.protocol_hash in hashes
        ]
        tables.append(_table(str(name), rows, decimals, fitting))
    return tables


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
    best = {scale: _best(cells, models, scale, higher, decimals) for scale in scales}
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
                    best=model in best[scale],
                    regime=str(regimes.get((model, scale), "")),
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


def _best(
    cells: dict[tuple[str, float], tuple[float | None, int, int]],
    models: Sequence[str],
    scale: float,
    higher: bool,
    decimals: int,
) -> set[str]:
    """Return the models with the best mean at a scale, as it is printed; partial means are out."""
    means = {}
    for model in models:
        mean, count, expected = cells.get((model, scale), (None, 0, 0))
        if mean is not None and count == expected:
            means[model] = round(mean, decimals) if math.isfinite(mean) else mean
    if len(means) < 2 or len(set(means.values())) == 1:
        return set()
    top = (max if higher else min)(means.values())
    return {model for model, mean in means.items() if mean == top}


def render_terminal(tables: Iterable[Table], width: int) -> Text:
    """Lay tables out for a terminal; scales that do not fit its width go into a further block."""
    lines: list[Text] = []
    for table in tables:
        lines.append(Text(table.title, style="bold"))
        for columns in _blocks(table, width):
            lines += _block(table, columns)
        notes = [Text(note, style="dim") for note in table.notes]
        lines += [Text(""), *notes, *([Text("")] if notes else [])]
    return Text("\n").join(lines)


def _widths(table: Table) -> tuple[int, int]:
    """Return the widths of the column of names and of every column of numbers."""
    lines = [line for section in table.sections for line in section.lines(table.scales)]
    heads = [len(f"x{scale:g}") for scale in table.scales]
    numbers = [len(text) for line in lines for text in line.texts]
    return max(len(line.name) for line in lines) + 2, max(*heads, *numbers) + 2


def _blocks(table: Table, width: int) -> list[list[int]]:
    """Split the columns so that each block fits."""
    name, number = _widths(table)
    fitting = max(1, (width - name - 3 * (len(table.groups()) - 1)) // number)
    columns = list(range(len(table.scales)))
    return [columns[i : i + fitting] for i in range(0, len(columns), fitting)]


def _block(table: Table, columns: list[int]) -> list[Text]:
    """Lay out some of a table's columns; a bar stands between the regimes."""
    name, number = _widths(table)
    groups = [
        (title, [index for index in indices if index in columns])
        for title, indices in table.groups()
    ]
    groups = [(title, indices) for title, indices in groups if indices]

    def line(head: Text, parts: Sequence[Sequence[Text]]) -> Text:
        head.pad_right(name - len(head))
        joined = [Text().join(_right(part, number) for part in group) for group in parts]
        return head + _barred(joined)

    titles = [(title, number * len(indices)) for title, indices in groups]
    lines = [
        Text(" " * name) + _barred([_right(_fitting(*title), title[1]) for title in titles]),
        line(
            Text(""),
            [[Text(f"x{table.scales[i]:g}", style="bold") for i in group] for _, group in groups],
        ),
    ]
    for section in table.sections:
        lines += [Text(""), Text(section.title, style="cyan")]
        for row in section.lines(table.scales):
            plain = "italic" if row.published else ""
            shown = [
                [Text(row.texts[i], "bold" if row.best[i] else plain) for i in group]
                for _, group in groups
            ]
            lines.append(line(Text(f"  {row.name}", plain), shown))
    return lines


def _fitting(title: str, width: int) -> Text:
    """Return a group's title, shortened to its first word where the group is narrow."""
    short = title.partition(" ")[0]
    return Text(title if len(title) + 2 <= width else short, style="dim")


def _barred(groups: Sequence[Text]) -> Text:
    """Return groups of columns with a dim bar between them."""
    line = Text()
    for place, group in enumerate(groups):
        line.append("  │" if place else "", "dim")
        line.append_text(group)
    return line


def _right(text: Text, width: int) -> Text:
    """Return text pushed to the right edge of a column."""
    padded = text.copy()
    padded.pad_left(width - len(text))
    return padded


def render_markdown(tables: Iterable[Table]) -> str:
    """Return tables as Markdown; best values bold."""
    lines: list[str] = []
    for table in tables:
        lines += [f"**{_md(table.title)}**", ""]
        heads = [
            f"x{scale:g}" + (f" ({regime})" if regime else "")
            for scale, regime in zip(table.scales, table.regimes, strict=True)
        ]
        lines += [f"| Metric | Model | {' | '.join(heads)} |"]
        lines += [f"|---|---|{'---:|' * len(heads)}"]
        for section in table.sections:
            for number, row in enumerate(section.lines(table.scales)):
                mark = "*" if row.published else ""
                shown = [
                    f"**{text}**" if best else f"{mark}{_md(text)}{mark}"
                    for text, best in zip(row.texts, row.best, strict=True)
                ]
                title = section.title if number == 0 else ""
                name = f"{mark}{_md(row.name)}{mark}"
                lines.append(f"| {title} | {name} | {' | '.join(shown)} |")
        lines += ["", *(f"- {_md(note)}" for note in table.notes)]
        if table.notes:
            lines.append("")
        variants = "; ".join(f"{section.metric}: {section.variant}" for section in table.sections)
        lines += [f"Variants: {_md(variants)}.", ""]
    return "\n".join(lines)


def _md(text: str) -> str:
    for character in "\\`*_|<>[]":
        text = text.replace(character, f"\\{character}")
    return text


def render_csv(tables: Sequence[Table]) -> str:
    """Return tables as CSV, one line per cell, unrounded; published cells name their source."""
    measured = [
        {
            "dataset": table.dataset,
            "metric": section.metric,
            "variant": section.variant,
            "higher_is_better": section.higher_is_better,
            "upsampler": model,
            "scale": scale,
            "regime": cell.regime,
            "mean": cell.mean,
            "items": cell.count,
            "items_expected": cell.expected,
            "best": cell.best,
            "published_in": None,
        }
        for table in tables
        for section in table.sections
        for model, cells in section.rows
        for scale, cell in zip(table.scales, cells, strict=True)
    ]
    published = [
        {
            "dataset": table.dataset,
            "metric": section.metric,
            "variant": f"protocol {row.reference.protocol}",
            "higher_is_better": section.higher_is_better,
            "upsampler": row.reference.method,
            "scale": scale,
            "regime": "",
            "mean": row.reference.values[scale],
            "items": None,
            "items_expected": None,
            "best": False,
            "published_in": row.reference.source,
        }
        for table in tables
        for section in table.sections
        for row in section.published
        for scale in table.scales
        if scale in row.scales
    ]
    counts = {"items": "Int64", "items_expected": "Int64"}
    return str(pd.DataFrame(measured + published).astype(counts).to_csv(index=False))


def render_latex(tables: Iterable[Table]) -> str:
    """Return tables as LaTeX for the booktabs package; best values bold."""
    return "\n".join(_latex(table) for table in tables)


def _latex(table: Table) -> str:
    count = len(table.scales)
    groups = table.groups()
    spans = " & ".join(f"\\multicolumn{{{len(i)}}}{{c}}{{{title}}}" for title, i in groups)
    rules = " ".join(f"\\cmidrule(lr){{{i[0] + 3}-{i[-1] + 3}}}" for title, i in groups if title)
    scales = " & ".join(f"$\\times${scale:g}" for scale in table.scales)
    lines = [
        "% needs \\usepackage{booktabs}",
        "\\begin{table}",
        "\\centering",
        f"\\caption{{{_tex(table.title)}}}",
        f"\\begin{{tabular}}{{ll{'r' * count}}}",
        "\\toprule",
        f" & & {spans} \\\\ {rules}".rstrip(),
        f"Metric & Model & {scales} \\\\",
    ]
    for section in table.sections:
        lines.append("\\midrule")
        for number, row in enumerate(section.lines(table.scales)):
            plain = "textit" if row.published else ""
            shown = [
                _styled(text, "textbf" if best else plain)
                for text, best in zip(row.texts, row.best, strict=True)
            ]
            title = _tex(section.title) if number == 0 else ""
            lines.append(f"{title} & {_styled(row.name, plain)} & {' & '.join(shown)} \\\\")
    lines += ["\\bottomrule", "\\end{tabular}"]
    lines += [f"\\par\\footnotesize {_tex(note)}" for note in table.notes]
    return "\n".join([*lines, "\\end{table}", ""])


_TEX = {
    "\\": "\\textbackslash{}",
    "↑": "$\\uparrow$",
    "↓": "$\\downarrow$",
    "–": "--",
    "†": "\\textdagger{}",
    "‡": "\\textdaggerdbl{}",
    "·": "$\\cdot$",
    RING: "$^\\circ$",
    "~": "\\textasciitilde{}",
    "^": "\\textasciicircum{}",
    "<": "$<$",
    ">": "$>$",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}


def _styled(text: str, command: str) -> str:
    return f"\\{command}{{{_tex(text)}}}" if command else _tex(text)


def _tex(text: str) -> str:
    return "".join(_TEX.get(character, character) for character in text)


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


def render(tables: Sequence[Table], style: str) -> str:
    """Render tables as a file's text.

    Args:
        tables: From `build_tables`.
        style: "markdown", "csv" or "latex".
    """
    renderers = {"markdown": render_markdown, "csv": render_csv, "latex": render_latex}
    return renderers[style](tables)


def print_tables(tables: Sequence[Table], console: Console) -> None:
    """Print tables on a terminal."""
    console.print(render_terminal(tables, console.width), soft_wrap=True, highlight=False)
