"""Table 1: the patients at baseline, with missing values and standardized differences."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pandas as pd

from radiomics_npc.cohort.cases import Cohort
from radiomics_npc.errors import CohortError

__all__ = ["standardized_difference", "table_one"]


def table_one(cohort: Cohort, by: str | None = None) -> pd.DataFrame:
    """Describe the patients at baseline.

    Parameters
    ----------
    cohort : Cohort
        With a clinical table.
    by : str, optional
        ``"event"``, ``"center"`` or another factor: one more column for each
        of its groups, and the standardized difference between them.

    Returns
    -------
    DataFrame
        Columns variable, level, all and, with ``by``, one a group and ``smd``;
        then missing (number of patients). Numbers are given as median (lower to
        upper quartile), factors as n (%) of those known.

    Raises
    ------
    CohortError
        There is no clinical table, or no such factor.

    Notes
    -----
    Standardized difference of numbers and of factors with k levels: Yang and
    Dalton, SAS Global Forum 2012, paper 335; of more than two groups the
    largest of all pairs.

    Examples
    --------
    >>> from radiomics_npc.cohort.cases import Case
    >>> clinical = pd.DataFrame({"age": [40.0, 50.0, 60.0]}, index=["a", "b", "c"])
    >>> table_one(Cohort(tuple(map(Case, "abc")), clinical))
       variable level                all  missing
    0  patients                       3        0
    1       age        50.0 (45.0 to 55.0)     0
    """
    if cohort.clinical is None:
        raise CohortError(
            "the cohort has no clinical table to describe", "Name it under cohort.clinical.file."
        )
    table = cohort.clinical.reindex(cohort.patient_ids)
    if cohort.outcome is not None:
        followed = cohort.outcome.to_frame().reindex(table.index)
        table = table.assign(
            follow_up_months=followed["time_months"],
            event=followed["event"]
            .map({True: "yes", False: "no"})
            .astype(pd.CategoricalDtype(["no", "yes"])),
        )
    groups = _groups(table, by)
    rows = [_count_row(table, groups)]
    for name in table.columns:
        # a factor does not differ from itself
        others = {} if name == by else groups
        rows += (
            _number_rows(table[name], others)
            if _is_number(table[name])
            else _factor_rows(table[name], others)
        )
    columns = ["variable", "level", "all", *groups, *(["smd"] if groups else []), "missing"]
    result = pd.DataFrame(rows, columns=columns)
    return result.astype({"missing": "Int64"})


def _is_number(values: pd.Series) -> bool:
    return bool(pd.api.types.is_numeric_dtype(values.dtype))


def _groups(table: pd.DataFrame, by: str | None) -> dict[str, pd.Index]:
    if by is None:
        return {}
    if by not in table.columns or _is_number(table[by]):
        raise CohortError(f"{by!r} is no factor of this cohort", "Choose event, center or another factor.")
    levels = table[by].astype("category").cat.categories
    found = {f"{by}: {level}": table.index[table[by] == level] for level in levels}
    return {name: rows for name, rows in found.items() if len(rows)}


def _count_row(table: pd.DataFrame, groups: dict[str, pd.Index]) -> dict[str, object]:
    counts = {name: str(len(rows)) for name, rows in groups.items()}
    return {"variable": "patients", "level": "", "all": str(len(table)), **counts, "missing": 0}


def _summary(values: pd.Series) -> str:
    known = values.dropna()
    if known.empty:
        return ""
    low, middle, high = np.percentile(known, [25, 50, 75])
    return f"{middle:.1f} ({low:.1f} to {high:.1f})"


def _number_rows(values: pd.Series, groups: dict[str, pd.Index]) -> list[dict[str, object]]:
    row: dict[str, object] = {"variable": values.name, "level": "", "all": _summary(values)}
    row |= {name: _summary(values.loc[rows]) for name, rows in groups.items()}
    if groups:
        row["smd"] = _largest_difference(values, groups)
    return [row | {"missing": int(values.isna().sum())}]


def _factor_rows(values: pd.Series, groups: dict[str, pd.Index]) -> list[dict[str, object]]:
    categories = values.astype("category").cat.categories
    present = [c for c in categories if (values == c).any()]
    rows = []
    for position, level in enumerate(present):
        row: dict[str, object] = {"variable": values.name, "level": str(level), "all": _share(values, level)}
        row |= {name: _share(values.loc[ids], level) for name, ids in groups.items()}
        if position == 0:
            row["missing"] = int(values.isna().sum())
            if groups:
                row["smd"] = _largest_difference(values, groups)
        rows.append(row)
    return rows


def _share(values: pd.Series, level: object) -> str:
    known = int(values.notna().sum())
    count = int((values == level).sum())
    return f"{count} ({100 * count / known:.1f}%)" if known else "0"


def _largest_difference(values: pd.Series, groups: dict[str, pd.Index]) -> float:
    pairs = combinations(groups.values(), 2)
    found = [standardized_difference(values.loc[a], values.loc[b]) for a, b in pairs]
    known = [d for d in found if not math.isnan(d)]
    return max(known) if known else math.nan


def standardized_difference(first: pd.Series, second: pd.Series) -> float:
    """Standardized mean difference of two groups, not negative; NaN where a group has no known value.

    Parameters
    ----------
    first, second : Series
        Values of one column in two groups; numbers, or a factor. Missing values
        are left out.

    Returns
    -------
    float
        For numbers |mean1 - mean2| / sqrt((var1 + var2) / 2). For a factor the
        Mahalanobis distance of the two vectors of shares (without the first
        level) under the mean of their covariances.

    Examples
    --------
    >>> a, b = pd.Series([1.0, 2.0, 3.0]), pd.Series([2.0, 3.0, 4.0])
    >>> standardized_difference(a, b)
    1.0
    """
    one, two = first.dropna(), second.dropna()
    if one.empty or two.empty:
        return math.nan
    if _is_number(first):
        gap = abs(float(one.mean() - two.mean()))
        pooled = (
            math.sqrt((float(one.var()) + float(two.var())) / 2) if min(len(one), len(two)) > 1 else math.nan
        )
        return gap / pooled if pooled else (0.0 if gap == 0 else math.inf)
    levels = sorted(set(one) | set(two), key=str)[1:]
    p = np.array([float((one == level).mean()) for level in levels])
    q = np.array([float((two == level).mean()) for level in levels])
    covariance = (np.diag(p) - np.outer(p, p) + np.diag(q) - np.outer(q, q)) / 2
    if not levels or np.array_equal(p, q):
        return 0.0
    if np.linalg.matrix_rank(covariance) < len(levels):
        # the two groups share no level: no common scale exists
        return math.inf
    return float(np.sqrt((p - q) @ np.linalg.solve(covariance, p - q)))
