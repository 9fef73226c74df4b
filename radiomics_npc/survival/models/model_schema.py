"""The description of a model file: what stands in it, and what must fit together.

The same description, without what must fit together, is published as a JSON schema
(``configs/model.schema.json``), for readers in other languages. Write it again after a
change with ``python -m radiomics_npc.survival.models.model_schema > configs/model.schema.json``.

Horizons and times are months, hazards are per training cohort at covariates of 0, and
the order of the entries counts: some lists are read by it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    ConfigDict,
    Field,
    JsonValue,
    RootModel,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from radiomics_npc.survival.models.groups import GROUP_NAMES
from radiomics_npc.survival.models.schema_parts import (
    ByName,
    CoxParameters,
    CoxPart,
    FineGrayPart,
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
)
from radiomics_npc.survival.models.schema_steps import (
    BoostedPart,
    IterativePart,
    PreparationPart,
    RadScorePart,
)
from radiomics_npc.survival.selection.signature import RAD_SCORE

__all__ = ["SCHEMA", "SCHEMA_VERSION", "ModelFile", "first_fault"]

SCHEMA = "radiomics-npc model"
SCHEMA_VERSION = 2
T = TypeVar("T")
Hash = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


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


class StepsPart(Part):
    """Fitted steps; the learner is ``cox``, with features after ``rad_score``, or ``boosted``."""

    preparation: PreparationPart
    rad_score: RadScorePart = Field(default=None)
    cox: CoxPart = Field(default=None)
    boosted: BoostedPart = Field(default=None)

    @field_validator("rad_score")
    @classmethod
    def _check_rad_score(cls, step: RadScorePart, info: ValidationInfo) -> RadScorePart:
        if known(info, "preparation"):
            features = set(info.data["preparation"].features)
            require(set(step.formula.feature) <= features, "has features that are not prepared")
        return step

    @field_validator("cox")
    @classmethod
    def _check_cox(cls, step: CoxPart, info: ValidationInfo) -> CoxPart:
        if known(info, "preparation", "rad_score"):
            made = set() if info.data["rad_score"] is None else {RAD_SCORE}
            asked = {term.name for term in step.terms if term.kind != "interaction"}
            made |= info.data["preparation"].imputation.names
            require(asked | set(step.parameters.strata) <= made, "has terms that no step before gives")
        return step

    @field_validator("boosted")
    @classmethod
    def _check_boosted(cls, step: BoostedPart, info: ValidationInfo) -> BoostedPart:
        if known(info, "preparation"):
            before = info.data["preparation"]
            made = before.imputation.names | set(before.features)
            require(set(step.ranges) <= made, "has columns that no step before gives")
        return step

    @property
    def learner(self) -> CoxPart | BoostedPart:
        """The last step."""
        return self.cox or self.boosted


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


class PrognosticPart(FollowedPart):
    """See :class:`radiomics_npc.survival.models.prognostic.PrognosticModel`."""

    parameters: PrognosticParameters
    steps: StepsPart
    risk_groups: GroupsPart
    risk_summary: SummaryPart
    notes: Texts

    @field_validator("steps")
    @classmethod
    def _check_steps(cls, steps: StepsPart, info: ValidationInfo) -> StepsPart:
        if known(info, "parameters", "n", "events", "follow_up_months"):
            wanted = info.data["parameters"]
            expected = {"preparation", wanted.learner}
            expected |= {"rad_score"} if wanted.learner == "cox" and wanted.content != "clinical" else set()
            require(steps.model_fields_set == expected, "are not those of the learner")
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


class DrawsPart(Part):
    """Parameters of multiple imputation."""

    m: Annotated[int, Field(ge=2, le=1000)]
    rounds: Annotated[int, Field(ge=1)]
    random_state: int


class MultiplePart(Part):
    """See :class:`radiomics_npc.survival.preprocessing.multiple_imputation.MultipleImputation`."""

    parameters: DrawsPart
    new_patients: IterativePart


class MultiplyImputedPart(FollowedPart):
    """See :class:`radiomics_npc.survival.models.multiply_imputed.MultiplyImputedModel`."""

    parameters: DrawsPart
    model: CoxParameters
    imputation: MultiplePart
    models: Annotated[list[CoxPart], Field(min_length=2, max_length=1000)]
    notes: Texts
    simulated: bool

    @field_validator("models")
    @classmethod
    def _check_models(cls, models: list[CoxPart], info: ValidationInfo) -> list[CoxPart]:
        if known(info, "parameters", "n", "events", "follow_up_months"):
            require(len(models) == info.data["parameters"].m, "are not one a completed table")
            for part in models:
                require_same_cohort(part, info.data)
        return models


def require_same_cohort(part: FollowedPart, whole: Mapping[str, Any]) -> None:
    """Refuse a step that was fitted to other patients than the model."""
    same = all(getattr(part, key) == whole[key] for key in ("n", "events", "follow_up_months"))
    require(same, "was fitted to other patients")


class _File(Part):
    """What every model file has around the model."""

    schema_name: Literal["radiomics-npc model"] = Field(alias="schema")
    schema_version: Literal[2]
    name: Annotated[str, Field(min_length=1, max_length=1000)]
    simulated: bool
    endpoint: Text
    cohort: FollowedPart
    horizons_months: Annotated[list[Positive], Field(max_length=1000)]
    versions: ByName[Text]
    settings: dict[str, JsonValue]
    sha256: Hash

    @field_validator("horizons_months")
    @classmethod
    def _check_horizons(cls, values: list[float], info: ValidationInfo) -> list[float]:
        require(all(a < b for a, b in pairwise(values)), "do not ascend")
        if known(info, "cohort"):
            late = any(value > info.data["cohort"].follow_up_months for value in values)
            require(not late, "are past the follow-up")
        return values

    @field_validator("model", check_fields=False)
    @classmethod
    def _check_model(cls, model: FollowedPart, info: ValidationInfo) -> FollowedPart:
        if known(info, "cohort", "simulated", "endpoint"):
            require_same_cohort(model, info.data["cohort"].model_dump())
            require(
                getattr(model, "simulated", info.data["simulated"]) == info.data["simulated"],
                "is simulated or not",
            )
            name = getattr(model, "outcome_name", info.data["endpoint"])
            require(name == info.data["endpoint"], "has another endpoint")
        return model


class PrognosticFile(_File):
    """File of a standard model."""

    kind: Literal["PrognosticModel"]
    model: PrognosticPart
    trees_sha256: Hash | None

    @field_validator("trees_sha256")
    @classmethod
    def _check_trees(cls, digest: str | None, info: ValidationInfo) -> str | None:
        if known(info, "model"):
            boosted = info.data["model"].parameters.learner == "boosted"
            require((digest is not None) == boosted, "does not fit the learner")
        return digest


class CoxFile(_File):
    """File of a Cox model."""

    kind: Literal["CoxModel"]
    model: CoxPart
    trees_sha256: None


class BoostedFile(_File):
    """File of boosted trees."""

    kind: Literal["BoostedModel"]
    model: BoostedPart
    trees_sha256: Hash


class FineGrayFile(_File):
    """File of a Fine-Gray model."""

    kind: Literal["FineGrayModel"]
    model: FineGrayPart
    trees_sha256: None


class MultiplyImputedFile(_File):
    """File of Cox models fitted to several completed tables."""

    kind: Literal["MultiplyImputedModel"]
    model: MultiplyImputedPart
    trees_sha256: None


_AnyFile = Annotated[
    PrognosticFile | CoxFile | BoostedFile | FineGrayFile | MultiplyImputedFile, Field(discriminator="kind")
]


class ModelFile(RootModel[_AnyFile]):
    """A model file: a frozen prognostic model, without any patient.

    Examples
    --------
    >>> try:
    ...     ModelFile.model_validate({"kind": "CoxModel"})
    ... except ValidationError as error:
    ...     print(first_fault(error, {"kind": "CoxModel"}))
    schema: Field required
    """

    model_config = ConfigDict(
        json_schema_extra={"$schema": "https://json-schema.org/draft/2020-12/schema"},
        title="radiomics-npc model",
    )


def first_fault(error: ValidationError, content: Any) -> str:
    """The first entry that is wrong, by its path in the file, and why.

    Parameters
    ----------
    error : ValidationError
    content : object
        What was validated.
    """
    fault = error.errors(include_url=False, include_input=False)[0]
    path, here = [], content
    for part in fault["loc"]:
        if (isinstance(here, dict) and part in here) or (isinstance(here, list) and isinstance(part, int) and part < len(here)):
            path.append(str(part))
            here = here[part]
        elif fault["type"] == "missing" and part == fault["loc"][-1]:
            path.append(str(part))  # other names are those of kinds, not of entries
    if not path:
        path = ["kind"]
    return f"{'.'.join(path)}: {fault['msg'].removeprefix('Value error, ')}"


if __name__ == "__main__":
    print(json.dumps(ModelFile.model_json_schema(), indent=2))
