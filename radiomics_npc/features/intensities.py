"""Intensities before anything is measured on them: bias taken out, then one scale for all patients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radiomics_npc.errors import ConfigError, ExtractionError, MaskError
from radiomics_npc.imaging.bias_field import correct_bias
from radiomics_npc.imaging.landmarks import StandardScale
from radiomics_npc.imaging.normalize import (
    body_mask,
    normalize_body,
    normalize_image,
    normalize_percentile,
)
from radiomics_npc.imaging.nyul import normalize_nyul
from radiomics_npc.imaging.reference_tissue import normalize_reference
from radiomics_npc.imaging.volume import Mask, Volume

__all__ = ["OF_THE_BODY", "prepare_intensities"]

#: Choices that look at the body alone, and need air around it.
OF_THE_BODY = ("body", "percentile", "nyul")

#: A tumor with less of its volume in the body mask means that the body was not found.
_LEAST_IN_BODY = 0.5


def prepare_intensities(
    image: Volume,
    mask: Mask,
    normalize: str,
    setting: Mapping[str, Any],
    *,
    bias_correction: bool = False,
    landmarks: Mapping[str, Any] | None = None,
    reference: Mask | None = None,
) -> tuple[Volume, dict[str, Any]]:
    """Correct an image for bias and put it on the scale that is asked for.

    Parameters
    ----------
    image, mask : Volume, Mask
        On the same grid; the mask is not empty.
    normalize : {"body", "image", "percentile", "nyul", "reference", "none"}
    setting : mapping
        Of PyRadiomics: ``normalizeScale`` applies to all choices but none,
        ``removeOutliers`` to z-scores.
    bias_correction : bool
        Take the bias field out first.
    landmarks : mapping, optional
        ``percentiles`` and ``standard`` of the sequence, for nyul.
    reference : Mask, optional
        The reference tissue, for reference.

    Returns
    -------
    Volume
    dict
        ``tumor_in_body`` (None where the body does not matter), ``bias_field_cv`` after a bias correction.

    Raises
    ------
    ExtractionError
        The tumor lies mostly outside of what was taken for the body.
    ImageError
        Intensities cannot be normalized.
    MaskError
        There is no reference tissue, or it cannot be used.
    ConfigError
        There are no landmarks.

    Examples
    --------
    >>> array = np.zeros((3, 20, 20))
    >>> array[:, 5:15, 5:10], array[:, 5:15, 10:15] = 100.0, 200.0
    >>> image, mask = Volume(array, (1.0, 1.0, 5.0)), Mask(array == 200, (1.0, 1.0, 5.0))
    >>> ready, seen = prepare_intensities(image, mask, "percentile", {"normalizeScale": 10})
    >>> float(ready.array.max()), seen
    (10.0, {'tumor_in_body': 1.0})
    """
    seen: dict[str, Any] = {"tumor_in_body": None}
    body: NDArray[np.bool_] | None = None
    if bias_correction or normalize in OF_THE_BODY:
        body = body_mask(image)
        seen["tumor_in_body"] = _in_body(body, mask)
    if bias_correction:
        image, field = correct_bias(image, body)
        seen["bias_field_cv"] = float(field[body].std() / field[body].mean())
    scale = float(setting.get("normalizeScale", 1))
    outliers = setting.get("removeOutliers")
    match normalize:
        case "none":
            return image, seen
        case "image":
            return normalize_image(image, scale=scale, outliers=outliers), seen
        case "body":
            return normalize_body(image, body=body, scale=scale, outliers=outliers), seen
        case "percentile":
            return normalize_percentile(image, body=body, scale=scale), seen
        case "nyul":
            return normalize_nyul(image, _scale(landmarks), body=body, factor=scale), seen
        case "reference":
            if reference is None:
                raise MaskError("there is no mask of the reference tissue", "Name it in the manifest.")
            return normalize_reference(image, reference, scale=scale, outliers=outliers), seen
    raise ConfigError(f"features.normalize: {normalize!r} is not known")


def _in_body(body: NDArray[np.bool_], mask: Mask) -> float:
    inside = float(body[mask.array].mean())
    if inside < _LEAST_IN_BODY:
        raise ExtractionError(
            f"only {inside:.0%} of the tumor lies in what was taken for the body",
            "Bias correction and normalization by the body need air around it: for an image cropped inside "
            "it set features.normalize to image, reference or none, and features.bias_correction: false.",
        )
    return inside


def _scale(landmarks: Mapping[str, Any] | None) -> StandardScale:
    if landmarks is None:
        raise ConfigError("normalize: nyul needs landmarks", "Name their file in features.landmarks.")
    return StandardScale(tuple(landmarks["percentiles"]), tuple(landmarks["standard"]))
