"""How far two measurements of the same patients are apart: bias and limits of agreement.

References
----------
Bland JM, Altman DG. Statistical methods for assessing agreement between two methods of clinical measurement.
Lancet 1986;327:307-310. Measuring agreement in method comparison studies. Stat Methods Med Res
1999;8:135-160.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import norm
from scipy.stats import t as t_distribution

from radiomics_npc.errors import CohortError, ConfigError

__all__ = ["BlandAltman", "bland_altman"]


@dataclass(frozen=True)
class BlandAltman:
    """Bias and limits of agreement of two measurements, with confidence limits.

    Parameters
    ----------
    n : int
        Patients with both measurements.
    bias, low, high : tuple of 3 floats
        Mean difference, first minus second, and the limits between which 95% of the differences lie: each
        with its lower and upper confidence limit. Of ratios, the geometric mean of first by second, and its
        limits.
    sd : float
        Standard deviation of the differences (of their logarithms).
    ratio : bool
        Whether first by second was taken in place of first minus second.
    """

    n: int
    bias: tuple[float, float, float]
    low: tuple[float, float, float]
    high: tuple[float, float, float]
    sd: float
    ratio: bool = False

    def to_frame(self) -> pd.DataFrame:
        """One row: scale, n, sd, and bias, limit_low, limit_high, each with its ``_lower`` and ``_upper``."""
        row: dict[str, Any] = {"scale": "ratio" if self.ratio else "difference", "n": self.n, "sd": self.sd}
        for name, values in (("bias", self.bias), ("limit_low", self.low), ("limit_high", self.high)):
            row |= dict(zip((name, f"{name}_lower", f"{name}_upper"), values, strict=True))
        return pd.DataFrame([row])


def bland_altman(
    first: ArrayLike, second: ArrayLike, *, ratio: bool = False, confidence: float = 0.95
) -> BlandAltman:
    """Bias and 95% limits of agreement.

    Parameters
    ----------
    first, second : array, shape (n,)
        Two measurements of the same patients; pairs with a value that is not finite are left out.
    ratio : bool
        Take first by second, on a logarithmic scale: for measurements whose differences grow with their size,
        as those of volumes do.
    confidence : float
        Of the intervals around bias and limits.

    Returns
    -------
    BlandAltman

    Raises
    ------
    CohortError
        The lengths differ, fewer than two pairs are complete, or a ratio is asked for of values that are not
        positive.
    ConfigError
        A confidence outside 0 to 1.

    Notes
    -----
    Limits: bias +- 1.96 SD. Standard errors: SD / sqrt(n) of the bias, SD sqrt(1/n + 1.96^2 / (2 (n - 1))) of
    a limit (Bland and Altman 1999, section 2.2); intervals by Student's t with n - 1 degrees of freedom.

    Examples
    --------
    >>> found = bland_altman([10.0, 12.0, 15.0, 20.0], [9.0, 12.5, 13.0, 19.5])
    >>> found.n, found.bias[0], round(found.low[0], 2), round(found.high[0], 2)
    (4, 0.75, -1.29, 2.79)
    """
    a, b = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if a.ndim != 1 or a.shape != b.shape:
        raise CohortError("the two measurements differ in length", "Give both of every patient.")
    if not 0 < confidence < 1:
        raise ConfigError(f"a confidence of {confidence} is none", "Take a number between 0 and 1, as 0.95.")
    known = np.isfinite(a) & np.isfinite(b)
    a, b = a[known], b[known]
    n = len(a)
    if n < 2:
        raise CohortError(f"{n} patients have both measurements", "Limits of agreement need at least two.")
    if ratio and (min(a.min(), b.min()) <= 0):
        raise CohortError("a ratio of values that are not positive", "Take differences instead.")
    d = np.log(a) - np.log(b) if ratio else a - b
    bias, sd, wide = float(d.mean()), float(d.std(ddof=1)), float(norm.ppf(0.975))
    reach = float(t_distribution.ppf(0.5 + confidence / 2, n - 1))
    around = reach * sd / np.sqrt(n)
    around_limit = reach * sd * np.sqrt(1 / n + wide**2 / (2 * (n - 1)))
    scale = np.exp if ratio else np.positive

    def with_limits(value: float, half: float) -> tuple[float, float, float]:
        return float(scale(value)), float(scale(value - half)), float(scale(value + half))

    return BlandAltman(
        n, with_limits(bias, around), with_limits(bias - wide * sd, around_limit),
        with_limits(bias + wide * sd, around_limit), sd, ratio,
    )  # fmt: skip
