"""What a nomogram takes from a fitted Cox model, and which models have none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from radiomics_npc.errors import ConfigError, HorizonError
from radiomics_npc.survival.estimation.baseline import step_function
from radiomics_npc.survival.models.tree_model import TreeModel

__all__ = ["checked_quantiles", "cox_with_points", "hazard_at", "told_by"]


def cox_with_points(model: Any) -> Any:
    """The Cox model of a standard model, or the model itself.

    Raises
    ------
    ConfigError
        It is no fitted Cox model, or points mean another survival in each stratum.
    """
    cox = getattr(model, "cox_", model)
    if isinstance(getattr(model, "last_step", model), TreeModel):
        raise ConfigError(
            "trees have no points scale: their risk is no sum of points of one variable each",
            "Draw a Cox model, or the surrogate of a boosted model: a Cox-type model that imitates it.",
        )
    if not hasattr(cox, "terms_"):
        raise ConfigError(
            f"a {type(model).__name__} has no points scale", "Draw the nomogram of a fitted Cox model."
        )
    if len(cox.strata):
        raise ConfigError(
            f"survival at the same points differs between the strata ({', '.join(cox.strata)})",
            "Draw a model without strata: the column as a factor, or one model for each stratum.",
        )
    return cox


def checked_quantiles(quantiles: Sequence[float]) -> tuple[float, ...]:
    """Quantiles of survival time, if they are some.

    Examples
    --------
    >>> checked_quantiles([0.5])
    (0.5,)
    """
    wrong = [q for q in quantiles if not 0 < q < 1]
    if wrong:
        raise ConfigError(f"no time has a survival of {wrong[0]}", "Name survival between 0 and 1, as 0.5.")
    return tuple(float(q) for q in quantiles)


def told_by(model: Any, cox: Any, attribute: str) -> Any:
    """What the model, or else its Cox part, says about itself; None if neither does."""
    return getattr(model, attribute, getattr(cox, attribute, None))


def hazard_at(cox: Any, horizons: Sequence[float]) -> tuple[float, ...]:
    """Baseline cumulative hazard at the horizons (months).

    Raises
    ------
    HorizonError
        No horizon, one past the follow-up, or one that no event precedes.
    """
    if not horizons:
        raise HorizonError("the nomogram has no horizon", "Name at least one, in months.")
    last = float(cox.follow_up_months_)
    for month in horizons:
        if not 0 < month <= last:
            raise HorizonError(
                f"no survival is known at {month:g} months: follow-up ends at {last:.1f} months",
                "Choose an earlier horizon.",
            )
    base = cox.baseline_
    found = step_function(base["time_months"], base["cumulative_hazard"], horizons)
    if (found <= 0).any():
        raise HorizonError(
            "no event before the first horizon: survival there is 1 for everybody", "Choose a later horizon."
        )
    return tuple(float(hazard) for hazard in found)
