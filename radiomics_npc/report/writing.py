"""Words and lists of the methods section."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from radiomics_npc.nomogram.labels import column_label, model_label

__all__ = ["in_text", "interval_words", "listed", "part_of", "plural", "variable"]


def listed(words: Iterable[str]) -> str:
    """Words as a list in a sentence.

    Examples
    --------
    >>> listed(["T", "N", "EBV-DNA"])
    'T, N and EBV-DNA'
    """
    *first, last = list(words)
    return f"{', '.join(first)} and {last}" if first else last


def in_text(model: str) -> str:
    """Name of a model within a sentence.

    Examples
    --------
    >>> in_text("combined_cox"), in_text("clinical_boosted")
    ('combined Cox', 'clinical boosted-tree')
    """
    content, _, method = model_label(model).partition(", ")
    return f"{content[:1].lower()}{content[1:]} {method.replace('boosted trees', 'boosted-tree')}".strip()


def variable(column: str) -> str:
    """Name of a column within a sentence.

    Examples
    --------
    >>> variable("age"), variable("ebv_dna"), variable("T")
    ('age', 'EBV-DNA', 'T category')
    """
    label = column_label(column).partition(" (")[0]
    return label if label[1:2].isupper() or label[1:2] in " -" else label[:1].lower() + label[1:]


def plural(count: int, noun: str) -> str:
    """A number and its noun."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def interval_words(content: Mapping[str, Any]) -> str:
    """How wide the intervals of the validation are: ``validation.confidence`` of the study.

    Examples
    --------
    >>> interval_words({}), interval_words({"models": {"design": {"confidence": 0.9}}})
    ('95%', '90%')
    """
    return f"{100 * part_of(content, 'models', 'design').get('confidence', 0.95):g}%"


def part_of(content: Mapping[str, Any], *path: str) -> dict[str, Any]:
    """A nested part of the content that may be absent or null."""
    part: Any = content
    for key in path:
        part = (part or {}).get(key)
    return dict(part or {})
