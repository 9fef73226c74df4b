"""The standard models by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast, get_args

import pandas as pd

from radiomics_npc.errors import ConfigError
from radiomics_npc.settings import ModelName, ModelSettings
from radiomics_npc.survival.models.prognostic import Content, Learner, PrognosticModel

__all__ = ["candidate_parameters", "standard_model"]


def standard_model(
    name: ModelName,
    settings: ModelSettings | None = None,
    *,
    inner_folds: int = 5,
    random_state: int = 0,
    stability: pd.Series | pd.DataFrame | None = None,
    min_stability: float = 0.75,
) -> PrognosticModel:
    """Make one of the standard models, not fitted.

    Parameters
    ----------
    name : str
        ``{clinical,radiomics,combined}_{cox,boosted,forest}``.
    settings : ModelSettings, optional
    inner_folds : int
    random_state : int
    stability, min_stability
        As in :class:`radiomics_npc.survival.models.preparation.Preparation`.

    Returns
    -------
    PrognosticModel

    Raises
    ------
    ConfigError
        There is no such model.

    Examples
    --------
    >>> standard_model("combined_cox").content
    'combined'
    """
    settings = settings or ModelSettings()
    if name not in get_args(ModelName):
        raise ConfigError(
            f"there is no standard model {name}", f"Take one of {', '.join(get_args(ModelName))}."
        )
    content, _, learner = name.partition("_")
    harmonize = settings.harmonize
    return PrognosticModel(
        cast(Content, content),
        cast(Learner, learner),
        clinical=tuple(settings.clinical),
        min_category=settings.min_category,
        splines=dict(settings.splines),
        max_correlation=settings.max_correlation,
        objective=settings.boosting.objective,
        tune=settings.boosting.tune,
        monotone=dict(settings.boosting.monotone),
        risk_groups=settings.risk_groups,
        # Patients with missing values never come this far where only complete ones were asked for.
        imputation="iterative" if settings.imputation == "iterative" else "simple",
        stability=stability,
        min_stability=min_stability,
        harmonize_by=harmonize.by if harmonize else None,
        protect=tuple(harmonize.protect) if harmonize else (),
        unseen=harmonize.unseen if harmonize else "error",
        inner_folds=inner_folds,
        random_state=random_state,
    )


def candidate_parameters(
    X: pd.DataFrame, clinical: Sequence[str], splines: Mapping[str, int]
) -> dict[str, int]:
    """Coefficients that Cox models look at before any selection.

    Parameters
    ----------
    X : DataFrame
        Design matrix: a factor counts its levels but one, a number itself or its knots but one.
    clinical : list of str
    splines : mapping of str to int
        Knots by column.

    Returns
    -------
    dict of str to int
        By model.

    Examples
    --------
    >>> X = pd.DataFrame({"T": pd.Categorical(["T1", "T2", "T3"]), "age": [40.0, 50.0, 60.0],
    ...                   "t1__original__glcm__Contrast": [1.0, 2.0, 3.0]})
    >>> candidate_parameters(X, ["T", "age"], {"age": 4})
    {'clinical_cox': 5, 'radiomics_cox': 1, 'combined_cox': 6}
    """
    own = 0
    for name in clinical:
        if name in X.columns:
            numeric = pd.api.types.is_numeric_dtype(X[name])
            own += splines.get(name, 2) - 1 if numeric else max(0, X[name].nunique() - 1)
    features = sum("__" in str(name) for name in X.columns)
    return {"clinical_cox": own, "radiomics_cox": features, "combined_cox": own + features}
