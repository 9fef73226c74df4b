"""All figures of a report, drawn from its content."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from radiomics_npc.nomogram.style import mark_simulated
from radiomics_npc.report import contour_figures, figures, model_figures, performance_figures
from radiomics_npc.report.contour_content import risk_intervals
from radiomics_npc.report.flow import flow_figure
from radiomics_npc.report.outcome_words import outcome_of
from radiomics_npc.report.protocol_figures import protocol_figure
from radiomics_npc.report.protocols import PARAMETERS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_figures"]

Content = Mapping[str, Any]


def draw_figures(content: Content) -> dict[str, Figure]:
    """Draw every figure that the content has data for.

    Parameters
    ----------
    content : mapping
        As :func:`radiomics_npc.report.html.write_report` takes it.

    Returns
    -------
    dict of str to Figure
        Names fit for files: ``flow``, ``protocols``, ``c_index``, ``auc``, ``kaplan_meier``,
        ``calibration_{model}``, ``decision_curves``, ``learning_curve``, ``stability``,
        ``hazard_ratios_{model}``, ``effects_over_time_{model}``, ``selection_{model}``, ``nomogram``,
        ``montage``, ``contour_volumes``, ``contour_agreement``, ``contour_risk``.
    """
    drawn: dict[str, Any] = {
        **_of_cohort(content), **_of_contours(content), **_of_performance(content), **_of_models(content),
    }  # fmt: skip
    if content.get("simulated"):
        for figure in drawn.values():
            mark_simulated(figure)
    for name in ("nomogram", "montage"):  # these two say it themselves
        part = content.get(name)
        figure = part.get("figure") if isinstance(part, Mapping) else part
        if hasattr(figure, "savefig"):
            drawn[name] = figure
    return drawn


def _of_cohort(content: Content) -> dict[str, Figure]:
    drawn = {"flow": flow_figure(content["flow"])} if content.get("flow") else {}
    protocols = content.get("protocols")
    if protocols and protocols["table"].reindex(columns=list(PARAMETERS)).notna().any(axis=None):
        drawn["protocols"] = protocol_figure(protocols)
    return drawn


def _of_contours(content: Content) -> dict[str, Figure]:
    drawn: dict[str, Figure] = {}
    part, effects = content.get("contours") or {}, content.get("contour_effects") or {}
    table, agreement, risk = part.get("table"), part.get("agreement"), effects.get("risk")
    if table is not None and (table["volume_cm3"] > 0).any():
        drawn["contour_volumes"] = contour_figures.volume_figure(table)
    if agreement is not None and agreement["dice"].notna().any():
        drawn["contour_agreement"] = contour_figures.agreement_figure(agreement)
    if risk is not None and len(risk) and effects.get("summary") is not None:
        months = float(effects["summary"]["horizon_months"].iloc[0])
        drawn["contour_risk"] = contour_figures.risk_figure(risk_intervals(risk), horizon_months=months)
    return drawn


def _of_performance(content: Content) -> dict[str, Figure]:
    outcome = outcome_of(content)
    drawn: dict[str, Figure] = {}
    if models := content.get("models"):
        drawn["c_index"] = performance_figures.concordance_figure(
            models["scores"], per_repeat=models.get("per_repeat"), oracle=models.get("oracle"),
            horizon_months=outcome["horizon_months"],
        )  # fmt: skip
    if (accuracy := content.get("accuracy")) is not None:
        auc = accuracy[(accuracy["metric"] == "auc") & accuracy["estimate"].notna()]
        if len(auc):
            drawn["auc"] = performance_figures.auc_figure(auc.rename(columns={"estimate": "auc"}))
    if survival := content.get("kaplan_meier"):
        drawn["kaplan_meier"] = figures.kaplan_meier_figure(
            survival["curves"], outcome=outcome["name"], p=survival.get("p")
        )
    drawn |= _of_calibration(content.get("calibration") or {}, outcome["name"])
    if (decisions := content.get("decision_curves")) is not None:
        drawn["decision_curves"] = performance_figures.decision_curve_figure(
            decisions, horizon_months=outcome["horizon_months"]
        )
    if (curve := content.get("learning_curve")) is not None and curve["estimate"].count() > 1:
        drawn["learning_curve"] = model_figures.learning_curve_figure(curve)
    return drawn


def _of_calibration(part: Mapping[str, Any], outcome: str) -> dict[str, Figure]:
    """One figure a model, its horizons side by side."""
    groups, curves, table = part.get("groups"), part.get("curves"), part.get("table")
    drawn = {}
    for model, rows in groups.groupby("model", sort=False) if groups is not None else ():
        ratios = {}
        if table is not None:
            found = table[(table["model"] == model) & (table["metric"] == "observed_expected")]
            ratios = {
                float(row.time_months): (row.estimate, row.lower, row.upper) for row in found.itertuples()
            }
        drawn[f"calibration_{model}"] = performance_figures.calibration_figure(
            rows, smooth=None if curves is None else curves[curves["model"] == model],
            observed_expected=ratios, outcome=outcome,
        )  # fmt: skip
    return drawn


def _of_models(content: Content) -> dict[str, Figure]:
    drawn: dict[str, Figure] = {}
    for model, table in (content.get("hazard_ratios") or {}).items():
        if len(table):
            drawn[f"hazard_ratios_{model}"] = figures.forest_figure(table)
    for model, table in (content.get("effects_over_time") or {}).items():
        test: pd.DataFrame | None = (content.get("proportional_hazards") or {}).get(model)
        p = {} if test is None else dict(zip(test["term"], test["p"], strict=True))
        curves = {str(term): rows for term, rows in table.groupby("term", sort=False)}
        drawn[f"effects_over_time_{model}"] = model_figures.effects_over_time_figure(curves, p)
    for model, table in list((content.get("selection") or {}).items())[:1]:  # the others: in tables alone
        drawn[f"selection_{model}"] = model_figures.selection_figure(table)
    if (stability := content.get("stability")) and stability["table"]["icc"].notna().any():
        drawn["stability"] = model_figures.stability_figure(
            stability["table"], minimum=stability.get("minimum")
        )
    return drawn
