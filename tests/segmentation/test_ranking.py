"""Ranking of methods: by hand, the tables of SegRap2023, R and scipy; what resampled cases do to it."""

import json
from itertools import permutations, product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from radiomics_npc.errors import ConfigError
from radiomics_npc.segmentation.method_comparison import compare_methods
from radiomics_npc.segmentation.method_scores import MethodScores, finite_distances
from radiomics_npc.segmentation.paired_tests import holm, paired_t, rank_sum, signed_rank
from radiomics_npc.segmentation.rank_stability import bootstrap_ranks, kendall_tau
from radiomics_npc.segmentation.ranking import compare_schemes, final_ranks, rank_methods

REFERENCE = Path(__file__).parents[1] / "reference"
GOLDEN = json.loads((REFERENCE / "r" / "method_ranking.json").read_text())
SCHEMES = ["rank_then_aggregate", "aggregate_then_rank", "case_ranks", "test_based"]

# Luo X, Fu J et al., SegRap2023: Table 12 (means of Dice and NSD of GTVp and GTVnd) and Table 11 (ranks)
TEAMS = {
    "Astaraki": ((78.56, 67.75, 36.61, 63.15), (3, 4, 1, 4), 1),
    "Ye": ((78.76, 68.10, 36.45, 62.26), (2, 3, 2, 6), 2),
    "Xing": ((78.07, 69.28, 36.44, 64.04), (7, 1, 3, 2), 3),
    "Yang": ((78.76, 67.41, 35.92, 63.08), (1, 5, 4, 5), 4),
    "Ulrich": ((77.71, 69.18, 35.60, 64.76), (8, 2, 6, 1), 5),
    "Ndipenoch": ((78.25, 67.21, 35.90, 63.31), (5, 6, 5, 3), 6),
    "Su": ((78.13, 66.91, 35.21, 62.24), (6, 7, 7, 7), 7),
    "J. Huang": ((78.36, 66.36, 34.18, 61.96), (4, 8, 8, 8), 8),
    "Zhang": ((76.89, 66.25, 33.22, 60.30), (10, 9, 9, 9), 9),
    "Lee": ((77.46, 63.39, 32.96, 55.62), (9, 11, 10, 11), 10),
    "K. Huang": ((76.71, 65.97, 32.76, 59.70), (11, 10, 11, 10), 11),
}


def table_of(values, measures, methods=None, classes=None):
    """Long table of an array of shape (methods, cases, classes, measures)."""
    m, n, c, _ = values.shape
    methods = methods or [f"M{i}" for i in range(m)]
    classes = classes or [f"C{i}" for i in range(c)]
    rows = [
        {"method": methods[i], "case": str(j), "class": classes[k]}
        | dict(zip(measures, values[i, j, k], strict=True))
        for i, j, k in product(range(m), range(n), range(c))
        if np.isfinite(values[i, j, k]).all()
    ]
    return pd.DataFrame(rows)


def scores_of(values, measures=("dice",), **options):
    return MethodScores.from_table(table_of(np.asarray(values, float), measures, **options), measures)


@pytest.fixture(scope="module")
def golden():
    """The methods, classes and cases of the R script: its arrays run over methods first."""
    dice, hd95 = (np.reshape(GOLDEN["scores"][m], (5, 7, 2), order="F") for m in ("dice", "hd95_mm"))
    return scores_of(np.stack([dice, hd95], axis=-1), ("dice", "hd95_mm"))


@pytest.fixture(scope="module")
def drawn():
    """Six methods on 30 cases, two classes of which some cases lack the second."""
    rng = np.random.default_rng(3)
    skill = np.linspace(0.8, 0.7, 6)[:, None, None]
    dice = np.clip(skill + rng.normal(0, 0.06, (1, 30, 2)) + rng.normal(0, 0.04, (6, 30, 2)), 0, 1)
    values = np.stack([dice, np.clip(dice - 0.1 + rng.normal(0, 0.05, dice.shape), 0, 1)], axis=-1)
    values[:, ::4, 1] = np.nan
    return scores_of(values, ("dice", "nsd"))


# by hand and by the paper


