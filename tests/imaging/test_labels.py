"""Regions by value, by name and by another name; tables of names beside a map; layers of 3D Slicer."""

import json

import nibabel
import nrrd
import numpy as np
import pytest

from radiomics_npc.cohort.cases import ImageFiles
from radiomics_npc.errors import MaskError, RegionAbsentError
from radiomics_npc.imaging.label_tables import find_table
from radiomics_npc.imaging.labels import ALIASES, Region, as_optional, find_regions, parse_label
from radiomics_npc.imaging.reading import read_drawn, read_mask, read_pair
from radiomics_npc.imaging.stored_files import stored_files

MAP = np.zeros((4, 6, 5), np.uint8)
MAP[1:3, 2:4, 1:4] = 1
MAP[2, 0, :] = 2
MAP[3, 5, 4] = 7


def _find(names, label):
    return [
        r.values[0] for r in find_regions([Region((k,), (n,)) for k, n in enumerate(names, 1)], label, "m")
    ]


@pytest.mark.parametrize(
    ("names", "label", "values"),
    [
        (["GTVp", "gtvp"], "gtvp", [2]),  # as it is written, before case is forgotten
        (["GTV_Prim", "GTVnd"], "gtv prim", [1]),
        (["GTV-P", "GTV"], "GTVp", [1]),
        (["GTVnx", "GTVnd"], "GTV_Prim", [1]),
        (["GTVnx", "GTV_n"], "gtvnd", [2]),
        (["Primary Tumour", "Lymph nodes"], ("GTVp", "GTVn"), [1, 2]),
        (["Brain", "Tumour"], "tumor", [2]),
        (["脑干", "鼻咽肿瘤"], "GTVp", [2]),
        (["GTVp", "GTVn"], parse_label("gtvp + gtvn + gtvp"), [1, 2]),
        (["T1+C", "GTVn"], parse_label('"T1+C" + 2'), [1, 2]),
        (["GTVp?", "GTVp"], "GTVp?", [1]),
        (["GTVp"], ("GTVp", "GTVn?", "9?"), [1]),
        (["GTVn"], as_optional(("GTVp", "GTVn")), [1]),
    ],
)
def test_a_name_is_found(names, label, values):
    assert _find(names, label) == values


def test_no_alias_stands_for_two_volumes():
    listed = [name for names in ALIASES.values() for name in names]
    assert len(listed) == len(set(listed))
    # GTV alone may hold the nodes: it is never taken for GTVp
    with pytest.raises(RegionAbsentError, match=r"no segment 'GTVp'\. It has: GTV\."):
        _find(["GTV"], "GTVp")


@pytest.mark.parametrize(
    ("names", "label", "words"),
    [
        (["GTVnd", "GTV_n"], "gtvnode", r"'gtvnode' may be GTVnd \(1\) or GTV_n \(2\)"),
        (["GTVp", "GTVp"], "GTVp", r"may be GTVp \(1\) or GTVp \(2\)"),
        (["GTVn1", "GTVn2", "Cord"], "GTVn", r"no segment 'GTVn'.*has: GTVn1, GTVn2, Cord.*Nearest: GTVn"),
        (["GTVp", "Cord"], ("GTVp", "GTVnd"), r"'GTVnd', which is to be merged with others"),
        (["GTVp"], ("GTVn?", "Cord?"), "has none of GTVn"),
        (["GTVp"], 4, r"holds no label 4\. It has: GTVp \(1\)"),
        ([f"ROI{k}" for k in range(40)], "GTVp", "ROI11 and 28 more"),
        ([], "GTVp", "it names none"),
        (["--", "_"], "-", "no segment '-'"),
    ],
)  # fmt: skip
def test_a_name_that_is_not_there_or_not_unique(names, label, words):
    with pytest.raises(MaskError, match=words) as caught:
        _find(names, label)
    assert isinstance(caught.value, RegionAbsentError) == (
        "no segment '" in words or "no label" in words or "none of" in words or "more" in words
    )


def _write_nifti(path):
    # x runs first in NIfTI, last in our arrays
    nibabel.save(nibabel.Nifti1Image(MAP.transpose(2, 1, 0), np.diag([-0.5, -0.5, 5.5, 1])), path)
    return path


