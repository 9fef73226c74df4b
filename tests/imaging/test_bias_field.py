"""N4: planted fields on simulated heads come back, and the direct call of SimpleITK agrees."""

import inspect
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk

from radiomics_npc.errors import ImageError
from radiomics_npc.imaging.bias_field import BIAS_CORRECTION, _steps, correct_bias
from radiomics_npc.imaging.itk_threads import one_itk_thread
from radiomics_npc.imaging.normalize import body_mask
from radiomics_npc.imaging.volume import Volume
from radiomics_npc.simulate import physics
from radiomics_npc.simulate.acquisition import draw_series
from radiomics_npc.simulate.anatomy import build_head
from radiomics_npc.simulate.artifacts import CLEAN
from radiomics_npc.simulate.tumor import contour, draw_interior, grow

MATRIX = 112


def planted(z, y, x):
    """Logarithm of a field along all three axes in mm, -0.35 to 0.35 over a head."""
    return 0.22 * x[None, None] / 80 + 0.15 * np.sin(y / 60)[None, :, None] + 0.1 * z[:, None, None] / 60


@pytest.fixture(scope="module")
def heads():
    """The same T1 image of a simulated head without a coil and with the planted one; field, tumor."""
    rng = np.random.default_rng(11)
    one = replace(draw_series(rng, "Achieva", MATRIX)["t1"], faults=CLEAN, motion_mm=(0.0, 0.0, 0.0))
    x0, y0, z0 = one.first_mm  # the middle slices are enough, and quicker
    one = replace(one, slices=14, first_mm=(x0, y0, z0 + 5 * one.spacing_mm[2]))
    z, y, x = one.axes
    head = build_head(rng, (z[0] - 5, z[-1] + 5))
    growth = grow(rng, head, "T3", 1.0)
    interior = draw_interior(rng, head, growth, 25.0, 0.5)
    tumor = contour(np.random.default_rng(1), growth, one, 20.0)
    images = []
    with pytest.MonkeyPatch.context() as patch:
        for strength in (0.0, 1.0):
            patch.setattr(
                physics, "_coil",
                lambda _, axes, __, strength=strength: np.exp(strength * planted(*axes)).astype(np.float32),
            )  # fmt: skip
            taken = physics.take_image(np.random.default_rng(2), head, interior, one)
            images.append(Volume(taken, one.spacing_mm))
    return *images, planted(z, y, x), tumor


@pytest.fixture(scope="module")
def fields(heads):
    """Logarithms of the fields found with and without the planted one."""
    plain, biased, _, _ = heads
    body = body_mask(biased)
    return np.log(correct_bias(plain, body, 4)[1]), np.log(correct_bias(biased, body, 4)[1]), body


def test_a_planted_field_is_recovered(heads, fields):
    """Not more than that: with and without coil N4 takes some of the anatomy for bias."""
    _, _, truth, _ = heads
    flat, found, body = fields
    assert found.shape == truth.shape
    before = truth[body].std()
    assert before == pytest.approx(0.143, abs=0.001)
    assert np.corrcoef(found[body], truth[body])[0, 1] > 0.75  # 0.76; 0.85 at a matrix of 512
    assert (found - truth)[body].std() < 0.7 * before  # 0.65; 0.57 at 512
    # what matters between scans: how much of the field is left in images of one head
    assert (found - flat - truth)[body].std() < 0.5 * before  # 0.46; 0.33 at 512, and 0.31 with all slices


def test_an_image_without_bias_stays_nearly_as_it_is(heads, fields):
    _, _, _, tumor = heads
    flat, _, body = fields
    assert flat[body].std() < 0.05
    assert abs(flat[tumor].mean()) < 0.04
    assert flat[body].mean() == pytest.approx(0, abs=0.002)  # brightness as a whole is kept


def test_the_image_is_divided_by_its_field(heads):
    _, biased, _, _ = heads
    corrected, field = correct_bias(biased, iterations=(5,))
    np.testing.assert_allclose(corrected.array * field, biased.array, rtol=1e-12)
    assert (corrected.spacing_mm, corrected.origin_mm) == (biased.spacing_mm, biased.origin_mm)


