"""DICOM files as they come: whole or damaged, of which kind, and what may be written into their pixels."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from pydicom import config, dcmread
from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from radiomics_npc.errors import ImageError

__all__ = [
    "as_found",
    "burned_in",
    "element_vr",
    "is_dicom",
    "kind_of",
    "read_object",
    "refusal",
    "values_of",
]

_EXPORT: Final = "Export it again."
_STORAGE: Final = "1.2.840.10008.5.1.4.1.1."
#: Kinds that hold text made by people, by the beginning of the SOP class.
_REFUSED: Final = {
    "88.": "structured report", "104.": "encapsulated document", "11.": "presentation state",
    "9.": "waveform", "481.4": "treatment record", "481.5": "treatment plan", "481.6": "treatment record",
    "481.7": "treatment record", "481.8": "treatment plan", "481.9": "treatment record",
}  # fmt: skip
_SEGMENTATION: Final = "1.2.840.10008.5.1.4.1.1.66.4"
_STRUCTURES: Final = "1.2.840.10008.5.1.4.1.1.481.3"
_DICOMDIR: Final = "1.2.840.10008.1.3.10"
_PIXELS: Final = (0x7FE00010, 0x7FE00008, 0x7FE00009)
_UNDEFINED: Final = 0xFFFFFFFF


@contextmanager
def as_found() -> Iterator[None]:
    """Take values as they are: odd ones are dealt with one by one; what pydicom says of them quotes them."""
    settings, logger = config.settings, logging.getLogger("pydicom")
    level = logger.level
    before = (settings.reading_validation_mode, settings.writing_validation_mode)
    settings.reading_validation_mode = settings.writing_validation_mode = config.IGNORE
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
        settings.reading_validation_mode, settings.writing_validation_mode = before


def is_dicom(path: Path) -> bool:
    """Whether a file says that it is DICOM (PS3.10), or its name does."""
    with path.open("rb") as stream:
        return stream.read(132)[128:] == b"DICM" or path.suffix.lower() in (".dcm", ".ima", ".dicom")


def read_object(path: Path) -> Dataset:
    """Read a whole file; to be called within :func:`as_found`.

    Raises
    ------
    ImageError
        Damaged or truncated. The message names nothing: file names may be names of patients.
    """
    try:
        found = dcmread(path)
        for tag in list(found.keys()):
            element = found.get_item(tag)
            stated = element.length if isinstance(element, RawDataElement) else 0
            if stated not in (0, _UNDEFINED) and len(element.value or b"") < stated:
                raise ImageError("truncated", _EXPORT)
    except ImageError:
        raise
    except Exception as error:
        # damaged files make pydicom fail in many ways (EOFError, KeyError, ...): all mean the same
        raise ImageError(f"no DICOM file, or damaged ({type(error).__name__})", _EXPORT) from error
    if kind_of(found) == "DICOMDIR":
        return found
    for name in ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
        if not str(found.get(name) or "").strip():
            raise ImageError(f"damaged: it has no {name}", _EXPORT)
    return found


def kind_of(header: Dataset) -> str:
    """Say what a file is, in a word or two that are no value of it."""
    meta = getattr(header, "file_meta", Dataset())
    sop_class = str(header.get("SOPClassUID") or meta.get("MediaStorageSOPClassUID") or "")
    if sop_class == _DICOMDIR or "DirectoryRecordSequence" in header:
        return "DICOMDIR"
    if "EncapsulatedDocument" in header:
        return "encapsulated document"
    if sop_class == _SEGMENTATION:
        return "segmentation"
    if sop_class == _STRUCTURES:
        return "contours"
    rest = sop_class.removeprefix(_STORAGE)
    for start, kind in _REFUSED.items():
        if rest.startswith(start):
            return kind
    return "image" if any(tag in header for tag in _PIXELS) else "other object"


def refusal(kind: str) -> str:
    """Why a kind is not copied; empty if it is."""
    if kind in ("image", "segmentation", "contours"):
        return ""
    return f"{kind}: its text cannot be cleaned by rules, so it is not copied"


def burned_in(header: Dataset) -> str:
    """Why text may be written into the pixels; empty if nothing speaks for it.

    Examples
    --------
    >>> header = Dataset()
    >>> header.Modality = "US"
    >>> burned_in(header)
    'ultrasound images have text burned in as a rule'
    """
    if str(header.get("BurnedInAnnotation") or "").upper() == "YES":
        return "the header says that text is burned in"
    sop_class = str(header.get("SOPClassUID") or "").removeprefix(_STORAGE)
    terms = " ".join(map(str, values_of(header.get("ImageType")))).upper()
    modality = str(header.get("Modality") or "").upper()
    if modality in ("US", "IVUS"):
        return "ultrasound images have text burned in as a rule"
    if sop_class == "7" or sop_class.startswith("7.") or header.get("ConversionType"):
        return "a secondary capture may have text burned in"
    if any(word in terms for word in ("SCREEN", "CAPTURE", "REPORT", "DOSE")):
        return "a screen save may have text burned in"
    if modality in ("ES", "XC", "GM", "OT", "DOC"):
        return "images of this modality may have text burned in"
    if any(
        0x6000 <= t.group <= 0x60FF and t.element == 0x0102 and header[t].value for t in list(header.keys())
    ):
        return "an overlay in unused bits of the pixels may hold text"
    if modality in ("MR", "CT", "PT") and int(header.get("SamplesPerPixel") or 1) > 1:
        return "a color picture among images of this modality is drawn by software, often with text"
    return ""


def values_of(value: Any) -> list[Any]:
    """List the values of an element: none, one or several."""
    if value is None or (isinstance(value, (str, bytes)) and not value):
        return []
    return list(value) if isinstance(value, (MultiValue, list, tuple)) else [value]


def element_vr(header: Dataset, tag: int) -> str:
    """Value representation that an element will have: the dictionary's where the file says none or UN."""
    element = header.get_item(tag)
    vr = element.VR if element is not None else None
    if vr in (None, "UN") and dictionary_has_tag(tag):
        return str(dictionary_VR(tag))
    return str(vr or "UN")
