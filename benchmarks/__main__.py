"""One table: each job of ours beside its named peer, in the same run, as a ratio.

python -m benchmarks        (or: make bench)
"""

from __future__ import annotations

import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
from rich.console import Console
from rich.table import Table


def seconds(function: Callable[[], object], repeats: int = 5) -> float:
    """Median wall time of ``repeats`` calls, after one to warm up."""
    function()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def blob(shape: tuple[int, int, int], spacing: tuple[float, float, float], volume_cm3: float) -> np.ndarray:
    """An irregular connected region of about the given volume."""
    from scipy import ndimage

    rng = np.random.default_rng(1)
    sz, sy, sx = spacing[::-1]
    z, y, x = np.indices(shape)
    distance = np.sqrt(
        ((z - shape[0] / 2) * sz) ** 2 + ((y - shape[1] / 2) * sy) ** 2 + ((x - shape[2] / 2) * sx) ** 2
    )
    field = ndimage.gaussian_filter(rng.normal(size=shape), (1, 12, 12))
    score = distance + 4 * field / field.std()
    inside = int(volume_cm3 * 1000 / (sx * sy * sz))
    return score <= np.partition(score.ravel(), inside)[inside]


def vtk_mesh(mask: np.ndarray, spacing: tuple[float, float, float]) -> tuple[float, float]:
    """Volume and area as the toolkit of the published data set takes them."""
    from vtkmodules.util.numpy_support import numpy_to_vtk
    from vtkmodules.vtkCommonDataModel import vtkImageData
    from vtkmodules.vtkFiltersCore import vtkMarchingCubes, vtkMassProperties

    image = vtkImageData()
    image.SetDimensions(*mask.shape[::-1])
    image.SetSpacing(*spacing)
    image.GetPointData().SetScalars(numpy_to_vtk(mask.astype(np.uint8).ravel()))
    cubes = vtkMarchingCubes()
    cubes.SetInputData(image)
    cubes.SetValue(0, 0.5)
    mass = vtkMassProperties()
    mass.SetInputConnection(cubes.GetOutputPort())
    mass.Update()
    return mass.GetVolume(), mass.GetSurfaceArea()


def bench_morphology() -> tuple[float, float]:
    """Our mesh of a 9 cm3 mask against VTK's marching cubes and mass properties (peer has no diameter)."""
    from radiomics_npc.imaging.mesh import mesh_geometry

    spacing = (0.43, 0.43, 5.5)
    mask = blob((24, 512, 512), spacing, 9.0)
    return seconds(lambda: mesh_geometry(mask, spacing)), seconds(lambda: vtk_mesh(mask, spacing))


def bench_concordance() -> tuple[float, float]:
    """Harrell's C of 2,000 patients against lifelines."""
    from lifelines.utils import concordance_index

    from radiomics_npc.cohort.outcome import Outcome
    from radiomics_npc.survival.metrics.concordance import harrell_c

    rng = np.random.default_rng(1)
    y = Outcome(rng.exponential(40, 2000).round(1), rng.random(2000) < 0.4)
    risk = rng.normal(size=2000)
    return (
        seconds(lambda: harrell_c(y, risk)),
        seconds(lambda: concordance_index(y.time_months, -risk, y.event)),
    )


def bench_import() -> tuple[float, float]:
    """``import radiomics_npc`` against ``import radiomics``, each in a new interpreter."""

    def load(module: str) -> None:
        subprocess.run([sys.executable, "-c", f"import {module}"], check=True)

    return seconds(lambda: load("radiomics_npc")), seconds(lambda: load("radiomics"))


def main() -> None:
    """Print the table."""
    rows = [
        ("import (new interpreter)", "pyradiomics", bench_import),
        ("mesh of a 9 cm3 mask, with max diameter", "VTK, without diameter", bench_morphology),
        ("Harrell's C and its SE, n = 2,000", "lifelines, C alone", bench_concordance),
    ]
    table = Table(title=f"{platform.machine()}, Python {platform.python_version()}, one thread")
    for heading in ("job", "ours (s)", "peer", "peer (s)", "peer / ours"):
        table.add_column(heading)
    for job, peer, run in rows:
        ours, theirs = run()
        table.add_row(job, f"{ours:.4f}", peer, f"{theirs:.4f}", f"{theirs / ours:.2f}")
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
