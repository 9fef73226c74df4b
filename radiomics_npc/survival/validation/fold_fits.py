"""What happens in one training fold: every model is fitted anew, and predicts those held out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import RadiomicsNPCError
from radiomics_npc.survival.folds import stratified_folds
from radiomics_npc.survival.validation.scoring import pfs_column

__all__ = ["FitFold", "FoldResult", "FoldTask", "fold_tasks"]

# What a fit can fail of because of the data; anything else is a fault of ours and is raised.
_DATA_FAULTS = (RadiomicsNPCError, ArithmeticError, np.linalg.LinAlgError)


@dataclass(frozen=True)
class FoldTask:
    """One training fold: all models are fitted in it."""

    repeat: int
    fold: int
    test: NDArray[np.intp]
    seed: int

    @property
    def label(self) -> str:
        """Shown by the progress bar."""
        return f"repeat {self.repeat + 1}, fold {self.fold + 1}"


@dataclass(frozen=True)
class FoldResult:
    """Predictions for the patients held out, and the models that could not be fitted."""

    label: str
    predictions: pd.DataFrame
    failures: list[tuple[Any, ...]]


class FitFold:
    """Fits every model in a training fold; picklable, so that it can go to another process."""

    def __init__(self, models: Mapping[str, Any], X: pd.DataFrame, y: Outcome, horizon_months: float) -> None:
        self.models, self.X, self.y, self.horizon_months = dict(models), X, y, horizon_months
        self.column = pfs_column(horizon_months)

    def __call__(self, task: FoldTask) -> FoldResult:
        """Fit every model to the patients of the other folds; a fault of the data is listed, not raised."""
        train = np.setdiff1d(np.arange(len(self.y)), task.test)
        parts, failures = [], []
        for name, model in self.models.items():
            try:
                risk, pfs, group = self._one(model, train, task)
            except _DATA_FAULTS as error:
                risk = pfs = np.full(len(task.test), np.nan)
                group = np.full(len(task.test), None)
                message, remedy = getattr(error, "message", str(error)), getattr(error, "remedy", "")
                failures.append((name, task.repeat, task.fold, type(error).__name__, message, remedy))
            parts.append(pd.DataFrame({
                "patient_id": self.y.patient_id[task.test], "repeat": task.repeat, "fold": task.fold,
                "model": name, "risk": risk, self.column: pfs, "group": np.asarray(group, dtype=object),
            }))  # fmt: skip
        return FoldResult(task.label, pd.concat(parts, ignore_index=True), failures)

    def _one(self, model: Any, train: NDArray[np.intp], task: FoldTask) -> tuple[Any, Any, Any]:
        fitted = clone(model)
        seeds = [key for key in fitted.get_params() if key.split("__")[-1] == "random_state"]
        fitted.set_params(**dict.fromkeys(seeds, task.seed))
        fitted.fit(self.X.iloc[train], self.y.take(train))
        held = self.X.iloc[task.test]
        if isinstance(fitted, Pipeline):
            held, fitted = fitted[:-1].transform(held), fitted[-1]
        risk = np.asarray(fitted.predict_risk(held), dtype=float)
        pfs = fitted.predict_survival(held, [self.horizon_months])[:, 0]
        groups = getattr(fitted, "groups_", None)
        return risk, pfs, groups.predict(risk) if groups is not None else np.full(len(risk), None)


def fold_tasks(y: Outcome, folds: int, repeats: int, random_state: int) -> list[FoldTask]:
    """Folds of every repeat, each with a seed of its own: the same for any number of processes."""
    tasks = []
    for repeat, seed in enumerate(np.random.SeedSequence(random_state).spawn(repeats)):
        split, *inner = seed.spawn(folds + 1)
        fold = stratified_folds(y, folds, split)
        for k in range(folds):
            number = int(inner[k].generate_state(1)[0])
            tasks.append(FoldTask(repeat, k, np.flatnonzero(fold == k), number))
    return tasks