SNAP = """################################################
# ITK-SnAP Label Description File
# IDX   -R-  -G-  -B-  -A--  VIS MSH  LABEL
################################################
    0     0    0    0        0  0  0    "Clear Label"
    1   255    0    0        1  1  1    "GTV p"
    2     0  255    0      0.5  1  0    "GTVnd"
"""
CTBL = "# Color table file x.ctbl\n# 3 values\n0 Background 0 0 0 0\n1 GTV_p 255 0 0 255\n2 GTVnd 0 1 0 255\n"
NNUNET_2 = json.dumps({"labels": {"background": 0, "GTVp": 1, "GTVnd": 2, "all": [1, 2]}})
NNUNET_1 = json.dumps({"labels": {"0": "background", "1": "GTVp", "2": "GTVnd"}})
BIDS = "index\tname\tabbreviation\n0\tBackground\tBG\n1\tPrimary tumor\tGTVp\n2\tGTVnd\t\n"


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ("T1.label", SNAP),
        ("T1.nii.gz.txt", SNAP),
        ("itksnap-labels.txt", SNAP),
        ("T1.ctbl", CTBL),
        ("T1-label_ColorTable.ctbl", CTBL),
        ("T1_ColorTable.ctbl", CTBL),
        ("dataset.json", NNUNET_2),
        ("../dataset.json", NNUNET_2),
        ("../dataset.json", NNUNET_1),
        ("T1.tsv", BIDS),
        ("T1.label", "\ufeff" + SNAP.replace("\n", "\r\n")),
    ],
)
def test_a_table_beside_the_map_names_its_values(tmp_path, table, text):
    folder = tmp_path / "labelsTr"
    folder.mkdir()
    file = _write_nifti(folder / "T1.nii.gz")
    (folder / "notes.txt").write_text("1 2 3 nothing of the kind")
    (folder / "other.json").write_text("{}")
    (folder / table).write_text(text, encoding="utf-8", newline="")
    np.testing.assert_array_equal(read_mask(file, "GTVp").array, MAP == 1)
    np.testing.assert_array_equal(read_mask(file, ("gtv_P", "GTVn")).array, (MAP == 1) | (MAP == 2))
    np.testing.assert_array_equal(read_mask(file, ("GTVp", 7)).array, (MAP == 1) | (MAP == 7))
    with pytest.raises(
        RegionAbsentError, match=r"no segment 'brainstem'\. It has: (GTV.?p|Primary tumor), GTVnd"
    ):
        read_mask(file, "brainstem")
    # what the names come from is part of what the mask is made from
    assert stored_files(file, ("GTVp", 2)) == [file, find_table(file)]
    assert stored_files(file, 1) == [file]
    if text == NNUNET_2:
        np.testing.assert_array_equal(read_mask(file, "all").array, (MAP == 1) | (MAP == 2))


def test_the_table_of_another_map_is_not_taken(tmp_path):
    first, second = _write_nifti(tmp_path / "T1.nii.gz"), _write_nifti(tmp_path / "T2.nii.gz")
    (tmp_path / "T2.label").write_text(SNAP)
    assert find_table(second) is not None
    assert find_table(first) is None
    with pytest.raises(MaskError, match=r"T1\.nii\.gz has no segment 'GTVp': it names none"):
        read_mask(first, "GTVp")


def test_a_named_value_that_is_not_drawn(tmp_path):
    file = _write_nifti(tmp_path / "T1.nii.gz")
    (tmp_path / "T1.label").write_text(SNAP.replace("    2 ", "    5 "))
    with pytest.raises(RegionAbsentError, match=r"GTVnd of T1\.nii\.gz is empty"):
        read_mask(file, "GTVnd")
    np.testing.assert_array_equal(read_mask(file, ("GTVp", "GTVnd")).array, MAP == 1)
    # without a name a value that does not occur may be a slip
    with pytest.raises(MaskError, match=r"holds no label 9, which is to be merged.*write 9\? for it"):
        read_mask(file, (1, 9))
    np.testing.assert_array_equal(read_mask(file, (1, "9?")).array, MAP == 1)


def test_an_optional_region_is_told_from_a_fault(tmp_path):
    file = _write_nifti(tmp_path / "T1.nii.gz")
    with pytest.raises(RegionAbsentError):
        read_pair(ImageFiles(file, file, 3, optional=True))
    np.testing.assert_array_equal(read_drawn(ImageFiles(file, file, (2, 3), optional=True)).array, MAP == 2)
    with pytest.raises(RegionAbsentError, match="there is no mask"):
        read_drawn(ImageFiles(file, optional=True))
    for files in (
        ImageFiles(file),
        ImageFiles(file, file, (2, 3)),
        ImageFiles(file, tmp_path / "x.nii", 1, optional=True),
    ):
        with pytest.raises(MaskError) as caught:
            read_drawn(files)
        assert not isinstance(caught.value, RegionAbsentError)


