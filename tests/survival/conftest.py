"""R's numbers and simulated patients for the tests of prognosis."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from radiomics_npc.cohort.outcome import Outcome

R = Path(__file__).resolve().parents[1] / "reference" / "r"


@pytest.fixture(scope="session")
def table() -> Callable[[str], pd.DataFrame]:
    """Read a table that R wrote."""
    return lambda name: pd.read_csv(R / f"{name}.csv")


@pytest.fixture(scope="session")
def numbers() -> Callable[[str], dict[str, Any]]:
    """Read the single numbers that R wrote."""
    return lambda name: json.loads((R / f"{name}.json").read_text())


@pytest.fixture(scope="session")
def gbsg(table: Callable[[str], pd.DataFrame]) -> tuple[pd.DataFrame, Outcome]:
    """The 686 breast cancer patients of R's model A."""
    data = table("gbsg")
    X = data.drop(columns=["months", "event"]).astype({"grade": "category"})
    X.index = pd.Index([f"{k:03d}" for k in range(len(X))], name="patient_id")
    return X, Outcome(data["months"], data["event"], X.index)


def draw_patients(
    n: int, features: int, seed: int, *, strength: float = 1.0
) -> tuple[pd.DataFrame, Outcome, np.ndarray]:
    """Clinical columns and correlated features with a known log hazard; 5-year survival about 70%."""
    random = np.random.default_rng(seed)
    t, n_category = (
        random.choice(4, n, p=[0.3, 0.2, 0.35, 0.15]),
        random.choice(4, n, p=[0.15, 0.35, 0.35, 0.15]),
    )
    ebv = random.random(n) < 0.5
    blocks = random.normal(size=(n, 12))
    member = np.arange(features) % 12
    loading = random.uniform(0.6, 0.95, features)
    values = blocks[:, member] * loading + np.sqrt(1 - loading**2) * random.normal(size=(n, features))
    lp = strength * (0.2 * t + 0.3 * n_category + 0.5 * ebv + 0.7 * blocks[:, 0] - 0.5 * blocks[:, 1])
    hazard = 0.25 * np.exp(lp - lp.mean()) / 60
    time, lost = random.exponential(1 / hazard), random.uniform(20, 200, n)
    names = [f"t1__original__glcm__F{k}" for k in range(features)]
    X = pd.DataFrame({
        "T": pd.Categorical([f"T{k + 1}" for k in t], ["T0", "T1", "T2", "T3", "T4"], ordered=True),
        "N": pd.Categorical([f"N{k}" for k in n_category], ["N0", "N1", "N2", "N3"], ordered=True),
        "ebv_dna": pd.Categorical(np.where(ebv, "positive", "negative"), ["negative", "positive"]),
    })  # fmt: skip
    X = pd.concat([X, pd.DataFrame(values, columns=names)], axis=1)
    X.index = pd.Index([f"{k:04d}" for k in range(1, n + 1)], name="patient_id")
    event = (time <= lost) & (time <= 60)
    return X, Outcome(np.minimum(np.minimum(time, lost), 60), event, X.index), lp


@pytest.fixture(scope="session")
def draw() -> Callable[..., tuple[pd.DataFrame, Outcome, np.ndarray]]:
    """Draw simulated patients: ``draw(n, features, seed, strength=1.0)``."""
    return draw_patients


@pytest.fixture(scope="session")
def patients() -> tuple[pd.DataFrame, Outcome, np.ndarray]:
    """160 simulated patients, 120 features, and the true log hazard."""
    return draw_patients(160, 120, 0)
