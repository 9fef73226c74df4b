"""Nested cross-validation: folds, scores, differences, failures; and that nothing leaks."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import Pipeline

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError, ConfigError
from radiomics_npc.survival.folds import stratified_folds
from radiomics_npc.survival.metrics.concordance import concordance_difference, harrell_c, uno_c
from radiomics_npc.survival.models.cox import CoxModel
from radiomics_npc.survival.models.prognostic import PrognosticModel
from radiomics_npc.survival.models.standard import standard_model
from radiomics_npc.survival.selection.filters import UnivariateFilter
from radiomics_npc.survival.validation.cross_validation import cross_validate


def simple(n: int = 120, seed: int = 0) -> tuple[pd.DataFrame, Outcome]:
    random = np.random.default_rng(seed)
    X = pd.DataFrame(
        random.normal(size=(n, 3)), columns=["a", "b", "c"], index=[f"{k:03d}" for k in range(n)]
    )
    time = random.exponential(40 * np.exp(-0.9 * X["a"] - 0.4 * X["b"]))
    lost = random.uniform(20, 120, n)
    return X, Outcome(np.minimum(time, lost), time <= lost, X.index).censor_at(60)


@pytest.fixture(scope="module")
def result():
    X, y = simple()
    models = {"a": _Columns(["a"]), "ab": _Columns(["a", "b"]), "c": _Columns(["c"])}
    return cross_validate(models, X, y, repeats=3, jobs=1, reference="a")


class _Columns(CoxModel):
    """A Cox model on some columns."""

    def __init__(self, columns=("a",)) -> None:
        super().__init__()
        self.columns = columns

    def fit(self, X, y):
        return super().fit(X[list(self.columns)], y)


@pytest.mark.parametrize(("n", "events", "folds"), [(50, 10, 5), (53, 7, 5), (120, 31, 4)])
def test_folds_share_events_and_patients(n, events, folds):
    y = Outcome(np.arange(n), np.arange(n) < events)
    fold = stratified_folds(y, folds, 3)
    assert np.ptp(np.bincount(fold)) <= 1
    assert np.ptp(np.bincount(fold[y.event], minlength=folds)) <= 1
    assert not np.array_equal(fold, stratified_folds(y, folds, 4))
    np.testing.assert_array_equal(fold, stratified_folds(y, folds, 3))


def test_too_few_events_for_the_folds():
    y = Outcome(np.arange(20), np.arange(20) < 3)
    with pytest.raises(CohortError, match="3 events are too few for 5 folds"):
        cross_validate({"m": CoxModel()}, pd.DataFrame({"a": np.arange(20.0)}, index=y.patient_id), y, jobs=1)
    assert stratified_folds(y, 5, 0, strict=False).max() == 2


def test_every_patient_is_predicted_once_in_every_repeat(result):
    counts = result.predictions.groupby(["model", "repeat"])["patient_id"].agg(["size", "nunique"])
    assert (counts == 120).all(axis=None)
    assert result.predictions["pfs_60"].between(0, 1).all()


def test_predictions_equal_a_loop_by_hand(result):
    """Refit one fold by hand from what the table says, and get its risks."""
    X, y = simple()
    rows = result.predictions.query("model == 'ab' and repeat == 1 and fold == 2").set_index("patient_id")
    train = ~X.index.isin(rows.index)
    model = CoxModel().fit(X.loc[train, ["a", "b"]], y.take(np.flatnonzero(train)))
    np.testing.assert_allclose(rows["risk"], model.predict_risk(X.loc[rows.index]), rtol=0, atol=1e-12)
    np.testing.assert_allclose(
        rows["pfs_60"], model.predict_survival(X.loc[rows.index], [60])[:, 0], rtol=0, atol=1e-12
    )


def test_scores_are_made_of_pairs_within_folds(result):
    _, y = simple()
    found = {"a": [], "ab": []}
    for repeat in range(3):
        for model, scores in found.items():
            rows = result.predictions
            rows = rows[(rows["model"] == model) & (rows["repeat"] == repeat)].set_index("patient_id")
            rows = rows.loc[y.patient_id]
            scores.append(harrell_c(y, rows["risk"], strata=rows["fold"]))
            other = uno_c(y, rows["risk"], tau=60, strata=rows["fold"])
            line = result.per_repeat.query(
                "model == @model and repeat == @repeat and metric == 'uno_c'"
            ).iloc[0]
            assert (line["estimate"], line["se"]) == (other.estimate, other.se)
    row = result.scores.query("model == 'ab' and metric == 'harrell_c'").iloc[0]
    assert row["estimate"] == pytest.approx(np.mean([s.estimate for s in found["ab"]]), abs=1e-12)
    within, between = (
        np.mean([s.se**2 for s in found["ab"]]),
        np.var([s.estimate for s in found["ab"]], ddof=1),
    )
    assert row["se"] == pytest.approx(np.sqrt(within + between * 4 / 3), abs=1e-12)
    gaps = [concordance_difference(s, t) for s, t in zip(found["ab"], found["a"], strict=True)]
    line = result.differences.query("model == 'ab' and metric == 'harrell_c'").iloc[0]
    assert line["estimate"] == pytest.approx(np.mean([g.estimate for g in gaps]), abs=1e-12)
    within, between = np.mean([g.se**2 for g in gaps]), np.var([g.estimate for g in gaps], ddof=1)
    assert line["se"] == pytest.approx(np.sqrt(within + between * 4 / 3), abs=1e-12)
    assert set(result.differences["model"]) == {"ab", "c"}


def test_paired_difference_is_narrower_than_two_independent_ones(result):
    scores = result.scores.set_index(["model", "metric"])["se"]
    gap = result.differences.set_index(["model", "metric"])["se"]
    assert gap["ab", "harrell_c"] < np.hypot(scores["ab", "harrell_c"], scores["a", "harrell_c"]) * 0.8


def test_patients_table_and_calibration(result):
    _, y = simple()
    table = result.patients("ab")
    assert table.index.equals(y.patient_id)
    mean = result.predictions.query("model == 'ab'").groupby("patient_id")["pfs_60"].mean()
    np.testing.assert_allclose(table["pfs_60"], mean.loc[y.patient_id], rtol=0, atol=1e-12)
    assert result.calibration("ab", groups=3).patients == 120
    with pytest.raises(ConfigError, match="no model x was validated"):
        result.patients("x")
    assert "cross-validation" in result._repr_html_()


@pytest.mark.slow
def test_same_result_for_any_number_of_processes(draw):
    X, y, _ = draw(90, 60, 2)
    models = {name: standard_model(name) for name in ("clinical_cox", "combined_cox", "combined_boosted")}
    one = cross_validate(models, X, y, folds=3, repeats=1, jobs=1, random_state=5, inner_folds=3)
    two = cross_validate(models, X, y, folds=3, repeats=1, jobs=2, random_state=5, inner_folds=3)
    for name in ("predictions", "per_repeat", "scores", "differences"):
        pd.testing.assert_frame_equal(getattr(one, name), getattr(two, name), check_exact=True)
    other = cross_validate(models, X, y, folds=3, repeats=1, jobs=2, random_state=6, inner_folds=3)
    assert not other.predictions["risk"].equals(one.predictions["risk"])
    assert set(one.predictions["group"]) <= {"low", "intermediate", "high"}
    assert len(one.patients("combined_cox")["group"].dropna()) == 90


class _Fails(CoxModel):
    def fit(self, X, y):
        if X.index[0] != "000":
            raise CohortError("cannot be fitted here", "Do something.")
        return super().fit(X, y)


def test_a_failing_model_is_listed_and_the_others_go_on():
    X, y = simple()
    result = cross_validate({"good": CoxModel(), "bad": _Fails()}, X, y, repeats=2, jobs=1, reference="good")
    assert len(result.failures) == 2
    assert set(result.failures["message"]) == {"cannot be fitted here"}
    assert set(result.failures["remedy"]) == {"Do something."}
    row = result.scores.query("model == 'bad' and metric == 'harrell_c'").iloc[0]
    assert np.isnan(row["estimate"])
    assert (row["repeats"], row["failed_folds"]) == (0, 2)
    assert result.scores.query("model == 'good'")["estimate"].notna().all()
    assert any("bad in 2 folds" in note for note in result.notes)


def test_a_fault_of_the_software_is_not_swallowed():
    class Broken(CoxModel):
        def fit(self, X, y):
            raise TypeError("a fault")

    X, y = simple()
    with pytest.raises(TypeError, match="a fault"):
        cross_validate({"m": Broken()}, X, y, repeats=1, jobs=1)


def test_horizon_past_follow_up_is_trimmed_and_said():
    X, y = simple()
    result = cross_validate({"m": CoxModel()}, X, y, repeats=1, jobs=1, horizon_months=72)
    assert result.predictions["pfs_60"].between(0, 1).all()
    assert result.design["horizon_months"] == 60
    assert result.design["horizon_asked_months"] == 72
    assert "60 months, not 72" in result.notes[0]
    assert result.calibration("m", groups=3).horizon_months == 60
    plain = cross_validate({"m": CoxModel()}, X, y, repeats=1, jobs=1)
    assert plain.scores.equals(result.scores)
    assert plain.notes == ()


def test_horizon_of_one_long_follow_up_is_trimmed_for_all_folds():
    """One patient alone is followed past 50 months: the fold that holds that one out knows nothing later."""
    X, y = simple()
    short = y.censor_at(50.5)
    time = short.time_months.copy()
    time[np.flatnonzero(~short.event)[0]] = 70
    one = Outcome(time, short.event, y.patient_id)
    result = cross_validate({"m": CoxModel()}, X, one, repeats=1, jobs=1)
    assert result.design["horizon_months"] == 50
    assert result.predictions["pfs_50"].notna().all()


def test_pipelines_can_be_validated():
    X, y = simple()
    steps = Pipeline([("strongest", UnivariateFilter(max_features=2)), ("cox", CoxModel())])
    found = cross_validate({"p": steps}, X, y, repeats=1, jobs=1).scores["estimate"].iloc[0]
    assert found == pytest.approx(cross_validate({"m": _Columns(["a", "b"])}, X, y, repeats=1, jobs=1)
                                  .scores["estimate"].iloc[0], abs=0.02)  # fmt: skip


def test_no_warning_escapes_from_a_libraries_fit(draw):
    X, y, _ = draw(80, 24, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cross_validate({"m": standard_model("combined_cox")}, X, y, folds=3, repeats=1, jobs=1)


# -- nothing leaks -------------------------------------------------------------------------------


def noise(n: int, p: int, seed: int) -> tuple[pd.DataFrame, Outcome]:
    random = np.random.default_rng(seed)
    names = [f"t1__original__glcm__F{k}" for k in range(p)]
    X = pd.DataFrame(random.normal(size=(n, p)), columns=names, index=[f"{k:03d}" for k in range(n)])
    time, lost = random.exponential(100, n), random.uniform(10, 100, n)
    return X, Outcome(np.minimum(time, lost), time <= lost, X.index).censor_at(60)


def wrong_way(X: pd.DataFrame, y: Outcome) -> float:
    """Whole-cohort selection before cross-validation: what must never be done, kept to show what it costs."""
    chosen = UnivariateFilter(max_features=10).fit(X, y).transform(X)
    result = cross_validate({"m": CoxModel(fallback_penalizer=0.01)}, chosen, y, repeats=1, jobs=1)
    return float(result.scores["estimate"].iloc[0])


@pytest.mark.slow
def test_noise_scores_one_half_but_whole_cohort_selection_does_not():
    honest, naive = [], []
    steps = Pipeline([
        ("strongest", UnivariateFilter(max_features=10)),
        ("cox", CoxModel(fallback_penalizer=0.01)),
    ])  # fmt: skip
    boosted = PrognosticModel("radiomics", "boosted", inner_folds=3)
    signature = PrognosticModel("radiomics", "cox", inner_folds=3)
    for seed in range(6):
        X, y = noise(150, 500, seed)
        models = {"selected": steps, "boosted": boosted, "signature": signature}
        scores = cross_validate(models, X, y, repeats=1, jobs=1, random_state=seed).scores
        honest.append(scores.query("metric == 'harrell_c'")["estimate"].to_numpy())
        naive.append(wrong_way(X, y))
    mean = np.mean(honest, axis=0)
    # Six cohorts, each with a standard error near 0.05: three standard errors of the mean.
    assert (np.abs(mean - 0.5) < 3 * 0.05 / np.sqrt(6)).all(), mean
    assert np.mean(naive) > 0.7


def test_a_feature_that_knows_only_the_test_patients_gains_nothing():
    """A column equal to the outcome on the held-out rows of a fold, and noise elsewhere."""
    X, y = simple(150, 3)
    plain = cross_validate({"m": CoxModel()}, X, y, repeats=1, jobs=1, random_state=9)
    fold = plain.predictions.set_index("patient_id")["fold"].loc[X.index].to_numpy()
    random = np.random.default_rng(0)
    for k in range(5):
        planted = np.where(fold == k, -y.time_months, random.permutation(-y.time_months))
        found = cross_validate(
            {"m": CoxModel()}, X.assign(planted=planted), y, repeats=1, jobs=1, random_state=9
        )
        held = y.take(np.flatnonzero(fold == k))
        rows = found.predictions.set_index("patient_id").loc[held.patient_id]
        assert (rows["fold"] == k).all()
        before = plain.predictions.set_index("patient_id").loc[held.patient_id]
        # The coefficient comes from noise: the planted truth is worth no more than chance.
        assert harrell_c(held, rows["risk"]).estimate < harrell_c(held, before["risk"]).estimate + 0.12
        assert harrell_c(held, planted[fold == k]).estimate > 0.9


def test_held_out_outcomes_cannot_reach_their_own_predictions():
    """Change the outcomes of one test fold only: the risks predicted for that fold do not move."""
    X, y = noise(100, 60, 1)
    model = PrognosticModel("radiomics", "cox", inner_folds=3)
    first = cross_validate({"m": model}, X, y, folds=4, repeats=1, jobs=1).predictions
    fold = first.set_index("patient_id")["fold"].loc[X.index].to_numpy()
    time = y.time_months.copy()
    # Times are swapped among patients of the fold with the same event status: the folds stay as they are.
    for status in (True, False):
        rows = np.flatnonzero((fold == 2) & (y.event == status))
        time[rows] = time[rows[::-1]]
    second = cross_validate(
        {"m": model}, X, Outcome(time, y.event, X.index), folds=4, repeats=1, jobs=1
    ).predictions
    same = first["fold"] == 2
    np.testing.assert_array_equal(first.loc[same, "risk"], second.loc[same, "risk"])
    assert not np.array_equal(first.loc[~same, "risk"], second.loc[~same, "risk"])


def test_permuted_outcomes_score_one_half():
    X, y = simple(150, 4)
    random = np.random.default_rng(0)
    scores = []
    for _ in range(20):
        turn = random.permutation(150)
        permuted = Outcome(y.time_months[turn], y.event[turn], X.index)
        scores.append(
            cross_validate({"m": CoxModel()}, X, permuted, repeats=1, jobs=1).scores["estimate"].iloc[0]
        )
    assert abs(np.mean(scores) - 0.5) < 0.03
    assert cross_validate({"m": CoxModel()}, X, y, repeats=1, jobs=1).scores["estimate"].iloc[0] > 0.65
