"""Files as they come from strangers: what is odd is read right or refused by name, never guessed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel
import nrrd
import numpy as np
import pytest

from radiomics_npc.cohort.cases import Cohort, ImageFiles
from radiomics_npc.cohort.layouts import guess_layout
from radiomics_npc.cohort.reading import read_cohort
from radiomics_npc.errors import CohortError, ImageError, MaskError, RegionAbsentError
from radiomics_npc.imaging.reading import read_image, read_mask, read_pair

IMAGE = np.random.default_rng(0).integers(1, 900, (6, 14, 12)).astype(np.int16)
TUMOR = np.zeros(IMAGE.shape, np.uint8)
TUMOR[2:4, 3:7, 2:8] = 1


def nifti(file: Path, array: np.ndarray, slope: float | None = None) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    image = nibabel.Nifti1Image(np.ascontiguousarray(array.T), np.diag([-0.8, -0.9, 4.0, 1.0]))
    if slope is not None:
        image.header.set_slope_inter(slope, 0)
    nibabel.save(image, file)
    return file


def nrrd_file(file: Path, array: np.ndarray, **header: Any) -> Path:
    about = {"space": "left-posterior-superior", "space directions": np.diag([0.8, 0.9, 4.0])}
    nrrd.write(str(file), np.ascontiguousarray(array.T), {**about, "space origin": [0, 0, 0], **header})
    return file


# --- label maps ---


def test_label_0_is_the_background_and_no_tumor(tmp_path):
    file = nifti(tmp_path / "m.nii", TUMOR)
    for label in (0, (0, 1)):
        with pytest.raises(MaskError, match=r"0 is the background of m\.nii"):
            read_mask(file, label)


@pytest.mark.parametrize(
    ("value", "dtype"), [(40_000, np.uint16), (70_000, np.int32), (4_000_000_000, np.uint32), (-5, np.int16)]
)
def test_labels_beyond_a_byte(tmp_path, value, dtype):
    file = nifti(tmp_path / "m.nii", (TUMOR.astype(np.int64) * value).astype(dtype))
    np.testing.assert_array_equal(read_mask(file, value).array, TUMOR == 1)


def test_values_just_beside_whole_numbers_are_those_numbers(tmp_path):
    """A mask kept as floats, or by a slope: 0.9999 is 1, whatever else is beside 1."""
    values = TUMOR * np.float32(0.9999)
    values[3] = TUMOR[3]
    for name, array, slope in (
        ("all.nii", TUMOR * np.float32(0.9999), None),
        ("some.nii", values, None),
        ("slope.nii", TUMOR * 255, 1 / 255),
    ):
        file = nifti(tmp_path / name, array, slope)
        for label in (None, 1):
            np.testing.assert_array_equal(read_mask(file, label).array, TUMOR == 1)
    with pytest.raises(RegionAbsentError, match="holds no label 1"):
        read_mask(nifti(tmp_path / "half.nii", TUMOR * np.float32(0.7)), 1)


@pytest.mark.parametrize("value", [np.inf, np.nan])
@pytest.mark.parametrize("label", [None, 1])
def test_masks_that_are_not_finite(tmp_path, value, label):
    file = nrrd_file(tmp_path / "m.nrrd", np.where(TUMOR, 1, value).astype(np.float32))
    with pytest.raises(MaskError, match="not finite"):
        read_mask(file, label)


# --- images ---


@pytest.mark.parametrize("name", ["t1.nrrd", "t1.nii", "t1.nii.gz"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_intensities_that_are_no_numbers_are_not_made_up(tmp_path, name, value):
    """ITK reads such voxels of a NIfTI file as 0, and the tumor would have dark holes."""
    array = IMAGE.astype(np.float32)
    array[2, 4, 3], array[0, 0, 0] = value, 0
    file = (nrrd_file if name.endswith("nrrd") else nifti)(tmp_path / name, array)
    read = read_image(file).array
    assert not np.isfinite(read[2, 4, 3])
    assert np.isfinite(read).sum() == read.size - 1
    assert read[0, 0, 0] == 0


def test_rescaled_intensities_that_are_no_numbers(tmp_path):
    array = IMAGE.astype(np.float32)
    array[2, 4, 3] = np.nan
    image = nibabel.Nifti1Image(array.T, np.eye(4))
    image.header["scl_slope"], image.header["scl_inter"] = 2.0, 5.0
    image.to_filename(tmp_path / "t1.nii")
    read = read_image(tmp_path / "t1.nii").array
    assert np.argwhere(~np.isfinite(read)).tolist() == [[2, 4, 3]]


def test_complex_numbers_are_no_image(tmp_path):
    with pytest.raises(ImageError, match=r"t1.nii is no 3D gray image .*complex"):
        read_image(nifti(tmp_path / "t1.nii", IMAGE.astype(np.complex64)))


@pytest.mark.parametrize(
    "header",
    [
        {"encoding": "gzip"},
        {"encoding": "raw", "endian": "big"},
        {"encoding": "ascii"},
        {"space": "right-anterior-superior", "space directions": np.diag([-0.8, -0.9, 4.0])},
        {"space": "LAS", "space directions": np.diag([0.8, -0.9, 4.0])},
    ],
    ids=["gzip", "big-endian", "ascii", "RAS", "LAS"],
)
def test_kinds_of_nrrd(tmp_path, header):
    array = IMAGE.astype(">i2") if header.get("endian") == "big" else IMAGE
    image = read_image(nrrd_file(tmp_path / "t1.nrrd", array, **header))
    np.testing.assert_array_equal(image.array, IMAGE)
    assert image.spacing_mm == (0.8, 0.9, 4.0)
    if "space" in header:
        x, y, _ = np.array(image.direction).reshape(3, 3).diagonal()
        assert (x, y) == (1, 1)


def test_one_frame_of_four_dimensions(tmp_path):
    files = ImageFiles(nifti(tmp_path / "t1.nii", IMAGE[None]), nifti(tmp_path / "m.nii.gz", TUMOR[None]), 1)
    image, mask = read_pair(files)
    np.testing.assert_array_equal(image.array, IMAGE)
    np.testing.assert_array_equal(mask.array, TUMOR == 1)
    with pytest.raises(ImageError, match="12x14x6x2"):
        read_image(nifti(tmp_path / "two.nii", np.stack([IMAGE, IMAGE])))


# --- layouts ---


def touched(root: Path, *names: str, **about: Any) -> Cohort:
    """A folder of empty files, read as what it is taken for."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    if about:
        content = {"channel_names": {"0": "T1"}, "labels": {"background": 0, "GTVp": 1}, **about}
        (root / "dataset.json").write_text(json.dumps(content))
    return read_cohort(
        {"layout": guess_layout(root), "path": str(root), "sequences": ["t1"], "clinical": None}
    )


