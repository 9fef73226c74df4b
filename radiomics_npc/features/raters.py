"""Two raters who contoured the same patients."""

from __future__ import annotations

from radiomics_npc.cohort.cases import Cohort
from radiomics_npc.errors import CohortError
from radiomics_npc.features.contours import extract_contours
from radiomics_npc.features.repeated import RepeatedFeatures
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
    if not both or not set(cohort_a.sequences) & set(cohort_b.sequences):
        raise CohortError(
            f"the two raters share no {'sequence' if both else 'patient'}",
            "Check that patient identifiers and sequences are written alike in both cohorts.",
        )
    return extract_contours(
        dict(zip(_RATERS, (cohort_a, cohort_b), strict=True)), settings, jobs=jobs, store=store
    )
