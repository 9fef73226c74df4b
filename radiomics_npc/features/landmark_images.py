"""Landmarks, or hashes, of the images of many patients: one process an image."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from radiomics_npc.cohort.cases import Case, ImageFiles
from radiomics_npc.cohort.regions import split_name
from radiomics_npc.features.case_job import describe_failure
from radiomics_npc.imaging.landmarks import image_digest
from radiomics_npc.imaging.nyul import ImageLandmarks, image_landmarks
from radiomics_npc.imaging.reading import read_image
from radiomics_npc.parallel import map_cases
from radiomics_npc.progress import track

__all__ = ["MeasuredImage", "measure_images"]


@dataclass(frozen=True)
class MeasuredImage:
    """One sequence of one patient: its landmarks, or why there are none.

    Parameters
    ----------
    patient_id, sequence : str
    found : ImageLandmarks, optional
        Without intensities where only the hash was asked for.
    failure : dict, optional
        As :func:`radiomics_npc.features.case_job.describe_failure` gives it.
    """

    patient_id: str
    sequence: str
    found: ImageLandmarks | None = None
    failure: dict[str, str] | None = None

    @property
    def label(self) -> str:
        """Shown by the progress bar."""
        return f"{self.patient_id} {self.sequence}"


@dataclass(frozen=True)
class _Job:
    patient_id: str
    sequence: str
    files: ImageFiles
    bias_correction: bool | None


def measure_images(
    cases: Iterable[Case], sequences: Sequence[str], *, bias_correction: bool | None, jobs: int = 0
) -> list[MeasuredImage]:
    """Landmarks of every image, each once however many regions are measured in it.

    Parameters
    ----------
    cases : iterable of Case
    sequences : sequence of str
    bias_correction : bool, optional
        Whether images are corrected first; None takes their hashes only, which is quicker.
    jobs : int
        Processes; 0 takes all cores.

    Returns
    -------
    list of MeasuredImage
        In the order of cases and sequences. A fault of one image does not stop the others.

    Examples
    --------
    >>> from pathlib import Path
    >>> case = Case("007", {"t1": ImageFiles(Path("T1.nii"))})
    >>> [image.failure["message"] for image in measure_images([case], ["t1"], bias_correction=None, jobs=1)]
    ['T1.nii does not exist']
    """
    work: dict[tuple[str, str], _Job] = {}
    for case in cases:
        for name in sequences:
            place = (case.patient_id, split_name(name)[0])
            if name in case.images and place not in work:
                work[place] = _Job(*place, case.images[name], bias_correction)
    found = list(track(map_cases(_measure, work.values(), jobs=jobs), "landmarks", len(work)))
    order = {place: number for number, place in enumerate(work)}
    return sorted(found, key=lambda image: order[image.patient_id, image.sequence])


def _measure(job: _Job) -> MeasuredImage:
    """Do one image in a worker; its errors become its result."""
    stage = "read"
    try:
        volume = read_image(job.files.image, job.files.series)
        stage = "landmarks"
        if job.bias_correction is None:
            found = ImageLandmarks((), image_digest(volume))
        else:
            found = image_landmarks(volume, bias_correction=job.bias_correction)
        return MeasuredImage(job.patient_id, job.sequence, found)
    except Exception as error:  # noqa: BLE001 - a fault of one image must not stop the others
        return MeasuredImage(job.patient_id, job.sequence, failure=describe_failure(error, stage))
