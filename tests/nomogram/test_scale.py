"""The points scale against R's rms, number by number."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radiomics_npc.errors import CohortError
from radiomics_npc.nomogram.scale import points_scale, pretty


@pytest.mark.parametrize("variable", ["age", "size", "lognodes", "logpgr"])
def test_axis_limits_are_those_of_r(variable, gbsg, reference):
    table = reference("A_nomogram_points.csv").query("variable == @variable")
    column = gbsg[0][variable]
    np.testing.assert_array_equal(pretty(column.min(), column.max()), table["value"].astype(float))


@pytest.mark.parametrize(
    ("low", "high", "n", "expected"),
    [  # worked by hand through R's rule (high.u.bias 1.5, u5.bias 2.75)
        (0, 1, 10, np.arange(11) / 10),
        (-1.3, 2.1, 10, [-1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2, 2.5]),
        (0, 97, 5, [0, 20, 40, 60, 80, 100]),
        (1234, 5678, 5, [1000, 2000, 3000, 4000, 5000, 6000]),
        (-0.002, 0.0031, 5, np.arange(-2, 5) / 1000),
    ],
)
def test_pretty_known_values(low, high, n, expected):
    np.testing.assert_allclose(pretty(low, high, n), expected, rtol=0, atol=1e-12)


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6))
def test_pretty_covers_the_range_evenly(low, spread):
    high = low + spread
    ticks = pretty(low, high)
    step = np.diff(ticks)
    assert ticks[0] <= low + 1e-6 * step[0]
    assert ticks[-1] >= high - 1e-6 * step[0]
    np.testing.assert_allclose(step, step[0], rtol=1e-9, atol=4 * np.spacing(np.abs(ticks).max()))
    assert len(ticks) <= 25


def test_pretty_of_one_value_and_of_nonsense():
    assert len(pretty(3, 3)) > 1
    assert pretty(0, 0)[0] <= 0 <= pretty(0, 0)[-1]
    for low, high in ((1, 0), (np.nan, 1), (0, np.inf)):
        with pytest.raises(CohortError, match="range"):
            pretty(low, high)


def test_points_equal_r(nomogram_of_r, summary, reference):
    """Model A: points of every tick, given R's coefficients, within 1e-9."""
    expected = reference("A_nomogram_points.csv")
    table = nomogram_of_r.points_table()
    assert table["variable"].tolist() == expected["variable"].tolist()
    np.testing.assert_allclose(
        table["value"].astype(float), expected["value"].astype(float), rtol=0, atol=1e-12
    )
    np.testing.assert_allclose(table["points"], expected["points"], rtol=0, atol=1e-9)
    np.testing.assert_allclose(table["effect"], expected["Xbeta"], rtol=0, atol=1e-12)
    assert nomogram_of_r.scale.points_per_unit == pytest.approx(summary["nomogram"]["sc"], abs=1e-9)
    assert nomogram_of_r.scale.intercept == pytest.approx(summary["nomogram"]["Intercept"], abs=1e-12)


def test_total_points_map_equals_r(nomogram_of_r, reference):
    """Total points -> linear predictor -> survival at 36 and 60 months."""
    expected = reference("A_nomogram_map.csv")
    table = nomogram_of_r.total_points_table(step=5).iloc[: len(expected)]
    np.testing.assert_allclose(table["total_points"], expected["total_points"])
    np.testing.assert_allclose(table["linear_predictor"], expected["lp"], rtol=0, atol=1e-12)
    np.testing.assert_allclose(table["survival_36_months"], expected["S36"], rtol=0, atol=1e-12)
    np.testing.assert_allclose(table["survival_60_months"], expected["S60"], rtol=0, atol=1e-12)


def test_linear_predictor_axis_equals_r(nomogram_of_r, reference):
    expected = reference("A_nomogram_axes.csv").query("axis == 'lp'")
    points = nomogram_of_r.scale.total_points(expected["value"])
    np.testing.assert_allclose(points, expected["total_points"], rtol=0, atol=1e-9)


