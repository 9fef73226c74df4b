"""How one network is trained, in numbers that are checked."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

from radiomics_npc.errors import ConfigError
from radiomics_npc.segmentation.losses import NODE_WEIGHT, LossName

__all__ = ["TrainingSettings"]


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
    easy_steps : int
        Batches until which ever fewer patients are easy, from all of them at the first one: such images
        have contrasts by physics, every sequence and no faults. Hard ones alone teach nothing for long.
    easy_share : float
        Share of easy patients that stays to the end.
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

    Raises
    ------
    ConfigError
        A number is out of range.
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
    easy_steps: int = 0
    easy_share: float = 0.0
    loss: LossName = "dice_bce"
    node_weight: float = NODE_WEIGHT
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    seed: int = 1
    checkpoint_minutes: float = 5.0
    log_steps: int = 50
    tensorboard: bool = False

    def __post_init__(self) -> None:
        least = {
            "steps": 1, "batch": 1, "log_steps": 1, "warmup": 0, "learning_rate": 0, "weight_decay": 0,
            "ema": 0, "clip": 0, "node_weight": 0, "checkpoint_minutes": 0,
            "easy_steps": 0, "easy_share": 0,
        }  # fmt: skip
        wrong = [name for name, low in least.items() if not low <= getattr(self, name) < math.inf]
        if wrong or self.ema >= 1:
            name = wrong[0] if wrong else "ema"
            limits = "from 0 to below 1" if name == "ema" else f"{max(least[name], 0):g} or more"
            raise ConfigError(f"training.{name} is {getattr(self, name)}", f"It must be {limits}.")

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

    def ease(self, step: int) -> float:
        """Share of easy patients in a step, counted from 0.

        Examples
        --------
        >>> settings = TrainingSettings(easy_steps=100, easy_share=0.25)
        >>> settings.ease(0), settings.ease(50), settings.ease(99), TrainingSettings().ease(0)
        (1.0, 0.5, 0.25, 0.0)
        """
        rest = 1.0 - step / self.easy_steps if self.easy_steps else 0.0
        return max(self.easy_share, rest)
