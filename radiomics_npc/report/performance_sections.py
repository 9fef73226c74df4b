"""Sections on how good the predictions for patients outside the training folds are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from radiomics_npc.nomogram.labels import model_label, with_model_labels
from radiomics_npc.report.outcome_words import outcome_of
from radiomics_npc.report.performance_tables import (
    accuracy_table,
    calibration_table,
    distance_table,
    pairs_table,
    reclassification_table,
    restricted_mean_table,
)
from radiomics_npc.report.pieces import bullets, folded, paragraph, picture
from radiomics_npc.report.tables import difference_table, html_table, score_table
from radiomics_npc.report.writing import interval_words
from radiomics_npc.survival.metrics.reclassification import CAUTION

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["accuracy", "calibration", "decision_curves", "discrimination", "reclassification", "risk_groups"]

Content = Mapping[str, Any]
Drawn = Mapping[str, "Figure"]


def discrimination(content: Content, drawn: Drawn) -> str:
    """C-index of every model, differences, and what failed."""
    models, horizon = content["models"], outcome_of(content)["horizon_months"]
    oracle = models.get("oracle")
    made = html_table(score_table(models["scores"], oracle, horizon, interval_words(content)))
    words = "C-index of every model with its confidence interval; small dots are the repeats."
    if oracle:
        words += (
            " The oracle knows the true risk of the simulated patients: no model can be expected to pass it."
        )
    made += picture("c_index", drawn["c_index"], words)
    differences = models.get("differences")
    if differences is not None and len(differences):
        made += "<h3>Differences</h3>" + html_table(difference_table(differences, interval_words(content)))
    made += bullets(with_model_labels(str(note)) for note in models.get("notes") or ())
    if unsaid := list(content.get("appraisal_notes") or ()):
        lines = bullets(with_model_labels(str(note)) for note in unsaid)
        made += folded(f"What could not be said: {len(unsaid)}", lines, opened=len(unsaid) < 4)
    failures = models.get("failures")
    if failures is not None and len(failures):
        shown = failures.assign(model=failures["model"].map(model_label))
        shown = shown.rename(columns=lambda name: str(name).replace("_", " ").capitalize())
        made += folded(f"Failed fits: {len(failures)}", html_table(shown, most=50))
    return made


def accuracy(content: Content, drawn: Drawn) -> str:
    """AUC, Brier score and index of prediction accuracy at every horizon."""
    made = html_table(accuracy_table(content["accuracy"]))
    words = (
        "AUC: 0.5 is chance. Brier score: mean squared error of the probabilities, smaller is better. IPA: "
        "how much smaller than that of the Kaplan-Meier estimate for everybody; below 0% is worse than that."
    )
    made += paragraph(words, soft=True)
    words = "Time-dependent AUC of every model with 95% confidence intervals."
    return made + picture("auc", drawn.get("auc"), words)


def risk_groups(content: Content, drawn: Drawn) -> str:
    """Kaplan-Meier curves of the risk groups, restricted means, log-rank tests in pairs."""
    part = content["kaplan_meier"]
    words = (
        f"Kaplan-Meier curves by the risk that the model {model_label(part.get('model', ''))} predicted for "
        "patients outside the training fold; bands are 95% confidence intervals, ticks are censored patients."
    )
    made = picture("kaplan_meier", drawn["kaplan_meier"], words)
    means, pairs = part.get("restricted_mean"), part.get("pairs")
    if means is not None and len(means):
        until, name = float(means["until_months"].iloc[0]), outcome_of(content)["name"]
        made += f"<h3>Restricted mean survival to {until:g} months</h3>"
        made += html_table(restricted_mean_table(means))
        made += paragraph(f"Mean time within {until:g} months ({name}): area under the curve.", soft=True)
    if pairs is not None and len(pairs):
        made += "<h3>Log-rank tests in pairs</h3>" + html_table(pairs_table(pairs))
    return made


def calibration(content: Content, drawn: Drawn) -> str:
    """Slope, O/E, distances, and predicted against observed."""
    part, made = content["calibration"], ""
    table, groups = part.get("table"), part.get("groups")
    if table is not None and len(table):
        words = "O/E: observed over expected events. Slope: 1 is ideal, below 1 predictions are too extreme."
        made += html_table(calibration_table(table)) + paragraph(words, soft=True)
        distances = distance_table(table)
        if len(distances):
            words = (
                "ICI, E50, E90: mean, median and 90th percentile of the distance between the predicted and "
                "the smoothed observed probability."
            )
            made += html_table(distances) + paragraph(words, soft=True)
    shown_model = (content.get("models") or {}).get("shown")
    models = list(dict.fromkeys(groups["model"])) if groups is not None else []
    models.sort(
        key=lambda model: model != shown_model
    )  # the one that is shown first, the others as they come
    for model in models:
        words = (
            f"{model_label(model)}: predicted probability, for patients outside the training fold, against "
            "the Kaplan-Meier estimate in groups of patients and a smooth curve."
        )
        one = picture(f"calibration_{model}", drawn[f"calibration_{model}"], words)
        rows = groups[groups["model"] == model].drop(columns=["model", "simulated"], errors="ignore")
        shown = rows.assign(time_months=[f"{value:g}" for value in rows["time_months"]])
        shown = shown.rename(columns=lambda name: str(name).replace("time_months", "months").capitalize())
        one += folded("The groups as a table", html_table(shown))
        # Pages of figures hide what a reader looks for: the model that is shown stands open.
        wanted = model == shown_model or shown_model not in models
        made += one if wanted else folded(f"Calibration of the model {model_label(model)}", one)
    return made


def decision_curves(content: Content, drawn: Drawn) -> str:
    """Net benefit of acting on the predictions."""
    months = outcome_of(content)["horizon_months"]
    words = (
        f"Net benefit of treating the patients whose predicted risk of the event by {months:g} months "
        "passes a threshold. A model is of use at thresholds at which its curve lies above those of treating "
        "all and of treating none; the threshold says how many treatments in vain one event is worth."
    )
    return picture("decision_curves", drawn["decision_curves"], words)


def reclassification(content: Content, drawn: Drawn) -> str:
    """NRI and IDI against the reference, with a caution."""
    table = content["reclassification"]
    months = outcome_of(content)["horizon_months"]
    made = paragraph(CAUTION) + html_table(reclassification_table(table))
    parts = reclassification_table(table, parts=True)
    if len(parts):
        made += folded("Parts of both, and the NRI by Kaplan-Meier", html_table(parts))
    return made + paragraph(
        f"At {months:g} months, weighted for censoring. The NRI has no categories and lies between −2 and 2.",
        soft=True,
    )
