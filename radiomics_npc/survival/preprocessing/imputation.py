"""Missing values: filled with what was learnt in training, or patients left out with the loss said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError
from radiomics_npc.survival.design import check_rows

__all__ = ["SimpleImputation", "complete_cases"]


class SimpleImputation(TransformerMixin, BaseEstimator):
    """Median of numbers, most frequent level of factors.

    Attributes
    ----------
    values_ : dict
        By column: what a missing value becomes.
    missing_ : dict
        By column: missing values in training.
    categories_ : dict
        By factor column: its levels.
    dropped_ : dict
        By column: why it is left out (no value at all in training).

    Examples
    --------
    >>> X = pd.DataFrame({"age": [40, None, 60], "T": pd.Categorical(["T1", "T1", None])})
    >>> SimpleImputation().fit(X).transform(X)["age"].tolist()
    [40.0, 50.0, 60.0]
    """

    def fit(self, X: pd.DataFrame, y: Outcome | None = None) -> Self:
        """Learn the medians and the most frequent levels."""
        check_rows(X, y)
        self.values_: dict[str, Any] = {}
        self.missing_: dict[str, int] = {}
        self.categories_: dict[str, list[str]] = {}
        self.ordered_: dict[str, bool] = {}
        self.dropped_: dict[str, str] = {}
        for name in X.columns:
            column = X[name]
            if column.isna().all():
                self.dropped_[name] = "no value in any patient"
                continue
            if isinstance(column.dtype, pd.CategoricalDtype):
                self.categories_[name] = [str(level) for level in column.cat.categories]
                self.ordered_[name] = bool(column.cat.ordered)
                self.values_[name] = str(column.value_counts(sort=True).index[0])
            else:
                self.values_[name] = float(_as_number(column).median())
            self.missing_[name] = int(column.isna().sum())
        return self

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        """Fill missing values; unknown levels are refused, never guessed.

        Raises
        ------
        CohortError
            A column is absent, or a factor holds a level not known in training.
        """
        check_is_fitted(self, "values_")
        check_rows(X)
        absent = [name for name in self.values_ if name not in X.columns]
        if absent:
            raise CohortError(f"columns are absent: {', '.join(absent)}", "Give all columns of the model.")
        filled = {name: self._fill(X[name], value) for name, value in self.values_.items()}
        return pd.DataFrame(filled, index=X.index)

    @property
    def columns_(self) -> list[str]:
        """Columns that stay."""
        return list(self.values_)

    @property
    def factors_(self) -> list[str]:
        """Those of them that are factors."""
        return list(self.categories_)

    def _fill(self, column: pd.Series, value: Any) -> pd.Series:
        name = str(column.name)
        if name not in self.categories_:
            return _as_number(column).fillna(value)
        levels = self.categories_[name]
        text = column.astype(object).where(column.isna(), column.astype(str)).where(column.notna(), value)
        unknown = sorted(set(text) - set(levels))
        if unknown:
            raise CohortError(
                f"column {name}: the model does not know {', '.join(map(str, unknown[:5]))}",
                f"It knows {', '.join(levels)}.",
            )
        return pd.Series(pd.Categorical(text, levels, ordered=self.ordered_[name]), index=column.index)

    def to_dict(self) -> dict[str, Any]:
        """What was learnt, for a JSON file."""
        return {
            "values": self.values_,
            "missing": self.missing_,
            "categories": self.categories_,
            "ordered": self.ordered_,
            "dropped": self.dropped_,
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> SimpleImputation:
        """Inverse of :meth:`to_dict`."""
        made = cls()
        for key, value in content.items():
            setattr(made, f"{key}_", value)
        return made


def _as_number(column: pd.Series) -> pd.Series:
    try:
        return column.astype(float)
    except (TypeError, ValueError):
        raise CohortError(
            f"column {column.name} holds text where numbers are needed",
            "Make it a pandas Categorical to use it as a factor.",
        ) from None


def complete_cases(
    X: pd.DataFrame, y: Outcome, *, columns: Sequence[str] | None = None
) -> tuple[pd.DataFrame, Outcome, pd.DataFrame]:
    """Leave out patients with missing values, and say how many and because of which column.

    Parameters
    ----------
    X : DataFrame
    y : Outcome
    columns : sequence of str, optional
        Where a missing value counts; by default all columns.

    Returns
    -------
    X, y
        Of the patients without missing values.
    loss : DataFrame
        One row a column, and the last one, ``any column``: ``missing`` patients, ``events``
        among them, ``only_here`` (patients lost for this column alone), ``share`` of all
        patients.

    Raises
    ------
    CohortError
        A column is absent, or no patient is complete.

    Examples
    --------
    >>> X = pd.DataFrame({"age": [40.0, None, 60.0], "ebv": [1.0, None, None]}, index=list("abc"))
    >>> kept, _, loss = complete_cases(X, Outcome([9, 8, 7], [1, 0, 1], X.index))
    >>> list(kept.index), loss["missing"].to_dict(), loss["only_here"].to_dict()
    (['a'], {'age': 1, 'ebv': 2, 'any column': 2}, {'age': 0, 'ebv': 1, 'any column': 2})
    """
    check_rows(X, y)
    names = list(X.columns) if columns is None else list(columns)
    absent = [name for name in names if name not in X.columns]
    if absent:
        raise CohortError(f"columns are absent: {', '.join(map(str, absent[:3]))}")
    missing = X[names].isna()
    incomplete = missing.any(axis=1)
    if incomplete.all():
        raise CohortError(
            "no patient has all values", "Impute, or leave out the columns that are rarely known."
        )
    alone = missing[missing.sum(axis=1) == 1]
    table = missing.assign(**{"any column": incomplete})
    loss = pd.DataFrame(
        {
            "missing": table.sum(),
            "events": table[y.event].sum(),
            "only_here": alone.sum().reindex(table.columns, fill_value=int(incomplete.sum())),
            "share": table.mean(),
        }
    )
    loss.index.name = "column"
    if y.simulated:
        loss["simulated"] = True
    return X[~incomplete], y.take((~incomplete).to_numpy()), loss
