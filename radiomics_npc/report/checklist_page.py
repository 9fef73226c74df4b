"""All checklists on one page that needs no other file, in the look of the report."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

from radiomics_npc.report.checklist_answers import FILLED, NOT_APPLICABLE, OPEN
from radiomics_npc.report.checklists import Checklist

__all__ = ["checklists_html", "report_style"]

_CLASSES = {FILLED: "", OPEN: " open", NOT_APPLICABLE: " na"}


def checklists_html(checklists: Sequence[Checklist], content: Mapping[str, Any]) -> str:
    """Write the page of the checklists.

    Parameters
    ----------
    checklists : sequence of Checklist
    content : mapping
        Of the report.

    Returns
    -------
    str
        HTML without scripts and outside references.

    Examples
    --------
    >>> from radiomics_npc.report.checklists import fill_checklists
    >>> checklists_html(fill_checklists({}), {}).count('<section')
    3
    """
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(_template("checklists")).render(
        title=content.get("title") or content.get("study") or "Study",
        simulated=bool(content.get("simulated")),
        style=Markup(report_style()),
        checklists=[_shown(checklist) for checklist in checklists],
        classes=_CLASSES,
        version=(content.get("versions") or {}).get("radiomics-npc", ""),
    )


def _template(name: str) -> str:
    path = resources.files("radiomics_npc.report").joinpath("templates", f"{name}.html.j2")
    return path.read_text(encoding="utf-8")


def report_style() -> str:
    """The style sheet of the report, for pages that look like it."""
    found = re.search(r"<style>.*?</style>", _template("report"), flags=re.S)
    assert found is not None
    return found[0]


def _shown(checklist: Checklist) -> dict[str, Any]:
    rows = list(checklist.table.itertuples(index=False))
    return {
        "key": checklist.key, "name": checklist.name, "about": checklist.about, "source": checklist.source,
        "summary": checklist.summary, "note": checklist.note,
        "score": "" if checklist.score is None else str(checklist.score),
        "weighted": "weight" in checklist.table,
        "sections": [(name, list(part)) for name, part in itertools.groupby(rows, lambda row: row.section)],
    }  # fmt: skip
