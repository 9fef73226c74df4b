"""A study from its file to its run folder: the stages in order, each resumable.

Done work is found again by content: features by the hashes of image, mask and
settings, models by the hash of their design matrix and settings.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from radiomics_npc.cohort.baseline import table_one
from radiomics_npc.cohort.cases import Cohort
from radiomics_npc.cohort.findings import CheckReport
from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.cohort.reading import read_cohort
from radiomics_npc.config import MODEL_NAMES, StudySettings, config_path, portable_settings, read_settings
from radiomics_npc.errors import CheckFailedError, CohortError, ConfigError
from radiomics_npc.features.extraction import extract_features
from radiomics_npc.features.merge import DesignMatrix, design_matrix
from radiomics_npc.features.table import FAILURE_COLUMNS, FeatureTable
from radiomics_npc.imaging.checks import check_cohort
from radiomics_npc.nomogram.nomogram import Nomogram
from radiomics_npc.nomogram.style import save_figure
from radiomics_npc.parallel import single_threaded
from radiomics_npc.provenance import software_versions
from radiomics_npc.report.content import write_run_report
from radiomics_npc.report.montage import cohort_montage
from radiomics_npc.simulate.cohort import simulate_cohort
from radiomics_npc.storage import (
    FeatureStore,
    content_key,
    frame_digest,
    read_table,
    write_json,
    write_table,
    write_text,
)
from radiomics_npc.survival.concordance import harrell_c, uno_c
from radiomics_npc.survival.external import Validation, predict_frame, validate_model
from radiomics_npc.survival.model_file import load_model, save_model
from radiomics_npc.survival.models import PrognosticModel, standard_model
from radiomics_npc.survival.validation import CrossValidation, cross_validate

__all__ = ["Study", "oracle_scores", "predict_table", "run_demo"]


class Study:
    """A study and its run folder.

    Parameters
    ----------
    source : path, dict or StudySettings
        ``study.yaml``, its content, or validated settings.
    output : Path, optional
        Run folder, instead of the one in the settings.
    jobs : int, optional
        Processes, instead of the number in the settings.

    Raises
    ------
    ConfigError
        The settings are wrong.

    Examples
    --------
    >>> study = Study("study.yaml")            # doctest: +SKIP
    >>> study.check().ok                       # doctest: +SKIP
    True
    >>> study.run()                            # doctest: +SKIP
    (PosixPath('run/nomogram.html'), PosixPath('run/report.html'))
    """

    def __init__(
        self,
        source: Path | str | dict[str, Any] | StudySettings,
        *,
        output: Path | str | None = None,
        jobs: int | None = None,
    ) -> None:
        settings = source if isinstance(source, StudySettings) else read_settings(source)
        changes: dict[str, Any] = {}
        if output is not None:
            changes["output"] = Path(output).absolute()
        if jobs is not None:
            changes["jobs"] = jobs
        self.settings = settings.model_copy(update=changes)
        self.run_folder: Path = self.settings.output
        self._features: FeatureTable | None = None
        self._validation: CrossValidation | None = None
        self._checked = False

    def __repr__(self) -> str:
        return f"<Study {self.settings.name}>"

    @cached_property
    def cohort(self) -> Cohort:
        """Patients, clinical table and outcome, as read from disk."""
        return read_cohort(self.settings.cohort)

    @property
    def failures(self) -> pd.DataFrame:
        """Patients whose work failed so far."""
        path = self.run_folder / "failures.csv"
        return read_table(path) if path.exists() else pd.DataFrame(columns=FAILURE_COLUMNS)

    # -- stages ------------------------------------------------------------------------------

    def check(self) -> CheckReport:
        """List every fault of the cohort at once; write check.csv and check.html."""
        with self._stage("check"):
            report = check_cohort(self.cohort, jobs=self.settings.jobs)
            report.write(self.run_folder)
        return report

    def extract(self) -> FeatureTable | None:
        """Check, then extract the features of all cases; None for a clinical-only study.

        Raises
        ------
        CheckFailedError
            The check found errors: nothing was run.
        """
        if not self._checked:
            self._prepare()
        if self.settings.features is not None and self._features is None:
            with self._stage("extract"):
                self._features = extract_features(
                    self.cohort, self.settings.features, jobs=self.settings.jobs,
                    store=FeatureStore(self.run_folder / "cache"),
                )  # fmt: skip
                self._features.write(self.run_folder / "tables")
                write_table(self.run_folder / "failures.csv", self._features.failures)
                self._draw_montage(self._features)
        return self._features

    def fit(self) -> CrossValidation:
        """Cross-validate the models, fit each on all patients, and write both.

        Raises
        ------
        ConfigError
            The study asks for no models.
        """
        if self.settings.models is None:
            raise ConfigError("the study says models: null", "Name the models to be fitted.")
        if self._validation is None:
            features = self.extract()
            data = design_matrix(self.cohort, features, clinical=self.settings.models.clinical)
            with self._stage("fit"):
                self._validation = self._fit_models(data)
        return self._validation

    def report(self) -> Path:
        """Write report.html, report.json and methods.md from what the run folder holds."""
        with self._stage("report"):
            return write_run_report(self.run_folder)

    def run(self) -> tuple[Path, ...]:
        """Do all stages; return the paths of what a reader opens first."""
        self.extract()
        if self.settings.models is not None:
            self.fit()
        self._forget_nomogram()
        page = self._draw_nomogram() if self.settings.nomogram is not None else None
        return (page, self.report()) if page is not None else (self.report(),)

    def validate(self, model_folder: Path | str) -> Validation:
        """Validate a frozen model on this study's cohort.

        Raises
        ------
        ModelFileError
            The model file is damaged or altered.
        ConfigError
            The features of this study were extracted with other settings than the model's.
        """
        folder = Path(model_folder)
        model = load_model(folder)
        features = self.extract()
        _same_extraction(model, features)
        clinical = model.clinical_columns if isinstance(model, PrognosticModel) else model.columns_
        data = design_matrix(self.cohort, features, clinical=clinical)
        with self._stage("validate"):
            result = validate_model(model, data.X, data.y)
            write_table(self.run_folder / "tables" / f"validation_{folder.name}.csv", result.to_frame())
        return result

    # -- what the stages need ----------------------------------------------------------------

    def _prepare(self) -> None:
        """Check the cohort, and start the run folder with who is in it."""
        report = self.check()
        if not report.ok:
            report.print()
            count = len(report.errors)
            raise CheckFailedError(
                f"the check found {count} error{'s' if count > 1 else ''}: nothing was run",
                f"Open check.html in {self.run_folder.name}, mend them, and run again.",
            )
        settings = portable_settings(self.settings, self.run_folder)
        settings["output"] = "."
        write_text(
            self.run_folder / "study.yaml", yaml.safe_dump(settings, sort_keys=False, allow_unicode=True)
        )
        tables = self.run_folder / "tables"
        if self.cohort.clinical is not None:
            event = None if self.cohort.outcome is None else "event"
            write_table(tables / "table_one.csv", table_one(self.cohort, by=event))
        write_table(self.run_folder / "failures.csv", pd.DataFrame(columns=FAILURE_COLUMNS))
        self._record(simulated=self.cohort.simulated, patients=len(self.cohort), versions=software_versions(),
                     seed=self.settings.seed)  # fmt: skip
        self._checked = True

    def _draw_montage(self, features: FeatureTable) -> None:
        """Picture of sample patients, drawn here since the report is made without images."""
        sound = features.to_frame().index.difference(list(features.failures["patient_id"]))
        figure = cohort_montage(self.cohort, list(sound))
        if figure is not None:
            save_figure(figure, self.run_folder / "figures" / "montage.png")

    def _fit_models(self, data: DesignMatrix) -> CrossValidation:
        """Cross-validate and fit, or take both from the run folder if nothing changed."""
        settings = self.settings
        assert settings.models is not None
        models: dict[str, PrognosticModel] = {
            name: standard_model(
                name, settings.models, inner_folds=settings.validation.inner_folds, random_state=settings.seed
            )
            for name in settings.models.fit
        }
        features = None if self._features is None else self._features.settings
        key = content_key(
            frame_digest(data.X), frame_digest(data.y.to_frame()), data.y.name, self.cohort.simulated,
            data.excluded.to_dict("list"), features, self._horizon(data),
            settings.models.model_dump(mode="json"), settings.validation.model_dump(mode="json"),
            settings.seed, software_versions(),
        )  # fmt: skip
        found = self._finished_fit(key, data)
        if found is not None:
            return found
        self._forget_fit()
        # First, since a model that cannot be fitted to all patients is known in seconds.
        with single_threaded():
            for name, model in models.items():
                save_model(
                    model.fit(data.X, data.y), self.run_folder / "models" / name, name=name,
                    simulated=self.cohort.simulated, settings={"features": features},
                )  # fmt: skip
        options = settings.validation
        result = cross_validate(
            models, data.X, data.y, folds=options.folds, repeats=options.repeats, random_state=settings.seed,
            jobs=settings.jobs, confidence=options.confidence,
            horizon_months=self._horizon(data),
        )  # fmt: skip
        self._write_fit(data, result)
        self._record(fit_key=key)
        return result

    def _draw_nomogram(self) -> Path | None:
        """Write nomogram.html, the figure and its tables; None if nothing in the model changes the risk."""
        assert self.settings.nomogram is not None
        wanted = self.settings.nomogram
        with self._stage("nomogram"):
            model = load_model(self.run_folder / "models" / wanted.model)
            try:
                Nomogram.from_model(model, horizons=wanted.horizons_months).write(self.run_folder)
            except CohortError as error:
                self._log(f"no nomogram of {wanted.model}: {error}")
                return None
        return self.run_folder / "nomogram.html"

    def _forget_fit(self) -> None:
        """Remove what an earlier fit left, so that nothing of it can be taken for a part of the next."""
        self._record(fit_key=None)
        self._forget_nomogram()
        models, tables, figures = (self.run_folder / part for part in ("models", "tables", "figures"))
        by_model = [f"{part}_{m}" for part in ("hazard_ratios", "calibration") for m in MODEL_NAMES]
        old = [tables / "cross_validation.json", tables / "oracle.csv"]
        old += [tables / f"{name}.csv" for name in by_model]
        shown = ("c_index", "kaplan_meier", *by_model)
        old += [figures / f"{name}.{kind}" for name in shown for kind in ("svg", "png")]
        old += [models / m / name for m in MODEL_NAMES for name in ("model.json", "model.ubj", "card.md")]
        for path in old:
            path.unlink(missing_ok=True)
        for folder in (models / m for m in MODEL_NAMES):
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()

    def _forget_nomogram(self) -> None:
        tables, figures = self.run_folder / "tables", self.run_folder / "figures"
        old = [tables / f"{name}.csv" for name in ("nomogram_points", "nomogram_total_points", "rad_score")]
        old += [figures / f"nomogram.{kind}" for kind in ("svg", "pdf", "png")]
        for path in (self.run_folder / "nomogram.html", *old):
            path.unlink(missing_ok=True)

    def _horizon(self, data: DesignMatrix) -> float:
        """Horizon of the scores: where censoring is administrative, else 60 months, within the follow-up.

        Where fewer than a tenth of the patients (or 5) are followed so far, the last whole month to
        which as many are: training folds without the one longest follow-up know nothing at its end.
        """
        assert self.settings.cohort.outcome is not None
        wanted = self.settings.cohort.outcome.censor_at_months or 60.0
        times = np.sort(data.y.time_months)
        reached = float(times[-min(max(5, math.ceil(len(times) / 10)), len(times))])
        return float(wanted if reached >= wanted else math.floor(reached) or reached)

    def _finished_fit(self, key: str, data: DesignMatrix) -> CrossValidation | None:
        """The cross-validation in the run folder, if it is of this very design."""
        if self._read_record().get("fit_key") != key:
            return None
        tables = self.run_folder / "tables"
        assert self.settings.models is not None
        parts = [self.run_folder / "models" / name / "model.json" for name in self.settings.models.fit]
        parts += [
            tables / part for part in ("cross_validation.json", "predictions.parquet", "failed_fits.csv")
        ]
        if not all(part.exists() for part in parts):
            return None
        return CrossValidation.read(tables, data.y)

    def _write_fit(self, data: DesignMatrix, result: CrossValidation) -> None:
        tables = self.run_folder / "tables"
        result.write(tables)
        write_table(tables / "design_matrix.parquet", data.X.reset_index())
        write_table(tables / "design_matrix.csv", data.X.reset_index())
        write_table(tables / "outcome.csv", data.y.to_frame().reset_index())
        write_table(tables / "excluded.csv", data.excluded)
        path = self.settings.cohort.path
        # A manifest, or a part of a simulated cohort, has no truth beside it.
        if self.cohort.simulated and path is not None and (path / "truth.csv").exists():
            horizon = float(result.design["horizon_months"])
            write_table(tables / "oracle.csv", oracle_scores(path, data.y, horizon))

    # -- the record of the run ---------------------------------------------------------------

    @contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        """Say where we are, and keep how long it took."""
        self._log(name)
        start = time.monotonic()
        yield
        seconds = round(time.monotonic() - start, 1)
        self._log(f"{name}: done in {seconds} s")
        self._record(seconds={**self._read_record().get("seconds", {}), name: seconds})

    def _log(self, line: str) -> None:
        print(line, file=sys.stderr, flush=True)
        self.run_folder.mkdir(parents=True, exist_ok=True)
        with (self.run_folder / "log.txt").open("a", encoding="utf-8") as stream:
            stream.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {line}\n")

    def _read_record(self) -> dict[str, Any]:
        path = self.run_folder / "run.json"
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        return record

    def _record(self, **entries: Any) -> None:
        write_json(self.run_folder / "run.json", {**self._read_record(), **entries})


def _same_extraction(model: Any, features: FeatureTable | None) -> None:
    """Refuse features made with other settings than those the model was trained on."""
    trained = (model.settings_.get("features") or {}).get("sequences")
    if not getattr(model, "feature_columns", []):
        return
    if features is None or trained is None:
        raise ConfigError("the model needs radiomic features", "Set features in the study of this cohort.")
    for sequence, recipe in features.settings["sequences"].items():
        asked = trained.get(sequence, recipe)  # the model takes nothing from a sequence it was not trained on
        for part in ("pyradiomics", "normalize"):
            if asked[part] != recipe[part]:
                raise ConfigError(
                    f"{sequence} features are extracted with other settings ({part}) than the model's",
                    "Take the preset and settings of the study that the model comes from.",
                )


def oracle_scores(cohort_folder: Path, outcome: Outcome, horizon_months: float) -> pd.DataFrame:
    """C of the true risk of simulated patients, which no model can be expected to pass.

    Parameters
    ----------
    cohort_folder : Path
        A simulated cohort, with ``truth.csv``.
    outcome : Outcome
        Of the analyzed patients.
    horizon_months : float

    Returns
    -------
    DataFrame
        metric (harrell_c, uno_c), estimate, se.

    Raises
    ------
    CohortError
        ``truth.csv`` lacks a patient.
    """
    truth = read_table(cohort_folder / "truth.csv").set_index("patient_id")["linear_predictor"]
    risk = truth.reindex(outcome.patient_id)
    if risk.isna().any():
        raise CohortError("truth.csv lacks patients of the cohort", "Simulate the cohort again.")
    scores = {"harrell_c": harrell_c(outcome, risk), "uno_c": uno_c(outcome, risk, tau=horizon_months)}
    rows = [(metric, c.estimate, c.se) for metric, c in scores.items()]
    return pd.DataFrame(rows, columns=["metric", "estimate", "se"])


def predict_table(
    model_folder: Path | str,
    table: Path | str,
    out: Path | str,
    *,
    horizons_months: Sequence[float] = (36.0, 60.0),
) -> pd.DataFrame:
    """Predict for the patients of a table and write the result.

    Parameters
    ----------
    model_folder : Path
        As written by a run.
    table : Path
        CSV or parquet with ``patient_id``, the clinical columns and the features of the model
        (a run writes such a table as ``tables/design_matrix.csv``).
    out : Path
        CSV to write.
    horizons_months : sequence of float

    Returns
    -------
    DataFrame
        See :func:`radiomics_npc.survival.external.predict_frame`.

    Raises
    ------
    ModelFileError, CohortError, HorizonError
    """
    model = load_model(Path(model_folder))
    predictors = _read_predictors(Path(table), model)
    if "patient_id" not in predictors.columns:
        raise CohortError(f"{Path(table).name} has no column patient_id", "Name each patient in it.")
    result = predict_frame(model, predictors.set_index("patient_id"), horizons_months)
    write_table(Path(out), result.reset_index())
    return result


def _read_predictors(path: Path, model: Any) -> pd.DataFrame:
    """A table for a model. Its factors stay text: "1" must not become 1.0, nor the level "None" missing."""
    if path.suffix == ".parquet":
        return read_table(path)
    if isinstance(model, PrognosticModel):
        factors = list(model.imputation_.categories_)
    else:
        factors = [term.name for term in getattr(model, "terms_", []) if term.kind == "factor"]
    return read_table(path, converters=dict.fromkeys(factors, lambda text: text.strip() or None))


def run_demo(
    out: Path | str = "radiomics_npc_demo",
    *,
    patients: int = 120,
    seed: int = 20240101,
    matrix: int = 256,
    jobs: int | None = None,
) -> Study:
    """Simulate a cohort into ``out/data`` and run the demo study on it.

    Parameters
    ----------
    out : Path
        A folder to be made, or one of an earlier demo, which goes on.
    patients, seed, matrix : int
        The simulated cohort; a matrix of 256 takes a quarter of the time and disk of the published 512.
    jobs : int, optional
        Processes; all cores by default.

    Returns
    -------
    Study
        Already run.
    """
    out = Path(out)
    if not _is_simulated(out / "data", patients=patients, seed=seed, matrix=matrix):
        simulate_cohort(out / "data", patients=patients, seed=seed, matrix=matrix, jobs=jobs or 0)
    write_text(out / "study.yaml", config_path("demo.yaml").read_text(encoding="utf-8"))
    study = Study(out / "study.yaml", jobs=jobs)
    study.run()
    return study


def _is_simulated(folder: Path, **asked: int) -> bool:
    """Whether an earlier demo finished simulating this very cohort (truth.csv is written last)."""
    description = folder / "dataset.json"
    if not (folder / "truth.csv").exists() or not description.exists():
        return False
    written = json.loads(description.read_text(encoding="utf-8"))
    asked_for: dict[str, Any] = {**asked, "version": software_versions()["radiomics-npc"]}
    return {key: written.get(key) for key in asked_for} == asked_for
