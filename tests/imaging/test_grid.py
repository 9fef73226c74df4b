"""Grids: what counts as the same, exact reorientation, nearest neighbor."""

from itertools import permutations, product

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from radiomics_npc.errors import MaskError
from radiomics_npc.imaging.grid import embed_mask, grid_difference, overlap, reorient_mask
from radiomics_npc.imaging.reading import place_mask
from radiomics_npc.imaging.resampling import resample_like
from radiomics_npc.imaging.volume import Mask, Volume

RNG = np.random.default_rng(3)
ANGLE = 0.2
TURNED = (np.cos(ANGLE), -np.sin(ANGLE), 0.0, np.sin(ANGLE), np.cos(ANGLE), 0.0, 0.0, 0.0, 1.0)
IMAGE = Volume(RNG.normal(size=(5, 6, 7)), (0.5, 0.7, 5.5), (3.0, -20.0, 8.0), TURNED)
INSIDE = RNG.random((5, 6, 7)) < 0.4
SAME = Mask(INSIDE, IMAGE.spacing_mm, IMAGE.origin_mm, IMAGE.direction)


@pytest.mark.parametrize(
    ("order", "flips"), list(product(permutations(range(3)), product([False, True], repeat=3)))
)
def test_flipped_and_permuted_masks_come_back_exactly(order, flips):
    turned = sitk.Flip(sitk.PermuteAxes(SAME.to_sitk(), order), flips, False)
    placed = reorient_mask(Mask.from_sitk(turned), IMAGE)
    assert placed is not None
    np.testing.assert_array_equal(placed.array, INSIDE)
    assert grid_difference(placed, IMAGE) is None
    assert placed.origin_mm == IMAGE.origin_mm


def test_a_mask_flipped_in_the_file_but_not_in_space_is_another_grid():
    flipped = Mask(INSIDE[:, :, ::-1], IMAGE.spacing_mm, (9.0, -20.0, 8.0), IMAGE.direction)
    assert reorient_mask(flipped, IMAGE) is None


@given(st.floats(-1, 1), st.floats(-1, 1), st.floats(-1, 1))
@settings(max_examples=60, deadline=None)
def test_a_shift_is_tolerated_up_to_a_hundredth_of_a_voxel(x, y, z):
    shift = np.array([x, y, z]) * 0.01
    moved = Mask(INSIDE, IMAGE.spacing_mm, tuple(np.array(IMAGE.origin_mm) + shift), IMAGE.direction)
    distance = np.linalg.norm(shift)
    if distance < 0.0049:
        assert grid_difference(IMAGE, moved) is None
        assert place_mask(moved, IMAGE).origin_mm == IMAGE.origin_mm
    elif distance > 0.0051:
        assert "origin" in (grid_difference(IMAGE, moved) or "")
        with pytest.raises(MaskError, match="different grids: origin"):
            place_mask(moved, IMAGE)


def test_the_message_says_by_how_much():
    other = Volume(np.zeros((5, 6, 9)), (0.5, 0.7, 5.0), (6.0, -16.0, 8.0))
    message = grid_difference(IMAGE, other)
    assert message == (
        "size 7x6x5 against 9x6x5; spacing 0.5 x 0.7 x 5.5 against 0.5 x 0.7 x 5 mm; origin 5 mm apart; "
        "direction turned by 11.5 degrees"
    )


def test_a_small_turn_counts_by_what_it_displaces():
    wide = Volume(np.zeros((2, 500, 500), np.uint8), (0.5, 0.5, 5.0))
    for angle, same in ((1e-5, True), (1e-4, False)):
        cosine, sine = np.cos(angle), np.sin(angle)
        direction = (cosine, -sine, 0.0, sine, cosine, 0.0, 0.0, 0.0, 1.0)
        turned = Volume(wide.array, wide.spacing_mm, wide.origin_mm, direction)
        assert (grid_difference(wide, turned) is None) is same


def test_nearest_neighbor_on_another_grid():
    fine = Mask(np.repeat(np.repeat(INSIDE, 2, 1), 2, 2), (0.25, 0.35, 5.5), (0.0, 0.0, 0.0))
    # the first fine voxel is centered a quarter coarse voxel before the first coarse one
    coarse = Volume(np.zeros(INSIDE.shape), (0.5, 0.7, 5.5), (0.125, 0.175, 0.0))
    placed = place_mask(fine, coarse, "resample")
    np.testing.assert_array_equal(placed.array, INSIDE)
    assert placed.spacing_mm == coarse.spacing_mm
    with pytest.raises(MaskError, match="size 7x6x5 against 14x12x5"):
        place_mask(fine, coarse)


def test_a_mask_elsewhere_does_not_overlap():
    away = Mask(INSIDE, IMAGE.spacing_mm, (300.0, 0.0, 0.0), IMAGE.direction)
    assert not overlap(away, IMAGE)
    assert overlap(SAME, IMAGE)
    for way in ("error", "resample"):
        with pytest.raises(MaskError, match="do not overlap"):
            place_mask(away, IMAGE, way)
    with pytest.raises(MaskError, match="nothing of the mask"):
        resample_like(away, IMAGE, "nearest")


def _part(volume, kind, low, high):
    """Voxels from low to high (slices, rows, columns) where they lie in space."""
    first = np.array(low[::-1]) * volume.spacing_mm
    origin = np.array(volume.origin_mm) + np.array(volume.direction).reshape(3, 3) @ first
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    return kind(volume.array[box], volume.spacing_mm, tuple(origin), volume.direction)


@pytest.mark.parametrize("flips", list(product([False, True], repeat=3)))
def test_a_cropped_mask_goes_back_in_its_place(flips):
    low, high = (1, 2, 3), (4, 5, 7)
    cropped = Mask.from_sitk(sitk.Flip(_part(SAME, Mask, low, high).to_sitk(), flips, False))
    placed = place_mask(cropped, IMAGE)
    expected = np.zeros_like(INSIDE)
    expected[1:4, 2:5, 3:7] = INSIDE[1:4, 2:5, 3:7]
    np.testing.assert_array_equal(placed.array, expected)
    assert placed.origin_mm == IMAGE.origin_mm


def test_a_mask_of_more_than_the_image_is_cut_only_where_nothing_is_drawn():
    image = _part(IMAGE, Volume, (1, 1, 1), (4, 5, 6))
    with pytest.raises(MaskError, match="different grids"):
        place_mask(SAME, image)
    within = np.zeros_like(INSIDE)
    within[2, 2:4, 2:5] = True
    placed = place_mask(Mask(within, IMAGE.spacing_mm, IMAGE.origin_mm, IMAGE.direction), image)
    np.testing.assert_array_equal(placed.array, within[1:4, 1:5, 1:6])


def test_a_mask_moved_by_whole_voxels_is_no_part_of_the_image():
    """As large as the image, and next to it: the header of one of the two is wrong."""
    moved = np.array(IMAGE.origin_mm) + np.array(IMAGE.direction).reshape(3, 3) @ (0.5, 0.0, 0.0)
    mask = Mask(np.roll(INSIDE, -1, 2), IMAGE.spacing_mm, tuple(moved), IMAGE.direction)
    assert embed_mask(mask, IMAGE) is None
    with pytest.raises(MaskError, match=r"different grids: origin 0\.5 mm apart"):
        place_mask(mask, IMAGE)
