"""What a run writes for its paper: methods with references, tables, checklists and model cards."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from radiomics_npc.report.cards import model_card
from radiomics_npc.report.checklist_page import checklists_html
from radiomics_npc.report.checklists import fill_checklists
from radiomics_npc.report.documents import checklists_document, methods_document, tables_document
from radiomics_npc.report.methods import methods_with_references
from radiomics_npc.report.paper_tables import paper_tables
from radiomics_npc.report.word import write_document
from radiomics_npc.storage import write_table, write_text

__all__ = ["DOCUMENTS", "write_paper"]

DOCUMENTS = "documents"  # folder of a run


def write_paper(folder: Path, content: Mapping[str, Any], models: Mapping[str, Any]) -> None:
    """Write the methods section, the tables, the checklists and the model cards of a run.

    Parameters
    ----------
    folder : Path
        A run folder. ``methods.md`` and ``references.bib`` stand in it, Word documents and
        checklists in ``documents``, cards beside the models.
    content : mapping
        Of the report.
    models : mapping
        Loaded models by name.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> write_paper(folder, {"flow": {"read": 12, "analyzed": 10}}, {})
    >>> sorted(path.name for path in folder.rglob("*.docx"))
    ['checklists.docx', 'methods.docx']
    """
    documents = folder / DOCUMENTS
    text, entries = methods_with_references(content)
    write_text(folder / "methods.md", text)
    write_text(folder / "references.bib", entries)
    write_document(documents / "methods.docx", methods_document(text))
    if tables := paper_tables(content):
        made = tables_document(tables, simulated=bool(content.get("simulated")))
        write_document(documents / "tables.docx", made)
    else:
        (documents / "tables.docx").unlink(missing_ok=True)
    checklists = fill_checklists(content)
    write_text(documents / "checklists.html", checklists_html(checklists, content))
    write_document(documents / "checklists.docx", checklists_document(checklists, content))
    for checklist in checklists:
        table = checklist.table.assign(simulated=True) if content.get("simulated") else checklist.table
        write_table(documents / f"checklist_{checklist.key}.csv", table)
    for name, model in models.items():
        place = folder / "models" / name
        digest = json.loads((place / "model.json").read_text(encoding="utf-8"))["sha256"]
        write_text(place / "card.md", model_card(model, content, sha256=digest))
