"""The model card: what it must say, and that aims are compared with the numbers beside them."""

import json

import numpy as np
import pandas as pd
import pytest

from benchmarks.segmentation import REAL_NOTE, TRAINED_BY, arguments, notes
from radiomics_npc.errors import ConfigError, ModelFileError
from radiomics_npc.segmentation.aims import AIMS, compare_aims
from radiomics_npc.segmentation.model_card import write_card

ABOUT = {
    "simulated": True,
    "architecture": {"name": "slab_unet", "widths": [8, 16]},
    "grid": {"window": 160},
    "sequences": ["t1", "t2", "ce_t1"],
    "members": [{"file": "member-1.safetensors", "sha256": "0", "seed": 11}, {"seed": 12}],
    "training": {
        "settings": {"batch": 16},
        "data": {"heads": 800},
        "steps": [9000, 9000],
        "seconds": [5400, 3600],
    },
}


def row(name, by, group, measure, mean, **others):
    numbers = {"lower": mean - 0.02, "upper": mean + 0.02, "median": mean, "infinite": 0}
    return (
        {"set": name, "by": by, "group": group, "measure": measure, "n": 60, "mean": mean} | numbers | others
    )


def summary(**means):
    """One row an aim, with the mean given by its place, else the limit itself."""
    return pd.DataFrame(
        [
            row(a.set, a.by, a.group, a.measure, means.get(f"aim{k}", a.limit - 0.01 * a.below))
            for k, a in enumerate(AIMS)
        ]
    )


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "model.json").write_text(json.dumps(ABOUT), encoding="utf-8")
    return tmp_path


def test_the_first_line_says_what_the_weights_were_trained_on(folder):
    first = write_card(folder, summary()).read_text(encoding="utf-8").splitlines()[0]
    assert "trained on simulated heads only" in first
    card = write_card(folder, summary(), ABOUT | {"simulated": False}).read_text(encoding="utf-8")
    assert "simulated heads only" not in card.splitlines()[0]
    assert "no data of any patient" not in card


def test_real_slices_that_were_looked_at_are_not_said_to_be_unseen(folder):
    card = write_card(folder, summary(), notes={"real_slices": REAL_NOTE}).read_text(encoding="utf-8")
    said = " ".join(card.split())
    assert (
        "The networks were not trained on these slices, but they were looked at while the simulation" in said
    )
    assert "Ten real T2 slices were looked at while the simulation was made" in said
    assert "No image of a patient was used" not in said
    assert "any choice" not in said


def test_aims_are_reached_at_their_limit_and_missed_below():
    assert compare_aims(summary())["reached"].tolist() == ["yes"] * 6
    found = compare_aims(summary(aim0=0.8799, aim5=0.5))
    assert found["reached"].tolist() == ["no", "yes", "yes", "yes", "yes", "no"]
    assert compare_aims(summary(aim1=np.nan))["reached"].tolist()[1] == "no"


def test_a_missed_aim_is_printed_beside_its_number(folder):
    card = write_card(folder, summary(aim3=0.61)).read_text(encoding="utf-8")
    assert "| Dice, CE-T1 alone | >= 0.75 | 60 | 0.610 (0.590 to 0.630) | **no** |" in card
    assert "1 of 6 aims were not reached" in card
    assert "All aims were reached." in write_card(folder, summary()).read_text(encoding="utf-8")


def test_what_was_not_measured_is_said_to_be(folder):
    found = compare_aims(summary().iloc[:1])
    assert found["reached"].tolist() == ["yes"] + ["not measured"] * 5
    card = write_card(folder, summary().iloc[:1]).read_text(encoding="utf-8")
    assert "5 of 6 aims were not reached" in card
    assert "Not measured." in card


def test_training_is_told_with_seeds_time_and_command(folder):
    said = {"command": "radiomics-npc train-segmenter a.yaml", "hardware": "2 CPU cores"}
    card = write_card(folder, summary(), notes=said).read_text(encoding="utf-8")
    for line in (
        "| seeds | 11, 12 |", "| time | 1.5, 1.0 hours |",
        "| steps | 9000, 9000 |", "| hardware | 2 CPU cores |",
        "| command | `radiomics-npc train-segmenter a.yaml` |", "| data | heads: 800 |",
    ):  # fmt: skip
        assert line in card
    assert "| versions | not recorded |" in card
    assert "train-segmenter configs/segmentation/cohort.yaml" in card
    assert "GPL-3.0-or-later" in card


def test_the_command_of_the_training_is_told_of_the_bundled_weights_alone():
    assert notes(arguments(["out"]))["command"] == TRAINED_BY
    assert "command" not in notes(arguments(["out", "--model", "mine"]))
    assert notes(arguments(["out", "--model", "mine", "--command", "train"]))["command"] == "train"


def test_tables_show_intervals_infinite_medians_and_the_worst_group(folder):
    rows = [
        row("patients", "t_category", "T1", "dice", 0.7),
        row("patients", "t_category", "T1", "hd95_mm", 9.0, median=np.inf),
        row("patients", "t_category", "T4", "dice", 0.9, n=1, lower=np.nan, upper=np.nan),
        row("patients", "t_category", "T4", "hd95_mm", 3.0),
    ]
    card = write_card(folder, pd.DataFrame(rows)).read_text(encoding="utf-8")
    assert "| group | n | Dice (95% CI) | Dice, median | HD95 mm, median |" in card
    assert "| T1 | 60 | 0.700 (0.680 to 0.720) | 0.700 | infinite |" in card
    assert "| T4 | 1 | 0.900 | 0.900 | 3.0 |" in card
    assert "worst for T1, Dice 0.700" in card
    assert "All patients and heads are simulated, but for the real slices." in card


def test_faults_are_said_in_words(tmp_path):
    with pytest.raises(ModelFileError, match=r"no readable model\.json"):
        write_card(tmp_path, summary())
    with pytest.raises(ConfigError, match="no column 'set'"):
        write_card(tmp_path, summary().drop(columns="set"), ABOUT)
    (tmp_path / "model.json").write_text("{", encoding="utf-8")
    with pytest.raises(ModelFileError, match="readable"):
        write_card(tmp_path, summary())
