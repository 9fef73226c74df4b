"""The check of a whole cohort: ten planted faults, each found, each with a remedy."""

from pathlib import Path

import numpy as np
import pytest

from radiomics_npc.cohort.cases import Case, Cohort, ImageFiles
from radiomics_npc.cohort.reading import read_cohort
from radiomics_npc.imaging import checks
from radiomics_npc.imaging.checks import check_cohort
from radiomics_npc.imaging.reading import read_image

SEQUENCES = ("t1", "t2", "ce_t1")
SHAPE = (16, 32, 32)
RNG = np.random.default_rng(11)
OUTCOME = {"time": "PFS_months", "unit": "months", "event": "PFS_event", "coding": "0/1"}


def _tumor(value=1, shape=SHAPE):
    mask = np.zeros(shape, np.uint8)
    mask[5:11, 10:22, 12:20] = value
    return mask


@pytest.fixture
def published(tmp_path, write_series, write_mask):
    """Three whole patients in the published layout."""
    root = tmp_path / "data" / "MRI-Segments"
    for patient in ("001", "002", "003"):
        for folder, mask in (("T1WI", "ROI-T1"), ("T2WI", "ROI-T2"), ("CE-T1WI", "ROI-CE-T1")):
            write_series(root / patient / folder, RNG.integers(50, 900, SHAPE))
            write_mask(root / patient / f"{mask}.nii", _tumor(255))
    rows = ["ID,Age,Gender,T Stage,N Stage,M Stage,Clinical stage,EBV DNA,PFS_months,PFS_event"]
    rows += [f"{k},5{k},F,T{k},N1,M0,,negative,{20 * k},{k % 2}" for k in (1, 2, 3)]
    (tmp_path / "data" / "info_diagnoses.csv").write_text("\n".join(rows))
    return tmp_path


def _check(path, **cohort):
    return check_cohort(read_cohort({"path": str(path), "outcome": OUTCOME} | cohort), jobs=1)


def test_a_whole_cohort_has_no_faults(published):
    report = _check(published)
    assert report.ok, report.to_frame()
    assert not [f for f in report.findings if f.severity == "warning"]
    for inside in ("data", "data/MRI-Segments"):
        assert _check(published / inside).findings == report.findings


@pytest.fixture
def faulty(tmp_path, write_series, write_mask):
    """Twelve patients, ten faults; patients 011 and 012 are whole."""
    lines = ["patient_id,sequence,image,mask,label"]
    for k in range(1, 13):
        patient = f"{k:03d}"
        for sequence in SEQUENCES:
            if (k, sequence) == (3, "t2"):
                continue  # missing sequence
            image = write_series(tmp_path / patient / sequence, RNG.integers(50, 900, SHAPE))
            file = tmp_path / patient / f"{sequence}.nii.gz"
            if (k, sequence) == (1, "t1"):  # wrong grid
                write_mask(file, _tumor(), origin=(-8.0, -1.0, 34.0))
            elif (k, sequence) == (2, "ce_t1"):  # empty mask
                write_mask(file, _tumor(0))
            else:
                write_mask(file, _tumor(2 if k == 10 else 1))
            if (k, sequence) == (4, "t1"):  # truncated DICOM
                data = (image / "0007.dcm").read_bytes()
                (image / "0007.dcm").write_bytes(data[:-300])
            if (k, sequence) == (9, "ce_t1"):  # absent file
                file.unlink()
            label = {10: "3" if sequence == "t2" else "2"}.get(k, "")  # label value missing
            lines.append(f"{patient},{sequence},{patient}/{sequence},{patient}/{sequence}.nii.gz,{label}")
    (tmp_path / "manifest.csv").write_text("\n".join(lines))
    rows = ["patient_id;age;sex;T;N;M;PFS_months;PFS_event"]
    rows += [
        f"{k:03d};50,5;M;{'T5' if k == 6 else 'T2'};N1;M0;{-3 if k == 7 else 30};{2 if k == 8 else k % 2}"
        for k in (*range(1, 13), 5)  # 005 twice: duplicate id; T5, negative time and event 2 besides
    ]
    (tmp_path / "clinical.csv").write_text("\n".join(rows))
    return tmp_path


