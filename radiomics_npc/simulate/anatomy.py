"""A schematic head of one patient as a map of tissues.

The parts of :mod:`radiomics_npc.simulate.head` are implicit shapes. They are
evaluated in coordinates that are scaled, turned and bent by smooth random
fields, so that no two patients, and no two sides, are the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from radiomics_npc.simulate.fields import Array, apply_separable, linear_matrix, smooth_noise
from radiomics_npc.simulate.findings import (
    fill_cells,
    line_sinus,
    mix_glands,
    mix_loose,
    mix_marrow,
    put_metal,
    swell_cells,
)
from radiomics_npc.simulate.head import CAVITIES, DEEP_PARTS, OUTER_PARTS, OUTLINE, Part
from radiomics_npc.simulate.shapes import ellipsoid_distance, fit, inside, mirrored, moved, union
from radiomics_npc.simulate.tissue import Tissue
from radiomics_npc.simulate.variation import COMMON, Variation

__all__ = ["EXTENT_MM", "Head", "build_head"]

IN_PLANE_MM = 1.0
THROUGH_PLANE_MM = 1.4
_COARSE_MM = 4.5
_MARGIN_MM = 7.0
EXTENT_MM = ((-112.0, 112.0), (-90.0, 90.0))

Axes = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]
Box = tuple[slice, slice, slice]
Range = tuple[float, float]
Labels = NDArray[np.uint8]


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
    variation : Variation
    """

    tissue: NDArray[np.uint8]
    axes: Axes
    where: tuple[Array, Array, Array]
    fine: Array
    coarse: Array
    variation: Variation = COMMON


def build_head(
    rng: np.random.Generator,
    z_range: Range,
    nodes: Iterable[Part] = (),
    variation: Variation = COMMON,
    extent: tuple[Range, Range] = EXTENT_MM,
) -> Head:
    """Draw a head.

    Parameters
    ----------
    rng : Generator
    z_range : tuple
        From where to where along z, in mm from the nasopharynx.
    nodes : iterable of Part
        What this patient has beyond the common table, as lymph nodes.
    variation : Variation
        What this patient has in another way than the common table.
    extent : two tuples
        From where to where along y and along x.

    Returns
    -------
    Head
    """
    (y_low, y_high), (x_low, x_high) = extent
    axes = (
        np.arange(z_range[0], z_range[1] + THROUGH_PLANE_MM, THROUGH_PLANE_MM),
        np.arange(y_low, y_high + 1, IN_PLANE_MM),
        np.arange(x_low, x_high + 1, IN_PLANE_MM),
    )
    painter = _Painter(rng, axes, variation)
    painter.paint_outside()
    painter.paint(OUTER_PARTS)
    painter.paint(nodes)
    painter.paint_inside_skull()
    painter.paint(DEEP_PARTS)
    painter.paint(_cyst(variation))
    painter.change_inside()
    return Head(painter.tissue, axes, painter.where, painter.fine, painter.coarse, variation)


def _cyst(variation: Variation) -> tuple[Part, ...]:
    r = variation.cyst_mm
    return (Part(Tissue.FLUID, (0, 8 - 0.5 * variation.adenoid_mm, 7), (r, r, r)),) if r else ()


