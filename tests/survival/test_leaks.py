"""What leaks in published pipelines cannot leak through the public API; each wrong way is kept beside it.

A model is always cloned and fitted to training patients alone, so a step that is
fitted before has no effect, and a step inside has seen nobody who is held out.
"""

from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.pipeline import Pipeline

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.survival.metrics.concordance import harrell_c
from radiomics_npc.survival.models.cox import CoxModel
from radiomics_npc.survival.models.standard import standard_model
from radiomics_npc.survival.preprocessing.harmonization import Combat
from radiomics_npc.survival.selection.filters import UnivariateFilter
from radiomics_npc.survival.validation.cross_validation import cross_validate
from radiomics_npc.survival.validation.designs import LeaveCenterOut, RepeatedFolds, TemporalSplit
from radiomics_npc.survival.validation.learning_curve import learning_curve
from radiomics_npc.survival.validation.optimism import bootstrap_validate
from radiomics_npc.survival.validation.permutation import permutation_test


def noise(n: int, p: int, seed: int) -> tuple[pd.DataFrame, Outcome]:
    """Features that have nothing to do with the outcome."""
    random = np.random.default_rng(seed)
    names = [f"t1__original__glcm__F{k}" for k in range(p)]
    X = pd.DataFrame(random.normal(size=(n, p)), columns=names, index=[f"{k:03d}" for k in range(n)])
    time, lost = random.exponential(100, n), random.uniform(10, 100, n)
    return X, Outcome(np.minimum(time, lost), time <= lost, X.index).censor_at(60)


def c_of(model, X, y, **options) -> float:
    result = cross_validate({"m": model}, X, y, **{"repeats": 1, "jobs": 1} | options)
    return float(result.scores["estimate"].iloc[0])


class Spy(TransformerMixin, BaseEstimator):
    """Notes the patients of every fit and every transform, and passes them on."""

    fitted: ClassVar[list[set[str]]] = []
    transformed: ClassVar[list[set[str]]] = []
    values: ClassVar[list[np.ndarray]] = []

    def fit(self, X, y=None):
        self.fitted_ = True
        Spy.fitted.append(set(X.index))
        Spy.values.append(X.to_numpy())
        assert list(X.index) == list(y.patient_id)
        return self

    def transform(self, X):
        Spy.transformed.append(set(X.index))
        return X


class Scaler(TransformerMixin, BaseEstimator):
    """Z-scores with the mean and spread of fit."""

    def fit(self, X, y=None):
        self.mean_, self.sd_ = X.mean(), X.std()
        return self

    def transform(self, X):
        return (X - self.mean_) / self.sd_


@pytest.fixture
def spy() -> Pipeline:
    Spy.fitted.clear()
    Spy.transformed.clear()
    Spy.values.clear()
    return Pipeline([("spy", Spy()), ("cox", CoxModel())])


def test_a_fit_sees_training_patients_only(spy):
    X, y = noise(60, 2, 0)
    everyone = set(X.index)
    centers = pd.Series(np.where(np.arange(60) % 2, "a", "b"), X.index)
    designs = (RepeatedFolds(4, 2), LeaveCenterOut(centers), TemporalSplit(pd.Series(range(60), X.index)))
    for design in designs:
        Spy.fitted.clear()
        result = cross_validate({"m": spy}, X, y, design=design, jobs=1)
        tests = [set(rows["patient_id"]) for _, rows in result.predictions.groupby(["repeat", "fold"])]
        assert len(Spy.fitted) == len(tests)
        for seen, held in zip(Spy.fitted, tests, strict=True):
            assert seen == everyone - held


def test_permutations_and_learning_curves_see_training_patients_only(spy):
    X, y = noise(60, 2, 0)
    permutation_test(spy, X, y, permutations=2, folds=3)
    learning_curve(spy, X, y, shares=(0.5, 1.0), folds=3, repeats=1)
    assert len(Spy.fitted) == 9 + 6
    # Each fit is followed by a look at its own training patients and one at those held out.
    own, held = Spy.transformed[::2], Spy.transformed[1::2]
    assert own == Spy.fitted
    assert not any(seen & tested for seen, tested in zip(Spy.fitted, held, strict=True))
    assert {len(tested) for tested in held} == {20}


def test_bootstrap_samples_hold_only_those_drawn(spy):
    X, y = noise(60, 2, 0)
    rows = np.random.default_rng(0).integers(0, 60, (2, 60))
    bootstrap_validate(spy, X, y, indices=rows)
    assert Spy.fitted[0] == set(X.index)  # the apparent model
    assert all(len(seen) == 60 for seen in Spy.fitted)
    for drawn, table in zip(rows, Spy.values[1:], strict=True):
        np.testing.assert_array_equal(table, X.to_numpy()[drawn])


def test_what_a_model_had_learnt_before_is_forgotten():
    """Fitted to everyone, with the truth as a column: as good as never fitted."""
    X, y = noise(80, 3, 1)
    fresh = cross_validate({"m": CoxModel()}, X, y, repeats=1, jobs=1).predictions
    knows = CoxModel().fit(X, y)
    again = cross_validate({"m": knows}, X, y, repeats=1, jobs=1).predictions
    pd.testing.assert_frame_equal(fresh, again, check_exact=True)
    assert knows.n_ == 80  # the user's own model is left as it was


