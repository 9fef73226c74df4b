"""Columns of a clinical table as terms of a linear predictor.

Numbers enter as they are. Factors enter as one indicator for each level but the
first. Levels that hold too few patients, or none or only patients with an event,
are merged first, by a stated rule, because their coefficient could not be estimated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError

__all__ = ["Design", "Term", "check_rows", "merge_levels"]

STAGE_FACTORS = ("T", "N", "M", "stage")
OTHER = "other"


@dataclass(frozen=True)
class Term:
    """One column of a fitted model.

    Parameters
    ----------
    name : str
        Column of the table.
    kind : {"linear", "factor"}
    coefficients : tuple of float
        Log hazard ratio for one unit; for a factor one number a level, the
        reference first with 0.
    levels : tuple of str
        Levels after merging, the reference first; empty for a number.
    range : tuple of float, optional
        Smallest and largest value in training; None for a factor.
    center : float, optional
        Mean in training; None for a factor.
    reads : dict of str to str
        For a factor: each level of the table and the level it is read as.
    counts : dict of str to int
        For a factor: patients in training with each level of the table.
    """

    name: str
    kind: Literal["linear", "factor"]
    coefficients: tuple[float, ...] = ()
    levels: tuple[str, ...] = ()
    range: tuple[float, float] | None = None
    center: float | None = None
    reads: dict[str, str] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def columns(self) -> list[str]:
        """Names of the coefficients, as in R: ``age``, ``T=T3``."""
        return [self.name] if self.kind == "linear" else [f"{self.name}={level}" for level in self.levels[1:]]

    def effect(self, values: pd.Series) -> NDArray[np.float64]:
        """What each value adds to the linear predictor."""
        result: NDArray[np.float64] = self.encode(values) @ np.asarray(
            self.coefficients[-len(self.columns) :]
        )
        return result

    def encode(self, values: pd.Series) -> NDArray[np.float64]:
        """Values as columns of the design matrix, shape (n, len(columns))."""
        if self.kind == "linear":
            return _numbers(values)[:, None]
        read = values.astype(object).map(lambda value: self.reads.get(str(value)))
        if read.isna().any():
            unknown = sorted({str(value) for value in values[read.isna()]})
            raise CohortError(
                f"column {self.name}: the model does not know {', '.join(unknown[:5])}",
                f"It knows {', '.join(self.reads)}.",
            )
        return np.stack([(read == level).to_numpy(dtype=float) for level in self.levels[1:]], axis=1)

    def outside(self, values: pd.Series) -> NDArray[np.bool_]:
        """True where a value is missing or was not seen in training."""
        if self.kind == "factor":
            seen = {level for level, count in self.counts.items() if count > 0}
            return ~values.astype(object).map(lambda value: str(value) in seen).to_numpy(dtype=bool)
        number = pd.to_numeric(values, errors="coerce").to_numpy(dtype=float)
        low, high = self.range if self.range is not None else (-np.inf, np.inf)
        slack = 1e-9 * max(abs(low), abs(high)) if np.isfinite([low, high]).all() else 0.0
        return ~((number >= low - slack) & (number <= high + slack))

    def to_dict(self) -> dict[str, Any]:
        """Content for a JSON file."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Term:
        """Inverse of :meth:`to_dict`."""
        made = dict(content)
        for key in ("coefficients", "levels", "range"):
            made[key] = None if made[key] is None else tuple(made[key])
        return cls(**made)


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


def _numbers(values: pd.Series) -> NDArray[np.float64]:
    try:
        numbers = values.to_numpy(dtype=float, na_value=np.nan)
    except (TypeError, ValueError):
        raise CohortError(
            f"column {values.name} holds text where the model needs numbers",
            "Make it a pandas Categorical to use it as a factor.",
        ) from None
    if not np.isfinite(numbers).all():
        bad = int((~np.isfinite(numbers)).sum())
        raise CohortError(f"column {values.name}: {bad} values are missing", "Impute them in a step before.")
    result: NDArray[np.float64] = numbers
    return result


