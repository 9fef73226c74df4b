"""Baseline cumulative hazard and step-function survival.

References
----------
Efron B. The efficiency of Cox's likelihood function for censored data.
J Am Stat Assoc 1977;72:557-565. Therneau TM, Grambsch PM. Modeling Survival
Data. Springer 2000, section 10.2. The numbers equal R's ``survival::basehaz``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError
from radiomics_npc.survival.estimation.risk_sets import RiskSets, Ties

__all__ = ["baseline_hazard", "event_risk_weights", "step_function", "survival_at"]

Floats = NDArray[np.float64]


def event_risk_weights(
    y: Outcome, linear_predictor: ArrayLike, *, ties: Ties = "efron"
) -> tuple[Floats, Floats]:
    """Weights of all patients in the risk set of every event.

    Row e of the result times a matrix of covariates is the weighted mean of the
    covariates among those at risk at event e, which is all that the score, the
    information and the variance of the cumulative hazard need.

    Parameters
    ----------
    y : Outcome
    linear_predictor : array, shape (n,)
        Log relative hazard.
    ties : {"efron", "breslow"}
        Efron's method lets the events tied at one time leave the risk set one by one.

    Returns
    -------
    weights : array, shape (events, n)
        Rows in the order of event times, each summing to 1.
    totals : array, shape (events,)
        Sum of the relative hazards in each risk set.

    Examples
    --------
    >>> weights, totals = event_risk_weights(Outcome([1, 2, 3], [1, 0, 1]), [0, 0, 0])
    >>> weights.round(2).tolist(), totals.tolist()
    ([[0.33, 0.33, 0.33], [0.0, 0.0, 1.0]], [3.0, 1.0])
    """
    hazard = np.exp(np.asarray(linear_predictor, dtype=float))
    rows = np.flatnonzero(y.event)
    rows = rows[np.argsort(y.time_months[rows], kind="stable")]
    times = y.time_months[rows]
    weights = (y.time_months[None, :] >= times[:, None]) * hazard
    if ties == "efron":
        first = np.searchsorted(times, times, side="left")
        tied = np.searchsorted(times, times, side="right") - first
        left = (np.arange(len(rows)) - first) / tied
        several = np.flatnonzero(left)
        dying = (y.time_months[None, :] == times[several, None]) & y.event
        weights[several] -= dying * hazard * left[several, None]
    totals = weights.sum(axis=1)
    return weights / totals[:, None], totals


def baseline_hazard(y: Outcome, linear_predictor: ArrayLike, *, ties: Ties = "efron") -> pd.DataFrame:
    """Cumulative hazard of a patient whose linear predictor is 0.

    Parameters
    ----------
    y : Outcome
    linear_predictor : array, shape (n,)
        Log relative hazard of the same patients.
    ties : {"efron", "breslow"}
        Efron, the default, is what R takes after a Cox fit with Efron's ties;
        lifelines and scikit-survival take Breslow.

    Returns
    -------
    DataFrame
        Columns ``time_months`` (distinct event times) and ``cumulative_hazard``.

    Raises
    ------
    CohortError
        No event, or a linear predictor that is not finite.

    Examples
    --------
    >>> baseline_hazard(Outcome([1, 2, 3], [1, 0, 1]), [0, 0, 0])
       time_months  cumulative_hazard
    0          1.0           0.333333
    1          3.0           1.333333
    """
    lp = np.asarray(linear_predictor, dtype=float)
    if not y.event.any():
        raise CohortError("no patient has an event: no hazard can be estimated")
    if not np.isfinite(lp).all():
        raise CohortError("the linear predictor is not finite for some patients")
    shift = lp.max()
    sets = RiskSets(y.time_months, y.event, ties=ties)
    steps = sets.by_time(1.0 / sets.total(np.exp(lp - shift)))
    return pd.DataFrame({"time_months": sets.times, "cumulative_hazard": np.cumsum(steps) * np.exp(-shift)})


def step_function(
    jumps: ArrayLike, values: ArrayLike, times: ArrayLike, *, start: float = 0.0, last: float = np.inf
) -> Floats:
    """Value of a right-continuous step function, NaN past the last follow-up.

    Parameters
    ----------
    jumps : array, shape (k,)
        Ascending times of the jumps.
    values : array, shape (k,) or (k, ...)
        Value from each jump on.
    times : array, shape (t,)
    start : float
        Value before the first jump.
    last : float
        Largest follow-up time: nothing is known later.

    Returns
    -------
    array, shape (t,) or (t, ...)

    Examples
    --------
    >>> step_function([1.0, 3.0], [0.9, 0.8], [0.5, 1.0, 2.9, 3.0, 61.0], start=1.0, last=60.0)
    array([1. , 0.9, 0.9, 0.8, nan])
    """
    when = np.atleast_1d(np.asarray(times, dtype=float))
    table = np.asarray(values, dtype=float)
    table = np.concatenate([np.full((1, *table.shape[1:]), start), table])
    result: Floats = table[np.searchsorted(np.asarray(jumps, dtype=float), when, side="right")]
    result[~(when <= last)] = np.nan
    return result


def survival_at(
    baseline: pd.DataFrame, linear_predictor: ArrayLike, times: Sequence[float] | ArrayLike, *, last: float
) -> Floats:
    """Survival probabilities from a baseline hazard.

    Parameters
    ----------
    baseline : DataFrame
        As from :func:`baseline_hazard`.
    linear_predictor : array, shape (n,)
    times : array, shape (t,)
        Months.
    last : float
        Largest follow-up time in training: later times give NaN.

    Returns
    -------
    array, shape (n, t)

    Examples
    --------
    >>> base = baseline_hazard(Outcome([1, 2, 3], [1, 0, 1]), [0, 0, 0])
    >>> survival_at(base, [0.0, 1.0], [1, 2, 4], last=3).round(3)
    array([[0.717, 0.717,   nan],
           [0.404, 0.404,   nan]])
    """
    hazard = step_function(baseline["time_months"], baseline["cumulative_hazard"], times, last=last)
    lp = np.asarray(linear_predictor, dtype=float)
    result: Floats = np.exp(-np.exp(lp)[:, None] * hazard[None, :])
    return result
