"""Nested cross-validation of 277 patients x 3,000 features, beside lifelines loops and scikit-survival.

    python -m benchmarks.modelling [--repeats 10] [--jobs 2]

Ours runs whole. The peers run a part, in one process, and are scaled to the whole design and to as many
processes as if they scaled perfectly; how much was measured stands in the table. Each runs in an interpreter
of its own, whose memory (with its children's) is sampled.

The design is that of ``radiomics_cox`` and ``radiomics_boosted``: in every outer training fold a univariate
screen, an elastic net tuned on 5 inner folds, and scores of 5 signatures that have not seen the patient;
boosted trees with the number of rounds from 5 inner folds. The lifelines loop is that Cox design, feature by
feature and penalty by penalty (there are no trees in lifelines). With scikit-survival the elastic net takes
all features, without a screen, and gradient boosting is tuned by staged predictions.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from radiomics_npc.cohort.outcome import Outcome

PATIENTS, FEATURES, FOLDS, INNER, PENALTIES = 277, 3000, 5, 5, 25
# Screens of one outer training fold: signature and 5 inner ones, each tuned on 5 folds and fitted once more.
SCREENS = (INNER + 1) * (INNER + 1)
TOP = 50


def patients() -> tuple[pd.DataFrame, Outcome]:
    """Features that hang together in blocks, as radiomic ones do; a quarter of patients have the event."""
    random = np.random.default_rng(20240101)
    blocks = random.normal(size=(PATIENTS, 40))
    loading = random.uniform(0.6, 0.98, FEATURES)
    values = blocks[:, np.arange(FEATURES) % 40] * loading
    values += np.sqrt(1 - loading**2) * random.normal(size=values.shape)
    hazard = 0.3 / 60 * np.exp(0.7 * blocks[:, 0] - 0.5 * blocks[:, 1])
    time_months, lost = random.exponential(1 / hazard), random.uniform(20, 200, PATIENTS)
    event = (time_months <= lost) & (time_months <= 60)
    index = pd.Index([f"{k:03d}" for k in range(PATIENTS)], name="patient_id")
    X = pd.DataFrame(values, index, [f"t1__original__glcm__F{k}" for k in range(FEATURES)])
    return X, Outcome(np.minimum(np.minimum(time_months, lost), 60), event, index)


def ours(model: str, repeats: int, jobs: int) -> dict[str, float]:
    """Seconds of the whole design."""
    from radiomics_npc.survival.models.standard import standard_model
    from radiomics_npc.survival.validation.cross_validation import cross_validate

    X, y = patients()
    start = time.perf_counter()
    result = cross_validate({model: standard_model(model)}, X, y, repeats=repeats, jobs=jobs)
    assert result.failures.empty
    return {"seconds": time.perf_counter() - start, "c": float(result.scores["estimate"].iloc[0])}


def lifelines_cox(_model: str, repeats: int, jobs: int) -> dict[str, float]:
    """One screen of 60 features and 5 penalized fits of 50 in one inner training fold, scaled."""
    from lifelines import CoxPHFitter

    X, y = patients()
    rows = np.arange(PATIENTS) % 25 >= 9  # 64%: an inner training fold of an outer one
    table = X[rows].copy()
    table["time"], table["event"] = y.time_months[rows], y.event[rows]

    def fit(columns: list[str], **options: float) -> float:
        start = time.perf_counter()
        CoxPHFitter(**options).fit(table[[*columns, "time", "event"]], "time", "event")
        return time.perf_counter() - start

    fit([X.columns[0]])  # imports and caches
    single = np.mean([fit([name]) for name in X.columns[:60]])
    path = np.mean(
        [fit(list(X.columns[:TOP]), penalizer=p, l1_ratio=0.1) for p in np.geomspace(0.5, 0.03, 5)]
    )
    outer = SCREENS * (FEATURES * single + PENALTIES * path)
    return {"seconds": repeats * FOLDS * outer / jobs, "measured": 60 * single + 5 * path}


def sksurv_cox(_model: str, repeats: int, jobs: int) -> dict[str, float]:
    """One outer training fold: a tuned path over all features, there and in each inner training fold."""
    X, y = patients()
    train = np.arange(PATIENTS) % FOLDS != 0
    values, outcome = X.to_numpy()[train], y.to_structured()[train]
    fold = np.arange(len(values)) % INNER
    start = time.perf_counter()
    for k in range(INNER + 1):  # the last turn takes all of them
        _sksurv_net(values[fold != k], outcome[fold != k])
    measured = time.perf_counter() - start
    return {"seconds": repeats * FOLDS * measured / jobs, "measured": measured}


def _sksurv_net(values: np.ndarray, outcome: np.ndarray) -> None:
    """An elastic net whose penalty is chosen by C on inner folds."""
    from sksurv.linear_model import CoxnetSurvivalAnalysis
    from sksurv.metrics import concordance_index_censored

    event, when = outcome.dtype.names
    fold = np.arange(len(values)) % INNER
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = CoxnetSurvivalAnalysis(n_alphas=PENALTIES, l1_ratio=0.1, alpha_min_ratio=0.05)
        path.fit(_scaled(values), outcome)
        for k in range(INNER):
            inner = CoxnetSurvivalAnalysis(alphas=path.alphas_, l1_ratio=0.1)
            inner.fit(_scaled(values[fold != k]), outcome[fold != k])
            held = outcome[fold == k]
            for alpha in inner.alphas_:
                risk = inner.predict(_scaled(values[fold == k]), alpha=alpha)
                concordance_index_censored(held[event], held[when], risk)


def sksurv_boosted(_model: str, repeats: int, jobs: int) -> dict[str, float]:
    """One outer training fold: 200 trees in 5 inner folds with staged predictions, and once more."""
    from sksurv.ensemble import GradientBoostingSurvivalAnalysis
    from sksurv.metrics import concordance_index_censored

    X, y = patients()
    train = np.arange(PATIENTS) % FOLDS != 0
    values, outcome = X.to_numpy()[train], y.to_structured()[train]
    names = outcome.dtype.names
    fold = np.arange(len(values)) % INNER
    start = time.perf_counter()
    for k in range(INNER + 1):
        rows = fold != k  # the last turn fits all of them
        trees = GradientBoostingSurvivalAnalysis(n_estimators=200, max_depth=2, subsample=0.8, random_state=0)
        trees.fit(values[rows], outcome[rows])
        held = outcome[~rows]
        for risk in trees.staged_predict(values[~rows]) if len(held) else ():
            concordance_index_censored(held[names[0]], held[names[1]], risk)
    measured = time.perf_counter() - start
    return {"seconds": repeats * FOLDS * measured / jobs, "measured": measured}


def _scaled(values: np.ndarray) -> np.ndarray:
    return (values - values.mean(axis=0)) / values.std(axis=0)


ENTRANTS = {
    "ours": ours,
    "lifelines": lifelines_cox,
    "sksurv_cox": sksurv_cox,
    "sksurv_boosted": sksurv_boosted,
}
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def measured(entrant: str, model: str, repeats: int, jobs: int) -> dict[str, float]:
    """Run an entrant in an interpreter of its own; peak memory (MB) is the sum over its processes (Linux)."""
    command = [sys.executable, "-m", "benchmarks.modelling", "--entrant", entrant, "--model", model,
               "--repeats", str(repeats), "--jobs", str(jobs)]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | ONE_THREAD) as process:
        peak = 0.0
        while process.poll() is None:
            peak = max(peak, _memory(process.pid))
            time.sleep(0.2)
        assert process.stdout is not None
        printed = process.stdout.read()
    if process.returncode:
        raise SystemExit(f"{entrant} {model} failed")
    return json.loads(printed.strip().splitlines()[-1]) | {"memory": peak}


def _memory(pid: int) -> float:
    """Proportional memory (MB) of a process and its children; 0 where the system does not tell."""
    total, wanted = 0.0, [pid]
    while wanted:
        folder = Path("/proc") / str(wanted.pop())
        try:
            text = (folder / "smaps_rollup").read_text()
            total += float(text.split("Pss:")[1].split()[0]) / 1024
            wanted += [int(c) for task in (folder / "task").iterdir()
                       for c in (task / "children").read_text().split()]  # fmt: skip
        except (OSError, IndexError):  # it ended meanwhile
            continue
    return total


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--entrant", choices=ENTRANTS, help=argparse.SUPPRESS)
    parser.add_argument("--model", default="", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.entrant:
        print(json.dumps(ENTRANTS[given.entrant](given.model, given.repeats, given.jobs)))
        return
    table = Table(title=f"{FOLDS} x {given.repeats} nested cross-validation, {PATIENTS} x {FEATURES}, "
                        f"{given.jobs} processes")  # fmt: skip
    for heading in ("design", "who", "measured (s)", "whole design (s)", "times ours", "peak memory (MB)"):
        table.add_column(heading, justify="right")
    for model, peers in (
        ("radiomics_cox", ["lifelines", "sksurv_cox"]),
        ("radiomics_boosted", ["sksurv_boosted"]),
    ):
        base = measured("ours", model, given.repeats, given.jobs)
        for who, found in (
            ("ours", base),
            *((p, measured(p, model, given.repeats, given.jobs)) for p in peers),
        ):
            part = found.get("measured", found["seconds"])
            ratio = found["seconds"] / base["seconds"]
            table.add_row(model, who, f"{part:.1f}", f"{found['seconds']:.0f}", f"{ratio:.1f}",
                          f"{found['memory']:.0f}")  # fmt: skip
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
