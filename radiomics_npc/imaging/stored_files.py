"""Which files hold an image: a header may keep its voxels in another one."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["stored_files"]


def stored_files(image: Path) -> list[Path]:
    """All files, or folders of files, that the voxels of an image or mask come from.

    Parameters
    ----------
    image : Path
        A file, or the folder of a DICOM series.

    Returns
    -------
    list of Path
        The image itself, and what a NRRD or MetaImage header names beside it.

    Examples
    --------
    >>> [p.name for p in stored_files(Path("001/T1.nii.gz"))]
    ['T1.nii.gz']
    """
    if image.suffix.lower() not in (".nhdr", ".mhd"):
        return [image]
    text = image.read_bytes().decode("latin-1")
    named = re.search(r"^(?:data ?file:|ElementDataFile\s*=)\s*(.+?)\s*$", text, re.MULTILINE | re.IGNORECASE)
    name = named[1].encode("latin-1").decode("utf-8", "replace") if named else ""
    data = image.parent / name
    # a list or a pattern of files: any file of the folder may be one of them
    return [image, data if data.is_file() else image.parent]
