"""EBV-DNA given as an amount: log10 per ml, what lies below the detection limit, and a status by cut-off."""

from __future__ import annotations

import math
import re
from functools import cached_property

import pandas as pd

from radiomics_npc.cohort.amounts import Amount, HeaderUnit, parse_amount, parse_header
from radiomics_npc.cohort.columns import ColumnReader
from radiomics_npc.cohort.findings import Finding
from radiomics_npc.cohort.tables import name_patients
from radiomics_npc.cohort.vocabulary import NOT_GIVEN
from radiomics_npc.settings import ClinicalSettings

__all__ = ["LOG_COLUMNS", "holds_amounts", "read_ebv"]

#: Column that amounts become, by their unit: no conversion between the two holds for every assay.
LOG_COLUMNS = {"copies": "ebv_log10_copies_ml", "iu": "ebv_log10_iu_ml"}

_UNITS = {"copies/ml": ("copies", 1.0), "copies/ul": ("copies", 1e3), "iu/ml": ("iu", 1.0)}
_CODES = (None, 1.0, 2.0)
_DECIMALS = re.compile(r"\d+\.(?!\d{3}$)\d+|\d{4,}\.\d+")
_SUBSTITUTES = {"half": (2.0, "half of it"), "root2": (math.sqrt(2.0), "divided by the root of 2")}


def holds_amounts(cells: pd.Series) -> bool:
    """Whether a column of EBV-DNA holds amounts: a number occurs that is no code of a status (0, 1, 2).

    Examples
    --------
    >>> holds_amounts(pd.Series(["0", "1", "positive"])), holds_amounts(pd.Series(["<400", "未检出"]))
    (False, True)
    """
    found = [parse_amount(text) for text in cells.unique()]
    return any(a is not None and (a.value not in _CODES or a.kind is not None) for a in found)


def read_ebv(
    name: str, column: str, cells: pd.Series, settings: ClinicalSettings
) -> tuple[dict[str, pd.Series], list[Finding]]:
    """Read amounts of EBV-DNA.

    Parameters
    ----------
    name : str
        Standard column under which the study may say how values are read.
    column : str
        Header in the table. It may name the unit: ``EBV-DNA (copies/ml)``, ``log10 IU/ml``.
    cells : Series of str
        Indexed by patient_id. A cell may name its own unit.
    settings : ClinicalSettings
        ``ebv`` says the unit, where the table does not, the detection limit, and the cut-off.

    Returns
    -------
    dict of str to Series
        ``ebv_log10_copies_ml`` or ``ebv_log10_iu_ml``: log10 per ml; and ``ebv_dna`` (negative, positive)
        where a cut-off is stated. Of an unknown unit the amounts as they stand, under ``name``; nothing
        where several units occur.
    list of Finding

    Notes
    -----
    Amounts below the detection limit are half of it, or the limit divided by the root of 2
    (``ebv.below_limit``): Hornung and Reed, Appl Occup Environ Hyg 1990;5:46-51, who advise half where
    the distribution is as skewed as here (geometric standard deviation of 3 or more).

    Examples
    --------
    >>> cells = pd.Series(["<400", "12,000", "未检出"], index=["001", "002", "003"])
    >>> found, _ = read_ebv("ebv_dna", "EBV-DNA (copies/ml)", cells, ClinicalSettings())
    >>> found["ebv_log10_copies_ml"].round(3).tolist()
    [2.301, 4.079, 2.301]
    """
    ebv = _EbvColumn(column, cells, settings)
    reader = ColumnReader(name, column, cells, settings)
    if ebv.faults:
        return {}, ebv.faults
    if ebv.without_unit:
        problem = "amounts of EBV-DNA without a unit: kept as they are, no logarithm and no status is made"
        remedy = "State clinical.ebv.unit (copies/ml, copies/ul, iu/ml), or write it in the header."
        amounts = reader.numbers()
        return {name: amounts}, [Finding.warning(problem, remedy, where=column), *reader.findings]
    typed = {LOG_COLUMNS[ebv.kind]: reader.numbers(ebv.log10)}
    findings = [*reader.findings, *ebv.account()]
    if settings.ebv.positive_from is not None:
        status = ColumnReader("ebv_dna", column, cells, settings.model_copy(update={"values": {
            "ebv_dna": settings.values.get(name, {})  # noqa: PD011 (a setting, no array)
        }}))  # fmt: skip
        typed["ebv_dna"] = status.categories(ebv.status)
    else:
        problem = f"EBV-DNA is read as {LOG_COLUMNS[ebv.kind]}; no status is made, for no cut-off is stated"
        remedy = "Name that column under models.clinical, or state clinical.ebv.positive_from."
        findings.append(Finding.info(problem, remedy, where=column))
    return typed, findings


