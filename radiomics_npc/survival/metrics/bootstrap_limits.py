"""Limits of a confidence interval from the scores in bootstrap samples.

References
----------
Efron B. J Am Stat Assoc 1987;82:171-185 (BCa). Davison AC, Hinkley DV. Bootstrap
Methods and their Application. 1997, chapter 5 (basic). The limits equal
``scipy.stats.bootstrap``.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

from radiomics_npc.errors import ConfigError

__all__ = ["Method", "bootstrap_limits"]

Floats = NDArray[np.float64]
Method = Literal["bca", "percentile", "basic"]


def bootstrap_limits(
    estimate: float,
    replicates: ArrayLike,
    *,
    method: Method = "bca",
    confidence: float = 0.95,
    left_out: ArrayLike | None = None,
) -> tuple[float, float]:
    """Limits of an interval.

    Parameters
    ----------
    estimate : float
        The score of the patients themselves.
    replicates : array, shape (resamples,)
        The score in each resample; no NaN.
    method : {"bca", "percentile", "basic"}
    confidence : float
    left_out : array, shape (n,), optional
        For BCa: the score without each patient in turn; NaN, where it is undefined, does
        not count.

    Returns
    -------
    lower, upper : float
        NaN for BCa where all resamples lie on one side of the estimate.

    Raises
    ------
    ConfigError
        BCa without ``left_out``.

    Examples
    --------
    >>> draws = np.arange(101.0)
    >>> bootstrap_limits(40.0, draws, method="percentile", confidence=0.5)
    (25.0, 75.0)
    >>> bootstrap_limits(40.0, draws, method="basic", confidence=0.5)
    (5.0, 55.0)
    >>> bootstrap_limits(50.0, draws, confidence=0.5, left_out=np.zeros(10))
    (25.0, 75.0)
    """
    draws = np.asarray(replicates, dtype=float)
    shares = np.array([0.5 - confidence / 2, 0.5 + confidence / 2])
    if method == "bca":
        if left_out is None:
            raise ConfigError("a BCa interval needs the score without each patient in turn")
        shares = _bca_shares(shares, estimate, draws, np.asarray(left_out, dtype=float))
        if np.isnan(shares).any():
            return float("nan"), float("nan")
    lower, upper = np.quantile(draws, shares).tolist()
    return (2 * estimate - upper, 2 * estimate - lower) if method == "basic" else (lower, upper)


def _bca_shares(shares: Floats, estimate: float, replicates: Floats, left_out: Floats) -> Floats:
    """Shares of the bootstrap distribution that bound the interval; NaN where there are none."""
    below = 0.5 * ((replicates < estimate).mean() + (replicates <= estimate).mean())
    if not 0 < below < 1:
        return np.full(2, np.nan)
    known = left_out[~np.isnan(left_out)]
    gap = known.sum() / max(len(known), 1) - known
    spread = np.sum(gap**2) ** 1.5
    acceleration = np.sum(gap**3) / (6 * spread) if spread > 0 else 0.0
    bias = ndtri(below)
    moved = bias + ndtri(shares)
    result: Floats = ndtr(bias + moved / (1 - acceleration * moved))
    return result
