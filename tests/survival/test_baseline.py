"""Baseline hazard and step functions against R and against lifelines."""

import numpy as np
import pytest
from lifelines import CoxPHFitter

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError
from radiomics_npc.survival.estimation.baseline import (
    baseline_hazard,
    event_risk_weights,
    step_function,
    survival_at,
)
from radiomics_npc.survival.estimation.risk_sets import RiskSets, RiskSums


def r_linear_predictor(gbsg, table):
    X, _ = gbsg
    coef = table("A_coef").set_index("term")["coef"]
    plain = X.drop(columns="grade").assign(**{f"grade={k}": (X["grade"] == k).astype(float) for k in (2, 3)})
    return plain[coef.index].to_numpy() @ coef.to_numpy()


def test_efron_hazard_equals_r(gbsg, table):
    """A_basehaz, tolerance 1e-12, at R's coefficients."""
    expected = table("A_basehaz")
    base = baseline_hazard(gbsg[1], r_linear_predictor(gbsg, table))
    found = step_function(base["time_months"], base["cumulative_hazard"], expected["time"])
    np.testing.assert_allclose(found, expected["H0_x0"], rtol=0, atol=1e-12)


def test_hazard_at_the_means_equals_r(gbsg, table, numbers):
    expected, means = table("A_basehaz"), numbers("A_summary")["means"]
    coef = table("A_coef").set_index("term")["coef"]
    center = sum(coef[name.replace("grade", "grade=")] * value for name, value in means.items())
    base = baseline_hazard(gbsg[1], r_linear_predictor(gbsg, table) - center)
    found = step_function(base["time_months"], base["cumulative_hazard"], expected["time"])
    np.testing.assert_allclose(found, expected["H0_mean"], rtol=0, atol=1e-12)


def test_survival_equals_r(gbsg, table):
    """A_pred, tolerance 1e-12, at R's linear predictor."""
    expected, y = table("A_pred"), gbsg[1]
    base = baseline_hazard(y, expected["lp"])
    found = survival_at(base, expected["lp"], [36, 60], last=y.time_months.max())
    np.testing.assert_allclose(found, expected[["S36", "S60"]], rtol=0, atol=1e-12)


def test_breslow_equals_lifelines(gbsg):
    X, y = gbsg
    data = X[["age", "lognodes"]].assign(time=y.time_months, event=y.event)
    fitter = CoxPHFitter().fit(data, "time", "event")
    lp = (X[["age", "lognodes"]] - X[["age", "lognodes"]].mean()).to_numpy() @ fitter.params_.to_numpy()
    base = baseline_hazard(y, lp, ties="breslow")
    theirs = fitter.baseline_cumulative_hazard_["baseline cumulative hazard"].loc[base["time_months"]]
    np.testing.assert_allclose(base["cumulative_hazard"], theirs, rtol=1e-12)


def test_null_hazard_is_nelson_aalen():
    """Without covariates and ties: the sum of 1 / number at risk."""
    y = Outcome([3, 1, 4, 2, 5], [1, 1, 0, 1, 1])
    base = baseline_hazard(y, np.zeros(5))
    np.testing.assert_allclose(base["cumulative_hazard"], np.cumsum([1 / 5, 1 / 4, 1 / 3, 1]), rtol=1e-12)


def test_large_linear_predictors_do_not_overflow():
    y = Outcome([1, 2, 3], [1, 1, 1])
    shifted = baseline_hazard(y, np.array([700.0, 701.0, 699.0]))
    plain = baseline_hazard(y, np.array([0.0, 1.0, -1.0]))
    np.testing.assert_allclose(
        shifted["cumulative_hazard"] * np.exp(700), plain["cumulative_hazard"], rtol=1e-12
    )


def test_risk_weights_agree_with_the_hazard(gbsg, table):
    lp = r_linear_predictor(gbsg, table)
    weights, totals = event_risk_weights(gbsg[1], lp)
    np.testing.assert_allclose(weights.sum(axis=1), 1.0, rtol=1e-12)
    last = baseline_hazard(gbsg[1], lp)["cumulative_hazard"].iloc[-1]
    assert np.sum(1 / totals) == pytest.approx(last, rel=1e-12, abs=0)


def test_step_is_right_continuous_and_unknown_past_follow_up():
    found = step_function([2.0, 4.0], [1.0, 2.0], [1.9, 2.0, 3.99, 4.0, 5.0, 5.1, np.nan], last=5.0)
    np.testing.assert_array_equal(found, [0, 1, 1, 2, 2, np.nan, np.nan])


def test_no_event_is_refused():
    with pytest.raises(CohortError, match="no patient has an event"):
        baseline_hazard(Outcome([1, 2], [0, 0]), [0, 0])


def test_running_sums_equal_the_sums_written_out(gbsg, table):
    """Risk sets by running sums against the matrix of all patients at all events, with many ties."""
    time = np.ceil(gbsg[1].time_months)
    y = Outcome(time, gbsg[1].event)
    lp = r_linear_predictor(gbsg, table)
    matrix = gbsg[0][["age", "lognodes"]].to_numpy()
    for ties in ("efron", "breslow"):
        weights, totals = event_risk_weights(y, lp, ties=ties)
        sums = RiskSums(RiskSets(time, y.event, ties=ties), matrix, lp)
        np.testing.assert_allclose(sums.totals * np.exp(sums.shift), totals, rtol=1e-12)
        np.testing.assert_allclose(sums.means, weights @ matrix, rtol=1e-12)
        g = np.random.default_rng(0).random(len(totals))
        expected = sum(
            k * ((matrix.T * w) @ matrix - np.outer(w @ matrix, w @ matrix))
            for k, w in zip(g, weights, strict=True)
        )
        np.testing.assert_allclose(sums.information(g), expected, rtol=1e-11)


def test_shares_are_the_sums_turned_round():
    """The sum over risk sets and over the risk sets of a patient are transposed matrices."""
    random = np.random.default_rng(0)
    time, event = random.integers(1, 9, 40).astype(float), random.random(40) < 0.6
    sets = RiskSets(time, event)
    forward = np.stack([sets.total(column) for column in np.eye(40)], axis=1)
    back = np.stack([sets.share(column) for column in np.eye(int(event.sum()))], axis=1)
    np.testing.assert_allclose(back, forward.T, rtol=0, atol=1e-12)


def test_score_residuals_sum_to_the_score(gbsg, table):
    X, y = gbsg
    matrix = X[["age", "lognodes"]].to_numpy()
    sums = RiskSums(RiskSets(y.time_months, y.event), matrix, r_linear_predictor(gbsg, table))
    np.testing.assert_allclose(
        sums.score_residuals().sum(axis=0), sums.residuals().sum(axis=0), rtol=0, atol=1e-9
    )
