"""A table of new patients as a model reads it: columns and levels by tolerant names, faults told at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from radiomics_npc.cohort.tables import plain, read_cells
from radiomics_npc.cohort.vocabulary import ALIASES, NOT_GIVEN, reader_of
from radiomics_npc.errors import CohortError
from radiomics_npc.survival.models.prepared import PreparedModel
from radiomics_npc.survival.models.training_range import levels_of
from radiomics_npc.survival.models.tree_model import TreeModel

__all__ = ["NewPatients", "read_patients"]

_MOST = 5  # of names and values in a message


@dataclass(frozen=True, eq=False)
class NewPatients:
    """Columns of a model, by patient_id.

    Parameters
    ----------
    X : DataFrame
        Factors as text with None where missing, all else as numbers; a center as text.
    notes : list of str
        What was read as what.
    """

    X: pd.DataFrame
    notes: list[str]


@dataclass(frozen=True, eq=False)
class _Wanted:
    """Columns that a model asks for: factors with their levels (none for a center), numbers, features."""

    factors: dict[str, list[str]] = field(default_factory=dict)
    numbers: list[str] = field(default_factory=list)
    features: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, model: Any) -> _Wanted:
        """Of a fitted model."""
        if isinstance(model, PreparedModel):
            step, codes = model.preparation_.imputation_, levels_of(model)
            factors = {name: codes.get(name, []) for name in model.table_columns}
            numbers = [name for name in step.columns_ if name in factors and name not in codes]
            kept = {name: levels for name, levels in factors.items() if name not in numbers}
            return cls(kept, numbers, model.feature_columns)
        if isinstance(model, TreeModel):
            known = model.ranges_
            text = {name: list(seen) for name, seen in known.items() if isinstance(seen[0], str)}
            rest = [name for name in known if name not in text]
        else:
            terms = [term for term in model.terms_ if term.kind != "interaction"]
            text = {term.name: list(term.reads) for term in terms if term.kind == "factor"}
            text |= {name: [] for name in model.strata}
            rest = [term.name for term in terms if term.kind != "factor"]
        return cls(text, [c for c in rest if "__" not in c], [c for c in rest if "__" in c])


def read_patients(
    model: Any, table: pd.DataFrame | Path | str, features: pd.DataFrame | Path | str | None = None
) -> NewPatients:
    """Read new patients for a model.

    Parameters
    ----------
    model : fitted model
    table : DataFrame, or path of a CSV, XLSX or parquet file
        One row a patient, with ``patient_id`` as column or index. Headers and levels may differ
        in case, spaces, ``-`` and ``_``, or have a usual other name ("T stage", "t3", "cT3").
    features : the same, optional
        Radiomic features, where they lie in another table, such as ``tables/features.csv`` of a run.

    Returns
    -------
    NewPatients

    Raises
    ------
    CohortError
        No rows, a column is absent, patients without identifier or twice, text in place of numbers.

    Examples
    --------
    >>> from radiomics_npc.cohort.outcome import Outcome
    >>> from radiomics_npc.survival.models.cox import CoxModel
    >>> X = pd.DataFrame({"T": pd.Categorical(["T1", "T3", "T1", "T3", "T1", "T3"])})
    >>> model = CoxModel(min_category=1).fit(X, Outcome([5, 3, 2, 6, 4, 1], [0, 1, 1, 0, 1, 1]))
    >>> new = read_patients(model, pd.DataFrame({"ID": ["7", "8"], "T stage": ["t3", "3"]}))
    >>> new.X["T"].tolist(), new.notes[0]
    (['T3', 'T3'], "patient_id read from column 'ID'")
    """
    cells, where = _cells(table)
    notes: list[str] = []
    cells = _by_patient(cells, where, notes)
    wanted = _Wanted.of(model)
    more = cells if features is None else _joined(cells, features)
    clinical = [*wanted.factors, *wanted.numbers]
    found = {name: _column(cells.columns, name) for name in clinical}
    _refuse_absent([name for name, column in found.items() if column is None], cells, where)
    _refuse_absent_features([name for name in wanted.features if name not in more.columns], wanted, model)
    notes += [f"{name} read from column {column!r}" for name, column in found.items() if column != name]
    made = {name: _factor(name, cells[found[name]], levels, notes) for name, levels in wanted.factors.items()}
    made |= {name: _numbers(name, cells[found[name]]) for name in wanted.numbers}
    made |= {name: _numbers(name, more[name]) for name in wanted.features}
    return NewPatients(pd.DataFrame(made, index=cells.index), notes)


# -- patients --------------------------------------------------------------------------------------


def _cells(table: pd.DataFrame | Path | str) -> tuple[pd.DataFrame, str]:
    """The table as it comes, its index the lines of a file, and how it is called in messages."""
    if not isinstance(table, pd.DataFrame):
        path = Path(table)
        if path.suffix.lower() != ".parquet":
            return read_cells(path)[0], path.name
        if not path.is_file():
            raise CohortError(f"the table {path.name} does not exist", "Check the path.")
        table = pd.read_parquet(path)
    if table.columns.has_duplicates:
        raise CohortError("the table has two columns of one name", "Rename one.")
    if table.index.name == "patient_id" and "patient_id" not in table.columns:
        table = table.reset_index()
    if table.empty:
        raise CohortError("the table holds no rows", "It needs a row a patient.")
    return table.set_axis(pd.RangeIndex(1, len(table) + 1), axis=0), "the table"


def _by_patient(cells: pd.DataFrame, where: str, notes: list[str]) -> pd.DataFrame:
    """The table by patient_id."""
    column = _column(cells.columns, "patient_id")
    if column is None:
        raise CohortError(f"{where} has no column patient_id", "Name each patient in it.")
    if column != "patient_id":
        notes.append(f"patient_id read from column {column!r}")
    ids = cells[column].map(_text)
    for bad, problem, remedy in (
        (ids == "", "without a patient_id", "Name the patient, or delete the line."),
        (
            ids.duplicated(keep=False),
            "with a patient_id that occurs more than once",
            "Keep one line a patient.",
        ),
    ):
        if bad.any():
            raise CohortError(f"{where} has lines {problem}: {_listed(cells.index[bad])}", remedy)
    return cells.drop(columns=column).set_axis(pd.Index(ids, name="patient_id", dtype=object), axis=0)


def _joined(cells: pd.DataFrame, features: pd.DataFrame | Path | str) -> pd.DataFrame:
    """Features of the same patients, NaN for those who have none."""
    other, where = _cells(features)
    found = _by_patient(other, where, [])
    if not cells.index.isin(found.index).any():
        raise CohortError(
            f"{where} holds features of none of the patients", "Write patient_id alike in both tables."
        )
    return found.reindex(cells.index)


def _column(columns: Iterable[Any], wanted: str) -> Any:
    """Header of a column as the table spells it, or None; two that could be it are none."""
    names = [name for name in columns if isinstance(name, str)]
    if wanted in names:
        return wanted
    for usual in (plain(wanted), *ALIASES.get(wanted, ())):
        alike = [name for name in names if plain(name) == usual]
        if alike:
            return alike[0] if len(alike) == 1 else None
    return None


def _refuse_absent(absent: list[str], cells: pd.DataFrame, where: str) -> None:
    if absent:
        has = [str(name) for name in cells.columns if "__" not in str(name)]
        raise CohortError(
            f"{where} lacks columns of the model: {', '.join(absent)}",
            f"It has {_listed(has, 20)}; rename or add them, with empty cells where a value is not known.",
        )


def _refuse_absent_features(absent: list[str], wanted: _Wanted, model: Any) -> None:
    if not absent:
        return
    many = len(absent) if len(absent) < len(wanted.features) else f"all {len(absent)}"
    raise CohortError(
        f"the table lacks {many} radiomic features of the model: {_listed(absent)}",
        f"Extract them{_extraction_words(model)} (all is in its model.json under settings.features), and "
        "give the table of a run as features (--features RUN/tables/features.csv) or as columns of this one.",
    )


def _extraction_words(model: Any) -> str:
    """How the features of a model were made, as far as its file says."""
    made = ((getattr(model, "settings_", None) or {}).get("features") or {}).get("sequences") or {}
    parts = []
    for sequence, recipe in made.items():
        setting = (recipe.get("pyradiomics") or {}).get("setting") or {}
        spacing, bins = setting.get("resampledPixelSpacing"), setting.get("binCount")
        words = [f"normalize {recipe['normalize']}"] if "normalize" in recipe else []
        words += ["bias correction N4"] if recipe.get("bias_correction") else []
        words += [f"spacing {' x '.join(f'{mm:g}' for mm in spacing)} mm"] if spacing else []
        words += [f"{bins} bins"] if bins else []
        parts.append(f"{sequence} ({', '.join(words)})")
    return (
        f" with the settings of the model: {'; '.join(parts)}" if parts else " with the settings of the model"
    )


# -- values ----------------------------------------------------------------------------------------


def _text(value: Any) -> str:
    """A cell as text: numbers without a needless fraction, nothing where it is empty."""
    if value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value)):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def _factor(name: str, cells: pd.Series, levels: list[str], notes: list[str]) -> pd.Series:
    """Levels as the model spells them; what is none of them stays as it is, to be flagged."""
    text = cells.map(_text)
    read: dict[str, str | None] = {value: _level(name, value, levels) for value in text.unique()}
    for value, level in read.items():
        if value and level != value:
            count = int((text == value).sum())
            people = "patient" if count == 1 else "patients"
            notes.append(f"{name}: {value!r} read as {level or 'missing'} ({count} {people})")
    return pd.Series([read[value] for value in text], index=cells.index, name=name, dtype=object)


def _level(name: str, value: str, levels: list[str]) -> str | None:
    """A level, None for a value that says nothing, or the value itself."""
    if value in levels:
        return value
    if (whole := value.removesuffix(".0")) in levels:
        return whole
    if value.casefold() in NOT_GIVEN:
        return None
    alike = [level for level in levels if plain(level) == plain(value) != ""]
    if len(alike) == 1:
        return alike[0]
    usual = reader_of(name)(value)
    if usual == "":
        return None
    return usual if usual in levels else value


def _numbers(name: str, cells: pd.Series) -> pd.Series:
    """A column of numbers; text that says nothing is missing, any other is refused."""
    if pd.api.types.is_numeric_dtype(cells.dtype):
        return cells.astype(float).replace([np.inf, -np.inf], np.nan)
    text = cells.astype(object).map(_text)
    given = ~text.str.casefold().isin(NOT_GIVEN)
    number = pd.to_numeric(text.where(given), errors="coerce").astype(float)
    bad = given & number.isna()
    if bad.any():
        first = text[bad].iloc[0]
        raise CohortError(
            f"column {name}: {int(bad.sum())} of {len(cells)} values are no numbers, such as {first!r:.40}",
            "Write numbers with a point, and leave empty what is not known.",
        )
    return number.replace([np.inf, -np.inf], np.nan).rename(name)


def _listed(names: Iterable[Any], most: int = _MOST) -> str:
    """Names in a message, cut when they are many."""
    shown = [str(name) for name in names]
    more = f" and {len(shown) - most} more" if len(shown) > most else ""
    return ", ".join(shown[:most]) + more
