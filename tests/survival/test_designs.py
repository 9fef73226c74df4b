"""Centers left out in turn, a split in time, horizons that are trimmed, and the corrected t test."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import logit
from scipy.stats import t

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError
from radiomics_npc.survival.metrics.concordance import harrell_c, uno_c
from radiomics_npc.survival.models.cox import CoxModel
from radiomics_npc.survival.validation.centers import center_scores, pool_concordances
from radiomics_npc.survival.validation.cross_validation import CrossValidation, cross_validate
from radiomics_npc.survival.validation.designs import LeaveCenterOut, RepeatedFolds, TemporalSplit
from radiomics_npc.survival.validation.scoring import corrected_t_test, each_fold


def cohort(n: int = 150, seed: int = 0) -> tuple[pd.DataFrame, Outcome]:
    random = np.random.default_rng(seed)
    X = pd.DataFrame(random.normal(size=(n, 2)), columns=["a", "b"], index=[f"{k:03d}" for k in range(n)])
    time, lost = random.exponential(40 * np.exp(-0.8 * X["a"])), random.uniform(20, 120, n)
    return X, Outcome(np.minimum(time, lost), time <= lost, X.index)


class _Column(CoxModel):
    def __init__(self, column="a") -> None:
        super().__init__()
        self.column = column

    def fit(self, X, y):
        return CoxModel.fit(self, X[[self.column]], y)


@pytest.fixture(scope="module")
def centers() -> pd.Series:
    names = np.random.default_rng(1).choice(["north", "south", "west"], 150, p=[0.5, 0.3, 0.2])
    return pd.Series(names, [f"{k:03d}" for k in range(150)])


@pytest.fixture(scope="module")
def left_out(centers) -> CrossValidation:
    X, y = cohort()
    models = {"a": _Column("a"), "b": _Column("b")}
    return cross_validate(models, X, y, design=LeaveCenterOut(centers), jobs=1, reference="a")


def test_every_center_is_predicted_by_the_others(left_out, centers):
    X, y = cohort()
    for k, name in enumerate(["north", "south", "west"]):
        held = (centers == name).to_numpy()
        rows = left_out.predictions.query("model == 'a'").set_index("patient_id")
        rows = rows[rows["fold"] == k]
        assert set(rows.index) == set(X.index[held])
        model = CoxModel().fit(X.loc[~held, ["a"]], y.take(~held))
        np.testing.assert_allclose(rows["risk"], model.predict_risk(X.loc[rows.index]), rtol=0, atol=1e-12)
    assert left_out.design["fold_names"] == ["north", "south", "west"]
    assert left_out.design["kind"] == "leave_center_out"
    assert "3 centers" in left_out._repr_html_()


def test_scores_of_each_center(left_out, centers):
    _, y = cohort()
    found = center_scores(left_out)
    for name in ("north", "south", "west"):
        part = y.take((centers == name).to_numpy())
        rows = left_out.predictions.query("model == 'a'").set_index("patient_id").loc[part.patient_id]
        line = found.table.query("model == 'a' and center == @name").set_index("metric")
        c, u = harrell_c(part, rows["risk"]), uno_c(part, rows["risk"], tau=60)
        assert (line.loc["harrell_c", "estimate"], line.loc["harrell_c", "se"]) == (c.estimate, c.se)
        assert line.loc["uno_c", "estimate"] == u.estimate
        assert line.loc["harrell_c", "events"] == part.event.sum()
    pooled = found.pooled.set_index(["model", "metric"])
    lines = found.table.query("model == 'a' and metric == 'harrell_c'")
    expected = pool_concordances(lines["estimate"], lines["se"])
    assert pooled.loc[("a", "harrell_c"), "estimate"] == expected["estimate"]
    assert pooled.loc[("a", "harrell_c"), "centers"] == 3
    assert lines["estimate"].min() < expected["estimate"] < lines["estimate"].max()
    # Beside it, the score of all pairs within centers.
    within = left_out.scores.query("model == 'a' and metric == 'harrell_c'")["estimate"].iloc[0]
    rows = left_out.predictions.query("model == 'a'").set_index("patient_id").loc[y.patient_id]
    assert within == harrell_c(y, rows["risk"], strata=centers).estimate


def test_pooling_equals_its_formulas():
    """Paule and Mandel: tau2 makes the weighted sum of squares k - 1. Hartung and Knapp's error."""
    c, se = pd.Series([0.60, 0.71, 0.78, 0.66]), pd.Series([0.03, 0.04, 0.03, 0.05])
    found = pool_concordances(c, se)
    value, variance = logit(c).to_numpy(), ((se / (c * (1 - c))) ** 2).to_numpy()
    weight = 1 / (variance + found["tau2"])
    mean = (weight * value).sum() / weight.sum()
    assert (weight * (value - mean) ** 2).sum() == pytest.approx(3, abs=1e-8)
    assert logit(found["estimate"]) == pytest.approx(mean, abs=1e-12)
    error = np.sqrt((weight * (value - mean) ** 2).sum() / 3 / weight.sum())
    assert logit(found["upper"]) == pytest.approx(mean + t.ppf(0.975, 3) * error, abs=1e-11)
    fixed = 1 / variance
    q = (fixed * (value - (fixed * value).sum() / fixed.sum()) ** 2).sum()
    assert (found["q"], found["i2"]) == (pytest.approx(q, abs=1e-10), pytest.approx(1 - 3 / q, abs=1e-10))
    wide = t.ppf(0.975, 2) * np.sqrt(found["tau2"] + 1 / weight.sum())
    assert logit(found["predicted_lower"]) == pytest.approx(mean - wide, abs=1e-12)
    same = pool_concordances(pd.Series([0.7, 0.7, 0.7]), pd.Series([0.05, 0.05, 0.05]))
    assert (same["tau2"], same["i2"]) == (0, 0)
    assert same["upper"] - same["lower"] > 0.05  # agreement by chance does not make certainty
    one = pool_concordances(pd.Series([0.7]), pd.Series([0.05]))
    assert one["estimate"] == pytest.approx(0.7, rel=1e-12)
    assert np.isnan(one["tau2"])
    assert np.isnan(pool_concordances(c[:0], se[:0])["estimate"])


