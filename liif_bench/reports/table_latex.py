"""Tables as LaTeX for the booktabs package."""

from __future__ import annotations

from collections.abc import Iterable

from liif_bench.reports.escape import tex
from liif_bench.reports.tables import Table


def render_latex(tables: Iterable[Table]) -> str:
    """Return tables as LaTeX for the booktabs package; best values bold, second ones underlined."""
    return "\n".join(_latex(table) for table in tables)


def _latex(table: Table) -> str:
    before = len(table.heads)
    groups = table.groups()
    spans = " & ".join(f"\\multicolumn{{{len(i)}}}{{c}}{{{title}}}" for title, i in groups)
    rules = " ".join(
        f"\\cmidrule(lr){{{i[0] + before + 1}-{i[-1] + before + 1}}}"
        for title, i in groups
        if title
    )
    scales = " & ".join(f"$\\times${scale:g}" for scale in table.scales)
    lines = [
        "% needs \\usepackage{booktabs}",
        "\\begin{table}",
        "\\centering",
        f"\\caption{{{tex(table.title)}}}",
        f"\\begin{{tabular}}{{{'l' * before}{'r' * len(table.scales)}}}",
        "\\toprule",
        f"{' &' * before} {spans} \\\\ {rules}".rstrip(),
        f"{' & '.join(table.heads)} & {scales} \\\\",
    ]
    for section in table.sections:
        lines.append("\\midrule")
        for number, row in enumerate(section.lines(table.scales)):
            plain = "textit" if row.published else ""
            shown = [
                _styled(text, "textbf" if best else "underline" if second else plain)
                for text, best, second in zip(row.texts, row.best, row.second, strict=True)
            ]
            *head, name = table.names(section, row, number)
            cells = [*map(tex, head), _styled(name, plain), *shown]
            lines.append(f"{' & '.join(cells)} \\\\")
    lines += ["\\bottomrule", "\\end{tabular}"]
    lines += [f"\\par\\footnotesize {tex(note)}" for note in table.notes]
    return "\n".join([*lines, "\\end{table}", ""])


def _styled(text: str, command: str) -> str:
    return f"\\{command}{{{tex(text)}}}" if command else tex(text)
