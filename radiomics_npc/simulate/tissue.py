"""Tissues and what MRI sees of them: proton density, T1 and T2 at any field, uptake of gadolinium.

T1 and T2 in ms at 1.5 and 3 T:

- muscle T1, fat and fatty marrow: Gold G.E. et al., AJR 2004; 183:343 (muscle 1130/1420 and 35/32,
  fat 288/371 and 165/133, marrow 288/365 and 165/133); muscle T2 Stanisz G.J. et al., Magn Reson Med
  2005; 54:507 (44/50), between the two; cartilage, blood and nerve from Stanisz
  (cartilage 1024/1168 and 30/27, blood 1441/1932 and 290/275).
- gray and white matter: T1 at 1.5 T Rooney W.D. et al., Magn Reson Med 2007; 57:308 (1188, 656), at 3 T
  and T2 Wansapura J.P. et al., J Magn Reson Imaging 1999; 9:531 (1331/110, 832/80); T2 at 1.5 T
  Stanisz (95, 72). Cerebrospinal fluid: Rooney, T1 about 4300 at every field.
- red (cellular) marrow: de Bazelaire C.M.J. et al., Radiology 2004; 230:652 (549/586 and 49/49).
- cortical bone, teeth and air give no signal at these echo times.
- mucosa, glands, loose connective tissue, lymph nodes and the tumor: no agreed values; they are set
  inside the spread of Bottomley P.A. et al., Med Phys 1987; 14:1 (normal and malignant tissue) so that
  the tumor looks as the data set's authors describe it: equal or slightly high on T1, high on T2
  but lower than mucosa, clear enhancement.

T2 of fat and marrow in the table is shorter than published, and those of the tumor, lymphoid tissue and lymph
nodes were set after looking at ten real T2 slices.

Between and below the two fields T1 follows a power of the field, as in
Bottomley P.A. et al., Med Phys 1984; 11:425.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Final, NamedTuple

import numpy as np

from radiomics_npc.simulate.fields import Array

__all__ = ["PROPERTIES", "Properties", "Tissue", "tissue_table"]


class Tissue(IntEnum):
    """Labels of the tissue map.

    ``NODE`` is a normal lymph node and ``METASTASIS`` one that holds tumor; ``NECROSIS`` lies inside the
    tumor or a metastasis; ``FLUID`` stands in sinuses, mastoid and middle ear; ``SWOLLEN`` is
    edematous mucosa; ``METAL`` is that of teeth and gives no signal.
    """

    AIR = 0
    SKIN = 1
    FAT = 2
    MUSCLE = 3
    BONE = 4
    MARROW = 5
    RED_MARROW = 6
    MUCOSA = 7
    GLAND = 8
    GRAY = 9
    WHITE = 10
    CSF = 11
    VITREOUS = 12
    LENS = 13
    ARTERY = 14
    VEIN = 15
    CARTILAGE = 16
    TONGUE = 17
    LYMPHOID = 18
    NERVE = 19
    AIR_CELLS = 20
    NODE = 21
    DISC = 22
    CONNECTIVE = 23
    TUMOR = 24
    NECROSIS = 25
    METASTASIS = 26
    FLUID = 27
    SWOLLEN = 28
    METAL = 29


class Properties(NamedTuple):
    """Proton density (water = 1), T1 and T2 in ms at (1.5, 3) T, gadolinium in mmol/l, texture.

    ``texture`` is the standard deviation of the signal inside the tissue, as a fraction.
    """

    density: float
    t1_ms: tuple[float, float]
    t2_ms: tuple[float, float]
    gadolinium_mM: float
    texture: float


_NONE = ((1000.0, 1000.0), (1.0, 1.0))

PROPERTIES: Final[dict[Tissue, Properties]] = {
    Tissue.AIR: Properties(0.0, *_NONE, 0.0, 0.0),
    Tissue.SKIN: Properties(0.65, (900, 1050), (45, 42), 0.15, 0.10),
    Tissue.FAT: Properties(0.90, (288, 371), (120, 110), 0.01, 0.09),
    Tissue.MUSCLE: Properties(0.78, (1000, 1400), (42, 40), 0.05, 0.10),
    Tissue.BONE: Properties(0.06, (600, 700), (8, 8), 0.0, 0.30),
    Tissue.MARROW: Properties(0.70, (310, 390), (100, 90), 0.02, 0.10),
    Tissue.RED_MARROW: Properties(0.70, (480, 540), (60, 55), 0.06, 0.10),
    Tissue.MUCOSA: Properties(0.93, (1050, 1350), (112, 104), 0.45, 0.12),
    Tissue.GLAND: Properties(0.88, (520, 620), (75, 70), 0.10, 0.14),
    Tissue.GRAY: Properties(0.84, (1188, 1331), (95, 105), 0.0, 0.03),
    Tissue.WHITE: Properties(0.71, (656, 832), (75, 78), 0.0, 0.03),
    Tissue.CSF: Properties(1.0, (4300, 4300), (1500, 1400), 0.0, 0.04),
    Tissue.VITREOUS: Properties(1.0, (4200, 4200), (1000, 900), 0.0, 0.02),
    Tissue.LENS: Properties(0.60, (900, 1000), (28, 25), 0.0, 0.05),
    Tissue.ARTERY: Properties(0.05, (1441, 1932), (60, 60), 0.3, 0.30),
    Tissue.VEIN: Properties(0.45, (1441, 1932), (110, 100), 0.8, 0.25),
    Tissue.CARTILAGE: Properties(0.65, (1024, 1168), (36, 33), 0.03, 0.08),
    Tissue.TONGUE: Properties(0.80, (700, 900), (55, 52), 0.08, 0.16),
    Tissue.LYMPHOID: Properties(0.92, (1050, 1350), (92, 87), 0.25, 0.08),
    Tissue.NERVE: Properties(0.75, (815, 1083), (77, 78), 0.0, 0.04),
    Tissue.AIR_CELLS: Properties(0.16, (900, 1000), (60, 55), 0.1, 0.60),
    Tissue.NODE: Properties(0.92, (1050, 1350), (86, 81), 0.25, 0.06),
    Tissue.DISC: Properties(0.80, (1000, 1150), (60, 55), 0.02, 0.08),
    Tissue.CONNECTIVE: Properties(0.82, (480, 620), (62, 58), 0.10, 0.24),
    Tissue.TUMOR: Properties(0.90, (1060, 1350), (78, 73), 0.28, 0.05),
    Tissue.NECROSIS: Properties(0.97, (2200, 2400), (260, 240), 0.02, 0.06),
    Tissue.METASTASIS: Properties(0.91, (1060, 1350), (79, 74), 0.27, 0.07),
    Tissue.FLUID: Properties(1.0, (2400, 2600), (500, 450), 0.0, 0.05),
    Tissue.SWOLLEN: Properties(0.96, (1500, 1750), (190, 175), 0.30, 0.10),
    Tissue.METAL: Properties(0.0, *_NONE, 0.0, 0.0),
}


def tissue_table(
    field_tesla: float, factors: Mapping[str, Mapping[Tissue, float]] | None = None
) -> dict[str, Array]:
    """Properties of all tissues at one field, as arrays indexed by the label.

    Parameters
    ----------
    field_tesla : float
        1.0 to 3.0.
    factors : mapping, optional
        By column, then by tissue: how one patient differs.

    Returns
    -------
    dict of array
        ``density``, ``t1_ms``, ``t2_ms``, ``gadolinium_mM``, ``texture``.

    Examples
    --------
    >>> table = tissue_table(1.5)
    >>> float(table["t1_ms"][Tissue.FAT]), float(table["t2_ms"][Tissue.CSF])
    (288.0, 1500.0)
    """
    rows = [PROPERTIES[tissue] for tissue in Tissue]
    doubling = np.log(field_tesla / 1.5) / np.log(2.0)
    times = {}
    for name in ("t1_ms", "t2_ms"):
        low, high = np.array([getattr(row, name) for row in rows], dtype=float).T
        times[name] = (low * (high / low) ** doubling).astype(np.float32)
    others = ("density", "gadolinium_mM", "texture")
    table = {**{k: np.array([getattr(r, k) for r in rows], np.float32) for k in others}, **times}
    for column, changed in (factors or {}).items():
        table[column][list(changed)] *= np.array(list(changed.values()), np.float32)
    return table
