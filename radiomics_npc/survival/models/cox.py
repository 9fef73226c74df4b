"""The Cox proportional-hazards model, fitted by lifelines, with R's baseline and intervals.

References
----------
Cox DR. J R Stat Soc B 1972;34:187-220. Therneau TM, Grambsch PM. Modeling
Survival Data. Springer 2000, section 10.2 (variance of predicted survival).
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError
from radiomics_npc.survival.design import Design, Term, check_rows, encode_terms
from radiomics_npc.survival.estimation.baseline import (
    baseline_hazard,
    event_risk_weights,
    step_function,
    survival_at,
)
from radiomics_npc.survival.estimation.partial_likelihood import maximize_partial_likelihood

__all__ = ["CoxModel"]

Floats = NDArray[np.float64]


class CoxModel(BaseEstimator):
    """Cox regression with Efron's method for ties.

    Parameters
    ----------
    min_category : int
        Levels of a factor with fewer patients, or where none or all had the
        event, are merged (see :func:`radiomics_npc.survival.design.merge_levels`).
        1 merges only the latter.
    penalizer : float
        Ridge penalty on the standardized coefficients, as in lifelines; 0 is
        the ordinary Cox model.
    fallback_penalizer : float, optional
        Taken when the fit does not converge; ``penalizer_`` and ``notes_`` then
        say so. None, the default, raises instead.

    Attributes
    ----------
    terms_ : list of Term
    coef_ : Series
        Log hazard ratios, by ``age`` or ``T=T3``.
    covariance_ : DataFrame
    baseline_ : DataFrame
        ``time_months``, ``cumulative_hazard`` where all columns are 0 and all
        factors at their reference (Efron's estimate).
    follow_up_months_ : float
        Largest follow-up time: survival is NaN later.
    n_, events_ : int
    loglik_ : float
        Log partial likelihood (Efron) at the coefficients.
    merged_ : dict
        By column: sparse levels and what they are read as.
    dropped_ : dict
        By column: why it is not in the model.
    penalizer_ : float
    notes_ : list of str
        What the reader of a report should know about the fit.

    Examples
    --------
    >>> X = pd.DataFrame({"age": [40, 50, 60, 45, 55, 65]}, index=list("abcdef"))
    >>> y = Outcome([50, 30, 20, 60, 45, 10], [0, 1, 1, 0, 0, 1], X.index)
    >>> model = CoxModel().fit(X, y)
    >>> model.predict_survival(X.iloc[[0, 5]], [24]).round(2)
    array([[1.  ],
           [0.03]])
    """

    def __init__(
        self, *, min_category: int = 10, penalizer: float = 0.0, fallback_penalizer: float | None = None
    ) -> None:
        self.min_category = min_category
        self.penalizer = penalizer
        self.fallback_penalizer = fallback_penalizer

    def fit(self, X: pd.DataFrame, y: Outcome) -> Self:
        """Fit to numeric columns and Categorical factors.

        Raises
        ------
        CohortError
            Missing values, no event, other patients in X than in y, or a fit
            that does not converge.
        """
        check_rows(X, y)
        if not y.event.any():
            raise CohortError("no patient has an event: a Cox model cannot be fitted")
        design = Design(X, y, min_category=self.min_category)
        matrix = design.encode(X)
        self.merged_, self.dropped_ = design.merged, design.dropped
        self.notes_ = [f"{name}: left out, {why}" for name, why in design.dropped.items()]
        self.notes_ += [
            f"{name}: {level} read as {read}, too few patients or events"
            for name, reads in design.merged.items()
            for level, read in reads.items()
        ]
        beta, covariance = self._solve(matrix, y, design.columns)
        self._keep(design, matrix, y, beta, covariance)
        self.outcome_name_, self.simulated_ = y.name, y.simulated
        return self

    def _solve(self, matrix: Floats, y: Outcome, columns: Sequence[str]) -> tuple[Floats, Floats]:
        """Coefficients and covariance, falling back to a ridge only when allowed."""
        self.penalizer_ = float(self.penalizer)
        if not columns:
            return np.zeros(0), np.zeros((0, 0))
        try:
            return maximize_partial_likelihood(matrix, y, self.penalizer_)
        except CohortError as error:
            if self.fallback_penalizer is None:
                raise
            self.penalizer_ = float(self.fallback_penalizer)
            self.notes_.append(f"ridge penalty {self.penalizer_:g}, because {error.message}")
            return maximize_partial_likelihood(matrix, y, self.penalizer_)

    def _keep(self, design: Design, matrix: Floats, y: Outcome, beta: Floats, covariance: Floats) -> None:
        """Store all that predictions need, and nothing of single patients."""
        columns = design.columns
        self.coef_ = pd.Series(beta, index=columns, name="coef", dtype=float)
        self.covariance_ = pd.DataFrame(covariance, index=columns, columns=columns)
        self.terms_ = _with_coefficients(design.terms, self.coef_)
        self.columns_ = [term.name for term in self.terms_]
        self.center_ = pd.Series(matrix.mean(axis=0), index=columns, dtype=float)
        lp = (matrix - self.center_.to_numpy()) @ beta
        self.training_risk_ = lp + float(self.center_.to_numpy() @ beta)
        self.baseline_ = baseline_hazard(y, self.training_risk_)
        weights, totals = event_risk_weights(y, lp)
        means = weights @ (matrix - self.center_.to_numpy())
        when = np.searchsorted(self.baseline_["time_months"], np.sort(y.time_months[y.event]))
        self._set_spread(
            _sum_by(when, 1 / totals**2), _sum_by(when, means / totals[:, None]), _sum_by(when, 1 / totals)
        )
        self.follow_up_months_ = float(y.time_months.max())
        self.n_, self.events_ = len(y), int(y.event.sum())
        self.loglik_ = float(np.sum(lp[y.event]) - np.sum(np.log(totals)))

    def _set_spread(self, variance: Floats, means: Floats, hazard: Floats) -> None:
        """Running sums for the variance of the cumulative hazard, at the center of the covariates."""
        names = [f"mean {column}" for column in self.coef_.index]
        table = np.column_stack([np.cumsum(hazard), np.cumsum(variance), np.cumsum(means, axis=0)])
        self.spread_ = pd.DataFrame(table, columns=["hazard", "variance", *names])

    # -- predictions -------------------------------------------------------------------------

    def linear_predictor(self, X: pd.DataFrame) -> Floats:
        """Sum of coefficient times value, not centered, shape (n,).

        Raises
        ------
        CohortError
            A column is absent, holds missing values, or a level the model does not know.
        """
        check_is_fitted(self, "terms_")
        check_rows(X)
        result: Floats = encode_terms(self.terms_, X) @ self.coef_.to_numpy()
        return result

    def predict_risk(self, X: pd.DataFrame) -> Floats:
        """Log relative hazard, shape (n,); higher is worse."""
        return self.linear_predictor(X)

    def predict(self, X: pd.DataFrame) -> Floats:
        """The same as :meth:`predict_risk`, for a scikit-learn Pipeline."""
        return self.predict_risk(X)

    def predict_survival(self, X: pd.DataFrame, times: Sequence[float] | ArrayLike) -> Floats:
        """Probability to be free of the event, shape (n, t); NaN past the follow-up in training."""
        return survival_at(self.baseline_, self.linear_predictor(X), times, last=self.follow_up_months_)

    def predict_interval(self, X: pd.DataFrame, time: float, *, confidence: float = 0.95) -> Floats:
        """Confidence interval of the survival probability at a time, shape (n, 2).

        Normal on the scale of the cumulative hazard (``conf.type = "log"``, as in
        ``rms::survest``), with the uncertainty of coefficients and baseline; the
        upper limit is cut at 1. Past the follow-up it is NaN.
        """
        lp = self.linear_predictor(X)
        matrix = encode_terms(self.terms_, X) - self.center_.to_numpy()
        row = step_function(self.baseline_["time_months"], self.spread_, [time], last=self.follow_up_months_)[
            0
        ]
        hazard, variance, means = row[0], row[1], row[2:]
        relative = np.exp(matrix @ self.coef_.to_numpy())
        shift = means - matrix * hazard
        variance = variance + np.einsum("ij,jk,ik->i", shift, self.covariance_.to_numpy(), shift)
        reach = norm.ppf(0.5 + confidence / 2) * relative * np.sqrt(variance)
        total = -np.log(survival_at(self.baseline_, lp, [time], last=self.follow_up_months_)[:, 0])
        return np.column_stack([np.exp(-total - reach), np.minimum(1.0, np.exp(-total + reach))])

    def summary(self, *, confidence: float = 0.95) -> pd.DataFrame:
        """Hazard ratios: one row a coefficient, and one with 1 for each reference level.

        Returns
        -------
        DataFrame
            Columns term, level, coef, hazard_ratio, lower, upper, z, p.
        """
        check_is_fitted(self, "terms_")
        reach = norm.ppf(0.5 + confidence / 2)
        errors = pd.Series(np.sqrt(np.diag(self.covariance_)), index=self.coef_.index)
        rows = []
        for term in self.terms_:
            if term.kind == "factor":
                rows.append((term.name, term.levels[0], 0.0, 1.0, np.nan, np.nan, np.nan, np.nan))
            for column, level in zip(term.columns, term.levels[1:] or ("",), strict=True):
                coef, se = float(self.coef_[column]), float(errors[column])
                low, high = np.exp([coef - reach * se, coef + reach * se])
                z = coef / se
                rows.append((term.name, level, coef, np.exp(coef), low, high, z, 2 * norm.sf(abs(z))))
        names = ["term", "level", "coef", "hazard_ratio", "lower", "upper", "z", "p"]
        return pd.DataFrame(rows, columns=names)

    def to_frame(self) -> pd.DataFrame:
        """The same as :meth:`summary`."""
        return self.summary()

    def _repr_html_(self) -> str:
        if not hasattr(self, "terms_"):
            return f"<p>{self!r}, not fitted</p>"
        notes = "".join(f"<li>{html.escape(note)}</li>" for note in self.notes_)
        who = "simulated patients" if getattr(self, "simulated_", False) else "patients"
        head = f"<p>Cox model: {self.n_} {who}, {self.events_} events</p>"
        return head + self.summary().to_html(index=False, float_format="{:.3g}".format) + f"<ul>{notes}</ul>"

    # -- model file --------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """All that was learnt, for a JSON file; no patient rows."""
        check_is_fitted(self, "terms_")
        return {
            "parameters": self.get_params(),
            "terms": [term.to_dict() for term in self.terms_],
            "covariance": self.covariance_.to_numpy().tolist(),
            "center": self.center_.tolist(),
            "baseline": self.baseline_.to_dict("list"),
            "spread": self.spread_.to_dict("list"),
            "follow_up_months": self.follow_up_months_,
            "n": self.n_,
            "events": self.events_,
            "loglik": self.loglik_,
            "penalizer": self.penalizer_,
            "merged": self.merged_,
            "dropped": self.dropped_,
            "notes": self.notes_,
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> CoxModel:
        """Inverse of :meth:`to_dict`."""
        model = cls(**content["parameters"])
        model.terms_ = [Term.from_dict(term) for term in content["terms"]]
        columns = [column for term in model.terms_ for column in term.columns]
        values = [b for term in model.terms_ for b in term.coefficients[-len(term.columns) :]]
        model.coef_ = pd.Series(values, index=columns, name="coef", dtype=float)
        square = np.asarray(content["covariance"], dtype=float).reshape(len(columns), len(columns))
        model.covariance_ = pd.DataFrame(square, index=columns, columns=columns)
        model.columns_ = [term.name for term in model.terms_]
        model.center_ = pd.Series(content["center"], index=columns, dtype=float)
        model.baseline_ = pd.DataFrame(content["baseline"])
        model.spread_ = pd.DataFrame(content["spread"])
        for key in ("follow_up_months", "n", "events", "loglik", "penalizer", "merged", "dropped", "notes"):
            setattr(model, f"{key}_", content[key])
        return model


def _with_coefficients(terms: Sequence[Term], coef: pd.Series) -> list[Term]:
    """Terms with their numbers filled in, the reference of a factor at 0."""
    return [
        replace(
            term, coefficients=(0.0,) * (term.kind == "factor") + tuple(float(coef[c]) for c in term.columns)
        )
        for term in terms
    ]


def _sum_by(groups: NDArray[np.intp], values: Floats) -> Floats:
    """Sum rows that belong to the same event time (groups ascend)."""
    starts = np.flatnonzero(np.diff(groups, prepend=-1))
    result: Floats = np.add.reduceat(values, starts, axis=0)
    return result
