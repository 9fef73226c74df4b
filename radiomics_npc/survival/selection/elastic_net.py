"""Elastic-net Cox regression with its penalty chosen by inner cross-validation.

scikit-survival's coordinate descent gives the path; columns are standardized
beforehand, and the screen is learnt again in every inner fold, so that the
penalty is not chosen with features that have seen the patients held out.

References
----------
Simon N, Friedman J, Hastie T, Tibshirani R. J Stat Softw 2011;39(5):1-13. Verweij
PJM, van Houwelingen HC. Cross-validation in survival analysis. Stat Med 1993;12:2305-2314.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError
from radiomics_npc.survival.folds import stratified_folds
from radiomics_npc.survival.selection.screening import Screen, screen_features

__all__ = [
    "ElasticNet",
    "Penalty",
    "elastic_net_path",
    "fit_elastic_net",
    "largest_penalty",
    "log_partial_likelihood",
]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Penalty:
    """How an elastic net is tuned.

    Parameters
    ----------
    l1_ratio : float
        1 is the lasso; towards 0 correlated features share the weight.
    steps : int
        Penalties on the path.
    smallest : float
        Last penalty as a part of the one where all coefficients are 0.
    rule : {"min", "1se"}
        Smallest deviance, or the largest penalty within one standard error of it.
    folds : int
        Inner folds.
    """

    l1_ratio: float = 0.5
    steps: int = 25
    smallest: float = 0.05
    rule: Literal["min", "1se"] = "min"
    folds: int = 5


@dataclass(frozen=True, eq=False)
class ElasticNet:
    """A tuned elastic net.

    Parameters
    ----------
    screen : Screen
    coefficients : array of float, shape (k,)
        For the standardized columns of the screen.
    alpha : float
        Chosen penalty.
    alphas, deviance, se : array of float
        Cross-validated partial-likelihood deviance (a patient) along the path.
    """

    screen: Screen
    coefficients: Floats
    alpha: float
    alphas: Floats
    deviance: Floats
    se: Floats


def log_partial_likelihood(y: Outcome, linear_predictor: Floats) -> Floats:
    """Breslow log partial likelihood of many linear predictors at once.

    Parameters
    ----------
    y : Outcome
    linear_predictor : array, shape (n, m)

    Returns
    -------
    array, shape (m,)

    Examples
    --------
    >>> log_partial_likelihood(Outcome([1, 2], [1, 0]), np.zeros((2, 1))).round(4)
    array([-0.6931])
    """
    order = np.argsort(-y.time_months, kind="stable")
    time, event, lp = y.time_months[order], y.event[order], linear_predictor[order]
    shift = lp.max(axis=0)
    at_risk = np.cumsum(np.exp(lp - shift), axis=0)
    last = np.searchsorted(-time, -time[event], side="right") - 1
    result: Floats = (lp[event] - shift - np.log(at_risk[last])).sum(axis=0)
    return result


def elastic_net_path(
    standardized: Floats, y: Outcome, alphas: Floats, l1_ratio: float, *, tol: float = 1e-7
) -> Floats:
    """Coefficients along a descending path of penalties, shape (p, len(alphas)).

    Parameters
    ----------
    standardized : array, shape (n, p)
    y : Outcome
    alphas : array of float
        Descending; glmnet's ``lambda``.
    l1_ratio : float
        glmnet's ``alpha``.
    tol : float
        Of the coordinate descent.

    Returns
    -------
    array, shape (p, len(alphas))
        Equal to glmnet's path (Breslow ties) as ``tol`` goes to 0. Where the penalty
        is too weak for the descent to stay finite, the last finite step is repeated.
    """
    from sksurv.linear_model import CoxnetSurvivalAnalysis

    path = np.zeros((standardized.shape[1], len(alphas)))
    first = int(np.sum(alphas >= largest_penalty(standardized, y, l1_ratio)))
    last = len(alphas)
    while first < last:
        options = {"l1_ratio": l1_ratio, "tol": tol, "max_iter": 1_000_000}
        model = CoxnetSurvivalAnalysis(alphas=alphas[first:last], **options)
        try:
            found = model.fit(standardized, y.to_structured()).coef_
        except ArithmeticError:
            last = first + (last - first) // 2
            continue
        # The solver stops early where its deviance, which is wrong for tied times, no longer grows:
        # start it again on the rest.
        path[:, first : first + found.shape[1]] = found
        first += found.shape[1]
    if 0 < last < len(alphas):
        path[:, last:] = path[:, last - 1 : last]
    return path


def largest_penalty(standardized: Floats, y: Outcome, l1_ratio: float) -> float:
    """Penalty from which on all coefficients are 0: the gradient at 0 (Breslow).

    Examples
    --------
    >>> round(largest_penalty(np.array([[1.0], [-1.0]]), Outcome([1, 2], [1, 1]), 1.0), 3)
    0.5
    """
    order = np.argsort(-y.time_months, kind="stable")
    time, event = y.time_months[order], y.event[order]
    size = np.searchsorted(-time, -time, side="right")
    hazard = np.cumsum((event / size)[::-1])[::-1]
    # Everyone whose time is at least the event's is at risk: ties share the whole sum.
    hazard = hazard[np.searchsorted(-time, -time, side="left")]
    gradient = (event - hazard) @ standardized[order] / len(y)
    return float(np.abs(gradient).max(initial=0.0) / max(l1_ratio, 1e-3))


def fit_elastic_net(
    matrix: Floats,
    y: Outcome,
    *,
    penalty: Penalty,
    max_features: int | None,
    max_correlation: float,
    random_state: int | np.random.SeedSequence,
) -> ElasticNet:
    """Screen the columns and fit an elastic-net Cox model, tuned by inner cross-validation.

    Parameters
    ----------
    matrix : array, shape (n, p)
        Raw values; NaN becomes the training median.
    y : Outcome
    penalty : Penalty
    max_features, max_correlation
        As in :func:`radiomics_npc.survival.selection.screening.screen_features`.
    random_state : int or SeedSequence

    Returns
    -------
    ElasticNet

    Raises
    ------
    CohortError
        No column varies, or fewer than 2 events.
    """
    screen = screen_features(matrix, y, max_features=max_features, max_correlation=max_correlation)
    if len(screen.columns) == 0:
        raise CohortError("no feature varies between the patients", "Check the extraction.")
    scaled = screen.apply(matrix)
    largest = largest_penalty(scaled, y, penalty.l1_ratio)
    alphas = largest * np.geomspace(1.0, penalty.smallest, penalty.steps)
    fold = stratified_folds(y, penalty.folds, random_state, strict=False)
    gains, sizes = [], []
    for k in range(fold.max() + 1):
        rows, held = fold != k, fold == k
        inner = y.take(rows)
        part = screen_features(
            matrix[rows], inner, max_features=max_features, max_correlation=max_correlation
        )
        path = elastic_net_path(part.apply(matrix[rows]), inner, alphas, penalty.l1_ratio)
        lp = part.apply(matrix) @ path
        gains.append(log_partial_likelihood(y, lp) - log_partial_likelihood(inner, lp[rows]))
        sizes.append(held.sum())
    chosen, deviance, se = _choose(np.array(gains), np.array(sizes, dtype=float), penalty.rule)
    path = elastic_net_path(scaled, y, alphas[: chosen + 1], penalty.l1_ratio)
    return ElasticNet(screen, path[:, chosen], float(alphas[chosen]), alphas, deviance, se)


def _choose(gains: Floats, sizes: Floats, rule: str) -> tuple[int, Floats, Floats]:
    """Position of the penalty by the rule, with the deviance curve and its standard error."""
    deviance = -2 * gains / sizes[:, None]
    share = sizes / sizes.sum()
    mean = share @ deviance
    se = np.sqrt(share @ (deviance - mean) ** 2 / max(len(sizes) - 1, 1))
    best = int(np.argmin(mean))
    if rule == "1se":
        best = int(np.argmax(mean <= mean[best] + se[best]))
    return best, mean, se
