"""What a run writes for its paper: files, cards, the same bytes, and no patient."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.report.cards import model_card
from radiomics_npc.report.content import write_run_report
from radiomics_npc.report.paper import write_paper
from radiomics_npc.report.paper_tables import paper_tables
from radiomics_npc.report.references import references
from radiomics_npc.storage import read_table
from radiomics_npc.study import Study
from radiomics_npc.survival.models.model_file import load_model, save_model
from radiomics_npc.survival.models.prognostic import PrognosticModel

WRITTEN = [
    "checklist_clear.csv", "checklist_metrics.csv", "checklist_tripod_ai.csv", "checklists.docx",
    "checklists.html", "methods.docx", "tables.docx",
]  # fmt: skip


def cohort(n: int) -> tuple[pd.DataFrame, Outcome]:
    random = np.random.default_rng(5)
    ids = [f"SECRET{k:03d}" for k in range(n)]
    table = pd.DataFrame({
        "T": pd.Categorical(random.choice(["T1", "T2", "T3"], n)), "age": random.normal(55, 10, n).round(1),
        **{f"t1__original__glcm__F{k}": random.normal(size=n) for k in range(20)},
    }, index=pd.Index(ids, name="patient_id"))  # fmt: skip
    time = random.exponential(60 * np.exp(-0.8 * table["t1__original__glcm__F0"]))
    return table, Outcome(np.minimum(time, 60) + 0.1, time < 60, ids, "overall survival")


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    """Three kinds of model in their folders."""
    folder = tmp_path_factory.mktemp("run")
    X, y = cohort(150)
    for name in ("clinical_cox", "combined_cox", "combined_boosted"):
        content, _, learner = name.partition("_")
        model = PrognosticModel(content, learner, clinical=["T", "age"], inner_folds=2).fit(X, y)
        save_model(model, folder / "models" / name, name=name, simulated=name == "combined_boosted")
    return folder


@pytest.mark.parametrize("name", ["clinical_cox", "combined_cox", "combined_boosted"])
def test_a_card_tells_inputs_performance_and_limits(saved, content, name):
    model = load_model(saved / "models" / name)
    card = model_card(model, content, sha256="ab" * 32)
    assert card.startswith("**Simulated patients" if name == "combined_boosted" else "# ")
    for words in (
        "## Intended use", "Not a medical device", "150 patients", f"{model.events_} events",
        "`T`): T1, T2 and T3",
        "## Performance outside the training folds", "## Not seen in training", "- Patients of ",
        "## Limits and ethics", "SHA-256 abab", "radiomics-npc", "overall survival",
    ):  # fmt: skip
        assert words in card, words
    ages = cohort(150)[0]["age"]
    assert f"{ages.min():.4g} to {ages.max():.4g}" in card
    assert ("radiomic feature" in card) == (name != "clinical_cox")
    assert "SECRET" not in card
    if name != "combined_boosted":  # whose calibration the content does not have
        for words in ("AUC at 60 months: 0.700 (0.650 to 0.750)", "Calibration slope at 60 months: 0.870",
                      "Observed over expected events at 60 months: 1.020 (0.900 to 1.100)"):  # fmt: skip
            assert words in card, words
    else:
        assert "Harrell's C: 0.700 (0.640 to 0.750)" in card


def test_a_card_says_how_wide_the_limits_of_c_are(saved, content):
    content["models"]["design"]["confidence"] = 0.9
    card = model_card(load_model(saved / "models" / "combined_cox"), content)
    assert "Harrell's C: 0.710 (0.650 to 0.760), a 90% interval" in card
    assert "AUC at 60 months: 0.700 (0.650 to 0.750)\n" in card
    assert "where no other is named" in card


def test_a_card_of_a_model_that_was_not_validated_says_so(saved):
    card = model_card(load_model(saved / "models" / "clinical_cox"), {})
    assert "Not known: the model was not validated." in card
    assert "Centers: not named in the data" in card


def test_all_files_are_written_alike_twice(saved, content, tmp_path):
    runs = []
    for name in ("a", "b"):
        folder = shutil.copytree(saved, tmp_path / name)
        models = {path.name: load_model(path) for path in (folder / "models").iterdir()}
        write_paper(folder, content, models)
        runs.append(
            {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        )
    assert runs[0] == runs[1]
    names = {str(path) for path in runs[0]}
    assert {f"documents/{name}" for name in WRITTEN} <= names
    assert {"methods.md", "references.bib", "models/clinical_cox/card.md"} <= names
    digest = json.loads(runs[0][Path("models/clinical_cox/model.json")])["sha256"]
    assert digest in runs[0][Path("models/clinical_cox/card.md")].decode()
    table = read_table(tmp_path / "a" / "documents" / "checklist_metrics.csv")
    assert len(table) == 30
    assert table["simulated"].all()


def test_tables_of_an_earlier_run_do_not_stay(tmp_path):
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents" / "tables.docx").write_bytes(b"old")
    write_paper(tmp_path, {}, {})
    assert sorted(path.name for path in (tmp_path / "documents").iterdir()) == sorted(
        set(WRITTEN) - {"tables.docx"}
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A small clinical study whose patients have names that must not leave their tables."""
    folder = tmp_path_factory.mktemp("study")
    X, y = cohort(90)
    table = X[["T", "age"]].assign(months=y.time_months.round(2), event=y.event.astype(int)).rename_axis("ID")
    table.reset_index().to_csv(folder / "clinical.csv", index=False)
    outcome = {"time": "months", "unit": "months", "event": "event", "coding": "0/1"}
    Study({
        "output": str(folder / "run"), "features": None,
        "cohort": {
            "layout": "clinical", "clinical": {"file": str(folder / "clinical.csv")}, "outcome": outcome,
        },
        "models": {"fit": ["clinical_cox"], "clinical": ["T", "age"]},
        "validation": {"folds": 2, "repeats": 1, "inner_folds": 2},
        "nomogram": {"model": "clinical_cox", "horizons_months": [36, 60]},
    }, jobs=1).run()  # fmt: skip
    return folder / "run"


