"""Kaplan-Meier curves with confidence limits, numbers at risk, and the median.

References
----------
Kaplan EL, Meier P. J Am Stat Assoc 1958;53:457-481. Greenwood M. 1926. Kalbfleisch
JD, Prentice RL. The Statistical Analysis of Failure Time Data (log-log interval).
Brookmeyer R, Crowley J. Biometrics 1982;38:29-41 (interval of the median). The
numbers equal R's ``survfit`` with ``conf.type`` "log-log", "log" or "plain".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError
from radiomics_npc.survival.estimation.baseline import step_function

__all__ = ["KaplanMeier", "kaplan_meier"]

Floats = NDArray[np.float64]
Interval = Literal["log-log", "log", "plain"]
_SAME = 1e-8  # probabilities closer than this are the same step


@dataclass(frozen=True, eq=False)
class KaplanMeier:
    """A Kaplan-Meier curve.

    Parameters
    ----------
    time_months : array of float, shape (k,)
        Distinct times, ascending.
    survival, se, lower, upper : array of float, shape (k,)
        Probability from each time on, Greenwood's standard error, confidence limits.
    events, censored : array of int, shape (k,)
    times : array of float, shape (n,)
        All follow-up times, sorted.
    simulated : bool
        Of patients that never lived.
    """

    time_months: Floats
    survival: Floats
    se: Floats
    lower: Floats
    upper: Floats
    events: NDArray[np.intp]
    censored: NDArray[np.intp]
    times: Floats
    simulated: bool = False

    def at(self, times: ArrayLike) -> pd.DataFrame:
        """Estimates at some times: time_months, survival, se, lower, upper, at_risk; NaN past follow-up."""
        when = np.atleast_1d(np.asarray(times, dtype=float))
        values = np.column_stack([self.survival, self.se, self.lower, self.upper])
        found = step_function(self.time_months, values, when, last=float(self.times[-1]))
        early = when < self.time_months[0]
        found[early] = [1.0, 0.0, 1.0, 1.0]
        table = pd.DataFrame(found, columns=["survival", "se", "lower", "upper"])
        table.insert(0, "time_months", when)
        table["at_risk"] = self.at_risk(when)
        return table

    def at_risk(self, times: ArrayLike) -> NDArray[np.intp]:
        """Patients still followed just before each time."""
        result: NDArray[np.intp] = len(self.times) - np.searchsorted(
            self.times, np.atleast_1d(times), side="left"
        )
        return result

    def quantile(self, share: float = 0.5) -> tuple[float, float, float]:
        """Time by which a share of the patients has had the event, with confidence limits.

        Where the curve, or a limit of it, meets the line; the middle of the step if it
        lies on the line. NaN where it is not met within the follow-up.

        Parameters
        ----------
        share : float
            0.5 is the median.

        Returns
        -------
        time, lower, upper : float
            Months.
        """
        if not 0 < share < 1:
            raise CohortError(f"{share:g} is no share of the patients", "Give a number between 0 and 1.")
        found = (_crossing(self.time_months, c, 1 - share) for c in (self.survival, self.lower, self.upper))
        time, lower, upper = found
        return time, lower, upper

    def to_frame(self) -> pd.DataFrame:
        """One row a distinct time; simulated, if so."""
        table = self.at(self.time_months)
        table["events"], table["censored"] = self.events, self.censored
        return table.assign(simulated=True) if self.simulated else table

    def _repr_html_(self) -> str:
        return self.to_frame().to_html(index=False, float_format="{:.3f}".format)


def kaplan_meier(y: Outcome, *, confidence: float = 0.95, interval: Interval = "log-log") -> KaplanMeier:
    """Estimate the survival curve.

    Parameters
    ----------
    y : Outcome
    confidence : float
        Of the interval.
    interval : {"log-log", "log", "plain"}
        Scale on which it is normal. R takes "log" unless told; limits are cut at 0 and 1.

    Returns
    -------
    KaplanMeier

    Raises
    ------
    CohortError
        No patients, or an interval of another name.

    Examples
    --------
    >>> curve = kaplan_meier(Outcome([6, 12, 18, 24, 30], [1, 0, 1, 0, 0]))
    >>> curve.at([0, 12, 24]).round(3)
       time_months  survival     se  lower  upper  at_risk
    0          0.0     1.000  0.000  1.000  1.000        5
    1         12.0     0.800  0.179  0.204  0.969        4
    2         24.0     0.533  0.248  0.068  0.863        2
    """
    if len(y) == 0:
        raise CohortError("no patients: no Kaplan-Meier curve")
    times, inverse = np.unique(y.time_months, return_inverse=True)
    events = np.bincount(inverse, weights=y.event).astype(int)
    leaving = np.bincount(inverse)
    at_risk = len(y) - np.concatenate([[0], np.cumsum(leaving)[:-1]])
    survival = np.cumprod(1.0 - events / at_risk)
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = np.sqrt(np.cumsum(events / (at_risk * (at_risk - events))))
        lower, upper = _limits(survival, spread, norm.ppf(0.5 + confidence / 2), interval)
        spread_of_survival = survival * spread
    flat = survival == 1.0
    lower, upper = np.where(flat, 1.0, lower), np.where(flat, 1.0, upper)
    se = np.where(flat, 0.0, spread_of_survival)
    return KaplanMeier(
        times, survival, se, lower, upper, events, leaving - events, np.sort(y.time_months), y.simulated
    )


def _limits(survival: Floats, spread: Floats, z: float, interval: Interval) -> tuple[Floats, Floats]:
    """Confidence limits; ``spread`` is the standard error of the log survival."""
    if interval == "log-log":
        reach = z * spread / np.log(survival)
        return survival ** np.exp(-reach), survival ** np.exp(reach)
    if interval == "log":
        return survival * np.exp(-z * spread), np.minimum(1.0, survival * np.exp(z * spread))
    if interval == "plain":
        reach = z * spread * survival
        return np.maximum(0.0, survival - reach), np.minimum(1.0, survival + reach)
    raise CohortError(f"interval {interval!r} is unknown", "Take log-log, log or plain.")


def _crossing(times: Floats, curve: Floats, level: float) -> float:
    """When a falling step function meets a level."""
    reached = np.flatnonzero(curve <= level + _SAME)
    if len(reached) == 0:
        return float("nan")
    at = reached[0]
    if curve[at] < level - _SAME:
        return float(times[at])
    below = np.flatnonzero(curve < level - _SAME)
    return float((times[at] + times[below[0] if len(below) else -1]) / 2)
