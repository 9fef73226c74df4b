"""A random survival forest, for comparison.

References
----------
Ishwaran H et al. Random survival forests. Ann Appl Stat 2008;2:841-860. Ishwaran H et al.
High-dimensional variable selection for survival data. J Am Stat Assoc 2010;105:205-217
(minimal depth). Pölsterl S. scikit-survival. J Mach Learn Res 2020;21(212):1-6.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NoReturn, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError, ConfigError, ModelFileError
from radiomics_npc.survival.design import check_rows
from radiomics_npc.survival.estimation.baseline import step_function
from radiomics_npc.survival.folds import stratified_folds
from radiomics_npc.survival.models.tree_columns import TreeColumns
from radiomics_npc.survival.models.tree_model import TreeModel

__all__ = ["ForestModel"]

Floats = NDArray[np.float64]
_FEWEST_EVENTS = 1e-3  # of the ensemble mortality: a risk has a logarithm


class ForestModel(TreeModel):
    """Random survival forest (scikit-survival) on clinical columns and screened features.

    Parameters
    ----------
    n_trees : int
    min_samples_leaf : int
        Fewest patients in a leaf.
    columns_per_split : float or {"sqrt", "log2"}
        Columns tried at each split: a share, or a function of how many there are.
    max_features : int, optional
        Feature columns (with ``__`` in their name) that pass the univariate score
        test. None takes all.
    max_correlation : float
        Of two feature columns that correlate more, the less associated is dropped.
    inner_folds : int
        Folds for ``training_risk_`` when features are screened.
    random_state : int

    Attributes
    ----------
    columns_ : list of str
        Columns the trees were given.
    training_risk_ : array of float, shape (n,)
        Risks of the training patients by trees that did not see them: out-of-bag, or
        from inner folds when features are screened, for the screen has seen the outcome
        of those out of the bag.
    ranges_ : dict
        By column: (min, max) of numbers, or the levels of a factor in training.
    notes_ : list of str

    Notes
    -----
    Factors and missing values enter as in
    :class:`radiomics_npc.survival.models.boosting.BoostedModel`. The order of the columns
    of the table does not matter. It is not saved: a forest holds a curve for every
    leaf, each of a few patients.

    Examples
    --------
    >>> random = np.random.default_rng(0)
    >>> X = pd.DataFrame({"age": random.normal(60, 10, 80)})
    >>> y = Outcome(random.exponential(np.exp(6 - X["age"] / 10)), np.ones(80))
    >>> model = ForestModel(n_trees=50).fit(X, y)
    >>> old, young = model.predict_risk(pd.DataFrame({"age": [80.0, 40.0]}))
    >>> bool(old > young)
    True
    """

    def __init__(
        self,
        *,
        n_trees: int = 200,
        min_samples_leaf: int = 10,
        columns_per_split: float | str = "sqrt",
        max_features: int | None = None,
        max_correlation: float = 1.0,
        inner_folds: int = 5,
        random_state: int = 0,
    ) -> None:
        self.n_trees = n_trees
        self.min_samples_leaf = min_samples_leaf
        self.columns_per_split = columns_per_split
        self.max_features = max_features
        self.max_correlation = max_correlation
        self.inner_folds = inner_folds
        self.random_state = random_state

    def fit(self, X: pd.DataFrame, y: Outcome) -> Self:
        """Screen the features and grow the forest.

        Raises
        ------
        CohortError
            Fewer than 2 events or event times, text columns, or other patients in X than in y.
        ConfigError
            A number below 1, or so few trees that a patient is in the bag of all of them.
        """
        for name in ("n_trees", "min_samples_leaf"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}", "Take 1 or more.")
        check_rows(X, y)
        if y.event.sum() < 2:
            raise CohortError(f"{int(y.event.sum())} events are too few for a forest", "Take more patients.")
        self.coding_ = TreeColumns.learn(X)
        table = self.coding_.encode(X)
        self.columns_ = self._screened(table, y)
        screens = self.max_features is not None or self.max_correlation < 1.0
        screened = screens and any("__" in name for name in table.columns)
        self._forest = self._grow(table[self.columns_], y, out_of_bag=not screened)
        if screened:
            self.training_risk_ = self._held_out(table, y)
        else:
            self.training_risk_ = _log_mortality(self._forest.oob_prediction_)
        self._keep_cohort(X, y)
        return self

    def _grow(self, table: pd.DataFrame, y: Outcome, *, out_of_bag: bool = False) -> Any:
        from sksurv.ensemble import RandomSurvivalForest

        forest = RandomSurvivalForest(
            n_estimators=self.n_trees, min_samples_leaf=self.min_samples_leaf,
            max_features=self.columns_per_split, oob_score=out_of_bag, n_jobs=1,
            random_state=int(self.random_state) % 2**31,
        )  # fmt: skip
        # A censored patient is at risk at the same events if censored at the last of them: trees
        # then keep their curves at event times alone.
        events = np.unique(y.time_months[y.event])
        if len(events) < 2:
            raise CohortError("all events happen at one time: a forest has no curve to grow")
        before = np.searchsorted(events, y.time_months, side="right")
        coarse = replace(y, time_months=np.append(0.0, events)[before])
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message="Some inputs do not have OOB", category=UserWarning)
            try:
                return forest.fit(table.to_numpy(), coarse.to_structured())
            except UserWarning:
                raise ConfigError(f"{self.n_trees} trees are too few", "Take 100 or more.") from None

    def _held_out(self, table: pd.DataFrame, y: Outcome) -> Floats:
        """Risk of each patient by a forest, and a screen, that it had no part in."""
        fold = stratified_folds(y, self.inner_folds, self.random_state, strict=False)
        risk = np.empty(len(y))
        for k in range(fold.max() + 1):
            held, inside = fold == k, y.take(fold != k)
            columns = self._screened(table[~held], inside)
            forest = self._grow(table.loc[~held, columns], inside)
            risk[held] = _log_mortality(forest.predict(table.loc[held, columns].to_numpy()))
        return risk

    def predict_risk(self, X: pd.DataFrame) -> Floats:
        """Logarithm of the expected number of events, shape (n,); higher is worse.

        The ensemble mortality: the events there would have been in training had all
        patients been like this one.

        Raises
        ------
        CohortError
            A column is absent, or a factor holds a level not known in training.
        """
        return _log_mortality(self._forest.predict(self.tree_table(X).to_numpy()))

    def predict_survival(self, X: pd.DataFrame, times: Sequence[float] | ArrayLike) -> Floats:
        """Probability to be free of the event, shape (n, t); NaN past the follow-up in training."""
        found = self._forest.predict_survival_function(self.tree_table(X).to_numpy(), return_array=True)
        when = self._forest.unique_times_
        return step_function(when, found.T, times, start=1.0, last=self.follow_up_months_).T

    def importance(self) -> pd.DataFrame:
        """Columns by the share of patients they split, the largest first.

        Returns
        -------
        DataFrame
            column; minimal_depth, the depth of the first split on it, averaged over the trees
            (0 is the root; a tree that does not use it counts as one level deeper than it is);
            share, of all splits, each weighted by its patients.
        """
        check_is_fitted(self, "columns_")
        depth, patients = zip(
            *(_splits(tree.tree_, len(self.columns_)) for tree in self._forest.estimators_), strict=True
        )
        table = pd.DataFrame({"column": self.columns_, "minimal_depth": np.mean(depth, axis=0)})
        total = np.sum(patients, axis=0)
        table["share"] = total / max(float(total.sum()), 1e-300)
        return table.sort_values("share", ascending=False, kind="stable", ignore_index=True)

    def _summary(self) -> str:
        return f"Random survival forest: {self.n_trees} trees"

    def to_dict(self) -> NoReturn:
        """Refuse: a forest is not saved.

        Raises
        ------
        ModelFileError
        """
        raise ModelFileError(
            "a random survival forest is for comparison and cannot be saved", "Save a Cox or a boosted model."
        )


def _log_mortality(events: ArrayLike) -> Floats:
    result: Floats = np.log(np.maximum(np.asarray(events, dtype=float), _FEWEST_EVENTS))
    return result


def _splits(tree: Any, columns: int) -> tuple[Floats, Floats]:
    """Depth of the first split on each column, and the patients of all its splits."""
    depth = np.zeros(tree.node_count, dtype=int)
    splits = np.flatnonzero(tree.children_left >= 0)
    for node in splits:  # a parent has a smaller number than its children
        depth[[tree.children_left[node], tree.children_right[node]]] = depth[node] + 1
    first = np.full(columns, float(depth.max() + 1))
    np.minimum.at(first, tree.feature[splits], depth[splits])
    patients = np.zeros(columns)
    np.add.at(patients, tree.feature[splits], tree.weighted_n_node_samples[splits])
    return first, patients
