"""Complete cases, chained equations, multiple imputation and Rubin's rules."""

import json

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from lifelines import NelsonAalenFitter
from scipy.stats import t as student
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from statsmodels.imputation.bayes_mi import MI

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError, ConfigError, ModelFileError
from radiomics_npc.survival.models.boosting import BoostedModel
from radiomics_npc.survival.models.cox import CoxModel
from radiomics_npc.survival.models.multiply_imputed import MultiplyImputedModel
from radiomics_npc.survival.models.prognostic import PrognosticModel
from radiomics_npc.survival.preprocessing.imputation import SimpleImputation, complete_cases
from radiomics_npc.survival.preprocessing.imputation_columns import ImputationColumns
from radiomics_npc.survival.preprocessing.iterative_imputation import IterativeImputation, chained_equations
from radiomics_npc.survival.preprocessing.multiple_imputation import MultipleImputation, nelson_aalen
from radiomics_npc.survival.preprocessing.rubins_rules import pool_coefficients
from radiomics_npc.survival.selection.filters import NearConstantFilter
from radiomics_npc.survival.validation.cross_validation import cross_validate


def draw_holes(seed: int, n: int = 240) -> tuple[pd.DataFrame, pd.DataFrame, Outcome]:
    """Table, the same with holes that depend on what stays known, and outcome; log hazards 0.7 and -0.5."""
    random = np.random.default_rng(seed)
    age = random.normal(size=n)
    volume = 0.6 * age + 0.8 * random.normal(size=n)
    sex = random.random(n) < 1 / (1 + np.exp(-volume))
    site = np.array(["roof", "side", "rear"])[np.argmax(random.gumbel(size=(n, 3)) + np.outer(
        volume, [-1, 0, 1]), axis=1)]  # fmt: skip
    stage = np.clip(np.digitize(volume + 0.7 * random.normal(size=n), [-1.0, 0.0, 1.0]), 0, 3)
    time = random.exponential(1 / (0.03 * np.exp(0.7 * volume - 0.5 * age)))
    lost = random.uniform(20, 90, n)
    X = pd.DataFrame({
        "age": age, "volume": volume,
        "sex": pd.Categorical(np.where(sex, "m", "f"), ["f", "m"]),
        "site": pd.Categorical(site, ["rear", "roof", "side"]),
        "stage": pd.Categorical([f"S{k}" for k in stage], ["S0", "S1", "S2", "S3"], ordered=True),
    }, index=pd.Index([f"{k:03d}" for k in range(n)], name="patient_id"))  # fmt: skip
    y = Outcome(np.minimum(time, lost), time <= lost, X.index)
    holes = X.copy()
    holes.loc[random.random(n) < 0.6 / (1 + np.exp(-age)), "volume"] = np.nan
    for name, share in (("sex", 0.1), ("site", 0.15), ("stage", 0.2)):
        holes.loc[random.random(n) < share, name] = np.nan
    return X, holes, y


@pytest.fixture(scope="module")
def cohort() -> tuple[pd.DataFrame, pd.DataFrame, Outcome]:
    return draw_holes(0)


# -- complete cases ------------------------------------------------------------------------------


def test_complete_cases_say_what_is_lost(cohort):
    _, holes, y = cohort
    kept, outcome, loss = complete_cases(holes, y)
    pd.testing.assert_frame_equal(kept, holes.dropna())
    assert list(outcome.patient_id) == list(kept.index)
    np.testing.assert_array_equal(outcome.event, y.loc(kept.index).event)
    assert loss.loc["any column", "missing"] == len(holes) - len(kept)
    assert loss.loc["volume", "missing"] == holes["volume"].isna().sum()
    assert loss.loc["volume", "events"] == (holes["volume"].isna() & y.event).sum()
    gained = len(holes.drop(columns="volume").dropna()) - len(kept)
    assert loss.loc["volume", "only_here"] == gained
    assert "simulated" not in loss
    some = complete_cases(holes, y, columns=["sex"])
    assert some[0]["volume"].isna().any()
    assert list(some[2].index) == ["sex", "any column"]


