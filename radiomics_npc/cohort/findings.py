"""Findings of a check: every fault at once, each with its place and its remedy."""

from __future__ import annotations

import html
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Literal

import pandas as pd

__all__ = ["CheckReport", "Finding"]

Severity = Literal["error", "warning", "info"]
_COLUMNS = ["severity", "patient_id", "sequence", "where", "problem", "remedy"]


@dataclass(frozen=True)
class Finding:
    """One thing found in a cohort.

    Parameters
    ----------
    severity : {"error", "warning", "info"}
        An error stops the study; a warning is reported; info says how a value was read.
    problem : str
        What is wrong, in words a clinician reads.
    remedy : str
        What to do about it.
    patient_id, sequence : str
        Whom and what it concerns; empty when it concerns the whole cohort.
    where : str
        File name (no folder) or column.
    """

    severity: Severity
    problem: str
    remedy: str = ""
    patient_id: str = ""
    sequence: str = ""
    where: str = ""


class CheckReport:
    """All findings of one check, errors first.

    Parameters
    ----------
    findings : iterable of Finding

    Examples
    --------
    >>> report = CheckReport([Finding("error", "mask is empty", "Draw it again.", "007", "t2", "ROI-T2.nii")])
    >>> report.ok, len(report.errors)
    (False, 1)
    """

    def __init__(self, findings: Iterable[Finding]) -> None:
        rank = {"error": 0, "warning": 1, "info": 2}
        unique = dict.fromkeys(findings)
        self.findings = sorted(
            unique, key=lambda f: (rank[f.severity], f.patient_id, f.sequence, f.where, f.problem)
        )

    @property
    def errors(self) -> list[Finding]:
        """Findings that stop the study."""
        return [f for f in self.findings if f.severity == "error"]

    @property
    def ok(self) -> bool:
        """Whether the study may run."""
        return not self.errors

    def to_frame(self) -> pd.DataFrame:
        """One row a finding: severity, patient_id, sequence, where, problem, remedy."""
        return pd.DataFrame([asdict(f) for f in self.findings], columns=_COLUMNS)

    def _repr_html_(self) -> str:
        if not self.findings:
            return "<p>No findings.</p>"
        cells = "".join(
            "<tr>" + "".join(f"<td>{html.escape(str(v))}</td>" for v in row) + "</tr>"
            for row in self.to_frame().itertuples(index=False)
        )
        head = "".join(f"<th>{c}</th>" for c in _COLUMNS)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{cells}</tbody></table>"

    def __repr__(self) -> str:
        counts = pd.Series([f.severity for f in self.findings], dtype=object).value_counts()
        words = ", ".join(f"{n} {severity}" for severity, n in counts.items())
        return f"<CheckReport: {words or 'no findings'}>"
