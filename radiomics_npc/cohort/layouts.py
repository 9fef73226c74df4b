"""Files of a cohort on disk: the published folder layout, or a manifest."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PureWindowsPath

from radiomics_npc.cohort.cases import Case, ImageFiles
from radiomics_npc.cohort.findings import Finding
from radiomics_npc.cohort.tables import plain, read_cells
from radiomics_npc.errors import CohortError

__all__ = ["find_published", "published_folder", "read_manifest"]

_FOLDERS = {"t1wi": "t1", "t2wi": "t2", "cet1wi": "ce_t1"}
_MASKS = {"roit1": "t1", "roit2": "t2", "roicet1": "ce_t1"}
_MASK_NAME = re.compile(r"(?P<stem>.+?)(?:\.nii|\.nii\.gz)", re.IGNORECASE)
_SEQUENCES = {
    "t1": ("t1", "t1w", "t1wi"),
    "t2": ("t2", "t2w", "t2wi"),
    "ce_t1": ("cet1", "cet1w", "cet1wi", "t1ce", "t1wce", "t1c", "t1gd", "t1post", "t1cwi", "t1wice"),
}
_SEQUENCE_OF = {name: sequence for sequence, names in _SEQUENCES.items() for name in names}
_MANIFEST = {
    "patient_id": ("patientid", "patient", "id", "case", "subject"),
    "sequence": ("sequence", "modality", "series"),
    "image": ("image", "imagepath", "imagefile"),
    "mask": ("mask", "maskpath", "maskfile", "roi", "segmentation"),
    "label": ("label", "labelvalue", "masklabel"),
    "center": ("center", "centre", "hospital", "site"),
}


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
        Folders passed over.

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
    """Say where two files could be the mask of one sequence, such as ROI-T1.nii and ROI-T1.nii.gz."""
    masks: dict[str, list[str]] = {}
    for path in sorted(folder.iterdir()):
        name = _MASK_NAME.fullmatch(path.name)
        if name and not path.name.startswith(".") and plain(name["stem"]) in _MASKS:
            masks.setdefault(_MASKS[plain(name["stem"])], []).append(path.name)
    return [
        Finding.error(f"more than one mask: {', '.join(names)}", "Keep one.", folder.name, sequence)
        for sequence, names in masks.items()
        if len(names) > 1 and sequence in sequences
    ]


def read_manifest(path: Path, sequences: Sequence[str]) -> tuple[list[Case], list[Finding]]:
    """Read a manifest: one line an image.

    Parameters
    ----------
    path : Path
        CSV or XLSX with columns patient_id, sequence, image and, if there are
        any, mask, label, center. Paths are relative to the folder of the file.
    sequences : sequence of str
        The ones wanted; lines of others are passed over and counted.

    Returns
    -------
    list of Case
        In the order of patient_id.
    list of Finding
        Unknown sequences, lines without image, repeated lines.

    Raises
    ------
    CohortError
        The file is no table or lacks a needed column.
    """
    cells, findings = read_cells(path)
    columns = {name: _manifest_column(list(cells.columns), name, path.name) for name in _MANIFEST}
    images: dict[str, dict[str, ImageFiles]] = {}
    centers: dict[str, str] = {}
    passed: Counter[str] = Counter()
    for line, row in cells.iterrows():
        cell = {name: row[column] if column else "" for name, column in columns.items()}
        where, patient = f"{path.name} line {line}", cell["patient_id"]
        sequence = _SEQUENCE_OF.get(plain(cell["sequence"]))
        mine = images.setdefault(patient, {}) if patient else {}
        fault = _line_fault(cell, sequence, mine)
        if fault:
            findings.append(Finding.error(*fault, patient, sequence or "", where))
            continue
        assert sequence is not None  # _line_fault names an unknown one
        if cell["center"] and centers.setdefault(patient, cell["center"]) != cell["center"]:
            findings.append(Finding.error("patient has two centers", "Give one.", patient, where=where))
        if sequence not in sequences:
            passed[sequence] += 1
            continue
        mask = _resolve(path.parent, cell["mask"]) if cell["mask"] else None
        mine[sequence] = ImageFiles(_resolve(path.parent, cell["image"]), mask, _label(cell["label"]))
    for sequence, count in passed.items():
        findings.append(
            Finding.info(
                f"{count} lines of {sequence} passed over: the study does not ask for it",
                where=path.name,
            )
        )
    cases = [
        Case(p, {s: images[p][s] for s in sequences if s in images[p]}, centers.get(p, ""))
        for p in sorted(images)
    ]
    return cases, findings


def _manifest_column(columns: list[str], name: str, file: str) -> str | None:
    for alias in _MANIFEST[name]:
        alike = [c for c in columns if plain(c) == alias]
        if alike:
            return alike[0]
    if name in ("patient_id", "sequence", "image"):
        raise CohortError(f"{file} has no column {name}", "See configs/manifest_template.csv.")
    return None


def _line_fault(
    cell: dict[str, str], sequence: str | None, known: dict[str, ImageFiles]
) -> tuple[str, str] | None:
    if not cell["patient_id"]:
        return "no patient in this line", "Give the patient, or delete the line."
    if sequence is None:
        return f"{cell['sequence']!r} is no sequence", "Write t1, t2 or ce_t1."
    if not cell["image"]:
        return "no image in this line", "Give the file or folder, or delete the line."
    if sequence in known:
        return f"a second line for {sequence} of this patient", "Keep one line a patient and sequence."
    return None


def _resolve(base: Path, text: str) -> Path:
    path = Path(PureWindowsPath(text).as_posix() if "\\" in text else text)
    return path if path.is_absolute() else base / path


def _label(text: str) -> int | str | None:
    """Read a whole number as a mask value, other text as the name of a segment."""
    if not text:
        return None
    whole = re.fullmatch(r"([+-]?\d+)(?:\.0+)?", text)
    return int(whole[1]) if whole else text
