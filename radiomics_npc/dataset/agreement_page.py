"""The page of an agreement: what is compared, in tables and figures that need no other file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from radiomics_npc.dataset.page import Section, page_html
from radiomics_npc.nomogram.labels import sequence_label
from radiomics_npc.report.pieces import picture
from radiomics_npc.report.tables import html_table, number

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.figure import Figure

    from radiomics_npc.dataset.agreement import Agreement

__all__ = ["MEASURES", "agreement_page", "summary_table", "volume_table"]

#: What is summarized besides the normalized surface distances, as printed.
MEASURES: Final = {
    "dice": "Dice", "jaccard": "Jaccard", "hd95_mm": "HD95 (mm)",
    "mean_surface_distance_mm": "Mean surface distance (mm)",
}  # fmt: skip
_NOTES: Final = {
    "overlap": (
        "Means with 95% bootstrap percentile intervals over patients; infinite distances (one mask is empty)"
        " are left out of means alone. All: a patient's sequences are averaged first.",
        "HD95: the larger of the two directed 95th percentiles of surface distance by area. NSD: share of"
        " both surfaces within the tolerance of the other (Nikolov 2021).",
    ),
    "volumes": (
        "Volumes by voxels. Bias and 95% limits of agreement after Bland and Altman (1986, 1999), with 95%"
        " confidence intervals; ratios on a logarithmic scale, for differences that grow with the volume,"
        " without patients of whom one mask is empty.",
        "ICC(2,1): absolute agreement of single raters who stand for others (Shrout and Fleiss 1979;"
        " McGraw and Wong 1996).",
    ),
}
_CAPTIONS: Final = {
    "dice": "Dice coefficient by sequence; a dot a patient",
    "jaccard": "Jaccard index by sequence; a dot a patient",
    "volumes": "Difference of the volumes against their mean; lines: bias and 95% limits of agreement, bands:"
    " their 95% confidence intervals",
}


def agreement_page(found: Agreement, figures: Mapping[str, Figure]) -> str:
    """Write the page.

    Parameters
    ----------
    found : Agreement
    figures : mapping of str to Figure
        Of :meth:`radiomics_npc.dataset.agreement.Agreement.figures`.

    Returns
    -------
    str
        HTML.
    """
    who = ", simulated patients" if found.simulated else ""
    lead = [f"{len(found.table)} pairs of masks of {found.table['patient_id'].nunique()} patients."]
    printed = {name: picture(name, figures[name], f"{_CAPTIONS[name]}{who}.") for name in figures}
    caption = "Mean (95% interval); median (minimum to maximum)"
    overlap = html_table(summary_table(found.summary), caption)
    overlap += f'<div class="side">{printed["dice"]}{printed["jaccard"]}</div>'
    volumes = html_table(volume_table(found.volumes), "Bias, limits of agreement and ICC (95% interval)")
    lowest = html_table(_shown(found.table.sort_values("dice").head(10), found.names), "Ten pairs at most")
    sections = [
        Section("overlap", f"Overlap and distances{who}", overlap, _NOTES["overlap"], link="Overlap"),
        Section(
            "volumes", f"Volumes, {found.names[0]} minus {found.names[1]}{who}",
            volumes + printed.get("volumes", ""), _NOTES["volumes"], link="Volumes",
        ),
        Section("lowest", f"Lowest Dice{who}", lowest, link="Lowest Dice"), *_left_out(found),
    ]  # fmt: skip
    heading = f"Agreement of {found.names[0]} and {found.names[1]}{who}"
    return page_html(heading, lead, sections, simulated=found.simulated)


def _left_out(found: Agreement) -> list[Section]:
    sections = []
    if len(found.unmatched):
        columns = {"patient_id": "Patient", "sequence": "Sequence", "only_in": "Only in"}
        table = found.unmatched.rename(columns=columns)
        table["Sequence"] = table["Sequence"].map(sequence_label)
        sections.append(Section("unmatched", "Masks that only one has", html_table(table, most=200)))
    if len(found.failures):
        columns = {"patient_id": "Patient", "sequence": "Sequence", "message": "Problem", "remedy": "Remedy"}
        table = found.failures[list(columns)].rename(columns=columns)
        sections.append(Section("failures", "What could not be compared", html_table(table, most=200)))
    return sections


def summary_table(summary: pd.DataFrame) -> pd.DataFrame:
    """The summary as printed: a row a measure, a column a sequence.

    Examples
    --------
    >>> from radiomics_npc.segmentation.evaluation import summarize
    >>> table = pd.DataFrame({"patient_id": list("ab"), "sequence": ["t1"] * 2, "dice": [0.8, 0.8]})
    >>> summary_table(summarize(table, ["sequence"], measures=["dice"], unit="patient_id"))
      Measure                                       T1
    0    Dice  0.80 (0.80 to 0.80); 0.80 (0.80 to 0.80)
    """
    rows: dict[str, dict[str, str]] = {}
    for row in summary.to_dict("records"):
        measure = str(row["measure"])
        label = MEASURES.get(measure) or f"NSD at {measure.removeprefix('nsd_').removesuffix('mm')} mm"
        group = "All" if row["by"] == "all" else sequence_label(str(row["group"])) or "All masks"
        rows.setdefault(label, {"Measure": label})[group] = _estimate(row)
    table = pd.DataFrame(list(rows.values()))
    return table.drop(columns="All") if table.shape[1] == 3 else table  # one sequence is all there is


def volume_table(volumes: pd.DataFrame) -> pd.DataFrame:
    """Agreement of the volumes as printed, a row a sequence."""
    rows = [
        {
            "Sequence": sequence_label(str(row["sequence"])) or "All masks",
            "Patients": number(int(row["n"])),
            "Bias (cm³)": _interval(row, "bias"),
            "Lower limit (cm³)": _interval(row, "limit_low"),
            "Upper limit (cm³)": _interval(row, "limit_high"),
            "Ratio": _interval(row, "ratio"),
            "Limits of the ratio": _from_to(row["ratio_limit_low"], row["ratio_limit_high"]),
            "ICC(2,1)": _interval(row, "icc"),
        }
        for row in volumes.to_dict("records")
    ]
    return pd.DataFrame(rows)


def _interval(row: dict[Any, Any], name: str) -> str:
    """Estimate with its limits.

    Examples
    --------
    >>> _interval({"bias": -0.5, "bias_lower": -1.0, "bias_upper": 0.25}, "bias")
    '−0.50 (−1.00 to 0.25)'
    """
    value = number(float(row[name]), 2)
    limits = _from_to(row[f"{name}_lower"], row[f"{name}_upper"])
    return value if limits == "–" else f"{value} ({limits})"


def _from_to(low: float, high: float) -> str:
    return f"{number(float(low), 2)} to {number(float(high), 2)}" if np.isfinite([low, high]).all() else "–"


def _estimate(row: dict[Any, Any]) -> str:
    """Mean with its interval, median with the range, and how many distances are infinite."""
    text = _interval({"x": row["mean"], "x_lower": row["lower"], "x_upper": row["upper"]}, "x")
    middle, lowest, highest = (
        "∞" if np.isinf(row[name]) else number(float(row[name]), 2)
        for name in ("median", "lowest", "highest")
    )
    infinite = f"; {row['infinite']} infinite" if row["infinite"] else ""
    return f"{text}; {middle} ({lowest} to {highest}){infinite}"


def _shown(table: pd.DataFrame, names: tuple[str, str]) -> pd.DataFrame:
    columns = {
        "patient_id": "Patient", "sequence": "Sequence", "dice": "Dice", "jaccard": "Jaccard",
        "hd95_mm": "HD95 (mm)", "first_cm3": f"{names[0]} (cm³)", "second_cm3": f"{names[1]} (cm³)",
        "remark": "Remark",
    }  # fmt: skip
    if not table["remark"].any():
        del columns["remark"]
    shown = table[list(columns)].rename(columns=columns)
    return shown.assign(Sequence=shown["Sequence"].map(sequence_label)).replace(np.inf, "∞")
