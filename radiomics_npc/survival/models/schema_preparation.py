"""What a model file says of the preparation of a table: imputation and harmonization.

Part of :mod:`radiomics_npc.survival.models.model_schema`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, ValidationInfo, field_validator

from radiomics_npc.survival.models.schema_parts import (
    MOST,
    ByName,
    Count,
    Matrix,
    Names,
    Numbers,
    Part,
    Positive,
    Text,
    Texts,
    known,
    require,
    require_shape,
)

__all__ = ["IterativePart", "PreparationPart"]

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
    """See :class:`radiomics_npc.survival.preprocessing.imputation_columns.ImputationColumns`."""

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
