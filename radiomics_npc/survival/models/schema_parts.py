"""What all descriptions of a model file are made of: numbers, names, tables, terms.

Part of :mod:`radiomics_npc.survival.models.model_schema`. A check stands with the entry
that it would blame, so that a refusal names that entry.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from radiomics_npc.survival.terms import Term

__all__ = [
    "MOST",
    "BareTermPart",
    "ByName",
    "Count",
    "FittedTermPart",
    "FollowedPart",
    "Limits",
    "Matrix",
    "Names",
    "NotNegative",
    "Numbers",
    "Part",
    "Positive",
    "Text",
    "Texts",
    "check_products",
    "known",
    "require",
    "require_same_cohort",
    "require_shape",
]  # fmt: skip

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


def check_products(terms: list[TermPart]) -> list[TermPart]:
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


def require_same_cohort(part: FollowedPart, whole: Mapping[str, Any]) -> None:
    """Refuse a step that was fitted to other patients than the model."""
    same = all(getattr(part, key) == whole[key] for key in ("n", "events", "follow_up_months"))
    require(same, "was fitted to other patients")
