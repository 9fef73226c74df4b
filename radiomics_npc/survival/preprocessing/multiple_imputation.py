"""Multiple imputation: several completed tables, drawn from what the observed values leave open.

References
----------
White IR, Royston P. Imputing missing covariate values for the Cox model. Stat Med
2009;28:1982-1998 (the event and the cumulative hazard among the predictors).
Honaker J, King G. Am J Polit Sci 2010;54:561-581 (a bootstrap for the uncertainty of
the imputation model). Allison PD. Missing Data. Sage 2001 (factors).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError, ConfigError
from radiomics_npc.survival.design import check_rows
from radiomics_npc.survival.estimation.baseline import baseline_hazard, step_function
from radiomics_npc.survival.preprocessing.imputation_columns import ImputationColumns
from radiomics_npc.survival.preprocessing.iterative_imputation import IterativeImputation, chained_equations

__all__ = ["MultipleImputation", "nelson_aalen"]

Floats = NDArray[np.float64]


def nelson_aalen(y: Outcome) -> Floats:
    """Cumulative hazard of all patients together, at each patient's own follow-up time, shape (n,).

    Raises
    ------
    CohortError
        No event.

    Examples
    --------
    >>> nelson_aalen(Outcome([1, 2, 3], [1, 0, 1])).round(2)
    array([0.33, 0.33, 1.33])
    """
    base = baseline_hazard(y, np.zeros(len(y)), ties="breslow")
    return step_function(base["time_months"], base["cumulative_hazard"], y.time_months)


class MultipleImputation(TransformerMixin, BaseEstimator):
    """Complete the training table m times, and new patients once.

    Parameters
    ----------
    m : int
        Completed tables; about as many as the percentage of incomplete patients.
    rounds : int
        Rounds of the chained equations for each table.
    random_state : int

    Attributes
    ----------
    new_patients_ : IterativeImputation
        Fills new patients: learnt from the training patients without their outcome.
    notes_ : list of str

    Notes
    -----
    For each table the chained equations (scikit-learn's IterativeImputer, Bayesian ridge)
    are learnt from a bootstrap sample of the training patients, and the missing values of
    all of them drawn from the predictive distribution, so that the tables differ by all that
    is uncertain. The event indicator and the Nelson-Aalen cumulative hazard are among the
    predictors there; without them effects would be drawn towards none. New patients have
    no outcome: ``transform`` gives them the prediction of regressions without it, one
    patient at a time. Binary and unordered factors are drawn as indicators and rounded,
    numbers kept in the range of training, which is approximate for rare levels.

    Examples
    --------
    >>> random = np.random.default_rng(0)
    >>> X = pd.DataFrame({"a": random.normal(size=40)})
    >>> X["b"] = X["a"] + 0.1 * random.normal(size=40)
    >>> X.loc[:4, "b"] = np.nan
    >>> y = Outcome(random.exponential(size=40), np.ones(40))
    >>> tables = MultipleImputation(m=3).complete(X, y)
    >>> len(tables), int(tables[0].isna().sum().sum()), int((tables[0]["b"] == tables[1]["b"]).sum())
    (3, 0, 35)
    """

    def __init__(self, *, m: int = 10, rounds: int = 10, random_state: int = 0) -> None:
        self.m = m
        self.rounds = rounds
        self.random_state = random_state

    def fit(self, X: pd.DataFrame, y: Outcome | None = None) -> Self:
        """Learn how new patients are filled.

        Raises
        ------
        CohortError
            A column holds text.
        """
        self.new_patients_ = IterativeImputation().fit(X, y)
        self.notes_ = list(self.new_patients_.notes_)
        return self

    def complete(self, X: pd.DataFrame, y: Outcome) -> list[pd.DataFrame]:
        """Complete the training patients m times, with the help of their outcome.

        Parameters
        ----------
        X : DataFrame
            Clinical columns: numbers and Categorical factors.
        y : Outcome
            Of the same patients.

        Returns
        -------
        list of DataFrame
            Columns without any value are left out.

        Raises
        ------
        CohortError
            No event, a column holds text, or other patients than in ``y``.
        ConfigError
            ``m`` is smaller than 2.
        """
        if self.m < 2:
            raise ConfigError(f"m is {self.m}", "Multiple imputation needs 2 completed tables at least.")
        check_rows(X, y)
        if not y.event.any():
            raise CohortError("no patient has an event: the outcome cannot help to impute")
        X = X[[name for name in X.columns if not X[name].isna().all()]]
        codes = ImputationColumns.learn(X)
        outcome = np.column_stack([nelson_aalen(y), y.event])
        spread = outcome.std(axis=0)
        outcome = (outcome - outcome.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
        matrix = np.hstack([codes.encode(X), outcome])
        seeds = np.random.SeedSequence(self.random_state).spawn(self.m)
        return [codes.decode(self._draw(matrix, seed)[:, :-2], X) for seed in seeds]

    def _draw(self, matrix: Floats, seed: np.random.SeedSequence) -> Floats:
        """Learn from a bootstrap sample, draw the missing numbers of all patients."""
        random = np.random.default_rng(seed)
        sample = matrix[random.integers(len(matrix), size=len(matrix))]
        imputer = chained_equations(self.rounds, random_state=int(random.integers(2**31)))
        imputer.fit(sample)
        drawn: Floats = imputer.transform(matrix)
        return drawn

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        """Fill new patients by regressions that know no outcome.

        Raises
        ------
        CohortError
            A column is absent, or a factor holds a level not known in training.
        """
        check_is_fitted(self, "new_patients_")
        return self.new_patients_.transform(X)

    def to_dict(self) -> dict[str, Any]:
        """What new patients are filled with, for a JSON file."""
        check_is_fitted(self, "new_patients_")
        return {"parameters": self.get_params(), "new_patients": self.new_patients_.to_dict()}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> MultipleImputation:
        """Inverse of :meth:`to_dict`."""
        made = cls(**content["parameters"])
        made.new_patients_ = IterativeImputation.from_dict(content["new_patients"])
        made.notes_ = list(made.new_patients_.notes_)
        return made
