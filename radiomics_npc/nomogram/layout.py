"""Where every tick and label of a nomogram goes, before anything is drawn.

The figure and the interactive page are both drawn from these rows. Positions
run from 0 to 1 along the axis.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from radiomics_npc.nomogram.interactions import axis_label
from radiomics_npc.nomogram.label_places import (
    Room,
    Tick,
    end_ticks,
    estimated_room,
    free,
    number_text,
    numeric_ticks,
    staggered_ticks,
    thinned_ticks,
)
from radiomics_npc.nomogram.labels import level_label
from radiomics_npc.nomogram.scale import Axis, Setting, pretty

if TYPE_CHECKING:
    from radiomics_npc.nomogram.nomogram import Nomogram

__all__ = ["Row", "Tick", "layout", "quantile_title", "survival_title", "variable_row", "wrapped"]

# Survival probabilities shown, the ones that must have a label first.
_SURVIVAL = (
    (0.9, 0.5, 0.7, 0.3, 0.1), (0.8, 0.6, 0.4, 0.2), (0.95, 0.05), (0.99, 0.01),
    (0.85, 0.75, 0.65, 0.55, 0.45, 0.35, 0.25, 0.15), (0.98, 0.97, 0.96, 0.94, 0.93, 0.92, 0.91),
)  # fmt: skip
# Months shown on the axis of a quantile, in the same way.
_MONTHS = (
    (60, 36, 12, 120), (24, 48, 84), (72, 6, 96, 108, 180, 240), (18, 30, 42, 54), (3, 9, 15, 21, 144, 300),
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One axis of the drawing.

    Parameters
    ----------
    title : str
    ticks : tuple of Tick
    start, end : float
        Ends of the line, 0 to 1.
    name : str
        Column, if it is the axis of one.
    kind : {"points", "variable", "total", "linear predictor", "survival", "quantile"}
    settings : tuple of (str, value)
        Of a variable with interactions: the values of others for which the axis holds.
    """

    title: str
    ticks: tuple[Tick, ...]
    start: float
    end: float
    name: str = ""
    kind: str = "variable"
    settings: tuple[Setting, ...] = ()

    @property
    def lanes(self) -> set[str]:
        """Lanes in which labels stand."""
        return {tick.lane for tick in self.ticks if tick.text}

    @property
    def depth(self) -> int:
        """Lines of labels below the axis."""
        return max((tick.depth for tick in self.ticks if tick.text and tick.lane != "above"), default=0)


def survival_title(months: float, outcome: str) -> str:
    """Title of a survival axis.

    Examples
    --------
    >>> survival_title(60, "progression-free survival"), survival_title(30, "overall survival")
    ('5-year progression-free survival', '30-month overall survival')
    """
    unit = f"{months / 12:g}-year" if months % 12 == 0 else f"{months:g}-month"
    return f"{unit} {outcome}"


def quantile_title(quantile: float, outcome: str) -> str:
    """Title of the axis of a quantile of survival time.

    Examples
    --------
    >>> quantile_title(0.5, "overall survival"), quantile_title(0.75, "overall survival")
    ('Median overall survival (months)', 'Months to 75% overall survival')
    """
    if quantile == 0.5:
        return f"Median {outcome} (months)"
    return f"Months to {100 * quantile:g}% {outcome}"


def variable_row(axis: Axis, room: Room) -> Row:
    """The axis of a variable: levels of a factor are all kept, numbers thinned."""
    positions = [float(p) / 100 for p in axis.points]
    if axis.is_factor:
        ticks = staggered_ticks(positions, [level_label(v) for v in axis.values], room)
    else:
        ticks = numeric_ticks(positions, [float(v) for v in axis.values], room)
    ends = min(positions), max(positions)
    return Row(axis_label(axis.name, axis.settings), ticks, *ends, axis.name, settings=axis.settings)


def _chosen_ticks(
    groups: Sequence[Sequence[float]],
    place: Callable[[float], float],
    text: Callable[[float], str],
    room: Room,
) -> tuple[Tick, ...]:
    """Ticks at values of which the first groups are labeled first."""
    ticks: list[Tick] = []
    for value in (value for group in groups for value in group):
        tick = room.inside(Tick(place(value), text(value)))
        ticks.append(tick if free([*ticks, tick], room) else replace(tick, text="", at=None))
    kept = [tick for tick in ticks if tick.text]
    if len(kept) < 2 < len(ticks):
        known = sorted((place(value), value) for group in groups for value in group)
        return end_ticks([x for x, _ in known], [value for _, value in known], room)
    for tick in ticks:  # unlabeled ones only where there is room for them
        if not tick.text and min(abs(tick.x - other.x) for other in kept) > 0.6 * room.gap:
            kept.append(tick)
    return tuple(sorted(kept, key=lambda t: t.x))


