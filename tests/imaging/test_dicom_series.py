"""DICOM series: order by geometry, values, and everything that is refused."""

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from radiomics_npc.cohort.dicom_index import index_dicom
from radiomics_npc.errors import ImageError
from radiomics_npc.imaging.dicom import read_series
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


#: Rows and columns along every pair of axes, both ways: axial, sagittal and coronal slices; and tilted ones.
AXES = np.vstack([np.eye(3), -np.eye(3)])
ALL_PLANES = [(*row, *column) for row in AXES for column in AXES if row @ column == 0]
TILTED = tuple(np.round([0, 0.96, -0.28, 0, -0.28, -0.96], 9))


@pytest.mark.parametrize("orientation", [*ALL_PLANES, OBLIQUE, TILTED])
def test_every_voxel_lies_where_itk_has_it(tmp_path, write_series, orientation):
    """Against GDCM, and against the equation of PS3.3 C.7.6.2.1.1 for each file on its own."""
    folder = write_series(tmp_path / "s", STACK, orientation=orientation, spacing=(0.4, 0.5, 5.5))
    volume = read_image(folder)
    slices, rows, columns = np.indices(volume.array.shape).reshape(3, -1)
    steps = np.array(volume.direction).reshape(3, 3) * volume.spacing_mm
    points = np.array(volume.origin_mm) + np.stack([columns, rows, slices], axis=1) @ steps.T
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    itk = reader.Execute()
    indices = [itk.TransformPhysicalPointToIndex(point) for point in points]
    assert [itk.GetPixel(index) for index in indices] == volume.array.ravel().tolist()
    back = np.array([itk.TransformIndexToPhysicalPoint(index) for index in indices])
    np.testing.assert_allclose(back, points, atol=1e-5)
    values = {}
    for file in folder.iterdir():
        data = pydicom.dcmread(file)
        row, column = np.array(data.ImageOrientationPatient, float).reshape(2, 3)
        for (i, j), value in np.ndenumerate(data.pixel_array):
            at = np.array(data.ImagePositionPatient, float)
            at = at + row * data.PixelSpacing[1] * j + column * data.PixelSpacing[0] * i
            values[tuple(at.round(3) + 0.0)] = value
    assert [values[tuple(p)] for p in points.round(3) + 0.0] == volume.array.ravel().tolist()


@pytest.fixture
def two_series(tmp_path, write_series):
    """Two series and objects that are no images, in one folder, and a part of the first in a folder below."""
    folder = tmp_path / "all"
    write_series(folder / "below", STACK, SeriesDescription="AX T1")
    other = write_series(tmp_path / "other", STACK[:3] + 1, series="1.2.4", SeriesDescription="AX T2")
    for file in other.iterdir():
        file.rename(folder / f"t2-{file.name}")
    for file in sorted((folder / "below").iterdir())[:4]:
        file.rename(folder / file.name)
    return folder


def test_a_series_is_chosen_wherever_its_files_lie(two_series):
    np.testing.assert_array_equal(read_series(two_series, "1.2.3").array, STACK)
    np.testing.assert_array_equal(read_series(two_series, "1.2.4").array, STACK[:3] + 1)
    (two_series / "below" / "copy.dcm").write_bytes((two_series / "0001.dcm").read_bytes())
    np.testing.assert_array_equal(read_series(two_series, "1.2.3").array, STACK)
    (two_series / "README").write_text("a file without suffix that is no slice")
    np.testing.assert_array_equal(read_series(two_series, "1.2.3").array, STACK)


def test_a_mixed_folder_lists_what_it_holds(two_series):
    _refused(two_series, "mixes 2 series (4 and 3 files", "AX T1 (4)", "AX T2 (3)")
    with pytest.raises(
        ImageError, match=r"no images of the series that was asked for: AX T1 \(6\); AX T2 \(3\)"
    ):
        read_series(two_series, "1.2.9")


def test_another_image_at_the_same_place_is_no_copy(two_series, edit_slice):
    (two_series / "below" / "again.dcm").write_bytes((two_series / "0001.dcm").read_bytes())
    edit_slice(two_series / "below" / "again.dcm", SOPInstanceUID="1.2.88")
    with pytest.raises(ImageError, match="same place"):
        read_series(two_series, "1.2.3")


def test_a_damaged_file_is_named_when_a_series_is_chosen(two_series, edit_slice):
    edit_slice(two_series / "0000.dcm", SeriesInstanceUID=None)
    with pytest.raises(ImageError, match=r"0000.dcm is damaged or truncated \(no SeriesInstanceUID\)"):
        read_series(two_series, "1.2.4")
    (two_series / "0000.dcm").write_bytes(b"nothing")
    with pytest.raises(ImageError, match=r"0000.dcm is no DICOM file"):
        read_series(two_series, "1.2.4")


