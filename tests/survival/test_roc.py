"""AUC(t), the ROC curve and the censoring distribution: R's numbers, and what must hold for any."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError, HorizonError
from radiomics_npc.survival.estimation.censoring import (
    censoring_distribution,
    censoring_influence,
    horizon_weights,
    supported_horizons,
)
from radiomics_npc.survival.estimation.kaplan_meier import kaplan_meier
from radiomics_npc.survival.metrics.roc import auc_at, roc_at

TIMES = [12, 36, 60]


def test_auc_equals_r(gbsg, table):
    """Tolerance 1e-12 for the AUC, its standard error and its limits; about 1e-15 is reached."""
    expected = table("A_auc")
    found = auc_at(gbsg[1], table("A_pred")["lp"], TIMES).to_frame()
    for ours, theirs in (("auc", "AUC"), ("se", "se"), ("lower", "lower"), ("upper", "upper")):
        np.testing.assert_allclose(found[ours], expected[theirs], rtol=0, atol=1e-12)


def slow_auc(y: Outcome, risk: np.ndarray, t: float) -> tuple[float, float]:
    """Definition, pair by pair, and the standard error from each patient's influence on every weight."""
    n, time = len(y), y.time_months
    event, free, weight = horizon_weights(y, t)
    pair = np.outer(weight * event, weight * free) / n**2
    score = 0.5 * ((risk[:, None] > risk) * 1.0 + (risk[:, None] >= risk))
    auc = np.sum(pair * score) / np.sum(pair)

    def influence_on_hazard(i, s):  # of patient i on the cumulative censoring hazard just before s
        known = 0.0
        for u in np.unique(time[(time < s) & (time <= time[i])]):
            at_risk = np.sum(time >= u) / n
            own = float(time[i] == u and not y.event[i])
            known += own / at_risk - np.sum((time == u) & ~y.event) / n / at_risk**2
        return known

    excess = pair * (score - auc)
    influence = np.empty(n)
    for i in range(n):
        own = n * (excess[i].sum() + excess[:, i].sum())
        through = sum(excess[k].sum() * influence_on_hazard(i, time[k]) for k in np.flatnonzero(event))
        through += excess.sum() * influence_on_hazard(i, t)
        influence[i] = (own + through) / pair.sum()
    return auc, float(influence.std(ddof=1) / np.sqrt(n))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(3, 40), st.integers(2, 30))