EXPECTED = {
    "wrong grid": ("001", "t1", "different grids: origin 5 mm apart"),
    "empty mask": ("002", "ce_t1", "is empty"),
    "missing sequence": ("003", "t2", "missing sequence"),
    "truncated DICOM": ("004", "t1", "0007.dcm is truncated: 300 of 2048 bytes"),
    "duplicate id": ("005", "", "occurs more than once in clinical.csv (lines 6, 14)"),
    "unknown T": ("006", "", "'T5' is no value of T"),
    "negative time": ("007", "", "negative (-3.00 months)"),
    "event coded 1/2": ("008", "", "'2' is no event code"),
    "absent file": ("009", "ce_t1", "ce_t1.nii.gz does not exist"),
    "label value missing": ("010", "t2", "holds no label 3"),
}


def test_ten_planted_faults_are_all_listed_at_once(faulty, tmp_path):
    settings = {
        "layout": "manifest",
        "path": str(faulty / "manifest.csv"),
        "clinical": {"file": str(faulty / "clinical.csv")},
        "outcome": OUTCOME,
    }
    cohort = read_cohort(settings)
    report = check_cohort(cohort, jobs=2)
    for name, (patient, sequence, words) in EXPECTED.items():
        hits = [f for f in report.errors if (f.patient_id, f.sequence) == (patient, sequence)]
        assert len(hits) == 1, name
        assert words in hits[0].problem, name
        assert hits[0].remedy, name
    assert len(report.errors) == len(EXPECTED), report.to_frame().to_string()
    assert not report.ok
    assert check_cohort(cohort, jobs=1).findings == report.findings
    shown = report.to_frame().to_csv()
    assert str(tmp_path) not in shown
    written = [path.read_text(encoding="utf-8-sig") for path in report.write(tmp_path / "run")]
    for _, _, words in EXPECTED.values():
        assert words.split("(")[0].replace("'", "") in written[0].replace("'", "")
    assert "ROI" not in written[1]
    assert "<script" not in written[1]
    assert "http:" not in written[1]
    assert "https:" not in written[1]


def test_event_coding_of_r_is_named(published):
    file = published / "data" / "info_diagnoses.csv"
    file.write_text(
        file.read_text().replace(",20,1", ",20,2").replace(",60,1", ",60,2").replace(",40,0", ",40,1")
    )
    errors = _check(published).errors
    assert [f.where for f in errors] == ["PFS_event"]
    assert "coded 1/2" in errors[0].problem
    assert "coding: 1/2" in errors[0].remedy


def test_published_faults(published, write_mask):
    patient = published / "data" / "MRI-Segments" / "002"
    (patient / "ROI-T2.nii").unlink()
    for file in (patient / "CE-T1WI").iterdir():
        file.unlink()
    (patient / "CE-T1WI").rmdir()
    (published / "data" / "MRI-Segments" / "004").mkdir()
    (published / "data" / "MRI-Segments" / "notes").mkdir()
    report = _check(published)
    problems = {(f.patient_id, f.sequence): f.problem for f in report.errors}
    assert problems == {
        ("002", "t2"): "there is no mask",
        ("002", "ce_t1"): "CE-T1WI does not exist",
        ("004", "t1"): "missing sequence",
        ("004", "t2"): "missing sequence",
        ("004", "ce_t1"): "missing sequence",
    }
    assert any(
        f.patient_id == "004" and "no line in the clinical table" in f.problem for f in report.findings
    )
    assert any(f.where == "notes" for f in report.findings)


def test_a_sequence_may_be_left_out_by_choice(published):
    patient = published / "data" / "MRI-Segments" / "002"
    (patient / "ROI-T2.nii").unlink()
    assert _check(published, sequences=["t1", "ce_t1"]).ok


def test_resampling_is_a_choice(published, write_mask):
    file = published / "data" / "MRI-Segments" / "003" / "ROI-T2.nii"
    write_mask(file, _tumor(), origin=(-8.0, -4.6, 30.0))
    assert len(_check(published).errors) == 1
    assert _check(published, on_mismatch="resample").ok


