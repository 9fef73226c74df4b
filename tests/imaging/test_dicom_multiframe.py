"""Enhanced multi-frame MR: one file, each frame with its own place, scale and kind."""

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import EnhancedMRImageStorage, ExplicitVRLittleEndian, RLELossless

from radiomics_npc.cohort.dicom_index import index_dicom
from radiomics_npc.errors import ImageError
from radiomics_npc.imaging.dicom import read_series
from radiomics_npc.imaging.grid import grid_difference
from radiomics_npc.imaging.volume import Volume

STACK = np.random.default_rng(8).integers(0, 4000, (5, 7, 9)).astype(np.uint16)
SHUFFLED = [3, 0, 4, 1, 2]
PLANES = {
    "axial": (1.0, 0.0, 0.0, 0.0, 1.0, 0.0),
    "sagittal": (0.0, 1.0, 0.0, 0.0, 0.0, -1.0),
    "coronal": (1.0, 0.0, 0.0, 0.0, 0.0, -1.0),
}


def item(**tags):
    data = Dataset()
    for tag, value in tags.items():
        setattr(data, tag, value)
    return data


def enhanced(
    path, frames, *, order=None, orientation=PLANES["axial"], step=5.5, shared=None, per_frame=None, **top
):
    """Write frames of one stack; groups of ``shared`` and ``per_frame`` (a list) are added or replaced."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, EnhancedMRImageStorage
    meta.MediaStorageSOPInstanceUID = "1.2.77"
    data = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID, data.SOPInstanceUID, data.Modality = EnhancedMRImageStorage, "1.2.77", "MR"
    data.PatientID, data.StudyInstanceUID, data.SeriesInstanceUID = "7", "1.2.5", "1.2.6"
    data.SeriesDescription, data.ImageType = "AX T1", ["ORIGINAL", "PRIMARY", "T1", "NONE"]
    data.NumberOfFrames, (data.Rows, data.Columns) = len(frames if order is None else order), frames.shape[1:]
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated = data.BitsStored = 16
    data.HighBit, data.PixelRepresentation = 15, 0
    order = list(range(len(frames))) if order is None else order
    groups = {
        "PixelMeasuresSequence": [item(PixelSpacing=[0.5, 0.4], SliceThickness=99.0)],
        "PlaneOrientationSequence": [item(ImageOrientationPatient=list(orientation))],
    } | (shared or {})
    data.SharedFunctionalGroupsSequence = [item(**{k: v for k, v in groups.items() if v})]
    normal = np.cross(orientation[:3], orientation[3:])
    data.PerFrameFunctionalGroupsSequence = [
        item(
            PlanePositionSequence=[
                item(ImagePositionPatient=list(np.array([-8.0, -4.0, 30.0]) + k * step * normal))
            ],
            FrameContentSequence=[item(StackID="1", InStackPositionNumber=k + 1, TemporalPositionIndex=1)],
        )
        for k in order
    ]
    for i, groups in enumerate(per_frame or []):
        data.PerFrameFunctionalGroupsSequence[i].update(item(**groups))
    data.PixelData = frames[order].astype("<u2").tobytes()
    for tag, value in top.items():
        setattr(data, tag, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    data.save_as(path, enforce_file_format=True)
    return path


@pytest.mark.parametrize("plane", PLANES)
def test_a_file_of_several_frames_is_a_volume_as_itk_reads_it(tmp_path, plane):
    file = enhanced(tmp_path / "s" / "I1", STACK, orientation=PLANES[plane])
    volume = read_series(file)
    np.testing.assert_array_equal(volume.array, STACK)
    np.testing.assert_allclose(volume.spacing_mm, (0.4, 0.5, 5.5))
    itk = Volume.from_sitk(sitk.ReadImage(str(file)))
    np.testing.assert_array_equal(itk.array, STACK)
    assert grid_difference(volume, itk) is None
    assert grid_difference(volume, read_series(file.parent)) is None
    (found,) = index_dicom(tmp_path)
    assert (found.plane, found.slices, found.sequence) == (plane, 5, "t1")


def test_the_order_of_frames_comes_from_their_places(tmp_path):
    straight = read_series(enhanced(tmp_path / "a.dcm", STACK))
    shuffled = read_series(enhanced(tmp_path / "b.dcm", STACK, order=SHUFFLED))
    np.testing.assert_array_equal(shuffled.array, STACK)
    assert grid_difference(straight, shuffled) is None


def test_a_series_in_several_files(tmp_path):
    """One frame a file, as some scanners write, and a stack cut in two (a concatenation)."""
    for k in range(5):
        enhanced(tmp_path / "single" / f"{k}.dcm", STACK, order=[k])
    enhanced(tmp_path / "halves" / "a.dcm", STACK, order=[3, 4])
    enhanced(tmp_path / "halves" / "b.dcm", STACK, order=[2, 0, 1])
    for folder in ("single", "halves"):
        np.testing.assert_array_equal(read_series(tmp_path / folder).array, STACK)


@pytest.mark.parametrize("where", ["shared", "per_frame", "both"])
def test_rescale(tmp_path, where):
    def scale(slope, intercept):
        return {
            "PixelValueTransformationSequence": [
                item(RescaleSlope=slope, RescaleIntercept=intercept, RescaleType="US")
            ]
        }

    shared = scale(0.5, -1.0) if where != "per_frame" else None
    frames = [scale(1.0 + k, 10.0 * k) for k in SHUFFLED] if where != "shared" else None
    volume = read_series(enhanced(tmp_path / "x.dcm", STACK, order=SHUFFLED, shared=shared, per_frame=frames))
    k = np.arange(5.0)[:, None, None]
    expected = STACK * 0.5 - 1 if where == "shared" else STACK * (1 + k) + 10 * k
    np.testing.assert_array_equal(volume.array, expected)


def test_compressed_frames(tmp_path):
    file = enhanced(tmp_path / "x.dcm", STACK, order=SHUFFLED)
    data = pydicom.dcmread(file)
    data.compress(RLELossless)
    data.save_as(file)
    np.testing.assert_array_equal(read_series(file).array, STACK)


@pytest.mark.parametrize(
    ("last", "words"),
    [
        ({"FrameContentSequence": [item(StackID="2", TemporalPositionIndex=1)]}, "2 stacks (1, 2)"),
        (
            {"FrameContentSequence": [item(StackID="1", TemporalPositionIndex=2)]},
            "2 temporal positions (1, 2)",
        ),
        ({"MREchoSequence": [item(EffectiveEchoTime=80.0)]}, "2 echo times (0 ms, 80 ms)"),
        ({"MRDiffusionSequence": [item(DiffusionBValue=800.0)]}, "2 diffusion weightings (b 0, b 800)"),
        (
            {"MRImageFrameTypeSequence": [item(FrameType=["ORIGINAL", "PRIMARY", "PHASE_MAP", "NONE"])]},
            "2 kinds of images (none, ORIGINAL\\PRIMARY\\PHASE_MAP\\NONE)",
        ),
        ({"PlanePositionSequence": [item()]}, "x.dcm lacks ImagePositionPatient"),
        (
            {"PlanePositionSequence": [item(ImagePositionPatient=[-8.0, -4.0, 30.0])]},
            "x.dcm frame 1 and x.dcm frame 5 lie at the same place",
        ),
        (
            {"PlanePositionSequence": [item(ImagePositionPatient=[-8.0, -4.0, 30.0 + 5 * 5.5])]},
            "a slice is missing between x.dcm frame 4 and x.dcm frame 5",
        ),
        ({"PlanePositionSequence": [item(ImagePositionPatient=[-8.0, -3.0, 52.0])]}, "gantry tilt"),
        (
            {"PlaneOrientationSequence": [item(ImageOrientationPatient=[1, 0, 0, 0, 0, 1])]},
            "frame 5 is oriented otherwise",
        ),
        (
            {"PixelMeasuresSequence": [item(PixelSpacing=[0.5, 0.5])]},
            "frame 5 has another matrix or pixel spacing",
        ),
    ],
)
def test_frames_that_make_no_volume_are_named(tmp_path, last, words):
    file = enhanced(tmp_path / "x.dcm", STACK, per_frame=[{}] * 4 + [last])
    with pytest.raises(ImageError) as caught:
        read_series(file)
    assert words in str(caught.value)
    assert caught.value.remedy
    assert str(tmp_path) not in str(caught.value)


def test_frames_without_description(tmp_path):
    file = enhanced(tmp_path / "x.dcm", STACK, NumberOfFrames=6)
    with pytest.raises(ImageError, match=r"x.dcm holds 6 frames and describes 5"):
        read_series(file)
    data = pydicom.dcmread(file)
    del data.PerFrameFunctionalGroupsSequence
    data.save_as(file)
    with pytest.raises(ImageError, match=r"several frames and does not say where each lies.*dcm2niix"):
        read_series(file)


@pytest.mark.parametrize("share", [0.3, 0.7, 0.95, 0.999])
def test_a_truncated_file_is_named(tmp_path, share):
    file = enhanced(tmp_path / "x.dcm", STACK)
    file.write_bytes(file.read_bytes()[: int(share * file.stat().st_size)])
    with pytest.raises(ImageError, match=r"x\.dcm"):
        read_series(file)


@pytest.mark.parametrize(
    ("groups", "top", "sequence"),
    [
        ({"MREchoSequence": [item(EffectiveEchoTime=90.0)]}, {"SeriesDescription": "AX T2 TSE"}, "t2"),
        ({"MREchoSequence": [item(EffectiveEchoTime=12.0)]}, {"SeriesDescription": "AX T2 TSE"}, None),
        ({"MRDiffusionSequence": [item(DiffusionBValue=800.0)]}, {"SeriesDescription": "AX T1"}, None),
        ({}, {"SeriesDescription": "AX", "AcquisitionContrast": "T2"}, "t2"),
        ({}, {"SeriesDescription": "AX", "AcquisitionContrast": "FLUID_ATTENUATED"}, None),
        (
            {
                "MREchoSequence": [item(EffectiveEchoTime=12.0)],
                "MRTimingAndRelatedParametersSequence": [item(RepetitionTime=500.0)],
            },
            {"SeriesDescription": "AX", "EchoPulseSequence": "SPIN"},
            "t1",
        ),
        ({}, {"ContrastBolusAgentSequence": [item(CodeMeaning="Gadobutrol")]}, "ce_t1"),
    ],
)
def test_the_sequence_is_recognized_from_functional_groups(tmp_path, groups, top, sequence):
    enhanced(tmp_path / "x.dcm", STACK, shared=groups, **top)
    (found,) = index_dicom(tmp_path)
    assert found.sequence == sequence, found.why


def test_an_index_says_that_a_file_holds_several_stacks(tmp_path):
    tilted = {"PlaneOrientationSequence": [item(ImageOrientationPatient=list(PLANES["sagittal"]))]}
    enhanced(
        tmp_path / "x.dcm",
        STACK,
        shared={"PlaneOrientationSequence": None},
        per_frame=[{"PlaneOrientationSequence": [item(ImageOrientationPatient=list(PLANES["axial"]))]}] * 4
        + [tilted],
    )
    (found,) = index_dicom(tmp_path)
    assert (found.plane, found.sequence) == ("mixed", None)
    assert "several orientations" in found.why
