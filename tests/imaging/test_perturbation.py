"""Perturbed masks: exact volumes, moves in millimeters on oblique anisotropic grids, contours, noise."""

from dataclasses import replace

import numpy as np
import pytest

from radiomics_npc.errors import ConfigError, MaskError
from radiomics_npc.imaging.grid import grid_difference
from radiomics_npc.imaging.perturbation import Perturbation, default_perturbations, noise_level, perturb
from radiomics_npc.imaging.supervoxels import redraw_contour, supervoxels
from radiomics_npc.imaging.volume import Mask, Volume

SPACING = (0.43, 0.43, 5.5)
ORIGIN = (10.0, -20.0, 33.0)
COSINE, SINE = np.cos(0.3), np.sin(0.3)
OBLIQUE = np.array([[COSINE, -SINE, 0], [SINE, COSINE, 0], [0, 0, 1]]) @ np.array(
    [[1, 0, 0], [0, COSINE, -SINE], [0, SINE, COSINE]]
)
NOISE = 30.0


def tumor(shape=(16, 130, 130)):
    """An ellipsoid with a lump on it, no axis of symmetry; 15 cubic centimeters."""
    z, y, x = np.indices(shape, sparse=True)
    body = ((z - 7.3) * 5.5 / 22) ** 2 + ((y - 64.7) * 0.43 / 13) ** 2 + ((x - 66.2) * 0.43 / 11) ** 2 < 1
    lump = ((z - 6.3) * 5.5 / 15) ** 2 + ((y - 42) * 0.43 / 8) ** 2 + ((x - 84) * 0.43 / 6) ** 2 < 1
    return body | lump


def geometry(direction):
    return {
        "spacing_mm": SPACING,
        "origin_mm": ORIGIN,
        "direction": tuple(np.asarray(direction, float).ravel()),
    }


def made(direction):
    inside = tumor()
    random = np.random.default_rng(0)
    array = np.where(inside, 420.0, 260.0) + random.normal(0, NOISE, inside.shape)
    return Volume(array, **geometry(direction)), Mask(inside, **geometry(direction))


@pytest.fixture(scope="module", params=[np.eye(3), OBLIQUE], ids=["axial", "oblique"])
def case(request):
    return made(request.param)


@pytest.fixture(scope="module")
def oblique():
    """For what runs on voxels alone and takes long."""
    return made(OBLIQUE)


def centroid_mm(mask):
    """By SimpleITK's own geometry."""
    index = np.argwhere(mask.array)[:, ::-1].mean(axis=0)
    return np.array(mask.to_sitk().TransformContinuousIndexToPhysicalPoint(index.tolist()))


def dice(a, b):
    return 2 * (a.array & b.array).sum() / (a.array.sum() + b.array.sum())


def test_nothing_changed_is_the_same_object(case):
    image, mask = perturb(*case, Perturbation("original", seed=3, moves="both"))
    assert image is case[0]
    assert mask is case[1]


@pytest.mark.parametrize("fraction", [0.15, 0.1, -0.1, -0.15, 0.5, -0.5])
def test_volume_changes_by_exactly_what_is_asked(case, fraction):
    before = case[1].array
    after = perturb(*case, Perturbation("a", grow=fraction))[1].array
    assert after.sum() == round(before.sum() * (1 + fraction))
    assert (after >= before).all() if fraction > 0 else (after <= before).all()


def test_growth_goes_to_the_nearest_voxels_in_millimeters(case):
    from scipy import ndimage

    before = case[1].array
    after = perturb(*case, Perturbation("a", grow=0.15))[1].array
    away = ndimage.distance_transform_edt(~before, sampling=SPACING[::-1])
    assert away[after].max() <= away[~after].min() + 1e-9
    # so slices 5.5 mm apart gain none while 1 mm within a slice is enough
    assert np.flatnonzero(after.any(axis=(1, 2))).tolist() == np.flatnonzero(before.any(axis=(1, 2))).tolist()


def test_growth_finds_the_same_voxels_whether_the_box_is_cut_or_whole():
    """A rod grows sideways only a little; a plate at the edge of the image must grow inwards."""
    array = np.zeros((8, 40, 40), bool)
    array[0] = True
    image, mask = Volume(np.zeros(array.shape), (1.0, 1.0, 1.0)), Mask(array, (1.0, 1.0, 1.0))
    grown = perturb(image, mask, Perturbation("a", grow=6.0))[1]
    assert grown.array[:7].all()
    assert not grown.array[7].any()


@pytest.mark.parametrize(
    ("steps", "through"),
    [((1, 0, 0), 0.1), ((0.2, 0, 0), 0.1), ((-0.1, 0.15, 0), 0.1), ((0, 0, 1), 0.15), ((3, -2, 4), 0.25)],
)
def test_translation_moves_the_centroid_by_the_millimeters_asked(case, steps, through):
    mask = case[1]
    moved = perturb(*case, Perturbation("a", translate_mm=steps))[1]
    found = np.reshape(mask.direction, (3, 3)).T @ (centroid_mm(moved) - centroid_mm(mask))
    np.testing.assert_allclose(found[:2], steps[:2], rtol=0, atol=0.06)
    assert found[2] == pytest.approx(steps[2], abs=through)
    assert moved.array.sum() == mask.array.sum()
    assert grid_difference(mask, moved) is None


