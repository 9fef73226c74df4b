"""Intensity landmarks refused where they were learnt from patients who are held out.

A standard scale is learnt from images, so that whoever is held out must have no
part in it. Cross-validation holds everybody out in turn: there landmarks come
from other patients. A temporal validation may learn them from the early ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import pandas as pd

from radiomics_npc.cohort.cases import Cohort
from radiomics_npc.cohort.findings import Finding
from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError, ConfigError
from radiomics_npc.features.landmark_images import measure_images
from radiomics_npc.imaging.landmarks import Landmarks
from radiomics_npc.settings import StudySettings
from radiomics_npc.study_table import held_out_by, split_design

__all__ = ["LandmarkTrace", "expected_held_out", "held_out_patients", "patients_in_landmarks"]

_REMEDY = (
    "Learn landmarks from other patients (or from the early ones, with validation.design: temporal), or set"
    " features.normalize to body, percentile or reference, which learn nothing from other patients."
)


def patients_in_landmarks(
    cohort: Cohort, landmarks: Landmarks | Path | None, *, jobs: int = 0
) -> frozenset[str]:
    """Patients of whom an image is among those that landmarks were learnt from.

    Parameters
    ----------
    cohort : Cohort
    landmarks : Landmarks or their file, optional
        Without any, nobody is.
    jobs : int
        Processes; 0 takes all cores. Every image is read.

    Returns
    -------
    frozenset of str
        Found by the content of their images, so another name or format does not hide
        anybody; an image that cannot be read is not found.

    Examples
    --------
    >>> patients_in_landmarks(Cohort(cases=()), Landmarks({}, key="00"), jobs=1)
    frozenset()
    """
    if landmarks is None:
        return frozenset()
    known = Landmarks.read(landmarks) if isinstance(landmarks, Path) else landmarks
    images = measure_images(cohort.cases, cohort.sequences, bias_correction=None, jobs=jobs)
    return frozenset(
        image.patient_id for image in images if image.found is not None and known.knows(image.found.digest)
    )


def held_out_patients(settings: StudySettings, y: Outcome, by: pd.Series | None) -> list[str]:
    """Patients on whom a study validates models.

    Parameters
    ----------
    settings : StudySettings
    y : Outcome
        Of those who are modelled.
    by : Series, optional
        As :func:`radiomics_npc.study_table.held_out_by` gives it.

    Returns
    -------
    list of str
        Everybody, but for a temporal validation without bootstrap, permutation test
        and learning curve: these take the early patients apart as well. Nobody
        where the study fits no models.

    Examples
    --------
    >>> from radiomics_npc.config import read_settings
    >>> study = {"cohort": {"path": "data", "outcome": {
    ...     "time": "m", "unit": "months", "event": "e", "coding": "0/1"}}}
    >>> y = Outcome([5, 6, 7], [1, 0, 1], ["a", "b", "c"])
    >>> held_out_patients(read_settings(study), y, None)
    ['a', 'b', 'c']
    >>> later = read_settings(study | {"validation": {"design": "temporal", "by": "year", "cut": 2020}})
    >>> held_out_patients(later, y, pd.Series({"a": 2018, "b": 2021, "c": 2019}))
    ['b']
    """
    if settings.models is None:
        return []
    everybody = [str(who) for who in y.patient_id]
    options = settings.validation
    further = options.bootstrap or options.permutations or options.learning_curve
    design = split_design(options, by)
    if options.design != "temporal" or design is None or further:
        return everybody
    return [everybody[k] for task in design.tasks(y, settings.seed) for k in task.test]


def expected_held_out(settings: StudySettings, cohort: Cohort) -> list[str]:
    """Those whom the study will hold out, as far as known before the features are."""
    if settings.models is None or cohort.outcome is None:
        return []
    endpoint = settings.models.endpoint
    y = cohort.outcome if endpoint is None else cohort.outcomes[endpoint]
    by = held_out_by(settings, cohort, pd.Index(y.patient_id, dtype=object))
    return held_out_patients(settings, y, by)


class LandmarkTrace:
    """Whether the landmarks of a study were learnt from patients whom it holds out.

    Parameters
    ----------
    settings : StudySettings
    cohort : Cohort
        All images are read once, when they are first asked for; none without landmarks.

    Examples
    --------
    >>> from radiomics_npc.config import read_settings
    >>> settings = read_settings({"cohort": {"path": "data"}, "models": None, "nomogram": None})
    >>> trace = LandmarkTrace(settings, Cohort(cases=()))
    >>> trace.seen, trace.findings()
    (frozenset(), [])
    """

    def __init__(self, settings: StudySettings, cohort: Cohort) -> None:
        self.settings, self.cohort = settings, cohort

    @cached_property
    def seen(self) -> frozenset[str]:
        """Patients whose images the landmarks were learnt from."""
        wanted = self.settings.features
        landmarks = None if wanted is None else wanted.landmarks
        return patients_in_landmarks(self.cohort, landmarks, jobs=self.settings.jobs)

    def findings(self) -> list[Finding]:
        """What a check says, before features are extracted; nothing where all is well."""
        if not self.seen:
            return []
        try:
            held_out = expected_held_out(self.settings, self.cohort)
        except (CohortError, ConfigError):
            return []  # a fault of the design: the fit names it, and looks again
        try:
            self._require_unseen(held_out, self.settings.validation.design)
        except ConfigError as error:
            return [Finding.error(error.message, error.remedy, where="features.landmarks")]
        return []

    def require_unseen(self, y: Outcome, by: pd.Series | None) -> None:
        """Refuse to validate models on patients whom the landmarks have seen.

        Parameters
        ----------
        y : Outcome
            Of those who are modelled.
        by : Series, optional
            As :func:`radiomics_npc.study_table.held_out_by` gives it.

        Raises
        ------
        ConfigError
            With numbers, without patients.
        """
        if self.seen:
            self._require_unseen(held_out_patients(self.settings, y, by), self.settings.validation.design)

    def require_new(self) -> None:
        """Refuse to validate a finished model on any patient whom the landmarks have seen.

        Raises
        ------
        ConfigError
            With numbers, without patients.
        """
        self._require_unseen(self.cohort.patient_ids, "validation of a model")

    def _require_unseen(self, held_out: Sequence[str], why: str) -> None:
        leaked = len(self.seen & set(held_out))
        if leaked:
            raise ConfigError(
                f"the intensity landmarks were learnt from images of {leaked} of the {len(held_out)} patients"
                f" who are held out ({why.replace('_', ' ')})",
                _REMEDY,
            )
