"""Gradient-boosted trees for survival (xgboost), with a baseline of their own.

The number of trees is chosen in inner folds, and the same folds tell how far the
risks must be shrunk before they become probabilities.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import ConfigError
from radiomics_npc.survival.design import check_rows
from radiomics_npc.survival.estimation.baseline import baseline_hazard, survival_at
from radiomics_npc.survival.folds import stratified_folds
from radiomics_npc.survival.models.tree_columns import TreeColumns
from radiomics_npc.survival.models.tree_model import TreeModel
from radiomics_npc.survival.models.tree_tuning import Fold, candidates, cox_slope, tune_trees
from radiomics_npc.survival.models.trees import (
    Distribution,
    Objective,
    base_settings,
    complete_settings,
    contributions,
    grow_trees,
    labeled,
    margins,
    risk_of_margin,
)

__all__ = ["BoostedModel"]

Floats = NDArray[np.float64]

_CHOICES = {
    "objective": ("cox", "aft"),
    "distribution": ("normal", "logistic", "extreme"),
    "tune": ("rounds", "grid"),
}


class BoostedModel(TreeModel):
    """Boosted trees with the Cox partial likelihood or an accelerated failure time model.

    Parameters
    ----------
    objective : {"cox", "aft"}
        ``survival:cox``, or ``survival:aft`` with censored times as open intervals.
    distribution : {"normal", "logistic", "extreme"}
        Of the log times, for "aft"; "extreme" makes them Weibull. Their scale is chosen
        in the inner folds among 0.5, 1 and 2.
    monotone : mapping of str to int, optional
        By column: 1 if the risk may only rise with it, -1 if it may only fall. Factors
        must be ordered (T, N, M and stage are) and count by the order of their levels.
    tune : {"rounds", "grid"}
        What is chosen in the inner folds: the number of trees alone, or also
        max_depth (1 to 3), min_child_weight (2, 6) and the ridge lambda (1, 10).
    max_depth, learning_rate, subsample, colsample, min_child_weight, max_bin
        As in xgboost; the defaults are careful ones for a few hundred patients.
    max_rounds : int
        Largest number of trees.
    patience : int
        Growing stops when so many trees did not improve the mean over the inner folds.
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
    tuning_ : DataFrame
        One row a candidate: what was tried, ``rounds``, ``grown``, and ``loss``, the
        mean held-out negative log (partial) likelihood.
    slope_ : float
        What risks are multiplied with before they become probabilities: the Cox slope
        of the inner out-of-fold risks, not below 0 and, for "cox", not above 1.
    baseline_ : DataFrame
        time_months, cumulative_hazard at risk 0, from the inner out-of-fold risks.
    training_risk_ : array of float, shape (n,)
        Inner out-of-fold risks of the training patients.
    ranges_ : dict
        By column: (min, max) of numbers, or the levels of a factor in training.
    notes_ : list of str
        Clinical columns left out, constraints that came to nothing.

    Notes
    -----
    Missing numbers need no imputation: a tree sends them the better way. T, N, M,
    stage and ordered factors enter as 0, 1, 2 ...; other factors as one column a level.
    The order of the columns of the table does not matter; that of the patients does,
    because trees see random subsets of them. Survival probabilities of both objectives
    come from a Cox baseline, so that they are calibrated on patients held out and no
    distribution is taken on trust.

    Examples
    --------
    >>> random = np.random.default_rng(0)
    >>> X = pd.DataFrame({"age": random.normal(60, 10, 80)})
    >>> y = Outcome(random.exponential(np.exp(6 - X["age"] / 10)), np.ones(80))
    >>> model = BoostedModel(monotone={"age": 1}, max_rounds=40).fit(X, y)
    >>> old, young = model.predict_risk(pd.DataFrame({"age": [80.0, 40.0]}))
    >>> bool(old > young)
    True
    """

    def __init__(
        self,
        *,
        objective: Objective = "cox",
        distribution: Distribution = "normal",
        monotone: Mapping[str, int] | None = None,
        tune: Literal["rounds", "grid"] = "rounds",
        max_depth: int = 2,
        learning_rate: float = 0.05,
        subsample: float = 0.7,
        colsample: float = 0.5,
        min_child_weight: float = 2.0,
        max_bin: int = 16,
        max_rounds: int = 200,
        patience: int = 40,
        max_features: int | None = None,
        max_correlation: float = 1.0,
        inner_folds: int = 5,
        random_state: int = 0,
    ) -> None:
        self.objective = objective
        self.distribution = distribution
        self.monotone = monotone
        self.tune = tune
        self.max_depth = max_depth
        self.learning_rate = learning_rate
        self.subsample = subsample
        self.colsample = colsample
        self.min_child_weight = min_child_weight
        self.max_bin = max_bin
        self.max_rounds = max_rounds
        self.patience = patience
        self.max_features = max_features
        self.max_correlation = max_correlation
        self.inner_folds = inner_folds
        self.random_state = random_state

    # -- fit ---------------------------------------------------------------------------------

    def fit(self, X: pd.DataFrame, y: Outcome) -> Self:
        """Choose the number of trees in inner folds and grow them on all patients.

        Raises
        ------
        CohortError
            Fewer than 2 events, text columns, or other patients in X than in y.
        ConfigError
            A parameter is unknown, or a constraint names no column or a factor without order.
        """
        self._check_parameters()
        check_rows(X, y)
        self.coding_ = TreeColumns.learn(X)
        constraints = self.coding_.check_monotone(self.monotone)
        table = self.coding_.encode(X)
        folds = self._folds(table, y, constraints)
        stages = candidates(self.objective, grid=self.tune == "grid")
        tuned = tune_trees(
            folds, self._settings(), stages, max_rounds=self.max_rounds, patience=self.patience
        )
        self.rounds_, self.tuning_ = tuned.rounds, pd.DataFrame(tuned.tried)
        self.columns_ = self._screened(table, y)
        signs = [constraints.get(name, 0) for name in self.columns_]
        self.growth_ = complete_settings(tuned.settings, y, signs)
        self._booster = grow_trees(self.growth_, self._data(table[self.columns_], y), self.rounds_)
        self._keep_cohort(X, y)
        unused = [name for name in constraints if name not in self.ranges_]
        self.notes_ += [f"{name}: not among the screened features, so not constrained" for name in unused]
        self._calibrate(y, tuned.held_out)
        return self

    def _check_parameters(self) -> None:
        for name, known in _CHOICES.items():
            if getattr(self, name) not in known:
                raise ConfigError(
                    f"{name} {getattr(self, name)!r} is unknown", f"Take one of {', '.join(known)}."
                )
        for name in ("max_rounds", "patience"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}", "Take 1 or more.")

    def _settings(self) -> dict[str, Any]:
        return base_settings(
            self.objective, self.distribution, self.random_state, max_depth=self.max_depth,
            eta=self.learning_rate, subsample=self.subsample, colsample_bytree=self.colsample,
            min_child_weight=self.min_child_weight, max_bin=self.max_bin,
        )  # fmt: skip

    def _folds(self, table: pd.DataFrame, y: Outcome, constraints: Mapping[str, int]) -> list[Fold]:
        """Inner folds, each with a screen of its own."""
        member = stratified_folds(y, self.inner_folds, self.random_state, strict=False)
        folds = []
        for k in range(member.max() + 1):
            held = member == k
            inside, outside = y.take(~held), y.take(held)
            columns = self._screened(table[~held], inside)
            weight = outside.event.sum() if self.objective == "cox" else len(outside)
            folds.append(Fold(
                self._data(table.loc[~held, columns], inside), self._data(table.loc[held, columns], outside),
                inside, held, float(weight), tuple(constraints.get(name, 0) for name in columns),
            ))  # fmt: skip
        return folds

    def _data(self, table: pd.DataFrame, y: Outcome | None = None) -> Any:
        return labeled(table.to_numpy(), y, self.objective)

    def _calibrate(self, y: Outcome, held_out: Floats) -> None:
        """Slope and baseline from risks that their patients had no part in."""
        # Risks of the Cox objective are log hazards already: only shrinking them makes sense.
        top = 1.0 if self.objective == "cox" else np.inf
        self.slope_ = float(np.clip(cox_slope(y, held_out), 0.0, top))
        self.baseline_ = baseline_hazard(y, self.slope_ * held_out)
        self.training_risk_ = held_out

    # -- predictions -------------------------------------------------------------------------

    def predict_risk(self, X: pd.DataFrame) -> Floats:
        """Risk, shape (n,); higher is worse.

        The log relative hazard for "cox". For "aft" the predicted log time, reversed and
        divided by its scale.

        Raises
        ------
        CohortError
            A column is absent, or a factor holds a level not known in training.
        """
        data = self._data(self.tree_table(X))
        return risk_of_margin(margins(self._booster, data, self.rounds_), self.growth_)

    def predict_survival(self, X: pd.DataFrame, times: Sequence[float] | ArrayLike) -> Floats:
        """Probability to be free of the event, shape (n, t); NaN past the follow-up in training."""
        risk = self.slope_ * self.predict_risk(X)
        return survival_at(self.baseline_, risk, times, last=self.follow_up_months_)

    def contributions(self, X: pd.DataFrame) -> tuple[Floats, float]:
        """SHAP values of the risk by column of the trees, shape (n, number of columns), and the base.

        See :func:`radiomics_npc.survival.models.shap_values.shap_values`.
        """
        data = self._data(self.tree_table(X))
        return contributions(self._booster, data, self.rounds_, self.growth_)

    def importance(self) -> pd.DataFrame:
        """Total gain of each column over all trees, largest first: column, gain, share."""
        check_is_fitted(self, "rounds_")
        found = self._booster.get_score(importance_type="total_gain")
        gain = [float(found.get(f"f{k}", 0.0)) for k in range(len(self.columns_))]
        table = pd.DataFrame({"column": self.columns_, "gain": gain})
        table["share"] = table["gain"] / max(float(table["gain"].sum()), 1e-300)
        return table.sort_values("gain", ascending=False, kind="stable", ignore_index=True)

    def _summary(self) -> str:
        return f"Boosted trees ({self.objective}): {self.rounds_} trees"

    # -- model file --------------------------------------------------------------------------

    _STORED = ("rounds", "columns", "slope", "follow_up_months", "n", "events", "ranges", "growth", "notes")

    def to_dict(self) -> dict[str, Any]:
        """What was learnt but the trees, for a JSON file."""
        check_is_fitted(self, "rounds_")
        coding = self.coding_.to_dict()
        coding["numbers"] = [name for name in coding["numbers"] if name in self.columns_]
        return {
            "parameters": {**self.get_params(), "monotone": dict(self.monotone or {}) or None},
            "baseline": self.baseline_.to_dict("list"),
            "tuning": self.tuning_.to_dict("records"),
            "coding": coding,
            **{key: getattr(self, f"{key}_") for key in self._STORED},
        }

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
        model.coding_ = TreeColumns(**content["coding"])
        model.baseline_, model.tuning_ = pd.DataFrame(content["baseline"]), pd.DataFrame(content["tuning"])
        model._booster = xgboost.Booster({"nthread": 1})
        model._booster.load_model(bytearray(trees))
        return model
