"""The nomogram as a matplotlib figure for a paper."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from radiomics_npc.nomogram.distributions import Distribution, distributions
from radiomics_npc.nomogram.label_places import Room, estimated_room, shortened_text
from radiomics_npc.nomogram.layout import Row, Tick, layout, wrapped
from radiomics_npc.nomogram.overlays import draw_distribution, draw_patient
from radiomics_npc.nomogram.style import GREY, INK, figure_style, new_figure
from radiomics_npc.nomogram.worked_patient import Mark, Patient, patient_marks, with_patient_rows

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from radiomics_npc.nomogram.nomogram import Nomogram

__all__ = ["draw_nomogram"]

# Inches, but for the font (72 points to the inch).
_FONT = 8.0
_SMALL = 7.0
_MARGIN = 0.25
_TICK = 0.055
_LINE = _FONT * 1.25 / 72
_GAP = 0.13
_BETWEEN = 0.3  # of the titles and the axes
_DENSITY = 0.26
_WIDEST = 1.5  # of what a worked patient has
_SIMULATED = "Trained on simulated patients: shows the method, not for any patient."


@cache
def _width(text: str, size: float = _FONT, weight: str = "normal") -> float:
    """Inches that a text takes."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextToPath

    font = FontProperties(family="DejaVu Sans", size=size, weight=weight)
    width, _, _ = TextToPath().get_text_width_height_descent(text, font, ismath=False)
    return float(width) / 72


@dataclass(frozen=True)
class _Frame:
    """Inches: titles, axes, margin, then the columns of a worked patient."""

    left: float
    length: float
    columns: tuple[float, ...] = ()

    @property
    def room(self) -> Room:
        """Room of the labels, in parts of the axis."""
        low, high = -(_BETWEEN - 0.08) / self.length, 1 + (_MARGIN - 0.04) / self.length
        return Room(lambda text: _width(text) / self.length, 0.75 * _FONT / 72 / self.length, low, high)


def _frame(rows: Sequence[Row], marks: Sequence[Mark | None], width: float) -> _Frame:
    """Titles get what they need, a worked patient's numbers too, the axes the rest."""
    lines = [line for row in rows for line in wrapped(row.title)]
    left = min(max(_width(line, weight="bold") for line in lines), 0.3 * width) + _BETWEEN + 0.06
    shown = [mark for mark in marks if mark is not None]
    if not shown:
        return _Frame(left, width - left - _MARGIN)
    first = max(_width(text, weight="bold") for text in ("Patient", *(mark.value for mark in shown)))
    second = max(_width(text, weight="bold") for text in ("Points", *(mark.points for mark in shown)))
    columns = (min(first, _WIDEST), second + 0.14)
    return _Frame(left, width - left - _MARGIN - sum(columns) - 0.06, columns)


def _above(row: Row) -> float:
    """Inches that ticks and labels take above the line."""
    return _TICK + _LINE if row.kind == "points" or "above" in row.lanes else 0.0


def _extent(row: Row, over: Distribution | None) -> tuple[float, float]:
    """Inches that a row takes above and below its line."""
    title = _LINE * len(wrapped(row.title)) / 2
    below = 0.0 if row.kind == "points" else _TICK + _LINE * max(1, row.depth)
    above = _above(row) + (0.0 if over is None else _DENSITY)
    return max(title, above), max(title, below)


def _places(rows: Sequence[Row], over: Sequence[Distribution | None]) -> list[float]:
    """Inches from the top of the figure to the line of each row, then to the bottom."""
    places, y = [], 0.08
    for row, distribution in zip(rows, over, strict=True):
        above, below = _extent(row, distribution)
        y += above + _GAP * (2.2 if row.kind == "total" else 1.0)
        places.append(y)
        y += below
    return [*places, y + 0.08]


def _draw_tick(axes: Any, tick: Tick, length: float, y: float, up: bool) -> None:
    """One tick and its label; a leader goes to a label further below."""
    above = up or tick.lane == "above"
    sign, x = -1 if above else 1, tick.x * length
    reach = _TICK if tick.text else 0.6 * _TICK
    axes.plot([x, x], [y, y + sign * reach], color=INK, lw=0.7, solid_capstyle="butt")
    if not tick.text:
        return
    if tick.depth > 1:
        reach = _TICK + (tick.depth - 1) * _LINE
        axes.plot([x, x], [y + _TICK, y + reach], color=GREY, lw=0.5, solid_capstyle="butt")
    axes.text(
        tick.middle * length, y + sign * (reach + 0.018), tick.text, ha="center",
        va="bottom" if above else "top", fontsize=_FONT, parse_math=False,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.4},  # keeps the guides out of the text
    )  # fmt: skip


