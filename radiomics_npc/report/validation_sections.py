"""Sections on optimism, chance, more patients, other centers and other contours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from radiomics_npc.nomogram.labels import model_label
from radiomics_npc.report.figures import p_text
from radiomics_npc.report.performance_tables import (
    center_table,
    optimism_table,
    plus_table,
    pooled_table,
    subgroup_table,
)
from radiomics_npc.report.pieces import folded, paragraph, picture
from radiomics_npc.report.subgroups import LEAST_EVENTS
from radiomics_npc.report.tables import html_table, number
from radiomics_npc.report.writing import interval_words

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["centers", "contours", "learning_curve", "optimism", "permutation_test", "subgroups"]

Content = Mapping[str, Any]
Drawn = Mapping[str, "Figure"]


def _of(table: pd.DataFrame) -> str:
    """Which model a table is about."""
    return f"Model: {model_label(str(table['model'].iloc[0]))}. " if "model" in table else ""


def optimism(content: Content, drawn: Drawn) -> str:
    """Scores corrected by the bootstrap."""
    part = content["optimism"]
    table, plus = part["table"], part.get("plus")
    words = (
        f"{_of(table)}The model was made anew in {table['resamples'].max():g} bootstrap samples. Optimism is "
        "how much better it does on the sample than on all patients; it is taken off the apparent score."
    )
    made = paragraph(words) + html_table(optimism_table(table, interval_words(content)))
    slope = table.loc[table["metric"] == "slope", "corrected"]
    if slope.notna().any():
        words = (
            f"Corrected slope {number(float(slope.iloc[0]), 2)}: what log hazards should be multiplied with."
        )
        made += paragraph(words, soft=True)
    if plus is not None and len(plus):
        made += folded(
            "The .632+ estimates", html_table(plus_table(plus, interval_words(content))), opened=True
        )
    return made


def permutation_test(content: Content, drawn: Drawn) -> str:
    """Whether chance alone could have given this C."""
    table = content["permutation_test"]
    row = table.iloc[0]
    return paragraph(
        f"{_of(table)}Harrell's C {number(float(row['observed']))} in one cross-validation, against a mean "
        f"of {number(float(row['mean']))} (95th percentile {number(float(row['percentile_95']))}) over "
        f"{row['permutations']:g} permutations of the outcomes, each with the whole cross-validation anew: "
        f"{p_text(float(row['p'])) or 'p unknown'}."
    )


def learning_curve(content: Content, drawn: Drawn) -> str:
    """C by the number of training patients."""
    if "learning_curve" not in drawn:
        return paragraph(f"{_of(content['learning_curve'])}Too few sizes could be fitted for a curve.")
    words = (
        f"{_of(content['learning_curve'])}Harrell's C by the number of training patients, with a "
        f"{interval_words(content)} band. A curve that still rises says that more patients would help."
    )
    return picture("learning_curve", drawn["learning_curve"], words)


def contours(content: Content, drawn: Drawn) -> str:
    """How far a prediction moves when the contour moves."""
    table = content["contour_uncertainty"]
    row = table.iloc[0]
    words = (
        f"{_of(table)}Images and contours of {row['patients']:g} patients were changed in "
        f"{row['perturbations']:g} ways, as another reader or scan might. The predicted probability at "
        f"{row['horizon_months']:g} months moved by {100 * row['median_width']:.1f} percentage points "
        f"(median width of the range that holds 90% of a patient's predictions; upper quartile "
        f"{100 * row['upper_quartile_width']:.1f}, largest {100 * row['largest_width']:.1f})"
    )
    if np.isfinite(row["share_changing_group"]):
        words += f", and {100 * row['share_changing_group']:.0f}% of the patients changed their risk group"
    return paragraph(f"{words}. This comes on top of the confidence interval of a prediction.")


def subgroups(content: Content, drawn: Drawn) -> str:
    """C and calibration of the shown model in parts of the cohort."""
    part = content["subgroups"]
    table = part["table"]
    words = (
        f"Model: {model_label(part['model'])}. Predictions for patients outside the training folds, in parts "
        f"of the cohort: Harrell's C of the predicted probability, and predicted (mean) against observed "
        f"(Kaplan-Meier) probability at {part['horizon_months']:g} months."
    )
    made = paragraph(words) + html_table(subgroup_table(table))
    words = (
        f"No C with fewer than {LEAST_EVENTS} events; pairs of different folds count here. Nobody "
        "planned for these subgroups: they tell where to look, they prove nothing."
    )
    if (table["variable"] == "clinical values").any():
        words += (
            " Clinical values: patients with all columns that the models take, and those with imputed ones."
        )
    return made + paragraph(words, soft=True)


def centers(content: Content, drawn: Drawn) -> str:
    """C of every center left out, and pooled."""
    part = content["centers"]
    table, pooled = part["table"], part.get("pooled")
    made = paragraph("Each center was held out in turn while the others trained. Harrell's C:")
    made += html_table(center_table(table))
    if "pooled" in table and not table["pooled"].all():
        made += paragraph("†: not pooled, too few events or no spread.", soft=True)
    if pooled is not None and len(pooled):
        made += "<h3>Pooled over centers</h3>" + html_table(pooled_table(pooled))
        words = (
            "Random effects on the logit scale (Hartung-Knapp interval). New center: where the C of a center "
            "that is not yet known is expected. I²: share of the variance that is between centers."
        )
        made += paragraph(words, soft=True)
    return made
