"""Amounts of EBV-DNA: how laboratories write them, their units, the detection limit, the cut-off."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radiomics_npc.cohort.amounts import parse_amount, parse_header
from radiomics_npc.cohort.clinical import read_clinical
from radiomics_npc.settings import ClinicalSettings

COPIES, IU = "ebv_log10_copies_ml", "ebv_log10_iu_ml"


@pytest.fixture
def read(tmp_path):
    def read(header, *cells, **settings):
        file = tmp_path / "clinical.csv"
        rows = "".join(f'{k},"{cell}"\n' for k, cell in enumerate(cells, start=1))
        file.write_text(f'ID,"{header}"\n{rows}', encoding="utf-8")
        return read_clinical(ClinicalSettings(**settings), file)

    return read


def _problems(findings, *severities):
    return [f.problem for f in findings if f.severity in (severities or ("error", "warning"))]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12000", 12000), ("12,000", 12000), ("12 000", 12000), ("1,200,000", 1.2e6), ("1.200.000", 1.2e6),
        ("1.2e4", 12000), ("1,2E+04", 12000), ("1.2×10^4", 12000), ("1.2 x 10^4", 12000), ("1.2*10⁴", 12000),
        ("10⁶", 1e6), ("10^6", 1e6), ("4.1 log", 10**4.1), ("4,1 log10", 10**4.1), ("log 4.1", 10**4.1),
        ("4.1 lg copies/ml", 10**4.1), ("12.5", 12.5), ("12,5", 12.5), ("1.2万", 12000),
        ("１２０００", 12000), ("1234.567", 1234.567), ("3.5e3 copies/ml", 3500), ("3500 copies/µL", 3.5e6),
        ("2000拷贝/毫升", 2000),
        ("500 IU/mL", 500), ("8e5 copies/L", 800), ("3.2E-1", 0.32), ("800 copies mL⁻¹", 800),
    ],
)  # fmt: skip
def test_amounts(text, value):
    found = parse_amount(text)
    assert found.value == pytest.approx(value, rel=1e-12)
    assert not found.bound
    assert not found.doubtful


@pytest.mark.parametrize(
    ("text", "value", "bound"),
    [
        ("<400", 400, "<"), ("＜400", 400, "<"), ("< 4.0E+02 copies/ml", 400, "<"), ("≤400", 400, "<"),
        ("小于400", 400, "<"), ("less than 400", 400, "<"), (">10^6", 1e6, ">"), (">1,000,000", 1e6, ">"),
        ("大于1×10⁶", 1e6, ">"), ("<2.6 log", 10**2.6, "<"), ("未检出", None, "<"),
        ("not detected", None, "<"), ("Undetectable", None, "<"), ("N.D.", None, "<"), ("<LOD", None, "<"),
        ("阴性", None, "<"),
        ("低于检测下限", None, "<"), ("0", None, "<"), ("positive", None, ">"), ("阳性", None, ">"),
    ],
)  # fmt: skip
def test_bounds(text, value, bound):
    found = parse_amount(text)
    assert found.bound == bound
    assert found.value is None if value is None else found.value == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize(
    "text",
    ["many", "-", "1.2.3", "12,00,0", "400-800", "-5", "4/5", "400?", "未检", "1e400", "20 log", "inf"],
)
def test_what_is_no_amount(text):
    assert parse_amount(text) is None


def test_a_separator_that_may_be_two_things_is_doubtful():
    assert parse_amount("12.345").doubtful
    assert not parse_amount("0.345").doubtful
    assert not parse_amount("4.123", log=True).doubtful


@given(st.floats(1e-3, 1e12), st.sampled_from(["{:.6e}", "{:.6E}", "{:.6f}", "{:.2f}"]))
def test_numbers_are_read_as_python_reads_them(value, form):
    text = form.format(value)
    if float(text) > 0:
        assert parse_amount(text).value == pytest.approx(float(text), rel=1e-12)


@given(st.text(max_size=12))
def test_no_text_breaks_the_readers(text):
    found = parse_amount(text)
    assert found is None or found.value is None or (math.isfinite(found.value) and found.value > 0)
    assert parse_header(text).factor > 0


@pytest.mark.parametrize(
    ("header", "kind", "factor", "log"),
    [
        ("EBV-DNA (copies/ml)", "copies", 1, False), ("EBV DNA copies/mL", "copies", 1, False),
        ("EBV-DNA（拷贝/毫升）", "copies", 1, False), ("EBV DNA [IU/mL]", "iu", 1, False),
        ("EBV DNA (copies/µL)", "copies", 1e3, False), ("EBV DNA (×10^3 copies/ml)", "copies", 1e3, False),
        ("EBV DNA (10⁴ copies/ml)", "copies", 1e4, False), ("EBV DNA log10 copies/ml", "copies", 1, True),
        ("EBV DNA (lg IU/ml)", "iu", 1, True), ("EBV DNA", None, 1, False), ("EBV copies", None, 1, False),
        ("EBV DNA (103 copies/ml)", None, 1, False),  # 10 to the third that lost its place?
    ],
)  # fmt: skip
def test_headers(header, kind, factor, log):
    found = parse_header(header)
    assert (found.kind, found.factor, found.log) == (kind, factor, log)


@pytest.mark.parametrize(
    "header",
    ["EBV-DNA (copies/ml)", "Plasma EBV DNA copies/mL", "ebv_dna_load (copies/ml)",
     "EBV-DNA拷贝数（拷贝/毫升）", "EBV载量 (copies/ml)", "EB病毒DNA (copies/mL)"],
)  # fmt: skip
def test_amounts_become_logarithms(read, header):
    table, findings = read(header, "12,000", "<400", "未检出", "", ">10^6")
    assert not _problems(findings)
    want = [math.log10(12000), math.log10(200), math.log10(200), np.nan, 6.0]
    np.testing.assert_allclose(table[COPIES], want, rtol=1e-9)
    said = " | ".join(_problems(findings, "info"))
    assert "2 patients below the detection limit of 400 copies/ml: taken as half of it" in said
    assert "1 patient above what was measured ('>10^6')" in said
    assert "no cut-off is stated" in said
    assert list(table.columns) == [COPIES]


def test_units_of_header_cells_and_study(read):
    assert read("EBV DNA (copies/ul)", "5", "7 copies/ml")[0][COPIES].tolist() == pytest.approx(
        [math.log10(5000), math.log10(7)]
    )
    assert read("EBV DNA", "5000", "800", ebv={"unit": "copies/ml"})[0][COPIES].tolist() == pytest.approx(
        [math.log10(5000), math.log10(800)]
    )
    assert read("EBV DNA (IU/ml)", "1000")[0][IU].tolist() == [3.0]
    assert read("EBV DNA (log10 copies/ml)", "4.123", "<2.6", "1.2e4")[0][COPIES].tolist() == pytest.approx(
        [4.123, 2.6 - math.log10(2), math.log10(12000)]
    )


def test_an_unknown_unit_is_said_and_never_guessed(read):
    table, findings = read("EBV DNA", "5000", "800")
    assert _problems(findings) == [
        "amounts of EBV-DNA without a unit: kept as they are, no logarithm and no status is made"
    ]
    assert table["ebv_dna"].tolist() == [5000, 800]
    table, findings = read("EBV DNA", "5000 copies/ml", "800")
    assert _problems(findings) == ["amounts of EBV-DNA in several units: copies/ml, unknown"]
    assert table.empty
    _, findings = read("EBV DNA", "5000 copies/ml", "800 IU/ml")
    assert _problems(findings) == ["amounts of EBV-DNA in several units: IU/ml, copies/ml"]
    _, findings = read("EBV DNA (IU/ml)", "5000", ebv={"unit": "copies/ml"})
    assert _problems(findings) == ["the header says IU/ml, clinical.ebv.unit copies/ml"]


def test_thousands_or_decimals(read):
    _, findings = read("EBV DNA (copies/ml)", "12.345", "900")
    assert _problems(findings) == ["'12.345' may be a decimal number or thousands (1 patient)"]
    table, findings = read("EBV DNA (copies/ml)", "12.345", "900.5")  # the other shows what a point is
    assert not _problems(findings)
    assert table[COPIES].tolist() == pytest.approx([math.log10(12.345), math.log10(900.5)])


def test_the_detection_limit(read):
    limits = {"detection_limit": 1000, "below_limit": "root2"}
    table, _ = read("EBV DNA (copies/ml)", "<400", "800", "1200", "未检出", ebv=limits)
    below = math.log10(1000 / math.sqrt(2))
    assert table[COPIES].tolist() == pytest.approx([math.log10(400 / math.sqrt(2)), below, 3.0791812, below])
    _, findings = read("EBV DNA (copies/ml)", "未检出", "1200")
    assert _problems(findings) == ["not detected, and no detection limit is known: missing (1)"]
    table, findings = read("EBV DNA (copies/ml)", "<400", "<200", "未检出", "1200")
    assert table[COPIES].isna().tolist() == [False, False, True, False]
    assert _problems(findings) == ["not detected, and no detection limit is known: missing (3)"]


def test_a_status_needs_a_stated_cut_off(read):
    cells = ("12,000", "4000", "3999", "<400", "not detected", "positive", ">1000", "<5000", "")
    table, findings = read("EBV DNA (copies/ml)", *cells, ebv={"positive_from": 4000, "detection_limit": 400})
    assert not _problems(findings)
    wanted = ["positive", "positive", "negative", "negative", "negative", "positive", None, None, None]
    assert table["ebv_dna"].astype(object).where(table["ebv_dna"].notna(), None).tolist() == wanted
    assert tuple(table["ebv_dna"].cat.categories) == ("negative", "positive")
    assert np.isnan(table[COPIES].iloc[5])  # detected, amount not given


def test_status_and_amount_in_two_columns(tmp_path):
    file = tmp_path / "clinical.csv"
    file.write_text("ID,EBV DNA,EBV DNA (copies/ml)\n1,positive,12000\n2,negative,<400\n", encoding="utf-8")
    table, findings = read_clinical(ClinicalSettings(), file)
    assert not _problems(findings)
    assert table["ebv_dna"].tolist() == ["positive", "negative"]
    assert table[COPIES].round(3).tolist() == [4.079, 2.301]


def test_unknown_cells_are_errors_and_can_be_told(read):
    _, findings = read("EBV DNA (copies/ml)", "many", "5000")
    assert _problems(findings) == ["'many' is no value of ebv_amount"]
    table, findings = read(
        "EBV DNA (copies/ml)",
        "many",
        "lost",
        "5000",
        values={"ebv_amount": {"many": ">10^6"}},
        missing=["lost"],
    )
    assert not _problems(findings)
    assert table[COPIES].tolist()[0] == 6.0
    assert np.isnan(table[COPIES].tolist()[1])


def test_codes_of_a_status_are_no_amounts(read):
    table, _ = read("EBV DNA", "0", "1", "阳性")
    assert table["ebv_dna"].tolist() == ["negative", "positive", "positive"]


@pytest.mark.parametrize(
    ("header", "cells", "years"),
    [
        ("Age", ["54", "54.5"], [54, 54.5]), ("Age (months)", ["648", "12"], [54, 1]),
        ("年龄（月）", ["648"], [54]), ("age_days", ["19723.5"], [54]), ("Age (years)", ["54"], [54]),
        ("Age", ["054Y", "648M", "54岁", "19723.5 days"], [54, 54, 54, 54]), ("Age, years", ["54"], [54]),
    ],
)  # fmt: skip
def test_ages_in_their_unit(read, header, cells, years):
    table, findings = read(header, *cells)
    assert not _problems(findings, "error")
    np.testing.assert_allclose(table["age"], years, rtol=1e-5)


def test_ages_in_months_without_a_unit_are_one_error(read):
    _, findings = read("Age", *[str(600 + 7 * k) for k in range(9)])
    assert _problems(findings) == ["half of all ages are above 628 years: months or days?"]
