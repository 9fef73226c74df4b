"""ComBat against sva and neuroCombat; frozen in training; single patients, missing values, unseen centers."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError, ConfigError
from radiomics_npc.survival.preprocessing.empirical_bayes import shrink_batch
from radiomics_npc.survival.preprocessing.harmonization import Combat

NEUROCOMBAT = Path(__file__).resolve().parents[1] / "reference" / "neurocombat.csv"
NAMES = [f"x{k}" for k in range(12)]
CENTERS = np.repeat(["A", "B", "C", "D"], [40, 25, 15, 12])


@pytest.fixture(scope="module")
def made() -> pd.DataFrame:
    """39 patients of 4 centers, the last with a single one, and what neuroCombat makes of them."""
    data = pd.read_csv(NEUROCOMBAT, comment="#").astype({"T": "category"})
    data.index = pd.Index([f"{k:03d}" for k in range(len(data))], name="patient_id")
    return data


@pytest.fixture(scope="module")
def cohort() -> pd.DataFrame:
    """92 patients of 4 centers, 30 features, in which centers differ in age, shift and scale."""
    random = np.random.default_rng(5)
    at = np.searchsorted(list("ABCD"), CENTERS)
    age = 40 + 5.0 * at + 8 * random.normal(size=92)
    values = random.normal(size=(92, 30)) * np.array([1.0, 1.5, 0.7, 1.2])[at, None]
    values += random.normal(0.5, 0.6, size=(4, 30))[at] + 0.05 * (age[:, None] - 50)
    X = pd.DataFrame(values, columns=[f"t1__original__glcm__F{k}" for k in range(30)])
    X.insert(0, "center", pd.Categorical(CENTERS))
    X.insert(3, "age", age)
    X.index = pd.Index([f"{k:03d}" for k in range(92)], name="patient_id")
    return X


def features(X: pd.DataFrame) -> np.ndarray:
    return X[[name for name in X.columns if "__" in name]].to_numpy()


def test_equals_sva(table):
    values = table("combat_in").to_numpy().T
    X = pd.DataFrame(values, columns=[f"t1__original__glcm__F{k}" for k in range(50)])
    X["center"] = np.repeat(["1", "2", "3"], 20)
    found = Combat().fit_transform(X)
    np.testing.assert_allclose(features(found), table("combat_out").to_numpy().T, rtol=0, atol=1e-11)


@pytest.mark.parametrize(
    ("variant", "protect", "parametric"),
    [
        ("parametric", ["age", "T"], True),
        ("nonparametric", ["T", "age"], False),
        ("unprotected", [], True),
        ("mean_only", ["age", "T"], True),
    ],
)
def test_equals_neurocombat(made, variant, protect, parametric):
    """Tolerance 1e-11; the single patient of center D makes it shifts only, as in sva."""
    rows = made if variant == "mean_only" else made[made["center"] != "D"]
    combat = Combat(columns=NAMES, protect=protect, parametric=parametric).fit(rows)
    assert combat.mean_only_ is (variant == "mean_only")
    expected = rows[[f"{variant}_{name}" for name in NAMES]]
    np.testing.assert_allclose(combat.transform(rows)[NAMES], expected, rtol=0, atol=1e-11)


def sva(values: np.ndarray, batch: np.ndarray, mod: np.ndarray) -> np.ndarray:
    """sva::ComBat feature by feature, line by line, for a parametric prior and some missing values."""
    names = np.unique(batch)
    design = np.column_stack([batch == name for name in names] + [mod]).astype(float)
    beta, scaled, mean, sd = [], np.full_like(values, np.nan), np.empty_like(values), []
    for column in values.T:
        known = ~np.isnan(column)
        d = design[known]
        beta.append(np.linalg.solve(d.T @ d, d.T @ column[known]))
    share = design[:, : len(names)].sum(axis=0) / len(values)
    for k, column in enumerate(values.T):
        sd.append(np.sqrt(np.nanvar(column - design @ beta[k], ddof=1)))
        mean[:, k] = share @ beta[k][: len(names)] + design[:, len(names) :] @ beta[k][len(names) :]
        scaled[:, k] = (column - mean[:, k]) / sd[k]
    for name in names:
        part = scaled[batch == name]
        g_hat, d_hat = np.nanmean(part, axis=0), np.nanvar(part, axis=0, ddof=1)
        g_bar, t2, m, s2 = g_hat.mean(), g_hat.var(ddof=1), d_hat.mean(), d_hat.var(ddof=1)
        a, b = (2 * s2 + m**2) / s2, (m * s2 + m**3) / s2
        n, g, d, change = (~np.isnan(part)).sum(axis=0), g_hat, d_hat, 1.0
        while change > 1e-4:
            g_new = (t2 * n * g_hat + d * g_bar) / (t2 * n + d)
            d_new = (0.5 * np.nansum((part - g_new) ** 2, axis=0) + b) / (n / 2 + a - 1)
            change = max((np.abs(g_new - g) / g).max(), (np.abs(d_new - d) / d).max())
            g, d = g_new, d_new
        scaled[batch == name] = (part - g) / np.sqrt(d)
    return scaled * np.array(sd) + mean


def test_missing_values_stay_missing_and_the_rest_equals_sva(cohort):
    X = cohort.copy()
    random = np.random.default_rng(1)
    for name in X.columns[5:15]:
        X.loc[random.random(92) < 0.15, name] = np.nan
    X.iloc[0, 6] = np.inf  # infinite is unknown
    found = Combat(protect=["age"]).fit_transform(X)
    values = np.where(np.isfinite(features(X)), features(X), np.nan)
    expected = sva(values, CENTERS, X[["age"]].to_numpy())
    assert np.array_equal(np.isnan(features(found)), np.isnan(values))
    np.testing.assert_allclose(features(found), expected, rtol=0, atol=1e-11)


def test_features_that_do_not_vary_in_a_center_are_left_and_the_rest_is_as_without_them(cohort):
    X = cohort.copy()
    flat, lost = X.columns[5], X.columns[8]
    X.loc[X["center"] == "C", flat] = 0.1
    X.loc[X["center"] == "B", lost] = np.nan
    combat = Combat().fit(X)
    assert list(combat.left_) == [flat, lost]
    assert any(flat in note for note in combat.notes_)
    found, without = combat.transform(X), Combat().fit_transform(X.drop(columns=[flat, lost]))
    pd.testing.assert_frame_equal(found[[flat, lost]], X[[flat, lost]])
    pd.testing.assert_frame_equal(found[without.columns], without)


def test_protection_keeps_the_effect_of_a_covariate_that_differs_between_centers(cohort):
    """Each feature rises by 0.05 a year, and the centers are 5 years apart."""
    slope = []
    for protect in ([], ["age"]):
        found = features(Combat(protect=protect).fit_transform(cohort))
        slope.append(np.polyfit(cohort["age"], found, 1)[0].mean())
    assert slope[1] == pytest.approx(0.05, abs=0.01)
    assert slope[0] < slope[1] - 0.01


def test_other_columns_and_their_order_stay(cohort):
    found = Combat(protect=["age"]).fit_transform(cohort)
    assert list(found.columns) == list(cohort.columns)
    pd.testing.assert_frame_equal(found[["center", "age"]], cohort[["center", "age"]])
    part = Combat(columns=list(cohort.columns[5:10])).fit_transform(cohort)
    pd.testing.assert_frame_equal(part.iloc[:, 10:], cohort.iloc[:, 10:])
    assert not np.allclose(part.iloc[:, 5:10], cohort.iloc[:, 5:10])


def test_parameters_are_frozen_and_a_patient_does_not_depend_on_the_others(cohort):
    train, held = cohort.iloc[::2], cohort.iloc[1::2]
    combat = Combat(protect=["age"]).fit(train)
    together = combat.transform(held)
    alone = pd.concat([combat.transform(held.iloc[[k]]) for k in range(len(held))])
    np.testing.assert_allclose(features(alone), features(together), rtol=0, atol=1e-12)
    spoiled = held.copy()
    spoiled.iloc[5:, spoiled.columns.get_indexer(combat.columns_)] *= 1e3
    np.testing.assert_allclose(
        features(combat.transform(spoiled))[:5], features(together)[:5], rtol=0, atol=1e-12
    )
    # The wrong way, learning from all patients, gives those held out other values.
    whole = Combat(protect=["age"]).fit(cohort).transform(held)
    assert np.abs(features(whole) - features(together)).max() > 0.05


def test_order_of_patients_and_names_of_centers_do_not_matter(cohort):
    found = Combat(protect=["age"]).fit_transform(cohort)
    shuffled = cohort.sample(frac=1, random_state=3)
    again = Combat(protect=["age"]).fit_transform(shuffled).loc[cohort.index]
    np.testing.assert_allclose(features(again), features(found), rtol=0, atol=1e-11)
    renamed = cohort.assign(center=cohort["center"].map({"A": "z", "B": "y", "C": "x", "D": "w"}))
    np.testing.assert_allclose(
        features(Combat(protect=["age"]).fit_transform(renamed)), features(found), rtol=0, atol=1e-11
    )


def test_unseen_center_is_an_error_unless_asked_for(cohort):
    train, new = cohort[CENTERS != "D"], cohort[CENTERS == "D"]
    with pytest.raises(CohortError, match=r"D was not in training.*reference_free"):
        Combat().fit(train).transform(new)
    combat = Combat(on_unseen="reference_free").fit(train)
    with pytest.raises(CohortError, match="D was not in training and has 9 patients"):
        combat.transform(new.iloc[:9])
    with pytest.raises(CohortError, match="do not vary"):
        combat.transform(new.assign(**{cohort.columns[5]: 1.0}))
    with pytest.raises(ConfigError, match="on_unseen"):
        Combat(on_unseen="ignore").fit(train)


def test_a_new_center_with_the_patients_of_a_known_one_gets_the_same_values(cohort):
    """Shift and scale of an unseen center are learnt as those of training centers were."""
    combat = Combat(protect=["age"], on_unseen="reference_free").fit(cohort)
    known = cohort[CENTERS == "B"]
    twin = known.assign(center="new")
    np.testing.assert_allclose(
        features(combat.transform(twin)), features(combat.transform(known)), rtol=0, atol=1e-11
    )


@pytest.mark.parametrize("parametric", [True, False])
def test_a_new_center_is_brought_to_the_others_and_known_ones_stay(cohort, parametric):
    train, new = cohort[CENTERS != "D"], cohort[CENTERS == "D"].copy()
    names = Combat().fit(train).columns_
    new[names] = new[names] * 3 + 7
    combat = Combat(protect=["age"], on_unseen="reference_free", parametric=parametric).fit(train)
    before = combat.to_dict()
    found = combat.transform(pd.concat([train, new]))
    assert combat.to_dict() == before
    np.testing.assert_allclose(features(found)[:80], features(combat.transform(train)), rtol=0, atol=1e-12)
    rest = features(found) - 0.05 * (cohort[["age"]].to_numpy() - 50)
    assert np.abs(rest[80:].mean() - rest[:80].mean()) < 0.15
    assert rest[80:].std(axis=0).mean() == pytest.approx(rest[:80].std(axis=0).mean(), rel=0.25)


def test_an_adapted_center_is_frozen_too(cohort):
    train, new = cohort[CENTERS != "D"], cohort[CENTERS == "D"]
    combat = Combat(on_unseen="reference_free").fit(train)
    adapted = combat.adapted(new)
    one = adapted.transform(new.iloc[[0]])
    np.testing.assert_allclose(features(one)[0], features(combat.transform(new))[0], rtol=0, atol=1e-12)
    assert "D" not in combat.shift_.index
    assert any("own patients" in note for note in adapted.notes_)


def test_restricted_to_some_features_known_centers_get_the_same_values(cohort):
    combat = Combat(protect=["age"]).fit(cohort)
    few = [combat.columns_[k] for k in (7, 2)]
    small = combat.restricted([*few, "t1__original__glcm__Unknown"])
    table = cohort[["center", "age", *few]]
    pd.testing.assert_frame_equal(small.transform(table)[few], combat.transform(cohort)[few])
    assert len(combat.columns_) == 30
    again = Combat.from_dict(json.loads(json.dumps(small.to_dict())))
    pd.testing.assert_frame_equal(again.transform(table), small.transform(table), check_exact=True)


def test_a_single_center_in_training_stays_as_it_is(cohort):
    alone = cohort[CENTERS == "A"]
    combat = Combat(protect=["age"], on_unseen="reference_free").fit(alone)
    np.testing.assert_allclose(features(combat.transform(alone)), features(alone), rtol=0, atol=1e-12)
    assert any("only one in training" in note for note in combat.notes_)
    gap = [features(part)[40:].mean() - features(part)[:40].mean() for part in (cohort[CENTERS <= "B"],
           combat.transform(cohort[CENTERS <= "B"]))]  # fmt: skip
    age = cohort["age"].to_numpy()
    by_age = 0.05 * (age[40:65].mean() - age[:40].mean())
    assert abs(gap[1] - by_age) < 0.25 * abs(gap[0] - by_age) + 0.05


def test_round_trip_through_json(cohort):
    combat = Combat(protect=["age"], on_unseen="reference_free").fit(cohort)
    text = json.dumps(combat.to_dict())
    assert cohort.index[3] not in json.loads(text)["batches"]
    again = Combat.from_dict(json.loads(text))
    pd.testing.assert_frame_equal(again.transform(cohort), combat.transform(cohort), check_exact=True)
    unprotected = Combat().fit(cohort)
    again = Combat.from_dict(json.loads(json.dumps(unprotected.to_dict())))
    pd.testing.assert_frame_equal(again.transform(cohort), unprotected.transform(cohort), check_exact=True)
    assert clone(combat).get_params() == combat.get_params()


def test_works_in_a_pipeline(cohort):
    y = Outcome(np.arange(1.0, 93.0), np.ones(92), cohort.index)
    steps = Pipeline([("combat", Combat()), ("again", Combat(columns=list(cohort.columns[5:8])))])
    assert steps.fit(cohort, y).transform(cohort).shape == cohort.shape


def test_messy_tables_are_refused_with_a_remedy(cohort):
    train = cohort.assign(sex=pd.Categorical(np.where(np.arange(92) % 3, "m", "f"), ["f", "m", "other"]))
    combat = Combat(protect=["age", "sex"]).fit(train)
    assert list(combat.coef_.index) == ["age", "sex=m"]
    with pytest.raises(CohortError, match="absent: sex"):
        combat.transform(cohort)
    with pytest.raises(CohortError, match=r"sex: other was not in training.*f, m"):
        combat.transform(train.iloc[:2].assign(sex=pd.Categorical(["m", "other"])))
    with pytest.raises(CohortError, match=r"age: 1 values are missing"):
        combat.transform(train.assign(age=[np.nan, *train["age"][1:]]))
    with pytest.raises(CohortError, match=r"center: 2 values are missing"):
        combat.fit(train.assign(center=[None, None, *train["center"][2:]]))
    with pytest.raises(CohortError, match="told apart"):
        Combat(protect=["age"]).fit(train.assign(age=np.where(CENTERS == "A", 1.0, 0.0)))
    with pytest.raises(CohortError, match="hold text: word"):
        Combat(protect=["word"]).fit(train.assign(word="a"))
    with pytest.raises(CohortError, match="no features"):
        Combat().fit(train[["center", "age"]])
    with pytest.raises(CohortError, match="is a ndarray"):
        Combat().fit(train.to_numpy())


def test_a_feature_that_follows_from_the_covariates_is_left(cohort):
    X = cohort.assign(t1__original__glcm__Age=2 * cohort["age"] + 1)
    combat = Combat(protect=["age"]).fit(X)
    assert list(combat.left_) == ["t1__original__glcm__Age"]
    assert combat.transform(X).notna().all().all()


def test_shrinkage_lies_between_the_own_mean_and_that_of_all_features():
    random = np.random.default_rng(2)
    values = random.normal(random.normal(1.0, 0.5, 200), 1.0, size=(8, 200))
    for parametric in (True, False):
        shift, variance = shrink_batch(values, parametric=parametric, mean_only=False)
        own = values.mean(axis=0)
        assert shift.std() < own.std()
        assert variance.std() < values.var(axis=0, ddof=1).std()
        assert shift.mean() == pytest.approx(own.mean(), abs=0.05)
    single = shrink_batch(values[:, :1], parametric=True, mean_only=False)
    assert single[0][0] == values[:, 0].mean()
