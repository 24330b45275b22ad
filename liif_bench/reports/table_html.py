"""Tables as one HTML page that needs nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable

from liif_bench.reports.escape import html
from liif_bench.reports.tables import PAPER, Line, Section, Table

_STYLE = """
body { font: 1rem/1.4 system-ui, sans-serif; margin: 1rem; color-scheme: light dark; }
div { overflow-x: auto; }
table { border-collapse: collapse; border-block: 2px solid; }
caption { text-align: left; font-weight: bold; padding-block: 0.5rem; }
thead tr:last-child, tbody { border-bottom: 1px solid; }
th, td { padding: 0.15rem 0.6rem; text-align: right; font-variant-numeric: tabular-nums; }
th { font-weight: normal; }
th[scope=row], th[scope=rowgroup] { text-align: left; vertical-align: top; }
th[scope=colgroup] { text-align: center; border-bottom: 1px solid; }
ul { font-size: 0.85rem; padding-left: 1.2rem; }
""".strip()


def render_html(tables: Iterable[Table]) -> str:
    """Return tables as an HTML page; best values bold, second ones underlined."""
    body = "\n".join(map(_html, tables))
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>liif-bench</title>\n<style>\n{_STYLE}\n</style>\n</head>\n<body>\n{body}\n"
        "</body>\n</html>\n"
    )


def _html(table: Table) -> str:
    groups = "".join(
        f'<th scope="colgroup" colspan="{len(columns)}">{html(title)}</th>'
        if title
        else f'<td colspan="{len(columns)}"></td>'
        for title, columns in table.groups()
    )
    heads = "".join(f'<th scope="col">{head}</th>' for head in table.heads)
    scales = "".join(f'<th scope="col">×{scale:g}</th>' for scale in table.scales)
    lines = [
        "<div><table>",
        f"<caption>{html(table.title)}</caption>",
        "<thead>",
        f'<tr><td colspan="{len(table.heads)}"></td>{groups}</tr>',
        f"<tr>{heads}{scales}</tr>",
        "</thead>",
        *(_body(table, section) for section in table.sections),
        "</table></div>",
    ]
    notes = [*table.notes, f"Variants: {table.variants}."]
    lines += ["<ul>", *(f"<li>{html(note)}</li>" for note in notes), "</ul>"]
    return "\n".join(lines)


def _body(table: Table, section: Section) -> str:
    rows = section.lines(table.scales)
    lines = ["<tbody>"]
    for number, row in enumerate(rows):
        group = ""
        if table.layout != PAPER and number == 0:
            name = html(table.head_of(section))
            group = f'<th scope="rowgroup" rowspan="{len(rows)}">{name}</th>'
        name = f"<em>{html(row.name)}</em>" if row.published else html(row.name)
        cells = "".join(f"<td>{_cell(row, place)}</td>" for place in range(len(row.texts)))
        lines.append(f'<tr>{group}<th scope="row">{name}</th>{cells}</tr>')
    return "\n".join([*lines, "</tbody>"])


def _cell(row: Line, place: int) -> str:
    text = html(row.texts[place])
    if row.best[place]:
        return f"<strong>{text}</strong>"
    if row.second[place]:
        return f"<u>{text}</u>"
    return f"<em>{text}</em>" if row.published else text
