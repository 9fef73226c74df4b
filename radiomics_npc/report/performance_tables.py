"""Tables of how good predictions are, in words, numbers with their intervals."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from radiomics_npc.nomogram.labels import column_label, level_label, model_label, sequence_label
from radiomics_npc.report.tables import interval, number, p_value

__all__ = [
    "accuracy_table",
    "calibration_table",
    "center_table",
    "complete_case_table",
    "distance_table",
    "endpoint_table",
    "hazards_table",
    "optimism_table",
    "pairs_table",
    "plus_table",
    "pooled_table",
    "reclassification_table",
    "restricted_mean_table",
    "stability_counts",
    "subgroup_table",
]

_ACCURACY = {"auc": "AUC (95% CI)", "brier": "Brier score (95% CI)", "ipa": "IPA"}
_CALIBRATION = {
    "observed_expected": ("O/E (95% CI)", 2),
    "calibration_slope": ("Slope (95% CI)", 2),
}
_DISTANCES = {
    "ici": ("ICI (95% CI)", 3), "e50": ("E50 (95% CI)", 3), "e90": ("E90 (95% CI)", 3),
}  # fmt: skip
_RECLASSIFIED = {
    "nri": "NRI", "nri_events": "NRI, patients with an event", "nri_nonevents": "NRI, the others",
    "idi": "IDI", "idi_events": "IDI, patients with an event", "idi_nonevents": "IDI, the others",
    "nri_kaplan_meier": "NRI by Kaplan-Meier",
    "nri_kaplan_meier_events": "NRI by Kaplan-Meier, patients with an event",
    "nri_kaplan_meier_nonevents": "NRI by Kaplan-Meier, the others",
}  # fmt: skip
_INDEXES = {
    "harrell_c": "Harrell's C", "dxy": "Somers' Dxy", "r2": "R² (Nagelkerke)",
    "slope": "Calibration slope (shrinkage)", "d": "Discrimination index D", "u": "Unreliability index U",
    "q": "Quality index Q", "g": "g-index (log hazard)", "brier": "Brier score",
    "uno_c": "Uno's C",
}  # fmt: skip
_ENDPOINT = {"Patients": "patients", "Events": "events", "Competing events": "competing"}
_STABLE = ("poor", "moderate", "good", "excellent")


def _percent(value: float) -> str:
    """A share as printed; a dash for what is unknown.

    Examples
    --------
    >>> _percent(0.1392), _percent(-0.02), _percent(float("nan"))
    ('13.9%', '−2.0%', '–')
    """
    shown = number(100 * float(value), 1)
    return shown if shown == "–" else f"{shown}%"


def _percents(row: pd.Series) -> str:
    limits = f"{_percent(row['lower']).removesuffix('%')} to {_percent(row['upper'])}"
    return f"{_percent(row['incidence'])} ({limits})"


def _by_horizon(table: pd.DataFrame, heads: Mapping[str, tuple[str, int]]) -> pd.DataFrame:
    """One row a model and horizon, one column a metric."""
    rows = []
    for (model, months), part in table.groupby(["model", "time_months"], sort=False):
        found = part.set_index("metric")
        row = {"Model": model_label(str(model)), "Months": f"{months:g}"}
        known = {m: head for m, head in heads.items() if m in found.index}
        row |= {head: interval(found.loc[m], digits) for m, (head, digits) in known.items()}
        if "ipa" in found.index:
            row[_ACCURACY["ipa"]] = _percent(float(found["estimate"]["ipa"]))
        rows.append(row)
    return pd.DataFrame(rows).fillna("–")


def accuracy_table(accuracy: pd.DataFrame) -> pd.DataFrame:
    """AUC, Brier score and index of prediction accuracy of every model and horizon."""
    return _by_horizon(accuracy, {m: (_ACCURACY[m], 3) for m in ("auc", "brier")})


def calibration_table(calibration: pd.DataFrame) -> pd.DataFrame:
    """O/E and slope of every model and horizon."""
    return _by_horizon(calibration, _CALIBRATION)


def distance_table(calibration: pd.DataFrame) -> pd.DataFrame:
    """Distances of the smooth calibration of every model and horizon; empty if there are none."""
    known = calibration[calibration["metric"].isin(list(_DISTANCES)) & calibration["estimate"].notna()]
    return _by_horizon(known, _DISTANCES) if len(known) else pd.DataFrame()


def reclassification_table(table: pd.DataFrame, *, parts: bool = False) -> pd.DataFrame:
    """NRI and IDI of every model against the reference; or their parts, and the NRI by Kaplan-Meier."""
    whole = table["measure"].isin(["nri", "idi"])
    known = table[
        (~whole if parts else whole) & table["measure"].isin(_RECLASSIFIED) & table["estimate"].notna()
    ]
    return pd.DataFrame({
        "Model": known["model"].map(model_label), "Against": known["reference"].map(model_label),
        "Measure": known["measure"].map(_RECLASSIFIED),
        "Estimate (95% CI)": [interval(row) for _, row in known.iterrows()],
    })  # fmt: skip


def hazards_table(table: pd.DataFrame) -> pd.DataFrame:
    """Test of proportional hazards: terms, and all of them together."""
    names = table["term"].map(lambda term: "All together" if term == "GLOBAL" else column_label(str(term)))
    return pd.DataFrame({
        "Term": names, "Chi-square": [number(float(v), 2) for v in table["chisq"]],
        "df": [f"{v:g}" for v in table["df"]], "p": [p_value(v) for v in table["p"]],
    })  # fmt: skip


def optimism_table(table: pd.DataFrame, wide: str = "95%") -> pd.DataFrame:
    """Scores corrected for optimism by the bootstrap."""
    made: dict[str, list[str]] = {"Measure": [_INDEXES.get(m, str(m)) for m in table["metric"]]}
    for name in ("apparent", "training", "test", "optimism"):
        made[name.capitalize()] = [number(float(v)) for v in table[name]]
    made[f"Corrected ({wide} CI)"] = _corrected(table)
    return pd.DataFrame(made)


def plus_table(table: pd.DataFrame, wide: str = "95%") -> pd.DataFrame:
    """The .632+ estimates."""
    made: dict[str, list[str]] = {"Measure": [_INDEXES.get(m, str(m)) for m in table["metric"]]}
    heads = {"apparent": "Apparent", "held_out": "Held out", "no_information": "Without information",
             "overfitting": "Overfitting"}  # fmt: skip
    for name, head in heads.items():
        made[head] = [number(float(v)) for v in table[name]]
    made[f".632+ ({wide} CI)"] = _corrected(table)
    return pd.DataFrame(made)


def _corrected(table: pd.DataFrame) -> list[str]:
    return [interval(row) for _, row in table.rename(columns={"corrected": "estimate"}).iterrows()]


def center_table(centers: pd.DataFrame, metric: str = "harrell_c") -> pd.DataFrame:
    """C of every center that was left out, one column a model; † where it is not pooled."""
    rows = centers[centers["metric"] == metric]
    made: dict[str, dict[str, str]] = {}
    for _, row in rows.iterrows():
        center = made.setdefault(
            str(row["center"]), {"Patients": f"{row['patients']:g}", "Events": f"{row['events']:g}"}
        )
        mark = "" if row.get("pooled", True) or not np.isfinite(row["estimate"]) else " †"
        center[f"{model_label(str(row['model']))} (95% CI)"] = interval(row) + mark
    table = pd.DataFrame.from_dict(made, orient="index").fillna("–")
    table.insert(0, "Center", table.index)
    return table.reset_index(drop=True)


def pooled_table(pooled: pd.DataFrame) -> pd.DataFrame:
    """C over centers by random effects, where a new center is expected, and heterogeneity."""
    return pd.DataFrame({
        "Model": pooled["model"].map(model_label), "Measure": pooled["metric"].map(_INDEXES),
        "Centers": [f"{k:g}" for k in pooled["centers"]],
        "Pooled (95% CI)": [interval(row) for _, row in pooled.iterrows()],
        "New center (95%)": [
            f"{number(low)} to {number(high)}" if np.isfinite(low) else "–"
            for low, high in pooled[["predicted_lower", "predicted_upper"]].to_numpy(float)
        ],
        "I²": [_percent(v) for v in pooled["i2"]],
    })  # fmt: skip


def subgroup_table(table: pd.DataFrame) -> pd.DataFrame:
    """Patients, C, and predicted against observed survival of every subgroup; a variable is named once."""
    names = table["variable"].map(lambda name: "All patients" if name == "all" else column_label(str(name)))
    observed = table.rename(columns={
        "estimate": "c", "lower": "c_lower", "upper": "c_upper",
        "observed": "incidence", "observed_lower": "lower", "observed_upper": "upper",
    })  # fmt: skip
    return pd.DataFrame({
        "Variable": names.where(~table["variable"].duplicated(), ""),
        "Level": table["level"].map(level_label),
        "Patients": [f"{v:g}" for v in table["patients"]], "Events": [f"{v:g}" for v in table["events"]],
        "Harrell's C (95% CI)": [interval(row, 2) for _, row in table.iterrows()],
        "Predicted": [_percent(v) for v in table["predicted"]],
        "Observed (95% CI)": [
            _percents(row) if np.isfinite(row["lower"]) else _percent(row["incidence"])
            for _, row in observed.iterrows()
        ],
    })  # fmt: skip


def endpoint_table(endpoints: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Patients, events and cumulative incidence at some times, one column an endpoint."""
    made = {}
    for name, table in endpoints.items():
        first = table.iloc[0]
        column = {
            word: f"{first[part]:g}"
            for word, part in _ENDPOINT.items()
        }  # fmt: skip
        column |= {f"{row['time_months']:g} months (95% CI)": _percents(row) for _, row in table.iterrows()}
        made[name] = column
    shown = pd.DataFrame(made).fillna("–")
    shown.insert(0, " ", shown.index)
    return shown.reset_index(drop=True)


