"""Minimum sample size for a prognostic model, by the criteria of Riley et al.

References
----------
Riley RD et al. Minimum sample size for developing a multivariable prediction model:
part II. Stat Med 2019;38:1276-1296. Riley RD et al. Calculating the sample size required
for developing a clinical prediction model. BMJ 2020;368:m441. The numbers are those of
the R package pmsampsize. From C to R2: Jinks RC, Royston P, Parmar MKB. BMC Med Res
Methodol 2015;15:82.
"""

from __future__ import annotations

import html
import math
from dataclasses import dataclass

import pandas as pd

from radiomics_npc.errors import ConfigError

__all__ = ["SampleSize", "patients_for_shrinkage", "r2_from_c_index", "sample_size"]

_NAGELKERKE = 0.15  # assumed when nothing is known (Riley 2020)
_MARGIN = 0.05  # of R2 and of the risk at the horizon


@dataclass(frozen=True)
class SampleSize:
    """Patients needed, by criterion.

    Parameters
    ----------
    parameters : int
        Candidate coefficients: all that are looked at, before any selection.
    event_rate_per_year, mean_follow_up_months, horizon_months : float
    r2_cox_snell, r2_max : float
        Expected of the new model, and the largest that is possible.
    n_shrinkage : int
        Criterion 1: coefficients need to be shrunk by a tenth at most.
    n_optimism : int
        Criterion 2: apparent and adjusted Nagelkerke R2 differ by 0.05 at most.
    n_risk : int
        Criterion 3: the overall risk at the horizon is known to 0.05.
    shrinkage : float
        Global shrinkage that is aimed at in criterion 1.
    shrinkage_optimism : float
        The same that criterion 2 comes to.
    """

    parameters: int
    event_rate_per_year: float
    mean_follow_up_months: float
    horizon_months: float
    r2_cox_snell: float
    r2_max: float
    n_shrinkage: int
    n_optimism: int
    n_risk: int
    shrinkage: float
    shrinkage_optimism: float

    @property
    def n(self) -> int:
        """Patients needed for all criteria."""
        return max(self.n_shrinkage, self.n_optimism, self.n_risk)

    @property
    def events(self) -> float:
        """Events expected among them."""
        return self.n * self._events_per_patient

    @property
    def events_per_parameter(self) -> float:
        """Events for each candidate coefficient."""
        return self.events / self.parameters

    @property
    def risk_at_horizon(self) -> tuple[float, float, float]:
        """Overall risk at the horizon and its 95% limits with ``n`` patients."""
        years, rate = self.horizon_months / 12, self.event_rate_per_year
        reach = 1.96 * math.sqrt(rate / (self.n * self.mean_follow_up_months / 12))
        risk, low, high = (1 - math.exp(-r * years) for r in (rate, max(0.0, rate - reach), rate + reach))
        return risk, low, high

    @property
    def _events_per_patient(self) -> float:
        return self.event_rate_per_year * self.mean_follow_up_months / 12

    def to_frame(self) -> pd.DataFrame:
        """One row a criterion and ``final``: n, shrinkage, r2_cox_snell, r2_max, events_per_parameter."""
        final = max(self.shrinkage, self.shrinkage_optimism)
        rows = [
            ("small overfitting", self.n_shrinkage, self.shrinkage),
            ("small optimism of R2", self.n_optimism, self.shrinkage_optimism),
            ("precise overall risk", self.n_risk, final),
            ("final", self.n, final),
        ]
        table = pd.DataFrame(rows, columns=["criterion", "n", "shrinkage"])
        each = table["n"] * self._events_per_patient / self.parameters
        return table.assign(
            r2_cox_snell=self.r2_cox_snell, r2_max=self.r2_max, events_per_parameter=each
        )  # fmt: skip

    def _repr_html_(self) -> str:
        risk, low, high = self.risk_at_horizon
        words = (
            f"{self.n} patients with about {self.events:.0f} events for {self.parameters} parameters; "
            f"risk at {self.horizon_months:g} months {risk:.3f} ({low:.3f} to {high:.3f})"
        )
        shown: str = self.to_frame().to_html(index=False, float_format="{:.3g}".format)
        return f"<p>{html.escape(words)}</p>{shown}"


