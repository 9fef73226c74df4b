"""Intensity landmarks learnt from the images of a study, or of a part of its patients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from radiomics_npc.cohort.cases import Cohort
from radiomics_npc.cohort.reading import read_cohort
from radiomics_npc.config import read_settings
from radiomics_npc.errors import CohortError, ConfigError
from radiomics_npc.features.landmark_images import measure_images
from radiomics_npc.features.table import FAILURE_COLUMNS
from radiomics_npc.imaging.landmarks import Landmarks
from radiomics_npc.imaging.nyul import ImageLandmarks, join_landmarks
from radiomics_npc.landmark_leak import expected_held_out
from radiomics_npc.settings import StudySettings

__all__ = ["FittedLandmarks", "write_landmarks"]


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
    if training and settings.validation.design != "temporal":
        raise ConfigError(
            "only a temporal validation has patients who are never held out",
            "Set validation.design: temporal, or name other patients.",
        )
    if training:
        late = set(expected_held_out(settings, cohort))
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
