"""Would more patients help? C against the number of patients a model is made from.

References
----------
Mukherjee S et al. J Comput Biol 2003;10:119-142. Christodoulou E et al. Adaptive sample size
determination for the development of clinical prediction models. Diagn Progn Res 2021;5:6.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import ConfigError
from radiomics_npc.parallel import map_cases
from radiomics_npc.progress import track
from radiomics_npc.survival.design import check_rows
from radiomics_npc.survival.validation.designs import RepeatedFolds
from radiomics_npc.survival.validation.fold_fits import FitFold, FoldTask
from radiomics_npc.survival.validation.scoring import fold_concordances, mean_scores

__all__ = ["LearningCurve", "learning_curve"]

Rows = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class LearningCurve:
    """C by training size.

    Parameters
    ----------
    table : DataFrame
        share (of the training folds), training_patients, training_events (means over the
        folds), estimate (Harrell's C), se, lower, upper, repeats, failed_folds.
    confidence : float
    patients, events : int
    simulated : bool
    """

    table: pd.DataFrame
    confidence: float
    patients: int
    events: int
    notes: tuple[str, ...] = ()
    simulated: bool = False

    def to_frame(self) -> pd.DataFrame:
        """One row a size; simulated, if so."""
        return self.table.assign(simulated=True) if self.simulated else self.table

    def _repr_html_(self) -> str:
        notes = "".join(f"<li>{html.escape(note)}</li>" for note in self.notes)
        return self.to_frame().to_html(index=False, float_format="{:.3f}".format) + f"<ul>{notes}</ul>"


def learning_curve(
    model: Any,
    X: pd.DataFrame,
    y: Outcome,
    *,
    shares: Sequence[float] = (0.25, 0.5, 0.75, 1.0),
    folds: int = 5,
    repeats: int = 5,
    confidence: float = 0.95,
    random_state: int = 0,
    jobs: int = 1,
) -> LearningCurve:
    """Cross-validate a model made from parts of its training folds.

    Parameters
    ----------
    model : estimator or Pipeline
        Unfitted copies are made.
    X : DataFrame
        By patient_id.
    y : Outcome
    shares : sequence of float
        Parts of each training fold, above 0 and up to 1, events and censored patients alike. A
        smaller part lies within every larger one.
    folds, repeats : int
        Every patient is held out once in each repeat, whatever the size.
    confidence : float
        Of the band; see :func:`radiomics_npc.survival.validation.cross_validation.cross_validate`.
    random_state : int
    jobs : int
        Processes; 0 takes all cores.

    Returns
    -------
    LearningCurve
        NaN at sizes that are too small to fit the model in every fold of any repeat.

    Raises
    ------
    ConfigError
        A share outside 0 to 1.
    CohortError
        Fewer events than folds.

    Examples
    --------
    >>> from radiomics_npc.survival.models.cox import CoxModel
    >>> random = np.random.default_rng(0)
    >>> X = pd.DataFrame(random.normal(size=(100, 5)), columns=list("abcde"))
    >>> y = Outcome(random.exponential(30 * np.exp(-X["a"])), np.ones(100))
    >>> curve = learning_curve(CoxModel(), X, y, shares=(0.3, 1.0), repeats=2)
    >>> curve.table["training_patients"].tolist(), bool(curve.table["estimate"].is_monotonic_increasing)
    ([24.0, 80.0], True)
    """
    check_rows(X, y)
    sizes = sorted({float(share) for share in shares})
    if not sizes or sizes[0] <= 0 or sizes[-1] > 1:
        raise ConfigError("shares of the training folds must lie above 0 and up to 1")
    whole = RepeatedFolds(folds, repeats).tasks(y, random_state)
    # The position in ``sizes`` and the repeat make one number, so that all fits are one queue.
    tasks = [
        replace(part, repeat=k * repeats + part.repeat)
        for task in whole
        for k, part in enumerate(_parts(task, y, sizes))
    ]
    work = FitFold.for_concordance(model, X, y)
    done = list(track(map_cases(work, tasks, jobs=jobs, ordered=True), "learning curve", len(tasks)))
    predictions = pd.concat([result.predictions for result in done], ignore_index=True)
    failures = pd.DataFrame(
        [row[:3] for result in done for row in result.failures], columns=["model", "repeat", "fold"]
    )
    rows = []
    for k, share in enumerate(sizes):
        mine = predictions[predictions["repeat"] // repeats == k]
        lost = failures[failures["repeat"] // repeats == k]
        used = [task.training(len(y)) for task in tasks if task.repeat // repeats == k]
        rows.append({"share": share, **_point(mine, lost, used, y, confidence)})
    notes = tuple({
        f"Fits failed where {row['training_events']:.0f} events trained."
        for row in rows if row["failed_folds"]
    })  # fmt: skip
    return LearningCurve(pd.DataFrame(rows), confidence, len(y), int(y.event.sum()), notes, bool(y.simulated))


def _point(
    predictions: pd.DataFrame, failures: pd.DataFrame, used: Sequence[Rows], y: Outcome,
    confidence: float,
) -> dict[str, Any]:  # fmt: skip
    """Sizes of the training folds, and C of the models made from them."""
    found = fold_concordances(predictions, y)
    score = mean_scores(found, failures, confidence).set_index("metric").loc["harrell_c"]
    told = ("estimate", "se", "lower", "upper", "repeats", "failed_folds")
    return {
        "training_patients": float(np.mean([len(part) for part in used])),
        "training_events": float(np.mean([y.event[part].sum() for part in used])),
        **{name: score[name] for name in told},
    }


def _parts(task: FoldTask, y: Outcome, sizes: Sequence[float]) -> list[FoldTask]:
    """The task with parts of its training patients, each within the next."""
    train = task.training(len(y))
    random = np.random.default_rng(task.seed)
    strata = [random.permutation(train[y.event[train]]), random.permutation(train[~y.event[train]])]
    return [
        replace(task, train=np.sort(np.concatenate([rows[: round(share * len(rows))] for rows in strata])))
        for share in sizes
    ]
