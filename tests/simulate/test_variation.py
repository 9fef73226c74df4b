"""How patients differ, and what that does to their heads and series."""

from dataclasses import replace

import numpy as np
import pytest

from radiomics_npc.simulate.acquisition import draw_series
from radiomics_npc.simulate.anatomy import Head, build_head
from radiomics_npc.simulate.artifacts import (
    Faults,
    add_ghosts,
    draw_faults,
    fat_left,
    fold,
    spoil_near_air_and_metal,
)
from radiomics_npc.simulate.nodes import enlarged_nodes, normal_nodes
from radiomics_npc.simulate.tissue import Tissue, tissue_table
from radiomics_npc.simulate.variation import COMMON, Variation, draw_variation

Z_RANGE = (-46.0, 32.0)


def _head(variation: Variation, seed: int = 3) -> Head:
    return build_head(
        np.random.default_rng(seed), Z_RANGE, variation=variation, extent=((-80.0, 62.0), (-70.0, 70.0))
    )


@pytest.fixture(scope="module")
def common() -> Head:
    return _head(COMMON)


def _count(head: Head, tissue: Tissue, side: int = 0) -> int:
    chosen = head.tissue == tissue
    return int((chosen & (side * head.where[0] > 0) if side else chosen).sum())


def _pharynx_air(head: Head) -> int:
    x, y, z = head.where
    return int(((head.tissue == Tissue.AIR) & (np.abs(x) < 19) & (np.abs(y) < 12) & (np.abs(z) < 12)).sum())


def test_adenoid_tissue_closes_the_nasopharynx(common):
    full = _head(replace(COMMON, adenoid_mm=14.0, airway=0.5, recess=(0.1, 0.1)))
    # what stays open lies below the adenoid, behind the soft palate
    assert _pharynx_air(full) < 0.35 * _pharynx_air(common)
    assert _count(full, Tissue.LYMPHOID) > 2 * _count(common, Tissue.LYMPHOID)


def test_one_side_alone_can_be_diseased(common):
    head = _head(
        replace(COMMON, swelling_mm=(5.0, 0.0), maxillary_fluid=(0.0, 0.5), mastoid_fluid=(0.0, 1.0))
    )
    assert _count(common, Tissue.SWOLLEN) == _count(common, Tissue.FLUID) == 0
    assert _count(head, Tissue.SWOLLEN, 1) > 20 * _count(head, Tissue.SWOLLEN, -1)
    assert _count(head, Tissue.FLUID, -1) > 20 * _count(head, Tissue.FLUID, 1)


def test_fluid_stands_behind_the_air_of_a_sinus():
    head = _head(replace(COMMON, maxillary_fluid=(0.5, 0.0)))
    x, y, z = head.where
    sinus = (np.abs(x - 28) < 8) & (np.abs(y + 46) < 12) & (np.abs(z - 5) < 8)
    back = np.broadcast_to(head.axes[1][None, :, None], sinus.shape)
    fluid, air = (back[sinus & (head.tissue == t)] for t in (Tissue.FLUID, Tissue.AIR))
    assert fluid.size > 100
    assert air.size > 100
    assert fluid.min() >= air.max()


def test_marrow_is_red_by_the_share_drawn():
    shares = []
    for red in (0.05, 0.5, 0.95):
        head = _head(replace(COMMON, red_marrow=red))
        cellular, fatty = _count(head, Tissue.RED_MARROW), _count(head, Tissue.MARROW)
        shares.append(cellular / (cellular + fatty))
    assert shares[0] < 0.2 < shares[1] < 0.8 < shares[2]


def test_metal_and_glandular_fat_come_only_when_drawn(common):
    head = _head(replace(COMMON, metal=3, gland_fat=0.8))
    assert _count(common, Tissue.METAL) == 0
    assert _count(head, Tissue.METAL) > 100
    assert _count(head, Tissue.GLAND) < 0.7 * _count(common, Tissue.GLAND)


def test_the_same_variation_and_seed_is_the_same_head():
    variation = draw_variation(np.random.default_rng(8))
    np.testing.assert_array_equal(_head(variation).tissue, _head(variation).tissue)


def test_the_young_have_adenoids_and_red_marrow():
    def mean(age: float, name: str) -> float:
        return float(
            np.mean([getattr(draw_variation(np.random.default_rng(i), age), name) for i in range(300)])
        )

    assert mean(12, "adenoid_mm") > 1.8 * mean(60, "adenoid_mm")
    assert mean(12, "red_marrow") > 1.5 * mean(60, "red_marrow")


