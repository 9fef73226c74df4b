"""From probabilities to a tumor: the component in the right place, not the largest one.

The largest component is often a lymph node. Each is weighed by its probabilities, by how near it lies to
where nasopharyngeal tumors grow, and by how much the network takes it for a node.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["THRESHOLD", "TumorSelection", "position_prior", "select_tumor"]

Floats = NDArray[np.float32]
Spacing = tuple[float, float, float]

#: A voxel is tumor above this probability.
THRESHOLD: Final = 0.5
#: Standard deviations of the prior along z, y, x in mm. In 40 simulated patients the centroid of the tumor
#: lay -4 +- 7, 1 +- 5 and 1 +- 7 mm from the middle of the stack and of the body. Taken two to four times as
#: wide: patients are tilted and planned otherwise, and T4 tumors reach far.
PRIOR_SPREAD_MM: Final = (28.0, 16.0, 14.0)
#: Long stacks are planned less exactly: along z the spread is at least this share of what they cover.
PRIOR_SPREAD_OF_STACK: Final = 0.25
#: A further component is kept if it lies this near to the chosen one ...
NEAR_MM: Final = 8.0
#: ... with at least this mean probability, and no higher one of being a node.
PROBABLE: Final = 0.7
#: Larger holes stay: tumor around an open airway.
LARGEST_HOLE_MM2: Final = 100.0
#: Probability given to the voxels of a filled hole.
_FILLED: Final = 0.75


@dataclass(frozen=True, eq=False)
class TumorSelection:
    """What of a probability map is the tumor.

    Parameters
    ----------
    mask : array of bool, shape (slices, rows, columns)
    probability : array of float32
        0 in the components left out, high in filled holes: above 0.5 exactly where ``mask`` is.
    components : int
        Kept; 0 where nothing was found.
    left_out : int
        Components that are not the tumor.
    """

    mask: NDArray[np.bool_]
    probability: Floats
    components: int
    left_out: int


def position_prior(
    shape: tuple[int, int, int], spacing_mm: Spacing, middle: tuple[float, float] | None = None
) -> Floats:
    """How near each voxel lies to where nasopharyngeal tumors grow, from 0 to 1.

    Parameters
    ----------
    shape : tuple of 3 ints
        Slices, rows, columns.
    spacing_mm : tuple of 3 floats
        Along z, y, x.
    middle : tuple of 2 floats, optional
        Row and column of the middle of the body; by default that of the array.

    Returns
    -------
    array of float32, shape ``shape``
        A Gaussian around the middle of the stack and of the body. The nasopharynx lies on the midline, as
        far from the front of the face as from the back of the head.

    Examples
    --------
    >>> prior = position_prior((3, 5, 5), (20.0, 10.0, 10.0))
    >>> float(prior[1, 2, 2]), bool(prior[1, 2, 4] < prior[1, 4, 2] < prior[1, 2, 2])
    (1.0, True)
    """
    row, column = middle if middle is not None else ((shape[1] - 1) / 2, (shape[2] - 1) / 2)
    places = ((shape[0] - 1) / 2, row, column)
    along_z = max(PRIOR_SPREAD_MM[0], PRIOR_SPREAD_OF_STACK * shape[0] * spacing_mm[0])
    spreads = (along_z, *PRIOR_SPREAD_MM[1:])
    z, y, x = (
        np.exp(-0.5 * ((np.arange(n) - place) * step / spread) ** 2).astype(np.float32)
        for n, place, step, spread in zip(shape, places, spacing_mm, spreads, strict=True)
    )
    return z[:, None, None] * y[:, None] * x


def select_tumor(
    probability: Floats, prior: Floats, spacing_mm: Spacing, nodes: Floats | None = None
) -> TumorSelection:
    """Choose the components of a probability map that are the primary tumor.

    Parameters
    ----------
    probability : array of float, shape (slices, rows, columns)
        Of primary tumor.
    prior : array of float, same shape
        From :func:`position_prior`.
    spacing_mm : tuple of 3 floats
        Along z, y, x.
    nodes : array of float, same shape, optional
        Probability of a metastatic lymph node.

    Returns
    -------
    TumorSelection
        The component with the largest sum of probability times prior times the probability of being no
        node; others only within 8 mm of it and probable; holes up to 1 cm2 filled slice by slice. A tumor
        on a single slice is a tumor. Nothing above the threshold gives an empty mask.

    Examples
    --------
    >>> p = np.zeros((3, 40, 40), dtype=np.float32)
    >>> p[1, 18:22, 18:22] = 0.9
    >>> p[:, 2:12, 2:12] = 0.9
    >>> found = select_tumor(p, position_prior(p.shape, (5.0, 3.0, 3.0)), (5.0, 3.0, 3.0))
    >>> int(found.mask.sum()), found.components, found.left_out
    (16, 1, 1)
    """
    labels, count = ndimage.label(probability > THRESHOLD)
    if count == 0:
        return TumorSelection(
            np.zeros(probability.shape, dtype=bool), probability.astype(np.float32, copy=True), 0, 0
        )
    weight = probability * prior if nodes is None else probability * prior * (1 - nodes)
    numbers = np.arange(1, count + 1)
    chosen = int(np.argmax(ndimage.sum_labels(weight, labels, numbers))) + 1
    kept = [chosen]
    if count > 1:
        sure = ndimage.mean(probability, labels, numbers) >= PROBABLE
        if nodes is not None:
            sure &= ndimage.mean(probability - nodes, labels, numbers) > 0
        near = _reach(labels == chosen, labels, numbers, spacing_mm) <= NEAR_MM
        kept += [int(n) for n in numbers[sure & near] if n != chosen]
    tumor = np.isin(labels, kept)
    mask = _without_holes(tumor, spacing_mm[1] * spacing_mm[2])
    cleaned = np.where((labels > 0) & ~mask, 0, probability).astype(np.float32)
    filled = mask & ~tumor
    cleaned[filled] = np.maximum(cleaned[filled], _FILLED)
    return TumorSelection(mask, cleaned, len(kept), count - len(kept))


def _reach(
    chosen: NDArray[np.bool_], labels: NDArray[np.int32], numbers: NDArray[np.int64], spacing: Spacing
) -> NDArray[np.float64]:
    """Distance in mm of each component from the chosen one."""
    distance = ndimage.distance_transform_edt(~chosen, sampling=spacing)
    return np.asarray(ndimage.minimum(distance, labels, numbers))


def _without_holes(mask: NDArray[np.bool_], pixel_mm2: float) -> NDArray[np.bool_]:
    in_plane = np.zeros((3, 3, 3), dtype=bool)
    in_plane[1] = ndimage.generate_binary_structure(2, 1)
    around = np.pad(~mask, ((0, 0), (1, 1), (1, 1)), constant_values=True)
    labels, _ = ndimage.label(around, in_plane)
    small = np.bincount(labels.ravel()) * pixel_mm2 <= LARGEST_HOLE_MM2
    small[labels[:, 0, 0]] = False  # what surrounds the mask is no hole, however little there is
    small[0] = False
    return np.asarray(mask | small[labels][:, 1:-1, 1:-1])
