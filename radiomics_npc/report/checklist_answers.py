"""How an item of a checklist is answered, and facts of a run that several items ask for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from radiomics_npc.report.modelling_methods import fitted_models
from radiomics_npc.report.sections import section_titles
from radiomics_npc.report.writing import part_of

__all__ = [
    "FILLED",
    "NOT_APPLICABLE",
    "OPEN",
    "Answer",
    "Content",
    "centers",
    "has_features",
    "has_rad_score",
    "in_methods",
    "in_report",
    "is_clinical_only",
    "known",
    "no_images",
    "not_met",
    "not_needed",
    "partly",
    "radiomic_models",
]

Content = Mapping[str, Any]
FILLED, OPEN, NOT_APPLICABLE = "filled", "to be filled by you", "not applicable"


@dataclass(frozen=True)
class Answer:
    """What a run says to an item.

    Parameters
    ----------
    status : {"filled", "to be filled by you", "not applicable"}
    text : str
        What is known; for an item that does not apply, why.
    where : tuple of str
        Where it stands.
    met : bool or None
        For a score: whether the item is met; None where only the authors can judge.
    """

    status: str = OPEN
    text: str = ""
    where: tuple[str, ...] = ()
    met: bool | None = None


def known(text: str, *where: str) -> Answer:
    """The run answers the item, and meets it.

    Examples
    --------
    >>> known("5 folds", in_methods("Validation")).where
    ('methods: Validation',)
    """
    return Answer(FILLED, text, where, True)


def not_met(text: str, *where: str) -> Answer:
    """The run answers the item: what it asks for was not done."""
    return Answer(FILLED, text, where, False)


def partly(text: str, *where: str) -> Answer:
    """The run knows something, but not enough."""
    return Answer(OPEN, text, where)


def not_needed(reason: str) -> Answer:
    """The item does not apply."""
    return Answer(NOT_APPLICABLE, reason)


def no_images(content: Content) -> Answer | None:
    """The answer to items about images in a study without; None in all others."""
    return not_needed("The study has no images.") if is_clinical_only(content) else None


def in_report(*keys: str) -> str:
    """Place of sections of the report.

    Examples
    --------
    >>> in_report("flow", "table_one")
    'report: Patients, Baseline'
    """
    titles = section_titles()
    return f"report: {', '.join(titles[key] for key in keys)}"


def in_methods(*headings: str) -> str:
    """Place of parts of the methods section."""
    return f"methods: {', '.join(headings)}"


def has_features(content: Content) -> bool:
    """Whether features were extracted."""
    return bool(part_of(content, "features").get("number"))


def is_clinical_only(content: Content) -> bool:
    """Whether the study says that it has no images.

    Examples
    --------
    >>> is_clinical_only({}), is_clinical_only({"settings": {"features": None}})
    (False, True)
    """
    settings = part_of(content, "settings")
    return "features" in settings and settings["features"] is None


def radiomic_models(content: Content) -> list[str]:
    """Validated models that use features."""
    return [name for name in fitted_models(content) if not name.startswith("clinical")]


def has_rad_score(content: Content) -> bool:
    """Whether a validated model joins features to a Rad-score; trees take them one by one."""
    return any(name.endswith("_cox") for name in radiomic_models(content))


def centers(content: Content) -> list[str]:
    """Centers that the baseline table or the validation names; empty where none is."""
    found = part_of(content, "centers").get("table")
    if found is not None and len(found):
        return [str(name) for name in dict.fromkeys(found["center"])]
    table = content.get("table_one")
    if table is None or "variable" not in table:
        return []
    levels = table.loc[(table["variable"] == "center") & (table["level"].astype(str) != ""), "level"]
    return [str(level) for level in levels]
