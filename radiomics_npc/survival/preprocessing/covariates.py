"""Columns of a table as numbers: features, and covariates with their levels as learnt in training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from radiomics_npc.errors import CohortError

__all__ = ["encode_covariates", "learn_levels", "read_labels", "read_numbers", "require_columns"]

Floats = NDArray[np.float64]


def require_columns(X: pd.DataFrame, names: Sequence[str]) -> list[str]:
    """The names, if the table has them all.

    Raises
    ------
    CohortError
        A column is absent.

    Examples
    --------
    >>> require_columns(pd.DataFrame({"age": [50]}), ["age"])
    ['age']
    """
    absent = [name for name in names if name not in X.columns]
    if absent:
        raise CohortError(
            f"columns are absent: {', '.join(map(str, absent[:3]))}",
            "Give all columns that the step has learnt from.",
        )
    return list(names)


def read_numbers(X: pd.DataFrame, names: Sequence[str]) -> Floats:
    """Columns as numbers, infinite ones as NaN, shape (n, len(names)).

    Raises
    ------
    CohortError
        A column is absent or holds text.

    Examples
    --------
    >>> read_numbers(pd.DataFrame({"age": [50, 60]}), ["age"])
    array([[50.],
           [60.]])
    """
    table = X[require_columns(X, names)]
    try:
        matrix = table.to_numpy(dtype=float, na_value=np.nan)
    except (TypeError, ValueError):
        text = [str(c) for c in names if not pd.api.types.is_numeric_dtype(table[c])]
        raise CohortError(
            f"columns hold text: {', '.join(text[:3])}", "Make a factor a pandas Categorical."
        ) from None
    result: Floats = np.where(np.isfinite(matrix), matrix, np.nan)
    return result


def learn_levels(X: pd.DataFrame, names: Sequence[str]) -> dict[str, list[str] | None]:
    """By column: the levels that patients have, in order; None for numbers.

    Examples
    --------
    >>> X = pd.DataFrame({"age": [50, 60], "T": pd.Categorical(["T1", "T3"], ["T1", "T2", "T3"])})
    >>> learn_levels(X, ["age", "T"])
    {'age': None, 'T': ['T1', 'T3']}
    """
    levels: dict[str, list[str] | None] = {}
    for name in require_columns(X, names):
        column, levels[name] = X[name], None
        if isinstance(column.dtype, pd.CategoricalDtype):
            levels[name] = [str(level) for level in column.cat.remove_unused_categories().cat.categories]
    return levels


def encode_covariates(X: pd.DataFrame, levels: Mapping[str, list[str] | None]) -> pd.DataFrame:
    """Covariates as columns of a design matrix: factors by one indicator for each level but the first.

    Parameters
    ----------
    X : DataFrame
    levels : mapping
        As from :func:`learn_levels`.

    Returns
    -------
    DataFrame of float

    Raises
    ------
    CohortError
        A column is absent, holds text, a missing value or an unknown level.

    Examples
    --------
    >>> X = pd.DataFrame({"T": pd.Categorical(["T1", "T3"])})
    >>> encode_covariates(X, {"T": ["T1", "T3"]})["T=T3"].tolist()
    [0.0, 1.0]
    """
    parts: dict[str, Floats] = {}
    for name in require_columns(X, list(levels)):
        known, column = levels[name], X[name]
        if column.isna().any():
            raise CohortError(
                f"protected column {name}: {int(column.isna().sum())} values are missing",
                "Impute them in a step before.",
            )
        if known is None:
            parts[name] = read_numbers(X, [name])[:, 0]
            continue
        text = column.astype(str).to_numpy()
        unknown = sorted(set(text) - set(known))
        if unknown:
            raise CohortError(
                f"protected column {name}: {', '.join(unknown[:5])} was not in training",
                f"It knows {', '.join(known)}.",
            )
        parts |= {f"{name}={level}": np.asarray(text == level, dtype=float) for level in known[1:]}
    return pd.DataFrame(parts, index=X.index)


def read_labels(X: pd.DataFrame, name: str) -> pd.Series:
    """A column as text, such as each patient's center.

    Raises
    ------
    CohortError
        The column is absent, or a value is missing.

    Examples
    --------
    >>> read_labels(pd.DataFrame({"center": [1, 2]}), "center").tolist()
    ['1', '2']
    """
    column = X[require_columns(X, [name])[0]]
    if column.isna().any():
        raise CohortError(
            f"column {name}: {int(column.isna().sum())} values are missing",
            "Every patient needs one to be harmonized.",
        )
    return column.astype(str)
