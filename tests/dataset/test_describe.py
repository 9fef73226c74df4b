"""A cohort beside the published Tables 1 to 4."""

from __future__ import annotations

import re

import docx
import nibabel
import numpy as np
import pandas as pd
import pytest

from radiomics_npc.cohort.cases import Case, Cohort
from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.dataset.describe import describe
from radiomics_npc.dataset.image_tables import scanner_cells
from radiomics_npc.dataset.metadata import Metadata
from radiomics_npc.dataset.morphology import Morphology
from radiomics_npc.dataset.published import published_stages
from radiomics_npc.dataset.series_headers import COLUMNS
from radiomics_npc.simulate.published import ACQUISITION, MORPHOLOGY, SCANNERS

# Table 4 as printed: counts by stage group 1, 2, 3, 4a, 4b.
PRINTED = {
    ("sex", "female"): [1, 10, 41, 18, 4], ("sex", "male"): [4, 16, 99, 76, 9],
    ("pathology", "Basaloid Squamous Cell Carcinoma"): [0, 0, 0, 0, 1],
    ("pathology", "Keratinized Squamous Cell Carcinoma"): [1, 2, 5, 4, 0],
    ("pathology", "Non-Keratinized Squamous Cell Carcinoma"): [4, 24, 135, 90, 12],
    ("T", "T0"): [0, 0, 0, 0, 1], ("T", "T1"): [5, 8, 2, 0, 0], ("T", "T2"): [0, 18, 41, 3, 2],
    ("T", "T3"): [0, 0, 97, 15, 4], ("T", "T4"): [0, 0, 0, 76, 6],
    ("N", "N0"): [4, 6, 10, 5, 0], ("N", "N1"): [1, 20, 31, 31, 1], ("N", "N2"): [0, 0, 99, 29, 4],
    ("N", "N3"): [0, 0, 0, 30, 8],
    ("M", "M0"): [5, 26, 140, 93, 0], ("M", "M1"): [0, 0, 0, 1, 13],
    ("ebv_dna", "negative"): [5, 21, 109, 58, 7], ("ebv_dna", "positive"): [0, 5, 31, 36, 6],
    ("vca_iga", "negative"): [4, 6, 45, 19, 3], ("vca_iga", "positive"): [1, 20, 95, 75, 10],
}  # fmt: skip


def metadata(rows, **changes):
    base = dict.fromkeys(COLUMNS) | {
        "echo_time": 12.0, "repetition_time": 600.0, "spacing_between_slices": 5.5, "slice_distance_mm": 5.5,
        "slice_thickness": 5.0, "pixel_spacing": 0.43, "field_of_view": "220x220", "flip_angle": 90.0,
        "matrix_rows": 512, "scanner_device_name": "Achieva", "remarks": "",
    }  # fmt: skip
    table = [{"patient_id": p, "sequence": s, **base, **changes} for p, s in rows]
    return Metadata(pd.DataFrame(table, columns=["patient_id", "sequence", *base]))


def sizes(rows, volumes):
    table = pd.DataFrame(rows, columns=["patient_id", "sequence"])
    return Morphology(
        table.assign(volume_cm3=volumes, surface_area_cm2=40.0, max_diameter_cm=4.0, surface_regularity=0.4)
    )


@pytest.fixture
def cohort():
    """Six patients: one without stage, one of a group that is not published, values missing."""
    ids = list("abcdef")
    clinical = pd.DataFrame(
        {
            "stage": ["I", "III", "III", "IVA", "IVC", None],
            "sex": ["female", "male", "male", None, "female", "male"],
            "age": [50.0, 95.0, 40.0, 60.0, np.nan, 70.0],
            "T": ["T1", "T3", "T4", "T4", "T2", "T1"],
            "N": ["N0", "N1", "N2", "N0", "N3", None],
            "M": ["M0"] * 6,
            "ebv_dna": [0.0, 120.0, 4000.0, 30.0, np.nan, 10.0],
            "pathology": ["non-keratinized squamous cell carcinoma"] * 5 + ["Undifferentiated"],
        },
        index=pd.Index(ids, name="patient_id"),
    )
    outcome = Outcome([60.0, 12.0, 30.0, 61.0, 5.0], [0, 1, 0, 0, 1], ids[:5])
    return Cohort(tuple(Case(i) for i in ids), clinical, outcome)


