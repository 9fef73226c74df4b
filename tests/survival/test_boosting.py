"""Boosted trees: risks, probabilities, factors, missing values."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.base import clone

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError, ConfigError
from radiomics_npc.survival.metrics.calibration import calibrate
from radiomics_npc.survival.metrics.concordance import harrell_c
from radiomics_npc.survival.models.boosting import BoostedModel
from radiomics_npc.survival.models.model_file import load_model, save_model
from radiomics_npc.survival.models.trees import (
    base_settings,
    complete_settings,
    grow_trees,
    labeled,
    margins,
    null_location,
)


@pytest.fixture(scope="module")
def fitted(patients):
    X, y, _ = patients
    return BoostedModel(max_features=30, max_correlation=0.9).fit(X, y)


def test_finds_an_effect_that_no_linear_model_has():
    """A risk that is high at both ends of a column."""
    random = np.random.default_rng(0)
    x = random.uniform(-2, 2, 600)
    X = pd.DataFrame({"x": x, "noise": random.normal(size=600)}, index=[str(k) for k in range(600)])
    y = Outcome(random.exponential(60 * np.exp(-(x**2))), np.ones(600), X.index).censor_at(60)
    model = BoostedModel().fit(X.iloc[:300], y.take(range(300)))
    found = harrell_c(y.take(range(300, 600)), model.predict_risk(X.iloc[300:])).estimate
    truth = harrell_c(y.take(range(300, 600)), x[300:] ** 2).estimate
    assert found > 0.5 + 0.8 * (truth - 0.5)
    assert model.importance()["column"].iloc[0] == "x"
    assert model.importance()["share"].sum() == pytest.approx(1.0, rel=1e-12)


def test_probabilities_are_calibrated_on_new_patients(draw):
    """Risks of trees are too extreme for their own training patients; the slope of inner folds mends that."""
    X, y, _ = draw(1200, 24, 1)
    model = BoostedModel().fit(X.iloc[:400], y.take(range(400)))
    new = y.take(range(400, 1200))
    found = calibrate(new, model.predict_survival(X.iloc[400:], [60])[:, 0])
    low, high = found.observed_expected_interval
    assert low < 1 < high
    assert np.abs(found.table["observed"] - found.table["predicted"]).max() < 0.08


def test_survival_falls_with_time_and_risk_and_ends_with_follow_up(fitted, patients):
    X, _, _ = patients
    probability = fitted.predict_survival(X, [0, 12, 36, 60, 60.5])
    assert (probability[:, 0] == 1).all()
    assert (np.diff(probability[:, :4], axis=1) <= 0).all()
    assert np.isnan(probability[:, 4]).all()
    assert fitted.slope_ > 0
    order = np.argsort(fitted.predict_risk(X))
    assert (np.diff(probability[order, 3]) <= 0).all()


def test_same_seed_same_trees_and_clone(patients):
    X, y, _ = patients
    model = BoostedModel(max_features=10, max_rounds=30, random_state=4)
    first, second = clone(model).fit(X, y), clone(model).fit(X, y)
    np.testing.assert_array_equal(first.predict_risk(X), second.predict_risk(X))
    assert first.trees() == second.trees()


def test_missing_values_and_absent_columns(fitted, patients):
    X, _, _ = patients
    holes = X.copy()
    holes.iloc[:20, 5] = np.nan
    holes["T"] = holes["T"].mask(np.arange(len(X)) < 3)
    assert np.isfinite(fitted.predict_risk(holes)).all()
    unused = [name for name in X.columns if "__" in name and name not in fitted.columns_]
    np.testing.assert_array_equal(fitted.predict_risk(X.drop(columns=unused)), fitted.predict_risk(X))
    with pytest.raises(CohortError, match="absent: T"):
        fitted.predict_risk(X.drop(columns="T"))
    with pytest.raises(CohortError, match="does not know TX"):
        fitted.predict_risk(X.assign(T=pd.Categorical(["TX"] * len(X))))


def test_ordered_factors_are_codes_and_others_one_column_a_level():
    random = np.random.default_rng(2)
    n = 80
    X = pd.DataFrame({
        "N": pd.Categorical(random.choice(["N0", "N1", "N2"], n)),
        "scanner": pd.Categorical(random.choice(["a", "b", "c"], n)),
    }, index=[str(k) for k in range(n)])  # fmt: skip
    y = Outcome(random.exponential(30, n), random.random(n) < 0.7, X.index)
    model = BoostedModel(max_rounds=5).fit(X, y)
    assert model.columns_ == ["N", "scanner=b", "scanner=c"]
    assert model.ranges_ == {"N": ["N0", "N1", "N2"], "scanner": ["a", "b", "c"]}


def test_time_zero_counts_as_an_event(draw):
    X, y, _ = draw(80, 12, 3)
    time = y.time_months.copy()
    time[np.flatnonzero(y.event)[0]] = 0.0
    shifted = Outcome(time + 1, y.event, X.index)
    zero = Outcome(time, y.event, X.index)
    a, b = BoostedModel(max_rounds=20).fit(X, zero), BoostedModel(max_rounds=20).fit(X, shifted)
    np.testing.assert_array_equal(a.predict_risk(X), b.predict_risk(X))


def test_round_trip(fitted, patients):
    X, _, _ = patients
    again = BoostedModel.from_dict(json.loads(json.dumps(fitted.to_dict())), fitted.trees())
    np.testing.assert_array_equal(again.predict_survival(X, [36, 60]), fitted.predict_survival(X, [36, 60]))


# -- objectives ----------------------------------------------------------------------------------


def curved(n, seed, *, noise=4):
    """A log hazard that is high at both ends of one column and steps up in another."""
    random = np.random.default_rng(seed)
    X = pd.DataFrame(
        random.uniform(-2, 2, (n, 2 + noise)), columns=list("xz") + [f"noise{k}" for k in range(noise)]
    )
    X.index = pd.Index([str(k) for k in range(n)], name="patient_id")
    truth = X["x"].to_numpy() ** 2 + 1.0 * (X["z"].to_numpy() > 0.5)
    lost = random.uniform(10, 120, n)
    time = random.exponential(60 * np.exp(-truth))
    return X, Outcome(np.minimum(time, lost), time <= lost, X.index).censor_at(60), truth


@pytest.mark.parametrize("how", [
    {"objective": "cox"}, {"objective": "cox", "tune": "grid"}, {"objective": "aft"},
    {"objective": "aft", "distribution": "extreme"},
    {"objective": "aft", "distribution": "logistic", "tune": "grid"},
])  # fmt: skip
def test_near_the_oracle_where_the_hazard_is_curved(how):
    X, y, _ = curved(600, 0)
    new, outcome, truth = curved(3000, 1)
    model = BoostedModel(**how).fit(X, y)
    oracle = harrell_c(outcome, truth).estimate
    assert harrell_c(outcome, model.predict_risk(new)).estimate > oracle - 0.03
    assert np.corrcoef(model.predict_risk(new), truth)[0, 1] > 0.7
    found = calibrate(outcome, model.predict_survival(new, [36])[:, 0], horizon_months=36)
    assert np.abs(found.table["observed"] - found.table["predicted"]).max() < 0.08


def test_extreme_risks_are_log_hazards():
    """Times are Weibull in the simulation: the slope of an AFT model of that distribution is near 1."""
    X, y, _ = curved(1500, 3)
    assert 0.8 < BoostedModel(objective="aft", distribution="extreme").fit(X, y).slope_ < 1.25


def test_start_of_aft_trees_is_the_likeliest_constant(gbsg):
    _, y = gbsg
    rate = y.event.sum() / y.time_months.sum()
    assert null_location(y, "extreme", 1.0) == pytest.approx(-np.log(rate), abs=1e-7)
    known = Outcome(y.time_months, np.ones(len(y)))
    for scale in (0.5, 2.0):
        assert null_location(known, "normal", scale) == pytest.approx(np.log(y.time_months).mean(), abs=1e-7)


@pytest.mark.parametrize("distribution", ["normal", "logistic", "extreme"])
def test_xgboost_sees_the_likelihood_of_censored_times(gbsg, distribution):
    """Its loss before any tree against the log likelihood by scipy, to single precision."""
    import xgboost

    _, y = gbsg
    settings = base_settings("aft", distribution, 0) | {"aft_loss_distribution_scale": 0.5}
    settings = complete_settings(settings, y, [0])
    data = labeled(np.zeros((len(y), 1)), y, "aft")
    # A booster that was copied or loaded, as xgboost.train returns it, has forgotten the scale in its loss.
    found = float(xgboost.Booster(settings, [data]).eval(data).rsplit(":", 1)[1])
    error = {"normal": stats.norm, "logistic": stats.logistic, "extreme": stats.gumbel_l}[distribution]
    time = y.time_months
    z = (np.log(time) - np.log(settings["base_score"])) / 0.5
    log_likelihood = np.where(y.event, error.logpdf(z) - np.log(0.5 * time), error.logsf(z))
    assert found == pytest.approx(-log_likelihood.mean(), rel=2e-6)


def test_xgboost_sees_the_partial_likelihood(gbsg):
    """Its loss after some trees against Breslow's partial likelihood, to single precision."""
    X, y = gbsg
    data = labeled(X[["age"]].to_numpy(), y, "cox")
    booster = grow_trees(complete_settings(base_settings("cox", "normal", 0), y, [0]), data, 5)
    found = float(booster.eval(data).rsplit(":", 1)[1])
    margin = margins(booster, data, 5)
    at_risk = y.time_months[None, :] >= y.time_months[y.event][:, None]
    loss = np.log((at_risk * np.exp(margin)).sum(axis=1)) - margin[y.event]
    assert found == pytest.approx(loss.mean(), rel=2e-6)


