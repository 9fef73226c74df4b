"""Nested cross-validation: repeated stratified folds, centers left out, or a split in time.

A model is cloned and fitted anew in every training fold, and whatever it tunes
it tunes there. Risks of two fitted models are not comparable, so only pairs of
patients within a test fold count.

References
----------
Simon R et al. Brief Bioinform 2011;12:203-214 (cross-validated survival risk).
LeDell E et al. Electron J Stat 2015;9:1583-1607 (intervals from influence functions).
Rubin DB. Multiple Imputation for Nonresponse in Surveys. 1987 (within and between).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd
from sklearn.base import clone

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import ConfigError
from radiomics_npc.parallel import map_cases
from radiomics_npc.progress import track
from radiomics_npc.survival.design import check_rows
from radiomics_npc.survival.validation.cross_validated import (
    FAILURES,
    SELECTED,
    CrossValidation,
    score_predictions,
)
from radiomics_npc.survival.validation.designs import RepeatedFolds, SplitDesign, supported_horizon
from radiomics_npc.survival.validation.fold_fits import FitFold, FoldResult

__all__ = ["CrossValidation", "cross_validate"]


def cross_validate(
    models: Mapping[str, Any],
    X: pd.DataFrame,
    y: Outcome,
    *,
    folds: int = 5,
    repeats: int = 10,
    design: SplitDesign | None = None,
    random_state: int = 0,
    jobs: int = 0,
    inner_folds: int | None = None,
    horizon_months: float = 60.0,
    also_months: Sequence[float] = (),
    reference: str | None = "clinical_cox",
    confidence: float = 0.95,
    surrogates: Collection[str] = (),
) -> CrossValidation:
    """Score models on patients held out, every step fitted anew on the others.

    Parameters
    ----------
    models : mapping of str to estimator
        Not fitted; each with ``fit(X, y)``, ``predict_risk`` and ``predict_survival``, or a
        scikit-learn Pipeline that ends in one.
    X : DataFrame
        By patient_id.
    y : Outcome
        The same patients in the same order.
    folds, repeats : int
        Folds hold the same share of events.
    design : LeaveCenterOut or TemporalSplit, optional
        Another way to hold patients out, in place of ``folds`` and ``repeats``.
    inner_folds : int, optional
        Folds within the training patients, for models that tune there; by default
        what each model says.
    random_state : int
        Every repeat and fold draws a seed of its own from it, so that the result is
        the same for any number of processes.
    jobs : int
        Processes; 0 takes all cores.
    horizon_months : float
        Horizon of the probabilities, and truncation of Uno's C. Trimmed, with a note, to what
        the follow-up of every training fold supports.
    also_months : sequence of float
        Earlier horizons at which probabilities are wanted, too.
    reference : str, optional
        Model that the others are compared with; no comparison if it is not among them.
    confidence : float
    surrogates : collection of str
        Boosted models whose surrogate is made in every training fold, too, and compared with
        them on the patients held out; see
        :func:`radiomics_npc.survival.validation.surrogate_fidelity.surrogate_fidelity`.

    Returns
    -------
    CrossValidation

    Raises
    ------
    CohortError
        Fewer events than folds, or other patients in X than in y.
    ConfigError
        No models.

    Notes
    -----
    C of a repeat counts all comparable pairs within the test folds (a stratified C),
    and its standard error is the infinitesimal jackknife over patients. The estimate
    is the mean over repeats. Repeats hold the same patients, so its variance is the
    mean of their variances, never that divided by their number, plus the variance
    between repeats times 1 + 1/repeats (Rubin's rule): the jackknife takes the fitted
    models as given, and the repeats tell how much they would differ. A difference is
    made patient by patient, so that it is paired; its p_corrected is the t test of Nadeau
    and Bengio on the folds, whose variance also counts that other training sets would have
    given other models. In simulated cohorts of 150 patients, 97% of the 95% intervals held
    the expected C of a model with C 0.69 (200 cohorts), and 91% with C 0.57 (300 cohorts;
    87% without the second part).

    Examples
    --------
    >>> from radiomics_npc.survival.models.cox import CoxModel
    >>> import numpy as np
    >>> random = np.random.default_rng(0)
    >>> X = pd.DataFrame({"age": random.normal(size=80), "noise": random.normal(size=80)})
    >>> y = Outcome(random.exponential(30 * np.exp(-X["age"])), random.random(80) < 0.8, X.index)
    >>> models = {"both": CoxModel(), "noise": CoxModel()}
    >>> result = cross_validate({"both": CoxModel()}, X, y, repeats=2, jobs=1, horizon_months=24)
    >>> result.scores.loc[0, ["model", "metric"]].tolist(), bool(result.scores.loc[0, "estimate"] > 0.6)
    (['both', 'harrell_c'], True)
    """
    check_rows(X, y)
    if not models:
        raise ConfigError("no models to validate")
    design = RepeatedFolds(folds, repeats) if design is None else design
    tasks = design.tasks(y, random_state)
    reached = min(float(y.time_months[task.training(len(y))].max(initial=0.0)) for task in tasks)
    horizon = supported_horizon(horizon_months, reached)
    horizons = [*sorted(h for h in set(map(float, also_months)) if h < horizon), horizon]
    ready = {name: _ready(m, inner_folds) for name, m in models.items()}
    work = FitFold(ready, X, y, horizons, surrogates)
    done = track(map_cases(work, tasks, jobs=jobs, ordered=True), "cross-validation", len(tasks))
    results = list(done)
    predictions = _together(results, list(models))
    failures = pd.DataFrame([row for r in results for row in r.failures], columns=FAILURES)
    selected = pd.DataFrame([row for r in results for row in r.selected], columns=SELECTED)
    described = design.describe(y) | {
        "random_state": random_state, "reference": reference, "horizon_months": horizon,
        "horizons_months": horizons,
        "horizon_asked_months": float(horizon_months), "confidence": confidence,
        "outcome": y.name, "patients": len(y), "events": int(y.event.sum()),
    }  # fmt: skip
    result = score_predictions(predictions, failures, selected, y, described)
    imitations = [part for r in results for part in r.imitations]
    return replace(result, imitations=pd.concat(imitations, ignore_index=True)) if imitations else result


def _ready(model: Any, inner_folds: int | None) -> Any:
    """An unfitted copy, with the number of inner folds asked for."""
    fresh = clone(model)
    if inner_folds is not None and "inner_folds" in fresh.get_params():
        fresh.set_params(inner_folds=inner_folds)
    return fresh


def _together(results: Sequence[FoldResult], models: Sequence[str]) -> pd.DataFrame:
    """All predictions, by model, repeat and the order of patients in the folds."""
    table = pd.concat([r.predictions for r in results], ignore_index=True)
    table["model"] = pd.Categorical(table["model"], list(models))
    table = table.sort_values(["model", "repeat", "fold"], kind="stable", ignore_index=True)
    table["model"] = table["model"].astype(str)
    used = [g for g in ("low", "intermediate", "high") if (table["group"] == g).any()]
    table["group"] = pd.Categorical(table["group"], used, ordered=True)
    return table