def test_the_same_as_calling_simpleitk(heads, fields):
    """Up to the factor that N4 leaves open; and the full grid shows the field of the thin one."""
    _, biased, _, _ = heads
    _, found, body = fields
    image = sitk.Cast(biased.to_sitk(), sitk.sitkFloat32)
    where = replace(biased, array=(body & (biased.array > 0)).astype(np.uint8)).to_sitk()
    n4 = sitk.N4BiasFieldCorrectionImageFilter()
    n4.SetMaximumNumberOfIterations([50, 50, 50])
    thin = sitk.Shrink(image, [4, 4, 1])
    with one_itk_thread():
        n4.Execute(thin, sitk.Shrink(where, [4, 4, 1]))
    direct = sitk.GetArrayFromImage(n4.GetLogBiasFieldAsImage(image)).astype(float)
    assert np.ptp(found - direct) < 1e-9
    full = replace(biased, array=direct).to_sitk()
    there = sitk.GetArrayFromImage(sitk.Resample(full, thin, sitk.Transform(), sitk.sitkLinear))
    coarse = sitk.GetArrayFromImage(n4.GetLogBiasFieldAsImage(thin))
    inside = sitk.GetArrayFromImage(sitk.Shrink(where, [4, 4, 1])) > 0
    # splines span either grid from end to end, and the thin one ends earlier
    assert np.abs(there - coarse)[inside].max() < 0.02
    assert (there - coarse)[inside].std() < 0.005


def test_again_the_same_bits_whatever_the_number_of_threads(heads):
    _, biased, _, _ = heads
    before = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    found = []
    try:
        for threads in (1, 4):
            sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)
            found.append(correct_bias(biased, shrink=4, iterations=(10, 10))[1])
            assert sitk.ProcessObject.GetGlobalDefaultNumberOfThreads() == threads
    finally:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(before)
    np.testing.assert_array_equal(found[0], found[1])


def test_the_gain_of_the_scanner_cancels(heads):
    _, biased, _, _ = heads
    body = body_mask(biased)
    field = correct_bias(biased, body, 4, iterations=(10, 10), tolerance=0.0)[1]
    brighter = replace(biased, array=biased.array * 8.0)
    np.testing.assert_allclose(
        correct_bias(brighter, body, 4, iterations=(10, 10), tolerance=0.0)[1], field, rtol=1e-3
    )


@pytest.mark.parametrize(
    ("spacing", "shape", "shrink", "steps"),
    [
        ((0.43, 0.43, 5.5), (24, 512, 512), None, [8, 8, 1]),
        ((0.43, 0.43, 5.5), (24, 512, 512), 4, [4, 4, 1]),
        ((5.5, 0.5, 0.5), (512, 512, 24), 4, [1, 4, 4]),  # sagittal slices along x
        ((1.0, 1.0, 1.0), (180, 256, 256), None, [4, 4, 1]),
        ((4.0, 4.0, 5.5), (24, 64, 64), None, [1, 1, 1]),
        ((2.0, 2.0, 5.5), (24, 40, 20), 4, [1, 2, 1]),  # nothing to spare
    ],
)
def test_slices_are_never_left_out(spacing, shape, shrink, steps):
    assert _steps(Volume(np.broadcast_to(np.int16(0), shape), spacing), shrink, 3.5) == steps


def test_the_record_says_what_is_done():
    defaults = {
        name: parameter.default for name, parameter in inspect.signature(correct_bias).parameters.items()
    }
    recorded = {key: value for key, value in BIAS_CORRECTION.items() if key != "method"}
    assert recorded == {
        "grid_mm": defaults["grid_mm"], "iterations": list(defaults["iterations"]),
        "tolerance": defaults["tolerance"], "control_points": defaults["control_points"],
        "fwhm": defaults["fwhm"],
    }  # fmt: skip


def test_images_that_have_no_logarithm_are_refused(heads):
    plain, _, _, _ = heads
    scored = replace(plain, array=plain.array.astype(float) - 30_000)
    with pytest.raises(ImageError, match="hardly any intensity of the body is positive"):
        correct_bias(scored)
    broken = replace(
        plain, array=np.where(plain.array == plain.array.max(), np.nan, plain.array.astype(float))
    )
    with pytest.raises(ImageError, match="not finite"):
        correct_bias(broken)
