"""The nomogram of a model fitted here: R's numbers, its own model's numbers, and refusals."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError, ConfigError, HorizonError
from radiomics_npc.nomogram.nomogram import Nomogram
from radiomics_npc.survival.models.cox import CoxModel
from radiomics_npc.survival.models.prognostic import PrognosticModel


def test_points_of_a_fitted_model_equal_r(model, summary, reference):
    """From the data to the points: within 1e-5 of rms."""
    nomogram = Nomogram.from_model(model)
    expected = reference("A_nomogram_points.csv")
    np.testing.assert_allclose(nomogram.points_table()["points"], expected["points"], rtol=0, atol=1e-5)
    assert nomogram.scale.points_per_unit == pytest.approx(summary["nomogram"]["sc"], abs=1e-5)
    # rms centers its linear predictor, the model here does not
    intercept = nomogram.scale.intercept - summary["center"]
    assert intercept == pytest.approx(summary["nomogram"]["Intercept"], abs=1e-6)


def test_survival_of_a_fitted_model_equals_r(model, gbsg, reference):
    expected = reference("A_pred.csv")
    read = Nomogram.from_model(model).predict(gbsg[0])
    np.testing.assert_allclose(read["survival_36_months"], expected["S36"], rtol=0, atol=1e-7)
    np.testing.assert_allclose(read["survival_60_months"], expected["S60"], rtol=0, atol=1e-7)


def test_reading_points_is_the_model(model, gbsg):
    X, _ = gbsg
    read = Nomogram.from_model(model, [12, 36, 60]).predict(X)
    np.testing.assert_allclose(read["linear_predictor"], model.linear_predictor(X), rtol=0, atol=1e-12)
    np.testing.assert_allclose(read.iloc[:, 2:], model.predict_survival(X, [12, 36, 60]), rtol=0, atol=1e-12)
    assert read.index.equals(X.index)
    assert read["total_points"].min() >= 0


def test_spline_axis_equals_r(curved, reference, reference_json):
    """Model B, rcs(age, 4): every tick of every axis within 1e-6 points of rms."""
    expected, summary = reference("B_nomogram_points.csv"), reference_json("B_summary.json")
    nomogram = Nomogram.from_model(curved)
    found = nomogram.points_table()
    assert found["variable"].tolist() == expected["variable"].tolist()
    np.testing.assert_array_equal(found["value"].astype(float), expected["value"].astype(float))
    np.testing.assert_allclose(found["points"], expected["points"], rtol=0, atol=1e-6)
    np.testing.assert_allclose(found["effect"], expected["Xbeta"], rtol=0, atol=1e-8)
    assert nomogram.scale.points_per_unit == pytest.approx(summary["info"]["sc"], abs=1e-6)
    # rms centers its linear predictor, the model here does not
    assert nomogram.scale.intercept - summary["center"] == pytest.approx(
        summary["info"]["Intercept"], abs=1e-8
    )


def test_reading_a_spline_is_the_model(curved, gbsg):
    X, _ = gbsg
    read = Nomogram.from_model(curved, [12, 36, 60]).predict(X)
    np.testing.assert_allclose(read["linear_predictor"], curved.linear_predictor(X), rtol=0, atol=1e-12)
    np.testing.assert_allclose(read.iloc[:, 2:], curved.predict_survival(X, [12, 36, 60]), rtol=0, atol=1e-12)
    with pytest.raises(CohortError, match=r"column age: 1 patient \(3\) outside the training range"):
        Nomogram.from_model(curved).predict(X.iloc[:10].assign(age=X["age"].where(X.index != "3", 99)))


def test_a_spline_that_turns_changes_lane(curved):
    from radiomics_npc.nomogram.layout import layout

    row = next(row for row in layout(Nomogram.from_model(curved)) if row.name == "age")
    ticks = {tick.lane: [t.x for t in row.ticks if t.lane == tick.lane] for tick in row.ticks}
    assert list(ticks) == ["below", "above", "far below"]  # down to 40, up to 60, down to 80
    for lane, places in ticks.items():
        steps = np.diff(places)
        assert (steps > 0).all() if lane == "above" else (steps < 0).all()
    assert len(row.ticks) == 13
    assert {"20", "40", "50", "60", "80"} <= {tick.text for tick in row.ticks}


def test_models_with_strata_are_refused(gbsg):
    X, y = gbsg
    with pytest.raises(ConfigError, match=r"differs between the strata \(grade\)"):
        Nomogram.from_model(CoxModel(strata=["grade"]).fit(X, y))


def test_pipeline_with_a_cox_inside(model, gbsg):
    class Standard:
        cox_ = model

    told = Nomogram.from_model(Standard()).predict(gbsg[0])
    pd.testing.assert_frame_equal(told, Nomogram.from_model(model).predict(gbsg[0]))


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("age", 20.0, r"column age: 1 patient \(3\) outside the training range \(21 to 80\)"),
        ("age", np.nan, r"column age: no value for 1 patient \(3\)"),
        ("grade", "4", r"column grade: 1 patient \(3\) outside the training range \(1, 2, 3\)"),
        ("grade", None, r"column grade: no value for 1 patient \(3\)"),
    ],
)
def test_values_outside_training_are_refused(model, gbsg, column, value, words):
    X = gbsg[0].iloc[:10].astype({"grade": object})
    X.loc["3", column] = value
    with pytest.raises(CohortError, match=words) as refusal:
        Nomogram.from_model(model).predict(X)
    if isinstance(value, float) and np.isfinite(value):
        assert "20" not in str(refusal.value)  # the patient's value stays with the patient


def test_a_level_nobody_had_is_refused_and_a_merged_one_is_read(npc):
    row = {"T": "T1", "N": "N2", "ebv_dna": "positive", "age": 50, "rad_score": 0.2}
    read = npc.predict(pd.DataFrame([row]))
    assert read["linear_predictor"].item() == pytest.approx(0.5 + 0.6 + 0.75 + 0.2)
    with pytest.raises(CohortError, match="column T"):
        npc.predict(pd.DataFrame([row | {"T": "T0"}]))


def test_missing_columns_are_named(model, gbsg):
    with pytest.raises(CohortError, match="lacks grade, hormon"):
        Nomogram.from_model(model).predict(gbsg[0].drop(columns=["grade", "hormon"]))


@pytest.mark.parametrize("months", [[0], [-3], [500], []])
def test_horizons_must_be_within_follow_up(model, months):
    with pytest.raises(HorizonError):
        Nomogram.from_model(model, months)


def test_horizon_before_the_first_event(model):
    with pytest.raises(HorizonError, match="no event"):
        Nomogram.from_model(model, [0.1])


def test_only_a_cox_model_has_points():
    with pytest.raises(ConfigError, match="no points scale"):
        Nomogram.from_model(object())


def test_step_function_at_an_event_time(model):
    """Right-continuous: the event at the horizon counts."""
    base = model.baseline_
    k = int(np.flatnonzero(base["cumulative_hazard"].diff() > 0)[5])
    when = float(base["time_months"][k])
    hazard = Nomogram.from_model(model, [when]).cumulative_hazard[0]
    assert hazard == pytest.approx(base["cumulative_hazard"][k], rel=1e-12)


def test_written_files_are_whole_and_repeat(npc, tmp_path):
    first = npc.write(tmp_path / "a")
    second = npc.write(tmp_path / "b")
    assert [p.name for p in first] == [
        "nomogram.html", "nomogram.svg", "nomogram.pdf", "nomogram.png",
        "nomogram_points.csv", "nomogram_total_points.csv",
    ]  # fmt: skip
    for a, b in zip(first, second, strict=True):
        assert a.read_bytes() == b.read_bytes(), a.name
    svg = first[1].read_text()
    for words in ("EBV-DNA", "T0–T1", "Rad-score", "Total points", "simulated patients"):
        assert words in svg  # text stays text
    pdf = first[2].read_bytes()
    assert b"/FontFile2" in pdf  # TrueType embedded
    assert b"/Type3" not in pdf
    width = int.from_bytes(first[3].read_bytes()[16:20], "big")
    assert width == 2160  # 7.2 inches at 300 dpi


def test_drawing_leaves_matplotlib_as_it_was(npc):
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    npc.draw()
    assert dict(mpl.rcParams) == before


def test_no_labels_touch(npc, nomogram_of_r, curved):
    """In the drawn figure no two texts overlap, measured by the renderer."""
    for nomogram in (npc, nomogram_of_r, Nomogram.from_model(curved)):
        figure = nomogram.draw()
        figure.canvas.draw()
        boxes = [t.get_window_extent() for t in figure.axes[0].texts]
        inside = figure.bbox
        for i, a in enumerate(boxes):
            assert inside.x0 <= a.x0
            assert a.x1 <= inside.x1
            for b in boxes[i + 1 :]:
                assert not a.overlaps(b), (figure.axes[0].texts[i].get_text(), b)


def test_crowded_levels_are_all_shown(factor):
    from radiomics_npc.nomogram.layout import layout
    from radiomics_npc.survival.design import Term

    crowded = factor("stage", {"I": 0.0, "II": 0.05, "III": 0.1, "IVA": 0.6})
    nomogram = Nomogram((crowded, Term("age", "linear", (0.1,), range=(20.0, 80.0))), (60.0,), (0.01,))
    row = next(row for row in layout(nomogram) if row.name == "stage")
    assert sorted(t.text for t in row.ticks) == ["I", "II", "III", "IVA"]
    assert {t.lane for t in row.ticks} == {"below", "above"}


def test_repr_shows_the_page(npc):
    shown = npc._repr_html_()
    assert shown.startswith("<iframe")
    assert "srcdoc=" in shown
    assert not re.search(r"\ssrc=", shown)
    assert "simulated" in repr(npc)


@pytest.fixture(scope="module")
def combined():
    """A combined model as the study makes it, on random patients whose first feature matters."""
    random = np.random.default_rng(3)
    values = random.normal(size=(160, 40))
    X = pd.DataFrame(values, columns=[f"t1__original__glcm__F{k}" for k in range(40)]).rename(index=str)
    X["N"] = pd.Categorical(random.choice(["N0", "N1", "N2"], 160))
    hazard = np.exp(values[:, 0] + 0.5 * X["N"].cat.codes)
    time = random.exponential(60 / hazard)
    y = Outcome(np.minimum(time, 70), (time < 70) & (random.random(160) < 0.8), X.index)
    return PrognosticModel("combined", "cox", clinical=["N"], inner_folds=3).fit(X, y), X


def test_signature_is_one_axis_and_is_made_from_features(combined):
    model, X = combined
    nomogram = Nomogram.from_model(model)
    assert nomogram.columns == ["N", "rad_score"]
    read = nomogram.predict(X)
    np.testing.assert_allclose(read["linear_predictor"], model.predict_risk(X), rtol=0, atol=1e-12)
    np.testing.assert_allclose(read.iloc[:, 2:], model.predict_survival(X, [36, 60]), rtol=0, atol=1e-12)
    pd.testing.assert_frame_equal(nomogram.predict(model.design(X)), read)


def test_rad_score_formula_gives_the_rad_score(combined, tmp_path):
    model, X = combined
    nomogram = Nomogram.from_model(model)
    formula = nomogram.formula().set_index("feature")["coefficient"]
    by_hand = formula["intercept"] + X[formula.index[1:]] @ formula.iloc[1:]
    np.testing.assert_allclose(by_hand, model.design(X)["rad_score"], rtol=0, atol=1e-12)
    assert (tmp_path / "tables" / "rad_score.csv") in nomogram.write(tmp_path)
    assert "T1 original GLCM F0" in (tmp_path / "nomogram.html").read_text()
