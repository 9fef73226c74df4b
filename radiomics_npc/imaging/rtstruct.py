"""Contours of a DICOM RTSTRUCT to a mask on the grid of their image."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from radiomics_npc.cohort.cases import Label
from radiomics_npc.cohort.dicom_headers import readable
from radiomics_npc.errors import MaskError, RegionAbsentError
from radiomics_npc.imaging.dicom_objects import read_object
from radiomics_npc.imaging.labels import Region, find_regions
from radiomics_npc.imaging.volume import Mask, Volume

__all__ = ["fill_polygons", "read_rtstruct", "roi_names"]

Points = NDArray[np.float64]

_CLOSED: Final = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR")
#: A contour may lie off its slice by this share of the distance between slices: positions are rounded.
_PLANE_TOLERANCE: Final = 0.1
#: Decimals of a voxel that count: what is beyond comes from rounding, and would decide at random whether a
#: center on an edge is inside.
_DECIMALS: Final = 5
_CROSSING_DECIMALS: Final = 9
_OTHER_SERIES: Final = (
    "They were drawn on another series: give that as the image, or export them as a mask on this one."
)


def fill_polygons(polygons: Sequence[Points], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Mark the pixels whose center lies within polygons, by the even-odd rule.

    Parameters
    ----------
    polygons : sequence of arrays, shape (n, 2)
        Columns and rows of their corners, in pixels; centers of pixels are whole numbers. The last
        corner is joined to the first.
    shape : tuple of int
        Rows, columns.

    Returns
    -------
    array of bool, shape (rows, columns)
        A center on a left or upper edge is inside, on a right or lower one outside: regions that adjoin
        share no pixel and leave none between them. What is within two polygons is a hole; a bridge that
        is passed in both directions (keyhole) encloses nothing.

    Examples
    --------
    >>> outer = np.array([(0, 0), (4, 0), (4, 4), (0, 4)], dtype=float)
    >>> fill_polygons([outer, outer / 2 + 1], (5, 5)).astype(int)
    array([[1, 1, 1, 1, 0],
           [1, 0, 0, 1, 0],
           [1, 0, 0, 1, 0],
           [1, 1, 1, 1, 0],
           [0, 0, 0, 0, 0]])
    """
    rows, columns = shape
    starts = np.concatenate(polygons)
    ends = np.concatenate([np.roll(polygon, -1, axis=0) for polygon in polygons])
    # from the upper corner to the lower, so that an edge passed both ways is crossed at the same place
    up = starts[:, 1] > ends[:, 1]
    (x0, y0), (x1, y1) = np.where(up, ends.T, starts.T), np.where(up, starts.T, ends.T)
    first = np.clip(np.ceil(y0), 0, rows).astype(np.intp)
    count = np.clip(np.ceil(y1), 0, rows).astype(np.intp) - first
    edge = np.repeat(np.arange(len(count)), count)
    row = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + first[edge]
    across = x0[edge] + (row - y0[edge]) * ((x1 - x0)[edge] / (y1 - y0)[edge])
    column = np.clip(np.ceil(np.round(across, _CROSSING_DECIMALS)), 0, columns).astype(np.intp)
    crossings = np.bincount(row * (columns + 1) + column, minlength=rows * (columns + 1))
    return np.asarray(crossings.reshape(rows, columns + 1).cumsum(axis=1)[:, :columns] % 2 == 1)


def roi_names(header: Any) -> list[Region]:
    """Regions of interest of an RTSTRUCT: number, and name.

    Parameters
    ----------
    header : pydicom.Dataset

    Returns
    -------
    list of Region

    Examples
    --------
    >>> from pydicom import Dataset
    >>> header, roi = Dataset(), Dataset()
    >>> roi.ROINumber, roi.ROIName = 1, "GTVp"
    >>> header.StructureSetROISequence = [roi]
    >>> roi_names(header)
    [Region(values=(1,), names=('GTVp',), layer=0)]
    """
    rois = header.get("StructureSetROISequence") or []
    return [Region((int(roi.ROINumber),), _name(roi, header)) for roi in rois]


def _name(roi: Any, header: Any) -> tuple[str, ...]:
    name = readable(str(roi.get("ROIName") or ""), header).strip()
    return (name or f"ROI {roi.ROINumber}",)


