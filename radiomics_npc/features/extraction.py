"""Features of a whole cohort: one process a case, finished cases found again by content."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from radiomics_npc.cohort.cases import Cohort
from radiomics_npc.features.case_job import (
    CaseJob,
    case_key,
    describe_failure,
    extraction_recipe,
    is_absent,
    measure_pair,
    one_itk_thread,
    read_job,
)
from radiomics_npc.features.table import FAILURE_COLUMNS, FeatureTable
from radiomics_npc.parallel import map_cases
from radiomics_npc.progress import track
from radiomics_npc.settings import FeatureSettings
from radiomics_npc.storage import FeatureStore

__all__ = ["extract_features"]


@dataclass(frozen=True)
class _Result:
    patient_id: str
    sequence: str
    content: dict[str, Any] | None = None
    failure: dict[str, str] | None = None
    reused: bool = False
    absent: bool = False

    @property
    def label(self) -> str:
        """Shown by the progress bar."""
        return f"{self.patient_id} {self.sequence}"


def extract_features(
    cohort: Cohort,
    settings: FeatureSettings | None = None,
    *,
    jobs: int = 0,
    store: FeatureStore | None = None,
) -> FeatureTable:
    """Extract the features of every sequence of every patient.

    Parameters
    ----------
    cohort : Cohort
        Its ``sequences`` are extracted; a sequence the cohort does not ask
        for is no failure.
    settings : FeatureSettings, optional
        Preset or own PyRadiomics files, normalization, morphology. By default
        preset ``iso1mm`` on images z-scored over the body.
    jobs : int
        Processes, one case and one thread each; 0 takes all cores.
    store : FeatureStore, optional
        Where a finished case is kept and found again by the content of its
        files, the settings and the versions. Failed cases are not kept.

    Returns
    -------
    FeatureTable
        The same for any number of processes, whether computed or reused.

    Raises
    ------
    ConfigError
        The settings are wrong. Faults of a case raise nothing: they are
        listed in ``failures``.

    Examples
    --------
    >>> cohort = Cohort(cases=(), sequences=("t1",))
    >>> extract_features(cohort, jobs=1)
    <FeatureTable: 0 features of 0 patients, 0 cases done, 0 failed>
    """
    settings = settings or FeatureSettings()
    recipes = {name: extraction_recipe(settings, name, cohort.on_mismatch) for name in cohort.sequences}
    root = None if store is None else store.root
    work = [
        CaseJob(case.patient_id, name, case.images.get(name), recipes[name], root)
        for case in cohort.cases
        for name in cohort.sequences
    ]
    results = list(track(map_cases(_run, work, jobs=jobs), "extract", len(work)))
    place = {(job.patient_id, job.sequence): number for number, job in enumerate(work)}
    results.sort(key=lambda result: place[result.patient_id, result.sequence])
    return _tabulate(results, cohort, recipes)


def _run(job: CaseJob) -> _Result:
    """Do one case in a worker; its errors become its result."""
    stage = ["read"]
    try:
        key = case_key(job)
        store = job.store
        content = None if store is None else store.get(key)
        reused = content is not None
        if content is None:
            with one_itk_thread():
                content = _compute(job, stage)
            if store is not None:
                store.put(key, content)
        return _Result(job.patient_id, job.sequence, content, reused=reused)
    except Exception as error:  # noqa: BLE001 - a fault of one case must not stop the others
        if is_absent(job, error):
            return _Result(job.patient_id, job.sequence, absent=True)
        return _Result(job.patient_id, job.sequence, failure=describe_failure(error, stage[0]))


def _compute(job: CaseJob, stage: list[str]) -> dict[str, Any]:
    image, mask, reference = read_job(job)
    stage[0] = "extract"
    return measure_pair(image, mask, job.recipe, reference)


def _tabulate(results: list[_Result], cohort: Cohort, recipes: dict[str, dict[str, Any]]) -> FeatureTable:
    values: dict[str, dict[str, float]] = {}
    columns: dict[str, set[str]] = {name: set() for name in cohort.sequences}
    diagnostics, failures, absent = [], [], []
    for result in results:
        who = {"patient_id": result.patient_id, "sequence": result.sequence}
        if result.absent:
            values.setdefault(result.patient_id, {})
            absent.append(who)
            continue
        if result.content is None:
            failures.append(who | (result.failure or {}))
            continue
        diagnostics.append(who | result.content["diagnostics"])
        named = {f"{result.sequence}__{name}": value for name, value in result.content["values"].items()}
        values.setdefault(result.patient_id, {}).update(named)
        columns[result.sequence].update(named)
    order = [column for name in cohort.sequences for column in sorted(columns[name])]
    index = pd.Index(list(values), dtype=object, name="patient_id")
    table = pd.DataFrame(list(values.values()), index=index, columns=order, dtype=float)
    return FeatureTable(
        table,
        pd.DataFrame(diagnostics, columns=None if diagnostics else ["patient_id", "sequence"]),
        pd.DataFrame(failures, columns=FAILURE_COLUMNS),
        {"sequences": recipes},
        sum(result.reused for result in results),
        pd.DataFrame(absent, columns=["patient_id", "sequence"]),
    )
