"""Masks drawn along the uncertainty."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from radiomics_npc.segmentation.overlap import count_overlap
from radiomics_npc.segmentation.prediction import _seed_of
from radiomics_npc.segmentation.uncertainty import smooth_noise_field, vary_mask
from tests.segmentation.phantoms import Bright, Geometry, head, segmenter


@pytest.fixture(scope="module")
def prediction():
    """A soft border, as networks draw it, and an uncertainty set by hand."""
    found = segmenter(Bright(), Bright()).predict(
        {"t2": head(), "t1": head(Geometry((90, 90, 30), (2.0, 2.0, 4.0)))}
    )
    z, y, x = (
        (np.arange(n) - (n - 1) / 2) * s
        for n, s in zip(found.mean.shape, found.frame.spacing_zyx, strict=True)
    )
    distance = np.sqrt(z[:, None, None] ** 2 + y[:, None] ** 2 + x**2)
    mean = (1 / (1 + np.exp((distance - 20.0) / 1.5))).astype(np.float32)
    return replace(found, mean=mean, nodes=np.zeros_like(mean), logit_spread=np.full_like(mean, 1.0))


def volumes(masks):
    return np.array([mask.array.sum() * mask.voxel_mm3 / 1000 for mask in masks])


def own_mask(prediction, name="t2"):
    return prediction.place(prediction.mean, name)


def test_without_uncertainty_the_same_mask(prediction):
    sure = replace(prediction, logit_spread=np.zeros_like(prediction.mean))
    for name in ("t1", "t2"):
        for mask in vary_mask(sure, 3, 0, name):
            np.testing.assert_array_equal(mask.array, own_mask(prediction, name).array)


def test_more_spread_more_varied(prediction):
    dice = []
    for spread in (0.3, 1.0, 2.0):
        varied = vary_mask(
            replace(prediction, logit_spread=np.full_like(prediction.mean, spread)), 8, 1, "t2"
        )
        dice.append(np.mean([count_overlap(m.array, own_mask(prediction).array).dice for m in varied]))
    assert 0.95 < dice[0] < 1
    assert dice[0] > dice[1] + 0.01 > dice[2] + 0.02


def test_volumes_center_on_that_of_the_mask(prediction):
    drawn = volumes(vary_mask(prediction, 40, 2))
    own = volumes([own_mask(prediction, "t1")])[0]
    assert own == pytest.approx(4 / 3 * np.pi * 2.0**3, rel=0.03)
    error = drawn.std(ddof=1) / np.sqrt(40)
    # beyond chance, a border moved in and out alike gains volume outside: 3 (1.5 mm / 20 mm)^2 = 1.7%
    assert abs(drawn.mean() - own) < 3 * error + 0.02 * own
    assert drawn.std() > 0.01 * own


def test_the_same_tumors_on_every_sequence(prediction):
    t1, t2 = (volumes(vary_mask(prediction, 10, 5, name)) for name in ("t1", "t2"))
    assert np.corrcoef(t1, t2)[0, 1] > 0.95
    np.testing.assert_allclose(t1, t2, rtol=0.05)


def test_seeds(prediction):
    a, b, c = (vary_mask(prediction, 2, seed, "t2") for seed in (0, 0, 1))
    np.testing.assert_array_equal(a[1].array, b[1].array)
    assert (a[0].array != a[1].array).any()
    assert (a[0].array != c[0].array).any()


def test_a_contour_moves_over_stretches(prediction):
    """One connected tumor without holes, not salt and pepper."""
    for mask in vary_mask(prediction, 5, 3, "t2"):
        assert ndimage.label(mask.array)[1] == 1
        filled = np.array([ndimage.binary_fill_holes(s) for s in mask.array])
        np.testing.assert_array_equal(filled, mask.array)


@pytest.mark.parametrize("spacing", [(5.5, 0.86, 0.86), (1.0, 1.0, 1.0), (7.0, 2.0, 0.5)])
def test_field_has_unit_variance_whatever_the_voxels(spacing):
    shape = tuple(round(80 / s) for s in spacing)
    rng = np.random.default_rng(0)
    values = np.array([smooth_noise_field(shape, spacing, rng).ravel() for _ in range(12)])
    assert values.var() == pytest.approx(1, abs=0.12)
    assert abs(values.mean()) < 0.1


def test_field_decorrelates_over_its_length():
    rng = np.random.default_rng(1)
    fields = [smooth_noise_field((4, 90, 90), (5.5, 1.0, 1.0), rng) for _ in range(10)]
    # white noise smoothed by s mm correlates as exp(-d^2 / 4 s^2)
    for d in (3, 5, 10):
        found = np.mean([np.mean(f[:, d:] * f[:, :-d]) for f in fields])
        assert found == pytest.approx(np.exp(-(d**2) / 100), abs=0.08)


def test_empty_stays_empty(prediction):
    nothing = replace(prediction, mean=np.zeros_like(prediction.mean))
    assert not any(mask.array.any() for mask in vary_mask(nothing, 3, 0))


def test_from_the_segmenter():
    found = segmenter(Bright(0.6, 2.4), Bright(0.6, 3.4)).predict({"t2": head()}, samples=4)
    assert [list(draw) for draw in found.varied] == [["t2"]] * 4
    expected = vary_mask(found, 4, _seed_of(found.mean), "t2")
    for draw, mask in zip(found.varied, expected, strict=True):
        np.testing.assert_array_equal(draw["t2"].array, mask.array)
    assert len({draw["t2"].array.sum() for draw in found.varied}) > 1
