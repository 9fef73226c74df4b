"""The Cox model against R; factors, sparse levels, failures."""

import json

import numpy as np
import pandas as pd
import pytest
from lifelines import CoxPHFitter
from sklearn.base import clone
from statsmodels.duration.hazard_regression import PHReg

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError
from radiomics_npc.survival.design import encode_terms, merge_levels
from radiomics_npc.survival.estimation.partial_likelihood import maximize_partial_likelihood
from radiomics_npc.survival.metrics.concordance import harrell_c
from radiomics_npc.survival.metrics.weak_calibration import weak_calibration
from radiomics_npc.survival.models.cox import CoxModel
from radiomics_npc.survival.models.training_range import outside_training


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
    gap = model.linear_predictor(gbsg[0]) - expected["lp"]
    assert np.ptp(gap) < 1e-9


def test_baseline_equals_r(model, table):
    expected = table("A_basehaz").set_index("time")["H0_x0"]
    found = model.baseline_.set_index("time_months")["cumulative_hazard"]
    np.testing.assert_allclose(found, expected.loc[found.index], rtol=0, atol=1e-9)


def test_summary_has_references_and_hazard_ratios(model):
    summary = model.summary().set_index(["term", "level"])
    assert summary.loc[("grade", "1"), "hazard_ratio"] == 1.0
    row = summary.loc[("lognodes", "")]
    assert row["hazard_ratio"] == pytest.approx(np.exp(row["coef"]), rel=1e-12)
    assert row["lower"] < row["hazard_ratio"] < row["upper"]
    assert row["p"] < 1e-10


def test_scale_and_order_of_patients_do_not_matter(model, gbsg):
    X, y = gbsg
    turn = np.random.default_rng(0).permutation(len(y))
    other = CoxModel().fit(X.iloc[turn].assign(age=X["age"] * 1000 + 5), y.take(turn))
    ours = model.predict_survival(X, [60])
    theirs = other.predict_survival(X.assign(age=X["age"] * 1000 + 5), [60])
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)


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
    np.testing.assert_allclose(
        CoxModel().fit(odd, y).coef_, CoxModel().fit(X[["age", "size"]], y).coef_, rtol=1e-12
    )


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


# -- ridge, robust covariance ------------------------------------------------------------------


def plain(gbsg):
    """Columns without a factor, times without ties."""
    X, y = gbsg
    jitter = np.random.default_rng(3).permutation(len(y)) * 1e-6
    return X.drop(columns="grade"), Outcome(y.time_months + jitter, y.event, y.patient_id)


def lifelines_fit(X, y, *, penalizer=0.0, **options):
    table = X.rename(columns=str).assign(time_=y.time_months, event_=y.event.astype(int))
    newton = {"precision": 1e-12, "r_precision": 1e-14, "step_size": 1.0, "max_steps": 100}
    return CoxPHFitter(penalizer=penalizer).fit(table, "time_", "event_", fit_options=newton, **options)


def test_ridge_equals_lifelines(gbsg):
    """Another implementation, ties included; tolerance 1e-9."""
    X = gbsg[0].drop(columns="grade")
    ours, theirs = CoxModel(penalizer=0.05).fit(X, gbsg[1]), lifelines_fit(X, gbsg[1], penalizer=0.05)
    np.testing.assert_allclose(ours.coef_, theirs.params_[ours.coef_.index], rtol=0, atol=1e-9)
    np.testing.assert_allclose(np.sqrt(np.diag(ours.covariance_)), theirs.standard_errors_, rtol=1e-9)


def test_robust_covariance_equals_lifelines_without_ties(gbsg):
    X, y = plain(gbsg)
    ours = CoxModel(robust=True).fit(X, y)
    theirs = lifelines_fit(X, y, robust=True)
    np.testing.assert_allclose(np.sqrt(np.diag(ours.covariance_)), theirs.standard_errors_, rtol=1e-9)
    center = pd.Series(np.arange(len(y)) % 40, index=X.index, name="center")
    ours = CoxModel(cluster="center").fit(X.assign(center=center), y)
    theirs = lifelines_fit(X.assign(center=center), y, cluster_col="center")
    assert list(ours.coef_.index) == list(X.columns)
    np.testing.assert_allclose(np.sqrt(np.diag(ours.covariance_)), theirs.standard_errors_, rtol=1e-9)


