"""Contours drawn and predicted, of simulated patients: the good, the median and the worst."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from radiomics_npc.cohort.cases import Case
from radiomics_npc.imaging.reading import read_pair
from radiomics_npc.imaging.volume import Mask, Volume
from radiomics_npc.settings import SEQUENCES
from radiomics_npc.storage import write_atomic

_TITLES = {"t1": "T1", "t2": "T2", "ce_t1": "CE-T1"}
_DRAWN, _PREDICTED = "#ffd166", "#06d6a0"
_HALF_MM = 62.0


@dataclass(frozen=True, eq=False)
class Panel:
    """One slice, cut around the contours."""

    image: np.ndarray
    drawn: np.ndarray
    predicted: np.ndarray
    title: str
    aspect: float


def panel(volume: Volume, drawn: Mask, predicted: np.ndarray, title: str, *, where: np.ndarray) -> Panel:
    """The slice where ``where`` is largest, 124 mm wide around the contours of the whole tumor."""
    z = int(where.sum(axis=(1, 2)).argmax())
    either = (drawn.array | predicted).any(axis=0)
    box = []
    for axis, spacing in ((0, drawn.spacing_mm[1]), (1, drawn.spacing_mm[0])):
        inside = np.flatnonzero(either.any(axis=1 - axis))
        middle = int(inside.mean()) if inside.size else either.shape[axis] // 2
        half = round(_HALF_MM / spacing)
        box.append(slice(max(0, middle - half), middle + half))
    cut = (z, box[0], box[1])
    return Panel(
        volume.array[cut], drawn.array[cut], predicted[cut], title, drawn.spacing_mm[1] / drawn.spacing_mm[0]
    )


def draw(path: Path, panels: Sequence[Panel], columns: int, title: str) -> None:
    """Panels in rows; the drawn contour is dashed, so that the picture reads without color."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(3.0 * columns, 3.25 * rows + 0.5), facecolor="white")
    FigureCanvasAgg(figure)
    axes = np.ravel(figure.subplots(rows, columns, squeeze=False))
    for axis in axes:
        axis.set_axis_off()
    for axis, one in zip(axes, panels, strict=False):
        low, high = np.percentile(one.image, (1, 99.5))
        axis.imshow(one.image, cmap="gray", vmin=low, vmax=max(high, low + 1), aspect=one.aspect)
        for mask, color, style in ((one.predicted, _PREDICTED, "solid"), (one.drawn, _DRAWN, "dashed")):
            if mask.any():
                axis.contour(mask, [0.5], colors=color, linewidths=1.4, linestyles=style)
        axis.set_title(one.title, fontsize=9)
    figure.suptitle(title, fontsize=10)
    figure.tight_layout()
    with write_atomic(path) as temporary:
        figure.savefig(temporary, dpi=110)


def ranked(table: pd.DataFrame) -> pd.Series:
    """Mean Dice over the sequences of each patient whose three sequences were given, best first."""
    whole = table[table["sequences"] == " + ".join(SEQUENCES)]
    return whole.groupby("case")["dice"].mean().sort_values(ascending=False)


def examples(path: Path, table: pd.DataFrame, cases: dict[str, Case], model: Path) -> None:
    """A good (90th percentile), the median and the worst patient, each in all sequences."""
    order = ranked(table)
    places = (round(0.1 * (len(order) - 1)), (len(order) - 1) // 2, len(order) - 1)
    panels = []
    for word, place in zip(("good", "median", "worst"), places, strict=True):
        pairs, found = _predicted(cases[order.index[place]], model)
        for sequence, (volume, drawn) in pairs.items():
            dice = table.loc[_is(table, order.index[place], sequence), "dice"].iloc[0]
            title = f"{word}: {_TITLES[sequence]}, Dice {dice:.2f}"
            panels.append(panel(volume, drawn, found[sequence], title, where=drawn.array))
    draw(path, panels, 3, "Simulated patients: drawn (dashed) and predicted (solid)")


def failures(path: Path, table: pd.DataFrame, cases: dict[str, Case], model: Path) -> None:
    """The six worst patients, each in the slice of T2 with the most wrong pixels."""
    panels = []
    for patient in ranked(table).index[::-1][:6]:
        pairs, found = _predicted(cases[patient], model)
        volume, drawn = pairs["t2"]
        row = table.loc[_is(table, patient, "t2")].iloc[0]
        title = f"{row['t_category']}, {row['reference_cm3']:.1f} cm3, Dice {row['dice']:.2f}"
        panels.append(panel(volume, drawn, found["t2"], title, where=drawn.array ^ found["t2"]))
    draw(path, panels, 3, "The six worst simulated patients, T2: drawn (dashed) and predicted (solid)")


def _is(table: pd.DataFrame, patient: str, sequence: str) -> pd.Series:
    whole = table["sequences"] == " + ".join(SEQUENCES)
    return whole & (table["case"] == patient) & (table["sequence"] == sequence)


def _predicted(case: Case, model: Path) -> tuple[dict[str, tuple[Volume, Mask]], dict[str, np.ndarray]]:
    from benchmarks.segmentation_sets import predict

    pairs = {s: read_pair(case.images[s]) for s in SEQUENCES}
    masks = predict(model, {s: volume for s, (volume, _) in pairs.items()})
    return pairs, {
        s: masks[s].array if s in masks else np.zeros(m.array.shape, bool) for s, (_, m) in pairs.items()
    }
