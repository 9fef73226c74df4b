"""Error of predicted probabilities: the Brier score, its integral over time, and the index of accuracy.

References
----------
Graf E et al. Stat Med 1999;18:2529-2545. Gerds TA, Schumacher M. Biom J
2006;48:1029-1040. Kattan MW, Gerds TA. Diagn Progn Res 2018;2:7 (index of prediction
accuracy). The numbers equal R's ``riskRegression::Score(cens.model = "km")``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError
from radiomics_npc.survival.estimation.censoring import censoring_influence, horizon_weights
from radiomics_npc.survival.estimation.kaplan_meier import kaplan_meier
from radiomics_npc.survival.metrics.horizon import share_table

__all__ = ["BrierScore", "brier_at", "integrated_brier", "ipa", "null_survival"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class BrierScore:
    """Brier score at some horizons, beside that of predicting the same for everyone.

    Parameters
    ----------
    time_months, brier, se : array of float, shape (t,)
        0 is perfect, 0.25 is what a coin knows.
    null_brier : array of float, shape (t,)
        Of the null model, the Kaplan-Meier estimate of these patients.
    ibs : array of float, shape (t,)
        Integrated Brier score from 0 to each horizon, of the step function that the horizons
        given make, which is 0 before the first (as in R): with a few of them it is far too small,
        so take :func:`integrated_brier` on a fine grid.
    influence : array of float, shape (n, t)
        Influence function of each patient; for two models on the same patients, the SE
        of the difference is ``std(first - second, ddof=1) / sqrt(n)``.
    confidence : float
    simulated : bool
        Patients that never lived.
    """

    time_months: Floats
    brier: Floats
    se: Floats
    null_brier: Floats
    ibs: Floats
    influence: Floats
    confidence: float = 0.95
    simulated: bool = False

    @property
    def ipa(self) -> Floats:
        """Index of prediction accuracy: 1 - Brier / null Brier. 1 is perfect, 0 and less of no use."""
        return _ipa(self.brier, self.null_brier)

    def to_frame(self) -> pd.DataFrame:
        """One row a horizon: time_months, brier, se, lower, upper, null_brier, ipa, ibs; simulated, if so."""
        table = share_table(self.time_months, "brier", self.brier, self.se, self.confidence)
        table = table.assign(null_brier=self.null_brier, ipa=self.ipa, ibs=self.ibs)
        return table.assign(simulated=True) if self.simulated else table

    def _repr_html_(self) -> str:
        return self.to_frame().to_html(index=False, float_format="{:.3f}".format)


def null_survival(y: Outcome, times: Sequence[float] | ArrayLike) -> Floats:
    """The null model: everyone has the Kaplan-Meier estimate of these patients, shape (n, t).

    Examples
    --------
    >>> null_survival(Outcome([10, 20, 60, 60], [1, 0, 0, 0]), [12, 60])[0]
    array([0.75, 0.75])
    """
    curve = kaplan_meier(y).at(times)["survival"].to_numpy(dtype=float)
    return np.repeat(curve[None, :], len(y), axis=0)


def brier_at(
    y: Outcome, survival: ArrayLike, times: Sequence[float] | ArrayLike, *, confidence: float = 0.95
) -> BrierScore:
    """Mean squared error of predicted survival, censoring weighted away.

    Parameters
    ----------
    y : Outcome
    survival : array, shape (n, t)
        Predicted probability to be free of the event at each horizon; shape (n,) with
        one horizon.
    times : array of float, shape (t,)
        Months, ascending.
    confidence : float

    Returns
    -------
    BrierScore

    Raises
    ------
    CohortError
        A prediction is missing or no probability, the shapes differ, or times do not ascend.
    HorizonError
        A horizon lies past the follow-up (see
        :func:`~radiomics_npc.survival.estimation.censoring.supported_horizons`).

    Examples
    --------
    >>> y = Outcome([10, 20, 30, 60, 60, 60], [1, 1, 0, 0, 0, 0])
    >>> brier_at(y, [0.2, 0.4, 0.5, 0.9, 0.8, 0.7], [60]).to_frame().round(3)[["brier", "null_brier", "ipa"]]
       brier  null_brier   ipa
    0  0.064       0.222  0.71
    """
    horizons, predicted = _checked(y, survival, times)
    errors = _errors(y, predicted, horizons)
    brier = errors.mean(axis=0)
    influence = errors - brier
    for k, time in enumerate(horizons):
        influence[:, k] += censoring_influence(y, errors[:, k], time)
    se = influence.std(axis=0, ddof=1) / np.sqrt(len(y))
    null = _errors(y, null_survival(y, horizons), horizons).mean(axis=0)
    ibs = _integrated(brier, horizons)
    return BrierScore(horizons, brier, se, null, ibs, influence, confidence, y.simulated)


def integrated_brier(y: Outcome, survival: ArrayLike, times: Sequence[float] | ArrayLike) -> float:
    """Mean Brier score from 0 to the last of some times.

    The score is taken to stay as it is until the next time, and to be 0 before the
    first (as in R), so give a fine grid: all follow-up times give the integral itself.

    Parameters
    ----------
    y : Outcome
    survival : array, shape (n, t)
    times : array of float, shape (t,)
        Months, ascending.

    Returns
    -------
    float

    Raises
    ------
    CohortError, HorizonError
        As in :func:`brier_at`.

    Examples
    --------
    >>> y = Outcome([10, 20, 60, 60], [1, 1, 0, 0])
    >>> integrated_brier(y, np.full((4, 3), 0.5), [10, 20, 60])
    0.20833333333333334
    """
    horizons, predicted = _checked(y, survival, times)
    if not len(horizons):
        raise CohortError("no time is given to integrate to")
    return float(_integrated(_errors(y, predicted, horizons).mean(axis=0), horizons)[-1])


def ipa(y: Outcome, survival: ArrayLike, times: Sequence[float] | ArrayLike) -> Floats:
    """Index of prediction accuracy (scaled Brier score) at each time: 1 - Brier / null Brier.

    Parameters
    ----------
    y : Outcome
    survival : array, shape (n, t)
    times : array of float, shape (t,)
        Months, ascending.

    Returns
    -------
    array, shape (t,)
        1 is perfect, 0 no better than one number for everyone, NaN where that is perfect.

    Raises
    ------
    CohortError, HorizonError
        As in :func:`brier_at`.

    Examples
    --------
    >>> y = Outcome([10, 20, 60, 60], [1, 1, 0, 0])
    >>> ipa(y, [[0.0], [0.0], [1.0], [1.0]], [60]), ipa(y, null_survival(y, [60]), [60])
    (array([1.]), array([0.]))
    """
    horizons, predicted = _checked(y, survival, times)
    null = _errors(y, null_survival(y, horizons), horizons).mean(axis=0)
    return _ipa(_errors(y, predicted, horizons).mean(axis=0), null)


def _checked(y: Outcome, survival: ArrayLike, times: Sequence[float] | ArrayLike) -> tuple[Floats, Floats]:
    horizons = np.atleast_1d(np.asarray(times, dtype=float))
    predicted = np.asarray(survival, dtype=float)
    if predicted.ndim == 1:
        predicted = predicted[:, None]
    if len(y) < 2:
        raise CohortError(f"{len(y)} patients are too few for a Brier score")
    if predicted.shape != (len(y), len(horizons)):
        raise CohortError(f"{len(y)} patients and {len(horizons)} times, survival of shape {predicted.shape}")
    if not (np.diff(horizons) > 0).all():
        raise CohortError("the times do not ascend", "Sort them, each once.")
    if np.isnan(predicted).any():
        raise CohortError(
            f"the survival of {int(np.isnan(predicted).any(axis=1).sum())} patients is missing",
            "A model knows nothing past the follow-up of its training: take earlier times.",
        )
    if (predicted < 0).any() or (predicted > 1).any():
        raise CohortError("survival is given that is no probability", "Give predict_survival, not a risk.")
    return horizons, predicted


def _errors(y: Outcome, predicted: Floats, horizons: Floats) -> Floats:
    """Weighted squared error of each patient at each time, shape (n, t)."""
    _, free, weight = horizon_weights(y, horizons)
    result: Floats = weight * (free - predicted) ** 2
    return result


def _integrated(brier: Floats, horizons: Floats) -> Floats:
    """Mean of the step function from 0 to each time."""
    area = np.cumsum(np.concatenate([[0.0], brier[:-1]]) * np.diff(horizons, prepend=0.0))
    return np.divide(area, horizons, out=np.zeros_like(area), where=horizons > 0)


def _ipa(brier: Floats, null: Floats) -> Floats:
    return 1.0 - np.divide(brier, null, out=np.full_like(brier, np.nan), where=null > 0)
