"""Scores of several methods on the same cases and classes, checked once and then trusted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from radiomics_npc.errors import ConfigError

__all__ = ["DISTANCES", "MethodScores", "finite_distances", "is_absolute", "is_better_when_higher"]

#: Columns that can be infinite: one of two masks has no surface.
DISTANCES: Final = ("hd_mm", "hd95_mm", "mean_surface_distance_mm")
_HIGHER: Final = ("dice", "jaccard", "sensitivity", "precision", "nsd")
_ABSOLUTE: Final = ("volume_error_cm3",)
_KEYS: Final = ("method", "case", "class")

Floats = NDArray[np.float64]


def is_better_when_higher(measure: str) -> bool:
    """Whether more of a measure is better.

    Raises
    ------
    ConfigError
        Methods cannot be ranked by it.

    Examples
    --------
    >>> is_better_when_higher("nsd_2mm"), is_better_when_higher("hd95_mm")
    (True, False)
    """
    if measure in _HIGHER or measure.startswith("nsd_"):
        return True
    if measure in DISTANCES or measure in _ABSOLUTE:
        return False
    known = ", ".join((*_HIGHER, *DISTANCES, *_ABSOLUTE))
    raise ConfigError(f"methods cannot be ranked by {measure!r}", f"Take some of {known}.")


def is_absolute(measure: str) -> bool:
    """Whether its sign does not matter to how good a method is.

    Examples
    --------
    >>> is_absolute("volume_error_cm3"), is_absolute("dice")
    (True, False)
    """
    return measure in _ABSOLUTE


def finite_distances(table: pd.DataFrame, infinite: str | float = "diagonal") -> pd.DataFrame:
    """Put a finite distance in place of every infinite one, so that means and tests can be made.

    A distance is infinite where one of the two masks is empty or there is no prediction. To leave it out
    would reward a method for what it did not find.

    Parameters
    ----------
    table : DataFrame
        With some of the columns :data:`DISTANCES`.
    infinite : {"diagonal"} or float
        The diagonal of the reference's grid (column ``diagonal_mm``), which no distance in it can exceed; or
        a length in mm.

    Returns
    -------
    DataFrame
        A copy.

    Raises
    ------
    ConfigError
        The stand-in is none, or is asked for and not known.

    Examples
    --------
    >>> table = pd.DataFrame({"hd95_mm": [2.0, np.inf], "diagonal_mm": [300.0, 310.0]})
    >>> finite_distances(table)["hd95_mm"].tolist(), finite_distances(table, 50)["hd95_mm"].tolist()
    ([2.0, 310.0], [2.0, 50.0])
    """
    columns = [c for c in DISTANCES if c in table.columns and np.isinf(table[c]).any()]
    if not columns:
        return table.copy()
    stand_in: Any = infinite
    if infinite == "diagonal":
        if "diagonal_mm" not in table.columns:
            raise ConfigError(
                "the table has no column 'diagonal_mm'", "Give a length for infinite distances."
            )
        stand_in = table["diagonal_mm"]
    elif isinstance(infinite, str) or not (np.isfinite(infinite) and infinite > 0):
        raise ConfigError(f"{infinite!r} cannot stand for infinite distances", "Take diagonal, or mm.")
    found = table.assign(**{c: table[c].mask(np.isinf(table[c]), stand_in) for c in columns})
    if np.isinf(found[columns].to_numpy(float)).any() or found[columns].isna().any(axis=None):
        raise ConfigError("the diagonal of an image is not known", "Give a length for infinite distances.")
    return found


@dataclass(frozen=True, eq=False)
class MethodScores:
    """Scores of methods by case, class and measure.

    Parameters
    ----------
    methods, cases, classes, measures : tuple of str
    values : array of float, shape (methods, cases, classes, measures)
        NaN where a class is not scored in a case, in all methods alike.
    simulated : bool
        Of patients that never lived.
    """

    methods: tuple[str, ...]
    cases: tuple[str, ...]
    classes: tuple[str, ...]
    measures: tuple[str, ...]
    values: Floats
    simulated: bool = False

    @classmethod
    def from_table(
        cls,
        table: pd.DataFrame,
        measures: Sequence[str] = ("dice", "nsd"),
        *,
        infinite: str | float = "diagonal",
    ) -> MethodScores:
        """Take the scores from a table.

        Parameters
        ----------
        table : DataFrame
            ``method``, ``case``, ``class`` and the measures; every method scored in the same cases and
            classes, what it did not predict included.
        measures : sequence of str
            SegRap ranked by Dice and NSD. Of ``volume_error_cm3`` the absolute value counts.
        infinite : {"diagonal"} or float
            As in :func:`finite_distances`.

        Returns
        -------
        MethodScores
            In the order of the table.

        Raises
        ------
        ConfigError
            A column is absent, a row is there twice, a method lacks cases, or a score is no number.

        Examples
        --------
        >>> rows = [("A", "1", 0.9), ("A", "2", 0.7), ("B", "1", 0.8), ("B", "2", 0.8)]
        >>> table = pd.DataFrame(rows, columns=["method", "case", "dice"]).assign(**{"class": "GTVp"})
        >>> found = MethodScores.from_table(table, ["dice"])
        >>> found.methods, found.values.shape
        (('A', 'B'), (2, 2, 1, 1))
        """
        wanted = list(dict.fromkeys(measures))
        absent = [c for c in (*_KEYS, *wanted) if c not in table.columns]
        if absent or table.empty or not wanted:
            what = f"the table has no column {absent[0]!r}" if absent else "there are no scores"
            raise ConfigError(what, "Give one row for each method, case and class, with its scores.")
        for measure in wanted:
            is_better_when_higher(measure)
        rows = finite_distances(table, infinite)
        if not np.isfinite(rows[wanted].to_numpy(float)).all():
            raise ConfigError(
                "a score is no number", "Score what is missing, or leave the case out of every method."
            )
        names = [tuple(dict.fromkeys(rows[key].astype(str))) for key in _KEYS]
        at = [
            pd.Index(n).get_indexer(pd.Index(rows[key].astype(str)))
            for n, key in zip(names, _KEYS, strict=True)
        ]
        values = np.full((*map(len, names), len(wanted)), np.nan)
        values[tuple(at)] = rows[wanted].to_numpy(float)
        known = np.isfinite(values[..., 0])
        if known.sum() != len(rows):
            raise ConfigError("a method has a case and class twice", "Give one row for each.")
        lacking = int((known.any(axis=0) & ~known).any(axis=(1, 2)).sum())
        if lacking:
            raise ConfigError(
                f"{lacking} of the methods lack cases that others have",
                "Score what a method did not predict: 0 for overlaps, infinite for distances.",
            )
        simulated = "simulated" in table.columns and bool(table["simulated"].any())
        return cls(names[0], names[1], names[2], tuple(wanted), values, simulated)

    @property
    def goodness(self) -> Floats:
        """The values with the sign that makes higher better."""
        sign = [1.0 if is_better_when_higher(m) else -1.0 for m in self.measures]
        absolute = [is_absolute(m) for m in self.measures]
        return np.where(absolute, np.abs(self.values), self.values) * sign

    @property
    def parts(self) -> list[tuple[str, str]]:
        """Measure and class of every column that methods are ranked by."""
        return [(measure, name) for name in self.classes for measure in self.measures]
