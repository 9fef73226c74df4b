"""One patient's masks moved from the sequence they were drawn on: found again by content, or made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import SimpleITK as sitk

from radiomics_npc._version import __version__
from radiomics_npc.cohort.cases import Case, ImageFiles
from radiomics_npc.cohort.failures import failure_row
from radiomics_npc.cohort.regions import region_name, split_name
from radiomics_npc.errors import RegionAbsentError
from radiomics_npc.imaging.mask_moving import move_mask
from radiomics_npc.imaging.reading import place_mask, read_drawn, read_image
from radiomics_npc.imaging.registration import register
from radiomics_npc.imaging.registration_quality import RegistrationQuality, assess_registration
from radiomics_npc.imaging.registration_result import Registration
from radiomics_npc.imaging.stored_files import stored_files
from radiomics_npc.imaging.volume import Mask, Volume
from radiomics_npc.imaging.writing import atomic_image, save_image
from radiomics_npc.segmentation.mask_files import (
    folder_name,
    is_edited,
    mask_path,
    read_record,
    record_path,
)
from radiomics_npc.settings import RegistrationSettings
from radiomics_npc.storage import content_key, file_digest, write_json

__all__ = ["MoveJob", "MovedCase", "move_case", "needs_mask"]

#: Raised whenever the same images and settings would give other masks or other numbers than before.
_SCHEMA: Final = 1
_NOTE: Final = "Moved from another sequence by registration. Review the contour."


@dataclass(frozen=True)
class MoveJob:
    """What a worker needs to know of one patient."""

    case: Case
    settings: RegistrationSettings
    folder: Path
    on_mismatch: str
    random_state: int


@dataclass(frozen=True)
class MovedCase:
    """What became of one patient: the case with its masks, a row a mask, and what failed."""

    case: Case
    rows: list[dict[str, Any]] = field(default_factory=list)
    failures: list[dict[str, str]] = field(default_factory=list)
    reused: bool = False

    @property
    def label(self) -> str:
        """Shown by the progress display."""
        return self.case.patient_id


def source_name(name: str, settings: RegistrationSettings) -> str:
    """Whose mask a sequence takes: that of the same region.

    Examples
    --------
    >>> source_name("t1-gtvnd", RegistrationSettings())
    'ce_t1-gtvnd'
    """
    return region_name(settings.masks_from, split_name(name)[1])


def needs_mask(case: Case, settings: RegistrationSettings) -> list[str]:
    """Names of a patient without a mask of their own, whose source has one.

    Examples
    --------
    >>> images = {"t1": ImageFiles(Path("a.nii")), "ce_t1": ImageFiles(Path("b.nii"), Path("m.nii"))}
    >>> needs_mask(Case("7", images), RegistrationSettings())
    ['t1']
    """
    return [
        name
        for name, files in case.images.items()
        if files.mask is None
        and split_name(name)[0] != settings.masks_from
        and (source := case.images.get(source_name(name, settings))) is not None
        and source.mask is not None
    ]


def move_case(job: MoveJob) -> MovedCase:
    """Give every sequence of a patient that has none the mask of another one.

    Parameters
    ----------
    job : MoveJob

    Returns
    -------
    MovedCase
        A mask made before from the same images, mask and settings is taken as it is; so is one that was
        edited in the folder. A fault of one sequence is a row of its failures.
    """
    images, rows, failures = dict(job.case.images), [], []
    by_sequence: dict[str, list[str]] = {}
    for name in needs_mask(job.case, job.settings):
        by_sequence.setdefault(split_name(name)[0], []).append(name)
    made = 0
    for names in by_sequence.values():
        try:
            done, count = _move_sequence(job, names)
        except Exception as error:  # noqa: BLE001 - a fault of one patient must not stop the others
            failures += [failure_row(job.case.patient_id, name, "register", error) for name in names]
            continue
        made += count
        for name, outcome in done.items():
            if isinstance(outcome, RegionAbsentError):
                if not images[name].optional:
                    failures.append(failure_row(job.case.patient_id, name, "register", outcome))
                continue
            path = _path(job, name)
            images[name] = replace(images[name], mask=path, label=None)
            rows.append(_row(job, name, outcome))
    return MovedCase(replace(job.case, images=images), rows, failures, reused=bool(rows) and not made)


def _path(job: MoveJob, name: str) -> Path:
    """``ROI-T1.nii.gz``, with the region where there are several."""
    sequence, region = split_name(name)
    path = mask_path(job.folder / folder_name(job.case.patient_id), sequence)
    return path.with_name(path.name.replace(".nii.gz", f"-{region}.nii.gz")) if region else path


def _digests(files: ImageFiles, *, mask: bool) -> list[Any]:
    path = files.mask if mask else files.image
    assert path is not None
    chosen = files.label if mask else files.series
    series = None if mask else files.series
    return [[file_digest(file) for file in stored_files(path, series=series)], chosen]


def _key(job: MoveJob, name: str) -> str:
    """All that a moved mask depends on."""
    source = job.case.images[source_name(name, job.settings)]
    return content_key(
        _SCHEMA, _digests(source, mask=False), _digests(source, mask=True),
        _digests(job.case.images[name], mask=False), job.settings.method, job.settings.interpolation,
        job.on_mismatch, job.random_state, sitk.Version_VersionString(),
    )  # fmt: skip


def _move_sequence(
    job: MoveJob, names: list[str]
) -> tuple[dict[str, dict[str, Any] | RegionAbsentError], int]:
    """The record of every region's mask (empty for an edited one), and how many were made now."""
    found: dict[str, dict[str, Any] | RegionAbsentError] = {}
    open_: dict[str, str] = {}
    for name in names:
        path, record = _path(job, name), read_record(_path(job, name))
        if is_edited(path):
            found[name] = {}
            continue
        key = _key(job, name)
        if record is not None and record["key"] == key and path.exists():
            found[name] = record
        else:
            open_[name] = key
    if not open_:
        return found, 0
    source = job.case.images[source_name(names[0], job.settings)]
    moving, masks = read_image(source.image, source.series), {}
    for name in open_:
        try:
            drawn = read_drawn(job.case.images[source_name(name, job.settings)], moving)
            masks[name] = place_mask(drawn, moving, job.on_mismatch)
        except RegionAbsentError as error:
            found[name] = error
    if masks:
        target = job.case.images[names[0]]
        fixed = read_image(target.image, target.series)
        made = register(moving, fixed, job.settings.method, random_state=job.random_state)
        quality = assess_registration(made, moving, fixed, random_state=job.random_state)
        for name, mask in masks.items():
            moved = move_mask(mask, made, fixed, job.settings.interpolation)
            found[name] = _write(
                _path(job, name), moved, _record(job, open_[name], made, quality, mask, moved)
            )
    return {name: found[name] for name in names}, len(masks)


