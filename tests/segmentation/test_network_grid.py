"""The grid of the network: whatever way a head is stored, the same voxels of it are found."""

from dataclasses import replace
from itertools import permutations, product

import numpy as np
import pytest

from radiomics_npc.errors import ImageError
from radiomics_npc.imaging.volume import Volume
from radiomics_npc.segmentation.network_grid import (
    find_frame,
    from_network,
    reference_sequence,
    resample,
    to_network,
)
from radiomics_npc.segmentation.overlap import count_overlap
from radiomics_npc.segmentation.slabs import NetworkGrid, slab_indices

GRID = NetworkGrid(window=96)
CLINICAL = ((256, 256, 24), (0.86, 0.86, 5.5))
FINE = ((512, 512, 24), (0.43, 0.43, 5.5))


def turn(degrees_x, degrees_y=0.0, degrees_z=0.0):
    a, b, c = np.radians([degrees_x, degrees_y, degrees_z])
    x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return x @ y @ z


def empty(size, spacing, direction=None, middle=(0.0, 0.0, 0.0)):
    """Zeros whose middle lies at a point."""
    direction = np.eye(3) if direction is None else direction
    half = direction @ ((np.array(size) - 1) / 2 * np.array(spacing))
    origin = tuple((np.array(middle) - half).tolist())
    return Volume(np.zeros(size[::-1], np.float32), spacing, origin, tuple(direction.ravel().tolist()))


def points(volume):
    """Positions in mm of all voxels, three arrays of the volume's shape."""
    index = np.indices(volume.array.shape, dtype=float)[::-1].reshape(3, -1)
    axes = np.reshape(volume.direction, (3, 3)) * np.array(volume.spacing_mm)
    where = np.array(volume.origin_mm)[:, None] + axes @ index
    return where.reshape(3, *volume.array.shape)


def head(volume, center=(5.0, -8.0, 0.0)):
    """A smooth head, long from front to back, brighter to the left, to the front and at the top."""
    x, y, z = (w - c for w, c in zip(points(volume), center, strict=True))
    inside = (x / 60) ** 2 + (y / 75) ** 2 + (z / 140) ** 2 < 1
    return replace(volume, array=(inside * (300 + 1.2 * x - 0.9 * y + 0.7 * z)).astype(np.float32))


def sphere(volume, radius=15.0, center=(8.0, -3.0, 4.0)):
    x, y, z = (w - c for w, c in zip(points(volume), center, strict=True))
    return replace(volume, array=(x**2 + y**2 + z**2 < radius**2).astype(np.float32))


def stored_otherwise(volume, order, flips):
    """The same voxels with the axes x, y, z in another order and sense."""
    direction = np.reshape(volume.direction, (3, 3)).copy()
    array, origin = volume.array, np.array(volume.origin_mm)
    for k in range(3):
        if flips[k]:
            array = np.flip(array, 2 - k)
            origin = origin + direction[:, k] * volume.spacing_mm[k] * (array.shape[2 - k] - 1)
            direction[:, k] *= -1
    array = array.transpose([2 - order[2 - k] for k in range(3)])
    return Volume(
        np.ascontiguousarray(array),
        tuple(volume.spacing_mm[j] for j in order),
        tuple(origin.tolist()),
        tuple(direction[:, list(order)].ravel().tolist()),
    )


STORED = [(order, flips) for order in permutations(range(3)) for flips in product((0, 1), repeat=3)]


@pytest.mark.parametrize(("order", "flips"), STORED[::3])
def test_same_head_in_any_order_of_axes(order, flips):
    plain = head(empty((128, 128, 12), (1.7, 1.7, 6.0), turn(9.0, 3.0, -4.0)))
    stored = stored_otherwise(plain, order, flips)
    expected, other = find_frame({"t2": plain}, GRID), find_frame({"t2": stored}, GRID)
    assert other.shape == expected.shape
    np.testing.assert_allclose(other.origin_mm, expected.origin_mm, rtol=0, atol=1e-12)
    np.testing.assert_allclose(other.direction, expected.direction, rtol=0, atol=1e-12)
    np.testing.assert_allclose(resample(stored, other), resample(plain, expected), rtol=1e-5, atol=0.02)


@pytest.mark.parametrize(("order", "flips"), STORED[1::5])
def test_a_mask_lands_on_the_same_place(order, flips):
    plain = head(empty((128, 128, 12), (1.7, 1.7, 6.0), turn(-7.0)))
    stored = stored_otherwise(plain, order, flips)
    frame = find_frame({"t2": stored}, GRID)
    back = from_network(resample(sphere(plain), frame), frame, stored)
    expected = from_network(resample(sphere(plain), find_frame({"t2": plain}, GRID)), frame, plain)
    expected = stored_otherwise(replace(plain, array=expected), order, flips).array
    np.testing.assert_allclose(back, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("size", "spacing"), [CLINICAL, FINE])
