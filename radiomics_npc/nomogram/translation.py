"""Texts of the interactive page in English and Simplified Chinese.

All Chinese stands in ``templates/translations.json``; names of columns and levels in
English come from :mod:`radiomics_npc.nomogram.labels`. What has no translation, such as
the standard name of a radiomic feature, reads the same in both languages.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import Any, TypeAlias

from radiomics_npc.nomogram.interactions import axis_label
from radiomics_npc.nomogram.labels import column_label, level_label
from radiomics_npc.nomogram.layout import quantile_title, survival_title

__all__ = [
    "LANGUAGES",
    "Text",
    "axis_text",
    "column_text",
    "level_text",
    "outcome_text",
    "phrase",
    "quantile_text",
    "survival_text",
    "wrapped_text",
]

#: Languages of the page, and what its ``lang`` attribute says.
LANGUAGES = {"en": "en", "zh": "zh-CN"}
Text: TypeAlias = dict[str, str]


@cache
def _translations() -> dict[str, Any]:
    file = resources.files("radiomics_npc.nomogram").joinpath("templates", "translations.json")
    content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return content


def phrase(key: str, **parts: str | Text) -> Text:
    """A phrase in all languages; a placeholder that is given no part stays as it is.

    Parameters
    ----------
    key : str
    **parts : str or dict
        What stands at its placeholders, the same in all languages or one for each.

    Raises
    ------
    KeyError
        No such phrase.

    Examples
    --------
    >>> phrase("months", months="12")
    {'en': '12 months', 'zh': '12 个月'}
    """
    found: Text = dict(_translations()["phrases"][key])
    for name, part in parts.items():
        for language in found:
            said = part if isinstance(part, str) else part[language]
            found[language] = found[language].replace(f"{{{name}}}", said)
    return found


def column_text(column: str) -> Text:
    """Name of a column.

    Examples
    --------
    >>> column_text("T")
    {'en': 'T category', 'zh': 'T 分期'}
    >>> column_text("t1__morphology__volume_cm3")["zh"]
    '肿瘤体积（cm³），T1'
    """
    known, english = _translations(), column_label(column)
    chinese = known["columns"].get(column, english)
    for measure, words in known["measures"].items():
        chinese = chinese.replace(f"Tumor {measure}, ", f"{words}，")
    return {"en": english, "zh": chinese}


def level_text(level: object) -> Text:
    """Level of a factor.

    Examples
    --------
    >>> level_text("positive")["zh"], level_text("T3+T4")["zh"], level_text("yes+unknown")["zh"]
    ('阳性', 'T3–T4', '是或不详')
    """
    known, english = _translations()["levels"], level_label(level)
    parts = [known.get(part.strip().lower(), part) for part in english.split(" or ")]
    return {"en": english, "zh": "或".join(parts)}


def axis_text(column: str, settings: Sequence[tuple[str, float | str]] = ()) -> Text:
    """Name of an axis, with the settings of the interacting columns that it holds for.

    Examples
    --------
    >>> axis_text("age", [("ebv_dna", "positive")])
    {'en': 'Age (years) if EBV-DNA = positive', 'zh': '年龄（岁），当 EBV-DNA = 阳性'}
    """
    text = {"en": axis_label(column, settings), "zh": column_text(column)["zh"]}
    if settings:
        held = [
            f"{column_text(n)['zh']} = {level_text(v)['zh'] if isinstance(v, str) else f'{v:.4g}'}"
            for n, v in settings
        ]
        text["zh"] += f"，当 {'、'.join(held)}"
    return text


def outcome_text(outcome: str) -> Text:
    """Name of an endpoint.

    Examples
    --------
    >>> outcome_text("progression-free survival")["zh"]
    '无进展生存'
    """
    return {"en": outcome, "zh": _translations()["outcomes"].get(outcome.lower(), outcome)}


def survival_text(months: float, outcome: str) -> Text:
    """What a survival axis shows.

    Examples
    --------
    >>> survival_text(60, "progression-free survival")
    {'en': '5-year progression-free survival', 'zh': '5 年无进展生存概率'}
    >>> survival_text(30, "overall survival")["zh"]
    '30 个月总生存概率'
    """
    when = f"{months / 12:g} 年" if months % 12 == 0 else f"{months:g} 个月"
    return {"en": survival_title(months, outcome), "zh": f"{when}{outcome_text(outcome)['zh']}概率"}


def quantile_text(quantile: float, outcome: str) -> Text:
    """Name of the axis of a quantile of survival time.

    Examples
    --------
    >>> quantile_text(0.5, "overall survival")
    {'en': 'Median overall survival (months)', 'zh': '中位总生存时间（月）'}
    """
    chinese = outcome_text(outcome)["zh"]
    said = f"中位{chinese}时间（月）" if quantile == 0.5 else f"{100 * quantile:g}% {chinese}对应的时间（月）"
    return {"en": quantile_title(quantile, outcome), "zh": said}


def wrapped_text(text: str, width: int = 20) -> list[str]:
    """Text in lines of at most ``width`` Latin characters; Chinese ones count twice and part anywhere.

    Examples
    --------
    >>> wrapped_text("影像组学评分（Rad-score）")
    ['影像组学评分', '（Rad-score）']
    """
    lines, line = [], ""
    for piece in _pieces(text):
        if line and _wide(line + piece.rstrip()) > width:
            lines.append(line.rstrip())
            line = ""
        line += piece
    return [*lines, line.rstrip()]


def _pieces(text: str) -> list[str]:
    """Smallest parts that stay on one line: words, and Chinese characters."""
    pieces: list[str] = []
    for character in text:
        glued = bool(pieces) and (
            character in "，。；：、）～％" or pieces[-1][-1] in "（"
            or (not _is_wide(character) and not _is_wide(pieces[-1][-1]) and pieces[-1][-1] != " ")
        )  # fmt: skip
        if glued:
            pieces[-1] += character
        else:
            pieces.append(character)
    return pieces


def _is_wide(character: str) -> bool:
    return unicodedata.east_asian_width(character) in "WF"


def _wide(text: str) -> int:
    return sum(2 if _is_wide(character) else 1 for character in text)
