"""Acquisition parameters of series that other libraries wrote."""

from __future__ import annotations

import json

import nibabel
import numpy as np
import pandas as pd
import pytest
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import EnhancedMRImageStorage, ExplicitVRLittleEndian, MRImageStorage

from radiomics_npc.cohort.cases import Case, Cohort, ImageFiles
from radiomics_npc.dataset.metadata import read_metadata
from radiomics_npc.dataset.series_headers import read_headers
from radiomics_npc.errors import ImageError
from radiomics_npc.simulate.cohort import simulate_cohort

PLANTED = "Zhang^Wei-7731"


def empty(uid):
    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, uid
    meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    data = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID, data.SOPInstanceUID, data.SeriesInstanceUID, data.Modality = (
        uid,
        "1.2.3.4",
        "1.2.3",
        "MR",
    )
    for name in (
        "PatientName", "PatientID", "InstitutionName", "StationName", "SeriesDescription", "ProtocolName",
        "DeviceSerialNumber", "OperatorsName",
    ):  # fmt: skip
        setattr(data, name, PLANTED)
    data.Manufacturer, data.ManufacturerModelName, data.MagneticFieldStrength = "SIEMENS", "Avanto", "1.5"
    data.Rows, data.Columns = 384, 320
    return data


def write_series(folder, positions, normal_axis=2, **changes):
    """A classic series; ``changes`` may be functions of the number of the slice."""
    folder.mkdir(parents=True)
    cosines = {2: [1, 0, 0, 0, 1, 0], 0: [0, 1, 0, 0, 0, -1], 1: [1, 0, 0, 0, 0, -1]}[normal_axis]
    for k, position in enumerate(positions):
        data = empty(MRImageStorage)
        data.EchoTime, data.RepetitionTime, data.FlipAngle, data.EchoTrainLength = "11.5", "600", "90", "2"
        data.PixelSpacing, data.SliceThickness, data.SpacingBetweenSlices = [0.5, 0.625], "5", "5.5"
        data.ScanningSequence, data.ScanOptions, data.MRAcquisitionType = ["SE", "IR"], "FS", "2D"
        data.ImagePositionPatient = [position if axis == normal_axis else -7.0 for axis in range(3)]
        data.ImageOrientationPatient = cosines
        for name, value in changes.items():
            setattr(data, name, value(k) if callable(value) else value)
        data.save_as(folder / f"{99 - k}.dcm", enforce_file_format=True)
    return folder


def write_enhanced(file):
    """A multi-frame image: what is shared stands in one group, echo times by frame, frames out of order."""
    data = empty(EnhancedMRImageStorage)
    data.NumberOfFrames, data.EchoPulseSequence, data.MRAcquisitionType = 4, "SPIN", "2D"
    shared = Dataset()
    timing, measures, orientation, modifier = (Dataset() for _ in range(4))
    timing.RepetitionTime, timing.FlipAngle, timing.EchoTrainLength = 3100.0, 120.0, 15
    measures.PixelSpacing, measures.SliceThickness, measures.SpacingBetweenSlices = [0.4, 0.4], 4.0, 4.4
    orientation.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    modifier.SpectrallySelectedSuppression = "FAT"
    shared.MRTimingAndRelatedParametersSequence = Sequence([timing])
    shared.PixelMeasuresSequence = Sequence([measures])
    shared.PlaneOrientationSequence = Sequence([orientation])
    shared.MRModifierSequence = Sequence([modifier])
    data.SharedFunctionalGroupsSequence = Sequence([shared])
    frames = []
    for z in (4.4, 0.0, 13.2, 8.8):
        frame, echo, place = Dataset(), Dataset(), Dataset()
        echo.EffectiveEchoTime, place.ImagePositionPatient = 81.0, [0, 0, z]
        frame.MREchoSequence, frame.PlanePositionSequence = Sequence([echo]), Sequence([place])
        frames.append(frame)
    data.PerFrameFunctionalGroupsSequence = Sequence(frames)
    agent = Dataset()
    agent.CodeValue, agent.CodingSchemeDesignator, agent.CodeMeaning = "C-B03C0", "SRT", "Gadoterate"
    data.ContrastBolusAgentSequence = Sequence([agent])
    data.save_as(file, enforce_file_format=True)
    return file