def test_complete_cases_of_messy_tables(cohort):
    X, holes, y = cohort
    assert complete_cases(X, y)[2]["missing"].sum() == 0
    with pytest.raises(CohortError, match="no patient has all values"):
        complete_cases(holes.assign(empty=np.nan), y)
    with pytest.raises(CohortError, match="absent: nothing"):
        complete_cases(holes, y, columns=["nothing"])
    made = Outcome(y.time_months, y.event, y.patient_id, simulated=True)
    assert complete_cases(holes, made)[2]["simulated"].all()


# -- iterative imputation ------------------------------------------------------------------------


def test_numbers_settle_where_scikit_learns_chained_equations_do(cohort):
    """Tolerance 1e-5 of a standard deviation: both stop where a round changes less than 1e-6."""
    X, holes, _ = cohort
    random = np.random.default_rng(3)
    table = holes[["age", "volume"]].assign(third=X["age"] - X["volume"] + random.normal(size=240))
    table["fourth"] = 0.5 * table["third"] + random.normal(size=240)
    table.loc[table.index[::7], "third"] = np.nan
    found = IterativeImputation(rounds=200).fit(table).transform(table)
    scaled = (table - table.mean()) / table.std(ddof=0)
    theirs = chained_equations(200, tolerance=1e-9).fit_transform(scaled.to_numpy())
    difference = (found - table.mean()) / table.std(ddof=0) - theirs
    assert (table["volume"].isna() & table["third"].isna()).sum() >= 5
    assert np.abs(difference.to_numpy()).max() < 1e-5


def test_one_column_with_holes_is_filled_by_its_regression(cohort):
    """That of least squares, which Bayesian ridge shrinks towards the mean by less than 3 in 100."""
    X, holes, _ = cohort
    table = X[["age"]].assign(volume=holes["volume"])
    lost = table["volume"].isna()
    found = IterativeImputation().fit(table).transform(table)["volume"]
    fit = sm.OLS(table["volume"][~lost], sm.add_constant(table["age"][~lost])).fit()
    inside = lost & (found > table["volume"].min()) & (found < table["volume"].max())
    slope, intercept = np.polyfit(table["age"][inside], found[inside], 1)
    np.testing.assert_allclose(found[inside], intercept + slope * table["age"][inside], rtol=0, atol=1e-11)
    assert 0.97 < slope / fit.params["age"] < 1
    # Whatever the slope, the regression passes through the means of those in whom the value is known.
    means = table[~lost].mean()
    assert intercept + slope * means["age"] == pytest.approx(means["volume"], abs=1e-12)


def test_prediction_is_nearer_to_the_truth_than_the_median(cohort):
    X, holes, _ = cohort
    lost = holes.isna()
    iterative = IterativeImputation().fit(holes).transform(holes)
    simple = SimpleImputation().fit(holes).transform(holes)
    error = [((t["volume"] - X["volume"])[lost["volume"]] ** 2).mean() for t in (iterative, simple)]
    assert error[0] < 0.7 * error[1]
    for name in ("sex", "site", "stage"):
        right = [(t[name] == X[name])[lost[name]].mean() for t in (iterative, simple)]
        assert right[0] >= right[1]
    assert (iterative["stage"] == X["stage"])[lost["stage"]].mean() > 0.5


def test_what_is_known_stays_and_kinds_of_columns_too(cohort):
    X, holes, _ = cohort
    found = IterativeImputation().fit(holes).transform(holes)
    assert not found.isna().any().any()
    assert list(found.dtypes) == list(X.dtypes)
    for name in holes:
        known = holes[name].notna()
        assert (found[name][known] == holes[name][known]).all()
    low, high = holes["volume"].min(), holes["volume"].max()
    assert found["volume"].between(low, high).all()


def test_a_patient_does_not_depend_on_other_new_patients(cohort):
    _, holes, _ = cohort
    fitted = IterativeImputation().fit(holes.iloc[:160])
    new = holes.iloc[160:]
    together = fitted.transform(new)
    alone = pd.concat([fitted.transform(new.iloc[[k]]) for k in range(len(new))])
    np.testing.assert_allclose(alone["volume"], together["volume"], rtol=0, atol=1e-12)
    for name in ("sex", "site", "stage"):
        assert list(alone[name]) == list(together[name])


