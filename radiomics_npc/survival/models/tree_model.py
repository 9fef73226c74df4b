"""What boosted trees and forests have in common: coded columns, screening, how they show themselves."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError
from radiomics_npc.survival.design import check_rows
from radiomics_npc.survival.models.tree_columns import TreeColumns, screened_columns

__all__ = ["TreeModel"]

Floats = NDArray[np.float64]


class TreeModel(BaseEstimator, ABC):
    """Base of boosted trees and of the forest."""

    max_features: int | None
    max_correlation: float
    coding_: TreeColumns
    columns_: list[str]

    def tree_table(self, X: pd.DataFrame) -> pd.DataFrame:
        """Numbers as the trees see them: one column each of ``columns_``, NaN where missing.

        Raises
        ------
        CohortError
            No patients, a column is absent, or a factor holds a level not known in training.
        """
        check_is_fitted(self, "columns_")
        check_rows(X)
        if len(X) == 0:
            raise CohortError("there are no patients to predict", "Give a table with rows.")
        return self.coding_.encode(X, self.coding_.sources(self.columns_))[self.columns_]

    def _screened(self, table: pd.DataFrame, y: Outcome) -> list[str]:
        return screened_columns(
            table, y, max_features=self.max_features, max_correlation=self.max_correlation
        )

    def _keep_cohort(self, X: pd.DataFrame, y: Outcome) -> None:
        """What is said of the training patients, none of them alone."""
        known = [*self.coding_.categories, *self.coding_.numbers]
        used = set(self.coding_.sources(self.columns_))
        self.notes_ = [
            f"{name}: left out, no values to split" for name in known if "__" not in name and name not in used
        ]
        self.ranges_ = self.coding_.ranges(X, self.coding_.sources(self.columns_))
        self.follow_up_months_ = float(y.time_months.max())
        self.n_, self.events_ = len(y), int(y.event.sum())
        self.outcome_name_, self.simulated_ = y.name, y.simulated

    @abstractmethod
    def predict_risk(self, X: pd.DataFrame) -> Floats:
        """Risk, shape (n,); higher is worse."""

    def predict(self, X: pd.DataFrame) -> Floats:
        """The same as :meth:`predict_risk`, for a scikit-learn Pipeline."""
        return self.predict_risk(X)

    def predict_interval(self, X: pd.DataFrame, time: float) -> Floats:
        """Limits of the survival probability, shape (n, 2): NaN, for trees have none."""
        return np.full((len(X), 2), np.nan)

    @abstractmethod
    def importance(self) -> pd.DataFrame:
        """Columns by what they contribute, the most important first: column, ..., share."""

    def to_frame(self) -> pd.DataFrame:
        """The same as :meth:`importance`; with a column ``simulated`` if the patients never lived."""
        table = self.importance()
        return table.assign(simulated=True) if getattr(self, "simulated_", False) else table

    @abstractmethod
    def _summary(self) -> str:
        """Name and number of the trees."""

    def _repr_html_(self) -> str:
        if not hasattr(self, "columns_"):
            return f"<p>{self!r}, not fitted</p>"
        who = "simulated patients" if getattr(self, "simulated_", False) else "patients"
        head = f"<p>{self._summary()}, {self.n_} {who}, {self.events_} events</p>"
        return head + self.importance().head(20).to_html(index=False, float_format="{:.3g}".format)
