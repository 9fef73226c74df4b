"""What a cohort is large enough for, judged by the criteria of Riley et al.

References
----------
Riley RD et al. Minimum sample size for developing a multivariable prediction model:
part II. Stat Med 2019;38:1276-1296.
"""

from __future__ import annotations

from scipy.optimize import brentq

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError
from radiomics_npc.survival.models.sample_size import SampleSize, patients_for_shrinkage, sample_size

__all__ = ["sample_size_warnings"]


def sample_size_warnings(
    y: Outcome,
    parameters: int,
    *,
    horizon_months: float,
    r2_cox_snell: float | None = None,
    c_index: float | None = None,
) -> list[str]:
    """What to do when a cohort is too small for what is asked of it.

    Parameters
    ----------
    y : Outcome
    parameters : int
        Candidate coefficients, before selection.
    horizon_months : float
    r2_cox_snell, c_index : float, optional
        As :func:`~radiomics_npc.survival.models.sample_size.sample_size` takes them.

    Returns
    -------
    list of str
        Sentences for the reader, worst first; empty when the cohort is large enough.

    Raises
    ------
    CohortError
        No event.

    Examples
    --------
    >>> y = Outcome([12.0, 60.0] * 50, [1, 0] * 50)
    >>> for line in sample_size_warnings(y, 20, horizon_months=60, c_index=0.7):
    ...     print(line)
    50 events for 20 candidate parameters (2.5 each): 813 patients are needed, there are 100. Look at \
2 parameters at most, chosen without the outcome, or penalize and say so.
    Coefficients are expected to be too large: they would have to be shrunk to 0.55 of their size. \
Validate by bootstrap or nested cross-validation with every step inside, and apply the shrinkage.
    """
    events, n = int(y.event.sum()), len(y)
    if not events:
        raise CohortError("no patient has an event: no model can be developed")
    years = float(y.time_months.sum()) / 12
    needed = sample_size(
        parameters, event_rate_per_year=events / years, mean_follow_up_months=12 * years / n,
        horizon_months=horizon_months, r2_cox_snell=r2_cox_snell, c_index=c_index,
    )  # fmt: skip
    lines = []
    if n < needed.n:
        lines.append(
            f"{events} events for {parameters} candidate parameters ({events / parameters:.2g} each): "
            f"{needed.n} patients are needed, there are {n}. {_advice(needed, n)}"
        )
    factor = _expected_shrinkage(n, parameters, needed.r2_cox_snell)
    if factor < needed.shrinkage:
        lines.append(
            f"Coefficients are expected to be too large: they would have to be shrunk to {factor:.2f} of "
            "their size. Validate by bootstrap or nested cross-validation with every step inside, "
            "and apply the shrinkage."
        )
    at_horizon = int((y.time_months >= horizon_months).sum())
    if at_horizon < 10:
        lines.append(
            f"{at_horizon} patients are followed to {horizon_months:g} months: predict at an earlier horizon."
        )
    return lines


def _advice(needed: SampleSize, n: int) -> str:
    """What so few patients have room for."""
    targets = (needed.shrinkage, needed.shrinkage_optimism)
    most = int(n * min(1 / patients_for_shrinkage(1, needed.r2_cox_snell, s) for s in targets))
    if not most:
        return "Collect more patients, or validate a published model instead."
    return (
        f"Look at {most} parameter{'s' if most > 1 else ''} at most, chosen without the outcome, "
        "or penalize and say so."
    )


def _expected_shrinkage(n: int, parameters: int, r2: float) -> float:
    """Global shrinkage that criterion 1 comes to with as many patients."""
    low, high = r2 * (1 + 1e-9), 1 - 1e-12
    if patients_for_shrinkage(parameters, r2, low) > n:
        return float(r2)
    return float(brentq(lambda s: patients_for_shrinkage(parameters, r2, s) - n, low, high))
