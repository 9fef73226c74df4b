"""The shown model in parts of the cohort, against the estimators themselves."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.report.performance_tables import subgroup_table
from radiomics_npc.report.subgroups import LEAST_EVENTS, subgroup_scores
from radiomics_npc.survival.estimation.kaplan_meier import kaplan_meier
from radiomics_npc.survival.metrics.concordance import harrell_c


@pytest.fixture(scope="module")
def parts():
    random = np.random.default_rng(4)
    n = 200
    ids = [f"p{k}" for k in range(n)]
    predicted = pd.Series(random.uniform(0.2, 0.95, n), ids)
    months = random.exponential(-60 / np.log(predicted))
    y = Outcome(np.minimum(months, 60).round(2) + 0.01, months < 60, ids)
    clinical = pd.DataFrame({
        "sex": random.choice(["f", "m"], n), "age": random.normal(55, 9, n).round(1),
        "center": pd.Categorical.from_codes(random.integers(0, 3, n), [1, 2, 3]), "M": "M0",
        "many": [f"x{k % 20}" for k in range(n)],
    }, index=ids)  # fmt: skip
    clinical.loc[ids[:30], "age"] = np.nan
    return y, predicted, clinical


def test_each_part_is_scored_as_if_alone(parts):
    y, predicted, clinical = parts
    table = subgroup_scores(y, predicted, clinical, horizon_months=60, needed=["age"])
    row = table[(table["variable"] == "center") & (table["level"] == "2")].iloc[0]
    chosen = np.flatnonzero(clinical["center"] == 2)
    alone = y.take(chosen)
    assert row["patients"] == len(chosen)
    assert row["events"] == alone.event.sum()
    assert row["estimate"] == harrell_c(alone, 1 - predicted.iloc[chosen]).estimate
    assert row["observed"] == kaplan_meier(alone).at([60.0])["survival"].iloc[0]
    assert row["predicted"] == pytest.approx(predicted.iloc[chosen].mean(), rel=1e-12)


def test_every_variable_is_divided_without_rest(parts):
    y, predicted, clinical = parts
    table = subgroup_scores(y, predicted, clinical, horizon_months=60, needed=["age"])
    total = table.groupby("variable", sort=False)["patients"].sum()
    assert total.to_dict() == {"all": 200, "clinical values": 200, "sex": 200, "age": 170, "center": 200}
    assert table.loc[table["variable"] == "clinical values", "patients"].tolist() == [170, 30]


def test_few_events_have_no_c_and_nobody_no_row(parts):
    y, predicted, clinical = parts
    rare = clinical.assign(sex=["f"] * 5 + ["m"] * 195)[["sex"]]
    table = subgroup_scores(y, predicted, rare, horizon_months=60).set_index("level")
    assert table.loc["f", "events"] < LEAST_EVENTS
    assert np.isnan(table.loc["f", "estimate"])
    censored = Outcome(y.time_months, np.zeros(len(y)), y.patient_id)
    alone = subgroup_scores(censored, predicted, rare, horizon_months=30).iloc[0]
    assert alone["observed"] == 1.0
    assert np.isnan(alone["observed_lower"])
    assert subgroup_table(alone.to_frame().T)["Observed (95% CI)"].tolist() == ["100.0%"]
    nobody = predicted.mask(clinical["sex"] == "f")
    left = subgroup_scores(y, nobody, clinical[["sex"]], horizon_months=60)
    assert left["level"].tolist() == ["", "m"]


def test_order_of_the_patients_does_not_matter(parts):
    y, predicted, clinical = parts
    shuffled = clinical.sample(frac=1, random_state=1)
    one = subgroup_scores(y, predicted, clinical, horizon_months=60)
    two = subgroup_scores(y, predicted.sample(frac=1, random_state=2), shuffled, horizon_months=60)
    pd.testing.assert_frame_equal(one, two)


def test_the_printed_table_has_dashes_for_what_is_unknown(parts):
    y, predicted, clinical = parts
    table = subgroup_scores(y, predicted, clinical[["sex"]], horizon_months=60)
    unknown = [name for name in table.columns if name not in ("variable", "level", "patients", "events")]
    table.loc[2, unknown] = np.nan
    shown = subgroup_table(table)
    assert shown["Variable"].tolist() == ["All patients", "Sex", ""]
    assert shown.iloc[2]["Harrell's C (95% CI)"] == shown.iloc[2]["Observed (95% CI)"] == "–"
