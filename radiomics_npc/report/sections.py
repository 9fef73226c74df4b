"""Sections of the report: which there are, in what order, and what each is made from."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from radiomics_npc.report import (
    cohort_sections,
    contour_sections,
    model_sections,
    performance_sections,
    protocols,
    registration_sections,
    surrogates,
    validation_sections,
)
from radiomics_npc.report.drawing import draw_figures
from radiomics_npc.report.pieces import bullets, folded, markdown_html, pairs, paragraph, yaml_text

__all__ = ["part_titles", "section_titles", "sections_of"]

Content = Mapping[str, Any]


def _limitations(content: Content, drawn: Any) -> str:
    return bullets(content["limitations"])


def _methods(content: Content, drawn: Any) -> str:
    return markdown_html(re.sub(r"^# .*\n", "", content["methods"]))


def _settings(content: Content, drawn: Any) -> str:
    words = "Every setting of the study, also those left at their defaults: study.yaml in the run folder."
    return paragraph(words) + folded("Show the settings", yaml_text(content["settings"]))


def _versions(content: Content, drawn: Any) -> str:
    return pairs(content["versions"])


# By key of the content: title, and what makes the section of it.
_PATIENTS: dict[str, tuple[str, Callable[[Content, Any], str]]] = {
    "flow": ("Patients", cohort_sections.flow),
    "complete_cases": ("Complete cases", cohort_sections.complete_cases),
    "table_one": ("Baseline", cohort_sections.baseline),
    "findings": ("Check of the data", cohort_sections.findings),
    "protocols": ("Scanners and protocols", protocols.section),
    "contours": ("Contours", contour_sections.contours),
    "registration": ("Moved masks", registration_sections.registration),
    "montage": ("Images and outlines", cohort_sections.montage),
    "features": ("Features", cohort_sections.features),
    "stability": ("Stability of features", cohort_sections.stability),
    "sample_size": ("Sample size", model_sections.sample_size),
}
_RESULTS: dict[str, tuple[str, Callable[[Content, Any], str]]] = {
    "models": ("Discrimination", performance_sections.discrimination),
    "accuracy": ("Accuracy over time", performance_sections.accuracy),
    "kaplan_meier": ("Risk groups", performance_sections.risk_groups),
    "calibration": ("Calibration", performance_sections.calibration),
    "decision_curves": ("Decision curves", performance_sections.decision_curves),
    "reclassification": ("Reclassification", performance_sections.reclassification),
    "optimism": ("Optimism", validation_sections.optimism),
    "permutation_test": ("Permutation test", validation_sections.permutation_test),
    "learning_curve": ("Learning curve", validation_sections.learning_curve),
}
_MODELS: dict[str, tuple[str, Callable[[Content, Any], str]]] = {
    "hazard_ratios": ("Hazard ratios", model_sections.hazard_ratios),
    "proportional_hazards": ("Proportional hazards", model_sections.proportional_hazards),
    "rad_score": ("Rad-score", model_sections.rad_score),
    "selection": ("Selected features", model_sections.selection),
    "shap": ("SHAP", model_sections.shap),
    "surrogates": ("Surrogates of the boosted models", surrogates.section),
    "nomogram": ("Nomogram", model_sections.nomogram),
}
_SENSITIVITY: dict[str, tuple[str, Callable[[Content, Any], str]]] = {
    "subgroups": ("Subgroups", validation_sections.subgroups),
    "centers": ("Centers", validation_sections.centers),
    "contour_uncertainty": ("Predictions under other contours", validation_sections.contours),
    "contour_effects": ("What the contours change", contour_sections.contour_effects),
    "endpoints": ("Further endpoints", cohort_sections.endpoints),
}
_REST: dict[str, tuple[str, Callable[[Content, Any], str]]] = {
    "limitations": ("Limitations", _limitations),
    "methods": ("Methods", _methods),
    "settings": ("Settings", _settings),
    "versions": ("Versions", _versions),
}
_PARTS = {
    "Patients and data": _PATIENTS, "Performance": _RESULTS, "The models": _MODELS,
    "Sensitivity": _SENSITIVITY, "About": _REST,
}  # fmt: skip
_EVERY = {key: section for part in _PARTS.values() for key, section in part.items()}
_FOUND_IN_PATIENTS = {
    *_RESULTS, *_MODELS, *_SENSITIVITY, "table_one", "stability", "sample_size", "complete_cases", "contours",
    "protocols",
    "registration",
}  # fmt: skip


def section_titles() -> dict[str, str]:
    """Title of every section that there can be, by its key in the content.

    Examples
    --------
    >>> section_titles()["table_one"]
    'Baseline'
    """
    return {key: title for key, (title, _) in _EVERY.items()}


def part_titles() -> dict[str, str]:
    """The part of the report that a section stands in, by its key in the content.

    Examples
    --------
    >>> part_titles()["calibration"]
    'Performance'
    """
    return {key: title for title, part in _PARTS.items() for key in part}


def sections_of(content: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Every section that has content: (identifier, title, HTML).

    Parameters
    ----------
    content : mapping
        As :func:`radiomics_npc.report.html.write_report` takes it.

    Returns
    -------
    list of tuple of str
        A result of simulated patients begins with these words.

    Examples
    --------
    >>> [title for _, title, _ in sections_of({"flow": {"read": 3, "analyzed": 3}})]
    ['Patients']
    """
    drawn = draw_figures(content)
    said = '<p class="said">Simulated patients</p>' if content.get("simulated") else ""
    made = []
    for key, (title, make) in _EVERY.items():
        part = content.get(key)
        if part is not None and not (isinstance(part, Mapping) and not part):
            body = make(content, drawn)
            made.append((key, title, said + body if key in _FOUND_IN_PATIENTS else body))
    return made
