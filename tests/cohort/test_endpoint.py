"""Time and event: units, codings, rules for zero and negative times, dates."""

import numpy as np
import pandas as pd
import pytest

from radiomics_npc.cohort.endpoint import read_outcome
from radiomics_npc.settings import OutcomeSettings

COLUMNS = {"time": "t", "unit": "months", "event": "e", "coding": "0/1"}
DATES = {"start": "start", "progression": ["local", "death"], "last_seen": "last", "date_format": "%m/%d/%Y"}


def _read(columns, **settings):
    table = pd.DataFrame(columns, dtype=object)
    table.index = pd.Index([f"{k:03d}" for k in range(1, len(table) + 1)], name="patient_id")
    return read_outcome(table, OutcomeSettings(**settings))


def _of(findings, severity):
    return [(f.patient_id, f.problem) for f in findings if f.severity == severity]


@pytest.mark.parametrize(("unit", "factor"), [("days", 1 / 30.4375), ("months", 1), ("years", 12)])
def test_units(unit, factor):
    y, _ = _read({"t": ["1", "2.5"], "e": ["0", "1"]}, **COLUMNS | {"unit": unit, "censor_at_months": None})
    np.testing.assert_allclose(y.time_months, np.array([1, 2.5]) * factor, rtol=1e-15)


@pytest.mark.parametrize(
    ("coding", "values"),
    [
        ("0/1", ["0", "1", "1.0"]),
        ("1/2", ["1", "2", "2.0"]),
        ({"Alive": 0, "progressed": 1}, ["alive", "Progressed", "PROGRESSED"]),
    ],
)
def test_codings(coding, values):
    y, findings = _read({"t": ["5", "6", "7"], "e": values}, **COLUMNS | {"coding": coding})
    assert y.event.tolist() == [False, True, True]
    assert not _of(findings, "error")


@pytest.mark.parametrize(
    ("coding", "values", "words"),
    [
        ("0/1", ["1", "2"], "events are coded 1/2 as R's survival does"),
        ("1/2", ["0", "1"], "events are coded 0/1"),
        ("0/1", ["0", "2"], "'2' is no event code (0, 1 are); R codes events 1/2"),
        ("0/1", ["0", "yes"], "'yes' is no event code (0, 1 are)"),
        ({"no": 0, "yes": 1}, ["no", "maybe"], "'maybe' is no event code (no, yes are)"),
    ],
)
def test_a_coding_is_never_guessed(coding, values, words):
    _, findings = _read({"t": ["5", "6"], "e": values}, **COLUMNS | {"coding": coding})
    errors = _of(findings, "error")
    assert len(errors) == 1
    assert words in errors[0][1]


def test_administrative_censoring_is_counted():
    y, findings = _read({"t": ["60", "61", "70"], "e": ["1", "1", "0"]}, **COLUMNS)
    assert y.to_frame().to_numpy().tolist() == [[60.0, True], [60.0, False], [60.0, False]]
    assert _of(findings, "info")[-1][1].endswith(
        "3 patients, 2 events in all, 1 within 60 months (censored there)"
    )


@pytest.mark.parametrize(
    ("rule", "times"),
    [({"time_zero": "keep"}, [0, 0, 9]), ({"time_zero": "exclude"}, [9]),
     ({"time_zero": "move", "time_zero_months": 0.25}, [0.25, 0.25, 9])],
)  # fmt: skip
def test_time_zero(rule, times):
    y, findings = _read({"t": ["0", "0", "9"], "e": ["1", "0", "1"]}, **COLUMNS | rule)
    assert y.time_months.tolist() == times
    warned = _of(findings, "warning")
    assert [p for p, _ in warned] == ["001", "002"]
    assert warned[0][1].startswith("event at time 0")
    assert warned[1][1].startswith("last seen at time 0")


