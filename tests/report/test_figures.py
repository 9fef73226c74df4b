"""Figures say what the tables say, keep their texts apart, and leave matplotlib alone."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

from radiomics_npc.errors import CohortError, ImageError
from radiomics_npc.report.drawing import draw_figures
from radiomics_npc.report.figures import forest_figure, kaplan_meier_figure, p_text
from radiomics_npc.report.model_figures import (
    effects_over_time_figure,
    learning_curve_figure,
    selection_figure,
    stability_figure,
)
from radiomics_npc.report.montage import Panel, montage_figure
from radiomics_npc.report.performance_figures import (
    auc_figure,
    calibration_figure,
    concordance_figure,
    decision_curve_figure,
)
from radiomics_npc.survival.estimation.kaplan_meier import kaplan_meier


def _texts(figure) -> list[str]:
    figure.canvas.draw()
    return [t.get_text() for t in figure.findobj(mpl.text.Text) if t.get_text().strip() and t.get_visible()]


def test_numbers_at_risk_are_those_of_the_estimator(gbsg, model, curves):
    """Every number printed below the curves equals the count of patients still followed."""
    figure = kaplan_meier_figure(curves[0], p=curves[1])
    printed = [t.get_text() for t in figure.axes[1].texts]
    X, y = gbsg
    risk = model.predict_risk(X)
    cuts = np.quantile(risk, [1 / 3, 2 / 3])
    groups = np.searchsorted(cuts, risk, side="left")
    expected = ["At risk"]
    for k, name in enumerate(("low", "intermediate", "high")):
        at_risk = kaplan_meier(y.take(np.flatnonzero(groups == k))).at_risk(np.arange(0, 61, 12))
        expected += [name, *map(str, at_risk)]
    assert printed == expected


def test_curves_are_right_continuous_steps_from_one(curves):
    figure = kaplan_meier_figure(curves[0])
    line = figure.axes[0].lines[0]
    x, y = line.get_data()
    assert line.get_drawstyle() == "steps-post"
    assert (x[0], y[0]) == (0.0, 1.0)
    assert y[-1] == pytest.approx(curves[0]["low"]["survival"].iloc[-1])


def test_groups_are_told_apart_without_color(curves):
    lines = kaplan_meier_figure(curves[0]).axes[0].get_legend().get_lines()
    assert (
        len(
            {
                line.get_linestyle() if line.get_linestyle() != "--" else str(line._dash_pattern)
                for line in lines
            }
        )
        == 3
    )


def test_calibration_shows_groups_and_smooth_curve_at_every_horizon(content):
    part = {k: t[t["model"] == "clinical_cox"] for k, t in content["calibration"].items()}
    figure = calibration_figure(
        part["groups"], smooth=part["curves"], observed_expected={36.0: (1.02, 0.9, 1.1)}
    )
    assert len(figure.axes) == 2
    for axes, months in zip(figure.axes, (36.0, 60.0), strict=True):
        groups = part["groups"][part["groups"]["time_months"] == months]
        points = axes.containers[0].lines[0].get_xydata()
        np.testing.assert_allclose(points, groups[["predicted", "observed"]])
        smooth = next(line for line in axes.lines if line.get_label() == "Smooth, 95% CI")
        curve = part["curves"][part["curves"]["time_months"] == months]
        np.testing.assert_allclose(smooth.get_xydata(), curve[["predicted", "observed"]])
    assert "36 months\nO/E 1.02 (0.90 to 1.10)" in _texts(figure)
    assert "60 months" in _texts(figure)  # O/E unknown: nothing is said


def test_auc_decisions_and_learning_curve_draw_their_tables(content):
    auc = content["accuracy"].query("metric == 'auc'").rename(columns={"estimate": "auc"})
    figure = auc_figure(auc)
    assert len(figure.axes[0].containers) == 3
    assert "Combined, random survival forest" in _texts(figure)
    lines = decision_curve_figure(content["decision_curves"]).axes[0].lines
    assert [line.get_label() for line in lines] == ["Combined, Cox", "Treat all", "Treat none"]
    np.testing.assert_allclose(lines[0].get_xdata()[[0, -1]], [5, 60])
    curve = learning_curve_figure(content["learning_curve"]).axes[0].lines[0]
    np.testing.assert_allclose(curve.get_xydata(), [(100, 0.61), (300, 0.66)])  # a failed size is no point


def test_effects_selection_and_stability_draw_their_tables(content):
    effect = content["effects_over_time"]["combined_cox"]
    figure = effects_over_time_figure({"age": effect}, {"age": 0.0404})
    assert "Age (years)\np = 0.040" in _texts(figure)
    with pytest.raises(CohortError, match="no terms"):
        effects_over_time_figure({}, {})
    bars = selection_figure(content["selection"]["combined_cox"]).axes[0].patches
    np.testing.assert_allclose([bar.get_width() for bar in bars], [100, 40, 20])
    figure = stability_figure(content["stability"]["table"], minimum=0.75)
    assert [axes.get_title() for axes in figure.axes] == ["CE-T1", "T1"]
    assert all(axes.lines[-1].get_xdata()[0] == 0.75 for axes in figure.axes)


def test_figures_of_simulated_patients_say_so_and_others_do_not(content):
    drawn = draw_figures(content)
    expected = {"c_index", "auc", "decision_curves", "calibration_clinical_cox", "calibration_combined_cox",
                "effects_over_time_combined_cox", "selection_combined_cox", "stability", "learning_curve",
                "kaplan_meier", "hazard_ratios_combined_cox"}  # fmt: skip
    assert expected <= set(drawn)
    assert {drawn[name].get_suptitle() for name in expected} == {"Simulated patients"}
    content |= {"simulated": False}
    assert {figure.get_suptitle() for name, figure in draw_figures(content).items() if name in expected} == {
        ""
    }


def test_forest_names_every_level_and_ratio(model):
    table = model.summary()
    words = _texts(forest_figure(table))
    assert words.count("1 (reference)") == 1
    for row in table.dropna(subset=["lower"]).itertuples():
        assert f"{row.hazard_ratio:.2f} ({row.lower:.2f} to {row.upper:.2f})" in words
    assert {"Grade", "Age (years)", "2", "3"} <= set(words)


def test_concordance_shows_models_and_oracle(content):
    models = content["models"]
    figure = concordance_figure(models["scores"], per_repeat=models["per_repeat"], oracle=models["oracle"])
    words = _texts(figure)
    assert {"Clinical, Cox", "Combined, Cox", "Combined, boosted trees"} <= set(words)
    assert any("Oracle" in word and "0.810" in word for word in words)
    low, high = figure.axes[0].get_xlim()
    assert low < 0.5
    assert high > 0.81
    plain = concordance_figure(models["scores"])
    assert not any("Oracle" in word for word in _texts(plain))


def test_missing_scores_of_a_failed_model_do_not_break_the_figure(content):
    scores = content["models"]["scores"].copy()
    scores.loc[scores["model"] == "combined_boosted", ["estimate", "lower", "upper"]] = np.nan
    assert "Combined, boosted trees" in _texts(concordance_figure(scores))


def test_texts_do_not_overlap(content):
    """In every figure, measured by the renderer; labels of ticks hidden or off the axis do not count."""
    for name, figure in draw_figures(content).items():
        figure.canvas.draw()
        beyond = {
            label
            for axes in figure.axes
            for axis in (axes.xaxis, axes.yaxis)
            for tick in axis.get_major_ticks()
            if not min(axis.get_view_interval()) <= tick.get_loc() <= max(axis.get_view_interval())
            for label in (tick.label1, tick.label2)
        }
        shown = [
            t for t in figure.findobj(mpl.text.Text)
            if t.get_text().strip() and t.get_visible() and t not in beyond
            and figure.bbox.overlaps(t.get_window_extent())
        ]  # fmt: skip
        boxes = [
            (t.get_text(), t.get_window_extent().padded(-0.5))
            for t in shown
            if t.axes is None or t.axes.axison or t in t.axes.texts
        ]
        for i, (a, box) in enumerate(boxes):
            clash = [b for b, other in boxes[i + 1 :] if box.overlaps(other)]
            assert not clash, (name, a, clash)


def test_matplotlib_is_left_as_it_was(content):
    before = dict(mpl.rcParams)
    draw_figures(content)
    assert dict(mpl.rcParams) == before


def test_faulty_tables_are_named():
    with pytest.raises(CohortError, match="lacks observed, lower, upper"):
        calibration_figure(pd.DataFrame({"time_months": [60.0], "predicted": [0.5]}))
    with pytest.raises(CohortError, match="no groups"):
        kaplan_meier_figure({})
    with pytest.raises(ImageError, match="differ in shape"):
        montage_figure([Panel(np.zeros((3, 4)), np.zeros((4, 3), bool))])
    with pytest.raises(ImageError, match="no slices"):
        montage_figure([])


@pytest.mark.parametrize(("p", "text"), [(0.0499, "p = 0.050"), (0.00099, "p < 0.001"), (0.1, "p = 0.10")])
def test_p_values(p, text):
    assert p_text(p) == text
