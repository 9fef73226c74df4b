import re
from pathlib import Path

import pytest
import yaml

from radiomics_npc.config import read_settings
from radiomics_npc.errors import ConfigError
from radiomics_npc.settings import SegmentationSettings, StudySettings

ROOT = Path(__file__).resolve().parents[1]
OUTCOME = {"time": "m", "unit": "months", "event": "e", "coding": "0/1"}


def small(**changes):
    return {"cohort": {"path": "data", "outcome": OUTCOME}, **changes}


def test_every_default_is_written_in_the_commented_study_file():
    written = yaml.safe_load((ROOT / "configs" / "study.yaml").read_text())
    settings = read_settings(ROOT / "configs" / "study.yaml")
    defaults = StudySettings.model_validate(small())
    for room in ("features", "models", "validation", "nomogram"):
        assert getattr(settings, room) == getattr(defaults, room)
        assert set(written[room]) == set(type(getattr(defaults, room)).model_fields)
    assert set(written) == set(StudySettings.model_fields)


def test_every_default_of_a_part_that_is_null_is_written_as_a_comment():
    text = (ROOT / "configs" / "study.yaml").read_text(encoding="utf-8")
    block = re.search(r"^segmentation: null.*\n((?:  # .*\n)+)", text, re.MULTILINE)[1]
    written = yaml.safe_load(re.sub("^  # ", "", block, flags=re.MULTILINE))
    assert SegmentationSettings.model_validate(written) == SegmentationSettings()
    assert set(written) == set(SegmentationSettings.model_fields)


def test_segmentation_needs_images():
    cohort = {"layout": "clinical", "clinical": {"file": "c.csv"}, "outcome": OUTCOME}
    with pytest.raises(ConfigError, match="segmentation needs images"):
        read_settings(
            {"cohort": cohort, "features": None, "models": None, "nomogram": None, "segmentation": {}}
        )


@pytest.mark.parametrize(
    "file",
    sorted((ROOT / "configs").glob("*.yaml")) + sorted((ROOT / "configs/examples").glob("*.yaml")),
    ids=lambda p: p.name,
)
def test_shipped_studies_are_valid(file):
    assert read_settings(file).cohort is not None


def test_unknown_keys_name_the_nearest_and_all_faults_are_listed():
    with pytest.raises(ConfigError) as caught:
        read_settings(small(sed=1, validation={"fold": 3}))
    assert "unknown key sed (did you mean seed?)" in str(caught.value)
    assert "unknown key validation.fold (did you mean folds?)" in str(caught.value)


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        ({"time": "m", "unit": "months", "event": "e"}, "none is guessed"),
        ({"start": "a"}, "needs progression"),
        ({**OUTCOME, "start": "a", "progression": ["b"], "last_seen": "c"}, "give either"),
        ({**OUTCOME, "unit": "weeks"}, "cohort.outcome.unit"),
    ],
)
def test_outcome_is_never_guessed(outcome, words):
    with pytest.raises(ConfigError, match=words):
        read_settings({"cohort": {"path": "d", "outcome": outcome}})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"features": None}, "features is null"),
        ({"nomogram": {"model": "combined_boosted"}}, "no points scale"),
        ({"models": None}, "nomogram needs models"),
        ({"models": {"fit": ["clinical_cox"]}}, "not among models.fit"),
        ({"cohort": {"path": "data"}}, "models need cohort.outcome"),
        ({"cohort": {"layout": "manifest", "outcome": OUTCOME}}, "needs path"),
    ],
)
def test_settings_that_contradict_each_other(changes, words):
    with pytest.raises(ConfigError, match=words):
        read_settings(small(**changes))


def test_paths_start_from_the_study_file(tmp_path):
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump(small(features={"settings": {"t1": "my.yaml"}})))
    settings = read_settings(file)
    assert settings.cohort.path == tmp_path / "data"
    assert settings.output == tmp_path / "run"
    assert settings.features.settings["t1"] == tmp_path / "my.yaml"


@pytest.mark.parametrize(("text", "words"), [("a: [", "not valid YAML at line"), ("", "holds no settings")])
def test_unreadable_files_say_so_without_their_folder(tmp_path, text, words):
    file = tmp_path / "study.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=words) as caught:
        read_settings(file)
    assert str(tmp_path) not in str(caught.value)
    with pytest.raises(ConfigError, match="does not exist"):
        read_settings(tmp_path / "other.yaml")


def test_an_endpoint_to_model_must_be_one_of_the_outcome(tmp_path):
    content = yaml.safe_load((ROOT / "configs" / "examples" / "radcure_npc.yaml").read_text(encoding="utf-8"))
    content["models"]["endpoint"] = "PFS2"
    with pytest.raises(ConfigError, match=r"PFS2 is not among cohort.outcome.endpoints \(OS, LRFS, DMFS\)"):
        read_settings(content, base=tmp_path)


def test_a_center_left_out_cannot_be_harmonized_as_one_in_training():
    changes = {
        "models": {"harmonize": {"by": "center"}},
        "validation": {"design": "leave_center_out", "by": "center"},
    }
    with pytest.raises(ConfigError, match="set it to reference_free"):
        read_settings(small(**changes))
    changes["models"]["harmonize"]["unseen"] = "reference_free"
    assert read_settings(small(**changes)).models.harmonize.unseen == "reference_free"
