"""Interactions, penalized coefficients, horizons and quantiles against R's rms 6.5, number by number.

How R's numbers were made: tests/reference/r/nomogram_interactions.R.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError, ConfigError, HorizonError
from radiomics_npc.nomogram.interactions import axis_groups
from radiomics_npc.nomogram.nomogram import Nomogram
from radiomics_npc.survival.design import Design, Term
from radiomics_npc.survival.models.cox import CoxModel

# Columns, splines, interactions and settings of R's models.
MODELS = {
    "factor_linear": (["age", "grade", "size", "lognodes", "hormon"], {}, [("age", "grade")], {}),
    "linear_linear": (["age", "size", "grade", "hormon"], {}, [("age", "size")], {"size": (10, 25, 40)}),
    "spline_factor": (["age", "meno", "lognodes", "grade"], {"age": None}, [("age", "meno")], {}),
    "factor_factor": (["lognodes", "grade", "meno"], {}, [("grade", "meno")], {}),
    "chain": (
        ["age", "grade", "hormon", "lognodes"], {"lognodes": (0.7, 1.4, 2.6)},
        [("age", "grade"), ("grade", "hormon")], {},
    ),
    "ridge": (["age", "meno", "lognodes", "grade"], {"age": None}, [("age", "meno")], {}),
    "penalised_lrm": (["age", "grade", "size", "hormon"], {"age": None}, [("age", "grade")], {}),
}  # fmt: skip


@pytest.fixture(scope="module")
def told(reference_json):
    return reference_json("nomogram_interactions.json")


@pytest.fixture(scope="module")
def patients(gbsg):
    X, y = gbsg
    meno = pd.Categorical(X["meno"].map({0: "pre", 1: "post"}), categories=["pre", "post"])
    return X.assign(meno=meno), y


def _parameters(name, told):
    columns, splines, interactions, settings = MODELS[name]
    splines = {column: knots or tuple(told["age_knots"]) for column, knots in splines.items()}
    return columns, {"splines": splines, "interactions": interactions}, settings


@pytest.fixture(scope="module")
def of_r(told, patients):
    """A model of R with R's coefficients."""

    def make(name):
        X, y = patients
        columns, parameters, settings = _parameters(name, told)
        design = Design(X[columns], y, min_category=1, **parameters)
        coef = pd.Series(told[name]["coef"], dtype=float)
        assert set(design.columns) == set(coef.index) - {"Intercept"}
        center = told[name]["center"] - coef.get("Intercept", 0.0)
        terms = tuple(term.with_coefficients(coef) for term in design.terms)
        return Nomogram(terms, (60.0,), (0.1,), center=center, interact=settings)

    return make


@pytest.mark.parametrize("name", MODELS)
def test_every_axis_equals_r(name, of_r, told):
    """Each axis that rms draws, tick by tick, within 1e-9 points."""
    scale = of_r(name).scale
    expected = {
        (row["variable"], tuple(sorted((row["settings"] or {}).items()))): row for row in told[name]["rows"]
    }
    found = {
        (axis.name, tuple(sorted((n, v if isinstance(v, str) else f"{v:g}") for n, v in axis.settings))): axis
        for axis in scale.axes
    }
    assert set(found) == set(expected)
    for key, row in expected.items():
        axis = found[key]
        if axis.is_factor:
            assert list(axis.values) == row["value"]
        else:
            np.testing.assert_allclose(axis.values, np.array(row["value"], dtype=float), rtol=0, atol=1e-12)
        np.testing.assert_allclose(axis.effects, row["Xbeta"], rtol=0, atol=1e-11)
        np.testing.assert_allclose(axis.points, row["points"], rtol=0, atol=1e-9)
    assert scale.points_per_unit == pytest.approx(told[name]["sc"], abs=1e-9)
    assert scale.intercept == pytest.approx(told[name]["Intercept"], abs=1e-11)


@pytest.mark.parametrize("name", MODELS)
def test_axes_of_a_group_stand_in_the_order_of_r(name, of_r, told):
    scale = of_r(name).scale
    for variable in {axis.name for axis in scale.axes}:
        ours = [[str(v if isinstance(v, str) else f"{v:g}") for _, v in axis.settings]
                for axis in scale.axes if axis.name == variable]  # fmt: skip
        rows = [row for row in told[name]["rows"] if row["variable"] == variable]
        assert ours == [list((row["settings"] or {}).values()) for row in rows]