def test_a_small_example_by_hand():
    """A: Dice 0.8 and 0.5, B: 0.7 and 0.6, C: 0.6 and 0.6."""
    values = np.array([[[0.9, 0.5], [0.7, 0.5]], [[0.7, 0.7], [0.7, 0.5]], [[0.5, 0.6], [0.7, 0.6]]])[
        ..., None
    ]
    found = rank_methods(scores_of(values, methods=list("ABC"), classes=["p", "n"]))
    assert found.parts["rank"].tolist() == [1, 3, 2, 1, 3, 1]
    assert found.parts["value"].tolist() == pytest.approx([0.8, 0.5, 0.7, 0.6, 0.6, 0.6])
    # mean ranks 2, 1.5, 2; A and C both have ranks 1 and 3, so they share the second place
    assert found.table[["method", "rank", "mean_rank"]].to_numpy().tolist() == [
        ["B", 1, 1.5],
        ["A", 2, 2],
        ["C", 2, 2],
    ]
    by_mean = rank_methods(scores_of(values, methods=list("ABC")), scheme="aggregate_then_rank")
    assert by_mean.parts.set_index("method")["value"].to_dict() == pytest.approx(
        {"A": 0.65, "B": 0.65, "C": 0.6}
    )
    assert by_mean.table["rank"].tolist() == [1, 1, 3]
    # ranks in the four case-class pairs: A 1 3 1 2, B 2 1 1 2, C 3 2 1 1
    by_case = rank_methods(scores_of(values, methods=list("ABC")), scheme="case_ranks")
    assert by_case.table.set_index("method")["mean_rank"].to_dict() == {"A": 1.75, "B": 1.5, "C": 1.75}
    average = rank_methods(scores_of(values, methods=list("ABC")), ties="average")
    assert average.parts["rank"].tolist() == [1, 3, 2, 1.5, 3, 1.5]


def test_the_tumor_task_of_segrap_has_its_published_ranks():
    """Table 12 ranked is Table 11; of the printed means one pair is equal (Ye, Yang: 78.76)."""
    means = np.array([values for values, _, _ in TEAMS.values()])
    means[list(TEAMS).index("Yang"), 0] += 0.001
    values = means[:, [0, 2, 1, 3]].reshape(len(TEAMS), 1, 2, 2)  # classes, then measures
    found = rank_methods(scores_of(values, ("dice", "nsd"), methods=list(TEAMS), classes=["GTVp", "GTVnd"]))
    assert found.methods == list(TEAMS)
    assert found.table["rank"].tolist() == [place for _, _, place in TEAMS.values()]
    wide = found.to_frame().set_index("method")
    columns = [f"rank__{m}__{c}" for m in ("dice", "nsd") for c in ("GTVp", "GTVnd")]
    assert wide[columns].to_numpy().tolist() == [list(ranks) for _, ranks, _ in TEAMS.values()]
    # two teams with 3.25: the steadier one is second, as the paper says; without that rule they share it
    assert wide["mean_rank"].tolist()[:3] == [3, 3.25, 3.25]
    shared = rank_methods(scores_of(values, ("dice", "nsd"), methods=list(TEAMS)), break_ties=False)
    assert shared.table["rank"].tolist()[:4] == [1, 2, 2, 4]
    # "Xing et al. obtained the best average performance ... but ranked on the third place"
    best = rank_methods(scores_of(values, ("dice", "nsd"), methods=list(TEAMS)), scheme="aggregate_then_rank")
    assert best.methods[0] == "Xing"


def test_the_organ_task_of_segrap_has_its_published_order():
    table = pd.read_csv(REFERENCE / "segrap_organ_ranks.csv", comment="#")
    teams = list(table.columns[2:])
    ranks = table.pivot_table(index="structure", columns="measure", values=teams, sort=False)
    cube = np.stack([ranks[team].to_numpy(float) for team in teams])
    rank, mean, _ = final_ranks(cube)
    assert rank.tolist() == list(range(1, 11))
    # the printed averages over the 45 organs
    dice = [1.7, 2.7, 3.1, 4.8, 5.2, 5.4, 7.3, 7.7, 8.1, 9.0]
    nsd = [1.6, 2.6, 2.8, 4.4, 5.6, 5.7, 7.2, 7.9, 7.9, 9.3]
    np.testing.assert_allclose(mean, (np.array(dice) + nsd) / 2, atol=0.05)
    # scores that have those ranks give those ranks back
    again = rank_methods(scores_of(-cube.reshape(10, 1, 45, 2), ("dice", "nsd"), methods=teams))
    assert again.methods == teams


# R


