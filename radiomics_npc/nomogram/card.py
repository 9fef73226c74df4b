"""What the interactive page calculates with, as plain values for JSON: a model, and no patient."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from radiomics_npc._version import __version__
from radiomics_npc.nomogram.scale import pretty
from radiomics_npc.nomogram.terms import is_indicator, known_levels
from radiomics_npc.nomogram.translation import (
    Text,
    column_text,
    level_text,
    outcome_text,
    phrase,
    survival_text,
)
from radiomics_npc.storage import content_key

if TYPE_CHECKING:
    from radiomics_npc.nomogram.nomogram import Nomogram
    from radiomics_npc.survival.design import Term

Floats = NDArray[np.float64]

__all__ = ["STEPS", "model_card", "slider_of"]

#: Most steps of the survival curve that the page draws.
STEPS = 120
# Phrases that the page's script puts together.
_SCRIPT_PHRASES = (
    "range", "points_given", "points_with", "missing", "outside", "outside_item", "comma", "semicolon",
    "total_given", "interval", "stop", "spoken", "group", "low", "intermediate", "high", "months",
    "not_reached",
)  # fmt: skip


def model_card(nomogram: Nomogram, *, steps: int = STEPS, band: bool = True) -> dict[str, Any]:
    """All that the page calculates with.

    Parameters
    ----------
    nomogram : Nomogram
    steps : int
        Most steps of the survival curve; it is exact at each of them and at the horizons.
    band : bool
        Whether the curve has a confidence band.

    Returns
    -------
    dict
        ``variables`` (coefficients, levels, training ranges), ``interactions``, ``groups`` (what
        shares points), ``pointsPerUnit``, ``intercept``, ``horizons``, ``covariance`` (of the
        columns of the variables, then of the interactions; lower triangle by rows), ``curve``,
        ``risk``, ``outcome``, ``simulated``, ``words`` (in English and Chinese), ``software``, ``hash``.
    """
    scale = nomogram.scale
    single = [term for term in nomogram.terms if term.kind != "interaction"]
    names = [term.name for term in single]
    crossed = [term for term in nomogram.terms if term.kind == "interaction"]
    numbers: dict[str, Any] = {
        "format": 2,
        "variables": [_variable(term) for term in single],
        "interactions": [
            {"parts": [names.index(part) for part in term.parts], "coefficients": list(term.coefficients)}
            for term in crossed
        ],
        "groups": _groups(nomogram, names),
        "pointsPerUnit": scale.points_per_unit,
        "intercept": scale.intercept,
        "largestTotal": scale.largest_total,
        "horizons": [
            {"months": months, "hazard": hazard}
            for months, hazard in zip(nomogram.horizons_months, nomogram.hazards, strict=True)
        ],
        "risk": _risk_groups(nomogram),
    }
    digest = nomogram.digest or content_key(numbers, nomogram.outcome)
    _add_precision(numbers, nomogram, [column for term in (*single, *crossed) for column in term.columns])
    numbers["curve"] = _curve(numbers, nomogram, steps, band)
    for variable, name in zip(numbers["variables"], names, strict=True):
        variable["label"] = _plain(column_text(name))
    for horizon in numbers["horizons"]:
        horizon["label"] = _plain(survival_text(horizon["months"], nomogram.outcome))
    said = {"outcome": nomogram.outcome, "simulated": nomogram.simulated}
    made = {"software": f"radiomics_npc {__version__}", "hash": digest[:12]}
    return numbers | said | made | {"words": _words(nomogram)}


def _variable(term: Term) -> dict[str, Any]:
    variable: dict[str, Any] = {
        "name": term.name, "kind": term.kind, "coefficients": list(term.coefficients[-len(term.columns) :])
    }  # fmt: skip
    if term.kind == "factor":
        at = {level: k for k, level in enumerate(term.levels)}
        variable["levels"] = [
            [level, _plain(level_text(level)), at[term.reads[level]]] for level in known_levels(term)
        ]
        return variable
    assert term.range is not None
    low, high = (float(end) for end in term.range)
    knots = {"knots": list(term.knots)} if term.kind == "spline" else {}
    return variable | {"low": low, "high": high} | knots


def _plain(text: Text) -> Text | str:
    """One word where the languages agree."""
    return text["en"] if text["en"] == text["zh"] else text


def _groups(nomogram: Nomogram, names: list[str]) -> list[dict[str, Any]]:
    """Variables that share points; ``axes``: for each axis drawn the settings that it holds for."""
    crossed = [term.name for term in nomogram.terms if term.kind == "interaction"]
    made = []
    for group in nomogram.groups:
        terms = {term.name: term for term in group.terms}
        axes = []
        for index, axis in enumerate(nomogram.scale.axes):
            if axis.name == group.name:
                held = [
                    [names.index(n), terms[n].levels.index(value) if isinstance(value, str) else value]
                    for n, value in axis.settings
                ]
                axes.append({"mark": index} | ({"settings": held} if held else {}))
        made.append({
            "members": [names.index(term.name) for term in group.terms],
            "lowest": nomogram.scale.lowest(group.name),
            "axes": axes,
        })  # fmt: skip
        if group.interactions:
            made[-1]["interactions"] = [crossed.index(term.name) for term in group.interactions]
    return made


def _risk_groups(nomogram: Nomogram) -> dict[str, Any] | None:
    """Cut points of the linear predictor, and the names of the groups from low to high."""
    groups = nomogram.risk_groups
    if groups is None:
        return None
    cuts = [float(cut) - nomogram.center for cut in groups.cut_points_]
    names = ["low", "intermediate", "high"] if len(cuts) == 2 else ["low", "high"]
    return {"how": groups.how, "cuts": cuts, "names": names}


def _add_precision(card: dict[str, Any], nomogram: Nomogram, columns: list[str]) -> None:
    """Covariance, and what the interval at each horizon needs."""
    known = nomogram.precision
    card["covariance"] = None
    if known is None:
        return
    order = [known.columns.index(column) for column in columns]
    card["covariance"] = _digits(known.covariance[np.ix_(order, order)][np.tril_indices(len(order))])
    for horizon in card["horizons"]:
        k = known.index_at(horizon["months"])
        horizon |= {"variance": float(known.variance[k]), "means": _digits(known.means[k, order])}


def _digits(values: Floats) -> list[float]:
    """Numbers to 13 digits: limits of a probability keep more than 9 decimals."""
    return [_rounded(value, 13) for value in values.tolist()]


def _curve(card: dict[str, Any], nomogram: Nomogram, steps: int, band: bool) -> dict[str, Any] | None:
    """The baseline over time, thinned and rounded; at the horizons it is exact."""
    known, jumps = nomogram.precision, np.array(nomogram.baseline_hazard)
    months, jumps = np.array(nomogram.baseline_months)[jumps > 0], jumps[jumps > 0]
    if not len(months):
        return None
    at = np.searchsorted(months, nomogram.horizons_months, side="right") - 1
    rows = _kept(len(months), steps, at)
    hazard = np.array([_rounded(h, 7) for h in jumps * math.exp(nomogram.center)])
    hazard[at] = nomogram.hazards
    curve: dict[str, Any] = {
        "months": _rounded_months(months[rows], nomogram.horizons_months), "hazard": hazard[rows].tolist(),
        "last": nomogram.follow_up_months or float(months[-1]), "thinned": len(rows) < len(months),
    }  # fmt: skip
    if band and known is not None:
        order = [known.columns.index(c) for term in _in_order(nomogram) for c in term.columns]
        curve["variance"] = [_rounded(v, 5) for v in known.variance[rows]]
        curve["means"] = _rounded_means(known.means[rows][:, order], known.covariance[order, order])
    return curve


def _kept(steps: int, most: int, always: NDArray[np.intp]) -> NDArray[np.intp]:
    """At most so many steps, at equal distances, some always."""
    if steps <= most:
        return np.arange(steps)
    spaced = np.linspace(0, steps - 1, max(2, most - len(always))).round().astype(np.intp)
    return np.unique(np.concatenate([spaced, always]))


def _rounded_months(months: Floats, horizons: Sequence[float]) -> list[float]:
    """Months to 0.001, but none moved across a horizon."""
    rounded, ends = np.round(months, 3), np.asarray(horizons)
    same = (rounded[:, None] <= ends) == (months[:, None] <= ends)
    return np.where(same.all(axis=1), rounded, months).tolist()


def _rounded_means(means: Floats, variances: Floats) -> list[list[float]]:
    """Means to as many decimals as a band needs: moved by less than 0.0001 of a log hazard."""
    decimals = [max(0, math.ceil(math.log10(max(math.sqrt(v), 1e-9)) + 4)) for v in variances]
    return [[round(m, d) for m, d in zip(row, decimals, strict=True)] for row in means.tolist()]


def _in_order(nomogram: Nomogram) -> list[Term]:
    """Terms as the card has them: variables, then interactions."""
    return sorted(nomogram.terms, key=lambda term: term.kind == "interaction")


def _rounded(value: float, digits: int) -> float:
    return float(f"{value:.{digits}g}")


def _words(nomogram: Nomogram) -> dict[str, dict[str, str]]:
    """By language: phrases for the script."""
    outcome = outcome_text(nomogram.outcome)
    said: dict[str, Text] = {key: phrase(key) for key in _SCRIPT_PHRASES}
    said["title"] = phrase("title", outcome=outcome)
    said["median"] = phrase("median", outcome=outcome)
    return {language: {key: text[language] for key, text in said.items()} for language in ("en", "zh")}


def slider_of(term: Term) -> tuple[float, float, float]:
    """Smallest and largest value of the slider of a number, within the training range, and its step.

    Examples
    --------
    >>> from radiomics_npc.survival.design import Term
    >>> slider_of(Term("age", "linear", (0.1,), range=(18.3, 79.0)))
    (19.0, 79.0, 1.0)
    >>> slider_of(Term("score", "linear", (0.1,), range=(-1.234, 2.113)))
    (-1.2, 2.1, 0.05)
    """
    assert term.range is not None
    low, high = term.range
    if is_indicator(term) or not low < high:
        return low, high, 1.0
    ticks = pretty(low, high, 60)
    step = float(ticks[1] - ticks[0])
    digits = max(0, 1 - math.floor(math.log10(step)))
    inside = np.round(ticks[(ticks >= low) & (ticks <= high)], digits)
    return float(inside[0]), float(inside[-1]), round(step, digits)
