"""Bootstrap validation against R's rms::validate, and the .632+ estimates against their definition."""

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import Pipeline

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError, ConfigError
from radiomics_npc.survival.folds import stratified_folds
from radiomics_npc.survival.metrics.brier import brier_at
from radiomics_npc.survival.metrics.concordance import harrell_c
from radiomics_npc.survival.models.cox import CoxModel
from radiomics_npc.survival.models.prognostic import PrognosticModel
from radiomics_npc.survival.selection.filters import UnivariateFilter
from radiomics_npc.survival.validation.indexes import gini_mean_difference, risk_indexes
from radiomics_npc.survival.validation.optimism import bootstrap_validate, no_information_brier, plus_632
from radiomics_npc.survival.validation.recalibration import RecalibratedModel, fit_slope
from radiomics_npc.survival.validation.resample_fits import brier_losses


def noise(n: int, p: int, seed: int) -> tuple[pd.DataFrame, Outcome]:
    random = np.random.default_rng(seed)
    names = [f"t1__original__glcm__F{k}" for k in range(p)]
    X = pd.DataFrame(random.normal(size=(n, p)), columns=names, index=[f"{k:03d}" for k in range(n)])
    time, lost = random.exponential(60, n), random.uniform(10, 100, n)
    return X, Outcome(np.minimum(time, lost), time <= lost, X.index)


@pytest.fixture(scope="module")
def given(gbsg, table):
    """R's own 30 samples."""
    indices = table("boot_indices0").to_numpy()
    return indices, bootstrap_validate(CoxModel(min_category=1), *gbsg, indices=indices)


def test_every_sample_equals_r(given, table):
    """C to 1e-12, slope to 1e-9: R's own convergence criterion is 1e-10."""
    expected, found = table("boot_stats"), given[1].resamples
    np.testing.assert_allclose(found["harrell_c_training"], expected["C_train"], rtol=0, atol=1e-12)
    np.testing.assert_allclose(found["harrell_c_test"], expected["C_test"], rtol=0, atol=1e-12)
    np.testing.assert_allclose(found["slope_test"], expected["slope"], rtol=0, atol=1e-9)


@pytest.mark.parametrize("index", ["Dxy", "R2", "Slope", "D", "U", "Q", "g"])
def test_apparent_indexes_equal_rms(given, table, index):
    expected = table("A_validate").set_index("index").loc[index, "index.orig"]
    found = given[1].table.set_index("metric").loc[index.lower(), "apparent"]
    assert found == pytest.approx(expected, rel=0, abs=1e-9)


@pytest.mark.slow
def test_optimism_of_rms_within_monte_carlo_error(gbsg, table):
    """R drew 200 other samples: the two means differ by chance, with SE sd * sqrt(1/200 + 1/200)."""
    result = bootstrap_validate(CoxModel(min_category=1), *gbsg, resamples=200, random_state=1)
    found, expected = result.table.set_index("metric"), table("A_validate").set_index("index")
    for index in ("Dxy", "R2", "Slope", "D", "U", "Q", "g"):
        name = index.lower()
        each = result.resamples[f"{name}_training"] - result.resamples[f"{name}_test"]
        bound = 3 * each.std() * np.sqrt(2 / 200)
        assert abs(found.loc[name, "optimism"] - expected.loc[index, "optimism"]) < bound, index
    assert found.loc["slope", "corrected"] == result.shrinkage


def test_table_follows_from_the_samples(given):
    result = given[1]
    row = result.table.set_index("metric").loc["harrell_c"]
    training, test = result.resamples["harrell_c_training"], result.resamples["harrell_c_test"]
    assert row["optimism"] == pytest.approx((training - test).mean(), abs=1e-12)
    assert row["corrected"] == pytest.approx(row["apparent"] - row["optimism"], abs=1e-12)
    low, high = np.quantile(training, [0.025, 0.975]) - row["optimism"]
    assert (row["lower"], row["upper"]) == (pytest.approx(low, abs=1e-12), pytest.approx(high, abs=1e-12))
    slope = result.table.set_index("metric").loc["slope"]
    assert np.isnan([slope["lower"], slope["upper"]]).all()
    assert slope["training"] == pytest.approx(1, abs=1e-12)


