"""Predicted masks on disk, each with a record beside it of which model made it from what.

A mask that differs from its record, or has none, was drawn or changed by hand.
"""

from __future__ import annotations

import json
import math
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from radiomics_npc._version import __version__
from radiomics_npc.cohort.cases import Case
from radiomics_npc.errors import ImageError
from radiomics_npc.imaging.stored_files import stored_files
from radiomics_npc.imaging.volume import Volume
from radiomics_npc.imaging.writing import atomic_image, save_image, write_volume
from radiomics_npc.settings import SegmentationSettings, Sequence
from radiomics_npc.storage import content_key, file_digest, write_json

if TYPE_CHECKING:
    from radiomics_npc.segmentation.prediction import Prediction, Segmenter

__all__ = [
    "SCORES",
    "folder_name",
    "is_done",
    "is_edited",
    "mask_key",
    "mask_path",
    "read_record",
    "record_path",
    "variation_paths",
    "write_prediction",
]

SCORES: Final = ("confidence", "member_agreement", "sequence_agreement")
#: Raised whenever the same model and images would give other files than before.
_SCHEMA: Final = 3
_NAMES: Final = {"t1": "T1", "t2": "T2", "ce_t1": "CE-T1"}
_SUFFIX: Final = ".nii.gz"
#: What is written on request: the mean probability, and its standard deviation over members and flips.
_MAPS: Final = ("probability", "uncertainty")
#: In the header of every file, which may travel without its record, by whether the networks know simulated
#: heads only. NIfTI has 79 characters for it.
_NOTES: Final = {
    True: "Predicted by networks trained on simulated heads only. Review the contour.",
    False: "Predicted by a model. Review the contour.",
}


def folder_name(patient_id: str) -> str:
    """A name that any file system takes and that no other patient has.

    Examples
    --------
    >>> folder_name("001"), folder_name("a/b"), folder_name(".."), folder_name("病人 7")
    ('001', 'a%2Fb', '%2E%2E', '病人 7')
    """
    # letters of any script are names; what is none in ASCII may mean something to a file system
    name = "".join(c if not c.isascii() and c.isalnum() else quote(c, safe=" ") for c in patient_id)
    return name if name.strip(".") else name.replace(".", "%2E")


def mask_path(folder: Path, sequence: str, kind: str = "ROI") -> Path:
    """Where the mask of a sequence lies, named as in the published layout.

    Examples
    --------
    >>> mask_path(Path("001"), "ce_t1").name, mask_path(Path("001"), "t2", "probability").name
    ('ROI-CE-T1.nii.gz', 'probability-T2.nii.gz')
    """
    return folder / f"{kind}-{_NAMES[sequence]}{_SUFFIX}"


def variation_paths(path: Path, count: int) -> list[Path]:
    """Where the variations of a mask lie.

    Examples
    --------
    >>> [p.as_posix() for p in variation_paths(Path("001/ROI-T1.nii.gz"), 2)]
    ['001/variations/ROI-T1-001.nii.gz', '001/variations/ROI-T1-002.nii.gz']
    """
    stem = path.name.removesuffix(_SUFFIX)
    return [path.parent / "variations" / f"{stem}-{k:03d}{_SUFFIX}" for k in range(1, count + 1)]


def record_path(path: Path) -> Path:
    """Where the record of a mask lies.

    Examples
    --------
    >>> record_path(Path("001/ROI-T1.nii.gz")).name
    'ROI-T1.json'
    """
    return path.with_name(path.name.removesuffix(_SUFFIX) + ".json")