def test_a_center_with_hardly_any_event_is_named_and_not_pooled(centers):
    X, y = cohort()
    event = y.event.copy()
    west = np.flatnonzero(centers == "west")
    event[west] = False
    event[west[:2]] = True
    for keep in (2, 0):
        event[west[keep:]] = False
        event[west[:keep]] = True
        rare = Outcome(y.time_months, event, y.patient_id)
        result = cross_validate({"a": _Column("a")}, X, rare, design=LeaveCenterOut(centers), jobs=1)
        found = center_scores(result)
        assert found.pooled["centers"].tolist() == [2, 2]
        assert f"fewer than 10 events are not pooled: west ({keep})" in found.notes[0]
        assert np.isfinite(found.pooled["estimate"]).all()
        assert result.scores["estimate"].notna().all()
    assert found.table.query("center == 'west'")["estimate"].isna().all()


def test_a_center_whose_model_cannot_be_fitted_does_not_stop_the_others(centers):
    X, y = cohort()
    only_north = Outcome(y.time_months, y.event & (centers == "north").to_numpy(), y.patient_id)
    models = {"a": _Column("a"), "b": _Column("b")}
    result = cross_validate(models, X, only_north, design=LeaveCenterOut(centers), jobs=1, reference="a")
    assert len(result.failures) == 2  # no event is left to train on when north is held out
    assert "in 1 centers" in result.notes[0]
    assert center_scores(result).pooled["centers"].tolist() == [0, 0, 0, 0]


def test_centers_of_all_patients_are_needed(centers, left_out):
    X, y = cohort()
    with pytest.raises(CohortError, match="10 patients have no center"):
        cross_validate({"a": CoxModel()}, X, y, design=LeaveCenterOut(centers[10:]), jobs=1)
    with pytest.raises(CohortError, match="at least two centers"):
        LeaveCenterOut(pd.Series("one", X.index)).tasks(y, 0)
    plain = cross_validate({"a": CoxModel()}, X, y, repeats=1, jobs=1)
    with pytest.raises(CohortError, match="did not leave centers out"):
        center_scores(plain)


def test_a_center_validation_can_be_written_and_read(tmp_path, left_out):
    left_out.write(tmp_path)
    again = CrossValidation.read(tmp_path, left_out.outcome)
    pd.testing.assert_frame_equal(again.scores, left_out.scores)
    pd.testing.assert_frame_equal(center_scores(again).table, center_scores(left_out).table)


# -- time --------------------------------------------------------------------------------------


def test_later_patients_are_held_out():
    X, y = cohort()
    dates = pd.Series(pd.date_range("2012-01-01", periods=150, freq="W").astype(str), X.index)
    shuffled = dates.sample(frac=1, random_state=0)
    result = cross_validate(
        {"ab": CoxModel(), "b": _Column("b")}, X, y, jobs=1, reference="b",
        design=TemporalSplit(shuffled, cut="2014-01-01"),
    )  # fmt: skip
    late = (dates >= "2014-01-01").to_numpy()
    assert set(result.predictions["patient_id"]) == set(X.index[late])
    model = CoxModel().fit(X[~late], y.take(~late))
    expected = harrell_c(y.take(late), model.predict_risk(X[late])).estimate
    assert result.scores.loc[0, "estimate"] == pytest.approx(expected, abs=1e-12)
    assert result.design["fold_names"] == ["from 2014-01-01"]
    assert np.isnan(result.differences["p_corrected"]).all()
    assert result.calibration("ab", groups=3).patients == late.sum()
    assert result.patients("ab")["pfs_60"].isna().sum() == (~late).sum()


def test_a_year_is_a_cut_between_dates():
    dates = pd.Series(["2013-12-31", "2014-01-01", "2015-06-01"], list("abc"))
    y = Outcome([5, 6, 7], [1, 1, 1], list("abc"))
    for cut in (2014, 2014.0, "2014", "2014-01-01"):
        design = TemporalSplit(dates, cut=cut)
        assert design.tasks(y, 0)[0].test.tolist() == [1, 2]
        assert design.describe(y)["fold_names"] == ["from 2014-01-01"]


