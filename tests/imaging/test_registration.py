"""Registration against motions that are known exactly, and what is said of its quality."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
from sklearn.metrics import mutual_info_score

from benchmarks.registration import pair
from radiomics_npc.errors import CohortError, ConfigError, ImageError
from radiomics_npc.imaging.registration import move_image, register, registration_distance
from radiomics_npc.imaging.registration_quality import assess_registration, target_registration_error
from radiomics_npc.imaging.registration_result import Registration
from radiomics_npc.imaging.similarity import checkerboard, mutual_information
from tests.imaging.heads_in_space import direction_of, image, landmarks, motion

AXES = ["x_mm", "y_mm", "z_mm"]
TURN, SHIFT = motion((4.0, -3.0, 5.0), (5.0, -4.0, 3.0))


def moved_head(turn=TURN, shift=SHIFT, **options):
    """The second contrast of the head after a motion; at q it shows what was at ``turn.T @ (q - shift)``."""
    return image(1, lambda q: (q - shift) @ turn, seed=1, **options)


@pytest.fixture(scope="module")
def fixed():
    return image()


@pytest.fixture(scope="module")
def moving():
    return moved_head()


@pytest.fixture(scope="module")
def rigid(fixed, moving):
    return register(moving, fixed)


def errors(registration, turn=TURN, shift=SHIFT):
    points = landmarks()
    return np.linalg.norm(registration.transform_points(points) - (points @ turn.T + shift), axis=1)


def test_a_known_motion_between_contrasts_is_found(rigid):
    assert errors(Registration("rigid")).mean() > 7
    # the search sees voxels of 5.2 x 5.2 x 5.5 mm
    assert errors(rigid).mean() < 0.6
    assert errors(rigid).max() < 1
    cosine = (np.trace(TURN) - 1) / 2
    assert rigid.rotation_degrees == pytest.approx(np.degrees(np.arccos(cosine)), abs=0.6)
    assert rigid.metric_after > rigid.metric_before + 0.1
    assert rigid.iterations > 0
    assert rigid.seconds > 0
    assert "olerance" in rigid.stop_reason or "terations" in rigid.stop_reason


def test_an_image_is_where_it_is(fixed):
    found = register(fixed, fixed)
    assert errors(found, np.eye(3), np.zeros(3)).max() < 0.6
    assert found.shift_mm < 0.3
    assert found.rotation_degrees < 0.5


def test_grids_may_be_oblique_and_unlike(fixed):
    # sagittal slices, tilted, of another size
    tilted = np.reshape(direction_of((6.0, 3.0, -8.0)), (3, 3)) @ np.array([[0, 0, 1], [1, 0, 0], [0, -1, 0]])
    other = moved_head(size=(90, 70, 30), spacing=(2.2, 2.2, 5.0), direction=tuple(tilted.ravel()))
    assert errors(register(other, fixed)).max() < 1


def test_headers_of_another_frame_of_reference(fixed, moving):
    away = replace(moving, origin_mm=tuple(np.add(moving.origin_mm, (400.0, -250.0, 90.0)).tolist()))
    found = register(away, fixed)
    assert found.metric_before == 0
    assert errors(found, TURN, SHIFT + np.array([400.0, -250.0, 90.0])).max() < 1


def test_the_same_bits_with_any_number_of_threads_and_the_number_stays(fixed, moving, rigid):
    before = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(3)
    try:
        assert register(moving, fixed) == rigid
        assert sitk.ProcessObject.GetGlobalDefaultNumberOfThreads() == 3
    finally:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(before)


@pytest.mark.slow
def test_a_spline_follows_what_bends_and_a_rigid_motion_cannot(fixed):
    def bent(p):
        bump = np.exp(-((p - (0, 30, -20)) ** 2).sum(axis=1) / (2 * 40**2))[:, None]
        return p + bump * (3.0, 6.0, 0.0)

    points = landmarks()
    truth = bent(points)  # the unbent head, as moving image, has there what the bent one has at points
    found = {m: register(image(1, seed=1), image(0, bent), m) for m in ("rigid", "bspline")}
    mean = {m: np.linalg.norm(r.transform_points(points) - truth, axis=1).mean() for m, r in found.items()}
    assert mean["bspline"] < 0.7 * mean["rigid"]
    spline = found["bspline"]
    assert spline.deformation is not None
    again = Registration.from_dict(json.loads(json.dumps(spline.to_dict(), allow_nan=False)))
    assert again == spline
    by_itk = [spline.to_sitk().TransformPoint(point.tolist()) for point in points]
    np.testing.assert_allclose(spline.transform_points(points), by_itk, atol=1e-9)
    with pytest.raises(ImageError, match="cannot be inverted"):
        spline.inverse()


@pytest.mark.slow
def test_the_recipe_of_deu_hardly_moves(fixed, moving):
    found = register(moving, fixed, "deu", random_state=3)
    assert found.iterations <= 300
    assert found.shift_mm < 2 < np.linalg.norm(SHIFT)
    assert not assess_registration(found, moving, fixed).ok


def test_points_as_itk_moves_them_and_back(rigid):
    points = landmarks()
    there = rigid.transform_points(points)
    by_itk = [rigid.to_sitk().TransformPoint(point.tolist()) for point in points]
    np.testing.assert_allclose(there, by_itk, atol=1e-9)
    np.testing.assert_allclose(rigid.inverse().transform_points(there), points, atol=1e-9)
    twice = rigid.inverse().inverse()
    np.testing.assert_allclose(twice.transform_points(points), there, atol=1e-9)


def test_plain_json_and_nothing_else(rigid):
    text = json.dumps(rigid.to_dict(), allow_nan=False)
    again = Registration.from_dict(json.loads(text))
    assert again == rigid
    np.testing.assert_array_equal(again.transform_points(landmarks()), rigid.transform_points(landmarks()))
    assert json.dumps(again.to_dict()) == text


@pytest.mark.parametrize(
    "change", [{"format": 2}, {"matrix": None}, {"unknown": 1}, {"center_mm": ["a"] * 3}]
)
def test_what_is_no_registration_is_refused(change):
    content = Registration("rigid").to_dict() | change
    with pytest.raises(ConfigError, match=r"registration"):
        Registration.from_dict(content)
    with pytest.raises(ConfigError, match="no registration"):
        Registration.from_dict({})


def test_images_that_cannot_be_registered(fixed):
    flat = replace(fixed, array=np.ones(fixed.array.shape))
    with pytest.raises(ImageError, match="one value only"):
        register(flat, fixed)
    hole = fixed.array.copy()
    hole[3, 4, 5] = np.nan
    with pytest.raises(ImageError, match="not finite"):
        register(fixed, replace(fixed, array=hole))
    with pytest.raises(ImageError, match="fewer than 4"):
        register(fixed, replace(fixed, array=fixed.array[:2]))
    with pytest.raises(ConfigError, match="affine"):
        register(fixed, fixed, "affine")


def test_a_moved_image_keeps_the_grid_and_knows_where_it_ends(fixed):
    step = Registration("rigid", translation_mm=(2 * fixed.spacing_mm[0], 0.0, 0.0))
    moved = move_image(fixed, step, fixed)
    np.testing.assert_allclose(moved.array[..., :-2], fixed.array[..., 2:], atol=1e-9)
    assert np.isnan(moved.array[..., -2:]).all()
    assert (moved.spacing_mm, moved.origin_mm) == (fixed.spacing_mm, fixed.origin_mm)


def test_the_distance_of_two_registrations(fixed):
    a, b = Registration("rigid"), Registration("rigid", translation_mm=(2.0, 3.0, 6.0))
    assert registration_distance(a, b, fixed) == pytest.approx(7.0)
    assert registration_distance(a, a, fixed) == 0


# -- quality ---------------------------------------------------------------------------------


def points_table(points, names=None):
    return pd.DataFrame(points, index=names, columns=AXES)


@pytest.mark.parametrize(
    ("lengths", "meets"),
    [((1.9, 1.9), True), ((2.0, 2.0), False), ((0.0, 0.0, 4.9), True), ((0.0, 0, 5.0), False)],
)
def test_target_registration_error_and_its_verdict(lengths, meets):
    turned = Registration("rigid", (0.0, -1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0))
    fixed_points = np.arange(3 * len(lengths), dtype=float).reshape(-1, 3)
    off = np.zeros_like(fixed_points)
    off[:, 1] = lengths
    names = [f"n{k}" for k in range(len(lengths))]
    shuffled = points_table(turned.transform_points(fixed_points) + off, names)[::-1]
    found = target_registration_error(turned, points_table(fixed_points, names), shuffled)
    np.testing.assert_allclose(found.errors_mm[names], lengths, atol=1e-12)
    assert (found.mean_mm, found.max_mm) == (pytest.approx(np.mean(lengths)), pytest.approx(max(lengths)))
    assert found.meets_tg132 is meets
    assert bool(found.to_frame()["meets_tg132"][0]) is meets
    assert "mean_mm" in found._repr_html_()


def test_tables_of_landmarks_that_say_nothing():
    sound = points_table([[0.0, 0, 0]], ["a"])
    for other, what in (
        (sound.rename(columns={"x_mm": "x"}), "lacks"),
        (pd.concat([sound, sound]), "twice"),
        (sound * np.nan, "no number"),
        (sound.rename(index={"a": "b"}), "no landmark is in both"),
    ):
        with pytest.raises(CohortError, match=what):
            target_registration_error(Registration("rigid"), sound, other)


def test_mutual_information_as_scikit_learn_has_it(fixed, moving):
    for bins in (8, 32, 50):
        labels = [
            np.clip(np.digitize(a, np.histogram_bin_edges(a, bins)) - 1, 0, bins - 1).ravel()
            for a in (fixed.array, moving.array)
        ]
        found = mutual_information(fixed.array, moving.array, bins)
        assert found == pytest.approx(mutual_info_score(*labels), abs=1e-12)
        assert found == pytest.approx(mutual_information(moving.array, fixed.array, bins), abs=1e-12)


def test_mutual_information_in_closed_form():
    assert mutual_information(np.repeat([0, 1, 2, 3], 25), np.repeat([9, 5, 7, 1], 25)) == pytest.approx(
        np.log(4)
    )
    a, b = np.indices((6, 10))
    assert mutual_information(a, b) == pytest.approx(0, abs=1e-12)
    rng = np.random.default_rng(0)
    x = rng.normal(size=400_000)
    y = 0.8 * x + 0.6 * rng.normal(size=x.size)
    assert mutual_information(x, y, 64) == pytest.approx(-0.5 * np.log(1 - 0.8**2), abs=0.02)
    assert mutual_information([1.0, np.nan], [2.0, 3.0]) == 0
    gaps = mutual_information([0, 1, 2, np.nan, 5], [4, 3, 1, 0, np.inf])
    assert gaps == pytest.approx(np.log(3))


def test_a_sound_registration_has_no_flag(rigid, fixed, moving):
    found = assess_registration(rigid, moving, fixed)
    assert found.ok, found
    assert found.return_mm < 1
    assert found.mutual_information_after > found.mutual_information_before
    assert found.body_dice_after > max(0.95, found.body_dice_before)
    assert found.least_jacobian == 1
    assert json.dumps(found.to_dict(), allow_nan=False)
    assert found.to_frame().shape[0] == 1
    assert "return_mm" in found._repr_html_()


def test_what_went_wrong_is_flagged(fixed, moving):
    unmoved = assess_registration(Registration("rigid"), moving, fixed)
    assert "not_reproducible" in unmoved.flags
    gone = assess_registration(Registration("rigid", translation_mm=(900.0, 0.0, 0.0)), moving, fixed)
    assert {"no_gain", "little_overlap", "large_motion", "not_reproducible"} <= set(gone.flags)
    assert json.loads(json.dumps(gone.to_dict(), allow_nan=False))["return_mm"] is None


@pytest.mark.slow
def test_a_registration_far_off_is_flagged_by_all_that_can_see_it(fixed, moving):
    far = assess_registration(Registration("rigid", translation_mm=(45.0, 0.0, 0.0)), moving, fixed)
    assert {"no_gain", "not_reproducible", "outlines_differ", "large_motion"} <= set(far.flags)


def test_a_checkerboard():
    fixed, moved = np.zeros((16, 24)), np.ones((16, 24))
    fixed[0], moved[0] = 1, 0
    board = checkerboard(fixed, moved, squares=3)
    assert board.shape == (16, 24)
    assert board[1:8, :8].max() == 0
    assert board[1:8, 8:16].min() == 1
    assert board[8:, :8].min() == 1
    holes = checkerboard(fixed, np.where(moved, np.nan, 0))
    assert np.isfinite(holes).all()
    with pytest.raises(ImageError, match="same shape"):
        checkerboard(fixed, moved.T)


def test_the_two_halves_of_a_checkerboard_of_one_image_fit(fixed):
    picture = fixed.array[8]
    board = checkerboard(picture, picture)
    low, high = np.percentile(picture, [1, 99])
    np.testing.assert_allclose(board, np.clip((picture - low) / (high - low), 0, 1))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))  # T1 with T2 and with CE-T1 by turns
def test_simulated_heads(seed):
    """Forty of them, and registrations that fail: ``python -m benchmarks.registration``."""
    head = pair(seed)
    points, truth = points_table(head.landmarks), points_table(head.true_points(head.landmarks))
    found = target_registration_error(register(head.moving, head.fixed), points, truth)
    assert found.meets_tg132
    assert found.mean_mm < 1
