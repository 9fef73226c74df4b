"""What a model file says of a regression: terms, coefficients, covariance, baseline.

Part of :mod:`radiomics_npc.survival.models.model_schema`. A check stands with the entry
that it would blame, so that a refusal names that entry.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Literal, TypeVar

import numpy as np
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from radiomics_npc.survival.terms import Term

__all__ = ["CoxPart", "FineGrayPart", "Part", "WithBaseline", "require"]

MOST = 100_000  # entries of a list: far more than any model has
T = TypeVar("T")

Text = Annotated[str, Field(max_length=10_000)]
Count = Annotated[int, Field(ge=0, le=10**9)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Texts = Annotated[list[Text], Field(max_length=MOST)]
Numbers = Annotated[list[float], Field(max_length=MOST)]
Matrix = Annotated[list[Numbers], Field(max_length=MOST)]
ByName = Annotated[dict[Text, T], Field(max_length=MOST)]


def require(holds: bool, otherwise: str) -> None:
    """Refuse an entry."""
    if not holds:
        raise ValueError(otherwise)


def require_shape(values: Sequence[Sequence[float]], rows: int, columns: int) -> None:
    """Refuse a matrix of another shape."""
    require(len(values) == rows and all(len(row) == columns for row in values), f"is not {rows} by {columns}")


def known(info: ValidationInfo, *names: str) -> bool:
    """Whether entries that a check looks at were themselves in order."""
    return all(name in info.data for name in names)


def _unique(values: list[str]) -> list[str]:
    require(len(set(values)) == len(values), "names something twice")
    return values


def _in_order(pair: list[float]) -> list[float]:
    require(pair[0] <= pair[1], "ends below its start")
    return pair


Names = Annotated[Texts, AfterValidator(_unique)]
Limits = Annotated[list[float], Field(min_length=2, max_length=2), AfterValidator(_in_order)]


class Part(BaseModel):
    """Base: nothing beyond what is described, and no number that is read from text or not finite."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class TermPart(Part):
    """One column, or the product of two; see :class:`radiomics_npc.survival.terms.Term`."""

    name: Text
    kind: Literal["linear", "factor", "spline", "interaction"]
    levels: Names
    parts: Names
    knots: Numbers
    range: Limits | None
    center: float | None
    quartiles: Limits | None
    reads: ByName[Text]
    counts: ByName[Count]
    coefficients: Numbers

    @field_validator("levels")
    @classmethod
    def _check_levels(cls, levels: list[str], info: ValidationInfo) -> list[str]:
        least = {"factor": 2, "interaction": 1}.get(info.data.get("kind", ""), 0)
        require(len(levels) >= least and bool(least) == bool(levels), "does not fit the kind of the term")
        return levels

    @field_validator("parts")
    @classmethod
    def _check_parts(cls, parts: list[str], info: ValidationInfo) -> list[str]:
        wanted = 2 if info.data.get("kind") == "interaction" else 0
        require(len(parts) == wanted, "does not fit the kind of the term")
        return parts

    @field_validator("knots")
    @classmethod
    def _check_knots(cls, knots: list[float], info: ValidationInfo) -> list[float]:
        spline = info.data.get("kind") == "spline"
        require((len(knots) >= 3) if spline else not knots, "does not fit the kind of the term")
        require(all(a < b for a, b in pairwise(knots)), "does not ascend")
        return knots

    @field_validator("range", "center", "quartiles")
    @classmethod
    def _check_number(cls, value: T, info: ValidationInfo) -> T:
        number = info.data.get("kind") in ("linear", "spline")
        require((value is not None) == number, "does not fit the kind of the term")
        return value

    @field_validator("reads")
    @classmethod
    def _check_reads(cls, reads: dict[str, str], info: ValidationInfo) -> dict[str, str]:
        levels = info.data.get("levels", []) if info.data.get("kind") == "factor" else []
        require(set(reads.values()) == set(levels), "does not fit the levels")
        return reads

    @field_validator("counts")
    @classmethod
    def _check_counts(cls, counts: dict[str, int], info: ValidationInfo) -> dict[str, int]:
        require(set(counts) == set(info.data.get("reads", {})), "does not fit the levels of the table")
        return counts

    @property
    def columns(self) -> list[str]:
        """Names of the coefficients."""
        return Term(self.name, self.kind, levels=tuple(self.levels), knots=tuple(self.knots)).columns


