"""A schematic head of one patient as a map of tissues.

The parts of :mod:`radiomics_npc.simulate.head` are implicit shapes. They are
evaluated in coordinates that are scaled, turned and bent by smooth random
fields, so that no two patients, and no two sides, are the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from radiomics_npc.simulate.fields import Array, apply_separable, linear_matrix, smooth_noise
from radiomics_npc.simulate.head import CAVITIES, DEEP_PARTS, OUTER_PARTS, OUTLINE, Part
from radiomics_npc.simulate.tissue import Tissue

__all__ = ["Head", "build_head"]

IN_PLANE_MM = 1.0
THROUGH_PLANE_MM = 1.4
_COARSE_MM = 4.5
_MARGIN_MM = 7.0
_HALF_EXTENT_MM = (112.0, 90.0)

Axes = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]
Box = tuple[slice, slice, slice]


@dataclass(frozen=True, eq=False)
class Head:
    """Tissues of one patient on an even grid.

    Parameters
    ----------
    tissue : array of uint8, shape (z, y, x)
        Labels of :class:`radiomics_npc.simulate.tissue.Tissue`.
    axes : three arrays
        Coordinates of the grid along z, y, x in mm, in the frame of the scan.
    where : three arrays
        For each voxel its x, y, z in the head of the table, where 0 is the middle of the nasopharynx.
    fine, coarse : array
        Two fields of unit variance that give tissues their grain.
    """

    tissue: NDArray[np.uint8]
    axes: Axes
    where: tuple[Array, Array, Array]
    fine: Array
    coarse: Array


def build_head(rng: np.random.Generator, z_range: tuple[float, float], nodes: Iterable[Part] = ()) -> Head:
    """Draw a head.

    Parameters
    ----------
    rng : Generator
    z_range : tuple
        From where to where along z, in mm from the nasopharynx.
    nodes : iterable of Part
        What this patient has beyond the common table, as enlarged lymph nodes.

    Returns
    -------
    Head
    """
    y_half, x_half = _HALF_EXTENT_MM
    axes = (
        np.arange(z_range[0], z_range[1] + THROUGH_PLANE_MM, THROUGH_PLANE_MM),
        np.arange(-y_half, y_half + 1, IN_PLANE_MM),
        np.arange(-x_half, x_half + 1, IN_PLANE_MM),
    )
    painter = _Painter(rng, axes)
    painter.paint_outside()
    painter.paint(OUTER_PARTS)
    painter.paint(nodes)
    painter.paint_inside_skull()
    painter.paint(DEEP_PARTS)
    fine = smooth_noise(rng, axes, 2.0)
    coarse = smooth_noise(rng, axes, 9.0)
    painter.split_muscles(coarse, fine)
    return Head(painter.tissue, axes, painter.where, fine, coarse)


def _ellipsoid_distance(where: tuple[Array, ...], center: Iterable[float], radii: Iterable[float]) -> Array:
    """Approximate signed distance in mm, negative inside."""
    k0 = np.zeros_like(where[0])
    k1 = np.zeros_like(where[0])
    for x, c, r in zip(where, center, radii, strict=True):
        q = (x - np.float32(c)) * np.float32(1 / r)
        q *= q
        k0 += q
        k1 += q * np.float32(1 / r**2)
    k0 = np.sqrt(k0)
    return np.asarray(k0 * (k0 - 1) / np.sqrt(k1 + 1e-12))


def _union(distances: Iterable[Array], smooth_mm: float) -> Array:
    """Smooth minimum: shapes flow into one another."""
    total = sum(np.exp(np.clip(-d / smooth_mm, -60, 60)) for d in distances)
    return np.asarray(-smooth_mm * np.log(total), dtype=np.float32)


class _Painter:
    """Paints one patient's parts into one tissue map."""

    def __init__(self, rng: np.random.Generator, axes: Axes) -> None:
        self.rng = rng
        self.axes = axes
        self.tissue = np.zeros(tuple(len(a) for a in axes), dtype=np.uint8)
        coarse = [np.arange(a[0], a[-1] + _COARSE_MM, _COARSE_MM) for a in axes]
        self._coarse: Axes = (coarse[0], coarse[1], coarse[2])
        self._finer = [linear_matrix(c, a) for c, a in zip(coarse, axes, strict=True)]
        self._draw_pose()
        self.where_coarse = self._bent_coordinates()
        x, y, z = (apply_separable(w, *self._finer) for w in self.where_coarse)
        # neighbors look at slightly different heights, so that few planes a slice do not show as steps
        offsets = np.array([[-0.375, 0.125], [0.375, -0.125]], dtype=np.float32) * THROUGH_PLANE_MM
        z += np.tile(offsets, (z.shape[1] // 2 + 1, z.shape[2] // 2 + 1))[: z.shape[1], : z.shape[2]]
        self.where: tuple[Array, Array, Array] = (x, y, z)

    def _draw_pose(self) -> None:
        """Size and small rotations; the rows of ``matrix`` lead from the scan into the table's head."""
        pitch, roll, yaw = np.radians(self.rng.normal(0, (3.0, 1.5, 2.0)))
        size = 1 / np.clip(self.rng.normal(1, 0.035, 3) * self.rng.normal(1, 0.02), 0.9, 1.09)
        c, s = np.cos, np.sin
        turn_x = np.array([[1, 0, 0], [0, c(pitch), -s(pitch)], [0, s(pitch), c(pitch)]])
        turn_y = np.array([[c(roll), 0, s(roll)], [0, 1, 0], [-s(roll), 0, c(roll)]])
        turn_z = np.array([[c(yaw), -s(yaw), 0], [s(yaw), c(yaw), 0], [0, 0, 1]])
        self.matrix = np.diag(size) @ turn_x @ turn_y @ turn_z
        self.inverse = np.linalg.inv(self.matrix)

    def _bent_coordinates(self) -> tuple[Array, Array, Array]:
        z, y, x = np.meshgrid(*self._coarse, indexing="ij")
        points = np.stack([x, y, z])
        linear = np.einsum("ij,jabc->iabc", self.matrix, points)
        bent = []
        for row in linear:
            wide = smooth_noise(self.rng, self._coarse, 32.0)
            narrow = smooth_noise(self.rng, self._coarse, 11.0)
            bent.append(np.asarray(row + 2.2 * wide + 0.8 * narrow, dtype=np.float32))
        return bent[0], bent[1], bent[2]

    def _full(self, coarse: Array) -> Array:
        return apply_separable(np.asarray(coarse, dtype=np.float32), *self._finer)

    def paint_outside(self) -> None:
        """Skin, the fat below it, and loose tissue for what no part will cover."""
        distances = [_ellipsoid_distance(self.where_coarse, c, r) for c, r in OUTLINE]
        self.depth = self._full(-_union(distances, 5.0))
        self.tissue[self.depth > 0] = Tissue.SKIN
        # thick in the cheeks, thinner at the sides, more or less with the patient
        x, y, _ = self.where_coarse
        lean = float(np.exp(self.rng.normal(np.log(3.8), 0.3)))
        cheek = 1.6 * np.exp(-(((y + 58) / 26) ** 2)) + 0.8 * np.exp(-((x / 40) ** 2) - ((y - 90) / 30) ** 2)
        self.below_fat = self._full(-_union(distances, 5.0) - 1.8 - lean * (0.8 + cheek))
        self.tissue[self.depth > 1.8] = Tissue.FAT
        self.tissue[self.below_fat > 1.5] = Tissue.CONNECTIVE

    def paint(self, parts: Iterable[Part]) -> None:
        """Paint parts in order, each a little moved and resized."""
        for part in parts:
            for side in (1, -1) if part.mirror else (1,):
                self._paint_one(_mirrored(part) if side < 0 else part)

    def _paint_one(self, part: Part) -> None:
        move = self.rng.normal(0, 0.9 * part.jitter, 3)
        grow = float(np.clip(self.rng.normal(1, 0.06 * part.jitter), 0.8, 1.2))
        placed = _moved(part, move, grow)
        layers = [*placed.shell, (placed.tissue, 0.0)]
        box = self._box(placed, layers[0][1])
        if box is None:
            return
        where = tuple(w[box] for w in self.where)
        target = self.tissue[box]
        if part.over:
            allowed = np.isin(target, part.over)
        elif part.tissue == Tissue.MUSCLE:
            allowed = self.below_fat[box] > 0
        else:
            allowed = self.depth[box] > 1.8
        for tissue, extra in layers:
            target[_inside(placed, where, extra) & allowed] = tissue

    def _box(self, part: Part, extra: float) -> Box | None:
        """Part of the grid that the shape can touch, bent as it may be."""
        radii = np.full(3, part.radii) if np.isscalar(part.radii) else np.asarray(part.radii)
        if part.pitch or part.yaw:
            radii = np.full(3, radii.max())
        ends = np.array([part.center, part.end or part.center])
        low, high = ends.min(axis=0) - radii - extra, ends.max(axis=0) + radii + extra
        corners = np.array([[(low, high)[b >> i & 1][i] for i in range(3)] for b in range(8)])
        corners = corners @ self.inverse.T
        box = []
        for axis, column in zip(self.axes, (2, 1, 0), strict=True):
            first = np.searchsorted(axis, corners[:, column].min() - _MARGIN_MM)
            last = np.searchsorted(axis, corners[:, column].max() + _MARGIN_MM)
            if first == last:
                return None
            box.append(slice(int(first), int(last)))
        return box[0], box[1], box[2]

    def paint_inside_skull(self) -> None:
        """Skull with diploe, then cerebrospinal fluid, folded cortex, white matter, cerebellum."""
        distances = (_ellipsoid_distance(self.where_coarse, c, r) for c, r in CAVITIES)
        depth = self._full(-_union(distances, 3.0))
        shell = (depth > -5.5) & (self.depth > 4.0)
        x, y, z = self.where
        canal = (np.hypot(x, y - 50) < 13) & (z < 2)
        shell &= ~canal
        self.tissue[shell & (depth < 0)] = Tissue.BONE
        self.tissue[shell & (depth < -1.6) & (depth > -4.0)] = Tissue.MARROW
        brain = shell & (depth > 0)
        fold = smooth_noise(self.rng, self.axes, 7.0)
        self.tissue[brain] = Tissue.CSF
        cerebellum = brain & (z < 42 - 0.35 * np.abs(x)) & (y > 40)
        cortex = brain & (depth > 2.0) & ~((np.abs(fold) < 0.09) & (depth < 11))
        self.tissue[cortex] = Tissue.GRAY
        self.tissue[cortex & (depth > 5) & (np.abs(fold) > 0.5)] = Tissue.WHITE
        self._paint_cerebellum(cerebellum, depth, fold)

    def _paint_cerebellum(self, region: NDArray[np.bool_], depth: Array, fold: Array) -> None:
        x, y, z = (w[region] for w in self.where)
        inside = depth[region]
        # folia: thin shells around the fourth ventricle, bent by the folding field
        radius = np.sqrt((np.abs(x) * 0.8) ** 2 + (y - 36) ** 2 + (1.3 * (z - 20)) ** 2)
        phase = np.cos(2 * np.pi * radius / 5.2 + 1.5 * fold[region])
        label = np.where(phase > 0.96, Tissue.CSF, Tissue.GRAY)
        label[(phase < -0.35) | ((inside > 14) & (phase < 0.8) & (radius < 30))] = Tissue.WHITE
        label[(inside < 2.0) | ((y > 68) & (np.abs(x) < 0.8))] = Tissue.CSF
        self.tissue[region] = label

    def split_muscles(self, coarse: Array, fine: Array) -> None:
        """Thin planes of fat between and inside the muscles."""
        planes = np.abs(coarse + 0.25 * fine) < 0.10
        self.tissue[planes & (self.tissue == Tissue.MUSCLE)] = Tissue.FAT


def _mirrored(part: Part) -> Part:
    end = None if part.end is None else (-part.end[0], part.end[1], part.end[2])
    return replace(part, center=(-part.center[0], *part.center[1:]), end=end, yaw=-part.yaw)


def _moved(part: Part, move: NDArray[np.float64], grow: float) -> Part:
    def shift(point: tuple[float, float, float]) -> tuple[float, float, float]:
        x, y, z = np.asarray(point) + move
        return float(x), float(y), float(z)

    if isinstance(part.radii, int | float):
        radii: float | tuple[float, float, float] = part.radii * grow
    else:
        a, b, c = part.radii
        radii = (a * grow, b * grow, c * grow)
    end = None if part.end is None else shift(part.end)
    return replace(part, center=shift(part.center), end=end, radii=radii)


def _inside(part: Part, where: tuple[Array, ...], extra: float) -> NDArray[np.bool_]:
    x, y, z = (w - np.float32(c) for w, c in zip(where, part.center, strict=True))
    if part.end is not None:
        axis = np.asarray(part.end, dtype=np.float32) - np.asarray(part.center, dtype=np.float32)
        along = np.clip((x * axis[0] + y * axis[1] + z * axis[2]) / float(axis @ axis), 0, 1)
        distance = (x - along * axis[0]) ** 2 + (y - along * axis[1]) ** 2 + (z - along * axis[2]) ** 2
        return np.asarray(distance < (float(part.radii) + extra) ** 2)  # type: ignore[arg-type]
    if part.pitch:
        c, s = np.float32(np.cos(np.radians(part.pitch))), np.float32(np.sin(np.radians(part.pitch)))
        y, z = c * y + s * z, c * z - s * y
    if part.yaw:
        c, s = np.float32(np.cos(np.radians(part.yaw))), np.float32(np.sin(np.radians(part.yaw)))
        x, y = c * x + s * y, c * y - s * x
    scaled = [np.abs(v) * np.float32(1 / (r + extra)) for v, r in zip((x, y, z), part.radii, strict=True)]  # type: ignore[arg-type]
    if part.power == 2.0:
        return np.asarray(scaled[0] ** 2 + scaled[1] ** 2 + scaled[2] ** 2 < 1)
    return np.asarray(sum(v**part.power for v in scaled) < 1)
