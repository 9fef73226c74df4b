import numpy as np
import pytest

from radiomics_npc.errors import MaskError
from radiomics_npc.features.morphology import morphology
from radiomics_npc.imaging.volume import Mask


def test_a_cube_has_the_regularity_of_a_cube():
    measured = morphology(Mask(np.ones((60, 60, 60)), (1.0, 1.0, 1.0)))
    # sphericity of a cube is (pi/6)^(1/3); regularity is its 3/2 power; edges are beveled by half a voxel
    assert measured["surface_regularity"] == pytest.approx((np.pi / 6) ** 0.5, rel=0.02)
    assert measured["volume_cm3"] == pytest.approx(216, rel=0.01)


def test_regularity_is_free_of_scale_and_below_one():
    rng = np.random.default_rng(0)
    array = rng.random((6, 9, 9)) < 0.4
    small = morphology(Mask(array, (0.4, 0.4, 5.0)))
    large = morphology(Mask(array, (0.8, 0.8, 10.0)))
    assert large["surface_regularity"] == pytest.approx(small["surface_regularity"], rel=1e-12)
    assert large["volume_cm3"] == pytest.approx(8 * small["volume_cm3"], rel=1e-12)
    assert 0 < small["surface_regularity"] < 1


def test_empty_mask_is_refused():
    with pytest.raises(MaskError):
        morphology(Mask(np.zeros((3, 3, 3)), (1.0, 1.0, 1.0)))
