"""Smooth calibration curve at a horizon, and the distances ICI, E50, E90, Emax.

A Cox model with a restricted cubic spline of the predicted log cumulative hazard
says what was observed at each predicted probability. It is fitted to the whole
follow-up, as published.

References
----------
Austin PC, Harrell FE, van Klaveren D. Stat Med 2020;39:2714-2742 (curve and
distances). Therneau TM, Grambsch PM. Modeling Survival Data. Springer 2000,
section 10.2 (variance of the cumulative hazard).
"""

from __future__ import annotations

import html
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError, HorizonError
from radiomics_npc.survival.estimation.baseline import event_risk_weights
from radiomics_npc.survival.estimation.partial_likelihood import maximize_partial_likelihood
from radiomics_npc.survival.metrics.horizon import with_predictions
from radiomics_npc.survival.metrics.resampling import bootstrap_rows, percentile_limits
from radiomics_npc.survival.metrics.weak_calibration import log_cumulative_hazard
from radiomics_npc.survival.splines import default_knots, spline_basis

__all__ = ["SmoothCalibration", "smooth_calibrate"]

Floats = NDArray[np.float64]
_EVENTS_PER_TERM = 10
_DISTANCES = ("ici", "e50", "e90", "emax")


@dataclass(frozen=True, eq=False)
class SmoothCalibration:
    """Observed probability as a smooth function of the predicted one.

    Parameters
    ----------
    horizon_months : float
    curve : DataFrame
        predicted, observed, lower, upper: probabilities to be free of the event, over
        the range of the predictions. The pointwise limits (delta method, log-log
        scale) take the predictions as given.
    observed : array of float, shape (n,)
        For each patient in the order given; NaN where there is no prediction.
    distances : DataFrame
        metric, estimate, lower, upper. Over the patients, absolute differences of
        observed and predicted: mean (``ici``), median (``e50``), 90th percentile
        (``e90``), largest (``emax``). Limits by bootstrap, NaN without; as no distance
        is negative, chance alone lifts all of them, and the limits more.
    patients, events : int
    notes : tuple of str
    simulated : bool
        Patients that never lived.
    """

    horizon_months: float
    curve: pd.DataFrame
    observed: Floats
    distances: pd.DataFrame
    patients: int
    events: int
    notes: tuple[str, ...] = ()
    simulated: bool = False

    @property
    def ici(self) -> float:
        """Integrated calibration index: mean absolute difference."""
        return float(self.distances["estimate"].iloc[0])

    def to_frame(self) -> pd.DataFrame:
        """One row a distance: metric, estimate, lower, upper, patients, events; simulated, if so."""
        table = self.distances.assign(patients=self.patients, events=self.events)
        return table.assign(simulated=True) if self.simulated else table

    def _repr_html_(self) -> str:
        notes = "".join(f"<li>{html.escape(note)}</li>" for note in self.notes)
        head = f"<p>Smooth calibration at {self.horizon_months:g} months</p>"
        return head + self.to_frame().to_html(index=False, float_format="{:.3f}".format) + f"<ul>{notes}</ul>"