@pytest.fixture
def described(cohort):
    rows = [(p, s) for p in "abcdef" for s in ("t1", "t2", "ce_t1")]
    found = metadata(rows)
    found.table.loc[0, ["echo_time", "scanner_device_name"]] = [30.0, "Skyra"]
    found.table.loc[1, "scanner_device_name"] = "Skyra"
    found.table.loc[3, "echo_time"] = np.nan
    return describe(cohort, metadata=found, morphology=sizes(rows, np.arange(1.0, 19.0)))


def cell(table, variable, level, column):
    rows = table[table["Variable"] == variable]
    rows = rows[rows["Level"] == level] if "Level" in rows else rows
    assert len(rows) == 1, rows
    return rows[column].iloc[0]


def test_the_published_table_four_is_given_as_printed():
    stages = published_stages()
    assert [g.patients for g in stages.values()] == [5, 26, 140, 94, 13]
    for (variable, level), counts in PRINTED.items():
        found = [stages[name].factors[variable][level].patients for name in stages]
        assert found == counts, (variable, level)
    levels = {(variable, level) for g in stages.values() for variable, f in g.factors.items() for level in f}
    assert levels == set(PRINTED)
    assert stages["IVA"].factors["N"]["N1"].percent == 31.9  # though 31 of 94 are 33.0%


@pytest.mark.shared
def test_published_figures_are_those_of_the_paper(shared):
    """Medians with their ranges, scanners, means and standard deviations."""
    text = next((shared / "papers").glob("000_*.txt")).read_text(encoding="utf-8").replace("–", "-")
    lines = [line.split("|")[1:-1] for line in text.splitlines() if line.count("|") > 3]
    rows = {head.strip(): cells for head, *cells in lines}
    heads = {
        "echo_time_ms": "Echo time (TE) (ms)", "repetition_time_ms": "Repetition time (TR) (ms)",
        "slice_spacing_mm": "Spacing between slices (mm)", "slice_thickness_mm": "Slice thickness (mm)",
        "pixel_spacing_mm": "Pixel spacing (mm)",
        "field_of_view_mm": "Field of view (FoV) (mm <sup>2</sup> )",
        "flip_angle_deg": "Flip angle (degrees)", "matrix": "Matrix size",
        "volume_cm3": "Volume (cm <sup>3</sup> )", "surface_area_cm2": "Surface area (cm <sup>2</sup> )",
        "max_diameter_cm": "Max diameter (cm)", "surface_regularity": "Surface regularity",
    }  # fmt: skip
    for place, sequence in enumerate(("t1", "t2", "ce_t1")):
        for name, values in (ACQUISITION[sequence] | MORPHOLOGY[sequence]).items():
            printed = [float(v) for v in re.findall(r"[\d.]+", rows[heads[name]][place])]
            if name == "field_of_view_mm":
                printed = printed[1:]
            assert printed == list(values), (sequence, name)
    machines = dict(zip(*[map(str.strip, rows[head]) for head in ("machine", "amount")], strict=True))
    assert {name: str(s.patients) for name, s in SCANNERS.items()} == machines
    statistics = [[re.findall(r"[\d.]+", c) for c in cells] for head, *cells in lines if "SD" in head]
    for variable, printed in zip(("age", "follow_up_months"), statistics, strict=True):
        for group, numbers in zip(published_stages().values(), printed, strict=True):
            assert [float(v) for v in numbers] == [group.numbers[variable].mean, group.numbers[variable].sd]


def test_median_and_range_with_the_published_beside(described):
    one, two = described.tables[1], described.tables[2]
    assert cell(one, "Echo time (ms)", "", "T1, this cohort") == "12 (12 to 30) †"
    assert cell(one, "Echo time (ms)", "", "T1, published") == "12 (8.6 to 16.4)"
    assert cell(one, "Echo time (ms)", "", "Missing") == "1"
    assert cell(one, "Field of view (mm)", "", "T2, this cohort") == "220 (220 to 220)"
    assert cell(one, "Distance of slices, measured (mm)", "", "T1, published") == "–"
    volumes = np.arange(1.0, 19.0)[::3]
    expected = f"{np.median(volumes):.2f} ({volumes.min():.2f} to {volumes.max():.2f})"
    assert cell(two, "Volume (cm³)", "", "T1, this cohort") == expected
    assert cell(two, "Volume (cm³)", "", "CE-T1, published") == "9.42 (0.61 to 84.24)"


