"""A tumor grown from the wall of the nasopharynx.

A front starts at a few points of the wall and runs with a speed that depends
on the tissue (fast in mucosa, slow in muscle, slower in bone unless the T
stage says that bone is invaded) and on a random field that makes it irregular.
The time at which the front arrives, cut where the wanted volume is reached, is the
tumor; so one arrival map gives the same tumor on every grid.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage

from radiomics_npc.simulate.acquisition import Series
from radiomics_npc.simulate.anatomy import Head
from radiomics_npc.simulate.fields import Array, apply_separable, blur_matrix, linear_matrix, smooth_noise
from radiomics_npc.simulate.tissue import Tissue

__all__ = ["INNER", "Growth", "Interior", "arrival_in", "contour", "cut", "draw_interior", "grow"]

# contours follow the inner boundary of the lesion, so the lesion is larger than its mask
INNER: Final = 1.25

# box around the nasopharynx that a tumor may fill, in mm of the scan frame, low and high along z, y, x
_BOX_MM: Final = ((-58.0, 62.0), (-62.0, 66.0), (-66.0, 66.0))
_STEP: Final = 2

T = Tissue
_SPEED: Final[dict[Tissue, tuple[float, float, float, float]]] = {
    # by T1, T2, T3, T4
    T.MUCOSA: (1.0, 1.0, 1.0, 1.0),
    T.LYMPHOID: (1.0, 1.0, 1.0, 1.0),
    T.AIR: (0.35, 0.40, 0.45, 0.45),
    T.CARTILAGE: (0.5, 0.6, 0.6, 0.6),
    T.FAT: (0.11, 0.30, 0.32, 0.42),
    T.CONNECTIVE: (0.11, 0.30, 0.32, 0.42),
    T.MUSCLE: (0.13, 0.30, 0.32, 0.42),
    T.BONE: (0.03, 0.03, 0.35, 0.45),
    T.MARROW: (0.04, 0.04, 0.70, 0.80),
    T.RED_MARROW: (0.04, 0.04, 0.70, 0.80),
    T.VEIN: (0.05, 0.10, 0.20, 0.50),
    T.CSF: (0.01, 0.01, 0.02, 0.30),
    T.NERVE: (0.01, 0.01, 0.02, 0.15),
    T.SWOLLEN: (0.30, 0.35, 0.40, 0.40),
    T.FLUID: (0.10, 0.12, 0.15, 0.20),
    T.GRAY: (0.01, 0.01, 0.01, 0.10),
    T.WHITE: (0.01, 0.01, 0.01, 0.10),
}
# the ways a tumor grows: factors on the speed in mucosa, air, soft tissue, bone and inside the skull
_HABITS: Final[dict[str, tuple[float, float, float, float, float]]] = {
    "mass": (1.0, 1.0, 1.0, 1.0, 1.0),
    "sheet": (1.2, 0.4, 0.45, 0.6, 0.6),
    "exophytic": (1.0, 1.8, 0.7, 0.7, 0.7),
    "lateral": (0.9, 0.8, 1.5, 0.8, 0.8),
    "upward": (0.9, 0.8, 0.8, 1.6, 1.6),
}
_HABIT_SHARES: Final[dict[str, tuple[float, float, float, float, float]]] = {
    "T1": (0.50, 0.30, 0.20, 0.0, 0.0),
    "T2": (0.45, 0.10, 0.10, 0.35, 0.0),
    "T3": (0.45, 0.0, 0.05, 0.15, 0.35),
    "T4": (0.40, 0.0, 0.0, 0.20, 0.40),
}
_KIND: Final = {
    **dict.fromkeys((T.MUCOSA, T.LYMPHOID, T.SWOLLEN, T.CARTILAGE), 0), T.AIR: 1,
    **dict.fromkeys((T.BONE, T.MARROW, T.RED_MARROW), 3),
    **dict.fromkeys((T.VEIN, T.CSF, T.NERVE, T.GRAY, T.WHITE), 4),
}  # fmt: skip
_OTHER_SPEED: Final = (0.03, 0.06, 0.10, 0.15)


@dataclass(frozen=True, eq=False)
class Growth:
    """When the front arrives, on an even grid (axes z, y, x in the frame of the scan).

    ``log_arrival`` is log(1 + time), with time in mm of way through mucosa.
    """

    log_arrival: Array
    axes: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]


def grow(
    rng: np.random.Generator, head: Head, t_stage: str, roughness: float, habit: str | None = None
) -> Growth:
    """Let the front run.

    Parameters
    ----------
    rng : Generator
    head : Head
    t_stage : str
        T0 to T4; T0 grows as T1.
    roughness : float
        Standard deviation of the logarithm of the speed; higher is more irregular.
    habit : str, optional
        "mass", "sheet" (along the mucosa), "exophytic", "lateral" (parapharyngeal) or "upward" (skull base);
        drawn by T stage if not given.
    """
    box = tuple(
        slice(*np.searchsorted(axis, limits)) for axis, limits in zip(head.axes, _BOX_MM, strict=True)
    )
    box = tuple(slice(s.start, s.stop, _STEP) for s in box)
    axes = (head.axes[0][box[0]], head.axes[1][box[1]], head.axes[2][box[2]])
    column = max(int(t_stage[1]), 1) - 1
    habit = habit or str(rng.choice(list(_HABITS), p=_HABIT_SHARES[f"T{column + 1}"]))
    speeds = np.array(
        [_SPEED.get(t, _OTHER_SPEED)[column] * _HABITS[habit][_KIND.get(t, 2)] for t in Tissue], np.float32
    )
    x, y, z = (w[box] for w in head.where)
    speed = speeds[head.tissue[box]]
    # air beyond the choanae, as in the nose and the sinuses, is not filled as easily as the pharynx
    far_air = (head.tissue[box] == T.AIR) & ((y < -14) | (np.abs(x) > 20))
    speed[far_air] *= 0.3
    speed *= np.exp(roughness * smooth_noise(rng, axes, 7.0))
    image = sitk.GetImageFromArray(speed)
    image.SetSpacing([float(a[1] - a[0]) for a in axes[::-1]])
    seeds = _seeds(rng, (x, y, z))
    march = sitk.FastMarching(image, trialPoints=seeds, stoppingValue=1e4)
    arrival = np.minimum(sitk.GetArrayFromImage(march), 1e3)
    return Growth(np.log1p(arrival).astype(np.float32), axes)


def _seeds(rng: np.random.Generator, where: tuple[Array, Array, Array]) -> list[tuple[int, int, int]]:
    """Points of the wall: the lateral recess of one side first, then others on that side or across."""
    side = rng.choice((-1, 1))
    points = [(side * rng.uniform(8, 14), rng.uniform(5, 9), rng.uniform(-4, 8))]
    for _ in range(int(rng.integers(2, 5))):
        points.append((side * rng.uniform(-12, 14), rng.uniform(4, 10), rng.uniform(-12, 11)))
    found = []
    for point in points:
        distance = sum((w - p) ** 2 for w, p in zip(where, point, strict=True))
        k, j, i = np.unravel_index(int(np.argmin(distance)), distance.shape)
        found.append((int(i), int(j), int(k)))
    return found


def contour(
    rng: np.random.Generator, growth: Growth, series: Series, volume_cm3: float, unsteadiness: float = 0.07
) -> NDArray[np.bool_]:
    """Draw the contour of one series: slice by slice on its own grid, with a hand that is not quite steady.

    Parameters
    ----------
    rng : Generator
    growth : Growth
    series : Series
    volume_cm3 : float
        Wanted volume of the mask, reached to a voxel.
    unsteadiness : float
        Standard deviation of the logarithm of the arrival time, redrawn for each series.

    Returns
    -------
    array of bool, shape (slices, rows, columns)
    """
    z, y, x = (a + m for a, m in zip(series.axes, series.motion_mm[::-1], strict=True))
    inner = [slice(*np.searchsorted(t, (a[0], a[-1]))) for t, a in zip((z, y, x), growth.axes, strict=True)]
    arrival = growth.log_arrival + unsteadiness * smooth_noise(rng, growth.axes, 7.0)
    fine = apply_separable(
        arrival,
        blur_matrix(growth.axes[0], z[inner[0]], 0.35 * series.thickness_mm),
        linear_matrix(growth.axes[1], y[inner[1]]),
        linear_matrix(growth.axes[2], x[inner[2]]),
    )
    voxels = max(1, round(volume_cm3 * 1000 / float(np.prod(series.spacing_mm))))
    inside = cut(fine, voxels)
    mask = np.zeros((series.slices, series.matrix, series.matrix), dtype=bool)
    mask[tuple(inner)] = inside
    return mask


def cut(arrival: Array, voxels: int) -> NDArray[np.bool_]:
    """The ``voxels`` reached first, in one piece: what is left out as an island is made up for."""
    # the earliest voxels in order; more than will ever be asked for
    many = min(4 * voxels, arrival.size - 1)
    ordered = np.sort(np.partition(arrival, many, axis=None)[: many + 1])
    best, asked = voxels, voxels
    found = np.zeros(arrival.shape, dtype=bool)
    for _ in range(6):
        inside = _largest(arrival < ordered[min(asked, many)])
        missing = voxels - int(inside.sum())
        if abs(missing) < best:
            found, best = inside, abs(missing)
        if missing <= 0.01 * voxels:
            break
        asked += missing
    return found


def _largest(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    labels, count = ndimage.label(inside, ndimage.generate_binary_structure(3, 2))
    if count == 1:
        return inside
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return np.asarray(labels == sizes.argmax())


@dataclass(frozen=True, eq=False)
class Interior:
    """The tumor in the tissue grid: where it lies, and how it varies inside.

    ``inside`` is boolean and ``mottle`` and ``necrosis`` (0 to 1) are float arrays over ``box`` of the head's
    grid; ``mottle`` is the relative change of T2, and with the opposite sign of uptake.
    """

    box: tuple[slice, slice, slice]
    inside: NDArray[np.bool_]
    mottle: Array
    necrosis: Array


def _depth(inside: NDArray[np.bool_], step: list[float]) -> Array:
    """Distance from the surface, 1 at the deepest point."""
    depth = np.zeros(inside.shape, dtype=np.float32)
    filled = ndimage.find_objects(inside.astype(np.uint8))[0]
    around = tuple(slice(max(f.start - 1, 0), f.stop + 1) for f in filled)
    depth[around] = ndimage.distance_transform_edt(inside[around], sampling=step)
    return depth / max(float(depth.max()), 1e-6)


def arrival_in(head: Head, growth: Growth) -> tuple[tuple[slice, slice, slice], Array]:
    """The box of the head's grid that the front may fill, and its (log) arrival there."""
    box = tuple(
        slice(*np.searchsorted(axis, (a[0], a[-1] + 1e-6)))
        for axis, a in zip(head.axes, growth.axes, strict=True)
    )
    matrices = (linear_matrix(g, a[b]) for g, a, b in zip(growth.axes, head.axes, box, strict=True))
    return (box[0], box[1], box[2]), apply_separable(growth.log_arrival, *matrices)


