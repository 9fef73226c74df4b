"""The outcome: time and event from two columns, or from dates, by stated rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from radiomics_npc.cohort.findings import Finding
from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.cohort.tables import find_column, name_patients
from radiomics_npc.cohort.vocabulary import NOT_GIVEN
from radiomics_npc.errors import CohortError
from radiomics_npc.settings import OutcomeSettings

__all__ = ["DAYS_PER_MONTH", "read_events", "read_outcome"]

#: Mean length of a month: 365.25 / 12.
DAYS_PER_MONTH = 30.4375

_MONTHS = {"days": 1 / DAYS_PER_MONTH, "months": 1.0, "years": 12.0}
_CODINGS = {"0/1": {"0": 0, "1": 1}, "1/2": {"1": 0, "2": 1}, "0/1/2": {"0": 0, "1": 1, "2": 2}}
# nobody is followed for longer than this; a time beyond it is in another unit
_LONGEST_MONTHS = 50 * 12


def read_outcome(
    table: pd.DataFrame, settings: OutcomeSettings, missing: tuple[str, ...] = ()
) -> tuple[Outcome | None, list[Finding]]:
    """Read time in months and event.

    Parameters
    ----------
    table : DataFrame of str
        Cells as they stand in the clinical table, indexed by patient_id.
    settings : OutcomeSettings
        Columns, unit and coding, or date columns; none of them is guessed.
    missing : tuple of str
        Words that mean "not given", beside empty cells.

    Returns
    -------
    Outcome or None
        Patients with a usable outcome; None if a column is absent.
    list of Finding
        Errors, patients left out, and how many events there are.

    Notes
    -----
    From dates, time is the first confirmed progression date minus the start,
    else the date last seen minus the start, in days / 30.4375.

    Examples
    --------
    >>> table = pd.DataFrame({"days": ["365.25", "3000"], "status": ["2", "1"]}, index=["001", "002"])
    >>> rules = OutcomeSettings(time="days", unit="days", event="status", coding="1/2")
    >>> y, findings = read_outcome(table, rules)
    >>> y.to_frame()
                time_months  event
    patient_id
    001                12.0   True
    002                60.0  False
    """
    try:
        raw, findings = read_events(table, settings, missing)
    except CohortError as error:
        return None, [Finding.error(f"outcome: {error.message}", error.remedy)]
    outcome = Outcome(
        raw["time"].to_numpy(float), raw["event"].to_numpy(float), pd.Index(raw.index), settings.name
    )
    return outcome, findings


def read_events(
    table: pd.DataFrame,
    settings: OutcomeSettings,
    missing: tuple[str, ...] = (),
    competing: Sequence[str] = (),
) -> tuple[pd.DataFrame, list[Finding]]:
    """Read time in months and the first event of the patients with a usable outcome.

    Parameters
    ----------
    table, settings, missing
        See :func:`read_outcome`.
    competing : sequence of str
        Date columns of events after which the one of interest is no longer looked for.

    Returns
    -------
    DataFrame
        Columns ``time`` and ``event`` (0 censored, 1 the event, 2 a competing one), by
        patient_id. On one and the same day the event of interest counts.
    list of Finding

    Raises
    ------
    CohortError
        A column is absent.

    Examples
    --------
    >>> dates = {"start": "2020-01-01", "last": "2022-01-01", "relapse": "", "death": "2021-01-01"}
    >>> rules = OutcomeSettings(start="start", progression=["relapse"], last_seen="last")
    >>> read_events(pd.DataFrame([dates]), rules, competing=["death"])[0].round(1)
       time  event
    0  12.0    2.0
    """
    absent = NOT_GIVEN | {word.casefold().strip() for word in missing}
    blanked = table.mask(table.map(lambda text: text.casefold() in absent), "")
    if settings.start is not None:
        raw, findings = _from_dates(blanked, settings, competing)
    else:
        raw, findings = _from_columns(blanked, settings)
    raw = _usable(raw, settings, findings)
    return _censored(raw, settings, findings)[["time", "event"]], findings


def _many(patients: list[str]) -> str:
    return "1 patient" if len(patients) == 1 else f"{len(patients)} patients"


def _odd_values(cells: pd.Series, bad: pd.Series, column: str, what: str, remedy: str) -> list[Finding]:
    """One error a distinct value that cannot be read."""
    findings = []
    for text, group in cells[bad].groupby(cells[bad], sort=True):
        who = [str(p) for p in group.index]
        people = "" if len(who) == 1 else f" ({_many(who)}: {name_patients(who)})"
        findings.append(
            Finding.error(
                f"{str(text)!r} is {what}{people}",
                remedy,
                who[0] if len(who) == 1 else "",
                where=column,
            )
        )
    return findings


def _from_columns(table: pd.DataFrame, settings: OutcomeSettings) -> tuple[pd.DataFrame, list[Finding]]:
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


def _from_dates(
    table: pd.DataFrame, settings: OutcomeSettings, competing: Sequence[str]
) -> tuple[pd.DataFrame, list[Finding]]:
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
            Finding.info(f"{str(text)!r} read as {says} ({_many(list(group.index))})", where=column)
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


def _usable(raw: pd.DataFrame, settings: OutcomeSettings, findings: list[Finding]) -> pd.DataFrame:
    """Apply the rules for missing, negative and zero times; ``findings`` is added to."""
    known = raw["time"].notna() & raw["event"].notna()
    if not known.all():
        who = [str(p) for p in raw.index[~known]]
        problem = f"{_many(who)} without a usable outcome, in no model: {name_patients(who)}"
        findings.append(Finding.warning(problem, "Complete time and event.", where="outcome"))
    raw = raw[known]
    raw = raw[~_negative(raw, settings, findings)]
    return _at_zero(raw, settings, findings)


def _censored(raw: pd.DataFrame, settings: OutcomeSettings, findings: list[Finding]) -> pd.DataFrame:
    """Censor at ``censor_at_months``, and count the events before and after."""
    if len(raw) and raw["time"].max() > _LONGEST_MONTHS:
        problem = f"the longest follow-up is {raw['time'].max() / 12:.0f} years"
        findings.append(Finding.warning(problem, "Check outcome.unit.", where=settings.time or ""))
    competing = int((raw["event"] == 2).sum())
    summary = f"{settings.name}: {len(raw)} patients, {int((raw['event'] == 1).sum())} events in all"
    summary += f" and {competing} competing" if competing else ""
    end = settings.censor_at_months
    if end is not None:
        late = raw["time"] > end
        raw = raw.assign(time=raw["time"].mask(late, end), event=raw["event"].mask(late, 0.0))
        within = int((raw["event"] == 1).sum())
        summary += f", {within} within {end:g} months (censored there)"
    findings.append(Finding.info(summary, where="outcome"))
    return raw


def _negative(raw: pd.DataFrame, settings: OutcomeSettings, findings: list[Finding]) -> pd.Series:
    negative = raw["time"] < 0
    for patient, row in raw[negative].iterrows():
        where = row["origin"] or settings.time or ""
        problem = f"follow-up is negative ({row['time']:.2f} months)"
        if settings.negative_time == "exclude":
            findings.append(Finding.warning(f"{problem}; left out", "Correct it.", str(patient), where=where))
        else:
            remedy = "Correct it, or set outcome.negative_time: exclude."
            findings.append(Finding.error(problem, remedy, str(patient), where=where))
    return negative


def _at_zero(raw: pd.DataFrame, settings: OutcomeSettings, findings: list[Finding]) -> pd.DataFrame:
    zero = raw["time"] == 0
    moved = f"moved to {settings.time_zero_months:g} months"
    done = {"keep": "kept", "exclude": "left out", "move": moved}[settings.time_zero]
    for patient, row in raw[zero].iterrows():
        kind = "event" if row["event"] > 0 else "last seen"
        problem = f"{kind} at time 0; {done} (outcome.time_zero: {settings.time_zero})"
        remedy = "Check the record."
        findings.append(
            Finding.warning(problem, remedy, str(patient), where=row["origin"] or settings.time or "")
        )
    if settings.time_zero == "exclude":
        return raw[~zero]
    if settings.time_zero == "move":
        return raw.assign(time=raw["time"].mask(zero, settings.time_zero_months))
    return raw
