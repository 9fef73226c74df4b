"""Landmarks of a study: learnt from whom it says, and refused where these patients are held out."""

import json

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
import yaml

from radiomics_npc.cohort.reading import read_cohort
from radiomics_npc.config import read_settings
from radiomics_npc.errors import CheckFailedError, CohortError, ConfigError
from radiomics_npc.imaging.landmarks import Landmarks
from radiomics_npc.imaging.nyul import fit_landmarks
from radiomics_npc.imaging.reading import read_image
from radiomics_npc.imaging.volume import Mask, Volume
from radiomics_npc.intensity_landmarks import write_landmarks
from radiomics_npc.landmark_leak import LandmarkTrace, held_out_patients, patients_in_landmarks
from radiomics_npc.study import Study

SPACING = (2.0, 2.0, 5.0)
PATIENTS = [f"P{number:02d}" for number in range(1, 13)]
LATE = PATIENTS[8:]
QUICK = "imageType: {Original: {}}\nfeatureClass: {firstorder: [Mean]}\n"


def image(seed):
    rng = np.random.default_rng(seed)
    array = rng.integers(0, 10, (5, 32, 32))
    array[:, 4:28, 4:28] = rng.integers(150, 300, (5, 24, 24))
    array[:, 12:18, 12:18] += 200
    return Volume(array.astype(np.int16), SPACING)


@pytest.fixture
def folder(tmp_path):
    """Twelve patients with one sequence, eight of them before 2020, and a study of them."""
    mask = np.zeros((5, 32, 32), dtype=bool)
    mask[1:4, 12:18, 12:18] = True
    sitk.WriteImage(Mask(mask, SPACING).to_sitk(), str(tmp_path / "mask.nii.gz"))
    lines = []
    for number, who in enumerate(PATIENTS):
        sitk.WriteImage(image(number).to_sitk(), str(tmp_path / f"{number}.nii.gz"))
        lines.append(
            {"patient_id": who, "sequence": "t1", "image": f"{number}.nii.gz", "mask": "mask.nii.gz"}
        )
    pd.DataFrame(lines).to_csv(tmp_path / "manifest.csv", index=False)
    pd.DataFrame(
        {
            "patient_id": PATIENTS,
            "T": ["T1", "T2", "T3", "T4"] * 3,
            "year": [2015, 2016, 2016, 2017, 2018, 2018, 2019, 2019, 2020, 2020, 2021, 2022],
            "months": np.linspace(10, 60, 12).round(1),
            "died": [1, 0] * 6,
        }
    ).to_csv(tmp_path / "clinical.csv", index=False)
    (tmp_path / "quick.yaml").write_text(QUICK)
    return tmp_path


def study(folder, landmarks=None, **changes):
    """Settings of the study; ``landmarks`` is the file that it uses."""
    nyul = {"normalize": "nyul", "landmarks": landmarks} if landmarks else {}
    settings = {
        "output": "run",
        "jobs": 1,
        "quality_page": False,
        "cohort": {
            "layout": "manifest",
            "path": "manifest.csv",
            "sequences": ["t1"],
            "clinical": {
                "file": "clinical.csv",
                "columns": {"patient_id": "patient_id", "T": "T"},
                "extra": {"year": {"column": "year", "kind": "number"}},
            },
            "outcome": {"time": "months", "unit": "months", "event": "died", "coding": "0/1"},
        },
        "features": {"settings": {"t1": "quick.yaml"}, "morphology": False} | nyul,
        "models": {"fit": ["clinical_cox"], "clinical": ["T"]},
        "validation": {"folds": 2, "repeats": 1, "inner_folds": 2},
        "nomogram": None,
    }
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(settings | changes))
    return path


TEMPORAL = {"design": "temporal", "by": "year", "cut": 2020}


# -- learning ----------------------------------------------------------------------------------------


