"""The fit of a Cox model: by lifelines, and from there to the last digit.

lifelines fits every model that is shown or saved. It may stop up to 1e-7 short of the
maximum, where R is 1e-11 off, so that one or two Newton steps follow. What is fitted
thousands of times (calibration slopes, resampled curves) takes those steps from 0.

References
----------
Davidson-Pilon C. lifelines: survival analysis in Python. J Open Source Softw 2019;4:1317.
"""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import LinAlgWarning

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError
from radiomics_npc.survival.estimation.partial_likelihood import maximize_partial_likelihood

__all__ = ["fit_cox"]

Floats = NDArray[np.float64]
_FIT_OPTIONS = {"precision": 1e-12, "r_precision": 1e-14, "step_size": 1.0, "max_steps": 100}
_LARGEST_COEFFICIENT = 15.0  # log hazard ratio for one SD beyond which a fit has run away
_REMEDY = "Merge sparse levels, drop a column that follows from others, or give a penalizer."


def fit_cox(
    matrix: Floats, y: Outcome, penalizer: float = 0.0, *, strata: ArrayLike | None = None
) -> tuple[Floats, Floats]:
    """Coefficients and their covariance (Efron ties).

    Parameters
    ----------
    matrix : array, shape (n, p)
    y : Outcome
    penalizer : float
        Ridge penalty on the standardized coefficients, as in lifelines.
    strata : array, shape (n,), optional

    Returns
    -------
    beta : array, shape (p,)
    covariance : array, shape (p, p)

    Raises
    ------
    CohortError
        No convergence, columns that follow from others (without a penalty), or a coefficient
        without limit.

    Examples
    --------
    >>> y = Outcome([50, 30, 20, 60, 45, 10], [0, 1, 1, 0, 1, 1])
    >>> fit_cox(np.array([[4.0], [5], [6], [4.5], [5.5], [4.8]]), y)[0].round(2)
    array([1.29])
    """
    from lifelines import CoxPHFitter
    from lifelines.exceptions import ConvergenceError, ConvergenceWarning, StatisticalWarning

    # Neutral names: lifelines trips over columns that are called like its own.
    table = pd.DataFrame(matrix, columns=[f"x{k}" for k in range(matrix.shape[1])])
    table["time_"], table["event_"] = y.time_months, y.event.astype(int)
    by = None
    if strata is not None:
        # A stratum without events has no part in the likelihood, and lifelines divides by its events.
        table["stratum_"] = pd.factorize(np.asarray(strata))[0]
        table = table[table.groupby("stratum_")["event_"].transform("sum") > 0]
        by = ["stratum_"]
    rank = np.linalg.matrix_rank(np.column_stack([np.ones(len(matrix)), matrix]))
    if not penalizer and rank <= matrix.shape[1]:  # a ridge shares the effect between such columns
        raise CohortError("the Cox fit did not converge: columns follow from one another", _REMEDY)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        # lifelines warns of separation before it fits; whether it did happen is judged below.
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", StatisticalWarning)
        warnings.simplefilter("error", LinAlgWarning)
        try:
            fitter = CoxPHFitter(penalizer=penalizer, strata=by)
            fitter.fit(table, "time_", "event_", fit_options=_FIT_OPTIONS)
        except (ConvergenceError, np.linalg.LinAlgError, LinAlgWarning, ValueError):
            raise CohortError("the Cox fit did not converge", _REMEDY) from None
    beta = fitter.params_.to_numpy(dtype=float)
    if not np.isfinite(beta).all() or (np.abs(beta) * matrix.std(axis=0)).max() > _LARGEST_COEFFICIENT:
        raise CohortError("a coefficient of the Cox fit grows without limit (separated data)", _REMEDY)
    return maximize_partial_likelihood(matrix, y, penalizer, strata=strata, start=beta)
