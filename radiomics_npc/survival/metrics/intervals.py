"""Confidence intervals for any score of given predictions: bootstrap and jackknife.

The predictions are held fixed: an interval says how well the score of this model is
known from these patients, not what another training cohort would have made of it.

References
----------
Efron B, Tibshirani RJ. An Introduction to the Bootstrap. 1993, chapters 11, 13 and 14.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError, ConfigError, HorizonError
from radiomics_npc.survival.metrics.bootstrap_limits import Method, bootstrap_limits
from radiomics_npc.survival.metrics.resampling import bootstrap_rows

__all__ = ["Interval", "bootstrap_difference", "bootstrap_interval", "jackknife_interval"]

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Score = Callable[[Outcome, Any], float]
_USABLE = 0.9  # share of resamples that must have given a score


@dataclass(frozen=True, eq=False)
class Interval:
    """A score with its confidence interval.

    Parameters
    ----------
    estimate : float
    lower, upper : float
        NaN where too few resamples gave a score (see ``note``).
    se, bias : float
        Standard error, and how far the mean over the resamples lies above the estimate.
    method : {"bca", "percentile", "basic", "jackknife"}
    confidence : float
    replicates : array, shape (resamples,)
        The score in each resample, NaN where it is undefined.
    note : str
        What is to be said of it: resamples without a score, limits that do not exist.
    simulated : bool
        Patients that never lived.
    """

    estimate: float
    lower: float
    upper: float
    se: float
    bias: float
    method: str
    confidence: float
    replicates: Floats
    note: str = ""
    simulated: bool = False

    @property
    def undefined(self) -> int:
        """Resamples in which the score is undefined."""
        return int(np.isnan(self.replicates).sum())

    def to_frame(self) -> pd.DataFrame:
        """One row: the numbers, method, confidence, resamples, undefined; simulated, if so."""
        names = ("estimate", "se", "bias", "lower", "upper", "method", "confidence")
        row = {name: getattr(self, name) for name in names}
        row |= {"resamples": len(self.replicates), "undefined": self.undefined}
        return pd.DataFrame([row | ({"simulated": True} if self.simulated else {})])

    def _repr_html_(self) -> str:
        head = self.to_frame().to_html(index=False, float_format="{:.3f}".format)
        return head + (f"<p>{self.note}</p>" if self.note else "")

    def __repr__(self) -> str:
        who = ", simulated patients" if self.simulated else ""
        more = f"; {self.note}" if self.note else ""
        limits = f"{self.confidence:.0%} CI {self.lower:.3f} to {self.upper:.3f}"
        return f"<Interval {self.estimate:.3f} ({limits}, {self.method}{who}{more})>"


def bootstrap_interval(
    score: Score,
    y: Outcome,
    prediction: Any,
    *,
    resamples: int = 1000,
    indices: ArrayLike | None = None,
    method: Method = "bca",
    confidence: float = 0.95,
    random_state: int = 0,
) -> Interval:
    """Bootstrap interval of a score.

    Parameters
    ----------
    score : callable
        ``score(y, prediction)`` gives a number; NaN, a CohortError or a HorizonError says
        that it is undefined in a resample.
    y : Outcome
    prediction : array or DataFrame, n rows
    resamples : int
    indices : array of int, shape (resamples, n), optional
        Positions of the patients in each resample, instead of drawing them.
    method : {"bca", "percentile", "basic"}
        BCa, the default, corrects for bias and skewness at the cost of n more scores.
    confidence : float
    random_state : int

    Returns
    -------
    Interval

    Raises
    ------
    CohortError
        The score is undefined for the patients themselves, lengths differ, or indices are none.
    ConfigError
        Another method, or a confidence outside 0 to 1.

    Examples
    --------
    >>> from radiomics_npc.survival.metrics.concordance import harrell_c
    >>> random = np.random.default_rng(0)
    >>> risk = random.normal(size=100)
    >>> y = Outcome(random.exponential(np.exp(-risk)), np.ones(100))
    >>> found = bootstrap_interval(lambda y, risk: harrell_c(y, risk).estimate, y, risk, resamples=200)
    >>> 0.6 < found.lower < found.estimate < found.upper < 0.85
    True
    """
    rows_of = _checked_rows(y, [prediction], resamples, indices, method, confidence, random_state)
    return _bootstrap(partial(_value, score, y, prediction), y, rows_of, method, confidence)


def bootstrap_difference(
    score: Score,
    y: Outcome,
    first: Any,
    second: Any,
    *,
    resamples: int = 1000,
    indices: ArrayLike | None = None,
    method: Method = "bca",
    confidence: float = 0.95,
    random_state: int = 0,
) -> Interval:
    """Bootstrap interval of the difference of a score between two predictions of the same patients.

    Parameters
    ----------
    score : callable
    y : Outcome
    first, second : array or DataFrame, n rows
        Both are scored in the same resamples.
    resamples, indices, method, confidence, random_state
        As in :func:`bootstrap_interval`.

    Returns
    -------
    Interval
        Of the first minus the second.

    Raises
    ------
    CohortError, ConfigError
        As in :func:`bootstrap_interval`.

    Examples
    --------
    >>> from radiomics_npc.survival.metrics.concordance import harrell_c
    >>> y = Outcome(np.arange(1.0, 31.0), np.ones(30))
    >>> c = lambda y, risk: harrell_c(y, risk).estimate
    >>> found = bootstrap_difference(c, y, -y.time_months, np.cos(y.time_months), resamples=100)
    >>> found.lower > 0
    True
    """
    rows_of = _checked_rows(y, [first, second], resamples, indices, method, confidence, random_state)

    def value(rows: Ints | None = None) -> float:
        return _value(score, y, first, rows) - _value(score, y, second, rows)

    return _bootstrap(value, y, rows_of, method, confidence)


def jackknife_interval(score: Score, y: Outcome, prediction: Any, *, confidence: float = 0.95) -> Interval:
    """Jackknife interval of a smooth score: normal limits, each patient left out in turn.

    Parameters
    ----------
    score : callable
    y : Outcome
    prediction : array or DataFrame, n rows
    confidence : float

    Returns
    -------
    Interval
        ``replicates`` are the scores without each patient.

    Raises
    ------
    CohortError, ConfigError
        As in :func:`bootstrap_interval`.

    Examples
    --------
    >>> y = Outcome([1.0, 2.0, 3.0, 6.0], [1, 1, 1, 1])
    >>> found = jackknife_interval(lambda y, _: y.time_months.mean(), y, np.zeros(4))
    >>> found.estimate, round(found.se, 3), round(float(y.time_months.std(ddof=1)) / 2, 3)
    (3.0, 1.08, 1.08)
    """
    _check(y, [prediction], confidence)
    value = partial(_value, score, y, prediction)
    estimate = _defined(value())
    replicates = _leave_one_out(value, len(y))
    known = replicates[~np.isnan(replicates)]
    note, usable = _note(replicates, "patients left out")
    mean = known.mean() if len(known) else np.nan
    se = float(np.sqrt((len(known) - 1) / len(known) * np.sum((known - mean) ** 2))) if usable else np.nan
    reach = norm.ppf(0.5 + confidence / 2) * se
    return Interval(
        estimate, estimate - reach, estimate + reach, se, float((len(known) - 1) * (mean - estimate)),
        "jackknife", confidence, replicates, note, y.simulated,
    )  # fmt: skip


def _check(y: Outcome, predictions: Iterable[Any], confidence: float) -> None:
    for prediction in predictions:
        if len(prediction) != len(y):
            raise CohortError(f"{len(y)} patients but {len(prediction)} predictions")
    if not 0 < confidence < 1:
        raise ConfigError(f"confidence is {confidence}", "Give a share between 0 and 1, such as 0.95.")


def _checked_rows(
    y: Outcome, predictions: Iterable[Any], resamples: int, indices: ArrayLike | None,
    method: str, confidence: float, random_state: int,
) -> Iterator[Ints] | Ints:  # fmt: skip
    """Positions of the patients in each resample."""
    _check(y, predictions, confidence)
    if method not in ("bca", "percentile", "basic"):
        raise ConfigError(f"there is no bootstrap interval {method!r}", "Take bca, percentile or basic.")
    if indices is None:
        return bootstrap_rows(len(y), resamples, random_state)
    given = np.asarray(indices)
    whole = given.ndim == 2 and given.shape[1] == len(y) and np.issubdtype(given.dtype, np.integer)
    if not whole or given.size == 0 or given.min() < 0 or given.max() >= len(y):
        raise CohortError(
            f"indices are not positions of {len(y)} patients, one row a resample",
            "Positions count from 0.",
        )
    return given.astype(np.intp)


def _value(score: Score, y: Outcome, prediction: Any, rows: Ints | None = None) -> float:
    """The score in a resample; NaN where it is undefined."""
    if rows is not None:
        y = y.take(rows)
        prediction = prediction.iloc[rows] if hasattr(prediction, "iloc") else np.asarray(prediction)[rows]
    try:
        return float(score(y, prediction))
    except (CohortError, HorizonError):
        return float("nan")


def _defined(estimate: float) -> float:
    if np.isnan(estimate):
        raise CohortError("the score is undefined for these patients", "No interval can be given.")
    return estimate


def _leave_one_out(value: Callable[..., float], n: int) -> Floats:
    return np.array([value(np.delete(np.arange(n), k)) for k in range(n)])


def _note(replicates: Floats, of: str) -> tuple[str, bool]:
    """What is to be said of undefined scores, and whether enough are defined."""
    undefined = int(np.isnan(replicates).sum())
    usable = len(replicates) - undefined >= max(2.0, _USABLE * len(replicates))
    text = f"the score is undefined in {undefined:,} of {len(replicates):,} {of}" if undefined else ""
    return text + ("" if usable else ", too many for an interval"), usable


def _bootstrap(
    value: Callable[..., float], y: Outcome, rows_of: Iterable[Ints], method: Method, confidence: float
) -> Interval:
    estimate = _defined(value())
    replicates = np.array([value(rows) for rows in rows_of])
    known = replicates[~np.isnan(replicates)]
    note, usable = _note(replicates, "resamples")
    lower = upper = se = bias = float("nan")
    if usable:
        se, bias = float(known.std(ddof=1)), float(known.mean() - estimate)
        left_out = _leave_one_out(value, len(y)) if method == "bca" else None
        lower, upper = bootstrap_limits(
            estimate, known, method=method, confidence=confidence, left_out=left_out
        )
        if np.isnan(lower):
            note += ("; " if note else "") + "no BCa interval: all resamples lie on one side of the estimate"
    return Interval(estimate, lower, upper, se, bias, method, confidence, replicates, note, y.simulated)
