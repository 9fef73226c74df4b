"""Notebooks run alone from top to bottom, explain what they show, and are stored without outputs."""

import ast
import re
from importlib import import_module
from pathlib import Path

import nbformat
import pytest

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"
NAMES = ["01_cohort", "02_features", "03_prognosis", "04_nomogram", "05_segmentation"]
#: Seconds of one processor core, twice what the slowest needs: readers do not wait.
MOST_SECONDS = 90
EXPLAINED = "**How to read it.**"

every_notebook = pytest.mark.parametrize("name", NAMES)


def _read(name):
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    nbformat.validate(notebook)
    return notebook


def _code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def _words(notebook):
    return "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def _python(notebook):
    """The code without the notebook's own commands."""
    lines = "\n".join(cell.source for cell in _code(notebook)).splitlines()
    return ast.parse("\n".join(line for line in lines if not line.startswith("%")))


def test_these_are_all():
    assert sorted(path.stem for path in FOLDER.glob("*.ipynb")) == NAMES


@every_notebook
def test_stored_without_outputs(name):
    notebook = _read(name)
    assert not [cell for cell in _code(notebook) if cell.outputs or cell.execution_count]
    assert notebook.metadata.kernelspec.name == "python3"
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert not any(cell.metadata for cell in notebook.cells)


@every_notebook
def test_reads_as_a_tutorial(name):
    notebook = _read(name)
    words = _words(notebook)
    assert re.match(rf"# {name[1]}\. \w+", notebook.cells[0].source)
    assert notebook.cells[-1].cell_type == "markdown"
    assert "simulated" in words
    assert "They never lived" in words
    assert "**With your own data" in words
    assert "## Common mistakes" in words
    named = set(re.findall(r"`(0\d_\w+\.ipynb)`", words))
    assert named <= {f"{one}.ipynb" for one in NAMES}


@every_notebook
def test_uses_public_names_alone(name):
    """What a notebook shows, readers will copy: no name that may go without a word."""
    public = import_module("radiomics_npc")
    for node in ast.walk(_python(_read(name))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("radiomics_npc"):
            module = import_module(node.module)
            known = getattr(module, "__all__", [n for n in vars(module) if not n.startswith("_")])
            assert {alias.name for alias in node.names} <= set(known), node.module
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "rn":
            assert node.attr in public.__all__
        if isinstance(node, ast.Attribute):
            assert not node.attr.startswith("_"), node.attr


def _shown(cell):
    """Kinds of what a cell shows, but for lines on how far it is."""
    return {kind for output in cell.outputs for kind in output.get("data", {})} | {
        "text" for output in cell.outputs if output.get("name") == "stdout"
    }


@pytest.mark.slow
@every_notebook
@pytest.mark.filterwarnings("ignore::DeprecationWarning:zmq", "ignore:.*[Pp]roactor.*:RuntimeWarning")
def test_runs(name, tmp_path, monkeypatch):
    from nbclient import NotebookClient

    if name == "05_segmentation":
        pytest.importorskip("torch", reason="torch is not installed")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # as every process of the suite
    notebook = _read(name)
    notebook.cells.append(nbformat.v4.new_code_cell("import time; print(time.process_time())"))
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    clock = notebook.cells.pop()
    assert float(clock.outputs[0]["text"]) < MOST_SECONDS
    assert _shown(_code(notebook)[-1])
    said = [o["text"] for cell in _code(notebook) for o in cell.outputs if o.get("name") == "stderr"]
    assert not [text for text in said if "Warning" in text]
    assert not list(tmp_path.iterdir()), "a notebook writes into a temporary folder of its own"
    _check_explained(notebook.cells)


def _check_explained(cells):
    """Words after every figure, and after at most two other outputs in a row."""
    figures = 0
    for here, cell in enumerate(cells):
        if cell.cell_type != "code" or not _shown(cell):
            continue
        following, kinds = cells[here + 1], [other.cell_type for other in cells[here + 1 : here + 3]]
        if "image/png" in _shown(cell):
            figures += 1
            assert following.cell_type == "markdown", cell.source
            assert following.source.startswith(EXPLAINED), cell.source
        else:
            assert "<Figure" not in str(cell.outputs), "a figure is shown as text"
            assert "markdown" in kinds, cell.source
    assert figures >= 2
