"""What the methods section says of contours and of the features measured within them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from radiomics_npc.nomogram.labels import sequence_label, sequence_words
from radiomics_npc.report.contour_sections import model_words
from radiomics_npc.report.intensity_methods import intensity_sentences
from radiomics_npc.report.references import Citations
from radiomics_npc.report.registration_sections import registration_text
from radiomics_npc.report.writing import listed, part_of, plural

__all__ = ["contour_text", "extraction_sentences", "feature_text", "recipes"]

Content = Mapping[str, Any]
_PRESETS = {
    "iso1mm": "Images were resampled to cubes of 1 mm (cubic B-spline; masks by nearest neighbor).",
    "inplane2d": "Slices were kept as acquired and resampled to 0.5 mm within the slice.",
    "native": "Features were computed on the grid of the acquisition.",
}
_INTERPOLATORS = {
    "sitkBSpline": "cubic B-spline", "sitkLinear": "linear", "sitkNearestNeighbor": "nearest neighbor",
    "sitkGaussian": "Gaussian",
}  # fmt: skip
_CLASSES = {
    "shape": "shape", "shape2D": "shape in two dimensions", "firstorder": "first-order", "glcm": "GLCM",
    "glrlm": "GLRLM", "glszm": "GLSZM", "gldm": "GLDM", "ngtdm": "NGTDM",
}  # fmt: skip
_IMAGES = {
    "Original": "the original images", "Wavelet": "wavelet bands", "Square": "squares",
    "SquareRoot": "square roots", "Logarithm": "logarithms", "Exponential": "exponentials",
    "Gradient": "gradients",
}  # fmt: skip


def contour_text(content: Content, cite: Citations) -> list[str]:
    """Heading and paragraph on predicted or moved contours; nothing where none was."""
    part = part_of(content, "contours")
    if not part:
        moved = registration_text(content)
        return ["## Contours", moved] if moved else []
    sequences = listed(map(sequence_label, dict.fromkeys(part["table"]["sequence"])))
    who = "of all patients" if part["when"] == "always" else "where no mask was drawn"
    flips = ", averaged over images flipped left to right" if part.get("flips") else ""
    flags = part["table"]["flags"].astype(str)
    predicted, edited = int((flags != "edited").sum()), int((flags == "edited").sum())
    text = (
        f"The primary tumor was outlined on {sequences} images {who} by {model_words(part)}{flips}. "
        "Masks were flagged by their volume and shape, the confidence of the model, and disagreement between "
        f"networks or sequences: {int((flags != '').sum()) - edited} of {predicted}. "
        "[Who reviewed the contours, and how many were corrected, has to be added here.]"
    )
    if edited:
        text += f" {plural(edited, 'further mask')} had been changed or drawn by hand."
    agreement, effects = part.get("agreement"), part_of(content, "contour_effects")
    if agreement is not None and len(agreement):
        text += (
            f" They were compared with drawn masks by the Dice coefficient {cite('dice')}, the 95th "
            f"percentile of the surface distance and the normalized surface distance {cite('nsd')}."
        )
    if effects.get("c_index") is not None:
        text += " The models were cross-validated with either contours in the same folds."
    if effects.get("risk") is not None:
        text += (
            " Predicted masks were varied along their uncertainty, and features and risks (by the model "
            "fitted to all patients) computed again for each variation."
        )
    return ["## Contours", text]


def recipes(content: Content) -> dict[str, dict[str, Any]]:
    """PyRadiomics settings by sequence, as far as the content has them whole.

    Examples
    --------
    >>> recipes({"features": {"settings": {"t1": {"imageType": {"Original": {}}, "setting": {}}}}})
    {'t1': {'imageType': {'Original': {}}, 'setting': {}}}
    """
    found = part_of(content, "features").get("settings")
    if not isinstance(found, Mapping):
        return {}
    return {
        str(name): dict(recipe)
        for name, recipe in found.items()
        if isinstance(recipe, Mapping) and "imageType" in recipe
    }


def extraction_sentences(recipe: Mapping[str, Any]) -> dict[str, str]:
    """What PyRadiomics settings say, in words: grid, discretization, image types and feature classes.

    Parameters
    ----------
    recipe : mapping
        ``setting``, ``imageType``, ``featureClass``.

    Returns
    -------
    dict of str to str
        A sentence each under grid, gray_levels, images, classes.

    Examples
    --------
    >>> recipe = {"setting": {"resampledPixelSpacing": [1, 1, 1], "binCount": 32},
    ...           "imageType": {"Original": {}, "LoG": {"sigma": [1.0, 2.0]}}, "featureClass": {"glcm": None}}
    >>> for sentence in extraction_sentences(recipe).values():
    ...     print(sentence)
    Images were resampled to cubes of 1 mm (cubic B-spline; masks by nearest neighbor).
    Gray levels were discretized into 32 bins between least and largest value in the tumor.
    Features were computed from the original images and Laplacians of Gaussian (sigma 1 and 2 mm), in ...
    Feature classes were GLCM.
    """
    setting = recipe.get("setting") or {}
    flat = bool(setting.get("force2D"))
    how = (
        "texture and wavelets slice by slice, all else in three dimensions" if flat else "in three dimensions"
    )
    images = listed(_image_words(str(name), value) for name, value in (recipe["imageType"] or {}).items())
    classes = recipe.get("featureClass") or dict.fromkeys(_CLASSES)
    return {
        "grid": _grid(setting),
        "gray_levels": _gray_levels(setting),
        "images": f"Features were computed from {images}, {how}.",
        "classes": f"Feature classes were {listed(_CLASSES.get(str(name), str(name)) for name in classes)}.",
    }


def _grid(setting: Mapping[str, Any]) -> str:
    spacing = setting.get("resampledPixelSpacing")
    if not spacing:
        return _PRESETS["native"]
    how = _INTERPOLATORS.get(
        str(setting.get("interpolator", "sitkBSpline")), str(setting.get("interpolator"))
    )
    masks = f"({how}; masks by nearest neighbor)"
    x, y, z = (float(value) for value in spacing)
    if x == y == z:
        return f"Images were resampled to cubes of {x:g} mm {masks}."
    if z == 0:
        return f"Slices were kept as acquired and resampled to {x:g} x {y:g} mm within the slice {masks}."
    return f"Images were resampled to {x:g} x {y:g} x {z:g} mm {masks}."


def _gray_levels(setting: Mapping[str, Any]) -> str:
    if setting.get("binCount"):
        count = setting["binCount"]
        return f"Gray levels were discretized into {count} bins between least and largest value in the tumor."
    return f"Gray levels were discretized into bins of a width of {setting.get('binWidth', 25):g}."


def _image_words(name: str, options: Any) -> str:
    if name == "LoG":
        sigmas = listed(f"{float(sigma):g}" for sigma in (options or {}).get("sigma") or [])
        return f"Laplacians of Gaussian (sigma {sigmas} mm)"
    return _IMAGES.get(name, name)


def feature_text(content: Content, cite: Citations) -> list[str]:
    """Heading and paragraph on the features; nothing for a study without images."""
    features = part_of(content, "features")
    if not features:
        return []
    settings = part_of(content, "settings", "features")
    sequences = features.get("sequences") or part_of(content, "settings", "cohort").get("sequences") or []
    images, regions = sequence_words(sequences)
    where = f" on {listed(images)} images" if images else ""
    volume = f"the volumes of {listed(regions)}" if regions else _merged(content)
    version = part_of(content, "versions").get("pyradiomics-bhklab")
    build = f" (build pyradiomics-bhklab {version})" if version else ""
    parts = [
        f"{features['number']} features per patient were extracted from {volume}{where} with "
        f"PyRadiomics{build} {cite('pyradiomics')}, whose definitions follow those of the Image Biomarker "
        f"Standardization Initiative with documented exceptions {cite('ibsi')}.",
        *intensity_sentences(
            features, str(features.get("normalize") or settings.get("normalize", "body")), cite
        ),
        *_extraction(content, features, settings),
    ]
    if features.get("morphology", settings.get("morphology")):
        parts.append(
            "Among them are volume, surface area, maximum diameter and surface regularity, measured on the "
            "marching-cubes mesh of the mask by radiomics_npc."
        )
    parts += _absent(features)
    return ["## Image features", " ".join([*filter(None, parts), *_stability(content, cite)])]


def _merged(content: Content) -> str:
    """What features were measured in, where there is one region."""
    regions = part_of(content, "settings", "cohort").get("regions") or {}
    parts = [str(part) for part in next(iter(regions.values()), [])]
    named = len(parts) > 1 and not any(part.isdigit() for part in parts)
    return f"the union of {listed(parts)}" if named else "the tumor volume"


def _absent(features: Content) -> list[str]:
    """Who has not every region, and what their models take instead."""
    table = features.get("absent")
    if table is None or table.empty:
        return []
    patients = table.groupby("sequence")["patient_id"].nunique()
    words = "; ".join(f"{sequence_label(str(name))}, {plural(n, 'patient')}" for name, n in patients.items())
    return [
        f"Where a patient does not have a region, its features are missing ({words}). They were filled in as "
        "missing values are, so that the models do not know that the region is absent."
    ]


def _extraction(content: Content, features: Content, settings: Content) -> list[str]:
    """Grid, discretization, images and classes, once for sequences with the same settings."""
    by_words: dict[str, list[str]] = {}
    for name, recipe in recipes(content).items():
        by_words.setdefault(" ".join(extraction_sentences(recipe).values()), []).append(name)
    each = {words: sequence_words(names)[0] for words, names in by_words.items()}
    if not by_words:
        preset = str(features.get("preset") or settings.get("preset", "iso1mm"))
        return [_PRESETS.get(preset, "")]
    rest = "All further parameters of the extraction were the defaults of PyRadiomics or are in the report."
    if len(by_words) == 1:
        return [*by_words, rest]
    return [
        *(f"{listed(names)}: {words}" for words, names in each.items()), rest
    ]  # fmt: skip


def _stability(content: Content, cite: Citations) -> list[str]:
    part, moved = part_of(content, "stability"), content.get("contour_uncertainty")
    if not part:
        return []
    patients = part.get("patients")
    who = f"{patients} patients" if patients else "a part of the patients"
    made = [
        f"Features of {who} were measured again under perturbed images and masks (noise, shifts, "
        f"rotation, size and randomized contours {cite('perturb')}), and their stability was measured by "
        f"the intraclass correlation ICC(1,1) {cite('icc')}."
    ]
    if moved is not None and len(moved):
        made.append("Predictions were made again from the features under every perturbation.")
    return made