def test_632_plus_equals_its_definition(given, gbsg):
    """Everything by plain loops over samples and patients."""
    (X, y), (indices, result) = gbsg, given
    model = CoxModel(min_category=1).fit(X, y)
    survival = model.predict_survival(X, [60.0])[:, 0]
    losses, c, pairs = [[] for _ in range(len(y))], [], []
    for rows in indices:
        sample = y.take(rows)
        fitted = CoxModel(min_category=1).fit(X.iloc[rows].set_axis(sample.patient_id), sample)
        left = np.setdiff1d(np.arange(len(y)), rows)
        found = harrell_c(y.take(left), fitted.predict_risk(X.iloc[left]))
        c.append(found.estimate)
        pairs.append(found.pairs)
        loss = brier_losses(y, fitted.predict_survival(X, [60.0])[:, 0], 60.0)
        for k in left:
            losses[k].append(loss[k])
    plus = result.plus.set_index("metric")
    held_brier = np.mean([np.mean(part) for part in losses if part])
    assert plus.loc["brier", "held_out"] == pytest.approx(held_brier, abs=1e-12)
    assert plus.loc["harrell_c", "held_out"] == pytest.approx(np.average(c, weights=pairs), abs=1e-12)
    assert plus.loc["brier", "apparent"] == pytest.approx(brier_at(y, survival, [60]).brier[0], abs=1e-12)
    # No information: outcomes permuted against predictions, many times.
    random = np.random.default_rng(0)
    permuted = [brier_losses(y, survival[random.permutation(len(y))], 60).mean() for _ in range(400)]
    error = np.std(permuted) / np.sqrt(400)
    assert abs(np.mean(permuted) - no_information_brier(y, survival, 60)) < 4 * error
    gamma = plus.loc["brier", "no_information"]
    overfit = (held_brier - plus.loc["brier", "apparent"]) / (gamma - plus.loc["brier", "apparent"])
    weight = 0.632 / (1 - 0.368 * overfit)
    assert plus.loc["brier", "corrected"] == pytest.approx(
        (1 - weight) * plus.loc["brier", "apparent"] + weight * held_brier, abs=1e-12
    )


def test_632_plus_at_its_ends():
    assert plus_632(0.0, 0.5, 0.5) == (0.5, 1.0, 1.0)  # all memory, no learning
    assert plus_632(0.2, 0.2, 0.5) == (pytest.approx(0.2, rel=1e-12), 0.0, 0.632)  # no optimism
    assert plus_632(0.2, 0.9, 0.5)[0] == 0.5  # worse than chance counts as chance
    assert plus_632(0.6, 0.7, 0.5)[1] == 0.0  # apparent error worse than chance
    assert np.isnan(plus_632(0.2, np.nan, 0.5)[0])


def test_indexes_of_a_perfect_an_inverted_and_an_empty_risk():
    y = Outcome(np.arange(1.0, 41), np.arange(40) % 3 > 0)
    random = np.random.default_rng(0)
    risk = -y.time_months / 20 + random.normal(size=40)
    found, turned = risk_indexes(y, risk), risk_indexes(y, -risk)
    assert found["slope"] == pytest.approx(-turned["slope"], abs=1e-12)
    assert found["dxy"] == pytest.approx(-turned["dxy"], abs=1e-12)
    assert found["r2"] == pytest.approx(turned["r2"], abs=1e-12)
    assert found["q"] == found["d"] - found["u"]
    double = risk_indexes(y, 2 * risk + 7)
    assert (double["slope"], double["g"]) == (
        pytest.approx(found["slope"] / 2, abs=1e-12), pytest.approx(found["g"], abs=1e-12),
    )  # fmt: skip
    flat = risk_indexes(y, np.zeros(40))
    assert (flat["harrell_c"], flat["slope"], flat["r2"], flat["g"]) == (0.5, 1.0, 0.0, 0.0)
    values = random.normal(size=30)
    pairs = np.abs(values[:, None] - values).sum() / (30 * 29)
    assert gini_mean_difference(values) == pytest.approx(pairs, abs=1e-12)
    with pytest.raises(CohortError, match="missing"):
        risk_indexes(y, np.full(40, np.nan))