def test_landmarks_of_all_patients_are_those_of_their_images(folder):
    out = folder / "landmarks.json"
    found = write_landmarks(study(folder), out)
    direct = fit_landmarks(image(number) for number in range(12))
    assert found.landmarks == Landmarks.read(out)
    assert found.landmarks.scale("t1").standard == pytest.approx(direct.scale("t1").standard, rel=1e-12)
    assert found.landmarks.scale("t1").images == direct.scale("t1").images
    assert found.patients == 12
    assert found.failures.empty
    assert "12 patients" in found._repr_html_()
    assert found.to_frame()["images"].eq(12).all()


def test_the_file_names_nobody(folder):
    write_landmarks(study(folder), folder / "landmarks.json")
    text = (folder / "landmarks.json").read_text()
    assert not any(word in text for word in [*PATIENTS, "nii", str(folder), folder.name])
    assert set(json.loads(text)) == {"format", "version", "simulated", "bias_correction", "key", "sequences"}


@pytest.mark.parametrize(
    ("choice", "numbers"),
    [
        ({"patients": ["P03", "P05"]}, [2, 4]),
        ({"patients": "some.csv"}, [0, 11]),
        ({"keep": {"T": ["T1"], "year": ["2015", "2018"]}}, [0, 4]),
        ({"training": True}, range(8)),
    ],
)
def test_landmarks_of_some(folder, choice, numbers):
    (folder / "some.csv").write_text("patient_id,note\nP01,x\nP12,\n", encoding="utf-8-sig")
    if choice.get("patients") == "some.csv":
        choice = {"patients": folder / "some.csv"}
    found = write_landmarks(study(folder, validation=TEMPORAL), folder / "out.json", **choice)
    expected = fit_landmarks(image(number) for number in numbers)
    assert found.landmarks.scale("t1").images == expected.scale("t1").images
    assert found.landmarks.scale("t1").standard == pytest.approx(expected.scale("t1").standard)


def test_wrong_choices_are_refused(folder):
    out = folder / "out.json"
    with pytest.raises(CohortError, match="1 of the patients named") as refused:
        write_landmarks(study(folder), out, patients=["P01", "Smith"])
    assert "Smith" not in str(refused.value)
    with pytest.raises(ConfigError, match="no column stage"):
        write_landmarks(study(folder), out, keep={"stage": ["II"]})
    with pytest.raises(ConfigError, match="no image is left"):
        write_landmarks(study(folder), out, keep={"T": ["T9"]})
    with pytest.raises(ConfigError, match="only a temporal validation"):
        write_landmarks(study(folder), out, training=True)
    assert not out.exists()


def test_a_broken_image_does_not_stop_the_others(folder):
    (folder / "3.nii.gz").write_bytes(b"nothing")
    found = write_landmarks(study(folder), folder / "out.json")
    assert found.failures["patient_id"].tolist() == ["P04"]
    assert found.patients == 11
    assert str(folder) not in " ".join(found.failures.iloc[0].astype(str))


# -- the planted leak --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("validation", "leaked", "held_out"),
    [
        ({"folds": 2, "repeats": 1}, 8, 12),  # cross-validation holds everybody out in turn
        ({"design": "leave_center_out", "by": "T"}, 8, 12),
        (TEMPORAL | {"cut": 2018}, 4, 8),  # from 2018 on, while images up to 2019 were looked at
        (TEMPORAL | {"bootstrap": 20}, 8, 12),  # resamples take the early ones apart, too
        (TEMPORAL | {"learning_curve": True}, 8, 12),
        (TEMPORAL | {"permutations": 10}, 8, 12),
    ],
)
def test_a_leak_is_refused_before_anything_is_extracted(folder, validation, leaked, held_out):
    write_landmarks(study(folder), folder / "early.json", patients=PATIENTS[:8])
    planted = Study(study(folder, "early.json", validation=validation))
    report = planted.check()
    assert not report.ok
    error = report.errors[0]
    expected = f"the intensity landmarks were learnt from images of {leaked} of the {held_out} patients"
    assert error.problem.startswith(expected)
    assert error.patient_id == ""
    assert not any(who in error.problem + error.remedy for who in PATIENTS)
    with pytest.raises(CheckFailedError):
        planted.extract()
    assert not (planted.run_folder / "tables" / "features.parquet").exists()


