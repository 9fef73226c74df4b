"""Time and cause of competing events."""

import numpy as np
import pytest

from radiomics_npc.cohort.competing import CompetingOutcome
from radiomics_npc.errors import CohortError


@pytest.fixture
def y():
    return CompetingOutcome([5, 20, 70, 70], [2, 1, 1, 0], list("abcd"), ("relapse", "death"), "LRFS", True)


def test_one_cause_or_any(y):
    assert y.cause_specific(1).event.tolist() == [False, True, True, False]
    assert y.cause_specific(2).event.tolist() == [True, False, False, False]
    assert y.any_cause().event.tolist() == [True, True, True, False]
    assert y.cause_specific(1).simulated
    assert y.cause_specific(1).name == "LRFS"
    with pytest.raises(CohortError, match="no cause 3"):
        y.cause_specific(3)


def test_rows_identifiers_and_censoring(y):
    assert y.loc(["d", "a"]).to_frame().to_numpy().tolist() == [[70, 0], [5, 2]]
    assert y.take(np.array([True, False, False, True])).patient_id.tolist() == ["a", "d"]
    assert y.take([0, 0]).patient_id.tolist() == ["0", "1"]
    assert y.take([0, 1]).names == ("relapse", "death")
    ended = y.censor_at(60)
    assert ended.to_frame().to_numpy().tolist() == [[5, 2], [20, 1], [60, 0], [60, 0]]
    with pytest.raises(CohortError, match="1 patients have no outcome"):
        y.loc(["z"])


def test_it_says_what_it_holds(y):
    assert repr(y) == "<CompetingOutcome LRFS: 4 simulated patients, 2 relapse, 1 death>"
    assert "simulated" in y._repr_html_()


@pytest.mark.parametrize(
    ("time", "cause", "ids", "words"),
    [
        ([1.0, 2.0], [0, 3], None, "other values than 0"),
        ([1.0, 2.0], [0, 0.5], None, "other values than 0"),
        ([1.0, 2.0], [0, np.nan], None, "other values than 0"),
        ([1.0, -2.0], [0, 1], None, "missing or negative"),
        ([1.0], [0, 1], None, "differ in shape"),
        ([1.0, 2.0], [0, 1], ["a", "a"], "unique"),
    ],
)
def test_what_is_refused(time, cause, ids, words):
    with pytest.raises(CohortError, match=words):
        CompetingOutcome(time, cause, ids)
