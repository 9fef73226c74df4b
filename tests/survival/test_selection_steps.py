"""Screens and the elastic net against R and glmnet; steps in a pipeline; the Rad-score."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sksurv.linear_model import CoxnetSurvivalAnalysis

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError, ConfigError
from radiomics_npc.features.stability import intraclass_correlation, stability_table
from radiomics_npc.survival.metrics.concordance import harrell_c
from radiomics_npc.survival.models.cox import CoxModel
from radiomics_npc.survival.selection.elastic_net import (
    Penalty,
    elastic_net_path,
    fit_elastic_net,
    largest_penalty,
    log_partial_likelihood,
)
from radiomics_npc.survival.selection.filters import (
    CorrelationFilter,
    ElasticNetFilter,
    NearConstantFilter,
    UnivariateFilter,
)
from radiomics_npc.survival.selection.screening import (
    decorrelate,
    near_constant,
    score_tests,
    screen_features,
)
from radiomics_npc.survival.selection.signature import RAD_SCORE, RadScore
from radiomics_npc.survival.selection.stable_features import StableFeatures


@pytest.fixture(scope="module")
def coxnet(table):
    data = table("coxnet_data")
    X = data.drop(columns=["time", "event"])
    X.index = pd.Index([str(k) for k in range(len(X))])
    return X, Outcome(data["time"], data["event"], X.index)


def test_score_tests_equal_r(coxnet, table):
    X, y = coxnet
    chi_square, _ = score_tests(X.to_numpy(), y)
    np.testing.assert_allclose(chi_square, table("univariate")["score"], rtol=0, atol=1e-10)


def test_score_test_with_ties_is_the_newton_step_of_the_cox_model(gbsg):
    """Efron ties: one step from 0 is close to the fit of a weak effect, whatever the unit."""
    X, y = gbsg
    x = X[["age", "hormon"]].to_numpy(dtype=float)
    chi_square, coefficient = score_tests(x, y)
    for k, name in enumerate(["age", "hormon"]):
        model = CoxModel().fit(X[[name]], y)
        assert coefficient[k] == pytest.approx(model.coef_[name], rel=0.05)
    again, scaled = score_tests(x * 1000 + 7, y)
    np.testing.assert_allclose(again, chi_square, rtol=1e-12)
    np.testing.assert_allclose(scaled * 1000, coefficient, rtol=1e-12)


def test_path_equals_glmnet(coxnet, table):
    """Tolerance 1e-9 when the descent is run to the end; 1e-3 at the tolerance used for tuning."""
    X, y = coxnet
    expected = table("coxnet_path")
    sd = X.std(ddof=0).to_numpy()
    scaled = ((X - X.mean()) / sd).to_numpy()
    lambdas = expected["lambda"].to_numpy()
    for tol, atol in ((1e-14, 1e-9), (1e-7, 1e-3)):
        path = elastic_net_path(scaled, y, lambdas, 0.9, tol=tol) / sd[:, None]
        np.testing.assert_allclose(path.T, expected.drop(columns="lambda"), rtol=0, atol=atol)


def test_largest_penalty_is_where_the_path_starts(coxnet):
    X, y = coxnet
    scaled = ((X - X.mean()) / X.std(ddof=0)).to_numpy()
    tied = Outcome(np.round(y.time_months / 4) * 4, y.event, y.patient_id)
    found = largest_penalty(scaled, tied, 0.5)
    theirs = (
        CoxnetSurvivalAnalysis(n_alphas=2, alpha_min_ratio=0.5).fit(scaled, tied.to_structured()).alphas_[0]
    )
    assert found == pytest.approx(theirs, rel=1e-12)
    path = elastic_net_path(scaled, tied, found * np.array([1.01, 0.9]), 0.5)
    assert not path[:, 0].any()
    assert path[:, 1].any()


def test_partial_likelihood_of_a_null_model_and_against_the_cox_fit(coxnet):
    X, y = coxnet
    at_risk = np.array([(y.time_months >= t).sum() for t in y.time_months[y.event]])
    assert log_partial_likelihood(y, np.zeros((len(y), 1)))[0] == pytest.approx(
        -np.log(at_risk).sum(), rel=1e-12
    )
    model = CoxModel().fit(X[["X1", "X2"]], y)
    lp = model.linear_predictor(X)
    values = log_partial_likelihood(y, np.column_stack([lp, lp * 1.1, lp * 0.9 + 5]))
    assert values[0] == pytest.approx(model.loglik_, abs=1e-9)
    assert values[0] == values.max()


def test_tuned_net_finds_the_signals(coxnet):
    """The data hold five signals, the strongest X1 and X2."""
    X, y = coxnet
    net = fit_elastic_net(
        X.to_numpy(), y, penalty=Penalty(l1_ratio=0.9), max_features=None, max_correlation=1.0, random_state=0
    )
    order = net.screen.columns[np.argsort(-np.abs(net.coefficients))]
    assert set(order[:2]) == {0, 1}
    assert net.deviance.min() < net.deviance[0]
    strict = fit_elastic_net(
        X.to_numpy(), y, penalty=Penalty(l1_ratio=0.9, rule="1se"), max_features=None, max_correlation=1.0,
        random_state=0,
    )  # fmt: skip
    assert strict.alpha > net.alpha
    assert np.count_nonzero(strict.coefficients) < np.count_nonzero(net.coefficients)


def test_near_constant():
    x = np.ones((40, 4))
    x[0, 1] = 2
    x[:5, 2] = np.arange(5)
    x[:, 3] = np.nan
    assert near_constant(x).tolist() == [True, True, False, True]


@pytest.mark.parametrize("step", [CorrelationFilter(), UnivariateFilter(), ElasticNetFilter(), RadScore()])
def test_columns_that_do_not_vary_are_refused_by_name(step):
    y = Outcome(np.arange(40.0), np.ones(40))
    flat = pd.DataFrame({"a__b__c": np.ones(40), "a__b__d": np.full(40, np.nan)}, index=y.patient_id)
    with pytest.raises(CohortError, match="no feature varies"):
        step.fit(flat, y)


def test_decorrelation_keeps_no_close_pair_and_loses_no_distinct_column():
    random = np.random.default_rng(0)
    x = random.normal(size=(100, 30))
    x[:, 10:20] = x[:, :10] + 0.1 * random.normal(size=(100, 10))
    x = (x - x.mean(0)) / x.std(0)
    kept = decorrelate(x, 0.9)
    correlation = np.abs(np.corrcoef(x[:, kept].T)) - np.eye(len(kept))
    assert correlation.max() <= 0.9
    assert len(kept) == 20
    assert decorrelate(x, 0.9, np.arange(30)).tolist() == [*range(10), *range(20, 30)]
    assert len(decorrelate(x, 0.9, np.arange(30), limit=3)) == 3


def test_screen_fills_with_training_medians(coxnet):
    X, y = coxnet
    holes = X.to_numpy().copy()
    holes[:20, 0] = np.nan
    screen = screen_features(holes, y, max_features=10)
    assert np.isfinite(screen.apply(holes)).all()
    (at,) = np.flatnonzero(screen.columns == 0)
    assert screen.fill[at] == np.median(holes[20:, 0])
    new = screen.apply(np.full((1, 300), np.nan))
    np.testing.assert_allclose(new[0], (screen.fill - screen.mean) / screen.sd, rtol=1e-12)


def test_steps_work_in_a_pipeline(coxnet):
    X, y = coxnet
    steps = Pipeline([
        ("varied", NearConstantFilter()),
        ("distinct", CorrelationFilter(max_correlation=0.5)),
        ("strongest", UnivariateFilter(max_features=30)),
        ("net", ElasticNetFilter()),
        ("cox", CoxModel()),
    ])  # fmt: skip
    fitted = clone(steps).fit(X, y)
    kept = fitted["net"].columns_
    assert {"X1", "X2"} <= set(kept)
    assert harrell_c(y, fitted.predict(X)).estimate > 0.7
    assert fitted["strongest"].tests_["chi_square"].is_monotonic_decreasing
    assert list(fitted["strongest"].get_feature_names_out()) == fitted["strongest"].columns_
    with pytest.raises(CohortError, match="absent"):
        fitted["strongest"].transform(X[["X1"]])


def as_features(X: pd.DataFrame) -> pd.DataFrame:
    return X.add_prefix("t1__original__glcm__")


def test_rad_score_formula_gives_the_score(coxnet):
    X, y = as_features(coxnet[0]), coxnet[1]
    score = RadScore().fit(X, y)
    formula = score.to_frame().set_index("feature")
    by_hand = score.intercept_ + X[formula.index] @ formula["coefficient"]
    np.testing.assert_allclose(score.transform(X)[RAD_SCORE], by_hand, rtol=0, atol=1e-12)
    assert by_hand.std(ddof=0) == pytest.approx(1.0, rel=1e-12)
    assert not score.fallback_
    assert "t1__original__glcm__X1" in score.features_[:3]


def test_training_scores_come_from_patients_left_out(coxnet):
    """In-sample scores of noise look good; the column for the second stage must not."""
    X, y = as_features(coxnet[0]), coxnet[1]
    noise = X.iloc[:, 5:]
    score = RadScore()
    held_out = score.fit_transform(noise, y)[RAD_SCORE]
    in_sample = score.transform(noise)[RAD_SCORE]
    assert harrell_c(y, in_sample).estimate > 0.65
    assert abs(harrell_c(y, held_out).estimate - 0.5) < 0.07
    assert not np.allclose(held_out, in_sample)


def test_own_value_of_a_held_out_patient_cannot_reach_its_score_through_the_fit(coxnet):
    """Changing one patient's outcome changes the signatures of other folds only: its own score stays."""
    X, y = as_features(coxnet[0].iloc[:, :40]), coxnet[1]
    first = RadScore().fit_transform(X, y)[RAD_SCORE]
    row = int(np.flatnonzero(y.event)[3])
    time = y.time_months.copy()
    time[row] = time[row] * 0.5
    second = RadScore().fit_transform(X, Outcome(time, y.event, y.patient_id))[RAD_SCORE]
    assert first.iloc[row] == second.iloc[row]
    assert (first != second).sum() > len(y) / 2


