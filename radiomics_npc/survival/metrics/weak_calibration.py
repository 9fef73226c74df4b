"""Calibration in the large and calibration slope at a horizon.

In the hierarchy of Van Calster these are mean and weak calibration: right on
average, and neither too extreme nor too timid.

References
----------
Van Calster B et al. J Clin Epidemiol 2016;74:167-176 (the hierarchy).
Crowson CS, Atkinson EJ, Therneau TM. Stat Methods Med Res 2016;25:1692-1706
(events over expected cumulative hazards). McLernon DJ et al. Ann Intern Med
2023;176:105-114 (which measures at a horizon).
"""

from __future__ import annotations

import html
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError
from radiomics_npc.survival.estimation.kaplan_meier import kaplan_meier
from radiomics_npc.survival.estimation.partial_likelihood import maximize_partial_likelihood
from radiomics_npc.survival.metrics.horizon import with_predictions

__all__ = [
    "WeakCalibration",
    "calibration_slope",
    "log_cumulative_hazard",
    "observed_expected",
    "weak_calibration",
]

Floats = NDArray[np.float64]
_SMALLEST_RISK = 1e-4  # stands for a risk of exactly 0, and 1 minus it for 1 (Austin et al. 2020)


@dataclass(frozen=True, eq=False)
class WeakCalibration:
    """Calibration in the large and calibration slope.

    Parameters
    ----------
    horizon_months : float
    observed_expected : float
        Share of patients with an event by the horizon (Kaplan-Meier) over the mean
        predicted risk: 1 is right.
    observed_expected_interval : tuple of float
    intercept, intercept_se : float
        Log of events over expected cumulative hazards: 0 is right. NaN when no
        cumulative hazards were given.
    slope, slope_se : float
        Cox coefficient of the log cumulative hazard that was predicted: 1 is right,
        less means that predictions are too extreme.
    patients, events : int
    notes : tuple of str
    simulated : bool
        Patients that never lived.
    confidence : float
    """

    horizon_months: float
    observed_expected: float
    observed_expected_interval: tuple[float, float]
    intercept: float
    intercept_se: float
    slope: float
    slope_se: float
    patients: int
    events: int
    notes: tuple[str, ...] = ()
    simulated: bool = False
    confidence: float = 0.95

    def to_frame(self) -> pd.DataFrame:
        """One row a measure: metric, estimate, lower, upper, patients, events; simulated, if so."""
        z = norm.ppf(0.5 + self.confidence / 2)
        rows: list[tuple[str, float, float, float]] = [
            ("observed_expected", self.observed_expected, *self.observed_expected_interval)
        ]
        for name, value, se in (
            ("calibration_intercept", self.intercept, self.intercept_se),
            ("calibration_slope", self.slope, self.slope_se),
        ):
            rows.append((name, value, value - z * se, value + z * se))
        table = pd.DataFrame(rows, columns=["metric", "estimate", "lower", "upper"])
        table["patients"], table["events"] = self.patients, self.events
        if self.simulated:
            table["simulated"] = True
        return table

    def _repr_html_(self) -> str:
        notes = "".join(f"<li>{html.escape(note)}</li>" for note in self.notes)
        return self.to_frame().to_html(index=False, float_format="{:.3f}".format) + f"<ul>{notes}</ul>"


def weak_calibration(
    y: Outcome,
    predicted: ArrayLike,
    *,
    horizon_months: float = 60.0,
    cumulative_hazard: ArrayLike | None = None,
    confidence: float = 0.95,
) -> WeakCalibration:
    """Judge whether predictions are right on average and spread as they should be.

    Parameters
    ----------
    y : Outcome
    predicted : array, shape (n,)
        Probability to be free of the event at the horizon; patients without (NaN)
        are left out.
    horizon_months : float
    cumulative_hazard : array, shape (n,), optional
        Predicted cumulative hazard of each patient at his own follow-up time
        (``-log`` of his predicted probability then). Past the follow-up of the model it
        is not known: censor at the horizon first (``y.censor_at``).
    confidence : float

    Returns
    -------
    WeakCalibration
        What cannot be estimated is NaN, and a note says why.

    Raises
    ------
    CohortError
        Lengths differ, no patient has a prediction, or a number is no probability or hazard.
    HorizonError
        Nobody is followed to the horizon.

    Examples
    --------
    >>> random = np.random.default_rng(0)
    >>> hazard = 0.01 * np.exp(random.normal(size=500))
    >>> y = Outcome(random.exponential(1 / hazard), np.ones(500)).censor_at(60)
    >>> found = weak_calibration(y, np.exp(-60 * hazard), cumulative_hazard=hazard * y.time_months)
    >>> found.to_frame()[["metric", "estimate", "lower", "upper"]].round(2)
                      metric  estimate  lower  upper
    0      observed_expected      0.99   0.91   1.09
    1  calibration_intercept     -0.03  -0.16   0.10
    2      calibration_slope      0.96   0.81   1.11
    """
    y, values, known = with_predictions(y, predicted, horizon_months=horizon_months)
    ratio, limits = observed_expected(y, values, horizon_months=horizon_months, confidence=confidence)
    notes, nan = [], float("nan")
    slope, slope_se, intercept, intercept_se = nan, nan, nan, nan
    if np.isnan(ratio):
        notes.append("no O/E: no event by the horizon, or none expected")
    try:
        slope, slope_se = calibration_slope(y, values)
    except CohortError as error:
        notes.append(f"no calibration slope: {error}")
    if cumulative_hazard is not None:
        hazard = np.asarray(cumulative_hazard, dtype=float)
        if hazard.shape != known.shape:
            raise CohortError(f"{len(known)} patients but cumulative hazards of shape {hazard.shape}")
        try:
            intercept, intercept_se = _poisson_intercept(y, hazard[known])
        except CohortError as error:
            notes.append(f"no calibration intercept: {error}")
    return WeakCalibration(
        horizon_months, ratio, limits, intercept, intercept_se, slope, slope_se,
        len(y), int(y.event.sum()), tuple(notes), y.simulated, confidence,
    )  # fmt: skip


