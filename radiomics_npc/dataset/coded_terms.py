"""Codes and terms that the standard lists: what is not among them may be anybody's words."""

from __future__ import annotations

import re
from functools import cache
from typing import Final

from pydicom.dataset import Dataset
from pydicom.sr._cid_dict import cid_concepts
from pydicom.sr._concepts_dict import concepts
from pydicom.sr._snomed_dict import mapping

__all__ = ["clean_code", "code_meaning", "is_body_part"]

_CODE_VALUE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,15}")
_UNKNOWN: Final = "REMOVED"
_ANATOMIC_REGIONS: Final = 4  # PS3.16, CID 4
#: Terms of BodyPartExamined (PS3.16, Annex L) that are no names of codes.
_FURTHER_PARTS: Final = frozenset(re.findall(r"\w+", """
    headneck wholebody chest cspine tspine lspine ctspine tlspine lsspine spine orbit orbits sinus sinuses
    iac pituitary sella nasopharynx oropharynx skullbase tmj extremity abdomenpelvis chestabdomen
    chestabdpelvis headneckchest neckchest upperarm tibia wrist hand ankle heart kidney
"""))  # fmt: skip
_LITTLE_WORDS: Final = frozenset({"and", "of", "left", "right", "region", "whole", "body"})


@cache
def _meanings(scheme: str) -> dict[str, str]:
    listed: dict[str, dict[str, tuple[str, list[int]]]] = concepts.get(scheme, {})  # type: ignore[assignment]
    return {code: str(found[0]) for known in listed.values() for code, found in known.items()}


def _known(header: Dataset) -> str | None:
    code = str(header.get("CodeValue") or "").strip()
    scheme = str(header.get("CodingSchemeDesignator") or "").strip()
    if scheme in ("SRT", "SNM3", "99SDM"):
        scheme, code = "SCT", str(mapping["SRT"].get(code, ""))
    return _meanings(scheme).get(code)


def clean_code(header: Dataset, code: str) -> str:
    """Return a code if a dictionary has it or it looks like one; long numbers are codes in SNOMED alone.

    Examples
    --------
    >>> item = Dataset()
    >>> item.CodeValue, item.CodingSchemeDesignator = "REQ0091823", "99HIS"
    >>> clean_code(item, item.CodeValue)
    'REMOVED'
    """
    sound = _CODE_VALUE.fullmatch(code.strip()) is not None
    if str(header.get("CodingSchemeDesignator") or "").strip() != "SCT":
        sound = sound and re.search(r"\d{5,}", code) is None
    return code if sound or _known(header) is not None else _UNKNOWN


def code_meaning(header: Dataset) -> str:
    """Name a code as its dictionary does, and by the code itself where none has it: the rest is free text.

    Examples
    --------
    >>> item = Dataset()
    >>> item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = "T-D1100", "SRT", "of our Mr. Smith"
    >>> code_meaning(item)
    'Head structure (body structure)'
    """
    return _known(header) or clean_code(header, str(header.get("CodeValue") or _UNKNOWN))


@cache
def _body_parts() -> frozenset[str]:
    regions = cid_concepts[_ANATOMIC_REGIONS].values()
    return frozenset(name.casefold() for names in regions for name in names) | _FURTHER_PARTS


def is_body_part(text: str) -> bool:
    """Whether a text names parts of the body: what operators type here may be anything.

    Examples
    --------
    >>> [is_body_part(text) for text in ("HEAD", "HEAD_NECK", "WHOLE BODY", "CSPINE", "DR HUANG")]
    [True, True, True, True, False]
    """
    words = [w for w in re.split(r"[\W_]+", text.casefold()) if w]
    parts = _body_parts()
    return "".join(words) in parts or all(w in parts or w in _LITTLE_WORDS for w in words)
