"""Tumor outlines on slices of sample patients, without any identity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from radiomics_npc.cohort.cases import Cohort, ImageFiles
from radiomics_npc.cohort.regions import split_name
from radiomics_npc.errors import ImageError, RegionAbsentError
from radiomics_npc.imaging.reading import read_pair
from radiomics_npc.nomogram.labels import sequence_label
from radiomics_npc.nomogram.style import GREY, PALETTE, figure_style, mark_simulated, new_figure
from radiomics_npc.report.quality_images import tumor_slice

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Panel", "cohort_montage", "montage_figure", "montage_rows"]

_MOST_COLUMNS = 4


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
    drawn : array of bool, shape (rows, columns), optional
        Where the tumor was drawn by hand, if ``mask`` was predicted.
    """

    image: NDArray[Any]
    mask: NDArray[np.bool_]
    title: str = ""
    spacing_mm: tuple[float, float] = (1.0, 1.0)
    drawn: NDArray[np.bool_] | None = None


def montage_figure(panels: Sequence[Panel | None], *, columns: int = 3) -> Figure:
    """Slices side by side with the tumor outlined, each with a bar of 1 cm.

    Parameters
    ----------
    panels : sequence of Panel or None
        None leaves a place empty.
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
    for shown in filter(None, panels):
        if shown.image.shape != shown.mask.shape or shown.image.ndim != 2:
            raise ImageError(f"slice {shown.image.shape} and mask {shown.mask.shape} differ in shape")
    rows = -(-len(panels) // columns)
    with figure_style():
        figure = new_figure(2.2 * columns, 2.35 * rows)
        for axes in figure.subplots(rows, columns, squeeze=False).ravel():
            axes.set_axis_off()
        for axes, panel in zip(figure.axes, panels, strict=False):
            if panel is None:
                axes.text(0.5, 0.5, "none", ha="center", color=GREY, transform=axes.transAxes)
                continue
            low, high = np.percentile(panel.image, [1, 99.5])
            height, width = panel.image.shape
            extent = (0, width * panel.spacing_mm[1], height * panel.spacing_mm[0], 0)
            axes.imshow(panel.image, cmap="gray", vmin=low, vmax=max(high, low + 1e-9), extent=extent)
            for mask, color, style in (
                (panel.drawn, PALETTE[4], "dashed"),
                (panel.mask, PALETTE[3], "solid"),
            ):
                if mask is not None and mask.any():
                    axes.contour(
                        mask.astype(float), [0.5], colors=color, linewidths=1.2, linestyles=style,
                        extent=extent, origin="upper",
                    )  # fmt: skip
            left, low = 0.04 * extent[1], 0.96 * extent[2]
            axes.plot([left, left + 10], [low, low], color="white", lw=1.6, solid_capstyle="butt")  # 1 cm
            axes.set_title(panel.title)
    return figure


def cohort_montage(
    cohort: Cohort, patient_ids: Sequence[str], *, most: int = 3, drawn: Cohort | None = None
) -> Figure | None:
    """Sample patients with the slice that shows most of the tumor, cut around it, a row a patient.

    Parameters
    ----------
    cohort : Cohort
    patient_ids : sequence of str
        Patients whose images are known to be sound.
    most : int
        Patients shown, spread evenly over those given.
    drawn : Cohort, optional
        With masks drawn by hand, where those of the cohort were predicted: dashed.

    Returns
    -------
    Figure or None
        None if there is nobody to show. No patient is named.
    """
    wanted = set(patient_ids)
    cases = [case for case in cohort.cases if case.patient_id in wanted]
    chosen = (
        [cases[i] for i in np.unique(np.linspace(0, len(cases) - 1, most).round().astype(int))]
        if cases
        else []
    )
    by_hand = {} if drawn is None else {case.patient_id: case.images for case in drawn.cases}
    rows = montage_rows(cohort.sequences)
    panels: list[Panel | None] = []
    for case in chosen:
        for name in (name for row in rows for name in row):
            title = sequence_label(name) if case is chosen[0] else ""
            other = by_hand.get(case.patient_id, {}).get(name)
            panels.append(_panel(case.images[name], title, cohort, other))
    if not any(panels):
        return None
    # patients side by side where there is one sequence only
    figure = montage_figure(panels, columns=len(rows[0]) if len(cohort.sequences) > 1 else most)
    if cohort.simulated:
        mark_simulated(figure)
    return figure


def montage_rows(sequences: Sequence[str]) -> list[list[str]]:
    """What stands in the rows of a patient: one row, or one a region where that would be too wide.

    Examples
    --------
    >>> montage_rows(["t1-gtvp", "t1-gtvnd"])
    [['t1-gtvp', 't1-gtvnd']]
    >>> montage_rows([f"{s}-{r}" for s in ("t1", "t2", "ce_t1") for r in ("gtvp", "gtvnd")])
    [['t1-gtvp', 't2-gtvp', 'ce_t1-gtvp'], ['t1-gtvnd', 't2-gtvnd', 'ce_t1-gtvnd']]
    """
    if len(sequences) <= _MOST_COLUMNS:
        return [list(sequences)]
    regions = dict.fromkeys(split_name(name)[1] for name in sequences)
    return [[name for name in sequences if split_name(name)[1] == region] for region in regions]


def _panel(files: ImageFiles, title: str, cohort: Cohort, drawn: ImageFiles | None) -> Panel | None:
    """Slice with the outlines of one region; None where the patient does not have it."""
    if files.optional and files.mask is None:
        return None
    try:
        image, mask = read_pair(files, cohort.on_mismatch)
    except RegionAbsentError:
        if files.optional:
            return None
        raise
    more = [] if drawn is None else [read_pair(drawn, cohort.on_mismatch)[1]]
    cut = tumor_slice(image, mask, *more)
    return Panel(cut.image, cut.masks[0], title, cut.scale_mm[::-1], cut.masks[1] if more else None)
