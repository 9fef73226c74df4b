"""Cumulative incidence and the regression of it, against R's cmprsk and from first principles."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from lifelines import CoxPHFitter, CoxTimeVaryingFitter

from radiomics_npc.cohort.competing import CompetingOutcome
from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError
from radiomics_npc.survival.estimation.baseline import baseline_hazard
from radiomics_npc.survival.estimation.competing_risks import cumulative_incidence
from radiomics_npc.survival.estimation.kaplan_meier import kaplan_meier
from radiomics_npc.survival.models.cox import CoxModel
from radiomics_npc.survival.models.fine_gray import FineGrayModel


@pytest.fixture(scope="module")
def cohort(gbsg, table):
    X, y = gbsg
    names = ("relapse", "death")
    return X, CompetingOutcome(y.time_months, table("cr_status")["fstatus"], X.index, names, "relapse")


def _draw(n, seed, *, effects=((0.6, -0.4), (0.3, 0.2)), censored=True):
    """Two causes with constant hazards; nobody's times are tied."""
    random = np.random.default_rng(seed)
    X = pd.DataFrame(random.normal(size=(n, 2)), columns=["a", "b"])
    X.index = X.index.astype(str)
    hazards = np.stack([0.015 * np.exp(X.to_numpy() @ np.array(effect)) for effect in effects])
    time = random.exponential(1 / hazards.sum(axis=0))
    cause = 1 + (random.random(n) < hazards[1] / hazards.sum(axis=0))
    lost = random.uniform(10, 120, n) if censored else np.full(n, np.inf)
    return X, CompetingOutcome(np.minimum(time, lost), np.where(time <= lost, cause, 0), X.index)


# -- cumulative incidence --------------------------------------------------------------------


def test_incidence_equals_cmprsk(cohort, numbers):
    found = cumulative_incidence(cohort[1])
    for cause, expected in zip((1, 2), numbers("competing")["cif"], strict=True):
        np.testing.assert_allclose(found.at([12, 36, 60], cause)["incidence"], expected, rtol=0, atol=1e-12)


def test_incidences_and_survival_make_one(cohort):
    y = cohort[1]
    found, free = cumulative_incidence(y), kaplan_meier(y.any_cause())
    np.testing.assert_allclose(found.incidence.sum(axis=1) + free.survival, 1, rtol=0, atol=1e-12)
    assert (found.at_risk([0, 36]) == free.at_risk([0, 36])).all()
    naive = 1 - kaplan_meier(y.cause_specific(1)).at([60])["survival"].iloc[0]
    assert naive > found.at([60])["incidence"].iloc[0] + 0.05


def _gray_variance(y, cause, at):
    """The published sum, step by step over the event times, with nothing rearranged."""
    total, survival, incidence, steps = 0.0, 1.0, 0.0, []
    for time in np.unique(y.time_months[y.time_months <= at]):
        here, n = y.time_months == time, int((y.time_months >= time).sum())
        own, other = int((here & (y.cause == cause)).sum()), int((here & ~np.isin(y.cause, (0, cause))).sum())
        incidence += survival * own / n
        before, survival = survival, survival * (n - own - other) / n
        for count, is_own in ((own, 1.0), (other, 0.0)):
            if count:
                tied = 1 - (count - 1) / (n - 1) if count > 1 else 1.0
                steps.append((before**2 * tied * count / n**2, is_own, incidence, survival))
    for variance, is_own, then, left in steps:
        total += variance * (is_own + (then - incidence) / left) ** 2
    return total


def test_variance_is_the_published_sum(cohort):
    y = cohort[1]
    found = cumulative_incidence(y)
    for cause in (1, 2):
        for at in (12.0, 36.0, 60.0):
            expected = _gray_variance(y, cause, at)
            assert found.at([at], cause)["se"].iloc[0] ** 2 == pytest.approx(expected, rel=1e-12, abs=0)


