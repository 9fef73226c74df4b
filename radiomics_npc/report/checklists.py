"""Reporting checklists filled from a run: TRIPOD+AI, CLEAR and the METRICS score.

Items stand in data files (``checklists/*.yaml``) with the published numbers and weights, in
words of our own. Each names a rule that looks at the content of the report; what a run
cannot know is left to the authors, never guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

import pandas as pd
import yaml

from radiomics_npc.report.checklist_answers import FILLED, NOT_APPLICABLE, OPEN, Answer, is_clinical_only
from radiomics_npc.report.cohort_rules import COHORT_RULES
from radiomics_npc.report.feature_rules import CONDITIONS, FEATURE_RULES
from radiomics_npc.report.model_rules import MODEL_RULES
from radiomics_npc.report.validation_rules import VALIDATION_RULES

__all__ = ["CHECKLISTS", "RULES", "Checklist", "Score", "fill_checklist", "fill_checklists"]

CHECKLISTS = ("tripod_ai", "clear", "metrics")
RULES = COHORT_RULES | FEATURE_RULES | MODEL_RULES | VALIDATION_RULES
# Kocak et al. 2024: very low, low, moderate, good and excellent quality, in steps of 20%.
_QUALITY = ("very low", "low", "moderate", "good", "excellent")


@dataclass(frozen=True)
class Score:
    """A METRICS score, as far as it is known.

    Parameters
    ----------
    sure : float
        Percentage that the run alone reaches: every open item counts as not met.
    at_most : float
        Percentage if the authors answer every open item with yes.

    Examples
    --------
    >>> print(Score(42.0, 81.5))
    42.0% for sure (moderate), at most 81.5% (excellent)
    """

    sure: float
    at_most: float

    def __str__(self) -> str:
        return (
            f"{self.sure:.1f}% for sure ({_quality(self.sure)}), "
            f"at most {self.at_most:.1f}% ({_quality(self.at_most)})"
        )


def _quality(percent: float) -> str:
    return _QUALITY[min(int(percent // 20), 4)]


@dataclass(frozen=True, eq=False)
class Checklist:
    """A filled checklist.

    Parameters
    ----------
    key, name, about, source : str
    table : DataFrame
        item, section, asked, status, answer, left (what the authors have to add), where; for METRICS also
        weight and met (yes, no, not applicable, open).
    score : Score or None
        Of METRICS, in a study with images.
    note : str
    """

    key: str
    name: str
    about: str
    source: str
    table: pd.DataFrame
    score: Score | None = None
    note: str = ""

    @property
    def counts(self) -> dict[str, int]:
        """Items by status."""
        found = self.table["status"].value_counts()
        return {status: int(found.get(status, 0)) for status in (FILLED, OPEN, NOT_APPLICABLE)}

    def to_frame(self) -> pd.DataFrame:
        """The table."""
        return self.table

    def _repr_html_(self) -> str:
        return f"<p>{self.name}: {self.summary}</p>" + self.table.to_html(index=False)

    @property
    def summary(self) -> str:
        """How many items are filled, left to the authors, not applicable."""
        return ", ".join(f"{count} {status}" for status, count in self.counts.items()) + "."


def fill_checklists(content: Mapping[str, Any]) -> list[Checklist]:
    """Fill all checklists.

    Parameters
    ----------
    content : mapping
        As :func:`radiomics_npc.report.html.write_report` takes it.

    Returns
    -------
    list of Checklist

    Examples
    --------
    >>> [(checklist.name, len(checklist.table)) for checklist in fill_checklists({})]
    [('TRIPOD+AI', 52), ('CLEAR', 58), ('METRICS', 30)]
    """
    return [fill_checklist(key, content) for key in CHECKLISTS]


def fill_checklist(key: str, content: Mapping[str, Any]) -> Checklist:
    """Fill one checklist.

    Parameters
    ----------
    key : {"tripod_ai", "clear", "metrics"}
    content : mapping
        Of a report.

    Returns
    -------
    Checklist
        A run that knows nothing leaves every item to the authors.

    Examples
    --------
    >>> fill_checklist("metrics", {}).score
    Score(sure=0.0, at_most=100.0)
    """
    path = resources.files("radiomics_npc.report").joinpath("checklists", f"{key}.yaml")
    listed = yaml.safe_load(path.read_text(encoding="utf-8"))
    met = {c["number"]: CONDITIONS[c["rule"]](content) for c in listed.get("conditions", [])}
    rows = [_row(item, _answer(item, content, met)) for item in listed["items"]]
    table = pd.DataFrame(rows)
    scored, note = "conditions" in listed, ""
    if scored and is_clinical_only(content):
        note = "METRICS is for studies of radiomics: this one has no images, and no score is given."
    return Checklist(
        key, listed["name"], listed["about"], listed["source"], table,
        _score(table, listed["items"], met) if scored and not note else None, note,
    )  # fmt: skip


def _answer(item: Mapping[str, Any], content: Mapping[str, Any], met: Mapping[str, bool | None]) -> Answer:
    """What the rule of an item says, unless a condition of the item is not met."""
    if any(met[number] is False for number in item.get("conditions", ())):
        return Answer(NOT_APPLICABLE, "The condition of this item is not met.")
    return RULES[item["rule"]](content) or Answer()


def _row(item: Mapping[str, Any], answer: Answer) -> dict[str, Any]:
    row = {
        "item": item["number"], "section": item["section"], "asked": item["text"], "status": answer.status,
        "answer": answer.text, "left": item.get("ask", "") if answer.status == OPEN else "",
        "where": "; ".join(answer.where),
    }  # fmt: skip
    if "weight" in item:
        words = {True: "yes", False: "no"}.get(bool(answer.met), "") if answer.status == FILLED else ""
        row |= {
            "weight": item["weight"],
            "met": words or ("open" if answer.status == OPEN else answer.status),
        }
    return row


def _score(table: pd.DataFrame, items: list[dict[str, Any]], met: Mapping[str, bool | None]) -> Score:
    """Weight of the items met over that of all that apply, in percent.

    An open item whose condition is open, too, may not apply at all: for sure it is then taken as
    one that applies and is not met, at most as one that is met. Both bounds can be reached or
    not; none can be passed.
    """
    applies = table[table["met"] != NOT_APPLICABLE]
    whole = float(applies["weight"].sum())
    sure = float(applies.loc[applies["met"] == "yes", "weight"].sum())
    doubtful = {i["number"] for i in items if any(met[c] is None for c in i.get("conditions", ()))}
    lost = applies[(applies["met"] == "no") & ~applies["item"].isin(doubtful)]
    # A "no" to an item that may not apply is lost only if it does apply.
    spared = applies[(applies["met"] == "no") & applies["item"].isin(doubtful)]
    most = whole - float(spared["weight"].sum())
    return Score(100 * sure / whole, 100 * (most - float(lost["weight"].sum())) / most)
