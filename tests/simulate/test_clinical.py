"""The simulated clinical table against the published one (Table 4 of the data set's paper)."""

import numpy as np
import pandas as pd
import pytest
from lifelines.utils import concordance_index
from scipy import stats

from radiomics_npc.errors import ConfigError
from radiomics_npc.simulate.clinical import clinical_table, draw_patients, truth_table
from radiomics_npc.simulate.outcome import COEFFICIENTS, draw_outcome, linear_predictor, survival

# counts as printed in Table 4, where they do not contradict one another
STAGE = {"I": 5, "II": 26, "III": 140, "IVA": 94, "IVB": 13}
T = {
    "I": {"T1": 5},
    "II": {"T1": 8, "T2": 18},
    "III": {"T1": 2, "T2": 41, "T3": 97},
    "IVA": {"T2": 3, "T3": 15, "T4": 76},
    "IVB": {"T0": 1, "T2": 2, "T3": 4, "T4": 6},
}
N = {
    "I": {"N0": 5},
    "II": {"N0": 6, "N1": 20},
    "III": {"N0": 10, "N1": 31, "N2": 99},
    "IVA": {"N0": 5, "N1": 30, "N2": 29, "N3": 30},
    "IVB": {"N1": 1, "N2": 4, "N3": 8},
}
FEMALE = {"I": 1, "II": 10, "III": 41, "IVA": 18, "IVB": 4}
EBV = {"I": 0, "II": 5, "III": 31, "IVA": 36, "IVB": 6}
VCA = {"I": 1, "II": 20, "III": 95, "IVA": 75, "IVB": 10}
AGE = {"I": (51.8, 11.4, 44, 70), "II": (49.7, 13.5, 27, 80), "III": (50.8, 13.0, 22, 91),
       "IVA": (49.5, 12.6, 20, 74), "IVB": (58.0, 9.86, 36, 71)}  # fmt: skip


@pytest.fixture(scope="module")
def many() -> pd.DataFrame:
    return draw_patients(20_000, seed=20240101)


def _fits(observed: pd.Series, expected: dict[str, int]) -> bool:
    assert set(observed.unique()) == {k for k, v in expected.items() if v}
    counts = observed.value_counts().reindex([k for k, v in expected.items() if v])
    share = np.array([v for v in expected.values() if v]) / sum(expected.values())
    return len(share) == 1 or stats.chisquare(counts, share * len(observed)).pvalue > 1e-3


def test_stage_groups_are_as_published(many):
    assert _fits(many["stage"], STAGE)


@pytest.mark.parametrize("stage", STAGE)
def test_t_and_n_within_each_stage_are_as_published(many, stage):
    group = many[many["stage"] == stage]
    assert _fits(group["T"], T[stage])
    assert _fits(group["N"], N[stage])


def test_every_drawn_group_obeys_the_staging_rules(many):
    t, n = many["T"].str[1].astype(int), many["N"].str[1].astype(int)
    expected = np.select(
        [many["M"] == "M1", (t == 4) | (n == 3), (t == 3) | (n == 2), (t == 2) | (n == 1)],
        ["IVB", "IVA", "III", "II"],
        "I",
    )
    assert (many["stage"] == expected).all()


@pytest.mark.parametrize(
    ("column", "value", "published"),
    [("sex", "F", FEMALE), ("ebv_dna", "positive", EBV), ("vca_iga", "positive", VCA)],
)
def test_sex_and_virology_by_stage_are_as_published(many, column, value, published):
    for stage, count in published.items():
        group = many.loc[many["stage"] == stage, column]
        share = count / STAGE[stage]
        assert stats.binomtest(int((group == value).sum()), len(group), share).pvalue > 1e-4


def test_age_by_stage_is_as_published(many):
    for stage, (mean, sd, low, high) in AGE.items():
        age = many.loc[many["stage"] == stage, "age"]
        assert age.min() >= low
        assert age.max() <= high
        assert abs(age.mean() - mean) < 4 * sd / np.sqrt(len(age)) + 0.3
        assert age.std() == pytest.approx(sd, rel=0.08)


def test_the_first_patients_do_not_depend_on_the_number(many):
    pd.testing.assert_frame_equal(draw_patients(7, 20240101), many.head(7))


