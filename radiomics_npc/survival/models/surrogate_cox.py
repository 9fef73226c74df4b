"""A Cox-type model whose coefficients imitate the log hazards of another model.

References
----------
Molnar C. Interpretable Machine Learning, 2nd ed. 2022, chapter 8.6 (global surrogate models).
Harrell FE. Regression Modeling Strategies, 2nd ed. Springer 2015, section 5.5 (a model
simplified by regressing its linear predictor on few columns by least squares).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError
from radiomics_npc.survival.design import Design, check_rows
from radiomics_npc.survival.estimation.baseline import baseline_hazard, survival_at
from radiomics_npc.survival.models.hazard_ratios import hazard_ratios
from radiomics_npc.survival.models.regression import Regression

__all__ = ["SurrogateCox", "least_squares"]

Floats = NDArray[np.float64]
_PLAIN = ("intercept", "follow_up_months", "n", "events", "merged", "dropped", "notes")


class SurrogateCox(Regression):
    """Terms fitted by least squares to log hazards that another model gives, and a baseline (Efron).

    The coefficients never see the outcome: only the baseline does, with the linear
    predictor as offset, so that predicted and observed numbers of events agree in training.
    How far other patients would have changed the model that is imitated is not known, so
    there is no covariance and there are no intervals.

    Parameters
    ----------
    min_category, splines
        As in :class:`radiomics_npc.survival.models.cox.CoxModel`.

    Attributes
    ----------
    terms_ : list of Term
    coef_ : Series
    intercept_ : float
        The imitated log hazard is ``intercept + predict_risk(X)``; the baseline holds without it.
    baseline_ : DataFrame
        ``time_months``, ``cumulative_hazard`` where all columns are 0 and all factors at
        their reference.
    training_risk_ : array of float, shape (n,)
    merged_, dropped_, notes_, follow_up_months_, n_, events_
        As in :class:`radiomics_npc.survival.models.cox.CoxModel`.

    Examples
    --------
    >>> X = pd.DataFrame({"age": [40.0, 50, 60, 45, 55, 65]}, index=list("abcdef"))
    >>> y = Outcome([50, 30, 20, 60, 45, 10], [0, 1, 1, 0, 0, 1], X.index)
    >>> model = SurrogateCox().fit(X, y, 0.1 * X["age"] - 2)
    >>> round(float(model.coef_["age"]), 9), round(model.intercept_, 9)
    (0.1, -2.0)
    """

    strata: Sequence[str] = ()

    def __init__(
        self, *, min_category: int = 10, splines: Mapping[str, int | Sequence[float]] | None = None
    ) -> None:
        self.min_category = min_category
        self.splines = splines

    def fit(self, X: pd.DataFrame, y: Outcome, log_hazard: ArrayLike) -> Self:
        """Fit to numeric columns and Categorical factors, none missing.

        Parameters
        ----------
        X : DataFrame
            By patient_id.
        y : Outcome
        log_hazard : array, shape (n,)
            Of the same patients, by the model that is imitated.

        Raises
        ------
        CohortError
            No event, missing values, or log hazards that are not finite.
        """
        check_rows(X, y)
        wanted = np.asarray(log_hazard, dtype=float)
        if wanted.shape != (len(y),) or not np.isfinite(wanted).all():
            raise CohortError("a surrogate needs the log hazard of every training patient")
        design = Design(X, y, min_category=self.min_category, splines=self.splines)
        matrix = design.encode(X)
        beta, self.intercept_ = least_squares(matrix, wanted)
        self.coef_ = pd.Series(beta, index=design.columns, name="coef", dtype=float)
        self.terms_ = [term.with_coefficients(self.coef_) for term in design.terms]
        self.columns_ = [term.name for term in self.terms_]
        self.merged_, self.dropped_, self.notes_ = design.merged, design.dropped, design.notes
        self.training_risk_ = matrix @ beta
        self.baseline_ = baseline_hazard(y, self.training_risk_)
        self.follow_up_months_ = float(y.time_months.max())
        self.n_, self.events_ = len(y), int(y.event.sum())
        self.outcome_name_, self.simulated_ = y.name, y.simulated
        return self

    def predict(self, X: pd.DataFrame) -> Floats:
        """The same as :meth:`predict_risk`, for a scikit-learn Pipeline."""
        return self.predict_risk(X)

    def predict_survival(self, X: pd.DataFrame, times: Sequence[float] | ArrayLike) -> Floats:
        """Probability to be free of the event, shape (n, t); NaN past the follow-up in training."""
        return survival_at(self.baseline_, self.linear_predictor(X), times, last=self.follow_up_months_)

    def predict_interval(self, X: pd.DataFrame, time: float) -> Floats:
        """Limits of the survival probability, shape (n, 2): NaN, for a surrogate has none."""
        return np.full((len(X), 2), np.nan)

    def summary(self, *, confidence: float = 0.95) -> pd.DataFrame:
        """Hazard ratios, without limits: term, level, coef, hazard_ratio."""
        check_is_fitted(self, "terms_")
        unknown = pd.DataFrame(np.nan, index=self.coef_.index, columns=self.coef_.index)
        table = hazard_ratios(self.terms_, self.coef_, unknown, confidence=confidence)
        return table[["term", "level", "coef", "hazard_ratio"]]

    def _title(self, who: str) -> str:
        return f"Surrogate Cox model: {self.n_} {who}, {self.events_} events"

    # -- model file --------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """All that was learnt, for a JSON file; no patient rows."""
        check_is_fitted(self, "terms_")
        return {
            "parameters": self.get_params(),
            "terms": [term.to_dict() for term in self.terms_],
            "baseline": self.baseline_.to_dict("list"),
            **{key: getattr(self, f"{key}_") for key in _PLAIN},
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> SurrogateCox:
        """Inverse of :meth:`to_dict`."""
        model = cls(**content["parameters"])
        columns = model._read_terms(content)
        values = [b for term in model.terms_ for b in term.coefficients[-len(term.columns) :]]
        model.coef_ = pd.Series(values, index=columns, name="coef", dtype=float)
        model.columns_ = [term.name for term in model.terms_]
        model.baseline_ = pd.DataFrame(content["baseline"])
        for key in _PLAIN:
            setattr(model, f"{key}_", content[key])
        return model


def least_squares(matrix: Floats, values: Floats) -> tuple[Floats, float]:
    """Coefficients and intercept of least squares; of columns that follow from others the smallest ones.

    Examples
    --------
    >>> beta, intercept = least_squares(np.array([[0.0], [1.0], [2.0]]), np.array([1.0, 3.0, 5.0]))
    >>> beta.round(9).tolist(), round(intercept, 9)
    ([2.0], 1.0)
    """
    center, scale = matrix.mean(axis=0), matrix.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    beta = np.linalg.lstsq((matrix - center) / scale, values - values.mean(), rcond=None)[0] / scale
    return beta, float(values.mean() - center @ beta)
