"""The nomogram as a matplotlib figure for a paper."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from radiomics_npc.nomogram.layout import Row, Tick, layout, wrapped
from radiomics_npc.nomogram.style import GREY, INK, figure_style, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from radiomics_npc.nomogram.nomogram import Nomogram

__all__ = ["draw_nomogram"]

# Inches, but for the font (72 points to the inch).
_FONT = 8.0
_TITLE = 1.72
_MARGIN = 0.25
_TICK = 0.055
_LINE = _FONT * 1.25 / 72
_GAP = 0.13


def _extent(row: Row) -> tuple[float, float]:
    """Inches that a row takes above and below its line."""
    title = _LINE * len(wrapped(row.title)) / 2
    labels = {"below": 0.0, "above": 0.0}
    labels["above" if row.kind == "points" else "below"] = _TICK + _LINE
    if "above" in row.lanes:
        labels["above"] = _TICK + _LINE
    if "far below" in row.lanes:
        labels["below"] += _LINE
    return max(title, labels["above"]), max(title, labels["below"])


def _places(rows: list[Row]) -> list[float]:
    """Inches from the top of the figure to the line of each row, then to the bottom."""
    places, y = [], 0.08
    for row in rows:
        above, below = _extent(row)
        y += above + _GAP * (2.2 if row.kind == "total" else 1.0)
        places.append(y)
        y += below
    return [*places, y + 0.08]


def _draw_tick(axes: Any, tick: Tick, x: float, y: float, up: bool) -> None:
    """One tick and its label, in inches."""
    above = up or tick.lane == "above"
    sign = -1 if above else 1
    length = _TICK if tick.text else 0.6 * _TICK
    if tick.lane == "far below":
        length = _TICK + _LINE
    axes.plot([x, x], [y, y + sign * length], color=INK, lw=0.7, solid_capstyle="butt")
    if tick.text:
        vertical = "bottom" if above else "top"
        clear = {"facecolor": "white", "edgecolor": "none", "pad": 0.4}  # keeps the guides out of the text
        at = y + sign * (length + 0.018)
        axes.text(x, at, tick.text, ha="center", va=vertical, fontsize=_FONT, bbox=clear)


def _draw_row(axes: Any, row: Row, y: float, width: float) -> None:
    lines = wrapped(row.title)
    weight = "bold" if row.kind in ("points", "total") else "normal"
    for i, line in enumerate(lines):
        # 0.36 em under the middle is the baseline that centers lower case and capitals.
        base = y + (i - (len(lines) - 1) / 2) * _LINE + 0.36 * _FONT / 72
        axes.text(-0.3, base, line, ha="right", va="baseline", fontsize=_FONT, fontweight=weight)
    axes.plot([row.start * width, row.end * width], [y, y], color=INK, lw=0.9, solid_capstyle="projecting")
    for tick in row.ticks:
        _draw_tick(axes, tick, tick.x * width, y, up=row.kind == "points")


def draw_nomogram(nomogram: Nomogram, *, width: float = 7.2, linear_predictor: bool = True) -> Figure:
    """Draw points, variables, total points, linear predictor and survival axes.

    Black on white with thin grey guides: nothing depends on color. Levels that
    would touch are staggered, numbers that would touch are left out.

    Parameters
    ----------
    nomogram : Nomogram
    width : float
        Inches; 7.2 is a double column.
    linear_predictor : bool
        Whether to draw that axis.

    Returns
    -------
    matplotlib.figure.Figure
    """
    length = width - _TITLE - _MARGIN
    rows = layout(nomogram, character=0.62 * _FONT / 72 / length, linear_predictor=linear_predictor)
    *places, bottom = _places(rows)
    height = bottom + (0.25 if nomogram.simulated else 0.0)
    with figure_style():
        figure = new_figure(width, height)
        figure.set_layout_engine("none")
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(-_TITLE, length + _MARGIN), ylim=(height, 0))
        axes.set_axis_off()
        last = [row.kind for row in rows].index("total") - 1
        for tenth in range(11):  # guides by which the eye goes up to the points
            x = tenth / 10 * length
            axes.plot([x, x], [places[0], places[last]], color="0.88", lw=0.5, zorder=0)
        for row, place in zip(rows, places, strict=True):
            _draw_row(axes, row, place, length)
        if nomogram.simulated:
            words = "Trained on simulated patients: shows the method, not for any patient."
            axes.text(0, height - 0.08, words, va="bottom", fontsize=_FONT - 1, style="italic", color=GREY)
    return figure
