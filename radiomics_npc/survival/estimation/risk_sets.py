"""Sums over those at risk at every event, in one pass over the patients.

The Cox score, its information, residuals, the baseline hazard and the test of
proportional hazards are all sums over risk sets, or over the risk sets that a
patient belongs to. Sorted once, each is a running sum.

References
----------
Efron B. J Am Stat Assoc 1977;72:557-565. Therneau TM, Grambsch PM. Modeling
Survival Data. Springer 2000, sections 3.3 and 4.2.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["RiskSets", "RiskSums", "Ties"]

Ties = Literal["efron", "breslow"]
Floats = NDArray[np.float64]


class RiskSets:
    """Who is at risk when; events in the order of their times.

    Parameters
    ----------
    time_months : array, shape (n,)
    event : array of bool, shape (n,)
        At least one True.
    ties : {"efron", "breslow"}
        Efron's method lets the events tied at one time leave the risk set one by one.

    Attributes
    ----------
    rows : array of int, shape (events,)
        Position of the patient of each event.
    times : array, shape (k,)
        Distinct event times.
    group : array of int, shape (events,)
        Position in ``times`` of each event.

    Examples
    --------
    >>> sets = RiskSets(np.array([3.0, 1, 2]), np.array([True, True, False]))
    >>> sets.rows, sets.total(np.array([10.0, 1, 100]))
    (array([1, 0]), array([111.,  10.]))
    >>> sets.share(np.array([0.5, 0.2]))
    array([0.7, 0.5, 0.5])
    """

    def __init__(self, time_months: Floats, event: NDArray[np.bool_], *, ties: Ties = "efron") -> None:
        self._order = np.argsort(time_months, kind="stable")
        time = time_months[self._order]
        self._deaths = np.flatnonzero(event[self._order])
        self.rows = self._order[self._deaths]
        self.times, self._start, self.group, counts = np.unique(
            time[self._deaths], return_index=True, return_inverse=True, return_counts=True
        )
        self._first = np.searchsorted(time, self.times)[self.group]
        turn = np.arange(len(self.rows)) - self._start[self.group]
        self._left = turn / counts[self.group] if ties == "efron" else np.zeros(len(self.rows))
        self._seen = np.searchsorted(time[self._deaths], time, side="right")

    def total(self, values: Floats) -> Floats:
        """Sum of the patients' values, shape (n, ...), over each risk set, shape (events, ...)."""
        ordered = values[self._order]
        at_risk = np.cumsum(ordered[::-1], axis=0)[::-1][self._first]
        dying = self.by_time(ordered[self._deaths])[self.group]
        result: Floats = at_risk - (dying.T * self._left).T
        return result

    def share(self, values: Floats) -> Floats:
        """Sum of the events' values, shape (events, ...), over the risk sets of each patient, (n, ...)."""
        running = np.concatenate([np.zeros_like(values[:1]), np.cumsum(values, axis=0)])[self._seen]
        running[self._deaths] -= self.by_time((values.T * self._left).T)[self.group]
        result = np.empty_like(running)
        result[self._order] = running
        return result

    def by_time(self, values: Floats) -> Floats:
        """Sum of the events' values at each distinct time."""
        result: Floats = np.add.reduceat(values, self._start, axis=0)
        return result


class RiskSums:
    """What the partial likelihood of one stratum is made of, at one linear predictor.

    Parameters
    ----------
    sets : RiskSets
    matrix : array, shape (n, p)
    linear_predictor : array, shape (n,)

    Attributes
    ----------
    totals : array, shape (events,)
        Sum of relative hazards in each risk set, over ``exp(shift)``.
    means : array, shape (events, p)
        Weighted mean of the covariates in each risk set.
    shift : float
        Largest linear predictor: taken off so that nothing overflows.

    Examples
    --------
    >>> sets = RiskSets(np.array([3.0, 1, 2]), np.array([True, True, False]))
    >>> sums = RiskSums(sets, np.array([[1.0], [3], [5]]), np.zeros(3))
    >>> sums.means.ravel(), sums.information(), round(sums.loglik, 6)
    (array([3., 1.]), array([[2.66666667]]), -1.098612)
    """

    def __init__(self, sets: RiskSets, matrix: Floats, linear_predictor: Floats) -> None:
        self.sets, self.matrix = sets, matrix
        self.shift = float(linear_predictor.max())
        self.hazard = np.exp(linear_predictor - self.shift)
        self.totals = sets.total(self.hazard)
        self.means = sets.total(self.hazard[:, None] * matrix) / self.totals[:, None]
        log_totals = np.log(self.totals) + self.shift
        self.loglik = float(linear_predictor[sets.rows].sum() - log_totals.sum())

    def residuals(self) -> Floats:
        """Covariates of each event's patient less their mean at risk, shape (events, p)."""
        result: Floats = self.matrix[self.sets.rows] - self.means
        return result

    def information(self, weights: Floats | None = None) -> Floats:
        """Sum over events of the covariance of the covariates at risk, each times its weight."""
        weight = np.ones(len(self.totals)) if weights is None else weights
        share = self.hazard * self.sets.share(weight / self.totals)
        result: Floats = (self.matrix.T * share) @ self.matrix - (self.means.T * weight) @ self.means
        return result

    def tied_means(self) -> Floats:
        """Mean of the covariates at risk, the same for events tied at one time, shape (events, p)."""
        sets = self.sets
        result: Floats = (sets.by_time(self.means) / np.bincount(sets.group)[:, None])[sets.group]
        return result

    def score_residuals(self) -> Floats:
        """Each patient's part of the score, shape (n, p): the derivative by the patient's weight."""
        sets = self.sets
        expected = self.hazard[:, None] * (
            self.matrix * sets.share(1 / self.totals)[:, None] - sets.share(self.means / self.totals[:, None])
        )
        result = -expected
        result[sets.rows] += self.matrix[sets.rows] - self.tied_means()
        return result
