"""Bootstrap samples of patients, and the limits that come of them.

The predictions are held fixed: what is uncertain is which patients were met, not
what another training cohort would have made of the model.

References
----------
Efron B, Tibshirani RJ. An Introduction to the Bootstrap. 1993, chapter 13.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

__all__ = ["bootstrap_rows", "percentile_limits"]

Floats = NDArray[np.float64]
_USABLE = 0.9  # share of resamples that must have given a number


def bootstrap_rows(n: int, resamples: int, random_state: int) -> Iterator[NDArray[np.intp]]:
    """Positions of the patients in each bootstrap sample.

    Parameters
    ----------
    n : int
        Patients.
    resamples : int
    random_state : int

    Yields
    ------
    array of int, shape (n,)

    Examples
    --------
    >>> [rows.tolist() for rows in bootstrap_rows(3, 2, 0)]
    [[2, 1, 1], [0, 0, 0]]
    """
    random = np.random.default_rng(random_state)
    for _ in range(resamples):
        yield random.integers(0, n, n)


def percentile_limits(draws: Floats, confidence: float = 0.95) -> tuple[Floats, Floats]:
    """Percentile interval over the first axis.

    Parameters
    ----------
    draws : array, shape (resamples, ...)
        NaN where a resample gave no number.
    confidence : float

    Returns
    -------
    lower, upper : array, shape (...)
        NaN where more than a tenth of the resamples, or all for want of any, gave no number.

    Examples
    --------
    >>> lower, upper = percentile_limits(np.arange(101.0)[:, None], 0.5)
    >>> lower.tolist(), upper.tolist()
    ([25.0], [75.0])
    """
    tail = (1 - confidence) / 2
    lower, upper = np.full((2, *draws.shape[1:]), np.nan)
    usable = np.isfinite(draws).sum(axis=0) >= max(1.0, _USABLE * len(draws))
    if usable.any():
        lower[usable], upper[usable] = np.nanquantile(draws[:, usable], [tail, 1 - tail], axis=0)
    return lower, upper
