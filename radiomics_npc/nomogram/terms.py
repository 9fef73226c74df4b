"""Terms of a Cox model as axes of a nomogram, and patients' values read on them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from radiomics_npc.errors import CohortError
from radiomics_npc.nomogram.scale import pretty
from radiomics_npc.survival.design import Term

__all__ = ["is_indicator", "known_levels", "patients_named", "read_column", "tick_values", "training_range"]


def patients_named(rows: NDArray[np.bool_], index: pd.Index[Any], most: int = 5) -> str:
    """Patients where ``rows`` is True, as words for a message.

    Examples
    --------
    >>> patients_named(np.array([True, False, True]), pd.Index(["001", "002", "003"]))
    '2 patients (001, 003)'
    """
    ids = [str(i) for i in index[rows]]
    shown = ", ".join(ids[:most]) + (", ..." if len(ids) > most else "")
    return f"{len(ids)} patient{'' if len(ids) == 1 else 's'} ({shown})"


def is_indicator(term: Term) -> bool:
    """Whether a number is taken for one that is 0 or 1."""
    return term.kind == "linear" and term.range == (0.0, 1.0)


def tick_values(term: Term) -> list[float] | list[str]:
    """Ticks of the axis of a term.

    Levels of a factor; for a number round values that cover the training range,
    or 0 and 1 for an indicator.

    Examples
    --------
    >>> tick_values(Term("N", "factor", (0.0, 0.8), ("N0", "N1")))
    ['N0', 'N1']
    """
    if term.kind == "factor":
        return list(term.levels)
    assert term.range is not None
    return [0.0, 1.0] if is_indicator(term) else [float(value) for value in pretty(*term.range)]


def known_levels(term: Term) -> dict[str, float]:
    """Levels of the table that training patients had, and their effect; a merged level lists its parts.

    Examples
    --------
    >>> reads = {"T0": "T0+T1", "T1": "T0+T1", "T2": "T2"}
    >>> counts = {"T0": 2, "T1": 30, "T2": 40}
    >>> term = Term("T", "factor", (0.0, 0.5), ("T0+T1", "T2"), reads=reads, counts=counts)
    >>> known_levels(term)
    {'T0': 0.0, 'T1': 0.0, 'T2': 0.5}
    """
    effects = dict(zip(term.levels, term.coefficients, strict=True))
    return {level: effects[read] for level, read in term.reads.items() if term.counts.get(level, 0) > 0}


def training_range(term: Term) -> str:
    """Values seen in training, as words."""
    if term.kind == "factor":
        return ", ".join(known_levels(term))
    low, high = term.range or (-np.inf, np.inf)
    return f"{low:.6g} to {high:.6g}"


def read_column(term: Term, column: pd.Series[Any]) -> NDArray[np.float64]:
    """Values of patients as columns of the design matrix, shape (n, columns of the term).

    Raises
    ------
    CohortError
        A value is missing, or was not seen in training.
    """
    absent = column.isna().to_numpy(dtype=bool)
    if absent.any():
        raise CohortError(
            f"column {term.name}: no value for {patients_named(absent, column.index)}",
            "A nomogram needs every value: complete them or leave these patients out.",
        )
    outside = term.outside(column)
    if outside.any():
        raise CohortError(
            f"column {term.name}: {patients_named(outside, column.index)} outside the training range "
            f"({training_range(term)})",
            "The model knows nothing there, so no probability is given: leave these patients out.",
        )
    if term.kind != "factor":
        column = pd.to_numeric(column)
    return term.encode(column)
