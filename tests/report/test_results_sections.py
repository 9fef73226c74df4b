"""Sections on the results of a fit: data in, words out; absent, escaped, simulated."""

from __future__ import annotations

import html
import re

import numpy as np
import pandas as pd
import pytest

from radiomics_npc.report.drawing import draw_figures
from radiomics_npc.report.limitations import limitations
from radiomics_npc.report.paper_tables import paper_tables
from radiomics_npc.report.performance_tables import (
    accuracy_table,
    calibration_table,
    center_table,
    distance_table,
    endpoint_table,
    reclassification_table,
    stability_counts,
)
from radiomics_npc.report.plain import plain
from radiomics_npc.report.sections import sections_of

RESULTS = [
    "complete_cases", "stability", "sample_size", "accuracy", "kaplan_meier", "calibration",
    "decision_curves", "reclassification", "optimism", "permutation_test", "learning_curve", "centers",
    "hazard_ratios", "proportional_hazards", "rad_score", "selection", "shap", "contour_uncertainty",
    "endpoints", "models", "subgroups",
]  # fmt: skip


@pytest.fixture(scope="module")
def sections(whole_content) -> dict[str, str]:
    return {key: body for key, _, body in sections_of(whole_content)}


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ("complete_cases", ("EBV-DNA", "2.0%", "any column")),
        ("stability", ("30 patients", "Excellent", "No ICC", "below 0.75")),
        ("sample_size", ("1240", "0.23", "285 events are few")),
        ("accuracy", ("0.700 (0.650 to 0.750)", "−7.3%", "Combined, random survival forest")),
        ("kaplan_meier", ("52.0 (50.0 to 54.0)", "−10.5 (−13.0 to −8.0)", "low and high", "&lt; 0.001")),
        ("calibration", ("1.02 (0.90 to 1.10)", "0.87 (0.60 to 1.10)", "0.021 (0.010 to 0.050)")),
        ("decision_curves", ("treating all", "60 months")),
        ("reclassification", ("0.123 (0.073 to 0.173)", "miscalibrated", "<summary>Parts of both")),
        ("optimism", ("200 bootstrap samples", "0.700 (0.650 to 0.750)", "Corrected slope 0.83", ".632+")),
        (
            "contour_uncertainty",
            ("30 patients", "8 ways", "4.2 percentage", "largest 21.6", "20% of the patients"),
        ),
        ("permutation_test", ("C 0.710", "0.501", "100 permutations", "p = 0.010")),
        ("learning_curve", ("more patients would help",)),
        ("centers", ("North", "0.660 (0.610 to 0.710) †", "31.4%")),
        ("proportional_hazards", ("Age (years)", "4.20", "0.040", "All together")),
        ("selection", ("T1 original GLCM Contrast", "100%", "3 features were chosen")),
        ("shap", ("75.0%", "data:image/png;base64,")),
        ("subgroups", ("0.67 (0.60 to 0.74)", "up to 53", "fewer than 10 events", "74.1% (68.7 to 78.6%)")),
        ("endpoints", ("13.9% (10.1 to 18.3%)", "Competing events", "36 months")),
        ("models", ("What could not be said: 1", "Clinical, boosted trees&quot; at 60 months")),
    ],
)
def test_each_section_shows_its_numbers(sections, section, words):
    for word in words:
        assert word in sections[section], word


def test_what_is_not_known_is_a_dash_and_no_raw_names_are_shown(sections):
    for name in RESULTS:
        text = re.sub(
            r"<svg.*?</svg>|base64,[^\"]+|<summary>Failed.*?</details>", "", sections[name], flags=re.S
        )
        text = re.sub(r"<[^>]*>", " ", text)
        assert not re.search(r"\bnan\b|\bNaN\b|\bNone\b|\binf\b", text), name
        assert not re.search(r"[a-z]_[a-z]", text), (name, re.search(r"\w*[a-z]_[a-z]\w*", text))


def test_each_result_of_simulated_patients_says_so(content, sections):
    for name in RESULTS:
        assert sections[name].startswith('<p class="said">Simulated patients</p>'), name
    content |= {"simulated": False, "montage": None, "nomogram": None}
    real = "".join(body for _, _, body in sections_of(content))
    assert "Simulated patients" not in real


def test_absent_results_have_no_section(content):
    """Not one of them, nor what is drawn from it."""
    content |= dict.fromkeys([*RESULTS, "nomogram", "montage", "effects_over_time", "protocols"])
    assert [key for key, _, _ in sections_of(content)] == [
        "flow", "table_one", "findings", "features", "settings", "versions"
    ]  # fmt: skip
    assert list(draw_figures(content)) == ["flow"]


