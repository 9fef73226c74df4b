"""A run folder becomes a report, whatever is in it already."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import ConfigError
from radiomics_npc.report.content import read_run, write_run_report
from radiomics_npc.report.modelling_content import candidate_parameters
from radiomics_npc.run_folder import RunFolder
from radiomics_npc.storage import read_table
from radiomics_npc.study import Study
from radiomics_npc.survival.estimation.log_rank import log_rank, pairwise_log_rank
from radiomics_npc.survival.estimation.restricted_mean import restricted_mean


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A small clinical study with a further endpoint."""
    folder = tmp_path_factory.mktemp("study")
    random = np.random.default_rng(3)
    n = 90
    age, stage = random.normal(55, 10, n), random.choice(["T1", "T2", "T3"], n)
    months = random.exponential(60 * np.exp(-0.06 * (age - 55) - 0.4 * (stage == "T3")))
    table = pd.DataFrame({
        "ID": [f"{k:03d}" for k in range(n)], "age": age.round(1), "T": stage,
        "months": np.minimum(months, 70).round(2) + 0.1, "event": (months < 70).astype(int),
    })  # fmt: skip
    table["death"] = np.where(random.random(n) < 0.5, table["event"], 0)
    table.to_csv(folder / "clinical.csv", index=False)
    endpoint = {"name": "overall survival", "time": "months", "event": "death"}
    outcome = {
        "time": "months", "unit": "months", "event": "event", "coding": "0/1", "endpoints": {"OS": endpoint}
    }  # fmt: skip
    settings = {
        "output": str(folder / "run"), "features": None,
        "cohort": {
            "layout": "clinical", "clinical": {"file": str(folder / "clinical.csv")}, "outcome": outcome,
        },
        "models": {"fit": ["clinical_cox"], "clinical": ["T", "age"]},
        "validation": {"folds": 2, "repeats": 1, "inner_folds": 2},
        "nomogram": {"model": "clinical_cox", "horizons_months": [36, 60]},
    }  # fmt: skip
    Study(settings, jobs=1).run()
    return folder / "run"


@pytest.fixture
def run(finished, tmp_path) -> Path:
    """A copy for a test to change."""
    return shutil.copytree(finished, tmp_path / "run")


def test_the_report_reads_the_tables_and_computes_nothing_of_them(finished):
    content = read_run(finished)
    for name in ("accuracy", "decision_curves"):
        pd.testing.assert_frame_equal(content[name], read_table(finished / "tables" / f"{name}.csv"))
    assert set(content["calibration"]["groups"]["time_months"]) == {36.0, 60.0}
    assert list(content["endpoints"]) == ["overall survival"]
    assert list(content["hazard_ratios"]) == list(content["notes"]) == ["clinical_cox"]


def test_figures_and_tables_of_the_report_are_forgotten_with_the_fit(run):
    for name in ("auc", "decision_curves", "calibration_clinical_cox",
                 "effects_over_time_clinical_cox"):  # fmt: skip
        assert (run / "figures" / f"{name}.svg").exists(), name
    for name in ("restricted_means", "pairwise_log_rank", "sample_size", "hazard_ratios_clinical_cox"):
        assert (run / "tables" / f"{name}.csv").exists(), name
    assert not (run / "tables" / "calibration_clinical_cox.csv").exists()
    for name in ("learning_curve", "stability", "selection_combined_cox"):
        (run / "figures" / f"{name}.png").write_bytes(b"")
    RunFolder(run).forget_fit()
    assert [path.name for path in (run / "figures").iterdir()] == []
    left = {path.stem for path in (run / "tables").iterdir()}
    assert not left & {"accuracy", "restricted_means", "sample_size", "hazard_ratios_clinical_cox"}