@pytest.mark.parametrize("tilt", [0.0, 14.0])
def test_a_sphere_comes_back(size, spacing, tilt):
    image = head(empty(size, spacing, turn(tilt)))
    frame = find_frame({"t1": image}, NetworkGrid())
    drawn = sphere(image)
    back = from_network(resample(drawn, frame), frame, image) > 0.5
    assert count_overlap(back, drawn.array > 0).dice > 0.97
    assert back.shape == image.array.shape


def test_a_sphere_comes_back_on_another_sequence():
    """Seen in T2, wanted on a finer, tilted and shifted CE-T1, and on a sagittal T1 of even voxels."""
    t2 = head(empty(*CLINICAL))
    ce = head(empty((400, 400, 70), (0.55, 0.55, 2.0), turn(6.0, 2.0), (3.0, 2.0, 1.0)))
    standing = np.array([[0.0, 0, -1], [1, 0, 0], [0, -1, 0]])
    t1 = head(empty((140, 140, 100), (1.4, 1.4, 1.4), standing))
    frame = find_frame({"t1": t1, "t2": t2, "ce_t1": ce}, NetworkGrid())
    found = resample(sphere(t2, 18.0), frame)
    for image in (ce, t1):
        # slices of 5.5 mm know the poles of a sphere to half a slice only
        assert (
            count_overlap(from_network(found, frame, image) > 0.5, sphere(image, 18.0).array > 0).dice > 0.93
        )


def test_frame_lies_around_the_body():
    image = head(empty(*CLINICAL, middle=(20.0, 30.0, 5.0)), center=(12.0, 21.0, 0.0))
    frame = find_frame({"t2": image}, GRID)
    middle = frame.point((GRID.window - 1) / 2, (GRID.window - 1) / 2, 0)
    np.testing.assert_allclose(middle[:2], (12.0, 21.0), rtol=0, atol=0.86)  # a pixel of the network
    assert frame.shape == (24, 96, 96)
    assert frame.spacing_mm == (0.86, 0.86, 5.5)


def test_margin_keeps_the_middle():
    image = head(empty(*CLINICAL))
    small, large = find_frame({"t2": image}, GRID), find_frame({"t2": image}, GRID, margin=32)
    assert large.shape == (24, 160, 160)
    np.testing.assert_allclose(large.moved(32, 32).origin_mm, small.origin_mm, rtol=0, atol=1e-12)
    # single precision
    np.testing.assert_allclose(
        resample(image, large)[:, 32:-32, 32:-32], resample(image, small), rtol=1e-6, atol=1e-4
    )


def test_a_grown_frame_holds_the_old_one():
    image = head(empty(*CLINICAL))
    frame = find_frame({"t2": image}, GRID)
    grown = resample(image, frame.grown(top=3, bottom=2, left=7, right=1))
    np.testing.assert_allclose(grown[:, 3:-2, 7:-1], resample(image, frame), rtol=1e-6, atol=1e-4)


def test_slices_of_the_reference_are_kept_and_thin_ones_averaged():
    thick = find_frame({"t2": head(empty(*CLINICAL))}, GRID)
    assert (thick.shape[0], thick.spacing_mm[2]) == (24, 5.5)
    even = find_frame({"t2": head(empty((160, 160, 120), (1.2, 1.2, 1.2)))}, GRID)
    assert (even.shape[0], even.spacing_mm[2]) == (120, 1.2)
    assert slab_indices(120, even.spacing_mm[2], GRID)[60].tolist() == [54, 57, 60, 63, 66]
    thin = find_frame({"t2": head(empty((80, 80, 200), (2.0, 2.0, 0.5)))}, GRID)
    assert (thin.shape[0], thin.spacing_mm[2]) == (100, 1.0)
    image = head(empty((80, 80, 200), (2.0, 2.0, 0.5)))
    inside = resample(image, thin)[:, 40:56, 40:56]
    x, y, z = (w[:, 40:56, 40:56] for w in points(thin.volume(np.zeros(thin.shape))))
    truth = 300 + 1.2 * (x - 5) - 0.9 * (y + 8) + 0.7 * z
    np.testing.assert_allclose(inside, truth, rtol=1e-6)


