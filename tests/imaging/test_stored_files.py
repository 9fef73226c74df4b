"""Which files hold the voxels of an image: what is not among them may change unseen."""

import numpy as np
import pytest
import SimpleITK as sitk

from radiomics_npc.imaging.reading import read_image
from radiomics_npc.imaging.stored_files import stored_files


def _write(path):
    sitk.WriteImage(sitk.GetImageFromArray(np.arange(24, dtype=np.int16).reshape(2, 3, 4)), str(path))
    return path


@pytest.mark.parametrize(
    ("written", "named"), [(".nhdr", ".nrrd"), (".nhdr", ".nhdr"), (".mhd", ".mha"), (".mhd", ".mhd")]
)
def test_voxels_beside_the_header_are_found_by_any_name_of_the_header(tmp_path, written, named):
    header = _write(tmp_path / f"t2{written}").rename(tmp_path / f"T2{named}")
    assert read_image(header).array.sum() == 276
    found = stored_files(header)
    assert found[0] == header
    assert [p.suffix for p in found[1:]] in ([".raw"], [".gz"])


@pytest.mark.parametrize("suffix", [".nrrd", ".mha", ".nii", ".nii.gz"])
def test_voxels_within_the_file(tmp_path, suffix):
    path = _write(tmp_path / f"t2{suffix}")
    assert stored_files(path) == [path]


def test_words_among_the_voxels_name_no_file(tmp_path):
    """The voxels of a NRRD file that read like a line of its header."""
    text = np.frombuffer(b"\ndata file: notes.txt\n" + b" " * 3, dtype=np.uint8).reshape(1, 5, 5)
    path = tmp_path / "t2.nrrd"
    sitk.WriteImage(sitk.GetImageFromArray(text), str(path), False)
    (tmp_path / "notes.txt").write_text("of the reader")
    assert b"data file: notes.txt" in path.read_bytes()
    assert stored_files(path) == [path]
