"""The weighted partial likelihood of Fine and Gray, its maximum, variance and baseline.

A patient with a competing event stays in the risk set, with the probability not
to have been censored since as weight, so that the model speaks of the cumulative
incidence itself. Censoring must not depend on the covariates.

References
----------
Fine JP, Gray RJ. J Am Stat Assoc 1999;94:496-509. Ties by Breslow; risk sets, censoring
distribution (Kaplan-Meier, just before each time) and the sandwich variance with the
part of the estimated censoring are those of ``crr`` of R's cmprsk.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from radiomics_npc.cohort.competing import CompetingOutcome
from radiomics_npc.errors import CohortError

__all__ = ["Subdistribution", "fit_subdistribution"]

Floats = NDArray[np.float64]
_MAX_STEPS = 50
_MAX_HALVINGS = 20
_LARGEST_COEFFICIENT = 15.0  # log hazard ratio for one SD beyond which a fit has run away


@dataclass(frozen=True, eq=False)
class Subdistribution:
    """A fitted model.

    Parameters
    ----------
    beta : array, shape (p,)
    covariance : array, shape (p, p)
        Sandwich.
    baseline : DataFrame
        ``time_months``, ``cumulative_hazard`` of the subdistribution where all covariates are 0.
    loglik : float
        Log partial likelihood.
    """

    beta: Floats
    covariance: Floats
    baseline: pd.DataFrame
    loglik: float


def fit_subdistribution(matrix: Floats, y: CompetingOutcome, cause: int = 1) -> Subdistribution:
    """Maximize the weighted partial likelihood.

    Parameters
    ----------
    matrix : array, shape (n, p)
    y : CompetingOutcome
    cause : int
        The event of interest; all others compete.

    Returns
    -------
    Subdistribution

    Raises
    ------
    CohortError
        No event of this cause, no convergence, or a coefficient without limit.

    Examples
    --------
    >>> y = CompetingOutcome([5, 8, 12, 20, 31, 40, 44, 50], [1, 2, 1, 1, 0, 2, 1, 0])
    >>> x = np.array([[3.0], [1], [2], [0.5], [0], [2], [1], [0.3]])
    >>> fit_subdistribution(x, y).beta.round(3)
    array([1.035])
    """
    y.require_cause(cause)
    if not (y.cause == cause).any():
        raise CohortError(f"no patient has the event ({y.names[cause - 1]}): no model can be fitted")
    center = matrix.mean(axis=0)
    sets = _RiskSets(matrix - center, y, cause)
    beta = _maximize(sets, matrix.std(axis=0))
    loglik, _, information = sets.derivatives(beta)
    bread = np.linalg.inv(information)
    influence = sets.score_residuals(beta)
    covariance = bread @ (influence.T @ influence) @ bread
    hazard = np.cumsum(sets.events / sets.sums(beta)[0]) * np.exp(-center @ beta)
    baseline = pd.DataFrame({"time_months": sets.when, "cumulative_hazard": hazard})
    return Subdistribution(beta, covariance, baseline, loglik)


def _maximize(sets: _RiskSets, spread: Floats) -> Floats:
    """Newton's steps, halved while they do not climb."""
    remedy = "Merge sparse levels, or drop a column that follows from others."
    beta = np.zeros(len(spread))
    loglik, score, information = sets.derivatives(beta)
    for _ in range(_MAX_STEPS):
        try:
            step = np.linalg.solve(information, score)
        except np.linalg.LinAlgError:
            raise CohortError("the Fine-Gray fit did not converge", remedy) from None
        if np.abs(step * spread).max(initial=0.0) < 1e-12:
            return beta
        for _ in range(_MAX_HALVINGS):
            found = sets.derivatives(beta + step)
            if found[0] >= loglik - 1e-9 * max(1.0, abs(loglik)):
                break
            step = step / 2
        beta = beta + step
        if np.abs(beta * spread).max() > _LARGEST_COEFFICIENT:
            break
        loglik, score, information = found
    raise CohortError("a coefficient of the Fine-Gray fit grows without limit (separated data)", remedy)


