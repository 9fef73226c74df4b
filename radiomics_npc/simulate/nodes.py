"""Lymph nodes: the small ones that everybody has, and those that hold tumor."""

from __future__ import annotations

import numpy as np

from radiomics_npc.simulate.head import Part
from radiomics_npc.simulate.tissue import Tissue

__all__ = ["enlarged_nodes", "normal_nodes"]

_SOFT = (Tissue.FAT, Tissue.CONNECTIVE, Tissue.MUSCLE, Tissue.GLAND)
_NECROTIC = 0.35


def normal_nodes(rng: np.random.Generator) -> tuple[Part, ...]:
    """Retropharyngeal, jugular, posterior, submandibular and parotid nodes of 2 to 5 mm half width."""
    parts = []
    for side in (-1, 1):
        if rng.random() < 0.6:
            a = rng.uniform(1.5, 3.2)
            place = (side * rng.uniform(15, 20), rng.uniform(16, 20), rng.uniform(-16, 2))
            parts.append(Part(Tissue.NODE, place, (a, a, a * rng.uniform(1.2, 2.4)), over=_SOFT))
        # middle and half spread of x, y, z; chance of each of two to five
        for (x, y, z), (dx, dy, dz), most in (
            ((39, 22, -42), (5, 9, 18), 5),
            ((44, 42, -45), (5, 6, 15), 3),
            ((37, -10, -56), (4, 10, 6), 3),
            ((55, 16, -22), (5, 9, 14), 2),
        ):
            for _ in range(int(rng.integers(0, most + 1))):
                a, b = rng.uniform(1.8, 4.2, 2)
                place = (
                    side * (x + dx * rng.uniform(-1, 1)),
                    y + dy * rng.uniform(-1, 1),
                    z + dz * rng.uniform(-1, 1),
                )
                radii = (float(a), float(b), float(max(a, b) * rng.uniform(1.1, 2.2)))
                parts.append(Part(Tissue.NODE, place, radii, over=_SOFT))
    return tuple(parts)


def enlarged_nodes(rng: np.random.Generator, n_stage: str) -> tuple[Part, ...]:
    """Metastatic lymph nodes, retropharyngeal and along the jugular vein, as the N stage asks for.

    N0 has none, N1 one side, N2 both sides, N3 larger ones. They lie outside the tumor mask. A
    third of the larger ones is necrotic.
    """
    grade = int(n_stage[1])
    sides = {0: (), 1: (int(rng.choice((-1, 1))),)}.get(grade, (-1, 1))
    parts = []
    for side in sides:
        size = rng.uniform(5, 8) if grade < 3 else rng.uniform(8, 14)
        if rng.random() < 0.75:
            place = (side * rng.uniform(16, 19), rng.uniform(17, 21), rng.uniform(-16, 2))
            parts.append(_metastasis(rng, place, (0.55 * size, 0.6 * size, size)))
        for _ in range(int(rng.integers(1, 4))):
            a, b, c = size * rng.uniform(0.8, 1.3, 3)
            behind = rng.random() < 0.25
            y = rng.uniform(36, 46) if behind else rng.uniform(16, 32)
            place = (side * rng.uniform(36, 44), y, rng.uniform(-58, -20))
            parts.append(_metastasis(rng, place, (float(a), float(b), float(c * rng.uniform(0.9, 1.4)))))
    return tuple(parts)


def _metastasis(
    rng: np.random.Generator, place: tuple[float, float, float], radii: tuple[float, float, float]
) -> Part:
    smallest = min(radii)
    if smallest < 3.5 or rng.random() > _NECROTIC:
        return Part(Tissue.METASTASIS, place, radii)
    rim = smallest * rng.uniform(0.2, 0.6)
    a, b, c = (r - rim for r in radii)
    return Part(Tissue.NECROSIS, place, (a, b, c), shell=((Tissue.METASTASIS, rim),))
