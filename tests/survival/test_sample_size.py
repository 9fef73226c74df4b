"""Sample size against the numbers that pmsampsize publishes, and against its own formulas turned round."""

import math

import numpy as np
import pytest

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError, ConfigError
from radiomics_npc.survival.models.cohort_size import sample_size_warnings
from radiomics_npc.survival.models.sample_size import r2_from_c_index, sample_size


def needed(r2, parameters, rate, years, follow_up, **options):
    return sample_size(
        parameters, event_rate_per_year=rate, mean_follow_up_months=12 * follow_up,
        horizon_months=12 * years, r2_cox_snell=r2, **options,
    )  # fmt: skip


def test_worked_example_of_pmsampsize():
    """Riley 2019, section 5.2, and the tests of pmsampsize 1.1: 5143, 1039, 5143; 23.07 events each."""
    found = needed(0.051, 30, 0.065, 2, 2.07)
    assert (found.n_shrinkage, found.n_optimism, found.n) == (5143, 1039, 5143)
    assert round(found.events) == 692
    assert round(found.events_per_parameter, 2) == 23.07
    assert round(found.r2_max, 3) == 0.555
    table = found.to_frame().set_index("criterion")
    assert table.loc["final", "n"] == 5143
    assert round(table.loc["small optimism of R2", "events_per_parameter"], 2) == 4.66
    assert [round(risk, 3) for risk in found.risk_at_horizon] == [0.122, 0.113, 0.130]


@pytest.mark.parametrize(
    ("r2", "parameters", "rate", "years", "follow_up", "n", "each"),
    [
        (0.051, 25, 0.065, 2, 2.07, 4286, 23.07),
        (0.065, 25, 0.065, 2, 2.07, 3335, 17.95),
        (0.051, 50, 0.065, 2, 2.07, 8572, 23.07),
        (0.051, 25, 0.100, 2, 2.07, 4286, 35.49),
        (0.051, 25, 0.065, 4, 2.07, 4286, 23.07),
        (0.051, 25, 0.065, 2, 4.00, 4286, 44.57),
        (0.060, 40, 0.080, 3, 5.00, 5798, 57.98),
        (0.030, 10, 0.090, 3, 3.00, 2950, 79.65),
    ],
)
def test_first_criterion_in_the_tests_of_pmsampsize(r2, parameters, rate, years, follow_up, n, each):
    """Its second criterion was rounded before version 1.1.1, so only the first is compared there."""
    found = needed(r2, parameters, rate, years, follow_up)
    assert found.n == found.n_shrinkage == n
    assert round(found.events_per_parameter, 2) == each


def test_second_criterion_may_decide():
    """pmsampsize's ninth case: 1974 by the first criterion, 2279 (here 2272, without its rounding)."""
    found = needed(0.3, 80, 0.03, 1, 5)
    assert found.n_shrinkage == 1974
    assert found.n == found.n_optimism == 2272
    # With the largest R2 rounded to two digits and the shrinkage to three, as there:
    shrinkage = round(0.3 / (0.3 + 0.05 * round(found.r2_max, 2)), 3)
    assert math.ceil(80 / ((shrinkage - 1) * math.log(1 - 0.3 / shrinkage))) == 2279


def test_each_criterion_holds_at_its_number_and_not_below():
    found = needed(0.2, 3, 0.3, 3, 4)
    for n, shrinkage in ((found.n_shrinkage, 0.9), (found.n_optimism, found.shrinkage_optimism)):
        # Riley 2019, equation 10: the shrinkage of n patients is 1 + p / (n ln(1 - R2 / shrinkage)).
        assert 1 + 3 / (n * math.log(1 - 0.2 / shrinkage)) >= shrinkage
        assert 1 + 3 / ((n - 1) * math.log(1 - 0.2 / shrinkage)) < shrinkage
    rate, years = 0.3, 3
    margins = [
        math.exp(-rate * years) - math.exp(-(rate + 1.96 * math.sqrt(rate / (n * 4))) * years)
        for n in (found.n_risk, found.n_risk - 1)
    ]
    assert margins[0] <= 0.05 < margins[1]
    assert found.n == max(found.n_shrinkage, found.n_optimism, found.n_risk)


def test_precise_risk_decides_for_a_strong_model_of_one_parameter():
    found = needed(0.5, 1, 0.3, 3, 4)
    assert found.n == found.n_risk > found.n_shrinkage
    _, low, high = found.risk_at_horizon
    assert high - found.risk_at_horizon[0] == pytest.approx(0.05, abs=0.001)
    assert low < high


