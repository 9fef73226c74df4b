"""The indexes of a risk on a cohort that bootstrap validation corrects, as in R's rms::validate.

References
----------
Harrell FE. Regression Modeling Strategies, 2nd ed. 2015, sections 5.3 and 20.10. The numbers
equal ``validate(cph(...), dxy = TRUE)``. Nagelkerke NJD. Biometrika 1991;78:691-692.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError
from radiomics_npc.survival.estimation.partial_likelihood import (
    PartialLikelihood,
    maximize_partial_likelihood,
)
from radiomics_npc.survival.metrics.concordance import harrell_c

__all__ = ["INDEXES", "gini_mean_difference", "risk_indexes"]

INDEXES = ("harrell_c", "dxy", "r2", "slope", "d", "u", "q", "g")


def risk_indexes(y: Outcome, log_hazard: ArrayLike, *, own: bool = False) -> dict[str, float]:
    """Discrimination and calibration of a log hazard on some patients.

    Parameters
    ----------
    y : Outcome
    log_hazard : array, shape (n,)
        On the scale of the probabilities: 1 more is e times the hazard.
    own : bool
        These patients made the model, so that u starts from -2 over the null deviance.

    Returns
    -------
    dict of str to float
        harrell_c; dxy, that is 2 (C - 1/2); slope, the Cox coefficient of the log hazard, 1 where
        predictions are as extreme as they should be; r2 (Nagelkerke's) and d (likelihood ratio
        chi-square less 1, over the null deviance), both after the slope is mended; u, what is
        lost by not mending it; q = d - u; g, Gini's mean difference of the mended log hazard.

    Raises
    ------
    CohortError
        No event, or a log hazard that is missing or without limit on the outcome.

    Notes
    -----
    The same log hazard for all patients has C 1/2, slope 1 and 0 for all others, as in R.

    Examples
    --------
    >>> y = Outcome([50, 30, 20, 60, 45, 10], [0, 1, 1, 0, 1, 1])
    >>> found = risk_indexes(y, [4.0, 5, 6, 4.5, 5.5, 4.8])
    >>> round(found["harrell_c"], 3), round(found["slope"], 2)
    (0.714, 1.29)
    """
    values = np.asarray(log_hazard, dtype=float)
    if not np.isfinite(values).all():
        raise CohortError("a log hazard is missing")
    c = harrell_c(y, values).estimate
    x = (values - values.mean())[:, None]
    likelihood = PartialLikelihood(x, y)

    def deviance(at: float) -> float:
        return -2.0 * float(sum(part.loglik for part in likelihood.at(np.array([at]))))

    if np.ptp(values) <= 1e-12 * max(1.0, float(np.abs(values).max())):
        return dict.fromkeys(INDEXES, 0.0) | {"harrell_c": c, "slope": 1.0}
    slope = float(maximize_partial_likelihood(x, y)[0][0])
    null, mended, n = deviance(0.0), deviance(slope), len(y)
    d, u = (null - mended - 1.0) / null, (deviance(1.0) - mended - 2.0 * own) / null
    return {
        "harrell_c": c, "dxy": 2 * c - 1, "slope": slope, "d": d, "u": u, "q": d - u,
        "r2": float((1 - np.exp((mended - null) / n)) / (1 - np.exp(-null / n))),
        "g": abs(slope) * gini_mean_difference(values),
    }  # fmt: skip


def gini_mean_difference(values: ArrayLike) -> float:
    """Mean absolute difference of two values.

    Examples
    --------
    >>> gini_mean_difference([1.0, 2.0, 4.0])
    2.0
    """
    ordered = np.sort(np.asarray(values, dtype=float))
    n = len(ordered)
    if n < 2:
        return float("nan")
    return float(2 * (2 * np.arange(1, n + 1) - n - 1) @ ordered / (n * (n - 1)))
