"""Findings of a check: every fault at once, each with its place and its remedy."""

from __future__ import annotations

import html
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pandas as pd

from radiomics_npc.storage import write_table, write_text

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["CheckReport", "Finding"]

Severity = Literal["error", "warning", "info"]
_COLORS = {"error": "red", "warning": "yellow", "info": "cyan"}
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>Cohort check</title>
<style>
:root {{ color-scheme: light dark; --ink: #1a1a1a; --back: #fff; }}
:root {{ --line: #d3d3d3; --bad: #a3140f; --warn: #6b4700; }}
@media screen and (prefers-color-scheme: dark) {{
 :root {{ --ink: #ececec; --back: #17191c; --line: #474a4f; --bad: #ff9d94; --warn: #ffdf94; }}
}}
body {{ font: 15px/1.5 system-ui, "Segoe UI", Helvetica, Arial, sans-serif; margin: 0 auto; }}
body {{ max-width: 75em; padding: 1.2em; color: var(--ink); background: var(--back); }}
.scroll {{ overflow-x: auto; }}
table {{ border-collapse: collapse; width: 100%; }}
th, td {{ text-align: left; vertical-align: top; padding: .3em .8em .3em 0; min-width: 4em; }}
th, td {{ border-bottom: 1px solid var(--line); overflow-wrap: anywhere; }}
td:nth-child(1) {{ min-width: 5.5em; }} td:nth-child(4) {{ min-width: 8em; }}
td:nth-child(5), td:nth-child(6) {{ min-width: 12em; }}
th {{ border-bottom-width: 2px; overflow-wrap: normal; }}
tr.error td:first-child {{ color: var(--bad); font-weight: 600; }}
tr.warning td:first-child {{ color: var(--warn); font-weight: 600; }}
:focus-visible {{ outline: 3px solid; }}
@media print {{
 @page {{ size: A4; margin: 14mm; }}
 :root {{ color-scheme: light; }}
 body {{ font-size: 9pt; padding: 0; }}
 .scroll {{ overflow: visible; }} tr {{ break-inside: avoid; }} td:nth-child(n) {{ min-width: 0; }}
}}
</style>
</head>
<body>
<main>
<h1>Cohort check</h1>
<p>{summary}</p>
<div class="scroll" tabindex="0" role="region" aria-label="Findings">
{table}
</div>
</main>
</body>
</html>
"""
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

    @classmethod
    def error(
        cls, problem: str, remedy: str, patient_id: str = "", sequence: str = "", where: str = ""
    ) -> Finding:
        """Something that stops the study; it always says what to do."""
        return cls("error", problem, remedy, patient_id, sequence, where)

    @classmethod
    def warning(
        cls, problem: str, remedy: str, patient_id: str = "", sequence: str = "", where: str = ""
    ) -> Finding:
        """Something to look at; the study goes on."""
        return cls("warning", problem, remedy, patient_id, sequence, where)

    @classmethod
    def info(cls, problem: str, remedy: str = "", patient_id: str = "", where: str = "") -> Finding:
        """How something was read."""
        return cls("info", problem, remedy, patient_id, "", where)


class CheckReport:
    """All findings of one check, errors first.

    Parameters
    ----------
    findings : iterable of Finding
    image_quality : DataFrame, optional
        Numbers of every image, a row a patient and sequence.

    Examples
    --------
    >>> report = CheckReport([Finding("error", "mask is empty", "Draw it again.", "007", "t2", "ROI-T2.nii")])
    >>> report.ok, len(report.errors)
    (False, 1)
    """

    def __init__(self, findings: Iterable[Finding], image_quality: pd.DataFrame | None = None) -> None:
        rank = {"error": 0, "warning": 1, "info": 2}
        unique = dict.fromkeys(findings)
        self.image_quality = image_quality
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

    @property
    def summary(self) -> str:
        """How many findings of each severity, and whether the study may run."""
        counts = ", ".join(
            f"{n} {severity}"
            for severity in _COLORS
            if (n := sum(f.severity == severity for f in self.findings))
        )
        verdict = "The study may run." if self.ok else "The study does not run until the errors are gone."
        return f"{counts or 'no findings'}. {verdict}"

    def write(self, folder: Path) -> tuple[Path, Path]:
        """Write ``check.csv`` and the self-contained ``check.html`` into ``folder``; return both paths.

        Of images without errors also ``tables/image_quality.csv``.
        """
        paths = Path(folder) / "check.csv", Path(folder) / "check.html"
        write_table(paths[0], self.to_frame())
        write_text(paths[1], _PAGE.format(summary=html.escape(self.summary), table=self._repr_html_()))
        quality = Path(folder) / "tables" / "image_quality.csv"
        if self.image_quality is None or not self.ok:
            quality.unlink(missing_ok=True)
        else:
            write_table(quality, self.image_quality)
        return paths

    def print(self, console: Console | None = None) -> None:
        """Show the findings as a table in the terminal, errors first."""
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        # in a log, 80 columns would cut the remedies
        console = console or Console(width=None if sys.stdout.isatty() else 160)
        frame = self.to_frame()
        if self.findings:
            shown = [c for c in _COLUMNS[1:] if frame[c].any()]
            table = Table("")
            for column in shown:
                table.add_column(column.replace("patient_id", "patient"), overflow="fold")
            for f in self.findings:
                # Text, not str: a value such as "[M0]" must not be taken for markup
                cells = (Text(getattr(f, column)) for column in shown)
                table.add_row(Text(f.severity, _COLORS[f.severity]), *cells)
            console.print(table)
        console.print(Text(self.summary))

    def _repr_html_(self) -> str:
        if not self.findings:
            return "<p>No findings.</p>"
        rows = "".join(
            f'<tr class="{f.severity}">'
            + "".join(f"<td>{html.escape(getattr(f, column))}</td>" for column in _COLUMNS)
            + "</tr>"
            for f in self.findings
        )
        head = "".join(f'<th scope="col">{c}</th>' for c in _COLUMNS)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"

    def __repr__(self) -> str:
        counts = pd.Series([f.severity for f in self.findings], dtype=object).value_counts()
        words = ", ".join(f"{n} {severity}" for severity, n in counts.items())
        return f"<CheckReport: {words or 'no findings'}>"