class BareTermPart(TermPart):
    """A term whose coefficients stand elsewhere."""

    coefficients: Annotated[list[float], Field(max_length=0)]


class FittedTermPart(TermPart):
    """A term with its coefficients: for a factor one a level, the reference first with 0."""

    @field_validator("coefficients")
    @classmethod
    def _check_coefficients(cls, values: list[float], info: ValidationInfo) -> list[float]:
        if known(info, "name", "kind", "levels", "knots"):
            factor = info.data["kind"] == "factor"
            names = {key: info.data[key] for key in ("name", "kind", "levels", "knots")}
            require(len(values) == len(Term(**names).columns) + factor, "does not fit the levels or knots")
            require(not factor or values[0] == 0, "has another value than 0 for the reference")
        return values


def _check_terms(terms: list[TermPart]) -> list[TermPart]:
    """Interactions multiply terms before them."""
    widths: dict[str, int] = {}
    for k, term in enumerate(terms):
        require(term.name not in widths, f"names {term.name} twice")
        if term.kind == "interaction":
            require(all(part in widths for part in term.parts), f"{k}: its parts are no terms before it")
            width = widths[term.parts[0]] * widths[term.parts[1]]
            require(len(term.levels) == width, f"{k}: its levels are not the products of its parts")
        widths[term.name] = len(term.columns)
    return terms


def _check_covariance(values: list[list[float]], columns: int) -> list[list[float]]:
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


class FollowedPart(Part):
    """Size and follow-up of the training patients."""

    n: Annotated[int, Field(ge=1, le=10**9)]
    events: Count
    follow_up_months: NotNegative

    @field_validator("events")
    @classmethod
    def _check_events(cls, events: int, info: ValidationInfo) -> int:
        require(events <= info.data.get("n", events), "is more than the patients")
        return events


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


class CoxPart(RegressionPart):
    """See :class:`radiomics_npc.survival.models.cox.CoxModel`."""

    parameters: CoxParameters
    terms: Annotated[list[FittedTermPart], Field(max_length=MOST)]
    covariance: Matrix
    center: Numbers
    spread: ByName[Numbers]
    strata: StrataPart
    penalizer: NotNegative

    @field_validator("terms")
    @classmethod
    def _check_terms(cls, terms: list[FittedTermPart]) -> list[FittedTermPart]:
        _check_terms(list(terms))
        return terms

    @field_validator("covariance")
    @classmethod
    def _check_covariance(cls, values: list[list[float]], info: ValidationInfo) -> list[list[float]]:
        return _check_covariance(values, len(_columns(info))) if known(info, "terms") else values

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

    @field_validator("terms")
    @classmethod
    def _check_terms(cls, terms: list[BareTermPart]) -> list[BareTermPart]:
        _check_terms(list(terms))
        return terms

    @field_validator("coefficients")
    @classmethod
    def _check_coefficients(cls, values: list[float], info: ValidationInfo) -> list[float]:
        require(not known(info, "terms") or len(values) == len(_columns(info)), "does not fit the terms")
        return values

    @field_validator("covariance")
    @classmethod
    def _check_covariance(cls, values: list[list[float]], info: ValidationInfo) -> list[list[float]]:
        return _check_covariance(values, len(_columns(info))) if known(info, "terms") else values

    @field_validator("competing_events")
    @classmethod
    def _check_competing(cls, count: int, info: ValidationInfo) -> int:
        if known(info, "n", "events"):
            require(count + info.data["events"] <= info.data["n"], "is more than the other patients")
        return count


def _columns(info: ValidationInfo) -> list[str]:
    return [column for term in info.data["terms"] for column in term.columns]