def test_a_series_as_the_authors_read_it_and_more(tmp_path):
    row = read_headers(write_series(tmp_path / "a", [0, 5.5, 11]))
    expected = {
        "echo_time": 11.5, "repetition_time": 600, "pixel_spacing": 0.5, "spacing_between_slices": 5.5,
        "slice_thickness": 5, "scanner_device_name": "Avanto", "flip_angle": 90, "field_of_view": "200x192",
        "matrix_rows": 384, "matrix_columns": 320, "magnetic_field_strength": 1.5, "manufacturer": "SIEMENS",
        "slices": 3, "slice_distance_mm": 5.5, "orientation": "axial", "scanning_sequence": "SE\\IR",
        "acquisition_type": "2D", "echo_train_length": 2, "fat_saturation": "yes", "contrast_agent": None,
        "format": "DICOM", "remarks": "",
    }  # fmt: skip
    assert row == expected


@pytest.mark.parametrize(("axis", "name"), [(0, "sagittal"), (1, "coronal"), (2, "axial")])
def test_orientation(tmp_path, axis, name):
    row = read_headers(write_series(tmp_path / "a", [3.0, -3.0, 0.0], axis))
    assert (row["orientation"], row["slice_distance_mm"]) == (name, 3.0)


def test_an_oblique_stack_is_called_so_as_by_the_index_of_series(tmp_path):
    half = np.sqrt(0.5)
    cosines = [1, 0, 0, 0, half, half]
    row = read_headers(
        write_series(
            tmp_path / "a", [0.0, 0.1, 0.2], ImageOrientationPatient=cosines,
            ImagePositionPatient=lambda k: [0.0, -half * k / 3, half * k / 3],
        )
    )  # fmt: skip
    assert row["orientation"] == "oblique"
    assert row["slice_distance_mm"] == 0.333333  # what lies beyond is the rounding of the header


def test_a_gap_in_the_header_is_no_distance(tmp_path):
    row = read_headers(write_series(tmp_path / "a", [0, 5.5, 11, 16.5], SpacingBetweenSlices="0.5"))
    assert (row["spacing_between_slices"], row["slice_distance_mm"]) == (0.5, 5.5)
    assert row["remarks"] == "the header says 0.5 mm between slices, their positions 5.5 mm"


def test_a_missing_slice_does_not_change_the_distance(tmp_path):
    row = read_headers(write_series(tmp_path / "a", [0, 5, 15, 20, 25]))
    assert (row["slice_distance_mm"], row["slices"]) == (5, 5)
    assert "slices lie 5 to 10 mm apart" in row["remarks"]


def test_what_varies_within_a_series_is_said(tmp_path):
    row = read_headers(write_series(tmp_path / "a", [0, 0, 5, 5], EchoTime=lambda k: ["12", "80"][k % 2]))
    assert row["echo_time"] == 12  # a value that occurs; 46 is no echo of this series
    assert "echo_time varies within the series (12 to 80)" in row["remarks"]
    assert row["slices"] == 2


def test_tags_without_a_value_are_unknown_and_no_fault(tmp_path):
    row = read_headers(
        write_series(
            tmp_path / "a", [0, 5], EchoTime=None, SpacingBetweenSlices=None, ScanOptions=None, FlipAngle=""
        )
    )
    assert row["echo_time"] is None
    assert row["flip_angle"] is None
    assert row["fat_saturation"] == "no"
    assert row["remarks"] == ""


def test_contrast_agent(tmp_path):
    assert read_headers(write_series(tmp_path / "a", [0, 5], ContrastBolusAgent="Dotarem"))[
        "contrast_agent"
    ] == ("Dotarem")


def test_enhanced_multi_frame(tmp_path):
    row = read_headers(write_enhanced(tmp_path / "e.dcm"))
    assert (row["echo_time"], row["repetition_time"], row["flip_angle"]) == (81, 3100, 120)
    assert (row["pixel_spacing"], row["slice_thickness"], row["spacing_between_slices"]) == (0.4, 4.0, 4.4)
    assert row["slices"] == 4
    assert row["slice_distance_mm"] == pytest.approx(4.4, abs=1e-12)
    assert (row["fat_saturation"], row["contrast_agent"], row["scanning_sequence"]) == (
        "yes",
        "Gadoterate",
        "SPIN",
    )
    assert (row["format"], row["field_of_view"], row["echo_train_length"]) == (
        "DICOM, enhanced",
        "128x153.6",
        15,
    )


def test_one_of_several_series_by_its_uid(tmp_path):
    folder = write_series(tmp_path / "a", [0, 5.5, 11])
    for file in write_series(tmp_path / "b", [0, 4], SeriesInstanceUID="9.9", EchoTime="80").iterdir():
        file.rename(folder / f"b{file.name}")
    assert read_headers(folder, "9.9")["echo_time"] == 80
    largest = read_headers(folder)
    assert (largest["echo_time"], largest["remarks"]) == (
        11.5,
        "2 series in the folder, the largest was read",
    )
    with pytest.raises(ImageError, match="no image"):
        read_headers(folder, "8.8")


