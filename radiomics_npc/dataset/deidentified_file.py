"""One file de-identified: read, cleaned, written beside its place, checked there, and only then put in it."""

from __future__ import annotations

import hashlib
import uuid
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from radiomics_npc.dataset.confidentiality_profile import EDITION, Options
from radiomics_npc.dataset.dicom_objects import as_found, read_object
from radiomics_npc.dataset.header_cleaning import DUMMY_DATE, HeaderCleaner
from radiomics_npc.dataset.header_survey import Surveyed, uids_of
from radiomics_npc.dataset.identities import Identities
from radiomics_npc.dataset.leftovers import find_leftovers
from radiomics_npc.dataset.pixel_streams import settle_pixels
from radiomics_npc.dataset.pseudonyms import Pseudonyms, shift_date
from radiomics_npc.errors import ImageError
from radiomics_npc.simulate.dicom import COMMENT
from radiomics_npc.storage import write_atomic

__all__ = ["PatientFiles", "Written", "deidentify_patient"]

_EXPORT: Final = "Export it again."
_IMPLEMENTATION: Final = f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, 'radiomics_npc').int}"
_METHOD: Final = f"radiomics_npc, DICOM PS3.15 Annex E, {EDITION}"
_METHODS: Final = {
    "113100": "Basic Application Confidentiality Profile",
    "113105": "Clean Descriptors Option",
    "113107": "Retain Longitudinal Temporal Information Modified Dates Option",
    "113108": "Retain Patient Characteristics Option",
    "113109": "Retain Device Identity Option",
    "113111": "Retain Safe Private Option",
}
#: What files that went through here before, or were simulated, say of themselves.
_OWN_TEXTS: Final = [COMMENT, _METHOD, *_METHODS.values()]


@dataclass(frozen=True)
class PatientFiles:
    """The work of one patient.

    Parameters
    ----------
    files : tuple of (Path, Surveyed)
    out : Path
    patient : str
        What keyed hashes are made from.
    pseudonym : str
    pseudonyms : Pseudonyms
    options : Options
    """

    files: tuple[tuple[Path, Surveyed], ...] = field(repr=False)
    out: Path
    patient: str = field(repr=False)
    pseudonym: str
    pseudonyms: Pseudonyms
    options: Options


@dataclass(frozen=True)
class Written:
    """What became of one file.

    Parameters
    ----------
    number : int
    name : str
        Where it lies within the output; empty if it was not written.
    problem : str
        Why not.
    leftovers : tuple of str
        What the check found, if it found anything.
    counts, labels : Counter
        Of :class:`radiomics_npc.dataset.header_cleaning.HeaderCleaner`.
    """

    number: int
    name: str = ""
    problem: str = ""
    leftovers: tuple[str, ...] = ()
    counts: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)


def deidentify_patient(work: PatientFiles) -> list[Written]:
    """De-identify the files of one patient. Never raises for what is in them."""
    identities = Identities.of({surveyed.identities for _, surveyed in work.files})
    # a free text of another file cannot come into this one: each is searched for its own
    identities = replace(identities, texts=frozenset()).without(work.pseudonym)
    own = {DUMMY_DATE}
    if work.options.shift_dates:
        # a shifted date may be the true one of another study
        days = work.pseudonyms.days(work.patient)
        own |= {moved for d in identities.dates if (moved := shift_date(d, days))}
    for day in own:
        identities = identities.without(day)
    taken: set[str] = set()
    return [_one(work, path, surveyed, identities, taken) for path, surveyed in work.files]


def _one(
    work: PatientFiles, path: Path, surveyed: Surveyed, identities: Identities, taken: set[str]
) -> Written:
    cleaner = HeaderCleaner(
        work.options, work.pseudonyms, work.patient, work.pseudonym, identities, surveyed.description
    )
    try:
        with as_found():
            source = read_object(path)
            cleaned, old_uids = _cleaned(source, cleaner, surveyed)
            name = _name(cleaned, work.pseudonym, surveyed)
        if name in taken:
            return Written(surveyed.number, problem="another file has the same SOPInstanceUID: a copy")
        taken.add(name)
        target = work.out / name
        with write_atomic(target) as temporary:
            _write(temporary, cleaned)
            texts = Identities(texts=surveyed.identities.texts).allowing(_OWN_TEXTS)
            if left := _check(temporary, work, (identities, texts), old_uids):
                raise _LeftoverError(left)
    except _LeftoverError as error:
        return Written(surveyed.number, problem="the check found what may identify", leftovers=error.left)
    except ImageError as error:
        return Written(surveyed.number, problem=error.message)
    except OSError as error:
        return Written(surveyed.number, problem=f"it cannot be read or written ({error.strerror})")
    return Written(surveyed.number, name, "", (), cleaner.counts, cleaner.named)