def r2_from_c_index(c_index: float, events_per_patient: float) -> float:
    """Cox-Snell R2 that a C-index stands for, by way of Royston's D.

    Parameters
    ----------
    c_index : float
        0.5 to 1, corrected for optimism.
    events_per_patient : float
        Events over patients in the cohort to come.

    Returns
    -------
    float

    Raises
    ------
    ConfigError
        A number out of range.

    Examples
    --------
    >>> round(r2_from_c_index(0.7, 0.4), 4)
    0.1605
    """
    if not 0.5 < c_index < 1 or not events_per_patient > 0:
        raise ConfigError("C must lie between 0.5 and 1, and there must be events")
    d = 5.50 * (c_index - 0.5) + 10.26 * (c_index - 0.5) ** 3
    spread, noise = math.pi / 8 * d**2, math.pi**2 / 6
    royston = spread / (noise + spread)
    quigley = noise * royston / (1 - (1 - noise) * royston)
    return float(1 - (1 - quigley) ** events_per_patient)


def _r2_max(events_per_patient: float) -> float:
    """Largest Cox-Snell R2 (exponential survival, as in pmsampsize)."""
    e = events_per_patient
    return 1 - math.exp(2 * (e * math.log(e) - e))


def patients_for_shrinkage(parameters: int, r2: float, shrinkage: float) -> float:
    """Patients for a global shrinkage (Riley 2019, equation 11), at a Cox-Snell R2 below it.

    Examples
    --------
    >>> round(patients_for_shrinkage(30, 0.051, 0.9))
    5143
    """
    return parameters / ((shrinkage - 1) * math.log(1 - r2 / shrinkage))


def _for_risk(rate: float, years: float) -> float:
    """Patient-years for an upper limit of the risk at the horizon 0.05 above it (exponential survival)."""
    part = _MARGIN * math.exp(rate * years)
    return rate * (1.96 * years / math.log(1 - part)) ** 2 if part < 1 else 0.0


def sample_size(
    parameters: int,
    *,
    event_rate_per_year: float,
    mean_follow_up_months: float,
    horizon_months: float,
    r2_cox_snell: float | None = None,
    c_index: float | None = None,
    shrinkage: float = 0.9,
) -> SampleSize:
    """Patients needed to develop a Cox model.

    Parameters
    ----------
    parameters : int
        Candidate coefficients, before selection; a radiomic study has as many as features.
    event_rate_per_year : float
        Events over the patient-years of follow-up.
    mean_follow_up_months : float
    horizon_months : float
        Where survival is predicted.
    r2_cox_snell, c_index : float, optional
        What the model is expected to reach, corrected for optimism: one of the two. With
        neither, 15% of the largest possible R2 is assumed, as Riley et al. advise.
    shrinkage : float

    Returns
    -------
    SampleSize

    Raises
    ------
    ConfigError
        A number out of range, or R2 and C both given.

    Examples
    --------
    The example of pmsampsize: recurrent venous thromboembolism, 30 parameters.

    >>> needed = sample_size(30, event_rate_per_year=0.065, mean_follow_up_months=2.07 * 12,
    ...                      horizon_months=24, r2_cox_snell=0.051)
    >>> needed.n, round(needed.events), round(needed.events_per_parameter, 2)
    (5143, 692, 23.07)
    """
    positive = {
        "parameters": parameters,
        "event_rate_per_year": event_rate_per_year,
        "mean_follow_up_months": mean_follow_up_months,
        "horizon_months": horizon_months,
    }
    for name, value in positive.items():
        if not (value > 0 and math.isfinite(value)):
            raise ConfigError(f"{name} is {value}", "It must be above 0.")
    if r2_cox_snell is not None and c_index is not None:
        raise ConfigError("R2 and C are both given", "Give one of them.")
    each = event_rate_per_year * mean_follow_up_months / 12
    largest = _r2_max(each)
    if c_index is not None:
        r2 = r2_from_c_index(c_index, each)
    else:
        r2 = _NAGELKERKE * largest if r2_cox_snell is None else float(r2_cox_snell)
    if not 0 < r2 < min(largest, shrinkage) or not shrinkage < 1:
        raise ConfigError(
            f"a Cox-Snell R2 of {r2:.3g} cannot be reached: the largest is {largest:.3g}",
            "Give a smaller R2, and a shrinkage between it and 1.",
        )
    optimism = r2 / (r2 + _MARGIN * largest)
    return SampleSize(
        int(parameters), event_rate_per_year, mean_follow_up_months, horizon_months, r2, largest,
        math.ceil(patients_for_shrinkage(parameters, r2, shrinkage)),
        math.ceil(patients_for_shrinkage(parameters, r2, optimism)),
        math.ceil(_for_risk(event_rate_per_year, horizon_months / 12) / (mean_follow_up_months / 12)),
        shrinkage, optimism,
    )  # fmt: skip