def weighted_score(X, time, event, beta, weights):
    """Score of the Efron likelihood with a weight for each patient, written out as loops."""
    total = 0.0
    for t in np.unique(time[event]):
        risk, dying = time >= t, (time == t) & event
        count = int(dying.sum())
        total = total + weights[dying] @ X[dying]
        for k in range(count):
            w = weights * np.exp(X @ beta) * (risk - k / count * dying)
            total = total - weights[dying].mean() * (w @ X) / w.sum()
    return total


def test_robust_covariance_with_ties_is_the_infinitesimal_jackknife():
    """Oracle: complex-step derivative of the weighted Efron score by each patient's weight."""
    random = np.random.default_rng(4)
    n = 60
    X = pd.DataFrame(random.normal(size=(n, 2)), columns=["a", "b"], index=[str(k) for k in range(n)])
    time = np.ceil(random.exponential(4 * np.exp(-X["a"].to_numpy())))
    y = Outcome(time, random.random(n) < 0.7, X.index)
    assert len(np.unique(time[y.event])) < y.event.sum() / 2
    plain_model, robust = CoxModel().fit(X, y), CoxModel(robust=True).fit(X, y)
    scores = np.empty((n, 2))
    for i in range(n):
        weights = np.ones(n, dtype=complex)
        weights[i] += 1e-20j
        score = weighted_score(X.to_numpy(), time, y.event, plain_model.coef_.to_numpy(), weights)
        scores[i] = score.imag / 1e-20
    moved = scores @ plain_model.covariance_.to_numpy()
    np.testing.assert_allclose(robust.covariance_, moved.T @ moved, rtol=1e-12)
    np.testing.assert_array_equal(robust.coef_, plain_model.coef_)


def test_copies_of_patients_do_not_sharpen_a_clustered_model(gbsg):
    """Every patient twice: the clustered error is that of the patients once, the ordinary one is not."""
    X, y = plain(gbsg)
    once = CoxModel(robust=True).fit(X, y)
    rows = np.repeat(np.arange(len(y)), 2)
    twice_y = y.take(rows)
    twice = X.iloc[rows].assign(patient=rows).set_index(twice_y.patient_id)
    # Breslow would repeat exactly; Efron's ties move the copies a little.
    clustered = CoxModel(cluster="patient").fit(twice, twice_y)
    ratio = np.sqrt(np.diag(clustered.covariance_) / np.diag(once.covariance_))
    np.testing.assert_allclose(ratio, 1.0, atol=0.01)
    ordinary = CoxModel(robust=True).fit(twice.drop(columns="patient"), twice_y)
    assert (np.diag(ordinary.covariance_) < 0.6 * np.diag(once.covariance_)).all()


# -- splines -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def curved(gbsg):
    """R's model B: rcs(age, 4 knots) without menopause."""
    return CoxModel(splines={"age": 4}).fit(gbsg[0].drop(columns="meno"), gbsg[1])


def test_spline_model_equals_r(curved, table, numbers, gbsg):
    """B_coef: tolerance 1e-9, with which R stops; B_knots, Dxy: 1e-12."""
    expected = table("B_coef").set_index("term")
    assert list(curved.coef_.index) == list(expected.index)
    np.testing.assert_allclose(curved.coef_, expected["coef"], rtol=0, atol=1e-9)
    np.testing.assert_allclose(np.sqrt(np.diag(curved.covariance_)), expected["se"], rtol=0, atol=1e-9)
    age = curved.terms_[0]
    assert age.kind == "spline"
    np.testing.assert_allclose(age.knots, numbers("B_knots")["age_knots"], rtol=0, atol=1e-12)
    concordance = harrell_c(gbsg[1], curved.predict_risk(gbsg[0])).estimate
    assert 2 * concordance - 1 == pytest.approx(numbers("B_summary")["Dxy"], abs=1e-12)


def test_given_knots_and_the_units_of_a_spline(curved, gbsg):
    X, y = gbsg[0].drop(columns="meno"), gbsg[1]
    given = CoxModel(splines={"age": (36, 48, 58, 68)}).fit(X, y)
    np.testing.assert_allclose(given.coef_, curved.coef_, rtol=0, atol=1e-12)
    days = CoxModel(splines={"age": 4}).fit(X.assign(age=X["age"] * 365.25), y)
    np.testing.assert_allclose(days.anova()["chi_square"], curved.anova()["chi_square"], rtol=1e-12)
    at_days = days.predict_survival(X.assign(age=X["age"] * 365.25), [36])
    np.testing.assert_allclose(at_days, curved.predict_survival(X, [36]), rtol=0, atol=1e-12)


