"""Continuous net reclassification index and integrated discrimination improvement.

Both compare two models at a horizon, weighted for censoring. They are asked for by
readers and reviewers, and are to be read with care: see :data:`CAUTION`.

References
----------
Uno H et al. Stat Med 2013;32:2430-2442 (weights for censoring). Pencina MJ,
D'Agostino RB, Steyerberg EW. Stat Med 2011;30:11-21 (Kaplan-Meier among those moved
up and down). Hilden J, Gerds TA. Stat Med 2014;33:3405-3414, and Pepe MS et al.
Stat Biosci 2015;7:282-295 (what is wrong with them).
"""

from __future__ import annotations

import html
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError, HorizonError
from radiomics_npc.survival.estimation.censoring import horizon_weights
from radiomics_npc.survival.metrics.horizon import survival_in_subsets, with_predictions
from radiomics_npc.survival.metrics.resampling import bootstrap_rows, percentile_limits

__all__ = ["CAUTION", "Reclassification", "reclassification"]

Floats = NDArray[np.float64]
CAUTION = (
    "The NRI and the IDI reward a new model for being miscalibrated and for noise that it adds, and can be "
    "positive when nothing was gained (Hilden and Gerds 2014; Pepe 2015). Judge models by the C-index, the "
    "Brier score, calibration and net benefit; these are given because readers ask for them."
)
_MEASURES = (
    "nri", "nri_events", "nri_nonevents", "idi", "idi_events", "idi_nonevents",
    "nri_kaplan_meier", "nri_kaplan_meier_events", "nri_kaplan_meier_nonevents",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Reclassification:
    """How a new model moves the risks of those who had the event, and of those who did not.

    Parameters
    ----------
    horizon_months : float
    table : DataFrame
        measure, estimate, lower, upper. ``nri_events`` is the share of patients with
        the event whose risk went up minus the share whose risk went down,
        ``nri_nonevents`` the share of the others whose risk went down minus up;
        ``nri``, their sum, lies between -2 and 2. ``idi_events`` is the mean rise of the
        risk among patients with the event, ``idi_nonevents`` its mean fall among the
        others, ``idi`` their sum. ``nri_kaplan_meier`` counts events by Kaplan-Meier
        among those moved up and among those moved down, where the others weight by
        the inverse probability of censoring.
    patients, events, nonevents : int
        With both predictions; known to have had the event by the horizon; known to
        be free of it then. The rest was censored earlier.
    resamples : int
    notes : tuple of str
    simulated : bool
        Patients that never lived.
    """

    horizon_months: float
    table: pd.DataFrame
    patients: int
    events: int
    nonevents: int
    resamples: int
    notes: tuple[str, ...] = (CAUTION,)
    simulated: bool = False

    def __getitem__(self, measure: str) -> float:
        """Estimate of one measure."""
        return float(self.table.set_index("measure")["estimate"][measure])

    def to_frame(self) -> pd.DataFrame:
        """One row a measure, with patients, events, nonevents; simulated, if so."""
        table = self.table.assign(patients=self.patients, events=self.events, nonevents=self.nonevents)
        return table.assign(simulated=True) if self.simulated else table

    def _repr_html_(self) -> str:
        notes = "".join(f"<li>{html.escape(note)}</li>" for note in self.notes)
        head = f"<p>Reclassification at {self.horizon_months:g} months, new model against old</p>"
        return head + self.to_frame().to_html(index=False, float_format="{:.3f}".format) + f"<ul>{notes}</ul>"


def reclassification(
    y: Outcome,
    old: ArrayLike,
    new: ArrayLike,
    *,
    horizon_months: float = 60.0,
    resamples: int = 500,
    random_state: int = 0,
    confidence: float = 0.95,
) -> Reclassification:
    """Continuous NRI and IDI of a new model against an old one.

    Parameters
    ----------
    y : Outcome
    old, new : array, shape (n,)
        Probability to be free of the event at the horizon, out of fold. Patients
        without either are left out and counted.
    horizon_months : float
    resamples : int
        Bootstrap samples of patients for limits; 0 for none. The predictions stay
        fixed, the censoring weights are estimated anew.
    random_state : int
    confidence : float

    Returns
    -------
    Reclassification

    Raises
    ------
    CohortError
        Lengths differ, a number is no probability, or no patient has both predictions.
    HorizonError
        Nobody is followed to the horizon, nobody had the event by then, or nobody is
        known to be free of it.

    Examples
    --------
    >>> y = Outcome([10, 20, 60, 60, 60], [1, 1, 0, 0, 0])
    >>> old, new = [0.6, 0.5, 0.7, 0.8, 0.6], [0.4, 0.6, 0.8, 0.9, 0.5]
    >>> found = reclassification(y, old, new, resamples=0)
    >>> found.to_frame()[["measure", "estimate"]].head(6).round(3)
             measure  estimate
    0            nri     0.333
    1     nri_events     0.000
    2  nri_nonevents     0.333
    3            idi     0.083
    4     idi_events     0.050
    5  idi_nonevents     0.033
    """
    if np.shape(old) != np.shape(new):
        raise CohortError(f"predictions of shape {np.shape(old)} and {np.shape(new)}")
    both = np.column_stack([np.asarray(old, dtype=float), np.asarray(new, dtype=float)])
    y, values, known = with_predictions(y, both, horizon_months=horizon_months)
    event, free, _ = horizon_weights(y, horizon_months)
    if not event.any() or not free.any():
        who = "had the event by" if not event.any() else "is known to be free of the event at"
        raise HorizonError(f"nobody {who} {horizon_months:g} months", "Take another horizon.")
    estimate = _measures(y, values, horizon_months)
    draws = np.full((resamples, len(_MEASURES)), np.nan)
    for k, rows in enumerate(bootstrap_rows(len(y), resamples, random_state)):
        sample = y.take(rows)
        if sample.time_months.max() >= horizon_months:
            draws[k] = _measures(sample, values[rows], horizon_months)
    lower, upper = percentile_limits(draws, confidence)
    table = pd.DataFrame({"measure": _MEASURES, "estimate": estimate, "lower": lower, "upper": upper})
    notes = [CAUTION]
    if not known.all():
        notes.append(f"{int((~known).sum())} patients without both predictions are left out")
    if np.isnan(estimate).any():
        notes.append("no NRI by Kaplan-Meier: those moved up, or down, are not followed to the horizon")
    return Reclassification(
        horizon_months, table, len(y), int(event.sum()), int(free.sum()), resamples, tuple(notes), y.simulated
    )


def _measures(y: Outcome, values: Floats, horizon_months: float) -> Floats:
    """All measures, in the order of their names; NaN without events or without others."""
    rise = values[:, 0] - values[:, 1]  # of the risk
    # Predictions averaged in another order differ in the last digit; that moves nobody.
    moved = np.where(np.abs(rise) > 1e-12, np.sign(rise), 0.0)
    event, free, weight = horizon_weights(y, horizon_months)
    of_events, of_others = _share(event * weight), -_share(free * weight)
    nri = [of_events @ moved, of_others @ moved]
    idi = [of_events @ rise, of_others @ rise]
    by_km = _kaplan_meier_nri(y, moved, horizon_months)
    return np.array([sum(nri), *nri, sum(idi), *idi, sum(by_km), *by_km])


def _share(weight: Floats) -> Floats:
    total = weight.sum()
    return weight / total if total > 0 else np.full_like(weight, np.nan)


def _kaplan_meier_nri(y: Outcome, moved: Floats, horizon_months: float) -> list[float]:
    """Of events and of others: expected numbers among those moved up and down, over all (Pencina 2011)."""
    members = np.column_stack([moved > 0, moved < 0, np.ones(len(y))])
    survival, size = survival_in_subsets(y, members, horizon_months=horizon_months), members.sum(axis=0)
    # Nobody moved: nothing to count, rather than nothing known.
    survival[size == 0] = 0.0
    events, others = (1 - survival) * size, survival * size
    if not (events[2] > 0 and others[2] > 0):
        return [float("nan"), float("nan")]
    return [float((events[0] - events[1]) / events[2]), float((others[1] - others[0]) / others[2])]
