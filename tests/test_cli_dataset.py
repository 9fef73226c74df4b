"""The dataset commands as they are typed: what they print, write and end with."""

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk

from radiomics_npc import cli


def run(*arguments) -> int:
    with pytest.raises(SystemExit) as ended:
        cli.main(["dataset", *map(str, arguments)])
    return int(ended.value.code or 0)


@pytest.fixture
def source(tmp_path, monkeypatch):
    """A manifest of two patients, one with a file that is absent; the folder is the current one."""
    array = np.zeros((4, 24, 24), np.uint8)
    array[1:3, 8:16, 8:16] = 1
    image = np.arange(array.size, dtype=np.int16).reshape(array.shape)
    for name, values in (("image", image), ("mask", array)):
        made = sitk.GetImageFromArray(values)
        made.SetSpacing((0.5, 0.5, 5.0))
        sitk.WriteImage(made, str(tmp_path / f"{name}.nii"))
    monkeypatch.chdir(tmp_path)
    lines = ["patient_id,sequence,image,mask", "张三,t1,image.nii,mask.nii"]
    (tmp_path / "good.csv").write_text("\n".join(lines), encoding="utf-8")
    (tmp_path / "bad.csv").write_text("\n".join([*lines, "李四,t1,absent.nii,"]), encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "written"),
    [(["describe", "{}.csv", "--out", "描述"], "描述/description.docx"),
     (["metadata", "{}.csv"], "meta_data.csv"),
     (["convert", "{}.csv", "out"], "out/manifest.csv")],
)  # fmt: skip
def test_what_failed_is_shown_and_the_rest_is_written(source, capsys, arguments, written):
    given = [part.format("good") for part in arguments]
    assert run(*given, "--jobs", 1) == 0
    assert (source / written).is_file()
    (source / written).unlink()
    given = [part.format("bad") for part in arguments]
    assert run(*given, "--jobs", 1) == 1
    assert (source / written).is_file()
    told = capsys.readouterr()
    assert "absent.nii" in told.out
    assert str(source) not in told.out + told.err


def test_a_tolerance_given_twice_counts_once(source):
    for rater in ("a", "b"):
        (source / rater).mkdir()
        (source / rater / "1_T1.nii").write_bytes((source / "mask.nii").read_bytes())
    assert run("agreement", "a", "b", "--tolerance", 1, "--tolerance", "1.0", "--jobs", 1) == 0
    assert pd.read_csv(source / "agreement" / "agreement.csv")["nsd_1mm"].tolist() == [1.0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["metadata", "good.csv", "--out", "table.txt"], "Name a .csv or .parquet file"),
     (["morphology", "good.csv", "--out", "table.XLSX"], "Name a .csv or .parquet file"),
     (["describe", "good.csv", "--out", "image.nii"], "is a file"),
     (["agreement", "good.csv", "--out", "image.nii"], "is a file"),
     (["download", "image.nii"], "is a file"),
     (["download", "new", "--patience", "-1"], "greater than or equal to 0"),
     (["convert", "good.csv", "image.nii"], "is a file"),
     (["convert", "good.csv", "new", "--bits", "12"], "neither 8 nor 16"),
     (["convert", "good.csv", "new", "--reference", "t1"], "only nnunet"),
     (["convert", "nowhere", "new"], "does not exist"),
     (["agreement", "good.csv"], "one set of masks only")],
)  # fmt: skip
def test_wrong_arguments_end_with_2_before_anything_is_read(source, capsys, arguments, words):
    before = sorted(source.rglob("*"))
    assert run(*arguments) == 2
    assert words in " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert sorted(source.rglob("*")) == before