def test_iterative_round_trip_and_clone(cohort):
    _, holes, y = cohort
    fitted = clone(IterativeImputation(rounds=20)).fit(holes, y)
    again = IterativeImputation.from_dict(json.loads(json.dumps(fitted.to_dict())))
    pd.testing.assert_frame_equal(again.transform(holes), fitted.transform(holes), check_exact=True)
    assert again.notes_ == fitted.notes_
    assert any(note.startswith("volume: ") for note in fitted.notes_)
    model = Pipeline([("imputation", IterativeImputation()), ("cox", CoxModel())]).fit(holes, y)
    assert np.isfinite(model.predict(holes)).all()


def test_iterative_imputation_of_messy_tables(cohort):
    _, holes, _ = cohort
    odd = holes.assign(empty=np.nan, constant=1.0)
    fitted = IterativeImputation().fit(odd)
    assert "empty" in fitted.dropped_
    filled = fitted.transform(odd)
    assert "empty" not in filled
    assert (filled["constant"] == 1.0).all()
    with pytest.raises(CohortError, match="hold text: word"):
        IterativeImputation().fit(holes.assign(word="a"))
    with pytest.raises(CohortError, match="absent: volume"):
        fitted.transform(holes.drop(columns="volume"))
    with pytest.raises(CohortError, match="site: the model does not know brain"):
        fitted.transform(odd.iloc[:2].assign(site=pd.Categorical(["brain", "roof"])))
    only = IterativeImputation().fit(holes[["volume"]])
    assert only.transform(holes[["volume"]])["volume"].isna().sum() == 0
    some = IterativeImputation(rounds=1).fit(holes)
    assert not some.converged_
    assert any("had not settled" in note for note in some.notes_)
    empty = IterativeImputation().fit(holes[[]])
    assert empty.transform(holes[[]]).shape == (240, 0)


def test_levels_are_the_nearest_rank_or_the_largest_indicator():
    X = pd.DataFrame({
        "o": pd.Categorical(["a", "b", "c", None], ["a", "b", "c"], ordered=True),
        "n": pd.Categorical(["a", "b", "c", None], ["a", "b", "c"]),
    })  # fmt: skip
    codes = ImputationColumns.learn(X)
    matrix = codes.encode(X)
    raw = matrix * codes.scale + codes.center
    np.testing.assert_allclose(raw[:3], [[0, 0, 0], [1, 1, 0], [2, 0, 1]], rtol=0, atol=1e-12)
    for values, levels in (
        ([1.6, 0.2, 0.3], ("c", "a")),
        ([0.4, 0.5, 0.2], ("a", "b")),
        ([9, 0.3, 0.4], "cc"),
    ):
        raw[3] = values
        done = codes.decode((raw - codes.center) / codes.scale, X)
        assert (done["o"].iloc[3], done["n"].iloc[3]) == tuple(levels)


# -- multiple imputation -------------------------------------------------------------------------


def test_nelson_aalen_equals_lifelines(gbsg):
    y = gbsg[1]
    fitter = NelsonAalenFitter(nelson_aalen_smoothing=False).fit(y.time_months, y.event)
    expected = fitter.cumulative_hazard_at_times(y.time_months)
    np.testing.assert_allclose(nelson_aalen(y), expected, rtol=0, atol=1e-12)


def test_tables_differ_only_where_values_are_missing(cohort):
    _, holes, y = cohort
    tables = MultipleImputation(m=4, rounds=3).complete(holes, y)
    assert len(tables) == 4
    for table in tables:
        assert not table.isna().any().any()
        for name in holes:
            known = holes[name].notna()
            assert (table[name][known] == holes[name][known]).all()
    lost = holes["volume"].isna()
    assert np.std([table["volume"][lost] for table in tables], axis=0).min() > 0
    again = MultipleImputation(m=4, rounds=3).complete(holes, y)
    pd.testing.assert_frame_equal(again[2], tables[2])
    other = MultipleImputation(m=4, rounds=3, random_state=1).complete(holes, y)
    assert not other[2].equals(tables[2])


