"""Features of a whole cohort: one process a case, finished cases found again by content."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd
import SimpleITK as sitk

from radiomics_npc.cohort.cases import Cohort, ImageFiles
from radiomics_npc.errors import ExtractionError, ImageError, MaskError, RadiomicsNPCError
from radiomics_npc.features.measure import measure_case
from radiomics_npc.features.parameters import sequence_parameters
from radiomics_npc.features.table import FAILURE_COLUMNS, FeatureTable
from radiomics_npc.imaging.reading import read_pair
from radiomics_npc.parallel import map_cases
from radiomics_npc.progress import track
from radiomics_npc.settings import FeatureSettings
from radiomics_npc.storage import FeatureStore, content_key, file_digest

__all__ = ["extract_features"]

#: Raised whenever the same input would give other values or other diagnostics than before.
_SCHEMA = 1
_PACKAGES = ("numpy", "scipy", "SimpleITK", "pyradiomics-bhklab", "PyWavelets")


@dataclass(frozen=True)
class _Job:
    """One case for a worker process: paths, not images."""

    patient_id: str
    sequence: str
    files: ImageFiles | None
    recipe: Mapping[str, Any]
    store: Path | None


@dataclass(frozen=True)
class _Result:
    patient_id: str
    sequence: str
    content: dict[str, Any] | None = None
    failure: dict[str, str] | None = None
    reused: bool = False

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
    recipes = {name: _recipe(settings, name, cohort.on_mismatch) for name in cohort.sequences}
    root = None if store is None else store.root
    work = [
        _Job(case.patient_id, name, case.images.get(name), recipes[name], root)
        for case in cohort.cases
        for name in cohort.sequences
    ]
    results = list(track(map_cases(_run, work, jobs=jobs), "extract", len(work)))
    place = {(job.patient_id, job.sequence): number for number, job in enumerate(work)}
    results.sort(key=lambda result: place[result.patient_id, result.sequence])
    return _tabulate(results, cohort, recipes)


def _recipe(settings: FeatureSettings, sequence: str, on_mismatch: str) -> dict[str, Any]:
    """All that the values of one sequence depend on besides its files."""
    return {
        "schema": _SCHEMA,
        "pyradiomics": sequence_parameters(settings, sequence),
        "normalize": settings.normalize,
        "morphology": settings.morphology,
        "on_mismatch": on_mismatch,
        "versions": {name: metadata.version(name) for name in _PACKAGES},
    }


def _run(job: _Job) -> _Result:
    """Do one case in a worker; its errors become its result."""
    stage = ["read"]
    try:
        key = _key(job)
        store = None if job.store is None else FeatureStore(job.store)
        content = None if store is None else store.get(key)
        reused = content is not None
        if content is None:
            with _one_itk_thread():
                content = _compute(job, stage)
            if store is not None:
                store.put(key, content)
        return _Result(job.patient_id, job.sequence, content, reused=reused)
    except RadiomicsNPCError as error:
        failure = error
    except Exception as error:  # noqa: BLE001 - a fault of one case must not stop the others
        failure = _unexpected(error)
    return _Result(job.patient_id, job.sequence, failure={
        "stage": stage[0], "error": type(failure).__name__,
        "message": failure.message, "remedy": failure.remedy,
    })  # fmt: skip


def _key(job: _Job) -> str:
    if job.files is None:
        raise ImageError(
            f"there is no {job.sequence} image",
            "Add it, leave the patient out, or take the sequence out of cohort.sequences.",
        )
    if job.files.mask is None:
        raise MaskError(f"there is no {job.sequence} mask", "Draw the tumor, or segment the images first.")
    digests: list[str] = []
    for path in (job.files.image, job.files.mask):
        if not path.exists():
            raise ImageError(f"{path.name} does not exist", "Check the path in the manifest.")
        digests.extend(file_digest(part) for part in (path, *_detached_data(path)))
    return content_key(digests, job.files.label, job.recipe)


def _detached_data(header: Path) -> list[Path]:
    """Where the voxels of a NRRD or MetaImage header lie that keeps them in another file."""
    if header.suffix.lower() not in (".nhdr", ".mhd"):
        return []
    text = header.read_bytes().decode("latin-1")
    named = re.search(r"^(?:data ?file:|ElementDataFile\s*=)\s*(.+?)\s*$", text, re.MULTILINE | re.IGNORECASE)
    name = named[1].encode("latin-1").decode("utf-8", "replace") if named else ""
    data = header.parent / name
    # a list or a pattern of files: any file of the folder may be one of them
    return [data if data.is_file() else header.parent]


def _compute(job: _Job, stage: list[str]) -> dict[str, Any]:
    assert job.files is not None
    image, mask = read_pair(job.files, job.recipe["on_mismatch"])
    stage[0] = "extract"
    measured = measure_case(
        image,
        mask,
        job.recipe["pyradiomics"],
        normalize=job.recipe["normalize"],
        with_morphology=job.recipe["morphology"],
    )
    return {"values": measured.features, "diagnostics": measured.diagnostics}


@contextmanager
def _one_itk_thread() -> Iterator[None]:
    before = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(before)


def _unexpected(error: Exception) -> ExtractionError:
    """Name an error nobody foresaw, without the folders its text may hold."""
    # the text of an OSError quotes the whole path, whose folders may be named after the patient
    said = error.strerror or "" if isinstance(error, OSError) else str(error)
    lines = [line for line in said.splitlines() if line.strip()]
    words = (lines[-1] if lines else "").split()
    text = " ".join(word.replace("\\", "/").rsplit("/", 1)[-1] for word in words)
    return ExtractionError(
        f"unexpected {type(error).__name__}: {text}",
        "Open image and mask in a viewer; if both are sound, report this as a fault of radiomics_npc.",
    )


def _tabulate(results: list[_Result], cohort: Cohort, recipes: dict[str, dict[str, Any]]) -> FeatureTable:
    values: dict[str, dict[str, float]] = {}
    columns: dict[str, set[str]] = {name: set() for name in cohort.sequences}
    diagnostics, failures = [], []
    for result in results:
        who = {"patient_id": result.patient_id, "sequence": result.sequence}
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
    )
