"""The methods section says what ran, and no more."""

from __future__ import annotations

import re

import pytest

from radiomics_npc.report.limitations import limitations
from radiomics_npc.report.methods import methods_text
from radiomics_npc.report.pieces import markdown_html

RESULTS = (
    "accuracy", "decision_curves", "reclassification", "optimism", "permutation_test", "learning_curve",
    "centers", "endpoints", "proportional_hazards", "effects_over_time", "shap", "sample_size", "selection",
)  # fmt: skip


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


def test_every_table_of_the_fit_has_its_sentence(content):
    text = methods_text(content)
    for words in (
        "inverse probability of censoring", "Austin", "net benefit at 60 months", "NRI and the IDI",
        "200 bootstrap samples", ".632+", "100 permutations", "learning curve", "pooled by random effects",
        "Schoenfeld", "Aalen and Johansen",
        "Riley", "SHAP", "ICC(1,1)", "30 patients", "Holm", "restricted mean",
    ):  # fmt: skip
        assert words in text, words


def test_settings_become_sentences(content):
    content["settings"]["models"] |= {
        "imputation": "iterative", "splines": {"age": 4}, "risk_groups": "maxstat",
        "harmonize": {"by": "center", "protect": ["T"]},
        "boosting": {"objective": "aft", "tune": "grid", "monotone": {"T": 1, "ebv_dna": -1}},
    }  # fmt: skip
    content["models"]["design"] |= {
        "kind": "leave_center_out", "folds": 3, "repeats": 1, "fold_names": ["North", "South", "West"],
    }  # fmt: skip
    text = methods_text(content)
    for words in (
        "chained equations", "age (4 knots)", "largest log-rank statistic", "ComBat", "protecting T category",
        "accelerated failure time", "depth, leaf weight", "rise with T category and fall with EBV-DNA",
        "each of 3 centers (North, South and West)", "within centers only",
    ):  # fmt: skip
        assert words in text, words
    assert "between repeats" not in text
    assert "mean over repeats" not in text
    test_every_citation_has_a_reference_and_the_other_way_round(content)
    content["models"]["design"] |= {"kind": "temporal_split", "folds": 1, "fold_names": ["from 2019"]}
    content["settings"]["models"]["imputation"] = "complete_case"
    text = methods_text(content)
    assert "who came later (from 2019)" in text
    assert "Only patients with all clinical values" in text


def test_it_says_nothing_that_did_not_run(content):
    content["models"]["scores"] = content["models"]["scores"].query("model == 'clinical_cox'")
    for part in ("features", "nomogram", "rad_score", "kaplan_meier", "calibration", "stability", *RESULTS):
        content[part] = None
    content["simulated"] = False
    text = methods_text(content).split("## References")[0]
    for words in (
        "PyRadiomics [", "XGBoost", "Rad-score", "nomogram", "simulated", "Kaplan-Meier", "oracle", "Brier",
        "ICI", "Decision", "NRI", "Schoenfeld", "bootstrap", "ermutation",
        "learning curve", "centers", "SHAP",
        "Riley", "Aalen", "ComBat", "splines", "forest", "intraclass",
    ):  # fmt: skip
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
    content["settings"]["cohort"]["outcome"]["confirmed_by"] = {
        "Date Local": {"column": "Local", "coding": {"Yes": 1, "Possible": 1, "No": 0}},
        "Date of Death": {"column": "Status", "coding": "0/1"},
    }  # fmt: skip
    words = "Date Local and Date of Death counted only where the column beside the date said that there was"
    assert f"{words} an event (Local: Yes or Possible)." in methods_text(content)


def test_causes_compete_where_the_study_names_them(content):
    incidence = next(iter(content["endpoints"].values()))
    content["endpoints"] = {"OS": incidence, "LRFS": incidence, "DMFS": incidence}
    content["settings"]["cohort"]["outcome"]["endpoints"] = {
        "OS": {"events": ["Death"], "competing": []}, "LRFS": {"competing": ["Death"]},
        "DMFS": {"competing": ["Death"]},
    }  # fmt: skip
    assert ", in which other causes compete with LRFS and DMFS." in methods_text(content)
    content["endpoints"] = {"OS": incidence}
    assert "compete" not in methods_text(content)


def test_software_is_what_had_a_part(content):
    """Libraries that read images are installed with all others; a clinical study does not use them."""
    assert "pyradiomics-bhklab" in methods_text(content)
    content["features"], content["settings"] = None, content["settings"] | {"features": None}
    content["models"]["scores"] = content["models"]["scores"].query("model == 'clinical_cox'")
    text = methods_text(content).split("## Software")[1].split("##")[0]
    for name in ("SimpleITK", "pyradiomics", "pydicom", "torch", "xgboost"):
        assert name not in text, name
    assert "lifelines" in text


def test_trees_alone_say_which_screens(content):
    content["models"]["scores"] = content["models"]["scores"].assign(model="radiomics_boosted")
    text = methods_text(content)
    assert "Rad-score" not in text
    assert "univariate score test" in text


def test_limitations_are_those_of_this_study(content):
    told = " ".join(limitations(content))
    assert "simulated" in told
    assert "internal" in told
    assert "interpolates" in told
    assert "sample size" in told
    assert "not against a second contour" in told
    content["models"]["design"]["kind"] = "leave_center_out"
    content["settings"]["models"]["harmonize"] = {"by": "center"}
    told = " ".join(limitations(content))
    assert "internal-external" in told
    assert "no harmonization" not in told
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
        ("# T\n\n- x\n- `y`", "<h2>T</h2><ul><li>x</li><li><code>y</code></li></ul>"),
        ("**s** 1. no list", "<p><strong>s</strong> 1. no list</p>"),
    ],
)
def test_markdown(text, expected):
    assert markdown_html(text) == expected
