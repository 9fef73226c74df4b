"""Who is held out: folds in turn, one center at a time, or the patients who came last.

References
----------
Steyerberg EW, Harrell FE. Prediction models need appropriate internal, internal-external,
and external validation. J Clin Epidemiol 2016;69:245-247.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError
from radiomics_npc.survival.folds import stratified_folds
from radiomics_npc.survival.validation.fold_fits import FoldTask

__all__ = ["LeaveCenterOut", "RepeatedFolds", "SplitDesign", "TemporalSplit", "supported_horizon"]


class SplitDesign(Protocol):
    """What tells ``cross_validate`` whom to train on and whom to hold out."""

    def tasks(self, y: Outcome, random_state: int) -> list[FoldTask]:
        """One task a training fold, each with a seed of its own."""
        ...

    def describe(self, y: Outcome) -> dict[str, Any]:
        """kind, folds, repeats and whatever else a reader must know; plain JSON."""
        ...


@dataclass(frozen=True)
class RepeatedFolds:
    """Repeated stratified k-fold: every patient is held out once in each repeat.

    Parameters
    ----------
    folds, repeats : int
        Folds hold the same share of events.

    Examples
    --------
    >>> y = Outcome(range(8), [1, 0, 0, 1, 0, 0, 0, 0])
    >>> [task.label for task in RepeatedFolds(2, 1).tasks(y, 0)]
    ['repeat 1, fold 1', 'repeat 1, fold 2']
    """

    folds: int = 5
    repeats: int = 10

    def tasks(self, y: Outcome, random_state: int) -> list[FoldTask]:
        """Folds of every repeat: the same for any number of processes."""
        tasks = []
        for repeat, seed in enumerate(np.random.SeedSequence(random_state).spawn(self.repeats)):
            split, *inner = seed.spawn(self.folds + 1)
            fold = stratified_folds(y, self.folds, split)
            for k in range(self.folds):
                number = int(inner[k].generate_state(1)[0])
                tasks.append(FoldTask(repeat, k, np.flatnonzero(fold == k), number))
        return tasks

    def describe(self, y: Outcome) -> dict[str, Any]:
        """kind, folds, repeats."""
        return {"kind": "repeated_folds", "folds": self.folds, "repeats": self.repeats}


@dataclass(frozen=True, eq=False)
class LeaveCenterOut:
    """Every center is held out in turn, and the others train (internal-external validation).

    Parameters
    ----------
    centers : Series or mapping
        Center (or scanner) of every patient, by patient_id.

    Raises
    ------
    CohortError
        A patient has no center, or there are fewer than two centers.

    Examples
    --------
    >>> y = Outcome([5, 6, 7, 8], [1, 1, 0, 1], list("abcd"))
    >>> design = LeaveCenterOut({"a": "north", "b": "south", "c": "south", "d": "north"})
    >>> [(task.name, task.test.tolist()) for task in design.tasks(y, 0)]
    [('north', [0, 3]), ('south', [1, 2])]
    """

    centers: Mapping[str, Any] | pd.Series = field(repr=False)

    def tasks(self, y: Outcome, random_state: int) -> list[FoldTask]:
        """One task a center, in the order of their names."""
        names, code = self._codes(y)
        seeds = np.random.SeedSequence(random_state).generate_state(len(names))
        return [
            FoldTask(0, k, np.flatnonzero(code == k), int(seeds[k]), name=name)
            for k, name in enumerate(names)
        ]

    def describe(self, y: Outcome) -> dict[str, Any]:
        """kind, folds, repeats, fold_names (the centers)."""
        names, _ = self._codes(y)
        return {"kind": "leave_center_out", "folds": len(names), "repeats": 1, "fold_names": names}

    def _codes(self, y: Outcome) -> tuple[list[str], NDArray[np.intp]]:
        found = _of_patients(self.centers, y, "center")
        code, names = pd.factorize(found.astype(str), sort=True)
        if len(names) < 2:
            raise CohortError("leaving a center out needs at least two centers")
        return [str(name) for name in names], code


@dataclass(frozen=True, eq=False)
class TemporalSplit:
    """Patients who came before a cut train, those from it on are held out.

    Parameters
    ----------
    order : Series or mapping
        Date (or year, or running number) of inclusion of every patient, by patient_id.
    cut : date, str or number, optional
        First date of the held-out patients; beside dates a number is a year. By default ``share`` decides.
    share : float
        Share of the patients that train, the earliest; patients of one date stay together.

    Raises
    ------
    CohortError
        A patient has no date, or one side of the cut is empty.

    Notes
    -----
    The split is by inclusion, so training patients are followed past the cut.

    Examples
    --------
    >>> y = Outcome([5, 6, 7, 8], [1, 1, 0, 1], list("abcd"))
    >>> years = {"a": 2015, "b": 2019, "c": 2016, "d": 2018}
    >>> TemporalSplit(years, cut=2018).tasks(y, 0)[0].test.tolist()
    [1, 3]
    """

    order: Mapping[str, Any] | pd.Series = field(repr=False)
    cut: Any = None
    share: float = 2 / 3

    def tasks(self, y: Outcome, random_state: int) -> list[FoldTask]:
        """One task."""
        late, cut = self._late(y)
        if late.all() or not late.any():
            raise CohortError("one side of the temporal split is empty", "Take another cut.")
        seed = int(np.random.SeedSequence(random_state).generate_state(1)[0])
        return [FoldTask(0, 0, np.flatnonzero(late), seed, name=f"from {cut}")]

    def describe(self, y: Outcome) -> dict[str, Any]:
        """kind, folds, repeats, fold_names (the cut)."""
        name = f"from {self._late(y)[1]}"
        return {"kind": "temporal_split", "folds": 1, "repeats": 1, "fold_names": [name]}

    def _late(self, y: Outcome) -> tuple[NDArray[np.bool_], str]:
        """Who is held out, and the cut as text."""
        found = _of_patients(self.order, y, "date")
        dates = not pd.api.types.is_numeric_dtype(found)
        try:
            when = (pd.to_datetime(found, format="ISO8601") if dates else found.astype(float)).to_numpy()
            cut: Any = self.cut
            if cut is None:
                cut = np.sort(when)[min(math.ceil(self.share * len(y)), len(y) - 1)]
            if dates and isinstance(cut, (int, float)):
                cut = f"{cut:g}"  # a year: as a moment it would be counted from 1970
            cut = pd.Timestamp(cut) if dates else float(cut)
        except (TypeError, ValueError):
            raise CohortError(
                "dates or the cut of the temporal split cannot be read",
                "Give dates as YYYY-MM-DD, or numbers throughout.",
            ) from None
        late: NDArray[np.bool_] = when >= (cut.to_datetime64() if dates else cut)
        return late, f"{cut:%Y-%m-%d}" if dates else f"{cut:g}"


def _of_patients(given: Mapping[str, Any] | pd.Series, y: Outcome, what: str) -> pd.Series:
    """Values in the order of the outcome."""
    found = pd.Series(given)
    found.index = found.index.astype(str)
    found = found.reindex(y.patient_id)
    if found.isna().any():
        raise CohortError(
            f"{int(found.isna().sum())} patients have no {what}", f"Give the {what} of every patient."
        )
    return found


def supported_horizon(asked: float, reached: float) -> float:
    """The horizon asked for, or the last whole month that the follow-up reaches.

    Examples
    --------
    >>> supported_horizon(60.0, 71.3), supported_horizon(60.0, 57.8), supported_horizon(60.0, 0.5)
    (60.0, 57.0, 0.5)
    """
    return float(asked if reached >= asked else math.floor(reached) or reached)
