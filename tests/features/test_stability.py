"""Intraclass correlation against R and statsmodels, and what must hold of any agreement."""

import numpy as np
import pandas as pd
import pytest

from radiomics_npc.errors import CohortError, ConfigError
from radiomics_npc.features.stability import (
    FORMS,
    intraclass_correlation,
    stability_category,
    stability_table,
)

R_NAMES = {
    "1,1": "Single_raters_absolute", "2,1": "Single_random_raters", "3,1": "Single_fixed_raters",
    "1,k": "Average_raters_absolute", "2,k": "Average_random_raters", "3,k": "Average_fixed_raters",
}  # fmt: skip


@pytest.fixture(scope="module")
def reference():
    from pathlib import Path

    folder = Path(__file__).resolve().parents[1] / "reference" / "r"
    return pd.read_csv(folder / "icc_data.csv").to_numpy(), pd.read_csv(folder / "icc.csv", index_col="type")


def repeats_of(cube, features):
    n, k, _ = cube.shape
    index = pd.MultiIndex.from_product(
        [[f"{i:02d}" for i in range(n)], [f"r{j}" for j in range(k)]], names=["patient_id", "perturbation"]
    )
    return pd.DataFrame(cube.reshape(n * k, -1), index=index, columns=features)


@pytest.mark.parametrize("form", FORMS)
def test_equals_psych_of_r(reference, form):
    data, expected = reference
    found = intraclass_correlation(data, form)
    row = expected.loc[R_NAMES[form]]
    assert [found.estimate, found.lower, found.upper] == pytest.approx(row.tolist(), abs=1e-9)
    assert (found.n, found.left_out, found.k) == (len(data), 0, 3)


@pytest.mark.parametrize("form", FORMS)
def test_features_at_once_are_features_one_by_one(form):
    random = np.random.default_rng(1)
    cube = random.normal(size=(12, 1, 40)) * np.arange(40) + random.normal(size=(12, 4, 40))
    cube[3, 2, 5:9] = np.nan
    found = intraclass_correlation(cube, form)
    for p in range(40):
        one = intraclass_correlation(cube[:, :, p], form)
        assert [found.estimate[p], found.lower[p], found.upper[p]] == pytest.approx(
            [one.estimate, one.lower, one.upper], abs=1e-12
        )
        assert found.n[p] == one.n == (11 if 5 <= p < 9 else 12)
        assert found.left_out[p] == one.left_out


def test_mean_squares_are_those_of_statsmodels():
    """ICC(2,1) and ICC(3,1) from another package's two-way analysis of variance."""
    from statsmodels.formula.api import ols
    from statsmodels.stats.anova import anova_lm

    random = np.random.default_rng(2)
    data = random.normal(size=(9, 1)) + random.normal(size=(1, 5)) + 0.7 * random.normal(size=(9, 5))
    table = pd.DataFrame(data).melt(ignore_index=False, var_name="rater", value_name="y")
    table["patient"] = table.index
    square = anova_lm(ols("y ~ C(patient) + C(rater)", table).fit())["mean_sq"]
    b, j, e = square["C(patient)"], square["C(rater)"], square["Residual"]
    assert intraclass_correlation(data, "2,1").estimate == pytest.approx(
        (b - e) / (b + 4 * e + 5 * (j - e) / 9), abs=1e-12
    )
    assert intraclass_correlation(data, "3,1").estimate == pytest.approx((b - e) / (b + 4 * e), abs=1e-12)


def test_shrout_and_fleiss_example():
    ratings = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
    found = [round(float(intraclass_correlation(ratings, form).estimate), 2) for form in FORMS]
    assert found == [0.17, 0.29, 0.71, 0.44, 0.62, 0.91]


def test_a_true_correlation_is_covered_in_95_percent():
    random = np.random.default_rng(3)
    cube = np.sqrt(0.8) * random.normal(size=(25, 1, 4000)) + np.sqrt(0.2) * random.normal(size=(25, 3, 4000))
    for form in ("1,1", "2,1", "3,1"):
        found = intraclass_correlation(cube, form)
        covered = ((found.lower <= 0.8) & (found.upper >= 0.8)).mean()
        assert covered == pytest.approx(0.95, abs=0.012), form
        assert found.estimate.mean() == pytest.approx(0.8, abs=0.02)


def test_order_scale_and_shift_change_nothing():
    random = np.random.default_rng(4)
    data = random.normal(size=(10, 1)) + 0.4 * random.normal(size=(10, 4))
    for form in FORMS:
        base = intraclass_correlation(data, form)
        for other in (data[random.permutation(10)], data[:, ::-1], -7 * data + 1000):
            again = intraclass_correlation(other, form)
            assert [again.estimate, again.lower, again.upper] == pytest.approx(
                [base.estimate, base.lower, base.upper], abs=1e-10
            )
        assert base.lower < base.estimate < base.upper


