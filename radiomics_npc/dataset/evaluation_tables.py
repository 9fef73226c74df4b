"""Tables of an evaluation as printed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from radiomics_npc.dataset.evaluation_figures import MEASURE_NAMES
from radiomics_npc.report.tables import number, p_value
from radiomics_npc.segmentation.ranking import Ranking

if TYPE_CHECKING:
    from radiomics_npc.segmentation.rank_stability import RankStability

__all__ = [
    "LENGTHS",
    "OVERLAPS",
    "comparison_table",
    "lowest_table",
    "ranking_table",
    "stability_table",
    "summary_table",
]

_ALL: Final = "Mean over classes"
#: Measures of the first table of scores.
OVERLAPS: Final = ("dice", "nsd", "sensitivity", "precision", "jaccard")
#: Measures of the second table.
LENGTHS: Final = ("hd95_mm", "mean_surface_distance_mm", "volume_error_cm3", "volume_error_percent")
_MOST_PARTS: Final = 12
_MOST_CLASSES: Final = 6


def _measure(name: str) -> str:
    return MEASURE_NAMES.get(name, name)


def _rounded(column: pd.Series) -> list[str]:
    return [number(float(value), 2) for value in column]


def ranking_table(ranking: Ranking) -> pd.DataFrame:
    """The ranking, with the ranks within every measure and class if they are few.

    Examples
    --------
    >>> table = pd.DataFrame({"method": ["A"], "rank": [1], "mean_rank": [1.5], "sd_of_ranks": [0.71]})
    >>> parts = pd.DataFrame({"method": "A", "measure": ["dice", "nsd"], "class": "x", "rank": [1.0, 2.0]})
    >>> ranking_table(Ranking(table, parts, "rank_then_aggregate")).to_numpy().tolist()
    [['A', '1', '1.50', '0.71', '1', '2']]
    """
    shown = pd.DataFrame({
        "Method": ranking.table["method"], "Rank": ranking.table["rank"].map(str),
        "Mean rank": _rounded(ranking.table["mean_rank"]),
        "SD of ranks": _rounded(ranking.table["sd_of_ranks"]),
    })  # fmt: skip
    parts = list(ranking.parts.groupby(["measure", "class"], sort=False))
    single = len(set(ranking.parts["class"])) == 1
    for (measure, name), rows in parts if len(parts) <= _MOST_PARTS else []:
        head = _measure(str(measure)) + ("" if single else f", {name}")
        ranks = rows.set_index("method")["rank"].loc[ranking.table["method"]]
        shown[head] = [f"{r:.0f}" if float(r).is_integer() else number(float(r), 2) for r in ranks]
    return shown


def summary_table(
    summary: pd.DataFrame, methods: Sequence[str], measures: Sequence[str] = (*OVERLAPS, *LENGTHS)
) -> pd.DataFrame:
    """Means with their intervals: a row a class and method, a column a measure.

    Of more than six classes the mean over them alone.

    Examples
    --------
    >>> rows = {"method": "A", "class": ["all", "tumor"], "measure": "dice", "mean": 0.8, "lower": 0.75}
    >>> summary = pd.DataFrame(rows).assign(upper=0.85, infinite=0, missing=0)
    >>> summary_table(summary, ["A"]).to_numpy().tolist()
    [['A', '0.80 (0.75 to 0.85)']]
    """
    names = [name for name in dict.fromkeys(summary["class"].map(str)) if name != "all"]
    shown = names if len(names) == 1 else [*names, "all"] if len(names) <= _MOST_CLASSES else ["all"]
    by_class: dict[tuple[str, str], dict[str, dict[Any, Any]]] = {}
    for row in summary.to_dict("records"):
        by_class.setdefault((str(row["class"]), str(row["method"])), {})[str(row["measure"])] = row
    rows = []
    for name in shown:
        for method in methods:
            found = by_class[name, method]
            printed = {"Method": method, "Class": _ALL if name == "all" else name}
            printed |= {_measure(m): _estimate(found[m], "mean") for m in measures if m in found}
            missing = next(iter(found.values()))["missing"]
            rows.append(printed | ({"Missing": str(missing)} if summary["missing"].any() else {}))
    table = pd.DataFrame(rows)
    return table.drop(columns="Class") if names == ["tumor"] else table


def _estimate(row: Mapping[Any, Any], value: str) -> str:
    """Estimate with its interval, with the digits of its measure."""
    measure = str(row["measure"])
    digits = 1 if measure.startswith("volume") else 2 if value == "mean" or measure.endswith("_mm") else 3
    text = number(float(row[value]), digits)
    if not np.isfinite([row["lower"], row["upper"]]).all():
        return text
    return f"{text} ({number(float(row['lower']), digits)} to {number(float(row['upper']), digits)})"


def stability_table(found: RankStability) -> pd.DataFrame:
    """Ranks in bootstrap samples, a row a method."""
    table = found.to_frame()
    return pd.DataFrame({
        "Method": table["method"], "Rank": table["rank"].map(str),
        "Holds it in": [f"{100 * share:.0f}%" for share in table["held"]],
        "Median": [f"{value:g}" for value in table["median"]],
        "95% of samples": [f"{a:g} to {b:g}" for a, b in zip(table["lower"], table["upper"], strict=True)],
    })  # fmt: skip


def comparison_table(comparisons: pd.DataFrame, methods: Sequence[str]) -> pd.DataFrame:
    """Differences of two methods with their tests: all pairs of up to three methods, else neighbors.

    Of more than four classes the mean over them alone.
    """
    table = comparisons
    if len(methods) > 3:
        table = table[table["neighbors"].astype(bool)]
    if len(set(table["class"])) > 5:
        table = table[table["class"] == "all"]
    return pd.DataFrame({
        "Pair": (table["first"] + " − " + table["second"]).to_numpy(),
        "Measure": [_measure(name) for name in table["measure"]],
        "Class": [_ALL if name == "all" else name for name in table["class"]],
        "Cases": [str(n) for n in table["n"]],
        "Difference (95% interval)": [_estimate(row, "difference") for row in table.to_dict("records")],
        "t test, p": [p_value(p) for p in table["p_t_holm"]],
        "Wilcoxon, p": [p_value(p) for p in table["p_wilcoxon_holm"]],
        "Mann-Whitney, p": [p_value(p) for p in table["p_mann_whitney_holm"]],
    })  # fmt: skip


def lowest_table(table: pd.DataFrame, most: int = 10) -> pd.DataFrame:
    """The scores with the lowest Dice."""
    columns = {
        "method": "Method", "case": "Case", "class": "Class", "dice": "Dice", "nsd": "NSD",
        "hd95_mm": "HD95 (mm)", "predicted_cm3": "Predicted (cm³)", "reference_cm3": "Reference (cm³)",
        "remark": "Remark",
    }  # fmt: skip
    rows = table.sort_values(["dice", "nsd"], kind="stable").head(most)
    shown = rows[list(columns)].rename(columns=columns).replace(np.inf, "∞")
    if not rows["remark"].any():
        shown = shown.drop(columns="Remark")
    return shown.map(lambda value: number(value, 2))
