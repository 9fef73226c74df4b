"""Who is in the study: cases with their files, the clinical table, the outcome."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from radiomics_npc.cohort.competing import CompetingOutcome
from radiomics_npc.cohort.findings import Finding
from radiomics_npc.cohort.outcome import Outcome

__all__ = ["Case", "Cohort", "ImageFiles", "Label"]

#: A region in a mask file: its value, or its name.
Label = int | str


@dataclass(frozen=True)
class ImageFiles:
    """Files of one sequence of one patient.

    Parameters
    ----------
    image : Path
        A NIfTI or NRRD file, a DICOM file of several frames, or a folder of DICOM files.
    mask : Path, optional
        NIfTI, NRRD, DICOM SEG or RTSTRUCT; None when there is no contour.
    label : int, str or tuple of them, optional
        Value or name of the tumor in the mask; several are merged into one region. None takes any
        two-valued labelling.
    series : str, optional
        SeriesInstanceUID, where a folder holds several series.
    reference : Path, optional
        Mask of the reference tissue that intensities are scaled by.
    reference_label : int, str or tuple of them, optional
        Its value or name in that mask.
    optional : bool
        The region need not be in the mask (a patient without involved nodes has none): then its
        features are missing, and nothing has failed.
    """

    image: Path
    mask: Path | None = None
    label: Label | tuple[Label, ...] | None = None
    series: str | None = None
    reference: Path | None = None
    reference_label: Label | tuple[Label, ...] | None = None
    optional: bool = False


@dataclass(frozen=True)
class Case:
    """One patient: files by sequence (``t1``, ``t2``, ``ce_t1``), and the center if known."""

    patient_id: str
    images: Mapping[str, ImageFiles] = field(default_factory=dict)
    center: str = ""


@dataclass(frozen=True, eq=False)
class Cohort:
    """All patients of a study.

    Parameters
    ----------
    cases : tuple of Case
        In the order of patient_id. Clinical-only patients have no images.
    clinical : DataFrame, optional
        Typed columns, indexed by patient_id.
    outcome : Outcome, optional
        Patients with a usable outcome.
    findings : tuple of Finding
        What was seen while reading; the check adds what it sees in the images.
    sequences : tuple of str
        The sequences this study asks for.
    on_mismatch : {"error", "resample"}
        What to do when a mask lies on another grid than its image.
    simulated : bool
        Patients that never lived; every result shown says so.
    excluded : tuple of (patient_id, reason)
        Patients who were read but cannot or must not be analyzed.
    endpoints : mapping of str to CompetingOutcome
        Further endpoints of the same patients, by their names in the study.
    """

    cases: tuple[Case, ...]
    clinical: pd.DataFrame | None = None
    outcome: Outcome | None = None
    findings: tuple[Finding, ...] = ()
    sequences: tuple[str, ...] = ("t1", "t2", "ce_t1")
    on_mismatch: str = "error"
    simulated: bool = False
    excluded: tuple[tuple[str, str], ...] = ()
    endpoints: Mapping[str, CompetingOutcome] = field(default_factory=dict)

    @property
    def outcomes(self) -> dict[str, Outcome]:
        """The further endpoints as outcomes, competing events censored when they happen."""
        return {name: endpoint.cause_specific(1) for name, endpoint in self.endpoints.items()}

    @property
    def patient_ids(self) -> list[str]:
        """Identifiers of all cases."""
        return [case.patient_id for case in self.cases]

    def __len__(self) -> int:
        return len(self.cases)

    def to_frame(self) -> pd.DataFrame:
        """One row a patient: center, sequences found, clinical columns, outcome."""
        rows = [
            {"patient_id": c.patient_id, "center": c.center, "sequences": " ".join(c.images)}
            for c in self.cases
        ]
        table = pd.DataFrame(rows, columns=["patient_id", "center", "sequences"]).set_index("patient_id")
        if self.clinical is not None:
            table = table.join(self.clinical.drop(columns=["center"], errors="ignore"))
        if self.outcome is not None:
            table = table.join(self.outcome.to_frame())
        return table

    def _repr_html_(self) -> str:
        events = "" if self.outcome is None else f", {int(self.outcome.event.sum())} events"
        simulated = " <b>simulated</b>" if self.simulated else ""
        return f"<p>Cohort of {len(self)}{simulated} patients{events}</p>"

    def __repr__(self) -> str:
        events = "" if self.outcome is None else f", {int(self.outcome.event.sum())} events"
        return f"<Cohort: {len(self)}{' simulated' if self.simulated else ''} patients{events}>"
