"""What happens in one training fold: every model is fitted anew, and predicts those held out."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import RadiomicsNPCError
from radiomics_npc.survival.validation.scoring import pfs_column
from radiomics_npc.survival.validation.surrogate_fidelity import imitate

__all__ = ["DATA_FAULTS", "FitFold", "FoldResult", "FoldTask", "fit_copy", "last_step"]

# What a fit can fail of because of the data; anything else is a fault of ours and is raised.
DATA_FAULTS = (RadiomicsNPCError, ArithmeticError, np.linalg.LinAlgError)


@dataclass(frozen=True)
class FoldTask:
    """One training fold: all models are fitted in it.

    Parameters
    ----------
    repeat, fold : int
    test : array of int
        Positions of the patients held out.
    seed : int
    train : array of int, optional
        Positions of the patients trained on; by default all others.
    name : str
        Of the center or period held out.
    """

    repeat: int
    fold: int
    test: NDArray[np.intp]
    seed: int
    train: NDArray[np.intp] | None = None
    name: str = ""

    @property
    def label(self) -> str:
        """Shown by the progress bar."""
        return self.name or f"repeat {self.repeat + 1}, fold {self.fold + 1}"

    def training(self, patients: int) -> NDArray[np.intp]:
        """Positions of the patients trained on, none of whom is held out."""
        everyone = np.arange(patients) if self.train is None else self.train
        return np.setdiff1d(everyone, self.test)


@dataclass(frozen=True)
class FoldResult:
    """Predictions for the patients held out, models that could not be fitted, features that were chosen.

    ``imitations`` holds what surrogates say of the same patients, one table a model that has one.
    """

    label: str
    predictions: pd.DataFrame
    failures: list[tuple[Any, ...]]
    selected: list[tuple[Any, ...]]
    imitations: list[pd.DataFrame]


class FitFold:
    """Fits every model in a training fold; picklable, so that it can go to another process."""

    def __init__(
        self,
        models: Mapping[str, Any],
        X: pd.DataFrame,
        y: Outcome,
        horizons_months: Sequence[float],
        surrogates: Collection[str] = (),
    ) -> None:
        self.models, self.X, self.y, self.surrogates = dict(models), X, y, frozenset(surrogates)
        self.horizons_months = list(horizons_months)
        self.columns = [pfs_column(horizon) for horizon in self.horizons_months]

    @classmethod
    def for_concordance(cls, model: Any, X: pd.DataFrame, y: Outcome) -> FitFold:
        """One model of which C alone counts: a horizon that every fold is followed to will do."""
        return cls({"model": model}, X, y, [float(np.median(y.time_months))])

    def __call__(self, task: FoldTask) -> FoldResult:
        """Fit every model to the patients of the other folds; a fault of the data is listed, not raised."""
        parts, failures, selected, imitations = [], [], [], []
        for name, model in self.models.items():
            who = {"patient_id": self.y.patient_id[task.test], "repeat": task.repeat, "fold": task.fold}
            try:
                fitted = self._fitted(model, task)
                found, features = self._one(fitted, task)
                if name in self.surrogates:
                    train = task.training(len(self.y))
                    made = imitate(
                        fitted, self.X.iloc[train], self.y.take(train), self.X.iloc[task.test],
                        self.horizons_months,
                    )  # fmt: skip
                    imitations.append(pd.DataFrame(who | {"model": name} | made))
                selected += [(name, task.repeat, task.fold, feature) for feature in features]
            except DATA_FAULTS as error:
                found = dict.fromkeys(["risk", *self.columns], np.nan) | {"group": None}
                message, remedy = getattr(error, "message", str(error)), getattr(error, "remedy", "")
                failures.append((name, task.repeat, task.fold, type(error).__name__, message, remedy))
            part = pd.DataFrame(who | {"model": name} | found)
            parts.append(part.astype({"group": object, "risk": float}))
        return FoldResult(task.label, pd.concat(parts, ignore_index=True), failures, selected, imitations)

    def _fitted(self, model: Any, task: FoldTask) -> Any:
        """The model, fitted to the patients of the other folds."""
        train = task.training(len(self.y))
        return fit_copy(model, self.X.iloc[train], self.y.take(train), task.seed)

    def _one(self, fitted: Any, task: FoldTask) -> tuple[dict[str, Any], Sequence[str]]:
        """Predictions of the patients held out by column, and the features that the model chose."""
        last, held = last_step(fitted, self.X.iloc[task.test])
        risk = np.asarray(last.predict_risk(held), dtype=float)
        pfs = last.predict_survival(held, self.horizons_months)
        groups = getattr(last, "groups_", None)
        group = np.full(len(risk), None) if groups is None else np.asarray(groups.predict(risk), dtype=object)
        found = {"risk": risk} | {name: pfs[:, k] for k, name in enumerate(self.columns)} | {"group": group}
        return found, getattr(last, "feature_columns", ())


def fit_copy(model: Any, X: pd.DataFrame, y: Outcome, seed: int) -> Any:
    """Fit an unfitted copy: whatever the model had learnt before is gone; all its seeds follow from one."""
    fitted = clone(model)
    seeds = [key for key in fitted.get_params() if key.split("__")[-1] == "random_state"]
    fitted.set_params(**dict.fromkeys(seeds, seed))
    return fitted.fit(X, y)


def last_step(fitted: Any, X: pd.DataFrame) -> tuple[Any, pd.DataFrame]:
    """The estimator that predicts and what it sees of the patients, of a model or a Pipeline."""
    if isinstance(fitted, Pipeline):
        return fitted[-1], fitted[:-1].transform(X)
    return fitted, X
