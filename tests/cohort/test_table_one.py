"""Table 1 and standardized differences."""

import math

import numpy as np
import pandas as pd
import pytest

from radiomics_npc.cohort.baseline import standardized_difference, table_one
from radiomics_npc.cohort.cases import Case, Cohort
from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError

IDS = [f"{k:03d}" for k in range(1, 7)]
CLINICAL = pd.DataFrame(
    {
        "age": [40, 50, 60, np.nan, 70, 80.0],
        "sex": pd.Categorical(["male", "male", None, "female", "male", "female"], ["female", "male"]),
        "center": pd.Categorical(["E", "E", "E", "W", "W", "W"]),
    },
    index=IDS,
)
COHORT = Cohort(tuple(map(Case, IDS)), CLINICAL, Outcome([5, 60, 60, 7, 60, 60], [1, 0, 0, 1, 0, 0], IDS))


def test_all_patients():
    table = table_one(COHORT).set_index(["variable", "level"])
    assert table.loc[("patients", ""), "all"] == "6"
    assert table.loc[("age", ""), "all"] == "60.0 (50.0 to 70.0)"
    assert table.loc[("age", ""), "missing"] == 1
    assert table.loc[("sex", "male"), "all"] == "3 (60.0%)"
    assert table.loc[("event", "yes"), "all"] == "2 (33.3%)"
    assert table.loc[("follow_up_months", ""), "all"] == "60.0 (20.2 to 60.0)"
    assert "smd" not in table


def test_by_group():
    table = table_one(COHORT, by="center").set_index(["variable", "level"])
    assert table.loc[("age", ""), "center: E"] == "50.0 (45.0 to 55.0)"
    assert table.loc[("sex", "female"), ["center: E", "center: W"]].tolist() == ["0 (0.0%)", "2 (66.7%)"]
    # means 50 and 75, variances 100 and 50
    assert table.loc[("age", ""), "smd"] == pytest.approx(25 / math.sqrt(75))
    assert math.isnan(table.loc[("center", "E"), "smd"])
    assert list(table_one(COHORT, by="event").columns[3:5]) == ["event: no", "event: yes"]


def test_difference_of_shares_is_the_known_formula():
    a = pd.Series(["x"] * 3 + ["y"] * 7)
    b = pd.Series(["x"] * 5 + ["y"] * 5)
    assert standardized_difference(a, b) == pytest.approx(0.2 / math.sqrt((0.21 + 0.25) / 2), rel=1e-12)
    assert standardized_difference(a, a) == 0
    assert standardized_difference(pd.Series(["x"]), pd.Series(["y"])) == math.inf
    assert math.isnan(standardized_difference(pd.Series([np.nan]), pd.Series([1.0])))


def test_difference_of_several_levels_does_not_depend_on_their_names():
    rng = np.random.default_rng(4)
    a, b = (
        pd.Series(rng.choice(list("wxyz"), 60, p=p)) for p in ([0.1, 0.2, 0.3, 0.4], [0.4, 0.3, 0.2, 0.1])
    )
    renamed = {"w": "z", "x": "w", "y": "x", "z": "y"}
    assert standardized_difference(a, b) == pytest.approx(
        standardized_difference(a.map(renamed), b.map(renamed))
    )


def test_what_cannot_be_described():
    with pytest.raises(CohortError, match="no clinical table"):
        table_one(Cohort((Case("1"),)))
    for by in ("age", "nothing"):
        with pytest.raises(CohortError, match="is no factor"):
            table_one(COHORT, by=by)
