"""What is known at a horizon: predictions that can be judged, and Kaplan-Meier in parts of a cohort.

References
----------
Kaplan EL, Meier P. J Am Stat Assoc 1958;53:457-481.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError, HorizonError

__all__ = ["share_table", "survival_in_subsets", "with_predictions"]

Floats = NDArray[np.float64]


def with_predictions(
    y: Outcome, predicted: ArrayLike, *, horizon_months: float
) -> tuple[Outcome, Floats, NDArray[np.bool_]]:
    """Patients whose probabilities can be held against what happened to them.

    Parameters
    ----------
    y : Outcome
    predicted : array, shape (n,) or (n, m)
        Probability to be free of the event at the horizon, of one or m models.
    horizon_months : float

    Returns
    -------
    y : Outcome
        Of the patients without a missing prediction.
    predicted : array, shape (k,) or (k, m)
    known : array of bool, shape (n,)

    Raises
    ------
    CohortError
        Lengths differ, no patient has a prediction, or a number is no probability.
    HorizonError
        The horizon is not positive, or nobody is followed to it.

    Examples
    --------
    >>> y = Outcome([10, 60, 60], [1, 0, 0])
    >>> with_predictions(y, [0.5, np.nan, 0.9], horizon_months=60)[1]
    array([0.5, 0.9])
    """
    values = np.asarray(predicted, dtype=float)
    if values.shape[:1] != (len(y),):
        raise CohortError(f"{len(y)} patients but predictions of shape {values.shape}")
    if not horizon_months > 0:
        raise HorizonError(f"the horizon is {horizon_months} months", "Give a positive time.")
    known = np.isfinite(values).all(axis=tuple(range(1, values.ndim)))
    if not known.any():
        raise CohortError("no patient has a prediction", "Take a horizon within the follow-up.")
    y, values = y.take(np.flatnonzero(known)), values[known]
    if values.size and (values.min() < 0 or values.max() > 1):
        raise CohortError(
            "a prediction lies outside 0 to 1",
            "Give the probability to be free of the event at the horizon, not a risk score.",
        )
    if y.time_months.max() < horizon_months:
        raise HorizonError(
            f"nobody is followed to {horizon_months:g} months (longest {y.time_months.max():.1f})",
            "Take an earlier horizon.",
        )
    return y, values, known


def survival_in_subsets(y: Outcome, weights: ArrayLike, *, horizon_months: float) -> Floats:
    """Kaplan-Meier estimate at a horizon in many subsets of the same patients at once.

    Parameters
    ----------
    y : Outcome
    weights : array, shape (n, k)
        How often each patient counts in each subset: 0 or 1, or more in a bootstrap sample.
    horizon_months : float

    Returns
    -------
    array, shape (k,)
        NaN where a subset is empty or its follow-up ends before the horizon; 0
        where all of it had the event.

    Examples
    --------
    >>> y = Outcome([10, 20, 60, 70], [1, 0, 1, 0])
    >>> survival_in_subsets(y, np.array([[1, 1], [1, 1], [1, 0], [1, 0]]), horizon_months=60)
    array([0.375,   nan])
    """
    order = np.argsort(y.time_months, kind="stable")
    time, event = y.time_months[order], y.event[order]
    weight = np.asarray(weights, dtype=float)[order]
    first = np.unique(time, return_index=True)[1]
    at_risk = np.cumsum(weight[::-1], axis=0)[::-1][first]
    deaths = np.add.reduceat(weight * event[:, None], first, axis=0)
    share = np.divide(deaths, at_risk, out=np.zeros_like(deaths), where=at_risk > 0)
    survival: Floats = np.prod(1.0 - share[time[first] <= horizon_months], axis=0)
    followed = (weight[time >= horizon_months] > 0).any(axis=0)
    survival[~followed & (survival > 0)] = np.nan
    return survival


def share_table(
    time_months: Floats, name: str, estimate: Floats, se: Floats, confidence: float
) -> pd.DataFrame:
    """A score between 0 and 1 at some horizons, with normal limits that stay there.

    Parameters
    ----------
    time_months, estimate, se : array of float, shape (t,)
    name : str
        Of the column of the estimate.
    confidence : float

    Returns
    -------
    DataFrame
        time_months, the estimate, se, lower, upper.

    Examples
    --------
    >>> share_table(np.array([60.0]), "auc", np.array([0.9]), np.array([0.1]), 0.95).round(3)
       time_months  auc   se  lower  upper
    0         60.0  0.9  0.1  0.704    1.0
    """
    reach = norm.ppf(0.5 + confidence / 2) * se
    lower, upper = np.maximum(estimate - reach, 0.0), np.minimum(estimate + reach, 1.0)
    return pd.DataFrame(
        {"time_months": time_months, name: estimate, "se": se, "lower": lower, "upper": upper}
    )
