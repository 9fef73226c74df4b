"""Radiomics and prognostic modelling of nasopharyngeal carcinoma.

Names are loaded when first used, so that ``import radiomics_npc`` is quick and
brings neither torch nor matplotlib.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from radiomics_npc._version import __version__

if TYPE_CHECKING:
    from radiomics_npc.cohort.outcome import Outcome
    from radiomics_npc.cohort.reading import read_cohort
    from radiomics_npc.features.extraction import extract_features
    from radiomics_npc.features.merge import design_matrix
    from radiomics_npc.imaging.checks import check_cohort
    from radiomics_npc.nomogram.nomogram import Nomogram
    from radiomics_npc.report.html import write_report
    from radiomics_npc.simulate.cohort import simulate_cohort
    from radiomics_npc.study import Study
    from radiomics_npc.survival.models.boosting import BoostedModel
    from radiomics_npc.survival.models.cox import CoxModel
    from radiomics_npc.survival.models.model_file import load_model, save_model
    from radiomics_npc.survival.models.standard import standard_model
    from radiomics_npc.survival.validation.cross_validation import cross_validate
    from radiomics_npc.survival.validation.external import validate_model

_HOME = {
    "BoostedModel": "survival.models.boosting",
    "CoxModel": "survival.models.cox",
    "Nomogram": "nomogram.nomogram",
    "Outcome": "cohort.outcome",
    "Study": "study",
    "check_cohort": "imaging.checks",
    "cross_validate": "survival.validation.cross_validation",
    "design_matrix": "features.merge",
    "extract_features": "features.extraction",
    "load_model": "survival.models.model_file",
    "read_cohort": "cohort.reading",
    "save_model": "survival.models.model_file",
    "simulate_cohort": "simulate.cohort",
    "standard_model": "survival.models.standard",
    "validate_model": "survival.validation.external",
    "write_report": "report.html",
}

__all__ = [
    "BoostedModel",
    "CoxModel",
    "Nomogram",
    "Outcome",
    "Study",
    "__version__",
    "check_cohort",
    "cross_validate",
    "design_matrix",
    "extract_features",
    "load_model",
    "read_cohort",
    "save_model",
    "simulate_cohort",
    "standard_model",
    "validate_model",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"radiomics_npc.{_HOME[name]}"), name)
    raise AttributeError(f"module 'radiomics_npc' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
