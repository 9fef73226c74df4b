"""Stability of features: intraclass correlation of repeated measurements."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import f as f_distribution

from radiomics_npc.errors import CohortError, ConfigError

__all__ = [
    "FORMS",
    "IntraclassCorrelation",
    "intraclass_correlation",
    "stability_category",
    "stability_table",
]

Floats = NDArray[np.float64]

#: Shrout and Fleiss: the model (1 one-way random, 2 two-way random, 3 two-way mixed), then one rating or the
#: mean of all k.
FORMS = ("1,1", "2,1", "3,1", "1,k", "2,k", "3,k")

_CATEGORIES = ("poor", "moderate", "good", "excellent")
_LIMITS = (0.5, 0.75, 0.9)

#: A spread below this share of the largest value is rounding, not a difference.
_FLAT = 1e-12


@dataclass(frozen=True, eq=False)
class IntraclassCorrelation:
    """Intraclass correlation of one or of many features.

    Parameters
    ----------
    form : str
        One of :data:`FORMS`.
    estimate, lower, upper : array of float, shape (p,)
        With the confidence limits; negative values are kept as they are, NaN
        where there is none. For a single feature, numbers.
    n : array of int, shape (p,)
        Patients with all ratings, on which the estimate rests.
    left_out : array of int, shape (p,)
        Patients without some rating.
    k : int
        Ratings.
    reason : array of str, shape (p,)
        Why there is no estimate; empty where there is one.
    """

    form: str
    estimate: Floats
    lower: Floats
    upper: Floats
    n: NDArray[np.intp]
    left_out: NDArray[np.intp]
    k: int
    reason: NDArray[np.object_]

    def to_frame(self) -> pd.DataFrame:
        """One row a feature."""
        columns: dict[str, Any] = {"icc": self.estimate, "lower": self.lower, "upper": self.upper}
        columns |= {"n": self.n, "left_out": self.left_out}
        table = pd.DataFrame({name: np.atleast_1d(values) for name, values in columns.items()})
        # no limit stands above its estimate, so an estimate that is poor is poor without one
        known = table["lower"].fillna(table["icc"].where(table["icc"] < _LIMITS[0]))
        return table.assign(category=stability_category(known), reason=np.atleast_1d(self.reason))

    def _repr_html_(self) -> str:
        table: str = self.to_frame().to_html(index=False, float_format="{:.3f}".format)
        return f"<p>ICC({self.form}) of {self.k} ratings</p>" + table


@dataclass(frozen=True)
class _MeanSquares:
    """Two-way analysis of variance without replication, shape (p,) each."""

    patients: Floats
    ratings: Floats
    within: Floats
    error: Floats


def intraclass_correlation(
    values: ArrayLike, form: str = "1,1", *, confidence: float = 0.95
) -> IntraclassCorrelation:
    """Intraclass correlation with its confidence interval.

    Parameters
    ----------
    values : array of float, shape (n, k) or (n, k, p)
        Patients, ratings (raters, repeats, perturbations) and features. A
        patient without some rating of a feature is left out of that feature.
    form : {"1,1", "2,1", "3,1", "1,k", "2,k", "3,k"}
        As Shrout and Fleiss number them: 1 for ratings that have nothing to
        do with each other from patient to patient (perturbations), 2 for
        raters who stand for other raters (absolute agreement), 3 for exactly
        these raters (consistency); ``1`` for one rating, ``k`` for the mean.
    confidence : float
        Of the two-sided interval.

    Returns
    -------
    IntraclassCorrelation

    Raises
    ------
    CohortError
        Another shape, or a single rating.
    ConfigError
        No such form, or a confidence outside 0 to 1.

    Notes
    -----
    Shrout and Fleiss, Psychol Bull 1979;86:420; intervals as in McGraw and
    Wong, Psychol Methods 1996;1:30. Equal to ``psych::ICC(lmer = FALSE)`` of R.

    Examples
    --------
    >>> ratings = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
    >>> [round(float(intraclass_correlation(ratings, form).estimate), 2) for form in FORMS]
    [0.17, 0.29, 0.71, 0.44, 0.62, 0.91]
    """
    if form not in FORMS:
        raise ConfigError(f"there is no ICC({form})", f"Take one of {'; '.join(FORMS)}.")
    if not 0 < confidence < 1:
        raise ConfigError(f"a confidence of {confidence} is none", "Take a number between 0 and 1, as 0.95.")
    ratings = np.asarray(values, dtype=float)
    if ratings.ndim not in (2, 3) or ratings.shape[1] < 2:
        raise CohortError(
            f"ratings of shape {ratings.shape}", "Give patients x ratings (x features), two ratings at least."
        )
    single = ratings.ndim == 2
    cube = ratings[:, :, None] if single else ratings
    complete = np.isfinite(cube).all(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        squares = _mean_squares(cube, complete)
        found = _estimates(squares, complete.sum(axis=0), cube.shape[1], form, (1 - confidence) / 2)
    reason = _reasons(cube, complete, found[0])
    # none exceeds 1 but by rounding
    numbers = [np.where(reason == "", np.minimum(number, 1.0), np.nan) for number in found]
    n = complete.sum(axis=0)
    shown: list[Any] = [*numbers, n, len(cube) - n, reason]
    estimate, lower, upper, n, left_out, why = (array[0] if single else array for array in shown)
    return IntraclassCorrelation(form, estimate, lower, upper, n, left_out, cube.shape[1], why)


def _reasons(cube: Floats, complete: NDArray[np.bool_], estimate: Floats) -> NDArray[np.object_]:
    """Why a feature has no intraclass correlation; shape (p,)."""
    there = np.broadcast_to(complete[:, None], cube.shape)
    high = np.max(cube, axis=(0, 1), initial=-np.inf, where=there)
    low = np.min(cube, axis=(0, 1), initial=np.inf, where=there)
    reason = np.full(cube.shape[2], "", dtype=object)
    reason[np.isnan(estimate)] = "the patients do not differ"
    reason[high - low <= _FLAT * np.maximum(np.abs(high), np.abs(low))] = "the same value everywhere"
    reason[complete.sum(axis=0) < 2] = "fewer than 2 patients with all ratings"
    return reason


def _mean_squares(cube: Floats, complete: NDArray[np.bool_]) -> _MeanSquares:
    n, k = complete.sum(axis=0), cube.shape[1]
    kept = np.where(complete[:, None], cube, 0.0)
    kept = np.where(complete[:, None], kept - kept.sum(axis=(0, 1)) / (n * k), 0.0)  # about the grand mean
    patient = kept.mean(axis=1)
    rating = kept.sum(axis=0) / n
    between = k * (patient**2).sum(axis=0)
    about_patient = kept - patient[:, None]
    rest = np.where(complete[:, None], about_patient - rating, 0.0)
    squares = (
        between / (n - 1),
        n * (rating**2).sum(axis=0) / (k - 1),
        (about_patient**2).sum(axis=(0, 1)) / (n * (k - 1)),
        (rest**2).sum(axis=(0, 1)) / ((n - 1) * (k - 1)),
    )
    rounding = (_FLAT * np.max(np.abs(cube), axis=(0, 1), initial=0.0, where=complete[:, None])) ** 2
    return _MeanSquares(*(np.where(square <= rounding, 0.0, square) for square in squares))


def _estimates(
    squares: _MeanSquares, n: NDArray[np.intp], k: int, form: str, tail: float
) -> tuple[Floats, Floats, Floats]:
    """Estimate, lower and upper limit of a single rating, stepped up to the mean of k where asked."""
    model, unit = form.split(",")
    if model == "2":
        single = _two_way_random(squares, n, k, tail)
    else:
        noise = squares.within if model == "1" else squares.error
        freedom = n * (k - 1) if model == "1" else (n - 1) * (k - 1)
        single = _one_ratio(squares.patients / noise, n - 1, freedom, k, tail)
    if unit == "1":
        return single
    # Spearman-Brown; ratings that agree less than by chance can have a mean without any agreement to speak of
    estimate, lower, upper = (k * icc / np.maximum(1 + (k - 1) * icc, 0.0) for icc in single)
    return estimate, lower, upper


def _one_ratio(
    ratio: Floats, between: NDArray[np.intp], within: NDArray[np.intp], k: int, tail: float
) -> tuple[Floats, Floats, Floats]:
    """ICC(1,1) and ICC(3,1): functions of one F ratio."""
    lower = ratio / f_distribution.ppf(1 - tail, between, within)
    upper = ratio * f_distribution.ppf(1 - tail, within, between)
    # ratings without any noise have an infinite ratio, and agree perfectly
    estimate, lower, upper = (
        np.where(np.isinf(value), 1.0, (value - 1) / (value + k - 1)) for value in (ratio, lower, upper)
    )
    return estimate, lower, upper


def _two_way_random(
    squares: _MeanSquares, n: NDArray[np.intp], k: int, tail: float
) -> tuple[Floats, Floats, Floats]:
    """ICC(2,1); the interval with Satterthwaite's degrees of freedom."""
    patients, ratings, error = squares.patients, squares.ratings, squares.error
    icc = (patients - error) / (patients + (k - 1) * error + k * (ratings - error) / n)
    by_rating = k * icc * ratings
    # psych divides both by the error; multiplied out, ratings that differ by constants only need no exception
    by_error = (n * (1 + (k - 1) * icc) - k * icc) * error
    freedom = (k - 1) * (n - 1) * (by_rating + by_error) ** 2 / ((n - 1) * by_rating**2 + by_error**2)
    none = (ratings == 0) & (error == 0)
    freedom = np.where(none, 1.0, freedom)
    low = f_distribution.ppf(1 - tail, n - 1, freedom)
    high = f_distribution.ppf(1 - tail, freedom, n - 1)
    noise = k * ratings + (k * n - k - n) * error
    lower = n * (patients - low * error) / (low * noise + n * patients)
    upper = n * (high * patients - error) / (noise + n * high * patients)
    return icc, lower, upper


