"""Attempts to get an identity through, and values that must not be lost on the way."""

import shutil
import stat
import sys
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels import apply_color_lut
from pydicom.sequence import Sequence
from pydicom.uid import JPEGBaseline8Bit

from radiomics_npc.cohort.dicom_headers import series_headers
from radiomics_npc.cohort.sequences import recognize_sequence
from radiomics_npc.cohort.simulated_mark import lie_in_simulated
from radiomics_npc.dataset import deidentified_file
from radiomics_npc.dataset.deidentify import deidentify
from radiomics_npc.dataset.dicom_objects import as_found
from radiomics_npc.dataset.header_values import clean_label
from radiomics_npc.dataset.identities import Identities
from radiomics_npc.dataset.identity_reading import name_identities, text_identities
from radiomics_npc.simulate.dicom import COMMENT
from tests.dataset.planted_patients import _image


@pytest.fixture
def through(tmp_path):
    """Write one image, changed, send it through, and give the new header, its bytes and the result."""

    def run(change, **options):
        header = _image(1, 8)
        header.PixelData = np.arange(64).astype("<u2").tobytes()
        header.PatientName, header.PatientID = "Zhangwei^Meihua", "HN-20883151"
        header.PatientBirthDate, header.StudyDate = "19610417", "20210315"
        with as_found():
            header = change(header) or header
            (tmp_path / "in").mkdir()
            header.save_as(tmp_path / "in" / "a.dcm", enforce_file_format=True)
        result = deidentify(tmp_path / "in", tmp_path / "out", **options)
        assert result.failures.empty, result.failures.to_string()
        path = next((tmp_path / "out").rglob("*.dcm"))
        return dcmread(path), path.read_bytes(), result

    return run


@pytest.fixture
def folder(tmp_path):
    """A folder of one image."""
    (tmp_path / "in").mkdir()
    header = _image(1, 8)
    header.PixelData = bytes(128)
    header.save_as(tmp_path / "in" / "a.dcm", enforce_file_format=True)
    return tmp_path / "in"


def item(**values):
    made = Dataset()
    for name, value in values.items():
        setattr(made, name, value)
    return made


def test_numbers_and_terms_that_private_attributes_repeat_are_kept(through):
    """GE, Philips: acquisition parameters lie in private attributes, too."""

    def change(header):
        block = header.private_block(0x0043, "SOME MAKER", create=True)
        block.add_new(1, "DS", "0.4300000")
        block.add_new(2, "UN", b"571.0000\\571.0000 ")
        block.add_new(3, "UN", b"ORIGINAL\\PRIMARY\\M\\SE ")
        block.add_new(4, "IS", "370000000")
        header.RepetitionTime, header.RadionuclideTotalDose = "571.0000", "370000000"

    header, _, _ = through(change)
    assert header["PixelSpacing"].value[0].original_string == "0.4300000"
    assert header.RepetitionTime == 571
    assert list(header.ImageType) == ["ORIGINAL", "PRIMARY", "M", "SE"]


def test_a_real_image_with_private_copies_is_written(tmp_path):
    source = tmp_path / "in"
    source.mkdir()
    path = get_testdata_file("CT_small.dcm")  # GE; within pydicom
    shutil.copy(path, source / "a.dcm")
    result = deidentify(source, tmp_path / "out")
    assert result.failures.empty, result.failures.to_string()
    old, new = dcmread(path), dcmread(next((tmp_path / "out").rglob("*.dcm")))
    for name in ("PixelSpacing", "ImagePositionPatient", "DataCollectionDiameter", "KVP", "RescaleIntercept",
                 "ManufacturerModelName", "ConvolutionKernel", "ImageType"):  # fmt: skip
        assert old[name].value == new[name].value, name
    np.testing.assert_array_equal(old.pixel_array, new.pixel_array)


def test_ids_and_dates_as_numbers(through):
    def change(header):
        header.AcquisitionNumber, header.SeriesNumber = "20883151", "20210315"
        header.TemporalPositionIndex, header.DiffusionBValue = 20883151, 19610417.0

    header, _, _ = through(change)
    for name in ("AcquisitionNumber", "SeriesNumber", "TemporalPositionIndex", "DiffusionBValue"):
        assert name not in header, name


KNOWN = Identities.of([
    name_identities("Zhangwei^Meihua"),
    text_identities("HN-20883151", identifying=True),
    Identities(dates=frozenset({"20210315", "19610417"})),
])  # fmt: skip


