"""Missing values predicted from the patient's other columns, by regressions learnt in training.

References
----------
van Buuren S, Groothuis-Oudshoorn K. mice. J Stat Softw 2011;45(3):1-67 (chained
equations). Sisk R et al. Stat Methods Med Res 2023;32:1461-1477 (regression
imputation, without the outcome, where a model is used).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.survival.design import check_rows
from radiomics_npc.survival.preprocessing.imputation_columns import ImputationColumns

__all__ = ["IterativeImputation", "chained_equations"]

Floats = NDArray[np.float64]
_ROUNDS = 100
_STILL = 1e-10


def chained_equations(rounds: int, *, random_state: int | None = None, tolerance: float = 1e-6) -> Any:
    """scikit-learn's IterativeImputer with Bayesian ridge regressions, for standardized columns.

    Parameters
    ----------
    rounds : int
    random_state : int, optional
        Draw from the predictive distribution; by default take its mean.
    tolerance : float
        Largest change where the means have settled.

    Returns
    -------
    IterativeImputer
    """
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401
    from sklearn.impute import IterativeImputer

    return IterativeImputer(
        max_iter=rounds, tol=tolerance, sample_posterior=random_state is not None,
        random_state=random_state, keep_empty_features=True,
    )  # fmt: skip


class IterativeImputation(TransformerMixin, BaseEstimator):
    """Predict missing values from the other columns, each by a Bayesian ridge regression.

    For clinical columns; for thousands of features the regressions take too long, and the
    screens of the features fill them with medians.

    Parameters
    ----------
    rounds : int
        Rounds through the columns in ``fit`` at most.

    Attributes
    ----------
    codes_ : ImputationColumns
        How columns become numbers.
    intercept_, coef_ : array, shape (q,) and (q, q)
        The regression of each standardized number, rank or indicator on all others.
    missing_ : dict
        By column: missing values in training.
    dropped_ : dict
        By column: why it is left out (no value at all in training).
    converged_ : bool
    notes_ : list of str

    Notes
    -----
    The outcome has no part in it, because new patients have none. The values of a patient
    depend on no other new patient: they are where the regressions, taken in turn, agree.
    Numbers are kept in the range of the training patients. A level is the nearest rank of
    an ordered factor, and else the one with the largest predicted indicator.

    Examples
    --------
    >>> X = pd.DataFrame({"volume": [1.0, 2.0, 3.0, 4.0], "diameter": [2.0, 4.0, 6.0, None]})
    >>> IterativeImputation().fit(X.iloc[:3]).transform(X)["diameter"].round(1).tolist()
    [2.0, 4.0, 6.0, 6.0]
    """

    def __init__(self, *, rounds: int = 50) -> None:
        self.rounds = rounds

    def fit(self, X: pd.DataFrame, y: Outcome | None = None) -> Self:
        """Learn the regressions.

        Raises
        ------
        CohortError
            A column holds text.
        """
        check_rows(X, y)
        self.dropped_ = {str(c): "no value in any patient" for c in X.columns if X[c].isna().all()}
        X = X[[name for name in X.columns if str(name) not in self.dropped_]]
        self.codes_ = ImputationColumns.learn(X)
        self.missing_ = {str(name): int(X[name].isna().sum()) for name in X.columns}
        matrix = self.codes_.encode(X)
        size = matrix.shape[1]
        self.intercept_, self.coef_ = np.zeros(size), np.zeros((size, size))
        self.converged_ = True
        if size > 1:
            self._learn(matrix)
        self.notes_ = [f"{name}: left out, {why}" for name, why in self.dropped_.items()]
        self.notes_ += [f"{name}: {k} missing values predicted" for name, k in self.missing_.items() if k]
        if not self.converged_:
            self.notes_.append(f"the imputed values had not settled after {self.rounds} rounds")
        return self

    def _learn(self, matrix: Floats) -> None:
        imputer = chained_equations(self.rounds)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ConvergenceWarning)
            imputer.fit(matrix)
        self.converged_ = not caught
        for step in imputer.imputation_sequence_[-matrix.shape[1] :]:
            self.intercept_[step.feat_idx] = step.estimator.intercept_
            self.coef_[step.feat_idx, step.neighbor_feat_idx] = step.estimator.coef_

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        """Fill missing values; unknown levels are refused, never guessed.

        Raises
        ------
        CohortError
            A column is absent, or a factor holds a level not known in training.
        """
        check_is_fitted(self, "coef_")
        check_rows(X)
        matrix = self.codes_.encode(X)
        return self.codes_.decode(self._settle(matrix), X)

    @property
    def columns_(self) -> list[str]:
        """Columns that stay."""
        return list(self.codes_.levels)

    @property
    def factors_(self) -> list[str]:
        """Those of them that are factors."""
        return list(self.codes_.categories)

    def _settle(self, matrix: Floats) -> Floats:
        """Predict missing numbers from the others in turn, until every patient's stay."""
        lost = np.isnan(matrix)
        filled = np.where(lost, 0.0, matrix)
        low = (np.array(self.codes_.low) - self.codes_.center) / self.codes_.scale
        high = (np.array(self.codes_.high) - self.codes_.center) / self.codes_.scale
        rows = np.flatnonzero(lost.any(axis=1))
        for _ in range(_ROUNDS):
            before = filled[rows]
            for k in np.flatnonzero(lost.any(axis=0)):
                some = rows[lost[rows, k]]
                filled[some, k] = np.clip(filled[some] @ self.coef_[k] + self.intercept_[k], low[k], high[k])
            # A patient who has settled is left alone, so that the others cannot move it.
            rows = rows[np.abs(filled[rows] - before).max(axis=1, initial=0.0) > _STILL]
        return filled

    def to_dict(self) -> dict[str, Any]:
        """What was learnt, for a JSON file."""
        check_is_fitted(self, "coef_")
        return {
            "parameters": self.get_params(),
            "codes": asdict(self.codes_),
            "intercept": self.intercept_.tolist(),
            "coef": self.coef_.tolist(),
            "missing": self.missing_,
            "dropped": self.dropped_,
            "converged": self.converged_,
            "notes": self.notes_,
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> IterativeImputation:
        """Inverse of :meth:`to_dict`."""
        made = cls(**content["parameters"])
        made.codes_ = ImputationColumns(**content["codes"])
        made.intercept_ = np.asarray(content["intercept"], dtype=float)
        made.coef_ = np.asarray(content["coef"], dtype=float).reshape(2 * (len(made.intercept_),))
        made.missing_, made.dropped_ = dict(content["missing"]), dict(content["dropped"])
        made.converged_, made.notes_ = content["converged"], list(content["notes"])
        return made
