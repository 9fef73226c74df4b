"""Variables of a model that share axes, because they interact.

A variable without interactions has one axis. Of variables that interact, directly or
through others, one has an axis for each combination of settings of the others, which
thereby have none of their own, as in R's ``rms::nomogram``: the points of an axis are
those of all of them together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, product

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from radiomics_npc.errors import ConfigError
from radiomics_npc.nomogram.labels import column_label, level_label
from radiomics_npc.nomogram.scale import AxisTicks, Setting, pretty
from radiomics_npc.nomogram.terms import is_indicator, read_column, tick_values
from radiomics_npc.survival.terms import Term, products

__all__ = ["Group", "axis_groups", "axis_label"]

Floats = NDArray[np.float64]
Settings = Mapping[str, Sequence[float | str]]
_MOST_AXES = 24


@dataclass(frozen=True)
class Group:
    """Variables that stand on the same axes.

    Parameters
    ----------
    terms : tuple of Term
        The variable with the axis, then those that are set; no interactions.
    interactions : tuple of Term
        Products of these.
    settings : tuple of tuple of (str, value)
        For every axis the values at which the others are set.
    """

    terms: tuple[Term, ...]
    interactions: tuple[Term, ...] = ()
    settings: tuple[tuple[Setting, ...], ...] = ((),)

    @property
    def name(self) -> str:
        """Column of the axis."""
        return self.terms[0].name

    def _effect(self, blocks: Mapping[str, Floats]) -> Floats:
        """Sum of what all terms add to the linear predictor, from their columns of the design."""
        blocks = dict(blocks)
        for term in self.interactions:
            blocks[term.name] = products(blocks[term.parts[0]], blocks[term.parts[1]])
        effects = [
            blocks[term.name] @ np.array(term.coefficients[-len(term.columns) :])
            for term in (*self.terms, *self.interactions)
        ]
        result: Floats = np.sum(effects, axis=0)
        return result

    def axes(self) -> list[AxisTicks]:
        """Settings, ticks and effects of every axis."""
        return [self.axis_at(settings) for settings in self.settings]

    def axis_at(self, settings: tuple[Setting, ...]) -> AxisTicks:
        """Settings, ticks and effects of the axis for some settings, drawn or not."""
        values, at = tick_values(self.terms[0]), dict(settings)
        given = {term.name: [at[term.name]] * len(values) for term in self.terms[1:]}
        blocks = {term.name: _columns(term, given.get(term.name, values)) for term in self.terms}
        return settings, values, self._effect(blocks)

    @property
    def sets_numbers(self) -> bool:
        """Whether an axis holds for one value of a number: patients stand between the axes."""
        set_here = {name for name, _ in self.settings[0]}
        return any(
            term.kind != "factor" and not is_indicator(term) for term in self.terms if term.name in set_here
        )

    def read(self, X: pd.DataFrame) -> Floats:
        """Effect of the values of patients, all variables of the group together.

        Raises
        ------
        CohortError
            A value is missing, or was not seen in training.
        """
        return self._effect({term.name: read_column(term, X[term.name]) for term in self.terms})


def _columns(term: Term, values: Sequence[float | str]) -> Floats:
    """Columns of the design matrix at ticks, where levels are those after merging."""
    if term.kind == "factor":
        return np.array([[float(value == level) for level in term.levels[1:]] for value in values])
    return term.encode(pd.Series(values, dtype=float))


def axis_groups(terms: Sequence[Term], settings: Settings | None = None) -> tuple[Group, ...]:
    """Put variables that interact into one group, the others into one each.

    The axis is that of the first number that ``settings`` does not name, else of the first
    number, else of the first factor, as in R. Factors are set at every level, 0-1
    indicators at both values, other numbers at round values within the training range.

    Parameters
    ----------
    terms : sequence of Term
        Interactions among them.
    settings : mapping of str to sequence, optional
        Values at which a variable is set, instead (``interact`` in R).

    Returns
    -------
    tuple of Group
        In the order of the terms.

    Raises
    ------
    ConfigError
        Settings of a variable that has none, of a level that is unknown, or more than 24 axes.

    Examples
    --------
    >>> age, sex = Term("age", "linear", (0.1,), range=(20, 80)), Term("sex", "factor", (0, 1), ("f", "m"))
    >>> both = Term("age * sex", "interaction", (0.2,), ("age * sex=m",), parts=("age", "sex"))
    >>> axis_groups((age, sex, both))[0].settings
    ((('sex', 'f'),), (('sex', 'm'),))
    """
    given = dict(settings or {})
    single = [term for term in terms if term.kind != "interaction"]
    crossed = [term for term in terms if term.kind == "interaction"]
    together = {term.name: {term.name} for term in single}
    for term in crossed:
        joined = together[term.parts[0]] | together[term.parts[1]]
        together.update(dict.fromkeys(joined, joined))
    if unknown := [name for name in given if len(together.get(name, ())) < 2]:
        raise ConfigError(
            f"settings of {unknown[0]}: it takes part in no interaction of this model", "Leave them out."
        )
    groups: dict[str, Group] = {}
    for term in single:
        names = together[term.name]
        key = min(names)
        if key not in groups:
            members = sorted((t for t in single if t.name in names), key=lambda t: _rank(t, given))
            inside = tuple(t for t in crossed if t.parts[0] in names)
            groups[key] = Group(tuple(members), inside, _combinations(members[1:], single, given))
    return tuple(groups.values())


def _rank(term: Term, given: Settings) -> tuple[bool, bool]:
    """Who gets the axis: numbers before factors and indicators, those with settings last."""
    return term.kind == "factor" or is_indicator(term), term.name in given


def _combinations(
    others: Sequence[Term], order: Sequence[Term], given: Settings
) -> tuple[tuple[Setting, ...], ...]:
    """All settings of some variables, those of the first in the model changing fastest."""
    ordered = [term for term in order if term in others]
    values = [_checked(term, given[term.name]) if term.name in given else _values(term) for term in ordered]
    if (axes := int(np.prod([len(each) for each in values]))) > _MOST_AXES:
        raise ConfigError(
            f"the interactions of {', '.join(term.name for term in ordered)} need {axes} axes",
            f"Give settings that make at most {_MOST_AXES}, or draw a model with fewer interactions.",
        )
    names = [term.name for term in ordered]
    return tuple(
        tuple(zip(names, reversed(combination), strict=True)) for combination in product(*reversed(values))
    )


def _checked(term: Term, values: Sequence[float | str]) -> list[float | str]:
    """Settings that were asked for, if the variable can have them."""
    if term.kind == "factor":
        unknown = [value for value in values if value not in term.levels]
    else:
        unknown = [value for value in values if not isinstance(value, int | float) or not np.isfinite(value)]
    if unknown or not len(values):
        known = ", ".join(term.levels) if term.kind == "factor" else "numbers"
        raise ConfigError(f"settings of {term.name}: {list(values)}", f"It takes {known}.")
    return list(values) if term.kind == "factor" else [float(value) for value in values]


def _values(term: Term) -> list[float | str]:
    """Levels, 0 and 1, or round values between the ends of the training range."""
    if term.kind == "factor":
        return list(term.levels)
    assert term.range is not None
    if is_indicator(term):
        return [0.0, 1.0]
    low, high = term.range
    inside = [float(value) for value in pretty(low, high, 3) if low < value < high]
    near = 0.3 * min((b - a for a, b in pairwise(inside)), default=0.0)
    return [low, *(value for value in inside if value - low > near and high - value > near), high]


def axis_label(name: str, settings: Sequence[Setting]) -> str:
    """Name of an axis as printed, with the settings that it holds for.

    Examples
    --------
    >>> axis_label("age", [("ebv_dna", "positive"), ("volume", 20.0)])
    'Age (years) if EBV-DNA = positive, Volume = 20'
    """
    if not settings:
        return column_label(name)
    shown = ((name, level_label(v) if isinstance(v, str) else f"{v:.4g}") for name, v in settings)
    return f"{column_label(name)} if {', '.join(f'{column_label(n)} = {value}' for n, value in shown)}"
