"""Acquisition parameters from the headers of one series: classic or enhanced DICOM, or bare geometry.

Nothing that could name a patient is read: no description, no protocol name, no date, no station, no serial
number.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from statistics import median_low
from typing import Any, Final

import numpy as np

from radiomics_npc.cohort.dicom_headers import FRAME_GROUPS, functional_group, plane_of
from radiomics_npc.dataset.file_geometry import field_of_view, read_geometry
from radiomics_npc.errors import ImageError
from radiomics_npc.imaging.dicom import is_series
from radiomics_npc.imaging.dicom_folders import series_files

__all__ = ["COLUMNS", "read_headers"]

#: The authors' columns in their names (ms, mm, degrees), then what else tells protocols apart.
COLUMNS: Final = (
    "echo_time", "repetition_time", "pixel_spacing", "spacing_between_slices", "slice_thickness",
    "scanner_device_name", "flip_angle", "field_of_view", "matrix_rows", "matrix_columns",
    "magnetic_field_strength", "manufacturer", "slices", "slice_distance_mm", "orientation",
    "scanning_sequence", "acquisition_type", "echo_train_length", "fat_saturation", "contrast_agent",
    "format", "remarks",
)  # fmt: skip
_NUMBERS: Final = {
    "echo_time": "EchoTime", "repetition_time": "RepetitionTime", "flip_angle": "FlipAngle",
    "spacing_between_slices": "SpacingBetweenSlices", "slice_thickness": "SliceThickness",
    "magnetic_field_strength": "MagneticFieldStrength", "echo_train_length": "EchoTrainLength",
    "matrix_rows": "Rows", "matrix_columns": "Columns",
}  # fmt: skip
_WORDS: Final = {
    "scanner_device_name": "ManufacturerModelName", "manufacturer": "Manufacturer",
    "scanning_sequence": "ScanningSequence", "acquisition_type": "MRAcquisitionType",
}  # fmt: skip
# where the functional groups of an enhanced image keep the same numbers
_GROUPS: Final = {
    "echo_time": ("MREchoSequence", "EffectiveEchoTime"),
    "repetition_time": ("MRTimingAndRelatedParametersSequence", "RepetitionTime"),
    "flip_angle": ("MRTimingAndRelatedParametersSequence", "FlipAngle"),
    "echo_train_length": ("MRTimingAndRelatedParametersSequence", "EchoTrainLength"),
    "spacing_between_slices": ("PixelMeasuresSequence", "SpacingBetweenSlices"),
    "slice_thickness": ("PixelMeasuresSequence", "SliceThickness"),
}
_TAGS: Final = [
    *_NUMBERS.values(), *_WORDS.values(), "SeriesInstanceUID", "PixelSpacing", "ImagePositionPatient",
    "ImageOrientationPatient", "ScanOptions", "ContrastBolusAgent", "ContrastBolusAgentSequence",
    "EchoPulseSequence", *FRAME_GROUPS,
]  # fmt: skip
_FAT: Final = ("FS", "FATSAT", "FAT_SAT", "FAT-SAT", "SPIR", "SPAIR", "STIR")
_ONE_PLACE_MM = 1e-3  # slices nearer than this lie at one place: further echoes or time points
_SAME = 0.01  # share by which a value may differ within a series, and a header from its positions


def read_headers(image: Path, series: str | None = None) -> dict[str, Any]:
    """Acquisition parameters of one series.

    Parameters
    ----------
    image : Path
        Folder of DICOM files, a DICOM file of several frames, or a NIfTI, NRRD or MetaImage file, whose
        geometry is read, and the JSON file beside it, if there is one (as dcm2niix writes it).
    series : str, optional
        SeriesInstanceUID, where a folder holds several.

    Returns
    -------
    dict
        By :data:`COLUMNS`; None where the file does not say. ``slice_distance_mm`` is measured from the
        positions of the slices, ``spacing_between_slices`` is what the header says; ``remarks`` says where
        they differ, and which values vary within the series (the lower median is given).

    Raises
    ------
    ImageError
        The file is absent or damaged, or there is no image of this series.
    """
    if not image.exists():
        raise ImageError(f"{image.name} does not exist", "Check the path, or the name in the manifest.")
    return _dicom(image, series) if is_series(image) else dict.fromkeys(COLUMNS) | read_geometry(image)


def _dicom(image: Path, series: str | None) -> dict[str, Any]:
    frames: list[dict[str, Any]] = []
    for file in _files(image, series):
        header = _header(file)
        if header is not None and header.get("Rows") is not None:
            frames += _frames(header)
    counted = Counter(frame["series"] for frame in frames)
    wanted = series or (counted.most_common(1)[0][0] if counted else "")
    kept = [frame for frame in frames if frame["series"] == wanted]
    if not kept:
        raise ImageError(f"{image.name} holds no image with a readable header", "Export the series again.")
    remarks = []
    if len(counted) > 1 and series is None:
        remarks.append(f"{len(counted)} series in the folder, the largest was read")
    return _summary(kept, remarks)


def _files(image: Path, series: str | None) -> list[Path]:
    if series is not None:
        return series_files(image, series)
    if image.is_file():
        return [image]
    files = sorted(p for p in image.iterdir() if p.is_file() and not p.name.startswith("."))
    return [p for p in files if p.suffix.lower() == ".dcm"] or [p for p in files if p.name != "DICOMDIR"]


def _header(file: Path) -> Any:
    """The tags that are read here; None for a file that is no DICOM."""
    import pydicom
    from pydicom.errors import InvalidDicomError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd values in elements: what is used is checked below
            return pydicom.dcmread(file, specific_tags=_TAGS, stop_before_pixels=True)
    except InvalidDicomError:
        return None
    except Exception as error:
        # damaged files make pydicom fail in many ways: all mean the same
        raise ImageError(f"{file.name} is damaged ({type(error).__name__})", "Export it again.") from error


def _frames(header: Any) -> list[dict[str, Any]]:
    """One record a slice."""
    try:
        common: dict[str, Any] = {"series": str(header.get("SeriesInstanceUID", ""))}
        common |= {name: _number(header.get(tag)) for name, tag in _NUMBERS.items()}
        common |= {name: _word(header.get(tag)) for name, tag in _WORDS.items()}
        common |= {"contrast_agent": _contrast(header), "format": "DICOM"}
        if not header.get(FRAME_GROUPS[1]):
            options = header.get("ScanOptions", "absent")
            fat = None if options == "absent" else _suppressed(options)
            return [common | {"fat_saturation": fat} | _place(header, header)]
        common |= {"format": "DICOM, enhanced", "scanning_sequence": _word(header.get("EchoPulseSequence"))}
        return [
            common | _of_groups(header, frame, common) for frame in range(len(header[FRAME_GROUPS[1]].value))
        ]
    except (AttributeError, IndexError, TypeError, ValueError) as error:
        raise ImageError("a header holds a value of another kind", "Export the series again.") from error


def _of_groups(header: Any, frame: int, common: dict[str, Any]) -> dict[str, Any]:
    def group(name: str) -> Any:
        return functional_group(header, frame, name) or {}

    found: dict[str, Any] = {name: _number(group(where).get(tag)) for name, (where, tag) in _GROUPS.items()}
    found = {name: common[name] if value is None else value for name, value in found.items()}
    suppressed = _word(group("MRModifierSequence").get("SpectrallySelectedSuppression"))
    found["fat_saturation"] = None if not suppressed else "no" if suppressed == "NONE" else "yes"
    place = {
        "ImagePositionPatient": group("PlanePositionSequence").get("ImagePositionPatient"),
        "ImageOrientationPatient": group("PlaneOrientationSequence").get("ImageOrientationPatient"),
    }
    return found | _place(place, group("PixelMeasuresSequence"))


def _place(place: Any, measures: Any) -> dict[str, Any]:
    spacing = measures.get("PixelSpacing")
    position, orientation = place.get("ImagePositionPatient"), place.get("ImageOrientationPatient")
    return {
        "rows_mm": None if not spacing else float(spacing[0]),
        "columns_mm": None if not spacing else float(spacing[1]),
        "position": None if not position else np.array(position, dtype=float),
        "cosines": None if not orientation else np.array(orientation, dtype=float),
    }


def _number(value: Any) -> float | None:
    return None if value in (None, "") else float(value)


def _word(value: Any) -> str | None:
    """Text of a value, several joined as DICOM does; None where nothing stands."""
    text = "" if value is None else value if isinstance(value, str) else "\\".join(map(str, value))
    return text.strip() or None


def _suppressed(options: Any) -> str:
    words = {w.strip().upper() for w in (_word(options) or "").split("\\")}
    return "yes" if any(word in _FAT or word.startswith("FAT") for word in words) else "no"


def _contrast(header: Any) -> str | None:
    named = _word(header.get("ContrastBolusAgent"))
    coded = header.get("ContrastBolusAgentSequence")
    return named or (_word(coded[0].get("CodeMeaning")) if coded else None)


def _summary(frames: list[dict[str, Any]], remarks: list[str]) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for name in (*_NUMBERS, "rows_mm", "columns_mm"):
        row[name] = _median([f[name] for f in frames], name, remarks)
    for name in (*_WORDS, "fat_saturation", "contrast_agent", "format"):
        row[name] = _usual([f[name] for f in frames], name, remarks)
    row["pixel_spacing"] = row["rows_mm"]
    row |= _stack(frames, remarks)
    said, measured = row["spacing_between_slices"], row["slice_distance_mm"]
    if said is not None and measured is not None and abs(said - measured) > _SAME * measured:
        remarks.append(f"the header says {said:g} mm between slices, their positions {measured:.4g} mm")
    if row["matrix_rows"] and row["rows_mm"]:
        row["field_of_view"] = field_of_view(
            row["matrix_columns"] * row["columns_mm"], row["matrix_rows"] * row["rows_mm"]
        )
    row["remarks"] = "; ".join(remarks)
    return {name: row.get(name) for name in COLUMNS}


def _median(values: Iterable[float | None], name: str, remarks: list[str]) -> float | None:
    known = [v for v in values if v is not None]
    if not known:
        return None
    low, high = min(known), max(known)
    if high - low > _SAME * max(abs(low), abs(high)):
        remarks.append(f"{name} varies within the series ({low:g} to {high:g})")
    return median_low(known)  # a value that occurs: the mean of two echoes is none


def _usual(values: Iterable[str | None], name: str, remarks: list[str]) -> str | None:
    counted = Counter(v for v in values if v is not None)
    if len(counted) > 1:
        remarks.append(f"{name} varies within the series")
    return counted.most_common(1)[0][0] if counted else None


def _stack(frames: list[dict[str, Any]], remarks: list[str]) -> dict[str, Any]:
    """How many slices, how far apart along their normal, and which way they are cut."""
    placed = [f for f in frames if f["position"] is not None and f["cosines"] is not None]
    if not placed:
        return {"slices": len(frames), "slice_distance_mm": None, "orientation": None}
    normal = np.cross(placed[0]["cosines"][:3], placed[0]["cosines"][3:])
    steps = np.diff(np.sort([float(f["position"] @ normal) for f in placed]))
    steps = steps[steps > _ONE_PLACE_MM]
    distance = round(float(np.median(steps)), 6) if len(steps) else None  # what is beyond is rounding
    if len(steps) and steps.max() - steps.min() > _SAME * steps.max():
        remarks.append(f"slices lie {steps.min():.4g} to {steps.max():.4g} mm apart")
    plane = plane_of(placed[0]["cosines"])
    return {"slices": len(steps) + 1, "slice_distance_mm": distance, "orientation": plane}
