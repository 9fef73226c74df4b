"""One model fitted to several completed tables, its coefficients and predictions pooled.

References
----------
Rubin DB. Multiple Imputation for Nonresponse in Surveys. Wiley 1987. Marshall A et al.
Combining estimates of interest in prognostic modelling studies after multiple
imputation. BMC Med Res Methodol 2009;9:57 (survival on the complementary log-log scale).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import ModelFileError
from radiomics_npc.survival.design import check_rows
from radiomics_npc.survival.models.cox import CoxModel
from radiomics_npc.survival.preprocessing.multiple_imputation import MultipleImputation
from radiomics_npc.survival.preprocessing.rubins_rules import PooledEstimates, pool_coefficients

__all__ = ["MultiplyImputedModel"]

Floats = NDArray[np.float64]


class MultiplyImputedModel(BaseEstimator):
    """Fit a model to each of m completed tables and pool.

    Parameters
    ----------
    model : estimator
        Not fitted; with ``fit(X, y)``, ``predict_risk`` and ``predict_survival``, or a
        scikit-learn Pipeline that ends in one.
    m, rounds, random_state
        As in :class:`radiomics_npc.survival.preprocessing.multiple_imputation.MultipleImputation`.

    Attributes
    ----------
    imputation_ : MultipleImputation
        Of the columns without ``__`` in their names; features are left to the model.
    models_ : list of estimator
        One a completed table.
    pooled_ : PooledEstimates or None
        Coefficients by Rubin's rules, where all are Cox models with the same coefficients;
        else None, and ``notes_`` says so.
    notes_ : list of str

    Notes
    -----
    Risks are averaged; so are survival probabilities on the complementary log-log scale,
    which for Cox models with the same coefficients is the Cox model of the pooled ones.
    The outcome of the training patients helps to complete their table; new patients are
    completed without one.

    Examples
    --------
    >>> random = np.random.default_rng(0)
    >>> X = pd.DataFrame({"age": random.normal(60, 9, 80), "volume": random.gamma(2, 5, 80)})
    >>> y = Outcome(random.exponential(np.exp(-0.1 * X["volume"])), np.ones(80))
    >>> X.loc[:9, "volume"] = np.nan
    >>> model = MultiplyImputedModel(CoxModel(), m=5).fit(X, y)
    >>> bool(model.pooled_.fmi["volume"] > model.pooled_.fmi["age"])
    True
    """

    def __init__(self, model: Any, *, m: int = 10, rounds: int = 10, random_state: int = 0) -> None:
        self.model = model
        self.m = m
        self.rounds = rounds
        self.random_state = random_state

    def fit(self, X: pd.DataFrame, y: Outcome) -> Self:
        """Complete the table m times and fit the model to each.

        Raises
        ------
        CohortError
            No event, or what the model itself refuses.
        """
        check_rows(X, y)
        clinical = [name for name in X.columns if "__" not in str(name)]
        imputation = MultipleImputation(m=self.m, rounds=self.rounds, random_state=self.random_state)
        tables = imputation.complete(X[clinical], y)
        self.imputation_ = imputation.fit(X[clinical], y)
        features = X.drop(columns=clinical)
        self.models_ = [clone(self.model).fit(pd.concat([t, features], axis=1), y) for t in tables]
        self.n_, self.events_ = len(y), int(y.event.sum())
        self.follow_up_months_ = float(y.time_months.max())
        self.outcome_name_, self.simulated_ = y.name, y.simulated
        self.pooled_, self.notes_ = self._pool(), list(imputation.notes_)
        if self.pooled_ is None:
            self.notes_.append("coefficients are not pooled: no Cox model, or tables with different levels")
        return self

    def _pool(self) -> PooledEstimates | None:
        """Rubin's rules, where all tables gave Cox models with the same coefficients."""
        last = [model[-1] if isinstance(model, Pipeline) else model for model in self.models_]
        if not all(isinstance(model, CoxModel) for model in last):
            return None
        names = [list(model.coef_.index) for model in last]
        if not names[0] or any(found != names[0] for found in names):
            return None
        return pool_coefficients(
            [model.coef_ for model in last], [model.covariance_ for model in last],
            complete_df=max(self.events_ - len(names[0]), 1), simulated=self.simulated_,
        )  # fmt: skip

    def _each(self, X: pd.DataFrame, predict: Callable[[Any, pd.DataFrame], Floats]) -> Floats:
        """What each model predicts for new patients, completed without their outcome, shape (m, n, ...)."""
        check_is_fitted(self, "models_")
        check_rows(X)
        features = X[[name for name in X.columns if "__" in str(name)]]
        table = pd.concat([self.imputation_.transform(X), features], axis=1)
        found = []
        for model in self.models_:
            steps = (
                (model[:-1].transform(table), model[-1]) if isinstance(model, Pipeline) else (table, model)
            )
            found.append(predict(steps[1], steps[0]))
        return np.array(found, dtype=float)

    def predict_risk(self, X: pd.DataFrame) -> Floats:
        """Mean of the models' risks, shape (n,); higher is worse.

        Raises
        ------
        CohortError
            A column is absent, or a factor holds a level not known in training.
        """
        result: Floats = self._each(X, lambda model, table: model.predict_risk(table)).mean(axis=0)
        return result

    def predict(self, X: pd.DataFrame) -> Floats:
        """The same as :meth:`predict_risk`, for a scikit-learn Pipeline."""
        return self.predict_risk(X)

    def predict_survival(self, X: pd.DataFrame, times: Sequence[float] | ArrayLike) -> Floats:
        """Probability to be free of the event, shape (n, t); NaN past the follow-up in training."""
        each = self._each(X, lambda model, table: model.predict_survival(table, times))
        # Averaged as log(-log S): 1 before the first event, 0 where any model is sure.
        with np.errstate(divide="ignore"):
            mean = np.log(-np.log(each)).mean(axis=0)
        result: Floats = np.exp(-np.exp(mean))
        return result

    def to_frame(self) -> pd.DataFrame:
        """Pooled coefficients; an empty table where they are not pooled."""
        check_is_fitted(self, "models_")
        return pd.DataFrame() if self.pooled_ is None else self.pooled_.to_frame()

    def _repr_html_(self) -> str:
        pooled: PooledEstimates | None = getattr(self, "pooled_", None)
        return f"<p>{self!r}</p>" if pooled is None else pooled._repr_html_()

    def to_dict(self) -> dict[str, Any]:
        """What was learnt, for a JSON file; no patient rows.

        Raises
        ------
        ModelFileError
            The model is no CoxModel.
        """
        check_is_fitted(self, "models_")
        if not isinstance(self.model, CoxModel):
            raise ModelFileError(
                f"a {type(self.model).__name__} fitted to several tables cannot be saved", "Save a CoxModel."
            )
        return {
            "parameters": {"m": self.m, "rounds": self.rounds, "random_state": self.random_state},
            "model": self.model.get_params(),
            "imputation": self.imputation_.to_dict(),
            "models": [model.to_dict() for model in self.models_],
            "notes": self.notes_,
            "n": self.n_,
            "events": self.events_,
            "follow_up_months": self.follow_up_months_,
            "simulated": self.simulated_,
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> MultiplyImputedModel:
        """Inverse of :meth:`to_dict`."""
        made = cls(CoxModel(**content["model"]), **content["parameters"])
        made.imputation_ = MultipleImputation.from_dict(content["imputation"])
        made.models_ = [CoxModel.from_dict(model) for model in content["models"]]
        for key in ("notes", "n", "events", "follow_up_months", "simulated"):
            setattr(made, f"{key}_", content[key])
        made.pooled_ = made._pool()
        return made
