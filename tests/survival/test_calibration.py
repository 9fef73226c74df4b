"""Calibration in groups, in the large, its slope and the smooth curve."""

import matplotlib
import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from lifelines import CoxPHFitter
from lifelines.calibration import survival_probability_calibration
from matplotlib.figure import Figure
from patsy import dmatrix
from scipy.stats import norm
from statsmodels.duration.hazard_regression import PHReg

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError, ConfigError, HorizonError
from radiomics_npc.survival.estimation.kaplan_meier import kaplan_meier
from radiomics_npc.survival.metrics.calibration import calibrate
from radiomics_npc.survival.metrics.smooth_calibration import smooth_calibrate
from radiomics_npc.survival.metrics.weak_calibration import (
    calibration_slope,
    log_cumulative_hazard,
    observed_expected,
    weak_calibration,
)
from radiomics_npc.survival.models.cox import CoxModel
from radiomics_npc.survival.splines import default_knots, spline_basis


def cox_truth(n: int, seed: int, *, spread: float = 1.0) -> tuple[Outcome, np.ndarray]:
    """Patients of a Cox model with a constant baseline, censored at random; true log hazard to month 60."""
    random = np.random.default_rng(seed)
    log_hazard = np.log(0.4) + spread * random.normal(size=n)
    time, lost = random.exponential(60 / np.exp(log_hazard)), random.uniform(24, 140, n)
    return Outcome(np.minimum(time, lost), time <= lost), log_hazard


def survival(log_hazard: np.ndarray) -> np.ndarray:
    return np.exp(-np.exp(log_hazard))


# -- groups ------------------------------------------------------------------------------


