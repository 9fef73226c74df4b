"""Intensity landmarks of a study: learnt from some of its patients, refused where those are held out.

A standard scale is learnt from images, so that whoever is held out must have no
part in it. Cross-validation holds everybody out in turn: there landmarks come
from other patients. A temporal validation may learn them from the early ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from radiomics_npc.cohort.cases import Cohort
from radiomics_npc.cohort.findings import Finding
from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.cohort.reading import read_cohort
from radiomics_npc.config import read_settings
from radiomics_npc.errors import CohortError, ConfigError
from radiomics_npc.features.landmark_images import measure_images
from radiomics_npc.features.table import FAILURE_COLUMNS
from radiomics_npc.imaging.landmarks import Landmarks
from radiomics_npc.imaging.nyul import ImageLandmarks, join_landmarks
from radiomics_npc.settings import StudySettings
from radiomics_npc.study_table import held_out_by, split_design

__all__ = [
    "FittedLandmarks",
    "find_leak",
    "held_out_patients",
    "patients_in_landmarks",
    "require_unseen",
    "write_landmarks",
]

_REMEDY = (
    "Learn landmarks from other patients (or from the early ones, with validation.design: temporal), or set"
    " features.normalize to body, percentile or reference, which learn nothing from other patients."
)


# -- learning ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class FittedLandmarks:
    """What :func:`write_landmarks` wrote.

    Parameters
    ----------
    landmarks : Landmarks
    patients : int
        From whom at least one image was taken.
    failures : DataFrame
        patient_id, sequence, stage, error, message, remedy of the images that were left out.
    """

    landmarks: Landmarks
    patients: int
    failures: pd.DataFrame

    def to_frame(self) -> pd.DataFrame:
        """sequence, percentile, standard, images, simulated."""
        return self.landmarks.to_frame()

    def _repr_html_(self) -> str:
        return f"<p>{self.patients} patients, {len(self.failures)} images failed</p>" + (
            self.landmarks._repr_html_()
        )


def write_landmarks(
    study: Path | str | StudySettings,
    out: Path | str,
    *,
    patients: Path | str | Sequence[str] | None = None,
    keep: Mapping[str, Sequence[str]] | None = None,
    training: bool = False,
    jobs: int | None = None,
) -> FittedLandmarks:
    """Learn intensity landmarks from the images of a study, or of a part of its patients, and write them.

    Parameters
    ----------
    study : path or StudySettings
        Its cohort and sequences, and features.bias_correction, are taken.
    out : path
        A JSON file, for features.landmarks.
    patients : path or sequence of str, optional
        These only: identifiers, or a text or CSV file with one in each line (first column).
    keep : mapping of str to sequence of str, optional
        Those only who have one of these values in a column of the clinical table.
    training : bool
        Only patients who are never held out by the study's temporal validation.
    jobs : int, optional
        Processes; by default as the study says.

    Returns
    -------
    FittedLandmarks
        Images that failed are listed, and the others taken.

    Raises
    ------
    ConfigError
        The study is wrong, a column does not exist, everybody is held out, or nobody is left.
    CohortError
        A patient named is not in the cohort.
    """
    settings = study if isinstance(study, StudySettings) else read_settings(study)
    cohort = read_cohort(settings.cohort)
    cases = [case for case in cohort.cases if case.patient_id in _chosen(cohort, patients, keep)]
    if training:
        late = set(_held_out(settings, cohort))
        cases = [case for case in cases if case.patient_id not in late]
    bias_correction = settings.features is not None and settings.features.bias_correction
    count = settings.jobs if jobs is None else jobs
    images = measure_images(cases, cohort.sequences, bias_correction=bias_correction, jobs=count)
    if not images:
        raise ConfigError("no image is left to learn landmarks from", "Choose other patients.")
    by_sequence: dict[str, list[ImageLandmarks]] = {image.sequence: [] for image in images}
    for image in images:
        by_sequence[image.sequence] += [] if image.found is None else [image.found]
    made = join_landmarks(by_sequence, bias_correction=bias_correction, simulated=cohort.simulated)
    made.write(out)
    failed = [
        {"patient_id": image.patient_id, "sequence": image.sequence} | image.failure
        for image in images
        if image.failure is not None
    ]
    patients_taken = {image.patient_id for image in images if image.found is not None}
    return FittedLandmarks(made, len(patients_taken), pd.DataFrame(failed, columns=FAILURE_COLUMNS))


def _chosen(
    cohort: Cohort,
    patients: Path | str | Sequence[str] | None,
    keep: Mapping[str, Sequence[str]] | None,
) -> set[str]:
    found = set(cohort.patient_ids)
    if patients is not None:
        wanted = _named(Path(patients)) if isinstance(patients, Path | str) else set(map(str, patients))
        if unknown := len(wanted - found):
            raise CohortError(
                f"{unknown} of the patients named are not in the cohort", "Check their identifiers."
            )
        found = wanted
    for column, values in (keep or {}).items():
        table = cohort.clinical
        if table is None or column not in table.columns:
            raise ConfigError(
                f"the clinical table has no column {column}", "Name it under cohort.clinical.extra."
            )
        text = table[column].astype(object).map(lambda cell: str(cell).removesuffix(".0"))
        found &= set(table.index[text.isin([str(value) for value in values])].astype(str))
    return found


def _named(path: Path) -> set[str]:
    """Identifiers from the first column of a file."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError):
        raise ConfigError(f"{path.name} cannot be read", "Give one patient a line.") from None
    cells = [line.split(",")[0].strip().strip('"') for line in lines]
    return {cell for cell in cells if cell and cell.casefold() not in ("patient_id", "id")}