def test_equals_pairs_one_by_one(seed, times, risks):
    """Ties in time, risk and at the horizon; tolerance 1e-12."""
    random = np.random.default_rng(seed)
    y = Outcome(random.integers(1, times + 1, 35), random.random(35) < 0.6)
    risk = random.integers(0, risks, 35).astype(float)
    for t in supported_horizons(y, [times // 2, times])[0]:
        auc, se = slow_auc(y, risk, t)
        found = auc_at(y, risk, [t])
        assert found.auc[0] == pytest.approx(auc, abs=1e-12)
        assert found.se[0] == pytest.approx(se, abs=1e-12)


def test_without_censoring_it_is_the_plain_auc(draw):
    random = np.random.default_rng(0)
    risk = random.normal(size=200).round(1)
    y = Outcome(random.exponential(np.exp(-risk)) * 40, np.ones(200))
    found = auc_at(y, risk, [12, 36])
    for k, t in enumerate((12, 36)):
        assert found.auc[k] == pytest.approx(roc_auc_score(y.time_months <= t, risk), abs=1e-14)
    np.testing.assert_array_equal(found.cases + found.controls, 200)


def test_order_monotone_transformation_and_sign():
    random = np.random.default_rng(1)
    y, risk = Outcome(random.exponential(30, 120), random.random(120) < 0.6), random.normal(size=120)
    first, turn = auc_at(y, risk, [10, 30]), random.permutation(120)
    second = auc_at(y.take(turn), np.exp(risk[turn]), [10, 30])
    np.testing.assert_allclose(second.auc, first.auc, rtol=0, atol=1e-14)
    np.testing.assert_allclose(second.se, first.se, rtol=0, atol=1e-14)
    np.testing.assert_allclose(second.influence, first.influence[turn], rtol=0, atol=1e-12)
    turned = auc_at(y, -risk, [10, 30])
    np.testing.assert_allclose(turned.auc, 1 - first.auc, rtol=0, atol=1e-14)
    np.testing.assert_allclose(turned.se, first.se, rtol=0, atol=1e-14)


def test_perfect_and_constant_models():
    y = Outcome(np.arange(1.0, 41), np.arange(40) % 3 > 0)
    assert auc_at(y, -y.time_months, [20]).to_frame().loc[0, ["auc", "se"]].tolist() == pytest.approx(
        [1, 0], rel=1e-12
    )
    assert auc_at(y, np.zeros(40), [20]).auc[0] == pytest.approx(0.5, abs=1e-15)
    by_time = auc_at(y, np.column_stack([-y.time_months, y.time_months]), [10, 20])
    np.testing.assert_allclose(by_time.auc, [1, 0], rtol=1e-12, atol=1e-15)


def test_known_truth_and_coverage():
    """Half of the patients censored at random: the estimate is right and its interval covers in 90 to 98%."""
    random = np.random.default_rng(2)
    risk = random.normal(size=200_000)
    truth = roc_auc_score(random.exponential(np.exp(-risk)) <= 1, risk)
    found, hits = [], 0
    for _ in range(200):
        risk = random.normal(size=150)
        death, lost = random.exponential(np.exp(-risk)), random.exponential(1.2, 150)
        row = auc_at(Outcome(np.minimum(death, lost), death <= lost), risk, [1]).to_frame().iloc[0]
        found.append((row.auc, row.se))
        hits += row.lower < truth < row.upper
    found = np.array(found)
    assert abs(found[:, 0].mean() - truth) < 3 * found[:, 0].std() / np.sqrt(200) + 0.002
    assert found[:, 1].mean() == pytest.approx(found[:, 0].std(), rel=0.15)
    assert 0.90 <= hits / 200 <= 0.98


def test_roc_curve(gbsg, table):
    """The trapezoids under its points are AUC(t), to 1e-12; a point by hand."""
    y, lp = gbsg[1], table("A_pred")["lp"].to_numpy().round(1)
    for t in TIMES:
        curve = roc_at(y, lp, t)
        area = np.trapezoid(curve["sensitivity"], 1 - curve["specificity"])
        assert area == pytest.approx(auc_at(y, lp, [t]).auc[0], abs=1e-12)
        assert curve.iloc[0].tolist() == [np.inf, 0, 1]
        assert curve.iloc[-1, 1:].tolist() == pytest.approx([1, 0], abs=1e-12)
        assert curve["threshold"].is_monotonic_decreasing
    event, free, weight = horizon_weights(y, 36)
    row = roc_at(y, lp, 36).query("threshold == 0.5").iloc[0]
    assert row.sensitivity == pytest.approx(
        weight[event & (lp >= 0.5)].sum() / weight[event].sum(), rel=1e-12
    )
    assert row.specificity == pytest.approx(weight[free & (lp < 0.5)].sum() / weight[free].sum(), rel=1e-12)


def test_censoring_distribution_is_kaplan_meier_with_events_first():
    """Against Kaplan-Meier of the censorings after those with an event have been moved ahead of them."""
    random = np.random.default_rng(3)
    y = Outcome(random.integers(1, 12, 80), random.random(80) < 0.5)
    apart = Outcome(y.time_months + 1e-6 * ~y.event, ~y.event)
    expected = kaplan_meier(apart)
    when = np.arange(0, y.time_months[~y.event].max() + 1)
    found = censoring_distribution(y)
    np.testing.assert_allclose(
        found.at(when)[:-1], expected.at(when + 1e-5)["survival"][:-1], rtol=1e-12, atol=1e-14
    )
    np.testing.assert_allclose(found.before(when), expected.at(when)["survival"], rtol=1e-12, atol=1e-14)
    assert np.isnan(found.at(99)).all()
    assert np.isnan(found.before([99, np.nan])).all()
    with pytest.raises(CohortError):
        censoring_distribution(Outcome([], []))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 20))
