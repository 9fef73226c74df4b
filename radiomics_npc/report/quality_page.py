"""A page on which every contour can be looked at: each patient's slices with the mask, flagged ones first."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Any

import pandas as pd

from radiomics_npc.cohort.cases import Cohort
from radiomics_npc.nomogram.labels import sequence_label
from radiomics_npc.nomogram.style import PALETTE
from radiomics_npc.parallel import map_cases
from radiomics_npc.progress import track
from radiomics_npc.report.quality_images import CasePictures, PictureJob, SlicePicture, picture_case, shrink
from radiomics_npc.segmentation.quality import FLAGS
from radiomics_npc.storage import write_text

__all__ = ["quality_page", "write_quality_page"]

#: The whole page, so that it opens in any browser; pictures shrink until it is kept.
MOST_BYTES = 14_000_000
_SMALLEST = 72  # pixels, below which nothing is seen
_GROUPS = {
    "failed": ("Failed", "Something could not be read or measured."),
    "flagged": ("Worth a look", "Something was noticed; it may be right."),
    "plain": ("Nothing noticed", "No check spoke up, which is no proof: look at these, too."),
}


@dataclass(frozen=True)
class Remark:
    """What is said of a patient: failure, error, warning, flag or info."""

    kind: str
    sequence: str
    words: str
    remedy: str = ""


@dataclass(frozen=True)
class Patient:
    """A patient on the page."""

    patient_id: str
    slices: tuple[SlicePicture, ...]
    remarks: tuple[Remark, ...] = field(default=())

    @property
    def group(self) -> str:
        """Which part of the page: failed, flagged or plain."""
        kinds = {remark.kind for remark in self.remarks}
        if kinds & {"failure", "error"}:
            return "failed"
        return "flagged" if kinds & {"warning", "flag"} else "plain"


def _remarks(
    failures: pd.DataFrame | None, findings: pd.DataFrame | None, flags: pd.DataFrame | None
) -> dict[str, list[Remark]]:
    """What the stages said of each patient."""
    said: dict[str, list[Remark]] = {}
    for row in () if failures is None else failures.itertuples():
        remark = Remark("failure", str(row.sequence), str(row.message), str(row.remedy))
        said.setdefault(str(row.patient_id), []).append(remark)
    for row in () if findings is None else findings.itertuples():
        remark = Remark(str(row.severity), str(row.sequence), str(row.problem), str(row.remedy))
        said.setdefault(str(row.patient_id), []).append(remark)
    for row in () if flags is None else flags.itertuples():
        for code in str(row.flags).split("; "):
            if code and code != "nan":
                known = FLAGS.get(code)
                words, remedy = (known.sentence, known.remedy) if known else (code, "")
                # a mask redrawn by hand is not suspicious, it is worth knowing
                remark = Remark("info" if code == "edited" else "flag", str(row.sequence), words, remedy)
                said.setdefault(str(row.patient_id), []).append(remark)
    return said


def _patient(pictures: CasePictures, said: Iterable[Remark]) -> Patient:
    """A patient with each remark once: what the check, the extraction and this page all met."""
    remarks = list(said)
    known = {(remark.sequence, remark.words.rstrip(".")) for remark in remarks}
    for part in pictures.slices:
        told = any(sequence == part.sequence for sequence, _ in known)
        if part.absent:
            remarks.append(Remark("info", part.sequence, part.message))
        elif part.message and not told:
            remarks.append(Remark("failure", part.sequence, part.message, part.remedy))
    once = {(r.sequence, r.words.rstrip(".")): r for r in reversed(remarks)}
    order = {"failure": 0, "error": 1, "flag": 2, "warning": 3, "info": 4}
    return Patient(
        pictures.label,
        pictures.slices,
        tuple(sorted(once.values(), key=lambda r: (order[r.kind], r.sequence))),
    )


def quality_page(patients: Iterable[Patient], *, title: str, simulated: bool = False) -> str:
    """The page as HTML: one file, no scripts, nothing from outside.

    Parameters
    ----------
    patients : iterable of Patient
    title : str
        Name of the study.
    simulated : bool

    Returns
    -------
    str
        Everything escaped; patients are named as the study names them.
    """
    from jinja2 import Environment, StrictUndefined

    ordered = sorted(patients, key=lambda patient: patient.patient_id)
    groups = [
        (key, *words, found)
        for key, words in _GROUPS.items()
        if (found := [patient for patient in ordered if patient.group == key])
    ]
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["sequence"] = sequence_label
    environment.filters["volume"] = lambda v: f"{v:.{2 if v < 10 else 1}f} cm³"
    environment.filters["base64"] = lambda data: base64.b64encode(data).decode()
    template = resources.files("radiomics_npc.report").joinpath("templates", "quality.html.j2")
    compared = any(part.drawn for patient in ordered for part in patient.slices)
    return environment.from_string(template.read_text(encoding="utf-8")).render(
        title=title, simulated=simulated, groups=groups, count=len(ordered), compared=compared,
        colors={"outline": PALETTE[3], "drawn": PALETTE[4]},
    )  # fmt: skip


def _pixels(pictures: int) -> int:
    """Longest side of a picture so that all fit, by what slices of MR take."""
    each = MOST_BYTES / max(pictures, 1) / 4 * 3 - 1500  # base64, and the outline
    return int(min(240, max(_SMALLEST, (max(each, 0) / 0.22) ** 0.5)))


def write_quality_page(
    cohort: Cohort,
    path: Path,
    *,
    title: str = "Study",
    failures: pd.DataFrame | None = None,
    findings: pd.DataFrame | None = None,
    flags: pd.DataFrame | None = None,
    drawn: Cohort | None = None,
    jobs: int = 0,
) -> dict[str, Any]:
    """Write a page with the slices, masks, volumes and remarks of every patient who has images.

    Parameters
    ----------
    cohort : Cohort
        With the masks that were measured.
    path : Path
        ``quality.html``.
    title : str
    failures : DataFrame, optional
        ``FeatureTable.failures``.
    findings : DataFrame, optional
        ``CheckReport.to_frame()``.
    flags : DataFrame, optional
        patient_id, sequence, flags of predicted masks.
    drawn : Cohort, optional
        With the masks drawn by hand, where those measured were predicted.
    jobs : int
        Processes; 0 takes all cores.

    Returns
    -------
    dict
        Number of patients, failed and flagged among them; for the report.

    Examples
    --------
    >>> import tempfile
    >>> write_quality_page(Cohort(()), Path(tempfile.mkdtemp()) / "quality.html", jobs=1)
    {'patients': 0, 'failed': 0, 'flagged': 0}
    """
    cases = [case for case in cohort.cases if case.images]
    by_hand: Mapping[str, Any] = (
        {} if drawn is None else {case.patient_id: case.images for case in drawn.cases}
    )
    pixels = _pixels(len(cases) * len(cohort.sequences))
    work = [
        PictureJob(case, cohort.sequences, cohort.on_mismatch, by_hand.get(case.patient_id), pixels)
        for case in cases
    ]
    said = _remarks(failures, findings, flags)
    found = track(map_cases(picture_case, work, jobs=jobs), "quality", len(work))
    patients = [_patient(pictures, said.get(pictures.label, ())) for pictures in found]
    page = quality_page(patients, title=title, simulated=cohort.simulated)
    while len(page) > MOST_BYTES and pixels > _SMALLEST:
        pixels = max(_SMALLEST, int(pixels * 0.8))
        patients = [_smaller(patient, pixels) for patient in patients]
        page = quality_page(patients, title=title, simulated=cohort.simulated)
    write_text(path, page)
    groups = [patient.group for patient in patients]
    return {
        "patients": len(groups),
        "failed": groups.count("failed"),
        "flagged": groups.count("flagged"),
    }


def _smaller(patient: Patient, pixels: int) -> Patient:
    slices = (replace(part, jpeg=shrink(part.jpeg, pixels)) if part.jpeg else part for part in patient.slices)
    return replace(patient, slices=tuple(slices))
