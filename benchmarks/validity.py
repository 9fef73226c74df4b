"""Does the validation tell the truth? Simulated cohorts whose truth is known, from tables alone.

    python -m benchmarks.validity OUT [--cohorts 200] [--large 20] [--jobs 2]

Three questions, each against a truth that only a simulation has:

* selected model: cross-validated C of the combined Cox model (signature of 240 features beside T, N
  and EBV DNA) minus the oracle's, the C of the true log hazard, at n = 277 and 1,000;
* coverage: how often the 95% interval of a cross-validated C holds what it estimates, the mean C
  on 5,000 new patients of the models of its own folds;
* slope: calibration slope on 5,000 new patients of a model shrunk by its optimism-corrected slope.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.parallel import map_cases
from radiomics_npc.survival.metrics.concordance import harrell_c
from radiomics_npc.survival.models.cox import CoxModel
from radiomics_npc.survival.models.standard import standard_model
from radiomics_npc.survival.validation.cross_validation import cross_validate
from radiomics_npc.survival.validation.designs import RepeatedFolds
from radiomics_npc.survival.validation.optimism import bootstrap_validate
from radiomics_npc.survival.validation.recalibration import RecalibratedModel, fit_slope

NEW_PATIENTS = 5000
FEATURES = 240


def draw(n: int, features: int, seed: int) -> tuple[pd.DataFrame, Outcome, np.ndarray]:
    """T, N, EBV DNA and correlated features with a known log hazard; 5-year survival about 70%."""
    random = np.random.default_rng(seed)
    t, n_category = (
        random.choice(4, n, p=[0.3, 0.2, 0.35, 0.15]),
        random.choice(4, n, p=[0.15, 0.35, 0.35, 0.15]),
    )
    ebv, blocks = random.random(n) < 0.5, random.normal(size=(n, 12))
    loading = np.random.default_rng(0).uniform(0.6, 0.95, features)  # the same features in every cohort
    values = blocks[:, np.arange(features) % 12] * loading
    values += np.sqrt(1 - loading**2) * random.normal(size=(n, features))
    lp = 0.2 * t + 0.3 * n_category + 0.5 * ebv + 0.7 * blocks[:, 0] - 0.5 * blocks[:, 1]
    lp -= 1.3  # about its mean: the same hazard in every cohort
    time, lost = random.exponential(60 / 0.25 * np.exp(-lp)), random.uniform(20, 200, n)
    X = pd.DataFrame(values, columns=[f"t1__original__glcm__F{k}" for k in range(features)])
    clinical = pd.DataFrame({
        "T": pd.Categorical([f"T{k + 1}" for k in t], [f"T{k}" for k in range(5)], ordered=True),
        "N": pd.Categorical([f"N{k}" for k in n_category], [f"N{k}" for k in range(4)], ordered=True),
        "ebv_dna": pd.Categorical(np.where(ebv, "positive", "negative"), ["negative", "positive"]),
    })  # fmt: skip
    X = pd.concat([clinical, X], axis=1).set_axis(pd.RangeIndex(n).astype(str), axis=0)
    y = Outcome(np.minimum(time, lost), time <= lost, X.index, simulated=True).censor_at(60)
    return X, y, lp


def selected(seed: int, n: int, repeats: int) -> dict[str, float]:
    """Cross-validated C of the combined Cox model, and the oracle's on the same patients."""
    X, y, lp = draw(n, FEATURES, seed)
    models = {"combined_cox": standard_model("combined_cox")}
    result = cross_validate(models, X, y, repeats=repeats, jobs=1, random_state=seed)
    row = result.scores.set_index("metric").loc["harrell_c"]
    oracle = harrell_c(y, lp).estimate
    return {"c": row["estimate"], "oracle": oracle, "below": oracle - row["estimate"],
            "se": row["se"]}  # fmt: skip