def names_of(cohort: Cohort) -> dict[str, tuple[str | None, ...]]:
    return {
        case.patient_id: tuple(
            part and part.name for files in case.images.values() for part in (files.image, files.mask)
        )
        for case in cohort.cases
    }


@pytest.mark.parametrize(
    "names",
    [
        ("c_1/c_1_IMG_MR_T1.nrrd", "c_1/c_1_OAR_GTVp.seg.nrrd"),
        ("c_1/c_1_IMG_MR_T1.NRRD", "c_1/c_1_OAR_GTVp.SEG.NRRD"),
        ("c_1/c_1_img_mr_t1.nrrd", "c_1/c_1_oar_gtvp.seg.nrrd"),
        ("c_1/image.nii.gz", "c_1/GTVp.nii.gz"),
        ("c_1/Image.NII.GZ", "c_1/GTVp.NII.GZ"),
        ("病 人/image.nii", "病 人/GTVp.nii"),
        ("c_1/T1WI/1.dcm", "c_1/ROI-T1.nii"),
        ("c_1/t1wi/1.DCM", "c_1/roi_t1.NII.GZ"),
    ],
)
def test_what_macos_leaves_in_an_archive_is_no_image(tmp_path, names):
    """Beside large and small letters, blanks and Chinese names."""
    hidden = [str(Path(name).with_name(f"._{Path(name).name}")) for name in names]
    cohort = touched(tmp_path, *names, *hidden, ".git/x_IMG_MR_T1.nrrd", ".Trash/image.nii.gz", ".DS_Store")
    image, mask = names
    folder = Path(image).parent if "dcm" in image.casefold() else None
    wanted = (folder.name if folder else Path(image).name, Path(mask).name)
    assert names_of(cohort) == {Path(names[1]).parent.name: wanted}
    assert not [finding for finding in cohort.findings if "structures" in finding.problem]