def test_five_year_survival_is_three_quarters(many):
    assert many["pfs_60"].mean() == pytest.approx(0.75, abs=0.01)


def test_uncensored_times_follow_the_written_hazard(many):
    # the probability integral transform of true event times is uniform
    u = np.array(
        [survival(np.array([lp]), t)[0] for lp, t in many[["linear_predictor", "event_months"]].to_numpy()]
    )
    assert stats.kstest(u, "uniform").pvalue > 1e-3


def test_the_linear_predictor_is_the_written_formula():
    row = {"T": "T4", "N": "N2", "ebv_dna": "positive", "volume_cm3": 17.2, "heterogeneity": -0.5}
    c = COEFFICIENTS
    expected = c["T4"] + c["N2"] + c["ebv_positive"] + c["log_volume"] * np.log(2) - 0.5 * c["heterogeneity"]
    assert linear_predictor(pd.DataFrame([row]))[0] == pytest.approx(expected, rel=1e-12)


def test_censoring_at_sixty_months_and_no_time_zero(many):
    assert many["time_months"].between(0.1, 60).all()
    seen = many[many["event"] == 1]
    # both are rounded from the same number, to 2 and to 1 decimals
    assert (seen["event_months"].clip(0.1) - seen["time_months"]).abs().max() < 0.056
    lost_early = ((many["event"] == 0) & (many["time_months"] < 60)).mean()
    assert 0.05 < lost_early < 0.15


def test_the_earlier_of_event_and_loss_is_observed():
    # the uniform numbers are the survival probabilities at which event and loss happen
    early, late = np.array([0.999]), np.array([1e-9])
    lp = np.array([0.0])
    assert draw_outcome(lp, early, late)["event"].tolist() == [1]
    lost = draw_outcome(lp, late, early)
    assert lost["event"].tolist() == [0]
    assert lost["time_months"][0] < 60
    assert draw_outcome(lp, late, late)[["time_months", "event"]].to_numpy().tolist() == [[60.0, 0.0]]


def test_the_oracle_ranks_well_and_heterogeneity_is_its_strongest_term(many):
    part = many.head(5000)

    def c(x):
        return concordance_index(part["time_months"], -x, part["event"])

    terms = {k: v for k, v in COEFFICIENTS.items() if k not in ("heterogeneity", "log_volume")}
    clinical = part["T"].map(terms).fillna(0) + part["N"].map(terms).fillna(0)
    clinical = clinical + COEFFICIENTS["ebv_positive"] * (part["ebv_dna"] == "positive")
    assert 0.75 < c(part["linear_predictor"]) < 0.80
    assert c(part["heterogeneity"]) > c(clinical) + 0.03


def test_nothing_of_the_truth_leaks_into_the_clinical_table(many):
    table = clinical_table(many)
    assert list(table) == [
        "patient_id", "gender", "age", "T_stage", "N_stage", "M_stage", "clinical_stage", "pathology",
        "EBV_DNA", "VCA_IgA", "PFS_months", "PFS_event",
    ]  # fmt: skip
    assert list(truth_table(many)) == [
        "patient_id", "linear_predictor", "pfs_60", "heterogeneity", "log_volume", "event_months_uncensored",
    ]  # fmt: skip


@pytest.mark.parametrize("n", [3, 12, 277])
def test_dirty_plants_the_published_contradictions_and_leaves_the_truth(n):
    clean, dirty = draw_patients(n, 5), draw_patients(n, 5, dirty=True)
    assert ((dirty["stage"] == "I") & (dirty["N"] == "N1")).any()
    assert ((dirty["stage"] == "IVA") & (dirty["M"] == "M1")).any()
    assert (dirty["time_months"] == 0).any()
    assert not ((clean["stage"] == "I") & (clean["N"] == "N1")).any()
    assert (clean["time_months"] > 0).all()
    pd.testing.assert_frame_equal(truth_table(clean), truth_table(dirty))


@pytest.mark.parametrize(("n", "seed"), [(0, 1), (3, -1)])
def test_impossible_numbers_are_refused(n, seed):
    with pytest.raises(ConfigError, match="at least 1"):
        draw_patients(n, seed)
