r"""Progression-free survival with a known truth.

Weibull proportional hazards,

.. math:: S(t | x) = \exp\{-H_{60} (t / 60)^{k} e^{\eta}\},

with the linear predictor :math:`\eta` written down in :data:`COEFFICIENTS`:
T and N (against T0-1 and N0), positive EBV-DNA, the natural logarithm of the
tumor volume (centered at the published median of 8.6 cm3) and the latent
heterogeneity :math:`z \sim N(0, 1)` that also drives the texture of the tumor.
Metastasis and stage have no term of their own: they act through T and N.

:data:`HAZARD_60` is the constant that makes the mean 5-year probability of the
simulated population 0.75. Patients are lost to follow-up at a constant rate
and censored at 60 months. (Bender R., Augustin T., Blettner M., Stat Med 2005;
24:1713, on generating such times.)
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["COEFFICIENTS", "draw_outcome", "linear_predictor", "survival"]

Array = NDArray[np.float64]

COEFFICIENTS: Final[dict[str, float]] = {
    "T2": 0.10, "T3": 0.25, "T4": 0.55,
    "N1": 0.20, "N2": 0.50, "N3": 1.00,
    "ebv_positive": 0.60,
    "log_volume": 0.40,
    "heterogeneity": 0.95,
}  # fmt: skip
REFERENCE_VOLUME_CM3: Final = 8.6
SHAPE: Final = 1.15
HAZARD_60: Final = 0.0813
LOSS_PER_MONTH: Final = 0.0022
FOLLOW_UP_MONTHS: Final = 60.0


def linear_predictor(patients: pd.DataFrame) -> Array:
    """Log hazard against a T1 N0 patient without EBV-DNA, 8.6 cm3, average heterogeneity.

    Parameters
    ----------
    patients : DataFrame
        Columns ``T``, ``N``, ``ebv_dna`` ("negative" or "positive"), ``volume_cm3``,
        ``heterogeneity``.

    Returns
    -------
    array, shape (n,)

    Examples
    --------
    >>> one = pd.DataFrame({"T": ["T3"], "N": ["N1"], "ebv_dna": ["negative"],
    ...                     "volume_cm3": [8.6], "heterogeneity": [1.0]})
    >>> linear_predictor(one).round(2)
    array([1.4])
    """
    c = COEFFICIENTS
    terms = patients["T"].map(c).fillna(0.0) + patients["N"].map(c).fillna(0.0)
    terms = terms + c["ebv_positive"] * (patients["ebv_dna"] == "positive")
    terms = terms + c["log_volume"] * np.log(patients["volume_cm3"] / REFERENCE_VOLUME_CM3)
    terms = terms + c["heterogeneity"] * patients["heterogeneity"]
    return terms.to_numpy(dtype=float)


def survival(lp: Array, months: float) -> Array:
    """True probability to be free of progression at ``months``, for each linear predictor."""
    return np.asarray(np.exp(-HAZARD_60 * (months / 60.0) ** SHAPE * np.exp(lp)))


def draw_outcome(lp: Array, uniform_event: Array, uniform_loss: Array) -> pd.DataFrame:
    """Turn two uniform numbers a patient into time and event by the inverse of the distribution.

    Parameters
    ----------
    lp, uniform_event, uniform_loss : array, shape (n,)

    Returns
    -------
    DataFrame
        ``event_months`` (uncensored), ``time_months`` (one decimal, 0.1 to 60), ``event`` (0/1).
    """
    event = 60.0 * (-np.log(uniform_event) / (HAZARD_60 * np.exp(lp))) ** (1 / SHAPE)
    lost = -np.log(uniform_loss) / LOSS_PER_MONTH
    end = np.minimum(lost, FOLLOW_UP_MONTHS)
    time = np.clip(np.round(np.minimum(event, end), 1), 0.1, FOLLOW_UP_MONTHS)
    return pd.DataFrame(
        {"event_months": event.round(2), "time_months": time, "event": (event <= end).astype(int)}
    )
