"""Training of one network: resumable at any step, and the same weights with or without a stop.

Every batch is drawn from the seed and its own step alone, so nothing of a
generator has to be saved: a checkpoint is weights, moving average, moments of
the optimizer, and a number.
"""

from __future__ import annotations

import copy
import json
import math
import platform
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from radiomics_npc._version import __version__
from radiomics_npc.errors import ConfigError
from radiomics_npc.segmentation.curves import Curves
from radiomics_npc.segmentation.losses import NODE_WEIGHT, LossName, LossParts, segmentation_loss
from radiomics_npc.segmentation.networks import build_network, parameter_count
from radiomics_npc.segmentation.run_files import (
    Checkpoint,
    digest,
    read_checkpoint,
    write_checkpoint,
    write_json,
)
from radiomics_npc.segmentation.slabs import SlabSource

__all__ = ["CHECKPOINT", "TrainingSettings", "train", "trained_network", "uses_bf16"]

CHECKPOINT = "checkpoint.safetensors"
# what may differ between a run and its continuation
_FREE = ("checkpoint_minutes", "log_steps", "tensorboard")

Report = Callable[[str], None]


@dataclass(frozen=True)
class TrainingSettings:
    """How one network is trained.

    Parameters
    ----------
    architecture : dict
        See `networks.build_network`.
    steps, batch : int
        Batches, and slabs in each.
    learning_rate, weight_decay : float
        Highest rate; decay of the weights of convolutions (not of scales and shifts).
    optimizer : {"adamw", "adam"}
    schedule : {"cosine", "constant"}
        After the warm-up: cosine to zero, or the same rate to the end.
    warmup : int
        Steps in which the rate rises from zero.
    ema : float
        Decay of the moving average of the weights, which is what is kept; 0 keeps the last weights.
    clip : float
        Largest norm of the gradient.
    loss : {"dice_bce", "dice"}
    node_weight : float
        Of the nodes' loss against the primary tumor's.
    precision : {"auto", "bf16", "fp32"}
        auto takes bf16 where the device computes in it.
    seed : int
    checkpoint_minutes : float
    log_steps : int
        Steps of a row of ``curves.csv``.
    tensorboard : bool
    """

    architecture: dict[str, Any] = field(default_factory=lambda: {"name": "slab_unet"})
    steps: int = 20_000
    batch: int = 16
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    optimizer: Literal["adamw", "adam"] = "adamw"
    schedule: Literal["cosine", "constant"] = "cosine"
    warmup: int = 200
    ema: float = 0.999
    clip: float = 1.0
    loss: LossName = "dice_bce"
    node_weight: float = NODE_WEIGHT
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    seed: int = 1
    checkpoint_minutes: float = 5.0
    log_steps: int = 50
    tensorboard: bool = False

    def rate(self, step: int) -> float:
        """Learning rate of a step, counted from 0.

        Examples
        --------
        >>> settings = TrainingSettings(steps=110, warmup=10, learning_rate=1.0)
        >>> settings.rate(4), settings.rate(10), round(settings.rate(60), 6)
        (0.5, 1.0, 0.5)
        """
        if step < self.warmup:
            return self.learning_rate * (step + 1) / self.warmup
        if self.schedule == "constant":
            return self.learning_rate
        share = (step - self.warmup) / max(1, self.steps - self.warmup)
        return self.learning_rate * 0.5 * (1.0 + math.cos(math.pi * share))


