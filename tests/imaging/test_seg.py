"""DICOM SEG objects written with highdicom and changed with pydicom, to masks."""

from dataclasses import replace

import highdicom
import numpy as np
import pydicom
import pytest
from pydicom.sr.codedict import codes

from radiomics_npc.cohort.cases import ImageFiles
from radiomics_npc.errors import MaskError, RegionAbsentError
from radiomics_npc.imaging.grid import grid_difference
from radiomics_npc.imaging.reading import place_mask, read_image, read_mask, read_pair

ARRAY = np.random.default_rng(5).integers(0, 99, (7, 12, 10))
TUMOR = np.zeros(ARRAY.shape, bool)
TUMOR[2:5, 3:8, 2:6] = True
NODES = np.zeros(ARRAY.shape, bool)
NODES[4, 6:10, 5:9] = NODES[6, 1:3, 1:3] = True  # overlaps the tumor; one slice between is empty
OBLIQUE = (0.96, 0.28, 0.0, 0.0, 0.0, -1.0)
CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def _segment(number, label, kind=codes.SCT.Neoplasm):
    return highdicom.seg.SegmentDescription(
        number, label, codes.SCT.MorphologicallyAbnormalStructure, kind, "MANUAL"
    )


SEGMENTS = [_segment(1, "Primary", codes.SCT.NeoplasmPrimary), _segment(2, "GTV nd"), _segment(3, "Chiasm")]


@pytest.fixture
def write_seg(tmp_path, write_study):
    """Write a series and a SEG of it; ``change`` edits the object before it is saved."""

    def write(
        segments=(TUMOR, NODES), *, orientation=AXIAL, change=None, kind="BINARY", descending=False, **options
    ):
        folder = write_study(tmp_path / "T1", ARRAY, orientation=orientation)
        sources = [pydicom.dcmread(file) for file in sorted(folder.iterdir())]
        normal = np.cross(orientation[:3], orientation[3:])
        sources.sort(key=lambda s: np.dot(s.ImagePositionPatient, normal), reverse=descending)
        pixels = np.stack(segments, axis=-1)[:: -1 if descending else 1]
        pixels = pixels.astype("u1" if pixels.dtype == bool else pixels.dtype)
        uids, maker = ("1.2.9", 9, "1.2.9.1", 1), ("maker", "model", "1", "0")
        described = SEGMENTS[: len(segments)]
        made = highdicom.seg.Segmentation(sources, pixels, kind, described, *uids, *maker, **options)
        made.save_as(tmp_path / "seg.dcm")
        if change is not None:
            data = pydicom.dcmread(tmp_path / "seg.dcm")
            change(data)
            data.save_as(tmp_path / "seg.dcm")
        return folder, tmp_path / "seg.dcm"

    return write


def _drawn(folder, file, label):
    image, mask = read_pair(ImageFiles(folder, file, label))
    assert (mask.spacing_mm, mask.origin_mm, mask.direction) == (
        image.spacing_mm,
        image.origin_mm,
        image.direction,
    )
    return mask.array


@pytest.mark.parametrize(
    ("orientation", "descending", "omit"),
    [
        (AXIAL, False, True),
        (AXIAL, True, False),
        (CORONAL, True, True),
        (OBLIQUE, False, False),
        (OBLIQUE, True, True),
    ],
)
def test_segments_by_number_label_and_meaning(write_seg, orientation, descending, omit):
    folder, file = write_seg(orientation=orientation, descending=descending, omit_empty_frames=omit)
    np.testing.assert_array_equal(_drawn(folder, file, "GTVp"), TUMOR)
    np.testing.assert_array_equal(_drawn(folder, file, 2), NODES)
    np.testing.assert_array_equal(_drawn(folder, file, ("gtvp", "gtvnd")), TUMOR | NODES)


def test_ways_to_name_a_segment(write_seg):
    _, file = write_seg()
    for label in (1, "primary", "Neoplasm, Primary"):
        assert read_mask(file, label).array.sum() == TUMOR.sum()
    for label in ("GTV_nd", "gtvn", "Neoplasm"):
        assert read_mask(file, label).array.sum() == NODES.sum()


def _shuffle(data):
    """Frames in another order: pixels and what is said of them."""
    order = np.random.default_rng(1).permutation(int(data.NumberOfFrames))
    pixels = data.pixel_array[order]
    data.PixelData = np.packbits(pixels.ravel(), bitorder="little").tobytes()
    data.PixelData += b"\0" * (len(data.PixelData) % 2)
    frames = data.PerFrameFunctionalGroupsSequence
    data.PerFrameFunctionalGroupsSequence = [frames[i] for i in order]