def test_nothing_chosen_falls_back_to_the_strongest_and_says_so(coxnet):
    X, y = as_features(coxnet[0].iloc[:, 100:103]), coxnet[1]
    shuffled = Outcome(y.time_months[::-1], y.event[::-1], y.patient_id)
    score = RadScore(rule="1se", l1_ratio=1.0).fit(X, shuffled)
    assert score.fallback_
    assert len(score.features_) == 1
    strongest = UnivariateFilter(max_features=1).fit(X, shuffled).columns_
    assert score.features_ == strongest


def test_missing_and_infinite_features(coxnet):
    X, y = as_features(coxnet[0].iloc[:, :30]), coxnet[1]
    X = X.copy()
    X.iloc[:10, 0], X.iloc[3, 1] = np.nan, np.inf
    score = RadScore().fit(X, y)
    assert np.isfinite(score.transform(X)[RAD_SCORE]).all()
    with pytest.raises(CohortError, match="features of the signature are absent"):
        score.transform(X.iloc[:, 10:])
    with pytest.raises(CohortError, match="hold text"):
        RadScore().fit(X.assign(bad="x"), y)
    with pytest.raises(CohortError, match="no feature varies"):
        RadScore().fit(X[[X.columns[5]]] * 0, y)


def test_rad_score_round_trip(coxnet):
    X, y = as_features(coxnet[0]), coxnet[1]
    score = RadScore(random_state=3).fit(X, y)
    again = RadScore.from_dict(json.loads(json.dumps(score.to_dict())))
    pd.testing.assert_frame_equal(again.transform(X), score.transform(X), check_exact=True)
    assert clone(score).get_params() == score.get_params()