class _Painter:
    """Paints one patient's parts into one tissue map."""

    def __init__(self, rng: np.random.Generator, axes: Axes, variation: Variation) -> None:
        self.rng = rng
        self.variation = variation
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
        self.wave = self._full(smooth_noise(rng, self._coarse, 8.0))
        self.fine = smooth_noise(rng, axes, 2.0)
        self.coarse = smooth_noise(rng, axes, 9.0)

    def _draw_pose(self) -> None:
        """Size and small rotations; the rows of ``matrix`` lead from the scan into the table's head."""
        pitch, roll, yaw = np.radians(np.clip(self.rng.normal(0, (4.5, 2.0, 3.0)), -12, 12))
        size = 1 / np.clip(self.rng.normal(1, 0.04, 3) * self.rng.normal(1, 0.025), 0.88, 1.1)
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
            bent.append(np.asarray(row + 2.6 * wide + 0.9 * narrow, dtype=np.float32))
        return bent[0], bent[1], bent[2]

    def _full(self, coarse: Array) -> Array:
        return apply_separable(np.asarray(coarse, dtype=np.float32), *self._finer)

    def paint_outside(self) -> None:
        """Skin, the fat below it, and loose tissue for what no part will cover."""
        # no two outlines are the same, nor the two sides of one
        shapes = [(self.rng.normal(c, 1.3), self.rng.normal(1, 0.025, 3) * r) for c, r in OUTLINE]
        distances = [ellipsoid_distance(self.where_coarse, c, r) for c, r in shapes]
        self.depth = self._full(-union(distances, 5.0))
        self.tissue[self.depth > 0] = Tissue.SKIN
        # thick in the cheeks, thinner at the sides, more or less with the patient
        x, y, _ = self.where_coarse
        lean = float(np.exp(self.rng.normal(np.log(3.8), 0.3))) * self.variation.subcutaneous_fat
        cheek = 1.6 * np.exp(-(((y + 58) / 26) ** 2)) + 0.8 * np.exp(-((x / 40) ** 2) - ((y - 90) / 30) ** 2)
        self.below_fat = self._full(-union(distances, 5.0) - 1.8 - lean * (0.8 + cheek))
        self.tissue[self.depth > 1.8] = Tissue.FAT
        self.tissue[self.below_fat > 1.5] = Tissue.CONNECTIVE

    def paint(self, parts: Iterable[Part]) -> None:
        """Paint parts in order, each a little moved and resized."""
        for part in parts:
            for side in (1, -1) if part.mirror else (1,):
                placed = mirrored(part) if side < 0 else part
                self._paint_one(fit(placed, side, self.variation), side)

    def _paint_one(self, part: Part, side: int) -> None:
        move = self.rng.normal(0, 0.9 * part.jitter, 3)
        grow = float(np.clip(self.rng.normal(1, 0.06 * part.jitter), 0.8, 1.2))
        placed = moved(part, move, grow)
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
            target[inside(placed, where, extra) & allowed] = tissue
        self._fill(placed, side, box, where, target)

    def _fill(self, part: Part, side: int, box: Box, where: tuple[Array, ...], target: Labels) -> None:
        """Fluid and swollen mucosa in what was just painted."""
        v, k, wave = self.variation, 0 if side > 0 else 1, self.wave[box]
        back = np.broadcast_to(self.axes[1][box[1]][None, :, None], target.shape)
        match part.name:
            case "maxillary":
                line_sinus(target, part, where, wave, back, v.swelling_mm[k], v.maxillary_fluid[k])
            case "sphenoid":
                line_sinus(target, part, where, wave, back, 0.4 * v.swelling_mm[k], v.sphenoid_fluid[k])
            case "airway":
                line_sinus(target, part, where, wave, back, 0.0, v.secretion)
            case "ethmoid":
                swell_cells(target, part, where, wave, v.ethmoid_swelling)
            case "mastoid":
                fill_cells(target, part, where, (wave, self.fine[box]), v.mastoid_fluid[k])

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
        distances = (ellipsoid_distance(self.where_coarse, c, r) for c, r in CAVITIES)
        depth = self._full(-union(distances, 3.0))
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
        label = np.where(phase > 0.985, Tissue.CSF, Tissue.GRAY)
        label[(phase < -0.55) | ((inside > 14) & (phase < 0.8) & (radius < 30))] = Tissue.WHITE
        label[(inside < 2.0) | ((y > 68) & (np.abs(x) < 0.8))] = Tissue.CSF
        self.tissue[region] = label

    def change_inside(self) -> None:
        """Loose tissue, muscles, marrow, glands and teeth as this patient has them."""
        v = self.variation
        mix_loose(self.tissue, self.coarse, self.fine, v.loose_fat)
        mix_marrow(self.tissue, self.wave, v.red_marrow)
        mix_glands(self.tissue, self.fine, v.gland_fat)
        if v.metal:
            put_metal(self.rng, self.tissue, self.where, self.wave, v.metal)