def test_nifti_gives_its_geometry_and_what_lies_beside_it(tmp_path):
    image = nibabel.Nifti1Image(np.zeros((320, 256, 20), np.int16), np.diag([-0.5, -0.75, 5.5, 1]))
    nibabel.save(image, tmp_path / "T1.nii.gz")
    row = read_headers(tmp_path / "T1.nii.gz")
    assert (row["matrix_columns"], row["matrix_rows"], row["slices"]) == (320, 256, 20)
    assert (row["pixel_spacing"], row["slice_distance_mm"]) == (0.75, 5.5)
    assert (row["field_of_view"], row["orientation"], row["format"]) == ("160x192", "axial", "nii")
    assert row["echo_time"] is None
    sidecar = {
        "EchoTime": 0.0115,
        "RepetitionTime": 0.6,
        "FlipAngle": 90,
        "ManufacturersModelName": "Achieva",
    }
    (tmp_path / "T1.json").write_text(json.dumps(sidecar | {"PatientName": PLANTED}))
    row = read_headers(tmp_path / "T1.nii.gz")
    assert (row["echo_time"], row["repetition_time"], row["scanner_device_name"]) == (11.5, 600, "Achieva")
    assert PLANTED not in str(row)


def test_a_cohort_names_nobody_and_a_damaged_series_stops_no_other(tmp_path):
    good = write_series(tmp_path / "a", [0, 5])
    bad = tmp_path / "b"
    bad.mkdir()
    (bad / "1.dcm").write_bytes(b"not a DICOM file")
    cases = (
        Case("1", {"t1-gtvp": ImageFiles(good), "t1-gtvnd": ImageFiles(good), "t2": ImageFiles(bad)}),
        Case("2", {"t1": ImageFiles(tmp_path / "nowhere")}),
    )
    found = read_metadata(Cohort(cases), jobs=1, progress=False)
    assert found.table[["patient_id", "sequence"]].to_numpy().tolist() == [["1", "t1"]]
    assert found.failures[["patient_id", "sequence"]].to_numpy().tolist() == [["1", "t2"], ["2", "t1"]]
    text = found.to_frame().to_csv() + found.failures.to_csv()
    assert PLANTED not in text
    assert str(tmp_path) not in text
    path = found.write(tmp_path / "meta_data.csv")
    assert path.read_bytes().startswith(b"\xef\xbb\xbfpatient_id,sequence,echo_time,repetition_time")


@pytest.mark.slow
def test_a_simulated_cohort_has_what_its_own_table_says(tmp_path):
    folder = simulate_cohort(tmp_path, patients=2, seed=5, jobs=1, matrix=64)
    found = read_metadata(folder, jobs=1, progress=False)
    assert found.simulated
    assert found.to_frame()["simulated"].all()
    said = pd.read_csv(folder / "meta_data.csv", dtype={"patient_id": str})
    said["sequence"] = said["sequence"].map({"T1WI": "t1", "T2WI": "t2", "CE-T1WI": "ce_t1"})
    mine = found.table[list(said.columns)]
    both = said.merge(mine, on=["patient_id", "sequence"], suffixes=("_said", "_read"), validate="1:1")
    assert len(both) == 6
    for name in said.columns.drop(["patient_id", "sequence"]):
        one, two = both[f"{name}_said"], both[f"{name}_read"]
        if name in ("scanner_device_name", "field_of_view"):
            assert one.tolist() == two.tolist()
        else:  # decimal strings of DICOM hold ten digits
            np.testing.assert_allclose(two.to_numpy(float), one.to_numpy(float), rtol=1e-9)
    np.testing.assert_allclose(
        found.table["slice_distance_mm"], found.table["spacing_between_slices"], rtol=1e-7
    )


@pytest.mark.shared
def test_a_real_series_and_its_nifti_agree(shared):
    dicom = read_headers(shared / "data" / "dicom_rtstruct" / "image")
    nifti = read_headers(shared / "data" / "sts_mr_t1" / "STS_002" / "MR_T1_image.nii.gz")
    assert (dicom["scanner_device_name"], dicom["slices"], dicom["orientation"]) == ("Intera", 35, "axial")
    for name in ("pixel_spacing", "slice_distance_mm", "matrix_rows", "matrix_columns"):
        assert dicom[name] == pytest.approx(nifti[name], rel=1e-4), name
    assert dicom["field_of_view"] == nifti["field_of_view"]
