"""The page's own arithmetic, run by node: predict(card, values) says what Python says."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from importlib import resources

import numpy as np
import pandas as pd
import pytest

from radiomics_npc.nomogram.card import model_card
from radiomics_npc.nomogram.nomogram import Nomogram
from radiomics_npc.nomogram.terms import known_levels
from radiomics_npc.survival.models.cox import CoxModel
from radiomics_npc.survival.models.groups import RiskGroups

pytestmark = pytest.mark.skipif(
    shutil.which("node") is None, reason="node is not installed: the page's script is not run"
)

N = 1000
PATIENT = {"T": "T1", "N": "N2", "ebv_dna": "positive", "age": 50, "rad_score": 0.2}


def _run_node(card: dict, patients: list[dict], language: str = "en", curves: bool = False) -> list[dict]:
    """Results of the page's own predict(card, values)."""
    script = resources.files("radiomics_npc.nomogram").joinpath("templates", "predict.js").read_text()
    script += """
    const {card, patients, language, curves} = JSON.parse(require("fs").readFileSync(0, "utf8"));
    const told = patients.map((p) => predict(card, p, language));
    console.log(JSON.stringify(curves ? told : told.map((t) => ({...t, curve: undefined}))));
    """
    given = json.dumps({"card": card, "patients": patients, "language": language, "curves": curves})
    done = subprocess.run(["node", "-e", script], input=given, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def _random_patients(nomogram: Nomogram, n: int, rng: np.random.Generator) -> pd.DataFrame:
    columns = {}
    for term in nomogram.terms:
        if term.kind == "factor":
            columns[term.name] = rng.choice(list(known_levels(term)), n)
        elif term.kind != "interaction":
            columns[term.name] = rng.uniform(*term.range, n)
    return pd.DataFrame(columns).rename(index=str)


def _assert_equal(nomogram: Nomogram, n: int = N) -> list[dict]:
    patients = _random_patients(nomogram, n, np.random.default_rng(7))
    expected = nomogram.predict(patients)
    got = _run_node(model_card(nomogram), patients.to_dict("records"))
    assert all(result["message"] is None for result in got)
    np.testing.assert_allclose([r["totalPoints"] for r in got], expected["total_points"], rtol=0, atol=1e-9)
    np.testing.assert_allclose(
        [r["linearPredictor"] for r in got], expected["linear_predictor"], rtol=0, atol=1e-9
    )
    np.testing.assert_allclose([r["survival"] for r in got], expected.iloc[:, 2:], rtol=0, atol=1e-9)
    return got


OPTIONS = [
    {},
    {"splines": {"age": 4, "size": 3}},
    {"interactions": [("age", "grade"), ("hormon", "grade")]},
    {"splines": {"lognodes": 3}, "interactions": [("lognodes", "hormon"), ("age", "size")]},
    {"penalizer": 0.05, "splines": {"lognodes": 3}},
]


@pytest.mark.parametrize("options", OPTIONS)
def test_node_equals_python_and_the_model(gbsg, options):
    """1,000 random patients: points, survival and its interval within 1e-9."""
    cox = CoxModel(min_category=1, **options).fit(*gbsg)
    nomogram = Nomogram.from_model(cox, [12, 36, 60])
    got = _assert_equal(nomogram)
    patients = _random_patients(nomogram, N, np.random.default_rng(7))
    np.testing.assert_allclose(
        [r["survival"] for r in got], cox.predict_survival(patients, [12, 36, 60]), rtol=0, atol=1e-9
    )
    found = np.array([r["interval"] for r in got])
    for k, months in enumerate((12, 36, 60)):
        np.testing.assert_allclose(found[:, k], cox.predict_interval(patients, months), rtol=0, atol=1e-9)


def test_node_equals_python_for_coefficients_alone(npc, nomogram_of_r):
    """Merged levels, and R's own centered coefficients; without a covariance there is no interval."""
    for nomogram in (npc, nomogram_of_r):
        got = _assert_equal(nomogram)
        assert all(result["interval"] is None for result in got)


@pytest.mark.parametrize("how", ["median", "tertiles"])
def test_risk_groups_are_those_of_the_model(model, gbsg, how):
    groups = RiskGroups(how).fit(model.predict_risk(gbsg[0]))

    class Grouped:
        cox_, groups_ = model, groups

    nomogram = Nomogram.from_model(Grouped())
    patients = _random_patients(nomogram, N, np.random.default_rng(1))
    got = _run_node(model_card(nomogram), patients.to_dict("records"))
    assert [r["group"] for r in got] == list(groups.predict(model.predict_risk(patients)))
    assert {r["group"] for r in got} == set(groups.predict([]).categories)


@pytest.mark.parametrize("steps", [120, 40])
def test_curve_is_that_of_the_model(curved, steps):
    """Within 1e-6 at every step that is drawn, its band within 1e-3; exact at the horizons."""
    nomogram = Nomogram.from_model(curved, [36, 60])
    card = model_card(nomogram, steps=steps)
    curve = card["curve"]
    assert len(curve["months"]) <= steps
    assert curve["thinned"]
    patients = _random_patients(nomogram, 20, np.random.default_rng(2))
    got = _run_node(card, patients.to_dict("records"), curves=True)
    times = np.array(curve["months"]) + 0.001  # months are rounded to 0.001
    survival = np.array([r["curve"]["survival"] for r in got])
    np.testing.assert_allclose(survival, curved.predict_survival(patients, times), rtol=0, atol=1e-6)
    band = np.array([r["curve"]["interval"] for r in got])
    for k in range(0, len(times), 7):
        np.testing.assert_allclose(band[:, k], curved.predict_interval(patients, times[k]), rtol=0, atol=1e-3)
    for k, months in enumerate((36, 60)):
        at = np.searchsorted(curve["months"], months, side="right") - 1
        np.testing.assert_allclose(survival[:, at], [r["survival"][k] for r in got], rtol=1e-14)


def test_median_is_that_of_the_whole_curve(model):
    """Exact where all steps are drawn, else at most one drawn step later; none where half survive."""
    nomogram = Nomogram.from_model(model)
    patients = _random_patients(nomogram, 200, np.random.default_rng(3))
    expected = nomogram.months_to(0.5, nomogram.predict(patients)["linear_predictor"])
    assert 20 < np.isnan(expected).sum() < 180
    for steps in (10_000, 120):
        card = model_card(nomogram, steps=steps)
        got = _run_node(card, patients.to_dict("records"), curves=True)
        found = np.array([np.nan if (m := r["curve"]["median"]) is None else m for r in got])
        np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
        known, drawn = ~np.isnan(expected), np.array(card["curve"]["months"])
        if steps == 120:
            first = drawn[np.searchsorted(drawn, np.round(expected[known], 3))]
            np.testing.assert_array_equal(found[known], first)
        else:
            np.testing.assert_allclose(found[known], expected[known], rtol=0, atol=5.1e-4)


@pytest.mark.parametrize(
    ("change", "english", "chinese"),
    [
        (
            {"age": 90},
            r"Outside .*Age \(years\) \(18 to 79\)",
            "超出训练范围.*年龄（岁）（训练范围：18 至 79）",
        ),
        ({"age": 17.99}, "Outside .*Age", "超出训练范围"),
        ({"rad_score": 5}, "Outside .*Rad-score \\(−1.234 to 2.113\\)", "影像组学评分"),
        ({"T": "T0"}, r"Outside .*T category \(T1, T2, T3, T4\)", "T 分期（训练范围：T1、T2、T3、T4）"),
        ({"ebv_dna": "maybe"}, r"EBV-DNA \(negative, positive\)", "EBV-DNA（训练范围：阴性、阳性）"),
        ({"age": ""}, r"Still to be entered: Age \(years\)\.", "尚待输入：年龄（岁）。"),
        ({"N": None, "age": None}, "N category, Age", "N 分期、年龄（岁）"),
        ({"age": "abc"}, "Outside .*Age", "超出训练范围"),
        ({"age": float("inf")}, "Age", "年龄"),
    ],
)
def test_no_probability_without_sound_values(npc, change, english, chinese):
    faulty = {k: (str(v) if v == float("inf") else v) for k, v in (PATIENT | change).items()}
    for language, words in (("en", english), ("zh", chinese)):
        sound, refused = _run_node(model_card(npc), [PATIENT, faulty], language)
        assert sound["message"] is None
        assert re.search(words, refused["message"])
        assert not {"survival", "interval", "curve", "group", "linearPredictor"} & set(refused)


def test_values_at_the_ends_of_the_training_range_count(npc):
    ends = [PATIENT | {"age": 18}, PATIENT | {"age": 79.0}, PATIENT | {"rad_score": -1.234}]
    assert [r["message"] for r in _run_node(model_card(npc), ends)] == [None] * 3
