"""One clinical column on its way from text to a type, with the account of how each value was read."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd

from radiomics_npc.cohort.findings import Finding
from radiomics_npc.cohort.tables import name_patients
from radiomics_npc.cohort.vocabulary import LEVELS, NOT_GIVEN, Reader, reader_of
from radiomics_npc.settings import ClinicalSettings

__all__ = ["ColumnReader"]


class ColumnReader:
    """Read one column of text cells, and keep account of it.

    Parameters
    ----------
    name : str
        The standard or extra column it becomes.
    column : str
        Its header in the table.
    cells : Series of str
        Indexed by patient_id.
    settings : ClinicalSettings
        Words that mean missing, and how the study wants values read.

    Attributes
    ----------
    findings : list of Finding
        Odd and unknown values, filled by :meth:`categories` or :meth:`numbers`.

    Examples
    --------
    >>> reader = ColumnReader("N", "N", pd.Series(["N3a", "2"], index=["001", "002"]), ClinicalSettings())
    >>> reader.categories().tolist(), [f.problem for f in reader.findings]
    (['N3', 'N2'], ["'2' read as N2 (1 patient)", "'N3a' read as N3 (1 patient)"])
    """

    def __init__(self, name: str, column: str, cells: pd.Series, settings: ClinicalSettings) -> None:
        self.name = name
        self.column = column
        self.findings: list[Finding] = []
        self._absent = NOT_GIVEN | {word.casefold().strip() for word in settings.missing}
        own: Mapping[str, str | None] = settings.values.get(name, {})  # noqa: PD011 (a setting, no array)
        self._own = {word.casefold().strip(): target for word, target in own.items()}
        self._cells = cells
        self._as_numbers = False

    def holds_titers(self) -> bool:
        """Whether VCA-IgA are titers: a number occurs that is no code (0, 1, 2)."""
        if self.name != "vca_iga":
            return False
        return bool({_number(text) for text in self._cells.unique()} - {None, 0.0, 1.0, 2.0})

    def categories(self, read: Reader | None = None) -> pd.Series:
        """Read the column as a factor; a reader of its own accounts for what it reads."""
        each, read = read is None, read or reader_of(self.name)
        found: dict[str, str | float] = {}
        for text in sorted(self._cells.unique()):
            category = self._read(text, read)
            found[text] = category or np.nan
            if each and category and category.casefold() != text.casefold():
                self._account(text, category)
        values = self._cells.map(found)
        self._account_missing(values)
        levels = LEVELS.get(self.name) or tuple(sorted(values.dropna().unique()))
        return values.astype(pd.CategoricalDtype(list(levels)))

    def numbers(self, read: Reader | None = None) -> pd.Series:
        """Read the column as numbers; a reader of its own accounts for what it reads."""
        self._as_numbers = True
        each, read = read is None, read or (lambda text: text if _number(text) is not None else None)
        found: dict[str, float] = {}
        for text in sorted(self._cells.unique()):
            category = self._read(text, read)
            found[text] = float(category) if category else math.nan
            if each and category and category != text:
                self._account(text, category)
        values = self._cells.map(found).astype(float)
        self._account_missing(values)
        return values

    def _read(self, text: str, read: Reader) -> str | None:
        key = text.casefold()
        if key in self._own:
            target = self._own[key]
            category = "" if target is None else read(target)
            if category is None:
                self._unknown(text, f"values: reads it as {target!r}, which is none of {self.name}'s values")
            elif category == "" and text:
                self._account(text, "missing")
            return category
        if key in self._absent:
            if text:
                self._account(text, "missing")
            return ""
        category = read(text)
        if category is None:
            self._unknown(text, f"{text!r} is no value of {self.name}")
        elif category == "":
            self._account(text, "missing (not assessed)")
        return category

    def _account_missing(self, values: pd.Series) -> None:
        missing = int(values.isna().sum())
        if missing:
            self.findings.append(
                Finding.info(f"{missing} of {len(values)} patients have no {self.name}", where=self.column)
            )

    def _patients(self, text: str) -> list[str]:
        return [str(p) for p in self._cells.index[self._cells == text]]

    def _account(self, text: str, category: str) -> None:
        count = len(self._patients(text))
        people = "patient" if count == 1 else "patients"
        self.findings.append(
            Finding.info(f"{text!r} read as {category} ({count} {people})", where=self.column)
        )

    def _unknown(self, text: str, problem: str) -> None:
        who = self._patients(text)
        people = "" if len(who) == 1 else f" ({len(who)} patients: {name_patients(who)})"
        levels = None if self._as_numbers else LEVELS.get(self.name)
        target = f"one of {', '.join(levels)}" if levels else "a number"
        example = f"{self.name}: {{{text!r}: ...}}"
        remedy = f"Correct it, or add it to clinical.values: {example} ({target}; null = missing)."
        self.findings.append(
            Finding.error(problem + people, remedy, who[0] if len(who) == 1 else "", where=self.column)
        )


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
