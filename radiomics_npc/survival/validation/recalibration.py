"""A frozen model mended for other patients: its slope, and its baseline hazard.

References
----------
van Houwelingen HC. Validation, calibration, revision and combination of prognostic survival
models. Stat Med 2000;19:3401-3415. Harrell FE. Regression Modeling Strategies, 2nd ed. 2015,
section 5.3 (shrinkage by the optimism-corrected slope).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError
from radiomics_npc.survival.design import check_rows
from radiomics_npc.survival.estimation.baseline import baseline_hazard, survival_at
from radiomics_npc.survival.estimation.partial_likelihood import maximize_partial_likelihood
from radiomics_npc.survival.metrics.weak_calibration import log_cumulative_hazard
from radiomics_npc.survival.validation.fold_fits import last_step

__all__ = ["RecalibratedModel", "fit_slope", "log_hazard"]

Floats = NDArray[np.float64]


class RecalibratedModel(BaseEstimator):
    """A fitted model whose log hazards are multiplied by a slope and given a new baseline.

    Parameters
    ----------
    model : estimator
        Fitted, such as a loaded PrognosticModel; nothing of it changes.
    slope : float, optional
        1 mends the baseline alone (calibration in the large). A slope corrected for optimism
        shrinks the model. By default the slope is fitted to the patients given.
    horizon_months : float
        Where log hazards are taken from, for models whose hazards are not proportional.

    Attributes
    ----------
    calibration_slope_, calibration_slope_se_ : float
        The standard error is 0 for a slope that was given.
    baseline_ : DataFrame
        time_months, cumulative_hazard where the log hazard is 0.
    follow_up_months_ : float

    Examples
    --------
    >>> from radiomics_npc.survival.models.cox import CoxModel
    >>> random = np.random.default_rng(0)
    >>> X = pd.DataFrame({"age": random.normal(size=300)})
    >>> y = Outcome(random.exponential(40 * np.exp(-X["age"])), np.ones(300))
    >>> model = CoxModel().fit(X, y)
    >>> late = Outcome(2 * y.time_months, y.event)
    >>> mended = RecalibratedModel(model).fit(X, late)
    >>> round(mended.calibration_slope_, 6)
    1.0
    >>> before, after = model.predict_survival(X, [20.0]), mended.predict_survival(X, [40.0])
    >>> bool(np.allclose(before, after))
    True
    """

    def __init__(self, model: Any, *, slope: float | None = None, horizon_months: float = 60.0) -> None:
        self.model = model
        self.slope = slope
        self.horizon_months = horizon_months

    def fit(self, X: pd.DataFrame, y: Outcome) -> Self:
        """Learn slope and baseline from these patients.

        Raises
        ------
        CohortError
            No event, the same log hazard for all, or a column of the model is absent.
        """
        check_rows(X, y)
        values = log_hazard(self.model, X, self.horizon_months)
        if self.slope is None:
            self.calibration_slope_, self.calibration_slope_se_ = fit_slope(y, values)
        else:
            self.calibration_slope_, self.calibration_slope_se_ = float(self.slope), 0.0
        self.baseline_ = baseline_hazard(y, self.calibration_slope_ * values)
        self.follow_up_months_ = float(y.time_months.max())
        self.n_, self.events_ = len(y), int(y.event.sum())
        self.outcome_name_, self.simulated_ = y.name, y.simulated
        return self

    def predict_risk(self, X: pd.DataFrame) -> Floats:
        """Log relative hazard, shape (n,); higher is worse."""
        check_is_fitted(self, "baseline_")
        return self.calibration_slope_ * log_hazard(self.model, X, self.horizon_months)

    def predict_survival(self, X: pd.DataFrame, times: Sequence[float] | ArrayLike) -> Floats:
        """Probability to be free of the event, shape (n, t); NaN past the follow-up."""
        return survival_at(self.baseline_, self.predict_risk(X), times, last=self.follow_up_months_)


def log_hazard(model: Any, X: pd.DataFrame, horizon_months: float = 60.0) -> Floats:
    """Risk on the scale of the probabilities: 1 more is e times the (cumulative) hazard.

    Parameters
    ----------
    model : estimator or Pipeline
        Fitted. With proportional hazards its risk is taken, times ``slope_`` if it has one
        (boosted risks are shrunk before they become probabilities); of others, and of strata
        with a baseline each, the log of the cumulative hazard at the horizon.
    X : DataFrame
    horizon_months : float

    Returns
    -------
    array, shape (n,)

    Raises
    ------
    CohortError
        The model gives no probability at the horizon.
    """
    last, table = last_step(model, X)
    inner = getattr(last, "last_step", last)
    if hasattr(inner, "baseline_") and not len(getattr(inner, "strata", ())):
        risk: Floats = np.asarray(last.predict_risk(table), dtype=float) * getattr(inner, "slope_", 1.0)
        return risk
    survival = last.predict_survival(table, [horizon_months])[:, 0]
    if not np.isfinite(survival).all():
        raise CohortError(
            f"the model gives no probability at {horizon_months:g} months", "Take an earlier horizon."
        )
    return log_cumulative_hazard(survival)


def fit_slope(y: Outcome, log_hazards: Floats) -> tuple[float, float]:
    """Cox coefficient of the log hazard and its standard error.

    Raises
    ------
    CohortError
        No event, or the same log hazard for all.
    """
    if np.ptp(log_hazards) <= 1e-12 * max(1.0, float(np.abs(log_hazards).max())):
        raise CohortError("the same risk for all patients")
    if not y.event.any():
        raise CohortError("no patient has an event")
    beta, covariance = maximize_partial_likelihood(log_hazards[:, None], y)
    return float(beta[0]), float(np.sqrt(covariance[0, 0]))
