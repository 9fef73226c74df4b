"""Image files of a folder by their names, whatever format each has."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from radiomics_npc.cohort.findings import Finding
from radiomics_npc.cohort.regions import file_stem

__all__ = ["image_files", "is_hidden"]


def image_files(
    folder: Path, endings: Sequence[str], patient_id: str = ""
) -> tuple[dict[str, Path], list[Finding]]:
    """Find the image files of a folder.

    Parameters
    ----------
    folder : Path
        Need not exist.
    endings : sequence of str
        In small letters; names may have large ones.
    patient_id : str
        For the findings.

    Returns
    -------
    dict of str to Path
        By the name without ending, in the order of names. Hidden files are none: archives from macOS hold
        ``._T1.nii.gz`` beside ``T1.nii.gz``, which is no image.
    list of Finding
        Two files of one name (``T1.nii`` beside ``T1.nii.gz``), of which the first is taken.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> for name in ("a.nii", "a.NII.GZ", "._a.nii", "b.txt"):
    ...     (folder / name).touch()
    >>> files, findings = image_files(folder, (".nii.gz", ".nii"))
    >>> {stem: path.name for stem, path in files.items()}, findings[0].problem
    ({'a': 'a.NII.GZ'}, 'a.NII.GZ is taken; a.nii has the same name')
    """
    found: dict[str, Path] = {}
    findings = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if not path.is_file() or is_hidden(path) or not path.name.casefold().endswith(tuple(endings)):
            continue
        first = found.setdefault(file_stem(path), path)
        if first != path:
            problem = f"{first.name} is taken; {path.name} has the same name"
            findings.append(Finding.warning(problem, "Keep one of them.", patient_id))
    return found, findings


def is_hidden(path: Path) -> bool:
    """Whether a file or folder is hidden by its name.

    Examples
    --------
    >>> is_hidden(Path("data/._T1.nii")), is_hidden(Path("data/T1.nii"))
    (True, False)
    """
    return path.name.startswith(".")
