"""Survival of groups and hazard ratios as figures, from plain tables, told apart without color.

Every function returns a matplotlib Figure of its own and leaves matplotlib's
settings as they were.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from radiomics_npc.errors import CohortError
from radiomics_npc.nomogram.labels import column_label, level_label
from radiomics_npc.nomogram.style import GREY, INK, PALETTE, figure_style, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["forest_figure", "kaplan_meier_figure", "need_columns", "p_text"]

_DASHES: tuple[Any, ...] = ("-", (0, (5, 1.6)), (0, (1.2, 1.2)), (0, (6, 1.5, 1.2, 1.5)))
# From low to high risk: also from light to dark is kept in grey by the dashes.
_RISK_COLORS = {"low": PALETTE[0], "intermediate": PALETTE[3], "high": PALETTE[1]}


def p_text(p: float) -> str:
    """A p value as journals print it.

    Examples
    --------
    >>> p_text(0.00004), p_text(0.0123), p_text(0.4), p_text(float("nan"))
    ('p < 0.001', 'p = 0.012', 'p = 0.40', '')
    """
    if not np.isfinite(p):
        return ""
    if p < 0.001:
        return "p < 0.001"
    return f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"


def need_columns(table: pd.DataFrame, columns: Sequence[str], what: str) -> None:
    """Refuse a table that lacks what a figure draws.

    Raises
    ------
    CohortError
        A column is absent.
    """
    absent = [name for name in columns if name not in table.columns]
    if absent:
        raise CohortError(f"{what}: the table lacks {', '.join(absent)}")


def _at_risk(curve: pd.DataFrame, times: Sequence[float]) -> list[int]:
    """Patients still followed just before each time, from the rows of a curve."""
    when = curve["time_months"].to_numpy(float)
    left = np.append(curve["at_risk"].to_numpy(), 0)
    return [int(left[np.searchsorted(when, time, side="left")]) for time in times]


def kaplan_meier_figure(
    curves: Mapping[str, pd.DataFrame],
    *,
    outcome: str = "progression-free survival",
    p: float | None = None,
    until_months: float | None = None,
) -> Figure:
    """Kaplan-Meier curves of some groups with confidence bands, and the numbers at risk.

    Parameters
    ----------
    curves : mapping of str to DataFrame
        By group, from low to high risk: time_months, survival, lower, upper,
        at_risk, and censored if censoring is to be marked.
    outcome : str
    p : float, optional
        Of the log-rank test.
    until_months : float, optional
        End of the time axis; by default the longest follow-up.

    Returns
    -------
    Figure

    Raises
    ------
    CohortError
        No group, or a table lacks a column.
    """
    if not curves:
        raise CohortError("no groups to draw")
    for name, curve in curves.items():
        need_columns(curve, ["time_months", "survival", "lower", "upper", "at_risk"], f"group {name}")
    end = until_months or max(float(curve["time_months"].max()) for curve in curves.values())
    step = next((s for s in (3, 6, 12, 24, 60) if end / s <= 8), 120)
    times = np.arange(0, end + 1e-6, step)
    colors = {name: _RISK_COLORS.get(name, PALETTE[i % 6]) for i, name in enumerate(curves)}
    with figure_style():
        figure = new_figure(5.2, 3.6 + 0.2 * len(curves))
        axes, table = figure.subplots(2, 1, height_ratios=[3.0, 0.2 * (len(curves) + 1)], sharex=True)
        for i, (name, curve) in enumerate(curves.items()):
            _draw_curve(axes, curve, end, name, colors[name], _DASHES[i % 4])
        axes.set(xlim=(-0.01 * end, 1.01 * end), ylim=(0, 1.03), xticks=times)
        axes.set_ylabel(outcome[:1].upper() + outcome[1:])
        axes.set_xlabel("Months")
        axes.tick_params(labelbottom=True)
        title = "Predicted risk" if set(curves) <= set(_RISK_COLORS) else None
        axes.legend(loc="lower left", title=title, alignment="left", handlelength=3)
        if p is not None and np.isfinite(p):
            axes.text(0.98, 0.04, f"Log-rank {p_text(p)}", ha="right", transform=axes.transAxes)
        _draw_at_risk(table, curves, times)
    return figure


def _draw_curve(axes: Axes, curve: pd.DataFrame, end: float, name: str, color: str, dash: Any) -> None:
    rows = curve[curve["time_months"] <= end]
    when = np.concatenate([[0.0], rows["time_months"], [min(end, rows["time_months"].max())]])

    def steps(column: str) -> np.ndarray:
        values = rows[column].to_numpy(float)
        return np.concatenate([[1.0], values, values[-1:]])

    axes.fill_between(when, steps("lower"), steps("upper"), step="post", color=color, alpha=0.13, lw=0)
    axes.step(when, steps("survival"), where="post", color=color, ls=dash, label=name)
    if "censored" in rows:
        seen = rows[(rows["censored"] > 0) & (rows["time_months"] < end)]
        axes.plot(seen["time_months"], seen["survival"], "|", color=color, ms=4, mew=0.7)


def _draw_at_risk(axes: Axes, curves: Mapping[str, pd.DataFrame], times: Any) -> None:
    """The numbers below the time axis, one line a group."""
    axes.set(ylim=(len(curves) + 0.5, -0.9))
    axes.set_axis_off()
    place = axes.get_yaxis_transform()
    axes.text(-0.06, -0.4, "At risk", ha="right", va="center", transform=place, fontweight="bold")
    for i, (name, curve) in enumerate(curves.items()):
        axes.text(-0.06, i + 0.45, name, ha="right", va="center", transform=place)
        for time, number in zip(times, _at_risk(curve, times), strict=True):
            axes.text(time, i + 0.45, f"{number}", ha="center", va="center")


def forest_figure(table: pd.DataFrame) -> Figure:
    """Hazard ratios on a logarithmic axis, with the numbers beside them.

    Parameters
    ----------
    table : DataFrame
        term, level, hazard_ratio, lower, upper, p; reference levels have no limits.

    Returns
    -------
    Figure
    """
    need_columns(table, ["term", "level", "hazard_ratio", "lower", "upper", "p"], "forest plot")
    lines = _forest_lines(table)
    with figure_style():
        figure = new_figure(6.6, 0.75 + 0.235 * len(lines))
        names, axes, numbers = figure.subplots(1, 3, width_ratios=[1.5, 2.6, 1.9], sharey=True)
        limits = pd.concat([table["lower"], table["upper"], table["hazard_ratio"]]).dropna()
        axes.set_xscale("log")
        axes.set(ylim=(len(lines) - 0.4, -1.1), xlim=_ratio_limits(float(limits.min()), float(limits.max())))
        axes.axvline(1, color=GREY, lw=0.9)
        for side in (names, numbers):
            side.set_axis_off()
        for y, (kind, words, row) in enumerate(lines):
            weight = "bold" if kind == "heading" else "normal"
            names.text(0.07 * (kind == "level"), y, words, va="center", fontweight=weight)
            if row is not None:
                _draw_ratio(axes, numbers, y, row)
        numbers.text(0.0, -0.85, "Hazard ratio (95% CI)", va="center", fontweight="bold")
        numbers.text(1.0, -0.85, "p", va="center", ha="right", fontweight="bold", style="italic")
        axes.set_xlabel("Hazard ratio (log scale)")
        axes.spines["left"].set_visible(False)
        axes.tick_params(left=False, labelleft=False, which="both")
        _plain_ratio_ticks(axes)
    return figure


def _forest_lines(table: pd.DataFrame) -> list[tuple[str, str, Any]]:
    """Lines of the forest plot: (kind, words, row); a factor has a heading and a line a level."""
    lines: list[tuple[str, str, Any]] = []
    for term, rows in table.groupby("term", sort=False):
        label = column_label(str(term))
        if len(rows) == 1 and not str(rows["level"].iloc[0]):
            lines.append(("number", label, rows.iloc[0]))
            continue
        lines.append(("heading", label, None))
        lines += [("level", level_label(row["level"]), row) for _, row in rows.iterrows()]
    return lines


def _ratio_limits(low: float, high: float) -> tuple[float, float]:
    return min(0.8, low / 1.15), max(1.25, high * 1.15)


def _draw_ratio(axes: Axes, numbers: Axes, y: int, row: Any) -> None:
    known = np.isfinite(row["lower"]) and np.isfinite(row["upper"])
    if known:
        axes.plot([row["lower"], row["upper"]], [y, y], color=INK, lw=1.2, solid_capstyle="butt")
        axes.plot(row["hazard_ratio"], y, "s", color=PALETTE[0], ms=5, mec=INK, mew=0.5)
        words = f"{row['hazard_ratio']:.2f} ({row['lower']:.2f} to {row['upper']:.2f})"
        value = p_text(float(row["p"])).removeprefix("p ").removeprefix("= ")
        numbers.text(1.0, y, value, va="center", ha="right")
    else:
        axes.plot(1, y, "s", color="white", ms=4.5, mec=INK, mew=0.8)
        words = "1 (reference)"
    numbers.text(0.0, y, words, va="center")


def _plain_ratio_ticks(axes: Axes) -> None:
    """Ticks such as 0.5, 1, 2, 5 in place of powers of ten."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    low, high = axes.get_xlim()
    wished = [0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50]
    if high / low < 4:
        wished = [0.25, 0.33, 0.5, 0.67, 0.8, 1, 1.25, 1.5, 2, 3, 4]
    axes.xaxis.set_major_locator(FixedLocator([v for v in wished if low <= v <= high]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
