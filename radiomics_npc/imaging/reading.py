"""Images and masks from files, and a mask put on the grid of its image."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from radiomics_npc.cohort.cases import ImageFiles, Label
from radiomics_npc.errors import ImageError, MaskError, RegionAbsentError
from radiomics_npc.imaging.dicom import is_series, read_series
from radiomics_npc.imaging.dicom_objects import find_mask_object, is_dicom
from radiomics_npc.imaging.grid import embed_mask, grid_difference, overlap, reorient_mask
from radiomics_npc.imaging.itk_files import as_3d, read_file
from radiomics_npc.imaging.label_maps import read_label_map
from radiomics_npc.imaging.labels import as_optional
from radiomics_npc.imaging.mask_folders import read_structures, structure_files
from radiomics_npc.imaging.nifti import not_finite
from radiomics_npc.imaging.resampling import resample_like
from radiomics_npc.imaging.rtstruct import read_rtstruct
from radiomics_npc.imaging.seg import read_seg
from radiomics_npc.imaging.volume import Mask, Volume

__all__ = ["place_mask", "read_drawn", "read_image", "read_mask", "read_pair"]


def read_image(path: Path, series: str | None = None) -> Volume:
    """Read a 3D image.

    Parameters
    ----------
    path : Path
        Folder of a DICOM series, a DICOM file of several frames, or a NIfTI, NRRD or MetaImage file.
    series : str, optional
        SeriesInstanceUID, where the folder holds several series.

    Returns
    -------
    Volume
        Values as stored, rescaled where the file says so. What is no number
        stays none: the check counts such voxels, and no features are made of them.

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
    if path.is_dir() or (is_series(path) and is_dicom(path)):
        return read_series(path, series)
    image = Volume.from_sitk(as_3d(read_file(path), path.name))
    if not path.name.lower().endswith((".nii", ".nii.gz")) or (lost := not_finite(path)) is None:
        return image
    # ITK read them as 0: holes in the tumor that nobody would see
    return replace(image, array=np.where(lost.reshape(image.array.shape), np.nan, image.array))


def read_mask(path: Path, label: Label | tuple[Label, ...] | None = None, like: Volume | None = None) -> Mask:
    """Read a mask, whatever it is stored as.

    Parameters
    ----------
    path : Path
        NIfTI, NRRD (also ``.seg.nrrd``) or MetaImage file; DICOM SEG or RTSTRUCT, as a file or as a
        folder that holds one; a folder with a file a structure, which the label names without its ending.
    label : int, str or tuple of them, optional
        The tumor's value, or its name: of a segment, of a region of interest, or in a table beside the
        file (see :func:`radiomics_npc.imaging.label_tables.find_table`). How names are compared, and
        how several are merged, says :func:`radiomics_npc.imaging.labels.find_regions`. Without it the
        mask must hold one region: two values, of which the higher is inside (0 and 255, 1 and 2, ...;
        the threshold lies halfway between them), one segment, or one region of interest.
    like : Volume, optional
        The image. Contours of an RTSTRUCT are filled on its grid; a DICOM SEG takes the distance
        between slices from it where the file does not tell; others do not need it.

    Returns
    -------
    Mask
        With at least one voxel inside; on the grid of its file, or for an RTSTRUCT on that of the image.

    Raises
    ------
    RegionAbsentError
        The mask is sound, but nothing is drawn, or the label does not occur.
    MaskError
        The file is absent, damaged or no 3D mask; there are several regions and no label; the label
        fits several, or the file names none.
    """
    path = Path(path)
    if not path.exists():
        raise MaskError(f"{path.name} does not exist", "Check the path, or the name in the manifest.")
    if path.is_dir() and structure_files(path, label):
        return read_structures(path, label, like)
    if path.is_dir() or (is_series(path) and is_dicom(path)):
        file, kind = find_mask_object(path)
        if kind == "SEG":
            return read_seg(file, label, like)
        if like is None:
            raise MaskError(f"{file.name} holds contours, which need an image", "Give the image they lie on.")
        return read_rtstruct(file, label, like)
    return read_label_map(path, label)


def place_mask(mask: Mask, image: Volume, on_mismatch: str = "error") -> Mask:
    """Put a mask on the grid of its image.

    A mask on the same grid, within a hundredth of a voxel, takes the image's
    geometry exactly. One whose axes are flipped or in another order, or which
    was cropped to a part of the image (as 3D Slicer and DICOM SEG do), is
    rearranged and put in its place without interpolation.

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
    embedded = embed_mask(mask, image)
    if embedded is not None:
        return embedded
    if on_mismatch == "resample":
        return resample_like(mask, image, "nearest")
    raise MaskError(
        f"image and mask lie on different grids: {grid_difference(image, mask)}",
        "Export the mask on the image's grid, or set cohort.on_mismatch: resample.",
    )


def read_drawn(files: ImageFiles, image: Volume | None = None) -> Mask:
    """Read the mask of an image, on the grid it was drawn on.

    Parameters
    ----------
    files : ImageFiles
        Of an optional region any part that is drawn will do.
    image : Volume, optional
        As ``like`` in :func:`read_mask`.

    Returns
    -------
    Mask

    Raises
    ------
    RegionAbsentError
        Nothing is drawn of the region, or an optional one has no mask; where ``files.optional`` that
        is no fault.
    MaskError
        As :func:`read_mask`; also where there is no mask.

    Examples
    --------
    >>> read_drawn(ImageFiles(Path("T1.nii")))
    Traceback (most recent call last):
    ...
    radiomics_npc.errors.MaskError: there is no mask. Draw the tumor, or leave the sequence out of the study.
    """
    if files.mask is None:
        kind = RegionAbsentError if files.optional else MaskError
        raise kind("there is no mask", "Draw the tumor, or leave the sequence out of the study.")
    return read_mask(files.mask, as_optional(files.label) if files.optional else files.label, image)


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
    RegionAbsentError
        Nothing is drawn of the region; where ``files.optional`` that is no fault.
    ImageError, MaskError
        As :func:`read_image`, :func:`read_mask` and :func:`place_mask`; also
        where there is no mask.
    """
    name = "" if files.mask is None else files.mask.name
    image = read_image(files.image, files.series)
    mask = read_drawn(files, image)
    try:
        return image, place_mask(mask, image, on_mismatch)
    except MaskError as error:
        raise MaskError(f"{name}: {error.message}", error.remedy) from error
