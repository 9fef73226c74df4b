"""All that out-of-fold predictions tell of some models: accuracy, calibration, usefulness.

Probabilities of several training folds can be put together, where log risks cannot.
Repeats are averaged for each patient; patients never held out do not count.
"""

from __future__ import annotations

import html
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError, HorizonError
from radiomics_npc.survival.metrics.brier import brier_at
from radiomics_npc.survival.metrics.calibration import calibrate
from radiomics_npc.survival.metrics.decision_curve import DecisionCurve, decision_curve
from radiomics_npc.survival.metrics.reclassification import reclassification
from radiomics_npc.survival.metrics.roc import auc_at
from radiomics_npc.survival.metrics.smooth_calibration import smooth_calibrate
from radiomics_npc.survival.metrics.weak_calibration import weak_calibration
from radiomics_npc.survival.validation.cross_validated import CrossValidation
from radiomics_npc.survival.validation.scoring import pfs_column

__all__ = ["Appraisal", "appraise"]

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Appraisal:
    """Tables of a cross-validation beyond the C-index.

    Parameters
    ----------
    accuracy : DataFrame
        model, time_months, metric (auc, brier, ipa), estimate, lower, upper: the limits take
        the predictions as given.
    calibration : DataFrame
        model, time_months, metric (slope, observed_expected, ici, e50, e90, ...), estimate,
        lower, upper. The slope is that of models made from fewer patients, and a little too
        small besides, because a fold that does badly is predicted by models made without it:
        0.72 and 0.84 on average in simulated cohorts of 150 and 300 patients, where the models
        of all patients had 0.82 and 0.93. To shrink a model take the slope of
        :func:`radiomics_npc.survival.validation.optimism.bootstrap_validate`.
    groups : DataFrame
        model, time_months, and predicted against observed in groups of patients.
    curves : DataFrame
        model, time_months, predicted, observed, lower, upper: the smooth calibration.
    decisions : DecisionCurve or None
        At the last horizon.
    reclassification : DataFrame
        model, reference, measure, estimate, lower, upper, at the last horizon.
    notes : tuple of str
        What could not be said, and why.
    """

    accuracy: pd.DataFrame
    calibration: pd.DataFrame
    groups: pd.DataFrame
    curves: pd.DataFrame
    decisions: DecisionCurve | None
    reclassification: pd.DataFrame
    notes: tuple[str, ...] = ()

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        """All tables that hold something, by the name of their file."""
        found = {
            "accuracy": self.accuracy, "calibration": self.calibration, "calibration_groups": self.groups,
            "calibration_curves": self.curves, "reclassification": self.reclassification,
        }  # fmt: skip
        if self.decisions is not None:
            found["decision_curves"] = self.decisions.to_frame()
        return {name: table for name, table in found.items() if len(table)}

    def to_frame(self) -> pd.DataFrame:
        """Accuracy and calibration: model, time_months, metric, estimate, lower, upper."""
        return pd.concat([self.accuracy, self.calibration], ignore_index=True)

    def _repr_html_(self) -> str:
        notes = "".join(f"<li>{html.escape(note)}</li>" for note in self.notes)
        return self.to_frame().to_html(index=False, float_format="{:.3f}".format) + f"<ul>{notes}</ul>"


def appraise(result: CrossValidation, *, resamples: int = 200, random_state: int = 0) -> Appraisal:
    """Score the out-of-fold probabilities of every model at every horizon.

    Parameters
    ----------
    result : CrossValidation
    resamples : int
        Bootstrap samples of patients for the limits of calibration distances, net
        benefit and reclassification; the predictions stay as they are.
    random_state : int

    Returns
    -------
    Appraisal
        What a horizon or a model does not support is left out, and a note says why.

    Examples
    --------
    >>> from radiomics_npc.survival.models.cox import CoxModel
    >>> from radiomics_npc.survival.validation.cross_validation import cross_validate
    >>> random = np.random.default_rng(0)
    >>> X = pd.DataFrame({"age": random.normal(size=150)})
    >>> y = Outcome(random.exponential(50 * np.exp(-X["age"])), np.ones(150), X.index).censor_at(60)
    >>> found = appraise(cross_validate({"age": CoxModel()}, X, y, repeats=1, jobs=1), resamples=0)
    >>> found.accuracy["metric"].tolist()
    ['auc', 'brier', 'ipa']
    """
    notes: dict[str, None] = {}
    patients = {model: result.patients(model) for model in result.models}
    collected: dict[str, list[pd.DataFrame]] = {
        k: [] for k in ("accuracy", "calibration", "groups", "curves")
    }
    for model, table in patients.items():
        for horizon in result.design["horizons_months"]:
            y, pfs = _held_out(result.outcome, table[pfs_column(horizon)])
            found = _at(y, pfs, horizon, resamples, random_state, notes, model)
            for name, part in found.items():
                where = {"model": model, "time_months": horizon}
                collected[name].append(part.drop(columns="simulated", errors="ignore").assign(**where))
    made = {name: _together(parts, result.outcome.simulated) for name, parts in collected.items()}
    last = float(result.design["horizon_months"])
    predicted = pd.DataFrame({m: table[pfs_column(last)] for m, table in patients.items()})
    decisions = _try(
        lambda: decision_curve(
            *_held_out(result.outcome, predicted), horizon_months=last, resamples=resamples,
            random_state=random_state,
        ), notes, "decision curves",
    )  # fmt: skip
    changes = _reclassified(result, predicted, last, resamples, random_state, notes)
    return Appraisal(
        made["accuracy"], made["calibration"], made["groups"], made["curves"], decisions,
        _together(changes, result.outcome.simulated), tuple(notes),
    )  # fmt: skip


