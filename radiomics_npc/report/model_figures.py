"""Figures of what is in a model: effects over follow-up, stability and choice of features, more patients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from radiomics_npc.cohort.regions import split_name
from radiomics_npc.errors import CohortError
from radiomics_npc.nomogram.labels import column_label, sequence_label
from radiomics_npc.nomogram.style import GREY, PALETTE, figure_style, new_figure
from radiomics_npc.report.figures import need_columns, p_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["effects_over_time_figure", "learning_curve_figure", "selection_figure", "stability_figure"]


def effects_over_time_figure(
    curves: Mapping[str, pd.DataFrame], p: Mapping[str, float], *, most: int = 8
) -> Figure:
    """Effect of each term over follow-up: flat where hazards are proportional.

    Parameters
    ----------
    curves : mapping of str to DataFrame
        By term: time_months, effect (log hazard ratio), lower, upper.
    p : mapping of str to float
        By term, of the score test.
    most : int
        Terms drawn, those with the smallest p.

    Returns
    -------
    Figure

    Raises
    ------
    CohortError
        No term.
    """
    if not curves:
        raise CohortError("no terms to draw")
    shown = sorted(sorted(curves, key=lambda term: p.get(term, 1.0))[:most], key=list(curves).index)
    columns = min(4, len(shown)) if len(shown) != 5 else 3  # 3 and 2 rather than 4 and 1
    rows = -(-len(shown) // columns)
    with figure_style():
        figure = new_figure(1.75 * columns + 0.3, 1.95 * rows + 0.2)
        panels = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes, term in zip(panels, shown, strict=False):
            curve = curves[term]
            need_columns(curve, ["time_months", "effect", "lower", "upper"], f"term {term}")
            axes.fill_between(
                curve["time_months"], curve["lower"], curve["upper"], color=PALETTE[0], alpha=0.18, lw=0
            )
            axes.plot(curve["time_months"], curve["effect"], color=PALETTE[0])
            axes.axhline(0, color=GREY, lw=0.8)
            axes.set_title(f"{column_label(term)}\n{p_text(p.get(term, np.nan))}".rstrip())
        for axes in panels[len(shown) :]:
            axes.set_axis_off()
        for axes in panels[max(0, len(shown) - columns) : len(shown)]:  # the lowest of each column
            axes.set_xlabel("Months")
        figure.supylabel("Effect (log hazard ratio)", fontsize=9)
    return figure


def _class_of(parts: Sequence[str]) -> str:
    """Feature class as it is written: first-order, GLCM, morphology."""
    kind = parts[-2] if len(parts) > 3 else parts[1]
    return {"firstorder": "first-order"}.get(kind, kind.upper() if kind.startswith(("gl", "ng")) else kind)


def stability_figure(table: pd.DataFrame, *, minimum: float | None = None) -> Figure:
    """Share of features whose intraclass correlation reaches a value, by class and sequence.

    Parameters
    ----------
    table : DataFrame
        feature (``sequence__image__class__Name``), icc.
    minimum : float, optional
        Below it features are not used.

    Returns
    -------
    Figure
    """
    need_columns(table, ["feature", "icc"], "stability")
    parts = [str(name).split("__") for name in table["feature"]]
    known = table.assign(sequence=[part[0] for part in parts], kind=[_class_of(part) for part in parts])
    known = known.dropna(subset=["icc"])
    sequences, kinds = sorted(set(known["sequence"])), sorted(set(known["kind"]))
    # a row a region: side by side, two regions of three sequences are wider than a page
    rows = max(1, len({split_name(sequence)[1] for sequence in sequences}))
    columns = -(-len(sequences) // rows)
    sequences.sort(key=lambda name: split_name(name)[::-1])
    with figure_style():
        figure = new_figure(2.4 * columns + 0.9, rows * (0.9 + 0.3 * len(kinds)))
        panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
        for axes in panels[len(sequences) :]:
            axes.set_axis_off()
        for axes, sequence in zip(panels, sequences, strict=False):
            for k, kind in enumerate(kinds):
                values = known.loc[(known["sequence"] == sequence) & (known["kind"] == kind), "icc"]
                if len(values):
                    low, middle, high = np.quantile(values, (0.1, 0.5, 0.9))
                    axes.plot([low, high], [k, k], color=PALETTE[0], lw=1.4)
                    axes.plot(middle, k, "o", color=PALETTE[0], ms=5)
                    axes.plot(values, np.full(len(values), k + 0.22), "|", color="0.55", ms=3.5, mew=0.5)
            if minimum is not None:
                axes.axvline(minimum, color=PALETTE[1], lw=1.0, ls=(0, (4, 2)))
            axes.set_title(sequence_label(sequence))
            axes.set(xlim=(min(0.0, float(known["icc"].min())) - 0.03, 1.03), ylim=(len(kinds) - 0.4, -0.6))
            axes.set_yticks(range(len(kinds)), kinds)
        figure.supxlabel("ICC (median, 10th to 90th percentile)", fontsize=9)
    return figure


def selection_figure(table: pd.DataFrame, *, most: int = 20) -> Figure:
    """How often training folds chose each feature.

    Parameters
    ----------
    table : DataFrame
        feature, frequency (0 to 1), the most frequent first.
    most : int

    Returns
    -------
    Figure
    """
    need_columns(table, ["feature", "frequency"], "selection")
    rows = table.head(most)
    with figure_style():
        figure = new_figure(6.4, 0.7 + 0.2 * len(rows))
        axes = figure.subplots()
        axes.barh(range(len(rows)), 100 * rows["frequency"], color=PALETTE[0], height=0.62)
        axes.set_yticks(range(len(rows)), [column_label(name) for name in rows["feature"]])
        axes.set(ylim=(len(rows) - 0.4, -0.6), xlim=(0, 100))
        axes.tick_params(left=False)
        axes.set_xlabel("Training folds that chose the feature (%)")
    return figure


def learning_curve_figure(table: pd.DataFrame) -> Figure:
    """C-index against the number of patients that trained.

    Parameters
    ----------
    table : DataFrame
        training_patients, estimate, lower, upper; sizes that could not be fitted are NaN.

    Returns
    -------
    Figure
    """
    need_columns(table, ["training_patients", "estimate", "lower", "upper"], "learning curve")
    rows = table.dropna(subset=["estimate"])
    with figure_style():
        figure = new_figure(4.2, 2.8)
        axes = figure.subplots()
        at = rows["training_patients"]
        axes.fill_between(at, rows["lower"], rows["upper"], color=PALETTE[0], alpha=0.15, lw=0)
        axes.plot(at, rows["estimate"], "o-", color=PALETTE[0], ms=4)
        axes.axhline(0.5, color=GREY, lw=0.9)
        axes.set_xlabel("Training patients")
        axes.set_ylabel("Harrell's C")
    return figure
