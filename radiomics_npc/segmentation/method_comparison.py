"""Every two methods compared: differences with intervals, paired and unpaired tests, adjusted by Holm."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from radiomics_npc.errors import ConfigError
from radiomics_npc.segmentation.case_bootstrap import draw_cases, resampled_means
from radiomics_npc.segmentation.method_scores import MethodScores, is_absolute
from radiomics_npc.segmentation.paired_tests import holm, paired_t, rank_sum, signed_rank

__all__ = ["TESTS", "compare_methods"]

#: Columns ``p_...`` of the table.
TESTS: Final = ("t", "wilcoxon", "mann_whitney")

Floats = NDArray[np.float64]


def compare_methods(
    scores: MethodScores,
    *,
    order: Sequence[str] | None = None,
    resamples: int = 2000,
    random_state: int = 0,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Compare every two methods, for each measure and class, and with the classes of a case averaged.

    Parameters
    ----------
    scores : MethodScores
    order : sequence of str, optional
        Methods from the best to the last, as ranked; the first of a pair is the better one.
    resamples : int
        Bootstrap samples of the cases, for the intervals of the differences.
    random_state : int
        Seed.
    confidence : float
        Of the intervals.

    Returns
    -------
    DataFrame
        measure, class (``all``: the mean over the classes of a case), first, second, neighbors (one follows
        the other in the order), n (cases), difference (mean, first minus second), lower, upper (percentile
        bootstrap), t, ``p_t`` (paired t test, as in SegRap), ``p_wilcoxon`` (signed-rank), ``p_mann_whitney``
        (which leaves the pairing out of account), and each with ``_holm``: adjusted for the pairs of methods
        within one measure and class. Of ``volume_error_cm3`` the absolute values are compared.

    Raises
    ------
    ConfigError
        The order does not name every method once.

    Examples
    --------
    >>> table = pd.DataFrame({"method": ["A", "B"] * 3, "case": list("112233"), "class": "x",
    ...                       "dice": [0.9, 0.8, 0.85, 0.7, 0.5, 0.6]})
    >>> found = compare_methods(MethodScores.from_table(table, ["dice"]))
    >>> found[["class", "first", "second", "n", "difference", "p_wilcoxon"]].round(3).to_numpy().tolist()
    [['x', 'A', 'B', 3, 0.05, 0.586]]
    """
    names = list(order if order is not None else scores.methods)
    if sorted(names) != sorted(scores.methods):
        raise ConfigError("the order does not name every method once", "Give Ranking.methods.")
    values, classes = _ordered(scores, names)
    means = resampled_means(values, draw_cases(values.shape[1], resamples, random_state))
    tails = (1 - confidence) / 2, (1 + confidence) / 2
    parts = []
    for k, measure in enumerate(scores.measures):
        for c, name in enumerate(classes):
            known = np.isfinite(values[0, :, c, k])
            rows = []
            for i, j in combinations(range(len(names)), 2):
                row = {"measure": measure, "class": name, "first": names[i], "second": names[j]}
                row |= {"neighbors": j == i + 1} | _tested(values[i, known, c, k], values[j, known, c, k])
                limits = _limits(means[i, c, k] - means[j, c, k], tails) if known.sum() > 1 else {}
                rows.append(row | limits)
            parts.append(_adjusted(pd.DataFrame(rows)))
    found = pd.concat(parts, ignore_index=True).reindex(columns=_COLUMNS)
    return found.assign(simulated=True) if scores.simulated else found


def _ordered(scores: MethodScores, names: Sequence[str]) -> tuple[Floats, list[str]]:
    """Values of the methods in this order, the mean over the classes of a case as a further class."""
    at = pd.Index(scores.methods).get_indexer(pd.Index(names))
    values = np.where([is_absolute(m) for m in scores.measures], np.abs(scores.values), scores.values)[at]
    if len(scores.classes) == 1:
        return values, list(scores.classes)
    return np.concatenate([values, _case_means(values)], axis=2), [*scores.classes, "all"]


def _limits(drawn: Floats, tails: tuple[float, float]) -> dict[str, float]:
    lower, upper = np.quantile(drawn[np.isfinite(drawn)], tails)
    return {"lower": float(lower), "upper": float(upper)}


def _case_means(values: Floats) -> Floats:
    """Mean over the classes that a case has."""
    known = np.isfinite(values)
    return np.where(known, values, 0).sum(axis=2, keepdims=True) / known.sum(axis=2, keepdims=True)


def _tested(first: Floats, second: Floats) -> dict[str, Any]:
    t, p = paired_t(first, second)
    return {
        "n": len(first), "difference": float((first - second).mean()), "t": t, "p_t": p,
        "p_wilcoxon": signed_rank(first, second), "p_mann_whitney": rank_sum(first, second),
    }  # fmt: skip


def _adjusted(rows: pd.DataFrame) -> pd.DataFrame:
    if rows.empty:
        return rows
    return rows.assign(**{f"p_{t}_holm": holm(rows[f"p_{t}"].to_numpy(float)) for t in TESTS})


_COLUMNS: Final = [
    "measure", "class", "first", "second", "neighbors", "n", "difference", "lower", "upper", "t",
    *(f"p_{test}{end}" for test in TESTS for end in ("", "_holm")),
]  # fmt: skip
