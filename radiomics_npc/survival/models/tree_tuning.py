"""Settings and number of boosted trees, chosen in inner folds with early stopping."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError
from radiomics_npc.survival.estimation.partial_likelihood import maximize_partial_likelihood
from radiomics_npc.survival.models.trees import Objective, complete_settings, margins, risk_of_margin

__all__ = ["Fold", "Tuned", "candidates", "cox_slope", "tune_trees"]

Floats = NDArray[np.float64]

_SCALES = (0.5, 1.0, 2.0)  # of the log times of AFT
_GRID = {"max_depth": (1, 2, 3), "min_child_weight": (2.0, 6.0), "lambda": (1.0, 10.0)}


def candidates(objective: Objective, *, grid: bool) -> list[list[dict[str, Any]]]:
    """What is tried, stage by stage: the scale of AFT first, then depth, leaf weight and ridge.

    Examples
    --------
    >>> candidates("cox", grid=False)
    [[{}]]
    >>> [len(stage) for stage in candidates("aft", grid=True)]
    [3, 12]
    """
    stages: list[list[dict[str, Any]]] = [[{}]]
    if objective == "aft":
        stages = [[{"aft_loss_distribution_scale": scale} for scale in _SCALES]]
    if grid:
        combined = itertools.product(*_GRID.values())
        stages.append([dict(zip(_GRID, values, strict=True)) for values in combined])
    return stages


@dataclass(frozen=True, eq=False)
class Fold:
    """Training patients of an inner fold, and those held out of it.

    Parameters
    ----------
    inside, held : xgboost.DMatrix
    y : Outcome
        Of those inside.
    rows : array of bool, shape (n,)
        True for those held out.
    weight : float
        Of the fold's mean loss: events for Cox, patients for AFT.
    constraints : tuple of int
        See :func:`complete_settings`.
    """

    inside: Any
    held: Any
    y: Outcome
    rows: NDArray[np.bool_]
    weight: float
    constraints: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Tuned:
    """What was chosen in the inner folds.

    Parameters
    ----------
    settings : dict
        Of the least held-out loss.
    rounds : int
        Trees there.
    held_out : array of float, shape (n,)
        Risk of each patient by the trees of a fold that it was held out of.
    tried : list of dict
        Every candidate: its settings, rounds (best), grown (trees until it was
        stopped) and loss (mean held-out negative log likelihood).
    """

    settings: dict[str, Any]
    rounds: int
    held_out: Floats
    tried: list[dict[str, float]]


def tune_trees(
    folds: Sequence[Fold],
    settings: Mapping[str, Any],
    stages: Sequence[Sequence[Mapping[str, Any]]],
    *,
    max_rounds: int,
    patience: int,
) -> Tuned:
    """Choose settings and number of trees by the mean held-out likelihood.

    Parameters
    ----------
    folds : sequence of Fold
    settings : mapping
        Of xgboost.
    stages : sequence of sequences of mappings
        In each stage every mapping is tried as a change of the best settings so far.
    max_rounds : int
    patience : int
        Growing stops when so many trees have not improved the mean over the folds.

    Returns
    -------
    Tuned
    """
    varied = dict.fromkeys(key for stage in stages for change in stage for key in change)
    best, tried = dict(settings), []
    least, rounds, held_out = np.inf, 0, np.empty(0)
    for stage in stages:
        start = best
        for change in stage:
            candidate = {**start, **change}
            path, found = _grow_folds(folds, candidate, max_rounds, patience)
            at = int(np.argmin(path))
            shown = {key: candidate[key] for key in varied}
            tried.append({**shown, "rounds": at + 1, "grown": len(path), "loss": float(path[at])})
            if rounds == 0 or path[at] < least:
                best, least, rounds, held_out = candidate, path[at], at + 1, found
    return Tuned(best, rounds, held_out, tried)


def _grow_folds(
    folds: Sequence[Fold], settings: Mapping[str, Any], max_rounds: int, patience: int
) -> tuple[Floats, Floats]:
    """Mean held-out loss after each tree, until it rises for good, and held-out risks at its least.

    The folds grow in step, so that their mean decides when to stop: the loss of a single
    fold with a few events is too noisy to.
    """
    import xgboost

    # Bare boosters: those that xgboost.train returns, as copies, evaluate AFT at a scale of 1.
    own = [complete_settings(settings, fold.y, fold.constraints) for fold in folds]
    boosters = [xgboost.Booster(s, [f.inside, f.held]) for s, f in zip(own, folds, strict=True)]
    weights = [fold.weight for fold in folds]
    path: list[float] = []
    while len(path) < max_rounds and len(path) - 1 - int(np.argmin(path or [0.0])) < patience:
        losses = []
        for booster, fold in zip(boosters, folds, strict=True):
            booster.update(fold.inside, len(path))
            losses.append(float(booster.eval(fold.held, iteration=len(path)).rsplit(":", 1)[1]))
        path.append(float(np.average(losses, weights=weights)))
    risk = np.empty(len(folds[0].rows))
    for booster, fold, chosen in zip(boosters, folds, own, strict=True):
        found = margins(booster, fold.held, int(np.argmin(path)) + 1)
        risk[fold.rows] = risk_of_margin(found, chosen)
    return np.asarray(path), risk


def cox_slope(y: Outcome, risk: Floats) -> float:
    """How much of their spread held-out risks may keep: their coefficient in a Cox model.

    A weak ridge holds it if it would run away; risks without spread have 0.

    Examples
    --------
    >>> y = Outcome([50, 30, 20, 60, 45, 10], [0, 1, 1, 0, 1, 1])
    >>> round(cox_slope(y, np.array([4.0, 5, 6, 4.5, 5.5, 4.8])), 2), cox_slope(y, np.ones(6))
    (1.29, 0.0)
    """
    if np.ptp(risk) <= 1e-12 * max(1.0, float(np.abs(risk).max())):
        return 0.0
    try:
        beta, _ = maximize_partial_likelihood(risk[:, None], y)
    except CohortError:
        beta, _ = maximize_partial_likelihood(risk[:, None], y, 0.01)
    return float(beta[0])
