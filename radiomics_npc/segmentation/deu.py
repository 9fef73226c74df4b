"""DEU, the dense-connectivity-embedding U-Net of Ye et al., for one to three sequences."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor, nn

from radiomics_npc.errors import ConfigError

__all__ = ["DEU", "remove_single_slices"]

_GROUPS = 8
_SLOPE = 0.1
_SEQUENCES = 3  # of a slab: t1, t2, ce_t1


def _normalized(channels: int) -> list[nn.Module]:
    return [nn.GroupNorm(_GROUPS, channels), nn.LeakyReLU(_SLOPE, inplace=True)]


def _two(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, 1, 1),
        *_normalized(outputs),
        nn.Conv2d(outputs, outputs, 3, 1, 1),
        *_normalized(outputs),
    )


class _Encoder(nn.Module):
    """Three convolutions, the last of stride 2; what it was given to halve is handed over too."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.convolutions = _two(inputs, outputs)
        self.halving = nn.Conv2d(outputs, outputs, 3, 2, 1)

    def forward(self, state: Tensor) -> tuple[Tensor, Tensor]:
        fine = self.convolutions(state)
        return fine, self.halving(fine)


class _Dense(nn.Module):
    """Every layer reads the outputs of all layers before it."""

    def __init__(self, inputs: int, growth: int, layers: int) -> None:
        super().__init__()
        inner = 4 * growth
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.GroupNorm(_GROUPS, inputs + layer * growth),
                nn.LeakyReLU(_SLOPE),
                nn.Conv2d(inputs + layer * growth, inner, 1),
                *_normalized(inner),
                nn.Conv2d(inner, growth, 3, 1, 1),
            )
            for layer in range(layers)
        )

    def forward(self, state: Tensor) -> Tensor:
        for layer in self.layers:
            state = torch.cat([state, layer(state)], 1)
        return state


class _Decoder(nn.Module):
    """Transposed convolution, the features of the encoder beside it, two convolutions."""

    def __init__(self, inputs: int, skipped: int, outputs: int, stride: int = 2) -> None:
        super().__init__()
        self.upward = nn.ConvTranspose2d(inputs, outputs, 3, stride, 1, output_padding=stride - 1)
        self.convolutions = _two(outputs + skipped, outputs)

    def forward(self, state: Tensor, skip: Tensor) -> Tensor:
        merged: Tensor = self.convolutions(torch.cat([self.upward(state), skip], 1))
        return merged


