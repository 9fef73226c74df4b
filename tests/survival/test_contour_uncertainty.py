"""How far a prediction moves when the contour moves: closed form, groups, missing repetitions."""

import numpy as np
import pandas as pd
import pytest

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError, ConfigError, HorizonError
from radiomics_npc.features.repeated import REPEAT_FAILURE_COLUMNS, REPEAT_INDEX, RepeatedFeatures
from radiomics_npc.survival.models.cox import CoxModel
from radiomics_npc.survival.models.groups import RiskGroups
from radiomics_npc.survival.models.prognostic import PrognosticModel
from radiomics_npc.survival.validation.contour_uncertainty import contour_uncertainty

NAMES = ("original", "grow", "shrink", "contour", "noise")


def repeat(X, names=NAMES, spread=0.1, seed=0):
    """The features of these patients, moved a little by each perturbation but the first."""
    random = np.random.default_rng(seed)
    features = X[[name for name in X.columns if "__" in name]]
    parts = {
        name: features + (0.0 if name == "original" else spread * random.normal(size=features.shape))
        for name in names
    }
    table = pd.concat(parts, names=REPEAT_INDEX[::-1]).swaplevel()
    return table.loc[[(who, name) for who in X.index for name in names]]


@pytest.fixture(scope="module")
def fitted(patients):
    X, y, _ = patients
    columns = ["T", "t1__original__glcm__F0", "t1__original__glcm__F1"]
    table = X[columns].assign(T=X["T"].cat.remove_unused_categories())
    return CoxModel().fit(table, y), table, y


def test_predictions_are_those_of_the_model_for_each_contour(fitted):
    model, X, _ = fitted
    repeats = repeat(X.iloc[:20])
    found = contour_uncertainty(model, repeats, X[["T"]], horizon_months=48)
    assert found.predictions.index.equals(repeats.index)
    for who, name in [("0001", "original"), ("0007", "contour"), ("0020", "noise")]:
        row = X.loc[[who], ["T"]].join(repeats.loc[[(who, name)]].droplevel(1))
        assert found.predictions.loc[(who, name), "risk"] == pytest.approx(
            model.predict_risk(row)[0], abs=1e-12
        )
        assert found.predictions.loc[(who, name), "pfs_48"] == pytest.approx(
            model.predict_survival(row, [48])[0, 0], abs=1e-12
        )
    table = found.to_frame()
    np.testing.assert_allclose(
        table["pfs_48"], model.predict_survival(X.iloc[:20], [48])[:, 0], rtol=0, atol=1e-12
    )
    assert table.index.tolist() == X.index[:20].tolist()


def test_interval_has_its_closed_form():
    """One feature, baseline S0: the answer at risk b * x is S0 ** exp(b * x)."""
    random = np.random.default_rng(0)
    X = pd.DataFrame({"t1__size": random.normal(size=150)})
    y = Outcome(random.exponential(40 * np.exp(-X["t1__size"])), np.ones(150), X.index)
    model = CoxModel().fit(X, y)
    index = pd.MultiIndex.from_product([["a", "b"], ["original", "p1", "p2"]], names=REPEAT_INDEX)
    x = np.array([0.0, 0.3, -0.2, 1.0, 1.05, 0.9])
    found = contour_uncertainty(model, pd.DataFrame({"t1__size": x}, index), horizon_months=20).to_frame()
    base = model.predict_survival(pd.DataFrame({"t1__size": [0.0]}), [20])[0, 0]
    expected = base ** np.exp(model.coef_["t1__size"] * x.reshape(2, 3))
    np.testing.assert_allclose(found["pfs_20"], expected[:, 0], rtol=0, atol=1e-12)
    np.testing.assert_allclose(found["minimum"], expected.min(axis=1), rtol=0, atol=1e-12)
    np.testing.assert_allclose(found["maximum"], expected.max(axis=1), rtol=0, atol=1e-12)
    np.testing.assert_allclose(found["lower"], np.quantile(expected, 0.05, axis=1), rtol=0, atol=1e-12)
    np.testing.assert_allclose(found["upper"], np.quantile(expected, 0.95, axis=1), rtol=0, atol=1e-12)
    np.testing.assert_allclose(found["width"], found["upper"] - found["lower"], rtol=1e-12, atol=1e-15)
    assert found["perturbations"].tolist() == [3, 3]
    assert "group" not in found


def test_no_perturbation_no_width_and_more_of_it_more(fitted):
    model, X, _ = fitted
    widths = [
        contour_uncertainty(model, repeat(X, spread=spread), X[["T"]], horizon_months=48).summary()
        for spread in (0.0, 0.05, 0.2)
    ]
    median = [float(row["median_width"].iloc[0]) for row in widths]
    assert median[0] == pytest.approx(0, abs=1e-15)
    assert median[0] < median[1] < median[2]
    assert widths[0]["largest_width"].iloc[0] == pytest.approx(0, abs=1e-15)
    assert widths[1][["patients", "perturbations"]].iloc[0].tolist() == [160, 5]
    assert np.isnan(widths[1]["share_changing_group"].iloc[0])


