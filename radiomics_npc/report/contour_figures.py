"""Figures of predicted contours: volumes, agreement with drawn ones, and what they do to the risk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from radiomics_npc.errors import CohortError
from radiomics_npc.nomogram.labels import sequence_label
from radiomics_npc.nomogram.style import GREY, PALETTE, figure_style, new_figure
from radiomics_npc.report.figures import need_columns

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["agreement_figure", "risk_figure", "volume_figure"]

_MARKERS = ("o", "s", "^")


def _log_volumes(axes: Axes) -> None:
    """Volumes on a logarithmic axis, written as 0.5, 1, 2, 5, 10."""
    from matplotlib.ticker import LogLocator, NullFormatter

    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())


def volume_figure(table: pd.DataFrame) -> Figure:
    """Distribution of the predicted volumes, a row a sequence.

    Parameters
    ----------
    table : DataFrame
        sequence, volume_cm3, flags.

    Returns
    -------
    Figure

    Raises
    ------
    CohortError
        A column is absent, or there is no volume.
    """
    need_columns(table, ["sequence", "volume_cm3", "flags"], "predicted volumes")
    known = table[table["volume_cm3"] > 0]
    if known.empty:
        raise CohortError("no volume to draw")
    names = list(dict.fromkeys(known["sequence"]))
    with figure_style():
        figure = new_figure(5.4, 0.75 + 0.55 * len(names))
        axes = figure.subplots()
        for place, name in enumerate(names):
            part = known[known["sequence"] == name]
            volumes = part["volume_cm3"].to_numpy(float)
            # In the order of the patients, spread over the row: the same picture every time.
            height = place + 0.5 * (np.arange(len(part)) * 0.618034 % 1 - 0.5)
            flagged = (part["flags"].fillna("").astype(str) != "").to_numpy()
            axes.plot(volumes[~flagged], height[~flagged], "o", ms=3, color=PALETTE[0], alpha=0.6, mew=0)
            axes.plot(volumes[flagged], height[flagged], "x", ms=5, color=PALETTE[1], mew=1.3)
            axes.plot([np.median(volumes)] * 2, [place - 0.36, place + 0.36], color="black", lw=1.5)
        _log_volumes(axes)
        axes.set_yticks(range(len(names)), [sequence_label(name) for name in names])
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set_xlabel("Predicted volume (cm³)")
    return figure


def agreement_figure(agreement: pd.DataFrame) -> Figure:
    """Dice of every predicted mask against the volume that was drawn.

    Parameters
    ----------
    agreement : DataFrame
        sequence, dice, reference_cm3.

    Returns
    -------
    Figure

    Raises
    ------
    CohortError
        A column is absent, or nothing was compared.
    """
    need_columns(agreement, ["sequence", "dice", "reference_cm3"], "agreement of contours")
    known = agreement.dropna(subset=["dice"])
    if known.empty:
        raise CohortError("no agreement to draw")
    with figure_style():
        figure = new_figure(5.4, 3.0)
        axes = figure.subplots()
        for number, (name, part) in enumerate(known.groupby("sequence", sort=False)):
            label = f"{sequence_label(str(name))} (median {part['dice'].median():.2f})"
            axes.plot(
                part["reference_cm3"], part["dice"], _MARKERS[number % 3], ms=4, mew=0, alpha=0.7,
                color=PALETTE[number % len(PALETTE)], label=label,
            )  # fmt: skip
        _log_volumes(axes)
        axes.set_ylim(-0.03, 1.03)
        axes.set_xlabel("Drawn volume (cm³)")
        axes.set_ylabel("Dice coefficient")
        axes.legend(loc="lower right")
    return figure


def risk_figure(risk: pd.DataFrame, *, horizon_months: float) -> Figure:
    """Risk of every patient with its interval over the contours, from low to high.

    Parameters
    ----------
    risk : DataFrame
        Of :func:`radiomics_npc.report.contour_content.risk_intervals`.
    horizon_months : float

    Returns
    -------
    Figure

    Raises
    ------
    CohortError
        A column is absent, or there is nobody.
    """
    need_columns(risk, ["risk", "lower", "upper"], "risk under varied contours")
    if risk.empty:
        raise CohortError("no risks to draw")
    place = np.arange(1, len(risk) + 1)
    with figure_style():
        figure = new_figure(6.4, 2.6)
        axes = figure.subplots()
        axes.vlines(place, risk["lower"], risk["upper"], color=GREY, lw=max(0.6, min(3.0, 200 / len(risk))))
        axes.plot(place, risk["risk"], "o", ms=3, color=PALETTE[0], mew=0)
        axes.set_ylim(-0.02, 1.02)
        axes.set_xlabel("Patients, from low to high risk")
        axes.set_ylabel(f"Risk of the event\nby {horizon_months:g} months")
    return figure
