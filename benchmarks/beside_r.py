"""Every number of the RADCURE clinical Cox model beside R's.

    python -m benchmarks.beside_r configs/examples/radcure_npc.yaml

Runs the study, hands R the same table (missing values filled as the model fills them), the predictions of
the patients held out and the bootstrap samples, and prints ours, R's and the largest difference. Needs
Rscript with survival, rms, riskRegression, cmprsk and jsonlite. ``--out FILE`` writes the table as Markdown.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.features.merge import design_matrix
from radiomics_npc.study import Study
from radiomics_npc.survival.estimation.competing_risks import cumulative_incidence
from radiomics_npc.survival.estimation.kaplan_meier import kaplan_meier
from radiomics_npc.survival.estimation.log_rank import log_rank
from radiomics_npc.survival.metrics.brier import brier_at
from radiomics_npc.survival.metrics.concordance import harrell_c, uno_c
from radiomics_npc.survival.metrics.decision_curve import decision_curve
from radiomics_npc.survival.metrics.explained_variation import explained_variation
from radiomics_npc.survival.metrics.roc import auc_at
from radiomics_npc.survival.metrics.smooth_calibration import smooth_calibrate
from radiomics_npc.survival.metrics.weak_calibration import calibration_slope, observed_expected
from radiomics_npc.survival.models.cox import CoxModel
from radiomics_npc.survival.models.fine_gray import FineGrayModel
from radiomics_npc.survival.models.proportional_hazards import proportional_hazards_test
from radiomics_npc.survival.validation.cross_validation import CrossValidation
from radiomics_npc.survival.validation.optimism import bootstrap_validate

SCRIPT = Path(__file__).with_name("radcure.R")
HORIZONS = (36, 60)
MODEL = "clinical_cox"
Numbers = dict[str, Any]
# Of R's numbers, those that follow from the cohort alone.
_KEPT = (
    "coef",
    "se",
    "loglik",
    "zph",
    "harrell_c",
    "uno_c",
    "survival",
    "km",
    "nagelkerke_r2",
    "fine_gray",
    "versions",
)


class Clinical:
    """The study's clinical Cox model, its patients and what was predicted for them out of fold."""

    def __init__(self, study: Study) -> None:
        settings = study.settings.models
        assert settings is not None
        self.study = study
        self.result: CrossValidation = study.fit()
        self.data = design_matrix(study.cohort, clinical=settings.clinical)
        from radiomics_npc.survival.models.standard import standard_model

        self.model = standard_model(MODEL, settings, random_state=study.settings.seed).fit(
            self.data.X, self.data.y
        )
        self.table = self.model.design(self.data.X)
        self.cox: CoxModel = self.model.cox_
        for term in self.cox.terms_:  # merged levels as the model reads them
            if term.kind == "factor":
                read = self.table[term.name].astype(str).map(term.reads)
                self.table[term.name] = pd.Categorical(read, list(term.levels))
        self.table = self.table[self.cox.columns_]
        self.held_out = self.result.patients(MODEL)
        self.indices = np.random.default_rng(1).integers(0, len(self.table), (50, len(self.table)))

    @property
    def y(self) -> Outcome:
        """Time and event."""
        return self.data.y

    def write(self, folder: Path) -> None:
        """The tables that R reads."""
        outcome = {"time": self.y.time_months, "event": self.y.event.astype(int)}
        self.table.assign(**outcome).to_csv(folder / "data.csv", index=False)
        levels = {t.name: list(t.levels) for t in self.cox.terms_ if t.kind == "factor"}
        (folder / "levels.json").write_text(json.dumps(levels))
        self.held_out.assign(**outcome).to_csv(folder / "held_out.csv", index=False)
        pd.DataFrame(self.indices).to_csv(folder / "indices.csv", index=False)
        for name, endpoint in self.study.cohort.endpoints.items():
            self.endpoint(name)[0].assign(time=endpoint.time_months, cause=endpoint.cause).to_csv(
                folder / f"endpoint_{name}.csv", index=False
            )

    def endpoint(self, name: str) -> tuple[pd.DataFrame, Any]:
        """Age of the patients of an endpoint, and the endpoint."""
        endpoint = self.study.cohort.endpoints[name]
        assert self.study.cohort.clinical is not None
        return self.study.cohort.clinical.loc[list(endpoint.patient_id), ["age"]].astype(float), endpoint


