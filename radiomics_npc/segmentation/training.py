"""Training of one network: resumable at any step, and the same weights with or without a stop.

Every batch is drawn from the seed and its own step alone, so nothing of a
generator has to be saved: a checkpoint is weights, moving average, moments of
the optimizer, and a number.
"""

from __future__ import annotations

import math
import platform
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from radiomics_npc._version import __version__
from radiomics_npc.errors import ConfigError
from radiomics_npc.segmentation.curves import Curves
from radiomics_npc.segmentation.hyperparameters import TrainingSettings
from radiomics_npc.segmentation.networks import build_network, parameter_count
from radiomics_npc.segmentation.run_files import read_checkpoint
from radiomics_npc.segmentation.slabs import SlabSource
from radiomics_npc.segmentation.training_run import CHECKPOINT, TrainingRun
from radiomics_npc.storage import write_json

__all__ = ["Report", "train", "trained_network", "versions"]

Report = Callable[[str], None]


def train(
    settings: TrainingSettings,
    source: SlabSource,
    out: Path,
    *,
    resume: bool = True,
    device: torch.device | str = "cpu",
    start: nn.Module | None = None,
    report: Report = print,
) -> Path:
    """Train one network.

    Parameters
    ----------
    settings : TrainingSettings
    source : SlabSource
    out : Path
        Folder of the run: ``checkpoint.safetensors``, ``curves.csv`` and ``.png``, ``run.json``.
    resume : bool
        Go on from the checkpoint in ``out``; without one, from the start.
    device : torch.device or str
    start : nn.Module, optional
        Network whose weights training begins with (fine-tuning), of the same architecture.
    report : callable
        Takes each line of progress.

    Returns
    -------
    Path
        ``out``; `trained_network` reads the network from it.

    Raises
    ------
    ConfigError
        ``out`` holds a run and ``resume`` is off, or that run had other settings, data, grid or start.

    Notes
    -----
    A stop (Ctrl-C, SIGTERM) lets the step end, saves and then stops. On a CPU a
    stopped and resumed run has bit for bit the weights of an unbroken one of as
    many threads; on a GPU as nearly as its kernels are reproducible.
    """
    device = torch.device(device)
    run = TrainingRun(settings, source, out, device, start)
    step = run.restore() if resume else run.refuse_existing()
    curves = Curves(out, step, tensorboard=settings.tensorboard)
    if step < settings.steps:
        _describe(run, out)
        with _stop_after_step() as stopped:
            _steps(run, curves, step, stopped, report)
        curves.draw()
    return out


def trained_network(out: Path) -> nn.Module:
    """Read the network of a run, its moving average where it has one.

    Raises
    ------
    ModelFileError
        There is no readable checkpoint.
    """
    checkpoint = read_checkpoint(out / CHECKPOINT)
    kept = "ema." if checkpoint.state["settings"]["ema"] > 0 else "weights."
    network = build_network(checkpoint.state["settings"]["architecture"])
    network.load_state_dict(
        {
            name.removeprefix(kept): value
            for name, value in checkpoint.tensors.items()
            if name.startswith(kept)
        }
    )
    return network.eval()


def _steps(run: TrainingRun, curves: Curves, step: int, stopped: list[int], report: Report) -> None:
    """Train from ``step`` to the end, or to the first stop."""
    settings = run.settings
    before, begun, saved = run.seconds, time.monotonic(), time.monotonic()
    window: list[Tensor] = []
    logged, logged_at = step, begun
    while step < settings.steps and not stopped:
        parts = run.draw_step(step)
        window.append(torch.cat([parts.total.detach()[None], parts.dice, parts.cross_entropy]))
        step += 1
        now = time.monotonic()
        if step % settings.log_steps == 0 or step == settings.steps:
            row = _row(step, window, settings, before + now - begun, (step - logged) / (now - logged_at))
            curves.add(row)
            left = (settings.steps - step) / max(row["samples_per_s"] / settings.batch, 1e-9)
            report(_line(row, settings.steps, left))
            window, logged, logged_at = [], step, now
        if now - saved > 60 * settings.checkpoint_minutes:
            run.save(step, before + now - begun)
            curves.draw()
            saved = now
    run.save(step, before + time.monotonic() - begun)
    if stopped:
        report(f"stopped and saved after step {step} of {settings.steps}; --resume goes on from there")
        raise KeyboardInterrupt if stopped[0] == signal.SIGINT else SystemExit(128 + stopped[0])


def _row(
    step: int, window: list[Tensor], settings: TrainingSettings, seconds: float, steps_per_s: float
) -> dict[str, Any]:
    loss, dice, dice_nodes, entropy, entropy_nodes = torch.stack(window).mean(0).tolist()
    if not math.isfinite(loss):
        raise ConfigError(
            f"the loss is no number at step {step}", "Lower learning_rate, or set precision: fp32."
        )
    return {
        "step": step,
        "loss": loss,
        "dice_primary": dice,
        "dice_nodes": dice_nodes,
        "entropy_primary": entropy,
        "entropy_nodes": entropy_nodes,
        "learning_rate": settings.rate(step - 1),
        "seconds": seconds,
        "samples_per_s": steps_per_s * settings.batch,
    }


def _line(row: dict[str, Any], steps: int, seconds_left: float) -> str:
    return (
        f"step {row['step']}/{steps}  loss {row['loss']:.3f}  "
        f"1-Dice {row['dice_primary']:.3f} (nodes {row['dice_nodes']:.3f})  "
        f"{row['samples_per_s']:.1f} slabs/s  {seconds_left / 60:.0f} min left"
    )


def _describe(run: TrainingRun, out: Path) -> None:
    """Write what the run is, before it starts."""
    about = {
        "settings": asdict(run.settings),
        "seed": run.settings.seed,
        "data": {"patients": len(run.source.names), "digest": run.origin["data"]},
        "parameters": parameter_count(run.network),
        "precision": "bf16" if run.bf16 else "fp32",
        "device": torch.cuda.get_device_name(run.device) if run.device.type == "cuda" else run.device.type,
        "threads": torch.get_num_threads(),
        "versions": versions(),
    }
    write_json(out / "run.json", about)


def versions() -> dict[str, str]:
    """Versions of what training computes with."""
    found = {"radiomics_npc": __version__, "torch": torch.__version__, "numpy": np.__version__}
    return {**{name: str(version) for name, version in found.items()}, "python": platform.python_version()}


@contextmanager
def _stop_after_step() -> Iterator[list[int]]:
    """Give a list that holds the signal's number once a stop is asked for."""
    asked: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield asked  # signals reach the main thread alone
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, lambda received, _: asked.append(received))
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
