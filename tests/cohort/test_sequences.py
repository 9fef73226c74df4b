"""Sequences from names as scanners and hospitals write them: a wrong answer is worse than none."""

from dataclasses import replace

import numpy as np
import pydicom
import pytest

from radiomics_npc.cohort.dicom_headers import series_headers
from radiomics_npc.cohort.sequence_words import read_words
from radiomics_npc.cohort.sequences import SeriesHeaders, judge_sequence, recognize_sequence
from radiomics_npc.simulate.acquisition import draw_series
from radiomics_npc.simulate.dicom import write_series
from radiomics_npc.simulate.published import SCANNERS

NAMES = {
    "t1": [
        # the published data set, BraTS-like and BIDS-like names
        "T1WI", "T1", "T1w", "T1-weighted", "AXIAL T1", "T1 AXIAL NECK", "AXT1FSE",
        # Siemens
        "t1_tse_tra", "t1_se_cor", "t1_tse_tra_320_p2", "t1_vibe_tra", "T1 TSE nativ tra", "t1_fl2d_sag",
        # GE
        "Ax T1 FSE", "OAx T1 FLAIR", "Sag T1 FLAIR", "3D Ax T1 BRAVO", "Ax T1 PROPELLER", "Ax LAVA-Flex",
        # Philips
        "T1W_TSE", "sT1W_3D_TFE", "T1W_FFE", "T1_TSE_Ax",
        # said to be without contrast
        "AX T1 PRE", "AX T1 FS PRE", "Cor T1 pre-Gd", "AX T1 NON CONTRAST", "AX T1 W/O CONTRAST",
        "Ax T1 w/o GAD",
        "T1 ohne KM", "T1 sin contraste", "AX T1 -Gd", "T1 vor KM",
        # Chinese
        "T1WI 平扫", "轴位T1平扫", "横断位T1加权", "T1WI未增强",
        # a C of the neck is no contrast
        "SAG T1 C-SPINE", "T1 SAG C SPINE",
    ],
    "t2": [
        "T2WI", "AX T2", "T2w", "T2 TSE tra", "AX T2 FS", "T2WI-FS",
        "t2_tse_tra", "t2_tse_fs_tra", "t2_blade_tra", "t2_space_sag_p2_iso", "t2_tse_dixon_cor_W",
        "Ax T2 FRFSE", "Ax T2 FRFSE fs", "OAx T2 FRFSE", "WATER: Ax T2 IDEAL", "T2 PROPELLER",
        "Cor T2 FSE FS",
        "T2W_TSE", "T2W_SPAIR", "T2W_TSE_mDIXON_W", "T2W_DRIVE", "3D_T2W_VISTA",
        "T2压脂 轴位", "冠状位T2", "T2WI 脂肪抑制",
    ],
    "ce_t1": [
        "CE-T1WI", "T1+C", "T1C", "T1CE", "T1ce", "ce_t1", "cet1wi", "CE_T1W", "T1WI_CE", "t1w_ce",
        "T1WI+C", "T1WC",
        "t1_tse_fs_tra_KM", "T1 SE tra + KM", "T1 TSE tra nach KM", "t1_vibe_fs_tra_post", "t1_mprage_tra_KM",
        "Ax T1+C FS", "+C Ax T1 fs", "Ax T1 FSE+C fs", "3D Ax T1 BRAVO +C", "Ax LAVA-Flex +C",
        "C+ T1", "T1 C+",
        "T1W_TSE_Gd", "eTHRIVE_Gd", "T1_SPIR_GD", "T1 +Gd", "T1_Gd",
        # TCIA collections
        "AX T1 POST", "AX T1 FS POST GAD", "COR T1 POST-GD", "AXIAL T1 POST GD FLAIR", "SAG T1 W/CONTRAST",
        "AX T1 WITH CONTRAST", "T1 post contrast fs", "T1 W/ GAD", "T1 GADO", "T1 con contraste",
        # Chinese
        "T1增强", "增强T1WI 轴位", "T1WI+增强", "T1强化 冠状位", "T1 增强 压脂",
    ],
    None: [
        # no weighting named
        "", "AX", "Neck", "PosDisp: [5] t1", "part1", "SET1", "eT1W",
        # localizers and calibration
        "localizer", "3-pl T2* FGRE", "3 Plane Loc", "Survey", "AAHead_Scout", "定位像",
        "Calibration", "ASSET Cal",
        # diffusion and perfusion
        "DWI b1000", "ADC", "dADC", "isoADC", "ep2d_diff_b50_800", "弥散",
        "t1_fl3d_tra_fs_dyn", "DCE perf T1",
        "动态增强T1", "3D ASL",
        # fluid and fat suppressed by inversion
        "Ax T2 FLAIR", "t2_tirm_tra_dark-fluid_fs", "AX CUBE T2 FLAIR", "T2压水", "STIR", "COR STIR",
        "T2 STIR",
        # other contrasts
        "PD/T2", "PD FS", "T2*", "T2 star", "T2W_FFE", "AX GRE T2", "t2_fl2d_tra_hemo", "SWI", "VEN_BOLD",
        "CISS",
        "Ax FIESTA-C", "T1rho", "T1 map", "T1 mapping", "T2 map", "MP2RAGE UNI", "TOF 3D", "MRA",
        # made from others
        "AX T1 SUB", "T1减影", "T1 MPR", "MIP", "SCREENSAVES", "ProcessedImages", "t1_tse_dixon_tra_F",
        "OutPhase: T1", "FAT: Ax T2 FSE IDEAL",
        # contrast unclear
        "AX T1 FS", "t1_vibe_fs_tra", "T1-C", "T1 -C", "Ax T1 C", "T1+", "T1 W/", "T1 AX POST RT",
        "T1 delayed",
        "T1 W WO CONTRAST", "T1 pre post", "CT1", "T2 post contrast",
        # two in one, vertebrae
        "T1 T2", "T1+T2", "T1-T12 spine", "T1 T4 spine",
    ],
}  # fmt: skip


