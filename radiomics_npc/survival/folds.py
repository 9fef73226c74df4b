"""Folds that hold the same share of events."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError

__all__ = ["stratified_folds"]


def stratified_folds(
    y: Outcome, folds: int, random_state: int | np.random.SeedSequence, *, strict: bool = True
) -> NDArray[np.intp]:
    """Give each patient a fold, events and censored patients spread evenly.

    Parameters
    ----------
    y : Outcome
    folds : int
    random_state : int or SeedSequence
    strict : bool
        Raise when there are fewer events than folds; otherwise take fewer folds.

    Returns
    -------
    array of int, shape (n,)
        0 to folds - 1.

    Raises
    ------
    CohortError
        Fewer events than folds, or fewer than 2 events.

    Examples
    --------
    >>> y = Outcome(range(8), [1, 0, 0, 1, 0, 0, 0, 0])
    >>> fold = stratified_folds(y, 2, 0)
    >>> np.bincount(fold).tolist(), sorted(fold[y.event].tolist())
    ([4, 4], [0, 1])
    """
    events = int(y.event.sum())
    if events < 2 or (strict and events < folds):
        raise CohortError(
            f"{events} events are too few for {folds} folds", "Take fewer folds, or more patients."
        )
    folds = min(folds, events)
    random = np.random.default_rng(random_state)
    order = np.concatenate([random.permutation(np.flatnonzero(part)) for part in (y.event, ~y.event)])
    fold = np.empty(len(y), dtype=np.intp)
    # Dealing events first, then the others, one to each fold in turn, keeps sizes equal too.
    fold[order] = random.permutation(folds)[np.arange(len(y)) % folds]
    return fold
