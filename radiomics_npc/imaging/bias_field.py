"""Slow changes of brightness over the image, which the receiver coil leaves, estimated and taken out (N4).

References
----------
Tustison NJ et al. N4ITK: improved N3 bias correction. IEEE Trans Med Imaging 2010;29:1310-1320.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from radiomics_npc.errors import ImageError
from radiomics_npc.imaging.itk_threads import one_itk_thread
from radiomics_npc.imaging.normalize import body_mask
from radiomics_npc.imaging.volume import Volume

__all__ = ["BIAS_CORRECTION", "correct_bias"]

#: What the extraction of features uses, for the record.
BIAS_CORRECTION: dict[str, Any] = {
    "method": "N4", "grid_mm": 3.5, "iterations": [50, 50, 50], "tolerance": 0.001, "control_points": 4,
    "fwhm": 0.15,
}  # fmt: skip


def correct_bias(
    volume: Volume,
    body: NDArray[np.bool_] | None = None,
    shrink: int | None = None,
    *,
    grid_mm: float = 3.5,
    iterations: Sequence[int] = (50, 50, 50),
    tolerance: float = 0.001,
    control_points: int = 4,
    fwhm: float = 0.15,
) -> tuple[Volume, NDArray[np.float64]]:
    """Divide an image by the smooth field that sharpens its histogram most.

    Parameters
    ----------
    volume : Volume
        MR intensities as stored; those of the body are positive.
    body : array of bool, optional
        The body, if already found; by default :func:`~radiomics_npc.imaging.normalize.body_mask`.
    shrink : int, optional
        The field is estimated on every so many rows and columns. Slices are never left
        out: they lie 5 mm apart as it is. The axis across the slices is the one with the widest spacing.
    grid_mm : float
        Where shrink is not given, rows and columns are left out until they lie about so far
        apart, whatever the matrix: 8 at 0.43 mm, where 4 takes four times as long for the same field.
    iterations : sequence of int
        At most so many at every level; each level halves the distance of the control points.
    tolerance : float
        A level ends when the field changes less than this (coefficient of variation).
    control_points : int
        Along each axis at the first level.
    fwhm : float
        Width of the field's distribution, in the logarithm, that is taken out of the histogram.

    Returns
    -------
    Volume
        Double precision; the geometric mean over the body is as before.
    array of float, shape (slices, rows, columns)
        The field, by which the image was divided, on its own grid.

    Raises
    ------
    ImageError
        Hardly any intensity of the body is positive, or intensities are not finite.

    Notes
    -----
    Rows and columns are left out, not averaged: mixed voxels at every edge blur
    the histogram that is to be sharpened. The field is evaluated from its splines
    on the full grid. One thread makes the result the same everywhere. N4 cannot
    tell a coil from anatomy that is as smooth, and a fourth level of control
    points (27 mm apart in a head) takes more of the anatomy than of the coil.

    Examples
    --------
    >>> z, y, x = np.ogrid[:6, :64, :64]
    >>> head = np.hypot(y - 32, x - 32) < 26
    >>> signal = np.where(head, np.where((x // 8 + y // 8) % 2, 100.0, 200.0), 1.0) * np.ones((6, 1, 1))
    >>> darker_to_the_left = signal * np.exp(0.3 * (x - 32) / 32)
    >>> corrected, field = correct_bias(Volume(darker_to_the_left, (3.0, 3.0, 5.0)), iterations=[10, 10])
    >>> bool(field[3, 32, 50] > field[3, 32, 14])
    True
    """
    inside = body_mask(volume) if body is None else body
    positive = inside & (volume.array > 0)
    if positive.sum() < max(inside.sum() / 2, 1):
        raise ImageError(
            "hardly any intensity of the body is positive, so that there is no logarithm to correct",
            "Correct bias on images as they were stored, or set features.bias_correction: false.",
        )
    image = sitk.Cast(volume.to_sitk(), sitk.sitkFloat32)
    where = replace(volume, array=positive).to_sitk()
    steps = _steps(volume, shrink, grid_mm)
    n4 = sitk.N4BiasFieldCorrectionImageFilter()
    n4.SetMaximumNumberOfIterations([int(count) for count in iterations])
    n4.SetConvergenceThreshold(tolerance)
    n4.SetNumberOfControlPoints([control_points] * 3)
    n4.SetBiasFieldFullWidthAtHalfMaximum(fwhm)
    with one_itk_thread():  # the filters inside of N4 do not heed the number of N4 itself
        n4.Execute(sitk.Shrink(image, steps), sitk.Shrink(where, steps))
    field: NDArray[np.float64] = sitk.GetArrayFromImage(n4.GetLogBiasFieldAsImage(image)).astype(float)
    field = np.exp(field - field[positive].mean())
    return replace(volume, array=volume.array / field), field


def _steps(volume: Volume, shrink: int | None, grid_mm: float) -> list[int]:
    """By how much each axis (x, y, z) is thinned out: all but the one across the slices."""
    spacing = np.array(volume.spacing_mm)
    across = 2 if spacing[2] >= spacing.max() * (1 - 1e-6) else int(spacing.argmax())
    steps = np.rint(grid_mm / spacing).astype(int) if shrink is None else np.full(3, shrink)
    # of a few rows and columns none can be spared
    steps = np.clip(steps, 1, np.maximum(np.array(volume.array.shape[::-1]) // 16, 1))
    steps[across] = 1
    return [int(step) for step in steps]
