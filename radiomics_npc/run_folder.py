"""The run folder: its record, its log, and what must not outlive a change of settings."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from radiomics_npc.config import portable_settings
from radiomics_npc.settings import MODEL_NAMES, StudySettings
from radiomics_npc.storage import TEMPORARY, write_json, write_text

__all__ = ["RunFolder"]

# What a fit and its report write, by name: the rest of these folders is of other stages, or of the user.
_BY_MODEL = [
    f"{part}_{model}.*"
    for part in (
        "hazard_ratios",
        "calibration",
        "shap",
        "proportional_hazards",
        "effects_over_time",
        "selection",
    )
    for model in MODEL_NAMES
]
_FIT_TABLES = [
    *_BY_MODEL, "cross_validation.json", "oracle.csv", "accuracy.csv", "calibration.csv",
    "calibration_groups.csv", "calibration_curves.csv", "reclassification.csv", "decision_curves.csv",
    "optimism.csv", "optimism_632.csv", "permutation_test.csv", "learning_curve.csv", "centers.csv",
    "centers_pooled.csv", "complete_cases.csv", "endpoint_*.csv", "contour_uncertainty*.csv",
    "restricted_means.csv", "pairwise_log_rank.csv", "sample_size.csv", "segmentation_c_index.csv",
    "surrogate_fidelity.csv", "surrogate_predictions.parquet", "subgroups.csv",
]  # fmt: skip
# What is said of predicted masks, and of that what compares them with drawn ones.
_COMPARISON = (
    "tables/segmentation_agreement.csv",
    "tables/segmentation_c_index.csv",
    "figures/contour_agreement.*",
)
_CONTOURS = (
    *_COMPARISON, "tables/segmentation.csv", "tables/variation_failures.csv", "figures/contour_volumes.*",
    "figures/contour_risk.*",
)  # fmt: skip
# A change of these makes other models.
_FITTED_BY = ("seed", "cohort", "segmentation", "registration", "features", "models", "validation")
_FIT_FIGURES = [
    *_BY_MODEL, "flow.*", "c_index.*", "kaplan_meier.*", "auc.*", "decision_curves.*", "learning_curve.*",
    "stability.*", "contour_risk.*",
]  # fmt: skip


class RunFolder:
    """Where a study writes.

    Parameters
    ----------
    path : Path
        Made when first written to.

    Examples
    --------
    >>> import tempfile
    >>> run = RunFolder(Path(tempfile.mkdtemp()))
    >>> run.record(seed=1)
    >>> run.read_record()
    {'seed': 1}
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.tables, self.models, self.figures = path / "tables", path / "models", path / "figures"

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Say where we are, and keep how long it took."""
        self.log(name)
        start = time.monotonic()
        yield
        seconds = round(time.monotonic() - start, 1)
        self.log(f"{name}: done in {seconds} s")
        self.record(seconds={**self.read_record().get("seconds", {}), name: seconds})

    def log(self, line: str) -> None:
        """Print a line and keep it in log.txt."""
        print(line, file=sys.stderr, flush=True)
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / "log.txt").open("a", encoding="utf-8") as stream:
            stream.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {line}\n")

    def sweep(self) -> None:
        """Remove what a run that was killed left half-written."""
        for stray in self.path.rglob(f"{TEMPORARY}*"):
            stray.unlink(missing_ok=True)

    def read_record(self) -> dict[str, Any]:
        """Return what run.json holds; empty at first."""
        path = self.path / "run.json"
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        return record

    def record(self, **entries: Any) -> None:
        """Put entries into run.json."""
        write_json(self.path / "run.json", {**self.read_record(), **entries})

    def keep_settings(self, settings: StudySettings) -> None:
        """Copy the settings into the run folder; results of other settings must not stand beside them."""
        path = self.path / "study.yaml"
        portable = portable_settings(settings, self.path)
        portable["output"] = "."
        text = yaml.safe_dump(portable, sort_keys=False, allow_unicode=True)
        before = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}
        now = yaml.safe_load(text)
        if before and any(before.get(part) != now[part] for part in _FITTED_BY):
            self.forget_fit()
        write_text(path, text)

    def forget_contours(self) -> None:
        """Remove what an earlier run said of predicted masks; the masks stay, to be found again."""
        if self.read_record().get("segmentation"):
            self.record(segmentation=None)
        self._forget(_CONTOURS)

    def forget_registration(self) -> None:
        """Remove what an earlier run said of moved masks; the masks stay, to be found again."""
        if self.read_record().get("registration"):
            self.record(registration=None)
        self._forget(("tables/registration.csv", "figures/registration.*"))

    def forget_comparison(self) -> None:
        """Remove what an earlier run found between predicted and drawn masks."""
        self._forget(_COMPARISON)

    def _forget(self, names: Iterable[str]) -> None:
        for path in [path for name in names for path in self.path.glob(name)]:
            path.unlink(missing_ok=True)

    def forget_fit(self) -> None:
        """Remove what an earlier fit left, so that nothing of it can be taken for a part of the next."""
        self.record(fit_key=None)
        self.forget_nomogram()
        old = [path for name in _FIT_TABLES for path in self.tables.glob(name)]
        old += [path for name in _FIT_FIGURES for path in self.figures.glob(name)]
        folders = [self.models / f"{m}{kind}" for m in MODEL_NAMES for kind in ("", "_surrogate")]
        old += [folder / name for folder in folders for name in ("model.json", "model.ubj", "card.md")]
        for path in old:
            path.unlink(missing_ok=True)
        for folder in folders:
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()

    def forget_nomogram(self) -> None:
        """Remove the nomogram of an earlier fit."""
        old = [
            self.tables / f"{name}.csv" for name in ("nomogram_points", "nomogram_total_points", "rad_score")
        ]
        old += [self.figures / f"{name}.{kind}" for name in ("nomogram", "nomogram_example")
                for kind in ("svg", "pdf", "png")]  # fmt: skip
        for path in (self.path / "nomogram.html", *old):
            path.unlink(missing_ok=True)
