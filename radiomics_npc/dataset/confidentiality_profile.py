"""What happens to each DICOM attribute: the table of PS3.15 Annex E, its options, and what may stay.

The table of actions (Table E.1-1, edition 2026c) is dicom-anonymizer's. That library's own way of applying
it leaves gaps, which are closed here and in :mod:`radiomics_npc.dataset.header_cleaning`: it looks at the
top level only (an attribute within a sequence that the table does not name stays as it is), keeps removed
dates as ``00010101``, copies file meta information, curves and unknown attributes, draws UIDs at random
(no two runs agree) and replaces standard UIDs with them, and fails on value representations such as OW.

The table names what is known to identify. Attributes that it does not name are kept only where they are
among those that images, segmentations and contours need: numbers and coded terms of the groups that describe
acquisition, geometry, pixels and regions, and a short list of texts.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Final

from dicomanonymizer.dicomfields_selector import dicom_anonymization_database_selector
from pydicom.datadict import dictionary_has_tag, dictionary_VR, keyword_for_tag, tag_for_keyword

__all__ = ["EDITION", "Action", "Options", "action_for", "is_safe_private", "keyword", "table_action"]

EDITION: Final = "2026c"


class Action(StrEnum):
    """What is done to an attribute; the words are those of the report."""

    KEEP = "kept"
    CLEAN = "kept after a check"
    RECURSE = "items cleaned"
    REMOVE = "removed"
    EMPTY = "emptied"
    DUMMY = "replaced by a dummy"
    UID = "UID replaced"
    SHIFT = "date shifted"
    PSEUDONYM = "replaced by the pseudonym"
    SEX = "sex kept"
    DECADE = "age kept as decade"
    SEQUENCE = "reduced to the sequence's name"
    AGENT = "reduced to the contrast agent's name"
    LABEL = "name of a region checked"


@dataclass(frozen=True)
class Options:
    """Options of the profile.

    Parameters
    ----------
    keep_acquisition : bool
        Keep manufacturer, model, software and the numbers and terms of the acquisition.
    shift_dates : bool
        Retain longitudinal information with modified dates; else dates and times are removed.
    keep_private : bool
        Retain the safe private attributes (PS3.15 Table E.3.10-1: those of MR, CT and PET).
    keep_patient : bool
        Retain sex, and age as decade.
    keep_device : bool
        Retain device identity: serial numbers, station name.
    """

    keep_acquisition: bool = True
    shift_dates: bool = False
    keep_private: bool = False
    keep_patient: bool = False
    keep_device: bool = False


_CODES: Final = {
    "D_TAGS": "D", "Z_TAGS": "Z", "X_TAGS": "X", "U_TAGS": "U", "Z_D_TAGS": "Z/D", "X_Z_TAGS": "X/Z",
    "X_D_TAGS": "X/D", "X_Z_D_TAGS": "X/Z/D", "X_Z_U_STAR_TAGS": "X/Z/U*",
}  # fmt: skip

#: Groups whose numbers, coded terms and sequences describe images and regions.
_IMAGE_GROUPS: Final = frozenset(
    {0x0008, 0x0018, 0x0020, 0x0028, 0x0048, 0x0054, 0x0062, 0x3004, 0x3006, 0x5200}
)


def _tags(names: str) -> frozenset[int]:
    found = {name: tag_for_keyword(name) for name in names.split()}
    return frozenset(int(tag) for tag in found.values() if tag is not None)


_FURTHER: Final = _tags("RealWorldValueMappingSequence RealWorldValueIntercept RealWorldValueSlope "
    "RealWorldValueFirstValueMapped RealWorldValueLastValueMapped MeasurementUnitsCodeSequence "
    "PatientOrientationCodeSequence ConceptNameCodeSequence ConceptCodeSequence")  # fmt: skip
#: Coded terms of group 0008, where others (of persons, visits, queries) lie, too.
_TERMS_0008: Final = _tags("ImageType Modality ConversionType PresentationIntentType FrameType "
    "VolumetricProperties VolumeBasedCalculationTechnique PixelPresentation ComplexImageComponent "
    "AcquisitionContrast LossyImageCompressionMethod SpatialLocationsPreserved")  # fmt: skip
_TEXTS: Final = _tags("Manufacturer ManufacturerModelName SoftwareVersions SequenceName PulseSequenceName "
    "ReceiveCoilName TransmitCoilName ImagedNucleus ContrastBolusRoute RescaleType "
    "SegmentAlgorithmName DimensionDescriptionLabel ConvolutionKernel StackID "
    "TransmitCoilManufacturerName ReceiveCoilManufacturerName")  # fmt: skip
_EMPTIED: Final = _tags("PositionReferenceIndicator ContentDescription ContentCreatorName")
_CODE_TEXTS: Final = _tags("CodeValue LongCodeValue CodingSchemeDesignator CodeMeaning")
_LABELS: Final = _tags("ROIName SegmentLabel")
_BULK: Final = _tags("PixelData FloatPixelData DoubleFloatPixelData LUTData RedPaletteColorLookupTableData "
    "GreenPaletteColorLookupTableData BluePaletteColorLookupTableData")  # fmt: skip
#: Needed to read an image even where acquisition parameters are not kept.
_GEOMETRY: Final = _tags(
    "SliceThickness SpacingBetweenSlices PatientPosition NominalScannedPixelSpacing "
    "ImagerPixelSpacing GantryDetectorTilt ReconstructionDiameter MRAcquisitionType BodyPartExamined"
)
#: Maker and model say how an image was made and lie outside group 0018.
_MAKER: Final = _tags("Manufacturer ManufacturerModelName")
_DEVICE: Final = _tags("DeviceSerialNumber StationName GantryID DetectorID GeneratorID PlateID CassetteID "
    "DeviceDescription DeviceUID ManufacturerDeviceClassUID")  # fmt: skip
#: When a device was built or calibrated tells the device, not the course of a patient.
_DEVICE_DATES: Final = _tags("DateOfInstallation DateOfManufacture DateOfLastCalibration "
    "TimeOfLastCalibration DateTimeOfLastCalibration CalibrationDateTime DateOfLastDetectorCalibration "
    "TimeOfLastDetectorCalibration")  # fmt: skip
_DATED_GROUPS: Final = frozenset({0x0008, 0x0018, 0x0054, 0x3006})
_SPECIAL: Final = {
    tag_for_keyword("PatientName"): Action.PSEUDONYM,
    tag_for_keyword("PatientID"): Action.PSEUDONYM,
    tag_for_keyword("SeriesDescription"): Action.SEQUENCE,
    tag_for_keyword("ContrastBolusAgent"): Action.AGENT,
}
_NUMBERS: Final = frozenset({"DS", "IS", "FD", "FL", "US", "SS", "UL", "SL", "SV", "UV", "AT"})
_TEXT_VRS: Final = frozenset({"LO", "SH", "ST", "LT", "UT", "UC", "CS"})
#: PS3.15 Table E.3.10-1, attributes of MR, CT and PET: creator -> (group, last two digits).
_SAFE_PRIVATE: Final = {
    "SIEMENS MR HEADER": {(0x0019, 0x0C), (0x0019, 0x0D), (0x0019, 0x0E), (0x0019, 0x27)},
    "Philips Imaging DD 001": {(0x2001, 0x03), (0x2001, 0x04)},
    "Philips MR Imaging DD 001": {(0x2005, 0x0D), (0x2005, 0x0E)},
    "Philips PET Private Group": {(0x7053, 0x00), (0x7053, 0x09)},
    "GEMS_ACQU_01": {(0x0019, 0x23), (0x0019, 0x24), (0x0019, 0x27), (0x0019, 0x9E)},
    "GEMS_SERS_01": {(0x0025, 0x07)},
    "GEMS_PARM_01": {(0x0043, 0x27), (0x0043, 0x39), (0x0043, 0x6F)},
    "GEMS_HELIOS_01": {(0x0045, 0x01), (0x0045, 0x02)},
    "ELSCINT1": {
        (0x00E1, 0x21), (0x01E1, 0x26), (0x01E1, 0x50), (0x01F1, 0x01), (0x01F1, 0x07), (0x01F1, 0x26),
        (0x01F1, 0x27),
    },
}  # fmt: skip


@cache
def _table() -> dict[int, str]:
    database = dicom_anonymization_database_selector(f"dicomfields_{EDITION}")
    return {
        (tag[0] << 16) | tag[1]: code
        for name, code in _CODES.items()
        for tag in database[name]
        if len(tag) == 2  # overlays and curves repeat over groups and go as a whole
    }


def table_action(tag: int) -> str | None:
    """Return the code of Table E.1-1 (``X``, ``Z``, ``D``, ``U``, ``X/Z``, ...), or None.

    Examples
    --------
    >>> table_action(0x00100010), table_action(0x00080080), table_action(0x00180081)
    ('Z', 'X/Z/D', None)
    """
    return _table().get(tag)


def keyword(tag: int) -> str:
    """Name of an attribute that tells nothing of the file it is in.

    Examples
    --------
    >>> keyword(0x00100010), keyword(0x00291008), keyword(0x60023000)
    ('PatientName', 'private', 'overlay')
    """
    group = tag >> 16
    if group % 2:
        return "private"
    if 0x6000 <= group <= 0x60FF or 0x5000 <= group <= 0x50FF:
        return "overlay" if group >= 0x6000 else "curve"
    return (keyword_for_tag(tag) or "unknown") if dictionary_has_tag(tag) else "unknown"


def is_safe_private(tag: int, creator: str) -> bool:
    """Whether a private attribute is on the list of safe ones."""
    return (tag >> 16, tag & 0xFF) in _SAFE_PRIVATE.get(creator.strip(), set())


def action_for(tag: int, vr: str, options: Options, *, functional_groups: bool = False) -> Action:
    """What to do with a standard attribute.

    Parameters
    ----------
    tag : int
    vr : str
        Value representation in the file; one that the dictionary does not give the attribute
        is a reason to remove it.
    options : Options
    functional_groups : bool
        The object is an enhanced one or a segmentation, which must not lack device serial number,
        content date and time.

    Returns
    -------
    Action

    Examples
    --------
    >>> print(action_for(0x00181030, "LO", Options()), action_for(0x00180081, "DS", Options()), sep="; ")
    removed; kept
    """
    group = tag >> 16
    if group % 2 or group < 0x0008 or not dictionary_has_tag(tag) or 0x5000 <= group <= 0x50FF:
        return Action.REMOVE
    # "US or SS" is what a file with implicit representations says
    if 0x6000 <= group <= 0x60FF or vr not in (*dictionary_VR(tag).split(" or "), dictionary_VR(tag)):
        return Action.REMOVE
    if (special := _special(tag, options)) is not None:
        return special
    if vr in ("DA", "DT", "TM") and options.shift_dates and _is_of_the_course(tag):
        return Action.SHIFT
    if (code := table_action(tag)) is not None:
        return _by_table(code, vr, functional_groups)
    return _unlisted(tag, vr, options)


def _special(tag: int, options: Options) -> Action | None:
    if tag in _SPECIAL:
        return _SPECIAL[tag]
    if tag in _LABELS:
        return Action.LABEL
    if tag in _DEVICE and options.keep_device:
        return Action.UID if dictionary_VR(tag) == "UI" else Action.CLEAN
    if options.keep_patient and tag == tag_for_keyword("PatientSex"):
        return Action.SEX
    if options.keep_patient and tag == tag_for_keyword("PatientAge"):
        return Action.DECADE
    return None


def _is_of_the_course(tag: int) -> bool:
    return tag >> 16 in _DATED_GROUPS and tag not in _DEVICE_DATES


def _by_table(code: str, vr: str, functional_groups: bool) -> Action:
    if code == "U":
        return Action.UID
    if code == "X/Z/U*":
        return Action.RECURSE
    if vr == "SQ" or code == "X":
        return Action.EMPTY if code in ("Z", "X/Z") else Action.REMOVE
    if code == "D" or ("D" in code and functional_groups):
        return Action.DUMMY
    return Action.EMPTY if "Z" in code and code != "X/Z/D" else Action.REMOVE


def _unlisted(tag: int, vr: str, options: Options) -> Action:
    group = tag >> 16
    if tag in _BULK:
        return Action.KEEP
    if tag in _EMPTIED:
        return Action.EMPTY
    if tag in _CODE_TEXTS:
        return Action.CLEAN
    if group not in _IMAGE_GROUPS and tag not in _FURTHER:
        return Action.REMOVE
    if vr == "UI":
        return Action.UID
    if vr == "SQ":
        return Action.RECURSE
    acquired = group == 0x0018 or tag in _MAKER
    if acquired and not options.keep_acquisition and tag not in _GEOMETRY:
        return Action.EMPTY if tag in _MAKER else Action.REMOVE
    if vr in _NUMBERS or " or " in vr:
        return Action.KEEP
    if tag in _TEXTS and vr in _TEXT_VRS:
        return Action.CLEAN
    return Action.KEEP if vr == "CS" and (group != 0x0008 or tag in _TERMS_0008) else Action.REMOVE
