"""From the images of a patient to the grid of the network, and back onto the grid of every sequence.

All is done by geometry: whatever the order, sense or obliquity of the stored axes, the same head gives
the same network images, and a mask ends on the voxels of the image it belongs to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import permutations
from typing import Final

import numpy as np
import SimpleITK as sitk
import torch
from numpy.typing import NDArray

from radiomics_npc.errors import ImageError
from radiomics_npc.imaging.normalize import body_mask
from radiomics_npc.imaging.volume import Volume
from radiomics_npc.segmentation.frames import Frame
from radiomics_npc.segmentation.slabs import NetworkGrid, standardize
from radiomics_npc.settings import SEQUENCES, Sequence

__all__ = ["check_image", "find_frame", "from_network", "reference_sequence", "resample", "to_network"]

Floats = NDArray[np.float32]

#: The sequence whose slices are segmented: the first of these taken. T2 and CE-T1 show the tumor best.
_REFERENCES: Final[tuple[Sequence, ...]] = ("t2", "ce_t1", "t1")
#: Slices nearer than this are averaged: they cost time and show nothing more at this resolution.
_THINNEST_MM: Final = 1.0
#: An image is axial where no other edge of its voxels is longer than the vertical one by this factor.
_AXIAL_RATIO: Final = 1.5
#: The body is looked for on pixels of this size.
_COARSE_MM: Final = 4.0
#: A body mask of less or more than this share of the image has found no air around a head.
_BODY_SHARE: Final = (0.05, 0.97)


def reference_sequence(images: Mapping[Sequence, Volume]) -> Sequence:
    """The sequence whose slices are segmented.

    Parameters
    ----------
    images : mapping of sequence to Volume

    Returns
    -------
    str
        T2, else CE-T1, else T1; axial images before sagittal and coronal ones.

    Raises
    ------
    ImageError
        No image, or a sequence of another name.

    Examples
    --------
    >>> flat = Volume(np.zeros((2, 3, 4)), (1.0, 1.0, 5.0))
    >>> reference_sequence({"t1": flat, "ce_t1": flat})
    'ce_t1'
    """
    unknown = sorted(set(images) - set(SEQUENCES))
    if unknown or not images:
        what = f"unknown sequence {unknown[0]!r}" if unknown else "there is no image"
        raise ImageError(what, f"Give at least one of {', '.join(SEQUENCES)}.")
    present = [name for name in _REFERENCES if name in images]
    axial = [name for name in present if _is_axial(images[name])]
    return (axial or present)[0]


def _is_axial(volume: Volume) -> bool:
    x, y, z = (volume.spacing_mm[j] for j in _nearest_axes(volume)[0])
    return z * _AXIAL_RATIO >= max(x, y)


def _nearest_axes(volume: Volume | Frame) -> tuple[tuple[int, ...], NDArray[np.float64]]:
    """For left, back and up: which stored axis runs along it, and in which sense."""
    direction = np.reshape(np.asarray(volume.direction, dtype=float), (3, 3))
    order = max(permutations(range(3)), key=lambda p: sum(abs(direction[k, p[k]]) for k in range(3)))
    return order, np.where(direction[range(3), order] < 0, -1.0, 1.0)


def _turned(volume: Volume) -> Frame:
    """The grid of an image with its axes in the order and sense nearest to left, back, up."""
    order, signs = _nearest_axes(volume)
    direction = np.reshape(np.asarray(volume.direction, dtype=float), (3, 3))
    size = volume.array.shape[::-1]
    first = [size[j] - 1 if signs[k] < 0 else 0 for k, j in enumerate(order)]
    steps = direction[:, order] * np.array([volume.spacing_mm[j] for j in order])
    x, y, z = (np.array(volume.origin_mm) + steps @ np.array(first, dtype=float)).tolist()
    sx, sy, sz = (float(volume.spacing_mm[j]) for j in order)
    shape = (size[order[2]], size[order[1]], size[order[0]])
    return Frame(shape, (sx, sy, sz), (x, y, z), tuple((direction[:, order] * signs).ravel().tolist()))


def find_frame(images: Mapping[Sequence, Volume], grid: NetworkGrid, margin: int = 0) -> Frame:
    """The window of the network around the middle of the body, with the slices of the reference.

    Parameters
    ----------
    images : mapping of sequence to Volume
        Any of t1, t2, ce_t1, each on its own grid.
    grid : NetworkGrid
    margin : int
        Pixels more on each side.

    Returns
    -------
    Frame

    Raises
    ------
    ImageError
        No image, one that is not 3D or not finite, or the reference is of one intensity.

    Notes
    -----
    The middle of the body is the median over slices of its centroid, so that a few slices through the
    shoulders do not move it; heads are centered alike in training, to 2 mm. Where there is no air in view
    it is the middle of the image. Slices thinner than 1 mm are averaged.
    """
    reference = images[reference_sequence(images)]
    for name, volume in images.items():
        check_image(name, volume)
    stored = _turned(reference)
    thin = min(max(1, round(_THINNEST_MM / stored.spacing_mm[2])), stored.shape[0])
    slices = -(-stored.shape[0] // thin)  # the last may be of fewer: every slice gets a mask
    thick = stored.spacing_mm[2] * thin
    column, row = _body_middle(reference, stored)
    size = grid.window + 2 * margin
    half_mm = (size - 1) / 2 * grid.pixel_mm
    start = (column - half_mm / stored.spacing_mm[0], row - half_mm / stored.spacing_mm[1], (thin - 1) / 2)
    return Frame(
        (slices, size, size), (grid.pixel_mm, grid.pixel_mm, thick), stored.point(*start), stored.direction
    )


def check_image(name: str, volume: Volume) -> None:
    """Refuse what would pass for an absent sequence, or make every logit NaN.

    Raises
    ------
    ImageError
        The image is not 3D, or holds values that are not finite.
    """
    if volume.array.ndim != 3:
        raise ImageError(f"image {name} has {volume.array.ndim} dimensions, not 3", "Give a volume.")
    # one NaN or infinity makes a minimum or a maximum so: quicker than a look at every voxel
    if not np.isfinite([float(volume.array.min()), float(volume.array.max())]).all():
        raise ImageError(f"image {name} holds intensities that are not finite", "Export the image again.")


def _body_middle(volume: Volume, stored: Frame) -> tuple[float, float]:
    """Column and row, in pixels of the turned image, of the middle of the body."""
    slices, rows, columns = stored.shape
    extent = np.array([columns * stored.spacing_mm[0], rows * stored.spacing_mm[1]])
    count = np.maximum(1, np.round(extent / _COARSE_MM).astype(int))
    sx, sy = (extent / count).tolist()
    begin = stored.point((sx / stored.spacing_mm[0] - 1) / 2, (sy / stored.spacing_mm[1] - 1) / 2, 0.0)
    coarse = replace(
        stored,
        shape=(slices, int(count[1]), int(count[0])),
        spacing_mm=(sx, sy, stored.spacing_mm[2]),
        origin_mm=begin,
    )
    body = body_mask(coarse.volume(resample(volume, coarse)))
    if not _BODY_SHARE[0] < body.mean() < _BODY_SHARE[1]:
        return (columns - 1) / 2, (rows - 1) / 2
    middles = [_middle(np.asarray(body.sum(axis=axis))) for axis in (1, 2)]
    x, y = (
        (middle + 0.5) * step / spacing - 0.5
        for middle, step, spacing in zip(middles, (sx, sy), stored.spacing_mm, strict=False)
    )
    return x, y


def _middle(voxels: NDArray[np.int64]) -> float:
    """Median over slices of the centroid of the body; shape (slices, columns or rows)."""
    voxels = voxels[voxels.any(axis=1)]
    return float(np.median(voxels @ np.arange(voxels.shape[1]) / voxels.sum(axis=1)))


def resample(volume: Volume, frame: Frame, outside: float | None = None) -> Floats:
    """An image on a frame: averaged to the size of its voxels, then linear.

    Parameters
    ----------
    volume : Volume
    frame : Frame
    outside : float, optional
        Where the frame leaves the image; by default its lowest intensity.

    Returns
    -------
    array of float32, shape of the frame
    """
    array = volume.array
    image = volume.to_sitk()
    if image.GetPixelID() != sitk.sitkFloat32:
        image = sitk.Cast(image, sitk.sitkFloat32)
    shrink = _shrink(volume, frame)
    if max(shrink) > 1:
        image = sitk.BinShrink(_filled(image, shrink, volume), shrink)
    return _resampled(image, frame, float(array.min()) if outside is None else outside)


def _shrink(volume: Volume, frame: Frame) -> list[int]:
    """Whole voxels of the image, along its own axes, that make up one of the frame."""
    order = _nearest_axes(volume)[0]
    factors = [1, 1, 1]
    for k, j in enumerate(order):
        fits = int(frame.spacing_mm[k] / volume.spacing_mm[j] + 1e-3)
        factors[j] = max(1, min(fits, volume.array.shape[2 - j]))
    return factors


def _filled(image: sitk.Image, shrink: list[int], volume: Volume) -> sitk.Image:
    """The image with its last voxels repeated to whole groups; last as the head stands, not as stored."""
    order, signs = _nearest_axes(volume)
    short = [-size % factor for size, factor in zip(image.GetSize(), shrink, strict=True)]
    backwards = {j for k, j in enumerate(order) if signs[k] < 0}
    lower = [short[j] if j in backwards else 0 for j in range(3)]
    upper = [0 if j in backwards else short[j] for j in range(3)]
    return sitk.ZeroFluxNeumannPad(image, lower, upper) if any(short) else image


def _resampled(image: sitk.Image, frame: Frame, outside: float) -> Floats:
    slices, rows, columns = frame.shape
    moved = sitk.Resample(
        image, (columns, rows, slices), sitk.Transform(), sitk.sitkLinear, frame.origin_mm, frame.spacing_mm,
        frame.direction, outside, sitk.sitkFloat32,
    )  # fmt: skip
    return np.asarray(sitk.GetArrayFromImage(moved))


def to_network(images: Mapping[Sequence, Volume], frame: Frame) -> tuple[Floats, Floats]:
    """What the network sees of a patient.

    Parameters
    ----------
    images : mapping of sequence to Volume
    frame : Frame

    Returns
    -------
    images : array of float32, shape (3, slices, rows, columns)
        Standardized, in the order t1, t2, ce_t1; 0 where a sequence is absent.
    present : array of float32, shape (3,)
        1 where a sequence was taken and shows something within the frame.
    """
    stack = np.zeros((len(SEQUENCES), *frame.shape), dtype=np.float32)
    for number, name in enumerate(SEQUENCES):
        if name in images:
            stack[number] = standardize(torch.from_numpy(resample(images[name], frame))).numpy()
    # a sequence of another part of the body is constant here, which standardizes to 0
    return stack, np.array([image.any() for image in stack], dtype=np.float32)


def from_network(array: Floats, frame: Frame, like: Volume) -> Floats:
    """Probabilities from the frame of the network on the grid of an image.

    Parameters
    ----------
    array : array of float, shape of the frame
    frame : Frame
    like : Volume
        Only its geometry matters.

    Returns
    -------
    array of float32, shape of ``like``
        Linear between voxels of the frame, 0 outside.
    """
    image = frame.volume(np.ascontiguousarray(array, dtype=np.float32)).to_sitk()
    shape = (like.array.shape[0], like.array.shape[1], like.array.shape[2])
    return _resampled(image, Frame(shape, like.spacing_mm, like.origin_mm, like.direction), 0.0)
