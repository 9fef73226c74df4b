"""A run folder never mixes two runs; tables of new patients are read as the model knows them."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import yaml

import radiomics_npc.fitting as fitting_module
from radiomics_npc import further_validation
from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError, ConfigError
from radiomics_npc.features.table import FeatureTable
from radiomics_npc.storage import frame_digest, read_table
from radiomics_npc.study import Study
from radiomics_npc.survival.models.model_file import load_model, save_model
from radiomics_npc.survival.models.prediction import predict
from radiomics_npc.survival.models.prognostic import PrognosticModel
from radiomics_npc.survival.validation.external import require_same_extraction

COHORT = {
    "layout": "clinical",
    "clinical": {"file": "clinical.csv", "extra": {"ward": {"column": "ward"}}},
    "outcome": {"time": "time", "unit": "months", "event": "event", "coding": "0/1", "censor_at_months": 70},
}


def write_study(folder: Path, **changes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(3)
    n = 60
    t = random.integers(1, 5, n)
    time = random.exponential(70 - 12 * t)
    table = pd.DataFrame({
        "patient_id": [f"{k:03d}" for k in range(n)], "T": t, "ward": random.choice(["1", "2"], n),
        "age": random.integers(20, 80, n), "time": np.minimum(time, 66).round(2),
        "event": (time < 66).astype(int),
    })  # fmt: skip
    table.to_csv(folder / "clinical.csv", index=False)
    settings = {
        "name": "small", "jobs": 1, "cohort": COHORT, "features": None, "nomogram": None,
        "models": {"fit": ["clinical_cox", "clinical_boosted"], "clinical": ["T", "ward"], "min_category": 5},
        "validation": {"folds": 2, "repeats": 1, "inner_folds": 2},
        **changes,
    }  # fmt: skip
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    nomogram = {"model": "clinical_cox", "horizons_months": [36]}
    Study(write_study(folder, nomogram=nomogram)).run()
    return folder / "run"


@pytest.fixture
def again(finished, tmp_path) -> Path:
    shutil.copytree(finished, tmp_path / "run")
    return tmp_path


def test_models_no_longer_asked_for_leave_nothing(again):
    cox = {"fit": ["clinical_boosted"], "clinical": ["T", "ward"]}
    assert (again / "run/tables/hazard_ratios_clinical_cox.csv").exists()
    (again / "run/tables/oracle.csv").write_text("metric,estimate,se\nharrell_c,0.9,0.1\n")
    Study(write_study(again, models=cox)).run()
    left = [str(p.relative_to(again / "run")) for p in (again / "run").rglob("*")]
    assert not [name for name in left if "clinical_cox" in name or "nomogram" in name or "oracle" in name]
    assert "models/clinical_boosted/model.json" in left


def test_surrogates_stand_beside_the_models_and_go_when_not_asked_for(again):
    run = again / "run"
    card = (run / "models/clinical_boosted_surrogate/card.md").read_text()
    assert "Surrogate of" in card
    assert load_model(run / "models/clinical_boosted_surrogate").fidelity_["r2"] > 0.5
    table = read_table(run / "tables/surrogate_fidelity.csv")
    assert set(table["model"]) == {"clinical_boosted"}
    assert "Surrogates of the boosted models" in (run / "report.html").read_text()
    scores = (run / "tables/scores.csv").read_bytes()
    assert b"surrogate" not in scores
    shutil.rmtree(run / "models/clinical_boosted_surrogate")  # found missing, and made again
    asked = {"model": "clinical_cox", "horizons_months": [36]}
    Study(write_study(again, nomogram=asked)).fit()
    assert (run / "models/clinical_boosted_surrogate/model.json").exists()
    Study(write_study(again, nomogram={**asked, "surrogates": False})).fit()
    assert not list(run.rglob("*surrogate*"))
    assert (run / "tables/scores.csv").read_bytes() == scores


@pytest.mark.parametrize("what", ["bootstrap_validate", "permutation_test", "learning_curve"])
def test_what_cannot_be_validated_further_is_a_note_and_our_own_fault_still_stops(
    tmp_path, monkeypatch, what
):
    def impossible(*args, **options):
        raise CohortError("the model could not be fitted in every fold", "Cross-validate it to see why.")

    def faulty(*args, **options):
        raise IndexError

    asked = {"folds": 2, "repeats": 1, "inner_folds": 2}
    asked |= {"bootstrap": 2, "permutations": 1, "learning_curve": True}
    one = {"fit": ["clinical_cox"], "clinical": ["T", "ward"]}
    path = write_study(tmp_path, models=one, validation=asked)
    monkeypatch.setattr(further_validation, what, faulty)
    with pytest.raises(IndexError):
        Study(path).fit()
    monkeypatch.setattr(further_validation, what, impossible)
    study = Study(path)
    study.fit()
    page = study.report().read_text(encoding="utf-8")
    name = what.replace("_", " ").replace("validate", "validation")
    assert f"The {name} could not be made: the model could not be fitted in every fold." in page
    written = {"bootstrap_validate": "optimism", "permutation_test": "permutation_test"}
    written["learning_curve"] = "learning_curve"
    for function, table in written.items():
        assert (tmp_path / "run" / "tables" / f"{table}.csv").exists() == (function != what)
    assert '<h2 id="models">' in page


def test_a_fit_killed_midway_is_not_taken_for_the_one_before(again, monkeypatch):
    def killed(*args, **options):
        raise KeyboardInterrupt

    other = {"fit": ["clinical_cox", "clinical_boosted"], "clinical": ["T"]}
    with monkeypatch.context() as patch:
        patch.setattr(fitting_module, "save_model", killed)
        with pytest.raises(KeyboardInterrupt):
            Study(write_study(again, models=other)).fit()
    assert json.loads((again / "run/run.json").read_text())["fit_key"] is None
    fresh = Study(write_study(again)).fit()
    assert load_model(again / "run/models/clinical_cox").clinical_columns == ["T", "ward"]
    assert fresh.design["repeats"] == 1


@pytest.mark.parametrize(
    ("change", "where", "wanted"),
    [
        ({"name": "overall survival"}, "models/clinical_cox/model.json", '"endpoint": "overall survival"'),
        ({"censor_at_months": None}, "tables/cross_validation.json", '"horizon_months": 60.0'),
    ],
)
def test_the_outcome_belongs_to_a_fit(again, change, where, wanted):
    study = write_study(again, cohort={**COHORT, "outcome": {**COHORT["outcome"], **change}})
    Study(study).fit()
    assert wanted in (again / "run" / where).read_text()


def test_the_order_of_levels_belongs_to_a_table():
    """The first level is the reference, and neighbors merge: another order is another model."""
    a = pd.DataFrame({"x": pd.Categorical(["p", "q"], ["p", "q"])})
    b = pd.DataFrame({"x": pd.Categorical(["p", "q"], ["q", "p"])})
    c = pd.DataFrame({"x": pd.Categorical(["p", "q"], ["p", "q"], ordered=True)})
    assert len({frame_digest(table) for table in (a, b, c)}) == 3


def test_simulated_patients_without_their_truth_have_no_oracle(again, monkeypatch):
    study = Study(write_study(again, seed=4))
    simulated = type(study.cohort)(**{**vars(study.cohort), "simulated": True})
    study.__dict__["cohort"] = simulated
    cohort = study.settings.cohort.model_copy(update={"path": again / "clinical.csv"})
    study.settings = study.settings.model_copy(update={"cohort": cohort})
    study.fit()
    assert not (again / "run/tables/oracle.csv").exists()


@pytest.mark.parametrize("name", ["clinical_cox", "clinical_boosted"])
def test_numbered_and_missing_levels_of_a_csv(finished, tmp_path, name):
    """A missing cell makes pandas read 1, 2 as 1.0, 2.0, which no model knows."""
    (tmp_path / "new.csv").write_text("patient_id,T,ward\n007,T2,1\n008,T2,\n009,T2,2\n")
    found = predict(finished / "models" / name, tmp_path / "new.csv", horizons_months=[36])
    found.write(tmp_path / "p.csv")
    out = found.to_frame()
    assert out["flags"].tolist() == ["", "ward: missing, filled as in training", ""]
    assert out["survival_36_months"].notna().all()
    assert read_table(tmp_path / "p.csv")["patient_id"].tolist() == ["007", "008", "009"]


def test_a_level_called_none_is_no_missing_value(tmp_path):
    random = np.random.default_rng(0)
    X = pd.DataFrame({"surgery": pd.Categorical(random.choice(["None", "biopsy", "biopsy"], 80))})
    X.index = pd.Index([f"{k}" for k in range(80)], name="patient_id")
    y = Outcome(random.exponential(40, 80), np.ones(80), X.index)
    model = PrognosticModel("clinical", "cox", clinical=["surgery"]).fit(X, y)
    save_model(model, tmp_path / "m", name="m")
    (tmp_path / "new.csv").write_text("patient_id,surgery\na,None\n")
    out = predict(tmp_path / "m", tmp_path / "new.csv", horizons_months=[12]).to_frame()
    assert out["flags"].tolist() == [""]
    assert out["risk"].iloc[0] == model.predict_risk(X[X["surgery"] == "None"])[0]


def test_sequences_the_model_was_not_trained_on_do_not_matter():
    trained = {"sequences": {"t1": {"pyradiomics": {}, "normalize": "body"}}}
    model = SimpleNamespace(settings_={"features": trained}, feature_columns=["t1__original__glcm__Contrast"])
    empty = pd.DataFrame()
    recipe = {"pyradiomics": {}, "normalize": "body"}
    features = FeatureTable(empty, empty, empty, {"sequences": {"t1": recipe, "t2": recipe}})
    require_same_extraction(model, features)


def test_one_long_follow_up_does_not_set_the_horizon(tmp_path):
    """Training folds without that patient would know nothing at the horizon, nor would the report."""
    study = Study(write_study(tmp_path))
    table = pd.read_csv(tmp_path / "clinical.csv", dtype={"patient_id": str})
    table["time"] = np.minimum(table["time"], 50 - np.arange(60) / 10)
    table.loc[0, "time"] = 58.0
    table.to_csv(tmp_path / "clinical.csv", index=False)
    study.run()
    result = study.fit()
    assert result.design["horizon_months"] < 50
    assert result.predictions[f"pfs_{result.design['horizon_months']:g}"].notna().all()
    assert result.notes == ()


def test_a_model_that_cannot_be_fitted_is_known_before_the_cross_validation(tmp_path, monkeypatch):
    def too_late(*args, **options):
        raise AssertionError

    monkeypatch.setattr(fitting_module, "cross_validate", too_late)
    study = write_study(tmp_path, models={"fit": ["clinical_boosted"], "clinical": []})
    with pytest.raises(CohortError, match="no column is left"):
        Study(study).fit()


def test_deleted_tables_are_made_again(again):
    shutil.rmtree(again / "run" / "tables")
    Study(write_study(again)).run()
    assert (again / "run/tables/predictions.csv").exists()


def test_stopped_after_the_check_no_old_scores_stand_under_new_settings(again):
    less = {"folds": 3, "repeats": 1, "inner_folds": 2}
    Study(write_study(again, validation=less)).extract()
    assert not (again / "run/tables/cross_validation.json").exists()
    assert not (again / "run/models/clinical_cox").exists()


def test_another_name_alone_keeps_the_fit(again):
    nomogram = {"model": "clinical_cox", "horizons_months": [36]}
    Study(write_study(again, nomogram=nomogram, name="renamed")).extract()
    assert (again / "run/models/clinical_cox/model.json").exists()


def test_faulty_feature_settings_are_known_before_the_images_are_read(tmp_path):
    (tmp_path / "few.yaml").write_text("featureClass: {nothing: null}")
    (tmp_path / "manifest.csv").write_text("patient_id,sequence,image,mask\n1,t1,a.nii,b.nii\n")
    study = Study({
        "output": str(tmp_path / "run"), "models": None, "nomogram": None,
        "cohort": {"layout": "manifest", "path": str(tmp_path / "manifest.csv"), "sequences": ["t1"],
                   "clinical": None},
        "features": {"settings": {"t1": str(tmp_path / "few.yaml")}},
    })  # fmt: skip
    with pytest.raises(ConfigError, match=r"few\.yaml"):
        study.check()


def test_what_complete_cases_cost_is_in_the_run_folder(tmp_path):
    path = write_study(
        tmp_path,
        models={"fit": ["clinical_cox"], "clinical": ["T", "ward", "age"], "imputation": "complete_case"},
    )
    table = pd.read_csv(tmp_path / "clinical.csv", dtype={"patient_id": str})
    table.loc[table.index[:7], "age"] = np.nan
    table.to_csv(tmp_path / "clinical.csv", index=False)
    Study(path).fit()
    loss = read_table(tmp_path / "run" / "tables" / "complete_cases.csv").set_index("column")
    assert loss["missing"].to_dict() == {"T": 0, "ward": 0, "age": 7, "any column": 7}


def test_a_temporal_split_reads_dates_as_the_outcome_does(tmp_path):
    cohort = {**COHORT, "outcome": {**COHORT["outcome"], "date_format": "%m/%d/%Y"}}
    cohort["clinical"] = {**COHORT["clinical"], "extra": {"came": {"column": "came"}}}
    validation = {"design": "temporal", "by": "came", "cut": 2015, "inner_folds": 2}
    models = {"fit": ["clinical_cox"], "clinical": ["T"], "min_category": 5}
    path = write_study(tmp_path, cohort=cohort, validation=validation, models=models)
    table = pd.read_csv(tmp_path / "clinical.csv", dtype={"patient_id": str})
    table["came"] = ["12/31/2014", "1/1/2015", "6/15/2013"] * 20
    table.to_csv(tmp_path / "clinical.csv", index=False)
    result = Study(path).fit()
    assert result.design["fold_names"] == ["from 2015-01-01"]
    assert sorted(result.predictions["patient_id"]) == table["patient_id"].iloc[1::3].tolist()
