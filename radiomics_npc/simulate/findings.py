"""What is painted inside parts: fluid and swelling in sinuses, kinds of marrow, fat in glands, metal."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from radiomics_npc.simulate.fields import Array
from radiomics_npc.simulate.head import Part
from radiomics_npc.simulate.shapes import reach
from radiomics_npc.simulate.tissue import Tissue

__all__ = ["fill_cells", "line_sinus", "mix_glands", "mix_loose", "mix_marrow", "put_metal", "swell_cells"]

Labels = NDArray[np.uint8]
# x, y, z of teeth that are crowned, and what the void of one takes in mm
_TEETH: Final = (
    (23.5, -52, -30),
    (25.5, -43, -30),
    (27, -33, -30),
    (24, -51, -42),
    (26, -42, -42),
    (27, -33, -42),
)
_VOID_MM: Final = (4.0, 12.0)


def line_sinus(
    target: Labels,
    part: Part,
    where: tuple[Array, ...],
    wave: Array,
    back: Array,
    swelling_mm: float,
    fluid: float,
) -> None:
    """Swollen mucosa on the walls of a sinus, then fluid behind, where it stands in a patient who lies.

    Parameters
    ----------
    target : array of uint8
        Labels in the box of the part; changed in place.
    part : Part
        The sinus, an ellipsoid of air.
    where : three arrays
        Coordinates in the head of the table.
    wave : array
        Field of unit variance that makes the mucosa uneven.
    back : array
        Coordinate along gravity, growing to the back of the head.
    swelling_mm, fluid : float
        Mean thickness, and the share of the sinus below the fluid's level.
    """
    if not swelling_mm and not fluid:
        return
    out = reach(part, where) ** (1 / part.power)
    air = (out < 1) & (target == Tissue.AIR)
    if swelling_mm:
        depth = (1 - out) * np.float32(min(np.atleast_1d(part.radii)))
        target[air & (depth < swelling_mm * (1 + 0.8 * wave))] = Tissue.SWOLLEN
        air &= target == Tissue.AIR
    if fluid and air.any():
        level = np.quantile(back[air], 1 - fluid)
        target[air & (back >= level)] = Tissue.FLUID


def swell_cells(target: Labels, part: Part, where: tuple[Array, ...], wave: Array, share: float) -> None:
    """Ethmoid cells filled with swollen mucosa, some and not others."""
    if share:
        cells = (reach(part, where) < 1) & (target == Tissue.AIR) & (wave < ndtri(share))
        target[cells] = Tissue.SWOLLEN


def fill_cells(
    target: Labels, part: Part, where: tuple[Array, ...], fields: tuple[Array, Array], share: float
) -> None:
    """Mastoid cells filled with fluid, between walls of bone."""
    if share:
        wave, fine = fields
        full = (reach(part, where) < 1) & (target == Tissue.AIR_CELLS) & (wave < ndtri(share))
        target[full] = np.where(np.abs(fine[full]) < 0.9, Tissue.FLUID, Tissue.BONE)


def mix_loose(tissue: Labels, coarse: Array, fine: Array, fat: float) -> None:
    """Planes of fat between and inside the muscles, fat and muscle in patches of the loose tissue around."""
    bent = coarse + np.float32(0.25) * fine
    tissue[(np.abs(bent) < 0.10) & (tissue == Tissue.MUSCLE)] = Tissue.FAT
    if fat:
        loose = tissue == Tissue.CONNECTIVE
        tissue[loose & (bent < ndtri(fat))] = Tissue.FAT
        tissue[loose & (bent > ndtri(fat + 0.6 * (1 - fat)))] = Tissue.MUSCLE


def mix_marrow(tissue: Labels, wave: Array, red: float) -> None:
    """Marrow turns red or fatty in patches."""
    fatty, cellular = tissue == Tissue.MARROW, tissue == Tissue.RED_MARROW
    tissue[fatty & (wave < ndtri(red))] = Tissue.RED_MARROW
    tissue[cellular & (wave > ndtri(min(red + 0.4, 1.0)))] = Tissue.MARROW


def mix_glands(tissue: Labels, fine: Array, share: float) -> None:
    """Lobules of fat in salivary glands."""
    if share:
        tissue[(tissue == Tissue.GLAND) & (fine < ndtri(0.7 * share))] = Tissue.FAT


def put_metal(
    rng: np.random.Generator, tissue: Labels, where: tuple[Array, ...], wave: Array, count: int
) -> None:
    """Signal voids around crowned teeth, neighbors on one side of the mouth."""
    side, first = rng.choice((-1, 1)), int(rng.integers(len(_TEETH)))
    for number in range(count):
        x, y, z = _TEETH[(first + number) % len(_TEETH)]
        radius = np.float32(rng.uniform(*_VOID_MM))
        near = np.abs(where[2] - np.float32(z)) < 1.5 * radius
        distance = (where[0][near] - side * x) ** 2 + (where[1][near] - y) ** 2 + (where[2][near] - z) ** 2
        void = np.zeros(tissue.shape, dtype=bool)
        void[near] = np.sqrt(distance) < radius * (1 + 0.15 * wave[near])
        tissue[void & (tissue != Tissue.AIR)] = Tissue.METAL
