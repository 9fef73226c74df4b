"""The clinical table: typed columns, and an account of how each value was read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from radiomics_npc.cohort.columns import ColumnReader
from radiomics_npc.cohort.findings import Finding
from radiomics_npc.cohort.tables import find_column, plain, read_cells
from radiomics_npc.cohort.vocabulary import ALIASES, reader_of
from radiomics_npc.errors import CohortError
from radiomics_npc.settings import ClinicalSettings

__all__ = ["index_by_patient", "keep_patients", "read_clinical", "type_columns"]

_NUMBERS = ("age",)


def read_clinical(settings: ClinicalSettings, file: Path) -> tuple[pd.DataFrame, list[Finding]]:
    """Read a clinical table to typed columns.

    Parameters
    ----------
    settings : ClinicalSettings
        Which columns, how values are read, whom to keep.
    file : Path
        CSV or XLSX.

    Returns
    -------
    DataFrame
        Indexed by patient_id (text: "001" stays "001"), patients who are kept.
        ``age`` in years; ``sex``, ``T``, ``N``, ``M``, ``stage``, ``pathology``,
        ``center``, ``scanner`` and extra factors as categories; ``ebv_dna`` and
        ``vca_iga`` as negative/positive, or as numbers where the table holds
        copies or titers. Columns the table does not have are absent.
    list of Finding
        Which column was taken for which, how each odd value was read, and every
        unknown value as an error.

    Raises
    ------
    CohortError
        The file is no table, or no column holds the patient.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "clinical.csv"
    >>> _ = file.write_text("ID,Gender,T stage\\n001,F,T3a\\n002,M,2\\n", encoding="utf-8")
    >>> table, findings = read_clinical(ClinicalSettings(), file)
    >>> table
                   sex   T
    patient_id
    001         female  T3
    002           male  T2
    >>> [f.problem for f in findings if "T3a" in f.problem]
    ["'T3a' read as T3 (1 patient)"]
    """
    cells, notes = read_cells(file, settings.sheet)
    cells, faults = index_by_patient(cells, settings, file.name)
    typed, seen = type_columns(cells, settings)
    kept, left_out = keep_patients(typed, settings)
    return kept, [*notes, *faults, *seen, *left_out]


def index_by_patient(
    cells: pd.DataFrame, settings: ClinicalSettings, name: str
) -> tuple[pd.DataFrame, list[Finding]]:
    """Set the patient column as index; rows without or with a repeated patient are errors and dropped."""
    wanted = settings.columns.get("patient_id")
    column, rivals = (
        (find_column(cells.columns, wanted), []) if wanted else _by_alias(list(cells.columns), "patient_id")
    )
    if column is None:
        raise CohortError(
            f"{name} has no column for the patient",
            f"Name it under clinical.columns: patient_id. The table has: {', '.join(cells.columns[:40])}.",
        )
    findings = []
    if rivals:
        both = " and ".join(repr(c) for c in (column, *rivals))
        remedy = "Name one: columns: patient_id."
        findings.append(Finding.error(f"columns {both} could both be the patient", remedy, where=name))
    elif not wanted:
        remedy = "Overrule it under clinical.columns."
        findings.append(Finding.info(f"the patient is read from column {column!r}", remedy, where=name))
    ids = cells[column]
    blank = ids == ""
    if blank.any():
        lines = ", ".join(str(line) for line in cells.index[blank])
        remedy = "Give the patient, or delete the line."
        findings.append(Finding.error(f"no patient in line {lines}", remedy, where=column))
    for patient in ids[~blank & ids.duplicated()].unique():
        lines = ", ".join(str(line) for line in cells.index[ids == patient])
        problem = f"patient occurs more than once in {name} (lines {lines})"
        findings.append(Finding.error(problem, "Keep one line a patient.", patient, where=column))
    kept = cells[~blank & ~ids.duplicated()]
    return kept.drop(columns=column).set_axis(pd.Index(kept[column], name="patient_id"), axis=0), findings


def _by_alias(columns: list[str], name: str) -> tuple[str | None, list[str]]:
    """Column known by a usual name; the better-known name wins, equals are returned as rivals."""
    for alias in ALIASES[name]:
        alike = [c for c in columns if plain(c) == alias]
        if alike:
            return alike[0], alike[1:]
    return None, []


def _find_columns(cells: pd.DataFrame, settings: ClinicalSettings) -> tuple[dict[str, str], list[Finding]]:
    """Find standard and extra columns: by the study's word, else by their usual names."""
    asked = {**settings.columns, **{name: extra.column for name, extra in settings.extra.items()}}
    asked.pop("patient_id", None)
    stated, faults = _stated_columns(cells, asked, settings)
    guessed: dict[str, str] = {}
    for name in ALIASES.keys() - {"patient_id", *asked}:
        free = [c for c in cells.columns if c not in stated.values()]
        column, rivals = _by_alias(free, name)
        if rivals:
            both = " and ".join(repr(c) for c in (column, *rivals))
            faults.append(
                Finding.error(f"columns {both} could both be {name}", f"Name one: columns: {name}.")
            )
        elif column is not None:
            guessed[name] = column
    # in the order of ALIASES, whatever the order of a set
    found = {name: (stated | guessed)[name] for name in [*ALIASES, *asked] if name in stated | guessed}
    absent = [name for name in ALIASES if name not in {*found, *asked, "patient_id"}]
    remedy = "Overrule it under clinical.columns."
    for how, names in (("read as the study says", stated), ("recognized by their names", guessed)):
        if names:
            listed = ", ".join(f"{name} from {found[name]!r}" for name in found if name in names)
            faults.append(Finding.info(f"columns {how}: {listed}", remedy if names is guessed else ""))
    if absent:
        faults.append(Finding.info(f"columns not found: {', '.join(absent)}", remedy))
    return found, faults


