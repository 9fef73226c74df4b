"""How far a predicted mask is from the reference: one call, all measures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from radiomics_npc.errors import MaskError
from radiomics_npc.imaging.grid import grid_difference
from radiomics_npc.imaging.volume import Mask
from radiomics_npc.segmentation.overlap import count_overlap
from radiomics_npc.segmentation.surface import SurfaceMode, surface_distances

__all__ = ["SegmentationMetrics", "segmentation_metrics"]

Spacing = tuple[float, float, float]


@dataclass(frozen=True)
class SegmentationMetrics:
    """Overlap, volume and surface measures of a predicted mask against a reference.

    Parameters
    ----------
    dice, jaccard, sensitivity, precision : float
        From 0 to 1.
    predicted_cm3, reference_cm3 : float
    volume_error_percent : float
        Predicted minus reference, of the reference.
    hd_mm, hd95_mm : float
        Hausdorff distance, and the larger of its directed 95th percentiles by area.
    mean_surface_distance_mm : float
        Over both surfaces, by area.
    tolerances_mm, nsd : tuple of float
        Tolerances and the normalized surface distance at each (1 is best).
    mode : {"faces", "surfel"}
        What the surfaces consist of, see `surface_distances`.
    simulated : bool
        Of a patient that never lived.

    Notes
    -----
    ===================  =========  ================  ===============
    masks                scores     distances         volume error
    ===================  =========  ================  ===============
    both empty           1          0                 0
    prediction empty     0          infinite          -100%
    reference empty      0          infinite          infinite
    ===================  =========  ================  ===============

    Nothing is ever NaN. Medians and ranks take the infinite distances as they
    are; a mean over patients needs a finite stand-in that the study states. A
    mask of one voxel has six faces like any other: it is measured, not refused.
    """

    dice: float
    jaccard: float
    sensitivity: float
    precision: float
    predicted_cm3: float
    reference_cm3: float
    volume_error_percent: float
    hd_mm: float
    hd95_mm: float
    mean_surface_distance_mm: float
    tolerances_mm: tuple[float, ...]
    nsd: tuple[float, ...]
    mode: SurfaceMode = "faces"
    simulated: bool = False

    @property
    def volume_error_cm3(self) -> float:
        """Predicted minus reference."""
        return self.predicted_cm3 - self.reference_cm3

    def to_frame(self) -> pd.DataFrame:
        """One row; a column ``nsd_{tolerance}mm`` a tolerance; simulated, if so."""
        row: dict[str, Any] = {
            name: getattr(self, name)
            for name in (
                "dice", "jaccard", "sensitivity", "precision", "predicted_cm3", "reference_cm3",
                "volume_error_cm3", "volume_error_percent", "hd_mm", "hd95_mm", "mean_surface_distance_mm",
            )
        }  # fmt: skip
        row |= {f"nsd_{t:g}mm": value for t, value in zip(self.tolerances_mm, self.nsd, strict=True)}
        return pd.DataFrame([row | {"mode": self.mode} | ({"simulated": True} if self.simulated else {})])

    def _repr_html_(self) -> str:
        return self.to_frame().to_html(index=False, float_format="{:.3f}".format)


def segmentation_metrics(
    predicted: Mask | NDArray[Any],
    reference: Mask | NDArray[Any],
    spacing_mm: Spacing | None = None,
    *,
    tolerances_mm: Sequence[float] = (1.0,),
    mode: SurfaceMode = "faces",
    simulated: bool = False,
) -> SegmentationMetrics:
    """Compare a predicted mask with a reference on the same grid.

    Parameters
    ----------
    predicted, reference : Mask, or array of bool or 0 and 1, shape (slices, rows, columns)
    spacing_mm : tuple of 3 floats, optional
        Voxel size in the order x, y, z; needed for arrays, known from masks.
    tolerances_mm : sequence of float
        Of the normalized surface distance.
    mode : {"faces", "surfel"}
        ``"surfel"`` gives the numbers of DeepMind's surface-distance.
    simulated : bool
        Of a patient that never lived.

    Returns
    -------
    SegmentationMetrics

    Raises
    ------
    MaskError
        The masks lie on different grids, are of other values than 0 and 1, or
        an array comes without its spacing.
    ValueError
        A negative tolerance, an unknown mode, or a spacing that is no length.

    Examples
    --------
    >>> reference = np.zeros((4, 40, 40), dtype=bool)
    >>> reference[1:3, 10:30, 10:30] = True
    >>> found = segmentation_metrics(np.roll(reference, 2, axis=2), reference, (0.5, 0.5, 5.0))
    >>> found.dice, found.hd_mm, found.nsd
    (0.9, 1.0, (1.0,))
    """
    spacing = _common_spacing(predicted, reference, spacing_mm)
    a, b = _as_bool(predicted), _as_bool(reference)
    overlap = count_overlap(a, b)
    distances = surface_distances(a, b, spacing, mode)
    voxel_cm3 = float(np.prod(spacing)) / 1000
    return SegmentationMetrics(
        dice=overlap.dice,
        jaccard=overlap.jaccard,
        sensitivity=overlap.sensitivity,
        precision=overlap.precision,
        predicted_cm3=overlap.predicted * voxel_cm3,
        reference_cm3=overlap.reference * voxel_cm3,
        volume_error_percent=overlap.volume_error_percent,
        hd_mm=distances.hausdorff_mm(),
        hd95_mm=distances.hausdorff_mm(95),
        mean_surface_distance_mm=distances.mean_mm,
        tolerances_mm=tuple(float(t) for t in tolerances_mm),
        nsd=tuple(distances.overlap_at(t) for t in tolerances_mm),
        mode=mode,
        simulated=simulated,
    )


def _common_spacing(
    predicted: Mask | NDArray[Any], reference: Mask | NDArray[Any], spacing_mm: Spacing | None
) -> Spacing:
    if isinstance(predicted, Mask) and isinstance(reference, Mask):
        if spacing_mm is not None:
            raise MaskError("masks know their spacing", "Leave spacing_mm out.")
        difference = grid_difference(predicted, reference)
        if difference is not None:
            raise MaskError(
                f"the masks lie on different grids: {difference}",
                "Resample one onto the grid of the other.",
            )
        return reference.spacing_mm
    if isinstance(predicted, Mask) or isinstance(reference, Mask):
        raise MaskError("one mask has a geometry and the other is a bare array", "Give two of a kind.")
    if spacing_mm is None:
        raise MaskError("bare arrays have no voxel size", "Give spacing_mm in the order x, y, z.")
    return spacing_mm


def _as_bool(mask: Mask | NDArray[Any]) -> NDArray[np.bool_]:
    array = mask.array if isinstance(mask, Mask) else np.asarray(mask)
    if array.dtype != bool and not ((array == 0) | (array == 1)).all():
        raise MaskError("a mask holds other values than 0 and 1", "Choose a label or a threshold first.")
    return array.astype(bool, copy=False)
