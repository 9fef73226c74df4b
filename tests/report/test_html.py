"""The report: everything there, everything escaped, nothing from outside, nobody's folder."""

from __future__ import annotations

import itertools
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
    "flow", "complete_cases", "table_one", "findings", "protocols", "montage", "features", "stability",
    "sample_size", "models", "accuracy", "kaplan_meier", "calibration", "decision_curves", "reclassification",
    "optimism", "permutation_test", "learning_curve", "hazard_ratios", "proportional_hazards", "rad_score",
    "selection", "shap", "nomogram", "subgroups", "centers", "contour_uncertainty", "endpoints",
    "limitations", "methods", "settings", "versions",
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
    pictures = ("#", "data:image/png;base64,", "data:image/svg+xml;base64,")
    beside = {"nomogram.html", "quality.html"}
    assert all(link.startswith(pictures) or link in beside for link in links)
    assert beside < set(links)
    assert not re.search(r"@import|url\((?!#)", page)
    assert "<script" not in page
    assert "default-src 'none'" in page


def test_the_page_is_built_for_those_who_listen_and_for_keyboards(page):
    """Landmarks, headings in order, named regions, heads of rows and columns, words for pictures."""
    assert page.count("<main") == page.count("<header") == page.count("<footer") == page.count("<h1") == 1
    levels = [int(level) for level in re.findall(r"<h([1-6])[ >]", page)]
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    regions = re.findall(r'<(?:div|pre)[^>]*tabindex="0" role="region" aria-label="([^"]+)"', page)
    assert page.count('tabindex="0"') == len(regions) == len(set(regions))
    assert len(re.findall(r'<div class="scroll"', page)) == page.count("<table")
    for head in re.findall(r"<th\b[^>]*>", page):
        assert 'scope="col"' in head or 'scope="row"' in head
    assert not re.search(r"<th\b[^>]*>\s*</th>", page)
    for picture in re.findall(r"<img[^>]*>", page):
        assert re.search(r'alt="[^"]+"', picture)
    for drawing in re.findall(r"<svg[^>]*>", page):
        assert re.search(r'role="img" aria-label="[^"]+"', drawing)
    assert '<html lang="en">' in page


def test_contrast_of_every_text_color_is_enough(page):
    """WCAG AA, 4.5 to 1, in both schemes; see WCAG 2.1 for the formula."""
    schemes = re.findall(r":root \{ (?:color-scheme: light dark; )?(--ink[^}]*)\}", page)
    assert len(schemes) >= 2
    for scheme in schemes[:2]:
        color = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]+);", scheme))
        for ink, paper in (("ink", "back"), ("soft", "back"), ("soft", "panel"), ("accent", "back"),
                           ("warn", "warn-back"), ("ink", "panel")):  # fmt: skip
            light, dark = sorted((_luminance(color[ink]), _luminance(color[paper])), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5, (ink, paper)


def _luminance(color: str) -> float:
    digits = color[1:] if len(color) == 7 else "".join(2 * d for d in color[1:])
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_table_one_has_no_row_for_what_makes_its_columns():
    table = pd.DataFrame({
        "variable": ["patients", "age", "follow_up_months", "event", "event"],
        "level": ["", "", "", "no", "yes"],
        "all": ["3", "50", "20", "2", "1"], "event: no": "1", "event: yes": "2",
        "smd": [np.nan, 0.2, 1.85, np.nan, np.nan], "missing": [0, 0, 1, 0, None],
    })  # fmt: skip
    shown = baseline_table(table)
    assert shown["Variable"].tolist() == ["Patients", "Age (years)", "Follow-up (months)"]
    assert shown["SMD"].tolist() == ["", "0.20", ""]


def test_the_grid_of_the_features_is_that_of_their_settings(content, page):
    assert "resampled to 1 × 1 × 1 mm" in page
    own = {"t1": {"setting": {}}, "t2": {"setting": {"resampledPixelSpacing": [0.5, 0.5, 0]}}}
    content["features"] |= {"settings": own}
    assert "as acquired and 0.5 mm in plane, slices as they are" in report_html(content)


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
    assert "T category: T0 read as T0–T1, too few" in page
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
