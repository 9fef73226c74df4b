"""What a model file says of imputation, harmonization, signature and boosted trees.

Part of :mod:`radiomics_npc.survival.models.model_schema`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import Discriminator, Field, Tag, ValidationInfo, field_validator

from radiomics_npc.survival.models.schema_parts import (
    MOST,
    ByName,
    Count,
    Limits,
    Matrix,
    Names,
    NotNegative,
    Numbers,
    Part,
    Positive,
    Text,
    Texts,
    WithBaseline,
    known,
    require,
    require_shape,
)
from radiomics_npc.survival.models.tree_columns import TreeColumns

__all__ = ["BoostedPart", "IterativePart", "PreparationPart", "RadScorePart"]

T = TypeVar("T")
Levels = ByName[Names | None]


class SimplePart(Part):
    """See :class:`radiomics_npc.survival.preprocessing.imputation.SimpleImputation`."""

    categories: ByName[Names]
    ordered: ByName[bool]
    values: ByName[float | Text]
    missing: ByName[Count]
    dropped: ByName[Text]

    @field_validator("ordered")
    @classmethod
    def _check_ordered(cls, ordered: dict[str, bool], info: ValidationInfo) -> dict[str, bool]:
        require(set(ordered) == set(info.data.get("categories", ordered)), "does not fit the factors")
        return ordered

    @field_validator("values")
    @classmethod
    def _check_values(cls, values: dict[str, float | str], info: ValidationInfo) -> dict[str, float | str]:
        if known(info, "categories"):
            levels = info.data["categories"]
            require(set(levels) <= set(values), "lacks a factor")
            for name, value in values.items():
                right = value in levels[name] if name in levels else not isinstance(value, str)
                require(right, f"{name}: not a level of the factor, or no number")
        return values

    @field_validator("missing")
    @classmethod
    def _check_missing(cls, missing: dict[str, int], info: ValidationInfo) -> dict[str, int]:
        require(set(missing) == set(info.data.get("values", missing)), "does not fit the columns")
        return missing

    @property
    def names(self) -> set[str]:
        """Columns that it fills."""
        return set(self.values)


class CodesPart(Part):
    """See :class:`radiomics_npc.survival.preprocessing.iterative_imputation.ImputationColumns`."""

    categories: ByName[Names]
    ordered: ByName[bool]
    levels: Levels
    center: Numbers
    scale: Annotated[list[Positive], Field(max_length=MOST)]
    low: Numbers
    high: Numbers

    @field_validator("levels")
    @classmethod
    def _check_levels(cls, levels: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        if known(info, "categories", "ordered"):
            factors = {name for name, seen in levels.items() if seen is not None}
            known_levels = info.data["categories"]
            require(factors == set(known_levels) == set(info.data["ordered"]), "does not fit the factors")
            require(
                all(
                    seen is None or (seen and set(seen) <= set(known_levels[name]))
                    for name, seen in levels.items()
                ),
                "has a level that the factor has not",
            )
        return levels

    @field_validator("center", "scale", "low", "high")
    @classmethod
    def _check_length(cls, values: list[float], info: ValidationInfo) -> list[float]:
        if known(info, "levels", "ordered"):
            require(
                len(values) == _width(info.data["levels"], info.data["ordered"]), "does not fit the levels"
            )
        if info.field_name == "high" and known(info, "low"):
            require(
                all(a <= b for a, b in zip(info.data["low"], values, strict=True)), "is below the low end"
            )
        return values


def _width(levels: dict[str, list[str] | None], ordered: dict[str, bool]) -> int:
    """How many numbers, ranks and indicators the columns become."""
    return sum(1 if seen is None or ordered.get(name) else len(seen) - 1 for name, seen in levels.items())


class RoundsPart(Part):
    """Parameters of the iterative imputation."""

    rounds: Annotated[int, Field(ge=1)]


class IterativePart(Part):
    """See :class:`radiomics_npc.survival.preprocessing.iterative_imputation.IterativeImputation`."""

    parameters: RoundsPart
    codes: CodesPart
    intercept: Numbers
    coef: Matrix
    missing: ByName[Count]
    dropped: ByName[Text]
    converged: bool
    notes: Texts

    @field_validator("intercept")
    @classmethod
    def _check_intercept(cls, values: list[float], info: ValidationInfo) -> list[float]:
        require(
            not known(info, "codes") or len(values) == len(info.data["codes"].center),
            "does not fit the codes",
        )
        return values

    @field_validator("coef")
    @classmethod
    def _check_coef(cls, values: list[list[float]], info: ValidationInfo) -> list[list[float]]:
        if known(info, "intercept"):
            require_shape(values, *[len(info.data["intercept"])] * 2)
        return values

    @field_validator("missing")
    @classmethod
    def _check_missing(cls, missing: dict[str, int], info: ValidationInfo) -> dict[str, int]:
        require(
            not known(info, "codes") or set(missing) == info.data["codes"].levels.keys(),
            "does not fit the codes",
        )
        return missing

    @property
    def names(self) -> set[str]:
        """Columns that it fills."""
        return set(self.codes.levels)


class CombatParameters(Part):
    """See :class:`radiomics_npc.survival.preprocessing.harmonization.Combat`."""

    batch: Text
    protect: Names
    parametric: bool
    on_unseen: Literal["error", "reference_free"]
    columns: Names | None
    min_patients: int


class CombatPart(Part):
    """See :class:`radiomics_npc.survival.preprocessing.harmonization.Combat`."""

    parameters: CombatParameters
    columns: Names
    batches: ByName[Count]
    levels: Levels
    left: ByName[Text]
    mean_only: bool
    notes: Texts
    grand_mean: Numbers
    sd: Annotated[list[Positive], Field(max_length=MOST)]
    covariates: Names
    coef: Matrix
    known: Names
    shift: Matrix
    variance: Annotated[list[Annotated[list[Positive], Field(max_length=MOST)]], Field(max_length=MOST)]

    @field_validator("grand_mean", "sd")
    @classmethod
    def _check_length(cls, values: list[float], info: ValidationInfo) -> list[float]:
        require(len(values) == len(info.data.get("columns", values)), "is not one number a feature")
        return values

    @field_validator("levels")
    @classmethod
    def _check_levels(cls, levels: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        require(
            not known(info, "parameters") or list(levels) == info.data["parameters"].protect,
            "is not what is protected",
        )
        return levels

    @field_validator("covariates")
    @classmethod
    def _check_covariates(cls, names: list[str], info: ValidationInfo) -> list[str]:
        wanted = [
            column
            for name, seen in info.data.get("levels", {}).items()
            for column in ([name] if seen is None else [f"{name}={level}" for level in seen[1:]])
        ]
        require(not known(info, "levels") or names == wanted, "does not fit the levels")
        return names

    @field_validator("known")
    @classmethod
    def _check_known(cls, names: list[str], info: ValidationInfo) -> list[str]:
        require(set(info.data.get("batches", names)) <= set(names), "lacks a center of training")
        return names

    @field_validator("coef", "shift", "variance")
    @classmethod
    def _check_shape(cls, values: list[list[float]], info: ValidationInfo) -> list[list[float]]:
        rows = "covariates" if info.field_name == "coef" else "known"
        if known(info, rows, "columns"):
            require_shape(values, len(info.data[rows]), len(info.data["columns"]))
        return values


class PreparationParameters(Part):
    """See :class:`radiomics_npc.survival.models.preparation.Preparation`."""

    clinical: Names
    features: bool
    imputation: Literal["simple", "iterative"]
    stability: None
    min_stability: float
    harmonize_by: Text | None
    protect: Names
    unseen: Literal["error", "reference_free"]


def _kind_of_imputation(content: Any) -> str:
    return "iterative" if isinstance(content, dict) and "codes" in content else "simple"


ImputationPart = Annotated[
    Annotated[SimplePart, Tag("simple")] | Annotated[IterativePart, Tag("iterative")],
    Discriminator(_kind_of_imputation),
]


class PreparationPart(Part):
    """See :class:`radiomics_npc.survival.models.preparation.Preparation`."""

    parameters: PreparationParameters
    imputation: ImputationPart
    features: Names
    harmonization: CombatPart | None
    notes: Texts

    @field_validator("imputation")
    @classmethod
    def _check_imputation(cls, step: Any, info: ValidationInfo) -> Any:
        if known(info, "parameters"):
            iterative = info.data["parameters"].imputation == "iterative"
            require(isinstance(step, IterativePart) == iterative, "is not of the kind the parameters say")
            wanted = set(info.data["parameters"].clinical)
            require(step.names | set(step.dropped) == wanted, "does not fit the clinical columns")
        return step

    @field_validator("harmonization")
    @classmethod
    def _check_harmonization(cls, step: CombatPart | None, info: ValidationInfo) -> CombatPart | None:
        if known(info, "parameters", "features"):
            wanted = info.data["parameters"]
            asked = wanted.features and wanted.harmonize_by is not None
            require((step is not None) == asked, "is not what the parameters say")
            if step is not None:
                require(step.parameters.batch == wanted.harmonize_by, "is by another column")
                require(
                    set(step.columns) <= set(info.data["features"]), "has features that the model has not"
                )
        return step


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
