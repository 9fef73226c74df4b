"""Acquisition parameters of every series of a cohort, as the data set's ``meta_data.csv`` holds them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pandas as pd

from radiomics_npc.cohort.cases import Cohort, ImageFiles
from radiomics_npc.cohort.failures import FAILURE_COLUMNS, failure_row
from radiomics_npc.cohort.reading import read_cohort
from radiomics_npc.cohort.regions import split_name
from radiomics_npc.dataset.series_headers import COLUMNS, read_headers
from radiomics_npc.parallel import map_cases
from radiomics_npc.progress import track
from radiomics_npc.settings import CohortSettings, StudySettings
from radiomics_npc.storage import write_table

__all__ = ["Metadata", "as_cohort", "base_sequence", "read_metadata"]

Source = Cohort | CohortSettings | StudySettings | Path | str | dict[str, Any]
_WHOLE: Final = ("matrix_rows", "matrix_columns", "slices", "echo_train_length")


@dataclass(frozen=True, eq=False)
class Metadata:
    """Acquisition parameters, a row a patient and sequence.

    Parameters
    ----------
    table : DataFrame
        patient_id, sequence, then as the data set names them: echo_time and repetition_time (ms),
        pixel_spacing (of rows), spacing_between_slices and slice_thickness (mm, from the header),
        scanner_device_name, flip_angle (degrees), field_of_view (mm, width x height), matrix_rows,
        matrix_columns; then magnetic_field_strength (tesla), manufacturer, slices, slice_distance_mm
        (measured from the positions of the slices), orientation, scanning_sequence, acquisition_type,
        echo_train_length, fat_saturation, contrast_agent, format, remarks. Missing where a file does not say.
    failures : DataFrame
        Series that could not be read: patient_id, sequence, stage, error, message, remedy.
    simulated : bool
        Patients that never lived.
    """

    table: pd.DataFrame
    failures: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=FAILURE_COLUMNS))
    simulated: bool = False

    def to_frame(self) -> pd.DataFrame:
        """The table; simulated, if so."""
        return self.table.assign(simulated=True) if self.simulated else self.table.copy()

    def write(self, path: Path | str) -> Path:
        """Write the table as CSV (for Excel) or parquet, by the suffix."""
        write_table(Path(path), self.to_frame())
        return Path(path)

    def _repr_html_(self) -> str:
        return str(self.to_frame().to_html(index=False, float_format="{:.4g}".format))

    def __repr__(self) -> str:
        who = " of simulated patients" if self.simulated else ""
        return f"<Metadata: {len(self.table)} series{who}, {len(self.failures)} failed>"


@dataclass(frozen=True)
class _Order:
    patient_id: str
    sequence: str
    files: ImageFiles

    @property
    def label(self) -> str:
        return f"{self.patient_id} {self.sequence}"


@dataclass(frozen=True)
class _Read:
    label: str
    row: dict[str, Any] | None = None
    failure: dict[str, str] | None = None


def as_cohort(source: Source) -> Cohort:
    """A cohort as it is, or read from settings, a study file, a folder or a dictionary."""
    if isinstance(source, Cohort):
        return source
    return read_cohort(source.cohort if isinstance(source, StudySettings) else source)


def base_sequence(sequence: str) -> str:
    """The sequence of a region of it.

    Examples
    --------
    >>> base_sequence("ce_t1-gtvnd"), base_sequence("t1")
    ('ce_t1', 't1')
    """
    return split_name(sequence)[0]


def read_metadata(source: Source, *, jobs: int = 0, progress: bool = True) -> Metadata:
    """Read the acquisition parameters of every series.

    Parameters
    ----------
    source : Cohort, settings, path or dict
        What :func:`radiomics_npc.cohort.reading.read_cohort` takes: a folder in the published layout, a study
        file...
    jobs : int
        Processes; 0 takes all cores.
    progress : bool
        Show how far it is.

    Returns
    -------
    Metadata
        Of DICOM, headers alone are read, of all files of a series. Of NIfTI, NRRD and MetaImage, what
        geometry gives and what the JSON file beside it says. Nothing names a patient but the identifier of
        the cohort.

    Raises
    ------
    CohortError, ConfigError
        There is no such cohort.

    Notes
    -----
    The data set's own table takes the spacing between slices from the header of one file (authors' toolkit,
    ``dicom_processor.py``). Scanners write the gap or the distance there; ``slice_distance_mm`` is what
    holds.

    Examples
    --------
    >>> read_metadata(Cohort(cases=()), jobs=1)
    <Metadata: 0 series, 0 failed>
    """
    cohort = as_cohort(source)
    work = {
        (case.patient_id, base_sequence(sequence)): files
        for case in cohort.cases
        for sequence, files in case.images.items()
    }
    orders = [_Order(patient, sequence, files) for (patient, sequence), files in work.items()]
    done = map_cases(_read, orders, jobs=jobs, ordered=True)
    results = list(track(done, "metadata", len(orders)) if progress else done)
    table = pd.DataFrame(
        [r.row for r in results if r.row is not None], columns=["patient_id", "sequence", *COLUMNS]
    )
    for name in _WHOLE:
        table[name] = pd.to_numeric(table[name]).round().astype("Int64")
    failures = [r.failure for r in results if r.failure is not None]
    return Metadata(table, pd.DataFrame(failures, columns=FAILURE_COLUMNS), cohort.simulated)


def _read(order: _Order) -> _Read:
    key = {"patient_id": order.patient_id, "sequence": order.sequence}
    try:
        return _Read(order.label, row=key | read_headers(order.files.image, order.files.series))
    except Exception as error:  # noqa: BLE001 - a fault of one series must not stop the others
        failure = failure_row(order.patient_id, order.sequence, "metadata", error)
        return _Read(order.label, failure=failure)
