"""Single values of a header that may stay: names of regions, meanings of codes, numbers that are numbers."""

from __future__ import annotations

import re
from typing import Any, Final

import numpy as np
from pydicom.datadict import dictionary_has_tag, dictionary_VM
from pydicom.dataset import Dataset
from pydicom.sr._concepts_dict import concepts

from radiomics_npc.dataset.identities import Identities
from radiomics_npc.dataset.written_dates import has_date

__all__ = ["clean_label", "code_meaning", "most_values", "spells_text"]

_BINARY: Final = {
    "US": "<u2", "SS": "<i2", "UL": "<u4", "SL": "<i4", "UV": "<u8", "SV": "<i8", "FL": "<f4", "FD": "<f8",
}  # fmt: skip


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
        and not identities.occur_in(name, named_by_people=True)
        else None
    )


def code_meaning(header: Dataset, values: list[str]) -> str | None:
    """Name a code as its dictionary does; else as the file does, if that is words."""
    code = str(header.get("CodeValue") or "").strip()
    scheme = str(header.get("CodingSchemeDesignator") or "").strip()
    dictionary: dict[str, dict[str, tuple[str, list[int]]]] = concepts.get(scheme, {})  # type: ignore[assignment]
    for known in dictionary.values():
        if code in known:
            return str(known[code][0])
    said = values[0] if values else ""
    return said if re.fullmatch(r"[^\W\d_][\w ,()'/+-]*", said) and not re.search(r"\d{4,}", said) else None


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
