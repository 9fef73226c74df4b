"""ComBat as a step: what differs between centers is learnt in training and taken away from new patients.

References
----------
Johnson WE, Li C, Rabinovic A. Biostatistics 2007;8:118-127. Fortin JP et al.
Harmonization of cortical thickness measurements across scanners and sites.
NeuroImage 2018;167:104-120 (protected covariates). The numbers equal R's ``sva::ComBat``.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError, ConfigError
from radiomics_npc.survival.design import check_rows
from radiomics_npc.survival.preprocessing.covariates import (
    encode_covariates,
    learn_levels,
    read_labels,
    read_numbers,
)
from radiomics_npc.survival.preprocessing.empirical_bayes import (
    constant_columns,
    least_squares,
    reasons_to_leave,
    shrink_batch,
)

__all__ = ["Combat"]

Floats = NDArray[np.float64]
_NO_SPREAD = 1e-24  # residual variance as a part of the mean square


class Combat(TransformerMixin, BaseEstimator):
    """Take the shift and the scale of each center out of the features.

    Everything is learnt in ``fit`` and frozen: a patient's harmonized values depend on
    its own values, center and protected covariates, and on no other new patient.

    Parameters
    ----------
    batch : str
        Column that names the center or scanner.
    protect : sequence of str
        Clinical columns (numbers, or Categorical factors) whose effect on the features
        must stay, sva's ``mod``: without them a center with more advanced tumors would be
        made to look like the others. They are needed, without missing values, in the
        tables to transform as well. Never the outcome, which new patients do not have.
    parametric : bool
        Normal and inverse-gamma priors; False takes the empirical distribution over the
        features, slower for thousands of them.
    on_unseen : {"error", "reference_free"}
        A center that was not in training is refused, or harmonized by what its own
        patients in the table say (see :meth:`adapted`).
    columns : sequence of str, optional
        The features; by default all columns with ``__`` in their names.
    min_patients : int
        Patients of an unseen center needed to learn its shift and scale.

    Attributes
    ----------
    columns_ : list of str
        Harmonized features.
    batches_ : dict of str to int
        Patients in training by center.
    left_ : dict of str to str
        By feature: why it is left as it is.
    mean_only_ : bool
        True when a center has a single patient: only shifts are taken away then, for all
        centers, as sva does.
    grand_mean_, sd_ : Series
        By feature: mean over the centers, and standard deviation within them, at protected
        covariates of 0.
    coef_ : DataFrame
        Effects of the protected covariates, one row a covariate, one column a feature.
    shift_, variance_ : DataFrame
        One row a center, one column a feature, in units of ``sd_``.
    notes_ : list of str

    Notes
    -----
    All columns of the table are kept, the features replaced. With missing values the
    pooled variance has a divisor of one less, for all features, as in sva. A single
    center in training has nothing to be harmonized with: its values stay as they are.

    Examples
    --------
    >>> random = np.random.default_rng(0)
    >>> X = pd.DataFrame(random.normal(size=(40, 5)), columns=[f"t1__original__glcm__F{k}" for k in range(5)])
    >>> X["center"] = ["a", "b"] * 20
    >>> X.iloc[::2, :5] += 2
    >>> combat = Combat().fit(X)
    >>> means = combat.transform(X).groupby("center").mean()
    >>> bool((means.max() - means.min()).max() < 0.5)
    True
    """

    def __init__(
        self,
        *,
        batch: str = "center",
        protect: Sequence[str] = (),
        parametric: bool = True,
        on_unseen: Literal["error", "reference_free"] = "error",
        columns: Sequence[str] | None = None,
        min_patients: int = 10,
    ) -> None:
        self.batch = batch
        self.protect = protect
        self.parametric = parametric
        self.on_unseen = on_unseen
        self.columns = columns
        self.min_patients = min_patients

    def fit(self, X: pd.DataFrame, y: Outcome | None = None) -> Self:
        """Learn the centers' shifts and scales.

        Raises
        ------
        CohortError
            A column is absent or holds text, a center or protected covariate is missing,
            or the covariates say which center it is (confounded).
        ConfigError
            ``on_unseen`` is neither of the two.
        """
        if self.on_unseen not in ("error", "reference_free"):
            raise ConfigError(f"on_unseen is {self.on_unseen}", "Take error or reference_free.")
        check_rows(X, y)
        wanted = [c for c in X.columns if "__" in str(c)] if self.columns is None else list(self.columns)
        if not wanted:
            raise CohortError("there are no features to harmonize", "Name them, or extract them first.")
        centers = read_labels(X, self.batch)
        self.batches_ = {name: int(n) for name, n in centers.value_counts().sort_index().items()}
        self.levels_ = learn_levels(X, list(self.protect))
        member = (centers.to_numpy()[:, None] == np.array(list(self.batches_))).astype(float)
        covariates = encode_covariates(X, self.levels_)
        design = np.hstack([member, covariates.to_numpy()])
        if np.linalg.matrix_rank(design) < design.shape[1]:
            raise CohortError(
                "the protected covariates cannot be told apart from the centers or from each other",
                "Protect fewer columns, or merge centers.",
            )
        self.mean_only_ = min(self.batches_.values()) == 1 < len(self.batches_)
        matrix = read_numbers(X, wanted)
        reasons = reasons_to_leave(matrix, member.astype(bool), mean_only=self.mean_only_)
        self.left_ = {name: why for name, why in zip(wanted, reasons, strict=True) if why}
        usable = np.flatnonzero(reasons == "")
        self._learn(matrix[:, usable], design, [wanted[k] for k in usable], list(covariates.columns))
        self._note()
        return self

    def _learn(self, matrix: Floats, design: Floats, names: list[str], covariates: list[str]) -> None:
        """Standardize over the centers, then shrink each center's shift and variance."""
        centers = list(self.batches_)
        beta = least_squares(design, matrix)
        residual = matrix - design @ beta
        any_missing = bool(np.isnan(matrix).any())
        variance = np.nanvar(residual, axis=0, ddof=1) if any_missing else (residual**2).mean(axis=0)
        exact = variance <= _NO_SPREAD * np.nanmean(matrix**2, axis=0)
        self.left_ |= dict.fromkeys(np.array(names, dtype=object)[exact], "it follows from the covariates")
        names = [name for name, out in zip(names, exact, strict=True) if not out]
        matrix, beta, variance = matrix[:, ~exact], beta[:, ~exact], variance[~exact]
        share = design[:, : len(centers)].mean(axis=0)
        self.columns_ = names
        self.grand_mean_ = pd.Series(share @ beta[: len(centers)], index=names)
        self.sd_ = pd.Series(np.sqrt(variance), index=names)
        self.coef_ = pd.DataFrame(beta[len(centers) :], index=covariates, columns=names)
        scaled = (matrix - self._expected(design[:, len(centers) :])) / self.sd_.to_numpy()
        found = [self._shrunk(scaled[design[:, k] == 1]) for k in range(len(centers))]
        self.shift_ = pd.DataFrame([shift for shift, _ in found], index=centers, columns=names)
        self.variance_ = pd.DataFrame([spread for _, spread in found], index=centers, columns=names)

    def _shrunk(self, scaled: Floats) -> tuple[Floats, Floats]:
        if len(self.batches_) == 1:
            return np.zeros(scaled.shape[1]), np.ones(scaled.shape[1])
        return shrink_batch(scaled, parametric=self.parametric, mean_only=self.mean_only_)

    def _note(self) -> None:
        self.notes_ = [f"{name}: not harmonized, {why}" for name, why in self.left_.items()]
        if self.mean_only_:
            self.notes_.append(f"{self.batch}: one has a single patient, so that only shifts are taken away")
        if len(self.batches_) == 1:
            self.notes_.append(f"{self.batch}: only one in training, its features stay as they are")

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        """Harmonize new patients with what was learnt; all other columns stay.

        Raises
        ------
        CohortError
            A column is absent, a center or protected covariate is missing or unknown.
        """
        check_is_fitted(self, "shift_")
        check_rows(X)
        centers = read_labels(X, self.batch)
        unseen = sorted(set(centers) - set(self.shift_.index))
        if unseen and self.on_unseen == "error":
            raise CohortError(
                f"column {self.batch}: {', '.join(unseen[:5])} was not in training",
                "Harmonize new centers by their own patients: on_unseen='reference_free' (in a study, "
                "models.harmonize.unseen).",
            )
        known = self.adapted(X) if unseen else self
        return known._harmonized(X, centers)

    def restricted(self, columns: Sequence[str]) -> Combat:
        """The same for some of its features: known centers get the same values as before.

        The shift and scale of an unseen center are shrunk over these features alone then;
        call :meth:`adapted` before, where that matters.

        Parameters
        ----------
        columns : sequence of str

        Returns
        -------
        Combat
            A copy; columns it does not know are passed over.
        """
        check_is_fitted(self, "shift_")
        made = copy.deepcopy(self)
        kept = [name for name in self.columns_ if name in set(columns)]
        made.columns = tuple(columns)
        made.columns_, made.grand_mean_, made.sd_ = kept, self.grand_mean_[kept], self.sd_[kept]
        made.coef_, made.shift_, made.variance_ = self.coef_[kept], self.shift_[kept], self.variance_[kept]
        made.left_ = {name: why for name, why in self.left_.items() if name in set(columns)}
        return made

    def adapted(self, X: pd.DataFrame) -> Combat:
        """Learn the shift and scale of unseen centers from their own patients, the rest frozen.

        Mean, covariate effects and standard deviation are those of training, so that the
        known centers and the scale of the features stay. The new center's shift and
        variance are shrunk over its features as those of the training centers were: a
        center with the same patients as one in training gets the same values.

        Parameters
        ----------
        X : DataFrame
            Patients of new centers; those of known centers do not matter.

        Returns
        -------
        Combat
            A copy that knows the new centers, and then treats their patients one by one.

        Raises
        ------
        CohortError
            A new center has fewer than ``min_patients`` patients, or a feature that is
            constant or unknown in it.
        """
        check_is_fitted(self, "shift_")
        check_rows(X)
        centers = read_labels(X, self.batch)
        scaled = self._standardized(X)
        made = copy.deepcopy(self)
        for name in sorted(set(centers) - set(self.shift_.index)):
            rows = (centers == name).to_numpy()
            if rows.sum() < max(self.min_patients, 2):
                raise CohortError(
                    f"column {self.batch}: {name} was not in training and has {int(rows.sum())} patients",
                    f"At least {max(self.min_patients, 2)} are needed to learn how it differs.",
                )
            values = scaled[rows]
            if (constant_columns(values) | (np.isfinite(values).sum(axis=0) < 2)).any():
                raise CohortError(
                    f"column {self.batch}: {name} has features that do not vary or are not known",
                    "Check its images and masks, or leave these features out.",
                )
            shift, variance = shrink_batch(values, parametric=self.parametric, mean_only=self.mean_only_)
            made.shift_.loc[name], made.variance_.loc[name] = shift, variance
            made.notes_.append(f"{self.batch}: {name} was harmonized by {int(rows.sum())} own patients")
        return made

    def _harmonized(self, X: pd.DataFrame, centers: pd.Series) -> pd.DataFrame:
        row = self.shift_.index.get_indexer(pd.Index(centers))
        shift, spread = self.shift_.to_numpy()[row], np.sqrt(self.variance_.to_numpy()[row])
        values = (self._standardized(X) - shift) / spread * self.sd_.to_numpy()
        values += self._expected(encode_covariates(X, self.levels_).to_numpy())
        changed = pd.DataFrame(values, index=X.index, columns=self.columns_)
        rest = X[[name for name in X.columns if name not in self.sd_.index]]
        return pd.concat([rest, changed], axis=1)[list(X.columns)]

    def _standardized(self, X: pd.DataFrame) -> Floats:
        expected = self._expected(encode_covariates(X, self.levels_).to_numpy())
        return (read_numbers(X, self.columns_) - expected) / self.sd_.to_numpy()

    def _expected(self, covariates: Floats) -> Floats:
        """Grand mean plus the effects of the protected covariates, shape (n, p)."""
        result: Floats = self.grand_mean_.to_numpy() + covariates @ self.coef_.to_numpy()
        return result

    def to_dict(self) -> dict[str, Any]:
        """What was learnt, for a JSON file."""
        check_is_fitted(self, "shift_")
        parameters = self.get_params()
        parameters["protect"] = list(self.protect)
        parameters["columns"] = None if self.columns is None else list(self.columns)
        return {
            "parameters": parameters,
            "columns": self.columns_, "batches": self.batches_, "levels": self.levels_, "left": self.left_,
            "mean_only": self.mean_only_, "notes": self.notes_,
            "grand_mean": self.grand_mean_.tolist(), "sd": self.sd_.tolist(),
            "covariates": list(self.coef_.index), "coef": self.coef_.to_numpy().tolist(),
            "known": list(self.shift_.index), "shift": self.shift_.to_numpy().tolist(),
            "variance": self.variance_.to_numpy().tolist(),
        }  # fmt: skip

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Combat:
        """Inverse of :meth:`to_dict`."""
        made = cls(**content["parameters"])
        names, known = list(content["columns"]), list(content["known"])
        for key in ("columns", "batches", "levels", "left", "mean_only", "notes"):
            setattr(made, f"{key}_", copy.deepcopy(content[key]))
        made.grand_mean_ = pd.Series(content["grand_mean"], index=names, dtype=float)
        made.sd_ = pd.Series(content["sd"], index=names, dtype=float)
        square = np.asarray(content["coef"], dtype=float).reshape(len(content["covariates"]), len(names))
        made.coef_ = pd.DataFrame(square, index=content["covariates"], columns=names)
        made.shift_ = pd.DataFrame(content["shift"], index=known, columns=names)
        made.variance_ = pd.DataFrame(content["variance"], index=known, columns=names)
        return made
