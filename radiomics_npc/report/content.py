"""What a report shows, read from a run folder: its tables, models and record."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError, ConfigError, HorizonError
from radiomics_npc.features.table import FeatureTable
from radiomics_npc.nomogram.nomogram import Nomogram
from radiomics_npc.nomogram.style import save_figure
from radiomics_npc.report.cards import model_card
from radiomics_npc.report.html import draw_figures, write_report
from radiomics_npc.report.methods import methods_text
from radiomics_npc.storage import read_table, write_table, write_text
from radiomics_npc.survival.estimation.kaplan_meier import kaplan_meier, log_rank
from radiomics_npc.survival.models.model_file import load_model
from radiomics_npc.survival.selection.signature import RAD_SCORE
from radiomics_npc.survival.validation.cross_validation import CrossValidation

__all__ = ["read_run", "write_run_report"]

Content = dict[str, Any]


def read_run(folder: Path | str) -> Content:
    """Read what a run folder holds into the plain dictionary a report is made from.

    Parameters
    ----------
    folder : Path
        Of a run, finished or not: what is not there yet is left out.

    Returns
    -------
    dict
        As :func:`radiomics_npc.report.html.write_report` takes it.

    Raises
    ------
    ConfigError
        It is no run folder.
    """
    folder = Path(folder)
    try:
        record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        settings = yaml.safe_load((folder / "study.yaml").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise ConfigError(
            f"{folder.name} is no run folder", "Give the folder that `radiomics-npc run` wrote."
        ) from None
    tables = folder / "tables"
    content: Content = {
        "title": settings["name"],
        "study": settings["name"],
        "simulated": record["simulated"],
        "settings": settings,
        "versions": record["versions"],
        "findings": _read(folder / "check.csv"),
        "table_one": _read(tables / "table_one.csv"),
        "flow": {
            "read": record["patients"],
            "analyzed": record["patients"],
            "excluded": None,
            "events": None,
        },
    }
    montage = folder / "figures" / "montage.png"
    content["montage"] = montage.read_bytes() if montage.exists() else None
    if settings["features"] is not None:
        content["features"] = _features(tables, settings)
    if settings["models"] is not None and (tables / "cross_validation.json").exists():
        content |= _modelling(folder, settings, simulated=record["simulated"])
    return content


def _read(path: Path) -> pd.DataFrame | None:
    """A table with empty cells where text is missing; numbers stay numbers."""
    if not path.exists():
        return None
    table = read_table(path)
    text = table.select_dtypes("object").columns
    return table.assign(**{name: table[name].fillna("") for name in text})


def _features(tables: Path, settings: Content) -> Content | None:
    if not (tables / "features.parquet").exists():
        return None
    table = FeatureTable.read(tables)
    return {
        "number": table.to_frame().shape[1],
        "sequences": settings["cohort"]["sequences"],
        "preset": settings["features"]["preset"],
        "normalize": settings["features"]["normalize"],
        "morphology": settings["features"]["morphology"],
        "failures": table.failures,
        "settings": {name: recipe["pyradiomics"] for name, recipe in table.settings["sequences"].items()},
    }


def _modelling(folder: Path, settings: Content, *, simulated: bool) -> Content:
    tables = folder / "tables"
    y = Outcome.from_frame(read_table(tables / "outcome.csv").set_index("patient_id"))
    y = replace(y, name=settings["cohort"]["outcome"]["name"], simulated=simulated)
    result = CrossValidation.read(tables, y)
    horizon = float(result.design["horizon_months"])
    excluded = read_table(tables / "excluded.csv").groupby("reason", sort=False).size()
    shown = (settings["nomogram"] or {}).get("model") or settings["models"]["fit"][-1]
    models = {name: load_model(folder / "models" / name) for name in settings["models"]["fit"]}
    content: Content = {
        "flow": {
            "read": len(y) + int(excluded.sum()), "analyzed": len(y), "events": int(y.event.sum()),
            "excluded": excluded.rename("patients").reset_index(),
        },
        "outcome": {
            "name": y.name, "horizon_months": horizon,
            "observed": float(kaplan_meier(y).at([horizon])["survival"].iloc[0]),
        },
        "models": {
            "scores": result.scores, "differences": result.differences, "per_repeat": result.per_repeat,
            "failures": result.failures, "notes": result.notes, "design": result.design,
            "oracle": _oracle(tables),
        },
        "kaplan_meier": _risk_groups(result, shown, y),
        "calibration": _calibration(result),
        "hazard_ratios": {name: m.cox_.summary() for name, m in models.items() if hasattr(m, "cox_")},
        "notes": {name: list(m.notes_) for name, m in models.items()},
    }  # fmt: skip
    if hasattr(models[shown], "rad_score_") and RAD_SCORE in models[shown].cox_.columns_:
        content["rad_score"] = models[shown].rad_score_.to_frame()
    if settings["nomogram"] is not None:
        content["nomogram"] = _nomogram(models[shown], shown, settings["nomogram"]["horizons_months"])
    return content


def _nomogram(model: Any, name: str, horizons: list[float]) -> Content | None:
    """The nomogram's part; None for a model in which nothing changes the risk (its notes say why)."""
    try:
        nomogram = Nomogram.from_model(model, horizons=horizons)
    except (CohortError, HorizonError):
        return None
    return {
        "model": name, "horizons_months": horizons, "figure": nomogram.draw(),
        "points": nomogram.points_table(), "link": "nomogram.html",
    }  # fmt: skip


