"""Images of simulated heads: physics where it is asked for, chance where not, labels in their place."""

import numpy as np
import pytest
import torch

from radiomics_npc.segmentation.augmentation import (
    _cut,
    degrade,
    drop_sequences,
    to_window,
    window_coordinates,
)
from radiomics_npc.segmentation.slabs import NetworkGrid, slab_indices, standardize, take_slabs
from radiomics_npc.segmentation.synthesis import (
    HeadMap,
    Stack,
    draw_signals,
    draw_stack,
    smooth_field,
    take_stack,
)
from radiomics_npc.simulate.tissue import Tissue

GRID = NetworkGrid(window=64)


def ball_head() -> HeadMap:
    """A ball of tumor and a smaller one of node in a cylinder of muscle."""
    z, y, x = np.meshgrid(np.arange(60) * 1.4 - 42, np.arange(-60, 61), np.arange(-60, 61), indexing="ij")
    tissue = np.where(np.hypot(y, x) < 55, Tissue.MUSCLE, Tissue.AIR).astype(np.uint8)
    tumor = z**2 + y**2 + x**2 < 15**2
    node = z**2 + (y - 25) ** 2 + (x - 25) ** 2 < 7**2
    tissue[tumor], tissue[node] = Tissue.TUMOR, Tissue.NODE
    target = (tumor + 2 * node).astype(np.uint8)
    return HeadMap(torch.from_numpy(tissue), torch.from_numpy(target), (1.4, 1.0, 1.0), (-42.0, -60.0, -60.0))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_labels_of_slices_hold_the_volume_of_the_map():
    head = ball_head()
    stack = Stack(np.arange(-30, 31, 1.4), 1.4, 1.4)
    _, target = take_stack(
        head, stack, draw_signals(np.random.default_rng(0)), np.random.default_rng(1), generator()
    )
    assert float(target[0].sum()) == pytest.approx(float((head.target == 1).sum()), rel=1e-5)
    assert float(target[1].sum()) == pytest.approx(float((head.target == 2).sum()), rel=1e-5)


def test_images_show_the_signals_that_were_drawn():
    head = ball_head()
    stack = Stack(np.array([-4.0, 0.0, 4.0]), 4.0, 4.0)
    signals = {
        s: np.linspace(0.1, 0.9, len(Tissue), dtype=np.float32) * k
        for s, k in zip(("t1", "t2", "ce_t1"), (1, 2, 3), strict=True)
    }
    images, target = take_stack(head, stack, signals, np.random.default_rng(4), generator())
    for image, sequence in zip(images, signals, strict=True):
        inside = image[target[0] > 0.99]
        muscle = image[1, 10:30, 55:65]
        # texture changes single voxels, not the middle of many
        assert float(inside.median()) == pytest.approx(float(signals[sequence][Tissue.TUMOR]), rel=0.12)
        assert float(muscle.median()) == pytest.approx(float(signals[sequence][Tissue.MUSCLE]), rel=0.12)


def test_fat_and_fluid_look_as_in_a_textbook_most_of_the_time():
    drawn = [draw_signals(np.random.default_rng(seed)) for seed in range(300)]
    share = {
        name: np.mean([d[s][a] > d[s][b] for d in drawn])
        for name, s, a, b in (
            ("fat over muscle on T1", "t1", Tissue.FAT, Tissue.MUSCLE),
            ("fluid over muscle on T2", "t2", Tissue.CSF, Tissue.MUSCLE),
            ("mucosa over muscle after contrast", "ce_t1", Tissue.MUCOSA, Tissue.MUSCLE),
        )
    }
    # a third of the contrasts are free, and those are even
    assert all(0.7 < value < 0.97 for value in share.values()), share


def test_slices_stay_inside_the_map():
    head = ball_head()
    for seed in range(50):
        stack = draw_stack(np.random.default_rng(seed), head)
        assert stack.centers_mm[0] >= -42
        assert stack.centers_mm[-1] <= -42 + 1.4 * 59
        assert 2.5 <= stack.spacing_mm <= 7
        assert np.allclose(np.diff(stack.centers_mm), stack.spacing_mm)


def test_a_field_has_the_variance_that_it_says():
    fields = torch.stack([smooth_field((20, 60, 60), (5, 12, 12), generator(seed)) for seed in range(40)])
    assert float(fields.var()) == pytest.approx(1, abs=0.15)


