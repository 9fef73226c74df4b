"""Further endpoints of the same patients, from dates or from columns of their own."""

import numpy as np
import pandas as pd
import pytest

from radiomics_npc.cohort.endpoints import read_endpoints
from radiomics_npc.cohort.findings import Finding
from radiomics_npc.cohort.reading import read_cohort
from radiomics_npc.config import read_settings
from radiomics_npc.errors import ConfigError
from radiomics_npc.settings import OutcomeSettings

DATES = {"start": "start", "progression": ["local", "distant", "death"], "last_seen": "last"}
DEATH = {"events": ["death"]}
DISTANT = {"events": ["distant"], "competing": ["death"]}


def _read(rows, endpoints, **settings):
    table = pd.DataFrame(rows, columns=["start", "last", "local", "distant", "death"], dtype=object)
    table.index = pd.Index([f"{k:03d}" for k in range(1, len(table) + 1)], name="patient_id")
    return read_endpoints(table, OutcomeSettings(**DATES, **settings, endpoints=endpoints))


ROWS = [
    ("2020-01-01", "2024-01-01", "", "", ""),
    ("2020-01-01", "2023-01-01", "2021-01-01", "2022-01-01", "2023-01-01"),
    ("2020-01-01", "2021-07-01", "", "", "2021-07-01"),
    ("2020-01-01", "2022-01-01", "", "2022-01-01", "2022-01-01"),
]


def test_each_endpoint_counts_its_own_dates():
    found, findings = _read(ROWS, {"OS": DEATH, "DMFS": DISTANT, "LRFS": {"events": ["local"]}})
    days = {name: (y.time_months * 30.4375).round().astype(int).tolist() for name, y in found.items()}
    causes = {name: y.cause.tolist() for name, y in found.items()}
    assert causes == {"OS": [0, 1, 1, 1], "DMFS": [0, 1, 2, 1], "LRFS": [0, 1, 0, 0]}
    assert days == {
        "OS": [1461, 1096, 547, 731], "DMFS": [1461, 731, 547, 731], "LRFS": [1461, 366, 547, 731]
    }  # fmt: skip
    assert found["OS"].name == "overall survival"
    assert found["OS"].names == ("event",)
    assert found["DMFS"].names == ("distant", "death")
    assert [f.severity for f in findings] == ["info"] * 3
    assert "2 events in all and 1 competing, 2 within 60 months" in findings[1].problem


def test_on_one_day_the_event_of_interest_comes_before_the_competing_one():
    found, _ = _read(ROWS[3:], {"DMFS": DISTANT})
    assert found["DMFS"].cause.tolist() == [1]


def test_administrative_censoring_and_rules_hold_for_all():
    rows = [*ROWS, ("2020-01-01", "2022-01-01", "2020-01-01", "", ""), ("", "2022-01-01", "", "", "")]
    found, findings = _read(
        rows, {"OS": DEATH, "LRFS": {"events": ["local"]}}, censor_at_months=18, time_zero="exclude"
    )
    assert found["OS"].time_months.max() == 18
    assert found["OS"].cause.tolist() == [0, 0, 1, 0, 0]
    assert found["LRFS"].patient_id.tolist() == ["001", "002", "003", "004"]
    problems = [f.problem for f in findings]
    assert "LRFS: event at time 0; left out (outcome.time_zero: exclude)" in problems
    # the patient without a start is listed once, with the endpoint that was read first
    assert sum("without a usable outcome" in p for p in problems) == 1


def test_nothing_is_said_twice():
    table = pd.DataFrame(
        [("2020-01-01", "x", "", "", "")], columns=["start", "last", "local", "distant", "death"]
    )
    settings = OutcomeSettings(**DATES, endpoints={"OS": DEATH, "DMFS": DISTANT})
    _, first = read_endpoints(table, settings)
    assert sum("'x' is no date" in f.problem for f in first) == 1
    known = Finding.error(
        "'x' is no date", "Correct it, or state outcome.date_format (now %Y-%m-%d).", "0", where="last"
    )
    _, again = read_endpoints(table, settings, said=[known])
    assert not any("is no date" in f.problem for f in again)


def test_an_absent_column_is_an_error_and_the_other_endpoints_are_read():
    found, findings = _read(ROWS, {"LRFS": {"events": ["locl"]}, "OS": DEATH})
    assert list(found) == ["OS"]
    error = next(f for f in findings if f.severity == "error")
    assert error.problem == "LRFS: there is no column 'locl'"
    assert "local" in error.remedy


