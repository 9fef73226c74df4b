"""Tables as they come: CSV or XLSX to text cells, and columns found by tolerant names."""

from __future__ import annotations

import codecs
import csv
import difflib
import io
import re
import warnings
from collections.abc import Iterable
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import pandas as pd

from radiomics_npc.cohort.findings import Finding
from radiomics_npc.errors import CohortError

__all__ = ["find_column", "name_patients", "plain", "read_cells"]

_SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab"}
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")


def plain(name: str) -> str:
    """Reduce a name to its letters and digits, so that case, spaces, ``-`` and ``_`` do not matter.

    Examples
    --------
    >>> plain(" EBV-DNA "), plain("T_stage") == plain("T Stage")
    ('ebvdna', True)
    """
    return "".join(c for c in name.casefold() if c.isalnum())


def find_column(columns: Iterable[str], wanted: str) -> str:
    """Name of a column as the table spells it.

    Parameters
    ----------
    columns : iterable of str
        Headers of the table.
    wanted : str
        The name as somebody wrote it; case, spaces, ``-`` and ``_`` may differ.

    Raises
    ------
    CohortError
        No column, or more than one, has this name; the nearest name is offered.

    Examples
    --------
    >>> find_column(["M ", "RT Start"], "rt_start")
    'RT Start'
    """
    names = list(columns)
    if wanted in names:
        return wanted
    alike = [name for name in names if plain(name) == plain(wanted)]
    if len(alike) == 1:
        return alike[0]
    if alike:
        raise CohortError(f"columns {' and '.join(map(repr, alike))} both read as {wanted!r}", "Rename one.")
    near = difflib.get_close_matches(wanted, names, 1, 0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"The table has: {', '.join(names[:40])}."
    raise CohortError(f"there is no column {wanted!r}", hint[0].upper() + hint[1:])


def name_patients(patients: Iterable[str], most: int = 10) -> str:
    """List patients in a message, cut after ``most``.

    Examples
    --------
    >>> name_patients(["001", "002", "003"], most=2)
    '001, 002 and 1 more'
    """
    ids = list(patients)
    more = f" and {len(ids) - most} more" if len(ids) > most else ""
    return ", ".join(ids[:most]) + more


def read_cells(file: Path, sheet: str | int = 0) -> tuple[pd.DataFrame, list[Finding]]:
    """Read a table as text, nothing interpreted.

    Parameters
    ----------
    file : Path
        CSV (UTF-8 with or without BOM, UTF-16 with BOM, GB18030; separated by
        comma, semicolon or tab) or XLSX.
    sheet : str or int
        Sheet of an XLSX, by name or position.

    Returns
    -------
    DataFrame of str
        Stripped cells, empty text where nothing stands; the index is the line
        in the file, the headers are as written.
    list of Finding
        How the file was read, where that is not plain.

    Raises
    ------
    CohortError
        The file is absent, no table, or a header or line is broken.
    """
    if not file.is_file():
        raise CohortError(f"the table {file.name} does not exist", "Check the path.")
    if file.suffix.lower() in (".xlsx", ".xlsm"):
        return _frame(_excel_rows(file, sheet), file.name), []
    if file.suffix.lower() == ".xls":
        raise CohortError(f"{file.name} is an old Excel file", "Save it as .xlsx or .csv.")
    try:
        text, encoding = _decode(file.read_bytes(), file.name)
    except OSError as error:
        raise CohortError(
            f"{file.name} cannot be opened ({error.strerror})", "Close it elsewhere."
        ) from error
    separator = _separator(text)
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator))
    except csv.Error as error:
        raise CohortError(f"{file.name} is not a CSV table ({error})", "Save it as CSV or XLSX.") from error
    notes = []
    if encoding != "utf-8" or separator != ",":
        notes.append(
            Finding.info(f"read as {encoding}, separated by {_SEPARATORS[separator]}", where=file.name)
        )
    if separator == ";" and any(_DECIMAL_COMMA.fullmatch(cell.strip()) for row in rows for cell in row):
        rows = [
            [c.replace(",", ".") if _DECIMAL_COMMA.fullmatch(c.strip()) else c for c in row] for row in rows
        ]
        notes.append(Finding.info("numbers with a decimal comma read as with a point", where=file.name))
    return _frame(rows, file.name), notes


def _decode(data: bytes, name: str) -> tuple[str, str]:
    if data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        encodings = [("utf-16", "UTF-16")]
    else:
        encodings = [("utf-8-sig", "utf-8"), ("gb18030", "GB18030")]
    for codec, shown in encodings:
        try:
            return data.decode(codec), shown
        except UnicodeDecodeError:
            continue
    raise CohortError(f"{name} is neither UTF-8 nor GB18030 text", "Save it as CSV in UTF-8.")


def _separator(text: str) -> str:
    """Find the separator that splits the header into most columns."""
    header = next((line for line in text.splitlines() if line.strip()), "")
    return max(_SEPARATORS, key=lambda mark: len(next(csv.reader([header], delimiter=mark), [])))


def _excel_rows(file: Path, sheet: str | int) -> list[list[str]]:
    try:
        with warnings.catch_warnings():
            # openpyxl warns of styles and validations it drops; only the values are wanted
            warnings.simplefilter("ignore")
            with pd.ExcelFile(file, engine="openpyxl") as book:
                names = [str(name) for name in book.sheet_names]
                if sheet not in names and not (isinstance(sheet, int) and 0 <= sheet < len(names)):
                    raise CohortError(f"{file.name} has no sheet {sheet!r}", f"It has: {', '.join(names)}.")
                page = book.parse(sheet, header=None, dtype=object, na_filter=False)
    except (BadZipFile, KeyError, ValueError, OSError) as error:
        raise CohortError(f"{file.name} cannot be read as XLSX", "Save it again, or as CSV.") from error
    return [[_cell_text(value) for value in row] for row in page.itertuples(index=False)]


def _cell_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime) and value.time() == datetime.min.time():
        return value.date().isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _frame(rows: list[list[str]], name: str) -> pd.DataFrame:
    numbered = [
        (line, [c.strip() for c in row])
        for line, row in enumerate(rows, start=1)
        if any(c.strip() for c in row)
    ]
    if len(numbered) < 2:
        raise CohortError(f"{name} holds no rows", "It needs a line of column names and a line a patient.")
    header = numbered[0][1]
    while header and not header[-1]:
        header = header[:-1]
    twice = sorted({h for h in header if h and header.count(h) > 1})
    if twice:
        raise CohortError(f"{name} has two columns named {', '.join(twice)}", "Rename one.")
    width = len(header)
    for line, row in numbered[1:]:
        if any(row[width:]):
            raise CohortError(
                f"{name} line {line} has {len(row)} cells, its header {width}",
                "The first line must hold the column names (delete a title above it); "
                "a cell that holds the separator must stand in quotes.",
            )
    lines = [line for line, _ in numbered[1:]]
    cells = [(row + [""] * width)[:width] for _, row in numbered[1:]]
    table = pd.DataFrame(cells, columns=header, index=pd.Index(lines, name="line"), dtype=object)
    return table.loc[:, [bool(h) for h in header]]
