"""Two masks brought onto one grid that holds all that is drawn in either."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from radiomics_npc.errors import MaskError
from radiomics_npc.imaging.grid import embed_mask, grid_difference, overlap
from radiomics_npc.imaging.resampling import resample_like
from radiomics_npc.imaging.volume import Mask

__all__ = ["on_one_grid"]


def on_one_grid(first: Mask, second: Mask, on_mismatch: str = "error") -> tuple[Mask, Mask, bool]:
    """Bring two masks onto one grid.

    The voxels are those of the first. The grid is as large as what is drawn in either: nothing of a mask is
    lost because the other was cropped.

    Parameters
    ----------
    first, second : Mask
        With at least one voxel inside; axes may be flipped or in another order, and either may be cropped.
    on_mismatch : {"error", "resample"}
        What to do where the voxels of the second are not those of the first: refuse, or take the nearest.

    Returns
    -------
    first, second : Mask
        Of one shape.
    resampled : bool
        The second was.

    Raises
    ------
    MaskError
        The voxels differ (the message says by how much) and are not to be resampled, or nothing of one mask
        lies where the other was drawn.

    Examples
    --------
    >>> one = Mask(np.ones((1, 2, 2)), (0.5, 0.5, 5.0))
    >>> two = Mask(np.ones((2, 3, 3)), (0.5, 0.5, 5.0), (0.5, 0.0, 0.0))
    >>> a, b, resampled = on_one_grid(one, two)
    >>> a.array.shape, int((a.array & b.array).sum()), resampled
    ((2, 3, 4), 2, False)
    """
    if grid_difference(first, second) is None:
        return first, replace(first, array=second.array), False
    drawn = _cropped(first), _cropped(second)
    low, high = _bounds(*drawn)
    grid = _grid(drawn[0], np.round(low), np.round(high))
    placed = [embed_mask(mask, grid) for mask in drawn]
    if placed[0] is not None and placed[1] is not None:
        return placed[0], placed[1], False
    if not overlap(second, first):
        raise MaskError(
            f"the masks lie on grids that do not overlap ({grid_difference(first, second)})",
            "Check that both are of the same patient and series, and that their headers are right.",
        )
    if on_mismatch != "resample":
        raise MaskError(
            f"the masks lie on different grids: {grid_difference(first, second)}",
            "Export both on the grid of their image, or have the second resampled.",
        )
    grid = _grid(drawn[0], np.floor(low), np.ceil(high))
    own = embed_mask(drawn[0], grid)
    assert own is not None  # the grid is its own, only larger
    return own, resample_like(second, grid, "nearest"), True


def _cropped(mask: Mask) -> Mask:
    """The box around what is drawn."""
    where = np.nonzero(mask.array)
    low = np.array([w.min() for w in where])
    part = tuple(slice(w.min(), w.max() + 1) for w in where)
    x, y, z = _at(mask, low[::-1]).tolist()
    return replace(mask, array=mask.array[part], origin_mm=(x, y, z))


def _at(mask: Mask, index: NDArray[np.float64]) -> NDArray[np.float64]:
    """Position in mm of an index x, y, z."""
    direction = np.array(mask.direction).reshape(3, 3)
    return np.asarray(np.array(mask.origin_mm) + direction @ (index * np.array(mask.spacing_mm)))


def _bounds(first: Mask, second: Mask) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """First and last index x, y, z of both boxes, counted on the grid of the first."""
    direction = np.array(first.direction).reshape(3, 3)
    corners = np.array([
        _at(mask, np.array(corner, float))
        for mask in (first, second)
        for corner in product(*[(0, n - 1) for n in mask.array.shape[::-1]])
    ])  # fmt: skip
    indices = (corners - np.array(first.origin_mm)) @ direction / np.array(first.spacing_mm)
    return indices.min(axis=0), indices.max(axis=0)


def _grid(like: Mask, low: NDArray[np.float64], high: NDArray[np.float64]) -> Mask:
    """A grid with the voxels of another, from one index to another."""
    x, y, z = _at(like, low).tolist()
    shape = (high - low).astype(int)[::-1] + 1
    return replace(like, array=np.zeros(shape, bool), origin_mm=(x, y, z))
