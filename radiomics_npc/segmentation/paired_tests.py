"""Tests of two methods on the same cases, with the choices of R between exact and approximate p values."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

__all__ = ["holm", "paired_t", "rank_sum", "signed_rank"]

Floats = NDArray[np.float64]
Alternative = Literal["two-sided", "greater", "less"]

_EXACT_BELOW = 50  # as wilcox.test of R
_DECIMALS = 12  # differences that are equal but for rounding are ties


def paired_t(first: Floats, second: Floats) -> tuple[float, float]:
    """Student's t test of paired values.

    Parameters
    ----------
    first, second : array of float, shape (n,)

    Returns
    -------
    t, p : float
        Two-sided. NaN below two pairs, or where all differences are the same: t has no meaning there.

    Examples
    --------
    >>> t, p = paired_t(np.array([0.8, 0.7, 0.9]), np.array([0.7, 0.65, 0.75]))
    >>> round(t, 3), round(p, 3)
    (3.464, 0.074)
    """
    d = np.round(first - second, _DECIMALS)
    if len(d) < 2 or np.ptp(d) == 0:
        return float("nan"), float("nan")
    found = stats.ttest_1samp(first - second, 0.0)
    return float(found.statistic), float(found.pvalue)


def signed_rank(first: Floats, second: Floats, alternative: Alternative = "two-sided") -> float:
    """Wilcoxon signed-rank test of paired values.

    Parameters
    ----------
    first, second : array of float, shape (n,)
    alternative : {"two-sided", "greater", "less"}
        Of the first against the second.

    Returns
    -------
    float
        p value. Pairs without a difference are dropped; with none left it is 1. Exact below 50 pairs
        without ties and zeros, else by the normal distribution with correction for ties and continuity, as
        ``wilcox.test`` of R.

    Examples
    --------
    >>> signed_rank(np.array([0.8, 0.7, 0.9]), np.array([0.7, 0.68, 0.75]))
    0.25
    """
    d = np.round(first - second, _DECIMALS)
    kept = d[d != 0]
    if not len(kept):
        return 1.0
    untied = len(kept) == len(d) and len(np.unique(np.abs(kept))) == len(kept)
    if untied and len(kept) < _EXACT_BELOW:
        return float(stats.wilcoxon(kept, alternative=alternative, method="exact").pvalue)
    if len(kept) == 1 and alternative == "two-sided":
        return 1.0  # the continuity correction leaves nothing
    return float(stats.wilcoxon(kept, alternative=alternative, method="asymptotic", correction=True).pvalue)


def rank_sum(first: Floats, second: Floats) -> float:
    """Mann-Whitney U test, which takes no notice of the pairing.

    Parameters
    ----------
    first, second : array of float, shapes (n,) and (m,)

    Returns
    -------
    float
        Two-sided p. Exact where both have fewer than 50 values without ties, else by the normal distribution
        with correction for ties and continuity, as ``wilcox.test`` of R. 1 where all values are the same.

    Examples
    --------
    >>> round(rank_sum(np.array([0.8, 0.7, 0.9]), np.array([0.6, 0.65, 0.75])), 3)
    0.2
    """
    a, b = np.round(first, _DECIMALS), np.round(second, _DECIMALS)
    values = np.concatenate([a, b])
    if not len(a) or not len(b):
        return float("nan")
    if np.ptp(values) == 0:
        return 1.0
    untied = len(np.unique(values)) == len(values)
    exact = untied and max(len(a), len(b)) < _EXACT_BELOW
    return float(stats.mannwhitneyu(a, b, method="exact" if exact else "asymptotic").pvalue)


def holm(p: Floats) -> Floats:
    """Adjust p values for their number by Holm's step-down procedure; NaN are no tests.

    Examples
    --------
    >>> holm(np.array([0.01, 0.04, np.nan, 0.03])).round(3).tolist()
    [0.03, 0.06, nan, 0.06]
    """
    # statsmodels gives the same and collects garbage first, 0.1 s a call
    adjusted = np.full(len(p), np.nan)
    known = np.flatnonzero(np.isfinite(p))
    order = known[np.argsort(p[known])]
    steps = np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1))
    adjusted[order] = np.minimum(steps, 1.0)
    return adjusted
