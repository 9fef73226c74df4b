"""A study from its file to its run folder: the stages in order, each resumable.

Done work is found again by content: features by the hashes of image, mask and
settings, models by the hash of their design matrix and settings.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from radiomics_npc.cohort.cases import Cohort
from radiomics_npc.cohort.findings import CheckReport
from radiomics_npc.cohort.reading import read_cohort
from radiomics_npc.config import read_settings
from radiomics_npc.contour_models import compare_models
from radiomics_npc.contours import PredictedContours, merge_failures, say_other_contours, segment_cohort
from radiomics_npc.errors import CheckFailedError, ConfigError
from radiomics_npc.features.case_job import extraction_recipe
from radiomics_npc.features.contours import extract_contours
from radiomics_npc.features.extraction import extract_features
from radiomics_npc.features.merge import design_matrix
from radiomics_npc.features.perturbed import extract_perturbed
from radiomics_npc.features.repeated import RepeatedFeatures
from radiomics_npc.features.table import FAILURE_COLUMNS, FeatureTable
from radiomics_npc.fitting import Fitting
from radiomics_npc.imaging.checks import check_cohort
from radiomics_npc.landmark_leak import LandmarkTrace
from radiomics_npc.optional import require_torch
from radiomics_npc.provenance import software_versions
from radiomics_npc.registered_masks import RegisteredMasks, register_cohort
from radiomics_npc.report.content import write_run_report
from radiomics_npc.run_folder import RunFolder
from radiomics_npc.settings import StudySettings
from radiomics_npc.storage import FeatureStore, read_table, write_table
from radiomics_npc.study_acquisition import check_acquisition
from radiomics_npc.study_baseline import write_baseline
from radiomics_npc.study_figures import draw_montage, draw_nomogram, draw_quality
from radiomics_npc.survival.models.model_file import load_model
from radiomics_npc.survival.models.prepared import PreparedModel
from radiomics_npc.survival.validation.cross_validation import CrossValidation
from radiomics_npc.survival.validation.external import Validation, require_same_extraction, validate_model

__all__ = ["Study"]


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
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "clinical.csv").write_text("ID,T,months,died\\n001,T3,60,0\\n002,T4,12,1\\n")
    >>> outcome = {"time": "months", "unit": "months", "event": "died", "coding": "0/1"}
    >>> clinical = {"file": str(folder / "clinical.csv")}
    >>> study = Study({
    ...     "output": str(folder / "run"), "features": None, "models": None, "nomogram": None,
    ...     "cohort": {"layout": "clinical", "clinical": clinical, "outcome": outcome}})
    >>> study.check().ok, study.cohort
    (True, <Cohort: 2 patients, 1 events>)
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
        self._run = RunFolder(self.run_folder)
        self._contours: PredictedContours | None = None
        self._moved: RegisteredMasks | None = None
        self._features: FeatureTable | None = None
        self._repeats: RepeatedFeatures | None = None
        self._varied: RepeatedFeatures | None = None
        self._validation: CrossValidation | None = None
        self._report: CheckReport | None = None
        self._store = FeatureStore(self.run_folder / "cache")

    def __repr__(self) -> str:
        return f"<Study {self.settings.name}>"

    @cached_property
    def cohort(self) -> Cohort:
        """Patients, clinical table and outcome, as read from disk."""
        return read_cohort(self.settings.cohort)

    @property
    def _modelled(self) -> Cohort:
        """The cohort with the endpoint that is modelled as its outcome."""
        endpoint = None if self.settings.models is None else self.settings.models.endpoint
        if endpoint is None:
            return self.cohort
        return replace(self.cohort, outcome=self.cohort.outcomes[endpoint])

    @property
    def _contoured(self) -> Cohort:
        """The cohort with the masks that are measured."""
        contours = None if self.settings.segmentation is None else self.segment()
        moved = None if self.settings.registration is None else self.register()
        made = contours or moved
        return self.cohort if made is None else made.cohort

    @cached_property
    def _landmarks(self) -> LandmarkTrace:
        """Whose images the intensity landmarks were learnt from."""
        return LandmarkTrace(self.settings, self.cohort)

    @property
    def failures(self) -> pd.DataFrame:
        """Patients whose work failed so far."""
        path = self.run_folder / "failures.csv"
        return read_table(path) if path.exists() else pd.DataFrame(columns=FAILURE_COLUMNS)

    # -- stages ------------------------------------------------------------------------------

    def check(self) -> CheckReport:
        """List every fault of the cohort at once; write check.csv and check.html."""
        if self.settings.features is not None:  # a fault in these files should not wait for the extraction
            for sequence in self.settings.cohort.sequences:
                extraction_recipe(self.settings.features, sequence, self.cohort.on_mismatch)
        missing = "error" if self.settings.segmentation is None else "predict"
        moved = self.settings.registration
        with self._run.stage("check"):
            report = check_cohort(
                self.cohort, jobs=self.settings.jobs, missing_masks=missing,
                masks_from=None if moved is None else moved.masks_from,
            )  # fmt: skip
            tables, jobs = self._run.tables, self.settings.jobs
            odd = check_acquisition(self.cohort, tables, jobs=jobs) if report.ok else []
            found = [*report.findings, *odd, *self._landmarks.findings()]
            report = CheckReport(found, report.image_quality)
            report.write(self.run_folder)
        return report

    def segment(self) -> PredictedContours | None:
        """Check, then predict the masks that are missing, or all; None where the study does not ask.

        Raises
        ------
        CheckFailedError
            The check found errors: nothing was run.
        ConfigError, ModelFileError
            torch is not installed; the model is absent, damaged or altered.
        """
        wanted = self.settings.segmentation
        if wanted is not None:
            require_torch()  # before an hour of checking
        report, jobs = self._prepare(), self.settings.jobs
        if wanted is not None and self._contours is None:
            with self._run.stage("segment"):
                self._contours = segment_cohort(self.cohort, wanted, self._run, report, jobs=jobs)
        return self._contours

    def register(self) -> RegisteredMasks | None:
        """Check, then move the masks of one sequence to those without; None where the study does not ask.

        Raises
        ------
        CheckFailedError
            The check found errors: nothing was run.
        """
        wanted, report = self.settings.registration, self._prepare()
        if wanted is not None and self._moved is None:
            with self._run.stage("register"):
                self._moved = register_cohort(
                    self.cohort, wanted, self._run, report, jobs=self.settings.jobs,
                    random_state=self.settings.seed,
                )  # fmt: skip
                found = [*report.findings, *self._moved.findings()]
                self._report = CheckReport(found, report.image_quality)
        return self._moved

    def extract(self) -> FeatureTable | None:
        """Check, segment or register if asked, then extract the features of all cases; None without images.

        Raises
        ------
        CheckFailedError
            The check found errors: nothing was run.
        """
        contours, moved, cohort = self.segment(), self.register(), self._contoured
        if self.settings.features is not None and self._features is None:
            with self._run.stage("extract"):
                found = extract_features(
                    cohort, self.settings.features, jobs=self.settings.jobs, store=self._store
                )
                if (earlier := contours or moved) is not None:
                    failures = merge_failures(earlier.failures, found.failures, cohort.sequences)
                    found = replace(found, failures=failures)
                found.write(self.run_folder / "tables")
                write_table(self.run_folder / "failures.csv", found.failures)
                draw_montage(cohort, found, self._run, None if contours is None else contours.drawn)
                self._features = found
            draw_quality(cohort, found, self._prepare(), self.settings, self._run, contours)
        return self._features

    def perturb(self) -> RepeatedFeatures | None:
        """Measure features again under perturbed masks and images; None where the study does not ask."""
        wanted = self.settings.features
        if wanted is None or wanted.stability is None:
            return None
        if self._repeats is None:
            with self._run.stage("perturb"):
                self._repeats = extract_perturbed(
                    self._contoured, wanted, patients=wanted.stability.patients, jobs=self.settings.jobs,
                    store=self._store, random_state=self.settings.seed,
                )  # fmt: skip
                write_table(self._run.tables / "stability.csv", self._repeats.stability())
                write_table(self._run.tables / "stability_failures.csv", self._repeats.failures)
        return self._repeats

    def vary(self) -> RepeatedFeatures | None:
        """Measure features again under masks varied along their uncertainty; None if not asked for."""
        contours = self.segment()
        if contours is None or not contours.varied_patients or self.settings.features is None:
            return None
        if self._varied is None:
            with self._run.stage("vary"):
                self._varied = extract_contours(
                    contours.varied(), self.settings.features, jobs=self.settings.jobs, store=self._store
                )
                write_table(self._run.tables / "variation_failures.csv", self._varied.failures)
        return self._varied

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
            features, repeats, varied = self.extract(), self.perturb(), self.vary()
            with self._run.stage("fit"):
                fitting = Fitting(self.settings, self._modelled, features, repeats, self._run, varied)
                self._landmarks.require_unseen(fitting.data.y, fitting.held_out_by)
                self._validation = fitting.fit()
            drawn = None if self._contours is None else self._contours.drawn
            if drawn is not None and features is not None:
                with self._run.stage("compare"):
                    compare_models(fitting, drawn, self._validation, self._store)
        return self._validation

    def report(self) -> Path:
        """Write report.html, report.json and methods.md from what the run folder holds."""
        with self._run.stage("report"):
            return write_run_report(self.run_folder)

    def run(self) -> tuple[Path, ...]:
        """Do all stages; return the paths of what a reader opens first."""
        self.extract()
        if self.settings.models is not None:
            self.fit()
        self._run.forget_nomogram()
        drawn = False
        if self.settings.nomogram is not None:
            with self._run.stage("nomogram"):
                drawn = draw_nomogram(self.settings.nomogram, self._run)
        return (*([self.run_folder / "nomogram.html"] if drawn else []), self.report())

    def validate(self, model_folder: Path | str) -> Validation:
        """Validate a frozen model on this study's cohort.

        Raises
        ------
        ModelFileError
            The model file is damaged or altered.
        ConfigError
            The features of this study were extracted with other settings than the model's.
        """
        model = load_model(folder := Path(model_folder))
        self._landmarks.require_new()
        features = self.extract()
        require_same_extraction(model, features)
        say_other_contours(model, self._contours, self._run)
        clinical = model.table_columns if isinstance(model, PreparedModel) else model.columns_
        data = design_matrix(self._modelled, features, clinical=clinical)
        with self._run.stage("validate"):
            result = validate_model(model, data.X, data.y, resamples=200, random_state=self.settings.seed)
            write_table(self.run_folder / "tables" / f"validation_{folder.name}.csv", result.to_frame())
        return result

    # -- what the stages need ----------------------------------------------------------------

    def _prepare(self) -> CheckReport:
        """Check the cohort once, and start the run folder with who is in it."""
        if self._report is not None:
            return self._report
        self._run.sweep()
        report = self.check()
        if not report.ok:
            report.print()
            found = f"{len(report.errors)} error{'s' if len(report.errors) > 1 else ''}"
            raise CheckFailedError(
                f"the check found {found}: nothing was run",
                f"Open check.html in {self.run_folder.name}, mend them, and run again.",
            )
        self._run.keep_settings(self.settings)
        if self.settings.segmentation is None:
            self._run.forget_contours()
        if self.settings.registration is None:
            self._run.forget_registration()
        write_baseline(self.cohort, self._run.tables)
        write_table(self.run_folder / "failures.csv", pd.DataFrame(columns=FAILURE_COLUMNS))
        self._run.record(
            simulated=self.cohort.simulated, patients=len(self.cohort), versions=software_versions(),
            seed=self.settings.seed,
        )  # fmt: skip
        self._report = report
        return report
