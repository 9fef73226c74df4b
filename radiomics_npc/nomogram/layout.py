"""Where every tick and label of a nomogram goes, before anything is drawn.

The figure and the interactive page are both drawn from these rows. Positions
run from 0 to 1 along the axis; text widths are estimated, so that crowded
labels are staggered (levels of a factor) or left out (numbers).
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from radiomics_npc.nomogram.labels import column_label, level_label
from radiomics_npc.nomogram.scale import Axis, pretty

if TYPE_CHECKING:
    from radiomics_npc.nomogram.nomogram import Nomogram

__all__ = ["Row", "Tick", "layout", "survival_title", "wrapped"]

# Survival probabilities shown, the ones that must have a label first.
_SURVIVAL = (
    (0.9, 0.5, 0.7, 0.3, 0.1), (0.8, 0.6, 0.4, 0.2), (0.95, 0.05), (0.99, 0.01),
    (0.85, 0.75, 0.65, 0.55, 0.45, 0.35, 0.25, 0.15), (0.98, 0.97, 0.96, 0.94, 0.93, 0.92, 0.91),
)  # fmt: skip
_LANES = ("below", "above", "far below")


@dataclass(frozen=True)
class Tick:
    """A tick at ``x`` (0 to 1), with its label ("" for none) and the lane the label stands in."""

    x: float
    text: str
    lane: str = "below"


@dataclass(frozen=True)
class Row:
    """One axis: title, line from ``start`` to ``end`` (0 to 1), ticks; ``name`` is the column, if any."""

    title: str
    ticks: tuple[Tick, ...]
    start: float
    end: float
    name: str = ""
    kind: str = "variable"

    @property
    def lanes(self) -> set[str]:
        """Lanes in which labels stand."""
        return {tick.lane for tick in self.ticks if tick.text}


def survival_title(months: float, outcome: str) -> str:
    """Title of a survival axis.

    Examples
    --------
    >>> survival_title(60, "progression-free survival"), survival_title(30, "overall survival")
    ('5-year progression-free survival', '30-month overall survival')
    """
    unit = f"{months / 12:g}-year" if months % 12 == 0 else f"{months:g}-month"
    return f"{unit} {outcome}"


def _number(value: float) -> str:
    """Number as printed, with a true minus sign."""
    return f"{value:.6g}".replace("-", "−")


def _free(ticks: Sequence[Tick], character: float) -> bool:
    """Whether labels of one lane stand apart; ``character`` is the width of one, as part of the axis."""
    ordered = sorted((t for t in ticks if t.text), key=lambda t: t.x)
    return all(b.x - a.x >= character * ((len(a.text) + len(b.text)) / 2 + 1.2) for a, b in pairwise(ordered))


def _thinned(positions: Iterable[float], values: Iterable[float], character: float) -> tuple[Tick, ...]:
    """Numeric ticks; only rounder and rounder values keep their labels until none touch."""
    places, numbers = [float(x) for x in positions], [float(v) for v in values]
    step = min((b - a for a, b in pairwise(numbers)), default=1.0)
    for keep in range(1, 101):
        if f"{step * keep:e}"[:8] not in ("1.000000", "2.000000", "5.000000"):
            continue
        texts = [_number(v) if round(v / step) % keep == 0 else "" for v in numbers]
        ticks = tuple(Tick(x, text) for x, text in zip(places, texts, strict=True))
        if _free(ticks, character):
            return ticks
    return tuple(Tick(x, _number(v) if x == places[0] else "") for x, v in zip(places, numbers, strict=True))


def _numeric(positions: Sequence[float], values: Sequence[float], character: float) -> tuple[Tick, ...]:
    """Ticks of a number; where a spline turns back, the labels change lane."""
    directions = np.sign(np.diff(positions, append=positions[-1:]))
    directions[-1:] = directions[-2:-1]
    runs = np.cumsum(np.diff(directions, prepend=directions[:1]) != 0)
    lanes: dict[str, list[Tick]] = {lane: [] for lane in _LANES}
    for run in np.unique(runs):
        lane = _LANES[int(run) % len(_LANES)]
        at = [int(i) for i in np.flatnonzero(runs == run)]
        for tick in _thinned([positions[i] for i in at], [values[i] for i in at], character):
            free = _free([*lanes[lane], tick], character)
            lanes[lane].append(Tick(tick.x, tick.text if free else "", lane))
    return tuple(tick for ticks in lanes.values() for tick in ticks)


def _staggered(positions: Sequence[float], levels: Sequence[str], character: float) -> tuple[Tick, ...]:
    """Levels of a factor: none is left out; neighbors that would touch change lane."""
    together: dict[float, list[str]] = {}
    for x, level in sorted(zip(positions, levels, strict=True)):
        together.setdefault(round(x, 9), []).append(level_label(level))
    lanes: dict[str, list[Tick]] = {lane: [] for lane in _LANES}
    for x, names in together.items():
        ticks = [Tick(x, ", ".join(names), lane) for lane in _LANES]
        chosen = next((t for t in ticks if _free([*lanes[t.lane], t], character)), ticks[-1])
        lanes[chosen.lane].append(chosen)
    return tuple(sorted((t for lane in lanes.values() for t in lane), key=lambda t: t.x))


def _variable_row(axis: Axis, character: float) -> Row:
    positions = [float(p) / 100 for p in axis.points]
    if axis.is_factor:
        ticks = _staggered(positions, [str(v) for v in axis.values], character)
    else:
        ticks = _numeric(positions, [float(v) for v in axis.values], character)
    return Row(column_label(axis.name), ticks, min(positions), max(positions), axis.name)


def _survival_row(nomogram: Nomogram, horizon: int, character: float) -> Row:
    """Survival axis: round probabilities that the total points can reach."""
    scale = nomogram.scale
    ends = nomogram.survival(scale.linear_predictor([0.0, scale.largest_total]))[:, horizon]
    high, low = float(ends[0]), float(ends[1])
    groups = [[p for p in group if low <= p <= high] for group in _SURVIVAL]
    if sum(map(len, groups)) < 4:
        groups = [[float(p) for p in pretty(low, high, 6) if low <= p <= high and 0 < p < 1]]
    ticks: list[Tick] = []
    for group in groups:
        for probability in group:
            lp = float(nomogram.linear_predictor_at(probability, horizon))
            tick = Tick(float(scale.total_points(lp)) / scale.largest_total, f"{probability:.4g}")
            ticks.append(tick if _free([*ticks, tick], character) else replace(tick, text=""))
    # Unlabeled ticks only where there is room for them.
    labeled = [t.x for t in ticks if t.text]
    kept = [t for t in ticks if t.text or min(abs(t.x - x) for x in labeled) > character]
    kept.sort(key=lambda t: t.x)
    title = survival_title(nomogram.horizons_months[horizon], nomogram.outcome)
    return Row(title, tuple(kept), kept[0].x, kept[-1].x, kind="survival")


def layout(nomogram: Nomogram, *, character: float = 0.0125, linear_predictor: bool = True) -> list[Row]:
    """Rows of a nomogram from top to bottom.

    Parameters
    ----------
    nomogram : Nomogram
    character : float
        Width of a character of the labels, as part of the length of the axis.
    linear_predictor : bool
        Whether to include that axis.

    Returns
    -------
    list of Row
        Points, the variables, total points, linear predictor, survival.
    """
    scale, largest = nomogram.scale, nomogram.scale.largest_total
    points = np.arange(0, 101, 10.0)
    rows = [Row("Points", _thinned(points / 100, points, character), 0, 1, kind="points")]
    rows += [_variable_row(axis, character) for axis in scale.axes]
    totals = pretty(0, largest, 12)
    totals = totals[totals <= largest * (1 + 1e-9)]
    rows.append(Row("Total points", _thinned(totals / largest, totals, character), 0, 1, kind="total"))
    if linear_predictor:
        ends = scale.linear_predictor([0.0, largest])
        lp = np.array([v for v in pretty(*ends) if ends[0] - 1e-9 <= v <= ends[1] + 1e-9])
        at = scale.total_points(lp) / largest
        ticks = _thinned(at, lp, character)
        rows.append(Row("Linear predictor", ticks, float(at[0]), float(at[-1]), kind="linear predictor"))
    return rows + [_survival_row(nomogram, i, character) for i in range(len(nomogram.horizons_months))]


def wrapped(title: str, width: int = 20) -> list[str]:
    """Title in lines of at most ``width`` characters where words allow."""
    return textwrap.wrap(title, width, break_long_words=False, break_on_hyphens=False)