@pytest.mark.parametrize(
    ("names", "about", "taken", "said"),
    [
        (
            ("c_1/c_1_IMG_MR_T1.nrrd", "c_1/c_1_IMG_MR_T1.nii.gz", "c_1/c_1_OAR_GTVp.nrrd",
             "c_1/c_1_OAR_GTVp.seg.nrrd"),
            {}, ("c_1_IMG_MR_T1.nii.gz", "c_1_OAR_GTVp.nrrd"),
            ["c_1_IMG_MR_T1.nii.gz is taken; c_1_IMG_MR_T1.nrrd has the same name",
             "c_1_OAR_GTVp.nrrd is taken; c_1_OAR_GTVp.seg.nrrd has the same name"],
        ),
        (
            ("c_1/c_1_IMG_MR_T1.nrrd", "c_1/c_1_IMG_T1.nrrd", "c_1/c_1_OAR_GTVp.nrrd"),
            {}, ("c_1_IMG_MR_T1.nrrd", "c_1_OAR_GTVp.nrrd"),
            ["c_1_IMG_MR_T1.nrrd is taken; c_1_IMG_T1.nrrd would do as well"],
        ),
        (
            ("c_1/image.nii", "c_1/image.nii.gz", "c_1/image_t1.nii", "c_1/GTVp.nii", "c_1/GTVp.nii.gz"),
            {}, ("image.nii", "GTVp.nii"),
            ["GTVp.nii is taken; GTVp.nii.gz has the same name",
             "image.nii is taken; image.nii.gz has the same name",
             "image.nii is taken; image_t1.nii would do as well"],
        ),
        (
            ("imagesTr/c_1_0000.nii", "imagesTr/c_1_0000.nii.gz", "labelsTr/c_1.nii.gz", "labelsTr/c_1.nii"),
            {"numTraining": 1}, ("c_1_0000.nii", "c_1.nii"),
            ["c_1_0000.nii is taken; c_1_0000.nii.gz has the same name",
             "c_1.nii is taken; c_1.nii.gz has the same name"],
        ),
        (
            ("imagesTr/c_1_0000.nii", "imagesTr/c_1_0000.NII.GZ", "labelsTr/c_1.nii.gz", "labelsTr/c_1.nii"),
            {"file_ending": ".nii.gz"}, ("c_1_0000.NII.GZ", "c_1.nii.gz"), [],
        ),
        (
            ("imagesTr/c_1_0000.nii", "imagesTs/c_1_0000.nii", "labelsTr/c_1.nii", "labelsTs/c_1.nii"),
            {"numTraining": 1}, ("c_1_0000.nii", "c_1.nii"),
            ["c_1_0000.nii stands in two folders, and the first is taken"],
        ),
        (
            ("c_1/T1WI/1.dcm", "c_1/t1-wi/1.dcm", "c_1/ROI-T1.nii", "c_1/ROI-T1.nii.gz"),
            {}, ("t1-wi", "ROI-T1.nii.gz"),
            ["more than one mask: ROI-T1.nii, ROI-T1.nii.gz", "more than one series: T1WI, t1-wi"],
        ),
    ],
)  # fmt: skip
def test_two_files_for_one_thing_are_named(tmp_path, names, about, taken, said):
    cohort = touched(tmp_path, *names, **about)
    assert names_of(cohort) == {"c_1": taken}
    doubts = [finding for finding in cohort.findings if finding.severity != "info"]
    doubts = [finding for finding in doubts if not finding.problem.startswith("by their names alone")]
    assert sorted(finding.problem for finding in doubts) == sorted(said)


@pytest.mark.parametrize(
    ("about", "said"),
    [
        ({"file_ending": ".nrrd"}, r"holds no images. Expected imagesTr/CASE_0000\.nrrd"),
        ({"dataset": {"c_1": ["imagesTr/c_1_0000.nii.gz"]}}, r"dataset\.json names no images of c_1"),
    ],
)
def test_a_data_set_of_nnunet_without_images(tmp_path, about, said):
    with pytest.raises(CohortError, match=said):
        touched(tmp_path, "imagesTr/c_1_0000.nii.gz", "labelsTr/c_1.nii.gz", **about)
