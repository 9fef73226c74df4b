import numpy as np
import pandas as pd
import pytest

from radiomics_npc.cohort.cases import Case, Cohort
from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError, ConfigError
from radiomics_npc.features.merge import design_matrix
from radiomics_npc.features.table import FAILURE_COLUMNS, FeatureTable


@pytest.fixture
def cohort():
    """Patients 1 to 6; 3 has no outcome, 4 no clinical row, 9 no images."""
    clinical = pd.DataFrame(
        {
            "T": pd.Categorical(["T1", "T2", "T3", None, "T4", "T1"], categories=["T1", "T2", "T3", "T4"]),
            "age": [50.0, np.nan, 61.0, 44.0, 70.0, 39.0],
        },
        index=pd.Index(["1", "2", "3", "5", "6", "9"], name="patient_id"),
    )
    outcome = Outcome([10, 20, 40, 50, 60, 33], [1, 0, 0, 1, 0, 1], ["1", "2", "4", "5", "6", "9"])
    return Cohort(tuple(Case(str(n)) for n in range(1, 7)), clinical=clinical, outcome=outcome)


@pytest.fixture
def features():
    """Of patients 1 to 5; sequence t2 of patient 5 failed, all of patient 6."""
    values = pd.DataFrame(
        {"t1__a": [1.0, 2, 3, 4, 5], "t2__a": [1.0, 2, 3, 4, np.nan]},
        index=pd.Index(["1", "2", "3", "4", "5"], name="patient_id"),
    )
    rows = [("5", "t2", "read", "MaskError", "mask is empty", "Draw it."),
            ("6", "t1", "read", "ImageError", "damaged", "Export it."),
            ("6", "t2", "read", "ImageError", "damaged", "Export it.")]  # fmt: skip
    return FeatureTable(values, pd.DataFrame(), pd.DataFrame(rows, columns=FAILURE_COLUMNS))


def test_patients_missing_anywhere_are_listed_with_the_reason(cohort, features):
    data = design_matrix(cohort, features, clinical=["T", "age"])
    assert data.X.index.tolist() == ["1", "2"]
    assert data.excluded.set_index("patient_id")["reason"].to_dict() == {
        "3": "no usable outcome",
        "4": "not in the clinical table",
        "5": "no features of t2: mask is empty",
        "6": "no features of t1: damaged; no features of t2: damaged",
        "9": "no images",
    }
    everybody = set(data.X.index) | set(data.excluded["patient_id"])
    assert everybody == {"1", "2", "3", "4", "5", "6", "9"}


def test_columns_keep_their_kind_and_rows_their_patient(cohort, features):
    x, y, _ = design_matrix(cohort, features, clinical=["T", "age"])
    assert x.columns.tolist() == ["T", "age", "t1__a", "t2__a"]
    assert x["T"].cat.categories.tolist() == ["T1", "T2", "T3", "T4"]
    assert np.isnan(x.loc["2", "age"])
    assert x.loc["2", "t1__a"] == 2.0
    assert y.patient_id.equals(x.index)
    assert y.time_months.tolist() == [10, 20]


def test_clinical_only(cohort):
    x, y, excluded = design_matrix(cohort, clinical=["age"])
    assert x.index.tolist() == ["1", "2", "5", "6", "9"]
    assert len(y) == 5
    assert set(excluded["patient_id"]) == {"3", "4"}


def test_features_only(cohort, features):
    x, _, _ = design_matrix(cohort, features, clinical=[])
    assert x.columns.tolist() == ["t1__a", "t2__a"]
    assert x.index.tolist() == ["1", "2", "4"]


def test_what_cannot_be_joined_is_said(cohort, features):
    with pytest.raises(ConfigError, match="no column N, ebv_dna") as caught:
        design_matrix(cohort, features)
    assert "T, age" in caught.value.remedy
    with pytest.raises(CohortError, match="no outcome"):
        design_matrix(Cohort(cohort.cases, clinical=cohort.clinical), clinical=["T"])
    with pytest.raises(CohortError, match="no clinical table"):
        design_matrix(Cohort(cohort.cases, outcome=cohort.outcome), clinical=["T"])
    nobody = Outcome([1.0], [1], ["somebody else"])
    with pytest.raises(CohortError, match="no patient"):
        design_matrix(Cohort(cohort.cases, clinical=cohort.clinical, outcome=nobody), clinical=["T"])
