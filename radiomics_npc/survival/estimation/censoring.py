"""The censoring distribution, and what it gives: weights, their uncertainty, horizons that are supported.

A patient whose event status at a horizon is known stands for those who were censored
before it: the weight is the inverse probability of still being uncensored.

References
----------
Graf E et al. Stat Med 1999;18:2529-2545 (weights). Blanche P et al. Stat Med
2013;32:5381-5397 (what their estimation adds to the variance). The numbers equal R's
``riskRegression::Score(cens.model = "km")``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError, HorizonError
from radiomics_npc.survival.estimation.baseline import step_function

__all__ = [
    "CensoringDistribution",
    "censoring_distribution",
    "censoring_influence",
    "horizon_weights",
    "supported_horizons",
]

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class CensoringDistribution:
    """Kaplan-Meier estimate of the probability G(t) to be uncensored past t.

    Parameters
    ----------
    time_months : array of float, shape (k,)
        Distinct times with a censoring, ascending.
    probability : array of float, shape (k,)
        G from each time on.
    last : float
        Longest follow-up: nothing is known later.
    """

    time_months: Floats
    probability: Floats
    last: float

    def at(self, times: ArrayLike) -> Floats:
        """G(t), NaN past the follow-up."""
        return step_function(self.time_months, self.probability, times, start=1.0, last=self.last)

    def before(self, times: ArrayLike) -> Floats:
        """G(t-): still uncensored just before t, NaN past the follow-up."""
        when = np.atleast_1d(np.asarray(times, dtype=float))
        values = np.concatenate([[1.0], self.probability])
        result: Floats = values[np.searchsorted(self.time_months, when, side="left")]
        result[~(when <= self.last)] = np.nan
        return result


def censoring_distribution(y: Outcome) -> CensoringDistribution:
    """Estimate the censoring distribution.

    At equal times events come before censorings: those with an event are no longer at
    risk of being censored then.

    Parameters
    ----------
    y : Outcome

    Returns
    -------
    CensoringDistribution

    Raises
    ------
    CohortError
        No patients.

    Examples
    --------
    >>> free = censoring_distribution(Outcome([6, 12, 12, 24, 30], [1, 0, 1, 0, 1]))
    >>> free.before([12, 24, 30]).round(3).tolist(), free.at([12, 24, 31]).round(3).tolist()
    ([1.0, 0.667, 0.333], [0.667, 0.333, nan])
    """
    if len(y) == 0:
        raise CohortError("no patients: no censoring distribution")
    times, censored = np.unique(y.time_months[~y.event], return_counts=True)
    everyone, events = np.sort(y.time_months), np.sort(y.time_months[y.event])
    gone = np.searchsorted(everyone, times, side="left")
    dying = np.searchsorted(events, times, side="right") - np.searchsorted(events, times, side="left")
    probability = np.cumprod(1.0 - censored / (len(y) - gone - dying), dtype=float)
    return CensoringDistribution(times, probability, float(everyone[-1]))


def horizon_weights(y: Outcome, horizon_months: float | ArrayLike) -> tuple[Flags, Flags, Floats]:
    """Who had the event by a horizon, who was free of it, and their weights.

    Patients censored before the horizon have weight 0. Patients censored at the very
    horizon, as in a cohort whose follow-up ends there by design, are free of the event
    at it (R leaves them out, and would have nobody left).

    Parameters
    ----------
    y : Outcome
    horizon_months : float or array, shape (t,)

    Returns
    -------
    event, free : array of bool, shape (n,) or (n, t)
    weight : array, shape (n,) or (n, t)
        Inverse probability of being uncensored; the mean is 1.

    Raises
    ------
    HorizonError
        A horizon is negative or lies past the follow-up.

    Examples
    --------
    >>> event, free, weight = horizon_weights(Outcome([10, 20, 60, 60], [1, 0, 0, 0]), 60)
    >>> free.tolist(), weight.round(3).tolist()
    ([False, False, True, True], [1.0, 0.0, 1.5, 1.5])
    """
    distribution = censoring_distribution(y)
    horizon = np.asarray(horizon_months, dtype=float)
    unsupported = horizon[~((horizon >= 0) & (horizon <= distribution.last))]
    if unsupported.size:
        raise HorizonError(
            f"nobody is followed to {unsupported.flat[0]:g} months (longest {distribution.last:.1f})",
            "Take an earlier horizon; supported_horizons() keeps those that can be taken.",
        )
    time = y.time_months.reshape(-1, *[1] * horizon.ndim)
    event = y.event.reshape(time.shape) & (time <= horizon)
    free = (time >= horizon) & ~event
    # Both are positive: someone is still followed at each of these times.
    at_event = 1.0 / distribution.before(y.time_months).reshape(time.shape)
    at_horizon = 1.0 / distribution.before(horizon).reshape(horizon.shape)
    return event, free, np.where(event, at_event, free * at_horizon)


def censoring_influence(y: Outcome, contribution: ArrayLike, horizon_months: float) -> Floats:
    """What each patient adds to a weighted mean through the estimated weights.

    Parameters
    ----------
    y : Outcome
    contribution : array, shape (n,)
        Weighted contribution of each patient to the mean, 0 for those censored before
        the horizon.
    horizon_months : float

    Returns
    -------
    array, shape (n,)
        To be added to ``contribution`` minus its mean, which gives the influence function.

    Examples
    --------
    >>> y = Outcome([10, 20, 60, 60], [1, 0, 0, 0])
    >>> censoring_influence(y, horizon_weights(y, 60)[2], 60).round(3).tolist()
    [0.0, 0.667, -0.333, -0.333]
    """
    n, value = len(y), np.asarray(contribution, dtype=float)
    weighed = np.minimum(y.time_months, horizon_months)  # the weight is that just before this time
    times, at = np.unique(y.time_months, return_inverse=True)
    censored = np.bincount(at, weights=~y.event)
    at_risk = n - np.concatenate([[0], np.cumsum(np.bincount(at))[:-1]])
    hazard = np.cumsum(censored * n / at_risk**2)
    before = np.concatenate([[0.0], hazard])[np.searchsorted(times, weighed, side="left")]
    # Sums over those weighed past each patient's time, and over those weighed up to it.
    order = np.argsort(weighed, kind="stable")
    totals = np.concatenate([np.zeros((1, 2)), np.cumsum(np.c_[value, value * before][order], axis=0)])
    passed = totals[np.searchsorted(weighed[order], y.time_months, side="right")]
    own = ~y.event * n / at_risk[at] - hazard[at]
    result: Floats = (own * (totals[-1, 0] - passed[:, 0]) - passed[:, 1]) / n
    return result


def supported_horizons(y: Outcome, times: Sequence[float] | ArrayLike) -> tuple[tuple[float, ...], str]:
    """Horizons at which these patients can be scored.

    At a supported horizon at least one patient had the event by then and at least one
    is known to be free of it.

    Parameters
    ----------
    y : Outcome
    times : array of float, shape (t,)
        Months.

    Returns
    -------
    kept : tuple of float
    message : str
        What was left out and why; empty when nothing was.

    Examples
    --------
    >>> supported_horizons(Outcome([10, 20, 50], [0, 1, 0]), [12, 36, 60])
    ((36.0,), 'left out: 12 months (no event by then), 60 months (nobody is followed so long)')
    """
    kept, left = [], []
    for time in np.atleast_1d(np.asarray(times, dtype=float)).tolist():
        if not (y.event & (y.time_months <= time)).any():
            left.append(f"{time:g} months (no event by then)")
        elif not ((y.time_months > time) | ((y.time_months == time) & ~y.event)).any():
            late = len(y) == 0 or y.time_months.max() < time
            left.append(f"{time:g} months ({'nobody is followed so long' if late else 'nobody is left'})")
        else:
            kept.append(time)
    return tuple(kept), f"left out: {', '.join(left)}" if left else ""
