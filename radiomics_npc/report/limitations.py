"""What a reader should hold against a study, said in its own report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from radiomics_npc.nomogram.labels import sequence_label
from radiomics_npc.report.writing import part_of, plural

__all__ = ["limitations"]

_INTERNAL = (
    "Validation is internal: the same patients served for training and testing in turn. Whether the models "
    "hold in other hospitals is not known from this study."
)
_VALIDATED = {
    "leave_center_out": "Validation is internal-external: every center was new to the models that were "
    "tested there, but the final models were made from all of them, and other hospitals may differ more.",
    "temporal_split": "Validation is by time within the same hospitals: whether the models hold in others is "
    "not known from this study.",
}


def limitations(content: Mapping[str, Any]) -> list[str]:
    """What a reader should hold against the study, one sentence or two each.

    Parameters
    ----------
    content : mapping
        As :func:`radiomics_npc.report.html.write_report` takes it.

    Returns
    -------
    list of str
    """
    flow, design = part_of(content, "flow"), part_of(content, "models", "design")
    found = []
    if content.get("simulated"):
        found.append(
            "The patients are simulated. The numbers show that the method works on data whose truth is "
            "known; they say nothing about nasopharyngeal carcinoma."
        )
    if design:
        found.append(_VALIDATED.get(str(design.get("kind")), _INTERNAL))
        repeated = ", through the variance between repeats," if design.get("repeats", 1) > 1 else ""
        found.append(
            f"Confidence intervals describe the uncertainty about the patients and{repeated} "
            f"{'part of that' if repeated else 'not that'} about the fitted models; another cohort may "
            "change more."
        )
    events = int(flow.get("events") or 0)
    if 0 < events < 100:
        found.append(
            f"{plural(events, 'event')} are few: about 100 are wanted for judging a survival model, and "
            "small differences between models cannot be told from chance."
        )
    if any((part_of(content, "sample_size").get("warnings") or {}).values()):
        found.append("The cohort is smaller than what such models ask for; see the section on sample size.")
    found += _contours(content)
    if content.get("features"):
        found.append(_measured(content))
        if part_of(content, "settings", "features").get("preset", "iso1mm") == "iso1mm":
            found.append(
                "Resampling thick slices to 1 mm interpolates most of what lies between slices: texture "
                "through the slices is partly the interpolator's. The preset inplane2d avoids it."
            )
    if content.get("nomogram"):
        found.append(
            "The nomogram was fitted to all patients after validation; its own performance on new patients "
            "is what cross-validation estimated for the way it was made."
        )
    return found + _competing(content)


def _contours(content: Mapping[str, Any]) -> list[str]:
    """What stands behind masks that nobody drew."""
    part = part_of(content, "contours")
    if part_of(content, "registration"):
        source = sequence_label(part_of(content, "registration")["masks_from"])
        return [
            f"Some contours were not drawn on the images they are measured on but moved from {source}: what "
            "the sequences show differently, and errors of the registration, are in their features."
        ]
    if not part:
        return []
    text = (
        "Tumors were outlined by a model, and features and predictions are those of its outlines: a mask on "
        "the wrong structure gives numbers that look like any others. Every contour wants a review."
    )
    if part_of(content, "contours", "model").get("simulated"):
        text += (
            " The model was trained on simulated heads only; how well it outlines real tumors was not known "
            "when it was made."
        )
    else:
        text += (
            " Contours of patients whom the model was trained on, and all that is measured on them, look "
            "better than those of new patients would."
        )
    agreement = part.get("agreement")
    if agreement is None or not len(agreement):
        text += " Its outlines were not compared with drawn ones."
    return [text]


def _competing(content: Mapping[str, Any]) -> list[str]:
    """What probabilities mean where another event can come first."""
    name = str(part_of(content, "settings", "models").get("endpoint"))
    asked = part_of(content, "settings", "cohort", "outcome", "endpoints").get(name) or {}
    if not asked.get("competing"):
        return []
    return [
        f"Events that compete with {asked.get('name') or name} are censored when they happen: probabilities "
        "are those of patients whom no other event befalls, and a little too pessimistic for real ones. The "
        "cumulative incidence above counts them; a Fine-Gray model would predict it."
    ]


def _measured(content: Mapping[str, Any]) -> str:
    """What was done, and what was not, about the instability of features."""
    text = "Features depend on scanner, sequence parameters and contour."
    if part_of(content, "stability"):
        text += " Their stability was measured under simulated perturbations, not against a second contour"
    else:
        text += " Their stability against a second contour was not measured here"
    if part_of(content, "settings", "models", "harmonize"):
        return text + "; harmonization removes shifts and scales between centers, not other differences."
    return text + ", and no harmonization between scanners was done."
