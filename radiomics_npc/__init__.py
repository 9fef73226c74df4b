"""Radiomics and prognostic modelling of nasopharyngeal carcinoma.

Names are loaded when first used, so that ``import radiomics_npc`` is quick and
brings neither torch nor matplotlib.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from radiomics_npc._version import __version__

if TYPE_CHECKING:
    from radiomics_npc.cohort.competing import CompetingOutcome
    from radiomics_npc.cohort.dicom_index import index_dicom
    from radiomics_npc.cohort.manifest_writing import write_manifest
    from radiomics_npc.cohort.outcome import Outcome
    from radiomics_npc.cohort.reading import read_cohort
    from radiomics_npc.cohort.staging import stage_groups, stage_table
    from radiomics_npc.dataset.agreement import compare_masks
    from radiomics_npc.dataset.bland_altman import bland_altman
    from radiomics_npc.dataset.convert import convert
    from radiomics_npc.dataset.deidentify import deidentify
    from radiomics_npc.dataset.describe import describe
    from radiomics_npc.dataset.download import download
    from radiomics_npc.dataset.evaluate import evaluate_folders
    from radiomics_npc.dataset.metadata import read_metadata
    from radiomics_npc.dataset.morphology import measure_morphology
    from radiomics_npc.features.extraction import extract_features
    from radiomics_npc.features.merge import design_matrix
    from radiomics_npc.features.perturbed import extract_perturbed
    from radiomics_npc.features.raters import compare_raters
    from radiomics_npc.features.stability import intraclass_correlation, stability_table
    from radiomics_npc.imaging.bias_field import correct_bias
    from radiomics_npc.imaging.checks import check_cohort
    from radiomics_npc.imaging.image_quality import measure_quality
    from radiomics_npc.imaging.mask_moving import move_mask
    from radiomics_npc.imaging.nyul import fit_landmarks, normalize_nyul
    from radiomics_npc.imaging.nyul_scaler import NyulScaler
    from radiomics_npc.imaging.reading import read_image, read_mask
    from radiomics_npc.imaging.registration import register
    from radiomics_npc.imaging.registration_quality import assess_registration, target_registration_error
    from radiomics_npc.imaging.resampling import resample_volume
    from radiomics_npc.imaging.writing import write_mask, write_seg, write_volume
    from radiomics_npc.nomogram.nomogram import Nomogram
    from radiomics_npc.report.html import write_report
    from radiomics_npc.segmentation.batch import predict_masks
    from radiomics_npc.segmentation.metrics import segmentation_metrics
    from radiomics_npc.segmentation.prediction import load_segmenter
    from radiomics_npc.segmentation.segmenter_training import train_segmenter
    from radiomics_npc.simulate.cohort import simulate_cohort
    from radiomics_npc.study import Study
    from radiomics_npc.survival.estimation.competing_risks import cumulative_incidence
    from radiomics_npc.survival.estimation.kaplan_meier import kaplan_meier
    from radiomics_npc.survival.estimation.log_rank import log_rank
    from radiomics_npc.survival.estimation.restricted_mean import restricted_mean
    from radiomics_npc.survival.metrics.brier import brier_at
    from radiomics_npc.survival.metrics.calibration import calibrate
    from radiomics_npc.survival.metrics.concordance import concordance_difference, harrell_c, uno_c
    from radiomics_npc.survival.metrics.decision_curve import decision_curve
    from radiomics_npc.survival.metrics.intervals import (
        bootstrap_difference,
        bootstrap_interval,
        jackknife_interval,
    )
    from radiomics_npc.survival.metrics.reclassification import reclassification
    from radiomics_npc.survival.metrics.roc import auc_at
    from radiomics_npc.survival.metrics.smooth_calibration import smooth_calibrate
    from radiomics_npc.survival.models.boosting import BoostedModel
    from radiomics_npc.survival.models.cox import CoxModel
    from radiomics_npc.survival.models.fine_gray import FineGrayModel
    from radiomics_npc.survival.models.forest import ForestModel
    from radiomics_npc.survival.models.model_file import load_model, save_model
    from radiomics_npc.survival.models.multiply_imputed import MultiplyImputedModel
    from radiomics_npc.survival.models.prediction import predict
    from radiomics_npc.survival.models.proportional_hazards import proportional_hazards_test
    from radiomics_npc.survival.models.sample_size import sample_size
    from radiomics_npc.survival.models.shap_values import shap_values
    from radiomics_npc.survival.models.standard import standard_model
    from radiomics_npc.survival.models.surrogate import SurrogateModel
    from radiomics_npc.survival.preprocessing.harmonization import Combat
    from radiomics_npc.survival.selection.signature import RadScore
    from radiomics_npc.survival.validation.appraisal import appraise
    from radiomics_npc.survival.validation.centers import center_scores
    from radiomics_npc.survival.validation.contour_uncertainty import contour_uncertainty
    from radiomics_npc.survival.validation.cross_validation import cross_validate
    from radiomics_npc.survival.validation.designs import LeaveCenterOut, TemporalSplit
    from radiomics_npc.survival.validation.external import validate_model
    from radiomics_npc.survival.validation.learning_curve import learning_curve
    from radiomics_npc.survival.validation.optimism import bootstrap_validate
    from radiomics_npc.survival.validation.permutation import permutation_test
    from radiomics_npc.survival.validation.recalibration import RecalibratedModel

_HOME = {
    "BoostedModel": "survival.models.boosting",
    "Combat": "survival.preprocessing.harmonization",
    "CompetingOutcome": "cohort.competing",
    "CoxModel": "survival.models.cox",
    "FineGrayModel": "survival.models.fine_gray",
    "ForestModel": "survival.models.forest",
    "LeaveCenterOut": "survival.validation.designs",
    "MultiplyImputedModel": "survival.models.multiply_imputed",
    "Nomogram": "nomogram.nomogram",
    "NyulScaler": "imaging.nyul_scaler",
    "Outcome": "cohort.outcome",
    "RadScore": "survival.selection.signature",
    "RecalibratedModel": "survival.validation.recalibration",
    "Study": "study",
    "SurrogateModel": "survival.models.surrogate",
    "TemporalSplit": "survival.validation.designs",
    "appraise": "survival.validation.appraisal",
    "assess_registration": "imaging.registration_quality",
    "auc_at": "survival.metrics.roc",
    "bland_altman": "dataset.bland_altman",
    "bootstrap_difference": "survival.metrics.intervals",
    "bootstrap_interval": "survival.metrics.intervals",
    "bootstrap_validate": "survival.validation.optimism",
    "brier_at": "survival.metrics.brier",
    "calibrate": "survival.metrics.calibration",
    "center_scores": "survival.validation.centers",
    "check_cohort": "imaging.checks",
    "compare_masks": "dataset.agreement",
    "compare_raters": "features.raters",
    "concordance_difference": "survival.metrics.concordance",
    "contour_uncertainty": "survival.validation.contour_uncertainty",
    "convert": "dataset.convert",
    "correct_bias": "imaging.bias_field",
    "cross_validate": "survival.validation.cross_validation",
    "cumulative_incidence": "survival.estimation.competing_risks",
    "decision_curve": "survival.metrics.decision_curve",
    "deidentify": "dataset.deidentify",
    "describe": "dataset.describe",
    "design_matrix": "features.merge",
    "download": "dataset.download",
    "evaluate_folders": "dataset.evaluate",
    "extract_features": "features.extraction",
    "extract_perturbed": "features.perturbed",
    "fit_landmarks": "imaging.nyul",
    "harrell_c": "survival.metrics.concordance",
    "index_dicom": "cohort.dicom_index",
    "intraclass_correlation": "features.stability",
    "jackknife_interval": "survival.metrics.intervals",
    "kaplan_meier": "survival.estimation.kaplan_meier",
    "learning_curve": "survival.validation.learning_curve",
    "load_model": "survival.models.model_file",
    "load_segmenter": "segmentation.prediction",
    "log_rank": "survival.estimation.log_rank",
    "measure_morphology": "dataset.morphology",
    "measure_quality": "imaging.image_quality",
    "move_mask": "imaging.mask_moving",
    "normalize_nyul": "imaging.nyul",
    "permutation_test": "survival.validation.permutation",
    "predict": "survival.models.prediction",
    "predict_masks": "segmentation.batch",
    "proportional_hazards_test": "survival.models.proportional_hazards",
    "read_cohort": "cohort.reading",
    "read_image": "imaging.reading",
    "read_mask": "imaging.reading",
    "read_metadata": "dataset.metadata",
    "reclassification": "survival.metrics.reclassification",
    "register": "imaging.registration",
    "resample_volume": "imaging.resampling",
    "restricted_mean": "survival.estimation.restricted_mean",
    "sample_size": "survival.models.sample_size",
    "save_model": "survival.models.model_file",
    "segmentation_metrics": "segmentation.metrics",
    "shap_values": "survival.models.shap_values",
    "simulate_cohort": "simulate.cohort",
    "smooth_calibrate": "survival.metrics.smooth_calibration",
    "stability_table": "features.stability",
    "stage_groups": "cohort.staging",
    "stage_table": "cohort.staging",
    "standard_model": "survival.models.standard",
    "target_registration_error": "imaging.registration_quality",
    "train_segmenter": "segmentation.segmenter_training",
    "uno_c": "survival.metrics.concordance",
    "validate_model": "survival.validation.external",
    "write_manifest": "cohort.manifest_writing",
    "write_mask": "imaging.writing",
    "write_report": "report.html",
    "write_seg": "imaging.writing",
    "write_volume": "imaging.writing",
}

_WITH_TORCH = ("load_segmenter", "train_segmenter")  # the others ask for it when they need it

__all__ = [
    "BoostedModel",
    "Combat",
    "CompetingOutcome",
    "CoxModel",
    "FineGrayModel",
    "ForestModel",
    "LeaveCenterOut",
    "MultiplyImputedModel",
    "Nomogram",
    "NyulScaler",
    "Outcome",
    "RadScore",
    "RecalibratedModel",
    "Study",
    "SurrogateModel",
    "TemporalSplit",
    "__version__",
    "appraise",
    "assess_registration",
    "auc_at",
    "bland_altman",
    "bootstrap_difference",
    "bootstrap_interval",
    "bootstrap_validate",
    "brier_at",
    "calibrate",
    "center_scores",
    "check_cohort",
    "compare_masks",
    "compare_raters",
    "concordance_difference",
    "contour_uncertainty",
    "convert",
    "correct_bias",
    "cross_validate",
    "cumulative_incidence",
    "decision_curve",
    "deidentify",
    "describe",
    "design_matrix",
    "download",
    "evaluate_folders",
    "extract_features",
    "extract_perturbed",
    "fit_landmarks",
    "harrell_c",
    "index_dicom",
    "intraclass_correlation",
    "jackknife_interval",
    "kaplan_meier",
    "learning_curve",
    "load_model",
    "load_segmenter",
    "log_rank",
    "measure_morphology",
    "measure_quality",
    "move_mask",
    "normalize_nyul",
    "permutation_test",
    "predict",
    "predict_masks",
    "proportional_hazards_test",
    "read_cohort",
    "read_image",
    "read_mask",
    "read_metadata",
    "reclassification",
    "register",
    "resample_volume",
    "restricted_mean",
    "sample_size",
    "save_model",
    "segmentation_metrics",
    "shap_values",
    "simulate_cohort",
    "smooth_calibrate",
    "stability_table",
    "stage_groups",
    "stage_table",
    "standard_model",
    "target_registration_error",
    "train_segmenter",
    "uno_c",
    "validate_model",
    "write_manifest",
    "write_mask",
    "write_report",
    "write_seg",
    "write_volume",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        if name in _WITH_TORCH:
            from radiomics_npc.optional import require_torch

            require_torch()
        return getattr(import_module(f"radiomics_npc.{_HOME[name]}"), name)
    raise AttributeError(f"module 'radiomics_npc' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
