"""Keep features that survive another contour: those with a high intraclass correlation.

References
----------
Zwanenburg A et al. Assessing robustness of radiomic features by image perturbation.
Sci Rep 2019;9:614. Koo TK, Li MY. J Chiropr Med 2016;15:155-163 (0.75 and 0.9).
"""

from __future__ import annotations

from typing import Literal, Self

import numpy as np
import pandas as pd

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError, ConfigError
from radiomics_npc.features.stability import stability_table
from radiomics_npc.survival.design import check_rows
from radiomics_npc.survival.selection.filters import ColumnFilter

__all__ = ["StableFeatures"]

_INDEX = ["patient_id", "perturbation"]


class StableFeatures(ColumnFilter):
    """Keep the features whose intraclass correlation over repeated masks is high enough.

    Parameters
    ----------
    stability : Series or DataFrame
        Either the intraclass correlation of each feature: a Series by feature, or a table
        with columns ``feature``, ``icc`` and ``lower`` from patients of another study. Or
        repeated values, a DataFrame indexed by (patient_id, perturbation) with one column a
        feature: the correlation is then learnt in ``fit``, from those of its patients alone
        that are among the training patients.
    minimum : float
        Smallest intraclass correlation to stay.
    judge : {"icc", "lower"}
        The estimate, or its lower 95% limit.
    form : str
        As in :func:`radiomics_npc.features.stability.intraclass_correlation`, for repeated values.

    Attributes
    ----------
    stability_ : Series
        What each column was judged by; NaN where there is none, and the column is dropped.
        Fits ``stability`` of :class:`radiomics_npc.survival.selection.filters.CorrelationFilter`.
    n_patients_ : int or None
        Training patients with repeated values.

    Examples
    --------
    >>> X = pd.DataFrame({"volume": [1.0, 2.0], "contrast": [3.0, 1.0]})
    >>> StableFeatures(pd.Series({"volume": 0.97, "contrast": 0.41})).fit(X).columns_
    ['volume']
    """

    def __init__(
        self,
        stability: pd.Series | pd.DataFrame,
        *,
        minimum: float = 0.75,
        judge: Literal["icc", "lower"] = "icc",
        form: str = "1,1",
    ) -> None:
        self.stability = stability
        self.minimum = minimum
        self.judge = judge
        self.form = form

    def fit(self, X: pd.DataFrame, y: Outcome | None = None) -> Self:
        """Learn which features are stable.

        Raises
        ------
        CohortError
            A column was not measured repeatedly, fewer than 2 training patients were, or no
            feature is stable enough.
        ConfigError
            ``stability`` is neither of these tables.
        """
        check_rows(X, y)
        self.n_patients_: int | None = None
        values = self._given() if not self._repeated() else self._learnt(X, y)
        absent = [name for name in X.columns if name not in values.index]
        if absent:
            raise CohortError(
                f"the stability of {len(absent)} columns is not known: {', '.join(map(str, absent[:3]))}",
                "Measure it with the settings of the extraction, or drop these columns before.",
            )
        self.stability_ = values.reindex(X.columns).astype(float)
        self.columns_ = list(X.columns[self.stability_.to_numpy() >= self.minimum])
        if not self.columns_:
            raise CohortError(
                f"no feature has an intraclass correlation of {self.minimum:g}",
                "Take a smaller minimum, or check the repeated masks.",
            )
        return self

    def _repeated(self) -> bool:
        return isinstance(self.stability, pd.DataFrame) and list(self.stability.index.names) == _INDEX

    def _given(self) -> pd.Series:
        """Correlations by feature, as given."""
        table = self.stability
        if isinstance(table, pd.DataFrame):
            if not {"feature", self.judge} <= set(table.columns):
                raise ConfigError(
                    "the stability table has no columns feature and " + self.judge,
                    f"Give these, or repeated values indexed by ({', '.join(_INDEX)}).",
                )
            table = table.set_index("feature")[self.judge]
        if not isinstance(table, pd.Series) or table.index.has_duplicates:
            raise ConfigError("stability needs one value for each feature", "Give a Series by feature.")
        return table

    def _learnt(self, X: pd.DataFrame, y: Outcome | None) -> pd.Series:
        """Correlations of the training patients among those with repeated values."""
        repeats = self.stability
        assert isinstance(repeats, pd.DataFrame)
        patient = repeats.index.get_level_values("patient_id").astype(str)
        # In a bootstrap sample rows have names of their own, and y says whose copies they are.
        who = X.index.astype(str) if y is None or y.source is None else y.source
        training = repeats.loc[patient.isin(who), repeats.columns.isin(X.columns)]
        self.n_patients_ = int(training.index.get_level_values("patient_id").nunique())
        if self.n_patients_ < 2:
            raise CohortError(
                f"{self.n_patients_} training patients have repeated values",
                "Repeat the masks of more patients, or give a table of intraclass correlations.",
            )
        table = stability_table(training.astype(float).replace([np.inf, -np.inf], np.nan), self.form)
        result: pd.Series = table.set_index("feature")[self.judge]
        return result
