"""Outliers, units and repeated patients: planted ones are found, sound tables are left in peace."""

import numpy as np
import pandas as pd
import pytest

from radiomics_npc.cohort.cases import Cohort
from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.cohort.outliers import check_clinical, find_outliers, find_repeated_rows, robust_outliers
from radiomics_npc.imaging.duplicates import find_duplicates, voxel_digest
from radiomics_npc.imaging.volume import Volume
from radiomics_npc.simulate.clinical import draw_patients

RNG = np.random.default_rng(3)


def _patients(n, **columns):
    return pd.DataFrame(columns, index=[f"{k:03d}" for k in range(1, n + 1)])


def test_the_rule_is_that_of_iglewicz_and_hoaglin():
    values = np.append(np.linspace(-1, 1, 41), [-2.55, 2.65, -2.7])  # not positive: no logarithms
    middle = np.median(values)
    score = 0.6745 * np.abs(values - middle) / np.median(np.abs(values - middle))
    np.testing.assert_array_equal(robust_outliers(values), score > 3.5)
    assert not robust_outliers(np.append(np.linspace(-1, 1, 18), 99)).any()  # too few
    assert not robust_outliers(np.append(np.zeros(30), 99)).any()  # half are equal


@pytest.mark.parametrize(("factor", "words"), [(12, "12 times the median"), (0.01, "1/100 of the median")])
def test_another_unit_is_found(factor, words):
    values = pd.Series(np.linspace(155, 185, 60), name="height")
    values.iloc[7] = 170.0 * factor
    (finding,) = find_outliers(values)
    assert finding.severity == "warning"
    assert finding.patient_id == "7"
    assert f"{words}: another unit?" in finding.problem


def test_two_units_in_one_column_are_one_finding():
    values = pd.Series(np.linspace(155, 185, 60), name="height")
    values.iloc[:12] /= 100
    (finding,) = find_outliers(values)
    assert "12 values of height" in finding.problem
    assert "Two units in one column?" in finding.problem


def test_a_long_tail_and_missing_values_are_no_outliers():
    values = np.exp(RNG.normal(8, 1.2, 400))
    values[::7] = np.nan
    assert robust_outliers(values).mean() < 0.005
    assert not robust_outliers(np.full(40, np.nan)).any()


def test_few_false_alarms_in_sound_cohorts():
    alarms = []
    for seed in range(30):
        table = draw_patients(277, seed)
        y = Outcome(table["time_months"], table["event"], table.index)
        clinical = table[["T", "N", "M", "stage", "sex", "age", "ebv_dna", "vca_iga", "pathology"]]
        alarms.append(len(check_clinical(Cohort(cases=(), clinical=clinical, outcome=y))))
    assert np.mean(np.array(alarms) > 0) <= 0.1
    assert sum(alarms) / (30 * 277) < 0.001


def test_a_patient_entered_twice_is_found():
    table = draw_patients(200, 5)
    clinical = table[["T", "N", "M", "stage", "sex", "age", "ebv_dna"]].copy()
    y = Outcome(table["time_months"], table["event"], table.index)
    early = table.index[(table["time_months"] < 59) & (table["event"] == 1)]
    clinical.loc["999"] = clinical.loc[early[0]]
    times = pd.concat([table["time_months"], table.loc[early[:1], "time_months"].set_axis(["999"])])
    events = pd.concat([table["event"], table.loc[early[:1], "event"].set_axis(["999"])])
    found = find_repeated_rows(clinical, Outcome(times, events, clinical.index))
    assert [(f.patient_id, f.problem) for f in found] == [
        ("999", f"every clinical value is that of patient {early[0]}")
    ]
    assert not find_repeated_rows(clinical.drop(index="999"), y)


def test_equal_rows_that_chance_explains_are_no_duplicates():
    table = _patients(40, T=["T1", "T2"] * 20, sex=["male"] * 40)
    assert find_repeated_rows(table) == []


def test_follow_up_in_years_is_doubted():
    table = _patients(30, age=np.linspace(30, 60, 30))
    y = Outcome(np.linspace(1, 9.5, 30), np.arange(30) % 2, table.index)
    (finding,) = check_clinical(Cohort(cases=(), clinical=table, outcome=y))
    assert finding.problem == "nobody was followed for longer than 9.5 months: years?"


def test_duplicates_are_those_of_voxels_and_spacing():
    array = RNG.integers(0, 500, (3, 4, 5)).astype(np.uint16)
    digest = voxel_digest(Volume(array, (0.5, 0.5, 5.0)))
    assert digest == voxel_digest(Volume(array.astype(np.float64), (0.50000001, 0.5, 5.0), (9.0, 9.0, 9.0)))
    changed = array.copy()
    changed[1, 1, 1] += 1
    others = [Volume(changed, (0.5, 0.5, 5.0)), Volume(array, (0.5, 0.5, 6.0))]
    others.append(Volume(array.reshape(4, 3, 5), (0.5, 0.5, 5.0)))
    assert len({digest, *map(voxel_digest, others)}) == 4


def test_duplicates_say_who_and_what():
    images = [
        ("001", "t1", "a"),
        ("001", "t2", "a"),
        ("002", "t1", "b"),
        ("003", "t1", "b"),
        ("004", "t1", "b"),
    ]
    found = find_duplicates(images)
    assert [(f.patient_id, f.problem) for f in found] == [
        ("001", "t1 and t2 are one and the same image"),
        ("003", "the image t1 is that of patient 002"),
        ("004", "the image t1 is that of patient 002"),
    ]
    assert find_duplicates([("001", "t1", "a"), ("002", "t1", "b")]) == []
