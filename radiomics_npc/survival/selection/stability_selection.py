"""Stability selection: columns that a lasso Cox model takes in most halves of the patients.

References
----------
Meinshausen N, Buehlmann P. Stability selection. J R Stat Soc B 2010;72:417-473. Shah RD,
Samworth RJ. Variable selection with error control. J R Stat Soc B 2013;75:55-80
(complementary pairs, and a sharper bound).
"""

from __future__ import annotations

from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError, ConfigError
from radiomics_npc.survival.design import check_rows
from radiomics_npc.survival.selection.elastic_net import elastic_net_path, largest_penalty
from radiomics_npc.survival.selection.filters import ColumnFilter
from radiomics_npc.survival.selection.screening import near_constant, screen_features
from radiomics_npc.survival.selection.signature import feature_matrix

__all__ = ["StabilitySelection", "false_selections", "false_selections_unimodal"]

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]
# Penalties as parts of the largest one; the path is followed only until enough columns are in.
_STRETCHES = (np.geomspace(1.0, 0.5, 12), np.geomspace(0.5, 0.2, 12)[1:], np.geomspace(0.2, 0.03, 16)[1:])


def false_selections(chosen: float, threshold: float, columns: int) -> float:
    """Largest expected number of falsely selected columns (Meinshausen and Buehlmann).

    Holds when noise columns are exchangeable and the selection is better than chance.

    Parameters
    ----------
    chosen : float
        Mean number of columns that one half of the patients selects.
    threshold : float
        Share of the halves in which a column has to be selected, above 0.5.
    columns : int

    Raises
    ------
    ConfigError
        A threshold of 0.5 or less.

    Examples
    --------
    >>> round(false_selections(10, 0.75, 1000), 3)
    0.2
    """
    _check_threshold(threshold)
    return chosen**2 / ((2 * threshold - 1) * columns)


def false_selections_unimodal(chosen: float, threshold: float, columns: int, pairs: int) -> float:
    """Sharper bound for complementary pairs (Shah and Samworth, theorem 2).

    On the expected number of selected columns among those that a half selects with a
    probability of at most ``chosen / columns``, if the share of pairs that select such a
    column is unimodal. NaN where the theorem says nothing.

    Parameters
    ----------
    chosen, threshold, columns
        As in :func:`false_selections`.
    pairs : int
        Complementary pairs.

    Examples
    --------
    >>> round(false_selections_unimodal(10, 0.75, 1000, 50), 4)
    0.102
    """
    _check_threshold(threshold)
    share = chosen / columns
    least = min(0.5 + share**2, 0.5 + 1 / (2 * pairs) + 0.75 * share**2)
    if share > 1 / np.sqrt(3) or threshold <= least:
        return float("nan")
    if threshold <= 0.75:
        factor = 1 / (2 * (2 * threshold - 1 - 1 / (2 * pairs)))
    else:
        factor = 4 * (1 - threshold + 1 / (2 * pairs)) / (1 + 1 / pairs)
    return factor * share * chosen


def _check_threshold(threshold: float) -> None:
    if not 0.5 < threshold <= 1:
        raise ConfigError(f"the threshold is {threshold:g}", "It lies above 0.5 and is 1 at most.")


