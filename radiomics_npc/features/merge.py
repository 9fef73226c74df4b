"""Features, morphology, clinical columns and outcome of the same patients, side by side."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from radiomics_npc.cohort.cases import Cohort
from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError, ConfigError
from radiomics_npc.features.table import FeatureTable

__all__ = ["DesignMatrix", "design_matrix"]


class DesignMatrix(NamedTuple):
    """What a model is fitted on.

    Parameters
    ----------
    X : DataFrame
        One row a patient (index ``patient_id``): clinical columns, then
        features (their names hold ``__``).
    y : Outcome
        Of the same patients, in the same order.
    excluded : DataFrame
        ``patient_id`` and ``reason`` of every patient left out.
    """

    X: pd.DataFrame
    y: Outcome
    excluded: pd.DataFrame

    def to_frame(self) -> pd.DataFrame:
        """Return columns and outcome side by side."""
        return self.X.join(self.y.to_frame())

    def _repr_html_(self) -> str:
        left_out = f", {len(self.excluded)} left out" if len(self.excluded) else ""
        return f"<p>{self.X.shape[1]} columns; {html.escape(repr(self.y).strip('<>'))}{left_out}</p>"


def design_matrix(
    cohort: Cohort,
    features: FeatureTable | None = None,
    *,
    clinical: Sequence[str] = ("T", "N", "ebv_dna"),
) -> DesignMatrix:
    """Join features and clinical columns by patient_id.

    Parameters
    ----------
    cohort : Cohort
        With clinical table and outcome.
    features : FeatureTable, optional
        None gives a clinical-only matrix.
    clinical : sequence of str
        Columns of the clinical table. Missing values stay missing: they are
        imputed within the training folds.

    Returns
    -------
    DesignMatrix
        Patients of the cohort that have an outcome, a clinical row and (where
        features are given) every sequence; all others in ``excluded``.

    Raises
    ------
    CohortError
        The cohort has no outcome, or nobody is left.
    ConfigError
        A clinical column does not exist.

    Examples
    --------
    >>> table = pd.DataFrame({"T": ["T1", "T3"]}, index=pd.Index(["1", "2"], name="patient_id"))
    >>> cohort = Cohort(cases=(), clinical=table, outcome=Outcome([12.0], [1], ["1"]))
    >>> X, y, excluded = design_matrix(cohort, clinical=["T"])
    >>> X.shape, excluded.values.tolist()
    ((1, 1), [['2', 'no usable outcome']])
    """
    if cohort.outcome is None:
        raise CohortError("the cohort has no outcome", "State time and event under cohort.outcome.")
    parts = [_clinical_columns(cohort, list(clinical))]
    if features is not None:
        parts.append(features.to_frame())
    reasons = {who: _why_excluded(who, cohort, parts[0], features) for who in _everybody(cohort, features)}
    kept = [who for who, reason in reasons.items() if reason is None]
    if not kept:
        raise CohortError(
            "no patient has features, clinical data and outcome together",
            "Check that patient identifiers are written alike in images and clinical table.",
        )
    index = pd.Index(kept, dtype=object, name="patient_id")
    x = pd.concat([part.reindex(index) for part in parts], axis=1)
    known = dict(cohort.excluded)
    excluded = [(who, why) for who, why in known.items() if who not in reasons]
    excluded += [(who, known.get(who, why)) for who, why in reasons.items() if why is not None]
    return DesignMatrix(
        x, cohort.outcome.loc(index), pd.DataFrame(excluded, columns=["patient_id", "reason"])
    )


def _clinical_columns(cohort: Cohort, names: list[str]) -> pd.DataFrame:
    if not names:
        return pd.DataFrame(index=pd.Index(_everybody(cohort, None), dtype=object, name="patient_id"))
    if cohort.clinical is None:
        raise CohortError("the cohort has no clinical table", "Name its file under cohort.clinical.file.")
    absent = [name for name in names if name not in cohort.clinical.columns]
    if absent:
        raise ConfigError(
            f"the clinical table has no column {', '.join(absent)}",
            f"It has {', '.join(map(str, cohort.clinical.columns))}.",
        )
    return cohort.clinical[names]


def _everybody(cohort: Cohort, features: FeatureTable | None) -> list[str]:
    """Everyone named anywhere, each once: first as in the cohort, then the others as they come."""
    ids = list(cohort.patient_ids)
    for index in (
        None if cohort.clinical is None else cohort.clinical.index,
        None if cohort.outcome is None else cohort.outcome.patient_id,
        None if features is None else features.to_frame().index,
    ):
        ids += [] if index is None else [str(who) for who in index]
    return list(dict.fromkeys(ids))


def _why_excluded(
    who: str, cohort: Cohort, clinical: pd.DataFrame, features: FeatureTable | None
) -> str | None:
    reasons = []
    if cohort.outcome is None or who not in cohort.outcome.patient_id:
        reasons.append("no usable outcome")
    if who not in clinical.index:
        reasons.append("not in the clinical table")
    if features is not None:
        failed = features.failures.loc[features.failures["patient_id"] == who]
        reasons += [f"no features of {row.sequence}: {row.message}" for row in failed.itertuples(index=False)]
        if who not in features.to_frame().index and failed.empty:
            reasons.append("no images")
    return "; ".join(reasons) or None
