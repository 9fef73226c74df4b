"""What the models of a study are made from: predictors, outcome, horizon, and who is held out."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress

import numpy as np
import pandas as pd

from radiomics_npc.cohort.cases import Cohort
from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError, ConfigError
from radiomics_npc.features.merge import DesignMatrix, design_matrix
from radiomics_npc.features.table import FeatureTable
from radiomics_npc.settings import ModelSettings, StudySettings, ValidationSettings
from radiomics_npc.survival.estimation.competing_risks import cumulative_incidence
from radiomics_npc.survival.preprocessing.imputation import complete_cases
from radiomics_npc.survival.validation.designs import LeaveCenterOut, SplitDesign, TemporalSplit

__all__ = ["endpoint_tables", "held_out_by", "split_design", "study_horizon", "study_table"]


def study_table(
    wanted: ModelSettings, cohort: Cohort, features: FeatureTable | None
) -> tuple[DesignMatrix, pd.DataFrame]:
    """Predictors and outcome; complete cases alone if the study asks for them.

    Parameters
    ----------
    wanted : ModelSettings
    cohort : Cohort
    features : FeatureTable, optional

    Returns
    -------
    DesignMatrix
    DataFrame
        Patients lost to complete cases, by column; no row where they are not asked for.

    Raises
    ------
    ConfigError, CohortError
        A column that the models ask for does not exist, or no patient is left.
    """
    more = wanted.harmonize
    columns = [*wanted.clinical, *([more.by, *more.protect] if more else [])]
    data = design_matrix(cohort, features, clinical=list(dict.fromkeys(columns)))
    if wanted.imputation != "complete_case":
        return data, pd.DataFrame()
    X, y, loss = complete_cases(data.X, data.y, columns=wanted.clinical)
    lost = data.X.index.difference(X.index, sort=False)
    gone = pd.DataFrame({"patient_id": lost, "reason": "a clinical value is missing (complete cases asked)"})
    excluded = pd.concat([data.excluded, gone], ignore_index=True)
    return DesignMatrix(X, y, excluded), loss.reset_index()


def study_horizon(settings: StudySettings, y: Outcome) -> float:
    """Horizon of the scores: where censoring is administrative, else 60 months, within the follow-up.

    Where fewer than a tenth of the patients (or 5) are followed so far, the last whole month to
    which as many are: training folds without the one longest follow-up know nothing at its end.
    """
    assert settings.cohort.outcome is not None
    wanted = settings.cohort.outcome.censor_at_months or 60.0
    times = np.sort(y.time_months)
    reached = float(times[-min(max(5, math.ceil(len(times) / 10)), len(times))])
    return float(wanted if reached >= wanted else math.floor(reached) or reached)


def held_out_by(settings: StudySettings, cohort: Cohort, patients: pd.Index) -> pd.Series | None:
    """Center or date of every patient, for the designs that need one.

    Raises
    ------
    ConfigError
        The clinical table has no such column.
    """
    column = settings.validation.by
    if settings.validation.design == "cross_validation" or column is None:
        return None
    table = cohort.clinical
    if table is None or column not in table.columns:
        raise ConfigError(
            f"validation.by: the clinical table has no column {column}",
            "Name it under cohort.clinical.columns or extra.",
        )
    found = table[column].reindex(patients)
    if pd.api.types.is_numeric_dtype(found):
        return found
    found = found.astype(object)
    if settings.validation.design == "temporal" and settings.cohort.outcome is not None:
        with suppress(ValueError):  # else it is a year, or a date as YYYY-MM-DD
            found = pd.to_datetime(found, format=settings.cohort.outcome.date_format)
    return found


def split_design(options: ValidationSettings, by: pd.Series | None) -> SplitDesign | None:
    """The design that the study asks for; None for repeated cross-validation."""
    if by is None:
        return None
    return LeaveCenterOut(by) if options.design == "leave_center_out" else TemporalSplit(by, options.cut)


def endpoint_tables(cohort: Cohort) -> Iterator[tuple[str, pd.DataFrame]]:
    """Cumulative incidence of the further endpoints of which there are events: (name, table)."""
    for name, endpoint in cohort.endpoints.items():
        until = float(endpoint.time_months.max())
        times = [t for t in (12.0, 24.0, 36.0, 48.0, 60.0) if t <= until]
        with suppress(CohortError):  # nobody had it: there is no curve
            table = cumulative_incidence(endpoint).at(times)
            yield name, table.assign(
                patients=len(endpoint), events=int((endpoint.cause == 1).sum()),
                competing=int((endpoint.cause == 2).sum()),
            )  # fmt: skip
