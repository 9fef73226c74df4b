"""The offline page: complete in two languages, small, it calls nobody, and it holds no patient."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import ConfigError
from radiomics_npc.nomogram.card import model_card
from radiomics_npc.nomogram.nomogram import Nomogram
from radiomics_npc.nomogram.page import nomogram_page
from radiomics_npc.survival.models.cox import CoxModel
from radiomics_npc.survival.models.groups import RiskGroups

VOID = {"meta", "input", "path", "circle"}
# HTML closes cells, headings of rows and rows of a table body by itself.
CELLS = {"tr", "th", "td"}


class _Reader(HTMLParser):
    """Checks that tags are closed in order, and keeps tags, attributes and headings."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), tag
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID | CELLS:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert tag in CELLS or self.open.pop() == tag

    def values(self, *attributes: str) -> list[str]:
        return [str(a[name]) for _, a in self.tags for name in attributes if name in a]


@pytest.fixture(scope="module")
def grouped(model, gbsg) -> Nomogram:
    """Model A with risk groups, an axis of the median, and three horizons."""

    class Grouped:
        cox_, groups_ = model, RiskGroups("tertiles").fit(model.predict_risk(gbsg[0]))

    return Nomogram.from_model(Grouped(), [12, 36, 60], quantiles=[0.5])


@pytest.fixture(scope="module")
def crossed(gbsg) -> Nomogram:
    cox = CoxModel(min_category=1, interactions=[("age", "grade"), ("hormon", "grade")]).fit(*gbsg)
    return Nomogram.from_model(cox, [36, 60])


@pytest.fixture(params=["npc", "grouped", "crossed"])
def shown(request) -> Nomogram:
    return request.getfixturevalue(request.param)


def _card_of(page: str) -> dict:
    return json.loads(re.search(r'id="card">(.*?)</script>', page, re.S).group(1))


def test_page_is_small_offline_and_whole(shown):
    page = nomogram_page(shown)
    assert len(page.encode()) < 60_000
    read = _Reader(page)
    assert not read.values("src", "href", "action", "srcset", "data")
    assert "://" not in page
    assert not re.search(r"@import|url\(|fetch\(|XMLHttp|localStorage|cookie", page)
    assert not [name for _, a in read.tags for name in a if name.startswith("on")]
    ids = read.values("id")
    assert len(ids) == len(set(ids))
    for names in read.values("for", "aria-describedby", "aria-labelledby"):
        assert set(names.split()) <= set(ids)


def test_every_input_has_a_label_and_headings_are_in_order(shown):
    read = _Reader(nomogram_page(shown))
    labelled = set(read.values("for"))
    for tag, a in read.tags:
        if tag in ("input", "select"):
            assert a["id"] in labelled or a["aria-labelledby"], a
    levels = [int(tag[1]) for tag, _ in read.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))
    assert [a["role"] for _, a in read.tags if a.get("id") == "status"] == ["status"]
    assert len([a for tag, a in read.tags if tag == "svg" and a.get("role") == "img"]) >= 1


def test_numbers_have_sliders_within_the_training_range(grouped):
    read = _Reader(nomogram_page(grouped))
    sliders = {a["id"]: a for _, a in read.tags if a.get("type") == "range"}
    for i, term in enumerate(grouped.terms):
        if term.kind == "factor":
            assert f"slide{i}" not in sliders
            continue
        low, high, step = (float(sliders[f"slide{i}"][name]) for name in ("min", "max", "step"))
        assert term.range[0] <= low < high <= term.range[1]
        count = (high - low) / step
        assert count == pytest.approx(round(count), abs=1e-6)
        assert 1 <= count <= 200


def test_without_scripts_the_page_is_complete(shown):
    body = re.sub(r"<script.*?</script>", "", nomogram_page(shown), flags=re.S)
    for words in ("Research use only", "<noscript>", "About the numbers", "仅供科学研究使用", "列线图"):
        assert words in body
    assert body.count("<table>") == len(shown.scale.axes) + 1
    assert 'id="calculator"' in body
    assert re.search("<form[^>]* hidden>", body)
    for points in shown.scale.axes[0].points:
        assert f"<td>{points:.1f}\n" in body
    totals = shown.total_points_table(step=10)
    for survival in totals[f"survival_{shown.horizons_months[0]:g}_months"]:
        if 0.0005 <= survival < 0.9995:
            assert f"<td>{100 * survival:.1f}%" in body


def test_policy_allows_only_the_script_of_the_page(shown):
    page = nomogram_page(shown)
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page).group(1)
    assert "default-src 'none'" in policy
    assert "http" not in policy
    assert "script-src 'unsafe" not in policy
    scripts = re.findall(r"<script>(.*?)</script>", page, re.S)
    assert len(scripts) == 1
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy


def test_both_languages_stand_in_the_page(grouped):
    english, chinese = nomogram_page(grouped), nomogram_page(grouped, "zh")
    assert '<html lang="en">' in english
    assert '<html lang="zh-CN">' in chinese
    for page in (english, chinese):
        assert page.count('<span lang="en">') == page.count('<span lang="zh-CN">') > 20
        assert page.count('<text lang="en"') == page.count('<text lang="zh-CN"') > 3
        words = _card_of(page)["words"]
        assert words["en"].keys() == words["zh"].keys()
        used = set(re.findall(r"words\.(\w+)", re.findall(r"<script>(.*?)</script>", page, re.S)[0]))
        assert used <= words["en"].keys()
        for text in ("生存概率", "总分", "无复发生存", "年龄（岁）", "Age (years)", "Total points"):
            assert text in page
    assert "<title>Nomogram: recurrence-free survival</title>" in english
    assert "<title>列线图：无复发生存</title>" in chinese
    assert _card_of(english) == _card_of(chinese)
    with pytest.raises(ConfigError, match="does not speak 'fr'"):
        nomogram_page(grouped, "fr")


