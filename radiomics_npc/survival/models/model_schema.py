"""The description of a model file: what stands in it, and what must fit together.

The same description, without what must fit together, is published as a JSON schema
(``configs/model.schema.json``), for readers in other languages. Write it again after a
change with ``python -m radiomics_npc.survival.models.model_schema > configs/model.schema.json``.

Times and horizons are months, baselines hold where all covariates are 0, and
the order of the entries counts: some lists are read by it.
"""

from __future__ import annotations

import json
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

from radiomics_npc.survival.models.schema_parts import (
    ByName,
    FollowedPart,
    Part,
    Positive,
    Text,
    Texts,
    known,
    require,
    require_same_cohort,
)
from radiomics_npc.survival.models.schema_preparation import IterativePart
from radiomics_npc.survival.models.schema_prognostic import PrognosticPart
from radiomics_npc.survival.models.schema_regressions import CoxParameters, CoxPart, FineGrayPart
from radiomics_npc.survival.models.schema_surrogate import SurrogatePart
from radiomics_npc.survival.models.schema_trees import BoostedPart

__all__ = ["SCHEMA", "SCHEMA_VERSION", "ModelFile", "first_fault"]

SCHEMA = "radiomics-npc model"
SCHEMA_VERSION = 2
T = TypeVar("T")
Hash = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


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


class SurrogateFile(_File):
    """File of a Cox-type model that imitates boosted trees."""

    kind: Literal["SurrogateModel"]
    model: SurrogatePart
    trees_sha256: None


_AnyFile = Annotated[
    PrognosticFile | CoxFile | BoostedFile | FineGrayFile | MultiplyImputedFile | SurrogateFile,
    Field(discriminator="kind"),
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
        inside = part in here if isinstance(here, dict) else isinstance(here, list) and isinstance(part, int)
        if inside:
            path.append(str(part))
            here = here[part]
        elif fault["type"] == "missing" and part == fault["loc"][-1]:
            path.append(str(part))  # other names are those of kinds, not of entries
    if not path:
        path = ["kind"]
    return f"{'.'.join(path)}: {fault['msg'].removeprefix('Value error, ')}"


if __name__ == "__main__":
    print(json.dumps(ModelFile.model_json_schema(), indent=2))
