"""How a fitted standard model predicts: from a table as it comes, by way of its steps, to a risk."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from radiomics_npc.errors import CohortError
from radiomics_npc.survival.design import check_rows
from radiomics_npc.survival.models.boosting import BoostedModel
from radiomics_npc.survival.models.cox import CoxModel
from radiomics_npc.survival.models.forest import ForestModel
from radiomics_npc.survival.models.groups import RiskGroups
from radiomics_npc.survival.models.preparation import Preparation
from radiomics_npc.survival.selection.signature import RadScore

__all__ = ["PreparedModel"]

Floats = NDArray[np.float64]


class PreparedModel(BaseEstimator):
    """Base of :class:`radiomics_npc.survival.models.prognostic.PrognosticModel`: all but how it is made."""

    content: str
    learner: str
    clinical: Sequence[str]
    harmonize_by: str | None
    protect: Sequence[str]
    preparation_: Preparation
    rad_score_: RadScore
    groups_: RiskGroups

    # -- columns -----------------------------------------------------------------------------

    @property
    def clinical_columns(self) -> list[str]:
        """Clinical columns that the model asks for."""
        return [] if self.content == "radiomics" else list(self.clinical)

    @property
    def table_columns(self) -> list[str]:
        """Columns beside the features that a table to predict for must have."""
        harmonized = self.content != "clinical" and self.harmonize_by is not None
        more = [*self.protect, str(self.harmonize_by)] if harmonized else []
        return list(dict.fromkeys([*self.clinical_columns, *more]))

    @property
    def feature_columns(self) -> list[str]:
        """Radiomic features that a fitted model asks for."""
        if hasattr(self, "rad_score_"):
            return self.rad_score_.features_
        return [name for name in self.last_step.columns_ if "__" in name]

    @property
    def last_step(self) -> CoxModel | BoostedModel | ForestModel:
        """The fitted Cox model, boosted trees or forest."""
        check_is_fitted(self, "notes_")
        step: CoxModel | BoostedModel | ForestModel = getattr(self, f"{self.learner}_")
        return step

    # -- predict -----------------------------------------------------------------------------

    def design(self, X: pd.DataFrame) -> pd.DataFrame:
        """Columns that the last step sees: imputed clinical ones, and ``rad_score`` or features.

        Raises
        ------
        CohortError
            A column is absent, or a factor holds a level not known in training.
        """
        check_is_fitted(self, "notes_")
        check_rows(X)
        return self._with_features(self.preparation_.clinical_part(X), X)

    def learner_table(self, X: pd.DataFrame) -> pd.DataFrame:
        """As :meth:`design`, with the clinical values as they are: missing ones stay missing."""
        check_is_fitted(self, "notes_")
        absent = [name for name in self.clinical_columns if name not in X.columns]
        if absent:
            raise CohortError(f"columns are absent: {', '.join(absent)}", "Give all columns of the model.")
        return self._with_features(X, X)

    def _with_features(self, clinical: pd.DataFrame, X: pd.DataFrame) -> pd.DataFrame:
        """Clinical columns of the learner, and its features or the Rad-score made of them."""
        parts = [clinical[[name for name in self.clinical_columns if name in clinical.columns]]]
        if self.content != "clinical":
            features = self.preparation_.feature_part(X)
            parts.append(self.rad_score_.transform(features) if self.learner == "cox" else features)
        return pd.concat(parts, axis=1)

    def predict_risk(self, X: pd.DataFrame) -> Floats:
        """Log relative hazard, shape (n,); higher is worse."""
        return self.last_step.predict_risk(self.design(X))

    def predict(self, X: pd.DataFrame) -> Floats:
        """The same as :meth:`predict_risk`, for a scikit-learn Pipeline."""
        return self.predict_risk(X)

    def predict_survival(self, X: pd.DataFrame, times: Sequence[float] | ArrayLike) -> Floats:
        """Probability to be free of the event, shape (n, t); NaN past the follow-up in training."""
        return self.last_step.predict_survival(self.design(X), times)

    def predict_interval(self, X: pd.DataFrame, time: float) -> Floats:
        """95% limits of the survival probability, shape (n, 2); NaN for boosted trees, which have none."""
        return self.last_step.predict_interval(self.design(X), time)

    def predict_group(self, X: pd.DataFrame) -> pd.Categorical[str]:
        """Risk group by the cut points of training."""
        return self.groups_.predict(self.predict_risk(X))
