"""Scores of out-of-fold predictions: C by repeat, over repeats, and against a reference.

References
----------
LeDell E et al. Electron J Stat 2015;9:1583-1607 (intervals from influence functions).
Rubin DB. Multiple Imputation for Nonresponse in Surveys. 1987 (within and between).
Nadeau C, Bengio Y. Mach Learn 2003;52:239-281, and Bouckaert RR, Frank E. PAKDD 2004:3-12
(t test corrected for training sets that overlap).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import norm, t

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.survival.metrics.concordance import Concordance, harrell_c, uno_c

__all__ = [
    "corrected_t_test",
    "differences",
    "each_fold",
    "fold_concordances",
    "mean_scores",
    "pfs_column",
    "scores_per_repeat",
]

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


def _concordance(y: Outcome, rows: pd.DataFrame, metric: str, tau: float) -> Concordance:
    """C of the patients in the rows, pairs within folds alone."""
    if metric == "harrell_c":
        return harrell_c(y, rows["risk"], strata=rows["fold"])
    return uno_c(y, rows["risk"], tau=tau, strata=rows["fold"])


def _in_order(rows: pd.DataFrame, y: Outcome) -> tuple[pd.DataFrame, Outcome]:
    """Predictions of the patients held out, in the order of the outcome, and their outcome."""
    held = np.flatnonzero(y.patient_id.isin(rows["patient_id"]))
    part = y if len(held) == len(y) else y.take(held)
    return rows.set_index("patient_id").loc[part.patient_id], part


def fold_concordances(predictions: pd.DataFrame, y: Outcome, tau: float = np.inf) -> Found:
    """C of every model, metric and repeat; None where a fold failed. Patients in the order of y."""
    found: Found = {}
    for key, rows in predictions.groupby(["model", "repeat"], sort=False):
        model, repeat = str(key[0]), int(str(key[1]))
        ordered, part = _in_order(rows, y)
        usable = bool(ordered["risk"].notna().all())
        for metric in METRICS:
            found[model, metric, repeat] = _concordance(part, ordered, metric, tau) if usable else None
    return found


def each_fold(predictions: pd.DataFrame, y: Outcome, tau: float) -> pd.DataFrame:
    """C of every model, metric, repeat and fold by itself.

    Parameters
    ----------
    predictions : DataFrame
        patient_id, repeat, fold, model, risk.
    y : Outcome
    tau : float
        Months, for Uno's C.

    Returns
    -------
    DataFrame
        model, repeat, fold, metric, patients, events, estimate, se; NaN where the fit failed
        or no pair can be compared.
    """
    made = []
    for key, rows in predictions.groupby(["model", "repeat", "fold"], sort=False):
        ordered, part = _in_order(rows, y)
        for metric in METRICS:
            estimate = se = np.nan
            if ordered["risk"].notna().all():
                found = _concordance(part, ordered, metric, tau)
                estimate, se = found.estimate, found.se
            made.append((*key, metric, len(part), int(part.event.sum()), estimate, se))
    names = ["model", "repeat", "fold", "metric", "patients", "events", "estimate", "se"]
    return pd.DataFrame(made, columns=names)


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


def differences(
    found: Found, reference: str | None, confidence: float, folds: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Each model minus the reference, over the repeats that both finished.

    ``p`` takes the fitted models as given and asks about new patients; ``p_corrected``, from
    the differences in ``folds`` (see :func:`each_fold`), also asks about new training sets.
    """
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
        corrected = np.nan if folds is None else _corrected(folds, model, str(reference), metric)
        rows.append((model, reference, metric, mean, se, low, high, p, corrected))
    names = ["model", "reference", "metric", "estimate", "se", "lower", "upper", "p", "p_corrected"]
    return pd.DataFrame(rows, columns=names)


def _corrected(folds: pd.DataFrame, model: str, reference: str, metric: str) -> float:
    """P of the corrected t test on the differences in the folds."""
    rows = folds[folds["metric"] == metric].set_index(["repeat", "fold"])
    gap = rows.loc[rows["model"] == model, "estimate"] - rows.loc[rows["model"] == reference, "estimate"]
    test = float(rows.loc[rows["model"] == model, "patients"].mean())
    whole = float(rows.loc[rows["model"] == model, "patients"].groupby("repeat").sum().max())
    return corrected_t_test(gap.dropna(), test / (whole - test))[1] if whole > test else np.nan


def corrected_t_test(differences: ArrayLike, ratio: float) -> tuple[float, float]:
    """Corrected resampled t test of Nadeau and Bengio.

    Training sets of different folds share patients, so that the differences are not
    independent: their variance is multiplied by 1/k + ratio instead of 1/k.

    Parameters
    ----------
    differences : array, shape (k,)
        Of two models, in every fold of every repeat.
    ratio : float
        Patients in a test fold over patients in a training fold.

    Returns
    -------
    t, p : float
        Two-sided, k - 1 degrees of freedom; NaN for fewer than two differences or no spread.

    Examples
    --------
    >>> statistic, p = corrected_t_test([0.1, 0.2, 0.0, 0.1, 0.1], 0.25)
    >>> round(statistic, 3), round(p, 3)
    (2.108, 0.103)
    """
    values = np.asarray(differences, dtype=float)
    if len(values) < 2 or np.ptp(values) == 0:
        return float("nan"), float("nan")
    variance = (1 / len(values) + ratio) * values.var(ddof=1)
    statistic = float(values.mean() / np.sqrt(variance))
    return statistic, float(2 * t.sf(abs(statistic), len(values) - 1))
