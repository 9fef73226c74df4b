"""The points scale of a nomogram, as R's ``rms::nomogram`` makes it.

The variable whose contribution to the linear predictor ranges most widely over
its axis gets 0 to 100 points; all others are drawn on the same scale, each
starting at 0 for its most favorable value.

References
----------
Harrell FE Jr. Regression Modeling Strategies, 2nd ed. Springer 2015, section 5.3,
and the R package rms.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from radiomics_npc.errors import CohortError

__all__ = ["Axis", "AxisTicks", "PointsScale", "Setting", "points_scale", "pretty", "scale_of"]

Setting: TypeAlias = tuple[str, float | str]
# Settings of the variables that interact with it, ticks, and what each adds to the linear predictor.
AxisTicks: TypeAlias = tuple[tuple[Setting, ...], Sequence[float] | Sequence[str], ArrayLike]

_ROUNDING = 1e-10


def _cell_size(low: float, high: float, intervals: int) -> float:
    """Width of an interval before rounding, R's way for (nearly) equal ends included."""
    spread, largest = high - low, max(abs(low), abs(high))
    if spread == 0 and high == 0:
        narrow, cell = True, 1.0
    else:
        slack = (1 + 1 / 2.5) * max(1, intervals) * sys.float_info.epsilon
        narrow, cell = spread < largest * slack * 3, largest
    if not narrow:
        return spread / intervals if intervals > 1 else spread
    if cell > 10:
        cell = 9 + cell / 10
    cell *= 0.75
    return cell / (intervals // 3) if intervals // 3 > 1 else cell


def _round_unit(cell: float) -> float:
    """The 1, 2 or 5 times a power of ten that R takes for a cell (high.u.bias 1.5, u5.bias 2.75)."""
    base = unit = 10.0 ** math.floor(math.log10(cell))
    if 2 * base - cell < 1.5 * (cell - unit):
        unit = 2 * base
        if 5 * base - cell < 2.75 * (cell - unit):
            unit = 5 * base
            if 10 * base - cell < 1.5 * (cell - unit):
                unit = 10 * base
    return unit


def pretty(low: float, high: float, intervals: int = 10) -> NDArray[np.float64]:
    """Round values that cover a range: R's ``pretty(c(low, high), n = intervals)``.

    Parameters
    ----------
    low, high : float
        Finite, ``low <= high``.
    intervals : int
        Wished number of intervals.

    Returns
    -------
    array of float

    Raises
    ------
    CohortError
        The range is not finite or upside down.

    Examples
    --------
    >>> pretty(21, 80)
    array([20., 25., 30., 35., 40., 45., 50., 55., 60., 65., 70., 75., 80.])
    >>> pretty(0.69, 3.95)
    array([0.5, 1. , 1.5, 2. , 2.5, 3. , 3.5, 4. ])
    """
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        raise CohortError(f"no axis can cover the range {low} to {high}")
    unit = _round_unit(_cell_size(low, high, intervals))
    first, last = math.floor(low / unit + _ROUNDING), math.ceil(high / unit - _ROUNDING)
    while first * unit > low + _ROUNDING * unit:
        first -= 1
    while last * unit < high - _ROUNDING * unit:
        last += 1
    lacking = intervals // 3 - (last - first)
    if lacking > 0:
        if low == 0 and first == 0 and high != 0:
            last += lacking
        elif high == 0 and last == 0 and low != 0:
            first -= lacking
        elif first >= 0:
            first, last = first - lacking // 2 - lacking % 2, last + lacking // 2
        else:
            first, last = first - lacking // 2, last + lacking // 2 + lacking % 2
    # Multiples of 1, 2 or 5 times a power of ten: rounding takes off the last binary digits.
    digits = max(0, 1 - math.floor(math.log10(unit)))
    return np.round(np.arange(first, last + 1) * unit, digits)


@dataclass(frozen=True, eq=False)
class Axis:
    """One axis of a variable; of a variable with interactions, one of several.

    Parameters
    ----------
    name : str
        Column.
    values : tuple of float or of str
        Ticks: numbers, or the levels of a factor.
    effects : array of float, shape (ticks,)
        Contribution of each tick to the linear predictor (log hazard).
    points : array of float, shape (ticks,)
    settings : tuple of (str, value)
        Columns that interact with it, and the value of each for which the axis holds.
    """

    name: str
    values: tuple[float, ...] | tuple[str, ...]
    effects: NDArray[np.float64]
    points: NDArray[np.float64]
    settings: tuple[Setting, ...] = ()

    @property
    def is_factor(self) -> bool:
        """Whether the ticks are levels rather than numbers."""
        return isinstance(self.values[0], str)


@dataclass(frozen=True, eq=False)
class PointsScale:
    """Points of every variable, and the way from total points to the linear predictor.

    Parameters
    ----------
    axes : tuple of Axis
        One a variable; of variables that interact one has several, the others none.
    points_per_unit : float
        Points for one unit of linear predictor (``info$sc`` in rms).
    intercept : float
        Linear predictor at 0 total points (``info$Intercept`` in rms).
    """

    axes: tuple[Axis, ...]
    points_per_unit: float
    intercept: float

    def axis(self, name: str) -> Axis:
        """The axis of a column, the first if there are several.

        Raises
        ------
        KeyError
            No such column.
        """
        return self._of(name)[0]

    def _of(self, name: str) -> list[Axis]:
        found = [axis for axis in self.axes if axis.name == name]
        if not found:
            raise KeyError(name)
        return found

    def lowest(self, name: str) -> float:
        """Effect of a column at 0 points."""
        return float(min(axis.effects.min() for axis in self._of(name)))

    def points(self, name: str, effects: ArrayLike) -> NDArray[np.float64]:
        """Points of a variable that contributes ``effects`` to the linear predictor."""
        above = np.asarray(effects, dtype=float) - self.lowest(name)
        result: NDArray[np.float64] = above * self.points_per_unit
        return result

    def linear_predictor(self, total_points: ArrayLike) -> NDArray[np.float64]:
        """Linear predictor at a number of total points."""
        return np.asarray(total_points, dtype=float) / self.points_per_unit + self.intercept

    def total_points(self, linear_predictor: ArrayLike) -> NDArray[np.float64]:
        """Total points that stand for a linear predictor."""
        return (np.asarray(linear_predictor, dtype=float) - self.intercept) * self.points_per_unit

    @property
    def largest_total(self) -> float:
        """Total points with every variable at its worst tick."""
        names = dict.fromkeys(axis.name for axis in self.axes)
        return float(sum(max(axis.points.max() for axis in self._of(name)) for name in names))

    def to_frame(self) -> pd.DataFrame:
        """One row a tick: variable, value, effect, points; with interactions also settings."""
        rows = [
            (axis.name, _words(axis.settings), value, effect, points)
            for axis in self.axes
            for value, effect, points in zip(axis.values, axis.effects, axis.points, strict=True)
        ]
        table = pd.DataFrame(rows, columns=["variable", "settings", "value", "effect", "points"])
        return table if any(axis.settings for axis in self.axes) else table.drop(columns="settings")


def points_scale(
    effects: Mapping[str, tuple[Sequence[float] | Sequence[str], ArrayLike]],
    *,
    center: float = 0.0,
    maximum: float = 100.0,
) -> PointsScale:
    """Make the points scale from each variable's contribution at its ticks.

    Any term will do, linear, factor or spline: the scale only sees what it adds
    to the linear predictor.

    Parameters
    ----------
    effects : mapping of str to (values, effects)
        For each column its ticks and their contribution to the linear predictor.
    center : float
        Subtracted from the sum of contributions to give the linear predictor.
    maximum : float
        Points of the variable with the widest range.

    Returns
    -------
    PointsScale

    Raises
    ------
    CohortError
        No variable changes the linear predictor.

    Examples
    --------
    >>> scale = points_scale({"age": ([20, 40], [0.2, 0.4]), "N": (["N0", "N1"], [0.0, 0.5])})
    >>> scale.axis("age").points, scale.axis("N").points
    (array([ 0., 40.]), array([  0., 100.]))
    >>> round(float(scale.linear_predictor(140.0)), 9)
    0.9
    """
    axes = {name: [((), values, effect)] for name, (values, effect) in effects.items()}
    return scale_of(axes, center=center, maximum=maximum)


def scale_of(
    axes: Mapping[str, Sequence[AxisTicks]], *, center: float = 0.0, maximum: float = 100.0
) -> PointsScale:
    """Make the points scale of variables that may have several axes each, for interactions.

    Parameters
    ----------
    axes : mapping of str to sequence of (settings, values, effects)
        For each column its axes. All axes of a column start from the lowest effect among them.
    center, maximum
        As in :func:`points_scale`.

    Raises
    ------
    CohortError
        No variable changes the linear predictor.

    Examples
    --------
    >>> female, male = (("sex", "f"),), (("sex", "m"),)
    >>> scale = scale_of({"age": [(female, [20, 40], [0.2, 0.4]), (male, [20, 40], [0.3, 0.6])]})
    >>> [axis.points.round(9).tolist() for axis in scale.axes]
    [[0.0, 50.0], [25.0, 100.0]]
    """
    taken = {name: [np.asarray(effect, dtype=float) for _, _, effect in each] for name, each in axes.items()}
    ends = {name: (min(e.min() for e in each), max(e.max() for e in each)) for name, each in taken.items()}
    widest = max((float(high - low) for low, high in ends.values()), default=0.0)
    if not widest > 0:
        raise CohortError(
            "no variable of the model changes the risk: there is no points scale",
            "Draw the nomogram of another model.",
        )
    per_unit = maximum / widest
    made = tuple(
        Axis(name, _ticks(values), effect, (effect - ends[name][0]) * per_unit, tuple(settings))
        for name, each in axes.items()
        for (settings, values, _), effect in zip(each, taken[name], strict=True)
    )
    return PointsScale(made, per_unit, float(sum(low for low, _ in ends.values())) - center)


def _words(settings: Sequence[Setting]) -> str:
    """Settings as plain text: ``grade=2, hormon=0``."""
    return ", ".join(
        f"{name}={value if isinstance(value, str) else f'{value:.6g}'}" for name, value in settings
    )


def _ticks(values: Sequence[float] | Sequence[str]) -> tuple[float, ...] | tuple[str, ...]:
    """Ticks as plain floats or strings."""
    if isinstance(values[0], str):
        return tuple(str(value) for value in values)
    return tuple(float(value) for value in values)
