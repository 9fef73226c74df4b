"""What regressions on clinical columns have in common: terms, coefficients, how they show themselves."""

from __future__ import annotations

import html
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from radiomics_npc.survival.design import check_rows
from radiomics_npc.survival.terms import Term, encode_terms

__all__ = ["Regression"]

Floats = NDArray[np.float64]


class Regression(BaseEstimator, ABC):
    """Base of the Cox and of the Fine-Gray model."""

    terms_: list[Term]
    coef_: pd.Series
    covariance_: pd.DataFrame
    notes_: list[str]

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
        """Log relative hazard, of the subdistribution if it is modelled, shape (n,); higher is worse."""
        return self.linear_predictor(X)

    @abstractmethod
    def summary(self, *, confidence: float = 0.95) -> pd.DataFrame:
        """Hazard ratios: one row a coefficient, and one with 1 for each reference level."""

    def to_frame(self) -> pd.DataFrame:
        """The same as :meth:`summary`."""
        return self.summary()

    @abstractmethod
    def _title(self, who: str) -> str:
        """The model and how many patients it was fitted to."""

    def _repr_html_(self) -> str:
        if not hasattr(self, "terms_"):
            return f"<p>{self!r}, not fitted</p>"
        notes = "".join(f"<li>{html.escape(note)}</li>" for note in self.notes_)
        head = self._title("simulated patients" if getattr(self, "simulated_", False) else "patients")
        table = self.summary().to_html(index=False, float_format="{:.3g}".format)
        return f"<p>{head}</p>{table}<ul>{notes}</ul>"

    def _keep_coefficients(self, beta: ArrayLike, covariance: ArrayLike, columns: Sequence[str]) -> None:
        square = np.asarray(covariance, dtype=float).reshape(len(columns), len(columns))
        self.coef_ = pd.Series(np.asarray(beta, dtype=float), index=list(columns), name="coef")
        self.covariance_ = pd.DataFrame(square, index=list(columns), columns=list(columns))

    def _read_terms(self, content: Mapping[str, Any]) -> list[str]:
        """Terms of a model file; returns the names of their coefficients."""
        self.terms_ = [Term.from_dict(term) for term in content["terms"]]
        return [column for term in self.terms_ for column in term.columns]
