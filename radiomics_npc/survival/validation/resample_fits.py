"""What happens in one bootstrap sample: the whole model is made again, and judged on everyone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError, ConfigError, HorizonError
from radiomics_npc.survival.estimation.censoring import horizon_weights
from radiomics_npc.survival.metrics.concordance import harrell_c
from radiomics_npc.survival.validation.fold_fits import DATA_FAULTS, fit_copy, last_step
from radiomics_npc.survival.validation.indexes import risk_indexes
from radiomics_npc.survival.validation.recalibration import log_hazard

__all__ = ["FitResample", "Resample", "ResampleResult", "brier_losses", "draw_resamples"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Resample:
    """Positions of the patients drawn, and the seed of the fit."""

    number: int
    rows: NDArray[np.intp]
    seed: int

    @property
    def label(self) -> str:
        """Shown by the progress bar."""
        return f"sample {self.number + 1}"


@dataclass(frozen=True)
class ResampleResult:
    """Scores of the model of one sample, on the sample and on everyone; or why there is none.

    Parameters
    ----------
    label : str
    training, test : dict of str to float
    held_out_c : tuple of float
        C of the patients who were not drawn, and their comparable pairs.
    loss : array, shape (n,)
        Weighted squared error of each patient not drawn; NaN for the others.
    failure : str
    """

    label: str
    training: dict[str, float]
    test: dict[str, float]
    held_out_c: tuple[float, float]
    loss: Floats
    failure: str = ""


class FitResample:
    """Fits the model in a bootstrap sample; picklable, so that it can go to another process."""

    def __init__(self, model: Any, X: pd.DataFrame, y: Outcome, horizon_months: float) -> None:
        self.model, self.X, self.y, self.horizon_months = model, X, y, horizon_months

    def __call__(self, task: Resample) -> ResampleResult:
        """Fit and score; a fault of the data is told, not raised."""
        y = self.y.take(task.rows)
        X = self.X.iloc[task.rows].set_axis(y.patient_id, axis=0)
        nothing = np.full(len(self.y), np.nan)
        try:
            fitted = fit_copy(self.model, X, y, task.seed)
            risk, survival = self.predict(fitted)
            training = self.scores(y, risk[task.rows], survival[task.rows], own=True)
            test = self.scores(self.y, risk, survival)
        except DATA_FAULTS as error:
            return ResampleResult(task.label, {}, {}, (np.nan, 0.0), nothing, str(error))
        left = np.setdiff1d(np.arange(len(self.y)), task.rows)
        held_out = harrell_c(self.y.take(left), risk[left])
        nothing[left] = brier_losses(self.y, survival, self.horizon_months)[left]
        return ResampleResult(task.label, training, test, (held_out.estimate, held_out.pairs), nothing)

    def predict(self, fitted: Any) -> tuple[Floats, Floats]:
        """Log hazard and probability at the horizon of every patient."""
        last, table = last_step(fitted, self.X)
        survival = last.predict_survival(table, [self.horizon_months])[:, 0]
        return log_hazard(last, table, self.horizon_months), np.asarray(survival, dtype=float)

    def scores(self, y: Outcome, risk: Floats, survival: Floats, *, own: bool = False) -> dict[str, float]:
        """All that is corrected for optimism; ``own`` if these patients made the model."""
        brier = float(np.mean(brier_losses(y, survival, self.horizon_months)))
        return risk_indexes(y, risk, own=own) | {"brier": brier}


def brier_losses(y: Outcome, survival: Floats, horizon_months: float) -> Floats:
    """Squared error of each patient's probability, by the inverse probability of censoring weighted.

    Their mean is the Brier score; NaN where the horizon is not supported.

    Examples
    --------
    >>> y = Outcome([10, 20, 60, 60], [1, 0, 0, 0])
    >>> brier_losses(y, np.array([0.5, 0.5, 0.5, 1.0]), 60).round(3).tolist()
    [0.25, 0.0, 0.375, 0.0]
    """
    try:
        _, free, weight = horizon_weights(y, horizon_months)
    except HorizonError:
        return np.full(len(y), np.nan)
    return weight * (free - survival) ** 2


def draw_resamples(n: int, resamples: int, indices: ArrayLike | None, random_state: int) -> list[Resample]:
    """Samples with replacement, drawn or given, each with a seed of its own.

    Raises
    ------
    ConfigError
        Fewer than two samples, or indices that are not positions of the patients.
    """
    if indices is not None:
        given = np.asarray(indices)
        whole = given.ndim == 2 and given.shape[1] == n and np.issubdtype(given.dtype, np.integer)
        if not whole or given.min() < 0 or given.max() >= n:
            raise ConfigError(f"indices must be positions 0 to {n - 1}, one row of {n} for each sample")
        resamples = len(given)
    if resamples < 2:
        raise ConfigError(f"{resamples} bootstrap samples tell nothing", "Take 200.")
    tasks = []
    for number, seed in enumerate(np.random.SeedSequence(random_state).spawn(resamples)):
        random = np.random.default_rng(seed)
        rows = random.integers(0, n, n) if indices is None else given[number].astype(np.intp)
        tasks.append(Resample(number, rows, int(seed.generate_state(1)[0])))
    return tasks


def require_results(results: list[ResampleResult]) -> list[ResampleResult]:
    """Those that could be fitted, unless they are too few.

    Raises
    ------
    CohortError
        Half of the samples or more could not be fitted.
    """
    sound = [result for result in results if not result.failure]
    if 2 * len(sound) <= len(results) or len(sound) < 2:
        why = next(result.failure for result in results if result.failure)
        lost = len(results) - len(sound)
        raise CohortError(
            f"the model could not be fitted in {lost} of {len(results)} bootstrap samples",
            f"The first said: {why}",
        )
    return sound
