"""SHAP values against the definition, summed over all coalitions of columns."""

from itertools import combinations
from math import factorial

import numpy as np
import pandas as pd
import pytest

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError
from radiomics_npc.survival.models.boosting import BoostedModel
from radiomics_npc.survival.models.shap_values import shap_values


def small(n=120, *, simulated=False):
    random = np.random.default_rng(1)
    X = pd.DataFrame({
        "T": pd.Categorical(random.choice(["T1", "T2", "T3", "T4"], n)),
        "age": random.normal(60, 10, n),
        "scanner": pd.Categorical(random.choice(["a", "b", "c"], n)),
    }, index=pd.Index([f"p{k}" for k in range(n)], name="patient_id"))  # fmt: skip
    X["noise"] = random.normal(size=n)
    lp = (
        0.5 * X["T"].cat.codes + 0.05 * (X["age"] - 60) * (X["T"].cat.codes > 1) + 0.6 * (X["scanner"] == "b")
    )
    X.loc[X.index[:10], "age"] = np.nan
    y = Outcome(random.exponential(40 * np.exp(-lp)), np.ones(n), X.index, simulated=simulated)
    return X, y.censor_at(60)


def known(tree, columns, row, node=0):
    """Output of a tree when only some columns of a row are known: both ways, by their cover."""
    here = tree.loc[f"{tree['Tree'].iloc[0]}-{node}"]
    if here["Feature"] == "Leaf":
        return here["Gain"]
    column = int(here["Feature"][1:])
    ways = [int(here[way].split("-")[1]) for way in ("Yes", "No")]
    if column in columns:
        value = row[column]
        if np.isnan(value):
            return known(tree, columns, row, int(here["Missing"].split("-")[1]))
        return known(
            tree, columns, row, ways[0] if np.float32(value) < np.float32(here["Split"]) else ways[1]
        )
    cover = [tree.loc[f"{tree['Tree'].iloc[0]}-{way}", "Cover"] for way in ways]
    return np.average([known(tree, columns, row, way) for way in ways], weights=cover)


def shapley(tree, row):
    """Shapley value of each column by its definition."""
    p = len(row)
    values = np.zeros(p)
    for column in range(p):
        others = [k for k in range(p) if k != column]
        for size in range(p):
            weight = factorial(size) * factorial(p - size - 1) / factorial(p)
            for team in combinations(others, size):
                values[column] += weight * (known(tree, {*team, column}, row) - known(tree, set(team), row))
    return values


@pytest.mark.parametrize(("objective", "depth"), [("cox", 1), ("cox", 3), ("aft", 2)])
def test_values_are_shapley_values(objective, depth):
    """Some trees on five columns: to single precision, in which xgboost adds up."""
    X, y = small()
    model = BoostedModel(objective=objective, max_depth=depth, max_rounds=6, patience=6).fit(X, y)
    found, _ = model.contributions(X)
    nodes = model._booster.trees_to_dataframe().set_index("ID")
    sign = 1.0 if objective == "cox" else -1 / model.growth_["aft_loss_distribution_scale"]
    assert nodes["Tree"].nunique() == model.rounds_
    for at in (0, 15, 40):
        row = model.tree_table(X).iloc[at].to_numpy()
        by_hand = sign * sum(shapley(tree, row) for _, tree in nodes.groupby("Tree"))
        assert np.abs(by_hand).max() > 0.005
        np.testing.assert_allclose(found[at], by_hand, atol=2e-6)


@pytest.mark.parametrize("objective", ["cox", "aft"])
def test_values_add_up_to_the_risk(objective):
    X, y = small()
    model = BoostedModel(objective=objective).fit(X, y)
    found = shap_values(model, X)
    np.testing.assert_allclose(found.risk, model.predict_risk(X), atol=3e-6)
    assert found.contributions.to_numpy().std() > 0.01
    # More risk by T: no sign is lost between log time and risk.
    assert np.corrcoef(found.contributions["T"], found.data["T"])[0, 1] > 0.7


def test_a_factor_has_one_value():
    X, y = small()
    model = BoostedModel(max_rounds=30).fit(X, y)
    parts, base = model.contributions(X)
    found = shap_values(model, X)
    levels = [k for k, name in enumerate(model.columns_) if name.startswith("scanner=")]
    assert len(levels) == 2
    np.testing.assert_allclose(
        found.contributions["scanner"], parts[:, levels].sum(axis=1), rtol=0, atol=1e-12
    )
    assert sorted(found.contributions.columns) == ["T", "age", "noise", "scanner"]
    assert found.base == base
    assert set(found.ordered) == {"T", "age", "noise"}
    assert found.data["scanner"].tolist() == X["scanner"].cat.codes.tolist()
    assert found.data["age"].isna().sum() == 10


def test_ranking():
    X, y = small(simulated=True)
    found = shap_values(BoostedModel().fit(X, y), X)
    table = found.to_frame()
    assert table["mean_abs_shap"].is_monotonic_decreasing
    assert table["share"].sum() == pytest.approx(1.0, rel=1e-12)
    assert table.set_index("column").loc["T", "mean_abs_shap"] == found.contributions["T"].abs().mean()
    assert table["column"].iloc[-1] == "noise"
    assert table["simulated"].all()
    assert "simulated patients" in found._repr_html_()
    assert not any(patient in found._repr_html_() for patient in X.index)


def test_a_column_that_no_tree_uses_has_zero():
    X, y = small()
    X["constant"] = 1.0
    found = shap_values(BoostedModel(max_rounds=20).fit(X, y), X)
    assert (found.contributions["constant"] == 0).all()


def test_messy_input_is_refused():
    X, y = small()
    model = BoostedModel(max_rounds=5).fit(X, y)
    with pytest.raises(CohortError, match="no patients"):
        shap_values(model, X.iloc[:0])
    with pytest.raises(CohortError, match="absent: T"):
        shap_values(model, X.drop(columns="T"))
    with pytest.raises(CohortError, match="does not know d"):
        shap_values(model, X.assign(scanner=pd.Categorical(["d"] * len(X))))
