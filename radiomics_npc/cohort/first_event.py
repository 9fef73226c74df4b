"""Time and first event of each patient as the clinical table tells them: two columns, or dates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from radiomics_npc.cohort.findings import Finding
from radiomics_npc.cohort.tables import find_column, name_patients
from radiomics_npc.settings import OutcomeSettings

__all__ = ["DAYS_PER_MONTH", "counted", "from_columns", "from_dates"]

#: Mean length of a month: 365.25 / 12.
DAYS_PER_MONTH = 30.4375

_MONTHS = {"days": 1 / DAYS_PER_MONTH, "months": 1.0, "years": 12.0}
_CODINGS = {"0/1": {"0": 0, "1": 1}, "1/2": {"1": 0, "2": 1}, "0/1/2": {"0": 0, "1": 1, "2": 2}}


def counted(patients: list[str]) -> str:
    """How many patients, in words."""
    return "1 patient" if len(patients) == 1 else f"{len(patients)} patients"


def _odd_values(cells: pd.Series, bad: pd.Series, column: str, what: str, remedy: str) -> list[Finding]:
    """One error a distinct value that cannot be read."""
    findings = []
    for text, group in cells[bad].groupby(cells[bad], sort=True):
        who = [str(p) for p in group.index]
        people = "" if len(who) == 1 else f" ({counted(who)}: {name_patients(who)})"
        findings.append(
            Finding.error(
                f"{str(text)!r} is {what}{people}",
                remedy,
                who[0] if len(who) == 1 else "",
                where=column,
            )
        )
    return findings


def from_columns(table: pd.DataFrame, settings: OutcomeSettings) -> tuple[pd.DataFrame, list[Finding]]:
    """Read a column of times and one of event codes.

    Parameters
    ----------
    table : DataFrame of str
        Cells by patient_id; those that say nothing are empty.
    settings : OutcomeSettings
        With time, unit, event and coding.

    Returns
    -------
    DataFrame
        Columns ``time`` (months) and ``event`` (0, 1, 2), NaN where a cell cannot be read, and
        ``origin``, what a fault of the time is to be put down to.
    list of Finding

    Raises
    ------
    CohortError
        A column is absent.
    """
    # OutcomeSettings has seen to it that all four are there
    time_name, event_name = str(settings.time), str(settings.event)
    unit, coding = settings.unit or "months", settings.coding or "0/1"
    time_column = find_column(table.columns, time_name)
    event_column = find_column(table.columns, event_name)
    cells = table[time_column]
    numbers = pd.to_numeric(cells, errors="coerce").where(lambda x: np.isfinite(x))
    findings = _odd_values(
        cells, numbers.isna() & (cells != ""), time_column, "no time", f"Give a number of {unit}."
    )
    event, faults = _events(table[event_column], coding, event_column)
    raw = pd.DataFrame({"time": numbers * _MONTHS[unit], "event": event, "origin": ""})
    return raw, findings + faults


def _events(
    cells: pd.Series, coding: str | Mapping[str, int], column: str
) -> tuple[pd.Series, list[Finding]]:
    words = (
        _CODINGS[coding] if isinstance(coding, str) else {k.casefold().strip(): v for k, v in coding.items()}
    )
    texts = cells.str.casefold()
    if isinstance(coding, str):
        texts = texts.str.removesuffix(".0")
    event = texts.map(words).astype(float)
    bad = event.isna() & (cells != "")
    now = coding if isinstance(coding, str) else "words"
    remedy = f"Correct it, or state the coding under outcome.coding (now {now})."
    found = set(texts[cells != ""])
    other = {"0/1": "1/2", "1/2": "0/1"}.get(coding) if isinstance(coding, str) else None
    if other and bad.any() and found <= set(_CODINGS[other]):
        hint = "as R's survival does (1 censored, 2 event)" if other == "1/2" else "(0 censored, 1 event)"
        problem = f"events are coded {other} {hint}, yet the study says {coding}"
        return event * np.nan, [
            Finding.error(problem, f"Set outcome.coding: {other} if that is so.", where=column)
        ]
    what = f"no event code ({', '.join(words)} are)"
    if other == "1/2" and "2" in set(texts[bad]):
        what += "; R codes events 1/2, a mixture cannot be read"
    return event, _odd_values(cells, bad, column, what, remedy)


def _dates(table: pd.DataFrame, column: str, settings: OutcomeSettings) -> tuple[pd.Series, list[Finding]]:
    cells = table[column]
    dates = pd.to_datetime(cells.where(cells != ""), format=settings.date_format, errors="coerce")
    # an XLSX cell that is a date arrives as YYYY-MM-DD, whatever its format on screen
    dates = dates.fillna(pd.to_datetime(cells.where(cells != ""), format="%Y-%m-%d", errors="coerce"))
    remedy = f"Correct it, or state outcome.date_format (now {settings.date_format})."
    return dates, _odd_values(cells, dates.isna() & (cells != ""), column, "no date", remedy)


def from_dates(
    table: pd.DataFrame, settings: OutcomeSettings, competing: Sequence[str]
) -> tuple[pd.DataFrame, list[Finding]]:
    """Read the first event, or the date last seen, against the date of the start.

    Parameters
    ----------
    table, settings
        See :func:`from_columns`; with start, progression and last_seen.
    competing : sequence of str
        Date columns of events after which the one of interest is no longer looked for.

    Returns
    -------
    DataFrame
        As :func:`from_columns`; event 2 is a competing one.
    list of Finding

    Raises
    ------
    CohortError
        A column is absent.
    """
    # OutcomeSettings has seen to it that both are there
    start_column = find_column(table.columns, str(settings.start))
    last_column = find_column(table.columns, str(settings.last_seen))
    start, findings = _dates(table, start_column, settings)
    last, faults = _dates(table, last_column, settings)
    findings += faults
    events = pd.DataFrame(index=table.index)
    for wanted in (*settings.progression, *competing):
        column = find_column(table.columns, wanted)
        events[column], faults = _dates(table, column, settings)
        findings += faults
        if wanted in settings.confirmed_by:
            status = settings.confirmed_by[wanted]
            confirmed, faults = _confirmed(table, column, events[column], status.column, status.coding)
            events[column] = events[column].where(confirmed)
            findings += faults
    first = events.min(axis=1)
    event = first.notna()
    of_interest = events.iloc[:, : len(settings.progression)].min(axis=1) == first
    for patient in table.index[event & (first > last)]:
        days = (first[patient] - last[patient]).days
        findings.append(
            Finding.warning(
                f"progression is dated {days} days after {last_column}; it is counted",
                "Check both dates.",
                str(patient),
                where=last_column,
            )
        )
    origin = events.eq(first, axis=0).idxmax(axis=1).where(event, last_column)
    time = (first.where(event, last) - start).dt.days / DAYS_PER_MONTH
    origin = origin + " against " + start_column
    cause = event * (2.0 - of_interest)
    return pd.DataFrame({"time": time, "event": cause, "origin": origin}), findings


def _confirmed(
    table: pd.DataFrame, date_column: str, dates: pd.Series, wanted: str, coding: Mapping[str, int]
) -> tuple[pd.Series, list[Finding]]:
    """Say which dates are events by the word in a status column, and count how each word was read."""
    column = find_column(table.columns, wanted)
    cells = table[column]
    status = cells.str.casefold().map({k.casefold().strip(): v for k, v in coding.items()})
    unknown = status.isna() & (cells != "")
    findings = _odd_values(
        cells,
        unknown,
        column,
        f"no word for {date_column}",
        f"Add it under outcome.confirmed_by: {date_column}: coding.",
    )
    for text, group in status[status.notna()].groupby(cells[status.notna()], sort=True):
        says = "an event" if group.iloc[0] == 1 else "no event"
        findings.append(
            Finding.info(f"{str(text)!r} read as {says} ({counted(list(group.index))})", where=column)
        )
    for patient in table.index[(status == 1) & dates.isna() & (table[date_column] == "")]:
        findings.append(
            Finding.error(
                f"{column} says {cells[patient]!r}, yet {date_column} is empty",
                "Give the date.",
                str(patient),
                where=date_column,
            )
        )
    for patient in table.index[dates.notna() & (cells == "")]:
        findings.append(
            Finding.error(
                f"{date_column} is given, yet {column} is empty",
                f"Fill in {column}, or remove the date.",
                str(patient),
                where=column,
            )
        )
    return status == 1, findings
