"""Predicted masks against drawn ones of the same patients.

References
----------
Dice LR. Ecology 1945;26:297-302. Nikolov S et al. J Med Internet Res 2021;23:e26151 (normalized
surface distance).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from radiomics_npc.cohort.cases import Cohort, ImageFiles
from radiomics_npc.errors import RadiomicsNPCError
from radiomics_npc.imaging.reading import place_mask, read_image, read_pair
from radiomics_npc.imaging.volume import Mask
from radiomics_npc.parallel import map_cases
from radiomics_npc.progress import track
from radiomics_npc.segmentation.metrics import segmentation_metrics

__all__ = ["drawn_contours", "mask_agreement"]

_TOLERANCES_MM = (1.0, 2.0)
_MEASURES = (
    "dice", "hd95_mm", "mean_surface_distance_mm", "nsd_1mm", "nsd_2mm", "predicted_cm3", "reference_cm3",
    "volume_error_percent",
)  # fmt: skip


@dataclass(frozen=True)
class _Pair:
    """One sequence of one patient for a worker process."""

    patient_id: str
    sequence: str
    drawn: ImageFiles
    predicted: ImageFiles
    on_mismatch: str


@dataclass(frozen=True)
class _Compared:
    label: str
    row: dict[str, Any]


def drawn_contours(cohort: Cohort) -> Cohort | None:
    """The patients of a cohort whose masks of all sequences are drawn; None if there is nobody.

    Examples
    --------
    >>> drawn_contours(Cohort(cases=())) is None
    True
    """
    cases = tuple(
        case
        for case in cohort.cases
        if all(s in case.images and case.images[s].mask is not None for s in cohort.sequences)
    )
    part = Cohort(
        cases, sequences=cohort.sequences, on_mismatch=cohort.on_mismatch, simulated=cohort.simulated
    )
    return part if cases and cohort.sequences else None


def mask_agreement(
    predicted: Cohort, drawn: Cohort, *, empty: Collection[tuple[str, str]] = (), jobs: int = 0
) -> pd.DataFrame:
    """How far every predicted mask is from the one that was drawn.

    Parameters
    ----------
    predicted, drawn : Cohort
        The same images with either mask; patients and sequences that have both are compared.
    empty : collection of (str, str)
        Patients and sequences in which nothing was found. These are compared as well, though there is no
        predicted mask.
    jobs : int
        Processes; 0 takes all cores.

    Returns
    -------
    DataFrame
        One row a patient and sequence: patient_id, sequence, dice, hd95_mm,
        mean_surface_distance_mm, nsd_1mm, nsd_2mm, predicted_cm3, reference_cm3 (drawn),
        volume_error_percent; simulated, if so. An empty prediction has Dice 0 and infinite distances.

    Examples
    --------
    >>> mask_agreement(Cohort(cases=()), Cohort(cases=()), jobs=1).empty
    True
    """
    with_mask = {case.patient_id: case.images for case in predicted.cases}
    work = [
        _Pair(case.patient_id, s, case.images[s], with_mask[case.patient_id][s], drawn.on_mismatch)
        for case in drawn.cases
        for s in drawn.sequences
        if case.images[s].mask is not None
        and case.patient_id in with_mask
        and s in with_mask[case.patient_id]
        and (with_mask[case.patient_id][s].mask is not None or (case.patient_id, s) in empty)
    ]
    done = track(map_cases(_compare, work, jobs=jobs, ordered=True), "agreement", len(work))
    table = pd.DataFrame([found.row for found in done], columns=["patient_id", "sequence", *_MEASURES])
    return table.assign(simulated=True) if drawn.simulated else table


def _compare(pair: _Pair) -> _Compared:
    """Measures of one pair of masks; unknown where a file cannot be read."""
    row: dict[str, Any] = {"patient_id": pair.patient_id, "sequence": pair.sequence}
    try:
        image, drawn = read_pair(pair.drawn, pair.on_mismatch)
        mask = replace(drawn, array=np.zeros_like(drawn.array))
        if pair.predicted.mask is not None:
            file = read_image(pair.predicted.mask)  # read_mask would refuse an empty one
            mask = place_mask(Mask(file.array > 0, file.spacing_mm, file.origin_mm, file.direction), image)
        found = segmentation_metrics(mask, drawn, tolerances_mm=_TOLERANCES_MM)
        measured = found.to_frame().iloc[0]
        row |= {name: measured[name] for name in _MEASURES}
    except RadiomicsNPCError:  # said by the check, which reads the same files
        row |= dict.fromkeys(_MEASURES, np.nan)
    return _Compared(f"{pair.patient_id} {pair.sequence}", row)
