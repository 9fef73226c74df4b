"""Tables of a study as a paper prints them: each with title, footnote and the file of its numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from radiomics_npc.nomogram.labels import level_label, model_label
from radiomics_npc.report.outcome_words import outcome_of
from radiomics_npc.report.performance_tables import (
    accuracy_table,
    calibration_table,
    center_table,
    complete_case_table,
    distance_table,
    endpoint_table,
    hazards_table,
    optimism_table,
    pairs_table,
    plus_table,
    pooled_table,
    reclassification_table,
    restricted_mean_table,
    stability_counts,
    subgroup_table,
)
from radiomics_npc.report.tables import (
    baseline_table,
    difference_table,
    number,
    ratio_table,
    score_table,
    weight_table,
)
from radiomics_npc.report.writing import in_text, interval_words, part_of

__all__ = ["PaperTable", "paper_tables"]

Content = Mapping[str, Any]
_CI = "CI: confidence interval."
_HELD = "All numbers are of patients outside the training fold."


@dataclass(frozen=True, eq=False)
class PaperTable:
    """A table with what stands around it.

    Parameters
    ----------
    title : str
        Without the number.
    table : DataFrame
        As printed.
    note : str
        Abbreviations, and what the numbers are of.
    source : tuple of str
        Files in ``tables`` that hold the same numbers in full, without suffix.
    """

    title: str
    table: pd.DataFrame
    note: str
    source: tuple[str, ...]


def paper_tables(content: Content) -> list[PaperTable]:
    """Tables that the content has data for, in the order of a paper.

    Parameters
    ----------
    content : mapping
        As :func:`radiomics_npc.report.html.write_report` takes it.

    Returns
    -------
    list of PaperTable
        The note of simulated patients says that they are.

    Examples
    --------
    >>> paper_tables({})
    []
    """
    made = [*_cohort(content), *_performance(content), *_risk_groups(content), *_models(content),
            *_validation(content)]  # fmt: skip
    made = [part for part in made if len(part.table)]
    if not content.get("simulated"):
        return made
    return [
        PaperTable(part.title, part.table, f"{part.note} Simulated patients.".strip(), part.source)
        for part in made
    ]


def _cohort(content: Content) -> Iterator[PaperTable]:
    if (table := content.get("table_one")) is not None:
        yield PaperTable("Baseline characteristics of the patients read", baseline_table(table),
                         _baseline_note(table), ("table_one",))  # fmt: skip
    if (table := content.get("table_one_center")) is not None:
        yield PaperTable("Baseline characteristics by center", baseline_table(table), _baseline_note(table),
                         ("table_one_center",))  # fmt: skip
    if (lost := content.get("complete_cases")) is not None:
        yield PaperTable("Patients left out because a value is missing", complete_case_table(lost),
                         "A patient may lack several values.", ("complete_cases",))  # fmt: skip
    if endpoints := content.get("endpoints"):
        yield PaperTable("Cumulative incidence of the further endpoints", endpoint_table(endpoints),
                         f"Aalen-Johansen estimate; competing events counted as such. {_CI}",
                         ("endpoint_*",))  # fmt: skip
    if part := content.get("stability"):
        yield PaperTable("Stability of the features under perturbations", stability_counts(part["table"]),
                         "Features by the lower 95% limit of ICC(1,1): poor below 0.5, moderate below 0.75, "
                         "good below 0.9.", ("stability",))  # fmt: skip


def _baseline_note(table: pd.DataFrame) -> str:
    """What the numbers of a baseline table are."""
    note = "Numbers: median (lower to upper quartile). Factors: number (%)."
    return note + " SMD: standardized mean difference." if "smd" in table else note


def _performance(content: Content) -> Iterator[PaperTable]:
    models = content.get("models")
    if not models:
        return
    outcome = outcome_of(content)
    months = outcome["horizon_months"]
    yield PaperTable(f"Performance of the models at {months:g} months", _side_by_side(content, months),
                     f"Outcome: {outcome['name']}. {_HELD} AUC: area under the time-dependent curve. O/E: "
                     f"observed over expected events. ICI: integrated calibration index. {_CI}",
                     ("scores", "accuracy", "calibration"))  # fmt: skip
    if models.get("differences") is not None and len(models["differences"]):
        table = difference_table(models["differences"], interval_words(content))
        yield PaperTable("Differences in concordance between models", table,
                         f"Paired; p not corrected for multiple comparisons. {_HELD} {_CI}",
                         ("differences",))  # fmt: skip
    if (accuracy := content.get("accuracy")) is not None:
        yield PaperTable("Accuracy over time", accuracy_table(accuracy),
                         "AUC and Brier score weighted by the inverse probability of censoring. IPA: index "
                         f"of prediction accuracy, the gain over the Kaplan-Meier estimate. {_CI}",
                         ("accuracy",))  # fmt: skip
    calibration = part_of(content, "calibration").get("table")
    if calibration is not None:
        yield PaperTable("Calibration over time", _calibration(calibration),
                         "O/E: observed over expected events. ICI, E50, E90: mean, median and 90th "
                         f"percentile of the distance from the smooth calibration curve. {_CI}",
                         ("calibration",))  # fmt: skip
    if (changed := content.get("reclassification")) is not None:
        yield PaperTable(f"Reclassification at {months:g} months", reclassification_table(changed),
                         f"NRI: continuous net reclassification index. IDI: integrated discrimination "
                         f"improvement. {_CI}", ("reclassification",))  # fmt: skip


def _side_by_side(content: Content, months: float) -> pd.DataFrame:
    """Discrimination, accuracy and calibration of every model at the horizon, one row a model."""
    models = content["models"]
    table = score_table(models["scores"], models.get("oracle"), months, interval_words(content))
    table = table.drop(columns="SD between repeats", errors="ignore")
    table.columns = [name.replace(f" at {months:g} months", "") for name in table.columns]
    accuracy, calibration = content.get("accuracy"), part_of(content, "calibration").get("table")
    parts = [
        (accuracy, accuracy_table, ["AUC (95% CI)", "Brier score (95% CI)"]),
        (calibration, calibration_table, ["O/E (95% CI)", "Slope (95% CI)"]),
        (calibration, distance_table, ["ICI (95% CI)"]),
    ]
    for source, make, columns in parts:
        rows = None if source is None else source[source["time_months"] == months]
        if rows is not None and len(rows):
            made = make(rows)
            kept = [name for name in columns if name in made]
            table = table.merge(made[["Model", *kept]], on="Model", how="left") if kept else table
    return table.fillna("–")


def _calibration(table: pd.DataFrame) -> pd.DataFrame:
    slope, distance = calibration_table(table), distance_table(table)
    if distance.empty:
        return slope
    return slope.merge(distance, on=["Model", "Months"], how="outer", sort=False).fillna("–")


def _risk_groups(content: Content) -> Iterator[PaperTable]:
    groups = part_of(content, "kaplan_meier")
    if groups.get("restricted_mean") is not None:
        table = groups["restricted_mean"]
        until = float(table["until_months"].iloc[0])
        yield PaperTable(f"Restricted mean survival of the risk groups to {until:g} months",
                         restricted_mean_table(table),
                         f"Model: {model_label(str(groups['model']))}. {_HELD} {_CI}",
                         ("restricted_means",))  # fmt: skip
    if groups.get("pairs") is not None:
        yield PaperTable("Log-rank tests between risk groups", pairs_table(groups["pairs"]),
                         f"Model: {model_label(str(groups['model']))}. Holm: corrected for all pairs.",
                         ("pairwise_log_rank",))  # fmt: skip


def _models(content: Content) -> Iterator[PaperTable]:
    if part := content.get("sample_size"):
        table = part["table"]
        shown = pd.DataFrame({
            "Model": table["model"].map(model_label),
            "Candidate parameters": [f"{k}" for k in table["parameters"]],
            "Events": [f"{k}" for k in table["events"]],
            "Events per parameter": [number(v, 2 if v < 10 else 1) for v in table["events_per_parameter"]],
        })  # fmt: skip
        yield PaperTable("Events per candidate parameter", shown,
                         "Candidates are all coefficients that were looked at before any selection.",
                         ("sample_size",))  # fmt: skip
    for model, table in (content.get("hazard_ratios") or {}).items():
        yield PaperTable(f"Hazard ratios of the {in_text(model)} model", ratio_table(table),
                         f"Fitted to all analyzed patients. {_CI}", (f"hazard_ratios_{model}",))  # fmt: skip
    for model, table in (content.get("proportional_hazards") or {}).items():
        yield PaperTable(f"Test of proportional hazards of the {in_text(model)} model", hazards_table(table),
                         "Scaled Schoenfeld residuals. df: degrees of freedom.",
                         (f"proportional_hazards_{model}",))  # fmt: skip
    if (formula := content.get("rad_score")) is not None:
        yield PaperTable("Features of the Rad-score", weight_table(formula),
                         "The Rad-score is the sum of each feature times its coefficient, and a constant.",
                         ("rad_score",))  # fmt: skip
    points = part_of(content, "nomogram").get("points")
    if points is not None:
        yield PaperTable("Points of the nomogram", _points(points),
                         f"Model: {model_label(str(content['nomogram']['model']))}. Points between two "
                         "values of a number are found along the line.", ("nomogram_points",))  # fmt: skip


def _points(points: pd.DataFrame) -> pd.DataFrame:
    shown = points[["label", "value", "points"]].rename(columns=lambda name: str(name).capitalize())
    shown = shown.rename(columns={"Label": "Variable"})
    shown["Variable"] = shown["Variable"].where(~shown["Variable"].duplicated(), "")
    shown["Value"] = [level_label(v) if isinstance(v, str) else f"{v:.6g}" for v in shown["Value"]]
    shown["Points"] = [f"{p:.1f}" for p in shown["Points"]]
    return shown


def _validation(content: Content) -> Iterator[PaperTable]:
    if part := content.get("optimism"):
        table = part["table"]
        whose = f" of the {in_text(str(table['model'].iloc[0]))} model" if "model" in table else ""
        yield PaperTable(f"Optimism{whose} by the bootstrap", optimism_table(table, interval_words(content)),
                         f"{table['resamples'].max():g} bootstrap samples. Training, test: means over "
                         f"samples. {_CI}", ("optimism",))  # fmt: skip
        if part.get("plus") is not None:
            yield PaperTable(f"The .632+ estimates{whose}", plus_table(part["plus"], interval_words(content)),
                             f"Overfitting: 0 none, 1 complete. {_CI}", ("optimism_632",))  # fmt: skip
    if part := content.get("subgroups"):
        yield PaperTable(f"The {in_text(part['model'])} model in subgroups", subgroup_table(part["table"]),
                         f"Survival at {part['horizon_months']:g} months. {_HELD} {_CI}",
                         ("subgroups",))  # fmt: skip
    if part := content.get("centers"):
        yield PaperTable("Harrell's C of every center held out", center_table(part["table"]),
                         f"†: not pooled, too few events or no spread. {_CI}", ("centers",))  # fmt: skip
        if part.get("pooled") is not None:
            yield PaperTable("Concordance pooled over centers", pooled_table(part["pooled"]),
                             "Random effects on the logit scale. New center: where the C of a center not yet "
                             f"known is expected. {_CI}", ("centers_pooled",))  # fmt: skip
