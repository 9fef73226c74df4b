"""What a cross-validation found: predictions out of fold, scores, differences, and what to know of them."""

from __future__ import annotations

import html
import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import ConfigError
from radiomics_npc.storage import read_table, write_json, write_table
from radiomics_npc.survival.metrics.calibration import Calibration, calibrate
from radiomics_npc.survival.validation.scoring import (
    differences,
    each_fold,
    fold_concordances,
    mean_scores,
    pfs_column,
    scores_per_repeat,
)

__all__ = ["FAILURES", "SELECTED", "CrossValidation", "score_predictions"]

_HEADS = {
    "leave_center_out": "{folds} centers, each left out in turn",
    "temporal_split": "Later patients held out",
}
SELECTED = ["model", "repeat", "fold", "feature"]
FAILURES = ["model", "repeat", "fold", "error", "message", "remedy"]


@dataclass(frozen=True, eq=False)
class CrossValidation:
    """Scores and out-of-fold predictions of some models.

    Parameters
    ----------
    predictions : DataFrame
        patient_id, repeat, fold, model, risk (comparable within a fold only), ``pfs_60``
        (probability at each horizon), group (cut points from the training fold).
    per_repeat : DataFrame
        model, repeat, metric, estimate, se.
    scores : DataFrame
        model, metric, estimate, se, lower, upper, sd (over repeats), repeats,
        failed_folds.
    differences : DataFrame
        model, reference, metric, estimate, se, lower, upper, p, p_corrected.
    failures : DataFrame
        model, repeat, fold, error, message, remedy.
    selected : DataFrame
        model, repeat, fold, feature: what each training fold chose.
    notes : tuple of str
        What concerns the whole validation, such as a horizon past the follow-up.
    design : dict
        kind, folds, repeats, random_state, horizon_months, horizons_months, horizon_asked_months,
        reference, confidence, patients, events; fold_names, where folds are centers or periods.
    imitations : DataFrame
        What the surrogates of boosted models say of the same patients, where asked for: no
        models of the comparison. patient_id, repeat, fold, model, log_hazard, surrogate, and
        ``pfs_60``, ``surrogate_pfs_60`` of each horizon.
    """

    predictions: pd.DataFrame
    per_repeat: pd.DataFrame
    scores: pd.DataFrame
    differences: pd.DataFrame
    failures: pd.DataFrame
    selected: pd.DataFrame
    outcome: Outcome = field(repr=False)
    notes: tuple[str, ...] = ()
    design: dict[str, Any] = field(default_factory=dict)
    imitations: pd.DataFrame = field(default_factory=pd.DataFrame, repr=False)

    def to_frame(self) -> pd.DataFrame:
        """Scores."""
        return self.scores

    def patients(self, model: str) -> pd.DataFrame:
        """Out-of-fold predictions of a model, one row a patient.

        Parameters
        ----------
        model : str

        Returns
        -------
        DataFrame
            By patient_id: ``pfs_60`` of each horizon (mean over repeats) and group (median
            over repeats); NaN for patients who were never held out.

        Raises
        ------
        ConfigError
            No such model.
        """
        rows = self.predictions[self.predictions["model"] == model]
        if rows.empty:
            raise ConfigError(f"no model {model} was validated", f"There are {', '.join(self.models)}.")
        codes = rows.assign(code=rows["group"].cat.codes.where(rows["group"].notna(), np.nan))
        columns = [pfs_column(horizon) for horizon in self.design["horizons_months"]]
        how = dict.fromkeys(columns, "mean") | {"code": "median"}
        found = codes.groupby("patient_id", sort=False)[list(how)].agg(how)
        # A median between two groups goes to the lower one.
        group = [int(code) for code in np.floor(found["code"]).fillna(-1)]
        found["group"] = pd.Categorical.from_codes(group, rows["group"].cat.categories, ordered=True)
        return found.drop(columns="code").reindex(self.outcome.patient_id)

    @property
    def models(self) -> list[str]:
        """Names of the validated models."""
        return list(self.predictions["model"].unique())

    def selection(self, model: str) -> pd.DataFrame:
        """How often training folds chose each feature: feature, frequency, the most frequent first."""
        rows = self.selected[self.selected["model"] == model]
        failed = int((self.failures["model"] == model).sum())
        fits = self.design["folds"] * self.design["repeats"] - failed
        count = rows["feature"].value_counts(sort=False)
        table = pd.DataFrame(
            {"feature": count.index.astype(str), "frequency": count.to_numpy() / max(fits, 1)}
        )
        return table.sort_values(["frequency", "feature"], ascending=[False, True], ignore_index=True)

    def calibration(self, model: str, *, groups: int = 5, horizon_months: float | None = None) -> Calibration:
        """Calibration of the out-of-fold probabilities at a horizon, by default the last."""
        horizon = self.design["horizon_months"] if horizon_months is None else horizon_months
        predicted = self.patients(model)[pfs_column(horizon)]
        return calibrate(self.outcome, predicted, horizon_months=horizon, groups=groups)

    def write(self, folder: Path) -> None:
        """Write predictions (parquet and CSV), scores, per_repeat, differences and the design."""
        write_table(folder / "predictions.parquet", self.predictions)
        for name in ("predictions", "scores", "per_repeat", "differences"):
            table: pd.DataFrame = getattr(self, name)
            marked = table.assign(simulated=True) if self.outcome.simulated else table
            write_table(folder / f"{name}.csv", marked)
        write_table(folder / "failed_fits.csv", self.failures)
        write_table(folder / "selected_features.csv", self.selected)
        if len(self.imitations):
            write_table(folder / "surrogate_predictions.parquet", self.imitations)
        write_json(folder / "cross_validation.json", self.design)

    @classmethod
    def read(cls, folder: Path, outcome: Outcome) -> CrossValidation:
        """Read what :meth:`write` wrote; scores are made again from the predictions."""
        design = json.loads((folder / "cross_validation.json").read_text(encoding="utf-8"))
        predictions = read_table(folder / "predictions.parquet")
        failures, selected = (read_table(folder / f"{n}.csv") for n in ("failed_fits", "selected_features"))
        result = score_predictions(predictions, failures, selected, outcome, design)
        imitations = folder / "surrogate_predictions.parquet"
        return replace(result, imitations=read_table(imitations)) if imitations.exists() else result

    def _repr_html_(self) -> str:
        shown = self.scores.to_html(index=False, float_format="{:.3f}".format)
        notes = "".join(f"<li>{html.escape(note)}</li>" for note in self.notes)
        d = self.design
        who = "simulated patients" if self.outcome.simulated else "patients"
        how = _HEADS.get(d.get("kind", ""), "{repeats} x {folds}-fold cross-validation").format(**d)
        head = f"<p>{how}, {d['patients']} {who}</p>"
        return head + shown + (f"<ul>{notes}</ul>" if notes else "")


