"""Brier score, its integral and the index of prediction accuracy: R's numbers, and what must hold for any."""

import numpy as np
import pytest
from sksurv.metrics import brier_score, integrated_brier_score

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError, HorizonError
from radiomics_npc.survival.estimation.baseline import survival_at
from radiomics_npc.survival.estimation.censoring import horizon_weights
from radiomics_npc.survival.metrics.brier import brier_at, integrated_brier, ipa, null_survival

TIMES = [12, 36, 60]
COLUMNS = (("brier", "Brier"), ("se", "se"), ("lower", "lower"), ("upper", "upper"), ("ibs", "IBS"))


@pytest.fixture(scope="module")
def predicted(gbsg, table, numbers):
    """Survival of R's model A at 12, 36 and 60 months, from R's baseline hazard and linear predictor."""
    baseline = table("A_basehaz").rename(columns={"time": "time_months", "H0_x0": "cumulative_hazard"})
    lp = table("A_pred")["lp"] + numbers("A_summary")["center"]
    return survival_at(baseline, lp, TIMES, last=gbsg[1].time_months.max())


def test_brier_of_cox_and_null_model_equals_r(gbsg, table, predicted):
    """Tolerance 1e-12 for score, standard error, limits and integral; about 1e-15 is reached."""
    y, expected = gbsg[1], table("A_brier").set_index("model")
    np.testing.assert_allclose(predicted[:, 1:], table("A_pred")[["S36", "S60"]], rtol=0, atol=1e-12)
    for model, survival in (("cox", predicted), ("Null model", null_survival(y, TIMES))):
        found = brier_at(y, survival, TIMES).to_frame()
        for ours, theirs in COLUMNS:
            np.testing.assert_allclose(found[ours], expected.loc[model, theirs], rtol=0, atol=1e-12)


def test_ipa_equals_r(gbsg, table, predicted):
    brier = table("A_brier").set_index("model")["Brier"]
    expected = 1 - brier["cox"].to_numpy() / brier["Null model"].to_numpy()
    np.testing.assert_allclose(ipa(gbsg[1], predicted, TIMES), expected, rtol=0, atol=1e-11)
    np.testing.assert_allclose(brier_at(gbsg[1], predicted, TIMES).ipa, expected, rtol=0, atol=1e-11)
    assert integrated_brier(gbsg[1], predicted, TIMES) == pytest.approx(
        table("A_brier").query("model == 'cox' and times == 60")["IBS"].item(), abs=1e-12
    )


def test_against_scikit_survival(gbsg, predicted):
    """Where time and horizon do not tie it weighs the same; tolerance 1e-12."""
    random = np.random.default_rng(0)
    time, lost = random.exponential(40, 300), random.uniform(10, 90, 300)
    y = Outcome(np.minimum(time, lost), time <= lost)
    when = np.linspace(1, 60, 30)
    survival = np.exp(-random.exponential(1, 300)[:, None] * when / 40)
    expected = brier_score(y.to_structured(), y.to_structured(), survival, when)[1]
    np.testing.assert_allclose(brier_at(y, survival, when).brier, expected, rtol=0, atol=1e-12)
    # Its integral is by trapezoids from the first time on: on a fine grid nearly the same.
    fine = np.linspace(y.time_months.min(), 60, 2000)
    survival = np.exp(-random.exponential(1, 300)[:, None] * fine / 40)
    trapezoid = integrated_brier_score(y.to_structured(), y.to_structured(), survival, fine)
    assert integrated_brier(y, survival, fine) == pytest.approx(trapezoid, abs=2e-4)


def test_standard_error_is_the_jackknifes():
    """The censoring distribution is estimated anew without each patient: the same to 2%, with ties."""
    random = np.random.default_rng(1)
    n = 250
    time, lost = random.exponential(40, n).round() + 1, random.exponential(50, n).round() + 1
    y = Outcome(np.minimum(time, lost), time <= lost)
    survival = random.uniform(0.2, 0.9, n)
    parts = [np.delete(np.arange(n), k) for k in range(n)]
    left_out = np.array([brier_at(y.take(rows), survival[rows], [30]).brier[0] for rows in parts])
    jackknife = np.sqrt((n - 1) / n * np.sum((left_out - left_out.mean()) ** 2))
    assert brier_at(y, survival, [30]).se[0] == pytest.approx(jackknife, rel=0.02)


def test_without_censoring_it_is_the_mean_squared_error():
    random = np.random.default_rng(2)
    y, survival = Outcome(random.exponential(30, 80), np.ones(80)), random.random(80)
    error = (1.0 * (y.time_months > 20) - survival) ** 2
    found = brier_at(y, survival, [20])
    assert found.brier[0] == pytest.approx(error.mean(), abs=1e-14)
    assert found.se[0] == pytest.approx(error.std(ddof=1) / np.sqrt(80), abs=1e-14)


