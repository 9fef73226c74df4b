"""The demo: simulated patients through the whole study."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from radiomics_npc._version import __version__
from radiomics_npc.config import config_path
from radiomics_npc.simulate.cohort import simulate_cohort
from radiomics_npc.storage import write_text
from radiomics_npc.study import Study

__all__ = ["run_demo"]


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
    asked_for: dict[str, Any] = {**asked, "version": __version__}
    return {key: written.get(key) for key in asked_for} == asked_for
