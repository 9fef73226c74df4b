"""A whole report's content: real patients (GBSG) with everything else made up around them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.config import portable_settings
from radiomics_npc.nomogram.nomogram import Nomogram
from radiomics_npc.nomogram.style import new_figure
from radiomics_npc.provenance import software_versions
from radiomics_npc.report.html import report_html
from radiomics_npc.report.montage import Panel, montage_figure
from radiomics_npc.settings import StudySettings
from radiomics_npc.survival.estimation.kaplan_meier import kaplan_meier
from radiomics_npc.survival.estimation.log_rank import log_rank
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


def _calibration(X: pd.DataFrame, y: Outcome, model: CoxModel) -> dict[str, pd.DataFrame]:
    """Groups and a smooth curve at two horizons, of two models."""
    where = [(name, months) for name in ("clinical_cox", "combined_cox") for months in (36.0, 60.0)]
    groups, curves, table = [], [], []
    for name, months in where:
        here = {"model": name, "time_months": months, "simulated": True}
        found = calibrate(y, model.predict_survival(X, [months])[:, 0], horizon_months=months)
        groups.append(found.to_frame().assign(**here))
        curve = pd.DataFrame({"predicted": [0.3, 0.6, 0.9], "observed": [0.35, 0.6, 0.88]})
        curves.append(curve.assign(lower=curve["observed"] - 0.1, upper=curve["observed"] + 0.1, **here))
        numbers = [("observed_expected", 1.02, 0.9, 1.1), ("calibration_intercept", np.nan, np.nan, np.nan),
                   ("calibration_slope", 0.87, 0.6, 1.1), ("ici", 0.021, 0.01, 0.05),
                   ("e50", 0.02, 0.008, 0.05), ("e90", 0.041, 0.02, 0.09)]  # fmt: skip
        one = pd.DataFrame(numbers, columns=["metric", "estimate", "lower", "upper"])
        table.append(one.assign(**here))
    parts = {"table": table, "groups": groups, "curves": curves}
    return {name: pd.concat(part, ignore_index=True) for name, part in parts.items()}


def _group_tables() -> dict[str, pd.DataFrame]:
    means = pd.DataFrame({
        "group": ["low", "high"], "patients": [300, 386], "events": [60, 225], "until_months": 60.0,
        "estimate": [52.0, 41.5], "lower": [50.0, 39.0], "upper": [54.0, 44.0],
        "difference": [np.nan, -10.5], "difference_lower": [np.nan, -13.0],
        "difference_upper": [np.nan, -8.0],
        "p": [np.nan, 0.00001],
    })  # fmt: skip
    pairs = pd.DataFrame(
        [("low", "high", 41.234, 1e-9, 3e-9)], columns=["first", "second", "chi_square", "p", "p_adjusted"]
    )
    return {"restricted_mean": means, "pairs": pairs}


def _protocols() -> dict[str, Any]:
    """Acquisition parameters of two centers with a scanner of its own each."""
    rows = [
        (
            f"{k:03d}",
            center,
            sequence,
            scanner,
            field,
            echo + k % 3,
            500.0 + 10 * k,
            0.43,
            5.5,
            40.0 + k,
            0.1 * k,
        )
        for k in range(12)
        for center, scanner, field in [(NASTY, "Achieva", 1.5) if k % 3 else ("South", None, 3.0)]
        for sequence, echo in (("t1", 12.0), ("t2", 80.0))
    ]
    table = pd.DataFrame(rows, columns=[
        "patient_id", "group", "sequence", "scanner_device_name", "magnetic_field_strength", "echo_time",
        "repetition_time", "pixel_spacing", "slice_distance_mm", "snr", "ghost_percent",
    ])  # fmt: skip
    return {"table": table, "by": "center"}


def _limits(rows: list[tuple[Any, ...]], columns: list[str]) -> pd.DataFrame:
    """A table of estimates with limits around them."""
    table = pd.DataFrame(rows, columns=columns)
    return table.assign(lower=table["estimate"] - 0.05, upper=table["estimate"] + 0.05)


def _results() -> dict[str, Any]:
    """What the fit of a study writes beyond the C-index, as read from its tables."""
    models = ("clinical_cox", "combined_cox", "combined_forest")
    accuracy = _limits(
        [(m, t, k, 0.7 if k == "auc" else 0.15) for m in models for t in (36.0, 60.0)
         for k in ("auc", "brier", "ipa")],
        ["model", "time_months", "metric", "estimate"],
    )  # fmt: skip
    accuracy.loc[accuracy["metric"] == "ipa", ["estimate", "lower", "upper"]] = [-0.0731, np.nan, np.nan]
    thresholds = np.linspace(0.05, 0.6, 12)
    decisions = pd.concat([
        pd.DataFrame({"model": name, "threshold": thresholds, "net_benefit": top * (1 - thresholds / 0.6)})
        for name, top in (("combined_cox", 0.3), ("treat_all", 0.28), ("treat_none", 0.0))
    ])  # fmt: skip
    measures = ("nri", "nri_events", "nri_nonevents", "idi", "idi_events", "idi_nonevents")
    changed = _limits(
        [("combined_cox", "clinical_cox", m, 0.123) for m in measures],
        ["model", "reference", "measure", "estimate"],
    )
    optimism = pd.DataFrame({
        "metric": ["harrell_c", "slope"], "apparent": [0.74, 1.0], "training": [0.76, 1.0],
        "test": [0.72, 0.83], "optimism": [0.04, 0.17], "corrected": [0.70, 0.83],
        "lower": [0.65, np.nan], "upper": [0.75, np.nan], "resamples": 200, "model": "combined_cox",
    })  # fmt: skip
    plus = pd.DataFrame({
        "metric": ["harrell_c"], "apparent": [0.74], "held_out": [0.68], "no_information": [0.5],
        "overfitting": [0.25], "weight": [0.7], "corrected": [0.697], "lower": [0.64], "upper": [0.75],
        "model": "combined_cox",
    })  # fmt: skip
    permuted = {"observed": 0.71, "p": 0.0099, "permutations": 100, "mean": 0.501, "sd": 0.04,
                "percentile_95": 0.57, "patients": 686, "events": 285, "model": "combined_cox"}  # fmt: skip
    curve = _limits([(20.0, np.nan), (100.0, 0.61), (300.0, 0.66)], ["training_patients", "estimate"])
    sites = _limits(
        [(m, "harrell_c", c, 40, 8 if c == "South" else 20, 0.66) for m in models[:2]
         for c in ("North", "South", NASTY)],
        ["model", "metric", "center", "patients", "events", "estimate"],
    )  # fmt: skip
    sites["pooled"] = sites["events"] >= 10
    pooled = _limits([("combined_cox", "harrell_c", 2, 0.66)], ["model", "metric", "centers", "estimate"])
    pooled = pooled.assign(predicted_lower=np.nan, predicted_upper=np.nan, i2=0.314)
    incidence = pd.DataFrame({
        "time_months": [36.0, 60.0], "incidence": [0.1034, 0.1392], "lower": [0.072, 0.101],
        "upper": [0.141, 0.183], "patients": 686, "events": 80, "competing": 12,
    })  # fmt: skip
    features = [f"{s}__original__glcm__{k}" for s in ("t1", "ce_t1") for k in ("Contrast", "Idm", "Id")]
    stable = pd.DataFrame({
        "feature": features, "icc": [0.2, 0.8, 0.95, np.nan, 0.6, 0.97], "n": 30,
        "category": ["poor", "moderate", "excellent", "", "poor", "excellent"],
    })  # fmt: skip
    zph = pd.DataFrame({"term": ["age", "GLOBAL"], "chisq": [4.2, 7.7], "df": [1, 3], "p": [0.0404, 0.053]})
    months = np.linspace(3, 57, 9)
    effect = pd.DataFrame({"time_months": months, "effect": 0.5 - months / 60, "term": "age"})
    effect = effect.assign(lower=effect["effect"] - 0.4, upper=effect["effect"] + 0.4)
    needed = pd.DataFrame({"model": ["combined_cox"], "parameters": [1240], "events": [285],
                           "events_per_parameter": [285 / 1240]})  # fmt: skip
    chosen = pd.DataFrame({"feature": features[:3], "frequency": [1.0, 0.4, 0.2]})
    shap = pd.DataFrame({"column": ["age", features[0]], "mean_abs_shap": [0.3, 0.1], "share": [0.75, 0.25]})
    stream = io.BytesIO()
    new_figure(1, 1).savefig(stream, format="png")
    return {
        "accuracy": accuracy, "decision_curves": decisions, "reclassification": changed,
        "appraisal_notes": [f"No AUC of clinical_boosted at 60 months: {NASTY}."],
        "optimism": {"table": optimism, "plus": plus}, "permutation_test": pd.DataFrame([permuted]),
        "contour_uncertainty": pd.DataFrame([{
            "model": "combined_cox", "horizon_months": 60.0, "patients": 30, "perturbations": 8,
            "median_width": 0.0421, "upper_quartile_width": 0.09, "largest_width": 0.2163,
            "share_changing_group": 0.2,
        }]),
        "learning_curve": curve.assign(model="combined_cox"), "centers": {"table": sites, "pooled": pooled},
        "endpoints": {f"OS {NASTY}": incidence},
        "subgroups": {"model": "combined_cox", "horizon_months": 60.0, "table": _subgroups()},
        "complete_cases": pd.DataFrame({
            "column": ["ebv_dna", "any column"], "missing": [12, 14], "events": [3, 4], "only_here": [12, 14],
            "share": [0.017, 0.0204],
        }),
        "stability": {"table": stable, "minimum": 0.75, "patients": 30},
        "proportional_hazards": {"combined_cox": zph}, "effects_over_time": {"combined_cox": effect},
        "selection": {"combined_cox": chosen, "combined_forest": chosen},
        "sample_size": {"table": needed, "warnings": {"combined_cox": [f"285 events are few {NASTY}"]}},
        "shap": {"combined_boosted": {"table": shap, "figure": stream.getvalue()}},
    }  # fmt: skip


def _subgroups() -> pd.DataFrame:
    names = ["variable", "level", "patients", "events", "estimate", "lower", "upper", "predicted", "observed",
             "observed_lower", "observed_upper"]  # fmt: skip
    rows = [
        ("all", "", 686, 285, 0.6701, 0.60, 0.74, 0.75, 0.741, 0.687, 0.786),
        ("clinical values", "some missing", 9, 4, np.nan, np.nan, np.nan, 0.7, 0.7, 0.3, 0.9),
        ("age", "up to 53", 343, 140, 0.68, 0.61, 0.75, 0.8, 0.79, 0.74, 0.83),
        ("center", NASTY, 1, 0, np.nan, np.nan, np.nan, 0.7, np.nan, np.nan, np.nan),
    ]
    return pd.DataFrame(rows, columns=names)


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
        "table_one_center": _baseline().rename(
            columns={"event: no": f"center: {NASTY}", "event: yes": "center: South"}
        ),
        "protocols": _protocols(),
        "quality": {"link": "quality.html", "patients": 700, "failed": 10, "flagged": 3},
        "montage": montage_figure([Panel(slice_, mask, "T1"), Panel(slice_, mask, "T2")]),
        "features": {
            "number": 1234, "sequences": ["t1", "t2", "ce_t1"], "preset": "iso1mm", "normalize": "body",
            "morphology": True, "failures": pd.DataFrame(failed),
            "settings": {"t1": {"setting": {"binCount": 32, "resampledPixelSpacing": [1, 1, 1]}}},
        },
        "models": {
            "shown": "combined_cox",
            "scores": scores, "differences": _differences(), "per_repeat": repeats,
            "oracle": {"harrell_c": 0.81, "uno_c": 0.8}, "notes": ["One fold failed."],
            "design": {
                "folds": 5, "repeats": 3, "horizon_months": 60.0, "reference": "clinical_cox",
                "confidence": 0.95, "patients": 686, "events": 285,
            },
        },
        "kaplan_meier": {"model": "combined_cox", "curves": curves[0], "p": curves[1], **_group_tables()},
        "calibration": _calibration(X, y, model), **_results(),
        "hazard_ratios": {"combined_cox": model.summary()},
        "notes": {"combined_cox": ["T: T0 read as T0+T1, too few patients or events"]},
        "rad_score": pd.DataFrame({
            "feature": ["ce_t1__wavelet-HLH__glcm__Contrast"], "coefficient": [-0.00123], "weight": [-0.3],
        }),
        "nomogram": {
            "model": "combined_cox", "horizons_months": [36, 60], "figure": nomogram.draw(),
            "points": nomogram.points_table(), "link": "nomogram.html",
            "example": {"figure": "<svg xmlns='http://www.w3.org/2000/svg'/>"},
        },
        "settings": portable_settings(settings, Path.cwd()), "versions": software_versions(),
    }  # fmt: skip
