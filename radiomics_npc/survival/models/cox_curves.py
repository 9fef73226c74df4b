"""Baseline hazard of a Cox model by stratum, and the uncertainty of what it predicts.

References
----------
Therneau TM, Grambsch PM. Modeling Survival Data. Springer 2000, section 10.2: the
variance of a cumulative hazard has a part of the baseline and a part of the
coefficients, both sums over event times.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError
from radiomics_npc.survival.estimation.baseline import step_function, survival_at
from radiomics_npc.survival.estimation.partial_likelihood import PartialLikelihood
from radiomics_npc.survival.estimation.risk_sets import RiskSums

__all__ = ["Curve", "curves_by_stratum", "learn_curves", "strata_table"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Curve:
    """Baseline of one stratum.

    Parameters
    ----------
    baseline : DataFrame
        ``time_months``, ``cumulative_hazard`` where all covariates are 0.
    spread : DataFrame
        At the same times ``hazard`` and ``variance`` at the center of the covariates, then
        for each covariate the sum of its mean at risk times the hazard's step.
    last : float
        Largest follow-up time, months.
    """

    baseline: pd.DataFrame
    spread: pd.DataFrame
    last: float

    def survival(self, linear_predictor: Floats, times: Sequence[float] | ArrayLike) -> Floats:
        """Survival probabilities, shape (n, t)."""
        return survival_at(self.baseline, linear_predictor, times, last=self.last)

    def interval(
        self,
        linear_predictor: Floats,
        matrix: Floats,
        coef: pd.Series,
        covariance: pd.DataFrame,
        time: float,
        *,
        confidence: float,
    ) -> Floats:
        """Limits of the survival probability at a time, shape (n, 2); ``matrix`` is centered."""
        row = step_function(self.baseline["time_months"], self.spread, [time], last=self.last)[0]
        hazard, variance, means = row[0], row[1], row[2:]
        shift = means - matrix * hazard
        variance = variance + np.einsum("ij,jk,ik->i", shift, covariance.to_numpy(), shift)
        relative = np.exp(matrix @ coef.to_numpy())
        reach = norm.ppf(0.5 + confidence / 2) * relative * np.sqrt(variance)
        total = -np.log(self.survival(linear_predictor, [time])[:, 0])
        return np.column_stack([np.exp(-total - reach), np.minimum(1.0, np.exp(-total + reach))])


def learn_curves(
    matrix: Floats, y: Outcome, coef: pd.Series, groups: NDArray[np.str_] | None
) -> tuple[pd.DataFrame, pd.DataFrame, float]:
    """Baseline, sums for the variance, and log partial likelihood of a fit.

    Parameters
    ----------
    matrix : array, shape (n, p)
    y : Outcome
    coef : Series, shape (p,)
    groups : array of str, shape (n,), optional
        Stratum of every patient.

    Returns
    -------
    baseline, spread : DataFrame
        As :class:`Curve` takes them; the baseline with a first column ``stratum`` if there are any.
    loglik : float
    """
    center, beta = matrix.mean(axis=0), coef.to_numpy()
    likelihood = PartialLikelihood(matrix - center, y, groups)
    sums = likelihood.at(beta)
    tables = [_running_sums(part, coef.index) for part in sums]
    if groups is not None:
        for rows, table in zip(likelihood.rows, tables, strict=True):
            table.insert(0, "stratum", str(groups[rows[0]]))
    curve = pd.concat(tables, ignore_index=True)
    kept = [name for name in ("stratum", "time_months") if name in curve]
    baseline = curve[kept].assign(cumulative_hazard=curve["hazard"] * np.exp(-float(center @ beta)))
    return baseline, curve.drop(columns=kept), sum(part.loglik for part in sums)


def strata_table(y: Outcome, groups: NDArray[np.str_] | None) -> pd.DataFrame:
    """Size and follow-up of each stratum."""
    labels = np.empty(0, dtype=np.str_) if groups is None else np.unique(groups)
    members = [np.flatnonzero(groups == label) for label in labels]
    return pd.DataFrame({
        "stratum": [str(label) for label in labels],
        "n": [len(rows) for rows in members],
        "events": [int(y.event[rows].sum()) for rows in members],
        "follow_up_months": [float(y.time_months[rows].max()) for rows in members],
    })  # fmt: skip


def curves_by_stratum(
    baseline: pd.DataFrame, spread: pd.DataFrame, strata: pd.DataFrame, groups: NDArray[np.str_]
) -> Iterator[tuple[NDArray[np.intp], Curve]]:
    """Patients of each stratum, and its curve.

    Parameters
    ----------
    baseline, spread : DataFrame
        Of all strata, as :func:`learn_curves` gives them.
    strata : DataFrame
        As :func:`strata_table` gives it.
    groups : array of str, shape (n,)
        Stratum of every patient to predict for.

    Raises
    ------
    CohortError
        A stratum that no training patient was in.
    """
    known = dict(zip(strata["stratum"], strata["follow_up_months"], strict=True))
    if unknown := sorted(set(groups) - set(known)):
        raise CohortError(
            f"no training patient was in stratum {'; '.join(unknown[:5])}", f"Known: {'; '.join(known)}."
        )
    for name in np.unique(groups):
        own = (baseline["stratum"] == name).to_numpy()
        yield np.flatnonzero(groups == name), Curve(baseline[own], spread[own], known[name])


def _running_sums(sums: RiskSums, columns: pd.Index) -> pd.DataFrame:
    """Cumulative hazard, its variance, and its slope in the covariates, at their center."""
    sets, totals = sums.sets, sums.totals * np.exp(sums.shift)
    steps = np.column_stack([1 / totals, 1 / totals**2, sums.means / totals[:, None]])
    names = ["hazard", "variance", *(f"mean {column}" for column in columns)]
    table = pd.DataFrame(np.cumsum(sets.by_time(steps), axis=0), columns=names)
    table.insert(0, "time_months", sets.times)
    return table
