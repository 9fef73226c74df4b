"""The offline page: its numbers equal Python's, it calls nobody, it holds no patient."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import subprocess
from importlib import resources

import numpy as np
import pandas as pd
import pytest

from radiomics_npc.nomogram.nomogram import Nomogram
from radiomics_npc.nomogram.page import model_card, nomogram_page
from radiomics_npc.nomogram.terms import known_levels

node = pytest.mark.skipif(
    shutil.which("node") is None, reason="node is not installed: the page's script is not run"
)


def _run_node(card: dict, patients: list[dict]) -> list[dict]:
    """Results of the page's own predict(card, values)."""
    script = resources.files("radiomics_npc.nomogram").joinpath("templates", "predict.js").read_text()
    script += """
    const {card, patients} = JSON.parse(require("fs").readFileSync(0, "utf8"));
    console.log(JSON.stringify(patients.map((p) => predict(card, p))));
    """
    given = json.dumps({"card": card, "patients": patients})
    done = subprocess.run(["node", "-e", script], input=given, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def _random_patients(nomogram: Nomogram, n: int, rng: np.random.Generator) -> pd.DataFrame:
    columns = {}
    for term in nomogram.terms:
        if term.kind == "factor":
            columns[term.name] = rng.choice(list(known_levels(term)), n)
        else:
            columns[term.name] = rng.uniform(*term.range, n)
    return pd.DataFrame(columns)


@node
def test_node_equals_python(npc, model, curved, nomogram_of_r):
    """200 random patients of four models, one with a spline, to 1e-9."""
    rng = np.random.default_rng(7)
    drawn = [Nomogram.from_model(m, [12, 36, 60]) for m in (model, curved)]
    for nomogram in (npc, *drawn, nomogram_of_r):
        patients = _random_patients(nomogram, 200, rng)
        expected = nomogram.predict(patients)
        got = _run_node(model_card(nomogram), patients.to_dict("records"))
        assert all(result["message"] is None for result in got)
        np.testing.assert_allclose(
            [r["totalPoints"] for r in got], expected["total_points"], rtol=0, atol=1e-9
        )
        np.testing.assert_allclose(
            [r["linearPredictor"] for r in got], expected["linear_predictor"], atol=1e-9
        )
        np.testing.assert_allclose([r["survival"] for r in got], expected.iloc[:, 2:], rtol=0, atol=1e-9)


@node
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"age": 90}, "Outside .*Age \\(years\\) \\(18 to 79\\)"),
        ({"age": 17.99}, "Outside .*Age"),
        ({"T": "T0"}, "Outside .*T category \\(T1, T2, T3, T4\\)"),
        ({"age": ""}, "Still to be entered: Age \\(years\\)"),
        ({"N": None}, "Still to be entered: N category"),
        ({"age": "abc"}, "Outside .*Age"),
    ],
)
def test_no_probability_without_sound_values(npc, change, words):
    patient = {"T": "T1", "N": "N2", "ebv_dna": "positive", "age": 50, "rad_score": 0.2}
    sound, faulty = _run_node(model_card(npc), [patient, patient | change])
    assert sound["message"] is None
    assert re.search(words, faulty["message"])
    assert "survival" not in faulty


def test_page_is_small_offline_and_complete(npc):
    page = nomogram_page(npc)
    assert len(page.encode()) < 60_000
    assert not re.search(r"""(?:src|href|action)\s*=\s*["']?\s*(?:https?:)?//""", page, re.I)
    assert not re.search(r"@import|url\(", page)
    ids = re.findall(r'\sid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    for name in re.findall(r'(?:for|aria-describedby|aria-labelledby)="([^"]+)"', page):
        assert name in ids
    for words in ("Research use only", "Simulated patients", "Rad-score", "<noscript>"):
        assert words in page
    body = re.sub(r"<script.*?</script>", "", page, flags=re.S)
    assert body.count("<table>") == len(npc.terms) + 1  # readable with scripts off


def test_policy_allows_only_the_script_of_the_page(npc):
    page = nomogram_page(npc)
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page).group(1)
    assert "default-src 'none'" in policy
    assert "http" not in policy
    scripts = re.findall(r"<script>(.*?)</script>", page, re.S)
    assert len(scripts) == 1
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy


def test_real_patients_get_no_simulated_banner(model):
    assert "simulated" not in nomogram_page(Nomogram.from_model(model)).lower().replace(
        '"simulated": false', ""
    )


def test_names_are_escaped_and_cannot_end_the_script(factor):
    nasty = factor("<img src=x>", {"</script><b>": 0.0, "b": 1.0})
    page = nomogram_page(Nomogram((nasty,), (60.0,), (0.1,)))
    assert "<img" not in page
    assert "</script><b>" not in page
    card = json.loads(re.search(r'id="card">(.*?)</script>', page, re.S).group(1))
    assert card["variables"][0]["levels"][0][0] == "</script><b>"
