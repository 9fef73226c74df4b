"""Layouts on disk, matching of images and table, and the cohort as a whole."""

import json

import pytest

from radiomics_npc.cohort.cases import ImageFiles
from radiomics_npc.cohort.layouts import find_published, read_manifest
from radiomics_npc.cohort.reading import read_cohort
from radiomics_npc.errors import CohortError, ConfigError

SEQUENCES = ("t1", "t2", "ce_t1")
OUTCOME = {"time": "months", "unit": "months", "event": "event", "coding": "0/1"}


@pytest.fixture
def published(tmp_path):
    for patient in ("001", "002", "010"):
        for folder, mask in (("T1WI", "ROI-T1.nii"), ("T2WI", "ROI-T2.nii.gz"), ("CE-T1WI", "ROI-CE-T1.nii")):
            (tmp_path / "MRI-Segments" / patient / folder).mkdir(parents=True)
            (tmp_path / "MRI-Segments" / patient / mask).touch()
    return tmp_path


def _table(folder, *rows, header="ID,T,M,months,event"):
    (folder / "info_diagnoses.csv").write_text("\n".join([header, *rows]))


def test_the_published_layout(published):
    cases, findings = find_published(published, SEQUENCES)
    root = published / "MRI-Segments"
    assert [c.patient_id for c in cases] == ["001", "002", "010"]
    assert cases[0].images["t2"] == ImageFiles(root / "001" / "T2WI", root / "001" / "ROI-T2.nii.gz")
    assert list(cases[0].images) == list(SEQUENCES)
    assert findings == []
    assert list(find_published(root, ["ce_t1"])[0][0].images) == ["ce_t1"]


def test_no_patients_at_all(tmp_path):
    with pytest.raises(CohortError, match="is in no known layout") as caught:
        read_cohort(tmp_path)
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize(
    ("written", "matched"), [("001", True), ("1", True), ("1.0", True), ("01", True), ("0010", False)]
)
def test_leading_zeros_are_matched_where_only_one_fits(published, written, matched):
    _table(published, f"{written},T1,M0,10,1", "002,T2,M0,20,0", "010,T3,M0,30,0")
    cohort = read_cohort(published)
    assert ("001" in cohort.clinical.index) is matched
    loose = [f for f in cohort.findings if "leading zeros" in f.problem]
    assert len(loose) == int(matched and written != "001")


def test_ambiguous_identifiers_are_an_error(published):
    _table(published, "1,T1,M0,10,1", "01,T2,M0,20,0", "002,T2,M0,20,0")
    errors = [f for f in read_cohort(published).findings if f.severity == "error"]
    assert [f.problem for f in errors] == ["1, 01 could each be 001"] * 2


def test_patients_of_one_side_only_are_reported(published):
    _table(published, "001,T1,M0,10,1", "002,T2,M0,20,0", "003,T9,M0,-5,7")
    cohort = read_cohort({"path": str(published), "outcome": OUTCOME})
    assert cohort.patient_ids == ["001", "002", "010"]
    assert cohort.clinical.index.tolist() == ["001", "002"]
    assert cohort.outcome.patient_id.tolist() == ["001", "002"]
    said = {f.patient_id: f.problem for f in cohort.findings if f.severity == "warning"}
    assert said == {"003": "no images: left out", "010": "no line in the clinical table: not in any model"}
    assert not [f for f in cohort.findings if f.severity == "error"]


def test_keep_leaves_out_images_too(published):
    _table(published, "001,T1,M0,10,1", "002,T2,M1,-20,0", "010,T2,M0,20,0")
    cohort = read_cohort({"path": str(published), "clinical": {"keep": {"M": ["M0"]}}, "outcome": OUTCOME})
    assert cohort.patient_ids == ["001", "010"]
    assert len(cohort.outcome) == 2
    assert not [f for f in cohort.findings if f.severity == "error"]


@pytest.mark.parametrize(
    ("content", "simulated"), [({"simulated": True}, True), ({"simulated": False}, False), (None, False)]
)
def test_simulated_patients_are_marked(published, content, simulated):
    if content is not None:
        (published / "dataset.json").write_text(json.dumps(content))
    cohort = read_cohort(published)
    assert cohort.simulated is simulated
    assert ("simulated" in repr(cohort)) is simulated


def test_a_damaged_note_on_simulation_is_never_passed_over(published):
    (published / "dataset.json").write_text('{"simul')
    with pytest.raises(CohortError, match=r"dataset\.json is damaged"):
        read_cohort(published)


def test_a_cohort_as_a_table(published):
    _table(published, "001,T1,M0,10,1", "002,T2,M0,20,0")
    table = read_cohort({"path": str(published), "outcome": OUTCOME}).to_frame()
    assert table.loc["001"].to_dict() == {
        "center": "", "sequences": "t1 t2 ce_t1", "T": "T1", "M": "M0", "time_months": 10.0, "event": True
    }  # fmt: skip
    assert table.loc["010"].isna().sum() == 4


