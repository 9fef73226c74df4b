"""The flow of patients: whoever was read is somewhere, in the words a reader expects."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from radiomics_npc.report.cohort_sections import flow as flow_section
from radiomics_npc.report.flow import flow_figure, flow_steps, measured_flow

REASONS = [
    "no features of t1: mask.nii is empty: nothing is drawn",
    "no features of t1: a; no features of ce_t1: b; c",
    "no usable outcome; no features of t1: a",
    "no usable outcome",
    "only M M0, M1 is kept",
    "event at time 0; left out (outcome.time_zero: exclude)",
    "a clinical value is missing (complete cases asked)",
    "<b>hostile</b>",
]


def _flow(counts: list[int], analyzed: int = 50) -> dict[str, object]:
    excluded = pd.DataFrame({"reason": REASONS[: len(counts)], "patients": counts})
    return {"read": analyzed + sum(counts), "analyzed": analyzed, "events": 12, "excluded": excluded}


@pytest.mark.parametrize("seed", range(5))
def test_the_numbers_add_up(seed):
    counts = [int(n) for n in np.random.default_rng(seed).integers(1, 20, seed + 4)]
    first, *middle, last = flow_steps(_flow(counts))
    assert first.patients == sum(step.patients for step in middle) + last.patients
    assert all(step.out for step in middle)
    for step in [*middle, last]:
        assert sum(count for count, _ in step.reasons) == step.patients


def test_those_who_failed_are_told_from_those_left_out():
    _, failed, left_out, analyzed = flow_steps(_flow([1, 2, 3, 4, 5, 6, 7, 8]))
    assert (failed.words, failed.patients) == ("failed", 3)
    assert failed.reasons[0] == (1, "no features of T1")
    assert {words: n for n, words in left_out.reasons} == {
        "no usable outcome": 7, "M category other than M0 or M1": 5, "event at time 0": 6,
        "a clinical value is missing": 7, "<b>hostile</b>": 8,
    }  # fmt: skip
    assert analyzed.reasons == ((12, "with an event"), (38, "without"))


def test_patients_that_nobody_accounts_for_are_said():
    steps = flow_steps({"read": 10, "analyzed": 7, "excluded": None})
    assert [(step.patients, step.words) for step in steps[1:]] == [(3, "not accounted for"), (7, "analyzed")]


def test_without_models_a_failure_is_what_leaves():
    failures = pd.DataFrame(
        {"patient_id": ["1", "1", "2"], "sequence": ["t1", "t2", "t1"], "message": ["a", "b", "a"]}
    )
    flow = measured_flow(5, failures)
    assert (flow["read"], flow["analyzed"], int(flow["excluded"]["patients"].sum())) == (5, 3, 2)
    assert [step.words for step in flow_steps(flow)] == ["read", "failed", "analyzed"]
    assert measured_flow(5, None)["excluded"] is None
    assert measured_flow(5, failures.head(0))["analyzed"] == 5


def test_the_section_says_the_same_and_is_escaped():
    flow = _flow([1, 2, 3, 4, 5, 6, 7, 8])
    body = flow_section({"flow": flow}, {})
    assert "<b>86</b> patients read" in body
    assert "<b>50</b> patients analyzed" in body
    assert "&lt;b&gt;hostile" in body
    assert sum(map(int, re.findall(r'class="out"><b>(\d+)</b>', body))) == 36


def test_the_figure_holds_every_number():
    figure = flow_figure(_flow([1, 2, 3]))
    words = " ".join(text.get_text() for text in figure.axes[0].texts)
    for number in ("56 patients read", "3 patients failed", "3 patients left out", "50 patients analyzed"):
        assert number in words