def test_a_window_that_is_not_moved_returns_the_pixels():
    volume = torch.rand((3, 4, 41, 41))
    steps = torch.arange(-10.0, 11.0)
    place = torch.stack(torch.meshgrid(steps, steps, indexing="ij"), dim=-1)
    window = to_window(volume, place, (-20.0, -20.0), (1.0, 1.0))
    torch.testing.assert_close(window, volume[:, :, 10:31, 10:31], atol=1e-5, rtol=0)
    moved = to_window(volume, place, (-20.0, -20.0), (1.0, 1.0), torch.tensor([[3.0, -2.0]] * 3))
    torch.testing.assert_close(moved, volume[:, :, 13:34, 8:29], atol=1e-5, rtol=0)


def test_windows_are_flipped_half_of_the_time():
    mirrored = 0
    for seed in range(200):
        place = window_coordinates(np.random.default_rng(seed), generator(seed), GRID)
        mirrored += int(place[32, -1, 1] < place[32, 0, 1])
    assert 70 < mirrored < 130


def test_faults_keep_the_shape_and_stay_finite():
    images = torch.rand((3, 6, 64, 64)) * 500
    for seed in range(40):
        out = degrade(images, np.random.default_rng(seed), generator(seed))
        assert out.shape == images.shape
        assert bool(torch.isfinite(out).all())
        assert float(out.min()) >= 0


@pytest.mark.parametrize("axis", [-2, -1])
def test_what_lies_outside_wraps_to_the_opposite_edge(axis):
    """A field of view of 50 pixels takes the pixels 50 before and after for its own."""

    class Chosen:
        def choice(self, axes):
            return axis

        def integers(self, low, high):
            return 5

        def random(self):
            return 0.0

    ramp = torch.arange(1.0, 61.0)
    image = (ramp[:, None] if axis == -2 else ramp[None, :]).expand(2, 60, 60)
    expected = ramp.clone()
    expected[5:10] += 0.8 * ramp[55:60]
    expected[50:55] += 0.8 * ramp[0:5]
    expected[:5] = expected[55:] = 0
    torch.testing.assert_close(_cut(image, Chosen()).select(-3 - axis, 7)[0], expected)


def test_an_empty_image_does_not_break():
    out = degrade(torch.zeros((1, 4, 64, 64)), np.random.default_rng(0), generator())
    assert bool(torch.isfinite(standardize(out[0])).all())


def test_sequences_are_dropped_but_never_all():
    rng = np.random.default_rng(0)
    counts = np.bincount(
        [drop_sequences(rng, np.ones(3, dtype=bool)).sum() for _ in range(2000)], minlength=4
    )
    assert counts[0] == 0
    assert counts[1:] / 2000 == pytest.approx([0.25, 0.25, 0.5], abs=0.04)
    only = np.array([False, True, False])
    assert (drop_sequences(rng, only) == only).all()


def test_standardizing_forgets_gain_and_offset_of_the_scanner():
    image = torch.rand((5, 40, 40)) * 300 + 200
    image[:, :20] = 0
    torch.testing.assert_close(standardize(image), standardize(image * 7.5), atol=1e-4, rtol=0)


def test_slabs_are_neighbors():
    images = torch.arange(6.0)[None, :, None, None].expand(3, 6, 2, 2)
    slabs = take_slabs(images, slab_indices(6, 5.0, NetworkGrid())[[0, 3]])
    assert slabs.shape == (2, 3, 5, 2, 2)
    assert slabs[:, 0, :, 0, 0].tolist() == [[0, 0, 0, 1, 2], [1, 2, 3, 4, 5]]


@pytest.mark.parametrize("slices", [24, 50, 100, 150, 200])
def test_air_in_single_columns_does_not_change_the_standard(slices):
    image = torch.rand((slices, 160, 160), generator=generator()) * 300 + 700
    image[:, :, [0, 80]] = 0
    z = standardize(image)[:, :, 1:80]
    assert float(z.median()) == pytest.approx(0, abs=0.05)
    quartiles = torch.quantile(z[:9], torch.tensor([0.25, 0.75]))
    assert float(quartiles[1] - quartiles[0]) == pytest.approx(1.349, abs=0.1)
