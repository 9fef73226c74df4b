"""Every fault of a cohort at once: what was seen while reading it, and what its images hold."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from radiomics_npc.cohort.cases import Case, Cohort, ImageFiles
from radiomics_npc.cohort.findings import CheckReport, Finding
from radiomics_npc.cohort.outliers import check_clinical
from radiomics_npc.cohort.regions import region_name, split_name
from radiomics_npc.errors import ImageError, MaskError, RegionAbsentError
from radiomics_npc.imaging.dicom import is_series
from radiomics_npc.imaging.duplicates import find_duplicates, voxel_digest
from radiomics_npc.imaging.image_quality import measure_quality
from radiomics_npc.imaging.reading import place_mask, read_drawn, read_image
from radiomics_npc.imaging.volume import Mask, Volume
from radiomics_npc.parallel import map_cases
from radiomics_npc.progress import track

__all__ = ["check_cohort"]

#: Volumes outside of this are worth a look: the published tumors have 0.40 to 84.2 cm3.
_PLAUSIBLE_CM3 = (0.05, 200.0)
#: No tumor fills more of its image; a mask of -1 (255 in signed bytes) on 0, or of 0 on 1, does.
_MOST_INSIDE = 0.5
#: A mask that gains or loses more than this share by resampling was cut, or is thinner than the slices.
_RESAMPLING_LOSS = 0.1


@dataclass(frozen=True)
class _Checked:
    """Findings of one case, labeled for the progress display."""

    label: str
    findings: tuple[Finding, ...]
    absent: tuple[str, ...] = ()
    quality: tuple[dict[str, Any], ...] = ()
    digests: tuple[tuple[str, str], ...] = ()


def check_cohort(
    cohort: Cohort, *, jobs: int = 0, missing_masks: str = "error", masks_from: str | None = None
) -> CheckReport:
    """Check a cohort as a whole: clinical table, outcome and every image.

    Each image is read once. A fault of one patient never hides another's.

    Parameters
    ----------
    cohort : Cohort
    jobs : int
        Processes; 0 takes all cores.
    missing_masks : {"error", "predict"}
        An image without mask is an error, or will be segmented: then it is counted.
    masks_from : str, optional
        The sequence whose masks will be moved to those without one: they are counted, too.

    Returns
    -------
    CheckReport
        Errors stop a study: sequence or file missing, unreadable image, empty
        mask, label not in the mask, different grids, image constant or not
        finite, and all errors found while reading. Warnings do not: mask at the
        border of the image, volume outside 0.05 to 200 cm3, or changed by more
        than 10% by resampling; an image of poor quality (see
        :func:`radiomics_npc.imaging.image_quality.measure_quality`) or one that
        occurs twice; outliers and repeated rows of the clinical table. ``image_quality``
        holds the numbers of every image.

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
    findings = [*cohort.findings, *check_clinical(cohort)]
    quality: list[dict[str, Any]] = []
    if cohort.sequences:
        predicted = missing_masks == "predict"
        check = partial(
            _check_case,
            sequences=cohort.sequences,
            on_mismatch=cohort.on_mismatch,
            predicted=predicted,
            masks_from=masks_from,
        )
        results = map_cases(check, cohort.cases, jobs=jobs)
        absent: Counter[str] = Counter()
        digests = []
        for checked in track(results, "check", len(cohort)):
            findings.extend(checked.findings)
            absent.update(checked.absent)
            quality.extend(checked.quality)
            digests += [(checked.label, sequence, digest) for sequence, digest in checked.digests]
        findings += find_duplicates(digests)
        for name in (name for name in cohort.sequences if absent[name]):
            problem = f"{absent[name]} of {len(cohort)} patients do not have this region"
            findings.append(Finding("info", problem, sequence=name))
        findings += _masks_to_predict(cohort) if predicted else []
        findings += _masks_to_move(cohort, masks_from) if masks_from is not None else []
    table = pd.DataFrame(quality).sort_values(["patient_id", "sequence"]) if quality else None
    if table is not None and cohort.simulated:
        table = table.assign(simulated=True)
    return CheckReport(findings, table)


def _masks_to_predict(cohort: Cohort) -> list[Finding]:
    """How many images of each sequence will get a mask."""
    found = []
    for sequence in cohort.sequences:
        files = [case.images[sequence] for case in cohort.cases if sequence in case.images]
        count = sum(pair.mask is None for pair in files)
        if count:
            problem = f"{count} of {len(files)} images have no mask: it will be predicted"
            remedy = "Look at every predicted contour before results are used."
            found.append(Finding("info", problem, remedy, sequence=sequence))
    return found


def _masks_to_move(cohort: Cohort, masks_from: str) -> list[Finding]:
    """How many images of each sequence will get the mask of another one."""
    counts = Counter(
        name for case in cohort.cases for name in cohort.sequences if _is_moved(case, name, masks_from)
    )
    return [
        Finding(
            "info",
            f"{counts[name]} of {len(cohort)} images have no mask: that of {masks_from} will be moved",
            "Look at every moved contour before results are used.",
            sequence=name,
        )
        for name in cohort.sequences
        if counts[name]
    ]


