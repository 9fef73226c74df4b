"""How the patients of a table are distributed over the axes of a nomogram.

Nothing of the table is kept but smooth curves and shares, for the drawing at hand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import gaussian_kde

from radiomics_npc.errors import CohortError
from radiomics_npc.nomogram.interactions import Group
from radiomics_npc.nomogram.layout import Row
from radiomics_npc.nomogram.scale import Setting

if TYPE_CHECKING:
    from radiomics_npc.nomogram.nomogram import Nomogram

__all__ = ["Distribution", "distributions"]

Floats = NDArray[np.float64]
_FEW = 8  # distinct values that are drawn as boxes, not as a density


@dataclass(frozen=True, eq=False)
class Distribution:
    """What stands over an axis.

    Parameters
    ----------
    x : array, shape (k,)
        0 to 1 along the axis.
    height : array, shape (k,)
        1 is the highest over all axes of the variable, of which densities are as high as
        patients are many.
    boxes : bool
        Proportional boxes at ``x``; else a density along ``x``.
    """

    x: Floats
    height: Floats
    boxes: bool


def distributions(
    nomogram: Nomogram, rows: Sequence[Row], cohort: pd.DataFrame
) -> tuple[list[Distribution | None], int]:
    """Densities (numbers) or proportional boxes (levels) over the variables and the total points.

    Axes that hold for one value of another number have none: patients stand between them.

    Parameters
    ----------
    nomogram : Nomogram
    rows : sequence of Row
    cohort : DataFrame
        Patients with a missing value, or one outside the training range, are left out.

    Returns
    -------
    list of Distribution or None
        One a row.
    int
        Patients that are shown.

    Raises
    ------
    CohortError
        A column is absent, or no patient can be read off the nomogram.
    """
    X = nomogram.completed(cohort)
    sound = np.ones(len(X), dtype=bool)
    for term in nomogram.terms:
        if term.kind != "interaction":
            sound &= ~X[term.name].isna().to_numpy() & ~term.outside(X[term.name])
    X = X[sound]
    if X.empty:
        raise CohortError(
            "no patient of the table has all values within the training range", "Draw without a cohort."
        )
    points = nomogram.points_of(X)
    groups = {group.name: group for group in nomogram.groups}
    parts: dict[int, Floats] = {}
    for i, row in enumerate(rows):
        if row.kind == "variable" and not groups[row.name].sets_numbers:
            parts[i] = points.loc[_on_axis(groups[row.name], row.settings, X), row.name].to_numpy() / 100
        elif row.kind == "total":
            parts[i] = points["total_points"].to_numpy() / nomogram.scale.largest_total
    found: list[Distribution | None] = [None] * len(rows)
    for name in dict.fromkeys(row.name for i, row in enumerate(rows) if i in parts):
        mine = {i: x for i, x in parts.items() if rows[i].name == name}
        for i, distribution in _of_variable(mine).items():
            found[i] = distribution
    return found, len(X)


def _of_variable(parts: Mapping[int, Floats]) -> dict[int, Distribution]:
    """Distributions over the axes of one variable, on one scale of heights."""
    boxes = len(np.unique(np.round(np.concatenate(list(parts.values())), 9))) <= _FEW
    most = max(map(len, parts.values()))
    made: dict[int, Distribution] = {}
    for i, x in parts.items():
        if boxes:
            at, counts = np.unique(np.round(x, 9), return_counts=True)
            made[i] = Distribution(at, counts.astype(float), True)
        elif len(x) >= 3 and np.ptp(x) > 1e-9:
            grid = np.linspace(x.min(), x.max(), 160)
            density = gaussian_kde(x)(grid)
            made[i] = Distribution(grid, density / density.max() * len(x) / most, False)
    tallest = max((d.height.max() for d in made.values() if len(d.height)), default=1.0)
    return {i: Distribution(d.x, d.height / tallest, d.boxes) for i, d in made.items() if len(d.x)}


def _on_axis(group: Group, settings: Sequence[Setting], X: pd.DataFrame) -> NDArray[np.bool_]:
    """Patients for whom an axis holds."""
    terms, here = {term.name: term for term in group.terms}, np.ones(len(X), dtype=bool)
    for name, value in settings:
        if isinstance(value, str):
            read = X[name].astype(object).map(lambda level, t=terms[name]: t.reads[str(level)])
            here &= (read == value).to_numpy(dtype=bool)
        else:
            here &= pd.to_numeric(X[name]).to_numpy(dtype=float) == value
    return here
