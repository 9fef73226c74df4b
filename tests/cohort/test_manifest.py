"""Manifests: read, written for editing, and read again."""

import json

import pandas as pd
import pytest

from radiomics_npc.cohort.cases import ImageFiles
from radiomics_npc.cohort.labels import as_label, format_label, parse_label
from radiomics_npc.cohort.layouts import find_cases
from radiomics_npc.cohort.manifest import read_manifest
from radiomics_npc.cohort.manifest_writing import write_manifest
from radiomics_npc.errors import CohortError, ConfigError
from radiomics_npc.settings import CohortSettings

SEQUENCES = ["t1", "t2", "ce_t1"]
REGIONS = {"gtvp": ["GTVp"], "gtvnd": ["GTVnd", 3]}


def manifest(folder, *lines, header="patient_id,sequence,region,image,mask,label"):
    (folder / "m.csv").write_text("\n".join([header, *lines]), encoding="utf-8-sig")
    return folder / "m.csv"


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("", None), ("2", 2), ("2.0", 2), ("-1", -1), ("GTVp", "GTVp"), ("gtvp + gtvnd", ("gtvp", "gtvnd")),
        ("1+2", (1, 2)), ("1 + GTV nd", (1, "GTV nd")), ('"T1+C" + 3', ("T1+C", 3)), ('"2"', "2"),
        ('"a ""b"""', 'a "b"'), ("a + a", "a"), ("肿瘤 + 淋巴结", ("肿瘤", "淋巴结")), ("gtvnd?", "gtvnd?"),
    ],
)  # fmt: skip
def test_labels_as_text(text, label):
    assert parse_label(text) == label
    assert parse_label(format_label(label)) == label


@pytest.mark.parametrize("text", ["+", "1 +", "+ 1", '"open', "a ++ b", 'x"y'])
def test_labels_that_cannot_be_read(text):
    with pytest.raises(CohortError, match="cannot be read"):
        parse_label(text)


def test_any_label_is_written_and_read_again():
    hypothesis = pytest.importorskip("hypothesis")
    from hypothesis import strategies as st

    part = st.integers(-5, 300) | st.text(min_size=1).filter(lambda s: s.isprintable())

    @hypothesis.settings(max_examples=200, deadline=None)
    @hypothesis.given(st.lists(part, min_size=1, max_size=4))
    def check(parts):
        label = as_label(parts)
        assert parse_label(format_label(label)) == label

    check()


def test_all_columns(tmp_path):
    path = manifest(
        tmp_path,
        "李 四,T1,scan/李 四,seg.dcm,GTVp + GTVnd,1.2.840.3,brain.nii.gz,2,just a note",
        header="patient_id,sequence,image,mask,label,series_uid,reference,reference_label,note",
    )
    (case,), findings = read_manifest(path, SEQUENCES)
    assert findings == []
    assert case.patient_id == "李 四"
    assert case.images["t1"] == ImageFiles(
        tmp_path / "scan/李 四",
        tmp_path / "seg.dcm",
        ("GTVp", "GTVnd"),
        "1.2.840.3",
        tmp_path / "brain.nii.gz",
        2,
    )


def test_a_column_named_series_is_still_the_sequence(tmp_path):
    path = manifest(tmp_path, "1,t2,x.nii,1.2.3", header="id,series,image,SeriesInstanceUID")
    (case,), _ = read_manifest(path, SEQUENCES)
    assert case.images["t2"].series == "1.2.3"


def test_lines_of_all_regions_and_of_one(tmp_path):
    path = manifest(tmp_path, "1,t1,,a.nii,m.nii,", "2,t1,GTVp,b.nii,p.nii,7", "2,t1,gtvnd,b.nii,n.nii,")
    cases, findings = read_manifest(path, ["t1"], REGIONS, ["gtvnd"])
    assert findings == []
    a, b = tmp_path / "a.nii", tmp_path / "b.nii"
    assert cases[0].images == {
        "t1-gtvp": ImageFiles(a, tmp_path / "m.nii", "GTVp"),
        "t1-gtvnd": ImageFiles(a, tmp_path / "m.nii", ("GTVnd", 3), optional=True),
    }
    assert cases[1].images == {
        "t1-gtvp": ImageFiles(b, tmp_path / "p.nii", 7),
        "t1-gtvnd": ImageFiles(b, tmp_path / "n.nii", ("GTVnd", 3), optional=True),
    }


