"""Sections on patients, their data and the features measured on them."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from radiomics_npc.nomogram.labels import sequence_label
from radiomics_npc.report.performance_tables import complete_case_table, endpoint_table, stability_counts
from radiomics_npc.report.pieces import pairs, paragraph, picture, yaml_text
from radiomics_npc.report.tables import baseline_table, html_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["baseline", "complete_cases", "endpoints", "features", "findings", "flow", "montage", "stability"]

Content = Mapping[str, Any]
Drawn = Mapping[str, "Figure"]
_SEVERITIES = {"error": "Errors", "warning": "Warnings", "info": "How values were read"}


def flow(content: Content, drawn: Drawn) -> str:
    """How many patients were read, left out and analyzed."""
    flow = content["flow"]
    boxes = [f"<li><b>{flow['read']}</b> patients read</li>"]
    excluded = flow.get("excluded")
    if excluded is not None and len(excluded):
        reasons = "".join(
            f"<li><b>{row.patients}</b> {html.escape(str(row.reason))}</li>" for row in excluded.itertuples()
        )
        total = int(excluded["patients"].sum())
        boxes.append(f'<li class="out"><b>{total}</b> left out<ul>{reasons}</ul></li>')
    events = f", <b>{flow['events']}</b> with an event" if flow.get("events") is not None else ""
    boxes.append(f"<li><b>{flow['analyzed']}</b> analyzed{events}</li>")
    return f'<ol class="flow">{"".join(boxes)}</ol>'


def complete_cases(content: Content, drawn: Drawn) -> str:
    """Patients lost because a value is missing."""
    words = "Only patients with all clinical values were analyzed. Those lost, by the column that lacked:"
    return paragraph(words) + html_table(complete_case_table(content["complete_cases"]))


def baseline(content: Content, drawn: Drawn) -> str:
    """Table 1."""
    words = "Numbers: median (lower to upper quartile). Factors: number (%). SMD: standardized difference."
    note = f'<p class="soft">{words}</p>'
    return html_table(baseline_table(content["table_one"])) + note


def findings(content: Content, drawn: Drawn) -> str:
    """What the check of the data found."""
    found: pd.DataFrame = content["findings"]
    if found.empty:
        return "<p>Nothing was found.</p>"
    names = {"patient_id": "Patient", "sequence": "Sequence", "where": "Where", "problem": "Finding",
             "remedy": "Remedy"}  # fmt: skip
    parts = []
    for severity, title in _SEVERITIES.items():
        rows = found[found["severity"] == severity]
        if rows.empty:
            continue
        shown = rows.assign(sequence=rows["sequence"].map(sequence_label))[list(names)].rename(columns=names)
        shown = shown.loc[:, [bool((shown[c].astype(str) != "").any()) for c in shown.columns]]
        opened = " open" if severity == "error" else ""
        table = html_table(shown, most=200)
        parts.append(f"<details{opened}><summary>{title}: {len(rows)}</summary>{table}</details>")
    return "".join(parts)


def endpoints(content: Content, drawn: Drawn) -> str:
    """Cumulative incidence of the further endpoints."""
    words = (
        "Cumulative incidence of each endpoint (Aalen-Johansen): the share of patients who had its event, "
        "when events that compete with it are counted as such."
    )
    return html_table(endpoint_table(content["endpoints"])) + paragraph(words, soft=True)


def montage(content: Content, drawn: Drawn) -> str:
    """Tumor outlines."""
    words = "Tumor outlines on slices of sample patients."
    if part := content.get("contours"):
        words = "Predicted outlines on slices of sample patients"
        words += "; dashed: as drawn." if part.get("agreement") is not None else "."
        if part["when"] == "missing":
            words = "Outlines on slices of sample patients, predicted where none was drawn."
    return picture("montage", content["montage"], words)


def features(content: Content, drawn: Drawn) -> str:
    """What was extracted, and what failed."""
    part = content["features"]
    sequences = ", ".join(sequence_label(s) for s in part.get("sequences", []))
    rows = {
        "Features per patient": part.get("number"),
        "Sequences": sequences,
        "Preset": part.get("preset"),
        "Normalization": part.get("normalize"),
    }
    made = pairs({name: value for name, value in rows.items() if value not in (None, "")})
    failures = part.get("failures")
    if failures is not None and len(failures):
        names = {
            "patient_id": "Patient",
            "sequence": "Sequence",
            "message": "What failed",
            "remedy": "Remedy",
        }
        shown = failures.assign(sequence=failures["sequence"].map(sequence_label))[list(names)]
        table = html_table(shown.rename(columns=names), most=200)
        made += f"<details open><summary>Failures: {len(failures)}</summary>{table}</details>"
    elif failures is not None:
        made += "<p>No extraction failed.</p>"
    if part.get("settings"):
        made += f"<details><summary>Extraction settings</summary>{yaml_text(part['settings'])}</details>"
    return made


def stability(content: Content, drawn: Drawn) -> str:
    """How well features agree when images and masks are perturbed."""
    part = content["stability"]
    table, minimum = part["table"], part.get("minimum")
    patients = f"{table['n'].max():g} patients" if len(table) else "no patients"
    words = (
        f"Features of {patients} were measured again under perturbed images and masks. The intraclass "
        "correlation, ICC(1,1), tells how well the measurements agree; categories go by its lower 95% limit "
        "(Koo and Li: 0.5, 0.75, 0.9)."
    )
    made = paragraph(words) + html_table(stability_counts(table))
    words = "Intraclass correlation of every feature by class; small ticks are single features."
    if minimum is not None:
        words += f" Features below {minimum:g} (dashed) are left out of the models."
    return made + picture("stability", drawn.get("stability"), words)
