"""A cohort written again by other people's libraries, in every layout and format that the package reads.

Nothing of the package is used: pydicom, highdicom, nibabel and pynrrd read the source and write the copies.
"""

from __future__ import annotations

import csv
import json
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Any

import contourpy
import highdicom
import nibabel
import nrrd
import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sr.codedict import codes
from pydicom.uid import (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
    generate_uid,
)

#: From the axes of DICOM (left, posterior, superior) to those of NIfTI (right, anterior, superior).
RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
FOLDERS = {"t1": "T1WI", "ce_t1": "CE-T1WI"}
_RTSTRUCT = "1.2.840.10008.5.1.4.1.1.481.3"


@dataclass(frozen=True, eq=False)
class Series:
    """One sequence of one patient, as pydicom and nibabel read it.

    Headers and slices run from the first to the last along the normal; ``affine`` takes column, row and
    slice to mm (left, posterior, superior).
    """

    patient: str
    sequence: str
    headers: list[pydicom.FileDataset]
    array: np.ndarray
    affine: np.ndarray
    mask: np.ndarray

    def __str__(self) -> str:
        return f"{self.patient} {self.sequence}"


def read_source(root: Path) -> list[Series]:
    """Read the source, which is in the published layout."""
    found = []
    for patient in sorted(p for p in (root / "MRI-Segments").iterdir() if p.is_dir()):
        for sequence, name in FOLDERS.items():
            headers = [pydicom.dcmread(file) for file in (patient / name).iterdir()]
            cosines = np.array(headers[0].ImageOrientationPatient, float)
            normal = np.cross(cosines[:3], cosines[3:])
            headers.sort(key=lambda h: np.array(h.ImagePositionPatient, float) @ normal)
            first, last = (np.array(headers[k].ImagePositionPatient, float) for k in (0, -1))
            rows, columns = (float(x) for x in headers[0].PixelSpacing)
            affine = np.eye(4)
            affine[:3, 0], affine[:3, 1] = cosines[:3] * columns, cosines[3:] * rows
            affine[:3, 2], affine[:3, 3] = (last - first) / (len(headers) - 1), first
            drawn = nibabel.load(patient / f"ROI-{name.removesuffix('WI')}.nii")
            np.testing.assert_allclose(RAS @ drawn.affine, affine, atol=1e-4)
            mask = np.asarray(drawn.dataobj).T > 0
            array = np.stack([header.pixel_array for header in headers])
            found.append(Series(patient.name, sequence, headers, array, affine, mask))
    return found


# --- DICOM ---


def write_dicom(
    folder: Path, series: Series, syntax: str = ExplicitVRLittleEndian, names: Iterable[str] | None = None
) -> None:
    """Write the images; the files lie in an order that is not that of the slices."""
    folder.mkdir(parents=True, exist_ok=True)
    order = np.random.default_rng(len(series.patient) + len(series.headers)).permutation(len(series.headers))
    for k, name in zip(order, names or (f"{i:03d}.dcm" for i in range(len(order))), strict=True):
        copy = pydicom.dcmread(series.headers[k].filename)
        if pydicom.uid.UID(syntax).is_compressed:
            copy.compress(syntax, generate_instance_uid=False)
        else:
            copy.file_meta.TransferSyntaxUID = syntax
        copy.save_as(folder / name, enforce_file_format=True)


