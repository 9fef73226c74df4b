"""A frozen model validated on other patients.

References
----------
Royston P, Altman DG. External validation of a Cox prognostic model. BMC Med Res
Methodol 2013;13:33. Debray TPA et al. J Clin Epidemiol 2015;68:279-289 (case mix).
"""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Any

import pandas as pd
from scipy.stats import norm

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError, ConfigError, HorizonError
from radiomics_npc.features.table import FeatureTable
from radiomics_npc.survival.design import check_rows
from radiomics_npc.survival.metrics.calibration import Calibration, calibrate
from radiomics_npc.survival.metrics.concordance import Concordance, harrell_c, uno_c
from radiomics_npc.survival.models.prepared import PreparedModel
from radiomics_npc.survival.models.training_range import outside_training
from radiomics_npc.survival.validation.horizon_scores import Row, case_mix, horizon_scores
from radiomics_npc.survival.validation.recalibration import RecalibratedModel, fit_slope, log_hazard

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
    at_horizon : tuple
        (metric, estimate, lower, upper) of AUC, Brier score, IPA (share of the Brier score of
        one probability for all that is gained), O/E, calibration intercept (log of events over
        expected, up to the horizon: 0 is right) and ICI (mean error of the probabilities).
    case_mix : DataFrame or None
        quantity (mean, sd of the log hazard), development, validation.
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
    at_horizon: tuple[Row, ...] = ()
    case_mix: pd.DataFrame | None = None

    def to_frame(self) -> pd.DataFrame:
        """One row a measure: metric, estimate, lower, upper (95%), patients, events; simulated, if so."""
        reach = norm.ppf(0.975) * self.slope_se
        rows = [
            ("harrell_c", self.harrell.estimate, *self.harrell.interval()),
            (f"uno_c_{self.horizon_months:g}", self.uno.estimate, *self.uno.interval()),
            *self.at_horizon,
            ("calibration_slope", self.slope, self.slope - reach, self.slope + reach),
        ]
        table = pd.DataFrame(rows, columns=["metric", "estimate", "lower", "upper"])
        table["patients"], table["events"] = self.patients, self.events
        if self.simulated:
            table["simulated"] = True
        return table

    def _repr_html_(self) -> str:
        notes = "".join(f"<li>{html.escape(note)}</li>" for note in self.notes)
        shown = self.to_frame().to_html(index=False, float_format="{:.3f}".format)
        if self.case_mix is not None:
            shown += self.case_mix.to_html(index=False, float_format="{:.3f}".format)
        return shown + f"<ul>{notes}</ul>"


def validate_model(
    model: Any,
    X: pd.DataFrame,
    y: Outcome,
    *,
    horizon_months: float = 60.0,
    resamples: int = 0,
    random_state: int = 0,
) -> Validation:
    """Validate a frozen model on patients it has not seen.

    Parameters
    ----------
    model : PrognosticModel, SurrogateModel, CoxModel, BoostedModel or RecalibratedModel
        Fitted or loaded; nothing of it changes.
    X : DataFrame
        By patient_id.
    y : Outcome
    horizon_months : float
    resamples : int
        Bootstrap samples for the limits of the ICI; 0 leaves it out, 200 take a few seconds.
    random_state : int

    Returns
    -------
    Validation

    Raises
    ------
    CohortError
        A column is absent, or a level is unknown.

    Notes
    -----
    What cannot be had (no event, nobody followed so long) is left out or NaN, and a note says why.
    :class:`radiomics_npc.survival.validation.recalibration.RecalibratedModel` mends a model
    that turns out wrong in the large or too extreme.

    Examples
    --------
    >>> import numpy as np
    >>> from radiomics_npc.survival.models.cox import CoxModel
    >>> random = np.random.default_rng(0)
    >>> X = pd.DataFrame({"age": random.normal(size=200)})
    >>> y = Outcome(random.exponential(40 * np.exp(-X["age"])), np.ones(200), X.index)
    >>> model = CoxModel().fit(X[:100], y.take(range(100)))
    >>> validate_model(model, X[100:], y.take(range(100, 200))).to_frame()["metric"].tolist()
    ['harrell_c', 'uno_c_60', 'auc_60', 'brier_60', 'ipa_60', 'observed_expected_60',
    'calibration_intercept', 'calibration_slope']
    """
    check_rows(X, y)
    risk = model.predict_risk(X)
    name = f"pfs_{horizon_months:g}"
    predictions = pd.DataFrame(
        {"risk": risk, name: model.predict_survival(X, [horizon_months])[:, 0]}, X.index
    )
    if isinstance(model, PreparedModel):
        predictions["group"] = model.groups_.predict(risk)
    notes = _beyond_training(model, X)
    calibration = None
    try:
        calibration = calibrate(y, predictions[name], horizon_months=horizon_months)
    except (HorizonError, CohortError) as error:
        notes.append(str(error))
    scores, why = horizon_scores(
        model, X, y, predictions[name].to_numpy(), horizon_months,
        resamples=resamples, random_state=random_state,
    )  # fmt: skip
    notes += [note for note in why if note not in notes]
    slope, se, mix = float("nan"), float("nan"), None
    try:
        log_hazards = log_hazard(model, X, horizon_months)
        mix = case_mix(model, log_hazards)
        slope, se = fit_slope(y, log_hazards)
    except CohortError as error:
        notes.append(f"no calibration slope: {error}")
    return Validation(
        harrell_c(y, risk), uno_c(y, risk, tau=horizon_months), slope, se, calibration,
        predictions, len(y), int(y.event.sum()), horizon_months, tuple(notes),
        bool(y.simulated or getattr(model, "simulated_", False)), tuple(scores), mix,
    )  # fmt: skip


def _beyond_training(model: Any, X: pd.DataFrame) -> list[str]:
    beyond = outside_training(model.model if isinstance(model, RecalibratedModel) else model, X)
    if not beyond.to_numpy().any():
        return []
    columns = ", ".join(beyond.columns[beyond.any()])
    return [f"{int(beyond.any(axis=1).sum())} patients lie outside the training range in {columns}"]


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
        for part in ("pyradiomics", "normalize", "bias_correction", "landmarks"):
            if asked.get(part) != recipe.get(part):
                raise ConfigError(
                    f"{sequence} features are extracted with other settings ({part}) than the model's",
                    "Take the preset and settings of the study that the model comes from.",
                )
