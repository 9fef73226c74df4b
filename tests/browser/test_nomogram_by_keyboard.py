"""The nomogram page in a real browser, used by keyboard alone: what it shows is what Python calculates."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest

from radiomics_npc.nomogram.nomogram import Nomogram
from radiomics_npc.survival.models.cox import CoxModel

expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect
expect.set_options(timeout=30_000)  # of a busy machine

COLUMNS = ["age", "size", "grade", "lognodes"]
HORIZONS = (36, 60)
# As typed: middling, near both ends of the training ranges, with decimals.
PATIENTS = [
    ("45", "30", "2", "1.5"),
    ("21", "3", "1", "0.7"),
    ("80", "120", "3", "3.95"),
    ("60.5", "12", "3", "2.25"),
]
FIELDS = ["in0", "slide0", "in1", "slide1", "in2", "in3", "slide3"]


def _tab_to(page: Any, wanted: str) -> None:
    """Walk there as one without a mouse does."""
    for _ in range(20):
        if page.evaluate("document.activeElement.id") == wanted:
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"#{wanted} is not reached by Tab")


def _type(page: Any, values: tuple[str, ...]) -> None:
    for index, value in enumerate(values):
        _tab_to(page, f"in{index}")
        if index != COLUMNS.index("grade"):
            page.keyboard.press("Control+A")
        page.keyboard.type(value)


def _table(values: tuple[str, ...]) -> pd.DataFrame:
    """The same patient as Python takes it."""
    row = {
        name: value if name == "grade" else float(value) for name, value in zip(COLUMNS, values, strict=True)
    }
    return pd.DataFrame([row], index=["001"])


def _percent(probability: float) -> str:
    if probability < 0.0005:
        return "<0.1"
    return ">99.9" if 0.9995 <= probability < 1 else f"{100 * probability:.1f}"


def _said(page: Any, name: str) -> str:
    return str(page.locator(f"#{name}").inner_text())


@pytest.fixture
def page(opened) -> Any:
    return opened("nomogram")


def test_every_control_is_reached_by_tab_in_reading_order(page):
    met, outlines = [], set()
    for _ in range(len(FIELDS) + 4):
        page.keyboard.press("Tab")
        met.append(
            page.evaluate(
                "(a => a.id || a.type || a.getAttribute('aria-labelledby'))(document.activeElement)"
            )
        )
        outlines.add(page.evaluate("getComputedStyle(document.activeElement).outlineStyle"))
    assert met == ["language", *FIELDS, "reset", "drawing", "totals-title"]
    assert outlines == {"solid"}  # where one is, is seen


def test_probabilities_and_intervals_are_those_of_the_cox_model(page, nomogram: Nomogram, cox: CoxModel):
    """To every digit that is printed."""
    for values in PATIENTS:
        _type(page, values)
        patient = _table(values)
        told, survival = nomogram.predict(patient), cox.predict_survival(patient, HORIZONS)[0]
        assert _said(page, "message") == f"Total points {told['total_points'].item():.1f}"
        for index, months in enumerate(HORIZONS):
            low, high = np.asarray(cox.predict_interval(patient, months))[0]
            assert _said(page, f"out{index}") == f"{_percent(survival[index])}%"
            assert _said(page, f"ci{index}") == f"95% CI {_percent(low)}% to {_percent(high)}%"
            assert told[f"survival_{months}_months"].item() == pytest.approx(survival[index], abs=1e-9)
        points = nomogram.points_of(patient)
        for index, name in enumerate(COLUMNS):
            assert _said(page, f"pts{index}") == f"{points[name].item():.1f} points"
        assert _said(page, "group") == str(nomogram.risk_groups.predict(cox.predict_risk(patient))[0])


def test_the_median_is_read_off_the_curve(page, nomogram):
    """The curve is drawn with 120 of its steps: at most one of them, half a month, late; then rounded."""
    reached = []
    for values in PATIENTS:
        _type(page, values)
        months = nomogram.months_to(0.5, nomogram.predict(_table(values))["linear_predictor"]).item()
        reached.append(not np.isnan(months))
        if reached[-1]:
            assert -0.5 <= float(_said(page, "median").removesuffix(" months")) - months <= 1.1
        else:
            assert _said(page, "median") == "not reached within 60 months"
    assert len(set(reached)) == 2


def test_marks_stand_where_the_points_are(page, nomogram):
    _type(page, PATIENTS[0])
    points = nomogram.points_of(_table(PATIENTS[0]))
    left, length = map(float, page.locator("#drawing").get_attribute("data-axes").split())
    for index, name in enumerate(COLUMNS):
        mark = page.locator(f"#mark{index}")
        assert mark.get_attribute("visibility") == "visible"
        assert float(mark.get_attribute("cx")) == pytest.approx(
            left + points[name].item() / 100 * length, abs=1e-6
        )
    assert page.locator("#curve").get_attribute("d").startswith("M")
    assert page.locator("#band").get_attribute("d").endswith("Z")


def test_number_and_slider_stay_in_step(page):
    slider = page.locator("#slide0")
    assert slider.get_attribute("aria-valuetext") == "–"  # nothing is entered yet
    _tab_to(page, "in0")
    page.keyboard.type("45")
    assert slider.input_value() == "45"
    page.keyboard.press("Tab")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    assert page.locator("#in0").input_value() == slider.input_value() == "48"
    assert slider.get_attribute("aria-valuetext") == "48"
    page.keyboard.press("Home")
    assert page.locator("#in0").input_value() == slider.input_value() == "21"
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Control+A")
    page.keyboard.press("Delete")
    assert slider.get_attribute("aria-valuetext") == "–"


def test_no_probability_without_values_of_the_training_range(page):
    """Neither figure nor curve nor mark; the field is marked, and the message says why."""
    _type(page, PATIENTS[0])
    age = "Age (years) (21 to 80)."
    cases = [
        *(("age", typed, age) for typed in ("20.9", "abc", "1,234")),
        ("age", "", "Age (years)."),
        ("size", "121", "Size (3 to 120)."),
        ("lognodes", "-1", "Lognodes (0.693147 to 3.95124)."),
    ]
    for column, typed, named in cases:
        index = COLUMNS.index(column)
        field = page.locator(f"#in{index}")
        assert field.get_attribute("aria-invalid") == "false"
        _tab_to(page, f"in{index}")
        page.keyboard.press("Control+A")
        page.keyboard.press("Delete")
        page.keyboard.type(typed)
        outside = "Outside the range of the training patients, so no probability is given"
        assert _said(page, "message") == f"{outside if typed else 'Still to be entered'}: {named}"
        assert field.get_attribute("aria-invalid") == ("true" if typed else "false")
        assert [_said(page, name) for name in ("out0", "out1", "group", "median")] == ["–"] * 4
        assert "%" not in page.locator(".result dl").first.inner_text()
        assert page.locator("#curve").get_attribute("d") == page.locator("#band").get_attribute("d") == ""
        for mark in (f"mark{index}", "dot0", "dot1", "total"):
            assert page.locator(f"#{mark}").get_attribute("visibility") == "hidden"
        _type(page, PATIENTS[0])
        assert "%" in _said(page, "out0")


def test_a_decimal_comma_is_a_decimal_point(page):
    """Where it were dropped, 4,5 would silently be read as 45."""
    _type(page, PATIENTS[3])
    shown = _said(page, "out0"), _said(page, "ci1"), _said(page, "message")
    _type(page, ("60,5", "12", "3", "2,25"))
    assert (_said(page, "out0"), _said(page, "ci1"), _said(page, "message")) == shown
    assert page.locator("#in0").input_value() == "60,5"
    assert page.locator("#slide3").get_attribute("aria-valuetext") == "2.25"


def test_clear_empties_everything(page):
    _type(page, PATIENTS[0])
    _tab_to(page, "slide3")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#message")).to_have_text("Still to be entered: Age (years), Size, Grade, Lognodes.")
    assert [page.locator(f"#in{k}").input_value() for k in range(4)] == [""] * 4
    assert [page.locator(f"#slide{k}").get_attribute("aria-valuetext") for k in (0, 1, 3)] == ["–"] * 3
    assert _said(page, "out0") == _said(page, "median") == "–"
    assert page.locator("#mark0").get_attribute("visibility") == "hidden"


def test_results_are_announced_once_typing_pauses(page, nomogram):
    status = page.get_by_role("status")
    assert status.get_attribute("id") == "status"
    _type(page, PATIENTS[0])
    expect(status).to_contain_text("Total points")
    told = status.inner_text()
    total = nomogram.predict(_table(PATIENTS[0]))["total_points"].item()
    assert told.startswith(
        f"Total points {total:.1f}. 3-year recurrence-free survival {_said(page, 'out0')} (95% CI "
    )
    for words in (
        "5-year recurrence-free survival",
        "Risk group intermediate",
        "Median recurrence-free survival",
    ):
        assert words in told
    _tab_to(page, "in0")
    page.keyboard.press("Control+A")
    page.keyboard.type("99")
    expect(status).to_contain_text("Outside the range of the training patients")
    assert "%" not in status.inner_text()


def test_the_page_changes_its_language(page):
    _type(page, PATIENTS[0])
    numbers = _said(page, "out0"), _said(page, "out1")
    assert "总分" not in page.locator("main").inner_text()
    _tab_to(page, "language")
    page.keyboard.press("Enter")
    assert page.locator("html").get_attribute("lang") == "zh-CN"
    assert page.title() == "列线图：无复发生存"
    assert (_said(page, "out0"), _said(page, "out1")) == numbers
    assert re.fullmatch(r"95% 置信区间 \d+\.\d%～\d+\.\d%", _said(page, "ci0"))
    text = page.locator("main").inner_text()
    for words in ("仅供科学研究使用", "总分", "年龄（岁）", "清空", "风险分组", "中危", "线性预测值"):
        assert words in text
    drawn = page.locator("#drawing svg text:visible").all_text_contents()
    assert "总分" in drawn
    for words in ("Research use only", "Total points", "survival", "months"):
        assert words not in text
        assert not [line for line in drawn if words in line]
    expect(page.get_by_role("status")).to_contain_text("总分")
    page.keyboard.press("Enter")
    assert page.locator("html").get_attribute("lang") == "en"
    assert _said(page, "language") == "中文"
    assert (_said(page, "out0"), _said(page, "out1")) == numbers


def test_the_page_works_inside_a_notebook(browser, nomogram, cox):
    """As a notebook shows it: a frame whose source stands in an attribute."""
    notebook = browser.new_page()
    try:
        notebook.set_content(nomogram._repr_html_())
        frame = notebook.frame_locator("iframe")
        for index, value in enumerate(PATIENTS[0]):
            field = frame.locator(f"#in{index}")
            field.select_option(value) if index == 2 else field.fill(value)
        survival = cox.predict_survival(_table(PATIENTS[0]), HORIZONS)[0]
        assert frame.locator("#out1").inner_text() == f"{_percent(survival[1])}%"
    finally:
        notebook.close()
