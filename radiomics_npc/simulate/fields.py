"""Smooth random fields and separable interpolation: the two things every part of the simulation needs.

A linear operation along each axis is a small matrix, so that placing, blurring
and resampling a volume is three matrix products.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Array", "apply_separable", "blur_matrix", "lanczos_matrix", "linear_matrix", "smooth_noise"]

Array = NDArray[np.floating[Any]]
Coordinates = NDArray[np.floating[Any]]


def linear_matrix(source: Coordinates, target: Coordinates) -> Array:
    """Linear interpolation from evenly spaced ``source`` to ``target`` coordinates; edges are extended.

    Examples
    --------
    >>> linear_matrix(np.array([0.0, 1.0, 2.0]), np.array([0.25, 9.0]))
    array([[0.75, 0.25, 0.  ],
           [0.  , 0.  , 1.  ]], dtype=float32)
    """
    position = (np.asarray(target) - source[0]) / (source[1] - source[0])
    position = np.clip(position, 0, len(source) - 1)
    left = np.minimum(position.astype(int), len(source) - 2)
    matrix = np.zeros((len(target), len(source)), dtype=np.float32)
    rows = np.arange(len(target))
    matrix[rows, left] = 1 - (position - left)
    matrix[rows, left + 1] += position - left
    return matrix


def blur_matrix(source: Coordinates, target: Coordinates, sigma: float) -> Array:
    """Gaussian point spread (standard deviation ``sigma``); targets beyond the source get zero."""
    target = np.asarray(target)[:, None]
    weight = np.exp(-0.5 * ((target - source[None, :]) / sigma) ** 2)
    weight *= (target >= source[0]) & (target <= source[-1])
    # rows sum to one, or the grid of the source would shine through
    return np.asarray(weight / np.maximum(weight.sum(axis=1, keepdims=True), 1e-6), dtype=np.float32)


def lanczos_matrix(source: Coordinates, target: Coordinates, lobes: int = 3) -> Array:
    """Windowed-sinc interpolation, as scanners enlarge the matrix they acquired."""
    distance = (np.asarray(target)[:, None] - source[None, :]) / (source[1] - source[0])
    weight = np.where(np.abs(distance) < lobes, np.sinc(distance) * np.sinc(distance / lobes), 0)
    return np.asarray(weight / weight.sum(axis=1, keepdims=True), dtype=np.float32)


def apply_separable(volume: Array, z: Array, y: Array, x: Array) -> Array:
    """Apply one matrix along each axis of a (z, y, x) volume, slices first."""
    slabs = (z @ volume.reshape(len(volume), -1)).reshape(len(z), *volume.shape[1:])
    return np.matmul(np.matmul(y, slabs), x.T)


def smooth_noise(
    rng: np.random.Generator, axes: tuple[Coordinates, Coordinates, Coordinates], scale_mm: float
) -> Array:
    """Gaussian field of unit variance with structures of about ``scale_mm``, on evenly spaced axes.

    Independent normal numbers every ``scale_mm`` are joined by cubic B-splines,
    and each voxel is divided by the standard deviation that this leaves.

    Parameters
    ----------
    rng : Generator
    axes : three arrays
        Coordinates along z, y, x in mm.
    scale_mm : float

    Returns
    -------
    array, shape (len(z), len(y), len(x))
    """
    matrices, shape = [], []
    for axis in axes:
        knots = np.arange(axis[0] - 2 * scale_mm, axis[-1] + 3 * scale_mm, scale_mm)
        t = np.abs((axis[:, None] - knots[None, :]) / scale_mm)
        weight = np.where(t < 1, (4 - 6 * t**2 + 3 * t**3) / 6, np.clip(2 - t, 0, None) ** 3 / 6)
        weight /= np.sqrt((weight**2).sum(axis=1, keepdims=True))
        matrices.append(weight.astype(np.float32))
        shape.append(len(knots))
    return apply_separable(rng.standard_normal(shape, dtype=np.float32), *matrices)
