"""The whole way: a simulated cohort through every stage, stopped and started again."""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from radiomics_npc.cli import main
from radiomics_npc.errors import CheckFailedError, ConfigError
from radiomics_npc.simulate.cohort import simulate_cohort
from radiomics_npc.storage import read_table
from radiomics_npc.study import Study
from radiomics_npc.survival.validation.oracle import oracle_scores

pytestmark = pytest.mark.slow

PYRADIOMICS = {
    "imageType": {"Original": {}},
    "featureClass": {"firstorder": ["Mean", "Entropy"], "glcm": ["Contrast"], "shape": ["MeshVolume"]},
    "setting": {"binCount": 16, "label": 1},
}
OUTCOME = {"time": "PFS_months", "unit": "months", "event": "PFS_event", "coding": "0/1"}


PROMISED = [
    "report.html",
    "report.json",
    "quality.html",
    "nomogram.html",
    "methods.md",
    "failures.csv",
    "run.json",
    "study.yaml",
    "log.txt",
    "check.csv",
    "check.html",
    "tables/table_one.csv",
    "tables/features.parquet",
    "tables/features.csv",
    "tables/diagnostics.csv",
    "tables/predictions.csv",
    "tables/scores.csv",
    "tables/nomogram_points.csv",
    "tables/oracle.csv",
    "figures/nomogram.pdf",
    "figures/kaplan_meier.svg",
    "figures/montage.png",
    "models/combined_cox/model.json",
    "models/combined_cox/card.md",
]


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return simulate_cohort(
        tmp_path_factory.mktemp("simulated") / "data", patients=36, seed=5, jobs=2, matrix=96
    )


def write_study(folder: Path, data: Path, **changes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "few.yaml").write_text(yaml.safe_dump(PYRADIOMICS))
    settings = {
        "name": "test study",
        "jobs": 2,
        "cohort": {"path": os.path.relpath(data, folder), "outcome": OUTCOME},
        "features": {"settings": dict.fromkeys(("t1", "t2", "ce_t1"), "few.yaml")},
        "models": {"fit": ["clinical_cox", "combined_cox"], "min_category": 5},
        "validation": {"folds": 2, "repeats": 2, "inner_folds": 2},
        **changes,
    }
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


def digests(run: Path) -> dict[str, str]:
    """Hashes of everything that must not change when a run is repeated."""
    kept = sorted(p for part in ("tables", "models", "cache") for p in (run / part).rglob("*") if p.is_file())
    return {str(p.relative_to(run)): hashlib.sha256(p.read_bytes()).hexdigest() for p in kept}


def kept(cache: Path) -> list[Path]:
    """Finished cases."""
    return [path for path in cache.rglob("*.json") if not path.name.startswith(".")]


@pytest.fixture(scope="module")
def finished(data, tmp_path_factory) -> Study:
    study = Study(write_study(tmp_path_factory.mktemp("study"), data))
    study.run()
    return study


def test_a_run_writes_all_that_the_house_promises(finished):
    run = finished.run_folder
    for name in PROMISED:
        assert (run / name).stat().st_size > 0, name
    features = read_table(run / "tables" / "features.parquet")
    assert len(features) == 36
    assert "ce_t1__original__glcm__Contrast" in features.columns
    assert "t2__morphology__volume_cm3" in features.columns
    assert not list(run.rglob(".tmp-*"))


def test_simulated_is_said_wherever_a_result_is_shown(finished):
    run = finished.run_folder
    for name in ("report.html", "nomogram.html", "methods.md", "models/combined_cox/card.md", "check.html",
                 "tables/scores.csv", "figures/kaplan_meier.svg", "figures/nomogram.svg"):  # fmt: skip
        assert "simulated" in (run / name).read_text().lower(), name
    assert json.loads((run / "models/combined_cox/model.json").read_text())["simulated"] is True
    assert "simulated" in repr(finished.cohort)
    assert "oracle" in (run / "report.html").read_text().lower()


def test_nothing_in_the_run_folder_knows_this_machine(finished):
    run = finished.run_folder
    here = [str(run.parent), str(Path.home()), str(Path.cwd())]
    for path in run.rglob("*"):
        if path.is_file() and path.suffix in {".html", ".json", ".md", ".csv", ".yaml", ".txt", ".svg"}:
            text = path.read_text(encoding="utf-8-sig")
            assert not [place for place in here if place in text], path.name
    model = (run / "models/combined_cox/model.json").read_text()
    assert not re.search(r'"0(0[1-9]|[1-3]\d)"', model), "a model file names a patient"


def test_running_again_computes_nothing_and_changes_no_byte(finished):
    before = digests(finished.run_folder)
    again = Study(finished.run_folder.parent / "study.yaml")
    again.run()
    assert again.extract().reused == 108
    assert digests(finished.run_folder) == before
    pd.testing.assert_frame_equal(again.fit().scores, finished.fit().scores, check_exact=True)


def test_a_changed_setting_is_not_taken_from_the_old_run(finished, data, tmp_path):
    shutil.copytree(finished.run_folder, tmp_path / "run")
    less = {"folds": 2, "repeats": 1, "inner_folds": 2}
    changed = Study(write_study(tmp_path, data, validation=less))
    assert changed.fit().design["repeats"] == 1
    assert changed.extract().reused == 108