def merge_levels(
    values: pd.Series, event: NDArray[np.bool_], *, minimum: int, neighbours: bool
) -> tuple[dict[str, str], dict[str, int]]:
    """Merge sparse levels of a factor.

    A level is sparse when it holds fewer than ``minimum`` patients, or when none
    or all of its patients had the event. With ``neighbours`` (ordered factors and
    the TNM categories) a sparse level joins the next lower one, the lowest the
    next higher, until none is sparse. Otherwise sparse levels become one level
    ``other``, which joins the most frequent level if it is still sparse.

    Parameters
    ----------
    values : Series of category
    event : array of bool, shape (n,)
    minimum : int
    neighbours : bool

    Returns
    -------
    reads : dict of str to str
        Each level and the level it is read as: ``T0+T1`` for both after a merge.
    counts : dict of str to int
        Patients in each level before merging.

    Examples
    --------
    >>> t = pd.Series(pd.Categorical(["T0"] + ["T1"] * 4 + ["T2"] * 4))
    >>> merge_levels(t, np.arange(9) % 2 == 0, minimum=2, neighbours=True)[0]
    {'T0': 'T0+T1', 'T1': 'T0+T1', 'T2': 'T2'}
    """
    levels = [str(level) for level in values.cat.categories]
    codes = values.cat.codes.to_numpy()
    n = np.bincount(codes, minlength=len(levels))
    events = np.bincount(codes, weights=event, minlength=len(levels))
    groups = [[k] for k in range(len(levels))]

    def sparse(group: Sequence[int]) -> bool:
        size, seen = n[group].sum(), events[group].sum()
        return bool(size < minimum or seen == 0 or seen == size)

    if neighbours:
        while len(groups) > 1 and any(bad := [sparse(group) for group in groups]):
            at = bad.index(True)
            lower = max(at - 1, 0)
            groups[lower : lower + 2] = [groups[lower] + groups[lower + 1]]
    elif any(bad := [sparse(group) for group in groups]):
        pooled = [k for k, is_bad in enumerate(bad) if is_bad]
        groups = [[k] for k in range(len(levels)) if k not in pooled]
        if groups and sparse(pooled):
            most = max(range(len(groups)), key=lambda g: n[groups[g][0]])
            groups[most] = sorted(groups[most] + pooled)
        else:
            groups.append(pooled)
    reads = {levels[k]: _label(group, levels, n) for group in groups for k in group}
    return {level: reads[level] for level in levels}, {level: int(n[k]) for k, level in enumerate(levels)}


def _label(group: Sequence[int], levels: Sequence[str], n: NDArray[np.intp]) -> str:
    """Name of a merged level: of those that patients have, in order."""
    present = [levels[k] for k in group if n[k] > 0] or [levels[k] for k in group]
    return "+".join(present) if len(present) <= 3 else f"{present[0]}+{OTHER}"


class Design:
    """The terms that a table has room for, learnt in training.

    Parameters
    ----------
    X : DataFrame
        Numeric columns and pandas Categorical factors.
    y : Outcome
    min_category : int
        Levels with fewer patients are merged (see :func:`merge_levels`).

    Attributes
    ----------
    terms : tuple of Term
        Without coefficients yet.
    merged : dict of str to dict
        By column: each merged level and what it is read as.
    dropped : dict of str to str
        By column: why it is no term.
    """

    def __init__(self, X: pd.DataFrame, y: Outcome, *, min_category: int) -> None:
        self.merged: dict[str, dict[str, str]] = {}
        self.dropped: dict[str, str] = {}
        terms = []
        for name in X.columns:
            make = self._factor if isinstance(X[name].dtype, pd.CategoricalDtype) else self._number
            term = make(X[name], y, min_category)
            if term is not None:
                terms.append(term)
        self.terms = tuple(terms)

    def _number(self, values: pd.Series, y: Outcome, min_category: int) -> Term | None:
        numbers = _numbers(values)
        low, high = float(numbers.min()), float(numbers.max())
        if high - low <= 1e-12 * max(1.0, abs(low), abs(high)):
            self.dropped[str(values.name)] = "the same value in all patients"
            return None
        return Term(str(values.name), "linear", range=(low, high), center=float(numbers.mean()))

    def _factor(self, values: pd.Series, y: Outcome, min_category: int) -> Term | None:
        name = str(values.name)
        if values.isna().any():
            raise CohortError(
                f"column {name}: {int(values.isna().sum())} values are missing",
                "Impute them in a step before.",
            )
        neighbours = bool(values.cat.ordered) or name in STAGE_FACTORS
        reads, counts = merge_levels(values, y.event, minimum=min_category, neighbours=neighbours)
        changed = {level: read for level, read in reads.items() if level != read}
        if changed:
            self.merged[name] = changed
        levels = tuple(dict.fromkeys(reads[level] for level in reads))
        if len(levels) < 2:
            self.dropped[name] = "one level is left after merging sparse levels"
            return None
        return Term(name, "factor", levels=levels, reads=reads, counts=counts)

    @property
    def columns(self) -> list[str]:
        """Names of the coefficients."""
        return [column for term in self.terms for column in term.columns]

    def encode(self, X: pd.DataFrame) -> NDArray[np.float64]:
        """Design matrix, shape (n, len(columns))."""
        return encode_terms(self.terms, X)


def encode_terms(terms: Sequence[Term], X: pd.DataFrame) -> NDArray[np.float64]:
    """Design matrix of some terms.

    Raises
    ------
    CohortError
        A column is absent, holds missing values, or an unknown level.
    """
    absent = [term.name for term in terms if term.name not in X.columns]
    if absent:
        raise CohortError(f"columns are absent: {', '.join(absent)}", "Give all columns of the model.")
    if not terms:
        return np.empty((len(X), 0))
    return np.concatenate([term.encode(X[term.name]) for term in terms], axis=1)
