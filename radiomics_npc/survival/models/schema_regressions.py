"""What a model file says of regressions: coefficients, covariance, baseline, strata.

Part of :mod:`radiomics_npc.survival.models.model_schema`.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, TypeVar

import numpy as np
from pydantic import Field, ValidationInfo, field_validator

from radiomics_npc.survival.models.schema_parts import (
    MOST,
    BareTermPart,
    ByName,
    Count,
    FittedTermPart,
    FollowedPart,
    Matrix,
    Names,
    NotNegative,
    Numbers,
    Part,
    Text,
    Texts,
    check_products,
    known,
    require,
    require_shape,
)

__all__ = ["CoxParameters", "CoxPart", "FineGrayPart", "WithBaseline"]

T = TypeVar("T")


def check_covariance(values: list[list[float]], columns: int) -> list[list[float]]:
    require_shape(values, columns, columns)
    square = np.asarray(values, dtype=float).reshape(columns, columns)
    variance = np.diag(square)
    require(bool((variance >= 0).all()), "has a negative variance")
    slack = 1e-6 * np.sqrt(np.outer(variance, variance))  # columns of very different units
    require(bool((np.abs(square - square.T) <= slack).all()), "is not symmetric")
    return values


class BaselinePart(Part):
    """Cumulative hazard at all event times where all columns are 0, by stratum if there are any."""

    stratum: Texts = Field(default_factory=list)
    time_months: Annotated[list[NotNegative], Field(min_length=1, max_length=MOST)]
    cumulative_hazard: Annotated[list[NotNegative], Field(min_length=1, max_length=MOST)]

    @field_validator("time_months", "cumulative_hazard")
    @classmethod
    def _check_rise(cls, values: list[float], info: ValidationInfo) -> list[float]:
        strata = info.data.get("stratum") or [""] * len(values)
        require(len(strata) == len(values), "is not as long as the strata")
        require(len(values) == len(info.data.get("time_months", values)), "is not as long as the event times")
        together = np.array([a == b for a, b in pairwise(strata)], dtype=bool)
        require(int((~together).sum()) == len(set(strata)) - 1, "mixes strata")
        rise = np.diff(values)[together]
        strictly = info.field_name == "time_months"
        require(bool(((rise > 0) if strictly else (rise >= 0)).all()), "does not ascend")
        return values


class WithBaseline(FollowedPart):
    """Patients, and a baseline with one row an event time."""

    baseline: BaselinePart

    @field_validator("baseline")
    @classmethod
    def _check_baseline(cls, baseline: BaselinePart, info: ValidationInfo) -> BaselinePart:
        if known(info, "events", "follow_up_months"):
            require(len(baseline.time_months) <= info.data["events"], "has more rows than there were events")
            late = max(baseline.time_months) > info.data["follow_up_months"]
            require(not late, "goes on after the follow-up")
        return baseline


class StrataPart(Part):
    """Strata of a Cox model; empty lists without."""

    stratum: Names
    n: Annotated[list[Count], Field(max_length=MOST)]
    events: Annotated[list[Count], Field(max_length=MOST)]
    follow_up_months: Annotated[list[NotNegative], Field(max_length=MOST)]

    @field_validator("n", "events", "follow_up_months")
    @classmethod
    def _check_length(cls, values: list[T], info: ValidationInfo) -> list[T]:
        require(len(values) == len(info.data.get("stratum", values)), "is not one value a stratum")
        return values


class CoxParameters(Part):
    """See :class:`radiomics_npc.survival.models.cox.CoxModel`."""

    min_category: int
    splines: ByName[int | Numbers] | None
    interactions: Annotated[list[Annotated[Texts, Field(min_length=2, max_length=2)]], Field(max_length=MOST)]
    strata: Names
    penalizer: NotNegative
    fallback_penalizer: NotNegative | None
    robust: bool
    cluster: Text | None


class RegressionPart(WithBaseline):
    """What Cox and Fine-Gray models share."""

    loglik: float
    merged: ByName[ByName[Text]]
    dropped: ByName[Text]
    notes: Texts

    @field_validator("terms", check_fields=False)
    @classmethod
    def _check_terms(cls, terms: list[BareTermPart]) -> list[BareTermPart]:
        check_products(list(terms))
        return terms

    @field_validator("covariance", check_fields=False)
    @classmethod
    def _check_covariance(cls, values: list[list[float]], info: ValidationInfo) -> list[list[float]]:
        return check_covariance(values, len(_columns(info))) if known(info, "terms") else values


class CoxPart(RegressionPart):
    """See :class:`radiomics_npc.survival.models.cox.CoxModel`."""

    parameters: CoxParameters
    terms: Annotated[list[FittedTermPart], Field(max_length=MOST)]
    covariance: Matrix
    center: Numbers
    spread: ByName[Numbers]
    strata: StrataPart
    penalizer: NotNegative

    @field_validator("center")
    @classmethod
    def _check_center(cls, values: list[float], info: ValidationInfo) -> list[float]:
        require(not known(info, "terms") or len(values) == len(_columns(info)), "is not one a coefficient")
        return values

    @field_validator("spread")
    @classmethod
    def _check_spread(cls, values: dict[str, list[float]], info: ValidationInfo) -> dict[str, list[float]]:
        if known(info, "terms", "baseline"):
            # Read by position.
            wanted = ["hazard", "variance", *(f"mean {name}" for name in _columns(info))]
            require(list(values) == wanted, "does not fit the coefficients")
            rows = len(info.data["baseline"].time_months)
            require(all(len(column) == rows for column in values.values()), "does not fit the event times")
            require(min(values["variance"]) >= 0, "has a negative variance")
        return values

    @field_validator("strata")
    @classmethod
    def _check_strata(cls, strata: StrataPart, info: ValidationInfo) -> StrataPart:
        if known(info, "parameters", "baseline", "n", "events"):
            wanted = bool(info.data["parameters"].strata)
            require(bool(strata.stratum) == wanted, "does not fit the parameters")
            require(set(info.data["baseline"].stratum) <= set(strata.stratum), "lacks one of the baseline")
            require(bool(info.data["baseline"].stratum) == wanted, "has no baseline")
            totals = (info.data["n"], info.data["events"])
            require(
                not wanted or (sum(strata.n), sum(strata.events)) == totals, "does not add up to the cohort"
            )
        return strata


class FineGrayParameters(Part):
    """See :class:`radiomics_npc.survival.models.fine_gray.FineGrayModel`."""

    cause: Annotated[int, Field(ge=1)]
    min_category: int


class FineGrayPart(RegressionPart):
    """See :class:`radiomics_npc.survival.models.fine_gray.FineGrayModel`."""

    parameters: FineGrayParameters
    terms: Annotated[list[BareTermPart], Field(max_length=MOST)]
    coefficients: Numbers
    covariance: Matrix
    competing_events: Count
    outcome_name: Text
    simulated: bool

    @field_validator("coefficients")
    @classmethod
    def _check_coefficients(cls, values: list[float], info: ValidationInfo) -> list[float]:
        require(not known(info, "terms") or len(values) == len(_columns(info)), "does not fit the terms")
        return values

    @field_validator("competing_events")
    @classmethod
    def _check_competing(cls, count: int, info: ValidationInfo) -> int:
        if known(info, "n", "events"):
            require(count + info.data["events"] <= info.data["n"], "is more than the other patients")
        return count


def _columns(info: ValidationInfo) -> list[str]:
    return [column for term in info.data["terms"] for column in term.columns]
