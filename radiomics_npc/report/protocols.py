"""Scanners, protocols and image quality by center: read from a run folder, as a table and a section."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from radiomics_npc.nomogram.labels import sequence_label
from radiomics_npc.report.modelling_content import read_optional
from radiomics_npc.report.pieces import folded, paragraph, picture
from radiomics_npc.report.tables import html_table
from radiomics_npc.report.writing import plural

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["PARAMETERS", "groups_of", "protocol_table", "read_protocols", "scanners_of", "section"]

#: What is compared: column, and its words with the unit.
PARAMETERS: Final = {
    "magnetic_field_strength": "Field strength (T)", "echo_time": "Echo time (ms)",
    "repetition_time": "Repetition time (ms)",
    "pixel_spacing": "Pixel spacing (mm)", "slice_distance_mm": "Slice distance (mm)",
    "slice_thickness": "Slice thickness (mm)", "flip_angle": "Flip angle (degrees)",
    "snr": "Signal-to-noise ratio", "ghost_percent": "Ghosts (% of the signal)",
}  # fmt: skip
_MOST_GROUPS: Final = 8


def read_protocols(tables: Path) -> dict[str, Any] | None:
    """Acquisition parameters and image quality of every series, with what they are grouped by.

    Parameters
    ----------
    tables : Path
        Folder ``tables`` of a run.

    Returns
    -------
    dict or None
        ``table``: a row a patient and sequence with ``group``; ``by``: center, or scanner where there are
        no two centers. None where the run has no acquisition parameters.
    """
    table = read_optional(tables / "acquisition.csv")
    if table is None or table.empty:
        return None
    quality = read_optional(tables / "image_quality.csv")
    if quality is not None:
        numbers = quality[["patient_id", "sequence", "snr", "ghost_percent"]]
        keys = {"patient_id": str, "sequence": str}
        table = table.astype(keys).merge(numbers.astype(keys), "left", ["patient_id", "sequence"])
    by = "center" if "center" in table and len(table["center"].dropna().unique()) > 1 else "scanner"
    names = (
        table["center"].astype(str).where(table["center"].notna(), "not known")
        if by == "center"
        else scanners_of(table)
    )
    kept = names.groupby(names).count().sort_values(ascending=False, kind="stable").index[:_MOST_GROUPS]
    return {"table": table.assign(group=names.where(names.isin(kept), "others")), "by": by}


def scanners_of(table: pd.DataFrame) -> pd.Series:
    """Scanner and field of every series, as ``Achieva, 1.5 T``."""
    model = table["scanner_device_name"].fillna("scanner not known").astype(str)
    field = pd.to_numeric(table["magnetic_field_strength"], errors="coerce")
    return model + field.map(lambda tesla: f", {tesla:g} T", na_action="ignore").fillna("")


def groups_of(part: Mapping[str, Any]) -> list[str]:
    """The groups, the largest first and the others last."""
    counts = (
        part["table"].groupby("group")["patient_id"].nunique().sort_values(ascending=False, kind="stable")
    )
    return sorted(counts.index, key=lambda name: name == "others")


def protocol_table(part: Mapping[str, Any]) -> pd.DataFrame:
    """Scanners and parameters, a column a group.

    Parameters
    ----------
    part : mapping
        Of :func:`read_protocols`.

    Returns
    -------
    DataFrame
        Parameter, Sequence, then a column a group: patients, scanners (series of each), and median (lowest
        to highest) of every parameter that is known.

    Examples
    --------
    >>> table = pd.DataFrame({
    ...     "patient_id": ["1", "2"], "sequence": "t1", "group": "A", "scanner_device_name": "Achieva",
    ...     "magnetic_field_strength": 1.5, "echo_time": [10.0, 12.0]})
    >>> protocol_table({"table": table, "by": "center"})
            Parameter Sequence              A
    0        Patients                       2
    1  Achieva, 1.5 T               2 series
    2  Echo time (ms)       T1  11 (10 to 12)
    """
    table: pd.DataFrame = part["table"]
    names = groups_of(part)
    groups = {name: table[table["group"] == name] for name in names}
    rows = [["Patients", "", *(str(rows["patient_id"].nunique()) for rows in groups.values())]]
    if part["by"] == "center":
        scanners = scanners_of(table)
        rows += [
            [model, "", *(f"{int((scanners[rows.index] == model).sum())} series" for rows in groups.values())]
            for model in scanners.value_counts().index
        ]
    for column, words in PARAMETERS.items():
        if column not in table or table[column].isna().all() or column == "magnetic_field_strength":
            continue  # the field stands with the scanner
        for sequence in dict.fromkeys(table["sequence"]):
            cells = [_summary(rows.loc[rows["sequence"] == sequence, column]) for rows in groups.values()]
            rows.append([words, sequence_label(str(sequence)), *cells])
    return pd.DataFrame(rows, columns=["Parameter", "Sequence", *names])


def _summary(values: pd.Series) -> str:
    known = pd.to_numeric(values, errors="coerce").dropna()
    if known.empty:
        return ""
    low, middle, high = (_short(v) for v in (known.min(), known.median(), known.max()))
    return middle if low == high else f"{middle} ({low} to {high})"


def _short(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{round(value, 2):.3g}"


def section(content: Mapping[str, Any], drawn: Mapping[str, Figure]) -> str:
    """How scanners, protocols and image quality differ between centers, or scanners."""
    part = content["protocols"]
    table = protocol_table(part)
    models = scanners_of(part["table"]).nunique()
    series = f"{len(part['table'])} series from {plural(models, 'kind')} of scanner"
    group = "center" if part["by"] == "center" else "scanner"
    words = (
        f"Acquisition parameters of {series}, as the headers say, and image quality as measured. Radiomic "
        "features depend on both: differences between groups can look like biology."
    )
    caption = (
        f"Acquisition and image quality by {group}: a mark a series, the line is the median of a sequence. "
        "Signal-to-noise ratio from the air around the body; ghosts beside the body in percent of the signal."
    )
    found = paragraph(words) + picture("protocols", drawn.get("protocols"), caption)
    return found + folded(f"Parameters by {group}", html_table(table))
