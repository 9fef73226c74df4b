"""A frozen model validated on other patients.

References
----------
Royston P, Altman DG. External validation of a Cox prognostic model. BMC Med Res
Methodol 2013;13:33.
"""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import norm

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError, ConfigError, HorizonError
from radiomics_npc.features.table import FeatureTable
from radiomics_npc.survival.design import check_rows
from radiomics_npc.survival.metrics.calibration import Calibration, calibrate
from radiomics_npc.survival.metrics.concordance import Concordance, harrell_c, uno_c
from radiomics_npc.survival.models.cox import CoxModel
from radiomics_npc.survival.models.prediction import outside_training
from radiomics_npc.survival.models.prognostic import PrognosticModel

__all__ = ["Validation", "require_same_extraction", "validate_model"]


@dataclass(frozen=True, eq=False)
class Validation:
    """A frozen model on another cohort.

    Parameters
    ----------
    harrell, uno : Concordance
        Uno's C is truncated at the horizon.
    slope, slope_se : float
        Cox regression on the log risk: 1 is right, less means that predictions are
        too extreme.
    calibration : Calibration or None
        None when nobody is followed to the horizon.
    predictions : DataFrame
        By patient_id: risk, pfs at the horizon, group.
    notes : tuple of str
    simulated : bool
        These patients, or those that the model was trained on, never lived.
    """

    harrell: Concordance
    uno: Concordance
    slope: float
    slope_se: float
    calibration: Calibration | None
    predictions: pd.DataFrame
    patients: int
    events: int
    horizon_months: float
    notes: tuple[str, ...] = ()
    simulated: bool = False

    def to_frame(self) -> pd.DataFrame:
        """One row a measure: metric, estimate, lower, upper (95%), patients, events; simulated, if so."""
        reach = norm.ppf(0.975) * self.slope_se
        rows = [
            ("harrell_c", self.harrell.estimate, *self.harrell.interval()),
            (f"uno_c_{self.horizon_months:g}", self.uno.estimate, *self.uno.interval()),
            ("calibration_slope", self.slope, self.slope - reach, self.slope + reach),
        ]
        if self.calibration is not None:
            ratio = self.calibration.observed_expected
            limits = self.calibration.observed_expected_interval
            rows.append((f"observed_expected_{self.horizon_months:g}", ratio, *limits))
        table = pd.DataFrame(rows, columns=["metric", "estimate", "lower", "upper"])
        table["patients"], table["events"] = self.patients, self.events
        if self.simulated:
            table["simulated"] = True
        return table

    def _repr_html_(self) -> str:
        notes = "".join(f"<li>{html.escape(note)}</li>" for note in self.notes)
        return self.to_frame().to_html(index=False, float_format="{:.3f}".format) + f"<ul>{notes}</ul>"


def validate_model(model: Any, X: pd.DataFrame, y: Outcome, *, horizon_months: float = 60.0) -> Validation:
    """Validate a frozen model on patients it has not seen.

    Parameters
    ----------
    model : PrognosticModel or CoxModel
        Fitted or loaded; nothing of it changes.
    X : DataFrame
        By patient_id.
    y : Outcome
    horizon_months : float

    Returns
    -------
    Validation

    Raises
    ------
    CohortError
        A column is absent, or a level is unknown.

    Examples
    --------
    >>> random = np.random.default_rng(0)
    >>> X = pd.DataFrame({"age": random.normal(size=200)})
    >>> y = Outcome(random.exponential(40 * np.exp(-X["age"])), np.ones(200), X.index)
    >>> model = CoxModel().fit(X[:100], y.take(range(100)))
    >>> validate_model(model, X[100:], y.take(range(100, 200))).to_frame()["metric"].tolist()
    ['harrell_c', 'uno_c_60', 'calibration_slope', 'observed_expected_60']
    """
    check_rows(X, y)
    risk = model.predict_risk(X)
    name = f"pfs_{horizon_months:g}"
    predictions = pd.DataFrame(
        {"risk": risk, name: model.predict_survival(X, [horizon_months])[:, 0]}, X.index
    )
    if isinstance(model, PrognosticModel):
        predictions["group"] = model.groups_.predict(risk)
    notes = []
    beyond = outside_training(model, X)
    if beyond.to_numpy().any():
        columns = ", ".join(beyond.columns[beyond.any()])
        notes.append(f"{int(beyond.any(axis=1).sum())} patients lie outside the training range in {columns}")
    calibration = None
    try:
        calibration = calibrate(y, predictions[name], horizon_months=horizon_months)
    except (HorizonError, CohortError) as error:
        notes.append(str(error))
    slope = se = float("nan")
    try:
        slope, se = _slope(y, _log_hazard(model, risk))
    except CohortError as error:
        notes.append(f"no calibration slope: {error}")
    return Validation(
        harrell_c(y, risk), uno_c(y, risk, tau=horizon_months), slope, se, calibration,
        predictions, len(y), int(y.event.sum()), horizon_months, tuple(notes),
        bool(y.simulated or getattr(model, "simulated_", False)),
    )  # fmt: skip


def _log_hazard(model: Any, risk: NDArray[np.float64]) -> NDArray[np.float64]:
    """Risk on the scale of the probabilities: boosted risks are shrunk before they become those."""
    last = model.last_step if isinstance(model, PrognosticModel) else model
    return risk * getattr(last, "slope_", 1.0)


def _slope(y: Outcome, log_hazard: NDArray[np.float64]) -> tuple[float, float]:
    if np.ptp(log_hazard) == 0:
        return float("nan"), float("nan")
    cox = CoxModel().fit(pd.DataFrame({"risk": log_hazard}, index=y.patient_id), y)
    return float(cox.coef_["risk"]), float(np.sqrt(np.diag(cox.covariance_))[0])


def require_same_extraction(model: Any, features: FeatureTable | None) -> None:
    """Refuse features made with other settings than those the model was trained on.

    Parameters
    ----------
    model : PrognosticModel, CoxModel or BoostedModel
        Loaded.
    features : FeatureTable, optional
        Of the new cohort.

    Raises
    ------
    ConfigError
        The model needs features and there are none, or other settings made them.
    """
    trained = (model.settings_.get("features") or {}).get("sequences")
    if not getattr(model, "feature_columns", []):
        return
    if features is None or trained is None:
        raise ConfigError("the model needs radiomic features", "Set features in the study of this cohort.")
    for sequence, recipe in features.settings["sequences"].items():
        asked = trained.get(sequence, recipe)  # the model takes nothing from a sequence it was not trained on
        for part in ("pyradiomics", "normalize"):
            if asked[part] != recipe[part]:
                raise ConfigError(
                    f"{sequence} features are extracted with other settings ({part}) than the model's",
                    "Take the preset and settings of the study that the model comes from.",
                )
