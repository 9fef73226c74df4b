"""The methods section says what ran, and no more."""

from __future__ import annotations

import re

import pytest

from radiomics_npc.report.limitations import limitations
from radiomics_npc.report.methods import methods_text
from radiomics_npc.report.sections import markdown_html


def test_every_citation_has_a_reference_and_the_other_way_round(content):
    text = methods_text(content)
    body, references = text.split("## References")
    cited = {int(n) for group in re.findall(r"\[([\d,]+)\]", body) for n in group.split(",")}
    listed = [int(n) for n in re.findall(r"^(\d+)\. ", references, re.M)]
    assert listed == list(range(1, len(listed) + 1))
    assert cited == set(listed)
    first = [int(n) for group in re.findall(r"\[([\d,]+)\]", body) for n in group.split(",")]
    assert list(dict.fromkeys(first)) == listed  # numbered in the order they are cited


def test_it_says_what_ran(content):
    text = methods_text(content)
    for words in (
        "All patients of this study are simulated", "no T2 image (10)", "1234 features", "cubes of 1 mm",
        "3 repeats of 5-fold", "fewer than 10 patients", "clinical Cox model", "XGBoost", "36 and 60 months",
        "numpy", "seed was 20240101", "recurrence-free survival",
    ):  # fmt: skip
        assert words in text, words


def test_it_says_nothing_that_did_not_run(content):
    content["models"]["scores"] = content["models"]["scores"].query("model == 'clinical_cox'")
    for part in ("features", "nomogram", "rad_score", "kaplan_meier", "calibration"):
        content[part] = None
    content["simulated"] = False
    text = methods_text(content)
    for words in ("PyRadiomics [", "XGBoost", "Rad-score", "nomogram", "simulated", "Kaplan-Meier", "oracle"):
        assert words not in text, words


def test_dates_become_an_endpoint(content):
    content["settings"]["cohort"]["outcome"] = {
        "name": "progression-free survival", "start": "RT Start",
        "progression": ["Date Local", "Date of Death"],
        "last_seen": "Last FU", "censor_at_months": 60.0, "time_zero": "exclude",
    }  # fmt: skip
    text = methods_text(content)
    assert "counted from RT Start to the first of Date Local and Date of Death" in text
    assert "and censored at Last FU" in text
    assert "follow-up of 0 months were left out" in text


def test_limitations_are_those_of_this_study(content):
    told = " ".join(limitations(content))
    assert "simulated" in told
    assert "internal" in told
    assert "interpolates" in told
    content["simulated"], content["features"] = False, None
    content["flow"]["events"] = 40
    told = " ".join(limitations(content))
    assert "simulated" not in told
    assert "40 events are few" in told
    assert "scanner" not in told


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a <b>\nc", "<p>a &lt;b&gt; c</p>"),
        ("# T\n\n- x\n- `y`", "<h3>T</h3><ul><li>x</li><li><code>y</code></li></ul>"),
        ("**s** 1. no list", "<p><strong>s</strong> 1. no list</p>"),
    ],
)
def test_markdown(text, expected):
    assert markdown_html(text) == expected