def test_trees_grown_in_step_with_others_are_the_same_trees():
    """xgboost draws the random numbers of all its boosters from one stream unless told otherwise."""
    import xgboost

    X, y, _ = curved(120, 7)
    settings = base_settings("cox", "normal", 0, subsample=0.5, colsample_bytree=0.5, max_depth=2, eta=0.3)
    settings = complete_settings(settings, y, [0] * 6)
    data = [
        labeled(X.to_numpy()[half], y.take(np.arange(120)[half]), "cox")
        for half in (slice(60), slice(60, 120))
    ]
    boosters = [xgboost.Booster(settings, [part]) for part in data]
    for step in range(5):
        for booster, part in zip(boosters, data, strict=True):
            booster.update(part, step)
    for booster, part in zip(boosters, data, strict=True):
        alone = margins(grow_trees(settings, part, 5), part, 5)
        np.testing.assert_array_equal(margins(booster, part, 5), alone)


# -- constraints ---------------------------------------------------------------------------------


def rising(n=150, seed=5):
    """A hazard that rises a little with T and volume, under much noise."""
    random = np.random.default_rng(seed)
    t = random.integers(0, 4, n)
    volume = random.gamma(2, 10, n)
    X = pd.DataFrame({
        "T": pd.Categorical([f"T{k + 1}" for k in t], ["T1", "T2", "T3", "T4"]),
        "t1__morphology__volume_cm3": volume,
        "ebv_dna": pd.Categorical(random.choice(["no", "yes"], n)),
    }, index=pd.Index([str(k) for k in range(n)], name="patient_id"))  # fmt: skip
    time = random.exponential(60 * np.exp(-0.15 * t - 0.01 * volume))
    return X, Outcome(time, np.ones(n), X.index).censor_at(60)


