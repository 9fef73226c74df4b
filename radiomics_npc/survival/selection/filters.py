"""Feature selection as pipeline steps: near-constant, univariate, correlation, elastic-net Cox.

Each step learns in ``fit`` which columns stay, so that in a cross-validation
nothing is seen of the patients held out. Tables in, tables out.
"""

from __future__ import annotations

from typing import Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import chi2
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError
from radiomics_npc.survival.design import check_rows
from radiomics_npc.survival.selection.elastic_net import Penalty, fit_elastic_net
from radiomics_npc.survival.selection.screening import decorrelate, near_constant, screen_features
from radiomics_npc.survival.selection.signature import feature_matrix

__all__ = ["ColumnFilter", "CorrelationFilter", "ElasticNetFilter", "NearConstantFilter", "UnivariateFilter"]


class ColumnFilter(TransformerMixin, BaseEstimator):
    """Base of the steps that keep some columns: those that ``fit`` put into ``columns_``."""

    columns_: list[str]

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        """Keep the chosen columns.

        Raises
        ------
        CohortError
            A chosen column is absent.
        """
        check_is_fitted(self, "columns_")
        check_rows(X)
        absent = [name for name in self.columns_ if name not in X.columns]
        if absent:
            raise CohortError(f"columns are absent: {', '.join(map(str, absent[:3]))}")
        return X[self.columns_]

    def get_feature_names_out(self, input_features: object = None) -> np.ndarray:
        """Names of the kept columns."""
        return np.asarray(self.columns_, dtype=object)


class NearConstantFilter(ColumnFilter):
    """Drop columns where nearly all patients have the same value.

    Parameters
    ----------
    max_share : float
        Largest share of patients with one value.

    Examples
    --------
    >>> X = pd.DataFrame({"a": [1.0, 1.0, 1.0], "b": [1.0, 2.0, 3.0]})
    >>> NearConstantFilter().fit(X).columns_
    ['b']
    """

    def __init__(self, *, max_share: float = 0.95) -> None:
        self.max_share = max_share

    def fit(self, X: pd.DataFrame, y: Outcome | None = None) -> Self:
        """Learn which columns vary."""
        check_rows(X)
        self.columns_ = list(X.columns[~near_constant(feature_matrix(X), max_share=self.max_share)])
        return self


class CorrelationFilter(ColumnFilter):
    """Of columns that correlate strongly, keep the most stable, or the one least like all the others.

    Parameters
    ----------
    max_correlation : float
        Largest absolute Pearson correlation between two kept columns.
    stability : Series, optional
        By column, such as the intraclass correlation under perturbed masks: the most
        stable go first. Columns without a value go last. By default those with the
        smaller mean absolute correlation to all others go first.

    Attributes
    ----------
    clusters_ : DataFrame
        One row a column that varies: ``kept``, the kept column that stands for it (itself
        where it is kept; else the kept one it correlates with most), and ``correlation``.

    Examples
    --------
    >>> X = pd.DataFrame({"a": [1.0, 2.0, 3.0, 5.0], "b": [2.0, 4.0, 6.0, 10.0], "c": [1.0, 0.0, 1.0, 0.0]})
    >>> CorrelationFilter().fit(X).columns_
    ['a', 'c']
    >>> CorrelationFilter(stability=pd.Series({"a": 0.7, "b": 0.9, "c": 0.8})).fit(X).columns_
    ['b', 'c']
    """

    def __init__(self, *, max_correlation: float = 0.9, stability: pd.Series | None = None) -> None:
        self.max_correlation = max_correlation
        self.stability = stability

    def fit(self, X: pd.DataFrame, y: Outcome | None = None) -> Self:
        """Learn which columns are not redundant. Missing values count as the median.

        Raises
        ------
        CohortError
            No column varies, or the stability names a column twice.
        """
        check_rows(X)
        matrix = feature_matrix(X)
        varied = np.flatnonzero(~near_constant(matrix, max_share=1.0 - 1e-12))
        if len(varied) == 0:
            raise CohortError("no feature varies between the patients", "Check the extraction.")
        values = matrix[:, varied]
        values = np.where(np.isnan(values), np.nanmedian(values, axis=0), values)
        scaled = (values - values.mean(axis=0)) / values.std(axis=0)
        kept = np.sort(decorrelate(scaled, self.max_correlation, self._order(X.columns[varied])))
        correlation = scaled.T @ scaled[:, kept] / len(X)
        nearest = np.abs(correlation).argmax(axis=1)
        nearest[kept] = np.arange(len(kept))
        names = X.columns[varied]
        self.columns_ = list(names[kept])
        self.clusters_ = pd.DataFrame(
            {"kept": names[kept][nearest], "correlation": correlation[np.arange(len(names)), nearest]},
            index=names,
        )
        return self

    def _order(self, columns: pd.Index[str]) -> NDArray[np.intp] | None:
        """Most stable first; None for the usual order."""
        if self.stability is None:
            return None
        if self.stability.index.has_duplicates:
            raise CohortError("the stability names a column twice", "Give one value a column.")
        values = self.stability.reindex(columns).to_numpy(dtype=float, na_value=np.nan)
        order: NDArray[np.intp] = np.argsort(-np.where(np.isnan(values), -np.inf, values), kind="stable")
        return order


