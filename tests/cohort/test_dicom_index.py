"""Series found by their headers in trees of files as they come."""

import time
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, RTStructureSetStorage, SegmentationStorage

from radiomics_npc.cohort.dicom_headers import is_image, plane_of
from radiomics_npc.cohort.dicom_index import index_dicom
from radiomics_npc.errors import CohortError

AXIAL, SAGITTAL, CORONAL = [1, 0, 0, 0, 1, 0], [0, 1, 0, 0, 0, -1], [1, 0, 0, 0, 0, -1]


def write(path, series="1.2.3", number=0, storage=MRImageStorage, patient="007", **changes):
    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, storage
    meta.MediaStorageSOPInstanceUID = f"{series}.{number + 1}"
    data = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID, data.SOPInstanceUID = storage, meta.MediaStorageSOPInstanceUID
    data.PatientID, data.StudyInstanceUID, data.SeriesInstanceUID = patient, "1.2", series
    data.Modality, data.SeriesDescription = "MR", "AX T1"
    if storage == MRImageStorage:
        data.ImageOrientationPatient, data.ImagePositionPatient = AXIAL, [0, 0, 5.5 * number]
        data.PixelSpacing, data.Rows, data.Columns = [0.5, 0.5], 4, 4
        data.BitsAllocated = data.BitsStored = 16
        data.HighBit, data.PixelRepresentation, data.SamplesPerPixel = 15, 0, 1
        data.PhotometricInterpretation, data.PixelData = "MONOCHROME2", b"\1\0" * 16
    for tag, value in changes.items():
        setattr(data, tag, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    data.save_as(path, enforce_file_format=True)
    return path


def write_stack(folder, series, slices=3, **changes):
    for k in range(slices):
        write(folder / f"{series[-1]}{k}", series, k, **changes)


def item(**tags):
    data = Dataset()
    for tag, value in tags.items():
        setattr(data, tag, value)
    return data


def test_series_by_headers_not_by_folders(tmp_path):
    """Two series shuffled over three folders, among files of other kinds."""
    for k in range(6):
        write(tmp_path / "abc"[k % 3] / f"IM{k}", "1.2.3", k, SeriesNumber=2)
        write(
            tmp_path / "abc"[(k + 1) % 3] / "deep" / f"{k}.IMA",
            "1.2.4",
            k,
            SeriesNumber=1,
            SeriesDescription="t2_tse_cor",
            ProtocolName="t2",
            ImageOrientationPatient=CORONAL,
            ImagePositionPatient=[0, 4.0 * k, 0],
        )
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "DICOMDIR").write_bytes(b"no image")
    (tmp_path / ".hidden").write_bytes(b"no image")
    index = index_dicom(tmp_path)
    second, first = index
    assert [s.uid for s in index] == ["1.2.4", "1.2.3"]
    assert (second.sequence, second.plane, second.slices, second.protocol) == ("t2", "coronal", 6, "t2")
    assert (first.sequence, first.plane, first.slices, first.study) == ("t1", "axial", 6, "1.2")
    assert {file.name for file in first.files} == {f"IM{k}" for k in range(6)}
    assert (first.folder, len(index), index[0], index[:1]) == (tmp_path, 2, second, (second,))
    assert [f.problem for f in index.findings] == ["2 files that are no DICOM, or a DICOMDIR, passed over"]
    frame = index.to_frame()
    assert frame["sequence"].tolist() == ["t2", "t1"]
    assert str(tmp_path) not in frame.to_csv() + index._repr_html_()


def test_every_faulty_file_is_listed_and_hides_no_other(tmp_path):
    write_stack(tmp_path, "1.2.3")
    whole = write(tmp_path / "whole", "1.2.5").read_bytes()
    (tmp_path / "whole").unlink()
    (tmp_path / "empty.dcm").write_bytes(b"")
    (tmp_path / "text.dcm").write_text("no image")
    (tmp_path / "cut").write_bytes(whole[:300])
    (tmp_path / "garbage").write_bytes(whole[:132] + b"\xff" * 400)
    (tmp_path / "old").write_bytes(whole[132:])
    (tmp_path / "bare").write_bytes(b"\x08\x00\x05\x00CS\x04\x00GB18" + whole[400:])
    write(tmp_path / "nameless", "1.2.6", SeriesInstanceUID=None)
    index = index_dicom(tmp_path)
    assert [s.uid for s in index] == ["1.2.3"]
    named = {f.where: f.problem for f in index.findings if f.severity == "error"}
    assert set(named) == {"empty.dcm", "text.dcm", "cut", "garbage", "old", "bare", "nameless"}
    assert named["nameless"] == "the header lacks SeriesInstanceUID"
    assert all(f.remedy for f in index.findings if f.severity == "error")