class _RiskSets:
    """Weighted sums over the risk set of every distinct event time, in one pass each."""

    def __init__(self, matrix: Floats, y: CompetingOutcome, cause: int) -> None:
        order = np.argsort(y.time_months, kind="stable")
        self.matrix, code = matrix[order], y.cause[order]
        times, self.first, self.at = np.unique(y.time_months[order], return_index=True, return_inverse=True)
        self.n_at_risk = len(y) - self.first
        self.is_event, self.is_censored = code == cause, code == 0
        self.censored = np.bincount(self.at, self.is_censored)
        free = np.cumprod(1.0 - self.censored / self.n_at_risk)
        self.uncensored = np.concatenate([[1.0], free[:-1]])  # just before each time
        competing = ~self.is_event & ~self.is_censored
        # what a competing event weighs later is this times ``uncensored`` of that time
        self.stays = competing / self.uncensored[self.at]
        events = np.bincount(self.at, self.is_event)
        self.rows = np.flatnonzero(events)
        self.events, self.when = events[self.rows], times[self.rows]

    def sums(self, beta: Floats) -> tuple[Floats, Floats, Floats]:
        """Sums of weight, weight times x, and weight times x x', at every event time."""
        x = self.matrix
        hazard = np.exp(x @ beta)
        return (
            self._sum(hazard),
            self._sum(hazard[:, None] * x),
            self._sum(hazard[:, None, None] * x[:, :, None] * x[:, None, :]),
        )

    def _sum(self, values: Floats) -> Floats:
        still = np.cumsum(values[::-1], axis=0)[::-1][self.first[self.rows]]
        gone = _from_zero(_scale(self.stays, values))[self.first[self.rows]]
        result: Floats = still + _scale(self.uncensored[self.rows], gone)
        return result

    def derivatives(self, beta: Floats) -> tuple[float, Floats, Floats]:
        """Log partial likelihood, score and information."""
        with np.errstate(over="ignore", invalid="ignore"):
            total, first, second = self.sums(beta)
            mean = first / total[:, None]
            own = self.matrix[self.is_event]
            loglik = float((own @ beta).sum() - self.events @ np.log(total))
            spread = second / total[:, None, None] - mean[:, :, None] * mean[:, None, :]
        information = np.einsum("e,ejk->jk", self.events, spread)
        if not (np.isfinite(loglik) and np.isfinite(information).all()):
            return -np.inf, np.zeros_like(beta), information
        return loglik, own.sum(axis=0) - self.events @ mean, information

    def score_residuals(self, beta: Floats) -> Floats:
        """Each patient's part of the score, and of the estimated censoring (eta + psi of the paper)."""
        total, first, _ = self.sums(beta)
        mean, rise = first / total[:, None], self.events / total
        hazard = np.exp(self.matrix @ beta)
        passed = np.searchsorted(self.rows, self.at, side="right")
        rises, means = _from_zero(rise), _from_zero(rise[:, None] * mean)
        weighted = self.uncensored[self.rows] * rise
        later, later_means = _still_to_come(weighted), _still_to_come(weighted[:, None] * mean)
        seen = rises[passed] + self.stays * later[passed]
        seen_means = means[passed] + self.stays[:, None] * later_means[passed]
        result: Floats = -hazard[:, None] * (self.matrix * seen[:, None] - seen_means)
        result[self.is_event] += self.matrix[self.is_event] - mean[passed[self.is_event] - 1]
        return result + self._censoring_part(hazard, later, later_means)

    def _censoring_part(self, hazard: Floats, later: Floats, later_means: Floats) -> Floats:
        """What it adds that the weights are estimated."""
        weight = self.stays * hazard
        gone = _from_zero(weight)[self.first]
        gone_x = _from_zero(weight[:, None] * self.matrix)[self.first]
        ahead = np.searchsorted(self.rows, np.arange(len(self.first)), side="left")
        q = gone_x * later[ahead][:, None] - gone[:, None] * later_means[ahead]
        hazard_of_censoring = self.censored / self.n_at_risk**2
        result: Floats = -np.cumsum(q * hazard_of_censoring[:, None], axis=0)[self.at]
        result[self.is_censored] += (q / self.n_at_risk[:, None])[self.at[self.is_censored]]
        return result


def _scale(factors: Floats, values: Floats) -> Floats:
    return factors.reshape(-1, *[1] * (values.ndim - 1)) * values


def _from_zero(values: Floats) -> Floats:
    """Running sums, with the empty sum in front."""
    return np.concatenate([np.zeros((1, *values.shape[1:])), np.cumsum(values, axis=0)])


def _still_to_come(values: Floats) -> Floats:
    """Sums from each place to the end, with the empty sum behind."""
    return np.concatenate([np.cumsum(values[::-1], axis=0)[::-1], np.zeros((1, *values.shape[1:]))])
