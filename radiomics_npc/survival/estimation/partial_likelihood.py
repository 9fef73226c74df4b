"""The Cox partial likelihood (Efron ties, strata) and its maximum.

References
----------
Cox DR. J R Stat Soc B 1972;34:187-220. Efron B. J Am Stat Assoc 1977;72:557-565.
Lin DY, Wei LJ. J Am Stat Assoc 1989;84:1074-1078 (robust covariance).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError
from radiomics_npc.survival.estimation.risk_sets import RiskSets, RiskSums

__all__ = ["PartialLikelihood", "maximize_partial_likelihood", "sandwich_covariance"]

Floats = NDArray[np.float64]
_LARGEST_COEFFICIENT = 15.0  # log hazard ratio for one SD beyond which a fit has run away
# Of the information, relative to the largest, or to 1 (the columns have a standard deviation of 1): columns
# are collinear, or do not vary among those at risk, where it is no larger.
_SMALLEST_EIGENVALUE = 1e-11
_STEP = 1e-9  # Newton's method squares the error, so the step after one this small changes nothing
_REMEDY = "Merge sparse levels, drop a column that follows from others, or give a penalizer."


class PartialLikelihood:
    """Risk sets of a cohort and its covariates, by stratum.

    Parameters
    ----------
    matrix : array, shape (n, p)
    y : Outcome
    strata : array, shape (n,), optional
        Patients are at risk together only within a stratum.

    Attributes
    ----------
    rows : list of array of int
        Patients of each stratum that has an event.

    Examples
    --------
    >>> y = Outcome([50, 30, 20, 60], [0, 1, 1, 0])
    >>> sums = PartialLikelihood(np.array([[4.0], [5], [6], [4.5]]), y).at(np.zeros(1))
    >>> round(sum(part.loglik for part in sums), 6)
    -2.484907
    """

    def __init__(self, matrix: Floats, y: Outcome, strata: ArrayLike | None = None) -> None:
        self.matrix = matrix
        labels = np.zeros(len(y), dtype=int) if strata is None else np.asarray(strata)
        groups = [np.flatnonzero(labels == label) for label in np.unique(labels)]
        self.rows = [rows for rows in groups if y.event[rows].any()]
        self._sets = [RiskSets(y.time_months[rows], y.event[rows]) for rows in self.rows]

    def at(self, beta: Floats) -> list[RiskSums]:
        """Sums over the risk sets of each stratum at some coefficients."""
        lp = self.matrix @ beta
        return [
            RiskSums(sets, self.matrix[rows], lp[rows])
            for sets, rows in zip(self._sets, self.rows, strict=True)
        ]


def maximize_partial_likelihood(
    matrix: Floats,
    y: Outcome,
    penalizer: float = 0.0,
    *,
    strata: ArrayLike | None = None,
    start: ArrayLike | None = None,
) -> tuple[Floats, Floats]:
    """Coefficients and their covariance, by Newton's method with halved steps.

    For what is fitted thousands of times, such as calibration slopes; a
    :class:`~radiomics_npc.survival.models.cox.CoxModel` is fitted by lifelines.

    Parameters
    ----------
    matrix : array, shape (n, p)
    y : Outcome
    penalizer : float
        Ridge penalty: ``n * penalizer / 2`` times the sum of squared standardized
        coefficients is taken off the log likelihood, as in lifelines.
    strata : array, shape (n,), optional
    start : array, shape (p,), optional
        Coefficients to start from, by default 0.

    Returns
    -------
    beta : array, shape (p,)
    covariance : array, shape (p, p)
        Inverse of the (penalized) information.

    Raises
    ------
    CohortError
        No event, columns that follow from others, or a coefficient without limit.

    Examples
    --------
    >>> y = Outcome([50, 30, 20, 60, 45, 10], [0, 1, 1, 0, 1, 1])
    >>> maximize_partial_likelihood(np.array([[4.0], [5], [6], [4.5], [5.5], [4.8]]), y)[0].round(2)
    array([1.29])
    """
    if not y.event.any():
        raise CohortError("no patient has an event: a Cox model cannot be fitted")
    scale = matrix.std(axis=0, ddof=1)
    if not (scale > 0).all():
        raise CohortError("the Cox fit did not converge: a column is constant", _REMEDY)
    likelihood = PartialLikelihood((matrix - matrix.mean(axis=0)) / scale, y, strata)
    ridge = len(y) * float(penalizer)
    beta = np.zeros(matrix.shape[1]) if start is None else np.asarray(start, dtype=float) * scale
    sums = likelihood.at(beta)
    for _ in range(100):
        values, vectors = _eigen(sums, ridge)
        score = np.sum([part.residuals().sum(axis=0) for part in sums], axis=0) - ridge * beta
        step = vectors @ ((vectors.T @ score) / values)
        beta, sums = _climb(likelihood, beta, sums, step, ridge)
        if np.abs(beta).max() > _LARGEST_COEFFICIENT:
            raise CohortError("a coefficient of the Cox fit grows without limit (separated data)", _REMEDY)
        if np.abs(step).max() < _STEP:
            break
    else:
        raise CohortError("the Cox fit did not converge", _REMEDY)
    values, vectors = _eigen(sums, ridge)
    return beta / scale, (vectors / values) @ vectors.T / np.outer(scale, scale)


def _eigen(sums: list[RiskSums], ridge: float) -> tuple[Floats, Floats]:
    """Eigenvalues and vectors of the information, which must be well above 0."""
    information = np.sum([part.information() for part in sums], axis=0)
    values, vectors = np.linalg.eigh(information + ridge * np.eye(len(information)))
    if not values[0] > _SMALLEST_EIGENVALUE * max(values[-1], 1.0):
        why = "columns follow from one another, or do not vary among those at risk"
        raise CohortError(f"the Cox fit did not converge: {why}", _REMEDY)
    return values, vectors


def _climb(
    likelihood: PartialLikelihood, beta: Floats, sums: list[RiskSums], step: Floats, ridge: float
) -> tuple[Floats, list[RiskSums]]:
    """Go the step, or the largest half, quarter, ... of it that does not go downhill."""

    def height(at: Floats, parts: list[RiskSums]) -> float:
        return sum(part.loglik for part in parts) - ridge / 2 * float(at @ at)

    now = height(beta, sums)
    for halvings in range(30):
        new = beta + step / 2**halvings
        there = likelihood.at(new)
        if height(new, there) >= now - 1e-10 * (1 + abs(now)):
            return new, there
    raise CohortError("the Cox fit did not converge", _REMEDY)


def sandwich_covariance(
    matrix: Floats,
    y: Outcome,
    beta: Floats,
    covariance: Floats,
    *,
    strata: ArrayLike | None = None,
    cluster: ArrayLike | None = None,
) -> Floats:
    """Covariance of coefficients that stays right when the model is not, or patients are related.

    The infinitesimal jackknife: products of what each patient (or cluster) moves the
    coefficients, which is the score residual times the covariance.

    Parameters
    ----------
    matrix : array, shape (n, p)
    y : Outcome
    beta, covariance : array, shape (p,) and (p, p)
        Of the fit.
    strata, cluster : array, shape (n,), optional

    Returns
    -------
    array, shape (p, p)

    Examples
    --------
    >>> y = Outcome([50, 30, 20, 60, 45, 10], [0, 1, 1, 0, 1, 1])
    >>> X = np.array([[4.0], [5], [6], [4.5], [5.5], [4.8]])
    >>> sandwich_covariance(X, y, *maximize_partial_likelihood(X, y)).round(3)
    array([[0.446]])
    """
    likelihood = PartialLikelihood(matrix - matrix.mean(axis=0), y, strata)
    moved = np.zeros_like(matrix)
    for rows, part in zip(likelihood.rows, likelihood.at(beta), strict=True):
        moved[rows] = part.score_residuals()
    moved = moved @ covariance
    if cluster is not None:
        _, member = np.unique(np.asarray(cluster).astype(str), return_inverse=True)
        moved = np.stack([np.bincount(member, weights=column) for column in moved.T], axis=1)
    result: Floats = moved.T @ moved
    return result