def test_the_outcome_helps_to_complete_training_patients_only(cohort):
    _, holes, y = cohort
    opposite = Outcome(y.time_months[::-1], y.event[::-1], y.patient_id)
    first, second = (MultipleImputation(m=2, rounds=3).complete(holes, given) for given in (y, opposite))
    assert not first[0].equals(second[0])
    new = [MultipleImputation(m=2, rounds=3).fit(holes, given).transform(holes) for given in (y, opposite)]
    pd.testing.assert_frame_equal(new[0], new[1], check_exact=True)


def test_multiple_imputation_of_messy_input(cohort):
    X, holes, y = cohort
    assert all(table.equals(X) for table in MultipleImputation(m=2, rounds=3).complete(X, y))
    with pytest.raises(ConfigError, match="m is 1"):
        MultipleImputation(m=1).complete(holes, y)
    censored = Outcome(y.time_months, np.zeros(240), y.patient_id)
    with pytest.raises(CohortError, match="no patient has an event"):
        MultipleImputation().complete(holes, censored)
    assert "empty" not in MultipleImputation(m=2, rounds=3).complete(holes.assign(empty=np.nan), y)[0]
    tiny = MultipleImputation(m=2, rounds=3).complete(holes.iloc[:8], y.take(np.arange(8)))
    assert not tiny[0].isna().any().any()


@pytest.mark.slow
def test_pooled_effects_are_unbiased_and_their_intervals_cover_the_truth():
    """25 cohorts of 240, over a quarter of the volumes missing, more often in older patients.

    A mean of 25 estimates with a standard error of about 0.12 has one of 0.024; 95% intervals
    cover 22 to 25 times in 25 with probability 0.87, 21 times or more with 0.97.
    """
    truth, found, covered, wide = np.array([-0.5, 0.7]), [], [], []
    for seed in range(25):
        X, holes, y = draw_holes(100 + seed)
        table = holes[["age", "volume"]]
        model = MultiplyImputedModel(CoxModel(), m=5, rounds=3).fit(table, y)
        limits = model.pooled_.interval()
        found.append(model.pooled_.coef.to_numpy())
        covered.append((limits["lower"] < truth) & (truth < limits["upper"]))
        whole = CoxModel().fit(X[["age", "volume"]], y)
        wide.append(model.pooled_.se.to_numpy() / np.sqrt(np.diag(whole.covariance_)))
    assert np.abs(np.mean(found, axis=0) - truth).max() < 0.06
    assert (np.sum(covered, axis=0) >= 21).all()
    assert (np.mean(wide, axis=0) > [1.02, 1.08]).all()


# -- Rubin's rules -------------------------------------------------------------------------------


def test_pooling_equals_statsmodels():
    """Total variance of statsmodels' MI for a regression in seven completed tables; 1e-12."""
    random = np.random.default_rng(4)
    data = random.normal(size=(60, 4))
    data[:, 0] += data[:, 1] - 0.5 * data[:, 2]
    tables = [np.column_stack([data[:, :3], data[:, 3] + random.normal(size=60)]) for _ in range(7)]

    class Drawn:
        turn = -1

        def update(self) -> None:
            self.turn += 1
            self.data = tables[self.turn]

    theirs = MI(
        Drawn(), sm.OLS, model_args_fn=lambda d: (d[:, 0], sm.add_constant(d[:, 1:])), nrep=7, burn=0, skip=0
    )
    result = theirs.fit()
    fits = [sm.OLS(table[:, 0], sm.add_constant(table[:, 1:])).fit() for table in tables]
    pooled = pool_coefficients([fit.params for fit in fits], [fit.cov_params() for fit in fits])
    np.testing.assert_allclose(pooled.coef, result.params, rtol=0, atol=1e-12)
    np.testing.assert_allclose(pooled.covariance, result.cov_params(), rtol=0, atol=1e-12)
    np.testing.assert_allclose(pooled.lambda_, result.fmi, rtol=0, atol=1e-12)


