"""Tumor outlines on slices of sample patients, without any identity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from radiomics_npc.errors import ImageError
from radiomics_npc.nomogram.style import PALETTE, figure_style, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Panel", "montage_figure"]


@dataclass(frozen=True, eq=False)
class Panel:
    """One picture of the montage.

    Parameters
    ----------
    image : array, shape (rows, columns)
        A slice.
    mask : array of bool, shape (rows, columns)
        The tumor on it.
    title : str
        E.g. the sequence; no identifier of a patient.
    spacing_mm : tuple of float
        Between rows and between columns.
    """

    image: NDArray[np.float64]
    mask: NDArray[np.bool_]
    title: str = ""
    spacing_mm: tuple[float, float] = (1.0, 1.0)


def montage_figure(panels: Sequence[Panel], *, columns: int = 3) -> Figure:
    """Slices side by side with the tumor outlined.

    Parameters
    ----------
    panels : sequence of Panel
    columns : int

    Returns
    -------
    Figure

    Raises
    ------
    ImageError
        No panels, or an image and its mask differ in shape.
    """
    if not panels:
        raise ImageError("no slices to show")
    for panel in panels:
        if panel.image.shape != panel.mask.shape or panel.image.ndim != 2:
            raise ImageError(f"slice {panel.image.shape} and mask {panel.mask.shape} differ in shape")
    rows = -(-len(panels) // columns)
    with figure_style():
        figure = new_figure(2.2 * columns, 2.35 * rows)
        for axes in figure.subplots(rows, columns, squeeze=False).ravel():
            axes.set_axis_off()
        for axes, panel in zip(figure.axes, panels, strict=False):
            low, high = np.percentile(panel.image, [1, 99.5])
            height, width = panel.image.shape
            extent = (0, width * panel.spacing_mm[1], height * panel.spacing_mm[0], 0)
            axes.imshow(panel.image, cmap="gray", vmin=low, vmax=max(high, low + 1e-9), extent=extent)
            if panel.mask.any():
                axes.contour(
                    panel.mask.astype(float), [0.5], colors=PALETTE[3], linewidths=1.2, extent=extent,
                    origin="upper",
                )  # fmt: skip
            axes.set_title(panel.title)
    return figure