def smallest_step(model, X):
    """Least rise of the risk from one value to the next, over patients and both columns."""
    grid = np.quantile(X["t1__morphology__volume_cm3"], np.linspace(0, 1, 40))
    by_volume = [model.predict_risk(X.assign(t1__morphology__volume_cm3=v)) for v in grid]
    levels = X["T"].cat.categories
    by_t = [model.predict_risk(X.assign(T=pd.Categorical([v] * len(X), levels))) for v in levels]
    return min(np.diff(by_volume, axis=0).min(), np.diff(by_t, axis=0).min())


@pytest.mark.parametrize("objective", ["cox", "aft"])
def test_constrained_risks_never_fall(objective):
    X, y = rising()
    settings = {"objective": objective, "max_rounds": 60, "patience": 60, "learning_rate": 0.3}
    free = BoostedModel(**settings).fit(X, y)
    bound = BoostedModel(**settings, monotone={"T": 1, "t1__morphology__volume_cm3": 1}).fit(X, y)
    assert smallest_step(free, X) < -0.01
    assert smallest_step(bound, X) >= -1e-6
    fallen = BoostedModel(**settings, monotone={"t1__morphology__volume_cm3": -1}).fit(X, y)
    grid = [fallen.predict_risk(X.assign(t1__morphology__volume_cm3=v)) for v in (1.0, 20.0, 60.0)]
    assert np.diff(grid, axis=0).max() <= 1e-6


