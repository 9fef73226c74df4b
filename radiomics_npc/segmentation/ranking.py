"""Several methods ranked by their scores, as the SegRap challenge did, and in other ways for comparison.

==========================  ==================================================================================
scheme                      what is ranked
==========================  ==================================================================================
``"rank_then_aggregate"``   the mean over the cases, within every measure and class; the ranks are averaged.
                            SegRap2023's way: of two methods with one mean rank, the one whose ranks vary
                            less comes first
``"aggregate_then_rank"``   the mean over cases and classes, within every measure; the ranks are averaged
``"case_ranks"``            every single case, within every measure and class; all ranks are averaged (BraTS)
``"test_based"``            the number of methods that one is better than by a one-sided Wilcoxon signed-rank
                            test after Holm's adjustment, within every measure and class; the ranks are
                            averaged (challengeR)
==========================  ==================================================================================

challengeR calls ``case_ranks`` "rank-then-aggregate", and ``rank_then_aggregate`` "aggregate-then-rank"
with a consensus over tasks; the names here are those of the SegRap paper.

References
----------
Luo X, Fu J et al. SegRap2023: a benchmark of organs-at-risk and gross tumor volume segmentation for
radiotherapy planning of nasopharyngeal carcinoma. Med Image Anal 2025, section 3.3 and Tables 7 and 11.
Bakas S et al. Identifying the best machine learning algorithms for brain tumor segmentation. arXiv:1811.02629
(2018). Wiesenfarth M et al. Methods and open-source toolkit for analyzing and visualizing challenge results.
Sci Rep 2021;11:2369.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata

from radiomics_npc.errors import ConfigError
from radiomics_npc.segmentation.method_scores import MethodScores
from radiomics_npc.segmentation.paired_tests import holm, signed_rank

__all__ = [
    "Ranking",
    "Scheme",
    "Ties",
    "compare_schemes",
    "final_ranks",
    "part_ranks",
    "rank_methods",
    "rank_within",
]

Scheme = Literal["rank_then_aggregate", "aggregate_then_rank", "case_ranks", "test_based"]
Ties = Literal["min", "average", "max"]
Floats = NDArray[np.float64]

_DECIMALS = 10  # means that are equal but for rounding share their rank


@dataclass(frozen=True, eq=False)
class Ranking:
    """Methods in their order.

    Parameters
    ----------
    table : DataFrame
        One row a method, the best first: method, rank, mean_rank, sd_of_ranks.
    parts : DataFrame
        One row a method, measure and class (``all`` where the scheme averages them): method, measure, class,
        value (mean over the cases), rank.
    scheme : str
    simulated : bool
        Of patients that never lived.
    """

    table: pd.DataFrame
    parts: pd.DataFrame
    scheme: Scheme
    simulated: bool = False

    @property
    def methods(self) -> list[str]:
        """Their names, the best first."""
        return [str(name) for name in self.table["method"]]

    def to_frame(self) -> pd.DataFrame:
        """The table with a column of ranks for every measure and class; simulated, if so."""
        names = self.parts["measure"] + "__" + self.parts["class"]
        wide = self.parts.assign(part=names).pivot_table(
            index="method", columns="part", values="rank", sort=False
        )
        found = self.table.merge(wide.add_prefix("rank__"), left_on="method", right_index=True)
        return found.assign(simulated=True) if self.simulated else found

    def _repr_html_(self) -> str:
        return str(self.to_frame().to_html(index=False, float_format="{:.3g}".format))


def rank_within(goodness: Floats, ties: Ties = "min") -> Floats:
    """Ranks along the first axis, 1 for the highest; NaN where one of the values is.

    Examples
    --------
    >>> rank_within(np.array([[0.9, 0.5], [0.7, 0.5], [0.8, np.nan]])).tolist()
    [[1.0, nan], [3.0, nan], [2.0, nan]]
    """
    return np.asarray(
        rankdata(-np.round(goodness, _DECIMALS), method=ties, axis=0, nan_policy="propagate"), float
    )


def rank_methods(
    scores: MethodScores,
    *,
    scheme: Scheme = "rank_then_aggregate",
    ties: Ties = "min",
    break_ties: bool = True,
    alpha: float = 0.05,
) -> Ranking:
    """Rank methods.

    Parameters
    ----------
    scores : MethodScores
    scheme : {"rank_then_aggregate", "aggregate_then_rank", "case_ranks", "test_based"}
        See the head of the module.
    ties : {"min", "average", "max"}
        The rank that methods of one value share.
    break_ties : bool
        Of methods with the same mean rank the one whose ranks have the smaller standard deviation comes
        first, as in SegRap; if that is the same too, or this is off, they share the rank.
    alpha : float
        Of the tests of ``"test_based"``.

    Returns
    -------
    Ranking

    Raises
    ------
    ConfigError
        An unknown scheme or way with ties, or an alpha that is none.

    Examples
    --------
    >>> rows = [("A", "1", 0.9, 2.0), ("A", "2", 0.7, 4.0), ("B", "1", 0.8, 1.0), ("B", "2", 0.7, 2.0)]
    >>> table = pd.DataFrame(rows, columns=["method", "case", "dice", "hd95_mm"]).assign(**{"class": "GTVp"})
    >>> found = rank_methods(MethodScores.from_table(table, ["dice", "hd95_mm"]))
    >>> found.table.to_numpy().tolist()
    [['A', 1, 1.5, 0.7071067811865476], ['B', 1, 1.5, 0.7071067811865476]]
    >>> found.parts[["method", "measure", "value", "rank"]].round(2).to_numpy().tolist()
    [['A', 'dice', 0.8, 1.0], ['A', 'hd95_mm', 3.0, 2.0],
     ['B', 'dice', 0.75, 2.0], ['B', 'hd95_mm', 1.5, 1.0]]
    """
    if scheme not in get_args(Scheme) or ties not in get_args(Ties) or not 0 < alpha < 1:
        raise ConfigError(
            f"methods are not ranked by {scheme!r} with ties {ties!r} and alpha {alpha}",
            f"Schemes: {', '.join(get_args(Scheme))}; ties: {', '.join(get_args(Ties))}; alpha: as 0.05.",
        )
    ranks = part_ranks(scores, scheme, ties=ties, alpha=alpha)
    rank, mean, spread = final_ranks(ranks, break_ties=break_ties)
    table = pd.DataFrame(
        {"method": scores.methods, "rank": rank, "mean_rank": mean, "sd_of_ranks": spread}
    ).sort_values(["rank", "method"], ignore_index=True)
    return Ranking(table, _part_table(scores, ranks), scheme, scores.simulated)


def compare_schemes(scores: MethodScores, *, ties: Ties = "min", alpha: float = 0.05) -> pd.DataFrame:
    """The rank of every method by every scheme.

    Returns
    -------
    DataFrame
        method, and a column for each scheme; in the order of the first.

    Examples
    --------
    >>> table = pd.DataFrame({"method": ["A", "B"], "case": "1", "class": "x", "dice": [0.8, 0.9]})
    >>> compare_schemes(MethodScores.from_table(table, ["dice"])).to_numpy().tolist()
    [['B', 1, 1, 1, 1], ['A', 2, 2, 2, 1]]
    """
    columns = []
    for scheme in get_args(Scheme):
        found = rank_methods(scores, scheme=scheme, ties=ties, alpha=alpha).table
        columns.append(found.set_index("method")["rank"].rename(scheme))
    return pd.concat(columns, axis=1).reset_index()


def part_ranks(scores: MethodScores, scheme: Scheme, *, ties: Ties = "min", alpha: float = 0.05) -> Floats:
    """Ranks within every class and measure, shape (methods, classes, measures).

    One class only where the scheme averages them. The ranks of ``case_ranks`` are means over the cases.
    """
    good = scores.goodness
    if scheme == "test_based":
        return rank_within(_times_better(good, alpha), ties)
    if scheme == "case_ranks":
        return np.asarray(np.nanmean(rank_within(good, ties), axis=1))
    means = np.nanmean(good, axis=1)
    return rank_within(means.mean(axis=1, keepdims=True) if scheme == "aggregate_then_rank" else means, ties)


def final_ranks(ranks: Floats, *, break_ties: bool = True) -> tuple[NDArray[np.int64], Floats, Floats]:
    """Ranks of the methods from their ranks within the parts.

    Parameters
    ----------
    ranks : array of float, shape (methods, classes, measures, ...)
        Further axes are kept: one for bootstrap samples. NaN where a class was not drawn.
    break_ties : bool
        By the standard deviation of the ranks.

    Returns
    -------
    rank, mean, spread : array, shape (methods, ...)

    Examples
    --------
    The three best of SegRap's tumor task (Table 11): 3.25 twice, the steadier of the two is second.

    >>> ranks = np.array([[[3, 1], [4, 4]], [[2, 2], [3, 6]], [[7, 3], [1, 2]]], dtype=float)
    >>> rank, mean, spread = final_ranks(ranks)
    >>> rank.tolist(), mean.tolist(), spread.round(2).tolist()
    ([1, 2, 3], [3.0, 3.25, 3.25], [1.41, 1.89, 2.63])
    """
    flat = ranks.reshape(len(ranks), ranks.shape[1] * ranks.shape[2], *ranks.shape[3:])
    known = np.isfinite(flat)
    count = known.sum(axis=1)
    mean = np.where(known, flat, 0).sum(axis=1) / np.maximum(count, 1)
    square = (np.where(known, flat - mean[:, None], 0) ** 2).sum(axis=1) / np.maximum(count - 1, 1)
    spread = np.sqrt(square)
    first, second = np.round(mean, _DECIMALS), np.round(spread, _DECIMALS) * break_ties
    better = (first[None] < first[:, None]) | (
        (first[None] == first[:, None]) & (second[None] < second[:, None])
    )
    return 1 + better.sum(axis=1), mean, spread


def _times_better(good: Floats, alpha: float) -> Floats:
    """Number of methods that each is better than, by class and measure."""
    methods, _, classes, measures = good.shape
    pairs = list(permutations(range(methods), 2))
    better = np.zeros((methods, classes, measures))
    for c in range(classes):
        for k in range(measures):
            values = good[:, np.isfinite(good[0, :, c, k]), c, k]
            p = np.array([signed_rank(values[i], values[j], "greater") for i, j in pairs])
            for (i, _), adjusted in zip(pairs, holm(p), strict=True):
                better[i, c, k] += adjusted < alpha
    return better


def _part_table(scores: MethodScores, ranks: Floats) -> pd.DataFrame:
    means = np.nanmean(scores.values, axis=1)
    if ranks.shape[1] < len(scores.classes):
        means = means.mean(axis=1, keepdims=True)
    classes = scores.classes if ranks.shape[1] == len(scores.classes) else ("all",)
    rows = [
        {"method": method, "measure": measure, "class": name, "value": means[i, c, k], "rank": ranks[i, c, k]}
        for i, method in enumerate(scores.methods)
        for k, measure in enumerate(scores.measures)
        for c, name in enumerate(classes)
    ]
    return pd.DataFrame(rows)