def test_path_of_tied_times_is_whole_and_meets_the_conditions_of_the_optimum():
    """Follow-up in whole months; Breslow's gradient is 0 up to the penalty (Karush-Kuhn-Tucker)."""
    random = np.random.default_rng(3)
    v = random.normal(size=(160, 40))
    v = (v - v.mean(axis=0)) / v.std(axis=0)
    y = Outcome(
        np.ceil(np.minimum(random.exponential(30 / np.exp(0.5 * v[:, 0])), 70)), random.random(160) < 0.8
    )
    alphas = np.geomspace(1, 0.02, 30)
    path = elastic_net_path(v, y, alphas, 0.5, tol=1e-12)
    assert path.shape == (40, 30)
    for alpha, beta in zip(alphas, path.T, strict=True):
        weight = np.exp(v @ beta)
        gradient = np.zeros(40)
        for time in y.time_months[y.event]:
            at_risk = y.time_months >= time
            gradient -= weight[at_risk] @ v[at_risk] / weight[at_risk].sum()
        gradient = (gradient + v[y.event].sum(axis=0)) / len(y) - 0.5 * alpha * beta
        used = beta != 0
        np.testing.assert_allclose(gradient[used], 0.5 * alpha * np.sign(beta[used]), atol=1e-6)
        assert (np.abs(gradient[~used]) <= 0.5 * alpha + 1e-6).all()