def _stated_columns(
    cells: pd.DataFrame, asked: Mapping[str, str], settings: ClinicalSettings
) -> tuple[dict[str, str], list[Finding]]:
    found, faults = {}, []
    for name, wanted in asked.items():
        if name in settings.extra and name in ALIASES:
            faults.append(Finding.error(f"extra: {name} is a standard column", "Name it under columns:."))
        elif name in settings.extra and "__" in name:
            faults.append(Finding.error(f"extra: {name} reads like a feature", "Leave out the double _."))
        elif name not in settings.extra and name not in ALIASES:
            faults.append(Finding.error(f"columns: {name} is no standard column", "Name it under extra:."))
        else:
            try:
                found[name] = find_column(cells.columns, wanted)
            except CohortError as error:
                faults.append(Finding.error(f"{name}: {error.message}", error.remedy, where=wanted))
    return found, faults


def type_columns(cells: pd.DataFrame, settings: ClinicalSettings) -> tuple[pd.DataFrame, list[Finding]]:
    """Turn text cells, indexed by patient_id, into typed columns."""
    found, findings = _find_columns(cells, settings)
    for name in settings.values:  # noqa: PD011 (a setting, no array)
        if name not in found:
            findings.append(
                Finding.error(f"values: names {name!r}, which is no column read", "Correct the name.")
            )
    typed: dict[str, pd.Series] = {}
    for name, column in found.items():
        extra = settings.extra.get(name)
        number = name in _NUMBERS or (extra is not None and extra.kind == "number")
        reader = ColumnReader(name, column, cells[column], settings)
        typed[name] = reader.numbers() if number or reader.holds_amounts() else reader.categories()
        findings.extend(reader.findings)
        if name == "age":
            findings.extend(_implausible_ages(typed[name], column))
    return pd.DataFrame(typed, index=cells.index), findings


def _implausible_ages(age: pd.Series, column: str) -> list[Finding]:
    findings = []
    for patient, years in age[(age < 5) | (age > 100)].items():
        report = Finding.warning if 0 < years <= 120 else Finding.error
        findings.append(
            report(f"age {years:g} years", "Check it against the record.", str(patient), where=column)
        )
    return findings


def keep_patients(table: pd.DataFrame, settings: ClinicalSettings) -> tuple[pd.DataFrame, list[Finding]]:
    """Keep the patients that ``settings.keep`` names; say how many were left out and why."""
    findings = []
    keep = pd.Series(True, index=table.index)
    for name, wanted in settings.keep.items():
        if name not in table.columns or not isinstance(table[name].dtype, pd.CategoricalDtype):
            findings.append(
                Finding.error(f"keep: names {name!r}, which is no factor read", "Correct the name.")
            )
            continue
        read = reader_of(name)
        levels = [read(text) or text for text in wanted]
        texts = table[name].astype(object)
        strange = [level for level in levels if level not in set(texts.dropna())]
        if strange:
            findings.append(
                Finding.warning(f"keep: no patient has {name} {', '.join(strange)}", "Check keep:.")
            )
        out = ~texts.isin(levels)
        counts = texts[out].fillna("missing").value_counts()
        if out.any():
            each = ", ".join(f"{value}: {count}" for value, count in counts.items())
            findings.append(
                Finding.info(
                    f"{int(out.sum())} left out, for only {name} {', '.join(levels)} is kept ({each})",
                    where="keep",
                )
            )
        keep &= ~out
    return table[keep], findings