def test_parts_that_an_unfinished_run_lacks_are_left_out(content):
    content["optimism"]["plus"] = content["centers"]["pooled"] = None
    content["calibration"] |= {"groups": None, "curves": None}
    content["kaplan_meier"] |= {"pairs": None, "restricted_mean": None}
    content["effects_over_time"] = None
    content["learning_curve"] = content["learning_curve"].head(2)
    content["shap"]["combined_boosted"]["figure"] = None
    page = "".join(body for _, _, body in sections_of(content))
    for words in (
        ".632+ estimates</summary>",
        "Pooled over centers",
        "Log-rank tests in pairs",
        "SHAP values of",
    ):
        assert words not in page, words
    assert "Corrected slope 0.83" in page
    assert "Too few sizes could be fitted" in page


def test_names_from_the_tables_are_escaped(sections):
    for name in ("centers", "endpoints", "sample_size", "models"):
        assert "&lt;script&gt;alert" in sections[name], name
        assert "<script" not in sections[name]


def test_the_shown_model_is_open_and_the_others_are_folded(sections):
    assert "Calibration of the model Clinical, Cox</summary>" in sections["calibration"]
    assert "Calibration of the model Combined, Cox" not in sections["calibration"]


def test_plain_content_has_the_tables_without_the_pictures(content):
    told = plain(content)
    assert told["calibration"]["table"]["rows"][0][:2] == ["observed_expected", 1.02]
    assert told["shap"]["combined_boosted"].keys() == {"table"}
    assert told["centers"]["pooled"]["rows"][0][-3] is None


def test_tables_of_one_horizon_or_one_metric(content):
    auc = content["accuracy"].query("metric == 'auc' and time_months == 60")
    assert list(accuracy_table(auc).columns) == ["Model", "Months", "AUC (95% CI)"]
    table = content["calibration"]["table"]
    assert list(calibration_table(table).columns) == ["Model", "Months", "O/E (95% CI)", "Slope (95% CI)"]
    assert len(distance_table(table)) == 4
    assert distance_table(table[table["metric"] == "calibration_slope"]).empty
    changed = content["reclassification"]
    assert reclassification_table(changed)["Measure"].tolist() == ["NRI", "IDI"]
    assert len(reclassification_table(changed, parts=True)) == 4


def test_endpoints_of_different_follow_up_share_a_table():
    one = pd.DataFrame({"time_months": [12.0], "incidence": [0.1], "lower": [0.05], "upper": [0.2],
                        "patients": 9, "events": 1, "competing": 0})  # fmt: skip
    two = pd.concat([one, one.assign(time_months=24.0)], ignore_index=True)
    shown = endpoint_table({"LRFS": one, "OS": two}).set_index(" ")
    assert shown.loc["24 months (95% CI)"].tolist() == ["–", "10.0% (5.0 to 20.0%)"]
    assert shown.loc["Patients"].tolist() == ["9", "9"]


def test_a_center_whose_fit_failed_is_a_dash_without_a_mark(content):
    sites = content["centers"]["table"].copy()
    sites.loc[0, ["estimate", "lower", "upper"]] = np.nan
    sites.loc[0, "pooled"] = False
    shown = center_table(sites)
    assert shown.loc[0, "Clinical, Cox (95% CI)"] == "–"
    assert shown["Patients"].tolist() == ["40"] * 3


def test_stable_features_are_counted(content):
    shown = stability_counts(content["stability"]["table"]).set_index("Sequence")
    assert shown.loc["All"].tolist() == ["2", "1", "0", "2", "1"]


def test_a_competing_endpoint_says_what_its_probabilities_mean():
    endpoints = {
        "LRFS": {"name": None, "competing": ["Date of Death"]},
        "OS": {"name": None, "competing": []},
    }
    for name, said in (("LRFS", True), ("OS", False), (None, False)):
        settings = {"models": {"endpoint": name}, "cohort": {"outcome": {"endpoints": endpoints}}}
        found = limitations({"settings": settings})
        assert any("compete with LRFS" in line for line in found) == said


def test_intervals_are_called_as_wide_as_the_study_asked_for(content):
    """Limits of C, of differences, of optimism and of the learning curve follow validation.confidence."""
    content["models"]["design"]["confidence"] = 0.9
    told = {key: html.unescape(body) for key, _, body in sections_of(content)}
    for key, words in (
        ("models", "Harrell's C"), ("models", "Uno's C at 60 months"), ("models", "Difference"),
        ("optimism", "Corrected"), ("optimism", ".632+"),
    ):  # fmt: skip
        assert f"{words} (90% CI)" in told[key], words
    assert not any("95%" in told[key] for key in ("models", "optimism", "learning_curve"))
    assert "with a 90% band" in told["learning_curve"]
    heads = {str(head) for part in paper_tables(content) for head in part.table.columns}
    assert {"Harrell's C (90% CI)", "Difference (90% CI)", "Corrected (90% CI)", "AUC (95% CI)"} <= heads
    assert "Difference (95% CI)" not in heads
