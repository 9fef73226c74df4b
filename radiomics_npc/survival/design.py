"""Columns of a clinical table as terms of a linear predictor.

Numbers enter as they are, or as a restricted cubic spline. Factors enter as one
indicator for each level but the first. Levels that hold too few patients, or none or
only patients with an event, are merged first, by a stated rule, because their
coefficient could not be estimated. Interactions are the products of the columns of
two terms.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError
from radiomics_npc.survival.levels import merge_levels
from radiomics_npc.survival.splines import default_knots
from radiomics_npc.survival.terms import Term, check_present, encode_terms, numbers_of, products

__all__ = ["Design", "Term", "check_rows", "encode_terms", "merge_levels"]

STAGE_FACTORS = ("T", "N", "M", "stage")


def check_rows(X: pd.DataFrame, y: Outcome | None = None) -> None:
    """Refuse a table that is not the patients of the outcome, in order.

    Raises
    ------
    CohortError
        No DataFrame, doubled columns, no rows, or other patients than ``y``.
    """
    if not isinstance(X, pd.DataFrame):
        raise CohortError(f"X is a {type(X).__name__}", "Give a DataFrame indexed by patient_id.")
    if X.columns.has_duplicates:
        doubled = X.columns[X.columns.duplicated()].unique()
        raise CohortError(f"columns occur twice: {', '.join(map(str, doubled[:5]))}")
    if y is None:
        return
    if len(X) != len(y):
        raise CohortError(
            f"X holds {len(X)} patients, y {len(y)}", "Use design_matrix to bring them together."
        )
    if not np.array_equal(X.index.astype(str), y.patient_id):
        raise CohortError("X and y hold different patients, or another order", "Use y.loc(X.index).")


class Design:
    """The terms that a table has room for, learnt in training.

    Parameters
    ----------
    X : DataFrame
        Numeric columns and pandas Categorical factors.
    y : Outcome
    min_category : int
        Levels with fewer patients are merged (see :func:`merge_levels`).
    splines : mapping of str to int or sequence of float, optional
        Columns that enter as restricted cubic splines: the number of knots or the knots.
    interactions : sequence of (str, str)
        Pairs of columns whose products enter, too.

    Attributes
    ----------
    terms : tuple of Term
        Without coefficients yet.
    merged : dict of str to dict
        By column: each merged level and what it is read as.
    dropped : dict of str to str
        By column: why it is no term.

    Raises
    ------
    CohortError
        Missing values, or a spline or interaction of columns that cannot have one.
    """

    def __init__(
        self,
        X: pd.DataFrame,
        y: Outcome,
        *,
        min_category: int,
        splines: Mapping[str, int | Sequence[float]] | None = None,
        interactions: Sequence[tuple[str, str]] = (),
    ) -> None:
        self.merged: dict[str, dict[str, str]] = {}
        self.dropped: dict[str, str] = {}
        self._splines = dict(splines or {})
        check_present([*self._splines, *(name for pair in interactions for name in pair)], X)
        terms = []
        for name in X.columns:
            make = self._factor if isinstance(X[name].dtype, pd.CategoricalDtype) else self._number
            term = make(X[name], y, min_category)
            if term is not None:
                terms.append(term)
        self.terms = tuple(terms)
        self.terms += tuple(self._interactions(X, interactions))

    def _number(self, values: pd.Series, y: Outcome, min_category: int) -> Term | None:
        name, numbers = str(values.name), numbers_of(values)
        low, high = float(numbers.min()), float(numbers.max())
        if high - low <= 1e-12 * max(1.0, abs(low), abs(high)):
            self.dropped[name] = "the same value in all patients"
            return None
        lower, upper = (float(q) for q in np.quantile(numbers, [0.25, 0.75]))
        knots = _knots(name, numbers, self._splines[name]) if name in self._splines else ()
        return Term(
            name,
            "spline" if knots else "linear",
            range=(low, high),
            center=float(numbers.mean()),
            knots=knots,
            quartiles=(lower, upper) if upper > lower else (low, high),
        )

    def _factor(self, values: pd.Series, y: Outcome, min_category: int) -> Term | None:
        name = str(values.name)
        if name in self._splines:
            raise CohortError(f"column {name} is a factor: it has no spline", "Give splines of numbers only.")
        if values.isna().any():
            raise CohortError(
                f"column {name}: {int(values.isna().sum())} values are missing",
                "Impute them in a step before.",
            )
        neighbours = bool(values.cat.ordered) or name in STAGE_FACTORS
        reads, counts = merge_levels(values, y.event, minimum=min_category, neighbours=neighbours)
        # Levels that nobody held are refused in new patients, whatever they would be read as.
        changed = {level: read for level, read in reads.items() if level != read and counts[level]}
        if changed:
            self.merged[name] = changed
        levels = tuple(dict.fromkeys(reads[level] for level in reads))
        if len(levels) < 2:
            self.dropped[name] = "one level is left after merging sparse levels"
            return None
        return Term(name, "factor", levels=levels, reads=reads, counts=counts)

    def _interactions(self, X: pd.DataFrame, pairs: Sequence[tuple[str, str]]) -> list[Term]:
        known = {term.name: term for term in self.terms}
        made = []
        for first, second in pairs:
            name = f"{first} * {second}"
            if first == second:
                raise CohortError(f"{name} is no interaction", "Take a spline for a curved effect.")
            if absent := [part for part in (first, second) if part not in known]:
                self.dropped[name] = f"{absent[0]} is left out"
                continue
            a, b = known[first], known[second]
            crossed = products(a.encode(X[first]), b.encode(X[second]))
            names = tuple(f"{left} * {right}" for left in a.columns for right in b.columns)
            if not (spread := crossed.std(axis=0) > 0).all():
                empty = names[int(np.argmin(spread))]
                raise CohortError(
                    f"interaction {empty}: no patient tells it apart", "Leave it out, or merge sparse levels."
                )
            made.append(Term(name, "interaction", levels=names, parts=(first, second)))
        return made

    @property
    def columns(self) -> list[str]:
        """Names of the coefficients."""
        return [column for term in self.terms for column in term.columns]

    @property
    def notes(self) -> list[str]:
        """What was left out and merged, and why."""
        merged = [
            f"{name}: {level} read as {read}, too few patients or events"
            for name, reads in self.merged.items()
            for level, read in reads.items()
        ]
        return [f"{name}: left out, {why}" for name, why in self.dropped.items()] + merged

    def encode(self, X: pd.DataFrame) -> NDArray[np.float64]:
        """Design matrix, shape (n, len(columns))."""
        return encode_terms(self.terms, X)


def _knots(name: str, numbers: NDArray[np.float64], wanted: int | Sequence[float]) -> tuple[float, ...]:
    """Knots as given, or at Harrell's quantiles."""
    if isinstance(wanted, int):
        try:
            return default_knots(numbers, wanted)
        except CohortError as error:
            raise CohortError(f"column {name}: {error.message}", error.remedy) from None
    knots = tuple(float(knot) for knot in wanted)
    if len(knots) < 3 or not (np.diff(knots) > 0).all():
        raise CohortError(f"column {name}: a spline needs 3 ascending knots or more")
    return knots
