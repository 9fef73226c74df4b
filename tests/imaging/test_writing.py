"""What is written is read again by other libraries, voxel by voxel, in place."""

import highdicom
import nibabel
import nrrd
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from radiomics_npc.errors import ImageError, MaskError
from radiomics_npc.imaging.reading import place_mask, read_image, read_mask
from radiomics_npc.imaging.volume import Mask, Volume
from radiomics_npc.imaging.writing import write_mask, write_seg, write_volume
from radiomics_npc.storage import file_digest

RNG = np.random.default_rng(8)
ANGLE = 0.2
TURNED = (np.cos(ANGLE), -np.sin(ANGLE), 0.0, np.sin(ANGLE), np.cos(ANGLE), 0.0, 0.0, 0.0, 1.0)
GRID = {"spacing_mm": (0.5, 0.7, 5.5), "origin_mm": (3.0, -20.0, 8.0), "direction": TURNED}
PARTS = RNG.integers(0, 3, (5, 6, 7))
TUMOR, NODES, WIDE = (Mask(a, **GRID) for a in (PARTS == 1, PARTS == 2, PARTS > 0))


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha"])
@pytest.mark.parametrize("dtype", ["i2", "u2", "f4", "f8"])
def test_an_image_comes_back_as_it_was(tmp_path, suffix, dtype):
    volume = Volume(RNG.normal(0, 300, (5, 6, 7)).astype(dtype), **GRID)
    path = tmp_path / "患者 一" / f"T1 ü{suffix}"
    write_volume(path, volume)
    read = read_image(path)
    np.testing.assert_array_equal(read.array, volume.array)
    assert read.array.dtype == volume.array.dtype
    np.testing.assert_allclose(read.direction, TURNED, atol=1e-6)  # NIfTI keeps single precision
    np.testing.assert_allclose(read.origin_mm, GRID["origin_mm"], atol=1e-5)
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_as_nibabel_and_pynrrd_read_it(tmp_path):
    write_mask(tmp_path / "m.nii.gz", {"GTVp": TUMOR, "GTVnd": NODES}, "simulated")
    image = nibabel.load(tmp_path / "m.nii.gz")
    np.testing.assert_array_equal(np.asarray(image.dataobj), PARTS.transpose(2, 1, 0))
    assert bytes(image.header["descrip"]).startswith(b"simulated")
    axes = np.array(TURNED).reshape(3, 3) * GRID["spacing_mm"]
    np.testing.assert_allclose(image.affine[:3, :3], np.diag([-1, -1, 1]) @ axes, atol=1e-6)
    write_mask(tmp_path / "m.nrrd", TUMOR, "simulated")
    array, header = nrrd.read(str(tmp_path / "m.nrrd"))
    np.testing.assert_array_equal(array, TUMOR.array.transpose(2, 1, 0))
    np.testing.assert_allclose(header["space directions"], axes.T, atol=1e-12)


@pytest.mark.parametrize(
    ("masks", "layers"),
    [
        ({"GTVp": TUMOR, "GTV nd": NODES}, 1),
        ({"GTVp": TUMOR, "整个": WIDE, "GTV nd": NODES}, 2),
        ({"GTVp": TUMOR}, 1),
        ({"a": WIDE, "b": WIDE, "c": WIDE}, 3),
        ({"none": Mask(PARTS > 9, **GRID), "GTVp": TUMOR, "GTV nd": NODES}, 1),
    ],
)
def test_segments_of_slicer(tmp_path, masks, layers):
    path = tmp_path / "a.seg.nrrd"
    write_mask(path, masks, "simulated")
    array, header = nrrd.read(str(path))
    assert header["kinds"] == ["list", "domain", "domain", "domain"][4 - array.ndim :]
    assert array.reshape((-1, *array.shape[-3:])).shape[0] == layers
    assert header["note"] == "simulated"
    for k, (name, mask) in enumerate(masks.items()):
        # pynrrd drops what is not ASCII
        assert f"Segment{k}_Name:={name}\n".encode() in path.read_bytes()
        layer = array if layers == 1 else array[int(header[f"Segment{k}_Layer"])]
        inside = layer == int(header[f"Segment{k}_LabelValue"])
        np.testing.assert_array_equal(inside, mask.array.transpose(2, 1, 0))
        if mask.array.any():
            read = read_mask(path, name)
            np.testing.assert_array_equal(read.array, mask.array)
            np.testing.assert_allclose(read.direction, TURNED, atol=1e-12)


def test_what_cannot_be_written_leaves_nothing(tmp_path):
    other = Mask(PARTS == 1, (0.5, 0.7, 5.0))
    for name, mask, words in (
        ("a.nii.gz", {"a": TUMOR, "b": WIDE}, "overlap"),
        ("a.nii.gz", {"a": TUMOR, "b": other}, "another grid than a"),
        ("a.nii.gz", {}, "no mask"),
        ("a.nii.gz", {" ": TUMOR}, "without name"),
    ):
        with pytest.raises(MaskError, match=words):
            write_mask(tmp_path / name, mask)
    with pytest.raises(ImageError, match=r"a\.jpg is of no kind"):
        write_mask(tmp_path / "a.jpg", TUMOR)
    assert list(tmp_path.iterdir()) == []


SERIES = RNG.integers(0, 99, (6, 9, 8))
DRAWN = np.zeros(SERIES.shape, bool)
DRAWN[1:4, 2:7, 3:6] = True
OTHER = np.roll(DRAWN, (1, 2), (0, 1))


