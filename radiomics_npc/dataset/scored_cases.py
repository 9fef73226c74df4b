"""Every prediction of a case scored against its reference, one worker a case."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from radiomics_npc.cohort.failures import failure_row
from radiomics_npc.cohort.regions import Structures
from radiomics_npc.dataset.case_masks import CaseMasks, Drawn, WantedClass
from radiomics_npc.dataset.one_grid import on_one_grid
from radiomics_npc.errors import RadiomicsNPCError
from radiomics_npc.imaging.reading import read_image
from radiomics_npc.imaging.volume import Mask, Volume
from radiomics_npc.parallel import map_cases
from radiomics_npc.progress import track
from radiomics_npc.segmentation.evaluation import evaluate
from radiomics_npc.segmentation.surface import SurfaceMode

__all__ = ["FAILURES", "SCORES", "UNSCORED", "CaseOrder", "score_cases"]

#: Columns of the table of scores.
SCORES: Final = [
    "method", "case", "class", "missing", "dice", "nsd", "tolerance_mm", "hd95_mm",
    "mean_surface_distance_mm", "hd_mm", "sensitivity", "precision", "jaccard", "predicted_cm3",
    "reference_cm3", "volume_error_cm3", "volume_error_percent", "diagonal_mm", "remark",
]  # fmt: skip
#: Columns of what is not scored, and why.
UNSCORED: Final = ["method", "case", "class", "reason"]
#: Columns of what could not be read.
FAILURES: Final = ["method", "case", "class", "error", "message", "remedy"]


@dataclass(frozen=True)
class CaseOrder:
    """A case to be scored.

    Parameters
    ----------
    case : str
    reference : Structures
    predictions : mapping of str to Structures or None
        By method; None where there is no file.
    classes : sequence of WantedClass and float
        With the tolerance of each in mm.
    image : Path, optional
        What contours are drawn on.
    on_mismatch : {"error", "resample"}
    empty_reference : {"score", "omit"}
    surface : {"faces", "surfel"}
    """

    case: str
    reference: Structures
    predictions: Mapping[str, Structures | None]
    classes: Sequence[tuple[WantedClass, float]]
    image: Path | None = None
    on_mismatch: str = "error"
    empty_reference: str = "score"
    surface: SurfaceMode = "faces"


@dataclass
class _Scored:
    label: str
    rows: list[dict[str, Any]] = field(default_factory=list)
    unscored: list[dict[str, str]] = field(default_factory=list)
    failures: list[dict[str, str]] = field(default_factory=list)

    def fail(self, method: str, name: str, error: Exception) -> None:
        row = failure_row("", "", "evaluate", error)
        told = {key: row[key] for key in ("error", "message", "remedy")}
        self.failures.append({"method": method, "case": self.label, "class": name} | told)

    def leave_out(self, name: str, reason: str) -> None:
        self.unscored.append({"method": "", "case": self.label, "class": name, "reason": reason})


def score_cases(
    orders: Sequence[CaseOrder], *, jobs: int = 0, progress: bool = True
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Score every case.

    Parameters
    ----------
    orders : sequence of CaseOrder
    jobs : int
        Processes; 0 takes all cores.
    progress : bool

    Returns
    -------
    scores : DataFrame
        By :data:`SCORES`, one row a method, case and class: whatever is in the reference, also where there is
        no prediction, or none that could be used.
    unscored : DataFrame
        By :data:`UNSCORED`: what the reference says nothing of.
    failures : DataFrame
        By :data:`FAILURES`.

    Examples
    --------
    >>> score_cases([], jobs=1)[0].empty
    True
    """
    done = map_cases(_score, orders, jobs=jobs, ordered=True)
    results = list(track(done, "evaluation", len(orders)) if progress else done)
    scores = pd.DataFrame([row for r in results for row in r.rows], columns=SCORES)
    unscored = pd.DataFrame([row for r in results for row in r.unscored], columns=UNSCORED)
    return scores, unscored, pd.DataFrame([row for r in results for row in r.failures], columns=FAILURES)


