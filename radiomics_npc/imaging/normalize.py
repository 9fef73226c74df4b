"""Intensity normalization. MR intensities have no unit, so images are put on a common scale.

A z-score over the whole image depends on how much air is in view, which is a
choice of the technician. The z-score over the body does not, nor do percentiles
of the body. What is learnt from other images stands in
:mod:`radiomics_npc.imaging.nyul`, what needs a second mask in
:mod:`radiomics_npc.imaging.reference_tissue`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage

from radiomics_npc.errors import ImageError
from radiomics_npc.imaging.volume import Volume

__all__ = ["body_mask", "normalize_body", "normalize_image", "normalize_percentile"]

_BINS = 256


def body_mask(volume: Volume) -> NDArray[np.bool_]:
    """Voxels of the body: everything inside its outer surface, slice by slice.

    Parameters
    ----------
    volume : Volume
        MR intensities, at least two different ones.

    Returns
    -------
    array of bool, shape (slices, rows, columns)
        The largest bright component, its holes (airways, cortical bone, flow
        voids) filled in every slice.

    Raises
    ------
    ImageError
        All intensities are equal, or some are not finite.

    Notes
    -----
    Otsu's threshold (IEEE Trans Syst Man Cybern 1979;9:62-66) on the square
    root of the intensities, so that bright fat does not pull it into the
    tissues. Inside the bounding box of the component so found it is moved to
    the middle between the means of air and tissue (Ridler and Calvard, IEEE
    Trans Syst Man Cybern 1978;8:630-632), which makes the result independent
    of how much air lies around the body. An image cropped inside the body has
    no air, and no body mask that means anything.

    Examples
    --------
    >>> array = np.zeros((3, 20, 20))
    >>> array[:, 5:15, 5:15] = 100.0
    >>> array[:, 9:11, 9:11] = 0.0
    >>> int(body_mask(Volume(array, (1.0, 1.0, 5.0))).sum())
    300
    """
    array = volume.array
    low, high = float(array.min()), float(array.max())
    if not np.isfinite([low, high]).all():
        raise ImageError("image holds intensities that are not finite", "Export the image again.")
    if low == high:
        raise ImageError(
            "all intensities of the image are equal", "Check that the right series was exported."
        )
    threshold = _otsu(array)
    box = _bounding_box(_largest_component(array > threshold))
    inner = array[box]
    body = np.zeros(array.shape, dtype=bool)
    body[box] = _filled(_largest_component(inner > _midway(inner, threshold)))
    return body


def normalize_body(
    volume: Volume,
    *,
    body: NDArray[np.bool_] | None = None,
    scale: float = 1.0,
    outliers: float | None = None,
) -> Volume:
    """Z-score of the intensities, with mean and standard deviation of the body.

    Parameters
    ----------
    volume : Volume
    body : array of bool, optional
        The body, if already found; by default :func:`body_mask`.
    scale : float
        Factor on the z-score, as PyRadiomics' ``normalizeScale``.
    outliers : float, optional
        Clip z-scores at plus and minus this many standard deviations, as
        PyRadiomics' ``removeOutliers``.

    Returns
    -------
    Volume
        Double precision; 0 is the mean of the body.

    Raises
    ------
    ImageError
        The body is of one intensity, or intensities are not finite.

    Examples
    --------
    >>> array = np.zeros((3, 20, 20))
    >>> array[:, 5:15, 5:10], array[:, 5:15, 10:15] = 100.0, 200.0
    >>> np.unique(normalize_body(Volume(array, (1.0, 1.0, 5.0))).array).tolist()
    [-3.0, -1.0, 1.0]
    """
    inside = volume.array[body_mask(volume) if body is None else body].astype(float)
    spread = float(inside.std())
    if spread == 0:
        raise ImageError("the body has one single intensity", "Use normalize: none for such an image.")
    array = (volume.array.astype(float) - inside.mean()) / spread
    if outliers is not None:
        array = np.clip(array, -outliers, outliers)
    return replace(volume, array=array * scale)


def normalize_image(volume: Volume, *, scale: float = 1.0, outliers: float | None = None) -> Volume:
    """Z-score of the intensities over the whole image, air and all.

    What PyRadiomics does with ``normalize: true``, to the last digit. It
    depends on how much air is in view: see :func:`normalize_body`.

    Parameters
    ----------
    volume : Volume
    scale : float
        Factor on the z-score, as PyRadiomics' ``normalizeScale``.
    outliers : float, optional
        Clip z-scores at plus and minus this many standard deviations.

    Returns
    -------
    Volume
        0 is the mean of the image; double precision, or single where the image has it.

    Raises
    ------
    ImageError
        The image has one single intensity.

    Examples
    --------
    >>> array = np.arange(8.0).reshape(2, 2, 2)
    >>> found = normalize_image(Volume(array, (1.0, 1.0, 5.0))).array
    >>> round(float(found.mean()), 9), round(float(found.std(ddof=1)), 9)
    (0.0, 1.0)
    """
    if volume.array.min() == volume.array.max():
        raise ImageError("the image has one single intensity", "Use normalize: none for such an image.")
    array = sitk.GetArrayFromImage(sitk.Normalize(volume.to_sitk()))
    if outliers is not None:
        array = np.clip(array, -outliers, outliers)
    return replace(volume, array=array * scale)


def normalize_percentile(
    volume: Volume,
    *,
    body: NDArray[np.bool_] | None = None,
    low: float = 1.0,
    high: float = 99.0,
    clip: bool = False,
    scale: float = 1.0,
) -> Volume:
    """Intensities between two percentiles of the body as 0 to 1.

    The ends do not feel the brightest voxels (vessels, fat next to the coil),
    which mean and standard deviation do.

    Parameters
    ----------
    volume : Volume
    body : array of bool, optional
        The body, if already found; by default :func:`body_mask`.
    low, high : float
        Percentiles of the body that become 0 and ``scale``.
    clip : bool
        Cut what lies beyond them. By default the line goes on, so that no
        two intensities become one.
    scale : float
        What the higher percentile becomes.

    Returns
    -------
    Volume
        Double precision.

    Raises
    ------
    ImageError
        Both percentiles of the body are one intensity, or intensities are not finite.

    Examples
    --------
    >>> array = np.zeros((3, 20, 20))
    >>> array[:, 5:15, 5:15] = np.arange(100.0, 200.0).reshape(10, 10)
    >>> found = normalize_percentile(Volume(array, (1.0, 1.0, 5.0)), low=0, high=100)
    >>> [round(float(found.array[0, 5, column]), 3) for column in (0, 5, 14)]
    [-1.01, 0.0, 0.091]
    """
    inside = volume.array[body_mask(volume) if body is None else body]
    start, end = (float(value) for value in np.percentile(inside, (low, high)))
    if start == end:
        raise ImageError(
            f"percentiles {low:g} and {high:g} of the body are one intensity",
            "Use normalize: none for such an image.",
        )
    array = (volume.array.astype(float) - start) / (end - start)
    if clip:
        array = np.clip(array, 0.0, 1.0)
    return replace(volume, array=array * scale)


def _histogram(array: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Counts, and edges that are equal steps of the square root above the minimum."""
    low, high = float(array.min()), float(array.max())
    edges = low + (high - low) * np.linspace(0, 1, _BINS + 1) ** 2
    if np.issubdtype(array.dtype, np.integer) and high - low < 2**16:  # no root of millions of voxels
        counts = np.bincount(array.ravel().astype(np.int32) - int(low))
        values = np.arange(int(low), int(low) + len(counts))
        return np.histogram(values, edges, weights=counts)[0].astype(float), edges
    roots = np.sqrt((array - low) / max(high - low, np.finfo(float).tiny))
    return np.histogram(roots, _BINS, (0.0, 1.0))[0].astype(float), edges


