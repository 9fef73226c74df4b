"""The standard models: clinical, radiomics and combined, each Cox and boosted.

Each is one estimator that learns everything in ``fit``, from imputation to the
baseline hazard, so that a cross-validation of it is honest by construction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.utils.validation import check_is_fitted

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError
from radiomics_npc.survival.design import check_rows
from radiomics_npc.survival.models.boosting import BoostedModel
from radiomics_npc.survival.models.cox import CoxModel
from radiomics_npc.survival.models.groups import RiskGroups
from radiomics_npc.survival.preprocessing.imputation import SimpleImputation
from radiomics_npc.survival.selection.signature import RAD_SCORE, RadScore

__all__ = ["PrognosticModel"]

Floats = NDArray[np.float64]
Content = Literal["clinical", "radiomics", "combined"]
Learner = Literal["cox", "boosted"]
# A ridge as weak as this leaves sound coefficients alone and stops runaway ones.
_FALLBACK_PENALIZER = 0.01


class PrognosticModel(BaseEstimator):
    """Clinical columns, radiomic features, or both, to a risk and a survival probability.

    Parameters
    ----------
    content : {"clinical", "radiomics", "combined"}
        Clinical columns are those named by ``clinical``; features those with ``__``.
    learner : {"cox", "boosted"}
        A Cox model on the clinical columns and the Rad-score, or boosted trees on
        the clinical columns and the screened features.
    clinical : sequence of str
    min_category : int
        See :class:`radiomics_npc.survival.models.cox.CoxModel`.
    max_correlation : float
        See :class:`radiomics_npc.survival.selection.signature.RadScore`.
    risk_groups : {"tertiles", "median"}
    inner_folds : int
        Folds within the training patients, for tuning and for honest scores.
    random_state : int

    Attributes
    ----------
    cox_ : CoxModel
        The last step of a Cox learner: clinical columns and ``rad_score``.
    boosted_ : BoostedModel
        The last step of a boosted learner.
    rad_score_ : RadScore
        The signature, for a Cox learner with features.
    imputation_ : SimpleImputation
        Of the clinical columns.
    groups_ : RiskGroups
        Cut points from the training patients' risks, which for learners that tune
        are those of inner folds.
    notes_ : list of str
        Merged levels, dropped columns, imputed values, fallbacks.

    Examples
    --------
    >>> random = np.random.default_rng(1)
    >>> X = pd.DataFrame({"T": pd.Categorical(random.choice(["T1", "T2", "T3"], 90))})
    >>> y = Outcome(random.exponential(50 - 15 * X["T"].cat.codes), random.random(90) < 0.7)
    >>> model = PrognosticModel("clinical", "cox", clinical=["T"]).fit(X, y)
    >>> list(model.cox_.coef_.index)
    ['T=T2', 'T=T3']
    """

    def __init__(
        self,
        content: Content = "combined",
        learner: Learner = "cox",
        *,
        clinical: Sequence[str] = ("T", "N", "ebv_dna"),
        min_category: int = 10,
        max_correlation: float = 0.9,
        risk_groups: Literal["median", "tertiles"] = "tertiles",
        inner_folds: int = 5,
        random_state: int = 0,
    ) -> None:
        self.content = content
        self.learner = learner
        self.clinical = clinical
        self.min_category = min_category
        self.max_correlation = max_correlation
        self.risk_groups = risk_groups
        self.inner_folds = inner_folds
        self.random_state = random_state

    # -- fit ---------------------------------------------------------------------------------

    def fit(self, X: pd.DataFrame, y: Outcome) -> Self:
        """Learn all steps from these patients.

        Raises
        ------
        CohortError
            A clinical column or all features are absent, no events, or a fit that
            does not converge even with the recorded fallback.
        """
        check_rows(X, y)
        self.notes_: list[str] = []
        clinical = self._fit_clinical(X, y)
        features = self._features(X)
        if self.learner == "boosted":
            self._fit_boosted(pd.concat([clinical, features], axis=1), y)
        else:
            self._fit_cox(clinical, features, y)
        self.groups_ = RiskGroups(self.risk_groups).fit(self.last_step.training_risk_)
        self.n_, self.events_ = len(y), int(y.event.sum())
        self.follow_up_months_ = float(y.time_months.max())
        self.outcome_name_, self.simulated_ = y.name, y.simulated
        return self

    def _fit_clinical(self, X: pd.DataFrame, y: Outcome) -> pd.DataFrame:
        """Clinical columns with missing values filled."""
        table = self._clinical(X)
        self.imputation_ = SimpleImputation().fit(table, y)
        self.notes_ += [f"{name}: left out, {why}" for name, why in self.imputation_.dropped_.items()]
        self.notes_ += [
            f"{name}: {count} missing values read as {self.imputation_.values_[name]}"
            for name, count in self.imputation_.missing_.items()
            if count
        ]
        return self.imputation_.transform(table)

    def _fit_cox(self, clinical: pd.DataFrame, features: pd.DataFrame, y: Outcome) -> None:
        table, in_sample = clinical, None
        if self.content != "clinical":
            self.rad_score_ = RadScore(
                max_correlation=self.max_correlation, inner_folds=self.inner_folds,
                random_state=self.random_state,
            )  # fmt: skip
            score = self.rad_score_.fit_transform(features, y)
            in_sample = self.rad_score_.transform(features)[RAD_SCORE]
            table = pd.concat([clinical, score], axis=1)
            if self.rad_score_.fallback_:
                self.notes_.append(
                    "rad_score: the elastic net chose no feature, the single strongest is taken"
                )
        cox = CoxModel(min_category=self.min_category, fallback_penalizer=_FALLBACK_PENALIZER)
        self.cox_ = clone(cox).fit(table, y)
        if self.cox_.coef_.get(RAD_SCORE, 1.0) <= 0:
            # Patients held out did no worse with a higher score: it has nothing to say, least of
            # all the opposite of what it was made to say.
            self.cox_ = cox.fit(table.drop(columns=RAD_SCORE), y)
            self.notes_.append("rad_score: left out, patients of inner folds with higher scores did no worse")
        self.notes_ += self.cox_.notes_
        if in_sample is not None:
            self.cox_.terms_ = [_widened(term, in_sample) for term in self.cox_.terms_]

    def _fit_boosted(self, table: pd.DataFrame, y: Outcome) -> None:
        self.boosted_ = BoostedModel(
            max_features=50, max_correlation=self.max_correlation,
            inner_folds=self.inner_folds, random_state=self.random_state,
        ).fit(table, y)  # fmt: skip

    def _clinical(self, X: pd.DataFrame) -> pd.DataFrame:
        wanted = self.clinical_columns
        absent = [name for name in wanted if name not in X.columns]
        if absent:
            raise CohortError(
                f"clinical columns are absent: {', '.join(absent)}",
                "Name the columns of the table under models.clinical.",
            )
        return X[wanted]

    def _features(self, X: pd.DataFrame) -> pd.DataFrame:
        if self.content == "clinical":
            return X[[]]
        features = X[[name for name in X.columns if "__" in str(name)]]
        if features.shape[1] == 0:
            raise CohortError("there are no radiomic features", "Extract them, or fit clinical models only.")
        return features

    @property
    def clinical_columns(self) -> list[str]:
        """Clinical columns that the model asks for."""
        return [] if self.content == "radiomics" else list(self.clinical)

    @property
    def feature_columns(self) -> list[str]:
        """Radiomic features that a fitted model asks for."""
        if hasattr(self, "rad_score_"):
            return self.rad_score_.features_
        return [name for name in self.last_step.columns_ if "__" in name]

    @property
    def last_step(self) -> CoxModel | BoostedModel:
        """The fitted Cox or boosted model."""
        check_is_fitted(self, "notes_")
        step: CoxModel | BoostedModel = self.cox_ if self.learner == "cox" else self.boosted_
        return step

    # -- predict -----------------------------------------------------------------------------

    def design(self, X: pd.DataFrame) -> pd.DataFrame:
        """Columns that the last step sees: imputed clinical ones, and ``rad_score`` or features.

        Raises
        ------
        CohortError
            A column is absent, or a factor holds a level not known in training.
        """
        check_is_fitted(self, "notes_")
        check_rows(X)
        parts = [self.imputation_.transform(self._clinical(X))]
        if hasattr(self, "rad_score_"):
            parts.append(self.rad_score_.transform(X))
        elif self.content != "clinical":
            absent = [name for name in self.feature_columns if name not in X.columns]
            if absent:
                raise CohortError(f"features are absent: {', '.join(absent[:3])}", "Extract them first.")
            parts.append(X[self.feature_columns])
        return pd.concat(parts, axis=1)

    def predict_risk(self, X: pd.DataFrame) -> Floats:
        """Log relative hazard, shape (n,); higher is worse."""
        return self.last_step.predict_risk(self.design(X))

    def predict(self, X: pd.DataFrame) -> Floats:
        """The same as :meth:`predict_risk`, for a scikit-learn Pipeline."""
        return self.predict_risk(X)

    def predict_survival(self, X: pd.DataFrame, times: Sequence[float] | ArrayLike) -> Floats:
        """Probability to be free of the event, shape (n, t); NaN past the follow-up in training."""
        return self.last_step.predict_survival(self.design(X), times)

    def predict_interval(self, X: pd.DataFrame, time: float) -> Floats:
        """95% limits of the survival probability, shape (n, 2); NaN for boosted trees, which have none."""
        return self.last_step.predict_interval(self.design(X), time)

    def predict_group(self, X: pd.DataFrame) -> pd.Categorical[str]:
        """Risk group by the cut points of training."""
        return self.groups_.predict(self.predict_risk(X))

    # -- explain -----------------------------------------------------------------------------

    @property
    def steps(self) -> dict[str, Any]:
        """Fitted steps by name, in the order they work."""
        names = ("imputation_", "rad_score_", "cox_", "boosted_")
        return {name.rstrip("_"): getattr(self, name) for name in names if hasattr(self, name)}

    def explain(self) -> pd.DataFrame:
        """Everything that makes up the risk.

        Returns
        -------
        DataFrame
            Columns step, term, level, value, quantity: log hazard ratios of the Cox
            model, coefficients of the Rad-score (for one raw unit), or gains of trees.
        """
        if self.learner == "boosted":
            gain = self.boosted_.importance()
            return _explained("boosted", gain["column"], "", gain["share"], "share of gain")
        table = self.cox_.summary()
        parts = [_explained("cox", table["term"], table["level"], table["coef"], "log hazard ratio")]
        if hasattr(self, "rad_score_"):
            formula = self.rad_score_.formula_
            parts.append(
                _explained("rad_score", formula["feature"], "", formula["coefficient"], "coefficient")
            )
        return pd.concat(parts, ignore_index=True)

    def to_frame(self) -> pd.DataFrame:
        """The same as :meth:`explain`."""
        return self.explain()

    def _repr_html_(self) -> str:
        return f"<p>{self!r}</p>" if not hasattr(self, "notes_") else self.last_step._repr_html_()

    # -- model file --------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """All that was learnt but trees, for a JSON file."""
        check_is_fitted(self, "groups_")
        steps = {name: step.to_dict() for name, step in self.steps.items()}
        return {
            "parameters": {**self.get_params(), "clinical": list(self.clinical)},
            "steps": steps,
            "risk_groups": {"how": self.risk_groups, "cut_points": list(self.groups_.cut_points_)},
            "notes": self.notes_,
            "n": self.n_,
            "events": self.events_,
            "follow_up_months": self.follow_up_months_,
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], trees: bytes | None = None) -> PrognosticModel:
        """Inverse of :meth:`to_dict`; ``trees`` for a boosted learner."""
        model = cls(**content["parameters"])
        steps = content["steps"]
        model.imputation_ = SimpleImputation.from_dict(steps["imputation"])
        if "rad_score" in steps:
            model.rad_score_ = RadScore.from_dict(steps["rad_score"])
        if "cox" in steps:
            model.cox_ = CoxModel.from_dict(steps["cox"])
        else:
            model.boosted_ = BoostedModel.from_dict(steps["boosted"], trees or b"")
        model.groups_ = RiskGroups(content["risk_groups"]["how"])
        model.groups_.cut_points_ = tuple(content["risk_groups"]["cut_points"])
        model.notes_, model.n_, model.events_ = content["notes"], content["n"], content["events"]
        model.follow_up_months_ = content["follow_up_months"]
        return model


def _widened(term: Any, in_sample: pd.Series) -> Any:
    """Range of the Rad-score: of the inner folds and of the final signature alike."""
    if term.name != RAD_SCORE:
        return term
    low, high = term.range
    return replace(term, range=(min(low, float(in_sample.min())), max(high, float(in_sample.max()))))


def _explained(step: str, term: pd.Series, level: Any, value: pd.Series, quantity: str) -> pd.DataFrame:
    return pd.DataFrame({"step": step, "term": term, "level": level, "value": value, "quantity": quantity})
