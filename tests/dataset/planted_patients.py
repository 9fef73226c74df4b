"""Patients whose DICOM files are full of identifiers, written with pydicom and highdicom."""

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, RTStructureSetStorage

#: Forty identifiers, and the place in which each is planted.
PLANTED = {
    "PatientName": "Zhangwei^Meihua=張偉^美華=ちょう^びか",
    "PatientID": "HN20883151",
    "OtherPatientIDs": "MRN-7734512",
    "PatientBirthName": "Ouyang^Meihua",
    "PatientMotherBirthName": "Situ^Lihua",
    "PatientAddress": "17 Dongfeng Lane, Guangzhou",
    "PatientTelephoneNumbers": "+86 13800138077",
    "PatientBirthDate": "19610417",
    "AccessionNumber": "ACC9928817",
    "InstitutionName": "Xiangyang Lakeside Hospital",
    "InstitutionAddress": "88 Baiyun Boulevard",
    "InstitutionalDepartmentName": "Ward Qingyuan",
    "ReferringPhysicianName": "Huangfu^Jianguo",
    "PerformingPhysicianName": "Shangguan^Rui",
    "OperatorsName": "Murong^Fei",
    "StationName": "MRKLINIK77",
    "DeviceSerialNumber": "SN-5567781",
    "StudyID": "STU66712",
    "StudyDate": "20210315",
    "SeriesDate": "20210316",
    "AcquisitionDateTime": "20210317101530.5",
    "StudyDescription": "MRI neck for Zhangwei",
    "SeriesDescription": "t1_tse_tra Meihua",
    "ProtocolName": "NPC Dr Huangfu",
    "PatientComments": "wife of the mayor of Foshan",
    "AdditionalPatientHistory": "operated 2019 by Nangong in Macau",
    "ImageComments": "call Dongfang tomorrow",
    "RequestingPhysician": "Zhuge^Liang",
    "IssuerOfPatientID": "HISGZ4411",
    "PatientInsurancePlanCodeSequence": "INSURE-88112",
    "RequestAttributesSequence": "REQ-0091823",
    "OriginalAttributesSequence": "Formername^Gone",
    "private": "Secretive Private Words",
    "private UN": "Unspoken Private Bytes",
    "private sequence": "Nested Private Person",
    "SourceApplicationEntityTitle": "AE_XIANGYANG",
    "PrivateInformation": "meta private info 4471",
    "overlay": "Overlaid Label Text",
    "ContentSequence": "Structured Person Words",
    "unknown": "Unlisted Attribute Words",
}


