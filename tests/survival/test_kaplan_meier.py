"""Kaplan-Meier, log-rank and risk groups."""

import numpy as np
import pytest
from lifelines import KaplanMeierFitter
from lifelines.datasets import load_lung

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError
from radiomics_npc.survival.estimation.kaplan_meier import kaplan_meier
from radiomics_npc.survival.estimation.log_rank import log_rank
from radiomics_npc.survival.models.groups import RiskGroups


def test_tertiles_and_log_rank_equal_r(gbsg, table, numbers):
    summary, lp = numbers("A_summary"), table("A_pred")["lp"]
    groups = RiskGroups("tertiles").fit(lp)
    np.testing.assert_allclose(groups.cut_points_, summary["tertile_cuts"], rtol=0, atol=1e-12)
    found, expected = log_rank(gbsg[1], groups.predict(lp)), summary["logrank_tertiles"]
    assert found.chi_square == pytest.approx(expected["chisq"], abs=1e-9)
    assert found.p == pytest.approx(expected["p"], rel=1e-11, abs=0)
    assert found.table["n"].tolist() == expected["n"]
    assert found.table["observed"].tolist() == expected["obs"]
    np.testing.assert_allclose(found.table["expected"], expected["exp"], rtol=1e-12, atol=1e-9)


def test_curve_equals_lifelines(gbsg):
    y = gbsg[1]
    fitter = KaplanMeierFitter().fit(y.time_months, y.event)
    times = np.array([6.0, 24.0, 60.0])
    found = kaplan_meier(y).at(times)
    np.testing.assert_allclose(found["survival"], fitter.predict(times), rtol=0, atol=1e-12)
    limits = fitter.confidence_interval_.iloc[
        [fitter.confidence_interval_.index.searchsorted(t, side="right") - 1 for t in times]
    ]
    np.testing.assert_allclose(found[["lower", "upper"]], limits, rtol=0, atol=1e-12)


def test_numbers_at_risk_and_steps():
    curve = kaplan_meier(Outcome([5, 5, 10, 15], [1, 0, 1, 0]))
    assert curve.at_risk([0, 5, 5.1, 15, 16]).tolist() == [4, 4, 2, 1, 0]
    np.testing.assert_allclose(curve.at([5, 9.9, 10])["survival"], [0.75, 0.75, 0.375], rtol=1e-12)
    assert np.isnan(curve.at([15.1])["survival"].iloc[0])
    assert curve.to_frame()["events"].tolist() == [1, 1, 0]


def test_all_events_ends_at_zero_without_limits():
    curve = kaplan_meier(Outcome([1, 2], [1, 1]))
    assert curve.survival.tolist() == [0.5, 0.0]
    assert np.isnan(curve.upper[-1])


def test_log_rank_is_zero_for_equal_groups_and_needs_two():
    y = Outcome([1, 1, 2, 2, 3, 3], [1, 1, 0, 0, 1, 1])
    assert log_rank(y, [0, 1] * 3).chi_square == pytest.approx(0, abs=1e-12)
    with pytest.raises(CohortError, match="two groups"):
        log_rank(y, [0] * 6)


def test_groups_come_from_training_only():
    groups = RiskGroups("median").fit(np.arange(10.0))
    assert set(groups.predict(np.full(5, 100.0))) == {"high"}
    assert groups.predict([np.nan]).codes.tolist() == [-1]
    with pytest.raises(CohortError, match="unknown"):
        RiskGroups("thirds").fit([1.0])  # type: ignore[arg-type]


# Miller's leukemia trial, R's data set aml: weeks of remission with and without maintenance.
AML = {
    "maintained": Outcome(
        [9, 13, 13, 18, 23, 28, 31, 34, 45, 48, 161], [1, 1, 0, 1, 1, 0, 1, 1, 0, 1, 0]
    ),
    "not": Outcome([5, 5, 8, 8, 12, 16, 23, 27, 30, 33, 43, 45], [1, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 1]),
}  # fmt: skip


