"""Two pictures on one grid: the information they share, and a checkerboard of both."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from radiomics_npc.errors import ImageError

__all__ = ["checkerboard", "mutual_information"]

_BINS: Final = 32


def mutual_information(a: ArrayLike, b: ArrayLike, bins: int = _BINS) -> float:
    """Mutual information of two images, in nats, from their joint histogram.

    Parameters
    ----------
    a, b : array-like of the same shape
        Places where either is not finite are left out.
    bins : int
        Of equal width between the lowest and the highest value of each.

    Returns
    -------
    float
        0 where fewer than two places are left.

    Examples
    --------
    >>> print(round(mutual_information([0, 1, 2, 3], [7, 5, 9, 2]) / np.log(4), 9))
    1.0
    >>> print(round(abs(mutual_information([0, 0, 1, 1], [0, 1, 0, 1])), 9))
    0.0
    """
    x, y = np.ravel(np.asarray(a, dtype=float)), np.ravel(np.asarray(b, dtype=float))
    both = np.isfinite(x) & np.isfinite(y)
    if both.sum() < 2:
        return 0.0
    joint = np.histogram2d(x[both], y[both], bins=bins)[0] / both.sum()
    alone = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
    seen = joint > 0
    return float((joint[seen] * np.log(joint[seen] / alone[seen])).sum())


def checkerboard(fixed: ArrayLike, moved: ArrayLike, squares: int = 8) -> NDArray[np.float64]:
    """Alternate squares of two pictures: edges that run through are where they fit.

    Parameters
    ----------
    fixed, moved : array-like, shape (..., rows, columns)
        On the same grid, e.g. a slice and that of :func:`radiomics_npc.imaging.registration.move_image`.
    squares : int
        Along the longer side.

    Returns
    -------
    array, as ``fixed``
        From 0 to 1: each picture is stretched from its 1st to its 99th percentile, as two sequences have
        no scale in common; what is not finite is 0.

    Raises
    ------
    ImageError
        The two are not of the same shape.

    Examples
    --------
    >>> checkerboard([[0, 1, 0, 1]] * 2, [[1, 0, 1, 0]] * 2, squares=2).tolist()
    [[0.0, 1.0, 1.0, 0.0], [0.0, 1.0, 1.0, 0.0]]
    """
    a, b = (_stretched(np.asarray(picture, dtype=float)) for picture in (fixed, moved))
    if a.shape != b.shape:
        raise ImageError("a checkerboard needs two pictures of the same shape", "Move one onto the other.")
    rows, columns = a.shape[-2:]
    edge = max(1, -(-max(rows, columns) // squares))
    white = (np.arange(rows)[:, None] // edge + np.arange(columns) // edge) % 2 == 0
    return np.where(white, a, b)


def _stretched(picture: NDArray[np.float64]) -> NDArray[np.float64]:
    seen = picture[np.isfinite(picture)]
    if not seen.size:
        return np.zeros(picture.shape)
    low, high = np.percentile(seen, [1, 99])
    return np.nan_to_num(np.clip((picture - low) / (high - low if high > low else 1.0), 0, 1), nan=0.0)
