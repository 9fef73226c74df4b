"""The methods section of a paper, written from what ran, and the honest limits of the study."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from radiomics_npc.nomogram.labels import sequence_label
from radiomics_npc.report.contour_sections import model_words
from radiomics_npc.report.modelling_methods import model_text, validation_text
from radiomics_npc.report.writing import Citations, in_text, listed, part_of, plural

__all__ = ["methods_text"]

_PRESETS = {
    "iso1mm": "images were resampled to cubes of 1 mm (cubic B-spline; masks by nearest neighbor) and "
    "filters "
    "worked in three dimensions",
    "inplane2d": "slices were kept as acquired, resampled to 0.5 mm within the slice, and texture was "
    "computed "
    "slice by slice",
    "native": "features were computed on the grid of the acquisition",
}
_NORMALIZE = {
    "body": "Intensities were z-scored over the body, without the air around it.",
    "image": "Intensities were z-scored over the whole image.",
    "none": "Intensities were not normalized.",
}


def _patients(content: Mapping[str, Any], cite: Citations) -> list[str]:
    flow, outcome = part_of(content, "flow"), part_of(content, "settings", "cohort", "outcome")
    if not flow:
        return []
    who = "simulated patients (they never lived)" if content.get("simulated") else "patients"
    text = f"Of {flow['read']} {who} read, {flow['analyzed']} were analyzed."
    excluded = flow.get("excluded")
    if excluded is not None and len(excluded):
        why = (f"{row.reason} ({row.patients})" for row in excluded.itertuples())
        text += f" Reasons for exclusion: {listed(why)}."
    name = outcome.get("name") or part_of(content, "outcome").get("name") or "progression-free survival"
    text += f" The endpoint was {name}"
    if outcome.get("start"):
        text += (
            f", counted from {outcome['start']} to the first of {listed(map(str, outcome['progression']))}, "
            f"and censored at {outcome['last_seen']}"
        )
    if outcome.get("censor_at_months"):
        text += f"; follow-up was censored at {outcome['censor_at_months']:g} months"
    rule = {
        "exclude": " Patients with a follow-up of 0 months were left out.",
        "move": f" A follow-up of 0 months was read as {outcome.get('time_zero_months', 0.5):g} months.",
    }
    text += "." + rule.get(outcome.get("time_zero", "keep"), "")
    if endpoints := part_of(content, "endpoints"):
        text += (
            f" Further endpoints were {listed(endpoints)}; their cumulative incidence is that of Aalen and "
            f"Johansen {cite('aalen')}, in which other causes compete."
        )
    return ["## Patients and endpoint", text]


def _contours(content: Mapping[str, Any], cite: Citations) -> list[str]:
    part = part_of(content, "contours")
    if not part:
        return []
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


def _features(content: Mapping[str, Any], cite: Citations) -> list[str]:
    features = part_of(content, "features")
    if not features:
        return []
    settings = part_of(content, "settings", "features")
    preset = features.get("preset") or settings.get("preset", "iso1mm")
    normalize = features.get("normalize") or settings.get("normalize", "body")
    sequences = features.get("sequences") or part_of(content, "settings", "cohort").get("sequences") or []
    where = f" on {listed(map(sequence_label, sequences))} images" if sequences else ""
    text = (
        f"{features['number']} features per patient were extracted from the tumor volume{where} with "
        f"PyRadiomics {cite('pyradiomics')}, whose definitions follow those of the Image Biomarker "
        f"Standardization Initiative with documented exceptions {cite('ibsi')}: "
        f"{_PRESETS.get(preset, 'own settings were used')}. {_NORMALIZE.get(normalize, '')}"
    )
    if settings.get("settings"):
        text += " Settings files of the study took the place of the preset for some sequences."
    if features.get("morphology", settings.get("morphology")):
        text += (
            " Volume, surface area, maximum diameter and surface regularity were measured on the "
            "marching-cubes mesh of the mask."
        )
    if part_of(content, "stability"):
        patients = part_of(content, "stability").get("patients")
        who = f"{patients} patients" if patients else "a part of the patients"
        text += (
            f" Features of {who} were measured again under perturbed images and masks (noise, shifts, "
            f"rotation, size and randomized contours {cite('perturb')}), and their stability was measured by "
            f"the intraclass correlation ICC(1,1) {cite('icc')}."
        )
    return ["## Image features", text]


def _nomogram(content: Mapping[str, Any], cite: Citations) -> list[str]:
    nomogram = part_of(content, "nomogram")
    if not nomogram:
        return []
    months = listed(f"{month:g}" for month in nomogram["horizons_months"])
    model = in_text(nomogram["model"])
    text = (
        f"The {model} model, fitted to all analyzed patients, is drawn as a nomogram for {months} months "
        "on the "
        f"points scale of the R package rms {cite('rms')}. It gives no probability for values outside the "
        "range "
        "of the training patients."
    )
    return ["## Nomogram", text]


def _software(content: Mapping[str, Any]) -> list[str]:
    versions = {name: v for name, v in part_of(content, "versions").items() if name not in ("platform",)}
    if not versions:
        return []
    text = f"The analysis ran with {listed(f'{name} {version}' for name, version in versions.items())}."
    seed = part_of(content, "settings").get("seed")
    if seed is not None:
        text += f" The random seed was {seed}."
    return ["## Software", text]


def methods_text(content: Mapping[str, Any]) -> str:
    """Write the methods section from what ran.

    Parameters
    ----------
    content : mapping
        As :func:`radiomics_npc.report.html.write_report` takes it. What is absent
        is not written about.

    Returns
    -------
    str
        Markdown, with numbered references.

    Examples
    --------
    >>> print(methods_text({"flow": {"read": 12, "analyzed": 10}}))
    # Methods
    <BLANKLINE>
    ## Patients and endpoint
    <BLANKLINE>
    Of 12 patients read, 10 were analyzed. The endpoint was progression-free survival.
    <BLANKLINE>
    """
    cite = Citations()
    parts = ["# Methods"]
    if content.get("simulated"):
        parts.append(
            "All patients of this study are simulated. The text shows what a study of real patients would "
            "say."
        )
    parts += _patients(content, cite) + _contours(content, cite)
    parts += _features(content, cite) + model_text(content, cite) + validation_text(content, cite)
    parts += _nomogram(content, cite) + _software(content)
    if cite.keys:
        parts += ["## References", "\n".join(cite.lines())]
    return "\n\n".join(parts) + "\n"
