"""Small DICOM series and masks, written for a test."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def dicom_slice(
    pixels, position, orientation=AXIAL, spacing=(0.5, 0.5), series="1.2.3", **changes
) -> FileDataset:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.4"
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[str(position), series])
    data = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID, data.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    data.SeriesInstanceUID, data.Modality = series, "MR"
    data.ImagePositionPatient = [float(f"{x:.8g}") for x in position]
    data.ImageOrientationPatient = [float(f"{x:.8g}") for x in orientation]
    data.PixelSpacing, data.SliceThickness = list(spacing), 99.0
    data.Rows, data.Columns = pixels.shape
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated = data.BitsStored = 16
    data.HighBit, data.PixelRepresentation = 15, 0
    data.PixelData = pixels.astype("<u2").tobytes()
    for tag, value in changes.items():
        setattr(data, tag, value)
    return data


@pytest.fixture
def write_series() -> Callable[..., Path]:
    """Write ``array`` (slices, rows, columns) as a series; file names do not follow the positions."""

    def write(
        folder, array, *, spacing=(0.5, 0.5, 5.5), origin=(-8.0, -4.0, 30.0), orientation=AXIAL, **changes
    ):
        folder.mkdir(parents=True, exist_ok=True)
        normal = np.cross(orientation[:3], orientation[3:])
        names = np.random.default_rng(len(array)).permutation(len(array))
        for k, name in enumerate(names):
            position = np.array(origin) + k * spacing[2] * normal
            data = dicom_slice(array[k], position, orientation, (spacing[1], spacing[0]), **changes)
            data.save_as(folder / f"{name:04d}.dcm", enforce_file_format=True)
        return folder

    return write


@pytest.fixture
def edit_slice() -> Callable[..., None]:
    """Change tags of a written slice; None removes the value."""

    def edit(file, **changes):
        data = pydicom.dcmread(file)
        for tag, value in changes.items():
            setattr(data, tag, value)
        data.save_as(file)

    return edit


@pytest.fixture
def write_mask() -> Callable[..., Path]:
    """Write an array as NIfTI or NRRD with the geometry of :func:`write_series`."""

    def write(file, array, *, spacing=(0.5, 0.5, 5.5), origin=(-8.0, -4.0, 30.0), direction=None):
        image = sitk.GetImageFromArray(np.asarray(array))
        image.SetSpacing(spacing)
        image.SetOrigin(origin)
        if direction is not None:
            image.SetDirection(np.asarray(direction, dtype=float).ravel().tolist())
        file.parent.mkdir(parents=True, exist_ok=True)
        sitk.WriteImage(image, str(file))
        return file

    return write


@pytest.fixture
def write_study(write_series) -> Callable[..., Path]:
    """A series as :func:`write_series` that names patient, study and space, for objects that refer to it."""

    def write(folder, array, **geometry):
        study = {
            "PatientName": "Simulated^One", "PatientID": "001", "PatientBirthDate": "", "PatientSex": "",
            "StudyInstanceUID": "1.2.3.4", "StudyDate": "20260101", "StudyTime": "120000", "StudyID": "1",
            "AccessionNumber": "", "ReferringPhysicianName": "", "FrameOfReferenceUID": "1.2.3.5",
            "SeriesNumber": 4, "InstanceNumber": 1, "Manufacturer": "none", "SeriesDate": "20260101",
        }  # fmt: skip
        return write_series(folder, array, **{**study, **geometry})

    return write
