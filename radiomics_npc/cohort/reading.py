"""Read a whole cohort: files, clinical table and outcome of the same patients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from radiomics_npc.cohort.cases import Case, Cohort
from radiomics_npc.cohort.clinical import index_by_patient, keep_patients, type_columns
from radiomics_npc.cohort.competing import CompetingOutcome
from radiomics_npc.cohort.endpoint import read_outcome
from radiomics_npc.cohort.endpoints import read_endpoints
from radiomics_npc.cohort.findings import Finding
from radiomics_npc.cohort.layouts import find_cases, guess_layout, published_folder
from radiomics_npc.cohort.matching import match_patients
from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.cohort.regions import image_names
from radiomics_npc.cohort.simulated_mark import lie_in_simulated
from radiomics_npc.cohort.stage_checks import check_stages
from radiomics_npc.cohort.tables import read_cells
from radiomics_npc.config import read_settings
from radiomics_npc.settings import ClinicalSettings, CohortSettings

__all__ = ["read_cohort"]

_PUBLISHED_TABLE = "info_diagnoses.csv"


def read_cohort(source: CohortSettings | Path | str | dict[str, Any]) -> Cohort:
    """Read who is in a study.

    Images are found but not opened; :func:`radiomics_npc.imaging.checks.check_cohort`
    does that. Faults of single patients are collected in ``Cohort.findings``.

    Parameters
    ----------
    source : CohortSettings, path or dict
        Settings; or a ``study.yaml``; or a folder, whose ``manifest.csv`` is
        read or, without, whose layout is guessed; or a manifest (CSV or XLSX);
        or the content of a study, or of its ``cohort`` part, as a dictionary.

    Returns
    -------
    Cohort
        Patients in the order of patient_id, without those that ``keep`` leaves
        out. With images, patients who only stand in the clinical table are left
        out and reported; patients without clinical line stay and are reported.

    Raises
    ------
    ConfigError
        The settings are wrong.
    CohortError
        There is nothing to read: no patient folder, no table, no patient column.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "clinical.csv"
    >>> _ = file.write_text("ID,T,months,died\\n001,T3,60,0\\n002,T4,12,1\\n")
    >>> cohort = read_cohort({
    ...     "layout": "clinical", "clinical": {"file": str(file)},
    ...     "outcome": {"time": "months", "unit": "months", "event": "died", "coding": "0/1"}})
    >>> cohort
    <Cohort: 2 patients, 1 events>
    """
    settings = _settings(source)
    cases, findings = find_cases(settings)
    raw, faults = _clinical_cells(settings)
    findings += faults
    if raw is None:
        if settings.outcome is not None:
            problem = "an outcome is asked for, but there is no clinical table"
            findings.append(Finding.error(problem, "Name it under cohort.clinical.file."))
        return _cohort(settings, cases, None, None, findings)
    if settings.layout == "clinical":
        cases = [Case(str(p)) for p in sorted(raw.index)]
    raw, faults = match_patients(raw, [case.patient_id for case in cases])
    clinical = settings.clinical or ClinicalSettings()
    typed, seen = type_columns(raw, clinical)
    kept, left_out = keep_patients(typed, clinical)
    gone = set(typed.index) - set(kept.index)
    cases = [_with_center(case, kept) for case in cases if case.patient_id not in gone]
    findings += [*faults, *seen, *left_out, *check_stages(kept)]
    rule = ", ".join(f"{name} {' or '.join(values)}" for name, values in clinical.keep.items())
    excluded = [(str(who), f"only {rule} is kept") for who in typed.index if who in gone]
    outcome = None
    endpoints: dict[str, CompetingOutcome] = {}
    if settings.outcome is not None:
        rows, words = raw.loc[kept.index], tuple(clinical.missing)
        outcome, faults = read_outcome(rows, settings.outcome, words)
        findings += faults + _nobody_left(outcome, faults)
        why = {fault.patient_id: fault.problem for fault in faults}
        without = kept.index.difference([] if outcome is None else list(outcome.patient_id))
        excluded += [(str(who), why.get(who, "no usable outcome")) for who in without]
        endpoints, faults = read_endpoints(rows, settings.outcome, words, said=faults)
        findings += faults
    cohort = _cohort(settings, cases, _add_centers(kept, cases), outcome, findings)
    if outcome is not None:
        outcome = replace(outcome, simulated=cohort.simulated)
    endpoints = {name: replace(y, simulated=cohort.simulated) for name, y in endpoints.items()}
    return replace(cohort, outcome=outcome, excluded=tuple(excluded), endpoints=endpoints)


def _holds_images(path: Path) -> bool:
    return path.is_dir() or path.suffix.lower() in (".csv", ".xlsx")


def _nobody_left(outcome: Outcome | None, faults: Sequence[Finding]) -> list[Finding]:
    """The fault of an outcome that was read without any, and of nobody."""
    if outcome is None or len(outcome) or any(fault.severity == "error" for fault in faults):
        return []
    problem = "nobody has a usable outcome"
    return [Finding.error(problem, "Complete time and event.", where="outcome")]


def _settings(source: CohortSettings | Path | str | dict[str, Any]) -> CohortSettings:
    if isinstance(source, CohortSettings):
        return source
    if isinstance(source, dict) and "cohort" not in source:
        source = {"cohort": source}
    elif isinstance(source, str | Path) and _holds_images(path := Path(source)):
        path = beside if (beside := path / "manifest.csv").is_file() else path
        source = {"cohort": {"path": str(path), "layout": guess_layout(path)}}
    if isinstance(source, dict):
        # only the cohort is read here, so what a study would do with it must not matter
        source = {"cohort": source["cohort"], "models": None, "nomogram": None}
    return read_settings(source).cohort


def _beside_images(root: Path, name: str) -> Path | None:
    """Find a file of the published data set, beside the images or one folder above."""
    images = published_folder(root)
    return next((f / name for f in (root, images, images.parent) if (f / name).is_file()), None)


def _clinical_cells(settings: CohortSettings) -> tuple[pd.DataFrame | None, list[Finding]]:
    if settings.clinical is None:
        return None, []
    file = settings.clinical.file
    if file is None and settings.layout == "published" and settings.path is not None:
        file = _beside_images(settings.path, _PUBLISHED_TABLE)
        if file is None:
            return None, [
                Finding.warning(f"no {_PUBLISHED_TABLE} beside the images", "Name the clinical table.")
            ]
    if file is None:
        return None, []
    cells, notes = read_cells(file, settings.clinical.sheet)
    cells, faults = index_by_patient(cells, settings.clinical, file.name)
    return cells, notes + faults


def _with_center(case: Case, clinical: pd.DataFrame) -> Case:
    if case.center or "center" not in clinical.columns or case.patient_id not in clinical.index:
        return case
    center = clinical.at[case.patient_id, "center"]
    return replace(case, center=center) if isinstance(center, str) else case


def _add_centers(clinical: pd.DataFrame, cases: list[Case]) -> pd.DataFrame:
    """Give the clinical table the centers of a manifest, where it has none of its own."""
    centers = {case.patient_id: case.center or None for case in cases}
    if "center" in clinical.columns or not any(centers.values()):
        return clinical
    return clinical.assign(center=pd.Series(centers).reindex(clinical.index).astype("category"))


def _cohort(
    settings: CohortSettings,
    cases: list[Case],
    clinical: pd.DataFrame | None,
    outcome: Outcome | None,
    findings: list[Finding],
) -> Cohort:
    sequences = () if settings.layout == "clinical" else image_names(settings.sequences, settings.regions)
    simulated = _is_simulated(settings, cases)
    if simulated:
        findings = [
            *findings,
            Finding.info("the patients are simulated: they never lived", where="dataset.json"),
        ]
    return Cohort(
        cases=tuple(cases),
        clinical=clinical,
        outcome=outcome,
        findings=tuple(findings),
        sequences=sequences,
        on_mismatch=settings.on_mismatch,
        simulated=simulated,
    )


def _is_simulated(settings: CohortSettings, cases: list[Case]) -> bool:
    """Whether the images, or the tables read, lie in a folder that says they are simulated."""
    files = [files.image for case in cases for files in case.images.values()]
    table = None if settings.clinical is None else settings.clinical.file
    starts = [path for path in (settings.path, table) if path is not None] + files
    return lie_in_simulated(starts)
