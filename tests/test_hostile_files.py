"""Files as they come from strangers: what is odd is read right or refused by name, never guessed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel
import nrrd
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

from radiomics_npc.cohort.cases import Cohort, ImageFiles
from radiomics_npc.cohort.layouts import guess_layout
from radiomics_npc.cohort.reading import read_cohort
from radiomics_npc.dataset.series_headers import read_headers
from radiomics_npc.errors import CohortError, ImageError, MaskError, RegionAbsentError
from radiomics_npc.features.case_job import CaseJob, case_key
from radiomics_npc.imaging.checks import check_cohort
from radiomics_npc.imaging.reading import read_image, read_mask, read_pair
from tests.rewritten_cohorts import FOLDERS, Series, pixel_edges, write_rtstruct, write_seg

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


# --- DICOM: whose contours, of which series ---


def series_of(folder: Path, sequence: str, patient: str = "001", **tags: Any) -> Series:
    """An oblique series of its own, with the tumor two pixels further on in CE-T1."""
    number = 1 + list(FOLDERS).index(sequence)
    affine = np.eye(4)
    affine[:3, :3] = np.array([[0.96, 0, 0.28], [0, 1, 0], [-0.28, 0, 0.96]]) * (0.8, 0.9, 4.0)
    affine[:3, 3] = -12.0, 7.5, 30.0 + 3 * number
    folder.mkdir(parents=True, exist_ok=True)
    headers = []
    for k, plane in enumerate(IMAGE):
        meta = FileMetaDataset()
        meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, MRImageStorage
        meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[patient, sequence, str(k)])
        data = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
        data.SOPClassUID, data.SOPInstanceUID = MRImageStorage, meta.MediaStorageSOPInstanceUID
        data.PatientID = data.PatientName = patient
        for name in ("PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "AccessionNumber",
                     "ReferringPhysicianName", "StudyID"):  # fmt: skip
            setattr(data, name, "")
        data.StudyInstanceUID = generate_uid(entropy_srcs=[patient])
        data.SeriesInstanceUID = generate_uid(entropy_srcs=[patient, sequence])
        data.FrameOfReferenceUID = generate_uid(entropy_srcs=[patient, "frame"])
        data.Modality, data.Manufacturer = "MR", "none"
        data.SeriesDescription, data.SeriesNumber, data.InstanceNumber = FOLDERS[sequence], number, k
        data.ImageOrientationPatient = [0.96, 0, -0.28, 0, 1, 0]
        data.ImagePositionPatient = (affine @ (0, 0, k, 1))[:3].round(8).tolist()
        data.PixelSpacing, data.SliceThickness = [0.9, 0.8], 4
        data.Rows, data.Columns = plane.shape
        data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
        data.BitsAllocated = data.BitsStored = 16
        data.HighBit, data.PixelRepresentation = 15, 1
        data.PixelData = plane.astype("<i2").tobytes()
        for name, value in tags.items():
            setattr(data, name, value)
        data.save_as(folder / f"{k}.dcm", enforce_file_format=True)
        headers.append(pydicom.dcmread(folder / f"{k}.dcm"))
    mask = np.roll(TUMOR == 1, 0 if sequence == "t1" else 2, axis=2)
    return Series(patient, sequence, headers, IMAGE, affine, mask)


def edited(file: Path, change: Callable[[Any], None]) -> None:
    data = pydicom.dcmread(file)
    change(data)
    data.save_as(file)


def as_object(number: int, **tags: Any) -> Callable[[Any], None]:
    """Make another object of a copy."""

    def change(data: Any) -> None:
        data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{number}"
        for name, value in tags.items():
            setattr(data, name, value)

    return change


def found(root: Path, **settings: Any) -> Cohort:
    about = {"layout": "dicom", "path": str(root), "sequences": list(FOLDERS), "clinical": None}
    return read_cohort({**about, "regions": {"gtvp": ["GTVp"]}, **settings})


def doubts(cohort: Cohort) -> list[str]:
    return [finding.problem for finding in cohort.findings if finding.severity != "info"]


def test_objects_of_one_contour_series_belong_each_to_its_images(tmp_path):
    """One RTSTRUCT of T1 and one of CE-T1, sent as one series."""
    for sequence in FOLDERS:
        series = series_of(tmp_path / sequence, sequence)
        write_rtstruct(tmp_path / f"RS {sequence}", series, pixel_edges)
        edited(tmp_path / f"RS {sequence}", as_object(len(sequence), SeriesInstanceUID="1.2.9"))
    cohort = found(tmp_path)
    assert not doubts(cohort)
    for sequence, files in cohort.cases[0].images.items():
        _, mask = read_pair(files)
        np.testing.assert_array_equal(mask.array, np.roll(TUMOR == 1, 0 if sequence == "t1" else 2, axis=2))


def test_a_segmentation_a_region(tmp_path):
    series = series_of(tmp_path / "t1", "t1")
    for number, name in enumerate(("GTVnd", "GTVp", "Brain")):
        moved = replace(series, mask=np.roll(series.mask, number, axis=1))
        write_seg(tmp_path / f"{number}.dcm", moved, series.headers)
        edited(tmp_path / f"{number}.dcm", as_object(number, SeriesInstanceUID=f"1.2.9.{number}"))
        edited(
            tmp_path / f"{number}.dcm",
            lambda data, name=name: setattr(data.SegmentSequence[0], "SegmentLabel", name),
        )
    cohort = found(tmp_path, regions={"gtvp": ["gtv_p"], "gtvnd": ["GTVnd"]}, sequences=["t1"])
    assert not doubts(cohort)
    for name, step in (("t1-gtvp", 1), ("t1-gtvnd", 0)):
        _, mask = read_pair(cohort.cases[0].images[name])
        np.testing.assert_array_equal(mask.array, np.roll(series.mask, step, axis=1))


def test_two_contours_of_one_region_are_a_doubt(tmp_path):
    series = series_of(tmp_path / "t1", "t1")
    for number in range(2):
        write_rtstruct(tmp_path / f"RS{number}.dcm", series, pixel_edges)
        edited(tmp_path / f"RS{number}.dcm", as_object(number, SeriesInstanceUID=f"1.2.9.{number}"))
    cohort = found(tmp_path, sequences=["t1"])
    assert doubts(cohort) == ["RS0.dcm is taken for the contours; RS1.dcm refers to the same series"]
    assert doubts(found(tmp_path, sequences=["t1"], regions={})) == doubts(cohort)


def test_nobody_gets_the_contours_of_another_patient(tmp_path):
    """Careless pseudonyms leave the same identifiers of series to several patients."""
    series = series_of(tmp_path / "a", "t1")
    write_seg(tmp_path / "seg.dcm", series, series.headers)
    series_of(tmp_path / "b", "t1", "002", SeriesInstanceUID=series.headers[0].SeriesInstanceUID)
    cohort = found(tmp_path, sequences=["t1"])
    assert {case.patient_id: case.images["t1"].mask is not None for case in cohort.cases} == {
        "001": True, "002": False,
    }  # fmt: skip
    # of a patient without images here they are those of the series that they name
    edited(tmp_path / "seg.dcm", as_object(1, PatientID="pseudonym"))
    assert all(case.images["t1"].mask is not None for case in found(tmp_path, sequences=["t1"]).cases)


def test_contours_that_name_images_and_no_series(tmp_path):
    """RTReferencedStudySequence need not be there (PS3.3 C.8.8.5); contours name their slices then."""
    series = {name: series_of(tmp_path / name, name) for name in FOLDERS}

    def change(data: Any) -> None:
        del data.ReferencedFrameOfReferenceSequence[0].RTReferencedStudySequence
        for roi in data.ROIContourSequence:
            for contour in roi.ContourSequence:
                image = Dataset()
                image.ReferencedSOPInstanceUID = series["ce_t1"].headers[2].SOPInstanceUID
                contour.ContourImageSequence = [image]

    write_rtstruct(tmp_path / "RS.dcm", series["ce_t1"], pixel_edges)
    edited(tmp_path / "RS.dcm", change)
    cohort = found(tmp_path, sequences=["ce_t1"])
    assert not doubts(cohort)
    np.testing.assert_array_equal(read_pair(cohort.cases[0].images["ce_t1"])[1].array, series["ce_t1"].mask)


@pytest.mark.parametrize("charset", ["gb18030", "utf-8"])
def test_chinese_names_without_a_character_set(tmp_path, charset):
    """As consoles in Chinese write them; the standard would have them refused."""
    series = series_of(tmp_path / "病 人" / "t1", "t1")
    for name in ("RS", "SEG"):
        file = tmp_path / f"轮廓 {name}"
        if name == "RS":
            write_rtstruct(file, series, pixel_edges)
            edited(file, lambda data: setattr(data.StructureSetROISequence[1], "ROIName", "x" * 12))
        else:
            write_seg(file, series, series.headers)
            edited(file, lambda data: setattr(data.SegmentSequence[0], "SegmentLabel", "x" * 12))
        edited(file, lambda data: data.pop("SpecificCharacterSet", None))
        file.write_bytes(file.read_bytes().replace(b"x" * 12, "鼻咽肿瘤".encode(charset).ljust(12)))
    cohort = found(tmp_path, sequences=["t1"])
    assert doubts(cohort) == ["轮廓 RS is taken for the contours; 轮廓 SEG refers to the same series"]
    for file, label in (("轮廓 RS", "鼻咽肿瘤"), ("轮廓 SEG", "GTVp")):
        mask = read_mask(tmp_path / file, label, read_image(tmp_path / "病 人" / "t1"))
        assert mask.array.sum() == series.mask.sum()


@pytest.mark.parametrize("write", ["SEG", "RTSTRUCT"])
def test_a_tumor_on_a_single_slice(tmp_path, write):
    series = series_of(tmp_path / "t1", "t1")
    series.mask[:3] = False
    if write == "SEG":
        write_seg(tmp_path / "mask", series, series.headers, frames_reversed=True)
    else:
        write_rtstruct(tmp_path / "mask", series, pixel_edges)
    _, mask = read_pair(ImageFiles(tmp_path / "t1", tmp_path / "mask", "gtvp"))
    np.testing.assert_array_equal(mask.array, series.mask)


def test_a_segmentation_that_names_the_wrong_series_does_not_fit_it(tmp_path):
    series = {name: series_of(tmp_path / name, name) for name in FOLDERS}
    write_seg(tmp_path / "seg.dcm", series["t1"], series["t1"].headers)
    edited(
        tmp_path / "seg.dcm",
        lambda data: setattr(
            data.ReferencedSeriesSequence[0],
            "SeriesInstanceUID",
            series["ce_t1"].headers[0].SeriesInstanceUID,
        ),
    )
    cohort = found(tmp_path)
    assert cohort.cases[0].images["t1"].mask is None
    with pytest.raises(MaskError, match="different grids"):
        read_pair(cohort.cases[0].images["ce_t1"])
    assert not check_cohort(cohort, jobs=1).ok


def test_one_export_in_two_folders_is_one_series(tmp_path):
    """All of it twice, and half of it elsewhere; capitals and blanks in names."""
    series = series_of(tmp_path / "A B" / "t1", "t1")
    write_seg(tmp_path / "SEG.DCM", series, series.headers)
    shutil.copytree(tmp_path / "A B" / "t1", tmp_path / "copy")
    for k in range(0, len(IMAGE), 2):
        (tmp_path / "A B" / "t1" / f"{k}.dcm").rename(tmp_path / f"{k}.DCM")
    cohort = found(tmp_path, sequences=["t1"])
    image, mask = read_pair(cohort.cases[0].images["t1"])
    np.testing.assert_array_equal(image.array, IMAGE)
    np.testing.assert_array_equal(mask.array, series.mask)


# --- one folder with everything ---


@pytest.fixture
def opened(monkeypatch) -> list[Path]:
    """Files that pydicom was asked for."""
    files: list[Path] = []
    whole = pydicom.dcmread
    monkeypatch.setattr(pydicom, "dcmread", lambda file, **how: (files.append(file), whole(file, **how))[1])
    return files


def everything_in_one_folder(root: Path) -> dict[tuple[str, str], Series]:
    made = {}
    for patient in ("001", "002", "003"):
        for sequence in FOLDERS:
            made[patient, sequence] = series_of(root / "x", sequence, patient)
            for file in sorted((root / "x").iterdir()):
                file.rename(root / f"{patient}{sequence}{file.stem}")
            (root / "x").rmdir()
    return made


def test_a_folder_with_all_patients_is_searched_once(tmp_path, opened):
    """Not once for each series: of 277 patients that would take hours."""
    made = everything_in_one_folder(tmp_path)
    count = len(made) * len(IMAGE)
    opened.clear()
    for expected in (2 * count, count):  # headers and pixels, then pixels alone
        for series in made.values():
            image = read_image(tmp_path, series.headers[0].SeriesInstanceUID)
            np.testing.assert_array_equal(image.array, IMAGE)
        assert len(opened) == expected
        opened.clear()


def test_a_changed_folder_is_searched_again(tmp_path):
    series = everything_in_one_folder(tmp_path)["001", "t1"]
    uid = series.headers[0].SeriesInstanceUID
    assert read_image(tmp_path, uid).array.shape == IMAGE.shape
    edited(tmp_path / "001t15", lambda data: setattr(data, "SeriesInstanceUID", "1.2.3"))
    assert len(read_image(tmp_path, uid).array) == len(IMAGE) - 1
    (tmp_path / "notes.dcm").write_bytes(b"no DICOM")
    with pytest.raises(ImageError, match=r"notes\.dcm is no DICOM file"):
        read_image(tmp_path, uid)


def test_the_key_of_a_case_hangs_on_its_own_series(tmp_path):
    made = everything_in_one_folder(tmp_path)
    mask = nifti(tmp_path.with_name("m.nii"), TUMOR)
    uid = made["001", "t1"].headers[0].SeriesInstanceUID
    job = CaseJob("001", "t1", ImageFiles(tmp_path, mask, None, uid), {"normalize": "none"})
    before = case_key(job)
    series_of(tmp_path / "new", "t1", "004")
    edited(tmp_path / "002t10", lambda data: setattr(data, "ImageComments", "seen"))
    assert case_key(job) == before
    edited(tmp_path / "001t10", lambda data: setattr(data, "ImageComments", "seen"))
    assert case_key(job) != before


def test_parameters_of_a_series_in_two_folders(tmp_path):
    series = series_of(tmp_path / "t1", "t1", EchoTime=12)
    (tmp_path / "more").mkdir()
    for k in range(3):
        (tmp_path / "t1" / f"{k}.dcm").rename(tmp_path / "more" / f"IM{k}")
    headers = read_headers(tmp_path, series.headers[0].SeriesInstanceUID)
    assert (headers["echo_time"], headers["slices"]) == (12, len(IMAGE))
