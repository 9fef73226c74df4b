"""The body mask, the z-scores over it and over the image, percentiles of the body."""

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from radiomics import imageoperations

from radiomics_npc.errors import ImageError
from radiomics_npc.imaging.normalize import (
    body_mask,
    normalize_body,
    normalize_image,
    normalize_percentile,
)
from radiomics_npc.imaging.volume import Volume

SPACING = (1.0, 1.0, 5.0)


@pytest.fixture(scope="module")
def head():
    """Ellipse of muscle, fat rim and airway in Rician noise, as whole numbers; and the ellipse."""
    rng = np.random.default_rng(3)
    _, y, x = np.ogrid[:6, :120, :100]
    radius = ((y - 60) / 50) ** 2 + ((x - 50) / 38) ** 2
    clean = np.where(radius < 1, np.where(radius > 0.85, 900.0, 250.0), 0.0)
    clean[:, 55:66, 45:56] = 0.0  # airway
    clean = np.broadcast_to(clean, (6, 120, 100))
    noise = rng.normal(0, 12, (2, 6, 120, 100))
    array = np.hypot(clean + noise[0], noise[1]).astype(np.int16)
    return Volume(array, SPACING), np.broadcast_to(radius < 1, array.shape)


def test_body_is_found_with_its_airway(head):
    volume, truth = head
    body = body_mask(volume)
    assert (body != truth).mean() < 0.001


def test_kind_of_numbers_does_not_matter(head):
    volume, _ = head
    as_float = Volume(volume.array.astype(np.float32), SPACING)
    assert (body_mask(volume) == body_mask(as_float)).mean() > 0.9995


@pytest.mark.parametrize("air", ["zeros", "noise"])
def test_air_in_view_does_not_change_the_values(head, air):
    """Where PyRadiomics' normalization (sitk.Normalize, over the whole image) moves every value."""
    volume, truth = head
    margins = ((0, 0), (30, 50), (11, 40))
    if air == "zeros":
        wider = np.pad(volume.array, margins)
    else:
        noise = np.tile(volume.array[:, :9, :9], (1, 40, 40))
        wider = noise[:, : 120 + 80, : 100 + 51].copy()
        wider[:, 30:150, 11:111] = volume.array
    inside = (slice(None), slice(30, 150), slice(11, 111))
    ours = normalize_body(volume).array
    ours_wider = normalize_body(Volume(wider, SPACING)).array[inside]
    np.testing.assert_allclose(ours_wider, ours, rtol=0, atol=1e-12)
    theirs = sitk.GetArrayFromImage(sitk.Normalize(volume.to_sitk()))
    theirs_wider = sitk.GetArrayFromImage(sitk.Normalize(Volume(wider, SPACING).to_sitk()))[inside]
    assert np.abs(theirs_wider - theirs)[truth].mean() > 0.2


def test_z_score_of_the_body(head):
    volume, _ = head
    body = body_mask(volume)
    inside = normalize_body(volume, scale=100.0).array[body]
    assert inside.mean() == pytest.approx(0, abs=1e-9)
    assert inside.std() == pytest.approx(100, rel=1e-12)
    clipped = normalize_body(volume, body=body, scale=100.0, outliers=1.5).array
    assert clipped.min() >= -150
    assert clipped.max() == 150


@settings(max_examples=25, deadline=None)
@given(st.floats(0.01, 50.0), st.floats(-500, 500))
def test_gain_and_offset_of_the_scanner_cancel(gain, offset):
    rng = np.random.default_rng(0)
    array = rng.normal(0, 5, (4, 30, 30))
    array[:, 6:24, 6:24] += 100
    array[:, 10:14, 10:14] += 40
    expected = normalize_body(Volume(array, SPACING)).array
    found = normalize_body(Volume(array * gain + offset, SPACING)).array
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("outliers", [None, 1.5])
@pytest.mark.parametrize("kind", [np.int16, np.float32, np.float64])
def test_z_score_of_the_image_is_that_of_pyradiomics(head, outliers, kind):
    volume = Volume(head[0].array.astype(kind), SPACING)
    asked = {"normalizeScale": 100, "removeOutliers": outliers}
    theirs = sitk.GetArrayFromImage(imageoperations.normalizeImage(volume.to_sitk(), **asked))
    ours = normalize_image(volume, scale=100.0, outliers=outliers).array
    np.testing.assert_array_equal(ours, theirs)
    assert ours.dtype == theirs.dtype