def test_false_discovery_control_is_benjamini_and_hochberg(coxnet):
    x, y = coxnet
    fitted = UnivariateFilter(max_features=1000, false_discovery_rate=0.05).fit(x, y)
    every = UnivariateFilter(max_features=1000).fit(x, y).tests_
    ranked = every["p"].to_numpy()
    largest = np.flatnonzero(ranked <= 0.05 * np.arange(1, len(ranked) + 1) / len(ranked)).max()
    assert fitted.columns_ == list(every.index[: largest + 1])
    with pytest.raises(CohortError, match="false-discovery"):
        UnivariateFilter(false_discovery_rate=1e-12).fit(x[fitted.columns_[-1:]], y)


@pytest.fixture(scope="module")
def repeats():
    """30 patients, 3 masks, 8 features, the later ones noisier; and their first values as a table."""
    random = np.random.default_rng(6)
    index = pd.MultiIndex.from_product([[f"p{k}" for k in range(30)], ["a", "b", "c"]],
                                       names=["patient_id", "perturbation"])  # fmt: skip
    true = np.repeat(random.normal(size=(30, 8)), 3, axis=0)
    values = true + random.normal(size=true.shape) * np.geomspace(0.1, 3, 8)
    table = pd.DataFrame(values, index=index, columns=[f"f{k}" for k in range(8)])
    return table, table.xs("a", level="perturbation")


def test_stable_features_are_learnt_from_training_patients_only(repeats):
    table, X = repeats
    train = X.iloc[:20]
    spoiled = table.copy()
    late = spoiled.index.get_level_values(0).isin(X.index[20:])
    spoiled.loc[late] = np.random.default_rng(0).normal(size=(late.sum(), 8))
    fitted = StableFeatures(table).fit(train)
    again = StableFeatures(spoiled).fit(train)
    pd.testing.assert_series_equal(again.stability_, fitted.stability_, check_exact=True)
    assert fitted.n_patients_ == 20
    # The wrong way, all patients at once, would have seen those held out.
    assert not np.allclose(StableFeatures(spoiled, minimum=-1).fit(X).stability_, fitted.stability_)
    cube = table.to_numpy().reshape(30, 3, 8)[:20]
    for form in ("1,1", "2,1", "3,1"):
        found = StableFeatures(table, form=form, minimum=-1).fit(train).stability_
        np.testing.assert_allclose(found, intraclass_correlation(cube, form).estimate, rtol=0, atol=1e-12)
    assert fitted.columns_ == list(X.columns[fitted.stability_ >= 0.75])
    assert 0 < len(fitted.columns_) < 8
    lower = StableFeatures(table, judge="lower").fit(train)
    assert set(lower.columns_) < set(fitted.columns_)


