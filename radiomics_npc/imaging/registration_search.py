"""Searches for the transform between two images: Powell, one-plus-one, B-spline; each in one thread.

One thread, because ITK adds what its threads found in an order that depends on their number (the metric heeds
the number set for the process, not that of the registration method).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from radiomics_npc.errors import ImageError
from radiomics_npc.imaging.itk_threads import one_itk_thread
from radiomics_npc.imaging.volume import Volume

__all__ = ["FINE_MM", "Found", "bspline_search", "deu_search", "mattes", "multi_start_search", "simplified"]

#: Any of SimpleITK's, whose stubs do not tell them apart.
Transform = Any
_BINS: Final = 32
#: Voxel edges the images are averaged to for the starts and for the end of a search.
_COARSE_MM: Final = 8.0
FINE_MM: Final = 4.0
#: Slices this far apart are not averaged any more: they are few.
_THICK_MM: Final = 3.0
_FEWEST_VOXELS: Final = 4
#: Two solutions from the coarse images that are this near are the same one (they are good to 0.3 to 2 mm).
_SAME_MM: Final = 4.0
_FURTHER_STARTS: Final = 4
_START_MM, _START_DEGREES = 8.0, 8.0
#: Closer knots and more iterations fit noise: heads that moved rigidly were bent by 0.7 mm instead of 0.4.
_KNOTS_MM: Final = 70.0
_SPLINE_ITERATIONS: Final = 10
_MOST_BSPLINE_MM: Final = 15.0


@dataclass(frozen=True)
class Found:
    """Where a search ended.

    Parameters
    ----------
    transform : SimpleITK Transform
        From points of the fixed image to points of the moving one.
    metric : float
        Mattes mutual information in nats.
    iterations : int
    stop_reason : str
        As the optimizer says it.
    """

    transform: Transform
    metric: float
    iterations: int
    stop_reason: str


def simplified(volume: Volume, edge_mm: float) -> sitk.Image:
    """Average an image to voxels of ``edge_mm`` or a little more; thick slices stay, outliers are cut off.

    Parameters
    ----------
    volume : Volume
    edge_mm : float

    Returns
    -------
    SimpleITK Image
        32-bit floats between the percentiles 0.5 and 99.5 of the image.

    Raises
    ------
    ImageError
        The image has one value only, values that are not finite, or fewer than 4 voxels along an axis.

    Examples
    --------
    >>> image = Volume(np.random.default_rng(0).normal(size=(20, 64, 64)), (1.0, 1.0, 5.5))
    >>> simplified(image, 4.0).GetSize()
    (16, 16, 20)
    """
    array = volume.array.astype(np.float32)
    low, high = float(array.min()), float(array.max())
    if not np.isfinite([low, high]).all() or low == high:
        raise ImageError(
            "an image with one value only, or with values that are not finite, cannot be registered",
            "Export the image again.",
        )
    if min(array.shape) < _FEWEST_VOXELS:
        raise ImageError(
            f"an image of fewer than {_FEWEST_VOXELS} slices, rows or columns cannot be registered",
            "Register whole series.",
        )
    ends = np.percentile(array, [0.5, 99.5])
    if ends[0] < ends[1]:
        array = np.clip(array, *ends)
    image = sitk.GetImageFromArray(array.astype(np.float32))
    image.SetSpacing(volume.spacing_mm)
    image.SetOrigin(volume.origin_mm)
    image.SetDirection(volume.direction)
    sizes = zip(volume.spacing_mm, image.GetSize(), strict=True)
    return sitk.BinShrink(image, [_shrink(step, voxels, edge_mm) for step, voxels in sizes])


def _shrink(spacing_mm: float, voxels: int, edge_mm: float) -> int:
    wanted = 1 if spacing_mm >= _THICK_MM else math.ceil(edge_mm / spacing_mm)
    return max(1, min(wanted, voxels // _FEWEST_VOXELS))


@one_itk_thread()
def multi_start_search(
    fixed: Volume, moving: Volume, random: np.random.Generator, around: Transform | None = None
) -> Found:
    """Find the rigid motion: coarse images from several starts, then finer ones from the best.

    Parameters
    ----------
    fixed, moving : Volume
    random : numpy Generator
        Of the further starts, which are tried if the first two (as the headers have it, and centers
        of mass on each other) do not lead to the same place.
    around : SimpleITK Transform, optional
        The only start, instead of these.

    Returns
    -------
    Found
        Its transform is a ``Euler3DTransform`` about the middle of the fixed image.

    Raises
    ------
    ImageError
        No start brings the images to overlap.
    """
    low, other = simplified(fixed, _COARSE_MM), simplified(moving, _COARSE_MM)
    starts = [_headers(low), _centers_of_mass(low, other)] if around is None else [around]
    found = _tried(low, other, starts)
    if around is None and (len(found) < len(starts) or _apart(low, found) > _SAME_MM):
        further = [_disturbed(start, random) for start in starts for _ in range(_FURTHER_STARTS // 2)]
        found += _tried(low, other, further)
    if not found:
        raise ImageError(
            "the images do not overlap, wherever the search begins",
            "Check that both are of the same patient, and that their headers are right.",
        )
    best = max(found, key=lambda one: one.metric)
    fine = _powell(simplified(fixed, FINE_MM), simplified(moving, FINE_MM), best.transform, step_mm=0.5)
    return Found(fine.transform, fine.metric, best.iterations + fine.iterations, fine.stop_reason)


@one_itk_thread()
def deu_search(fixed: Volume, moving: Volume, seed: int) -> Found:
    """One-plus-one evolution from the headers, radius 0.004, at most 300 iterations, unit scales.

    Parameters
    ----------
    fixed, moving : Volume
    seed : int
        More than 0: ITK takes 0 for the clock.

    Returns
    -------
    Found
        See :func:`radiomics_npc.imaging.registration.register` on how far it gets.
    """
    low = simplified(fixed, FINE_MM)
    method = _method(_headers(low))
    method.SetOptimizerAsOnePlusOneEvolutionary(
        numberOfIterations=300, epsilon=1.5e-6, initialRadius=0.004, growthFactor=1.05, seed=seed
    )
    method.SetOptimizerScales([1.0] * 6)
    return _run(method, low, simplified(moving, FINE_MM))


@one_itk_thread()
def bspline_search(fixed: Volume, moving: Volume, rigid: Transform) -> Found:
    """Deform the fixed grid by a cubic B-spline with knots every 70 mm, on top of a rigid motion.

    Parameters
    ----------
    fixed, moving : Volume
    rigid : SimpleITK Transform

    Returns
    -------
    Found
        Its transform is the ``BSplineTransform`` alone, applied before the rigid motion; no knot moves
        by more than 15 mm along an axis.
    """
    low = simplified(fixed, FINE_MM)
    mesh = [max(1, round(n * s / _KNOTS_MM)) for n, s in zip(low.GetSize(), low.GetSpacing(), strict=True)]
    method = _method(sitk.BSplineTransformInitializer(low, mesh, 3))
    method.SetMovingInitialTransform(rigid)
    method.SetOptimizerAsLBFGSB(
        gradientConvergenceTolerance=1e-4, numberOfIterations=_SPLINE_ITERATIONS,
        maximumNumberOfFunctionEvaluations=_SPLINE_ITERATIONS + 5,
        lowerBound=-_MOST_BSPLINE_MM, upperBound=_MOST_BSPLINE_MM,
    )  # fmt: skip
    return _run(method, low, simplified(moving, FINE_MM))


@one_itk_thread()
def mattes(fixed: Volume, moving: Volume, transform: Transform) -> float:
    """Mattes mutual information under a transform, in nats; 0 where the images do not overlap."""
    method = _method(transform)
    try:
        return -float(method.MetricEvaluate(simplified(fixed, FINE_MM), simplified(moving, FINE_MM)))
    except RuntimeError as error:
        if "overlap" not in str(error):
            raise
        return 0.0


def _method(transform: Transform) -> sitk.ImageRegistrationMethod:
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(_BINS)
    method.SetMetricSamplingStrategy(method.NONE)
    # smoothed gradients take what lies between thick slices from their neighbors: with them descent diverged
    method.SetMetricUseFixedImageGradientFilter(False)
    method.SetMetricUseMovingImageGradientFilter(False)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetInitialTransform(transform, inPlace=False)
    return method


def _run(method: sitk.ImageRegistrationMethod, fixed: sitk.Image, moving: sitk.Image) -> Found:
    transform = method.Execute(fixed, moving)
    if isinstance(transform, sitk.CompositeTransform):
        transform = transform.GetBackTransform()
    words = method.GetOptimizerStopConditionDescription().partition(": ")[2]
    return Found(
        transform.Downcast(), -method.GetMetricValue(), int(method.GetOptimizerIteration()), words.strip()
    )


def _powell(fixed: sitk.Image, moving: sitk.Image, start: Transform, step_mm: float) -> Found:
    method = _method(start)
    method.SetOptimizerAsPowell(
        numberOfIterations=20, maximumLineIterations=20, stepLength=step_mm, stepTolerance=0.02,
        valueTolerance=1e-5,
    )  # fmt: skip
    method.SetOptimizerScalesFromPhysicalShift()
    return _run(method, fixed, moving)


def _tried(fixed: sitk.Image, moving: sitk.Image, starts: list[Transform]) -> list[Found]:
    """What each start leads to; one from which the images do not overlap leads nowhere."""
    found = []
    for start in starts:
        with suppress(RuntimeError):
            found.append(_powell(fixed, moving, start, step_mm=2.0))
    return found


def middle(image: sitk.Image) -> NDArray[np.float64]:
    """Of the field of view, in mm."""
    size = np.array(image.GetSize())
    return np.array(image.TransformContinuousIndexToPhysicalPoint(((size - 1) / 2).tolist()))


def _headers(fixed: sitk.Image) -> sitk.Euler3DTransform:
    start = sitk.Euler3DTransform()
    start.SetCenter(middle(fixed).tolist())
    return start


def _centers_of_mass(fixed: sitk.Image, moving: sitk.Image) -> sitk.Euler3DTransform:
    start = _headers(fixed)
    weighed = sitk.CenteredTransformInitializer(
        fixed, moving, sitk.Euler3DTransform(), sitk.CenteredTransformInitializerFilter.MOMENTS
    )
    # no rotation yet: the center does not matter
    start.SetTranslation(sitk.Euler3DTransform(weighed).GetTranslation())
    return start


def _disturbed(start: sitk.Euler3DTransform, random: np.random.Generator) -> sitk.Euler3DTransform:
    moved = sitk.Euler3DTransform(start)
    angles = np.array([moved.GetAngleX(), moved.GetAngleY(), moved.GetAngleZ()])
    angles = angles + random.normal(0, np.radians(_START_DEGREES), 3)
    moved.SetRotation(*angles.tolist())
    moved.SetTranslation((np.array(moved.GetTranslation()) + random.normal(0, _START_MM, 3)).tolist())
    return moved


def _apart(fixed: sitk.Image, found: list[Found]) -> float:
    """Mean distance between where two solutions bring the points of a lattice over the fixed image."""
    points = lattice(fixed)
    ends = [mapped(one.transform, points) for one in found[:2]]
    return float(np.linalg.norm(ends[0] - ends[1], axis=1).mean())


def lattice(image: sitk.Image, points: int = 5) -> NDArray[np.float64]:
    """Points in mm over the middle 70% of a field of view along each axis, shape (points**3, 3)."""
    shares = np.linspace(0.15, 0.85, points)
    ends = np.array(image.GetSize()) - 1
    indices = np.stack(np.meshgrid(*(shares * end for end in ends), indexing="ij"), axis=-1).reshape(-1, 3)
    to_point: Callable[[Any], Any] = image.TransformContinuousIndexToPhysicalPoint
    return np.array([to_point(index.tolist()) for index in indices])


def mapped(transform: Transform, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where a transform brings points, shape (n, 3)."""
    return np.array([transform.TransformPoint(point.tolist()) for point in points])
