"""Commands parse, call one function, print, and end with the code of the house."""

import subprocess
import sys

import pytest

from radiomics_npc import cli
from radiomics_npc._version import __version__


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        cli.main(list(arguments))
    return int(ended.value.code or 0)


def test_version(capsys):
    assert run("--version") == 0
    assert capsys.readouterr().out.strip() == __version__


@pytest.mark.parametrize("command", [c.name or c.callback.__name__ for c in cli.app.registered_commands])
def test_every_command_explains_itself(command, capsys):
    assert run(command, "--help") == 0
    assert "Usage" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("run", "nothing.yaml"), "nothing.yaml does not exist"),
        (("frobnicate",), "frobnicate"),
        (("predict", "no_model", "no_table.csv"), "model.json"),
        (("report", "."), "is no run folder"),
        (("run",), "STUDY"),
    ],
)
def test_wrong_commands_and_settings_end_with_2(arguments, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(*arguments) == 2
    error = capsys.readouterr().err
    assert words in error
    assert "Traceback" not in error


def test_interruption_ends_with_130(monkeypatch, tmp_path):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("radiomics_npc.simulate.cohort.simulate_cohort", interrupt)
    assert run("simulate", str(tmp_path / "out")) == 130


def test_a_fault_of_ours_ends_with_4_and_shows_no_folder(monkeypatch, tmp_path, capsys):
    def fail(*_, **__):
        raise RuntimeError(f"secret {tmp_path}")

    monkeypatch.setattr("radiomics_npc.simulate.cohort.simulate_cohort", fail)
    assert run("simulate", str(tmp_path / "out")) == 4
    error = capsys.readouterr().err
    assert "RuntimeError at test_cli.py" in error
    assert str(tmp_path) not in error


def test_the_module_is_the_command():
    done = subprocess.run(
        [sys.executable, "-m", "radiomics_npc", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == __version__
