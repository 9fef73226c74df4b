"""The state of a training: network, moving average, optimizer; saved, compared with, and taken up again."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor, nn

from radiomics_npc.errors import ConfigError
from radiomics_npc.segmentation.devices import uses_bf16
from radiomics_npc.segmentation.hyperparameters import TrainingSettings
from radiomics_npc.segmentation.losses import LossParts, segmentation_loss
from radiomics_npc.segmentation.networks import build_network
from radiomics_npc.segmentation.run_files import Checkpoint, digest, read_checkpoint, write_checkpoint
from radiomics_npc.segmentation.slabs import SlabSource

__all__ = ["CHECKPOINT", "TrainingRun"]

CHECKPOINT = "checkpoint.safetensors"
#: What may differ between a run and its continuation.
_FREE = ("checkpoint_minutes", "log_steps", "tensorboard")


class TrainingRun:
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
        self.seconds = 0.0  # that the steps before took
        self.origin = _origin(source, start)

    def draw_step(self, step: int) -> LossParts:
        """Train on the batch of one step."""
        settings = self.settings
        for group in self.optimizer.param_groups:
            group["lr"] = settings.rate(step)
        rng = np.random.default_rng([settings.seed, step])
        slabs = self.source.draw(rng, settings.batch, self.device, ease=settings.ease(step))
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
        state = {"step": step, "seconds": seconds, "settings": asdict(self.settings), **self.origin}
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
        step, self.seconds = int(found.state["step"]), float(found.state["seconds"])
        for name, parameter in self._named_moments() if step > 0 else ():
            state = self.optimizer.state[parameter]
            state.setdefault("step", torch.tensor(float(step)))
            state[name.partition(".")[0]] = torch.empty_like(parameter).copy_(found.tensors[name])
        return step

    def _compare(self, state: dict[str, Any]) -> None:
        now = json.loads(json.dumps(asdict(self.settings)))  # a list is stored for a tuple
        differ = [k for k, v in now.items() if k not in _FREE and state["settings"].get(k) != v]
        differ += [k for k, v in self.origin.items() if k in state and state[k] != v]
        if differ:
            raise ConfigError(
                f"folder {self.out.name} holds a training with other {', '.join(differ)}",
                "Name another folder, or give the settings it was begun with.",
            )


def _origin(source: SlabSource, start: nn.Module | None) -> dict[str, Any]:
    """What a training goes on with besides its settings: patients, grid, weights it began with."""
    grid = getattr(source, "grid", None)
    about = json.dumps(getattr(source, "about", None), sort_keys=True)
    return {
        "data": digest([*source.names, about]),
        "grid": None if grid is None else asdict(grid),
        "start": None if start is None else digest(_bytes(start)),
    }


def _bytes(network: nn.Module) -> bytes:
    return save({name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()})


def _optimizer(network: nn.Module, settings: TrainingSettings) -> torch.optim.Optimizer:
    decayed = [p for p in network.parameters() if p.ndim > 1]
    others = [p for p in network.parameters() if p.ndim <= 1]
    groups = [
        {"params": decayed, "weight_decay": settings.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    kind = torch.optim.AdamW if settings.optimizer == "adamw" else torch.optim.Adam
    return kind(groups, lr=settings.learning_rate)
