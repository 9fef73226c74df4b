"""Columns of a table as numbers for trees: factors coded, missing values kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError, ConfigError
from radiomics_npc.survival.design import STAGE_FACTORS
from radiomics_npc.survival.selection.screening import screen_features

__all__ = ["TreeColumns", "screened_columns"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class TreeColumns:
    """How the columns of a table become numbers, learnt in training.

    T, N, M, stage and ordered factors become 0, 1, 2 ...; another factor becomes one
    column of 0 and 1 for each level but the first, named ``scanner=b``. Numbers stay.

    Parameters
    ----------
    categories : dict of str to list of str
        By factor: its levels.
    ordinal : list of str
        Factors that enter as codes.
    numbers : list of str

    Examples
    --------
    >>> X = pd.DataFrame({"N": pd.Categorical(["N0", "N2"], ["N0", "N1", "N2"]), "age": [60, None]})
    >>> TreeColumns.learn(X).encode(X).to_numpy().tolist()
    [[0.0, 60.0], [2.0, nan]]
    """

    categories: dict[str, list[str]]
    ordinal: list[str]
    numbers: list[str]

    @classmethod
    def learn(cls, X: pd.DataFrame) -> TreeColumns:
        """Levels of the factors, in an order of columns that does not depend on the table's."""
        names = sorted(X.columns, key=str)
        factors = [name for name in names if isinstance(X[name].dtype, pd.CategoricalDtype)]
        categories = {str(f): [str(level) for level in X[f].cat.categories] for f in factors}
        ordinal = [f for f in categories if X[f].cat.ordered or f in STAGE_FACTORS]
        return cls(categories, ordinal, [str(name) for name in names if str(name) not in categories])

    def encode(self, X: pd.DataFrame, only: Sequence[str] | None = None) -> pd.DataFrame:
        """Numbers for the trees; a missing or infinite value is NaN.

        Parameters
        ----------
        X : DataFrame
        only : sequence of str, optional
            Columns of ``X`` to take; all of training by default.

        Raises
        ------
        CohortError
            A column is absent or holds text, or a factor holds a level not known in training.
        """
        wanted = [name for name in (*self.categories, *self.numbers) if only is None or name in set(only)]
        absent = [name for name in wanted if name not in X.columns]
        if absent:
            raise CohortError(
                f"columns are absent: {', '.join(absent[:5])}", "Give all columns of the model."
            )
        made: dict[str, Floats] = {}
        for name in [name for name in wanted if name in self.categories]:
            codes = _codes(X[name], self.categories[name])
            if name in self.ordinal:
                made[name] = codes
                continue
            for k, level in enumerate(self.categories[name][1:], start=1):
                made[f"{name}={level}"] = np.where(np.isnan(codes), np.nan, codes == k)
        try:
            values = X[[name for name in wanted if name not in self.categories]].astype(float)
        except (TypeError, ValueError):
            raise CohortError("a numeric column holds text", "Make it a pandas Categorical.") from None
        return pd.concat(
            [pd.DataFrame(made, index=X.index), values.replace([np.inf, -np.inf], np.nan)], axis=1
        )

    def numbered(self, X: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
        """One number a value: that of a number, or the position of a factor's level; NaN where missing."""
        made = {
            name: _codes(X[name], self.categories[name])
            if name in self.categories
            else X[name].to_numpy(dtype=float, na_value=np.nan)
            for name in names
        }
        return pd.DataFrame(made, index=X.index)

    def source(self, column: str) -> str:
        """Column of the patients' table behind a column of the trees: ``scanner`` of ``scanner=b``."""
        if column in self.numbers or column in self.ordinal:
            return column
        made = (f for f, levels in self.categories.items() if column in {f"{f}={level}" for level in levels})
        return next(made)

    def sources(self, columns: Sequence[str]) -> list[str]:
        """The same for many columns, each once."""
        return list(dict.fromkeys(self.source(name) for name in columns))

    def ranges(self, X: pd.DataFrame, names: Sequence[str]) -> dict[str, list[Any]]:
        """By column: (min, max) of numbers, or the levels of a factor that patients have."""
        return {name: self._range(X[name], name) for name in names}

    def _range(self, values: pd.Series, name: str) -> list[Any]:
        if name in self.categories:
            present = set(values.dropna().astype(str))
            return [level for level in self.categories[name] if level in present]
        number = values.astype(float).replace([np.inf, -np.inf], np.nan)  # as the trees see it
        return [float(number.min()), float(number.max())]

    def check_monotone(self, monotone: Mapping[str, int] | None) -> dict[str, int]:
        """Constraints by column, once they make sense.

        Raises
        ------
        ConfigError
            A column is absent or a factor without order, or a sign is not -1, 0 or 1.
        """
        constraints = dict(monotone or {})
        for name, sign in constraints.items():
            if name not in self.categories and name not in self.numbers:
                raise ConfigError(f"monotone: there is no column {name}", "Name a column of the table.")
            if name in self.categories and name not in self.ordinal:
                raise ConfigError(
                    f"monotone: the factor {name} has no order", "Make it an ordered pandas Categorical."
                )
            if isinstance(sign, bool) or sign not in (-1, 0, 1):
                raise ConfigError(
                    f"monotone: {name} is {sign!r}", "Take 1 (risk rises), -1 (risk falls) or 0 (free)."
                )
        return constraints

    def to_dict(self) -> dict[str, Any]:
        """Content for a JSON file."""
        return asdict(self)


def screened_columns(
    table: pd.DataFrame, y: Outcome, *, max_features: int | None, max_correlation: float
) -> list[str]:
    """Columns the trees are given: clinical ones that hold values, and features that pass the screen.

    Parameters
    ----------
    table : DataFrame
        Numbers; a feature has ``__`` in its name.
    y : Outcome
    max_features : int, optional
        How many features pass the univariate score test; None takes all.
    max_correlation : float
        Of two features that correlate more, the less associated is dropped.

    Returns
    -------
    list of str

    Raises
    ------
    CohortError
        No column is left.
    """
    plain = [name for name in table.columns if "__" not in name and table[name].notna().any()]
    features = [name for name in table.columns if "__" in name]
    if features and (max_features is not None or max_correlation < 1.0):
        screen = screen_features(
            table[features].to_numpy(), y, max_features=max_features, max_correlation=max_correlation
        )
        features = [features[k] for k in screen.columns]
    if not plain and not features:
        raise CohortError("no column is left to grow trees on", "Name columns that hold values.")
    return plain + features


def _codes(values: pd.Series, levels: Sequence[str]) -> Floats:
    """Position of each value among the levels, NaN where missing."""
    position = {level: float(k) for k, level in enumerate(levels)}
    known = values.notna()
    codes = values.astype(object).astype(str).map(position)
    if (codes.isna() & known).any():
        unknown = sorted(set(values[codes.isna() & known].astype(str)))
        raise CohortError(
            f"column {values.name}: the model does not know {', '.join(unknown[:5])}",
            f"It knows {', '.join(levels)}.",
        )
    result: Floats = np.asarray(codes.where(known), dtype=float)
    return result
