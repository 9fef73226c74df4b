"""The beeswarm: what is drawn where."""

import numpy as np
import pandas as pd
import pytest

from radiomics_npc.errors import CohortError
from radiomics_npc.nomogram.style import new_figure
from radiomics_npc.report.shap_figure import beeswarm_figure, draw_beeswarm
from radiomics_npc.survival.models.shap_values import ShapValues


def found(n=60, *, simulated=False):
    random = np.random.default_rng(0)
    values = pd.DataFrame(
        {"T": random.normal(0, 0.1, n), "age": random.normal(0, 0.5, n), "ward": np.zeros(n)}
    )
    data = pd.DataFrame({"T": random.integers(0, 4, n), "age": random.normal(60, 10, n), "ward": np.ones(n)})
    data.loc[:4, "age"] = np.nan
    return ShapValues(values, 0.0, data, ("T", "age"), simulated)


def test_each_patient_is_a_dot_at_its_value():
    shap = found()
    figure = beeswarm_figure(shap)
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["Age (years)", "T category", "Ward"]
    grey, colored = (axes.collections[k].get_offsets() for k in (0, 1))
    assert (len(grey), len(colored)) == (5, 55)
    np.testing.assert_allclose(np.concatenate([grey, colored])[:, 0], shap.contributions["age"])
    assert np.abs(np.concatenate([grey, colored])[:, 1]).max() < 0.5
    shade = axes.collections[1].get_array()
    assert np.argmax(shade) == shap.data["age"].dropna().argmax()
    assert len(axes.collections[4].get_offsets()) == 60  # a factor without order: all grey
    assert "low" in [label.get_text() for label in figure.axes[1].get_yticklabels()]


def test_dots_of_the_same_value_are_moved_apart():
    shap = found()
    shap.contributions["T"] = 0.25
    figure = beeswarm_figure(shap, max_columns=2)
    dots = np.concatenate([c.get_offsets() for c in figure.axes[0].collections[2:4]])
    assert len(np.unique(dots[:, 1].round(9))) == 60


def test_simulated_patients_are_said():
    assert beeswarm_figure(found(simulated=True)).get_suptitle() == "Simulated patients"
    assert beeswarm_figure(found()).get_suptitle() == ""


def test_nothing_to_draw():
    shap = found()
    flat = ShapValues(shap.contributions * 0, 0.0, shap.data, shap.ordered)
    assert beeswarm_figure(flat).axes
    empty = ShapValues(shap.contributions[[]], 0.0, shap.data[[]], ())
    with pytest.raises(CohortError, match="no column"):
        draw_beeswarm(empty, new_figure(3, 3).subplots())
