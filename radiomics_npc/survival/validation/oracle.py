"""The oracle: how well the true risk of simulated patients tells them apart."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError
from radiomics_npc.storage import read_table
from radiomics_npc.survival.metrics.concordance import harrell_c, uno_c

__all__ = ["oracle_scores"]


def oracle_scores(cohort_folder: Path, outcome: Outcome, horizon_months: float) -> pd.DataFrame:
    """C of the true risk of simulated patients, which no model can be expected to pass.

    Parameters
    ----------
    cohort_folder : Path
        A simulated cohort, with ``truth.csv``.
    outcome : Outcome
        Of the analyzed patients.
    horizon_months : float

    Returns
    -------
    DataFrame
        metric (harrell_c, uno_c), estimate, se.

    Raises
    ------
    CohortError
        ``truth.csv`` lacks a patient.
    """
    truth = read_table(cohort_folder / "truth.csv").set_index("patient_id")["linear_predictor"]
    risk = truth.reindex(outcome.patient_id)
    if risk.isna().any():
        raise CohortError("truth.csv lacks patients of the cohort", "Simulate the cohort again.")
    scores = {"harrell_c": harrell_c(outcome, risk), "uno_c": uno_c(outcome, risk, tau=horizon_months)}
    rows = [(metric, c.estimate, c.se) for metric, c in scores.items()]
    return pd.DataFrame(rows, columns=["metric", "estimate", "se"])
