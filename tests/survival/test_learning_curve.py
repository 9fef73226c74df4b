"""C against the number of patients trained on."""

import numpy as np
import pandas as pd
import pytest

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import ConfigError
from radiomics_npc.survival.models.cox import CoxModel
from radiomics_npc.survival.validation.cross_validation import cross_validate
from radiomics_npc.survival.validation.designs import RepeatedFolds
from radiomics_npc.survival.validation.learning_curve import _parts, learning_curve


def cohort(n: int = 200, seed: int = 0) -> tuple[pd.DataFrame, Outcome]:
    random = np.random.default_rng(seed)
    X = pd.DataFrame(random.normal(size=(n, 8)), columns=[f"x{k}" for k in range(8)])
    X.index = pd.Index([f"{k:03d}" for k in range(n)])
    time, lost = random.exponential(40 * np.exp(-0.5 * X["x0"] - 0.4 * X["x1"])), random.uniform(20, 120, n)
    return X, Outcome(np.minimum(time, lost), time <= lost, X.index)


@pytest.fixture(scope="module")
def curve():
    return learning_curve(CoxModel(), *cohort(), shares=(0.15, 0.5, 1.0), repeats=3)


def test_more_patients_help(curve):
    table = curve.table
    assert table["estimate"].is_monotonic_increasing
    assert table["estimate"].iloc[-1] - table["estimate"].iloc[0] > 0.03
    assert (table["lower"] < table["estimate"]).all()
    assert table["training_patients"].tolist() == [24, 80, 160]
    assert (table["repeats"] == 3).all()


def test_whole_training_folds_are_the_cross_validation(curve):
    """The same folds and seeds: estimate and standard error equal those of cross_validate."""
    X, y = cohort()
    plain = cross_validate({"m": CoxModel()}, X, y, repeats=3, jobs=1).scores.iloc[0]
    last = curve.table.iloc[-1]
    assert (last["estimate"], last["se"]) == (
        pytest.approx(plain["estimate"], abs=1e-12), pytest.approx(plain["se"], abs=1e-12),
    )  # fmt: skip


def test_parts_are_nested_and_hold_the_same_share_of_events():
    _, y = cohort()
    for task in RepeatedFolds(5, 1).tasks(y, 0):
        few, more, whole = (part.training(200) for part in _parts(task, y, (0.2, 0.6, 1.0)))
        assert set(few) < set(more) < set(whole)
        assert not set(whole) & set(task.test)
        assert y.event[few].mean() == pytest.approx(y.event[whole].mean(), abs=0.03)


def test_sizes_too_small_to_fit_are_nan_and_said():
    X, y = cohort(60)
    curve = learning_curve(CoxModel(), X, y, shares=(0.01, 1.0), folds=3, repeats=1)
    assert np.isnan(curve.table["estimate"].iloc[0])
    assert np.isfinite(curve.table["estimate"].iloc[1])
    assert curve.table["failed_folds"].tolist() == [3, 0]
    assert "Fits failed" in curve.notes[0]


@pytest.mark.parametrize("shares", [(), (0.0, 1.0), (0.5, 1.2)])
def test_wrong_shares(shares):
    with pytest.raises(ConfigError, match="shares"):
        learning_curve(CoxModel(), *cohort(60), shares=shares)


def test_result_says_that_patients_never_lived():
    X, y = cohort(60)
    never = Outcome(y.time_months, y.event, y.patient_id, simulated=True)
    result = learning_curve(CoxModel(), X, never, shares=(1.0,), folds=3, repeats=1)
    assert result.to_frame()["simulated"].all()
    assert "simulated" not in learning_curve(CoxModel(), X, y, shares=(1.0,), folds=3, repeats=1).to_frame()
