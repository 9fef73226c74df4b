"""The fit of a study: its models, how they do on patients held out, and what else the same table tells.

Everything is written to the run folder as tables and model files, from which the
report is made; a fit of the same table and settings is found there and not repeated.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import pandas as pd

from radiomics_npc.cohort.cases import Cohort
from radiomics_npc.errors import ConfigError
from radiomics_npc.features.repeated import RepeatedFeatures
from radiomics_npc.features.table import FeatureTable
from radiomics_npc.fitted_surrogates import make_surrogates, with_surrogates
from radiomics_npc.further_validation import validate_further
from radiomics_npc.nomogram.style import mark_simulated, save_figure
from radiomics_npc.parallel import single_threaded
from radiomics_npc.provenance import software_versions
from radiomics_npc.report.shap_figure import beeswarm_figure
from radiomics_npc.run_folder import RunFolder
from radiomics_npc.settings import ModelSettings, StudySettings
from radiomics_npc.storage import content_key, frame_digest, write_table
from radiomics_npc.study_table import endpoint_tables, held_out_by, split_design, study_horizon, study_table
from radiomics_npc.survival.models.cohort_size import sample_size_warnings
from radiomics_npc.survival.models.model_file import save_model
from radiomics_npc.survival.models.prognostic import PrognosticModel
from radiomics_npc.survival.models.proportional_hazards import proportional_hazards_test
from radiomics_npc.survival.models.shap_values import shap_values
from radiomics_npc.survival.models.standard import candidate_parameters, standard_model
from radiomics_npc.survival.models.surrogate import SurrogateModel
from radiomics_npc.survival.validation.appraisal import appraise
from radiomics_npc.survival.validation.centers import center_scores
from radiomics_npc.survival.validation.contour_uncertainty import contour_uncertainty
from radiomics_npc.survival.validation.cross_validation import CrossValidation, cross_validate
from radiomics_npc.survival.validation.oracle import oracle_scores
from radiomics_npc.survival.validation.surrogate_fidelity import surrogate_fidelity

__all__ = ["Fitting"]


class Fitting:
    """What a study asks for under ``models`` and ``validation``.

    Parameters
    ----------
    settings : StudySettings
        With models.
    cohort : Cohort
    features : FeatureTable, optional
    repeats : RepeatedFeatures, optional
        Features under perturbations, where unstable ones are to be left out.
    run : RunFolder
    varied : RepeatedFeatures, optional
        Features under masks varied along the uncertainty of their prediction.

    Raises
    ------
    ConfigError
        The study asks for no models, or for a column that does not exist.
    """

    def __init__(
        self,
        settings: StudySettings,
        cohort: Cohort,
        features: FeatureTable | None,
        repeats: RepeatedFeatures | None,
        run: RunFolder,
        varied: RepeatedFeatures | None = None,
    ) -> None:
        if settings.models is None:
            raise ConfigError("the study says models: null", "Name the models to be fitted.")
        self.settings, self.cohort, self.features, self.repeats = settings, cohort, features, repeats
        self.run, self.varied = run, varied
        self.wanted: ModelSettings = settings.models
        self.data, self.loss = study_table(self.wanted, cohort, features)
        self.horizon_months = study_horizon(settings, self.data.y)
        self.held_out_by = held_out_by(settings, cohort, self.data.X.index)

    def fit(self) -> CrossValidation:
        """Fit and validate, or take both from the run folder if nothing changed."""
        found = self._finished()
        if found is not None:
            return found
        self.run.forget_fit()
        self._size_up()
        # One thread: sums in another order would change last digits, and tables their bytes.
        with single_threaded():
            # First, since a model that cannot be fitted to all patients is known in seconds.
            models = {name: model.fit(self.data.X, self.data.y) for name, model in self._models().items()}
            for name, model in models.items():
                self._save(name, model)
            result = self.cross_validate(
                self.wanted.fit, self.data.X.index, surrogates=with_surrogates(self.settings)
            )
            self._write(result)
            self._imitate(models, result)
            self._explain(models)
            self._move_contours(models)
            self._validate_further()
        self.run.record(fit_key=self.key())
        return result

    # -- the run folder ----------------------------------------------------------------------

    def key(self) -> str:
        """Content of all that the fit depends on."""
        by = self.held_out_by
        return content_key(
            frame_digest(self.data.X), frame_digest(self.data.y.to_frame()), self.data.y.name,
            self.cohort.simulated, self.data.excluded.to_dict("list"), self.horizon_months,
            None if self.features is None else self.features.settings,
            *(None if r is None else frame_digest(r.to_frame().reset_index())
              for r in (self.repeats, self.varied)),
            {name: frame_digest(y.to_frame()) for name, y in self.cohort.endpoints.items()},
            None if by is None else [str(value) for value in by],
            self.wanted.model_dump(mode="json"), self.settings.validation.model_dump(mode="json"),
            None if self.settings.nomogram is None else self.settings.nomogram.model_dump(mode="json"),
            self.settings.seed, software_versions(), self._segmenter(),
        )  # fmt: skip

    def _finished(self) -> CrossValidation | None:
        """The cross-validation in the run folder, if it is of this very design."""
        record = self.run.read_record()
        if record.get("fit_key") != self.key():
            return None
        names = ("cross_validation.json", "predictions.parquet", "failed_fits.csv", "selected_features.csv")
        parts = [self.run.tables / name for name in names]
        parts += [self.run.models / name / "model.json" for name in self.wanted.fit if _is_saved(name)]
        parts += [self.run.models / name / "model.json" for name in record.get("surrogates", [])]
        return CrossValidation.read(self.run.tables, self.data.y) if all(p.exists() for p in parts) else None

    def _size_up(self) -> None:
        """Say before anything is fitted whether the cohort is large enough (Riley et al.)."""
        counts = candidate_parameters(self.data.X, self.wanted.clinical, self.wanted.splines)
        # Trees look at the same columns, but are not counted in coefficients.
        name = f"{self._shown.partition('_')[0]}_cox"
        if counts[name]:
            for line in sample_size_warnings(self.data.y, counts[name], horizon_months=self.horizon_months):
                self.run.log(f"{name}: {line}")

    # -- models ------------------------------------------------------------------------------

    def _models(self) -> dict[str, PrognosticModel]:
        """The models that the study names, not fitted."""
        wanted = self.settings.features.stability if self.settings.features is not None else None
        return {
            name: standard_model(
                name, self.wanted, inner_folds=self.settings.validation.inner_folds,
                random_state=self.settings.seed,
                stability=None if self.repeats is None else self.repeats.to_frame(),
                min_stability=0.75 if wanted is None else wanted.minimum,
            )
            for name in self.wanted.fit
        }  # fmt: skip

    def _save(self, name: str, model: PrognosticModel | SurrogateModel) -> None:
        if _is_saved(name):
            made = None if self.features is None else self.features.settings
            save_model(
                model, self.run.models / name, name=name, simulated=self.cohort.simulated,
                settings={"features": made} | self._segmenter(), horizons_months=self._horizons(model),
            )  # fmt: skip

    def _segmenter(self) -> dict[str, Any]:
        """Which model predicted the contours, for the model file; nothing where they were drawn."""
        wanted, known = self.settings.segmentation, self.run.read_record().get("segmentation")
        if wanted is None or not known or not known["masks"]:
            return {}
        return {"contours": {k: known[k] for k in ("name", "sha256", "simulated")} | {"when": wanted.when}}

    def _horizons(self, model: PrognosticModel | SurrogateModel) -> list[float] | None:
        """Months that the nomogram is asked for, as far as the patients are followed."""
        wanted = self.settings.nomogram
        known = [] if wanted is None else [h for h in wanted.horizons_months if h <= model.follow_up_months_]
        return known or None

    def _imitate(self, models: dict[str, PrognosticModel], result: CrossValidation) -> None:
        """Write surrogates of the boosted models, and how well they imitate patients held out."""
        fidelity = surrogate_fidelity(
            result.imitations, self.data.y, confidence=self.settings.validation.confidence
        )
        self._put("surrogate_fidelity", fidelity.table)
        boosted = {name: models[name] for name in with_surrogates(self.settings)}
        made = dict(make_surrogates(boosted, self.data.X, self.data.y, fidelity, self.run))
        for name, surrogate in made.items():
            self._save(name, surrogate)
        self.run.record(surrogates=list(made))

    def _explain(self, models: dict[str, PrognosticModel]) -> None:
        """Proportional hazards of the Cox models, and what moves the risk in the boosted ones."""
        for name, model in models.items():
            if model.learner == "boosted":
                shap = shap_values(model.last_step, model.design(self.data.X))
                self._put(f"shap_{name}", shap.to_frame())
                figure = beeswarm_figure(shap)
                if self.cohort.simulated:
                    mark_simulated(figure)
                for kind in ("svg", "png"):
                    save_figure(figure, self.run.figures / f"shap_{name}.{kind}")
            elif model.learner == "cox" and model.cox_.penalizer_ == 0 and len(model.cox_.coef_):
                found = proportional_hazards_test(model.cox_, model.training_table_, self.data.y)
                self._put(f"proportional_hazards_{name}", found.to_frame())
                curves = []
                for term in found.table.index[:-1]:
                    with suppress(ConfigError):  # too few event times for a curve: the test stands alone
                        curves.append(found.smooth(term).assign(term=term))
                if curves:
                    self._put(f"effects_over_time_{name}", pd.concat(curves, ignore_index=True))

    def _move_contours(self, models: dict[str, PrognosticModel]) -> None:
        """How far the model that is shown moves its answer when the contour moves."""
        model = models[self._shown]
        for name, repeats in (("", self.repeats), ("_segmentation", self.varied)):
            if repeats is None or model.content == "clinical":
                continue
            values = repeats.finished("original")
            values = values[values.index.get_level_values("patient_id").astype(str).isin(self.data.X.index)]
            if values.empty:
                continue
            clinical = self.data.X[model.table_columns]
            found = contour_uncertainty(model, values, clinical, horizon_months=self.horizon_months)
            self._put(f"contour_uncertainty{name}", found.to_frame().reset_index())
            self._put(f"contour_uncertainty{name}_summary", found.summary().assign(model=self._shown))

    # -- validation --------------------------------------------------------------------------

    @property
    def _shown(self) -> str:
        """The model of the nomogram, or the last one named."""
        return self.wanted.fit[-1] if self.settings.nomogram is None else self.settings.nomogram.model

    def cross_validate(
        self, names: Iterable[str], patients: pd.Index, *, surrogates: Iterable[str] = ()
    ) -> CrossValidation:
        """Cross-validate some models on some patients, as the study says; nothing is written."""
        options, wanted, by = self.settings.validation, self.settings.nomogram, self.held_out_by
        models = {name: model for name, model in self._models().items() if name in set(names)}
        return cross_validate(
            models, self.data.X.loc[patients], self.data.y.loc(patients),
            folds=options.folds, repeats=options.repeats, random_state=self.settings.seed,
            design=split_design(options, None if by is None else by.reindex(patients)),
            jobs=self.settings.jobs, confidence=options.confidence, horizon_months=self.horizon_months,
            also_months=() if wanted is None else wanted.horizons_months, surrogates=list(surrogates),
        )  # fmt: skip

    def _validate_further(self) -> None:
        """What is asked for beyond the cross-validation, of the model that is shown."""
        name = self._shown
        found = validate_further(
            self._models()[name], self.data.X, self.data.y, self.settings, self.run,
            horizon_months=self.horizon_months,
        )  # fmt: skip
        for written, table in found:
            self._put(written, table.assign(model=name))

    # -- tables ------------------------------------------------------------------------------

    def _write(self, result: CrossValidation) -> None:
        """All that follows from the predictions of patients held out."""
        tables = self.run.tables
        result.write(tables)
        write_table(tables / "design_matrix.parquet", self.data.X.reset_index())
        write_table(tables / "design_matrix.csv", self.data.X.reset_index())
        write_table(tables / "outcome.csv", self.data.y.to_frame().reset_index())
        write_table(tables / "excluded.csv", self.data.excluded)
        found = appraise(result, random_state=self.settings.seed)
        for name, table in found.tables.items():
            self._put(name, table)
        self.run.record(appraisal_notes=list(found.notes))
        for model in result.models:
            self._put(f"selection_{model}", result.selection(model))
        if result.design["kind"] == "leave_center_out":
            centers = center_scores(result)
            self._put("centers", centers.to_frame())
            self._put("centers_pooled", centers.pooled)
        self._put("complete_cases", self.loss)
        for name, table in endpoint_tables(self.cohort):
            self._put(f"endpoint_{name}", table)
        path = self.settings.cohort.path
        # A manifest, or a part of a simulated cohort, has no truth beside it.
        if self.cohort.simulated and path is not None and (path / "truth.csv").exists():
            horizon = float(result.design["horizon_months"])
            write_table(tables / "oracle.csv", oracle_scores(path, self.data.y, horizon))

    def _put(self, name: str, table: pd.DataFrame) -> None:
        """Write a table that says by itself when its patients are simulated."""
        if len(table):
            marked = table.assign(simulated=True) if self.cohort.simulated else table
            write_table(self.run.tables / f"{name}.csv", marked)


def _is_saved(name: str) -> bool:
    """Whether a model of this name has a file: forests have none."""
    return not name.endswith("_forest")