def _forget_step(data):
    for group in data.SharedFunctionalGroupsSequence:
        for measures in group.PixelMeasuresSequence:
            if "SpacingBetweenSlices" in measures:
                del measures.SpacingBetweenSlices
            measures.SliceThickness = 5.0


def test_frames_in_any_order(write_seg):
    folder, file = write_seg(change=_shuffle)
    np.testing.assert_array_equal(_drawn(folder, file, 1), TUMOR)
    np.testing.assert_array_equal(_drawn(folder, file, 2), NODES)


def test_frames_left_out_and_no_step_told(write_seg):
    """The distance between the two frames is twice that of the slices: the image says so."""
    folder, file = write_seg((NODES,), change=_forget_step)
    np.testing.assert_array_equal(_drawn(folder, file, None), NODES)
    image = read_image(folder)
    alone = read_mask(file, like=image)
    assert alone.array.shape[0] == 3
    assert alone.spacing_mm[2] == pytest.approx(5.5)


def test_a_wrong_step_gives_way_to_where_the_frames_lie(write_seg):
    def tell(data):
        data.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].SpacingBetweenSlices = 4.0

    folder, file = write_seg((TUMOR,), change=tell)
    np.testing.assert_array_equal(_drawn(folder, file, None), TUMOR)


def test_one_frame(write_seg):
    one = np.zeros_like(TUMOR)
    one[5, 3, 4] = True
    folder, file = write_seg((one,), change=_forget_step)
    np.testing.assert_array_equal(_drawn(folder, file, None), one)


@pytest.mark.parametrize("kind", ["PROBABILITY", "OCCUPANCY"])
def test_fractional_segments(write_seg, kind):
    share = np.where(TUMOR, 0.7, 0.0)
    share[2, 3, 2], share[2, 3, 3], share[1, 1, 1] = 0.502, 0.496, 0.2
    expected = TUMOR.copy()
    expected[2, 3, 3] = False
    folder, file = write_seg((share,), kind="FRACTIONAL", fractional_type=kind)
    np.testing.assert_array_equal(_drawn(folder, file, "GTVp"), expected)


def test_a_label_map(write_seg):
    apart = NODES & ~TUMOR
    folder, file = write_seg((TUMOR, apart), kind="LABELMAP")
    np.testing.assert_array_equal(_drawn(folder, file, "GTVp"), TUMOR)
    np.testing.assert_array_equal(_drawn(folder, file, 2), apart)
    np.testing.assert_array_equal(_drawn(folder, file, (1, 2)), TUMOR | apart)


def test_what_is_not_there(write_seg):
    folder, file = write_seg((TUMOR, NODES, np.zeros_like(TUMOR)))
    with pytest.raises(RegionAbsentError, match=r"Chiasm of seg\.dcm is empty"):
        read_mask(file, "chiasm")
    np.testing.assert_array_equal(_drawn(folder, file, ("GTVp", "Chiasm")), TUMOR)
    with pytest.raises(RegionAbsentError, match=r"no segment 'cord'. It has: Primary, GTV nd, Chiasm"):
        read_mask(file, "cord")
    with pytest.raises(MaskError, match=r"3 segments \(Primary, GTV nd, Chiasm\)"):
        read_mask(file)


def test_on_another_grid_it_is_refused(write_seg):
    folder, file = write_seg((TUMOR,))
    mask = read_mask(file)
    assert mask.array.shape == (3, 12, 10)
    image = read_image(folder)
    assert grid_difference(mask, image) is not None
    other = replace(image, spacing_mm=(0.6, 0.5, 5.5))
    with pytest.raises(MaskError, match="different grids"):
        place_mask(read_mask(file, like=other), other)
    thinner = replace(image, array=np.zeros((39, 12, 10)), spacing_mm=(0.5, 0.5, 1.1))
    with pytest.raises(MaskError, match="different grids"):
        place_mask(read_mask(file, like=thinner), thinner)


def test_damaged_files(write_seg, tmp_path):
    _, file = write_seg()
    whole = file.read_bytes()
    for length in range(0, len(whole), len(whole) // 40):
        file.write_bytes(whole[:length])
        with pytest.raises(MaskError) as caught:
            read_mask(file, "GTVp")
        assert not isinstance(caught.value, RegionAbsentError), length
        assert str(tmp_path) not in str(caught.value)


def test_uneven_frames_are_refused(write_seg):
    def move(data):
        data.PerFrameFunctionalGroupsSequence[0].PlanePositionSequence[0].ImagePositionPatient[2] += 1.7

    _, file = write_seg(change=move)
    with pytest.raises(MaskError, match=r"frames of seg\.dcm make no even stack"):
        read_mask(file, "GTVp")
