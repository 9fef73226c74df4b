"""What the confidence interval of a predicted survival needs, as the model file holds it: no patient.

The cumulative hazard of a patient with columns ``x`` of the design is ``H = hazard(t) exp(x b)``.
Its relative variance is ``variance(t) + d' C d`` with ``d = x - means(t)``: a part of the baseline
and a part of the coefficients, where ``C`` is their covariance and ``means(t)`` are the columns'
means among those at risk, averaged over the hazard until t. The interval is normal on the scale
of the cumulative hazard.

References
----------
Therneau TM, Grambsch PM. Modeling Survival Data. Springer 2000, section 10.2. The limits are
those of R's ``rms::survest`` and ``survival::survfit(conf.type = "log")``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm

from radiomics_npc.errors import HorizonError

__all__ = ["Precision"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Precision:
    """Baseline of a Cox model over time, and how precisely it and the coefficients are known.

    Parameters
    ----------
    columns : tuple of str
        Names of the coefficients, p of them.
    covariance : array, shape (p, p)
        Of the coefficients.
    time_months : array, shape (k,)
        Where the baseline jumps, ascending.
    hazard : array, shape (k,)
        Baseline cumulative hazard from each jump on, where all columns are 0.
    variance : array, shape (k,)
        Relative variance of the baseline.
    means : array, shape (k, p)
        Means of the columns at risk, weighted by the hazard.
    follow_up_months : float
        Nothing is known later.
    penalized : bool
        The coefficients are shrunk, and the covariance is that of the penalized fit.

    Examples
    --------
    >>> import pandas as pd
    >>> from radiomics_npc.cohort.outcome import Outcome
    >>> from radiomics_npc.survival.models.cox import CoxModel
    >>> X = pd.DataFrame({"age": [40.0, 50, 60, 45, 55, 65]}, index=list("abcdef"))
    >>> model = CoxModel().fit(X, Outcome([50, 30, 20, 25, 45, 40], [0, 1, 1, 0, 1, 1], X.index))
    >>> known = Precision.of(model)
    >>> known.interval(X.iloc[:2], model.linear_predictor(X.iloc[:2]), 30).round(3)
    array([[0.673, 1.   ],
           [0.494, 1.   ]])
    """

    columns: tuple[str, ...]
    covariance: Floats
    time_months: Floats
    hazard: Floats
    variance: Floats
    means: Floats
    follow_up_months: float
    penalized: bool = False

    @classmethod
    def of(cls, cox: Any) -> Precision:
        """Taken from a fitted CoxModel without strata."""
        coef, center = cox.coef_.to_numpy(dtype=float), cox.center_.to_numpy(dtype=float)
        rows = (cox.baseline_["cumulative_hazard"] > 0).to_numpy(dtype=bool)
        base, spread = cox.baseline_[rows], cox.spread_.to_numpy(dtype=float)[rows]
        at_center = spread[:, 0]
        return cls(
            tuple(map(str, cox.coef_.index)), cox.covariance_.to_numpy(dtype=float).reshape(len(coef), -1),
            base["time_months"].to_numpy(dtype=float), base["cumulative_hazard"].to_numpy(dtype=float),
            spread[:, 1] / at_center**2, center + spread[:, 2:] / at_center[:, None],
            float(cox.follow_up_months_), bool(cox.penalizer_ > 0),
        )  # fmt: skip

    def index_at(self, months: float) -> int:
        """Position of the last jump until then.

        Raises
        ------
        HorizonError
            No event until then, or the time is past the follow-up.
        """
        if not self.time_months[0] <= months <= self.follow_up_months:
            raise HorizonError(
                f"survival at {months:g} months has no interval: events were seen from "
                f"{self.time_months[0]:.3g} months on, and the follow-up is {self.follow_up_months:.1f}"
            )
        return int(np.searchsorted(self.time_months, months, side="right")) - 1

    def interval(
        self, columns: ArrayLike, linear_predictor: ArrayLike, months: float, *, confidence: float = 0.95
    ) -> Floats:
        """Limits of the survival probability.

        Parameters
        ----------
        columns : array, shape (n, p)
            Patients as rows of the design matrix, not centered.
        linear_predictor : array, shape (n,)
        months, confidence : float

        Returns
        -------
        array, shape (n, 2)
            The upper limit is at most 1.

        Raises
        ------
        HorizonError
            As :meth:`index_at`.
        """
        k = self.index_at(months)
        shift = np.asarray(columns, dtype=float) - self.means[k]
        variance = self.variance[k] + np.einsum("ij,jk,ik->i", shift, self.covariance, shift)
        total = self.hazard[k] * np.exp(np.asarray(linear_predictor, dtype=float))
        reach = norm.ppf(0.5 + confidence / 2) * total * np.sqrt(variance)
        return np.column_stack([np.exp(-total - reach), np.minimum(1.0, np.exp(reach - total))])
