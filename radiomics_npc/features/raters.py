"""Two raters who contoured the same patients."""

from __future__ import annotations

import pandas as pd

from radiomics_npc.cohort.cases import Cohort
from radiomics_npc.errors import CohortError
from radiomics_npc.features.extraction import extract_features
from radiomics_npc.features.repeated import REPEAT_FAILURE_COLUMNS, REPEAT_INDEX, RepeatedFeatures
from radiomics_npc.settings import FeatureSettings
from radiomics_npc.storage import FeatureStore

__all__ = ["compare_raters"]

_RATERS = ("rater_1", "rater_2")


def compare_raters(
    cohort_a: Cohort,
    cohort_b: Cohort,
    settings: FeatureSettings | None = None,
    *,
    jobs: int = 0,
    store: FeatureStore | None = None,
) -> RepeatedFeatures:
    """Extract the features of patients whom two raters contoured.

    Parameters
    ----------
    cohort_a, cohort_b : Cohort
        The same images with the masks of either rater. Patients in both are
        taken, with the sequences that both cohorts ask for.
    settings, jobs, store
        As in :func:`radiomics_npc.features.extraction.extract_features`.

    Returns
    -------
    RepeatedFeatures
        With ``rater_1`` and ``rater_2`` in place of perturbations. Its
        ``stability("2,1")`` is the agreement of raters like these two,
        ``stability("3,1")`` their consistency.

    Raises
    ------
    CohortError
        No patient, or no sequence, is in both cohorts.
    ConfigError
        The settings are wrong.

    Examples
    --------
    >>> compare_raters(Cohort(cases=()), Cohort(cases=()))
    Traceback (most recent call last):
    ...
    radiomics_npc.errors.CohortError: the two raters share no patient. Check that patient identifiers and
    sequences are written alike in both cohorts.
    """
    both = set(cohort_a.patient_ids) & set(cohort_b.patient_ids)
    sequences = tuple(name for name in cohort_a.sequences if name in cohort_b.sequences)
    if not both or not sequences:
        raise CohortError(
            f"the two raters share no {'sequence' if both else 'patient'}",
            "Check that patient identifiers and sequences are written alike in both cohorts.",
        )
    tables, failures, reused = [], [], 0
    for name, cohort in zip(_RATERS, (cohort_a, cohort_b), strict=True):
        cases = tuple(case for case in cohort.cases if case.patient_id in both)
        part = Cohort(cases, sequences=sequences, on_mismatch=cohort.on_mismatch)
        table = extract_features(part, settings, jobs=jobs, store=store)
        tables.append(table.to_frame())
        failures.append(table.failures.assign(perturbation=name))
        reused += table.reused
    values = pd.concat(tables, keys=_RATERS, names=REPEAT_INDEX[::-1]).swaplevel()
    there = set(values.index)
    order = [(who, name) for who in cohort_a.patient_ids for name in _RATERS if (who, name) in there]
    return RepeatedFeatures(
        values.loc[order],
        pd.concat(failures, ignore_index=True)[REPEAT_FAILURE_COLUMNS],
        reused,
        cohort_a.simulated or cohort_b.simulated,
    )
