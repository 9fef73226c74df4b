"""From a map of tissues to the images of an examination nobody made: every call is another scanner.

Contrasts are drawn in two ways. Most follow the physics of the spin echo with tissues, timing, field,
uptake and fat suppression jittered; the rest give every tissue a signal by chance (SynthSeg: Billot B et
al. Med Image Anal 2023;86:102789), so that the network learns shapes and not one scanner's gray values.
All steps are tensor operations and run on the device that trains.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from radiomics_npc.simulate.signal import enhance, spin_echo
from radiomics_npc.simulate.tissue import PROPERTIES, Tissue, tissue_table

__all__ = ["HeadMap", "Stack", "draw_signals", "draw_stack", "smooth_field", "take_stack"]

Floats = NDArray[np.float64]
FREE_CONTRAST: Final = 0.33

# share of the signal that fat suppression takes away
_FATTY: Final = {
    Tissue.FAT: 1.0, Tissue.MARROW: 0.85, Tissue.RED_MARROW: 0.35,
    Tissue.CONNECTIVE: 0.45, Tissue.GLAND: 0.35,
}  # fmt: skip
_SUPPRESSED: Final = {"t1": 0.10, "t2": 0.35, "ce_t1": 0.40}
_TIMING: Final = {
    "t1": ((350, 900), (8, 17)),
    "t2": ((2500, 7500), (62, 128)),
    "ce_t1": ((330, 1050), (2, 17)),
}
_TEETH_MM: Final = ((-48.0, -22.0), (-75.0, -35.0), (-28.0, 28.0))


@dataclass(frozen=True, eq=False)
class HeadMap:
    """One simulated head.

    Parameters
    ----------
    tissue : Tensor of uint8, shape (z, y, x)
        Labels of :class:`radiomics_npc.simulate.tissue.Tissue`.
    target : Tensor of uint8, shape (z, y, x)
        1 primary tumor, 2 metastatic node.
    spacing_mm, first_mm : tuple
        Of the map along z, y, x; where its first voxel lies from the nasopharynx.
    """

    tissue: Tensor
    target: Tensor
    spacing_mm: tuple[float, float, float]
    first_mm: tuple[float, float, float]


@dataclass(frozen=True)
class Stack:
    """Where the slices of an examination lie, z in mm; one row a sequence if they do not share them."""

    centers_mm: Floats
    spacing_mm: float
    thickness_mm: float


def draw_stack(rng: np.random.Generator, head: HeadMap, *, most: int = 40) -> Stack:
    """Spacing, thickness and coverage: mostly as in clinics (4.4 to 6.5 mm), else 2.5 to 7 mm.

    Parameters
    ----------
    rng : Generator
    head : HeadMap
    most : int
        Slices at most.
    """
    spacing = float(rng.uniform(4.4, 6.5) if rng.random() < 0.65 else rng.uniform(2.5, 7.0))
    thickness = (
        spacing * float(rng.uniform(0.65, 1.0)) if rng.random() < 0.8 else float(rng.uniform(2.0, 3.5))
    )
    low = head.first_mm[0]
    high = low + head.spacing_mm[0] * (head.tissue.shape[0] - 1)
    count = min(int((high - low - 4) / spacing), most)
    if rng.random() < 0.2:  # what was planned for a small region
        count = max(9, int(count * rng.uniform(0.55, 0.9)))
    middle = float(np.clip(rng.normal(3, 5), low + count * spacing / 2, high - count * spacing / 2))
    steps = np.arange(count, dtype=np.float64) - (count - 1) / 2
    return Stack(middle + spacing * steps, spacing, thickness)


def draw_signals(rng: np.random.Generator, free: float = FREE_CONTRAST) -> dict[str, NDArray[np.float32]]:
    """Signal of every tissue in every sequence.

    Parameters
    ----------
    rng : Generator
    free : float
        How often a sequence has signals by chance instead of by physics.

    Returns
    -------
    dict of array, shape (tissues,)
        For t1, t2, ce_t1; indexed by the label of the tissue.

    Examples
    --------
    >>> signals = draw_signals(np.random.default_rng(0))
    >>> sorted(signals), signals["t1"].shape == (len(Tissue),)
    (['ce_t1', 't1', 't2'], True)
    """
    table = _jittered(rng)
    spread = abs(float(rng.normal(0, 0.12)))
    signals = {}
    for sequence, (repetition, echo) in _TIMING.items():
        if rng.random() < free:
            signals[sequence] = _free(rng)
            continue
        t1, t2 = table["t1_ms"], table["t2_ms"]
        if sequence == "ce_t1":
            t1, t2 = (np.asarray(t, dtype=float) for t in enhance(t1, t2, table["gadolinium_mM"]))
        plain = spin_echo(table["density"], t1, t2, tr_ms=rng.uniform(*repetition), te_ms=rng.uniform(*echo))
        plain = plain * np.exp(rng.normal(0, spread, len(plain)))
        if rng.random() < _SUPPRESSED[sequence]:
            kept = rng.uniform(0.05, 0.4)
            for tissue, share in _FATTY.items():
                plain[tissue] *= 1 - share * (1 - kept)
        signals[sequence] = plain.astype(np.float32)
    return signals


def _jittered(rng: np.random.Generator) -> dict[str, Floats]:
    """Properties of the tissues of one patient at one field; marrow between fatty and red."""
    table = {name: np.asarray(v, dtype=float) for name, v in tissue_table(rng.uniform(1.0, 3.0)).items()}
    for name, spread in (("t1_ms", 0.10), ("t2_ms", 0.12), ("density", 0.05), ("gadolinium_mM", 0.40)):
        table[name] = table[name] * np.exp(rng.normal(0, spread, len(Tissue)))
    red = rng.random() ** 2
    for values in table.values():
        values[Tissue.MARROW] += red * (values[Tissue.RED_MARROW] - values[Tissue.MARROW])
    # flow: from void to bright
    for vessel in (Tissue.ARTERY, Tissue.VEIN):
        table["density"][vessel] = rng.uniform(0.03, 0.9)
    table["gadolinium_mM"] *= np.exp(rng.normal(0, 0.3))
    return table


def _free(rng: np.random.Generator) -> NDArray[np.float32]:
    """A signal by chance for every tissue; air, and mostly cortical bone, stay dark."""
    signals = rng.uniform(0.08, 1.0, len(Tissue))
    signals[Tissue.AIR] = rng.uniform(0, 0.04)
    if rng.random() < 0.8:
        signals[Tissue.BONE] = rng.uniform(0, 0.12)
    return signals.astype(np.float32)


def smooth_field(shape: tuple[int, ...], knots: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Gaussian field of about unit variance, 2D or 3D: normal numbers at a few knots, joined linearly.

    Examples
    --------
    >>> smooth_field((8, 20, 20), (2, 4, 4), torch.Generator().manual_seed(1)).shape
    torch.Size([8, 20, 20])
    """
    values = torch.randn((1, 1, *knots), generator=generator, device=generator.device)
    mode = "trilinear" if len(shape) == 3 else "bilinear"
    field = functional.interpolate(values, size=shape, mode=mode, align_corners=True)[0, 0]
    # linear interpolation halves the variance between two knots: two thirds on average, a dimension
    return field * (1.5 ** (len(shape) / 2))


