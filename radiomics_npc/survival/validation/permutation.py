"""Could chance alone have given this C? The whole cross-validation again on permuted outcomes.

References
----------
Ojala M, Garriga GC. J Mach Learn Res 2010;11:1833-1863. Phipson B, Smyth GK. Permutation
p-values should never be zero. Stat Appl Genet Mol Biol 2010;9:39.
"""

from __future__ import annotations

import html
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError, ConfigError
from radiomics_npc.parallel import map_cases
from radiomics_npc.progress import track
from radiomics_npc.survival.design import check_rows
from radiomics_npc.survival.validation.designs import RepeatedFolds
from radiomics_npc.survival.validation.fold_fits import FitFold
from radiomics_npc.survival.validation.scoring import fold_concordances

__all__ = ["PermutationTest", "permutation_test"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PermutationTest:
    """A cross-validated C beside those of permuted outcomes.

    Parameters
    ----------
    observed : float
        Harrell's C.
    permuted : array, shape (permutations,)
        NaN where the model could not be fitted.
    p : float
        (1 + permutations that do as well or better) / (1 + permutations).
    patients, events : int
    notes : tuple of str
    simulated : bool
    """

    observed: float
    permuted: Floats
    p: float
    patients: int
    events: int
    notes: tuple[str, ...] = ()
    simulated: bool = False

    def to_frame(self) -> pd.DataFrame:
        """One row: observed, p, permutations, failed (against the model), mean, sd and 95th percentile."""
        known = self.permuted[np.isfinite(self.permuted)]
        table = pd.DataFrame([{
            "observed": self.observed, "p": self.p, "permutations": len(self.permuted),
            "failed": len(self.permuted) - len(known), "mean": known.mean(),
            "sd": known.std(ddof=1) if len(known) > 1 else np.nan, "percentile_95": np.quantile(known, 0.95),
            "patients": self.patients, "events": self.events,
        }])  # fmt: skip
        return table.assign(simulated=True) if self.simulated else table

    def _repr_html_(self) -> str:
        notes = "".join(f"<li>{html.escape(note)}</li>" for note in self.notes)
        return self.to_frame().to_html(index=False, float_format="{:.3f}".format) + f"<ul>{notes}</ul>"


class _PermutedC:
    """Cross-validated C with outcomes in another order; picklable."""

    label = ""

    def __init__(
        self, model: Any, X: pd.DataFrame, y: Outcome, design: RepeatedFolds, random_state: int
    ) -> None:
        self.model, self.X, self.y, self.design = model, X, y, design
        self.random_state = random_state

    def __call__(self, seed: int | None) -> float:
        """The seed orders the outcomes and draws the folds; None leaves outcomes as they are."""
        y = self.y
        if seed is not None:
            order = np.random.default_rng(seed).permutation(len(y))
            y = replace(y, time_months=y.time_months[order], event=y.event[order])
        tasks = self.design.tasks(y, self.random_state if seed is None else seed)
        work = FitFold.for_concordance(self.model, self.X, y)
        predictions = pd.concat([work(task).predictions for task in tasks], ignore_index=True)
        found = fold_concordances(predictions, y)
        values = [
            c.estimate for (_, metric, _), c in found.items() if metric == "harrell_c" and c is not None
        ]
        return float(np.mean(values)) if values else float("nan")


def permutation_test(
    model: Any,
    X: pd.DataFrame,
    y: Outcome,
    *,
    permutations: int = 100,
    folds: int = 5,
    repeats: int = 1,
    random_state: int = 0,
    jobs: int = 1,
) -> PermutationTest:
    """Test a whole pipeline: outcomes permuted, everything selected, tuned and fitted anew.

    Parameters
    ----------
    model : estimator or Pipeline
        Unfitted copies are made.
    X : DataFrame
        By patient_id.
    y : Outcome
        Times and events are permuted together.
    permutations : int
        The smallest p is 1 / (permutations + 1).
    folds, repeats : int
    random_state : int
        The same result for any number of processes.
    jobs : int
        Processes; 0 takes all cores.

    Returns
    -------
    PermutationTest

    Raises
    ------
    CohortError
        Fewer events than folds, or the model cannot be fitted.
    ConfigError
        No permutations.

    Notes
    -----
    A permutation whose model cannot be fitted counts as one that does as well: against the model.

    Examples
    --------
    >>> from radiomics_npc.survival.models.cox import CoxModel
    >>> random = np.random.default_rng(0)
    >>> X = pd.DataFrame({"age": random.normal(size=60)})
    >>> y = Outcome(random.exponential(30 * np.exp(-X["age"])), np.ones(60))
    >>> permutation_test(CoxModel(), X, y, permutations=19, folds=3).p
    0.05
    """
    check_rows(X, y)
    if permutations < 1:
        raise ConfigError(f"{permutations} permutations test nothing", "Take 100.")
    work = _PermutedC(model, X, y, RepeatedFolds(folds, repeats), random_state)
    observed = work(None)
    if np.isnan(observed):
        raise CohortError("the model could not be fitted in every fold", "Cross-validate it to see why.")
    seeds = [int(seed) for seed in np.random.SeedSequence(random_state).generate_state(permutations)]
    done = track(map_cases(work, seeds, jobs=jobs, ordered=True), "permutations", permutations)
    permuted = np.array(list(done))
    failed = int(np.isnan(permuted).sum())
    worse = int(np.sum(permuted < observed))
    notes = (f"{failed} permutations could not be fitted and count against the model.",) if failed else ()
    return PermutationTest(
        observed, permuted, (1 + permutations - worse) / (1 + permutations), len(y), int(y.event.sum()),
        notes, bool(y.simulated),
    )  # fmt: skip