def patient_images(folder: Path, *, slices: int = 4, matrix: int = 16, deep: int = 0) -> list[FileDataset]:
    """Write a T1 series with all of them; returns the headers."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(7)
    headers = []
    for number in range(1, slices + 1):
        header = _image(number, matrix)
        header.PixelData = rng.integers(0, 900, (matrix, matrix)).astype("<u2").tobytes()
        plant(header)
        header.save_as(folder / f"{PLANTED['PatientID']}_{number}.dcm", enforce_file_format=True)
        headers.append(header)
    return headers


def _image(number: int, matrix: int) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = MRImageStorage
    meta.MediaStorageSOPInstanceUID = f"1.2.826.0.1.999.20210315.{number}"
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.SourceApplicationEntityTitle = PLANTED["SourceApplicationEntityTitle"]
    meta.PrivateInformationCreatorUID = "1.2.3.4.5.6"
    meta.PrivateInformation = PLANTED["PrivateInformation"].encode()
    header = FileDataset("", {}, file_meta=meta, preamble=b"Zhangwei Meihua".ljust(128, b"."))
    header.SpecificCharacterSet = "ISO_IR 192"
    header.SOPClassUID, header.SOPInstanceUID = MRImageStorage, meta.MediaStorageSOPInstanceUID
    header.StudyInstanceUID, header.SeriesInstanceUID = "1.2.826.0.1.999.1", "1.2.826.0.1.999.2"
    header.FrameOfReferenceUID = "1.2.826.0.1.999.3"
    header.Modality, header.Manufacturer, header.ManufacturerModelName = "MR", "SIEMENS", "Skyra"
    header.PatientSex, header.PatientAge = "F", "059Y"
    header.ImageType = ["ORIGINAL", "PRIMARY", "M", "SE"]
    header.ScanningSequence, header.SequenceVariant, header.ScanOptions = "SE", "SK", ""
    header.MRAcquisitionType, header.EchoTime, header.RepetitionTime = "2D", "12.0", "571.0"
    header.FlipAngle, header.MagneticFieldStrength = "90", "3"
    header.SliceThickness, header.SpacingBetweenSlices = "5.0", "5.5"
    header.SeriesNumber, header.InstanceNumber, header.PatientPosition = "3", str(number), "HFS"
    header.PositionReferenceIndicator = ""
    header.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    header.ImagePositionPatient = ["-8.25", "3.5", f"{5.5 * number}"]
    header.PixelSpacing = ["0.4300000", "0.4300000"]
    header.Rows = header.Columns = matrix
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
    header.BitsAllocated = header.BitsStored = 16
    header.HighBit, header.PixelRepresentation = 15, 0
    header.StudyTime = "101530.123"
    return header


def plant(header: Dataset) -> None:
    """Put every identifier in its place."""
    for name, value in PLANTED.items():
        if name.endswith("Sequence") or name in ("private", "private UN", "private sequence", "overlay",
                                                "unknown", "SourceApplicationEntityTitle",
                                                "PrivateInformation"):  # fmt: skip
            continue
        setattr(header, name, value)
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator = "1", "99HIS"
    code.CodeMeaning = PLANTED["PatientInsurancePlanCodeSequence"]
    header.PatientInsurancePlanCodeSequence = Sequence([code])
    request = Dataset()
    request.RequestedProcedureID = PLANTED["RequestAttributesSequence"]
    header.RequestAttributesSequence = Sequence([request])
    modified, original = Dataset(), Dataset()
    modified.PatientName = PLANTED["OriginalAttributesSequence"]
    original.ModifiedAttributesSequence = Sequence([modified])
    header.OriginalAttributesSequence = Sequence([original])
    # three deep, in sequences that the profile does not name
    person, purpose, source = Dataset(), Dataset(), Dataset()
    person.PersonName = "Deepdown^Person"
    person.InstitutionName = PLANTED["InstitutionName"]
    purpose.ConceptNameCodeSequence = Sequence([person])
    source.ReferencedSOPClassUID, source.ReferencedSOPInstanceUID = MRImageStorage, "1.2.826.0.1.999.77"
    source.PurposeOfReferenceCodeSequence = Sequence([purpose])
    header.SourceImageSequence = Sequence([source])
    block = header.private_block(0x0029, "Hidden CREATOR Names", create=True)
    block.add_new(0x01, "LO", PLANTED["private"])
    block.add_new(0x02, "UN", PLANTED["private UN"].encode())
    nested = Dataset()
    nested.PatientName = PLANTED["private sequence"]
    block.add_new(0x03, "SQ", Sequence([nested]))
    header.add_new(0x60000010, "US", 16)
    header.add_new(0x60000022, "LO", PLANTED["overlay"])
    header.add_new(0x60003000, "OW", b"\1\2" * 16)
    content = Dataset()
    content.TextValue = PLANTED["ContentSequence"]
    header.ContentSequence = Sequence([content])
    header.add_new(0x00200099, "LT", PLANTED["unknown"])
    header.add_new(0x00104000, "UN", PLANTED["PatientComments"].encode())


def patient_contours(path: Path, images: list[FileDataset], names: tuple[str, ...]) -> None:
    """Write an RTSTRUCT with a square on every slice, by a named author."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID = RTStructureSetStorage, ExplicitVRLittleEndian
    meta.MediaStorageSOPInstanceUID = "1.2.826.0.1.999.500"
    found = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    for name in ("SpecificCharacterSet", "PatientName", "PatientID", "StudyInstanceUID", "StudyDate",
                 "FrameOfReferenceUID"):  # fmt: skip
        setattr(found, name, images[0].get(name))
    found.SOPClassUID, found.SOPInstanceUID = RTStructureSetStorage, meta.MediaStorageSOPInstanceUID
    found.SeriesInstanceUID, found.Modality = "1.2.826.0.1.999.501", "RTSTRUCT"
    found.StructureSetLabel, found.StructureSetDate = "Drawn by Baili", "20210401"
    found.ApprovalStatus, found.ReviewerName = "APPROVED", "Baili^Tusu"
    series, study, frame = Dataset(), Dataset(), Dataset()
    series.SeriesInstanceUID = images[0].SeriesInstanceUID
    series.ContourImageSequence = Sequence([_reference(image) for image in images])
    study.ReferencedSOPClassUID, study.ReferencedSOPInstanceUID = (
        "1.2.840.10008.3.1.2.3.1",
        "1.2.826.0.1.999.1",
    )
    study.RTReferencedSeriesSequence = Sequence([series])
    frame.FrameOfReferenceUID = images[0].FrameOfReferenceUID
    frame.RTReferencedStudySequence = Sequence([study])
    found.ReferencedFrameOfReferenceSequence = Sequence([frame])
    regions, contours, observed = [], [], []
    for number, name in enumerate(names, 1):
        region, drawn, seen = Dataset(), Dataset(), Dataset()
        region.ROINumber, region.ROIName, region.ROIGenerationAlgorithm = number, name, "MANUAL"
        region.ReferencedFrameOfReferenceUID = images[0].FrameOfReferenceUID
        region.ROIDescription = "outlined for Zhangwei"
        drawn.ReferencedROINumber = number
        drawn.ContourSequence = Sequence([_square(image) for image in images])
        seen.ObservationNumber = seen.ReferencedROINumber = number
        seen.ROIInterpreter, seen.RTROIInterpretedType = "Dugu^Qiubai", "GTV"
        regions.append(region)
        contours.append(drawn)
        observed.append(seen)
    found.StructureSetROISequence, found.ROIContourSequence = Sequence(regions), Sequence(contours)
    found.RTROIObservationsSequence = Sequence(observed)
    found.save_as(path, enforce_file_format=True)


