"""Seconds a patient by device: every row is a fresh interpreter, so that memory and loading are its own.

    python -m benchmarks.segmentation_speed MODEL PATIENTS DEVICE THREADS

prints one JSON object; ``benchmarks.segmentation`` calls it for every device.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd

DEU_SECONDS_A_SLICE = 0.02
REPEATS = 5


def measure(model: Path, patients: Path, device: str, threads: int) -> dict[str, Any]:
    """Load the model, warm up on one patient, then predict others; this process is taken up by it."""
    import SimpleITK as sitk

    from radiomics_npc.cohort.reading import read_cohort
    from radiomics_npc.imaging.reading import read_image

    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)
    begin = time.perf_counter()
    import torch

    from radiomics_npc.segmentation.prediction import load_segmenter

    torch.set_num_threads(threads)
    segmenter = load_segmenter(model, device=device)
    loading = time.perf_counter() - begin
    cases = read_cohort(patients).cases[: REPEATS + 1]
    seconds, slices, shapes = [], [], []
    for case in cases:
        images = {s: read_image(files.image) for s, files in case.images.items()}
        begin = time.perf_counter()
        segmenter.predict(images)
        seconds.append(time.perf_counter() - begin)
        slices.append(max(v.array.shape[0] for v in images.values()))
        shapes.append(images["t2"].array.shape)
    used, counted = seconds[1:] or seconds, slices[1:] or slices
    rows, columns = shapes[0][1:]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "device": _name(device, threads),
        "threads": threads,
        "images": f"{rows} x {columns} x {min(counted)} to {max(counted)}, 3 sequences",
        "patients": len(used),
        "loading_s": loading,
        "first_patient_s": seconds[0],
        "patient_s": statistics.median(used),
        "slice_s": sum(used) / sum(counted),
        "peak_memory_gb": peak / (1e9 if sys.platform == "darwin" else 1e6),
        "peak_device_memory_gb": torch.cuda.max_memory_allocated() / 1e9 if device == "cuda" else None,
    }


def _name(device: str, threads: int) -> str:
    if device == "cuda":
        import torch

        return f"GPU, {torch.cuda.get_device_name()}"
    return f"CPU ({platform.machine()}), {threads} thread{'s' if threads > 1 else ''}"


def measure_all(model: Path, patients: Path) -> pd.DataFrame:
    """One thread, two threads, and a GPU where there is one."""
    import torch

    wanted = [("cpu", 1), ("cpu", 2)] + ([("cuda", 2)] if torch.cuda.is_available() else [])
    rows = []
    for device, threads in wanted:
        command = [sys.executable, "-m", "benchmarks.segmentation_speed", str(model), str(patients)]
        environment = os.environ | {
            name: str(threads) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        }
        done = subprocess.run(
            [*command, device, str(threads)],
            check=True, capture_output=True, text=True, env=environment, cwd=Path(__file__).parents[1],
        )  # fmt: skip
        rows.append(json.loads(done.stdout.splitlines()[-1]))
    return pd.DataFrame(rows)


def page(table: pd.DataFrame, command: str) -> str:
    """The table as a page."""
    lines = [
        "# Segmentation: seconds a patient",
        "",
        f"`{command}`, Python {platform.python_version()}; simulated patients, median after one to warm up.",
        "Loading (import of torch, reading the weights) is apart. A patient is all three sequences, from",
        "images in memory to masks on every sequence's own grid, with flips and all networks of the model.",
        "",
        "| device | images | n | loading, s | a patient, s | a slice, s | beside DEU | peak memory, GB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in table.to_dict("records"):
        memory = f"{row['peak_memory_gb']:.2f}"
        if pd.notna(row["peak_device_memory_gb"]):
            memory += f", and {row['peak_device_memory_gb']:.2f} on the device"
        lines.append(
            f"| {row['device']} | {row['images']} | {row['patients']} | {row['loading_s']:.2f} |"
            f" {row['patient_s']:.2f} | {row['slice_s']:.3f} |"
            f" {row['slice_s'] / DEU_SECONDS_A_SLICE:.1f} x | {memory} |"
        )
    return "\n".join([*lines, "", _ASIDE, ""])


_ASIDE = """\
The DEU paper reports 0.02 s a slice and under 1 s a patient on a GTX 1080 Ti: one network, two sequences.
Aims: under 3 s a patient on two cores, under 0.3 s on a GPU, under 3 GB."""


def main() -> None:
    model, patients, device, threads = sys.argv[1:]
    print(json.dumps(measure(Path(model), Path(patients), device, int(threads))))


if __name__ == "__main__":
    main()
