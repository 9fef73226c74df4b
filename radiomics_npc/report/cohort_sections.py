"""Sections on patients, their data and the features measured on them."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from radiomics_npc.nomogram.labels import sequence_label, sequence_words
from radiomics_npc.report.flow import flow_steps
from radiomics_npc.report.intensity_methods import intensity_summary
from radiomics_npc.report.montage import montage_rows
from radiomics_npc.report.performance_tables import complete_case_table, endpoint_table, stability_counts
from radiomics_npc.report.pieces import folded, pairs, paragraph, picture, yaml_text
from radiomics_npc.report.tables import baseline_table, html_table
from radiomics_npc.report.writing import listed, part_of, plural

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["baseline", "complete_cases", "endpoints", "features", "findings", "flow", "montage", "stability"]

Content = Mapping[str, Any]
Drawn = Mapping[str, "Figure"]
_PRESETS = {
    "iso1mm": "resampled to 1 mm cubes", "inplane2d": "0.5 mm in plane, slices as they are",
    "native": "as acquired",
}  # fmt: skip
_SEVERITIES = {"error": "Errors", "warning": "Warnings", "info": "How values were read"}


def flow(content: Content, drawn: Drawn) -> str:
    """How many patients were read, failed, were left out and analyzed."""
    boxes = []
    for step in flow_steps(content["flow"]):
        reasons = "".join(f"<li><b>{count}</b> {html.escape(words)}</li>" for count, words in step.reasons)
        words = f"<b>{step.patients}</b> {'patients ' if not step.out else ''}{step.words}"
        kind = ' class="out"' if step.out else ""
        boxes.append(f"<li{kind}>{words}{f'<ul>{reasons}</ul>' if reasons else ''}</li>")
    return f'<ol class="flow">{"".join(boxes)}</ol>'


def complete_cases(content: Content, drawn: Drawn) -> str:
    """Patients lost because a value is missing."""
    words = "Only patients with all clinical values were analyzed. Those lost, by the column that lacked:"
    return paragraph(words) + html_table(complete_case_table(content["complete_cases"]))


def baseline(content: Content, drawn: Drawn) -> str:
    """Table 1 by event, and by center where there are several."""
    words = (
        "Numbers: median (lower to upper quartile). Factors: number (%) of those known. SMD: standardized "
        "mean difference between the groups, of more than two the largest."
    )
    described = str(content["table_one"]["all"].iloc[0])
    analyzed = part_of(content, "flow").get("analyzed")
    if described.isdigit() and analyzed is not None and int(described) != analyzed:
        words += f" The table describes all {described} patients of the cohort; {analyzed} were analyzed."
    made = html_table(baseline_table(content["table_one"]), "Patients at baseline by event")
    made += paragraph(words, soft=True)
    centers = content.get("table_one_center")
    if centers is not None:
        table = html_table(baseline_table(centers), "Patients at baseline by center")
        made += folded(f"By center ({sum(str(c).startswith('center: ') for c in centers.columns)})", table)
    return made


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
        shown = rows[list(names)].fillna("").astype(str)  # columns without a word come from the file as NaN
        shown["sequence"] = shown["sequence"].map(sequence_label)
        shown = shown.loc[:, [bool((shown[c] != "").any()) for c in shown.columns]].rename(columns=names)
        parts.append(folded(f"{title}: {len(rows)}", html_table(shown, most=200), opened=severity == "error"))
    return paragraph(_found_words(found)) + "".join(parts)


def _found_words(found: pd.DataFrame) -> str:
    """How much was found, about how many patients."""
    told = found[found["severity"] != "info"]
    if told.empty:
        return "The check found no error and gave no warning; below is how values were read."
    who = told["patient_id"].fillna("").astype(str)
    counts = told["severity"].value_counts()
    words = listed(plural(int(counts[k]), k) for k in ("error", "warning") if k in counts)
    about = plural(who[who != ""].nunique(), "patient")
    return f"The check of the tables and images gave {words}, about {about}."


def endpoints(content: Content, drawn: Drawn) -> str:
    """Cumulative incidence of the further endpoints."""
    words = (
        "Cumulative incidence of each endpoint (Aalen-Johansen): the share of patients who had its event, "
        "when events that compete with it are counted as such."
    )
    return html_table(endpoint_table(content["endpoints"])) + paragraph(words, soft=True)


def montage(content: Content, drawn: Drawn) -> str:
    """Tumor outlines."""
    names = (content.get("features") or {}).get("sequences") or []
    rows = "a row a patient" if len(montage_rows(names)) == 1 else "a row a region of each patient"
    words = f"Tumor outlines on slices of sample patients, {rows}; the bar is 1 cm."
    if part := content.get("contours"):
        words = "Predicted outlines on slices of sample patients, a row a patient; the bar is 1 cm"
        words += "; dashed: as drawn." if part.get("agreement") is not None else "."
        if part["when"] == "missing":
            words = "Outlines on slices of sample patients, predicted where none was drawn; the bar is 1 cm."
    return picture("montage", content["montage"], words) + _to_quality(content)


def _to_quality(content: Content) -> str:
    """Where every contour can be looked at."""
    part = content.get("quality")
    if not part:
        return ""
    seen = f"{plural(part['patients'], 'patient')}, {part['failed']} failed, {part['flagged']} flagged"
    link = html.escape(str(part["link"]))
    return (
        f'<p><a href="{link}">Images and contours of every patient</a> ({seen}; a file beside this one)</p>'
    )


def features(content: Content, drawn: Drawn) -> str:
    """What was extracted, and what failed."""
    part = content["features"]
    sequences, regions = sequence_words(part.get("sequences", []))
    rows = {
        "Features per patient": part.get("number"),
        "Sequences": ", ".join(sequences),
        "Regions": ", ".join(regions),
        "Regions not everybody has": _absent(part.get("absent")),
        "Image grid": _grid(part.get("settings")) or _PRESETS.get(str(part.get("preset"))),
        "Intensities": intensity_summary(part) if part.get("normalize") else None,
        "Shape and size": "measured" if part.get("morphology") else "not measured",
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
        made += folded(f"Failures: {len(failures)}", table, opened=True)
    elif failures is not None:
        made += "<p>No extraction failed.</p>"
    if part.get("settings"):
        made += folded("Extraction settings of every sequence", yaml_text(part["settings"]))
    return made


def _absent(table: pd.DataFrame | None) -> str:
    """How many patients have not every region, by sequence and region."""
    if table is None or table.empty:
        return ""
    counts = table.groupby("sequence")["patient_id"].nunique()
    return "; ".join(
        f"{sequence_label(str(name))}, none in {plural(int(n), 'patient')}" for name, n in counts.items()
    )


def _grid(settings: Any) -> str:
    """On which grid features were measured, from the parameters of every sequence; empty if unknown."""
    if not isinstance(settings, Mapping) or not settings:
        return ""
    found = []
    for recipe in settings.values():
        if not isinstance(recipe, Mapping) or "setting" not in recipe:
            return ""
        spacing = recipe["setting"].get("resampledPixelSpacing")
        if not spacing:
            found.append(_PRESETS["native"])
        elif not spacing[2]:
            found.append(f"{spacing[0]:g} mm in plane, slices as they are")
        else:
            found.append("resampled to " + " × ".join(f"{side:g}" for side in spacing) + " mm")
    return listed(dict.fromkeys(found))


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
