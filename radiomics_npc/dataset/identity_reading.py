"""Read what identifies in single values: names by their parts, ids, addresses, and ids within free texts."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from radiomics_npc.dataset.identities import DIGITS, LEAST, Identities, plain

__all__ = ["name_identities", "text_identities"]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: Words of names and institutions that say nothing of whom, or that images, or we, write into headers.
_COMMON: Final = _words(
    """
    original primary derived secondary axial sagittal coronal head neck brain face nasopharynx skull other
    none unknown monochrome monochrome1 monochrome2 palette color closed planar open point nonplanar mixed
    volume sampled distorted resampled magnitude phase real imaginary binary fractional manual automatic
    semiautomatic organ tumor tumour lesion region roi structure set image images series study scan exam
    mask contour contours segment segmentation medical systems system healthcare siemens philips toshiba
    canon hitachi united imaging general electric health mri magnetic resonance radiology oncology
    radiotherapy radiation department dept division hospital university center centre cancer clinic
    clinics institute college school people peoples affiliated first second third fourth fifth national
    provincial municipal city province county north south east west central new the and for of at street
    road avenue building floor room china anonymous anonymized anonymised deidentified removed test
    patient phantom doctor prof professor miss madam name birth address phone contrast head^neck simulated
    cohort data science sciences academy technology foundation service services private dicom annex basic
    application confidentiality profile clean descriptors option retain longitudinal temporal information
    modified dates device identity safe characteristics never
    """
)
#: Two letters that names of regions have for other reasons.
_SIDES: Final = _words("lt rt le ri ln gt ct mr nd np ax al dr mr ms jr sr md ii iv vi")

_MEASURED: Final = re.compile(r"[+-]?(\d{1,5}|\d*\.\d+|\d+\.)(e[+-]?\d+)?")


def _is_telling(word: str) -> bool:
    return word not in _COMMON and len(word) > (1 if not word.isascii() else 2)


def name_identities(text: str, raw: bytes = b"") -> Identities:
    """Read a person's name: its groups, components and words, joined in both orders.

    Parameters
    ----------
    text : str
        As ``Family^Given^Middle=ideographic=phonetic``.
    raw : bytes
        The same as it was encoded.
    """
    words: set[str] = set()
    values: set[str] = {plain(text)} if _is_telling(plain(text)) else set()
    bare = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    for group in re.split(r"[=\\]", text if bare == text else f"{text}={bare}"):
        parts = [p for p in re.split(r"[\s^,;/.()_-]+", plain(group)) if p]
        words.update(p for p in parts if _is_telling(p) and not p.isdigit())
        if not any(_is_telling(p) for p in parts) and len("".join(parts)) < 2:
            continue
        for order in (parts, parts[::-1]):
            values.update(sign.join(order) for sign in ("", " ", "^", "_", ", "))
        if len(parts) > 2:
            values.update({"".join(parts[:2]), " ".join(parts[:2]), " ".join(parts[1::-1])})
        # a family name of one character is found where it stands alone
        values.update(p for p in parts if len(p) == 1 and not p.isascii())
    values = {v for v in values if _is_telling(v) or (len(v) == 1 and not v.isascii())}
    short = frozenset(w for w in re.findall(r"[a-z]+", plain(text)) if len(w) == 2 and w not in _SIDES)
    return Identities(
        frozenset(words), frozenset(values), raw=_raw_parts(raw) if values else frozenset(), short=short
    )


def text_identities(text: str, raw: bytes = b"", *, identifying: bool) -> Identities:
    """Read another text: an id or address as a whole and in words, a free text for ids within it.

    Parameters
    ----------
    text : str
    raw : bytes
    identifying : bool
        The attribute is there to identify (id, institution, address, station); else it is a free text.

    Examples
    --------
    >>> text_identities("seen by ward 7, tel 13800138000", identifying=False).occur_in("13800138000")
    True
    """
    said = plain(text)
    parts = [p for p in re.split(r"[\s,;:/\\^()=|]+", said) if p]
    coded = {p.strip(".-") for p in parts if len(re.sub(r"\D", "", p)) >= DIGITS - 1}
    if not identifying:
        # scanners repeat acquisition parameters in attributes of their own
        coded = {p for p in coded if not _MEASURED.fullmatch(p)}
        whole = len(said) >= 8 and not set(parts) <= _COMMON and not all(map(_MEASURED.fullmatch, parts))
        return Identities(values=frozenset(coded), texts=frozenset({said} if whole else ()))
    # the same number with other letters, padding or punctuation
    core = re.sub(r"\D", "", said).lstrip("0")
    coded |= {core} if len(core) >= DIGITS else set()
    values = {v for v in {said, *coded} if _is_telling(v) or (v.isdigit() and len(v) > 2)}
    words = {p for p in parts if len(p) >= LEAST and _is_telling(p) and not p.replace(".", "").isdigit()}
    return Identities(frozenset(words), frozenset(values), raw=_raw_parts(raw) if values else frozenset())


def _raw_parts(raw: bytes) -> frozenset[bytes]:
    parts = {raw.strip(b" \0"), *re.split(rb"[\^=\\ ]+", raw.strip(b" \0"))}
    return frozenset(p for p in parts if len(p) >= DIGITS and p.lower().decode("latin-1") not in _COMMON)