# (a) --------------------------------------------------------------------------------------------


def test_a_feature_made_of_the_test_outcomes_scores_one_half():
    """In every fold in turn a column is the outcome on test rows and noise on training rows."""
    X, y = noise(150, 1, 2)
    plain = cross_validate({"m": CoxModel()}, X, y, folds=5, repeats=1, jobs=1, random_state=3)
    fold = plain.predictions.set_index("patient_id")["fold"].loc[X.index].to_numpy()
    honest, wrong = [], []
    for seed in range(6):
        random = np.random.default_rng(seed)
        for k in range(5):
            held = fold == k
            values = np.where(held, -y.time_months, random.permutation(-y.time_months))
            planted = pd.DataFrame({"planted": values}, index=X.index)
            result = cross_validate({"m": CoxModel()}, planted, y, folds=5, repeats=1, jobs=1, random_state=3)
            rows = result.predictions.set_index("patient_id")
            assert (rows["fold"].loc[X.index].to_numpy() == fold).all()
            part = y.take(held)
            honest.append(harrell_c(part, rows.loc[part.patient_id, "risk"]).estimate)
            # The wrong way: the coefficient is learnt from everyone.
            wrong.append(harrell_c(part, CoxModel().fit(planted, y).predict_risk(planted[held])).estimate)
    # The sign of a coefficient learnt from noise is a coin: 1 or 0, and one half on average.
    assert abs(np.mean(honest) - 0.5) < 0.25
    assert np.mean(wrong) > 0.9


# (b) and (c) ------------------------------------------------------------------------------------


class Features(TransformerMixin, BaseEstimator):
    """The radiomic features alone, without the center."""

    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def transform(self, X):
        return X[[name for name in X.columns if "__" in name]]


STEPS = {
    "scaler": [("scale", Scaler()), ("cox", CoxModel())],
    "combat": [("combat", Combat(batch="center")), ("features", Features()), ("cox", CoxModel())],
}


@pytest.mark.parametrize("kind", STEPS)
def test_what_is_learnt_of_test_patients_reaches_no_prediction(kind):
    """Half of the patients held out are moved far away: the risks of the other half stay.

    Fitted to the whole cohort, scaler and ComBat move everyone.
    """
    X, y = noise(90, 4, 4)
    if kind == "combat":
        X["center"] = np.where(np.arange(90) % 2, "north", "south")
        X.iloc[::2, :4] += 1.5
    steps = Pipeline(STEPS[kind])
    options = {"folds": 3, "repeats": 1, "jobs": 1}
    first = cross_validate({"m": steps}, X, y, **options).predictions.set_index("patient_id")
    held = first.index[first["fold"] == 1]
    moved, still = held[::2], held[1::2]
    other = X.copy()
    other.loc[moved, X.columns[:4]] = 7 * other.loc[moved, X.columns[:4]] + 30
    steps.fit(other, y)  # fitted to everyone beforehand, which is forgotten
    second = cross_validate({"m": steps}, other, y, **options).predictions.set_index("patient_id")
    np.testing.assert_allclose(second.loc[still, "risk"], first.loc[still, "risk"], rtol=0, atol=1e-12)
    assert not np.allclose(second.loc[moved, "risk"], first.loc[moved, "risk"])

    def wrong_way(table: pd.DataFrame) -> pd.Series:
        prepared = table
        for _, step in STEPS[kind][:-1]:
            prepared = step.fit(prepared, y).transform(prepared)
        found = cross_validate({"m": CoxModel()}, prepared, y, **options).predictions
        return found.set_index("patient_id").loc[still, "risk"]

    assert not np.allclose(wrong_way(other), wrong_way(X), atol=1e-3)


# (d) --------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_whole_cohort_selection_finds_signal_in_noise_and_selection_in_the_fold_does_not():
    steps = Pipeline([("few", UnivariateFilter(max_features=10)), ("cox", CoxModel(fallback_penalizer=0.01))])
    honest, wrong = [], []
    for seed in range(8):
        X, y = noise(277, 3000, seed)
        honest.append(c_of(steps, X, y, random_state=seed))
        honest.append(c_of(steps.fit(X, y), X, y, random_state=seed + 100))  # fitted before: forgotten
        chosen = UnivariateFilter(max_features=10).fit(X, y).transform(X)
        wrong.append(c_of(CoxModel(fallback_penalizer=0.01), chosen, y, random_state=seed))
    assert abs(np.mean(honest) - 0.5) < 0.03
    assert np.mean(wrong) > 0.65


@pytest.mark.slow
def test_standard_model_scores_one_half_on_noise_over_20_seeds():
    """277 x 3,000, nested: everything of the radiomic signature is learnt in the fold.

    The standard deviation of one C is 0.03 to 0.04, that of their mean below 0.01.
    """
    found = []
    for seed in range(20):
        X, y = noise(277, 3000, seed)
        model = standard_model("radiomics_cox", inner_folds=3)
        found.append(c_of(model, X, y, random_state=seed, jobs=2))
    assert abs(np.mean(found) - 0.5) < 0.03
    assert max(found) < 0.65
