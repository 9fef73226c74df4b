"""How far a ranking depends on which cases were drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from radiomics_npc.errors import ConfigError
from radiomics_npc.segmentation.case_bootstrap import draw_cases, resampled_means
from radiomics_npc.segmentation.method_scores import MethodScores
from radiomics_npc.segmentation.ranking import Scheme, Ties, final_ranks, rank_methods, rank_within

__all__ = ["RankStability", "bootstrap_ranks", "kendall_tau"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RankStability:
    """Ranks of the methods in bootstrap samples of the cases.

    Parameters
    ----------
    methods : tuple of str
        The best first.
    rank : array of int, shape (methods,)
        Of all cases.
    ranks : array of int, shape (methods, resamples)
    kendall : array of float, shape (resamples,)
        Kendall's tau-b between the ranking of the sample and that of all cases; NaN where all methods share
        one rank.
    simulated : bool
        Of patients that never lived.
    """

    methods: tuple[str, ...]
    rank: NDArray[np.int64]
    ranks: NDArray[np.int64]
    kendall: Floats
    simulated: bool = False

    def to_frame(self) -> pd.DataFrame:
        """One row a method: rank, held (share of the samples with that rank), mean, median, lower and upper
        (95% percentile interval) of its ranks, then the share of every rank; simulated, if so."""
        lower, median, upper = np.quantile(self.ranks, (0.025, 0.5, 0.975), axis=1)
        held = (self.ranks == self.rank[:, None]).mean(axis=1)
        table = pd.DataFrame({
            "method": self.methods, "rank": self.rank, "held": held,
            "mean": self.ranks.mean(axis=1), "median": median, "lower": lower, "upper": upper,
        })  # fmt: skip
        for place in range(1, len(self.methods) + 1):
            table[f"share_{place}"] = (self.ranks == place).mean(axis=1)
        return table.assign(simulated=True) if self.simulated else table

    def tau_frame(self) -> pd.DataFrame:
        """One row: mean, median, lower and upper (95% percentile interval) of Kendall's tau."""
        known = self.kendall[np.isfinite(self.kendall)]
        lower, median, upper = np.quantile(known, (0.025, 0.5, 0.975)) if len(known) else (np.nan,) * 3
        mean = known.mean() if len(known) else np.nan
        row = {"samples": len(self.kendall), "mean": mean, "median": median, "lower": lower, "upper": upper}
        return pd.DataFrame([row | ({"simulated": True} if self.simulated else {})])

    def _repr_html_(self) -> str:
        return str(self.to_frame().to_html(index=False, float_format="{:.3g}".format))


def kendall_tau(ranks: NDArray[Any], other: NDArray[Any]) -> Floats:
    """Kendall's tau-b between rankings.

    Parameters
    ----------
    ranks : array, shape (methods, n)
    other : array, shape (methods,)

    Returns
    -------
    array of float, shape (n,)
        NaN where a ranking is one tie.

    Examples
    --------
    >>> kendall_tau(np.array([[1, 2, 1], [2, 1, 1], [3, 3, 1]]), np.array([1, 2, 3])).round(3).tolist()
    [1.0, 0.333, nan]
    """
    i, j = np.triu_indices(len(other), 1)
    one = np.sign(ranks[i] - ranks[j]).astype(float)
    two = np.sign(other[i] - other[j]).astype(float)[:, None]
    size = np.sqrt((one**2).sum(axis=0) * (two**2).sum())
    return np.where(size > 0, (one * two).sum(axis=0) / np.where(size > 0, size, 1.0), np.nan)


def bootstrap_ranks(
    scores: MethodScores,
    *,
    scheme: Scheme = "rank_then_aggregate",
    ties: Ties = "min",
    break_ties: bool = True,
    resamples: int = 1000,
    random_state: int = 0,
) -> RankStability:
    """Rank the methods again in bootstrap samples of the cases.

    Parameters
    ----------
    scores : MethodScores
    scheme : {"rank_then_aggregate", "aggregate_then_rank", "case_ranks"}
        As in :func:`radiomics_npc.segmentation.ranking.rank_methods`. Not ``"test_based"``: a case that is
        drawn twice is no second case to a test.
    ties, break_ties
        As there.
    resamples : int
    random_state : int
        Seed.

    Returns
    -------
    RankStability
        Cases are drawn with all their classes. A class that no drawn case has does not count in that sample.

    Raises
    ------
    ConfigError
        The scheme is test-based, or there are no samples.

    References
    ----------
    Wiesenfarth M et al. Methods and open-source toolkit for analyzing and visualizing challenge results. Sci
    Rep 2021;11:2369.

    Examples
    --------
    >>> table = pd.DataFrame({"method": ["A", "B"] * 3, "case": list("112233"), "class": "x",
    ...                       "dice": [0.9, 0.8, 0.9, 0.8, 0.5, 0.6]})
    >>> found = bootstrap_ranks(MethodScores.from_table(table, ["dice"]), resamples=2000)
    >>> found.to_frame()[["method", "rank", "held"]].round(1).to_numpy().tolist()
    [['A', 1, 0.7], ['B', 2, 0.7]]
    """
    if scheme == "test_based" or resamples < 1:
        raise ConfigError(
            f"no bootstrap of {scheme!r} with {resamples} samples",
            "Take rank_then_aggregate, aggregate_then_rank or case_ranks, and 1000 samples.",
        )
    table = rank_methods(scores, scheme=scheme, ties=ties, break_ties=break_ties).table
    order = pd.Index(scores.methods).get_indexer(pd.Index(table["method"]))
    good = scores.goodness[order]
    means = resampled_means(
        rank_within(good, ties) if scheme == "case_ranks" else good,
        draw_cases(good.shape[1], resamples, random_state),
    )
    if scheme == "aggregate_then_rank":
        known = np.isfinite(means[0, :, 0]).sum(axis=0)
        means = (np.nansum(means, axis=1, keepdims=True) / known) if known.min() else means[:, :1]
    ranks = final_ranks(means if scheme == "case_ranks" else rank_within(means, ties), break_ties=break_ties)[
        0
    ]
    rank = table["rank"].to_numpy()
    return RankStability(tuple(table["method"]), rank, ranks, kendall_tau(ranks, rank), scores.simulated)
