"""Strata of a stratified Cox model: groups with a baseline hazard each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from radiomics_npc.errors import CohortError

__all__ = ["stratum_labels"]


def stratum_labels(X: pd.DataFrame, columns: Sequence[str]) -> NDArray[np.str_]:
    """Name of the stratum of every patient, as in R: ``center=A, sex=2``.

    Parameters
    ----------
    X : DataFrame
    columns : sequence of str

    Returns
    -------
    array of str, shape (n,)

    Raises
    ------
    CohortError
        A column is absent or has missing values.

    Examples
    --------
    >>> table = pd.DataFrame({"center": ["A", "B"], "sex": [1, 2.0]})
    >>> stratum_labels(table, ["center", "sex"]).tolist()
    ['center=A, sex=1', 'center=B, sex=2']
    """
    if absent := [name for name in columns if name not in X.columns]:
        raise CohortError(f"columns are absent: {', '.join(absent)}", "Give the strata of the model, too.")
    if missing := [name for name in columns if X[name].isna().any()]:
        raise CohortError(
            f"column {missing[0]}: a stratum is missing", "Impute it in a step before, or leave it out."
        )
    parts = [[f"{name}={_read(value)}" for value in X[name].astype(object)] for name in columns]
    return np.array([", ".join(part) for part in zip(*parts, strict=True)], dtype=np.str_)


def _read(value: object) -> str:
    """A level as text: 1 and 1.0 are the same."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
