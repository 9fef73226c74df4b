"""What report and methods say of intensities: bias correction, normalization, where landmarks come from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from radiomics_npc.report.references import Citations
from radiomics_npc.report.writing import listed, plural

__all__ = ["NORMALIZED", "intensity_content", "intensity_sentences", "intensity_summary"]

Content = Mapping[str, Any]
#: In a few words, for tables and checklists.
NORMALIZED = {
    "body": "z-scores over the body",
    "image": "z-scores over the image",
    "percentile": "percentiles 1 and 99 of the body as 0 and 1",
    "nyul": "histogram landmarks",
    "reference": "z-scores by a reference tissue",
    "none": "as stored",
}
_SENTENCES = {
    "body": "Intensities were z-scored over the body, without the air around it.",
    "image": "Intensities were z-scored over the whole image.",
    "percentile": "Intensities were scaled linearly, the 1st and 99th percentile of the body being 0 and 1.",
    "none": "Intensities were not normalized.",
}


def intensity_content(recipes: Mapping[str, Content]) -> dict[str, Any]:
    """What the words below need of the recipes of all sequences; plain JSON.

    Parameters
    ----------
    recipes : mapping
        As :func:`radiomics_npc.features.case_job.extraction_recipe` gives them, by sequence.

    Examples
    --------
    >>> intensity_content({"t1": {"normalize": "body"}})
    {'bias_correction': None, 'landmarks': None}
    """
    corrected = [recipe["bias_correction"] for recipe in recipes.values() if recipe.get("bias_correction")]
    learnt = [recipe["landmarks"] for recipe in recipes.values() if recipe.get("landmarks")]
    return {
        "bias_correction": corrected[0] if corrected else None,
        "landmarks": {
            "images": sorted({int(part["images"]) for part in learnt}),
            "ends": [learnt[0]["standard"][0], learnt[0]["standard"][-1]],
            "simulated": any(part["simulated"] for part in learnt),
        }
        if learnt
        else None,
    }


def intensity_summary(features: Content) -> str:
    """Bias correction and normalization in a few words.

    Examples
    --------
    >>> intensity_summary({"normalize": "percentile", "bias_correction": {"method": "N4"}})
    'corrected for bias (N4), then percentiles 1 and 99 of the body as 0 and 1'
    """
    how = str(features.get("normalize"))
    words = NORMALIZED.get(how, how)
    return f"corrected for bias (N4), then {words}" if features.get("bias_correction") else words


def intensity_sentences(features: Content, normalize: str, cite: Citations) -> list[str]:
    """What was done to intensities before features were measured, a sentence a step.

    Parameters
    ----------
    features : mapping
        With what :func:`intensity_content` gives.
    normalize : str
        The choice of the study.
    cite : Citations

    Examples
    --------
    >>> learnt = {"images": [40], "ends": [0, 100], "simulated": False}
    >>> for sentence in intensity_sentences({"landmarks": learnt}, "nyul", Citations()):
    ...     print(sentence)
    Intensities were standardized by histogram landmarks [1]: ends and deciles of the body were moved to ...
    """
    made = []
    correction = features.get("bias_correction")
    if correction:
        levels = len(correction["iterations"])
        made.append(
            f"Images were corrected for bias by N4 {cite('n4')} ({levels} levels of control points, found "
            f"in the body on all slices, with rows and columns about {correction['grid_mm']:g} mm apart)."
        )
    if normalize == "nyul":
        made.append(_landmark_sentence(features.get("landmarks") or {}, cite))
    elif normalize == "reference":
        made.append(
            "Intensities were expressed as distances from the median of a reference tissue outlined on each "
            f"image, in units of its spread (from the quartiles), as WhiteStripe {cite('stripe')} does. "
            "[Which tissue it was, and who outlined it, has to be added here.]"
        )
    else:
        made.append(_SENTENCES.get(normalize, ""))
    return made


def _landmark_sentence(landmarks: Content, cite: Citations) -> str:
    low, high = landmarks.get("ends") or (0, 100)
    counts = landmarks.get("images") or []
    images = f" {listed(str(n) for n in counts)} images a sequence" if counts else " images"
    if len(counts) == 1:
        images = f" {plural(counts[0], 'image')} a sequence"
    whom = "simulated patients" if landmarks.get("simulated") else "patients"
    return (
        f"Intensities were standardized by histogram landmarks {cite('nyul')}: ends and deciles of the body "
        f"were moved to places on a scale from {low:g} to {high:g}, which had been learnt before "
        f"from{images} of {whom}; nobody held out in validation was among them (compared by "
        "the content of the images)."
    )