# -- copies of a patient -----------------------------------------------------------------------


def test_copies_of_a_patient_share_a_fold():
    y = Outcome(np.arange(100.0), np.arange(100) % 3 == 0)
    sample = y.take(np.random.default_rng(0).integers(0, 100, 100))
    assert not sample.patient_id.has_duplicates
    fold = stratified_folds(sample, 5, 0)
    assert pd.Series(fold).groupby(sample.source).nunique().max() == 1
    assert np.ptp(np.bincount(fold)) <= 2
    assert np.ptp(np.bincount(fold[sample.event], minlength=5)) <= 2
    # A part of a sample still knows whose copies it holds, even where none is left twice.
    assert sample.take(np.arange(20)).source.tolist() == sample.source[:20].tolist()
    with pytest.raises(CohortError, match="source"):
        Outcome([1.0, 2.0], [1, 0], source=["a"])


def test_inner_folds_that_split_copies_would_leak():
    """Whose copies they are is taken away: held-out scores of pure noise then look far too good."""
    X, y = noise(120, 60, 0)
    sample = y.take(np.random.default_rng(1).integers(0, 120, 120))
    drawn = X.iloc[y.patient_id.get_indexer(sample.source)].set_axis(sample.patient_id)
    forgetful = Outcome(sample.time_months, sample.event, sample.patient_id)

    def held_out_c(outcome: Outcome) -> float:
        fold, risk = stratified_folds(outcome, 5, 0), np.empty(120)
        for k in range(5):
            steps = Pipeline([("few", UnivariateFilter(max_features=15)), ("cox", CoxModel(penalizer=0.01))])
            steps.fit(drawn[fold != k], outcome.take(fold != k))
            risk[fold == k] = steps.predict(drawn[fold == k])
        return harrell_c(outcome, risk, strata=fold).estimate

    assert held_out_c(forgetful) > 0.65
    assert abs(held_out_c(sample) - 0.5) < 0.1


def test_a_model_that_tunes_finds_no_signal_in_noise():
    """Selection, tuning and all again in every sample: the apparent C is a lie, the corrected one is not."""
    X, y = noise(120, 150, 3)
    model = Pipeline([("few", UnivariateFilter(max_features=8)), ("cox", CoxModel(penalizer=0.01))])
    result = bootstrap_validate(model, X, y, resamples=40, horizon_months=36)
    row, plus = result.table.set_index("metric").loc["harrell_c"], result.plus.set_index("metric")
    assert row["apparent"] > 0.72
    assert plus.loc["harrell_c", "corrected"] < 0.6 < row["apparent"] - 0.1
    assert abs(plus.loc["harrell_c", "held_out"] - 0.5) < 0.06
    assert plus.loc["harrell_c", "overfitting"] > 0.7
    assert result.shrinkage < 0.7


def test_a_standard_model_in_a_bootstrap(draw):
    X, y, _ = draw(80, 24, 1)
    model = PrognosticModel("combined", "cox", inner_folds=3)
    one = bootstrap_validate(model, X, y, resamples=3, horizon_months=48)
    assert one.table["corrected"].notna().all()
    # The slopes on own patients differ between samples, but not as slopes on others would.
    limits = one.table.set_index("metric")[["lower", "upper"]].notna().all(axis=1)
    assert sorted(limits.index[~limits]) == ["slope", "u"]
    again = bootstrap_validate(model.fit(X, y), X, y, resamples=3, horizon_months=48)
    pd.testing.assert_frame_equal(one.table, again.table, check_exact=True)


# -- shrinkage ---------------------------------------------------------------------------------