def read_record(path: Path) -> dict[str, Any] | None:
    """What is known of a predicted mask; None where there is no readable record.

    Parameters
    ----------
    path : Path
        Of the mask.
    """
    try:
        content = json.loads(record_path(path).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return content if isinstance(content, dict) and {"key", "sha256"} <= set(content) else None


def mask_key(case: Case, settings: SegmentationSettings, segmenter: Segmenter) -> str:
    """All that a patient's masks depend on: content of the images, model, options."""
    digests: dict[str, list[str]] = {}
    for name, files in case.images.items():
        with suppress(OSError, ImageError):  # it fails when it is read
            digests[name] = [file_digest(file) for file in stored_files(files.image, series=files.series)]
    options = {"flips": settings.flips, "uncertainty": settings.uncertainty}
    return content_key(_SCHEMA, digests, segmenter.identity, options)


def is_edited(path: Path) -> bool:
    """Whether a mask is there that is not, or no longer, the predicted one."""
    if not path.exists():
        return False
    record = read_record(path)
    return record is None or record["sha256"] != file_digest(path)


def is_done(folder: Path, sequence: str, key: str, settings: SegmentationSettings) -> bool:
    """Whether a mask and all that was asked for with it is there, made from what ``key`` tells."""
    path = mask_path(folder, sequence)
    asked = [path, *variation_paths(path, settings.uncertainty)]
    if settings.probabilities:
        asked += [mask_path(folder, sequence, name) for name in _MAPS]
    record = read_record(path)
    return record is not None and record["key"] == key and all(file.exists() for file in asked)


def _remove(path: Path) -> None:
    """Take away an earlier mask, its variations and its maps; the mask first, its record last.

    A run killed at any moment leaves no mask that could be taken for one drawn by hand.
    """
    stem = path.name.removesuffix(_SUFFIX)
    path.unlink(missing_ok=True)
    for other in (path.parent / "variations").glob(f"{stem}-*{_SUFFIX}"):
        other.unlink()
    for name in _MAPS:
        path.with_name(path.name.replace("ROI-", f"{name}-", 1)).unlink(missing_ok=True)
    record_path(path).unlink(missing_ok=True)


def write_prediction(
    made: Prediction,
    sequence: Sequence,
    folder: Path,
    key: str,
    settings: SegmentationSettings,
    segmenter: Segmenter,
) -> dict[str, Any]:
    """Write the mask of one sequence, what was asked for besides, and its record; the mask comes last.

    Parameters
    ----------
    made : Prediction
    sequence : str
    folder : Path
        Of the patient.
    key : str
        Content key of all that the mask depends on.
    settings : SegmentationSettings
    segmenter : Segmenter

    Returns
    -------
    dict
        The record.
    """
    path = mask_path(folder, sequence)
    _remove(path)
    note = _NOTES[segmenter.simulated]
    for other, drawn in zip(variation_paths(path, settings.uncertainty), made.varied, strict=True):
        write_volume(other, drawn[sequence], note)
    for name in _MAPS if settings.probabilities else ():
        found: Volume = getattr(made, name)[sequence]
        write_volume(mask_path(folder, sequence, name), replace(found, array=found.array.round(3)), note)
    record = _record(made, sequence, key, settings, segmenter)
    with atomic_image(path) as temporary:
        save_image(temporary, made.masks[sequence].to_sitk(), note)
        record["sha256"] = file_digest(temporary)
        write_json(record_path(path), record)
    return record


def _record(
    made: Prediction, sequence: Sequence, key: str, settings: SegmentationSettings, segmenter: Segmenter
) -> dict[str, Any]:
    return {
        "format": 1,
        "key": key,
        "warning": "Predicted by a model. Review the contour before you rely on it.",
        "trained_on_simulated_heads_only": segmenter.simulated,
        "model": {"identity": segmenter.identity, "members": segmenter.weights},
        "sequences": list(made.grids),
        "settings": {"flips": settings.flips, "uncertainty": settings.uncertainty},
        "volume_cm3": made.summary["volume_cm3"][sequence],
        # JSON has no NaN
        **{score: None if math.isnan(made.summary[score]) else made.summary[score] for score in SCORES},
        "sequence_dice": made.summary["sequence_dice"],
        "flags": made.flags,
        "notes": made.notes,
        "device": made.device,
        "seconds": round(made.seconds, 3),
        "version": __version__,
    }
