"""Minimum redundancy, maximum relevance, for censored outcomes.

References
----------
Peng H, Long F, Ding C. IEEE Trans Pattern Anal Mach Intell 2005;27:1226-1238. Ding C,
Peng H. J Bioinform Comput Biol 2005;3:185-205 (difference and quotient).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError, ConfigError
from radiomics_npc.survival.design import check_rows
from radiomics_npc.survival.selection.filters import ColumnFilter
from radiomics_npc.survival.selection.screening import near_constant, score_tests
from radiomics_npc.survival.selection.signature import feature_matrix

__all__ = ["MrmrFilter", "column_concordances"]

Floats = NDArray[np.float64]
_LEAST_REDUNDANCY = 0.01  # below, two columns count as unrelated, or a quotient would look at nothing else


def column_concordances(matrix: Floats, y: Outcome) -> Floats:
    """Harrell's C of every column as a risk, all columns at once, shape (p,).

    Parameters
    ----------
    matrix : array, shape (n, p)
        No missing values.
    y : Outcome

    Returns
    -------
    array
        NaN when no pair can be compared.

    Examples
    --------
    >>> y = Outcome([5, 10, 20, 40], [1, 1, 0, 1])
    >>> column_concordances(np.array([[4.0, 1], [2, 1], [3, 1], [1, 1]]), y)
    array([0.8, 0.5])
    """
    won, pairs = np.zeros(matrix.shape[1]), 0
    for row in np.flatnonzero(y.event):
        later = (y.time_months > y.time_months[row]) | ((y.time_months == y.time_months[row]) & ~y.event)
        others = matrix[later]
        won += (others < matrix[row]).sum(axis=0) + 0.5 * (others == matrix[row]).sum(axis=0)
        pairs += int(later.sum())
    return won / pairs if pairs else np.full(matrix.shape[1], np.nan)


class MrmrFilter(ColumnFilter):
    """Keep columns that say much about the outcome and little about each other.

    Columns are taken one by one: first the most relevant, then the one with the largest
    relevance less (or over) its mean absolute Spearman correlation to those taken.

    Parameters
    ----------
    n_features : int
        How many are kept.
    relevance : {"score", "concordance"}
        ``|z| / sqrt(events)`` of the univariate Cox score test, or ``|2C - 1|`` of Harrell's
        C; both lie on the scale of a correlation, as the redundancy does.
    scheme : {"difference", "quotient"}
        A quotient counts redundancies below 0.01 as 0.01.

    Attributes
    ----------
    ranking_ : DataFrame
        Kept columns in the order taken: relevance, redundancy (to those taken before), criterion.

    Examples
    --------
    >>> random = np.random.default_rng(0)
    >>> X = pd.DataFrame(random.normal(size=(80, 2)), columns=["a", "b"])
    >>> y = Outcome(random.exponential(np.exp(-X["a"] - 0.6 * X["b"])), np.ones(80))
    >>> MrmrFilter(n_features=2).fit(X.assign(copy=2 * X["a"] + 1), y).columns_
    ['a', 'b']
    """

    def __init__(
        self,
        n_features: int = 20,
        *,
        relevance: Literal["score", "concordance"] = "score",
        scheme: Literal["difference", "quotient"] = "difference",
    ) -> None:
        self.n_features = n_features
        self.relevance = relevance
        self.scheme = scheme

    def fit(self, X: pd.DataFrame, y: Outcome) -> Self:
        """Learn relevance and redundancy. Missing values count as the median.

        Raises
        ------
        CohortError
            No column varies, a column holds text, or no event.
        ConfigError
            An unknown relevance or scheme, or no features asked for.
        """
        check_rows(X, y)
        if self.relevance not in ("score", "concordance") or self.scheme not in ("difference", "quotient"):
            raise ConfigError(
                f"relevance {self.relevance} with scheme {self.scheme} is not known",
                "Take score or concordance, difference or quotient.",
            )
        if self.n_features < 1:
            raise ConfigError(f"n_features is {self.n_features}", "Keep one column at least.")
        if not y.event.any():
            raise CohortError("no patient has an event: no column can be relevant")
        matrix = feature_matrix(X)
        varied = np.flatnonzero(~near_constant(matrix))
        if len(varied) == 0:
            raise CohortError("no feature varies between the patients", "Check the extraction.")
        values = matrix[:, varied]
        values = np.where(np.isnan(values), np.nanmedian(values, axis=0), values)
        taken, table = _greedy(self._relevance(values, y), _standard_ranks(values), self._criterion,
                               min(self.n_features, len(varied)))  # fmt: skip
        self.columns_ = list(X.columns[varied[taken]])
        self.ranking_ = pd.DataFrame(
            table, index=pd.Index(self.columns_), columns=["relevance", "redundancy", "criterion"]
        )
        return self

    def _relevance(self, values: Floats, y: Outcome) -> Floats:
        if self.relevance == "score":
            found: Floats = np.sqrt(score_tests(values, y)[0] / y.event.sum())
        else:
            found = np.nan_to_num(np.abs(2 * column_concordances(values, y) - 1))
        return found

    def _criterion(self, relevance: Floats, redundancy: Floats) -> Floats:
        if self.scheme == "difference":
            return relevance - redundancy
        return relevance / np.maximum(redundancy, _LEAST_REDUNDANCY)


def _standard_ranks(values: Floats) -> Floats:
    """Ranks with mean 0 and sum of squares 1, so that products are Spearman correlations."""
    ranks: Floats = rankdata(values, axis=0)
    ranks -= ranks.mean(axis=0)
    return ranks / np.sqrt((ranks**2).sum(axis=0))


def _greedy(
    relevance: Floats, ranks: Floats, criterion: Callable[[Floats, Floats], Floats], limit: int
) -> tuple[NDArray[np.intp], list[tuple[float, float, float]]]:
    """Positions taken, in order, with relevance, redundancy and criterion of each."""
    total, free = np.zeros(len(relevance)), np.ones(len(relevance), dtype=bool)
    taken: list[int] = []
    table = []
    for turn in range(limit):
        redundancy = total / max(turn, 1)
        worth = relevance if turn == 0 else criterion(relevance, redundancy)
        # Rounded, so that columns that are the same up to scale keep their order on every machine.
        best = int(np.argmax(np.where(free, worth.round(9), -np.inf)))
        taken.append(best)
        table.append((float(relevance[best]), float(redundancy[best]), float(worth[best])))
        free[best] = False
        total += np.abs(ranks.T @ ranks[:, best])
    return np.array(taken, dtype=np.intp), table
