"""Folders of DICOM files as a layout: which series is measured, and whose contours."""

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian

from radiomics_npc.cohort.layouts import find_cases, guess_layout
from radiomics_npc.cohort.manifest_writing import write_manifest
from radiomics_npc.cohort.reading import read_cohort
from radiomics_npc.errors import CohortError
from radiomics_npc.imaging.checks import check_cohort
from radiomics_npc.imaging.reading import read_image, read_mask, read_pair
from radiomics_npc.settings import CohortSettings

PLANES = {"axial": (1, 0, 0, 0, 1, 0), "coronal": (1, 0, 0, 0, 0, -1), "sagittal": (0, 1, 0, 0, 0, -1)}
ROOT = "1.2.826.0.1.3680043.8.498"


def uid(number: int) -> str:
    return f"{ROOT}.{number}"


def file_of(kind: str, number: int) -> FileDataset:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = kind, uid(number)
    data = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID, data.SOPInstanceUID = kind, uid(number)
    data.StudyInstanceUID, data.SpecificCharacterSet = uid(9), "GB18030"
    return data


def write_series(folder: Path, patient: str, series: int, name: str, slices=5, plane="axial", **tags) -> Path:
    """A series of noise, in a folder that may hold others; file names say nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    cosines = np.array(PLANES[plane], float)
    rng = np.random.default_rng(series)
    for k in range(slices):
        data = file_of("1.2.840.10008.5.1.4.1.1.4", 100000 + 1000 * series + k)
        data.Modality, data.PatientID, data.SeriesInstanceUID = "MR", patient, uid(series)
        data.SeriesDescription, data.ImageType = name, ["ORIGINAL", "PRIMARY", "M"]
        data.ImageOrientationPatient = list(cosines)
        data.ImagePositionPatient = list(np.cross(cosines[:3], cosines[3:]) * 4.0 * k)
        data.PixelSpacing, data.SliceThickness = [1.0, 1.0], 4.0
        data.Rows = data.Columns = 12
        data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
        data.BitsAllocated = data.BitsStored = 16
        data.HighBit, data.PixelRepresentation = 15, 0
        data.PixelData = rng.integers(0, 500, (12, 12), np.uint16).tobytes()
        for tag, value in tags.items():
            setattr(data, tag, value)
        data.save_as(folder / f"IM{(series * 7919 + k * 31) % 99991:05d}", enforce_file_format=True)
    return folder


def write_contours(file: Path, patient: str, series: int, names=("GTVp",), number=1) -> Path:
    """An RTSTRUCT on a series, as far as its header goes."""
    file.parent.mkdir(parents=True, exist_ok=True)
    data = file_of("1.2.840.10008.5.1.4.1.1.481.3", 500 + number)
    data.Modality, data.PatientID, data.SeriesInstanceUID = "RTSTRUCT", patient, uid(700 + number)
    item, study, frame = Dataset(), Dataset(), Dataset()
    item.SeriesInstanceUID = uid(series)
    study.RTReferencedSeriesSequence = Sequence([item])
    frame.RTReferencedStudySequence = Sequence([study])
    data.ReferencedFrameOfReferenceSequence = Sequence([frame])
    rois = [Dataset() for _ in names]
    for k, (roi, name) in enumerate(zip(rois, names, strict=True), start=1):
        roi.ROINumber, roi.ROIName = k, name
    data.StructureSetROISequence = Sequence(rois)
    data.save_as(file, enforce_file_format=True)
    return file


def found(folder, **settings):
    return find_cases(CohortSettings(layout="dicom", path=folder, **settings))


def test_series_of_one_folder_are_told_apart(tmp_path):
    folder = tmp_path / "影像 归档" / "x"
    write_series(folder, "李四", 1, "t1_tse_tra")
    write_series(folder, "李四", 2, "t2_tse_tra")
    write_series(tmp_path / "影像 归档" / "y", "007", 3, "Ax T1+C")
    cases, findings = found(tmp_path)
    assert [f for f in findings if f.severity != "info"] == []
    assert [(c.patient_id, {s: f.series for s, f in c.images.items()}) for c in cases] == [
        ("007", {"ce_t1": uid(3)}),
        ("李四", {"t1": uid(1), "t2": uid(2)}),
    ]
    for files in cases[1].images.values():
        volume = read_image(files.image, files.series)
        assert volume.array.shape == (5, 12, 12)
    assert guess_layout(tmp_path) == "dicom"


def test_axial_goes_before_other_planes_and_more_slices_before_fewer(tmp_path):
    write_series(tmp_path / "s1", "1", 1, "t1_tse_cor", slices=9, plane="coronal")
    write_series(tmp_path / "s2", "1", 2, "t1_tse_tra", slices=4)
    write_series(tmp_path / "s3", "1", 3, "t1_tse_tra", slices=6)
    write_series(tmp_path / "s4", "1", 4, "t1_tse_sag", slices=20, plane="sagittal")
    (case,), findings = found(tmp_path, sequences=["t1"])
    assert case.images["t1"].series == uid(3)
    (said,) = [f for f in findings if f.sequence == "t1"]
    assert said.severity == "info"
    assert said.problem.startswith(
        "'t1_tse_tra' (axial, 6 slices, s3) goes before 't1_tse_tra' (axial, 4 slices, s2)"
    )


def test_a_series_with_contours_goes_first(tmp_path):
    write_series(tmp_path / "a", "1", 1, "t1_tse_cor", plane="coronal")
    write_series(tmp_path / "b", "1", 2, "t1_tse_tra", slices=9)
    file = write_contours(tmp_path / "rt" / "RS.dcm", "1", 1)
    (case,), _ = found(tmp_path, sequences=["t1"], regions={"p": ["GTVp"]})
    assert (case.images["t1"].series, case.images["t1"].mask, case.images["t1"].label) == (
        uid(1),
        file,
        "GTVp",
    )


def test_two_that_would_do_are_named_and_settled_in_a_manifest(tmp_path):
    write_series(tmp_path / "a", "1", 1, "t1_tse_tra")
    write_series(tmp_path / "b", "1", 2, "t1 fse ax")
    (case,), findings = found(tmp_path, sequences=["t1"])
    (doubt,) = [f for f in findings if f.severity == "warning"]
    assert (
        doubt.problem
        == "'t1_tse_tra' (axial, 5 slices, a) is taken; 't1 fse ax' (axial, 5 slices, b) would do as well"
    )
    made = write_manifest(tmp_path, tmp_path / "m.csv", sequences=["t1"])
    assert "would do as well" in made.table.loc[0, "note"]
    assert made.table.loc[0, "series_uid"] == case.images["t1"].series
    edited = made.path.read_text(encoding="utf-8-sig").replace(uid(1), uid(2)).replace(",a,", ",b,")
    made.path.write_text(edited, encoding="utf-8")
    (again,), _ = find_cases(CohortSettings(layout="manifest", path=made.path, sequences=["t1"]))
    assert again.images["t1"].series == uid(2)
    assert read_image(again.images["t1"].image, again.images["t1"].series).array.shape == (5, 12, 12)
    # or by the study's own names
    (case,), findings = found(
        tmp_path, sequences=["t1"], sequence_names={"t1": ["fse ax"], "t2": ["t1_tse_tra"]}
    )
    assert case.images["t1"].series == uid(2)


def test_contours_twice_and_of_nothing(tmp_path):
    write_series(tmp_path / "a", "1", 1, "t1_tse_tra")
    write_contours(tmp_path / "a.dcm", "1", 1, number=1)
    write_contours(tmp_path / "b.dcm", "1", 1, number=2)
    write_contours(tmp_path / "c.dcm", "1", 77, number=3)
    (case,), findings = found(tmp_path, sequences=["t1"])
    assert case.images["t1"].mask.name == "a.dcm"
    assert {f.problem for f in findings if f.severity == "warning"} == {
        "a.dcm is taken for the contours; b.dcm refers to the same series",
        "RTSTRUCT c.dcm refers to no series that is there: passed over",
    }


def test_what_is_none_of_the_sequences_is_counted(tmp_path):
    write_series(tmp_path / "a", "1", 1, "t1_tse_tra")
    write_series(tmp_path / "b", "1", 2, "DWI b1000")
    write_series(tmp_path / "c", "2", 3, "DWI b1000")
    write_series(tmp_path / "d", "", 4, "t1_tse_tra")
    cases, findings = found(tmp_path, sequences=["t1"])
    assert [(c.patient_id, list(c.images)) for c in cases] == [("1", ["t1"]), ("2", [])]
    (passed,) = [f for f in findings if "DWI" in f.problem]
    assert passed.problem.startswith("2 series 'DWI b1000' passed over: ")
    (nobody,) = [f for f in findings if f.severity == "error"]
    assert nobody.problem == "1 series name no patient: passed over"


def test_no_images(tmp_path):
    write_contours(tmp_path / "rs.dcm", "1", 1)
    with pytest.raises(CohortError, match="holds no DICOM images"):
        found(tmp_path)


@pytest.mark.shared
def test_a_real_series_with_real_contours(shared, tmp_path):
    data = shared / "data"
    header = pydicom.dcmread(next((data / "dicom_rtstruct" / "image").iterdir()), stop_before_pixels=True)
    settings = {
        "layout": "dicom", "path": str(data / "dicom_rtstruct"), "sequences": ["t1"], "clinical": None,
        "sequence_names": {"t1": [str(header.SeriesDescription)]},
    }  # fmt: skip
    cohort = read_cohort(settings)
    (case,) = cohort.cases
    assert case.images["t1"].mask == data / "dicom_rtstruct" / "mask" / "RS.dcm"
    assert check_cohort(cohort, jobs=1).ok
    _, mask = read_pair(case.images["t1"])
    nifti = read_mask(data / "sts_mr_t1" / "STS_002" / "MR_T1_mask.nii.gz")
    dice = 2 * (mask.array & nifti.array).sum() / (mask.array.sum() + nifti.array.sum())
    assert dice >= 0.98
    made = write_manifest(data / "dicom_rtstruct", tmp_path / "m.csv", sequences=["t1"],
                          names=settings["sequence_names"])  # fmt: skip
    assert len(made.table) == 1
