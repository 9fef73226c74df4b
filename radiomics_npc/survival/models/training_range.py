"""What a model has never seen: values of new patients outside of those in training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from radiomics_npc.errors import CohortError
from radiomics_npc.survival.design import check_rows
from radiomics_npc.survival.models.prepared import PreparedModel
from radiomics_npc.survival.models.tree_model import TreeModel
from radiomics_npc.survival.preprocessing.iterative_imputation import IterativeImputation

__all__ = ["flag_patients", "levels_of", "outside_training"]


def levels_of(model: PreparedModel) -> dict[str, list[str]]:
    """Levels of the clinical factors that a standard model was fitted to."""
    step = model.preparation_.imputation_
    known = step.codes_.categories if isinstance(step, IterativeImputation) else step.categories_
    return {name: list(levels) for name, levels in known.items()}


def outside_training(model: Any, X: pd.DataFrame) -> pd.DataFrame:
    """Where patients have values that the model has never seen.

    Parameters
    ----------
    model : PrognosticModel, SurrogateModel, CoxModel or BoostedModel
        Fitted.
    X : DataFrame

    Returns
    -------
    DataFrame of bool
        One column a term of the model: True where a number lies outside the range in
        training, or a level was held by no training patient. A missing value counts
        only for a bare CoxModel, which has no imputation.

    Raises
    ------
    CohortError
        A column is absent.
    """
    check_rows(X)
    last = getattr(model, "last_step", model)
    table = model.learner_table(X) if isinstance(model, PreparedModel) else X
    if isinstance(last, TreeModel):
        known = dict(last.ranges_)
        return pd.DataFrame({name: _beyond(table, name, seen) for name, seen in known.items()}, index=X.index)
    found = {}
    for term in last.terms_:
        if term.kind == "interaction":  # its parts are terms of their own
            continue
        column = _column(table, term.name)
        missing = column.isna().to_numpy() if isinstance(model, PreparedModel) else False
        found[term.name] = term.outside(column) & ~np.asarray(missing)
    return pd.DataFrame(found, index=X.index, dtype=bool)


def _column(X: pd.DataFrame, name: str) -> pd.Series:
    if name not in X.columns:
        raise CohortError(f"columns are absent: {name}", "Give all columns of the model.")
    return X[name]


def _beyond(X: pd.DataFrame, name: str, seen: Sequence[Any]) -> NDArray[np.bool_]:
    column = _column(X, name)
    missing = column.isna().to_numpy()
    if isinstance(seen[0], str):
        result: NDArray[np.bool_] = ~column.astype(object).astype(str).isin(seen).to_numpy() & ~missing
        return result
    number = pd.to_numeric(column, errors="coerce").to_numpy(dtype=float)
    slack = 1e-9 * max(abs(seen[0]), abs(seen[1]))
    return ~((number >= seen[0] - slack) & (number <= seen[1] + slack)) & ~missing


def flag_patients(model: Any, X: pd.DataFrame) -> tuple[list[str], NDArray[np.bool_]]:
    """What is odd in each patient, and who can be scored.

    Parameters
    ----------
    model : as :func:`outside_training`
    X : DataFrame
        As :func:`radiomics_npc.survival.models.new_patients.read_patients` gives it.

    Returns
    -------
    list of str
        By patient, empty where nothing is odd.
    array of bool, shape (n,)
        False where a value was never like this in training, or is missing and nothing fills it.
    """
    outside = outside_training(model, X)
    table = model.learner_table(X) if isinstance(model, PreparedModel) else X
    seen = _seen(getattr(model, "last_step", model))
    if isinstance(model, PreparedModel):  # factors that the last step does not use are filled, too
        for name, levels in levels_of(model).items():
            if name in X.columns and name not in seen:
                outside[name] = ~X[name].isin(levels) & X[name].notna()
                seen[name], table = levels, table.assign(**{name: X[name]})
    words: list[list[str]] = [[] for _ in range(len(X))]
    for name in outside.columns:
        for k in np.flatnonzero(outside[name]):
            value = table[name].iloc[k]
            shown = "missing" if pd.isna(value) else _strange(value, seen[name])
            words[k].append(f"{name}: {shown}")
    odd = [[*parts, *gaps] for parts, gaps in zip(words, _missing(model, X), strict=True)]
    return ["; ".join(parts) for parts in odd], ~outside.any(axis=1).to_numpy(dtype=bool)


def _seen(last: Any) -> dict[str, list[Any]]:
    """By column what training patients had: levels, or the smallest and largest number."""
    if isinstance(last, TreeModel):
        return dict(last.ranges_)
    return {
        term.name: [level for level, n in term.counts.items() if n]
        if term.kind == "factor"
        else list(term.range)
        for term in last.terms_
        if term.kind != "interaction"
    }


def _strange(value: Any, seen: Sequence[Any]) -> str:
    if isinstance(seen[0], str):
        return f"{value!s:.40} is none of {', '.join(seen[:10])}"
    return f"{float(value):.6g} is outside {seen[0]:.6g} to {seen[1]:.6g}"


def _missing(model: Any, X: pd.DataFrame) -> list[list[str]]:
    """What is missing in each patient and was filled, or left to the trees."""
    trees = isinstance(getattr(model, "last_step", model), TreeModel)
    if isinstance(model, PreparedModel):
        filled = model.preparation_.imputation_.columns_  # not the columns that are left out
        how = {name: "filled as in training" for name in model.clinical_columns if name in filled}
        how |= dict.fromkeys(model.feature_columns, "left to the trees" if trees else "filled as in training")
    else:  # a bare Cox model has flagged them as outside
        how = dict.fromkeys(model.ranges_, "left to the trees") if trees else {}
    return [_missing_words(X.columns[gaps], how) for gaps in X.isna().to_numpy(dtype=bool)]


def _missing_words(names: pd.Index, how: Mapping[str, str]) -> list[str]:
    """One flag a clinical column, and one for all features."""
    known = [str(name) for name in names if name in how]
    features = [name for name in known if "__" in name]
    words = [f"{name}: missing, {how[name]}" for name in known if "__" not in name]
    if len(features) == 1:
        words.append(f"{features[0]}: missing, {how[features[0]]}")
    elif features:
        words.append(f"{len(features)} features ({features[0]}, ...): missing, {how[features[0]]}")
    return words
