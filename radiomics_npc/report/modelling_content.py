"""What a report shows of the models, read from the tables and model files of a run folder."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError, ConfigError, HorizonError, ModelFileError
from radiomics_npc.nomogram.nomogram import Nomogram
from radiomics_npc.report.subgroups import subgroup_scores
from radiomics_npc.storage import read_table
from radiomics_npc.survival.estimation.kaplan_meier import kaplan_meier
from radiomics_npc.survival.estimation.log_rank import log_rank, pairwise_log_rank
from radiomics_npc.survival.estimation.restricted_mean import restricted_mean_difference
from radiomics_npc.survival.models.cohort_size import sample_size_warnings
from radiomics_npc.survival.models.model_file import load_model
from radiomics_npc.survival.models.standard import candidate_parameters
from radiomics_npc.survival.selection.signature import RAD_SCORE
from radiomics_npc.survival.validation.cross_validated import (
    FAILURES,
    SELECTED,
    CrossValidation,
    score_predictions,
)
from radiomics_npc.survival.validation.scoring import pfs_column

__all__ = ["has_modelling", "load_models", "read_modelling", "read_optional"]

Content = dict[str, Any]
_NEEDED = ("cross_validation.json", "predictions.parquet", "outcome.csv", "excluded.csv")


def has_modelling(folder: Path) -> bool:
    """Whether the models of a run were validated."""
    return all((folder / "tables" / name).exists() for name in _NEEDED)


def read_optional(path: Path) -> pd.DataFrame | None:
    """A table with empty cells where text is missing, numbers stay numbers; None if it is not there."""
    if not path.exists():
        return None
    table = read_table(path)
    text = table.select_dtypes("object").columns
    return table.assign(**{name: table[name].fillna("") for name in text})


def load_models(folder: Path, names: list[str]) -> dict[str, Any]:
    """The models of a run that have a file which can be read; forests have none."""
    found = {}
    for name in names:
        if (folder / "models" / name / "model.json").exists():
            try:
                found[name] = load_model(folder / "models" / name)
            except ModelFileError:  # of an older version: its tables still tell what it did
                continue
    return found


def read_modelling(folder: Path, settings: Content, *, simulated: bool) -> Content:
    """Everything that the fit left, as :func:`radiomics_npc.report.html.write_report` takes it.

    Parameters
    ----------
    folder : Path
        Of a run for which :func:`has_modelling` is true.
    settings : dict
        Of its study.yaml.
    simulated : bool

    Returns
    -------
    dict
        Without the keys of what was not asked for, or could not be made.
    """
    tables = folder / "tables"
    y = Outcome.from_frame(read_table(tables / "outcome.csv").set_index("patient_id"))
    y = replace(y, simulated=simulated)
    result = _cross_validation(tables, y)
    y = replace(y, name=result.design.get("outcome") or settings["cohort"]["outcome"]["name"])
    horizon = float(result.design["horizon_months"])
    excluded = read_table(tables / "excluded.csv").groupby("reason", sort=False).size()
    names = list(settings["models"]["fit"])
    shown = (settings.get("nomogram") or {}).get("model") or names[-1]
    models = load_models(folder, names)
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
            "shown": shown, "scores": result.scores, "differences": result.differences,
            "per_repeat": result.per_repeat,
            "failures": result.failures, "notes": result.notes, "design": result.design,
            "oracle": _oracle(tables),
        },
        "kaplan_meier": _risk_groups(result, shown, y, horizon),
        "hazard_ratios": {name: m.cox_.summary() for name, m in models.items() if hasattr(m, "cox_")},
        "notes": {name: list(m.notes_) for name, m in models.items()},
        "sample_size": _sample_size(tables, settings, result, y),
        "subgroups": _subgroups(tables, settings, result, shown),
    }  # fmt: skip
    model = models.get(shown)
    if model is not None and hasattr(model, "rad_score_") and RAD_SCORE in model.cox_.columns_:
        content["rad_score"] = model.rad_score_.to_frame()
    if settings.get("nomogram") is not None and model is not None:
        content["nomogram"] = _nomogram(model, shown, settings["nomogram"]["horizons_months"])
    content |= _tables(tables, settings) | _tables_by_model(folder, names, shown)
    return {key: part for key, part in content.items() if part is not None}


def _subgroups(tables: Path, settings: Content, result: CrossValidation, model: str) -> Content | None:
    """The shown model in parts of the cohort; None in a folder of earlier versions, without their table."""
    path, horizon = tables / "clinical.parquet", float(result.design["horizon_months"])
    if not path.exists() or model not in result.models:
        return None
    clinical = read_table(path).set_index("patient_id")
    predicted = result.patients(model)[pfs_column(horizon)]
    if predicted.notna().sum() < 2:
        return None
    needed = settings["models"]["clinical"]
    table = subgroup_scores(result.outcome, predicted, clinical, horizon_months=horizon, needed=needed)
    return {"model": model, "horizon_months": horizon, "table": table}


def _cross_validation(tables: Path, y: Outcome) -> CrossValidation:
    """As :meth:`CrossValidation.read`, and from a folder that lacks what earlier versions did not write."""
    design = json.loads((tables / "cross_validation.json").read_text(encoding="utf-8"))
    design.setdefault("horizons_months", [design["horizon_months"]])
    failures, selected = (
        pd.DataFrame(columns=columns) if table is None else table
        for table, columns in (
            (read_optional(tables / "failed_fits.csv"), FAILURES),
            (read_optional(tables / "selected_features.csv"), SELECTED),
        )
    )
    return score_predictions(read_table(tables / "predictions.parquet"), failures, selected, y, design)


def _tables(tables: Path, settings: Content) -> Content:
    """Parts that are tables of one name."""
    names = ("accuracy", "decision_curves", "reclassification", "permutation_test", "learning_curve")
    content: Content = {name: read_optional(tables / f"{name}.csv") for name in names}
    content["contour_uncertainty"] = read_optional(tables / "contour_uncertainty_summary.csv")
    content["surrogates"] = read_optional(tables / "surrogate_fidelity.csv")
    loss = read_optional(tables / "complete_cases.csv")
    if loss is not None and "column" in loss:
        content["complete_cases"] = loss
    for key, parts in (
        ("calibration", {"table": "calibration", "groups": "calibration_groups",
                         "curves": "calibration_curves"}),
        ("optimism", {"table": "optimism", "plus": "optimism_632"}),
        ("centers", {"table": "centers", "pooled": "centers_pooled"}),
    ):  # fmt: skip
        found = {part: read_optional(tables / f"{name}.csv") for part, name in parts.items()}
        if found["table"] is not None:
            content[key] = found
    asked = (settings["cohort"]["outcome"] or {}).get("endpoints") or {}
    endpoints = {
        (asked[name].get("name") or name): table
        for name in asked
        if (table := read_optional(tables / f"endpoint_{name}.csv")) is not None
    }
    return content | ({"endpoints": endpoints} if endpoints else {})


def _tables_by_model(folder: Path, names: list[str], shown: str) -> Content:
    """Parts that are one table a model, the model that is shown first."""
    order = [shown, *(name for name in names if name != shown)]
    content: Content = {}
    for key in ("proportional_hazards", "effects_over_time", "selection", "shap"):
        found: Content = {}
        for name in order:
            table = read_optional(folder / "tables" / f"{key}_{name}.csv")
            if table is not None:
                found[name] = table
        content[key] = found or None
    for name, table in (content["shap"] or {}).items():
        picture = folder / "figures" / f"shap_{name}.png"
        content["shap"][name] = {
            "table": table, "figure": picture.read_bytes() if picture.exists() else None,
        }  # fmt: skip
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
    table = read_optional(tables / "oracle.csv")
    return None if table is None else dict(zip(table["metric"], table["estimate"], strict=True))


def _risk_groups(result: CrossValidation, model: str, y: Outcome, horizon: float) -> Content | None:
    """Kaplan-Meier curves of the groups that patients were put into outside their training folds."""
    if model not in result.models:
        return None
    group = result.patients(model)["group"]
    held = group.notna().to_numpy()  # all of them, but for a split by time
    if held.sum() < 2 or group[held].nunique() < 2 or ((~held).any() and result.design["folds"] > 1):
        return None
    y, group = y.take(held), group[held].cat.remove_unused_categories()
    present = list(group.cat.categories)
    parts = {name: y.take((group == name).to_numpy()) for name in present}
    until = min(horizon, *(float(part.time_months.max()) for part in parts.values()))
    return {
        "model": model,
        "curves": {name: kaplan_meier(part).to_frame() for name, part in parts.items()},
        "p": log_rank(y, group).p,
        "pairs": pairwise_log_rank(y, group) if len(present) > 2 else None,
        "restricted_mean": _restricted_means(y, group, until),
    }  # fmt: skip


def _restricted_means(y: Outcome, group: pd.Series, until_months: float) -> pd.DataFrame | None:
    """Restricted mean of every group, and its difference from the first."""
    first, *others = group.cat.categories
    rows: list[dict[str, Any]] = []
    for other in others:
        chosen = group.isin([first, other]).to_numpy()
        try:
            found = restricted_mean_difference(y.take(chosen), group[chosen], until_months)
        except (CohortError, HorizonError):
            return None
        lower, upper = found.interval()
        gap = {
            "difference": found.estimate,
            "difference_lower": lower,
            "difference_upper": upper,
            "p": found.p,
        }
        for name, mean in found.groups.items():
            if name == first and rows:
                continue
            of_first = dict.fromkeys(gap, np.nan)
            low, high = mean.interval()
            row = {
                "group": name, "patients": mean.patients, "events": mean.events,
                "until_months": mean.until_months, "estimate": mean.estimate, "lower": low, "upper": high,
            }  # fmt: skip
            rows.append(row | (of_first if name == first else gap))
    return pd.DataFrame(rows)


def _sample_size(tables: Path, settings: Content, result: CrossValidation, y: Outcome) -> Content | None:
    """Events per candidate parameter of the Cox models, and what a larger cohort would be needed for."""
    path, events = tables / "design_matrix.parquet", int(y.event.sum())
    if not path.exists() or not events:
        return None
    wanted, horizon = settings["models"], float(result.design["horizon_months"])
    counts = candidate_parameters(read_table(path), wanted["clinical"], wanted.get("splines") or {})
    scores = result.scores[result.scores["metric"] == "harrell_c"].set_index("model")["estimate"]
    rows, warnings = [], {}
    for model in (name for name in wanted["fit"] if counts.get(name)):
        c = float(scores.get(model, np.nan))
        try:
            # A model no better than chance says nothing of the R2 to expect: the usual one is assumed.
            warnings[model] = sample_size_warnings(
                y, counts[model], horizon_months=horizon, c_index=c if 0.5 < c < 1 else None
            )
        except (CohortError, ConfigError):
            warnings[model] = []
        rows.append((model, counts[model], events, events / counts[model]))
    table = pd.DataFrame(rows, columns=["model", "parameters", "events", "events_per_parameter"])
    return {"table": table, "warnings": warnings} if rows else None
