"""Compressed transfer syntaxes, written by pydicom's encoders and by GDCM, and read back."""

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.uid import JPEG2000, JPEG2000Lossless, JPEGLSLossless, JPEGLSNearLossless, RLELossless

from radiomics_npc.errors import ImageError
from radiomics_npc.imaging.dicom import read_series

RNG = np.random.default_rng(6)
#: Smooth enough to be an image, noisy enough to show a wrong bit.
STACK = (
    2000 + 1500 * np.sin(np.indices((4, 32, 48)).sum(axis=0) / 7) + RNG.integers(0, 300, (4, 32, 48))
).astype(np.uint16)
BITS = {
    "12 of 16": (STACK, {"BitsStored": 12, "HighBit": 11}),
    "16": (STACK * 15, {}),
    "16 signed": (STACK.astype(np.int16) - 2000, {"PixelRepresentation": 1}),
    "12 signed": (STACK.astype(np.int16) - 2000, {"PixelRepresentation": 1, "BitsStored": 12, "HighBit": 11}),
    "8": ((STACK // 16).astype(np.uint8), {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}),
}


def _written(write_series, folder, bits):
    values, tags = BITS[bits]
    write_series(folder, values.astype(np.int64).astype(np.uint16))
    for file in folder.iterdir():
        data = pydicom.dcmread(file)
        for tag, value in tags.items():
            setattr(data, tag, value)
        if bits == "8":
            data.PixelData = np.frombuffer(data.PixelData, "<u2").astype(np.uint8).tobytes()
            data["PixelData"].VR = "OB"
        data.save_as(file)
    return values


def _compressed(folder, syntax, **options):
    for file in folder.iterdir():
        data = pydicom.dcmread(file)
        data.compress(syntax, generate_instance_uid=False, **options)
        data.save_as(file)


def _by_gdcm(folder, values, compressor):
    for file in folder.iterdir():
        placed = pydicom.dcmread(file)
        image = sitk.GetImageFromArray(
            values[int(np.flatnonzero((values == placed.pixel_array).all((1, 2)))[0])]
        )
        writer = sitk.ImageFileWriter()
        writer.SetImageIO("GDCMImageIO")
        writer.SetCompressor(compressor)
        writer.UseCompressionOn()
        writer.SetFileName(str(file))
        writer.Execute(image)
        written = pydicom.dcmread(file)
        for tag in (
            "ImagePositionPatient",
            "ImageOrientationPatient",
            "PixelSpacing",
            "SeriesInstanceUID",
            "Modality",
        ):
            setattr(written, tag, getattr(placed, tag))
        written.SOPClassUID = placed.SOPClassUID
        written.save_as(file)


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless], ids=lambda uid: uid.name)
def test_lossless_values_come_back(tmp_path, write_series, syntax, bits):
    values = _written(write_series, tmp_path / "s", bits)
    _compressed(tmp_path / "s", syntax)
    assert pydicom.dcmread(next((tmp_path / "s").iterdir())).file_meta.TransferSyntaxUID == syntax
    volume = read_series(tmp_path / "s")
    np.testing.assert_array_equal(volume.array, values)
    assert volume.array.dtype == values.dtype


@pytest.mark.parametrize(
    ("compressor", "syntax"),
    [
        ("JPEG", "1.2.840.10008.1.2.4.70"),
        ("JPEG2000", "1.2.840.10008.1.2.4.90"),
    ],
)
@pytest.mark.parametrize("bits", ["16", "16 signed", "8"])
def test_what_gdcm_compressed(tmp_path, write_series, bits, compressor, syntax):
    """Another writer; JPEG is the lossless process 14, selection value 1, the usual one in archives."""
    values = _written(write_series, tmp_path / "s", bits)
    _by_gdcm(tmp_path / "s", values, compressor)
    written = {pydicom.dcmread(file).file_meta.TransferSyntaxUID for file in (tmp_path / "s").iterdir()}
    assert written == {syntax}
    np.testing.assert_array_equal(read_series(tmp_path / "s").array, values)


@pytest.mark.parametrize(
    ("syntax", "options", "most"),
    [(JPEGLSNearLossless, {"jls_error": 3}, 3), (JPEG2000, {"j2k_cr": [4]}, 400)],
)
def test_lossy_values_are_near(tmp_path, write_series, syntax, options, most):
    values = _written(write_series, tmp_path / "s", "12 of 16")
    _compressed(tmp_path / "s", syntax, **options)
    off = np.abs(read_series(tmp_path / "s").array.astype(int) - values.astype(int))
    assert 0 < off.max() <= most


def test_compressed_values_are_rescaled_and_turned_around(tmp_path, write_series, edit_slice):
    values = _written(write_series, tmp_path / "s", "12 of 16")
    _compressed(tmp_path / "s", JPEG2000Lossless)
    for file in (tmp_path / "s").iterdir():
        edit_slice(file, RescaleSlope=0.5, RescaleIntercept=3.0, PhotometricInterpretation="MONOCHROME1")
    np.testing.assert_array_equal(read_series(tmp_path / "s").array, (4095.0 - values) * 0.5 + 3)


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless], ids=lambda uid: uid.name)
@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
def test_a_truncated_file_is_named(tmp_path, write_series, syntax, share):
    _written(write_series, tmp_path / "s", "16")
    _compressed(tmp_path / "s", syntax)
    file = tmp_path / "s" / "0002.dcm"
    file.write_bytes(file.read_bytes()[: int(share * file.stat().st_size)])
    with pytest.raises(ImageError, match=r"0002\.dcm is damaged"):
        read_series(tmp_path / "s")


@pytest.mark.parametrize("how", ["RLE", "JPEG-LS", "JPEG 2000", "JPEG"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.99])
def test_a_stream_cut_short_within_a_whole_file_is_named(tmp_path, write_series, how, share):
    """Without the check for its end, libjpeg gives a full array of which the last part is made up."""
    values = _written(write_series, tmp_path / "s", "16")
    syntaxes = {"RLE": RLELossless, "JPEG-LS": JPEGLSLossless, "JPEG 2000": JPEG2000Lossless}
    if how in syntaxes:
        _compressed(tmp_path / "s", syntaxes[how])
    else:
        _by_gdcm(tmp_path / "s", values, how)
    file = tmp_path / "s" / "0002.dcm"
    data = pydicom.dcmread(file)
    (frame,) = pydicom.encaps.generate_frames(data.PixelData, number_of_frames=1)
    data.PixelData = pydicom.encaps.encapsulate([frame[: int(share * len(frame)) // 2 * 2]])
    data.save_as(file)
    with pytest.raises(ImageError, match=r"0002\.dcm is damaged"):
        read_series(tmp_path / "s")
