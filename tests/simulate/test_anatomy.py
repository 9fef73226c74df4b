"""What must be where in a head, and in a tumor."""

import numpy as np
import pytest

from radiomics_npc.simulate.acquisition import draw_series
from radiomics_npc.simulate.anatomy import Head, build_head
from radiomics_npc.simulate.nodes import enlarged_nodes
from radiomics_npc.simulate.tissue import Tissue
from radiomics_npc.simulate.tumor import contour, draw_interior, grow


@pytest.fixture(scope="module")
def head() -> Head:
    return build_head(np.random.default_rng(4), (-60.0, 64.0))


def _share(head: Head, tissues: set[Tissue], center: tuple[float, float, float], radius: float) -> float:
    """Part of a ball, given in the coordinates of the table's head, that these tissues fill."""
    distance = sum((w - c) ** 2 for w, c in zip(head.where, center, strict=True))
    return float(np.isin(head.tissue[distance < radius**2], list(tissues)).mean())


@pytest.mark.parametrize("seed", [1, 2])
def test_every_organ_is_where_it_belongs(seed):
    head = build_head(np.random.default_rng(seed), (-60.0, 64.0))
    t = Tissue
    places = [
        ({t.AIR}, (0, -2, -1), 4),  # nasopharynx
        ({t.AIR}, (28, -46, 5), 6),  # maxillary sinuses
        ({t.AIR}, (-28, -46, 5), 6),
        ({t.MARROW, t.BONE}, (0, 19, 13), 3),  # clivus
        ({t.GRAY, t.WHITE, t.CSF}, (30, 62, 16), 8),  # cerebellum
        ({t.WHITE}, (0, 35, 27), 4),  # pons
        ({t.GRAY, t.WHITE, t.CSF}, (40, -4, 44), 8),  # temporal lobe
        ({t.TONGUE, t.FAT}, (0, -36, -44), 10),
        ({t.MUSCLE, t.FAT}, (24, 66, -42), 6),  # nape
        ({t.VITREOUS}, (31, -61, 34), 5),  # eyes
        ({t.VITREOUS}, (-31, -61, 34), 5),
    ]
    for tissues, center, radius in places:
        assert _share(head, tissues, center, radius) > 0.55, (tissues, center)


def test_the_head_has_the_size_of_a_head(head):
    inside = head.tissue != Tissue.AIR
    levels = np.abs(head.axes[0]) < 10
    width = np.ptp(head.axes[2][inside[levels].any(axis=(0, 1))])
    length = np.ptp(head.axes[1][inside[levels].any(axis=(0, 2))])
    assert 125 < width < 185  # with the ears
    assert 165 < length < 215


def test_skin_is_the_outermost_tissue(head):
    for row in head.tissue[len(head.tissue) // 2]:
        filled = np.flatnonzero(row)
        if filled.size:
            assert row[filled[0]] == Tissue.SKIN
            assert row[filled[-1]] == Tissue.SKIN


def test_nodes_follow_the_n_stage():
    counts = {n: len(enlarged_nodes(np.random.default_rng(1), n)) for n in ("N0", "N1", "N2", "N3")}
    assert counts["N0"] == 0
    assert 0 < counts["N1"] < counts["N2"]
    sides = {np.sign(part.center[0]) for part in enlarged_nodes(np.random.default_rng(1), "N1")}
    assert len(sides) == 1


def test_a_tumor_starts_at_the_wall_and_reaches_its_volume(head):
    rng = np.random.default_rng(5)
    growth = grow(rng, head, "T2", 0.8)
    series = draw_series(rng, "Achieva", 192)["t1"]
    for volume in (2.0, 12.0):
        mask = contour(rng, growth, series, volume)
        assert mask.sum() * np.prod(series.spacing_mm) / 1000 == pytest.approx(volume, rel=0.1)
    z, y, x = (axis[index] for axis, index in zip(series.axes, np.nonzero(mask), strict=True))
    assert np.hypot(x, y).min() < 15
    assert abs(z.mean()) < 20


def test_bone_holds_a_t2_tumor_and_not_a_t4(head):
    shares = []
    for stage in ("T2", "T4"):
        growth = grow(np.random.default_rng(6), head, stage, 0.8, "mass")
        interior = draw_interior(np.random.default_rng(7), head, growth, 25.0, 0.0)
        invaded = head.tissue[interior.box][interior.inside]
        shares.append(np.isin(invaded, [Tissue.BONE, Tissue.MARROW, Tissue.RED_MARROW]).mean())
    assert shares[0] < 0.05
    assert shares[1] > 2 * shares[0] + 0.05


def test_heterogeneity_widens_the_inside(head):
    growth = grow(np.random.default_rng(6), head, "T3", 0.8)
    spreads, dead = [], []
    for latent in (-1.5, 0.0, 1.5):
        interior = draw_interior(np.random.default_rng(8), head, growth, 12.0, latent)
        spreads.append(interior.mottle[interior.inside].std())
        dead.append(interior.necrosis[interior.inside].mean())
    assert spreads == sorted(spreads)
    assert spreads[2] > 2.5 * spreads[0]
    assert dead[0] < dead[1] < dead[2] < 0.35