def test_constraints_that_make_no_sense_are_refused(patients):
    X, y = rising()
    for constraint, message in (
        ({"age": 1}, "no column age"), ({"ebv_dna": 1}, "ebv_dna has no order"), ({"T": 2}, "T is 2"),
    ):  # fmt: skip
        with pytest.raises(ConfigError, match=message):
            BoostedModel(monotone=constraint).fit(X, y)
    wide, outcome, _ = patients
    last = wide.columns[-1]
    model = BoostedModel(monotone={"T": 1, last: 1}, max_features=3, max_rounds=5).fit(wide, outcome)
    assert [note for note in model.notes_ if "not constrained" in note] == [
        f"{last}: not among the screened features, so not constrained"
    ]


# -- tuning --------------------------------------------------------------------------------------


def test_growing_stops_early_on_noise():
    X, y, _ = curved(300, 2)
    random = np.random.default_rng(0)
    other = random.permutation(300)
    model = BoostedModel().fit(X, y)
    noise = BoostedModel().fit(X, Outcome(y.time_months[other], y.event[other], X.index))
    assert noise.rounds_ < 0.5 * model.rounds_
    assert noise.tuning_["grown"].iloc[0] == noise.rounds_ + noise.patience < noise.max_rounds
    assert np.std(noise.slope_ * noise.predict_risk(X)) < 0.2 * np.std(model.slope_ * model.predict_risk(X))


def test_patience_saves_time_and_changes_nothing_once_the_least_loss_is_found():
    X, y, _ = curved(300, 2)
    hasty, patient = BoostedModel(patience=30).fit(X, y), BoostedModel(patience=200).fit(X, y)
    assert patient.tuning_["grown"].iloc[0] == 200
    assert hasty.rounds_ == patient.rounds_
    np.testing.assert_array_equal(hasty.predict_risk(X), patient.predict_risk(X))
    np.testing.assert_array_equal(hasty.training_risk_, patient.training_risk_)


def test_the_grid_takes_the_least_held_out_loss():
    X, y, _ = curved(200, 4)
    model = BoostedModel(tune="grid", objective="aft").fit(X, y)
    assert len(model.tuning_) == 15
    best = model.tuning_.loc[model.tuning_["loss"].idxmin()]
    assert model.rounds_ == best["rounds"]
    for key in ("max_depth", "min_child_weight", "lambda", "aft_loss_distribution_scale"):
        assert model.growth_[key] == best[key]
    assert best["loss"] <= BoostedModel(objective="aft").fit(X, y).tuning_["loss"].min()


