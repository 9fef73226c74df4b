"""Bootstrap and jackknife intervals: R's statistics on given resamples, scipy's limits, closed forms."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import bootstrap, norm

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError, ConfigError, HorizonError
from radiomics_npc.survival.estimation.partial_likelihood import maximize_partial_likelihood
from radiomics_npc.survival.metrics.bootstrap_limits import bootstrap_limits
from radiomics_npc.survival.metrics.concordance import concordance_difference, harrell_c
from radiomics_npc.survival.metrics.intervals import (
    bootstrap_difference,
    bootstrap_interval,
    jackknife_interval,
)
from radiomics_npc.survival.metrics.resampling import bootstrap_rows
from radiomics_npc.survival.models.cox import CoxModel


def c_index(y, risk):
    return harrell_c(y, risk).estimate


def drawn(n, seed=0):
    random = np.random.default_rng(seed)
    risk = random.normal(size=n)
    time, lost = random.exponential(np.exp(-risk)) * 40, random.uniform(10, 120, n)
    return Outcome(np.minimum(time, lost), time <= lost), risk + random.normal(size=n)


def test_statistics_on_given_resamples_equal_r(gbsg, table):
    """A Cox model refitted in each of R's samples: C there and on the patients to 1e-12, slope to 1e-9."""
    (X, y), expected = gbsg, table("boot_stats")
    tested = []

    def refitted(sample, rows):
        data = X.iloc[rows].set_axis(sample.patient_id)
        model = CoxModel().fit(data, sample)
        risk = model.predict_risk(X)
        slope = maximize_partial_likelihood(risk[:, None], y)[0][0]
        tested.append((c_index(y, risk), slope))
        return c_index(sample, risk[rows])

    found = bootstrap_interval(
        refitted, y, np.arange(len(y)), indices=table("boot_indices0").to_numpy(), method="percentile"
    )
    np.testing.assert_allclose(found.replicates, expected["C_train"], rtol=0, atol=1e-12)
    on_patients = np.array(tested[1:])  # the first fit is on the patients themselves
    np.testing.assert_allclose(on_patients[:, 0], expected["C_test"], rtol=0, atol=1e-12)
    np.testing.assert_allclose(on_patients[:, 1], expected["slope"], rtol=0, atol=1e-9)
    low, high = np.quantile(expected["C_train"], [0.025, 0.975])
    assert (found.lower, found.upper) == pytest.approx((low, high), abs=1e-12)
    assert found.bias == pytest.approx(expected["C_train"].mean() - found.estimate, abs=1e-12)


@pytest.mark.parametrize(
    ("ours", "theirs"), [("bca", "BCa"), ("percentile", "percentile"), ("basic", "basic")]
)
def test_limits_equal_scipys(ours, theirs):
    """On the same resamples, a ratio that is skewed and biased; tolerance 1e-12."""
    y, risk = drawn(40)
    data = y.time_months * np.exp(risk)

    def ratio(x):
        return x.std() / x.mean()

    expected = bootstrap(
        (data,), ratio, vectorized=False, n_resamples=500, method=theirs, confidence_level=0.9,
        rng=np.random.default_rng(3),
    )  # fmt: skip
    found = bootstrap_interval(
        lambda _, x: ratio(x), y, data, resamples=500, method=ours, confidence=0.9, random_state=3
    )
    np.testing.assert_allclose(
        np.sort(found.replicates), np.sort(expected.bootstrap_distribution), rtol=1e-12, atol=1e-14
    )
    assert found.lower == pytest.approx(expected.confidence_interval.low, abs=1e-12)
    assert found.upper == pytest.approx(expected.confidence_interval.high, abs=1e-12)
    assert found.se == pytest.approx(expected.standard_error, abs=1e-12)


def test_bca_of_c_equals_scipys(gbsg, table):
    """Harrell's C of R's model A by patient number; tolerance 1e-12."""
    y, lp = gbsg[1], table("A_pred")["lp"].to_numpy()
    part, risk = y.take(range(150)), lp[:150]
    expected = bootstrap(
        (np.arange(150),), lambda rows: c_index(part.take(rows), risk[rows]), vectorized=False,
        n_resamples=300, rng=np.random.default_rng(0),
    )  # fmt: skip
    found = bootstrap_interval(c_index, part, risk, resamples=300, random_state=0)
    assert found.lower == pytest.approx(expected.confidence_interval.low, abs=1e-12)
    assert found.upper == pytest.approx(expected.confidence_interval.high, abs=1e-12)