def enhanced(series: Series) -> Any:
    """All slices in one object of several frames, the last first, as highdicom converts them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names without family name
        made = highdicom.legacy.LegacyConvertedEnhancedMRImage(
            series.headers[::-1], _uid(series, "enhanced"), 7, _uid(series, "frames"), 1
        )
    # a converter keeps the description; highdicom leaves it to the one who writes
    made.SeriesDescription = series.headers[0].SeriesDescription
    return made


def write_seg(file: Path, series: Series, sources: list[Any], *, frames_reversed: bool = False) -> None:
    """Write the mask as DICOM SEG of the images given, frames without content left out."""
    described = highdicom.seg.SegmentDescription(
        1, "GTVp", codes.SCT.MorphologicallyAbnormalStructure, codes.SCT.NeoplasmPrimary, "MANUAL"
    )
    pixels = series.mask[::-1] if frames_reversed else series.mask
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names without family name
        made = highdicom.seg.Segmentation(
            sources[::-1] if frames_reversed and len(sources) > 1 else sources,
            pixels.astype(np.uint8), "BINARY", [described],
            _uid(series, "seg"), 300, _uid(series, "segments"), 1, "maker", "model", "1", "0",
        )  # fmt: skip
    made.save_as(file)


def write_rtstruct(file: Path, series: Series, outlines: Callable[[np.ndarray], list[np.ndarray]]) -> None:
    """Write contours as RTSTRUCT, beside a region that is not the tumor."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ImplicitVRLittleEndian, _RTSTRUCT
    meta.MediaStorageSOPInstanceUID = _uid(series, "contours")
    data = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID, data.SOPInstanceUID = _RTSTRUCT, meta.MediaStorageSOPInstanceUID
    data.Modality, data.SeriesInstanceUID = "RTSTRUCT", _uid(series, "rtstruct")
    data.PatientID, data.PatientName = series.patient, series.patient
    data.StudyInstanceUID = series.headers[0].StudyInstanceUID
    data.StructureSetLabel = "RS"
    image, study, frame = Dataset(), Dataset(), Dataset()
    image.SeriesInstanceUID = series.headers[0].SeriesInstanceUID
    study.RTReferencedSeriesSequence = [image]
    study.ReferencedSOPInstanceUID = series.headers[0].StudyInstanceUID
    frame.RTReferencedStudySequence = [study]
    frame.FrameOfReferenceUID = series.headers[0].FrameOfReferenceUID
    data.ReferencedFrameOfReferenceSequence = [frame]
    data.StructureSetROISequence, data.ROIContourSequence, data.RTROIObservationsSequence = [], [], []
    square = np.zeros_like(series.mask)
    square[:, 2:5, 2:5] = True
    for number, (name, mask) in enumerate((("BODY", square), ("GTV_p", series.mask)), start=4):
        roi, drawn = Dataset(), Dataset()
        roi.ROINumber, roi.ROIName, roi.ROIGenerationAlgorithm = number, name, "MANUAL"
        roi.ReferencedFrameOfReferenceUID = frame.FrameOfReferenceUID
        drawn.ReferencedROINumber = number
        drawn.ContourSequence = [
            _contour(series, outline, k) for k, plane in enumerate(mask) for outline in outlines(plane)
        ]
        data.StructureSetROISequence.append(roi)
        data.ROIContourSequence.append(drawn)
    data.save_as(file, enforce_file_format=True)


def _contour(series: Series, outline: np.ndarray, k: int) -> Dataset:
    voxels = np.column_stack([outline, np.full(len(outline), k), np.ones(len(outline))])
    item = Dataset()
    item.ContourGeometricType, item.NumberOfContourPoints = "CLOSED_PLANAR", len(outline)
    item.ContourData = [f"{x:.8f}"[:16] for x in (voxels @ series.affine.T)[:, :3].ravel()]
    return item


def pixel_edges(plane: np.ndarray) -> list[np.ndarray]:
    """Outlines along the edges of pixels, columns and rows: what is inside them is the mask."""
    padded = np.pad(plane, 1).astype(int)
    onward = defaultdict(list)  # corners to those that an edge leads to, the mask on its right
    for row, column in np.argwhere(np.diff(padded, axis=0)):
        a, b = (column - 1, row), (column, row)
        start, end = (a, b) if padded[row + 1, column] else (b, a)
        onward[start].append(end)
    for row, column in np.argwhere(np.diff(padded, axis=1)):
        a, b = (column, row - 1), (column, row)
        start, end = (b, a) if padded[row, column + 1] else (a, b)
        onward[start].append(end)
    found = []
    while onward:
        start = at = next(iter(onward))
        loop = []
        while not loop or at != start:
            loop.append(at)
            later = onward[at]
            at = later.pop()
            if not later:
                del onward[loop[-1]]
        found.append(np.array(loop, float) - 0.5)
    return found


def pixel_centers(plane: np.ndarray) -> list[np.ndarray]:
    """Outlines through the centers of the outermost pixels, as many planning systems export a mask."""
    lines = contourpy.contour_generator(z=np.pad(plane, 1).astype(float)).lines(1 - 1e-9)
    return [line[:-1] - 1 for line in lines]


def _uid(series: Series, what: str) -> str:
    return generate_uid(entropy_srcs=[what, series.patient, series.sequence])


# --- NIfTI and NRRD ---


def write_nifti(
    file: Path, array: np.ndarray, series: Series, *, flip: str = "", order: str = "xyz", ras: bool = False
) -> None:
    """Write an array on the grid of a series, its axes flipped or in another order, or turned to RAS+."""
    file.parent.mkdir(parents=True, exist_ok=True)
    image = nibabel.Nifti1Image(np.ascontiguousarray(array.T), RAS @ series.affine)
    turned = [["xyz".index(axis), -1 if axis in flip else 1] for axis in "xyz"]
    placed = np.array([[order.index("xyz"[axis]), sense] for axis, sense in turned])
    image = image.as_reoriented(placed)
    nibabel.save(nibabel.as_closest_canonical(image) if ras else image, file)