@pytest.mark.parametrize("text", [
    "SW 15Mar2021", "SW 2021_03_15", "v15032021", "2021 03 15", "03/15/21", "15.3.2021", "2021年3月15日",
    "17 April 1961", "Apr 17, 1961", "610417", "20210315101500", "HN 2088 3151", "HN20883151", "0020883151",
    "Meihua-1", "ZHANGWEI_m", "meihua zhangwei",
])  # fmt: skip
def test_dates_and_ids_in_other_forms(text):
    assert KNOWN.occur_in(text)
    assert clean_label(f"GTV {text}", KNOWN) is None


@pytest.mark.parametrize(
    "text", ["GTV ZhangweiM", "GTV_zhangweix", "GTV_MeihuaZW", "GTV 2019-11-30", "GTV_Dr_Wang"]
)
def test_names_with_initials_and_any_date_in_a_label(text):
    assert clean_label(text, KNOWN) is None


@pytest.mark.parametrize("text", [
    "GTVp", "PTV_70_60_54", "CTV 60.06-54.12", "PTV 69.96Gy 33fx", "Lymph node II_L", "Parotid R", "B31s",
    "syngo MR E11", "GTVnd_12-3", "5.4.1\\5.4.1.2", "CTV1 margin 5", "*tse2d1_9", "鼻咽 CTV",
])  # fmt: skip
def test_labels_that_tell_nothing(text):
    assert clean_label(text, KNOWN) == text
    assert not KNOWN.occur_in(text)


def test_names_without_their_accents():
    assert name_identities("Müller^Zoë").occur_in("GTV Muller")
    assert name_identities("Müller^Zoë").occur_in("GTV müller")


def test_a_name_of_two_letters_in_a_label(through):
    def change(header):
        header.PatientName = "Li^Wu"
        header.SOPClassUID = header.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.481.3"
        header.StructureSetROISequence = Sequence(
            [item(ROINumber=1, ROIName="GTV_Li"), item(ROINumber=2, ROIName="GTV 15.03.2021")]
        )
        del header.PixelData

    header, _, _ = through(change)
    assert [r.ROIName for r in header.StructureSetROISequence] == ["Region 1", "Region 2"]


SERIES = [
    ("t1_tse_tra", "", 12, 571), ("AX T2 fs", "", 80, 4000), ("T1+C fs", "Gadovist 7 ml", 12, 571),
    ("T1", "Gadovist", 12, 571), ("T1", "NO", 12, 571), ("T1", "no contrast", 12, 571),
    ("T1", "unknown", 12, 571), ("AX T1 fs", "", 12, 571), ("AX T1 pre", "Gadovist", 12, 571),
    ("T1 post RT", "", 12, 571), ("t2_stir", "", 80, 4000), ("DWI b1000", "", 80, 4000),
    ("localizer", "", 12, 571), ("PD fs", "", 80, 4000), ("T2 flair", "", 80, 4000),
    ("Zhangwei", "", 12, 571), ("", "", 80, 4000), ("T1 T2 fusion", "", 80, 4000),
]  # fmt: skip


def test_sequences_are_recognized_as_before_or_again_not(tmp_path):
    before = {}
    (tmp_path / "in").mkdir()
    for number, (description, agent, te, tr) in enumerate(SERIES, 1):
        header = _image(number, 8)
        header.PixelData, header.PatientName, header.PatientID = bytes(128), "Zhangwei", "HN-20883151"
        header.SeriesDescription, header.ContrastBolusAgent = description, agent
        header.SeriesInstanceUID, header.EchoTime, header.RepetitionTime = f"1.2.3.{number}", te, tr
        before[number] = recognize_sequence(series_headers(header))
        header.save_as(tmp_path / "in" / f"{number}.dcm", enforce_file_format=True)
    deidentify(tmp_path / "in", tmp_path / "out")
    after = {h.InstanceNumber: h for h in map(dcmread, (tmp_path / "out").rglob("*.dcm"))}
    assert len(after) == len(SERIES)
    for number, series in enumerate(SERIES, 1):
        assert recognize_sequence(series_headers(after[number])) == before[number], series
    assert {"t1", "t2", "ce_t1", None} == set(before.values())
    assert after[12].SeriesDescription == "not T1 or T2: diffusion"


SECRET = b"Huangfu, wife of the mayor....  "


