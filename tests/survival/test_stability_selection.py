"""Stability selection: bounds in closed form, noise below the bound, signals found."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError, ConfigError
from radiomics_npc.survival.models.cox import CoxModel
from radiomics_npc.survival.selection.elastic_net import elastic_net_path, largest_penalty
from radiomics_npc.survival.selection.stability_selection import (
    StabilitySelection,
    _first_on_path,
    _halves,
    false_selections,
    false_selections_unimodal,
)


def draw(seed: int, n: int, p: int, strength: float) -> tuple[pd.DataFrame, Outcome]:
    """Independent features, the first three with an effect."""
    random = np.random.default_rng(seed)
    values = random.normal(size=(n, p))
    X = pd.DataFrame(values, columns=[f"x{k}" for k in range(p)])
    X.index = X.index.astype(str)
    time = random.exponential(30 * np.exp(strength * (values[:, 0] - values[:, 1] + values[:, 2])))
    lost = random.uniform(10, 90, n)
    return X, Outcome(np.minimum(time, lost), time <= lost, X.index)


def test_bounds_are_their_closed_forms():
    """Meinshausen and Buehlmann, theorem 1; Shah and Samworth, theorem 2, on both sides of 0.75."""
    assert false_selections(20, 0.9, 1000) == pytest.approx(20**2 / (0.8 * 1000), rel=1e-15, abs=0)
    assert false_selections_unimodal(20, 0.7, 1000, 50) == pytest.approx(
        0.4 / (2 * (0.4 - 0.01)), rel=1e-12, abs=0
    )
    assert false_selections_unimodal(20, 0.9, 1000, 50) == pytest.approx(
        4 * 0.11 / 1.02 * 0.4, rel=1e-12, abs=0
    )
    # The two pieces of the unimodal bound meet, up to the steps of 1 / (2 pairs).
    left, right = (false_selections_unimodal(20, at, 1000, 10**7) for at in (0.75, 0.75 + 1e-12))
    assert left == pytest.approx(right, rel=1e-9)
    for threshold in (0.6, 0.75, 0.9):
        sharper = false_selections_unimodal(20, threshold, 1000, 50)
        assert sharper < false_selections(20, threshold, 1000)
    assert np.isnan(false_selections_unimodal(700, 0.75, 1000, 50))
    assert np.isnan(false_selections_unimodal(20, 0.5001, 1000, 50))
    with pytest.raises(ConfigError, match=r"above 0\.5"):
        false_selections(20, 0.5, 1000)


def test_columns_per_half_keep_the_bound():
    for columns in (30, 200, 1000):
        for threshold in (0.6, 0.75, 0.9):
            for most in (1.0, 2.5):
                size = StabilitySelection(threshold=threshold, max_false=most)._size(columns)
                assert false_selections(size, threshold, columns) <= most + 1e-9
                assert false_selections(size + 1, threshold, columns) > most or size == columns


def test_halves_are_complementary_with_the_same_share_of_events():
    _, y = draw(0, 101, 3, 0.0)
    first, second = _halves(y, np.random.default_rng(0))
    assert sorted([*first, *second]) == list(range(101))
    assert abs(int(y.event[first].sum()) - int(y.event[second].sum())) <= 1
    assert abs(len(first) - len(second)) <= 1


def test_first_on_the_path_are_those_of_a_fine_path():
    X, y = draw(1, 150, 40, 0.4)
    scaled = ((X - X.mean()) / X.std(ddof=0)).to_numpy()
    found = _first_on_path(scaled, y, 1.0, 8)
    fine = largest_penalty(scaled, y, 1.0) * np.geomspace(1, 0.2, 400)
    path = elastic_net_path(scaled, y, fine, 1.0)
    entry = np.where((path != 0).any(axis=1), (path != 0).argmax(axis=1), 400)
    assert set(found[:6]) <= set(np.argsort(entry, kind="stable")[:8])
    assert set(found[:3]) == {0, 1, 2}
    assert len(_first_on_path(scaled, y, 1.0, 40)) > 30


def test_signals_are_recovered_and_noise_is_not():
    X, y = draw(2, 200, 150, 0.6)
    fitted = StabilitySelection(resamples=40).fit(X, y)
    assert set(fitted.columns_) == {"x0", "x1", "x2"}
    assert fitted.frequencies_.is_monotonic_decreasing
    assert (fitted.frequencies_[fitted.columns_] >= 0.75).all()
    assert fitted.chosen_ == pytest.approx(fitted.frequencies_.sum(), rel=1e-12)
    assert fitted.expected_false_ == pytest.approx(fitted.chosen_**2 / (0.5 * 150), rel=1e-12)
    assert fitted.expected_false_ <= 1 + 1e-9
    assert fitted.to_frame()["kept"].sum() == 3


def test_false_selections_of_noise_stay_below_the_bound():
    """30 cohorts of pure noise: on average no more columns than the bound lets pass."""
    counts, bounds = [], []
    for seed in range(30):
        X, y = draw(100 + seed, 100, 80, 0.0)
        fitted = StabilitySelection(threshold=0.6, max_false=2.0, resamples=50, random_state=seed).fit(X, y)
        counts.append(len(fitted.columns_))
        bounds.append(fitted.expected_false_)
    assert max(bounds) <= 2.0 + 1e-9
    assert np.mean(counts) <= np.mean(bounds)
    # The bound says something: a single half selects more columns than it lets pass.
    assert fitted.chosen_ > 2 * np.mean(bounds)


def test_same_seed_same_columns_and_order_of_columns_does_not_matter():
    X, y = draw(3, 120, 40, 0.5)
    fitted = StabilitySelection(resamples=20, max_false=2.0).fit(X, y)
    again = clone(fitted).fit(X, y)
    pd.testing.assert_series_equal(again.frequencies_, fitted.frequencies_)
    turned = clone(fitted).fit(X.iloc[:, ::-1], y)
    pd.testing.assert_series_equal(turned.frequencies_[X.columns], fitted.frequencies_[X.columns])
    other = clone(fitted).set_params(random_state=1).fit(X, y)
    assert not other.frequencies_[X.columns].equals(fitted.frequencies_[X.columns])


def test_pipeline_and_prescreen():
    X, y = draw(4, 160, 60, 0.6)
    steps = Pipeline([("stable", StabilitySelection(resamples=20, max_features=20)), ("cox", CoxModel())])
    fitted = steps.fit(X, y)
    assert {"x0", "x1", "x2"} <= set(fitted["cox"].columns_)
    assert len(fitted["stable"].frequencies_) == 60
    elastic = StabilitySelection(resamples=10, l1_ratio=0.5).fit(X, y)
    assert {"x0", "x1", "x2"} & set(elastic.columns_)


def test_messy_input():
    X, y = draw(5, 60, 30, 0.5)
    odd = X.assign(constant=1.0, empty=np.nan)
    odd.iloc[:10, 0] = np.nan
    fitted = StabilitySelection(resamples=4).fit(odd, y)
    assert {"constant", "empty"}.isdisjoint(fitted.frequencies_.index)
    with pytest.raises(CohortError, match="no feature varies"):
        StabilitySelection().fit(odd[["constant", "empty"]], y)
    with pytest.raises(CohortError, match="events are too few"):
        StabilitySelection().fit(X, Outcome(y.time_months, np.arange(60) < 3, X.index))
    with pytest.raises(CohortError, match="cannot be assured"):
        StabilitySelection(max_false=0.01).fit(X.iloc[:, :10], y)
    with pytest.raises(ConfigError, match="resamples is 1"):
        StabilitySelection(resamples=1).fit(X, y)
    with pytest.raises(ConfigError, match=r"threshold is 0\.3"):
        StabilitySelection(threshold=0.3).fit(X, y)
    tied = Outcome(np.ceil(y.time_months / 12), y.event, X.index)
    assert StabilitySelection(resamples=4).fit(X, tied).chosen_ > 0
