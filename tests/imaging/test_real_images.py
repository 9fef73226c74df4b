"""Real images in three formats."""

import numpy as np
import pytest

from radiomics_npc.cohort.cases import ImageFiles
from radiomics_npc.cohort.reading import read_cohort
from radiomics_npc.imaging.checks import check_cohort
from radiomics_npc.imaging.grid import grid_difference
from radiomics_npc.imaging.reading import read_image, read_mask, read_pair

pytestmark = pytest.mark.shared


def test_a_dicom_series_is_the_volume_of_its_nifti(shared):
    series = read_image(shared / "data" / "dicom_rtstruct" / "image")
    nifti = read_image(shared / "data" / "sts_mr_t1" / "STS_002" / "MR_T1_image.nii.gz")
    assert grid_difference(series, nifti) is None
    np.testing.assert_array_equal(series.array, nifti.array)


def test_twelve_tumors_as_a_cohort_of_one_sequence(shared, tmp_path):
    data = shared / "data" / "sts_mr_t1"
    lines = ["patient_id,sequence,image,mask"]
    lines += [f"{p.name},t1,{p}/MR_T1_image.nii.gz,{p}/MR_T1_mask.nii.gz" for p in sorted(data.glob("STS_*"))]
    (tmp_path / "manifest.csv").write_text("\n".join(lines))
    cohort = read_cohort(
        {"layout": "manifest", "path": str(tmp_path / "manifest.csv"), "sequences": ["t1"], "clinical": None}
    )
    report = check_cohort(cohort, jobs=1)
    assert len(cohort) == 12
    assert report.ok, report.to_frame()
    assert not [f for f in report.findings if "volume" in f.problem]
    missing = check_cohort(
        read_cohort({"layout": "manifest", "path": str(tmp_path / "manifest.csv")}), jobs=1
    )
    assert len(missing.errors) == 24


@pytest.mark.parametrize(("case", "voxels"), [("brain1", 4137), ("brain2", 453)])
def test_nrrd(shared, case, voxels):
    folder = shared / "data" / "pyradiomics_brain"
    image, mask = read_pair(ImageFiles(folder / f"{case}_image.nrrd", folder / f"{case}_label.nrrd", 1))
    assert int(mask.array.sum()) == voxels
    assert mask.origin_mm == image.origin_mm
    # a y axis that runs the other way in space comes along
    assert image.direction == (1, 0, 0, 0, -1, 0, 0, 0, 1)


def test_the_digital_phantom(shared):
    folder = shared / "data" / "ibsi1_digital_phantom" / "nifti"
    image, mask = read_pair(ImageFiles(folder / "image" / "phantom.nii.gz", folder / "mask" / "mask.nii.gz"))
    assert image.array.shape == (4, 4, 5)
    assert int(mask.array.sum()) == 74
    assert read_mask(folder / "mask" / "mask.nii.gz", 1).array.sum() == 74
