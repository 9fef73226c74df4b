"""Overlap, distances and volumes of pairs of masks, one worker a pair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import pandas as pd

from radiomics_npc.cohort.cases import ImageFiles
from radiomics_npc.cohort.failures import FAILURE_COLUMNS, failure_row
from radiomics_npc.dataset.morphology import knows_its_grid
from radiomics_npc.dataset.one_grid import on_one_grid
from radiomics_npc.errors import MaskError, RegionAbsentError
from radiomics_npc.imaging.reading import read_drawn, read_image
from radiomics_npc.imaging.volume import Mask
from radiomics_npc.parallel import map_cases
from radiomics_npc.progress import track
from radiomics_npc.segmentation.metrics import segmentation_metrics

__all__ = ["MaskPair", "compare_pairs", "pair_columns"]

_MEASURES: Final = ("dice", "jaccard", "hd95_mm", "mean_surface_distance_mm")
_VOLUMES: Final = ("first_cm3", "second_cm3", "difference_cm3")


@dataclass(frozen=True)
class MaskPair:
    """Two masks of one patient and sequence, of which at least one has something drawn.

    Parameters
    ----------
    patient_id, sequence : str
    first, second : ImageFiles
        Without a mask, nothing is drawn.
    on_mismatch : {"error", "resample"}
        What to do when the second lies on another grid than the first.
    tolerances_mm : tuple of float
        Of the normalized surface distance.
    """

    patient_id: str
    sequence: str
    first: ImageFiles
    second: ImageFiles
    on_mismatch: str
    tolerances_mm: tuple[float, ...]


@dataclass(frozen=True)
class _Compared:
    label: str
    row: dict[str, Any] | None = None
    failure: dict[str, str] | None = None


def pair_columns(tolerances_mm: Sequence[float]) -> list[str]:
    """Columns of the table of pairs.

    Examples
    --------
    >>> pair_columns([1.0])[2:7]
    ['dice', 'jaccard', 'hd95_mm', 'mean_surface_distance_mm', 'nsd_1mm']
    """
    nsd = [f"nsd_{t:g}mm" for t in tolerances_mm]
    return ["patient_id", "sequence", *_MEASURES, *nsd, *_VOLUMES, "remark"]


def compare_pairs(
    pairs: Sequence[MaskPair], tolerances_mm: Sequence[float], *, jobs: int = 0, progress: bool = True
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Compare every pair.

    Parameters
    ----------
    pairs : sequence of MaskPair
    tolerances_mm : sequence of float
        As those of the pairs.
    jobs : int
        Processes; 0 takes all cores.
    progress : bool

    Returns
    -------
    table : DataFrame
        One row a pair, in their order, by :func:`pair_columns`: volumes in cm3 by voxels, difference first
        minus second; ``remark`` says where a mask was resampled or one of the two is empty.
    failures : DataFrame
        Pairs that could not be compared.

    Examples
    --------
    >>> compare_pairs([], [1.0], jobs=1)[0].empty
    True
    """
    done = map_cases(_compare, pairs, jobs=jobs, ordered=True)
    results = list(track(done, "agreement", len(pairs)) if progress else done)
    table = pd.DataFrame([r.row for r in results if r.row is not None], columns=pair_columns(tolerances_mm))
    failures = [r.failure for r in results if r.failure is not None]
    return table, pd.DataFrame(failures, columns=FAILURE_COLUMNS)


def _compare(pair: MaskPair) -> _Compared:
    label = f"{pair.patient_id} {pair.sequence}"
    try:
        first, second, remark = _on_one_grid(pair)
        found = segmentation_metrics(second, first, tolerances_mm=pair.tolerances_mm).to_frame().iloc[0]
    except Exception as error:  # noqa: BLE001 - a fault of one pair must not stop the others
        return _Compared(label, failure=failure_row(pair.patient_id, pair.sequence, "agreement", error))
    row = {"patient_id": pair.patient_id, "sequence": pair.sequence, "remark": remark}
    row |= {name: found[name] for name in found.index if name in _MEASURES or name.startswith("nsd_")}
    one, two = found["reference_cm3"], found["predicted_cm3"]
    return _Compared(label, row=row | {"first_cm3": one, "second_cm3": two, "difference_cm3": one - two})


def _on_one_grid(pair: MaskPair) -> tuple[Mask, Mask, str]:
    """Both masks on one grid, without resampling if there is a way."""
    first, second = _drawn(pair.first, "first"), _drawn(pair.second, "second")
    if first is None and second is None:
        raise RegionAbsentError("nothing is drawn in either mask", "Leave the pair out.")
    if first is None or second is None:
        drawn = second if first is None else first
        assert drawn is not None
        empty = replace(drawn, array=np.zeros_like(drawn.array))
        return (
            (empty, drawn, "the first is empty") if first is None else (drawn, empty, "the second is empty")
        )
    first, second, resampled = on_one_grid(first, second, pair.on_mismatch)
    return first, second, "the second was resampled" if resampled else ""


def _drawn(files: ImageFiles, which: str) -> Mask | None:
    """A mask on its own grid; None where nothing is drawn."""
    if files.mask is None:
        return None
    try:
        own = knows_its_grid(files.mask) or not files.image.exists()
        return read_drawn(files, None if own else read_image(files.image, files.series))
    except RegionAbsentError:
        return None
    except MaskError as error:  # files of both sets often have one name
        raise MaskError(f"the {which} mask: {error.message}", error.remedy) from error
