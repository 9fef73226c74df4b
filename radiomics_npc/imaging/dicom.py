"""A DICOM series to a volume: the right files, and their slices in the order of their positions in space."""

from __future__ import annotations

import re
import warnings
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from radiomics_npc.cohort.dicom_headers import is_image
from radiomics_npc.errors import ImageError
from radiomics_npc.imaging.dicom_folders import list_series, read_header, series_files
from radiomics_npc.imaging.dicom_slices import PIXEL_TAGS, slices_of
from radiomics_npc.imaging.dicom_stack import EXPORT, Slice, stack_slices
from radiomics_npc.imaging.volume import Volume

__all__ = ["is_series", "read_series"]

_WHOSE = ["SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "SeriesDescription"]


def read_series(path: Path, series: str | None = None) -> Volume:
    """Read a DICOM series.

    Slices are ordered by the projection of their position on the slice normal,
    never by file name or instance number; the distance between them comes from
    the positions, not from the slice thickness. Rescale slope and intercept are
    applied, of each slice its own. What is no image (contours, reports,
    presentation states, screen shots) is passed over.

    Parameters
    ----------
    path : Path
        A folder: all its ``*.dcm`` files are read, or, where there is none, all
        files. Or one file of several frames (enhanced MR or CT).
    series : str, optional
        SeriesInstanceUID. Files of other series are passed over, and so are
        copies of an image; the folders in ``path`` are searched, too.

    Returns
    -------
    Volume
        Stored integers where the rescale is 1 and 0, else float64.

    Raises
    ------
    ImageError
        Naming the file: damaged or truncated, color, several frames that do not
        say where they lie; several series and none chosen; several stacks,
        echoes, times, orientations or sizes; two slices at one place; a slice
        missing (spacing may vary by 2%); slices leaning sideways by more than
        0.1 mm.
    """
    path = Path(path)
    files = _files(path) if series is None else series_files(path, series)
    found = _Found(path, series)
    with warnings.catch_warnings():
        # pydicom warns of odd values in elements that are not used here; what is used is checked
        warnings.simplefilter("ignore")
        for file in files:
            try:
                found.add(file)
            except ImageError:
                raise
            except Exception as error:
                # damaged files make pydicom fail in many ways (EOFError, KeyError, ...): all mean the same
                reason = f"is damaged or truncated ({type(error).__name__})"
                raise ImageError(f"{file.name} {reason}", EXPORT) from error
    return stack_slices(found.require_one_series(), path.name)


def _files(folder: Path) -> list[Path]:
    if folder.is_file():
        return [folder]
    files = sorted(p for p in folder.iterdir() if p.is_file() and not p.name.startswith("."))
    files = [p for p in files if p.suffix.lower() == ".dcm"] or [
        p for p in files if p.name.upper() != "DICOMDIR"
    ]
    if not files:
        raise ImageError(f"folder {folder.name} holds no files", "Export the series into it.")
    return files


@dataclass
class _Found:
    """What has been read so far."""

    path: Path
    wanted: str | None
    slices: list[Slice] = field(default_factory=list)
    #: Names of files and one description, by series.
    files: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    descriptions: dict[str, str] = field(default_factory=dict)
    passed: list[ImageError] = field(default_factory=list)
    instances: set[tuple[object, ...]] = field(default_factory=set)

    def add(self, file: Path) -> None:
        """Read a file."""
        header = read_header(file, [*_WHOSE, *PIXEL_TAGS])
        if header is None:
            self.passed.append(ImageError(f"{file.name} is no DICOM file, or is damaged", EXPORT))
            return
        if not is_image(header):
            self.passed.append(ImageError(f"{file.name} is no image with a place in space", EXPORT))
            return
        self._note(header, file)
        # of a mixed folder nothing but the names is needed any more
        if self.wanted is not None or len(self.files) == 1:
            slices = slices_of(header, file.name)
            if self.wanted is None or not self._is_copy(header, slices):
                self.slices += slices

    def _is_copy(self, header: Any, slices: list[Slice]) -> bool:
        """Whether the same object was read from another place of the tree."""
        instance = str(header.get("SOPInstanceUID") or "")
        key = (instance, *(tuple(s.position) for s in slices))
        copy = bool(instance) and key in self.instances
        self.instances.add(key)
        return copy

    def require_one_series(self) -> list[Slice]:
        """Return the slices, or say which series there are."""
        if self.wanted is not None:
            if not self.slices:
                for listed in list_series(self.path):
                    if listed.image and listed.series != self.wanted:
                        self.files[listed.series].append(listed.path.name)
                        self.descriptions.setdefault(listed.series, listed.description)
                raise ImageError(
                    f"folder {self.path.name} holds no images of the series that was asked for"
                    f"{self._listed()}",
                    "See which series there are with index_dicom, or export it again.",
                )
            return self.slices
        if len(self.files) > 1:
            parts = sorted(self.files.values(), key=len, reverse=True)
            sizes = " and ".join(str(len(part)) for part in parts)
            raise ImageError(
                f"folder {self.path.name} mixes {len(self.files)} series"
                f" ({sizes} files; {parts[-1][0]} is of the smallest){self._listed()}",
                "Choose one by its SeriesInstanceUID, or keep the files of one series.",
            )
        if not self.slices:
            raise self.passed[0]
        return self.slices

    def _listed(self) -> str:
        shown = [
            f"{self.descriptions[uid] or 'no description'} ({len(files)})"
            for uid, files in sorted(self.files.items(), key=lambda item: len(item[1]), reverse=True)
        ]
        return f": {'; '.join(shown)}" if shown else ""

    def _note(self, header: Any, file: Path) -> None:
        uid = str(header.get("SeriesInstanceUID") or "")
        self.files[uid].append(file.name)
        self.descriptions.setdefault(uid, str(header.get("SeriesDescription") or "").strip())


def is_series(path: Path) -> bool:
    """Whether a path is meant as a DICOM series: a folder, or a name without image suffix."""
    return path.is_dir() or re.search(r"\.(nii|nii\.gz|nrrd|nhdr|mha|mhd)$", path.name, re.IGNORECASE) is None
