"""Discrimination at a horizon: cumulative/dynamic AUC(t) and the ROC curve, censoring weighted away.

Cases had the event by the horizon, controls are free of it then. Patients censored
before are represented by inverse probability of censoring weights, whose estimation
enters the standard error.

References
----------
Blanche P, Dartigues JF, Jacqmin-Gadda H. Stat Med 2013;32:5381-5397. Hung H, Chiang
CT. Can J Stat 2010;38:8-26. The numbers equal R's ``riskRegression::Score(cens.model
= "km")``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError, HorizonError
from radiomics_npc.survival.estimation.censoring import censoring_influence, horizon_weights
from radiomics_npc.survival.metrics.horizon import share_table

__all__ = ["AUC", "auc_at", "roc_at"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class AUC:
    """Area under the ROC curve at some horizons.

    Parameters
    ----------
    time_months, auc, se : array of float, shape (t,)
    cases, controls : array of int, shape (t,)
        Patients with the event by each horizon, and free of it then.
    influence : array of float, shape (n, t)
        Influence function of each patient; for two models on the same patients, the SE
        of the difference is ``std(first - second, ddof=1) / sqrt(n)``.
    confidence : float
    simulated : bool
        Patients that never lived.
    """

    time_months: Floats
    auc: Floats
    se: Floats
    cases: NDArray[np.intp]
    controls: NDArray[np.intp]
    influence: Floats
    confidence: float = 0.95
    simulated: bool = False

    def to_frame(self) -> pd.DataFrame:
        """One row a horizon: time_months, auc, se, lower, upper, cases, controls; simulated, if so."""
        table = share_table(self.time_months, "auc", self.auc, self.se, self.confidence)
        table = table.assign(cases=self.cases, controls=self.controls)
        return table.assign(simulated=True) if self.simulated else table

    def _repr_html_(self) -> str:
        return self.to_frame().to_html(index=False, float_format="{:.3f}".format)


def auc_at(
    y: Outcome, risk: ArrayLike, times: Sequence[float] | ArrayLike, *, confidence: float = 0.95
) -> AUC:
    """Probability that a patient with the event by t had a higher risk than one free of it at t.

    Parameters
    ----------
    y : Outcome
    risk : array, shape (n,) or (n, t)
        Higher is worse; a column a horizon where the order changes with time. Equal
        risks count one half.
    times : array of float, shape (t,)
        Months.
    confidence : float

    Returns
    -------
    AUC

    Raises
    ------
    CohortError
        A risk is missing, or the shapes differ.
    HorizonError
        A horizon past the follow-up, or without a case or a control (see
        :func:`~radiomics_npc.survival.estimation.censoring.supported_horizons`).

    Examples
    --------
    >>> y = Outcome([10, 20, 30, 60, 60, 60], [1, 1, 0, 0, 0, 0])
    >>> auc_at(y, [6, 2, 3, 4, 1, 0], [36, 60]).to_frame()[["time_months", "auc", "cases", "controls"]]
       time_months       auc  cases  controls
    0         36.0  0.833333      2         3
    1         60.0  0.833333      2         3
    """
    horizons = np.atleast_1d(np.asarray(times, dtype=float))
    score = np.asarray(risk, dtype=float)
    if score.ndim == 1:
        score = np.repeat(score[:, None], len(horizons), axis=1)
    if score.shape != (len(y), len(horizons)):
        raise CohortError(f"{len(y)} patients and {len(horizons)} times, risks of shape {score.shape}")
    if np.isnan(score).any():
        raise CohortError(f"the risk of {int(np.isnan(score).any(axis=1).sum())} patients is missing")
    auc, influence = np.empty(len(horizons)), np.empty(score.shape)
    cases, controls = (np.empty(len(horizons), dtype=np.intp) for _ in range(2))
    for k, time in enumerate(horizons):
        case, control = _weights(y, time)
        auc[k], influence[:, k] = _auc(y, score[:, k], time, case, control)
        cases[k], controls[k] = np.count_nonzero(case), np.count_nonzero(control)
    se = influence.std(axis=0, ddof=1) / np.sqrt(len(y))
    return AUC(horizons, auc, se, cases, controls, influence, confidence, y.simulated)


def _weights(y: Outcome, horizon_months: float) -> tuple[Floats, Floats]:
    """Weights of the cases and of the controls, each divided by n."""
    event, free, weight = horizon_weights(y, horizon_months)
    if not event.any() or not free.any():
        lacking = "free of the event" if event.any() else "with the event"
        raise HorizonError(
            f"no patient is {lacking} at {horizon_months:g} months",
            "Take another horizon; supported_horizons() keeps those that can be taken.",
        )
    return weight * event / len(y), weight * free / len(y)


def _below(risk: Floats, weight: Floats) -> Floats:
    """Weight of those with a lower risk than each patient, and half of those with the same."""
    order = np.argsort(risk, kind="stable")
    ordered = risk[order]
    total = np.concatenate([[0.0], np.cumsum(weight[order])])
    lower = total[np.searchsorted(ordered, risk, side="left")]
    result: Floats = 0.5 * (lower + total[np.searchsorted(ordered, risk, side="right")])
    return result


def _auc(
    y: Outcome, risk: Floats, horizon_months: float, case: Floats, control: Floats
) -> tuple[float, Floats]:
    """AUC, and each patient's influence on it."""
    # What each case wins against the controls, and each control loses to the cases.
    won = case * _below(risk, control) + control * _below(-risk, case)
    share, rest = case.sum(), control.sum()
    auc = float(0.5 * won.sum() / (share * rest))
    contribution = len(y) * (won - auc * (case * rest + control * share)) / (share * rest)
    return auc, contribution + censoring_influence(y, contribution, horizon_months)


def roc_at(y: Outcome, risk: ArrayLike, time_months: float) -> pd.DataFrame:
    """Points of the ROC curve at a horizon; the area under them is AUC(t).

    Parameters
    ----------
    y : Outcome
    risk : array, shape (n,)
        Higher is worse.
    time_months : float

    Returns
    -------
    DataFrame
        From (0, 1) to (1, 0): threshold (a patient with that risk or more tests positive),
        sensitivity, specificity.

    Raises
    ------
    CohortError
        A risk is missing, or the lengths differ.
    HorizonError
        As in :func:`auc_at`.

    Examples
    --------
    >>> y = Outcome([10, 20, 60, 60], [1, 1, 0, 0])
    >>> roc_at(y, [4, 2, 3, 1], 60)
       threshold  sensitivity  specificity
    0        inf          0.0          1.0
    1        4.0          0.5          1.0
    2        3.0          0.5          0.5
    3        2.0          1.0          0.5
    4        1.0          1.0          0.0
    """
    score = np.asarray(risk, dtype=float)
    if score.shape != (len(y),) or np.isnan(score).any():
        raise CohortError(f"a curve needs one risk for each of the {len(y)} patients, none missing")
    case, control = _weights(y, time_months)
    order = np.argsort(-score, kind="stable")
    last = np.flatnonzero(np.append(np.diff(score[order]) != 0, True))
    positive, false_positive = np.cumsum(case[order])[last], np.cumsum(control[order])[last]
    return pd.DataFrame(
        {
            "threshold": np.concatenate([[np.inf], score[order][last]]),
            "sensitivity": np.concatenate([[0.0], positive / positive[-1]]),
            "specificity": np.concatenate([[1.0], 1.0 - false_positive / false_positive[-1]]),
        }
    )
