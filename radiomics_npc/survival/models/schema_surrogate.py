"""What a model file says of a surrogate: whose it is, its steps, how well it imitates.

Part of :mod:`radiomics_npc.survival.models.model_schema`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from radiomics_npc.survival.models.schema_parts import (
    MOST,
    ByName,
    Count,
    FittedTermPart,
    FollowedPart,
    Names,
    Numbers,
    Part,
    Text,
    Texts,
    check_products,
    known,
    require,
    require_same_cohort,
)
from radiomics_npc.survival.models.schema_preparation import PreparationPart
from radiomics_npc.survival.models.schema_prognostic import FormulaPart, GroupsPart, SummaryPart
from radiomics_npc.survival.models.schema_regressions import WithBaseline
from radiomics_npc.survival.selection.signature import RAD_SCORE

__all__ = ["SurrogatePart"]


class SurrogateParameters(Part):
    """See :class:`radiomics_npc.survival.models.surrogate.SurrogateModel`."""

    max_features: Count
    min_share: float
    knots: Count


class ImitatedPart(Part):
    """The boosted model that is imitated, and what its table must hold."""

    name: Text
    content: Literal["clinical", "radiomics", "combined"]
    clinical: Names
    harmonize_by: Text | None
    protect: Names


class ImitatingScorePart(Part):
    """Features joined to one score, by their weights in the imitation."""

    formula: FormulaPart
    n_features: Count


class ImitatingCoxParameters(Part):
    """See :class:`radiomics_npc.survival.models.surrogate_cox.SurrogateCox`."""

    min_category: int
    splines: ByName[int | Numbers] | None


class ImitatingCoxPart(WithBaseline):
    """See :class:`radiomics_npc.survival.models.surrogate_cox.SurrogateCox`."""

    parameters: ImitatingCoxParameters
    terms: Annotated[list[FittedTermPart], Field(max_length=MOST)]
    intercept: float
    merged: ByName[ByName[Text]]
    dropped: ByName[Text]
    notes: Texts

    @field_validator("terms")
    @classmethod
    def _check_terms(cls, terms: list[FittedTermPart]) -> list[FittedTermPart]:
        check_products(list(terms))
        require(all(term.kind != "interaction" for term in terms), "has interactions")
        return terms


class SurrogateSteps(Part):
    """Fitted steps; the Cox-type model is the last."""

    preparation: PreparationPart
    rad_score: ImitatingScorePart | None = None
    cox: ImitatingCoxPart

    @field_validator("rad_score")
    @classmethod
    def _check_score(cls, step: ImitatingScorePart | None, info: ValidationInfo) -> ImitatingScorePart | None:
        if step is not None and known(info, "preparation"):
            features = set(info.data["preparation"].features)
            require(set(step.formula.feature) <= features, "has features that are not prepared")
        return step

    @field_validator("cox")
    @classmethod
    def _check_cox(cls, step: ImitatingCoxPart, info: ValidationInfo) -> ImitatingCoxPart:
        if known(info, "preparation", "rad_score"):
            given = info.data["preparation"].imputation.names
            given |= {RAD_SCORE} if info.data["rad_score"] is not None else set()
            require({term.name for term in step.terms} <= given, "has terms that no step before gives")
        return step


class SurrogatePart(FollowedPart):
    """See :class:`radiomics_npc.survival.models.surrogate.SurrogateModel`."""

    parameters: SurrogateParameters
    imitates: ImitatedPart
    steps: SurrogateSteps
    risk_groups: GroupsPart
    risk_summary: SummaryPart
    fidelity: ByName[float]
    notes: Texts

    @field_validator("steps")
    @classmethod
    def _check_steps(cls, steps: SurrogateSteps, info: ValidationInfo) -> SurrogateSteps:
        if known(info, "imitates", "n", "events", "follow_up_months"):
            clinical = info.data["imitates"].content == "clinical"
            require((steps.rad_score is None) == clinical, "are not those of the content")
            require_same_cohort(steps.cox, info.data)
        return steps
