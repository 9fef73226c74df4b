"""A Cox-type model that imitates boosted trees, so that there is something to draw and to work out by hand.

The risk of a tree ensemble is no sum of points of one variable each, so it has neither a
nomogram nor a page that calculates. A surrogate has both, and is another model: how far it
is from the trees is told by :mod:`radiomics_npc.survival.validation.surrogate_fidelity`,
on patients whom neither of them has seen.

References
----------
Molnar C. Interpretable Machine Learning, 2nd ed. 2022, chapter 8.6 (global surrogate models).
Harrell FE. Regression Modeling Strategies, 2nd ed. Springer 2015, section 5.5 (a model
simplified by regressing its linear predictor on few columns by least squares).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError, ConfigError
from radiomics_npc.survival.design import Design, check_rows
from radiomics_npc.survival.models.groups import RiskGroups
from radiomics_npc.survival.models.preparation import Preparation
from radiomics_npc.survival.models.prepared import PreparedModel
from radiomics_npc.survival.models.prognostic import PrognosticModel
from radiomics_npc.survival.models.shap_values import shap_values
from radiomics_npc.survival.models.surrogate_cox import SurrogateCox, least_squares
from radiomics_npc.survival.selection.signature import RAD_SCORE, RadScore, feature_matrix
from radiomics_npc.survival.splines import default_knots

__all__ = ["SurrogateModel", "is_boosted"]

Floats = NDArray[np.float64]
_KEPT = ("content", "clinical", "harmonize_by", "protect")
_PLAIN = ("notes", "n", "events", "follow_up_months", "risk_summary", "fidelity")


class SurrogateModel(PreparedModel):
    """Clinical columns and one Rad-score, fitted to the log hazards of a boosted model.

    Clinical columns that matter to the trees enter as factors or splines. The features that
    matter most are joined to one score, which enters as a spline. All coefficients come from
    least squares on the log hazards that the trees give their training patients; only the
    baseline sees the outcome.

    Parameters
    ----------
    max_features : int
        Features in the score: those with the largest mean absolute SHAP value. In simulated
        cohorts (277 patients, 600 features) the imitation of patients held out was best with 15.
    min_share : float
        Smallest share of a clinical column in the mean absolute SHAP values.
    knots : int
        Of the splines: 3 to 7, or 0 for straight lines. Columns with too few distinct values
        are straight; numbers named by the boosted model's own ``splines`` have as many as there.

    Attributes
    ----------
    imitates_ : str
        Name of the boosted model.
    preparation_ : Preparation
        That of the boosted model: missing values, centers.
    cox_ : SurrogateCox
    rad_score_ : RadScore
        Only where features matter; its weights come from the imitation.
    groups_ : RiskGroups
        The cut points of the boosted model.
    risk_summary_ : dict
        mean and sd of the log hazards of the training patients.
    fidelity_ : dict of str to float
        How well it imitates patients held out, once that is known; empty at first.
    notes_ : list of str

    Examples
    --------
    >>> random = np.random.default_rng(1)
    >>> X = pd.DataFrame({"age": random.normal(60, 10, 200)})
    >>> y = Outcome(random.exponential(np.exp(8 - X["age"] / 15)), random.random(200) < 0.8)
    >>> boosted = PrognosticModel("clinical", "boosted", clinical=["age"]).fit(X, y)
    >>> surrogate = SurrogateModel().fit(X, y, boosted)
    >>> bool(np.corrcoef(surrogate.predict_risk(X), boosted.predict_risk(X))[0, 1] > 0.9)
    True
    """

    learner = "cox"

    def __init__(self, *, max_features: int = 15, min_share: float = 0.01, knots: int = 4) -> None:
        self.max_features = max_features
        self.min_share = min_share
        self.knots = knots

    def fit(self, X: pd.DataFrame, y: Outcome, model: PrognosticModel) -> Self:
        """Imitate a boosted model on the patients that it was fitted to.

        Raises
        ------
        ConfigError
            The model is no boosted standard model.
        CohortError
            The boosted model gives all patients the same risk.
        """
        if not is_boosted(model):
            raise ConfigError(
                f"no surrogate is made of a {type(model).__name__}"
                + (f" with learner {model.learner}" if isinstance(model, PrognosticModel) else ""),
                "Give a fitted PrognosticModel with learner boosted: its risk is a log hazard.",
            )
        check_is_fitted(model, "groups_")
        check_rows(X, y)
        table = model.design(X)
        log_hazard = model.boosted_.slope_ * model.boosted_.predict_risk(table)
        if np.ptp(log_hazard) <= 1e-9:
            raise CohortError(
                "the boosted model gives all patients the same risk: there is nothing to imitate",
                "Take the Cox model.",
            )
        self._take_after({key: getattr(model, key) for key in _KEPT})
        self.imitates_ = str(getattr(model, "name_", f"{model.content}_{model.learner}"))
        share = shap_values(model.boosted_, table).to_frame().set_index("column")["share"]
        clinical = table[[c for c in model.clinical_columns if share.get(c, 0.0) >= self.min_share]]
        features = [name for name in share.index if "__" in name and share[name] > 0 and _varies(table[name])]
        features = features[: self.max_features]
        self._fit_terms(clinical, table[features], y, log_hazard, model)
        self.preparation_ = Preparation.from_dict(model.preparation_.to_dict())
        self.preparation_.keep(features)
        if not features:
            self.content = "clinical"
        self._keep(y, model)
        return self

    def _fit_terms(
        self, clinical: pd.DataFrame, features: pd.DataFrame, y: Outcome, log_hazard: Floats,
        model: PrognosticModel,
    ) -> None:  # fmt: skip
        """The score first, beside the clinical columns; then both as terms."""
        knots = {
            str(name): number
            for name in clinical.columns
            if not isinstance(clinical[name].dtype, pd.CategoricalDtype)
            and (number := _knots(clinical[name], (model.splines or {}).get(name, self.knots)))
        }
        table = clinical
        if features.shape[1]:
            design = Design(clinical, y, min_category=model.min_category, splines=knots)
            self.rad_score_ = _imitating_score(features, design.encode(clinical), log_hazard)
            table = pd.concat([clinical, self.rad_score_.transform(features)], axis=1)
            if number := _knots(table[RAD_SCORE], self.knots):
                knots[RAD_SCORE] = number
        self.cox_ = SurrogateCox(min_category=model.min_category, splines=knots)
        self.cox_.fit(table, y, log_hazard)

    def _keep(self, y: Outcome, model: PrognosticModel) -> None:
        """What is said of the training patients, none of them alone."""
        slope, shift = model.boosted_.slope_, self.cox_.intercept_
        self.groups_ = RiskGroups(model.groups_.how)
        self.groups_.cut_points_ = tuple(slope * cut - shift for cut in model.groups_.cut_points_)
        made = self.cox_.training_risk_
        self.risk_summary_ = {"mean": float(np.mean(made)), "sd": float(np.std(made, ddof=1))}
        self.fidelity_: dict[str, float] = {}
        self.notes_ = [
            f"surrogate of {self.imitates_}: imitates its log hazards by least squares; no intervals",
            *self.preparation_.notes_,
            *self.cox_.notes_,
        ]
        self.n_, self.events_ = len(y), int(y.event.sum())
        self.follow_up_months_ = float(y.time_months.max())
        self.outcome_name_, self.simulated_ = y.name, y.simulated

    def _take_after(self, content: Mapping[str, Any]) -> None:
        """What :class:`PreparedModel` reads: parameters of the boosted model, not of this one."""
        self.content, self.harmonize_by = content["content"], content["harmonize_by"]
        self.clinical, self.protect = list(content["clinical"]), list(content["protect"])

    @property
    def last_step(self) -> Any:
        """The Cox-type model."""
        check_is_fitted(self, "notes_")
        return self.cox_

    def log_hazard(self, X: pd.DataFrame) -> Floats:
        """The log hazard that is imitated, on the scale of the boosted model, shape (n,)."""
        return self.predict_risk(X) + self.cox_.intercept_

    @property
    def note(self) -> str:
        """What must stand wherever the model is shown: whose surrogate it is, and how good a one."""
        return fidelity_words(self.imitates_, self.fidelity_)

    def explain(self) -> pd.DataFrame:
        """Hazard ratios, without limits."""
        return self.cox_.summary()

    def to_frame(self) -> pd.DataFrame:
        """The same as :meth:`explain`."""
        return self.explain()

    def _repr_html_(self) -> str:
        if not hasattr(self, "notes_"):
            return f"<p>{self!r}</p>"
        return f"<p>{self.note}</p>" + self.cox_._repr_html_()

    # -- model file --------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """All that was learnt, for a JSON file."""
        check_is_fitted(self, "groups_")
        steps: dict[str, Any] = {"preparation": self.preparation_.to_dict()}
        if hasattr(self, "rad_score_"):
            score = self.rad_score_
            steps["rad_score"] = {
                "formula": score.formula_.to_dict("list"), "n_features": score.n_features_,
            }  # fmt: skip
        steps["cox"] = self.cox_.to_dict()
        return {
            "parameters": self.get_params(),
            "imitates": {"name": self.imitates_, **{key: getattr(self, key) for key in _KEPT}},
            "steps": steps,
            "risk_groups": {"how": self.groups_.how, "cut_points": list(self.groups_.cut_points_)},
            **{key: getattr(self, f"{key}_") for key in _PLAIN},
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> SurrogateModel:
        """Inverse of :meth:`to_dict`."""
        model, steps = cls(**content["parameters"]), content["steps"]
        model._take_after(content["imitates"])
        model.imitates_ = content["imitates"]["name"]
        model.preparation_ = Preparation.from_dict(steps["preparation"])
        if "rad_score" in steps:
            score = steps["rad_score"]
            model.rad_score_ = _score_of(pd.DataFrame(score["formula"]), score["n_features"])
        model.cox_ = SurrogateCox.from_dict(steps["cox"])
        model.groups_ = RiskGroups(content["risk_groups"]["how"])
        model.groups_.cut_points_ = tuple(content["risk_groups"]["cut_points"])
        for key in _PLAIN:
            setattr(model, f"{key}_", content[key])
        return model


def is_boosted(model: Any) -> bool:
    """Whether a model is a boosted standard model, fitted or not: those have surrogates."""
    return isinstance(model, PrognosticModel) and model.learner == "boosted"


def fidelity_words(name: str, fidelity: Mapping[str, float]) -> str:
    """Whose surrogate it is, and how well it imitates.

    Examples
    --------
    >>> fidelity_words("combined_boosted", {"r2": 0.81, "survival_difference_60": 0.031})[:59]
    'Surrogate of combined_boosted, an imitation without confide'
    """
    parts = [
        f"{words} {fidelity[key]:.2f}"
        for key, words in (("r2", "R²"), ("spearman", "rank correlation of the risks"))
        if key in fidelity
    ]
    gaps = {key.rpartition("_")[2]: gap for key, gap in fidelity.items() if key.startswith("survival_diff")}
    if gaps:
        months, sizes = ", ".join(gaps), ", ".join(f"{gap:.3f}" for gap in gaps.values())
        parts.append(f"survival at {months} months differs by {sizes} on average")
    known = f"On patients held out: {'; '.join(parts)}." if parts else "How well it imitates is not known."
    return f"Surrogate of {name}, an imitation without confidence intervals. {known}"


def _knots(values: pd.Series, wanted: int) -> int:
    """As many knots as asked for, or none where the values do not have room for them."""
    try:
        return len(default_knots(values, wanted)) if wanted else 0
    except CohortError:
        return 0


def _varies(values: pd.Series) -> bool:
    """Whether values differ from one another; trees may split on their absence alone."""
    known = values[np.isfinite(values)].to_numpy(dtype=float)
    return bool(len(known) and np.ptp(known) > 0)


def _imitating_score(features: pd.DataFrame, beside: Floats, log_hazard: Floats) -> RadScore:
    """Features weighted as least squares asks beside other columns, of mean 0 and SD 1 in training."""
    matrix = feature_matrix(features)
    fill = np.nanmedian(matrix, axis=0)
    matrix = np.where(np.isfinite(matrix), matrix, fill)
    mean, sd = matrix.mean(axis=0), matrix.std(axis=0)
    scaled = (matrix - mean) / sd
    weight = least_squares(np.column_stack([beside, scaled]), log_hazard)[0][beside.shape[1] :]
    weight = weight / (scaled @ weight).std()
    order = np.argsort(-np.abs(weight), kind="stable")
    formula = pd.DataFrame({
        "feature": list(features.columns), "coefficient": weight / sd, "fill": fill, "mean": mean,
        "sd": sd, "weight": weight,
    })  # fmt: skip
    return _score_of(formula.iloc[order].reset_index(drop=True), features.shape[1])


def _score_of(formula: pd.DataFrame, n_features: int) -> RadScore:
    """A score from its formula: nothing of it was tuned."""
    score = RadScore()
    score.formula_, score.n_features_ = formula, n_features
    score.fallback_, score.alpha_ = False, 0.0
    score.tuning_ = pd.DataFrame({"alpha": [], "deviance": [], "se": []})
    return score
