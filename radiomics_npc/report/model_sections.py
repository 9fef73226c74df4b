"""Sections on what is in the models."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from radiomics_npc.nomogram.labels import column_label, model_label
from radiomics_npc.report.performance_tables import hazards_table
from radiomics_npc.report.pieces import bullets, folded, paragraph, picture, svg_picture
from radiomics_npc.report.tables import html_table, level_label, number, ratio_table, weight_table
from radiomics_npc.report.writing import listed, part_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "hazard_ratios",
    "nomogram",
    "proportional_hazards",
    "rad_score",
    "sample_size",
    "selection",
    "shap",
]

Content = Mapping[str, Any]
Drawn = Mapping[str, "Figure"]


def sample_size(content: Content, drawn: Drawn) -> str:
    """Events per candidate parameter of every Cox model, against what is needed."""
    part = content["sample_size"]
    made = ""
    table = part["table"]
    shown = pd.DataFrame({
        "Model": table["model"].map(model_label),
        "Candidate parameters": [f"{k}" for k in table["parameters"]],
        "Events": [f"{k}" for k in table["events"]],
        "Events per parameter": [number(v, 2 if v < 10 else 1) for v in table["events_per_parameter"]],
    })  # fmt: skip
    words = (
        "Candidate parameters are all coefficients that were looked at before any selection; for radiomic "
        "models all features."
    )
    made += html_table(shown) + paragraph(words, soft=True)
    for model, lines in (part.get("warnings") or {}).items():
        if lines:
            made += f"<h3>{html.escape(model_label(model))}</h3>"
            made += bullets(
                re.sub(r"\d{5,}", lambda found: f"{int(found[0]):,}", str(line)) for line in lines
            )
    return made


def _worded(note: str) -> str:
    """A note that begins with a column, the column in words.

    Examples
    --------
    >>> _worded("ebv_dna: 3 missing values read as negative")
    'EBV-DNA: 3 missing values read as negative'
    """
    column, colon, rest = note.partition(": ")
    return f"{column_label(column)}{colon}{rest}" if colon and "_" in column and " " not in column else note


def _together(notes: Iterable[str]) -> list[str]:
    """Notes in which levels that were merged into one stand in one sentence.

    Examples
    --------
    >>> few = "too few patients or events"
    >>> _together([f"T: T0 read as T0+T1, {few}", f"T: T1 read as T0+T1, {few}", "age: 3 missing"])
    ['T category: T0 and T1 read as T0–T1, too few patients or events', 'age: 3 missing']
    """
    merged: dict[tuple[str, str], list[str]] = {}  # by what stands before the levels, and after them
    for note in notes:
        found = re.fullmatch(r"(\w+): (.+) read as (.+), too few patients or events", note)
        if found:
            after = f" read as {level_label(found[3])}, too few patients or events"
            merged.setdefault((f"{column_label(found[1])}: ", after), []).append(found[2])
        else:
            merged[note, ""] = []
    return [
        f"{before}{listed(levels) if levels else ''}{after}" for (before, after), levels in merged.items()
    ]


def hazard_ratios(content: Content, drawn: Drawn) -> str:
    """Hazard ratios of the Cox models."""
    made = ""
    for model, table in content["hazard_ratios"].items():
        label = model_label(model)
        made += f"<h3>{html.escape(label)}</h3>"
        notes = _together(str(note) for note in (content.get("notes") or {}).get(model, ()))
        made += bullets(_worded(note) for note in notes)
        words = f"Hazard ratios of the model {label}, fitted to all analyzed patients."
        made += picture(f"hazard_ratios_{model}", drawn.get(f"hazard_ratios_{model}"), words)
        made += folded("Hazard ratios as a table", html_table(ratio_table(table)))
    return made


def proportional_hazards(content: Content, drawn: Drawn) -> str:
    """Test whether effects change over follow-up, and how they do."""
    words = "A small p says that the effect of a term changes over follow-up; look at the curves first."
    made = paragraph(words)
    for model, table in content["proportional_hazards"].items():
        label = model_label(model)
        made += f"<h3>{html.escape(label)}</h3>" + html_table(hazards_table(table))
        name = f"effects_over_time_{model}"
        words = (
            f"Effects of the model {label} over follow-up (scaled Schoenfeld residuals, smoothed), with "
            "95% bands: flat where hazards are proportional."
        )
        made += picture(name, drawn.get(name), words)
    return made


def rad_score(content: Content, drawn: Drawn) -> str:
    """The formula of the Rad-score."""
    formula = content["rad_score"]
    words = (
        "<p>The Rad-score is the sum of each feature times its coefficient, and a constant. The column per "
        "standard deviation tells which features weigh most.</p>"
    )
    return words + html_table(weight_table(formula), most=60)


def selection(content: Content, drawn: Drawn) -> str:
    """How often the training folds chose each feature."""
    made = ""
    for model, table in content["selection"].items():
        label, name = model_label(model), f"selection_{model}"
        words = (
            f"Features of the model {label} by how many training folds chose them: what is chosen in few "
            "is not to be called a finding."
        )
        made += picture(name, drawn.get(name), words)
        shown = pd.DataFrame({
            "Feature": table["feature"].map(column_label),
            "Training folds": [f"{100 * value:.0f}%" for value in table["frequency"]],
        })  # fmt: skip
        made += folded(
            f"{label}: {len(table)} features were chosen at least once", html_table(shown, most=60)
        )
    return made


def shap(content: Content, drawn: Drawn) -> str:
    """What moves the risk in the boosted models."""
    made = ""
    for model, part in content["shap"].items():
        label = model_label(model)
        made += f"<h3>{html.escape(label)}</h3>"
        if part.get("figure") is not None:
            words = (
                f"SHAP values of the model {label}, fitted to all analyzed patients: one dot a patient, to "
                "the right a higher risk, lighter a higher value of the column; grey diamonds are missing "
                "values or categories without an order."
            )
            made += picture(f"shap_{model}", part["figure"], words)
        table = part["table"]
        shown = pd.DataFrame({
            "Column": table["column"].map(column_label),
            "Mean absolute SHAP value": [number(float(v)) for v in table["mean_abs_shap"]],
            "Share": [f"{100 * v:.1f}%" for v in table["share"]],
        })  # fmt: skip
        made += folded("Mean absolute SHAP values", html_table(shown, most=60))
    return made


def nomogram(content: Content, drawn: Drawn) -> str:
    """The nomogram and its points."""
    part = content["nomogram"]
    example = part_of(part, "example").get("figure")
    words = f"Nomogram of the model {model_label(part.get('model', ''))}, fitted to all analyzed patients."
    figure = part.get("figure")
    made = picture("nomogram", figure, words) if figure is not None else ""
    if example is not None:
        words = (
            "An example on the nomogram, with the distribution of the cohort over each axis: the points of "
            "the values are added up, and survival is read below the total."
        )
        made += "<h3>A worked example</h3>" + svg_picture(example, words)
    if part.get("link"):
        link = html.escape(str(part["link"]))
        made += f'<p><a href="{link}">Interactive nomogram</a> (a file beside this one)</p>'
    points = part.get("points")
    if points is not None:
        shown = points[["label", "value", "points"]].rename(columns={
            "label": "Variable", "value": "Value", "points": "Points"
        })  # fmt: skip
        shown["Variable"] = shown["Variable"].where(~shown["Variable"].duplicated(), "")
        shown["Value"] = [level_label(v) if isinstance(v, str) else f"{v:.6g}" for v in shown["Value"]]
        shown["Points"] = [f"{p:.1f}" for p in shown["Points"]]
        made += folded("Points of every value", html_table(shown))
    return made
