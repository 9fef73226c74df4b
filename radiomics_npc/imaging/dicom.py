"""A DICOM series to a volume: slices in the order of their positions in space."""

from __future__ import annotations

import re
import warnings
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radiomics_npc.errors import ImageError
from radiomics_npc.imaging.volume import Volume

__all__ = ["read_series"]

#: Direction cosines of slices may differ by this much (about 0.006 degrees).
_DIRECTION_TOLERANCE = 1e-4
#: Distances between slices may differ by this share of their mean, for rounded positions.
_GAP_TOLERANCE = 0.02
#: A stack may lean sideways by this much from one end to the other.
_LEAN_TOLERANCE_MM = 0.1

_TAGS = [
    "SeriesInstanceUID", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "Rows", "Columns",
    "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "SamplesPerPixel",
    "PhotometricInterpretation", "NumberOfFrames", "RescaleSlope", "RescaleIntercept", "PixelData",
]  # fmt: skip
_CONVERT = "Convert the series to NIfTI (for example with dcm2niix) and name that file."
_EXPORT = "Export the series again."


@dataclass(frozen=True)
class _Slice:
    """One file: pixels, and where they lie."""

    name: str
    series: str
    position: NDArray[np.float64]
    orientation: NDArray[np.float64]
    spacing: tuple[float, float]
    pixels: NDArray[Any]


def read_series(folder: Path) -> Volume:
    """Read the one DICOM series in a folder.

    Slices are ordered by the projection of their position on the slice normal,
    never by file name or instance number; the distance between them comes from
    the positions, not from the slice thickness. Rescale slope and intercept are
    applied.

    Parameters
    ----------
    folder : Path
        All ``*.dcm`` files are read, or, where there is none, all files.

    Returns
    -------
    Volume
        Stored integers where the rescale is 1 and 0, else float64.

    Raises
    ------
    ImageError
        Naming the file: damaged or truncated, color, several frames; several
        series, orientations or sizes; two slices at one place; a slice missing
        (spacing may vary by 2%); slices leaning sideways by more than 0.1 mm.
    """
    files = _series_files(folder)
    slices = [_read_slice(file) for file in files]
    _require_one_series(slices, folder.name)
    normal = _require_one_grid(slices)
    along = np.array([s.position @ normal for s in slices])
    order = np.argsort(along, kind="stable")
    slices, along = [slices[i] for i in order], along[order]
    step = _require_even_steps(slices, along)
    first = slices[0]
    lean = np.array([s.position - first.position for s in slices]) - np.outer(along - along[0], normal)
    if np.abs(lean).max() > _LEAN_TOLERANCE_MM:
        far = slices[int(np.abs(lean).max(axis=1).argmax())].name
        raise ImageError(
            f"slices of {folder.name} lean sideways by {np.abs(lean).max():.2f} mm at {far} (gantry tilt)",
            _CONVERT,
        )
    direction = np.column_stack([first.orientation[:3], first.orientation[3:], normal])
    return Volume(
        np.stack([s.pixels for s in slices]),
        (first.spacing[1], first.spacing[0], step),
        (float(first.position[0]), float(first.position[1]), float(first.position[2])),
        tuple(float(x) for x in direction.ravel()),
    )


def _series_files(folder: Path) -> list[Path]:
    files = sorted(p for p in folder.iterdir() if p.is_file() and not p.name.startswith("."))
    files = [p for p in files if p.suffix.lower() == ".dcm"] or [p for p in files if p.name != "DICOMDIR"]
    if not files:
        raise ImageError(f"folder {folder.name} holds no files", "Export the series into it.")
    if len(files) == 1:
        raise ImageError(f"folder {folder.name} holds one file, a series needs several slices", _CONVERT)
    return files


def _read_slice(file: Path) -> _Slice:
    import pydicom
    from pydicom.errors import InvalidDicomError

    try:
        with warnings.catch_warnings():
            # pydicom warns of odd values in elements that are not used here; what is used is checked below
            warnings.simplefilter("ignore")
            header = pydicom.dcmread(file, specific_tags=_TAGS)
            return _as_slice(header, file.name)
    except ImageError:
        raise
    except InvalidDicomError as error:
        raise ImageError(f"{file.name} is no DICOM file, or is damaged", _EXPORT) from error
    except Exception as error:
        # damaged files make pydicom fail in many ways (EOFError, KeyError, ...): all mean the same
        raise ImageError(f"{file.name} is damaged or truncated ({type(error).__name__})", _EXPORT) from error