def _oracle(tables: Path) -> dict[str, float] | None:
    path = tables / "oracle.csv"
    if not path.exists():
        return None
    table = read_table(path)
    return dict(zip(table["metric"], table["estimate"], strict=True))


def _risk_groups(result: CrossValidation, model: str, y: Outcome) -> Content | None:
    """Kaplan-Meier curves of the groups that patients were put into outside their training folds."""
    groups = result.patients(model)["group"]
    if groups.isna().any() or groups.nunique() < 2:
        return None
    present = [name for name in groups.cat.categories if (groups == name).any()]
    curves = {name: kaplan_meier(y.take((groups == name).to_numpy())).to_frame() for name in present}
    return {"model": model, "curves": curves, "p": log_rank(y, groups).p}


def _calibration(result: CrossValidation) -> dict[str, Content]:
    found = {}
    for model in result.models:
        try:
            calibration = result.calibration(model)
        except (CohortError, HorizonError):  # fits failed, or end too early: the section on models says so
            continue
        ratio = (calibration.observed_expected, *calibration.observed_expected_interval)
        found[model] = {"table": calibration.to_frame(), "observed_expected": ratio}
    return found


def write_run_report(folder: Path | str) -> Path:
    """Write ``report.html``, ``report.json``, ``methods.md``, the figures and the model cards of a run.

    Parameters
    ----------
    folder : Path
        A run folder.

    Returns
    -------
    Path
        ``report.html``.

    Raises
    ------
    ConfigError
        It is no run folder.
    """
    folder = Path(folder)
    content = read_run(folder)
    for name, figure in draw_figures(content).items():
        if not isinstance(figure, bytes):
            for kind in ("svg", "png"):
                save_figure(figure, folder / "figures" / f"{name}.{kind}")
    for model, table in (content.get("hazard_ratios") or {}).items():
        write_table(folder / "tables" / f"hazard_ratios_{model}.csv", _marked(table, content))
    for model, found in (content.get("calibration") or {}).items():
        write_table(folder / "tables" / f"calibration_{model}.csv", _marked(found["table"], content))
    _write_cards(folder, content)
    write_text(folder / "methods.md", methods_text(content))
    return write_report(content, folder / "report.html")


def _marked(table: pd.DataFrame, content: Mapping[str, Any]) -> pd.DataFrame:
    """A table that says by itself when its patients are simulated."""
    return table.assign(simulated=True) if content["simulated"] else table


def _write_cards(folder: Path, content: Mapping[str, Any]) -> None:
    for name in content.get("notes") or {}:
        scores = content["models"]["scores"]
        card = model_card(load_model(folder / "models" / name), scores[scores["model"] == name])
        write_text(folder / "models" / name / "card.md", card)
