"""A frozen model on new patients: predictions with their limits, and what the model has never seen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from radiomics_npc.errors import CohortError, ConfigError, HorizonError
from radiomics_npc.storage import read_table, write_table
from radiomics_npc.survival.design import check_rows
from radiomics_npc.survival.models.boosting import BoostedModel
from radiomics_npc.survival.models.cox import CoxModel
from radiomics_npc.survival.models.model_file import load_model
from radiomics_npc.survival.models.prognostic import PrognosticModel
from radiomics_npc.survival.models.tree_model import TreeModel

__all__ = ["outside_training", "predict_frame", "predict_table"]


def outside_training(model: Any, X: pd.DataFrame) -> pd.DataFrame:
    """Where patients have values that the model has never seen.

    Parameters
    ----------
    model : PrognosticModel, CoxModel or BoostedModel
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
    last = model.last_step if isinstance(model, PrognosticModel) else model
    table = model.learner_table(X) if isinstance(model, PrognosticModel) else X
    if isinstance(last, TreeModel):
        known = dict(last.ranges_)
        return pd.DataFrame({name: _beyond(table, name, seen) for name, seen in known.items()}, index=X.index)
    found = {}
    for term in last.terms_:
        if term.kind == "interaction":  # its parts are terms of their own
            continue
        column = _column(table, term.name)
        missing = column.isna().to_numpy() if isinstance(model, PrognosticModel) else False
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


def predict_frame(
    model: Any, X: pd.DataFrame, horizons_months: Sequence[float] = (36.0, 60.0)
) -> pd.DataFrame:
    """Predict for new patients.

    Parameters
    ----------
    model : PrognosticModel or CoxModel
        Fitted or loaded.
    X : DataFrame
        By patient_id.
    horizons_months : sequence of float

    Returns
    -------
    DataFrame
        By patient_id: risk, group, ``pfs_60``, ``pfs_60_lower``, ``pfs_60_upper`` for each
        horizon, outside (columns beyond the training range; such a patient gets no
        numbers), imputed (columns whose missing value was filled), simulated (when the
        training patients were).

    Raises
    ------
    CohortError
        A column is absent.
    HorizonError
        A horizon is past the follow-up in training.
    ConfigError
        A model of another kind.
    """
    if not isinstance(model, (PrognosticModel, CoxModel, BoostedModel)):
        raise ConfigError(
            f"a table of predictions is not made with a {type(model).__name__}",
            "Call its predict methods in Python, or take a Cox or boosted model.",
        )
    late = [h for h in horizons_months if not 0 < h <= model.follow_up_months_]
    if late:
        raise HorizonError(
            f"the model knows nothing at {late[0]:g} months (follow-up {model.follow_up_months_:.1f})",
            "Take an earlier horizon.",
        )
    outside = outside_training(model, X)
    table = pd.DataFrame(index=X.index)
    inside = ~outside.any(axis=1).to_numpy(dtype=bool)
    rows = X[inside]
    table["risk"] = _at(inside, model.predict_risk(rows) if inside.any() else [])
    if isinstance(model, PrognosticModel):
        table["group"] = model.groups_.predict(table["risk"])
    for horizon in horizons_months:
        name = f"pfs_{horizon:g}"
        table[name] = _at(inside, model.predict_survival(rows, [horizon])[:, 0] if inside.any() else [])
        limits = model.predict_interval(rows, horizon) if inside.any() else np.empty((0, 2))
        table[f"{name}_lower"], table[f"{name}_upper"] = _at(inside, limits[:, 0]), _at(inside, limits[:, 1])
    table["outside"] = [" ".join(outside.columns[row]) for row in outside.to_numpy(dtype=bool)]
    if isinstance(model, PrognosticModel):
        filled = model.preparation_.imputation_.columns_  # not the columns that are left out
        asked = [*(name for name in model.clinical_columns if name in filled), *model.feature_columns]
        table["imputed"] = [
            " ".join(np.array(asked, dtype=object)[row]) for row in X[asked].isna().to_numpy(dtype=bool)
        ]
    if getattr(model, "simulated_", False):
        table["simulated"] = True
    return table


def _at(rows: NDArray[np.bool_], values: Any) -> NDArray[np.float64]:
    result = np.full(len(rows), np.nan)
    result[rows] = values
    return result


def predict_table(
    model_folder: Path | str,
    table: Path | str,
    out: Path | str,
    *,
    horizons_months: Sequence[float] = (36.0, 60.0),
) -> pd.DataFrame:
    """Predict for the patients of a table and write the result.

    Parameters
    ----------
    model_folder : Path
        As written by a run.
    table : Path
        CSV or parquet with ``patient_id``, the clinical columns and the features of the model
        (a run writes such a table as ``tables/design_matrix.csv``).
    out : Path
        CSV to write.
    horizons_months : sequence of float

    Returns
    -------
    DataFrame
        See :func:`predict_frame`.

    Raises
    ------
    ModelFileError, CohortError, HorizonError
    """
    model = load_model(Path(model_folder))
    predictors = _read_predictors(Path(table), model)
    if "patient_id" not in predictors.columns:
        raise CohortError(f"{Path(table).name} has no column patient_id", "Name each patient in it.")
    result = predict_frame(model, predictors.set_index("patient_id"), horizons_months)
    write_table(Path(out), result.reset_index())
    return result


def _read_predictors(path: Path, model: Any) -> pd.DataFrame:
    """A table for a model. Its factors stay text: "1" must not become 1.0, nor the level "None" missing."""
    if path.suffix == ".parquet":
        return read_table(path)
    if isinstance(model, PrognosticModel):
        imputed = model.preparation_.imputation_
        centers = [name for name in model.table_columns if name not in imputed.columns_]
        factors = imputed.factors_ + centers
    else:
        factors = [term.name for term in getattr(model, "terms_", []) if term.kind == "factor"]
    return read_table(path, converters=dict.fromkeys(factors, lambda text: text.strip() or None))
