"""Regions of a label map (NIfTI, NRRD, MetaImage) to a mask: by value, by name, several merged."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from radiomics_npc.cohort.cases import Label
from radiomics_npc.errors import ImageError, MaskError, RegionAbsentError
from radiomics_npc.imaging.itk_files import as_3d, read_file
from radiomics_npc.imaging.label_tables import read_table_names
from radiomics_npc.imaging.labels import Region, find_regions
from radiomics_npc.imaging.volume import Mask

__all__ = ["LabelMap", "open_label_map", "read_label_map"]

_MOST_VALUES = 10
#: Masks kept as floats, or by a slope, hold 0.9999 for 1.
_ROUNDED = 1e-3


@dataclass(frozen=True, eq=False)
class LabelMap:
    """A label map, read once for all of its regions.

    Parameters
    ----------
    path : Path
    arrays : tuple of array, shape (slices, rows, columns)
        One a layer.
    segments : tuple of Region
        Of a ``.seg.nrrd``.
    empty : Mask
        Its grid, with nothing drawn.
    """

    path: Path
    arrays: tuple[NDArray[Any], ...]
    segments: tuple[Region, ...]
    empty: Mask

    def named(self) -> list[Region]:
        """Regions that the file, or else a table beside it, gives names to."""
        return list(self.segments) or read_table_names(self.path)

    def values(self) -> list[int]:
        """Whole numbers other than 0 that stand in it, in their order."""
        there = np.unique(np.concatenate([np.unique(array) for array in self.arrays]))
        return [int(value) for value in there if value != 0 and value == np.floor(value)]

    def mask(self, label: Label | tuple[Label, ...] | None = None) -> Mask:
        """A region; errors and label as in :func:`read_label_map`."""
        arrays, name = list(self.arrays), self.path.name
        if 0 in (label if isinstance(label, tuple) else (label,)):
            raise MaskError(f"0 is the background of {name}", "Give the value of the tumor.")
        if label is None:
            inside = _only_region(arrays, list(self.segments), name)
        else:
            inside = _labeled(arrays, self.named(), label, name)
        return replace(self.empty, array=inside)


def open_label_map(path: Path) -> LabelMap:
    """Read a label map with all of its regions.

    Parameters
    ----------
    path : Path
        NIfTI, NRRD (also ``.seg.nrrd``, with one layer or several) or MetaImage file.

    Returns
    -------
    LabelMap

    Raises
    ------
    MaskError
        The file is damaged or not 3D, or holds values that are not finite.
    """
    try:
        image = read_file(path)
        regions = _segments(image)
        layers = _layers(image, path.name) if regions else [as_3d(image, path.name)]
    except ImageError as error:
        raise MaskError(error.message, error.remedy) from error
    arrays = tuple(_array(layer, path.name) for layer in layers)
    first = layers[0]
    empty = Mask(np.zeros(arrays[0].shape, bool), first.GetSpacing(), first.GetOrigin(), first.GetDirection())
    return LabelMap(path, arrays, tuple(regions), empty)


def read_label_map(path: Path, label: Label | tuple[Label, ...] | None = None) -> Mask:
    """Read regions of a label map.

    Parameters
    ----------
    path : Path
        NIfTI, NRRD (also ``.seg.nrrd``, with one layer or several) or MetaImage file.
    label : int, str or tuple of them, optional
        As in :func:`radiomics_npc.imaging.reading.read_mask`.

    Returns
    -------
    Mask
        With at least one voxel inside.

    Raises
    ------
    RegionAbsentError
        Nothing is drawn, or the label does not occur.
    MaskError
        The file is damaged or no 3D mask; there are several regions and no label; the label fits
        several, or is 0, or nothing names the regions.
    """
    return open_label_map(path).mask(label)


def _segments(image: sitk.Image) -> list[Region]:
    """Segments of a ``.seg.nrrd``: name, the layer each lies in, and its value there."""
    ends = "_Name"
    keys = [k.removesuffix(ends) for k in image.GetMetaDataKeys() if re.fullmatch(rf"Segment\d+{ends}", k)]

    def entry(key: str, default: int) -> int:
        return int(image.GetMetaData(key)) if image.HasMetaDataKey(key) else default

    # older files have no layers: every component is a segment
    return [
        Region(
            (entry(f"{key}_LabelValue", 1),),
            (image.GetMetaData(f"{key}_Name"),),
            entry(f"{key}_Layer", k if image.GetNumberOfComponentsPerPixel() == len(keys) else 0),
        )
        for k, key in enumerate(sorted(keys, key=lambda key: int(key.removeprefix("Segment"))))
    ]


def _layers(image: sitk.Image, name: str) -> list[sitk.Image]:
    count = image.GetNumberOfComponentsPerPixel()
    if count == 1:
        return [as_3d(image, name)]
    return [as_3d(sitk.VectorIndexSelectionCast(image, k), name) for k in range(count)]


def _array(layer: sitk.Image, name: str) -> NDArray[Any]:
    """Values; those just beside whole numbers are these numbers."""
    array = sitk.GetArrayFromImage(layer)
    if array.dtype.kind != "f":
        return array
    if not np.isfinite(array).all():
        raise MaskError(f"{name} holds values that are not finite", "Save the mask again as whole numbers.")
    whole = np.rint(array)
    # of a map from 0 to 0.0005 the two values are what matters
    alike = np.abs(array - whole).max() <= _ROUNDED and whole.min() < whole.max()
    return whole if alike else array


def _values(array: NDArray[Any]) -> str:
    values = np.unique(array)
    shown = ", ".join(f"{v:g}" for v in values[:_MOST_VALUES])
    return shown + (f" and {len(values) - _MOST_VALUES} more" if len(values) > _MOST_VALUES else "")


def _only_region(arrays: list[NDArray[Any]], regions: list[Region], name: str) -> NDArray[np.bool_]:
    if len(regions) == 1:
        return _labeled(arrays, regions, regions[0].names[0], name)
    if len(arrays) == 1:
        return _two_valued(arrays[0], name)
    names = ", ".join(region.names[0] for region in regions)
    raise MaskError(
        f"{name} has {len(regions)} segments ({names})",
        "Say which is the tumor: column label of the manifest.",
    )


def _two_valued(array: NDArray[Any], name: str) -> NDArray[np.bool_]:
    low, high = array.min(), array.max()
    if low == high:
        what = "is empty" if low == 0 else f"holds one value only ({low:g})"
        kind = RegionAbsentError if low == 0 else MaskError
        raise kind(f"{name} {what}: nothing is drawn", "Draw the tumor and save the mask again.")
    inside = array > (float(low) + float(high)) / 2
    # as quick as two passes: np.unique would sort millions of voxels
    if not np.array_equal(array, np.where(inside, high, low)):
        raise MaskError(
            f"{name} holds more than two values ({_values(array)})",
            "Say which is the tumor: column label of the manifest.",
        )
    return inside


def _labeled(
    arrays: list[NDArray[Any]], named: list[Region], label: Label | tuple[Label, ...], name: str
) -> NDArray[np.bool_]:
    """Voxels of all regions that a label means; values without a name are regions, too."""
    listed = {(region.layer, value) for region in named for value in region.values}
    unnamed = [
        Region((int(value),), (), layer)
        for layer, array in enumerate(arrays)
        for value in np.unique(array)
        if value == np.floor(value) and (layer, int(value)) not in listed
    ]
    found = find_regions([*named, *unnamed], label, name)
    inside = np.zeros(arrays[0].shape, dtype=bool)
    for region in found:
        inside |= np.isin(arrays[region.layer], region.values)
    if not inside.any():
        names = " + ".join(region.names[0] if region.names else str(region.values[0]) for region in found)
        raise RegionAbsentError(
            f"{names} of {name} is empty: nothing is drawn", "Draw it and save the mask again."
        )
    return inside