def test_summary_of_a_spline_is_the_ratio_between_quartiles(curved, gbsg):
    row = curved.summary().set_index("term").loc["age"]
    assert row["level"] == "61 against 46"
    profile = gbsg[0].iloc[[0, 0]].assign(age=[61.0, 46.0])
    assert row["coef"] == pytest.approx(-np.diff(curved.predict_risk(profile)).item(), abs=1e-12)
    # Other coefficients for the same columns, the first of them this contrast.
    matrix = encode_terms(curved.terms_, gbsg[0])
    low, high = encode_terms(curved.terms_, profile)[::-1]
    square = np.eye(matrix.shape[1])
    square[0] = high - low
    turned = pd.DataFrame(matrix @ np.linalg.inv(square), index=gbsg[0].index).add_prefix("z")
    other = CoxModel().fit(turned, gbsg[1]).summary().iloc[0]
    assert row["coef"] == pytest.approx(other["coef"], abs=1e-12)
    assert row["upper"] == pytest.approx(other["upper"], rel=1e-12)


def test_wald_tests_of_terms(curved, model):
    """Of one coefficient the square of z; of several the closed form; the reference of a factor is free."""
    tests, summary = curved.anova().set_index(["term", "test"]), curved.summary().set_index(["term", "level"])
    assert tests.loc[("size", "overall"), "chi_square"] == pytest.approx(
        summary.loc[("size", ""), "z"] ** 2, rel=1e-12
    )
    assert tests.loc[("size", "overall"), "p"] == pytest.approx(summary.loc[("size", ""), "p"], rel=1e-11)
    assert tests["df"].tolist() == [3, 2, 1, 2, 1, 1, 1, 9]
    bent = ["age'", "age''"]
    beta, square = curved.coef_[bent], curved.covariance_.loc[bent, bent]
    expected = float(beta @ np.linalg.inv(square) @ beta)
    assert tests.loc[("age", "nonlinear"), "chi_square"] == pytest.approx(expected, rel=1e-12)
    assert tests.loc[("age", "nonlinear"), "p"] < 1e-4
    total = float(model.coef_ @ np.linalg.inv(model.covariance_) @ model.coef_)
    assert model.anova().iloc[-1]["chi_square"] == pytest.approx(total, rel=1e-12)


def test_factor_test_does_not_depend_on_the_reference(gbsg, model):
    turned = gbsg[0].assign(grade=gbsg[0]["grade"].cat.reorder_categories([3, 1, 2]))
    other = CoxModel().fit(turned, gbsg[1]).anova().set_index("term")["chi_square"]
    np.testing.assert_allclose(other, model.anova().set_index("term")["chi_square"][other.index], rtol=1e-11)


@pytest.mark.parametrize(
    ("splines", "words"),
    [
        ({"grade": 3}, "grade is a factor"),
        ({"absent": 3}, "absent: absent"),
        ({"hormon": 4}, "column hormon: too few distinct values"),
        ({"age": 2}, "column age: a spline with 2 knots"),
        ({"age": (60, 50, 40)}, "column age: a spline needs 3 ascending knots"),
    ],
)
def test_impossible_splines_are_refused(gbsg, splines, words):
    with pytest.raises(CohortError, match=words):
        CoxModel(splines=splines).fit(*gbsg)


# -- interactions ------------------------------------------------------------------------------


def test_interactions_are_products_of_columns(gbsg):
    X, y = gbsg
    found = CoxModel(interactions=[("age", "size"), ("hormon", "grade")]).fit(X, y)
    by_hand = X.assign(
        age_size=X["age"] * X["size"],
        two=X["hormon"] * (X["grade"] == 2),
        three=X["hormon"] * (X["grade"] == 3),
    )
    expected = CoxModel().fit(by_hand, y)
    names = ["age * size", "hormon * grade=2", "hormon * grade=3"]
    np.testing.assert_allclose(found.coef_[names], expected.coef_.iloc[-3:], rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.predict_risk(X), expected.predict_risk(by_hand), rtol=0, atol=1e-11)
    np.testing.assert_allclose(
        found.predict_interval(X, 36), expected.predict_interval(by_hand, 36), rtol=0, atol=1e-12
    )
    tests = found.anova().set_index(["term", "test"])["df"]
    assert tests["age", "overall"] == 2
    assert tests["hormon", "overall"] == 3
    assert tests["hormon * grade", "overall"] == 2
    assert found.summary().set_index("term").loc["hormon * grade", "level"].tolist() == names[1:]
    assert found.columns_ == list(X.columns)


