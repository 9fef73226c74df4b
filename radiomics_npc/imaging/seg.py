"""Segments of a DICOM SEG to a mask."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from radiomics_npc.cohort.cases import Label
from radiomics_npc.cohort.dicom_headers import readable
from radiomics_npc.errors import MaskError, RegionAbsentError
from radiomics_npc.imaging.dicom_objects import read_object
from radiomics_npc.imaging.labels import Region, find_regions
from radiomics_npc.imaging.volume import Mask, Volume

__all__ = ["read_seg", "segment_names"]

#: A voxel of a fractional segment is inside from this share on.
_INSIDE: Final = 0.5
#: A distance between slices is the same within this share.
_ROUNDED: Final = 0.01


def segment_names(header: Any) -> list[Region]:
    """Segments of a DICOM SEG: number, label, and the meaning of the coded type.

    Parameters
    ----------
    header : pydicom.Dataset

    Returns
    -------
    list of Region

    Examples
    --------
    >>> from pydicom import Dataset
    >>> header, segment, code = Dataset(), Dataset(), Dataset()
    >>> code.CodeMeaning = "Neoplasm, Primary"
    >>> segment.SegmentNumber, segment.SegmentLabel = 1, "Tumor"
    >>> segment.SegmentedPropertyTypeCodeSequence = [code]
    >>> header.SegmentSequence = [segment]
    >>> segment_names(header)
    [Region(values=(1,), names=('Tumor', 'Neoplasm, Primary'), layer=0)]
    """
    found = []
    for segment in header.get("SegmentSequence") or []:
        codes = segment.get("SegmentedPropertyTypeCodeSequence") or []
        names = [segment.get("SegmentLabel"), *(code.get("CodeMeaning") for code in codes)]
        number = int(segment.get("SegmentNumber", 0))
        if number:  # 0 is the background of a label map
            texts = (readable(str(name), header).strip() for name in names if name)
            found.append(Region((number,), tuple(texts)))
    return found


def read_seg(file: Path, label: Label | tuple[Label, ...] | None = None, like: Volume | None = None) -> Mask:
    """Read segments of a DICOM SEG as a mask.

    Parameters
    ----------
    file : Path
        Binary, fractional or label map; frames in any order, those without content left out or not.
    label : int, str or tuple of them, optional
        Number, label, or meaning of the coded type of a segment (see
        :func:`radiomics_npc.imaging.labels.find_regions`); several are merged. None takes the one
        segment there is.
    like : Volume, optional
        The image. It tells the distance between slices where the file does not and has frames left out.

    Returns
    -------
    Mask
        On the grid of the file, from its first frame to its last; voxels of a fractional segment are
        inside from one half on.

    Raises
    ------
    RegionAbsentError
        There is no such segment, or nothing is drawn of it.
    MaskError
        The file is damaged; several segments and no label; its frames make no even stack.
    """
    header = read_object(file)
    regions = segment_names(header)
    if label is None:
        if len(regions) != 1:
            raise MaskError(
                f"{file.name} has {len(regions)} segments ({', '.join(map(_called, regions))})",
                "Say which is the tumor: column label of the manifest.",
            )
        wanted = regions
    else:
        wanted = find_regions(regions, label, file.name)
    if not header.get("NumberOfFrames"):
        raise RegionAbsentError(
            f"{file.name} is empty: nothing is drawn", "Draw the tumor, and export it again."
        )
    mask = _stack(header, like, file.name, [r.values[0] for r in wanted])
    if not mask.array.any():
        names = " + ".join(map(_called, wanted))
        raise RegionAbsentError(
            f"{names} of {file.name} is empty: nothing is drawn", "Draw it, and export it again."
        )
    return mask


def _called(region: Region) -> str:
    return region.names[0] if region.names else str(region.values[0])


def _stack(header: Any, like: Volume | None, file: str, numbers: list[int]) -> Mask:
    """Segments merged, in a stack from the first frame to the last."""
    from highdicom.seg import Segmentation

    fault: Exception | None = None
    for step_mm in dict.fromkeys((_step_mm(header, like), None)):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                for measures in _measures(header):
                    measures.pop("SpacingBetweenSlices", None)
                    if step_mm is not None:
                        measures.SpacingBetweenSlices = step_mm
                found = Segmentation.from_dataset(header).get_volume(segment_numbers=numbers)
        except Exception as error:  # noqa: BLE001
            # highdicom checks the whole object, and fails in its own ways
            fault = error
        else:
            return _merged(found)
    irregular = isinstance(fault, RuntimeError)
    raise MaskError(
        f"frames of {file} make no even stack"
        if irregular
        else f"{file} is no valid DICOM SEG ({type(fault).__name__})",
        "Export it again, or as a NIfTI mask.",
    ) from fault


def _measures(header: Any) -> Iterator[Any]:
    groups = [header.get("SharedFunctionalGroupsSequence"), header.get("PerFrameFunctionalGroupsSequence")]
    for group in (item for sequence in groups for item in sequence or []):
        yield from group.get("PixelMeasuresSequence") or []


def _step_mm(header: Any, like: Volume | None) -> float | None:
    """Distance between slices, frames left out or not; None to take it from the frames that are there."""
    declared = next((m.get("SpacingBetweenSlices") for m in _measures(header)), None)
    thickness = next((m.get("SliceThickness") for m in _measures(header)), None)
    step = None if like is None else like.spacing_mm[2]
    if declared:
        # the file rounds it, and over many slices that adds up
        close = step is not None and np.isclose(step, abs(float(declared)), rtol=_ROUNDED)
        return step if close else abs(float(declared))
    if step is not None and (not thickness or step >= float(thickness) * (1 - _ROUNDED)):
        return step
    return float(thickness) if thickness else None


def _merged(volume: Any) -> Mask:
    """A highdicom volume (slices, rows, columns, segments; affine from indices to LPS) as a mask."""
    array = volume.array
    axes = np.asarray(volume.affine)[:3, [2, 1, 0]]
    spacing = np.linalg.norm(axes, axis=0)
    x, y, z = (float(v) for v in spacing)
    origin = tuple(float(v) for v in np.asarray(volume.affine)[:3, 3])
    return Mask(
        (array >= (_INSIDE if array.dtype.kind == "f" else 1)).any(axis=-1),
        (x, y, z),
        (origin[0], origin[1], origin[2]),
        tuple((axes / spacing).ravel().tolist()),
    )
