"""Terms of a linear predictor: a number, a factor, a spline, or the product of two of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from radiomics_npc.errors import CohortError
from radiomics_npc.survival.splines import spline_basis

__all__ = ["Term", "check_present", "encode_terms", "numbers_of", "products"]


@dataclass(frozen=True)
class Term:
    """One column of a fitted model, or the product of two.

    Parameters
    ----------
    name : str
        Column of the table; ``age * T`` for an interaction.
    kind : {"linear", "factor", "spline", "interaction"}
    coefficients : tuple of float
        Log hazard ratio for one unit; for a factor one number a level, the
        reference first with 0; else one number a column of the design matrix.
    levels : tuple of str
        Levels after merging, the reference first; names of the products of an
        interaction; empty for a number.
    range : tuple of float, optional
        Smallest and largest value in training; None unless it is a number.
    center : float, optional
        Mean in training; None unless it is a number.
    knots : tuple of float
        Of a spline, ascending; else empty.
    quartiles : tuple of float, optional
        Lower and upper quartile in training; None unless it is a number.
    parts : tuple of str
        Names of the two terms that an interaction multiplies; else empty.
    reads : dict of str to str
        For a factor: each level of the table and the level it is read as.
    counts : dict of str to int
        For a factor: patients in training with each level of the table.
    """

    name: str
    kind: Literal["linear", "factor", "spline", "interaction"]
    coefficients: tuple[float, ...] = ()
    levels: tuple[str, ...] = ()
    range: tuple[float, float] | None = None
    center: float | None = None
    reads: dict[str, str] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    knots: tuple[float, ...] = ()
    quartiles: tuple[float, float] | None = None
    parts: tuple[str, ...] = ()

    @property
    def columns(self) -> list[str]:
        """Names of the coefficients, as in rms: ``age``, ``age'``, ``T=T3``, ``age * T=T3``."""
        if self.kind == "factor":
            return [f"{self.name}={level}" for level in self.levels[1:]]
        if self.kind == "interaction":
            return list(self.levels)
        return [self.name + "'" * k for k in range(max(1, len(self.knots) - 1))]

    def with_coefficients(self, coef: pd.Series) -> Term:
        """The same with its numbers filled in from those of a fit, the reference of a factor at 0."""
        reference = (0.0,) * (self.kind == "factor")
        return replace(self, coefficients=reference + tuple(float(coef[c]) for c in self.columns))

    def effect(self, values: pd.Series) -> NDArray[np.float64]:
        """What each value adds to the linear predictor."""
        result: NDArray[np.float64] = self.encode(values) @ np.asarray(
            self.coefficients[-len(self.columns) :]
        )
        return result

    def encode(self, values: pd.Series) -> NDArray[np.float64]:
        """Values as columns of the design matrix, shape (n, len(columns)); not for an interaction."""
        if self.kind == "linear":
            return numbers_of(values)[:, None]
        if self.kind == "spline":
            return spline_basis(numbers_of(values), self.knots)
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
        for key in ("coefficients", "levels", "range", "knots", "quartiles", "parts"):
            made[key] = None if made[key] is None else tuple(made[key])
        return cls(**made)


def numbers_of(values: pd.Series) -> NDArray[np.float64]:
    """Column as numbers, none missing."""
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


def check_present(names: Sequence[str], X: pd.DataFrame) -> None:
    """Refuse a table without some columns."""
    if absent := [name for name in dict.fromkeys(names) if name not in X.columns]:
        raise CohortError(f"columns are absent: {', '.join(absent)}", "Give all columns of the model.")


def products(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Every column of the first times every column of the second."""
    return (first[:, :, None] * second[:, None, :]).reshape(len(first), first.shape[1] * second.shape[1])


def encode_terms(terms: Sequence[Term], X: pd.DataFrame) -> NDArray[np.float64]:
    """Design matrix of some terms; interactions stand after the terms that they multiply.

    Raises
    ------
    CohortError
        A column is absent, holds missing values, or an unknown level.
    """
    check_present([term.name for term in terms if term.kind != "interaction"], X)
    blocks: dict[str, NDArray[np.float64]] = {}
    for term in terms:
        if term.kind == "interaction":
            blocks[term.name] = products(*(blocks[part] for part in term.parts))
        else:
            blocks[term.name] = term.encode(X[term.name])
    return np.concatenate(list(blocks.values()), axis=1) if blocks else np.empty((len(X), 0))
