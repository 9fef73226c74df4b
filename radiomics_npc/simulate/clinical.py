"""Who the simulated patients are: stage, T, N, M, EBV, age, sex, pathology, volume, outcome.

Every patient is drawn from a stream of its own (seed, number), so the first
patients of a large cohort are the patients of a small one.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats
from scipy.special import ndtr, ndtri

from radiomics_npc.errors import ConfigError
from radiomics_npc.simulate.outcome import draw_outcome, linear_predictor, survival
from radiomics_npc.simulate.published import PATHOLOGY, SCANNERS, STAGES

__all__ = ["clinical_table", "draw_patients", "truth_table"]

Array = NDArray[np.float64]

# Primary tumor volume in cm3 by T: median of a lognormal distribution, cut at VOLUME_LIMITS_CM3
# so that the masks of all three sequences stay inside the published ranges.
VOLUME_MEDIAN_CM3: Final = {"T0": 1.1, "T1": 3.1, "T2": 5.5, "T3": 8.4, "T4": 15.8}
VOLUME_LOG_SD: Final = 0.60
VOLUME_LIMITS_CM3: Final = (0.85, 62.0)

_DRAWS = (
    "stage", "tn", "sex", "age", "pathology", "ebv", "vca", "volume", "latent", "event", "loss", "scanner",
)  # fmt: skip


def draw_patients(n: int, seed: int, dirty: bool = False) -> pd.DataFrame:
    """Draw patients with their outcome, without images.

    Parameters
    ----------
    n : int
        How many, numbered from 1.
    seed : int
        Not negative.
    dirty : bool
        Plant what the published table holds: an N1 in stage I, an M1 in stage IVA, follow-up of
        0 months. The truth stays what it was.

    Returns
    -------
    DataFrame
        Indexed by ``patient_id`` ("001", ...). ``volume_cm3`` is the volume that the T1 mask is
        grown to; ``linear_predictor`` and ``pfs_60`` are made from it.

    Raises
    ------
    ConfigError
        ``n`` or ``seed`` is out of range.

    Examples
    --------
    >>> draw_patients(3, seed=1).equals(draw_patients(5, seed=1).head(3))
    True
    """
    if n < 1 or seed < 0:
        raise ConfigError("patients must be at least 1 and seed not negative", "Change --patients or --seed.")
    streams = (np.random.default_rng([seed, number]) for number in range(1, n + 1))
    uniform = np.array([stream.random(len(_DRAWS)) for stream in streams])
    # neither 0 nor 1, so that every quantile below is finite
    u = dict(zip(_DRAWS, np.clip(uniform, 1e-12, 1 - 1e-12).T, strict=True))
    table = _staging(u)
    for name, column in _persons(u, table["stage"].to_numpy()).items():
        table[name] = column
    table["scanner"] = _pick(list(SCANNERS), [s.patients for s in SCANNERS.values()], u["scanner"])
    table["volume_cm3"] = _volumes(table["T"], u["volume"])
    table["heterogeneity"] = ndtri(u["latent"])
    lp = linear_predictor(table)
    table["linear_predictor"], table["pfs_60"] = lp, survival(lp, 60.0)
    table = table.join(draw_outcome(lp, u["event"], u["loss"]))
    table.index = pd.Index([f"{i:03d}" for i in range(1, n + 1)], name="patient_id")
    return _plant_contradictions(table) if dirty else table


def _pick(values: list[Any], weights: Any, u: Array) -> Array:
    edges = np.cumsum(weights) / np.sum(weights)
    return np.asarray(values, dtype=object)[np.minimum(np.searchsorted(edges, u), len(values) - 1)]


def _staging(u: dict[str, Array]) -> pd.DataFrame:
    stage = _pick(list(STAGES), [g.patients for g in STAGES.values()], u["stage"])
    t, n = np.empty_like(stage), np.empty_like(stage)
    for name, group in STAGES.items():
        rows = stage == name
        cells = _pick([f"{t}{n}" for t, n in group.tn], list(group.tn.values()), u["tn"][rows])
        t[rows], n[rows] = [c[:2] for c in cells], [c[2:] for c in cells]
    return pd.DataFrame({"stage": stage, "T": t, "N": n, "M": np.where(stage == "IVB", "M1", "M0")})


def _persons(u: dict[str, Array], stage: Array) -> dict[str, Any]:
    """Sex, age, pathology and virology, each by stage group as in the published table."""
    columns = {k: np.empty(len(stage), dtype=object) for k in ("sex", "pathology", "ebv_dna", "vca_iga")}
    age = np.empty(len(stage))
    for name, group in STAGES.items():
        rows = stage == name
        positive = ["positive", "negative"]
        columns["sex"][rows] = np.where(u["sex"][rows] < group.female / group.patients, "F", "M")
        columns["pathology"][rows] = _pick(list(PATHOLOGY), group.pathology, u["pathology"][rows])
        for column, key, count in (
            ("ebv_dna", "ebv", group.ebv_positive),
            ("vca_iga", "vca", group.vca_positive),
        ):
            columns[column][rows] = _pick(positive, [count, group.patients - count], u[key][rows])
        age[rows] = _ages(group.age, u["age"][rows])
    return {**columns, "age": age}


def _ages(published: tuple[float, float, float, float], u: Array) -> Array:
    """Beta distribution on [minimum, maximum] with the published mean and standard deviation."""
    mean, sd, low, high = published
    m, v = (mean - low) / (high - low), (sd / (high - low)) ** 2
    strength = m * (1 - m) / v - 1
    return np.round(low + (high - low) * stats.beta.ppf(u, m * strength, (1 - m) * strength))


def _volumes(t: pd.Series, u: Array) -> Array:
    center = np.log(t.map(VOLUME_MEDIAN_CM3).to_numpy(dtype=float))
    low, high = (ndtr((np.log(limit) - center) / VOLUME_LOG_SD) for limit in VOLUME_LIMITS_CM3)
    return np.asarray(np.exp(center + VOLUME_LOG_SD * ndtri(low + u * (high - low))))


def _plant_contradictions(table: pd.DataFrame) -> pd.DataFrame:
    """Change what is recorded of a few patients; the natural candidates first."""
    table = table.copy()
    stage_1 = table.index[(table["stage"] == "I") | ((table["T"] == "T1") & (table["N"] == "N1"))]
    stage_4a = table.index[table["stage"] == "IVA"]
    first = stage_1[0] if len(stage_1) else table.index[0]
    others = table.index.difference([first], sort=False)
    chosen = stage_4a.intersection(others, sort=False)
    second = chosen[0] if len(chosen) else (others[0] if len(others) else None)
    table.loc[first, ["N", "stage"]] = ["N1", "I"]
    if second is not None:
        table.loc[second, ["M", "stage"]] = ["M1", "IVA"]
    zero = others.difference([second], sort=False)[: max(1, round(len(table) / 100))]
    table.loc[zero, ["time_months", "event"]] = [0.0, 0]
    return table


def clinical_table(patients: pd.DataFrame) -> pd.DataFrame:
    """What ``info_diagnoses.csv`` holds: nothing of the truth."""
    names = {
        "sex": "gender", "age": "age", "T": "T_stage", "N": "N_stage", "M": "M_stage",
        "stage": "clinical_stage", "pathology": "pathology", "ebv_dna": "EBV_DNA", "vca_iga": "VCA_IgA",
        "time_months": "PFS_months", "event": "PFS_event",
    }  # fmt: skip
    table = patients[list(names)].rename(columns=names).reset_index()
    return table.astype({"age": int, "PFS_event": int})


def truth_table(patients: pd.DataFrame) -> pd.DataFrame:
    """What ``truth.csv`` holds: the oracle.

    ``log_volume`` is the natural logarithm of the wanted volume in cm3; that of the T1 mask's mesh
    differs from it by a few percent (voxels, and corners that the mesh cuts).
    """
    table = patients[["linear_predictor", "pfs_60", "heterogeneity", "event_months"]].copy()
    table.insert(3, "log_volume", np.log(patients["volume_cm3"]))
    table = table.rename(columns={"event_months": "event_months_uncensored"})
    return table.round(6).reset_index()
