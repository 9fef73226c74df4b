"""Write a simulated series as DICOM: honest about how it was made, and about nobody having lived it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

from radiomics_npc.simulate.acquisition import Series
from radiomics_npc.simulate.published import SCANNERS

__all__ = ["DESCRIPTION", "write_series"]

DESCRIPTION: Final = {"t1": "T1WI", "t2": "T2WI", "ce_t1": "CE-T1WI"}
COMMENT: Final = "SIMULATED - this patient never lived"
_BLANK: Final = (
    "PatientBirthDate", "PatientSex", "PatientAge", "StudyDate", "StudyTime", "SeriesDate", "SeriesTime",
    "ContentDate", "ContentTime", "AcquisitionDate", "AcquisitionTime", "AccessionNumber",
    "ReferringPhysicianName",
)  # fmt: skip


def write_series(folder: Path, image: NDArray[np.uint16], series: Series, patient_id: str, seed: int) -> None:
    """Write one file a slice, named by instance number.

    Slices run upward or downward along the patient, as the scanner has it: only the
    geometry in the headers tells their order.

    Parameters
    ----------
    folder : Path
        Made if absent.
    image : array of uint16, shape (slices, rows, columns)
        The first slice is the lowest.
    series : Series
    patient_id : str
    seed : int
        Of the cohort; UIDs follow from it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    header = _header(series, patient_id, seed)
    window = int(np.percentile(image[:: max(1, len(image) // 6)], 99.5))
    header.WindowCenter, header.WindowWidth = str(window // 2), str(max(window, 1))
    normal = np.array(series.direction).reshape(3, 3)[:, 2]
    for number in range(1, series.slices + 1):
        index = series.slices - number if series.downward else number - 1
        position = np.array(series.origin_mm) + index * series.spacing_mm[2] * normal
        header.SOPInstanceUID = _uid(seed, patient_id, series.sequence, str(number))
        header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
        header.InstanceNumber = str(number)
        header.ImagePositionPatient = [_decimal(v) for v in position]
        header.SliceLocation = _decimal(float(position @ normal))
        header.PixelData = image[index].astype("<u2", copy=False).tobytes()
        header.save_as(folder / f"IM{number:04d}.dcm", enforce_file_format=True)


def _decimal(value: float) -> str:
    """At most 16 characters, as DICOM allows for a decimal string."""
    return f"{value:.10f}"[:16].rstrip("0").rstrip(".")


def _uid(seed: int, *parts: str) -> str:
    return generate_uid(entropy_srcs=["radiomics-npc simulated", str(seed), *parts])


def _header(series: Series, patient_id: str, seed: int) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = MRImageStorage
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    for name in _BLANK:
        setattr(header, name, "")
    header.SpecificCharacterSet = "ISO_IR 100"
    header.SOPClassUID = MRImageStorage
    header.Modality = "MR"
    header.PatientName = header.PatientID = patient_id
    header.PatientIdentityRemoved = "YES"
    header.DeidentificationMethod = COMMENT
    header.ImageComments = COMMENT
    header.StudyID = "1"
    header.StudyInstanceUID = _uid(seed, patient_id)
    header.SeriesInstanceUID = _uid(seed, patient_id, series.sequence)
    header.FrameOfReferenceUID = _uid(seed, patient_id, "frame")
    header.PositionReferenceIndicator = ""
    _add_acquisition(header, series)
    _add_geometry(header, series)
    return header


def _add_acquisition(header: FileDataset, series: Series) -> None:
    name = DESCRIPTION[series.sequence]
    header.SeriesNumber = str(1 + list(DESCRIPTION).index(series.sequence))
    header.SeriesDescription = f"SIMULATED AX {name}"
    header.ProtocolName = header.SeriesDescription
    header.ImageType = ["ORIGINAL", "PRIMARY", "M", "SE"]
    header.Manufacturer = SCANNERS[series.model].manufacturer
    header.ManufacturerModelName = series.model
    header.MagneticFieldStrength = str(series.field_tesla)
    header.BodyPartExamined = "HEAD"
    header.ScanningSequence = "SE"
    header.SequenceVariant = "SK"
    header.ScanOptions = "FS" if series.faults.fat_saturation else ""
    header.MRAcquisitionType = "2D"
    header.EchoTime = str(series.echo_time)
    header.RepetitionTime = str(series.repetition_time)
    header.FlipAngle = str(series.flip_angle)
    header.EchoTrainLength = "16" if series.sequence == "t2" else "1"
    header.NumberOfAverages = "1"
    header.ImagingFrequency = str(round(42.577478 * series.field_tesla, 4))
    header.PercentPhaseFieldOfView = "100"
    header.AcquisitionMatrix = [series.acquired_matrix, 0, 0, series.acquired_matrix]
    header.InPlanePhaseEncodingDirection = "ROW"
    if series.contrast:
        header.ContrastBolusAgent = "Gadoteric Acid Meglumine Salt"


def _add_geometry(header: FileDataset, series: Series) -> None:
    cosines = np.array(series.direction).reshape(3, 3)
    header.PatientPosition = "HFS"
    header.ImageOrientationPatient = [_decimal(v) for v in (*cosines[:, 0], *cosines[:, 1])]
    header.PixelSpacing = [_decimal(series.spacing_mm[1]), _decimal(series.spacing_mm[0])]
    header.SliceThickness = _decimal(series.thickness_mm)
    header.SpacingBetweenSlices = _decimal(series.spacing_mm[2])
    header.Rows = header.Columns = series.matrix
    header.SamplesPerPixel = 1
    header.PhotometricInterpretation = "MONOCHROME2"
    header.BitsAllocated = header.BitsStored = 16
    header.HighBit = 15
    header.PixelRepresentation = 0
