"""The nomogram as one offline page: drawn, tabulated, and calculated in the browser.

The page holds coefficients and training ranges, no patient. Its content security
policy forbids every outside call and every script but its own.
"""

from __future__ import annotations

import base64
import hashlib
import json
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from radiomics_npc._version import __version__
from radiomics_npc.nomogram.labels import column_label, level_label
from radiomics_npc.nomogram.layout import Row, layout, survival_title, wrapped
from radiomics_npc.nomogram.terms import known_levels
from radiomics_npc.storage import content_key

if TYPE_CHECKING:
    from markupsafe import Markup

    from radiomics_npc.nomogram.nomogram import Nomogram
    from radiomics_npc.survival.design import Term

__all__ = ["model_card", "nomogram_page", "nomogram_svg"]

# Pixels of the drawing.
_LEFT, _LENGTH, _RIGHT, _FONT = 170, 640, 30, 13


def _card_variable(nomogram: Nomogram, term: Term) -> dict[str, Any]:
    axis = nomogram.scale.axis(term.name)
    variable: dict[str, Any] = {
        "name": term.name,
        "label": column_label(term.name),
        "kind": term.kind,
        "lowest": float(axis.effects.min()),
    }
    if term.kind == "factor":
        variable["levels"] = [
            [level, level_label(level), effect] for level, effect in known_levels(term).items()
        ]
    else:
        assert term.range is not None
        low, high = (float(end) for end in term.range)
        variable |= {"coefficients": list(term.coefficients), "low": low, "high": high}
        if term.kind == "spline":
            variable["knots"] = list(term.knots)
    return variable


def model_card(nomogram: Nomogram) -> dict[str, Any]:
    """All that the page calculates with, as plain values for JSON.

    Parameters
    ----------
    nomogram : Nomogram

    Returns
    -------
    dict
        ``variables`` (coefficients, levels, training ranges), ``pointsPerUnit``,
        ``intercept``, ``horizons``, ``outcome``, ``simulated``, ``software``, ``hash``.
    """
    scale = nomogram.scale
    card: dict[str, Any] = {
        "format": 1,
        "outcome": nomogram.outcome,
        "simulated": nomogram.simulated,
        "variables": [_card_variable(nomogram, term) for term in nomogram.terms],
        "pointsPerUnit": scale.points_per_unit,
        "intercept": scale.intercept,
        "largestTotal": scale.largest_total,
        "horizons": [
            {"months": m, "label": survival_title(m, nomogram.outcome), "cumulativeHazard": h}
            for m, h in zip(nomogram.horizons_months, nomogram.hazards, strict=True)
        ],
    }
    return card | {"software": f"radiomics_npc {__version__}", "hash": content_key(card)[:12]}


def _svg_row(row: Row, y: float, index: int) -> str:
    """One axis as SVG; text in the current color, so that it follows light and dark."""
    from markupsafe import escape

    lines = wrapped(row.title)
    first = y + 4 - (len(lines) - 1) * 8
    weight = ' font-weight="700"' if row.kind in ("points", "total") else ""
    words = "".join(
        f'<text x="{_LEFT - 28}" y="{first + 16 * i:g}" text-anchor="end"{weight}>{escape(line)}</text>'
        for i, line in enumerate(lines)
    )
    path = f"M{_LEFT + row.start * _LENGTH:.1f} {y:g}H{_LEFT + row.end * _LENGTH:.1f}"
    for tick in row.ticks:
        above = row.kind == "points" or tick.lane == "above"
        length = (6 if tick.text else 4) + 15 * (tick.lane == "far below")
        x = _LEFT + tick.x * _LENGTH
        path += f"M{x:.1f} {y:g}v{-length if above else length}"
        if tick.text:
            base = y - length - 4 if above else y + length + 13
            words += f'<text x="{x:.1f}" y="{base:g}" text-anchor="middle">{escape(tick.text)}</text>'
    mark = f'<circle id="mark{index}" class="mark" r="5" cy="{y:g}" visibility="hidden"/>' if row.name else ""
    return f'<path d="{path}"/>{words}{mark}'


def nomogram_svg(nomogram: Nomogram) -> str:
    """The nomogram as an ``<svg>`` element; its marks ``mark0`` ... are moved by the page.

    Parameters
    ----------
    nomogram : Nomogram

    Returns
    -------
    str
    """
    rows = layout(nomogram, character=0.62 * _FONT / _LENGTH)
    y, places = 34.0, []
    for i, row in enumerate(rows):
        if i:
            y += 22 + 16 * ("above" in row.lanes) + 18 * (row.kind == "total")
            y += 8 * max(0, len(wrapped(row.title)) - 1)
        places.append(y)
        y += 24 + 15 * ("far below" in row.lanes) + 8 * max(0, len(wrapped(row.title)) - 2)
    last = [row.kind for row in rows].index("total")
    guides = "".join(f"M{_LEFT + t * _LENGTH / 10:g} {places[0]:g}V{places[last - 1]:g}" for t in range(11))
    drawn = "".join(_svg_row(row, at, i - 1) for i, (row, at) in enumerate(zip(rows, places, strict=True)))
    width = _LEFT + _LENGTH + _RIGHT
    line = f'<path id="total" class="mark" d="M0 {places[last]:g}V{places[-1]:g}" visibility="hidden"/>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {y:g}" role="img" '
        f'aria-labelledby="drawing-title" font-size="{_FONT}">'
        f'<title id="drawing-title">Nomogram for {_escape(nomogram.outcome)}</title>'
        f'<path class="guide" d="{guides}"/>{drawn}{line}</svg>'
    )


def _escape(text: str) -> str:
    from markupsafe import escape

    return str(escape(text))


@cache
def _asset(name: str) -> str:
    return resources.files("radiomics_npc.nomogram").joinpath("templates", name).read_text(encoding="utf-8")


def _json_for_script(card: dict[str, Any]) -> Markup:
    """JSON that cannot end the script element it stands in."""
    from markupsafe import Markup

    return Markup(json.dumps(card, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c"))


def nomogram_page(nomogram: Nomogram) -> str:
    """The interactive page, self-contained and under 60 kB.

    A value outside the training range gives a message and no probability. With
    scripts off the drawing and the tables are still complete. The numbers come
    from one function ``predict(card, values)`` without any access to the page.

    Parameters
    ----------
    nomogram : Nomogram

    Returns
    -------
    str
        HTML.
    """
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    script = _asset("predict.js") + _asset("page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    card = model_card(nomogram)
    totals = nomogram.total_points_table(step=10)
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(_asset("nomogram.html.j2")).render(
        card=card,
        card_json=_json_for_script(card),
        script=Markup(script),
        script_hash=digest,
        left=_LEFT,
        length=_LENGTH,
        svg=Markup(nomogram_svg(nomogram)),
        points=[(axis, column_label(axis.name)) for axis in nomogram.scale.axes],
        level_label=level_label,
        zip=zip,
        totals=totals.itertuples(index=False, name=None),
        formula=list(nomogram.formula().itertuples(index=False, name=None)),
    )