def test_a_rater_who_always_adds_one_is_consistent_but_does_not_agree():
    data = np.arange(5.0)[:, None] + [0, 1]
    consistent = intraclass_correlation(data, "3,1")
    assert (consistent.estimate, consistent.lower) == (1.0, 1.0)
    # sigma^2: patients 2.5, raters 0.5
    assert intraclass_correlation(data, "2,1").estimate == pytest.approx(2.5 / 3, abs=1e-12)


def test_perfect_agreement_is_one_and_disagreement_is_kept_negative():
    same = np.tile(np.arange(6.0)[:, None], (1, 3))
    opposite = np.array([[1, 2.0], [2, 1], [1, 2], [2, 1], [1.2, 2]])
    for form in FORMS:
        perfect = intraclass_correlation(same, form)
        assert (perfect.estimate, perfect.lower, perfect.upper) == (1.0, 1.0, 1.0)
    for form in ("1,1", "2,1", "3,1"):
        assert intraclass_correlation(opposite, form).estimate < -0.5
    assert intraclass_correlation([[1, 2], [2, 1], [1, 2], [2, 1]], "1,k").estimate == -np.inf


def test_what_has_no_correlation_says_why():
    cube = np.random.default_rng(5).normal(size=(6, 3, 4))
    cube[:, :, 1] = 4.2
    cube[:, :, 1] *= 1 + 1e-15 * np.arange(3)  # rounding is no difference
    cube[1:, 0, 2] = np.nan
    cube[:, :, 3] = [1.0, 2.0, 3.0]
    table = stability_table(repeats_of(cube, list("abcd")), "3,1").set_index("feature")
    assert table["icc"].isna().tolist() == [False, True, True, True]
    assert table["lower"].isna().tolist() == [False, True, True, True]
    assert table["reason"].tolist() == [
        "", "the same value everywhere", "fewer than 2 patients with all ratings",
        "the patients do not differ",
    ]  # fmt: skip
    assert table.loc[["b", "c", "d"], "category"].tolist() == ["", "", ""]
    assert table["n"].tolist() == [6, 6, 1, 6]
    assert table["left_out"].tolist() == [0, 0, 5, 0]


def test_table_leaves_out_patients_without_some_perturbation():
    cube = np.random.default_rng(6).normal(size=(8, 1, 2)) + 0.1 * np.random.default_rng(7).normal(
        size=(8, 3, 2)
    )
    repeats = repeats_of(cube, ["x", "y"])
    whole = stability_table(repeats, "2,1")
    part = stability_table(repeats.drop(index=[("03", "r1")]), "2,1")
    assert part["n"].tolist() == [7, 7]
    assert part["left_out"].tolist() == [1, 1]
    direct = intraclass_correlation(np.delete(cube, 3, axis=0), "2,1")
    np.testing.assert_allclose(part["icc"], direct.estimate, rtol=0, atol=1e-12)
    shuffled = repeats.sample(frac=1, random_state=0)
    np.testing.assert_allclose(stability_table(shuffled, "2,1")["icc"], whole["icc"], rtol=0, atol=1e-12)
    assert whole["feature"].tolist() == ["x", "y"]


def test_categories_are_those_of_koo_and_li():
    limits = [-0.2, 0.499, 0.5, 0.74, 0.75, 0.899, 0.9, 1.0, np.nan]
    assert stability_category(limits).tolist() == [
        "poor", "poor", "moderate", "moderate", "good", "good", "excellent", "excellent", "",
    ]  # fmt: skip


def test_wrong_input_is_said():
    data = np.random.default_rng(8).normal(size=(5, 3))
    with pytest.raises(ConfigError, match="no ICC"):
        intraclass_correlation(data, "4,1")
    with pytest.raises(ConfigError, match="confidence"):
        intraclass_correlation(data, "1,1", confidence=95)
    with pytest.raises(CohortError, match="shape"):
        intraclass_correlation(data[:, :1], "1,1")
    with pytest.raises(CohortError, match="shape"):
        intraclass_correlation(data[0], "1,1")
    repeats = repeats_of(data[:, :, None], ["x"])
    with pytest.raises(CohortError, match="index"):
        stability_table(repeats.reset_index(drop=True))
    with pytest.raises(CohortError, match="twice"):
        stability_table(pd.concat([repeats, repeats]))
    with pytest.raises(CohortError, match="shape"):
        stability_table(repeats.xs("r0", level=1, drop_level=False))


def test_one_patient_and_none_give_reasons():
    assert str(intraclass_correlation([[1.0, 2.0]], "2,1").reason) == "fewer than 2 patients with all ratings"
    empty = intraclass_correlation(np.full((4, 2, 2), np.inf), "1,1")
    assert empty.n.tolist() == [0, 0]
    assert np.isnan(empty.estimate).all()
    assert "ICC(1,1)" in empty._repr_html_()


def test_a_thousand_features_take_no_time():
    import time

    cube = np.random.default_rng(9).normal(size=(30, 8, 3000))
    start = time.perf_counter()
    intraclass_correlation(cube, "2,1")
    assert time.perf_counter() - start < 5
