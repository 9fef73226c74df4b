"""Word documents of a run: methods, tables, checklists."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from radiomics_npc.report.checklists import Checklist
from radiomics_npc.report.paper_tables import PaperTable
from radiomics_npc.report.word import add_caption, add_inline, add_note, add_table, new_document, orient

__all__ = ["checklists_document", "methods_document", "printed_checklist", "tables_document"]

_MOST_COLUMNS, _MOST_SIGNS = 6, 95  # that a portrait page holds
_SIMULATED = "Simulated patients: they never lived. Nothing here says anything about the disease."


def methods_document(text: str) -> Any:
    """The methods section as a Word document.

    Parameters
    ----------
    text : str
        Markdown of :func:`radiomics_npc.report.methods.methods_text`.

    Returns
    -------
    docx.document.Document
        Numbers of references are superscripts; what the authors have to add is highlighted.

    Examples
    --------
    >>> document = methods_document("# Methods\\n\\nCox models [1].\\n\\n## References\\n\\n1. Cox DR.")
    >>> [(paragraph.style.name, paragraph.text) for paragraph in document.paragraphs]
    [('Heading 1', 'Methods'), ('Normal', 'Cox models1.'), ('Heading 2', 'References'),
     ('Reference', '1.\\tCox DR.')]
    """
    document = new_document("Methods")
    for block in re.split(r"\n\s*\n", text.strip()):
        if heading := re.match(r"(#+) (.*)", block):
            document.add_heading(heading[2], len(heading[1]))
        elif all(re.match(r"\d+\. ", line) for line in block.splitlines()):
            for line in block.splitlines():
                place, _, words = line.partition(" ")
                document.add_paragraph(f"{place}\t{words}", style="Reference")
        else:
            add_inline(document.add_paragraph(), " ".join(block.splitlines()))
    return document


def tables_document(tables: Sequence[PaperTable], *, simulated: bool = False) -> Any:
    """Tables of a paper as a Word document, wide ones on landscape pages.

    Parameters
    ----------
    tables : sequence of PaperTable
    simulated : bool

    Returns
    -------
    docx.document.Document
    """
    document = new_document("Tables")
    for place, part in enumerate(tables, start=1):
        orient(document, landscape=_is_wide(part.table))
        if place == 1 and simulated:
            document.add_paragraph(_SIMULATED)
        add_caption(document, part.title, place)
        add_table(document, part.table, part.title)
        add_note(document, part.note)
    return document


def _is_wide(table: pd.DataFrame) -> bool:
    """Whether a table needs a landscape page.

    Examples
    --------
    >>> _is_wide(pd.DataFrame({"a": ["b"]})), _is_wide(pd.DataFrame([["x"] * 7]))
    (False, True)
    """
    longest = [
        max([len(str(name)), *(len(str(v)) for v in table.iloc[:, k])]) for k, name in enumerate(table)
    ]
    return table.shape[1] > _MOST_COLUMNS or sum(longest) > _MOST_SIGNS


def printed_checklist(checklist: Checklist) -> pd.DataFrame:
    """A checklist as printed: the answer and what is left to the authors in one column.

    Examples
    --------
    >>> from radiomics_npc.report.checklists import fill_checklist
    >>> printed_checklist(fill_checklist("clear", {})).columns.tolist()
    ['Item', 'Section', 'Asked', 'Status', 'Answer', 'Where']
    """
    table = checklist.table
    answer = [f"{a} {b}".strip() for a, b in zip(table["answer"], table["left"], strict=True)]
    heads = {"item": "Item", "section": "Section", "asked": "Asked", "status": "Status"}
    shown = table[list(heads)].rename(columns=heads)
    if "weight" in table:
        shown["Weight"] = [f"{weight:.4f}" for weight in table["weight"]]
        shown["Met"] = ["" if met == "not applicable" else met for met in table["met"]]
    return shown.assign(Answer=answer, Where=table["where"])


def checklists_document(checklists: Sequence[Checklist], content: Mapping[str, Any]) -> Any:
    """All checklists as a Word document.

    Parameters
    ----------
    checklists : sequence of Checklist
    content : mapping
        Of the report.

    Returns
    -------
    docx.document.Document
    """
    document = new_document("Reporting checklists")
    orient(document, landscape=True)
    document.add_heading("Reporting checklists", 1)
    if content.get("simulated"):
        document.add_paragraph(_SIMULATED)
    document.add_paragraph(
        "Filled from the run. Items in short words of our own: read them beside the published checklists."
    )
    for place, checklist in enumerate(checklists, start=1):
        document.add_heading(checklist.name, 2)
        document.add_paragraph(f"{checklist.about}. {checklist.summary}")
        score = "" if checklist.score is None else f"Score: {checklist.score}."
        for line in (score, checklist.note, checklist.source):
            if line:
                document.add_paragraph(line)
        add_caption(document, f"{checklist.name}, filled from the run", place)
        add_table(document, printed_checklist(checklist), checklist.name)
    return document