def write_nrrd(file: Path, array: np.ndarray, series: Series, **header: Any) -> None:
    """Write an array as NRRD."""
    file.parent.mkdir(parents=True, exist_ok=True)
    about = {
        "space": "left-posterior-superior",
        "space directions": series.affine[:3, :3].T,
        "space origin": series.affine[:3, 3],
        "encoding": "gzip",
    }
    nrrd.write(str(file), np.ascontiguousarray(array.T), {**about, **header})


def write_segments(file: Path, series: Series, name: str = "GTVp", value: int = 1) -> None:
    """Write the mask as a segmentation of 3D Slicer."""
    told = {"ID": "Segment_1", "Name": name, "LabelValue": str(value), "Layer": "0", "Extent": "0 1 0 1 0 1"}
    header = {f"Segment0_{key}": text for key, text in told.items()}
    write_nrrd(file, series.mask.astype(np.uint8) * value, series, **header)


# --- cohorts: each writer gives the settings that a study reads the copy by ---


Writer = Callable[[Path, list[Series]], dict[str, Any]]
DICOM = {"layout": "dicom", "regions": {"gtvp": ["GTVp"]}}


def published(root: Path, cohort: list[Series]) -> dict[str, Any]:
    """DICOM in implicit syntax; masks as 0 and 255 with their axes flipped against the images."""
    for series in cohort:
        folder = root / "data" / "MRI-Segments" / series.patient
        write_dicom(folder / FOLDERS[series.sequence], series, ImplicitVRLittleEndian)
        mask = folder / f"ROI-{FOLDERS[series.sequence].removesuffix('WI')}.nii"
        write_nifti(mask, series.mask.astype(np.uint8) * 255, series, flip="yz", order="zxy")
    return {"layout": "published", "path": root}


def mixed_folder(root: Path, cohort: list[Series]) -> dict[str, Any]:
    """All patients in one folder, under names that say nothing; contours as SEG among them."""
    root.mkdir(parents=True)
    numbers = iter(np.random.default_rng(1).permutation(100_000))
    for series in cohort:
        write_dicom(root, series, names=[f"{next(numbers):05d}" for _ in series.headers])
        write_seg(root / f"{next(numbers):05d}", series, series.headers, frames_reversed=True)
    return {**DICOM, "path": root}


def multi_frame(root: Path, cohort: list[Series]) -> dict[str, Any]:
    """Legacy-converted enhanced MR, one file a series, and SEG of it."""
    for series in cohort:
        folder = root / series.patient
        folder.mkdir(parents=True, exist_ok=True)
        made = enhanced(series)
        made.save_as(folder / f"{series.sequence}.dcm")
        write_seg(folder / f"{series.sequence}_seg.dcm", series, [made], frames_reversed=True)
    return {**DICOM, "path": root}


def compressed(root: Path, cohort: list[Series]) -> dict[str, Any]:
    """JPEG-LS, JPEG 2000 and RLE in turn; contours along the edges of pixels as RTSTRUCT."""
    syntaxes = [JPEGLSLossless, JPEG2000Lossless, RLELossless]
    for number, series in enumerate(cohort):
        folder = root / series.patient
        write_dicom(folder / series.sequence, series, syntaxes[number % 3])
        write_rtstruct(folder / f"RS {series.sequence}.dcm", series, pixel_edges)
    return {**DICOM, "path": root}


def nifti_ras(root: Path, cohort: list[Series]) -> dict[str, Any]:
    """Images turned to RAS+, masks as they were; named by a manifest."""
    return _manifest(root, cohort, ".nii.gz", lambda file, array, series: write_nifti(
        file, array, series, ras=file.name.startswith("image")
    ))  # fmt: skip


def nifti_flipped(root: Path, cohort: list[Series]) -> dict[str, Any]:
    """Masks with axes flipped and in another order than the images; no compression."""
    return _manifest(root, cohort, ".nii", lambda file, array, series: write_nifti(
        file, array, series, **({} if file.name.startswith("image") else {"flip": "xz", "order": "yzx"})
    ))  # fmt: skip


