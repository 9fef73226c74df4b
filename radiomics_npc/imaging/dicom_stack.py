"""Slices that were read one by one, put together to a volume by where they lie."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radiomics_npc.errors import ImageError
from radiomics_npc.imaging.volume import Volume

__all__ = ["CONVERT", "DIRECTION_TOLERANCE", "EXPORT", "Slice", "stack_slices"]

#: Direction cosines of slices may differ by this much (about 0.006 degrees).
DIRECTION_TOLERANCE = 1e-4
#: Distances between slices may differ by this share of their mean, for rounded positions.
_GAP_TOLERANCE = 0.02
#: A stack may lean sideways by this much from one end to the other.
_LEAN_TOLERANCE_MM = 0.1
CONVERT = "Convert the series to NIfTI (for example with dcm2niix) and name that file."
EXPORT = "Export the series again."
_KEEP = "Keep the slices of one series."


@dataclass(frozen=True)
class Slice:
    """One image, or one frame: its pixels, and where they lie.

    Parameters
    ----------
    name : str
        Of the file, and of the frame if it holds several.
    position, orientation, spacing
        ImagePositionPatient, ImageOrientationPatient, PixelSpacing (between rows, between columns).
    pixels : array, shape (rows, columns)
    kind : dict of str to str
        What must be the same in all slices, in words: stacks, echo times, ...
    """

    name: str
    position: NDArray[np.float64]
    orientation: NDArray[np.float64]
    spacing: tuple[float, float]
    pixels: NDArray[Any]
    kind: dict[str, str] = field(default_factory=dict)


def stack_slices(slices: list[Slice], series: str) -> Volume:
    """Put slices in the order of their positions along the slice normal.

    Parameters
    ----------
    slices : list of Slice
    series : str
        Name of the file or folder, for messages.

    Returns
    -------
    Volume

    Raises
    ------
    ImageError
        One slice only; several kinds of images, orientations or sizes; two
        slices at one place; a slice missing (spacing may vary by 2%); slices
        leaning sideways by more than 0.1 mm.
    """
    _require_one_kind(slices, series)
    if len(slices) == 1:
        raise ImageError(
            f"{series} holds one slice, a series needs several", "Give the folder of the whole series."
        )
    normal = _require_one_grid(slices)
    along = np.array([s.position @ normal for s in slices])
    order = np.argsort(along, kind="stable")
    slices, along = [slices[i] for i in order], along[order]
    step = _require_even_steps(slices, along)
    first = slices[0]
    lean = np.array([s.position - first.position for s in slices]) - np.outer(along - along[0], normal)
    if np.abs(lean).max() > _LEAN_TOLERANCE_MM:
        far = slices[int(np.abs(lean).max(axis=1).argmax())].name
        raise ImageError(
            f"slices of {series} lean sideways by {np.abs(lean).max():.2f} mm at {far} (gantry tilt)",
            CONVERT,
        )
    direction = np.column_stack([first.orientation[:3], first.orientation[3:], normal])
    return Volume(
        np.stack([s.pixels for s in slices]),
        (first.spacing[1], first.spacing[0], step),
        (float(first.position[0]), float(first.position[1]), float(first.position[2])),
        tuple(float(x) for x in direction.ravel()),
    )


def _require_one_kind(slices: list[Slice], series: str) -> None:
    for what in slices[0].kind:
        values = sorted({s.kind.get(what, "") for s in slices})
        if len(values) > 1:
            shown = ", ".join(value or "none" for value in values)
            raise ImageError(
                f"{series} holds {len(values)} {what} ({shown})",
                "Export one of them as its own series, or convert it to NIfTI (dcm2niix) and name that file.",
            )


def _require_one_grid(slices: list[Slice]) -> NDArray[np.float64]:
    """Refuse slices of different orientation, size or pixel spacing; return the slice normal."""
    middle = slices[len(slices) // 2]
    for s in slices:
        if np.abs(s.orientation - middle.orientation).max() > DIRECTION_TOLERANCE:
            raise ImageError(f"{s.name} is oriented otherwise than {middle.name}", _KEEP)
        alike = all(abs(a / b - 1) <= 1e-5 for a, b in zip(s.spacing, middle.spacing, strict=True))
        if s.pixels.shape != middle.pixels.shape or not alike:
            raise ImageError(f"{s.name} has another matrix or pixel spacing than {middle.name}", _KEEP)
    normal = np.cross(middle.orientation[:3], middle.orientation[3:])
    return np.asarray(normal / np.linalg.norm(normal))


def _require_even_steps(slices: list[Slice], along: NDArray[np.float64]) -> float:
    """Refuse two slices at one place and missing slices; return the distance between neighbors."""
    steps = np.diff(along)
    usual = float(np.median(steps))
    same = np.flatnonzero(steps < max(_GAP_TOLERANCE * usual, 1e-3))
    if same.size:
        i = int(same[0])
        raise ImageError(
            f"{slices[i].name} and {slices[i + 1].name} lie at the same place",
            "Remove duplicates, or keep one echo or time point.",
        )
    off = np.abs(steps - usual)
    if off.max() > _GAP_TOLERANCE * usual:
        i = int(off.argmax())
        lacking = round(steps[i] / usual) - 1
        what = (
            f"{lacking} slices are missing"
            if lacking > 1
            else "a slice is missing"
            if lacking == 1
            else "uneven steps"
        )
        raise ImageError(
            f"{what} between {slices[i].name} and {slices[i + 1].name}"
            f" ({steps[i]:.3f} mm apart, elsewhere {usual:.3f})",
            "Export the whole series again.",
        )
    return float((along[-1] - along[0]) / (len(along) - 1))
