"""Histogram landmarks: intensities moved so that the deciles of every image lie at the same places.

References
----------
Nyul LG, Udupa JK, Zhang X. New variants of a method of MRI scale standardization.
IEEE Trans Med Imaging 2000;19:143-150 (variant L4: both ends and the deciles).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from radiomics_npc.errors import ConfigError, ImageError
from radiomics_npc.imaging.bias_field import correct_bias
from radiomics_npc.imaging.landmarks import Landmarks, StandardScale, image_digest
from radiomics_npc.imaging.normalize import body_mask
from radiomics_npc.imaging.volume import Volume
from radiomics_npc.storage import content_key

__all__ = [
    "PERCENTILES",
    "ImageLandmarks",
    "fit_landmarks",
    "image_landmarks",
    "join_landmarks",
    "normalize_nyul",
]

#: Ends and deciles. The last percent (vessels, fat next to the coil) is no basis for an end.
PERCENTILES = (1.0, *(float(decile) for decile in range(10, 100, 10)), 99.0)
#: Where the ends lie on the standard scale. It has no unit.
ENDS = (0.0, 100.0)


@dataclass(frozen=True)
class ImageLandmarks:
    """Landmarks of one image, as a worker process gives them back.

    Parameters
    ----------
    intensities : tuple of float
        At the percentiles of the body, in the unit of the image.
    digest : str
        :func:`radiomics_npc.imaging.landmarks.image_digest`.
    """

    intensities: tuple[float, ...]
    digest: str


def image_landmarks(
    volume: Volume,
    *,
    body: NDArray[np.bool_] | None = None,
    percentiles: Sequence[float] = PERCENTILES,
    bias_correction: bool = False,
) -> ImageLandmarks:
    """Intensities at the percentiles of the body.

    Parameters
    ----------
    volume : Volume
    body : array of bool, optional
        The body, if already found.
    percentiles : sequence of float
        Rising, 0 to 100.
    bias_correction : bool
        Correct the image first (:func:`radiomics_npc.imaging.bias_field.correct_bias`).

    Returns
    -------
    ImageLandmarks

    Raises
    ------
    ImageError
        The first and the last percentile are one intensity, or intensities are not finite.

    Examples
    --------
    >>> array = np.zeros((3, 20, 20))
    >>> array[:, 5:15, 5:15] = np.arange(100.0, 200.0).reshape(10, 10)
    >>> volume = Volume(array, (1.0, 1.0, 5.0))
    >>> [round(value, 1) for value in image_landmarks(volume, percentiles=(0, 50, 100)).intensities]
    [100.0, 149.5, 199.0]
    """
    inside = body_mask(volume) if body is None else body
    ready = correct_bias(volume, inside)[0] if bias_correction else volume
    found = np.percentile(ready.array[inside], percentiles)
    if found[0] == found[-1]:
        raise ImageError(
            f"percentiles {percentiles[0]:g} and {percentiles[-1]:g} of the body are one intensity",
            "Leave this image out of the landmarks.",
        )
    return ImageLandmarks(tuple(float(value) for value in found), image_digest(volume))


def join_landmarks(
    images: Mapping[str, Sequence[ImageLandmarks]],
    *,
    percentiles: Sequence[float] = PERCENTILES,
    ends: tuple[float, float] = ENDS,
    bias_correction: bool = False,
    simulated: bool = False,
) -> Landmarks:
    """Standard scale of every sequence, from the landmarks of its images.

    The ends of each image are moved to ``ends`` by a straight line, and its
    deciles with them; the standard scale is the mean over the images.

    Parameters
    ----------
    images : mapping of str to sequence of ImageLandmarks
        By sequence.
    percentiles : sequence of float
        Those that the landmarks of the images were taken at.
    ends : tuple of two floats
        Where the first and the last percentile come to lie.
    bias_correction, simulated : bool
        What was done to the images, and whether their patients never lived.

    Returns
    -------
    Landmarks

    Raises
    ------
    ConfigError
        There is no image of a sequence, or its deciles do not rise.

    Examples
    --------
    >>> one, other = ImageLandmarks((0.0, 5.0, 10.0), "ab"), ImageLandmarks((100.0, 170.0, 200.0), "cd")
    >>> join_landmarks({"t1": [one, other]}, percentiles=(1, 50, 99)).scales["t1"].standard
    (0.0, 60.0, 100.0)
    """
    if not images or not all(images.values()):
        raise ConfigError("there is no image to fit landmarks on", "Give at least one of every sequence.")
    key = content_key(sorted(one.digest for found in images.values() for one in found))[:32]
    scales = {}
    for name, found in images.items():
        table = np.array([one.intensities for one in found])
        low, high = table[:, :1], table[:, -1:]
        places = ends[0] + (table - low) / (high - low) * (ends[1] - ends[0])
        scales[name] = StandardScale(
            tuple(float(at) for at in percentiles),
            tuple(places.mean(axis=0).tolist()),
            Landmarks.keyed((one.digest for one in found), key),
        )
    return Landmarks(scales, key, bias_correction, simulated)


def fit_landmarks(
    volumes: Iterable[Volume],
    sequence: str = "t1",
    *,
    percentiles: Sequence[float] = PERCENTILES,
    ends: tuple[float, float] = ENDS,
    bias_correction: bool = False,
    simulated: bool = False,
) -> Landmarks:
    """Learn the standard scale of one sequence from images of training patients.

    Parameters
    ----------
    volumes : iterable of Volume
        Of training patients only, as read from their files: a generator is read one image at a time.
    sequence : str
    percentiles : sequence of float
        Of the body; by default 1, the deciles, and 99.
    ends : tuple of two floats
        Where the first and the last percentile come to lie; by default 0 and 100.
    bias_correction : bool
        Correct each image first. Images to be normalized must be corrected as well.
    simulated : bool
        The patients never lived.

    Returns
    -------
    Landmarks

    Raises
    ------
    ConfigError
        There is no image, or the percentiles do not rise.
    ImageError
        As :func:`image_landmarks`.

    See Also
    --------
    radiomics_npc.imaging.nyul_scaler.NyulScaler : the same as a scikit-learn transformer

    Examples
    --------
    >>> array = np.zeros((3, 20, 20))
    >>> array[:, 5:15, 5:15] = np.arange(100.0, 200.0).reshape(10, 10)
    >>> training = [Volume(array, (1.0, 1.0, 5.0)), Volume(array * 7 + 3, (1.0, 1.0, 5.0))]
    >>> landmarks = fit_landmarks(training, "t2")
    >>> [round(place) for place in landmarks.scales["t2"].standard]
    [0, 9, 19, 30, 40, 50, 60, 70, 81, 91, 100]
    """
    found = [
        image_landmarks(volume, percentiles=percentiles, bias_correction=bias_correction)
        for volume in volumes
    ]
    return join_landmarks(
        {sequence: found}, percentiles=percentiles, ends=ends, bias_correction=bias_correction,
        simulated=simulated,
    )  # fmt: skip


def normalize_nyul(
    volume: Volume,
    scale: StandardScale,
    *,
    body: NDArray[np.bool_] | None = None,
    factor: float = 1.0,
) -> Volume:
    """Move the percentiles of an image to their places on the standard scale.

    Straight lines between the landmarks; beyond the ends the first and the last
    line go on. Where several landmarks of the image are one intensity, it takes
    the mean of their places.

    Parameters
    ----------
    volume : Volume
        Corrected for bias if the images of the landmarks were.
    scale : StandardScale
        Of its sequence: ``landmarks.scale("t1")``.
    body : array of bool, optional
        The body, if already found.
    factor : float
        Multiplied with the result, as PyRadiomics' ``normalizeScale``.

    Returns
    -------
    Volume
        Double precision; no unit. The order of intensities is kept.

    Raises
    ------
    ImageError
        The body has one single intensity, or some that are not finite.

    Examples
    --------
    >>> array = np.zeros((3, 20, 20))
    >>> array[:, 5:15, 5:15] = np.arange(100.0, 200.0).reshape(10, 10)
    >>> volume = Volume(array, (1.0, 1.0, 5.0))
    >>> brighter = Volume(array * 7 + 3, (1.0, 1.0, 5.0))
    >>> scale = fit_landmarks([volume]).scale("t1")
    >>> bool(np.allclose(normalize_nyul(volume, scale).array, normalize_nyul(brighter, scale).array))
    True
    """
    inside = volume.array[body_mask(volume) if body is None else body]
    found, tied = np.unique(np.percentile(inside, scale.percentiles), return_inverse=True)
    if len(found) < 2:
        raise ImageError("the body has one single intensity", "Use normalize: none for such an image.")
    places = np.bincount(tied, scale.standard) / np.bincount(tied)
    array = volume.array.astype(float)
    moved = np.interp(array, found, places)
    slopes = np.diff(places) / np.diff(found)
    moved += np.minimum(array - found[0], 0) * slopes[0] + np.maximum(array - found[-1], 0) * slopes[-1]
    return replace(volume, array=moved * factor)
