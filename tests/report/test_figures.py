"""Figures say what the tables say, keep their texts apart, and leave matplotlib alone."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

from radiomics_npc.errors import CohortError, ImageError
from radiomics_npc.report.figures import (
    calibration_figure,
    concordance_figure,
    forest_figure,
    kaplan_meier_figure,
    p_text,
)
from radiomics_npc.report.html import draw_figures
from radiomics_npc.report.montage import Panel, montage_figure
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


def test_calibration_shows_the_groups(content):
    found = content["calibration"]["clinical_cox"]
    figure = calibration_figure(found["table"], observed_expected=found["observed_expected"])
    points = figure.axes[0].containers[0].lines[0].get_xydata()
    np.testing.assert_allclose(points, found["table"][["predicted", "observed"]])
    assert any(text.startswith("O/E") for text in _texts(figure))


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
    """In every figure, measured by the renderer; hidden tick labels do not count."""
    for name, figure in draw_figures(content).items():
        figure.canvas.draw()
        shown = [
            t for t in figure.findobj(mpl.text.Text)
            if t.get_text().strip() and t.get_visible() and figure.bbox.overlaps(t.get_window_extent())
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
        calibration_figure(pd.DataFrame({"predicted": [0.5]}))
    with pytest.raises(CohortError, match="no groups"):
        kaplan_meier_figure({})
    with pytest.raises(ImageError, match="differ in shape"):
        montage_figure([Panel(np.zeros((3, 4)), np.zeros((4, 3), bool))])
    with pytest.raises(ImageError, match="no slices"):
        montage_figure([])


@pytest.mark.parametrize(("p", "text"), [(0.0499, "p = 0.050"), (0.00099, "p < 0.001"), (0.1, "p = 0.10")])
def test_p_values(p, text):
    assert p_text(p) == text
