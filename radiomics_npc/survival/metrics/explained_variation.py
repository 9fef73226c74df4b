"""How much of the outcome a risk score explains: R2 by Cox-Snell, Nagelkerke and Royston.

References
----------
Cox DR, Snell EJ. The Analysis of Binary Data. 2nd ed. 1989. Nagelkerke NJD. Biometrika
1991;78:691-692. Royston P, Sauerbrei W. Stat Med 2004;23:723-748. The numbers equal
``rms::cph`` (R2) and ``survival::royston``.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm, rankdata

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError
from radiomics_npc.survival.estimation.partial_likelihood import (
    PartialLikelihood,
    maximize_partial_likelihood,
)

__all__ = ["ExplainedVariation", "explained_variation"]

_KAPPA = np.sqrt(8 / np.pi)


@dataclass(frozen=True)
class ExplainedVariation:
    """Measures of explained variation.

    Parameters
    ----------
    cox_snell, nagelkerke : float
        From the likelihood ratio of the score against no score; in patients that the
        score was not fitted to they fall below 0 when it predicts worse than nothing.
    royston_d, royston_d_se : float
        Log hazard ratio between the halves of high and low risk, and its standard error.
    royston_r2 : float
        Explained variation on the scale of log time.
    likelihood_ratio : float
        Chi-square.
    n, events : int
    simulated : bool
    """

    cox_snell: float
    nagelkerke: float
    royston_d: float
    royston_d_se: float
    royston_r2: float
    likelihood_ratio: float
    n: int
    events: int
    simulated: bool = False

    def to_frame(self) -> pd.DataFrame:
        """One row."""
        values = asdict(self)
        simulated = values.pop("simulated")
        table = pd.DataFrame([values])
        return table.assign(simulated=True) if simulated else table

    def _repr_html_(self) -> str:
        html: str = self.to_frame().to_html(index=False, float_format="{:.3g}".format)
        return html


def explained_variation(
    linear_predictor: ArrayLike, y: Outcome, *, strata: ArrayLike | None = None
) -> ExplainedVariation:
    """Explained variation of a log relative hazard.

    Parameters
    ----------
    linear_predictor : array, shape (n,)
        Of a Cox model; or any log relative hazard.
    y : Outcome
        Of the same patients: those of the fit, or new ones.
    strata : array, shape (n,), optional

    Returns
    -------
    ExplainedVariation

    Raises
    ------
    CohortError
        No event, other length, not finite, or the same value for everybody.

    Examples
    --------
    >>> y = Outcome([50, 30, 20, 60, 45, 10], [0, 1, 1, 0, 1, 1])
    >>> found = explained_variation([0.1, 0.4, 0.9, 0.0, 0.5, 1.2], y)
    >>> round(found.cox_snell, 3), round(found.royston_d, 2)
    (0.386, 5.41)
    """
    lp = np.asarray(linear_predictor, dtype=float)
    if lp.shape != (len(y),) or not np.isfinite(lp).all():
        raise CohortError("the linear predictor is not one finite number a patient of the outcome")
    if not y.event.any():
        raise CohortError("no patient has an event: nothing can be explained")
    if np.ptp(lp) == 0:
        raise CohortError("everybody has the same risk: nothing is explained")
    likelihood = PartialLikelihood((lp - lp.mean())[:, None], y, strata)
    null, fitted = (sum(part.loglik for part in likelihood.at(np.array([b]))) for b in (0.0, 1.0))
    cox_snell = 1 - np.exp(-2 * (fitted - null) / len(y))
    beta, variance = maximize_partial_likelihood(_normal_scores(lp)[:, None], y, strata=strata)
    return ExplainedVariation(
        cox_snell=float(cox_snell),
        nagelkerke=float(cox_snell / (1 - np.exp(2 * null / len(y)))),
        royston_d=float(beta[0] * _KAPPA),
        royston_d_se=float(np.sqrt(variance[0, 0]) * _KAPPA),
        royston_r2=float(beta[0] ** 2 / (np.pi**2 / 6 + beta[0] ** 2)),
        likelihood_ratio=float(2 * (fitted - null)),
        n=len(y),
        events=int(y.event.sum()),
        simulated=y.simulated,
    )


def _normal_scores(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Blom's normal scores; tied values get the mean of theirs."""
    n = len(values)
    scores = norm.ppf((np.arange(1, n + 1) - 3 / 8) / (n + 1 / 4))
    order = rankdata(values, method="ordinal") - 1
    _, group = np.unique(values, return_inverse=True)
    means = np.bincount(group, weights=scores[order]) / np.bincount(group)
    result: NDArray[np.float64] = means[group]
    return result
