"""Intensities measured against a tissue that is alike in everybody, as muscle or normal white matter.

The idea of WhiteStripe (Shinohara RT et al. NeuroImage Clin 2014;6:9-19), whose
tissue is found by the mode of the histogram. Around the nasopharynx there is
hardly brain in view, so that the tissue is drawn: its mask comes with the image.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from radiomics_npc.cohort.cases import ImageFiles
from radiomics_npc.errors import ImageError, MaskError
from radiomics_npc.imaging.reading import place_mask, read_mask
from radiomics_npc.imaging.volume import Mask, Volume

__all__ = [
    "ReferenceIntensity",
    "normalize_reference",
    "read_reference",
    "reference_intensity",
    "require_reference",
]

Center = Literal["median", "mode"]

#: The quartiles of a normal distribution lie so many standard deviations apart.
_QUARTILES = 1.3489795003921634
#: The median of so many voxels has a standard error below an eighth of the spread.
_LEAST_VOXELS = 100
_GRID = 512


@dataclass(frozen=True)
class ReferenceIntensity:
    """What the reference tissue of one image looks like.

    Parameters
    ----------
    center, spread : float
        In the unit of the image.
    voxels : int
    """

    center: float
    spread: float
    voxels: int


def reference_intensity(volume: Volume, tissue: Mask, center: Center = "median") -> ReferenceIntensity:
    """Center and spread of the intensities of a tissue.

    Parameters
    ----------
    volume : Volume
    tissue : Mask
        On the same grid, at least 100 voxels.
    center : {"median", "mode"}
        The mode is that of a Gaussian kernel estimate with Silverman's bandwidth
        (Density Estimation, 1986, eq. 3.31). It does not feel vessels and fat
        that were drawn along with the tissue, but is less sure than the median.

    Returns
    -------
    ReferenceIntensity
        The spread is that of a normal distribution with the same quartiles.

    Raises
    ------
    MaskError
        The mask lies on another grid or holds too few voxels.
    ImageError
        The tissue is of one intensity, or of some that are not finite.

    Examples
    --------
    >>> array = np.random.default_rng(0).normal(300, 20, (4, 30, 30))
    >>> found = reference_intensity(Volume(array, (1, 1, 5)), Mask(np.ones(array.shape), (1, 1, 5)))
    >>> round(found.center), round(found.spread), found.voxels
    (299, 20, 3600)
    """
    if center not in get_args(Center):
        raise ValueError(f"center is median or mode, not {center!r}")
    if tissue.array.shape != volume.array.shape:
        raise MaskError(
            "the mask of the reference tissue lies on another grid than its image",
            "Export it on the image's grid, or set cohort.on_mismatch: resample.",
        )
    inside = volume.array[tissue.array].astype(float)
    if len(inside) < _LEAST_VOXELS:
        raise MaskError(
            f"the reference tissue has {len(inside)} voxels, fewer than {_LEAST_VOXELS}",
            "Draw more of it, on several slices.",
        )
    if not np.isfinite(inside).all():
        raise ImageError(
            "the reference tissue holds intensities that are not finite", "Export the image again."
        )
    lower, middle, upper = np.percentile(inside, (25, 50, 75))
    spread = float(upper - lower) / _QUARTILES
    if spread == 0:
        raise ImageError("half of the reference tissue has one single intensity", "Check image and mask.")
    found = float(middle) if center == "median" else _mode(inside, spread)
    return ReferenceIntensity(found, spread, len(inside))


def normalize_reference(
    volume: Volume,
    tissue: Mask,
    *,
    center: Center = "median",
    scale: float = 1.0,
    outliers: float | None = None,
) -> Volume:
    """Intensities as distances from those of a reference tissue, in its spread.

    Parameters
    ----------
    volume : Volume
    tissue : Mask
        Muscle, white matter or another tissue that the disease leaves alone.
    center : {"median", "mode"}
        See :func:`reference_intensity`.
    scale : float
        Factor on the z-score, as PyRadiomics' ``normalizeScale``.
    outliers : float, optional
        Clip z-scores at plus and minus this many spreads.

    Returns
    -------
    Volume
        Double precision; 0 is the center of the tissue.

    Raises
    ------
    MaskError, ImageError
        As :func:`reference_intensity`.

    Examples
    --------
    >>> array = np.random.default_rng(0).normal(300, 20, (4, 30, 30))
    >>> array[:, :10] += 100
    >>> tissue = np.zeros(array.shape)
    >>> tissue[:, 10:] = 1
    >>> found = normalize_reference(Volume(array, (1, 1, 5)), Mask(tissue, (1, 1, 5))).array
    >>> round(float(found[:, :10].mean()), 1), round(float(found[:, 10:].mean()), 1)
    (5.0, 0.0)
    """
    found = reference_intensity(volume, tissue, center)
    array = (volume.array.astype(float) - found.center) / found.spread
    if outliers is not None:
        array = np.clip(array, -outliers, outliers)
    return replace(volume, array=array * scale)


def read_reference(files: ImageFiles, image: Volume, sequence: str, on_mismatch: str = "error") -> Mask:
    """Mask of the reference tissue of an image, on its grid.

    Parameters
    ----------
    files : ImageFiles
    image : Volume
        Already read.
    sequence : str
        For the message.
    on_mismatch : {"error", "resample"}
        As in :func:`radiomics_npc.imaging.reading.place_mask`.

    Returns
    -------
    Mask

    Raises
    ------
    MaskError
        There is none, it cannot be read, or lies on another grid.

    Examples
    --------
    >>> read_reference(ImageFiles(Path("T1.nii")), Volume(np.zeros((2, 2, 2)), (1, 1, 1)), "t1")
    Traceback (most recent call last):
    ...
    radiomics_npc.errors.MaskError: there is no mask of the reference tissue for t1. Name it in the...
    """
    path = require_reference(files, sequence)
    try:
        return place_mask(read_mask(path, files.reference_label, image), image, on_mismatch)
    except MaskError as error:
        raise MaskError(
            f"reference tissue of {sequence}, {path.name}: {error.message}", error.remedy
        ) from error


def require_reference(files: ImageFiles, sequence: str) -> Path:
    """File of the reference tissue.

    Raises
    ------
    MaskError
        There is none.
    """
    if files.reference is None:
        raise MaskError(
            f"there is no mask of the reference tissue for {sequence}",
            "Name it in the manifest (columns reference, reference_label), or normalize in another way.",
        )
    return files.reference


def _mode(inside: NDArray[np.float64], spread: float) -> float:
    """Highest point of a Gaussian kernel estimate, by convolution of a fine histogram."""
    width = 0.9 * min(float(inside.std()), spread) * len(inside) ** -0.2
    low, high = inside.min() - 3 * width, inside.max() + 3 * width
    cells = max(_GRID, int(np.ceil((high - low) / width * 8)))
    counts, edges = np.histogram(inside, cells, (low, high))
    step = edges[1] - edges[0]
    reach = int(np.ceil(4 * width / step))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) * step / width) ** 2)
    density = np.convolve(counts, kernel, mode="same")
    return float(edges[density.argmax()] + step / 2)
