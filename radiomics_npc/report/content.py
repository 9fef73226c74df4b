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
from radiomics_npc.errors import ConfigError
from radiomics_npc.features.table import FeatureTable
from radiomics_npc.nomogram.style import save_figure
from radiomics_npc.report.contour_content import read_contours
from radiomics_npc.report.drawing import draw_figures
from radiomics_npc.report.flow import measured_flow
from radiomics_npc.report.html import write_report
from radiomics_npc.report.intensity_methods import intensity_content
from radiomics_npc.report.modelling_content import has_modelling, load_models, read_modelling, read_optional
from radiomics_npc.report.paper import write_paper
from radiomics_npc.report.protocols import protocol_table, read_protocols
from radiomics_npc.report.registration_sections import read_registration
from radiomics_npc.storage import read_table, write_table
from radiomics_npc.survival.estimation.kaplan_meier import kaplan_meier

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
        "settings": without_folders(settings),
        "versions": record["versions"],
        "findings": read_optional(folder / "check.csv"),
        "table_one": read_optional(tables / "table_one.csv"),
        "table_one_center": read_optional(tables / "table_one_center.csv"),
        "protocols": read_protocols(tables),
        "flow": measured_flow(record["patients"], read_optional(folder / "failures.csv")),
        "quality": _quality(folder, record),
    }
    montage = folder / "figures" / "montage.png"
    content["montage"] = montage.read_bytes() if montage.exists() else None
    content |= read_contours(folder, settings, record)
    content |= read_registration(folder, settings, record)
    if settings["features"] is not None:
        content["features"] = _features(tables, settings)
        content["stability"] = _stability(tables, settings)
    if settings["models"] is not None and has_modelling(folder):
        content["appraisal_notes"] = list(record.get("appraisal_notes") or ())
        content |= read_modelling(folder, settings, simulated=record["simulated"])
        content["follow_up"] = _follow_up(tables)
        example = folder / "figures" / "nomogram_example.svg"
        if content.get("nomogram") and example.exists():
            content["nomogram"]["example"] = {"figure": example.read_text(encoding="utf-8")}
    return content


def without_folders(settings: Any) -> Any:
    """Settings with names for paths that leave the run folder: the way to a file tells whose disk it is.

    Parameters
    ----------
    settings : dict, or any part of one
        Of a study.yaml in a run folder: its paths are relative to it.

    Examples
    --------
    >>> without_folders({"file": "../../home/somebody/clinical.csv", "fit": ["a/b", "../data"]})
    {'file': 'clinical.csv', 'fit': ['a/b', 'data']}
    """
    if isinstance(settings, Mapping):
        return {key: without_folders(value) for key, value in settings.items()}
    if isinstance(settings, list):
        return [without_folders(value) for value in settings]
    return Path(settings).name if isinstance(settings, str) and settings.startswith("../") else settings


def _quality(folder: Path, record: Content) -> Content | None:
    """The page of contours beside the report, and how many patients on it want a look."""
    if not record.get("quality") or not (folder / "quality.html").exists():
        return None
    return {"link": "quality.html", **record["quality"]}


def _follow_up(tables: Path) -> Content:
    """Median follow-up by the reverse Kaplan-Meier estimate, None where too few are censored; the longest."""
    y = Outcome.from_frame(read_table(tables / "outcome.csv").set_index("patient_id"))
    longest = float(y.time_months.max())
    if y.event.all():
        return {"median_months": None, "longest_months": longest}
    curve = kaplan_meier(replace(y, event=~y.event)).to_frame()
    reached = curve.loc[curve["survival"] <= 0.5, "time_months"]
    return {"median_months": float(reached.iloc[0]) if len(reached) else None, "longest_months": longest}


def _features(tables: Path, settings: Content) -> Content | None:
    if not (tables / "features.parquet").exists():
        return None
    table = FeatureTable.read(tables)
    return {
        "number": table.to_frame().shape[1],
        "sequences": list(table.settings["sequences"]),
        "preset": settings["features"]["preset"],
        "normalize": settings["features"]["normalize"],
        **intensity_content(table.settings["sequences"]),
        "morphology": settings["features"]["morphology"],
        "failures": table.failures,
        "absent": table.absent,
        "settings": {name: recipe["pyradiomics"] for name, recipe in table.settings["sequences"].items()},
    }


def _stability(tables: Path, settings: Content) -> Content | None:
    """Stability, if the study asks for it: a table of earlier settings may still lie there."""
    wanted = settings["features"].get("stability")
    table = read_optional(tables / "stability.csv")
    if wanted is None or table is None or table.empty:
        return None
    # The models leave out by the limit of the settings; see Preparation.
    return {"table": table, "minimum": float(wanted["minimum"]), "patients": int(wanted["patients"])}


def write_run_report(folder: Path | str) -> Path:
    """Write ``report.html``, ``report.json``, the figures, and what a paper needs of a run.

    The methods section with its references, tables and checklists as Word documents, and the
    model cards: see :func:`radiomics_npc.report.paper.write_paper`.

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
    for name, made in _made_tables(content).items():
        write_table(folder / "tables" / f"{name}.csv", _marked(made, content))
    write_paper(folder, content, load_models(folder, list(content.get("notes") or {})))
    return write_report(content, folder / "report.html")


def _marked(table: pd.DataFrame, content: Mapping[str, Any]) -> pd.DataFrame:
    """A table that says by itself when its patients are simulated."""
    return table.assign(simulated=True) if content["simulated"] else table


def _made_tables(content: Mapping[str, Any]) -> dict[str, pd.DataFrame]:
    """Tables that are made with the report, by the name of their file."""
    groups = content.get("kaplan_meier") or {}
    found = {
        "restricted_means": groups.get("restricted_mean"), "pairwise_log_rank": groups.get("pairs"),
        "sample_size": (content.get("sample_size") or {}).get("table"),
        "subgroups": (content.get("subgroups") or {}).get("table"),
        "protocols": protocol_table(content["protocols"]) if content.get("protocols") else None,
    }  # fmt: skip
    return {name: table for name, table in found.items() if table is not None}
