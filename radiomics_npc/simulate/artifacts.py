"""What goes wrong when a series is taken: ghosts, folding, uneven slices, air, metal, fat saturation.

Most series are clean; the shares below are those of a clinical routine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from radiomics_npc.settings import Sequence
from radiomics_npc.simulate.chances import Chances
from radiomics_npc.simulate.fields import Array, apply_separable, linear_matrix, smooth_noise
from radiomics_npc.simulate.tissue import Tissue

__all__ = ["CLEAN", "Faults", "add_ghosts", "draw_faults", "fat_left", "fold", "spoil_near_air_and_metal"]

Axes = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]

# part of the signal that comes from fat
_FAT: Final = {
    Tissue.FAT: 0.95, Tissue.MARROW: 0.85, Tissue.RED_MARROW: 0.40, Tissue.CONNECTIVE: 0.40,
    Tissue.GLAND: 0.25, Tissue.SKIN: 0.25, Tissue.TONGUE: 0.25,
}  # fmt: skip
_FAT_SATURATED: Final[dict[Sequence, float]] = {"t1": 0.01, "t2": 0.06, "ce_t1": 0.12}


@dataclass(frozen=True)
class Faults:
    """Faults of one series; the defaults are none.

    Parameters
    ----------
    fat_saturation : float
        Part of the fat signal that is suppressed where suppression works; 0 is off.
    ghost, ghost_shift : float
        Strength of copies along the phase direction (rows), and their distance as part of its field of view.
    phase_mm : float
        Field of view along the phase direction when it is cut below the head; 0 when not.
    uneven : float
        Standard deviation of the logarithm of the gain of each slice.
    susceptibility : float
        Part of the signal lost where air is next to tissue at the skull base.
    """

    fat_saturation: float = 0.0
    ghost: float = 0.0
    ghost_shift: float = 0.0
    phase_mm: float = 0.0
    uneven: float = 0.0
    susceptibility: float = 0.0


CLEAN: Final = Faults()


def draw_faults(rng: np.random.Generator, sequence: Sequence) -> Faults:
    """Draw the faults of one series."""
    sometimes = Chances(rng).sometimes
    return Faults(
        fat_saturation=sometimes(_FAT_SATURATED[sequence], 0.75, 0.97),
        ghost=sometimes(0.12, 0.02, 0.10),
        ghost_shift=float(rng.uniform(0.15, 0.5)),
        phase_mm=sometimes(0.04, 140, 160),
        uneven=sometimes(0.10, 0.02, 0.08),
        susceptibility=sometimes(0.15, 0.2, 0.6),
    )


def fat_left(rng: np.random.Generator, tissue: NDArray[np.uint8], axes: Axes, saturation: float) -> Array:
    """Factor on the signal of every voxel after fat saturation, which fails in places."""
    knots = tuple(np.linspace(a[0], a[-1], n) for a, n in zip(axes, (6, 9, 9), strict=True))
    failure = np.clip(0.5 * smooth_noise(rng, knots, 55.0) - 0.35, 0, 1)  # type: ignore[arg-type]
    works = apply_separable(1 - failure, *(linear_matrix(k, a) for k, a in zip(knots, axes, strict=True)))
    fat = np.zeros(len(Tissue), dtype=np.float32)
    fat[list(_FAT)] = list(_FAT.values())
    return np.asarray(1 - np.float32(saturation) * fat[tissue] * works)


def spoil_near_air_and_metal(
    signal: Array, tissue: NDArray[np.uint8], axes: Axes, susceptibility: float
) -> None:
    """Signal lost next to air in the middle of the head, and piled up around metal; changed in place."""
    limits = ((-25, 45), (-75, 30), (-45, 45))
    box = tuple(slice(*np.searchsorted(a, lim)) for a, lim in zip(axes, limits, strict=True))
    if susceptibility:
        air = ndimage.uniform_filter((tissue[box] == Tissue.AIR).astype(np.float32), (3, 7, 7))
        signal[box] *= 1 - susceptibility * np.minimum(1.6 * air, 1)
    metal = tissue == Tissue.METAL
    if metal.any():
        found = ndimage.find_objects(metal.astype(np.uint8))[0]
        around = tuple(slice(max(f.start - 6, 0), f.stop + 6) for f in found)
        near = ndimage.uniform_filter(metal[around].astype(np.float32), (3, 7, 7))
        signal[around] *= 1 + 1.5 * near * ~metal[around]


def add_ghosts(acquired: Array, faults: Faults) -> Array:
    """Faint copies of the head along the rows, as motion between excitations leaves them."""
    if not faults.ghost:
        return acquired
    shift = round(faults.ghost_shift * acquired.shape[2])
    copies = np.roll(acquired, shift, axis=2) + np.roll(acquired, -shift, axis=2)
    return np.asarray((1 - faults.ghost) * acquired + faults.ghost * copies)


def fold(acquired: Array, step_mm: float, phase_mm: float) -> Array:
    """What lies beyond the phase field of view comes in at the other side."""
    width = acquired.shape[2]
    kept = round(phase_mm / step_mm)
    if not phase_mm or kept >= width:
        return acquired
    first = (width - kept) // 2
    places = first + (np.arange(width) - first) % kept
    folded = np.zeros_like(acquired)
    for column, place in enumerate(places):
        folded[:, :, place] += acquired[:, :, column]
    return folded
