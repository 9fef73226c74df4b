"""Random headers: never a traceback, never a planted token left in the bytes."""

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.datadict import DicomDictionary
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from radiomics_npc.dataset import confidentiality_profile as profile
from radiomics_npc.dataset.confidentiality_profile import Action, Options, action_for
from radiomics_npc.dataset.deidentify import deidentify
from radiomics_npc.dataset.dicom_objects import as_found
from tests.dataset.planted_patients import _image

TEXT_VRS = [
    "AE",
    "AS",
    "CS",
    "DA",
    "DS",
    "DT",
    "IS",
    "LO",
    "LT",
    "PN",
    "SH",
    "ST",
    "TM",
    "UC",
    "UI",
    "UR",
    "UT",
]
BYTE_VRS = ["OB", "OW", "UN"]
#: Without these it is no readable image: they are the subject of other tests.
NEEDED = {0x00080005, 0x00080016, 0x00080018, 0x0020000D, 0x0020000E, 0x00280002, 0x00280004, 0x00280008,
          0x00280010, 0x00280011, 0x00280100, 0x00280101, 0x00280102, 0x00280103, 0x00420011, 0x00041220,
          0x7FE00008, 0x7FE00009, 0x7FE00010}  # fmt: skip
#: Texts that are kept after a look for identities, which a random token cannot be known to be.
CHECKED = {t for t in DicomDictionary
           if action_for(t, DicomDictionary[t][0], Options()) in (Action.CLEAN, Action.LABEL)}  # fmt: skip
TAGS = sorted(t for t in DicomDictionary if t not in NEEDED and t >> 16 > 4)
INTERESTING = sorted(t for t in profile._table() if t in DicomDictionary and t not in NEEDED and t >> 16 > 4)
SEQUENCES = [t for t in TAGS if DicomDictionary[t][0] == "SQ"]


@st.composite
def elements(draw, depth=0):
    """Describe an element: tag, representation, token number or items."""
    tag = draw(
        st.one_of(
            st.sampled_from(INTERESTING),
            st.sampled_from(TAGS),
            st.builds(
                lambda g, e: (2 * g + 9) << 16 | e, st.integers(0, 0x3000), st.integers(0x1001, 0xFFFF)
            ),
            st.builds(lambda g, e: 2 * g << 16 | e, st.integers(0x10, 0x3000), st.integers(1, 0xFFFF)),
        ).filter(lambda t: t not in NEEDED)
    )
    if depth < 4 and draw(st.integers(0, 3)) == 0:
        tag = draw(st.sampled_from([*SEQUENCES, tag]))
        return tag, "SQ", draw(st.lists(st.lists(elements(depth + 1), max_size=3), min_size=1, max_size=2))
    own = DicomDictionary[tag][0] if tag in DicomDictionary else "UN"
    vr = draw(st.sampled_from([own if own in TEXT_VRS + BYTE_VRS else "LO", *TEXT_VRS, *BYTE_VRS]))
    return tag, vr, draw(st.integers(0, 9999))


def token(number):
    """A word that no image needs, valid in no coded term."""
    return f"Tok{number:04d}Qzjx"


def build(described, planted, *, implicit):
    """Make a dataset of what was described, and note what was planted where it may not stay."""
    made = Dataset()
    for tag, vr, content in described:
        if vr == "SQ":
            made.add(
                DataElement(tag, "SQ", Sequence([build(i, planted, implicit=implicit) for i in content]))
            )
            continue
        text = token(content)
        if tag in CHECKED:
            text = "Philips"
        else:
            planted.add(text)
        value = text.encode() + b"\0" * (len(text) % 2)
        made[tag] = RawDataElement(BaseTag(tag), vr, len(value), value, 0, implicit, True)
        if (tag >> 16) % 2:
            made.add(DataElement(tag & 0xFFFF0000 | (tag & 0xFFFF) >> 8, "LO", f"Maker {text}"))
    return made


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(st.lists(elements(), min_size=1, max_size=8), st.booleans(), st.booleans(), st.booleans())
def test_random_headers(described, implicit, shift, keep):
    planted = set()
    with tempfile.TemporaryDirectory() as place, as_found():
        source = Path(place) / "in"
        source.mkdir()
        header = _image(1, 4)
        header.PixelData = bytes(range(32))
        header.PatientID, header.PatientName = "Tok88888Qzjx", "Tok99999Qzjx^Given"
        header.update(build(described, planted, implicit=implicit))
        header.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
        header.save_as(source / "a.dcm", enforce_file_format=True)
        result = deidentify(
            source,
            Path(place) / "out",
            dates="shift" if shift else "remove",
            keep_private=keep,
            keep_patient=keep,
            secret=Path(place) / "secret",
        )
        assert result.written + len(result.failures) == 1
        assert result.written or result.failures["message"][0].startswith(("damaged", "the check"))
        data = b"".join(p.read_bytes() for p in (Path(place) / "out").rglob("*") if p.is_file())
        for text in planted | {"Tok88888Qzjx", "Tok99999Qzjx"}:
            assert text.encode() not in data
        for path in (Path(place) / "out").rglob("*.dcm"):
            assert dcmread(path).PixelData == bytes(range(32))


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(
    st.lists(st.tuples(st.integers(132, 4000), st.binary(min_size=1, max_size=12)), min_size=1, max_size=6)
)
def test_damaged_bytes(spoiled):
    with tempfile.TemporaryDirectory() as place, as_found():
        source = Path(place) / "in"
        source.mkdir()
        header = _image(1, 4)
        header.PixelData = bytes(range(32))
        header.PatientID, header.PatientName = "Tok88888Qzjx", "Tok99999Qzjx^Given"
        header.save_as(source / "a.dcm", enforce_file_format=True)
        data = bytearray((source / "a.dcm").read_bytes())
        for at, what in spoiled:
            at %= len(data)
            data[at : at + len(what)] = what
        (source / "a.dcm").write_bytes(data)
        result = deidentify(source, Path(place) / "out", secret=Path(place) / "secret")
        assert result.written + len(result.failures) == 1
        data = b"".join(p.read_bytes() for p in (Path(place) / "out").rglob("*") if p.is_file())
        assert b"Qzjx" not in data
