"""C-indices against R, and what must hold for any C."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError, HorizonError
from radiomics_npc.survival.metrics.concordance import concordance_difference, harrell_c, uno_c
from radiomics_npc.survival.metrics.pairs import pair_sums


def test_harrell_equals_r(gbsg, table, numbers):
    """Tolerance 1e-12, standard error included."""
    expected = numbers("A_summary")
    found = harrell_c(gbsg[1], table("A_pred")["lp"])
    assert found.estimate == pytest.approx(expected["Harrell_C"], abs=1e-12)
    assert found.se == pytest.approx(expected["Harrell_C_se"], abs=1e-12)
    counts = expected["counts"]
    assert found.pairs == counts["concordant"] + counts["discordant"] + counts["tied.x"]


def test_uno_equals_r(gbsg, table, numbers):
    expected, lp = numbers("A_summary"), table("A_pred")["lp"]
    found = uno_c(gbsg[1], lp, tau=60)
    assert found.estimate == pytest.approx(expected["Uno_C_tau60"], abs=1e-12)
    assert found.se == pytest.approx(expected["Uno_C_tau60_se"], abs=1e-12)
    for tau in (None, np.inf, 1e9):
        assert uno_c(gbsg[1], lp, tau=tau).estimate == pytest.approx(expected["Uno_C"], abs=1e-12)


def test_difference_equals_r(gbsg, table, numbers):
    expected, scores = numbers("cdiff"), table("cdiff_scores")
    first, second = (harrell_c(gbsg[1], scores[name]) for name in ("lp1", "lp2"))
    found = concordance_difference(first, second)
    assert found.estimate == pytest.approx(expected["diff"], abs=1e-12)
    assert found.se == pytest.approx(expected["se_infinitesimal_jackknife"], abs=1e-12)
    assert found.z == pytest.approx(expected["z"], abs=1e-11)
    assert found.p == pytest.approx(expected["p"], rel=1e-11, abs=0)


def slow_sums(y: Outcome, risk: np.ndarray, weight: np.ndarray, strata: np.ndarray) -> np.ndarray:
    """Pairs one by one: concordant and comparable weight of each patient, as the event and as the other."""
    sums = np.zeros((2, 2, len(y)))
    for i in np.flatnonzero(y.event):
        for j in range(len(y)):
            tied = y.time_months[j] == y.time_months[i] and not y.event[j]
            if strata[i] == strata[j] and (y.time_months[j] > y.time_months[i] or tied):
                won = float(risk[i] > risk[j]) + 0.5 * float(risk[i] == risk[j])
                for row, patient in ((0, i), (1, j)):
                    sums[:, row, patient] += weight[i] * np.array([won, 1.0])
    return sums


@st.composite
def tied_patients(draw):
    """Ties in time, event, risk and weight, in some strata; from nobody to more than one block of pairs."""
    n = draw(st.sampled_from([0, 1, 2, 7, 30, 80, 150]))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    times, risks, strata = (draw(st.integers(1, most)) for most in (60, 60, 4))
    y = Outcome(random.integers(1, times + 1, n), random.random(n) < draw(st.floats(0, 1)))
    weight = random.choice([0.0, 0.5, 1.0, 3.7], n) * y.event
    return y, random.integers(0, risks, n).astype(float), weight, random.integers(0, strata, n)


@settings(max_examples=60, deadline=None)
@given(tied_patients())
def test_equals_pairs_one_by_one(drawn):
    """Each patient's weights, hence the estimate and the standard error; tolerance 1e-12."""
    y, risk, weight, strata = drawn
    concordant, comparable = slow_sums(y, risk, weight, strata)
    found = pair_sums(y, risk, weight, strata)
    np.testing.assert_allclose(found[0], concordant, rtol=0, atol=1e-10)
    np.testing.assert_allclose(found[1], comparable, rtol=0, atol=1e-10)
    ones = y.event.astype(float)
    good, pairs = slow_sums(y, risk, ones, strata)
    c = harrell_c(y, risk, strata=strata)
    assert c.pairs == pairs[0].sum()
    if c.pairs:
        estimate = good[0].sum() / pairs[0].sum()
        influence = (good.sum(axis=0) - estimate * pairs.sum(axis=0)) / c.pairs
        assert c.estimate == pytest.approx(estimate, abs=1e-12)
        np.testing.assert_allclose(c.influence, influence, rtol=0, atol=1e-12)
        assert c.se == pytest.approx(np.sqrt(np.sum(influence**2)), abs=1e-12)
    else:
        assert np.isnan(c.estimate)


