"""Net benefit of survival predictions."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from lifelines import KaplanMeierFitter

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError, ConfigError, HorizonError
from radiomics_npc.survival.estimation.kaplan_meier import kaplan_meier
from radiomics_npc.survival.metrics.decision_curve import decision_curve
from radiomics_npc.survival.metrics.horizon import survival_in_subsets

REFERENCE = Path(__file__).resolve().parents[1] / "reference" / "dcurves_gbsg.csv"


def cohort(n: int, seed: int, *, censored: bool = True) -> tuple[Outcome, pd.DataFrame]:
    """Predictions that are true, and others that are noise."""
    random = np.random.default_rng(seed)
    hazard = 0.5 * np.exp(random.normal(size=n))
    time = random.exponential(60 / hazard)
    lost = random.uniform(20, 200, n) if censored else np.full(n, np.inf)
    y = Outcome(np.minimum(time, lost), time <= lost)
    return y, pd.DataFrame({"true": np.exp(-hazard), "noise": random.uniform(0.3, 0.9, n)}, y.patient_id)


@pytest.mark.parametrize("months", [36, 60])
def test_equals_dcurves(gbsg, table, months):
    """tests/reference/dcurves_gbsg.csv: dcurves 1.1.7 for Python, with lifelines' Kaplan-Meier; to 1e-10."""
    expected = pd.read_csv(REFERENCE).query("months == @months")
    y, risk = gbsg[1], 1 - table("A_pred")[f"S{months}"].to_numpy()
    predicted = pd.DataFrame({"cox": 1 - risk, "shrunk": 0.9 - 0.5 * risk}, y.patient_id)
    found = decision_curve(y, predicted, horizon_months=months, thresholds=np.arange(1, 20) * 0.05).to_frame()
    for model, name in (("cox", "cox"), ("shrunk", "shrunk"), ("all", "treat_all")):
        theirs, ours = expected[expected["model"] == model], found[found["model"] == name]
        np.testing.assert_allclose(ours["threshold"], theirs["threshold"], rtol=0, atol=1e-12)
        np.testing.assert_allclose(ours["treated"], theirs["treated"], rtol=0, atol=1e-12)
        some = theirs["net_benefit"].notna().to_numpy()
        np.testing.assert_allclose(ours["net_benefit"][some], theirs["net_benefit"][some], rtol=0, atol=1e-10)
        np.testing.assert_allclose(
            ours["interventions_avoided"][some] / 100, theirs["avoided"][some], rtol=0, atol=1e-11
        )
        assert (~some).sum() == (months == 36) * {"cox": 2, "shrunk": 1, "treat_all": 0}[name]
    if months == 36:
        # At 0.90 the last of those treated is censored before the horizon; at 0.95 all of them have the
        # event before it, so that it is known how many, though dcurves has no number there either.
        last = found[found["model"] == "cox"].iloc[-2:]
        assert np.isnan(last["net_benefit"].iloc[0])
        assert last["net_benefit"].iloc[1] == pytest.approx(last["treated"].iloc[1], abs=1e-12)


def test_uncensored_patients_give_the_binary_net_benefit():
    y, predicted = cohort(200, 0, censored=False)
    dead = y.time_months <= 60
    found = decision_curve(y, predicted).net_benefit
    for threshold in (0.1, 0.33, 0.6):
        treated = (1 - predicted["true"] >= threshold).to_numpy()
        true, false = (treated & dead).sum() / 200, (treated & ~dead).sum() / 200
        expected = true - false * threshold / (1 - threshold)
        assert found["true"][threshold] == pytest.approx(expected, abs=1e-12)


def test_censored_patients_equal_the_formula_with_lifelines():
    y, predicted = cohort(250, 1)
    found = decision_curve(y, predicted, thresholds=[0.2, 0.4, 0.5]).net_benefit
    for model in predicted:
        for threshold in (0.2, 0.4, 0.5):
            x = (1 - predicted[model] >= threshold).to_numpy()
            s = KaplanMeierFitter().fit(y.time_months[x], y.event[x]).predict(60.0)
            expected = (1 - s) * x.mean() - s * x.mean() * threshold / (1 - threshold)
            assert found[model][threshold] == pytest.approx(expected, abs=1e-12)


def test_all_none_and_a_perfect_model():
    y, _ = cohort(300, 2, censored=False)
    dead = y.time_months <= 60
    found = decision_curve(
        y, pd.DataFrame({"perfect": np.where(dead, 0.0, 1.0), "nobody": 1.0}, y.patient_id)
    )
    rate, odds = dead.mean(), found.thresholds / (1 - found.thresholds)
    assert found.event_rate == pytest.approx(rate, abs=1e-12)
    np.testing.assert_allclose(found.net_benefit["treat_all"], rate - (1 - rate) * odds, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.net_benefit["perfect"], rate, rtol=0, atol=1e-12)
    assert (found.net_benefit[["treat_none", "nobody"]] == 0).all(axis=None)
    table = found.to_frame()
    perfect = table[table["model"] == "perfect"]
    np.testing.assert_allclose(perfect["standardized_net_benefit"], 1.0, rtol=0, atol=1e-12)
    # All of those who will not have the event are spared, and nobody else.
    np.testing.assert_allclose(perfect["interventions_avoided"], 100 * (1 - rate), rtol=0, atol=1e-9)


def test_the_truth_beats_noise_treating_all_and_treating_none():
    y, predicted = cohort(4000, 3)
    found = decision_curve(y, predicted, thresholds=np.arange(10, 70, 10) / 100).net_benefit
    for other in ("noise", "treat_all", "treat_none"):
        assert (found["true"] > found[other] - 0.005).all()
    assert (found["true"] > found["noise"] + 0.02).sum() >= 4