def stability_category(lower: ArrayLike) -> NDArray[np.object_]:
    """Poor, moderate, good or excellent, by the lower confidence limit.

    Koo and Li, J Chiropr Med 2016;15:155: below 0.5, to 0.75, to 0.9, above.
    Empty where the limit is NaN.

    Examples
    --------
    >>> stability_category([0.4, 0.8, np.nan]).tolist()
    ['poor', 'good', '']
    """
    limit = np.atleast_1d(np.asarray(lower, dtype=float))
    names = np.array(_CATEGORIES, dtype=object)[np.searchsorted(_LIMITS, np.nan_to_num(limit), "right")]
    result: NDArray[np.object_] = np.where(np.isnan(limit), "", names)
    return result


def stability_table(repeats: pd.DataFrame, form: str = "1,1", *, confidence: float = 0.95) -> pd.DataFrame:
    """Intraclass correlation of every feature.

    Parameters
    ----------
    repeats : DataFrame
        Indexed by (patient_id, perturbation), one column a feature. Each
        perturbation is one rating; a patient without one of them is left out.
    form : str
        One of :data:`FORMS`; (1,1) for perturbations (Zwanenburg et al., Sci
        Rep 2019;9:614), (2,1) or (3,1) for raters.
    confidence : float

    Returns
    -------
    DataFrame
        ``feature``, ``icc``, ``lower``, ``upper``, ``n`` (patients),
        ``left_out`` (patients without some rating), ``category`` and
        ``reason`` (why there is no ICC), in the order of the columns.

    Raises
    ------
    CohortError
        The index is another, has a pair twice, or holds a single perturbation.
    ConfigError
        No such form.

    Examples
    --------
    >>> index = pd.MultiIndex.from_product([["1", "2", "3"], ["rater_1", "rater_2"]],
    ...                                    names=["patient_id", "perturbation"])
    >>> repeats = pd.DataFrame({"volume": [1.0, 1.1, 2.0, 1.9, 4.0, 4.2]}, index=index)
    >>> stability_table(repeats, "2,1").round(3)[["feature", "icc", "lower", "n", "category"]]
      feature    icc  lower  n   category
    0  volume  0.996   0.93  3  excellent
    """
    if not isinstance(repeats.index, pd.MultiIndex) or list(repeats.index.names) != [
        "patient_id", "perturbation"
    ]:  # fmt: skip
        raise CohortError("repeated features need the index (patient_id, perturbation)")
    if repeats.index.has_duplicates:
        raise CohortError("a patient has features of one perturbation twice")
    patients, names = (repeats.index.unique(level) for level in (0, 1))
    full = repeats.reindex(pd.MultiIndex.from_product([patients, names], names=repeats.index.names))
    cube = full.to_numpy(dtype=float).reshape(len(patients), len(names), repeats.shape[1])
    table = intraclass_correlation(cube, form, confidence=confidence).to_frame()
    table.insert(0, "feature", [str(name) for name in repeats.columns])
    return table
