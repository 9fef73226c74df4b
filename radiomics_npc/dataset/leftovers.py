"""The check of what was written: read again, looked at attribute by attribute, and searched byte by byte."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from pydicom.dataset import Dataset

from radiomics_npc.dataset.confidentiality_profile import (
    Action,
    Options,
    action_for,
    is_safe_private,
    keyword,
    table_action,
)
from radiomics_npc.dataset.dicom_objects import as_found, element_vr, read_object, values_of
from radiomics_npc.dataset.header_cleaning import DUMMY_DATE
from radiomics_npc.dataset.header_values import clean_label
from radiomics_npc.dataset.identities import Identities
from radiomics_npc.dataset.pseudonyms import is_standard_uid

__all__ = ["find_leftovers"]

_OWN: Final = frozenset({
    "PatientName", "PatientID", "PatientIdentityRemoved", "DeidentificationMethod",
    "DeidentificationMethodCodeSequence", "SpecificCharacterSet", "LongitudinalTemporalInformationModified",
    "SOPClassUID",
})  # fmt: skip
_META: Final = frozenset({0x00020000, 0x00020001, 0x00020002, 0x00020003, 0x00020010, 0x00020012, 0x00020013})
_TEXT_VRS: Final = ("LO", "SH", "CS")
_KEPT: Final = (Action.KEEP, Action.CLEAN, Action.LABEL, Action.AGENT, Action.SEQUENCE)
_DUMMY_TEXTS: Final = ("", "0", "REMOVED", "STRUCTURES", "000000", "000Y", DUMMY_DATE, DUMMY_DATE + "000000")


def find_leftovers(
    path: Path, options: Options, identities: tuple[Identities, Identities], pseudonym: str,
    old_uids: set[str],
) -> list[str]:  # fmt: skip
    """Say what identifies, or may, in a file that was written.

    Parameters
    ----------
    path : Path
    options : Options
    identities : tuple of two Identities
        What must not be in it: of the patient, and free texts of the source file.
    pseudonym : str
        What it says instead.
    old_uids : set of str
        UIDs of the file that it was made from.

    Returns
    -------
    list of str
        Names of attributes, or where in the bytes; no values. Empty if the file is clean.
    """
    data = path.read_bytes()
    people, texts = identities
    with as_found():
        header = read_object(path)
        found = [f"file meta ({int(t):08X})" for t in list(header.file_meta.keys()) if int(t) not in _META]
        found += sorted(set(_attributes(header, options, people, pseudonym)))
        if data[:128] != bytes(128):
            found.append("preamble")
        kept = list(_kept_texts(header, options))
        found += _bytes(data, header, (people, texts.allowing(kept)), old_uids)
    return found


def _attributes(header: Dataset, options: Options, identities: Identities, pseudonym: str) -> Iterator[str]:
    grouped = 0x52009229 in header
    for key in list(header.keys()):
        tag, name, vr = int(key), keyword(int(key)), element_vr(header, int(key))
        if name in _OWN:
            if name in ("PatientName", "PatientID") and str(header[key].value) != pseudonym:
                yield name
            continue
        if (tag >> 16) % 2:
            if not options.keep_private or not _is_safe(header, tag):
                yield name
            continue
        action = action_for(tag, vr, options, functional_groups=grouped or vr in ("DA", "DT", "TM"))
        value = header[key].value
        if vr == "SQ" and action is not Action.REMOVE:
            for item in value:
                yield from _attributes(item, options, identities, pseudonym)
        if _is_left(action, tag, vr, value, identities):
            yield name


def _is_safe(header: Dataset, tag: int) -> bool:
    element = tag & 0xFFFF
    if element < 0x1000:
        creator = str(header[tag].value)
        return any(is_safe_private(int(t), creator) for t in list(header.keys()) if t.group == tag >> 16)
    block = (tag & 0xFFFF0000) | element >> 8
    return block in header and is_safe_private(tag, str(header[block].value))


def _is_left(action: Action, tag: int, vr: str, value: Any, identities: Identities) -> bool:
    texts = [str(v) for v in values_of(value)]
    if action is Action.REMOVE:
        # an optional attribute may be required of objects with functional groups, and has a dummy there
        return not ("D" in (table_action(tag) or "") and all(t in _DUMMY_TEXTS for t in texts))
    if action in (Action.EMPTY, Action.DUMMY):
        return bool(texts) and not all(t in _DUMMY_TEXTS for t in texts) and vr not in ("OB", "UN")
    if action is Action.UID:
        return not all(t.startswith("2.25.") or is_standard_uid(t) for t in texts)
    if action is Action.LABEL:
        return any(clean_label(t, identities) is None for t in texts)
    if action in (Action.CLEAN, Action.AGENT, Action.SEQUENCE):
        return any(identities.occur_in(t) for t in texts)
    return False


def _at(header: Dataset, start: int) -> str:
    """Name the attribute that a place in the file belongs to."""
    places = {tag: header[tag].file_tell or 0 for tag in list(header.keys())}
    before = [tag for tag, place in places.items() if place <= start]
    return keyword(int(max(before, key=lambda tag: places[tag]))) if before else "the file meta information"


def _kept_texts(header: Dataset, options: Options) -> Iterator[str]:
    for key in list(header.keys()):
        vr = element_vr(header, int(key))
        if vr == "SQ":
            for item in header[key].value:
                yield from _kept_texts(item, options)
        elif vr in _TEXT_VRS and (key.is_private or action_for(int(key), vr, options) in _KEPT):
            values = [str(v) for v in values_of(header[key].value)]
            # private attributes repeat them in one text
            yield from {*values, "\\".join(values)}


def _bytes(
    data: bytes, header: Dataset, identities: tuple[Identities, Identities], old_uids: set[str]
) -> list[str]:
    pixels = bytes(header.get("PixelData") or b"")
    compressed = header.file_meta.TransferSyntaxUID.is_encapsulated
    rest = data.replace(pixels, b"", 1) if len(pixels) > 16 else data
    places = {start for what in identities if (start := what.find_in(rest)) is not None}
    found = [f"bytes of {_at(header, start)}" for start in sorted(places)]
    if compressed and any(what.find_in(pixels, long_only=True) is not None for what in identities):
        found.append("bytes of the compressed pixels")
    if any(uid.encode() in rest for uid in old_uids if len(uid) > 5 and not is_standard_uid(uid)):
        found.append("a UID of the source")
    return found