def test_killed_in_the_middle_of_extraction_it_goes_on(finished, data, tmp_path):
    study = write_study(tmp_path, data)
    command = [sys.executable, "-m", "radiomics_npc", "run", str(study)]
    process = subprocess.Popen(
        command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True
    )
    cache = tmp_path / "run" / "cache"
    deadline = time.monotonic() + 120
    while len(kept(cache)) < 10 and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    done = len(kept(cache))
    (cache / ".tmp-half.json").write_text("{")  # what a kill in the middle of a file leaves
    assert 10 <= done < 108
    resumed = Study(study)
    resumed.run()
    assert done <= resumed.extract().reused < 108
    assert digests(tmp_path / "run") == digests(finished.run_folder)


def test_the_report_can_be_written_again_from_the_run_folder_alone(finished):
    run = finished.run_folder
    before = (run / "report.html").read_text()
    with pytest.raises(SystemExit) as ended:
        main(["report", str(run)])
    assert ended.value.code == 0
    assert (run / "report.html").read_text() == before


def test_predict_equals_the_model_and_refuses_what_it_never_saw(finished, tmp_path):
    run = finished.run_folder
    table = read_table(run / "tables" / "design_matrix.csv")
    table.loc[0, "N"] = "N7"
    table.to_csv(tmp_path / "new.csv", index=False)
    with pytest.raises(SystemExit) as ended:
        main(["predict", str(run / "models/combined_cox"), str(tmp_path / "new.csv"), "--horizons", "24",
              "--out", str(tmp_path / "p.csv")])  # fmt: skip
    assert ended.value.code == 1  # one patient could not be scored; the others are
    predicted = read_table(tmp_path / "p.csv").set_index("patient_id")
    assert predicted["survival_24_months"].isna().iloc[0]
    assert "N" in str(predicted["flags"].iloc[0])
    assert predicted["simulated"].all()
    survival = predicted["survival_24_months"]
    inside = survival.notna()
    assert inside.sum() >= 30
    assert (
        (predicted["survival_24_months_lower"] <= survival)
        & (survival <= predicted["survival_24_months_upper"])
    )[inside].all()


def test_validate_on_the_training_cohort_and_refuse_other_features(finished, data, tmp_path):
    model = finished.run_folder / "models" / "combined_cox"
    shutil.copytree(finished.run_folder / "cache", tmp_path / "run" / "cache")
    result = Study(write_study(tmp_path, data)).validate(model).to_frame().set_index("metric")
    assert 0.5 < result.loc["harrell_c", "estimate"] <= 1
    other = {"settings": {**dict.fromkeys(("t1", "t2"), "few.yaml"), "ce_t1": "other.yaml"}}
    study = write_study(tmp_path / "b", data, features=other)
    (tmp_path / "b" / "other.yaml").write_text(
        yaml.safe_dump({**PYRADIOMICS, "setting": {"binCount": 8, "label": 1}})
    )
    with pytest.raises(ConfigError, match="ce_t1 features are extracted with other settings"):
        Study(study).validate(model)


def test_the_oracle_is_the_true_risk(finished, data):
    y = finished.cohort.outcome
    truth = read_table(data / "truth.csv").set_index("patient_id")["linear_predictor"]
    table = oracle_scores(data, y, 60.0).set_index("metric")
    pairs = [
        (truth[a] > truth[b]) + 0.5 * (truth[a] == truth[b])
        for a, ta, ea in zip(y.patient_id, y.time_months, y.event, strict=True)
        for b, tb, eb in zip(y.patient_id, y.time_months, y.event, strict=True)
        if ea and (ta < tb or (ta == tb and not eb))
    ]
    assert table.loc["harrell_c", "estimate"] == pytest.approx(np.mean(pairs), abs=1e-12)


def test_nothing_runs_on_a_cohort_that_fails(data, tmp_path, capsys):
    study = write_study(tmp_path, data)
    settings = yaml.safe_load(study.read_text())
    settings["cohort"]["outcome"]["coding"] = "1/2"
    study.write_text(yaml.safe_dump(settings))
    with pytest.raises(CheckFailedError):
        Study(study).run()
    assert not (tmp_path / "run" / "tables").exists()
    assert (tmp_path / "run" / "check.html").exists()
    for command in ("run", "check"):
        with pytest.raises(SystemExit) as ended:
            main([command, str(study)])
        assert ended.value.code == 3
    assert str(tmp_path) not in capsys.readouterr().err


def test_one_sequence_and_no_models_is_a_study_too(data, tmp_path):
    study = write_study(
        tmp_path, data, models=None, nomogram=None,
        cohort={"path": str(data), "sequences": ["t2"], "clinical": None},
        features={"settings": {"t2": "few.yaml"}},
    )  # fmt: skip
    (report,) = Study(study).run()
    assert report.exists()
    assert set(read_table(tmp_path / "run/tables/features.csv").columns.str.split("__").str[0]) == {
        "patient_id",
        "t2",
    }
