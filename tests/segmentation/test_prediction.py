"""Prediction by networks that need no training: what is tested is everything around them."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import torch

from radiomics_npc.errors import ConfigError, ExtractionError, ImageError, ModelFileError
from radiomics_npc.imaging.volume import Mask
from radiomics_npc.segmentation.devices import choose_device
from radiomics_npc.segmentation.overlap import count_overlap
from radiomics_npc.segmentation.prediction import Segmenter
from tests.segmentation.phantoms import NODE, TUMOR, Bright, Geometry, head, segmenter, truth

pytestmark = pytest.mark.usefixtures("one_thread")

SPHERE_CM3 = 4 / 3 * np.pi * 1.3**3
FINER = Geometry((200, 180, 40), (0.9, 1.0, 3.0))


def dice(mask, image):
    return count_overlap(mask.array, truth(image).array).dice


def same_grid(mask, image):
    return (mask.spacing_mm, mask.origin_mm, mask.direction, mask.array.shape) == (
        image.spacing_mm,
        image.origin_mm,
        image.direction,
        image.array.shape,
    )


@pytest.fixture(scope="module")
def images():
    return {"t1": head(FINER), "t2": head(), "ce_t1": head(Geometry(middle=(2.0, 1.0, 1.5)))}


@pytest.mark.parametrize(
    "names", [c for n in (1, 2, 3) for c in combinations(("t1", "t2", "ce_t1"), n)], ids="+".join
)
def test_any_subset_of_sequences(images, names):
    found = segmenter().predict({name: images[name] for name in names}, flips=False)
    assert list(found.masks) == list(names)
    for name in names:
        assert same_grid(found.masks[name], images[name])
        assert dice(found.masks[name], images[name]) > 0.85
        # few slices cut it: up to 19 % off
        assert found.summary["volume_cm3"][name] == pytest.approx(SPHERE_CM3, rel=0.2)
    assert found.flags == []


def test_the_same_twice(images):
    networks = [Bright(1.5), Bright(2.5)]
    first, second = (segmenter(*networks).predict(images, samples=2) for _ in range(2))
    for name in images:
        np.testing.assert_array_equal(first.masks[name].array, second.masks[name].array)
        np.testing.assert_array_equal(first.varied[1][name].array, second.varied[1][name].array)
    np.testing.assert_array_equal(first.mean, second.mean)
    assert repr(first.summary) == repr(second.summary)


STORED = {
    "oblique": (0.97, 0.0, 0.2431, 0.05, 0.979, -0.199, -0.238, 0.205, 0.949),
    "flipped": (-1.0, 0, 0, 0, -1.0, 0, 0, 0, 1.0),
    "upside down": (1.0, 0, 0, 0, -1.0, 0, 0, 0, -1.0),
}


@pytest.mark.parametrize("direction", STORED.values(), ids=STORED)
def test_orientation(direction):
    turned = np.linalg.qr(np.reshape(direction, (3, 3)))[0]
    turned = turned * np.sign((turned * np.reshape(direction, (3, 3))).sum(axis=0))
    image = head(Geometry(direction=tuple(turned.ravel().tolist())))
    found = segmenter().predict({"t2": image}, flips=False).masks["t2"]
    assert same_grid(found, image)
    assert dice(found, image) > 0.85


def test_sagittal_reference_gives_the_same_tumor():
    image = head(Geometry((150, 150, 30), (1.4, 1.4, 5.0), (0, 0, 1.0, 1.0, 0, 0, 0, -1.0, 0)))
    found = segmenter(window=112).predict({"t2": image}, flips=False)
    assert dice(found.masks["t2"], image) > 0.9


def test_the_tumor_and_not_the_larger_node():
    image = head(spheres=(TUMOR, NODE))
    tumor = head(spheres=(TUMOR,))
    found = segmenter(window=144).predict({"t2": image}, flips=False)
    assert count_overlap(found.masks["t2"].array, truth(tumor).array).dice > 0.85
    assert found.summary["left_out"] == 1


@pytest.fixture(scope="module")
def far_back():
    """A tumor that the window around the middle of the body cuts."""
    return head(spheres=(((0.0, 30.0, 0.0), 26.0),), body=(75.0, 85.0, 200.0), bright=450.0)


def test_a_tumor_beyond_the_window(far_back):
    found = segmenter().predict({"t2": far_back}, flips=False)
    assert found.frame.shape == (20, 144, 96)
    assert count_overlap(found.masks["t2"].array, far_back.array == 450.0).dice > 0.93


def test_windows_join_without_seams(far_back):
    """A network that looks at single pixels gives nearly the same on joined windows and on one large one."""
    joined = segmenter().predict({"t2": far_back}, flips=False).masks["t2"]
    single = segmenter(window=160).predict({"t2": far_back}, flips=False)
    assert single.frame.shape == (20, 160, 160)
    assert count_overlap(joined.array, single.masks["t2"].array).dice > 0.98


def test_flips_undo_what_leans_to_one_side():
    image = head()
    mirrored = replace(image, array=image.array[..., ::-1].copy())
    leaning = segmenter(Bright(gain=0.5, slope=0.8))
    difference = {}
    for flips in (False, True):
        a, b = (leaning.predict({"t2": i}, flips=flips).mean for i in (image, mirrored))
        difference[flips] = np.abs(a - b[..., ::-1]).max()
    assert difference[True] < 0.02  # bfloat16
    assert difference[False] > 0.1


def test_spread_is_over_members_and_flips():
    image = {"t2": head()}
    assert segmenter().predict(image, flips=False).spread.max() == 0
    low, high = (segmenter(Bright(level=k)).predict(image, flips=False).mean for k in (3.0, 3.4))
    both = segmenter(Bright(level=3.0), Bright(level=3.4)).predict(image, flips=False)
    np.testing.assert_allclose(both.mean, (low + high) / 2, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(both.spread, np.abs(low - high) / 2, rtol=1e-6, atol=1e-8)


def test_members_that_disagree_are_flagged(images):
    found = segmenter(Bright(), Bright(level=-0.5)).predict(images, flips=False)
    assert found.summary["member_agreement"] < 0.7
    assert "members_disagree" in found.flags
    same = segmenter(Bright(), Bright()).predict(images, flips=False)
    assert same.summary["member_agreement"] == 1.0
    assert np.isnan(segmenter().predict(images, flips=False).summary["member_agreement"])


def test_sequences_that_disagree_are_flagged(images):
    """T1 was taken of a head that lay 35 mm farther to the left: its tumor is elsewhere."""
    agreed = segmenter().predict(images, flips=False).summary
    assert set(agreed["sequence_dice"]) == set(images)
    assert agreed["sequence_agreement"] > 0.8
    moved = replace(images["t1"], origin_mm=tuple(np.add(images["t1"].origin_mm, (35.0, 0.0, 0.0))))
    found = segmenter(Bright(level=1.9)).predict({"t2": images["t2"], "t1": moved}, flips=False)
    assert found.summary["sequence_agreement"] < 0.3
    assert "sequences_disagree" in found.flags
    one = segmenter().predict({"t2": images["t2"]}, flips=False).summary
    assert np.isnan(one["sequence_agreement"])
    assert one["sequence_dice"] == {}


def test_empty_stays_empty_and_is_flagged():
    image = head(spheres=())
    found = segmenter(Bright(level=50.0)).predict({"t2": image}, samples=2)
    assert not found.masks["t2"].array.any()
    assert found.flags == ["empty"]
    assert not found.varied[0]["t2"].array.any()


def test_mask_at_the_border_is_flagged():
    image = head(Geometry((128, 128, 4), middle=(0.0, 0.0, 12.0)))
    assert "touches_border" in segmenter().predict({"t2": image}, flips=False).flags


class Hungry(Bright):
    """Takes two slabs at once and no more."""

    def __init__(self, most=2, error=RuntimeError):
        super().__init__()
        self.most, self.error = most, error

    def forward(self, images, present):
        if len(images) > self.most:
            raise self.error("DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes.")
        return super().forward(images, present)


@pytest.mark.parametrize("error", [RuntimeError, torch.OutOfMemoryError])
def test_less_memory_takes_smaller_batches(error, capsys):
    image = head()
    hungry = segmenter(Hungry(error=error), batch=8)
    found = hungry.predict({"t2": image}, flips=False)
    plain = segmenter(batch=8).predict({"t2": image}, flips=False)
    np.testing.assert_array_equal(found.masks["t2"].array, plain.masks["t2"].array)
    assert found.notes == [f"out of memory: {n} slabs at once from here on" for n in (4, 2)]
    assert "out of memory: 2 slabs" in capsys.readouterr().err
    assert hungry.predict({"t2": image}, flips=False).notes == []


def test_no_memory_at_all_is_said():
    with pytest.raises(ExtractionError, match="not enough memory to segment a single slab"):
        segmenter(Hungry(most=0)).predict({"t2": head()}, flips=False)


def test_another_fault_of_a_network_is_not_taken_for_lack_of_memory():
    class Broken(Bright):
        def forward(self, images, present):
            raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        segmenter(Broken()).predict({"t2": head()})


def test_slabs_as_the_network_was_trained():
    network = Bright()
    segmenter(network, batch=7).predict({"t2": head()}, flips=False)
    assert network.calls == [(7, 3, 5, 96, 96), (7, 3, 5, 96, 96), (6, 3, 5, 96, 96)]


def test_probability_and_uncertainty_on_every_grid(images):
    found = segmenter(Bright(1.0), Bright(2.0)).predict(images)
    for name, image in images.items():
        probability, spread = found.probability[name], found.uncertainty[name]
        assert probability.array.shape == spread.array.shape == image.array.shape
        assert probability.origin_mm == image.origin_mm
        assert 0 <= probability.array.min() <= probability.array.max() <= 1
        assert count_overlap(probability.array > 0.5, found.masks[name].array).dice == 1.0
        assert 0 < spread.array.max() < 0.5
    assert isinstance(found.masks["t1"], Mask)


def test_identity_depends_on_weights_and_grid():
    assert segmenter().identity == segmenter().identity
    assert segmenter().identity != segmenter(window=128).identity
    assert segmenter().identity != segmenter(Bright(), Bright()).identity
    assert segmenter().simulated


def test_faults():
    with pytest.raises(ImageError, match="there is no image"):
        segmenter().predict({})
    flat = replace(head(), array=np.zeros((20, 128, 128), np.float32))
    with pytest.raises(ImageError, match="all intensities"):
        segmenter().predict({"t2": flat})
    broken = head()
    broken.array[3, 4, 5] = np.nan
    with pytest.raises(ImageError, match="not finite"):
        segmenter().predict({"t2": broken})
    for name in ("t1", "ce_t1"):  # not the one whose slices are segmented: a NaN must not pass for absent
        with pytest.raises(ImageError, match=f"image {name} holds intensities that are not finite"):
            segmenter().predict({"t2": head(), name: broken})
    with pytest.raises(ImageError, match="image t2 has 2 dimensions"):
        segmenter().predict({"t2": replace(head(), array=head().array[3])})


def test_a_constant_sequence_is_absent():
    flat = replace(head(), array=np.full((20, 128, 128), 7.0, np.float32))
    found, alone = (segmenter().predict(i, flips=False) for i in ({"t1": flat, "t2": head()}, {"t2": head()}))
    np.testing.assert_array_equal(found.mean, alone.mean)
    np.testing.assert_array_equal(found.masks["t1"].array, alone.masks["t2"].array)


def test_a_grid_of_another_version_is_said():
    with pytest.raises(ModelFileError, match="grid of the model"):
        Segmenter([Bright()], {"grid": {"voxel_mm": 1.0}, "members": [], "simulated": True})
    for about in ({}, {"grid": None}):
        with pytest.raises(ModelFileError, match="does not say its grid"):
            Segmenter([Bright()], {"members": [], "simulated": True, **about})


def test_devices():
    assert choose_device("cpu").type == "cpu"
    assert choose_device().type in ("cpu", "cuda", "mps")
    with pytest.raises(ConfigError, match="device tpu cannot be used here"):
        choose_device("tpu")
    if not torch.cuda.is_available():
        with pytest.raises(ConfigError, match="device cuda cannot be used here"):
            choose_device("cuda")