@pytest.mark.parametrize("scheme", SCHEMES)
def test_mean_ranks_are_those_of_r(golden, scheme):
    found = rank_methods(golden, scheme=scheme, alpha=0.3).table.set_index("method").loc[list(golden.methods)]
    np.testing.assert_allclose(found["mean_rank"], GOLDEN[scheme]["mean"], rtol=0, atol=1e-12)
    np.testing.assert_allclose(found["sd_of_ranks"], GOLDEN[scheme]["sd"], rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", GOLDEN["pairs"])
def test_p_values_are_those_of_r(name):
    pair = GOLDEN["pairs"][name]
    x, y = np.array(pair["x"]), np.array(pair["y"])
    assert paired_t(x, y) == pytest.approx((pair["t"], pair["p_t"]), rel=1e-9)
    for alternative, key in (("two-sided", "two_sided"), ("greater", "greater"), ("less", "less")):
        assert signed_rank(x, y, alternative) == pytest.approx(pair[key], rel=1e-9), alternative
    assert rank_sum(x, y) == pytest.approx(pair["rank_sum"], rel=1e-9)


def test_holm_and_kendall_are_those_of_r():
    assert holm(np.array(GOLDEN["holm"]["p"])) == pytest.approx(GOLDEN["holm"]["adjusted"], rel=1e-12)
    a, b, d = (np.array(GOLDEN["kendall"][k]) for k in "abd")
    assert kendall_tau(np.stack([b, d], axis=1), a) == pytest.approx(
        [GOLDEN["kendall"]["ab"], GOLDEN["kendall"]["ad"]], rel=1e-12
    )
    assert kendall_tau(b[:, None], d)[0] == pytest.approx(GOLDEN["kendall"]["bd"], rel=1e-12)


def test_kendall_is_that_of_scipy():
    rng = np.random.default_rng(0)
    ranks = rng.integers(1, 6, (7, 50))
    other = rng.integers(1, 6, 7)
    expected = [stats.kendalltau(column, other).statistic for column in ranks.T]
    np.testing.assert_allclose(kendall_tau(ranks, other), expected, atol=1e-12)
    assert np.isnan(kendall_tau(np.ones((3, 1)), np.arange(3))[0])


# properties


@pytest.mark.parametrize("scheme", SCHEMES)
def test_neither_order_nor_unit_matters(drawn, scheme):
    table = table_of(drawn.values, drawn.measures)
    shuffled = table.sample(frac=1, random_state=1)
    first, second = (
        rank_methods(MethodScores.from_table(t, ["dice", "nsd"]), scheme=scheme) for t in (table, shuffled)
    )
    pd.testing.assert_frame_equal(first.table, second.table)
    stretched = table.assign(dice=table["dice"] * 100)
    third = rank_methods(MethodScores.from_table(stretched, ["dice", "nsd"]), scheme=scheme)
    pd.testing.assert_frame_equal(first.table, third.table)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_best_everywhere_is_first(scheme):
    rng = np.random.default_rng(2)
    base = rng.uniform(0.4, 0.8, (1, 12, 3, 2))
    values = base - np.arange(4).reshape(4, 1, 1, 1) * rng.uniform(0.01, 0.1, (1, 12, 3, 2))
    found = rank_methods(scores_of(values, ("dice", "nsd")), scheme=scheme)
    assert found.methods == ["M0", "M1", "M2", "M3"]
    assert found.table["rank"].tolist() == [1, 2, 3, 4]
    assert found.scheme == scheme


def test_distances_are_better_when_low_and_volume_errors_when_near_zero():
    values = np.array([[[[2.0, -3.0]]], [[[1.0, 4.0]]]])
    found = rank_methods(scores_of(values, ("hd95_mm", "volume_error_cm3"), methods=["far", "near"]))
    assert found.parts.set_index(["method", "measure"])["rank"].to_dict() == {
        ("far", "hd95_mm"): 2, ("far", "volume_error_cm3"): 1,
        ("near", "hd95_mm"): 1, ("near", "volume_error_cm3"): 2,
    }  # fmt: skip


def test_all_schemes_side_by_side(golden):
    found = compare_schemes(golden, alpha=0.3)
    assert list(found.columns) == ["method", *SCHEMES]
    assert found["rank_then_aggregate"].tolist() == sorted(found["rank_then_aggregate"])
    for scheme in SCHEMES:
        expected = rank_methods(golden, scheme=scheme, alpha=0.3).table.set_index("method")["rank"]
        assert found.set_index("method")[scheme].to_dict() == expected.to_dict()


# the bootstrap


def brute_samples(drawn, scheme, resamples, random_state):
    """Every sample as a table of its own, ranked like any other."""
    rng = np.random.default_rng(random_state)
    n = len(drawn.cases)
    counts = rng.multinomial(n, np.full(n, 1 / n), size=resamples)
    for row in counts:
        values = np.repeat(drawn.values, row, axis=1)
        yield rank_methods(scores_of(values, drawn.measures), scheme=scheme).table.set_index("method")["rank"]


@pytest.mark.parametrize("scheme", SCHEMES[:3])
def test_samples_are_ranked_like_tables_of_their_own(drawn, scheme):
    found = bootstrap_ranks(drawn, scheme=scheme, resamples=12, random_state=5)
    for k, expected in enumerate(brute_samples(drawn, scheme, 12, 5)):
        assert found.ranks[:, k].tolist() == expected.loc[list(found.methods)].tolist()
        tau = stats.kendalltau(found.ranks[:, k], found.rank).statistic
        assert found.kendall[k] == pytest.approx(tau, abs=1e-12)


def test_a_rare_class_may_be_absent_from_a_sample():
    values = np.full((2, 5, 2, 1), 0.5)
    values[0] += 0.1
    values[:, 1:, 1] = np.nan  # drawn in 67% of the samples
    values[1, 0, 1] = 0.9  # and there the second method is better
    found = bootstrap_ranks(scores_of(values), resamples=2000)
    first = (found.ranks[list(found.methods).index("M1")] == 1).mean()
    # with the class both have ranks 1 and 2 and share the first place
    assert first == pytest.approx(1 - 0.8**5, abs=0.03)
    assert (found.ranks[list(found.methods).index("M0")] == 1).all()


def test_how_often_a_rank_is_held_has_its_closed_form():
    """One case of n decides for the second method, by more than all others for the first together."""
    for n in (5, 12):
        values = np.full((2, n, 1, 1), 0.5)
        values[0] += 0.01
        values[0, 0] -= 0.4
        found = bootstrap_ranks(scores_of(values), resamples=20_000, random_state=1).to_frame()
        assert found["method"].tolist() == ["M1", "M0"]
        # it holds whenever that case is drawn at least once
        assert found["held"].tolist() == pytest.approx([1 - (1 - 1 / n) ** n] * 2, abs=0.012)
        assert found[["share_1", "share_2"]].sum(axis=1).tolist() == pytest.approx([1, 1])


def test_a_clear_order_is_stable_and_twins_are_not(drawn):
    clear = np.arange(4, 0, -1).reshape(4, 1, 1, 1) / 5 + np.random.default_rng(0).normal(
        0, 0.01, (4, 20, 1, 1)
    )
    stable = bootstrap_ranks(scores_of(clear))
    assert stable.to_frame()["held"].tolist() == [1.0] * 4
    assert stable.tau_frame().iloc[0][["mean", "lower"]].tolist() == [1.0, 1.0]
    twins = bootstrap_ranks(scores_of(np.full((3, 9, 1, 1), 0.5)))
    assert twins.to_frame()["held"].tolist() == [1.0] * 3  # all share the first place
    assert np.isnan(twins.kendall).all()
    assert np.isnan(twins.tau_frame()["mean"].iloc[0])
    loose = bootstrap_ranks(drawn).to_frame()
    assert (loose["lower"] <= loose["rank"]).all()
    assert (loose["rank"] <= loose["upper"]).all()


def test_the_same_seed_gives_the_same_samples(drawn):
    one, two, other = (bootstrap_ranks(drawn, resamples=50, random_state=s).ranks for s in (1, 1, 2))
    assert (one == two).all()
    assert (one != other).any()


# every two methods


def test_comparisons_are_those_of_scipy(drawn):
    found = compare_methods(drawn, resamples=500).set_index(["measure", "class", "first", "second"])
    assert len(found) == 2 * 3 * 15
    for measure, name in (("dice", "C0"), ("nsd", "C1")):
        k, c = drawn.measures.index(measure), drawn.classes.index(name)
        x, y = (v[np.isfinite(v)] for v in drawn.values[[0, 3], :, c, k])  # noqa: PD011
        row = found.loc[(measure, name, "M0", "M3")]
        assert row["n"] == len(x) == (30 if name == "C0" else 22)
        assert row["difference"] == pytest.approx(np.mean(x - y), abs=1e-12)
        assert (row["t"], row["p_t"]) == pytest.approx(tuple(stats.ttest_rel(x, y)), rel=1e-9)
        assert row["p_wilcoxon"] == pytest.approx(stats.wilcoxon(x, y, method="exact").pvalue, rel=1e-9)
        p = (
            stats.mannwhitneyu(x, y, method="exact").pvalue
            if len(np.unique([*x, *y])) == 2 * len(x)
            else None
        )
        if p is not None:  # a Dice of 0 or 1 twice is a tie
            assert row["p_mann_whitney"] == pytest.approx(p, rel=1e-9)
        interval = stats.bootstrap(
            (x - y,), np.mean, n_resamples=4000, method="percentile", rng=1
        ).confidence_interval
        width = interval.high - interval.low
        assert (row["lower"], row["upper"]) == pytest.approx((interval.low, interval.high), abs=0.1 * width)
    for _, part in found.groupby(level=["measure", "class"]):
        assert part["p_wilcoxon_holm"].to_numpy() == pytest.approx(holm(part["p_wilcoxon"].to_numpy()))
        assert (part["p_t_holm"] >= part["p_t"]).all()


def test_classes_of_a_case_are_averaged(drawn):
    """As the rows "Average" of the tables of SegRap: a case that lacks a class has the mean of the others."""
    found = compare_methods(drawn).set_index(["measure", "class", "first", "second"])
    x, y = np.nanmean(drawn.values[[1, 2], :, :, 0], axis=2)  # noqa: PD011
    row = found.loc[("dice", "all", "M1", "M2")]
    assert (row["n"], row["p_t"]) == (30, pytest.approx(stats.ttest_rel(x, y).pvalue, rel=1e-9))


def test_pairs_follow_the_order(drawn):
    order = ["M3", "M0", "M5", "M1", "M2", "M4"]
    found = compare_methods(drawn, order=order)
    pairs = found[["first", "second"]].drop_duplicates().to_numpy().tolist()
    assert [p for p in pairs if order.index(p[1]) == order.index(p[0]) + 1] == found.loc[
        found["neighbors"], ["first", "second"]
    ].drop_duplicates().to_numpy().tolist()
    assert all(order.index(a) < order.index(b) for a, b in pairs)
    same = compare_methods(drawn)
    forth = found.set_index(["measure", "class", "first", "second"]).loc[("nsd", "C0", "M3", "M0")]
    back = same.set_index(["measure", "class", "first", "second"]).loc[("nsd", "C0", "M0", "M3")]
    assert forth["difference"] == pytest.approx(-back["difference"])
    assert (forth["lower"], forth["upper"]) == pytest.approx((-back["upper"], -back["lower"]))
    assert forth["p_wilcoxon"] == pytest.approx(back["p_wilcoxon"])


def test_methods_without_difference():
    values = np.full((2, 6, 1, 1), 0.5)
    row = compare_methods(scores_of(values)).iloc[0]
    assert (row["difference"], row["lower"], row["upper"], row["p_wilcoxon"], row["p_mann_whitney"]) == (
        0,
        0,
        0,
        1,
        1,
    )
    assert np.isnan(row["p_t"])
    values[0] += 0.1  # the same in every case: t is infinite, ranks are not
    row = compare_methods(scores_of(values)).iloc[0]
    assert np.isnan(row["p_t"])
    assert row["p_wilcoxon"] < 0.05
    one = compare_methods(scores_of(np.array([0.4, 0.6]).reshape(2, 1, 1, 1))).iloc[0]
    assert (one["n"], one["p_wilcoxon"]) == (1, 1)
    assert np.isnan([one["lower"], one["p_t"]]).all()
    assert compare_methods(scores_of(np.full((1, 4, 1, 1), 0.5))).empty


@pytest.mark.slow
def test_false_alarms_are_as_many_as_they_should_be():
    """No method is better: Holm keeps the share of samples with any finding at 5%."""
    rng = np.random.default_rng(8)
    alarms = {"p_t_holm": 0, "p_wilcoxon_holm": 0}
    for _ in range(200):
        values = rng.normal(0.7, 0.05, (1, 20, 1, 1)) + rng.normal(0, 0.05, (3, 20, 1, 1))
        found = compare_methods(scores_of(values), resamples=1)
        for name in alarms:
            alarms[name] += found[name].min() < 0.05
    assert max(alarms.values()) / 200 <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 200)


