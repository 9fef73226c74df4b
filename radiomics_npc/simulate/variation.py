"""How one patient differs from the common head: every distribution in one place.

The table of :mod:`radiomics_npc.simulate.head` is one open, healthy nasopharynx. What
may be taken for a tumor, or hide one, is drawn here: adenoid tissue, a closed
recess, swollen mucosa, fluid, marrow, vessels, uptake.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from radiomics_npc.simulate.chances import Chances, Sides
from radiomics_npc.simulate.tissue import Tissue

__all__ = ["COMMON", "Variation", "draw_variation"]


@dataclass(frozen=True)
class Variation:
    """Anatomy and properties of one patient; the defaults are the common head.

    Pairs are (left, right). Factors multiply a size, shares lie between 0 and 1.

    Parameters
    ----------
    airway : float
        Factor on the depth of the nasopharynx.
    recess : pair
        Factor on the lateral recess; near 0 its walls touch.
    adenoid_mm, adenoid_shift_mm : float
        Tissue of the roof and back wall beyond the common 9 mm, and how far it leans to the left.
    wall_mm : float
        Mucosa of the pharynx beyond the common 2.3 mm.
    tonsils, turbinates : pair
        Factors.
    septum_mm : float
        Deviation of the nasal septum to the left.
    maxillary, sphenoid : pair
        Factors on the size of the sinuses.
    swelling_mm, maxillary_fluid, sphenoid_fluid : pair
        Thickened mucosa of the maxillary sinus; shares of the sinuses that hold fluid.
    ethmoid_swelling, mastoid_fluid : float, pair
        Shares.
    cyst_mm : float
        Radius of a cyst in the roof's midline (Tornwaldt); 0 is none.
    secretion : float
        Share of the nasopharynx that holds mucus.
    red_marrow, gland_fat, loose_fat : float
        Shares.
    parapharyngeal_fat, subcutaneous_fat : float
        Factors.
    carotid_mm : pair
        How far the internal carotid leans to the middle below the skull base.
    jugulars, plexus : pair
        Factors on the jugular veins and the pterygoid venous plexus (0 is none).
    metal : int
        Teeth with metal.
    uptake, vein_uptake, flow : float
        Factors on the gadolinium of every tissue and of veins, and on the signal of arteries.
    tumor_t2, tumor_uptake, mucosa_t2, fluid_t1, muscle_t2 : float
        Factors on what the names say.
    """

    airway: float = 1.0
    recess: Sides = (1.0, 1.0)
    adenoid_mm: float = 0.0
    adenoid_shift_mm: float = 0.0
    wall_mm: float = 0.0
    tonsils: Sides = (1.0, 1.0)
    turbinates: Sides = (1.0, 1.0)
    septum_mm: float = 0.0
    maxillary: Sides = (1.0, 1.0)
    sphenoid: Sides = (1.0, 1.0)
    swelling_mm: Sides = (0.0, 0.0)
    maxillary_fluid: Sides = (0.0, 0.0)
    sphenoid_fluid: Sides = (0.0, 0.0)
    ethmoid_swelling: float = 0.0
    mastoid_fluid: Sides = (0.0, 0.0)
    cyst_mm: float = 0.0
    secretion: float = 0.0
    red_marrow: float = 0.1
    gland_fat: float = 0.0
    loose_fat: float = 0.0
    parapharyngeal_fat: float = 1.0
    subcutaneous_fat: float = 1.0
    carotid_mm: Sides = (0.0, 0.0)
    jugulars: Sides = (1.0, 1.0)
    plexus: Sides = (0.0, 0.0)
    metal: int = 0
    uptake: float = 1.0
    vein_uptake: float = 1.0
    flow: float = 1.0
    tumor_t2: float = 1.0
    tumor_uptake: float = 1.0
    mucosa_t2: float = 1.0
    fluid_t1: float = 1.0
    muscle_t2: float = 1.0

    @property
    def properties(self) -> dict[str, dict[Tissue, float]]:
        """Factors on the tissue table, by its columns."""
        t = Tissue
        mucosa = {t.MUCOSA: self.mucosa_t2, t.LYMPHOID: self.mucosa_t2**0.5, t.SWOLLEN: self.mucosa_t2}
        tumor = {t.TUMOR: self.tumor_t2, t.METASTASIS: self.tumor_t2}
        return {
            "density": {t.ARTERY: self.flow},
            "t1_ms": {t.FLUID: self.fluid_t1},
            "t2_ms": {**mucosa, **tumor, t.MUSCLE: self.muscle_t2, t.FLUID: self.fluid_t1**0.8},
            "gadolinium_mM": {
                **dict.fromkeys(Tissue, self.uptake),
                t.VEIN: self.uptake * self.vein_uptake,
                t.TUMOR: self.uptake * self.tumor_uptake,
                t.METASTASIS: self.uptake * self.tumor_uptake,
            },
        }


COMMON: Final = Variation()


def draw_variation(rng: np.random.Generator, age: float | None = None) -> Variation:
    """Draw what one patient has.

    Parameters
    ----------
    rng : Generator
    age : float, optional
        In years: adenoids are large in the young and marrow is red in them. Drawn if not given.

    Examples
    --------
    >>> variation = draw_variation(np.random.default_rng(1), age=10)
    >>> variation.adenoid_mm > 0
    True
    """
    if age is None:
        age = float(rng.triangular(8, 45, 85))
    chances = Chances(rng)
    youth = float(np.clip((40 - age) / 25, 0, 1))
    congestion, cycle = chances.spread(0.2), chances.spread(0.2, 0.6, 1.6)
    lean = float(np.clip(rng.normal(), -2, 2))
    # every part goes on in the same stream: another order would be other patients
    return Variation(
        turbinates=(congestion * cycle, congestion / cycle),
        **_airways(chances, youth),
        **_mucosal_findings(chances),
        **_marrow_and_fat(chances, youth, lean),
        **_vessels_and_metal(chances),
        **_signal(chances),
    )


def _airways(chances: Chances, youth: float) -> dict[str, Any]:
    """Size of the nasopharynx, of what narrows it, and of the sinuses."""
    rng = chances.rng

    def recess() -> float:
        kind = rng.random()
        return float(rng.uniform(0.1, 0.25) if kind < 0.3 else rng.uniform(0.3, 1.2))

    def adenoid() -> float:
        return float(
            min(rng.exponential(2.2) + youth * rng.uniform(0, 10) + chances.sometimes(0.08, 2, 8), 15)
        )

    return {
        "airway": float(rng.uniform(0.3, 1.1)),
        "recess": (recess(), recess()),
        "adenoid_mm": adenoid(),
        "adenoid_shift_mm": float(rng.normal(0, 2)),
        "wall_mm": float(min(rng.exponential(0.8), 3) - 0.6),
        "tonsils": chances.both(0.2 + 0.1 * youth, 0.12),
        "septum_mm": float(np.clip(rng.normal(0, 1.8), -4, 4)),
        "maxillary": chances.both(0.10, 0.06),
        "sphenoid": chances.both(0.25, 0.2),
    }


def _mucosal_findings(chances: Chances) -> dict[str, Any]:
    """Swelling, fluid, a cyst, mucus: what is bright in T2 and no tumor."""
    return {
        "swelling_mm": chances.sometimes_both(0.35, 1, 9),
        "maxillary_fluid": chances.sometimes_both(0.10, 0.1, 0.95),
        "sphenoid_fluid": chances.sometimes_both(0.10, 0.3, 1.0),
        "ethmoid_swelling": chances.sometimes(0.4, 0.05, 0.8),
        "mastoid_fluid": chances.sometimes_both(0.22, 0.2, 1.0),
        "cyst_mm": chances.sometimes(0.05, 2, 5),
        "secretion": chances.sometimes(0.08, 0.1, 0.5),
    }


def _marrow_and_fat(chances: Chances, youth: float, lean: float) -> dict[str, Any]:
    rng = chances.rng
    return {
        "red_marrow": float(np.clip(rng.beta(1.3, 2.2) + 0.5 * youth, 0, 0.98)),
        "gland_fat": float(rng.beta(1.2, 2.5)),
        "loose_fat": float(rng.uniform(0.08, 0.5)),
        "parapharyngeal_fat": chances.spread(0.28) * float(np.exp(0.12 * lean)),
        "subcutaneous_fat": chances.spread(0.2) * float(np.exp(0.25 * lean)),
    }


def _vessels_and_metal(chances: Chances) -> dict[str, Any]:
    rng = chances.rng
    return {
        "carotid_mm": chances.sometimes_both(0.15, 2, 9),
        "jugulars": chances.both(0.1, 0.25),
        "plexus": chances.both(0.5, 0.3) if rng.random() < 0.6 else (0.0, 0.0),
        "metal": int(rng.integers(1, 5)) if rng.random() < 0.15 else 0,
    }


def _signal(chances: Chances) -> dict[str, Any]:
    """Factors on contrast medium, flow and relaxation."""
    rng = chances.rng
    return {
        "uptake": chances.spread(0.07, 0.85, 1.2),
        "vein_uptake": chances.spread(0.4),
        "flow": float(rng.uniform(0.5, 9)) if rng.random() < 0.3 else 1.0,
        "tumor_t2": chances.spread(0.06, 0.85, 1.15),
        "tumor_uptake": chances.spread(0.06, 0.85, 1.2),
        "mucosa_t2": chances.spread(0.10, 0.92, 1.3),
        "fluid_t1": float(rng.uniform(0.25, 0.6)) if rng.random() < 0.3 else chances.spread(0.2, 0.7, 1.5),
        "muscle_t2": chances.spread(0.06, 0.85, 1.15),
    }
