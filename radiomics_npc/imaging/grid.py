"""Whether two grids are the same, by how much they differ, and a mask brought onto the grid of its image."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from radiomics_npc.imaging.volume import Mask, Volume

__all__ = [
    "GRID_TOLERANCE_VOXELS",
    "embed_mask",
    "grid_difference",
    "overlap",
    "reorient_mask",
]

#: Two grids are the same when no corner of one lies farther than this share of
#: the smallest voxel edge from the same corner of the other. It covers the
#: float32 headers of NIfTI and decimals rounded in DICOM, nothing more.
GRID_TOLERANCE_VOXELS = 0.01


def _direction(volume: Volume) -> NDArray[np.float64]:
    return np.array(volume.direction, dtype=float).reshape(3, 3)


def _size(volume: Volume) -> tuple[int, int, int]:
    slices, rows, columns = volume.array.shape
    return columns, rows, slices


def _corners(volume: Volume) -> NDArray[np.float64]:
    """Positions in mm of the centers of the eight corner voxels, shape (8, 3)."""
    indices = np.array(list(product(*[(0, n - 1) for n in _size(volume)])), dtype=float)
    return np.asarray(
        np.array(volume.origin_mm) + (indices * np.array(volume.spacing_mm)) @ _direction(volume).T
    )


def _turn_degrees(a: Volume, b: Volume) -> float:
    """Largest angle between two corresponding axes."""
    cosines = (_direction(a) * _direction(b)).sum(axis=0)
    return float(np.degrees(np.arccos(np.clip(cosines, -1, 1))).max())


def _numbers(values: tuple[float, ...]) -> str:
    return " x ".join(f"{v:.4g}" for v in values)


def grid_difference(a: Volume, b: Volume) -> str | None:
    """Say by how much two grids differ.

    Parameters
    ----------
    a, b : Volume
        Or masks.

    Returns
    -------
    str or None
        None where they are the same: of the same size, and no corner displaced
        by more than ``GRID_TOLERANCE_VOXELS`` of the smallest voxel edge.

    Examples
    --------
    >>> a = Volume(np.zeros((4, 8, 8)), (0.5, 0.5, 5.5))
    >>> b = Volume(np.zeros((4, 8, 8)), (0.5, 0.5, 5.5), (3.0, 0.0, 0.0))
    >>> grid_difference(a, a) is None, grid_difference(a, b)
    (True, 'origin 3 mm apart')
    """
    smallest = min(*a.spacing_mm, *b.spacing_mm)
    same_size = a.array.shape == b.array.shape
    if same_size:
        shift = float(np.linalg.norm(_corners(a) - _corners(b), axis=1).max())
        if shift <= GRID_TOLERANCE_VOXELS * smallest:
            return None
    parts = []
    if not same_size:
        parts.append(f"size {'x'.join(map(str, _size(a)))} against {'x'.join(map(str, _size(b)))}")
    if not np.allclose(a.spacing_mm, b.spacing_mm, rtol=1e-5, atol=0):
        parts.append(f"spacing {_numbers(a.spacing_mm)} against {_numbers(b.spacing_mm)} mm")
    origin = float(np.linalg.norm(np.subtract(a.origin_mm, b.origin_mm)))
    if origin > GRID_TOLERANCE_VOXELS * smallest:
        parts.append(f"origin {origin:.3g} mm apart")
    turn = _turn_degrees(a, b)
    if turn > 0.01:
        parts.append(f"direction turned by {turn:.3g} degrees")
    return "; ".join(parts) or f"far corner {shift:.3g} mm apart"


def reorient_mask(mask: Mask, like: Volume) -> Mask | None:
    """Turn a mask whose axes are those of the image in another order or sense.

    Voxels are only rearranged, none is interpolated.

    Parameters
    ----------
    mask : Mask
    like : Volume
        The image.

    Returns
    -------
    Mask or None
        The mask on exactly the image's grid; None where the grids are not the
        same set of points.

    Examples
    --------
    >>> image = Volume(np.zeros((2, 3, 4)), (1.0, 1.0, 5.0))
    >>> flipped = Mask(np.arange(24).reshape(2, 3, 4) == 23, (1.0, 1.0, 5.0), (3.0, 0.0, 0.0),
    ...                (-1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0))
    >>> np.argwhere(reorient_mask(flipped, image).array).tolist()
    [[1, 2, 0]]
    """
    turned = _turn(mask, like)
    if turned is None or grid_difference(turned, like) is not None:
        return None
    return _on_grid(turned.array, like)


def _on_grid(array: NDArray[np.bool_], like: Volume) -> Mask:
    return Mask(array, like.spacing_mm, like.origin_mm, like.direction)


def _turn(mask: Mask, like: Volume) -> Mask | None:
    """The mask with its axes in the order and sense of the image's; None where no order fits."""
    shared = _direction(like).T @ _direction(mask)
    axes = np.abs(shared).argmax(axis=1)
    if sorted(axes) != [0, 1, 2]:
        return None
    signs = np.sign(shared[range(3), axes])
    # arrays run z, y, x where geometry runs x, y, z
    array = mask.array.transpose([2 - int(axes[2 - k]) for k in range(3)])
    array = np.flip(array, tuple(2 - k for k in range(3) if signs[k] < 0))
    size, spacing = np.array(_size(mask)), np.array(mask.spacing_mm)
    direction = _direction(mask)
    origin = np.array(mask.origin_mm)
    for k in range(3):
        if signs[k] < 0:
            j = int(axes[k])
            origin = origin + direction[:, j] * spacing[j] * (size[j] - 1)
    return Mask(
        np.ascontiguousarray(array),
        (float(spacing[axes[0]]), float(spacing[axes[1]]), float(spacing[axes[2]])),
        (float(origin[0]), float(origin[1]), float(origin[2])),
        tuple((direction[:, axes] * signs).ravel().tolist()),
    )