@pytest.mark.parametrize("share", np.linspace(0.2, 0.98, 14))
def test_a_file_cut_anywhere_is_read_or_named(tmp_path, share):
    file = write(tmp_path / "a.dcm", PatientID="P")
    file.write_bytes(file.read_bytes()[: int(share * file.stat().st_size)])
    index = index_dicom(tmp_path)
    assert len(index) + len(index.findings) >= 1
    assert {f.where for f in index.findings} <= {"a.dcm"}


def test_copies_are_counted_once(tmp_path):
    write_stack(tmp_path / "a", "1.2.3")
    write_stack(tmp_path / "b", "1.2.3")
    write(tmp_path / "c" / "same uid, other place", "1.2.3", 0, ImagePositionPatient=[0, 0, 3 * 5.5])
    index = index_dicom(tmp_path)
    assert (len(index), len(index[0].files), index[0].slices) == (1, 4, 4)
    assert "3 copies of images passed over (same SOPInstanceUID)" in {f.problem for f in index.findings}


def test_a_uid_of_two_patients_is_two_series(tmp_path):
    for k in range(4):
        write(tmp_path / str(k), "1.2.3", k, patient="AB"[k % 2])
    assert [(s.patient_id, s.slices) for s in index_dicom(tmp_path)] == [("A", 2), ("B", 2)]


