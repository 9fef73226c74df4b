"""English and Chinese of the page: nothing is missing, and nothing is left over."""

from __future__ import annotations

import json
import re
from importlib import resources

import pytest

from radiomics_npc.cohort.endpoints import ENDPOINT_NAMES
from radiomics_npc.nomogram import labels
from radiomics_npc.nomogram.translation import column_text, outcome_text, phrase, wrapped_text

FOLDER = resources.files("radiomics_npc.nomogram")
CONTENT = json.loads(FOLDER.joinpath("templates", "translations.json").read_text(encoding="utf-8"))


def _has_chinese(text: str) -> bool:
    return bool(re.search(r"[\u4e00-\u9fff]", text))


@pytest.mark.parametrize("key", CONTENT["phrases"])
def test_every_phrase_is_in_both_languages_with_the_same_parts(key):
    texts = CONTENT["phrases"][key]
    assert set(texts) == {"en", "zh"}
    parts = [sorted(re.findall(r"\{(\w+)\}", texts[language])) for language in ("en", "zh")]
    assert parts[0] == parts[1]
    assert not _has_chinese(texts["en"])
    if re.search("[a-z]", re.sub(r"\{\w+\}|CI", "", texts["en"])):
        assert _has_chinese(texts["zh"])


def test_every_phrase_is_used():
    names = ("card.py", "page.py", "page_drawing.py", "templates/nomogram.html.j2", "templates/page.js")
    used = "".join(FOLDER.joinpath(*name.split("/")).read_text(encoding="utf-8") for name in names)
    made = {f"groups_{how}" for how in ("tertiles", "median", "maxstat")}
    for key in CONTENT["phrases"].keys() - made:
        assert re.search(f"[\"']{key}[\"']", used), key


def test_common_columns_measures_and_endpoints_have_chinese_names():
    for column in labels._COLUMNS:
        text = column_text(column)
        assert _has_chinese(text["zh"]) or text["zh"] in ("EBV-DNA", "VCA-IgA"), column
    for measure in labels._MORPHOLOGY:
        assert _has_chinese(column_text(f"ce_t1__morphology__{measure}")["zh"]), measure
    for name in ENDPOINT_NAMES.values():
        assert _has_chinese(outcome_text(name)["zh"]), name


def test_unknown_names_stay_as_they_are():
    assert column_text("ki_67") == {"en": "Ki 67", "zh": "Ki 67"}
    assert outcome_text("time to boredom")["zh"] == "time to boredom"
    with pytest.raises(KeyError):
        phrase("no such phrase")


@pytest.mark.parametrize("text", ["T 分期", "5 年无局部区域复发生存概率", "肿瘤表面积（cm²），CE-T1", "Age"])
def test_wrapped_lines_keep_the_text_and_fit(text):
    lines = wrapped_text(text, 16)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert all(sum(2 if ord(c) > 0x2E80 else 1 for c in line) <= 16 for line in lines)
    assert not any(line[0] in "，）" for line in lines)
