"""The test of proportional hazards against R's cox.zph, a version written out as loops, and simulation."""

import numpy as np
import pandas as pd
import pytest
from lifelines import CoxPHFitter

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError, ConfigError
from radiomics_npc.survival.models.cox import CoxModel
from radiomics_npc.survival.models.proportional_hazards import proportional_hazards_test
from radiomics_npc.survival.terms import encode_terms

TRANSFORMS = ["km", "rank", "identity", "log"]


@pytest.fixture(scope="module")
def model(gbsg):
    return CoxModel().fit(*gbsg)


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_chi_squares_equal_r(model, gbsg, table, transform):
    """A_zph, factor of three levels and GLOBAL included: tolerance 1e-9."""
    expected = table("A_zph").set_index("term")
    found = proportional_hazards_test(model, *gbsg, transform).to_frame().set_index("term")
    assert list(found.index) == list(expected.index)
    assert found["df"].tolist() == expected["df"].tolist()
    np.testing.assert_allclose(found["chisq"], expected[f"{transform}_chisq"], rtol=0, atol=1e-9)
    np.testing.assert_allclose(found["p"], expected[f"{transform}_p"], rtol=0, atol=1e-9)


def by_loops(matrix, y, beta, groups, g):
    """Score and information of the model with covariates x and x * g(t), event by event (Efron)."""
    p = matrix.shape[1]
    score, information = np.zeros(2 * p), np.zeros((2 * p, 2 * p))
    for group in np.unique(groups):
        for time in np.unique(y.time_months[y.event & (groups == group)]):
            risk = (y.time_months >= time) & (groups == group)
            dying = (y.time_months == time) & y.event & (groups == group)
            wide = np.hstack([matrix, matrix * g(time)])
            score += wide[dying].sum(axis=0)
            for k in range(count := int(dying.sum())):
                weight = np.exp(matrix @ beta) * (risk - k / count * dying)
                weight /= weight.sum()
                mean = weight @ wide
                score -= mean
                information += (wide.T * weight) @ wide - np.outer(mean, mean)
    return score, information


def test_strata_and_splines_equal_the_score_test_written_out(gbsg):
    X, y = gbsg[0].iloc[:150], gbsg[1].take(range(150))
    y = Outcome(np.ceil(y.time_months), y.event, y.patient_id)  # many ties
    model = CoxModel(splines={"age": 3}, strata=["hormon"], min_category=1).fit(
        X[["age", "lognodes", "hormon"]], y
    )
    matrix, p = encode_terms(model.terms_, X), 3
    score, information = by_loops(
        matrix - matrix.mean(axis=0), y, model.coef_.to_numpy(), X["hormon"].to_numpy(), lambda t: t
    )
    assert np.abs(score[:p]).max() < 1e-6
    found = proportional_hazards_test(model, X, y, "identity").table
    for name, own in {"age": [3, 4], "lognodes": [5], "GLOBAL": [3, 4, 5]}.items():
        keep = [0, 1, 2, *own]
        u = np.r_[np.zeros(p), score[own]]
        expected = u @ np.linalg.solve(information[np.ix_(keep, keep)], u)
        assert found.loc[name, "chisq"] == pytest.approx(expected, rel=1e-12)
        assert found.loc[name, "df"] == len(own)


def test_separate_strata_add_up(gbsg):
    """All effects of their own by stratum: GLOBAL is the sum of the separate models'."""
    X, y = gbsg[0][["age", "lognodes"]], gbsg[1]
    hormon = gbsg[0]["hormon"]
    apart = pd.concat([X.mul(hormon == k, axis=0).add_suffix(f"_{k}") for k in (0, 1)], axis=1)
    joint = apart.assign(hormon=hormon)
    together = proportional_hazards_test(CoxModel(strata=["hormon"]).fit(joint, y), joint, y, "log")
    total = 0.0
    for k in (0, 1):
        own = np.flatnonzero(hormon == k)
        alone = y.take(own)
        fitted = CoxModel().fit(X.iloc[own], alone)
        total += proportional_hazards_test(fitted, X.iloc[own], alone, "log").table.loc["GLOBAL", "chisq"]
    assert together.table.loc["GLOBAL", "chisq"] == pytest.approx(total, rel=1e-12)


def test_transform_may_be_shifted_and_scaled_and_patients_permuted(model, gbsg):
    X, y = gbsg
    expected = proportional_hazards_test(model, X, y, "identity").table
    turn = np.random.default_rng(1).permutation(len(y))
    days = Outcome(y.time_months * 30.4375, y.event, y.patient_id).take(turn)
    found = proportional_hazards_test(CoxModel().fit(X.iloc[turn], days), X.iloc[turn], days, "identity")
    np.testing.assert_allclose(found.table, expected, rtol=1e-11)


