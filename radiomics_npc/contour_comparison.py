"""Predicted masks against drawn ones of the same patients.

References
----------
Dice LR. Ecology 1945;26:297-302. Nikolov S et al. J Med Internet Res 2021;23:e26151 (normalized
surface distance).
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pandas as pd

from radiomics_npc.cohort.cases import Cohort
from radiomics_npc.dataset.mask_pairs import MaskPair, compare_pairs

__all__ = ["drawn_contours", "mask_agreement"]

_TOLERANCES_MM = (1.0, 2.0)
_MEASURES = (
    "dice", "hd95_mm", "mean_surface_distance_mm", "nsd_1mm", "nsd_2mm", "predicted_cm3", "reference_cm3",
    "volume_error_percent",
)  # fmt: skip


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
        volume_error_percent; simulated, if so. An empty prediction has Dice 0 and infinite distances;
        what could not be read has no numbers.

    Examples
    --------
    >>> mask_agreement(Cohort(cases=()), Cohort(cases=()), jobs=1).empty
    True
    """
    with_mask = {case.patient_id: case.images for case in predicted.cases}
    pairs = [
        MaskPair(case.patient_id, s, case.images[s], found[s], drawn.on_mismatch, _TOLERANCES_MM)
        for case in drawn.cases
        for s in drawn.sequences
        if case.images[s].mask is not None
        and s in (found := with_mask.get(case.patient_id, {}))
        and (found[s].mask is not None or (case.patient_id, s) in empty)
    ]
    table, _ = compare_pairs(pairs, _TOLERANCES_MM, jobs=jobs)  # what fails is said by the check
    table = table.rename(columns={"first_cm3": "reference_cm3", "second_cm3": "predicted_cm3"})
    table["volume_error_percent"] = 100 * (table["predicted_cm3"] / table["reference_cm3"] - 1)
    # nothing drawn is a fault of the data and no score of the prediction
    table.loc[table["reference_cm3"] == 0, list(_MEASURES)] = np.nan
    asked = pd.DataFrame([(p.patient_id, p.sequence) for p in pairs], columns=["patient_id", "sequence"])
    table = asked.merge(table, how="left", validate="1:1")[["patient_id", "sequence", *_MEASURES]]
    return table.assign(simulated=True) if drawn.simulated else table
