"""Fast looks at thousands of columns: near-constant, univariate score test, correlation.

References
----------
Cox DR, Oakes D. Analysis of Survival Data. Chapman & Hall 1984 (score test).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.survival.estimation.baseline import event_risk_weights

__all__ = ["Screen", "decorrelate", "near_constant", "score_tests", "screen_features"]

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]
_NO_SPREAD = 1e-9


def near_constant(matrix: Floats, *, max_share: float = 0.95) -> NDArray[np.bool_]:
    """Columns where one value is held by more than ``max_share`` of the patients, or nothing is known.

    Parameters
    ----------
    matrix : array, shape (n, p)
        May hold NaN, which does not count.
    max_share : float

    Returns
    -------
    array of bool, shape (p,)

    Examples
    --------
    >>> near_constant(np.array([[1.0, 1.0], [1.0, 2.0], [1.0, 3.0]])).tolist()
    [True, False]
    """
    return _near_constant(matrix, _medians(matrix), max_share)


def _near_constant(matrix: Floats, median: Floats, max_share: float) -> NDArray[np.bool_]:
    # A value held by more than half of the patients is the median.
    known = np.isfinite(matrix).sum(axis=0)
    distance = np.abs(matrix - median)
    same = (distance <= _NO_SPREAD * np.maximum(np.abs(median), 1e-300)).sum(axis=0)
    result: NDArray[np.bool_] = (known < 2) | (same > max_share * known)
    return result


def _medians(matrix: Floats) -> Floats:
    """Median of each column over the values that are known; NaN where none is."""
    columns = np.ascontiguousarray(matrix.T)
    unknown = ~np.isfinite(columns)
    some = unknown.any(axis=1)
    result = np.empty(len(columns))
    result[~some] = np.median(columns[~some], axis=1) if (~some).any() else 0.0
    for k in np.flatnonzero(some):
        values = columns[k][~unknown[k]]
        result[k] = np.median(values) if len(values) else np.nan
    return result


def score_tests(matrix: Floats, y: Outcome) -> tuple[Floats, Floats]:
    """Cox score test of every column alone, Efron ties, all columns at once.

    Parameters
    ----------
    matrix : array, shape (n, p)
        No missing values.
    y : Outcome

    Returns
    -------
    chi_square : array, shape (p,)
        One degree of freedom; 0 for a constant column. Equals R's ``coxph(...)$score``.
    coefficient : array, shape (p,)
        One Newton step from 0: the log hazard ratio for one unit, approximately.

    Examples
    --------
    >>> y = Outcome([1, 2, 3, 4], [1, 1, 1, 1])
    >>> chi_square, coefficient = score_tests(np.array([[3.0], [2.0], [2.0], [0.0]]), y)
    >>> chi_square.round(3).tolist(), coefficient.round(3).tolist()
    ([2.765], [0.948])
    """
    center, spread = matrix.mean(axis=0), matrix.std(axis=0)
    flat = spread <= _NO_SPREAD * np.maximum(np.abs(center), 1e-300)
    scale = np.where(flat, 1.0, spread)
    scaled = np.where(flat, 0.0, (matrix - center) / scale)
    weights, _ = event_risk_weights(y, np.zeros(len(y)))
    means = weights @ scaled
    score = scaled[y.event].sum(axis=0) - means.sum(axis=0)
    information = weights.sum(axis=0) @ scaled**2 - np.einsum("ij,ij->j", means, means)
    usable = ~flat & (information > 1e-12)
    safe = np.where(usable, information, 1.0)
    return np.where(usable, score**2 / safe, 0.0), np.where(usable, score / safe / scale, 0.0)


def decorrelate(
    standardized: Floats, max_correlation: float, order: Rows | None = None, *, limit: int | None = None
) -> Rows:
    """Keep columns that correlate with no column kept before.

    Parameters
    ----------
    standardized : array, shape (n, p)
        Mean 0 and standard deviation 1 in each column.
    max_correlation : float
        Largest absolute Pearson correlation between two kept columns.
    order : array of int, shape (p,), optional
        Who goes first. By default those with the smaller mean absolute
        correlation to all others, so that the more redundant of two is dropped.
    limit : int, optional
        Stop after so many.

    Returns
    -------
    array of int
        Positions of the kept columns, in the order they were kept.

    Examples
    --------
    >>> a = np.array([-1.2, -0.4, 0.1, 1.5])
    >>> x = np.column_stack([a, -a, [1.0, -1.0, 1.0, -1.0]])
    >>> decorrelate((x - x.mean(0)) / x.std(0), 0.9).tolist()
    [2, 0]
    """
    n, columns = standardized.shape
    if order is None:
        redundancy = np.abs(standardized.T @ standardized).mean(axis=0) / n
        order = np.argsort(redundancy.round(12), kind="stable")
    limit = columns if limit is None else min(limit, columns)
    if max_correlation >= 1.0:
        return np.asarray(order[:limit], dtype=np.intp)
    kept = np.empty((limit, n))
    names: list[int] = []
    for column in order:
        if len(names) == limit:
            break
        candidate = standardized[:, column]
        if (np.abs(kept[: len(names)] @ candidate) <= max_correlation * n).all():
            kept[len(names)] = candidate
            names.append(int(column))
    return np.asarray(names, dtype=np.intp)


@dataclass(frozen=True, eq=False)
class Screen:
    """Columns that passed, and how they are filled and standardized.

    Parameters
    ----------
    columns : array of int, shape (k,)
        Positions, the one with the strongest association first.
    fill, mean, sd : array of float, shape (k,)
        Training median, mean and (population) standard deviation.
    chi_square, coefficient : array of float, shape (k,)
        Score test in training; the coefficient is for one standard deviation.
    """

    columns: Rows
    fill: Floats
    mean: Floats
    sd: Floats
    chi_square: Floats
    coefficient: Floats

    def apply(self, matrix: Floats) -> Floats:
        """Filled and standardized values of the passed columns, shape (n, k)."""
        values = matrix[:, self.columns]
        return (np.where(np.isfinite(values), values, self.fill) - self.mean) / self.sd


def screen_features(
    matrix: Floats, y: Outcome, *, max_features: int | None = None, max_correlation: float = 1.0
) -> Screen:
    """Drop near-constant columns, keep the most associated, drop the redundant among them.

    Parameters
    ----------
    matrix : array, shape (n, p)
        NaN becomes the column's median.
    y : Outcome
    max_features : int, optional
        How many are kept, the most associated first; all by default.
    max_correlation : float
        Of two columns that correlate more, the less associated is dropped.

    Returns
    -------
    Screen

    Examples
    --------
    >>> x = np.column_stack([np.arange(6.0), np.arange(6.0) * 2, np.ones(6)])
    >>> screen_features(x, Outcome(6 - np.arange(6.0), np.ones(6)), max_correlation=0.9).columns.tolist()
    [0]
    """
    median = _medians(matrix)
    varied = np.flatnonzero(~_near_constant(matrix, median, 0.95))
    values, fill = matrix[:, varied], median[varied]
    unknown = ~np.isfinite(values)
    if unknown.any():
        values = np.where(unknown, fill, values)
    mean, sd = values.mean(axis=0), values.std(axis=0)
    scaled = (values - mean) / sd
    chi_square, coefficient = score_tests(scaled, y)
    # Rounded, so that columns that are the same up to scale keep their order on every machine.
    order = np.argsort(-chi_square.round(9), kind="stable")
    kept = decorrelate(scaled, max_correlation, order, limit=max_features)
    return Screen(varied[kept], fill[kept], mean[kept], sd[kept], chi_square[kept], coefficient[kept])