@pytest.mark.parametrize(("rule", "severity"), [("error", "error"), ("exclude", "warning")])
def test_negative_times(rule, severity):
    y, findings = _read({"t": ["-1", "9"], "e": ["1", "1"]}, **COLUMNS | {"negative_time": rule})
    assert y.patient_id.tolist() == ["002"]
    assert [p for p, _ in _of(findings, severity)] == ["001"]


def test_missing_and_unreadable_times():
    y, findings = _read({"t": ["", "soon", "inf", "8"], "e": ["1", "1", "1", ""]}, **COLUMNS)
    assert len(y) == 0
    assert _of(findings, "error") == [("003", "'inf' is no time"), ("002", "'soon' is no time")]
    assert "4 patients without a usable outcome" in _of(findings, "warning")[0][1]


def test_a_wrong_unit_is_suspected():
    _, findings = _read({"t": ["1800", "900"], "e": ["1", "0"]}, **COLUMNS)
    assert "150 years" in _of(findings, "warning")[0][1]


def test_an_absent_column_is_a_finding_with_the_nearest_name():
    y, findings = _read({"PFS months": ["1"], "e": ["0"]}, **COLUMNS | {"time": "PFS_month"})
    assert y is None
    assert "PFS months" in findings[0].remedy


def _dated(**rows):
    base = {"start": ["1/1/2020"], "last": ["1/1/2022"], "local": [""], "death": [""]}
    return base | {name: [value] for name, value in rows.items()}


def test_the_first_date_counts():
    y, _ = _read(_dated(local="3/1/2021", death="2/1/2021"), **DATES)
    assert y.time_months[0] == pytest.approx(397 / 30.4375)
    assert y.event.tolist() == [True]
    y, _ = _read(_dated(), **DATES)
    assert y.time_months[0] == pytest.approx(731 / 30.4375)
    assert y.event.tolist() == [False]


def test_dates_of_a_spreadsheet():
    y, findings = _read(_dated(start="2020-01-01"), **DATES)
    assert len(y) == 1
    assert not _of(findings, "error")


@pytest.mark.parametrize(
    ("rows", "severity", "words"),
    [
        ({"local": "12/31/2019"}, "error", "negative (-0.03 months)"),
        ({"local": "1/1/2020"}, "warning", "event at time 0"),
        ({"local": "2/1/2022"}, "warning", "progression is dated 31 days after last"),
        ({"local": "31/12/2020"}, "error", "'31/12/2020' is no date"),
        ({"start": ""}, "warning", "1 patient without a usable outcome"),
        ({"last": ""}, "warning", "1 patient without a usable outcome"),
    ],
)
def test_dates_that_contradict(rows, severity, words):
    _, findings = _read(_dated(**rows), **DATES)
    assert any(words in problem for _, problem in _of(findings, severity))


@pytest.mark.parametrize(("possible", "events"), [(1, 2), (0, 1)])
def test_a_status_says_which_dates_are_events(possible, events):
    rows = {
        "start": ["1/1/2020"] * 3, "last": ["1/1/2022"] * 3, "death": [""] * 3,
        "local": ["3/1/2021", "4/1/2021", ""], "status": ["Yes", "Possible", ""],
    }  # fmt: skip
    status = {"local": {"column": "status", "coding": {"Yes": 1, "Possible": possible}}}
    y, findings = _read(rows, **DATES | {"confirmed_by": status})
    assert y.event.sum() == events
    what = "an event" if possible else "no event"
    assert ("", f"'Possible' read as {what} (1 patient)") in _of(findings, "info")


@pytest.mark.parametrize(
    ("date", "word", "words"),
    [
        ("3/1/2021", "Perhaps", "'Perhaps' is no word for local"),
        ("", "Yes", "status says 'Yes', yet local is empty"),
        ("3/1/2021", "", "local is given, yet status is empty"),
    ],
)
def test_a_status_and_a_date_that_contradict(date, word, words):
    rows = _dated(local=date) | {"status": [word]}
    status = {"local": {"column": "status", "coding": {"Yes": 1}}}
    _, findings = _read(rows, **DATES | {"confirmed_by": status})
    assert _of(findings, "error") == [("001", words)]