def test_a_value_at_the_printed_limit_is_not_outside(cohort):
    rows = [("a", "t1")]
    found = describe(
        cohort, metadata=metadata(rows, repetition_time=366.666666), morphology=sizes(rows, [5.0])
    )
    assert "†" not in cell(found.tables[1], "Repetition time (ms)", "", "T1, this cohort")
    found = describe(cohort, metadata=metadata(rows, repetition_time=366.6), morphology=sizes(rows, [5.0]))
    assert "†" in cell(found.tables[1], "Repetition time (ms)", "", "T1, this cohort")


def test_scanners(described):
    table = described.tables[3]
    assert cell(table, "Achieva", "", "This cohort") == "5 (83.3%)"
    assert cell(table, "Skyra", "", "This cohort") == "1 (16.7%) †"
    assert cell(table, "Skyra", "", "Published") == "0"
    assert cell(table, "MAGNETOM IMPACT", "", "Published") == "93 (33.6%)"
    cells = {c.variable: c for c in scanner_cells(pd.Series(["Achieva", None, None]))}
    assert (cells["Achieva"].this_cohort, cells["Not known"].this_cohort) == ("1 (100.0%)", "2")
    assert not any(c.missing for c in cells.values())


def test_patients_by_stage_group_and_what_is_missing(described):
    table = described.tables[4]
    assert [c for c in table.columns if c.endswith("this cohort")] == [
        f"{g}, this cohort" for g in ("I", "II", "III", "IVA", "IVB", "IVC", "not known", "All")
    ]
    assert table.iloc[0].tolist()[2:] == [
        "1", "5", "0", "26", "2", "140", "1", "94", "0", "13", "1", "–", "1", "–", "6", "278", ""
    ]  # fmt: skip
    assert cell(table, "Sex", "male", "III, this cohort") == "2 (100.0%)"
    assert cell(table, "Sex", "female", "All, this cohort") == "2 (40.0%)"  # of those known
    assert cell(table, "Sex", "female", "Missing") == "1"
    assert (
        cell(table, "Age (years)", "mean (SD)", "III, this cohort")
        == f"67.5 ({np.std([95, 40], ddof=1):.1f})"
    )
    assert cell(table, "Age (years)", "minimum to maximum", "III, this cohort") == "40 to 95 †"
    assert cell(table, "Age (years)", "mean (SD)", "IVB, published") == "58.0 (9.86)"
    assert cell(table, "Age (years)", "mean (SD)", "Missing") == "1"
    assert cell(table, "Follow-up (months)", "median", "All, this cohort") == "30.0"
    assert cell(table, "Follow-up (months)", "mean (SD)", "Missing") == "1"
    # a T4 in stage III, which the published stage III does not have
    assert cell(table, "T category", "T4", "III, this cohort") == "1 (50.0%) †"
    assert cell(table, "T category", "T4", "IVC, published") == "–"
    # spelled otherwise, and a type of its own
    name = "Non-Keratinized Squamous Cell Carcinoma"
    assert cell(table, "Pathology", name, "All, this cohort") == "5 (83.3%)"
    assert cell(table, "Pathology", "Undifferentiated", "All, published") == "0"


def test_nothing_known_is_no_count_of_zero(cohort):
    """Of a group with patients whose EBV-DNA nobody recorded, neither level has 0 patients."""
    table = cohort.clinical.assign(ebv_dna=["negative", None, None, "positive", None, None])
    found = describe(Cohort(cohort.cases, table), metadata=metadata([]), morphology=sizes([], []))
    four = found.tables[4]
    assert cell(four, "EBV-DNA", "positive", "III, this cohort") == "–"
    assert cell(four, "EBV-DNA", "positive", "I, this cohort") == "0"
    assert cell(four, "EBV-DNA", "positive", "II, this cohort") == "0"  # there is nobody
    assert cell(four, "EBV-DNA", "positive", "All, this cohort") == "1 (50.0%)"
    assert any("Percentages are of patients of whom the value is known" in said for said in found._said(4))


