"""Volume, surface, diameter and regularity of every mask, as in ``morphological_parameters.csv``."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pandas as pd

from radiomics_npc.cohort.cases import ImageFiles
from radiomics_npc.cohort.failures import FAILURE_COLUMNS, failure_row
from radiomics_npc.dataset.metadata import Source, as_cohort
from radiomics_npc.errors import RegionAbsentError
from radiomics_npc.features.morphology import morphology
from radiomics_npc.imaging.reading import read_drawn, read_image
from radiomics_npc.imaging.volume import Mask
from radiomics_npc.parallel import map_cases
from radiomics_npc.progress import track
from radiomics_npc.storage import write_table

__all__ = ["MEASURES", "Morphology", "knows_its_grid", "measure_morphology"]

#: The columns of the published table.
MEASURES: Final = ("volume_cm3", "surface_area_cm2", "max_diameter_cm", "surface_regularity")
_OWN_GRID = re.compile(r".+\.(nii|nii\.gz|nrrd|nhdr|mha|mhd)", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class Morphology:
    """Four measures of every mask.

    Parameters
    ----------
    table : DataFrame
        patient_id, sequence, volume_cm3, surface_area_cm2, max_diameter_cm, surface_regularity.
    failures : DataFrame
        Masks that could not be measured: patient_id, sequence, stage, error, message, remedy.
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
        return f"<Morphology: {len(self.table)} masks{who}, {len(self.failures)} failed>"


@dataclass(frozen=True)
class _Order:
    patient_id: str
    sequence: str
    files: ImageFiles


@dataclass(frozen=True)
class _Measured:
    label: str
    row: dict[str, Any] | None = None
    failure: dict[str, str] | None = None


def measure_morphology(source: Source, *, jobs: int = 0, progress: bool = True) -> Morphology:
    """Measure every mask of a cohort.

    Parameters
    ----------
    source : Cohort, settings, path or dict
        What :func:`radiomics_npc.cohort.reading.read_cohort` takes.
    jobs : int
        Processes, one mask each; 0 takes all cores.
    progress : bool
        Show how far it is.

    Returns
    -------
    Morphology
        A mask that knows its geometry is measured on its own grid, as the data set's authors do; contours in
        DICOM are drawn on their image first. A series without mask is no failure and no row, as is an
        optional region that is not drawn.

    Raises
    ------
    CohortError, ConfigError
        There is no such cohort.

    Examples
    --------
    >>> from radiomics_npc.cohort.cases import Cohort
    >>> measure_morphology(Cohort(cases=()), jobs=1)
    <Morphology: 0 masks, 0 failed>
    """
    cohort = as_cohort(source)
    orders = [
        _Order(case.patient_id, sequence, files)
        for case in cohort.cases
        for sequence, files in case.images.items()
        if files.mask is not None
    ]
    done = map_cases(_measure, orders, jobs=jobs, ordered=True)
    results = list(track(done, "morphology", len(orders)) if progress else done)
    table = pd.DataFrame(
        [r.row for r in results if r.row is not None], columns=["patient_id", "sequence", *MEASURES]
    )
    failures = [r.failure for r in results if r.failure is not None]
    return Morphology(table, pd.DataFrame(failures, columns=FAILURE_COLUMNS), cohort.simulated)


def knows_its_grid(mask: Path) -> bool:
    """Whether a mask file has a geometry of its own: an RTSTRUCT is drawn on its image first.

    Examples
    --------
    >>> knows_its_grid(Path("ROI-T1.nii.gz")), knows_its_grid(Path("RS.dcm"))
    (True, False)
    """
    return _OWN_GRID.fullmatch(mask.name) is not None


def _measure(order: _Order) -> _Measured:
    label = f"{order.patient_id} {order.sequence}"
    try:
        found = morphology(_mask(order.files))
    except RegionAbsentError as error:
        if order.files.optional:
            return _Measured(label)
        return _Measured(label, failure=failure_row(order.patient_id, order.sequence, "morphology", error))
    except Exception as error:  # noqa: BLE001 - a fault of one mask must not stop the others
        return _Measured(label, failure=failure_row(order.patient_id, order.sequence, "morphology", error))
    values = found["volume_cm3"], found["surface_cm2"], found["max_diameter_cm"], found["surface_regularity"]
    row = {"patient_id": order.patient_id, "sequence": order.sequence}
    return _Measured(label, row=row | dict(zip(MEASURES, values, strict=True)))


def _mask(files: ImageFiles) -> Mask:
    own = files.mask is None or knows_its_grid(files.mask)
    return read_drawn(files, None if own else read_image(files.image, files.series))
