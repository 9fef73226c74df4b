"""Rules that answer checklist items on contours, images and features."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from radiomics_npc.nomogram.labels import sequence_label
from radiomics_npc.report.checklist_answers import (
    Answer,
    Content,
    has_features,
    has_rad_score,
    in_methods,
    in_report,
    is_clinical_only,
    known,
    no_images,
    not_met,
    partly,
    radiomic_models,
)
from radiomics_npc.report.contour_sections import model_words
from radiomics_npc.report.feature_methods import extraction_sentences, recipes
from radiomics_npc.report.intensity_methods import intensity_summary
from radiomics_npc.report.writing import part_of

__all__ = ["CONDITIONS", "FEATURE_RULES"]

Found = Answer | None
_IMAGES = in_methods("Image features")


def segmentation(content: Content) -> Found:
    """Which model drew the contours; where people did, the authors know how."""
    part, moved = part_of(content, "contours"), part_of(content, "registration")
    if moved:
        text = f"Some were moved from {sequence_label(moved['masks_from'])} by registration."
        return partly(text, in_methods("Contours"), in_report("registration"))
    if not part:
        return no_images(content)
    text = f"Outlined by {model_words(part)}."
    if part["when"] == "missing" or _edited(content):
        return partly(f"{text} Others were drawn or changed by hand.", in_methods("Contours"))
    return known(text, in_methods("Contours"), in_report("contours"))


def _edited(content: Content) -> bool:
    part = part_of(content, "contours")
    return bool(part) and bool((part["table"]["flags"].astype(str) == "edited").any())


def operators(content: Content) -> Found:
    """Nobody, where a model drew; who reviewed is the authors'."""
    if not content.get("contours"):
        return no_images(content)
    return partly("A model predicted contours, with flags for those to be looked at.", in_report("contours"))


def segmentation_compared(content: Content) -> Found:
    """Agreement of predicted contours with drawn ones."""
    part = part_of(content, "contours")
    if not part:
        return no_images(content)
    agreement = part.get("agreement")
    if agreement is None or not len(agreement):
        return not_met("Predicted contours were not compared with drawn ones.", in_report("contours"))
    return known("Dice, HD95 and NSD against drawn contours.", in_report("contours"))


def single_reader(content: Content) -> Found:
    """One tool for everybody."""
    part = part_of(content, "contours")
    if not part:
        return no_images(content)
    if part["when"] == "missing" or _edited(content):
        return partly("Some masks are predicted, others drawn or changed by hand.", in_report("contours"))
    return known("One model made the masks of all patients.", in_report("contours"))


def _words(content: Content) -> dict[str, str]:
    """Sentences on the extraction, one of each kind, over all sequences."""
    made: dict[str, dict[str, None]] = {}
    for recipe in recipes(content).values():
        for kind, sentence in extraction_sentences(recipe).items():
            made.setdefault(kind, {})[sentence] = None
    return {kind: " ".join(sentences) for kind, sentences in made.items()}


def _told(content: Content, kind: str) -> Found:
    words = _words(content)
    return known(words[kind], _IMAGES, in_report("features")) if words else no_images(content)


def image_preparation(content: Content) -> Found:
    """Normalization of intensities."""
    part = part_of(content, "features")
    if not has_features(content) or part.get("normalize") is None:
        return no_images(content)
    return known(f"Intensities: {intensity_summary(part)}.", _IMAGES, in_report("features"))


def resampling(content: Content) -> Found:
    """The grid of the features."""
    return _told(content, "grid")


def discretization(content: Content) -> Found:
    """Bins of gray levels."""
    return _told(content, "gray_levels")


def image_types(content: Content) -> Found:
    """Original and filtered images."""
    return _told(content, "images")


def feature_classes(content: Content) -> Found:
    """Classes of PyRadiomics."""
    return _told(content, "classes")


def extraction(content: Content) -> Found:
    """PyRadiomics and its version."""
    if not has_features(content):
        return no_images(content)
    version = part_of(content, "versions").get("pyradiomics-bhklab")
    name = f"PyRadiomics (pyradiomics-bhklab {version})" if version else "PyRadiomics"
    text = f"{name}; definitions of the IBSI with documented exceptions."
    return known(text, _IMAGES, in_methods("Software")) if version else partly(text, _IMAGES)


def feature_number(content: Content) -> Found:
    """Features per patient."""
    if not has_features(content):
        return no_images(content)
    return known(f"{content['features']['number']} per patient.", _IMAGES, in_report("features"))


def extraction_parameters(content: Content) -> Found:
    """All settings are listed; what is not listed is the default."""
    if not recipes(content):
        return no_images(content)
    text = "All settings are listed; parameters that are not named there have PyRadiomics' defaults."
    return known(text, in_report("features"), _IMAGES)