def test_limits_are_compared_and_printed_as_they_are_rounded(cohort):
    """The published ages of stage I are whole years from 44 to 70."""
    ages = cohort.clinical.assign(age=[70.4, 50.0, 40.0, 60.0, 50.0, 60.0])
    outcome = Outcome([13.5688, 12.0, 30.0, 60.04, 5.0], [0, 1, 0, 0, 1], list("abcde"))
    found = describe(Cohort(cohort.cases, ages, outcome), metadata=metadata([]), morphology=sizes([], []))
    limits = "minimum to maximum"
    assert cell(found.tables[4], "Age (years)", limits, "I, this cohort") == "70.4 to 70.4"
    assert cell(found.tables[4], "Follow-up (months)", limits, "IVA, this cohort") == "60 to 60"
    assert cell(found.tables[4], "Follow-up (months)", limits, "I, this cohort") == "13.6 to 13.6"


def test_groups_of_another_edition_and_patients_left_out_are_said(cohort):
    """By the 7th edition N3 M0 is IVB; by the 8th, which the published table has, IVA."""
    table = pd.DataFrame(
        {"stage": ["IVB", "IVB", "III"], "T": ["T1", "T2", "T3"], "N": ["N3", "N3", "N0"], "M": ["M0"] * 3},
        index=pd.Index(list("abc"), name="patient_id"),
    )
    whole = Cohort(tuple(Case(i) for i in "abc"), table, excluded=(("x", "only M M0 is kept"), ("a", "none")))
    said = describe(whole, metadata=metadata([]), morphology=sizes([], [])).notes[4]
    assert any("in 2 of 3 patients" in note and "7th edition in 0" in note for note in said)
    assert "This cohort: 1 left out (only M M0 is kept)." in said


def test_columns_that_are_amounts_or_absent_are_said(described):
    table, notes = described.tables[4], " ".join(described.notes[4])
    assert cell(table, "EBV-DNA", "amount", "All, this cohort") == "30 (0 to 4000)"
    assert cell(table, "VCA-IgA", "positive", "All, this cohort") == "–"
    assert cell(table, "VCA-IgA", "positive", "All, published") == "201 (72.3%)"
    assert "nothing is known of VCA-IgA" in notes
    assert "EBV-DNA as amounts" in notes


def test_stage_groups_are_derived_where_none_are_recorded(cohort):
    bare = cohort.clinical.drop(columns="stage")
    found = describe(Cohort(cohort.cases, bare), metadata=metadata([]), morphology=sizes([], []), jobs=1)
    table = found.tables[4]
    groups = ["I", "II", "III", "IVA", "IVB", "not known"]
    assert [table.iloc[0][f"{g}, this cohort"] for g in groups] == ["1", "0", "1", "3", "0", "1"]
    assert any("derived from T, N and M" in note for note in found.notes[4])
    nothing = describe(Cohort(cohort.cases), metadata=metadata([]), morphology=sizes([], []))
    assert cell(nothing.tables[4], "Sex", "male", "All, this cohort") == "–"
    assert any("no stage group is recorded" in note for note in nothing.notes[4])


def test_regions_other_than_the_primary_tumor_have_no_published_figures(cohort):
    rows = [("a", "t1-gtvp"), ("a", "t1-gtvnd")]
    both = Cohort(cohort.cases, cohort.clinical, sequences=("t1-gtvp", "t1-gtvnd"))
    found = describe(both, metadata=metadata([("a", "t1")]), morphology=sizes(rows, [5.0, 2.0]))
    cells = found.to_frame().query("table == 2 and variable == 'Volume (cm³)'")
    assert cells["published"].tolist() == ["8.60 (0.68 to 70.34)", "–"]
    assert cells["this_cohort"].tolist() == ["5.00 (5.00 to 5.00)", "2.00 (2.00 to 2.00)"]
    assert found.to_frame().query("table == 1")["group"].unique().tolist() == ["T1"]


