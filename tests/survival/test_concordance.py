"""C-indices against R, and what must hold for any C."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError, HorizonError
from radiomics_npc.survival.metrics.concordance import concordance_difference, harrell_c, uno_c


def test_harrell_equals_r(gbsg, table, numbers):
    """Tolerance 1e-9, standard error included."""
    expected = numbers("A_summary")
    found = harrell_c(gbsg[1], table("A_pred")["lp"])
    assert found.estimate == pytest.approx(expected["Harrell_C"], abs=1e-9)
    assert found.se == pytest.approx(expected["Harrell_C_se"], abs=1e-9)
    counts = expected["counts"]
    assert found.pairs == counts["concordant"] + counts["discordant"] + counts["tied.x"]


def test_uno_equals_r(gbsg, table, numbers):
    expected, lp = numbers("A_summary"), table("A_pred")["lp"]
    found = uno_c(gbsg[1], lp, tau=60)
    assert found.estimate == pytest.approx(expected["Uno_C_tau60"], abs=1e-9)
    assert found.se == pytest.approx(expected["Uno_C_tau60_se"], abs=1e-9)
    assert uno_c(gbsg[1], lp, tau=1e9).estimate == pytest.approx(expected["Uno_C"], abs=1e-9)


def test_difference_equals_r(gbsg, table, numbers):
    expected, scores = numbers("cdiff"), table("cdiff_scores")
    first, second = (harrell_c(gbsg[1], scores[name]) for name in ("lp1", "lp2"))
    found = concordance_difference(first, second)
    assert found.estimate == pytest.approx(expected["diff"], abs=1e-9)
    assert found.se == pytest.approx(expected["se_infinitesimal_jackknife"], abs=1e-9)
    assert found.z == pytest.approx(expected["z"], abs=1e-9)
    assert found.p == pytest.approx(expected["p"], rel=1e-9)


def slow_c(y: Outcome, risk: np.ndarray) -> float:
    """Pairs one by one."""
    good = pairs = 0.0
    for i in np.flatnonzero(y.event):
        for j in range(len(y)):
            tied = y.time_months[j] == y.time_months[i] and not y.event[j]
            if y.time_months[j] > y.time_months[i] or tied:
                pairs += 1
                good += float(risk[i] > risk[j]) + 0.5 * float(risk[i] == risk[j])
    return good / pairs if pairs else float("nan")


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_equals_pairs_one_by_one(seed):
    """With many ties in time and risk."""
    random = np.random.default_rng(seed)
    y = Outcome(random.integers(1, 8, 25), random.random(25) < 0.5)
    risk = random.integers(0, 5, 25).astype(float)
    np.testing.assert_allclose(harrell_c(y, risk).estimate, slow_c(y, risk))


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
    assert whole.estimate == pytest.approx(np.average([p.estimate for p in parts], weights=pairs))
    # A shift between folds, which says nothing about patients, changes nothing.
    assert harrell_c(y, risk + 10 * fold, strata=fold).estimate == whole.estimate


def test_events_after_tau_do_not_count():
    y = Outcome([10, 20, 70, 80], [1, 1, 1, 1])
    assert uno_c(y, [4, 3, 1, 2], tau=60).estimate == 1.0
    assert uno_c(y, [4, 3, 1, 2], tau=75).estimate < 1.0


def test_what_is_refused():
    y = Outcome([1, 2], [1, 0])
    with pytest.raises(CohortError, match="missing"):
        harrell_c(y, [np.nan, 1.0])
    with pytest.raises(CohortError, match="shape"):
        harrell_c(y, [1.0])
    with pytest.raises(HorizonError):
        uno_c(y, [1.0, 2.0], tau=0)
    assert np.isnan(harrell_c(Outcome([1, 2], [0, 0]), [1, 2]).estimate)
