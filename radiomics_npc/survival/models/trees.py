"""Boosted trees grown by xgboost: outcomes as its labels, its settings, and risks from its margins.

References
----------
Chen T, Guestrin C. XGBoost. KDD 2016. Ridgeway G. The state of boosting. Comput Sci
Stat 1999;31:172-181 (boosting the Cox partial likelihood). Barnwal A, Cho H, Hocking T.
Survival regression with accelerated failure time model in XGBoost. J Comput Graph Stat
2022;31:1292-1302.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

from radiomics_npc.cohort.outcome import Outcome

__all__ = [
    "Distribution",
    "Objective",
    "complete_settings",
    "grow_trees",
    "labeled",
    "margins",
    "risk_of_margin",
]

Floats = NDArray[np.float64]
Objective = Literal["cox", "aft"]
Distribution = Literal["normal", "logistic", "extreme"]

_ERROR = {"normal": stats.norm, "logistic": stats.logistic, "extreme": stats.gumbel_l}
_ONE_DAY = 12 / 365.25  # months; the logarithm of a time of 0 does not exist


def labeled(values: Floats, y: Outcome | None = None, objective: Objective = "cox") -> Any:
    """Numbers, NaN where missing, with the outcome in the form xgboost wants.

    Parameters
    ----------
    values : array, shape (n, p)
    y : Outcome, optional
    objective : {"cox", "aft"}

    Returns
    -------
    xgboost.DMatrix
        For Cox the rank of each time, negative when censored: only the order counts, and a
        time of 0 has no sign. For AFT the limits of the time, the upper one infinite when
        censored, and a time below one day counting as one day.
    """
    import xgboost

    # Names such as "T=1" or "<" inside a name are not allowed by xgboost: columns go by position.
    data = xgboost.DMatrix(np.asarray(values, dtype=float), nthread=1)
    if y is None:
        return data
    if objective == "cox":
        rank = np.unique(y.time_months, return_inverse=True)[1] + 1.0
        data.set_label(np.where(y.event, rank, -rank))
    else:
        time = np.maximum(y.time_months, _ONE_DAY)
        data.set_float_info("label_lower_bound", time)
        data.set_float_info("label_upper_bound", np.where(y.event, time, np.inf))
    return data


def null_location(y: Outcome, distribution: Distribution, scale: float) -> float:
    """Log time that an accelerated failure time model without covariates gives all patients.

    Parameters
    ----------
    y : Outcome
    distribution : {"normal", "logistic", "extreme"}
        Of the error, as in xgboost; "extreme" makes the times Weibull.
    scale : float

    Returns
    -------
    float
        Where the trees start from, of greatest likelihood.

    Examples
    --------
    >>> round(float(np.exp(null_location(Outcome([1.0, 2.0, 4.0], [1, 1, 1]), "normal", 1.0))), 5)
    2.0
    """
    log_time = np.log(np.maximum(y.time_months, _ONE_DAY))
    error = _ERROR[distribution]

    def loss(location: float) -> float:
        z = (log_time - location) / scale
        return -float(np.where(y.event, error.logpdf(z), error.logsf(z)).sum())

    reach = 20.0 * scale + 20.0
    limits = (float(log_time.min()) - reach, float(log_time.max()) + reach)
    found = optimize.minimize_scalar(loss, bounds=limits, method="bounded", options={"xatol": 1e-8})
    return float(found.x)


def base_settings(
    objective: Objective, distribution: Distribution, random_state: int, **growth: float
) -> dict[str, Any]:
    """Settings of xgboost that hold whatever is tuned.

    Examples
    --------
    >>> base_settings("cox", "normal", 0, max_depth=2)["objective"]
    'survival:cox'
    """
    settings: dict[str, Any] = {
        "objective": f"survival:{objective}", "tree_method": "hist", "lambda": 1.0, **growth,
        # Folds grow in step: the random numbers of a tree must not depend on the other folds.
        "seed": int(random_state) % 2**31, "seed_per_iteration": True, "nthread": 1, "verbosity": 0,
    }  # fmt: skip
    if objective == "cox":
        return {**settings, "eval_metric": "cox-nloglik"}
    return {
        **settings, "eval_metric": "aft-nloglik", "aft_loss_distribution": distribution,
        "aft_loss_distribution_scale": 1.0,
    }  # fmt: skip


def complete_settings(settings: Mapping[str, Any], y: Outcome, constraints: Sequence[int]) -> dict[str, Any]:
    """Settings of xgboost with what depends on the patients and columns at hand.

    Parameters
    ----------
    settings : mapping
        With ``objective`` and, for AFT, distribution and scale.
    y : Outcome
    constraints : sequence of int, shape (p,)
        How the risk may go with each column: 1 up, -1 down, 0 free.
    """
    aft = settings["objective"] == "survival:aft"
    start = 1.0
    if aft:
        distribution, scale = settings["aft_loss_distribution"], settings["aft_loss_distribution_scale"]
        start = float(np.exp(null_location(y, distribution, scale)))
    result = {**settings, "base_score": start}
    if any(constraints):
        # The trees of an AFT model predict log time, which falls where the risk rises.
        signs = [-sign if aft else sign for sign in constraints]
        result["monotone_constraints"] = f"({','.join(map(str, signs))})"
    return result


def grow_trees(settings: Mapping[str, Any], data: Any, rounds: int) -> Any:
    """Grow so many trees; the same settings and data give the same trees, whatever was grown before."""
    import xgboost

    return xgboost.train(dict(settings), data, rounds, verbose_eval=False)


def margins(booster: Any, data: Any, rounds: int) -> Floats:
    """Sum of the first trees: log relative hazard, or log time for AFT, shape (n,)."""
    found = booster.predict(data, output_margin=True, iteration_range=(0, rounds))
    return np.asarray(found, dtype=float)


def risk_of_margin(margin: Floats, settings: Mapping[str, Any]) -> Floats:
    """Risk, higher is worse.

    The margin itself for Cox. For AFT how much sooner than a patient without covariates the
    event is expected, in units of the scale: the log relative hazard if times are Weibull.
    """
    if settings["objective"] == "survival:cox":
        return margin
    location = np.log(settings["base_score"])
    result: Floats = (location - margin) / settings["aft_loss_distribution_scale"]
    return result


def contributions(booster: Any, data: Any, rounds: int, settings: Mapping[str, Any]) -> tuple[Floats, float]:
    """SHAP values of the risk, shape (n, p), and the risk without any column."""
    found = booster.predict(data, pred_contribs=True, iteration_range=(0, rounds))
    parts = np.asarray(found, dtype=float)
    # The risk is linear in the margin: two margins tell the slope.
    zero, one = risk_of_margin(np.array([0.0, 1.0]), settings)
    return parts[:, :-1] * (one - zero), float(zero + parts[0, -1] * (one - zero))