def embed_mask(mask: Mask, like: Volume) -> Mask | None:
    """Put a mask that was cropped to a part of its image, or drawn on more of it, back in its place.

    Voxels are only copied, none is interpolated.

    Parameters
    ----------
    mask : Mask
        Its voxels are voxels of the image, or those of the image are among its own; axes may be
        flipped or in another order.
    like : Volume
        The image.

    Returns
    -------
    Mask or None
        The mask on exactly the image's grid; None where the voxels are not the same points, neither
        grid holds the other, or something is drawn beyond the image.

    Examples
    --------
    >>> image = Volume(np.zeros((3, 4, 5)), (0.5, 0.5, 5.5))
    >>> cropped = Mask(np.ones((1, 2, 2)), (0.5, 0.5, 5.5), (1.0, 0.5, 5.5))
    >>> np.argwhere(embed_mask(cropped, image).array).tolist()
    [[1, 1, 2], [1, 1, 3], [1, 2, 2], [1, 2, 3]]
    """
    turned = _turn(mask, like)
    if turned is None:
        return None
    offset = (np.array(turned.origin_mm) - np.array(like.origin_mm)) @ _direction(like)
    first = np.round(offset / np.array(like.spacing_mm)).astype(int)
    place = np.array(like.origin_mm) + _direction(like) @ (first * np.array(like.spacing_mm))
    x, y, z = place.tolist()
    if grid_difference(turned, replace(turned, spacing_mm=like.spacing_mm, origin_mm=(x, y, z),
                                       direction=like.direction)) is not None:  # fmt: skip
        return None
    low, high = first[::-1], first[::-1] + turned.array.shape
    size = np.array(like.array.shape)
    if not ((low >= 0) & (high <= size)).all() and not ((low <= 0) & (high >= size)).all():
        return None
    there = tuple(slice(max(a, 0), min(b, n)) for a, b, n in zip(low, high, size, strict=True))
    here = tuple(slice(s.start - a, s.stop - a) for s, a in zip(there, low, strict=True))
    if np.count_nonzero(turned.array[here]) < np.count_nonzero(turned.array):
        return None
    array = np.zeros(like.array.shape, dtype=bool)
    array[there] = turned.array[here]
    return _on_grid(array, like)


def overlap(mask: Mask, image: Volume) -> bool:
    """Whether any drawn voxel of the mask lies within the image's grid.

    Judged by the box around the drawn voxels, in the image's axes, so boxes that
    only just touch count as overlapping.
    """
    where = np.nonzero(mask.array)
    low, high = [w.min() for w in where[::-1]], [w.max() for w in where[::-1]]
    indices = np.array(list(product(*zip(low, high, strict=True))), dtype=float)
    points = np.array(mask.origin_mm) + (indices * np.array(mask.spacing_mm)) @ _direction(mask).T
    inside = (points - np.array(image.origin_mm)) @ _direction(image) / np.array(image.spacing_mm)
    return bool(
        (inside.max(axis=0) >= -0.5).all() and (inside.min(axis=0) <= np.array(_size(image)) - 0.5).all()
    )