def test_given_indices_are_the_drawn_ones():
    y, risk = drawn(60)
    rows = np.stack(list(bootstrap_rows(60, 80, 5)))
    first = bootstrap_interval(c_index, y, risk, resamples=80, random_state=5)
    second = bootstrap_interval(c_index, y, risk, indices=rows)
    np.testing.assert_array_equal(first.replicates, second.replicates)
    assert (first.lower, first.upper) == (second.lower, second.upper)
    other = bootstrap_interval(c_index, y, risk, resamples=80, random_state=6)
    assert not np.array_equal(first.replicates, other.replicates)


def test_jackknife_closed_forms():
    """Of the mean it is sd / sqrt(n), and it takes the bias of the plug-in variance for what it is."""
    y, x = drawn(50)
    mean = jackknife_interval(lambda _, x: x.mean(), y, x)
    assert mean.se == pytest.approx(x.std(ddof=1) / np.sqrt(50), abs=1e-14)
    assert mean.bias == pytest.approx(0, abs=1e-12)
    reach = norm.ppf(0.975) * mean.se
    assert (mean.lower, mean.upper) == pytest.approx((x.mean() - reach, x.mean() + reach), rel=1e-12)
    variance = jackknife_interval(lambda _, x: x.var(), y, x)
    assert variance.estimate - variance.bias == pytest.approx(x.var(ddof=1), abs=1e-12)


def test_methods_agree_with_the_infinitesimal_jackknife(gbsg, table):
    """Standard errors of C in 250 patients, from three sources, within 6%."""
    y, lp = gbsg[1].take(range(250)), table("A_pred")["lp"].to_numpy()[:250]
    expected = harrell_c(y, lp).se
    assert jackknife_interval(c_index, y, lp).se == pytest.approx(expected, rel=0.03)
    assert bootstrap_interval(c_index, y, lp, method="basic").se == pytest.approx(expected, rel=0.06)


def test_difference_is_paired(gbsg, table):
    """On the same resamples: close to the SE of R's paired comparison, far below that of two cohorts."""
    y, scores = gbsg[1].take(range(300)), table("cdiff_scores").iloc[:300]
    first, second = scores["lp1"].to_numpy(), scores["lp2"].to_numpy()
    exact = concordance_difference(harrell_c(y, first), harrell_c(y, second))
    found = bootstrap_difference(c_index, y, first, second, resamples=300)
    assert found.estimate == pytest.approx(exact.estimate, abs=1e-14)
    assert found.se == pytest.approx(exact.se, rel=0.1)
    assert found.se < 0.9 * np.hypot(harrell_c(y, first).se, harrell_c(y, second).se)
    assert found.lower < found.estimate < found.upper
    same = bootstrap_difference(c_index, y, first, first, resamples=50)
    assert (same.estimate, same.lower, same.upper) == (0, 0, 0)
    turned = bootstrap_difference(c_index, y, second, first, resamples=100, method="percentile")
    there = bootstrap_difference(c_index, y, first, second, resamples=100, method="percentile")
    assert (turned.lower, turned.upper) == pytest.approx((-there.upper, -there.lower), abs=1e-14)


def test_undefined_resamples_are_counted_and_said():
    """One event among 20 patients: about a third of the resamples hold no pair."""
    y = Outcome(np.arange(1.0, 21.0), np.arange(20) == 3)
    found = bootstrap_interval(c_index, y, np.cos(np.arange(20.0)), resamples=200)
    rows = np.stack(list(bootstrap_rows(20, 200, 0)))
    assert found.undefined == int((~(rows == 3).any(axis=1)).sum())
    assert f"undefined in {found.undefined} of 200 resamples" in found.note
    assert "too many" in found.note
    assert np.isnan(found.lower)
    assert found.note in found._repr_html_()
    assert found.to_frame()["undefined"].item() == found.undefined
    left_out = jackknife_interval(c_index, y, np.cos(np.arange(20.0)))
    assert left_out.undefined == 1
    assert np.isfinite(left_out.lower)
    assert "1 of 20 patients left out" in left_out.note


