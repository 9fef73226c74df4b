"""The methods section of a paper, written from what ran."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from radiomics_npc.report.feature_methods import contour_text, feature_text
from radiomics_npc.report.flow import reason_words
from radiomics_npc.report.modelling_methods import model_text
from radiomics_npc.report.outcome_words import outcome_of
from radiomics_npc.report.references import Citations, bibtex
from radiomics_npc.report.validation_methods import validation_text
from radiomics_npc.report.writing import in_text, listed, part_of, plural, variable

__all__ = ["methods_text", "methods_with_references"]

Content = Mapping[str, Any]


def _patients(content: Content, cite: Citations) -> list[str]:
    flow = part_of(content, "flow")
    if not flow:
        return []
    who = "simulated patients (they never lived)" if content.get("simulated") else "patients"
    text = f"Of {flow['read']} {who} read, {flow['analyzed']} were analyzed."
    excluded = flow.get("excluded")
    if excluded is not None and len(excluded):
        reasons = excluded["reason"].astype(str).map(reason_words)
        counts = excluded.groupby(reasons, sort=False)["patients"].sum()
        why = (f"{reason} ({count})" for reason, count in counts.items())
        text += f" Reasons for exclusion: {listed(why)}."
    parts = [text, _checked(content), *_endpoint(content), *_follow_up(content, cite), _missing(content)]
    if endpoints := part_of(content, "endpoints"):
        parts.append(_further_endpoints(content, list(endpoints), cite))
    return ["## Patients and endpoint", " ".join(filter(None, parts))]


def _further_endpoints(content: Content, names: list[str], cite: Citations) -> str:
    """Which further endpoints there are, and in which of them other causes compete."""
    asked = part_of(content, "settings", "cohort", "outcome", "endpoints")
    free = [name for name in names if name in asked and not (asked[name] or {}).get("competing")]
    with_causes = [name for name in names if name not in free]
    text = (
        f"Further endpoints were {listed(names)}; their cumulative incidence is that of Aalen and Johansen "
        f"{cite('aalen')}"
    )
    if with_causes:
        text += f", in which other causes compete{f' with {listed(with_causes)}' if free else ''}"
    return f"{text}."


def _checked(content: Content) -> str:
    found = content.get("findings")
    if found is None or "severity" not in found:
        return ""
    kinds = found["severity"].value_counts()
    counts = [plural(int(kinds[kind]), kind) for kind in ("error", "warning") if kinds.get(kind)]
    return f"The data were checked before anything ran ({listed(counts) if counts else 'nothing was found'})."


def _endpoint(content: Content) -> list[str]:
    """What was counted as an event, from when, and how follow-up was cut."""
    outcome = part_of(content, "settings", "cohort", "outcome")
    modeled = part_of(content, "settings", "models").get("endpoint")
    own = part_of(outcome, "endpoints", str(modeled)) if modeled else outcome
    name = part_of(content, "outcome").get("name") or own.get("name") or modeled
    text = f"The endpoint was {name or outcome_of(content)['name']}"
    events = own.get("progression") or own.get("events") or []
    if outcome.get("start") and events:
        dates = listed(map(str, events))
        first = f"the first of {dates}" if len(events) > 1 else dates
        text += f", counted from {outcome['start']} to {first}, and censored at {outcome['last_seen']}"
        if own.get("competing"):
            text += f", or at {listed(map(str, own['competing']))}, which compete with it"
    if outcome.get("censor_at_months"):
        text += f"; follow-up was censored at {outcome['censor_at_months']:g} months"
    made = [text + "."]
    confirmed = [date for date in events if date in (outcome.get("confirmed_by") or {})]
    if outcome.get("start") and confirmed:
        made.append(
            f"{listed(map(str, confirmed))} counted only where the column beside the date said that there "
            f"was an event{_counted(outcome['confirmed_by'], confirmed)}."
        )
    rule = {
        "exclude": "Patients with a follow-up of 0 months were left out.",
        "move": f"A follow-up of 0 months was read as {outcome.get('time_zero_months', 0.5):g} months.",
    }
    return [*made, rule.get(str(outcome.get("time_zero", "keep")), "")]


def _counted(columns: Mapping[str, Any], dates: list[Any]) -> str:
    """Which words were taken for an event: a reader may count "possible" otherwise.

    Examples
    --------
    >>> local = {"column": "Local", "coding": {"Yes": 1, "Possible": 1, "No": 0}}
    >>> _counted({"Date Local": local}, ["Date Local"])
    ' (Local: Yes or Possible)'
    """
    said = []
    for date in dates:
        coding = (columns[date] or {}).get("coding")
        if isinstance(coding, Mapping):
            words = " or ".join(str(word) for word, code in coding.items() if code == 1)
            said.append(f"{columns[date]['column']}: {words}")
    return f" ({'; '.join(said)})" if said else ""


def _follow_up(content: Content, cite: Citations) -> list[str]:
    part = part_of(content, "follow_up")
    median = part.get("median_months")
    if median is None:
        return []
    return [
        f"The median follow-up was {median:.1f} months by the reverse Kaplan-Meier estimate "
        f"{cite('schemper')}, the longest {part['longest_months']:.1f} months."
    ]


def _missing(content: Content) -> str:
    """How many values are missing in the columns of the models."""
    table, wanted = content.get("table_one"), part_of(content, "settings", "models").get("clinical")
    names = list(dict.fromkeys(content["models"]["scores"]["model"])) if content.get("models") else []
    if table is None or "missing" not in table or not wanted or all(n.startswith("radio") for n in names):
        return ""
    rows = table.assign(missing=pd.to_numeric(table["missing"], errors="coerce"))
    rows = rows[rows["variable"].isin(wanted) & rows["missing"].notna()]
    if rows.empty:
        return ""
    counts = [f"{variable(str(r.variable))} ({r.missing:.0f})" for r in rows.itertuples() if r.missing > 0]
    if not counts:
        return "No value of the clinical variables in the models was missing."
    return f"Values were missing of {listed(counts)}."


def _nomogram(content: Content, cite: Citations) -> list[str]:
    nomogram = part_of(content, "nomogram")
    if not nomogram:
        return []
    months = listed(f"{month:g}" for month in nomogram["horizons_months"])
    text = (
        f"The {in_text(nomogram['model'])} model, fitted to all analyzed patients, is drawn as a nomogram "
        f"for {months} months on the points scale of the R package rms {cite('rms')}. It gives no "
        "probability for values outside the range of the training patients."
    )
    return ["## Nomogram", text]


def _unused(content: Content) -> set[str]:
    """What is installed and recorded, and had no part in the analysis."""
    settings = part_of(content, "settings")
    images = settings.get("features", ...) is not None or bool(content.get("contours"))
    models = part_of(content, "models").get("scores")
    boosted = models is None or models["model"].str.endswith("_boosted").any()
    unused = {"platform"} if images else {"platform", "SimpleITK", "pyradiomics-bhklab", "pydicom"}
    unused |= set() if content.get("contours") else {"torch"}
    return unused if boosted else {*unused, "xgboost-cpu"}


def _software(content: Content) -> list[str]:
    unused = _unused(content)
    versions = {name: v for name, v in part_of(content, "versions").items() if name not in unused}
    if not versions:
        return []
    names = {"python": "Python"}
    listing = listed(f"{names.get(name, name)} {version}" for name, version in versions.items())
    text = f"The analysis ran with {listing}."
    seed = part_of(content, "settings").get("seed")
    if seed is not None:
        text += f" The random seed was {seed}."
    return ["## Software", text]


def methods_text(content: Content) -> str:
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
    return methods_with_references(content)[0]


def methods_with_references(content: Content) -> tuple[str, str]:
    """The methods section, and the works that it cites as BibTeX.

    Parameters
    ----------
    content : mapping
        As :func:`radiomics_npc.report.html.write_report` takes it.

    Returns
    -------
    text : str
        Markdown; see :func:`methods_text`.
    entries : str
        BibTeX in the order of the numbers; empty where nothing is cited.
    """
    cite = Citations()
    parts = ["# Methods"]
    if content.get("simulated"):
        parts.append(
            "All patients of this study are simulated. The text shows what a study of real patients would "
            "say."
        )
    parts += _patients(content, cite) + contour_text(content, cite)
    parts += feature_text(content, cite) + model_text(content, cite) + validation_text(content, cite)
    parts += _nomogram(content, cite) + _software(content)
    if cite.keys:
        parts += ["## References", "\n".join(cite.lines())]
    return "\n\n".join(parts) + "\n", bibtex(cite.keys)