def test_interaction_with_a_spline_and_in_any_order(gbsg):
    X, y = gbsg
    one = CoxModel(splines={"age": 3}, interactions=[("age", "hormon")]).fit(X, y)
    other = CoxModel(splines={"age": 3}, interactions=[("hormon", "age")]).fit(X[X.columns[::-1]], y)
    assert [c for c in one.coef_.index if "*" in c] == ["age * hormon", "age' * hormon"]
    np.testing.assert_allclose(one.predict_risk(X), other.predict_risk(X), rtol=0, atol=1e-11)


def test_impossible_interactions_are_refused_or_said(gbsg):
    X, y = gbsg
    with pytest.raises(CohortError, match="absent: nothing"):
        CoxModel(interactions=[("age", "nothing")]).fit(X, y)
    with pytest.raises(CohortError, match="no interaction"):
        CoxModel(interactions=[("age", "age")]).fit(X, y)
    never = X.assign(zero=np.where(X["hormon"] == 1, 0.0, X["size"]))
    with pytest.raises(CohortError, match=r"hormon \* zero: no patient tells it apart"):
        CoxModel(interactions=[("hormon", "zero")]).fit(never, y)
    flat = CoxModel(interactions=[("age", "flat")]).fit(X[["age"]].assign(flat=1.0), y)
    assert flat.dropped_["age * flat"] == "flat is left out"
    assert list(flat.coef_.index) == ["age"]


# -- strata ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stratified(gbsg):
    return CoxModel(strata=["grade"]).fit(*gbsg)


def test_stratified_coefficients_equal_lifelines_and_statsmodels(stratified, gbsg):
    """With Efron's ties, both to 1e-9."""
    X, y = gbsg
    plain_columns = X.astype({"grade": int})
    theirs = lifelines_fit(plain_columns, y, strata=["grade"])
    np.testing.assert_allclose(stratified.coef_, theirs.params_[stratified.coef_.index], rtol=0, atol=1e-9)
    np.testing.assert_allclose(np.sqrt(np.diag(stratified.covariance_)), theirs.standard_errors_, rtol=1e-9)
    assert stratified.loglik_ == pytest.approx(theirs.log_likelihood_, abs=1e-8)
    other = PHReg(
        y.time_months, X.drop(columns="grade"), status=y.event, strata=X["grade"].astype(int), ties="efron"
    ).fit()
    np.testing.assert_allclose(stratified.coef_, other.params, rtol=0, atol=1e-9)


def test_stratified_baseline_equals_lifelines_without_ties(gbsg):
    X, y = plain(gbsg)
    X = X.assign(grade=gbsg[0]["grade"].astype(int))
    ours = CoxModel(strata=["grade"]).fit(X, y)
    theirs = lifelines_fit(X, y, strata=["grade"]).baseline_cumulative_hazard_
    at_center = ours.baseline_["cumulative_hazard"] * np.exp(ours.center_ @ ours.coef_)
    for k in (1, 2, 3):
        own = ours.baseline_["stratum"] == f"grade={k}"
        expected = theirs[k].loc[ours.baseline_.loc[own, "time_months"]]
        np.testing.assert_allclose(at_center[own], expected, rtol=1e-9)


def test_strata_with_effects_of_their_own_are_separate_models(gbsg):
    """Exact oracle for survival and its limits: all effects differ by stratum, so nothing is shared."""
    X, y = gbsg[0][["age", "lognodes", "hormon"]], gbsg[1]
    apart = pd.concat(
        [X[["age", "lognodes"]].mul(X["hormon"] == k, axis=0).add_suffix(f"_{k}") for k in (0, 1)], axis=1
    )
    joint = CoxModel(strata=["hormon"]).fit(apart.assign(hormon=X["hormon"]), y)
    for k in (0, 1):
        own = np.flatnonzero(X["hormon"] == k)
        alone = CoxModel().fit(X.iloc[own].drop(columns="hormon"), y.take(own))
        table = apart.assign(hormon=X["hormon"]).iloc[own]
        for time in (6, 36, 60):
            np.testing.assert_allclose(
                joint.predict_survival(table, [time]),
                alone.predict_survival(X.iloc[own], [time]),
                rtol=0,
                atol=1e-12,
            )
            np.testing.assert_allclose(
                joint.predict_interval(table, time),
                alone.predict_interval(X.iloc[own], time),
                rtol=0,
                atol=1e-12,
            )


