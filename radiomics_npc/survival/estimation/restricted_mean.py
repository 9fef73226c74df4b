"""Restricted mean survival time, and the difference between two groups.

The mean time free of the event within a stated span: the area under the Kaplan-Meier
curve. It needs no proportional hazards, and it is in months.

References
----------
Irwin JO. J Hyg 1949;47:188-189. Royston P, Parmar MKB. BMC Med Res Methodol
2013;13:152. Uno H et al. J Clin Oncol 2014;32:2380-2385. The numbers are those of
R's ``survival:::survmean`` and of survRM2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import norm

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError, HorizonError
from radiomics_npc.survival.estimation.kaplan_meier import kaplan_meier

__all__ = [
    "RestrictedMean",
    "RestrictedMeanDifference",
    "restricted_mean",
    "restricted_mean_difference",
]


@dataclass(frozen=True)
class RestrictedMean:
    """Mean time free of the event until ``until_months``, with its standard error."""

    estimate: float
    se: float
    until_months: float
    patients: int
    events: int
    simulated: bool = False

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Normal confidence interval, cut at 0 and ``until_months``."""
        reach = norm.ppf(0.5 + confidence / 2) * self.se
        return max(0.0, self.estimate - reach), min(self.until_months, self.estimate + reach)

    def to_frame(self) -> pd.DataFrame:
        """One row: estimate, se, lower, upper (95%), until_months, patients, events; simulated, if so."""
        lower, upper = self.interval()
        row: dict[str, float | bool] = {
            "estimate": self.estimate, "se": self.se, "lower": lower, "upper": upper,
            "until_months": self.until_months, "patients": self.patients, "events": self.events,
        }  # fmt: skip
        return pd.DataFrame([row | ({"simulated": True} if self.simulated else {})])

    def _repr_html_(self) -> str:
        return self.to_frame().to_html(index=False, float_format="{:.2f}".format)


@dataclass(frozen=True, eq=False)
class RestrictedMeanDifference:
    """Difference of two restricted means, the second group minus the first.

    Parameters
    ----------
    estimate, se, z, p : float
        Months; p is two-sided.
    groups : dict of str to RestrictedMean
        The two, in order.
    """

    estimate: float
    se: float
    z: float
    p: float
    groups: dict[str, RestrictedMean]

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Normal confidence interval."""
        reach = norm.ppf(0.5 + confidence / 2) * self.se
        return self.estimate - reach, self.estimate + reach

    def to_frame(self) -> pd.DataFrame:
        """One row a group, then one for the difference with its z and p; simulated, if so."""
        table = pd.concat([found.to_frame() for found in self.groups.values()], ignore_index=True)
        first, second = self.groups
        lower, upper = self.interval()
        row = {"estimate": self.estimate, "se": self.se, "lower": lower, "upper": upper,
               "until_months": table["until_months"].iloc[0], "patients": table["patients"].sum(),
               "events": table["events"].sum(), "z": self.z, "p": self.p}  # fmt: skip
        if "simulated" in table:
            row["simulated"] = True
        table = pd.concat([table, pd.DataFrame([row])], ignore_index=True)
        table.insert(0, "group", [first, second, f"{second} - {first}"])
        return table

    def _repr_html_(self) -> str:
        return self.to_frame().to_html(index=False, float_format="{:.3g}".format, na_rep="")


def restricted_mean(y: Outcome, until_months: float = 60.0) -> RestrictedMean:
    """Mean time free of the event within a span.

    Parameters
    ----------
    y : Outcome
    until_months : float
        Not past the largest follow-up time, unless the last patient had the event
        (the curve is then known to stay at 0).

    Returns
    -------
    RestrictedMean

    Raises
    ------
    CohortError
        No patients, or a span that is not positive.
    HorizonError
        Nobody is followed for so long.

    Examples
    --------
    >>> found = restricted_mean(Outcome([6, 12, 18, 24, 30], [1, 0, 1, 0, 0]), 24)
    >>> round(found.estimate, 3), round(found.se, 3)
    (18.8, 3.146)
    """
    if not until_months > 0:
        raise CohortError("the span of a restricted mean is not positive", "Give it in months.")
    curve = kaplan_meier(y)
    if until_months > curve.time_months[-1] and curve.survival[-1] > 0:
        raise HorizonError(
            f"nobody is followed for {until_months:g} months",
            f"Take a span of at most {curve.time_months[-1]:g} months.",
        )
    times, survival = curve.time_months, curve.survival
    edges = np.minimum(np.concatenate([[0.0], times, [np.inf]]), until_months)
    areas = np.diff(edges) * np.concatenate([[1.0], survival])
    ahead = np.cumsum(areas[:0:-1])[::-1]  # area from each time to the end of the span
    at_risk, events = curve.at_risk(times).astype(float), curve.events
    left = at_risk * (at_risk - events)
    # where nobody is left the area ahead is 0
    steps = np.divide(events, left, out=np.zeros_like(left), where=left > 0)
    variance = float((ahead**2 * steps).sum())
    within = int((y.event & (y.time_months <= until_months)).sum())
    return RestrictedMean(
        float(areas.sum()), float(np.sqrt(variance)), float(until_months), len(y), within, y.simulated
    )


def restricted_mean_difference(
    y: Outcome, groups: ArrayLike | pd.Series, until_months: float | None = None
) -> RestrictedMeanDifference:
    """Compare the restricted means of two groups.

    Parameters
    ----------
    y : Outcome
    groups : array, shape (n,)
        Two labels, in the order of their categories, or sorted; empty ones do not count.
    until_months : float, optional
        By default the longest span that both groups are followed for. State it
        before looking at the curves.

    Returns
    -------
    RestrictedMeanDifference

    Raises
    ------
    CohortError
        Not two groups, lengths differ, or a label is missing.
    HorizonError
        A group is not followed for so long.

    Examples
    --------
    >>> y = Outcome([6, 12, 18, 24, 30, 3, 5, 20, 24, 24], [1, 0, 1, 0, 0, 1, 1, 1, 0, 0])
    >>> found = restricted_mean_difference(y, ["low"] * 5 + ["high"] * 5, 24)
    >>> {name: round(mean.estimate, 1) for name, mean in found.groups.items()}, round(found.p, 2)
    ({'high': 15.2, 'low': 18.8}, 0.49)
    """
    given = pd.Categorical(pd.Series(groups)).remove_unused_categories()
    if len(given) != len(y):
        raise CohortError(f"{len(y)} patients but {len(given)} group labels")
    if len(given.categories) != 2 or (given.codes < 0).any():
        raise CohortError(
            f"a difference needs two groups, there are {len(given.categories)}", "Compare them in pairs."
        )
    parts = [y.take(given.codes == k) for k in (0, 1)]
    if until_months is None:
        until_months = min(float(part.time_months.max()) for part in parts)
    first, second = (restricted_mean(part, until_months) for part in parts)
    difference = second.estimate - first.estimate
    se = float(np.hypot(first.se, second.se))
    z = difference / se if se > 0 else float("nan")
    names = [str(name) for name in given.categories]
    return RestrictedMeanDifference(
        difference, se, z, float(2 * norm.sf(abs(z))), dict(zip(names, (first, second), strict=True))
    )
