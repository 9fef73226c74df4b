"""Calibration at a horizon: predicted probability against Kaplan-Meier in groups.

References
----------
Harrell FE. Regression Modeling Strategies, 2nd ed. 2015, section 20.2.
Van Calster B et al. BMC Med 2019;17:230 (what calibration means).
The numbers in groups equal R's ``rms::calibrate(cmethod = "KM")``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import ConfigError
from radiomics_npc.survival.estimation.kaplan_meier import kaplan_meier
from radiomics_npc.survival.metrics.horizon import with_predictions
from radiomics_npc.survival.metrics.weak_calibration import observed_expected

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
        (Kaplan-Meier), lower, upper. The last three are NaN in a group whose
        follow-up ends before the horizon.
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
    y: Outcome,
    predicted: ArrayLike,
    *,
    horizon_months: float = 60.0,
    groups: int = 5,
    cuts: Sequence[float] | None = None,
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
    cuts : sequence of float, optional
        Cut points between the groups instead, so that models or cohorts are shown
        in the same groups. A patient at a cut point belongs to the group above it.

    Returns
    -------
    Calibration

    Raises
    ------
    CohortError
        Lengths differ, no patient has a prediction, or a number is no probability.
    HorizonError
        Nobody is followed to the horizon.
    ConfigError
        ``groups`` is less than 1, or the cut points are not numbers.

    Examples
    --------
    >>> y = Outcome([10, 20, 60, 60, 60, 60], [1, 1, 0, 0, 0, 0])
    >>> calibrate(y, [0.4, 0.5, 0.6, 0.8, 0.8, 0.9], groups=2).to_frame()[["predicted", "observed"]].round(2)
       predicted  observed
    0       0.50      0.33
    1       0.83      1.00
    """
    y, values, _ = with_predictions(y, predicted, horizon_months=horizon_months)
    group = np.searchsorted(_edges(values, groups, cuts), values, side="right")
    rows = []
    for k in np.unique(group):
        part = y.take(np.flatnonzero(group == k))
        curve = kaplan_meier(part)
        # A group whose last patient had the event stays at 0.
        when = horizon_months if curve.survival[-1] > 0 else min(horizon_months, float(curve.times[-1]))
        found = curve.at([when]).iloc[0]
        events = int((part.event & (part.time_months <= horizon_months)).sum())
        rows.append((len(part), events, values[group == k].mean(), found.survival, found.lower, found.upper))
    table = pd.DataFrame(rows, columns=["patients", "events", "predicted", "observed", "lower", "upper"])
    ratio, limits = observed_expected(y, values, horizon_months=horizon_months)
    return Calibration(horizon_months, table, ratio, limits, len(y), y.simulated)


def _edges(values: NDArray[np.float64], groups: int, cuts: Sequence[float] | None) -> NDArray[np.float64]:
    """Cut points between groups, ascending."""
    if cuts is not None:
        edges = np.unique(np.asarray(cuts, dtype=float))
        if not np.isfinite(edges).all():
            raise ConfigError("a cut point between groups is not a number")
        return edges
    if groups < 1:
        raise ConfigError(f"calibration in {groups} groups", "Ask for at least 1.")
    return np.unique(np.quantile(values, np.linspace(0, 1, groups + 1)[1:-1]))