def _write_slicer(path, layers, segments):
    """As 3D Slicer writes: layers first, of the kind list."""
    header = {
        "space": "left-posterior-superior",
        "kinds": ["list", "domain", "domain", "domain"],
        "space directions": [[np.nan] * 3, [0.5, 0, 0], [0, 0.5, 0], [0, 0, 5.5]],
        "space origin": [1.0, 2.0, 3.0],
    }
    array = np.stack([layer.transpose(2, 1, 0) for layer in layers])
    if len(layers) == 1:
        array = array[0]
        header |= {"kinds": header["kinds"][1:], "space directions": header["space directions"][1:]}
    for k, (name, layer, value) in enumerate(segments):
        header |= {
            f"Segment{k}_Name": name,
            f"Segment{k}_Layer": str(layer),
            f"Segment{k}_LabelValue": str(value),
        }
        header[f"Segment{k}_ID"] = f"Segment_{k}"
    nrrd.write(str(path), array, header)
    return path


def test_layers_of_overlapping_segments(tmp_path):
    first = np.where(MAP == 7, 0, MAP)
    second = np.zeros_like(MAP)
    second[2, 2:5, 1:4] = 1  # overlaps the first
    file = _write_slicer(
        tmp_path / "鼻咽.seg.nrrd", [first, second], [("GTV-P", 0, 1), ("Brainstem", 0, 2), ("GTVnd", 1, 1)]
    )
    np.testing.assert_array_equal(read_mask(file, "gtvp").array, first == 1)
    np.testing.assert_array_equal(read_mask(file, "GTVn").array, second == 1)
    np.testing.assert_array_equal(read_mask(file, ("GTVp", "GTVnd")).array, (first == 1) | (second == 1))
    np.testing.assert_array_equal(read_mask(file, 2).array, first == 2)
    assert read_mask(file, 2).origin_mm == (1, 2, 3)
    with pytest.raises(MaskError, match=r"1 may be GTV-P \(1\) or GTVnd \(1\)"):
        read_mask(file, 1)
    with pytest.raises(MaskError, match=r"has 3 segments \(GTV-P, Brainstem, GTVnd\)"):
        read_mask(file)


def test_eleven_segments_and_more_keep_their_order(tmp_path):
    labels = np.zeros((4, 6, 5), np.uint8)
    labels.flat[:12] = np.arange(1, 13)
    file = _write_slicer(tmp_path / "m.seg.nrrd", [labels], [(f"ROI {k}", 0, k) for k in range(1, 13)])
    for k in (1, 2, 10, 12):
        np.testing.assert_array_equal(read_mask(file, f"roi_{k}").array, labels == k)


def test_a_cropped_segment_is_put_back_in_its_place(tmp_path):
    """3D Slicer saves the box around the segments only, unless told otherwise."""
    image = tmp_path / "T1.nrrd"
    header = {
        "space": "left-posterior-superior",
        "space directions": np.diag([0.5, 0.5, 5.5]),
        "space origin": [1.0, 2.0, 3.0],
    }
    nrrd.write(str(image), np.arange(120, dtype=np.int16).reshape(5, 6, 4), header)
    box = {**header, "space origin": [1.5, 3.0, 8.5], "Segment0_Name": "GTVp", "Segment0_LabelValue": "1"}
    nrrd.write(str(tmp_path / "m.seg.nrrd"), (MAP == 1)[1:3, 2:4, 1:4].transpose(2, 1, 0).astype("u1"), box)
    for label in (None, "GTVp", 1):
        placed = read_pair(ImageFiles(image, tmp_path / "m.seg.nrrd", label))[1]
        np.testing.assert_array_equal(placed.array, MAP == 1)
    # half a voxel off is another grid, and drawn beyond the image is not cut in silence
    for origin, words in (([1.75, 3.0, 8.5], "different grids"), ([1.5, 3.0, 19.5], "different grids")):
        nrrd.write(str(tmp_path / "off.seg.nrrd"), np.ones((3, 2, 2), "u1"), {**box, "space origin": origin})
        with pytest.raises(MaskError, match=words):
            read_pair(ImageFiles(image, tmp_path / "off.seg.nrrd", "GTVp"))