def _write(path: Path, cleaned: Dataset) -> None:
    try:
        with as_found():
            dcmwrite(path, cleaned, enforce_file_format=True)
    except Exception as error:
        # a value that pydicom took as read and cannot write: the source says what it must not
        raise ImageError(f"it cannot be written ({type(error).__name__})", _EXPORT) from error


def _check(
    path: Path, work: PatientFiles, identities: tuple[Identities, Identities], old_uids: set[str]
) -> list[str]:
    try:
        return find_leftovers(path, work.options, identities, work.pseudonym, old_uids)
    except (ImageError, OSError):
        raise
    except Exception as error:
        # what cannot be looked through cannot be handed on; the error may quote a value
        raise ImageError(f"it cannot be checked ({type(error).__name__})", _EXPORT) from error


class _LeftoverError(Exception):
    """The check found something: the file is not kept."""

    def __init__(self, left: list[str]) -> None:
        self.left = tuple(left)
        super().__init__(len(left))


def _cleaned(source: Dataset, cleaner: HeaderCleaner, surveyed: Surveyed) -> tuple[Dataset, set[str]]:
    """Return the new header, and the UIDs of the old one."""
    cleaner.functional_groups = 0x52009229 in source
    try:
        cleaned = cleaner.clean(source)
        settle_pixels(source, cleaned)
        old_uids = uids_of(source) | uids_of(source.file_meta)
    except ImageError:
        raise
    except Exception as error:
        # values of a damaged file fail in many ways, and each of them is a reason not to copy it
        raise ImageError(f"damaged ({type(error).__name__})", _EXPORT) from error
    _declare(cleaned, cleaner.options, surveyed.simulated)
    syntax = source.file_meta.TransferSyntaxUID
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = cleaned.SOPClassUID
    meta.MediaStorageSOPInstanceUID = cleaned.SOPInstanceUID
    # deflated bytes could not be searched
    meta.TransferSyntaxUID = ExplicitVRLittleEndian if syntax == DeflatedExplicitVRLittleEndian else syntax
    meta.ImplementationClassUID = UID(_IMPLEMENTATION)
    meta.ImplementationVersionName = "RADIOMICS_NPC"
    cleaned.file_meta = meta
    return cleaned, old_uids


def _declare(cleaned: Dataset, options: Options, simulated: bool) -> None:
    """Say in the header that it was de-identified, and how (CID 7050)."""
    cleaned.SpecificCharacterSet = "ISO_IR 192"
    cleaned.PatientIdentityRemoved = "YES"
    cleaned.DeidentificationMethod = [COMMENT, _METHOD] if simulated else [_METHOD]
    cleaned.LongitudinalTemporalInformationModified = "MODIFIED" if options.shift_dates else "REMOVED"
    used = ["113100", "113105"]
    used += ["113107"] if options.shift_dates else []
    used += ["113108"] if options.keep_patient else []
    used += ["113109"] if options.keep_device else []
    used += ["113111"] if options.keep_private else []
    cleaned.DeidentificationMethodCodeSequence = Sequence([_code(value) for value in used])


def _code(value: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "DCM", _METHODS[value]
    return item


def _name(cleaned: Dataset, pseudonym: str, surveyed: Surveyed) -> str:
    """Name the file by what is in the new header alone."""
    modality = str(cleaned.get("Modality") or "OT").strip() or "OT"
    number = _whole(cleaned.get("InstanceNumber"))
    folder = f"{modality}_{surveyed.sequence or _whole(cleaned.get('SeriesNumber'))}"
    return (
        f"{pseudonym}/{_safe(folder)}_{_short(cleaned.SeriesInstanceUID)}"
        f"/{number:05d}_{_short(cleaned.SOPInstanceUID)}.dcm"
    )


def _safe(text: str) -> str:
    return "".join(c if c.isascii() and c.isalnum() else "_" for c in text)


def _whole(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        return 0


def _short(uid: str) -> str:
    return hashlib.sha256(str(uid).encode()).hexdigest()[:10]