def _is_moved(case: Case, name: str, masks_from: str | None) -> bool:
    """Whether a sequence has no mask and will get that of another one, of the same region."""
    files, (sequence, region) = case.images.get(name), split_name(name)
    if files is None or files.mask is not None or masks_from in (None, sequence):
        return False
    source = case.images.get(region_name(str(masks_from), region))
    return source is not None and source.mask is not None


def _check_case(
    case: Case,
    sequences: tuple[str, ...],
    on_mismatch: str,
    predicted: bool = False,
    masks_from: str | None = None,
) -> _Checked:
    findings, absent = [], []
    rows: dict[str, dict[str, Any]] = {}
    digests: dict[str, str] = {}
    for sequence in sequences:
        files = case.images.get(sequence)
        seen: dict[str, Any] = {}
        try:
            try:
                moved = _is_moved(case, sequence, masks_from)
                found = _check_files(files, on_mismatch, predicted or moved, seen)
            except RegionAbsentError:
                absent.append(sequence)
                found = []
            base = split_name(sequence)[0]
            if files is not None and "image" in seen and base not in rows:  # regions share their image
                quality = measure_quality(seen["image"], seen.get("mask"))
                rows[base] = {"patient_id": case.patient_id, "sequence": base, **quality.to_row()}
                digests[base] = voxel_digest(seen["image"])
                remedy = "Look at the image; leave the series out if the tumor cannot be told."
                found += [Finding.warning(p, remedy, where=files.image.name) for p in quality.oddities()]
        except Exception as error:  # noqa: BLE001
            # whatever a file does to a reader (memory, permissions), the other patients are still checked
            problem = f"could not be checked ({type(error).__name__})"
            found = [Finding.error(problem, "Open the files by hand; are they readable and whole?")]
        findings += [replace(f, patient_id=case.patient_id, sequence=sequence) for f in found]
    return _Checked(
        case.patient_id, tuple(findings), tuple(absent), tuple(rows.values()), tuple(digests.items())
    )


def _check_files(
    files: ImageFiles | None, on_mismatch: str, predicted: bool, seen: dict[str, Any]
) -> list[Finding]:
    """Findings of one pair of files; patient and sequence are added by the caller.

    A sound image, and the mask on it, are left in ``seen``.

    Raises
    ------
    RegionAbsentError
        The patient does not have a region that need not be there, and nothing else is wrong.
    """
    if files is None:
        remedy = "Add its files, leave the patient out, or take the sequence out of cohort.sequences."
        return [Finding.error("missing sequence", remedy)]
    image, findings = _check_image(files)
    if image is not None and not findings:
        seen["image"] = image
    if files.mask is None and predicted:
        return findings
    if files.mask is None and files.optional and not findings:
        raise RegionAbsentError("there is no mask of this region")
    if files.mask is None:
        remedy = "Draw the tumor, predict the masks (segmentation), or leave the sequence out of the study."
        return [*findings, Finding.error("there is no mask", remedy)]
    name = files.mask.name
    if image is None and is_series(files.mask) and files.mask.exists():
        return findings  # contours of a DICOM object lie on their image
    try:
        mask = read_drawn(files, image)
        placed = mask if image is None else place_mask(mask, image, on_mismatch)
    except MaskError as error:
        if files.optional and isinstance(error, RegionAbsentError):
            if not findings:
                raise
            return findings
        return [*findings, Finding.error(error.message, error.remedy, where=name)]
    seen["mask"] = placed
    if placed.array.mean() > _MOST_INSIDE:
        problem = f"{placed.array.mean():.0%} of all voxels are inside: taken for the background?"
        remedy = "Say which value is the tumor: column label of the manifest; or save the mask as 0 and 1."
        findings.append(Finding.error(problem, remedy, where=name))
    if image is not None and _is_flat(image, placed):
        problem = "the image has one value only within the mask"
        findings.append(Finding.error(problem, "Check both files.", where=name))
    oddities = [*_resampling_loss(mask, placed), *_mask_oddities(placed)]
    return [*findings, *(Finding.warning(problem, "Check the contour.", where=name) for problem in oddities)]


def _check_image(files: ImageFiles) -> tuple[Volume | None, list[Finding]]:
    name = files.image.name
    try:
        image = read_image(files.image, files.series)
    except ImageError as error:
        return None, [Finding.error(error.message, error.remedy, where=name)]
    return image, [Finding.error(p, "Export the image again.", where=name) for p in _image_faults(image)]


def _volume_cm3(mask: Mask) -> float:
    return int(np.count_nonzero(mask.array)) * mask.voxel_mm3 / 1000


def _resampling_loss(mask: Mask, placed: Mask) -> list[str]:
    before, after = _volume_cm3(mask), _volume_cm3(placed)
    if abs(after - before) <= _RESAMPLING_LOSS * before:
        return []
    return [f"on the image's grid the mask has {after:.3g} cm3, in its file {before:.3g} cm3"]


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
    volume = _volume_cm3(mask)
    if not _PLAUSIBLE_CM3[0] <= volume <= _PLAUSIBLE_CM3[1]:
        found.append(f"implausible volume: {volume:.3g} cm3 ({np.count_nonzero(mask.array)} voxels)")
    edges = {"slice": (0, mask.array), "row": (1, mask.array), "column": (2, mask.array)}
    touched = [name for name, (axis, array) in edges.items() if array.take([0, -1], axis=axis).any()]
    if touched:
        found.append(f"the mask touches the first or last {' and '.join(touched)} of the image")
    return found