def test_an_outcome_without_a_table_is_an_error(published):
    cohort = read_cohort({"path": str(published), "outcome": OUTCOME})
    assert [f.severity for f in cohort.findings] == ["warning", "error"]
    assert cohort.outcome is None


def _manifest(folder, *lines, header="patient_id,sequence,image,mask,label,center"):
    (folder / "m.csv").write_text("\n".join([header, *lines]))
    return folder / "m.csv"


def test_a_manifest(tmp_path):
    path = _manifest(
        tmp_path,
        "b,T1WI,b/t1.nii,b/m.nii,2,East",
        "a,ce-t1,..\\x\\ce.nrrd,,GTVp,West",
        f"a,T1,{tmp_path}/t1,m.nii,,",
        "a,T2w,t2.nii,m.nii,,West",
    )
    cases, findings = read_manifest(path, ["t1", "ce_t1"])
    assert [c.patient_id for c in cases] == ["a", "b"]
    assert cases[0].images == {
        "t1": ImageFiles(tmp_path / "t1", tmp_path / "m.nii"),
        "ce_t1": ImageFiles(tmp_path / ".." / "x" / "ce.nrrd", None, "GTVp"),
    }
    assert cases[1].images["t1"].label == 2
    assert [c.center for c in cases] == ["West", "East"]
    assert [f.problem for f in findings] == ["1 lines of t2 passed over: the study does not ask for it"]


def test_faults_of_a_manifest_are_collected(tmp_path):
    path = _manifest(
        tmp_path,
        "a,t1,x.nii,,,E",
        "a,t1,y.nii,,,E",
        "a,flair,z.nii,,,",
        ",t1,z.nii,,,",
        "b,t1,,,,",
        "a,t2,z.nii,,,F",
    )
    cases, findings = read_manifest(path, SEQUENCES)
    assert [(f.where, f.patient_id, f.problem) for f in findings] == [
        ("m.csv line 3", "a", "a second line for t1 of this patient"),
        ("m.csv line 4", "a", "'flair' is no sequence"),
        ("m.csv line 5", "", "no patient in this line"),
        ("m.csv line 6", "b", "no image in this line"),
        ("m.csv line 7", "a", "patient has two centers"),
    ]
    assert [c.patient_id for c in cases] == ["a", "b"]
    assert cases[0].images["t1"].image.name == "x.nii"


def test_a_manifest_without_its_columns(tmp_path):
    with pytest.raises(CohortError, match=r"m\.csv has no column sequence"):
        read_manifest(_manifest(tmp_path, "a,b", header="patient_id,image"), SEQUENCES)


def test_centers_of_a_manifest_reach_the_clinical_table(tmp_path):
    path = _manifest(tmp_path, "1,t1,x.nii,,,East", "2,t1,y.nii,,,West")
    (tmp_path / "c.csv").write_text("ID,age\n1,50\n2,60\n")
    cohort = read_cohort(
        {"layout": "manifest", "path": str(path), "clinical": {"file": str(tmp_path / "c.csv")}}
    )
    assert cohort.clinical["center"].tolist() == ["East", "West"]


def test_the_templates_can_be_read(request):
    configs = request.config.rootpath / "configs"
    cases, findings = read_manifest(configs / "manifest_template.csv", SEQUENCES)
    assert [len(c.images) for c in cases] == [3, 3]
    assert [f.label for c in cases for f in c.images.values()] == [None] * 3 + [2, ("GTVp", "GTVnd"), "GTVp"]
    assert findings == []
    outcome = {"time": "PFS_months", "unit": "months", "event": "PFS_event", "coding": "0/1"}
    cohort = read_cohort(
        {
            "layout": "clinical",
            "clinical": {"file": str(configs / "clinical_template.csv")},
            "outcome": outcome,
        }
    )
    assert {f.severity for f in cohort.findings} == {"info"}
    assert cohort.clinical.notna().all(axis=None)


def test_wrong_settings_are_a_config_error(tmp_path):
    with pytest.raises(ConfigError, match="did you mean layout"):
        read_cohort({"layuot": "clinical", "path": str(tmp_path)})


def test_an_outcome_that_nobody_has_is_an_error(tmp_path):
    _table(tmp_path, "1,T1,M0,,", "2,T2,M0,,")
    table = {"file": str(tmp_path / "info_diagnoses.csv")}
    cohort = read_cohort({"layout": "clinical", "clinical": table, "outcome": OUTCOME})
    assert [f.problem for f in cohort.findings if f.severity == "error"] == ["nobody has a usable outcome"]


def test_two_masks_of_one_sequence_are_an_error(published):
    folder = published / "MRI-Segments" / "001"
    (folder / "._ROI-T1.nii").write_bytes(b"made by another system")
    assert not [f for f in read_cohort(published).findings if "mask" in f.problem]
    (folder / "ROI-T1.nii.gz").touch()
    (fault,) = [f for f in read_cohort(published).findings if "mask" in f.problem]
    assert (fault.severity, fault.patient_id, fault.sequence) == ("error", "001", "t1")
    assert fault.problem == "more than one mask: ROI-T1.nii, ROI-T1.nii.gz"
