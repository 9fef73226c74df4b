"""Gradient-boosted trees for survival (xgboost), with a baseline of their own.

The number of trees is chosen in inner folds, and the same folds tell how far the
risks must be shrunk before they become probabilities.

References
----------
Chen T, Guestrin C. XGBoost. KDD 2016. Ridgeway G. The state of boosting.
Comput Sci Stat 1999;31:172-181 (boosting the Cox partial likelihood).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError
from radiomics_npc.survival.design import STAGE_FACTORS, check_rows
from radiomics_npc.survival.estimation.baseline import baseline_hazard, survival_at
from radiomics_npc.survival.folds import stratified_folds
from radiomics_npc.survival.selection.screening import screen_features

__all__ = ["BoostedModel"]

Floats = NDArray[np.float64]


class BoostedModel(BaseEstimator):
    """Boosted trees with the Cox partial likelihood (``survival:cox``).

    Parameters
    ----------
    max_depth, learning_rate, subsample, colsample, min_child_weight, max_bin
        As in xgboost; the defaults are careful ones for a few hundred patients.
    max_rounds : int
        Largest number of trees; the best number is chosen in the inner folds.
    max_features : int, optional
        Feature columns (with ``__`` in their name) that pass the univariate score
        test, learnt again in every inner fold. None takes all.
    max_correlation : float
        Of two feature columns that correlate more, the less associated is dropped.
    inner_folds : int
    random_state : int

    Attributes
    ----------
    columns_ : list of str
        Columns the trees were given.
    rounds_ : int
        Trees.
    slope_ : float
        What log risks are multiplied with before they become probabilities: the Cox
        slope of the inner out-of-fold risks, not below 0 and not above 1.
    baseline_ : DataFrame
        time_months, cumulative_hazard at risk 0, from the inner out-of-fold risks.
    training_risk_ : array of float, shape (n,)
        Inner out-of-fold risks of the training patients.
    ranges_ : dict
        By column: (min, max) of numbers, or the levels of a factor in training.

    Notes
    -----
    Missing numbers need no imputation: a tree sends them the better way. T, N, M,
    stage and ordered factors enter as 0, 1, 2 ...; other factors as one column a level.

    Examples
    --------
    >>> random = np.random.default_rng(0)
    >>> X = pd.DataFrame({"age": random.normal(60, 10, 80)})
    >>> y = Outcome(random.exponential(np.exp(6 - X["age"] / 10)), np.ones(80))
    >>> model = BoostedModel(max_rounds=40).fit(X, y)
    >>> old, young = model.predict_risk(pd.DataFrame({"age": [80.0, 40.0]}))
    >>> bool(old > young)
    True
    """

    def __init__(
        self,
        *,
        max_depth: int = 2,
        learning_rate: float = 0.05,
        subsample: float = 0.7,
        colsample: float = 0.5,
        min_child_weight: float = 2.0,
        max_bin: int = 32,
        max_rounds: int = 200,
        max_features: int | None = None,
        max_correlation: float = 1.0,
        inner_folds: int = 5,
        random_state: int = 0,
    ) -> None:
        self.max_depth = max_depth
        self.learning_rate = learning_rate
        self.subsample = subsample
        self.colsample = colsample
        self.min_child_weight = min_child_weight
        self.max_bin = max_bin
        self.max_rounds = max_rounds
        self.max_features = max_features
        self.max_correlation = max_correlation
        self.inner_folds = inner_folds
        self.random_state = random_state

    def fit(self, X: pd.DataFrame, y: Outcome) -> Self:
        """Choose the number of trees in inner folds and grow them on all patients.

        Raises
        ------
        CohortError
            Fewer than 2 events, text columns, or other patients in X than in y.
        """
        check_rows(X, y)
        self._learn_categories(X)
        table = self._encode(X)
        fold = stratified_folds(y, self.inner_folds, self.random_state, strict=False)
        self.rounds_, held_out = self._tune(table, y, fold)
        self.columns_ = self._columns(table, y)
        self._booster = self._grow(table[self.columns_], y, self.rounds_)
        self.ranges_ = {name: self._range(X[name]) for name in self._sources()}
        self._calibrate(y, held_out)
        self.follow_up_months_ = float(y.time_months.max())
        self.n_, self.events_ = len(y), int(y.event.sum())
        self.outcome_name_, self.simulated_ = y.name, y.simulated
        return self

    def _tune(self, table: pd.DataFrame, y: Outcome, fold: NDArray[np.intp]) -> tuple[int, Floats]:
        """Number of trees with the least held-out deviance, and the held-out risks there."""
        losses, weights, grown = [], [], []
        for k in range(fold.max() + 1):
            inside, held = y.take(fold != k), y.take(fold == k)
            columns = self._columns(table[fold != k], inside)
            loss: dict[str, dict[str, list[float]]] = {}
            booster = self._grow(
                table.loc[fold != k, columns], inside, self.max_rounds,
                watch=_matrix(table.loc[fold == k, columns], held), record=loss,
            )  # fmt: skip
            losses.append(loss["held_out"]["cox-nloglik"])
            weights.append(held.event.sum())
            grown.append((booster, columns))
        mean = np.average(np.array(losses), axis=0, weights=weights)
        rounds = int(np.argmin(mean)) + 1
        risk = np.empty(len(y))
        for k, (booster, columns) in enumerate(grown):
            risk[fold == k] = _margin(booster, table.loc[fold == k, columns], rounds)
        return rounds, risk

    def _grow(
        self, table: pd.DataFrame, y: Outcome, rounds: int, *, watch: Any = None, record: Any = None
    ) -> Any:
        import xgboost

        if table.shape[1] == 0:
            raise CohortError("no column is left to grow trees on", "Name columns that hold values.")
        settings = {
            "objective": "survival:cox", "eval_metric": "cox-nloglik", "tree_method": "hist",
            "max_depth": self.max_depth, "eta": self.learning_rate, "subsample": self.subsample,
            "colsample_bytree": self.colsample, "min_child_weight": self.min_child_weight,
            "max_bin": self.max_bin, "nthread": 1, "seed": int(self.random_state) % 2**31, "verbosity": 0,
        }  # fmt: skip
        evals = [] if watch is None else [(watch, "held_out")]
        return xgboost.train(
            settings, _matrix(table, y), rounds, evals=evals, evals_result=record, verbose_eval=False
        )

    def _calibrate(self, y: Outcome, held_out: Floats) -> None:
        """Slope and baseline from risks that their patients had no part in."""
        from radiomics_npc.survival.models.cox import CoxModel

        table = pd.DataFrame({"risk": held_out}, index=y.patient_id)
        cox = CoxModel(fallback_penalizer=0.01).fit(table, y)
        self.slope_ = float(np.clip(cox.coef_.get("risk", 0.0), 0.0, 1.0))
        self.baseline_ = baseline_hazard(y, self.slope_ * held_out)
        self.training_risk_ = held_out

    # -- columns -----------------------------------------------------------------------------

    def _learn_categories(self, X: pd.DataFrame) -> None:
        factors = [name for name in X.columns if isinstance(X[name].dtype, pd.CategoricalDtype)]
        self.categories_ = {str(f): [str(level) for level in X[f].cat.categories] for f in factors}
        self.ordinal_ = [f for f in self.categories_ if X[f].cat.ordered or f in STAGE_FACTORS]
        self.numbers_ = [str(name) for name in X.columns if name not in self.categories_]

    def _encode(self, X: pd.DataFrame, only: set[str] | None = None) -> pd.DataFrame:
        """Numbers for the trees: ordered factors as codes, others one column a level, NaN kept."""
        wanted = [name for name in [*self.categories_, *self.numbers_] if only is None or name in only]
        absent = [name for name in wanted if name not in X.columns]
        if absent:
            raise CohortError(
                f"columns are absent: {', '.join(absent[:5])}", "Give all columns of the model."
            )
        made: dict[str, Floats] = {}
        for name in wanted:
            if name not in self.categories_:
                continue
            codes = _codes(X[name], self.categories_[name])
            if name in self.ordinal_:
                made[name] = codes
                continue
            for k, level in enumerate(self.categories_[name][1:], start=1):
                made[f"{name}={level}"] = np.where(np.isnan(codes), np.nan, codes == k)
        numbers = [name for name in self.numbers_ if only is None or name in only]
        try:
            values = X[numbers].astype(float)
        except (TypeError, ValueError):
            raise CohortError("a numeric column holds text", "Make it a pandas Categorical.") from None
        return pd.concat([pd.DataFrame(made, index=X.index), values], axis=1)

    def _columns(self, table: pd.DataFrame, y: Outcome) -> list[str]:
        """Columns the trees are given: all clinical ones, and the features that pass the screen."""
        plain = [name for name in table.columns if "__" not in name]
        features = [name for name in table.columns if "__" in name]
        if not features or (self.max_features is None and self.max_correlation >= 1.0):
            return plain + features
        screen = screen_features(
            np.where(np.isinf(table[features]), np.nan, table[features]), y,
            max_features=self.max_features, max_correlation=self.max_correlation,
        )  # fmt: skip
        return plain + [features[k] for k in screen.columns]

    def _sources(self) -> list[str]:
        """Columns of the patients' table behind the columns of the trees."""
        return list(dict.fromkeys(name.split("=")[0] for name in self.columns_))

    def _range(self, values: pd.Series) -> list[Any]:
        name = str(values.name)
        if name in self.categories_:
            present = set(values.dropna().astype(str))
            return [level for level in self.categories_[name] if level in present]
        number = values.astype(float).replace([np.inf, -np.inf], np.nan)  # as the trees see it
        return [float(number.min()), float(number.max())]

    # -- predictions -------------------------------------------------------------------------

    def predict_risk(self, X: pd.DataFrame) -> Floats:
        """Log relative hazard, shape (n,); higher is worse.

        Raises
        ------
        CohortError
            A column is absent, or a factor holds a level not known in training.
        """
        check_is_fitted(self, "rounds_")
        check_rows(X)
        table = self._encode(X, set(self._sources()))
        return _margin(self._booster, table[self.columns_], self.rounds_)

    def predict(self, X: pd.DataFrame) -> Floats:
        """The same as :meth:`predict_risk`, for a scikit-learn Pipeline."""
        return self.predict_risk(X)

    def predict_survival(self, X: pd.DataFrame, times: Sequence[float] | ArrayLike) -> Floats:
        """Probability to be free of the event, shape (n, t); NaN past the follow-up in training."""
        risk = self.slope_ * self.predict_risk(X)
        return survival_at(self.baseline_, risk, times, last=self.follow_up_months_)

    def predict_interval(self, X: pd.DataFrame, time: float) -> Floats:
        """Limits of the survival probability, shape (n, 2): NaN, for boosted trees have none."""
        return np.full((len(X), 2), np.nan)

    def importance(self) -> pd.DataFrame:
        """Total gain of each column over all trees, largest first: column, gain, share."""
        check_is_fitted(self, "rounds_")
        found = self._booster.get_score(importance_type="total_gain")
        gain = [float(found.get(f"f{k}", 0.0)) for k in range(len(self.columns_))]
        table = pd.DataFrame({"column": self.columns_, "gain": gain})
        table["share"] = table["gain"] / max(float(table["gain"].sum()), 1e-300)
        return table.sort_values("gain", ascending=False, kind="stable", ignore_index=True)

    def to_frame(self) -> pd.DataFrame:
        """The same as :meth:`importance`."""
        return self.importance()

    def _repr_html_(self) -> str:
        if not hasattr(self, "rounds_"):
            return f"<p>{self!r}, not fitted</p>"
        who = "simulated patients" if getattr(self, "simulated_", False) else "patients"
        head = f"<p>Boosted trees: {self.rounds_} trees, {self.n_} {who}, {self.events_} events</p>"
        return head + self.importance().head(20).to_html(index=False, float_format="{:.3g}".format)

    # -- model file --------------------------------------------------------------------------

    _STORED = ("rounds", "columns", "slope", "follow_up_months", "n", "events", "categories",
               "ordinal", "numbers", "ranges")  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """What was learnt but the trees, for a JSON file."""
        check_is_fitted(self, "rounds_")
        content = {key: getattr(self, f"{key}_") for key in self._STORED}
        content["numbers"] = [name for name in self.numbers_ if name in self.columns_]
        return {"parameters": self.get_params(), "baseline": self.baseline_.to_dict("list"), **content}

    def trees(self) -> bytes:
        """The trees in xgboost's binary JSON format (.ubj)."""
        check_is_fitted(self, "rounds_")
        return bytes(self._booster.save_raw("ubj"))

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], trees: bytes) -> BoostedModel:
        """Inverse of :meth:`to_dict` and :meth:`trees`."""
        import xgboost

        model = cls(**content["parameters"])
        for key in cls._STORED:
            setattr(model, f"{key}_", content[key])
        model.baseline_ = pd.DataFrame(content["baseline"])
        model._booster = xgboost.Booster({"nthread": 1})
        model._booster.load_model(bytearray(trees))
        return model


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


def _matrix(table: pd.DataFrame, y: Outcome | None = None) -> Any:
    """Table and labels for xgboost."""
    import xgboost

    label = None
    if y is not None:
        # Only the order of the times matters to the Cox loss, and a time of 0 has no sign: ranks do.
        rank = np.unique(y.time_months, return_inverse=True)[1] + 1.0
        label = np.where(y.event, rank, -rank)
    # Names such as "T=1" or "<" inside a name are not allowed by xgboost: columns go by position.
    values = np.where(np.isinf(table.to_numpy(dtype=float)), np.nan, table.to_numpy(dtype=float))
    return xgboost.DMatrix(values, label=label, nthread=1)


def _margin(booster: Any, table: pd.DataFrame, rounds: int) -> Floats:
    """Log risk from the first trees (xgboost itself would give exp of it)."""
    margin = booster.predict(_matrix(table), output_margin=True, iteration_range=(0, rounds))
    result: Floats = np.asarray(margin, dtype=float)
    return result
