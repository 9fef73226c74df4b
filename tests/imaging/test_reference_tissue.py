"""Intensities by a reference tissue: closed forms, a kernel estimate by scipy, and what is refused."""

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import stats

from radiomics_npc.cohort.cases import ImageFiles
from radiomics_npc.errors import ImageError, MaskError
from radiomics_npc.imaging.reference_tissue import normalize_reference, read_reference, reference_intensity
from radiomics_npc.imaging.volume import Mask, Volume

SPACING = (1.0, 1.0, 5.0)


@pytest.fixture
def muscle():
    """Muscle (300 +- 20) with an eighth of fat drawn along (900), beside a tumor (420)."""
    rng = np.random.default_rng(4)
    array = rng.normal(300, 20, (4, 40, 40))
    array[:, 20:30] = rng.normal(420, 30, (4, 10, 40))
    tissue = np.zeros(array.shape, dtype=bool)
    tissue[:, :16] = True
    array[:, :2] = rng.normal(900, 20, (4, 2, 40))
    return Volume(array, SPACING), Mask(tissue, SPACING)


def test_center_and_spread(muscle):
    volume, tissue = muscle
    inside = volume.array[tissue.array]
    found = reference_intensity(volume, tissue)
    assert found.center == pytest.approx(np.median(inside), rel=1e-12)
    assert found.spread == pytest.approx(stats.iqr(inside, scale="normal"), rel=1e-12)
    assert found.voxels == 4 * 16 * 40
    assert found.spread < 0.15 * inside.std()  # which the fat makes 200


def test_the_mode_is_that_of_a_kernel_estimate(muscle):
    volume, tissue = muscle
    inside = volume.array[tissue.array]
    found = reference_intensity(volume, tissue, "mode").center
    spread = stats.iqr(inside, scale="normal")
    width = 0.9 * min(inside.std(), spread) * len(inside) ** -0.2
    kernel = stats.gaussian_kde(inside, bw_method=width / inside.std(ddof=1))
    grid = np.linspace(260, 340, 1601)
    assert found == pytest.approx(grid[kernel(grid).argmax()], abs=width / 4)
    assert abs(found - 300) < abs(np.median(inside) - 300) + 3


def test_reference_tissue_lies_at_zero_with_spread_one(muscle):
    volume, tissue = muscle
    inside = normalize_reference(volume, tissue).array[tissue.array]
    assert np.median(inside) == pytest.approx(0, abs=1e-12)
    assert stats.iqr(inside, scale="normal") == pytest.approx(1, rel=1e-12)
    tumor = normalize_reference(volume, tissue, scale=10.0).array[:, 20:30]
    assert tumor.mean() == pytest.approx(10 * (420 - 302) / 24, rel=0.1)
    clipped = normalize_reference(volume, tissue, scale=10.0, outliers=2.0).array
    assert (clipped.min(), clipped.max()) == (-20, 20)


@pytest.mark.parametrize("center", ["median", "mode"])
def test_gain_and_offset_of_the_scanner_cancel(muscle, center):
    volume, tissue = muscle
    other = Volume(volume.array * 3.7 + 120, SPACING)
    expected = normalize_reference(volume, tissue, center=center).array
    found = normalize_reference(other, tissue, center=center).array
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


def test_what_is_of_no_use_is_refused(muscle):
    volume, tissue = muscle
    few = np.zeros(volume.array.shape)
    few[0, :3, :33] = 1
    with pytest.raises(MaskError, match="99 voxels, fewer than 100"):
        reference_intensity(volume, Mask(few, SPACING))
    with pytest.raises(MaskError, match="another grid"):
        reference_intensity(volume, Mask(np.ones((4, 40, 41)), SPACING))
    with pytest.raises(ImageError, match="one single intensity"):
        reference_intensity(Volume(np.full(few.shape, 3), SPACING), tissue)
    with pytest.raises(ImageError, match="not finite"):
        reference_intensity(Volume(np.full(few.shape, np.nan), SPACING), tissue)
    with pytest.raises(ValueError, match="median or mode"):
        reference_intensity(volume, tissue, "mean")


def test_its_mask_is_read_by_label_onto_the_grid_of_the_image(muscle, tmp_path):
    volume, tissue = muscle
    labels = np.where(tissue.array, 7, 0).astype(np.uint8)
    labels[:, 20:30] = 1
    sitk.WriteImage(Volume(labels, SPACING).to_sitk(), str(tmp_path / "tissues.nii.gz"))
    files = ImageFiles(tmp_path / "T1.nii", reference=tmp_path / "tissues.nii.gz", reference_label=7)
    found = read_reference(files, volume, "t1")
    np.testing.assert_array_equal(found.array, tissue.array)


def test_a_missing_one_names_the_sequence_and_no_folder(muscle, tmp_path):
    volume, _ = muscle
    with pytest.raises(MaskError, match="no mask of the reference tissue for ce_t1"):
        read_reference(ImageFiles(tmp_path / "T1.nii"), volume, "ce_t1")
    absent = ImageFiles(tmp_path / "T1.nii", reference=tmp_path / "muscle.nii", reference_label=1)
    with pytest.raises(MaskError, match=r"reference tissue of t2, muscle\.nii: .*does not exist") as refused:
        read_reference(absent, volume, "t2")
    assert str(tmp_path) not in str(refused.value)
    other = Mask(np.ones((4, 40, 40)), (1.3, 1.3, 5.0))
    sitk.WriteImage(other.to_sitk(), str(tmp_path / "muscle.nii"))
    with pytest.raises(MaskError, match=r"reference tissue of t2, muscle\.nii: .*nothing|grids"):
        read_reference(absent, volume, "t2")
