"""Risk groups whose cut points are learnt in training."""

from __future__ import annotations

from typing import Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from radiomics_npc.errors import CohortError

__all__ = ["GROUP_NAMES", "RiskGroups"]

GROUP_NAMES = {"median": ("low", "high"), "tertiles": ("low", "intermediate", "high")}


class RiskGroups(BaseEstimator):
    """Low to high risk, cut at the quantiles of the predicted risk in training.

    Parameters
    ----------
    how : {"tertiles", "median"}

    Attributes
    ----------
    cut_points_ : tuple of float
        A risk above a cut point belongs to the higher group.

    Examples
    --------
    >>> groups = RiskGroups("median").fit([0.1, 0.2, 0.3, 0.4])
    >>> groups.cut_points_, groups.predict([0.25, 0.26, 9.0]).tolist()
    ((0.25,), ['low', 'high', 'high'])
    """

    def __init__(self, how: Literal["median", "tertiles"] = "tertiles") -> None:
        self.how = how

    def fit(self, risk: ArrayLike) -> Self:
        """Learn the cut points from the risks of the training patients.

        Raises
        ------
        CohortError
            A risk is missing, or ``how`` is unknown.
        """
        values = np.asarray(risk, dtype=float)
        if self.how not in GROUP_NAMES:
            raise CohortError(
                f"risk groups {self.how!r} are unknown", f"Take one of {', '.join(GROUP_NAMES)}."
            )
        if len(values) == 0 or not np.isfinite(values).all():
            raise CohortError("risk groups need the risk of every training patient")
        parts = len(GROUP_NAMES[self.how])
        self.cut_points_ = tuple(float(q) for q in np.quantile(values, np.arange(1, parts) / parts))
        return self

    def predict(self, risk: ArrayLike) -> pd.Categorical[str]:
        """Group of each risk, an ordered categorical; a missing risk has no group."""
        check_is_fitted(self, "cut_points_")
        values = np.asarray(risk, dtype=float)
        codes = np.searchsorted(np.asarray(self.cut_points_), values, side="left")
        known = [int(code) for code in np.where(np.isnan(values), -1, codes)]
        names = pd.Index(list(GROUP_NAMES[self.how]))
        result: pd.Categorical[str] = pd.Categorical.from_codes(known, names, ordered=True)
        return result