def complete_case_table(loss: pd.DataFrame) -> pd.DataFrame:
    """Patients lost to complete cases, by column."""
    return pd.DataFrame({
        "Column": [c if c == "any column" else column_label(str(c)) for c in loss["column"]],
        "Missing": [f"{v:g}" for v in loss["missing"]], "With an event": [f"{v:g}" for v in loss["events"]],
        "Missing here alone": [f"{v:g}" for v in loss["only_here"]],
        "Share of patients": [_percent(v) for v in loss["share"]],
    })  # fmt: skip


def restricted_mean_table(table: pd.DataFrame) -> pd.DataFrame:
    """Restricted mean survival of every risk group, and its difference from the first."""
    gap = table.rename(columns={
        "estimate": "mean", "lower": "low", "upper": "high",
        "difference": "estimate", "difference_lower": "lower", "difference_upper": "upper",
    })  # fmt: skip
    first = str(table["group"].iloc[0])
    return pd.DataFrame({
        "Group": table["group"], "Patients": [f"{v:g}" for v in table["patients"]],
        "Events": [f"{v:g}" for v in table["events"]],
        "Mean (95% CI), months": [interval(row, 1) for _, row in table.iterrows()],
        f"Difference from {first} (95% CI)": [
            interval(row, 1) if np.isfinite(row["estimate"]) else "" for _, row in gap.iterrows()
        ],
        "p": [p_value(v) if np.isfinite(v) else "" for v in table["p"]],
    })  # fmt: skip


def pairs_table(table: pd.DataFrame) -> pd.DataFrame:
    """Log-rank tests of every two groups."""
    return pd.DataFrame({
        "Groups": table["first"].astype(str) + " and " + table["second"].astype(str),
        "Chi-square": [number(float(v), 2) for v in table["chi_square"]],
        "p": [p_value(v) for v in table["p"]], "p, Holm": [p_value(v) for v in table["p_adjusted"]],
    })  # fmt: skip


def stability_counts(table: pd.DataFrame) -> pd.DataFrame:
    """How many features of each sequence are poor, moderate, good, excellent."""
    sequence = table["feature"].map(lambda name: sequence_label(str(name).partition("__")[0]))
    category = table["category"].fillna("").replace("", "no ICC")
    counts = pd.crosstab(sequence, category).reindex(columns=[*_STABLE, "no ICC"], fill_value=0)
    if len(counts) > 1:
        counts.loc["All"] = counts.sum()
    if not counts["no ICC"].any():
        counts = counts.drop(columns="no ICC")
    shown = counts.map(str).rename(columns=lambda name: f"{name[:1].upper()}{name[1:]}")
    shown.insert(0, "Sequence", shown.index)
    return shown.reset_index(drop=True)
