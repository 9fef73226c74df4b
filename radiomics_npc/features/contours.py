"""Features of the same images under several contours of every tumor."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from radiomics_npc.cohort.cases import Cohort
from radiomics_npc.errors import CohortError
from radiomics_npc.features.extraction import extract_features
from radiomics_npc.features.repeated import REPEAT_FAILURE_COLUMNS, REPEAT_INDEX, RepeatedFeatures
from radiomics_npc.settings import FeatureSettings
from radiomics_npc.storage import FeatureStore

__all__ = ["extract_contours"]


def extract_contours(
    cohorts: Mapping[str, Cohort],
    settings: FeatureSettings | None = None,
    *,
    jobs: int = 0,
    store: FeatureStore | None = None,
) -> RepeatedFeatures:
    """Extract features once for every set of contours.

    Parameters
    ----------
    cohorts : mapping of str to Cohort
        By the name of the contours: the same images with other masks. Patients and
        sequences in all of them are taken.
    settings, jobs, store
        As in :func:`radiomics_npc.features.extraction.extract_features`.

    Returns
    -------
    RepeatedFeatures
        With the names of the contours in place of perturbations.

    Raises
    ------
    CohortError
        No cohorts, or no patient or sequence is in all of them.
    ConfigError
        The settings are wrong.

    Examples
    --------
    >>> from radiomics_npc.cohort.cases import Case
    >>> extract_contours({"drawn": Cohort((Case("1"),), sequences=("t1",))}, jobs=1)
    <RepeatedFeatures: 0 features of 0 patients, measured 0 times, 1 cases failed>
    """
    if not cohorts:
        raise CohortError("no contours to measure")
    first = next(iter(cohorts.values()))
    all_of_them = set.intersection(*(set(cohort.patient_ids) for cohort in cohorts.values()))
    sequences = tuple(s for s in first.sequences if all(s in c.sequences for c in cohorts.values()))
    if not all_of_them or not sequences:
        raise CohortError(
            f"the contours share no {'sequence' if all_of_them else 'patient'}",
            "Check that patient identifiers and sequences are written alike in all cohorts.",
        )
    tables, failures, reused = [], [], 0
    for name, cohort in cohorts.items():
        cases = tuple(case for case in cohort.cases if case.patient_id in all_of_them)
        part = Cohort(cases, sequences=sequences, on_mismatch=cohort.on_mismatch)
        table = extract_features(part, settings, jobs=jobs, store=store)
        tables.append(table.to_frame())
        failures.append(table.failures.assign(perturbation=name))
        reused += table.reused
    values = pd.concat(tables, keys=list(cohorts), names=REPEAT_INDEX[::-1]).swaplevel()
    there = set(values.index)
    order = [(who, name) for who in first.patient_ids for name in cohorts if (who, name) in there]
    return RepeatedFeatures(
        values.loc[order],
        pd.concat(failures, ignore_index=True)[REPEAT_FAILURE_COLUMNS],
        reused,
        any(cohort.simulated for cohort in cohorts.values()),
    )
