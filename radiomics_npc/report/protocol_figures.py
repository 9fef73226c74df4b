"""The figure of scanners and protocols: every parameter by center, or scanner, a mark a series."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from radiomics_npc.errors import CohortError
from radiomics_npc.nomogram.labels import sequence_label
from radiomics_npc.nomogram.style import GREY, INK, PALETTE, figure_style, new_figure
from radiomics_npc.report.figures import need_columns
from radiomics_npc.report.protocols import PARAMETERS, groups_of, scanners_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["protocol_figure"]

_MARKERS = ("o", "s", "^")
_LOGARITHMIC = ("echo_time", "repetition_time")
_HATCHES = ("", "////", "....", "xxxx", "----", "\\\\\\\\")
_LONGEST_NAME = 22
_FIELD = "magnetic_field_strength"
_IN_TABLE = ("slice_thickness", "flip_angle")
_FEWEST_FOR_MEDIAN = 3


def protocol_figure(part: Mapping[str, Any]) -> Figure:
    """Acquisition parameters and image quality by group.

    Parameters
    ----------
    part : mapping
        ``table`` with patient_id, sequence, group and parameters (ms, mm, degrees), and ``by``, as
        :func:`radiomics_npc.report.protocols.read_protocols` gives them.

    Returns
    -------
    Figure
        A panel a parameter; within each group a line of marks a sequence.

    Raises
    ------
    CohortError
        A column is absent, or no parameter is known.
    """
    table: pd.DataFrame = part["table"]
    need_columns(table, ["patient_id", "sequence", "group"], "protocols")
    by_center = part["by"] == "center"
    shown = [name for name in PARAMETERS if name in table and table[name].notna().any()]
    shown = [name for name in shown if name not in _IN_TABLE and (by_center or name != _FIELD)]
    if not shown:
        raise CohortError("no acquisition parameter to draw")
    groups, sequences = groups_of(part), list(dict.fromkeys(table["sequence"]))
    rows = (len(shown) + by_center + 1) // 2
    height = 0.5 + (0.12 + 0.09 * len(sequences)) * len(groups)
    with figure_style():
        figure = new_figure(6.8, 0.4 + rows * max(height, 1.0) + 0.2 * by_center)
        panels = list(figure.subplots(rows, 2, squeeze=False, sharey=True).flat)
        panels[0].set_yticks(range(len(groups)), [_short(name) for name in groups])
        panels[0].set_ylim(len(groups) - 0.5, -0.5)
        if by_center:
            _draw_scanners(panels[0], table, groups)
        for axes, name in zip(panels[by_center:], shown, strict=False):
            _draw_panel(axes, table, name, groups, sequences)
        for axes in panels[by_center + len(shown) :]:
            axes.set_axis_off()
        handles, labels = panels[by_center].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), handletextpad=0.3)
    return figure


def _draw_scanners(axes: Axes, table: pd.DataFrame, groups: Sequence[str]) -> None:
    """Series of each scanner, stacked."""
    scanners = scanners_of(table)
    models = list(scanners.value_counts().index)
    named = models if len(models) <= len(PALETTE) else models[: len(PALETTE) - 1]
    left = np.zeros(len(groups))
    for number, model in enumerate([*named, *(["other scanners"] if len(named) < len(models) else [])]):
        wanted = scanners == model if model in named else ~scanners.isin(named)
        counts = np.array([int((wanted & (table["group"] == group)).sum()) for group in groups])
        axes.barh(
            range(len(groups)), counts, 0.6, left, color=PALETTE[number], hatch=_HATCHES[number], ec="white",
            lw=0.6, label=_short(model),
        )  # fmt: skip
        left += counts
    axes.set_xlabel("Series")
    axes.tick_params(left=False)
    axes.legend(
        loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=2, fontsize=6.5, handlelength=1.3,
        columnspacing=0.8,
    )  # fmt: skip


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"


def _draw_panel(
    axes: Axes, table: pd.DataFrame, name: str, groups: Sequence[str], sequences: Sequence[str]
) -> None:
    step = 0.8 / len(sequences)
    for number, sequence in enumerate(sequences):
        color = PALETTE[number % len(PALETTE)]
        label = sequence_label(str(sequence))
        for place, group in enumerate(groups):
            rows = table[(table["group"] == group) & (table["sequence"] == sequence)]
            values = pd.to_numeric(rows[name], errors="coerce").dropna().to_numpy(float)
            center = place - 0.4 + step * (number + 0.5)
            # in the order of the patients, spread over the line: the same picture every time
            height = center + 0.55 * step * (np.arange(len(values)) * 0.618034 % 1 - 0.5)
            axes.plot(
                values, height, _MARKERS[number % 3], ms=3, color=color, alpha=0.45, mew=0,
                label=label if place == 0 else "_nolegend_",
            )  # fmt: skip
            if len(values) >= _FEWEST_FOR_MEDIAN:
                half = 0.36 * step
                axes.plot([np.median(values)] * 2, [center - half, center + half], color=INK, lw=1.1)
    for place in range(1, len(groups)):
        axes.axhline(place - 0.5, color=GREY, lw=0.4)
    if name in _LOGARITHMIC:
        _logarithmic(axes, pd.to_numeric(table[name], errors="coerce"))
    axes.set_xlabel(PARAMETERS[name])
    axes.tick_params(left=False)


def _logarithmic(axes: Axes, values: pd.Series) -> None:
    """Times of T1 and T2 weighting on one axis, with plain numbers."""
    from matplotlib.ticker import LogLocator, NullFormatter

    if not (values.dropna() > 0).all():
        return
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
