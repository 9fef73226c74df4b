"""Masks carried along with a registration, against masks drawn on the other grid."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.displaced_heads import mask_on_shifted_grids
from radiomics_npc.errors import ConfigError, MaskError
from radiomics_npc.imaging.mask_moving import move_mask
from radiomics_npc.imaging.registration_result import Deformation, Registration
from radiomics_npc.imaging.volume import Mask, Volume
from tests.imaging.heads_in_space import direction_of, motion

STILL = Registration("rigid")
BOTH = ("nearest", "level_set")


def ball(
    center=(0.0, 0.0, 0.0),
    radii=(14.0, 11.0, 16.0),
    size=(80, 70, 14),
    spacing=(0.9, 0.9, 5.5),
    direction=None,
    shift=0.0,
):
    """An ellipsoid drawn on any grid: voxels whose middle lies in it. ``shift``: of the grid, in slices."""
    direction = direction or direction_of()
    axes = np.reshape(direction, (3, 3)) * np.array(spacing)
    origin = -axes @ ((np.array(size) - 1) / 2 - np.array([0, 0, shift]))
    index = np.indices(size[::-1], dtype=float)[::-1].reshape(3, -1).T
    points = origin + index @ axes.T
    inside = (((points - center) / radii) ** 2).sum(axis=1) < 1
    return Mask(inside.reshape(size[::-1]), spacing, tuple(origin.tolist()), tuple(direction))


def dice(a, b):
    return 2 * (a.array & b.array).sum() / (a.array.sum() + b.array.sum())


@pytest.mark.parametrize("how", BOTH)
def test_on_its_own_grid_a_mask_stays_as_it_is(how):
    mask = ball()
    np.testing.assert_array_equal(move_mask(mask, STILL, mask, how).array, mask.array)


@pytest.mark.parametrize("how", BOTH)
def test_whole_voxels_are_moved_exactly(how):
    mask = ball(center=(3.0, -5.0, 0.0))
    step = np.array(mask.spacing_mm) * (4, -7, 1)
    moved = move_mask(mask, Registration("rigid", translation_mm=tuple((-step).tolist())), mask, how)
    np.testing.assert_array_equal(moved.array, np.roll(mask.array, (1, -7, 4), axis=(0, 1, 2)))


@pytest.mark.parametrize("how", BOTH)
def test_a_rotation_onto_an_oblique_grid(how):
    turn, shift = motion((5.0, -4.0, 7.0), (6.0, 3.0, -4.0))
    # what lies at p in the fixed image lies at turn @ p + shift in the moving one
    there = Registration("rigid", tuple(turn.ravel().tolist()), translation_mm=tuple(shift.tolist()))
    mask = ball(radii=(15.0, 15.0, 15.0), center=tuple(shift))
    like = ball(radii=(15.0, 15.0, 15.0), direction=direction_of((8.0, 2.0, -5.0)), spacing=(0.8, 0.8, 4.4))
    moved = move_mask(mask, there, like, how)
    assert dice(moved, like) > (0.92 if how == "level_set" else 0.85)
    assert (moved.spacing_mm, moved.origin_mm, moved.direction) == (
        like.spacing_mm,
        like.origin_mm,
        like.direction,
    )


@pytest.mark.parametrize("shift", [0.25, 0.5, 0.75])
def test_half_a_slice_costs_less_by_level_set(shift):
    mask, truth = ball(), ball(shift=shift)
    by = {how: dice(move_mask(mask, STILL, truth, how), truth) for how in BOTH}
    assert by["level_set"] > by["nearest"] + 0.02
    assert by["level_set"] > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("volume_cm3", [3.0, 30.0])
def test_simulated_tumors_half_a_slice_away(volume_cm3):
    mask, truth = mask_on_shifted_grids(1, volume_cm3, (0.0, 0.5))
    by = {how: move_mask(mask, STILL, truth, how) for how in BOTH}
    assert dice(by["level_set"], truth) > dice(by["nearest"], truth) + 0.05
    assert by["level_set"].array.sum() == pytest.approx(mask.array.sum(), rel=0.02)


def test_the_volume_stays_on_other_voxels():
    mask = ball()
    for spacing, size in (((0.9, 0.9, 2.75), (80, 70, 28)), ((0.45, 0.45, 5.5), (160, 140, 14))):
        like = ball(spacing=spacing, size=size)
        moved = move_mask(mask, STILL, like)
        before, after = (m.array.sum() * m.voxel_mm3 for m in (mask, moved))
        assert after == pytest.approx(before, rel=0.02)


def test_what_lies_beyond_the_image_does_not_count():
    mask = ball()
    half = replace(mask, array=mask.array[:, :, :40])  # up to the middle of the ball
    moved = move_mask(mask, STILL, half)
    np.testing.assert_array_equal(moved.array, mask.array[:, :, :40])


def test_a_spline_moves_a_mask_along():
    mask = ball(center=(6.0, 0.0, 0.0))
    grid = (5.0, 5.0, 5.0, -300.0, -300.0, -300.0, 150.0, 150.0, 150.0, 1, 0, 0, 0, 1, 0, 0, 0, 1)
    # equal shifts of all knots are a translation
    shifts = tuple([6.3] * 125 + [0.0] * 250)
    moved = move_mask(mask, Registration("bspline", deformation=Deformation(grid, shifts)), ball())
    assert dice(moved, ball(center=(-0.3, 0.0, 0.0))) > 0.97


@pytest.mark.parametrize("how", BOTH)
def test_masks_that_cannot_be_moved(how):
    mask = ball()
    with pytest.raises(MaskError, match="nothing of the moved mask"):
        move_mask(mask, Registration("rigid", translation_mm=(500.0, 0.0, 0.0)), mask, how)
    with pytest.raises(MaskError, match="empty"):
        move_mask(replace(mask, array=np.zeros(mask.array.shape, bool)), STILL, mask, how)


def test_an_interpolation_that_does_not_exist():
    with pytest.raises(ConfigError, match="cubic"):
        move_mask(ball(), STILL, ball(), "cubic")


def test_a_mask_that_fills_its_grid():
    full = Mask(np.ones((4, 6, 6)), (1.0, 1.0, 5.0))
    like = Volume(np.zeros((4, 10, 10)), (1.0, 1.0, 5.0), (-2.0, -2.0, 0.0))
    moved = move_mask(full, STILL, like)
    expected = np.zeros((4, 10, 10), dtype=bool)
    expected[:, 2:8, 2:8] = True
    np.testing.assert_array_equal(moved.array, expected)
