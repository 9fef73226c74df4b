"""Images and masks from files, and a mask put on the grid of its image."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from radiomics_npc.cohort.cases import ImageFiles
from radiomics_npc.errors import ImageError, MaskError
from radiomics_npc.imaging.dicom import is_series, read_series
from radiomics_npc.imaging.grid import grid_difference, overlap, reorient_mask, resample_mask
from radiomics_npc.imaging.nifti import require_whole_nifti
from radiomics_npc.imaging.volume import Mask, Volume

__all__ = ["place_mask", "read_image", "read_mask", "read_pair"]

_MOST_VALUES = 10


def read_image(path: Path) -> Volume:
    """Read a 3D image.

    Parameters
    ----------
    path : Path
        Folder of a DICOM series, or a NIfTI, NRRD or MetaImage file.

    Returns
    -------
    Volume
        Values as stored, rescaled where the file says so. In a NIfTI file ITK
        takes values that are not finite as 0.

    Raises
    ------
    ImageError
        The file is absent, damaged, not 3D, or (DICOM) its slices do not make
        one even stack; see :func:`radiomics_npc.imaging.dicom.read_series`.

    Examples
    --------
    >>> read_image(Path("/somewhere/T1.nii.gz"))
    Traceback (most recent call last):
    ...
    radiomics_npc.errors.ImageError: T1.nii.gz does not exist. Check the path, or the name in the manifest.
    """
    path = Path(path)
    if not path.exists():
        raise ImageError(f"{path.name} does not exist", "Check the path, or the name in the manifest.")
    if path.is_dir():
        return read_series(path)
    return Volume.from_sitk(_as_3d(_read_file(path), path.name))


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep ITK from printing warnings with absolute paths; its errors still come as exceptions."""
    before = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(before)


def _read_file(path: Path) -> sitk.Image:
    if is_series(path):
        raise ImageError(
            f"{path.name} is of no known kind",
            "Give the folder of a DICOM series, or a .nii, .nii.gz, .nrrd, .nhdr, .mha or .mhd file.",
        )
    if path.name.lower().endswith((".nii", ".nii.gz")):
        require_whole_nifti(path)
    try:
        with _quiet():
            return sitk.ReadImage(str(path))
    except RuntimeError as error:
        # ITK's message is a page long and holds the absolute path
        if "orthonormal" in str(error):
            reason = "its axes are not perpendicular (sheared)"
        elif path.stat().st_size == 0:
            reason = "it is empty"
        else:
            reason = "it is damaged, truncated, or of another kind than its name says"
        raise ImageError(f"{path.name} cannot be read: {reason}", "Export or convert it again.") from error


def _as_3d(image: sitk.Image, name: str) -> sitk.Image:
    while image.GetDimension() > 3 and image.GetSize()[-1] == 1:
        image = image[(slice(None),) * (image.GetDimension() - 1) + (0,)]
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
        size = "x".join(map(str, image.GetSize()))
        kind = f"{size}, {image.GetNumberOfComponentsPerPixel()} values a voxel"
        raise ImageError(f"{name} is no 3D gray image ({kind})", "Give one volume a file.")
    return image


def read_mask(path: Path, label: int | str | None = None) -> Mask:
    """Read a mask.

    Parameters
    ----------
    path : Path
        NIfTI, NRRD or MetaImage file.
    label : int or str, optional
        The tumor's value, or its segment name in a ``.seg.nrrd``. Without it the
        mask must hold two values, of which the higher is inside (0 and 255, 1
        and 2, ...): the threshold lies halfway between them.

    Returns
    -------
    Mask
        With at least one voxel inside.

    Raises
    ------
    MaskError
        The file is absent, damaged or no 3D mask; nothing is drawn; there are
        more than two values and no label; the label does not occur.
    """
    path = Path(path)
    if not path.exists():
        raise MaskError(f"{path.name} does not exist", "Check the path, or the name in the manifest.")
    if path.is_dir():
        raise MaskError(f"{path.name} is a folder", "Give the mask as a NIfTI or NRRD file.")
    try:
        image = _read_file(path)
        if isinstance(label, str):
            image, label = _segment(image, label, path.name)
        image = _as_3d(image, path.name)
    except ImageError as error:
        raise MaskError(error.message, error.remedy) from error
    array = sitk.GetArrayFromImage(image)
    inside = _two_valued(array, path.name) if label is None else _labeled(array, label, path.name)
    return Mask(inside, image.GetSpacing(), image.GetOrigin(), image.GetDirection())


