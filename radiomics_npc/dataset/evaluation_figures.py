"""Figures of an evaluation: scores of every method, how stable the ranks are, and ranks by other schemes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from radiomics_npc.errors import CohortError
from radiomics_npc.nomogram.style import GREY, INK, PALETTE, figure_style, mark_simulated, new_figure
from radiomics_npc.segmentation.method_scores import finite_distances

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from radiomics_npc.dataset.evaluation import ChallengeEvaluation
    from radiomics_npc.segmentation.rank_stability import RankStability

__all__ = [
    "MEASURE_NAMES",
    "SCHEME_NAMES",
    "evaluation_figures",
    "schemes_figure",
    "scores_figure",
    "stability_figure",
]

#: Measures as printed.
MEASURE_NAMES: Final = {
    "dice": "Dice", "nsd": "NSD", "hd95_mm": "HD95 (mm)", "hd_mm": "Hausdorff distance (mm)",
    "mean_surface_distance_mm": "Mean surface distance (mm)", "sensitivity": "Sensitivity",
    "precision": "Precision", "jaccard": "Jaccard", "volume_error_cm3": "Volume error (cm³)",
    "volume_error_percent": "Volume error (%)",
}  # fmt: skip
#: Ways to rank as printed.
SCHEME_NAMES: Final = {
    "rank_then_aggregate": "Rank, then\naggregate", "aggregate_then_rank": "Aggregate,\nthen rank",
    "case_ranks": "Ranks of\nthe cases", "test_based": "By tests",
}  # fmt: skip
_DRAWN: Final = ("dice", "nsd", "hd95_mm")
_MOST_PANELS = 4
_MARKERS: Final = ("o", "s", "^", "D", "v", "P")


def evaluation_figures(found: ChallengeEvaluation) -> dict[str, Figure]:
    """All figures of an evaluation.

    Returns
    -------
    dict of str to Figure
        ``dice``, ``nsd``, ``hd95_mm``; of several methods ``stability`` and ``schemes``.
    """
    finite = finite_distances(found.table, found.settings.get("infinite", "diagonal"))
    drawn = {measure: scores_figure(finite, measure, found.methods) for measure in _DRAWN}
    if found.stability is not None:
        drawn["stability"] = stability_figure(found.stability)
    if len(found.schemes):
        drawn["schemes"] = schemes_figure(found.schemes)
    if found.simulated:
        for figure in drawn.values():
            mark_simulated(figure)
    return drawn


def _colour(place: int) -> str:
    return PALETTE[place % len(PALETTE)]


def scores_figure(table: pd.DataFrame, measure: str, methods: Sequence[str]) -> Figure:
    """Box plots of a measure, a row a method and a panel a class, with every case as a dot.

    Parameters
    ----------
    table : DataFrame
        method, case, class and the measure, finite.
    measure : str
    methods : sequence of str
        From top to bottom.

    Returns
    -------
    Figure
        Box: quartiles and median; whiskers: the farthest value within 1.5 interquartile ranges. Of more than
        four classes there is one panel: the mean over the classes of each case.

    Raises
    ------
    CohortError
        There is nothing to draw.
    """
    if table.empty:
        raise CohortError("no scores to draw")
    panels = {str(name): rows for name, rows in table.groupby("class", sort=False)}
    if len(panels) > _MOST_PANELS:
        means = table.groupby(["method", "case"])[measure].mean().reset_index()
        panels = {"Mean over the classes": means}
    with figure_style():
        figure = new_figure(
            1.2 + 0.055 * max(map(len, methods)) + 2.3 * len(panels), 1.1 + 0.36 * len(methods)
        )
        axes_of = figure.subplots(1, len(panels), sharex=True, sharey=True, squeeze=False)[0]
        for axes, (name, rows) in zip(axes_of, panels.items(), strict=True):
            _boxes(axes, [rows.loc[rows["method"] == m, measure].to_numpy(float) for m in methods])
            axes.set_title("" if len(panels) == 1 and name == "tumor" else name)
        axes_of[0].set_yticks(range(1, len(methods) + 1), list(methods))
        axes_of[0].set_ylim(len(methods) + 0.6, 0.4)
        _limits(axes_of[0], table[measure].to_numpy(float), measure)
        figure.supxlabel(MEASURE_NAMES.get(measure, measure), fontsize=9)
    return figure


def _boxes(axes: Axes, values: Sequence[np.ndarray]) -> None:
    axes.boxplot(
        list(values), orientation="horizontal", widths=0.55, showfliers=False, manage_ticks=False,
        medianprops={"color": INK, "linewidth": 1.8}, boxprops={"color": INK},
        whiskerprops={"color": INK}, capprops={"color": INK},
    )  # fmt: skip
    for place, column in enumerate(values):
        # In the order of the cases, spread over the box: the same picture every time.
        side = 0.34 * (np.arange(len(column)) * 0.618034 % 1 - 0.5)
        axes.plot(column, place + 1 + side, "o", ms=3, mew=0, alpha=0.6, color=_colour(place))


def _limits(axes: Axes, values: np.ndarray, measure: str) -> None:
    if measure.endswith("_mm"):
        if values.max() > 20 * max(float(np.median(values)), 1.0):
            axes.set_xscale("symlog", linthresh=1.0)
            axes.xaxis.set_major_formatter("{x:g}")
        axes.set_xlim(left=-0.03 * min(values.max(), 1.0))
    else:
        axes.set_xlim(max(-0.03, np.floor(10 * values.min() - 0.3) / 10), 1.02)


def stability_figure(found: RankStability) -> Figure:
    """Share of the bootstrap samples in which each method has each rank, as the area of a disk.

    Parameters
    ----------
    found : RankStability

    Returns
    -------
    Figure
        Methods in their order; line: 95% of the samples; cross: median; percent where there is room.

    References
    ----------
    Wiesenfarth M et al. Sci Rep 2021;11:2369, blob plots.
    """
    table = found.to_frame()
    count = len(found.methods)
    with figure_style():
        figure = new_figure(
            1.6 + 0.62 * count + 0.03 * max(map(len, found.methods)),
            max(2.4, 1.0 + 0.5 * count) + 0.03 * max(map(len, found.methods)),
        )
        axes = figure.subplots()
        for place, row in enumerate(table.to_dict("records")):
            axes.plot([place] * 2, [row["lower"], row["upper"]], color=GREY, lw=1.2, zorder=1)
            for rank in range(1, count + 1):
                share = row[f"share_{rank}"]
                if share > 0:
                    axes.scatter(place, rank, s=620 * share, color=_colour(place), lw=0, alpha=0.85, zorder=2)
                if share >= 0.15:
                    axes.annotate(
                        f"{100 * share:.0f}%", (place, rank), (16, 0), textcoords="offset points",
                        va="center", fontsize=7,
                    )  # fmt: skip
            axes.plot(place, row["median"], "x", color=INK, ms=6, mew=1.4, zorder=3)
        axes.set_xticks(range(count), list(found.methods))
        if max(map(len, found.methods)) > 9:
            for label in axes.get_xticklabels():
                label.set(rotation=30, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(1, count + 1))
        axes.set_xlim(-0.6, count - 0.1)
        axes.set_ylim(count + 0.6, 0.4)
        axes.grid(axis="y", color="0.9", lw=0.6)
        axes.set_ylabel("Rank in samples of the cases")
    return figure


def schemes_figure(schemes: pd.DataFrame) -> Figure:
    """Rank of every method by every scheme, a line a method.

    Parameters
    ----------
    schemes : DataFrame
        method and a column a scheme, as :func:`radiomics_npc.segmentation.ranking.compare_schemes`.

    Returns
    -------
    Figure
    """
    names = [name for name in SCHEME_NAMES if name in schemes.columns]
    methods = schemes["method"].tolist()
    with figure_style():
        figure = new_figure(1.6 + 1.1 * len(names) + 0.06 * max(map(len, methods)), 1.2 + 0.4 * len(methods))
        axes = figure.subplots()
        beside = _beside(schemes[names].to_numpy(float))
        for place in range(len(methods)):
            ranks = beside[place]
            again = place // len(PALETTE)  # how often the colors were used up
            axes.plot(
                range(len(names)), ranks, marker=_MARKERS[again % 6], ms=5, color=_colour(place),
                ls=("-", "--")[again % 2],
            )  # fmt: skip
        _name_lines(axes, schemes, names)
        axes.set_xticks(range(len(names)), [SCHEME_NAMES[name] for name in names])
        axes.set_xlim(-0.2, len(names) - 0.9)
        axes.set_yticks(range(1, len(methods) + 1))
        axes.set_ylim(len(methods) + 0.5, 0.5)
        axes.set_ylabel("Rank")
    return figure


def _beside(ranks: np.ndarray) -> np.ndarray:
    """Ranks to draw: methods that share one lie beside each other."""
    drawn = ranks.copy()
    for column in range(ranks.shape[1]):
        for rank in np.unique(ranks[:, column]):
            tied = np.flatnonzero(ranks[:, column] == rank)
            drawn[tied, column] += 0.14 * (np.arange(len(tied)) - (len(tied) - 1) / 2)
    return drawn


def _name_lines(axes: Axes, schemes: pd.DataFrame, names: Sequence[str]) -> None:
    """Names at the right end, one below the other where methods share a rank."""
    order = np.argsort(schemes[names[-1]].to_numpy(), kind="stable")
    last = -np.inf
    for place in order:
        last = max(float(schemes[names[-1]].iloc[place]), last + 0.42)
        axes.annotate(
            schemes["method"].iloc[place], (len(names) - 1, last), (9, 0), textcoords="offset points",
            va="center", fontsize=8, annotation_clip=False,
        )  # fmt: skip
