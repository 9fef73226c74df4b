"""Continuous NRI and IDI."""

import numpy as np
import pandas as pd
import pytest
from lifelines import KaplanMeierFitter

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError, HorizonError
from radiomics_npc.survival.metrics.reclassification import CAUTION, reclassification

IPCW = ["nri", "nri_events", "nri_nonevents", "idi", "idi_events", "idi_nonevents"]


def cohort(n: int, seed: int, *, censored: bool = True) -> tuple[Outcome, np.ndarray, np.ndarray]:
    """Two independent causes: predictions that know the first, and both."""
    random = np.random.default_rng(seed)
    a, b = random.normal(size=(2, n)) * 0.8
    hazard = 0.5 * np.exp(a + b)
    time = random.exponential(60 / hazard)
    lost = random.uniform(10, 150, n) if censored else np.full(n, np.inf)
    # The mean of the survival probability over b, by quadrature, is what knowing a alone allows.
    nodes, weights = np.polynomial.hermite_e.hermegauss(30)
    one = np.exp(-0.5 * np.exp(a[:, None] + 0.8 * nodes)) @ weights / weights.sum()
    return Outcome(np.minimum(time, lost), time <= lost), one, np.exp(-hazard)


def test_uncensored_patients_by_hand():
    y = Outcome([10, 20, 30, 61, 70, 80, 90], np.ones(7))
    old = np.array([0.5, 0.6, 0.7, 0.8, 0.9, 0.4, 0.5])
    new = np.array([0.3, 0.5, 0.8, 0.9, 0.9, 0.3, 0.9])
    found = reclassification(y, old, new, resamples=0)
    # Events: two up, one down. Others: two down, one up, one unmoved.
    assert found["nri_events"] == pytest.approx(1 / 3, abs=1e-12)
    assert found["nri_nonevents"] == pytest.approx(1 / 4, abs=1e-12)
    assert found["nri"] == pytest.approx(7 / 12, abs=1e-12)
    assert found["idi_events"] == pytest.approx((0.2 + 0.1 - 0.1) / 3, abs=1e-12)
    assert found["idi_nonevents"] == pytest.approx((0.1 + 0 - 0.1 + 0.4) / 4, abs=1e-12)
    assert found["idi"] == pytest.approx(found["idi_events"] + found["idi_nonevents"], abs=1e-15)
    # Without censoring Kaplan-Meier counts the same patients.
    for part in ("", "_events", "_nonevents"):
        assert found[f"nri_kaplan_meier{part}"] == pytest.approx(found[f"nri{part}"], abs=1e-12)
    assert (found.patients, found.events, found.nonevents) == (7, 3, 4)


def test_censored_patients_equal_weights_and_curves_of_lifelines():
    """No tied times: lifelines' Kaplan-Meier of the censoring, and of those moved up and down; to 1e-12."""
    y, old, new = cohort(200, 0)
    found = reclassification(y, old, new, resamples=0)
    censoring = KaplanMeierFitter().fit(y.time_months, ~y.event)
    dead, free = y.event & (y.time_months <= 60), y.time_months > 60
    weight = dead / censoring.predict(y.time_months - 1e-9).to_numpy()
    up, rise = np.sign(old - new), old - new
    assert found["nri_events"] == pytest.approx(np.average(up, weights=weight), abs=1e-12)
    assert found["nri_nonevents"] == pytest.approx(-up[free].mean(), abs=1e-12)
    assert found["idi_events"] == pytest.approx(np.average(rise, weights=weight), abs=1e-12)
    assert found["idi_nonevents"] == pytest.approx(-rise[free].mean(), abs=1e-12)
    part = {}
    for name, rows in (("up", up > 0), ("down", up < 0), ("all", up == up)):
        s = KaplanMeierFitter().fit(y.time_months[rows], y.event[rows]).predict(60.0)
        part[name] = (rows.sum() * (1 - s), rows.sum() * s)
    events = (part["up"][0] - part["down"][0]) / part["all"][0]
    others = (part["down"][1] - part["up"][1]) / part["all"][1]
    assert found["nri_kaplan_meier_events"] == pytest.approx(events, abs=1e-12)
    assert found["nri_kaplan_meier_nonevents"] == pytest.approx(others, abs=1e-12)


def test_censoring_does_not_move_what_is_estimated():
    """The same patients with and without censoring, 6,000 of them: a gain that is there."""
    whole = reclassification(*cohort(6000, 1, censored=False), resamples=0).table["estimate"]
    part = reclassification(*cohort(6000, 1), resamples=0).table["estimate"]
    np.testing.assert_allclose(part, whole, atol=0.05)
    np.testing.assert_allclose(part[3:6], whole[3:6], atol=0.01)
    assert (whole[:6] > 0.02).all()


def test_idi_of_true_predictions_is_a_difference_of_variances():
    """Calibrated risks: mean among events minus mean among others is var(risk) / (rate (1 - rate))."""
    y, old, new = cohort(20_000, 2, censored=False)
    found = reclassification(y, old, new, resamples=0)
    rate = (1 - new).mean()
    assert found["idi"] == pytest.approx((new.var() - old.var()) / (rate * (1 - rate)), abs=0.01)