def test_what_is_written(described, cohort, tmp_path):
    paths = described.write(tmp_path)
    assert [p.name for p in paths] == [
        "table_1.csv", "table_2.csv", "table_3.csv", "table_4.csv", "figures.csv", "description.html",
        "description.docx",
    ]  # fmt: skip
    for number, path in enumerate(paths[:4], start=1):
        assert path.read_bytes().startswith(b"\xef\xbb\xbf")
        read = pd.read_csv(path, dtype=str, keep_default_na=False)
        pd.testing.assert_frame_equal(read, described.tables[number].astype(str), check_dtype=False)
    page = (tmp_path / "description.html").read_text(encoding="utf-8")
    assert "<h1>Cohort beside the published data set</h1>" in page
    assert "imulated" not in page.partition("<body>")[2]
    assert "http" not in page.partition("<body>")[2].replace("http-equiv", "")
    assert "its stage groups sum to 278" in page
    document = docx.Document(str(tmp_path / "description.docx"))
    assert len(document.tables) == 4
    texts = [c.text for c in document.tables[3].columns[5].cells]
    assert "99 (70.7%)" in texts
    assert any("sum to 95 of 94" in p.text for p in document.paragraphs)
    before = {p.name: p.read_bytes() for p in paths}
    assert {p.name: p.read_bytes() for p in described.write(tmp_path)} == before


def test_simulated_cohorts_say_so_in_every_title(cohort, tmp_path):
    ghost = Cohort(cohort.cases, cohort.clinical, cohort.outcome, simulated=True)
    found = describe(ghost, metadata=metadata([("a", "t1")]), morphology=sizes([("a", "t1")], [5.0]))
    found.write(tmp_path)
    page = (tmp_path / "description.html").read_text(encoding="utf-8")
    titles = re.findall(r"<(?:h1|h2|title)[^>]*>(.*?)</", page)
    assert len(titles) == 6
    assert all("imulated" in title for title in titles)
    captions = [
        p.text
        for p in docx.Document(str(tmp_path / "description.docx")).paragraphs
        if p.style.name == "Caption"
    ]
    assert len(captions) == 4
    assert all(text.endswith("simulated patients") for text in captions)
    assert (pd.read_csv(tmp_path / "table_2.csv")["Simulated"] == "yes").all()
    assert found.to_frame()["simulated"].all()
    assert "simulated" in repr(found)


def test_a_cohort_of_files_with_one_that_is_damaged(tmp_path):
    array = np.zeros((20, 20, 6), np.uint8)
    array[5:15, 5:15, 1:5] = 1
    lines = ["patient_id,sequence,image,mask"]
    for patient in ("1", "2"):
        for kind in ("image", "mask"):
            nibabel.save(
                nibabel.Nifti1Image(array, np.diag([0.5, 0.5, 5.5, 1])), tmp_path / f"{kind}{patient}.nii"
            )
        lines.append(f"{patient},t1,image{patient}.nii,mask{patient}.nii")
    (tmp_path / "mask2.nii").write_bytes(b"")
    (tmp_path / "manifest.csv").write_text("\n".join(lines))
    source = {
        "layout": "manifest",
        "path": str(tmp_path / "manifest.csv"),
        "sequences": ["t1"],
        "clinical": None,
    }
    found = describe(source, jobs=1, progress=False)
    assert cell(found.tables[1], "Pixel spacing (mm)", "", "T1, this cohort") == "0.5 (0.5 to 0.5)"
    assert cell(found.tables[1], "Echo time (ms)", "", "T1, this cohort") == "–"
    assert (
        cell(found.tables[1], "Distance of slices, measured (mm)", "", "T1, this cohort")
        == "5.5 (5.5 to 5.5)"
    )
    assert cell(found.tables[2], "Tumors", "", "T1, this cohort") == "1"
    assert cell(found.tables[3], "Not known", "", "This cohort") == "2"
    assert found.failures["stage"].tolist() == ["morphology"]
    names = [p.name for p in found.write(tmp_path / "out")]
    assert names[-1] == "failures.csv"
    assert "What could not be read" in (tmp_path / "out" / "description.html").read_text(encoding="utf-8")