@pytest.mark.parametrize(
    ("coding", "values", "cause"),
    [
        (None, ["0", "1"], [0, 1]),
        ("0/1/2", ["2", "1"], [2, 1]),
        ({"none": 0, "relapse": 1, "dead": 2}, ["Dead", "none"], [2, 0]),
    ],
)
def test_columns_of_its_own(coding, values, cause):
    table = pd.DataFrame(
        {"t": ["5", "6"], "e": ["1", "1"], "years": ["1", "2"], "what": values}, dtype=object
    )
    endpoint = {"time": "years", "event": "what", "unit": "years"} | ({"coding": coding} if coding else {})
    settings = OutcomeSettings(time="t", unit="months", event="e", coding="0/1", endpoints={"X": endpoint})
    found, findings = read_endpoints(table, settings)
    assert found["X"].time_months.tolist() == [12, 24]
    assert found["X"].cause.tolist() == cause
    assert found["X"].name == "X"
    assert len(found["X"].names) == (2 if 2 in cause else 1)
    assert not [f for f in findings if f.severity == "error"]


@pytest.mark.parametrize(
    ("endpoint", "words"),
    [
        ({}, "give either time and event, or events"),
        ({"events": ["a"], "time": "t", "event": "e"}, "give either"),
        ({"time": "t"}, "belong together"),
        ({"time": "t", "event": "e", "competing": ["d"]}, "competing names date columns"),
        ({"events": ["a"], "competing": ["a"]}, "both among events and competing"),
        ({"events": ["a"]}, "endpoint OS is made from dates"),
        ({"evnts": ["a"]}, "unknown key cohort.outcome.endpoints.OS.evnts"),
    ],
)
def test_settings_that_contradict(endpoint, words):
    outcome = {"time": "m", "unit": "months", "event": "e", "coding": "0/1", "endpoints": {"OS": endpoint}}
    with pytest.raises(ConfigError, match=words):
        read_settings({"cohort": {"path": "d", "outcome": outcome}})


def test_a_column_endpoint_beside_dates_needs_its_unit():
    outcome = {**DATES, "endpoints": {"OS": {"time": "t", "event": "e"}}}
    with pytest.raises(ConfigError, match="needs unit and coding"):
        read_settings({"cohort": {"path": "d", "outcome": outcome}})


def test_simulated_patients_stay_simulated(tmp_path):
    (tmp_path / "clinical.csv").write_text("ID,months,e,os\n001,60,0,0\n002,12,1,1\n")
    (tmp_path / "dataset.json").write_text('{"simulated": true}')
    outcome = {
        "time": "months", "unit": "months", "event": "e", "coding": "0/1",
        "endpoints": {"OS": {"time": "months", "event": "os"}},
    }  # fmt: skip
    cohort = read_cohort(
        {"layout": "clinical", "clinical": {"file": str(tmp_path / "clinical.csv")}, "outcome": outcome}
    )
    assert cohort.endpoints["OS"].simulated
    assert cohort.outcomes["OS"].simulated
    assert cohort.outcomes["OS"].event.tolist() == [False, True]


@pytest.mark.shared
def test_radcure_gives_all_four(shared, request):
    """Counted again from the bare table, by a few lines that share nothing with the reader."""
    cohort = read_cohort(request.config.rootpath / "configs" / "examples" / "radcure_npc.yaml")
    raw = pd.read_csv(shared / "data" / "radcure_npc" / "clinical.csv", dtype=str)
    raw = raw[raw["M "] == "M0"].set_index("patient_id")
    when = raw.filter(regex="^Date|RT Start|Last FU").apply(pd.to_datetime, format="%m/%d/%Y")
    rules = {
        "OS": (["of Death"], []),
        "LRFS": (["Local", "Regional"], ["of Death"]),
        "DMFS": (["Distant"], ["of Death"]),
    }
    for name, (events, others) in rules.items():
        event = when[[f"Date {e}" for e in events]].min(axis=1)
        other = when[[f"Date {e}" for e in others]].min(axis=1) if others else event.where(event.isna())
        first = event.where(~(other < event), other).fillna(other).fillna(when["Last FU"])
        months = (first - when["RT Start"]).dt.days * 12 / 365.25
        cause = pd.Series(np.where(event <= first, 1, np.where(other <= first, 2, 0)), raw.index)
        kept = months > 0
        cause = cause.where(months <= 60, 0)[kept]
        y = cohort.endpoints[name]
        assert y.patient_id.tolist() == sorted(kept.index[kept])
        assert y.cause.tolist() == cause[y.patient_id].tolist()
        np.testing.assert_allclose(y.time_months, months[y.patient_id].clip(upper=60), rtol=1e-12)
    counts = {k: [int((y.cause == c).sum()) for c in (0, 1, 2)] for k, y in cohort.endpoints.items()}
    assert counts == {"OS": [314, 40, 0], "LRFS": [290, 36, 28], "DMFS": [289, 45, 19]}
