"""Means over bootstrap samples of cases, a case always with all its classes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["draw_cases", "resampled_means"]

Floats = NDArray[np.float64]


def draw_cases(cases: int, resamples: int, random_state: int) -> Floats:
    """How often each case is in each sample, shape (cases, resamples).

    Examples
    --------
    >>> draw_cases(4, 3, 0).sum(axis=0).tolist()
    [4.0, 4.0, 4.0]
    """
    rng = np.random.default_rng(random_state)
    return rng.multinomial(cases, np.full(cases, 1 / cases), size=resamples).T.astype(float)


def resampled_means(values: Floats, weights: Floats) -> Floats:
    """Means over the cases of every sample.

    Parameters
    ----------
    values : array of float, shape (methods, cases, classes, measures)
        NaN where a class is not scored in a case.
    weights : array of float, shape (cases, resamples)
        From :func:`draw_cases`.

    Returns
    -------
    array of float, shape (methods, classes, measures, resamples)
        NaN where no drawn case has the class.

    Examples
    --------
    >>> resampled_means(np.array([0.5, 0.75]).reshape(1, 2, 1, 1), np.array([[1.0, 2.0], [1.0, 0.0]]))
    array([[[[0.625, 0.5  ]]]])
    """
    known = np.isfinite(values)
    total = np.tensordot(np.where(known, values, 0.0), weights, axes=([1], [0]))
    count = np.tensordot(known.astype(float), weights, axes=([1], [0]))
    return np.where(count > 0, total / np.maximum(count, 1.0), np.nan)
