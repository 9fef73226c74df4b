"""What is drawn over a nomogram: a worked patient, and how a cohort is distributed."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from radiomics_npc.nomogram.distributions import Distribution
from radiomics_npc.nomogram.layout import Row
from radiomics_npc.nomogram.style import INK, PALETTE
from radiomics_npc.nomogram.worked_patient import Mark

__all__ = ["draw_distribution", "draw_patient"]

# Pale blue with a dark edge, and a filled diamond with a black one: apart in grey, too.
_FILL, _EDGE = "#b5d7ee", PALETTE[0]
_MARK = PALETTE[1]
_FONT = 8.0


def draw_distribution(axes: Any, shown: Distribution, y: float, length: float, *, height: float) -> None:
    """A density, or boxes in proportion, that stand on ``y`` (all in inches).

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        In inches, y downwards.
    shown : Distribution
    y : float
    length : float
        Of the axis of the nomogram.
    height : float
        Of the highest.
    """
    x, top = shown.x * length, y - shown.height * height
    if not shown.boxes:
        axes.fill_between(x, np.full(len(x), y), top, facecolor=_FILL, edgecolor="none", zorder=1)
        axes.plot([x[0], *x, x[-1]], [y, *top, y], color=_EDGE, lw=0.7, zorder=1.1)
        return
    apart = min((b - a for a, b in pairwise(np.sort(x))), default=1.0)
    width = float(np.clip(0.7 * apart, 0.02, 0.13))
    axes.bar(x, top - y, bottom=y, width=width, facecolor=_FILL, edgecolor=_EDGE, linewidth=0.7, zorder=1)


def draw_patient(
    axes: Any,
    rows: Sequence[Row],
    marks: Sequence[Mark | None],
    places: Sequence[float],
    length: float,
    columns: tuple[float, ...],
) -> None:
    """Diamonds on the axes, dashed lines up to the points and down from the total, values at the right.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        In inches, y downwards.
    rows, marks, places
        Of every axis; places are inches.
    length : float
        Of the axis of the nomogram.
    columns : tuple of float
        Where the columns at the right start, then their widths.
    """
    start, first, second = columns
    total = [row.kind for row in rows].index("total")
    ends = (start + first, start + first + second)
    line = {"color": "0.3", "lw": 0.7, "dashes": (3.5, 2.2), "zorder": 0.6}
    for x, text in zip(ends, ("Patient", "Points"), strict=True):
        _write(axes, x, places[0], text, bold=True)
    for row, mark, y in zip(rows, marks, places, strict=True):
        if mark is None:
            continue
        x = mark.x * length
        if row.kind == "variable":
            axes.plot([x, x], [places[0], y], **line)
            axes.plot(
                [x], [places[0]], marker="v", ms=3.6, color=_MARK, mec=INK, mew=0.4, zorder=4, clip_on=False
            )
        axes.plot([x], [y], marker="D", ms=4.6, color=_MARK, mec=INK, mew=0.7, zorder=4, clip_on=False)
        _write(axes, ends[0], y, mark.value, bold=row.kind in ("survival", "quantile"))
        _write(axes, ends[1], y, mark.points, bold=row.kind == "total")
    down = marks[total]
    if down is not None:
        axes.plot([down.x * length] * 2, [places[total], places[-1]], **line | {"lw": 0.9})


def _write(axes: Any, x: float, y: float, text: str, *, bold: bool = False) -> None:
    axes.text(
        x, y + 0.36 * _FONT / 72, text, ha="right", va="baseline", fontsize=_FONT, parse_math=False,
        fontweight="bold" if bold else "normal",
    )  # fmt: skip