def test_degrees_of_freedom():
    """Published: 5 tables and a relative increase in variance of 10% give 484 (SAS/STAT, PROC MI)."""
    within, m = 1.0, 5
    between = 0.1 / (1 + 1 / m)
    spread = np.sqrt(between * (m - 1) / m) * np.array([1.0, 1, 1, 1, 1]) * [-1, 1, -1, 1, 0] * np.sqrt(m / 4)
    assert spread.var(ddof=1) == pytest.approx(between, rel=1e-12)
    covariances = np.full((m, 1, 1), within)
    pooled = pool_coefficients(spread[:, None], covariances)
    assert pooled.df.iloc[0] == pytest.approx(484.0, rel=1e-12)
    assert pooled.fmi.iloc[0] == pytest.approx((0.1 + 2 / 487) / 1.1, rel=1e-12, abs=0)
    small = pool_coefficients(spread[:, None], covariances, complete_df=30)
    share = 0.1 / 1.1
    observed = 31 / 33 * 30 * (1 - share)
    assert small.df.iloc[0] == pytest.approx(484 * observed / (484 + observed), rel=1e-12)
    lower = small.interval(0.9)["lower"].iloc[0]
    assert lower == pytest.approx(
        spread.mean() - student.ppf(0.95, small.df.iloc[0]) * np.sqrt(1.1), rel=1e-12
    )


def test_tables_that_agree_lose_nothing():
    pooled = pool_coefficients([[1.0, 2.0]] * 3, [np.diag([4.0, 9.0])] * 3, complete_df=50)
    assert list(pooled.se) == [2.0, 3.0]
    assert list(pooled.fmi) == [0.0, 0.0]
    np.testing.assert_allclose(pooled.df, 51 / 53 * 50, rtol=1e-12)
    assert np.isinf(pool_coefficients([[1.0]] * 2, [[[1.0]]] * 2).df).all()


def test_pooling_refuses_what_does_not_fit():
    with pytest.raises(CohortError, match="cannot be pooled"):
        pool_coefficients([[1.0]], [[[1.0]]])
    with pytest.raises(CohortError, match="cannot be pooled"):
        pool_coefficients([[1.0], [2.0]], [[[1.0]]])
    with pytest.raises(CohortError, match="different coefficients"):
        pool_coefficients([pd.Series({"a": 1.0}), pd.Series({"b": 1.0})], [[[1.0]]] * 2)
    shown = pool_coefficients([[1.0], [2.0]], [[[1.0]]] * 2, simulated=True)
    assert shown.to_frame()["simulated"].all()
    assert "simulated" in shown._repr_html_()


# -- the wrapped model ---------------------------------------------------------------------------


def test_without_missing_values_it_is_the_model_itself(cohort):
    X, _, y = cohort
    model, plain = MultiplyImputedModel(CoxModel(), m=3, rounds=3).fit(X, y), CoxModel().fit(X, y)
    np.testing.assert_allclose(model.predict_risk(X), plain.predict_risk(X), rtol=0, atol=1e-12)
    times = [0.0, 12.0, 60.0, 500.0]
    found = model.predict_survival(X, times)
    np.testing.assert_allclose(found, plain.predict_survival(X, times), rtol=0, atol=1e-12)
    assert (found[:, 0] == 1).all()
    assert np.isnan(found[:, 3]).all()
    np.testing.assert_allclose(model.pooled_.covariance, plain.covariance_, rtol=0, atol=1e-12)


def test_pooled_predictions_are_the_cox_model_of_pooled_coefficients(cohort):
    """Averages on the complementary log-log scale are a Cox model again: closed form, 1e-12."""
    _, holes, y = cohort
    model = MultiplyImputedModel(CoxModel(), m=4, rounds=3).fit(holes, y)
    assert model.pooled_ is not None
    new = holes.iloc[:30]
    filled = model.imputation_.transform(new)
    lp = np.mean([one.linear_predictor(filled) for one in model.models_], axis=0)
    np.testing.assert_allclose(model.predict_risk(new), lp, rtol=0, atol=1e-12)
    hazards = [one.baseline_["cumulative_hazard"].to_numpy() for one in model.models_]
    times = model.models_[0].baseline_["time_months"].to_numpy()
    expected = np.exp(-np.exp(lp)[:, None] * np.exp(np.mean(np.log(hazards), axis=0)))
    np.testing.assert_allclose(model.predict_survival(new, times), expected, rtol=0, atol=1e-12)