# what is asked for wrongly


def test_infinite_distances_need_a_stand_in():
    table = table_of(np.array([[[[0.5, 3.0]]], [[[0.0, np.nan]]]]), ("dice", "hd95_mm"))
    table = pd.concat(
        [table, pd.DataFrame([{"method": "M1", "case": "0", "class": "C0", "dice": 0.0, "hd95_mm": np.inf}])]
    )
    with pytest.raises(ConfigError, match="diagonal_mm"):
        MethodScores.from_table(table, ["hd95_mm"])
    known = table.assign(diagonal_mm=250.0)
    assert MethodScores.from_table(known, ["hd95_mm"]).values.ravel().tolist() == [3.0, 250.0]  # noqa: PD011
    assert MethodScores.from_table(table, ["hd95_mm"], infinite=99).values.ravel().tolist() == [3.0, 99.0]  # noqa: PD011
    assert finite_distances(known)["dice"].tolist() == [0.5, 0.0]
    for stand_in in ("median", -1, np.inf):
        with pytest.raises(ConfigError, match="cannot stand"):
            finite_distances(known, stand_in)
    with pytest.raises(ConfigError, match="not known"):
        finite_distances(known.assign(diagonal_mm=np.nan))
    assert MethodScores.from_table(known, ["dice"]).values.ravel().tolist() == [0.5, 0.0]  # noqa: PD011


