"""Word documents: the words of the Markdown, real styles, every table with title and note, the same bytes."""

from __future__ import annotations

import re
import zipfile

import docx
import pandas as pd
import pytest

from radiomics_npc.report.checklists import fill_checklists
from radiomics_npc.report.documents import (
    checklists_document,
    methods_document,
    printed_checklist,
    tables_document,
)
from radiomics_npc.report.methods import methods_text
from radiomics_npc.report.paper_tables import paper_tables
from radiomics_npc.report.word import write_document


@pytest.fixture
def reread(tmp_path):
    """Write a document, and read it as Word would."""

    def read(document):
        write_document(tmp_path / "a.docx", document)
        return docx.Document(str(tmp_path / "a.docx"))

    return read


def test_the_methods_document_has_the_words_of_the_markdown(content, reread):
    text = methods_text(content)
    found = reread(methods_document(text))
    blocks = [line for block in text.strip().split("\n\n") for line in block.split("\n")]
    plain = [re.sub(r"^#+ ", "", block) for block in blocks]
    plain = [re.sub(r" ?\[(\d+(?:,\d+)*)\]", r"\1", block) for block in plain]
    plain = [re.sub(r"^(\d+\.) ", r"\1\t", block) for block in plain]
    assert [paragraph.text for paragraph in found.paragraphs] == plain
    styles = {paragraph.style.name for paragraph in found.paragraphs}
    assert styles == {"Heading 1", "Heading 2", "Normal", "Reference"}
    raised = [run.text for p in found.paragraphs for run in p.runs if run.font.superscript]
    cited = re.findall(r"\[(\d+(?:,\d+)*)\]", text.split("## References")[0])
    assert raised == cited


def test_what_authors_have_to_add_is_highlighted(reread):
    text = "# Methods\n\nOutlined by a model. [Who reviewed the contours has to be added here.] Done [2,3]."
    runs = reread(methods_document(text)).paragraphs[1].runs
    assert [r.text for r in runs if r.font.highlight_color] == [
        "[Who reviewed the contours has to be added here.]"
    ]
    assert [r.text for r in runs if r.font.superscript] == ["2,3"]


def test_every_table_has_a_title_and_a_note(content, reread):
    tables = paper_tables(content)
    found = reread(tables_document(tables, simulated=True))
    captions = [p.text for p in found.paragraphs if p.style.name == "Caption"]
    notes = [p.text for p in found.paragraphs if p.style.name == "Table note"]
    assert len(found.tables) == len(captions) == len(notes) == len(tables) > 15
    assert captions[0].endswith("Baseline characteristics of the patients read")
    assert all("Simulated patients." in note for note in notes)
    for made, part in zip(found.tables, tables, strict=True):
        assert made.style.name == "Three-line table"
        heads = [cell.text for cell in made.rows[0].cells]
        assert heads == [str(c).strip() for c in part.table.columns]
        assert len(made.rows) == len(part.table) + 1
    xml = found.element.xml
    assert xml.count("w:tblHeader") == len(tables)
    assert xml.count(" SEQ Table ") == len(tables)
    assert "landscape" in xml


def test_tables_say_what_the_content_says(content, reread):
    found = {part.title: part for part in paper_tables(content)}
    side = found["Performance of the models at 60 months"].table.set_index("Model")
    assert side.loc["Combined, Cox", "Harrell's C (95% CI)"] == "0.710 (0.650 to 0.760)"
    assert side.loc["Combined, Cox", "AUC (95% CI)"] == "0.700 (0.650 to 0.750)"
    assert side.loc["Combined, Cox", "O/E (95% CI)"] == "1.02 (0.90 to 1.10)"
    assert side.loc["Oracle (true risk)", "AUC (95% CI)"] == "–"
    points = found["Points of the nomogram"].table
    assert points["Points"].map(float).max() == 100
    ratios = found["Hazard ratios of the combined Cox model"].table
    assert len(ratios) == len(content["hazard_ratios"]["combined_cox"])
    assert paper_tables({}) == []


def test_wide_tables_stand_on_landscape_pages(reread):
    from radiomics_npc.report.paper_tables import PaperTable

    narrow = PaperTable("Narrow", pd.DataFrame({"a": ["1"]}), "Note.", ())
    wide = PaperTable("Wide", pd.DataFrame([["0.70 (0.60 to 0.80)"] * 8]), "Note.", ())
    found = reread(tables_document([wide, narrow, narrow, wide]))
    assert [section.page_width > section.page_height for section in found.sections] == [True, False, True]
    first = found.tables[0]
    assert sum(cell.width for cell in first.rows[0].cells) <= found.sections[0].page_width


def test_the_checklists_document_holds_every_item(content, reread):
    checklists = fill_checklists(content)
    found = reread(checklists_document(checklists, content))
    assert [len(table.rows) - 1 for table in found.tables] == [52, 58, 30]
    text = "\n".join(p.text for p in found.paragraphs)
    assert f"Score: {checklists[2].score}." in text
    for checklist in checklists:
        assert checklist.source in text
    cells = [cell.text for cell in found.tables[2].rows[1].cells]
    assert cells == printed_checklist(checklists[2]).iloc[0].tolist()


def test_documents_are_the_same_every_time_and_name_nobody(content, tmp_path):
    for name in ("a", "b"):
        write_document(tmp_path / f"{name}.docx", tables_document(paper_tables(content)))
    assert (tmp_path / "a.docx").read_bytes() == (tmp_path / "b.docx").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.docx") as archive:
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        core = archive.read("docProps/core.xml").decode()
        assert "dcterms" not in core.split(">", 2)[2]
        assert "python-docx" not in core
        assert not any("thumbnail" in info.filename for info in archive.infolist())
