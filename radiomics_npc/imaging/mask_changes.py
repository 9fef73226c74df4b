"""A mask moved, grown or shrunk: its volume exact, its geometry in millimeters."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage

from radiomics_npc.errors import MaskError
from radiomics_npc.imaging.volume import Mask, Volume

__all__ = ["Box", "box_around", "cut", "motion", "move_mask", "paste", "resize_mask"]

Floats = NDArray[np.float64]
Box = tuple[slice, ...]
AnyVolume = TypeVar("AnyVolume", bound=Volume)

#: Distances closer than this are the same.
_SAME_MM = 1e-6
#: Standard deviation in voxels (slices, rows, columns) by which depth is smoothed before it moves. Without it
#: a contour jumps from voxel to voxel, and a motion of less than half a voxel does nothing.
_SMOOTHING = (0.5, 1.0, 1.0)
#: Depth of what lies beyond the image.
_BEYOND_MM = -1e6


def box_around(mask: Mask, margin_mm: float) -> Box:
    """Slices, rows and columns of a box around a mask, within the image.

    Examples
    --------
    >>> box_around(Mask(np.ones((1, 1, 1)), (1.0, 1.0, 1.0)), 5.0)
    (slice(0, 1, None), slice(0, 1, None), slice(0, 1, None))
    """
    where = np.argwhere(mask.array)
    reach = np.ceil(margin_mm / np.array(mask.spacing_mm[::-1])).astype(int)
    return _box(where.min(axis=0) - reach, where.max(axis=0) + reach, mask.array.shape)


def _box(low: NDArray[np.intp], high: NDArray[np.intp], shape: tuple[int, ...]) -> Box:
    start, stop = np.maximum(low, 0), np.minimum(high + 1, shape)
    return tuple(slice(int(a), int(b)) for a, b in zip(start, stop, strict=True))


def cut(volume: AnyVolume, box: Box) -> AnyVolume:
    """Part of an image or a mask, where it lies in space.

    Examples
    --------
    >>> part = cut(Volume(np.zeros((4, 5, 6)), (1.0, 2.0, 3.0)), (slice(1, 3), slice(2, 4), slice(0, 2)))
    >>> part.array.shape, part.origin_mm
    ((2, 2, 2), (0.0, 4.0, 3.0))
    """
    first = np.array([part.start for part in box[::-1]], dtype=float)
    x, y, z = _points(volume, first).tolist()
    return replace(volume, array=volume.array[box], origin_mm=(x, y, z))


def paste(part: NDArray[np.bool_], box: Box, like: Mask) -> Mask:
    """A mask on the grid of ``like`` that holds ``part`` in the box and nothing else.

    Examples
    --------
    >>> like = Mask(np.ones((4, 4, 4)), (1.0, 1.0, 1.0))
    >>> paste(np.array([[[True]]]), (slice(0, 1), slice(1, 2), slice(2, 3)), like).array.nonzero()
    (array([0]), array([1]), array([2]))
    """
    array = np.zeros(like.array.shape, dtype=bool)
    array[box] = part
    return replace(like, array=array)


def resize_mask(mask: Mask, fraction: float, random: np.random.Generator) -> Mask:
    """Grow or shrink a mask to an exact number of voxels, those nearest to its surface first.

    Parameters
    ----------
    mask : Mask
        Not empty.
    fraction : float
        0.1 for 10% more voxels; rounded to a whole voxel.
    random : numpy Generator
        Chooses among voxels at the same distance.

    Returns
    -------
    Mask

    Raises
    ------
    MaskError
        Nothing would be left, or the image has no room.

    Examples
    --------
    >>> array = np.zeros((12, 12, 12))
    >>> array[2:10, 2:10, 2:10] = 1
    >>> grown = resize_mask(Mask(array, (1.0, 1.0, 1.0)), 0.1, np.random.default_rng(0))
    >>> int(array.sum()), int(grown.array.sum())
    (512, 563)
    """
    voxels = int(mask.array.sum())
    wanted = round(voxels * (1 + fraction))
    if wanted < 1 or wanted > mask.array.size:
        raise MaskError(
            f"a mask of {voxels} voxels cannot change its volume by {fraction:+.0%}",
            "Take a smaller change, or leave the patient out.",
        )
    # no body has to grow farther than a ball of its volume (Brunn and Minkowski), but for image edges
    radius = np.cbrt(voxels * mask.voxel_mm3 * 3 / (4 * np.pi))
    margin = float(radius * (np.cbrt(1 + max(fraction, 0.0)) - 1) + 2 * np.linalg.norm(mask.spacing_mm))
    box = box_around(mask, margin)
    depth = _depth(cut(mask, box))
    if depth.size < wanted or np.partition(depth, -wanted, axis=None)[-wanted] < -margin:
        box = tuple(slice(0, size) for size in mask.array.shape)
        depth = _depth(mask)
    return paste(_deepest(depth, wanted, random), box, mask)


def motion(mask: Mask, steps_mm: tuple[float, float, float], degrees: float) -> sitk.AffineTransform:
    """From where a point was to where it is, in patient space.

    Parameters
    ----------
    mask : Mask
    steps_mm : tuple of 3 floats
        Along the axes x, y, z of the grid.
    degrees : float
        About the slice normal, through the centroid of the mask.

    Returns
    -------
    SimpleITK AffineTransform

    Examples
    --------
    >>> mask = Mask(np.ones((3, 3, 3)), (1.0, 1.0, 1.0))
    >>> np.round(motion(mask, (5.0, 0.0, 0.0), 90.0).TransformPoint((2.0, 1.0, 1.0)), 9).tolist()
    [6.0, 2.0, 1.0]
    """
    direction = np.reshape(mask.direction, (3, 3))
    centroid = _points(mask, np.argwhere(mask.array)[:, ::-1].mean(axis=0))
    turn = sitk.VersorTransform(direction[:, 2].tolist(), float(np.radians(degrees)))
    moved = sitk.AffineTransform(3)
    moved.SetMatrix(turn.GetMatrix())
    moved.SetCenter(centroid.tolist())
    moved.SetTranslation((direction @ np.array(steps_mm)).tolist())
    return moved


def move_mask(mask: Mask, moved: sitk.AffineTransform, random: np.random.Generator) -> Mask:
    """Move a mask, by fractions of a voxel where need be.

    A rigid motion changes no volume: as many voxels are taken as before (less
    those that leave the image), the deepest within the moved surface.

    Parameters
    ----------
    mask : Mask
        Not empty.
    moved : SimpleITK AffineTransform
        As :func:`motion` gives it.
    random : numpy Generator
        Chooses among voxels at the same depth.

    Returns
    -------
    Mask

    Raises
    ------
    MaskError
        The mask would leave the image.

    Examples
    --------
    >>> array = np.zeros((10, 20, 20))
    >>> array[3:7, 5:12, 5:12] = 1
    >>> mask = Mask(array, (1.0, 1.0, 2.0))
    >>> moved = move_mask(mask, motion(mask, (4.0, 0.0, 0.0), 0.0), np.random.default_rng(0))
    >>> [np.argwhere(which.array).mean(axis=0).tolist() for which in (mask, moved)]
    [[4.5, 8.0, 8.0], [4.5, 8.0, 12.0]]
    """
    where = np.argwhere(mask.array)
    turn, center = np.reshape(moved.GetMatrix(), (3, 3)), np.array(moved.GetCenter())
    points = (_points(mask, where[:, ::-1]) - center) @ turn.T + center + np.array(moved.GetTranslation())
    there = np.rint(_indices(mask, points)).astype(int)[:, ::-1]
    within = ((there >= 0) & (there < mask.array.shape)).all(axis=1)
    if not within.any():
        raise MaskError(
            "the mask would leave the image", "Take a smaller translation, or an image with more around it."
        )
    both = np.concatenate([where, there])
    box = _box(both.min(axis=0) - 2, both.max(axis=0) + 2, mask.array.shape)
    part = cut(mask, box)
    smooth = ndimage.gaussian_filter(_depth(part), _SMOOTHING, mode="nearest")
    depth = sitk.GetImageFromArray(smooth)
    depth.CopyInformation(part.to_sitk())
    array = sitk.GetArrayFromImage(
        sitk.Resample(depth, depth, moved.GetInverse(), sitk.sitkLinear, _BEYOND_MM)
    )
    return paste(_deepest(array, int(within.sum()), random), box, mask)


def _points(volume: Volume, indices: NDArray[np.float64] | NDArray[np.intp]) -> Floats:
    """Positions in mm of indices x, y, z; shape (..., 3)."""
    axes = np.reshape(volume.direction, (3, 3)) * np.array(volume.spacing_mm)
    return np.asarray(np.array(volume.origin_mm) + indices @ axes.T)


def _indices(volume: Volume, points: Floats) -> Floats:
    """Inverse of :func:`_points`."""
    axes = np.reshape(volume.direction, (3, 3)) * np.array(volume.spacing_mm)
    return np.asarray(np.linalg.solve(axes, (points - np.array(volume.origin_mm)).T).T)


def _depth(mask: Mask) -> Floats:
    """Distance in mm to the other side of the surface, negative outside."""
    spacing = mask.spacing_mm[::-1]
    if mask.array.all():
        return np.full(mask.array.shape, float(np.linalg.norm(spacing)))
    inside = ndimage.distance_transform_edt(mask.array, sampling=spacing)
    outside = ndimage.distance_transform_edt(~mask.array, sampling=spacing)
    return np.asarray(inside - outside)


def _deepest(depth: Floats, count: int, random: np.random.Generator) -> NDArray[np.bool_]:
    """Exactly ``count`` voxels, the deepest; at the same depth, any."""
    last = np.partition(depth, -count, axis=None)[-count]
    taken = depth > last + _SAME_MM
    ties = np.flatnonzero(np.abs(depth - last) <= _SAME_MM)
    taken.flat[random.choice(ties, count - int(taken.sum()), replace=False)] = True
    return taken
