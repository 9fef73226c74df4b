"""What a model file says of a standard model: its steps, from imputation to risk groups.

Part of :mod:`radiomics_npc.survival.models.model_schema`.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Discriminator, Field, Tag, ValidationInfo, field_validator

from radiomics_npc.survival.models.groups import GROUP_NAMES
from radiomics_npc.survival.models.schema_parts import (
    MOST,
    ByName,
    Count,
    FollowedPart,
    Names,
    NotNegative,
    Numbers,
    Part,
    Positive,
    Text,
    Texts,
    known,
    require,
    require_same_cohort,
)
from radiomics_npc.survival.models.schema_preparation import PreparationPart
from radiomics_npc.survival.models.schema_regressions import CoxPart
from radiomics_npc.survival.models.schema_trees import BoostedPart
from radiomics_npc.survival.selection.signature import RAD_SCORE

__all__ = ["PrognosticPart"]

T = TypeVar("T")


class RadScoreParameters(Part):
    """See :class:`radiomics_npc.survival.selection.signature.RadScore`."""

    max_features: int
    max_correlation: float
    l1_ratio: float
    rule: Literal["min", "1se"]
    inner_folds: int
    random_state: int


class FormulaPart(Part):
    """Features of a signature and how each enters."""

    feature: Annotated[Names, Field(min_length=1)]
    coefficient: Numbers
    fill: Numbers
    mean: Numbers
    sd: Annotated[list[Positive], Field(max_length=MOST)]
    weight: Numbers

    @field_validator("coefficient", "fill", "mean", "sd", "weight")
    @classmethod
    def _check_length(cls, values: list[T], info: ValidationInfo) -> list[T]:
        require(len(values) == len(info.data.get("feature", values)), "is not one number a feature")
        return values


class PathPart(Part):
    """Cross-validated deviance along the path of penalties."""

    alpha: Numbers
    deviance: Numbers
    se: Numbers

    @field_validator("deviance", "se")
    @classmethod
    def _check_length(cls, values: list[T], info: ValidationInfo) -> list[T]:
        require(len(values) == len(info.data.get("alpha", values)), "is not one number a penalty")
        return values


class RadScorePart(Part):
    """See :class:`radiomics_npc.survival.selection.signature.RadScore`."""

    parameters: RadScoreParameters
    formula: FormulaPart
    fallback: bool
    alpha: NotNegative
    tuning: PathPart
    n_features: Count


class PrognosticParameters(Part):
    """See :class:`radiomics_npc.survival.models.prognostic.PrognosticModel`."""

    content: Literal["clinical", "radiomics", "combined"]
    learner: Literal["cox", "boosted"]
    clinical: Names
    min_category: int
    splines: ByName[int | Numbers] | None
    max_correlation: float
    objective: Literal["cox", "aft"]
    tune: Literal["rounds", "grid"]
    monotone: ByName[Literal[-1, 0, 1]] | None
    risk_groups: Literal["median", "tertiles", "maxstat"]
    imputation: Literal["simple", "iterative"]
    stability: None
    min_stability: float
    harmonize_by: Text | None
    protect: Names
    unseen: Literal["error", "reference_free"]
    inner_folds: int
    random_state: int


class _Steps(Part):
    """Fitted steps; the learner is the last."""

    preparation: PreparationPart


class CoxSteps(_Steps):
    """A Cox model of clinical columns."""

    cox: CoxPart

    @field_validator("cox")
    @classmethod
    def _check_cox(cls, step: CoxPart, info: ValidationInfo) -> CoxPart:
        if known(info, "preparation"):
            given = info.data["preparation"].imputation.names
            given |= {RAD_SCORE} if "rad_score" in cls.model_fields else set()
            asked = {term.name for term in step.terms if term.kind != "interaction"}
            require(asked | set(step.parameters.strata) <= given, "has terms that no step before gives")
        return step

    @property
    def learner(self) -> FollowedPart:
        """The last step."""
        return self.cox


class SignatureSteps(CoxSteps):
    """A Cox model of a signature, and of clinical columns if there are any."""

    rad_score: RadScorePart

    @field_validator("rad_score")
    @classmethod
    def _check_rad_score(cls, step: RadScorePart, info: ValidationInfo) -> RadScorePart:
        if known(info, "preparation"):
            features = set(info.data["preparation"].features)
            require(set(step.formula.feature) <= features, "has features that are not prepared")
        return step


class BoostedSteps(_Steps):
    """Boosted trees of clinical columns and features."""

    boosted: BoostedPart

    @field_validator("boosted")
    @classmethod
    def _check_boosted(cls, step: BoostedPart, info: ValidationInfo) -> BoostedPart:
        if known(info, "preparation"):
            before = info.data["preparation"]
            given = before.imputation.names | set(before.features)
            require(set(step.ranges) <= given, "has columns that no step before gives")
        return step

    @property
    def learner(self) -> FollowedPart:
        """The last step."""
        return self.boosted


def _kind_of_steps(content: Any) -> str:
    names = content if isinstance(content, dict) else {}
    return next((kind for name, kind in _KINDS.items() if name in names), "clinical steps")


# Kinds by the entry that only they have; no entry is called like a kind.
_KINDS = {"boosted": "boosted steps", "rad_score": "signature steps"}
StepsPart = Annotated[
    Annotated[CoxSteps, Tag("clinical steps")]
    | Annotated[SignatureSteps, Tag("signature steps")]
    | Annotated[BoostedSteps, Tag("boosted steps")],
    Discriminator(_kind_of_steps),
]


class GroupsPart(Part):
    """Risk groups: a risk above a cut point belongs to the higher group."""

    how: Literal["median", "tertiles", "maxstat"]
    cut_points: Annotated[list[float], Field(min_length=1, max_length=2)]

    @field_validator("cut_points")
    @classmethod
    def _check_cut_points(cls, values: list[float], info: ValidationInfo) -> list[float]:
        wanted = len(GROUP_NAMES[info.data["how"]]) - 1 if known(info, "how") else len(values)
        require(len(values) == wanted, "are not one fewer than the groups")
        require(all(a <= b for a, b in pairwise(values)), "do not ascend")
        return values


class SummaryPart(Part):
    """Log hazards of the training patients."""

    mean: float
    sd: NotNegative


Steps = CoxSteps | SignatureSteps | BoostedSteps


class PrognosticPart(FollowedPart):
    """See :class:`radiomics_npc.survival.models.prognostic.PrognosticModel`."""

    parameters: PrognosticParameters
    steps: StepsPart
    risk_groups: GroupsPart
    risk_summary: SummaryPart
    notes: Texts

    @field_validator("steps")
    @classmethod
    def _check_steps(cls, steps: Steps, info: ValidationInfo) -> Steps:
        if known(info, "parameters", "n", "events", "follow_up_months"):
            wanted = info.data["parameters"]
            cox = CoxSteps if wanted.content == "clinical" else SignatureSteps
            expected = cox if wanted.learner == "cox" else BoostedSteps
            require(type(steps) is expected, "are not those of the learner")
            prepared = steps.preparation.parameters
            same = all(
                getattr(prepared, key) == getattr(wanted, key)
                for key in ("imputation", "harmonize_by", "unseen")
            )
            require(same, "were prepared with other parameters")
            require_same_cohort(steps.learner, info.data)
        return steps

    @field_validator("risk_groups")
    @classmethod
    def _check_groups(cls, groups: GroupsPart, info: ValidationInfo) -> GroupsPart:
        if known(info, "parameters"):
            require(groups.how == info.data["parameters"].risk_groups, "are not those of the parameters")
        return groups
