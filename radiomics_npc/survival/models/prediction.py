"""A frozen model on new patients: predictions with their limits, and what the model has never seen."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from radiomics_npc.errors import ConfigError, HorizonError
from radiomics_npc.storage import write_json, write_table
from radiomics_npc.survival.models.boosting import BoostedModel
from radiomics_npc.survival.models.cox import CoxModel
from radiomics_npc.survival.models.model_file import load_model
from radiomics_npc.survival.models.new_patients import read_patients
from radiomics_npc.survival.models.prepared import PreparedModel
from radiomics_npc.survival.models.surrogate import SurrogateModel
from radiomics_npc.survival.models.training_range import flag_patients
from radiomics_npc.survival.models.tree_model import TreeModel

__all__ = ["Predictions", "predict"]

_HORIZONS_MONTHS = (36.0, 60.0)


@dataclass(frozen=True, eq=False)
class Predictions:
    """What a model says of new patients.

    Parameters
    ----------
    table : DataFrame
        By patient_id: risk (higher is worse), group (where the model has risk groups),
        ``survival_60_months`` with ``_lower`` and ``_upper`` for each horizon, median_months (when
        survival falls to 0.5; empty where it does not within the follow-up in training),
        interval (of the limits; none where the model has none), scored, flags (variables that
        are missing or were never like this in training; of the latter there are no numbers),
        and simulated = True if the patients in training never lived.
    notes : tuple of str
        What holds for all: how the table was read, whether there are intervals.
    model : str
        Name of the model.
    endpoint : str
    horizons_months : tuple of float
    simulated : bool
    """

    table: pd.DataFrame
    notes: tuple[str, ...] = ()
    model: str = ""
    endpoint: str = ""
    horizons_months: tuple[float, ...] = ()
    simulated: bool = False

    def to_frame(self) -> pd.DataFrame:
        """The table."""
        return self.table

    @property
    def unscored(self) -> pd.DataFrame:
        """Patients without a prediction: patient_id, flags."""
        return self.table.loc[~self.table["scored"], ["flags"]].reset_index()

    def to_dict(self) -> dict[str, Any]:
        """Content for a JSON file: what holds for all, and one entry a patient, null where unknown."""
        rows = self.table.reset_index().astype(object)
        return {
            "model": self.model, "endpoint": self.endpoint, "simulated": self.simulated,
            "horizons_months": list(self.horizons_months), "notes": list(self.notes),
            "patients": rows.where(rows.notna(), None).to_dict("records"),
        }  # fmt: skip

    def write(self, path: Path | str) -> Path:
        """Write the table as CSV or parquet, or all as JSON, by the suffix.

        Raises
        ------
        ConfigError
            Another suffix.
        """
        path = Path(path)
        if path.suffix == ".json":
            write_json(path, self.to_dict())
        elif path.suffix in (".csv", ".parquet"):
            write_table(path, self.table.reset_index())
        else:
            raise ConfigError(
                f"predictions are not written as {path.name}", "Name it .csv, .json or .parquet."
            )
        return path

    def _repr_html_(self) -> str:
        notes = "".join(f"<li>{html.escape(note)}</li>" for note in self.notes)
        return self.table.to_html(float_format="{:.3f}".format) + f"<ul>{notes}</ul>"


def predict(
    model: Any,
    table: pd.DataFrame | Path | str,
    *,
    features: pd.DataFrame | Path | str | None = None,
    horizons_months: Sequence[float] | None = None,
) -> Predictions:
    """Predict for new patients.

    Parameters
    ----------
    model : PrognosticModel, SurrogateModel, CoxModel or BoostedModel
        Fitted or loaded; or the folder of a saved one.
    table, features : DataFrame, or path of a CSV, XLSX or parquet file
        See :func:`radiomics_npc.survival.models.new_patients.read_patients`.
    horizons_months : sequence of float, optional
        By default those that the model was made to predict at.

    Returns
    -------
    Predictions

    Raises
    ------
    CohortError
        The table has faults: an absent column, text for numbers, a patient twice, no rows.
    HorizonError
        A horizon is past the follow-up in training.
    ConfigError
        A model of another kind.
    ModelFileError
        The folder holds no sound model.

    Notes
    -----
    A patient with a value outside the training range gets no numbers. A missing clinical value is
    filled as in training, as when the model was validated, and flagged; a bare CoxModel fills
    nothing, and such a patient gets no numbers either.

    Examples
    --------
    >>> from radiomics_npc.cohort.outcome import Outcome
    >>> X = pd.DataFrame({"age": [40.0, 50, 60, 45, 55, 65]}, index=list("abcdef"))
    >>> model = CoxModel().fit(X, Outcome([50, 30, 20, 25, 45, 40], [0, 1, 1, 0, 1, 1], X.index))
    >>> new = pd.DataFrame({"patient_id": ["g", "h"], "age": [52, 80]})
    >>> made = predict(model, new, horizons_months=[24]).to_frame()
    >>> made["survival_24_months"].round(3).tolist(), made.loc["h", "flags"]
    ([0.887, nan], 'age: 80 is outside 40 to 65')
    >>> bool(made.loc["g", "survival_24_months"] == model.predict_survival(pd.DataFrame({"age": [52]}), [24]))
    True
    """
    if isinstance(model, (str, Path)):
        model = load_model(model)
    if not isinstance(model, (PreparedModel, CoxModel, BoostedModel)):
        raise ConfigError(
            f"a table of predictions is not made with a {type(model).__name__}",
            "Call its predict methods in Python, or take a Cox or boosted model.",
        )
    horizons = _horizons(model, horizons_months)
    new = read_patients(model, table, features)
    simulated = bool(getattr(model, "simulated_", False))
    made = _predicted(model, new.X, horizons)
    return Predictions(
        made.assign(simulated=True) if simulated else made, (*_told(model), *new.notes),
        str(getattr(model, "name_", type(model).__name__)), str(getattr(model, "outcome_name_", "")),
        horizons, simulated,
    )  # fmt: skip


def _horizons(model: Any, wanted: Sequence[float] | None) -> tuple[float, ...]:
    last = float(model.follow_up_months_)
    if wanted is None:
        known = getattr(model, "horizons_months_", None) or [h for h in _HORIZONS_MONTHS if h <= last]
        wanted = known or [last]
    for month in wanted:
        if not 0 < month <= last:
            raise HorizonError(
                f"the model knows nothing at {month:g} months: its follow-up ends at {last:.1f} months",
                "Take an earlier horizon.",
            )
    return tuple(sorted({float(month) for month in wanted}))


def _told(model: Any) -> list[str]:
    """What must be known of every prediction of a model."""
    notes = []
    if getattr(model, "simulated_", False):
        notes.append("the model was trained on simulated patients, who never lived: not for any patient")
    if isinstance(model, SurrogateModel):
        notes.append(model.note)
    elif isinstance(getattr(model, "last_step", model), TreeModel):
        notes.append("no confidence intervals: boosted trees give none")
    return notes


def _predicted(model: Any, X: pd.DataFrame, horizons: Sequence[float]) -> pd.DataFrame:
    """Numbers of the patients who can be scored, and flags of all."""
    flags, scored = flag_patients(model, X)
    inside, rows = np.flatnonzero(scored), X[scored]

    def put(values: Any) -> NDArray[np.float64]:
        result = np.full(len(X), np.nan)
        result[inside] = values
        return result

    table = pd.DataFrame(index=X.index)
    nobody = not len(inside)
    table["risk"] = put([] if nobody else model.predict_risk(rows))
    if isinstance(model, PreparedModel):
        table["group"] = model.groups_.predict(table["risk"])
    for month in horizons:
        name = f"survival_{month:g}_months"
        limits = np.empty((0, 2)) if nobody else model.predict_interval(rows, month)
        table[name] = put([] if nobody else model.predict_survival(rows, [month])[:, 0])
        table[f"{name}_lower"], table[f"{name}_upper"] = put(limits[:, 0]), put(limits[:, 1])
    table["median_months"] = put([] if nobody else _median(model, rows))
    known = bool(table.filter(like="_lower").notna().to_numpy().any()) or nobody
    return table.assign(interval="95%" if known else "none", scored=scored, flags=flags)


def _median(model: Any, X: pd.DataFrame) -> NDArray[np.float64]:
    """When survival first is 0.5 or less; NaN where it stays above within the follow-up."""
    last = getattr(model, "last_step", model)
    times = np.unique(last.baseline_["time_months"])
    low = model.predict_survival(X, times) <= 0.5
    return np.where(low.any(axis=1), times[low.argmax(axis=1)], np.nan)
