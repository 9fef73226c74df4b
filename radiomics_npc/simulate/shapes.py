"""Ellipsoids and capsules: where they lie after a patient's variation, and what is inside them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from radiomics_npc.simulate.fields import Array
from radiomics_npc.simulate.head import Part, Point
from radiomics_npc.simulate.variation import Variation

__all__ = ["ellipsoid_distance", "fit", "inside", "mirrored", "moved", "reach", "union"]


def ellipsoid_distance(where: tuple[Array, ...], center: Iterable[float], radii: Iterable[float]) -> Array:
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


def union(distances: Iterable[Array], smooth_mm: float) -> Array:
    """Smooth minimum: shapes flow into one another."""
    total = sum(np.exp(np.clip(-d / smooth_mm, -60, 60)) for d in distances)
    return np.asarray(-smooth_mm * np.log(total), dtype=np.float32)


def mirrored(part: Part) -> Part:
    """The twin on the right."""
    end = None if part.end is None else (-part.end[0], part.end[1], part.end[2])
    return replace(part, center=(-part.center[0], *part.center[1:]), end=end, yaw=-part.yaw)


def moved(part: Part, move: Iterable[float], grow: float | Point) -> Part:
    """The part moved by mm, and its radii multiplied."""
    step = np.asarray(list(move), dtype=np.float64)

    def shift(point: Point) -> Point:
        x, y, z = np.asarray(point) + step
        return float(x), float(y), float(z)

    factors = np.broadcast_to(grow, 3)
    if isinstance(part.radii, int | float):
        radii: float | Point = part.radii * float(factors[0])
    else:
        a, b, c = np.asarray(part.radii) * factors
        radii = (float(a), float(b), float(c))
    end = None if part.end is None else shift(part.end)
    return replace(part, center=shift(part.center), end=end, radii=radii)


def fit(part: Part, side: int, variation: Variation) -> Part:
    """A named part as this patient has it; ``part`` is already on its side (1 left, -1 right)."""
    v, k = variation, 0 if side > 0 else 1
    still = (0.0, 0.0, 0.0)
    match part.name:
        case "airway":
            shell = ((part.shell[0][0], part.shell[0][1] + v.wall_mm + 2.5 * max(0.0, 1 - v.airway)),)
            return replace(moved(part, still, (1.0, v.airway, v.airway**0.3)), shell=shell)
        case "recess":
            open_ = v.recess[k]
            shell = ((part.shell[0][0], part.shell[0][1] + 0.5 * v.wall_mm + 2.5 * max(0.0, 1 - open_)),)
            return replace(moved(part, still, (open_**0.5, open_, open_**0.3)), shell=shell)
        case "adenoid":
            more = v.adenoid_mm
            ahead = (v.adenoid_shift_mm, -0.5 * more, 0.12 * more)
            return moved(part, ahead, (1 + 0.02 * more, 1 + more / 9, 1 + 0.05 * more))
        case "tonsil":
            return moved(part, still, v.tonsils[k])
        case "turbinate":
            size = v.turbinates[k]
            return moved(part, still, (size, 1.0, size**0.5))
        case "septum":
            return moved(part, (v.septum_mm, 0, 0), 1.0)
        case "maxillary":
            return moved(part, still, v.maxillary[k])
        case "sphenoid":
            return moved(part, (0, 3 * (v.sphenoid[k] - 1), 0), v.sphenoid[k])
        case "parapharyngeal":
            return moved(part, still, (v.parapharyngeal_fat, v.parapharyngeal_fat, 1.0))
        case "jugular":
            return moved(part, still, v.jugulars[k])
        case "carotid":
            # the lower end leans to the middle, the upper end stays in its canal
            x, y, z = part.center
            return replace(part, center=(x - side * v.carotid_mm[k], y - 0.5 * v.carotid_mm[k], z))
        case "plexus":
            return moved(part, still, max(v.plexus[k], 1e-3))
    return part


def reach(part: Part, where: tuple[Array, ...], extra: float = 0.0) -> Array:
    """How far out points lie in an ellipsoid: 0 in the middle, 1 on the surface."""
    x, y, z = (w - np.float32(c) for w, c in zip(where, part.center, strict=True))
    if part.pitch:
        c, s = np.float32(np.cos(np.radians(part.pitch))), np.float32(np.sin(np.radians(part.pitch)))
        y, z = c * y + s * z, c * z - s * y
    if part.yaw:
        c, s = np.float32(np.cos(np.radians(part.yaw))), np.float32(np.sin(np.radians(part.yaw)))
        x, y = c * x + s * y, c * y - s * x
    scaled = [np.abs(v) * np.float32(1 / (r + extra)) for v, r in zip((x, y, z), part.radii, strict=True)]  # type: ignore[arg-type]
    if part.power == 2.0:
        return np.asarray(scaled[0] ** 2 + scaled[1] ** 2 + scaled[2] ** 2)
    return np.asarray(sum(v**part.power for v in scaled))


def inside(part: Part, where: tuple[Array, ...], extra: float) -> NDArray[np.bool_]:
    """Points in the part, made thicker by ``extra`` mm."""
    if part.end is None:
        return np.asarray(reach(part, where, extra) < 1)
    x, y, z = (w - np.float32(c) for w, c in zip(where, part.center, strict=True))
    axis = np.asarray(part.end, dtype=np.float32) - np.asarray(part.center, dtype=np.float32)
    along = np.clip((x * axis[0] + y * axis[1] + z * axis[2]) / float(axis @ axis), 0, 1)
    distance = (x - along * axis[0]) ** 2 + (y - along * axis[1]) ** 2 + (z - along * axis[2]) ** 2
    return np.asarray(distance < (float(part.radii) + extra) ** 2)  # type: ignore[arg-type]
