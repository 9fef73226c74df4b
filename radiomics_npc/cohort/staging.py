"""Stage groups of nasopharyngeal carcinoma from T, N and M, by edition.

Sources: UICC/AJCC 7th and 8th edition; version 9 after Pan et al., JAMA Oncol
2024;10:1627.
"""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from radiomics_npc.cohort.findings import Finding

__all__ = ["EDITIONS", "check_stages", "group_v7", "group_v8", "group_v9", "stage_groups"]


def _numbers(t: str, n: str, m: str) -> tuple[int, int, int] | None:
    try:
        return int(t[1]), int(n[1]), int(m[1])
    except (IndexError, TypeError, ValueError):
        return None


def group_v8(t: str, n: str, m: str) -> str | None:
    """Stage group of the 8th edition, or None where it is not defined (T0 N0) or a category is missing.

    Examples
    --------
    >>> group_v8("T3", "N1", "M0"), group_v8("T1", "N3", "M0"), group_v8("T1", "N0", "M1")
    ('III', 'IVA', 'IVB')
    """
    numbers = _numbers(t, n, m)
    if numbers is None:
        return None
    t_, n_, m_ = numbers
    if m_ == 1:
        return "IVB"
    if n_ == 3 or t_ == 4:
        return "IVA"
    if t_ == 3 or n_ == 2:
        return "III"
    if n_ == 1 or t_ == 2:
        return "II"
    return "I" if t_ == 1 else None


def group_v7(t: str, n: str, m: str) -> str | None:
    """Stage group of the 7th edition: as the 8th, but any N3 is IVB and M1 is IVC.

    Examples
    --------
    >>> group_v7("T4", "N2", "M0"), group_v7("T4", "N3", "M0"), group_v7("T1", "N0", "M1")
    ('IVA', 'IVB', 'IVC')
    """
    group = group_v8(t, n, m)
    if group == "IVB":
        return "IVC"
    return "IVB" if group == "IVA" and n == "N3" else group


def group_v9(t: str, n: str, m: str) -> str | None:
    """Stage group of version 9.

    M1 gives ``"IV"``: IVA (up to three metastatic lesions) and IVB need the
    number of lesions. An N3 for advanced radiological extranodal extension
    cannot be seen from an N of the 8th edition. T0 without N3 or M1 has no group.

    Examples
    --------
    >>> group_v9("T2", "N0", "M0"), group_v9("T1", "N1", "M0"), group_v9("T4", "N0", "M0")
    ('IA', 'IB', 'III')
    >>> group_v9("T1", "N0", "M1")
    'IV'
    """
    numbers = _numbers(t, n, m)
    if numbers is None:
        return None
    t_, n_, m_ = numbers
    if m_ == 1:
        return "IV"
    if t_ == 4 or n_ == 3:
        return "III"
    if t_ == 0:
        return None
    if t_ == 3 or n_ == 2:
        return "II"
    return "IB" if n_ == 1 else "IA"


EDITIONS: dict[str, Callable[[str, str, str], str | None]] = {
    "8th edition": group_v8,
    "7th edition": group_v7,
    "version 9": group_v9,
}


def stage_groups(table: pd.DataFrame) -> pd.DataFrame:
    """Stage group of every patient by each edition.

    Parameters
    ----------
    table : DataFrame
        Columns T, N and M, indexed by patient_id.

    Returns
    -------
    DataFrame
        One column an edition; missing where it cannot be derived.

    Examples
    --------
    >>> stage_groups(pd.DataFrame({"T": ["T1"], "N": ["N3"], "M": ["M0"]}, index=["001"]))
        8th edition 7th edition version 9
    001         IVA         IVB       III
    """
    rows = list(table[["T", "N", "M"]].itertuples(index=False))
    return pd.DataFrame(
        {name: [group(*row) for row in rows] for name, group in EDITIONS.items()}, index=table.index
    )


def _agree(recorded: object, derived: object) -> bool:
    """Whether two groups do not contradict: IV stands for any of IVA, IVB, IVC."""
    if recorded == derived:
        return True
    return "IV" in (recorded, derived) and str(recorded)[:2] == str(derived)[:2] == "IV"


def check_stages(table: pd.DataFrame) -> list[Finding]:
    """List patients whose recorded stage group contradicts their T, N, M.

    Recorded groups are held against the edition that most of them follow, which
    is said. What cannot be derived is said as well.

    Parameters
    ----------
    table : DataFrame
        Columns T, N, M and, if recorded, stage, indexed by patient_id; without
        T, N and M there is nothing to check.
    """
    if not {"T", "N", "M"} <= set(table.columns):
        return []
    groups = stage_groups(table)
    findings = []
    metastatic = int((groups["version 9"] == "IV").sum())
    if metastatic:
        problem = f"version 9 splits M1 by the number of lesions: {metastatic} stay IV, neither IVA nor IVB"
        findings.append(Finding.info(problem, where="stage"))
    if "stage" in table.columns:
        findings += _contradictions(table, groups)
    return findings


def _contradictions(table: pd.DataFrame, groups: pd.DataFrame) -> list[Finding]:
    recorded = table["stage"].astype(object)
    known = list(table.index[recorded.notna() & groups["8th edition"].notna()])
    if not known:
        return []
    agreeing = {name: sum(_agree(recorded[p], groups.at[p, name]) for p in known) for name in EDITIONS}
    edition = max(EDITIONS, key=lambda name: agreeing[name])
    others = ", ".join(f"{name}: {count}" for name, count in agreeing.items() if name != edition)
    problem = f"recorded groups follow the {edition}: {agreeing[edition]} of {len(known)} agree ({others})"
    findings = [Finding.info(problem, where="stage")]
    for patient in known:
        derived = str(groups.at[patient, edition])
        if not _agree(recorded[patient], derived):
            tnm = " ".join(str(table.at[patient, c]) for c in ("T", "N", "M"))
            problem = f"recorded stage {recorded[patient]}, yet {tnm} is {derived} in the {edition}"
            remedy = "Check the record; T, N and M are used as they are."
            findings.append(Finding.warning(problem, remedy, str(patient), where="stage"))
    return findings
