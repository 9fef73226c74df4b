"""The command evaluate as it is typed."""

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk

from radiomics_npc import cli


def run(*arguments) -> int:
    with pytest.raises(SystemExit) as ended:
        cli.main(["evaluate", *map(str, arguments)])
    return int(ended.value.code or 0)


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """References of two cases with two classes, a method that is near, and one that lacks a case."""
    monkeypatch.chdir(tmp_path)
    for name, shift in (("reference", 0), ("near", 1), ("far", 4)):
        (tmp_path / name).mkdir()
        for case in ("1", "2")[: 1 if name == "far" else 2]:
            array = np.zeros((4, 40, 40), np.uint8)
            array[1:3, 10:20, 10 + shift : 30 + shift] = 1
            array[1:3, 25:30, 10 + shift : 30 + shift] = 2
            sitk.WriteImage(sitk.GetImageFromArray(array), str(tmp_path / name / f"{case}.nii"))
    return tmp_path


def test_methods_are_ranked(folders, capsys):
    given = ["far", "near", "reference", "--class", "GTVp=1", "--class", "GTVnd=2", "--tolerance", "GTVnd=2"]
    assert run(*given, "--jobs", 1) == 0
    ranking = pd.read_csv(folders / "evaluation" / "ranking.csv").set_index("method")
    assert ranking["rank"].to_dict() == {"near": 1, "far": 2}
    scores = pd.read_csv(folders / "evaluation" / "scores.csv")
    assert scores.groupby("class")["tolerance_mm"].first().to_dict() == {"GTVnd": 2.0, "GTVp": 1.0}
    assert scores.loc[scores["missing"], "dice"].tolist() == [0.0, 0.0]
    assert str(folders) not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["reference"], "Give the predictions, then the reference"),
     (["near", "reference", "--class", "GTVp"], "Write it as --class GTVp=1"),
     (["near", "reference", "--tolerance", "wide"], "Give mm"),
     (["near", "nowhere"], "nowhere")],
)  # fmt: skip
def test_what_cannot_be_done_is_refused(folders, capsys, arguments, words):
    assert run(*arguments) == 2
    assert words in capsys.readouterr().err