def test_percentiles_of_the_body_become_0_and_1(head):
    volume, _ = head
    body = body_mask(volume)
    found = normalize_percentile(volume).array
    np.testing.assert_allclose(np.percentile(found[body], (1, 99)), (0, 1), atol=1e-12)
    assert found[body].min() < 0
    assert found[body].max() > 1
    low, high = np.quantile(volume.array[body], (0.05, 0.95), method="linear")
    own = normalize_percentile(volume, body=body, low=5, high=95, scale=10.0).array
    np.testing.assert_allclose(own, 10 * (volume.array - low) / (high - low), rtol=1e-12, atol=1e-12)
    clipped = normalize_percentile(volume, body=body, clip=True).array
    np.testing.assert_array_equal(clipped, np.clip(found, 0, 1))
    assert (clipped.min(), clipped.max()) == (0, 1)


def test_a_few_bright_vessels_move_the_z_score_and_not_the_percentiles(head):
    volume, _ = head
    body = body_mask(volume)
    bright = volume.array.astype(float).copy()
    bright[:, 40:45, 30:34] = 9000.0  # 0.3% of the body
    with_vessels = Volume(bright, SPACING)
    kept = bright < 9000
    moved = [
        np.abs(step(with_vessels, body=body).array - step(volume, body=body).array)[kept & body].mean()
        / step(volume, body=body).array[body].std()
        for step in (normalize_body, normalize_percentile)
    ]
    assert moved[0] > 0.3
    assert moved[1] < 0.02


@settings(max_examples=15, deadline=None)
@given(st.floats(0.01, 50.0), st.floats(-500, 500))
def test_gain_and_offset_cancel_in_percentiles_too(gain, offset):
    rng = np.random.default_rng(0)
    array = rng.normal(0, 5, (4, 30, 30))
    array[:, 6:24, 6:24] += 100
    array[:, 10:14, 10:14] += 40
    expected = normalize_percentile(Volume(array, SPACING)).array
    found = normalize_percentile(Volume(array * gain + offset, SPACING)).array
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


def test_body_without_air_around_it_in_its_box():
    array = np.zeros((3, 20, 20))
    array[:, 5:15, 5:15] = 100.0
    assert body_mask(Volume(array, SPACING)).sum() == 300


def test_quick_enough_for_a_published_image():
    from time import perf_counter

    y, x = np.ogrid[:512, :512]
    array = np.where(((y - 256) / 200) ** 2 + ((x - 256) / 160) ** 2 < 1, 300, 8).astype(np.int16)
    volume = Volume(np.repeat(array[None], 24, axis=0), (0.43, 0.43, 5.5))
    times = []
    for _ in range(3):
        start = perf_counter()
        body_mask(volume)
        times.append(perf_counter() - start)
    assert min(times) < 1.0  # 0.1 s on an idle core


def test_images_without_contrast_are_refused():
    with pytest.raises(ImageError, match="equal"):
        body_mask(Volume(np.full((3, 5, 5), 7), SPACING))
    broken = np.zeros((3, 5, 5))
    broken[1, 1, 1] = np.nan
    with pytest.raises(ImageError, match="not finite"):
        body_mask(Volume(broken, SPACING))
    flat = np.zeros((3, 20, 20))
    flat[:, 5:15, 5:15] = 100.0
    with pytest.raises(ImageError, match="one single intensity"):
        normalize_body(Volume(flat, SPACING))
    with pytest.raises(ImageError, match="percentiles 1 and 99 of the body are one intensity"):
        normalize_percentile(Volume(flat, SPACING))
    with pytest.raises(ImageError, match="one single intensity"):
        normalize_image(Volume(np.full((3, 5, 5), 7), SPACING))
