"""Files that ITK reads (NIfTI, NRRD, MetaImage), with messages that name the file and the remedy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import SimpleITK as sitk

from radiomics_npc.errors import ImageError
from radiomics_npc.imaging.dicom import is_series
from radiomics_npc.imaging.nifti import require_whole_nifti

__all__ = ["as_3d", "read_file"]


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep ITK from printing warnings with absolute paths; its errors still come as exceptions."""
    before = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(before)


def read_file(path: Path) -> sitk.Image:
    """Read a NIfTI, NRRD or MetaImage file.

    Parameters
    ----------
    path : Path

    Returns
    -------
    SimpleITK.Image
        Of any dimension.

    Raises
    ------
    ImageError
        The file is of another kind, damaged, truncated or sheared.
    """
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


def as_3d(image: sitk.Image, name: str) -> sitk.Image:
    """Drop further dimensions of length one.

    Raises
    ------
    ImageError
        The image is not 3D, or has several values a voxel, or complex ones.

    Examples
    --------
    >>> as_3d(sitk.Image([2, 3, 4, 1], sitk.sitkUInt8), "T1.nii").GetSize()
    (2, 3, 4)
    """
    while image.GetDimension() > 3 and image.GetSize()[-1] == 1:
        image = image[(slice(None),) * (image.GetDimension() - 1) + (0,)]
    kind_of_values = image.GetPixelIDTypeAsString()
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1 or "complex" in kind_of_values:
        size = "x".join(map(str, image.GetSize()))
        count = image.GetNumberOfComponentsPerPixel()
        kind = f"{size}, {kind_of_values if count == 1 else f'{count} values a voxel'}"
        raise ImageError(f"{name} is no 3D gray image ({kind})", "Give one volume a file.")
    return image
