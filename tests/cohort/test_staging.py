"""Stage groups by edition, against the definitions written out, and contradictions."""

from itertools import product

import pandas as pd
import pytest

from radiomics_npc.cohort.clinical import read_clinical
from radiomics_npc.cohort.stage_checks import check_stages
from radiomics_npc.cohort.staging import group_v7, group_v8, group_v9, stage_groups, stage_table
from radiomics_npc.cohort.vocabulary import LEVELS
from radiomics_npc.settings import ClinicalSettings

ALL = list(product(LEVELS["T"], LEVELS["N"], LEVELS["M"]))

# each group as the editions define it: (T, N) pairs of M0
V8 = {
    "I": ["T1N0"],
    "II": ["T0N1", "T1N1", "T2N0", "T2N1"],
    "III": ["T0N2", "T1N2", "T2N2", "T3N0", "T3N1", "T3N2"],
    "IVA": ["T4N0", "T4N1", "T4N2", "T0N3", "T1N3", "T2N3", "T3N3", "T4N3"],
}
V9 = {
    "IA": ["T1N0", "T2N0"],
    "IB": ["T1N1", "T2N1"],
    "II": ["T1N2", "T2N2", "T3N0", "T3N1", "T3N2"],
    "III": ["T4N0", "T4N1", "T4N2", "T4N3", "T0N3", "T1N3", "T2N3", "T3N3"],
}


def _expected(groups, metastatic, t, n, m):
    if m == "M1":
        return metastatic
    return next((group for group, pairs in groups.items() if t + n in pairs), None)


@pytest.mark.parametrize(("t", "n", "m"), ALL)
def test_every_combination(t, n, m):
    assert group_v8(t, n, m) == _expected(V8, "IVB", t, n, m)
    assert group_v9(t, n, m) == _expected(V9, "IV", t, n, m)
    v7 = {**V8, "IVA": V8["IVA"][:3], "IVB": V8["IVA"][3:]}
    assert group_v7(t, n, m) == _expected(v7, "IVC", t, n, m)


def _table(*rows):
    ids = [f"{k:03d}" for k in range(1, len(rows) + 1)]
    return pd.DataFrame(rows, columns=["T", "N", "M", "stage"], index=ids).astype("category")


def test_missing_categories_give_no_group():
    groups = stage_groups(_table(("T1", None, "M0", "I"), ("T1", "N0", "M0", None)))
    assert groups.iloc[0].isna().all()
    assert groups.iloc[1].tolist() == ["I", "I", "IA"]


def test_contradictions_are_listed_by_patient():
    findings = check_stages(
        _table(
            ("T1", "N1", "M0", "I"),
            ("T3", "N1", "M0", "III"),
            ("T4", "N2", "M1", "IVA"),
            ("T1", "N3", "M0", "IV"),
            ("T4", "N3", "M0", "IVA"),
            ("T2", "N0", "M0", None),
        )
    )
    assert [(f.patient_id, f.problem) for f in findings if f.severity == "warning"] == [
        ("001", "recorded stage I, yet T1 N1 M0 is II in the 8th edition"),
        ("003", "recorded stage IVA, yet T4 N2 M1 is IVB in the 8th edition"),
    ]
    assert "1 stay IV, neither IVA nor IVB" in findings[0].problem
    assert "8th edition: 3 of 5 agree" in findings[1].problem


def test_the_edition_is_the_one_most_follow():
    findings = check_stages(
        _table(("T1", "N3", "M0", "IVB"), ("T4", "N3", "M0", "IVB"), ("T1", "N0", "M0", "I"))
    )
    assert [f.problem for f in findings] == [
        "recorded groups follow the 7th edition: 3 of 3 agree (8th edition: 1, version 9: 0)"
    ]


def test_without_tnm_there_is_nothing_to_check():
    assert check_stages(pd.DataFrame({"stage": ["I"]})) == []


@pytest.mark.parametrize(("lesions", "group"), [(1, "IVA"), (3, "IVA"), (4, "IVB"), (30, "IVB"), (0, "IV")])
def test_version_9_splits_m1_by_the_number_of_lesions(lesions, group):
    for t, n in product(LEVELS["T"], LEVELS["N"]):
        assert group_v9(t, n, "M1", lesions=lesions) == group
    assert group_v9("T1", "N0", "M1", m1="M1a", lesions=lesions) == "IVA"  # a recorded category comes first


@pytest.mark.parametrize(("t", "n"), list(product(LEVELS["T"], LEVELS["N"])))
def test_advanced_extranodal_extension_is_n3(t, n):
    with_it = group_v9(t, n, "M0", advanced_ene="yes")
    assert with_it == (group_v9(t, n, "M0") if n == "N0" else "III")
    assert group_v9(t, n, "M0", advanced_ene="no") == group_v9(t, n, "M0")


