"""Files as they come from strangers: what is odd is read right or refused by name, never guessed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import nrrd
import numpy as np
import pytest

from radiomics_npc.cohort.cases import ImageFiles
from radiomics_npc.errors import ImageError, MaskError, RegionAbsentError
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
