"""Test of proportional hazards, as ``survival::cox.zph`` (3.x) makes it, and its residuals.

For each term the score test of an additional coefficient times a function of time:
whether the effect of the term changes over follow-up.

References
----------
Grambsch PM, Therneau TM. Biometrika 1994;81:515-526. Therneau TM. A package for
survival analysis in R, version 3, and its noweb source (zph), for the score test.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import chi2, rankdata
from sklearn.utils.validation import check_is_fitted

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError, ConfigError
from radiomics_npc.survival.design import check_rows
from radiomics_npc.survival.estimation.partial_likelihood import PartialLikelihood
from radiomics_npc.survival.estimation.risk_sets import RiskSums
from radiomics_npc.survival.models.cox import CoxModel
from radiomics_npc.survival.splines import spline_basis
from radiomics_npc.survival.strata import stratum_labels
from radiomics_npc.survival.terms import encode_terms

__all__ = ["ProportionalHazards", "proportional_hazards_test"]

Floats = NDArray[np.float64]
Transform = Literal["km", "rank", "identity", "log"]


@dataclass(frozen=True, eq=False)
class ProportionalHazards:
    """Result of the test.

    Parameters
    ----------
    table : DataFrame
        By term, with ``GLOBAL`` last: chisq, df, p. A small p: the effect changes over time.
    transform : str
        Function of time.
    residuals : DataFrame
        One row an event, by time: ``time_months``, ``transformed``, then for each term the
        scaled Schoenfeld residual plus the coefficient (for a term of several columns 1, the
        coefficient of its part of the linear predictor): the effect at that time, with noise.
    simulated : bool
    """

    table: pd.DataFrame
    transform: str
    residuals: pd.DataFrame
    simulated: bool = False

    def smooth(self, term: str, *, points: int = 60, knots: int = 4) -> pd.DataFrame:
        """Effect of a term over time: a spline through its residuals, for a figure.

        Parameters
        ----------
        term : str
        points, knots : int
            Of the curve; the knots stand at equal steps of the quantiles of time.

        Returns
        -------
        DataFrame
            time_months, effect, lower, upper (95%, pointwise).

        Raises
        ------
        ConfigError
            No such term, or too few events for the knots.
        """
        if term not in self.table.index[:-1]:
            raise ConfigError(f"there is no term {term}", f"Take one of {', '.join(self.table.index[:-1])}.")
        x, y = self.residuals["transformed"].to_numpy(), self.residuals[term].to_numpy()
        at = np.quantile(x, np.linspace(0, 1, knots))
        if len(x) <= knots or not (np.diff(at) > 0).all():
            raise ConfigError(f"too few event times for {knots} knots", "Take fewer.")
        grid = np.linspace(x.min(), x.max(), points)
        seen, shown = (np.column_stack([np.ones(len(v)), spline_basis(v, at)]) for v in (x, grid))
        q, r = np.linalg.qr(seen)
        rows = np.linalg.solve(r.T, shown.T).T
        effect = rows @ (q.T @ y)
        error = np.sqrt(np.sum((y - q @ (q.T @ y)) ** 2) / (len(x) - knots) * np.sum(rows**2, axis=1))
        months = np.interp(grid, x, self.residuals["time_months"])
        return pd.DataFrame({
            "time_months": months, "effect": effect,
            "lower": effect - 1.959963984540054 * error, "upper": effect + 1.959963984540054 * error,
        })  # fmt: skip

    def to_frame(self) -> pd.DataFrame:
        """Columns term, chisq, df, p; the last row is GLOBAL."""
        table = self.table.rename_axis("term").reset_index()
        return table.assign(simulated=True) if self.simulated else table

    def _repr_html_(self) -> str:
        who = ", simulated patients" if self.simulated else ""
        head = f"<p>Test of proportional hazards (time: {self.transform}{who})</p>"
        return head + self.to_frame().to_html(index=False, float_format="{:.3g}".format)


def proportional_hazards_test(
    model: CoxModel, X: pd.DataFrame, y: Outcome, transform: Transform = "km"
) -> ProportionalHazards:
    """Score test of proportional hazards, for each term and for all.

    Parameters
    ----------
    model : CoxModel
        Fitted without penalty; splines, interactions and strata may be in it.
    X : DataFrame
    y : Outcome
        The patients that it was fitted to.
    transform : {"km", "rank", "identity", "log"}
        Of time: 1 - Kaplan-Meier (R's default, robust to long follow-up), ranks, months, log.

    Returns
    -------
    ProportionalHazards

    Raises
    ------
    ConfigError
        Unknown transform, a penalized model or one without coefficients.
    CohortError
        Other patients than the model was fitted to, or an event at time 0 with ``log``.

    Examples
    --------
    >>> X = pd.DataFrame({"age": [40.0, 50, 60, 45, 55, 65]}, index=list("abcdef"))
    >>> y = Outcome([50, 30, 20, 25, 45, 40], [0, 1, 1, 0, 1, 1], X.index)
    >>> proportional_hazards_test(CoxModel().fit(X, y), X, y).to_frame().round(3)
         term  chisq  df      p
    0     age  0.438   1  0.508
    1  GLOBAL  0.438   1  0.508
    """
    check_is_fitted(model, "terms_")
    check_rows(X, y)
    if transform not in get_args(Transform):
        raise ConfigError(
            f"{transform!r} is no transform of time", f"Take one of {', '.join(get_args(Transform))}."
        )
    if model.penalizer_ > 0 or not len(model.coef_):
        raise ConfigError(
            "the test needs a Cox model with coefficients and without penalty", "Fit one without penalizer."
        )
    matrix = encode_terms(model.terms_, X)
    beta = np.asarray(model.coef_, dtype=np.float64)
    groups = stratum_labels(X, model.strata) if len(model.strata) else None
    likelihood = PartialLikelihood(matrix - matrix.mean(axis=0), y, groups)
    sums = likelihood.at(beta)
    _check_maximum(sums, matrix.std(axis=0))
    time = _transformed(y, transform)
    when = [time[rows[part.sets.rows]] for rows, part in zip(likelihood.rows, sums, strict=True)]
    months = np.concatenate(
        [y.time_months[rows[part.sets.rows]] for rows, part in zip(likelihood.rows, sums, strict=True)]
    )
    order = np.argsort(months, kind="stable")
    residuals = _scaled_residuals(model, sums)[order]
    frame = pd.DataFrame(residuals, columns=[term.name for term in model.terms_])
    frame.insert(0, "transformed", np.concatenate(when)[order])
    frame.insert(0, "time_months", months[order])
    return ProportionalHazards(_score_tests(model, sums, when), transform, frame, y.simulated)


def _check_maximum(sums: list[RiskSums], scale: Floats) -> None:
    """At the patients of the fit the score is 0."""
    score = np.sum([part.residuals().sum(axis=0) for part in sums], axis=0)
    if (np.abs(score) > 1e-4 * np.maximum(scale, 1e-300)).any():
        raise CohortError(
            "these are not the patients that the model was fitted to", "Give X and y of the fit."
        )


def _transformed(y: Outcome, transform: Transform) -> Floats:
    """Function of time, for every patient."""
    time = y.time_months
    if transform == "rank":
        return np.asarray(rankdata(time), dtype=float)
    if transform == "log":
        if (time[y.event] <= 0).any():
            raise CohortError("an event at time 0 has no logarithm", "Take another transform.")
        return np.log(np.maximum(time, np.finfo(float).tiny))
    if transform == "identity":
        return time
    times, deaths = np.unique(time[y.event], return_counts=True)
    at_risk = len(time) - np.searchsorted(np.sort(time), times)
    survival = np.concatenate([[1.0], np.cumprod(1 - deaths / at_risk)])
    result: Floats = 1 - survival[np.searchsorted(times, time)]  # just before each time, as R takes it
    return result


def _score_tests(model: CoxModel, sums: list[RiskSums], when: list[Floats]) -> pd.DataFrame:
    """Chi-square of the additional coefficients times g(t), given those of the fit."""
    count = sum(len(g) for g in when)
    mean = sum(g.sum() for g in when) / count
    weights = [g - mean for g in when]
    pairs = list(zip(sums, weights, strict=True))
    score = np.sum([part.residuals().T @ g for part, g in pairs], axis=0)
    plain = np.sum([part.information() for part in sums], axis=0)
    cross = np.sum([part.information(g) for part, g in pairs], axis=0)
    square = np.sum([part.information(g**2) for part, g in pairs], axis=0)
    left = square - cross @ np.linalg.solve(plain, cross)
    names = np.repeat([term.name for term in model.terms_], [len(term.columns) for term in model.terms_])
    rows = {}
    for name in [*(term.name for term in model.terms_), "GLOBAL"]:
        own = np.flatnonzero(names == name) if name != "GLOBAL" else np.arange(len(names))
        statistic = float(score[own] @ np.linalg.solve(left[np.ix_(own, own)], score[own]))
        rows[name] = (statistic, len(own), float(chi2.sf(statistic, len(own))))
    return pd.DataFrame.from_dict(rows, orient="index", columns=["chisq", "df", "p"])


def _scaled_residuals(model: CoxModel, sums: list[RiskSums]) -> Floats:
    """Schoenfeld residuals over their mean variance, plus the coefficient; one column a term."""
    beta = model.coef_.to_numpy()
    weights = np.zeros((len(beta), len(model.terms_)))
    level = np.ones(len(model.terms_))
    at = 0
    for k, term in enumerate(model.terms_):
        width = len(term.columns)
        weights[at : at + width, k] = beta[at : at + width] if width > 1 else 1.0
        level[k] = beta[at] if width == 1 else 1.0
        at += width
    raw = np.concatenate([part.matrix[part.sets.rows] - part.tied_means() for part in sums]) @ weights
    information = np.sum([part.information() for part in sums], axis=0)
    variance = weights.T @ information @ weights / len(raw)
    result: Floats = np.linalg.solve(variance, raw.T).T + level
    return result