def test_all_that_is_drawn(tmp_path):
    path = manifest(tmp_path, "1,t1,GTVp,a.nii,p.nii,*")
    (case,), _ = read_manifest(path, ["t1"], REGIONS)
    assert case.images == {"t1-gtvp": ImageFiles(tmp_path / "a.nii", tmp_path / "p.nii")}
    (case,), _ = read_manifest(path, ["t1"], {"gtvp": [1]})
    assert case.images == {"t1": ImageFiles(tmp_path / "a.nii", tmp_path / "p.nii")}


def test_one_region_merges_and_keeps_the_name_of_the_sequence(tmp_path):
    path = manifest(tmp_path, "1,t1,,a.nii,m.nii,", "2,t1,,b.nii,m.nii,9", "3,t1,other,c.nii,m.nii,")
    cases, findings = read_manifest(path, ["t1"], {"tumor": [1, 2]}, ["tumor"])
    assert [c.images["t1"].label for c in cases[:2]] == [(1, 2), 9]
    assert cases[0].images["t1"].optional
    assert cases[2].images == {}
    assert [f.problem for f in findings] == [
        "1 lines of region other passed over: the study does not ask for it"
    ]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("1,t1,parotid,a.nii,m.nii,", "region 'parotid' is not among cohort.regions"),
        ("1,t1,,a.nii,m.nii,4", "the line has a label, and the study several regions"),
        ("1,t1,gtvp,a.nii,m.nii,1 +", "the label '1 +' cannot be read"),
    ],
)
def test_faults_of_regions_and_labels(tmp_path, line, problem):
    path = manifest(tmp_path, line, "1,t1,gtvnd,a.nii,m.nii,", "1,t1,gtvnd,a.nii,m.nii,")
    _, findings = read_manifest(path, ["t1"], REGIONS)
    assert [(f.where, f.problem) for f in findings] == [
        ("m.csv line 2", problem), ("m.csv line 4", "a second line for t1-gtvnd of this patient")
    ]  # fmt: skip
    assert all(f.remedy for f in findings)


def touch(root, *files):
    for name in files:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def make_published(root):
    for who in ("001", "002"):
        touch(root, f"{who}/T1WI/1.dcm", f"{who}/ROI-T1.nii", f"{who}/CE-T1WI/1.dcm", f"{who}/ROI-CE-T1.nii")
    touch(root, "003/ROI-T1.nii")


def make_nnunet(root):
    touch(
        root, *(f"imagesTr/病人 {n}_000{k}.nii.gz" for n in (1, 2) for k in (0, 1)), "labelsTr/病人 1.nii.gz"
    )
    about = {
        "channel_names": {"0": "T1", "1": "T2"},
        "labels": {"background": 0, "GTVp": 1, "GTVnd": 2, "x": [1, 2]},
    }
    (root / "dataset.json").write_text(json.dumps(about))


def make_bids(root):
    touch(
        root,
        *(f"sub-{n}/anat/sub-{n}_{w}.nii.gz" for n in (1, 2) for w in ("T1w", "ce-gd_T1w", "T2w", "dseg")),
    )
    (root / "dseg.tsv").write_text("index\tname\n1\tGTVp\n2\tGTVnd\n")


def make_hanseg(root):
    touch(
        root,
        *(
            f"case_{n}/case_{n}_{w}.nrrd"
            for n in (1, 2)
            for w in ("IMG_MR_T1", "OAR_GTVp.seg", "OAR_GTVnd.seg")
        ),
    )


def make_segrap(root):
    touch(root, *(f"c {n}/{w}.nii.gz" for n in (1, 2) for w in ("image", "image_contrast", "GTVp", "GTVnd")))


MAKE = {"published": make_published, "nnunet": make_nnunet, "bids": make_bids, "hanseg": make_hanseg,
        "segrap": make_segrap}  # fmt: skip


