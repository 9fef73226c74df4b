"""Images and masks with their geometry. A mask is never an image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

__all__ = ["Mask", "Volume"]


@dataclass(frozen=True, eq=False)
class Volume:
    """A 3D image on a regular grid in patient space (LPS, as in DICOM and ITK).

    Parameters
    ----------
    array : array, shape (slices, rows, columns)
        Intensities.
    spacing_mm, origin_mm : tuple of 3 floats
        In the order x, y, z.
    direction : tuple of 9 floats
        Row-major direction cosines, as SimpleITK gives them.

    Examples
    --------
    >>> v = Volume(np.zeros((4, 8, 8)), (0.5, 0.5, 5.5))
    >>> v.voxel_mm3, v.to_sitk().GetSize()
    (1.375, (8, 8, 4))
    """

    array: NDArray[Any]
    spacing_mm: tuple[float, float, float]
    origin_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    direction: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)

    @classmethod
    def from_sitk(cls, image: sitk.Image) -> Volume:
        """Copy a 3D SimpleITK image."""
        return cls(sitk.GetArrayFromImage(image), image.GetSpacing(), image.GetOrigin(), image.GetDirection())

    def to_sitk(self) -> sitk.Image:
        """Return the same image as a SimpleITK image (booleans as 0/1 bytes)."""
        array = self.array.astype(np.uint8) if self.array.dtype == bool else self.array
        image = sitk.GetImageFromArray(array)
        image.SetSpacing(self.spacing_mm)
        image.SetOrigin(self.origin_mm)
        image.SetDirection(self.direction)
        return image

    @property
    def voxel_mm3(self) -> float:
        """Volume of one voxel."""
        return float(np.prod(self.spacing_mm))


@dataclass(frozen=True, eq=False)
class Mask(Volume):
    """A region of interest: ``array`` is boolean."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "array", np.asarray(self.array, dtype=bool))

    @classmethod
    def from_sitk(cls, image: sitk.Image) -> Mask:
        """Copy a binary SimpleITK image; every value other than 0 is inside."""
        array = sitk.GetArrayFromImage(image) != 0
        return cls(array, image.GetSpacing(), image.GetOrigin(), image.GetDirection())
