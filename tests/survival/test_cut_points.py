"""The best cut point and its p: published tables, every permutation, and pure noise."""

from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kstest

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError
from radiomics_npc.survival.estimation.log_rank import log_rank
from radiomics_npc.survival.models.cut_points import (
    lausen_1992_p,
    lausen_1994_p,
    log_rank_scores,
    select_cut_point,
)
from radiomics_npc.survival.models.groups import RiskGroups
from radiomics_npc.survival.models.model_file import load_model, save_model
from radiomics_npc.survival.models.prognostic import PrognosticModel


def _noise(n, seed):
    random = np.random.default_rng(seed)
    time, lost = random.exponential(50, n), random.uniform(10, 100, n)
    return Outcome(np.minimum(time, lost), time <= lost), random.normal(size=n)


@pytest.mark.parametrize(
    ("span", "quantiles"),
    [
        ((0.25, 0.75), (2.539, 2.829, 3.088, 3.395)),
        ((0.4, 0.6), (2.263, 2.560, 2.828, 3.149)),
        ((0.1, 0.9), (2.784, 3.054, 3.297, 3.588)),
        ((0.4, 0.9), (2.597, 2.883, 3.138, 3.442)),
    ],
)
def test_published_quantiles(span, quantiles):
    """Lausen and Schumacher 1992, table 2: quantiles of p = 0.1, 0.05, 0.025, 0.01, to 3 digits."""
    for p, quantile in zip((0.1, 0.05, 0.025, 0.01), quantiles, strict=True):
        assert lausen_1992_p(quantile - 5e-4, *span) > p > lausen_1992_p(quantile + 5e-4, *span)


def test_published_bonferroni():
    """Lausen et al. 1994, page 489."""
    assert round(lausen_1994_p(2.5, 20, range(5, 16)), 3) == 0.073
    assert round(lausen_1994_p(2.5, 200, range(50, 151, 10)), 3) == 0.073


def test_small_statistics_have_p_one():
    assert lausen_1992_p(0.0) == lausen_1992_p(0.5) == 1
    assert lausen_1994_p(0.0, 20, range(5, 16)) == 1
    assert lausen_1992_p(40) == lausen_1994_p(40, 20, range(5, 16)) == 0


def test_scores_without_ties_are_martingale_residuals():
    y, _ = _noise(50, 0)
    order = np.argsort(y.time_months)
    hazard = np.cumsum(y.event[order] / np.arange(50, 0, -1))
    np.testing.assert_allclose(log_rank_scores(y)[order], y.event[order] - hazard, rtol=1e-12, atol=1e-14)
    assert log_rank_scores(y).sum() == pytest.approx(0, abs=1e-12)


def test_statistic_is_the_textbook_one():
    """(S - m/n sum a) / sqrt(m (n - m) / (n (n - 1)) sum (a - mean a)^2), cut by cut."""
    y, risk = _noise(60, 1)
    found = select_cut_point(y, risk, permutations=10)
    a, n = log_rank_scores(y), 60
    for cut, statistic in zip(found.cuts, found.statistics, strict=True):
        low = risk <= cut
        m = low.sum()
        variance = m * (n - m) / (n * (n - 1)) * ((a - a.mean()) ** 2).sum()
        expected = (a[~low].sum() - (n - m) * a.mean()) / np.sqrt(variance)
        assert statistic == pytest.approx(expected, rel=1e-12)
    assert found.statistic == np.abs(found.statistics).max()
    assert found.n_low >= 6
    assert found.n_high >= 6
    assert found.p_naive == log_rank(y, risk > found.cut_point).p


def test_p_is_the_share_of_all_permutations():
    """Six patients have 720 orders: 20,000 drawn ones agree with the share among all."""
    y = Outcome([3, 8, 5, 13, 2, 30], [1, 1, 0, 1, 1, 1])
    risk = np.array([5.0, 3, 4, 2, 6, 1])
    found = select_cut_point(y, risk, permutations=20_000)
    every = [
        select_cut_point(y, risk[list(order)], permutations=1).statistic >= found.statistic - 1e-9
        for order in permutations(range(6))
    ]
    exact = np.mean(every)
    assert 0.001 < exact < 0.5
    assert found.p == pytest.approx(exact, abs=4 * np.sqrt(exact / 20_000) + 1e-4)


def test_noise_is_not_called_different():
    """600 cohorts of 100: corrected p are uniform; the log-rank p at the best cut is wrong by far."""
    found = [select_cut_point(*_noise(100, k), permutations=299, random_state=k) for k in range(600)]
    p = np.array([f.p for f in found])
    assert 0.03 <= (p <= 0.05).mean() <= 0.07
    assert kstest(p, "uniform").pvalue > 0.01
    for name in ("p_lausen_1992", "p_lausen_1994"):
        assert np.mean([getattr(f, name) <= 0.05 for f in found]) <= 0.06
    assert np.mean([f.p_naive <= 0.05 for f in found]) > 0.3


