"""The standard models: clinical, radiomics and combined, each Cox, boosted or a forest.

Each is one estimator that learns everything in ``fit``, from imputation to the
baseline hazard, so that a cross-validation of it is honest by construction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import ModelFileError
from radiomics_npc.survival.design import check_rows
from radiomics_npc.survival.models.boosting import BoostedModel
from radiomics_npc.survival.models.cox import CoxModel
from radiomics_npc.survival.models.forest import ForestModel
from radiomics_npc.survival.models.groups import RiskGroups, cut_training_risks
from radiomics_npc.survival.models.preparation import Preparation
from radiomics_npc.survival.models.prepared import PreparedModel
from radiomics_npc.survival.models.scored_cox import fit_scored_cox
from radiomics_npc.survival.selection.signature import RadScore

__all__ = ["PrognosticModel"]

Content = Literal["clinical", "radiomics", "combined"]
Learner = Literal["cox", "boosted", "forest"]
# A ridge as weak as this leaves sound coefficients alone and stops runaway ones.
_FALLBACK_PENALIZER = 0.01
_MAX_FEATURES = 50  # that trees are given


class PrognosticModel(PreparedModel):
    """Clinical columns, radiomic features, or both, to a risk and a survival probability.

    Parameters
    ----------
    content : {"clinical", "radiomics", "combined"}
        Clinical columns are those named by ``clinical``; features those with ``__``.
    learner : {"cox", "boosted", "forest"}
        A Cox model on the clinical columns and the Rad-score, or trees on the clinical
        columns and the screened features. A forest is for comparison: it is not saved.
    clinical : sequence of str
    min_category : int
        See :class:`radiomics_npc.survival.models.cox.CoxModel`.
    splines : mapping of str to int, optional
        Knots of restricted cubic splines of clinical numbers, in a Cox learner.
    max_correlation : float
        See :class:`radiomics_npc.survival.selection.signature.RadScore`.
    objective, tune, monotone
        See :class:`radiomics_npc.survival.models.boosting.BoostedModel`; constraints on
        columns that the model does not have are passed over.
    risk_groups : {"tertiles", "median", "maxstat"}
        See :class:`radiomics_npc.survival.models.groups.RiskGroups`.
    imputation, stability, min_stability, harmonize_by, protect, unseen
        See :class:`radiomics_npc.survival.models.preparation.Preparation`.
    inner_folds : int
        Folds within the training patients, for tuning and for honest scores.
    random_state : int

    Attributes
    ----------
    preparation_ : Preparation
        Missing values, unstable features, centers.
    cox_ : CoxModel
        The last step of a Cox learner: clinical columns and ``rad_score``.
    boosted_ : BoostedModel
        The last step of a boosted learner.
    forest_ : ForestModel
        The last step of a forest.
    rad_score_ : RadScore
        The signature, for a Cox learner with features.
    groups_ : RiskGroups
        Cut points from the training patients' risks, which for learners that tune
        are those of inner folds.
    training_table_ : DataFrame
        What the Cox model was fitted on, with the Rad-score of inner folds; in no model file.
    risk_summary_ : dict
        mean and sd of the log hazards of the training patients, to compare another cohort with.
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
        splines: Mapping[str, int] | None = None,
        max_correlation: float = 0.9,
        objective: Literal["cox", "aft"] = "cox",
        tune: Literal["rounds", "grid"] = "rounds",
        monotone: Mapping[str, int] | None = None,
        risk_groups: Literal["median", "tertiles", "maxstat"] = "tertiles",
        imputation: Literal["simple", "iterative"] = "simple",
        stability: pd.Series | pd.DataFrame | None = None,
        min_stability: float = 0.75,
        harmonize_by: str | None = None,
        protect: Sequence[str] = (),
        unseen: Literal["error", "reference_free"] = "error",
        inner_folds: int = 5,
        random_state: int = 0,
    ) -> None:
        self.content = content
        self.learner = learner
        self.clinical = clinical
        self.min_category = min_category
        self.splines = splines
        self.max_correlation = max_correlation
        self.objective = objective
        self.tune = tune
        self.monotone = monotone
        self.risk_groups = risk_groups
        self.imputation = imputation
        self.stability = stability
        self.min_stability = min_stability
        self.harmonize_by = harmonize_by
        self.protect = protect
        self.unseen = unseen
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
        self.preparation_ = self._preparation().fit(X, y)
        self.notes_ = list(self.preparation_.notes_)
        clinical, features = self.preparation_.clinical_part(X), self.preparation_.feature_part(X)
        # Protected columns may be no columns of the model.
        clinical = clinical[[name for name in self.clinical_columns if name in clinical.columns]]
        if self.learner == "cox":
            self._fit_cox(clinical, features, y)
        else:
            self._fit_trees(pd.concat([clinical, features], axis=1), y)
        self.preparation_.keep(self.feature_columns)
        self.groups_, notes = cut_training_risks(self.risk_groups, self.last_step.training_risk_, y)
        self.notes_ += notes
        made = self.last_step.training_risk_ * getattr(self.last_step, "slope_", 1.0)
        self.risk_summary_ = {"mean": float(np.mean(made)), "sd": float(np.std(made, ddof=1))}
        self.n_, self.events_ = len(y), int(y.event.sum())
        self.follow_up_months_ = float(y.time_months.max())
        self.outcome_name_, self.simulated_ = y.name, y.simulated
        return self

    def _preparation(self) -> Preparation:
        protect = list(self.protect) if self.content != "clinical" and self.harmonize_by else []
        return Preparation(
            list(dict.fromkeys([*self.clinical_columns, *protect])),
            features=self.content != "clinical", imputation=self.imputation, stability=self.stability,
            min_stability=self.min_stability, harmonize_by=self.harmonize_by, protect=protect,
            unseen=self.unseen,
        )  # fmt: skip

    def _fit_cox(self, clinical: pd.DataFrame, features: pd.DataFrame, y: Outcome) -> None:
        splines = {name: knots for name, knots in (self.splines or {}).items() if name in clinical.columns}
        found = fit_scored_cox(
            clinical, None if self.content == "clinical" else features, y,
            cox=CoxModel(
                min_category=self.min_category, splines=splines, fallback_penalizer=_FALLBACK_PENALIZER
            ),
            rad_score=RadScore(
                max_correlation=self.max_correlation, inner_folds=self.inner_folds,
                random_state=self.random_state,
            ),
        )  # fmt: skip
        self.cox_, self.training_table_ = found.cox, found.table
        if found.rad_score is not None:
            self.rad_score_ = found.rad_score
        self.notes_ += found.notes

    def _fit_trees(self, table: pd.DataFrame, y: Outcome) -> None:
        options: dict[str, Any] = {
            "max_features": _MAX_FEATURES, "max_correlation": self.max_correlation,
            "inner_folds": self.inner_folds, "random_state": self.random_state,
        }  # fmt: skip
        if self.learner == "forest":
            self.forest_ = ForestModel(**options).fit(table, y)
        else:
            monotone = {name: sign for name, sign in (self.monotone or {}).items() if name in table.columns}
            self.boosted_ = BoostedModel(
                objective=self.objective, tune=self.tune, monotone=monotone or None, **options
            ).fit(table, y)
        self.notes_ += self.last_step.notes_

    # -- explain -----------------------------------------------------------------------------

    @property
    def steps(self) -> dict[str, Any]:
        """Fitted steps by name, in the order they work."""
        names = ("preparation_", "rad_score_", "cox_", "boosted_", "forest_")
        return {name.rstrip("_"): getattr(self, name) for name in names if hasattr(self, name)}

    def explain(self) -> pd.DataFrame:
        """Everything that makes up the risk.

        Returns
        -------
        DataFrame
            Columns step, term, level, value, quantity: log hazard ratios of the Cox
            model, coefficients of the Rad-score (for one raw unit), or gains of trees.
        """
        if self.learner != "cox":
            found = self.last_step.importance()
            quantity = "share of gain" if self.learner == "boosted" else "share of splits"
            return _explained(self.learner, found["column"], "", found["share"], quantity)
        table = self.cox_.summary()
        parts = [_explained("cox", table["term"], table["level"], table["coef"], "log hazard ratio")]
        if hasattr(self, "rad_score_"):
            formula = self.rad_score_.formula_
            parts.append(
                _explained("rad_score", formula["feature"], "", formula["coefficient"], "coefficient")
            )
        # A Cox model without any term, where the Rad-score was left out, has no rows to show.
        return pd.concat([part for part in parts if len(part)], ignore_index=True)

    def to_frame(self) -> pd.DataFrame:
        """The same as :meth:`explain`."""
        return self.explain()

    def _repr_html_(self) -> str:
        return f"<p>{self!r}</p>" if not hasattr(self, "notes_") else self.last_step._repr_html_()

    # -- model file --------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """All that was learnt but trees, for a JSON file.

        Raises
        ------
        ModelFileError
            A forest: it is for comparison and is not saved.
        """
        check_is_fitted(self, "groups_")
        if self.learner == "forest":
            raise ModelFileError("a random survival forest is not saved", "Save a Cox or boosted model.")
        parameters = self.get_params() | {"stability": None}
        parameters |= {"clinical": list(self.clinical), "protect": list(self.protect)}
        return {
            "parameters": parameters,
            "steps": {name: step.to_dict() for name, step in self.steps.items()},
            "risk_groups": {"how": self.risk_groups, "cut_points": list(self.groups_.cut_points_)},
            "risk_summary": self.risk_summary_,
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
        model.preparation_ = Preparation.from_dict(steps["preparation"])
        if "rad_score" in steps:
            model.rad_score_ = RadScore.from_dict(steps["rad_score"])
        if "cox" in steps:
            model.cox_ = CoxModel.from_dict(steps["cox"])
        else:
            model.boosted_ = BoostedModel.from_dict(steps["boosted"], trees or b"")
        model.groups_ = RiskGroups(content["risk_groups"]["how"])
        model.groups_.cut_points_ = tuple(content["risk_groups"]["cut_points"])
        model.risk_summary_ = dict(content["risk_summary"])
        model.notes_, model.n_, model.events_ = content["notes"], content["n"], content["events"]
        model.follow_up_months_ = content["follow_up_months"]
        return model


def _explained(step: str, term: pd.Series, level: Any, value: pd.Series, quantity: str) -> pd.DataFrame:
    return pd.DataFrame({"step": step, "term": term, "level": level, "value": value, "quantity": quantity})
