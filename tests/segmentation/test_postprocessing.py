"""Which component is the tumor."""

from dataclasses import replace

import numpy as np
import pytest

from radiomics_npc.cohort.reading import read_cohort
from radiomics_npc.imaging.reading import read_pair
from radiomics_npc.segmentation.network_grid import find_frame, resample
from radiomics_npc.segmentation.postprocessing import position_prior, select_tumor
from radiomics_npc.segmentation.slabs import NetworkGrid
from radiomics_npc.simulate.cohort import simulate_cohort

SPACING = (5.5, 0.86, 0.86)
SHAPE = (12, 160, 160)
PRIOR = position_prior(SHAPE, SPACING)


def ball(center_mm, radius_mm, value=0.9):
    """Probability in a ball, its center in mm (z, y, x) from the middle."""
    places = [(np.arange(n) - (n - 1) / 2) * s for n, s in zip(SHAPE, SPACING, strict=True)]
    axes = np.meshgrid(*places, indexing="ij")
    distance2 = sum((a - c) ** 2 for a, c in zip(axes, center_mm, strict=True))
    return np.where(distance2 < radius_mm**2, value, 0).astype(np.float32)


def select(p, nodes=None):
    return select_tumor(p, PRIOR, SPACING, nodes)


def test_the_tumor_and_not_the_larger_node():
    tumor, node = ball((0, 0, 5), 8), ball((-20, 22, 45), 18)
    assert node.sum() > 3 * tumor.sum()
    found = select(tumor + node)
    np.testing.assert_array_equal(found.mask, tumor > 0)
    assert (found.components, found.left_out) == (1, 1)
    assert found.probability[node > 0].max() == 0


def test_mask_is_where_the_cleaned_probability_is_high():
    rng = np.random.default_rng(0)
    p = rng.uniform(0, 1, SHAPE).astype(np.float32)
    found = select(p)
    np.testing.assert_array_equal(found.mask, found.probability > 0.5)


def test_a_node_beside_the_tumor_is_known_by_the_other_channel():
    """Both lie equally far from the middle; only the second channel tells them apart."""
    left, right = ball((0, 0, -14), 9), ball((0, 0, 14), 10)
    assert select(left + right).mask[right > 0].all()
    nodes = np.where(right > 0, 0.95, 0.02).astype(np.float32)
    found = select(left + right, nodes)
    np.testing.assert_array_equal(found.mask, left > 0)


@pytest.mark.parametrize(("gap_mm", "value", "kept"), [(4, 0.9, 2), (4, 0.55, 1), (14, 0.9, 1)])
def test_further_components_near_and_probable(gap_mm, value, kept):
    p = ball((0, 0, 0), 10) + ball((0, 0, 10 + gap_mm + 6), 6, value)
    assert select(p).components == kept


def test_a_tumor_on_one_slice_stays():
    p = np.zeros(SHAPE, np.float32)
    p[6, 78:82, 78:82] = 0.8
    assert int(select(p).mask.sum()) == 16


def test_small_holes_are_filled_and_airways_stay():
    p = ball((0, 0, 0), 25)
    small, large = ball((0, 12, 0), 3, 1.0) > 0, ball((0, -8, 0), 9, 1.0) > 0
    p[small | large] = 0.1
    found = select(p)
    assert found.mask[small].all()
    assert not found.mask[6][large[6]].any()
    assert (found.probability[small] > 0.5).all()


def test_empty_stays_empty():
    found = select(np.full(SHAPE, 0.49, np.float32))
    assert (found.components, found.left_out, bool(found.mask.any())) == (0, 0, False)


def test_whole_array_is_no_hole():
    assert select(np.full(SHAPE, 0.9, np.float32)).mask.all()
    lone = np.full((3, 6, 6), 0.1, np.float32)
    lone[1, 1:-1, 1:-1] = 0.9
    assert int(select_tumor(lone, position_prior(lone.shape, SPACING), SPACING).mask.sum()) == 16


def test_prior_falls_off_from_the_middle_of_the_body():
    prior = position_prior((9, 41, 61), (5.0, 1.0, 1.0), middle=(10.0, 50.0))
    assert np.unravel_index(prior.argmax(), prior.shape) == (4, 10, 50)
    assert prior[4, 10 + 16, 50] == pytest.approx(np.exp(-0.5), rel=1e-6)
    # a long stack says less about height
    long = position_prior((60, 3, 3), (5.0, 1.0, 1.0))
    assert long[45, 1, 1] == pytest.approx(np.exp(-0.5 * (15.5 * 5 / 75) ** 2), rel=1e-6)


def test_mirrored_input_gives_the_mirrored_tumor():
    rng = np.random.default_rng(3)
    p = (ball((0, 3, 6), 12) + ball((-11, 20, -30), 9)) * rng.uniform(0.7, 1, SHAPE).astype(np.float32)
    np.testing.assert_array_equal(select(p).mask[..., ::-1], select(p[..., ::-1]).mask)


@pytest.mark.slow
def test_prior_holds_the_tumors_of_simulated_patients(tmp_path):
    simulate_cohort(tmp_path / "sim", patients=3, seed=5, jobs=1, matrix=64)
    for case in read_cohort(tmp_path / "sim").cases:
        image, mask = read_pair(case.images["t2"])
        frame = find_frame({"t2": image}, NetworkGrid())
        drawn = resample(replace(image, array=mask.array.astype(np.float32)), frame)
        prior = position_prior(frame.shape, frame.spacing_zyx)
        assert float((prior * drawn).sum() / drawn.sum()) > 0.35
        middle = tuple(np.round(np.argwhere(drawn > 0.5).mean(axis=0)).astype(int))
        assert prior[middle] > 0.5