def test_no_text_in_tables_nested_pixels_or_further_pixel_attributes(through):
    def change(header):
        lut = item(LUTDescriptor=[16, 0, 16])
        lut.add_new(0x00283006, "OW", SECRET)
        good = item(LUTDescriptor=[4, 0, 16])
        good.add_new(0x00283006, "OW", np.array([0, 1000, 2000, 3000], "<u2").tobytes())
        header.ModalityLUTSequence, header.VOILUTSequence = Sequence([lut]), Sequence([good])
        icon = item()
        icon.add_new(0x7FE00010, "OB", SECRET)
        header.AnatomicRegionSequence = Sequence([icon])
        header.add_new(0x7FE00001, "OV", SECRET)
        header.add_new(0x7FE00008, "OF", SECRET)
        header.add_new(0x00282000, "OB", SECRET)

    header, data, _ = through(change)
    assert b"Huangfu" not in data
    assert header.pixel_array[7, 7] == 63
    assert header.VOILUTSequence[0].LUTData == np.array([0, 1000, 2000, 3000], "<u2").tobytes()


def test_color_tables_are_kept(tmp_path):
    (tmp_path / "in").mkdir()
    path = get_testdata_file("examples_palette.dcm")
    shutil.copy(path, tmp_path / "in" / "a.dcm")
    deidentify(tmp_path / "in", tmp_path / "out")
    old, new = dcmread(path), dcmread(next((tmp_path / "out").rglob("*.dcm")))
    np.testing.assert_array_equal(
        apply_color_lut(old.pixel_array, old), apply_color_lut(new.pixel_array, new)
    )


def test_codes_and_terms_that_no_dictionary_has(through):
    def change(header):
        header.ProcedureCodeSequence = Sequence([
            item(CodeValue="NPC1", CodingSchemeDesignator="99HIS", CodeMeaning="wife of mayor Huangfu"),
            item(CodeValue="REQ0091823", CodingSchemeDesignator="99HIS", CodeMeaning="MR"),
            item(CodeValue="T-D1100", CodingSchemeDesignator="SRT", CodeMeaning="mayor Huangfu"),
            item(CodeValue="mm2/s", CodingSchemeDesignator="UCUM", CodeMeaning="Huangfu"),
        ])  # fmt: skip
        header.BodyPartExamined = "DR HUANGFU"
        header.ImageType = ["ORIGINAL", "PRIMARY", "M", "REQ0091823"]

    header, data, _ = through(change)
    assert b"huangfu" not in data.lower()
    assert b"0091823" not in data
    assert [(c.CodeValue, c.CodeMeaning) for c in header.ProcedureCodeSequence] == [
        ("NPC1", "NPC1"), ("REMOVED", "REMOVED"), ("T-D1100", "Head structure (body structure)"),
        ("mm2/s", "mm2/s"),
    ]  # fmt: skip
    assert list(header.ImageType) == ["ORIGINAL", "PRIMARY", "M", "OTHER"]
    assert "BodyPartExamined" not in header


def test_persons_whom_no_header_names(through):
    def change(header):
        header.SegmentSequence = Sequence([item(SegmentNumber=1, SegmentAlgorithmName="drawn by Huangfu")])
        header.SoftwareVersions = "Dr. Huangfu"

    assert b"Huangfu" not in through(change)[1]


def test_uids_under_the_root_of_the_standard(through):
    def change(header):
        header.SOPInstanceUID = header.file_meta.MediaStorageSOPInstanceUID = "1.2.840.10008.1.4.1961.417"
        header.SeriesInstanceUID = "1.2.840.10008.2.16.2088.3151"
        header.FrameOfReferenceUID = "1.2.840.10008.1.4.1.1"  # Talairach

    header, _, _ = through(change)
    assert header.SOPInstanceUID.startswith("2.25.")
    assert header.SeriesInstanceUID.startswith("2.25.")
    assert header.FrameOfReferenceUID == "1.2.840.10008.1.4.1.1"


def test_comments_in_compressed_streams(through):
    stream = b"\xff\xd8\xff\xfe\x00\x22" + SECRET + b"\xff\xe1\x00\x22" + SECRET + b"\xff\xd9" + SECRET

    def change(header):
        header.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
        header.PixelData = encapsulate([stream])
        header["PixelData"].VR = "OB"

    _, data, _ = through(change)
    assert b"Huangfu" not in data


@pytest.mark.parametrize("name", ["SC_rgb_jpeg_app14_dcmd.dcm", "MR_small_jp2klossless.dcm",
                                  "MR_small_jpeg_ls_lossless.dcm", "SC_rgb_rle_2frame.dcm"])  # fmt: skip
