"""Risk groups whose cut points are learnt in training."""

from __future__ import annotations

from typing import Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError
from radiomics_npc.survival.models.cut_points import select_cut_point

__all__ = ["GROUP_NAMES", "RiskGroups", "cut_training_risks"]

GROUP_NAMES = {
    "median": ("low", "high"),
    "tertiles": ("low", "intermediate", "high"),
    "maxstat": ("low", "high"),
}


class RiskGroups(BaseEstimator):
    """Low to high risk, cut at quantiles of the predicted risk in training, or where survival differs most.

    Parameters
    ----------
    how : {"tertiles", "median", "maxstat"}
        "maxstat" takes the cut with the largest log-rank statistic in training. How far
        its groups differ in training is too good to be true: ``selection_.p`` corrects
        for the search, and the groups are to be shown in other patients.
    min_proportion : float
        Of "maxstat": no group holds fewer of the training patients.
    random_state : int
        Of the permutations behind the corrected p.

    Attributes
    ----------
    cut_points_ : tuple of float
        A risk above a cut point belongs to the higher group.
    selection_ : SelectedCutPoint
        Of "maxstat": the search and its p.

    Examples
    --------
    >>> groups = RiskGroups("median").fit([0.1, 0.2, 0.3, 0.4])
    >>> groups.cut_points_, groups.predict([0.25, 0.26, 9.0]).tolist()
    ((0.25,), ['low', 'high', 'high'])
    """

    def __init__(
        self,
        how: Literal["median", "tertiles", "maxstat"] = "tertiles",
        *,
        min_proportion: float = 0.1,
        random_state: int = 0,
    ) -> None:
        self.how = how
        self.min_proportion = min_proportion
        self.random_state = random_state

    def fit(self, risk: ArrayLike, y: Outcome | None = None) -> Self:
        """Learn the cut points from the training patients.

        Parameters
        ----------
        risk : array, shape (n,)
        y : Outcome, optional
            Of the same patients; "maxstat" needs it.

        Raises
        ------
        CohortError
            A risk is missing, ``how`` is unknown, or "maxstat" without an outcome or a cut.
        """
        values = np.asarray(risk, dtype=float)
        if self.how not in GROUP_NAMES:
            raise CohortError(
                f"risk groups {self.how!r} are unknown", f"Take one of {', '.join(GROUP_NAMES)}."
            )
        if len(values) == 0 or not np.isfinite(values).all():
            raise CohortError("risk groups need the risk of every training patient")
        if self.how == "maxstat":
            if y is None:
                raise CohortError("risk groups by maxstat need the outcome", "Give fit the outcome, too.")
            self.selection_ = select_cut_point(
                y, values, min_proportion=self.min_proportion, max_proportion=1 - self.min_proportion,
                random_state=self.random_state,
            )  # fmt: skip
            self.cut_points_: tuple[float, ...] = (self.selection_.cut_point,)
            return self
        parts = len(GROUP_NAMES[self.how])
        self.cut_points_ = tuple(float(q) for q in np.quantile(values, np.arange(1, parts) / parts))
        return self

    def predict(self, risk: ArrayLike) -> pd.Categorical[str]:
        """Group of each risk, an ordered categorical; a missing risk has no group."""
        check_is_fitted(self, "cut_points_")
        values = np.asarray(risk, dtype=float)
        codes = np.searchsorted(np.asarray(self.cut_points_), values, side="left")
        known = [int(code) for code in np.where(np.isnan(values), -1, codes)]
        names = pd.Index(list(GROUP_NAMES[self.how]))
        result: pd.Categorical[str] = pd.Categorical.from_codes(known, names, ordered=True)
        return result


def cut_training_risks(
    how: Literal["median", "tertiles", "maxstat"], risk: ArrayLike, y: Outcome
) -> tuple[RiskGroups, list[str]]:
    """Cut the risks of the patients that a model was made from.

    Parameters
    ----------
    how : {"tertiles", "median", "maxstat"}
    risk : array, shape (n,)
    y : Outcome

    Returns
    -------
    RiskGroups
        Risks that "maxstat" cannot part are cut at the median.
    list of str
        What a reader should know about the cut.

    Examples
    --------
    >>> groups, notes = cut_training_risks("maxstat", [0.5] * 20, Outcome(range(1, 21), [1] * 20))
    >>> groups.how, len(notes)
    ('median', 1)
    """
    try:
        found = RiskGroups(how).fit(risk, y)
    except CohortError as error:
        if how != "maxstat":
            raise
        note = f"risk groups: cut at the median, because there is {error.message}"
        return RiskGroups("median").fit(risk), [note]
    if how != "maxstat":
        return found, []
    # The corrected p of a cut is of a risk that has not seen the outcome: a fit to noise passes it,
    # and risks of inner folds do more often than they should.
    return found, [
        "risk groups: cut at the largest log-rank statistic of the patients that made the risk, so "
        "that how far they differ says nothing: look at the patients held out"
    ]
