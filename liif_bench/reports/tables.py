"""Paper-style tables: methods by scales, per metric; in- and out-of-distribution scales apart."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd
from rich.console import Console
from rich.text import Text

from liif_bench.errors import LiifBenchError
from liif_bench.records import Run, failures, is_not_applicable

FORMATS = ("terminal", "markdown", "csv", "latex")

DASH = "–"

_REGIMES = {"in": "in distribution", "out": "out of distribution", "mixed": "mixed", "": ""}


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
}


@dataclass(frozen=True)
class Cell:
    """The mean of one model at one scale.

    Attributes:
        mean: Over the items that have a value; None where none has.
        count: Items with a value.
        expected: Items for which the metric has a meaning.
        best: Whether no other model is better at this precision.
    """

    mean: float | None
    count: int
    expected: int
    best: bool

    @property
    def partial(self) -> bool:
        """Whether some items lack a value through an error."""
        return self.count < self.expected


@dataclass(frozen=True)
class Section:
    """One metric: a row of cells per model.

    Attributes:
        metric: Name of the metric.
        variant: Which of the numbers that go by that name.
        higher_is_better: Direction.
        decimals: Digits after the point.
        rows: Model and its cells, one per scale.
    """

    metric: str
    variant: str
    higher_is_better: bool
    decimals: int
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]

    @property
    def title(self) -> str:
        """Title with an arrow that points where better is."""
        arrow = "↑" if self.higher_is_better else "↓"
        style = _STYLES.get(self.metric)
        return f"{style.title if style else self.metric} {arrow}"

    def show(self, cell: Cell) -> str:
        """Return a cell's text: a dash where there is no value, an asterisk where some lack."""
        if cell.mean is None:
            return DASH
        number = f"{cell.mean:.{self.decimals}f}" if math.isfinite(cell.mean) else f"{cell.mean:g}"
        return number + ("*" if cell.partial else "")

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


def build_tables(run: Run, decimals: int | None = None) -> list[Table]:
    """Average a run's records per data set, metric, model and scale.

    Args:
        run: The run.
        decimals: Digits after the point; each metric's own where None.

    Returns:
        One table per data set, in the order of the plan.

    Raises:
        LiifBenchError: The run has no records yet.
    """
    records = run.records
    if records.empty:
        raise LiifBenchError(f"'{run.path}' has no records yet: continue it first")
    return [
        _table(str(name), rows, decimals)
        for name, rows in records.groupby("dataset", sort=False, observed=True)
    ]


def _table(dataset: str, rows: pd.DataFrame, decimals: int | None) -> Table:
    scales = tuple(float(scale) for scale in sorted(rows["scale"].unique()))
    models = [str(model) for model in rows["upsampler"].unique()]
    sections = tuple(
        _section(str(metric), group, models, scales, decimals)
        for metric, group in rows.groupby("metric", sort=False)
    )
    first = rows.iloc[0]
    return Table(
        dataset=dataset,
        items=rows["item"].nunique(),
        protocol=f"{first['protocol']} ({first['protocol_hash']})",
        scales=scales,
        regimes=tuple(_regime(rows.loc[rows["scale"] == scale, "regime"]) for scale in scales),
        sections=sections,
    )


def _regime(regimes: pd.Series[str]) -> str:
    known = regimes.dropna().unique()
    return "mixed" if len(known) > 1 else str(known[0]) if len(known) else ""


