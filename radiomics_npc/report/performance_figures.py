"""Figures of how good predictions are: C-index, AUC over time, calibration, decision curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from radiomics_npc.nomogram.labels import model_label
from radiomics_npc.nomogram.style import GREY, INK, PALETTE, figure_style, new_figure
from radiomics_npc.report.figures import need_columns

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["auc_figure", "calibration_figure", "concordance_figure", "decision_curve_figure"]

# One look a model, in every figure: told apart by dashes where colors are not.
_DASHES: tuple[Any, ...] = (
    "-",
    (0, (5, 1.6)),
    (0, (1.2, 1.2)),
    (0, (6, 1.5, 1.2, 1.5)),
    (0, (3, 1)),
    (0, (8, 2)),
)
_BASELINES = {"treat_all": "Treat all", "treat_none": "Treat none"}


def _looks(models: Sequence[str]) -> dict[str, dict[str, Any]]:
    return {
        model: {
            "color": PALETTE[k % len(PALETTE)],
            "ls": _DASHES[k % len(_DASHES)],
            "label": model_label(model),
        }
        for k, model in enumerate(models)
    }


_METRIC_LABELS = {"harrell_c": "Harrell's C", "uno_c": "Uno's C"}


def concordance_figure(
    scores: pd.DataFrame,
    *,
    per_repeat: pd.DataFrame | None = None,
    oracle: Mapping[str, float] | None = None,
    horizon_months: float = 60.0,
) -> Figure:
    """C-index of every model with its confidence interval.

    Parameters
    ----------
    scores : DataFrame
        model, metric (``harrell_c``, ``uno_c``), estimate, lower, upper.
    per_repeat : DataFrame, optional
        model, metric, estimate of every repeat, drawn as small dots.
    oracle : mapping of str to float, optional
        By metric, C of the true risk: known only for simulated patients.
    horizon_months : float

    Returns
    -------
    Figure
    """
    need_columns(scores, ["model", "metric", "estimate", "lower", "upper"], "C-index")
    models = list(dict.fromkeys(scores["model"]))
    metrics = [m for m in _METRIC_LABELS if m in set(scores["metric"])]
    markers = dict(zip(_METRIC_LABELS, ("o", "D"), strict=True))
    with figure_style():
        figure = new_figure(5.6, 1.15 + 0.42 * len(models))
        axes = figure.subplots()
        for k, metric in enumerate(metrics):
            shift = (k - (len(metrics) - 1) / 2) * 0.34
            label = _METRIC_LABELS[metric] + (f" at {horizon_months:g} months" if metric == "uno_c" else "")
            rows = scores[scores["metric"] == metric].set_index("model").reindex(models)
            at = np.arange(len(models)) + shift
            if per_repeat is not None:
                _draw_repeats(axes, per_repeat[per_repeat["metric"] == metric], models, shift)
            reach = np.vstack([rows["estimate"] - rows["lower"], rows["upper"] - rows["estimate"]])
            face = PALETTE[k] if k == 0 else "white"
            axes.errorbar(
                rows["estimate"], at, xerr=reach, fmt=markers[metric], color=PALETTE[k], mfc=face, ms=5,
                lw=0, elinewidth=1.3, capsize=2.5, label=label,
            )  # fmt: skip
            if oracle and np.isfinite(oracle.get(metric, np.nan)):
                axes.axvline(oracle[metric], color=PALETTE[k], lw=1.0, ls=_DASHES[1 + k],
                             label=f"Oracle, {_METRIC_LABELS[metric]} {oracle[metric]:.3f}")  # fmt: skip
        axes.axvline(0.5, color=GREY, lw=0.9)
        axes.set(ylim=(len(models) - 0.45, -0.55), yticks=range(len(models)))
        axes.set_yticklabels([model_label(model) for model in models])
        axes.tick_params(left=False)
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x", color="0.9", lw=0.6)
        axes.set_xlabel("C-index (0.5: no better than chance)")
        figure.legend(loc="outside lower center", ncols=2)
    return figure


def _draw_repeats(axes: Axes, rows: pd.DataFrame, models: Sequence[str], shift: float) -> None:
    for i, model in enumerate(models):
        values = rows.loc[rows["model"] == model, "estimate"]
        axes.plot(values, np.full(len(values), i + shift + 0.13), ".", color="0.55", ms=3.5, mew=0)


def auc_figure(table: pd.DataFrame) -> Figure:
    """Time-dependent AUC of every model with its confidence interval.

    Parameters
    ----------
    table : DataFrame
        model, time_months, auc, lower, upper.

    Returns
    -------
    Figure
    """
    need_columns(table, ["model", "time_months", "auc", "lower", "upper"], "AUC")
    models = list(dict.fromkeys(table["model"]))
    span = float(np.ptp(table["time_months"])) or 12.0
    with figure_style():
        figure = new_figure(5.4, 3.3)
        axes = figure.subplots()
        for k, (model, look) in enumerate(_looks(models).items()):
            rows = table[table["model"] == model]
            # Set side by side, so that intervals can be told apart.
            at = rows["time_months"] + (k - (len(models) - 1) / 2) * 0.02 * span
            reach = np.vstack([rows["auc"] - rows["lower"], rows["upper"] - rows["auc"]]).clip(min=0)
            axes.plot(at, rows["auc"], **look)
            axes.errorbar(
                at, rows["auc"], yerr=reach, fmt="o", color=look["color"], ms=4, elinewidth=1.1, capsize=2
            )
        axes.axhline(0.5, color=GREY, lw=0.9)
        axes.set_xticks(sorted(set(table["time_months"])))
        axes.set(ylim=(min(0.4, float(table["lower"].min()) - 0.02), 1.0))
        axes.set_xlabel("Months")
        axes.set_ylabel("AUC (0.5: no better than chance)")
        figure.legend(loc="outside lower center", ncols=2)
    return figure


def calibration_figure(
    groups: pd.DataFrame,
    *,
    smooth: pd.DataFrame | None = None,
    observed_expected: Mapping[float, tuple[float, float, float]] | None = None,
    outcome: str = "progression-free survival",
) -> Figure:
    """Predicted probability against Kaplan-Meier by groups of patients, and a smooth curve.

    Parameters
    ----------
    groups : DataFrame
        One row a horizon and group: time_months, predicted, observed, lower, upper. Horizons
        stand side by side.
    smooth : DataFrame, optional
        time_months, predicted, observed, lower, upper of the smooth curve.
    observed_expected : mapping, optional
        By horizon: observed over expected events, with its limits.
    outcome : str

    Returns
    -------
    Figure
    """
    need_columns(groups, ["time_months", "predicted", "observed", "lower", "upper"], "calibration")
    horizons = list(dict.fromkeys(groups["time_months"].astype(float)))
    # The axes begin where the numbers begin: survival is mostly in the upper part.
    lowest = float(np.nanmin(groups[["lower", "predicted"]].to_numpy(float)))
    start = max(0.0, np.floor(lowest * 10) / 10)
    step = 0.1 if start >= 0.5 else 0.2
    ticks = [k * step for k in range(round(1 / step) + 1) if k * step >= start - 1e-9]
    with figure_style():
        figure = new_figure(3.2 * len(horizons) + 0.4, 4.2 if len(horizons) > 1 else 4.6)
        panels = figure.subplots(1, len(horizons), squeeze=False, sharey=True)[0]
        figure.set_layout_engine("constrained", wspace=0.08)  # the last tick beside the next panel's first
        for axes, horizon in zip(panels, horizons, strict=True):
            if smooth is not None:
                _draw_smooth(axes, smooth[smooth["time_months"] == horizon])
            _draw_groups(axes, groups[groups["time_months"] == horizon])
            axes.plot([0, 1], [0, 1], color=GREY, lw=0.9, ls=(0, (4, 3)), label="Ideal")
            axes.set(xlim=(start, 1.0), ylim=(start, 1.02), aspect="equal", adjustable="box")
            axes.set(xticks=ticks, yticks=ticks)
            ratio = (observed_expected or {}).get(horizon, (np.nan,))
            known = np.isfinite(ratio).all()
            words = "\nO/E {:.2f} ({:.2f} to {:.2f})".format(*ratio) if known else ""
            axes.set_title(f"{horizon:g} months{words}")
            axes.set_xlabel(f"Predicted {outcome}")
        panels[0].set_ylabel(f"Observed {outcome}")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(
            handles, labels, loc="outside lower center", ncols=len(labels) if len(horizons) > 1 else 1
        )
    return figure


def _draw_smooth(axes: Axes, curve: pd.DataFrame) -> None:
    axes.fill_between(curve["predicted"], curve["lower"], curve["upper"], color=PALETTE[1], alpha=0.15, lw=0)
    axes.plot(curve["predicted"], curve["observed"], color=PALETTE[1], label="Smooth, 95% CI")


def _draw_groups(axes: Axes, rows: pd.DataFrame) -> None:
    y = rows["observed"]
    reach = np.vstack([y - rows["lower"], rows["upper"] - y]).clip(min=0)
    axes.errorbar(
        rows["predicted"], y, yerr=reach, fmt="o", color=PALETTE[0], ms=5, capsize=2.5, elinewidth=1.2,
        label="Groups, Kaplan-Meier, 95% CI",
    )  # fmt: skip


def decision_curve_figure(
    table: pd.DataFrame, *, horizon_months: float = 60.0, event_rate: float | None = None
) -> Figure:
    """Net benefit over threshold probabilities: models, treating all, treating none.

    Parameters
    ----------
    table : DataFrame
        model (with ``treat_all`` and ``treat_none``), threshold, net_benefit.
    horizon_months : float
    event_rate : float, optional
        Sets the upper end of the axis: net benefit cannot pass it.

    Returns
    -------
    Figure
    """
    need_columns(table, ["model", "threshold", "net_benefit"], "decision curve")
    models = [m for m in dict.fromkeys(table["model"]) if m not in _BASELINES]
    looks = _looks(models) | {
        "treat_all": {"color": INK, "ls": "-", "lw": 0.9, "label": _BASELINES["treat_all"]},
        "treat_none": {"color": GREY, "ls": "-", "lw": 0.9, "label": _BASELINES["treat_none"]},
    }
    with figure_style():
        figure = new_figure(5.4, 3.6)
        axes = figure.subplots()
        for model, look in looks.items():
            rows = table[table["model"] == model]
            axes.plot(100 * rows["threshold"], rows["net_benefit"], **look)
        top = event_rate if event_rate is not None else float(table["net_benefit"].max())
        axes.set(ylim=(-0.12 * top, 1.08 * top), xlim=(0, 100 * float(table["threshold"].max())))
        axes.set_xlabel(f"Threshold probability of the event by {horizon_months:g} months (%)")
        axes.set_ylabel("Net benefit")
        figure.legend(loc="outside lower center", ncols=3)
    return figure
