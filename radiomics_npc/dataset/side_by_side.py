"""A cell of a table with the published figure of the same beside it, and the tables that cells make."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Final

import pandas as pd

__all__ = [
    "ALL", "COHORT", "DAGGER", "PUBLISHED", "UNKNOWN", "Cell", "cells_frame", "paired_rows", "wide_table",
]  # fmt: skip

ALL: Final = "All"
UNKNOWN: Final = "–"
COHORT, PUBLISHED = "this cohort", "published"
DAGGER: Final = " †"


@dataclass(frozen=True)
class Cell:
    """What a cohort has where a published table has its figure.

    Parameters
    ----------
    table : int
        1 to 4.
    variable, level : str
        Row, as printed.
    group : str
        Column: a sequence or a stage group.
    this_cohort, published : str
        As printed; a dash for what is unknown.
    known, missing : int
        Patients or series of this cohort whose value is known, and is not.
    outside : int
        Those whose value lies outside the published range, or whose level the published group does not have.
    """

    table: int
    variable: str
    level: str
    group: str
    this_cohort: str
    published: str
    known: int = 0
    missing: int = 0
    outside: int = 0

    @property
    def marked(self) -> str:
        """Figure of the cohort, with a mark where something lies outside the published range."""
        return self.this_cohort + DAGGER * bool(self.outside)


def cells_frame(cells: Iterable[Cell]) -> pd.DataFrame:
    """One row a cell.

    Examples
    --------
    >>> cells_frame([Cell(3, "Achieva", "", "all", "2 (100.0%)", "146 (52.7%)", 2)]).shape
    (1, 9)
    """
    return pd.DataFrame([asdict(cell) for cell in cells], columns=list(Cell.__annotations__))


def wide_table(cells: Iterable[Cell]) -> pd.DataFrame:
    """The table as published, each column with the published one beside it.

    Parameters
    ----------
    cells : iterable of Cell
        Of one table, row by row.

    Returns
    -------
    DataFrame
        Variable, Level (where there are levels), ``{group}, this cohort`` and ``{group}, published`` for
        every group (without its name, if all patients are the only one), Missing (of this cohort, over all
        groups).

    Examples
    --------
    >>> cells = [Cell(1, "TE (ms)", "", "T1", "15", "12", 1), Cell(1, "TE (ms)", "", "T2", "90", "80", 1, 2)]
    >>> wide_table(cells).to_dict("records")
    [{'Variable': 'TE (ms)', 'T1, this cohort': '15', 'T1, published': '12',
      'T2, this cohort': '90', 'T2, published': '80', 'Missing': '2'}]
    """
    found = list(cells)
    one = {cell.group for cell in found} == {ALL}
    rows: dict[tuple[str, str], dict[str, str]] = {}
    missing: dict[tuple[str, str], int] = {}
    for cell in found:
        key = (cell.variable, cell.level)
        row = rows.setdefault(key, {"Variable": cell.variable, "Level": cell.level})
        row[_head(cell.group, COHORT, one)] = cell.marked
        row[_head(cell.group, PUBLISHED, one)] = cell.published
        missing[key] = missing.get(key, 0) + cell.missing
    table = pd.DataFrame(list(rows.values())).fillna(UNKNOWN)
    if not table["Level"].any():
        table = table.drop(columns="Level")
    return table.assign(Missing=[str(n) if n else "" for n in missing.values()])


def _head(group: str, which: str, one: bool) -> str:
    return which.capitalize() if one else f"{group}, {which}"


def paired_rows(cells: Iterable[Cell]) -> pd.DataFrame:
    """The same with the published figure under that of the cohort: for a page too narrow for pairs of
    columns.

    Examples
    --------
    >>> cells = [Cell(1, "TE (ms)", "", "T1", "15", "12", 1), Cell(1, "TE (ms)", "", "T2", "90", "80", 1)]
    >>> paired_rows(cells).to_numpy().tolist()
    [['TE (ms)', 'this cohort', '15', '90'], ['', 'published', '12', '80']]
    """
    rows: dict[tuple[str, str], list[dict[str, str]]] = {}
    before = ""
    for cell in cells:
        key = (cell.variable, cell.level)
        if key not in rows:
            name = cell.variable if cell.variable != before else ""
            before = cell.variable
            rows[key] = [
                {"Variable": name, "Level": cell.level, "Figures": COHORT},
                {"Variable": "", "Level": "", "Figures": PUBLISHED},
            ]
        rows[key][0][cell.group], rows[key][1][cell.group] = cell.marked, cell.published
    table = pd.DataFrame([row for pair in rows.values() for row in pair]).fillna(UNKNOWN)
    return table if table["Level"].any() else table.drop(columns="Level")
