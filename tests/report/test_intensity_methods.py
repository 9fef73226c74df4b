"""What the methods say of intensities, for every choice."""

import json

import pytest

from radiomics_npc.features.case_job import extraction_recipe
from radiomics_npc.imaging.landmarks import Landmarks, StandardScale
from radiomics_npc.report.feature_rules import image_preparation
from radiomics_npc.report.intensity_methods import (
    NORMALIZED,
    intensity_content,
    intensity_sentences,
    intensity_summary,
)
from radiomics_npc.report.methods import methods_with_references
from radiomics_npc.report.references import Citations
from radiomics_npc.settings import FeatureSettings


@pytest.mark.parametrize("normalize", ["body", "image", "percentile", "nyul", "reference", "none"])
def test_every_choice_of_the_settings_has_its_words(normalize):
    sentences = intensity_sentences({}, normalize, Citations())
    assert len(sentences) == 1
    assert sentences[0].startswith("Intensities ")
    assert NORMALIZED[normalize]


def test_bias_correction_is_told_first_and_cited():
    recipe = extraction_recipe(FeatureSettings(bias_correction=True), "t1", "error")
    part = json.loads(json.dumps(intensity_content({"t1": recipe})))
    cite = Citations()
    first, second = intensity_sentences(part, "reference", cite)
    assert "N4 [1] (3 levels" in first
    assert "3.5 mm" in first
    assert "WhiteStripe [2]" in second
    assert cite.keys == ["n4", "stripe"]


def test_landmarks_are_told_with_their_number_and_whose_they_are(tmp_path):
    scale = StandardScale((1.0, 50.0, 99.0), (0.0, 40.0, 100.0), tuple("abcdefg"))
    path = tmp_path / "landmarks.json"
    Landmarks({"t1": scale, "t2": scale}, key="00", simulated=True).write(path)
    settings = FeatureSettings(normalize="nyul", landmarks=path)
    recipes = {name: extraction_recipe(settings, name, "error") for name in ("t1", "t2")}
    part = intensity_content(recipes)
    assert part["landmarks"] == {"images": [7], "ends": [0.0, 100.0], "simulated": True}
    text = intensity_sentences(part, "nyul", Citations())[0]
    assert "scale from 0 to 100, which had been learnt before from 7 images a sequence" in text
    assert "of simulated patients" in text


def test_methods_and_checklist_follow(content):
    changed = content | {
        "features": content["features"]
        | {"normalize": "percentile", "bias_correction": {"iterations": [50] * 3, "grid_mm": 3.5}}
    }
    text, entries = methods_with_references(changed)
    assert "the 1st and 99th percentile of the body being 0 and 1" in text
    assert "@article{n4," in entries
    assert "z-scored" not in text
    answer = image_preparation(changed)
    assert "corrected for bias (N4), then percentiles" in str(answer)
    assert "z-scores over the body" in str(image_preparation(content))
    assert intensity_summary(content["features"]) == "z-scores over the body"
