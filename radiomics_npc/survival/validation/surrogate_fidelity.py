"""How well the surrogate of a boosted model imitates it, on patients whom neither has seen.

In every training fold the surrogate is made of the boosted model of that fold; both then
predict the patients held out.

References
----------
Molnar C. Interpretable Machine Learning, 2nd ed. 2022, chapter 8.6 (R squared of a global
surrogate). Kendall MG. Biometrika 1938;30:81-93.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import ConstantInputWarning, kendalltau, spearmanr

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import RadiomicsNPCError
from radiomics_npc.survival.models.surrogate import SurrogateModel
from radiomics_npc.survival.validation.scoring import (
    differences,
    fold_concordances,
    mean_scores,
    pfs_column,
)

__all__ = ["SurrogateFidelity", "imitate", "surrogate_fidelity"]

_COLUMNS = ["model", "metric", "estimate", "lower", "upper", "sd", "repeats", "folds", "failed_folds"]


@dataclass(frozen=True, eq=False)
class SurrogateFidelity:
    """How well surrogates imitate their models.

    Parameters
    ----------
    table : DataFrame
        model, metric, estimate (mean over repeats), lower and upper (of C), sd (over repeats),
        repeats, folds, failed_folds (with nothing to imitate). Metrics: r2 (of the log hazard,
        within folds), spearman and kendall (of the risks, mean over folds),
        survival_difference_60 (mean absolute difference, of each horizon), surrogate_c and
        boosted_c (Harrell's C in the same folds) and c_difference (the first less the second).
    simulated : bool
    """

    table: pd.DataFrame
    simulated: bool = False

    def to_frame(self) -> pd.DataFrame:
        """The table; with a column ``simulated`` if the patients never lived."""
        return self.table.assign(simulated=True) if self.simulated else self.table

    def of(self, model: str) -> dict[str, float]:
        """Estimates of one model by metric, those that could be had."""
        rows = self.table[self.table["model"] == model].dropna(subset="estimate")
        return {
            str(metric): float(value) for metric, value in zip(rows["metric"], rows["estimate"], strict=True)
        }

    def _repr_html_(self) -> str:
        who = "simulated patients" if self.simulated else "patients"
        head = f"<p>Surrogates beside their boosted models, on {who} held out</p>"
        return head + self.to_frame().to_html(index=False, float_format="{:.3f}".format)


def imitate(
    boosted: Any, X: pd.DataFrame, y: Outcome, held_out: pd.DataFrame, horizons_months: Sequence[float]
) -> dict[str, NDArray[np.float64]]:
    """What a boosted model and its surrogate say of patients held out.

    Parameters
    ----------
    boosted : PrognosticModel
        Fitted to X and y.
    X : DataFrame
    y : Outcome
    held_out : DataFrame
    horizons_months : sequence of float

    Returns
    -------
    dict of str to array, shape (n,)
        log_hazard, surrogate (log hazards on the same scale), ``pfs_60``, ``surrogate_pfs_60``
        of each horizon; those of the surrogate are NaN where there was nothing to imitate.
    """
    pfs = boosted.predict_survival(held_out, horizons_months)
    found = {"log_hazard": boosted.last_step.slope_ * boosted.predict_risk(held_out)}
    found |= {pfs_column(h): pfs[:, k] for k, h in enumerate(horizons_months)}
    try:
        surrogate = SurrogateModel().fit(X, y, boosted)
        found["surrogate"] = surrogate.log_hazard(held_out)
        pfs = surrogate.predict_survival(held_out, horizons_months)
    except (RadiomicsNPCError, ArithmeticError, np.linalg.LinAlgError):
        # Mostly the same risk for all. It must not count as a failure of the boosted model.
        found["surrogate"] = np.full(len(held_out), np.nan)
        pfs = np.full(pfs.shape, np.nan)
    return found | {f"surrogate_{pfs_column(h)}": pfs[:, k] for k, h in enumerate(horizons_months)}


def surrogate_fidelity(
    imitations: pd.DataFrame, y: Outcome, *, confidence: float = 0.95
) -> SurrogateFidelity:
    """Compare surrogates with their boosted models.

    Parameters
    ----------
    imitations : DataFrame
        Of a cross-validation with ``surrogates``.
    y : Outcome
        Of the same patients.
    confidence : float
        Of the limits of C.

    Returns
    -------
    SurrogateFidelity

    Notes
    -----
    R squared of a repeat is 1 less the sum of squared differences of the log hazards over the
    squared deviations of the boosted ones from their mean in the fold: 0 tells that the
    surrogate knows no more than that mean, and it may be negative.

    Examples
    --------
    >>> y = Outcome([10, 20, 30, 40], [1, 1, 0, 1], list("abcd"))
    >>> table = pd.DataFrame({"patient_id": list("abcd"), "repeat": 0, "fold": 0, "model": "m",
    ...     "log_hazard": [3.0, 2, 1, 0], "surrogate": [2.5, 2, 1, 0.5]})
    >>> surrogate_fidelity(table, y).of("m")["r2"]
    0.9
    """
    if imitations.empty:
        return SurrogateFidelity(pd.DataFrame(columns=_COLUMNS), y.simulated)
    parts = [
        _of_model(str(name), rows, y, confidence) for name, rows in imitations.groupby("model", sort=False)
    ]
    return SurrogateFidelity(pd.concat(parts, ignore_index=True)[_COLUMNS], y.simulated)


def _of_model(name: str, rows: pd.DataFrame, y: Outcome, confidence: float) -> pd.DataFrame:
    """All rows of one model."""
    failed = rows["surrogate"].isna().groupby([rows["repeat"], rows["fold"]]).any()
    keys = pd.MultiIndex.from_frame(rows[["repeat", "fold"]])
    sound = rows[~failed.loc[keys].to_numpy()]
    if sound.empty:
        table = pd.DataFrame({"metric": ["r2"], "estimate": [np.nan], "repeats": [0]})
    else:
        repeats = pd.DataFrame([_agreement(part) for _, part in sound.groupby("repeat")])
        table = pd.DataFrame({
            "metric": repeats.columns, "estimate": repeats.mean().to_numpy(),
            "sd": repeats.std(ddof=1).to_numpy(), "repeats": repeats.notna().sum().to_numpy(),
        })  # fmt: skip
        table = pd.concat([table, _concordances(sound, y, confidence)], ignore_index=True)
    table = table.reindex(columns=_COLUMNS)
    return table.assign(model=name, folds=len(failed), failed_folds=int(failed.sum()))


def _agreement(rows: pd.DataFrame) -> dict[str, float]:
    """Agreement in one repeat."""
    within = rows["log_hazard"] - rows.groupby("fold")["log_hazard"].transform("mean")
    total, rest = float((within**2).sum()), float(((rows["log_hazard"] - rows["surrogate"]) ** 2).sum())
    ranks = [(len(part), _rank(spearmanr, part), _rank(kendalltau, part)) for _, part in rows.groupby("fold")]
    found = {"r2": 1 - rest / total if total > 0 else np.nan}
    for k, metric in ((1, "spearman"), (2, "kendall")):
        known = [(rank[0], rank[k]) for rank in ranks if np.isfinite(rank[k])]
        weights, values = zip(*known, strict=True) if known else ((), ())
        found[metric] = float(np.average(values, weights=weights)) if known else np.nan
    for column in (str(name) for name in rows if str(name).startswith("pfs_")):
        gap = (rows[column] - rows[f"surrogate_{column}"]).abs()
        found[f"survival_difference_{column.removeprefix('pfs_')}"] = float(gap.mean())
    return found


def _rank(statistic: Any, rows: pd.DataFrame) -> float:
    """Rank correlation in one fold; NaN where one of the two does not vary."""
    if len(rows) < 2:
        return np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConstantInputWarning)
        return float(statistic(rows["log_hazard"], rows["surrogate"]).statistic)


def _concordances(rows: pd.DataFrame, y: Outcome, confidence: float) -> pd.DataFrame:
    """Harrell's C of both, and of the surrogate less that of its model."""
    both = pd.concat([
        rows.assign(model=name, risk=rows[column])[["model", "patient_id", "repeat", "fold", "risk"]]
        for name, column in (("surrogate_c", "surrogate"), ("boosted_c", "log_hazard"))
    ])  # fmt: skip
    found = fold_concordances(both, y)
    nothing = pd.DataFrame({"model": []})
    scores = mean_scores(found, nothing, confidence)
    gap = differences(found, "boosted_c", confidence).assign(model="c_difference")
    table = pd.concat([scores, gap], ignore_index=True)
    table = table[table["metric"] == "harrell_c"]
    return table.assign(metric=table["model"])[["metric", "estimate", "lower", "upper", "sd", "repeats"]]