def _record(
    job: MoveJob, key: str, made: Registration, quality: RegistrationQuality, mask: Mask, moved: Mask
) -> dict[str, Any]:
    def volume(one: Volume) -> float:
        return round(int(one.array.sum()) * one.voxel_mm3 / 1000, 4)

    return {
        "format": 1,
        "key": key,
        "warning": _NOTE,
        "masks_from": job.settings.masks_from,
        "interpolation": job.settings.interpolation,
        "registration": made.to_dict(),
        "quality": quality.to_dict(),
        "volume_before_cm3": volume(mask),
        "volume_cm3": volume(moved),
        "version": __version__,
    }


def _write(path: Path, mask: Mask, record: dict[str, Any]) -> dict[str, Any]:
    """Mask and record; a run killed at any moment leaves no mask that could be taken for an edited one."""
    path.unlink(missing_ok=True)
    with atomic_image(path) as temporary:
        save_image(temporary, mask.to_sitk(), _NOTE)
        record = record | {"sha256": file_digest(temporary)}
        write_json(record_path(path), record)
    return record


def _row(job: MoveJob, name: str, record: Mapping[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = {
        "patient_id": job.case.patient_id, "sequence": name,
        "masks_from": source_name(name, job.settings), "mask": _path(job, name),
    }  # fmt: skip
    if not record:
        # what was said of the moved mask is not true of what somebody made of it
        return row | {"flags": "edited"}
    made, quality = Registration.from_dict(record["registration"]), dict(record["quality"])
    flags = quality.pop("flags")
    return {
        **row, "method": made.method, "interpolation": record["interpolation"],
        "metric_before": made.metric_before, "metric_after": made.metric_after, **quality,
        "translation_mm": made.shift_mm, "rotation_degrees": made.rotation_degrees,
        "volume_before_cm3": record["volume_before_cm3"], "volume_cm3": record["volume_cm3"],
        "flags": "; ".join(flags), "seconds": made.seconds,
    }  # fmt: skip
