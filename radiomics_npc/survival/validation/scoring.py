"""Scores of out-of-fold predictions: C by repeat, over repeats, and against a reference.

References
----------
LeDell E et al. Electron J Stat 2015;9:1583-1607 (intervals from influence functions).
Rubin DB. Multiple Imputation for Nonresponse in Surveys. 1987 (within and between).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import norm

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.survival.metrics.concordance import Concordance, harrell_c, uno_c

__all__ = ["differences", "fold_concordances", "mean_scores", "pfs_column", "scores_per_repeat"]

METRICS = ("harrell_c", "uno_c")


def pfs_column(months: float) -> str:
    """Column of the probability at a horizon: ``pfs_60``.

    Examples
    --------
    >>> pfs_column(60.0), pfs_column(31.5)
    ('pfs_60', 'pfs_31.5')
    """
    return f"pfs_{months:g}"


Found = dict[tuple[str, str, int], Concordance | None]


def fold_concordances(predictions: pd.DataFrame, y: Outcome, tau: float) -> Found:
    """C of every model, metric and repeat; None where a fold failed. Patients in the order of y."""
    found: Found = {}
    for key, rows in predictions.groupby(["model", "repeat"], sort=False):
        model, repeat = str(key[0]), int(str(key[1]))
        ordered = rows.set_index("patient_id").loc[y.patient_id]
        usable = bool(ordered["risk"].notna().all())
        for metric in METRICS:
            result = None
            if usable and metric == "harrell_c":
                result = harrell_c(y, ordered["risk"], strata=ordered["fold"])
            elif usable:
                result = uno_c(y, ordered["risk"], tau=tau, strata=ordered["fold"])
            found[model, metric, repeat] = result
    return found


def scores_per_repeat(found: Found) -> pd.DataFrame:
    """One row a model, repeat and metric: estimate and its jackknife standard error."""
    rows = [
        (model, repeat, metric, np.nan if c is None else c.estimate, np.nan if c is None else c.se)
        for (model, metric, repeat), c in found.items()
    ]
    return pd.DataFrame(rows, columns=["model", "repeat", "metric", "estimate", "se"])


def _pooled(estimates: Sequence[float], variances: Sequence[float], confidence: float) -> tuple[float, ...]:
    """Mean, standard error and limits over repeats of the same patients (Rubin's rule)."""
    if not estimates:
        return (np.nan,) * 4
    between = np.var(estimates, ddof=1) * (1 + 1 / len(estimates)) if len(estimates) > 1 else 0.0
    mean, se = float(np.mean(estimates)), float(np.sqrt(np.mean(variances) + between))
    reach = norm.ppf(0.5 + confidence / 2) * se
    return mean, se, mean - reach, mean + reach


def mean_scores(found: Found, failures: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """One row a model and metric, over the repeats without a failed fold."""
    rows = []
    for model, metric in dict.fromkeys(key[:2] for key in found):
        sound = [c for (m, k, _), c in found.items() if (m, k) == (model, metric) and c is not None]
        estimates = [c.estimate for c in sound]
        mean, se, low, high = _pooled(estimates, [c.se**2 for c in sound], confidence)
        sd = float(np.std(estimates, ddof=1)) if len(sound) > 1 else np.nan
        failed = int((failures["model"] == model).sum())
        rows.append((model, metric, mean, se, max(low, 0.0), min(high, 1.0), sd, len(sound), failed))
    names = ["model", "metric", "estimate", "se", "lower", "upper", "sd", "repeats", "failed_folds"]
    return pd.DataFrame(rows, columns=names)


def differences(found: Found, reference: str | None, confidence: float) -> pd.DataFrame:
    """Each model minus the reference, over the repeats that both finished."""
    rows = []
    for model, metric in dict.fromkeys(key[:2] for key in found):
        if model == reference or not any(key[0] == reference for key in found):
            continue
        pairs = [
            (c, found[str(reference), metric, r])
            for (m, k, r), c in found.items()
            if (m, k) == (model, metric)
        ]
        both = [(a, b) for a, b in pairs if a is not None and b is not None]
        values = [a.estimate - b.estimate for a, b in both]
        variances = [float(np.sum((a.influence - b.influence) ** 2)) for a, b in both]
        mean, se, low, high = _pooled(values, variances, confidence)
        p = 2 * norm.sf(abs(mean) / se) if se > 0 else np.nan
        rows.append((model, reference, metric, mean, se, low, high, p))
    names = ["model", "reference", "metric", "estimate", "se", "lower", "upper", "p"]
    return pd.DataFrame(rows, columns=names)
