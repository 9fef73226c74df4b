"""What the report says of contours that a model predicted, and of those that nobody predicted."""

import re

import numpy as np
import pandas as pd
import pytest

from radiomics_npc.errors import CohortError
from radiomics_npc.report.contour_content import agreement_summary, read_contours
from radiomics_npc.report.contour_figures import agreement_figure, risk_figure, volume_figure
from radiomics_npc.report.contour_sections import reporting_items
from radiomics_npc.report.html import report_html
from radiomics_npc.report.limitations import limitations
from radiomics_npc.report.methods import methods_text
from radiomics_npc.report.montage import Panel, montage_figure

NASTY = "<script>alert('x')</script>"


def contours(**changes) -> dict:
    table = pd.DataFrame({
        "patient_id": ["001", "001", "002"], "sequence": ["t1", "t2", "t1"], "mask": "masks/1",
        "volume_cm3": [4.0, 5.0, 0.0], "confidence": [0.9, 0.8, 0.0],
        "flags": ["", "low_confidence", "empty"],
    })  # fmt: skip
    model = {"name": "bundled", "sha256": "ab" * 32, "members": 3, "simulated": True}
    part = {"model": model, "when": "missing", "flips": True, "table": table, "agreement": None}
    return {"contours": part | changes}


def words(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def test_the_first_sentence_names_the_model_and_asks_for_a_review():
    page = words(report_html(contours()))
    said = page.partition("Contours")[2]
    assert (
        "The tumors were outlined by the model that comes with radiomics_npc (3 networks, SHA-256 "
        "abababababab), trained on simulated heads only: review every contour before any result of this "
        "report is used."
    ) in said
    assert "3 masks of 2 patients were predicted; 2 are conspicuous." in said
    assert "no tumor was found" in said
    assert "TO BE FILLED IN: who reviewed the predicted contours" in said


def test_a_model_trained_on_patients_is_not_said_to_be_trained_on_simulated_heads():
    own = {"name": NASTY, "sha256": "0" * 64, "members": 1, "simulated": False}
    content = contours(model=own)
    page = report_html(content)
    assert "simulated heads" not in page + methods_text(content) + " ".join(limitations(content))
    assert "<script>" not in page
    assert "(1 network, SHA-256 000000000000): review every contour" in page


def test_a_study_with_drawn_masks_says_nothing_of_it(tmp_path):
    assert read_contours(tmp_path, {"segmentation": None}, {"segmentation": None}) == {}
    assert read_contours(tmp_path, {"segmentation": {"when": "missing"}}, {}) == {}
    assert "outlined" not in report_html({"flow": {"read": 3, "analyzed": 3}})


def test_comparison_and_intervals_are_shown():
    agreement = pd.DataFrame({
        "sequence": ["t1", "t1", "ce_t1"], "dice": [0.9, 0.0, float("nan")],
        "hd95_mm": [2.0, float("inf"), 1.0], "reference_cm3": [3.0, 1.0, 2.0],
    })  # fmt: skip
    summary = agreement_summary(agreement)
    assert summary["patients"].tolist() == [2, 0]
    assert summary.loc[0, "HD95 (mm)"].endswith("infinite)")
    assert summary.loc[1, "Dice"] == "–"
    row = {"model": "combined_cox", "metric": "harrell_c", "patients": 40}
    c_index = pd.DataFrame([
        row | {"contours": "drawn", "estimate": 0.72, "lower": 0.65, "upper": 0.79, "p": None},
        row | {"contours": "predicted", "estimate": 0.70, "lower": 0.63, "upper": 0.77, "p": None},
        row | {"contours": "difference", "estimate": -0.02, "lower": -0.05, "upper": 0.01, "p": 0.2},
    ])  # fmt: skip
    content = contours(when="always", agreement=agreement) | {"contour_effects": {"c_index": c_index}}
    page = words(report_html(content))
    assert "0.720 (0.650 to 0.790) 0.700 (0.630 to 0.770) −0.020 (−0.050 to 0.010) 0.20" in page
    assert "on the 40 patients who have both" in page
    assert reporting_items(content)["How reliable is the segmentation (CLEAR)"].startswith("compared with 3")
    assert "Dice" in methods_text(content)
    # the bundled model was made from simulated heads: it has seen nobody
    said = "Patients whom the model was trained on"
    assert said not in page
    own = {"name": "mine", "sha256": "0" * 64, "members": 1, "simulated": False}
    content["contours"]["model"] = own
    assert words(report_html(content)).count(said) == 2
    content["contours"]["model"] = own | {"simulated": True}
    assert said not in words(report_html(content))
    assert words(report_html(content | {"simulated": True})).count(said) == 2


def test_masks_changed_by_hand_are_not_counted_as_predicted():
    content = contours()
    content["contours"]["table"]["flags"] = ["", "edited", "low_confidence"]
    page = words(report_html(content))
    said = (
        "2 masks of 2 patients were predicted; one is conspicuous; 1 further mask had been changed or drawn"
    )
    assert said in page
    assert "sequences: 1 of 2." in methods_text(content)
    assert "1 further mask had been changed or drawn by hand" in methods_text(content)


def test_ranges_of_risk_say_whose_model_and_which_patients():
    risk = pd.DataFrame({"patient_id": ["1", "2"], "pfs_60": [0.75, 0.5], "lower": [0.5, 0.4],
                         "upper": [1.0, 0.6]})  # fmt: skip
    summary = pd.DataFrame([{
        "model": "combined_cox", "horizon_months": 60.0, "patients": 2, "perturbations": 4,
        "median_width": 0.35, "largest_width": 0.5, "share_changing_group": float("nan"),
    }])  # fmt: skip
    content = contours() | {"contour_effects": {"c_index": None, "risk": risk, "summary": summary}}
    page = words(report_html(content))
    assert "fitted to all patients, these among them" in page
    assert "The predicted masks of 2 patients were varied 3 times along their uncertainty" in page
    assert "The ranges hold what the networks do not agree about, no more" in page


def test_an_oracle_is_told_of_where_the_truth_is_known(content):
    assert "(the oracle)" in methods_text(content)
    models = {name: part for name, part in content["models"].items() if name != "oracle"}
    assert "oracle" not in methods_text(content | {"models": models, "simulated": True})


def test_a_model_of_ones_own_may_have_seen_the_patients():
    own = {"name": "mine", "sha256": "0" * 64, "members": 1, "simulated": False}
    assert "whom the model was trained on" in " ".join(limitations(contours(model=own)))
    assert "whom the model was trained on" not in " ".join(limitations(contours()))
    assert "not compared with drawn ones" in " ".join(limitations(contours()))


def test_drawn_outlines_are_dashed_as_the_caption_says():
    shape = np.zeros((9, 9), dtype=bool)
    shape[3:6, 3:6] = True
    panel = Panel(np.arange(81.0).reshape(9, 9), shape, "T1", (1.0, 1.0), np.roll(shape, 1, 0))
    axes = montage_figure([panel]).axes[0]
    dashes = [bool(pattern) for c in axes.collections for _, pattern in c.get_linestyle()]
    assert sorted(dashes) == [False, True]
    lengths = next(p for c in axes.collections for _, p in c.get_linestyle() if p)
    assert lengths[0] > 2 * 1.2  # as long as dashes, not dots


@pytest.mark.parametrize(
    ("draw", "table"),
    [
        (volume_figure, pd.DataFrame({"sequence": ["t1"], "volume_cm3": [0.0], "flags": ["empty"]})),
        (agreement_figure, pd.DataFrame({"sequence": [], "dice": [], "reference_cm3": []})),
        (
            lambda table: risk_figure(table, horizon_months=60),
            pd.DataFrame(columns=["risk", "lower", "upper"]),
        ),
        (volume_figure, pd.DataFrame({"sequence": ["t1"]})),
    ],
)
def test_nothing_to_draw_is_said(draw, table):
    with pytest.raises(CohortError, match=r"no (volume|agreement|risks) to draw|lacks volume_cm3, flags"):
        draw(table)
