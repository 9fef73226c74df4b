"""The Cox partial likelihood (Efron ties), maximized by lifelines.

References
----------
Cox DR. J R Stat Soc B 1972;34:187-220. Efron B. J Am Stat Assoc 1977;72:557-565.
"""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.linalg import LinAlgWarning

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError

__all__ = ["maximize_partial_likelihood"]

Floats = NDArray[np.float64]
# Full Newton steps to the last digit: lifelines' own defaults stop 2e-8 short of R.
_FIT_OPTIONS = {"precision": 1e-12, "r_precision": 1e-14, "step_size": 1.0, "max_steps": 100}
_LARGEST_COEFFICIENT = 15.0  # log hazard ratio for one SD beyond which a fit has run away


def maximize_partial_likelihood(matrix: Floats, y: Outcome, penalizer: float = 0.0) -> tuple[Floats, Floats]:
    """Coefficients and their covariance.

    Parameters
    ----------
    matrix : array, shape (n, p)
    y : Outcome
    penalizer : float
        Ridge penalty on the standardized coefficients, as in lifelines.

    Returns
    -------
    beta : array, shape (p,)
    covariance : array, shape (p, p)

    Raises
    ------
    CohortError
        No convergence, or a coefficient without limit.

    Examples
    --------
    >>> y = Outcome([50, 30, 20, 60, 45, 10], [0, 1, 1, 0, 1, 1])
    >>> maximize_partial_likelihood(np.array([[4.0], [5], [6], [4.5], [5.5], [4.8]]), y)[0].round(2)
    array([1.29])
    """
    from lifelines import CoxPHFitter
    from lifelines.exceptions import ConvergenceError, ConvergenceWarning

    # Neutral names: lifelines trips over columns that are called like its own.
    table = pd.DataFrame(matrix, columns=[f"x{k}" for k in range(matrix.shape[1])])
    table["time_"], table["event_"] = y.time_months, y.event.astype(int)
    remedy = "Merge sparse levels, drop a column that follows from others, or give a penalizer."
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        # lifelines warns of separation before it fits; whether it did happen is judged below.
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("error", LinAlgWarning)
        try:
            fitter = CoxPHFitter(penalizer=penalizer).fit(table, "time_", "event_", fit_options=_FIT_OPTIONS)
        except (ConvergenceError, np.linalg.LinAlgError, LinAlgWarning, ValueError):
            raise CohortError("the Cox fit did not converge", remedy) from None
    beta = fitter.params_.to_numpy(dtype=float)
    covariance = fitter.variance_matrix_.to_numpy(dtype=float)
    sound = np.isfinite(beta).all() and np.isfinite(covariance).all() and (np.diag(covariance) > 0).all()
    spread = np.abs(beta) * matrix.std(axis=0)
    if not sound or spread.max() > _LARGEST_COEFFICIENT:
        raise CohortError("a coefficient of the Cox fit grows without limit (separated data)", remedy)
    return beta, covariance
