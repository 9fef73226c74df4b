"""Dates within a text, in whatever form people and machines write them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from typing import Final

__all__ = ["has_date", "says_date"]

_MONTHS: Final = {name: number for number, name in enumerate(
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], 1)}  # fmt: skip
_NAME: Final = rf"(?:{'|'.join(_MONTHS)})[a-z]*"
_GAP: Final = r"[\s._,/年月-]{1,2}"
_APART: Final = re.compile(rf"(?=(?<!\d)(\d{{1,4}}){_GAP}(\d{{1,2}}|{_NAME}){_GAP}(\d{{1,4}})(?!\d))")
_NAMED: Final = re.compile(rf"(?<!\d)(\d{{1,4}})[\s._,/-]*({_NAME})[\s._,/-]*(\d{{1,4}})(?!\d)")
_MONTH_FIRST: Final = re.compile(rf"({_NAME})[\s._,/-]*(\d{{1,2}})[\s._,/-]+(\d{{2,4}})(?!\d)")
_ONE_RUN: Final = re.compile(r"(?<!\d)(?:(\d{8})(?:\d{4}|\d{6})?|(\d{6}))(?!\d)")
#: Which of three numbers is year, month, day.
_ORDERS: Final = ((0, 1, 2), (2, 1, 0), (2, 0, 1))


def says_date(text: str, known: frozenset[str]) -> bool:
    """Whether a text says one of the known dates; years may have two digits.

    Parameters
    ----------
    text : str
    known : frozenset of str
        ``YYYYMMDD``.

    Examples
    --------
    >>> known = frozenset({"20210315"})
    >>> [says_date(t, known) for t in ("15.3.2021", "15Mar21", "03/15/2021", "210315", "2021年3月15日")]
    [True, True, True, True, True]
    >>> says_date("70_60_54", known)
    False
    """
    if not known:
        return False
    short = {day[2:] for day in known}
    return any(found in known or found in short for found in _dates(text))


def has_date(text: str) -> bool:
    """Whether a text says any date with a year of four digits.

    Examples
    --------
    >>> has_date("GTV_2021_03_15"), has_date("PTV_70_60_54"), has_date("CTV 60.06-54.12")
    (True, False, False)
    """
    return any(len(found) == 8 for found in _dates(text))


def _dates(text: str) -> Iterator[str]:
    """All that may be a date, as ``YYYYMMDD`` or ``YYMMDD``."""
    text = text.casefold()
    triples = [m.groups() for pattern in (_APART, _NAMED) for m in pattern.finditer(text)]
    triples += [(m[2], m[1], m[3]) for m in _MONTH_FIRST.finditer(text)]
    for run in _ONE_RUN.finditer(text):
        whole = run[1] or run[2]
        triples += [(whole[:-4], whole[-4:-2], whole[-2:]), (whole[:2], whole[2:4], whole[4:])]
    for triple in triples:
        for year, month, day in (tuple(triple[i] for i in order) for order in _ORDERS):
            if found := _valid(year, month, day):
                yield found


def _valid(year: str, month: str, day: str) -> str | None:
    number = _MONTHS.get(month[:3]) or (int(month) if month.isdigit() else 0)
    if len(year) not in (2, 4) or not (year.isdigit() and day.isdigit()):
        return None
    if len(year) == 4 and not year.startswith(("19", "20")):
        return None
    try:
        date(int(year) if len(year) == 4 else 2000, number, int(day))
    except ValueError:
        return None
    return f"{year}{number:02d}{int(day):02d}"
