"""Models against the known truth: 277 simulated patients, and the same with outcomes permuted.

    python -m benchmarks.oracle OUT

The published cohort has 277 patients. The oracle is the true linear predictor, which no model can be
expected to pass; the share of its excess over 0.5 is what a model recovers of what can be known.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.config import read_settings
from radiomics_npc.settings import ModelSettings
from radiomics_npc.simulate.cohort import simulate_cohort
from radiomics_npc.storage import read_table
from radiomics_npc.study import Study
from radiomics_npc.survival.models.standard import standard_model
from radiomics_npc.survival.validation.cross_validation import cross_validate

SEED = 20240101


def study(out: Path, patients: int, matrix: int | None, jobs: int) -> Study:
    """The standard study (six models, 5 folds, 10 repeats) on a simulated cohort."""
    if not (out / "data" / "truth.csv").exists():
        simulate_cohort(out / "data", patients=patients, seed=SEED, matrix=matrix, jobs=jobs)
    outcome = {"time": "PFS_months", "unit": "months", "event": "PFS_event", "coding": "0/1"}
    settings = read_settings(
        {"name": "oracle", "output": "run", "jobs": jobs, "cohort": {"path": "data", "outcome": outcome}},
        base=out,
    )
    return Study(settings)


def recovered(run: Path) -> pd.DataFrame:
    """Scores with the share of the oracle's excess over 0.5 and the difference to the clinical model."""
    tables = run / "tables"
    scores = read_table(tables / "scores.csv")
    oracle = read_table(tables / "oracle.csv").set_index("metric")["estimate"]
    scores["oracle"] = scores["metric"].map(oracle)
    scores["share"] = (scores["estimate"] - 0.5) / (scores["oracle"] - 0.5)
    differences = read_table(tables / "differences.csv").set_index(["model", "metric"])
    wanted = differences[["estimate", "lower", "upper", "p"]].add_prefix("gain_")
    names = ["model", "metric", "estimate", "lower", "upper", "oracle", "share"]
    return scores[names].join(wanted, on=["model", "metric"])


def permuted(run: Path, times: int, jobs: int) -> np.ndarray:
    """Cross-validated C of the combined Cox model, once for each permutation of the outcomes."""
    x = read_table(run / "tables" / "design_matrix.parquet").set_index("patient_id")
    y = Outcome.from_frame(read_table(run / "tables" / "outcome.csv").set_index("patient_id"))
    found = []
    for seed in range(times):
        order = np.random.default_rng(seed).permutation(len(y))
        shuffled = replace(y, time_months=y.time_months[order], event=y.event[order])
        model = {"combined_cox": standard_model("combined_cox", ModelSettings())}
        result = cross_validate(model, x, shuffled, repeats=1, random_state=seed, jobs=jobs)
        found.append(result.scores.set_index("metric").loc["harrell_c", "estimate"])
    return np.array(found)


def main() -> None:
    """Run, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--patients", type=int, default=277)
    parser.add_argument("--matrix", type=int)
    parser.add_argument("--permutations", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=0)
    given = parser.parse_args()
    work = study(given.out, given.patients, given.matrix, given.jobs)
    work.run()
    print(recovered(work.run_folder).to_string(index=False, float_format="{:.3f}".format))
    found = permuted(work.run_folder, given.permutations, given.jobs)
    print(
        f"outcomes permuted {len(found)} times: C mean {found.mean():.3f}, sd {found.std(ddof=1):.3f}, "
        f"from {found.min():.3f} to {found.max():.3f}"
    )


if __name__ == "__main__":
    main()
