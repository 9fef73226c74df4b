"""Stage groups by edition, against the definitions written out, and contradictions."""

from itertools import product

import pandas as pd
import pytest

from radiomics_npc.cohort.staging import check_stages, group_v7, group_v8, group_v9, stage_groups
from radiomics_npc.cohort.vocabulary import LEVELS

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