def fitted_numbers(given: Clinical) -> Numbers:
    """Of the model fitted to all patients."""
    cox, y, table = given.cox, given.y, given.table
    risk = cox.predict_risk(table)
    harrell, uno = harrell_c(y, risk), uno_c(y, risk, tau=60)
    zph = proportional_hazards_test(cox, table, y).table
    some = table.iloc[:20]
    survival, limits = cox.predict_survival(some, HORIZONS), cox.predict_interval(some, 60)
    curve = kaplan_meier(y).at(HORIZONS)
    return {
        "coefficients": cox.coef_, "standard errors": np.sqrt(np.diag(cox.covariance_)),
        "log partial likelihood": cox.loglik_,
        "proportional hazards, chi-square": zph["chisq"], "proportional hazards, p": zph["p"],
        "Harrell's C (apparent), SE": (harrell.estimate, harrell.se),
        "Uno's C at 60 months (apparent), SE": (uno.estimate, uno.se),
        "survival at 36 months, 20 patients": survival[:, 0],
        "survival at 60 months, 20 patients": survival[:, 1],
        "limits of survival at 60 months": limits.T,
        "Nagelkerke's R2": explained_variation(risk, y).nagelkerke,
        "Kaplan-Meier at 36, 60 months": curve["survival"],
        "Kaplan-Meier limits": curve[["lower", "upper"]].to_numpy().T,
    }  # fmt: skip


def held_out_numbers(given: Clinical) -> Numbers:
    """Of the predictions for patients held out, and of the bootstrap."""
    y, found = given.y, {}
    for h in HORIZONS:
        p = given.held_out[f"pfs_{h}"].to_numpy()
        auc, brier = auc_at(y, 1 - p, [h]).to_frame(), brier_at(y, p[:, None], [h]).to_frame()
        smooth = smooth_calibrate(y, p, horizon_months=h).distances.set_index("metric")["estimate"]
        found |= {
            f"AUC at {h} months, limits": auc.loc[0, ["auc", "lower", "upper"]],
            f"Brier score at {h} months, limits": brier.loc[0, ["brier", "lower", "upper"]],
            f"IPA at {h} months": brier.loc[0, "ipa"],
            f"observed / expected at {h} months": observed_expected(y, p, horizon_months=h)[0],
            f"calibration slope at {h} months, SE": calibration_slope(y, p),
            f"ICI, E50, E90 at {h} months": smooth[["ici", "e50", "e90"]],
        }
    test = log_rank(y, given.held_out["group"])
    predicted = given.held_out[["pfs_60"]].rename(columns={"pfs_60": MODEL})
    net = decision_curve(y, predicted, thresholds=[0.1, 0.2, 0.3]).net_benefit[MODEL]
    boot = bootstrap_validate(CoxModel(min_category=1), given.table, y, indices=given.indices).resamples
    found |= {
        "log-rank of risk groups, chi-square, p": (test.chi_square, test.p),
        "net benefit at 10, 20, 30%": net,
        "bootstrap: C on the sample": boot["harrell_c_training"],
        "bootstrap: C on all patients": boot["harrell_c_test"],
        "bootstrap: slope": boot["slope_test"],
    }
    for name in ("OS", "LRFS", "DMFS"):
        at = cumulative_incidence(given.endpoint(name)[1]).at(HORIZONS)
        found[f"{name}: cumulative incidence at 36, 60 months"] = at["incidence"]
        found[f"{name}: its SE"] = at["se"]
    age, endpoint = given.endpoint("DMFS")
    gray = FineGrayModel().fit(age, endpoint).summary().iloc[0]
    found["DMFS: Fine-Gray coefficient of age, SE"] = (gray["coef"], gray["se"])
    return found


