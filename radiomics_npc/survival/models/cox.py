"""The Cox proportional-hazards model: splines, interactions, strata; R's baseline and intervals.

References
----------
Cox DR. J R Stat Soc B 1972;34:187-220. Therneau TM, Grambsch PM. Modeling
Survival Data. Springer 2000, section 10.2 (variance of predicted survival). Lin DY, Wei LJ.
J Am Stat Assoc 1989;84:1074-1078 (robust covariance).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError
from radiomics_npc.survival.design import Design, check_rows
from radiomics_npc.survival.estimation.partial_likelihood import sandwich_covariance
from radiomics_npc.survival.models.cox_curves import Curve, curves_by_stratum, learn_curves, strata_table
from radiomics_npc.survival.models.cox_fit import fit_cox
from radiomics_npc.survival.models.hazard_ratios import hazard_ratios, wald_tests
from radiomics_npc.survival.models.regression import Regression
from radiomics_npc.survival.strata import stratum_labels
from radiomics_npc.survival.terms import encode_terms

__all__ = ["CoxModel"]

Floats = NDArray[np.float64]


class CoxModel(Regression):
    """Cox regression with Efron's method for ties.

    Parameters
    ----------
    min_category : int
        Levels of a factor with fewer patients, or where none or all had the
        event, are merged (see :func:`radiomics_npc.survival.design.merge_levels`).
        1 merges only the latter.
    splines : mapping of str to int or sequence of float, optional
        Columns that enter as restricted cubic splines: the number of knots, put at
        Harrell's quantiles in training, or the knots.
    interactions : sequence of (str, str)
        Pairs of columns whose products enter beside them.
    strata : sequence of str
        Columns whose values make groups with a baseline hazard each; they have no
        coefficient, and risks compare only within a group.
    penalizer : float
        Ridge penalty on the standardized coefficients, as in lifelines; 0 is
        the ordinary Cox model.
    fallback_penalizer : float, optional
        Taken when the fit does not converge; ``penalizer_`` and ``notes_`` then
        say so. None, the default, raises instead.
    robust : bool
        Covariance by the sandwich of Lin and Wei.
    cluster : str, optional
        Column that names related patients (a center, a twin pair); it has no
        coefficient, and the covariance is the sandwich with whole clusters.

    Attributes
    ----------
    terms_ : list of Term
    coef_ : Series
        Log hazard ratios, by ``age`` or ``T=T3``.
    covariance_ : DataFrame
    baseline_ : DataFrame
        ``time_months``, ``cumulative_hazard`` where all columns are 0 and all
        factors at their reference (Efron's estimate); with strata also ``stratum``.
    strata_ : DataFrame
        ``stratum``, ``n``, ``events``, ``follow_up_months``; no row without strata.
    follow_up_months_ : float
        Largest follow-up time: survival is NaN later (with strata: than in the stratum).
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
        self,
        *,
        min_category: int = 10,
        splines: Mapping[str, int | Sequence[float]] | None = None,
        interactions: Sequence[tuple[str, str]] = (),
        strata: Sequence[str] = (),
        penalizer: float = 0.0,
        fallback_penalizer: float | None = None,
        robust: bool = False,
        cluster: str | None = None,
    ) -> None:
        self.min_category = min_category
        self.splines = splines
        self.interactions = interactions
        self.strata = strata
        self.penalizer = penalizer
        self.fallback_penalizer = fallback_penalizer
        self.robust = robust
        self.cluster = cluster

    def fit(self, X: pd.DataFrame, y: Outcome) -> Self:
        """Fit to numeric columns and Categorical factors.

        Raises
        ------
        CohortError
            Missing values, no event, other patients in X than in y, columns that
            are absent, or a fit that does not converge.
        """
        check_rows(X, y)
        if not y.event.any():
            raise CohortError("no patient has an event: a Cox model cannot be fitted")
        groups, clusters = self._groups(X), self._clusters(X)
        design = Design(
            X.drop(columns=[*self.strata, *([] if clusters is None else [self.cluster])]),
            y,
            min_category=self.min_category,
            splines=self.splines,
            interactions=self.interactions,
        )
        matrix = design.encode(X)
        self.merged_, self.dropped_, self.notes_ = design.merged, design.dropped, design.notes
        beta, covariance = self._solve(matrix, y, groups)
        if self.robust or clusters is not None:
            covariance = sandwich_covariance(matrix, y, beta, covariance, strata=groups, cluster=clusters)
        self._keep(design, matrix, y, beta, covariance, groups)
        self.outcome_name_, self.simulated_ = y.name, y.simulated
        return self

    def _groups(self, X: pd.DataFrame) -> NDArray[np.str_] | None:
        """Stratum of every patient; None without strata."""
        return stratum_labels(X, self.strata) if len(self.strata) else None

    def _clusters(self, X: pd.DataFrame) -> NDArray[np.str_] | None:
        return None if self.cluster is None else stratum_labels(X, [self.cluster])

    def _solve(self, matrix: Floats, y: Outcome, groups: NDArray[np.str_] | None) -> tuple[Floats, Floats]:
        """Coefficients and covariance, falling back to a ridge only when allowed."""
        self.penalizer_ = float(self.penalizer)
        if not matrix.shape[1]:
            return np.zeros(0), np.zeros((0, 0))
        try:
            return fit_cox(matrix, y, self.penalizer_, strata=groups)
        except CohortError as error:
            if self.fallback_penalizer is None:
                raise
            self.penalizer_ = float(self.fallback_penalizer)
            self.notes_.append(f"ridge penalty {self.penalizer_:g}, because {error.message}")
            return fit_cox(matrix, y, self.penalizer_, strata=groups)

    def _keep(
        self,
        design: Design,
        matrix: Floats,
        y: Outcome,
        beta: Floats,
        covariance: Floats,
        groups: NDArray[np.str_] | None,
    ) -> None:
        """Store all that predictions need, and nothing of single patients."""
        columns = design.columns
        self._keep_coefficients(beta, covariance, columns)
        self.terms_ = [term.with_coefficients(self.coef_) for term in design.terms]
        self.columns_ = self._needed()
        center = matrix.mean(axis=0)
        self.center_ = pd.Series(center, index=columns, dtype=float)
        self.training_risk_ = matrix @ beta
        self.follow_up_months_ = float(y.time_months.max())
        self.n_, self.events_ = len(y), int(y.event.sum())
        self.strata_ = strata_table(y, groups)
        idle = self.strata_.loc[self.strata_["events"] == 0, "stratum"]
        self.notes_ += [f"{name}: no event, so its survival stays 1" for name in idle]
        self.baseline_, self.spread_, self.loglik_ = learn_curves(matrix, y, self.coef_, groups)

    def _needed(self) -> list[str]:
        """Columns that a prediction needs."""
        return [term.name for term in self.terms_ if term.kind != "interaction"] + list(self.strata)

    # -- predictions -------------------------------------------------------------------------

    def predict(self, X: pd.DataFrame) -> Floats:
        """The same as :meth:`predict_risk`, for a scikit-learn Pipeline."""
        return self.predict_risk(X)

    def predict_survival(self, X: pd.DataFrame, times: Sequence[float] | ArrayLike) -> Floats:
        """Probability to be free of the event, shape (n, t); NaN past the follow-up in training.

        Raises
        ------
        CohortError
            As :meth:`linear_predictor`, or a stratum that training patients did not have.
        """
        lp = self.linear_predictor(X)
        result = np.empty((len(X), len(np.atleast_1d(times))))
        for rows, curve in self._curves(X):
            result[rows] = curve.survival(lp[rows], times)
        return result

    def predict_interval(self, X: pd.DataFrame, time: float, *, confidence: float = 0.95) -> Floats:
        """Confidence interval of the survival probability at a time, shape (n, 2).

        Normal on the scale of the cumulative hazard (``conf.type = "log"``, as in
        ``rms::survest``), with the uncertainty of coefficients and baseline; the
        upper limit is cut at 1. Past the follow-up it is NaN.
        """
        lp = self.linear_predictor(X)
        matrix = encode_terms(self.terms_, X) - self.center_.to_numpy()
        result = np.empty((len(X), 2))
        for rows, curve in self._curves(X):
            result[rows] = curve.interval(
                lp[rows], matrix[rows], self.coef_, self.covariance_, time, confidence=confidence
            )
        return result

    def _curves(self, X: pd.DataFrame) -> Iterator[tuple[NDArray[np.intp], Curve]]:
        """Patients of each stratum, and its curve."""
        groups = self._groups(X)
        if groups is None:
            yield np.arange(len(X)), Curve(self.baseline_, self.spread_, self.follow_up_months_)
        else:
            yield from curves_by_stratum(self.baseline_, self.spread_, self.strata_, groups)

    def summary(self, *, confidence: float = 0.95) -> pd.DataFrame:
        """Hazard ratios: one row a coefficient, and one with 1 for each reference level.

        A spline has one row, the upper against the lower quartile in training; a main
        effect with an interaction holds where the other column is 0 or at its reference.

        Returns
        -------
        DataFrame
            Columns term, level, coef, hazard_ratio, lower, upper, z, p.
        """
        check_is_fitted(self, "terms_")
        return hazard_ratios(self.terms_, self.coef_, self.covariance_, confidence=confidence)

    def anova(self) -> pd.DataFrame:
        """Wald tests of whole terms, as ``rms::anova``.

        Returns
        -------
        DataFrame
            Columns term, test (``overall``, with the term's interactions; ``nonlinear`` for a
            spline), chi_square, df, p; the last row is ``TOTAL``.
        """
        check_is_fitted(self, "terms_")
        return wald_tests(self.terms_, self.coef_, self.covariance_)

    def _title(self, who: str) -> str:
        return f"Cox model: {self.n_} {who}, {self.events_} events"

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
            "strata": self.strata_.to_dict("list"),
            **{key: getattr(self, f"{key}_") for key in _PLAIN},
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> CoxModel:
        """Inverse of :meth:`to_dict`."""
        model = cls(**content["parameters"])
        columns = model._read_terms(content)
        values = [b for term in model.terms_ for b in term.coefficients[-len(term.columns) :]]
        model._keep_coefficients(values, content["covariance"], columns)
        model.columns_ = model._needed()
        model.center_ = pd.Series(content["center"], index=columns, dtype=float)
        model.baseline_ = pd.DataFrame(content["baseline"])
        model.spread_ = pd.DataFrame(content["spread"])
        model.strata_ = pd.DataFrame(content["strata"])
        for key in _PLAIN:
            setattr(model, f"{key}_", content[key])
        return model


_PLAIN = ("follow_up_months", "n", "events", "loglik", "penalizer", "merged", "dropped", "notes")