@pytest.mark.parametrize(("name", "sequence"), [(name, s) for s, names in NAMES.items() for name in names])
def test_a_name(name, sequence):
    judged = judge_sequence(name)
    assert judged.sequence == sequence, judged.why
    assert judged.why
    assert recognize_sequence(name) == sequence


@pytest.mark.parametrize("change", [str.upper, str.lower, lambda s: f"  {s} ", lambda s: s.replace(" ", "_")])
def test_case_and_spaces_do_not_matter(change):
    for sequence, names in NAMES.items():
        for name in names:
            if name not in ("T1 -C", "AX T1 -Gd"):  # of a hyphen the space before it is all that tells
                assert recognize_sequence(change(name)) == sequence, name


def headers(description="AX T1", **facts):
    return SeriesHeaders(description, **facts)


@pytest.mark.parametrize(
    ("facts", "sequence", "why"),
    [
        (headers(agent="Gadovist"), "ce_t1", "contrast agent recorded"),
        (headers(agent_given=True), "ce_t1", "contrast agent recorded"),
        (headers(agent="NONE"), "t1", "T1"),
        (headers(agent="unknown"), "t1", "T1"),
        (headers("AX T1 FS", agent="Magnevist"), "ce_t1", "recorded"),
        (headers("AX T1 FS", agent="No contrast"), "t1", "T1"),
        (headers("AX T1 PRE", agent="Gadovist"), None, "contradict"),
        (headers("AX T1 +C", agent="none"), None, "contradict"),
        (headers("AX T1 +C", folder="T1WI 平扫"), None, "both before and after"),
        (headers("AX T2", agent="Gadovist"), "t2", "T2"),
        (headers("AX T1 C", agent="Gadovist"), "ce_t1", "recorded"),
        # the next text speaks when the first is silent, and the folder is heard on contrast
        (headers("", protocol="T2W_TSE"), "t2", "T2W_TSE"),
        (headers("SE", folder="CE-T1WI"), "ce_t1", "CE-T1WI"),
        (headers("AX T1", folder="CE-T1WI"), "ce_t1", "with contrast"),
        (headers("AX T1", folder="T2WI"), None, "folder is named"),
        (headers("AX T1", protocol="NPC with contrast"), "t1", "T1"),
        (headers("DWI", protocol="AX T1"), None, "diffusion"),
        # what the tags rule out
        (headers(modality="CT"), None, "modality CT"),
        (headers(modality="MR"), "t1", "T1"),
        (headers(image_type=("ORIGINAL", "PRIMARY", "LOCALIZER")), None, "localizer"),
        (headers(image_type=("DERIVED", "SECONDARY", "SUBTRACT")), None, "subtraction"),
        (headers(image_type=("DERIVED", "SECONDARY", "MPR")), None, "reformatted"),
        (headers(image_type=("ORIGINAL", "PRIMARY", "P", "ND")), None, "phase"),
        (headers(image_type=("ORIGINAL", "PRIMARY", "M", "ND", "NORM")), "t1", "T1"),
        (headers(image_type=("DERIVED", "PRIMARY", "AXIAL")), "t1", "T1"),
        (headers("t1_mpr_sag_p2_iso", image_type=("ORIGINAL", "PRIMARY", "M")), "t1", "T1"),
        (headers("t1_mpr_sag_p2_iso", image_type=("DERIVED", "SECONDARY", "OTHER")), None, "reformatted"),
        (headers(b_value=800.0), None, "b = 800"),
        (headers(angiography=True), None, "angiography"),
        (headers(scanning=frozenset({"EP"})), None, "echo planar"),
        (headers(conflict="several echo times"), None, "several echo times"),
        (headers(acquired="STIR"), None, "STIR"),
        (headers(acquired="T2"), None, "acquisition contrast is T2"),
        # a name against the echo time
        (headers("AX T2", te_ms=12.0, scanning=frozenset({"SE"})), None, "echo time is 12 ms"),
        (headers("AX T1", te_ms=90.0, scanning=frozenset({"SE"})), None, "echo time is 90 ms"),
        (headers("AX T2", te_ms=90.0, scanning=frozenset({"GR"})), None, "gradient echo"),
        (headers("Sag T1 FLAIR", te_ms=24.0, scanning=frozenset({"SE", "IR"})), "t1", "T1"),
    ],
)
def test_tags_and_names_together(facts, sequence, why):
    judged = judge_sequence(facts)
    assert judged.sequence == sequence, judged.why
    assert why in judged.why


