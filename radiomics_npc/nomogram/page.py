"""The nomogram as one offline page: drawn, tabulated, and calculated in the browser.

The page holds coefficients, their covariance, the baseline and training ranges, no
patient. Its content security policy forbids every outside call and every script but
its own.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Literal

from radiomics_npc.errors import ConfigError
from radiomics_npc.nomogram.card import STEPS, model_card, slider_of
from radiomics_npc.nomogram.page_drawing import CURVE_FRAME, LEFT, LENGTH, curve_svg, nomogram_svg
from radiomics_npc.nomogram.translation import (
    LANGUAGES,
    axis_text,
    column_text,
    level_text,
    outcome_text,
    phrase,
    quantile_text,
)

if TYPE_CHECKING:
    from markupsafe import Markup

    from radiomics_npc.nomogram.nomogram import Nomogram

__all__ = ["nomogram_page"]

_LARGEST = 60_000  # bytes


@cache
def _asset(name: str) -> str:
    return resources.files("radiomics_npc.nomogram").joinpath("templates", name).read_text(encoding="utf-8")


def _script() -> str:
    """The page's script without its comments and indentation."""
    lines = (line.strip() for line in (_asset("predict.js") + _asset("page.js")).splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("//"))


def _json_for_script(card: dict[str, Any]) -> Markup:
    """JSON that cannot end the script element it stands in."""
    from markupsafe import Markup

    text = json.dumps(card, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c"))


def _number(value: float, decimals: int | None = None) -> str:
    """Number as printed, with a true minus sign."""
    text = f"{value:.6g}" if decimals is None else f"{value:.{decimals}f}"
    return text.replace("-", "−")


def _percent(probability: float) -> str:
    """Probability as printed: neither 0 nor 1 where it is not."""
    if probability < 0.0005:
        return "<0.1%"
    return ">99.9%" if probability >= 0.9995 else f"{100 * probability:.1f}%"


def _notes(nomogram: Nomogram) -> list[str]:
    """Phrases that say what the numbers are, and what the intervals do not hold."""
    notes, known = ["about_model"], nomogram.precision
    if known is not None:
        notes.append("about_interval")
        notes += ["about_score"] if "rad_score" in nomogram.columns else []
        notes += ["about_penalty"] if known.penalized else []
    else:
        notes.append("about_no_interval")
    if nomogram.risk_groups is not None:
        notes.append(f"groups_{nomogram.risk_groups.how}")
    return notes


def _totals(nomogram: Nomogram) -> Iterator[tuple[float, float, list[float], list[float]]]:
    """Total points, linear predictor, survival at each horizon, months to each quantile."""
    table = nomogram.total_points_table(step=10)
    horizons = len(nomogram.horizons_months)
    for row in table.itertuples(index=False, name=None):
        yield row[0], row[1], list(row[2 : 2 + horizons]), list(row[2 + horizons :])


def _rendered(nomogram: Nomogram, card: dict[str, Any], language: str) -> str:
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    script = _script()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    single = [term for term in nomogram.terms if term.kind != "interaction"]
    curve = card["curve"]
    return environment.from_string(_asset("nomogram.html.j2")).render(
        card=card,
        language=language,
        code=LANGUAGES[language],
        outcome=outcome_text(nomogram.outcome),
        card_json=_json_for_script(card),
        style=Markup(_asset("page.css").strip()),
        script=Markup(script),
        script_hash=digest,
        axes=f"{LEFT} {LENGTH}",
        frame=" ".join(map(str, CURVE_FRAME)),
        svg=Markup(nomogram_svg(nomogram)),
        curve=Markup(curve_svg(nomogram, curve["last"])) if curve else "",
        sliders=[None if term.kind == "factor" else slider_of(term) for term in single],
        points=[(axis, axis_text(axis.name, axis.settings)) for axis in nomogram.scale.axes],
        totals=list(_totals(nomogram)),
        quantiles=[quantile_text(quantile, nomogram.outcome) for quantile in nomogram.quantiles],
        formula=[
            (_feature_text(str(row.feature)), row.coefficient) for row in nomogram.formula().itertuples()
        ],
        notes=_notes(nomogram),
        note=phrase("note", note=nomogram.note) if nomogram.note else None,
        phrase=phrase,
        level_text=level_text,
        number=_number,
        percent=_percent,
        zip=zip,
    )


def _feature_text(feature: str) -> dict[str, str]:
    return phrase("intercept") if feature == "intercept" else column_text(feature)


def nomogram_page(nomogram: Nomogram, language: Literal["en", "zh"] = "en") -> str:
    """The interactive page, self-contained and under 60 kB.

    A value outside the training range gives a message and no probability. With
    scripts off the drawing and the tables are still complete. The numbers come
    from one function ``predict(card, values)`` without any access to the page.

    Parameters
    ----------
    nomogram : Nomogram
    language : {"en", "zh"}
        English or Simplified Chinese to begin with; the page holds both, and a switch.

    Returns
    -------
    str
        HTML. Where 60 kB do not suffice the survival curve has fewer steps, and then no band;
        only with more than some 15 variables the page is larger.

    Raises
    ------
    ConfigError
        Another language.

    Examples
    --------
    >>> from radiomics_npc.nomogram.nomogram import Nomogram
    >>> from radiomics_npc.survival.design import Term
    >>> page = nomogram_page(Nomogram((Term("age", "linear", (0.02,), range=(20, 70)),), (60,), (0.1,)))
    >>> page[:15], "src=" in page, "href=" in page
    ('<!DOCTYPE html>', False, False)
    """
    if language not in LANGUAGES:
        raise ConfigError(f"the page does not speak {language!r}", f"Take one of {', '.join(LANGUAGES)}.")
    page = ""
    for steps, band in ((STEPS, True), (STEPS // 2, True), (STEPS, False), (STEPS // 4, False)):
        page = _rendered(nomogram, model_card(nomogram, steps=steps, band=band), language)
        if len(page.encode()) < _LARGEST:
            break
    return page