def test_scaled_residuals_equal_lifelines(gbsg):
    """Without ties; their mean is the coefficient, as Schoenfeld residuals sum to 0."""
    X, y = gbsg[0].drop(columns="grade"), gbsg[1]
    jitter = np.random.default_rng(2).permutation(len(y)) * 1e-6
    y = Outcome(y.time_months + jitter, y.event, y.patient_id)
    model = CoxModel().fit(X, y)
    found = proportional_hazards_test(model, X, y).residuals
    table = X.assign(time_=y.time_months, event_=y.event)
    fitter = CoxPHFitter().fit(table, "time_", "event_", fit_options={"precision": 1e-12, "step_size": 1.0})
    theirs = fitter.compute_residuals(table, "scaled_schoenfeld")
    theirs = theirs.loc[table.loc[theirs.index, "time_"].sort_values().index]
    effects = found[list(X.columns)].to_numpy()
    np.testing.assert_allclose(effects - model.coef_.to_numpy(), theirs, rtol=0, atol=1e-8)
    np.testing.assert_allclose(effects.mean(axis=0), model.coef_, rtol=0, atol=1e-12)
    assert found["time_months"].is_monotonic_increasing
    assert len(found) == y.event.sum()


def test_residuals_of_a_factor_have_mean_one(model, gbsg):
    """Its part of the linear predictor has the coefficient 1."""
    found = proportional_hazards_test(model, *gbsg).residuals
    assert found["grade"].mean() == pytest.approx(1.0, abs=1e-12)


def simulated(n, seed, late):
    """Effect 1 before 24 months and ``late`` after."""
    random = np.random.default_rng(seed)
    x, hazard = random.normal(size=n), 0.03
    early = random.exponential(1 / (hazard * np.exp(x)))
    after = 24 + random.exponential(1 / (hazard * np.exp(late * x)))
    time = np.where(early < 24, early, after)
    X = pd.DataFrame({"x": x, "z": random.normal(size=n)}, index=[str(k) for k in range(n)])
    return X, Outcome(np.minimum(time, 72), time < 72, X.index, simulated=True)


def test_a_known_change_of_effect_is_found_and_drawn():
    X, y = simulated(2000, 0, late=0.0)
    found = proportional_hazards_test(CoxModel().fit(X, y), X, y)
    assert found.table.loc["x", "p"] < 1e-10
    assert found.table.loc["z", "p"] > 0.001
    curve = found.smooth("x").set_index("time_months")["effect"]
    assert curve[curve.index < 15].mean() == pytest.approx(1.0, abs=0.15)
    assert curve[(curve.index > 40) & (curve.index < 60)].mean() == pytest.approx(0.0, abs=0.15)
    assert found.to_frame()["simulated"].all()
    assert "simulated" in found._repr_html_()


def test_p_values_are_uniform_under_proportional_hazards():
    p = []
    for seed in range(150):
        X, y = simulated(150, seed, late=1.0)
        p.append(proportional_hazards_test(CoxModel().fit(X, y), X, y).table["p"])
    rejected = (np.array(p) < 0.1).mean(axis=0)
    assert (np.abs(rejected - 0.1) < 0.075).all()  # 3 standard errors
    assert np.mean(p) == pytest.approx(0.5, abs=0.05)


def test_smooth_of_a_straight_line_is_that_line(model, gbsg):
    found = proportional_hazards_test(model, *gbsg, "identity")
    found.residuals["age"] = 2 + 0.5 * found.residuals["time_months"]
    curve = found.smooth("age", points=7)
    np.testing.assert_allclose(curve["effect"], 2 + 0.5 * curve["time_months"], rtol=1e-12)
    np.testing.assert_allclose(curve["lower"], curve["upper"], rtol=0, atol=1e-10)


def test_what_cannot_be_tested_is_refused(model, gbsg):
    X, y = gbsg
    with pytest.raises(ConfigError, match="'sqrt' is no transform"):
        proportional_hazards_test(model, X, y, "sqrt")
    with pytest.raises(ConfigError, match="without penalty"):
        proportional_hazards_test(CoxModel(penalizer=0.1).fit(X, y), X, y)
    with pytest.raises(ConfigError, match="with coefficients"):
        proportional_hazards_test(CoxModel().fit(X[["age"]].assign(age=1.0), y), X.assign(age=1.0), y)
    with pytest.raises(CohortError, match="not the patients"):
        proportional_hazards_test(model, X.iloc[:300], y.take(range(300)))
    zero = Outcome(np.where(np.arange(len(y)) == 1, 0.0, y.time_months), y.event, y.patient_id)
    with pytest.raises(CohortError, match="time 0"):
        proportional_hazards_test(CoxModel().fit(X, zero), X, zero, "log")
    with pytest.raises(ConfigError, match="no term GLOBAL"):
        proportional_hazards_test(model, X, y).smooth("GLOBAL")
    with pytest.raises(ConfigError, match="too few event times"):
        proportional_hazards_test(model, X, y).smooth("age", knots=400)