def test_one_cause_is_one_minus_kaplan_meier(gbsg):
    """And the variance is Greenwood's but for n - 1 in place of n, when no times are tied."""
    time, first = np.unique(gbsg[1].time_months, return_index=True)
    y = CompetingOutcome(time, gbsg[1].event[first], names=("event",))
    curve, found = kaplan_meier(y.any_cause()), cumulative_incidence(y)
    np.testing.assert_allclose(found.incidence[:, 0], 1 - curve.survival, rtol=0, atol=1e-12)
    n = curve.at_risk(time).astype(float)
    steps = np.divide(curve.events, (n - curve.events) ** 2, out=np.zeros_like(n), where=n > 1)
    expected = curve.survival * np.sqrt(np.cumsum(steps))
    inner = curve.survival > 0
    np.testing.assert_allclose(found.se[inner, 0], expected[inner], rtol=1e-8)


def test_se_is_that_of_the_jackknife():
    y = _draw(150, 3)[1]
    found = cumulative_incidence(y).at([40]).iloc[0]
    left_out = [
        cumulative_incidence(y.take(np.delete(np.arange(150), k))).at([40])["incidence"].iloc[0]
        for k in range(150)
    ]
    pseudo = 150 * found["incidence"] - 149 * np.array(left_out)
    assert pseudo.std(ddof=1) / np.sqrt(150) == pytest.approx(found["se"], rel=0.02)


def test_interval_covers_the_truth():
    """Constant hazards 0.015 and 0.015: the incidence at 40 is (1 - exp(-1.2)) / 2."""
    truth, inside = (1 - np.exp(-1.2)) / 2, 0
    for seed in range(300):
        y = _draw(100, seed, effects=((0.0, 0.0), (0.0, 0.0)))[1]
        row = cumulative_incidence(y).at([40]).iloc[0]
        inside += row["lower"] <= truth <= row["upper"]
    assert 0.92 <= inside / 300 <= 0.98


def test_messy_times():
    nobody = cumulative_incidence(CompetingOutcome([3, 5], [0, 0]))
    assert nobody.at([4])[["incidence", "se", "lower", "upper"]].iloc[0].tolist() == [0, 0, 0, 0]
    everybody = cumulative_incidence(CompetingOutcome([0, 0], [1, 2]))
    assert everybody.incidence.tolist() == [[0.5, 0.5]]
    late = cumulative_incidence(CompetingOutcome([3, 5, 5], [1, 2, 0])).at([1, 9], 2)
    assert late["incidence"].iloc[0] == 0
    assert np.isnan(late["incidence"].iloc[1])
    with pytest.raises(CohortError, match="no cause 3"):
        nobody.at([1], 3)
    with pytest.raises(CohortError, match="no patients"):
        cumulative_incidence(CompetingOutcome([3, 5], [0, 0]).take([]))


def test_simulated_patients_are_marked():
    X, y = _draw(60, 1)
    for simulated in (False, True):
        marked = replace(y, simulated=simulated)
        model = FineGrayModel().fit(X, marked)
        assert ("simulated patients" in model._repr_html_()) == simulated
        assert ("simulated" in model.summary()) == simulated
        assert ("simulated" in cumulative_incidence(marked).to_frame()) == simulated


# -- cause-specific Cox ----------------------------------------------------------------------


def test_cause_specific_cox_is_the_cox_model_with_the_others_censored(cohort):
    X, y = cohort
    columns = X[["age", "lognodes"]]
    for cause in (1, 2):
        data = columns.assign(time=y.time_months, event=y.cause == cause)
        expected = CoxPHFitter().fit(data, "time", "event").params_
        found = CoxModel().fit(columns, y.cause_specific(cause)).coef_
        np.testing.assert_allclose(found, expected[found.index], atol=1e-6)


# -- Fine and Gray ---------------------------------------------------------------------------


def test_fine_gray_equals_crr(cohort, numbers):
    X, y = cohort
    expected = numbers("competing")
    model = FineGrayModel().fit(X[["age", "lognodes"]], y)
    np.testing.assert_allclose(model.coef_, list(expected["coef"].values()), rtol=0, atol=1e-9)
    np.testing.assert_allclose(model.summary()["se"], expected["se"], rtol=0, atol=1e-9)
    assert (model.n_, model.events_, model.competing_events_) == (686, *np.bincount(y.cause)[1:])


