"""A header made anew: every attribute, at every depth, is taken over only once its action is applied."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence

from radiomics_npc.cohort.sequence_headers import SeriesHeaders
from radiomics_npc.dataset.coded_terms import clean_code, code_meaning, is_body_part
from radiomics_npc.dataset.confidentiality_profile import (
    Action,
    Options,
    action_for,
    is_safe_private,
    keyword,
)
from radiomics_npc.dataset.dicom_objects import element_vr, values_of
from radiomics_npc.dataset.header_values import (
    clean_label,
    most_values,
    speaks_of_somebody,
    spells_text,
    table_fits,
)
from radiomics_npc.dataset.identities import Identities
from radiomics_npc.dataset.pseudonyms import Pseudonyms, shift_date
from radiomics_npc.errors import ImageError

__all__ = ["DUMMY_DATE", "HeaderCleaner"]

DUMMY_DATE: Final = "19000101"
_DUMMIES: Final = {
    "DA": DUMMY_DATE, "DT": DUMMY_DATE + "000000", "TM": "000000", "AS": "000Y", "PN": "", "UR": "",
    "DS": "0", "IS": "0", "FD": 0.0, "FL": 0.0, "US": 0, "SS": 0, "UL": 0, "SL": 0, "OB": b"", "UN": b"",
}  # fmt: skip
_SMALL: Final = ("DS", "IS", "FD", "FL", "US", "SS", "UL", "SL")
_DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?")
_TIME = re.compile(r"([01]\d|2[0-3]):?([0-5]\d)?:?([0-5]\d|60)?(\.\d{1,6})?")
_TERM = re.compile(r"(?!.*\d{5})[A-Z0-9_ ]{0,16}")
_SCHEME = re.compile(r"(?!.*\d{5})[A-Z0-9][A-Za-z0-9_.-]{0,15}")
_PIXEL_GROUP: Final = 0x7FE0
_AGENT = re.compile(
    r"gad[a-z]*|gd|gd-?[a-z]*dtpa|gd-?dota|omniscan|magnevist|multihance|dotarem|prohance|vueway|elucirem"
    r"|clariscan|primovist|eovist|artirem|pixxoscan|magnegita|magnescope|meglumine|dimeglumine|acid|salt|sodium"
    r"|iohexol|iopamidol|iopromide|iodixanol|ultravist|visipaque|omnipaque|iomeron|isovue|contrast|yes|钆.{1,6}"
)
#: Terms of a fixed list: a patient of that name does not change them.
_FIXED: Final = frozenset({
    "Modality", "PhotometricInterpretation", "PatientPosition", "ContourGeometricType", "SegmentationType",
    "PixelPresentation", "VolumetricProperties", "BurnedInAnnotation", "LossyImageCompression",
    "MRAcquisitionType", "SegmentsOverlap",
})  # fmt: skip


@dataclass
class HeaderCleaner:
    """Clean the headers of one patient.

    Parameters
    ----------
    options : Options
    pseudonyms : Pseudonyms
    patient : str
        What the keyed hashes are made from.
    pseudonym : str
        Takes the place of name and id.
    identities : Identities
        Of all files of the patient.
    description : str
        What takes the place of the series description, if anything.
    counts : Counter
        Of (tag, name, action).
    named : Counter
        How many names of regions were kept or replaced.
    """

    options: Options
    pseudonyms: Pseudonyms
    patient: str = field(repr=False)
    pseudonym: str
    identities: Identities
    description: str = ""
    counts: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    named: Counter[str] = field(default_factory=Counter)
    functional_groups: bool = False

    def clean(self, header: Dataset, *, nested: bool = False) -> Dataset:
        """Return a new dataset that holds what may stay; the given one is not changed.

        Parameters
        ----------
        header : Dataset
        nested : bool
            It is an item of a sequence, in which no pixels may lie, such as those of an icon.

        Raises
        ------
        ImageError
            A sequence cannot be read.
        """
        cleaned = Dataset()
        for key in sorted(header.keys()):
            tag = int(key)
            within = nested and tag >> 16 == _PIXEL_GROUP
            action, value, vr = (Action.REMOVE, None, "") if within else self._apply(header, tag)
            self.counts[_shown(tag), keyword(tag), str(action)] += 1
            if value is not None:
                element = DataElement(tag, vr, value, already_converted=vr != "PN")
                if tag == 0x7FE00010:
                    element.is_undefined_length = bool(getattr(header[tag], "is_undefined_length", False))
                cleaned.add(element)
        self._keep_creators(header, cleaned)
        return cleaned

    def _apply(self, header: Dataset, tag: int) -> tuple[Action, Any, str]:
        vr = element_vr(header, tag)
        if (tag >> 16) % 2:
            value = self._private(header, tag)
            return (Action.REMOVE, None, vr) if value is None else (Action.KEEP, value, header[tag].VR)
        action = action_for(tag, vr, self.options, functional_groups=self.functional_groups)
        if action is Action.REMOVE:
            return action, None, vr
        if action is Action.EMPTY:
            return action, Sequence() if vr == "SQ" else "", vr
        if action is Action.DUMMY:
            return action, self._dummy(tag, vr), vr
        if action is Action.PSEUDONYM:
            return action, self.pseudonym, vr
        try:
            element = header[tag]
        except Exception as error:
            # pydicom fails in many ways on a damaged value; of a sequence that is a damaged file
            if vr == "SQ":
                raise ImageError(f"damaged in {keyword(tag)}", "Export it again.") from error
            return Action.REMOVE, None, vr
        value = _HANDLERS[action](self, header, element)
        return (Action.REMOVE if value is None else action), value, element.VR

    def _dummy(self, tag: int, vr: str) -> Any:
        return _DUMMIES.get(vr, "STRUCTURES" if keyword(tag) == "StructureSetLabel" else "REMOVED")

    def _private(self, header: Dataset, tag: int) -> Any:
        """Return numbers and terms of safe private attributes, if they are asked for."""
        if not self.options.keep_private or tag & 0xFFFF < 0x1000:
            return None
        creator = _creator(header, tag)
        if not is_safe_private(tag, creator):
            return None
        try:
            element = header[tag]
        except Exception as error:
            raise ImageError("damaged in a private attribute", "Export it again.") from error
        if element.VR == "CS":
            return self._term(header, element)
        return self._number(header, element) if element.VR in _SMALL else None

    def _keep_creators(self, header: Dataset, cleaned: Dataset) -> None:
        for tag in [int(t) for t in list(cleaned.keys()) if t.is_private]:
            block = (tag & 0xFFFF0000) | (tag & 0xFFFF) >> 8
            cleaned.add(DataElement(block, "LO", _creator(header, tag).strip()))

    def _keep(self, header: Dataset, element: DataElement) -> Any:
        if element.VR == "CS":
            return self._term(header, element)
        if element.value is None:
            return None
        if element.VR in ("OB", "OW", "OF", "OD", "OV", "OL") or element.tag == 0x7FE00010:
            tag = int(element.tag)
            fits = tag >> 16 == _PIXEL_GROUP or table_fits(header, tag, element.value)
            return element.value if fits else None
        return self._number(header, element)

    def _number(self, header: Dataset, element: DataElement) -> Any:
        """Take numbers over as they were written; what is no number, or too many of them, goes."""
        values = values_of(element.value)
        if isinstance(element.value, bytes):
            return element.value if len(element.value) in (0, 2, 4, 6) else None
        if len(values) > most_values(int(element.tag)):
            return None
        if element.VR in ("DS", "IS"):
            texts = [str(getattr(v, "original_string", v)).strip() for v in values]
            if not all(_DECIMAL.fullmatch(t) for t in texts if t):
                return None
            values = [float(t) for t in texts if t]
        elif not all(isinstance(v, (int, float)) for v in values) or spells_text(element.VR, values):
            return None
        if any(self.identities.say_number(v) for v in values):
            return None
        return element.value if element.value is not None else ""

    def _term(self, header: Dataset, element: DataElement) -> Any:
        """Take terms over; one that is none, or tells the patient, becomes OTHER, or goes if alone."""
        values = [str(v).strip() for v in values_of(element.value)]
        fixed = keyword(int(element.tag)) in _FIXED
        if element.tag == 0x00180015 and not all(map(is_body_part, values)):
            return None
        sound = [bool(_TERM.fullmatch(v)) and (fixed or not self.identities.occur_in(v)) for v in values]
        if len(values) <= 1 or not any(sound):
            return element.value if all(sound) and element.value is not None else None
        return MultiValue(str, [v if good else "OTHER" for v, good in zip(values, sound, strict=True)])

    def _clean_text(self, header: Dataset, element: DataElement) -> Any:
        name = keyword(int(element.tag))
        values = [str(v) for v in values_of(element.value)]
        if any(len(v) > 64 or not v.isprintable() or speaks_of_somebody(v) for v in values):
            return None
        if any(self.identities.occur_in(v) for v in values):
            return None
        if name == "CodeMeaning":
            return code_meaning(header)
        if name in ("CodeValue", "LongCodeValue"):
            return clean_code(header, values[0]) if values else ""
        if name == "CodingSchemeDesignator" and not all(_SCHEME.fullmatch(v.strip()) for v in values):
            return None
        return element.value if element.value is not None else ""

    def _recurse(self, header: Dataset, element: DataElement) -> Any:
        items = [self.clean(item, nested=True) for item in element.value]
        return Sequence(items) if not items or any(len(item) for item in items) else None

    def _uid(self, header: Dataset, element: DataElement) -> Any:
        new = [self.pseudonyms.uid(str(v)) for v in values_of(element.value)]
        return new[0] if len(new) == 1 else MultiValue(str, new) if new else ""

    def _shift(self, header: Dataset, element: DataElement) -> Any:
        values = [str(getattr(v, "original_string", v)).strip() for v in values_of(element.value)]
        if not values or not all(values):
            return ""
        if element.VR == "TM":
            return values[0].replace(":", "") if len(values) == 1 and _TIME.fullmatch(values[0]) else None
        days = self.pseudonyms.days(self.patient)
        moved = [m for v in values if (m := shift_date(v, days)) is not None]
        if element.VR == "DA":
            moved = [m for m in moved if len(m) == 8]
        return None if len(moved) != len(values) else moved[0] if len(moved) == 1 else MultiValue(str, moved)

    def _sex(self, header: Dataset, element: DataElement) -> str:
        return value if (value := str(element.value).strip().upper()) in ("M", "F", "O") else ""

    def _decade(self, header: Dataset, element: DataElement) -> str | None:
        found = re.fullmatch(r"(\d{3})Y", str(element.value).strip())
        return f"{min(int(found[1]) // 10 * 10, 90):03d}Y" if found else None

    def _sequence_name(self, header: Dataset, element: DataElement) -> str | None:
        return (
            self.description if self.description and not self.identities.occur_in(self.description) else None
        )

    def _agent(self, header: Dataset, element: DataElement) -> str:
        """Name the agent by words that are names of agents; that some was given stays known in any case."""
        text = str(element.value or "").strip()
        if not text or (given := SeriesHeaders(agent=text).after_contrast) is None:
            return ""
        if not given:
            return "NONE"
        words = [w for w in re.split(r"[\s,;/()]+", text) if _AGENT.fullmatch(w.casefold())]
        name = " ".join(words)
        return name if name and not self.identities.occur_in(name) else "CONTRAST"

    def _label(self, header: Dataset, element: DataElement) -> str:
        name = str(element.value or "")
        number = header.get("ROINumber" if element.tag.group == 0x3006 else "SegmentNumber")
        kept = clean_label(name, self.identities)
        self.named["kept" if kept is not None else "replaced"] += 1
        return kept if kept is not None else f"Region {number if number is not None else ''}".strip()


_HANDLERS: Final[dict[Action, Callable[[HeaderCleaner, Dataset, DataElement], Any]]] = {
    Action.KEEP: HeaderCleaner._keep, Action.CLEAN: HeaderCleaner._clean_text,
    Action.RECURSE: HeaderCleaner._recurse, Action.UID: HeaderCleaner._uid,
    Action.SHIFT: HeaderCleaner._shift, Action.SEX: HeaderCleaner._sex,
    Action.DECADE: HeaderCleaner._decade, Action.SEQUENCE: HeaderCleaner._sequence_name,
    Action.AGENT: HeaderCleaner._agent, Action.LABEL: HeaderCleaner._label,
}  # fmt: skip


def _creator(header: Dataset, tag: int) -> str:
    block = (tag & 0xFFFF0000) | (tag & 0xFFFF) >> 8
    return str(header.get(block).value) if block in header else ""


def _shown(tag: int) -> str:
    group = tag >> 16
    if group % 2:
        return f"({group:04X},xxxx)"
    known = dictionary_has_tag(tag) and dictionary_VR(tag)
    return f"({group:04X},{tag & 0xFFFF:04X})" if known else f"({group:04X},xxxx)"