def covered(seed: int, n: int, repeats: int) -> dict[str, float]:
    """Interval of a cross-validated C of a Cox model, and the C that its folds' models truly have."""
    X, y, _ = draw(n, 0, seed)
    new, y_new, _ = draw(NEW_PATIENTS, 0, 10_000 + seed)
    result = cross_validate({"cox": CoxModel()}, X, y, repeats=repeats, jobs=1, random_state=seed)
    row = result.scores.set_index("metric").loc["harrell_c"]
    truths = []
    for task in RepeatedFolds(5, repeats).tasks(y, seed)[:5]:  # one repeat: their mean hardly differs
        rows = task.training(n)
        model = CoxModel().fit(X.iloc[rows], y.take(rows))
        truths.append(harrell_c(y_new, model.predict_risk(new)).estimate)
    truth = float(np.mean(truths))
    return {"c": row["estimate"], "truth": truth, "below": truth - row["estimate"], "se": row["se"],
            "holds": float(row["lower"] <= truth <= row["upper"])}  # fmt: skip


def shrunk(seed: int, n: int, resamples: int) -> dict[str, float]:
    """Slope on new patients before and after shrinkage: 3 features, T, N and EBV DNA."""
    X, y, _ = draw(n, 3, seed)
    new, y_new, _ = draw(NEW_PATIENTS, 3, 10_000 + seed)
    model = CoxModel().fit(X, y)
    factor = bootstrap_validate(CoxModel(), X, y, resamples=resamples, random_state=seed).shrinkage
    mended = RecalibratedModel(model, slope=factor).fit(X, y)
    return {"corrected_slope": factor, "slope": fit_slope(y_new, model.predict_risk(new))[0],
            "shrunk_slope": fit_slope(y_new, mended.predict_risk(new))[0]}  # fmt: skip


def run(name: str, task: partial[dict[str, float]], cohorts: int, jobs: int) -> pd.DataFrame:
    """One row a cohort."""
    table = pd.DataFrame(list(map_cases(task, range(cohorts), jobs=jobs, ordered=True)))
    table.insert(0, "study", name)
    return table


def summary(each: pd.DataFrame) -> pd.DataFrame:
    """Mean and standard error over cohorts of everything, with the target of each."""
    targets = {"below": "at most 0.03 at n = 1,000", "holds": "0.90 to 0.98", "shrunk_slope": "0.9 to 1.1"}
    rows = []
    for study, part in each.groupby("study", sort=False):
        for column in part.columns.drop("study"):
            values = part[column].dropna()
            if values.empty:
                continue
            lower, upper = values.mean() + 1.96 * values.sem() * np.array([-1, 1])
            if column == "holds":
                lower, upper = binomtest(int(values.sum()), len(values)).proportion_ci(method="wilson")
            rows.append(
                (
                    study,
                    column,
                    len(values),
                    values.mean(),
                    values.std(),
                    lower,
                    upper,
                    targets.get(column, ""),
                )
            )
    names = ["study", "quantity", "cohorts", "mean", "sd", "lower", "upper", "target"]
    return pd.DataFrame(rows, columns=names)


def main() -> None:
    """Run, write, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--cohorts", type=int, default=200, help="for the coverage, of 150 patients each")
    parser.add_argument("--large", type=int, default=20, help="for the selected model; twice for the slope")
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    each = pd.concat([
        run("selected_277", partial(selected, n=277, repeats=2), given.large, given.jobs),
        run("selected_1000", partial(selected, n=1000, repeats=1), given.large, given.jobs),
        run("coverage_150", partial(covered, n=150, repeats=5), given.cohorts, given.jobs),
        run("slope_277", partial(shrunk, n=277, resamples=100), 2 * given.large, given.jobs),
        run("slope_1000", partial(shrunk, n=1000, resamples=100), 2 * given.large, given.jobs),
    ], ignore_index=True)  # fmt: skip
    given.out.mkdir(parents=True, exist_ok=True)
    each.to_csv(given.out / "validity_cohorts.csv", index=False)
    table = summary(each)
    table.to_csv(given.out / "validity.csv", index=False)
    print(table.to_string(index=False, float_format="{:.3f}".format))


if __name__ == "__main__":
    main()