def test_incomplete_and_doubled_scores_are_refused(drawn):
    table = table_of(drawn.values, drawn.measures)
    with pytest.raises(ConfigError, match="1 of the methods lack"):
        MethodScores.from_table(table.iloc[1:], ["dice"])
    with pytest.raises(ConfigError, match="twice"):
        MethodScores.from_table(pd.concat([table, table.iloc[:1]]), ["dice"])
    with pytest.raises(ConfigError, match="no number"):
        MethodScores.from_table(table.assign(dice=np.nan), ["dice"])
    with pytest.raises(ConfigError, match="no column 'hd95_mm'"):
        MethodScores.from_table(table, ["hd95_mm"])
    with pytest.raises(ConfigError, match="ranked by 'reference_cm3'"):
        MethodScores.from_table(table.assign(reference_cm3=1.0), ["reference_cm3"])
    with pytest.raises(ConfigError, match="no scores"):
        MethodScores.from_table(table.iloc[:0], ["dice"])
    for options in ({"scheme": "best"}, {"ties": "random"}, {"alpha": 0}):
        with pytest.raises(ConfigError, match="not ranked"):
            rank_methods(drawn, **options)
    with pytest.raises(ConfigError, match="no bootstrap"):
        bootstrap_ranks(drawn, scheme="test_based")
    with pytest.raises(ConfigError, match="every method once"):
        compare_methods(drawn, order=["M0", "M1"])


