"""Units that stand in a header or beside a number, and ages read with them."""

from __future__ import annotations

import re

from radiomics_npc.cohort.vocabulary import Reader

__all__ = ["age_reader", "age_unit", "without_unit"]

_PER_YEAR = {"years": 1.0, "months": 12.0, "weeks": 365.25 / 7, "days": 365.25}
_WORDS = {
    "years": ("years", "year", "yrs", "yr", "y", "周岁", "岁", "年"),
    "months": ("months", "month", "mos", "mo", "m", "个月", "月龄", "月"),
    "weeks": ("weeks", "week", "wks", "wk", "w", "周"),
    "days": ("days", "day", "d", "日龄", "天", "日"),
}
_UNIT_OF = {word: unit for unit, words in _WORDS.items() for word in words}
_LONGEST_FIRST = sorted(_UNIT_OF, key=len, reverse=True)
_AGE = re.compile(rf"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>{'|'.join(_LONGEST_FIRST)})\.?", re.IGNORECASE)
# a letter alone is a unit only within brackets: "stage M" is no month
_WHOLE_WORDS = [w for w in _LONGEST_FIRST if len(w) > 1 or not w.isascii()]
_HEADER = re.compile(
    rf"[\s,;:/_-]*(?:[(（\[]\s*(?:in\s+)?(?P<inside>{'|'.join(_LONGEST_FIRST)})\s*[)）\]]"
    rf"|(?:\bin\s+)?(?<![^\W\d_])(?P<word>{'|'.join(_WHOLE_WORDS)}))"
    r"\s*$",
    re.IGNORECASE,
)


def age_unit(header: str) -> str | None:
    """Unit of time that a header ends with: years, months, weeks, days, or None.

    Examples
    --------
    >>> age_unit("Age (months)"), age_unit("年龄（岁）"), age_unit("age_days"), age_unit("Age at diagnosis")
    ('months', 'years', 'days', None)
    """
    match = _HEADER.search(header)
    return _UNIT_OF[(match["inside"] or match["word"]).casefold()] if match else None


def without_unit(header: str) -> str:
    """A header without the unit of time that it ends with.

    Examples
    --------
    >>> without_unit("Age (months)"), without_unit("Age")
    ('Age', 'Age')
    """
    return _HEADER.sub("", header)


def age_reader(header: str) -> Reader:
    """Reader of ages: numbers in the unit of the header, or with a unit (``054Y``, ``54岁``), as years.

    Examples
    --------
    >>> read = age_reader("Age (months)")
    >>> read("648"), read("054Y"), read("54岁"), read("old")
    ('54', '54', '54', None)
    """
    factor = _PER_YEAR[age_unit(header) or "years"]

    def read(text: str) -> str | None:
        match = _AGE.fullmatch(text.strip())
        try:
            number = float(match["number"] if match else text)
        except ValueError:
            return None
        years = number / (_PER_YEAR[_UNIT_OF[match["unit"].casefold()]] if match else factor)
        return f"{years:.6g}" if abs(years) < 1e6 else None

    return read