def test_whole_voxels_move_the_mask_as_it_is(case):
    mask = case[1]
    moved = perturb(*case, Perturbation("a", translate_voxels=(4, -3, 1)))[1]
    assert dice(moved, replace(mask, array=np.roll(mask.array, (1, -3, 4), (0, 1, 2)))) > 0.995
    same = perturb(*case, Perturbation("a", translate_mm=(4 * 0.43, -3 * 0.43, 5.5)))[1]
    np.testing.assert_array_equal(same.array, moved.array)


@pytest.mark.parametrize("degrees", [5, -12, 90])
def test_rotation_stays_in_the_slice_about_the_centroid(case, degrees):
    mask = case[1]
    turned = perturb(*case, Perturbation("a", rotate_degrees=degrees))[1]
    np.testing.assert_allclose(centroid_mm(turned), centroid_mm(mask), rtol=0, atol=0.08)
    # the volume is kept in all, and within every slice that is not a cap
    assert turned.array.sum() == mask.array.sum()
    areas = mask.array.sum(axis=(1, 2))
    thick = areas > 500
    np.testing.assert_allclose(turned.array.sum(axis=(1, 2))[thick], areas[thick], rtol=0.04)
    back = perturb(case[0], turned, Perturbation("a", rotate_degrees=-degrees))[1]
    assert dice(back, mask) > 0.98
    assert dice(turned, mask) < 0.99


def test_rotation_turns_the_right_way(case):
    """By 90 degrees about the slice normal, x becomes y."""
    mask = case[1]
    turned = perturb(*case, Perturbation("a", rotate_degrees=90))[1]
    where = np.argwhere(mask.array)
    _, y, x = where.mean(axis=0)
    found = []
    for sign in (1, -1):
        expected = np.zeros_like(mask.array)
        rows, columns = y + sign * (where[:, 2] - x), x - sign * (where[:, 1] - y)
        expected[where[:, 0], np.rint(rows).astype(int), np.rint(columns).astype(int)] = True
        found.append(dice(turned, replace(mask, array=expected)))
    assert found[0] > 0.98
    assert found[1] < 0.97


def test_image_and_mask_move_together(case):
    image, mask = case
    both = Perturbation("a", rotate_degrees=6, translate_mm=(2, 1, 0), moves="both")
    moved_image, moved_mask = perturb(image, mask, both)
    assert moved_image.array[moved_mask.array].mean() == pytest.approx(
        image.array[mask.array].mean(), rel=0.005
    )
    left_behind = perturb(image, mask, replace(both, moves="mask"))
    assert left_behind[0] is image
    assert image.array[left_behind[1].array].mean() < image.array[mask.array].mean() - 5
    np.testing.assert_array_equal(left_behind[1].array, moved_mask.array)


def test_contour_follows_the_image_and_differs_by_seed(oblique):
    image, mask = oblique
    first, again = (perturb(image, mask, Perturbation("a", contour=True, seed=1))[1] for _ in range(2))
    np.testing.assert_array_equal(first.array, again.array)
    assert 0.85 < dice(first, mask) < 0.999
    assert first.array.sum() == pytest.approx(mask.array.sum(), rel=0.15)
    flat = replace(image, array=np.random.default_rng(5).normal(size=mask.array.shape))
    drawn = [perturb(flat, mask, Perturbation("a", contour=True, seed=seed))[1] for seed in (1, 2)]
    assert not np.array_equal(drawn[0].array, drawn[1].array)
    # where the image shows an edge, the contour stays at it; where it shows none, it strays
    assert 0.7 < dice(drawn[0], mask) < dice(first, mask)


def test_supervoxels_are_even_in_millimeters(oblique):
    labels = supervoxels(*oblique, volume_mm3=500.0)
    sizes = np.bincount(labels.ravel())[1:] * oblique[0].voxel_mm3
    assert 300 < np.median(sizes[sizes > 0]) < 700


def test_a_tumor_smaller_than_a_supervoxel_is_never_lost():
    inside = np.zeros((6, 40, 40), bool)
    inside[3, 20:23, 20:23] = True
    image = Volume(np.random.default_rng(0).normal(size=inside.shape), SPACING)
    for seed in range(5):
        drawn = redraw_contour(image, Mask(inside, SPACING), np.random.default_rng(seed))
        assert drawn.array.any()


def test_a_contour_at_the_edge_of_the_image_stays_there():
    inside = np.zeros((5, 40, 40), bool)
    inside[:, 8:32, 8:32] = True
    image = Volume(np.where(inside, 100.0, 0.0), (1.0, 1.0, 5.0))
    drawn = perturb(image, Mask(inside, (1.0, 1.0, 5.0)), Perturbation("a", contour=True))[1]
    assert drawn.array[[0, -1]].any(axis=(1, 2)).all()
    assert dice(drawn, Mask(inside, (1.0, 1.0, 5.0))) > 0.95


