"""Figures of two sets of masks: box plots of overlap by sequence, and volumes after Bland and Altman."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from radiomics_npc.dataset.bland_altman import BlandAltman
from radiomics_npc.errors import CohortError
from radiomics_npc.nomogram.labels import sequence_label
from radiomics_npc.nomogram.style import GREY, INK, PALETTE, figure_style, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["bland_altman_figure", "overlap_figure"]

_NAMES = {"dice": "Dice coefficient", "jaccard": "Jaccard index"}


def _title(sequence: str) -> str:
    return sequence_label(sequence) if sequence else "All masks"


def overlap_figure(table: pd.DataFrame, measure: str) -> Figure:
    """Box plot of an overlap measure by sequence, with every patient as a dot.

    Parameters
    ----------
    table : DataFrame
        sequence and the measure, one row a patient and sequence.
    measure : {"dice", "jaccard"}

    Returns
    -------
    Figure
        Box: quartiles and median; whiskers: the farthest value within 1.5 interquartile ranges.

    Raises
    ------
    CohortError
        Nothing was compared.
    """
    known = table.dropna(subset=[measure])
    if known.empty:
        raise CohortError("no pair of masks to draw")
    names = list(dict.fromkeys(known["sequence"]))
    values = [known.loc[known["sequence"] == name, measure].to_numpy(float) for name in names]
    with figure_style():
        figure = new_figure(max(2.6, 1.3 + 1.1 * len(names)), 3.2)
        axes = figure.subplots()
        axes.boxplot(
            values, widths=0.5, showfliers=False, medianprops={"color": INK, "linewidth": 1.8},
            boxprops={"color": INK}, whiskerprops={"color": INK}, capprops={"color": INK},
        )  # fmt: skip
        for place, column in enumerate(values, start=1):
            # In the order of the patients, spread over the box: the same picture every time.
            side = 0.3 * (np.arange(len(column)) * 0.618034 % 1 - 0.5)
            axes.plot(place + side, column, "o", ms=3, mew=0, alpha=0.6, color=PALETTE[(place - 1) % 6])
        labels = [f"{_title(n)}\n(n = {len(v)})" for n, v in zip(names, values, strict=True)]
        axes.set_xticks(range(1, len(names) + 1), labels)
        low = min(v.min() for v in values)
        axes.set_ylim(max(-0.03, np.floor(10 * low - 0.3) / 10), 1.015)
        axes.set_ylabel(_NAMES.get(measure, measure))
    return figure


def bland_altman_figure(
    table: pd.DataFrame, limits: dict[str, BlandAltman], names: tuple[str, str] = ("first", "second")
) -> Figure:
    """Difference of volumes against their mean, a panel a sequence, with bias and limits of agreement.

    Parameters
    ----------
    table : DataFrame
        sequence, first_cm3, second_cm3.
    limits : dict of str to BlandAltman
        By sequence; sequences without are left out.
    names : tuple of 2 str
        Of the two sets.

    Returns
    -------
    Figure

    Raises
    ------
    CohortError
        There is no sequence with limits.
    """
    if not limits:
        raise CohortError("no limits of agreement to draw")
    with figure_style():
        figure = new_figure(max(3.4, 0.5 + 2.5 * len(limits)), 3.0)
        panels = figure.subplots(1, len(limits), sharey=True, squeeze=False)[0]
        for number, (axes, (sequence, found)) in enumerate(zip(panels, limits.items(), strict=True)):
            part = table[table["sequence"] == sequence]
            mean = (part["first_cm3"] + part["second_cm3"]) / 2
            axes.plot(
                mean, part["first_cm3"] - part["second_cm3"], "o", ms=4, mew=0, alpha=0.7,
                color=PALETTE[number % 6],
            )  # fmt: skip
            _lines(axes, found)
            axes.set_xscale("log")
            axes.margins(x=0.14)  # room for the numbers of the lines
            _plain_ticks(axes)
            axes.set_title(_title(sequence))
        figure.supxlabel("Mean of both volumes (cm³)", fontsize=9)
        panels[0].set_ylabel(textwrap.fill(f"Volume, {names[0]} − {names[1]} (cm³)", 32))
    return figure


def _lines(axes: Axes, found: BlandAltman) -> None:
    for (value, lower, upper), style in ((found.bias, "-"), (found.low, "--"), (found.high, "--")):
        axes.axhspan(lower, upper, color=GREY, alpha=0.14, lw=0)
        axes.axhline(value, color=INK, lw=1.1, ls=style)
        axes.annotate(
            f"{value:.2f}".replace("-", "−"), (1, value), xycoords=("axes fraction", "data"), xytext=(-2, 2),
            textcoords="offset points", ha="right", fontsize=7,
        )  # fmt: skip


def _plain_ticks(axes: Axes) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter

    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
