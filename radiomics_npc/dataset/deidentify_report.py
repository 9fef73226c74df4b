"""What de-identification did: counts, failures and warnings, without any value or file name."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pandas as pd

from radiomics_npc._version import __version__
from radiomics_npc.dataset.confidentiality_profile import EDITION, Options
from radiomics_npc.dataset.deidentified_file import PatientFiles, Written
from radiomics_npc.dataset.header_survey import Surveyed
from radiomics_npc.dataset.pseudonyms import owner_only
from radiomics_npc.storage import write_json, write_table

__all__ = ["NOT_COPIED", "Deidentified", "collect_result", "write_mapping", "write_report"]

_FAILURES: Final = ["file", "kind", "message", "found"]
_MADE: Final = "a new secret was made: keep it apart from the output; nobody can repeat this without it"
_MAPPED: Final = "the mapping turns pseudonyms around: keep it apart from the output"
#: Kinds that are left out without being failures.
NOT_COPIED: Final = ("DICOMDIR", "other file")


@dataclass(frozen=True)
class Deidentified:
    """What was done. It holds no value of a header and no name of a file of the source.

    Parameters
    ----------
    table : DataFrame
        ``tag, name, action, count``: how often each attribute met which action, at every depth.
    failures : DataFrame
        ``file, kind, message, found``: files that were not written though they should. A file goes by its
        number in the sorted source (see ``sources``), for its name may be a patient's; ``found`` is what the
        check found in it.
    kinds : DataFrame
        ``kind, files, written``.
    warnings : tuple of str
    secret_file : Path or None
        Where the secret lies; None if it came from the environment.
    secret_made : bool
        Whether it is new.
    sources : tuple of str
        Names of the source files, number 1 first. Not shown: they may identify.
    simulated : bool
        Patients that never lived.
    """

    table: pd.DataFrame
    failures: pd.DataFrame
    kinds: pd.DataFrame
    warnings: tuple[str, ...] = ()
    secret_file: Path | None = field(default=None, repr=False)
    secret_made: bool = False
    sources: tuple[str, ...] = field(default=(), repr=False)
    simulated: bool = False

    @property
    def written(self) -> int:
        """How many files were written."""
        return int(self.kinds["written"].sum())

    def to_frame(self) -> pd.DataFrame:
        """The table of actions; simulated, if so."""
        return self.table.assign(simulated=True) if self.simulated else self.table.copy()

    def __repr__(self) -> str:
        who = " of simulated patients" if self.simulated else ""
        return f"<Deidentified: {self.written} files{who}, {len(self.failures)} failed>"

    def _repr_html_(self) -> str:
        parts = [self.kinds, self.failures, self.to_frame()]
        said = "".join(f"<li>{text}</li>" for text in self.warnings)
        return f"<ul>{said}</ul>" + "".join(part.to_html(index=False) for part in parts if len(part))


def collect_result(
    surveys: list[Surveyed], written: list[Written], problems: dict[int, str], sources: tuple[str, ...],
    *, secret: tuple[Path | None, bool], mapping: bool,
) -> Deidentified:  # fmt: skip
    """Put together what was done to every file."""
    return Deidentified(
        _actions(written),
        _failures(surveys, written, problems),
        _kinds(surveys, written),
        _warnings(surveys, written, mapping=mapping, made=secret[1]),
        *secret,
        sources,
        any(s.simulated for s in surveys),
    )


def _actions(written: list[Written]) -> pd.DataFrame:
    counts: Counter[tuple[str, str, str]] = Counter()
    for one in written:
        counts.update(one.counts)
    rows = [(*what, count) for what, count in sorted(counts.items())]
    return pd.DataFrame(rows, columns=["tag", "name", "action", "count"])


def _failures(surveys: list[Surveyed], written: list[Written], problems: dict[int, str]) -> pd.DataFrame:
    found = {w.number: "; ".join(w.leftovers) for w in written}
    rows = [
        (s.number, s.kind, problems[s.number], found.get(s.number, ""))
        for s in surveys
        if s.number in problems
    ]
    return pd.DataFrame(rows, columns=_FAILURES)


def _kinds(surveys: list[Surveyed], written: list[Written]) -> pd.DataFrame:
    names = {w.number for w in written if w.name}
    rows = Counter((s.kind) for s in surveys)
    done = Counter(s.kind for s in surveys if s.number in names)
    return pd.DataFrame(
        [(kind, rows[kind], done[kind]) for kind in sorted(rows)], columns=["kind", "files", "written"]
    )


def _warnings(
    surveys: list[Surveyed], written: list[Written], *, mapping: bool, made: bool
) -> tuple[str, ...]:
    names = {w.number for w in written if w.name}
    said = [
        f"{count} images written: {why}; look at them before you hand them on"
        for why, count in sorted(Counter(s.burned_in for s in surveys if s.number in names).items())
        if why
    ]
    skipped = Counter(s.kind for s in surveys if s.kind in NOT_COPIED)
    if skipped["other file"]:
        said.append(
            f"{skipped['other file']} files are no DICOM and were not copied: headers of NIfTI, NRRD, "
            "tables and file names may identify, too"
        )
    if skipped["DICOMDIR"]:
        said.append(f"{skipped['DICOMDIR']} DICOMDIR were dropped: an index of old names")
    if mixed := _several_people(surveys, names):
        said.append(
            f"{mixed} patient ids go with several names or birth dates: several patients may be one pseudonym"
        )
    labels: Counter[str] = sum((w.labels for w in written if w.name), Counter())
    if labels["kept"]:
        said.append(f"{labels['kept']} names of regions were kept: read them before you hand them on")
    if labels["replaced"]:
        said.append(f"{labels['replaced']} names of regions told something of the patient and were replaced")
    said.append("a face can be rebuilt from images of the head: treat them as such")
    if made:
        said.append(_MADE)
    if mapping:
        said.append(_MAPPED)
    return tuple(said)


def _several_people(surveys: list[Surveyed], written: set[int]) -> int:
    """Count ids that come with more than one name, or more than one birth date."""
    people: dict[tuple[str, int], set[str]] = defaultdict(set)
    for s in surveys:
        if s.patient and s.number in written:
            for part, said in enumerate(s.name.rsplit("|", 1)):
                people[s.patient.strip().casefold(), part] |= {said.strip().casefold()} - {""}
    return len({patient for (patient, _), found in people.items() if len(found) > 1})


def write_report(out: Path, result: Deidentified, options: Options, burned_in: str) -> None:
    """Write the actions as CSV and the rest as JSON, and the mark of simulated patients."""
    write_table(out / "deidentification.csv", result.to_frame())
    content: dict[str, Any] = {
        "radiomics_npc": __version__,
        "profile": f"DICOM PS3.15 Annex E, Basic Application Level Confidentiality Profile, {EDITION}",
        "options": {**vars(options), "burned_in": burned_in},
        "simulated": result.simulated,
        "files": result.kinds.to_dict("records"),
        "failures": result.failures.to_dict("records"),
        # of the images; what this run did beside them is no part of what is handed on
        "warnings": [text for text in result.warnings if text not in (_MADE, _MAPPED)],
        "check": "every written file was read again; no attribute of the profile and no identifying value of "
        "the source files of its patient was found in it",
    }
    write_json(out / "deidentification.json", content)
    if result.simulated:
        # what reads the folder as a cohort looks for this
        write_json(out / "dataset.json", {"simulated": True})


def write_mapping(
    path: Path, work: list[PatientFiles], written: list[Written], sources: tuple[str, ...]
) -> None:
    """Write which file and patient became which; readable for its owner alone."""
    names = {w.number: w.name for w in written}
    rows = [
        (s.number, sources[s.number - 1], s.patient, one.pseudonym,
         one.pseudonyms.days(one.patient) if one.options.shift_dates else 0, names.get(s.number, ""))
        for one in work
        for _, s in one.files
    ]  # fmt: skip
    columns = ["file", "source", "patient_id", "pseudonym", "days_shifted", "written"]
    with owner_only():
        write_table(path, pd.DataFrame(rows, columns=columns).sort_values("file"))
