"""Folds that hold the same share of events, and never two copies of a patient apart."""

from __future__ import annotations

from heapq import heapify, heapreplace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError

__all__ = ["stratified_folds"]

Rows = NDArray[np.intp]


def stratified_folds(
    y: Outcome, folds: int, random_state: int | np.random.SeedSequence, *, strict: bool = True
) -> NDArray[np.intp]:
    """Give each patient a fold, events and censored patients spread evenly.

    Parameters
    ----------
    y : Outcome
        Copies of a patient in a bootstrap sample (``y.source``) go to one fold: a model tuned
        on the others would have seen that patient.
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
    first, copies, who = _patients(y)
    event = y.event[first]
    events = int(event.sum())
    if events < 2 or (strict and events < folds):
        raise CohortError(
            f"{events} events are too few for {folds} folds", "Take fewer folds, or more patients."
        )
    folds = min(folds, events)
    random = np.random.default_rng(random_state)
    order = np.concatenate([_shuffled(random, np.flatnonzero(part), copies) for part in (event, ~event)])
    # Dealing events first, then the others, each to the smallest fold, keeps sizes equal too.
    sizes = [(0, k) for k in range(folds)]
    heapify(sizes)
    dealt = np.empty(len(first), dtype=np.intp)
    for patient in order:
        size, smallest = sizes[0]
        dealt[patient] = smallest
        heapreplace(sizes, (size + int(copies[patient]), smallest))
    fold: Rows = random.permutation(folds)[dealt][who]
    return fold


def _patients(y: Outcome) -> tuple[Rows, Rows, Rows]:
    """First row and number of copies of every patient, and the patient of every row."""
    if y.source is None:
        rows = np.arange(len(y))
        return rows, np.ones(len(y), dtype=np.intp), rows
    who = pd.factorize(y.source)[0]
    _, first, copies = np.unique(who, return_index=True, return_counts=True)
    return first, copies, who


def _shuffled(random: np.random.Generator, patients: Rows, copies: Rows) -> Rows:
    """In random order, but those with most copies first, so that the last ones can level the folds."""
    shuffled = random.permutation(patients)
    result: Rows = shuffled[np.argsort(-copies[shuffled], kind="stable")]
    return result