def _draw_row(axes: Any, row: Row, y: float, length: float) -> None:
    lines = wrapped(row.title)
    weight = "bold" if row.kind in ("points", "total") else "normal"
    for i, line in enumerate(lines):
        # 0.36 em under the middle is the baseline that centers lower case and capitals.
        base = y + (i - (len(lines) - 1) / 2) * _LINE + 0.36 * _FONT / 72
        axes.text(
            -_BETWEEN,
            base,
            line,
            ha="right",
            va="baseline",
            fontsize=_FONT,
            fontweight=weight,
            parse_math=False,
        )
    ends = [row.start * length, row.end * length]
    axes.plot(ends, [y, y], color=INK, lw=0.9, solid_capstyle="projecting")
    for tick in row.ticks:
        _draw_tick(axes, tick, length, y, up=row.kind == "points")


def _cut(text: str) -> str:
    """What fits into the column of a worked patient."""
    most = len(text)
    while _width(shortened_text(text, most)) > _WIDEST:
        most -= 1
    return shortened_text(text, most)


def _filled(text: str, inches: float) -> list[str]:
    """A text in lines of at most so many inches."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".lstrip()
        if _width(longer, _SMALL) <= inches or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _words(nomogram: Nomogram, shown: int | None, marked: bool, caption: str | None) -> list[str]:
    """What stands under the figure."""
    said = []
    if shown is not None:
        said.append(f"Shaded: how {shown} patients are distributed (densities of numbers, boxes for levels).")
    if marked:
        said.append("Diamonds: one patient, whose points add up to the total.")
    if caption:
        said.append(caption)
    said = [" ".join(said), nomogram.note, _SIMULATED if nomogram.simulated else ""]
    return [text for text in said if text]


def _read(
    nomogram: Nomogram, linear_predictor: bool, patient: Patient | None, room: Room | None
) -> tuple[list[Row], list[Mark | None]]:
    """Rows, and the marks of a patient on them."""
    rows = layout(nomogram, linear_predictor=linear_predictor, room=room)
    if patient is None:
        return rows, [None] * len(rows)
    rows = with_patient_rows(nomogram, rows, patient, room or estimated_room())
    return rows, patient_marks(nomogram, rows, patient)


def draw_nomogram(
    nomogram: Nomogram,
    *,
    width: float = 7.2,
    linear_predictor: bool = True,
    patient: Patient | None = None,
    cohort: pd.DataFrame | None = None,
    caption: str | None = None,
) -> Figure:
    """Draw points, variables, total points, linear predictor and survival axes.

    Black on white with thin grey guides, a worked patient as diamonds and dashed lines, a
    cohort as pale shapes: nothing depends on color. Levels that would touch are staggered,
    numbers that would touch are left out.

    Parameters
    ----------
    nomogram : Nomogram
    width : float
        Inches; 7.2 is a double column.
    linear_predictor : bool
        Whether to draw that axis.
    patient : mapping, Series or DataFrame of one row, optional
        A worked patient, as in R's ``regplot``.
    cohort : DataFrame, optional
        Patients whose distribution stands over the axes; nothing of it is kept.
    caption : str, optional
        A sentence under the figure.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    CohortError
        A column is absent, or a value of the patient is missing or outside the training range.
    """
    rows, marks = _read(nomogram, linear_predictor, patient, None)  # titles, before the room is known
    frame = _frame(rows, marks, width)
    room = replace(frame.room, above=cohort is None)
    rows, marks = _read(nomogram, linear_predictor, patient, room)
    marks = [mark and replace(mark, value=_cut(mark.value)) for mark in marks]
    over: list[Distribution | None] = [None] * len(rows)
    shown = None
    if cohort is not None:
        over, shown = distributions(nomogram, rows, cohort)
    words = _words(nomogram, shown, patient is not None, caption)
    lines = [line for part in words for line in _filled(part, width - 0.3)]
    return _painted(rows, marks, over, frame, width, lines)


def _painted(
    rows: Sequence[Row],
    marks: Sequence[Mark | None],
    over: Sequence[Distribution | None],
    frame: _Frame,
    width: float,
    lines: Sequence[str],
) -> Figure:
    """The figure, once it is known what stands where; ``lines`` of text come below."""
    *places, bottom = _places(rows, over)
    height = bottom + (0.08 + 0.135 * len(lines) if lines else 0.0)
    with figure_style():
        figure = new_figure(width, height)
        figure.set_layout_engine("none")
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(-frame.left, width - frame.left), ylim=(height, 0))
        axes.set_axis_off()
        last = [row.kind for row in rows].index("total") - 1
        for tenth in range(11):  # guides by which the eye goes up to the points
            x = tenth / 10 * frame.length
            axes.plot([x, x], [places[0], places[last]], color="0.88", lw=0.5, zorder=0)
        for row, place, distribution in zip(rows, places, over, strict=True):
            if distribution is not None:
                base = place - _above(row)
                draw_distribution(axes, distribution, base, frame.length, height=_DENSITY - 0.03)
            _draw_row(axes, row, place, frame.length)
        if frame.columns:
            start = frame.length + _MARGIN
            draw_patient(axes, rows, marks, places, frame.length, (start, *frame.columns))
        for i, line in enumerate(lines):
            axes.text(
                0.12 - frame.left, bottom + 0.04 + 0.135 * i, line, va="top", fontsize=_SMALL, color="0.25",
                parse_math=False, style="italic" if line in _SIMULATED else "normal",
            )  # fmt: skip
    return figure
