"""Tables 1 to 3: how images were acquired, what the tumors measure, on which scanners."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd

from radiomics_npc.cohort.regions import split_name
from radiomics_npc.cohort.tables import plain
from radiomics_npc.dataset.metadata import base_sequence
from radiomics_npc.dataset.published import Numbers
from radiomics_npc.dataset.side_by_side import ALL, UNKNOWN, Cell
from radiomics_npc.nomogram.labels import sequence_label
from radiomics_npc.simulate.published import ACQUISITION, MORPHOLOGY, SCANNERS, Range

__all__ = ["acquisition_cells", "count_outside", "range_text", "scanner_cells", "size_cells"]

# row as printed: column of the metadata, published parameter, digits
_PARAMETERS: Final = {
    "Echo time (ms)": ("echo_time", "echo_time_ms", 2),
    "Repetition time (ms)": ("repetition_time", "repetition_time_ms", 2),
    "Spacing between slices, header (mm)": ("spacing_between_slices", "slice_spacing_mm", 2),
    "Distance of slices, measured (mm)": ("slice_distance_mm", None, 2),
    "Slice thickness (mm)": ("slice_thickness", "slice_thickness_mm", 2),
    "Pixel spacing (mm)": ("pixel_spacing", "pixel_spacing_mm", 2),
    "Field of view (mm)": ("field_of_view", "field_of_view_mm", 0),
    "Flip angle (degrees)": ("flip_angle", "flip_angle_deg", 0),
    "Matrix size": ("matrix_rows", "matrix", 0),
}
_SIZES: Final = {
    "Volume (cm³)": "volume_cm3", "Surface area (cm²)": "surface_area_cm2",
    "Maximum diameter (cm)": "max_diameter_cm", "Surface regularity": "surface_regularity",
}  # fmt: skip


def range_text(values: pd.Series | Range, digits: int, *, fixed: bool = False) -> str:
    """Median (minimum to maximum).

    Examples
    --------
    >>> range_text(pd.Series([12.0, 8.6, 16.4]), 2), range_text(Range(8.6, 0.68, 70.34), 2, fixed=True)
    ('12 (8.6 to 16.4)', '8.60 (0.68 to 70.34)')
    """
    if isinstance(values, pd.Series):
        known = values.dropna().to_numpy(float)
        if not len(known):
            return UNKNOWN
        values = Range(float(np.median(known)), float(known.min()), float(known.max()))
    texts = [f"{value:.{digits}f}" for value in values]
    if not fixed and digits:
        texts = [text.rstrip("0").rstrip(".") for text in texts]
    return f"{texts[0]} ({texts[1]} to {texts[2]})"


def count_outside(values: pd.Series, published: Range | Numbers, digits: int) -> int:
    """Count values that lie outside a range by more than the rounding of its printed limits.

    Examples
    --------
    >>> count_outside(pd.Series([365.9, 366.665, 2283.3]), Range(570.88, 366.67, 2283.34), 2)
    1
    """
    half = 0.5 * 10.0**-digits
    return int(((values < published.low - half) | (values > published.high + half)).sum())


def _compare(
    table: int, variable: str, group: str, values: pd.Series, published: Range | None, digits: int,
    fixed: bool = False,
) -> Cell:  # fmt: skip
    printed = UNKNOWN if published is None else range_text(published, digits, fixed=fixed)
    return Cell(
        table, variable, "", group, range_text(values, digits, fixed=fixed), printed,
        int(values.notna().sum()), int(values.isna().sum()),
        0 if published is None else count_outside(values, published, digits),
    )  # fmt: skip


def acquisition_cells(metadata: pd.DataFrame, sequences: Sequence[str]) -> list[Cell]:
    """Table 1.

    Parameters
    ----------
    metadata : DataFrame
        Of :class:`radiomics_npc.dataset.metadata.Metadata`.
    sequences : sequence of str
        Columns; regions of one sequence are one.

    Examples
    --------
    >>> table = pd.DataFrame({"sequence": ["t1"], "echo_time": [20.0]})
    >>> cell = acquisition_cells(table, ["t1"])[1]
    >>> cell.variable, cell.this_cohort, cell.published, cell.outside
    ('Echo time (ms)', '20 (20 to 20)', '12 (8.6 to 16.4)', 1)
    """
    names = list(dict.fromkeys(base_sequence(s) for s in sequences))
    rows = {s: metadata[metadata["sequence"] == s] for s in names}
    cells = [
        Cell(1, "Series", "", sequence_label(s), str(len(rows[s])), _published_patients(s), len(rows[s]))
        for s in names
    ]
    for variable, (column, parameter, digits) in _PARAMETERS.items():
        for s in names:
            values = _numbers(rows[s], column)
            published = ACQUISITION.get(s, {}).get(parameter) if parameter else None
            cells.append(_compare(1, variable, sequence_label(s), values, published, digits))
    return cells


def _published_patients(sequence: str) -> str:
    return str(sum(s.patients for s in SCANNERS.values())) if sequence in ACQUISITION else UNKNOWN


def _numbers(rows: pd.DataFrame, column: str) -> pd.Series:
    if column not in rows:
        return pd.Series(np.nan, index=rows.index)
    if column == "field_of_view":
        return rows[column].map(_longer_side).astype(float)
    return pd.to_numeric(rows[column]).astype(float)


def _longer_side(text: object) -> float:
    """The longer side of a field of view such as ``220x200``."""
    return max(map(float, text.split("x"))) if isinstance(text, str) else np.nan


def size_cells(morphology: pd.DataFrame, sequences: Sequence[str]) -> list[Cell]:
    """Table 2.

    Parameters
    ----------
    morphology : DataFrame
        Of :class:`radiomics_npc.dataset.morphology.Morphology`.
    sequences : sequence of str
        Columns. The published figures are of primary tumors: other regions have none.

    Examples
    --------
    >>> table = pd.DataFrame({"sequence": ["t1"], "volume_cm3": [2.0], "surface_area_cm2": [9.0],
    ...                       "max_diameter_cm": [2.0], "surface_regularity": [0.5]})
    >>> size_cells(table, ["t1"])[1].published
    '8.60 (0.68 to 70.34)'
    """
    rows = {s: morphology[morphology["sequence"] == s] for s in sequences}
    cells = [
        Cell(2, "Tumors", "", sequence_label(s), str(len(rows[s])), _of_primary(s), len(rows[s]))
        for s in sequences
    ]
    for variable, column in _SIZES.items():
        for s in sequences:
            published = MORPHOLOGY[base_sequence(s)][column] if _of_primary(s) != UNKNOWN else None
            cells.append(_compare(2, variable, sequence_label(s), rows[s][column], published, 2, True))
    return cells


def _of_primary(sequence: str) -> str:
    base, region = split_name(sequence)
    return _published_patients(base) if region in ("", "gtvp") else UNKNOWN


def scanner_cells(scanners: pd.Series) -> list[Cell]:
    """Table 3.

    Parameters
    ----------
    scanners : Series of str
        By patient; missing where it is not known.

    Examples
    --------
    >>> cells = scanner_cells(pd.Series(["ACHIEVA", "Skyra", None]))
    >>> [(c.variable, c.this_cohort, c.published) for c in cells if c.known]
    [('Achieva', '1 (50.0%)', '146 (52.7%)'), ('Skyra', '1 (50.0%)', '0')]
    """
    spelled = {plain(name): name for name in SCANNERS}
    known = scanners.dropna().map(lambda name: spelled.get(plain(str(name)), str(name)))
    counts = {str(name): int(n) for name, n in known.value_counts().items()}
    total = sum(s.patients for s in SCANNERS.values())
    cells = [
        Cell(3, "Patients", "", ALL, str(len(scanners)), str(total)),
    ]
    for name in [*SCANNERS, *sorted(set(counts) - set(SCANNERS))]:
        mine, theirs = counts.get(name, 0), SCANNERS[name].patients if name in SCANNERS else 0
        share = f"{mine} ({100 * mine / len(known):.1f}%)" if mine else "0" if len(known) else UNKNOWN
        outside = mine * (name not in SCANNERS)
        published = f"{theirs} ({100 * theirs / total:.1f}%)" if theirs else "0"
        cells.append(Cell(3, name, "", ALL, share, published, mine, 0, outside))
    if lacking := len(scanners) - len(known):
        cells.append(Cell(3, "Not known", "", ALL, str(lacking), UNKNOWN))
    return cells
