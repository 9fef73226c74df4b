"""Beeswarm of SHAP values: what each column adds to the risk of each patient."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from radiomics_npc.errors import CohortError
from radiomics_npc.nomogram.labels import column_label
from radiomics_npc.nomogram.style import GREY, figure_style, mark_simulated, new_figure
from radiomics_npc.survival.models.shap_values import ShapValues

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["beeswarm_figure", "draw_beeswarm"]

Floats = NDArray[np.float64]
_BINS = 100  # across the width of the axes; points of the same bin are moved apart
_HALF = 0.4  # of the height of a row


def draw_beeswarm(shap: ShapValues, ax: Axes, *, max_columns: int = 12) -> None:
    """One row a column, one dot a patient, its color the column's value for that patient.

    Parameters
    ----------
    shap : ShapValues
    ax : matplotlib Axes
    max_columns : int
        The columns with the largest mean absolute SHAP value are drawn.

    Raises
    ------
    CohortError
        No column to draw.
    """
    columns = shap.to_frame()["column"].head(max_columns).tolist()
    if not columns:
        raise CohortError("no column to draw")
    shown = shap.contributions[columns].to_numpy(dtype=float)
    width = float(np.ptp(shown)) / _BINS
    ax.axvline(0, color=GREY, lw=0.9, zorder=0)
    for row, name in enumerate(columns):
        at, offset = shown[:, row], _offsets(shown[:, row], width)
        shade = _shades(shap.data[name]) if name in shap.ordered else np.full(len(at), np.nan)
        known = np.isfinite(shade)
        ax.scatter(at[~known], row + offset[~known], c=GREY, s=7, lw=0, marker="D")
        ax.scatter(at[known], row + offset[known], c=shade[known], cmap=_colors(), vmin=0, vmax=1, s=9, lw=0)
    ax.set(ylim=(len(columns) - 0.4, -0.6), yticks=range(len(columns)))
    ax.set_yticklabels([column_label(name) for name in columns])
    ax.tick_params(left=False)
    ax.spines["left"].set_visible(False)
    ax.grid(axis="x", color="0.9", lw=0.6)
    ax.set_xlabel("SHAP value (to the right: higher risk)")


def beeswarm_figure(shap: ShapValues, *, max_columns: int = 12) -> Figure:
    """Beeswarm with a color bar.

    Parameters
    ----------
    shap : ShapValues
    max_columns : int

    Returns
    -------
    Figure
        It says so when the patients in training were simulated.

    Raises
    ------
    CohortError
        No column to draw.
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    with figure_style():
        figure = new_figure(6.4, 1.1 + 0.3 * min(max_columns, shap.data.shape[1]))
        axes = figure.subplots()
        draw_beeswarm(shap, axes, max_columns=max_columns)
        bar = figure.colorbar(ScalarMappable(Normalize(0, 1), _colors()), ax=axes, aspect=25, pad=0.02)
        bar.set_ticks([0.0, 1.0], labels=["low", "high"])
        bar.set_label("Value", labelpad=-14)
        bar.outline.set_visible(False)
        if shap.simulated:
            mark_simulated(figure)
    return figure


def _colors() -> Any:
    """From dark blue to orange, ever lighter: told apart with any color vision, and in grey."""
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap

    return ListedColormap(colormaps["plasma"](np.linspace(0.0, 0.82, 256)))


def _shades(values: pd.Series) -> Floats:
    """Rank of each value from 0 to 1, for a color that outliers do not take over; NaN if missing."""
    rank = values.rank(method="average")
    spread = float(rank.max() - rank.min())
    shade = (rank - rank.min()) / spread if spread > 0 else rank * 0.0 + 0.5
    result: Floats = np.asarray(shade, dtype=float)
    return result


def _offsets(values: Floats, width: float) -> Floats:
    """Vertical shift of each dot: those of about the same value stand above and below each other."""
    if width <= 0:
        return np.linspace(-_HALF, _HALF, len(values)) if len(values) > 1 else np.zeros(len(values))
    bins = np.floor((values - values.min()) / width).astype(int)
    order = np.argsort(bins, kind="stable")
    size = np.bincount(bins)
    turn = np.arange(len(values)) - np.repeat(np.cumsum(size) - size, size)
    side = np.where(turn % 2 == 0, turn // 2, -(turn // 2) - 1)  # 0, -1, 1, -2, ...
    result = np.empty(len(values))
    result[order] = side * min(0.07, 2 * _HALF / max(int(size.max()), 1))
    return result
