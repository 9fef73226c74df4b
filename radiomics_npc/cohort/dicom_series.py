"""DICOM series as they were found, and what was wrong with files beside them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import pandas as pd

from radiomics_npc.cohort.findings import Finding

__all__ = ["DicomIndex", "DicomSeries"]


@dataclass(frozen=True)
class DicomSeries:
    """One series of images, or one object that holds contours.

    Parameters
    ----------
    patient_id, study, uid : str
        PatientID, StudyInstanceUID, SeriesInstanceUID.
    description, protocol, modality : str
    files : tuple of Path
        In the order of their paths, which is not that of the slices.
    sequence : {"t1", "t2", "ce_t1"} or None
        As recognized; ``why`` says why, or why not.
    plane : {"axial", "coronal", "sagittal", "oblique", "mixed", ""}
        From the geometry; empty for contours.
    slices : int
        Places in space.
    references : tuple of str
        SeriesInstanceUIDs that contours (SEG, RTSTRUCT) were drawn on.
    regions : tuple of str
        Names of the contours.
    """

    patient_id: str
    study: str
    uid: str
    description: str
    protocol: str
    modality: str
    files: tuple[Path, ...]
    sequence: str | None = None
    why: str = ""
    plane: str = ""
    slices: int = 0
    references: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """The folder that all files lie in or below; read it with ``series=uid``."""
        return Path(os.path.commonpath([file.parent for file in self.files]))


@dataclass(frozen=True)
class DicomIndex(Sequence[DicomSeries]):
    """Series of a folder in the order of patient, study and series number, and what was wrong.

    Parameters
    ----------
    series : tuple of DicomSeries
    findings : tuple of Finding
        Files that cannot be read, copies, files that are passed over.
    """

    series: tuple[DicomSeries, ...]
    findings: tuple[Finding, ...] = ()

    @overload
    def __getitem__(self, index: int) -> DicomSeries: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[DicomSeries, ...]: ...
    def __getitem__(self, index: int | slice) -> DicomSeries | tuple[DicomSeries, ...]:
        return self.series[index]

    def __len__(self) -> int:
        return len(self.series)

    def to_frame(self) -> pd.DataFrame:
        """One row a series, without its paths."""
        shown = [
            name
            for name in DicomSeries.__dataclass_fields__
            if name not in ("files", "references", "regions")
        ]
        rows = [
            {name: getattr(s, name) for name in shown}
            | {"files": len(s.files), "references": " ".join(s.references), "regions": "; ".join(s.regions)}
            for s in self.series
        ]
        return pd.DataFrame(rows, columns=[*shown, "files", "references", "regions"])

    def _repr_html_(self) -> str:
        return str(self.to_frame().drop(columns=["study", "uid", "references"]).to_html(index=False))
