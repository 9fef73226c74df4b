"""How the shown model does in parts of the cohort: by sex, age, stage, center, and with nothing imputed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.survival.estimation.kaplan_meier import kaplan_meier
from radiomics_npc.survival.metrics.concordance import harrell_c

__all__ = ["subgroup_scores"]

#: Fewer events say nothing of a C-index; the patients are counted all the same.
LEAST_EVENTS = 10
_MOST_LEVELS = 8
Parts = Iterator[tuple[str, str, NDArray[np.bool_]]]


def subgroup_scores(
    y: Outcome,
    predicted: pd.Series,
    clinical: pd.DataFrame,
    *,
    horizon_months: float,
    needed: Sequence[str] = (),
) -> pd.DataFrame:
    """Harrell's C, and predicted against observed survival, in every part of the cohort.

    Parameters
    ----------
    y : Outcome
    predicted : Series
        Probability at the horizon for patients outside the training folds, by patient_id.
    clinical : DataFrame
        By patient_id. Factors of 2 to 8 levels make subgroups, numbers two, at their median.
    horizon_months : float
    needed : sequence of str
        Columns that the models take: patients with all of them known are a part, too.

    Returns
    -------
    DataFrame
        variable, level, patients, events, estimate, lower, upper (C of the predicted probability; NaN
        with fewer than 10 events), predicted (mean), observed, observed_lower, observed_upper
        (Kaplan-Meier). The first row is all patients with a prediction.

    Examples
    --------
    >>> ids = [f"{k}" for k in range(40)]
    >>> y = Outcome(np.arange(1.0, 41.0), [1] * 40, ids)
    >>> clinical = pd.DataFrame({"sex": ["f", "m"] * 20}, index=ids)
    >>> table = subgroup_scores(y, pd.Series(np.linspace(0, 1, 40), ids), clinical, horizon_months=20)
    >>> table[["variable", "level", "patients", "estimate"]].to_numpy().tolist()
    [['all', '', 40, 1.0], ['sex', 'f', 20, 1.0], ['sex', 'm', 20, 1.0]]
    """
    values = predicted.reindex(y.patient_id).to_numpy(float)
    known = np.isfinite(values)
    table = clinical.reindex(y.patient_id)
    rows = []
    for variable, level, part in _parts(table, [name for name in needed if name in table]):
        chosen = np.flatnonzero(part & known)
        if len(chosen):
            rows.append(
                {"variable": variable, "level": level}
                | _scores(y.take(chosen), values[chosen], horizon_months)
            )
    return pd.DataFrame(rows)


def _parts(table: pd.DataFrame, needed: Sequence[str]) -> Parts:
    yield "all", "", np.ones(len(table), dtype=bool)
    whole = table[list(needed)].notna().all(axis=1).to_numpy()
    if not whole.all():
        yield "clinical values", "all known", whole
        yield "clinical values", "some missing", ~whole
    for name in table.columns:
        yield from _levels(str(name), table[name])


def _levels(name: str, values: pd.Series) -> Parts:
    known = values.dropna()
    if pd.api.types.is_bool_dtype(known) or not pd.api.types.is_numeric_dtype(known):
        levels: Iterable[Any] = known.astype("category").cat.remove_unused_categories().cat.categories
        levels = list(levels)
        if 2 <= len(levels) <= _MOST_LEVELS:
            for level in levels:
                yield name, str(level), (values == level).to_numpy(dtype=bool, na_value=False)
    elif known.nunique() > 2:
        middle = float(known.median())
        yield name, f"up to {middle:g}", (values <= middle).to_numpy(dtype=bool, na_value=False)
        yield name, f"above {middle:g}", (values > middle).to_numpy(dtype=bool, na_value=False)


def _scores(y: Outcome, predicted: NDArray[np.float64], horizon_months: float) -> dict[str, Any]:
    events = int(y.event.sum())
    row: dict[str, Any] = {"patients": len(y), "events": events}
    row |= dict.fromkeys(("estimate", "lower", "upper"), np.nan)
    if events >= LEAST_EVENTS:
        found = harrell_c(y, 1 - predicted)
        row["estimate"] = found.estimate
        row["lower"], row["upper"] = found.interval()
    at = kaplan_meier(y).at([horizon_months]).iloc[0]
    # Without an event the limits have no width, as if the survival were known.
    limits = (float(at["lower"]), float(at["upper"])) if events else (np.nan, np.nan)
    return row | {
        "predicted": float(predicted.mean()), "observed": float(at["survival"]),
        "observed_lower": limits[0], "observed_upper": limits[1],
    }  # fmt: skip