def _section(
    metric: str,
    rows: pd.DataFrame,
    models: Sequence[str],
    scales: Sequence[float],
    decimals: int | None,
) -> Section:
    if decimals is None:
        decimals = _STYLES[metric].decimals if metric in _STYLES else 4
    higher = bool(rows["higher_is_better"].iloc[0])
    meant = rows[~is_not_applicable(rows)]
    groups = meant.groupby(["upsampler", "scale"])["value"].agg(["mean", "count", "size"])
    cells = {
        (str(model), float(scale)): (float(mean) if count else None, int(count), int(size))
        for (model, scale), mean, count, size in groups.itertuples(name=None)
    }
    best = {scale: _best(cells, models, scale, higher, decimals) for scale in scales}
    nothing = (None, 0, 0)
    return Section(
        metric=metric,
        variant=str(rows["variant"].iloc[0]),
        higher_is_better=higher,
        decimals=decimals,
        rows=tuple(
            (model, tuple(
                Cell(*cells.get((model, scale), nothing), best=model in best[scale])
                for scale in scales
            ))
            for model in models
        ),
    )  # fmt: skip


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
    rows = [(s, model, cells) for s in table.sections for model, cells in s.rows]
    heads = [len(f"x{scale:g}") for scale in table.scales]
    numbers = [len(section.show(cell)) for section, _, cells in rows for cell in cells]
    return max(len(model) for _, model, _ in rows) + 2, max(*heads, *numbers) + 2


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
        for model, cells in section.rows:
            shown = [
                [Text(section.show(cells[i]), "bold" if cells[i].best else "") for i in group]
                for _, group in groups
            ]
            lines.append(line(Text(f"  {model}"), shown))
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
            for number, (model, cells) in enumerate(section.rows):
                shown = [
                    f"**{section.show(cell)}**" if cell.best else _md(section.show(cell))
                    for cell in cells
                ]
                title = section.title if number == 0 else ""
                lines.append(f"| {title} | {_md(model)} | {' | '.join(shown)} |")
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


def render_csv(tables: Iterable[Table]) -> str:
    """Return tables as CSV, one line per cell, unrounded."""
    rows = [
        {
            "dataset": table.dataset,
            "metric": section.metric,
            "variant": section.variant,
            "higher_is_better": section.higher_is_better,
            "upsampler": model,
            "scale": scale,
            "regime": regime,
            "mean": cell.mean,
            "items": cell.count,
            "items_expected": cell.expected,
            "best": cell.best,
        }
        for table in tables
        for section in table.sections
        for model, cells in section.rows
        for scale, regime, cell in zip(table.scales, table.regimes, cells, strict=True)
    ]
    return str(pd.DataFrame(rows).to_csv(index=False))


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
        for number, (model, cells) in enumerate(section.rows):
            shown = [
                f"\\textbf{{{_tex(section.show(cell))}}}" if cell.best else _tex(section.show(cell))
                for cell in cells
            ]
            title = _tex(section.title) if number == 0 else ""
            lines.append(f"{title} & {_tex(model)} & {' & '.join(shown)} \\\\")
    lines += ["\\bottomrule", "\\end{tabular}"]
    lines += [f"\\par\\footnotesize {_tex(note)}" for note in table.notes]
    return "\n".join([*lines, "\\end{table}", ""])


_TEX = {
    "\\": "\\textbackslash{}",
    "↑": "$\\uparrow$",
    "↓": "$\\downarrow$",
    "–": "--",
    "~": "\\textasciitilde{}",
    "^": "\\textasciicircum{}",
    "<": "$<$",
    ">": "$>$",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}


def _tex(text: str) -> str:
    return "".join(_TEX.get(character, character) for character in text)


def failure_lines(run: Run) -> list[str]:
    """Return one line per item and reason of what could not be measured, worst known first."""
    failed = failures(run.records)
    lines = []
    for (dataset, item, error), rows in failed.groupby(["dataset", "item", "error"], sort=False):
        scales = ",".join(f"x{scale:g}" for scale in sorted(rows["scale"].unique()))
        metrics = sorted(rows["metric"].unique())
        whole = len(metrics) == run.records["metric"].nunique()
        what = "" if whole else f" {','.join(metrics)}"
        models = rows["upsampler"].unique()
        every = len(models) == run.records["upsampler"].nunique()
        who = "" if every else f" {','.join(models)}"
        lines.append(f"{dataset}: {item} {scales}{who}{what}: {error}")
    return lines


def render(run: Run, style: str, decimals: int | None = None) -> str:
    """Render a run's tables as a file's text.

    Args:
        run: The run.
        style: "markdown", "csv" or "latex".
        decimals: As in `build_tables`.
    """
    renderers = {"markdown": render_markdown, "csv": render_csv, "latex": render_latex}
    return renderers[style](build_tables(run, decimals))


def print_tables(run: Run, console: Console, decimals: int | None = None) -> None:
    """Print a run's tables on a terminal."""
    tables = build_tables(run, decimals)
    console.print(render_terminal(tables, console.width), soft_wrap=True, highlight=False)
