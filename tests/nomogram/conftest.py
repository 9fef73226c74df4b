"""R's numbers (rms 6.x on survival::gbsg, see tests/reference/r) and the same model fitted here."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.nomogram.nomogram import Nomogram
from radiomics_npc.survival.design import Term
from radiomics_npc.survival.models.cox import CoxModel

REFERENCE = Path(__file__).parent.parent / "reference" / "r"


def _reference(name: str) -> pd.DataFrame:
    return pd.read_csv(REFERENCE / name)


def _factor(name: str, levels: dict[str, float]) -> Term:
    return Term(
        name, "factor", tuple(levels.values()), tuple(levels), reads={k: k for k in levels},
        counts=dict.fromkeys(levels, 10),
    )  # fmt: skip


@pytest.fixture(scope="session")
def reference() -> Callable[[str], pd.DataFrame]:
    """Reads one of R's tables."""
    return _reference


@pytest.fixture(scope="session")
def reference_json() -> Callable[[str], dict]:
    return lambda name: json.loads((REFERENCE / name).read_text())


@pytest.fixture(scope="session")
def factor() -> Callable[[str, dict[str, float]], Term]:
    """Makes a factor of levels and their effects."""
    return _factor


@pytest.fixture(scope="session")
def gbsg() -> tuple[pd.DataFrame, Outcome]:
    table = pd.read_csv(REFERENCE / "gbsg.csv", dtype={"grade": "category"})
    table.index = table.index.astype(str)
    y = Outcome(table["months"], table["event"], table.index, "recurrence-free survival")
    return table.drop(columns=["months", "event"]), y


@pytest.fixture(scope="session")
def summary() -> dict:
    return json.loads((REFERENCE / "A_summary.json").read_text())


@pytest.fixture(scope="session")
def terms_of_r(gbsg: tuple[pd.DataFrame, Outcome]) -> tuple[Term, ...]:
    """The terms of model A with R's coefficients."""
    X, _ = gbsg
    coef = _reference("A_coef.csv").set_index("term")["coef"]
    linear = {
        name: Term(name, "linear", (coef[name],), range=(float(X[name].min()), float(X[name].max())))
        for name in X.columns.drop("grade")
    }
    grade = _factor("grade", {"1": 0.0, "2": coef["grade=2"], "3": coef["grade=3"]})
    return tuple(grade if name == "grade" else linear[name] for name in X.columns)


@pytest.fixture(scope="session")
def nomogram_of_r(terms_of_r: tuple[Term, ...], summary: dict) -> Nomogram:
    """Model A with R's coefficients, baseline and center."""
    base = _reference("A_basehaz.csv")
    hazard = tuple(float(base.loc[base["time"] <= month, "H0_x0"].iloc[-1]) for month in (36, 60))
    return Nomogram(
        terms_of_r, (36.0, 60.0), hazard, center=summary["center"], outcome="recurrence-free survival"
    )


@pytest.fixture(scope="session")
def model(gbsg: tuple[pd.DataFrame, Outcome]) -> CoxModel:
    return CoxModel(min_category=1).fit(*gbsg)


@pytest.fixture(scope="session")
def curved(gbsg: tuple[pd.DataFrame, Outcome]) -> CoxModel:
    """R's model B: a restricted cubic spline of age."""
    return CoxModel(min_category=1, splines={"age": 4}).fit(gbsg[0].drop(columns="meno"), gbsg[1])


@pytest.fixture(scope="session")
def npc() -> Nomogram:
    """A model as this package makes them: merged T category, signature, simulated patients."""
    merged = Term(
        "T", "factor", (0.0, 0.12, 0.35, 0.9), ("T0+T1", "T2", "T3", "T4"),
        reads={"T0": "T0+T1", "T1": "T0+T1", "T2": "T2", "T3": "T3", "T4": "T4"},
        counts={"T0": 0, "T1": 30, "T2": 40, "T3": 30, "T4": 20},
    )  # fmt: skip
    terms = (
        merged,
        _factor("N", {"N0": 0.0, "N1": 0.07, "N2": 0.5, "N3": 1.1}),
        _factor("ebv_dna", {"negative": 0.0, "positive": 0.6}),
        Term("age", "linear", (0.015,), range=(18.0, 79.0)),
        Term("rad_score", "linear", (1.0,), range=(-1.234, 2.113)),
    )
    return Nomogram(terms, (36.0, 60.0), (0.05, 0.09), simulated=True)
