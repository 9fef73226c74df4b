"""One slice of each sequence with its mask outlined, small enough for hundreds of patients in a page."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radiomics_npc.cohort.cases import Case, ImageFiles
from radiomics_npc.errors import RegionAbsentError
from radiomics_npc.features.case_job import describe_failure, one_itk_thread
from radiomics_npc.imaging.reading import read_pair
from radiomics_npc.imaging.volume import Mask, Volume

__all__ = [
    "CasePictures",
    "PictureJob",
    "SlicePicture",
    "TumorSlice",
    "outline_path",
    "picture_case",
    "shrink",
    "tumor_slice",
]

#: Side of every picture, so that tumors can be compared by eye; only larger tumors get more.
FIELD_MM = 100.0
#: Around a tumor that is larger than the field.
_MARGIN_MM = 10.0
_QUALITY = 72  # of JPEG: noise of MR costs more above, edges suffer below
_PLANES = ("sagittal", "coronal", "axial")
_NO_REGION = "this patient has no such region"
_LEFT_EDGE = "RAS"  # what lies at the left edge where columns run to the left (L), to the back (P), up


@dataclass(frozen=True)
class PictureJob:
    """A patient as a job of a worker process: paths, not images."""

    case: Case
    sequences: tuple[str, ...]
    on_mismatch: str = "error"
    drawn: Mapping[str, ImageFiles] | None = None
    pixels: int = 240


@dataclass(frozen=True)
class SlicePicture:
    """The slice of a sequence that shows most of the tumor, or why there is none.

    Parameters
    ----------
    sequence : str
    volume_cm3 : float
        Of the whole mask.
    place : str
        E.g. ``slice 12 of 24``; the plane is named unless it is axial.
    left : str
        What lies at the left edge: R(ight), A(nterior) or S(uperior).
    field_mm : float
        Side of the square that is shown.
    box_mm : tuple of 4 floats
        Left edge, top, width and height of the picture within the field.
    scale_mm : tuple of 2 floats
        Width and height of a voxel, in which the outlines are given.
    jpeg : bytes
    outline, drawn : str
        SVG paths in voxels: the mask that was measured, and the one drawn by hand if that is another.
    message, remedy : str
        Why there is no picture.
    absent : bool
        The patient does not have this region, which nobody must have: nothing has failed.
    """

    sequence: str
    volume_cm3: float = float("nan")
    place: str = ""
    left: str = ""
    field_mm: float = FIELD_MM
    box_mm: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    scale_mm: tuple[float, float] = (1.0, 1.0)
    jpeg: bytes = b""
    outline: str = ""
    drawn: str = ""
    message: str = ""
    remedy: str = ""
    absent: bool = False


@dataclass(frozen=True)
class CasePictures:
    """Pictures of a patient, in the order of the sequences; the label is shown by the progress bar."""

    label: str
    slices: tuple[SlicePicture, ...]


def picture_case(job: PictureJob) -> CasePictures:
    """Read the images of a patient and keep one slice of each; faults become messages.

    Parameters
    ----------
    job : PictureJob

    Returns
    -------
    CasePictures

    Examples
    --------
    >>> picture_case(PictureJob(Case("007"), ("t1",))).slices[0].message
    'there is no image of this sequence'
    """
    made = []
    for sequence in job.sequences:
        files = job.case.images.get(sequence)
        if files is None:
            made.append(SlicePicture(sequence, message="there is no image of this sequence"))
            continue
        if files.optional and files.mask is None:
            made.append(SlicePicture(sequence, message=_NO_REGION, absent=True))
            continue
        try:
            with one_itk_thread():
                made.append(_picture(job, sequence, files))
        except Exception as error:  # noqa: BLE001 - a fault of one case must not stop the others
            if files.optional and isinstance(error, RegionAbsentError):
                made.append(SlicePicture(sequence, message=_NO_REGION, absent=True))
                continue
            failure = describe_failure(error, "read")
            made.append(SlicePicture(sequence, message=failure["message"], remedy=failure.get("remedy", "")))
    return CasePictures(job.case.patient_id, tuple(made))


@dataclass(frozen=True, eq=False)
class TumorSlice:
    """The slice that shows most of a tumor, upright and cut around it.

    Parameters
    ----------
    image : array, shape (rows, columns)
    masks : tuple of arrays of bool, shape (rows, columns)
        The first is the tumor by which the slice was chosen.
    scale_mm : tuple of 2 floats
        Width and height of a voxel.
    field_mm : float
        Side of the square around the tumor.
    corner_mm : tuple of 2 floats
        Left edge and top of the image within the field; not 0 where the image ends before the field.
    place, left : str
        As those of :class:`SlicePicture`.
    """

    image: NDArray[Any]
    masks: tuple[NDArray[np.bool_], ...]
    scale_mm: tuple[float, float]
    field_mm: float
    corner_mm: tuple[float, float]
    place: str
    left: str


def tumor_slice(image: Volume, mask: Mask, *others: Mask) -> TumorSlice:
    """Cut the slice on which the mask is largest.

    Parameters
    ----------
    image : Volume
    mask : Mask
        On the grid of the image, not empty.
    *others : Mask
        Cut out in the same way.

    Returns
    -------
    TumorSlice

    Examples
    --------
    >>> inside = np.zeros((3, 200, 200), bool)
    >>> inside[1, 90:110, 80:100] = True
    >>> cut = tumor_slice(Volume(inside * 1.0, (1.0, 1.0, 5.0)), Mask(inside, (1.0, 1.0, 5.0)))
    >>> cut.place, cut.left, cut.image.shape, cut.corner_mm
    ('slice 2 of 3', 'R', (100, 100), (0.0, 0.0))
    """
    k = int(mask.array.sum(axis=(1, 2)).argmax())
    layers = [image.array[k], mask.array[k], *(other.array[k] for other in others)]
    layers, (width, height), plane, left = _upright(layers, image)
    rows, columns = np.nonzero(layers[1])
    middle = ((columns.min() + columns.max() + 1) / 2 * width, (rows.min() + rows.max() + 1) / 2 * height)
    extent = max(np.ptp(columns) * width, np.ptp(rows) * height)
    field = max(FIELD_MM, float(np.ceil((extent + 2 * _MARGIN_MM) / 10) * 10))
    (x0, x1), (y0, y1) = (
        _window(at - field / 2, field, size, count)
        for at, size, count in zip(middle, (width, height), layers[0].shape[::-1], strict=True)
    )
    shown, *masks = (layer[y0:y1, x0:x1] for layer in layers)
    corner = (float(x0 * width - middle[0] + field / 2), float(y0 * height - middle[1] + field / 2))
    place = f"{plane} slice {k + 1} of {len(image.array)}".removeprefix("axial ")
    return TumorSlice(shown, tuple(masks), (width, height), field, corner, place, left)


def _picture(job: PictureJob, sequence: str, files: ImageFiles) -> SlicePicture:
    image, mask = read_pair(files, job.on_mismatch)
    other = (job.drawn or {}).get(sequence)
    more = []
    if other is not None and other.mask is not None and other.mask != files.mask:
        more.append(read_pair(other, job.on_mismatch)[1])
    cut = tumor_slice(image, mask, *more)
    rows, columns = cut.image.shape
    return SlicePicture(
        sequence,
        volume_cm3=int(np.count_nonzero(mask.array)) * mask.voxel_mm3 / 1000,
        place=cut.place,
        left=cut.left,
        field_mm=cut.field_mm,
        box_mm=(*cut.corner_mm, columns * cut.scale_mm[0], rows * cut.scale_mm[1]),
        scale_mm=cut.scale_mm,
        jpeg=_jpeg(cut.image, job.pixels),
        outline=outline_path(cut.masks[0]),
        drawn=outline_path(cut.masks[1]) if more else "",
    )


def _window(start_mm: float, field_mm: float, size_mm: float, count: int) -> tuple[int, int]:
    """First and last voxel (exclusive) within a stretch, as far as the image reaches."""
    first, last = np.floor(start_mm / size_mm), np.ceil((start_mm + field_mm) / size_mm)
    return max(0, int(first)), min(count, int(last))


def _upright(
    layers: list[NDArray[Any]], image: Volume
) -> tuple[list[NDArray[Any]], tuple[float, float], str, str]:
    """Turn slices as radiologists look at them: front or head up, the patient's right on the left.

    Returns
    -------
    layers, size of a voxel (width, height), plane, what lies at the left edge
    """
    cosines = np.array(image.direction, dtype=float).reshape(3, 3)
    along, down = int(np.abs(cosines[:, 0]).argmax()), int(np.abs(cosines[:, 1]).argmax())
    plane = _PLANES[int(np.abs(cosines[:, 2]).argmax())]
    senses = cosines[along, 0], cosines[down, 1]
    width, height = image.spacing_mm[0], image.spacing_mm[1]
    if along > down:
        layers = [layer.T for layer in layers]
        along, down, senses, width, height = down, along, senses[::-1], height, width
    # columns run to the patient's left or back, rows to the back or down
    if senses[0] < 0:
        layers = [layer[:, ::-1] for layer in layers]
    if (senses[1] < 0) == (down < 2):
        layers = [layer[::-1] for layer in layers]
    return layers, (width, height), plane, _LEFT_EDGE[along]


def _jpeg(image: NDArray[Any], pixels: int) -> bytes:
    from PIL import Image

    values = np.nan_to_num(image.astype(np.float32))
    low, high = np.percentile(values, [1, 99.5])
    gray = np.clip((values - low) / max(float(high - low), 1e-9) * 255, 0, 255).astype(np.uint8)
    return _encode(Image.fromarray(gray), pixels)


def _encode(picture: Any, pixels: int) -> bytes:
    from PIL import Image

    if max(picture.size) > pixels:
        share = pixels / max(picture.size)
        size = tuple(max(1, round(side * share)) for side in picture.size)
        picture = picture.resize(size, Image.Resampling.BOX)
    stream = io.BytesIO()
    picture.save(stream, format="JPEG", quality=_QUALITY, optimize=True)
    return stream.getvalue()


def shrink(jpeg: bytes, pixels: int) -> bytes:
    """The same picture with no side longer than so many pixels."""
    from PIL import Image

    with Image.open(io.BytesIO(jpeg)) as picture:
        return _encode(picture.convert("L"), pixels)


def outline_path(mask: NDArray[np.bool_]) -> str:
    """Edges between voxels inside and outside as an SVG path, in voxels from the upper left corner.

    Parameters
    ----------
    mask : array of bool, shape (rows, columns)

    Returns
    -------
    str
        Every edge as it is, nothing smoothed; edges in a line are one.

    Examples
    --------
    >>> outline_path(np.array([[False, True, True]]))
    'M1 0h2M1 1h2M1 0v1M3 0v1'
    """
    framed = np.pad(np.asarray(mask, dtype=bool), 1)
    across = [f"M{x} {y}h{n}" for y, x, n in _runs(framed[1:, 1:-1] != framed[:-1, 1:-1])]
    down = [f"M{x} {y}v{n}" for x, y, n in _runs((framed[1:-1, 1:] != framed[1:-1, :-1]).T)]
    return "".join(across + down)


def _runs(edges: NDArray[np.bool_]) -> list[tuple[int, int, int]]:
    """Line, first place and length of every run of edges."""
    steps = np.diff(np.pad(edges, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    lines, starts = np.nonzero(steps == 1)
    ends = np.nonzero(steps == -1)[1]
    return [
        (int(line), int(start), int(end - start))
        for line, start, end in zip(lines, starts, ends, strict=True)
    ]
