"""What a report shows of predicted contours, read from the tables of a run folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from radiomics_npc.report.modelling_content import read_optional

__all__ = ["agreement_summary", "read_contours", "risk_intervals"]

Content = dict[str, Any]
_MEASURES = {
    "dice": ("Dice", 3), "hd95_mm": ("HD95 (mm)", 1), "nsd_1mm": ("NSD at 1 mm", 3),
    "nsd_2mm": ("NSD at 2 mm", 3), "volume_error_percent": ("Volume error (%)", 0),
}  # fmt: skip


def read_contours(folder: Path, settings: Mapping[str, Any], record: Mapping[str, Any]) -> Content:
    """Parts ``contours`` and ``contour_effects`` of the content, as far as a run has them.

    Parameters
    ----------
    folder : Path
        A run folder.
    settings : mapping
        Of its study.yaml.
    record : mapping
        Its run.json.

    Returns
    -------
    dict
        Empty where no mask was predicted.
    """
    tables = folder / "tables"
    wanted, model = settings.get("segmentation"), record.get("segmentation")
    table = read_optional(tables / "segmentation.csv")
    if not wanted or not model or table is None or table.empty:
        return {}
    content: Content = {
        "contours": {
            "model": dict(model), "when": wanted["when"], "flips": wanted["flips"], "table": table,
            "agreement": read_optional(tables / "segmentation_agreement.csv"),
        }
    }  # fmt: skip
    effects = {
        "c_index": read_optional(tables / "segmentation_c_index.csv"),
        "failure": record.get("comparison_failure"),
        "risk": read_optional(tables / "contour_uncertainty_segmentation.csv"),
        "summary": read_optional(tables / "contour_uncertainty_segmentation_summary.csv"),
    }
    if any(part is not None for part in effects.values()):
        content["contour_effects"] = effects
    return content


def agreement_summary(agreement: pd.DataFrame) -> pd.DataFrame:
    """Medians and quartiles of every measure by sequence, as printed.

    Parameters
    ----------
    agreement : DataFrame
        Of :func:`radiomics_npc.contour_comparison.mask_agreement`.

    Returns
    -------
    DataFrame
        sequence, patients, and a column a measure: median (lower to upper quartile).

    Examples
    --------
    >>> table = pd.DataFrame({"sequence": ["t1"] * 3, "dice": [0.7, 0.8, 0.9], "hd95_mm": [2.0, 4.0, np.inf]})
    >>> agreement_summary(table).iloc[0].astype(str).tolist()
    ['t1', '3', '0.800 (0.750 to 0.850)', '4.0 (3.0 to infinite)']
    """
    rows = []
    for sequence, part in agreement.groupby("sequence", sort=False):
        row: dict[str, Any] = {"sequence": sequence, "patients": int(part["dice"].notna().sum())}
        for column, (label, digits) in _MEASURES.items():
            if column in part:
                values = part[column].dropna()
                row[label] = _quartiles(values, digits) if len(values) else "–"
        rows.append(row)
    return pd.DataFrame(rows)


def _quartiles(values: pd.Series, digits: int) -> str:
    # Distances of an empty prediction are infinite: order tells, where a mean could not.
    ordered = np.sort(values.to_numpy(float))
    found = [_between(ordered, share) for share in (0.5, 0.25, 0.75)]
    middle, low, high = ("infinite" if np.isinf(x) else f"{x:.{digits}f}".replace("-", "−", 1) for x in found)
    return f"{middle} ({low} to {high})"


def _between(ordered: np.ndarray, share: float) -> float:
    """A quantile (linear) that is infinite where a neighbor of it is."""
    place = share * (len(ordered) - 1)
    below, above = ordered[int(np.floor(place))], ordered[int(np.ceil(place))]
    part = place - np.floor(place)
    return float(below) if part == 0 or below == above else float(below + part * (above - below))


def risk_intervals(risk: pd.DataFrame) -> pd.DataFrame:
    """Risk of the event by the horizon, with its interval over the contours.

    Parameters
    ----------
    risk : DataFrame
        Of :meth:`radiomics_npc.survival.validation.contour_uncertainty.ContourUncertainty.to_frame`.

    Returns
    -------
    DataFrame
        patient_id, risk, lower, upper (one minus the probabilities), changes_group if known; from low to
        high risk.

    Examples
    --------
    >>> table = pd.DataFrame({"patient_id": ["1"], "pfs_60": [0.75], "lower": [0.5], "upper": [1.0]})
    >>> risk_intervals(table).to_dict("records")
    [{'patient_id': '1', 'risk': 0.25, 'lower': 0.0, 'upper': 0.5}]
    """
    name = next(column for column in risk.columns if column.startswith("pfs_"))
    found = pd.DataFrame({
        "patient_id": risk["patient_id"], "risk": 1 - risk[name], "lower": 1 - risk["upper"],
        "upper": 1 - risk["lower"],
    })  # fmt: skip
    if "changes_group" in risk:
        found["changes_group"] = risk["changes_group"]
    return found.sort_values(["risk", "patient_id"], ignore_index=True)
