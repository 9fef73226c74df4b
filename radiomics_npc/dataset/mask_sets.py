"""Two sets of masks to be compared: cohorts, manifests, or folders in any layout, also of masks alone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from radiomics_npc.cohort.cases import Cohort, ImageFiles
from radiomics_npc.cohort.layouts import guess_layout
from radiomics_npc.cohort.reading import read_cohort
from radiomics_npc.cohort.sequence_words import read_words
from radiomics_npc.dataset.metadata import Source, as_cohort
from radiomics_npc.errors import CohortError

__all__ = ["MaskSet", "read_mask_set", "split_raters"]

_FILE: Final = re.compile(r"(?P<stem>.+?)(\.seg)?\.(nii|nii\.gz|nrrd|nhdr|mha|mhd)", re.IGNORECASE)
_EDGE: Final = r"(?<![a-z0-9]){}(?![a-z0-9])"
_SEQUENCE: Final = re.compile(
    _EDGE.format(r"(ce[-_ ]?t1(w|wi)?|t1(w|wi)?[-_ ]?(c|ce|gd|\+c|post)(w|wi)?|t[12](w|wi)?)"), re.IGNORECASE
)
_MASK_WORD: Final = re.compile(
    _EDGE.format(r"(rois?|masks?|labels?|seg|segmentations?|gtvp?)"), re.IGNORECASE
)
_RATER: Final = re.compile(
    _EDGE.format(r"(?:rater|reader|observer|radiologist|doctor|annotator)[-_ ]?(?P<who>[0-9]+|[a-z])"),
    re.IGNORECASE,
)
_BETWEEN: Final = re.compile(r"[-_ .]+(?=[-_ ./]|$)|(?<=/)[-_ .]+|^[-_ .]+")

Key = tuple[str, str]


@dataclass(frozen=True)
class MaskSet:
    """Masks of one rater, method or version.

    Parameters
    ----------
    name : str
        As it is called in tables and figures.
    masks : dict of (patient_id, sequence) to ImageFiles
        Where a mask stands for itself, it is named as its own image.
    on_mismatch : {"error", "resample"}
    simulated : bool
    """

    name: str
    masks: dict[Key, ImageFiles]
    on_mismatch: str = "error"
    simulated: bool = False


def read_mask_set(source: Source, name: str) -> MaskSet:
    """Find the masks of one set.

    Parameters
    ----------
    source : Cohort, settings, path or dict
        A cohort; a study file; a manifest (CSV or XLSX); a folder in a layout of cohorts, or of mask files
        alone. There the patient is the path without its words for the sequence and for masks:
        ``001/ROI-T1.nii`` and ``001_T1.nii.gz`` are sequence t1 of patient 001.
    name : str

    Returns
    -------
    MaskSet

    Raises
    ------
    CohortError
        There is no mask, or two files are of one patient and sequence.
    """
    path = Path(source) if isinstance(source, str | Path) else None
    if path is not None and not path.exists():
        raise CohortError(f"{path.name} does not exist", "Check the path.")
    if path is not None and path.suffix.lower() not in (".yaml", ".yml"):
        found = _of_layout(path, name)
        return found if found is not None else _of_files(path, _mask_files(path), name)
    found = _of_cohort(as_cohort(source), name)
    if not found.masks:
        raise CohortError(f"the cohort {name} has no masks", "Name a cohort whose masks are drawn.")
    return found


def _of_cohort(cohort: Cohort, name: str) -> MaskSet:
    masks = {
        (case.patient_id, sequence): files
        for case in cohort.cases
        for sequence, files in case.images.items()
        if files.mask is not None
    }
    return MaskSet(name, masks, cohort.on_mismatch, cohort.simulated)


def _of_layout(path: Path, name: str) -> MaskSet | None:
    """Masks of a manifest, or of a folder in a layout of cohorts; None if it is in none, or without masks."""
    try:
        cohort = read_cohort({"layout": guess_layout(path), "path": str(path), "clinical": None})
    except CohortError:
        if path.is_file():
            raise
        return None
    found = _of_cohort(cohort, name)
    return found if found.masks else None


def _mask_files(root: Path) -> list[Path]:
    """Image files of a folder; if some are called masks, those alone."""
    files = [p for p in sorted(root.rglob("*")) if p.is_file() and _FILE.fullmatch(p.name)]
    files = [p for p in files if not any(part.startswith(".") for part in p.relative_to(root).parts)]
    called = [p for p in files if _MASK_WORD.search(p.relative_to(root).as_posix())]
    return called or files


def _of_files(root: Path, files: list[Path], name: str) -> MaskSet:
    masks: dict[Key, ImageFiles] = {}
    for file in files:
        key = _key(file.relative_to(root))
        if key in masks:
            raise CohortError(
                f"{file.name} and {masks[key].image.name} are both of one patient and sequence",
                "Remove one, or write a manifest.",
            )
        masks[key] = ImageFiles(file, file)
    if not masks:
        raise CohortError(
            f"{root.name} holds no masks", "Give a folder of NIfTI or NRRD masks, or a manifest."
        )
    return MaskSet(name, masks)


def _key(path: Path) -> Key:
    """Patient and sequence that a file name says.

    Examples
    --------
    >>> _key(Path("001/ROI-CE-T1.nii")), _key(Path("case_07_T2_rater2.nii.gz")), _key(Path("12.nrrd"))
    (('001', 'ce_t1'), ('case_07', 't2'), ('12', ''))
    """
    file = _FILE.fullmatch(path.name)
    text = (path.parent / (file["stem"] if file else path.name)).as_posix()
    text = _RATER.sub("", text)
    said = _SEQUENCE.search(text)
    sequence = ""
    if said:
        words = read_words(said[0])
        sequence = "ce_t1" if words.contrast else "".join(sorted(words.weights))
        text = text[: said.start()] + text[said.end() :]
    text = _MASK_WORD.sub("", text)
    while (shorter := _BETWEEN.sub("", text)) != text:
        text = shorter
    return "/".join(part for part in text.split("/") if part), sequence


def split_raters(root: Path) -> tuple[MaskSet, MaskSet]:
    """Two sets in one folder: two folders of masks, or files that name their rater.

    Parameters
    ----------
    root : Path

    Returns
    -------
    MaskSet, MaskSet
        In the order of their names.

    Raises
    ------
    CohortError
        The folder does not hold exactly two sets that share a patient.

    Examples
    --------
    >>> import tempfile
    >>> root = Path(tempfile.mkdtemp())
    >>> for name in ("07_T1_rater1.nii", "07_T1_rater2.nii"):
    ...     (root / name).touch()
    >>> [(s.name, list(s.masks)) for s in split_raters(root)]
    [('rater1', [('07', 't1')]), ('rater2', [('07', 't1')])]
    """
    root = Path(root)
    named: dict[str, list[Path]] = {}
    for file in _mask_files(root):
        said = _RATER.search(file.relative_to(root).as_posix())
        named.setdefault("" if said is None else said[0].lower(), []).append(file)
    if len(named) == 2 and "" not in named:
        (one, files_one), (two, files_two) = sorted(named.items())
        return _of_files(root, files_one, one), _of_files(root, files_two, two)
    folders = [p for p in sorted(root.iterdir()) if p.is_dir() and not p.name.startswith(".")]
    if len(folders) == 2:
        first, second = (read_mask_set(folder, folder.name) for folder in folders)
        if set(first.masks) & set(second.masks):
            return first, second
    raise CohortError(
        f"{root.name} does not hold two sets of masks",
        "Give two folders, or name the files by rater (..._rater1.nii, ..._rater2.nii).",
    )
