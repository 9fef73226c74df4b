"""The random survival forest: against scikit-survival itself, and as honest as the other models."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError, ConfigError, ModelFileError
from radiomics_npc.survival.metrics.concordance import harrell_c
from radiomics_npc.survival.models.forest import ForestModel, _splits
from radiomics_npc.survival.models.model_file import save_model


def curved(n, seed):
    """A log hazard that no line fits: it steps up where two columns are both high."""
    random = np.random.default_rng(seed)
    X = pd.DataFrame(random.normal(size=(n, 4)), columns=list("abcd"))
    X.index = pd.Index([f"p{k}" for k in range(n)], name="patient_id")
    truth = 2.0 * ((X["a"].to_numpy() > 0) & (X["b"].to_numpy() > 0)) + 0.5 * X["c"].to_numpy()
    time, lost = random.exponential(60 * np.exp(-truth)), random.uniform(10, 120, n)
    return X, Outcome(np.minimum(time, lost), time <= lost, X.index).censor_at(60), truth


@pytest.fixture(scope="module")
def fitted():
    X, y, _ = curved(400, 0)
    return ForestModel(n_trees=100, columns_per_split=1.0).fit(X, y)


def test_near_the_oracle_where_columns_interact(fitted):
    X, y, truth = curved(2000, 1)
    oracle = harrell_c(y, truth).estimate
    assert harrell_c(y, fitted.predict_risk(X)).estimate > 0.5 + 0.8 * (oracle - 0.5)
    survival = fitted.predict_survival(X, [24])[:, 0]
    assert np.corrcoef(survival, np.exp(-24 / 60 * np.exp(truth)))[0, 1] > 0.85


def test_equals_a_forest_grown_at_all_times():
    """Censored times moved to the event before leave risk sets, splits and curves as they are."""
    from sksurv.ensemble import RandomSurvivalForest

    X, y, _ = curved(150, 2)
    rounded = Outcome(np.ceil(y.time_months / 2), y.event, X.index)  # ties of all kinds
    model = ForestModel(n_trees=60, random_state=3).fit(X, rounded)
    plain = RandomSurvivalForest(60, min_samples_leaf=10, max_features="sqrt", random_state=3, oob_score=True)
    plain.fit(X.to_numpy(), rounded.to_structured())
    times = np.unique(rounded.time_months)
    at = [np.searchsorted(plain.unique_times_, time, side="right") - 1 for time in times]
    curves = plain.predict_survival_function(X.to_numpy(), return_array=True)[:, at]
    np.testing.assert_allclose(model.predict_survival(X, times), curves, rtol=0, atol=1e-12)
    np.testing.assert_allclose(model.predict_risk(X), np.log(plain.predict(X.to_numpy())), rtol=0, atol=1e-12)
    np.testing.assert_allclose(model.training_risk_, np.log(plain.oob_prediction_), rtol=0, atol=1e-12)


def test_survival_falls_with_time_and_ends_with_follow_up(fitted):
    X, _, _ = curved(50, 3)
    probability = fitted.predict_survival(X, [0, 6, 12, 36, 60, 60.5])
    assert (probability[:, 0] == 1).all()
    assert (np.diff(probability[:, :5], axis=1) <= 0).all()
    assert (probability[:, 4] < 1).all()
    assert np.isnan(probability[:, 5]).all()
    assert np.isnan(fitted.predict_interval(X, 36)).all()


@pytest.mark.parametrize("screen", [{}, {"max_features": 10}, {"max_correlation": 0.9}])
def test_training_risks_say_nothing_where_there_is_nothing(screen):
    """On noise, trees that did not see a patient do not know it; with a screen neither does the screen."""
    random = np.random.default_rng(4)
    X = pd.DataFrame(
        random.normal(size=(150, 300)), columns=[f"t1__original__glcm__F{k}" for k in range(300)]
    )
    X.index = X.index.astype(str)
    y = Outcome(random.exponential(40, 150), random.random(150) < 0.7, X.index)
    model = ForestModel(n_trees=60, **screen).fit(X, y)
    assert abs(harrell_c(y, model.training_risk_).estimate - 0.5) < 0.08
    assert harrell_c(y, model.predict_risk(X)).estimate > 0.8


def test_first_splits_and_patients_of_a_tree_by_hand(fitted):
    """Depths and counts by walking down from the root."""
    for estimator in fitted._forest.estimators_[:5]:
        tree = estimator.tree_
        first, patients, deepest, todo = np.full(4, np.inf), np.zeros(4), 0, [(0, 0)]
        while todo:
            node, depth = todo.pop()
            deepest = max(deepest, depth)
            if tree.children_left[node] == -1:
                continue
            column = tree.feature[node]
            first[column] = min(first[column], depth)
            patients[column] += tree.weighted_n_node_samples[node]
            todo += [(tree.children_left[node], depth + 1), (tree.children_right[node], depth + 1)]
        found = _splits(tree, 4)
        np.testing.assert_array_equal(found[0], np.where(np.isinf(first), deepest + 1, first))
        np.testing.assert_array_equal(found[1], patients)


def test_importance_finds_the_columns(fitted):
    table = fitted.importance().set_index("column")
    assert set(table.index[:3]) == {"a", "b", "c"}
    assert table["share"].sum() == pytest.approx(1.0, rel=1e-12)
    assert table.loc["d", "minimal_depth"] > table.loc[["a", "b", "c"], "minimal_depth"].max()


def test_same_seed_same_forest_whatever_the_order_of_columns(patients):
    X, y, _ = patients
    model = ForestModel(n_trees=30, max_features=10, max_correlation=0.9, inner_folds=2, random_state=5)
    first, second = clone(model).fit(X, y), clone(model).fit(X[list(X.columns[::-1])], y)
    np.testing.assert_array_equal(first.predict_risk(X), second.predict_risk(X))
    np.testing.assert_array_equal(first.training_risk_, second.training_risk_)
    assert len([name for name in first.columns_ if "__" in name]) <= 10
    assert first.columns_[:3] == ["N", "T", "ebv_dna=positive"]


def test_missing_values_absent_columns_and_unknown_levels(patients):
    X, y, _ = patients
    holes = X.iloc[:, :8].copy()
    holes.iloc[:20, 5] = np.nan
    holes.iloc[3, 6] = np.inf
    holes["T"] = holes["T"].mask(np.arange(len(X)) < 5)
    holes["empty"] = np.nan
    model = ForestModel(n_trees=60).fit(holes, y)
    assert model.notes_ == ["empty: left out, no values to split"]
    assert np.isfinite(model.predict_risk(holes)).all()
    whole = ForestModel(n_trees=60).fit(X.iloc[:, :8], y)
    assert np.isfinite(whole.predict_risk(holes)).all()  # missing where training had none
    with pytest.raises(CohortError, match="absent: T"):
        model.predict_risk(holes.drop(columns="T"))
    with pytest.raises(CohortError, match="does not know TX"):
        model.predict_risk(holes.assign(T=pd.Categorical(["TX"] * len(X))))
    with pytest.raises(CohortError, match="no patients"):
        model.predict_survival(holes.iloc[:0], [36])


def test_few_patients_ties_and_time_zero():
    X = pd.DataFrame({"x": np.arange(14.0)}, index=[str(k) for k in range(14)])
    time = np.repeat([0.0, 6, 12, 24, 24, 36, 60], 2)
    y = Outcome(time, [0, 1, 1, 0, 1, 1, 0, 0, 0, 1, 0, 0, 0, 0], X.index)
    model = ForestModel(n_trees=60, min_samples_leaf=3).fit(X, y)
    assert np.isfinite(model.training_risk_).all()
    assert np.isfinite(model.predict_survival(X, [0, 60])).all()
    with pytest.raises(CohortError, match="events are too few"):
        ForestModel().fit(X, Outcome(time, np.zeros(14), X.index))
    with pytest.raises(CohortError, match="no column is left"):
        ForestModel().fit(X[[]], y)
    with pytest.raises(ConfigError, match="2 trees are too few"):
        ForestModel(n_trees=2).fit(X, y)
    with pytest.raises(ConfigError, match="min_samples_leaf is 0"):
        ForestModel(min_samples_leaf=0).fit(X, y)


def test_events_at_one_time_are_refused():
    X = pd.DataFrame({"a": np.arange(30.0)})
    y = Outcome(np.full(30, 60.0), np.arange(30) % 2, X.index)
    with pytest.raises(CohortError, match="at one time"):
        ForestModel(n_trees=20).fit(X, y)


def test_a_forest_is_not_saved(fitted, tmp_path):
    with pytest.raises(ModelFileError, match="for comparison and cannot be saved"):
        fitted.to_dict()
    with pytest.raises(ModelFileError, match="ForestModel cannot be saved"):
        save_model(fitted, tmp_path, name="forest")
    assert not list(tmp_path.iterdir())


def test_simulated_patients_are_said():
    X, y, _ = curved(40, 0)
    model = ForestModel(n_trees=50).fit(X, Outcome(y.time_months, y.event, y.patient_id, simulated=True))
    assert model.to_frame()["simulated"].all()
    assert "Random survival forest: 50 trees, 40 simulated patients" in model._repr_html_()
    assert "not fitted" in ForestModel()._repr_html_()