def test_difference_and_bootstrap_limits():
    y, predicted = cohort(200, 4)
    curves = [
        decision_curve(y, predicted, thresholds=[0.3, 0.5], resamples=200, random_state=seed)
        for seed in (1, 1, 2)
    ]
    first, again, other = (curve.to_frame() for curve in curves)
    pd.testing.assert_frame_equal(first, again)
    assert not first["lower"].equals(other["lower"])
    here = first[first["model"] != "treat_none"]
    assert ((here["lower"] < here["net_benefit"]) & (here["net_benefit"] < here["upper"])).all()
    gap = curves[0].difference("true", "noise")
    benefit = curves[0].net_benefit
    np.testing.assert_allclose(gap["difference"], benefit["true"] - benefit["noise"], rtol=1e-12, atol=1e-15)
    assert (gap["upper"] - gap["lower"] > 0.01).all()
    assert (curves[0].difference("true", "true")[["difference", "lower", "upper"]] == 0).all(axis=None)
    np.testing.assert_allclose(
        curves[0].difference("noise")["difference"],
        benefit["noise"] - benefit["treat_all"],
        rtol=1e-12,
        atol=1e-15,
    )
    with pytest.raises(ConfigError, match="no decision curve of tree"):
        curves[0].difference("tree")
    assert np.isnan(decision_curve(y, predicted).to_frame()["lower"]).all()


def test_bootstrap_equals_resampled_patients():
    """Counting each patient as often as he was drawn is the same as a table of those drawn."""
    y, predicted = cohort(80, 5)
    found = decision_curve(y, predicted, thresholds=[0.4], resamples=1, random_state=3)
    rows = np.random.default_rng(3).integers(0, 80, 80)
    sample = y.take(rows)
    again = predicted.iloc[rows].set_axis(sample.patient_id)
    expected = decision_curve(sample, again, thresholds=[0.4]).net_benefit.to_numpy()[0]
    np.testing.assert_allclose(found.draws[0, :, 0], expected, rtol=0, atol=1e-12)


def test_order_of_patients_does_not_matter():
    y, predicted = cohort(90, 6)
    turn = np.random.default_rng(0).permutation(90)
    found = decision_curve(y.take(turn), predicted.iloc[turn]).net_benefit
    pd.testing.assert_frame_equal(found, decision_curve(y, predicted).net_benefit, rtol=0, atol=1e-12)


def test_a_risk_at_the_threshold_is_treated_in_spite_of_rounding():
    y = Outcome([10, 60, 60], [1, 0, 0])
    found = decision_curve(y, pd.DataFrame({"m": [0.8, 0.7, 0.9]}, y.patient_id), thresholds=[0.1, 0.2, 0.3])
    np.testing.assert_allclose(found.treated["m"] * 3, [3, 2, 1], rtol=1e-12)


def test_treated_who_are_not_followed_to_the_horizon_give_nan_and_a_note():
    y = Outcome([10, 20, 60, 60, 70], [1, 0, 0, 1, 0], simulated=True)
    predicted = pd.DataFrame({"cox": [0.2, 0.3, 0.8, 0.9, np.nan]}, y.patient_id)
    found = decision_curve(y, predicted, thresholds=[0.15, 0.5])
    assert np.isfinite(found.net_benefit["cox"][0.15])
    assert np.isnan(found.net_benefit["cox"][0.5])
    assert any("cox: at 1 thresholds, the lowest 0.5" in note for note in found.notes)
    assert any("1 patients without a prediction" in note for note in found.notes)
    assert found.patients == 4
    assert found.to_frame()["simulated"].all()
    assert "simulated" in found._repr_html_()
    resampled = decision_curve(y, predicted, thresholds=[0.15, 0.5], resamples=10).to_frame()
    assert np.isnan(resampled["upper"][1])


def test_what_is_refused():
    y, predicted = cohort(30, 7)
    for wrong in ([0.0, 0.5], [0.5, 1.0], [], [[0.2]], [np.nan]):
        with pytest.raises(ConfigError, match="outside 0 to 1"):
            decision_curve(y, predicted, thresholds=wrong)
    with pytest.raises(ConfigError, match="Rename"):
        decision_curve(y, predicted.rename(columns={"noise": "treat_all"}))
    with pytest.raises(ConfigError, match="needs models"):
        decision_curve(y, predicted[[]])
    with pytest.raises(CohortError, match="another order"):
        decision_curve(y, predicted.iloc[::-1])
    with pytest.raises(CohortError, match="outside 0 to 1"):
        decision_curve(y, predicted + 1)
    with pytest.raises(CohortError, match="no patient"):
        decision_curve(y, predicted * np.nan)
    with pytest.raises(HorizonError, match="nobody is followed"):
        decision_curve(y, predicted, horizon_months=1e4)
    with pytest.raises(HorizonError, match="nobody had"):
        decision_curve(Outcome(np.full(30, 60.0), np.zeros(30)), predicted)


def test_kaplan_meier_in_subsets_equals_one_at_a_time():
    """With ties, empty subsets, and subsets that end early; 1e-14."""
    random = np.random.default_rng(8)
    y = Outcome(random.integers(1, 30, 80), random.random(80) < 0.6)
    member = random.random((80, 40)) < np.linspace(0, 0.3, 40)
    found = survival_in_subsets(y, member, horizon_months=20)
    assert np.isnan(found[0])
    for k in range(1, 40):
        curve = kaplan_meier(y.take(member[:, k])) if member[:, k].any() else None
        expected = np.nan if curve is None else curve.at([20])["survival"].iloc[0]
        if curve is not None and curve.survival[-1] == 0 and np.isnan(expected):
            expected = 0.0
        np.testing.assert_allclose(found[k], expected, rtol=1e-12, atol=1e-14)
    assert np.isfinite(found).sum() > 20