def test_noise_is_estimated_and_added(case):
    image, mask = case
    assert noise_level(image, mask) == pytest.approx(NOISE, rel=0.03)
    # a plane of intensities holds no noise, however steep
    steep = image.array + 20.0 * np.arange(130) - 9.0 * np.arange(130)[:, None]
    assert noise_level(replace(image, array=steep), mask) == pytest.approx(NOISE, rel=0.03)
    noisy, same = perturb(image, mask, Perturbation("a", noise=2.0))
    assert same is mask
    added = noisy.array - image.array
    assert added.std() == pytest.approx(2 * noise_level(image, mask), rel=0.01)
    assert abs(added.mean()) < 0.5
    assert noise_level(noisy, mask) == pytest.approx(NOISE * np.sqrt(5), rel=0.05)


def test_integers_take_noise(oblique):
    whole = replace(oblique[0], array=oblique[0].array.astype(np.int16))
    noisy, _ = perturb(whole, oblique[1], Perturbation("a", noise=0.5))
    assert noisy.array.dtype == np.float64
    assert not np.array_equal(noisy.array, noisy.array.round())


def test_patients_draw_different_noise_from_one_seed(oblique):
    image, mask = oblique
    other = replace(mask, array=np.roll(mask.array, 1, axis=2))
    noisy = [perturb(image, m, Perturbation("a", noise=1.0))[0].array - image.array for m in (mask, other)]
    assert abs(np.corrcoef(noisy[0].ravel()[:100000], noisy[1].ravel()[:100000])[0, 1]) < 0.02


def test_a_chain_does_its_parts_in_order(oblique):
    image, mask = oblique
    chain = Perturbation("a", rotate_degrees=4, grow=-0.1, contour=True, seed=7)
    drawn = perturb(image, mask, chain)[1]
    np.testing.assert_array_equal(drawn.array, perturb(image, mask, chain)[1].array)
    without = perturb(image, mask, replace(chain, contour=False))[1]
    assert without.array.sum() == round(0.9 * mask.array.sum())
    assert 0.8 < dice(drawn, without) < 0.999


@pytest.mark.parametrize(
    ("perturbation", "message"),
    [
        (Perturbation("a", translate_mm=(500, 0, 0)), "leave the image"),
        (Perturbation("a", grow=-0.99999), "cannot change"),
        (Perturbation("a", grow=100.0), "cannot change"),
    ],
)
def test_a_mask_that_would_be_lost_is_an_error(case, perturbation, message):
    with pytest.raises(MaskError, match=message):
        perturb(*case, perturbation)
    with pytest.raises(MaskError, match="empty"):
        perturb(case[0], replace(case[1], array=np.zeros_like(case[1].array)), perturbation)


def test_a_mask_that_leaves_in_part_loses_that_part():
    inside = np.zeros((6, 60, 60), bool)
    inside[1:5, 20:40, 20:40] = True
    image, mask = Volume(np.zeros(inside.shape), (1.0, 1.0, 3.0)), Mask(inside, (1.0, 1.0, 3.0))
    moved = perturb(image, mask, Perturbation("a", translate_mm=(30, 0, 0)))[1]
    assert moved.array.sum() == inside.sum() / 2
    assert not moved.array[:, :, :49].any()


def test_one_slice_and_one_voxel_can_be_moved():
    for shape in [(1, 20, 20), (9, 20, 20)]:
        inside = np.zeros(shape, bool)
        inside[shape[0] // 2, 10, 10] = True
        image, mask = Volume(np.zeros(shape), SPACING), Mask(inside, SPACING)
        moved = perturb(image, mask, Perturbation("a", translate_voxels=(2, 0, 0), rotate_degrees=3))[1]
        assert np.argwhere(moved.array).tolist() == [[shape[0] // 2, 10, 12]]


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""}, {"noise": -1.0}, {"grow": -1.0}, {"seed": -1}, {"moves": "image"},
        {"translate_mm": (1.0, 2.0)}, {"rotate_degrees": np.nan},
    ],
)  # fmt: skip
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ConfigError):
        Perturbation(**({"name": "a"} | wrong))


def test_default_set_begins_with_the_original_and_has_distinct_keys():
    found = default_perturbations(4)
    assert len({p.name for p in found}) == len(found) == 8
    assert [p.is_identity for p in found] == [True] + [False] * 7
    assert len({str(p.to_dict()) for p in found}) == 8
    assert default_perturbations(4) == found != default_perturbations(5)


def test_a_flat_tumor_still_has_an_edge():
    """With one value inside there is no spread to cut the intensities by."""
    z, y, x = np.indices((8, 60, 60), sparse=True)
    inside = ((z - 4) * 5.5 / 18) ** 2 + ((y - 30) / 18) ** 2 + ((x - 30) / 18) ** 2 < 1
    spacing = (1.0, 1.0, 5.5)
    image = Volume(np.where(inside, 2, 1), spacing)
    drawn = perturb(image, Mask(inside, spacing), Perturbation("a", contour=True))[1]
    assert dice(drawn, Mask(inside, spacing)) > 0.85