def test_few_undefined_resamples_leave_an_interval():
    y, risk = drawn(40)

    def moody(sample, risk):
        if np.isclose(risk, risk[0]).sum() > 3:
            raise HorizonError("not here")
        return c_index(sample, risk)

    found = bootstrap_interval(moody, y, risk, resamples=300, method="percentile")
    assert 0 < found.undefined < 30
    known = found.replicates[~np.isnan(found.replicates)]
    assert (found.lower, found.upper) == pytest.approx(tuple(np.quantile(known, [0.025, 0.975])), rel=1e-12)


def test_other_errors_are_not_swallowed():
    y, risk = drawn(20)

    def broken(sample, risk):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        bootstrap_interval(broken, y, risk)


def test_perfect_model_has_no_bca_surprise():
    """Every resample gives 1: the interval is a point. Where all lie on one side there is none."""
    y = Outcome(np.arange(1.0, 31.0), np.ones(30))
    found = bootstrap_interval(c_index, y, -y.time_months, resamples=50)
    assert (found.lower, found.upper, found.se) == (1.0, 1.0, 0.0)
    highest = bootstrap_interval(lambda y, x: float(len(np.unique(x))), y, np.arange(30.0), resamples=50)
    assert np.isnan(highest.lower)
    assert "one side" in highest.note


def test_limits_by_hand():
    draws = np.arange(101.0)
    assert bootstrap_limits(40, draws, method="basic", confidence=0.5) == (5, 55)
    # Without skewness BCa moves both limits by twice the bias on the normal scale.
    low, high = bootstrap_limits(59.5, draws, confidence=0.9, left_out=np.full(5, np.nan))
    moved = norm.cdf(2 * norm.ppf(60 / 101) + norm.ppf([0.05, 0.95]))
    assert (low, high) == pytest.approx(tuple(100 * moved), abs=1e-12)
    with pytest.raises(ConfigError, match="without each patient"):
        bootstrap_limits(40, draws)


def test_tables_and_series_are_resampled_by_row():
    y, risk = drawn(30)
    frame = pd.DataFrame({"risk": risk}, index=y.patient_id)
    as_frame = bootstrap_interval(lambda y, p: c_index(y, p["risk"]), y, frame, resamples=30)
    as_array = bootstrap_interval(c_index, y, risk, resamples=30)
    np.testing.assert_array_equal(as_frame.replicates, as_array.replicates)


def test_coverage():
    """The mean of skewed numbers: 100 samples of 30, the BCa interval covers in 85 to 99%."""
    random = np.random.default_rng(1)
    y, hits = Outcome(np.ones(30), np.ones(30)), 0
    for k in range(100):
        x = random.exponential(size=30)
        found = bootstrap_interval(lambda _, x: x.mean(), y, x, resamples=100, random_state=k)
        hits += found.lower < 1 < found.upper
    assert 0.85 <= hits / 100 <= 0.99


def test_simulated_patients_are_said():
    y = Outcome(np.arange(1.0, 21.0), np.ones(20), simulated=True)
    found = bootstrap_interval(c_index, y, np.cos(y.time_months), resamples=30)
    assert found.to_frame()["simulated"].all()
    assert "simulated" in repr(found)
    assert "simulated" in found._repr_html_()


def test_what_is_refused():
    y, risk = drawn(20)
    with pytest.raises(CohortError, match="19 predictions"):
        bootstrap_interval(c_index, y, risk[1:])
    with pytest.raises(CohortError, match="19 predictions"):
        bootstrap_difference(c_index, y, risk, risk[1:])
    with pytest.raises(ConfigError, match="studentized"):
        bootstrap_interval(c_index, y, risk, method="studentized")
    with pytest.raises(ConfigError, match="confidence"):
        jackknife_interval(c_index, y, risk, confidence=95)
    for wrong in (np.zeros((3, 19), int), np.full((3, 20), 20), np.full((3, 20), -1), np.zeros((3, 20))):
        with pytest.raises(CohortError, match="positions"):
            bootstrap_interval(c_index, y, risk, indices=wrong)
    nobody = Outcome(y.time_months, np.zeros(20))
    for measure in (bootstrap_interval, jackknife_interval):
        with pytest.raises(CohortError, match="undefined for these patients"):
            measure(c_index, nobody, risk)
