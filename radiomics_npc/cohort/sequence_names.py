"""Sequences by their usual names in tables and file names: ``T1WI``, ``CE-T1``, ``T1C``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from radiomics_npc.cohort.tables import plain

__all__ = ["named_sequence"]

_NAMES = {
    "t1": ("t1", "t1w", "t1wi"),
    "t2": ("t2", "t2w", "t2wi"),
    "ce_t1": (
        "cet1", "cet1w", "cet1wi", "t1ce", "t1wce", "t1c", "t1gd", "t1wgd", "t1post", "t1cwi", "t1wice",
    ),
}  # fmt: skip
_SEQUENCE_OF = {name: sequence for sequence, names in _NAMES.items() for name in names}


def named_sequence(text: str, names: Mapping[str, Sequence[str]] | None = None) -> str | None:
    """Sequence that a name stands for, or None.

    Descriptions of scanners are read by :mod:`radiomics_npc.cohort.sequences`; this is for names that
    somebody gave to files and channels.

    Parameters
    ----------
    text : str
        A whole name; case, spaces and signs do not matter.
    names : mapping of str to sequence of str, optional
        The study's own names of ``t1``, ``t2`` and ``ce_t1``; they go first.

    Examples
    --------
    >>> named_sequence("T1WI"), named_sequence("T1+C"), named_sequence("FLAIR")
    ('t1', 'ce_t1', None)
    >>> named_sequence("mDIXON-W", {"ce_t1": ["mdixon w"]})
    'ce_t1'
    """
    word = plain(text)
    for sequence, own in (names or {}).items():
        if word in map(plain, own):
            return sequence
    return _SEQUENCE_OF.get(word)
