"""Sparse levels of a factor, merged by a stated rule: their coefficient could not be estimated."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["merge_levels"]

OTHER = "other"


def merge_levels(
    values: pd.Series, event: NDArray[np.bool_], *, minimum: int, neighbours: bool
) -> tuple[dict[str, str], dict[str, int]]:
    """Merge sparse levels of a factor.

    A level is sparse when it holds fewer than ``minimum`` patients, or when none
    or all of its patients had the event. With ``neighbours`` (ordered factors and
    the TNM categories) a sparse level joins the next lower one, the lowest the
    next higher, until none is sparse. Otherwise sparse levels become one level
    ``other``, which joins the most frequent level if it is still sparse.

    Parameters
    ----------
    values : Series of category
    event : array of bool, shape (n,)
    minimum : int
    neighbours : bool

    Returns
    -------
    reads : dict of str to str
        Each level and the level it is read as: ``T0+T1`` for both after a merge.
    counts : dict of str to int
        Patients in each level before merging.

    Examples
    --------
    >>> t = pd.Series(pd.Categorical(["T0"] + ["T1"] * 4 + ["T2"] * 4))
    >>> merge_levels(t, np.arange(9) % 2 == 0, minimum=2, neighbours=True)[0]
    {'T0': 'T0+T1', 'T1': 'T0+T1', 'T2': 'T2'}
    """
    levels = [str(level) for level in values.cat.categories]
    codes = values.cat.codes.to_numpy()
    n = np.bincount(codes, minlength=len(levels))
    events = np.bincount(codes, weights=event, minlength=len(levels))
    groups = [[k] for k in range(len(levels))]

    def sparse(group: Sequence[int]) -> bool:
        size, seen = n[group].sum(), events[group].sum()
        return bool(size < minimum or seen == 0 or seen == size)

    if neighbours:
        while len(groups) > 1 and any(bad := [sparse(group) for group in groups]):
            at = bad.index(True)
            lower = max(at - 1, 0)
            groups[lower : lower + 2] = [groups[lower] + groups[lower + 1]]
    elif any(bad := [sparse(group) for group in groups]):
        pooled = [k for k, is_bad in enumerate(bad) if is_bad]
        groups = [[k] for k in range(len(levels)) if k not in pooled]
        if groups and sparse(pooled):
            most = max(range(len(groups)), key=lambda g: n[groups[g][0]])
            groups[most] = sorted(groups[most] + pooled)
        else:
            groups.append(pooled)
    reads = {levels[k]: _label(group, levels, n) for group in groups for k in group}
    return {level: reads[level] for level in levels}, {level: int(n[k]) for k, level in enumerate(levels)}


def _label(group: Sequence[int], levels: Sequence[str], n: NDArray[np.intp]) -> str:
    """Name of a merged level: of those that patients have, in order."""
    present = [levels[k] for k in group if n[k] > 0] or [levels[k] for k in group]
    return "+".join(present) if len(present) <= 3 else f"{present[0]}+{OTHER}"
