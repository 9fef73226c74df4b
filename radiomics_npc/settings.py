"""What a study can be told: every setting with its type, its default and what contradicts it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import Field, model_validator

from radiomics_npc.cohort_settings import (
    SEQUENCES,
    ClinicalSettings,
    CohortSettings,
    EbvSettings,
    EndpointSettings,
    EventStatus,
    ExtraColumn,
    OutcomeSettings,
    Sequence,
    Settings,
)

__all__ = [
    "MODEL_NAMES",
    "SEQUENCES",
    "STANDARD_MODELS",
    "BoostingSettings",
    "ClinicalSettings",
    "CohortSettings",
    "EbvSettings",
    "EndpointSettings",
    "EventStatus",
    "ExtraColumn",
    "FeatureSettings",
    "HarmonizationSettings",
    "ModelName",
    "ModelSettings",
    "NomogramSettings",
    "OutcomeSettings",
    "RegistrationSettings",
    "SegmentationSettings",
    "Sequence",
    "StabilitySettings",
    "StudySettings",
    "ValidationSettings",
]

ModelName = Literal[
    "clinical_cox",
    "radiomics_cox",
    "combined_cox",
    "clinical_boosted",
    "radiomics_boosted",
    "combined_boosted",
    "clinical_forest",
    "radiomics_forest",
    "combined_forest",
]
MODEL_NAMES: tuple[ModelName, ...] = get_args(ModelName)
# Fitted unless a study says otherwise; forests are for comparison and cannot be saved.
STANDARD_MODELS = tuple(name for name in MODEL_NAMES if not name.endswith("_forest"))


class SegmentationSettings(Settings):
    """Masks predicted by a model, where none are drawn or for everybody."""

    model: Path | None = None
    device: Literal["auto", "cuda", "mps", "cpu"] = "auto"
    flips: bool = True
    when: Literal["missing", "always"] = "missing"
    probabilities: bool = False
    uncertainty: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _enough_variations(self) -> SegmentationSettings:
        if self.uncertainty == 1:
            raise ValueError("one variation has no spread: uncertainty needs 2 or more, or 0")
        return self


class RegistrationSettings(Settings):
    """Sequences without a mask take that of another one, moved along with it."""

    masks_from: Sequence = "ce_t1"
    method: Literal["rigid", "bspline", "deu"] = "rigid"
    interpolation: Literal["nearest", "level_set"] = "level_set"


class StabilitySettings(Settings):
    """Features measured again under perturbed masks and images; unstable ones are left out of the models."""

    patients: int = Field(default=30, ge=2)
    minimum: float = Field(default=0.75, ge=-1, le=1)


class FeatureSettings(Settings):
    """Extraction of radiomic and morphological features."""

    preset: Literal["iso1mm", "inplane2d", "native"] = "iso1mm"
    settings: dict[Sequence, Path] = Field(default_factory=dict)
    bias_correction: bool = False
    normalize: Literal["body", "image", "percentile", "nyul", "reference", "none"] = "body"
    landmarks: Path | None = None
    morphology: bool = True
    stability: StabilitySettings | None = None

    @model_validator(mode="after")
    def _landmarks(self) -> FeatureSettings:
        if (self.normalize == "nyul") != (self.landmarks is not None):
            raise ValueError("normalize: nyul and landmarks (a file made of other patients) belong together")
        return self


class HarmonizationSettings(Settings):
    """ComBat, fitted in every training fold: centers taken out of the features."""

    by: str = "center"
    protect: list[str] = Field(default_factory=list)
    unseen: Literal["error", "reference_free"] = "error"


class BoostingSettings(Settings):
    """What the boosted models minimize, and what they must not contradict."""

    objective: Literal["cox", "aft"] = "cox"
    tune: Literal["rounds", "grid"] = "rounds"
    monotone: dict[str, Literal[-1, 1]] = Field(default_factory=dict)


class ModelSettings(Settings):
    """Which models, from which columns."""

    fit: list[ModelName] = Field(default_factory=lambda: list(STANDARD_MODELS))
    clinical: list[str] = Field(default_factory=lambda: ["T", "N", "ebv_dna"])
    endpoint: str | None = None
    imputation: Literal["simple", "iterative", "complete_case"] = "simple"
    min_category: int = Field(default=10, ge=1)
    splines: dict[str, int] = Field(default_factory=dict)
    max_correlation: float = Field(default=0.9, gt=0, le=1)
    harmonize: HarmonizationSettings | None = None
    boosting: BoostingSettings = Field(default_factory=BoostingSettings)
    risk_groups: Literal["median", "tertiles", "maxstat"] = "tertiles"

    @model_validator(mode="after")
    def _of_the_columns(self) -> ModelSettings:
        unknown = sorted(set(self.splines) - set(self.clinical))
        if unknown:
            raise ValueError(f"splines names {', '.join(unknown)}, which is not among models.clinical")
        few = sorted(name for name, knots in self.splines.items() if not 3 <= knots <= 7)
        if few:
            raise ValueError(f"splines: {', '.join(few)} needs 3 to 7 knots")
        return self


class ValidationSettings(Settings):
    """How patients are held out, and what else tells how the models will do on others."""

    design: Literal["cross_validation", "leave_center_out", "temporal"] = "cross_validation"
    by: str | None = None
    cut: str | float | None = None
    folds: int = Field(default=5, ge=2)
    repeats: int = Field(default=10, ge=1)
    inner_folds: int = Field(default=5, ge=2)
    confidence: float = Field(default=0.95, gt=0, lt=1)
    bootstrap: int = Field(default=0, ge=0)
    permutations: int = Field(default=0, ge=0)
    learning_curve: bool = False

    @model_validator(mode="after")
    def _column(self) -> ValidationSettings:
        if self.design != "cross_validation" and self.by is None:
            raise ValueError(f"design {self.design} needs by (the column of the center, or of the date)")
        if self.cut is not None and self.design != "temporal":
            raise ValueError("cut belongs to design temporal")
        return self


class NomogramSettings(Settings):
    """Which model is drawn, for which horizons."""

    model: ModelName = "combined_cox"
    horizons_months: list[float] = Field(default_factory=lambda: [36.0, 60.0])
    quantiles: list[Annotated[float, Field(gt=0, lt=1)]] = Field(default_factory=list)
    surrogates: bool = True


class StudySettings(Settings):
    """All of study.yaml. ``features: null`` is a clinical-only study, ``models: null`` extraction only."""

    name: str = "study"
    output: Path = Path("run")
    seed: int = 20240101
    jobs: int = Field(default=0, ge=0)
    quality_page: bool = True
    cohort: CohortSettings
    segmentation: SegmentationSettings | None = None
    registration: RegistrationSettings | None = None
    features: FeatureSettings | None = Field(default_factory=FeatureSettings)
    models: ModelSettings | None = Field(default_factory=ModelSettings)
    validation: ValidationSettings = Field(default_factory=ValidationSettings)
    nomogram: NomogramSettings | None = Field(default_factory=NomogramSettings)

    @model_validator(mode="after")
    def _consistent(self) -> StudySettings:
        if self.models is not None and self.cohort.outcome is None:
            raise ValueError("models need cohort.outcome (or set models: null to extract only)")
        if self.models is not None and self.models.endpoint is not None:
            known = list(self.cohort.outcome.endpoints) if self.cohort.outcome is not None else []
            if self.models.endpoint not in known:
                raise ValueError(
                    f"models.endpoint {self.models.endpoint} is not among cohort.outcome.endpoints"
                    f" ({', '.join(known) or 'there are none'})"
                )
        if self.nomogram is not None and self.models is None:
            raise ValueError("nomogram needs models (set nomogram: null)")
        if self.nomogram is not None and self.models is not None:
            if self.nomogram.model not in self.models.fit:
                raise ValueError(f"nomogram.model {self.nomogram.model} is not among models.fit")
            if not self.nomogram.model.endswith("_cox"):
                raise ValueError("nomogram.model must be a Cox model: a boosted one has no points scale")
        if self.segmentation is not None and self.cohort.layout == "clinical":
            raise ValueError("segmentation needs images, which layout clinical has none of")
        if self.registration is not None:
            if self.cohort.layout == "clinical":
                raise ValueError("registration needs images, which layout clinical has none of")
            if self.registration.masks_from not in self.cohort.sequences:
                raise ValueError("registration.masks_from is not among cohort.sequences")
            if self.segmentation is not None:
                raise ValueError("masks are either predicted (segmentation) or moved (registration)")
        if self.segmentation is not None and len(self.cohort.regions) > 1:
            raise ValueError("segmentation predicts one region: leave cohort.regions out")
        harmonize = self.models.harmonize if self.models is not None else None
        left_out = self.validation.by if self.validation.design == "leave_center_out" else None
        if harmonize is not None and harmonize.by == left_out and harmonize.unseen == "error":
            raise ValueError(
                f"a {left_out} left out is not in training, and models.harmonize.unseen is error:"
                " set it to reference_free"
            )
        if self.models is not None and self.features is None:
            needing = [m for m in self.models.fit if not m.startswith("clinical")]
            if needing:
                raise ValueError(f"features is null, yet models.fit names {', '.join(needing)}")
        return self
