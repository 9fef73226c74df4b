"""Restricted cubic splines, as ``rms::rcs`` makes them.

References
----------
Harrell FE. Regression Modeling Strategies. 2nd ed. Springer 2015, section 2.4.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from radiomics_npc.errors import CohortError

__all__ = ["default_knots", "spline_basis"]

# Quantiles of the knots by their number (Harrell 2015, table 2.3).
_QUANTILES = {
    3: (0.1, 0.5, 0.9),
    4: (0.05, 0.35, 0.65, 0.95),
    5: (0.05, 0.275, 0.5, 0.725, 0.95),
    6: (0.05, 0.23, 0.41, 0.59, 0.77, 0.95),
    7: (0.025, 0.1833, 0.3417, 0.5, 0.6583, 0.8167, 0.975),
}


def default_knots(values: ArrayLike, number: int) -> tuple[float, ...]:
    """Knots at Harrell's quantiles.

    Parameters
    ----------
    values : array, shape (n,)
    number : int
        3 to 7.

    Returns
    -------
    tuple of float

    Raises
    ------
    CohortError
        Another number, a missing value, or too few distinct values for as many knots.

    Examples
    --------
    >>> default_knots(range(101), 3)
    (10.0, 50.0, 90.0)
    """
    column = np.asarray(values, dtype=float)
    if number not in _QUANTILES:
        raise CohortError(f"a spline with {number} knots is not offered", "Take 3 to 7 knots.")
    if column.size == 0 or not np.isfinite(column).all():
        raise CohortError("a spline needs numbers without missing values", "Impute them in a step before.")
    knots = np.quantile(column, _QUANTILES[number])
    if len(np.unique(knots)) < number:
        raise CohortError(
            f"too few distinct values for {number} knots", "Take fewer knots, or a linear term."
        )
    return tuple(float(knot) for knot in knots)


def spline_basis(values: ArrayLike, knots: Sequence[float]) -> NDArray[np.float64]:
    """Columns of a restricted cubic spline: the value itself, then the non-linear ones.

    Parameters
    ----------
    values : array, shape (n,)
    knots : sequence of float
        Ascending, at least 3; linear before the first and after the last.

    Returns
    -------
    array of float, shape (n, len(knots) - 1)
        Scaled by the squared distance of the outer knots (``norm = 2`` of ``Hmisc::rcspline.eval``).

    Examples
    --------
    >>> spline_basis([30, 50, 70], [36, 48, 58, 68]).round(3)
    array([[3.000e+01, 0.000e+00, 0.000e+00],
           [5.000e+01, 2.680e+00, 8.000e-03],
           [7.000e+01, 3.300e+01, 7.031e+00]])
    """
    x, t = np.asarray(values, dtype=float)[:, None], np.asarray(knots, dtype=float)
    cube = np.maximum(x - t, 0.0) ** 3
    first, last = (t[-1] - t[:-2]) / (t[-1] - t[-2]), (t[-2] - t[:-2]) / (t[-1] - t[-2])
    curved = cube[:, :-2] - cube[:, -2:-1] * first + cube[:, -1:] * last
    return np.hstack([x, curved / (t[-1] - t[0]) ** 2])