def _score(order: CaseOrder) -> _Scored:
    result = _Scored(order.case)
    try:
        image = None if order.image is None else read_image(order.image)
        reference = _opened(order.reference, image)
    except Exception as error:  # noqa: BLE001 - a fault of one case must not stop the others
        result.fail("", "", error)
        return result
    opened: dict[str, CaseMasks | None] = {}
    for wanted, tolerance in order.classes:
        try:
            drawn = reference.read(wanted)
        except Exception as error:  # noqa: BLE001 - as above
            result.fail("", wanted.name, error)
            continue
        if not drawn.said:
            result.leave_out(wanted.name, "the reference has no file for it")
        elif drawn.mask is None and order.empty_reference == "omit":
            result.leave_out(wanted.name, "nothing is drawn in the reference")
        else:
            for method, found in _found(order, wanted, drawn, image, opened, result):
                row = _row(order, wanted, tolerance, drawn, found, method, result)
                result.rows.append({"method": method, "case": order.case, "class": wanted.name} | row)
    return result


def _opened(found: Structures, image: Volume | None, grid: Volume | None = None) -> CaseMasks:
    """The masks of a case, contours with what they lie on: the image given, one beside them, or a grid."""
    masks = CaseMasks(found, image)
    if image is None and masks.needs_image:
        assert found.whole is not None
        try:
            masks.like = read_image(found.whole if found.whole.is_dir() else found.whole.parent)
        except RadiomicsNPCError:
            masks.like = grid
    return masks


def _found(
    order: CaseOrder, wanted: WantedClass, drawn: Drawn, image: Volume | None,
    opened: dict[str, CaseMasks | None], result: _Scored,
) -> Iterator[tuple[str, Drawn]]:  # fmt: skip
    """What every method says of a class; a file that cannot be used says nothing."""
    for method, files in order.predictions.items():
        if method not in opened:
            try:
                opened[method] = None if files is None else _opened(files, image, drawn.mask or drawn.grid)
            except Exception as error:  # noqa: BLE001 - as above
                opened[method] = None
                result.fail(method, "", error)
        masks = opened[method]
        try:
            found = Drawn(said=False) if masks is None else masks.read(wanted)
        except Exception as error:  # noqa: BLE001 - as above
            result.fail(method, wanted.name, error)
            found = Drawn(said=False)
        yield method, found


def _row(
    order: CaseOrder, wanted: WantedClass, tolerance: float, drawn: Drawn, found: Drawn, method: str,
    result: _Scored,
) -> dict[str, Any]:  # fmt: skip
    """Scores of a prediction; one that lies on another grid counts as missing unless it is resampled."""
    resampled = False
    if drawn.mask is not None and found.mask is not None:
        try:
            first, second, resampled = on_one_grid(drawn.mask, found.mask, order.on_mismatch)
        except Exception as error:  # noqa: BLE001 - as above
            result.fail(method, wanted.name, error)
            found = Drawn(said=False)
    if drawn.mask is None or found.mask is None:
        first, second = _pair(drawn, found)
    row = evaluate(
        {"": second} if found.said else {}, {"": first}, tolerances_mm=(tolerance,), mode=order.surface
    ).iloc[0]
    told = {str(name): row[name] for name in row.index if name in SCORES and name != "case"}
    remarks = {
        "no prediction": not found.said, "nothing is drawn in the reference": drawn.mask is None,
        "nothing is drawn in the prediction": found.said and found.mask is None and drawn.mask is not None,
        "resampled": resampled,
    }  # fmt: skip
    return told | {
        "nsd": row[f"nsd_{tolerance:g}mm"], "tolerance_mm": tolerance, "diagonal_mm": _diagonal(drawn, found),
        "remark": "; ".join(text for text, holds in remarks.items() if holds),
    }  # fmt: skip


def _pair(drawn: Drawn, found: Drawn) -> tuple[Mask, Mask]:
    """Both masks, of which one at least is empty, on a grid that is known."""
    grid = drawn.mask or found.mask or drawn.grid or found.grid or Mask(np.zeros((1, 1, 1)), (1.0, 1.0, 1.0))
    empty = replace(grid, array=np.zeros_like(grid.array))
    return drawn.mask or empty, found.mask or empty


def _diagonal(drawn: Drawn, found: Drawn) -> float:
    """Of the reference's grid, else of the prediction's; NaN if none is known."""
    grid = drawn.mask or drawn.grid or found.mask or found.grid
    if grid is None:
        return float("nan")
    return float(np.linalg.norm(np.array(grid.array.shape[::-1]) * np.array(grid.spacing_mm)))