def preparation_fits(content: Content) -> Found:
    """Slices left as they are need no judgement; resampling through slices does."""
    words = _words(content)
    normalized = part_of(content, "features").get("normalize") not in (None, "none")
    if not words or not has_features(content):
        return no_images(content)
    flat = all((recipe.get("setting") or {}).get("force2D") for recipe in recipes(content).values())
    text = f"{words['grid']} {words['gray_levels']}"
    if flat and normalized:
        return known(f"{text} Nothing is interpolated between slices.", _IMAGES)
    return partly(text, _IMAGES)


def segmentation_reliability(content: Content) -> Found:
    """Stability under perturbed contours, or agreement with drawn ones."""
    agreement = part_of(content, "contours").get("agreement")
    if content.get("stability"):
        return known(
            "Features measured again under perturbed contours; ICC(1,1).", in_report("stability"), _IMAGES
        )
    if agreement is not None and len(agreement):
        return known("Predicted contours compared with drawn ones.", in_report("contours"))
    return no_images(content)


def robust_features(content: Content) -> Found:
    """Unstable features left out, or not."""
    if not radiomic_models(content):
        return no_images(content)
    minimum = part_of(content, "stability").get("minimum")
    if minimum is None:
        return not_met("The run leaves out no feature for lack of stability (features.stability).")
    text = f"Features with an ICC below {minimum:g} in training were left out of the models."
    return known(text, in_report("stability"), in_methods("Models"))


def feature_scaling(content: Content) -> Found:
    """Standardization within the training patients; trees need none."""
    if not radiomic_models(content):
        return no_images(content)
    if not has_rad_score(content):
        return known("Trees need no scale.", in_methods("Models"))
    text = "Features were standardized within the training patients for the Rad-score; trees need no scale."
    return known(text, in_methods("Models"))


def feature_selection(content: Content) -> Found:
    """The screens and the elastic net."""
    if not radiomic_models(content):
        return no_images(content)
    net = "; elastic net" if has_rad_score(content) else ""
    text = f"Near-constant, correlated and weakly associated features left out{net}. In training only."
    keys = [key for key in ("rad_score", "selection") if content.get(key) is not None]
    return known(text, in_methods("Models"), *([in_report(*keys)] if keys else []))


def feature_statistics(content: Content) -> Found:
    """Stability, frequencies of selection, weights."""
    keys = [key for key in ("stability", "rad_score", "selection") if content.get(key) is not None]
    if not keys:
        return no_images(content)
    return known("Stability, weights and how often features were chosen, as far as asked for.",
                 in_report(*keys))  # fmt: skip


def dimension(content: Content) -> Found:
    """Candidate parameters against events: met where no criterion is missed."""
    part = part_of(content, "sample_size")
    table = part.get("table")
    if not radiomic_models(content) or not isinstance(table, pd.DataFrame) or table.empty:
        return no_images(content)
    rows = table[~table["model"].astype(str).str.startswith("clinical")]
    if rows.empty:
        return None
    least = float(rows["events_per_parameter"].min())
    text = f"{least:.2g} events per candidate parameter before selection."
    missed = any((part.get("warnings") or {}).get(str(name)) for name in rows["model"])
    return partly(text, in_report("sample_size")) if missed else known(text, in_report("sample_size"))


# Conditions of METRICS: met, not met, or None where the run does not know.


def _has_features(content: Content) -> bool | None:
    return False if is_clinical_only(content) else True if has_features(content) else None


def _automated_segmentation(content: Content) -> bool | None:
    part = part_of(content, "contours")
    if not part or part["when"] == "missing" or _edited(content):
        return False if is_clinical_only(content) else None
    return True


def _end_to_end(content: Content) -> bool | None:
    # Networks of this software draw contours; none predicts the outcome from images.
    return False if content.get("settings") else None


CONDITIONS: dict[str, Callable[[Content], bool | None]] = {
    "has_segmentation": _has_features, "automated_segmentation": _automated_segmentation,
    "has_features": _has_features, "end_to_end": _end_to_end,
}  # fmt: skip
_ALL: tuple[Callable[[Content], Found], ...] = (
    segmentation, operators, segmentation_compared, single_reader, image_preparation, resampling,
    discretization, image_types, feature_classes, extraction, feature_number, extraction_parameters,
    preparation_fits, segmentation_reliability, robust_features, feature_scaling, feature_selection,
    feature_statistics, dimension,
)  # fmt: skip
#: By name, as checklists name them.
FEATURE_RULES = {rule.__name__: rule for rule in _ALL}
