"""Volume, surface and diameter of a mask as a closed triangle mesh.

Marching cubes at half range on a binary mask puts every mesh vertex on the
middle of a voxel edge. Surface and volume are then sums over the 2 x 2 x 2
neighborhoods of the mask, found by counting how often each of the 256 cases
occurs: no mesh is built, and the result equals VTK's to rounding.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull

from radiomics_npc.errors import MaskError
from radiomics_npc.imaging._triangle_cases import CORNERS, EDGES, TRIANGLES

__all__ = ["MeshGeometry", "case_tables", "mesh_geometry"]


class MeshGeometry(NamedTuple):
    """Measures of the closed surface of a mask."""

    volume_mm3: float
    area_mm2: float
    max_diameter_mm: float


def mesh_geometry(array: NDArray[np.bool_], spacing_mm: tuple[float, float, float]) -> MeshGeometry:
    """Volume, surface area and maximum diameter of the marching-cubes mesh of a mask.

    Parameters
    ----------
    array : array of bool, shape (slices, rows, columns)
        Inside of the region. A region that touches the border is closed there.
    spacing_mm : tuple of 3 floats
        Voxel size in the order x (columns), y (rows), z (slices).

    Returns
    -------
    MeshGeometry
        Volume by the divergence theorem, area as the sum of all triangles,
        diameter as the largest distance between any two mesh vertices.

    Raises
    ------
    MaskError
        The mask is empty or not three-dimensional.

    Notes
    -----
    Same surface as ``vtkMarchingCubes`` at half range on the zero-padded mask,
    ambiguous cases included; area and volume as in ``vtkMassProperties``
    (Alyassin AM et al. Evaluation of new algorithms for the interactive
    measurement of surface area and volume. Med Phys 1994;21:741-752).

    Examples
    --------
    One voxel gives an octahedron with half a voxel from center to tip:

    >>> mesh_geometry(np.ones((1, 1, 1), dtype=bool), (1.0, 1.0, 1.0)).max_diameter_mm
    1.0
    """
    padded = _cropped_and_padded(np.asarray(array, dtype=bool))
    spacing = np.asarray(spacing_mm, dtype=float)
    area, volume = _area_and_volume(padded, spacing)
    return MeshGeometry(volume, area, _max_diameter(padded, spacing))


def _cropped_and_padded(array: NDArray[np.bool_]) -> NDArray[np.bool_]:
    if array.ndim != 3:
        raise MaskError(f"a mask needs three dimensions, this one has {array.ndim}")
    box = []
    for axis in range(3):
        filled = np.flatnonzero(array.any(axis=tuple(a for a in range(3) if a != axis)))
        if filled.size == 0:
            raise MaskError("mask is empty", "Draw the tumor and save the mask again.")
        box.append(slice(filled[0], filled[-1] + 1))
    return np.pad(array[tuple(box)], 1)


@cache
def _triangles() -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Case of every triangle, shape (n,), and its corners in voxels as (x, y, z), shape (n, 3, 3)."""
    middles = np.array(CORNERS, dtype=float)[np.array(EDGES)].mean(axis=1)
    case, corners = [], []
    for number, word in enumerate(TRIANGLES):
        edges = [int(letter, 16) for letter in word.replace("-", "")]
        case += [number] * (len(edges) // 3)
        corners += edges
    return np.array(case), middles[np.array(corners)].reshape(-1, 3, 3)


def case_tables(spacing: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    """What marching cubes puts into a cube of eight voxel centers, for each of its 256 cases.

    Parameters
    ----------
    spacing : array, shape (3,)
        Size of a voxel along x, y and z in mm.

    Returns
    -------
    tuple of array, each of shape (256,)
        Area of the triangles (mm2), their vector area along x, and its first moment in x.

    Examples
    --------
    >>> area = case_tables(np.array([1.0, 1.0, 1.0]))[0]
    >>> area[[0, 1, 255]].round(3)  # none, one corner, all corners inside
    array([0.   , 0.217, 0.   ])
    """
    case, corners = _triangles()
    a, b, c = np.moveaxis(corners * spacing, 1, 0)
    normal = np.cross(b - a, c - a) / 2
    center_x = (a[:, 0] + b[:, 0] + c[:, 0]) / 3
    weights = (np.linalg.norm(normal, axis=1), normal[:, 0], normal[:, 0] * center_x)
    return tuple(np.bincount(case, weights=w, minlength=256).astype(float) for w in weights)


def _area_and_volume(padded: NDArray[np.bool_], spacing: NDArray[np.float64]) -> tuple[float, float]:
    code = np.zeros(tuple(n - 1 for n in padded.shape), dtype=np.uint8)
    for bit, (x, y, z) in enumerate(CORNERS):
        corner = padded[z:, y:, x:][: code.shape[0], : code.shape[1], : code.shape[2]]
        code |= corner.astype(np.uint8) << np.uint8(bit)
    # cases counted per column of cubes: the divergence theorem needs each triangle's x
    columns = code.shape[2]
    keys = code.astype(np.intp) * columns + np.arange(columns)
    counts = np.bincount(keys.ravel(), minlength=256 * columns).reshape(256, columns)
    area, vector_area, moment = case_tables(spacing)
    cases = counts.sum(axis=1)
    offsets = counts @ (np.arange(columns) * spacing[0])
    return float(cases @ area), abs(float(cases @ moment + offsets @ vector_area))


def _max_diameter(padded: NDArray[np.bool_], spacing: NDArray[np.float64]) -> float:
    vertices = _outermost_vertices(padded)
    # the mesh always extends along all three axes, so the hull is never flat
    hull = vertices[ConvexHull(vertices).vertices] * (spacing / 2)
    largest = 0.0
    for start in range(0, len(hull), 512):
        difference = hull[start : start + 512, None, :] - hull[None, start:, :]
        largest = max(largest, float(np.einsum("ijk,ijk->ij", difference, difference).max()))
    return float(np.sqrt(largest))


def _outermost_vertices(padded: NDArray[np.bool_]) -> NDArray[np.float64]:
    """First and last mesh vertex on every grid line, in half voxels as (x, y, z).

    A vertex between two others on one line can be no end of a largest distance.
    """
    points = []
    for axis in range(3):
        line = np.moveaxis(padded, axis, -1)
        rows = np.argwhere(line.any(axis=-1))
        inside = line[tuple(rows.T)]
        first = 2 * inside.argmax(axis=-1) - 1
        last = 2 * (line.shape[-1] - 1 - inside[:, ::-1].argmax(axis=-1)) + 1
        for position in (first, last):
            points.append(np.insert(2 * rows, axis, position, axis=1))
    return np.concatenate(points)[:, ::-1].astype(float)
