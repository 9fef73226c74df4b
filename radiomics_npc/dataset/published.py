"""The published Tables 1 to 4 of the data set as printed, contradictions included.

Ranges and counts stand in :mod:`radiomics_npc.simulate.published`, in readings that are free of
contradiction; what is printed otherwise, and what only Table 4 prints, stands in ``published.yaml`` beside
this module.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, NamedTuple

import yaml

from radiomics_npc.simulate.published import PATHOLOGY, STAGES, StageGroup

__all__ = ["Count", "Numbers", "PublishedStage", "published_notes", "published_source", "published_stages"]


class Count(NamedTuple):
    """A printed count with its printed percentage."""

    patients: int
    percent: float


class Numbers(NamedTuple):
    """A printed distribution."""

    mean: float
    sd: float
    median: float
    low: float
    high: float


@dataclass(frozen=True)
class PublishedStage:
    """One column of Table 4, as printed.

    Parameters
    ----------
    patients : int
    factors : mapping of str to mapping of str to Count
        By variable (``sex``, ``pathology``, ``T``, ``N``, ``M``, ``ebv_dna``, ``vca_iga``) and level.
    numbers : mapping of str to Numbers
        ``age`` in years and ``follow_up_months``.
    """

    patients: int
    factors: Mapping[str, Mapping[str, Count]]
    numbers: Mapping[str, Numbers]


@cache
def _beside() -> dict[str, Any]:
    path = resources.files("radiomics_npc.dataset").joinpath("published.yaml")
    content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return content


def published_source() -> str:
    """Authors, title and DOI of the data set.

    Examples
    --------
    >>> "10.5281/zenodo.13131827" in published_source()
    True
    """
    return str(_beside()["source"])


def published_notes(table: int) -> list[str]:
    """What is to be said of a published table (1 to 4), its contradictions above all.

    Examples
    --------
    >>> published_notes(4)[0]
    'Published: its stage groups sum to 278 where the text has 277 patients.'
    """
    return [str(note) for note in _beside()["notes"][table]]


def published_stages() -> dict[str, PublishedStage]:
    """Table 4 as printed, by stage group.

    Examples
    --------
    >>> table = published_stages()
    >>> sum(group.patients for group in table.values())
    278
    >>> table["IVA"].factors["N"]["N1"]
    Count(patients=31, percent=31.9)
    >>> table["IVB"].numbers["age"].median
    59.0
    """
    beside = _beside()
    found = {}
    for name, group in STAGES.items():
        factors = {
            variable: {level: Count(n, round(100 * n / group.patients, 1)) for level, n in counts.items()}
            for variable, counts in _counts(group, name).items()
        }
        for cell in beside["as_printed"]:
            if cell["stage"] == name:
                factors[cell["variable"]][cell["level"]] = Count(cell["count"], cell["percent"])
        mean, sd, low, high = group.age
        numbers = {
            "age": Numbers(mean, sd, beside["age_median"][name], low, high),
            "follow_up_months": Numbers(**beside["follow_up"][name]),
        }
        found[name] = PublishedStage(group.patients, factors, numbers)
    return found


def _counts(group: StageGroup, name: str) -> dict[str, dict[str, int]]:
    """Counts of every level; T and N are the margins of their joint table."""
    n = group.patients
    metastatic = n if name == "IVB" else 0
    return {
        "sex": {"female": group.female, "male": n - group.female},
        "pathology": dict(zip(PATHOLOGY, group.pathology, strict=True)),
        "T": _margin(group, 0, ("T0", "T1", "T2", "T3", "T4")),
        "N": _margin(group, 1, ("N0", "N1", "N2", "N3")),
        "M": {"M0": n - metastatic, "M1": metastatic},
        "ebv_dna": {"negative": n - group.ebv_positive, "positive": group.ebv_positive},
        "vca_iga": {"negative": n - group.vca_positive, "positive": group.vca_positive},
    }


def _margin(group: StageGroup, axis: int, levels: tuple[str, ...]) -> dict[str, int]:
    return {
        level: round(sum(count for cell, count in group.tn.items() if cell[axis] == level))
        for level in levels
    }