@pytest.mark.parametrize(
    ("changes", "plane", "slices", "why"),
    [
        (
            lambda k: {"ImageOrientationPatient": [AXIAL, SAGITTAL, CORONAL][k]},
            "mixed",
            3,
            "several orientations",
        ),
        (lambda k: {"EchoTime": [10.0, 10.0, 80.0][k]}, "axial", 3, "several echo times"),
        (
            lambda k: {"ImagePositionPatient": [0, 0, 5.5 * min(k, 1)]},
            "axial",
            2,
            "several images at the same",
        ),
        (lambda k: {"ImagePositionPatient": None}, "", 0, "no position in space"),
        (lambda k: {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "axial", 3, "localizer"),
        (lambda k: {"Modality": "CT"}, "axial", 3, "modality CT"),
        (lambda k: {"DiffusionBValue": 800.0}, "axial", 3, "diffusion"),
    ],
)
def test_what_makes_no_sequence_says_why(tmp_path, changes, plane, slices, why):
    for k in range(3):
        write(tmp_path / str(k), "1.2.3", k, **changes(k))
    (found,) = index_dicom(tmp_path)
    assert (found.sequence, found.plane, found.slices) == (None, plane, slices)
    assert why in found.why


def test_a_single_slice_is_no_sequence(tmp_path):
    write(tmp_path / "1")
    assert index_dicom(tmp_path)[0].why == "a single slice"


def test_contrast_agent_and_names(tmp_path):
    write_stack(tmp_path / "x", "1.2.3", ContrastBolusAgent="Gadovist")
    write_stack(tmp_path / "x", "1.2.4", ContrastBolusVolume=15.0)
    write_stack(tmp_path / "x", "1.2.5", ContrastBolusVolume=0.0)
    write_stack(tmp_path / "x", "1.2.6", SeriesDescription="t2_tirm_cor")
    assert [s.sequence for s in index_dicom(tmp_path)] == ["ce_t1", "ce_t1", "t1", None]
    named = index_dicom(tmp_path, {"t2": ["t2_tirm_cor"], "t1": ["AX T1"]})
    assert [s.sequence for s in named] == ["t1", "t1", "t1", "t2"]


def test_a_folder_speaks_only_for_the_series_it_holds_alone(tmp_path):
    write_stack(tmp_path / "CE-T1WI", "1.2.3", SeriesDescription="")
    assert index_dicom(tmp_path)[0].sequence == "ce_t1"
    write_stack(tmp_path / "CE-T1WI", "1.2.4", SeriesDescription="")
    assert [s.sequence for s in index_dicom(tmp_path)] == [None, None]


def test_chinese_names(tmp_path):
    write_stack(tmp_path / "病人", "1.2.3", SpecificCharacterSet="GB18030", SeriesDescription="T1增强 轴位")
    (found,) = index_dicom(tmp_path)
    assert (found.description, found.sequence) == ("T1增强 轴位", "ce_t1")


def test_monochrome1_is_said(tmp_path):
    write_stack(tmp_path, "1.2.3", PhotometricInterpretation="MONOCHROME1")
    (finding,) = index_dicom(tmp_path).findings
    assert (finding.severity, finding.patient_id) == ("warning", "007")
    assert "MONOCHROME1" in finding.problem


def test_contours_name_the_series_they_were_drawn_on(tmp_path):
    write_stack(tmp_path / "image", "1.2.3")
    study = item(RTReferencedSeriesSequence=[item(SeriesInstanceUID="1.2.3")])
    write(
        tmp_path / "RS.dcm",
        "1.2.10",
        storage=RTStructureSetStorage,
        Modality="RTSTRUCT",
        ReferencedFrameOfReferenceSequence=[item(RTReferencedStudySequence=[study])],
        StructureSetROISequence=[item(ROINumber=1, ROIName="GTVp"), item(ROINumber=2, ROIName="GTVnd")],
    )
    write(
        tmp_path / "SEG",
        "1.2.11",
        storage=SegmentationStorage,
        Modality="SEG",
        ReferencedSeriesSequence=[item(SeriesInstanceUID="1.2.3")],
        SegmentSequence=[item(SegmentNumber=1, SegmentLabel="tumor")],
    )
    source = item(SourceImageSequence=[item(ReferencedSOPInstanceUID="1.2.3.1")])
    write(
        tmp_path / "SEG without series",
        "1.2.12",
        storage=SegmentationStorage,
        Modality="SEG",
        PerFrameFunctionalGroupsSequence=[item(DerivationImageSequence=[source])],
    )
    found = {s.uid: s for s in index_dicom(tmp_path)}
    assert {uid: s.references for uid, s in found.items()} == {
        "1.2.3": (),
        "1.2.10": ("1.2.3",),
        "1.2.11": ("1.2.3",),
        "1.2.12": ("1.2.3",),
    }
    assert found["1.2.10"].regions == ("GTVp", "GTVnd")
    assert found["1.2.11"].regions == ("tumor",)
    assert (found["1.2.10"].sequence, found["1.2.10"].slices, found["1.2.10"].why) == (None, 0, "no image")


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(CohortError, match=r"folder nowhere does not exist"):
        index_dicom(tmp_path / "nowhere")
    assert len(index_dicom(tmp_path)) == 0


@pytest.mark.parametrize(
    ("degrees", "plane"),
    [(0, "axial"), (25, "axial"), (36, "axial"), (40, "oblique"), (50, "oblique"), (60, "coronal")],
)
def test_plane_of_a_tilted_stack(degrees, plane):
    tilt = np.deg2rad(degrees)
    assert plane_of([1, 0, 0, 0, np.cos(tilt), np.sin(tilt)]) == plane


def test_plane_of_random_rotations():
    """The plane is that of the largest part of the normal, against a matrix of whole turns."""
    rng = np.random.default_rng(1)
    for _ in range(300):
        axes = np.linalg.qr(rng.normal(size=(3, 3)))[0]
        parts = np.abs(np.cross(axes[0], axes[1]))
        expected = ["sagittal", "coronal", "axial"][int(parts.argmax())] if parts.max() > 0.8 else "oblique"
        assert plane_of([*axes[0], *axes[1]]) == expected


def test_is_image_without_any_class():
    assert is_image(Dataset())


def test_many_files_are_read_quickly(tmp_path):
    """Headers alone; 0.6 ms a file were measured, ten times that is allowed."""
    file = write(tmp_path / "0", PixelData=b"\1\0" * 16)
    data = pydicom.dcmread(file)
    for k in range(500):
        data.SOPInstanceUID, data.SeriesInstanceUID = f"1.9.{k}", f"1.2.{k // 25}"
        data.ImagePositionPatient = [0, 0, k]
        data.save_as(tmp_path / f"{k}")
    begun = time.process_time()
    index = index_dicom(Path(tmp_path))
    assert time.process_time() - begun < 3
    assert [s.slices for s in index] == [25] * 20


@pytest.mark.shared
def test_a_real_series_and_its_contours(shared):
    index = index_dicom(shared / "data" / "dicom_rtstruct")
    by_modality = {series.modality: series for series in index}
    image, contours = by_modality["MR"], by_modality["RTSTRUCT"]
    assert (len(index), image.sequence, image.plane, image.slices) == (2, "t1", "axial", 35)
    assert contours.references == (image.uid,)
    assert contours.regions == ("GTV_Mass_MR_T1",)
    assert index.findings == ()