class UnivariateFilter(ColumnFilter):
    """Keep the columns with the largest univariate Cox score test.

    Parameters
    ----------
    max_features : int
        How many stay at most.
    false_discovery_rate : float, optional
        Keep only columns whose q value (Benjamini and Hochberg, over all columns
        that vary) is not larger; by default none is dropped for it.

    Attributes
    ----------
    tests_ : DataFrame
        chi_square (one degree of freedom), p and q of the kept columns, most associated first.

    References
    ----------
    Benjamini Y, Hochberg Y. J R Stat Soc B 1995;57:289-300.

    Examples
    --------
    >>> X = pd.DataFrame({"a": [1.0, 5.0, 2.0, 3.0], "b": [4.0, 3.0, 2.0, 1.0]})
    >>> UnivariateFilter(max_features=1).fit(X, Outcome([1, 2, 3, 4], [1, 1, 1, 1])).columns_
    ['b']
    """

    def __init__(self, *, max_features: int = 200, false_discovery_rate: float | None = None) -> None:
        self.max_features = max_features
        self.false_discovery_rate = false_discovery_rate

    def fit(self, X: pd.DataFrame, y: Outcome) -> Self:
        """Learn the association of every column with the outcome. Missing values count as the median.

        Raises
        ------
        CohortError
            No column varies, or none passes the false-discovery rate.
        """
        from statsmodels.stats.multitest import multipletests

        check_rows(X, y)
        screen = screen_features(feature_matrix(X), y)
        if len(screen.columns) == 0:
            raise CohortError("no feature varies between the patients", "Check the extraction.")
        p = chi2.sf(screen.chi_square, 1)
        table = pd.DataFrame(
            {"chi_square": screen.chi_square, "p": p, "q": multipletests(p, method="fdr_bh")[1]},
            index=X.columns[screen.columns],
        )
        if self.false_discovery_rate is not None:
            table = table[table["q"] <= self.false_discovery_rate]
        if table.empty:
            raise CohortError("no column passes the false-discovery rate", "Allow a larger one, or none.")
        self.tests_ = table.head(self.max_features)
        self.columns_ = list(self.tests_.index)
        return self


class ElasticNetFilter(ColumnFilter):
    """Keep the columns that an elastic-net Cox model, tuned by inner cross-validation, gives weight.

    Parameters
    ----------
    l1_ratio, rule, inner_folds
        As in :class:`radiomics_npc.survival.selection.elastic_net.Penalty`.
    random_state : int

    Attributes
    ----------
    coef_ : Series
        For one standard deviation, heaviest first.
    alpha_ : float
    tuning_ : DataFrame
        Cross-validated deviance along the path.

    Examples
    --------
    >>> random = np.random.default_rng(0)
    >>> X = pd.DataFrame(random.normal(size=(60, 3)), columns=list("abc"))
    >>> y = Outcome(random.exponential(np.exp(-2 * X["b"])), np.ones(60))
    >>> ElasticNetFilter().fit(X, y).columns_[0]
    'b'
    """

    def __init__(
        self,
        *,
        l1_ratio: float = 0.5,
        rule: Literal["min", "1se"] = "min",
        inner_folds: int = 5,
        random_state: int = 0,
    ) -> None:
        self.l1_ratio = l1_ratio
        self.rule = rule
        self.inner_folds = inner_folds
        self.random_state = random_state

    def fit(self, X: pd.DataFrame, y: Outcome) -> Self:
        """Tune and fit. No column stays when the tuning prefers none."""
        check_rows(X, y)
        net = fit_elastic_net(
            feature_matrix(X), y, max_features=None, max_correlation=1.0, random_state=self.random_state,
            penalty=Penalty(l1_ratio=self.l1_ratio, rule=self.rule, folds=self.inner_folds),
        )  # fmt: skip
        weight = pd.Series(net.coefficients, index=X.columns[net.screen.columns], name="coef")
        self.coef_ = weight[weight != 0].sort_values(key=np.abs, ascending=False, kind="stable")
        self.columns_, self.alpha_ = list(self.coef_.index), net.alpha
        self.tuning_ = pd.DataFrame({"alpha": net.alphas, "deviance": net.deviance, "se": net.se})
        return self