def _segment(image: sitk.Image, name: str, file: str) -> tuple[sitk.Image, int]:
    """Find a segment of a ``.seg.nrrd`` by its name: the layer it lies in, and its value there."""
    keys = [
        k.removesuffix("_Name")
        for k in image.GetMetaDataKeys()
        if k.startswith("Segment") and k.endswith("_Name")
    ]
    names = {image.GetMetaData(f"{key}_Name"): key for key in keys}
    if name not in names:
        known = (
            f"It has: {', '.join(names)}."
            if names
            else "Give a label value; only .seg.nrrd files name segments."
        )
        raise MaskError(f"{file} has no segment {name!r}", known)
    key = names[name]
    value = image.GetMetaData(f"{key}_LabelValue") if image.HasMetaDataKey(f"{key}_LabelValue") else "1"
    if image.GetNumberOfComponentsPerPixel() > 1:
        layer = int(image.GetMetaData(f"{key}_Layer"))
        image = sitk.VectorIndexSelectionCast(image, layer)
    return image, int(value)


def _values(array: NDArray[Any]) -> str:
    values = np.unique(array)
    shown = ", ".join(f"{v:g}" for v in values[:_MOST_VALUES])
    return shown + (f" and {len(values) - _MOST_VALUES} more" if len(values) > _MOST_VALUES else "")


def _two_valued(array: NDArray[Any], name: str) -> NDArray[np.bool_]:
    low, high = array.min(), array.max()
    if not np.isfinite([float(low), float(high)]).all():
        raise MaskError(f"{name} holds values that are not finite", "Save the mask again as whole numbers.")
    if low == high:
        what = "is empty" if low == 0 else f"holds one value only ({low:g})"
        raise MaskError(f"{name} {what}: nothing is drawn", "Draw the tumor and save the mask again.")
    inside = array > (float(low) + float(high)) / 2
    # as quick as two passes: np.unique would sort millions of voxels
    if not np.array_equal(array, np.where(inside, high, low)):
        raise MaskError(
            f"{name} holds more than two values ({_values(array)})",
            "Say which is the tumor: column label of the manifest.",
        )
    return inside


def _labeled(array: NDArray[Any], label: int, name: str) -> NDArray[np.bool_]:
    inside = np.asarray(array == label)
    if not inside.any():
        raise MaskError(f"{name} holds no label {label}", f"Values in it: {_values(array)}.")
    return inside


def place_mask(mask: Mask, image: Volume, on_mismatch: str = "error") -> Mask:
    """Put a mask on the grid of its image.

    A mask on the same grid, within a hundredth of a voxel, takes the image's
    geometry exactly. One whose axes are flipped or in another order is
    rearranged without interpolation.

    Parameters
    ----------
    mask : Mask
    image : Volume
    on_mismatch : {"error", "resample"}
        For any other grid: refuse, or take the nearest mask voxel.

    Returns
    -------
    Mask

    Raises
    ------
    MaskError
        The grids differ (the message says by how much), or nothing of the mask
        lies within the image.
    """
    placed = reorient_mask(mask, image)
    if placed is not None:
        return placed
    if not overlap(mask, image):
        raise MaskError(
            f"mask and image do not overlap ({grid_difference(image, mask)})",
            "Check that both are of the same patient and series, and that the mask's header is right.",
        )
    if on_mismatch == "resample":
        return resample_mask(mask, image)
    raise MaskError(
        f"image and mask lie on different grids: {grid_difference(image, mask)}",
        "Export the mask on the image's grid, or set cohort.on_mismatch: resample.",
    )


def read_pair(files: ImageFiles, on_mismatch: str = "error") -> tuple[Volume, Mask]:
    """Read an image and its mask, on one grid.

    Parameters
    ----------
    files : ImageFiles
    on_mismatch : {"error", "resample"}
        As in :func:`place_mask`.

    Returns
    -------
    Volume, Mask
        With identical spacing, origin and direction.

    Raises
    ------
    ImageError, MaskError
        As :func:`read_image`, :func:`read_mask` and :func:`place_mask`; also
        where there is no mask.
    """
    if files.mask is None:
        raise MaskError("there is no mask", "Draw the tumor, or leave the sequence out of the study.")
    image = read_image(files.image)
    mask = read_mask(files.mask, files.label)
    try:
        return image, place_mask(mask, image, on_mismatch)
    except MaskError as error:
        raise MaskError(f"{files.mask.name}: {error.message}", error.remedy) from error
