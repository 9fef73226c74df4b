"""The first look at a file: whose it is, of which kind, and every value in it that identifies."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydicom.datadict import dictionary_has_tag, keyword_for_tag
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset

from radiomics_npc.cohort.dicom_headers import series_headers
from radiomics_npc.cohort.sequence_headers import SeriesHeaders
from radiomics_npc.cohort.sequence_words import read_words
from radiomics_npc.cohort.sequences import recognize_sequence
from radiomics_npc.dataset.confidentiality_profile import Action, Options, action_for
from radiomics_npc.dataset.dicom_objects import (
    as_found,
    burned_in,
    element_vr,
    is_dicom,
    kind_of,
    read_object,
    refusal,
    values_of,
)
from radiomics_npc.dataset.identities import Identities, plain
from radiomics_npc.dataset.identity_reading import name_identities, text_identities
from radiomics_npc.errors import ImageError

__all__ = ["Surveyed", "identities_of", "survey_file", "uids_of"]

#: Attributes that are there to say who, where or which one, by their keywords.
_IDENTIFYING: Final = re.compile(
    r"(IDs?|Names?|AE|AETitle|Number|Address|TelephoneNumbers)$|Address|Telephone|Identif|Institution|Organization"
    r"|Location|Issuer|Author|Recorder|Transcriber|Interpreter|Physician|Operator|Residence|Rank|AccessionNumber"
)
_DESCRIBING: Final = re.compile(
    r"^(ProtocolName|ROIName|StructureSetName|RTPlanName|EntityName|ImageID|PositionAcquisitionTemplateName|TrackingID"
    r"|SegmentLabel)$"
)
_KEPT: Final = (Action.KEEP, Action.CLEAN, Action.RECURSE, Action.LABEL, Action.SEX, Action.AGENT)
_TEXTS: Final = frozenset({"LO", "SH", "ST", "LT", "UT", "UC", "UR", "AE", "CS", "UN", "OB", "DS", "IS"})
#: What a file says of its text and of its being de-identified: nothing of a patient.
_SAID: Final = frozenset({0x00080005, 0x00120062, 0x00120063, 0x00120064, 0x00280303})
_LONGEST: Final = 4096
_SEQUENCE_NAMES: Final = {"t1": "T1WI", "t2": "T2WI", "ce_t1": "CE-T1WI"}


@dataclass(frozen=True)
class Surveyed:
    """What the first look found.

    Parameters
    ----------
    number : int
        Of the file, in the order of the names.
    kind : str
        As in :func:`radiomics_npc.dataset.dicom_objects.kind_of`; ``other file``, ``damaged``.
    problem : str
        Why it cannot be copied; empty if it can.
    burned_in : str
        Why text may be written into its pixels.
    patient, name, study, series : str
        What says whose it is.
    sequence : str, optional
        As recognized.
    description : str
        What takes the place of the series description: a few words of ours, by which the series is recognized
        as before, or again as none of the three sequences.
    identities : Identities
    simulated : bool
    """

    number: int
    kind: str
    problem: str = ""
    burned_in: str = ""
    patient: str = field(default="", repr=False)
    name: str = field(default="", repr=False)
    study: str = field(default="", repr=False)
    series: str = field(default="", repr=False)
    sequence: str | None = None
    description: str = ""
    identities: Identities = field(default_factory=Identities, repr=False)
    simulated: bool = False


def survey_file(path: Path, number: int, options: Options) -> Surveyed:
    """Look at one file. Never raises for what is in it."""
    try:
        if not is_dicom(path):
            return Surveyed(number, "other file")
        with as_found():
            return _survey(read_object(path), number, options)
    except ImageError as error:
        return Surveyed(number, "damaged", error.message)
    except OSError:
        return Surveyed(number, "damaged", "it cannot be opened")


def _survey(header: Dataset, number: int, options: Options) -> Surveyed:
    kind = kind_of(header)
    if kind == "DICOMDIR":
        return Surveyed(number, kind)
    try:
        headers = series_headers(header)
        sequence = recognize_sequence(headers)
        return Surveyed(
            number,
            kind,
            refusal(kind),
            burned_in(header) if kind == "image" else "",
            _text(header, "PatientID"),
            _text(header, "PatientName") + "|" + _text(header, "PatientBirthDate"),
            _text(header, "StudyInstanceUID"),
            _text(header, "SeriesInstanceUID"),
            sequence,
            _description(headers, sequence),
            identities_of(header, options),
            "SIMULATED" in _text(header, "DeidentificationMethod"),
        )
    except Exception as error:
        # values of a damaged header fail in many ways
        raise ImageError(f"damaged ({type(error).__name__})", "Export it again.") from error


def _description(headers: SeriesHeaders, sequence: str | None) -> str:
    if sequence is not None:
        return _SEQUENCE_NAMES[sequence]
    if headers.modality != "MR" or not headers.names:
        return ""
    # without words the timing alone would decide, and take a diffusion image for T2
    reasons = [found for text in headers.names if (found := read_words(text).excluded)]
    return f"not T1 or T2: {reasons[0]}" if reasons else "not recognized as T1 or T2"


def _text(header: Dataset, name: str) -> str:
    return str(header.get(name) or "").strip(" \0")


def identities_of(header: Dataset, options: Options) -> Identities:
    """Collect what identifies at every depth: all names and dates, and every text that will not be kept."""
    parts: list[Identities] = []
    # a station or an application that is called as the model of the scanner tells nothing
    model = plain(_text(header, "ManufacturerModelName"))
    for part in (header, header.file_meta):
        _collect(part, options, parts, model)
    return Identities.of(parts)


def _collect(header: Dataset, options: Options, parts: list[Identities], model: str) -> None:
    for key in list(header.keys()):
        tag = int(key)
        vr = element_vr(header, tag)
        if tag in _SAID or (vr not in _TEXTS and vr not in ("SQ", "PN", "DA", "DT")):
            continue
        action = action_for(tag, vr, options)
        if vr != "SQ" and vr != "PN" and action in _KEPT:
            continue
        raw = _raw(header, tag)
        try:
            element = header[key]
        except Exception as error:
            if vr == "SQ" and action in _KEPT:
                raise ImageError("damaged", "Export it again.") from error
            parts.append(text_identities(raw.decode("utf-8", "ignore"), raw, identifying=True))
            continue
        if element.VR == "SQ":
            for item in element.value:
                _collect(item, options, parts, model)
        elif element.VR == "PN" or not model or plain(str(element.value)) != model:
            parts.extend(_element_identities(tag, element.VR, element.value, raw))


def _raw(header: Dataset, tag: int) -> bytes:
    element = header.get_item(tag)
    value = element.value if element is not None else b""
    if isinstance(element, RawDataElement) or isinstance(value, bytes):
        return (value or b"")[:_LONGEST]
    return b""


def _element_identities(tag: int, vr: str, value: Any, raw: bytes) -> list[Identities]:
    if isinstance(value, bytes):
        if len(value) > _LONGEST:
            return []
        texts = [_decoded(value)]
    else:
        texts = [str(v) for v in values_of(value)]
    if vr == "PN":
        return [name_identities(text, raw) for text in texts if text and text != "None"]
    if vr in ("DA", "DT"):
        days = {found[0][:8] for t in texts if (found := re.match(r"\d{8}", re.sub(r"[-./]", "", t)))}
        return [Identities(dates=frozenset(days))]
    if vr == "CS":
        return [text_identities(t, identifying=False).allowing(texts) for t in texts]
    name = keyword_for_tag(tag) if dictionary_has_tag(tag) else ""
    identifying = bool(_IDENTIFYING.search(name)) and not _DESCRIBING.match(name)
    if vr in ("DS", "IS") and not identifying:
        return []  # a measurement, which private attributes repeat
    return [text_identities(t, raw, identifying=identifying) for t in texts if t and t != "None"]


def _decoded(data: bytes) -> str:
    """Read bytes of unknown meaning as text, if that is what they are."""
    for encoding in ("utf-8", "gb18030"):
        try:
            text = data.rstrip(b"\0 ").decode(encoding)
        except UnicodeDecodeError:
            continue
        return text if text.isprintable() else ""
    return ""


def uids_of(header: Dataset) -> set[str]:
    """Collect the UIDs of a file, at every depth."""
    found: set[str] = set()
    for key in list(header.keys()):
        vr = element_vr(header, int(key))
        if vr == "SQ":
            for item in header[key].value:
                found |= uids_of(item)
        elif vr == "UI":
            found.update(map(str, values_of(header[key].value)))
    return found - {""}
