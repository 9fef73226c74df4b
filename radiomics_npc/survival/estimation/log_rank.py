"""The log-rank test: two or more groups, within strata, in pairs, and for a trend.

References
----------
Mantel N. Cancer Chemother Rep 1966;50:163-170. Peto R, Peto J. J R Stat Soc A
1972;135:185-207. Tarone RE. Biometrika 1975;62:679-682 (trend). Holm S. Scand J
Stat 1979;6:65-70. The numbers equal R's ``survdiff``; the trend with the values
of a covariate as scores equals the score test of R's ``coxph`` when no times are tied.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import chi2
from statsmodels.stats.multitest import multipletests

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError

__all__ = ["LogRank", "log_rank", "log_rank_trend", "pairwise_log_rank"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LogRank:
    """Log-rank test: chi_square, df, p, and a table with n, observed and expected events by group."""

    chi_square: float
    df: int
    p: float
    table: pd.DataFrame
    simulated: bool = False

    def to_frame(self) -> pd.DataFrame:
        """One row a group; simulated, if so."""
        return self.table.assign(simulated=True) if self.simulated else self.table

    def _repr_html_(self) -> str:
        head = f"<p>Log-rank: chi-square {self.chi_square:.2f}, {self.df} df, p = {self.p:.2g}</p>"
        return head + self.to_frame().to_html(float_format="{:.1f}".format)


def log_rank(
    y: Outcome, groups: ArrayLike | pd.Series, *, strata: ArrayLike | pd.Series | None = None
) -> LogRank:
    """Test whether groups differ in survival.

    Parameters
    ----------
    y : Outcome
    groups : array, shape (n,)
        Empty groups do not count.
    strata : array, shape (n,), optional
        Patients are compared within a stratum, such as a center.

    Returns
    -------
    LogRank

    Raises
    ------
    CohortError
        Fewer than two groups, lengths differ, or a label is missing.

    Examples
    --------
    >>> y = Outcome([1, 2, 3, 4, 5, 6], [1, 1, 1, 1, 0, 1])
    >>> round(log_rank(y, ["a", "a", "a", "b", "b", "b"]).chi_square, 3)
    5.052
    """
    given = _labels(y, groups)
    observed, expected, variance = _moments(y, given, strata)
    excess = observed - expected
    statistic = float(excess[1:] @ np.linalg.pinv(variance[1:, 1:]) @ excess[1:])
    df = len(given.categories) - 1
    return LogRank(
        statistic, df, float(chi2.sf(statistic, df)), _table(given, observed, expected), y.simulated
    )


def log_rank_trend(
    y: Outcome,
    groups: ArrayLike | pd.Series,
    *,
    scores: ArrayLike | None = None,
    strata: ArrayLike | pd.Series | None = None,
) -> LogRank:
    """Test whether survival falls or rises steadily over ordered groups, with one degree of freedom.

    Parameters
    ----------
    y : Outcome
    groups : array, shape (n,)
        In the order of their categories, or sorted.
    scores : array, optional
        One number a group; by default 0, 1, 2, ...
    strata : array, shape (n,), optional

    Returns
    -------
    LogRank

    Raises
    ------
    CohortError
        As for :func:`log_rank`, or not one score a group.

    Examples
    --------
    >>> y = Outcome([9, 8, 7, 5, 4, 3, 2, 1, 1.5], np.ones(9))
    >>> trend = log_rank_trend(y, ["1", "1", "1", "2", "2", "2", "3", "3", "3"])
    >>> trend.df, round(trend.p, 4)
    (1, 0.0008)
    """
    given = _labels(y, groups)
    weights = np.arange(len(given.categories)) if scores is None else np.asarray(scores, dtype=float)
    if weights.shape != (len(given.categories),):
        raise CohortError(f"{len(given.categories)} groups hold patients but there are {weights.size} scores")
    observed, expected, variance = _moments(y, given, strata)
    spread = float(weights @ variance @ weights)
    excess = float(weights @ (observed - expected))
    statistic = excess**2 / spread if spread > 0 else 0.0
    return LogRank(statistic, 1, float(chi2.sf(statistic, 1)), _table(given, observed, expected), y.simulated)


def pairwise_log_rank(y: Outcome, groups: ArrayLike | pd.Series, *, adjust: str = "holm") -> pd.DataFrame:
    """Compare every two groups, with p adjusted for how many comparisons there are.

    Parameters
    ----------
    y : Outcome
    groups : array, shape (n,)
    adjust : str
        A method of ``statsmodels.stats.multitest.multipletests``.

    Returns
    -------
    DataFrame
        Columns first, second, chi_square, p, p_adjusted; simulated, if so. Comparisons
        without any event have no p.

    Raises
    ------
    CohortError
        As for :func:`log_rank`.

    Examples
    --------
    >>> y = Outcome([9, 8, 7, 5, 4, 3, 2, 1, 1.5], np.ones(9))
    >>> pairwise_log_rank(y, list("aaabbbccc"))[["first", "second", "p_adjusted"]].round(3)
      first second  p_adjusted
    0     a      b       0.074
    1     a      c       0.074
    2     b      c       0.074
    """
    given = _labels(y, groups)
    rows = []
    for one, other in combinations(range(len(given.categories)), 2):
        chosen = np.isin(given.codes, (one, other))
        part = y.take(chosen)
        found = log_rank(part, given[chosen])
        p = found.p if part.event.any() else float("nan")
        rows.append((str(given.categories[one]), str(given.categories[other]), found.chi_square, p))
    table = pd.DataFrame(rows, columns=["first", "second", "chi_square", "p"])
    known = table["p"].notna().to_numpy()
    table["p_adjusted"] = np.nan
    if known.any():
        table.loc[known, "p_adjusted"] = multipletests(table.loc[known, "p"], method=adjust)[1]
    return table.assign(simulated=True) if y.simulated else table


def _labels(y: Outcome, groups: ArrayLike | pd.Series) -> pd.Categorical:
    given = pd.Categorical(pd.Series(groups)).remove_unused_categories()
    if len(given) != len(y):
        raise CohortError(f"{len(y)} patients but {len(given)} group labels")
    if len(given.categories) < 2 or (given.codes < 0).any():
        raise CohortError("the log-rank test needs every patient in one of at least two groups")
    return given


def _table(given: pd.Categorical, observed: Floats, expected: Floats) -> pd.DataFrame:
    n = np.bincount(given.codes, minlength=len(given.categories))
    index = pd.Index(given.categories, name="group")
    return pd.DataFrame({"n": n, "observed": observed, "expected": expected}, index=index)


def _moments(
    y: Outcome, given: pd.Categorical, strata: ArrayLike | pd.Series | None
) -> tuple[Floats, Floats, Floats]:
    """Observed and expected events by group, and the covariance of their difference."""
    stratum = np.zeros(len(y), dtype=int) if strata is None else pd.factorize(np.asarray(strata))[0]
    if len(stratum) != len(y) or (stratum < 0).any():
        raise CohortError("the log-rank test needs the stratum of every patient")
    member = np.eye(len(given.categories))[given.codes]
    sums = [
        _one_stratum(y.time_months[rows], y.event[rows], member[rows])
        for rows in (stratum == k for k in range(stratum.max() + 1))
    ]
    observed, expected, variance = (np.sum(part, axis=0) for part in zip(*sums, strict=True))
    return observed, expected, variance


def _one_stratum(time: Floats, event: NDArray[np.bool_], member: Floats) -> tuple[Floats, Floats, Floats]:
    when = np.unique(time[event])
    at_risk = (time[None, :] >= when[:, None]).astype(float) @ member
    dying = ((time[None, :] == when[:, None]) & event).astype(float) @ member
    total, deaths = at_risk.sum(axis=1), dying.sum(axis=1)
    share = at_risk / total[:, None]
    expected = (deaths[:, None] * share).sum(axis=0)
    factor = deaths * (total - deaths) / np.maximum(total - 1, 1)
    variance = np.diag(factor @ share) - (share * factor[:, None]).T @ share
    return dying.sum(axis=0), expected, variance