def test_a_planted_cut_is_found():
    random = np.random.default_rng(0)
    risk = random.random(400)
    time = random.exponential(np.where(risk > 0.7, 15.0, 60.0))
    y = Outcome(np.minimum(time, 80), time <= 80)
    found = select_cut_point(y, risk, permutations=999)
    assert found.cut_point == pytest.approx(0.7, abs=0.02)
    assert found.p == 0.001
    assert (found.statistics > 0).all()


def test_only_the_order_of_risks_matters():
    y, risk = _noise(80, 3)
    found = select_cut_point(y, risk, permutations=200)
    again = select_cut_point(y, np.exp(3 * risk), permutations=200)
    assert (again.statistic, again.p, again.n_low) == (found.statistic, found.p, found.n_low)
    turned = select_cut_point(y, -risk, permutations=200)
    assert turned.statistic == pytest.approx(found.statistic, rel=1e-12)
    rows = np.random.default_rng(1).permutation(80)
    assert select_cut_point(y.take(rows), risk[rows], permutations=1).cut_point == found.cut_point


def test_equal_risks_are_never_parted():
    y, risk = _noise(90, 4)
    found = select_cut_point(y, np.round(risk), permutations=50)
    assert len(found.cuts) <= 6
    assert not np.isin(found.cuts, np.round(risk)).any()
    assert found.n_low + found.n_high == 90


def test_what_is_refused():
    y, risk = _noise(30, 5)
    with pytest.raises(CohortError, match="every patient"):
        select_cut_point(y, np.where(risk > 0, risk, np.nan))
    with pytest.raises(CohortError, match="every patient"):
        select_cut_point(y, risk[:-1])
    with pytest.raises(CohortError, match="too few different risks"):
        select_cut_point(y, np.zeros(30))
    with pytest.raises(CohortError, match="do not differ"):
        select_cut_point(Outcome(np.arange(30), np.zeros(30)), risk)
    with pytest.raises(CohortError, match="between 0 and 1"):
        select_cut_point(y, risk, min_proportion=0.9, max_proportion=0.1)


def test_simulated_patients_are_marked():
    y, risk = _noise(30, 6)
    marked = Outcome(y.time_months, y.event, simulated=True)
    assert select_cut_point(marked, risk, permutations=10).to_frame()["simulated"].all()


def test_risk_groups_by_the_best_cut():
    y, risk = _noise(60, 7)
    groups = RiskGroups("maxstat").fit(risk, y)
    found = select_cut_point(y, risk)
    assert groups.cut_points_ == (found.cut_point,)
    assert groups.selection_.p == found.p
    counts = groups.predict(risk).value_counts()
    assert counts["low"] == found.n_low
    assert counts["high"] == found.n_high
    narrow = RiskGroups("maxstat", min_proportion=0.4).fit(risk, y).selection_
    assert min(narrow.n_low, narrow.n_high) >= 24
    with pytest.raises(CohortError, match="need the outcome"):
        RiskGroups("maxstat").fit(risk)


def test_quantile_groups_do_not_look_at_the_outcome():
    y, risk = _noise(60, 8)
    for how in ("median", "tertiles"):
        assert RiskGroups(how).fit(risk, y).cut_points_ == RiskGroups(how).fit(risk).cut_points_


def test_a_model_whose_risks_no_cut_can_part_is_cut_at_the_median(tmp_path):
    y, _ = _noise(60, 9)
    X = pd.DataFrame({"sex": pd.Categorical(["f"] * 60)}, index=y.patient_id)
    model = PrognosticModel("clinical", clinical=["sex"], risk_groups="maxstat").fit(X, y)
    assert model.groups_.how == "median"
    assert set(model.predict_group(X)) == {"low"}
    assert any("cut at the median, because there is no cut point" in note for note in model.notes_)
    save_model(model, tmp_path, name="clinical_cox")
    assert list(load_model(tmp_path).predict_group(X)) == list(model.predict_group(X))


def test_a_fitted_model_claims_no_p_for_the_best_cut_of_its_own_risk():
    """In 120 patients with five columns of noise the p of the best cut is below 0.05 far too often."""
    small = 0
    for seed in range(20):
        y, _ = _noise(120, seed)
        X = pd.DataFrame(np.random.default_rng(seed + 99).normal(size=(120, 5)), columns=list("abcde"))
        X.index = y.patient_id
        model = PrognosticModel("clinical", clinical=list("abcde"), risk_groups="maxstat").fit(X, y)
        small += model.groups_.selection_.p < 0.05
        assert not any("p =" in note for note in model.notes_)
    assert small >= 4
