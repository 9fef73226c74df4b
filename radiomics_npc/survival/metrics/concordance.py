"""Harrell's and Uno's C, their standard errors, and the difference of two.

A pair counts when it is known who had the event first: the earlier time is an
event, or both times are equal and only one is an event. Pairs with equal
predicted risk count one half. The standard error is the infinitesimal jackknife.

References
----------
Harrell FE et al. JAMA 1982;247:2543-2546. Uno H et al. Stat Med 2011;30:1105-1117.
Therneau T, Atkinson E. The concordance statistic. Vignette of the R package
survival. The numbers equal R's ``survival::concordance``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError, HorizonError
from radiomics_npc.survival.estimation.censoring import censoring_distribution
from radiomics_npc.survival.metrics.pairs import pair_sums

__all__ = ["Concordance", "Difference", "concordance_difference", "harrell_c", "uno_c"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Concordance:
    """A concordance index with its standard error.

    Parameters
    ----------
    estimate : float
        NaN when no pair can be compared.
    se : float
        Infinitesimal jackknife.
    influence : array of float, shape (n,)
        What each patient adds to the estimate; ``se**2`` is the sum of squares.
    pairs : float
        Comparable pairs, weighted for Uno's C.
    simulated : bool
        Patients that never lived.
    """

    estimate: float
    se: float
    influence: Floats
    pairs: float
    simulated: bool = False

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Normal confidence interval, cut at 0 and 1."""
        reach = norm.ppf(0.5 + confidence / 2) * self.se
        return max(0.0, self.estimate - reach), min(1.0, self.estimate + reach)

    def to_frame(self) -> pd.DataFrame:
        """One row: estimate, se, lower, upper, pairs; simulated, if so."""
        lower, upper = self.interval()
        row = {"estimate": self.estimate, "se": self.se, "lower": lower, "upper": upper, "pairs": self.pairs}
        return pd.DataFrame([row | ({"simulated": True} if self.simulated else {})])

    def __repr__(self) -> str:
        lower, upper = self.interval()
        who = ", simulated patients" if self.simulated else ""
        return f"<Concordance {self.estimate:.3f} (95% CI {lower:.3f}-{upper:.3f}){who}>"


@dataclass(frozen=True)
class Difference:
    """Difference of two C-indices on the same patients, with se, z and two-sided p."""

    estimate: float
    se: float
    z: float
    p: float

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Normal confidence interval."""
        reach = norm.ppf(0.5 + confidence / 2) * self.se
        return self.estimate - reach, self.estimate + reach


def harrell_c(y: Outcome, risk: ArrayLike, *, strata: ArrayLike | None = None) -> Concordance:
    """Harrell's concordance index.

    Parameters
    ----------
    y : Outcome
    risk : array, shape (n,)
        Higher is worse.
    strata : array, shape (n,), optional
        Only pairs within a stratum count, such as a fold of a cross-validation:
        risks of two fitted models are not comparable.

    Returns
    -------
    Concordance

    Raises
    ------
    CohortError
        A risk or a stratum is missing, or the lengths differ.

    Examples
    --------
    >>> y = Outcome([5, 10, 20, 40], [1, 1, 0, 1])
    >>> harrell_c(y, [4, 2, 3, 1]).estimate
    0.8
    """
    return _concordance(y, risk, strata, 1.0, np.inf)


def uno_c(
    y: Outcome, risk: ArrayLike, *, tau: float | None = 60.0, strata: ArrayLike | None = None
) -> Concordance:
    """Uno's concordance index: pairs weighted by the inverse probability of censoring.

    It does not depend on the censoring of this cohort, where Harrell's C does.

    Parameters
    ----------
    y : Outcome
    risk : array, shape (n,)
        Higher is worse.
    tau : float, optional
        Months; events later than tau do not count (``ymax`` in R). None: all count, and the
        few latest weigh much.
    strata : array, shape (n,), optional
        Only pairs within a stratum count. The censoring distribution is that of
        all patients given.

    Returns
    -------
    Concordance
        The censoring weights count as known in its standard error, as in R.

    Raises
    ------
    CohortError
        A risk or a stratum is missing, or the lengths differ.
    HorizonError
        tau is not positive.

    Examples
    --------
    >>> y = Outcome([5, 10, 20, 40], [1, 1, 0, 1])
    >>> round(uno_c(y, [4, 2, 3, 1], tau=60).estimate, 3)
    0.8
    """
    last = np.inf if tau is None else tau
    if not last > 0:
        raise HorizonError(f"tau is {tau} months", "Give a positive time.")
    free = np.ones(len(y))
    free[y.event] = censoring_distribution(y).before(y.time_months[y.event])
    return _concordance(y, risk, strata, 1.0 / free**2, last)


def concordance_difference(first: Concordance, second: Concordance) -> Difference:
    """Compare two C-indices of the same patients.

    Parameters
    ----------
    first, second : Concordance
        Of the same kind, patients in the same order.

    Returns
    -------
    Difference
        First minus second.

    Raises
    ------
    CohortError
        The numbers of patients differ.

    Examples
    --------
    >>> y = Outcome([5, 10, 20, 40], [1, 1, 0, 1])
    >>> a, b = harrell_c(y, [4, 3, 2, 1]), harrell_c(y, [4, 2, 3, 1])
    >>> round(concordance_difference(a, b).estimate, 3)
    0.2
    """
    if len(first.influence) != len(second.influence):
        raise CohortError("two C-indices can be compared only on the same patients")
    estimate = first.estimate - second.estimate
    se = float(np.sqrt(np.sum((first.influence - second.influence) ** 2)))
    z = estimate / se if se > 0 else (0.0 if estimate == 0 else float("nan"))
    return Difference(estimate, se, z, float(2 * norm.sf(abs(z))))


def _concordance(
    y: Outcome, risk: ArrayLike, strata: ArrayLike | None, weight: Floats | float, last: float
) -> Concordance:
    """Weighted share of concordant pairs, and each patient's influence on it."""
    score = np.asarray(risk, dtype=float)
    if score.shape != (len(y),):
        raise CohortError(f"{len(y)} patients but risks of shape {score.shape}")
    if np.isnan(score).any():
        raise CohortError(f"the risk of {int(np.isnan(score).sum())} patients is missing")
    groups = None if strata is None else pd.factorize(np.asarray(strata))[0]
    if groups is not None and groups.shape != score.shape:
        raise CohortError(f"{len(y)} patients but strata of shape {groups.shape}")
    if groups is not None and (groups < 0).any():
        raise CohortError(f"the stratum of {int((groups < 0).sum())} patients is missing")
    case_weight = np.where(y.event & (y.time_months <= last), weight, 0.0)
    concordant, comparable = pair_sums(y, score, case_weight, groups)
    # Both are summed over the patients with the event, in one order: a perfect model has exactly 1.
    total = float(comparable[0].sum())
    if total == 0:
        return Concordance(float("nan"), float("nan"), np.full(len(y), np.nan), 0.0, y.simulated)
    estimate = float(concordant[0].sum() / total)
    influence = (concordant.sum(axis=0) - estimate * comparable.sum(axis=0)) / total
    return Concordance(estimate, float(np.sqrt(np.sum(influence**2))), influence, total, y.simulated)