def test_influence_is_the_derivative_to_case_weights():
    """What a patient adds: the slope of C when that patient counts a little more, in both its roles."""
    random = np.random.default_rng(5)
    y, risk = Outcome(random.integers(1, 15, 40), random.random(40) < 0.6), random.normal(size=40).round(1)
    exact, step = harrell_c(y, risk).influence, 1e-6
    later = (y.time_months > y.time_months[:, None]) | ((y.time_months == y.time_months[:, None]) & ~y.event)
    pair = later & y.event[:, None]
    won = pair * 0.5 * (1.0 * (risk[:, None] > risk) + (risk[:, None] >= risk))
    for patient in range(40):
        up, down = np.ones(40), np.ones(40)
        up[patient] += step
        down[patient] -= step
        slope = (up @ won @ up / (up @ pair @ up) - down @ won @ down / (down @ pair @ down)) / (2 * step)
        assert exact[patient] == pytest.approx(slope, abs=1e-8)


def test_large_cohort_equals_an_independent_count():
    """20,000 patients, strata given, against pairs counted in blocks of dense comparisons."""
    random = np.random.default_rng(6)
    n = 20_000
    y = Outcome(random.exponential(30, n).round(1), random.random(n) < 0.3)
    risk, strata = random.normal(size=n).round(2), random.integers(0, 5, n)
    good = pairs = 0.0
    for k in range(5):
        part, score = y.take(strata == k), risk[strata == k]
        for rows in np.array_split(np.flatnonzero(part.event), 8):
            time = part.time_months[rows, None]
            later = (part.time_months > time) | ((part.time_months == time) & ~part.event)
            pairs += later.sum()
            good += (later & (score[rows, None] > score)).sum()
            good += 0.5 * (later & (score[rows, None] == score)).sum()
    found = harrell_c(y, risk, strata=strata)
    assert found.pairs == pairs
    assert found.estimate == pytest.approx(good / pairs, abs=1e-12)


def test_a_pair_counts_in_proportion_to_patients_times_their_logarithm():
    """Ten times the patients: far less than the hundred times as long that meeting each pair would take."""
    random = np.random.default_rng(7)

    def seconds(n):
        y, risk = Outcome(random.exponential(30, n), random.random(n) < 0.5), random.normal(size=n)
        weight = y.event.astype(float)
        spent = []
        for _ in range(4):
            start = time.process_time()
            pair_sums(y, risk, weight)
            spent.append(time.process_time() - start)
        return min(spent)

    assert seconds(100_000) < 40 * seconds(10_000)


def test_order_of_patients_and_monotone_transformation_do_not_matter():
    random = np.random.default_rng(1)
    y, risk = Outcome(random.exponential(30, 90), random.random(90) < 0.6), random.normal(size=90)
    turn = random.permutation(90)
    for measure in (harrell_c, uno_c):
        first = measure(y, risk)
        assert measure(y.take(turn), np.exp(risk[turn])).estimate == pytest.approx(first.estimate, abs=1e-14)
        assert measure(y, -risk).estimate == pytest.approx(1 - first.estimate, abs=1e-14)
        assert measure(y, -risk).se == pytest.approx(first.se, abs=1e-14)


def test_perfect_and_constant_models():
    y = Outcome(np.arange(1.0, 31), np.arange(30) % 3 > 0)
    assert harrell_c(y, -y.time_months).estimate == uno_c(y, -y.time_months).estimate == 1.0
    assert harrell_c(y, -y.time_months).se == 0.0
    assert harrell_c(y, np.zeros(30)).estimate == uno_c(y, np.zeros(30)).estimate == 0.5