def _reference(image: FileDataset) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = image.SOPClassUID, image.SOPInstanceUID
    return item


def _square(image: FileDataset) -> Dataset:
    item = Dataset()
    x, y, z = map(float, image.ImagePositionPatient)
    low, high = 0.43 * 3 - 0.2, 0.43 * 9 + 0.2
    corners = [(low, low), (high, low), (high, high), (low, high)]
    item.ContourImageSequence = Sequence([_reference(image)])
    item.ContourGeometricType, item.NumberOfContourPoints = "CLOSED_PLANAR", 4
    item.ContourData = [f"{v:.4f}" for a, b in corners for v in (x + a, y + b, z)]
    return item


def patient_segmentation(path: Path, images: list[FileDataset]) -> np.ndarray:
    """Write a DICOM SEG with highdicom, its author and series named after people."""
    from highdicom.content import AlgorithmIdentificationSequence
    from highdicom.seg import Segmentation, SegmentDescription

    mask = np.zeros((len(images), images[0].Rows, images[0].Columns), dtype=bool)
    mask[1:3, 4:9, 5:11] = True
    segment = SegmentDescription(
        segment_number=1,
        segment_label="GTVp",
        segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
        segmented_property_type=codes.SCT.Neoplasm,
        algorithm_type="SEMIAUTOMATIC",
        tracking_id="Zhangwei tumor",
        tracking_uid="1.2.826.0.1.999.9",
        algorithm_identification=AlgorithmIdentificationSequence(
            "grow", codes.DCM.ArtificialIntelligence, "1"
        ),
    )
    made = Segmentation(
        source_images=images, pixel_array=mask, segmentation_type="BINARY", segment_descriptions=[segment],
        series_instance_uid="1.2.826.0.1.999.600", series_number=9, sop_instance_uid="1.2.826.0.1.999.601",
        instance_number=1, manufacturer="Maker", manufacturer_model_name="Model", software_versions="1",
        device_serial_number="SN-5567781", content_creator_name="Dugu^Qiubai",
        series_description="GTV of Zhangwei Meihua", content_description="drawn by Dugu",
    )  # fmt: skip
    made.save_as(path)
    return mask
