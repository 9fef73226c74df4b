"""A frozen model on other patients: predictions with their limits, and validation.

References
----------
Royston P, Altman DG. External validation of a Cox prognostic model. BMC Med Res
Methodol 2013;13:33.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import norm

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError, HorizonError
from radiomics_npc.survival.calibration import Calibration, calibrate
from radiomics_npc.survival.concordance import Concordance, harrell_c, uno_c
from radiomics_npc.survival.cox import CoxModel
from radiomics_npc.survival.design import check_rows
from radiomics_npc.survival.models import PrognosticModel
from radiomics_npc.survival.signature import RAD_SCORE

__all__ = ["Validation", "outside_training", "predict_frame", "validate_model"]


def outside_training(model: Any, X: pd.DataFrame) -> pd.DataFrame:
    """Where patients have values that the model has never seen.

    Parameters
    ----------
    model : PrognosticModel or CoxModel
        Fitted.
    X : DataFrame

    Returns
    -------
    DataFrame of bool
        One column a term of the model: True where a number lies outside the range in
        training, or a level was held by no training patient. A missing value counts
        only for a bare CoxModel, which has no imputation.

    Raises
    ------
    CohortError
        A column is absent.
    """
    check_rows(X)
    if isinstance(model, PrognosticModel) and model.learner == "boosted":
        known = dict(model.boosted_.ranges_)
        return pd.DataFrame({name: _beyond(X, name, seen) for name, seen in known.items()}, index=X.index)
    found = {}
    for term in (model.cox_ if isinstance(model, PrognosticModel) else model).terms_:
        if term.name == RAD_SCORE and isinstance(model, PrognosticModel):
            found[term.name] = term.outside(model.rad_score_.transform(X)[RAD_SCORE])
            continue
        column = _column(X, term.name)
        missing = column.isna().to_numpy() if isinstance(model, PrognosticModel) else False
        found[term.name] = term.outside(column) & ~np.asarray(missing)
    return pd.DataFrame(found, index=X.index, dtype=bool)


def _column(X: pd.DataFrame, name: str) -> pd.Series:
    if name not in X.columns:
        raise CohortError(f"columns are absent: {name}", "Give all columns of the model.")
    return X[name]


def _beyond(X: pd.DataFrame, name: str, seen: Sequence[Any]) -> NDArray[np.bool_]:
    column = _column(X, name)
    missing = column.isna().to_numpy()
    if isinstance(seen[0], str):
        result: NDArray[np.bool_] = ~column.astype(object).astype(str).isin(seen).to_numpy() & ~missing
        return result
    number = pd.to_numeric(column, errors="coerce").to_numpy(dtype=float)
    slack = 1e-9 * max(abs(seen[0]), abs(seen[1]))
    return ~((number >= seen[0] - slack) & (number <= seen[1] + slack)) & ~missing


def predict_frame(
    model: Any, X: pd.DataFrame, horizons_months: Sequence[float] = (36.0, 60.0)
) -> pd.DataFrame:
    """Predict for new patients.

    Parameters
    ----------
    model : PrognosticModel or CoxModel
        Fitted or loaded.
    X : DataFrame
        By patient_id.
    horizons_months : sequence of float

    Returns
    -------
    DataFrame
        By patient_id: risk, group, ``pfs_60``, ``pfs_60_lower``, ``pfs_60_upper`` for each
        horizon, outside (columns beyond the training range; such a patient gets no
        numbers), imputed (columns whose missing value was filled), simulated (when the
        training patients were).

    Raises
    ------
    CohortError
        A column is absent.
    HorizonError
        A horizon is past the follow-up in training.
    """
    late = [h for h in horizons_months if not 0 < h <= model.follow_up_months_]
    if late:
        raise HorizonError(
            f"the model knows nothing at {late[0]:g} months (follow-up {model.follow_up_months_:.1f})",
            "Take an earlier horizon.",
        )
    outside = outside_training(model, X)
    table = pd.DataFrame(index=X.index)
    inside = ~outside.any(axis=1).to_numpy(dtype=bool)
    rows = X[inside]
    table["risk"] = _at(inside, model.predict_risk(rows) if inside.any() else [])
    if isinstance(model, PrognosticModel):
        table["group"] = model.groups_.predict(table["risk"])
    for horizon in horizons_months:
        name = f"pfs_{horizon:g}"
        table[name] = _at(inside, model.predict_survival(rows, [horizon])[:, 0] if inside.any() else [])
        limits = model.predict_interval(rows, horizon) if inside.any() else np.empty((0, 2))
        table[f"{name}_lower"], table[f"{name}_upper"] = _at(inside, limits[:, 0]), _at(inside, limits[:, 1])
    table["outside"] = [" ".join(outside.columns[row]) for row in outside.to_numpy(dtype=bool)]
    if isinstance(model, PrognosticModel):
        filled = model.imputation_.values_  # not the columns that are left out
        asked = [*(name for name in model.clinical_columns if name in filled), *model.feature_columns]
        table["imputed"] = [
            " ".join(np.array(asked, dtype=object)[row]) for row in X[asked].isna().to_numpy(dtype=bool)
        ]
    if getattr(model, "simulated_", False):
        table["simulated"] = True
    return table


def _at(rows: NDArray[np.bool_], values: Any) -> NDArray[np.float64]:
    result = np.full(len(rows), np.nan)
    result[rows] = values
    return result


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
        notes = "".join(f"<li>{note}</li>" for note in self.notes)
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
