"""Which files hold an image: a header may keep its voxels in another one."""

from __future__ import annotations

import re
from pathlib import Path

from radiomics_npc.cohort.cases import Label
from radiomics_npc.imaging.dicom_folders import series_files
from radiomics_npc.imaging.label_tables import find_table
from radiomics_npc.imaging.mask_folders import structure_files

__all__ = ["stored_files"]

#: ITK reads a header by what stands in it: any of these may name another file.
_HEADERS = (".nrrd", ".nhdr", ".mha", ".mhd")
_NAMED = re.compile(rb"(?:data ?file:|ElementDataFile\s*=)\s*(.+?)\s*$", re.IGNORECASE)


def stored_files(
    image: Path, label: Label | tuple[Label, ...] | None = None, series: str | None = None
) -> list[Path]:
    """All files, or folders of files, that the voxels of an image or mask come from.

    Parameters
    ----------
    image : Path
        A file, or the folder of a DICOM series.
    label : int, str or tuple of them, optional
        Of the region wanted of a mask.
    series : str, optional
        SeriesInstanceUID, where a folder holds several series: only its files count, so that the key of
        a case does not hang on other images, and a folder of all patients is not read once for each.

    Returns
    -------
    list of Path
        The image itself, and what a NRRD or MetaImage header names beside it; where the label is a
        name, also the table that gives the names of its values, and of a folder the files so named.

    Raises
    ------
    ImageError
        As :func:`radiomics_npc.imaging.dicom_folders.series_files`.

    Examples
    --------
    >>> [p.name for p in stored_files(Path("001/T1.nii.gz"))]
    ['T1.nii.gz']
    """
    if image.is_dir() and series is not None:
        return series_files(image, series)
    if image.is_dir() and (files := structure_files(image, label)):
        return list(files.values())
    parts = label if isinstance(label, tuple) else (label,)
    table = find_table(image) if any(isinstance(part, str) for part in parts) and not image.is_dir() else None
    tables = [] if table is None else [table]
    name = _data_file(image) if image.suffix.lower() in _HEADERS and not image.is_dir() else None
    if name is None or name == "LOCAL":
        return [image, *tables]
    data = image.parent / name
    # a list or a pattern of files: any file of the folder may be one of them
    return [image, data if data.is_file() else image.parent, *tables]


def _data_file(image: Path) -> str | None:
    """What the header calls its data file; None where the voxels follow."""
    with image.open("rb") as stream:
        for line in stream:
            if not line.strip():
                break  # the end of a NRRD header
            if named := _NAMED.match(line):
                return named[1].decode("utf-8", "replace")
    return None
