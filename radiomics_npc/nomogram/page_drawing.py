"""The nomogram and the frame of the survival curve as SVG, for the interactive page.

Text stands in the drawing in English and in Chinese; the page shows one of them.
Colors are those of the page, so that they follow light and dark.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from radiomics_npc.nomogram.label_places import Room, Tick
from radiomics_npc.nomogram.layout import Row, layout, wrapped
from radiomics_npc.nomogram.scale import Axis, pretty
from radiomics_npc.nomogram.translation import (
    LANGUAGES,
    Text,
    axis_text,
    level_text,
    outcome_text,
    phrase,
    quantile_text,
    survival_text,
    wrapped_text,
)

if TYPE_CHECKING:
    from radiomics_npc.nomogram.nomogram import Nomogram

__all__ = ["CURVE_FRAME", "LEFT", "LENGTH", "curve_svg", "nomogram_svg"]

#: Pixels from the left of the drawing to its axes, and the length of these.
LEFT, LENGTH = 170, 640
_RIGHT, _FONT, _LINE = 30, 13, 16
#: Left, top, width and height of the survival curve's frame.
CURVE_FRAME = (62, 10, 420, 190)


def _text(text: Text, place: str) -> str:
    """One ``<text>``, or one a language where they differ."""
    from markupsafe import escape

    if text["en"] == text["zh"]:
        return f"<text {place}>{escape(text['en'])}</text>"
    return "".join(
        f'<text lang="{code}" {place}>{escape(text[key])}</text>' for key, code in LANGUAGES.items()
    )


def _lines(title: Text) -> dict[str, list[str]]:
    return {"en": wrapped(title["en"]), "zh": wrapped_text(title["zh"])}


def _title(title: Text, y: float, bold: bool) -> str:
    """Title of an axis, right-aligned before it, its lines centered on it."""
    style = "end bold" if bold else "end"
    lines = _lines(title)
    if lines["en"] == lines["zh"]:
        lines = {"": lines["en"]}
    words = ""
    for language, rows in lines.items():
        first = y + 4 - (len(rows) - 1) * _LINE / 2
        code = f' lang="{LANGUAGES[language]}"' if language else ""
        spans = "".join(
            _span(row, f'x="{LEFT - 28}" y="{first + _LINE * i:g}"') for i, row in enumerate(rows)
        )
        words += f'<text{code} class="{style}">{spans}</text>'
    return words


def _span(text: str, place: str) -> str:
    from markupsafe import escape

    return f"<tspan {place}>{escape(text)}</tspan>"


def _tick_text(tick: Tick, axis: Axis | None) -> Text:
    """Label of a tick: levels of a factor are translated one by one."""
    if axis is None or not axis.is_factor:
        return {"en": tick.text, "zh": tick.text}
    known = {level_text(value)["en"]: level_text(value)["zh"] for value in axis.values}
    return {"en": tick.text, "zh": "、".join(known.get(part, part) for part in tick.text.split(", "))}


def _row(row: Row, title: Text, axis: Axis | None, y: float, mark: int) -> str:
    """One axis: line and ticks, labels, title, and the mark that the page moves."""
    path = f"M{LEFT + row.start * LENGTH:.1f} {y:g}H{LEFT + row.end * LENGTH:.1f}"
    labels = ""
    for tick in row.ticks:
        above = row.kind == "points" or tick.lane == "above"
        # To a label further below goes a leader.
        length = (6 if tick.text else 4) + _LINE * (tick.depth - 1 if tick.text else 0)
        path += f"M{LEFT + tick.x * LENGTH:.1f} {y:g}v{-length if above else length}"
        if tick.text:
            base = y - length - 4 if above else y + length + 13
            labels += _text(_tick_text(tick, axis), f'x="{LEFT + tick.middle * LENGTH:.1f}" y="{base:g}"')
    dot = f'<circle id="mark{mark}" class="mark" r="5" cy="{y:g}" visibility="hidden"/>' if axis else ""
    words = _title(title, y, bold=row.kind in ("points", "total"))
    return f'<path d="{path}"/>{words}{labels}{dot}'


def _titles(nomogram: Nomogram, rows: list[Row]) -> list[tuple[Text, Axis | None]]:
    """Title of each row in all languages, and its axis if it is one of a variable."""
    axes, horizons = iter(nomogram.scale.axes), iter(nomogram.horizons_months)
    quantiles = iter(nomogram.quantiles)
    told: list[tuple[Text, Axis | None]] = []
    plain = {"points": "points", "total": "total_points", "linear predictor": "linear_predictor"}
    for row in rows:
        if row.name:
            axis = next(axes)
            told.append((axis_text(axis.name, axis.settings), axis))
        elif row.kind == "survival":
            told.append((survival_text(next(horizons), nomogram.outcome), None))
        elif row.kind == "quantile":
            told.append((quantile_text(next(quantiles), nomogram.outcome), None))
        else:
            told.append((phrase(plain[row.kind]), None))
    return told


def nomogram_svg(nomogram: Nomogram) -> str:
    """The nomogram as an ``<svg>`` element; its marks ``mark0`` ... are moved by the page.

    Parameters
    ----------
    nomogram : Nomogram

    Returns
    -------
    str
    """
    character = 0.62 * _FONT / LENGTH
    room = Room(lambda text: character * len(text), 1.2 * character, -20 / LENGTH, 1 + _RIGHT / LENGTH)
    rows = layout(nomogram, room=room)
    told = _titles(nomogram, rows)
    y, places = 34.0, []
    for i, (row, (title, _)) in enumerate(zip(rows, told, strict=True)):
        more = max(len(lines) for lines in _lines(title).values()) - 1
        if i:
            y += 22 + 16 * ("above" in row.lanes) + 18 * (row.kind == "total") + 8 * more
        places.append(y)
        y += 24 + _LINE * max(0, row.depth - 1) + 8 * max(0, more - 1)
    last = [row.kind for row in rows].index("total")
    guides = "".join(f"M{LEFT + t * LENGTH / 10:g} {places[0]:g}V{places[last - 1]:g}" for t in range(11))
    drawn, mark = "", 0
    for row, (title, axis), at in zip(rows, told, places, strict=True):
        drawn += _row(row, title, axis, at, mark)
        mark += axis is not None
    line = f'<path id="total" class="mark" d="M0 {places[last]:g}V{places[-1]:g}" visibility="hidden"/>'
    return (
        f'<svg viewBox="0 0 {LEFT + LENGTH + _RIGHT} {y:g}" role="img" aria-labelledby="title" '
        f'font-size="{_FONT}"><path class="guide" d="{guides}"/>{drawn}{line}</svg>'
    )


def curve_svg(nomogram: Nomogram, last: float) -> str:
    """Axes of the survival curve until a month; the page draws the curve ``curve`` and its ``band``.

    Parameters
    ----------
    nomogram : Nomogram
    last : float
        Months at the right end of the axis.

    Returns
    -------
    str
    """
    left, top, width, height = CURVE_FRAME
    ticks, labels = "", ""
    for share in (0, 25, 50, 75, 100):
        y = top + height * (1 - share / 100)
        ticks += f"M{left} {y:g}h-5"
        labels += f'<text x="{left - 9}" y="{y + 4:g}" class="end">{share}%</text>'
    for month in (month for month in _months(last) if month <= last):
        x = left + width * month / last
        ticks += f"M{x:.1f} {top + height}v5"
        labels += f'<text x="{x:.1f}" y="{top + height + 19}">{month:g}</text>'
    guides = "".join(f"M{left + width * m / last:.1f} {top}v{height}" for m in nomogram.horizons_months)
    dots = "".join(
        f'<circle id="dot{i}" class="mark" r="4" cx="{left + width * m / last:.1f}" visibility="hidden"/>'
        for i, m in enumerate(nomogram.horizons_months)
    )
    middle = f'x="{left + width / 2:g}" y="{top + height + 37}"'
    turned = f'x="{-top - height / 2:g}" y="11" transform="rotate(-90)"'
    frame = f"M{left} {top}v{height}h{width}"
    return (
        f'<svg viewBox="0 0 {left + width + 12} {top + height + 44}" role="img" '
        f'aria-labelledby="curve-title" font-size="12"><path class="guide" d="{guides}"/>'
        f'<path id="band" class="band"/><path d="{frame}{ticks}"/><path id="curve" class="curve"/>'
        f"{dots}{labels}{_text(phrase('time_axis'), middle)}"
        f"{_text(outcome_text(nomogram.outcome), turned)}</svg>"
    )


def _months(last: float) -> list[float]:
    """Ticks of the months: whole years, or round numbers in a short follow-up."""
    if last < 12:
        return [float(month) for month in pretty(0, last, 5)]
    step = next(step for step in (6, 12, 24, 36, 60, 120, 240, 480) if last / step <= 9)
    return [float(month) for month in range(0, int(last) + 1, step)]