def test_weights_restore_everyone_and_kaplan_meier(seed, t):
    """The weights have mean 1, and those with the event make up 1 - Kaplan-Meier."""
    random = np.random.default_rng(seed)
    y = Outcome(random.integers(0, 21, 30), random.random(30) < 0.5)
    if y.time_months.max() < t:
        return
    event, free, weight = horizon_weights(y, t)
    assert not (event & free).any()
    assert weight.mean() == pytest.approx(1, abs=1e-12)
    assert weight[event].sum() / 30 == pytest.approx(1 - kaplan_meier(y).at([t])["survival"][0], abs=1e-12)


def test_the_variance_of_kaplan_meier_is_greenwoods():
    """The mean of the case weights is 1 - Kaplan-Meier, so its influence must give Greenwood's SE."""
    random = np.random.default_rng(4)
    time, lost = random.exponential(40, 400), random.exponential(50, 400)
    y = Outcome(np.minimum(time, lost), time <= lost)
    event, _, weight = horizon_weights(y, 30)
    share = event * weight
    influence = share - share.mean() + censoring_influence(y, share, 30)
    # Without ties both are the same sum up to terms of order 1/n in each step.
    expected = kaplan_meier(y).at([30])["se"][0]
    assert influence.std() / np.sqrt(400) == pytest.approx(expected, rel=2e-3)


def test_horizon_where_the_follow_up_ends_by_design():
    """Everyone censored at 60 months is known to be free of the event at 60."""
    random = np.random.default_rng(5)
    risk = random.normal(size=300)
    time, lost = random.exponential(np.exp(-risk)) * 60, random.uniform(20, 200, 300)
    longer = Outcome(np.minimum(time, lost), time <= lost)
    at_design, beyond = auc_at(longer.censor_at(60), risk, [60]), auc_at(longer, risk, [60])
    assert at_design.auc[0] == pytest.approx(beyond.auc[0], abs=1e-14)
    assert at_design.se[0] == pytest.approx(beyond.se[0], abs=1e-14)


def test_supported_horizons():
    y = Outcome([10, 20, 50, 60], [0, 1, 1, 0])
    assert supported_horizons(y, [20, 60]) == ((20.0, 60.0), "")
    kept, message = supported_horizons(y, [12, 36, 72])
    assert kept == (36.0,)
    assert "12 months (no event by then)" in message
    assert "72 months (nobody is followed so long)" in message
    auc_at(y, [1, 2, 3, 4], kept)
    assert supported_horizons(Outcome([10, 20], [1, 1]), [20])[1] == "left out: 20 months (nobody is left)"
    assert supported_horizons(Outcome([10, 20], [0, 0]), [15, 30])[0] == ()
    assert supported_horizons(Outcome([], []), [15])[0] == ()
    assert len(auc_at(y, [1, 2, 3, 4], []).to_frame()) == 0


def test_simulated_patients_are_said():
    y = Outcome([10, 20, 50, 60], [0, 1, 1, 0], simulated=True)
    found = auc_at(y, [1, 2, 3, 4], [36])
    assert found.to_frame()["simulated"].all()
    assert "simulated" in found._repr_html_()


def test_what_is_refused():
    y = Outcome([10, 20, 50, 60], [0, 1, 1, 0])
    with pytest.raises(HorizonError, match="nobody is followed to 72"):
        auc_at(y, [1, 2, 3, 4], [72])
    with pytest.raises(HorizonError, match="with the event at 12"):
        auc_at(y, [1, 2, 3, 4], [12])
    with pytest.raises(HorizonError, match="free of the event at 20"):
        auc_at(Outcome([10, 20], [1, 1]), [1, 2], [20])
    with pytest.raises(HorizonError, match="nobody is followed to nan"):
        auc_at(y, [1, 2, 3, 4], [np.nan])
    with pytest.raises(CohortError, match="missing"):
        auc_at(y, [1, 2, 3, np.nan], [36])
    with pytest.raises(CohortError, match="shape"):
        auc_at(y, np.zeros((4, 3)), [36])
    with pytest.raises(CohortError, match="one risk for each"):
        roc_at(y, [1, 2, np.nan, 3], 36)
