"""A contour drawn anew along the supervoxels of its image."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage

from radiomics_npc.errors import MaskError
from radiomics_npc.imaging.volume import Mask, Volume

__all__ = ["redraw_contour", "supervoxels"]

#: Supervoxels this far inside the contour always stay, those this far outside never come.
_SURELY_IN, _SURELY_OUT = 0.9, 0.2

#: Weight of place against intensity (compactness); intensities run from 0 to 1.
_COMPACTNESS = 0.05
_LEAST_VOXELS = 20
_ITERATIONS = 10


def supervoxels(image: Volume, mask: Mask, *, volume_mm3: float = 500.0) -> NDArray[np.int64]:
    """Divide an image into patches of similar voxels that lie together.

    Parameters
    ----------
    image : Volume
    mask : Mask
        On the same grid. Intensities beyond three standard deviations of those
        inside are cut.
    volume_mm3 : float
        Of a typical supervoxel, which has at least 20 voxels.

    Returns
    -------
    array of int, shape (slices, rows, columns)
        Label of the supervoxel that each voxel belongs to.

    Notes
    -----
    SLIC (Achanta et al., IEEE Trans Pattern Anal Mach Intell 2012;34:2274), on
    a grid of seeds that is even in millimeters.

    Examples
    --------
    >>> array = np.repeat([0.0, 1.0], 8) * np.ones((8, 16, 1))
    >>> labels = supervoxels(Volume(array, (1, 1, 1)), Mask(np.ones(array.shape), (1, 1, 1)))
    >>> labels.shape, set(labels[:, :, :8].flat) & set(labels[:, :, 8:].flat)
    ((8, 16, 16), set())
    """
    inside = image.array[mask.array].astype(float)
    low, high = inside.mean() - 3 * inside.std(), inside.mean() + 3 * inside.std()
    if high <= low:  # one value inside: nothing to cut by
        low, high = float(image.array.min()), float(image.array.max())
    scaled = (np.clip(image.array.astype(float), low, high) - low) / max(high - low, np.finfo(float).tiny)
    spacing = np.array(image.spacing_mm)
    smooth = ndimage.gaussian_filter(scaled, (spacing.min() / spacing)[::-1], mode="nearest")
    edge = np.cbrt(max(volume_mm3, _LEAST_VOXELS * image.voxel_mm3))
    grid = np.clip(np.rint(edge / spacing), 1, image.array.shape[::-1]).astype(int)
    slic = sitk.SLICImageFilter()
    slic.SetSuperGridSize(grid.tolist())
    slic.SetSpatialProximityWeight(_COMPACTNESS)
    slic.SetMaximumNumberOfIterations(_ITERATIONS)
    slic.SetEnforceConnectivity(True)
    # sums over threads would differ in the last digits from run to run
    slic.SetNumberOfThreads(1)
    slic.SetNumberOfWorkUnits(1)
    labels: NDArray[np.int64] = sitk.GetArrayFromImage(
        slic.Execute(sitk.GetImageFromArray(smooth.astype(np.float32)))
    ).astype(np.int64)
    return labels


def redraw_contour(
    image: Volume, mask: Mask, random: np.random.Generator, *, volume_mm3: float = 500.0
) -> Mask:
    """Draw a contour anew, as another observer might who follows the same edges.

    Each supervoxel is taken with a probability equal to the share of it that
    lies inside the old contour; at 90% it is always taken, below 20% never. Gaps
    of a voxel are closed.

    Parameters
    ----------
    image : Volume
    mask : Mask
        On the same grid.
    random : numpy Generator
    volume_mm3 : float
        See :func:`supervoxels`.

    Returns
    -------
    Mask
        Never empty: the supervoxel that lies most inside is always taken.

    Raises
    ------
    MaskError
        The mask is empty.

    Notes
    -----
    Zwanenburg et al., Sci Rep 2019;9:614 (supplement, contour randomization).
    The new surface is rougher than a drawn one, so features of roughness
    (sphericity, surface) come out less stable than they are between observers.

    Examples
    --------
    >>> z, y, x = np.ogrid[:8, :40, :40]
    >>> ball = ((z - 4) * 4) ** 2 + (y - 20) ** 2 + (x - 20) ** 2 < 12**2
    >>> image, mask = Volume(np.where(ball, 2.0, 1.0), (1, 1, 4)), Mask(ball, (1, 1, 4))
    >>> drawn = redraw_contour(image, mask, np.random.default_rng(0)).array
    >>> bool(2 * (drawn & ball).sum() / (drawn.sum() + ball.sum()) > 0.7)
    True
    """
    if not mask.array.any():
        raise MaskError("mask is empty", "Draw the tumor and save the mask again.")
    labels = supervoxels(image, mask, volume_mm3=volume_mm3)
    share = np.bincount(labels.ravel(), weights=mask.array.ravel()) / np.maximum(
        np.bincount(labels.ravel()), 1
    )
    taken = random.random(len(share)) < share
    taken |= share >= _SURELY_IN
    taken &= share >= _SURELY_OUT
    taken[share.argmax()] = True
    # room for the closing at the edges of the image, which would else eat the mask there
    drawn = ndimage.binary_closing(np.pad(taken[labels], 1))[1:-1, 1:-1, 1:-1]
    return Mask(drawn, mask.spacing_mm, mask.origin_mm, mask.direction)
