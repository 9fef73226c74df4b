"""Regression of the cumulative incidence: the proportional subdistribution hazards model.

For the effect of a covariate on how many patients have the event, when others have a
competing one first. For its effect on the rate among those still free of any event, fit
a ``CoxModel`` to ``y.cause_specific(1)`` instead; reports should give both.

References
----------
Fine JP, Gray RJ. J Am Stat Assoc 1999;94:496-509. Latouche A et al. J Clin Epidemiol
2013;66:648-653 (report both). The numbers are those of ``crr`` of R's cmprsk.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from radiomics_npc.cohort.competing import CompetingOutcome
from radiomics_npc.survival.design import Design, check_rows
from radiomics_npc.survival.estimation.baseline import survival_at
from radiomics_npc.survival.estimation.subdistribution import fit_subdistribution
from radiomics_npc.survival.models.hazard_ratios import hazard_ratios
from radiomics_npc.survival.models.regression import Regression

__all__ = ["FineGrayModel"]

Floats = NDArray[np.float64]


class FineGrayModel(Regression):
    """Fine and Gray's model, with Breslow's method for ties.

    Parameters
    ----------
    cause : int
        The event of interest; all others compete.
    min_category : int
        Levels of a factor with fewer patients, or where none or all had the
        event, are merged (see :func:`radiomics_npc.survival.design.merge_levels`).

    Attributes
    ----------
    terms_ : list of Term
        Without coefficients; those are in ``coef_``.
    coef_ : Series
        Log subdistribution hazard ratios, by ``age`` or ``T=T3``.
    covariance_ : DataFrame
        Sandwich, with the part of the estimated censoring distribution.
    baseline_ : DataFrame
        ``time_months``, ``cumulative_hazard`` of the subdistribution where all columns are 0.
    follow_up_months_ : float
        Largest follow-up time: incidence is NaN later.
    n_, events_, competing_events_ : int
    loglik_ : float
    merged_, dropped_ : dict
    notes_ : list of str

    Examples
    --------
    >>> y = CompetingOutcome([5, 8, 12, 20, 31, 40, 44, 50], [1, 2, 1, 1, 0, 2, 1, 0])
    >>> X = pd.DataFrame({"dose": [3.0, 1, 2, 0.5, 0, 2, 1, 0.3]}, index=y.patient_id)
    >>> model = FineGrayModel().fit(X, y)
    >>> model.predict_cumulative_incidence(X.iloc[[0, 4]], [24]).round(2)
    array([[0.93],
           [0.11]])
    """

    def __init__(self, *, cause: int = 1, min_category: int = 10) -> None:
        self.cause = cause
        self.min_category = min_category

    def fit(self, X: pd.DataFrame, y: CompetingOutcome) -> Self:
        """Fit to numeric columns and Categorical factors.

        Raises
        ------
        CohortError
            Missing values, no event of this cause, other patients in X than in y, or
            a fit that does not converge.
        """
        own = y.cause_specific(self.cause)
        check_rows(X, own)
        design = Design(X, own, min_category=self.min_category)
        self.merged_, self.dropped_, self.notes_ = design.merged, design.dropped, design.notes
        found = fit_subdistribution(design.encode(X), y, self.cause)
        self.terms_ = list(design.terms)
        self._keep_coefficients(found.beta, found.covariance, design.columns)
        self.baseline_, self.loglik_ = found.baseline, found.loglik
        self.follow_up_months_ = float(y.time_months.max())
        self.n_, self.events_ = len(y), int(own.event.sum())
        self.competing_events_ = int((y.cause > 0).sum()) - self.events_
        self.outcome_name_, self.simulated_ = y.name, y.simulated
        return self

    def predict_cumulative_incidence(self, X: pd.DataFrame, times: Sequence[float] | ArrayLike) -> Floats:
        """Probability to have had the event first, shape (n, t); NaN past the follow-up in training."""
        return 1.0 - survival_at(self.baseline_, self.predict_risk(X), times, last=self.follow_up_months_)

    def summary(self, *, confidence: float = 0.95) -> pd.DataFrame:
        """Subdistribution hazard ratios: one row a coefficient, and one with 1 for each reference level.

        Returns
        -------
        DataFrame
            Columns term, level, coef, se, hazard_ratio, lower, upper, z, p; simulated, if so.
        """
        check_is_fitted(self, "terms_")
        table = hazard_ratios(self.terms_, self.coef_, self.covariance_, confidence=confidence)
        table.insert(3, "se", np.nan)
        table.loc[table["z"].notna(), "se"] = np.sqrt(np.diag(self.covariance_))
        return table.assign(simulated=True) if self.simulated_ else table

    def _title(self, who: str) -> str:
        competing = f"{self.competing_events_} competing events"
        return f"Fine-Gray model: {self.n_} {who}, {self.events_} events, {competing}"

    def to_dict(self) -> dict[str, Any]:
        """All that was learnt, for a JSON file; no patient rows."""
        check_is_fitted(self, "terms_")
        return {
            "parameters": self.get_params(),
            "terms": [term.to_dict() for term in self.terms_],
            "coefficients": self.coef_.tolist(),
            "covariance": self.covariance_.to_numpy().tolist(),
            "baseline": self.baseline_.to_dict("list"),
            **{key: getattr(self, f"{key}_") for key in _PLAIN},
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> FineGrayModel:
        """Inverse of :meth:`to_dict`."""
        model = cls(**content["parameters"])
        columns = model._read_terms(content)
        model._keep_coefficients(content["coefficients"], content["covariance"], columns)
        model.baseline_ = pd.DataFrame(content["baseline"])
        for key in _PLAIN:
            setattr(model, f"{key}_", content[key])
        return model


_PLAIN = (
    "follow_up_months", "n", "events", "competing_events", "loglik", "merged", "dropped", "notes",
    "outcome_name", "simulated",
)  # fmt: skip
