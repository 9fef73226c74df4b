"""A table's columns as standardized numbers, for regressions that impute, and back.

References
----------
Allison PD. Missing Data. Sage 2001 (factors as indicators, the level with the largest
predicted one taken).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from radiomics_npc.errors import CohortError
from radiomics_npc.survival.preprocessing.covariates import read_numbers, require_columns

__all__ = ["ImputationColumns"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ImputationColumns:
    """Columns of a table as standardized numbers, and back.

    Ordered factors are the ranks of their levels; other factors one indicator for each
    level but the first. A level of the column that no training patient had stays what it is,
    and says nothing of the values that are missing beside it.

    Parameters
    ----------
    levels : dict
        By column: levels that patients have, in order; None for numbers.
    ordered : dict of str to bool
    categories : dict
        By factor: all levels of the column.
    center, scale, low, high : list of float
        Mean, standard deviation and range of each number, rank or indicator.
    """

    levels: dict[str, list[str] | None]
    ordered: dict[str, bool]
    categories: dict[str, list[str]]
    center: list[float]
    scale: list[float]
    low: list[float]
    high: list[float]

    @classmethod
    def learn(cls, X: pd.DataFrame) -> ImputationColumns:
        """From the training patients; every column holds some value.

        Raises
        ------
        CohortError
            A column holds text.
        """
        factors = [c for c in X.columns if isinstance(X[c].dtype, pd.CategoricalDtype)]
        categories = {c: [str(level) for level in X[c].cat.categories] for c in factors}
        seen = {c: set(X[c].dropna().astype(str)) for c in factors}
        levels = {c: [v for v in categories[c] if v in seen[c]] if c in seen else None for c in X.columns}
        ordered = {c: bool(X[c].cat.ordered) for c in factors}
        raw = cls(levels, ordered, categories, [], [], [], [])._codes(X)
        spread = np.nanstd(raw, axis=0)
        scale = np.where(spread > 0, spread, 1.0)
        numbers = (np.nanmean(raw, axis=0), scale, np.nanmin(raw, axis=0), np.nanmax(raw, axis=0))
        return cls(levels, ordered, categories, *(values.tolist() for values in numbers))

    def encode(self, X: pd.DataFrame) -> Floats:
        """Standardized numbers, NaN where a value is missing, shape (n, q).

        Raises
        ------
        CohortError
            A column is absent, holds text, or a level that the column did not have in training.
        """
        result: Floats = (self._codes(X) - self.center) / self.scale
        return result

    def decode(self, matrix: Floats, X: pd.DataFrame) -> pd.DataFrame:
        """The table with its missing values read from the matrix; the others stay as they are."""
        raw = np.clip(matrix * self.scale + self.center, self.low, self.high)
        filled, at = {}, 0
        for name, known in self.levels.items():
            width = self._width(name)
            block, at = raw[:, at : at + width], at + width
            lost = X[name].isna().to_numpy()
            if known is None:
                numbers = read_numbers(X, [name])[:, 0]
                filled[name] = pd.Series(np.where(np.isnan(numbers), block[:, 0], numbers), index=X.index)
                continue
            text = X[name].astype(object).to_numpy(copy=True)
            text[~lost] = [str(value) for value in text[~lost]]
            text[lost] = np.array(known, dtype=object)[self._ranks(name, block[lost])]
            values = pd.Categorical(text, self.categories[name], ordered=self.ordered[name])
            filled[name] = pd.Series(values, index=X.index)
        return pd.DataFrame(filled, index=X.index)

    def _ranks(self, name: str, block: Floats) -> NDArray[np.intp]:
        """Nearest rank of an ordered factor; the level with the largest indicator of another one."""
        if self.ordered[name]:
            return np.floor(block[:, 0] + 0.5).astype(np.intp)
        # The indicators of all levels add up to 1, so that the first one's is what the others leave.
        return np.column_stack([1 - block.sum(axis=1), block]).argmax(axis=1)

    def _width(self, name: str) -> int:
        known = self.levels[name]
        return 1 if known is None or self.ordered[name] else len(known) - 1

    def _codes(self, X: pd.DataFrame) -> Floats:
        parts = []
        for name in require_columns(X, list(self.levels)):
            known = self.levels[name]
            parts.append(read_numbers(X, [name]) if known is None else self._indicators(X[name], name, known))
        return np.concatenate(parts, axis=1) if parts else np.empty((len(X), 0))

    def _indicators(self, column: pd.Series, name: str, known: list[str]) -> Floats:
        text, given = column.astype(str), column.notna().to_numpy()
        rank = pd.Index(known).get_indexer(pd.Index(text))
        unknown = sorted(set(text[given]) - set(self.categories[name]))
        if unknown:
            raise CohortError(
                f"column {name}: the model does not know {', '.join(unknown[:5])}",
                f"It knows {', '.join(self.categories[name])}.",
            )
        codes = rank[:, None].astype(float)
        if not self.ordered[name]:
            codes = (rank[:, None] == np.arange(1, len(known))).astype(float)
        codes[(rank < 0) | ~given] = np.nan
        return codes
