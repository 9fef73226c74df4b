"""Image and mask files: labels, damage, kinds."""

import gzip
import struct

import numpy as np
import pytest
import SimpleITK as sitk

from radiomics_npc.cohort.cases import ImageFiles
from radiomics_npc.errors import ImageError, MaskError
from radiomics_npc.imaging.nifti import require_whole_nifti
from radiomics_npc.imaging.reading import read_image, read_mask, read_pair

INSIDE = np.zeros((4, 6, 5), bool)
INSIDE[1:3, 2:4, 1:4] = True


@pytest.mark.parametrize(
    ("low", "high", "dtype"),
    [
        (0, 1, "u1"),
        (0, 255, "u1"),
        (1, 2, "u1"),
        (0, 1, "f4"),
        (-1, 0, "i2"),
        (0, 32767, "i2"),
        (0.25, 0.75, "f8"),
    ],
)
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd"])
def test_any_two_valued_labeling(tmp_path, write_mask, low, high, dtype, suffix):
    file = write_mask(tmp_path / f"ROI-T1{suffix}", np.where(INSIDE, high, low).astype(dtype))
    np.testing.assert_array_equal(read_mask(file).array, INSIDE)


def test_a_label_is_taken_or_missed_by_name(tmp_path, write_mask):
    labels = INSIDE.astype("u1") * 2
    labels[0, 0, 0] = 7
    file = write_mask(tmp_path / "ROI-T1.nii", labels)
    np.testing.assert_array_equal(read_mask(file, 2).array, INSIDE)
    with pytest.raises(MaskError, match=r"holds no label 3\. Values in it: 0, 2, 7\."):
        read_mask(file, 3)
    with pytest.raises(MaskError, match=r"more than two values \(0, 2, 7\)"):
        read_mask(file)
    with pytest.raises(MaskError, match="no segment 'GTVp'"):
        read_mask(file, "GTVp")


def test_many_values_are_cut_in_the_message(tmp_path, write_mask):
    file = write_mask(tmp_path / "m.nii", np.arange(120).reshape(4, 6, 5).astype("i2"))
    with pytest.raises(MaskError, match="and 110 more"):
        read_mask(file)


@pytest.mark.parametrize("layers", [1, 2])
def test_a_segment_is_found_by_its_name(tmp_path, layers):
    background = np.zeros_like(INSIDE)
    arrays = [INSIDE.astype("u1") * 3, background.astype("u1")][:layers]
    image = (
        sitk.Compose([sitk.GetImageFromArray(a) for a in arrays])
        if layers > 1
        else sitk.GetImageFromArray(arrays[0])
    )
    for key, value in {"Name": "GTVp", "LabelValue": "3", "Layer": "0"}.items():
        image.SetMetaData(f"Segment0_{key}", value)
    file = tmp_path / "tumor.seg.nrrd"
    sitk.WriteImage(image, str(file))
    np.testing.assert_array_equal(read_mask(file, "GTVp").array, INSIDE)
    with pytest.raises(MaskError, match=r"no segment 'brain'\. It has: GTVp\."):
        read_mask(file, "brain")


@pytest.mark.parametrize(("value", "words"), [(0, "is empty"), (1, "one value only")])
def test_an_empty_mask(tmp_path, write_mask, value, words):
    with pytest.raises(MaskError, match=words):
        read_mask(write_mask(tmp_path / "m.nii.gz", np.full((4, 6, 5), value, "u1")))


def test_a_mask_with_nan(tmp_path, write_mask):
    array = INSIDE.astype("f4")
    array[0, 0, 0] = np.nan
    with pytest.raises(MaskError, match="not finite"):
        read_mask(write_mask(tmp_path / "m.nrrd", array))


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha"])
@pytest.mark.parametrize("share", [0.0, 0.05, 0.1, 0.5, 0.9, 0.99])
def test_a_truncated_file_is_named_without_its_folder(tmp_path, write_mask, suffix, share, capfd):
    noise = np.random.default_rng(1).integers(0, 999, (8, 16, 16)).astype("i2")
    file = write_mask(tmp_path / f"T2{suffix}", noise)
    data = file.read_bytes()
    file.write_bytes(data[: int(len(data) * share)])
    for read, kind in ((read_image, ImageError), (read_mask, MaskError)):
        with pytest.raises(kind, match=rf"T2{suffix} cannot be read") as caught:
            read(file)
        assert str(tmp_path) not in str(caught.value)
    assert str(tmp_path) not in "".join(capfd.readouterr())


