"""Comparable pairs of patients, counted in O(n log n) without meeting each of them.

A pair is comparable when it is known who had the event first. It is concordant when
that patient had the higher risk, so the concordant pairs are the inversions between
the order of the patients by risk and their order by time.

References
----------
Knight WR. J Am Stat Assoc 1966;61:436-439 (counting inversions by merging).
Therneau T, Atkinson E. The concordance statistic. Vignette of the R package survival.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radiomics_npc.cohort.outcome import Outcome

__all__ = ["pair_sums"]

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Columns = Sequence[NDArray[Any]]
# Blocks of so many patients are compared pair by pair: faster than splitting them further.
_LEAF = 72
_STANDS_BEHIND = np.triu(np.ones((_LEAF, _LEAF), dtype=bool), 1)


def pair_sums(y: Outcome, risk: Floats, weight: Floats, strata: Ints | None = None) -> tuple[Floats, Floats]:
    """Weight of each patient's concordant pairs, and of all its comparable pairs.

    Parameters
    ----------
    y : Outcome
    risk : array, shape (n,)
        Higher is worse; no NaN. Pairs with equal risk count one half.
    weight : array, shape (n,)
        Of the pairs in which a patient has the event first; 0 for those without event.
    strata : array of int, shape (n,), optional
        Only pairs within a stratum count.

    Returns
    -------
    concordant, comparable : array, shape (2, n)
        The first row sums over the pairs in which a patient had the event first, the
        second over those in which the other one had it.

    Examples
    --------
    >>> y = Outcome([5, 10, 20], [1, 1, 0])
    >>> concordant, comparable = pair_sums(y, np.array([3.0, 1.0, 2.0]), np.array([1.0, 1.0, 0.0]))
    >>> concordant.tolist(), comparable.tolist()
    ([[2.0, 0.0, 0.0], [0.0, 1.0, 1.0]], [[2.0, 1.0, 0.0], [0.0, 1.0, 2.0]])
    """
    if len(y) == 0:
        return np.zeros((2, 0)), np.zeros((2, 0))
    group: Columns = () if strata is None else (strata,)
    moment = (y.time_months, ~y.event)  # at equal times events come before censorings
    by_time = np.lexsort((risk, *moment[::-1], *group))
    by_risk = np.lexsort((*moment[::-1], risk, *group))
    comparable = _partners(group, moment, by_time, weight)
    tied = _partners((*group, risk), moment, by_risk, weight)
    rank = np.empty(len(y), dtype=np.intp)
    rank[by_risk] = np.arange(len(y))
    # Events tied in time stand in the order of risk, and equal risks in that of time, so that
    # neither are inverted; strata stand in one order in both.
    behind, ahead = _inversions(rank[by_time], weight[by_risk])
    concordant = np.stack([weight * behind[rank], ahead[rank]]) + 0.5 * tied
    return concordant, comparable


def _partners(group: Columns, moment: Columns, order: Ints, weight: Floats) -> Floats:
    """Within groups: own weight times those later than a patient's moment; weight of those earlier."""
    new_group = _changes(group, order)
    group_start, group_end = _blocks(new_group)
    start, end = _blocks(new_group | _changes(moment, order))
    before = np.concatenate([[0.0], np.cumsum(weight[order])])
    result = np.empty((2, len(order)))
    result[0, order] = group_end - end
    result[1, order] = before[start] - before[group_start]
    result[0] *= weight
    return result


def _changes(columns: Columns, order: Ints) -> NDArray[np.bool_]:
    """True where a column differs from the row before, and in the first row."""
    new = np.zeros(len(order), dtype=bool)
    new[0] = True
    for column in columns:
        ordered = column[order]
        new[1:] |= ordered[1:] != ordered[:-1]
    return new


def _blocks(new: NDArray[np.bool_]) -> tuple[Ints, Ints]:
    """First row of each row's block, and the row behind its last."""
    start = np.flatnonzero(new)
    member = np.cumsum(new) - 1
    return start[member], np.append(start[1:], len(new))[member]


def _inversions(rank: Ints, weight: Floats) -> tuple[Floats, Floats]:
    """Pairs in which the higher rank stands first.

    As in a radix sort from the highest bit, each block of ranks is split into its lower
    and its higher half, each in the order in which it stood. A pair is met once: in the
    block whose halves part it.

    Parameters
    ----------
    rank : array of int, shape (n,)
        0 to n - 1, in the order in which they stand.
    weight : array, shape (n,)
        By rank.

    Returns
    -------
    behind, ahead : array, shape (n,)
        By rank: how many lower ranks stand behind it, the weight of the higher ranks ahead of it.
    """
    n = len(rank)
    splits = (max(n - 1, 0) // _LEAF).bit_length()
    leaf = -(-n // 2**splits)
    size = leaf << splits
    rows = np.arange(size)  # ranks past n stand last: they invert nothing
    rows[:n] = rank
    weights, behind, ahead = np.zeros(size), np.zeros(size), np.zeros(size)
    weights[:n] = weight
    for half in leaf << np.arange(splits)[::-1]:
        rows = rows.reshape(-1, 2 * half)
        low = rows < np.arange(half, size, 2 * half)[:, None]
        high = ~low
        low_ranks, high_ranks = rows[low], rows[high]
        ahead[low_ranks] += np.cumsum(high * weights[rows], axis=1)[low]
        behind[high_ranks] += half - np.cumsum(low, axis=1)[high]
        rows = np.concatenate([low_ranks.reshape(-1, half), high_ranks.reshape(-1, half)], axis=1)
    rows = rows.reshape(-1, leaf)
    inverted = ((rows[:, :, None] > rows[:, None, :]) & _STANDS_BEHIND[:leaf, :leaf]).astype(float)
    behind[rows] += inverted @ np.ones(leaf)
    ahead[rows] += (weights[rows][:, None, :] @ inverted)[:, 0]
    return behind[:n], ahead[:n]