def test_a_leak_shows_under_another_name_and_format(folder):
    """The patients come again with other identifiers, files and an axis turned round."""
    write_landmarks(study(folder), folder / "early.json", patients=PATIENTS[:3])
    table = pd.read_csv(folder / "manifest.csv")
    for number in range(12):
        array = read_image(folder / f"{number}.nii.gz").array[::-1].astype(np.float32)
        sitk.WriteImage(Volume(array, SPACING).to_sitk(), str(folder / f"copy{number}.nrrd"))
    table["image"] = [f"copy{number}.nrrd" for number in range(12)]
    table["patient_id"] = [f"X{number}" for number in range(12)]
    table.to_csv(folder / "manifest.csv", index=False)
    again = study(folder, "early.json", models=None)
    cohort = read_cohort(read_settings(again).cohort)
    seen = patients_in_landmarks(cohort, folder / "early.json", jobs=1)
    assert seen == {"X0", "X1", "X2"}


def test_landmarks_of_early_patients_serve_a_temporal_validation(folder):
    write_landmarks(study(folder, validation=TEMPORAL), folder / "early.json", training=True)
    good = Study(study(folder, "early.json", validation=TEMPORAL))
    assert good.check().ok
    features = good.extract()
    assert features is not None
    assert features.failures.empty
    assert features.settings["sequences"]["t1"]["landmarks"]["images"] == 8
    good._landmarks.require_unseen(good.cohort.outcome, good.cohort.clinical["year"])


def test_landmarks_of_other_patients_serve_any_study(folder):
    fit_landmarks(image(100 + number) for number in range(4)).write(folder / "others.json")
    assert Study(study(folder, "others.json")).check().ok


def test_who_only_extracts_holds_nobody_out(folder):
    write_landmarks(study(folder), folder / "all.json")
    assert Study(study(folder, "all.json", models=None)).check().ok


def test_a_finished_model_is_not_validated_on_patients_of_its_landmarks(folder):
    write_landmarks(study(folder), folder / "early.json", patients=PATIENTS[:2])
    trace = LandmarkTrace(
        settings := read_settings(study(folder, "early.json", models=None)), read_cohort(settings.cohort)
    )
    with pytest.raises(ConfigError, match=r"images of 2 of the 12 patients who are held out \(validation"):
        trace.require_new()


def test_the_fit_looks_again_with_those_who_are_modelled(folder):
    """Without a cut a third is held out: who that is depends on who has features."""
    write_landmarks(study(folder), folder / "early.json", patients=PATIENTS[:8])
    settings = read_settings(study(folder, "early.json", validation={"design": "temporal", "by": "year"}))
    cohort = read_cohort(settings.cohort)
    trace = LandmarkTrace(settings, cohort)
    by = cohort.clinical["year"]
    assert trace.findings() == []
    trace.require_unseen(cohort.outcome, by)
    modelled = cohort.outcome.loc(pd.Index([*PATIENTS[:8], PATIENTS[11]]))  # three of the late ones failed
    assert set(held_out_patients(settings, modelled, by)) & set(PATIENTS[:8])
    with pytest.raises(ConfigError, match="learnt from images of 2 of the 3 patients"):
        trace.require_unseen(modelled, by)


def test_nothing_is_read_without_landmarks(folder, monkeypatch):
    settings = read_settings(study(folder))
    cohort = read_cohort(settings.cohort)
    monkeypatch.setattr("radiomics_npc.landmark_leak.measure_images", None)
    assert LandmarkTrace(settings, cohort).findings() == []