def test_one_stratum_is_no_stratum_and_order_does_not_matter(stratified, gbsg):
    X, y = gbsg
    same = CoxModel(strata=["all"]).fit(X.assign(all="x"), y)
    np.testing.assert_allclose(
        same.predict_interval(X.assign(all="x"), 36),
        CoxModel().fit(X, y).predict_interval(X, 36),
        rtol=0,
        atol=1e-12,
    )
    turn = np.random.default_rng(0).permutation(len(y))
    turned = CoxModel(strata=["grade"]).fit(X.iloc[turn], y.take(turn))
    np.testing.assert_allclose(
        turned.predict_survival(X, [36]), stratified.predict_survival(X, [36]), rtol=0, atol=1e-12
    )
    pd.testing.assert_frame_equal(turned.strata_, stratified.strata_)


def test_follow_up_ends_with_the_stratum(stratified, gbsg):
    X = gbsg[0]
    last = stratified.strata_.set_index("stratum")["follow_up_months"]
    assert last.nunique() == 3
    shortest = int(last.idxmin().removeprefix("grade="))
    found = stratified.predict_survival(X, [last.min(), last.min() + 0.01])
    own = (X["grade"] == shortest).to_numpy()
    assert np.isnan(found[own, 1]).all()
    assert np.isfinite(found[~own]).all()
    assert np.isfinite(found[:, 0]).all()
    assert np.isnan(stratified.predict_interval(X[own], last.min() + 0.01)).all()


def test_strata_that_cannot_be_used_are_refused(stratified, gbsg):
    X, y = gbsg
    with pytest.raises(CohortError, match="no training patient was in stratum grade=4"):
        stratified.predict_survival(X.iloc[:2].assign(grade=4), [36])
    with pytest.raises(CohortError, match="column grade: a stratum is missing"):
        stratified.predict_survival(X.iloc[:2].assign(grade=None), [36])
    with pytest.raises(CohortError, match="absent: grade"):
        stratified.predict_survival(X.drop(columns="grade"), [36])
    with pytest.raises(CohortError, match="absent: center"):
        CoxModel(strata=["center"]).fit(X, y)
    with pytest.raises(CohortError, match="absent: center"):
        CoxModel(cluster="center").fit(X, y)


def test_strata_called_like_columns_of_others_and_numbers_of_any_kind(gbsg):
    X, y = gbsg
    renamed = X.rename(columns={"grade": "T", "meno": "stratum"}).astype({"T": int})
    found = CoxModel(strata=["T", "stratum"]).fit(renamed, y)
    assert found.strata_["stratum"].tolist()[0] == "T=1, stratum=0"
    floats = found.predict_survival(renamed.astype({"T": float}), [36])
    np.testing.assert_array_equal(floats, found.predict_survival(renamed, [36]))


def test_a_stratum_without_events_survives_and_is_said(gbsg):
    X, y = gbsg
    alone = X[["age"]].assign(site=np.where(np.arange(len(y)) < 5, "quiet", "busy"))
    quiet = Outcome(y.time_months, y.event & (np.arange(len(y)) >= 5), y.patient_id)
    found = CoxModel(strata=["site"]).fit(alone, quiet)
    assert found.predict_survival(alone.iloc[:1], [10]).item() == 1.0
    assert found.predict_interval(alone.iloc[:1], 10).tolist() == [[1.0, 1.0]]
    assert "site=quiet: no event, so its survival stays 1" in found.notes_
    rest = CoxModel().fit(X[["age"]].iloc[5:], quiet.take(range(5, len(y))))
    np.testing.assert_allclose(found.coef_, rest.coef_, rtol=0, atol=1e-12)


def test_strata_without_covariates_are_nelson_aalen_curves(gbsg):
    """Closed form: survival and its variance from each group alone."""
    X, y = gbsg
    found = CoxModel(strata=["hormon"]).fit(X[["hormon"]], y)
    for k in (0, 1):
        own = np.flatnonzero(X["hormon"] == k)
        alone = CoxModel().fit(X[["hormon"]].iloc[own], y.take(own))
        np.testing.assert_allclose(
            found.predict_interval(X[["hormon"]].iloc[own[:1]], 36),
            alone.predict_interval(X[["hormon"]].iloc[own[:1]], 36), rtol=0, atol=1e-12,
        )  # fmt: skip