@pytest.mark.parametrize(
    ("te", "tr", "scanning", "sequence"),
    [
        # the medians and the extremes of the published data set
        (12.0, 571.0, {"SE"}, "t1"),
        (8.6, 367.0, {"SE"}, "t1"),
        (80.0, 3193.0, {"SE"}, "t2"),
        (66.5, 2500.0, {"SE"}, "t2"),
        (123.1, 7634.0, {"SE"}, "t2"),
        # between them, proton density, inversion, gradient echo, nothing recorded
        (16.4, 2283.0, {"SE"}, None),
        (12.0, 3000.0, {"SE"}, None),
        (80.0, 1500.0, {"SE"}, None),
        (80.0, 9000.0, {"SE", "IR"}, None),
        (2.0, 5.0, {"GR"}, None),
        (None, 500.0, {"SE"}, None),
        (12.0, None, {"SE"}, None),
    ],
)
def test_timing_speaks_where_words_are_silent(te, tr, scanning, sequence):
    facts = SeriesHeaders("Neck", te_ms=te, tr_ms=tr, scanning=frozenset(scanning))
    assert judge_sequence(facts).sequence == sequence
    if sequence == "t1":
        given = SeriesHeaders("Neck", te_ms=te, tr_ms=tr, scanning=frozenset(scanning), agent="Gd")
        assert judge_sequence(given).sequence == "ce_t1"


def test_names_overrule_everything():
    names = {"t1": ["AX FSE"], "ce_t1": ["AX FSE GD", "mprage"], "t2": ["STIR_longTE"]}
    assert recognize_sequence("ax fse", names) == "t1"
    assert recognize_sequence("AX  FSE_GD", names) == "ce_t1"
    assert recognize_sequence("Cor STIR longTE", names) == "t2"
    assert recognize_sequence(SeriesHeaders("x", folder="MPRAGE", agent="none"), names) == "ce_t1"
    assert recognize_sequence(SeriesHeaders("mprage", conflict="several echo times"), names) == "ce_t1"
    assert recognize_sequence("AX FSEC", names) is None
    for name in ("AX FSE+C", "AX FSE +C", "AX FSE SUB", "DWI AX FSE", "AX FSE*"):
        assert recognize_sequence(name, names) is None, name
    assert recognize_sequence("3 AX FSE neck", names) == "t1"
    assert recognize_sequence("mprage +C", names) == "ce_t1"
    assert recognize_sequence("mprage nativ", names) == "t1"
    assert recognize_sequence("T2WI", names) == "t2"
    judged = judge_sequence("one two", {"t1": ["one"], "t2": ["two"]})
    assert judged.sequence is None
    assert "T1 and T2" in judged.why
    assert recognize_sequence("AX T1", {"t1": [""], "t2": []}) == "t1"
    assert recognize_sequence("鼻咽部第二期", {"t2": ["第二期"]}) == "t2"


def test_any_text_is_read():
    rng = np.random.default_rng(4)
    alphabet = [*"t12cwgdfs +-_*/&%()[]{}\\^$.|?éß增强平扫ＴＣ＋\t\n", "t1", "post", "flair"]
    for _ in range(2000):
        text = "".join(rng.choice(alphabet, size=rng.integers(0, 25)))
        assert judge_sequence(text).sequence in ("t1", "t2", "ce_t1", None)
        assert recognize_sequence(text, {"t1": [text]}) in ("t1", "t2", "ce_t1", None)
    assert read_words("t1" + "se" * 100 + "!" + "s" * 100 + "x").weights == {"t1"}
    assert recognize_sequence("Ｔ１＋Ｃ") == "ce_t1"


def test_simulated_series(tmp_path):
    """By their names all of 150; without names, by timing and contrast agent, none wrongly."""
    silent = {True: 0, False: 0}
    models = list(SCANNERS)
    for i in range(50):
        drawn = draw_series(np.random.default_rng(i), models[i % len(models)])
        for sequence, series in drawn.items():
            folder = tmp_path / f"{i}-{sequence}"
            write_series(
                folder, np.zeros((1, 8, 8), np.uint16), replace(series, slices=1, matrix=8), "001", i
            )
            header = pydicom.dcmread(next(folder.iterdir()))
            assert judge_sequence(series_headers(header)).sequence == sequence
            header.SeriesDescription = header.ProtocolName = "NPC"
            unnamed = judge_sequence(series_headers(header))
            assert unnamed.sequence in (sequence, None), unnamed.why
            silent[unnamed.sequence is None] += 1
    assert silent[False] > 2 * silent[True]