def read_rtstruct(file: Path, label: Label | tuple[Label, ...] | None, like: Volume) -> Mask:
    """Read regions of interest of an RTSTRUCT as a mask.

    Parameters
    ----------
    file : Path
    label : int, str or tuple of them, optional
        Number or name (see :func:`radiomics_npc.imaging.labels.find_regions`); several are merged. None
        takes the one region there is.
    like : Volume
        The image.

    Returns
    -------
    Mask
        On the grid of the image: voxels whose center lies within the contours, see
        :func:`fill_polygons`. Contours of one region on one slice are combined by the even-odd rule
        (DICOM PS3.3 C.8.8.6): one within another is a hole. Contours of fewer than three points, and
        repeated ones, are passed over.

    Raises
    ------
    RegionAbsentError
        There is no such region, or nothing is drawn of it.
    MaskError
        The file is damaged; several regions and no label; contours are not closed, do not lie on
        slices of the image or reach beyond it; they are drawn on every second or third slice only, or
        enclose no voxel center.
    """
    header = read_object(file)
    regions = roi_names(header)
    if label is None:
        if len(regions) != 1:
            raise MaskError(
                f"{file.name} has {len(regions)} regions ({', '.join(r.names[0] for r in regions)})",
                "Say which is the tumor: column label of the manifest.",
            )
        wanted = regions
    else:
        wanted = find_regions(regions, label, file.name)
    if "ROIContourSequence" not in header:
        raise MaskError(f"{file.name} holds no contours at all", "Export it again.")
    drawn = {int(item.ReferencedROINumber): item for item in header.ROIContourSequence or []}
    array = np.zeros(like.array.shape, dtype=bool)
    any_contour = False
    for region in wanted:
        name = f"{region.names[0]} of {file.name}"
        slices = _contours(drawn.get(region.values[0]), name, like)
        any_contour |= bool(slices)
        for k, polygons in slices.items():
            array[k] |= fill_polygons(polygons, like.array.shape[1:])
    names = " + ".join(region.names[0] for region in wanted)
    if not any_contour:
        raise RegionAbsentError(
            f"{names} of {file.name} is empty: nothing is drawn", "Draw it, and export it again."
        )
    if not array.any():
        raise MaskError(f"{names} of {file.name} encloses the center of no voxel", "Check the contours.")
    return Mask(array, like.spacing_mm, like.origin_mm, like.direction)


def _contours(item: Any, name: str, like: Volume) -> dict[int, list[Points]]:
    """Polygons by slice, in columns and rows."""
    found: dict[int, dict[bytes, Points]] = defaultdict(dict)
    for contour in [] if item is None else item.get("ContourSequence") or []:
        kind = str(contour.get("ContourGeometricType", ""))
        if kind not in _CLOSED:
            raise MaskError(
                f"{name} holds a contour that is not closed ({kind or 'of no kind'})",
                "Name a region that is drawn.",
            )
        values = np.asarray(contour.get("ContourData") or [], dtype=float)
        count = int(contour.get("NumberOfContourPoints") or values.size // 3)
        if values.size != 3 * count or not np.isfinite(values).all():
            raise MaskError(f"a contour of {name} is damaged", "Export it again.")
        if values.size < 9:
            continue
        k, polygon = _on_slice(_voxels(values.reshape(-1, 3), like), name, like)
        found[k][polygon.tobytes()] = polygon
    _require_every_slice(sorted(found), name)
    return {k: list(polygons.values()) for k, polygons in found.items()}


def _voxels(points: Points, like: Volume) -> Points:
    """Points in mm to columns, rows and slices."""
    direction = np.array(like.direction).reshape(3, 3)
    inverse = np.linalg.inv(direction * np.array(like.spacing_mm))
    return np.asarray(np.round((points - np.array(like.origin_mm)) @ inverse.T, _DECIMALS))


def _on_slice(voxels: Points, name: str, like: Volume) -> tuple[int, Points]:
    slices, rows, columns = like.array.shape
    along = voxels[:, 2]
    step = like.spacing_mm[2]
    if np.ptp(along) > 2 * _PLANE_TOLERANCE:
        raise MaskError(
            f"contours of {name} are not parallel to the slices of the image"
            f" (one runs through {np.ptp(along) * step:.3g} mm)",
            _OTHER_SERIES,
        )
    k = int(np.round(along.mean()))
    off = float(np.abs(along - k).max())
    if off > _PLANE_TOLERANCE:
        raise MaskError(f"contours of {name} lie between the slices of the image, off by {off * step:.3g} mm",
                        _OTHER_SERIES)  # fmt: skip
    low, high = voxels[:, :2].min(axis=0), voxels[:, :2].max(axis=0)
    if not 0 <= k < slices or low.min() < -1 or (high > (columns, rows)).any():
        raise MaskError(
            f"contours of {name} reach beyond the image",
            "Give the image that they were drawn on; a part of it would cut the tumor.",
        )
    return k, np.ascontiguousarray(voxels[:, :2])


def _require_every_slice(drawn: Sequence[int], name: str) -> None:
    """Refuse contours on every second or third slice: half of the tumor would be missing."""
    steps = np.diff(drawn)
    if len(steps) > 1 and steps.min() > 1 and steps.min() == steps.max():
        raise MaskError(
            f"{name} is drawn on one slice in {steps[0]} only",
            "Interpolate the contours between the slices where they were drawn, and export them again.",
        )
