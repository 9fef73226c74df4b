"""A Cox model on clinical columns and the Rad-score of the features.

The Cox model sees the scores of inner folds, which their patients had no part in: the
score that the final signature gives to its own training patients looks better than it is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import pandas as pd
from sklearn.base import clone

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.survival.models.cox import CoxModel
from radiomics_npc.survival.selection.signature import RAD_SCORE, RadScore
from radiomics_npc.survival.terms import Term

__all__ = ["ScoredCox", "fit_scored_cox"]


@dataclass(frozen=True, eq=False)
class ScoredCox:
    """Both fits.

    Parameters
    ----------
    cox : CoxModel
    rad_score : RadScore, optional
        None without features.
    table : DataFrame
        Clinical columns and ``rad_score`` of inner folds, which the Cox model was given.
    notes : list of str
    """

    cox: CoxModel
    rad_score: RadScore | None
    table: pd.DataFrame
    notes: list[str]


def fit_scored_cox(
    clinical: pd.DataFrame,
    features: pd.DataFrame | None,
    y: Outcome,
    *,
    cox: CoxModel,
    rad_score: RadScore,
) -> ScoredCox:
    """Fit the signature, and the Cox model on it and the clinical columns.

    Parameters
    ----------
    clinical : DataFrame
        No value missing.
    features : DataFrame, optional
        None fits the clinical columns alone.
    y : Outcome
    cox, rad_score : CoxModel, RadScore
        Unfitted; copies are fitted.

    Returns
    -------
    ScoredCox
        Without ``rad_score`` among the terms of the Cox model where its coefficient is not positive.

    Raises
    ------
    CohortError
        No feature or column to fit, no event, or a fit that does not converge.
    """
    if features is None:
        fitted = clone(cox).fit(clinical, y)
        return ScoredCox(fitted, None, clinical, list(fitted.notes_))
    signature = clone(rad_score)
    score = signature.fit_transform(features, y)
    in_sample = signature.transform(features)[RAD_SCORE]
    table = pd.concat([clinical, score], axis=1)
    notes = []
    if signature.fallback_:
        notes.append("rad_score: the elastic net chose no feature, the single strongest is taken")
    fitted = clone(cox).fit(table, y)
    if fitted.coef_.get(RAD_SCORE, 1.0) <= 0:
        # Patients held out did no worse with a higher score: it has nothing to say, least of
        # all the opposite of what it was made to say.
        fitted = clone(cox).fit(clinical, y)
        notes.append("rad_score: left out, patients of inner folds with higher scores did no worse")
    notes += fitted.notes_
    fitted.terms_ = [_widened(term, in_sample) for term in fitted.terms_]
    return ScoredCox(fitted, signature, table, notes)


def _widened(term: Term, in_sample: pd.Series) -> Term:
    """Range of the Rad-score: of the inner folds and of the final signature alike."""
    if term.name != RAD_SCORE or term.range is None:
        return term
    low, high = term.range
    return replace(term, range=(min(low, float(in_sample.min())), max(high, float(in_sample.max()))))
