"""Lines of a clinical table and cases with images as the same patients."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from radiomics_npc.cohort.findings import Finding
from radiomics_npc.cohort.tables import name_patients

__all__ = ["match_patients"]


def match_patients(table: pd.DataFrame, patients: Sequence[str]) -> tuple[pd.DataFrame, list[Finding]]:
    """Match the lines of a table to the patients who have images.

    Identical identifiers match first. Among the rest, "1" matches "001" where
    only one of each is left.

    Parameters
    ----------
    table : DataFrame
        Indexed by patient_id as the table writes it.
    patients : sequence of str
        Identifiers of the cases.

    Returns
    -------
    DataFrame
        Lines of those patients, in their order, under their identifiers.
    list of Finding
        What was matched loosely, and who is missing on either side.

    Examples
    --------
    >>> table = pd.DataFrame({"T": ["T1", "T2"]}, index=["1", "9"])
    >>> matched, findings = match_patients(table, ["001"])
    >>> matched.index.tolist(), [f.problem for f in findings]
    (['001'], ['1 identifiers differ in leading zeros only (1 is 001): matched', 'no images: left out'])
    """
    renamed, findings = _alike_but_for_zeros(list(table.index), patients)
    table = table.rename(index=renamed)
    without_images = [p for p in table.index if p not in set(patients)]
    findings += [
        Finding.warning("no images: left out", "Add the images, or ignore this.", str(p))
        for p in without_images
    ]
    findings += [
        Finding.warning("no line in the clinical table: not in any model", "Add the line, or ignore this.", p)
        for p in patients
        if p not in set(table.index)
    ]
    return table.loc[[p for p in patients if p in set(table.index)]].rename_axis(index="patient_id"), findings


def _alike_but_for_zeros(
    lines: Sequence[str], patients: Sequence[str]
) -> tuple[dict[str, str], list[Finding]]:
    """Identifier of the case by that of the line, where only one of each is left without the other."""
    exact = set(lines) & set(patients)
    loose_table = [p for p in lines if p not in exact]
    loose_cases = [p for p in patients if p not in exact]
    renamed: dict[str, str] = {}
    findings = []
    for written in loose_table:
        alike = [p for p in loose_cases if _bare(p) == _bare(written)]
        rivals = [p for p in loose_table if _bare(p) == _bare(written)]
        if len(alike) == len(rivals) == 1:
            renamed[written] = alike[0]
        elif alike:
            findings.append(
                Finding.error(
                    f"{name_patients(rivals)} could each be {name_patients(alike)}",
                    "Write the identifiers alike in the table and on the images.",
                    written,
                )
            )
    if renamed:
        first = next(iter(renamed))
        findings.append(
            Finding.info(
                f"{len(renamed)} identifiers differ in leading zeros only ({first} is {renamed[first]}): "
                "matched",
                where="patient_id",
            )
        )
    return renamed, findings


def _bare(patient: str) -> str:
    """Reduce a numeric identifier to its number: "001", "1" and "1.0" are alike."""
    text = patient.removesuffix(".0")
    return str(int(text)) if text.isdecimal() else patient
