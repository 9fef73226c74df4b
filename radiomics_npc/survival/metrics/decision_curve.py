"""Decision curves of survival predictions: whether a model is worth acting upon.

At a threshold probability, patients with at least that predicted risk are treated.
Net benefit counts those who would have had the event, minus those treated in vain,
weighted by the odds of the threshold; events among the treated are counted by
Kaplan-Meier.

References
----------
Vickers AJ, Cronin AM, Elkin EB, Gonen M. BMC Med Inform Decis Mak 2008;8:53
(survival). Vickers AJ, Elkin EB. Med Decis Making 2006;26:565-574. Kerr KF et al.
J Clin Oncol 2016;34:2534-2540 (standardized net benefit).
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import ConfigError, HorizonError
from radiomics_npc.survival.design import check_rows
from radiomics_npc.survival.metrics.horizon import survival_in_subsets, with_predictions
from radiomics_npc.survival.metrics.resampling import bootstrap_rows, percentile_limits

__all__ = ["TREAT_ALL", "TREAT_NONE", "DecisionCurve", "decision_curve"]

Floats = NDArray[np.float64]
TREAT_ALL, TREAT_NONE = "treat_all", "treat_none"


@dataclass(frozen=True, eq=False)
class DecisionCurve:
    """Net benefit of models, of treating all and of treating none.

    Parameters
    ----------
    horizon_months : float
    thresholds : array of float, shape (t,)
    net_benefit : DataFrame
        By threshold: one column a model, then ``treat_all`` and ``treat_none``. NaN where
        the treated are not followed to the horizon.
    treated : DataFrame
        Share of patients treated, of the same shape.
    event_rate : float
        One minus Kaplan-Meier at the horizon.
    draws : array of float, shape (resamples, columns, t)
        Net benefit in each bootstrap sample.
    patients : int
        With a prediction of every model.
    notes : tuple of str
    simulated : bool
        Patients that never lived.
    confidence : float
    """

    horizon_months: float
    thresholds: Floats
    net_benefit: pd.DataFrame
    treated: pd.DataFrame
    event_rate: float
    draws: Floats
    patients: int
    notes: tuple[str, ...] = ()
    simulated: bool = False
    confidence: float = 0.95

    def to_frame(self) -> pd.DataFrame:
        """One row a model and threshold.

        Returns
        -------
        DataFrame
            model, threshold, net_benefit, lower, upper (bootstrap; NaN without),
            standardized_net_benefit (1 is what a perfect model reaches), treated
            (share of patients), interventions_avoided (per 100 patients, against
            treating all, at no event missed more); simulated, if so.
        """
        columns = self.net_benefit.columns
        benefit = self.net_benefit.to_numpy().T
        odds = self.thresholds / (1 - self.thresholds)
        spared = 100 * (benefit - benefit[columns.get_loc(TREAT_ALL)]) / odds
        lower, upper = percentile_limits(self.draws, self.confidence)
        table = pd.DataFrame({
            "model": np.repeat(columns.to_numpy(), len(self.thresholds)),
            "threshold": np.tile(self.thresholds, len(columns)),
            "net_benefit": benefit.ravel(), "lower": lower.ravel(), "upper": upper.ravel(),
            "standardized_net_benefit": benefit.ravel() / self.event_rate,
            "treated": self.treated.to_numpy().T.ravel(), "interventions_avoided": spared.ravel(),
        })  # fmt: skip
        return table.assign(simulated=True) if self.simulated else table

    def difference(self, model: str, reference: str = TREAT_ALL) -> pd.DataFrame:
        """Net benefit of a model minus that of another, or of treating all or none.

        Returns
        -------
        DataFrame
            threshold, difference, lower, upper (bootstrap of the same patients; NaN without).

        Raises
        ------
        ConfigError
            No such model.
        """
        columns = list(self.net_benefit.columns)
        unknown = [name for name in (model, reference) if name not in columns]
        if unknown:
            raise ConfigError(f"no decision curve of {unknown[0]}", f"There are {', '.join(columns)}.")
        first, second = columns.index(model), columns.index(reference)
        lower, upper = percentile_limits(self.draws[:, first] - self.draws[:, second], self.confidence)
        gap = (self.net_benefit[model] - self.net_benefit[reference]).to_numpy()
        table = pd.DataFrame(
            {"threshold": self.thresholds, "difference": gap, "lower": lower, "upper": upper}
        )
        return table.assign(simulated=True) if self.simulated else table

    def _repr_html_(self) -> str:
        who = "simulated patients" if self.simulated else "patients"
        notes = "".join(f"<li>{html.escape(note)}</li>" for note in self.notes)
        head = f"<p>Net benefit at {self.horizon_months:g} months, by threshold: {self.patients} {who}</p>"
        return head + self.net_benefit.to_html(float_format="{:.3f}".format) + f"<ul>{notes}</ul>"


def decision_curve(
    y: Outcome,
    predicted: pd.DataFrame,
    *,
    horizon_months: float = 60.0,
    thresholds: Sequence[float] | Floats | None = None,
    resamples: int = 0,
    random_state: int = 0,
    confidence: float = 0.95,
) -> DecisionCurve:
    """Net benefit of one or more models on common thresholds.

    Parameters
    ----------
    y : Outcome
    predicted : DataFrame, shape (n, models)
        By patient_id, in the order of ``y``: probability to be free of the event at the
        horizon, a column each model; out of fold, repeats averaged. Patients without a
        prediction of every model are left out for all.
    horizon_months : float
    thresholds : sequence of float, optional
        Predicted risks at which one would act, between 0 and 1; by default 0.01, 0.02, ..., 0.60.
    resamples : int
        Bootstrap samples of patients for limits; 0 for none. The predictions stay fixed.
    random_state : int
    confidence : float

    Returns
    -------
    DecisionCurve

    Raises
    ------
    CohortError
        Other patients than ``y``, a number that is no probability, or no patient with a prediction.
    HorizonError
        Nobody is followed to the horizon, or nobody had the event by then.
    ConfigError
        Faulty thresholds, or a model called like treating all or none.

    Examples
    --------
    >>> y = Outcome([10, 20, 60, 60], [1, 1, 0, 0])
    >>> predicted = pd.DataFrame({"cox": [0.3, 0.5, 0.6, 0.9]}, index=y.patient_id)
    >>> found = decision_curve(y, predicted, thresholds=[0.25, 0.45])
    >>> found.to_frame()[["model", "threshold", "net_benefit", "treated"]].round(3)
            model  threshold  net_benefit  treated
    0         cox       0.25        0.417     0.75
    1         cox       0.45        0.500     0.50
    2   treat_all       0.25        0.333     1.00
    3   treat_all       0.45        0.091     1.00
    4  treat_none       0.25        0.000     0.00
    5  treat_none       0.45        0.000     0.00
    """
    check_rows(predicted, y)
    models = [str(name) for name in predicted.columns]
    if not models or {TREAT_ALL, TREAT_NONE} & set(models):
        raise ConfigError(
            "a decision curve needs models that are not called treat_all or treat_none", "Rename the columns."
        )
    levels = _thresholds(thresholds)
    y, values, known = with_predictions(y, predicted.to_numpy(dtype=float), horizon_months=horizon_months)
    treat = _treated(values, levels)
    once = np.ones(len(y))
    benefit, rate = _net_benefit(y, treat, once, levels, horizon_months)
    if rate == 0:
        raise HorizonError(f"nobody had the event by {horizon_months:g} months", "Take a later horizon.")
    draws = np.full((resamples, *benefit.shape), np.nan)
    for k, rows in enumerate(bootstrap_rows(len(y), resamples, random_state)):
        count = np.bincount(rows, minlength=len(y)).astype(float)
        draws[k] = _net_benefit(y, treat, count, levels, horizon_months)[0]
    columns, index = [*models, TREAT_ALL, TREAT_NONE], pd.Index(levels, name="threshold")
    return DecisionCurve(
        horizon_months, levels, pd.DataFrame(benefit.T, index, columns),
        pd.DataFrame(treat.mean(axis=0).T, index, columns), rate, draws, len(y),
        _notes(known, benefit, levels, models, horizon_months), y.simulated, confidence,
    )  # fmt: skip


def _thresholds(given: Sequence[float] | Floats | None) -> Floats:
    levels = np.arange(1, 61) / 100 if given is None else np.asarray(given, dtype=float)
    if levels.ndim != 1 or not levels.size or not ((levels > 0) & (levels < 1)).all():
        raise ConfigError("a threshold of the decision curve lies outside 0 to 1", "Give risks, such as 0.2.")
    return np.unique(levels)


def _treated(values: Floats, thresholds: Floats) -> NDArray[np.bool_]:
    """Who is treated, shape (n, models + 2, t): by each model, all, none."""
    # A risk equal to the threshold but for the last digit reaches it: 1 - 0.8 < 0.2 in floating point.
    by_model = 1.0 - values[:, :, None] >= thresholds - 1e-12
    everyone = np.ones((len(values), 1, len(thresholds)), dtype=bool)
    return np.concatenate([by_model, everyone, ~everyone], axis=1)


def _net_benefit(
    y: Outcome, treat: NDArray[np.bool_], count: Floats, thresholds: Floats, horizon_months: float
) -> tuple[Floats, float]:
    """Net benefit of each strategy and threshold, shape (models + 2, t), and the share with an event."""
    n, strategies, t = treat.shape
    weights = treat.reshape(n, -1) * count[:, None]
    share = weights.sum(axis=0) / count.sum()
    survival = survival_in_subsets(y, weights, horizon_months=horizon_months)
    odds = np.tile(thresholds / (1 - thresholds), strategies)
    benefit = share * ((1 - survival) - survival * odds)
    benefit[share == 0] = 0.0
    rate = 1.0 - float(survival.reshape(strategies, t)[-2, 0])
    return benefit.reshape(strategies, t), rate


def _notes(
    known: NDArray[np.bool_], benefit: Floats, thresholds: Floats, models: list[str], horizon_months: float
) -> tuple[str, ...]:
    notes = []
    if not known.all():
        notes.append(f"{int((~known).sum())} patients without a prediction of every model are left out")
    for model, row in zip(models, benefit, strict=False):
        if np.isnan(row).any():
            first = thresholds[np.isnan(row)][0]
            notes.append(
                f"{model}: at {int(np.isnan(row).sum())} thresholds, the lowest {first:g}, those treated are "
                f"not followed to {horizon_months:g} months, so there is no net benefit"
            )
    return tuple(notes)
