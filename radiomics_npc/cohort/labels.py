"""Regions in a mask as text: ``2``, ``GTVp``, ``gtvp + gtvnd``."""

from __future__ import annotations

import re
from collections.abc import Iterable

from radiomics_npc.cohort.cases import Label
from radiomics_npc.errors import CohortError

__all__ = ["as_label", "format_label", "parse_label"]

_PART = re.compile(r'\s*(?:"((?:[^"]|"")*)"|([^"+]+?))\s*(\+|$)')
_WHOLE = re.compile(r"([+-]?\d+)(?:\.0+)?")


def parse_label(text: str) -> Label | tuple[Label, ...] | None:
    """Read what a cell says of the region in a mask.

    Parameters
    ----------
    text : str
        Values or names, several joined by ``+`` for their union. A whole number is a value, other text
        the name of a segment; quotes keep a name that holds a ``+`` or is a number.

    Returns
    -------
    int, str, tuple of them, or None
        None for an empty text: any two-valued labelling.

    Raises
    ------
    CohortError
        A part is empty, or a quote is not closed.

    Examples
    --------
    >>> parse_label("2"), parse_label("GTVp"), parse_label("gtvp + gtvnd"), parse_label("1+2")
    (2, 'GTVp', ('gtvp', 'gtvnd'), (1, 2))
    >>> parse_label('"T1+C" + 3'), parse_label('"2"')
    (('T1+C', 3), '2')
    """
    text = text.strip()
    if not text:
        return None
    parts: list[Label] = []
    at, more = 0, True
    while more:
        found = _PART.match(text, at)
        if found is None:
            raise CohortError(
                f"the label {text!r} cannot be read",
                "Write a value or a name, several as gtvp + gtvnd; a name with a + in quotes.",
            )
        quoted, plain, end = found.groups()
        parts.append(quoted.replace('""', '"') if quoted is not None else _value(plain.strip()))
        at, more = found.end(), end == "+"
    return as_label(parts)


def _value(text: str) -> Label:
    whole = _WHOLE.fullmatch(text)
    return int(whole[1]) if whole else text


def as_label(parts: Iterable[Label]) -> Label | tuple[Label, ...] | None:
    """One label from its parts: each once, alone where there is one only.

    Examples
    --------
    >>> as_label([1]), as_label([1, 2, 1]), as_label([])
    (1, (1, 2), None)
    """
    unique = tuple(dict.fromkeys(parts))
    return unique if len(unique) > 1 else next(iter(unique), None)


def format_label(label: Label | tuple[Label, ...] | None) -> str:
    """Write a label so that :func:`parse_label` reads the same.

    Examples
    --------
    >>> format_label(("gtvp", 2)), format_label("T1+C"), format_label(None)
    ('gtvp + 2', '"T1+C"', '')
    """
    if label is None:
        return ""
    parts = label if isinstance(label, tuple) else (label,)
    return " + ".join(map(_written, parts))


def _written(part: Label) -> str:
    if isinstance(part, int):
        return str(part)
    bare = part.strip() == part and part and not set(part) & set('+"') and not _WHOLE.fullmatch(part)
    return part if bare else '"' + part.replace('"', '""') + '"'