def test_every_finding_occurs_and_none_is_the_rule():
    drawn = [draw_variation(np.random.default_rng([1, i])) for i in range(400)]
    for name in ("swelling_mm", "maxillary_fluid", "sphenoid_fluid", "mastoid_fluid", "carotid_mm", "plexus"):
        share = np.mean([any(getattr(v, name)) for v in drawn])
        assert 0.1 < share < 0.75, name
    for name in ("cyst_mm", "secretion", "metal", "ethmoid_swelling"):
        assert 0.02 < np.mean([bool(getattr(v, name)) for v in drawn]) < 0.5, name
    assert 0.15 < np.mean([min(v.recess) < 0.25 for v in drawn]) < 0.7
    assert 0.05 < np.mean([v.adenoid_mm > 6 for v in drawn]) < 0.5


def test_properties_of_one_patient_are_factors_on_the_table():
    changed = tissue_table(1.5, replace(COMMON, tumor_t2=1.1, uptake=0.8, vein_uptake=2.0).properties)
    plain = tissue_table(1.5, COMMON.properties)
    for column, values in tissue_table(1.5).items():
        np.testing.assert_array_equal(plain[column], values)
    assert changed["t2_ms"][Tissue.TUMOR] == pytest.approx(1.1 * plain["t2_ms"][Tissue.TUMOR])
    assert changed["t2_ms"][Tissue.FAT] == plain["t2_ms"][Tissue.FAT]
    ratio = changed["gadolinium_mM"] / np.where(plain["gadolinium_mM"] > 0, plain["gadolinium_mM"], 1)
    assert ratio[Tissue.VEIN] == pytest.approx(1.6)
    assert ratio[Tissue.MUCOSA] == pytest.approx(0.8)


def test_everybody_has_small_nodes_and_some_metastases_are_necrotic():
    normal = [normal_nodes(np.random.default_rng(i)) for i in range(50)]
    assert np.mean([len(parts) for parts in normal]) > 5
    assert {part.tissue for parts in normal for part in parts} == {Tissue.NODE}
    assert max(min(part.radii) for parts in normal for part in parts) < 5
    large = [part for i in range(50) for part in enlarged_nodes(np.random.default_rng(i), "N3")]
    assert 0.15 < np.mean([part.tissue == Tissue.NECROSIS for part in large]) < 0.6


def test_most_series_are_clean_and_contrast_series_are_fat_saturated_most_often():
    faults = {s: [draw_faults(np.random.default_rng([2, i]), s) for i in range(500)] for s in ("t1", "ce_t1")}
    rates = {s: np.mean([f.fat_saturation > 0 for f in group]) for s, group in faults.items()}
    assert rates["ce_t1"] > 4 * rates["t1"]
    for group in faults.values():
        clean = [
            not (f.ghost or f.phase_mm or f.uneven or f.susceptibility or f.fat_saturation) for f in group
        ]
        assert np.mean(clean) > 0.5
    drawn = [s.faults for i in range(60) for s in draw_series(np.random.default_rng(i), "Achieva").values()]
    assert 0.03 < np.mean([f.ghost > 0 for f in drawn]) < 0.3


def test_ghosts_are_shifted_copies():
    image = np.zeros((1, 4, 100), np.float32)
    image[0, :, 50] = 1
    ghosted = add_ghosts(image, Faults(ghost=0.1, ghost_shift=0.3))
    assert ghosted[0, 0, 50] == pytest.approx(0.9)
    assert ghosted[0, 0, [20, 80]] == pytest.approx([0.1, 0.1])
    np.testing.assert_array_equal(add_ghosts(image, Faults()), image)


def test_folding_moves_signal_and_loses_none():
    image = np.random.default_rng(1).random((2, 3, 100)).astype(np.float32)
    folded = fold(image, 2.0, 160.0)
    np.testing.assert_allclose(folded.sum(), image.sum(), rtol=1e-5)
    assert not folded[:, :, :10].any()
    assert not folded[:, :, 90:].any()
    np.testing.assert_allclose(folded[:, :, 10], image[:, :, 10] + image[:, :, 90], rtol=1e-6)
    np.testing.assert_array_equal(fold(image, 2.0, 0.0), image)


def test_fat_saturation_takes_fat_and_leaves_water(common):
    left = fat_left(np.random.default_rng(1), common.tissue, common.axes, 0.9)
    assert left[common.tissue == Tissue.FAT].mean() < 0.4
    assert (left[common.tissue == Tissue.MUSCLE] == 1).all()


def test_susceptibility_spoils_only_what_is_near_air(common):
    signal = np.ones(common.tissue.shape, np.float32)
    spoil_near_air_and_metal(signal, common.tissue, common.axes, 0.0)
    assert (signal == 1).all()
    spoil_near_air_and_metal(signal, common.tissue, common.axes, 0.5)
    assert signal[common.tissue == Tissue.MUCOSA].mean() < 0.95
    assert (signal[(common.tissue == Tissue.GRAY) & (common.where[1] > 40)] == 1).all()