def test_held_out_risks_are_of_trees_that_did_not_see_the_patient():
    X, y, _ = curved(200, 6)
    model = BoostedModel().fit(X, y)
    seen = harrell_c(y, model.predict_risk(X)).estimate
    assert 0.6 < harrell_c(y, model.training_risk_).estimate < seen - 0.02


@pytest.mark.parametrize(
    "wrong", [{"objective": "logistic"}, {"tune": "all"}, {"max_rounds": 0}, {"patience": 0}]
)
def test_unknown_parameters_are_refused(wrong):
    X, y, _ = curved(40, 0)
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        BoostedModel(**wrong).fit(X, y)


# -- columns -------------------------------------------------------------------------------------


def test_the_order_of_columns_does_not_matter(patients):
    X, y, _ = patients
    turned = X[list(X.columns[::-1])]
    for model in (BoostedModel(max_features=10, max_rounds=20), BoostedModel(max_rounds=20, objective="aft")):
        first, second = clone(model).fit(X, y), clone(model).fit(turned, y)
        assert first.columns_ == second.columns_
        np.testing.assert_array_equal(first.predict_risk(X), second.predict_risk(turned))


def test_columns_without_values_are_left_out_and_said():
    X, y, _ = curved(60, 0)
    X["empty"] = np.nan
    X["constant"] = 1.0
    X["ward"] = pd.Categorical(["a"] * 60)
    model = BoostedModel(max_rounds=5).fit(X, y)
    assert model.notes_ == [f"{name}: left out, no values to split" for name in ("ward", "empty")]
    assert np.isfinite(model.predict_risk(X.drop(columns=["empty", "ward"]))).all()
    assert json.dumps(model.to_dict(), allow_nan=False)
    with pytest.raises(CohortError, match="no column is left"):
        BoostedModel().fit(X[["empty"]], y)
    with pytest.raises(CohortError, match="no patients"):
        model.predict_risk(X.iloc[:0])


@pytest.mark.parametrize("objective", ["cox", "aft"])
def test_ties_few_patients_and_events_at_time_zero(objective):
    random = np.random.default_rng(0)
    X = pd.DataFrame({"x": random.normal(size=14)}, index=[str(k) for k in range(14)])
    y = Outcome(
        np.repeat([0.0, 6, 12, 24, 24, 36, 60], 2), [1, 1, 1, 0, 1, 1, 0, 0, 0, 1, 0, 0, 0, 0], X.index
    )
    model = BoostedModel(objective=objective, max_rounds=10).fit(X, y)
    probability = model.predict_survival(X, [0, 30, 60, 61])
    assert np.isfinite(probability[:, :3]).all()
    assert np.isnan(probability[:, 3]).all()
    with pytest.raises(CohortError, match="events are too few"):
        BoostedModel(objective=objective).fit(X, Outcome(y.time_months, np.zeros(14), X.index))


def test_round_trip_of_a_constrained_aft_model(tmp_path):
    X, y = rising(80)
    model = BoostedModel(objective="aft", monotone={"T": 1}, tune="grid", max_rounds=15).fit(X, y)
    save_model(model, tmp_path, name="aft")
    again = load_model(tmp_path)
    np.testing.assert_array_equal(again.predict_survival(X, [36]), model.predict_survival(X, [36]))
    assert again.get_params() == model.get_params()
    pd.testing.assert_frame_equal(again.tuning_, model.tuning_)


def test_simulated_patients_are_said(patients):
    X, y, _ = patients
    never = Outcome(y.time_months, y.event, y.patient_id, simulated=True)
    model = BoostedModel(max_features=3, max_rounds=3).fit(X, never)
    assert model.to_frame()["simulated"].all()
    assert "simulated patients" in model._repr_html_()
