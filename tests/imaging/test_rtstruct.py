"""Contours of RTSTRUCT files, written with pydicom, to masks: against analytic shapes and another filler."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.path import Path as Outline
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ImplicitVRLittleEndian, generate_uid

from radiomics_npc.cohort.cases import ImageFiles
from radiomics_npc.errors import MaskError, RegionAbsentError
from radiomics_npc.imaging.reading import read_image, read_mask, read_pair
from radiomics_npc.imaging.rtstruct import fill_polygons
from radiomics_npc.imaging.volume import Volume

ANGLE = 0.3
OBLIQUE = (np.cos(ANGLE), 0.0, np.sin(ANGLE), 0.0, 1.0, 0.0, -np.sin(ANGLE), 0.0, np.cos(ANGLE))
IMAGE = Volume(np.zeros((6, 40, 50)), (0.5, 0.6, 5.5), (-8.0, -4.0, 30.0), OBLIQUE)
SQUARE = np.array([(10, 10), (20, 10), (20, 20), (10, 20)]) - 0.5


def to_mm(polygon, k, image=IMAGE):
    """Columns and rows on a slice to points in space."""
    voxels = np.column_stack([polygon, np.full(len(polygon), k)])
    return (
        np.array(image.origin_mm)
        + (voxels * np.array(image.spacing_mm)) @ np.array(image.direction).reshape(3, 3).T
    )


@pytest.fixture
def write_rtstruct(tmp_path):
    """Write regions, each a list of contours (points in mm, or points and kind)."""

    def write(regions, name="RS.dcm"):
        meta = FileMetaDataset()
        meta.TransferSyntaxUID = ImplicitVRLittleEndian
        meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.481.3"
        meta.MediaStorageSOPInstanceUID = generate_uid()
        data = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
        data.SOPClassUID, data.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
        data.Modality, data.StructureSetROISequence, data.ROIContourSequence = "RTSTRUCT", [], []
        for number, (region, contours) in enumerate(regions, start=3):
            roi, drawn = Dataset(), Dataset()
            roi.ROINumber, roi.ROIName = number, region
            drawn.ReferencedROINumber, drawn.ContourSequence = number, []
            for contour in contours:
                points, kind = contour if isinstance(contour, tuple) else (contour, "CLOSED_PLANAR")
                item = Dataset()
                item.ContourGeometricType, item.NumberOfContourPoints = kind, len(points)
                item.ContourData = [f"{x:.6f}" for x in np.ravel(points)]
                drawn.ContourSequence.append(item)
            data.StructureSetROISequence.append(roi)
            data.ROIContourSequence.insert(0, drawn)  # in another order than the names
        data.save_as(tmp_path / name, enforce_file_format=True)
        return tmp_path / name

    return write


@pytest.mark.shared
def test_the_contours_of_a_real_tumor_are_its_mask(shared):
    image = read_image(shared / "data" / "dicom_rtstruct" / "image")
    drawn = read_mask(shared / "data" / "sts_mr_t1" / "STS_002" / "MR_T1_mask.nii.gz").array
    for path in ("mask", "mask/RS.dcm"):
        mask = read_mask(shared / "data" / "dicom_rtstruct" / path, "GTV mass mr T1", image).array
        # Dice 1: asked for is 0.98
        np.testing.assert_array_equal(mask, drawn)


def _by_matplotlib(polygon, shape):
    rows, columns = np.indices(shape)
    return (
        Outline(polygon, closed=False)
        .contains_points(np.column_stack([columns.ravel(), rows.ravel()]))
        .reshape(shape)
    )


@given(st.integers(0, 2**32 - 1), st.integers(3, 40))
@settings(max_examples=80, deadline=None)
def test_any_polygon_as_another_library_fills_it(seed, corners):
    """Crossing itself, partly outside; no center lies on an edge, where libraries may differ."""
    polygon = np.random.default_rng(seed).uniform(-4, 24, (corners, 2))
    expected = _by_matplotlib(np.vstack([polygon, polygon[:1]]), (20, 18))
    np.testing.assert_array_equal(fill_polygons([polygon], (20, 18)), expected)
    np.testing.assert_array_equal(fill_polygons([np.roll(polygon, 2, axis=0)[::-1]], (20, 18)), expected)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_adjoining_polygons_share_no_pixel_and_leave_none(seed):
    """Corners on pixel centers: every edge rule that is not half-open fails here."""
    x, y = np.random.default_rng(seed).integers(1, 15, 2)
    middle = np.array([x, y])
    corners = [np.array(c) for c in ((0, 0), (16, 0), (16, 16), (0, 16))]
    parts = [np.array([corners[k], corners[(k + 1) % 4], middle], dtype=float) for k in range(4)]
    total = sum(fill_polygons([part], (18, 18)).astype(int) for part in parts)
    expected = np.zeros((18, 18), int)
    expected[:16, :16] = 1
    np.testing.assert_array_equal(total, expected)


@pytest.mark.parametrize("radius", [3.3, 10.7, 40.1])
def test_a_circle_has_its_area_and_its_pixels(radius):
    angles = np.linspace(0, 2 * np.pi, 3000, endpoint=False)
    center = np.array([50.2, 49.7])
    circle = center + radius * np.column_stack([np.cos(angles), np.sin(angles)])
    filled = fill_polygons([circle], (100, 100))
    rows, columns = np.indices((100, 100))
    np.testing.assert_array_equal(filled, np.hypot(columns - center[0], rows - center[1]) < radius)
    # Gauss's circle problem: the error of counting is below the perimeter
    assert abs(filled.sum() - np.pi * radius**2) < 2 * np.pi * radius


def _ring(k):
    return [to_mm(SQUARE, k), to_mm((SQUARE - 14.5) * 0.4 + 14.5, k)]


def test_a_hole_may_be_a_contour_within_or_a_keyhole(write_rtstruct):
    hole = (SQUARE - 14.5) * 0.4 + 14.5
    keyhole = np.vstack([SQUARE, SQUARE[:1], hole, hole[:1]])
    expected = np.zeros((40, 50), bool)
    expected[10:20, 10:20] = True
    expected[13:17, 13:17] = False
    for contours in (
        _ring(2),
        [to_mm(keyhole, 2)],
        [(points, "CLOSEDPLANAR_XOR") for points in _ring(2)],
        [_ring(2)[1], _ring(2)[0], _ring(2)[0]],  # one of them twice
    ):
        mask = read_mask(write_rtstruct([("GTVp", contours)]), like=IMAGE)
        np.testing.assert_array_equal(mask.array[2], expected)
        assert mask.array.sum() == expected.sum() == 84
        assert mask.direction == IMAGE.direction


def test_an_island_in_a_hole(write_rtstruct):
    island = (SQUARE - 14.5) * 0.2 + 14.5
    mask = read_mask(write_rtstruct([("GTVp", [*_ring(2), to_mm(island, 2)])]), like=IMAGE)
    assert mask.array.sum() == 84 + 4


@pytest.mark.parametrize("axes", [(1, 1, 1), (-1, 1, 1), (1, -1, -1), (1, 1, -1)])
def test_any_grid_of_the_image(write_rtstruct, axes):
    """Slices from head to foot, rows from right to left: the contours stay where they are in space."""
    direction = (np.array(OBLIQUE).reshape(3, 3) * axes).ravel()
    image = Volume(np.zeros((6, 40, 50)), IMAGE.spacing_mm, IMAGE.origin_mm, tuple(direction))
    file = write_rtstruct([("GTVp", [to_mm(SQUARE + k, k, image) for k in (1, 2)])])
    mask = read_mask(file, "gtv_P", image).array
    expected = np.zeros_like(mask)
    expected[1, 11:21, 11:21] = expected[2, 12:22, 12:22] = True
    np.testing.assert_array_equal(mask, expected)


def test_regions_are_chosen_and_merged(write_rtstruct):
    file = write_rtstruct(
        [
            ("GTVnx", [to_mm(SQUARE, 2)]),
            ("GTVnd_L", [to_mm(SQUARE + 5, 2), to_mm(SQUARE, 4)]),
            ("Brain Stem", []),
        ]
    )
    assert read_mask(file, "gtvp", IMAGE).array.sum() == 100
    assert read_mask(file, 4, IMAGE).array.sum() == 200
    # regions are united, not subtracted, where they overlap
    assert read_mask(file, ("GTVp", "gtvnd l"), IMAGE).array.sum() == 100 + 75 + 100
    assert read_mask(file, ("GTVp", "GTVrpn?"), IMAGE).array.sum() == 100
    with pytest.raises(RegionAbsentError, match=r"no segment 'GTVrpn'. It has: GTVnx, GTVnd_L, Brain Stem"):
        read_mask(file, "GTVrpn", IMAGE)
    with pytest.raises(MaskError, match=r"to be merged .* write GTVrpn\? for it") as caught:
        read_mask(file, ("GTVp", "GTVrpn"), IMAGE)
    assert not isinstance(caught.value, RegionAbsentError)
    with pytest.raises(RegionAbsentError, match=r"Brain Stem of RS\.dcm is empty"):
        read_mask(file, "brainstem", IMAGE)
    with pytest.raises(MaskError, match=r"3 regions \(GTVnx, GTVnd_L, Brain Stem\)"):
        read_mask(file, like=IMAGE)
    with pytest.raises(MaskError, match="need an image"):
        read_mask(file)


def _tilted(k):
    points = to_mm(SQUARE, k)
    points[0] += 3 * np.array(OBLIQUE).reshape(3, 3)[:, 2]
    return points


@pytest.mark.parametrize(
    ("contours", "words"),
    [
        ([to_mm(SQUARE, 2.5)], r"between the slices of the image, off by 2\.75 mm"),
        ([to_mm(SQUARE, 2), to_mm(SQUARE, 3.2)], r"between the slices of the image, off by 1\.1 mm"),
        ([_tilted(2)], "not parallel to the slices"),
        ([to_mm(SQUARE, 9)], "beyond the image"),
        ([to_mm(SQUARE - 15, 2)], "beyond the image"),
        ([to_mm(SQUARE, k) for k in (0, 2, 4)], "on one slice in 2 only"),
        ([(to_mm(SQUARE, 2), "OPEN_PLANAR")], r"not closed \(OPEN_PLANAR\)"),
        ([(to_mm(SQUARE[:1], 2), "POINT")], r"not closed \(POINT\)"),
        ([to_mm(SQUARE * 0.02 + 10.4, 2)], "encloses the center of no voxel"),
        ([to_mm(SQUARE[:2], 2)], "is empty"),
    ],
)
def test_what_cannot_be_filled_is_refused_by_name(write_rtstruct, contours, words):
    with pytest.raises(MaskError, match=rf"GTVp of RS\.dcm.*{words}|{words}.*GTVp of RS\.dcm") as caught:
        read_mask(write_rtstruct([("GTVp", contours)]), like=IMAGE)
    assert caught.value.remedy


def test_rounded_positions_lie_on_their_slice(write_rtstruct):
    points = np.round(to_mm(SQUARE, 2), 1)
    assert read_mask(write_rtstruct([("GTVp", [points])]), like=IMAGE).array[2].sum() == 100


def test_a_damaged_file(write_rtstruct, tmp_path):
    file = write_rtstruct([("GTVp", [to_mm(SQUARE, 2)])])
    whole = file.read_bytes()
    for length in range(0, len(whole), 7):
        file.write_bytes(whole[:length])
        with pytest.raises(MaskError) as caught:
            read_mask(file, like=IMAGE)
        assert str(tmp_path) not in str(caught.value)
        assert not isinstance(caught.value, RegionAbsentError)


def test_a_pair_of_a_series_and_its_contours_in_one_folder(tmp_path, write_study, write_rtstruct):
    array = np.random.default_rng(0).integers(0, 99, (4, 30, 30))
    folder = write_study(tmp_path, array)
    image = read_image(folder)
    file = write_rtstruct([("GTVp", [to_mm(SQUARE, k, image) for k in (1, 2)])])
    for mask in (file, folder):
        volume, drawn = read_pair(ImageFiles(folder, mask))
        np.testing.assert_array_equal(volume.array, array)
        assert drawn.array.sum() == 200
    write_rtstruct([("GTVp", [])], "RS2.dcm")
    with pytest.raises(MaskError, match=r"holds 2 SEG and RTSTRUCT objects \(RS\.dcm, RS2\.dcm\)"):
        read_mask(folder, like=image)
    with pytest.raises(RegionAbsentError, match="is empty"):
        read_pair(ImageFiles(folder, folder / "RS2.dcm", "GTVp", optional=True))
    with pytest.raises(MaskError, match="neither a DICOM SEG nor an RTSTRUCT"):
        read_mask(folder / "0001.dcm", like=image)