@pytest.mark.parametrize(("horizon", "axis"), [(0, "PFS36"), (1, "PFS60")])
def test_survival_axes_equal_r(nomogram_of_r, horizon, axis, reference):
    """R inverts the survival curve by straight lines between 1,000 points; here it is inverted exactly.

    The same straight lines give R's positions to 1e-9, and the exact ones lie as
    far from R's as those lines err: 1.5e-4 points.
    """
    nomogram, expected = nomogram_of_r, reference("A_nomogram_axes.csv").query("axis == @axis")
    ends = reference("A_nomogram_axes.csv").query("axis == 'lp'")["value"]
    grid = np.linspace(ends.min(), ends.max(), 1000)
    curve = nomogram.survival(grid)[:, horizon]
    lines = np.interp(expected["value"], curve[::-1], grid[::-1])
    np.testing.assert_allclose(
        nomogram.scale.total_points(lines), expected["total_points"], rtol=0, atol=1e-9
    )
    exact = nomogram.scale.total_points(nomogram.linear_predictor_at(expected["value"], horizon))
    np.testing.assert_allclose(exact, expected["total_points"], rtol=0, atol=2e-4)


def _spline(x, knots):
    """Restricted cubic spline basis as in rms (rcspline.eval, norm = 2)."""
    x, k = np.asarray(x, dtype=float), np.asarray(knots, dtype=float)

    def cube(values):
        return np.maximum(values, 0) ** 3

    columns = [x]
    for j in range(len(k) - 2):
        last, spread = k[-1], k[-1] - k[-2]
        term = (
            cube(x - k[j])
            - cube(x - k[-2]) * (last - k[j]) / spread
            + cube(x - last) * (k[-2] - k[j]) / spread
        )
        columns.append(term / (last - k[0]) ** 2)
    return np.stack(columns, axis=1)


def test_spline_terms_fit_the_same_scale(reference, reference_json):
    """Model B has a restricted cubic spline of age: any contribution will do, within 1e-9 points."""
    coef = reference("B_coef.csv").set_index("term")["coef"]
    expected = reference("B_nomogram_points.csv")
    knots = reference_json("B_knots.json")["age_knots"]
    effects = {}
    for name, rows in expected.groupby("variable", sort=False):
        values = rows["value"].astype(float).to_numpy()
        if name == "age":
            effect = _spline(values, knots) @ coef[["age", "age'", "age''"]].to_numpy()
        elif name == "grade":
            effect = np.array([0.0, coef["grade=2"], coef["grade=3"]])
        else:
            effect = values * coef[name]
        effects[str(name)] = (values.tolist(), effect)
    told = reference_json("B_summary.json")
    scale = points_scale(effects, center=told["center"])
    np.testing.assert_allclose(scale.to_frame()["points"], expected["points"], rtol=0, atol=1e-9)
    assert scale.points_per_unit == pytest.approx(told["info"]["sc"], abs=1e-9)
    assert scale.intercept == pytest.approx(told["info"]["Intercept"], abs=1e-9)


@given(st.lists(st.floats(-3, 3), min_size=2, max_size=6), st.floats(0.01, 3))
def test_points_start_at_zero_and_total_gives_the_linear_predictor(effects, slope):
    scale = points_scale(
        {"f": ([str(i) for i in range(len(effects))], effects), "x": ([0, 10], [0, 10 * slope])}
    )
    assert all(axis.points.min() == 0 for axis in scale.axes)
    assert max(axis.points.max() for axis in scale.axes) == pytest.approx(100)
    total = scale.points("f", effects[0]) + scale.points("x", 4 * slope)
    assert float(scale.linear_predictor(total)) == pytest.approx(effects[0] + 4 * slope, abs=1e-9)
    assert float(scale.total_points(scale.linear_predictor(total))) == pytest.approx(float(total), abs=1e-9)


def test_a_model_without_effect_has_no_scale():
    with pytest.raises(CohortError, match="no points scale"):
        points_scale({"x": ([0, 1], [0.0, 0.0])})
