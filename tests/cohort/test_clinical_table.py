"""The clinical table: files, columns, values, and the account of how each was read."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radiomics_npc.cohort.clinical import read_clinical
from radiomics_npc.cohort.tables import read_cells
from radiomics_npc.cohort.vocabulary import LEVELS, reader_of
from radiomics_npc.errors import CohortError
from radiomics_npc.settings import ClinicalSettings


@pytest.fixture
def read(tmp_path):
    def read(text, **settings):
        file = tmp_path / "clinical.csv"
        file.write_bytes(text.encode() if isinstance(text, str) else text)
        return read_clinical(ClinicalSettings(**settings), file)

    return read


def _problems(findings, severity="error"):
    return [f.problem for f in findings if f.severity == severity]


@pytest.mark.parametrize(
    "header", ["ID,Age,Gender,T Stage,N_stage,M-STAGE,EBV-DNA", "patient_id,AGE,sex,T,n,M ,ebv_dna"]
)
def test_usual_names_are_recognized(read, header):
    table, findings = read(f"{header}\n001,52,F,3,N1,0,Positive\n")
    assert table.to_dict("index") == {
        "001": {"age": 52.0, "sex": "female", "T": "T3", "N": "N1", "M": "M0", "ebv_dna": "positive"}
    }
    assert not _problems(findings)
    named = next(f for f in _problems(findings, "info") if f.startswith("columns recognized"))
    assert "T from 'T" in named


def test_categories_are_complete_and_in_order(read):
    table, _ = read("ID,T,N,M,stage\n1,T2,N1,M0,3\n")
    for name in ("T", "N", "M", "stage"):
        assert tuple(table[name].cat.categories) == LEVELS[name]


def test_identifiers_stay_text(read):
    assert read("ID,age\n001,50\n010,60\n")[0].index.tolist() == ["001", "010"]


@pytest.mark.parametrize(
    ("column", "text", "value"),
    [
        ("T", "T3", "T3"), ("T", "3", "T3"), ("T", "t3", "T3"), ("T", "T3a", "T3"), ("T", "cT3", "T3"),
        ("T", "3.0", "T3"), ("T", "T 3", "T3"), ("T", "TX", ""), ("T", "Tis", None), ("T", "T5", None),
        ("T", "N3", None), ("T", "yT3", None), ("T", "rT3", None), ("T", "T3-4", None), ("T", "T3 (2)", None),
        ("T", "33", None), ("N", "N3b", "N3"), ("N", "N4", None), ("N", "NX", ""), ("N", "TX", None),
        ("M", "M1c", "M1"), ("M", "M2", None), ("stage", "4a", "IVA"), ("stage", "IVb", "IVB"),
        ("stage", "Stage III", "III"), ("stage", "2", "II"), ("stage", "IIIA", None), ("stage", "V", None),
        ("sex", "Male", "male"), ("sex", "女", "female"), ("sex", "1", None), ("ebv_dna", "+", "positive"),
        ("ebv_dna", "0", "negative"), ("ebv_dna", "2", None), ("vca_iga", "阳性", "positive"),
    ],
)  # fmt: skip
def test_values(column, text, value):
    assert reader_of(column)(text) == value


@given(st.text(max_size=8))
def test_no_text_is_read_as_a_category_that_does_not_exist(text):
    for column, levels in LEVELS.items():
        assert reader_of(column)(text) in (*levels, "", None)


def test_odd_values_are_accounted_for_once_each(read):
    _, findings = read("ID,N\n1,N3a\n2,N3a\n3,N2\n4,Nx\n")
    assert _problems(findings, "info")[3:] == [
        "'N3a' read as N3 (2 patients)",
        "'Nx' read as missing (not assessed) (1 patient)",
        "1 of 4 patients have no N",
    ]


def test_unknown_values_are_errors_that_name_the_patients(read):
    table, findings = read("ID,T,age\n1,T9,50\n2,T9,old\n3,T1,60\n")
    errors = [f for f in findings if f.severity == "error"]
    assert [(f.patient_id, f.where, f.problem) for f in errors] == [
        ("2", "age", "'old' is no value of age"),
        ("", "T", "'T9' is no value of T (2 patients: 1, 2)"),
    ]
    assert "clinical.values: T: {'T9': ...} (one of T0, T1, T2, T3, T4; null = missing)" in errors[1].remedy
    assert table["T"].isna().tolist() == [True, True, False]
    assert np.isnan(table.loc["2", "age"])


def test_the_column_of_the_patient_is_said(read):
    _, findings = read("序号,T\n1,T1\n")
    assert "the patient is read from column '序号'" in _problems(findings, "info")
    _, findings = read("ID,T,id \n1,T1,A7\n", columns={"patient_id": "ID"})
    assert not _problems(findings)
    _, findings = read("Patient ID,T,patient_id\n1,T1,A7\n")
    assert _problems(findings) == ["columns 'Patient ID' and 'patient_id' could both be the patient"]


def test_a_column_read_as_numbers_asks_for_numbers(read):
    _, findings = read("ID,EBV-DNA\n1,1200\n2,<500\n")
    (error,) = [f for f in findings if f.severity == "error"]
    assert "(a number; null = missing)" in error.remedy


def test_the_study_overrules(read):
    table, findings = read(
        "Hospital no,T,T category,Chemo,Weight\n7,x,T3 (2),none,61.5\n8,y,Unclear,Yes,?\n",
        columns={"patient_id": "hospital_no", "T": "T category"},
        values={"T": {"T3 (2)": "T3", "unclear": None}, "chemo": {"none": "no", "Yes": "yes"}},
        extra={
            "chemo": {"column": "chemo", "kind": "factor"},
            "weight": {"column": "Weight", "kind": "number"},
        },
        missing=["?"],
    )
    assert not _problems(findings)
    assert table["T"].tolist() == ["T3", np.nan]
    assert table["chemo"].tolist() == ["no", "yes"]
    assert table["weight"].tolist()[0] == 61.5
    assert "'Unclear' read as missing (1 patient)" in _problems(findings, "info")
    assert "'?' read as missing (1 patient)" in _problems(findings, "info")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"columns": {"T": "Tumour"}}, "T: there is no column 'Tumour'"),
        ({"columns": {"chemo": "T"}}, "columns: chemo is no standard column"),
        ({"extra": {"T": {"column": "T"}}}, "extra: T is a standard column"),
        ({"extra": {"a__b": {"column": "T"}}}, "reads like a feature"),
        ({"values": {"sex": {"1": "male"}}}, "values: names 'sex'"),
        ({"values": {"T": {"T1": "Tee"}}}, "values: reads it as 'Tee', which is none of T's values"),
        ({"keep": {"M": ["M0"]}}, "keep: names 'M'"),
    ],
)
def test_wrong_settings_are_findings(read, settings, words):
    _, findings = read("ID,T,age\n1,T1,50\n", **settings)
    assert len(_problems(findings)) == 1
    assert words in _problems(findings)[0]


def test_two_columns_that_could_be_one(read):
    _, findings = read("ID,t stage,T_Stage\n1,T1,T2\n")
    assert _problems(findings) == ["columns 't stage' and 'T_Stage' could both be T"]


def test_a_name_is_no_identifier(tmp_path, read):
    with pytest.raises(CohortError, match="no column for the patient"):
        read("Name,T\nSomebody,T1\n")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["0", "1"], ["negative", "positive"]),
        (["Negative", "pos"], ["negative", "positive"]),
        (["0", "12500"], [0.0, 12500.0]),
        (["1.5e4", ""], [15000.0, np.nan]),
    ],
)
def test_ebv_dna_is_a_state_or_copies(read, values, expected):
    table, findings = read("ID,EBV\n" + "".join(f"{k},{v}\n" for k, v in enumerate(values)))
    assert not _problems(findings)
    np.testing.assert_array_equal(table["ebv_dna"].to_numpy(object)[:1], expected[:1])
    assert (
        pd.isna(table["ebv_dna"].iloc[1]) if pd.isna(expected[1]) else table["ebv_dna"].iloc[1] == expected[1]
    )


@pytest.mark.parametrize("values", [["1", "2"], ["<500", "800"], ["positive", "800"]])
def test_ebv_dna_that_cannot_be_read(read, values):
    _, findings = read("ID,EBV\n" + "".join(f"{k},{v}\n" for k, v in enumerate(values)))
    assert len(_problems(findings)) == 1


def test_ages_that_cannot_be(read):
    _, findings = read("ID,age\n1,-3\n2,150\n3,103\n4,50\n")
    assert {(f.patient_id, f.severity) for f in findings if "age " in f.problem and f.patient_id} == {
        ("1", "error"), ("2", "error"), ("3", "warning"),
    }  # fmt: skip


def test_keep_counts_who_is_left_out(read):
    table, findings = read("ID,M\n1,M0\n2,M1\n3,\n4,0\n", keep={"M": ["0"]})
    assert table.index.tolist() == ["1", "4"]
    assert "2 left out, for only M M0 is kept (M1: 1, missing: 1)" in _problems(findings, "info")


@pytest.mark.parametrize(
    ("data", "notes"),
    [
        ("ID,病理,age\n001,鳞癌,52.5\n".encode("utf-8-sig"), 0),
        ("ID;病理;age\n001;鳞癌;52,5\n".encode("gb18030"), 2),
        ("ID\t病理\tage\n001\t鳞癌\t52.5\n".encode("utf-16"), 1),
        ('ID,病理,age\r\n\r\n"001",鳞癌, 52.5 \r\n,,\r\n'.encode(), 0),
    ],
)
def test_encodings_and_separators(tmp_path, data, notes):
    file = tmp_path / "c.csv"
    file.write_bytes(data)
    cells, findings = read_cells(file)
    assert cells.to_numpy().tolist() == [["001", "鳞癌", "52.5"]]
    assert len(findings) == notes


def test_xlsx(tmp_path):
    file = tmp_path / "c.xlsx"
    with pd.ExcelWriter(file) as book:
        pd.DataFrame({"x": [1]}).to_excel(book, sheet_name="other", index=False)
        pd.DataFrame(
            {
                "ID": ["001", "002"],
                "age": [52.0, 47.5],
                "T": [3, 2],
                "seen": [date(2020, 1, 31), None],
                "note": [None, "a"],
            }
        ).to_excel(book, sheet_name="patients", index=False)
    cells, _ = read_cells(file, "patients")
    assert cells.to_numpy().tolist() == [["001", "52", "3", "2020-01-31", ""], ["002", "47.5", "2", "", "a"]]
    assert read_cells(file, 1)[0].equals(cells)
    with pytest.raises(CohortError, match="no sheet 'Patients'"):
        read_cells(file, "Patients")
    file.write_bytes(file.read_bytes()[:500])
    with pytest.raises(CohortError, match="cannot be read as XLSX"):
        read_cells(file)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "holds no rows"),
        ("ID,T\n", "holds no rows"),
        ("ID,T,T\n1,2,3\n", "two columns named T"),
        ("ID,T\n1,T1,extra\n", "line 2 has 3 cells, its header 2"),
        ("T,N\n1,2\n", "no column for the patient"),
    ],
)
def test_what_is_no_table(read, text, words):
    with pytest.raises(CohortError, match=words):
        read(text)


def test_an_absent_file_is_named_without_its_folder(tmp_path):
    with pytest.raises(CohortError) as caught:
        read_clinical(ClinicalSettings(), tmp_path / "clinical.csv")
    assert str(tmp_path) not in str(caught.value)


def test_lines_without_or_with_a_repeated_patient(read):
    table, findings = read("ID,T\n1,T1\n,T2\n1,T3\n2,T4\n")
    assert table["T"].tolist() == ["T1", "T4"]
    assert _problems(findings) == [
        "no patient in line 3",
        "patient occurs more than once in clinical.csv (lines 2, 4)",
    ]
