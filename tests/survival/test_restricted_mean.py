"""Restricted mean survival: by hand, against closed forms, R and lifelines, and the jackknife."""

import numpy as np
import pandas as pd
import pytest
from lifelines import KaplanMeierFitter
from lifelines.datasets import load_lung
from lifelines.utils import restricted_mean_survival_time
from scipy.stats import norm

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError, HorizonError
from radiomics_npc.survival.estimation.restricted_mean import restricted_mean, restricted_mean_difference


def test_by_hand():
    """Steps of 6 months at 1, 0.8 and 8/15; Greenwood's sum over two events."""
    found = restricted_mean(Outcome([6, 12, 18, 24, 30], [1, 0, 1, 0, 0]), 24)
    assert found.estimate == pytest.approx(6 + 12 * 0.8 + 6 * 0.8 * 2 / 3, rel=1e-14, abs=0)
    assert found.se**2 == pytest.approx(12.8**2 / 20 + 3.2**2 / 6, rel=1e-14, abs=0)
    assert (found.patients, found.events) == (5, 2)


def test_equals_r():
    """summary(survfit(Surv(time, status) ~ sex, lung))$table, men: rmean to the last time, 1022 days."""
    data = load_lung().query("sex == 1")
    found = restricted_mean(Outcome(data["time"], data["status"]), 1022)
    assert found.estimate == pytest.approx(326.0841, abs=5e-5)
    assert found.se == pytest.approx(22.91156, abs=5e-6)


def test_equals_lifelines(gbsg):
    y = gbsg[1]
    fitter = KaplanMeierFitter().fit(y.time_months, y.event)
    for until in (12.5, 36.0, 60.0):
        expected = restricted_mean_survival_time(fitter, t=until)
        assert restricted_mean(y, until).estimate == pytest.approx(expected, rel=1e-12)


def test_without_censoring_it_is_the_mean_of_cut_times():
    time = np.random.default_rng(0).exponential(30, 50)
    found = restricted_mean(Outcome(time, np.ones(50)), 40)
    cut = np.minimum(time, 40)
    assert found.estimate == pytest.approx(cut.mean(), rel=1e-12)
    assert found.se == pytest.approx(cut.std() / np.sqrt(50), rel=1e-12)


def test_closed_form_of_exponential_times():
    random = np.random.default_rng(3)
    time, lost = random.exponential(50, 40_000), random.uniform(0, 200, 40_000)
    found = restricted_mean(Outcome(np.minimum(time, lost), time <= lost), 60)
    truth = 50 * (1 - np.exp(-60 / 50))
    assert abs(found.estimate - truth) < 3 * found.se
    assert found.se < 0.15


def test_se_is_that_of_the_jackknife(gbsg):
    y = gbsg[1].take(range(200))
    found = restricted_mean(y, 60)
    left_out = [restricted_mean(y.take(np.delete(np.arange(200), k)), 60).estimate for k in range(200)]
    pseudo = 200 * found.estimate - 199 * np.array(left_out)
    assert pseudo.mean() == pytest.approx(found.estimate, rel=1e-11)
    assert pseudo.std(ddof=1) / np.sqrt(200) == pytest.approx(found.se, rel=0.02)


def test_the_last_event_ends_the_curve():
    """Nobody is left after it, so that any later span is known, too."""
    y = Outcome([10, 20], [1, 1])
    assert restricted_mean(y, 100).estimate == 15
    assert restricted_mean(y, 100).se == pytest.approx(5 / np.sqrt(2), rel=1e-12)


def test_all_censored_and_events_at_zero():
    alive = restricted_mean(Outcome([70, 80], [0, 0]), 60)
    assert (alive.estimate, alive.se, alive.events) == (60, 0, 0)
    assert alive.interval() == (60, 60)
    assert restricted_mean(Outcome([0, 80], [1, 0]), 60).estimate == 30


def test_difference_of_two_groups(gbsg):
    X, y = gbsg
    found = restricted_mean_difference(y, X["hormon"], 60)
    parts = [restricted_mean(y.take((X["hormon"] == k).to_numpy()), 60) for k in (0, 1)]
    assert found.estimate == pytest.approx(parts[1].estimate - parts[0].estimate, rel=1e-14, abs=0)
    assert found.se**2 == pytest.approx(parts[0].se ** 2 + parts[1].se ** 2, rel=1e-14, abs=0)
    assert found.p == pytest.approx(2 * norm.sf(abs(found.estimate / found.se)), rel=1e-12, abs=0)
    low, high = found.interval()
    assert (low + high) / 2 == pytest.approx(found.estimate, rel=1e-12)
    swapped = restricted_mean_difference(y, 1 - X["hormon"], 60)
    assert swapped.estimate == pytest.approx(-found.estimate, rel=1e-12)
    assert swapped.p == pytest.approx(found.p, rel=1e-12, abs=0)
    table = found.to_frame()
    assert table["group"].tolist() == ["0", "1", "1 - 0"]
    assert table["p"].notna().tolist() == [False, False, True]


def test_span_of_a_difference_is_the_one_that_both_groups_have():
    y = Outcome([10, 30, 20, 50], [1, 0, 1, 0])
    found = restricted_mean_difference(y, list("aabb"))
    assert {mean.until_months for mean in found.groups.values()} == {30}


def test_difference_keeps_its_level():
    """Two samples of one exponential: p below 0.05 in 3-8% of 400 draws."""
    random = np.random.default_rng(5)
    rejected = 0
    for _ in range(400):
        time, lost = random.exponential(60, 160), random.uniform(62, 150, 160)
        y = Outcome(np.minimum(time, lost), time <= lost)
        rejected += restricted_mean_difference(y, np.arange(160) % 2, 60).p < 0.05
    assert 0.03 <= rejected / 400 <= 0.08


def test_what_is_refused():
    y = Outcome([10, 30, 20, 50], [1, 0, 1, 0])
    with pytest.raises(HorizonError, match="nobody is followed for 51 months"):
        restricted_mean(y, 51)
    with pytest.raises(HorizonError, match="nobody is followed for 40 months"):
        restricted_mean_difference(y, list("aabb"), 40)
    with pytest.raises(CohortError, match="not positive"):
        restricted_mean(y, 0)
    with pytest.raises(CohortError, match="no patients"):
        restricted_mean(y.take([]), 10)
    with pytest.raises(CohortError, match="there are 1"):
        restricted_mean_difference(y, pd.Categorical(list("aaaa"), ["a", "b"]))
    with pytest.raises(CohortError, match="4 patients but 2"):
        restricted_mean_difference(y, ["a", "b"])


def test_simulated_patients_are_marked():
    y = Outcome([10, 30, 20, 50], [1, 0, 1, 0], simulated=True)
    assert restricted_mean(y, 30).to_frame()["simulated"].all()
    assert restricted_mean_difference(y, list("aabb")).to_frame()["simulated"].all()