class _EbvColumn:
    """What the cells of a column say together: one unit, one detection limit."""

    def __init__(self, column: str, cells: pd.Series, settings: ClinicalSettings) -> None:
        self.column, self.cells, self.settings = column, cells, settings.ebv
        absent = NOT_GIVEN | {word.casefold().strip() for word in settings.missing}
        given = cells[~cells.str.casefold().isin(absent)]
        self.header: HeaderUnit = parse_header(column)
        self._decimals = any(_DECIMALS.search(text) for text in given.unique())
        self._said = {text: parse_amount(text, log=self.header.log) for text in given.unique()}
        self._given = given
        self.faults = self._unit_faults() + self._doubts()

    @cached_property
    def kind(self) -> str:
        """Copies or international units."""
        return next(iter(self._kinds()))  # type: ignore[return-value]

    def _base(self) -> tuple[str | None, float]:
        """Unit of a cell that names none, and its factor to one per ml."""
        if self.header.kind is not None:
            return self.header.kind, self.header.factor
        return _UNITS[self.settings.unit] if self.settings.unit else (None, 1.0)

    def _kinds(self) -> set[str | None]:
        known = [a for a in self._said.values() if a is not None and a.value is not None]
        return {a.kind or self._base()[0] for a in known}

    def _unit_faults(self) -> list[Finding]:
        stated = _UNITS[self.settings.unit][0] if self.settings.unit else None
        kinds = self._kinds()
        if self.header.kind and stated and self.header.kind != stated:
            problem = f"the header says {_name(self.header.kind)}, clinical.ebv.unit {_name(stated)}"
            return [Finding.error(problem, "Correct one of them.", where=self.column)]
        if len(kinds) > 1:
            problem = "amounts of EBV-DNA in several units: " + ", ".join(sorted(map(_name, kinds)))
            remedy = (
                "State what has none; convert the others by the factor of the assay (none holds for all)."
            )
            return [Finding.error(problem, remedy, where=self.column)]
        return []

    @property
    def without_unit(self) -> bool:
        """Whether neither header, cells nor study say the unit."""
        return self._kinds() <= {None}

    def _doubts(self) -> list[Finding]:
        if self._decimals or self.without_unit:
            return []
        doubtful = [t for t, a in self._said.items() if a is not None and a.doubtful]
        if not doubtful:
            return []
        problem = f"{doubtful[0]!r} may be a decimal number or thousands ({self._count(doubtful)})"
        remedy = "Write amounts without a separator of thousands."
        return [Finding.error(problem, remedy, where=self.column)]

    def _count(self, texts: list[str]) -> str:
        number = int(self.cells.isin(texts).sum())
        return f"{number} patient{'' if number == 1 else 's'}"

    def _amount(self, text: str) -> Amount | None:
        """A cell in units per ml."""
        said = self._said.get(text) or parse_amount(text, log=self.header.log)
        if said is None or said.value is None or said.kind is not None:
            return said
        return Amount(said.value * self._base()[1], said.bound)

    @cached_property
    def limit(self) -> float | None:
        """Detection limit per ml: stated, or the one that all cells such as ``<400`` name."""
        if self.settings.detection_limit is not None:
            return self.settings.detection_limit
        found = [self._amount(text) for text in self._said]
        limits = {a.value for a in found if a is not None and a.bound == "<" and a.value is not None}
        return limits.pop() if len(limits) == 1 else None

    def _limit_of(self, amount: Amount) -> float | None:
        """The limit that an amount lies below; None if it was measured."""
        if amount.bound == "<":
            return self.limit if amount.value is None else amount.value
        if amount.bound == "" and amount.value is not None and self.limit is not None:
            return self.limit if amount.value < self.limit else None
        return None

    def log10(self, text: str) -> str | None:
        """Logarithm of a cell as text; empty where it is not known, None where the cell is no amount."""
        amount = self._amount(text)
        if amount is None:
            return None
        limit = self._limit_of(amount)
        if limit is not None:
            return f"{math.log10(limit / _SUBSTITUTES[self.settings.below_limit][0]):.10g}"
        if amount.value is None or amount.bound == "<":
            return ""
        return f"{math.log10(amount.value):.10g}"

    def status(self, text: str) -> str | None:
        """Negative or positive by the cut-off; empty where the limit lies above it."""
        amount, cut = self._amount(text), self.settings.positive_from
        if amount is None or cut is None:
            return None
        limit = self._limit_of(amount)
        if amount.bound == "<" or limit is not None:
            return "negative" if limit is None or limit <= cut else ""
        if amount.value is None:
            return "positive"
        if amount.value >= cut:
            return "positive"
        return "negative" if amount.bound == "" else ""

    def account(self) -> list[Finding]:
        """How the cells were read."""
        found = {text: self._amount(text) for text in self._said}
        below = [t for t, a in found.items() if a is not None and self._limit_of(a) is not None]
        above = [t for t, a in found.items() if a is not None and a.bound == ">" and a.value is not None]
        detected = [t for t, a in found.items() if a is not None and a.bound == ">" and a.value is None]
        lost = [t for t, a in found.items() if a is not None and a.bound == "<" and self._limit_of(a) is None]
        unit, words = _name(self.kind), _SUBSTITUTES[self.settings.below_limit][1]
        said = "" if self.limit is None else f" of {self.limit:g} {unit}"
        notes = [Finding.info(f"amounts are read as log10 of {unit}", where=self.column)]
        if below:
            problem = f"{self._count(below)} below the detection limit{said}: taken as {words}"
            notes.append(Finding.info(problem, "See clinical.ebv.below_limit.", where=self.column))
        if above:
            problem = f"{self._count(above)} above what was measured ({above[0]!r}): taken as that amount"
            notes.append(Finding.info(problem, where=self.column))
        if detected:
            problem = f"{self._count(detected)} with EBV-DNA detected and no amount: missing"
            notes.append(Finding.info(problem, where=self.column))
        if lost:
            who = [str(p) for p in self.cells.index[self.cells.isin(lost)]]
            problem = f"not detected, and no detection limit is known: missing ({name_patients(who)})"
            notes.append(Finding.error(problem, "State clinical.ebv.detection_limit.", where=self.column))
        return notes


def _name(kind: str | None) -> str:
    return {"copies": "copies/ml", "iu": "IU/ml", None: "unknown"}[kind]
