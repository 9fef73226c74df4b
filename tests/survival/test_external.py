"""A frozen model on other patients: each score with its limits, recalibration, case mix."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from statsmodels.api import GLM, families

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError
from radiomics_npc.survival.estimation.kaplan_meier import kaplan_meier
from radiomics_npc.survival.metrics.brier import brier_at
from radiomics_npc.survival.metrics.roc import auc_at
from radiomics_npc.survival.metrics.weak_calibration import calibration_slope
from radiomics_npc.survival.models.boosting import BoostedModel
from radiomics_npc.survival.models.cox import CoxModel
from radiomics_npc.survival.models.standard import standard_model
from radiomics_npc.survival.validation.external import validate_model
from radiomics_npc.survival.validation.horizon_scores import case_mix, own_cumulative_hazard
from radiomics_npc.survival.validation.recalibration import RecalibratedModel, fit_slope, log_hazard


def cohort(n: int, seed: int, *, spread: float = 1.0, slope: float = 1.0, scale: float = 60.0):
    """Log hazard slope * a; a has the spread given."""
    random = np.random.default_rng(seed)
    X = pd.DataFrame(
        random.normal(0, spread, size=(n, 1)), columns=["a"], index=[f"{k:04d}" for k in range(n)]
    )
    time, lost = random.exponential(scale * np.exp(-slope * X["a"])), random.uniform(30, 150, n)
    return X, Outcome(np.minimum(time, lost), time <= lost, X.index)


@pytest.fixture(scope="module")
def model() -> CoxModel:
    return CoxModel().fit(*cohort(600, 0))


@pytest.fixture(scope="module")
def frame(model):
    X, y = cohort(500, 1)
    return validate_model(model, X, y, resamples=20).to_frame().set_index("metric")


def test_every_score_has_limits_around_it(frame):
    assert list(frame.index) == [
        "harrell_c", "uno_c_60", "auc_60", "brier_60", "ipa_60", "observed_expected_60",
        "calibration_intercept", "ici_60", "calibration_slope",
    ]  # fmt: skip
    assert (frame["lower"] < frame["upper"]).all()
    inside = frame.drop("ici_60")  # a mean distance is pushed away from 0 in every resample
    assert inside["estimate"].between(inside["lower"], inside["upper"]).all()


def test_scores_equal_those_of_their_modules(model, frame):
    X, y = cohort(500, 1)
    survival = model.predict_survival(X, [60.0])[:, 0]
    auc, brier = auc_at(y, model.predict_risk(X), [60]), brier_at(y, survival, [60])
    assert frame.loc["auc_60", "estimate"] == pytest.approx(auc.auc[0], abs=1e-12)
    assert frame.loc["auc_60", "upper"] == pytest.approx(auc.auc[0] + norm.ppf(0.975) * auc.se[0], abs=1e-12)
    assert frame.loc["brier_60", "estimate"] == brier.brier[0]
    assert frame.loc["ipa_60", "estimate"] == pytest.approx(brier.ipa[0], abs=1e-12)
    assert frame.loc["calibration_slope", "estimate"] == pytest.approx(
        calibration_slope(y, survival)[0], abs=1e-12
    )


def test_limits_of_the_ipa_equal_its_bootstrap(model):
    """Standard error by the delta method against 300 bootstrap samples: within 15%."""
    X, y = cohort(500, 1)
    row = validate_model(model, X, y).to_frame().set_index("metric").loc["ipa_60"]
    survival, random = model.predict_survival(X, [60.0])[:, 0], np.random.default_rng(0)
    drawn = []
    for _ in range(300):
        rows = random.integers(0, 500, 500)
        drawn.append(brier_at(y.take(rows), survival[rows], [60]).ipa[0])
    assert (row["upper"] - row["lower"]) / 2 / norm.ppf(0.975) == pytest.approx(np.std(drawn), rel=0.15)


def test_calibration_intercept_is_the_poisson_one(model):
    """Against statsmodels: events with the log of the expected as offset, up to the horizon."""
    X, y = cohort(400, 2, scale=40.0)
    early = y.censor_at(60)
    expected = -np.log(
        [model.predict_survival(X.iloc[[k]], [early.time_months[k]])[0, 0] for k in range(400)]
    )
    np.testing.assert_allclose(own_cumulative_hazard(model, X, early), expected, rtol=0, atol=1e-12)
    seen = expected > 0
    fit = GLM(early.event[seen].astype(float), np.ones(seen.sum()), families.Poisson(),
              offset=np.log(expected[seen])).fit(tol=1e-12)  # fmt: skip
    row = validate_model(model, X, y).to_frame().set_index("metric").loc["calibration_intercept"]
    assert row["estimate"] == pytest.approx(fit.params[0], abs=1e-12)
    assert (row["upper"] - row["lower"]) / 2 / norm.ppf(0.975) == pytest.approx(fit.bse[0], abs=1e-9)
    assert row["lower"] > 0  # these patients do worse than predicted
    assert row["estimate"] == pytest.approx(np.log(60 / 40), abs=0.25)


def test_recalibration_mends_slope_and_level(model):
    """Patients whose log hazards are half as far apart, and who do worse."""
    X, y = cohort(1500, 3, slope=0.5, scale=40.0)
    new, other = cohort(1500, 4, slope=0.5, scale=40.0)
    before = validate_model(model, new, other).to_frame().set_index("metric")["estimate"]
    both = (
        validate_model(RecalibratedModel(model).fit(X, y), new, other)
        .to_frame()
        .set_index("metric")["estimate"]
    )
    level = validate_model(RecalibratedModel(model, slope=1.0).fit(X, y), new, other)
    level = level.to_frame().set_index("metric")["estimate"]
    assert before["calibration_slope"] == pytest.approx(0.5, abs=0.08)
    assert abs(before["observed_expected_60"] - 1) > 0.1
    assert both["calibration_slope"] == pytest.approx(1, abs=0.15)
    assert both["observed_expected_60"] == pytest.approx(1, abs=0.07)
    assert level["calibration_slope"] == pytest.approx(before["calibration_slope"], abs=1e-12)
    assert abs(level["calibration_intercept"]) < 0.1 < before["calibration_intercept"]
    assert both["harrell_c"] == before["harrell_c"]
    assert both["brier_60"] < level["brier_60"] < before["brier_60"]


def test_recalibrated_on_its_own_patients_is_the_model_itself(model):
    X, y = cohort(600, 0)
    again = RecalibratedModel(model).fit(X, y)
    assert again.calibration_slope_ == pytest.approx(1, abs=1e-12)
    np.testing.assert_allclose(
        again.predict_survival(X, [12, 60]), model.predict_survival(X, [12, 60]), rtol=0, atol=1e-12
    )
    assert np.isnan(again.predict_survival(X, [1e4])).all()


def test_level_is_right_on_average_after_recalibration(model):
    """Expected events equal observed ones (Efron's baseline, no ties)."""
    X, y = cohort(300, 5, slope=0.5, scale=30.0)
    mended = RecalibratedModel(model, slope=1.0).fit(X, y)
    assert own_cumulative_hazard(mended, X, y).sum() == pytest.approx(y.event.sum(), abs=1e-9)


@pytest.mark.parametrize("name", ["clinical_cox", "combined_boosted"])
def test_standard_models_can_be_recalibrated(draw, name):
    X, y, _ = draw(120, 24, 3)
    fitted = standard_model(name, inner_folds=3).fit(X, y)
    mended = RecalibratedModel(fitted).fit(X, y)
    assert mended.calibration_slope_se_ > 0
    assert mended.predict_survival(X, [48]).shape == (120, 1)
    hazards = log_hazard(fitted, X)
    slope = getattr(fitted.last_step, "slope_", 1.0)
    np.testing.assert_allclose(hazards, slope * fitted.predict_risk(X), rtol=0, atol=1e-12)
    # The same scale as the probabilities: the complementary log-log differs by one number.
    gap = np.log(-np.log(fitted.predict_survival(X, [48])[:, 0])) - hazards
    assert np.ptp(gap) < 1e-9


def test_log_hazard_of_a_model_without_proportional_hazards():
    class Curves:
        def predict_survival(self, X, times):
            return np.tile(X[["p"]].to_numpy(), (1, len(times)))

    X = pd.DataFrame({"p": [0.2, 0.5, 0.9]})
    np.testing.assert_allclose(log_hazard(Curves(), X), np.log(-np.log(X["p"])), rtol=1e-12)
    with pytest.raises(CohortError, match="no probability at 60 months"):
        log_hazard(Curves(), X.assign(p=np.nan))


# -- case mix ----------------------------------------------------------------------------------


def test_case_mix_tells_a_narrower_cohort(model):
    X, y = cohort(2000, 6, spread=0.5)
    result = validate_model(model, X, y)
    mix = result.case_mix.set_index("quantity")
    made = model.training_risk_
    assert mix.loc["sd", "development"] == pytest.approx(made.std(ddof=1), abs=1e-12)
    assert mix.loc["sd", "validation"] == pytest.approx(model.predict_risk(X).std(ddof=1), abs=1e-12)
    assert mix.loc["sd", "validation"] < 0.6 * mix.loc["sd", "development"]
    wide = validate_model(model, *cohort(2000, 7))
    assert result.harrell.estimate < wide.harrell.estimate - 0.05
    # ... though the model is as right as ever.
    assert result.to_frame().set_index("metric").loc["calibration_slope", "estimate"] == pytest.approx(
        1, abs=0.15
    )
    assert "development" in result._repr_html_()


def test_case_mix_of_a_loaded_model_needs_what_the_file_says(model):
    loaded = CoxModel.from_dict(model.to_dict())
    X, _ = cohort(50, 8)
    assert case_mix(loaded, log_hazard(loaded, X)) is None
    loaded.risk_summary_ = {"mean": 0.1, "sd": 1.2}
    found = case_mix(loaded, log_hazard(loaded, X))
    assert found["development"].tolist() == [0.1, 1.2]
    assert list(found.columns) == ["quantity", "development", "validation"]


# -- what cannot be had ------------------------------------------------------------------------


def test_short_follow_up_nobody_with_an_event_everyone_with_one(model):
    X, y = cohort(80, 9)
    short = validate_model(model, X, y.censor_at(40))
    assert list(short.to_frame()["metric"]) == ["harrell_c", "uno_c_60", "calibration_slope"]
    assert any("nobody is followed" in note for note in short.notes)
    none = validate_model(model, X, Outcome(y.time_months, np.zeros(80), X.index))
    assert np.isnan(none.slope)
    assert any("no event by then" in note for note in none.notes)
    every = validate_model(model, X, Outcome(y.time_months, np.ones(80), X.index))
    assert every.to_frame()["estimate"].notna().all()
    tied = validate_model(model, X, Outcome(np.ceil(y.time_months / 12) * 12, y.event, X.index))
    assert tied.to_frame()["estimate"].notna().all()


def test_a_horizon_past_the_models_follow_up(model):
    X, y = cohort(80, 9)
    late = Outcome(y.time_months * 10, y.event, X.index)
    result = validate_model(model, X, late, horizon_months=400)
    assert list(result.to_frame()["metric"]) == ["harrell_c", "uno_c_400", "calibration_slope"]
    assert any("no probability at 400 months" in note for note in result.notes)


def test_same_risk_for_everyone():
    X, y = cohort(60, 10)
    flat = CoxModel().fit(X.assign(a=1.0), y)
    result = validate_model(flat, X, y)
    assert result.harrell.estimate == 0.5
    assert any("the same risk for all patients" in note for note in result.notes)
    with pytest.raises(CohortError, match="the same risk"):
        fit_slope(y, np.zeros(60))


def test_observed_over_expected_is_kaplan_meier_over_mean_risk(model, frame):
    X, y = cohort(500, 1)
    observed = 1 - kaplan_meier(y).at([60])["survival"].iloc[0]
    expected = 1 - model.predict_survival(X, [60])[:, 0].mean()
    assert frame.loc["observed_expected_60", "estimate"] == pytest.approx(observed / expected, abs=1e-12)


def test_boosted_slopes_are_on_the_scale_of_the_probabilities():
    X, y = cohort(150, 11)
    trees = BoostedModel(max_rounds=30).fit(X, y)
    result = validate_model(trees, X, y)
    assert result.slope == pytest.approx(fit_slope(y, trees.slope_ * trees.predict_risk(X))[0], abs=1e-12)
