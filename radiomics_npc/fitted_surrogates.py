"""Surrogates of the boosted models of a study: which are asked for, and what is written of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pandas as pd

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError
from radiomics_npc.report.surrogates import surrogate_card
from radiomics_npc.run_folder import RunFolder
from radiomics_npc.settings import StudySettings
from radiomics_npc.storage import write_text
from radiomics_npc.survival.models.prognostic import PrognosticModel
from radiomics_npc.survival.models.surrogate import SurrogateModel
from radiomics_npc.survival.validation.surrogate_fidelity import SurrogateFidelity

__all__ = ["make_surrogates", "with_surrogates"]


def with_surrogates(settings: StudySettings) -> list[str]:
    """Boosted models that are to have a surrogate: those that a nomogram is asked of and have none.

    Examples
    --------
    >>> outcome = {"time": "months", "unit": "months", "event": "died", "coding": "0/1"}
    >>> cohort = {"layout": "clinical", "clinical": {"file": "clinical.csv"}, "outcome": outcome}
    >>> models = {"fit": ["clinical_cox", "clinical_boosted"]}
    >>> with_surrogates(StudySettings.model_validate({
    ...     "cohort": cohort, "features": None, "models": models, "nomogram": {"model": "clinical_cox"}}))
    ['clinical_boosted']
    """
    wanted, models = settings.nomogram, settings.models
    if wanted is None or models is None or not wanted.surrogates:
        return []
    return [name for name in models.fit if name.endswith("_boosted")]


def make_surrogates(
    models: Mapping[str, PrognosticModel], X: pd.DataFrame, y: Outcome, fidelity: SurrogateFidelity,
    run: RunFolder,
) -> Iterator[tuple[str, SurrogateModel]]:  # fmt: skip
    """Surrogates of fitted boosted models by the name of their folder; their cards are written.

    Parameters
    ----------
    models : mapping of str to PrognosticModel
        Boosted, fitted to X and y.
    X : DataFrame
    y : Outcome
    fidelity : SurrogateFidelity
        Of the training folds; every surrogate carries its own.
    run : RunFolder
        The log says which models gave nothing to imitate.
    """
    for name, model in models.items():
        try:
            surrogate = SurrogateModel().fit(X, y, model)
        except CohortError as error:
            run.log(f"no surrogate of {name}: {error}")
            continue
        surrogate.fidelity_ = fidelity.of(name)
        write_text(run.models / f"{name}_surrogate" / "card.md", surrogate_card(surrogate))
        yield f"{name}_surrogate", surrogate
