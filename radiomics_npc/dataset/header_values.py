"""Single values of a header that may stay: names of regions, lookup tables, numbers that are numbers."""

from __future__ import annotations

import re
from typing import Any, Final

import numpy as np
from pydicom.datadict import dictionary_has_tag, dictionary_VM
from pydicom.dataset import Dataset

from radiomics_npc.dataset.identities import Identities
from radiomics_npc.dataset.written_dates import has_date

__all__ = ["clean_label", "most_values", "speaks_of_somebody", "spells_text", "table_fits"]

_BINARY: Final = {
    "US": "<u2", "SS": "<i2", "UL": "<u4", "SL": "<i4", "UV": "<u8", "SV": "<i8", "FL": "<f4", "FD": "<f8",
}  # fmt: skip
_TITLE: Final = re.compile(
    r"(?<![a-z])(dr|prof|by|mrs|nurse|patient)(?![a-z])|医生|医师|醫師|教授|护士", re.I
)
#: LUTData and the color tables, and their descriptors.
_DESCRIPTORS: Final = {
    0x00283006: 0x00283002, 0x00281201: 0x00281101, 0x00281202: 0x00281102, 0x00281203: 0x00281103,
}  # fmt: skip


def speaks_of_somebody(text: str) -> bool:
    """Whether a text has a title of persons, or says by whom something was done.

    Examples
    --------
    >>> [speaks_of_somebody(text) for text in ("GTV Dr. Wang", "drawn by Li", "王医生", "DRR", "syngo MR")]
    [True, True, True, False, False]
    """
    return _TITLE.search(text.replace("_", " ")) is not None


def clean_label(name: str, identities: Identities) -> str | None:
    """Return the name of a region if it may stay: printable, short, no identity, date, long number.

    Examples
    --------
    >>> clean_label("GTVp", Identities()), clean_label("GTV 13800138000", Identities())
    ('GTVp', None)
    """
    name = name.strip()
    sound = len(name) <= 64 and name.isprintable() and "@" not in name
    return (
        name
        if sound
        and not re.search(r"\d{5,}", name)
        and not has_date(name)
        and not speaks_of_somebody(name)
        and not identities.occur_in(name, named_by_people=True)
        else None
    )


def table_fits(header: Dataset, tag: int, data: bytes) -> bool:
    """Whether a lookup table has the length that its descriptor says, and is none of letters."""
    descriptor = header.get(_DESCRIPTORS.get(tag, 0))
    values = list(descriptor.value) if descriptor is not None and descriptor.value else [0]
    entries = int(values[0]) or 2**16
    return len(data) in (entries, entries + entries % 2, 2 * entries) and not (
        len(data) >= 8 and re.fullmatch(rb"[\x20-\x7e\0]+", data)
    )


def spells_text(vr: str, values: list[Any]) -> bool:
    """Whether binary numbers are letters in truth, as where a text was written under a number's attribute."""
    if vr == "AT":
        return not all(dictionary_has_tag(v) for v in values)
    data = np.array(values, dtype=_BINARY[vr]).tobytes().rstrip(b"\0 ")
    # doubles and floats are like letters by chance more often than counts are
    least = 16 if vr == "FD" else 11 if vr == "FL" else 6
    return len(data) >= least and re.fullmatch(rb"[\w ^.,:/@+-]+", data) is not None


def most_values(tag: int) -> float:
    """How many values an attribute may have; nine where nobody says."""
    if not dictionary_has_tag(tag):
        return 9
    most = dictionary_VM(tag).split("-")[-1]
    return int(most) if most.isdigit() else float("inf")