def _otsu(array: NDArray[Any]) -> float:
    """Intensity that best parts the square roots of the intensities in two classes."""
    counts, edges = _histogram(array)
    below = np.cumsum(counts)[:-1]
    above = counts.sum() - below
    moment = np.cumsum(counts * np.arange(_BINS))
    between = below * above * (moment[:-1] / below - (moment[-1] - moment[:-1]) / np.maximum(above, 1)) ** 2
    # classes far apart leave a flat optimum between them: take its middle
    best = np.flatnonzero(between >= between.max() * (1 - 1e-12))
    return float(edges[1:-1][best[len(best) // 2]])


def _midway(array: NDArray[Any], start: float) -> float:
    """Move a threshold to the middle between the mean square roots below and above it."""
    counts, edges = _histogram(array)
    centers = np.arange(_BINS) + 0.5
    cut = int(np.clip(np.searchsorted(edges, start), 0, _BINS))
    for _ in range(_BINS):  # converges in a few steps, and could at most visit every bin
        below, above = counts[:cut], counts[cut:]
        if below.sum() == 0 or above.sum() == 0:
            return start
        middle = (np.average(centers[:cut], weights=below) + np.average(centers[cut:], weights=above)) / 2
        if (moved := round(middle)) == cut:
            break
        cut = moved
    return float(edges[cut])


def _bounding_box(inside: NDArray[np.bool_]) -> tuple[slice, ...]:
    box = []
    for axis in range(3):
        filled = np.flatnonzero(inside.any(axis=tuple(a for a in range(3) if a != axis)))
        box.append(slice(filled[0], filled[-1] + 1))
    return tuple(box)


def _largest_component(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    labels, count = ndimage.label(inside)
    if count == 1:
        return inside
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return np.asarray(labels == sizes.argmax())


def _filled(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Fill what the outside cannot reach within its slice."""
    outside = np.pad(~inside, ((0, 0), (1, 1), (1, 1)), constant_values=True)
    in_plane = np.zeros((3, 3, 3), dtype=bool)
    in_plane[1] = ndimage.generate_binary_structure(2, 1)
    labels = ndimage.label(outside, in_plane)[0]
    return np.asarray(labels != labels[:, :1, :1])[:, 1:-1, 1:-1]
