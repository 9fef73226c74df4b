"""The cut point of a risk that separates survival most, with a p that knows it was searched for.

Whoever tries every cut and keeps the best finds a small log-rank p in pure noise. The
corrected p say how often the best of all cuts looks as good when risk and survival have
nothing to do with each other.

References
----------
Lausen B, Schumacher M. Biometrics 1992;48:73-85. Lausen B, Sauerbrei W, Schumacher M.
Classification and regression trees for prognostic factors. 1994. Hothorn T, Lausen B.
Comput Stat Data Anal 2003;43:121-137 (permutation). Statistic and p are those of R's
maxstat (``smethod`` LogRank; ``pmethod`` condMC, Lau92, Lau94).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError
from radiomics_npc.survival.estimation.log_rank import log_rank

__all__ = ["SelectedCutPoint", "lausen_1992_p", "lausen_1994_p", "log_rank_scores", "select_cut_point"]

Floats = NDArray[np.float64]
_CHUNK = 2_000_000  # numbers held at once by the permutations


@dataclass(frozen=True, eq=False)
class SelectedCutPoint:
    """A maximally selected log-rank statistic.

    Parameters
    ----------
    cut_point : float
        Midway between the two neighboring risks; a risk above belongs to the higher group.
    statistic : float
        Largest absolute standardized statistic.
    p : float
        Corrected for the search, by permutation of the risks.
    p_lausen_1992, p_lausen_1994 : float
        Corrected by the limiting distribution (for many patients and no tied risks), and by
        the improved Bonferroni inequality.
    p_naive : float
        Of the log-rank test at the cut point as if it had been known before: too small.
    cuts, statistics : array of float, shape (k,)
        Every cut tried, and its standardized statistic; positive where the higher risks do worse.
    n_low, n_high : int
    permutations : int
    simulated : bool
    """

    cut_point: float
    statistic: float
    p: float
    p_lausen_1992: float
    p_lausen_1994: float
    p_naive: float
    cuts: Floats
    statistics: Floats
    n_low: int
    n_high: int
    permutations: int
    simulated: bool = False

    def to_frame(self) -> pd.DataFrame:
        """One row: cut_point, n_low, n_high, statistic, the p; simulated, if so."""
        names = [
            "cut_point",
            "n_low",
            "n_high",
            "statistic",
            "p",
            "p_lausen_1992",
            "p_lausen_1994",
            "p_naive",
        ]
        table = pd.DataFrame([{name: getattr(self, name) for name in names}])
        return table.assign(simulated=True) if self.simulated else table

    def _repr_html_(self) -> str:
        return self.to_frame().to_html(index=False, float_format="{:.3g}".format)


def select_cut_point(
    y: Outcome,
    risk: ArrayLike,
    *,
    min_proportion: float = 0.1,
    max_proportion: float = 0.9,
    permutations: int = 2000,
    random_state: int = 0,
) -> SelectedCutPoint:
    """Choose the cut with the largest log-rank statistic.

    Parameters
    ----------
    y : Outcome
    risk : array, shape (n,)
    min_proportion, max_proportion : float
        Share of the patients that the lower group must and may hold.
    permutations : int
        Of the risks; p is at least 1 / (permutations + 1).
    random_state : int

    Returns
    -------
    SelectedCutPoint

    Raises
    ------
    CohortError
        A risk is missing, no event, or no cut within the proportions.

    Examples
    --------
    >>> risk = np.arange(40.0)
    >>> y = Outcome(np.where(risk < 24, 60.0 + risk, 40.0 - risk / 4), np.ones(40))
    >>> found = select_cut_point(y, risk, permutations=999)
    >>> found.cut_point, found.n_high, found.p
    (23.5, 16, 0.001)
    """
    values = np.asarray(risk, dtype=float)
    if values.shape != (len(y),) or not np.isfinite(values).all():
        raise CohortError("a cut point needs the risk of every patient of the outcome")
    if not 0 < min_proportion < max_proportion < 1 or permutations < 1:
        raise CohortError("proportions of a cut point lie between 0 and 1, the smaller first",
                          "Take 0.1 and 0.9, and at least one permutation.")  # fmt: skip
    scores = log_rank_scores(y)
    if not y.event.any() or np.ptp(scores) == 0:
        raise CohortError("no cut point: the patients do not differ in survival", "Take the median.")
    order = np.argsort(values, kind="stable")
    lower = _group_sizes(values[order], min_proportion, max_proportion)
    signed = -_standardized(scores[order][None, :], lower)[0]
    best = int(np.argmax(np.abs(signed) > np.abs(signed).max() - 1e-12))
    statistic = float(np.abs(signed[best]))
    cuts = (values[order][lower - 1] + values[order][lower]) / 2
    high = values > cuts[best]
    reached = _permuted(scores, lower, statistic, permutations, random_state)
    return SelectedCutPoint(
        float(cuts[best]), statistic, (1 + reached) / (1 + permutations),
        lausen_1992_p(statistic, min_proportion, max_proportion), lausen_1994_p(statistic, len(y), lower),
        log_rank(y, high).p, cuts, signed, int((~high).sum()), int(high.sum()), permutations, y.simulated,
    )  # fmt: skip


def log_rank_scores(y: Outcome) -> Floats:
    """Each patient's event minus the hazard lived through.

    At tied times only the last of those who leave is still at risk, as in R's maxstat;
    without ties the scores are martingale residuals and sum to 0.

    Examples
    --------
    >>> log_rank_scores(Outcome([1, 2, 3], [1, 0, 1])).round(3).tolist()
    [0.667, -0.333, -0.333]
    """
    times, at = np.unique(y.time_months, return_inverse=True)
    left = len(y) - np.cumsum(np.bincount(at, minlength=len(times)))
    scores: Floats = y.event - np.cumsum(np.bincount(at, y.event) / (left + 1))[at]
    return scores


def lausen_1992_p(statistic: float, min_proportion: float = 0.1, max_proportion: float = 0.9) -> float:
    """Upper tail of the maximum over a continuum of cuts (Lausen and Schumacher 1992).

    Examples
    --------
    >>> round(lausen_1992_p(3.054), 3)
    0.05
    """
    if statistic < 1:  # the approximation is one of the tail
        return 1.0
    density = norm.pdf(statistic)
    span = max_proportion * (1 - min_proportion) / ((1 - max_proportion) * min_proportion)
    p = 4 * density / statistic + density * (statistic - 1 / statistic) * np.log(span)
    return float(np.clip(p, 0.0, 1.0))


def lausen_1994_p(statistic: float, n: int, lower: ArrayLike) -> float:
    """Improved Bonferroni bound for the cuts that leave ``lower`` of n patients below (Lausen 1994).

    Examples
    --------
    >>> round(lausen_1994_p(2.5, 20, range(5, 16)), 3)
    0.073
    """
    m = np.asarray(lower, dtype=float)
    below, above = m[:-1], m[1:]
    t = np.sqrt(1 - below * (n - above) / ((n - below) * above))
    terms = np.exp(-(statistic**2) / 2) / np.pi * (t - (statistic**2 / 4 - 1) * t**3 / 6)
    return float(np.clip(2 * norm.sf(statistic) + terms.sum(), 0.0, 1.0))


def _group_sizes(ordered: Floats, min_proportion: float, max_proportion: float) -> NDArray[np.intp]:
    """How many patients may lie below a cut: no cut parts equal risks."""
    n = len(ordered)
    sizes = np.flatnonzero(ordered[1:] > ordered[:-1]) + 1
    least, most = max(1, int(np.floor(n * min_proportion))), int(np.floor(n * max_proportion))
    sizes = sizes[(sizes >= least) & (sizes <= most)]
    if len(sizes) == 0:
        raise CohortError("no cut point: too few different risks between the proportions", "Take the median.")
    return sizes


def _standardized(scores: Floats, lower: NDArray[np.intp]) -> Floats:
    """Sum of the scores below each cut, standardized by its permutation mean and variance."""
    n = scores.shape[1]
    below = np.cumsum(scores, axis=1)[:, lower - 1] - lower / n * scores.sum(axis=1, keepdims=True)
    variance = lower * (n - lower) / (n * (n - 1)) * n * scores.var(axis=1, keepdims=True)
    result: Floats = below / np.sqrt(variance)
    return result


def _permuted(
    scores: Floats, lower: NDArray[np.intp], statistic: float, permutations: int, random_state: int
) -> int:
    """How many permutations reach the statistic."""
    random = np.random.default_rng(random_state)
    reached, done = 0, 0
    while done < permutations:
        now = min(permutations - done, max(1, _CHUNK // len(scores)))
        drawn = random.permuted(np.broadcast_to(scores, (now, len(scores))), axis=1)
        largest = np.abs(_standardized(drawn, lower)).max(axis=1)
        reached += int((largest >= statistic - 1e-9).sum())
        done += now
    return reached
