"""Rubin's rules: estimates from several completed tables as one, with what the missing values cost.

References
----------
Rubin DB. Multiple Imputation for Nonresponse in Surveys. Wiley 1987. Barnard J,
Rubin DB. Small-sample degrees of freedom with multiple imputation. Biometrika
1999;86:948-955. van Buuren S. Flexible Imputation of Missing Data, 2nd ed. 2018, section 2.4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import t as student

from radiomics_npc.errors import CohortError

__all__ = ["PooledEstimates", "pool_coefficients"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PooledEstimates:
    """Coefficients pooled over completed tables.

    Parameters
    ----------
    coef, se : Series
    covariance : DataFrame
        Total: within the tables, plus (1 + 1/m) times that between them.
    df : Series
        Degrees of freedom (Barnard and Rubin) of the t distribution.
    fmi : Series
        Fraction of missing information.
    lambda_ : Series
        Share of the variance that comes from the missing values.
    m : int
        Completed tables.
    simulated : bool
        The patients never lived.
    """

    coef: pd.Series
    se: pd.Series
    covariance: pd.DataFrame
    df: pd.Series
    fmi: pd.Series
    lambda_: pd.Series
    m: int
    simulated: bool = False

    def interval(self, confidence: float = 0.95) -> pd.DataFrame:
        """Confidence limits, columns lower and upper."""
        reach = student.ppf(0.5 + confidence / 2, self.df) * self.se
        return pd.DataFrame({"lower": self.coef - reach, "upper": self.coef + reach})

    def to_frame(self) -> pd.DataFrame:
        """One row a coefficient: coef, se, lower, upper, hazard_ratio, df, p, fmi, lambda."""
        table = pd.DataFrame({"coef": self.coef, "se": self.se}).join(self.interval())
        table["hazard_ratio"] = np.exp(self.coef)
        table["df"], table["p"] = self.df, 2 * student.sf(np.abs(self.coef / self.se), self.df)
        table["fmi"], table["lambda"] = self.fmi, self.lambda_
        return table.assign(simulated=True) if self.simulated else table

    def _repr_html_(self) -> str:
        who = ", simulated patients" if self.simulated else ""
        head = f"<p>Pooled over {self.m} completed tables{who}</p>"
        return head + self.to_frame().to_html(float_format="{:.3g}".format)


def pool_coefficients(
    estimates: Sequence[pd.Series | ArrayLike],
    covariances: Sequence[pd.DataFrame | ArrayLike],
    *,
    complete_df: float = np.inf,
    simulated: bool = False,
) -> PooledEstimates:
    """Pool the coefficients of one model fitted to m completed tables.

    Parameters
    ----------
    estimates : sequence of Series, or array, shape (m, p)
        All with the same coefficients, in the same order.
    covariances : sequence of DataFrame, or array, shape (m, p, p)
    complete_df : float
        Degrees of freedom had nothing been missing: for a Cox model the events minus the
        coefficients. Infinite is Rubin's original rule.
    simulated : bool

    Returns
    -------
    PooledEstimates
        With a fraction of missing information of 0 where the tables do not differ.

    Raises
    ------
    CohortError
        Fewer than two tables, other shapes, or coefficients that differ in name.

    Examples
    --------
    >>> pooled = pool_coefficients([[1.0], [1.2], [1.4]], [[[0.04]], [[0.05]], [[0.03]]])
    >>> pooled.to_frame()[["coef", "se", "df", "lambda"]].round(3).to_numpy().tolist()
    [[1.2, 0.306, 6.125, 0.571]]
    """
    named = [list(one.index) for one in estimates if isinstance(one, pd.Series)]
    if any(names != named[0] for names in named):
        raise CohortError("the completed tables gave different coefficients", "Merge sparse levels before.")
    beta = np.array([np.asarray(one, dtype=float) for one in estimates])
    spread = np.array([np.asarray(one, dtype=float) for one in covariances])
    m = len(beta)
    if m < 2 or beta.ndim != 2 or spread.shape != (m, *beta.shape[1:] * 2):
        raise CohortError(
            f"estimates of shape {beta.shape} and covariances of shape {spread.shape} cannot be pooled",
            "Give (m, p) and (m, p, p), m at least 2.",
        )
    names = named[0] if named else list(range(beta.shape[1]))
    within = spread.mean(axis=0)
    away = beta - beta.mean(axis=0)
    between = (1 + 1 / m) * away.T @ away / (m - 1)
    total = within + between
    share, increase = np.diag(between) / np.diag(total), np.diag(between) / np.diag(within)
    df = _degrees_of_freedom(share, m, complete_df)
    fmi = np.where(share > 0, (increase + 2 / (df + 3)) / (1 + increase), 0.0)

    def series(values: Floats) -> pd.Series:
        return pd.Series(values, index=names, dtype=float)

    covariance = pd.DataFrame(total, index=names, columns=names)
    return PooledEstimates(
        series(beta.mean(axis=0)), series(np.sqrt(np.diag(total))), covariance, series(df), series(fmi),
        series(share), m, simulated,
    )  # fmt: skip


def _degrees_of_freedom(share: Floats, m: int, complete_df: float) -> Floats:
    """Barnard and Rubin's, from the share of the variance that is between the tables."""
    with np.errstate(divide="ignore"):
        old = (m - 1) / share**2
    if not np.isfinite(complete_df):
        return old
    observed = (complete_df + 1) / (complete_df + 3) * complete_df * (1 - share)
    with np.errstate(divide="ignore"):
        result: Floats = 1 / (1 / old + 1 / observed)
    return result
