"""Cumulative incidence where events compete.

The Kaplan-Meier curve of one cause pretends that patients who died of another could
still have the event, and so says too much; the Aalen-Johansen estimate does not.

References
----------
Aalen OO, Johansen S. Scand J Stat 1978;5:141-150. Gray RJ. Ann Stat
1988;16:1141-1154 (variance). Marubini E, Valsecchi MG. Analysing Survival Data
from Clinical Trials. Wiley 1995 (interval). Estimates and variances are those of
``cuminc`` of R's cmprsk.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm

from radiomics_npc.cohort.competing import CompetingOutcome
from radiomics_npc.errors import CohortError
from radiomics_npc.survival.estimation.baseline import step_function

__all__ = ["CumulativeIncidence", "cumulative_incidence"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class CumulativeIncidence:
    """Probability to have had each event first.

    Parameters
    ----------
    time_months : array of float, shape (k,)
        Distinct times, ascending.
    incidence, se, lower, upper : array of float, shape (k, c)
        For each cause, from each time on.
    events : array of int, shape (k, c)
    names : tuple of str
        Of the causes.
    times : array of float, shape (n,)
        All follow-up times, sorted.
    simulated : bool
        Of patients that never lived.
    """

    time_months: Floats
    incidence: Floats
    se: Floats
    lower: Floats
    upper: Floats
    events: NDArray[np.intp]
    names: tuple[str, ...]
    times: Floats
    simulated: bool = False

    def at(self, times: ArrayLike, cause: int = 1) -> pd.DataFrame:
        """Estimates of one cause: time_months, incidence, se, lower, upper, at_risk; NaN past follow-up.

        Raises
        ------
        CohortError
            There is no such cause.
        """
        if cause not in range(1, len(self.names) + 1):
            raise CohortError(f"there is no cause {cause}", f"Causes are 1 to {len(self.names)}.")
        when = np.atleast_1d(np.asarray(times, dtype=float))
        columns = [part[:, cause - 1] for part in (self.incidence, self.se, self.lower, self.upper)]
        values = step_function(self.time_months, np.column_stack(columns), when, last=float(self.times[-1]))
        table = pd.DataFrame(values, columns=["incidence", "se", "lower", "upper"])
        table.insert(0, "time_months", when)
        table["at_risk"] = self.at_risk(when)
        return table

    def at_risk(self, times: ArrayLike) -> NDArray[np.intp]:
        """Patients without any event and still followed just before each time."""
        found: NDArray[np.intp] = len(self.times) - np.searchsorted(self.times, np.atleast_1d(times))
        return found

    def to_frame(self) -> pd.DataFrame:
        """One row a cause and distinct time; simulated, if so."""
        parts = []
        for k, name in enumerate(self.names):
            part = self.at(self.time_months, k + 1).assign(events=self.events[:, k])
            part.insert(0, "cause", name)
            parts.append(part)
        table = pd.concat(parts, ignore_index=True)
        return table.assign(simulated=True) if self.simulated else table

    def _repr_html_(self) -> str:
        return self.to_frame().to_html(index=False, float_format="{:.3f}".format)


def cumulative_incidence(y: CompetingOutcome, *, confidence: float = 0.95) -> CumulativeIncidence:
    """Estimate the cumulative incidence of every cause.

    Parameters
    ----------
    y : CompetingOutcome
    confidence : float
        Of the interval, normal on the scale of log(-log(incidence)).

    Returns
    -------
    CumulativeIncidence

    Raises
    ------
    CohortError
        No patients.

    Examples
    --------
    >>> y = CompetingOutcome([6, 12, 18, 24, 30], [1, 2, 0, 1, 0])
    >>> cumulative_incidence(y).at([6, 24])[["time_months", "incidence", "at_risk"]]
       time_months  incidence  at_risk
    0          6.0        0.2        5
    1         24.0        0.5        2
    """
    if len(y) == 0:
        raise CohortError("no patients: no cumulative incidence")
    times, inverse = np.unique(y.time_months, return_inverse=True)
    causes = len(y.names)
    counts = [np.bincount(inverse, y.cause == k) for k in range(1, causes + 1)]
    events: Floats = np.stack(counts, axis=1).astype(float)
    leaving = np.bincount(inverse)
    at_risk: Floats = (len(y) - (np.cumsum(leaving) - leaving)).astype(float)
    survival = np.cumprod(1.0 - events.sum(axis=1) / at_risk)
    before = np.concatenate([[1.0], survival[:-1]])
    incidence = np.cumsum((before / at_risk)[:, None] * events, axis=0)
    variance = np.stack(
        [_variance(incidence[:, k], events, k, at_risk, before, survival) for k in range(causes)], axis=1
    )
    se = np.sqrt(np.maximum(variance, 0.0))
    with np.errstate(divide="ignore", invalid="ignore"):
        reach = norm.ppf(0.5 + confidence / 2) * se / (incidence * np.log(incidence))
        lower, upper = incidence ** np.exp(-reach), incidence ** np.exp(reach)
    certain = (incidence <= 0) | (incidence >= 1)
    lower, upper = np.where(certain, incidence, lower), np.where(certain, incidence, upper)
    return CumulativeIncidence(
        times, incidence, se, lower, upper, events.astype(np.intp), y.names,
        np.sort(y.time_months), y.simulated,
    )  # fmt: skip


def _variance(
    incidence: Floats, events: Floats, cause: int, at_risk: Floats, before: Floats, survival: Floats
) -> Floats:
    """Variance of one cumulative incidence F at every time t.

    The sum over earlier times s of ``v1(s) (1 + (F(s) - F(t)) / S(s))^2`` for the cause
    itself and of ``v2(s) ((F(s) - F(t)) / S(s))^2`` for the others, where v is the
    variance of the step of each, with the correction for events at one time.
    """
    own, other = events[:, cause], events.sum(axis=1) - events[:, cause]
    per_event = (before / at_risk) ** 2
    left = np.maximum(at_risk - 1, 1)
    own_step = per_event * own * np.where(own > 1, 1 - (own - 1) / left, 1.0)
    other_step = per_event * other * np.where(other > 1, 1 - (other - 1) / left, 1.0)
    # nobody is left: what happens at this time moves nothing afterwards
    inverse = np.divide(1.0, survival, out=np.zeros_like(survival), where=survival > 0)
    ratio = incidence * inverse
    # squares multiplied out, so that running sums do: (a - F b)^2 = a^2 - 2 F a b + F^2 b^2
    square = np.cumsum(own_step * (1 + ratio) ** 2 + other_step * ratio**2)
    mixed = np.cumsum(inverse * (own_step * (1 + ratio) + other_step * ratio))
    last = np.cumsum(inverse**2 * (own_step + other_step))
    result: Floats = square - 2 * incidence * mixed + incidence**2 * last
    return result