def test_limits_with_strata_and_splines_hold_in_the_bootstrap(gbsg):
    """The error of the cumulative hazard is within 25% of that over 150 bootstrap samples."""
    X, y = gbsg
    options = {"splines": {"age": (36, 48, 58, 68)}, "strata": ["hormon"]}
    columns = ["age", "lognodes", "hormon"]
    profile = X[columns].iloc[[0, 1, 0, 1]].assign(age=[40.0, 55, 65, 50], hormon=[0, 1, 1, 0])
    limits = CoxModel(**options).fit(X[columns], y).predict_interval(profile, 36)
    expected = np.log(limits[:, 1] / limits[:, 0]) / (2 * 1.959964)
    random = np.random.default_rng(8)
    drawn = []
    for _ in range(150):
        sample = y.take(rows := random.integers(len(y), size=len(y)))
        fitted = CoxModel(**options).fit(X[columns].iloc[rows].set_index(sample.patient_id), sample)
        drawn.append(-np.log(fitted.predict_survival(profile, [36])[:, 0]))
    np.testing.assert_allclose(np.std(drawn, axis=0), expected, rtol=0.25)


def test_everything_together_in_json_and_clone(gbsg):
    options = {
        "splines": {"age": 3, "size": [10, 25, 60]}, "interactions": [("age", "hormon")],
        "strata": ["grade"], "cluster": "center", "penalizer": 0.01,
    }  # fmt: skip
    X = gbsg[0].assign(center=np.arange(len(gbsg[1])) % 30)
    model = CoxModel(**options)
    assert clone(model).get_params() == model.get_params()
    fitted = clone(model).fit(X, gbsg[1])
    content = json.dumps(fitted.to_dict())
    again = CoxModel.from_dict(json.loads(content))
    np.testing.assert_array_equal(fitted.predict_interval(X, 36), again.predict_interval(X, 36))
    assert again.terms_ == fitted.terms_
    assert (
        again.columns_ == fitted.columns_ == ["age", "meno", "size", "lognodes", "logpgr", "hormon", "grade"]
    )
    pd.testing.assert_frame_equal(again.anova(), fitted.anova())
    assert "center" not in again.columns_
    refitted = CoxModel(**again.get_params()).fit(X, gbsg[1])
    pd.testing.assert_series_equal(refitted.coef_, fitted.coef_)


def test_nobody_at_risk_beside_the_only_event():
    y = Outcome([10.0, 10, 10, 70], [0, 0, 0, 1])
    for matrix in (np.array([[1.0], [3], [2], [5]]), np.array([[1.0, 0], [3, 1], [2, 1], [5, 0]])):
        with pytest.raises(CohortError, match="do not vary among those at risk"):
            maximize_partial_likelihood(matrix, y)
    found = weak_calibration(y, [0.8, 0.6, 0.7, 0.5], horizon_months=60)
    assert np.isnan(found.slope)
    assert any("no calibration slope" in note for note in found.notes)


def test_a_ridge_shares_the_effect_of_columns_that_follow_from_one_another(gbsg):
    X, y = gbsg
    twice = X[["lognodes"]].assign(doubled=2.0 * X["lognodes"] + 3)
    with pytest.raises(CohortError, match="follow from one another"):
        CoxModel().fit(twice, y)
    for model in (CoxModel(penalizer=0.01), CoxModel(fallback_penalizer=0.01)):
        found = model.fit(twice, y)
        assert found.coef_["lognodes"] == pytest.approx(2 * found.coef_["doubled"], rel=1e-12)
    assert found.notes_[-1].startswith(
        "ridge penalty 0.01, because the Cox fit did not converge: columns follow"
    )
    # Two copies with half the effect each cost half of what one costs.
    alone = CoxModel(penalizer=0.005).fit(X[["lognodes"]], y)
    np.testing.assert_allclose(
        found.predict_risk(twice) - found.predict_risk(twice).mean(),
        alone.predict_risk(X) - alone.predict_risk(X).mean(), rtol=0, atol=1e-11,
    )  # fmt: skip


def test_a_level_that_nobody_held_is_not_said_to_be_read_as_another():
    """It is refused in new patients: a note that it is read as its neighbor would promise a number."""
    random = np.random.default_rng(2)
    stage = pd.Categorical(random.choice(["T1", "T2", "T3"], 120), categories=["T0", "T1", "T2", "T3"])
    X = pd.DataFrame({"T": stage})
    model = CoxModel().fit(X, Outcome(random.exponential(20, 120), random.random(120) < 0.7))
    assert "T" not in model.merged_
    assert not any("T0" in note for note in model.notes_)
    assert outside_training(model, pd.DataFrame({"T": ["T0", "T1"]}))["T"].tolist() == [True, False]
