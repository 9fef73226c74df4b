"""Checkerboards of two sequences, before and after their registration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from radiomics_npc.errors import ImageError
from radiomics_npc.imaging.similarity import checkerboard
from radiomics_npc.nomogram.labels import sequence_label
from radiomics_npc.nomogram.style import PALETTE, figure_style, mark_simulated, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["BoardPair", "registration_figure"]

_PAIRS_A_ROW = 2
_SIDE_INCHES = 2.3


@dataclass(frozen=True, eq=False)
class BoardPair:
    """One slice of one registration; no identifier of a patient.

    Parameters
    ----------
    fixed : array, shape (rows, columns)
        The image that the mask was moved to.
    unmoved, moved : arrays of the same shape
        The other image where its headers put it, and where the registration does; NaN beyond it.
    mask : array of bool, same shape
        The moved mask.
    spacing_mm : tuple of float
        Between rows and between columns.
    masks_from, sequence : str
    flags : str
        As in the table of registrations; empty where nothing speaks against it.
    """

    fixed: NDArray[Any]
    unmoved: NDArray[Any]
    moved: NDArray[Any]
    mask: NDArray[np.bool_]
    spacing_mm: tuple[float, float]
    masks_from: str
    sequence: str
    flags: str = ""


def registration_figure(pairs: Sequence[BoardPair], *, simulated: bool = False) -> Figure:
    """Draw a checkerboard by the headers and one after registration for every pair, two pairs a row.

    Parameters
    ----------
    pairs : sequence of BoardPair
    simulated : bool
        Say that the patients never lived.

    Returns
    -------
    Figure

    Raises
    ------
    ImageError
        There is no pair, or its arrays differ in shape.
    """
    if not pairs:
        raise ImageError("no registrations to show")
    rows, across = -(-len(pairs) // _PAIRS_A_ROW), min(len(pairs), _PAIRS_A_ROW)
    with figure_style():
        figure = new_figure(2 * _SIDE_INCHES * across, (_SIDE_INCHES + 0.45) * rows)
        places = figure.subplots(rows, 2 * across, squeeze=False)
        for axes in places.ravel():
            axes.set_axis_off()
        for number, pair in enumerate(pairs):
            row, place = divmod(number, _PAIRS_A_ROW)
            before, after = places[row, 2 * place : 2 * place + 2]
            names = f"{sequence_label(pair.masks_from)} on {sequence_label(pair.sequence)}"
            _board(before, pair, pair.unmoved, f"{names}, by headers")
            _board(after, pair, pair.moved, "registered", outline=True)
            if pair.flags:
                first, *more = pair.flags.replace("_", " ").split("; ")
                after.set_title(f"registered; {first}{' ...' if more else ''}", color=PALETTE[1])
    if simulated:
        mark_simulated(figure)
    return figure


def _board(axes: Axes, pair: BoardPair, other: NDArray[Any], title: str, *, outline: bool = False) -> None:
    height, width = pair.fixed.shape
    extent = (0.0, width * pair.spacing_mm[1], height * pair.spacing_mm[0], 0.0)
    axes.imshow(checkerboard(pair.fixed, other), cmap="gray", vmin=0, vmax=1, extent=extent)
    if outline and pair.mask.any():
        axes.contour(
            pair.mask.astype(float), [0.5], colors=PALETTE[3], linewidths=1.2, extent=extent, origin="upper"
        )
    axes.set_title(title)
