"""The Cox model against R; factors, sparse levels, failures."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError
from radiomics_npc.survival.design import merge_levels
from radiomics_npc.survival.models.cox import CoxModel


@pytest.fixture(scope="module")
def model(gbsg):
    return CoxModel().fit(*gbsg)


def test_coefficients_equal_r(model, table, numbers):
    """Tolerance 1e-10: R stops 3e-11 short (the score is 5e-9 at its coefficients, 1e-13 at these)."""
    expected = table("A_coef").set_index("term")
    np.testing.assert_allclose(model.coef_[expected.index], expected["coef"], rtol=0, atol=1e-10)
    errors = np.sqrt(np.diag(model.covariance_.loc[expected.index, expected.index]))
    np.testing.assert_allclose(errors, expected["se"], rtol=0, atol=1e-10)
    assert model.loglik_ == pytest.approx(numbers("A_summary")["loglik"][1], abs=1e-9)


def test_predictions_and_limits_equal_r(model, gbsg, table):
    expected = table("A_pred")
    survival = model.predict_survival(gbsg[0], [36, 60])
    np.testing.assert_allclose(survival, expected[["S36", "S60"]], rtol=0, atol=1e-9)
    limits = model.predict_interval(gbsg[0], 60)
    np.testing.assert_allclose(limits, expected[["lo60", "hi60"]], rtol=0, atol=1e-9)
    center = table("A_coef").set_index("term")["coef"]
    gap = model.linear_predictor(gbsg[0]) - expected["lp"]
    assert np.ptp(gap) < 1e-9, center


def test_baseline_equals_r(model, table):
    expected = table("A_basehaz").set_index("time")["H0_x0"]
    found = model.baseline_.set_index("time_months")["cumulative_hazard"]
    np.testing.assert_allclose(found, expected.loc[found.index], rtol=0, atol=1e-9)


def test_summary_has_references_and_hazard_ratios(model):
    summary = model.summary().set_index(["term", "level"])
    assert summary.loc[("grade", "1"), "hazard_ratio"] == 1.0
    row = summary.loc[("lognodes", "")]
    assert row["hazard_ratio"] == pytest.approx(np.exp(row["coef"]))
    assert row["lower"] < row["hazard_ratio"] < row["upper"]
    assert row["p"] < 1e-10


def test_scale_and_order_of_patients_do_not_matter(model, gbsg):
    X, y = gbsg
    turn = np.random.default_rng(0).permutation(len(y))
    other = CoxModel().fit(X.iloc[turn].assign(age=X["age"] * 1000 + 5), y.take(turn))
    ours = model.predict_survival(X, [60])
    theirs = other.predict_survival(X.assign(age=X["age"] * 1000 + 5), [60])
    np.testing.assert_allclose(ours, theirs, atol=1e-9)


def test_past_follow_up_is_unknown(model, gbsg):
    last = gbsg[1].time_months.max()
    found = model.predict_survival(gbsg[0].iloc[:2], [0, last, last + 0.1])
    assert (found[:, 0] == 1).all()
    assert np.isfinite(found[:, 1]).all()
    assert np.isnan(found[:, 2]).all()
    assert np.isnan(model.predict_interval(gbsg[0].iloc[:2], last + 0.1)).all()


def factor(codes, levels, **options):
    return pd.Series(pd.Categorical.from_codes(codes, levels, **options), name="T")


def test_sparse_stages_join_their_lower_neighbour():
    codes = np.repeat([0, 1, 2, 3, 4], [1, 12, 12, 3, 12])
    event = np.arange(40) % 2 == 0
    reads, counts = merge_levels(
        factor(codes, ["T0", "T1", "T2", "T3", "T4"]), event, minimum=5, neighbours=True
    )
    assert reads == {"T0": "T0+T1", "T1": "T0+T1", "T2": "T2+T3", "T3": "T2+T3", "T4": "T4"}
    assert counts["T3"] == 3


def test_a_level_without_events_is_merged_too():
    codes = np.repeat([0, 1, 2], 10)
    event = codes > 0
    event[-1] = event[10] = False
    reads, _ = merge_levels(factor(codes, ["T1", "T2", "T3"]), event, minimum=1, neighbours=True)
    assert reads == {"T1": "T1+T2", "T2": "T1+T2", "T3": "T3"}


def test_sparse_levels_without_order_become_other():
    codes = np.repeat([0, 1, 2, 3], [20, 20, 4, 4])
    event = np.arange(48) % 2 == 0
    levels = ["a", "b", "c", "d"]
    reads, _ = merge_levels(factor(codes, levels), event, minimum=6, neighbours=False)
    assert reads == {"a": "a", "b": "b", "c": "c+d", "d": "c+d"}
    reads, _ = merge_levels(factor(codes, levels), event, minimum=10, neighbours=False)
    assert reads == {"a": "a+c+d", "b": "b", "c": "a+c+d", "d": "a+c+d"}


def staged(n: int = 120) -> tuple[pd.DataFrame, Outcome]:
    random = np.random.default_rng(5)
    codes = random.choice(4, n, p=[0.02, 0.38, 0.3, 0.3])
    X = pd.DataFrame(
        {"T": factor(codes, ["T0", "T1", "T2", "T3"]).to_numpy(), "flat": 1.0, "age": random.normal(size=n)}
    )
    X["T"] = pd.Categorical.from_codes(codes, ["T0", "T1", "T2", "T3"])
    X.index = pd.Index([str(k) for k in range(n)])
    y = Outcome(random.exponential(50 * np.exp(-0.4 * codes)), random.random(n) < 0.7, X.index)
    return X, y


def test_merging_is_said_and_used_in_predictions():
    X, y = staged()
    model = CoxModel(min_category=10).fit(X, y)
    assert model.merged_ == {"T": {"T0": "T0+T1", "T1": "T0+T1"}}
    assert model.dropped_ == {"flat": "the same value in all patients"}
    assert any("T0 read as T0+T1" in note for note in model.notes_)
    assert model.terms_[0].levels == ("T0+T1", "T2", "T3")
    assert model.terms_[0].coefficients[0] == 0.0
    new = X.iloc[:2].assign(age=0.0)
    new["T"] = pd.Categorical(["T0", "T1"], ["T0", "T1", "T2", "T3"])
    low, high = model.predict_risk(new)
    assert low == high


def test_unknown_levels_and_missing_values_are_refused():
    X, y = staged()
    model = CoxModel().fit(X, y)
    with pytest.raises(CohortError, match="does not know T9"):
        model.predict_risk(X.assign(T=pd.Categorical(["T9"] * len(X))))
    with pytest.raises(CohortError, match="column age: 1 values are missing"):
        CoxModel().fit(X.assign(age=X["age"].mask(np.arange(len(X)) == 3)), y)
    with pytest.raises(CohortError, match="absent: age"):
        model.predict_risk(X.drop(columns="age"))
    with pytest.raises(CohortError, match="text where the model needs numbers"):
        CoxModel().fit(X.assign(age="old"), y)
    with pytest.raises(CohortError, match="another order"):
        CoxModel().fit(X.iloc[::-1], y)
    with pytest.raises(CohortError, match="no patient has an event"):
        CoxModel().fit(X, Outcome(y.time_months, np.zeros(len(y)), X.index))


def test_separation_raises_unless_a_fallback_is_allowed_and_then_it_is_said():
    n = 60
    X = pd.DataFrame({"x": np.repeat([0.0, 1.0], n // 2)}, index=[str(k) for k in range(n)])
    y = Outcome(np.where(X["x"] == 1, 10.0, 60.0) + np.arange(n) / 100, X["x"] == 1, X.index)
    with pytest.raises(CohortError, match=r"without limit|did not converge"):
        CoxModel().fit(X, y)
    model = CoxModel(fallback_penalizer=0.01).fit(X, y)
    assert model.penalizer_ == 0.01
    assert any(note.startswith("ridge penalty 0.01") for note in model.notes_)
    assert 0 < model.coef_["x"] < 15


def test_collinear_columns_raise(gbsg):
    X, y = gbsg
    with pytest.raises(CohortError, match=r"converge|limit"):
        CoxModel().fit(X[["age"]].assign(again=X["age"] * 2), y)


def test_a_model_without_columns_is_the_kaplan_meier_of_all(gbsg):
    X, y = gbsg
    model = CoxModel().fit(X[["age"]].assign(age=1.0), y)
    assert len(model.coef_) == 0
    assert np.ptp(model.predict_risk(X)) == 0
    assert model.predict_interval(X.iloc[:1], 36).shape == (1, 2)


def test_columns_with_names_of_lifelines_own(gbsg):
    X, y = gbsg
    odd = X[["age", "size"]].set_axis(["T", "time_"], axis=1)
    np.testing.assert_allclose(CoxModel().fit(odd, y).coef_, CoxModel().fit(X[["age", "size"]], y).coef_)


def test_time_zero_and_clone(gbsg):
    X, y = gbsg
    time = y.time_months.copy()
    time[:3] = 0.0
    model = CoxModel(min_category=3, penalizer=0.1)
    assert clone(model).get_params() == model.get_params()
    fitted = clone(model).fit(X, Outcome(time, y.event, X.index))
    assert np.isfinite(fitted.coef_).all()


def test_json_round_trip_predicts_the_same(model, gbsg):
    again = CoxModel.from_dict(json.loads(json.dumps(model.to_dict())))
    for ours, theirs in (
        (model.predict_survival(gbsg[0], [12, 60]), again.predict_survival(gbsg[0], [12, 60])),
        (model.predict_interval(gbsg[0], 60), again.predict_interval(gbsg[0], 60)),
    ):
        np.testing.assert_array_equal(ours, theirs)
    assert again.terms_ == model.terms_
    pd.testing.assert_frame_equal(again.summary(), model.summary())