def slicer(root: Path, cohort: list[Series]) -> dict[str, Any]:
    """NRRD, some raw and big-endian, and a segmentation of 3D Slicer by the name of its segment."""
    rows = []
    for number, series in enumerate(cohort):
        image, mask = (f"{series.patient}/{series.sequence}{end}" for end in (".nrrd", ".seg.nrrd"))
        raw = {"encoding": "raw", "endian": "big"} if number % 2 else {}
        array = series.array.astype(">u2") if raw else series.array
        write_nrrd(root / image, array, series, **raw)
        write_segments(root / mask, series, value=3)
        rows.append([series.patient, series.sequence, image, mask, "gtvnx"])
    return _table(root, rows)


def nnunet(root: Path, cohort: list[Series]) -> dict[str, Any]:
    """One channel: nnU-Net wants all channels on one grid."""
    for series in (s for s in cohort if s.sequence == "t1"):
        write_nifti(root / "imagesTr" / f"{series.patient}_0000.nii.gz", series.array, series)
        write_nifti(root / "labelsTr" / f"{series.patient}.nii.gz", series.mask.astype(np.uint8) * 2, series)
    about = {"channel_names": {"0": "T1WI"}, "labels": {"background": 0, "GTVnd": 1, "GTVp": 2},
             "file_ending": ".nii.gz", "numTraining": 3}  # fmt: skip
    (root / "dataset.json").write_text(json.dumps(about))
    return {"layout": "nnunet", "path": root, "sequences": ["t1"], "regions": {"gtvp": ["GTVp"]}}


def bids(root: Path, cohort: list[Series]) -> dict[str, Any]:
    """Images by session, masks among the derivatives."""
    for series in cohort:
        begin = f"sub-{series.patient}_ses-1" + ("_ce-gadolinium" if series.sequence == "ce_t1" else "")
        place = f"sub-{series.patient}/ses-1/anat"
        write_nifti(root / place / f"{begin}_T1w.nii.gz", series.array, series)
        mask = root / "derivatives" / "manual" / place / f"{begin}_T1w_label-GTVp_mask.nii.gz"
        write_nifti(mask, series.mask.astype(np.uint8), series)
    return {"layout": "bids", "path": root, "regions": {"gtvp": ["GTVp"]}}


def hanseg(root: Path, cohort: list[Series]) -> dict[str, Any]:
    """All masks of a case serve all its images, which lie on one grid."""
    for series in (s for s in cohort if s.sequence == "t1"):
        case = f"case_{series.patient}"
        write_nrrd(root / "set_1" / case / f"{case}_IMG_MR_T1.nrrd", series.array, series)
        write_segments(root / "set_1" / case / f"{case}_OAR_GTVp.seg.nrrd", series)
    return {"layout": "hanseg", "path": root, "sequences": ["t1"], "regions": {"gtvp": ["GTVp"]}}


def segrap(root: Path, cohort: list[Series]) -> dict[str, Any]:
    """As :func:`hanseg`, in NIfTI."""
    for series in (s for s in cohort if s.sequence == "t1"):
        write_nifti(root / f"segrap_{series.patient}" / "image.nii.gz", series.array, series)
        write_nifti(root / f"segrap_{series.patient}" / "GTVp.nii.gz", series.mask.astype(np.uint8), series)
    return {"layout": "segrap", "path": root, "sequences": ["t1"], "regions": {"gtvp": ["GTVp"]}}


def _manifest(root: Path, cohort: list[Series], suffix: str, write: Callable[..., None]) -> dict[str, Any]:
    """NIfTI under Chinese names with blanks, named as on Windows."""
    rows = []
    for series in cohort:
        folder = Path(f"病人 {series.patient}", FOLDERS[series.sequence])
        names = [folder / f"{kind} 图像{suffix}" for kind in ("image", "mask")]
        write(root / names[0], series.array, series)
        write(root / names[1], series.mask.astype(np.float32), series)
        rows.append([series.patient, FOLDERS[series.sequence], *map(str, map(PureWindowsPath, names)), "1"])
    return _table(root, rows)


def _table(root: Path, rows: list[list[str]]) -> dict[str, Any]:
    with (root / "清单.csv").open("w", encoding="gb18030", newline="") as stream:
        csv.writer(stream).writerows([["Patient ID", "sequence", "image", "mask", "label"], *rows])
    return {"layout": "manifest", "path": root / "清单.csv"}


COPIES: dict[str, Writer] = {
    writer.__name__: writer
    for writer in (
        published, mixed_folder, multi_frame, compressed, nifti_ras, nifti_flipped, slicer, nnunet, bids,
        hanseg, segrap,
    )
}  # fmt: skip
