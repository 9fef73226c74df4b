"""Everything measured on one image and its mask: normalize, extract, describe."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk
from radiomics import imageoperations
from radiomics.featureextractor import RadiomicsFeatureExtractor
from scipy import ndimage

from radiomics_npc.errors import ExtractionError, MaskError
from radiomics_npc.features.intensities import prepare_intensities
from radiomics_npc.features.morphology import morphology
from radiomics_npc.features.parameters import quiet_pyradiomics
from radiomics_npc.imaging.resampling import require_splines
from radiomics_npc.imaging.volume import Mask, Volume

__all__ = ["CaseFeatures", "measure_case"]

#: Voxels kept beyond the resampled region: a cubic spline forgets 0.27 a voxel, 32 leave less than 1e-18.
_SPLINE_MARGIN = 32


@dataclass(frozen=True)
class CaseFeatures:
    """Features and diagnostics of one sequence of one patient.

    Parameters
    ----------
    features : dict
        ``{image}__{class}__{Feature}`` and ``morphology__{name}``, as floats.
    diagnostics : dict
        What was extracted from: sizes, spacings, counts, intensities, gray levels.
    """

    features: dict[str, float]
    diagnostics: dict[str, Any]


class _Extractor(RadiomicsFeatureExtractor):
    """The stock extractor, which also counts the gray levels of every image it describes."""

    def __init__(self, parameters: dict[str, Any]) -> None:
        super().__init__(parameters)
        self.settings["additionalInfo"] = False  # hashing both images takes half as long as all features
        self.gray_levels: dict[str, int] = {}
        self.voxels = 0

    def computeFeatures(self, image: Any, mask: Any, imageTypeName: str, **kwargs: Any) -> Any:
        inside = sitk.GetArrayViewFromImage(mask) == kwargs.get("label", 1)
        intensities = sitk.GetArrayViewFromImage(image)[inside]
        binned = imageoperations.binImage(intensities, **kwargs)[0]
        self.gray_levels[imageTypeName] = int(np.unique(binned).size)
        self.voxels = int(inside.sum())
        return super().computeFeatures(image, mask, imageTypeName, **kwargs)


class _Notes(logging.Handler):
    """Collect what PyRadiomics says of an image during one case."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        # the feature classes only repeat what their documentation says
        if record.name == "radiomics.imageoperations":
            self.texts.append(record.getMessage().split("\n")[0])


@contextmanager
def _collected_notes() -> Iterator[list[str]]:
    with quiet_pyradiomics():
        notes = _Notes()
        logging.getLogger("radiomics").handlers = [notes]
        yield notes.texts


def measure_case(
    image: Volume,
    mask: Mask,
    parameters: dict[str, Any],
    *,
    normalize: str = "body",
    bias_correction: bool = False,
    landmarks: Mapping[str, Any] | None = None,
    reference: Mask | None = None,
    with_morphology: bool = True,
) -> CaseFeatures:
    """Extract all features of one image.

    Parameters
    ----------
    image, mask : Volume, Mask
        On the same grid.
    parameters : dict
        PyRadiomics settings (:func:`~radiomics_npc.features.parameters.read_parameters`).
    normalize : {"body", "image", "percentile", "nyul", "reference", "none"}
        Z-score over the body or over the whole image, percentiles of the body as
        0 and 1, histogram landmarks, z-score by a reference tissue, or intensities as
        they are. ``normalizeScale`` and ``removeOutliers`` of the settings apply.
    bias_correction, landmarks, reference
        As :func:`radiomics_npc.features.intensities.prepare_intensities` takes them.
    with_morphology : bool
        Add the four published measures of the mask.

    Returns
    -------
    CaseFeatures

    Raises
    ------
    MaskError
        The mask is empty, or that of the reference tissue is of no use.
    ImageError
        Intensities cannot be normalized.
    ExtractionError
        The region is too small, or lies mostly outside the body that the
        normalization found.

    Notes
    -----
    Values are those of the stock ``RadiomicsFeatureExtractor`` on the
    normalized image: the image is cut around the tumor only as far as the
    resampled values do not feel it, and the mask keeps its grid, on which
    PyRadiomics aligns the resampled one.
    """
    if not mask.array.any():
        raise MaskError("mask is empty", "Draw the tumor and save the mask again.")
    diagnostics = _describe(image, mask)
    setting = dict(parameters.get("setting") or {})
    ready, seen = prepare_intensities(
        image, mask, normalize, setting,
        bias_correction=bias_correction, landmarks=landmarks, reference=reference,
    )  # fmt: skip
    values, found = _radiomics(ready, mask, parameters)
    if with_morphology:
        values |= {f"morphology__{name}": value for name, value in morphology(mask).items()}
    return CaseFeatures(values, diagnostics | seen | found)


