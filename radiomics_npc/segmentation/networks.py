"""The default segmentation network: a U-Net that reads five neighboring slices of three sequences.

MRI of the nasopharynx is 5 mm thick and 0.4 mm fine, so a plane with its
neighbors tells a network more per multiplication than cubes would. Most of the
network works on half the pixels each way: the image is folded into channels
(pixel unshuffle), and a light pair of convolutions at full resolution draws the
edge. That takes 1.7 times less time than a U-Net of full resolution with fewer
parameters.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from radiomics_npc.errors import ConfigError
from radiomics_npc.segmentation.deu import DEU

__all__ = ["OUTPUTS", "SlabUNet", "build_network", "parameter_count"]

OUTPUTS = ("primary", "nodes")  # what the two channels of every network say
_SLOPE = 0.01
_RARE = -3.0  # a pixel is seldom tumor; to learn that first would take hundreds of steps


def _convolution(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
        nn.InstanceNorm2d(outputs, affine=True),
        nn.LeakyReLU(_SLOPE, inplace=True),
    )


def _plain(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, 1, 1), nn.LeakyReLU(_SLOPE, inplace=True))


def _pair(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(_convolution(inputs, outputs, stride), _convolution(outputs, outputs))


class SlabUNet(nn.Module):
    """2.5D U-Net: slices of several sequences in, two maps of the center slice out.

    Parameters
    ----------
    sequences : int
        Sequences of a slab, in a fixed order; an absent one is all zero.
    neighbors : int
        Slices of a slab.
    widths : sequence of int
        Channels at each resolution, from fine to coarse; one halving between two.
    fold : {1, 2}
        2 folds 2 x 2 pixels into channels before the first width, 1 does not.
    edge : int
        Channels of the full-resolution convolutions; only where ``fold`` is 2.

    Notes
    -----
    Every convolution of 3 x 3 but those of the edge is followed by an instance normalization with
    scale and shift (batches are small, scanners differ) and a leaky ReLU. Which
    sequences are present enters as one constant plane for each. Sizes that the
    halvings do not divide are padded at the right and lower border and cropped
    again.

    References
    ----------
    Ronneberger O, Fischer P, Brox T. U-Net: convolutional networks for
    biomedical image segmentation. MICCAI 2015. Shi W, et al. Real-time single
    image and video super-resolution using an efficient sub-pixel convolutional
    neural network. CVPR 2016 (the folding, there unfolded).

    Examples
    --------
    >>> network = SlabUNet(widths=(8, 16))
    >>> logits = network(torch.zeros(2, 3, 5, 30, 30), torch.ones(2, 3))
    >>> tuple(logits.shape)
    (2, 2, 30, 30)
    """

    def __init__(
        self,
        sequences: int = 3,
        neighbors: int = 5,
        widths: tuple[int, ...] | list[int] = (24, 48, 80, 112, 144),
        fold: int = 2,
        edge: int = 8,
    ) -> None:
        super().__init__()
        if len(widths) < 2 or fold not in (1, 2) or min(*widths, sequences, neighbors, edge) < 1:
            raise ConfigError(
                "the network needs two or more widths, a fold of 1 or 2, and no number below 1",
                "Mend the architecture section of the training file.",
            )
        self.architecture: dict[str, Any] = {
            "name": "slab_unet",
            "sequences": sequences,
            "neighbors": neighbors,
            "widths": list(widths),
            "fold": fold,
            "edge": edge,
        }
        planes = sequences * (neighbors + 1)
        self.fold = fold
        self.multiple = fold * 2 ** (len(widths) - 1)
        inputs = [planes * fold**2, *widths[:-1]]
        self.encoder = nn.ModuleList(
            _pair(a, b, 1 if level == 0 else 2)
            for level, (a, b) in enumerate(zip(inputs, widths, strict=True))
        )
        steps = list(zip(widths[:0:-1], widths[-2::-1], strict=True))  # coarse to fine
        self.upward = nn.ModuleList(nn.ConvTranspose2d(a, b, 2, 2) for a, b in steps)
        self.decoder = nn.ModuleList(_pair(2 * b, b) for _, b in steps)
        if fold == 2:
            # not normalized: that would give a slab without tumor as much contrast as one with
            self.edge_input = _plain(planes, edge)
            self.edge_upward = nn.ConvTranspose2d(widths[0], edge, 2, 2)
            self.edge_output = _plain(2 * edge, edge)
        self.logits = nn.Conv2d(edge if fold == 2 else widths[0], len(OUTPUTS), 1)
        assert self.logits.bias is not None
        nn.init.constant_(self.logits.bias, _RARE)

    def forward(self, images: Tensor, present: Tensor) -> Tensor:
        """Return logits (b, 2, h, w) of slabs (b, s, k, h, w) whose sequences are present (b, s) or not."""
        batch, sequences, _, height, width = images.shape
        planes = present.to(images.dtype)[:, :, None, None].expand(batch, sequences, height, width)
        stack = torch.cat([images.flatten(1, 2), planes], 1)
        stack = pad_to_multiple(stack, self.multiple)
        state = functional.pixel_unshuffle(stack, self.fold) if self.fold > 1 else stack
        skips = []
        for encode in self.encoder:
            state = encode(state)
            skips.append(state)
        skips.pop()
        for upward, decode in zip(self.upward, self.decoder, strict=True):
            state = decode(torch.cat([upward(state), skips.pop()], 1))
        if self.fold == 2:
            state = self.edge_output(torch.cat([self.edge_upward(state), self.edge_input(stack)], 1))
        logits: Tensor = self.logits(state)
        return logits[..., :height, :width]


def pad_to_multiple(stack: Tensor, multiple: int) -> Tensor:
    """Repeat the right and lower border until both sides are multiples, and at least two of them.

    One pixel alone has no spread an instance normalization could divide by.

    Examples
    --------
    >>> tuple(pad_to_multiple(torch.zeros(1, 1, 17, 40), 16).shape)
    (1, 1, 32, 48)
    """
    height, width = stack.shape[-2:]
    lower, right = (max(-(-side // multiple), 2) * multiple - side for side in (height, width))
    return functional.pad(stack, (0, right, 0, lower), mode="replicate") if lower or right else stack


def build_network(architecture: Mapping[str, Any]) -> nn.Module:
    """Make an untrained network from its description.

    Parameters
    ----------
    architecture : mapping
        ``name`` (``slab_unet`` or ``deu``) and the arguments of that class; what
        the attribute ``architecture`` of a network holds.

    Returns
    -------
    nn.Module
        ``forward(images (b, s, k, h, w), present (b, s)) -> logits (b, 2, h, w)``.

    Raises
    ------
    ConfigError
        There is no such network, or it takes no such argument.

    Examples
    --------
    >>> network = build_network({"name": "slab_unet", "widths": [8, 16]})
    >>> network.architecture["neighbors"]
    5
    """
    arguments = dict(architecture)
    name = arguments.pop("name", None)
    classes: dict[Any, type[nn.Module]] = {"slab_unet": SlabUNet, "deu": DEU}
    if name not in classes:
        raise ConfigError(f"there is no network {name}", f"Networks are {' and '.join(classes)}.")
    try:
        return classes[name](**arguments)
    except TypeError as error:
        raise ConfigError(
            f"network {name}: {str(error).partition('__init__() ')[2] or error}",
            "Mend the architecture section of the training file.",
        ) from None


def parameter_count(network: nn.Module) -> int:
    """Count the trained numbers of a network.

    Examples
    --------
    >>> parameter_count(nn.Linear(3, 2))
    8
    """
    return sum(parameter.numel() for parameter in network.parameters())