def whole(cases):
    """Cases with paths made comparable."""
    return [
        (c.patient_id, c.center, {
            name: tuple(v.resolve() if hasattr(v, "resolve") else v for v in vars(files).values())
            for name, files in c.images.items()
        })
        for c in cases
    ]  # fmt: skip


@pytest.mark.parametrize(
    "regions",
    [{"gtvp": ["GTVp"], "gtvnd": ["GTVnd"]}, {"all": ["GTVp", "GTVnd"]}, {"p": ["GTVp"]}, {}],
    ids=["several", "merged", "one", "none"],
)
@pytest.mark.parametrize("layout", list(MAKE))
def test_what_is_written_is_read_again(tmp_path, layout, regions):
    root = tmp_path / "数据 (1)"
    root.mkdir()
    MAKE[layout](root)
    if layout == "published":  # it names nothing
        regions = {name: [k + 1 for k in range(len(parts))] for name, parts in regions.items()}
    optional = [name for name in regions if name == "gtvnd"]
    settings = {"regions": regions, "optional_regions": optional}
    before, _ = find_cases(CohortSettings(layout=layout, path=root, **settings))
    made = write_manifest(root, tmp_path / "out 输出" / "m.csv", **settings)
    assert made.layout == layout
    again, findings = find_cases(CohortSettings(layout="manifest", path=made.path, **settings))
    assert [f for f in findings if f.severity == "error"] == []
    assert whole(again) == whole(before)
    twice = write_manifest(made.path, tmp_path / "m2.csv", **settings)
    assert whole(find_cases(CohortSettings(layout="manifest", path=twice.path, **settings))[0]) == whole(
        before
    )


def test_the_file_opens_in_excel_and_holds_no_absolute_path(tmp_path):
    make_bids(tmp_path / "BIDS 数据")
    made = write_manifest(tmp_path / "BIDS 数据", tmp_path / "m.csv", regions={"p": ["GTVp"]})
    assert made.path.read_bytes().startswith(b"\xef\xbb\xbf")
    assert str(tmp_path) not in made.path.read_text(encoding="utf-8-sig")
    table = pd.read_csv(made.path, encoding="utf-8-sig", dtype=str)
    assert table.loc[0, "image"] == "BIDS 数据/sub-1/anat/sub-1_T1w.nii.gz"
    assert list(table.columns) == ["patient_id", "sequence", "image", "mask", "label", "center", "note"]


def test_doubts_are_noted_in_the_line_and_the_rest_is_told(tmp_path):
    touch(tmp_path, "sub-1/ses-a/anat/sub-1_ses-a_T1w.nii.gz", "sub-1/ses-b/anat/sub-1_ses-b_T1w.nii.gz",
          "sub-2/anat/sub-2_T1w.nii.gz", "sub-2/anat/sub-2_mask.nii.gz")  # fmt: skip
    made = write_manifest(tmp_path, tmp_path / "m.csv", sequences=["t1", "t2"])
    notes = made.table.set_index("patient_id")["note"]
    assert "sub-1_ses-b_T1w.nii.gz would do as well" in notes["sub-1"]
    assert "no mask was found" in notes["sub-1"]
    assert notes["sub-2"] == ""
    (said,) = made.notes
    assert said.startswith("2 of 2 patients have no image of t2: there is no line for it. Add the lines")
    assert "1 with a note" in repr(made)
    assert "ses-b" in made._repr_html_()


def test_what_cannot_be_written(tmp_path):
    make_published(tmp_path / "p")
    with pytest.raises(ConfigError, match="layout"):
        write_manifest(tmp_path / "p", tmp_path / "m.csv", layout="nonsense")
    with pytest.raises(CohortError, match="holds no image of t2"):
        write_manifest(tmp_path / "p", tmp_path / "m.csv", sequences=["t2"])
    made = write_manifest(tmp_path / "p", tmp_path / "m.csv")
    with pytest.raises(CohortError, match=r"m\.csv is the manifest that is read"):
        write_manifest(made.path, made.path)
    assert not list(tmp_path.glob(".tmp-*"))
