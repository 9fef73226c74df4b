"""What a network in training is told about its two maps.

Simulated heads know the primary tumor and the nodes, real cases often the tumor
alone: what is not known of a slab adds nothing, neither to the loss nor to its
gradient.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["NODE_WEIGHT", "LossName", "LossParts", "dice_losses", "segmentation_loss"]

LossName = Literal["dice_bce", "dice"]
NODE_WEIGHT = 0.3
_SMOOTH = 1.0  # pixels; keeps an empty batch finite and rewards leaving it empty


@dataclass(frozen=True)
class LossParts:
    """A loss and what it is made of.

    Parameters
    ----------
    total : Tensor
        Scalar to be minimized.
    dice, cross_entropy : Tensor
        (2,) of primary tumor and nodes, without gradient; 0 where no slab knows the label.
    """

    total: Tensor
    dice: Tensor
    cross_entropy: Tensor


def dice_losses(probability: Tensor, target: Tensor, known: Tensor) -> Tensor:
    """Return one minus the soft Dice of each label, over all pixels of the batch at once.

    Parameters
    ----------
    probability, target : Tensor
        (b, l, h, w).
    known : Tensor
        (b, l), 1 where that slab's label is known.

    Returns
    -------
    Tensor
        (l,); of a label that nobody knows 0.

    Notes
    -----
    Over the batch rather than slab by slab: a slab without tumor has no Dice of
    its own, and a few falsely marked pixels in it should cost what they cost in
    a slab with tumor. One pixel is added above and below the fraction line.

    References
    ----------
    Milletari F, Navab N, Ahmadi SA. V-Net: fully convolutional neural networks
    for volumetric medical image segmentation. 3DV 2016.

    Examples
    --------
    >>> half = torch.tensor([[[[1.0, 1.0, 0.0]]]])
    >>> truth = torch.tensor([[[[0.0, 1.0, 1.0]]]])
    >>> dice_losses(half, truth, torch.ones(1, 1))  # 1 - (2 * 1 + 1) / (2 + 2 + 1)
    tensor([0.4000])
    """
    weight = known[:, :, None, None]
    shared = (weight * probability * target).sum((0, 2, 3))
    both = (weight * (probability + target)).sum((0, 2, 3))
    return 1.0 - (2.0 * shared + _SMOOTH) / (both + _SMOOTH)


def segmentation_loss(
    logits: Tensor,
    target: Tensor,
    known: Tensor,
    *,
    loss: LossName = "dice_bce",
    node_weight: float = NODE_WEIGHT,
) -> LossParts:
    """Dice of each known label, with binary cross-entropy or without.

    Parameters
    ----------
    logits, target : Tensor
        (b, 2, h, w): primary tumor and nodes.
    known : Tensor
        (b, 2).
    loss : {"dice_bce", "dice"}
        Dice plus mean cross-entropy, or Dice alone as DEU has it.
    node_weight : float
        Of the nodes; the primary tumor weighs 1.

    Returns
    -------
    LossParts
        Computed in 32 bit whatever the precision of the logits.

    Examples
    --------
    >>> truth = torch.tensor([[[[0.0, 1.0]], [[0.0, 0.0]]]])
    >>> sure = (truth - 0.5) * 60.0
    >>> float(segmentation_loss(sure, truth, torch.ones(1, 2)).total) < 1e-6
    True
    >>> float(segmentation_loss(-sure, truth, torch.zeros(1, 2)).total)
    0.0
    """
    logits, target, known = logits.float(), target.float(), known.float()
    dice = dice_losses(torch.sigmoid(logits), target, known)
    weights = dice.new_tensor([1.0, node_weight])
    entropy = functional.binary_cross_entropy_with_logits(logits, target, reduction="none").mean((2, 3))
    entropy = (entropy * known).sum(0) / known.sum(0).clamp(min=1.0)
    parts = dice + entropy if loss == "dice_bce" else dice
    return LossParts((weights * parts).sum(), dice.detach(), entropy.detach())
