"""A grid in patient space on which a head stands upright."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from radiomics_npc.imaging.volume import Volume

__all__ = ["Frame"]


@dataclass(frozen=True)
class Frame:
    """A grid in patient space whose axes are nearest to left, back and up.

    Parameters
    ----------
    shape : tuple of 3 ints
        Slices, rows, columns.
    spacing_mm, origin_mm : tuple of 3 floats
        In the order x, y, z.
    direction : tuple of 9 floats
        Row-major, as in :class:`radiomics_npc.imaging.volume.Volume`.

    Examples
    --------
    >>> frame = Frame((4, 10, 10), (0.86, 0.86, 5.0), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
    >>> frame.grown(top=5).shape, frame.grown(top=5).origin_mm
    ((4, 15, 10), (0.0, -4.3, 0.0))
    """

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    origin_mm: tuple[float, float, float]
    direction: tuple[float, ...]

    @property
    def spacing_zyx(self) -> tuple[float, float, float]:
        """Spacing in the order of the array's axes."""
        x, y, z = self.spacing_mm
        return z, y, x

    def point(self, x: float, y: float, z: float) -> tuple[float, float, float]:
        """Position in mm of an index, which may be a fraction or outside."""
        axes = np.reshape(self.direction, (3, 3)) * np.array(self.spacing_mm)
        px, py, pz = (np.array(self.origin_mm) + axes @ np.array([x, y, z])).tolist()
        return px, py, pz

    def moved(self, rows: int, columns: int) -> Frame:
        """The same frame, whole pixels farther back (or to the front) and left (or right)."""
        return replace(self, origin_mm=self.point(columns, rows, 0))

    def grown(self, top: int = 0, bottom: int = 0, left: int = 0, right: int = 0) -> Frame:
        """The frame with more pixels before the first and after the last row and column."""
        slices, rows, columns = self.shape
        shape = (slices, rows + top + bottom, columns + left + right)
        return replace(self, shape=shape, origin_mm=self.point(-left, -top, 0))

    def volume(self, array: NDArray[np.generic]) -> Volume:
        """An array on this frame as an image."""
        return Volume(array, self.spacing_mm, self.origin_mm, self.direction)
