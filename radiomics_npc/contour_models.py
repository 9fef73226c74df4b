"""Models made from predicted contours against the same models made from drawn ones, in the same folds."""

from __future__ import annotations

import pandas as pd

from radiomics_npc.cohort.cases import Cohort
from radiomics_npc.errors import RadiomicsNPCError
from radiomics_npc.features.extraction import extract_features
from radiomics_npc.features.table import FeatureTable
from radiomics_npc.fitting import Fitting
from radiomics_npc.parallel import single_threaded
from radiomics_npc.storage import FeatureStore, content_key, frame_digest, write_table
from radiomics_npc.survival.validation.cross_validation import CrossValidation
from radiomics_npc.survival.validation.scoring import (
    differences,
    each_fold,
    fold_concordances,
    mean_scores,
)

__all__ = ["compare_c_index", "compare_models"]

_COLUMNS = ["metric", "contours", "estimate", "se", "lower", "upper", "p", "p_corrected"]


def compare_models(fitting: Fitting, drawn: Cohort, found: CrossValidation, store: FeatureStore) -> None:
    """Measure drawn contours as well, and write ``segmentation_c_index.csv``; found again if nothing changed.

    Parameters
    ----------
    fitting : Fitting
        Of the predicted contours, done.
    drawn : Cohort
        As :func:`radiomics_npc.contour_comparison.drawn_contours` gives it.
    found : CrossValidation
        Of the fitting.
    store : FeatureStore
    """
    run, settings = fitting.run, fitting.settings
    features = extract_features(drawn, settings.features, jobs=settings.jobs, store=store)
    key = content_key(fitting.key(), frame_digest(features.to_frame().reset_index()))
    path = run.tables / "segmentation_c_index.csv"
    if path.exists() and run.read_record().get("contour_key") == key:
        return
    path.unlink(missing_ok=True)
    try:
        table = compare_c_index(fitting, features, found)
    except RadiomicsNPCError as error:  # few patients may have drawn masks; the study itself is done
        run.log(f"models of drawn contours could not be compared: {error}")
        run.record(comparison_failure=str(error))  # for the report
        return
    if len(table):
        write_table(path, table.assign(simulated=True) if drawn.simulated else table)
        run.record(contour_key=key)


def compare_c_index(
    fitting: Fitting, drawn: FeatureTable, found: CrossValidation | None = None
) -> pd.DataFrame:
    """Cross-validate the same models on features of predicted and of drawn contours, in the same folds.

    Parameters
    ----------
    fitting : Fitting
        Of the predicted contours.
    drawn : FeatureTable
        Of the drawn contours.
    found : CrossValidation, optional
        That of the fitting: it is taken where both contours know the same patients.

    Returns
    -------
    DataFrame
        model, metric, contours (``drawn``, ``predicted``, and ``difference``: predicted minus drawn,
        paired), patients, estimate, se, lower, upper, p, p_corrected. Models of clinical columns
        alone are not among them: contours do not change these. Features that were unstable on the
        predicted contours are left out of both.
    """
    names = [name for name in fitting.wanted.fit if not name.startswith("clinical")]
    other = Fitting(fitting.settings, fitting.cohort, drawn, fitting.repeats, fitting.run)
    patients = fitting.data.X.index[fitting.data.X.index.isin(other.data.X.index)]
    if not names or not len(patients):
        return pd.DataFrame()
    with single_threaded():
        same = found is not None and len(patients) == len(fitting.data.X)
        predicted = found if found is not None and same else fitting.cross_validate(names, patients)
        reference = other.cross_validate(names, patients)
    tables = [_of_model(name, predicted, reference) for name in names]
    return pd.concat(tables, ignore_index=True)


def _of_model(name: str, predicted: CrossValidation, drawn: CrossValidation) -> pd.DataFrame:
    """Both C and their paired difference, of one model."""
    parts, failures = [], []
    for contours, result in (("drawn", drawn), ("predicted", predicted)):
        parts.append(result.predictions.query("model == @name").assign(model=contours))
        failures.append(result.failures.query("model == @name").assign(model=contours))
    _require_same_folds(*parts)
    # the horizon of the study, not one that follows from whom the drawn contours leave
    y, horizon, confidence = drawn.outcome, predicted.design["horizon_months"], drawn.design["confidence"]
    rows = pd.concat(parts, ignore_index=True)
    found = fold_concordances(rows, y, horizon)
    scores = mean_scores(found, pd.concat(failures, ignore_index=True), confidence)
    gaps = differences(found, "drawn", confidence, each_fold(rows, y, horizon))
    table = pd.concat(
        [scores.rename(columns={"model": "contours"}), gaps.assign(contours="difference")], ignore_index=True
    )[_COLUMNS]
    table.insert(0, "model", name)
    table.insert(3, "patients", len(y))
    return table


def _require_same_folds(first: pd.DataFrame, second: pd.DataFrame) -> None:
    """Pairs of patients count within folds, so a paired difference needs the same ones."""
    where = ["repeat", "patient_id"]
    folds = [part.set_index(where)["fold"].sort_index() for part in (first, second)]
    if not folds[0].equals(folds[1]):
        raise RuntimeError("the folds of predicted and drawn contours differ")
