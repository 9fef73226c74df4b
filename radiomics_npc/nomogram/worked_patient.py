"""One patient read off a nomogram: where the marks stand and what is written beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pandas as pd

from radiomics_npc.errors import CohortError
from radiomics_npc.nomogram.interactions import Group
from radiomics_npc.nomogram.label_places import Room, number_text
from radiomics_npc.nomogram.labels import level_label
from radiomics_npc.nomogram.layout import Row, variable_row
from radiomics_npc.nomogram.scale import Axis, Setting

if TYPE_CHECKING:
    from radiomics_npc.nomogram.nomogram import Nomogram

__all__ = [
    "Mark",
    "Patient",
    "one_row",
    "own_settings",
    "patient_marks",
    "typical_patient",
    "with_patient_rows",
]

Patient: TypeAlias = "Mapping[str, Any] | pd.Series[Any] | pd.DataFrame"


@dataclass(frozen=True)
class Mark:
    """A mark on an axis at ``x`` (0 to 1); what is read there; its points, "" below the total."""

    x: float
    value: str
    points: str = ""


def one_row(patient: Patient) -> pd.DataFrame:
    """A patient as a table of one row, whose index says nothing.

    Raises
    ------
    CohortError
        A table of none or several patients.

    Examples
    --------
    >>> one_row({"age": 50, "N": "N1"})
       age   N
    0   50  N1
    """
    if not isinstance(patient, pd.DataFrame):
        return pd.DataFrame([dict(patient)])
    if len(patient) != 1:
        raise CohortError(f"one patient is drawn, the table has {len(patient)}", "Give one row.")
    return patient.reset_index(drop=True)


def with_patient_rows(nomogram: Nomogram, rows: Sequence[Row], patient: Patient, room: Room) -> list[Row]:
    """Rows with one more for each number that is set elsewhere than the patient's, after the others."""
    X = nomogram.completed(one_row(patient))
    made = list(rows)
    for group in nomogram.groups:
        own = own_settings(group, X)
        if own not in group.settings:
            _, values, effects = group.axis_at(own)
            points = nomogram.scale.points(group.name, effects)
            axis = Axis(group.name, tuple(values), np.asarray(effects), points, own)  # type: ignore[arg-type]
            last = max(i for i, row in enumerate(made) if row.name == group.name)
            made.insert(last + 1, variable_row(axis, room))
    return made


def own_settings(group: Group, X: pd.DataFrame) -> tuple[Setting, ...]:
    """Settings of the axis that holds for a patient, given as one row.

    Examples
    --------
    >>> from radiomics_npc.nomogram.interactions import axis_groups
    >>> from radiomics_npc.survival.terms import Term
    >>> age = Term("age", "linear", (0.1,), range=(20, 80))
    >>> size = Term("size", "linear", (0.1,), range=(0, 9))
    >>> both = Term("age * size", "interaction", (0.2,), ("age * size",), parts=("age", "size"))
    >>> own_settings(axis_groups((age, size, both))[0], pd.DataFrame({"age": [50], "size": [4]}))
    (('size', 4.0),)
    """
    terms = {term.name: term for term in group.terms}
    return tuple(
        (name, terms[name].reads[str(X[name].iloc[0])] if isinstance(value, str) else float(X[name].iloc[0]))
        for name, value in group.settings[0]
    )


def patient_marks(nomogram: Nomogram, rows: Sequence[Row], patient: Patient) -> list[Mark | None]:
    """Marks of a patient on the rows of a nomogram.

    Variables that interact have one mark together, on the axis whose settings are those of
    the patient.

    Parameters
    ----------
    nomogram : Nomogram
    rows : sequence of Row
    patient : mapping, Series or DataFrame of one row

    Returns
    -------
    list of Mark or None
        One a row.

    Raises
    ------
    CohortError
        A value is missing or outside the training range.
    """
    X = nomogram.completed(one_row(patient))
    points, read = nomogram.points_of(X).iloc[0], nomogram.predict(X).iloc[0]
    total = float(points["total_points"]) / nomogram.scale.largest_total
    lp = float(read["linear_predictor"])
    below = iter(_results(nomogram, lp))
    groups = {group.name: group for group in nomogram.groups}
    marks: list[Mark | None] = []
    for row in rows:
        if row.kind == "points":
            marks.append(None)
        elif row.kind == "total":
            marks.append(Mark(total, "", f"{points['total_points']:.1f}"))
        elif row.kind == "linear predictor":
            marks.append(Mark(total, f"{lp:.2f}".replace("-", "−")))
        elif row.kind == "variable":
            own = own_settings(groups[row.name], X) == row.settings
            mark = Mark(points[row.name] / 100, _shown(X[row.name].iloc[0]), f"{points[row.name]:.1f}")
            marks.append(mark if own else None)
        else:
            marks.append(Mark(total, next(below)))
    return marks


def _results(nomogram: Nomogram, lp: float) -> list[str]:
    """What is read on the axes of survival and of its quantiles."""
    made = [f"{survival:.3f}" for survival in nomogram.survival(lp)[0]]
    for quantile in nomogram.quantiles:
        months = float(nomogram.months_to(quantile, lp)[0])
        made.append(f"> {nomogram.baseline_months[-1]:.0f}" if np.isnan(months) else f"{months:.0f}")
    return made


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return level_label(value)
    number = float(value)
    return number_text(round(number) if abs(number) >= 1000 else float(f"{number:.4g}"))


def typical_patient(nomogram: Nomogram, cohort: pd.DataFrame) -> dict[str, float | str]:
    """A made-up patient: the median of every number, the most frequent level of every factor.

    Each column is summed up for itself, so that no patient's row is repeated; medians are
    rounded to three digits.

    Parameters
    ----------
    nomogram : Nomogram
    cohort : DataFrame
        With the columns of the nomogram, or the features of its signature.

    Raises
    ------
    CohortError
        A column is absent, or empty.

    Examples
    --------
    >>> from radiomics_npc.nomogram.nomogram import Nomogram
    >>> from radiomics_npc.survival.terms import Term
    >>> nomogram = Nomogram((Term("age", "linear", (0.02,), range=(20, 70)),), (60,), (0.1,))
    >>> typical_patient(nomogram, pd.DataFrame({"age": [30, 41, 52, 70]}))
    {'age': 46.5}
    """
    X = nomogram.completed(cohort)
    made: dict[str, float | str] = {}
    for term in nomogram.terms:
        if term.kind == "interaction":
            continue
        column = X[term.name].dropna()
        if column.empty:
            raise CohortError(
                f"column {term.name} has no value", "Give a table with all columns of the nomogram."
            )
        if term.kind == "factor":
            made[term.name] = str(column.astype(str).value_counts().index[0])
        else:
            low, high = term.range or (-np.inf, np.inf)
            made[term.name] = float(np.clip(float(f"{pd.to_numeric(column).median():.3g}"), low, high))
    return made