@pytest.mark.parametrize("name", MODELS)
def test_patients_read_off_the_axes_get_the_linear_predictor_of_r(name, of_r, told, patients):
    read = of_r(name).predict(patients[0].iloc[told["patients"]])
    np.testing.assert_allclose(read["linear_predictor"], told[name]["lp"], rtol=0, atol=1e-10)


# The spline of age by menopause is nearly separated: few are postmenopausal at 35.
@pytest.mark.parametrize(
    ("name", "penalizer"),
    [("factor_linear", 0.0), ("factor_linear", 0.05), ("linear_linear", 0.0), ("factor_factor", 0.0),
     ("chain", 0.0), ("spline_factor", 0.05)],
)  # fmt: skip
def test_reading_points_is_the_model(name, penalizer, told, patients):
    """Fitted here, with and without a penalty: the nomogram's sum is the model's linear predictor."""
    X, y = patients
    columns, parameters, settings = _parameters(name, told)
    model = CoxModel(min_category=1, penalizer=penalizer, **parameters).fit(X[columns], y)
    read = Nomogram.from_model(model, [12, 60], interact=settings).predict(X)
    np.testing.assert_allclose(read["linear_predictor"], model.linear_predictor(X), rtol=0, atol=1e-10)
    np.testing.assert_allclose(read.iloc[:, 2:], model.predict_survival(X, [12, 60]), rtol=0, atol=1e-10)


def test_coefficients_fitted_here_give_the_points_of_r(told, patients):
    """From the data to the points, a factor and a number interacting: within 1e-5 points of rms."""
    X, y = patients
    columns, parameters, _ = _parameters("factor_linear", told)
    nomogram = Nomogram.from_model(CoxModel(min_category=1, **parameters).fit(X[columns], y))
    points = {axis.settings: axis.points for axis in nomogram.scale.axes if axis.name == "age"}
    for row in told["factor_linear"]["rows"][:3]:
        expected = row["points"]
        np.testing.assert_allclose(
            points[(("grade", row["settings"]["grade"]),)], expected, rtol=0, atol=1e-5
        )


@pytest.fixture(scope="module")
def timed(told, terms_of_r, reference):
    """Model A with R's coefficients, six horizons and two quantiles."""
    base = reference("A_basehaz.csv")
    months = tuple(float(t) for t in told["horizons"]["times"])
    hazard = tuple(float(base.loc[base["time"] <= month, "H0_x0"].iloc[-1]) for month in months)
    return Nomogram(
        terms_of_r, months, hazard, center=told["horizons"]["center"], quantiles=(0.5, 0.75),
        baseline_months=tuple(base["time"]), baseline_hazard=tuple(base["H0_x0"]),
    )  # fmt: skip


def test_any_number_of_horizons_equals_r(timed, told):
    expected = np.array(told["horizons"]["survival"])
    found = timed.survival(told["horizons"]["lp"])
    assert found.shape == (33, 6)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize(("quantile", "name"), [(0.5, "median"), (0.75, "quartile")])
def test_quantiles_equal_r(timed, told, quantile, name):
    """rms::Quantile, where it is reached (R's NA is written as -1): the same step of the curve."""
    expected = np.array(told["horizons"][name])
    found = np.nan_to_num(timed.months_to(quantile, told["horizons"]["lp"]), nan=-1)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)
    assert (expected > 0).sum() > 10


@pytest.mark.parametrize(("quantile", "name"), [(0.5, "median"), (0.75, "quartile")])
def test_quantile_axes_equal_r(timed, told, quantile, name):
    """R interpolates the steps between 1,000 points: so do we here, and get R's axis to 1e-9.

    Ours is exact instead: the lowest risk whose curve is down at the quantile by that month.
    """
    horizons = told["horizons"]
    grid = np.linspace(*horizons["grid"], 1000)
    steps = timed.months_to(quantile, grid)
    known = pd.Series(grid[~np.isnan(steps)]).groupby(steps[~np.isnan(steps)]).mean()  # ties = mean
    lines = np.interp(horizons[f"{name}_axis"]["months"], known.index, known)
    np.testing.assert_allclose(
        timed.scale.total_points(lines), horizons[f"{name}_axis"]["points"], rtol=0, atol=1e-9
    )
    for months in horizons[f"{name}_axis"]["months"]:
        lp = timed.linear_predictor_of(quantile, months)
        assert timed.months_to(quantile, lp + 1e-9)[0] <= months
        assert timed.months_to(quantile, lp - 1e-9)[0] > months


