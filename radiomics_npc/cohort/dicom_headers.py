"""What a DICOM header says, of single images and of enhanced multi-frame ones alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from radiomics_npc.cohort.sequence_headers import SeriesHeaders

__all__ = [
    "FRAME_GROUPS", "HEADER_TAGS", "functional_group", "is_image", "plane_of", "readable", "series_headers",
]  # fmt: skip

#: Where multi-frame objects keep what single images have at the top.
FRAME_GROUPS = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
#: What a scan of headers reads.
HEADER_TAGS = [
    "SOPClassUID", "SOPInstanceUID", "ImageType", "Modality", "SeriesDescription", "ProtocolName",
    "SpecificCharacterSet", "PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SeriesNumber",
    "ImagePositionPatient", "ImageOrientationPatient", "NumberOfFrames", "PhotometricInterpretation",
    "EchoTime", "RepetitionTime",
    "ScanningSequence", "ContrastBolusAgent", "ContrastBolusAgentSequence", "ContrastBolusVolume",
    "ContrastBolusTotalDose", "DiffusionBValue", "AngioFlag", "AcquisitionContrast", "EchoPulseSequence",
    "InversionRecovery", "EchoPlanarPulseSequence", *FRAME_GROUPS,
    # masks: their regions, and the series that they were drawn on
    "StructureSetROISequence", "SegmentSequence", "ReferencedFrameOfReferenceSequence",
    "ReferencedSeriesSequence",
]  # fmt: skip
#: A slice normal that leans more than about 37 degrees from the nearest axis of the patient is oblique (the
#: threshold of the ImageOrientation class in D. Clunie's PixelMed toolkit).
_OBLIQUE = 0.8


def is_image(header: Any) -> bool:
    """Whether a header is of an image, and not of a contour, a report, a dose, a presentation state.

    Decided by the SOP class; a secondary capture (screen shots) counts where it
    has a position in space, and so does an image of a class of the maker's own.

    Examples
    --------
    >>> from pydicom import Dataset
    >>> header = Dataset()
    >>> header.SOPClassUID = "1.2.840.10008.5.1.4.1.1.481.3"  # RT Structure Set
    >>> is_image(header)
    False
    """
    meta = getattr(header, "file_meta", None)
    uid = header.get("SOPClassUID") or (meta.get("MediaStorageSOPClassUID") if meta is not None else None)
    name = getattr(uid, "name", "")
    if not name:
        return True
    placed = header.get("ImagePositionPatient") is not None or FRAME_GROUPS[1] in header
    if name != uid:  # a class that the standard names
        return "Image Storage" in name and ("Secondary Capture" not in name or placed)
    return placed


def functional_group(header: Any, frame: int, name: str) -> Any | None:
    """Return the item of a functional group of one frame, else that of all frames, else None.

    Parameters
    ----------
    header : pydicom.Dataset
    frame : int
        From 0.
    name : str
        Such as ``PlanePositionSequence``.
    """
    frames = header.get(FRAME_GROUPS[1]) or []
    shared = header.get(FRAME_GROUPS[0]) or []
    for groups in (frames[frame] if frame < len(frames) else None, shared[0] if shared else None):
        items = groups.get(name) if groups is not None else None
        if items:
            return items[0]
    return None


def readable(text: str, header: Any) -> str:
    """A text of a header in the letters that were meant, where the header does not say which they are.

    The standard has plain ASCII without SpecificCharacterSet (PS3.3 C.12.1.1.2), and pydicom takes other
    bytes for Western letters. Consoles in Chinese write their own encoding there.

    Parameters
    ----------
    text : str
        As pydicom gives it.
    header : pydicom.Dataset
        The whole object.

    Examples
    --------
    >>> from pydicom import Dataset
    >>> wrong = "肿瘤".encode("gb18030").decode("latin-1")
    >>> wrong, readable(wrong, Dataset())
    ('Ö×Áö', '肿瘤')
    """
    if header.get("SpecificCharacterSet") or text.isascii():
        return text
    for encoding in ("utf-8", "gb18030"):
        try:
            return text.encode("latin-1").decode(encoding)
        except UnicodeError:
            continue
    return text


def plane_of(orientation: ArrayLike) -> str:
    """Name the plane of slices after the axis of the patient nearest to their normal.

    Parameters
    ----------
    orientation : array-like, shape (6,)
        ImageOrientationPatient.

    Returns
    -------
    {"axial", "coronal", "sagittal", "oblique"}
        Oblique: more than 37 degrees from every axis.

    Examples
    --------
    >>> plane_of([1, 0, 0, 0, 1, 0]), plane_of([1, 0, 0, 0, 0, -1]), plane_of([0, 1, 0, 0, 0, -1])
    ('axial', 'coronal', 'sagittal')
    """
    cosines = np.asarray(orientation, dtype=float)
    normal = np.abs(np.cross(cosines[:3], cosines[3:]))
    if not normal.max() > _OBLIQUE:
        return "oblique"
    return ("sagittal", "coronal", "axial")[int(normal.argmax())]


def series_headers(header: Any) -> SeriesHeaders:
    """Take from a header what tells the sequence.

    Parameters
    ----------
    header : pydicom.Dataset
        Of one image of the series, enhanced or not.
    """
    timing = functional_group(header, 0, "MRTimingAndRelatedParametersSequence")
    echo = functional_group(header, 0, "MREchoSequence")
    diffusion = functional_group(header, 0, "MRDiffusionSequence")
    frame_type = functional_group(header, 0, "MRImageFrameTypeSequence")
    acquired = header.get("AcquisitionContrast") or (frame_type or {}).get("AcquisitionContrast")
    return SeriesHeaders(
        description=_text(header, "SeriesDescription"),
        protocol=_text(header, "ProtocolName"),
        modality=_text(header, "Modality"),
        image_type=_several(header.get("ImageType")),
        scanning=_scanning(header),
        te_ms=_number(header.get("EchoTime") or (echo or {}).get("EffectiveEchoTime")),
        tr_ms=_number(header.get("RepetitionTime") or (timing or {}).get("RepetitionTime")),
        agent=_text(header, "ContrastBolusAgent"),
        agent_given=bool(header.get("ContrastBolusAgentSequence"))
        or any((_number(header.get(t)) or 0) > 0 for t in ("ContrastBolusVolume", "ContrastBolusTotalDose")),
        acquired=str(acquired or ""),
        b_value=_number(header.get("DiffusionBValue") or (diffusion or {}).get("DiffusionBValue")) or 0.0,
        angiography=_text(header, "AngioFlag") == "Y",
    )


def _scanning(header: Any) -> frozenset[str]:
    """ScanningSequence, or what enhanced objects say in its place."""
    kinds = set(_several(header.get("ScanningSequence")))
    echo = _text(header, "EchoPulseSequence")
    kinds |= {"SPIN": {"SE"}, "GRADIENT": {"GR"}, "BOTH": {"SE", "GR"}}.get(echo, set())
    kinds |= {"IR"} if _text(header, "InversionRecovery") == "YES" else set()
    kinds |= {"EP"} if _text(header, "EchoPlanarPulseSequence") == "YES" else set()
    return frozenset(kinds)


def _text(header: Any, tag: str) -> str:
    value = header.get(tag)
    return "" if value is None else readable(str(value), header).strip()


def _several(value: Any) -> tuple[str, ...]:
    if value is None or value == "":
        return ()
    values = [value] if isinstance(value, str) or not isinstance(value, Sequence) else value
    return tuple(str(v).strip() for v in values)


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if np.isfinite(number) else None
