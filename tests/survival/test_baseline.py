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


def r_linear_predictor(gbsg, table):
    X, _ = gbsg
    coef = table("A_coef").set_index("term")["coef"]
    plain = X.drop(columns="grade").assign(**{f"grade={k}": (X["grade"] == k).astype(float) for k in (2, 3)})
    return plain[coef.index].to_numpy() @ coef.to_numpy()


def test_efron_hazard_equals_r(gbsg, table):
    """A_basehaz, tolerance 1e-9, at R's coefficients."""
    expected = table("A_basehaz")
    base = baseline_hazard(gbsg[1], r_linear_predictor(gbsg, table))
    found = step_function(base["time_months"], base["cumulative_hazard"], expected["time"])
    np.testing.assert_allclose(found, expected["H0_x0"], rtol=0, atol=1e-9)


def test_hazard_at_the_means_equals_r(gbsg, table, numbers):
    expected, means = table("A_basehaz"), numbers("A_summary")["means"]
    coef = table("A_coef").set_index("term")["coef"]
    center = sum(coef[name.replace("grade", "grade=")] * value for name, value in means.items())
    base = baseline_hazard(gbsg[1], r_linear_predictor(gbsg, table) - center)
    found = step_function(base["time_months"], base["cumulative_hazard"], expected["time"])
    np.testing.assert_allclose(found, expected["H0_mean"], rtol=0, atol=1e-9)


def test_survival_equals_r(gbsg, table):
    """A_pred, tolerance 1e-9, at R's linear predictor."""
    expected, y = table("A_pred"), gbsg[1]
    base = baseline_hazard(y, expected["lp"])
    found = survival_at(base, expected["lp"], [36, 60], last=y.time_months.max())
    np.testing.assert_allclose(found, expected[["S36", "S60"]], rtol=0, atol=1e-9)


def test_breslow_equals_lifelines(gbsg):
    X, y = gbsg
    data = X[["age", "lognodes"]].assign(time=y.time_months, event=y.event)
    fitter = CoxPHFitter().fit(data, "time", "event")
    lp = (X[["age", "lognodes"]] - X[["age", "lognodes"]].mean()).to_numpy() @ fitter.params_.to_numpy()
    base = baseline_hazard(y, lp, ties="breslow")
    theirs = fitter.baseline_cumulative_hazard_["baseline cumulative hazard"].loc[base["time_months"]]
    np.testing.assert_allclose(base["cumulative_hazard"], theirs, rtol=1e-9)


def test_null_hazard_is_nelson_aalen():
    """Without covariates and ties: the sum of 1 / number at risk."""
    y = Outcome([3, 1, 4, 2, 5], [1, 1, 0, 1, 1])
    base = baseline_hazard(y, np.zeros(5))
    np.testing.assert_allclose(base["cumulative_hazard"], np.cumsum([1 / 5, 1 / 4, 1 / 3, 1]))


def test_large_linear_predictors_do_not_overflow():
    y = Outcome([1, 2, 3], [1, 1, 1])
    shifted = baseline_hazard(y, np.array([700.0, 701.0, 699.0]))
    plain = baseline_hazard(y, np.array([0.0, 1.0, -1.0]))
    np.testing.assert_allclose(shifted["cumulative_hazard"] * np.exp(700), plain["cumulative_hazard"])


def test_risk_weights_agree_with_the_hazard(gbsg, table):
    lp = r_linear_predictor(gbsg, table)
    weights, totals = event_risk_weights(gbsg[1], lp)
    np.testing.assert_allclose(weights.sum(axis=1), 1.0)
    last = baseline_hazard(gbsg[1], lp)["cumulative_hazard"].iloc[-1]
    assert np.sum(1 / totals) == pytest.approx(last, rel=1e-12)


def test_step_is_right_continuous_and_unknown_past_follow_up():
    found = step_function([2.0, 4.0], [1.0, 2.0], [1.9, 2.0, 3.99, 4.0, 5.0, 5.1, np.nan], last=5.0)
    np.testing.assert_array_equal(found, [0, 1, 1, 2, 2, np.nan, np.nan])


def test_no_event_is_refused():
    with pytest.raises(CohortError, match="no patient has an event"):
        baseline_hazard(Outcome([1, 2], [0, 0]), [0, 0])
