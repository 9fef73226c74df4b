"""The outcome: time and event of the patients who have them, by stated rules."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from radiomics_npc.cohort.findings import Finding
from radiomics_npc.cohort.first_event import counted, from_columns, from_dates
from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.cohort.tables import name_patients
from radiomics_npc.cohort.vocabulary import NOT_GIVEN
from radiomics_npc.errors import CohortError
from radiomics_npc.settings import OutcomeSettings

__all__ = ["read_events", "read_outcome"]

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
        raw, findings = from_dates(blanked, settings, competing)
    else:
        raw, findings = from_columns(blanked, settings)
    raw = _usable(raw, settings, findings)
    return _censored(raw, settings, findings)[["time", "event"]], findings


def _usable(raw: pd.DataFrame, settings: OutcomeSettings, findings: list[Finding]) -> pd.DataFrame:
    """Apply the rules for missing, negative and zero times; ``findings`` is added to."""
    known = raw["time"].notna() & raw["event"].notna()
    if not known.all():
        who = [str(p) for p in raw.index[~known]]
        problem = f"{counted(who)} without a usable outcome, in no model: {name_patients(who)}"
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