def test_c_index_to_r2_follows_jinks_and_riley():
    """D of C = 0.7 is 5.5 x 0.2 + 10.26 x 0.008; back from R2 to D by the inverse formulas."""
    r2 = r2_from_c_index(0.7, 0.4)
    quigley = 1 - (1 - r2) ** (1 / 0.4)
    k = math.pi**2 / 6
    royston = quigley / (k + (1 - k) * quigley)
    assert math.sqrt(8 / math.pi * k * royston / (1 - royston)) == pytest.approx(1.1 + 0.08208, rel=1e-12)
    assert r2_from_c_index(0.5000001, 0.4) == pytest.approx(0, abs=1e-11)
    values = [r2_from_c_index(c, 0.4) for c in np.linspace(0.51, 0.95, 20)]
    assert (np.diff(values) > 0).all()


def test_c_index_to_r2_is_near_the_truth_of_a_large_cohort():
    """Normal log hazard, uncensored: Harrell's C against the Cox-Snell R2 of the fitted model."""
    from radiomics_npc.survival.metrics.concordance import harrell_c
    from radiomics_npc.survival.metrics.explained_variation import explained_variation

    random = np.random.default_rng(0)
    lp = random.normal(0, 0.8, 4000)
    time, lost = random.exponential(np.exp(-lp)), random.exponential(1.5, 4000)
    y = Outcome(np.minimum(time, lost), time <= lost)
    expected = explained_variation(lp, y).cox_snell
    assert r2_from_c_index(harrell_c(y, lp).estimate, y.event.mean()) == pytest.approx(expected, rel=0.2)


def test_without_r2_or_c_a_weak_model_is_assumed():
    found = needed(None, 10, 0.1, 5, 4)
    assert found.r2_cox_snell == pytest.approx(0.15 * found.r2_max, rel=1e-12)
    by_c = sample_size(10, event_rate_per_year=0.1, mean_follow_up_months=48, horizon_months=60, c_index=0.75)
    assert by_c.n < found.n


@pytest.mark.parametrize(
    "options",
    [
        {"parameters": 0},
        {"rate": 0.0},
        {"rate": float("nan")},
        {"follow_up": -1},
        {"years": 0},
        {"r2": 0.0},
        {"r2": 0.9},
        {"shrinkage": 1.0},
        {"c_index": 0.7},
    ],
)
def test_impossible_numbers_are_refused(options):
    given = {"r2": 0.1, "parameters": 10, "rate": 0.1, "years": 5, "follow_up": 4} | options
    with pytest.raises(ConfigError):
        needed(**given)


@pytest.mark.parametrize("c", [0.5, 0.3, 1.0])
def test_impossible_c_is_refused(c):
    with pytest.raises(ConfigError, match="between"):
        r2_from_c_index(c, 0.4)


def cohort(n, events):
    event = np.arange(n) < events
    return Outcome(np.where(event, 20.0, 70.0), event)


def test_warnings_say_what_to_do():
    """277 patients with 60 events and 300 features: two sentences, and how many would do."""
    lines = sample_size_warnings(cohort(277, 60), 300, horizon_months=60, c_index=0.7)
    assert lines[0].startswith("60 events for 300 candidate parameters (0.2 each)")
    assert "Look at 2 parameters at most" in lines[0]
    assert "nested cross-validation" in lines[1]
    few = sample_size_warnings(cohort(30, 5), 300, horizon_months=60)
    assert "validate a published model instead" in few[0]
    assert sample_size_warnings(cohort(5000, 2000), 5, horizon_months=60, c_index=0.75) == []
    early = sample_size_warnings(cohort(5000, 2000), 5, horizon_months=71, c_index=0.75)
    assert early == ["0 patients are followed to 71 months: predict at an earlier horizon."]
    with pytest.raises(CohortError, match="no patient has an event"):
        sample_size_warnings(cohort(50, 0), 5, horizon_months=60)


def test_number_of_parameters_that_is_advised_is_enough():
    y = cohort(800, 300)
    lines = sample_size_warnings(y, 200, horizon_months=60, c_index=0.72)
    most = int(lines[0].split("Look at ")[1].split()[0])
    assert not sample_size_warnings(y, most, horizon_months=60, c_index=0.72)
    assert sample_size_warnings(y, most + 1, horizon_months=60, c_index=0.72)


def test_shown_in_a_notebook():
    shown = needed(0.051, 30, 0.065, 2, 2.07)._repr_html_()
    assert "5143 patients with about 692 events" in shown