def observed_expected(
    y: Outcome, predicted: ArrayLike, *, horizon_months: float = 60.0, confidence: float = 0.95
) -> tuple[float, tuple[float, float]]:
    """Observed over expected share of patients with an event by the horizon.

    Parameters
    ----------
    y : Outcome
    predicted : array, shape (n,)
        Probability to be free of the event at the horizon.
    horizon_months : float
    confidence : float

    Returns
    -------
    ratio : float
        One minus Kaplan-Meier over the mean predicted risk; NaN when either is 0.
    interval : tuple of float
        From Greenwood's variance on the log scale: the predictions count as given.

    Examples
    --------
    >>> observed_expected(Outcome([10, 60, 60, 60], [1, 0, 0, 0]), [0.8, 0.8, 0.9, 0.5])[0]
    1.0
    """
    found = kaplan_meier(y).at([horizon_months]).iloc[0]
    observed, expected = 1.0 - found.survival, 1.0 - float(np.asarray(predicted, dtype=float).mean())
    if not (observed > 0 and expected > 0):
        return float("nan"), (float("nan"), float("nan"))
    ratio = observed / expected
    reach = norm.ppf(0.5 + confidence / 2) * found.se / observed
    return float(ratio), (float(ratio * np.exp(-reach)), float(ratio * np.exp(reach)))


def calibration_slope(y: Outcome, predicted: ArrayLike) -> tuple[float, float]:
    """Cox coefficient of the predicted log cumulative hazard, and its standard error.

    Parameters
    ----------
    y : Outcome
    predicted : array, shape (n,)
        Probability to be free of the event at a horizon. Of a Cox model it gives the
        slope of the linear predictor, at any horizon.

    Returns
    -------
    slope, se : float

    Raises
    ------
    CohortError
        Lengths differ, a prediction is missing, all are the same, there is no event,
        or the fit does not converge.

    Examples
    --------
    >>> y = Outcome([50, 30, 20, 60, 45, 10], [0, 1, 1, 0, 1, 1])
    >>> slope, se = calibration_slope(y, np.exp(-0.1 * np.exp([4.0, 5, 6, 4.5, 5.5, 4.8])))
    >>> round(slope, 2)
    1.29
    """
    x = log_cumulative_hazard(predicted)
    if x.shape != (len(y),) or not np.isfinite(x).all():
        raise CohortError("a calibration slope needs one probability for each patient")
    if not y.event.any():
        raise CohortError("no patient has an event")
    if np.ptp(x) <= 1e-12 * max(1.0, np.abs(x).max()):
        raise CohortError("the same prediction for all patients")
    beta, covariance = maximize_partial_likelihood(x[:, None] - x.mean(), y)
    return float(beta[0]), float(np.sqrt(covariance[0, 0]))


def log_cumulative_hazard(predicted: ArrayLike, like: ArrayLike | None = None) -> Floats:
    """Complementary log-log of the predicted risk, ``log(-log(probability to be free of the event))``.

    A risk of exactly 0 or 1, which has none, counts as 0.0001 or 0.9999, or as the
    most extreme of the others where that is more extreme.

    Parameters
    ----------
    predicted : array, shape (n,)
        Probability to be free of the event.
    like : array, optional
        Predictions whose extremes set what stands for 0 and 1; by default the same.

    Returns
    -------
    array, shape (n,)

    Examples
    --------
    >>> log_cumulative_hazard([1.0, 0.9, 0.0]).round(2)
    array([-9.21, -2.25,  2.22])
    """
    values = np.asarray(predicted, dtype=float)
    others = values if like is None else np.asarray(like, dtype=float)
    inner = others[(others > 0) & (others < 1)]
    lowest = min(_SMALLEST_RISK, float(inner.min(initial=1.0)))
    highest = max(1.0 - _SMALLEST_RISK, float(inner.max(initial=0.0)))
    result: Floats = np.log(-np.log(np.clip(values, lowest, highest)))
    return result


def _poisson_intercept(y: Outcome, hazard: Floats) -> tuple[float, float]:
    """Maximum of the Poisson likelihood of the events with the log of the hazards as offset."""
    if not np.isfinite(hazard).all() or (hazard < 0).any():
        raise CohortError(
            "a cumulative hazard is missing or negative", "Censor at the horizon first (y.censor_at)."
        )
    events, expected = int(y.event.sum()), float(hazard.sum())
    if events == 0 or expected == 0:
        raise CohortError("no event, or none expected")
    return float(np.log(events / expected)), float(1 / np.sqrt(events))
