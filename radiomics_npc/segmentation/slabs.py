"""What a network sees: slabs of neighboring slices of up to three sequences, on one grid.

A robust z-score inside the window makes sequences of any scanner alike: median and interquartile range of
what is not air (Isensee F et al. Nat Methods 2021;18:203-211 z-scores by the volume; the median and the
range resist the bright rim of surface coils).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["NetworkGrid", "SlabSource", "Slabs", "slab_indices", "standardize", "take_slabs"]

_CLIP: Final = (-4.0, 6.0)
_SAMPLED: Final = 16_000


@dataclass(frozen=True)
class NetworkGrid:
    """The grid of the network.

    Parameters
    ----------
    pixel_mm : float
        In the plane.
    window : int
        Rows and columns around the middle of the body.
    neighbors : int
        Slices of a slab, an odd number; the middle one is segmented.
    least_spacing_mm : float
        Neighbors that lie nearer are skipped, so that a slab of thin slices shows as much of the head.
    """

    pixel_mm: float = 0.86
    window: int = 160
    neighbors: int = 5
    least_spacing_mm: float = 2.5


@dataclass(frozen=True, eq=False)
class Slabs:
    """A batch.

    Parameters
    ----------
    images : Tensor, shape (b, s, k, h, w)
        Standardized; 0 where a sequence is absent. Sequences in the order t1, t2, ce_t1.
    present : Tensor, shape (b, s)
        1 where the sequence was taken.
    target : Tensor, shape (b, 2, h, w)
        Primary tumor and metastatic lymph nodes in the middle slice, 0 or 1.
    known : Tensor, shape (b, 2)
        1 where that label is known.
    """

    images: Tensor
    present: Tensor
    target: Tensor
    known: Tensor


class SlabSource(Protocol):
    """Where training takes its slabs from: simulated heads, or a cohort with contours."""

    @property
    def names(self) -> list[str]:
        """One name a patient; never a patient's own."""

    def subset(self, indices: Sequence[int]) -> SlabSource:
        """Some of the patients."""

    def draw(self, rng: np.random.Generator, slabs: int, device: torch.device, *, ease: float = 0.0) -> Slabs:
        """Draw a batch, augmented; the same state of ``rng`` gives the same batch.

        A share ``ease`` of the patients is easy: images without faults, no sequence left out.
        """


def slab_indices(slices: int, spacing_mm: float, grid: NetworkGrid) -> NDArray[np.int64]:
    """Slices of every slab; at the ends of the volume the last slice is repeated.

    Parameters
    ----------
    slices : int
    spacing_mm : float
        Between slices.
    grid : NetworkGrid

    Returns
    -------
    array of int, shape (slices, neighbors)

    Examples
    --------
    >>> slab_indices(4, 5.5, NetworkGrid(neighbors=3)).tolist()
    [[0, 0, 1], [0, 1, 2], [1, 2, 3], [2, 3, 3]]
    >>> slab_indices(9, 1.0, NetworkGrid(neighbors=3))[4].tolist()
    [0, 4, 8]
    """
    step = 1 if spacing_mm >= grid.least_spacing_mm else max(1, round(4.0 / spacing_mm))
    reach = grid.neighbors // 2
    offsets = step * np.arange(-reach, reach + 1)
    return np.clip(np.arange(slices)[:, None] + offsets, 0, slices - 1)


def standardize(volume: Tensor) -> Tensor:
    """Robust z-score of one sequence: median and interquartile range of what is not air.

    Parameters
    ----------
    volume : Tensor
        Of any shape.

    Returns
    -------
    Tensor
        Same shape, float32, clipped to -4 to 6; all 0 if the volume is constant.

    Examples
    --------
    >>> image = torch.cat([torch.zeros(500), torch.linspace(500, 1500, 501)])
    >>> z = standardize(image)
    >>> round(float(z[750]), 3), round(float(z[875]), 2)
    (0.0, 0.67)
    """
    flat = volume.float().flatten()
    step = max(1, len(flat) // _SAMPLED)
    # an odd step, or of many slices it would meet the same few columns in every row
    sample = flat[:: step | 1 if step > 64 else step]
    low, high = torch.quantile(sample, torch.tensor([0.01, 0.99], device=flat.device))
    tissue = sample[sample > low + 0.1 * (high - low)]
    if high <= low or len(tissue) < 8:
        return torch.zeros_like(volume, dtype=torch.float32)
    quartiles = torch.quantile(tissue, torch.tensor([0.25, 0.5, 0.75], device=flat.device))
    scale = torch.clamp((quartiles[2] - quartiles[0]) / 1.349, min=1e-3 * float(high - low))
    return torch.clamp((volume.float() - quartiles[1]) / scale, *_CLIP)


def take_slabs(images: Tensor, indices: Any) -> Tensor:
    """Slabs of a volume.

    Parameters
    ----------
    images : Tensor, shape (s, z, h, w)
    indices : array of int, shape (b, k)

    Returns
    -------
    Tensor, shape (b, s, k, h, w)
    """
    wanted = torch.as_tensor(np.asarray(indices), device=images.device)
    return images[:, wanted].transpose(0, 1)