def test_no_patient_is_in_the_page():
    """Of the training table only ranges and levels are there; of the times only those of events."""
    random = np.random.default_rng(11)
    n = 300
    X = pd.DataFrame(
        {
            "ki67": random.uniform(1, 90, n),
            "score": random.normal(size=n),
            "stage": pd.Categorical(random.choice(["I", "II", "III"], n), ["I", "II", "III", "IV"]),
        },
        index=[f"patient-{k:04d}" for k in range(n)],
    )
    y = Outcome(random.uniform(1, 70, n), random.random(n) < 0.5, X.index)
    nomogram = Nomogram.from_model(CoxModel(splines={"ki67": 3}).fit(X, y))
    page = nomogram_page(nomogram)
    assert not any(patient in page for patient in X.index)
    numbers = set(re.findall(r"-?\d+\.\d+", page.replace("−", "-")))
    printed = numbers | {f"{float(text):.6g}" for text in numbers}
    for column in ("ki67", "score"):
        inner = X[column].sort_values().iloc[1:-1]  # the ends are the training range
        assert not {f"{value:.6g}" for value in inner} & printed
    events = set(np.round(y.time_months[y.event], 3))
    assert set(np.round(_card_of(page)["curve"]["months"], 3)) <= events
    censored = y.time_months[~y.event]
    assert not {f"{month:.6g}" for month in censored[censored < y.time_months.max()]} & printed
    levels = _card_of(page)["variables"][2]["levels"]
    assert [level for level, _, _ in levels] == ["I", "II", "III"]  # nobody had IV
    assert '"IV"' not in page
    assert ">IV<" not in page


def test_levels_that_nobody_had_are_not_offered(npc):
    options = re.findall(r'<option value="(\w*)"', nomogram_page(npc))
    assert "T0" not in options
    assert {"T1", "T2", "T3", "T4"} <= set(options)


def test_what_the_interval_does_not_hold_is_said(grouped, npc, gbsg):
    page = nomogram_page(grouped)
    assert "It does not hold the optimism" in page
    assert "不包含模型在建模人群中的乐观偏倚" in page
    assert "tertiles of the training patients" in page
    assert "Rad-score's own coefficients" not in page.replace("&#39;", "'")
    assert "This model has no confidence intervals" in nomogram_page(npc)
    scored = gbsg[0].rename(columns={"size": "rad_score"})
    shrunk = nomogram_page(Nomogram.from_model(CoxModel(penalizer=0.1).fit(scored, gbsg[1])))
    assert "Rad-score's own coefficients" in shrunk.replace("&#39;", "'")
    assert "shrunk by a penalty" in shrunk


def test_version_hash_and_note_are_shown(grouped, terms_of_r):
    page = nomogram_page(grouped)
    card = _card_of(page)
    assert re.fullmatch("[0-9a-f]{12}", card["hash"])
    assert f"{card['software']}, model {card['hash']}" in page
    named = Nomogram(
        terms_of_r, (60.0,), (0.1,), digest="0123456789abcdef" * 4, note="Surrogate of <b>trees</b>."
    )
    page = nomogram_page(named)
    assert "model 0123456789ab." in page
    assert "Surrogate of &lt;b&gt;trees&lt;/b&gt;." in page


def test_the_hash_is_of_the_model_and_not_of_its_words(model):
    plain, renamed = Nomogram.from_model(model), Nomogram.from_model(model, simulated=True)
    assert model_card(plain)["hash"] == model_card(renamed)["hash"] == model_card(plain, steps=9)["hash"]
    assert model_card(Nomogram.from_model(model, [36]))["hash"] != model_card(plain)["hash"]


def test_a_large_model_still_fits(gbsg):
    """15 variables, 299 events: the curve gets fewer steps, and the page stays below 60 kB."""
    random = np.random.default_rng(4)
    X, y = gbsg
    more = pd.DataFrame(random.normal(size=(len(X), 8)), X.index, [f"ce_t1__a__glcm__F{k}" for k in range(8)])
    nomogram = Nomogram.from_model(CoxModel(min_category=1).fit(X.join(more), y), [24, 36, 60])
    page = nomogram_page(nomogram)
    assert len(page.encode()) < 60_000
    card = _card_of(page)
    assert 30 <= len(card["curve"]["months"]) <= 120
    assert len(card["horizons"][0]["means"]) == 16


def test_real_patients_get_no_simulated_banner(model):
    page = nomogram_page(Nomogram.from_model(model))
    assert "simulated" not in page.lower().replace('"simulated":false', "")
    assert "模拟患者" not in page


def test_simulated_patients_are_told_in_both_languages(npc):
    page = nomogram_page(npc)
    assert "Simulated patients: this model" in page
    assert "模拟患者：" in page


def test_names_are_escaped_and_cannot_end_the_script(factor):
    nasty = factor("<img src=x>", {"</script><b>": 0.0, "b": 1.0})
    page = nomogram_page(Nomogram((nasty,), (60.0,), (0.1,)))
    assert "<img" not in page
    assert "</script><b>" not in page
    assert _card_of(page)["variables"][0]["levels"][0][0] == "</script><b>"


def test_page_inside_a_notebook(grouped):
    shown = grouped._repr_html_()
    assert shown.startswith("<iframe")
    assert 600 <= int(re.search(r'height="(\d+)"', shown).group(1)) <= 1200
    assert "&lt;!DOCTYPE html&gt;" in shown
    assert not re.search(r"\ssrc=", shown)
