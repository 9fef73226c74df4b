"""Calibration at a horizon: predicted probability against Kaplan-Meier in groups.

References
----------
Harrell FE. Regression Modeling Strategies, 2nd ed. 2015, section 20.2.
Van Calster B et al. BMC Med 2019;17:230 (what calibration means).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError, HorizonError
from radiomics_npc.survival.estimation.kaplan_meier import kaplan_meier

__all__ = ["Calibration", "calibrate"]


@dataclass(frozen=True, eq=False)
class Calibration:
    """Predicted against observed survival in groups of patients.

    Parameters
    ----------
    horizon_months : float
    table : DataFrame
        One row a group, from the lowest predicted probability to the highest:
        patients, events (up to the horizon), predicted (mean), observed
        (Kaplan-Meier), lower, upper.
    observed_expected : float
        Observed over expected share of patients with an event by the horizon: 1 is
        right, more means that the model is too hopeful.
    observed_expected_interval : tuple of float
        95% limits, from Greenwood's variance on the log scale.
    patients : int
        With a prediction.
    simulated : bool
        Patients that never lived.
    """

    horizon_months: float
    table: pd.DataFrame
    observed_expected: float
    observed_expected_interval: tuple[float, float]
    patients: int
    simulated: bool = False

    def to_frame(self) -> pd.DataFrame:
        """One row a group."""
        return self.table

    def _repr_html_(self) -> str:
        low, high = self.observed_expected_interval
        who = "simulated patients" if self.simulated else "patients"
        head = (
            f"<p>Calibration at {self.horizon_months:g} months: {self.patients} {who}, O/E "
            f"{self.observed_expected:.2f} (95% CI {low:.2f}-{high:.2f})</p>"
        )
        return head + self.table.to_html(index=False, float_format="{:.3f}".format)


def calibrate(
    y: Outcome, predicted: ArrayLike, *, horizon_months: float = 60.0, groups: int = 5
) -> Calibration:
    """Compare predicted probabilities with Kaplan-Meier estimates.

    Parameters
    ----------
    y : Outcome
    predicted : array, shape (n,)
        Probability to be free of the event at the horizon. Patients without a
        prediction (NaN) are left out and counted.
    horizon_months : float
    groups : int
        Equally large groups by predicted probability; fewer when predictions tie.

    Returns
    -------
    Calibration

    Raises
    ------
    CohortError
        Lengths differ, or no patient has a prediction.
    HorizonError
        Nobody is followed to the horizon.

    Examples
    --------
    >>> y = Outcome([10, 20, 60, 60, 60, 60], [1, 1, 0, 0, 0, 0])
    >>> calibrate(y, [0.4, 0.5, 0.6, 0.8, 0.8, 0.9], groups=2).to_frame()[["predicted", "observed"]].round(2)
       predicted  observed
    0       0.50      0.33
    1       0.83      1.00
    """
    values = np.asarray(predicted, dtype=float)
    if values.shape != (len(y),):
        raise CohortError(f"{len(y)} patients but predictions of shape {values.shape}")
    known = np.isfinite(values)
    if not known.any():
        raise CohortError("no patient has a prediction", "Take a horizon within the follow-up.")
    y, values = y.take(np.flatnonzero(known)), values[known]
    if y.time_months.max() < horizon_months:
        raise HorizonError(
            f"nobody is followed to {horizon_months:g} months (longest {y.time_months.max():.1f})",
            "Take an earlier horizon.",
        )
    edges = np.unique(np.quantile(values, np.linspace(0, 1, groups + 1)[1:-1]))
    group = np.searchsorted(edges, values, side="right")
    rows = []
    for k in np.unique(group):
        part = y.take(np.flatnonzero(group == k))
        found = kaplan_meier(part).at([horizon_months]).iloc[0]
        events = int((part.event & (part.time_months <= horizon_months)).sum())
        rows.append((len(part), events, values[group == k].mean(), found.survival, found.lower, found.upper))
    table = pd.DataFrame(rows, columns=["patients", "events", "predicted", "observed", "lower", "upper"])
    return Calibration(
        horizon_months, table, *_observed_expected(y, values, horizon_months), len(y), y.simulated
    )


def _observed_expected(
    y: Outcome, predicted: np.ndarray, horizon_months: float
) -> tuple[float, tuple[float, float]]:
    found = kaplan_meier(y).at([horizon_months]).iloc[0]
    observed, expected = 1.0 - found.survival, float(1.0 - predicted.mean())
    if observed <= 0 or expected <= 0:
        return float("nan"), (float("nan"), float("nan"))
    ratio = observed / expected
    reach = 1.959963984540054 * found.se / observed
    return float(ratio), (float(ratio * np.exp(-reach)), float(ratio * np.exp(reach)))
