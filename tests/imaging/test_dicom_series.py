"""DICOM series: order by geometry, values, and everything that is refused."""

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from radiomics_npc.errors import ImageError
from radiomics_npc.imaging.grid import grid_difference
from radiomics_npc.imaging.reading import read_image
from radiomics_npc.imaging.volume import Volume

RNG = np.random.default_rng(5)
STACK = RNG.integers(0, 4000, (6, 7, 9)).astype(np.uint16)
OBLIQUE = tuple(np.round([np.cos(0.3), np.sin(0.3), 0, -np.sin(0.3) * 0.6, np.cos(0.3) * 0.6, 0.8], 9))


@pytest.mark.parametrize("orientation", [(1, 0, 0, 0, 1, 0), (0, 1, 0, 0, 0, -1), OBLIQUE])
def test_slices_are_ordered_by_position_and_agree_with_itk(tmp_path, write_series, orientation):
    folder = write_series(tmp_path / "T1WI", STACK, orientation=orientation, spacing=(0.4, 0.5, 5.5))
    volume = read_image(folder)
    np.testing.assert_array_equal(volume.array, STACK)
    np.testing.assert_allclose(volume.spacing_mm, (0.4, 0.5, 5.5), rtol=1e-6)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    itk = Volume.from_sitk(reader.Execute())
    np.testing.assert_array_equal(volume.array, itk.array)
    assert grid_difference(volume, itk) is None


def test_spacing_comes_from_positions_not_thickness(tmp_path, write_series):
    assert read_image(write_series(tmp_path / "s", STACK, spacing=(0.5, 0.5, 2.25))).spacing_mm[2] == 2.25


def test_rescale_is_applied_slice_by_slice(tmp_path, write_series):
    folder = write_series(tmp_path / "s", STACK, RescaleSlope=2.5, RescaleIntercept=-10.0)
    np.testing.assert_array_equal(read_image(folder).array, STACK * 2.5 - 10.0)
    assert read_image(write_series(tmp_path / "t", STACK)).array.dtype == np.uint16


def test_signed_pixels(tmp_path, write_series):
    folder = write_series(tmp_path / "s", STACK.view(np.int16) - 2000, PixelRepresentation=1)
    np.testing.assert_array_equal(read_image(folder).array, STACK.astype(int) - 2000)


def test_run_length_compression(tmp_path, write_series):
    folder = write_series(tmp_path / "s", STACK)
    for file in folder.iterdir():
        data = pydicom.dcmread(file)
        data.compress(pydicom.uid.RLELossless)
        data.save_as(file)
    np.testing.assert_array_equal(read_image(folder).array, STACK)
    file.write_bytes(file.read_bytes()[:-100])
    _refused(folder, file.name)


def test_an_unsupported_compression_says_what_to_do(tmp_path, write_series, edit_slice):
    folder = write_series(tmp_path / "s", STACK)
    data = pydicom.dcmread(folder / "0001.dcm")
    data.file_meta.TransferSyntaxUID = pydicom.uid.JPEG2000Lossless
    data.PixelData = pydicom.encaps.encapsulate([b"no image"])
    data.save_as(folder / "0001.dcm")
    _refused(folder, "0001.dcm", "JPEG 2000", "dcm2niix")


def test_other_files_beside_the_slices_are_passed_over(tmp_path, write_series):
    folder = write_series(tmp_path / "s", STACK)
    (folder / "notes.txt").write_text("not an image")
    (folder / ".DS_Store").write_text("")
    assert read_image(folder).array.shape == STACK.shape


def _refused(folder, *words):
    with pytest.raises(ImageError) as caught:
        read_image(folder)
    for word in words:
        assert word in str(caught.value)
    assert str(folder.parent) not in str(caught.value)
    assert caught.value.remedy


def _by_position(folder):
    files = sorted(folder.iterdir(), key=lambda f: pydicom.dcmread(f).ImagePositionPatient[2])
    return [f.name for f in files]


def test_a_missing_slice_is_named_by_its_neighbors(tmp_path, write_series):
    folder = write_series(tmp_path / "s", STACK)
    names = _by_position(folder)
    (folder / names[3]).unlink()
    _refused(folder, "a slice is missing", names[2], names[4], "11.000 mm apart, elsewhere 5.500")


def test_a_duplicate_is_named(tmp_path, write_series):
    folder = write_series(tmp_path / "s", STACK)
    (folder / "copy.dcm").write_bytes((folder / "0002.dcm").read_bytes())
    _refused(folder, "copy.dcm", "0002.dcm", "same place")


def test_uneven_steps(tmp_path, write_series, edit_slice):
    folder = write_series(tmp_path / "s", STACK)
    names = _by_position(folder)
    edit_slice(folder / names[5], ImagePositionPatient=[-8.0, -4.0, 30.0 + 5 * 5.5 + 0.3])
    _refused(folder, "uneven steps", names[5])


def test_positions_rounded_to_tenths_are_taken(tmp_path, write_series, edit_slice):
    folder = write_series(tmp_path / "s", STACK, spacing=(0.5, 0.5, 5.46))
    for file in folder.iterdir():
        position = [round(float(x), 1) for x in pydicom.dcmread(file).ImagePositionPatient]
        edit_slice(file, ImagePositionPatient=position)
    assert read_image(folder).spacing_mm[2] == pytest.approx(5.46, abs=0.02)


def test_a_leaning_stack_is_refused(tmp_path, write_series, edit_slice):
    folder = write_series(tmp_path / "s", STACK)
    for k, name in enumerate(_by_position(folder)):
        edit_slice(folder / name, ImagePositionPatient=[-8.0, -4.0 + 0.1 * k, 30.0 + 5.5 * k])
    _refused(folder, "lean sideways by 0.50 mm")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ImageOrientationPatient": [0, 1, 0, 0, 0, 1]}, ["0003.dcm", "oriented otherwise"]),
        ({"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]}, ["0003.dcm", "perpendicular"]),
        ({"SeriesInstanceUID": "1.2.9"}, ["mixes 2 series (5 and 1 files", "0003.dcm"]),
        ({"PixelSpacing": [0.6, 0.6]}, ["0003.dcm", "pixel spacing"]),
        ({"PixelSpacing": None}, ["0003.dcm", "lacks PixelSpacing"]),
        ({"NumberOfFrames": 2}, ["0003.dcm", "several frames", "dcm2niix"]),
        ({"SamplesPerPixel": 3}, ["0003.dcm", "color"]),
    ],
)
def test_a_slice_that_does_not_belong_is_named(tmp_path, write_series, edit_slice, changes, words):
    folder = write_series(tmp_path / "s", STACK)
    edit_slice(folder / "0003.dcm", **changes)
    _refused(folder, *words)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.2, 0.4, 0.6, 0.8, 0.9, 0.99, 0.999])
def test_a_truncated_file_is_always_named(tmp_path, write_series, share):
    folder = write_series(tmp_path / "s", STACK)
    file = folder / "0004.dcm"
    data = file.read_bytes()
    file.write_bytes(data[: int(len(data) * share)])
    _refused(folder, "0004.dcm")


def test_a_folder_without_a_series(tmp_path):
    (tmp_path / "empty").mkdir()
    _refused(tmp_path / "empty", "empty holds no files")
    (tmp_path / "text").mkdir()
    for name in ("a.txt", "b.txt"):
        (tmp_path / "text" / name).write_text("hello")
    _refused(tmp_path / "text", "a.txt is no DICOM file")