def r_numbers(folder: Path) -> Numbers:
    """What R made of the tables, by our names."""
    subprocess.run(["Rscript", str(SCRIPT), str(folder)], check=True)
    r = json.loads((folder / "r.json").read_text())
    s, boot = r["survival"], r["boot"]
    found = {
        "coefficients": list(r["coef"].values()), "standard errors": list(r["se"].values()),
        "log partial likelihood": r["loglik"], "proportional hazards, chi-square": r["zph"]["chisq"],
        "proportional hazards, p": r["zph"]["p"], "Harrell's C (apparent), SE": r["harrell_c"],
        "Uno's C at 60 months (apparent), SE": r["uno_c"],
        "survival at 36 months, 20 patients": s["s36"], "survival at 60 months, 20 patients": s["s60"],
        "limits of survival at 60 months": [s["low60"], s["high60"]], "Nagelkerke's R2": r["nagelkerke_r2"],
        "Kaplan-Meier at 36, 60 months": r["km"]["surv"],
        "Kaplan-Meier limits": [r["km"]["lower"], r["km"]["upper"]],
        "log-rank of risk groups, chi-square, p": r["log_rank"],
        "net benefit at 10, 20, 30%": r["net_benefit"],
        "bootstrap: C on the sample": boot["c_training"], "bootstrap: C on all patients": boot["c_test"],
        "bootstrap: slope": boot["slope"], "DMFS: Fine-Gray coefficient of age, SE": r["fine_gray"],
    }  # fmt: skip
    for h in HORIZONS:
        found |= {
            f"AUC at {h} months, limits": r[f"auc_{h}"],
            f"Brier score at {h} months, limits": r[f"brier_{h}"],
            f"IPA at {h} months": r[f"ipa_{h}"],
            f"observed / expected at {h} months": r[f"observed_expected_{h}"],
            f"calibration slope at {h} months, SE": r[f"calibration_slope_{h}"],
            f"ICI, E50, E90 at {h} months": [r[f"{m}_{h}"] for m in ("ici", "e50", "e90")],
        }  # fmt: skip
    for name in ("OS", "LRFS", "DMFS"):
        found[f"{name}: cumulative incidence at 36, 60 months"] = r[f"incidence_{name}"]
        found[f"{name}: its SE"] = r[f"incidence_se_{name}"]
    return found | {"versions": r["versions"]}


def beside(ours: Numbers, theirs: Numbers) -> pd.DataFrame:
    """number, count, ours and R's (the first of several), largest absolute difference."""
    rows = []
    for name, value in ours.items():
        a, b = np.ravel(np.asarray(value, dtype=float)), np.ravel(np.asarray(theirs[name], dtype=float))
        gap = np.nanmax(np.abs(a - b)) if a.shape == b.shape else np.nan
        rows.append((name, len(a), f"{a[0]:.10g}", f"{b[0]:.10g}", f"{gap:.0e}"))
    return pd.DataFrame(
        rows, columns=["number", "how many", "ours (first)", "R (first)", "largest difference"]
    )


def main() -> None:
    """Run, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--reference", type=Path, help="keep R's numbers of the fitted model for the tests")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        clinical = Clinical(Study(given.study))
        clinical.write(Path(place))
        theirs = r_numbers(Path(place))
        if given.reference is not None:
            r = json.loads((Path(place) / "r.json").read_text())
            kept = {name: value for name, value in r.items() if name in _KEPT or name.startswith("incidence")}
            given.reference.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    table = beside(fitted_numbers(clinical) | held_out_numbers(clinical), theirs)
    print(table.to_string(index=False))
    if given.out is not None:
        named = [f"{name} {version}".replace("R R ", "R ") for name, version in theirs["versions"].items()]
        versions = ", ".join(named)
        lines = [" | ".join(map(str, row)) for row in [table.columns, ["---"] * 5, *table.to_numpy()]]
        head = "# RADCURE, clinical Cox model: ours beside R\n\nMade by `python -m benchmarks.beside_r`. "
        head += f"{versions}.\n\n"
        given.out.write_text(head + "\n".join(f"| {line} |" for line in lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
