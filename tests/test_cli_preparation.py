"""Commands before a study: the manifest and the landmarks."""

import json

import pytest
from typer.testing import CliRunner

from radiomics_npc.cli import app, main
from radiomics_npc.cohort.reading import read_cohort
from radiomics_npc.simulate.cohort import simulate_cohort


@pytest.fixture(scope="module")
def patients(tmp_path_factory):
    return simulate_cohort(tmp_path_factory.mktemp("made") / "data", patients=2, seed=1, matrix=64, jobs=1)


def run(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


def files_of(cohort):
    return {
        (case.patient_id, name): (pair.image.resolve(), pair.mask.resolve())
        for case in cohort.cases
        for name, pair in case.images.items()
    }


def test_the_manifest_reads_as_the_folder_does(patients, tmp_path):
    done = run("manifest", patients, "--out", tmp_path / "manifest.csv")
    assert done.exit_code == 0
    assert "6 images of 2 patients, layout published" in done.output
    assert files_of(read_cohort(tmp_path / "manifest.csv")) == files_of(read_cohort(patients))


def test_landmarks_of_some_patients(patients, tmp_path):
    study = tmp_path / "study.yaml"
    study.write_text(json.dumps({
        "cohort": {"layout": "published", "path": str(patients), "sequences": ["t1"]},
        "models": None, "nomogram": None,
    }))  # fmt: skip
    who = tmp_path / "who.txt"
    who.write_text("001\n")
    done = run("landmarks", study, "--out", tmp_path / "landmarks.json", "--patients", who)
    assert done.exit_code == 0, done.output
    assert "Landmarks of 1 patients" in done.output
    assert json.loads((tmp_path / "landmarks.json").read_text())["simulated"] is True


def test_an_option_that_is_no_column_and_value(tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["landmarks", str(tmp_path / "study.yaml"), "--keep", "center"])
    assert stopped.value.code == 2
    assert "--keep center=A" in capsys.readouterr().err