@pytest.mark.parametrize(
    ("changes", "removed"),
    [
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.481.3", "Modality": "RTSTRUCT"}, ["PixelData"]),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.66.4", "Modality": "SEG"}, []),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.11.1", "Modality": "PR"}, ["PixelData"]),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.22", "Modality": "SR"}, ["PixelData"]),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.481.2", "Modality": "RTDOSE"}, []),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7", "Modality": "OT"}, ["ImagePositionPatient"]),
        ({"SOPClassUID": "1.3.12.2.1107.5.9.1"}, ["ImagePositionPatient", "PixelData"]),
    ],
)
def test_what_is_no_image_is_passed_over(tmp_path, write_series, changes, removed):
    folder = write_series(tmp_path / "s", STACK)
    data = pydicom.dcmread(folder / "0003.dcm")
    data.update({"SeriesInstanceUID": "1.2.99", **changes})
    for tag in removed:
        del data[tag]
    data.save_as(folder / "RS.dcm")
    np.testing.assert_array_equal(read_image(folder).array, STACK)
    for file in folder.glob("0*.dcm"):
        file.unlink()
    _refused(folder, "RS.dcm is no image")


def test_files_without_suffix(tmp_path, write_series):
    folder = write_series(tmp_path / "s", STACK)
    for i, file in enumerate(sorted(folder.iterdir())):
        file.rename(folder / ["I10", "2.IMA", "1.2.840.3", "d", "e", "zz"][i])
    (folder / "DICOMDIR").write_bytes(b"")
    (folder / "notes.txt").write_text("no slice")
    np.testing.assert_array_equal(read_image(folder).array, STACK)
    (folder / "I10").write_bytes(b"")
    _refused(folder, "I10 is no DICOM file")


def test_one_slice_is_no_series(tmp_path, write_series):
    folder = write_series(tmp_path / "s", STACK[:1])
    _refused(folder, "s holds one slice")
    _refused(folder / "0000.dcm", "0000.dcm holds one slice", "whole series")


def _by_itk(folder):
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    return sitk.GetArrayFromImage(reader.Execute())


def _rewritten(folder, change, **save):
    for file in folder.iterdir():
        data = pydicom.dcmread(file)
        change(data)
        data.save_as(file, enforce_file_format=True, **save)
    return folder


def test_big_endian(tmp_path, write_series):
    folder = write_series(tmp_path / "s", STACK)
    for file in folder.iterdir():
        data = pydicom.dcmread(file)
        data.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRBigEndian
        data.PixelData = np.frombuffer(data.PixelData, "<u2").astype(">u2").tobytes()
        pydicom.dcmwrite(file, data, little_endian=False, implicit_vr=False)
    volume = read_image(folder)
    np.testing.assert_array_equal(volume.array, STACK)
    np.testing.assert_array_equal(_by_itk(folder), STACK)
    assert volume.array.dtype.isnative
    np.testing.assert_array_equal(sitk.GetArrayFromImage(volume.to_sitk()), STACK)


@pytest.mark.parametrize(
    "syntax", [pydicom.uid.ImplicitVRLittleEndian, pydicom.uid.DeflatedExplicitVRLittleEndian]
)
def test_other_uncompressed_syntaxes(tmp_path, write_series, syntax):
    def change(data):
        data.file_meta.TransferSyntaxUID = syntax

    folder = _rewritten(
        write_series(tmp_path / "s", STACK), change, implicit_vr=syntax.is_implicit_VR, little_endian=True
    )
    np.testing.assert_array_equal(read_image(folder).array, STACK)


