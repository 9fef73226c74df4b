"""The slices in one DICOM file: one of a single image, many of an enhanced multi-frame object."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radiomics_npc.cohort.dicom_headers import FRAME_GROUPS, functional_group
from radiomics_npc.errors import ImageError
from radiomics_npc.imaging.dicom_stack import CONVERT, DIRECTION_TOLERANCE, EXPORT, Slice

__all__ = ["PIXEL_TAGS", "slices_of"]

#: What must be read of a file to make slices of it.
PIXEL_TAGS = [
    "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "Rows", "Columns", "BitsAllocated",
    "BitsStored", "HighBit", "PixelRepresentation", "SamplesPerPixel", "PhotometricInterpretation",
    "NumberOfFrames", "RescaleSlope", "RescaleIntercept", "ModalityLUTSequence", *FRAME_GROUPS, "PixelData",
    "ExtendedOffsetTable", "ExtendedOffsetTableLengths",
]  # fmt: skip
_PLACE = {
    "ImagePositionPatient": "PlanePositionSequence",
    "ImageOrientationPatient": "PlaneOrientationSequence",
    "PixelSpacing": "PixelMeasuresSequence",
}


def slices_of(header: Any, name: str) -> list[Slice]:
    """Make slices of a file.

    Parameters
    ----------
    header : pydicom.Dataset
        With pixels.
    name : str
        Of the file, for messages.

    Returns
    -------
    list of Slice
        In the order of the frames, which need not be that of their places.
        Values are as stored where the rescale is 1 and 0, else float64. Where
        the lowest value is meant to be white (MONOCHROME1, PS3.3 C.7.6.3.1.2)
        they are turned around within the bits stored, so that what is seen
        bright is high, as in other images and as ITK does.

    Raises
    ------
    ImageError
        No pixels, no position, color, or frames that do not say where they lie.
    """
    enhanced = FRAME_GROUPS[1] in header
    frames = int(header.get("NumberOfFrames") or 1)
    if frames > 1 and not enhanced:
        raise ImageError(f"{name} holds several frames and does not say where each lies", CONVERT)
    if (
        int(header.get("SamplesPerPixel") or 1) != 1
        or header.get("PhotometricInterpretation") == "PALETTE COLOR"
    ):
        raise ImageError(f"{name} is a color image", "Export the original gray images.")
    if not enhanced:
        place = {tag: header.get(tag) for tag in _PLACE}
        _require_all(header, place, name)
        return [_slice(place, _rescaled(_pixels(header, name), header, header), name, _kind(header, None))]
    described = len(header[FRAME_GROUPS[1]].value or [])
    if described != frames:
        raise ImageError(f"{name} holds {frames} frames and describes {described}", EXPORT)
    places = [
        {tag: (functional_group(header, i, group) or header).get(tag) for tag, group in _PLACE.items()}
        for i in range(frames)
    ]
    _require_all(header, {tag: _first_missing(places, tag) for tag in _PLACE}, name)
    stored = _pixels(header, name).reshape(frames, int(header.Rows), int(header.Columns))
    return [
        _slice(
            place,
            _rescaled(
                stored[i], functional_group(header, i, "PixelValueTransformationSequence") or header, header
            ),
            f"{name} frame {i + 1}",
            _kind(header, i),
        )
        for i, place in enumerate(places)
    ]


def _first_missing(places: list[dict[str, Any]], tag: str) -> Any:
    """The value of all frames, or None if one lacks it."""
    values = [place[tag] for place in places]
    return None if any(value is None for value in values) else values[0]


def _require_all(header: Any, place: Mapping[str, Any], name: str) -> None:
    needed = {**place, **{tag: header.get(tag) for tag in ("Rows", "Columns", "PixelData")}}
    absent = [tag for tag, value in needed.items() if value is None]
    if absent == ["PixelData"]:
        raise ImageError(f"{name} has no pixels: truncated, or no image", EXPORT)
    if absent:
        raise ImageError(f"{name} lacks {', '.join(absent)}", "Export the original images, not derived ones.")


def _slice(place: Mapping[str, Any], pixels: NDArray[Any], name: str, kind: dict[str, str]) -> Slice:
    sizes = {"ImagePositionPatient": 3, "ImageOrientationPatient": 6, "PixelSpacing": 2}
    if any(np.size(place[tag]) != size for tag, size in sizes.items()):
        raise ImageError(f"{name}: position or pixel spacing is not valid", EXPORT)
    orientation = np.array(place["ImageOrientationPatient"], dtype=float)
    row, column = orientation[:3], orientation[3:]
    off = max(abs(row @ row - 1), abs(column @ column - 1), abs(row @ column))
    if not off <= DIRECTION_TOLERANCE:
        raise ImageError(f"{name}: ImageOrientationPatient is no pair of perpendicular unit vectors", EXPORT)
    spacing = (float(place["PixelSpacing"][0]), float(place["PixelSpacing"][1]))
    position = np.array(place["ImagePositionPatient"], dtype=float)
    if min(spacing) <= 0 or not np.isfinite([*position, *spacing]).all():
        raise ImageError(f"{name}: position or pixel spacing is not valid", EXPORT)
    return Slice(name, position, orientation, spacing, pixels, kind)


def _kind(header: Any, frame: int | None) -> dict[str, str]:
    """What must not vary within a volume."""
    kind = {"photometric interpretations": str(header.get("PhotometricInterpretation") or "")}
    if frame is None:
        return kind
    content = functional_group(header, frame, "FrameContentSequence") or {}
    echo = functional_group(header, frame, "MREchoSequence") or {}
    diffusion = functional_group(header, frame, "MRDiffusionSequence") or {}
    image = functional_group(header, frame, "MRImageFrameTypeSequence") or {}
    return kind | {
        "stacks": str(content.get("StackID") or ""),
        "temporal positions": str(content.get("TemporalPositionIndex") or ""),
        "echo times": f"{float(echo.get('EffectiveEchoTime') or 0):g} ms",
        "diffusion weightings": f"b {float(diffusion.get('DiffusionBValue') or 0):g}",
        "kinds of images": "\\".join(str(value) for value in image.get("FrameType") or ()),
    }


def _pixels(header: Any, name: str) -> NDArray[Any]:
    """Return the values as stored, in the byte order of this machine, high where they are bright."""
    syntax = header.file_meta.TransferSyntaxUID
    if syntax.is_compressed and not syntax.is_deflated:
        try:
            _require_ends(header, name)
            pixels = header.pixel_array
        except ImageError:
            raise
        except Exception as error:
            # decoders come from outside and fail in their own ways
            raise ImageError(
                f"{name} is damaged, or its compression ({syntax.name}) is not supported", CONVERT
            ) from error
    else:
        frames = int(header.get("NumberOfFrames") or 1)
        wanted = frames * int(header.Rows) * int(header.Columns) * int(header.BitsAllocated) // 8
        if len(header.PixelData) < wanted:
            missing = wanted - len(header.PixelData)
            raise ImageError(
                f"{name} is truncated: {missing} of {wanted} bytes of its pixels are missing", EXPORT
            )
        pixels = header.pixel_array
    pixels = pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
    if header.get("PhotometricInterpretation") == "MONOCHROME1":
        highest = -1 if int(header.PixelRepresentation) else 2 ** int(header.BitsStored) - 1
        pixels = pixels.dtype.type(highest) - pixels
    return np.asarray(pixels)


def _require_ends(header: Any, name: str) -> None:
    """Refuse a JPEG or JPEG-LS stream without its end: libjpeg makes up the pixels that are missing."""
    from pydicom.encaps import generate_frames
    from pydicom.uid import JPEGLSTransferSyntaxes, JPEGTransferSyntaxes

    if header.file_meta.TransferSyntaxUID not in (*JPEGTransferSyntaxes, *JPEGLSTransferSyntaxes):
        return
    offsets = header.get("ExtendedOffsetTable"), header.get("ExtendedOffsetTableLengths")
    frames = generate_frames(
        header.PixelData,
        number_of_frames=int(header.get("NumberOfFrames") or 1),
        extended_offsets=None if None in offsets else offsets,
    )
    if not all(frame.rstrip(b"\0").endswith(b"\xff\xd9") for frame in frames):
        raise ImageError(f"{name} is damaged: its compressed pixels have no end", EXPORT)


def _rescaled(pixels: NDArray[Any], item: Any, header: Any) -> NDArray[Any]:
    """Apply rescale slope and intercept, or the modality lookup table."""
    from pydicom.pixels import apply_modality_lut

    if header.get("ModalityLUTSequence"):
        return np.asarray(apply_modality_lut(pixels, header))
    slope, intercept = item.get("RescaleSlope"), item.get("RescaleIntercept")
    slope = 1.0 if slope is None else float(slope)
    intercept = 0.0 if intercept is None else float(intercept)
    return pixels if (slope, intercept) == (1.0, 0.0) else pixels * slope + intercept
