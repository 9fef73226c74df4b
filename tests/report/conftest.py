"""A whole report's content: real patients (GBSG) with everything else made up around them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.config import portable_settings
from radiomics_npc.nomogram.nomogram import Nomogram
from radiomics_npc.provenance import software_versions
from radiomics_npc.report.html import report_html
from radiomics_npc.report.montage import Panel, montage_figure
from radiomics_npc.settings import StudySettings
from radiomics_npc.survival.estimation.kaplan_meier import kaplan_meier, log_rank
from radiomics_npc.survival.metrics.calibration import calibrate
from radiomics_npc.survival.models.cox import CoxModel
from radiomics_npc.survival.models.groups import RiskGroups

REFERENCE = Path(__file__).parent.parent / "reference" / "r"
NASTY = "<script>alert('x')</script> & \"quotes\""


@pytest.fixture(scope="session")
def gbsg() -> tuple[pd.DataFrame, Outcome]:
    table = pd.read_csv(REFERENCE / "gbsg.csv", dtype={"grade": "category"}).rename(index=str)
    y = Outcome(table["months"], table["event"], table.index, "recurrence-free survival").censor_at(60)
    return table.drop(columns=["months", "event"]), y


@pytest.fixture(scope="session")
def model(gbsg: tuple[pd.DataFrame, Outcome]) -> CoxModel:
    return CoxModel(min_category=1).fit(*gbsg)


@pytest.fixture(scope="session")
def curves(gbsg: tuple[pd.DataFrame, Outcome], model: CoxModel) -> tuple[dict[str, pd.DataFrame], float]:
    """Kaplan-Meier by tertile of predicted risk, and the log-rank p."""
    X, y = gbsg
    risk = model.predict_risk(X)
    groups = RiskGroups("tertiles").fit(risk).predict(risk)
    found = {g: kaplan_meier(y.take(np.flatnonzero(groups == g))).to_frame() for g in groups.categories}
    return found, log_rank(y, groups).p


def _scores() -> pd.DataFrame:
    rows = [
        (name, metric, at, at - 0.06, at + 0.05, 0.01)
        for name, at in (("clinical_cox", 0.64), ("combined_cox", 0.71), ("combined_boosted", 0.7))
        for metric in ("harrell_c", "uno_c")
    ]
    return pd.DataFrame(rows, columns=["model", "metric", "estimate", "lower", "upper", "sd"])


def _differences() -> pd.DataFrame:
    names = ["model", "reference", "metric", "estimate", "lower", "upper", "p"]
    return pd.DataFrame(
        [("combined_cox", "clinical_cox", "harrell_c", 0.07, 0.01, 0.13, 0.02)], columns=names
    )


def _findings() -> pd.DataFrame:
    rows = [
        ("error", "007", "t2", "ROI-T2.nii", "mask is empty", "Draw it again."),
        ("warning", "012", "", "stage", NASTY, "Check the table."),
        ("info", "", "", "T", "T3 (2) read as T3 in 2 patients", ""),
    ]
    return pd.DataFrame(rows, columns=["severity", "patient_id", "sequence", "where", "problem", "remedy"])


def _baseline() -> pd.DataFrame:
    return pd.DataFrame({
        "variable": ["patients", "age", "T", "T"], "level": ["", "", "T1", "T2"],
        "all": [686, "53.0 (46.0 to 61.0)", "81 (12%)", "605 (88%)"],
        "event: no": [401, "54.0 (46.0 to 61.0)", "60 (15%)", "341 (85%)"],
        "event: yes": [285, "52.0 (45.0 to 60.0)", "21 (7%)", "264 (93%)"],
        "smd": [np.nan, 0.123, 0.4, np.nan], "missing": pd.array([0, 0, 3, None], dtype="Int64"),
    })  # fmt: skip


def _copied(part: Any) -> Any:
    """Dictionaries anew, their tables and figures shared."""
    return {key: _copied(value) for key, value in part.items()} if isinstance(part, dict) else part


@pytest.fixture
def content(whole_content: dict[str, Any]) -> dict[str, Any]:
    """For a test to change."""
    copy: dict[str, Any] = _copied(whole_content)
    return copy


@pytest.fixture(scope="session")
def page(whole_content: dict[str, Any]) -> str:
    return report_html(whole_content)


@pytest.fixture(scope="session")
def whole_content(gbsg, model, curves) -> dict[str, Any]:
    X, y = gbsg
    found = calibrate(y, model.predict_survival(X, [60])[:, 0])
    calibration = {"table": found.table, "observed_expected": (found.observed_expected, 0.9, 1.1)}
    nomogram = Nomogram.from_model(model, outcome="recurrence-free survival", simulated=True)
    slice_, mask = np.random.default_rng(0).random((40, 50)), np.zeros((40, 50), bool)
    mask[10:20, 20:35] = True
    outcome = {
        "time": "t",
        "unit": "months",
        "event": "e",
        "coding": "0/1",
        "name": "recurrence-free survival",
    }
    settings = StudySettings(cohort={"path": "data", "outcome": outcome})
    excluded = pd.DataFrame({"reason": ["no T2 image", "follow-up of 0 months"], "patients": [10, 4]})
    scores = _scores()
    repeats = pd.concat([scores.assign(repeat=r) for r in range(3)])
    failed = {"patient_id": ["003"], "sequence": ["t1"], "message": ["mask is empty"], "remedy": ["Draw it."]}
    return {
        "title": f"Demo {NASTY}", "study": "demo", "created": "2026-01-01", "simulated": True,
        "outcome": {"name": "recurrence-free survival", "horizon_months": 60.0, "observed": 0.52},
        "flow": {
            "read": 700, "analyzed": 686, "events": 285, "excluded": excluded,
        },
        "table_one": _baseline(), "findings": _findings(),
        "montage": montage_figure([Panel(slice_, mask, "T1"), Panel(slice_, mask, "T2")]),
        "features": {
            "number": 1234, "sequences": ["t1", "t2", "ce_t1"], "preset": "iso1mm", "normalize": "body",
            "morphology": True, "failures": pd.DataFrame(failed), "settings": {"setting": {"binCount": 32}},
        },
        "models": {
            "scores": scores, "differences": _differences(), "per_repeat": repeats,
            "oracle": {"harrell_c": 0.81, "uno_c": 0.8}, "notes": ["One fold failed."],
            "design": {
                "folds": 5, "repeats": 3, "horizon_months": 60.0, "reference": "clinical_cox",
                "confidence": 0.95, "patients": 686, "events": 285,
            },
        },
        "kaplan_meier": {"model": "combined_cox", "curves": curves[0], "p": curves[1]},
        "calibration": {"clinical_cox": calibration, "combined_cox": calibration},
        "hazard_ratios": {"combined_cox": model.summary()},
        "notes": {"combined_cox": ["T: T0 read as T0+T1, too few patients or events"]},
        "rad_score": pd.DataFrame({
            "feature": ["ce_t1__wavelet-HLH__glcm__Contrast"], "coefficient": [-0.00123], "weight": [-0.3],
        }),
        "nomogram": {
            "model": "combined_cox", "horizons_months": [36, 60], "figure": nomogram.draw(),
            "points": nomogram.points_table(), "link": "nomogram.html",
        },
        "settings": portable_settings(settings, Path.cwd()), "versions": software_versions(),
    }  # fmt: skip