def test_groups_equal_rms(gbsg, table):
    """rms::calibrate(cmethod = "KM", m = 130) cuts at quantiles of the predictions with 0 and 1; to 1e-12."""
    expected, y = table("A_calibrate_KM60"), gbsg[1]
    predicted = table("A_pred")["S60"].to_numpy()
    cuts = np.quantile([0, 1, *predicted], np.linspace(0, 1, len(y) // 130 + 1))[1:-1]
    found = calibrate(y, predicted, cuts=cuts).to_frame()
    np.testing.assert_allclose(found["predicted"], expected["mean.predicted"], rtol=0, atol=1e-12)
    np.testing.assert_allclose(found["observed"], expected["KM"], rtol=0, atol=1e-12)
    np.testing.assert_allclose(
        found["observed"] - found["predicted"], expected["index.orig"], rtol=0, atol=1e-12
    )
    # std.err is that of the log of the survival probability.
    group = np.searchsorted(cuts, predicted, side="right")
    for k, se in enumerate(expected["std.err"]):
        row = kaplan_meier(y.take(group == k)).at([60]).iloc[0]
        assert row.se / row.survival == pytest.approx(se, abs=1e-12)
        assert found["lower"][k] == row.lower
        assert found["upper"][k] == row.upper


def test_quantile_groups_are_nearly_those_of_rms(gbsg, table):
    """The lower two groups are the same without giving cut points."""
    expected = table("A_calibrate_KM60").iloc[:2]
    found = calibrate(gbsg[1], table("A_pred")["S60"]).to_frame().iloc[:2]
    np.testing.assert_allclose(found["predicted"], expected["mean.predicted"], rtol=0, atol=1e-12)
    np.testing.assert_allclose(found["observed"], expected["KM"], rtol=0, atol=1e-12)


def test_probabilities_that_made_the_data_are_calibrated():
    random = np.random.default_rng(0)
    hazard = 0.3 * np.exp(random.normal(size=4000))
    y = Outcome(random.exponential(60 / hazard), np.ones(4000)).censor_at(60)
    found = calibrate(y, np.exp(-hazard))
    low, high = found.observed_expected_interval
    assert low < 1 < high
    table = found.to_frame()
    assert (np.abs(table["observed"] - table["predicted"]) < 0.04).all()
    assert calibrate(y, np.exp(-hazard) ** 2).observed_expected < 0.8


def test_missing_predictions_late_horizons_and_scores_that_are_no_probabilities():
    y = Outcome([10, 60, 60, 60], [1, 0, 0, 0])
    assert calibrate(y, [0.5, 0.6, np.nan, 0.7], groups=2).patients == 3
    for horizon, words in ((61, "nobody is followed"), (0, "horizon is 0"), (np.nan, "horizon is nan")):
        with pytest.raises(HorizonError, match=words):
            calibrate(y, [0.5, 0.6, 0.7, 0.8], horizon_months=horizon)
    for predicted, words in (([np.nan] * 4, "no patient"), ([1.2, -3, 0, 1], "outside"), ([0.5], "shape")):
        with pytest.raises(CohortError, match=words):
            calibrate(y, predicted)
    with pytest.raises(CohortError, match="no patient"):
        calibrate(Outcome([], []), [])
    for wrong in ({"groups": 0}, {"cuts": [np.nan]}):
        with pytest.raises(ConfigError):
            calibrate(y, [0.5, 0.6, 0.7, 0.8], **wrong)


def test_a_group_that_ends_early_is_nan_unless_all_had_the_event():
    y = Outcome([10, 20, 10, 20, 60, 70], [1, 1, 1, 0, 0, 1])
    found = calibrate(y, [0.1, 0.1, 0.5, 0.5, 0.9, 0.9], cuts=[0.3, 0.7]).to_frame()
    np.testing.assert_array_equal(found["observed"], [0.0, np.nan, 1.0])
    assert found["events"].tolist() == [2, 1, 0]
    assert found["patients"].tolist() == [2, 2, 2]


# -- in the large and slope --------------------------------------------------------------


def test_observed_expected_of_uncensored_patients_is_binomial():
    """Kaplan-Meier is the share, Greenwood's variance p(1-p)/n."""
    y = Outcome([5, 10, 70, 80, 90, 100, 20, 75], np.ones(8))
    ratio, (low, high) = observed_expected(y, np.full(8, 0.7))
    assert ratio == pytest.approx(0.375 / 0.3, abs=1e-12)
    reach = norm.ppf(0.975) * np.sqrt((1 - 0.375) / (8 * 0.375))
    np.testing.assert_allclose(
        np.log([low, high]), np.log(ratio) + np.array([-reach, reach]), rtol=0, atol=1e-12
    )


def test_intercept_equals_a_poisson_regression():
    y, log_hazard = cox_truth(300, 1)
    hazard = np.exp(log_hazard) * y.time_months / 60
    found = weak_calibration(y, survival(log_hazard), cumulative_hazard=hazard)
    fit = sm.GLM(y.event.astype(float), np.ones(300), sm.families.Poisson(), offset=np.log(hazard)).fit(
        tol=1e-12
    )
    assert found.intercept == pytest.approx(fit.params[0], abs=1e-12)
    assert found.intercept_se == pytest.approx(fit.bse[0], abs=1e-9)
    assert abs(found.intercept) < 2.5 * found.intercept_se
    doubled = weak_calibration(y, survival(log_hazard), cumulative_hazard=2 * hazard)
    assert doubled.intercept == pytest.approx(found.intercept - np.log(2), abs=1e-12)


def test_slope_of_a_cox_model_in_training_is_one(gbsg, table):
    """R's own predictions, at either horizon."""
    for column in ("S36", "S60"):
        slope, se = calibration_slope(gbsg[1], table("A_pred")[column])
        assert slope == pytest.approx(1.0, abs=1e-9)
        assert 0.05 < se < 0.15


def test_slope_equals_the_coefficient_of_another_library(gbsg, table):
    y, predicted = gbsg[1], table("A_pred")["S60"] ** 1.5 * 0.9
    x = np.log(-np.log(predicted))
    fit = PHReg(y.time_months, x.to_numpy()[:, None], y.event, ties="efron").fit(disp=0)
    slope, se = calibration_slope(y, predicted)
    assert slope == pytest.approx(fit.params[0], abs=1e-10)
    assert se == pytest.approx(fit.bse[0], abs=1e-10)


def test_slope_undoes_a_known_exaggeration():
    y, log_hazard = cox_truth(800, 2)
    right = weak_calibration(y, survival(log_hazard))
    wrong = weak_calibration(y, survival(2 * log_hazard + 0.4))
    assert wrong.slope == pytest.approx(right.slope / 2, abs=1e-12)
    assert wrong.slope_se == pytest.approx(right.slope_se / 2, abs=1e-12)
    table = right.to_frame().set_index("metric")
    inside = (table["lower"] < 1) & (table["upper"] > 1)
    assert inside[["observed_expected", "calibration_slope"]].all()
    assert np.isnan(table.loc["calibration_intercept", "estimate"])


def test_what_cannot_be_estimated_is_nan_with_a_note():
    y = Outcome([10, 20, 30, 60, 60, 60], [1, 1, 0, 0, 0, 0], simulated=True)
    constant = weak_calibration(y, np.full(6, 0.8))
    assert np.isnan(constant.slope)
    assert any("the same prediction" in note for note in constant.notes)
    assert constant.observed_expected > 0
    quiet = Outcome([60, 60, 60], [0, 0, 0])
    found = weak_calibration(quiet, [0.5, 0.6, 0.7], cumulative_hazard=[0.5, 0.4, 0.3])
    assert np.isnan([found.observed_expected, found.slope, found.intercept]).all()
    assert len(found.notes) == 3
    beyond = weak_calibration(
        y, np.linspace(0.4, 0.9, 6), cumulative_hazard=[0.1, 0.2, np.nan, 0.1, 0.1, 0.1]
    )
    assert any("Censor at the horizon" in note for note in beyond.notes)
    assert "simulated" in beyond._repr_html_()
    with pytest.raises(CohortError, match="cumulative hazards of shape"):
        weak_calibration(y, np.full(6, 0.8), cumulative_hazard=[0.1])
    with pytest.raises(CohortError, match="one probability for each"):
        calibration_slope(y, [0.5, np.nan, 0.5, 0.5, 0.6, 0.7])


def test_certain_predictions_stay_beyond_all_others():
    x = log_cumulative_hazard([0.0, 1.0, 0.5, 1 - 1e-7])
    assert np.isfinite(x).all()
    assert x[0] == pytest.approx(np.log(-np.log(1e-4)), rel=1e-12)
    assert x[1] == x[3] == x.min()


# -- smooth curve ------------------------------------------------------------------------


@pytest.mark.parametrize("knots", [3, 4])
def test_curve_equals_a_direct_recomputation(knots):
    """Cox fit by statsmodels, natural spline by patsy, Breslow's hazard by hand: to 1e-12, no ties."""
    y, log_hazard = cox_truth(400, 3)
    predicted = survival(1.4 * log_hazard + 0.2)
    x = np.log(-np.log(predicted))
    at = default_knots(x, knots)
    design = dmatrix(
        "cr(x, knots=inner, lower_bound=low, upper_bound=high) - 1",
        {"x": x, "inner": at[1:-1], "low": at[0], "high": at[-1]}, return_type="matrix",
    )  # fmt: skip
    matrix = np.asarray(design)[:, 1:]  # its columns sum to 1: the first is the intercept
    fit = PHReg(y.time_months, matrix, y.event, ties="efron").fit(disp=0, method="newton", tol=1e-14)
    relative = np.exp(matrix @ fit.params)
    hazard = sum(1 / relative[y.time_months >= t].sum() for t in y.time_months[y.event] if t <= 60)
    observed = np.exp(-hazard * relative)
    gap = np.abs(observed - predicted)
    found = smooth_calibrate(y, predicted, knots=knots)
    np.testing.assert_allclose(found.observed, observed, rtol=0, atol=1e-12)
    expected = [gap.mean(), np.median(gap), np.quantile(gap, 0.9), gap.max()]
    np.testing.assert_allclose(found.distances["estimate"], expected, rtol=0, atol=1e-12)
    assert found.ici == found.distances["estimate"][0]
    assert found.distances["metric"].tolist() == ["ici", "e50", "e90", "emax"]


def test_limits_equal_those_of_a_cox_model():
    """CoxModel.predict_interval equals R's survest: the same error on the log-log scale, to 1e-12."""
    y, log_hazard = cox_truth(300, 4)
    predicted = survival(log_hazard)
    found = smooth_calibrate(y, predicted, points=11)
    x = np.log(-np.log(found.curve["predicted"].to_numpy()))
    knots = default_knots(log_hazard, 3)
    X = pd.DataFrame(spline_basis(log_hazard, knots), y.patient_id, ["a", "b"])
    model = CoxModel().fit(X, y)
    grid = pd.DataFrame(spline_basis(x, knots), columns=["a", "b"])
    total = -np.log(model.predict_survival(grid, [60])[:, 0])
    se = (-np.log(model.predict_interval(grid, 60)[:, 0]) - total) / total
    np.testing.assert_allclose(found.curve["observed"], np.exp(-total), rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.curve["lower"], np.exp(-total * np.exp(se)), rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.curve["upper"], np.exp(-total * np.exp(-se)), rtol=0, atol=1e-12)


def test_the_truth_is_calibrated_and_a_distortion_is_found():
    y, log_hazard = cox_truth(6000, 5)
    assert smooth_calibrate(y, survival(log_hazard)).ici < 0.015
    # Twice the log hazard and a shift: what is observed is a known function of what is predicted.
    found = smooth_calibrate(y, survival(2 * log_hazard + 0.5), knots=4)
    x = np.log(-np.log(found.curve["predicted"].to_numpy()[1:-1]))
    np.testing.assert_allclose(found.curve["observed"][1:-1], survival((x - 0.5) / 2), atol=0.03)
    truth = np.abs(survival(2 * log_hazard + 0.5) - survival(log_hazard))
    assert found.ici == pytest.approx(truth.mean(), abs=0.01)
    assert (np.diff(found.distances["estimate"][[1, 2, 3]]) > 0).all()


def test_limits_cover_the_truth():
    """The true curve is the diagonal; 95% limits at three predictions, 120 cohorts of 150."""
    inside = []
    for seed in range(120):
        y, log_hazard = cox_truth(150, 1000 + seed)
        curve = smooth_calibrate(y, survival(log_hazard), points=401).curve
        rows = np.abs(curve["predicted"].to_numpy()[:, None] - [0.5, 0.65, 0.8]).argmin(axis=0)
        here = curve.iloc[rows]
        inside.append((here["lower"] < here["predicted"]) & (here["predicted"] < here["upper"]))
    share = np.mean(inside, axis=0)
    assert ((share > 0.89) & (share < 0.99)).all()


def test_lifelines_finds_much_the_same():
    """Predictions for patients whose hazard was 1.6 times smaller.

    lifelines smooths with another spline of time and a straight line of the prediction, and its
    optimizer wants years: 0.02 apart at most, where the distance is 0.1.
    """
    matplotlib.use("Agg")
    y, log_hazard = cox_truth(2000, 14)
    data = pd.DataFrame({"x": log_hazard, "time": y.time_months / 60, "event": y.event.astype(int)})
    fitter = CoxPHFitter().fit(data.iloc[:1000], "time", "event")
    worse = data.iloc[1000:].assign(time=lambda table: table["time"] / 1.6)
    predicted = fitter.predict_survival_function(worse, times=[0.8]).iloc[0].to_numpy()
    with np.errstate(all="ignore"):  # lifelines draws its curve up to a risk of 1
        _, ici, e50 = survival_probability_calibration(fitter, worse, 0.8, ax=Figure().subplots())
    found = smooth_calibrate(Outcome(worse["time"], worse["event"]), predicted, horizon_months=0.8)
    assert ici > 0.09
    np.testing.assert_allclose(found.distances["estimate"][:2], [ici, e50], atol=0.02)


def test_bootstrap_limits_follow_the_seed_and_hold_the_estimate():
    y, log_hazard = cox_truth(150, 7)
    first, again, other = (
        smooth_calibrate(y, survival(1.5 * log_hazard), resamples=20, random_state=seed).to_frame()
        for seed in (1, 1, 2)
    )
    pd.testing.assert_frame_equal(first, again)
    assert not first["lower"].equals(other["lower"])
    assert (first["lower"] < first["upper"]).all()
    assert np.isnan(smooth_calibrate(y, survival(log_hazard)).distances["lower"]).all()


def test_order_of_patients_does_not_matter_and_missing_predictions_keep_their_place():
    y, log_hazard = cox_truth(120, 8)
    predicted, turn = survival(log_hazard), np.random.default_rng(0).permutation(120)
    whole = smooth_calibrate(y, predicted)
    turned = smooth_calibrate(y.take(turn), predicted[turn])
    np.testing.assert_allclose(turned.observed, whole.observed[turn], rtol=0, atol=1e-12)
    predicted[[3, 70]] = np.nan
    found = smooth_calibrate(y, predicted)
    assert np.flatnonzero(np.isnan(found.observed)).tolist() == [3, 70]
    assert found.patients == 118
    assert "2 patients without a prediction are left out" in found.notes


def test_certain_few_and_constant_predictions():
    y, log_hazard = cox_truth(200, 9)
    predicted = survival(log_hazard)
    predicted[:2] = 0.0, 1.0
    found = smooth_calibrate(y, predicted)
    assert np.isfinite(found.observed).all()
    assert np.isfinite(found.curve.to_numpy()).all()
    assert any("exactly 0 or 1" in note for note in found.notes)
    two = smooth_calibrate(y, np.where(log_hazard > -1, 0.6, 0.8))
    assert any("straight line" in note for note in two.notes)
    many_tied = smooth_calibrate(y, np.where(np.arange(200) < 185, 0.7, predicted))
    assert any("too few distinct values" in note for note in many_tied.notes)
    with pytest.raises(CohortError, match="the same prediction"):
        smooth_calibrate(y, np.full(200, 0.7))


def test_few_events_and_horizons_without_any():
    y, log_hazard = cox_truth(60, 10)
    rare = Outcome(y.time_months, y.event & (np.cumsum(y.event) <= 8), simulated=True)
    found = smooth_calibrate(rare, survival(log_hazard))
    assert any("8 events are few" in note for note in found.notes)
    assert found.to_frame()["simulated"].all()
    with pytest.raises(HorizonError, match=r"nobody had the event by 0\.01"):
        smooth_calibrate(y, survival(log_hazard), horizon_months=0.01)
    with pytest.raises(HorizonError, match="nobody is followed"):
        smooth_calibrate(y, survival(log_hazard), horizon_months=500)
    with pytest.raises(HorizonError, match="nobody had"):
        smooth_calibrate(Outcome([60, 60, 60], [0, 0, 0]), [0.5, 0.6, 0.7])
    with pytest.raises(CohortError):  # the one event is the patient of highest risk: no finite slope
        smooth_calibrate(Outcome([5, 60, 60, 60, 60, 60], [1, 0, 0, 0, 0, 0]), np.linspace(0.1, 0.9, 6))


@pytest.mark.parametrize(("horizon", "knots"), [(36, 3), (36, 4), (60, 3), (60, 4)])
def test_smooth_calibration_equals_r(gbsg, table, numbers, horizon, knots):
    _, y = gbsg
    predicted = table("A_pred")[f"S{horizon}"].to_numpy()
    r = numbers("smooth_calibration")[f"h{horizon}_k{knots}"]
    found = smooth_calibrate(y, predicted, horizon_months=horizon, knots=knots)
    wanted = [r[name] for name in ("ici", "e50", "e90", "emax")]
    np.testing.assert_allclose(found.distances["estimate"], wanted, rtol=0, atol=1e-10)
    np.testing.assert_allclose(found.observed[:10], r["first"], rtol=0, atol=1e-10)


def test_smooth_calibration_is_near_the_other_smoother_of_rms(gbsg, table):
    # rms takes polspline's hazard regression, linear splines found stepwise: another curve of the same thing.
    _, y = gbsg
    hare = table("A_calibrate_hare60")
    curve = smooth_calibrate(y, table("A_pred")["S60"].to_numpy(), horizon_months=60).curve
    ours = np.interp(hare["pred"], curve["predicted"], curve["observed"])
    gap = np.abs(ours - hare["calibrated"])
    assert gap.max() < 0.05
    assert gap.mean() < 0.02
