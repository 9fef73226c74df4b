"""Checklists: complete, numbered as published, filled with what the run knows and nothing else."""

from __future__ import annotations

import re
from importlib import resources

import pandas as pd
import pytest
import yaml

from radiomics_npc.report.checklist_page import checklists_html
from radiomics_npc.report.checklists import CHECKLISTS, RULES, Score, fill_checklist, fill_checklists
from radiomics_npc.report.methods import methods_text
from radiomics_npc.report.sections import section_titles

STATUSES = {"filled", "to be filled by you", "not applicable"}
# Ranks of the items in every category, and of the categories: rank sums give the published weights.
RANKS = {
    "Study design": (9, [1, 2, 2.5]), "Imaging data": (6.5, [3, 2, 3, 2]), "Segmentation": (3, [3, 2, 1]),
    "Image processing and feature extraction": (6, [3, 1.5, 2]), "Feature processing": (4, [2, 2, 3, 2]),
    "Preparation for modeling": (4, [2, 1]), "Metrics and comparison": (6, [6, 4, 3, 2, 5, 3]),
    "Testing": (5, [1, 2]), "Open science": (1, [1, 1, 1]),
}  # fmt: skip
RECIPE = {
    "setting": {"resampledPixelSpacing": [1, 1, 1], "binCount": 32, "interpolator": "sitkBSpline"},
    "imageType": {"Original": {}, "LoG": {"sigma": [1.0, 2.0, 3.0]}, "Wavelet": {}},
    "featureClass": {"shape": None, "firstorder": None, "glcm": None},
}


def items(key):
    path = resources.files("radiomics_npc.report").joinpath("checklists", f"{key}.yaml")
    return yaml.safe_load(path.read_text(encoding="utf-8"))["items"]


@pytest.fixture
def full(content):
    """A run that did all that a run can do, with extraction settings as they are stored."""
    content["features"]["settings"] = dict.fromkeys(("t1", "t2", "ce_t1"), RECIPE)
    content["follow_up"] = {"median_months": 41.0, "longest_months": 60.0}
    return content


@pytest.mark.parametrize(("key", "count"), [("tripod_ai", 52), ("clear", 58), ("metrics", 30)])
def test_every_item_is_there_once(key, count):
    found = items(key)
    numbers = [item["number"] for item in found]
    assert len(found) == len(set(numbers)) == count
    if key == "tripod_ai":
        assert list(dict.fromkeys(int(re.match(r"\d+", n)[0]) for n in numbers)) == list(range(1, 28))
    else:
        assert numbers == [str(k) for k in range(1, count + 1)]
    for item in found:
        assert item["rule"] in RULES, item
        assert item["text"]
        assert item["ask"].endswith(".")


def test_every_rule_is_asked_for():
    assert {item["rule"] for key in CHECKLISTS for item in items(key)} == set(RULES)


def test_weights_are_those_of_rank_sums():
    by_section: dict[str, list[float]] = {}
    for item in items("metrics"):
        by_section.setdefault(item["section"], []).append(item["weight"])
    assert list(by_section) == list(RANKS)
    whole = sum(size for size, _ in RANKS.values())
    for section, (size, ranks) in RANKS.items():
        expected = [size / whole * rank / sum(ranks) for rank in ranks]
        assert by_section[section] == pytest.approx(expected, abs=6e-5)
    assert sum(weight for part in by_section.values() for weight in part) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("key", CHECKLISTS)
def test_nothing_is_filled_that_the_run_does_not_know(key):
    table = fill_checklist(key, {}).table
    assert set(table["status"]) == {"to be filled by you"}
    assert (table["answer"] == "").all()
    assert (table["left"] != "").all()


def test_an_unfinished_run_answers_what_it_has(content):
    known = {key: content[key] for key in ("flow", "findings", "settings")}
    known["flow"] |= {"events": None}
    filled = fill_checklist("tripod_ai", known).table.set_index("item")["status"]
    assert list(filled.index[filled == "filled"]) == ["7"]
    assert set(fill_checklist("clear", known).table["status"]) == {"to be filled by you"}


def test_a_full_run_fills_much_and_says_where(full):
    titles, text = set(section_titles().values()), methods_text(full)
    headings = set(re.findall(r"^## (.*)$", text, re.M))
    for checklist in fill_checklists(full):
        table = checklist.table
        assert set(table["status"]) <= STATUSES
        assert checklist.counts["filled"] >= {"tripod_ai": 16, "clear": 27, "metrics": 11}[checklist.key]
        assert (table.loc[table["status"] != "to be filled by you", "answer"] != "").all()
        assert (table.loc[table["status"] == "filled", "left"] == "").all()
        for place in (part for where in table["where"] for part in where.split("; ") if part):
            kind, _, names = place.partition(": ")
            known = {"report": titles, "methods": headings}.get(kind)
            assert known is None or set(names.split(", ")) <= known, place


def test_items_only_authors_know_stay_open(full):
    full["simulated"] = False
    by_key = {key: fill_checklist(key, full).table.set_index("item")["status"] for key in CHECKLISTS}
    for key, numbers in {
        "tripod_ai": ["1", "2", "3a", "5b", "8b", "17", "18a", "18b", "18e", "19", "25", "27c"],
        "clear": ["1", "2", "8", "10", "12", "14", "20", "49", "53"],
        "metrics": ["1", "2", "3", "5", "6", "7", "27", "28"],
    }.items():
        assert set(by_key[key][numbers]) == {"to be filled by you"}, key