def test_a_run_writes_its_paper_without_patients_and_places(finished):
    made = [finished / "methods.md", finished / "references.bib", *(finished / "documents").iterdir(),
            finished / "models" / "clinical_cox" / "card.md"]  # fmt: skip
    assert sorted(path.name for path in (finished / "documents").iterdir()) == WRITTEN
    for path in made:
        content = path.read_bytes()
        assert b"SECRET" not in content, path.name
        assert str(finished.parent).encode() not in content, path.name
    text = (finished / "methods.md").read_text(encoding="utf-8")
    assert "median follow-up was" in text
    assert "Differences in C" not in text  # of one model there are none
    assert "selection" not in text
    keys = [key for key in references() if f"{{{key}," in (finished / "references.bib").read_text()]
    assert len(keys) == int(text.strip().splitlines()[-1].split(".")[0])


def test_every_figure_is_there_in_both_formats_and_every_table_in_full(finished):
    from radiomics_npc.report.content import read_run
    from radiomics_npc.report.drawing import draw_figures

    content = read_run(finished)
    for name in draw_figures(content):
        for kind in ("svg", "png"):
            assert (finished / "figures" / f"{name}.{kind}").exists(), f"{name}.{kind}"
    for part in paper_tables(content):
        for source in part.source:
            assert list((finished / "tables").glob(f"{source}.csv")), source


def test_the_report_written_again_gives_the_same_bytes(finished):
    def files() -> dict[Path, bytes]:
        return {p.relative_to(finished): p.read_bytes() for p in finished.rglob("*") if p.is_file()}

    before = files()
    write_run_report(finished)
    after = files()
    assert [path for path in before if after.get(path) != before[path]] == []
    assert set(after) == set(before)


def test_follow_up_is_the_reverse_kaplan_meier_median(finished):
    from radiomics_npc.report.content import read_run

    outcome = read_table(finished / "tables" / "outcome.csv")
    time, censored = outcome["time_months"].to_numpy(), ~outcome["event"].astype(bool).to_numpy()
    survival, median = 1.0, None
    for moment in np.unique(time):
        survival *= 1 - ((time == moment) & censored).sum() / (time >= moment).sum()
        if survival <= 0.5:
            median = float(moment)
            break
    assert read_run(finished)["follow_up"] == {"median_months": median, "longest_months": time.max()}