def test_stable_features_of_a_bootstrap_sample_are_those_of_the_patients_drawn(repeats):
    table, X = repeats
    # Patients are called by numbers: the rows of a sample are, too, and these are others.
    names = {old: str(k) for k, old in enumerate(X.index[::-1])}
    table = table.rename(index=names, level="patient_id")
    X = X.rename(index=names)
    y = Outcome(np.arange(30), np.ones(30), X.index)
    rows = np.repeat(np.arange(12), 3)[:30]
    sample = y.take(rows)
    drawn = StableFeatures(table).fit(X.iloc[rows].set_axis(sample.patient_id, axis=0), sample)
    once = np.unique(rows)
    fitted = StableFeatures(table).fit(X.iloc[once], y.take(once))
    assert drawn.n_patients_ == len(once)
    pd.testing.assert_series_equal(drawn.stability_, fitted.stability_, check_exact=True)


def test_stable_features_from_a_table(repeats):
    table, X = repeats
    known = stability_table(table)
    by_table = StableFeatures(known).fit(X)
    by_series = StableFeatures(known.set_index("feature")["icc"]).fit(X)
    assert by_table.columns_ == by_series.columns_ == StableFeatures(table).fit(X).columns_
    assert by_table.n_patients_ is None
    assert list(StableFeatures(known, judge="lower").fit(X).stability_) == list(known["lower"])
    steps = Pipeline([("stable", StableFeatures(table)), ("varied", NearConstantFilter())])
    y = Outcome(np.arange(30), np.ones(30), X.index)
    assert clone(steps).fit(X, y).transform(X).columns.tolist() == by_table.columns_


def test_stable_features_of_messy_tables(repeats):
    table, X = repeats
    holes = table.copy()
    holes.iloc[0, 0] = np.nan
    holes["f7"] = 1.0
    fitted = StableFeatures(holes, minimum=0.5).fit(X.assign(f7=1.0))
    assert "f0" in fitted.columns_
    assert np.isnan(fitted.stability_["f7"])
    assert "f7" not in fitted.columns_
    with pytest.raises(CohortError, match="stability of 1 columns is not known: new"):
        StableFeatures(table).fit(X.assign(new=1.0))
    with pytest.raises(CohortError, match="0 training patients"):
        StableFeatures(table).fit(X.rename(index=lambda name: f"q{name}"))
    with pytest.raises(CohortError, match="no feature has"):
        StableFeatures(table, minimum=0.9999).fit(X)
    with pytest.raises(ConfigError, match="no columns feature and icc"):
        StableFeatures(table.reset_index()).fit(X)
    with pytest.raises(ConfigError, match="one value for each feature"):
        StableFeatures(pd.Series([1.0, 0.5], index=["f0", "f0"])).fit(X)


def test_correlation_clusters_keep_the_most_stable():
    random = np.random.default_rng(2)
    base = random.normal(size=(80, 4))
    values = np.repeat(base, 3, axis=1) + 0.05 * random.normal(size=(80, 12))
    X = pd.DataFrame(values, columns=[f"c{k // 3}_{k % 3}" for k in range(12)])
    stability = pd.Series(np.tile([0.7, 0.95, 0.8], 4), index=X.columns)
    fitted = CorrelationFilter(stability=stability).fit(X)
    assert fitted.columns_ == ["c0_1", "c1_1", "c2_1", "c3_1"]
    assert (fitted.clusters_["kept"].str[:2] == fitted.clusters_.index.str[:2]).all()
    assert (fitted.clusters_["correlation"].abs() > 0.9).all()
    dropped = fitted.clusters_.loc["c2_0"]
    assert dropped["correlation"] == pytest.approx(np.corrcoef(X["c2_0"], X["c2_1"])[0, 1], abs=1e-12)
    # Columns without a value go last; without a stability the step is what it was.
    partly = CorrelationFilter(stability=stability.drop("c0_1")).fit(X)
    assert partly.columns_[0] == "c0_2"
    plain = CorrelationFilter().fit(X)
    assert len(plain.columns_) == 4
    assert (plain.clusters_.loc[plain.columns_, "kept"] == plain.columns_).all()
    again = clone(fitted)
    assert again.fit(X).columns_ == fitted.columns_
    with pytest.raises(CohortError, match="twice"):
        CorrelationFilter(stability=pd.concat([stability, stability])).fit(X)