class DEU(nn.Module):
    """One encoder path a sequence, a dense block where they meet, a deconvolution decoder.

    Parameters
    ----------
    inputs : sequence of int
        Sequences that are read, as places in the order t1, t2, ce_t1: one to three of them.
    widths : sequence of four int
        Channels of the first encoder blocks, after the dense block, and of the
        two further encoder blocks; multiples of 8.
    growth, layers : int
        Channels that a layer of the dense block adds, a multiple of 8, and how many layers it has.
    normalization : {"minmax", "zscore"}
        The paper scales every image to 0-1; ``zscore`` takes slabs as they come.

    Notes
    -----
    As published: 2D (the center slice of a slab), GroupNorm of 8 groups after
    convolutions, leaky ReLU of slope 0.1, encoder blocks of three 3 x 3
    convolutions of which one has stride 2, dense layers GN-LReLU-conv1x1-GN-
    LReLU-conv3x3, transition of GN, 1 x 1 convolution and 2 x 2 average
    pooling, decoder blocks of a 3 x 3 deconvolution, concatenation and two
    3 x 3 convolutions with two GN and two LReLU, a 1 x 1 convolution with
    sigmoid; pure Dice loss, Adam at 1e-4, batch 1.

    What the paper leaves open, and what is done here:

    - *Widths, growth rate, number of dense layers, inner width of a dense
      layer* are in a figure only: 32, 64, 128, 256; 16; 4; four times the
      growth rate, as DenseNet has it.
    - *Five decoder blocks against four halvings* (first encoder block,
      transition, two further encoder blocks): four decoder blocks double, the
      fifth works at full resolution with a deconvolution of stride 1 beside
      the images themselves, the only thing of that size not yet joined.
    - *Decoder convolutions "with stride 2"* would undo the deconvolution: they
      have stride 1, and the deconvolution has stride 2.
    - *Order in an encoder block*: two convolutions with GN and LReLU, then the
      convolution of stride 2 without either (the text counts two of each); what
      stands before it is joined in the decoder. Of the dense block its output
      before the transition is joined.
    - *Dice on slices without tumor at batch 1* is 0/0: one pixel is added above
      and below (`losses.dice_losses`), so an empty slice rewards staying empty.
    - *Flipping and rescaling*: left-right flips, and factors of 0.9-1.1.
    - *One output for tumor and nodes together*: here two, the second of weight
      0.3; scores of their union are what compares with the paper.
    - *Removing components of a single slice* is published as post-processing
      and done for DEU only, see `remove_single_slices`.

    The images of absent sequences are zero; unlike the default network this one
    was not made for them. Sides that are no multiples of 16 are padded with zeros and cropped again.

    References
    ----------
    Ye Y, Cai Z, Huang B, et al. Fully-automated segmentation of nasopharyngeal
    carcinoma on dual-sequence MRI using convolutional neural networks. Front
    Oncol 2020;10:166. Huang G, Liu Z, van der Maaten L, Weinberger KQ. Densely
    connected convolutional networks. CVPR 2017.

    Examples
    --------
    >>> network = DEU(inputs=(0, 1), widths=(8, 8, 8, 8), growth=8, layers=2)
    >>> tuple(network(torch.randn(1, 3, 5, 48, 40), torch.ones(1, 3)).shape)
    (1, 2, 48, 40)
    """

    def __init__(
        self,
        inputs: tuple[int, ...] | list[int] = (0, 1),
        widths: tuple[int, ...] | list[int] = (32, 64, 128, 256),
        growth: int = 16,
        layers: int = 4,
        normalization: Literal["minmax", "zscore"] = "minmax",
    ) -> None:
        super().__init__()
        _check(list(inputs), list(widths), growth, layers, normalization)
        self.architecture: dict[str, Any] = {
            "name": "deu",
            "inputs": list(inputs),
            "widths": list(widths),
            "growth": growth,
            "layers": layers,
            "normalization": normalization,
        }
        self.inputs = list(inputs)
        self.minmax = normalization == "minmax"
        first, second, third, fourth = widths
        paths = len(self.inputs)
        self.paths = nn.ModuleList(_Encoder(1, first) for _ in self.inputs)
        dense = paths * first + layers * growth
        self.dense = _Dense(paths * first, growth, layers)
        self.transition = nn.Sequential(
            nn.GroupNorm(_GROUPS, dense), nn.Conv2d(dense, second, 1), nn.AvgPool2d(2)
        )
        self.encoders = nn.ModuleList([_Encoder(second, third), _Encoder(third, fourth)])
        self.decoders = nn.ModuleList(
            [
                _Decoder(fourth, fourth, third),
                _Decoder(third, third, second),
                _Decoder(second, dense, first),
                _Decoder(first, paths * first, first),
                _Decoder(first, paths, first, stride=1),
            ]
        )
        self.logits = nn.Conv2d(first, 2, 1)

    def forward(self, images: Tensor, present: Tensor) -> Tensor:
        """Return logits (b, 2, h, w) of the center slices of slabs (b, 3, k, h, w)."""
        stack = images[:, self.inputs, images.shape[2] // 2]
        height, width = stack.shape[-2:]
        if self.minmax:
            low, high = stack.amin((2, 3), keepdim=True), stack.amax((2, 3), keepdim=True)
            stack = (stack - low) / (high - low).clamp(min=1e-6)
        stack = nn.functional.pad(stack, (0, -width % 16, 0, -height % 16))
        pairs = [path(stack[:, place, None]) for place, path in enumerate(self.paths)]
        dense = self.dense(torch.cat([coarse for _, coarse in pairs], 1))
        skips = [stack, torch.cat([fine for fine, _ in pairs], 1), dense]
        state = self.transition(dense)
        for encode in self.encoders:
            fine, state = encode(state)
            skips.append(fine)
        for decode in self.decoders:
            state = decode(state, skips.pop())
        logits: Tensor = self.logits(state)
        return logits[..., :height, :width]


def _check(inputs: list[int], widths: list[int], growth: int, layers: int, normalization: str) -> None:
    if not inputs or len(set(inputs)) != len(inputs) or not set(inputs) <= set(range(_SEQUENCES)):
        raise ConfigError("DEU reads one to three different sequences", "Give inputs out of 0, 1 and 2.")
    if len(widths) != 4 or any(n < 1 or n % _GROUPS for n in (*widths, growth)) or layers < 1:
        raise ConfigError(
            f"DEU has four widths and a growth rate that are multiples of {_GROUPS}, and one layer or more"
        )
    if normalization not in ("minmax", "zscore"):
        raise ConfigError(f"DEU has no normalization {normalization}", "Take minmax or zscore.")


def remove_single_slices(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Remove components that lie in one slice alone, as the paper does after DEU.

    Parameters
    ----------
    mask : array of bool, shape (z, y, x)

    Returns
    -------
    array of bool, shape (z, y, x)

    Notes
    -----
    Components touch by faces, edges or corners. For DEU only: at slices of 5 mm
    the rule deletes small tumors that are real, so no other network uses it.

    Examples
    --------
    >>> mask = np.zeros((3, 4, 4), dtype=bool)
    >>> mask[:2, 0, 0] = mask[1, 3, 3] = True
    >>> int(remove_single_slices(mask).sum())
    2
    """
    labels, _ = ndimage.label(mask, np.ones((3, 3, 3)))
    places = ndimage.find_objects(labels)
    kept = [label for label, place in enumerate(places, 1) if place[0].stop - place[0].start > 1]
    return np.asarray(np.isin(labels, kept))
