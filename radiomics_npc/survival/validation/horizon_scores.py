"""Scores of a frozen model at a horizon, each with its limits, and who the patients are.

References
----------
McLernon DJ et al. Assessing performance and clinical usefulness in prediction models with
survival outcomes. Ann Intern Med 2023;176:105-114. Debray TPA et al. A new framework to
enhance the interpretation of external validation studies. J Clin Epidemiol 2015;68:279-289.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import norm

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError
from radiomics_npc.survival.estimation.censoring import supported_horizons
from radiomics_npc.survival.metrics.brier import brier_at, null_survival
from radiomics_npc.survival.metrics.roc import auc_at
from radiomics_npc.survival.metrics.smooth_calibration import smooth_calibrate
from radiomics_npc.survival.metrics.weak_calibration import weak_calibration

__all__ = ["case_mix", "horizon_scores", "own_cumulative_hazard"]

Floats = NDArray[np.float64]
Row = tuple[str, float, float, float]
_ROWS = 256  # patients whose survival curves are held at once


def horizon_scores(
    model: Any,
    X: pd.DataFrame,
    y: Outcome,
    survival: Floats,
    horizon_months: float,
    *,
    resamples: int = 0,
    random_state: int = 0,
) -> tuple[list[Row], list[str]]:
    """AUC, Brier score, IPA, O/E, calibration intercept and ICI at a horizon.

    Parameters
    ----------
    model : estimator
        Fitted; for the hazards up to each patient's own time.
    X : DataFrame
    y : Outcome
    survival : array, shape (n,)
        Predicted probability to be free of the event at the horizon.
    horizon_months : float
    resamples : int
        Bootstrap samples for the limits of the ICI, which is left out without.
    random_state : int

    Returns
    -------
    rows : list of (metric, estimate, lower, upper)
        95% limits.
    notes : list of str
        What could not be scored, and why.
    """
    kept, message = supported_horizons(y, [horizon_months])
    if not kept or not np.isfinite(survival).all():
        return [], [
            message or f"the model gives no probability at {horizon_months:g} months for some patients"
        ]
    at = f"_{horizon_months:g}"
    rows = _discrimination_and_error(y, survival, horizon_months, at)
    early = y.censor_at(min(horizon_months, float(getattr(model, "follow_up_months_", np.inf))))
    weak = weak_calibration(
        early, survival, horizon_months=horizon_months,
        cumulative_hazard=own_cumulative_hazard(model, X, early),
    ) if early.time_months.max() >= horizon_months else None  # fmt: skip
    notes = []
    if weak is not None:
        reach = norm.ppf(0.975) * weak.intercept_se
        rows.append((f"observed_expected{at}", weak.observed_expected, *weak.observed_expected_interval))
        rows.append(("calibration_intercept", weak.intercept, weak.intercept - reach, weak.intercept + reach))
        notes += [note for note in weak.notes if "slope" not in note]
    if resamples:
        try:
            smooth = smooth_calibrate(
                y, survival, horizon_months=horizon_months, resamples=resamples, random_state=random_state
            )
            found = smooth.distances.set_index("metric").loc["ici", ["estimate", "lower", "upper"]]
            estimate, lower, upper = np.asarray(found, dtype=float).tolist()
            rows.append((f"ici{at}", estimate, lower, upper))
        except CohortError as error:
            notes.append(f"no smooth calibration: {error}")
    return rows, notes


def _discrimination_and_error(y: Outcome, survival: Floats, horizon_months: float, at: str) -> list[Row]:
    """AUC, Brier score and IPA with limits from their influence functions."""
    z = norm.ppf(0.975)
    auc = auc_at(y, 1.0 - survival, [horizon_months])
    brier = brier_at(y, survival, [horizon_months])
    null = brier_at(y, null_survival(y, [horizon_months]), [horizon_months])
    ratio = float(brier.brier[0] / null.brier[0])
    # The delta method; the null model counts as given.
    influence = (brier.influence[:, 0] - ratio * null.influence[:, 0]) / null.brier[0]
    se = float(influence.std(ddof=1) / np.sqrt(len(y)))
    found = [
        (f"auc{at}", float(auc.auc[0]), float(auc.se[0]), 0.0),
        (f"brier{at}", float(brier.brier[0]), float(brier.se[0]), 0.0),
        (f"ipa{at}", 1.0 - ratio, se, -np.inf),
    ]
    return [
        (name, value, max(value - z * error, least), min(value + z * error, 1.0))
        for name, value, error, least in found
    ]


def own_cumulative_hazard(model: Any, X: pd.DataFrame, y: Outcome) -> Floats:
    """Predicted cumulative hazard of each patient at that patient's own time.

    Parameters
    ----------
    model : estimator
    X : DataFrame
    y : Outcome

    Returns
    -------
    array, shape (n,)
        NaN past the follow-up of the model, infinite where it gives the patient no chance.

    Examples
    --------
    >>> from radiomics_npc.survival.models.cox import CoxModel
    >>> X = pd.DataFrame({"age": [40.0, 50, 60, 45, 55, 65]}, index=list("abcdef"))
    >>> y = Outcome([50, 30, 20, 25, 45, 40], [0, 1, 1, 0, 1, 1], X.index)
    >>> round(float(own_cumulative_hazard(CoxModel().fit(X, y), X, y).sum()), 6)  # the events
    4.0
    """
    times, own = np.unique(y.time_months, return_inverse=True)
    found = np.empty(len(y))
    for start in range(0, len(y), _ROWS):
        rows = slice(start, start + _ROWS)
        curves = model.predict_survival(X.iloc[rows], times)
        with np.errstate(divide="ignore"):
            found[rows] = -np.log(curves[np.arange(len(curves)), own[rows]])
    return found


def case_mix(model: Any, log_hazards: Floats) -> pd.DataFrame | None:
    """Risks of these patients beside those of the patients the model was made from.

    Parameters
    ----------
    model : estimator
        Fitted, or loaded with ``risk_summary_`` (mean and sd of the training log hazards).
    log_hazards : array, shape (n,)

    Returns
    -------
    DataFrame or None
        quantity (mean, sd of the log hazard), development, validation; None where the model does
        not say. A smaller sd makes C smaller without the model being any worse.
    """
    last = getattr(model, "last_step", model)
    summary = getattr(model, "risk_summary_", None)
    if summary is None and hasattr(last, "training_risk_"):
        made = np.asarray(last.training_risk_) * getattr(last, "slope_", 1.0)
        summary = {"mean": float(made.mean()), "sd": float(made.std(ddof=1))}
    if summary is None:
        return None
    here = {"mean": float(log_hazards.mean()), "sd": float(log_hazards.std(ddof=1))}
    rows = [(name, float(summary[name]), here[name]) for name in ("mean", "sd")]
    return pd.DataFrame(rows, columns=["quantity", "development", "validation"])
