"""Kaplan-Meier curves with numbers at risk, and the log-rank test.

References
----------
Kaplan EL, Meier P. J Am Stat Assoc 1958;53:457-481. Greenwood M. 1926. Kalbfleisch
JD, Prentice RL. The Statistical Analysis of Failure Time Data (log-log interval).
The numbers equal R's ``survfit(conf.type = "log-log")`` and ``survdiff``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import chi2, norm

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError
from radiomics_npc.survival.estimation.baseline import step_function

__all__ = ["KaplanMeier", "LogRank", "kaplan_meier", "log_rank"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class KaplanMeier:
    """A Kaplan-Meier curve.

    Parameters
    ----------
    time_months : array of float, shape (k,)
        Distinct times, ascending.
    survival, se, lower, upper : array of float, shape (k,)
        Probability from each time on, Greenwood's standard error, confidence limits.
    events, censored : array of int, shape (k,)
    times : array of float, shape (n,)
        All follow-up times, sorted.
    """

    time_months: Floats
    survival: Floats
    se: Floats
    lower: Floats
    upper: Floats
    events: NDArray[np.intp]
    censored: NDArray[np.intp]
    times: Floats

    def at(self, times: ArrayLike) -> pd.DataFrame:
        """Estimates at some times: time_months, survival, se, lower, upper, at_risk; NaN past follow-up."""
        when = np.atleast_1d(np.asarray(times, dtype=float))
        values = np.column_stack([self.survival, self.se, self.lower, self.upper])
        found = step_function(self.time_months, values, when, last=float(self.times[-1]))
        early = when < self.time_months[0]
        found[early] = [1.0, 0.0, 1.0, 1.0]
        table = pd.DataFrame(found, columns=["survival", "se", "lower", "upper"])
        table.insert(0, "time_months", when)
        table["at_risk"] = self.at_risk(when)
        return table

    def at_risk(self, times: ArrayLike) -> NDArray[np.intp]:
        """Patients still followed just before each time."""
        result: NDArray[np.intp] = len(self.times) - np.searchsorted(
            self.times, np.atleast_1d(times), side="left"
        )
        return result

    def to_frame(self) -> pd.DataFrame:
        """One row a distinct time."""
        table = self.at(self.time_months)
        table["events"], table["censored"] = self.events, self.censored
        return table

    def _repr_html_(self) -> str:
        return self.to_frame().to_html(index=False, float_format="{:.3f}".format)


def kaplan_meier(y: Outcome, *, confidence: float = 0.95) -> KaplanMeier:
    """Estimate the survival curve.

    Parameters
    ----------
    y : Outcome
    confidence : float
        Of the log-log interval.

    Returns
    -------
    KaplanMeier

    Raises
    ------
    CohortError
        No patients.

    Examples
    --------
    >>> curve = kaplan_meier(Outcome([6, 12, 18, 24, 30], [1, 0, 1, 0, 0]))
    >>> curve.at([0, 12, 24]).round(3)
       time_months  survival     se  lower  upper  at_risk
    0          0.0     1.000  0.000  1.000  1.000        5
    1         12.0     0.800  0.179  0.204  0.969        4
    2         24.0     0.533  0.248  0.068  0.863        2
    """
    if len(y) == 0:
        raise CohortError("no patients: no Kaplan-Meier curve")
    times, inverse = np.unique(y.time_months, return_inverse=True)
    events = np.bincount(inverse, weights=y.event).astype(int)
    leaving = np.bincount(inverse)
    at_risk = len(y) - np.concatenate([[0], np.cumsum(leaving)[:-1]])
    survival = np.cumprod(1.0 - events / at_risk)
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = np.cumsum(events / (at_risk * (at_risk - events)))
        reach = norm.ppf(0.5 + confidence / 2) * np.sqrt(spread) / np.log(survival)
        lower, upper = survival ** np.exp(-reach), survival ** np.exp(reach)
        spread_of_survival = survival * np.sqrt(spread)
    flat = survival == 1.0
    lower, upper = np.where(flat, 1.0, lower), np.where(flat, 1.0, upper)
    se = np.where(flat, 0.0, spread_of_survival)
    return KaplanMeier(times, survival, se, lower, upper, events, leaving - events, np.sort(y.time_months))


@dataclass(frozen=True, eq=False)
class LogRank:
    """Log-rank test: chi_square, df, p, and a table with n, observed and expected events by group."""

    chi_square: float
    df: int
    p: float
    table: pd.DataFrame

    def to_frame(self) -> pd.DataFrame:
        """One row a group."""
        return self.table

    def _repr_html_(self) -> str:
        head = f"<p>Log-rank: chi-square {self.chi_square:.2f}, {self.df} df, p = {self.p:.2g}</p>"
        return head + self.table.to_html(float_format="{:.1f}".format)


def log_rank(y: Outcome, groups: ArrayLike | pd.Series) -> LogRank:
    """Test whether groups differ in survival.

    Parameters
    ----------
    y : Outcome
    groups : array, shape (n,)
        Empty groups do not count.

    Returns
    -------
    LogRank

    Raises
    ------
    CohortError
        Fewer than two groups, or lengths differ.

    Examples
    --------
    >>> y = Outcome([1, 2, 3, 4, 5, 6], [1, 1, 1, 1, 0, 1])
    >>> round(log_rank(y, ["a", "a", "a", "b", "b", "b"]).chi_square, 3)
    5.052
    """
    given = pd.Categorical(pd.Series(groups)).remove_unused_categories()
    if len(given) != len(y):
        raise CohortError(f"{len(y)} patients but {len(given)} group labels")
    if len(given.categories) < 2 or (given.codes < 0).any():
        raise CohortError("the log-rank test needs every patient in one of at least two groups")
    member = np.eye(len(given.categories))[given.codes]
    when = np.unique(y.time_months[y.event])
    at_risk = (y.time_months[None, :] >= when[:, None]).astype(float) @ member
    dying = ((y.time_months[None, :] == when[:, None]) & y.event).astype(float) @ member
    total, deaths = at_risk.sum(axis=1), dying.sum(axis=1)
    share = at_risk / total[:, None]
    expected = (deaths[:, None] * share).sum(axis=0)
    factor = deaths * (total - deaths) / np.maximum(total - 1, 1)
    variance = np.diag(factor @ share) - (share * factor[:, None]).T @ share
    excess = dying.sum(axis=0) - expected
    statistic = float(excess[1:] @ np.linalg.pinv(variance[1:, 1:]) @ excess[1:])
    df = len(given.categories) - 1
    table = pd.DataFrame(
        {"n": member.sum(axis=0).astype(int), "observed": dying.sum(axis=0), "expected": expected},
        index=pd.Index(given.categories, name="group"),
    )
    return LogRank(statistic, df, float(chi2.sf(statistic, df)), table)
