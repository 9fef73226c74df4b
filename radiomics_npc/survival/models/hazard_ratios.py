"""Hazard ratios and Wald tests of the terms of a Cox model.

References
----------
Harrell FE. Regression Modeling Strategies. 2nd ed. Springer 2015, sections 2.4 and
10.5: a spline is told by its overall and its nonlinear test, and by the hazard ratio
between quartiles, as in ``summary`` and ``anova`` of the R package rms.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import chi2, norm

from radiomics_npc.survival.terms import Term

__all__ = ["hazard_ratios", "wald_tests"]

Floats = NDArray[np.float64]


def hazard_ratios(
    terms: Sequence[Term], coef: pd.Series, covariance: pd.DataFrame, *, confidence: float = 0.95
) -> pd.DataFrame:
    """One row a contrast of the linear predictor.

    A unit of a number, a level against the reference (which has a row with 1), the upper
    against the lower quartile of a spline, one unit of each product of an interaction.

    Parameters
    ----------
    terms : sequence of Term
    coef : Series
    covariance : DataFrame
    confidence : float

    Returns
    -------
    DataFrame
        Columns term, level, coef, hazard_ratio, lower, upper, z, p.

    Examples
    --------
    >>> coef = pd.Series([0.7], index=["age"])
    >>> hazard_ratios([Term("age", "linear", (0.7,))], coef, pd.DataFrame([[0.04]])).round(3)
      term level  coef  hazard_ratio  lower  upper    z    p
    0  age         0.7         2.014  1.361   2.98  3.5  0.0
    """
    reach = norm.ppf(0.5 + confidence / 2)
    rows, at = [], 0
    for term in terms:
        block = slice(at, at := at + len(term.columns))
        beta, square = coef.to_numpy()[block], covariance.to_numpy()[block, block]
        if term.kind == "factor":
            rows.append((term.name, term.levels[0], 0.0, 1.0, np.nan, np.nan, np.nan, np.nan))
        for level, contrast in _contrasts(term):
            value, error = float(contrast @ beta), float(np.sqrt(contrast @ square @ contrast))
            low, high = np.exp([value - reach * error, value + reach * error])
            z = value / error
            rows.append((term.name, level, value, np.exp(value), low, high, z, 2 * norm.sf(abs(z))))
    names = ["term", "level", "coef", "hazard_ratio", "lower", "upper", "z", "p"]
    return pd.DataFrame(rows, columns=names)


def _contrasts(term: Term) -> list[tuple[str, Floats]]:
    """What is told of a term: a name, and the weight of each of its coefficients."""
    if term.kind == "spline":
        lower, upper = term.quartiles or term.range or (0.0, 1.0)
        low, high = term.encode(pd.Series([lower, upper], name=term.name))
        return [(f"{upper:.4g} against {lower:.4g}", high - low)]
    levels: Sequence[str] = {"factor": term.levels[1:], "interaction": term.levels}.get(term.kind, ("",))
    return list(zip(levels, np.eye(len(term.columns)), strict=True))


def wald_tests(terms: Sequence[Term], coef: pd.Series, covariance: pd.DataFrame) -> pd.DataFrame:
    """Wald chi-square tests as ``rms::anova`` makes them.

    Parameters
    ----------
    terms : sequence of Term
    coef : Series
    covariance : DataFrame

    Returns
    -------
    DataFrame
        Columns term, test, chi_square, df, p: for each term ``overall`` (all its coefficients,
        with those of its interactions), for a spline also ``nonlinear``; last ``TOTAL``.

    Examples
    --------
    >>> coef = pd.Series([0.7], index=["age"])
    >>> wald_tests([Term("age", "linear", (0.7,))], coef, pd.DataFrame([[0.04]])).round(4)
        term     test  chi_square  df       p
    0    age  overall       12.25   1  0.0005
    1  TOTAL  overall       12.25   1  0.0005
    """
    names = np.repeat([term.name for term in terms], [len(term.columns) for term in terms])
    rows: list[tuple[str, str, float, int, float]] = []

    def test(term: str, what: str, which: NDArray[np.intp]) -> None:
        beta = coef.to_numpy()[which]
        statistic = float(beta @ np.linalg.solve(covariance.to_numpy()[np.ix_(which, which)], beta))
        rows.append((term, what, statistic, len(which), float(chi2.sf(statistic, len(which)))))

    for term in terms:
        own = np.flatnonzero(names == term.name)
        higher = [other.name for other in terms if term.name in other.parts]
        test(term.name, "overall", np.flatnonzero(np.isin(names, [term.name, *higher])))
        if term.kind == "spline":
            test(term.name, "nonlinear", own[1:])
    if terms:
        test("TOTAL", "overall", np.arange(len(coef)))
    return pd.DataFrame(rows, columns=["term", "test", "chi_square", "df", "p"])
