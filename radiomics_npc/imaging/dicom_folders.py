"""Which files of a folder are of one DICOM series, found once for all series of a large folder."""

from __future__ import annotations

import os
import re
import warnings
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from radiomics_npc.cohort.dicom_headers import is_image
from radiomics_npc.errors import ImageError
from radiomics_npc.imaging.dicom_stack import EXPORT

__all__ = ["ListedFile", "all_files", "list_series", "read_header", "series_files"]

#: Names of files that stand for images although they may lack ``.dcm``: none, .IMA, .MR, .123 of a UID.
_MAYBE: Final = re.compile(r"\.(dcm|dicom|ima|img|mr|\d+)", re.IGNORECASE)
_WHOSE: Final = [
    "SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "SeriesDescription", "ImagePositionPatient",
]  # fmt: skip


@dataclass(frozen=True)
class ListedFile:
    """A DICOM file of a folder: whose it is, whether it is an image, or what is wrong with it."""

    path: Path
    series: str = ""
    description: str = ""
    image: bool = False
    fault: str = ""


def all_files(folder: Path) -> list[Path]:
    """Files in and below a folder that may be DICOM, in the order of their paths."""
    return sorted(
        Path(parent, name)
        for parent, _, names in os.walk(folder)
        for name in names
        if not name.startswith(".") and name.upper() != "DICOMDIR"
    )


def read_header(file: Path, tags: list[str], *, alone: bool = True, pixels: bool = True) -> Any | None:
    """Read elements of a file; None where it is no DICOM and does not look like a lost slice.

    Parameters
    ----------
    file : Path
    tags : list of str
    alone : bool
        The folder is that of one series, so that files without suffix are slices; in a whole tree they
        may be anything.
    pixels : bool
        Read on where they begin.

    Raises
    ------
    ImageError
        The file is damaged, or no DICOM under the name of one.
    """
    import pydicom
    from pydicom.errors import InvalidDicomError

    try:
        header = pydicom.dcmread(file, specific_tags=tags, stop_before_pixels=not pixels)
    except InvalidDicomError as invalid:
        if file.suffix.lower() == ".dcm" or (alone and _MAYBE.fullmatch(file.suffix or ".1")):
            raise ImageError(f"{file.name} is no DICOM file, or is damaged", EXPORT) from invalid
        return None
    if not len(header):  # pydicom takes compressed pixels that end early for a file without elements
        raise ImageError(f"{file.name} is damaged or truncated (nothing in it can be read)", EXPORT)
    return header


def list_series(path: Path) -> tuple[ListedFile, ...]:
    """List the DICOM files in and below a folder, or of one file, by their headers.

    As long as names, sizes and times of the files stay, headers are read once, whatever many series are
    asked for: a folder with all images of a cohort would else be read once for each of them.

    Parameters
    ----------
    path : Path

    Returns
    -------
    tuple of ListedFile
    """
    files = all_files(path) if path.is_dir() else [path]
    return _listed(tuple((str(file), *_state(file)) for file in files))


def _state(file: Path) -> tuple[int, int]:
    found = file.stat()
    return found.st_size, found.st_mtime_ns


def series_files(path: Path, series: str) -> list[Path]:
    """Files of a series in and below a folder.

    Parameters
    ----------
    path : Path
    series : str
        SeriesInstanceUID.

    Returns
    -------
    list of Path
        Copies of an image as well.

    Raises
    ------
    ImageError
        A file cannot be read, and might be of this series.
    """
    listed = list_series(path)
    if fault := next((file.fault for file in listed if file.fault), None):
        raise ImageError(fault, EXPORT)
    return [file.path for file in listed if file.series == series]


@lru_cache(maxsize=8)
def _listed(files: tuple[tuple[str, int, int], ...]) -> tuple[ListedFile, ...]:
    with warnings.catch_warnings():
        # pydicom warns of odd values in elements that are not used here
        warnings.simplefilter("ignore")
        found = [_one(Path(name)) for name, _, _ in files]
    return tuple(file for file in found if file is not None)


def _one(file: Path) -> ListedFile | None:
    try:
        header = read_header(file, _WHOSE, alone=False, pixels=False)
        if header is None:
            return None
        uid = str(header.get("SeriesInstanceUID") or "")
        if not uid:
            return ListedFile(file, fault=f"{file.name} is damaged or truncated (no SeriesInstanceUID)")
        return ListedFile(file, uid, str(header.get("SeriesDescription") or "").strip(), is_image(header))
    except ImageError as error:
        return ListedFile(file, fault=error.message)
    except Exception as error:  # noqa: BLE001
        # damaged files make pydicom fail in many ways (EOFError, KeyError, ...): all mean the same
        return ListedFile(file, fault=f"{file.name} is damaged or truncated ({type(error).__name__})")