def test_median_is_that_of_the_survival_curve(gbsg, model):
    """The first month at which the model's own survival is down at one half."""
    X, _ = gbsg
    nomogram = Nomogram.from_model(model, quantiles=[0.5])
    lp = model.linear_predictor(X)
    curves = model.predict_survival(X, nomogram.baseline_months)
    found = nomogram.months_to(0.5, lp)
    for curve, months in zip(curves[::9], found[::9], strict=True):
        below = np.flatnonzero(curve <= 0.5)
        assert np.isnan(months) if not len(below) else months == nomogram.baseline_months[below[0]]
    table = nomogram.total_points_table()
    assert table["months_to_survival_0.5"].is_monotonic_decreasing or table.isna().any(axis=None)


def test_quantiles_that_make_no_sense_are_refused(model, gbsg):
    with pytest.raises(ConfigError, match=r"no time has a survival of 1\.5"):
        Nomogram.from_model(model, quantiles=[1.5])
    X, y = gbsg
    early = Outcome(np.minimum(y.time_months, 12.0), y.event & (y.time_months <= 12), y.patient_id)
    young = CoxModel(min_category=1).fit(X[["age"]], early)
    with pytest.raises(HorizonError, match=r"falls to 0\.5 for no patient"):
        Nomogram.from_model(young, [6, 12], quantiles=[0.5])


def test_settings_are_round_values_within_the_range():
    age, size = Term("age", "linear", (0.1,), range=(21, 80)), Term("size", "linear", (0.1,), range=(3, 120))
    both = Term("age * size", "interaction", (0.01,), ("age * size",), parts=("age", "size"))
    (group,) = axis_groups((age, size, both))
    assert [setting for ((_, setting),) in group.settings] == [3, 50, 100, 120]
    (other,) = axis_groups((age, size, both), {"age": (40, 60)})
    assert other.name == "size"
    assert other.settings == ((("age", 40.0),), (("age", 60.0),))


def test_settings_that_make_no_sense_are_refused(of_r, told, patients):
    X, y = patients
    model = CoxModel(min_category=1, interactions=[("age", "grade")]).fit(X[["age", "grade", "size"]], y)
    with pytest.raises(ConfigError, match="settings of size: it takes part in no interaction"):
        Nomogram.from_model(model, interact={"size": (10, 20)})
    with pytest.raises(ConfigError, match=r"settings of grade: \['4'\]"):
        Nomogram.from_model(model, interact={"grade": ("4",)})
    levels = tuple("abcdef")
    many = [Term(n, "factor", (0.0, *[0.1] * 5), levels) for n in "xyz"]
    pairs = [
        Term(f"x * {n}", "interaction", (0.1,) * 25, tuple(f"{i}{n}" for i in range(25)), parts=("x", n))
        for n in "yz"
    ]
    with pytest.raises(ConfigError, match="need 36 axes"):
        axis_groups((*many, *pairs))


def test_table_and_axes_say_the_settings(of_r):
    nomogram = of_r("chain")
    table = nomogram.points_table()
    assert list(table.columns) == ["variable", "label", "settings", "value", "effect", "points"]
    assert "Age (years) if Grade = 1, Hormon = 0" in set(table["label"])
    assert nomogram.columns == ["age", "grade", "hormon", "lognodes"]
    points = nomogram.points_of(pd.DataFrame({"age": [50], "grade": ["2"], "hormon": [1], "lognodes": [1.0]}))
    assert list(points.columns) == ["age", "lognodes", "total_points"]


def test_a_patient_out_of_range_is_refused_with_interactions_too(of_r, patients):
    X = patients[0].iloc[:5].assign(age=99)
    with pytest.raises(CohortError, match="column age"):
        of_r("chain").predict(X)
