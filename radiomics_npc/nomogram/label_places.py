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

__all__ = [
    "Room",
    "Tick",
    "end_ticks",
    "estimated_room",
    "free",
    "number_text",
    "numeric_ticks",
    "shortened_text",
    "staggered_ticks",
    "thinned_ticks",
]

_LANES = ("below", "above", "far below")
_DEEPEST = 16
_LONGEST = 44  # characters of a level; the tables have all of them
_SAME = 0.003  # less apart than a line is wide


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
    above : bool
        Whether levels of a factor may stand above the axis.
    """

    width: Callable[[str], float]
    gap: float
    low: float = -0.04
    high: float = 1.045
    above: bool = True

    def box(self, tick: Tick) -> tuple[float, float]:
        """Ends of a label."""
        half = self.width(tick.text) / 2
        return tick.middle - half, tick.middle + half

    def inside(self, tick: Tick) -> Tick:
        """The tick with its label moved, as little as it takes to end within the room."""
        half = self.width(tick.text) / 2
        at = min(max(tick.middle, self.low + half), self.high - half)
        return tick if abs(at - tick.middle) < 1e-12 else replace(tick, at=at)


def estimated_room(character: float = 0.0125) -> Room:
    """Room where the width of a character is guessed, as a part of the axis."""
    return Room(lambda text: character * len(text), 1.2 * character)


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
    return end_ticks(places, numbers, room)


def end_ticks(places: Sequence[float], numbers: Sequence[float], room: Room) -> tuple[Tick, ...]:
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
    least = 0.4 * room.gap
    kept = [tick for tick in ticks if tick.text]
    for tick in ticks:
        if not tick.text and all(abs(tick.x - other.x) >= least for other in kept):
            kept.append(tick)
    return tuple(tick for tick in ticks if tick in kept)


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
    ticks, silent = _joined(positions, levels)
    ways = [_placed(list(order), room, aside) for order in _orders(ticks) for aside in _ASIDES]
    found = [way for way in ways if way is not None]
    if not found:  # each on a line of its own: no label can cover another
        found = [[replace(room.inside(t), lane="far below", depth=i + 2) for i, t in enumerate(ticks)]]
    best = min(found, key=lambda way: (max(t.depth for t in way), sum(t.depth + _moved(t) for t in way)))
    return tuple(sorted([*best, *silent], key=lambda tick: tick.x))


def _joined(positions: Sequence[float], levels: Sequence[str]) -> tuple[list[Tick], list[Tick]]:
    """Levels with their labels, one for those that the eye cannot tell apart; ticks without."""
    ticks: list[Tick] = []
    silent: list[Tick] = []
    for x, level in sorted(zip(positions, levels, strict=True)):
        both = f"{ticks[-1].text}, {level}" if ticks else ""
        near = bool(ticks) and x - ticks[-1].x < _SAME
        if near and (len(both) <= _LONGEST or x - ticks[-1].x < 1e-9):
            ticks[-1] = replace(ticks[-1], text=both)
            silent.append(Tick(x, ""))
        else:
            ticks.append(Tick(x, level))
    known = {tick.x for tick in ticks}
    shortened = [replace(tick, text=shortened_text(tick.text)) for tick in ticks]
    return shortened, [tick for tick in silent if tick.x not in known]


def shortened_text(text: str, most: int = _LONGEST) -> str:
    """A text cut to so many characters.

    Examples
    --------
    >>> shortened_text("keratinizing", 8)
    'keratin…'
    """
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def _moved(tick: Tick) -> float:
    """How far the label stands from its tick; to the other side of the axis counts, too."""
    return abs(tick.middle - tick.x) + 0.01 * (tick.lane == "above")


def _orders(ticks: list[Tick]) -> Iterator[list[Tick]]:
    """From the left, from the right, from both ends inwards, and outwards from places between."""
    yield ticks
    yield ticks[::-1]
    yield sorted(ticks, key=lambda tick: min(tick.x, 1 - tick.x))
    for middle in (0.2, 0.35, 0.5, 0.65, 0.8):
        yield sorted(ticks, key=lambda tick: abs(tick.x - middle))


# Where the label stands: under its tick, to its right, to its left.
_ASIDES = ((0.0, 0.5, -0.5), (0.5, -0.5, 0.0), (-0.5, 0.5, 0.0), (0.5,), (-0.5,))


def _placed(ticks: list[Tick], room: Room, aside: Sequence[float]) -> list[Tick] | None:
    """Put one after another where it fits; None if one fits nowhere."""
    placed: list[Tick] = []
    for tick in ticks:
        width = room.width(tick.text) + 0.6 * room.gap
        lines = [("below", 1), *[("above", 1)] * room.above]
        lines += [("far below", depth) for depth in range(2, _DEEPEST)]
        candidates = (
            room.inside(replace(tick, lane=lane, depth=depth, at=tick.x + side * width if side else None))
            for lane, depth in lines
            for side in aside
        )
        chosen = next((tried for tried in candidates if _fits(tried, placed, room)), None)
        if chosen is None:
            return None
        placed.append(chosen)
    for i, tick in enumerate(placed):  # back under its tick, where that became possible
        centered, others = room.inside(replace(tick, at=None)), placed[:i] + placed[i + 1 :]
        if _fits(centered, others, room):
            placed[i] = centered
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
        clear = 0.15 * room.gap
        if tick.depth > other.depth and left - clear < tick.x < right + clear:
            return False
        if tick.depth < other.depth and low - clear < other.x < high + clear:
            return False
    return True