def test_eight_bits_in_an_odd_number_of_pixels(tmp_path, write_series):
    odd = (STACK[:, :, :7] // 16).astype(np.uint8)
    folder = write_series(tmp_path / "s", odd)

    def change(data):
        data.BitsAllocated = data.BitsStored = 8
        data.HighBit = 7
        k = int(
            np.flatnonzero((odd == np.frombuffer(data.PixelData, "<u2").reshape(7, 7)).all(axis=(1, 2)))[0]
        )
        data.PixelData = odd[k].tobytes() + b"\0"
        data["PixelData"].VR = "OB"

    volume = read_image(_rewritten(folder, change))
    np.testing.assert_array_equal(volume.array, odd)
    assert volume.array.dtype == np.uint8


def test_unused_bits_are_not_read(tmp_path, write_series):
    """Twelve signed bits, an old overlay in the four above: GDCM agrees."""
    values = (STACK % 4096).astype(np.int16) - 2048

    def change(data):
        data.BitsStored, data.HighBit, data.PixelRepresentation = 12, 11, 1
        stored = np.frombuffer(data.PixelData, "<u2") & 0x0FFF
        data.PixelData = (stored | 0x5000).astype("<u2").tobytes()

    folder = _rewritten(write_series(tmp_path / "s", values.view(np.uint16)), change)
    np.testing.assert_array_equal(read_image(folder).array, values)
    np.testing.assert_array_equal(_by_itk(folder), values)


@pytest.mark.parametrize("rescale", [{}, {"RescaleSlope": 2.0, "RescaleIntercept": 5.0}])
@pytest.mark.parametrize("signed", [0, 1])
def test_monochrome1_is_turned_around_as_itk_does(tmp_path, write_series, edit_slice, signed, rescale):
    bits = {"BitsStored": 16, "HighBit": 15} if signed else {"BitsStored": 12, "HighBit": 11}
    folder = write_series(
        tmp_path / "s",
        STACK,
        PhotometricInterpretation="MONOCHROME1",
        PixelRepresentation=signed,
        **bits,
        **rescale,
    )
    expected = (-1 if signed else 4095) - STACK.astype(int)
    expected = expected * 2.0 + 5.0 if rescale else expected
    np.testing.assert_array_equal(read_image(folder).array, expected)
    np.testing.assert_array_equal(_by_itk(folder), expected)
    edit_slice(folder / "0003.dcm", PhotometricInterpretation="MONOCHROME2")
    _refused(folder, "2 photometric interpretations (MONOCHROME1, MONOCHROME2)")


def test_a_palette_is_color(tmp_path, write_series):
    _refused(write_series(tmp_path / "s", STACK, PhotometricInterpretation="PALETTE COLOR"), "color")


def test_rescale_of_each_slice_its_own(tmp_path, write_series, edit_slice):
    folder = write_series(tmp_path / "s", STACK)
    names = _by_position(folder)
    edit_slice(folder / names[2], RescaleSlope=0.5, RescaleIntercept=-3.0)
    expected = STACK.astype(float)
    expected[2] = expected[2] * 0.5 - 3
    np.testing.assert_array_equal(read_image(folder).array, expected)


def test_a_modality_lookup_table_is_applied(tmp_path, write_series):
    table = pydicom.Dataset()
    table.LUTDescriptor, table.ModalityLUTType = [4096, 0, 16], "US"
    table["LUTDescriptor"].VR = "US"
    table.add_new("LUTData", "OW", (np.arange(4096) * 3 + 7).astype("<u2").tobytes())
    folder = write_series(tmp_path / "s", STACK, ModalityLUTSequence=[table])
    np.testing.assert_array_equal(read_image(folder).array, STACK * 3 + 7)


@pytest.mark.shared
def test_a_real_series_is_its_nifti_voxel_by_voxel(shared):
    """Values exactly, no crop and no scale between them; places as nibabel reads the NIfTI."""
    import nibabel

    volume = read_series(shared / "data" / "dicom_rtstruct" / "image")
    nifti = nibabel.load(shared / "data" / "sts_mr_t1" / "STS_002" / "MR_T1_image.nii.gz")
    x, y, z = nifti.shape
    indices = np.stack(np.meshgrid(np.arange(x), np.arange(y), np.arange(z), indexing="ij"), axis=-1)
    steps = np.array(volume.direction).reshape(3, 3) * volume.spacing_mm
    lps = nibabel.affines.apply_affine(nifti.affine, indices) * [-1, -1, 1]
    mine = np.rint((lps - np.array(volume.origin_mm)) @ np.linalg.inv(steps).T).astype(int)
    assert volume.array.shape == (z, y, x)
    np.testing.assert_array_equal(volume.array[mine[..., 2], mine[..., 1], mine[..., 0]], nifti.get_fdata())
    # NIfTI keeps its affine in single precision
    np.testing.assert_allclose(np.array(volume.origin_mm) + mine @ steps.T, lps, rtol=0, atol=1e-3)


def test_a_file_with_wrong_bytes_is_read_or_named(tmp_path, write_series):
    """Anywhere in the header or the pixels; the index of the folder goes on as well."""
    folder = write_series(tmp_path / "s", STACK[:3], SeriesDescription="AX T1")
    file = folder / "0001.dcm"
    whole = file.read_bytes()
    rng = np.random.default_rng(3)
    outcomes = []
    for _ in range(150):
        data = np.frombuffer(whole, np.uint8).copy()
        data[rng.integers(128, len(data), size=3)] = rng.integers(0, 256, size=3)
        file.write_bytes(data.tobytes())
        try:
            outcomes.append(read_series(folder).array.shape)
        except ImageError as error:
            outcomes.append(type(error))
        assert {s.modality for s in index_dicom(folder)} >= {"MR"}
    assert set(outcomes) == {(3, 7, 9), ImageError}
