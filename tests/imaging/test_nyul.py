"""Histogram landmarks: against intensity-normalization, closed forms, and what their file gives away."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from radiomics_npc.errors import ConfigError, ImageError
from radiomics_npc.imaging.landmarks import Landmarks, StandardScale, image_digest
from radiomics_npc.imaging.nyul import (
    PERCENTILES,
    ImageLandmarks,
    fit_landmarks,
    image_landmarks,
    join_landmarks,
    normalize_nyul,
)
from radiomics_npc.imaging.nyul_scaler import NyulScaler
from radiomics_npc.imaging.volume import Volume

SPACING = (1.0, 1.0, 5.0)
REFERENCE = Path(__file__).parents[1] / "reference" / "nyul.csv"


def made(seed):
    """By whole-number arithmetic, so that it is the same image wherever it is made."""
    k = np.arange(4 * 24 * 20)
    value = (k * k * (seed + 3) + 7919 * k * (2 * seed + 1)) % 10007
    array = 100 + (value.astype(float) / 10007) ** (1 + seed / 3) * (400 + 150 * seed)
    return Volume(array.reshape(4, 24, 20), SPACING)


def head(seed, gain=1.0, offset=0.0):
    """A body of two tissues in air, in whole numbers where the gain is whole."""
    rng = np.random.default_rng(seed)
    array = rng.integers(0, 8, (4, 40, 36))
    array[:, 5:35, 5:31] = rng.integers(180, 260, (4, 30, 26))
    array[:, 12:28, 10:25] = rng.integers(300, 520, (4, 16, 15))
    return Volume(array * gain + offset, SPACING)


# -- numbers -----------------------------------------------------------------------------------------


def test_the_same_as_intensity_normalization():
    table = pd.read_csv(REFERENCE, comment="#")
    everything = np.ones((4, 24, 20), dtype=bool)
    volumes = [made(seed) for seed in range(5)]
    landmarks = join_landmarks({"t1": [image_landmarks(volume, body=everything) for volume in volumes[:4]]})
    standard = table[table["what"] == "standard"]
    assert landmarks.scale("t1").percentiles == tuple(standard["number"])
    np.testing.assert_allclose(landmarks.scale("t1").standard, standard["value"], rtol=0, atol=1e-11)
    for seed in (0, 3, 4):  # the last was not among those it was fitted on
        expected = table[table["what"] == f"image{seed}"]
        found = normalize_nyul(volumes[seed], landmarks.scale("t1"), body=everything).array.ravel()
        np.testing.assert_allclose(found[expected["number"].astype(int)], expected["value"], atol=1e-11)


def test_closed_form_of_a_uniform_image():
    """Percentiles of a ramp are a straight line, and so is its standard scale."""
    array = np.zeros((2, 60, 60))
    array[:, 5:55, 5:55] = np.arange(1000.0, 3500.0).reshape(50, 50)
    scale = fit_landmarks([Volume(array, SPACING)]).scale("t1")
    expected = (np.array(PERCENTILES) - 1) / 98 * 100
    np.testing.assert_allclose(scale.standard, expected, atol=1e-9)


@settings(max_examples=20, deadline=None)
@given(st.floats(0.05, 40.0), st.floats(-300, 300))
def test_gain_and_offset_of_the_scanner_cancel(gain, offset):
    scale = fit_landmarks([head(1), head(2)]).scale("t1")
    expected = normalize_nyul(head(3), scale).array
    found = normalize_nyul(head(3, gain, offset), scale).array
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


def test_landmarks_come_to_lie_on_the_standard_and_the_ends_go_on():
    volume = head(5)
    body = np.zeros(volume.array.shape, dtype=bool)
    body[:, 5:35, 5:31] = True
    scale = fit_landmarks([head(1), head(2, 3.0)]).scale("t1")
    own = np.percentile(volume.array[body], PERCENTILES)
    moved = normalize_nyul(volume, scale, body=body).array
    np.testing.assert_allclose(np.percentile(moved[body], PERCENTILES), scale.standard, atol=0.5)
    brightest = volume.array == volume.array.max()
    slope = (scale.standard[-1] - scale.standard[-2]) / (own[-1] - own[-2])
    expected = scale.standard[-1] + slope * (volume.array.max() - own[-1])
    assert expected > 100
    np.testing.assert_allclose(moved[brightest], expected, rtol=1e-12)
    assert moved.min() < 0  # air lies below the first landmark
    tenfold = normalize_nyul(volume, scale, body=body, factor=10.0).array
    np.testing.assert_allclose(tenfold, 10 * moved)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 400))
def test_the_order_of_intensities_is_kept(seed, levels):
    """Also where several landmarks are one intensity, as in an image of few levels."""
    rng = np.random.default_rng(seed)
    array = rng.integers(1, levels + 1, (2, 12, 12)).astype(float)
    array[0, 0, :2] = 1, levels
    scale = fit_landmarks([head(1), head(2)]).scale("t1")
    found = normalize_nyul(Volume(array, SPACING), scale, body=np.ones(array.shape, dtype=bool)).array
    order = np.argsort(array, axis=None, kind="stable")
    assert (np.diff(found.ravel()[order]) >= 0).all()
    assert np.isfinite(found).all()


def test_tied_landmarks_take_the_mean_of_their_places():
    array = np.ones((1, 10, 10))
    array[:, :2] = 5.0  # a fifth of the voxels: every landmark up to 80 is 1, and 90 and 99 are 5
    scale = StandardScale(PERCENTILES, (0, 9, 19, 30, 40, 50, 60, 70, 82, 94, 100))
    found = normalize_nyul(Volume(array, SPACING), scale, body=np.ones(array.shape, dtype=bool)).array
    assert found[0, 5, 0] == pytest.approx(np.mean([0, 9, 19, 30, 40, 50, 60, 70]))
    assert found[0, 0, 0] > found[0, 5, 0]


def test_images_of_one_intensity_are_refused():
    flat = Volume(np.full((2, 9, 9), 4.0), SPACING)
    body = np.ones(flat.array.shape, dtype=bool)
    with pytest.raises(ImageError, match="one intensity"):
        image_landmarks(flat, body=body)
    with pytest.raises(ImageError, match="one single intensity"):
        normalize_nyul(flat, fit_landmarks([head(1)]).scale("t1"), body=body)
    broken = head(1).array.astype(float)
    broken[0, 0, 0] = np.nan
    with pytest.raises(ImageError, match="not finite"):
        fit_landmarks([Volume(broken, SPACING)])
    with pytest.raises(ConfigError, match="no image"):
        fit_landmarks([])


# -- folds of one's own ------------------------------------------------------------------------------


def test_scaler_learns_from_the_training_fold_alone():
    training = [head(seed, gain) for seed, gain in ((1, 1), (2, 4), (3, 9))]
    scaler = NyulScaler().fit(training)
    direct = fit_landmarks(training)
    assert scaler.landmarks_.scale("image").standard == direct.scale("t1").standard
    other = head(7, 2)
    found = scaler.transform([other])[0].array
    np.testing.assert_array_equal(found, normalize_nyul(other, direct.scale("t1")).array)
    assert scaler.landmarks_.knows(image_digest(training[0]))
    assert not scaler.landmarks_.knows(image_digest(other))
    again = clone(scaler.set_params(ends=(0.0, 1.0)))
    with pytest.raises(NotFittedError):
        again.transform([other])
    np.testing.assert_allclose(again.fit(training).transform([other])[0].array, found / 100, atol=1e-12)


# -- the file ----------------------------------------------------------------------------------------


@pytest.fixture
def landmarks():
    images = {
        name: [image_landmarks(head(seed + shift)) for seed in range(3)]
        for name, shift in (("t1", 0), ("t2", 10))
    }
    return join_landmarks(images, simulated=True)


def test_file_and_back(landmarks, tmp_path):
    path = tmp_path / "landmarks.json"
    landmarks.write(path)
    again = Landmarks.read(path)
    assert again == landmarks
    assert again.digest == landmarks.digest
    first = path.read_bytes()
    again.write(path)
    assert path.read_bytes() == first
    frame = again.to_frame()
    assert frame.columns.tolist() == ["sequence", "percentile", "standard", "images", "simulated"]
    assert len(frame) == 2 * len(PERCENTILES)
    assert frame["simulated"].all()
    assert "simulated" in again._repr_html_()


def test_an_image_is_known_by_its_content(landmarks):
    seen = head(1)
    flipped = Volume(seen.array[:, ::-1].transpose(2, 0, 1).astype(np.float64), (5.0, 1.0, 1.0))
    assert landmarks.knows(image_digest(seen))
    assert landmarks.knows(image_digest(flipped))
    assert landmarks.knows(image_digest(head(11)))  # of the other sequence
    assert not landmarks.knows(image_digest(head(5)))
    assert not landmarks.knows(image_digest(head(1, 2)))


def test_two_files_tell_nothing_of_each_other(landmarks):
    """The same image has another hash in another file: nobody is recognized without the image."""
    other = join_landmarks({"t1": [image_landmarks(head(1)), image_landmarks(head(4))]})
    assert other.knows(image_digest(head(1)))
    assert landmarks.knows(image_digest(head(1)))
    assert not set(other.scale("t1").images) & set(landmarks.scale("t1").images)
    assert image_digest(head(1)) not in json.dumps(landmarks.to_dict())


def test_the_order_of_the_images_does_not_show():
    images = [image_landmarks(head(seed)) for seed in range(4)]
    one, other = join_landmarks({"t1": images}), join_landmarks({"t1": images[::-1]})
    assert one.scale("t1").images == other.scale("t1").images == tuple(sorted(one.scale("t1").images))
    np.testing.assert_allclose(one.scale("t1").standard, other.scale("t1").standard, rtol=1e-14)


def test_a_region_takes_the_scale_of_its_sequence(landmarks):
    assert landmarks.scale("t2-gtvnd") is landmarks.scale("t2")
    with pytest.raises(ConfigError, match=r"no standard scale of ce_t1 \(they have t1, t2\)"):
        landmarks.scale("ce_t1-gtvp")


def test_the_recipe_holds_what_values_depend_on_and_no_image(landmarks):
    recipe = landmarks.recipe("t1")
    assert json.loads(json.dumps(recipe)) == recipe
    assert recipe["images"] == 3
    assert recipe["simulated"] is True
    assert recipe["sha256"] == landmarks.digest
    assert not any(image in json.dumps(recipe) for image in landmarks.scale("t1").images)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("no json", "cannot be read as JSON"),
        ("[]", "no file of intensity landmarks"),
        ('{"format": "other"}', "no file of intensity landmarks"),
    ],
)
def test_other_files_are_refused(tmp_path, content, message):
    path = tmp_path / "landmarks.json"
    with pytest.raises(ConfigError, match=r"landmarks\.json does not exist") as refused:
        Landmarks.read(path)
    assert str(tmp_path) not in str(refused.value)
    path.write_text(content)
    with pytest.raises(ConfigError, match=message):
        Landmarks.read(path)


@pytest.mark.parametrize("damage", ["standard", "percentiles", "key", "version", "sequences"])
def test_damaged_files_are_refused(landmarks, damage):
    content = landmarks.to_dict()
    if damage in ("standard", "percentiles"):
        content["sequences"]["t1"][damage] = content["sequences"]["t1"][damage][::-1]
    else:
        content[damage] = {"key": "xyz", "version": 99, "sequences": {"t1": 3}}[damage]
    with pytest.raises(ConfigError):
        Landmarks.from_dict(content)


def test_landmarks_that_do_not_rise_are_refused():
    images = [ImageLandmarks((0.0, 10.0, 10.0, 20.0), "ab")]
    with pytest.raises(ConfigError, match="do not rise"):
        join_landmarks({"t1": images}, percentiles=(1, 40, 60, 99))