def test_known_truth():
    """Exponential times without censoring: C is the mean of 1 / (1 + exp(-|difference of log hazards|))."""
    random = np.random.default_rng(2)
    lp = random.normal(size=1500)
    y = Outcome(random.exponential(np.exp(-lp)), np.ones(1500))
    gap = np.abs(np.subtract.outer(lp, lp))[np.triu_indices(1500, 1)]
    truth = np.mean(1 / (1 + np.exp(-gap)))
    found = harrell_c(y, lp)
    assert abs(found.estimate - truth) < 3 * found.se
    assert found.se < 0.01


def test_interval_covers_the_truth():
    """300 cohorts of 150 with a third censored: the 95% interval holds the true C in 90 to 98%."""
    random = np.random.default_rng(8)

    def interval(n):
        risk = random.normal(size=n)
        death, lost = random.exponential(np.exp(-risk)), random.exponential(2.0, n)
        return harrell_c(Outcome(np.minimum(death, lost), death <= lost), risk)

    truth = interval(100_000)
    assert truth.se < 0.002
    hits = 0
    for _ in range(300):
        low, high = interval(150).interval()
        hits += low < truth.estimate < high
    assert 0.90 <= hits / 300 <= 0.98


def test_uno_does_not_depend_on_censoring_where_harrell_does():
    """Non-proportional risks: what Harrell's C estimates moves with the censoring, Uno's stays."""
    random = np.random.default_rng(3)
    n = 4000
    x = random.integers(0, 2, n)
    time = np.where(x == 1, random.exponential(10, n), random.weibull(4, n) * 12)
    whole = Outcome(time, np.ones(n)).censor_at(15)
    lost = random.exponential(8, n)
    part = Outcome(np.minimum(time, lost), time <= lost)
    truth = harrell_c(whole, x).estimate
    assert abs(uno_c(part, x, tau=15).estimate - truth) < 0.02
    assert abs(harrell_c(part, x).estimate - truth) > 0.03


def test_strata_compare_only_within():
    random = np.random.default_rng(4)
    y, risk = Outcome(random.exponential(30, 60), random.random(60) < 0.7), random.normal(size=60)
    fold = np.repeat([0, 1, 2], 20)
    parts = [harrell_c(y.take(fold == k), risk[fold == k]) for k in range(3)]
    pairs = np.array([p.pairs for p in parts])
    whole = harrell_c(y, risk, strata=fold)
    assert whole.pairs == pairs.sum()
    assert whole.estimate == pytest.approx(np.average([p.estimate for p in parts], weights=pairs), rel=1e-12)
    # A shift between folds, which says nothing about patients, changes nothing.
    assert harrell_c(y, risk + 10 * fold, strata=fold).estimate == whole.estimate


def test_events_after_tau_do_not_count():
    y = Outcome([10, 20, 70, 80], [1, 1, 1, 1])
    assert uno_c(y, [4, 3, 1, 2], tau=60).estimate == 1.0
    assert uno_c(y, [4, 3, 1, 2], tau=75).estimate < 1.0


def test_simulated_patients_are_said():
    y = Outcome([5, 10, 20, 40], [1, 1, 0, 1], simulated=True)
    for found in (harrell_c(y, [4, 2, 3, 1]), uno_c(y, [4, 2, 3, 1])):
        assert found.to_frame()["simulated"].all()
        assert "simulated" in repr(found)
    assert "simulated" not in harrell_c(Outcome([5, 10], [1, 1]), [1, 2]).to_frame()


def test_what_is_refused():
    y = Outcome([1, 2], [1, 0])
    with pytest.raises(CohortError, match="strata"):
        harrell_c(y, [1.0, 2.0], strata=[1])
    with pytest.raises(CohortError, match="missing"):
        harrell_c(y, [np.nan, 1.0])
    with pytest.raises(CohortError, match="shape"):
        harrell_c(y, [1.0])
    with pytest.raises(HorizonError):
        uno_c(y, [1.0, 2.0], tau=0)
    assert np.isnan(harrell_c(Outcome([1, 2], [0, 0]), [1, 2]).estimate)


def test_a_missing_stratum_is_refused():
    y = Outcome([1, 2, 3, 4], [1, 1, 1, 1])
    for score in (harrell_c, uno_c):
        with pytest.raises(CohortError, match="the stratum of 2 patients is missing"):
            score(y, [4, 3, 2, 1], strata=["a", "a", None, None])
