"""The clinical table: typed columns, and an account of how each value was read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from radiomics_npc.cohort.amounts import parse_header
from radiomics_npc.cohort.columns import ColumnReader
from radiomics_npc.cohort.ebv import holds_amounts, read_ebv
from radiomics_npc.cohort.findings import Finding
from radiomics_npc.cohort.tables import find_column, plain, read_cells
from radiomics_npc.cohort.units import age_reader, age_unit, without_unit
from radiomics_npc.cohort.vocabulary import ALIASES, NOT_GIVEN, reader_of
from radiomics_npc.errors import CohortError
from radiomics_npc.settings import ClinicalSettings

__all__ = ["index_by_patient", "keep_patients", "read_clinical", "type_columns"]

_NUMBERS = ("metastatic_lesions",)
_OLDEST = 120


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
        ``center``, ``scanner`` and extra factors as categories; ``ebv_dna`` as
        negative/positive, amounts of it as ``ebv_log10_copies_ml`` (see
        :func:`radiomics_npc.cohort.ebv.read_ebv`); ``vca_iga`` as
        negative/positive, or as numbers where the table holds titers. For
        version 9 of the stages ``M1`` (M1a, M1b), ``metastatic_lesions`` and
        ``advanced_ene``. Columns the table does not have are absent.
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
    alike = [c for c in columns if _named_with_unit(c, name)]
    return (alike[0], alike[1:]) if alike else (None, [])


def _named_with_unit(header: str, name: str) -> bool:
    """Whether a header is a usual name and a unit."""
    if name == "age":
        return plain(without_unit(header)) in ALIASES["age"]
    unit = parse_header(header)
    return (
        name == "ebv_amount"
        and unit.kind is not None
        and plain(unit.name) in (*ALIASES["ebv_dna"], *ALIASES["ebv_amount"])
    )


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
        columns, seen = _type_column(name, column, cells[column], settings)
        typed |= {new: values for new, values in columns.items() if new not in typed}
        findings.extend(seen)
    if "M1" not in typed and "M" in found:
        typed |= _split_m1(cells[found["M"]])
    return pd.DataFrame(typed, index=cells.index), findings


def _type_column(
    name: str, column: str, cells: pd.Series, settings: ClinicalSettings
) -> tuple[dict[str, pd.Series], list[Finding]]:
    """One column of the table as the columns it becomes."""
    if name == "ebv_amount" or (name == "ebv_dna" and holds_amounts(cells)):
        return read_ebv(name, column, cells, settings)
    extra = settings.extra.get(name)
    reader = ColumnReader(name, column, cells, settings)
    if name == "age":
        age = reader.numbers(age_reader(column))
        return {name: age}, [*reader.findings, *_age_units(column, cells, age)]
    number = name in _NUMBERS or (extra is not None and extra.kind == "number")
    values = reader.numbers() if number or reader.holds_titers() else reader.categories()
    return {name: values}, reader.findings


def _split_m1(cells: pd.Series) -> dict[str, pd.Series]:
    """M1a and M1b of version 9, where the column of M names them."""
    read = reader_of("M1")
    parts = cells.map(lambda text: read(text) or None)
    return {"M1": parts.astype(pd.CategoricalDtype(["M1a", "M1b"]))} if parts.notna().any() else {}


def _age_units(column: str, cells: pd.Series, age: pd.Series) -> list[Finding]:
    """What the ages were divided by, and ages that cannot be."""
    unit = age_unit(column) or "years"
    findings = []
    if unit != "years":
        findings.append(Finding.info(f"ages in {unit} by their header, turned into years", where=column))
    units = {age_unit(text) for text in cells.unique() if text.casefold() not in NOT_GIVEN} - {None, unit}
    if units:
        words = ", ".join(sorted(map(str, units)))
        findings.append(Finding.info(f"some ages name a unit of their own ({words})", where=column))
    if age.notna().any() and age.median() > _OLDEST:
        problem = f"half of all ages are above {age.median():.0f} years: months or days?"
        remedy = "Name the unit in the header, as in 'age (months)'."
        return [*findings, Finding.error(problem, remedy, where=column)]
    return findings + _implausible_ages(age, column)


def _implausible_ages(age: pd.Series, column: str) -> list[Finding]:
    findings = []
    for patient, years in age[(age < 5) | (age > 100)].items():
        report = Finding.warning if 0 < years <= _OLDEST else Finding.error
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
