"""What happens to a table before the learner: missing values, unstable features, centers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError
from radiomics_npc.survival.design import check_rows
from radiomics_npc.survival.preprocessing.harmonization import Combat
from radiomics_npc.survival.preprocessing.imputation import SimpleImputation
from radiomics_npc.survival.preprocessing.iterative_imputation import IterativeImputation
from radiomics_npc.survival.selection.stable_features import StableFeatures

__all__ = ["Preparation"]

_IMPUTATIONS = {"simple": SimpleImputation, "iterative": IterativeImputation}


class Preparation(BaseEstimator):
    """Fill clinical columns, leave out unstable features, take centers out of the others.

    Parameters
    ----------
    clinical : sequence of str
        Clinical columns of the model.
    features : bool
        Whether radiomic features (columns with ``__``) belong to the model.
    imputation : {"simple", "iterative"}
        Of the clinical columns.
    stability : Series or DataFrame, optional
        As in :class:`radiomics_npc.survival.selection.stable_features.StableFeatures`.
    min_stability : float
    harmonize_by : str, optional
        Column of the center or scanner, for
        :class:`radiomics_npc.survival.preprocessing.harmonization.Combat`.
    protect : sequence of str
        Clinical columns of the model whose effect on the features is kept.
    unseen : {"error", "reference_free"}
        A center that was not in training.

    Attributes
    ----------
    imputation_, stable_, harmonization_
        The fitted steps; the latter two None where not asked for.
    features_ : list of str
        Features left for the learner.
    notes_ : list of str

    Examples
    --------
    >>> X = pd.DataFrame({"age": [40, None, 60], "t1__original__glcm__Contrast": [1.0, 2, 3]})
    >>> Preparation(["age"]).fit(X, Outcome([10, 20, 30], [1, 0, 1])).clinical_part(X)["age"].tolist()
    [40.0, 50.0, 60.0]
    """

    def __init__(
        self,
        clinical: Sequence[str],
        *,
        features: bool = True,
        imputation: Literal["simple", "iterative"] = "simple",
        stability: pd.Series | pd.DataFrame | None = None,
        min_stability: float = 0.75,
        harmonize_by: str | None = None,
        protect: Sequence[str] = (),
        unseen: Literal["error", "reference_free"] = "error",
    ) -> None:
        self.clinical = clinical
        self.features = features
        self.imputation = imputation
        self.stability = stability
        self.min_stability = min_stability
        self.harmonize_by = harmonize_by
        self.protect = protect
        self.unseen = unseen

    def fit(self, X: pd.DataFrame, y: Outcome) -> Self:
        """Learn all steps from these patients.

        Raises
        ------
        CohortError
            A clinical column or all features are absent, or no feature is stable.
        """
        check_rows(X, y)
        self.stable_: StableFeatures | None = None
        self.harmonization_: Combat | None = None
        if self.imputation not in _IMPUTATIONS:
            raise CohortError(
                f"imputation {self.imputation!r} is unknown", f"Take one of {', '.join(_IMPUTATIONS)}."
            )
        table = self._take(X, list(self.clinical))
        self.imputation_ = _IMPUTATIONS[self.imputation]().fit(table, y)
        self.notes_ = self._imputation_notes()
        self.features_ = [str(name) for name in X.columns if "__" in str(name)] if self.features else []
        if self.features and not self.features_:
            raise CohortError("there are no radiomic features", "Extract them, or fit clinical models only.")
        if self.features and self.stability is not None:
            self.stable_ = StableFeatures(self.stability, minimum=self.min_stability)
            before = len(self.features_)
            self.features_ = self.stable_.fit(X[self.features_], y).columns_
            self.notes_.append(
                f"{before - len(self.features_)} of {before} features are not stable (ICC below "
                f"{self.min_stability:g}) and were left out"
            )
        if self.features and self.harmonize_by is not None:
            combat = Combat(
                batch=self.harmonize_by, protect=tuple(self.protect), on_unseen=self.unseen,
                columns=tuple(self.features_),
            )  # fmt: skip
            self.harmonization_ = combat.fit(self._with_center(X, self.clinical_part(X)), y)
            self.notes_ += self.harmonization_.notes_
        return self

    def _imputation_notes(self) -> list[str]:
        step = self.imputation_
        if isinstance(step, IterativeImputation):
            return list(step.notes_)
        notes = [f"{name}: left out, {why}" for name, why in step.dropped_.items()]
        return notes + [
            f"{name}: {count} missing values read as {step.values_[name]}"
            for name, count in step.missing_.items()
            if count
        ]

    def keep(self, features: Sequence[str]) -> None:
        """Forget what is known of other features than these, which the learner has chosen."""
        self.features_ = [name for name in self.features_ if name in set(features)]
        if self.harmonization_ is not None:
            self.harmonization_ = self.harmonization_.restricted(self.features_)

    def clinical_part(self, X: pd.DataFrame) -> pd.DataFrame:
        """Clinical columns with missing values filled.

        Raises
        ------
        CohortError
            A column is absent, or a factor holds a level not known in training.
        """
        check_is_fitted(self, "imputation_")
        return self.imputation_.transform(self._take(X, list(self.clinical)))

    def feature_part(self, X: pd.DataFrame) -> pd.DataFrame:
        """Features that are left, harmonized if asked for.

        Raises
        ------
        CohortError
            A feature is absent, or a center is unknown.
        """
        absent = [name for name in self.features_ if name not in X.columns]
        if absent:
            raise CohortError(
                f"features are absent: {', '.join(absent[:3])}", "Extract with the settings of the model."
            )
        if self.harmonization_ is None:
            return X[self.features_]
        return self.harmonization_.transform(self._with_center(X, self.clinical_part(X)))[self.features_]

    def _with_center(self, X: pd.DataFrame, clinical: pd.DataFrame) -> pd.DataFrame:
        """What the harmonization reads: features, the center, protected clinical columns filled."""
        assert self.harmonize_by is not None
        center = self._take(X, [self.harmonize_by])
        rest = clinical[[name for name in self.protect if name in clinical.columns]]
        return pd.concat(
            [X[self.features_], center, rest.drop(columns=center.columns, errors="ignore")], axis=1
        )

    def _take(self, X: pd.DataFrame, wanted: list[str]) -> pd.DataFrame:
        absent = [name for name in wanted if name not in X.columns]
        if absent:
            raise CohortError(
                f"clinical columns are absent: {', '.join(absent)}",
                "Name the columns of the table under models.clinical.",
            )
        return X[wanted]

    def to_dict(self) -> dict[str, Any]:
        """What was learnt, for a JSON file; of the stability only which features passed."""
        parameters = self.get_params() | {"stability": None}
        parameters |= {"clinical": list(self.clinical), "protect": list(self.protect)}
        combat = None if self.harmonization_ is None else self.harmonization_.to_dict()
        return {
            "parameters": parameters,
            "imputation": self.imputation_.to_dict(),
            "harmonization": combat,
            "features": self.features_,
            "notes": self.notes_,
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Preparation:
        """Inverse of :meth:`to_dict`."""
        made = cls(**content["parameters"])
        made.imputation_ = _IMPUTATIONS[made.imputation].from_dict(content["imputation"])
        combat = content["harmonization"]
        made.stable_ = None
        made.harmonization_ = None if combat is None else Combat.from_dict(combat)
        made.features_, made.notes_ = list(content["features"]), list(content["notes"])
        return made