def test_one_method_is_first():
    only = scores_of(np.full((1, 3, 1, 1), 0.5))
    assert rank_methods(only).table["rank"].tolist() == [1]
    assert [compare_schemes(only)[s].tolist() for s in SCHEMES] == [[1]] * 4
    assert bootstrap_ranks(only, resamples=5).to_frame()["held"].tolist() == [1.0]


def test_simulated_patients_are_called_so(drawn):
    table = table_of(drawn.values, drawn.measures).assign(simulated=True)
    scores = MethodScores.from_table(table)
    for frame in (
        rank_methods(scores).to_frame(), bootstrap_ranks(scores, resamples=5).to_frame(),
        bootstrap_ranks(scores, resamples=5).tau_frame(), compare_methods(scores, resamples=5),
    ):  # fmt: skip
        assert frame["simulated"].all()
    assert "simulated" in rank_methods(scores)._repr_html_()


def test_ranks_of_every_order_are_those_of_a_full_count():
    """Final ranks against a plain sort, with ties in mean and spread."""
    for flat in permutations([(1, 2), (2, 1), (1.5, 1.5), (3, 3)]):
        ranks = np.array(flat, float)[:, :, None]
        rank, mean, spread = final_ranks(ranks)
        keys = list(zip(mean.round(9), spread.round(9), strict=True))
        assert rank.tolist() == [1 + sum(other < key for other in keys) for key in keys]