def take_stack(
    head: HeadMap,
    stack: Stack,
    signals: dict[str, NDArray[np.float32]],
    rng: np.random.Generator,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Slices of all sequences, in the plane of the map; faults of the scanner come after.

    Parameters
    ----------
    head : HeadMap
    stack : Stack
    signals : dict
        From :func:`draw_signals`.
    rng, generator : generators
        For numbers and for fields.

    Returns
    -------
    images : Tensor, shape (s, slices, y, x)
    target : Tensor, shape (2, slices, y, x)
        Share of primary tumor and of nodes in each slice, 0 to 1.
    """
    device = head.tissue.device
    index = head.tissue.int()
    # heads are dithered along z against steps: thinner labels would show it
    rows = _slice_rows(head, stack.centers_mm, 3.0)
    target = torch.stack([_average((head.target == k).float(), rows) for k in (1, 2)])
    # grain belongs to the slices: drawn in the map it would cost four times as much and be averaged away
    texture = torch.as_tensor([PROPERTIES[t].texture for t in Tissue], dtype=torch.float32, device=device)
    grain = _average(_lookup(texture, index), rows) * _grain(head, len(rows), rng, generator)
    mottle = float(rng.uniform(0, 0.3)) * target.sum(dim=0) * _field(head, len(rows), (4, 9), rng, generator)
    void = _metal(head, stack, rng) if rng.random() < 0.12 else None
    images = []
    for sequence, table in signals.items():
        plain = _lookup(torch.as_tensor(table, device=device), index)
        image = _average(plain, _sequence_rows(head, stack, rng))
        image *= 1 + float(rng.uniform(0.4, 1.2)) * grain
        image *= torch.exp((1.0 if sequence == "t2" else -0.8 * (sequence == "ce_t1")) * mottle)
        images.append(image if void is None else image * void)
    return torch.stack(images), target


def _lookup(table: Tensor, index: Tensor) -> Tensor:
    return torch.index_select(table, 0, index.flatten()).view(index.shape)


def _average(volume: Tensor, rows: NDArray[np.float32]) -> Tensor:
    return torch.tensordot(torch.as_tensor(rows, device=volume.device), volume, dims=1)


def _field(
    head: HeadMap,
    slices: int,
    scale_mm: tuple[float, float],
    rng: np.random.Generator,
    generator: torch.Generator,
) -> Tensor:
    """Field over the slices, with structures as large as drawn; neighbors share large ones."""
    scale = float(rng.uniform(*scale_mm))
    _, rows, columns = head.tissue.shape
    plane = [max(2, round(n * d / scale)) for n, d in zip((rows, columns), head.spacing_mm[1:], strict=True)]
    return smooth_field((slices, rows, columns), (max(2, round(slices * 5 / scale)), *plane), generator)


def _grain(head: HeadMap, slices: int, rng: np.random.Generator, generator: torch.Generator) -> Tensor:
    fine = _field(head, slices, (2.5, 4), rng, generator)
    return 0.7 * fine + 0.65 * _field(head, slices, (7, 14), rng, generator)


def _metal(head: HeadMap, stack: Stack, rng: np.random.Generator) -> Tensor:
    """Signal void around dental metal."""
    device = head.tissue.device
    radius = rng.uniform(8, 26)
    squares = []
    for axis, limits in enumerate(_TEETH_MM):
        n, step, first = head.tissue.shape[axis], head.spacing_mm[axis], head.first_mm[axis]
        position = stack.centers_mm if axis == 0 else first + step * np.arange(n)
        square = ((position - rng.uniform(*limits)) / radius) ** 2
        squares.append(torch.as_tensor(square, dtype=torch.float32, device=device))
    distance = squares[0][:, None, None] + squares[1][None, :, None] + squares[2][None, None, :]
    return 1 - torch.exp(-(distance**2))


def _slice_rows(head: HeadMap, centers_mm: Floats, thickness_mm: float) -> NDArray[np.float32]:
    """Rows that average the map over slices with soft edges."""
    z = head.first_mm[0] + head.spacing_mm[0] * np.arange(head.tissue.shape[0])
    width = max(thickness_mm, head.spacing_mm[0])
    distance = np.abs(centers_mm[:, None] - z) / (width / 2)
    weight = 1 / (1 + np.minimum(distance, 6) ** 8)
    return np.asarray(weight / weight.sum(axis=1, keepdims=True), dtype=np.float32)


def _sequence_rows(head: HeadMap, stack: Stack, rng: np.random.Generator) -> NDArray[np.float32]:
    """Rows of one sequence: moved a little; now and then taken with other slices and resampled."""
    moved = stack.centers_mm + rng.normal(0, 0.4)
    if rng.random() < 0.75:
        return _slice_rows(head, moved, stack.thickness_mm)
    step = stack.spacing_mm * rng.uniform(0.7, 1.3)
    own = np.arange(moved[0] - rng.uniform(0, step), moved[-1] + step, step)
    position = np.clip((stack.centers_mm - own[0]) / step, 0, len(own) - 1.001)
    left = position.astype(int)
    weights = np.zeros((len(position), len(own)), dtype=np.float32)
    weights[np.arange(len(position)), left] = 1 - (position - left)
    weights[np.arange(len(position)), left + 1] += (position - left).astype(np.float32)
    return weights @ _slice_rows(head, own, min(stack.thickness_mm, step))
