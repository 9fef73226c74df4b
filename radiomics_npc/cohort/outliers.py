"""Values far from all others, and patients who stand in a clinical table twice."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from radiomics_npc.cohort.cases import Cohort
from radiomics_npc.cohort.findings import Finding
from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.cohort.tables import name_patients

__all__ = ["check_clinical", "find_outliers", "find_repeated_rows", "robust_outliers"]

_LIMIT = 3.5
_FEWEST = 20
_MANY = 0.05
_SHORT_MONTHS = 12.0
_OTHER_UNIT = 8.0
#: A row that chance alone would repeat less often than this in such a cohort is one patient twice.
_CHANCE = 0.01


def robust_outliers(values: NDArray[np.float64] | pd.Series) -> NDArray[np.bool_]:
    """Values far from the others, by a rule that the outliers themselves do not move.

    Parameters
    ----------
    values : array, shape (n,)
        Missing values are no outliers.

    Returns
    -------
    array of bool, shape (n,)
        Modified z-score, 0.6745 |x - median| / MAD, above 3.5 (Iglewicz and Hoaglin, How to detect and handle
        outliers, 1993); of positive values also that of their logarithms, so that a long tail is no outlier.
        Nobody where fewer than 20 values are known, or half of them are equal.

    Examples
    --------
    >>> ages = np.append(np.linspace(30, 70, 40), 540.0)
    >>> np.flatnonzero(robust_outliers(ages)).tolist()
    [40]
    """
    numbers = np.asarray(values, dtype=float)
    known = np.isfinite(numbers)
    if known.sum() < _FEWEST:
        return np.zeros(len(numbers), dtype=bool)
    found = _scores(numbers, known) > _LIMIT
    if (numbers[known] > 0).all():
        logs = np.log(numbers, out=np.zeros_like(numbers), where=known)
        found &= _scores(logs, known) > _LIMIT
    return np.asarray(found & known)


def _scores(numbers: NDArray[np.float64], known: NDArray[np.bool_]) -> NDArray[np.float64]:
    middle = np.median(numbers[known])
    spread = np.median(np.abs(numbers[known] - middle))
    if spread == 0:
        return np.zeros(len(numbers))
    return np.asarray(0.6745 * np.abs(np.where(known, numbers, middle) - middle) / spread)


def check_clinical(cohort: Cohort) -> list[Finding]:
    """Outliers of the clinical numbers, patients entered twice, and follow-up that looks like years.

    Parameters
    ----------
    cohort : Cohort
        Without a clinical table there is nothing to check.

    Examples
    --------
    >>> check_clinical(Cohort(cases=()))
    []
    """
    if cohort.clinical is None:
        return []
    numbers = cohort.clinical.select_dtypes("number")
    findings = [f for name in numbers.columns for f in find_outliers(numbers[name])]
    findings += find_repeated_rows(cohort.clinical, cohort.outcome)
    y = cohort.outcome
    if y is not None and len(y) >= _FEWEST and float(y.time_months.max()) < _SHORT_MONTHS:
        problem = f"nobody was followed for longer than {float(y.time_months.max()):.1f} months: years?"
        findings.append(Finding.warning(problem, "Check outcome.unit.", where="outcome"))
    return findings


def find_outliers(values: pd.Series) -> list[Finding]:
    """Say which values of a column are outliers.

    Parameters
    ----------
    values : Series of float
        Indexed by patient_id; its name is that of the column.

    Returns
    -------
    list of Finding
        A warning a patient; one for all where they are more than a twentieth (two units in one column?).
    """
    out = pd.Series(robust_outliers(values), index=values.index)
    known = values.dropna()
    if not out.any():
        return []
    low, middle, high = np.percentile(known, [25, 50, 75])
    others = f"median {middle:g}, middle half {low:g} to {high:g}"
    remedy = "Check value and unit against the record."
    if out.sum() > max(2, _MANY * len(known)):
        who = name_patients(str(p) for p in values.index[out])
        problem = f"{int(out.sum())} values of {values.name} lie far from the others ({others}): {who}"
        return [Finding.warning(f"{problem}. Two units in one column?", remedy, where=str(values.name))]
    findings = []
    for patient, value in values[out].items():
        problem = f"{values.name} {value:g} lies far from the others ({others})"
        ratio = value / middle if middle > 0 and value > 0 else 1.0
        if not 1 / _OTHER_UNIT < ratio < _OTHER_UNIT:
            times = f"{ratio:.0f} times" if ratio > 1 else f"1/{1 / ratio:.0f} of"
            problem += f", {times} the median: another unit?"
        findings.append(Finding.warning(problem, remedy, str(patient), where=str(values.name)))
    return findings


def find_repeated_rows(clinical: pd.DataFrame, outcome: Outcome | None = None) -> list[Finding]:
    """Patients who have every clinical value, time and event of another one.

    Parameters
    ----------
    clinical : DataFrame
        Indexed by patient_id.
    outcome : Outcome, optional

    Returns
    -------
    list of Finding
        Warnings, where so many equal values are no chance: the number of patients, times the share of them
        who have this combination of factors, times the share who have each number, is below 0.01.
    """
    names = [c for c in clinical.columns if c not in ("center", "scanner")]
    table = clinical[names].astype(object)
    if outcome is not None:
        followed = outcome.to_frame()[["time_months", "event"]].round({"time_months": 3})
        table = table.join(followed.astype(object))
    table = table.where(table.notna(), "")
    # factors depend on each other, so their combination is counted as one
    numbers = [c for c in table.columns if c == "time_months" or _is_number(clinical, c)]
    factors = pd.Series(list(table.drop(columns=numbers).itertuples(index=False, name=None)), table.index)
    parts = [factors, *(table[c] for c in numbers)]
    chance = len(table) * np.prod([part.map(part.value_counts(normalize=True)) for part in parts], axis=0)
    rows: dict[tuple[object, ...], list[str]] = defaultdict(list)
    for k, (patient, row) in enumerate(
        zip(table.index, table.itertuples(index=False, name=None), strict=True)
    ):
        if chance[k] < _CHANCE:
            rows[row].append(str(patient))
    remedy = "One patient twice? Twice in a study, they are in two folds: leave one out."
    return [
        Finding.warning(f"every clinical value is that of patient {first}", remedy, patient, where="clinical")
        for first, *others in rows.values()
        for patient in others
    ]


def _is_number(table: pd.DataFrame, name: str) -> bool:
    return name in table.columns and pd.api.types.is_numeric_dtype(table[name].dtype)
