"""What contradicts itself in recorded stages: groups, categories, and what version 9 asks for besides."""

from __future__ import annotations

import pandas as pd

from radiomics_npc.cohort.findings import Finding
from radiomics_npc.cohort.staging import EDITIONS, MOST_M1A, category_number, stage_groups

__all__ = ["check_stages"]

_REMEDY = "Check the record; T, N and M are used as they are."


def check_stages(table: pd.DataFrame) -> list[Finding]:
    """List patients whose recorded stage group contradicts their T, N, M, or whose categories do not fit.

    Recorded groups are held against the edition that most of them follow, which
    is said. What cannot be derived is said as well.

    Parameters
    ----------
    table : DataFrame
        Columns T, N, M and, if recorded, stage, M1, metastatic_lesions, advanced_ene and ebv_dna, indexed by
        patient_id; without T, N and M there is nothing to check.

    Examples
    --------
    >>> one = pd.DataFrame({"T": ["T0"], "N": ["N0"], "M": ["M0"]}, index=["001"])
    >>> [f.problem for f in check_stages(one)]
    ['T0 N0 M0: no tumor anywhere, and no stage group']
    """
    if not {"T", "N", "M"} <= set(table.columns):
        return []
    groups = stage_groups(table)
    findings = []
    metastatic = int((groups["version 9"] == "IV").sum())
    if metastatic:
        problem = f"version 9 splits M1 by the number of lesions: {metastatic} stay IV, neither IVA nor IVB"
        findings.append(Finding.info(problem, "Add a column metastatic_lesions.", where="stage"))
    if "stage" in table.columns:
        findings += _contradictions(table, groups)
    return [*findings, *_unknown_extension(table), *_odd_categories(table)]


def _agree(recorded: object, derived: object) -> bool:
    """Whether two groups do not contradict: IV stands for any of IVA, IVB, IVC."""
    if recorded == derived:
        return True
    return "IV" in (recorded, derived) and str(recorded)[:2] == str(derived)[:2] == "IV"


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
        derived = groups.at[patient, edition]
        if derived is not None and not _agree(recorded[patient], derived):
            tnm = " ".join(str(table.at[patient, name]) for name in ("T", "N", "M"))
            problem = f"recorded stage {recorded[patient]}, yet {tnm} is {derived!s} in the {edition}"
            findings.append(Finding.warning(problem, _REMEDY, str(patient), where="stage"))
    unsplit = int((recorded == "IV").sum())
    if unsplit:
        problem = f"{unsplit} recorded as IV alone, which every edition splits: held for any of its parts"
        findings.append(Finding.info(problem, where="stage"))
    return findings


def _unknown_extension(table: pd.DataFrame) -> list[Finding]:
    """How many an N3 of version 9 could be among."""
    ene = (
        table["advanced_ene"]
        if "advanced_ene" in table.columns
        else pd.Series(index=table.index, dtype=object)
    )
    open_ = table["N"].isin(["N1", "N2"]) & (table["M"] == "M0") & (table["T"] != "T4") & ene.isna()
    if not open_.any():
        return []
    problem = (
        f"version 9 counts advanced radiological extranodal extension as N3: not known of {int(open_.sum())} "
        "with N1 or N2, whose group may be III"
    )
    return [Finding.info(problem, "Add a column advanced_ene.", where="N")]


def _odd_categories(table: pd.DataFrame) -> list[Finding]:
    findings = []
    for patient, row in table.iterrows():
        findings += [Finding.warning(p, _REMEDY, str(patient), where=w) for p, w in _oddities(row)]
    return findings


def _oddities(row: pd.Series) -> list[tuple[str, str]]:
    """Problems of one patient, and the column of each."""
    t, n, m = (category_number(row[name]) for name in ("T", "N", "M"))
    lesions, m1 = row.get("metastatic_lesions"), row.get("M1")
    found = []
    if t == n == m == 0:
        found.append(("T0 N0 M0: no tumor anywhere, and no stage group", "T"))
    if t == 0 and row.get("ebv_dna") == "negative":
        found.append(("T0 is for nodes that hold EBV, yet EBV-DNA is negative", "T"))
    if n == 0 and row.get("advanced_ene") == "yes":
        found.append(("advanced extranodal extension, yet N0", "advanced_ene"))
    if lesions is not None and pd.notna(lesions):
        if lesions < 0 or lesions != round(lesions):
            found.append((f"{lesions:g} is no number of metastatic lesions", "metastatic_lesions"))
        elif m == 0 and lesions > 0:
            found.append((f"{lesions:g} metastatic lesions, yet M0", "metastatic_lesions"))
        elif m == 1 and lesions == 0:
            found.append(("no metastatic lesion, yet M1", "metastatic_lesions"))
        elif isinstance(m1, str) and (m1 == "M1a") != (lesions <= MOST_M1A):
            found.append((f"{lesions:g} metastatic lesions, yet {m1}", "metastatic_lesions"))
    if m == 0 and isinstance(m1, str):
        found.append((f"{m1}, yet M0", "M1"))
    return found