def _held_out(y: Outcome, predicted: Any) -> tuple[Outcome, Any]:
    """Patients with a prediction of every column."""
    known = predicted.notna().to_numpy()
    known = known if known.ndim == 1 else known.all(axis=1)
    return y.take(known), predicted[known]


def _try(work: Callable[[], T], notes: dict[str, None], what: str) -> T | None:
    """What the data do not support is a note, never the end."""
    try:
        return work()
    except (CohortError, HorizonError) as error:
        notes[f"No {what}: {error.message}."] = None
        return None


def _at(
    y: Outcome,
    pfs: pd.Series,
    horizon: float,
    resamples: int,
    random_state: int,
    notes: dict[str, None],
    model: str,
) -> dict[str, pd.DataFrame]:
    """Tables of one model at one horizon."""
    where = f"of {model} at {horizon:g} months"
    columns = ["metric", "estimate", "lower", "upper"]
    found: dict[str, pd.DataFrame] = {}
    auc = _try(lambda: auc_at(y, 1 - pfs, [horizon]), notes, f"AUC {where}")
    brier = _try(lambda: brier_at(y, pfs.to_numpy()[:, None], [horizon]), notes, f"Brier score {where}")
    rows = []
    for metric, score in (("auc", auc), ("brier", brier)):
        if score is not None:
            rows.append((metric, *score.to_frame().loc[0, [metric, "lower", "upper"]]))
    if brier is not None:
        rows.append(("ipa", float(brier.ipa[0]), np.nan, np.nan))
    if rows:
        found["accuracy"] = pd.DataFrame(rows, columns=columns)
    groups = _try(lambda: calibrate(y, pfs, horizon_months=horizon), notes, f"calibration {where}")
    if groups is not None:
        found["groups"] = groups.to_frame()
    weak = _try(lambda: weak_calibration(y, pfs, horizon_months=horizon), notes, f"calibration slope {where}")
    smooth = _try(
        lambda: smooth_calibrate(
            y, pfs, horizon_months=horizon, resamples=resamples, random_state=random_state
        ), notes, f"smooth calibration {where}",
    )  # fmt: skip
    parts = [part.to_frame()[columns] for part in (weak, smooth) if part is not None]
    if parts:
        both = pd.concat(parts, ignore_index=True)
        found["calibration"] = both[both["estimate"].notna()]
    if smooth is not None:
        found["curves"] = smooth.curve
    return found


def _reclassified(
    result: CrossValidation,
    predicted: pd.DataFrame,
    horizon: float,
    resamples: int,
    random_state: int,
    notes: dict[str, None],
) -> list[pd.DataFrame]:
    """Every model against the reference."""
    reference = result.design["reference"]
    made = []
    for model in predicted.columns:
        if reference not in predicted.columns or model == reference:
            continue
        y, both = _held_out(result.outcome, predicted[[reference, model]])
        work = partial(
            reclassification, y, both.iloc[:, 0], both.iloc[:, 1], horizon_months=horizon,
            resamples=resamples, random_state=random_state,
        )  # fmt: skip
        found = _try(work, notes, f"reclassification of {model}")
        if found is not None:
            part = found.to_frame().drop(columns="simulated", errors="ignore")
            made.append(part.assign(model=model, reference=reference))
    return made


def _together(parts: list[pd.DataFrame], simulated: bool) -> pd.DataFrame:
    """One table, what it is of in front."""
    if not parts:
        return pd.DataFrame()
    table = pd.concat(parts, ignore_index=True)
    front = [name for name in ("model", "reference", "time_months") if name in table.columns]
    table = table[front + [name for name in table.columns if name not in front]]
    return table.assign(simulated=True) if simulated else table