def uses_bf16(precision: str, device: torch.device) -> bool:
    """Whether a precision means 16-bit multiplication on a device.

    Examples
    --------
    >>> uses_bf16("fp32", torch.device("cpu")), uses_bf16("bf16", torch.device("cpu"))
    (False, True)
    """
    if precision != "auto":
        return precision == "bf16"
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    native = getattr(torch.cpu, "_is_avx512_bf16_supported", None)  # elsewhere bf16 is emulated, hence slow
    return device.type == "cpu" and native is not None and bool(native())


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
        ``out`` holds a run and ``resume`` is off, or that run had other settings or data.

    Notes
    -----
    A stop (Ctrl-C, SIGTERM) lets the step end, saves and then stops. On a CPU a
    stopped and resumed run has bit for bit the weights of an unbroken one of as
    many threads; on a GPU as nearly as its kernels are reproducible.
    """
    device = torch.device(device)
    run = _Run(settings, source, out, device, start)
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


class _Run:
    """Everything of a training that changes from step to step."""

    def __init__(
        self,
        settings: TrainingSettings,
        source: SlabSource,
        out: Path,
        device: torch.device,
        start: nn.Module | None,
    ) -> None:
        self.settings, self.source, self.out, self.device = settings, source, out, device
        self.bf16 = uses_bf16(settings.precision, device)
        # images of a GPU lie with channels last; a CPU was measured to be no faster for it
        self.layout = torch.channels_last if device.type == "cuda" else torch.contiguous_format
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            network = build_network(settings.architecture)
        if start is not None:
            network.load_state_dict(start.state_dict())
        moved = network.to(device, memory_format=self.layout)  # type: ignore[call-overload]  # not in its stubs
        self.network: nn.Module = moved.train()
        self.average = copy.deepcopy(self.network) if settings.ema > 0 else None
        self.optimizer = _optimizer(self.network, settings)
        self.data = digest([*source.names, json.dumps(getattr(source, "about", None), sort_keys=True)])

    def draw_step(self, step: int) -> LossParts:
        """Train on the batch of one step."""
        settings = self.settings
        for group in self.optimizer.param_groups:
            group["lr"] = settings.rate(step)
        rng = np.random.default_rng([settings.seed, step])
        slabs = self.source.draw(rng, settings.batch, self.device)
        with torch.autocast(self.device.type, torch.bfloat16) if self.bf16 else nullcontext():
            logits = self.network(slabs.images, slabs.present)
        loss = settings.loss
        parts = segmentation_loss(
            logits, slabs.target, slabs.known, loss=loss, node_weight=settings.node_weight
        )
        self.optimizer.zero_grad(set_to_none=True)
        parts.total.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), settings.clip)
        self.optimizer.step()
        if self.average is not None:
            kept = min(settings.ema, (1 + step) / (10 + step))  # the first weights are soon forgotten
            with torch.no_grad():
                for mean, last in zip(self.average.parameters(), self.network.parameters(), strict=True):
                    mean.lerp_(last, 1 - kept)
        return parts

    def _named_moments(self) -> Iterator[tuple[str, nn.Parameter]]:
        for name, parameter in self.network.named_parameters():
            for moment in ("exp_avg", "exp_avg_sq"):
                yield f"{moment}.{name}", parameter

    def save(self, step: int, seconds: float) -> None:
        """Write the checkpoint of a number of steps done."""
        tensors: dict[str, Tensor] = {f"weights.{k}": v for k, v in self.network.state_dict().items()}
        if self.average is not None:
            tensors |= {f"ema.{k}": v for k, v in self.average.state_dict().items()}
        if step > 0:
            for name, parameter in self._named_moments():
                tensors[name] = self.optimizer.state[parameter][name.partition(".")[0]]
        state = {"step": step, "seconds": seconds, "settings": asdict(self.settings), "data": self.data}
        write_checkpoint(self.out / CHECKPOINT, Checkpoint(tensors, state))

    def refuse_existing(self) -> int:
        """Begin at step 0, unless there is a run that would be lost."""
        if (self.out / CHECKPOINT).exists():
            raise ConfigError(
                f"folder {self.out.name} already holds a training", "Resume it, or name another folder."
            )
        return 0

    def restore(self) -> int:
        """Take the state of the checkpoint, if there is one, and return the steps it has done."""
        if not (self.out / CHECKPOINT).exists():
            return 0
        found = read_checkpoint(self.out / CHECKPOINT)
        self._compare(found.state)
        for prefix, module in (("weights.", self.network), ("ema.", self.average)):
            if module is not None:
                module.load_state_dict(
                    {k.removeprefix(prefix): v for k, v in found.tensors.items() if k.startswith(prefix)}
                )
        step = int(found.state["step"])
        for name, parameter in self._named_moments() if step > 0 else ():
            state = self.optimizer.state[parameter]
            state.setdefault("step", torch.tensor(float(step)))
            state[name.partition(".")[0]] = torch.empty_like(parameter).copy_(found.tensors[name])
        return step

    def _compare(self, state: dict[str, Any]) -> None:
        now = asdict(self.settings)
        differ = [k for k, v in now.items() if k not in _FREE and state["settings"].get(k) != v]
        if state["data"] != self.data:
            differ.append("data")
        if differ:
            raise ConfigError(
                f"folder {self.out.name} holds a training with other {', '.join(differ)}",
                "Name another folder, or give the settings it was begun with.",
            )


def _optimizer(network: nn.Module, settings: TrainingSettings) -> torch.optim.Optimizer:
    decayed = [p for p in network.parameters() if p.ndim > 1]
    others = [p for p in network.parameters() if p.ndim <= 1]
    groups = [
        {"params": decayed, "weight_decay": settings.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    kind = torch.optim.AdamW if settings.optimizer == "adamw" else torch.optim.Adam
    return kind(groups, lr=settings.learning_rate)


def _steps(run: _Run, curves: Curves, step: int, stopped: list[int], report: Report) -> None:
    """Train from ``step`` to the end, or to the first stop."""
    settings = run.settings
    before, begun, saved = curves.seconds, time.monotonic(), time.monotonic()
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


def _describe(run: _Run, out: Path) -> None:
    """Write what the run is, before it starts."""
    about = {
        "settings": asdict(run.settings),
        "seed": run.settings.seed,
        "data": {"patients": len(run.source.names), "digest": run.data},
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
