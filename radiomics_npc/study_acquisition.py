"""How the images of a study were acquired: a table of every series, and parameters that are odd."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from radiomics_npc.cohort.cases import Cohort
from radiomics_npc.cohort.findings import Finding
from radiomics_npc.cohort.outliers import robust_outliers
from radiomics_npc.cohort.tables import name_patients
from radiomics_npc.dataset.metadata import read_metadata
from radiomics_npc.simulate.published import ACQUISITION
from radiomics_npc.storage import write_table

__all__ = ["check_acquisition", "odd_parameters"]

#: Column of the acquisition table: its name in the published Table 1, and its unit.
_PUBLISHED: Final = {
    "echo_time": ("echo_time_ms", "ms"), "repetition_time": ("repetition_time_ms", "ms"),
    "pixel_spacing": ("pixel_spacing_mm", "mm"), "slice_distance_mm": ("slice_spacing_mm", "mm"),
    "slice_thickness": ("slice_thickness_mm", "mm"), "flip_angle": ("flip_angle_deg", "degrees"),
}  # fmt: skip
_FACTOR: Final = 3.0
_APART: Final = 1.5
_WORDS: Final = {"slice_distance_mm": "slice distance"}


def check_acquisition(cohort: Cohort, tables: Path, *, jobs: int = 0) -> list[Finding]:
    """Write acquisition.csv, a row a series with its center, and say what is odd in it.

    Parameters
    ----------
    cohort : Cohort
        Without images nothing is written, and what an earlier run wrote is removed.
    tables : Path
        Folder.
    jobs : int
        Processes; 0 takes all cores.

    Returns
    -------
    list of Finding
        See :func:`odd_parameters`. Series that cannot be read are faults of the check of the images.
    """
    file = tables / "acquisition.csv"
    if not cohort.sequences or not any(case.images for case in cohort.cases):
        file.unlink(missing_ok=True)
        return []
    table = read_metadata(cohort, jobs=jobs).to_frame()
    centers = {case.patient_id: case.center or None for case in cohort.cases}
    table.insert(1, "center", table["patient_id"].map(centers))
    write_table(file, table)
    return odd_parameters(table)


def odd_parameters(table: pd.DataFrame) -> list[Finding]:
    """Acquisition parameters that may be in another unit, or of another protocol.

    Parameters
    ----------
    table : DataFrame
        patient_id, sequence and parameters in ms, mm, degrees.

    Returns
    -------
    list of Finding
        Warnings, one a sequence and parameter: values below a third of the lowest, or above three times the
        highest, that the data set's publication has for the sequence; and values that are outliers (see
        :func:`radiomics_npc.cohort.outliers.robust_outliers`) and half as large again, or two thirds, of the
        median of this cohort.

    Examples
    --------
    >>> table = pd.DataFrame({"patient_id": ["1", "2"], "sequence": "t1", "echo_time": [12.0, 0.012]})
    >>> [(f.patient_id, f.problem) for f in odd_parameters(table)]
    [('2', 'echo time 0.012 ms; published are 8.6 to 16.4 ms')]
    """
    findings = []
    for sequence, rows in table.groupby("sequence", sort=False):
        published = ACQUISITION.get(str(sequence), {})
        for column, (name, unit) in _PUBLISHED.items():
            if column in rows and name in published:
                values = pd.to_numeric(rows[column], errors="coerce").set_axis(rows["patient_id"]).dropna()
                low, high = published[name].low, published[name].high
                findings += _odd_values(values, column, unit, (low, high), str(sequence))
    return findings


def _odd_values(
    values: pd.Series, column: str, unit: str, published: tuple[float, float], sequence: str
) -> list[Finding]:
    name = _WORDS.get(column, column.replace("_", " "))
    low, high = published
    strange = (values < low / _FACTOR) | (values > high * _FACTOR)
    ratio = values / values.median()
    apart = robust_outliers(values) & ((ratio > _APART) | (ratio < 1 / _APART)).to_numpy() & ~strange
    remedy = "Check unit and protocol: are these images of the sequence they are taken for?"
    found = []
    for out, words in (
        (strange, f"published are {low:g} to {high:g} {unit}"),
        (apart, f"the median of this cohort is {values.median():g} {unit}"),
    ):
        if not out.any():
            continue
        who = [str(p) for p in values.index[out]]
        some = values[np.asarray(out)]
        shown = f"{some.min():g}" if len(some) == 1 else f"{some.min():g} to {some.max():g}"
        people = "" if len(who) == 1 else f" ({len(who)} patients: {name_patients(who)})"
        problem = f"{name} {shown} {unit}; {words}{people}"
        patient = who[0] if len(who) == 1 else ""
        found.append(Finding.warning(problem, remedy, patient, sequence, "acquisition.csv"))
    return found
