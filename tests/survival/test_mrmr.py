"""mRMR for survival against a slow search, concordances of many columns, and planted copies."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError, ConfigError
from radiomics_npc.survival.metrics.concordance import harrell_c
from radiomics_npc.survival.models.cox import CoxModel
from radiomics_npc.survival.selection.mrmr import MrmrFilter, column_concordances
from radiomics_npc.survival.selection.screening import score_tests


@pytest.fixture(scope="module")
def cohort() -> tuple[pd.DataFrame, Outcome]:
    """120 patients, 40 features in 5 blocks with ties, follow-up in whole months."""
    random = np.random.default_rng(8)
    blocks = random.normal(size=(120, 5))
    values = blocks[:, np.arange(40) % 5] + 0.6 * random.normal(size=(120, 40))
    values[:, 10:20] = np.round(values[:, 10:20])
    time = random.exponential(30 * np.exp(-0.8 * blocks[:, 0] + 0.5 * blocks[:, 1]))
    lost = random.uniform(10, 80, 120)
    X = pd.DataFrame(values, columns=[f"x{k}" for k in range(40)])
    X.index = X.index.astype(str)
    return X, Outcome(np.ceil(np.minimum(time, lost)), time <= lost, X.index)


def search(X: pd.DataFrame, y: Outcome, relevance: str, scheme: str, limit: int) -> list[str]:
    """The definition, one pair of columns at a time."""
    worth = {}
    for name in X:
        if relevance == "score":
            worth[name] = np.sqrt(score_tests(X[[name]].to_numpy(), y)[0][0] / y.event.sum())
        else:
            worth[name] = abs(2 * harrell_c(y, X[name]).estimate - 1)
    taken = [max(worth, key=worth.get)]
    while len(taken) < limit:
        best, largest = None, -np.inf
        for name in X.columns.difference(taken, sort=False):
            shared = np.mean([abs(spearmanr(X[name], X[other]).statistic) for other in taken])
            value = worth[name] - shared if scheme == "difference" else worth[name] / max(shared, 0.01)
            if value > largest:
                best, largest = name, value
        taken.append(best)
    return taken


@pytest.mark.parametrize("relevance", ["score", "concordance"])
@pytest.mark.parametrize("scheme", ["difference", "quotient"])
def test_greedy_equals_the_slow_search(cohort, relevance, scheme):
    X, y = cohort
    X = X.iloc[:, ::2]
    fitted = MrmrFilter(6, relevance=relevance, scheme=scheme).fit(X, y)
    assert fitted.columns_ == search(X, y, relevance, scheme, 6)
    ranking = fitted.ranking_
    assert ranking["redundancy"].iloc[0] == 0
    rho = abs(spearmanr(X[fitted.columns_[1]], X[fitted.columns_[0]]).statistic)
    assert ranking["redundancy"].iloc[1] == pytest.approx(rho, abs=1e-12)


def test_concordance_of_every_column_equals_harrells(cohort):
    """Times and values with ties; 1e-12."""
    X, y = cohort
    expected = [harrell_c(y, X[name]).estimate for name in X]
    np.testing.assert_allclose(column_concordances(X.to_numpy(), y), expected, rtol=0, atol=1e-12)
    censored = Outcome(y.time_months, np.zeros(120))
    assert np.isnan(column_concordances(X.to_numpy(), censored)).all()


def test_copies_of_a_strong_feature_wait(cohort):
    """Five copies of the strongest feature: the score test takes them first, mRMR takes one."""
    X, y = cohort
    strongest = MrmrFilter(1).fit(X, y).columns_[0]
    copies = pd.DataFrame({f"copy{k}": X[strongest] * (k + 2) - k for k in range(5)})
    wide = pd.concat([X, copies], axis=1)
    chi_square = score_tests(wide.to_numpy(), y)[0]
    assert set(wide.columns[np.argsort(-chi_square.round(6))[:6]]) == {strongest, *copies}
    for scheme in ("difference", "quotient"):
        taken = MrmrFilter(5, scheme=scheme).fit(wide, y).columns_
        assert len({strongest, *copies} & set(taken)) == 1


def test_signals_of_two_blocks_are_both_found(cohort):
    X, y = cohort
    taken = [int(name[1:]) % 5 for name in MrmrFilter(3).fit(X, y).columns_]
    assert {0, 1} <= set(taken)


def test_order_of_patients_units_and_direction_do_not_matter(cohort):
    X, y = cohort
    taken = MrmrFilter(8).fit(X, y).columns_
    random = np.random.default_rng(0)
    rows = random.permutation(120)
    assert MrmrFilter(8).fit(X.iloc[rows], y.take(rows)).columns_ == taken
    assert MrmrFilter(8).fit(X * np.where(np.arange(40) % 2, -3.0, 10.0) + 5, y).columns_ == taken


def test_pipeline_and_clone(cohort):
    X, y = cohort
    steps = Pipeline([("mrmr", MrmrFilter(4, scheme="quotient")), ("cox", CoxModel())])
    fitted = clone(steps).fit(X, y)
    assert len(fitted["cox"].coef_) == 4
    assert fitted["mrmr"].transform(X).columns.tolist() == fitted["mrmr"].columns_


def test_messy_input(cohort):
    X, y = cohort
    odd = X.assign(constant=1.0, empty=np.nan)
    odd.iloc[:20, 0] = np.nan
    odd.iloc[3, 1] = np.inf
    fitted = MrmrFilter(100).fit(odd, y)
    assert sorted(fitted.columns_) == sorted(X.columns)
    with pytest.raises(CohortError, match="no feature varies"):
        MrmrFilter().fit(odd[["constant", "empty"]], y)
    with pytest.raises(CohortError, match="no patient has an event"):
        MrmrFilter().fit(X, Outcome(y.time_months, np.zeros(120), X.index))
    with pytest.raises(CohortError, match="hold text"):
        MrmrFilter().fit(X.assign(word="a"), y)
    with pytest.raises(ConfigError, match="mutual"):
        MrmrFilter(relevance="mutual").fit(X, y)
    with pytest.raises(ConfigError, match="n_features is 0"):
        MrmrFilter(0).fit(X, y)
    four = np.arange(4)
    few = MrmrFilter(2).fit(X.iloc[four], Outcome([1, 2, 3, 4], [1, 0, 1, 1], X.index[four]))
    assert len(few.columns_) == 2


def test_noise_costs_no_more_than_chance():
    """A Cox model on features that mRMR took in training says nothing of held-out noise: 0.5 +- 0.04."""
    found = []
    for seed in range(20):
        random = np.random.default_rng(seed)
        X = pd.DataFrame(random.normal(size=(200, 300)), columns=[f"x{k}" for k in range(300)])
        X.index = X.index.astype(str)
        y = Outcome(random.exponential(20, 200), random.random(200) < 0.7, X.index)
        train, held = np.arange(100), np.arange(100, 200)
        steps = Pipeline([("mrmr", MrmrFilter(5)), ("cox", CoxModel())]).fit(X.iloc[train], y.take(train))
        found.append(harrell_c(y.take(held), steps.predict(X.iloc[held])).estimate)
    assert abs(np.mean(found) - 0.5) < 0.04