@pytest.mark.parametrize(
    "orientation",
    [
        (1, 0, 0, 0, 1, 0),
        (0, 1, 0, 0, 0, -1),
        (0.96, 0.28, 0, 0, 0, -1),
        (1, 0, 0, 0, -1, 0),
        (0.8, 0.6, 0, -0.48, 0.64, 0.6),
    ],
)
@pytest.mark.parametrize("flip", [False, True])
def test_a_dicom_seg_comes_back_voxel_by_voxel(tmp_path, write_study, orientation, flip):
    """Also where the mask runs from head to foot and the series from foot to head."""
    folder = write_study(tmp_path / "T1", SERIES, orientation=orientation)
    image = read_image(folder)
    masks = {
        name: Mask(a, image.spacing_mm, image.origin_mm, image.direction)
        for name, a in (("GTVp", DRAWN), ("GTVnd", OTHER))
    }
    if flip:
        masks = {
            name: Mask.from_sitk(sitk.Flip(mask.to_sitk(), (True, False, True), False))
            for name, mask in masks.items()
        }
    write_seg(tmp_path / "seg.dcm", masks, folder)
    for name, expected in (("GTVp", DRAWN), ("GTVnd", OTHER), (("GTVp", "GTVnd"), DRAWN | OTHER)):
        placed = place_mask(read_mask(tmp_path / "seg.dcm", name, image), image)
        np.testing.assert_array_equal(placed.array, expected)
    # every frame refers to the image at its place
    positions = {h.SOPInstanceUID: h.ImagePositionPatient for h in map(pydicom.dcmread, folder.iterdir())}
    data = pydicom.dcmread(tmp_path / "seg.dcm")
    for frame in data.PerFrameFunctionalGroupsSequence:
        source = frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        place = frame.PlanePositionSequence[0].ImagePositionPatient
        np.testing.assert_allclose(place, positions[source], atol=1e-4)


def test_what_a_dicom_seg_says(tmp_path, write_study):
    folder = write_study(tmp_path / "T1", SERIES)
    image = read_image(folder)
    mask = Mask(DRAWN, image.spacing_mm, image.origin_mm, image.direction)
    wanted = {"algorithm": "npc-net", "algorithm_type": "AUTOMATIC", "simulated": True, "note": "Review it."}
    write_seg(tmp_path / "a.dcm", {"gtvnx": mask, "Cord": mask}, folder, **wanted)
    seg = highdicom.seg.segread(tmp_path / "a.dcm")
    assert seg.number_of_segments == 2
    assert (seg.PatientID, seg.StudyInstanceUID, seg.FrameOfReferenceUID) == ("001", "1.2.3.4", "1.2.3.5")
    assert seg.SeriesDescription == "Simulated segmentation"
    assert seg.SeriesInstanceUID != "1.2.3"
    first, second = (seg.get_segment_description(k) for k in (1, 2))
    assert first.segmented_property_type.meaning == "Neoplasm, Primary"
    assert first.anatomic_regions[0].meaning == "Nasopharynx"
    assert first.SegmentDescription == "Simulated patient. Review it."
    assert first.algorithm_type.value == "AUTOMATIC"
    assert first.algorithm_identification.name == "npc-net"
    assert second.segmented_property_type.meaning == "Tissue"
    # ITK, too, opens it: one frame a slice and segment
    frames = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "a.dcm")))
    np.testing.assert_array_equal(frames[:3] > 0, DRAWN[1:4])
    # the same masks have the same identifiers, others have others
    write_seg(tmp_path / "b.dcm", {"gtvnx": mask, "Cord": mask}, folder, **wanted)
    write_seg(tmp_path / "c.dcm", mask, folder)
    uids = [pydicom.dcmread(tmp_path / f"{k}.dcm").SOPInstanceUID for k in "abc"]
    assert uids[0] == uids[1] != uids[2]
    assert "Simulated" not in pydicom.dcmread(tmp_path / "c.dcm").SeriesDescription


def test_one_series_of_a_study(tmp_path, write_study):
    folder = write_study(tmp_path / "T1", SERIES, series="1.2.3")
    for k, file in enumerate(write_study(tmp_path / "T2", SERIES + 1, series="1.2.4").iterdir()):
        file.rename(folder / f"other{k}.dcm")
    image = read_image(folder, "1.2.4")
    np.testing.assert_array_equal(image.array, SERIES + 1)
    mask = Mask(DRAWN, image.spacing_mm, image.origin_mm, image.direction)
    write_seg(tmp_path / "seg.dcm", mask, folder, series="1.2.4")
    data = pydicom.dcmread(tmp_path / "seg.dcm")
    assert data.ReferencedSeriesSequence[0].SeriesInstanceUID == "1.2.4"
    with pytest.raises(ImageError, match="mixes 2 series"):
        write_seg(tmp_path / "x.dcm", mask, folder)


def test_a_seg_that_cannot_be_written_leaves_nothing(tmp_path, write_series, write_study):
    folder = write_study(tmp_path / "T1", SERIES)
    image = read_image(folder)
    mask = Mask(DRAWN, image.spacing_mm, image.origin_mm, image.direction)
    target = tmp_path / "out" / "seg.dcm"
    with pytest.raises(MaskError, match="different grids"):
        write_seg(target, Mask(DRAWN, (0.6, 0.5, 5.5), image.origin_mm, image.direction), folder)
    with pytest.raises(MaskError, match="has no name"):
        write_seg(target, mask, folder, algorithm_type="AUTOMATIC")
    bare = write_series(tmp_path / "bare", SERIES)
    with pytest.raises(ImageError, match="no DICOM SEG can be made for bare") as caught:
        write_seg(target, mask, bare)
    assert str(tmp_path) not in str(caught.value)
    assert not target.parent.exists() or list(target.parent.iterdir()) == []
    before = file_digest(folder)
    write_seg(target, mask, folder)
    assert file_digest(folder) == before
