"""Every fault of a cohort at once: what was seen while reading it, and what its images hold."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from radiomics_npc.cohort.cases import Case, Cohort, ImageFiles
from radiomics_npc.cohort.findings import CheckReport, Finding
from radiomics_npc.errors import ImageError, MaskError
from radiomics_npc.imaging.reading import place_mask, read_image, read_mask
from radiomics_npc.imaging.volume import Mask, Volume
from radiomics_npc.parallel import map_cases
from radiomics_npc.progress import track

__all__ = ["check_cohort"]

#: Volumes outside of this are worth a look: the published tumors have 0.40 to 84.2 cm3.
_PLAUSIBLE_CM3 = (0.05, 200.0)


@dataclass(frozen=True)
class _Checked:
    """Findings of one case, labeled for the progress display."""

    label: str
    findings: tuple[Finding, ...]


def check_cohort(cohort: Cohort, *, jobs: int = 0) -> CheckReport:
    """Check a cohort as a whole: clinical table, outcome and every image.

    Each image is read once. A fault of one patient never hides another's.

    Parameters
    ----------
    cohort : Cohort
    jobs : int
        Processes; 0 takes all cores.

    Returns
    -------
    CheckReport
        Errors stop a study: sequence or file missing, unreadable image, empty
        mask, label not in the mask, different grids, image constant or not
        finite, and all errors found while reading. Warnings do not: mask at the
        border of the image, volume outside 0.05 to 200 cm3.

    Examples
    --------
    >>> from pathlib import Path
    >>> case = Case("007", {"t1": ImageFiles(Path("T1.nii"), Path("ROI-T1.nii"))})
    >>> check_cohort(Cohort((case,), sequences=("t1", "t2")), jobs=1).to_frame()[["sequence", "problem"]]
      sequence                    problem
    0       t1  ROI-T1.nii does not exist
    1       t1      T1.nii does not exist
    2       t2            missing sequence
    """
    findings = list(cohort.findings)
    if cohort.sequences:
        check = partial(_check_case, sequences=cohort.sequences, on_mismatch=cohort.on_mismatch)
        results = map_cases(check, cohort.cases, jobs=jobs)
        for checked in track(results, "check", len(cohort)):
            findings.extend(checked.findings)
    return CheckReport(findings)


def _check_case(case: Case, sequences: tuple[str, ...], on_mismatch: str) -> _Checked:
    findings = []
    for sequence in sequences:
        files = case.images.get(sequence)
        if files is None:
            findings.append(
                Finding.error(
                    "missing sequence",
                    "Add its files, leave the patient out, or take the sequence out of cohort.sequences.",
                    case.patient_id,
                    sequence,
                )
            )
        else:
            findings += _check_files(files, case.patient_id, sequence, on_mismatch)
    return _Checked(case.patient_id, tuple(findings))


def _check_files(files: ImageFiles, patient: str, sequence: str, on_mismatch: str) -> list[Finding]:
    findings: list[Finding] = []

    def report(severity: str, where: str, problem: str, remedy: str) -> None:
        findings.append(Finding(severity, problem, remedy, patient, sequence, where))  # type: ignore[arg-type]

    image, mask = None, None
    try:
        image = read_image(files.image)
        for fault in _image_faults(image):
            report("error", files.image.name, fault, "Export the image again.")
    except ImageError as error:
        report("error", files.image.name, error.message, error.remedy)
    if files.mask is None:
        report("error", "", "there is no mask", "Draw the tumor, or leave the sequence out of the study.")
        return findings
    try:
        mask = read_mask(files.mask, files.label)
        if image is not None:
            mask = place_mask(mask, image, on_mismatch)
            if _is_flat(image, mask):
                report(
                    "error",
                    files.mask.name,
                    "the image has one value only within the mask",
                    "Check both files.",
                )
    except MaskError as error:
        report("error", files.mask.name, error.message, error.remedy)
        return findings
    for fault in _mask_oddities(mask):
        report("warning", files.mask.name, fault, "Check the contour.")
    return findings


def _image_faults(image: Volume) -> list[str]:
    low, high = image.array.min(), image.array.max()
    # a value that is not finite always shows in the minimum or the maximum
    if not np.isfinite([float(low), float(high)]).all():
        return [f"{int((~np.isfinite(image.array)).sum())} voxels are not finite numbers"]
    return [f"the image has one value only ({low:g})"] if low == high else []


def _is_flat(image: Volume, mask: Mask) -> bool:
    values = image.array[mask.array]
    return bool(values.min() == values.max()) and bool(image.array.min() != image.array.max())


def _mask_oddities(mask: Mask) -> list[str]:
    found = []
    count = int(np.count_nonzero(mask.array))
    volume = count * mask.voxel_mm3 / 1000
    if not _PLAUSIBLE_CM3[0] <= volume <= _PLAUSIBLE_CM3[1]:
        found.append(f"implausible volume: {volume:.3g} cm3 ({count} voxels)")
    edges = {"slice": (0, mask.array), "row": (1, mask.array), "column": (2, mask.array)}
    touched = [name for name, (axis, array) in edges.items() if array.take([0, -1], axis=axis).any()]
    if touched:
        found.append(f"the mask touches the first or last {' and '.join(touched)} of the image")
    return found