def test_what_a_missing_category_cannot_change_is_derived():
    assert [group(None, "N3", "M0") for group in (group_v8, group_v7, group_v9)] == ["IVA", "IVB", "III"]
    assert [group("T4", None, "M0") for group in (group_v8, group_v7, group_v9)] == ["IVA", None, "III"]
    assert [group(None, None, "M1") for group in (group_v8, group_v7, group_v9)] == ["IVB", "IVC", "IV"]
    assert [group("T4", "N3", None) for group in (group_v8, group_v7, group_v9)] == [None] * 3


@pytest.mark.parametrize(("t", "n", "m"), ALL)
def test_a_group_of_missing_categories_is_that_of_all_they_could_be(t, n, m):
    for group in (group_v8, group_v7, group_v9):
        for known in ((None, n, m), (t, None, m)):
            found = group(*known)
            if found is not None:
                levels = [LEVELS[name] if c is None else [c] for name, c in zip("TNM", known, strict=True)]
                assert {group(*full) for full in product(*levels)} == {found}


def test_the_table_says_what_is_not_derived():
    table = pd.DataFrame(
        {
            "T": ["T1", "T1", "T0", "T0", None, "T2", None], "N": ["N1", "N1", "N0", "N2", "N1", "N0", "N3"],
            "M": ["M0", "M1", "M0", "M0", "M0", "M0", "M0"],
            "stage": ["II", None, None, "III", None, "II", None],
            "advanced_ene": [None, None, None, "no", None, None, None],
        },
        index=[f"{k:03d}" for k in range(1, 8)],
    )  # fmt: skip
    found = stage_table(table)
    assert found["not_derived"].tolist() == [
        "version 9: III if a node extends beyond its capsule in an advanced way (not known)",
        "version 9: IVA or IVB (number of metastatic lesions not known)",
        "no group is defined for T0 N0 M0",
        "version 9 has no group for T0 without N3",
        "8th edition, 7th edition, version 9: T not known",
        "",
        "",
    ]
    assert found["8th edition"].tolist() == ["II", "IVB", None, "III", None, "II", "IVA"]
    assert found["recorded"].tolist() == table["stage"].tolist()
    complete = found["not_derived"] == ""
    assert found.loc[complete, ["8th edition", "7th edition", "version 9"]].notna().all(axis=None)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"T": "T0", "N": "N0"}, "no tumor anywhere"),
        ({"T": "T0", "N": "N1", "ebv_dna": "negative"}, "EBV-DNA is negative"),
        ({"N": "N0", "advanced_ene": "yes"}, "extranodal extension, yet N0"),
        ({"metastatic_lesions": 2}, "2 metastatic lesions, yet M0"),
        ({"M": "M1", "metastatic_lesions": 0}, "no metastatic lesion, yet M1"),
        ({"M": "M1", "metastatic_lesions": 1.5}, "1.5 is no number"),
        ({"M": "M1", "M1": "M1a", "metastatic_lesions": 5}, "5 metastatic lesions, yet M1a"),
        ({"M1": "M1b"}, "M1b, yet M0"),
    ],
)
def test_impossible_categories_are_listed(row, words):
    whole = {"T": "T1", "N": "N1", "M": "M0", "ebv_dna": "positive", "advanced_ene": "no", "M1": None}
    table = pd.DataFrame([whole | {"metastatic_lesions": None}, whole | row], index=["001", "002"])
    warnings = [f for f in check_stages(table) if f.severity == "warning"]
    assert [f.patient_id for f in warnings] == ["002"]
    assert words in warnings[0].problem


def test_t0_with_nodes_is_no_fault():
    table = pd.DataFrame({"T": ["T0"], "N": ["N1"], "M": ["M0"], "stage": ["II"]}, index=["001"])
    assert not [f for f in check_stages(table) if f.severity == "warning"]


def test_groups_of_version_9_are_recognized_and_partly_specific_ones_said():
    rows = [
        ("T1", "N0", "M0", "IA"),
        ("T2", "N1", "M0", "IB"),
        ("T4", "N0", "M0", "III"),
        ("T1", "N0", "M1", "IV"),
    ]
    findings = check_stages(_table(*rows))
    said = [f.problem for f in findings]
    assert any(p.startswith("recorded groups follow the version 9: 4 of 4 agree") for p in said)
    assert any(p.startswith("1 recorded as IV alone") for p in said)


def test_columns_of_version_9_are_read(tmp_path):
    file = tmp_path / "clinical.csv"
    file.write_text(
        "编号,T分期,N分期,M分期,转移灶数目,晚期结外侵犯\n1,T1,N1,M1a,2,有\n2,T1,N2,M1b,,否\n3,T1,N1,M0,,是\n",
        encoding="utf-8",
    )
    table, findings = read_clinical(ClinicalSettings(), file)
    assert not [f for f in findings if f.severity == "error"]
    assert table["M"].tolist() == ["M1", "M1", "M0"]
    assert stage_groups(table)["version 9"].tolist() == ["IVA", "IVB", "III"]
    file.write_text("ID,T,N,M,ENE\n1,T1,N1,M0,1\n", encoding="utf-8")
    assert "advanced_ene" not in read_clinical(ClinicalSettings(), file)[0]  # of any grade