@pytest.mark.slow
def test_shrunk_model_is_calibrated_on_new_patients():
    """Twelve columns, 200 patients: the slope on 2,000 others is far from 1, and near it after shrinkage."""
    slopes = []
    for seed in range(10):
        random = np.random.default_rng(seed)
        X = pd.DataFrame(random.normal(size=(2200, 12)), columns=[f"x{k}" for k in range(12)])
        hazard = np.exp(0.5 * X["x0"] - 0.4 * X["x1"] + 0.3 * X["x2"])
        time, lost = random.exponential(40 / hazard), random.uniform(20, 90, 2200)
        y = Outcome(np.minimum(time, lost), time <= lost, X.index)
        train, new = X.iloc[:200], X.iloc[200:]
        own, others = y.take(range(200)), y.take(range(200, 2200))
        model = CoxModel().fit(train, own)
        factor = bootstrap_validate(CoxModel(), train, own, resamples=20, random_state=seed).shrinkage
        shrunk = RecalibratedModel(model, slope=factor).fit(train, own)
        slopes.append([fit_slope(others, one.predict_risk(new))[0] for one in (model, shrunk)])
    fitted, shrunk = np.mean(slopes, axis=0)
    assert fitted < 0.85
    assert abs(shrunk - 1) < 0.1


# -- messy -------------------------------------------------------------------------------------


def test_a_level_absent_from_a_sample_does_no_harm():
    random = np.random.default_rng(0)
    X = pd.DataFrame(
        {"site": pd.Categorical(["a"] * 38 + ["b"] * 20 + ["c"] * 2), "age": random.normal(size=60)}
    )
    y = Outcome(random.exponential(30, 60), random.random(60) < 0.7)
    result = bootstrap_validate(CoxModel(min_category=1), X, y, resamples=30, horizon_months=20)
    assert result.table["corrected"].notna().all()


def test_horizon_is_trimmed_to_what_every_sample_is_followed_to():
    X, y = noise(60, 2, 0)
    result = bootstrap_validate(CoxModel(), X, y.censor_at(40), resamples=5, horizon_months=60)
    assert result.horizon_months == 40
    assert "not 60" in result.notes[0]
    assert np.isfinite(result.table.set_index("metric").loc["brier", "corrected"])


def test_samples_that_fail_are_listed_and_too_many_are_refused():
    X, y = noise(60, 2, 0)

    class Fails(CoxModel):
        limit = float(np.quantile(y.time_months, 0.8))

        def fit(self, X, y):
            if y.source is not None and y.time_months[0] > self.limit:
                raise CohortError("cannot be fitted here")
            return super().fit(X, y)

    result = bootstrap_validate(Fails(), X, y, resamples=30, horizon_months=30)
    assert 0 < len(result.failures) < 15
    assert result.table["resamples"].iloc[0] == 30 - len(result.failures)
    assert set(result.failures["message"]) == {"cannot be fitted here."}
    assert "do not count" in result.notes[0]
    Fails.limit = 0.0
    with pytest.raises(CohortError, match="30 of 30 bootstrap samples"):
        bootstrap_validate(Fails(), X, y, resamples=30)


@pytest.mark.parametrize("indices", [[[0, 1]], [[0] * 59 + [60]] * 3, [[0.5] * 60] * 3, [[0] * 60]])
def test_wrong_indices_are_refused(indices):
    X, y = noise(60, 2, 0)
    with pytest.raises(ConfigError):
        bootstrap_validate(CoxModel(), X, y, indices=indices)


def test_result_says_that_patients_never_lived():
    X, y = noise(50, 2, 0)
    never = Outcome(y.time_months, y.event, y.patient_id, simulated=True)
    result = bootstrap_validate(CoxModel(), X, never, resamples=3, horizon_months=20)
    assert result.to_frame()["simulated"].all()
    assert "simulated" in result._repr_html_()
    assert "simulated" not in bootstrap_validate(CoxModel(), X, y, resamples=3, horizon_months=20).to_frame()


def test_same_result_for_any_number_of_processes():
    X, y = noise(50, 2, 0)
    one, two = (bootstrap_validate(CoxModel(), X, y, resamples=4, jobs=jobs) for jobs in (1, 2))
    pd.testing.assert_frame_equal(one.table, two.table, check_exact=True)
