"""Images and masks on another grid: other voxel edges, or the grid of another image.

New and old grid share their center, as the Image Biomarker Standardisation
Initiative has it. Putting the first voxels on each other instead, which is what
keeping the origin does, moves the field of view by half the difference of the
voxel edges (1.4 mm where 5.5 mm slices become 2.75 mm apart) and asks for values
beyond the last slice. On shared centers every new voxel lies within the old field
of view, so nothing is ever extrapolated, and a mask moves exactly as its image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final, Literal, TypeVar

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from radiomics_npc.errors import ImageError, MaskError
from radiomics_npc.imaging.volume import Mask, Volume

__all__ = ["Interpolation", "resample_like", "resample_to_size", "resample_volume"]

Interpolation = Literal["nearest", "linear", "bspline"]

V = TypeVar("V", bound=Volume)

_METHODS: Final = {
    "nearest": sitk.sitkNearestNeighbor,
    "linear": sitk.sitkLinear,
    "bspline": sitk.sitkBSpline,
}
#: Half-covered voxels are inside whatever the last digits say.
_HALF: Final = 0.5 - 1e-6
_MOST_VOXELS: Final = 2**31


def resample_volume(
    volume: V, spacing_mm: Sequence[float | None], interpolation: Interpolation = "linear"
) -> V:
    """Give an image or a mask other voxel edges.

    Parameters
    ----------
    volume : Volume or Mask
    spacing_mm : sequence of 3 floats or None
        Edges along x, y, z of the array (columns, rows, slices); None or 0
        leaves an axis as it is. ``(0.5, 0.5, None)`` is in-plane only: slices
        stay as acquired. ``(1, 1, 1)`` makes cubes.
    interpolation : {"nearest", "linear", "bspline"}
        Cubic for ``bspline``. A mask takes ``nearest``, or ``linear``, of which
        at least one half is inside.

    Returns
    -------
    Volume or Mask
        ``ceil(n * old / new)`` voxels an axis, the center where it was. Of the
        type of the input for ``nearest`` and where nothing changes, else float64.

    Raises
    ------
    ImageError
        An edge is negative or not finite, or the grid would be too large.
    MaskError
        Splines are asked for a mask, or nothing of it is left.

    References
    ----------
    A. Zwanenburg et al., Radiology 295:328 (2020): image interpolation,
    grids aligned by center.

    Examples
    --------
    >>> image = Volume(np.arange(8.0).reshape(1, 2, 4), (0.5, 0.5, 5.5))
    >>> half = resample_volume(image, (1.0, 1.0, None))
    >>> half.array.tolist(), half.spacing_mm, half.origin_mm
    ([[[2.5, 4.5]]], (1.0, 1.0, 5.5), (0.25, 0.25, 0.0))
    """
    wanted = [float(w or 0) for w in spacing_mm]
    if len(wanted) != 3 or not np.isfinite(wanted).all() or min(wanted) < 0:
        raise ImageError(f"{tuple(spacing_mm)} is no voxel size", "Give three positive numbers in mm, or 0.")
    old, size = np.array(volume.spacing_mm), np.array(volume.array.shape[::-1])
    new = np.where(np.array(wanted) == 0, old, wanted)
    # edges that divide the field of view are not to gain a voxel by their last digit
    return _centered(volume, np.ceil(size * old / new - 1e-6), new, interpolation)


def resample_to_size(volume: V, columns: int, rows: int, interpolation: Interpolation = "linear") -> V:
    """Give an image or a mask another matrix over the same field of view; slices stay as they are.

    Parameters
    ----------
    volume : Volume or Mask
    columns, rows : int
    interpolation : {"nearest", "linear", "bspline"}
        As in :func:`resample_volume`.

    Returns
    -------
    Volume or Mask

    Raises
    ------
    ImageError, MaskError
        As :func:`resample_volume`.

    Examples
    --------
    >>> image = Volume(np.zeros((3, 512, 512)), (0.43, 0.43, 5.5))
    >>> smaller = resample_to_size(image, 256, 256)
    >>> smaller.array.shape, smaller.spacing_mm
    ((3, 256, 256), (0.86, 0.86, 5.5))
    """
    if min(columns, rows) < 1:
        raise ImageError(f"{columns} x {rows} is no matrix", "Give positive numbers of columns and rows.")
    old = np.array(volume.array.shape[::-1])
    new = np.array([columns, rows, old[2]])
    return _centered(volume, new, np.array(volume.spacing_mm) * old / new, interpolation)


def resample_like(
    volume: V, like: Volume, interpolation: Interpolation = "linear", *, outside: float | None = None
) -> V:
    """Bring an image or a mask onto the grid of another image.

    Parameters
    ----------
    volume : Volume or Mask
    like : Volume
        Only its grid matters.
    interpolation : {"nearest", "linear", "bspline"}
        As in :func:`resample_volume`.
    outside : float, optional
        Intensity where the grid leaves the image; by default its lowest one.
        Outside a mask there is nothing.

    Returns
    -------
    Volume or Mask
        On exactly the grid of ``like``.

    Raises
    ------
    MaskError
        Splines are asked for a mask, or nothing of it lies within the image.

    Examples
    --------
    >>> mask = Mask(np.ones((1, 2, 2)), (1.0, 1.0, 5.0))
    >>> like = Volume(np.zeros((1, 2, 4)), (1.0, 1.0, 5.0), (-1.0, 0.0, 0.0))
    >>> resample_like(mask, like, "nearest").array.astype(int).tolist()
    [[[0, 1, 1, 0], [0, 1, 1, 0]]]
    """
    grid = replace(like, array=like.array[:0])
    return _onto(volume, np.array(like.array.shape[::-1]), grid, interpolation, outside)


def _centered(volume: V, size: NDArray[Any], spacing: NDArray[Any], interpolation: Interpolation) -> V:
    """``volume`` on a grid of this size and spacing that shares its axes and its center."""
    if np.prod(size) > _MOST_VOXELS:
        shown = " x ".join(f"{n:.0f}" for n in size)
        raise ImageError(f"the new grid would have {shown} voxels", "Take larger voxels.")
    if np.array_equal(size, volume.array.shape[::-1]) and np.allclose(
        spacing, volume.spacing_mm, rtol=1e-9, atol=0
    ):
        return volume
    before = (np.array(volume.array.shape[::-1]) - 1) * np.array(volume.spacing_mm)
    shift = np.array(volume.direction).reshape(3, 3) @ ((before - (size - 1) * spacing) / 2)
    x, y, z = (np.array(volume.origin_mm) + shift).tolist()
    grid = Volume(
        volume.array[:0], (float(spacing[0]), float(spacing[1]), float(spacing[2])), (x, y, z),
        volume.direction,
    )  # fmt: skip
    return _onto(volume, size, grid, interpolation, None)


def _onto(
    volume: V, size: NDArray[Any], grid: Volume, interpolation: Interpolation, outside: float | None
) -> V:
    """``volume`` on ``size`` voxels (columns, rows, slices) with the geometry of ``grid``."""
    is_mask = isinstance(volume, Mask)
    if is_mask and interpolation == "bspline":
        raise MaskError("a mask is not interpolated by splines", "Take nearest or linear.")
    if interpolation == "bspline" and 2 in volume.array.shape:
        return _mirrored_onto(volume, size, grid, outside)
    image = volume.to_sitk()
    kind = image.GetPixelID() if interpolation == "nearest" else sitk.sitkFloat64
    if outside is None:
        outside = 0.0 if is_mask else float(volume.array.min())
    moved = sitk.Resample(
        sitk.Cast(image, kind), [int(n) for n in size], sitk.Transform(), _METHODS[interpolation],
        grid.origin_mm, grid.spacing_mm, grid.direction, outside, kind,
    )  # fmt: skip
    array = sitk.GetArrayFromImage(moved)
    if is_mask:
        array = array > _HALF
        if not array.any():
            raise MaskError(
                "nothing of the mask lies within the image",
                "Check that both are of the same patient and series; voxels larger than the tumor lose it.",
            )
    return replace(
        volume, array=array, spacing_mm=grid.spacing_mm, origin_mm=grid.origin_mm, direction=grid.direction
    )


def _mirrored_onto(volume: V, size: NDArray[Any], grid: Volume, outside: float | None) -> V:
    """The same for an axis of two voxels, mirrored here: ITK's splines read memory beyond the ends of two."""
    pads = [2 if n == 2 else 0 for n in volume.array.shape]
    steps = np.array(volume.direction).reshape(3, 3) * np.array(volume.spacing_mm)
    x, y, z = (np.array(volume.origin_mm) - steps @ np.array(pads[::-1])).tolist()
    longer = replace(
        volume, array=np.pad(volume.array, [(n, n) for n in pads], mode="reflect"), origin_mm=(x, y, z)
    )
    found = _onto(longer, size, grid, "bspline", outside)
    ones = _onto(replace(volume, array=np.ones(volume.array.shape)), size, grid, "nearest", 0.0)
    edge = float(volume.array.min()) if outside is None else outside
    return replace(found, array=np.where(ones.array > 0, found.array, edge))


def require_splines(volume: Volume) -> None:
    """Refuse an image that ITK's cubic splines cannot interpolate.

    Parameters
    ----------
    volume : Volume

    Raises
    ------
    ImageError
        It has two voxels along an axis: ITK then reads memory beyond them, and gives whatever lies there.

    Examples
    --------
    >>> require_splines(Volume(np.zeros((2, 4, 4)), (1.0, 1.0, 5.0)))
    Traceback (most recent call last):
    ...
    radiomics_npc.errors.ImageError: an image of two slices cannot be interpolated by splines. Take the
    preset native and no perturbed images, or images of more slices.
    """
    if 2 in volume.array.shape:
        raise ImageError(
            "an image of two slices cannot be interpolated by splines",
            "Take the preset native and no perturbed images, or images of more slices.",
        )
