"""What a study asks for beyond the cross-validation: a bootstrap, a permutation test, a learning curve."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pandas as pd

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import RadiomicsNPCError
from radiomics_npc.run_folder import RunFolder
from radiomics_npc.settings import StudySettings
from radiomics_npc.survival.models.prognostic import PrognosticModel
from radiomics_npc.survival.validation.learning_curve import learning_curve
from radiomics_npc.survival.validation.optimism import bootstrap_validate
from radiomics_npc.survival.validation.permutation import permutation_test

__all__ = ["validate_further"]


def validate_further(
    model: PrognosticModel, X: pd.DataFrame, y: Outcome, settings: StudySettings, run: RunFolder, *,
    horizon_months: float,
) -> Iterator[tuple[str, pd.DataFrame]]:  # fmt: skip
    """Tables of the further validations, by the name of their file.

    Parameters
    ----------
    model : PrognosticModel
        Not fitted, and left so: copies are.
    X : DataFrame
    y : Outcome
    settings : StudySettings
        What is asked for under ``validation``.
    run : RunFolder
        Its log and its record say what the data do not allow.
    horizon_months : float
        At which survival is validated.
    """
    options = settings.validation
    common: dict[str, Any] = {"random_state": settings.seed, "jobs": settings.jobs}
    if options.bootstrap:
        with _or_noted(run, "bootstrap validation"):
            found = bootstrap_validate(
                model, X, y, resamples=options.bootstrap, confidence=options.confidence,
                horizon_months=horizon_months, **common,
            )  # fmt: skip
            yield "optimism", found.to_frame()
            yield "optimism_632", found.plus
    if options.permutations:
        with _or_noted(run, "permutation test"):
            test = permutation_test(
                model, X, y, permutations=options.permutations, folds=options.folds, **common
            )
            yield "permutation_test", test.to_frame()
    if options.learning_curve:
        with _or_noted(run, "learning curve"):
            curve = learning_curve(model, X, y, folds=options.folds, confidence=options.confidence, **common)
            yield "learning_curve", curve.to_frame()


@contextmanager
def _or_noted(run: RunFolder, what: str) -> Iterator[None]:
    """What the data do not allow is said in the report: the models are validated without it."""
    try:
        yield
    except RadiomicsNPCError as error:
        note = f"The {what} could not be made: {error}"
        run.log(note)
        run.record(appraisal_notes=[*run.read_record()["appraisal_notes"], note])
