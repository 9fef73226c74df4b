"""Geometry of NIfTI, NRRD and MetaImage files, and the parameters that dcm2niix writes beside them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from radiomics_npc.cohort.dicom_headers import plane_of
from radiomics_npc.errors import ImageError

__all__ = ["field_of_view", "read_geometry"]

_SIDECAR: Final = {
    "echo_time": ("EchoTime", 1000.0), "repetition_time": ("RepetitionTime", 1000.0),
    "flip_angle": ("FlipAngle", 1.0), "magnetic_field_strength": ("MagneticFieldStrength", 1.0),
    "slice_thickness": ("SliceThickness", 1.0), "spacing_between_slices": ("SpacingBetweenSlices", 1.0),
    "echo_train_length": ("EchoTrainLength", 1.0),
    "scanner_device_name": ("ManufacturersModelName", None), "manufacturer": ("Manufacturer", None),
}  # fmt: skip


def field_of_view(width: float, height: float) -> str:
    """Write a field of view, in mm, as the data set does.

    Examples
    --------
    >>> field_of_view(219.99872, 220.0)
    '220x220'
    """
    return f"{round(width, 1):g}x{round(height, 1):g}"


def read_geometry(image: Path) -> dict[str, Any]:
    """Geometry of an image, and what the JSON file beside it says.

    Parameters
    ----------
    image : Path
        NIfTI, NRRD or MetaImage; its header alone is read.

    Returns
    -------
    dict
        Columns of :data:`radiomics_npc.dataset.series_headers.COLUMNS` that are known.

    Raises
    ------
    ImageError
        The file or the JSON file is damaged, or it is no 3D image.
    """
    import SimpleITK as sitk

    reader = sitk.ImageFileReader()
    reader.SetFileName(str(image))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:  # ITK's message is a page long and holds the absolute path
        raise ImageError(f"{image.name} cannot be read", "Export or convert it again.") from error
    size, spacing, direction = reader.GetSize(), reader.GetSpacing(), reader.GetDirection()
    if len(size) < 3:
        raise ImageError(f"{image.name} is no 3D image", "Give one volume a file.")
    axis = len(size) if len(size) > 3 else 3
    row: dict[str, Any] = {
        "pixel_spacing": spacing[1], "matrix_rows": float(size[1]), "matrix_columns": float(size[0]),
        "slices": size[2], "slice_distance_mm": spacing[2],
        "field_of_view": field_of_view(size[0] * spacing[0], size[1] * spacing[1]),
        "orientation": plane_of(np.array(direction).reshape(axis, axis)[:3, :2].T.ravel()),
        "format": image.name.lower().removesuffix(".gz").rpartition(".")[2], "remarks": "",
    }  # fmt: skip
    return row | dict(_sidecar(image))


def _sidecar(image: Path) -> Iterator[tuple[str, Any]]:
    """What the JSON file of the same name says; times there are in seconds."""
    file = image.with_name(image.name.removesuffix(".gz").rpartition(".")[0] + ".json")
    if not file.is_file():
        return
    try:
        content = json.loads(file.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise ImageError(
            f"{file.name} is damaged", "Convert the series again, or remove the file."
        ) from error
    for name, (key, factor) in _SIDECAR.items():
        value = content.get(key) if isinstance(content, dict) else None
        if factor is None and isinstance(value, str):
            yield name, value.strip() or None
        elif factor is not None and isinstance(value, int | float) and not isinstance(value, bool):
            yield name, round(factor * value, 6)
