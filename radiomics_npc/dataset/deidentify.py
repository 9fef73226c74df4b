"""De-identify a folder of DICOM files, into a new one (DICOM PS3.15 Annex E, basic profile with options)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal

from radiomics_npc.dataset.confidentiality_profile import Options
from radiomics_npc.dataset.deidentified_file import PatientFiles, Written, deidentify_patient
from radiomics_npc.dataset.deidentify_report import (
    NOT_COPIED,
    Deidentified,
    collect_result,
    write_mapping,
    write_report,
)
from radiomics_npc.dataset.header_survey import Surveyed, survey_file
from radiomics_npc.dataset.identities import Identities
from radiomics_npc.dataset.pseudonyms import Pseudonyms, read_patient_ids, read_secret
from radiomics_npc.errors import CohortError, ConfigError
from radiomics_npc.parallel import map_cases
from radiomics_npc.progress import track
from radiomics_npc.storage import TEMPORARY

__all__ = ["Deidentified", "deidentify"]


def deidentify(
    source: Path | str,
    out: Path | str,
    *,
    secret: Path | str | None = None,
    keep_acquisition: bool = True,
    dates: Literal["remove", "shift"] = "remove",
    patient_ids: Path | str | None = None,
    keep_private: bool = False,
    keep_patient: bool = False,
    keep_device: bool = False,
    burned_in: Literal["warn", "refuse"] = "warn",
    mapping: Path | str | None = None,
    jobs: int = 1,
) -> Deidentified:
    """De-identify all DICOM files of a folder, into a new one.

    Parameters
    ----------
    source : Path
        Searched with its subfolders. Never written to.
    out : Path
        Absent or empty; neither within the source nor around it. Files lie in
        ``PSEUDONYM/MODALITY_SEQUENCE_HASH/NUMBER_HASH.dcm``, with the report beside them
        (``deidentification.csv`` and ``.json``).
    secret : Path, optional
        File of the key that UIDs, patient ids and the shift of dates depend on; made if it does not exist.
        By default the environment variable ``RADIOMICS_NPC_SECRET``, else ``OUT.secret`` beside the output.
        The same secret gives the same output.
    keep_acquisition : bool
        Keep manufacturer, model, software and the parameters of the acquisition.
    dates : {"remove", "shift"}
        Remove dates and times, or move the dates of a patient by the same number of days (1 to 3650, into
        the past) and keep times. The birth date goes in any case.
    patient_ids : Path, optional
        CSV with columns ``patient_id`` and ``pseudonym``; by default pseudonyms are keyed hashes.
    keep_private : bool
        Keep the private attributes that the standard lists as safe, of MR, CT and PET.
    keep_patient : bool
        Keep sex, and age as decade.
    keep_device : bool
        Keep serial number and name of the device.
    burned_in : {"warn", "refuse"}
        What to do with images that may have text in their pixels. Pixels are never changed.
    mapping : Path, optional
        Write here, into a new file outside of source and output, which file and patient became which.
        Without it no such table exists.
    jobs : int
        Processes; 0 takes all cores.

    Returns
    -------
    Deidentified

    Raises
    ------
    ConfigError
        An option or the table of pseudonyms is wrong; output, secret or mapping lie where they must not.
    CohortError
        There is no such source, or no DICOM file in it.

    Notes
    -----
    Structured reports, encapsulated documents, presentation states, waveforms and treatment plans are not
    copied. Every file is read again after it was written, and is taken away if an attribute of the profile
    is left or its bytes hold a name, id, date, address or free text of the patient's source files. Faces
    can be rebuilt from images of the head: the profile's option for that is not applied.

    References
    ----------
    DICOM PS3.15, Annex E; PS3.16, CID 7050.

    Examples
    --------
    >>> deidentify("somewhere", "somewhere/out")
    Traceback (most recent call last):
    ...
    radiomics_npc.errors.CohortError: there is no folder somewhere. Check the path.
    """
    source, out, mapping = Path(source), Path(out), Path(mapping) if mapping else None
    if dates not in ("remove", "shift") or burned_in not in ("warn", "refuse"):
        raise ConfigError("dates is remove or shift, burned_in is warn or refuse", "Choose one of them.")
    options = Options(keep_acquisition, dates == "shift", keep_private, keep_patient, keep_device)
    default = out.resolve().with_name(out.resolve().name + ".secret")
    _require_places(source, out, secret=Path(secret) if secret else default, mapping=mapping)
    table = read_patient_ids(Path(patient_ids)) if patient_ids else None
    files = sorted(p for p in source.rglob("*") if p.is_file())
    surveys = _survey_all(files, options, jobs)
    if not any(s.kind != "other file" for s in surveys):
        raise CohortError(f"{source.name} holds no DICOM files", "Check the path.")
    key, secret_file, made = read_secret(Path(secret) if secret else None, default)
    pseudonyms = Pseudonyms(key, table)
    problems = {s.number: s.problem for s in surveys if s.problem}
    if burned_in == "refuse":
        problems |= {s.number: s.burned_in for s in surveys if s.burned_in}
    work = _by_patient(surveys, files, out, pseudonyms, options, problems)
    written = _write_all(work, out, jobs)
    problems |= {w.number: w.problem for w in written if w.problem}
    result = collect_result(
        surveys,
        written,
        problems,
        tuple(p.relative_to(source).as_posix() for p in files),
        secret=(secret_file, made),
        mapping=mapping is not None,
    )
    write_report(out, result, options, burned_in)
    if mapping:
        write_mapping(mapping, work, written, result.sources)
    return result


def _survey_all(files: list[Path], options: Options, jobs: int) -> list[Surveyed]:
    """Look at all files; the slices of a series identify by the same values, which are held once."""
    held: dict[Identities, Identities] = {}
    found = map_cases(partial(_survey, options=options), [*enumerate(files, 1)], jobs=jobs, ordered=True)
    return [
        replace(s, identities=held.setdefault(s.identities, s.identities))
        for s in track(found, "read", len(files))
    ]


def _survey(item: tuple[int, Path], options: Options) -> Surveyed:
    return survey_file(item[1], item[0], options)


def _write_all(work: list[PatientFiles], out: Path, jobs: int) -> list[Written]:
    try:
        done = map_cases(deidentify_patient, work, jobs=jobs, ordered=True)
        return [one for several in track(done, "write", len(work)) for one in several]
    except BaseException:
        # a process that was ended while it wrote leaves a file that nobody checked
        for unfinished in out.rglob(f"{TEMPORARY}*"):
            unfinished.unlink(missing_ok=True)
        raise


def _require_places(source: Path, out: Path, *, secret: Path, mapping: Path | None) -> None:
    if not source.is_dir():
        raise CohortError(f"there is no folder {source.name}", "Check the path.")
    here, there = source.resolve(), out.resolve()
    if here == there or here in there.parents or there in here.parents:
        raise ConfigError(
            "the output is the source, or one lies within the other", "Choose a folder elsewhere."
        )
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(f"{out.name} exists and is not empty", "Choose a new folder.")
    for what, path in (("secret", secret), ("mapping", mapping)):
        for name, folder in (("output", there), ("source", here)):
            if path is not None and folder in path.resolve().parents:
                raise ConfigError(
                    f"the {what} would lie within the {name}",
                    "It turns pseudonyms around: keep it elsewhere.",
                )
    if mapping and (mapping.exists() or mapping.resolve() == secret.resolve()):
        raise ConfigError(f"{mapping.name} exists, or is the secret", "Map into a new file.")


def _by_patient(
    surveys: Iterable[Surveyed], files: list[Path], out: Path, pseudonyms: Pseudonyms, options: Options,
    problems: dict[int, str],
) -> list[PatientFiles]:  # fmt: skip
    """Put files together by patient; one without an id belongs to the patient of its study."""
    of_study = {s.study: s.patient for s in surveys if s.study and s.patient}
    found: dict[str, list[tuple[Path, Surveyed]]] = defaultdict(list)
    for s in surveys:
        if s.kind in NOT_COPIED or s.number in problems:
            continue
        nameless = s.name if s.name.strip("|") else s.study
        found[(s.patient or of_study.get(s.study) or nameless).strip().casefold()].append(
            (files[s.number - 1], s)
        )
    work = []
    for patient, theirs in sorted(found.items()):
        pseudonym = pseudonyms.patient(patient)
        if pseudonym is None:
            problems |= {s.number: "its patient is not in the table of pseudonyms" for _, s in theirs}
            continue
        work.append(PatientFiles(tuple(theirs), out, patient, pseudonym, pseudonyms, options))
    return work