def test_new_patients_are_predicted_one_by_one(cohort):
    _, holes, y = cohort
    model = MultiplyImputedModel(CoxModel(), m=3, rounds=3).fit(holes.iloc[:200], y.take(np.arange(200)))
    new = holes.iloc[200:]
    alone = np.concatenate([model.predict_risk(new.iloc[[k]]) for k in range(len(new))])
    np.testing.assert_allclose(alone, model.predict_risk(new), rtol=0, atol=1e-12)


def test_wrapped_models_in_cross_validation(cohort, patients):
    """Pipelines, and a prognostic model with features beside the clinical columns."""
    _, holes, y = cohort
    steps = Pipeline([("all", NearConstantFilter()), ("cox", CoxModel())])
    models = {
        "cox": MultiplyImputedModel(CoxModel(), m=2, rounds=3),
        "steps": MultiplyImputedModel(steps, m=2, rounds=3),
    }
    numbers = holes[["age", "volume"]]
    result = cross_validate(models, numbers, y, folds=3, repeats=1, jobs=1, reference=None)
    assert len(result.failures) == 0
    risk = result.predictions.pivot_table(index="patient_id", columns="model", values="risk")
    np.testing.assert_allclose(risk["cox"], risk["steps"], rtol=0, atol=1e-12)
    X, outcome, _ = patients
    X = X.iloc[:, :30].copy()
    X.loc[X.index[::6], "N"] = np.nan
    model = MultiplyImputedModel(PrognosticModel("combined", "cox"), m=2, rounds=3).fit(X, outcome)
    assert model.pooled_ is None
    assert any("not pooled" in note for note in model.notes_)
    assert np.isfinite(model.predict_survival(X, [36.0])).all()


def test_multiply_imputed_round_trip(cohort):
    _, holes, y = cohort
    made = Outcome(y.time_months, y.event, y.patient_id, simulated=True)
    model = MultiplyImputedModel(CoxModel(min_category=5), m=3, rounds=3).fit(holes, made)
    text = json.dumps(model.to_dict())
    assert '"000"' not in text
    again = MultiplyImputedModel.from_dict(json.loads(text))
    np.testing.assert_array_equal(again.predict_risk(holes), model.predict_risk(holes))
    pd.testing.assert_frame_equal(again.to_frame(), model.to_frame(), check_exact=True)
    assert again.to_frame()["simulated"].all()
    assert "simulated" in model._repr_html_()
    assert again.model.min_category == 5
    other = MultiplyImputedModel(BoostedModel(), m=2)
    other.models_ = []
    with pytest.raises(ModelFileError, match="cannot be saved"):
        other.to_dict()


def test_a_level_that_only_patients_held_out_have_stays_what_it_is():
    random = np.random.default_rng(4)
    X = pd.DataFrame({
        "volume": random.normal(size=30),
        "site": pd.Categorical(["roof", "wall"] * 15, ["roof", "wall", "brain"]),
    })  # fmt: skip
    fitted = IterativeImputation().fit(X)
    site = pd.Categorical(["brain", "brain", None], X["site"].cat.categories)
    new = pd.DataFrame({"volume": [0.3, np.nan, 0.3], "site": site})
    filled = fitted.transform(new)
    assert filled["site"].tolist()[:2] == ["brain", "brain"]
    assert filled["site"].iloc[2] in ("roof", "wall")
    # it says nothing: the volume beside it is that of a patient of whom nothing is known
    unknown = fitted.transform(new.assign(site=pd.Categorical([None] * 3, X["site"].cat.categories)))
    assert filled["volume"].iloc[1] == unknown["volume"].iloc[1]
    rare = X.assign(site=pd.Categorical([*["roof", "wall"] * 14, "brain", "brain"], X["site"].cat.categories))
    y = Outcome(random.exponential(30, 30), np.arange(30) % 3 < 2, X.index)
    model = PrognosticModel("clinical", clinical=["volume", "site"], imputation="iterative", min_category=3)
    for held in (rare.index[28:], rare.index[:2]):
        rows = ~rare.index.isin(held)
        fold = clone(model).fit(rare[rows], y.take(rows))
        assert np.isfinite(fold.predict_risk(rare[~rows])).all()