def test_what_resampling_cuts_off_is_said(published, write_mask):
    file = published / "data" / "MRI-Segments" / "003" / "ROI-T2.nii"
    write_mask(file, _tumor(), origin=(-15.0, -4.0, 30.0))
    problems = [
        f.problem for f in _check(published, on_mismatch="resample").findings if f.severity == "warning"
    ]
    assert problems == [
        "on the image's grid the mask has 0.594 cm3, in its file 0.792 cm3",
        "the mask touches the first or last column of the image",
    ]


def test_an_unforeseen_failure_does_not_hide_the_others(published, monkeypatch):
    def fail(path, series=None):
        if path.name == "T2WI":
            raise MemoryError(str(path))
        return read_image(path)

    monkeypatch.setattr(checks, "read_image", fail)
    errors = _check(published).errors
    assert [(f.patient_id, f.sequence) for f in errors] == [("001", "t2"), ("002", "t2"), ("003", "t2")]
    assert {f.problem for f in errors} == {"could not be checked (MemoryError)"}


def _one(tmp_path, write_series, write_mask, image, mask, **geometry):
    files = ImageFiles(
        write_series(tmp_path / "T1WI", image), write_mask(tmp_path / "ROI-T1.nii", mask, **geometry)
    )
    return check_cohort(Cohort((Case("007", {"t1": files}),), sequences=("t1",)), jobs=1)


NOISE = RNG.integers(8, 99, SHAPE)
DIAGONAL = np.eye(32, dtype="u1")[None] * (np.arange(16) == 3)[:, None, None]


@pytest.mark.parametrize(
    ("image", "mask", "severity", "words"),
    [
        (np.full(SHAPE, 7), _tumor(), "error", "the image has one value only (7)"),
        (np.where(_tumor(), 7, NOISE), _tumor(), "error", "one value only within the mask"),
        (NOISE, DIAGONAL, "warning", "implausible volume: 0.044 cm3 (32 voxels)"),
        (NOISE, DIAGONAL, "warning", "touches the first or last row and column"),
    ],
)
def test_oddities(tmp_path, write_series, write_mask, image, mask, severity, words):
    report = _one(tmp_path, write_series, write_mask, image, mask.astype("u1"))
    assert [f.severity for f in report.findings if words in f.problem] == [severity]


def test_values_that_are_not_finite(tmp_path, write_mask):
    array = RNG.normal(size=SHAPE)
    array[0, 0, :3] = [np.nan, np.inf, -np.inf]
    files = ImageFiles(write_mask(tmp_path / "T1.nrrd", array), write_mask(tmp_path / "R.nii", _tumor()))
    report = check_cohort(Cohort((Case("007", {"t1": files}),), sequences=("t1",)), jobs=1)
    assert [f.problem for f in report.errors] == ["3 voxels are not finite numbers"]


def test_both_faults_of_a_pair_are_listed(tmp_path, write_mask):
    (tmp_path / "T1.nii").write_bytes(b"rubbish")
    files = ImageFiles(tmp_path / "T1.nii", write_mask(tmp_path / "ROI.nii", _tumor(0)))
    report = check_cohort(Cohort((Case("007", {"t1": files}),), sequences=("t1",)), jobs=1)
    assert [f.where for f in report.errors] == ["ROI.nii", "T1.nii"]


def test_clinical_patients_without_images_need_none():
    cohort = Cohort((Case("001"),), sequences=())
    assert check_cohort(cohort, jobs=1).findings == []


def test_reports_print(capsys, tmp_path):
    report = check_cohort(
        Cohort((Case("[007]", {"t1": ImageFiles(Path("T1.nii"))}),), sequences=("t1",)), jobs=1
    )
    report.print()
    assert "[007]" in capsys.readouterr().out
    assert "<td>[007]</td>" in report._repr_html_()


def test_an_inverted_mask_is_an_error(published, write_mask):
    write_mask(published / "data" / "MRI-Segments" / "002" / "ROI-T2.nii", 1 - _tumor())
    (error,) = _check(published).errors
    assert (error.patient_id, error.sequence) == ("002", "t2")
    assert "of all voxels are inside" in error.problem


def test_a_log_shows_whole_remedies(published, write_mask, capsys):
    write_mask(published / "data" / "MRI-Segments" / "002" / "ROI-T2.nii", 0 * _tumor())
    _check(published).print()
    shown = capsys.readouterr().out
    assert "Draw the tumor and save the mask again." in shown
    assert "…" not in shown
