"""The parts of a schematic head, in mm, as a table.

Origin in the middle of the nasopharynx; x to the left, y to the back, z up, as
in DICOM. A part is an ellipsoid or a capsule (a rounded rod); ``mirror`` adds
its twin on the right. Parts are painted in the order of the table, so a later
one covers an earlier one. Sizes follow an adult head of about 150 mm width and
190 mm length; every patient gets his own by scaling, posing and bending
(:mod:`radiomics_npc.simulate.anatomy`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from radiomics_npc.simulate.tissue import Tissue

__all__ = ["CAVITIES", "DEEP_PARTS", "OUTER_PARTS", "OUTLINE", "Part", "Point"]

Point = tuple[float, float, float]


@dataclass(frozen=True)
class Part:
    """One shape of one tissue.

    Parameters
    ----------
    tissue : Tissue
    center : tuple
        Center of the ellipsoid, or first end of the capsule.
    radii : tuple or float
        Half axes of the ellipsoid; a single number for a capsule.
    end : tuple, optional
        Second end: makes the part a capsule.
    power : float
        2 is an ellipsoid; higher is more like a box.
    pitch, yaw : float
        Turn about x and about z in degrees (the twin is mirrored).
    shell : tuple of (Tissue, mm)
        Layers around the part, the outermost first, with their distance from its surface.
    over : tuple of Tissue
        Paint over these tissues only; empty for all.
    mirror : bool
    jitter : float
        How much of the patient's variation of place and size this part takes.
    name : str
        Parts with a name follow :class:`radiomics_npc.simulate.variation.Variation`.
    """

    tissue: Tissue
    center: Point
    radii: Point | float
    end: Point | None = None
    power: float = 2.0
    pitch: float = 0.0
    yaw: float = 0.0
    shell: tuple[tuple[Tissue, float], ...] = ()
    over: tuple[Tissue, ...] = ()
    mirror: bool = False
    jitter: float = 1.0
    name: str = ""


T = Tissue
_THIN_BONE = ((T.BONE, 1.2),)
_CORTEX = ((T.BONE, 2.0),)
_PHARYNX = (T.AIR, T.MUCOSA, T.LYMPHOID, T.FAT, T.CONNECTIVE, T.MUSCLE, T.CARTILAGE)
_LOOSE = (T.FAT, T.CONNECTIVE, T.MUSCLE)
_BRAIN = (T.GRAY, T.WHITE, T.CSF)

# (center, radii) of ellipsoids whose smooth union is the skin, and the inside of the skull
OUTLINE: Final[tuple[tuple[Point, Point], ...]] = (
    ((0, 18, 50), (74, 88, 82)),
    ((0, 6, -8), (73, 50, 64)),
    ((0, -22, -6), (62, 58, 70)),
    ((32, -42, 0), (28, 32, 36)),
    ((-32, -42, 0), (28, 32, 36)),
    ((0, -42, -46), (45, 46, 36)),
    ((0, 34, -60), (57, 54, 90)),
    ((0, -86, -4), (11, 20, 14)),
    ((0, -76, 18), (9, 13, 24)),
    ((28, -50, 36), (22, 22, 22)),
    ((-28, -50, 36), (22, 22, 22)),
)
CAVITIES: Final[tuple[tuple[Point, Point], ...]] = (
    ((0, 26, 64), (65, 72, 44)),
    ((0, -24, 84), (50, 44, 36)),
    ((38, -3, 42), (26, 36, 25)),
    ((-38, -3, 42), (26, 36, 25)),
    ((0, 58, 17), (53, 35, 28)),
    ((0, 37, 36), (17, 18, 30)),
)


def _teeth(z: float, height: float, front: float) -> tuple[Part, ...]:
    """Half an arch of seven teeth, mirrored."""
    places = ((3.5, 0), (10, 2), (16, 6), (20.5, 12), (23.5, 19), (25.5, 28), (27, 38))
    return tuple(
        Part(T.BONE, (x, front + y, z), (2.9, 2.9, height), power=3, mirror=True, jitter=0.3)
        for x, y in places
    )


# muscles, glands, bones of the face: outside the skull
OUTER_PARTS: Final[tuple[Part, ...]] = (
    # ears, and the fat of cheek, parapharyngeal space and nape
    Part(T.SKIN, (77, 18, 4), (2.6, 12, 25), yaw=-24, over=(T.AIR, T.SKIN), mirror=True),
    Part(T.FAT, (40, -34, -8), (14, 14, 26), mirror=True),
    Part(T.FAT, (21, 6, -10), (6, 10, 20), yaw=25, mirror=True, name="parapharyngeal"),
    Part(T.FAT, (0, 78, -40), (5, 24, 40)),
    # nape and neck
    Part(T.MUSCLE, (22, 66, -38), (20, 22, 46), mirror=True),
    Part(T.MUSCLE, (38, 58, -34), (15, 22, 40), yaw=-30, mirror=True),
    Part(T.MUSCLE, (20, 48, -34), (14, 12, 36), mirror=True),
    Part(T.MUSCLE, (42, 40, -44), (13, 14, 38), mirror=True),
    Part(T.MUSCLE, (56, 34, -44), (9, 17, 38), yaw=-15, mirror=True),
    Part(T.MUSCLE, (10, 16, -28), (10, 6.5, 36), mirror=True),
    Part(T.MUSCLE, (24, 30, -48), (8, 9, 24), mirror=True),
    # chewing muscles
    Part(T.MUSCLE, (56, -17, -18), (11, 23, 34), yaw=10, mirror=True),
    Part(T.MUSCLE, (58, -14, 42), (9, 38, 32), mirror=True),
    Part(T.MUSCLE, (51, -26, 16), (11, 17, 20), mirror=True),
    Part(T.MUSCLE, (45, -24, -8), (5, 10, 14), mirror=True),
    Part(T.MUSCLE, (20, -18, 9), 11.5, end=(43, 1, 6), mirror=True),
    Part(T.MUSCLE, (20, -14, -3), 9.5, end=(39, -4, -42), mirror=True),
    Part(T.MUSCLE, (15, -1, -2), (4.5, 8, 13), mirror=True),
    # mouth and throat
    Part(T.MUSCLE, (38, -50, -32), (3.5, 22, 20), yaw=22, mirror=True),
    Part(T.MUSCLE, (0, -80, -36), (28, 6, 20), power=2.5),
    Part(T.MUSCLE, (17, 2, -40), (5, 9, 26), yaw=20, mirror=True),
    Part(T.MUSCLE, (50, 32, -10), 5, end=(36, 10, -58), mirror=True),
    Part(T.MUSCLE, (0, -38, -66), (28, 32, 11)),
    Part(T.MUSCLE, (24, -22, -52), (5, 22, 12), yaw=15, mirror=True),
    Part(T.TONGUE, (0, -36, -44), (23, 32, 22), power=2.4),
    Part(T.FAT, (0, -40, -52), (2, 22, 12)),
    Part(T.GLAND, (56, 17, -20), (11, 13, 28), yaw=-20, mirror=True),
    Part(T.GLAND, (36, 2, -60), (11, 15, 12), mirror=True),
    # mandible
    Part(T.MARROW, (46, -2, -40), 5, end=(38, -38, -52), shell=_CORTEX, mirror=True, jitter=0.5),
    Part(T.MARROW, (38, -38, -52), 5.5, end=(18, -64, -56), shell=_CORTEX, mirror=True, jitter=0.5),
    Part(T.MARROW, (18, -64, -56), 6, end=(0, -70, -56), shell=_CORTEX, mirror=True, jitter=0.5),
    Part(T.MARROW, (45, -8, -16), (3.4, 14, 28), power=3, yaw=10, shell=_CORTEX, mirror=True),
    Part(T.MARROW, (48, 6, 11), (8, 4, 5), shell=_CORTEX, mirror=True),
    # maxilla, palate, teeth
    Part(T.MARROW, (26, -36, -21), 5.5, end=(17, -62, -21), shell=_THIN_BONE, mirror=True),
    Part(T.MARROW, (17, -62, -21), 5.5, end=(0, -68, -21), shell=_THIN_BONE, mirror=True),
    Part(T.RED_MARROW, (0, -40, -15), (20, 28, 1.8), power=4, shell=_THIN_BONE),
    *_teeth(-28, 7, -71),
    *_teeth(-42, 8, -70),
    Part(T.MARROW, (50, -46, 8), (9, 8, 7), shell=_CORTEX, mirror=True),
    Part(T.BONE, (57, -38, 8), 2.6, end=(66, -4, 9), mirror=True),
    Part(
        T.AIR,
        (28, -46, 5),
        (12, 18, 17),
        power=2.4,
        yaw=-28,
        shell=((T.BONE, 2.6), (T.MUCOSA, 1.3)),
        mirror=True,
        name="maxillary",
    ),
    # pterygoid process
    Part(T.MARROW, (16, -14, 13), (6, 6, 6), shell=_THIN_BONE, mirror=True),
    Part(T.BONE, (19, -12, -1), (1.4, 9, 13), yaw=-18, mirror=True),
    Part(T.BONE, (13, -14, -1), (1.2, 6, 12), mirror=True),
    # skull base
    Part(T.RED_MARROW, (0, -3, 26), (19, 19, 13), power=3, shell=_THIN_BONE),
    Part(T.MARROW, (0, 19, 13), (13, 5.5, 23), pitch=23, power=2.6, shell=_THIN_BONE),
    Part(T.BONE, (21, 20, 16), 9.5, end=(56, 32, 13), mirror=True),
    Part(T.MARROW, (17, 18, 15), (6, 6, 5), mirror=True),
    Part(
        T.AIR_CELLS, (55, 38, 0), (11, 15, 22), power=2.5, shell=((T.BONE, 2.0),), mirror=True, name="mastoid"
    ),
    Part(T.AIR, (60, 14, 8), 3.4, end=(82, 11, 8), shell=((T.CARTILAGE, 1.5),), mirror=True),
    Part(T.MARROW, (19, 35, -7), (6, 10, 5), shell=_THIN_BONE, mirror=True),
    Part(T.BONE, (36, 20, 2), 1.6, end=(32, 14, -30), mirror=True),
    # spine
    Part(T.MARROW, (20, 36, -16), (8, 8, 6), shell=_THIN_BONE, mirror=True),
    Part(T.MARROW, (0, 25, -16), 2.5, end=(15, 29, -16), shell=_THIN_BONE, mirror=True),
    Part(T.MARROW, (21, 46, -17), 2.5, end=(3, 70, -17), shell=_THIN_BONE, mirror=True),
    Part(T.MARROW, (0, 33, -22), (5, 5, 15), shell=_THIN_BONE),
    Part(T.MARROW, (0, 34, -40), (10, 8, 8), power=3, shell=_THIN_BONE),
    Part(T.MARROW, (15, 38, -31), (8, 8, 5), shell=_THIN_BONE, mirror=True),
    Part(T.MARROW, (13, 60, -37), 3, end=(0, 78, -40), shell=_THIN_BONE, mirror=True),
    Part(T.DISC, (0, 34, -51), (10, 8, 2.5)),
    Part(T.MARROW, (0, 34, -61), (10, 8, 7), power=3, shell=_THIN_BONE),
    Part(T.MARROW, (14, 60, -60), 3, end=(0, 76, -62), shell=_THIN_BONE, mirror=True),
    Part(T.CSF, (0, 51, 2), 10.5, end=(0, 54, -90), jitter=0.3),
    # orbit
    Part(T.FAT, (28, -50, 34), (16, 25, 16), shell=((T.BONE, 1.8),), mirror=True),
    Part(T.VITREOUS, (31, -61, 34), (11.5, 11.5, 11.5), shell=((T.SKIN, 1.0),), mirror=True, jitter=0.5),
    Part(T.LENS, (31, -70, 34), (4.5, 2.0, 4.5), mirror=True, jitter=0.5),
    Part(T.NERVE, (30, -49, 34), 2.2, end=(12, -14, 38), mirror=True, jitter=0.5),
    Part(T.MUSCLE, (42, -52, 34), 1.8, end=(24, -24, 36), mirror=True, jitter=0.5),
    Part(T.MUSCLE, (19, -54, 34), 1.8, end=(17, -24, 36), mirror=True, jitter=0.5),
    # nose and pharynx
    Part(T.AIR, (0, -40, 0), (14, 34, 15), power=3, shell=((T.BONE, 2.8), (T.MUCOSA, 2.0))),
    Part(T.AIR, (0, -42, 26), (13, 24, 13), power=3, shell=((T.BONE, 2.0), (T.MUCOSA, 1.0)), name="ethmoid"),
    Part(T.AIR, (6, -74, -12), (4, 9, 5), shell=((T.CARTILAGE, 2.0),), mirror=True),
    Part(T.MUCOSA, (8.5, -40, -6), (5.6, 29, 8.5), mirror=True, name="turbinate"),
    Part(T.BONE, (8.5, -40, -7), (0.8, 20, 5), mirror=True),
    Part(T.MUCOSA, (8, -36, 9), (4.6, 22, 7), mirror=True, name="turbinate"),
    Part(T.MUCOSA, (9, -44, 26), (1.0, 20, 10), mirror=True),
    Part(T.MUCOSA, (9, -36, 26), (8, 1.0, 10), mirror=True),
    Part(T.MUCOSA, (9, -52, 26), (8, 1.0, 10), mirror=True),
    Part(T.MUCOSA, (0, -42, 5), (1.9, 38, 24), power=4, name="septum"),
    Part(T.CARTILAGE, (0, -42, 5), (0.8, 36, 22), power=4, name="septum"),
    Part(
        T.AIR, (7.5, -9, 25), (8, 10, 8), shell=((T.BONE, 2.0), (T.MUCOSA, 1.0)), mirror=True, name="sphenoid"
    ),
    Part(T.AIR, (0, 3, -40), (11, 6, 26), power=2.5, shell=((T.MUCOSA, 1.6),)),
    Part(T.LYMPHOID, (14, -3, -38), (5, 7, 10), mirror=True, name="tonsil"),
    Part(T.MUSCLE, (0, -10, -22), (13, 4, 11), pitch=-35, shell=((T.MUCOSA, 1.5),)),
    Part(T.AIR, (0, -2, -1), (13, 9, 13), power=3, shell=((T.MUCOSA, 2.3),), jitter=0.5, name="airway"),
    Part(T.AIR, (13.5, 5, 1), (4.5, 3.5, 7), shell=((T.MUCOSA, 2.5),), mirror=True, name="recess"),
    Part(T.CARTILAGE, (14, -4, 0), (3, 4, 7), shell=((T.MUCOSA, 2.0),), mirror=True),
    Part(T.LYMPHOID, (0, 7, 5), (11, 4.5, 8), over=_PHARYNX, name="adenoid"),
)

# brain stem, cerebellum and vessels: inside the skull or through it
DEEP_PARTS: Final[tuple[Part, ...]] = (
    Part(T.CSF, (0, 31, 32), (21, 14, 25), over=_BRAIN),
    Part(T.CSF, (0, 42, 8), (11, 10.5, 16), over=_BRAIN),
    Part(T.WHITE, (0, 35, 27), (17, 11, 13), power=2.4, jitter=0.5),
    Part(T.WHITE, (12, 37, 24), 7, end=(25, 48, 22), mirror=True),
    Part(T.WHITE, (0, 42, 14), 7.5, end=(0, 50, -10), jitter=0.5),
    Part(T.NERVE, (0, 51, -10), 5.5, end=(0, 54, -90), jitter=0.3),
    Part(T.WHITE, (0, 33, 47), (17, 10, 12)),
    Part(T.CSF, (0, 49, 22), (6, 4, 9)),
    Part(T.CSF, (0, 10, 51), (13, 12, 8)),
    Part(T.CSF, (17, 33, 18), 2.2, end=(26, 28, 17), mirror=True),
    Part(T.CSF, (30, 26, 16), (2.6, 2.4, 2.4), mirror=True),
    Part(T.CSF, (14, 13, 27), (2.8, 4.5, 3), mirror=True),
    Part(T.VEIN, (11, 3, 34), (5.5, 11, 7), mirror=True),
    Part(T.GLAND, (0, 3, 39), (6.5, 5, 3.5)),
    Part(T.ARTERY, (24, 22, -90), 2.7, end=(24, 21, 6), mirror=True, name="carotid"),
    Part(T.ARTERY, (24, 21, 8), 2.5, end=(12, 12, 20), mirror=True),
    Part(T.ARTERY, (12, 10, 24), 2.4, end=(10, -3, 38), mirror=True),
    Part(T.VEIN, (31, 28, -90), 4.8, end=(29, 28, 2), mirror=True, name="jugular"),
    Part(T.VEIN, (48, 50, 8), 4.0, end=(42, 80, 24), mirror=True),
    Part(T.VEIN, (53, 8, -60), 2.2, end=(53, 7, 4), mirror=True),
    Part(T.VEIN, (29, -10, 2), 3.0, end=(35, -3, -10), over=_LOOSE, mirror=True, name="plexus"),
    Part(T.VEIN, (33, -8, 8), 2.2, end=(24, -2, 4), over=_LOOSE, mirror=True, name="plexus"),
    Part(T.VEIN, (38, -12, -2), 2.0, end=(31, -14, -12), over=_LOOSE, mirror=True, name="plexus"),
    Part(T.ARTERY, (9, 36, -2), 1.9, end=(1, 26, 13), mirror=True),
    Part(T.ARTERY, (0, 25, 13), 2.0, end=(0, 21, 42)),
    Part(T.ARTERY, (25, 42, -18), 2.0, end=(23, 38, -90), mirror=True),
)
