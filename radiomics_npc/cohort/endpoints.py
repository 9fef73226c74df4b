"""Further endpoints of the same patients: overall, locoregional and distant survival."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from radiomics_npc.cohort.competing import CompetingOutcome
from radiomics_npc.cohort.endpoint import read_events
from radiomics_npc.cohort.findings import Finding
from radiomics_npc.errors import CohortError
from radiomics_npc.settings import EndpointSettings, OutcomeSettings

__all__ = ["ENDPOINT_NAMES", "read_endpoints"]

#: What the usual abbreviations stand for; other keys are shown as they are.
ENDPOINT_NAMES = {
    "PFS": "progression-free survival",
    "OS": "overall survival",
    "LRFS": "locoregional relapse-free survival",
    "DMFS": "distant metastasis-free survival",
    "DFS": "disease-free survival",
}


def read_endpoints(
    table: pd.DataFrame,
    settings: OutcomeSettings,
    missing: tuple[str, ...] = (),
    *,
    said: Sequence[Finding] = (),
) -> tuple[dict[str, CompetingOutcome], list[Finding]]:
    """Read the endpoints that stand under ``outcome.endpoints``.

    Start, last date, confirmation, censoring and the rules for zero and negative
    times are those of the main outcome. An event that is neither among ``events``
    nor ``competing`` changes nothing: the patient is followed on until last seen.

    Parameters
    ----------
    table : DataFrame of str
        As for :func:`radiomics_npc.cohort.endpoint.read_outcome`.
    settings : OutcomeSettings
    missing : tuple of str
    said : sequence of Finding
        Of the main outcome; nothing is said twice.

    Returns
    -------
    dict of str to CompetingOutcome
        Without endpoints whose columns are absent; those are errors among the findings.
    list of Finding

    Examples
    --------
    >>> table = pd.DataFrame({
    ...     "start": "2020-01-01", "last": ["2022-01-01", "2021-01-01"], "death": ["", "2021-01-01"],
    ...     "distant": ["2020-07-01", ""]})
    >>> rules = OutcomeSettings(
    ...     start="start", progression=["distant", "death"], last_seen="last",
    ...     endpoints={"OS": {"events": ["death"]}, "DMFS": {"events": ["distant"], "competing": ["death"]}})
    >>> found, _ = read_endpoints(table, rules)
    >>> {name: y.cause.tolist() for name, y in found.items()}
    {'OS': [0, 1], 'DMFS': [1, 2]}
    """
    found: dict[str, CompetingOutcome] = {}
    known, findings = set(said), []
    for key, endpoint in settings.endpoints.items():
        name = endpoint.name or ENDPOINT_NAMES.get(key, key)
        try:
            raw, seen = read_events(table, _rules(settings, endpoint, name), missing, endpoint.competing)
        except CohortError as error:
            findings.append(Finding.error(f"{key}: {error.message}", error.remedy, where="endpoints"))
            continue
        new = [finding for finding in seen if finding not in known]
        known |= set(new)
        counted = f"{name}:"
        findings += [
            f if f.problem.startswith(counted) else replace(f, problem=f"{key}: {f.problem}") for f in new
        ]
        found[key] = CompetingOutcome(
            raw["time"].to_numpy(float), raw["event"].to_numpy(float), pd.Index(raw.index),
            _causes(endpoint, bool((raw["event"] == 2).any())), name,
        )  # fmt: skip
    return found, findings


def _rules(settings: OutcomeSettings, endpoint: EndpointSettings, name: str) -> OutcomeSettings:
    """The settings of the main outcome with the columns of an endpoint."""
    changes: dict[str, Any]
    if endpoint.events:
        changes = {"progression": endpoint.events, "time": None, "event": None}
    else:
        changes = {
            "start": None, "time": endpoint.time, "unit": endpoint.unit or settings.unit,
            "event": endpoint.event, "coding": endpoint.coding or settings.coding,
        }  # fmt: skip
    return settings.model_copy(update={"name": name, **changes})


def _causes(endpoint: EndpointSettings, competed: bool) -> tuple[str, ...]:
    if endpoint.competing:
        return " or ".join(endpoint.events), " or ".join(endpoint.competing)
    return ("event", "competing event") if competed else ("event",)
