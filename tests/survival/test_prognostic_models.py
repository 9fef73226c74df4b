"""The six standard models and their files; frozen models on other patients."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError, ConfigError, HorizonError
from radiomics_npc.settings import ModelSettings
from radiomics_npc.survival.metrics.concordance import harrell_c
from radiomics_npc.survival.models.boosting import BoostedModel
from radiomics_npc.survival.models.model_file import load_model, save_model
from radiomics_npc.survival.models.prediction import predict
from radiomics_npc.survival.models.standard import standard_model
from radiomics_npc.survival.models.training_range import outside_training
from radiomics_npc.survival.validation.external import validate_model

NAMES = ModelSettings().fit


@pytest.fixture(scope="module")
def fitted(patients):
    X, y, _ = patients
    return {name: standard_model(name).fit(X, y) for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_every_model_predicts(fitted, patients, name):
    X, y, _ = patients
    model = fitted[name]
    assert harrell_c(y, model.predict_risk(X)).estimate > 0.6
    probability = model.predict_survival(X, [36, 60])
    assert ((probability > 0) & (probability <= 1)).all()
    assert set(model.predict_group(X)) == {"low", "intermediate", "high"}
    assert clone(model).get_params() == model.get_params()
    assert len(model.explain()) > 2
    assert "<" in model._repr_html_()
    needed = [*model.clinical_columns, *model.feature_columns]
    np.testing.assert_array_equal(model.predict_risk(X[needed]), model.predict_risk(X))


def test_combined_cox_has_clinical_axes_and_the_rad_score(fitted):
    assert [term.name for term in fitted["combined_cox"].cox_.terms_] == ["T", "N", "ebv_dna", "rad_score"]
    assert [term.name for term in fitted["radiomics_cox"].cox_.terms_] == ["rad_score"]
    assert list(fitted["combined_cox"].steps) == ["preparation", "rad_score", "cox"]


def test_linear_predictor_is_explained_term_by_term(fitted, patients):
    """The sum of the parts that explain() lists is the risk, to rounding."""
    X, _, _ = patients
    model = fitted["combined_cox"]
    table = model.explain()
    formula = table[table["step"] == "rad_score"].set_index("term")["value"]
    score = X[formula.index] @ formula + model.rad_score_.intercept_
    cox = table[table["step"] == "cox"].set_index(["term", "level"])["value"]
    reads = {term.name: term.reads for term in model.cox_.terms_}
    risk = cox[("rad_score", "")] * score
    for name in ("T", "N", "ebv_dna"):
        risk = risk + X[name].map(lambda level, name=name: cox[(name, reads[name][level])]).astype(float)
    np.testing.assert_allclose(model.predict_risk(X), risk, rtol=0, atol=1e-12)


def test_rad_score_range_covers_both_kinds_of_score(fitted, patients):
    X, _, _ = patients
    assert not outside_training(fitted["combined_cox"], X).to_numpy().any()


def test_missing_clinical_values_are_imputed_and_said(patients):
    X, y, _ = patients
    holes = X.assign(ebv_dna=X["ebv_dna"].mask(np.arange(len(X)) < 7))
    model = standard_model("clinical_cox").fit(holes, y)
    most = str(holes["ebv_dna"].value_counts().index[0])
    assert f"ebv_dna: 7 missing values read as {most}" in model.notes_
    table = predict(model, holes.iloc[:10]).to_frame()
    assert table["flags"].tolist() == ["ebv_dna: missing, filled as in training"] * 7 + [""] * 3
    assert table["survival_60_months"].notna().all()


def test_a_score_that_says_nothing_is_left_out_and_said(draw):
    """Features without signal: the inner folds show it."""
    left_out = 0
    for seed in range(6):
        X, y, _ = draw(100, 24, seed, strength=0.0)
        random = np.random.default_rng(seed)
        X = X.assign(**{c: random.normal(size=100) for c in X.columns if "__" in c})
        model = standard_model("combined_cox").fit(X, y)
        said = any(note.startswith("rad_score: left out") for note in model.notes_)
        assert said == ("rad_score" not in model.cox_.columns_)
        assert model.cox_.coef_.get("rad_score", 1.0) > 0
        left_out += said
    assert left_out > 0


def test_what_is_refused(patients):
    X, y, _ = patients
    with pytest.raises(ConfigError, match="no standard model clinical_network"):
        standard_model("clinical_network")  # type: ignore[arg-type]
    with pytest.raises(CohortError, match="clinical columns are absent: age"):
        standard_model("clinical_cox", ModelSettings(clinical=["age"])).fit(X, y)
    with pytest.raises(CohortError, match="no radiomic features"):
        standard_model("radiomics_cox").fit(X[["T", "N", "ebv_dna"]], y)


# -- files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_a_loaded_model_predicts_identically(fitted, patients, tmp_path, name):
    X, _, _ = patients
    save_model(fitted[name], tmp_path, name=name, simulated=True, settings={"features": "abc"})
    loaded = load_model(tmp_path)
    for times in ([36], [12, 60]):
        np.testing.assert_array_equal(
            loaded.predict_survival(X, times), fitted[name].predict_survival(X, times)
        )
    np.testing.assert_array_equal(loaded.predict_interval(X, 60), fitted[name].predict_interval(X, 60))
    assert loaded.predict_group(X).tolist() == fitted[name].predict_group(X).tolist()
    assert (loaded.simulated_, loaded.name_) == (True, name)
    assert loaded.settings_ == {"features": "abc"}
    assert loaded.outcome_name_ == "progression-free survival"
    assert (tmp_path / "model.ubj").exists() == name.endswith("boosted")
    assert predict(loaded, X.iloc[:3]).to_frame()["simulated"].all()


# -- other patients ------------------------------------------------------------------------------


def test_values_outside_training_get_no_probability(fitted, patients):
    X, _, _ = patients
    new = X.iloc[:4].copy()
    new["T"] = pd.Categorical(["T1", "T0", "T1", "T9"])
    heavy = fitted["combined_cox"].rad_score_.formula_.iloc[0]
    new.loc[new.index[2], heavy["feature"]] = heavy["mean"] + 100 * heavy["sd"]
    table = predict(fitted["combined_cox"], new, horizons_months=[36, 60]).to_frame()
    assert [flag.partition(":")[0] for flag in table["flags"]] == ["", "T", "rad_score", "T"]
    assert table["scored"].tolist() == [True, False, False, False]
    numbers = [c for c in table if c == "risk" or c.startswith("survival")]
    assert table[numbers].notna().any(axis=1).tolist() == [
        True,
        False,
        False,
        False,
    ]
    row = table.iloc[0]
    survival = [row[f"survival_60_months{end}"] for end in ("_lower", "", "_upper")]
    assert survival[0] < survival[1] < survival[2]
    boosted = predict(fitted["combined_boosted"], new.iloc[[0, 3]]).to_frame()
    assert boosted["flags"].tolist() == ["", "T: T9 is none of T1, T2, T3, T4"]
    assert boosted["survival_60_months"].notna().tolist() == [True, False]


def test_horizons_past_follow_up_are_refused(fitted, patients):
    with pytest.raises(HorizonError, match="nothing at 72 months"):
        predict(fitted["clinical_cox"], patients[0], horizons_months=[72])


def test_nobody_inside(fitted, patients):
    X = patients[0].iloc[:2].assign(T=pd.Categorical(["T9", "T9"]))
    found = predict(fitted["clinical_cox"], X)
    assert found.to_frame()["survival_60_months"].isna().all()
    assert found.unscored["patient_id"].tolist() == X.index.tolist()


def test_validation_of_a_frozen_model(draw):
    """On new patients of the same kind: C near the truth, slope and O/E near 1."""
    X, y, lp = draw(1500, 96, 7)
    model = standard_model("combined_cox").fit(X.iloc[:500], y.take(range(500)))
    new, rest = X.iloc[500:], y.take(range(500, 1500))
    result = validate_model(model, new, rest)
    table = result.to_frame().set_index("metric")
    oracle = harrell_c(rest, lp[500:]).estimate
    assert oracle - 0.05 < table.loc["harrell_c", "estimate"] < oracle + 0.01
    assert table.loc["calibration_slope", "lower"] < 1 < table.loc["calibration_slope", "upper"]
    assert table.loc["observed_expected_60", "lower"] < 1 < table.loc["observed_expected_60", "upper"]
    assert (table["lower"] <= table["upper"]).all()
    assert len(result.predictions) == 1000


def test_validation_past_follow_up_gives_what_it_can(fitted, patients):
    X, y, _ = patients
    short = y.censor_at(40)
    result = validate_model(fitted["clinical_cox"], X, short)
    assert result.calibration is None
    assert any("nobody is followed to 60 months" in note for note in result.notes)
    assert "observed_expected_60" not in set(result.to_frame()["metric"])


def test_validation_is_of_the_model_as_it_is(fitted, patients):
    """Scores of the training patients equal the C of its own risks; nothing is refitted."""
    X, y, _ = patients
    before = json.dumps(fitted["combined_cox"].to_dict())
    half = y.take(range(80))
    result = validate_model(
        fitted["combined_cox"], X.iloc[:80], Outcome(half.time_months, half.event, half.patient_id)
    )
    assert (
        result.harrell.estimate == harrell_c(half, fitted["combined_cox"].predict_risk(X.iloc[:80])).estimate
    )
    assert json.dumps(fitted["combined_cox"].to_dict()) == before


def test_bare_trees_predict_and_know_their_range(patients, tmp_path):
    X, y, *_ = patients
    columns = X[["N", *[name for name in X.columns if "__" in name][:5]]]
    save_model(BoostedModel().fit(columns, y), tmp_path, name="trees")
    model = load_model(tmp_path)
    new = columns.iloc[:3].copy()
    new.iloc[0, 1] = 1e6
    found = predict(model, new, horizons_months=[36])
    table = found.to_frame()
    assert table["survival_36_months"].isna().tolist() == [True, False, False]
    assert table["survival_36_months_lower"].isna().all()
    assert set(table["interval"]) == {"none"}
    assert any("no confidence intervals" in note for note in found.notes)
    assert validate_model(model, columns, y).to_frame()["estimate"].iloc[0] > 0.5
