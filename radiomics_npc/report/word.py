"""Word documents as journals want them: real styles, three-line tables, the same bytes every time."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from radiomics_npc.report.tables import is_number_column, number
from radiomics_npc.storage import write_bytes

__all__ = ["add_caption", "add_inline", "add_note", "add_table", "new_document", "orient", "write_document"]

_FONT = "Times New Roman"
_TABLE = "Three-line table"
_MOST_TOGETHER = 25  # rows that stay on one page with their note
_PER_SIGN, _AROUND = 4.7, 13.0  # width of a sign of a table and what is around a cell, in points
_MOST_STRETCH = 1.25  # of what columns want
_LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the first date that a zip archive knows
# Numbers of references become superscripts, what authors have to add is highlighted.
_MARKS = re.compile(r" ?(\[\d+(?:,\d+)*\])|(\[[A-Z][^\]]*\])|`([^`]+)`|\*\*([^*]+)\*\*")
_STYLE = (
    '<w:style xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" w:type="table" '
    f'w:customStyle="1" w:styleId="ThreeLineTable"><w:name w:val="{_TABLE}"/><w:basedOn w:val="TableNormal"/>'
    '<w:uiPriority w:val="99"/><w:tblPr><w:tblBorders>'
    '<w:top w:val="single" w:sz="12" w:space="0" w:color="000000"/>'
    '<w:bottom w:val="single" w:sz="12" w:space="0" w:color="000000"/></w:tblBorders></w:tblPr>'
    '<w:tblStylePr w:type="firstRow"><w:rPr><w:b/></w:rPr><w:tcPr><w:tcBorders>'
    '<w:bottom w:val="single" w:sz="6" w:space="0" w:color="000000"/></w:tcBorders></w:tcPr></w:tblStylePr>'
    "</w:style>"
)


def new_document(title: str) -> Any:
    """An empty A4 document with the styles of a manuscript and page numbers.

    Parameters
    ----------
    title : str
        In the properties of the file; not on the page.

    Returns
    -------
    docx.document.Document
    """
    import docx
    from docx.oxml import parse_xml
    from docx.shared import Mm

    document = docx.Document()
    section = document.sections[0]
    section.page_width, section.page_height = Mm(210), Mm(297)
    for side in ("left", "right", "top", "bottom"):
        setattr(section, f"{side}_margin", Mm(25))
    document.styles.element.append(parse_xml(_STYLE))
    _set_styles(document)
    _number_pages(section)
    _set_properties(document, title)
    return document


def _set_styles(document: Any) -> None:
    from docx.enum.style import WD_STYLE_TYPE
    from docx.shared import Pt

    styles = document.styles
    for name in ("Table text", "Table text, small", "Table note", "Reference"):
        styles.add_style(name, WD_STYLE_TYPE.PARAGRAPH).base_style = styles["Normal"]
    # Size, space before and after (points), keep with the next paragraph.
    for name, size, before, after, keep in (
        ("Normal", 11, 0, 6, False), ("Title", 18, 0, 8, True), ("Heading 1", 15, 12, 6, True),
        ("Heading 2", 12, 10, 4, True), ("Caption", 10.5, 12, 4, True), ("Table text", 9, 1.5, 1.5, False),
        ("Table text, small", 8, 1.5, 1.5, False), ("Table note", 9, 4, 8, False),
        ("Reference", 10, 0, 3, False),
    ):  # fmt: skip
        style = styles[name]
        _set_font(style)
        style.font.size, style.font.bold = Pt(size), name in ("Title", "Heading 1", "Heading 2")
        layout = style.paragraph_format
        layout.space_before, layout.space_after, layout.keep_with_next = Pt(before), Pt(after), keep
    styles["Reference"].paragraph_format.left_indent = Pt(22)
    styles["Reference"].paragraph_format.first_line_indent = Pt(-22)


def _set_font(style: Any) -> None:
    """One black font: the theme of the template would win over a mere name."""
    from docx.oxml.ns import qn
    from docx.shared import RGBColor

    style.font.name, style.font.color.rgb = _FONT, RGBColor(0, 0, 0)
    fonts = style.element.get_or_add_rPr().get_or_add_rFonts()
    for attribute in list(fonts.attrib):
        if attribute.endswith("Theme"):
            del fonts.attrib[attribute]
    for kind in ("w:ascii", "w:hAnsi", "w:cs", "w:eastAsia"):
        fonts.set(qn(kind), _FONT)
    for border in style.element.findall(f".//{qn('w:pBdr')}"):
        border.getparent().remove(border)


def _field(paragraph: Any, instruction: str, shown: str) -> None:
    """A field that Word keeps up to date, such as a page number."""
    from docx.oxml import OxmlElement
    from docx.oxml.ns import qn

    field = OxmlElement("w:fldSimple")
    field.set(qn("w:instr"), instruction)
    run, text = OxmlElement("w:r"), OxmlElement("w:t")
    text.text = shown
    run.append(text)
    field.append(run)
    paragraph._p.append(field)


def _number_pages(section: Any) -> None:
    from docx.enum.text import WD_ALIGN_PARAGRAPH

    paragraph = section.footer.paragraphs[0]
    paragraph.alignment = WD_ALIGN_PARAGRAPH.CENTER
    _field(paragraph, " PAGE ", "1")


def _set_properties(document: Any, title: str) -> None:
    """No author, no date and no picture of the template: nothing that differs between two runs."""
    core = document.core_properties
    core.title, core.author, core.comments, core.last_modified_by = title, "", "", ""
    core.language = "en-US"
    for element in list(core._element):
        if element.tag.endswith(("}created", "}modified", "}revision")):
            core._element.remove(element)
    package = document.part.package
    for key, relation in list(package.rels.items()):
        if relation.reltype.endswith("/thumbnail"):
            del package.rels[key]


def add_inline(paragraph: Any, text: str) -> None:
    """Add text with its marks: ``[1,2]`` as superscript, ``[What to add.]`` highlighted, code, emphasis."""
    from docx.enum.text import WD_COLOR_INDEX

    at = 0
    for found in _MARKS.finditer(text):
        paragraph.add_run(text[at : found.start()])
        numbers, gap, code, strong = found.groups()
        run = paragraph.add_run(numbers.strip("[]") if numbers else gap or code or strong)
        if numbers:
            run.font.superscript = True
        elif gap:
            run.font.highlight_color = WD_COLOR_INDEX.YELLOW
        elif code:
            run.font.name = "Courier New"
        else:
            run.bold = True
        at = found.end()
    paragraph.add_run(text[at:])


def add_caption(document: Any, title: str, number_: int) -> None:
    """Caption of a table, numbered by a field, so that Word can list and refer to it."""
    paragraph = document.add_paragraph(style="Caption")
    paragraph.add_run("Table ").bold = True
    _field(paragraph, " SEQ Table \\* ARABIC ", str(number_))
    paragraph.add_run(". ").bold = True
    paragraph.add_run(title)


def add_note(document: Any, note: str) -> None:
    """Note under a table."""
    document.add_paragraph(note, style="Table note")


def add_table(document: Any, table: pd.DataFrame, description: str) -> None:
    """Add a three-line table; numbers are centered, the head is repeated on every page.

    Parameters
    ----------
    document : docx.document.Document
    table : DataFrame
        The index is not shown.
    description : str
        What a screen reader says.
    """
    from docx.enum.text import WD_ALIGN_PARAGRAPH
    from docx.oxml import OxmlElement
    from docx.oxml.ns import qn

    heads = [str(column).strip() for column in table.columns]
    texts = [[number(value) for value in row] for row in table.itertuples(index=False, name=None)]
    centered = [is_number_column(table.iloc[:, k]) for k in range(len(heads))]
    made = document.add_table(rows=1 + len(texts), cols=len(heads), style=_TABLE)
    made.autofit = False
    for name in ("tblCaption", "tblDescription"):
        told = OxmlElement(f"w:{name}")
        told.set(qn("w:val"), description)
        made._tbl.tblPr.append(told)
    widths, tight = _widths(document.sections[-1], heads, texts)
    style = document.styles["Table text, small" if tight else "Table text"]
    together = len(texts) <= _MOST_TOGETHER
    for k, width in enumerate(widths):
        made.columns[k].width = width
    for row, values in zip(made.rows, [heads, *texts], strict=True):
        mark = OxmlElement("w:cantSplit")
        row._tr.get_or_add_trPr().append(mark)
        for k, (cell, value) in enumerate(zip(row.cells, values, strict=True)):
            cell.width = widths[k]
            paragraph = cell.paragraphs[0]
            paragraph.style = style
            if together:
                paragraph.paragraph_format.keep_with_next = True
            paragraph.add_run(value).bold = True if values is heads else None
            if centered[k]:
                paragraph.alignment = WD_ALIGN_PARAGRAPH.CENTER
    head = OxmlElement("w:tblHeader")
    made.rows[0]._tr.get_or_add_trPr().append(head)


def _widths(section: Any, heads: Sequence[str], texts: Sequence[Sequence[str]]) -> tuple[list[int], bool]:
    """Widths of columns by what they hold, and whether it is too much for the page.

    No word is broken where it fits; what is left is shared by those who want more.
    """
    from docx.shared import Pt

    room = section.page_width - section.left_margin - section.right_margin
    columns = [[head, *(row[k] for row in texts)] for k, head in enumerate(heads)]
    word = [max(len(part) for cell in column for part in [*cell.split(), ""]) for column in columns]
    least = [Pt(_AROUND + (_PER_SIGN + 0.6) * size) for size in word]
    want = [Pt(_AROUND + _PER_SIGN * min(max(map(len, column)), 55)) for column in columns]
    more = [max(0, wanted - needed) for wanted, needed in zip(want, least, strict=True)]
    left, asked = room - sum(least), sum(more)
    share = min(1.0, left / asked) if asked else 0.0
    natural = [needed + extra * share for needed, extra in zip(least, more, strict=True)]
    # Short tables stay narrow: an eye loses the row in a wide gap.
    stretch = min(_MOST_STRETCH, room / sum(natural))
    return [int(width * stretch) for width in natural], asked > left


def orient(document: Any, *, landscape: bool) -> None:
    """Begin a new page in the other orientation, if the last one is not in this."""
    from docx.enum.section import WD_ORIENT, WD_SECTION

    last = document.sections[-1]
    if (last.orientation == WD_ORIENT.LANDSCAPE) == landscape:
        return
    empty = not document.element.body.xpath("./w:p | ./w:tbl")
    section = last if empty else document.add_section(WD_SECTION.NEW_PAGE)
    section.orientation = WD_ORIENT.LANDSCAPE if landscape else WD_ORIENT.PORTRAIT
    section.page_width, section.page_height = last.page_height, last.page_width


def write_document(path: Path, document: Any) -> None:
    """Write a document whole or not at all, the same bytes every time: without dates, in a fixed order."""
    stream, undated = io.BytesIO(), io.BytesIO()
    document.save(stream)
    with zipfile.ZipFile(stream) as made, zipfile.ZipFile(undated, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in made.namelist():
            info = zipfile.ZipInfo(name, _LONG_AGO)
            info.compress_type, info.create_system = zipfile.ZIP_DEFLATED, 0
            archive.writestr(info, made.read(name))
    write_bytes(path, undated.getvalue())
