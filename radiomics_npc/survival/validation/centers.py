"""Each center's C when it was left out, their random-effects mean, and how much they differ.

References
----------
Debray TPA et al. A framework for meta-analysis of prediction model studies with binary and
time-to-event outcomes. Stat Methods Med Res 2019;28:2768-2786 (logit of C, prediction interval).
DerSimonian R, Kacker R. Contemp Clin Trials 2007;28:105-114 (Paule and Mandel's variance).
Hartung J, Knapp G. Stat Med 2001;20:3875-3889. Rover C et al. BMC Med Res Methodol 2015;15:99
(never smaller than the usual error). Higgins JPT et al. J R Stat Soc A 2009;172:137-159.
"""

from __future__ import annotations

import html
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import expit, logit
from scipy.stats import chi2, norm, t

from radiomics_npc.errors import CohortError
from radiomics_npc.survival.validation.cross_validation import CrossValidation
from radiomics_npc.survival.validation.scoring import each_fold

__all__ = ["CenterScores", "center_scores", "pool_concordances"]

POOLED = ("estimate", "lower", "upper", "predicted_lower", "predicted_upper", "tau2", "i2", "q", "p_q")


@dataclass(frozen=True, eq=False)
class CenterScores:
    """Scores of every center, and pooled.

    Parameters
    ----------
    table : DataFrame
        model, metric, center, patients, events, estimate, se, lower, upper, pooled (whether
        it counts below).
    pooled : DataFrame
        model, metric, centers, estimate, lower, upper (random effects), predicted_lower,
        predicted_upper (where C of a new center is expected), tau2, i2, q, p_q (heterogeneity).
    notes : tuple of str
    simulated : bool
    """

    table: pd.DataFrame
    pooled: pd.DataFrame
    notes: tuple[str, ...] = ()
    simulated: bool = False

    def to_frame(self) -> pd.DataFrame:
        """One row a model, metric and center."""
        return self.table.assign(simulated=True) if self.simulated else self.table

    def _repr_html_(self) -> str:
        notes = "".join(f"<li>{html.escape(note)}</li>" for note in self.notes)
        who = "simulated patients" if self.simulated else "patients"
        shown = [
            part.to_html(index=False, float_format="{:.3f}".format) for part in (self.table, self.pooled)
        ]
        return f"<p>Centers left out in turn, {who}</p>" + "".join(shown) + f"<ul>{notes}</ul>"


def center_scores(result: CrossValidation, *, min_events: int = 10, confidence: float = 0.95) -> CenterScores:
    """Scores of a validation by ``LeaveCenterOut``, center by center.

    Parameters
    ----------
    result : CrossValidation
        Made with ``design=LeaveCenterOut(...)``.
    min_events : int
        A center with fewer events is shown, but does not count in the pooled score, because
        its standard error cannot be trusted.
    confidence : float

    Returns
    -------
    CenterScores

    Raises
    ------
    CohortError
        The validation did not leave centers out.

    Examples
    --------
    >>> from radiomics_npc.cohort.outcome import Outcome
    >>> from radiomics_npc.survival.models.cox import CoxModel
    >>> from radiomics_npc.survival.validation.cross_validation import cross_validate
    >>> from radiomics_npc.survival.validation.designs import LeaveCenterOut
    >>> random = np.random.default_rng(0)
    >>> X = pd.DataFrame({"age": random.normal(size=120)})
    >>> y = Outcome(random.exponential(30 * np.exp(-X["age"])), np.ones(120))
    >>> design = LeaveCenterOut(pd.Series(random.choice(["a", "b", "c"], 120)))
    >>> result = cross_validate({"cox": CoxModel()}, X, y, design=design, jobs=1)
    >>> center_scores(result).pooled[["metric", "centers"]].to_numpy().tolist()
    [['harrell_c', 3], ['uno_c', 3]]
    """
    if result.design.get("kind") != "leave_center_out":
        raise CohortError(
            "this validation did not leave centers out", "Give cross_validate a LeaveCenterOut design."
        )
    table = each_fold(result.predictions, result.outcome, result.design["horizon_months"])
    names = dict(enumerate(result.design["fold_names"]))
    table.insert(0, "center", table.pop("fold").map(names))
    reach = norm.ppf(0.5 + confidence / 2) * table["se"]
    table["lower"] = (table["estimate"] - reach).clip(lower=0.0)
    table["upper"] = (table["estimate"] + reach).clip(upper=1.0)
    inside = table["estimate"].between(0, 1, inclusive="neither") & (table["se"] > 0)
    table["pooled"] = inside & (table["events"] >= min_events)
    rows = []
    for key, part in table.groupby(["model", "metric"], sort=False):
        used = part[part["pooled"]]
        found = pool_concordances(used["estimate"], used["se"], confidence=confidence)
        rows.append((*key, len(used), *(found[name] for name in POOLED)))
    pooled = pd.DataFrame(rows, columns=["model", "metric", "centers", *POOLED])
    order = ["model", "metric", "center", "patients", "events", "estimate", "se", "lower", "upper", "pooled"]
    return CenterScores(table[order], pooled, _notes(table, min_events), bool(result.outcome.simulated))