@pytest.mark.parametrize("slices", [1, 2, 25, 26])
@pytest.mark.parametrize("stored", [(0, 0, 0), (0, 0, 1), (1, 0, 1)])
def test_every_thin_slice_is_seen_and_gets_its_mask(slices, stored):
    """The last of an odd number of slices that are averaged in twos, whichever end is stored first."""
    plain = head(empty((80, 80, slices), (2.0, 2.0, 0.5)))
    image = stored_otherwise(plain, (0, 1, 2), stored)
    frame = find_frame({"t2": image}, GRID)
    expected = find_frame({"t2": plain}, GRID)
    assert (frame.shape[0], frame.spacing_mm[2]) == ((slices + 1) // 2, 1.0 if slices > 1 else 0.5)
    np.testing.assert_allclose(resample(image, frame), resample(plain, expected), rtol=1e-5, atol=0.02)
    seen = resample(image, frame, outside=np.nan)[:, 40:56, 40:56]
    x, y, z = (w[:, 40:56, 40:56] for w in points(frame.volume(np.zeros(frame.shape))))
    # what is beyond the last slice is taken to be like it
    z = np.minimum(z, (slices - 1) / 2 * 0.5)
    np.testing.assert_allclose(seen, 300 + 1.2 * (x - 5) - 0.9 * (y + 8) + 0.7 * z, rtol=1e-6)
    back = from_network(np.ones(frame.shape, np.float32), frame, image)
    np.testing.assert_allclose(back[:, 30:50, 30:50], 1, rtol=0, atol=1e-6)


def test_fine_pixels_are_averaged():
    """Noise of 0.43 mm pixels halves on pixels of 0.86 mm, where single ones would keep all of it."""
    image = empty(*FINE)
    noisy = replace(
        image, array=np.random.default_rng(0).normal(100, 10, image.array.shape).astype(np.float32)
    )
    frame = find_frame({"t2": head(image)}, GRID)
    assert resample(noisy, frame).std() < 6


def test_reference_is_the_first_axial_image():
    axial = empty(*CLINICAL)
    sagittal = empty((256, 256, 24), (0.9, 0.9, 5.0), np.array([[0.0, 0, 1], [1, 0, 0], [0, -1, 0]]))
    assert reference_sequence({"t1": axial, "t2": axial}) == "t2"
    assert reference_sequence({"t1": axial, "t2": sagittal}) == "t1"
    assert reference_sequence({"t1": sagittal, "t2": sagittal}) == "t2"


def test_sagittal_alone():
    standing = np.array([[0.0, 0, -1], [1, 0, 0], [0, -1, 0]])
    image = head(empty((200, 200, 28), (1.0, 1.0, 5.0), standing))
    frame = find_frame({"t1": image}, NetworkGrid())
    assert frame.spacing_mm == (0.86, 0.86, 1.0)
    drawn = sphere(image, 20.0)
    assert (
        count_overlap(from_network(resample(drawn, frame), frame, image) > 0.5, drawn.array > 0).dice > 0.97
    )


def test_absent_sequences_are_zero():
    image = head(empty(*CLINICAL))
    elsewhere = head(empty(*CLINICAL, middle=(0.0, 0.0, 900.0)), center=(0.0, 0.0, 900.0))
    stack, present = to_network({"t2": image, "t1": elsewhere}, find_frame({"t2": image}, GRID))
    assert present.tolist() == [0.0, 1.0, 0.0]
    assert not stack[0].any()
    assert abs(float(np.median(stack[1]))) < 0.5


def test_image_without_air_takes_its_own_middle():
    rng = np.random.default_rng(1)
    array = rng.normal(500, 30, (12, 64, 64)).astype(np.float32)
    frame = find_frame({"t2": Volume(array, (1.0, 1.0, 5.0))}, GRID)
    middle = frame.point((GRID.window - 1) / 2, (GRID.window - 1) / 2, 0)
    np.testing.assert_allclose(middle[:2], (31.5, 31.5), rtol=0, atol=0.5)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64])
def test_any_kind_of_number(dtype):
    image = head(empty((64, 64, 6), (3.0, 3.0, 6.0)))
    same = replace(image, array=(image.array / 3).astype(dtype))
    frame = find_frame({"t2": same}, GRID)
    assert resample(same, frame).dtype == np.float32
    assert frame.volume(resample(same, frame)).to_sitk().GetSize() == (96, 96, 6)


def test_faults_are_said():
    with pytest.raises(ImageError, match="there is no image"):
        find_frame({}, GRID)
    with pytest.raises(ImageError, match="unknown sequence 'flair'"):
        find_frame({"flair": empty(*CLINICAL)}, GRID)
    with pytest.raises(ImageError, match="all intensities"):
        find_frame({"t2": empty((20, 20, 4), (2.0, 2.0, 5.0))}, GRID)


def test_one_slice():
    image = head(empty((128, 128, 1), (1.7, 1.7, 5.0)))
    frame = find_frame({"t2": image}, GRID)
    back = from_network(resample(sphere(image), frame), frame, image)
    assert back.shape == (1, 128, 128)
    assert count_overlap(back > 0.5, sphere(image).array > 0).dice > 0.9
