"""What the header of an RTSTRUCT or a SEG says: which images it was drawn on, and what is drawn."""

from __future__ import annotations

from typing import Any

from radiomics_npc.cohort.dicom_headers import FRAME_GROUPS, readable

__all__ = ["referenced_images", "referenced_series", "structure_names"]


def referenced_series(header: Any) -> tuple[str, ...]:
    """SeriesInstanceUIDs that an RTSTRUCT or a SEG names."""
    items = list(header.get("ReferencedSeriesSequence") or [])
    for frame in header.get("ReferencedFrameOfReferenceSequence") or []:
        for study in frame.get("RTReferencedStudySequence") or []:
            items += list(study.get("RTReferencedSeriesSequence") or [])
    uids = [str(item.get("SeriesInstanceUID") or "") for item in items]
    return tuple(dict.fromkeys(uid for uid in uids if uid))


def referenced_images(header: Any) -> tuple[str, ...]:
    """SOPInstanceUIDs of the images that frames of a SEG were derived from, or contours were drawn on."""
    derived = (
        source
        for frame in header.get(FRAME_GROUPS[1]) or []
        for derivation in frame.get("DerivationImageSequence") or []
        for source in derivation.get("SourceImageSequence") or []
    )
    drawn = (
        source
        for region in header.get("ROIContourSequence") or []
        for contour in region.get("ContourSequence") or []
        for source in contour.get("ContourImageSequence") or []
    )
    return tuple(dict.fromkeys(str(source.get("ReferencedSOPInstanceUID")) for source in (*derived, *drawn)))


def structure_names(header: Any) -> tuple[str, ...]:
    """What an RTSTRUCT or a SEG calls its structures."""
    names = [item.get("ROIName") for item in header.get("StructureSetROISequence") or []]
    names += [item.get("SegmentLabel") for item in header.get("SegmentSequence") or []]
    return tuple(readable(str(name or ""), header).strip() for name in names)
