"""Signal equations against closed forms and a step-by-step Bloch calculation."""

import subprocess
import sys

import numpy as np
import pytest

from radiomics_npc.simulate.fields import blur_matrix, lanczos_matrix, linear_matrix, smooth_noise
from radiomics_npc.simulate.physics import _rician, _slice_profile
from radiomics_npc.simulate.signal import enhance, spin_echo
from radiomics_npc.simulate.tissue import Tissue, tissue_table


def _bloch(density, t1, t2, tr, te, flip):
    """Magnetization followed pulse by pulse until it repeats."""
    angle, along = np.radians(flip), 1.0
    for _ in range(400):
        before = along
        along = before * np.cos(angle)  # excitation
        along = 1 + (along - 1) * np.exp(-te / 2 / t1)
        along = -along  # 180 degrees
        along = 1 + (along - 1) * np.exp(-(tr - te / 2) / t1)
    return density * before * np.sin(angle) * np.exp(-te / t2)


@pytest.mark.parametrize("flip", [65.0, 80.0, 90.0])
@pytest.mark.parametrize(("tr", "te"), [(570.0, 12.0), (3193.0, 80.0)])
@pytest.mark.parametrize(("t1", "t2"), [(288.0, 120.0), (1000.0, 42.0), (4300.0, 1500.0)])
def test_spin_echo_equals_the_steady_state_of_the_bloch_equations(tr, te, flip, t1, t2):
    one = spin_echo(np.float64(0.8), np.float64(t1), np.float64(t2), tr_ms=tr, te_ms=te, flip_deg=flip)
    assert float(one) == pytest.approx(_bloch(0.8, t1, t2, tr, te, flip), rel=1e-9)


def test_a_header_above_90_degrees_tells_the_refocusing_pulse():
    values = [
        spin_echo(np.float64(1), np.float64(900), np.float64(80), tr_ms=600, te_ms=12, flip_deg=f)
        for f in (90.0, 142.0)
    ]
    assert values[0] == values[1]


def test_gadolinium_adds_rates():
    t1, t2 = enhance(np.float64(1200), np.float64(90), np.float64(0.3))
    assert 1000 / t1 - 1000 / 1200 == pytest.approx(3.6 * 0.3)
    assert 1000 / t2 - 1000 / 90 == pytest.approx(4.3 * 0.3)


@pytest.mark.parametrize("field", [1.0, 1.5, 3.0])
def test_contrasts_are_those_a_radiologist_expects(field):
    table = tissue_table(field)

    def signal(tissue, tr, te, contrast=False):
        t1, t2 = table["t1_ms"][tissue], table["t2_ms"][tissue]
        if contrast:
            t1, t2 = enhance(t1, t2, table["gadolinium_mM"][tissue])
        return float(spin_echo(table["density"][tissue], t1, t2, tr_ms=tr, te_ms=te))

    t1w = {t: signal(t, 571, 12) for t in Tissue}
    t2w = {t: signal(t, 3193, 80) for t in Tissue}
    enhanced = {t: signal(t, 632, 12, contrast=True) for t in Tissue}
    assert t1w[Tissue.FAT] > t1w[Tissue.WHITE] > t1w[Tissue.GRAY] > t1w[Tissue.CSF]
    assert t2w[Tissue.CSF] > t2w[Tissue.GRAY] > t2w[Tissue.WHITE] > t2w[Tissue.MUSCLE]
    # as the authors of the data set describe the tumor
    assert t1w[Tissue.TUMOR] >= t1w[Tissue.MUSCLE]
    assert t2w[Tissue.MUCOSA] > t2w[Tissue.TUMOR] > t2w[Tissue.MUSCLE]
    assert enhanced[Tissue.TUMOR] > 1.3 * t1w[Tissue.TUMOR]
    assert enhanced[Tissue.MUCOSA] > enhanced[Tissue.TUMOR]
    assert enhanced[Tissue.GRAY] < 1.15 * t1w[Tissue.GRAY]
    assert max(t1w[Tissue.AIR], t2w[Tissue.AIR]) == 0


def test_t1_grows_with_the_field_for_muscle_and_is_as_published_at_both():
    assert [round(float(tissue_table(f)["t1_ms"][Tissue.MUSCLE])) for f in (1.5, 3.0)] == [1000, 1400]
    assert tissue_table(1.0)["t1_ms"][Tissue.MUSCLE] < 1000


def test_noise_is_rician():
    rng = np.random.default_rng(1)
    nothing = _rician(rng, np.zeros((200, 200), np.float32), 2.0)
    assert nothing.mean() == pytest.approx(2.0 * np.sqrt(np.pi / 2), rel=0.01)
    strong = _rician(rng, np.full((200, 200), 100, np.float32), 2.0)
    assert strong.std() == pytest.approx(2.0, rel=0.02)
    assert strong.mean() == pytest.approx(100 + 2.0**2 / 200, abs=0.05)


def test_a_thick_slice_averages_what_lies_in_it():
    z = np.arange(0.0, 40.0, 0.1)
    step = (z > 20).astype(np.float32)
    profile = _slice_profile(z, np.array([10.0, 20.05, 30.0]), 5.0)
    np.testing.assert_allclose(profile @ step, [0, 0.5, 1], rtol=0, atol=1e-5)


def test_matrices_keep_a_constant_and_linear_a_ramp():
    source, target = np.arange(0.0, 50.0), np.linspace(5, 44, 70)
    for matrix in (
        linear_matrix(source, target),
        blur_matrix(source, target, 0.6),
        lanczos_matrix(source, target),
    ):
        np.testing.assert_allclose(matrix.sum(axis=1), 1, rtol=0, atol=1e-6)
    np.testing.assert_allclose(linear_matrix(source, target) @ source, target, rtol=1e-6)
    assert blur_matrix(source, np.array([-3.0, 60.0]), 0.6).sum() == 0


def test_smooth_noise_has_unit_variance_everywhere_and_the_scale_asked_for():
    axes = (np.arange(0.0, 40.0), np.arange(0.0, 60.0), np.arange(0.0, 60.0))
    fields = np.stack([smooth_noise(np.random.default_rng(i), axes, 6.0) for i in range(60)])
    assert fields.std() == pytest.approx(1, abs=0.02)
    per_voxel = fields.std(axis=0)
    assert 0.95 < per_voxel.mean() < 1.02
    near = np.mean(fields[:, :, :, :-1] * fields[:, :, :, 1:])
    far = np.mean(fields[:, :, :, :-24] * fields[:, :, :, 24:])
    assert near > 0.95
    assert abs(far) < 0.03


def test_what_makes_training_data_needs_numpy_alone():
    code = (
        "import sys; import radiomics_npc.simulate.signal, radiomics_npc.simulate.tissue; "
        "sys.exit(bool({'SimpleITK', 'scipy', 'pandas', 'pydicom'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
