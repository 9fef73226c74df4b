"""The run folder: its record, its log, and what must not outlive a change of settings."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from radiomics_npc.settings import MODEL_NAMES
from radiomics_npc.storage import write_json

__all__ = ["RunFolder"]


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

    def read_record(self) -> dict[str, Any]:
        """Return what run.json holds; empty at first."""
        path = self.path / "run.json"
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        return record

    def record(self, **entries: Any) -> None:
        """Put entries into run.json."""
        write_json(self.path / "run.json", {**self.read_record(), **entries})

    def forget_fit(self) -> None:
        """Remove what an earlier fit left, so that nothing of it can be taken for a part of the next."""
        self.record(fit_key=None)
        self.forget_nomogram()
        models, tables, figures = self.models, self.tables, self.figures
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

    def forget_nomogram(self) -> None:
        """Remove the nomogram of an earlier fit."""
        old = [
            self.tables / f"{name}.csv" for name in ("nomogram_points", "nomogram_total_points", "rad_score")
        ]
        old += [self.figures / f"nomogram.{kind}" for kind in ("svg", "pdf", "png")]
        for path in (self.path / "nomogram.html", *old):
            path.unlink(missing_ok=True)
