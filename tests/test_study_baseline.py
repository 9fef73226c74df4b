"""Tables of who is in a study, written and removed."""

from __future__ import annotations

import pandas as pd

from radiomics_npc.cohort.cases import Case, Cohort
from radiomics_npc.storage import read_table
from radiomics_npc.study_baseline import write_baseline


def test_table_one_by_center_where_there_are_several(tmp_path):
    ids = ["1", "2", "3", "4"]
    clinical = pd.DataFrame({"center": pd.Categorical(["1", "1", "2", "2"]), "age": [50.0, 60, 70, 80]}, ids)
    cohort = Cohort(tuple(map(Case, ids)), clinical)
    write_baseline(cohort, tmp_path)
    table = read_table(tmp_path / "table_one_center.csv")
    assert {"center: 1", "center: 2", "smd"} <= set(table.columns)
    kept = read_table(tmp_path / "clinical.parquet")
    assert kept["patient_id"].tolist() == ids
    assert isinstance(kept["center"].dtype, pd.CategoricalDtype)
    write_baseline(Cohort(cohort.cases, clinical.assign(center="1")), tmp_path)
    assert not (tmp_path / "table_one_center.csv").exists()
    write_baseline(Cohort(cohort.cases), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_stage_groups_by_edition_beside_the_recorded_ones(tmp_path):
    ids = ["1", "2"]
    clinical = pd.DataFrame({"T": ["T1", "T1"], "N": ["N3", "N1"], "M": "M0", "stage": ["IVA", "II"]}, ids)
    write_baseline(Cohort(tuple(map(Case, ids)), clinical, simulated=True), tmp_path)
    table = read_table(tmp_path / "stage_groups.csv")
    assert table["version 9"].tolist() == ["III", "IB"]
    assert table["recorded"].tolist() == ["IVA", "II"]
    assert table["not_derived"].fillna("").str.startswith("version 9: III if").tolist() == [False, True]
    assert table["simulated"].all()
    write_baseline(Cohort(tuple(map(Case, ids)), clinical.drop(columns="M")), tmp_path)
    assert not (tmp_path / "stage_groups.csv").exists()
