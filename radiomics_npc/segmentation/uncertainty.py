"""Masks as they might as well have been drawn, from what the networks of an ensemble disagree about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from radiomics_npc.segmentation.postprocessing import select_tumor

if TYPE_CHECKING:
    from radiomics_npc.imaging.volume import Mask
    from radiomics_npc.segmentation.prediction import Prediction
    from radiomics_npc.settings import Sequence

__all__ = ["smooth_noise_field", "varied_probability", "vary_mask"]

Floats = NDArray[np.float32]

#: Contours are off over stretches, not pixel by pixel: standard deviation of the smoothing in mm.
CORRELATION_MM: Final = 5.0
_FARTHEST_LOGIT: Final = 12.0


def smooth_noise_field(
    shape: tuple[int, int, int], spacing_mm: tuple[float, float, float], rng: np.random.Generator
) -> Floats:
    """Gaussian field of mean 0 and unit variance that changes over about a centimeter.

    Parameters
    ----------
    shape : tuple of 3 ints
    spacing_mm : tuple of 3 floats
        Along z, y, x.
    rng : numpy Generator

    Returns
    -------
    array of float32

    Examples
    --------
    >>> field = smooth_noise_field((20, 80, 80), (3.0, 1.0, 1.0), np.random.default_rng(0))
    >>> bool(0.8 < field.std() < 1.2)
    True
    """
    sigma = [CORRELATION_MM / step for step in spacing_mm]
    white = rng.standard_normal(shape, dtype=np.float32)
    smooth = ndimage.gaussian_filter(white, sigma, mode="wrap", truncate=3.0)
    # the variance that smoothing leaves is the sum of squared weights, known exactly for each axis
    left = 1.0
    for n, s in zip(shape, sigma, strict=True):
        impulse = np.zeros(n)
        impulse[n // 2] = 1
        left *= float((ndimage.gaussian_filter1d(impulse, s, mode="wrap", truncate=3.0) ** 2).sum())
    return np.asarray(smooth / np.float32(np.sqrt(left)), dtype=np.float32)


def varied_probability(mean: Floats, logit_spread: Floats, field: Floats) -> Floats:
    """A probability map moved along its uncertainty.

    Parameters
    ----------
    mean : array of float
        Mean probability.
    logit_spread : array of float
        Standard deviation of the logits over members and flips.
    field : array of float
        How many of these to move, everywhere.

    Returns
    -------
    array of float32
        The mean itself where nothing is uncertain.

    Examples
    --------
    >>> varied_probability(np.array([0.5, 0.5]), np.array([0.0, 1.0]), np.array([2.0, 2.0])).round(3)
    array([0.5  , 0.881], dtype=float32)
    """
    p = np.clip(mean.astype(np.float64), 1e-7, 1 - 1e-7)
    logit = np.clip(np.log(p / (1 - p)) + logit_spread * field, -_FARTHEST_LOGIT, _FARTHEST_LOGIT)
    moved = 1 / (1 + np.exp(-logit))
    return np.where(logit_spread > 0, moved, mean).astype(np.float32)


def vary_mask(
    prediction: Prediction, count: int, random_state: int, sequence: Sequence | None = None
) -> list[Mask]:
    """Draw masks along the uncertainty of a prediction.

    Parameters
    ----------
    prediction : Prediction
    count : int
        How many.
    random_state : int
        The same one gives the same masks; for every sequence the same tumors, each on its own grid.
    sequence : str, optional
        Whose grid; by default the first of the prediction.

    Returns
    -------
    list of Mask
        Chosen and cleaned by the rules of the prediction itself.

    Notes
    -----
    A smooth Gaussian field times the spread of the logits over members and flips is added to the logit of
    the mean probability. That is what this ensemble does not know; what raters differ in, or what no
    member learnt, is not in it, so intervals made from it are too narrow rather than too wide.
    """
    name: Sequence = sequence if sequence is not None else next(iter(prediction.grids))
    rng = np.random.default_rng(random_state)
    masks = []
    for _ in range(count):
        field = smooth_noise_field(prediction.mean.shape, prediction.frame.spacing_zyx, rng)
        moved = varied_probability(prediction.mean, prediction.logit_spread, field)
        selection = select_tumor(moved, prediction.prior, prediction.frame.spacing_zyx, prediction.nodes)
        masks.append(prediction.place(selection.probability, name))
    return masks
