"""The log-rank test against R and statsmodels: groups, strata, pairs, trend."""

import numpy as np
import pandas as pd
import pytest
from statsmodels.duration.survfunc import survdiff

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError
from radiomics_npc.survival.estimation.log_rank import log_rank, log_rank_trend, pairwise_log_rank


def test_trend_equals_r_score_test(table):
    """With every patient a group of their own and a covariate as scores, it is coxph's score test."""
    data, expected = table("coxnet_data"), table("univariate")["score"]
    y = Outcome(data["time"], data["event"])
    assert len(np.unique(y.time_months)) == len(y)
    for k in (0, 1, 2, 150, 299):
        x = data.iloc[:, 2 + k].to_numpy()
        found = log_rank_trend(y, x, scores=np.unique(x))
        assert found.chi_square == pytest.approx(expected[k], abs=1e-10)
        assert found.df == 1


def test_groups_and_strata_equal_statsmodels(gbsg):
    X, y = gbsg
    grade, strata = X["grade"].astype(int).to_numpy(), X["meno"].to_numpy()
    for given in (None, strata):
        chi_square, p = survdiff(y.time_months, y.event.astype(int), grade, strata=given)
        found = log_rank(y, grade, strata=given)
        assert found.chi_square == pytest.approx(chi_square, rel=1e-12)
        assert found.p == pytest.approx(p, rel=1e-9, abs=0)
        assert found.table["observed"].sum() == y.event.sum()
        assert found.table["expected"].sum() == pytest.approx(y.event.sum(), rel=1e-12)


def test_strata_add_up(gbsg):
    """Expected events within strata are those of the strata alone."""
    X, y = gbsg
    high, strata = X["grade"].astype(int).to_numpy() > 2, X["meno"].to_numpy()
    parts = [log_rank(y.take(strata == k), high[strata == k]).table["expected"] for k in (0, 1)]
    whole = log_rank(y, high, strata=strata).table["expected"]
    np.testing.assert_allclose(whole, sum(parts), rtol=1e-12)


def test_trend_of_two_groups_is_the_log_rank_test(gbsg):
    X, y = gbsg
    assert log_rank_trend(y, X["hormon"]).chi_square == pytest.approx(
        log_rank(y, X["hormon"]).chi_square, rel=1e-12
    )


def test_trend_knows_order_but_not_units(gbsg):
    X, y = gbsg
    grade = X["grade"]
    steady = log_rank_trend(y, grade)
    assert log_rank_trend(y, grade, scores=[10, 30, 50]).chi_square == pytest.approx(
        steady.chi_square, rel=1e-12
    )
    assert log_rank_trend(y, grade, scores=[0, 2, 1]).chi_square < steady.chi_square
    shuffled = np.random.default_rng(0).permutation(len(y))
    again = log_rank_trend(y.take(shuffled), grade.iloc[shuffled])
    assert again.chi_square == pytest.approx(steady.chi_square, rel=1e-12)


def test_pairs_with_holm(gbsg):
    X, y = gbsg
    grade = X["grade"]
    found = pairwise_log_rank(y, grade)
    assert found[["first", "second"]].to_numpy().tolist() == [["1", "2"], ["1", "3"], ["2", "3"]]
    for row in found.itertuples():
        pair = grade.astype(str).isin([row.first, row.second]).to_numpy()
        assert row.p == pytest.approx(log_rank(y.take(pair), grade[pair]).p, rel=1e-12, abs=0)
    by_size = np.argsort(found["p"].to_numpy())
    holm = np.minimum(1, np.maximum.accumulate(found["p"].to_numpy()[by_size] * [3, 2, 1]))
    np.testing.assert_allclose(found["p_adjusted"].to_numpy()[by_size], holm, rtol=1e-12)
    bonferroni = pairwise_log_rank(y, grade, adjust="bonferroni")
    np.testing.assert_allclose(bonferroni["p_adjusted"], np.minimum(1, 3 * found["p"]), rtol=1e-12)


def test_nobody_with_an_event_shows_no_difference():
    y = Outcome([1, 2, 3, 4, 5, 6], np.zeros(6))
    assert log_rank(y, list("aabbcc")).p == 1
    assert log_rank_trend(y, list("aabbcc")).p == 1
    assert pairwise_log_rank(y, list("aabbcc"))[["p", "p_adjusted"]].isna().all(axis=None)


def test_a_pair_without_events_does_not_count_among_the_comparisons():
    y = Outcome([1, 2, 3, 4, 5, 6, 7, 8], [0, 0, 0, 0, 1, 1, 1, 0])
    found = pairwise_log_rank(y, list("aabbcccc"))
    assert found["p"].isna().tolist() == [True, False, False]
    assert found["p_adjusted"].notna().tolist() == [False, True, True]


def test_empty_groups_and_times_at_zero():
    y = Outcome([0, 0, 3, 4], [1, 0, 1, 1])
    groups = pd.Categorical(["a", "b", "a", "b"], ["a", "b", "never"])
    assert log_rank(y, groups).df == 1
    assert log_rank(y, groups).table["observed"].tolist() == [2, 1]


@pytest.mark.parametrize(
    ("groups", "extra", "words"),
    [
        (["a"] * 4, {}, "two groups"),
        (["a", "b", None, "a"], {}, "every patient"),
        (["a", "b"], {}, "4 patients but 2"),
        (["a", "b", "a", "b"], {"strata": [1, None, 1, 1]}, "stratum of every patient"),
    ],
)
def test_what_is_refused(groups, extra, words):
    with pytest.raises(CohortError, match=words):
        log_rank(Outcome([1, 2, 3, 4], [1, 1, 1, 0]), groups, **extra)


def test_scores_must_fit_the_groups():
    with pytest.raises(CohortError, match="2 groups hold patients but there are 3 scores"):
        log_rank_trend(Outcome([1, 2, 3, 4], [1, 1, 1, 0]), list("abab"), scores=[0, 1, 2])


def test_simulated_patients_are_marked():
    y = Outcome([1, 2, 3, 4], [1, 1, 1, 0], simulated=True)
    assert log_rank(y, list("abab")).to_frame()["simulated"].all()
    assert pairwise_log_rank(y, list("abab"))["simulated"].all()