def test_risk_groups_are_those_of_the_estimators(finished):
    part = read_run(finished)["kaplan_meier"]
    content = pd.read_parquet(finished / "tables" / "predictions.parquet")
    rows = content[content["model"] == "clinical_cox"].set_index("patient_id")
    y = Outcome.from_frame(read_table(finished / "tables" / "outcome.csv").set_index("patient_id"))
    group = rows["group"].reindex(y.patient_id)
    assert part["p"] == pytest.approx(log_rank(y, group).p, rel=1e-12)
    pd.testing.assert_frame_equal(part["pairs"], pairwise_log_rank(y, group))
    means = part["restricted_mean"].set_index("group")
    for name in means.index:
        found = restricted_mean(y.take((group == name).to_numpy()), means.loc[name, "until_months"])
        assert means.loc[name, "estimate"] == pytest.approx(found.estimate, rel=1e-12)
        gap = found.estimate - means["estimate"].iloc[0]
        if name != means.index[0]:
            assert means.loc[name, "difference"] == pytest.approx(gap, rel=1e-9)


def test_candidates_are_counted_before_any_selection(finished):
    table = read_run(finished)["sample_size"]["table"]
    events = int(read_table(finished / "tables" / "outcome.csv")["event"].sum())
    assert table["parameters"].tolist() == [3]  # T has three levels, age is a number
    assert table["events_per_parameter"].tolist() == [events / 3]
    X = pd.DataFrame({"T": pd.Categorical(["T1"] * 3), "t1__a__b__c": 1.0, "t1__a__b__d": 1.0})
    assert candidate_parameters(X, ["T", "absent"], {}) == {
        "clinical_cox": 0, "radiomics_cox": 2, "combined_cox": 2
    }  # fmt: skip


def test_a_run_of_earlier_versions_still_gives_a_report(run):
    """Without the tables, horizons, notes and settings that were not written then."""
    keep = {"scores", "differences", "per_repeat", "predictions", "outcome", "excluded", "table_one",
            "cross_validation"}  # fmt: skip
    for path in (run / "tables").iterdir():
        if path.stem not in keep:
            path.unlink()
    for name, absent in (
        ("tables/cross_validation.json", "horizons_months"),
        ("run.json", "appraisal_notes"),
    ):
        content = json.loads((run / name).read_text())
        content.pop(absent)
        (run / name).write_text(json.dumps(content))
    (run / "models" / "clinical_cox" / "model.json").write_text("{}")
    page = write_run_report(run).read_text(encoding="utf-8")
    assert '<h2 id="models">' in page
    assert '<h2 id="kaplan_meier">' in page
    for name in ("accuracy", "calibration", "decision_curves", "hazard_ratios", "nomogram", "sample_size"):
        assert f'<h2 id="{name}">' not in page, name


def test_an_unfinished_run_still_gives_a_report(run):
    for folder in ("models", "figures"):
        shutil.rmtree(run / folder)
    (run / "tables" / "cross_validation.json").unlink()
    page = write_run_report(run).read_text(encoding="utf-8")
    assert '<h2 id="table_one">' in page
    assert '<h2 id="models">' not in page
    (run / "run.json").unlink()
    with pytest.raises(ConfigError, match="no run folder"):
        write_run_report(run)


def test_a_model_without_a_file_has_its_scores_but_no_card(run):
    """As forests, which cannot be saved."""
    shutil.rmtree(run / "models")
    content = read_run(run)
    assert content["notes"] == content["hazard_ratios"] == {}
    write_run_report(run)
    assert not (run / "models").exists()
    assert '<h2 id="accuracy">' in (run / "report.html").read_text(encoding="utf-8")


def test_stability_of_earlier_settings_is_not_shown(run):
    table = pd.DataFrame({"feature": ["t1__a__glcm__c"], "icc": [0.9], "n": 5, "category": ["good"]})
    table.to_csv(run / "tables" / "stability.csv", index=False)
    assert read_run(run).get("stability") is None


def test_a_report_does_not_tell_the_folders_of_the_data(run):
    """The way to data far from the run folder, up to the root and down, is an absolute path in disguise."""
    path = run / "study.yaml"
    settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    settings["cohort"]["clinical"]["file"] = "../../../home/somebody/clinical.csv"
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")
    write_run_report(run)
    written = [p for p in run.rglob("*") if p.suffix in (".html", ".json", ".md", ".csv", ".svg")]
    assert [p.name for p in written if "somebody" in p.read_text(encoding="utf-8")] == []
    told = json.loads((run / "report.json").read_text(encoding="utf-8"))["settings"]
    assert told["cohort"]["clinical"]["file"] == "clinical.csv"