# -- refusing ----------------------------------------------------------------------------------------


def patients_in_landmarks(cohort: Cohort, landmarks: Landmarks, *, jobs: int = 0) -> frozenset[str]:
    """Patients of whom an image is among those that landmarks were learnt from.

    Parameters
    ----------
    cohort : Cohort
    landmarks : Landmarks
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
    images = measure_images(cohort.cases, cohort.sequences, bias_correction=None, jobs=jobs)
    return frozenset(
        image.patient_id
        for image in images
        if image.found is not None and landmarks.knows(image.found.digest)
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


def _held_out(settings: StudySettings, cohort: Cohort) -> list[str]:
    """Those whom the study will hold out, as far as known before the features are."""
    if settings.models is None or cohort.outcome is None:
        return []
    endpoint = settings.models.endpoint
    y = cohort.outcome if endpoint is None else cohort.outcomes[endpoint]
    by = held_out_by(settings, cohort, pd.Index(y.patient_id, dtype=object))
    return held_out_patients(settings, y, by)


def require_unseen(seen: frozenset[str], held_out: Sequence[str], why: str) -> None:
    """Refuse landmarks that were learnt from patients who are held out.

    Parameters
    ----------
    seen : frozenset of str
        As :func:`patients_in_landmarks` gives it.
    held_out : sequence of str
    why : str
        What holds them out, for the message.

    Raises
    ------
    ConfigError
        With numbers, without patients.

    Examples
    --------
    >>> require_unseen(frozenset("ab"), ["c"], "temporal validation")
    >>> require_unseen(frozenset("ab"), ["a", "c"], "temporal validation")
    Traceback (most recent call last):
    ...
    radiomics_npc.errors.ConfigError: the intensity landmarks were learnt from images of 1 of the 2 patients
    who are held out (temporal validation). Learn ...
    """
    leaked = len(seen & set(held_out))
    if leaked:
        raise ConfigError(
            f"the intensity landmarks were learnt from images of {leaked} of the {len(held_out)} patients"
            f" who are held out ({why})",
            _REMEDY,
        )


def find_leak(settings: StudySettings, cohort: Cohort, seen: frozenset[str]) -> list[Finding]:
    """What a check says of landmarks learnt from patients who will be held out; nothing where all is well.

    Parameters
    ----------
    settings : StudySettings
    cohort : Cohort
    seen : frozenset of str
        As :func:`patients_in_landmarks` gives it.
    """
    try:
        held_out = _held_out(settings, cohort)
    except (CohortError, ConfigError):
        return []  # a fault of the design: the fit names it, and looks again
    try:
        require_unseen(seen, held_out, settings.validation.design.replace("_", " "))
    except ConfigError as error:
        return [Finding.error(error.message, error.remedy, where="features.landmarks")]
    return []