def smooth_calibrate(
    y: Outcome,
    predicted: ArrayLike,
    *,
    horizon_months: float = 60.0,
    knots: int = 3,
    points: int = 101,
    resamples: int = 0,
    random_state: int = 0,
    confidence: float = 0.95,
) -> SmoothCalibration:
    """Compare predicted probabilities with a smooth estimate of the observed ones.

    Parameters
    ----------
    y : Outcome
    predicted : array, shape (n,)
        Probability to be free of the event at the horizon. Patients without a
        prediction (NaN) are left out and counted. Exactly 0 or 1: see
        :func:`~radiomics_npc.survival.metrics.weak_calibration.log_cumulative_hazard`.
    horizon_months : float
    knots : int
        3 to 7, at Harrell's quantiles; a straight line on the log-log scale when there
        are too few distinct predictions, and a note says so.
    points : int
        Of the curve.
    resamples : int
        Bootstrap samples for the limits of the distances; 0 for none.
    random_state : int
    confidence : float

    Returns
    -------
    SmoothCalibration

    Raises
    ------
    CohortError
        Lengths differ, a number is no probability, all predictions are the same, or
        there are too few events for the fit.
    HorizonError
        Nobody is followed to the horizon, or nobody had the event by then.

    Examples
    --------
    >>> random = np.random.default_rng(0)
    >>> hazard = 0.01 * np.exp(random.normal(size=1000))
    >>> y = Outcome(random.exponential(1 / hazard), np.ones(1000)).censor_at(60)
    >>> found = smooth_calibrate(y, np.exp(-60 * hazard))
    >>> found.ici < 0.03
    True
    """
    y, values, known = with_predictions(y, predicted, horizon_months=horizon_months)
    smoother, note = _fit(y, values, horizon_months, knots)
    observed = np.full(len(known), np.nan)
    observed[known] = smoother.observed(values)
    estimate = _distances(values, observed[known])
    grid = np.linspace(values.min(), values.max(), points)
    lower, upper = smoother.limits(grid, confidence)
    curve = pd.DataFrame({
        "predicted": grid, "observed": smoother.observed(grid), "lower": lower, "upper": upper
    })  # fmt: skip
    draws = np.full((resamples, len(_DISTANCES)), np.nan)
    for k, rows in enumerate(bootstrap_rows(len(y), resamples, random_state)):
        try:
            again = _fit(y.take(rows), values[rows], horizon_months, knots)[0]
        except (CohortError, HorizonError):
            continue
        draws[k] = _distances(values[rows], again.observed(values[rows]))
    lower, upper = percentile_limits(draws, confidence)
    distances = pd.DataFrame({"metric": _DISTANCES, "estimate": estimate, "lower": lower, "upper": upper})
    notes = [note, *_notes(y, known, values, smoother, int(np.isnan(draws[:, 0]).sum()))]
    return SmoothCalibration(
        horizon_months, curve, observed, distances, len(y), int(y.event.sum()),
        tuple(note for note in notes if note), y.simulated,
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Smoother:
    """Cox model of the predicted log cumulative hazard, read at one horizon.

    ``values`` are the predictions that it was fitted to; hazard, variance and mean are
    those of the cumulative hazard at the center of the terms.
    """

    values: Floats
    knots: tuple[float, ...]
    center: Floats
    beta: Floats
    covariance: Floats
    hazard: float
    variance: float
    mean: Floats

    def _terms(self, predicted: Floats) -> Floats:
        return _basis(log_cumulative_hazard(predicted, self.values), self.knots) - self.center

    def observed(self, predicted: Floats) -> Floats:
        """Probability to be free of the event where ``predicted`` was said."""
        result: Floats = np.exp(-self.hazard * np.exp(self._terms(predicted) @ self.beta))
        return result

    def limits(self, predicted: Floats, confidence: float) -> tuple[Floats, Floats]:
        """Of the observed probability: normal on the scale of the log cumulative hazard."""
        terms = self._terms(predicted)
        shift = self.mean / self.hazard - terms
        variance = self.variance / self.hazard**2
        variance = variance + np.einsum("ij,jk,ik->i", shift, self.covariance, shift)
        reach = norm.ppf(0.5 + confidence / 2) * np.sqrt(variance)
        total = self.hazard * np.exp(terms @ self.beta)
        return np.exp(-total * np.exp(reach)), np.exp(-total * np.exp(-reach))


def _basis(x: Floats, knots: tuple[float, ...]) -> Floats:
    return spline_basis(x, knots) if knots else x[:, None]


def _fit(y: Outcome, values: Floats, horizon_months: float, knots: int) -> tuple[_Smoother, str]:
    """Fit the Cox model; the note says when it had to be a straight line."""
    x = log_cumulative_hazard(values)
    if not (y.event & (y.time_months <= horizon_months)).any():
        raise HorizonError(f"nobody had the event by {horizon_months:g} months", "Take a later horizon.")
    if np.ptp(x) <= 1e-12 * max(1.0, np.abs(x).max()):
        raise CohortError("the same prediction for all patients: there is no calibration curve")
    note, places = "", tuple[float, ...]()
    if len(np.unique(x)) > knots:
        try:
            places = default_knots(x, knots)
        except CohortError as error:
            note = f"a straight line on the log-log scale: {error.message}"
    else:
        note = f"a straight line on the log-log scale: {len(np.unique(x))} distinct predictions"
    terms = _basis(x, places)
    center = terms.mean(axis=0)
    beta, covariance = maximize_partial_likelihood(terms - center, y)
    weights, totals = event_risk_weights(y, (terms - center) @ beta)
    by_then = np.sort(y.time_months[y.event]) <= horizon_months
    means = weights[by_then] @ (terms - center)
    return _Smoother(
        values, places, center, beta, covariance,
        float((1 / totals[by_then]).sum()), float((1 / totals[by_then] ** 2).sum()),
        (means / totals[by_then, None]).sum(axis=0),
    ), note  # fmt: skip


def _distances(predicted: Floats, observed: Floats) -> Floats:
    gap = np.abs(predicted - observed)
    return np.array([gap.mean(), *np.quantile(gap, [0.5, 0.9, 1.0])])


def _notes(
    y: Outcome, known: NDArray[np.bool_], values: Floats, smoother: _Smoother, failed: int
) -> list[str]:
    """What a reader of the curve should know."""
    notes = []
    if not known.all():
        notes.append(f"{int((~known).sum())} patients without a prediction are left out")
    certain = int(((values <= 0) | (values >= 1)).sum())
    if certain:
        notes.append(f"{certain} patients are predicted exactly 0 or 1, which calibration cannot support")
    if y.event.sum() < _EVENTS_PER_TERM * len(smoother.beta):
        notes.append(f"{int(y.event.sum())} events are few for a curve with {len(smoother.beta)} terms")
    if failed:
        notes.append(f"{failed} bootstrap samples gave no curve")
    return notes
