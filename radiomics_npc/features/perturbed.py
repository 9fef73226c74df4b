"""Features of a part of the cohort under perturbations of images and masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from radiomics_npc.cohort.cases import Case, Cohort
from radiomics_npc.errors import CohortError, ConfigError
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
from radiomics_npc.features.repeated import REPEAT_FAILURE_COLUMNS, REPEAT_INDEX, RepeatedFeatures
from radiomics_npc.imaging.perturbation import Perturbation, default_perturbations, perturb
from radiomics_npc.imaging.volume import Mask, Volume
from radiomics_npc.parallel import map_cases
from radiomics_npc.progress import track
from radiomics_npc.settings import FeatureSettings
from radiomics_npc.storage import FeatureStore, content_key

__all__ = ["extract_perturbed"]

#: Raised whenever the same perturbation would give another image or mask than before.
_SCHEMA = 1


@dataclass(frozen=True)
class _Repeats:
    """One sequence of one patient for a worker process, with all that is done to it."""

    job: CaseJob
    perturbations: tuple[Perturbation, ...]


@dataclass(frozen=True)
class _Result:
    patient_id: str
    sequence: str
    measured: dict[str, dict[str, float]]
    failures: dict[str, dict[str, str]]
    reused: int

    @property
    def label(self) -> str:
        """Shown by the progress bar."""
        return f"{self.patient_id} {self.sequence}"


def extract_perturbed(
    cohort: Cohort,
    settings: FeatureSettings | None = None,
    perturbations: Sequence[Perturbation] | None = None,
    *,
    patients: int | Sequence[str] | None = None,
    jobs: int = 0,
    store: FeatureStore | None = None,
    random_state: int = 0,
) -> RepeatedFeatures:
    """Extract features once for every perturbation.

    Parameters
    ----------
    cohort : Cohort
        Its ``sequences`` are extracted, each perturbed alike.
    settings : FeatureSettings, optional
        As in :func:`radiomics_npc.features.extraction.extract_features`.
    perturbations : sequence of Perturbation, optional
        By default :func:`radiomics_npc.imaging.perturbation.default_perturbations`
        with ``random_state``.
    patients : int or sequence of str, optional
        So many patients drawn by ``random_state`` among those who have all
        sequences with masks (30 are usual), or these, or all.
    jobs : int
        Processes; 0 takes all cores.
    store : FeatureStore, optional
        Where finished cases are kept and found again by content. An unperturbed
        case is the one that ``extract_features`` keeps.
    random_state : int

    Returns
    -------
    RepeatedFeatures
        The same for any number of processes, whether computed or reused.

    Raises
    ------
    ConfigError
        The settings are wrong, or two perturbations have one name.
    CohortError
        A patient named is not in the cohort. Faults of a case raise nothing:
        they are listed in ``failures``.

    Examples
    --------
    >>> cohort = Cohort(cases=(), sequences=("t1",))
    >>> extract_perturbed(cohort, jobs=1)
    <RepeatedFeatures: 0 features of 0 patients, measured 0 times, 0 cases failed>
    """
    settings = settings or FeatureSettings()
    chosen = tuple(default_perturbations(random_state) if perturbations is None else perturbations)
    names = [perturbation.name for perturbation in chosen]
    if not names or len(set(names)) < len(names):
        raise ConfigError("every perturbation needs a name of its own", "Rename those that occur twice.")
    recipes = {name: extraction_recipe(settings, name, cohort.on_mismatch) for name in cohort.sequences}
    root = None if store is None else store.root
    work = [
        _Repeats(CaseJob(case.patient_id, name, case.images.get(name), recipes[name], root), chosen)
        for case in _choose(cohort, patients, random_state)
        for name in cohort.sequences
    ]
    found = list(track(map_cases(_run, work, jobs=jobs), "perturb", len(work)))
    place = {(item.job.patient_id, item.job.sequence): number for number, item in enumerate(work)}
    found.sort(key=lambda result: place[result.patient_id, result.sequence])
    return _tabulate(found, cohort, names)


def _choose(cohort: Cohort, patients: int | Sequence[str] | None, random_state: int) -> list[Case]:
    """Cases in the order of the cohort."""
    cases = list(cohort.cases)
    if patients is None:
        return cases
    if isinstance(patients, int):
        whole = [number for number, case in enumerate(cases) if _is_whole(case, cohort.sequences)]
        if patients < 1:
            raise ConfigError(f"{patients} patients are none", "Take about 30, or leave it out for all.")
        count = min(patients, len(whole))
        drawn = np.random.default_rng(random_state).choice(np.array(whole, dtype=int), count, replace=False)
        return [cases[number] for number in sorted(drawn.tolist())]
    wanted = {str(who) for who in patients}
    unknown = len(wanted - set(cohort.patient_ids))
    if unknown:
        raise CohortError(
            f"{unknown} of the patients named are not in the cohort", "Check their identifiers."
        )
    return [case for case in cases if case.patient_id in wanted]


def _is_whole(case: Case, sequences: Sequence[str]) -> bool:
    files = [case.images.get(name) for name in sequences]
    return all(pair is not None and (pair.mask is not None or pair.optional) for pair in files)


def _run(item: _Repeats) -> _Result:
    """Do all perturbations of one case in a worker; errors become its result."""
    result = _Result(item.job.patient_id, item.job.sequence, {}, {}, 0)
    store = item.job.store
    pair: list[tuple[Volume, Mask, Mask | None]] = []
    for perturbation in item.perturbations:
        stage = ["read"]
        try:
            key = _perturbed_key(item.job, perturbation)
            content = None if store is None else store.get(key)
            if content is not None:
                result = replace(result, reused=result.reused + 1)
            else:
                with one_itk_thread():
                    content = _compute(item.job, perturbation, pair, stage)
                if store is not None:
                    store.put(key, content)
            result.measured[perturbation.name] = content["values"]
        except Exception as error:  # noqa: BLE001 - a fault of one case must not stop the others
            if is_absent(item.job, error):
                return result
            result.failures[perturbation.name] = describe_failure(error, stage[0])
    return result


def _perturbed_key(job: CaseJob, perturbation: Perturbation) -> str:
    """Key of an unperturbed case as it is, so that features already extracted are found."""
    key = case_key(job)
    return key if perturbation.is_identity else content_key(key, perturbation.to_dict(), _SCHEMA)


def _compute(
    job: CaseJob, perturbation: Perturbation, pair: list[tuple[Volume, Mask, Mask | None]], stage: list[str]
) -> dict[str, Any]:
    """Measure one perturbation; ``pair`` keeps image and masks for the next."""
    if not pair:
        pair.append(read_job(job))
    stage[0] = "perturb"
    before, drawn, reference = pair[0]
    image, mask = perturb(before, drawn, perturbation)
    if reference is not None and perturbation.moves == "both":
        reference = _moved_along(reference, drawn, perturbation)
    stage[0] = "extract"
    return measure_pair(image, mask, job.recipe, reference)


def _moved_along(reference: Mask, mask: Mask, perturbation: Perturbation) -> Mask:
    """The reference tissue, moved as the image is."""
    motion = replace(perturbation, noise=0.0, grow=0.0, contour=False)
    share = Volume(
        reference.array.astype(float), reference.spacing_mm, reference.origin_mm, reference.direction
    )
    return replace(reference, array=perturb(share, mask, motion)[0].array > 0.5)


def _tabulate(results: list[_Result], cohort: Cohort, names: list[str]) -> RepeatedFeatures:
    rows: dict[tuple[str, str], dict[str, float]] = {}
    columns: dict[str, set[str]] = {name: set() for name in cohort.sequences}
    failures = []
    for name in names:
        for result in results:
            if name in result.failures:
                who = {"patient_id": result.patient_id, "perturbation": name, "sequence": result.sequence}
                failures.append(who | result.failures[name])
                continue
            found = result.measured.get(name, {})  # nothing of a region that the patient does not have
            named = {f"{result.sequence}__{key}": value for key, value in found.items()}
            rows.setdefault((result.patient_id, name), {}).update(named)
            columns[result.sequence].update(named)
    order = [column for name in cohort.sequences for column in sorted(columns[name])]
    patients = dict.fromkeys(result.patient_id for result in results)
    pairs = [(who, name) for who in patients for name in names if (who, name) in rows]
    index = pd.MultiIndex.from_tuples(pairs, names=REPEAT_INDEX) if pairs else _no_rows()
    return RepeatedFeatures(
        pd.DataFrame([rows[pair] for pair in pairs], index=index, columns=order, dtype=float),
        pd.DataFrame(failures, columns=REPEAT_FAILURE_COLUMNS),
        sum(result.reused for result in results),
        cohort.simulated,
    )


def _no_rows() -> pd.MultiIndex:
    return pd.MultiIndex.from_arrays([[], []], names=REPEAT_INDEX)
