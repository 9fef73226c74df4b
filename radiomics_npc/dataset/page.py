"""A page of tables and figures that needs no other file, in the look of the report."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import resources

from radiomics_npc._version import __version__
from radiomics_npc.dataset.side_by_side import ALL, Cell
from radiomics_npc.report.checklist_page import report_style

__all__ = ["Section", "page_html", "pairs_html"]


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Parameters
    ----------
    key, name : str
        Identifier and heading.
    body : str
        HTML.
    notes : sequence of str
        What is said under it; escaped.
    sheet : bool
        On paper it begins a new page.
    link : str
        Its name in the list of contents, if the heading is too long for it.
    """

    key: str
    name: str
    body: str
    notes: Sequence[str] = ()
    sheet: bool = False
    link: str = ""


def page_html(title: str, lead: Sequence[str], sections: Sequence[Section], *, simulated: bool) -> str:
    """Write a page.

    Parameters
    ----------
    title : str
    lead : sequence of str
        Paragraphs under the title; escaped.
    sections : sequence of Section
    simulated : bool
        Patients that never lived: a banner says so.

    Returns
    -------
    str
        HTML without scripts and outside references.

    Examples
    --------
    >>> page = page_html("A & B", [], [Section("t", "Table", "<p>1</p>")], simulated=True)
    >>> "<h1>A &amp; B</h1>" in page, "SIMULATED PATIENTS" in page
    (True, True)
    """
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    template = resources.files("radiomics_npc.dataset").joinpath("templates", "page.html.j2")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    shown = [{**vars(section), "body": Markup(section.body)} for section in sections]
    return environment.from_string(template.read_text(encoding="utf-8")).render(
        title=title, lead=list(lead), sections=shown, simulated=simulated, style=Markup(report_style()),
        version=__version__,
    )  # fmt: skip


def pairs_html(cells: Iterable[Cell], label: str) -> str:
    """A table in which every figure has the published one beside it, and what is missing, if anything is.

    Parameters
    ----------
    cells : iterable of Cell
        Row by row.
    label : str
        What a screen reader calls the table.

    Returns
    -------
    str

    Examples
    --------
    >>> page = pairs_html([Cell(3, "<b>", "", "All", "2", "146", 2)], "Scanners")
    >>> "<th scope=\\"row\\">&lt;b&gt;</th>" in page
    True
    """
    found = list(cells)
    groups = list(dict.fromkeys(cell.group for cell in found))
    rows: dict[tuple[str, str], dict[str, Cell]] = {}
    for cell in found:
        rows.setdefault((cell.variable, cell.level), {})[cell.group] = cell
    incomplete = any(cell.missing for cell in found)
    body, before = [], ""
    for (variable, level), row in rows.items():
        if level and variable != before:
            span = 2 * len(groups) + 1 + incomplete
            body.append(f'<tr><th scope="rowgroup" colspan="{span}">{html.escape(variable)}</th></tr>')
        before = variable
        name = f'class="level">{html.escape(level)}' if level else f">{html.escape(variable)}"
        missing = sum(cell.missing for cell in row.values())
        body.append(
            f'<tr><th scope="row"{" " if level else ""}{name}</th>'
            + "".join(_pair(row.get(group)) for group in groups)
            + f'<td class="n new">{missing or ""}</td>' * incomplete
            + "</tr>"
        )
    table = f'<table class="pairs">{_head(groups, incomplete)}<tbody>{"".join(body)}</tbody></table>'
    name = html.escape(label)
    return f'<div class="scroll" tabindex="0" role="region" aria-label="{name}">{table}</div>'


def _head(groups: Sequence[str], incomplete: bool) -> str:
    second = '<th scope="col" class="new">This cohort</th><th scope="col">Published</th>' * len(groups)
    missing = '<th scope="col" class="n new"{}>Missing</th>' * incomplete
    if groups == [ALL]:
        return f"<thead><tr><td></td>{second}{missing.format('')}</tr></thead>"
    first = "".join(f'<th scope="colgroup" colspan="2" class="new">{html.escape(g)}</th>' for g in groups)
    rows = ' rowspan="2"'
    return f"<thead><tr><td{rows}></td>{first}{missing.format(rows)}</tr><tr>{second}</tr></thead>"


def _pair(cell: Cell | None) -> str:
    if cell is None:
        return '<td class="new">–</td><td class="theirs">–</td>'
    out = " out" if cell.outside else ""
    mine, theirs = html.escape(cell.marked), html.escape(cell.published)
    return f'<td class="new{out}">{mine}</td><td class="theirs">{theirs}</td>'
