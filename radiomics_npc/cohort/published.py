"""The layout of the published data set."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from radiomics_npc.cohort.cases import Case, ImageFiles
from radiomics_npc.cohort.findings import Finding
from radiomics_npc.cohort.tables import plain
from radiomics_npc.errors import CohortError

__all__ = ["find_published", "holds_published", "published_folder"]

_FOLDERS = {"t1wi": "t1", "t2wi": "t2", "cet1wi": "ce_t1"}
_MASKS = {"roit1": "t1", "roit2": "t2", "roicet1": "ce_t1"}
_MASK_NAME = re.compile(r"(?P<stem>.+?)(?:\.nii|\.nii\.gz)", re.IGNORECASE)


def published_folder(root: Path) -> Path:
    """Folder that holds the patients' folders: ``root`` itself, or ``MRI-Segments`` or ``data`` within.

    Raises
    ------
    CohortError
        No patient folder is found in any of them.
    """
    for folder in (root, root / "MRI-Segments", root / "data", root / "data" / "MRI-Segments"):
        if folder.is_dir() and any(_is_patient(p) for p in folder.iterdir()):
            return folder
    raise CohortError(
        f"{root.name or 'the folder'} holds no patients in the published layout",
        "Expected MRI-Segments/001/T1WI/*.dcm and MRI-Segments/001/ROI-T1.nii; otherwise write a manifest.",
    )


def holds_published(root: Path) -> bool:
    """Whether a patient's folder holds a sequence or mask by its published name."""
    try:
        base = published_folder(Path(root))
    except CohortError:
        return False
    return any(_files(folder) for folder in base.iterdir() if folder.is_dir())


def _is_patient(folder: Path) -> bool:
    if not folder.is_dir() or folder.name.startswith("."):
        return False
    return folder.name.isdigit() or bool(_files(folder))


def _files(folder: Path) -> dict[str, dict[str, Path]]:
    """Images and masks of one patient, by sequence."""
    found: dict[str, dict[str, Path]] = {}
    for path in sorted(folder.iterdir()):
        name = _MASK_NAME.fullmatch(path.name)
        if path.is_dir() and plain(path.name) in _FOLDERS:
            found.setdefault(_FOLDERS[plain(path.name)], {})["image"] = path
        elif name and not path.name.startswith(".") and plain(name["stem"]) in _MASKS:
            found.setdefault(_MASKS[plain(name["stem"])], {})["mask"] = path
    return found


def find_published(root: Path, sequences: Sequence[str]) -> tuple[list[Case], list[Finding]]:
    """Find patients in the layout of the published data set.

    Parameters
    ----------
    root : Path
        Holds ``NNN/{T1WI,T2WI,CE-T1WI}/*.dcm`` and ``NNN/ROI-{T1,T2,CE-T1}.nii``
        (or ``.nii.gz``), directly or in ``MRI-Segments``, ``data`` or both.
    sequences : sequence of str
        The ones wanted; others are passed over.

    Returns
    -------
    list of Case
        In the order of patient_id (the folder name). A mask without its series
        folder points to the folder that should be there.
    list of Finding
        Folders passed over, several masks or series of one sequence.

    Raises
    ------
    CohortError
        Nothing is found.
    """
    base = published_folder(Path(root))
    expected = {"t1": "T1WI", "t2": "T2WI", "ce_t1": "CE-T1WI"}
    cases, findings = [], []
    for folder in sorted(p for p in base.iterdir() if p.is_dir() and not p.name.startswith(".")):
        if not _is_patient(folder):
            findings.append(Finding.info("folder is no patient's, passed over", where=folder.name))
            continue
        images = {
            sequence: ImageFiles(files.get("image", folder / expected[sequence]), files.get("mask"))
            for sequence, files in _files(folder).items()
        }
        cases.append(Case(folder.name, {s: images[s] for s in sequences if s in images}))
        findings += _twice(folder, sequences)
    return cases, findings


def _twice(folder: Path, sequences: Sequence[str]) -> list[Finding]:
    """Say where two could be the mask (ROI-T1.nii and ROI-T1.nii.gz) or the series of one sequence."""
    found: dict[tuple[str, str], list[str]] = {}
    for path in sorted(folder.iterdir()):
        name = _MASK_NAME.fullmatch(path.name)
        if path.is_dir() and plain(path.name) in _FOLDERS:
            found.setdefault(("series", _FOLDERS[plain(path.name)]), []).append(path.name)
        elif name and not path.name.startswith(".") and plain(name["stem"]) in _MASKS:
            found.setdefault(("mask", _MASKS[plain(name["stem"])]), []).append(path.name)
    return [
        Finding.error(f"more than one {what}: {', '.join(names)}", "Keep one.", folder.name, sequence)
        for (what, sequence), names in found.items()
        if len(names) > 1 and sequence in sequences
    ]
