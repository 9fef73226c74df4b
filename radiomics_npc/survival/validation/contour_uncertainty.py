"""How far a patient's predicted survival moves when the contour of the tumor moves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from radiomics_npc.errors import CohortError, ConfigError, HorizonError
from radiomics_npc.features.repeated import REPEAT_INDEX, RepeatedFeatures
from radiomics_npc.survival.validation.scoring import pfs_column

__all__ = ["ContourUncertainty", "contour_uncertainty"]


@dataclass(frozen=True, eq=False)
class ContourUncertainty:
    """Predictions of one model for every contour of every patient.

    Parameters
    ----------
    predictions : DataFrame
        Indexed by (patient_id, perturbation): ``risk``, ``pfs_60`` (the
        horizon) and, where there are risk groups, ``group``.
    horizon_months : float
    reference : str or None
        The perturbation whose prediction is the answer given; None takes the
        median of all.
    coverage : float
        Share of the perturbations between ``lower`` and ``upper``.
    simulated : bool
        These patients, or those that the model was trained on, never lived.

    Notes
    -----
    The interval says what this set of perturbations does to the answer. It is
    no confidence interval: the uncertainty of the model's coefficients and
    baseline comes on top.
    """

    predictions: pd.DataFrame
    horizon_months: float
    reference: str | None
    coverage: float
    simulated: bool = False

    def to_frame(self) -> pd.DataFrame:
        """One row a patient.

        Returns
        -------
        DataFrame
            By patient_id: the probability at the horizon (``pfs_60``), its
            ``minimum``, ``lower``, ``upper`` and ``maximum`` over the
            perturbations, ``width`` (upper minus lower), ``perturbations``
            (how many), and with risk groups ``group`` and ``changes_group``
            (some perturbation leads to another one); simulated, if so.
        """
        name = pfs_column(self.horizon_months)
        by_patient = self.predictions[name].groupby(level=0, sort=False)
        tail = (1 - self.coverage) / 2
        answer = by_patient.median() if self.reference is None else self._of_reference()[name]
        table = pd.DataFrame({name: answer.reindex(by_patient.size().index)})
        table["minimum"], table["lower"] = by_patient.min(), by_patient.quantile(tail)
        table["upper"], table["maximum"] = by_patient.quantile(1 - tail), by_patient.max()
        table["width"] = table["upper"] - table["lower"]
        table["perturbations"] = by_patient.count()
        if "group" in self.predictions:
            codes = pd.Series(pd.factorize(self.predictions["group"])[0], self.predictions.index)
            if self.reference is not None:
                table["group"] = self._of_reference()["group"].reindex(table.index)
            table["changes_group"] = codes.groupby(level=0).max() > codes.groupby(level=0).min()
        if self.simulated:
            table["simulated"] = True
        return table

    def _of_reference(self) -> pd.DataFrame:
        chosen = self.predictions.index.get_level_values(1) == self.reference
        return self.predictions[chosen].droplevel(1)

    def summary(self) -> pd.DataFrame:
        """One row: patients, perturbations, widths over patients, share who change their group.

        Returns
        -------
        DataFrame
            ``horizon_months``, ``patients``, ``perturbations``,
            ``median_width``, ``upper_quartile_width``, ``largest_width``,
            ``share_changing_group`` (NaN without groups); simulated, if so.
        """
        table = self.to_frame()
        changing = table["changes_group"].mean() if "changes_group" in table else np.nan
        row: dict[str, Any] = {
            "horizon_months": self.horizon_months,
            "patients": len(table),
            "perturbations": len(self.predictions.index.unique(level=1)),
            "median_width": table["width"].median(),
            "upper_quartile_width": table["width"].quantile(0.75),
            "largest_width": table["width"].max(),
            "share_changing_group": changing,
        }
        if self.simulated:
            row["simulated"] = True
        return pd.DataFrame([row])

    def _repr_html_(self) -> str:
        row = self.summary().iloc[0]
        who = f"{row['patients']}{' simulated' if self.simulated else ''} patients"
        text = f"<p>{who} under {row['perturbations']} perturbations: the probability at "
        text += f"{self.horizon_months:g} months moves by {100 * row['median_width']:.1f} percentage points "
        text += f"(median; most {100 * row['largest_width']:.1f})"
        if not np.isnan(row["share_changing_group"]):
            text += f", and {row['share_changing_group']:.0%} of patients change their risk group"
        return text + ".</p>"


def contour_uncertainty(
    model: Any,
    repeats: RepeatedFeatures | pd.DataFrame,
    clinical: pd.DataFrame | None = None,
    *,
    horizon_months: float = 60.0,
    reference: str | None = "original",
    groups: Any = None,
    coverage: float = 0.9,
) -> ContourUncertainty:
    """Predict for every contour of every patient.

    Parameters
    ----------
    model : PrognosticModel, CoxModel or another fitted model
        With ``predict_risk`` and ``predict_survival``; nothing of it changes.
    repeats : RepeatedFeatures or DataFrame
        Features indexed by (patient_id, perturbation), as
        :func:`radiomics_npc.features.perturbed.extract_perturbed` gives them.
    clinical : DataFrame, optional
        Clinical columns of these patients (and maybe others), by patient_id:
        the same for every contour.
    horizon_months : float
    reference : str, optional
        The perturbation that is the patient as drawn; None takes the median.
    groups : RiskGroups, optional
        Fitted; by default those of the model, if it has any.
    coverage : float
        Share of the perturbations within the interval.

    Returns
    -------
    ContourUncertainty

    Raises
    ------
    CohortError
        A patient has no clinical row, a column is absent, or nothing is there.
    ConfigError
        No perturbation is named as the reference, or a coverage outside 0 to 1.
    HorizonError
        The horizon is past the follow-up in training.

    Examples
    --------
    >>> from radiomics_npc.cohort.outcome import Outcome
    >>> from radiomics_npc.survival.models.cox import CoxModel
    >>> random = np.random.default_rng(0)
    >>> X = pd.DataFrame({"t1__size": random.normal(size=200)})
    >>> y = Outcome(random.exponential(40 * np.exp(-X["t1__size"])), np.ones(200), X.index)
    >>> index = pd.MultiIndex.from_product([["a", "b"], ["original", "grow"]], names=REPEAT_INDEX)
    >>> repeats = pd.DataFrame({"t1__size": [0.0, 0.1, 1.0, 1.1]}, index=index)
    >>> contour_uncertainty(CoxModel().fit(X, y), repeats, horizon_months=24).to_frame()["width"].round(3)
    patient_id
    a    0.026
    b    0.028
    Name: width, dtype: float64
    """
    values = repeats.to_frame() if isinstance(repeats, RepeatedFeatures) else repeats
    _require_sound(model, values, horizon_months, reference, coverage)
    groups = getattr(model, "groups_", None) if groups is None else groups
    parts = {}
    for name, features in values.groupby(level=1, sort=False):
        parts[str(name)] = _predicted(model, _joined(features.droplevel(1), clinical), horizon_months, groups)
    table = pd.concat(parts, names=REPEAT_INDEX[::-1]).swaplevel().loc[values.index]
    simulated = bool(getattr(repeats, "simulated", False) or getattr(model, "simulated_", False))
    return ContourUncertainty(table, float(horizon_months), reference, coverage, simulated)


def _require_sound(
    model: Any, values: pd.DataFrame, horizon: float, reference: str | None, coverage: float
) -> None:
    if list(values.index.names) != REPEAT_INDEX or values.index.has_duplicates or values.empty:
        raise CohortError(
            "repeated features need the index (patient_id, perturbation), each pair once",
            "Take those of extract_perturbed.",
        )
    if reference is not None and reference not in values.index.unique(level=1):
        raise ConfigError(
            f"no perturbation is named {reference}",
            "Name the one that is the patient as drawn, or give None.",
        )
    if not 0 < coverage <= 1:
        raise ConfigError(f"a coverage of {coverage} is none", "Take a number between 0 and 1, as 0.9.")
    last = getattr(model, "follow_up_months_", np.inf)
    if not 0 < horizon <= last:
        raise HorizonError(
            f"the model knows nothing at {horizon:g} months (follow-up {last:.1f})",
            "Take an earlier horizon.",
        )


def _joined(features: pd.DataFrame, clinical: pd.DataFrame | None) -> pd.DataFrame:
    if clinical is None:
        return features
    absent = ~features.index.isin(clinical.index)
    if absent.any():
        raise CohortError(
            f"{int(absent.sum())} patients with features have no clinical row",
            "Give the clinical columns of all of them.",
        )
    if clinical.index.has_duplicates:
        raise CohortError("a patient has two clinical rows", "Leave one row a patient.")
    return pd.concat([clinical.loc[features.index], features], axis=1)


def _predicted(model: Any, X: pd.DataFrame, horizon: float, groups: Any) -> pd.DataFrame:
    risk = model.predict_risk(X)
    found = {"risk": risk, pfs_column(horizon): model.predict_survival(X, [horizon])[:, 0]}
    table = pd.DataFrame(found, index=X.index)
    return table if groups is None else table.assign(group=groups.predict(risk))