def test_perfect_null_and_wrong_models():
    y = Outcome(np.arange(1.0, 41), np.arange(40) % 3 > 0)
    event, free, _ = horizon_weights(y, 20)
    found = brier_at(y, free.astype(float), [20])
    assert (found.brier[0], found.ipa[0]) == (0.0, 1.0)
    assert ipa(y, null_survival(y, [20]), [20])[0] == pytest.approx(0, abs=1e-15)
    assert brier_at(y, event.astype(float), [20]).ipa[0] < 0
    before = brier_at(y, np.ones((40, 1)), [0.5])  # nobody had the event: one number is perfect
    assert before.brier[0] == 0
    assert np.isnan(before.ipa[0])


def test_order_of_patients_does_not_matter():
    random = np.random.default_rng(3)
    y, survival = Outcome(random.integers(1, 30, 60), random.random(60) < 0.6), random.random((60, 2))
    turn = random.permutation(60)
    first, second = brier_at(y, survival, [8, 20]), brier_at(y.take(turn), survival[turn], [8, 20])
    np.testing.assert_allclose(second.to_frame(), first.to_frame(), rtol=0, atol=1e-14)


def test_right_predictions_are_best_in_spite_of_censoring():
    """A proper score: the true probabilities beat distorted ones, and score what they should."""
    random = np.random.default_rng(4)
    n = 20_000
    rate = np.exp(random.normal(size=n))
    death, lost = random.exponential(1 / rate), random.exponential(1.0, n)
    y = Outcome(np.minimum(death, lost), death <= lost)
    true = np.exp(-rate * 0.8)
    found = brier_at(y, true, [0.8])
    assert abs(found.brier[0] - np.mean(true * (1 - true))) < 3 * found.se[0]
    for wrong in (true**2, np.sqrt(true), np.full(n, true.mean())):
        assert brier_at(y, wrong, [0.8]).brier[0] > found.brier[0]


def test_integral_of_step_functions_is_exact():
    """On all follow-up times: against the area under the score on a fine grid."""
    random = np.random.default_rng(5)
    y = Outcome(random.integers(1, 25, 60), random.random(60) < 0.6)
    y = Outcome(y.time_months + 0.5 * ~y.event, y.event)
    last = float(y.time_months[y.event].max())
    when = np.unique(y.time_months[y.time_months <= last])
    fine = (np.arange(4000) + 0.5) * last / 4000
    area = (horizon_weights(y, fine)[2] * (horizon_weights(y, fine)[1] - null_survival(y, fine)) ** 2).mean()
    assert integrated_brier(y, null_survival(y, when), when) == pytest.approx(area, abs=1e-3)


def test_everyone_censored_and_follow_up_that_ends_at_the_horizon():
    y = Outcome([60.0] * 10, np.zeros(10))
    found = brier_at(y, np.full(10, 0.9), [60])
    assert found.brier[0] == pytest.approx(0.01, rel=1e-12)
    assert np.isnan(found.ipa[0])
    assert len(brier_at(y, np.empty((10, 0)), []).to_frame()) == 0


def test_simulated_patients_are_said():
    y = Outcome([10, 20, 50, 60], [0, 1, 1, 0], simulated=True)
    found = brier_at(y, [0.5] * 4, [36])
    assert found.to_frame()["simulated"].all()
    assert "simulated" in found._repr_html_()


def test_what_is_refused():
    y = Outcome([10, 20, 50, 60], [0, 1, 1, 0])
    with pytest.raises(HorizonError, match="nobody is followed to 72"):
        brier_at(y, [0.5] * 4, [72])
    with pytest.raises(HorizonError):
        brier_at(y, [0.5] * 4, [-1])
    with pytest.raises(CohortError, match="missing"):
        brier_at(y, [0.5, 0.5, 0.5, np.nan], [36])
    with pytest.raises(CohortError, match="no probability"):
        brier_at(y, [0.5, 0.5, 0.5, 2.3], [36])
    with pytest.raises(CohortError, match="shape"):
        brier_at(y, [0.5] * 4, [12, 36])
    with pytest.raises(CohortError, match="ascend"):
        brier_at(y, np.full((4, 2), 0.5), [36, 12])
    with pytest.raises(CohortError, match="too few"):
        brier_at(Outcome([10], [0]), [0.5], [5])
    with pytest.raises(CohortError, match="no time"):
        integrated_brier(y, np.empty((4, 0)), [])