def test_a_gzip_file_of_several_members_is_whole(tmp_path, write_mask):
    plain = write_mask(tmp_path / "m.nii", INSIDE.astype("u1")).read_bytes()
    file = tmp_path / "m.nii.gz"
    file.write_bytes(gzip.compress(plain[:400]) + gzip.compress(plain[400:]))
    np.testing.assert_array_equal(read_mask(file).array, INSIDE)
    file.write_bytes(gzip.compress(plain[:400]))
    with pytest.raises(MaskError, match=r"truncated \(85% is there\)"):
        read_mask(file)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("version", [1, 2])
def test_the_length_a_nifti_header_tells(tmp_path, order, version):
    header = bytearray(540)
    if version == 1:
        struct.pack_into(f"{order}i", header, 0, 348)
        struct.pack_into(f"{order}8h", header, 40, 3, 7, 6, 5, 1, 1, 1, 1)
        struct.pack_into(f"{order}h", header, 72, 16)
        struct.pack_into(f"{order}f", header, 108, 352)
    else:
        struct.pack_into(f"{order}i", header, 0, 540)
        struct.pack_into(f"{order}h", header, 14, 16)
        struct.pack_into(f"{order}8q", header, 16, 3, 7, 6, 5, 1, 1, 1, 1)
        struct.pack_into(f"{order}q", header, 168, 544)
    whole = {1: 352, 2: 544}[version] + 7 * 6 * 5 * 2
    file = tmp_path / "m.nii"
    file.write_bytes(bytes(header).ljust(whole, b"\0"))
    require_whole_nifti(file)
    file.write_bytes(bytes(header).ljust(whole, b"\0")[:-1])
    with pytest.raises(ImageError, match="truncated"):
        require_whole_nifti(file)
    file.write_bytes(b"\1" * 600)
    with pytest.raises(ImageError, match="no NIfTI file"):
        require_whole_nifti(file)


def test_what_is_no_volume(tmp_path, write_mask):
    flat = write_mask(tmp_path / "flat.nii", np.ones((4, 5), "u1"), spacing=(1, 1), origin=(0, 0))
    with pytest.raises(ImageError, match=r"flat\.nii is no 3D gray image"):
        read_image(flat)
    (tmp_path / "a.jpg").write_bytes(b"x")
    with pytest.raises(ImageError, match="no known kind"):
        read_image(tmp_path / "a.jpg")
    with pytest.raises(MaskError, match="is a folder"):
        read_mask(tmp_path)


def test_a_fourth_dimension_of_one_is_dropped(tmp_path):
    image = sitk.JoinSeries([sitk.GetImageFromArray(INSIDE.astype("u1"))])
    sitk.WriteImage(image, str(tmp_path / "m.nii"))
    np.testing.assert_array_equal(read_mask(tmp_path / "m.nii").array, INSIDE)


def test_a_pair_has_one_geometry(tmp_path, write_series, write_mask):
    rng = np.random.default_rng(2)
    image = write_series(tmp_path / "T1WI", rng.integers(0, 99, INSIDE.shape), spacing=(0.4297, 0.4297, 5.5))
    mask = write_mask(tmp_path / "ROI-T1.nii", INSIDE.astype("u1"), spacing=(0.4297, 0.4297, 5.5))
    volume, drawn = read_pair(ImageFiles(image, mask))
    assert (volume.spacing_mm, volume.origin_mm, volume.direction) == (
        drawn.spacing_mm,
        drawn.origin_mm,
        drawn.direction,
    )
    np.testing.assert_array_equal(drawn.array, INSIDE)
    with pytest.raises(MaskError, match="there is no mask"):
        read_pair(ImageFiles(image))