MOTTLE: Final = 0.20
MOTTLE_GROWTH: Final = 0.55
NECROSIS_FRACTION: Final = 0.03


def draw_interior(
    rng: np.random.Generator, head: Head, growth: Growth, volume_cm3: float, heterogeneity: float
) -> Interior:
    """Fill the tumor.

    The latent ``heterogeneity`` z sets the spread of a smooth field, ``0.20 exp(0.55 z)`` (at most
    0.6), its structure size (5 to 8 mm) and the share of necrosis in the core, ``0.03 exp(0.8 z)``
    (at most 0.3).

    Parameters
    ----------
    rng : Generator
    head, growth : Head, Growth
    volume_cm3 : float
    heterogeneity : float
        Standard normal.
    """
    box, fine = arrival_in(head, growth)
    axes = (head.axes[0][box[0]], head.axes[1][box[1]], head.axes[2][box[2]])
    step = [a[1] - a[0] for a in axes]
    voxels = min(round(volume_cm3 * 1000 / float(np.prod(step))), fine.size - 1)
    inside = cut(fine, voxels)
    scale = 6.5 * float(np.exp(0.12 * np.clip(heterogeneity, -2, 2)))
    field = smooth_noise(rng, axes, scale)
    # the spread asked for is the spread inside this tumor, be it small
    field = (field - field[inside].mean()) / max(float(field[inside].std()), 0.3)
    spread = min(MOTTLE * float(np.exp(MOTTLE_GROWTH * heterogeneity)), 0.6)
    share = min(NECROSIS_FRACTION * float(np.exp(0.8 * heterogeneity)), 0.3)
    core = _depth(inside, step) + 0.25 * smooth_noise(rng, axes, 5.0)
    limit = np.quantile(core[inside], 1 - share)
    necrosis = np.clip((core - limit) / 0.08 + 0.5, 0, 1) * inside
    return Interior(box, inside, np.asarray(spread * field, np.float32), necrosis.astype(np.float32))
