"""Boosted trees: risks, probabilities, factors, missing values."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError
from radiomics_npc.survival.metrics.calibration import calibrate
from radiomics_npc.survival.metrics.concordance import harrell_c
from radiomics_npc.survival.models.boosting import BoostedModel


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
    assert model.importance()["share"].sum() == pytest.approx(1.0)


def test_probabilities_are_calibrated_on_new_patients(draw):
    """Risks of trees are too extreme for their own training patients; the slope of inner folds mends that."""
    X, y, _ = draw(1200, 24, 1)
    model = BoostedModel().fit(X.iloc[:400], y.take(range(400)))
    new = y.take(range(400, 1200))
    found = calibrate(new, model.predict_survival(X.iloc[400:], [60])[:, 0])
    low, high = found.observed_expected_interval
    assert low < 1.1
    assert high > 0.9
    assert np.abs(found.table["observed"] - found.table["predicted"]).max() < 0.12


def test_survival_falls_with_time_and_risk_and_ends_with_follow_up(fitted, patients):
    X, _, _ = patients
    probability = fitted.predict_survival(X, [0, 12, 36, 60, 60.5])
    assert (probability[:, 0] == 1).all()
    assert (np.diff(probability[:, :4], axis=1) <= 0).all()
    assert np.isnan(probability[:, 4]).all()
    if fitted.slope_ > 0:
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