def test_share_of_a_temporal_split_keeps_ties_together():
    y = Outcome(np.arange(9.0) + 1, np.ones(9))
    years = pd.Series([2010, 2010, 2011, 2011, 2012, 2012, 2012, 2012, 2013], y.patient_id)
    assert TemporalSplit(years).tasks(y, 0)[0].test.tolist() == [4, 5, 6, 7, 8]
    assert TemporalSplit(years, share=0.9).tasks(y, 0)[0].test.tolist() == [8]


@pytest.mark.parametrize(
    ("order", "cut", "message"),
    [
        ([2010] * 9, 2010, "one side"),
        ([2010] * 9, 2011, "one side"),
        (["soon"] * 9, "2010-01-01", "cannot be read"),
        ([2010] * 8 + [None], 2010, "1 patients have no date"),
    ],
)
def test_splits_that_cannot_be_made(order, cut, message):
    y = Outcome(np.arange(9.0) + 1, np.ones(9))
    with pytest.raises(CohortError, match=message):
        TemporalSplit(pd.Series(order, y.patient_id), cut).tasks(y, 0)


def test_no_design_trains_on_whom_it_holds_out(centers):
    _, y = cohort()
    for design in (
        RepeatedFolds(4, 2),
        LeaveCenterOut(centers),
        TemporalSplit(pd.Series(range(150), y.patient_id)),
    ):
        for task in design.tasks(y, 0):
            assert not set(task.training(150)) & set(task.test)
            assert len(task.training(150)) + len(task.test) == 150


# -- corrected t test --------------------------------------------------------------------------


def test_corrected_t_test_by_hand():
    gaps = np.array([0.02, 0.05, -0.01, 0.03, 0.04, 0.00])
    statistic, p = corrected_t_test(gaps, 0.25)
    expected = gaps.mean() / np.sqrt((1 / 6 + 0.25) * gaps.var(ddof=1))
    assert statistic == pytest.approx(expected, abs=1e-12)
    assert p == pytest.approx(2 * t.sf(expected, 5), abs=1e-12)
    assert corrected_t_test(-gaps, 0.25) == (-statistic, p)
    assert np.isnan(corrected_t_test([0.1], 0.25)).all()
    assert np.isnan(corrected_t_test([0.1, 0.1], 0.25)).all()


def test_differences_carry_the_corrected_test():
    X, y = cohort()
    result = cross_validate({"a": _Column("a"), "b": _Column("b")}, X, y, repeats=2, jobs=1, reference="a")
    folds = each_fold(result.predictions, y, 60).query("metric == 'harrell_c'").set_index(["repeat", "fold"])
    gap = folds.query("model == 'b'")["estimate"] - folds.query("model == 'a'")["estimate"]
    line = result.differences.query("metric == 'harrell_c'").iloc[0]
    assert line["p_corrected"] == pytest.approx(corrected_t_test(gap, 30 / 120)[1], abs=1e-12)
    assert len(gap) == 10


class _Weighted(CoxModel):
    """A sum of columns weighted by their correlation with time in training: quick to fit."""

    def __init__(self, first=0) -> None:
        super().__init__()
        self.first = first

    def fit(self, X, y):
        values = X.to_numpy()[:, self.first : self.first + 5]
        self.weights_ = -((values - values.mean(0)) * (y.time_months - y.time_months.mean())[:, None]).mean(0)
        return self

    def predict_risk(self, X):
        return X.to_numpy()[:, self.first : self.first + 5] @ self.weights_

    def predict_survival(self, X, times):
        return np.full((len(X), len(times)), 0.5)


@pytest.mark.slow
def test_corrected_test_keeps_its_level_where_the_plain_one_does_not():
    """Two models equally good by construction, 100 cohorts: one t test on 15 folds rejects far too often."""
    plain, corrected = [], []
    for seed in range(100):
        random = np.random.default_rng(seed)
        X = pd.DataFrame(random.normal(size=(100, 10)))
        hazard = np.exp(0.25 * X[[0, 1, 5, 6]].sum(axis=1))
        y = Outcome(random.exponential(30 / hazard), np.ones(100), X.index)
        X.columns = [f"x{k}" for k in range(10)]
        models = {"one": _Weighted(0), "two": _Weighted(5)}
        result = cross_validate(models, X, y, repeats=3, jobs=1, reference="one", random_state=seed)
        folds = each_fold(result.predictions, y, 60).query("metric == 'harrell_c'")
        wide = folds.pivot_table(index=["repeat", "fold"], columns="model", values="estimate")
        plain.append(corrected_t_test(wide["two"] - wide["one"], 0.0)[1])
        corrected.append(result.differences.set_index("metric").loc["harrell_c", "p_corrected"])
    assert np.mean(np.array(plain) < 0.05) > 0.15
    assert np.mean(np.array(corrected) < 0.05) < 0.10  # 5% of 100 is 5 +- 2.2