@pytest.mark.parametrize(
    ("kind", "words"),
    [("leave_center_out", "Held out by center;"), ("temporal_split", "Held out by date;"),
     ("cross_validation", "from a fixed seed;")],
)  # fmt: skip
def test_patients_held_out_by_place_or_date_need_no_seed(full, kind, words):
    full["models"]["design"] |= {"kind": kind, "folds": 1, "repeats": 1}
    answer = fill_checklist("metrics", full).table.set_index("item").loc["18", "answer"]
    assert words in answer
    assert ("seed" in answer) == (kind == "cross_validation")
    row = fill_checklist("tripod_ai", full).table.set_index("item").loc["21"]
    # Whom a split by date tests on are fewer than those analyzed.
    assert (row["status"] == "filled") == (kind != "temporal_split")


def test_how_the_final_model_was_chosen_is_not_for_the_run_to_say(full):
    """Settings may be written after results were seen."""
    row = fill_checklist("clear", full).table.set_index("item").loc["37"]
    assert row["status"] == "to be filled by you"
    assert "before the run" not in row["answer"]


def test_forests_alone_have_no_cox_model_no_net_and_nothing_tuned(full):
    models = full["models"]
    models["scores"] = models["scores"].assign(model="combined_forest")
    clear = fill_checklist("clear", full).table.set_index("item")
    tripod = fill_checklist("tripod_ai", full).table.set_index("item")
    told = [*clear.loc[["32", "33", "35"], "answer"], tripod.loc["12b", "answer"]]
    for words in ("Cox", "Rad-score", "elastic net", "Tuned", "likelihood"):
        assert not any(words in answer for answer in told), words
    assert clear.loc["35", "answer"].startswith("Nothing was tuned")
    assert "tuning" not in methods_text(full)


def test_simulated_patients_need_no_committee(full):
    table = fill_checklist("tripod_ai", full).table.set_index("item")
    assert table.loc["17", "status"] == "not applicable"
    assert table.loc["5a", "answer"] == "The patients are simulated."


def test_the_score_of_a_full_run_is_its_closed_form(full):
    checklist = fill_checklist("metrics", full)
    met = checklist.table.set_index("item")["met"]
    yes = ["4", "12", "13", "14", "15", "18", "20", "21", "22", "24", "25"]
    assert list(met.index[met == "yes"]) == yes
    assert list(met.index[met == "not applicable"]) == ["17"]
    assert not (met == "no").any()
    weight = {item["number"]: item["weight"] for item in items("metrics")}
    applies = 1 - weight["17"]
    sure = 100 * sum(weight[number] for number in yes) / applies
    assert checklist.score == Score(pytest.approx(sure, abs=1e-9), pytest.approx(100, abs=1e-9))


def test_what_was_not_done_is_lost(full):
    """No stability, one kind of model without a clinical one beside it: two items are missed for good."""
    full["stability"] = None
    models = full["models"]
    models["scores"] = models["scores"].assign(model="radiomics_cox")
    checklist = fill_checklist("metrics", full)
    met = checklist.table.set_index("item")["met"]
    assert list(met.index[met == "no"]) == ["14", "24"]
    applies, lost = 1 - 0.02, 0.02 + 0.0293
    assert checklist.score.at_most == pytest.approx(100 * (applies - lost) / applies, abs=1e-9)


def test_a_missed_item_that_may_not_apply_bounds_the_score_from_both_sides(full):
    """Contours changed by hand leave open whether segmentation was automated (item 9)."""
    flags = pd.DataFrame({"patient_id": ["1", "2"], "sequence": "t1", "flags": ["", "edited"]})
    part = {"model": {"name": "own", "sha256": "ab" * 32, "members": 1, "simulated": False},
            "when": "always", "flips": False, "table": flags, "agreement": None}  # fmt: skip
    full["contours"] = part
    open_ = fill_checklist("metrics", full)
    assert open_.table.set_index("item")["met"]["9"] == "no"
    assert open_.score.at_most == pytest.approx(100, abs=1e-9)
    part["table"] = flags.assign(flags="")
    closed = fill_checklist("metrics", full)
    met = closed.table.set_index("item")["met"]
    assert met[["8", "9", "10"]].tolist() == ["yes", "no", "yes"]
    assert closed.score.at_most == pytest.approx(100 * (0.98 - 0.0225) / 0.98, abs=1e-9)
    assert closed.score.sure == pytest.approx(open_.score.sure + 100 * (0.0337 + 0.0112) / 0.98, abs=1e-9)


def test_a_study_without_images_has_no_score(full):
    full["features"], full["settings"] = None, full["settings"] | {"features": None}
    full["models"]["scores"] = full["models"]["scores"].query("model == 'clinical_cox'")
    checklist = fill_checklist("metrics", full)
    assert checklist.score is None
    assert "no images" in checklist.note
    clear = fill_checklist("clear", full).table.set_index("item")
    assert set(clear.loc[["19", "22", "25", "42"], "status"]) == {"not applicable"}


def test_scores_have_the_published_names():
    words = [str(Score(x, 100.0)).split("(")[1].split(")")[0] for x in (0, 19.9, 20, 45, 60, 79.9, 80, 100)]
    assert words == [
        "very low", "very low", "low", "moderate", "good", "good", "excellent", "excellent"
    ]  # fmt: skip


def test_the_page_holds_all_items_and_nothing_from_outside(full):
    full["title"] = "A <b> & 'title'"
    page = checklists_html(fill_checklists(full), full)
    assert page.count("<tr><td>") == 52 + 58 + 30
    assert "<b>" not in page.split("<h1>")[1].split("</header>")[0].replace("<strong>", "")
    assert not re.search(r"(src|href)=\"(?!#)", page)
    assert "<script" not in page
    identifiers = re.findall(r'\bid="([^"]+)"', page)
    assert len(identifiers) == len(set(identifiers))
    assert "SIMULATED PATIENTS" in page
    assert page.count("<th scope=") >= 3 * 5
    assert len(page) < 150_000
