"""Distances between the surfaces of two masks, weighted by area.

With voxels of 0.43 x 0.43 x 5.5 mm a surface cannot be a set of border voxels or
voxel corners: most of them would say something about the slice thickness and
nothing about the contour. Here the surface is what the voxels show to the
outside. Every exposed face is cut into near-square pieces no longer than the
shortest voxel edge, so that a distance never runs to the middle of a long face
while its edge is near.

``mode="surfel"`` places elements on voxel corners with the area that marching
cubes cuts there, as DeepMind's surface-distance does, for numbers that compare
with published ones.

References
----------
Nikolov S et al. Clinically applicable segmentation of head and neck anatomy for
radiotherapy: deep learning algorithm development and validation study. J Med
Internet Res 2021;23:e26151. Heimann T et al. Comparison and evaluation of methods
for liver segmentation from CT datasets. IEEE Trans Med Imaging 2009;28:1251-1265.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from radiomics_npc.errors import MaskError
from radiomics_npc.imaging._triangle_cases import CORNERS
from radiomics_npc.imaging.mesh import case_tables

__all__ = ["SurfaceDistances", "SurfaceMode", "surface_distances"]

SurfaceMode = Literal["faces", "surfel"]
Floats = NDArray[np.float64]
Elements = tuple[NDArray[np.int64], Floats]

#: A face is cut into at most this many pieces along one side.
MOST_PIECES = 16


@dataclass(frozen=True, eq=False)
class SurfaceDistances:
    """Distance from every element of one surface to the other, both ways, with areas.

    Parameters
    ----------
    from_predicted_mm, from_reference_mm : array of float, shapes (n,) and (m,)
        Sorted. Infinite where the other mask is empty; of no length where the
        mask itself is.
    predicted_mm2, reference_mm2 : array of float, shapes (n,) and (m,)
        Area of each element.
    mode : {"faces", "surfel"}

    Notes
    -----
    Two empty masks are 0 mm apart and their surfaces overlap (1). Where one mask
    alone is empty every distance is infinite and the overlap 0. DeepMind's code
    gives an infinite Hausdorff distance and no overlap (NaN) for two empty masks
    and agrees elsewhere.
    """

    from_predicted_mm: Floats
    predicted_mm2: Floats
    from_reference_mm: Floats
    reference_mm2: Floats
    mode: SurfaceMode = "faces"

    @property
    def _slack(self) -> float:
        """Relative slack of a limit, so that a tie stays one in whatever order the axes are rounded.

        surface-distance compares bare floats.
        """
        return 0.0 if self.mode == "surfel" else 1e-9

    @property
    def _one_is_empty(self) -> bool:
        return (self.predicted_mm2.size == 0) != (self.reference_mm2.size == 0)

    def hausdorff_mm(self, percent: float = 100.0) -> float:
        """Hausdorff distance, or the larger of the two directed percentiles.

        Parameters
        ----------
        percent : float
            Share of each surface, by area, that lies within the distance; 95 for HD95.

        Raises
        ------
        ValueError
            Not above 0 and up to 100.
        """
        if not 0 < percent <= 100:
            raise ValueError(f"percent must lie above 0 and up to 100, not {percent}")
        if self._one_is_empty:
            return float("inf")
        share = percent / 100 * (1 - self._slack) if percent < 100 else 1.0
        return max(
            _quantile(self.from_predicted_mm, self.predicted_mm2, share),
            _quantile(self.from_reference_mm, self.reference_mm2, share),
        )

    @property
    def mean_mm(self) -> float:
        """Mean over both surfaces together, by area (average symmetric surface distance)."""
        if self._one_is_empty:
            return float("inf")
        total = self.predicted_mm2.sum() + self.reference_mm2.sum()
        weighted = self.from_predicted_mm @ self.predicted_mm2 + self.from_reference_mm @ self.reference_mm2
        return float(weighted / total) if total else 0.0

    def overlap_at(self, tolerance_mm: float) -> float:
        """Normalized surface distance (surface Dice): area of both surfaces within a tolerance of the other.

        Parameters
        ----------
        tolerance_mm : float
            A distance equal to it counts as within.

        Raises
        ------
        ValueError
            Negative or not a number.
        """
        if not tolerance_mm >= 0:
            raise ValueError(f"a tolerance cannot be negative: {tolerance_mm}")
        if self._one_is_empty:
            return 0.0
        limit = tolerance_mm * (1 + self._slack)
        within = self.predicted_mm2[self.from_predicted_mm <= limit].sum()
        within += self.reference_mm2[self.from_reference_mm <= limit].sum()
        total = self.predicted_mm2.sum() + self.reference_mm2.sum()
        return float(within / total) if total else 1.0


def surface_distances(
    predicted: NDArray[np.bool_],
    reference: NDArray[np.bool_],
    spacing_mm: tuple[float, float, float],
    mode: SurfaceMode = "faces",
) -> SurfaceDistances:
    """Distances between the surfaces of two masks on one grid.

    Parameters
    ----------
    predicted, reference : array of bool, shape (slices, rows, columns)
        A mask that touches the border of the image is closed there. The walls of
        a hole are surface.
    spacing_mm : tuple of 3 floats
        Voxel size in the order x (columns), y (rows), z (slices).
    mode : {"faces", "surfel"}
        Pieces of exposed voxel faces, or the elements of DeepMind's surface-distance.

    Returns
    -------
    SurfaceDistances

    Raises
    ------
    MaskError
        Masks of different shapes, or not three-dimensional.
    ValueError
        An unknown mode, or a spacing that is no length.

    Examples
    --------
    A cube moved by 2 mm along x: its two faces across are 2 mm off.

    >>> a = np.zeros((1, 6, 12), dtype=bool)
    >>> a[:, :, :6] = True
    >>> found = surface_distances(np.roll(a, 2, axis=2), a, (1.0, 1.0, 6.0))
    >>> found.hausdorff_mm(), found.overlap_at(2.0)
    (2.0, 1.0)
    """
    if predicted.shape != reference.shape or predicted.ndim != 3:
        raise MaskError(
            f"masks of shapes {predicted.shape} and {reference.shape} cannot be compared",
            "Bring both onto the grid of the image, in three dimensions.",
        )
    if mode not in get_args(SurfaceMode):
        raise ValueError(f"mode must be one of {', '.join(get_args(SurfaceMode))}, not {mode!r}")
    spacing = np.asarray(spacing_mm, dtype=float)[::-1]
    if spacing.shape != (3,) or not (np.isfinite(spacing).all() and (spacing > 0).all()):
        raise ValueError(f"spacing_mm must be three positive lengths (x, y, z), not {spacing_mm}")
    a, b = _cropped_and_padded(predicted, reference)
    # pieces lie on a lattice finer than the voxels; whole numbers keep distances free of position
    pieces = _pieces(spacing) if mode == "faces" else np.ones(3, dtype=np.int64)
    elements = [_faces(m, spacing, pieces) if mode == "faces" else _surfels(m, spacing) for m in (a, b)]
    unit = spacing / (2 * pieces)
    (a_at, a_area), (b_at, b_area) = elements
    return SurfaceDistances(
        *_sorted(_nearest(a_at, b_at, unit), a_area), *_sorted(_nearest(b_at, a_at, unit), b_area), mode
    )


def _cropped_and_padded(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> list[NDArray[np.bool_]]:
    """Both masks in the box around both, with a layer of background."""
    either = a | b
    box = []
    for axis in range(3):
        filled = np.flatnonzero(either.any(axis=tuple(k for k in range(3) if k != axis)))
        box.append(slice(filled[0], filled[-1] + 1) if filled.size else slice(0, 0))
    return [np.pad(m[tuple(box)], 1) for m in (a, b)]


def _pieces(spacing: Floats) -> NDArray[np.int64]:
    """Pieces into which a voxel edge of each axis is cut."""
    ratio = np.ceil(spacing / spacing.min() - 1e-9)
    return np.asarray(np.clip(ratio, 1, MOST_PIECES).astype(np.int64))


def _faces(padded: NDArray[np.bool_], spacing: Floats, pieces: NDArray[np.int64]) -> Elements:
    """Middles of the pieces of exposed faces, in spacing / (2 * pieces), and their areas."""
    points, areas = [], []
    for axis in range(3):
        others = [k for k in range(3) if k != axis]
        middle = np.argwhere(np.diff(padded, axis=axis)) * (2 * pieces)
        middle[:, axis] += pieces[axis]
        steps = np.array(list(product(*[range(1 - pieces[k], pieces[k], 2) for k in others])))
        offset = np.insert(steps, axis, 0, axis=1)
        points.append((middle[:, None, :] + offset).reshape(-1, 3))
        areas.append(np.full(len(points[-1]), np.prod(spacing[others] / pieces[others])))
    return np.concatenate(points), np.concatenate(areas)


def _surfels(padded: NDArray[np.bool_], spacing: Floats) -> Elements:
    """Voxel corners where inside meets outside, in half voxels, and the area marching cubes cuts there."""
    shape = tuple(n - 1 for n in padded.shape)
    code = np.zeros(shape, dtype=np.uint8)
    for bit, (x, y, z) in enumerate(CORNERS):
        code |= padded[z:, y:, x:][: shape[0], : shape[1], : shape[2]].astype(np.uint8) << np.uint8(bit)
    area = case_tables(spacing[::-1])[0]
    # surface-distance cuts a corner with more than four voxels inside as its negative, VTK does not always
    number = np.arange(256)
    filled = np.array([n.bit_count() for n in range(256)])
    area = area[np.where(filled > 4, 255 - number, number)]
    border = (code != 0) & (code != 255)
    return 2 * np.argwhere(border), area[code[border]]


def _nearest(points: NDArray[np.int64], others: NDArray[np.int64], unit: Floats) -> Floats:
    if len(points) == 0 or len(others) == 0:
        return np.full(len(points), np.inf)
    tree = cKDTree(others * unit, balanced_tree=False, compact_nodes=False)
    nearest = tree.query(points * unit)[1]
    return np.sqrt((((points - others[nearest]) * unit) ** 2).sum(axis=1))


def _sorted(distances: Floats, areas: Floats) -> tuple[Floats, Floats]:
    order = np.lexsort((areas, distances))
    return distances[order], areas[order]


def _quantile(distances: Floats, areas: Floats, share: float) -> float:
    if distances.size == 0:
        return 0.0
    place = int(np.searchsorted(np.cumsum(areas) / areas.sum(), share))
    return float(distances[min(place, distances.size - 1)])
