"""One patient in another format: read, brought to the grid asked for, scaled, written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import numpy as np

from radiomics_npc.cohort.cases import Case, ImageFiles
from radiomics_npc.cohort.failures import failure_row
from radiomics_npc.cohort.regions import split_name
from radiomics_npc.dataset.tiff import slice_paths, write_tiff
from radiomics_npc.errors import ImageError, MaskError, RegionAbsentError
from radiomics_npc.imaging.grid import grid_difference
from radiomics_npc.imaging.reading import place_mask, read_drawn, read_image
from radiomics_npc.imaging.resampling import Interpolation, resample_like, resample_to_size, resample_volume
from radiomics_npc.imaging.volume import Mask, Volume
from radiomics_npc.imaging.writing import write_volume

__all__ = ["SERIES_NAMES", "CaseOrder", "CaseResult", "Conversion", "Format", "convert_case"]

V = TypeVar("V", bound=Volume)
Format = Literal["nifti", "nrrd", "tiff", "nnunet"]

#: Names of the published layout.
SERIES_NAMES: Final = {"t1": "T1WI", "t2": "T2WI", "ce_t1": "CE-T1WI"}
_SUFFIX: Final = {"nifti": ".nii.gz", "nnunet": ".nii.gz", "nrrd": ".nrrd", "tiff": ".tif"}


@dataclass(frozen=True)
class Conversion:
    """What is asked for; see :func:`radiomics_npc.dataset.convert.convert`."""

    to: Format = "nifti"
    size: tuple[int, int] | None = None
    spacing_mm: tuple[float, float] | None = None
    interpolation: Interpolation = "linear"
    bits: Literal[8, 16] | None = None
    window: tuple[float, float] | None = None
    percentiles: tuple[float, float] = (1.0, 99.0)
    slices: bool = False
    sequences: tuple[str, ...] = ()
    reference: str = ""
    regions: tuple[str, ...] = ("",)
    on_mismatch: str = "error"
    simulated: bool = False

    @property
    def note(self) -> str:
        """What every file says of itself, for it may travel alone."""
        return "Simulated: this patient never lived." if self.simulated else ""

    def label(self, region: str) -> int:
        """Value of a region in the masks written; one region alone is white in a TIFF."""
        single = len(self.regions) == 1
        return 255 if single and self.to == "tiff" else self.regions.index(region) + 1


@dataclass(frozen=True)
class CaseOrder:
    """A patient, the name of the files, and where they go."""

    case: Case
    name: str
    out: Path
    how: Conversion


@dataclass(frozen=True)
class CaseResult:
    """Rows of ``conversion.csv`` and ``failures.csv``."""

    label: str
    rows: tuple[dict[str, Any], ...] = ()
    failures: tuple[dict[str, str], ...] = ()


@dataclass(frozen=True)
class _Series:
    """An image and what is drawn on it, before and after."""

    source: Volume
    image: Volume
    masks: Mapping[str, Mask]


def convert_case(order: CaseOrder) -> CaseResult:
    """Convert the images and masks of a patient.

    Parameters
    ----------
    order : CaseOrder

    Returns
    -------
    CaseResult
        A sequence that failed has no files; the others are written. For ``nnunet`` a patient is
        converted as a whole or not at all.
    """
    patient, how = order.case.patient_id, order.how
    grouped: dict[str, dict[str, ImageFiles]] = {}
    for name, files in order.case.images.items():
        sequence, region = split_name(name)
        if sequence in how.sequences:
            grouped.setdefault(sequence, {})[region] = files
    rows: list[dict[str, Any]] = []
    failures: list[dict[str, str]] = []
    steps = [grouped] if how.to == "nnunet" else [{sequence: files} for sequence, files in grouped.items()]
    for step in steps:
        try:
            rows += _stack(order, step) if how.to == "nnunet" else _own_grids(order, step)
        except Exception as error:  # noqa: BLE001 - a fault of one patient must not stop the others
            whole = "" if how.to == "nnunet" else next(iter(step))
            failures.append(failure_row(patient, whole, "convert", error))
    return CaseResult(patient, tuple(rows), tuple(failures))


def _own_grids(order: CaseOrder, grouped: Mapping[str, Mapping[str, ImageFiles]]) -> list[dict[str, Any]]:
    """Each sequence on its own grid, at the resolution asked for."""
    rows = []
    for sequence, files in grouped.items():
        series = _read(files, order.how)
        stem = order.out / order.name / f"{SERIES_NAMES[sequence]}{_SUFFIX[order.how.to]}"
        image, low, high = _scaled(series, order.how)
        labels, overlap = _label_map(series, order.how)
        images = _write(stem, image, order.how)
        masks = [] if labels is None else _write(stem, labels, order.how, "_mask")
        row = _row(order, sequence, series, image) | {"low": low, "high": high, "overlap_voxels": overlap}
        rows += _by_region(order, series, row, images, masks)
    return rows


def _stack(order: CaseOrder, grouped: Mapping[str, Mapping[str, ImageFiles]]) -> list[dict[str, Any]]:
    """All sequences on the grid of one, whose mask is the label."""
    how = order.how
    if missing := [sequence for sequence in how.sequences if sequence not in grouped]:
        raise ImageError(f"there is no {', '.join(missing)}", "Every patient needs all channels.")
    reference = _read(grouped[how.reference], how)
    labels, overlap = _label_map(reference, how)
    if labels is None:
        raise MaskError(f"nothing is drawn on {how.reference}", "Draw the tumor, or name another reference.")
    written, rows = [], []
    for number, sequence in enumerate(how.sequences):
        series = reference
        if sequence != how.reference:
            source = _image(grouped[sequence])
            series = replace(
                reference, source=source, image=resample_like(source, reference.image, how.interpolation)
            )
            if not np.ptp(series.image.array):
                raise ImageError(
                    f"nothing of {sequence} lies on the grid of {how.reference}",
                    "Check that both are of the same patient and visit, or register them first.",
                )
        image, low, high = _scaled(series, how)
        written.append((order.out / "imagesTr" / f"{order.name}_{number:04d}.nii.gz", image))
        row = _row(order, sequence, series, image) | {"low": low, "high": high, "overlap_voxels": overlap}
        rows.append((row, series))
    mask = order.out / "labelsTr" / f"{order.name}.nii.gz"
    for path, image in [*written, (mask, labels)]:
        write_volume(path, image, how.note)
    return [
        line
        for (row, series), (path, _) in zip(rows, written, strict=True)
        for line in _by_region(order, series, row, [path], [mask])
    ]


def _image(files: Mapping[str, ImageFiles]) -> Volume:
    first = next(iter(files.values()))
    return read_image(first.image, first.series)


def _read(files: Mapping[str, ImageFiles], how: Conversion) -> _Series:
    source = _image(files)
    masks = {}
    for region, own in files.items():
        if own.mask is None:
            continue
        try:
            placed = place_mask(read_drawn(own, source), source, how.on_mismatch)
        except RegionAbsentError:
            if own.optional:
                continue
            raise
        # half covered is inside: the nearest voxel would move a mask by half a voxel wherever sizes halve
        masks[region] = _regridded(placed, how, "linear")
    return _Series(source, _regridded(source, how, how.interpolation), masks)


def _regridded(volume: V, how: Conversion, interpolation: Interpolation) -> V:
    if how.size is not None:
        return resample_to_size(volume, how.size[0], how.size[1], interpolation)
    if how.spacing_mm is not None:
        return resample_volume(volume, (*how.spacing_mm, None), interpolation)
    return volume


def _scaled(series: _Series, how: Conversion) -> tuple[Volume, float | None, float | None]:
    """Intensities as whole numbers of 8 or 16 bits, or as they are; from where to where they were taken."""
    image = series.image
    if how.bits is None:
        # 15 decimals of interpolated values are twice the disk for nothing, and few readers of TIFF take them
        short = image.array.dtype == np.float64 and (how.to == "tiff" or image is not series.source)
        return (replace(image, array=image.array.astype(np.float32)) if short else image), None, None
    if how.window is not None:
        low, high = how.window
    else:
        low, high = (float(value) for value in np.percentile(image.array, how.percentiles))
    if not low < high:
        raise ImageError(f"intensities from {low:g} to {high:g} cannot be scaled", "Give a window.")
    top = 2**how.bits - 1
    share = (image.array.astype(float) - low) / (high - low)
    array = np.rint(share.clip(0, 1) * top).astype(np.uint8 if how.bits == 8 else np.uint16)
    return replace(image, array=array), low, high


def _label_map(series: _Series, how: Conversion) -> tuple[Volume | None, int]:
    """All regions in one image, the first one where they overlap; and in how many voxels they do."""
    if not series.masks:
        return None, 0
    labels = np.zeros(series.image.array.shape, dtype=np.uint8)
    drawn = np.zeros(labels.shape, dtype=np.uint8)
    for region, mask in series.masks.items():
        if fault := grid_difference(series.image, mask):  # both come by one way
            raise MaskError(f"image and mask fell out of step: {fault}", "Report this as a fault.")
        labels[mask.array & (drawn == 0)] = how.label(region)
        drawn += mask.array
    return replace(series.image, array=labels), int((drawn > 1).sum())


def _write(path: Path, volume: Volume, how: Conversion, ending: str = "") -> list[Path]:
    """Write a volume by its format; ``ending`` comes after the number of a slice."""
    suffix = _SUFFIX[how.to]
    whole = path.with_name(f"{path.name.removesuffix(suffix)}{ending}{suffix}")
    if how.to != "tiff":
        write_volume(whole, volume, how.note)
        return [whole]
    if not how.slices:
        write_tiff(whole, volume, how.note)
        return [whole]
    paths = slice_paths(path, len(volume.array), ending)
    frame = np.array(volume.direction).reshape(3, 3)
    for k, one in enumerate(paths):
        x, y, z = (np.array(volume.origin_mm) + frame[:, 2] * (k * volume.spacing_mm[2])).tolist()
        write_tiff(one, replace(volume, array=volume.array[k : k + 1], origin_mm=(x, y, z)), how.note)
    return paths


def _row(order: CaseOrder, sequence: str, series: _Series, written: Volume) -> dict[str, Any]:
    slices, rows, columns = written.array.shape
    own_slices, own_rows, own_columns = series.source.array.shape
    return {
        "patient_id": order.case.patient_id,
        "center": order.case.center,
        "sequence": sequence,
        "columns": columns, "rows": rows, "slices": slices,
        **dict(zip(("column_mm", "row_mm", "slice_mm"), written.spacing_mm, strict=True)),
        "source_columns": own_columns, "source_rows": own_rows, "source_slices": own_slices,
        **dict(zip(("source_column_mm", "source_row_mm", "source_slice_mm"), series.source.spacing_mm,
                   strict=True)),
        "type": str(written.array.dtype),
    }  # fmt: skip


def _by_region(
    order: CaseOrder, series: _Series, row: dict[str, Any], images: list[Path], masks: list[Path]
) -> list[dict[str, Any]]:
    """A line a region; of a series in slices the first file is named."""
    image = images[0].relative_to(order.out).as_posix()
    mask = masks[0].relative_to(order.out).as_posix() if masks else ""
    lines = []
    for region in order.how.regions:
        drawn = series.masks.get(region)
        lines.append(
            row
            | {
                "region": region,
                "image": image,
                "mask": mask if drawn is not None else "",
                "label": order.how.label(region) if drawn is not None else None,
                "volume_cm3": None if drawn is None else drawn.array.sum() * drawn.voxel_mm3 / 1000,
            }
        )
    return lines