def test_identical_models_give_zero_and_exchanged_models_the_opposite():
    y, old, new = cohort(150, 3)
    same = reclassification(y, old, old.copy(), resamples=20).table
    assert (same[["estimate", "lower", "upper"]] == 0).all(axis=None)
    # Repeats averaged in another order differ in the last digit, which moves nobody.
    assert reclassification(y, old, old * (1 + 1e-16) + 1e-16, resamples=0)["nri"] == 0
    there, back = (reclassification(y, *pair, resamples=0).table for pair in ((old, new), (new, old)))
    np.testing.assert_allclose(there["estimate"], -back["estimate"], rtol=1e-12, atol=1e-14)


def test_nri_sees_only_the_direction_and_order_of_patients_does_not_matter():
    y, old, new = cohort(150, 4)
    first = reclassification(y, old, new, resamples=0)
    halved = reclassification(y, old, old + (new - old) / 2, resamples=0)
    assert halved["nri"] == pytest.approx(first["nri"], abs=1e-12)
    assert halved["idi"] == pytest.approx(first["idi"] / 2, abs=1e-12)
    turn = np.random.default_rng(0).permutation(150)
    again = reclassification(y.take(turn), old[turn], new[turn], resamples=0).table
    np.testing.assert_allclose(again["estimate"], first.table["estimate"], rtol=0, atol=1e-12)


def test_a_perfect_model_reaches_the_limits():
    y, _, _ = cohort(200, 5, censored=False)
    found = reclassification(y, np.full(200, 0.5), np.where(y.time_months <= 60, 0.0, 1.0), resamples=0)
    np.testing.assert_allclose([found[name] for name in IPCW], [2, 1, 1, 1, 0.5, 0.5], rtol=0, atol=1e-12)


def test_the_weakness_that_is_told():
    """The same ranking made too extreme, so a worse model, has a positive IDI; the note says so."""
    y, old, _ = cohort(4000, 6)
    found = reclassification(y, old, old**2.5 / (old**2.5 + (1 - old) ** 2.5), resamples=0)
    assert found["idi"] > 0.05
    assert found.notes == (CAUTION,)
    assert "miscalibrated" in found._repr_html_()


def test_bootstrap_limits_follow_the_seed_and_hold_the_estimate():
    y, old, new = cohort(200, 7)
    first, again, other = (
        reclassification(y, old, new, resamples=100, random_state=seed).to_frame() for seed in (1, 1, 2)
    )
    pd.testing.assert_frame_equal(first, again)
    assert not first["lower"].equals(other["lower"])
    assert ((first["lower"] < first["estimate"]) & (first["estimate"] < first["upper"])).all()
    assert np.isnan(reclassification(y, old, new, resamples=0).table["lower"]).all()


def test_bootstrap_limits_cover_the_truth():
    """IDI, 60 cohorts of 200 against the value in 200,000 uncensored patients."""
    truth = reclassification(*cohort(200_000, 8, censored=False), resamples=0)["idi"]
    inside = 0
    for seed in range(60):
        found = reclassification(*cohort(200, 2000 + seed), resamples=100).table.iloc[3]
        inside += found["lower"] < truth < found["upper"]
    assert 53 <= inside <= 59


def test_follow_up_that_ends_at_the_horizon_by_design():
    y, old, new = cohort(300, 9)
    found = reclassification(y.censor_at(60), old, new, resamples=0)
    expected = reclassification(y, old, new, resamples=0)
    np.testing.assert_allclose(found.table["estimate"], expected.table["estimate"], rtol=0, atol=1e-12)
    assert found.nonevents == expected.nonevents


def test_messy_input():
    y = Outcome([10, 20, 60, 70, 80], [1, 1, 0, 0, 1], simulated=True)
    found = reclassification(y, [0.2, np.nan, 0.5, 0.6, 0.7], [0.1, 0.3, 0.6, 0.7, 0.8], resamples=30)
    assert found.patients == 4
    assert any("1 patients without both" in note for note in found.notes)
    assert found.to_frame()["simulated"].all()
    ends = Outcome([10, 20, 60, 70], [1, 0, 0, 0])
    early = reclassification(ends, [0.5, 0.5, 0.5, 0.5], [0.4, 0.4, 0.6, 0.6], resamples=0)
    assert np.isnan(early["nri_kaplan_meier"])
    assert early["nri"] == 2
    assert any("no NRI by Kaplan-Meier" in note for note in early.notes)


def test_what_is_refused():
    y, half = Outcome([10, 20, 60], [1, 0, 0]), [0.5, 0.5, 0.5]
    with pytest.raises(CohortError, match="shape"):
        reclassification(y, half, [0.5])
    with pytest.raises(CohortError, match="outside 0 to 1"):
        reclassification(y, half, [1.5, 0.5, 0.5])
    with pytest.raises(CohortError, match="no patient"):
        reclassification(y, half, [np.nan] * 3)
    with pytest.raises(HorizonError, match="nobody is followed"):
        reclassification(y, half, half, horizon_months=61)
    with pytest.raises(HorizonError, match="nobody had"):
        reclassification(y, half, half, horizon_months=5)
    with pytest.raises(HorizonError, match="nobody is known to be free"):
        reclassification(Outcome([10, 20, 60], [1, 0, 1]), half, half)
