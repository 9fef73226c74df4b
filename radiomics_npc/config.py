"""``study.yaml`` as validated settings.

An unknown key is an error that names the nearest one; relative paths are
resolved from the folder of the file, so a study can be moved as a whole.
"""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from radiomics_npc.errors import ConfigError

__all__ = [
    "MODEL_NAMES",
    "SEQUENCES",
    "ClinicalSettings",
    "CohortSettings",
    "ExtraColumn",
    "FeatureSettings",
    "ModelSettings",
    "NomogramSettings",
    "OutcomeSettings",
    "Sequence",
    "StudySettings",
    "ValidationSettings",
    "config_path",
    "portable_settings",
    "preset_path",
    "read_settings",
]

Sequence = Literal["t1", "t2", "ce_t1"]
SEQUENCES: tuple[Sequence, ...] = ("t1", "t2", "ce_t1")

ModelName = Literal[
    "clinical_cox",
    "radiomics_cox",
    "combined_cox",
    "clinical_boosted",
    "radiomics_boosted",
    "combined_boosted",
]
MODEL_NAMES: tuple[ModelName, ...] = (
    "clinical_cox",
    "radiomics_cox",
    "combined_cox",
    "clinical_boosted",
    "radiomics_boosted",
    "combined_boosted",
)


class _Settings(BaseModel):
    """Base: frozen, unknown keys forbidden, everything described in configs/study.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ExtraColumn(_Settings):
    """A clinical column beyond the standard ones."""

    column: str
    kind: Literal["number", "factor"] = "factor"


class ClinicalSettings(_Settings):
    """The clinical table: which file, which columns, how values are read."""

    file: Path | None = None
    sheet: str | int = 0
    columns: dict[str, str] = Field(default_factory=dict)
    values: dict[str, dict[str, str | None]] = Field(default_factory=dict)
    missing: list[str] = Field(default_factory=list)
    extra: dict[str, ExtraColumn] = Field(default_factory=dict)
    keep: dict[str, list[str]] = Field(default_factory=dict)


class EventStatus(_Settings):
    """The column beside a progression date that says whether it is an event, and its words."""

    column: str
    coding: dict[str, Literal[0, 1]]


class OutcomeSettings(_Settings):
    """Time and event: either two columns, or dates from which both are made."""

    name: str = "progression-free survival"
    time: str | None = None
    unit: Literal["days", "months", "years"] | None = None
    event: str | None = None
    coding: Literal["0/1", "1/2"] | dict[str, Literal[0, 1]] | None = None
    start: str | None = None
    progression: list[str] = Field(default_factory=list)
    confirmed_by: dict[str, EventStatus] = Field(default_factory=dict)
    last_seen: str | None = None
    date_format: str = "%Y-%m-%d"
    censor_at_months: float | None = Field(default=60.0, gt=0)
    time_zero: Literal["keep", "exclude", "move"] = "keep"
    time_zero_months: float = Field(default=0.5, gt=0)
    negative_time: Literal["error", "exclude"] = "error"

    @model_validator(mode="after")
    def _one_way(self) -> OutcomeSettings:
        by_columns = self.time is not None or self.event is not None
        by_dates = self.start is not None
        if by_columns == by_dates:
            raise ValueError("give either time, unit, event and coding, or start, progression and last_seen")
        if by_columns and None in (self.time, self.unit, self.event, self.coding):
            raise ValueError("time, unit, event and coding belong together: none is guessed")
        if by_dates and (not self.progression or self.last_seen is None):
            raise ValueError("start needs progression (date columns) and last_seen")
        if not set(self.confirmed_by) <= set(self.progression):
            raise ValueError("confirmed_by names a date column that is not among progression")
        return self


class CohortSettings(_Settings):
    """Where the patients are and how to read them."""

    layout: Literal["published", "manifest", "clinical"] = "published"
    path: Path | None = None
    sequences: list[Sequence] = Field(default_factory=lambda: list(SEQUENCES))
    on_mismatch: Literal["error", "resample"] = "error"
    clinical: ClinicalSettings | None = Field(default_factory=ClinicalSettings)
    outcome: OutcomeSettings | None = None

    @model_validator(mode="after")
    def _paths(self) -> CohortSettings:
        if self.layout != "clinical" and self.path is None:
            raise ValueError(f"layout {self.layout} needs path (the folder, or the manifest CSV)")
        if self.layout == "clinical" and (self.clinical is None or self.clinical.file is None):
            raise ValueError("layout clinical needs clinical.file")
        if len(set(self.sequences)) != len(self.sequences) or not self.sequences:
            raise ValueError("sequences: name each of t1, t2, ce_t1 at most once, and at least one")
        return self


class FeatureSettings(_Settings):
    """Extraction of radiomic and morphological features."""

    preset: Literal["iso1mm", "inplane2d", "native"] = "iso1mm"
    settings: dict[Sequence, Path] = Field(default_factory=dict)
    normalize: Literal["body", "image", "none"] = "body"
    morphology: bool = True


class ModelSettings(_Settings):
    """Which models, from which columns."""

    fit: list[ModelName] = Field(default_factory=lambda: list(MODEL_NAMES))
    clinical: list[str] = Field(default_factory=lambda: ["T", "N", "ebv_dna"])
    min_category: int = Field(default=10, ge=1)
    max_correlation: float = Field(default=0.9, gt=0, le=1)
    risk_groups: Literal["median", "tertiles"] = "tertiles"


class ValidationSettings(_Settings):
    """Repeated stratified nested cross-validation."""

    folds: int = Field(default=5, ge=2)
    repeats: int = Field(default=10, ge=1)
    inner_folds: int = Field(default=5, ge=2)
    confidence: float = Field(default=0.95, gt=0, lt=1)


class NomogramSettings(_Settings):
    """Which model is drawn, for which horizons."""

    model: ModelName = "combined_cox"
    horizons_months: list[float] = Field(default_factory=lambda: [36.0, 60.0])


class StudySettings(_Settings):
    """All of study.yaml. ``features: null`` is a clinical-only study, ``models: null`` extraction only."""

    name: str = "study"
    output: Path = Path("run")
    seed: int = 20240101
    jobs: int = Field(default=0, ge=0)
    cohort: CohortSettings
    features: FeatureSettings | None = Field(default_factory=FeatureSettings)
    models: ModelSettings | None = Field(default_factory=ModelSettings)
    validation: ValidationSettings = Field(default_factory=ValidationSettings)
    nomogram: NomogramSettings | None = Field(default_factory=NomogramSettings)

    @model_validator(mode="after")
    def _consistent(self) -> StudySettings:
        if self.models is not None and self.cohort.outcome is None:
            raise ValueError("models need cohort.outcome (or set models: null to extract only)")
        if self.nomogram is not None and self.models is None:
            raise ValueError("nomogram needs models (set nomogram: null)")
        if self.nomogram is not None and self.models is not None:
            if self.nomogram.model not in self.models.fit:
                raise ValueError(f"nomogram.model {self.nomogram.model} is not among models.fit")
            if not self.nomogram.model.endswith("_cox"):
                raise ValueError("nomogram.model must be a Cox model: a boosted one has no points scale")
        if self.models is not None and self.features is None:
            needing = [m for m in self.models.fit if not m.startswith("clinical")]
            if needing:
                raise ValueError(f"features is null, yet models.fit names {', '.join(needing)}")
        return self

    @property
    def clinical_only(self) -> bool:
        """Whether the study has no images."""
        return self.features is None


def _fields_at(location: tuple[Any, ...]) -> list[str]:
    """Names of the settings that exist where an unknown key was found."""
    model: Any = StudySettings
    for part in location[:-1]:
        field = getattr(model, "model_fields", {}).get(part)
        if field is None:
            return []
        kinds = [field.annotation, *getattr(field.annotation, "__args__", ())]
        model = next((k for k in kinds if isinstance(k, type) and issubclass(k, BaseModel)), None)
    return list(getattr(model, "model_fields", {}))


def _explain(fault: Any) -> str:
    place = ".".join(str(part) for part in fault["loc"]) or "study"
    if fault["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(fault["loc"][-1]), _fields_at(fault["loc"]), 1, 0.5)
        return f"unknown key {place}" + (f" (did you mean {near[0]}?)" if near else "")
    return f"{place}: {fault['msg'].removeprefix('Value error, ')}"


def _resolve(settings: Any, base: Path) -> Any:
    """Anchor every relative path at the folder of the study file."""
    if isinstance(settings, Path):
        return settings if settings.is_absolute() else base / settings
    if isinstance(settings, BaseModel):
        changed = {name: _resolve(getattr(settings, name), base) for name in type(settings).model_fields}
        return settings.model_copy(update=changed)
    if isinstance(settings, dict):
        return {key: _resolve(value, base) for key, value in settings.items()}
    return settings


def read_settings(source: Path | str | dict[str, Any], *, base: Path | None = None) -> StudySettings:
    """Read and validate a study.

    Parameters
    ----------
    source : path or dict
        ``study.yaml``, or the same content as a dictionary.
    base : Path, optional
        Folder that relative paths start from; by default the folder of the
        file, or the current folder for a dictionary.

    Returns
    -------
    StudySettings

    Raises
    ------
    ConfigError
        The file is absent, is no YAML, or holds an unknown key or wrong value.
        All faults are listed, not only the first.

    Examples
    --------
    >>> read_settings({"cohort": {"path": "data"}, "modells": None})
    Traceback (most recent call last):
    ...
    radiomics_npc.errors.ConfigError: study: unknown key modells (did you mean models?). ...
    """
    name = "study"
    if isinstance(source, dict):
        content: Any = source
        base = base or Path.cwd()
    else:
        path = Path(source)
        name = path.name
        base = base or path.parent.absolute()
        try:
            content = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
        except FileNotFoundError:
            raise ConfigError(f"study file {name} does not exist", "Check the path.") from None
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            where = getattr(error, "problem_mark", None)
            line = f" at line {where.line + 1}" if where else ""
            raise ConfigError(f"{name} is not valid YAML{line}", "Check indentation and colons.") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{name} holds no settings", "Start from configs/study.yaml.")
    try:
        settings = StudySettings.model_validate(content)
    except ValidationError as error:
        faults = "; ".join(_explain(fault) for fault in error.errors())
        raise ConfigError(f"{name}: {faults}", "Every key is explained in configs/study.yaml.") from None
    resolved: StudySettings = _resolve(settings, base)
    return resolved


def portable_settings(settings: StudySettings, folder: Path) -> dict[str, Any]:
    """Return settings as plain data with paths relative to ``folder``, for a copy kept there.

    A path on another drive keeps its file name only, since no absolute path
    may enter a run folder.
    """

    def relative(value: Any) -> Any:
        if isinstance(value, Path):
            try:
                return Path(os.path.relpath(value, folder)).as_posix()
            except ValueError:
                return value.name
        if isinstance(value, dict):
            return {key: relative(item) for key, item in value.items()}
        return [relative(item) for item in value] if isinstance(value, list) else value

    plain: dict[str, Any] = relative(settings.model_dump())
    return plain


def config_path(name: str) -> Path:
    """Return a shipped settings file by its path under ``configs``.

    They lie in ``configs`` of a source checkout, and in the package where it
    was installed from a wheel.

    Raises
    ------
    ConfigError
        There is no such file.

    Examples
    --------
    >>> config_path("demo.yaml").name
    'demo.yaml'
    """
    package = Path(__file__).parent
    for folder in (package / "configs", package.parent / "configs"):
        if (folder / name).is_file():
            return folder / name
    raise ConfigError(f"there is no settings file {name} in this installation")


def preset_path(preset: str, sequence: str) -> Path:
    """Return the PyRadiomics settings of a preset for one sequence.

    Raises
    ------
    ConfigError
        There is no such preset or sequence.

    Examples
    --------
    >>> preset_path("iso1mm", "ce_t1").name
    'iso1mm_ce_t1.yaml'
    """
    try:
        return config_path(f"pyradiomics/{preset}_{sequence}.yaml")
    except ConfigError:
        raise ConfigError(
            f"there is no preset {preset} for {sequence}",
            "Presets are iso1mm, inplane2d and native; or name files of your own under features.settings.",
        ) from None