def test_compressed_pixels_decode_to_the_same(tmp_path, name):
    (tmp_path / "in").mkdir()
    shutil.copy(get_testdata_file(name), tmp_path / "in" / "a.dcm")
    result = deidentify(tmp_path / "in", tmp_path / "out")
    assert result.failures.empty, result.failures.to_string()
    new = dcmread(next((tmp_path / "out").rglob("*.dcm")))
    np.testing.assert_array_equal(dcmread(get_testdata_file(name)).pixel_array, new.pixel_array)


def test_an_overlay_in_the_pixels_is_said(through):
    def change(header):
        header.BitsStored, header.HighBit = 12, 11
        header.add_new(0x60000100, "US", 16)
        header.add_new(0x60000102, "US", 12)

    _, _, result = through(change)
    assert any("overlay in unused bits" in w for w in result.warnings)


def test_secret_and_mapping_are_private_from_the_first_byte_on(folder, tmp_path, monkeypatch):
    """Their permissions when they come to their place, before anything could change them."""
    modes = {}
    replace = Path.replace

    def seen(path, target):
        modes[Path(target).name] = stat.S_IMODE(path.stat().st_mode)
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", seen)
    deidentify(folder, tmp_path / "out", mapping=tmp_path / "m.csv")
    assert modes["out.secret"] == modes["m.csv"] == 0o600


def test_the_output_may_be_the_folder_one_stands_in(folder, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    deidentify(folder, ".")
    assert (tmp_path / "here.secret").is_file()
    assert len(list((tmp_path / "here").rglob("*.dcm"))) == 1


def test_a_check_that_fails_takes_the_file_away(folder, tmp_path, monkeypatch):
    def fail(*_):
        raise ValueError("Zhangwei")

    monkeypatch.setattr(deidentified_file, "find_leftovers", fail)
    result = deidentify(folder, tmp_path / "out")
    assert list(result.failures["message"]) == ["it cannot be checked (ValueError)"]
    assert not [p for p in (tmp_path / "out").rglob("*") if p.suffix == ".dcm"]


def test_an_interruption_leaves_no_unchecked_file(folder, tmp_path, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(deidentified_file, "find_leftovers", stop)
    with pytest.raises(KeyboardInterrupt):
        deidentify(folder, tmp_path / "out")
    assert not [p for p in (tmp_path / "out").rglob("*") if p.is_file()]


def test_what_an_ended_process_left_is_taken_away(folder, tmp_path, monkeypatch):
    def end(work):
        (work.out / "P-X").mkdir(parents=True)
        (work.out / "P-X" / ".tmp-unchecked.dcm").write_bytes(b"Zhangwei")
        raise KeyboardInterrupt

    module = sys.modules["radiomics_npc.dataset.deidentify"]
    monkeypatch.setattr(module, "deidentify_patient", end)
    with pytest.raises(KeyboardInterrupt):
        deidentify(folder, tmp_path / "out")
    assert not [p for p in (tmp_path / "out").rglob("*") if p.is_file()]


def test_simulated_patients_are_marked_for_what_reads_the_folder(tmp_path, through):
    def change(header):
        header.DeidentificationMethod = COMMENT

    through(change)
    assert lie_in_simulated(list((tmp_path / "out").rglob("*.dcm")))


def test_free_texts_are_looked_for_in_their_own_file(tmp_path, monkeypatch):
    """Those of thousands of slices would otherwise be looked for in thousands of files."""
    looked_for = []

    def see(path, options, identities, pseudonym, old_uids):
        looked_for.append((identities[0].texts, identities[1].texts))
        return []

    (tmp_path / "in").mkdir()
    for number in (1, 2):
        header = _image(number, 8)
        header.PixelData, header.ImageComments = bytes(128), f"a long text of slice {number}"
        header.save_as(tmp_path / "in" / f"{number}.dcm", enforce_file_format=True)
    monkeypatch.setattr(deidentified_file, "find_leftovers", see)
    deidentify(tmp_path / "in", tmp_path / "out")
    for number, (all_files, own) in enumerate(looked_for, 1):
        assert not all_files
        assert f"a long text of slice {number}" in own
        assert f"a long text of slice {3 - number}" not in own


def test_a_station_named_as_its_model(through):
    """The name of a model tells no station."""

    def change(header):
        header.StationName = header.file_meta.SourceApplicationEntityTitle = "SKYRA"

    header, _, _ = through(change)
    assert header.ManufacturerModelName == "Skyra"
    assert "StationName" not in header


def test_a_person_named_as_the_model(through):
    def change(header):
        header.StationName, header.OperatorsName = "SKYRA", "Skyra^Anna"

    header, _, _ = through(change)
    assert header.get("ManufacturerModelName", "") == ""