def test_without_competing_events_it_is_the_cox_model_with_robust_errors():
    X, y = _draw(200, 0)
    alone = CompetingOutcome(y.time_months, y.cause == 1, X.index, ("event",))
    model = FineGrayModel().fit(X, alone)
    data = X.assign(time=y.time_months, event=y.cause == 1)
    cox = CoxPHFitter().fit(data, "time", "event", robust=True, fit_options={"precision": 1e-12})
    np.testing.assert_allclose(model.coef_, cox.params_, rtol=0, atol=1e-10)
    np.testing.assert_allclose(model.summary()["se"], cox.standard_errors_, rtol=1e-11)
    expected = baseline_hazard(alone.any_cause(), model.predict_risk(X), ties="breslow")
    pd.testing.assert_frame_equal(model.baseline_, expected, rtol=1e-10)


def test_without_censoring_competing_patients_stay_for_ever():
    """Then the model is a Cox model in which a competing event never ends the follow-up."""
    X, y = _draw(200, 1, censored=False)
    model = FineGrayModel().fit(X, y)
    for_ever = np.where(y.cause == 1, y.time_months, y.time_months.max() + 1)
    data = X.assign(time=for_ever, event=y.cause == 1)
    cox = CoxPHFitter().fit(data, "time", "event", fit_options={"precision": 1e-12})
    np.testing.assert_allclose(model.coef_, cox.params_, rtol=0, atol=1e-12)


def test_weights_are_those_of_the_expanded_table():
    """Each competing patient as many rows as event times follow, weighted by hand: lifelines agrees."""
    X, y = _draw(90, 2)
    whens = np.sort(y.time_months[y.cause == 1])
    censoring = kaplan_meier(Outcome(y.time_months, y.cause == 0))

    def free(time):  # just before a time
        return np.concatenate([[1.0], censoring.survival])[np.searchsorted(censoring.time_months, time)]

    rows = []
    for k, (time, cause) in enumerate(zip(y.time_months, y.cause, strict=True)):
        rows.append((k, 0.0, time, cause == 1, 1.0))
        start = time
        for when in whens[whens > time] if cause == 2 else []:
            rows.append((k, start, when, False, free(when) / free(time)))
            start = when
    table = pd.DataFrame(rows, columns=["id", "start", "stop", "event", "weight"])
    table = table.join(X.reset_index(drop=True), on="id")
    fitter = CoxTimeVaryingFitter().fit(
        table, "event", "start", "stop", weights_col="weight", id_col="id", fit_options={"precision": 1e-12}
    )
    found = FineGrayModel().fit(X, y).coef_
    np.testing.assert_allclose(found, fitter.params_[found.index], rtol=0, atol=1e-12)


def test_incidence_of_a_model_that_knows_nothing_is_about_aalen_johansen():
    """A covariate without effect: 1 - exp(-H) against the estimate without a model."""
    X, y = _draw(400, 4, effects=((0.0, 0.0), (0.0, 0.0)))
    model = FineGrayModel().fit(X[["a"]] * 1e-3, y)
    times = [10.0, 30.0, 60.0, 400.0]
    predicted = model.predict_cumulative_incidence(X[["a"]] * 0, times)
    expected = cumulative_incidence(y).at(times)["incidence"]
    np.testing.assert_allclose(predicted[0, :3], expected[:3], atol=0.01)
    assert np.isnan(predicted[:, 3]).all()
    assert (np.diff(predicted[:, :3], axis=1) > 0).all()


