"""The numbers of ComBat: location and scale of a batch, shrunk towards what its other features say.

References
----------
Johnson WE, Li C, Rabinovic A. Adjusting batch effects in microarray expression data
using empirical Bayes methods. Biostatistics 2007;8:118-127. The numbers, and where the
iteration stops, equal R's ``sva::ComBat``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

__all__ = ["constant_columns", "least_squares", "reasons_to_leave", "shrink_batch"]

Floats = NDArray[np.float64]
_CHANGE = 1e-4  # where sva stops its iteration; one step more would differ from it in the fourth digit
_STEPS = 10_000
_ROWS = 256


def shrink_batch(standardized: Floats, *, parametric: bool, mean_only: bool) -> tuple[Floats, Floats]:
    """Shift and variance of every feature in one batch.

    Parameters
    ----------
    standardized : array, shape (n, p)
        Features of the batch's patients, standardized over all batches; NaN where unknown.
    parametric : bool
        Normal and inverse-gamma priors, or the empirical distribution over the features.
    mean_only : bool
        Leave the variance at 1.

    Returns
    -------
    shift, variance : array, shape (p,)

    Examples
    --------
    >>> values = np.array([[1.0, 2.0, 1.5], [2.0, 2.5, 1.0], [1.2, 3.0, 0.5]])
    >>> shift, variance = shrink_batch(values, parametric=True, mean_only=False)
    >>> shift.round(2), variance.round(2)
    (array([1.43, 2.39, 1.08]), array([0.26, 0.26, 0.26]))
    """
    count = np.isfinite(standardized).sum(axis=0)
    shift = np.nanmean(standardized, axis=0)
    variance = np.ones_like(shift) if mean_only else np.nanvar(standardized, axis=0, ddof=1)
    if len(shift) < 2:  # no other feature to learn a prior from
        return shift, variance
    within = np.nansum((standardized - shift) ** 2, axis=0)
    if not parametric:
        return _empirical(shift, variance, count, within)
    center, spread = shift.mean(), shift.var(ddof=1)
    if mean_only:
        return (spread * shift + center) / (spread + 1.0), variance
    return _iterate(shift, variance, count, within)


def _iterate(
    shift: Floats, variance: Floats, count: NDArray[np.intp], within: Floats
) -> tuple[Floats, Floats]:
    """Posterior means of shift and variance given each other, in turn until they stay."""
    center, spread = shift.mean(), shift.var(ddof=1)
    mean, noise = variance.mean(), max(variance.var(ddof=1), 1e-12 * variance.mean() ** 2)
    shape, scale = (2 * noise + mean**2) / noise, (mean * noise + mean**3) / noise
    old_shift, old_variance = shift, variance
    for _ in range(_STEPS):
        new_shift = (spread * count * shift + old_variance * center) / (spread * count + old_variance)
        squares = within + count * (shift - new_shift) ** 2
        new_variance = (0.5 * squares + scale) / (count / 2 + shape - 1)
        # Relative to the signed shift, as sva has it: where the iteration stops is part of its numbers.
        moved = np.abs(new_shift - old_shift) / np.where(old_shift == 0, np.inf, old_shift)
        change = max(moved.max(), (np.abs(new_variance - old_variance) / old_variance).max())
        old_shift, old_variance = new_shift, new_variance
        if change <= _CHANGE:
            break
    return old_shift, old_variance


def _empirical(
    shift: Floats, variance: Floats, count: NDArray[np.intp], within: Floats
) -> tuple[Floats, Floats]:
    """Means over all other features, weighted by how likely the values are under theirs."""
    found = np.empty((2, len(shift)))
    for start in range(0, len(shift), _ROWS):
        rows = slice(start, start + _ROWS)
        squares = within[rows, None] + count[rows, None] * (shift[rows, None] - shift) ** 2
        likelihood = -0.5 * count[rows, None] * np.log(2 * np.pi * variance) - squares / (2 * variance)
        own = np.arange(len(shift))[rows]
        likelihood[np.arange(len(own)), own] = -np.inf
        weight = np.exp(likelihood - logsumexp(likelihood, axis=1, keepdims=True))
        found[:, rows] = (weight @ np.column_stack([shift, variance])).T
    return found[0], found[1]


def constant_columns(values: Floats) -> NDArray[np.bool_]:
    """Columns with the same value in all rows where they are known.

    Examples
    --------
    >>> constant_columns(np.array([[1.0, 1.0], [1.0, 2.0], [np.nan, 1.0]])).tolist()
    [True, False]
    """
    low = np.where(np.isnan(values), np.inf, values).min(axis=0)
    high = np.where(np.isnan(values), -np.inf, values).max(axis=0)
    result: NDArray[np.bool_] = low >= high
    return result


def least_squares(design: Floats, matrix: Floats) -> Floats:
    """Coefficients of every column, over the rows in which it is known, shape (q, p).

    Examples
    --------
    >>> least_squares(np.ones((3, 1)), np.array([[1.0], [2.0], [np.nan]])).round(2)
    array([[1.5]])
    """
    beta = np.asarray(
        np.linalg.lstsq(design, np.where(np.isnan(matrix), 0.0, matrix), rcond=None)[0], dtype=float
    )
    for k in np.flatnonzero(np.isnan(matrix).any(axis=0)):
        rows = np.isfinite(matrix[:, k])
        beta[:, k] = np.linalg.lstsq(design[rows], matrix[rows, k], rcond=None)[0]
    return beta


def reasons_to_leave(matrix: Floats, member: NDArray[np.bool_], *, mean_only: bool) -> NDArray[np.object_]:
    """Why a feature cannot be harmonized; empty where it can, shape (p,).

    Parameters
    ----------
    matrix : array, shape (n, p)
    member : array of bool, shape (n, centers)
    mean_only : bool

    Examples
    --------
    >>> member = np.array([[True, False], [True, False], [False, True], [False, True]])
    >>> matrix = np.array([[1.0, 1.0], [2.0, 1.0], [3.0, 2.0], [4.0, 3.0]])
    >>> reasons_to_leave(matrix, member, mean_only=False).tolist()
    ['', 'the same value in all patients of a center']
    """
    known = np.array([np.isfinite(matrix[rows]).sum(axis=0) for rows in member.T])
    flat = np.array([constant_columns(matrix[rows]) for rows in member.T])
    flat &= (member.sum(axis=0) > 1)[:, None]
    reasons = np.full(matrix.shape[1], "", dtype=object)
    reasons[flat.any(axis=0)] = "the same value in all patients of a center"
    reasons[(known < (1 if mean_only else 2)).any(axis=0)] = "too few known values in a center"
    return reasons
