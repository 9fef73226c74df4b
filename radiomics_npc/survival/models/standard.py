"""The six standard models by name."""

from __future__ import annotations

from typing import cast, get_args

from radiomics_npc.errors import ConfigError
from radiomics_npc.settings import ModelName, ModelSettings
from radiomics_npc.survival.models.prognostic import Content, Learner, PrognosticModel

__all__ = ["standard_model"]


def standard_model(
    name: ModelName, settings: ModelSettings | None = None, *, inner_folds: int = 5, random_state: int = 0
) -> PrognosticModel:
    """Make one of the six standard models, not fitted.

    Parameters
    ----------
    name : str
        ``{clinical,radiomics,combined}_{cox,boosted}``.
    settings : ModelSettings, optional
    inner_folds : int
    random_state : int

    Returns
    -------
    PrognosticModel

    Raises
    ------
    ConfigError
        The name is none of the six.

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
    return PrognosticModel(
        cast(Content, content),
        cast(Learner, learner),
        clinical=tuple(settings.clinical),
        min_category=settings.min_category,
        max_correlation=settings.max_correlation,
        risk_groups=settings.risk_groups,
        inner_folds=inner_folds,
        random_state=random_state,
    )