def score_predictions(
    predictions: pd.DataFrame,
    failures: pd.DataFrame,
    selected: pd.DataFrame,
    y: Outcome,
    design: dict[str, Any],
) -> CrossValidation:
    """All scores follow from the out-of-fold predictions."""
    horizon, confidence = design["horizon_months"], design["confidence"]
    counted = predictions
    if design.get("kind") == "leave_center_out":
        # The other centers still count, the same ones for every model.
        sound = predictions[~predictions["fold"].isin(failures["fold"])]
        counted = sound if len(sound) else predictions
    found = fold_concordances(counted, y, horizon)
    scores = mean_scores(found, failures, confidence)
    if y.simulated:
        scores["simulated"] = True
    compared = design["reference"] in (names := set(counted["model"])) and len(names) > 1
    folds = each_fold(counted, y, horizon) if compared else None
    return CrossValidation(
        predictions,
        scores_per_repeat(found),
        scores,
        differences(found, design["reference"], confidence, folds),
        failures,
        selected,
        y,
        _notes(predictions, failures, design),
        design,
    )


def _notes(predictions: pd.DataFrame, failures: pd.DataFrame, design: dict[str, Any]) -> tuple[str, ...]:
    notes = []
    horizon, asked = design["horizon_months"], design.get("horizon_asked_months", design["horizon_months"])
    if horizon < asked:
        notes.append(
            f"The horizon is {horizon:g} months, not {asked:g}: "
            "some training fold is followed no further. Censor at an earlier time to choose it yourself."
        )
    if len(failures):
        unit, lost = "folds", "their repeats do not count for these models"
        if design.get("kind") == "leave_center_out":
            unit, lost = "centers", "these centers count for no model"
        worst = ", ".join(f"{m} in {n}" for m, n in failures["model"].value_counts(sort=False).items())
        notes.append(f"Fits failed: {worst} {unit}; {lost}.")
    unknown = predictions[pfs_column(horizon)].isna() & predictions["risk"].notna()
    if unknown.any():
        where = predictions[unknown].groupby(["repeat", "fold"]).ngroups
        notes.append(f"In {where} folds a model gives no probability at {horizon:g} months.")
    return tuple(notes)
