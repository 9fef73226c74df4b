"""Where the labels of an axis stand, so that none covers another.

Positions run from 0 to 1 along the axis. Numbers that would touch are left out. Levels of
a factor are all kept: beside their tick, above or below the axis, or on lines further
below, to which a leader goes down that crosses no other label.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

__all__ = ["Room", "Tick", "free", "number_text", "numeric_ticks", "staggered_ticks", "thinned_ticks"]

_LANES = ("below", "above", "far below")
_DEEPEST = 9
_LONGEST = 44  # characters of a level; the tables have all of them


@dataclass(frozen=True)
class Tick:
    """A tick and its label.

    Parameters
    ----------
    x : float
        From 0 to 1.
    text : str
        The label; "" for none.
    lane : {"below", "above", "far below"}
        Where the label stands.
    at : float, optional
        Middle of the label, where that is not ``x``.
    depth : int
        The line below (or above) the axis on which it stands: 1 is next to it, those far
        below have 2 or more.
    """

    x: float
    text: str
    lane: str = "below"
    at: float | None = None
    depth: int = 1

    @property
    def middle(self) -> float:
        """Middle of the label."""
        return self.x if self.at is None else self.at


@dataclass(frozen=True)
class Room:
    """Widths of texts and the room that they have, as parts of the axis.

    Parameters
    ----------
    width : callable
        Width of a text.
    gap : float
        Least distance of two labels.
    low, high : float
        Labels do not reach further.
    """

    width: Callable[[str], float]
    gap: float
    low: float = -0.04
    high: float = 1.045

    def box(self, tick: Tick) -> tuple[float, float]:
        """Ends of a label."""
        half = self.width(tick.text) / 2
        return tick.middle - half, tick.middle + half

    def inside(self, tick: Tick) -> Tick:
        """The tick with its label moved, as little as it takes to end within the room."""
        half = self.width(tick.text) / 2
        at = min(max(tick.middle, self.low + half), self.high - half)
        return tick if abs(at - tick.middle) < 1e-12 else replace(tick, at=at)


def number_text(value: float) -> str:
    """Number as printed, with a true minus sign.

    Examples
    --------
    >>> number_text(-0.25), number_text(80.0)
    ('−0.25', '80')
    """
    return f"{value:.6g}".replace("-", "−")


def free(ticks: Sequence[Tick], room: Room) -> bool:
    """Whether labels of one lane stand apart."""
    boxes = sorted(room.box(tick) for tick in ticks if tick.text)
    return all(right[0] - left[1] >= room.gap - 1e-12 for left, right in pairwise(boxes))


def thinned_ticks(
    positions: Sequence[float], values: Sequence[float], room: Room, *, least: int = 2
) -> tuple[Tick, ...]:
    """Ticks of a number; only rounder and rounder values keep their labels until none touch.

    Where fewer than ``least`` would be left, the ends are labeled; on an axis too short for
    two labels the ends alone stay, with one label for both.
    """
    places, numbers = [float(x) for x in positions], [float(v) for v in values]
    step = min((abs(b - a) for a, b in pairwise(numbers)), default=1.0)
    for keep in range(1, 101):
        if f"{step * keep:e}"[:8] not in ("1.000000", "2.000000", "5.000000"):
            continue
        texts = [number_text(v) if round(v / step) % keep == 0 else "" for v in numbers]
        if keep > 1 and sum(map(bool, texts)) < least:
            break
        ticks = [room.inside(Tick(x, text)) for x, text in zip(places, texts, strict=True)]
        if free(ticks, room):
            return _without_crowd(ticks, room)
    return _ends(places, numbers, room)


def _ends(places: Sequence[float], numbers: Sequence[float], room: Room) -> tuple[Tick, ...]:
    """The ends of an axis, with a label each or one for both."""
    first, last = sorted([(places[0], numbers[0]), (places[-1], numbers[-1])])
    shown = [
        room.inside(Tick(x, number_text(v) if v in (first[1], last[1]) else ""))
        for x, v in zip(places, numbers, strict=True)
    ]
    if first[0] < last[0] and free(shown, room):
        return _without_crowd(shown, room)
    both = " to ".join(dict.fromkeys(number_text(value) for _, value in (first, last)))
    return room.inside(Tick(first[0], both, at=(first[0] + last[0]) / 2)), Tick(last[0], "")


def _without_crowd(ticks: Sequence[Tick], room: Room) -> tuple[Tick, ...]:
    """Ticks without a label only where there is room for them."""
    labeled = [tick.x for tick in ticks if tick.text]
    least = 0.4 * room.gap
    spacing = min((abs(b.x - a.x) for a, b in pairwise(ticks)), default=1.0)
    if spacing >= least:
        return tuple(ticks)
    return tuple(t for t in ticks if t.text or (labeled and min(abs(t.x - x) for x in labeled) > 4 * least))


def numeric_ticks(positions: Sequence[float], values: Sequence[float], room: Room) -> tuple[Tick, ...]:
    """Ticks of a number; where a spline turns back, the labels change lane."""
    directions = np.sign(np.diff(positions, append=positions[-1:]))
    directions[-1:] = directions[-2:-1]
    runs = np.cumsum(np.diff(directions, prepend=directions[:1]) != 0)
    if not runs.any():
        return thinned_ticks(positions, values, room)
    lanes: dict[str, list[Tick]] = {lane: [] for lane in _LANES}
    for run in np.unique(runs):
        lane = _LANES[int(run) % len(_LANES)]
        at = [int(i) for i in np.flatnonzero(runs == run)]
        for thin in thinned_ticks([positions[i] for i in at], [values[i] for i in at], room, least=1):
            tick = replace(thin, lane=lane, depth=2 if lane == "far below" else 1)
            placed = [t for ticks in lanes.values() for t in ticks]
            lanes[lane].append(tick if _fits(tick, placed, room) else replace(tick, text="", at=None))
    return tuple(tick for ticks in lanes.values() for tick in ticks)


def staggered_ticks(positions: Sequence[float], levels: Sequence[str], room: Room) -> tuple[Tick, ...]:
    """Ticks of the levels of a factor: none is left out; those of one position share a label."""
    together: dict[float, list[str]] = {}
    for x, level in sorted(zip(positions, levels, strict=True)):
        together.setdefault(round(x, 9), []).append(level)
    ticks = [Tick(x, _shortened(", ".join(names))) for x, names in together.items()]
    ways = [_placed(list(order), room, aside) for order in _orders(ticks) for aside in _ASIDES]
    found = [way for way in ways if way is not None]
    if not found:  # each on a line of its own: no label can cover another
        found = [[replace(room.inside(t), lane="far below", depth=i + 2) for i, t in enumerate(ticks)]]
    best = min(found, key=lambda way: (max(t.depth for t in way), sum(t.depth + _moved(t) for t in way)))
    return tuple(sorted(best, key=lambda tick: tick.x))


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1].rstrip() + "…"


def _moved(tick: Tick) -> float:
    """How far the label stands from its tick; to the other side of the axis counts, too."""
    return abs(tick.middle - tick.x) + 0.01 * (tick.lane == "above")


def _orders(ticks: list[Tick]) -> Iterator[list[Tick]]:
    """From the left, from the right, and from both ends inwards."""
    yield ticks
    yield ticks[::-1]
    yield sorted(ticks, key=lambda tick: min(tick.x, 1 - tick.x))


# Where the label stands: under its tick, to its right, to its left.
_ASIDES = ((0.0, 0.5, -0.5), (0.5, -0.5, 0.0), (-0.5, 0.5, 0.0))


def _placed(ticks: list[Tick], room: Room, aside: Sequence[float]) -> list[Tick] | None:
    """Put one after another where it fits; None if one fits nowhere."""
    placed: list[Tick] = []
    for tick in ticks:
        width = room.width(tick.text)
        lines = [("below", 1), ("above", 1), *(("far below", depth) for depth in range(2, _DEEPEST))]
        candidates = (
            room.inside(replace(tick, lane=lane, depth=depth, at=tick.x + side * width if side else None))
            for lane, depth in lines
            for side in aside
        )
        chosen = next((tried for tried in candidates if _fits(tried, placed, room)), None)
        if chosen is None:
            return None
        placed.append(chosen)
    return placed


def _fits(tick: Tick, placed: Sequence[Tick], room: Room) -> bool:
    """Whether a label covers no other, and no leader crosses a label."""
    if not tick.text:
        return True
    low, high = room.box(tick)
    for other in placed:
        if not other.text:
            continue
        left, right = room.box(other)
        if (tick.lane == "above") != (other.lane == "above"):
            continue
        if tick.depth == other.depth and low < right + room.gap - 1e-12 and left < high + room.gap - 1e-12:
            return False
        if tick.depth > other.depth and left < tick.x < right:
            return False
        if tick.depth < other.depth and low < other.x < high:
            return False
    return True