def test_known_truth():
    """Fine and Gray's own design: the subdistribution hazard of cause 1 is exactly proportional."""
    random = np.random.default_rng(11)
    n, p, beta = 6000, 0.4, np.array([0.7, -0.5])
    X = pd.DataFrame(random.normal(size=(n, 2)), columns=["a", "b"])
    ratio = np.exp(X.to_numpy() @ beta)
    ever = 1 - (1 - p) ** ratio
    first = random.random(n) < ever
    u = random.random(n) * ever
    inner = (1 - (1 - u) ** (1 / ratio)) / p
    time = 30 * np.where(first, -np.log1p(-np.clip(inner, 0, 1 - 1e-12)), random.exponential(1.0, n))
    lost = random.uniform(0, 150, n)
    cause = np.where(time > lost, 0, np.where(first, 1, 2))
    y = CompetingOutcome(np.minimum(time, lost), cause, X.index)
    found = FineGrayModel().fit(X.set_axis(y.patient_id), y)
    assert (np.abs(found.coef_ - beta) < 3 * found.summary()["se"].to_numpy()).all()
    assert (found.summary()["se"] < 0.03).all()
    at_zero = pd.DataFrame([[0.0, 0.0]], columns=["a", "b"])
    assert found.predict_cumulative_incidence(at_zero, [30])[0, 0] == pytest.approx(
        p * (1 - np.exp(-1)), abs=0.02
    )


def test_order_scale_and_factors(cohort):
    X, y = cohort
    X = X[["age", "grade"]]
    model = FineGrayModel().fit(X, y)
    assert list(model.coef_.index) == ["age", "grade=2", "grade=3"]
    assert model.summary()["hazard_ratio"].tolist()[1] == 1
    rows = np.random.default_rng(0).permutation(len(y))
    again = FineGrayModel().fit(X.iloc[rows], y.take(rows))
    np.testing.assert_allclose(again.coef_, model.coef_, rtol=0, atol=1e-12)
    np.testing.assert_allclose(again.covariance_, model.covariance_, rtol=0, atol=1e-12)
    wide = FineGrayModel().fit(X.assign(age=X["age"] * 10 + 5), y)
    assert wide.coef_["age"] * 10 == pytest.approx(model.coef_["age"], rel=1e-11, abs=0)
    np.testing.assert_allclose(
        wide.predict_cumulative_incidence(X.assign(age=X["age"] * 10 + 5), [36]),
        model.predict_cumulative_incidence(X, [36]), rtol=1e-12,
    )  # fmt: skip


def test_it_survives_a_file_without_patients(cohort):
    X, y = cohort
    model = FineGrayModel(cause=2).fit(X[["age", "grade"]], y)
    text = json.dumps(model.to_dict())
    assert "patient" not in text
    again = FineGrayModel.from_dict(json.loads(text))
    np.testing.assert_array_equal(
        again.predict_cumulative_incidence(X, [12, 60]), model.predict_cumulative_incidence(X, [12, 60])
    )
    pd.testing.assert_frame_equal(again.summary(), model.summary())


def test_constant_columns_leave_the_marginal_incidence():
    X, y = _draw(60, 5)
    model = FineGrayModel().fit(X * 0, y)
    assert len(model.coef_) == 0
    assert model.dropped_ == dict.fromkeys("ab", "the same value in all patients")
    assert np.ptp(model.predict_cumulative_incidence(X, [30])) == 0
    assert "not fitted" in FineGrayModel()._repr_html_()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda X, y: (X.assign(a=np.nan), y), "60 values are missing"),
        (lambda X, y: (X, CompetingOutcome(y.time_months, y.cause * 0, X.index)), "no patient has the event"),
        (
            lambda X, y: (X, CompetingOutcome(y.time_months, np.minimum(y.cause * 2, 2), X.index)),
            "no patient",
        ),
        (lambda X, y: (X.iloc[::-1], y), "other|another"),
        (lambda X, y: (X.assign(b=X["a"]), y), "converge|without limit"),
        (lambda X, y: (X.assign(a=(y.cause == 1) * 1.0 + X["a"] * 1e-9), y), "without limit|converge"),
    ],
)
def test_what_is_refused(change, words):
    X, y = change(*_draw(60, 6))
    with pytest.raises(CohortError, match=words):
        FineGrayModel().fit(X, y)