def _notes(table: pd.DataFrame, min_events: int) -> tuple[str, ...]:
    """Which centers do not count, and why."""
    left = table[~table["pooled"]].drop_duplicates("center")
    sparse = left["events"] < min_events
    few = [f"{center} ({events})" for center, events in left.loc[sparse, ["center", "events"]].to_numpy()]
    other = [str(center) for center in left.loc[~sparse, "center"]]
    notes = []
    if few:
        notes.append(f"Centers with fewer than {min_events} events are not pooled: {', '.join(few)}.")
    if other:
        notes.append(f"C of some model could not be pooled for {', '.join(other)}: no fit, or no spread.")
    return tuple(notes)


def pool_concordances(
    estimates: pd.Series, errors: pd.Series, *, confidence: float = 0.95
) -> dict[str, float]:
    """Random-effects mean of C-indices on the logit scale, with heterogeneity.

    Parameters
    ----------
    estimates, errors : Series, shape (k,)
        C between 0 and 1, and standard errors.
    confidence : float

    Returns
    -------
    dict
        estimate, lower, upper (Hartung and Knapp's interval), predicted_lower and
        predicted_upper (of a new center; from three centers on), tau2 (Paule and Mandel, logit
        scale), i2, q and its p. NaN where there are too few centers.

    Examples
    --------
    >>> found = pool_concordances(pd.Series([0.6, 0.7, 0.8]), pd.Series([0.05, 0.05, 0.05]))
    >>> round(found["estimate"], 2), round(found["i2"], 2)
    (0.7, 0.72)
    """
    from statsmodels.stats.meta_analysis import combine_effects

    found = dict.fromkeys(POOLED, float("nan"))
    k = len(estimates)
    if k == 0:
        return found
    value, variance = logit(estimates), (errors / (estimates * (1 - estimates))) ** 2
    if k == 1:
        reach = norm.ppf(0.5 + confidence / 2) * np.sqrt(variance.iloc[0])
        limits = expit(value.iloc[0] + reach * np.array([-1.0, 0.0, 1.0]))
        return found | dict(zip(("lower", "estimate", "upper"), map(float, limits), strict=True))
    made = combine_effects(value.to_numpy(), variance.to_numpy(), method_re="iterated", use_t=True)
    mean, tau2, q = float(made.mean_effect_re), float(made.tau2), float(made.q)
    # Centers that agree by chance would make Hartung and Knapp's error absurdly small.
    se = float(max(made.sd_eff_w_re_hksj, made.sd_eff_w_re))
    reach = t.ppf(0.5 + confidence / 2, k - 1) * se
    low, high = expit([mean - reach, mean + reach])
    found |= {"estimate": float(expit(mean)), "lower": float(low), "upper": float(high), "tau2": tau2}
    found |= {"i2": max(0.0, 1 - (k - 1) / q) if q > 0 else 0.0, "q": q, "p_q": float(chi2.sf(q, k - 1))}
    if k > 2:
        wide = t.ppf(0.5 + confidence / 2, k - 2) * np.sqrt(tau2 + made.sd_eff_w_re**2)
        found |= {"predicted_lower": float(expit(mean - wide)), "predicted_upper": float(expit(mean + wide))}
    return found
