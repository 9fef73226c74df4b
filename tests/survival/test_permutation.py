"""The permutation test of a whole pipeline."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kstest
from sklearn.pipeline import Pipeline

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError, ConfigError
from radiomics_npc.survival.models.cox import CoxModel
from radiomics_npc.survival.selection.filters import UnivariateFilter
from radiomics_npc.survival.validation.cross_validation import cross_validate
from radiomics_npc.survival.validation.permutation import permutation_test


def cohort(strength: float, seed: int, p: int = 3, n: int = 80) -> tuple[pd.DataFrame, Outcome]:
    random = np.random.default_rng(seed)
    X = pd.DataFrame(random.normal(size=(n, p)), columns=[f"f__{k}" for k in range(p)])
    X.index = pd.Index([f"{k:03d}" for k in range(n)])
    time, lost = random.exponential(40 * np.exp(-strength * X["f__0"])), random.uniform(20, 120, n)
    return X, Outcome(np.minimum(time, lost), time <= lost, X.index)


def test_p_counts_permutations_that_do_as_well():
    X, y = cohort(0.4, 0)
    result = permutation_test(CoxModel(), X, y, permutations=12, repeats=2)
    assert result.p == (1 + np.sum(result.permuted >= result.observed)) / 13
    plain = cross_validate({"m": CoxModel()}, X, y, repeats=2, jobs=1, random_state=0)
    assert result.observed == pytest.approx(plain.scores["estimate"].iloc[0], abs=1e-12)
    frame = result.to_frame()
    assert frame.loc[0, ["p", "permutations", "mean"]].tolist() == [result.p, 12, result.permuted.mean()]


def test_selection_is_done_again_in_every_permutation():
    """Of 60 columns of noise the strongest are chosen: permuted outcomes do as well, so p is large."""
    X, y = cohort(0.0, 1, p=60)
    steps = Pipeline([("few", UnivariateFilter(max_features=5)), ("cox", CoxModel(penalizer=0.01))])
    result = permutation_test(steps, X, y, permutations=19, folds=4)
    assert result.p > 0.05
    assert abs(result.permuted.mean() - 0.5) < 0.05
    strong = permutation_test(steps, *cohort(1.2, 1, p=60), permutations=19, folds=4)
    assert strong.p == 0.05


@pytest.mark.slow
def test_p_is_uniform_without_signal():
    """40 cohorts of noise: Kolmogorov and Smirnov's test finds nothing."""
    found = [
        permutation_test(CoxModel(), *cohort(0.0, seed, p=1, n=40), permutations=9, folds=2).p
        for seed in range(40)
    ]
    assert min(found) >= 0.1
    random = np.random.default_rng(0)
    assert kstest(np.array(found) - random.random(40) / 10, "uniform").pvalue > 0.01


def test_same_result_for_any_number_of_processes():
    X, y = cohort(0.5, 2, n=40)
    one, two = (permutation_test(CoxModel(), X, y, permutations=3, folds=2, jobs=jobs) for jobs in (1, 2))
    np.testing.assert_array_equal(one.permuted, two.permuted)


def test_permutations_that_cannot_be_fitted_count_against_the_model():
    X, y = cohort(1.0, 3)

    class Fails(CoxModel):
        def fit(self, X, y):
            if (y.time_months != truth[X.index].to_numpy()).any():
                raise CohortError("cannot be fitted here")
            return super().fit(X, y)

    truth = pd.Series(y.time_months, X.index)
    result = permutation_test(Fails(), X, y, permutations=5)
    assert np.isnan(result.permuted).all()
    assert result.p == 1.0
    assert "5 permutations could not be fitted" in result.notes[0]


def test_nothing_to_test():
    X, y = cohort(1.0, 3)
    with pytest.raises(ConfigError, match="0 permutations"):
        permutation_test(CoxModel(), X, y, permutations=0)
    with pytest.raises(CohortError, match="too few for 5 folds"):
        permutation_test(CoxModel(), X, Outcome(y.time_months, np.arange(80) < 3, X.index))
    with pytest.raises(CohortError, match="could not be fitted"):
        permutation_test(CoxModel(), X.assign(f__0=np.nan), y)


def test_result_says_that_patients_never_lived():
    X, y = cohort(1.0, 3, n=40)
    never = Outcome(y.time_months, y.event, y.patient_id, simulated=True)
    result = permutation_test(CoxModel(), X, never, permutations=2, folds=2)
    assert result.to_frame()["simulated"].all()
    assert "simulated" in result._repr_html_()
