"""What a model file says of boosted trees, which themselves are in ``model.ubj``.

Part of :mod:`radiomics_npc.survival.models.model_schema`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from radiomics_npc.survival.models.schema_parts import (
    MOST,
    ByName,
    Limits,
    Names,
    NotNegative,
    Part,
    Positive,
    Text,
    Texts,
    known,
    require,
)
from radiomics_npc.survival.models.schema_regressions import WithBaseline
from radiomics_npc.survival.models.tree_columns import TreeColumns

__all__ = ["BoostedPart"]


class BoostedParameters(Part):
    """See :class:`radiomics_npc.survival.models.boosting.BoostedModel`."""

    objective: Literal["cox", "aft"]
    distribution: Literal["normal", "logistic", "extreme"]
    monotone: ByName[Literal[-1, 0, 1]] | None
    tune: Literal["rounds", "grid"]
    max_depth: int
    learning_rate: float
    subsample: float
    colsample: float
    min_child_weight: float
    max_bin: int
    max_rounds: int
    patience: int
    max_features: int | None
    max_correlation: float
    inner_folds: int
    random_state: int


class CodingPart(Part):
    """See :class:`radiomics_npc.survival.models.tree_columns.TreeColumns`."""

    categories: ByName[Names]
    ordinal: Names
    numbers: Names

    @field_validator("ordinal")
    @classmethod
    def _check_ordinal(cls, names: list[str], info: ValidationInfo) -> list[str]:
        require(set(names) <= set(info.data.get("categories", names)), "names no factor")
        return names


class GrowthPart(Part):
    """Settings of xgboost that the trees were grown with."""

    objective: Literal["survival:cox", "survival:aft"]
    tree_method: Text
    ridge: NotNegative = Field(alias="lambda")
    max_depth: int
    eta: float
    subsample: float
    colsample_bytree: float
    min_child_weight: float
    max_bin: int
    seed: int
    seed_per_iteration: bool
    nthread: int
    verbosity: int
    eval_metric: Text
    base_score: Positive
    aft_loss_distribution: Literal["normal", "logistic", "extreme"] = Field(default="normal")
    aft_loss_distribution_scale: Positive = Field(default=1.0)
    monotone_constraints: Annotated[str, Field(pattern=r"^\((-?[01])(,-?[01])*\)$", max_length=MOST)] = Field(
        default="()"
    )


class BoostedPart(WithBaseline):
    """See :class:`radiomics_npc.survival.models.boosting.BoostedModel`; the trees are in ``model.ubj``."""

    parameters: BoostedParameters
    coding: CodingPart
    columns: Annotated[Names, Field(min_length=1)]
    ranges: ByName[Limits | Annotated[Names, Field(min_length=1)]]
    growth: GrowthPart
    rounds: Annotated[int, Field(ge=1, le=MOST)]
    slope: NotNegative
    tuning: Annotated[list[ByName[float]], Field(min_length=1, max_length=MOST)]
    notes: Texts

    @field_validator("columns")
    @classmethod
    def _check_columns(cls, columns: list[str], info: ValidationInfo) -> list[str]:
        if known(info, "coding"):
            coding = info.data["coding"]
            factors = coding.categories.items()
            made = {f"{name}={level}" for name, levels in factors for level in levels} | set(coding.ordinal)
            require(set(columns) <= made | set(coding.numbers), "is not what the coding makes")
        return columns

    @field_validator("ranges")
    @classmethod
    def _check_ranges(cls, ranges: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        if known(info, "coding", "columns"):
            coding = TreeColumns(**info.data["coding"].model_dump())
            require(set(ranges) == set(coding.sources(info.data["columns"])), "does not fit the columns")
            for name, seen in ranges.items():
                levels = coding.categories.get(name)
                right = isinstance(seen[0], str) if levels else not isinstance(seen[0], str)
                require(right and set(seen) <= set(levels or seen), f"{name}: does not fit the coding")
        return ranges

    @field_validator("growth")
    @classmethod
    def _check_growth(cls, growth: GrowthPart, info: ValidationInfo) -> GrowthPart:
        if known(info, "parameters", "columns"):
            objective = info.data["parameters"].objective
            require(growth.objective == f"survival:{objective}", "has another objective than the parameters")
            aft = {"aft_loss_distribution", "aft_loss_distribution_scale"}
            given = growth.model_fields_set & aft
            require(given == (aft if objective == "aft" else set()), "does not fit the objective")
            if "monotone_constraints" in growth.model_fields_set:
                signs = growth.monotone_constraints.count(",") + 1
                require(signs == len(info.data["columns"]), "does not constrain each column")
        return growth