def _describe(image: Volume, mask: Mask) -> dict[str, Any]:
    slices, rows, columns = image.array.shape
    where = np.argwhere(mask.array)
    extent = where.max(axis=0) - where.min(axis=0) + 1
    box = tuple(slice(low, high + 1) for low, high in zip(where.min(axis=0), where.max(axis=0), strict=True))
    inside = image.array[mask.array].astype(float)
    return {
        "columns": columns,
        "rows": rows,
        "slices": slices,
        "spacing_x_mm": float(image.spacing_mm[0]),
        "spacing_y_mm": float(image.spacing_mm[1]),
        "spacing_z_mm": float(image.spacing_mm[2]),
        "image_minimum": float(image.array.min()),
        "image_maximum": float(image.array.max()),
        "tumor_voxels": len(where),
        "tumor_columns": int(extent[2]),
        "tumor_rows": int(extent[1]),
        "tumor_slices": int(extent[0]),
        "tumor_parts": int(ndimage.label(mask.array[box], np.ones((3, 3, 3)))[1]),
        "tumor_mean": float(inside.mean()),
        "tumor_sd": float(inside.std()),
    }


def _radiomics(
    image: Volume, mask: Mask, parameters: dict[str, Any]
) -> tuple[dict[str, float], dict[str, Any]]:
    with _collected_notes() as notes:
        extractor = _Extractor(parameters)
        notes.clear()
        try:
            found = extractor.execute(_near_tumor(image, mask, extractor.settings), mask.to_sitk(), label=1)
        except ValueError as error:
            reason = str(error).split("\n")[0].rstrip(".! ")
            raise ExtractionError(
                f"PyRadiomics: {reason}",
                "The tumor is too small for texture on this grid: check the mask, or use a finer preset.",
            ) from error
    if absent := [note for note in notes if note.startswith("Could not load required package")]:
        raise ExtractionError(f"PyRadiomics: {absent[0]}", "Install it, or take the image type out.")
    values = {"__".join(name.split("_", 2)): float(value) for name, value in found.items()}
    levels = extractor.gray_levels
    fewest = min(levels, key=lambda name: levels[name], default="")
    flat = [f"{name} has one gray level" for name in levels if levels[name] == 1]
    return values, {
        "resampled_voxels": extractor.voxels,
        "gray_levels": levels.get("original"),
        "fewest_gray_levels": levels.get(fewest),
        "fewest_gray_levels_in": fewest,
        "without_value": int(sum(not np.isfinite(value) for value in values.values())),
        "notes": "; ".join([*dict.fromkeys(notes), *flat]),
    }


def _near_tumor(image: Volume, mask: Mask, setting: dict[str, Any]) -> sitk.Image:
    """Cut away what resampling around the tumor does not read; half of the time goes there."""
    target = setting.get("resampledPixelSpacing")
    spacing = np.array(image.spacing_mm)
    if not target or setting.get("interpolator") is None:
        return image.to_sitk()
    target = np.where(np.array(target) == 0, spacing, target)
    if np.allclose(spacing, target):
        return image.to_sitk()
    require_splines(image)
    reach = np.ceil((setting["padDistance"] + 2) * target / spacing).astype(int) + _SPLINE_MARGIN
    where = np.argwhere(mask.array)[:, ::-1]
    low = np.maximum(where.min(axis=0) - reach, 0)
    high = np.minimum(where.max(axis=0) + 1 + reach, image.array.shape[::-1])
    x, y, z = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    part = sitk.GetImageFromArray(image.array[z, y, x])
    part.SetSpacing(image.spacing_mm)
    part.SetDirection(image.direction)
    axes = np.reshape(image.direction, (3, 3)) * spacing
    part.SetOrigin((np.array(image.origin_mm) + axes @ low).tolist())
    return part