def _as_slice(header: Any, name: str) -> _Slice:
    if int(header.get("NumberOfFrames") or 1) > 1:
        raise ImageError(f"{name} holds several frames", _CONVERT)
    if int(header.get("SamplesPerPixel") or 1) != 1:
        raise ImageError(f"{name} is a color image", "Export the original gray images.")
    needed = [
        "ImagePositionPatient",
        "ImageOrientationPatient",
        "PixelSpacing",
        "Rows",
        "Columns",
        "PixelData",
    ]
    absent = [tag for tag in needed if header.get(tag) is None]
    if absent == ["PixelData"]:
        raise ImageError(f"{name} has no pixels: truncated, or no image", _EXPORT)
    if absent:
        raise ImageError(f"{name} lacks {', '.join(absent)}", "Export the original images, not derived ones.")
    orientation = np.array(header.ImageOrientationPatient, dtype=float)
    row, column = orientation[:3], orientation[3:]
    if not np.allclose([row @ row, column @ column, row @ column], [1, 1, 0], atol=_DIRECTION_TOLERANCE):
        raise ImageError(f"{name}: ImageOrientationPatient is no pair of perpendicular unit vectors", _EXPORT)
    spacing = (float(header.PixelSpacing[0]), float(header.PixelSpacing[1]))
    position = np.array(header.ImagePositionPatient, dtype=float)
    if min(spacing) <= 0 or not np.isfinite([*position, *spacing]).all():
        raise ImageError(f"{name}: position or pixel spacing is not valid", _EXPORT)
    return _Slice(
        name, str(header.get("SeriesInstanceUID", "")), position, orientation, spacing, _pixels(header, name)
    )


def _pixels(header: Any, name: str) -> NDArray[Any]:
    syntax = header.file_meta.TransferSyntaxUID
    if syntax.is_compressed and not syntax.is_deflated:
        try:
            pixels = header.pixel_array
        except Exception as error:
            # decoders come from outside and fail in their own ways
            raise ImageError(
                f"{name} is damaged, or its compression ({syntax.name}) is not supported", _CONVERT
            ) from error
    else:
        wanted = int(header.Rows) * int(header.Columns) * int(header.BitsAllocated) // 8
        if len(header.PixelData) < wanted:
            missing = wanted - len(header.PixelData)
            raise ImageError(
                f"{name} is truncated: {missing} of {wanted} bytes of its pixels are missing", _EXPORT
            )
        pixels = header.pixel_array
    slope, intercept = header.get("RescaleSlope"), header.get("RescaleIntercept")
    slope = 1.0 if slope is None else float(slope)
    intercept = 0.0 if intercept is None else float(intercept)
    return pixels if (slope, intercept) == (1.0, 0.0) else pixels * slope + intercept


def _require_one_series(slices: list[_Slice], folder: str) -> None:
    series = defaultdict(list)
    for s in slices:
        series[s.series].append(s.name)
    if len(series) > 1:
        parts = sorted(series.values(), key=len, reverse=True)
        sizes = " and ".join(str(len(part)) for part in parts)
        raise ImageError(
            f"folder {folder} mixes {len(series)} series ({sizes} files; {parts[-1][0]} is of the smallest)",
            "Keep the files of one series.",
        )


def _require_one_grid(slices: list[_Slice]) -> NDArray[np.float64]:
    """Refuse slices of different orientation, size or pixel spacing; return the slice normal."""
    middle = slices[len(slices) // 2]
    for s in slices:
        if np.abs(s.orientation - middle.orientation).max() > _DIRECTION_TOLERANCE:
            raise ImageError(
                f"{s.name} is oriented otherwise than {middle.name}", "Keep the slices of one series."
            )
        if s.pixels.shape != middle.pixels.shape or not np.allclose(
            s.spacing, middle.spacing, rtol=1e-5, atol=0
        ):
            raise ImageError(
                f"{s.name} has another matrix or pixel spacing than {middle.name}",
                "Keep the slices of one series.",
            )
    normal = np.cross(middle.orientation[:3], middle.orientation[3:])
    return np.asarray(normal / np.linalg.norm(normal))


def _require_even_steps(slices: list[_Slice], along: NDArray[np.float64]) -> float:
    """Refuse two slices at one place and missing slices; return the distance between neighbors."""
    steps = np.diff(along)
    usual = float(np.median(steps))
    same = np.flatnonzero(steps < max(_GAP_TOLERANCE * usual, 1e-3))
    if same.size:
        i = int(same[0])
        raise ImageError(
            f"{slices[i].name} and {slices[i + 1].name} lie at the same place",
            "Remove duplicates, or keep one echo or time point.",
        )
    off = np.abs(steps - usual)
    if off.max() > _GAP_TOLERANCE * usual:
        i = int(off.argmax())
        lacking = round(steps[i] / usual) - 1
        what = (
            f"{lacking} slices are missing"
            if lacking > 1
            else "a slice is missing"
            if lacking == 1
            else "uneven steps"
        )
        raise ImageError(
            f"{what} between {slices[i].name} and {slices[i + 1].name}"
            f" ({steps[i]:.3f} mm apart, elsewhere {usual:.3f})",
            "Export the whole series again.",
        )
    return float((along[-1] - along[0]) / (len(along) - 1))


def is_series(path: Path) -> bool:
    """Whether a path is meant as a DICOM series: a folder, or a name without image suffix."""
    return path.is_dir() or re.search(r"\.(nii|nii\.gz|nrrd|nhdr|mha|mhd)$", path.name, re.IGNORECASE) is None
