"""Flags: each raised by what it names and by nothing else."""

import numpy as np
import pytest

from radiomics_npc.imaging.volume import Mask
from radiomics_npc.segmentation.quality import FLAGS, find_flags, pairwise_dice, touches_border, volume_cm3

SOUND = {
    "volume_cm3": {"t1": 9.0, "t2": 8.6},
    "confidence": 0.93,
    "member_agreement": 0.9,
    "sequence_agreement": 0.7,
    "touches_border": [],
    "components": 1,
}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"volume_cm3": {"t1": 9.0, "t2": 0.29}}, "implausible_volume"),
        ({"volume_cm3": {"t1": 91.0, "t2": 80.0}}, "implausible_volume"),
        ({"confidence": 0.74}, "low_confidence"),
        ({"member_agreement": 0.69}, "members_disagree"),
        ({"sequence_agreement": 0.29}, "sequences_disagree"),
        ({"touches_border": ["t1"]}, "touches_border"),
        ({"components": 2}, "several_components"),
        ({"components": 0}, "empty"),
        ({"volume_cm3": {"t1": 0.0, "t2": 0.0}}, "empty"),
    ],
)
def test_each_flag(change, code):
    assert find_flags(SOUND | change) == [code]


def test_a_sound_mask_has_none():
    assert find_flags(SOUND) == []
    assert find_flags(SOUND | {"volume_cm3": {"t2": 0.3}}) == []
    assert find_flags(SOUND | {"volume_cm3": {"t2": 90.0}}) == []


def test_nothing_to_compare_is_no_disagreement():
    assert find_flags(SOUND | {"member_agreement": float("nan"), "sequence_agreement": float("nan")}) == []


def test_one_sequence_without_the_tumor_is_implausible():
    assert find_flags(SOUND | {"volume_cm3": {"t1": 8.0, "t2": 0.0}}) == ["implausible_volume"]


def test_every_flag_says_what_to_do():
    for code, flag in FLAGS.items():
        assert flag.code == code
        assert flag.remedy.endswith((".", "?"))
        assert not flag.sentence.endswith(".")


def test_pairwise_dice():
    a = np.zeros((2, 10), dtype=bool)
    a[0] = True
    b = a.copy()
    b[0, 5:] = False
    assert pairwise_dice([a, b]) == pytest.approx(2 / 3)
    assert pairwise_dice([a, a, b]) == pytest.approx((1 + 2 / 3 + 2 / 3) / 3)
    assert np.isnan(pairwise_dice([a]))
    assert pairwise_dice([a, ~a]) == 0


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("end", [0, -1])
def test_borders(axis, end):
    array = np.zeros((5, 6, 7), dtype=bool)
    array[2, 3, 3] = True
    assert not touches_border(Mask(array, (1.0, 1.0, 1.0)))
    np.moveaxis(array, axis, 0)[end] = True
    assert touches_border(Mask(array, (1.0, 1.0, 1.0)))


def test_volume_counts_voxels():
    assert volume_cm3(Mask(np.ones((3, 4, 5)), (0.5, 0.5, 4.0))) == pytest.approx(60 * 1e-3)
