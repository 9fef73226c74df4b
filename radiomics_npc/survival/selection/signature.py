"""Rad-score: thousands of radiomic features as one column.

Everything is learnt in ``fit``: medians for missing values, scaling, the
near-constant, univariate and correlation screens, and an elastic-net Cox model.
The column that a second-stage model is fitted on comes from inner folds, because
the score of a patient who helped to make it is too good.

References
----------
Huang Y et al. Radiology 2016;281:947-957 (radiomics signature). Tibshirani RJ,
Efron B. Pre-validation and inference in microarrays. Stat Appl Genet Mol Biol 2002;1:1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError
from radiomics_npc.survival.design import check_rows
from radiomics_npc.survival.folds import stratified_folds
from radiomics_npc.survival.selection.elastic_net import Penalty, fit_elastic_net

__all__ = ["RAD_SCORE", "RadScore", "feature_matrix"]

Floats = NDArray[np.float64]
RAD_SCORE = "rad_score"


class RadScore(TransformerMixin, BaseEstimator):
    """A radiomic signature as one column, ``rad_score``: a sum of weighted features.

    Parameters
    ----------
    max_features : int
        How many features enter the elastic net: those with the strongest univariate
        association, each not too correlated with a stronger one.
    max_correlation : float
        Of two features that correlate more, the less associated is dropped.
    l1_ratio, rule : float, {"min", "1se"}
        As in :class:`radiomics_npc.survival.selection.elastic_net.Penalty`.
    inner_folds : int
        For the penalty, and for the scores that ``fit_transform`` gives.
    random_state : int

    Attributes
    ----------
    formula_ : DataFrame
        One row a feature of the signature: feature, coefficient (for one unit), fill,
        mean, sd, weight (coefficient for one standard deviation). The score has mean 0
        and standard deviation 1 in the patients it was made from.
    intercept_ : float
        ``score = intercept + sum(coefficient * value)``.
    fallback_ : bool
        True when the elastic net chose no feature and the single strongest one is taken.
    alpha_ : float
    tuning_ : DataFrame
        Cross-validated deviance along the path: alpha, deviance, se.

    Notes
    -----
    ``fit_transform(X, y)`` differs from ``fit(X, y).transform(X)`` on purpose: it
    gives each patient the score of a signature made without that patient.

    Examples
    --------
    >>> random = np.random.default_rng(0)
    >>> values = random.normal(size=(60, 4))
    >>> X = pd.DataFrame(values, columns=[f"t1__original__glcm__F{k}" for k in range(4)])
    >>> y = Outcome(random.exponential(np.exp(-2 * values[:, 0])), np.ones(60))
    >>> RadScore().fit(X, y).formula_["feature"].iloc[0]
    't1__original__glcm__F0'
    """

    def __init__(
        self,
        *,
        max_features: int = 50,
        max_correlation: float = 0.9,
        l1_ratio: float = 0.1,
        rule: Literal["min", "1se"] = "min",
        inner_folds: int = 5,
        random_state: int = 0,
    ) -> None:
        self.max_features = max_features
        self.max_correlation = max_correlation
        self.l1_ratio = l1_ratio
        self.rule = rule
        self.inner_folds = inner_folds
        self.random_state = random_state

    def fit(self, X: pd.DataFrame, y: Outcome) -> Self:
        """Make the signature from all patients given.

        Raises
        ------
        CohortError
            No feature varies, a column holds text, or fewer than 2 events.
        """
        check_rows(X, y)
        return self._fit(feature_matrix(X), y, list(X.columns), np.random.SeedSequence(self.random_state))

    def _fit(self, matrix: Floats, y: Outcome, names: list[str], seed: np.random.SeedSequence) -> Self:
        penalty = Penalty(l1_ratio=self.l1_ratio, rule=self.rule, folds=self.inner_folds)
        net = fit_elastic_net(
            matrix, y, penalty=penalty, max_features=self.max_features,
            max_correlation=self.max_correlation, random_state=seed,
        )  # fmt: skip
        weight = net.coefficients
        self.fallback_ = not weight.any()
        if self.fallback_:
            weight = np.zeros_like(weight)
            weight[0] = net.screen.coefficient[0]
        screen = net.screen
        # In units of its own spread in training: signatures of two folds, penalized more and less, agree.
        weight = weight / (screen.apply(matrix) @ weight).std()
        used = np.flatnonzero(weight)
        used = used[np.argsort(-np.abs(weight[used]), kind="stable")]
        self.formula_ = pd.DataFrame({
            "feature": [names[k] for k in screen.columns[used]],
            "coefficient": weight[used] / screen.sd[used],
            "fill": screen.fill[used],
            "mean": screen.mean[used],
            "sd": screen.sd[used],
            "weight": weight[used],
        })  # fmt: skip
        self.alpha_ = net.alpha
        self.tuning_ = pd.DataFrame({"alpha": net.alphas, "deviance": net.deviance, "se": net.se})
        self.n_features_ = len(names)
        return self

    @property
    def intercept_(self) -> float:
        """Score where every feature is 0."""
        return float(-(self.formula_["coefficient"] * self.formula_["mean"]).sum())

    @property
    def features_(self) -> list[str]:
        """Features of the signature, the heaviest first."""
        return list(self.formula_["feature"])

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        """Score of new patients, one column ``rad_score``.

        Raises
        ------
        CohortError
            A feature of the signature is absent.
        """
        check_is_fitted(self, "formula_")
        check_rows(X)
        absent = [name for name in self.features_ if name not in X.columns]
        if absent:
            raise CohortError(
                f"features of the signature are absent: {', '.join(absent[:3])}",
                "Extract with the settings of the model.",
            )
        score = self._score(feature_matrix(X[self.features_]))
        return pd.DataFrame({RAD_SCORE: score}, index=X.index)

    def _score(self, values: Floats) -> Floats:
        table = self.formula_
        filled = np.where(np.isfinite(values), values, table["fill"].to_numpy())
        scaled = (filled - table["mean"].to_numpy()) / table["sd"].to_numpy()
        result: Floats = scaled @ table["weight"].to_numpy()
        return result

    def fit_transform(self, X: pd.DataFrame, y: Outcome, **options: Any) -> pd.DataFrame:
        """Fit, and give each patient the score of a signature made without that patient."""
        check_rows(X, y)
        matrix, names = feature_matrix(X), list(X.columns)
        seed, *inner = np.random.SeedSequence(self.random_state).spawn(self.inner_folds + 1)
        fold = stratified_folds(y, self.inner_folds, seed, strict=False)
        score = np.empty(len(y))
        for k in range(fold.max() + 1):
            made = RadScore(**self.get_params())
            made._fit(matrix[fold != k], y.take(fold != k), names, inner[k])
            columns = [names.index(name) for name in made.features_]
            score[fold == k] = made._score(matrix[fold == k][:, columns])
        self.fit(X, y)
        return pd.DataFrame({RAD_SCORE: score}, index=X.index)

    def to_frame(self) -> pd.DataFrame:
        """The formula."""
        check_is_fitted(self, "formula_")
        return self.formula_

    def _repr_html_(self) -> str:
        return self.to_frame().to_html(index=False, float_format="{:.4g}".format)

    def to_dict(self) -> dict[str, Any]:
        """What was learnt, for a JSON file."""
        return {
            "parameters": self.get_params(),
            "formula": self.formula_.to_dict("list"),
            "fallback": self.fallback_,
            "alpha": self.alpha_,
            "tuning": self.tuning_.to_dict("list"),
            "n_features": self.n_features_,
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> RadScore:
        """Inverse of :meth:`to_dict`."""
        made = cls(**content["parameters"])
        made.formula_ = pd.DataFrame(content["formula"])
        made.tuning_ = pd.DataFrame(content["tuning"])
        made.fallback_, made.alpha_ = content["fallback"], content["alpha"]
        made.n_features_ = content["n_features"]
        return made


def feature_matrix(X: pd.DataFrame) -> Floats:
    """Numbers of a feature table, infinite ones as NaN.

    Raises
    ------
    CohortError
        A column holds text.
    """
    try:
        matrix = X.to_numpy(dtype=float, na_value=np.nan)
    except (TypeError, ValueError):
        text = [str(c) for c in X.columns if not pd.api.types.is_numeric_dtype(X[c])]
        raise CohortError(f"features hold text: {', '.join(text[:3])}", "Check the feature table.") from None
    result: Floats = np.where(np.isfinite(matrix), matrix, np.nan)
    return result