def test_log_interval_equals_r():
    """As printed by R's summary(survfit(Surv(time, status) ~ x, aml))."""
    found = kaplan_meier(AML["maintained"], interval="log").at([9, 18, 23, 31, 34, 48])
    np.testing.assert_allclose(found["survival"], [0.909, 0.716, 0.614, 0.491, 0.368, 0.184], atol=5e-4)
    np.testing.assert_allclose(found["se"], [0.0867, 0.1397, 0.1526, 0.1642, 0.1627, 0.1535], atol=5e-5)
    np.testing.assert_allclose(found["lower"], [0.7541, 0.4884, 0.3769, 0.2549, 0.1549, 0.0359], atol=5e-5)
    np.testing.assert_allclose(found["upper"], [1.0, 1.0, 0.999, 0.946, 0.875, 0.944], atol=5e-4)


def test_plain_interval_is_symmetric_and_stays_a_probability(gbsg):
    curve = kaplan_meier(gbsg[1], interval="plain", confidence=0.9)
    inner = (curve.lower > 0) & (curve.upper < 1)
    np.testing.assert_allclose(
        (curve.upper - curve.lower)[inner], 2 * 1.6448536269514722 * curve.se[inner], rtol=1e-12
    )
    assert curve.lower.min() >= 0
    assert curve.upper.max() <= 1
    with pytest.raises(CohortError, match="unknown"):
        kaplan_meier(gbsg[1], interval="logit")


@pytest.mark.parametrize(("group", "expected"), [("maintained", (31, 18, np.nan)), ("not", (23, 8, np.nan))])
def test_median_of_leukemia_equals_r(group, expected):
    np.testing.assert_array_equal(kaplan_meier(AML[group], interval="log").quantile(), expected)


@pytest.mark.parametrize(("sex", "expected"), [(1, (270, 212, 310)), (2, (426, 348, 550))])
def test_median_of_lung_cancer_equals_r(sex, expected):
    """R's data set lung, in days: summary(survfit(Surv(time, status) ~ sex, lung))$table."""
    data = load_lung().query("sex == @sex")
    assert kaplan_meier(Outcome(data["time"], data["status"]), interval="log").quantile() == expected


def test_a_step_on_the_line_is_halved_and_what_is_not_reached_is_missing():
    assert kaplan_meier(Outcome([1, 2, 4, 9], [1, 1, 1, 1])).quantile()[0] == 3
    assert kaplan_meier(Outcome([1, 2, 4, 9], [1, 1, 0, 0])).quantile()[0] == 5.5
    assert kaplan_meier(Outcome([1, 2, 4, 9], [1, 1, 1, 1])).quantile(0.25)[0] == 1.5
    time, lower, upper = kaplan_meier(Outcome([1, 2, 4], [1, 0, 0])).quantile()
    assert (np.isnan(time), lower, np.isnan(upper)) == (True, 1, True)
    with pytest.raises(CohortError, match="share"):
        kaplan_meier(Outcome([1], [1])).quantile(50)


def test_median_covers_the_truth():
    """Of exponential times with median 30: the interval holds it in 91-98% of 300 draws of 100."""
    random = np.random.default_rng(7)
    inside = 0
    for _ in range(300):
        time, lost = random.exponential(30 / np.log(2), 100), random.uniform(10, 150, 100)
        _, lower, upper = kaplan_meier(Outcome(np.minimum(time, lost), time <= lost)).quantile()
        inside += lower <= 30 < upper or (lower <= 30 and np.isnan(upper))
    assert 0.91 <= inside / 300 <= 0.98


def test_all_censored_and_all_at_zero():
    curve = kaplan_meier(Outcome([3, 5], [0, 0]))
    assert curve.at([4])[["survival", "se", "lower", "upper"]].iloc[0].tolist() == [1, 0, 1, 1]
    dead = kaplan_meier(Outcome([0, 0], [1, 1]))
    assert dead.survival.tolist() == [0]
    assert dead.quantile()[0] == 0


def test_simulated_patients_are_marked():
    curve = kaplan_meier(Outcome([1, 2], [1, 0], simulated=True))
    assert curve.to_frame()["simulated"].all()
    assert "simulated" in curve._repr_html_()