def test_full_coverage_reaches_from_minimum_to_maximum(fitted):
    model, X, _ = fitted
    table = contour_uncertainty(model, repeat(X), X[["T"]], horizon_months=48, coverage=1.0).to_frame()
    np.testing.assert_allclose(table["lower"], table["minimum"], rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(table["upper"], table["maximum"], rtol=1e-12, atol=1e-15)


def test_who_changes_the_risk_group_is_counted(fitted):
    model, X, _ = fitted
    groups = RiskGroups("median").fit(model.training_risk_)
    repeats = repeat(X, spread=0.3)
    found = contour_uncertainty(model, repeats, X[["T"]], horizon_months=48, groups=groups)
    by_hand = found.predictions["risk"].to_numpy().reshape(len(X), len(NAMES)) > groups.cut_points_[0]
    changes = by_hand.any(axis=1) & ~by_hand.all(axis=1)
    table = found.to_frame()
    assert table["changes_group"].tolist() == changes.tolist()
    assert 0 < changes.mean() < 1
    assert found.summary()["share_changing_group"].iloc[0] == pytest.approx(changes.mean(), rel=1e-12)
    assert (table["group"] == "high").tolist() == by_hand[:, 0].tolist()
    assert "change their risk group" in found._repr_html_()


def test_a_whole_prognostic_model_with_its_groups(patients):
    X, y, _ = patients
    features = X.columns[3:23].tolist()
    model = PrognosticModel("combined", "cox", clinical=["T", "N"], risk_groups="median").fit(
        X[["T", "N", *features]], y
    )
    # repetitions hold features that the model does not use, and other patients' clinical rows are there
    repeats = repeat(X.loc[X.index[5:15], X.columns[3:]])
    found = contour_uncertainty(model, repeats, X[["N", "T"]], horizon_months=48)
    expected = model.predict_survival(X.iloc[5:15], [48])[:, 0]
    np.testing.assert_allclose(found.to_frame()["pfs_48"], expected, rtol=0, atol=1e-12)
    assert set(found.to_frame()["group"]) <= {"low", "high"}
    assert (found.to_frame()["width"] > 0).all()


def test_missing_repetitions_are_said_and_raters_have_no_original(fitted):
    model, X, _ = fitted
    repeats = repeat(X.iloc[:4]).drop(index=[("0001", "original"), ("0002", "noise")])
    table = contour_uncertainty(model, repeats, X[["T"]], horizon_months=48).to_frame()
    assert table["perturbations"].tolist() == [4, 4, 5, 5]
    assert table["pfs_48"].isna().tolist() == [True, False, False, False]
    assert table["width"].notna().all()
    raters = repeat(X.iloc[:4], names=("rater_1", "rater_2"))
    median = contour_uncertainty(model, raters, X[["T"]], horizon_months=48, reference=None)
    both = median.predictions["pfs_48"].to_numpy().reshape(4, 2).mean(axis=1)
    np.testing.assert_allclose(median.to_frame()["pfs_48"], both, rtol=1e-12, atol=1e-15)


def test_simulated_patients_are_marked(fitted):
    model, X, y = fitted
    repeats = RepeatedFeatures(
        repeat(X.iloc[:5]), pd.DataFrame(columns=REPEAT_FAILURE_COLUMNS), simulated=True
    )
    found = contour_uncertainty(model, repeats, X[["T"]], horizon_months=48)
    assert found.to_frame()["simulated"].all()
    assert found.summary()["simulated"].all()
    assert "5 simulated patients" in found._repr_html_()
    real = contour_uncertainty(model, repeats.to_frame(), X[["T"]], horizon_months=48)
    assert "simulated" not in real.to_frame()
    trained = CoxModel().fit(X, Outcome(y.time_months, y.event, y.patient_id, simulated=True))
    marked = contour_uncertainty(trained, repeats.to_frame(), X[["T"]], horizon_months=48)
    assert marked.to_frame()["simulated"].all()


def test_wrong_input_is_said_before_anything_is_predicted(fitted):
    model, X, _ = fitted
    repeats = repeat(X.iloc[:4])
    with pytest.raises(ConfigError, match="no perturbation is named rater_1"):
        contour_uncertainty(model, repeats, X[["T"]], horizon_months=48, reference="rater_1")
    with pytest.raises(ConfigError, match="coverage"):
        contour_uncertainty(model, repeats, X[["T"]], horizon_months=48, coverage=95)
    with pytest.raises(HorizonError, match="nothing at 120 months"):
        contour_uncertainty(model, repeats, X[["T"]], horizon_months=120)
    with pytest.raises(CohortError, match="1 patients with features have no clinical row"):
        contour_uncertainty(model, repeats, X[["T"]].drop(index="0002"), horizon_months=48)
    with pytest.raises(CohortError, match="two clinical rows"):
        contour_uncertainty(model, repeats, pd.concat([X[["T"]]] * 2), horizon_months=48)
    with pytest.raises(CohortError, match="occur twice"):
        contour_uncertainty(model, repeats, X, horizon_months=48)
    for wrong in (repeats.droplevel(1), repeats.iloc[:0], pd.concat([repeats, repeats])):
        with pytest.raises(CohortError, match="index"):
            contour_uncertainty(model, wrong, X[["T"]], horizon_months=48)
    with pytest.raises(CohortError, match="T"):
        contour_uncertainty(model, repeats, horizon_months=48)
