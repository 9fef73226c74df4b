"""Small cohorts as they come: absent values, hardly any events, unusable columns."""

import json

import numpy as np
import pandas as pd
import pytest

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError
from radiomics_npc.survival.models.boosting import BoostedModel
from radiomics_npc.survival.models.model_file import load_model, save_model
from radiomics_npc.survival.models.prediction import predict
from radiomics_npc.survival.models.prognostic import PrognosticModel
from radiomics_npc.survival.models.standard import standard_model
from radiomics_npc.survival.validation.external import validate_model


@pytest.fixture(scope="module")
def signature(patients):
    X, y, _ = patients
    return standard_model("combined_cox").fit(X, y)


def test_filled_features_are_said_and_columns_left_out_are_not(signature, patients):
    X, y, _ = patients
    feature = signature.feature_columns[0]
    new = X.iloc[:2].copy()
    new.loc[new.index[0], feature] = np.nan
    assert predict(signature, new).to_frame()["flags"].tolist() == [
        f"{feature}: missing, filled as in training",
        "",
    ]
    unknown = X[["T"]].assign(vca_iga=pd.Categorical([None] * len(X), ["negative", "positive"]))
    model = PrognosticModel("clinical", "cox", clinical=["T", "vca_iga"]).fit(unknown, y)
    assert predict(model, unknown.iloc[:2]).to_frame()["flags"].tolist() == ["", ""]


def test_validation_without_any_event_says_what_cannot_be_had(signature, patients):
    X, y, _ = patients
    nobody = Outcome(y.time_months, np.zeros(len(y)), y.patient_id)
    result = validate_model(signature, X, nobody)
    assert np.isnan([result.slope, result.slope_se, result.harrell.estimate]).all()
    assert any("no calibration slope" in note for note in result.notes)
    assert result.calibration is not None


def test_a_validation_says_that_patients_never_lived(signature, patients):
    X, y, _ = patients
    assert "simulated" not in validate_model(signature, X, y).to_frame()
    never = Outcome(y.time_months, y.event, y.patient_id, simulated=True)
    assert validate_model(signature, X, never).to_frame()["simulated"].all()


def test_trees_without_columns_are_refused(patients):
    X, y, _ = patients
    with pytest.raises(CohortError, match="no column is left"):
        PrognosticModel("clinical", "boosted", clinical=[]).fit(X, y)


def test_an_infinite_feature_does_not_spoil_the_model_file(tmp_path):
    random = np.random.default_rng(0)
    X = pd.DataFrame({"t1__original__glcm__F": random.normal(size=60)})
    X.index = pd.Index([f"{k}" for k in range(60)], name="patient_id")
    X.iloc[3, 0] = np.inf
    y = Outcome(random.exponential(30, 60), np.ones(60), X.index)
    save_model(BoostedModel(max_rounds=5).fit(X, y), tmp_path, name="trees")
    assert np.isfinite(load_model(tmp_path).ranges_["t1__original__glcm__F"]).all()


@pytest.mark.parametrize("name", ["clinical_cox", "clinical_boosted"])
def test_a_message_does_not_list_the_values_of_all_patients(patients, name):
    X, y, _ = patients
    model = standard_model(name).fit(X, y)
    titers = X.assign(ebv_dna=np.arange(len(X)) + 0.5)
    with pytest.raises(CohortError, match="does not know") as refused:
        model.predict_risk(titers)
    assert len(str(refused.value)) < 200
    assert json.dumps(model.to_dict())