class StabilitySelection(ColumnFilter):
    """Keep the columns that enter the lasso early in most halves of the patients.

    In each half the first ``q`` columns to enter the path of an elastic-net Cox model are
    selected; ``q`` is the largest number that keeps the expected false selections below
    ``max_false``.

    Parameters
    ----------
    threshold : float
        Share of the halves, from 0.6 to 0.9.
    max_false : float
        Expected number of falsely selected columns at most, by :func:`false_selections`.
    resamples : int
        Halves; they come in complementary pairs, with the events spread evenly.
    l1_ratio : float
        1 is the lasso.
    max_features : int, optional
        In each half only so many columns, those with the largest univariate score tests,
        enter the path. It is part of the selection in the half, so that the bound holds.
    random_state : int

    Attributes
    ----------
    frequencies_ : Series
        Share of the halves that selected each varying column, largest first.
    chosen_ : float
        Mean number of columns that a half selected.
    q_ : int
    expected_false_, expected_false_unimodal_ : float
        Bounds for what was chosen: Meinshausen and Buehlmann's, and that of
        :func:`false_selections_unimodal`.

    Examples
    --------
    >>> random = np.random.default_rng(0)
    >>> X = pd.DataFrame(random.normal(size=(80, 40)), columns=[f"x{k}" for k in range(40)])
    >>> y = Outcome(random.exponential(np.exp(-1.5 * X["x3"])), np.ones(80))
    >>> StabilitySelection(resamples=20).fit(X, y).columns_
    ['x3']
    """

    def __init__(
        self,
        *,
        threshold: float = 0.75,
        max_false: float = 1.0,
        resamples: int = 100,
        l1_ratio: float = 1.0,
        max_features: int | None = 100,
        random_state: int = 0,
    ) -> None:
        self.threshold = threshold
        self.max_false = max_false
        self.resamples = resamples
        self.l1_ratio = l1_ratio
        self.max_features = max_features
        self.random_state = random_state

    def fit(self, X: pd.DataFrame, y: Outcome) -> Self:
        """Select in every half. No column stays when none is stable. Missing values count as the median.

        Raises
        ------
        CohortError
            No column varies, fewer than 4 events, or too few columns for ``max_false``.
        ConfigError
            A threshold of 0.5 or less, or fewer than 2 halves.
        """
        check_rows(X, y)
        _check_threshold(self.threshold)
        if self.resamples < 2:
            raise ConfigError(f"resamples is {self.resamples}", "Take 100, or 2 at least.")
        if y.event.sum() < 4:
            raise CohortError(f"{int(y.event.sum())} events are too few to select in halves of the patients")
        matrix = feature_matrix(X)
        varied = np.flatnonzero(~near_constant(matrix))
        if len(varied) == 0:
            raise CohortError("no feature varies between the patients", "Check the extraction.")
        self.q_ = self._size(len(varied))
        counts = np.zeros(len(varied))
        random = np.random.default_rng(self.random_state)
        pairs = -(-self.resamples // 2)
        for _ in range(pairs):
            for half in _halves(y, random):
                counts[self._select(matrix[half][:, varied], y.take(half))] += 1
        self.chosen_ = float(counts.sum() / (2 * pairs))
        share = pd.Series(counts / (2 * pairs), index=X.columns[varied], name="frequency")
        self.frequencies_ = share.sort_values(ascending=False, kind="stable")
        self.columns_ = list(self.frequencies_.index[self.frequencies_ >= self.threshold])
        self.expected_false_ = false_selections(self.chosen_, self.threshold, len(varied))
        self.expected_false_unimodal_ = false_selections_unimodal(
            self.chosen_, self.threshold, len(varied), pairs
        )
        return self

    def _size(self, columns: int) -> int:
        """Columns that a half may select."""
        size = int(np.floor(np.sqrt(self.max_false * (2 * self.threshold - 1) * columns) + 1e-9))
        if size < 1:
            raise CohortError(
                f"with {columns} columns fewer than {self.max_false:g} false selections cannot be assured",
                "Allow more false selections, or take a larger threshold.",
            )
        return min(size, columns)

    def _select(self, matrix: Floats, y: Outcome) -> Rows:
        """Positions of the first columns on the path."""
        screen = screen_features(matrix, y, max_features=self.max_features)
        if len(screen.columns) == 0:
            return screen.columns
        scaled = screen.apply(matrix)
        first = _first_on_path(scaled, y, self.l1_ratio, self.q_)
        result: Rows = screen.columns[first]
        return result

    def to_frame(self) -> pd.DataFrame:
        """One row a column: frequency, and whether it is kept."""
        return self.frequencies_.to_frame().assign(kept=self.frequencies_ >= self.threshold)


def _halves(y: Outcome, random: np.random.Generator) -> tuple[Rows, Rows]:
    """Two halves without a common patient, events spread evenly."""
    order = np.concatenate([random.permutation(np.flatnonzero(part)) for part in (y.event, ~y.event)])
    return np.sort(order[::2]), np.sort(order[1::2])


def _first_on_path(scaled: Floats, y: Outcome, l1_ratio: float, limit: int) -> Rows:
    """The first columns with weight as the penalty falls; of those that enter together the heaviest."""
    largest = largest_penalty(scaled, y, l1_ratio)
    inside = np.zeros(0, dtype=np.intp)
    for stretch in _STRETCHES:
        path = elastic_net_path(scaled, y, largest * stretch, l1_ratio, tol=1e-5)
        for weight in np.abs(path.T):
            new = np.setdiff1d(np.flatnonzero(weight), inside)
            new = new[np.argsort(-weight[new], kind="stable")]
            inside = np.concatenate([inside, new])[:limit]
            if len(inside) == limit:
                return inside
    return inside