def _survival_row(nomogram: Nomogram, horizon: int, room: Room) -> Row:
    """Survival axis: round probabilities that the total points can reach."""
    scale = nomogram.scale
    ends = nomogram.survival(scale.linear_predictor([0.0, scale.largest_total]))[:, horizon]
    high, low = float(ends[0]), float(ends[1])
    groups = [[p for p in group if low <= p <= high] for group in _SURVIVAL]
    if sum(map(len, groups)) < 4:
        groups = [[float(p) for p in pretty(low, high, 6) if low <= p <= high and 0 < p < 1]]

    def place(probability: float) -> float:
        lp = float(nomogram.linear_predictor_at(probability, horizon))
        return float(scale.total_points(lp)) / scale.largest_total

    ticks = _chosen_ticks(groups, place, lambda probability: f"{probability:.4g}", room)
    title = survival_title(nomogram.horizons_months[horizon], nomogram.outcome)
    return Row(title, ticks, ticks[0].x, ticks[-1].x, kind="survival")


def _quantile_row(nomogram: Nomogram, quantile: float, room: Room) -> Row:
    """Axis of the months to a survival, where the total points reach it within the follow-up."""
    scale = nomogram.scale

    def place(months: float) -> float:
        lp = float(nomogram.linear_predictor_of(quantile, months))
        return float(scale.total_points(lp)) / scale.largest_total

    groups = [[float(m) for m in group if 0 <= place(m) <= 1] for group in _MONTHS]
    if sum(map(len, groups)) < 3:
        ends = nomogram.months_to(quantile, scale.linear_predictor([0.0, scale.largest_total]))
        shortest, longest = float(ends[1]), float(np.nan_to_num(ends[0], nan=nomogram.baseline_months[-1]))
        groups = [[float(m) for m in pretty(shortest, longest, 6) if 0 <= place(m) <= 1] or [shortest]]
    ticks = _chosen_ticks(groups, place, number_text, room)
    title = quantile_title(quantile, nomogram.outcome)
    return Row(title, ticks, ticks[0].x, ticks[-1].x, kind="quantile")


def layout(
    nomogram: Nomogram,
    *,
    character: float = 0.0125,
    linear_predictor: bool = True,
    room: Room | None = None,
) -> list[Row]:
    """Rows of a nomogram from top to bottom.

    Parameters
    ----------
    nomogram : Nomogram
    character : float
        Width of a character of the labels, as part of the length of the axis.
    linear_predictor : bool
        Whether to include that axis.
    room : Room, optional
        Widths of the labels as measured, instead of estimated from ``character``.

    Returns
    -------
    list of Row
        Points, the variables (one row each, or several that interact), total points, linear
        predictor, survival at each horizon, quantiles of survival time.
    """
    room = room or estimated_room(character)
    scale, largest = nomogram.scale, nomogram.scale.largest_total
    points = np.arange(0, 101, 10.0)
    rows = [Row("Points", thinned_ticks((points / 100).tolist(), points.tolist(), room), 0, 1, kind="points")]
    rows += [variable_row(axis, room) for axis in scale.axes]
    totals = pretty(0, largest, 12)
    totals = totals[totals <= largest * (1 + 1e-9)]
    rows.append(
        Row(
            "Total points",
            thinned_ticks((totals / largest).tolist(), totals.tolist(), room),
            0,
            1,
            kind="total",
        )
    )
    if linear_predictor:
        rows.append(_linear_predictor_row(nomogram, room))
    rows += [_survival_row(nomogram, i, room) for i in range(len(nomogram.horizons_months))]
    return rows + [_quantile_row(nomogram, quantile, room) for quantile in nomogram.quantiles]


def _linear_predictor_row(nomogram: Nomogram, room: Room) -> Row:
    scale = nomogram.scale
    ends = scale.linear_predictor([0.0, scale.largest_total])
    values: NDArray[np.float64] = pretty(*ends)
    values = values[(values >= ends[0] - 1e-9) & (values <= ends[1] + 1e-9)]
    at = scale.total_points(values) / scale.largest_total
    ticks = thinned_ticks(at.tolist(), values.tolist(), room)
    return Row("Linear predictor", ticks, float(at[0]), float(at[-1]), kind="linear predictor")


def wrapped(title: str, width: int = 20) -> list[str]:
    """Title in lines of at most ``width`` characters; a longer word is broken, if it can be at a capital.

    Settings of an interaction start a line of their own.

    Examples
    --------
    >>> wrapped("T1 GLCM InverseDifferenceMoment")
    ['T1 GLCM Inverse', 'Difference Moment']
    >>> wrapped("Age (years) if EBV-DNA = positive")
    ['Age (years)', 'if EBV-DNA', '= positive']
    """
    words = [
        re.sub(r"(?<=[a-z])(?=[A-Z])", " ", word) if len(word) > width else word for word in title.split()
    ]
    whole = " ".join(words).replace(" = ", " =\u00a0")  # a value stays with its sign
    parts = re.split(r" (?=if .* =\u00a0)", whole, maxsplit=1)
    lines = [line for part in parts for line in textwrap.wrap(part, width, break_on_hyphens=False)]
    return [line.replace("\u00a0", " ") for line in lines]
