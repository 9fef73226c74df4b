"""The report: everything there, everything escaped, nothing from outside, nobody's folder."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from radiomics_npc.report.html import plain, report_html, write_report
from radiomics_npc.report.tables import (
    baseline_table,
    difference_table,
    html_table,
    number,
    ratio_table,
    score_table,
)

SECTIONS = [
    "flow", "complete_cases", "table_one", "findings", "montage", "features", "stability", "sample_size",
    "models", "accuracy", "kaplan_meier", "calibration", "decision_curves", "reclassification", "optimism",
    "permutation_test", "learning_curve", "centers", "hazard_ratios", "proportional_hazards", "rad_score",
    "selection", "shap", "contour_uncertainty", "endpoints", "nomogram", "limitations", "methods", "settings",
    "versions",
]  # fmt: skip


class _Balance(HTMLParser):
    """Every element that is opened is closed, in order."""

    VOID = frozenset({"meta", "img", "br", "input", "link", "hr"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag, attrs):
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_every_section_is_there_and_in_the_contents(page):
    for name in SECTIONS:
        assert f'<h2 id="{name}">' in page
        assert f'<a href="#{name}">' in page
    assert re.findall(r'<h2 id="([^"]+)">', page) == SECTIONS


def test_absent_content_is_skipped(content):
    bare = report_html({"title": "Bare", "flow": {"read": 3, "analyzed": 3}})
    assert re.findall(r'<h2 id="([^"]+)">', bare) == ["flow", "methods"]
    content |= {"features": None, "rad_score": None, "montage": None}
    assert not {"features", "rad_score", "montage"} & set(
        re.findall(r'<h2 id="([^"]+)">', report_html(content))
    )


def test_html_is_balanced_with_unique_identifiers(page):
    parser = _Balance()
    parser.feed(page)
    assert parser.open == []
    ids = re.findall(r'\sid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    for target in re.findall(r'(?:href="|url\()#([^")]+)', page):
        assert target in ids


def test_nothing_comes_from_outside(page):
    links = re.findall(r"""(?:src|href|action|data)\s*=\s*["']([^"']*)""", page)
    assert links
    assert all(link.startswith(("#", "data:image/png;base64,")) or link == "nomogram.html" for link in links)
    assert not re.search(r"@import|url\((?!#)", page)
    assert "<script" not in page
    assert "default-src 'none'" in page


def test_everything_is_escaped(page):
    assert "&lt;script&gt;alert" in page
    assert "alert('x')</" not in page


def test_simulated_patients_are_announced(content, page):
    assert "SIMULATED PATIENTS" in page
    assert "Oracle (true risk)" in page
    content |= {"simulated": False}
    content["models"].pop("oracle")
    real = report_html(content)
    assert "SIMULATED" not in real
    assert "Oracle" not in real


def test_numbers_of_the_models_are_shown(page):
    for words in (
        "0.710 (0.650 to 0.760)",
        "0.070 (0.010 to 0.130)",
        "0.810",
        "Research use only",
        "One fold failed.",
    ):
        assert words in page
    assert "T: T0 read as T0+T1" in page
    assert "−0.00123" in page


def test_no_absolute_path_and_no_time_of_day(content, tmp_path):
    write_report(content, tmp_path / "report.html")
    for name in ("report.html", "report.json"):
        text = re.sub(r"base64,[^\"]+", "", (tmp_path / name).read_text(encoding="utf-8"))
        assert str(tmp_path) not in text
        assert not re.search(r"[\"'\s>](?:/(?:home|work|tmp|usr|Users)/|[A-Z]:\\)", text)


def test_written_twice_the_same(content, tmp_path):
    first = write_report(content, tmp_path / "a" / "report.html").read_bytes()
    assert write_report(content, tmp_path / "b" / "report.html").read_bytes() == first
    assert len(first) < 3_000_000


def test_json_holds_the_tables(content, tmp_path):
    write_report(content, tmp_path / "report.html")
    told = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert told["models"]["scores"]["columns"][:3] == ["model", "metric", "estimate"]
    assert told["models"]["scores"]["rows"][0][2] == 0.64
    assert "figure" not in told["nomogram"]
    assert "montage" not in told
    assert told["table_one"]["rows"][0][-1] == 0


def test_plain_values():
    assert plain({"a": np.float64(1.5), "b": np.nan, "c": (np.int64(2), True), "d": pd.NA}) == {
        "a": 1.5, "b": None, "c": [2, True], "d": None,
    }  # fmt: skip


def test_tables_say_what_they_hold(content, model):
    scores = score_table(content["models"]["scores"], content["models"]["oracle"])
    assert scores.iloc[-1, 0] == "Oracle (true risk)"
    assert scores.loc[1, "Harrell's C (95% CI)"] == "0.710 (0.650 to 0.760)"
    assert difference_table(content["models"]["differences"]).iloc[0].tolist() == [
        "Combined, Cox", "Clinical, Cox", "Harrell's C", "0.070 (0.010 to 0.130)", "0.020",
    ]  # fmt: skip
    ratios = ratio_table(model.summary())
    assert ratios.loc[ratios["Level"] == "1", "Hazard ratio (95% CI)"].item() == "1 (reference)"
    shown = baseline_table(content["table_one"])
    assert list(shown.columns[2:5]) == ["All", "No event", "Event"]
    assert shown["SMD"].tolist() == ["", "0.12", "0.40", ""]
    read_again = content["table_one"].astype({"missing": float})  # as a table with gaps comes from a file
    assert baseline_table(read_again)["Missing"].tolist() == ["0", "0", "3", ""]


def test_long_tables_say_how_much_is_left_out():
    table = html_table(pd.DataFrame({"Patient": [f"{i:03d}" for i in range(12)]}), most=10)
    assert table.count("<tr>") == 11
    assert "2 more rows" in table
    assert 'class="n"' not in table  # identifiers are no numbers


@pytest.mark.parametrize(
    ("value", "text"), [(1.0, "1.000"), (3, "3"), (None, "–"), (-0.5, "−0.500"), (True, "True")]
)
def test_numbers(value, text):
    assert number(value) == text
