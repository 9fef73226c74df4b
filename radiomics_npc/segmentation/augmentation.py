"""What differs between one examination and the next, applied to a volume and its labels alike.

Geometry (turned, scaled, bent, moved, flipped) is one resampling onto the window of the network; then
come the faults of scanners: coil bias, gain of single slices, low resolution, ghosts, wrap, a field of view
that cuts, noise, gamma. Rates are high on purpose, so that a clinical image is an easy one.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from radiomics_npc.segmentation.slabs import NetworkGrid
from radiomics_npc.segmentation.synthesis import smooth_field

__all__ = ["degrade", "drop_sequences", "to_window", "window_coordinates"]


def window_coordinates(
    rng: np.random.Generator, generator: torch.Generator, grid: NetworkGrid, *, move_mm: float = 7.0
) -> Tensor:
    """Where the pixels of a randomly placed window lie, in mm from the middle of the body.

    Parameters
    ----------
    rng, generator : generators
    grid : NetworkGrid
    move_mm : float
        Standard deviation of how far the window lies from where it should.

    Returns
    -------
    Tensor, shape (h, w, 2)
        y (back) and x (left).
    """
    angle = np.radians(np.clip(rng.normal(0, 7), -20, 20))
    scale = rng.uniform(0.86, 1.16) * np.exp(rng.normal(0, 0.04, 2))
    shear = rng.normal(0, 0.05)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = turn @ np.array([[1, shear], [0, 1]]) @ np.diag(scale)
    if rng.random() < 0.5:
        matrix = matrix @ np.diag([1.0, -1.0])
    steps = (torch.arange(grid.window, device=generator.device) - (grid.window - 1) / 2) * grid.pixel_mm
    plain = torch.stack(torch.meshgrid(steps, steps, indexing="ij"), dim=-1)
    place = plain @ torch.as_tensor(matrix.T, dtype=torch.float32, device=plain.device)
    place = place + torch.as_tensor(rng.normal(0, move_mm, 2), dtype=torch.float32, device=plain.device)
    size = (grid.window, grid.window)
    knots = int(rng.integers(5, 10))
    bend = [smooth_field(size, (knots, knots), generator) for _ in range(2)]
    return place + float(rng.uniform(0, 2.5)) * torch.stack(bend, dim=-1)


def to_window(
    volume: Tensor,
    place_mm: Tensor,
    first_mm: tuple[float, float],
    spacing_mm: tuple[float, float],
    shifts_mm: Tensor | None = None,
) -> Tensor:
    """Resample slices onto a window.

    Parameters
    ----------
    volume : Tensor, shape (s, z, y, x)
    place_mm : Tensor, shape (h, w, 2)
        From :func:`window_coordinates`.
    first_mm, spacing_mm : tuple
        Of the volume along y, x.
    shifts_mm : Tensor, shape (s, 2), optional
        What each sequence is moved against the others.

    Returns
    -------
    Tensor, shape (s, z, h, w)
        0 outside of the volume.

    Examples
    --------
    >>> image = torch.arange(12.0).reshape(1, 1, 3, 4)
    >>> place = torch.tensor([[[1.0, 2.0]]])
    >>> float(to_window(image, place, (0.0, 0.0), (1.0, 1.0)))
    6.0
    """
    size = torch.tensor(volume.shape[-2:], device=volume.device)
    places = place_mm[None].expand(len(volume), *place_mm.shape)
    if shifts_mm is not None:
        places = places + shifts_mm[:, None, None, :]
    first = torch.tensor(first_mm, device=volume.device)
    index = (places - first) / torch.tensor(spacing_mm, device=volume.device)
    unit = 2 * index / (size - 1) - 1
    return functional.grid_sample(volume, unit.flip(-1), mode="bilinear", align_corners=True)


def degrade(images: Tensor, rng: np.random.Generator, generator: torch.Generator) -> Tensor:
    """Scanner and patient at work, for each sequence anew.

    Parameters
    ----------
    images : Tensor, shape (s, z, h, w)
        Not negative.
    rng, generator : generators

    Returns
    -------
    Tensor
        Same shape.
    """
    return torch.stack([_one_sequence(image, rng, generator) for image in images])


def _one_sequence(image: Tensor, rng: np.random.Generator, generator: torch.Generator) -> Tensor:
    image = image / torch.clamp(torch.quantile(image[:, ::8, ::8].flatten(), 0.98), min=1e-6)
    image = image * _bias(image, rng, generator)
    if rng.random() < 0.5:
        image = _low_resolution(image, rng)
    if rng.random() < 0.25:
        image = image * torch.exp(
            float(rng.uniform(0, 0.2))
            * torch.randn((len(image), 1, 1), generator=generator, device=image.device)
        )
    if rng.random() < 0.2:
        image = _ghost(image, rng)
    if rng.random() < 0.12:
        image = _cut(image, rng)
    noise = float(np.exp(rng.uniform(np.log(0.004), np.log(0.07))))
    real, imaginary = (
        noise * torch.randn(image.shape, generator=generator, device=image.device) for _ in range(2)
    )
    image = torch.hypot(image + real, imaginary)
    if rng.random() < 0.3:  # after the noise, as a console's filter is
        image = _blur(image, float(rng.uniform(0.4, 1.1)))
    if rng.random() < 0.5:
        image = torch.clamp(image, min=0) ** float(np.exp(rng.uniform(-0.35, 0.35)))
    return image


def _bias(image: Tensor, rng: np.random.Generator, generator: torch.Generator) -> Tensor:
    shape = tuple(image.shape)
    field = smooth_field(shape, (2, 4, 4), generator)
    return torch.exp(float(rng.uniform(0, 0.3)) * field)


def _low_resolution(image: Tensor, rng: np.random.Generator) -> Tensor:
    """Fewer pixels sampled, then enlarged by the console."""
    h, w = image.shape[-2:]
    factors = rng.uniform(0.45, 0.95, 2) if rng.random() < 0.3 else [rng.uniform(0.45, 0.95)] * 2
    small = (max(8, int(h * factors[0])), max(8, int(w * factors[1])))
    coarse = functional.interpolate(image[None], size=small, mode="area")
    fine = functional.interpolate(coarse, size=(h, w), mode="bicubic", align_corners=False)
    return torch.clamp(fine[0], min=0)


def _ghost(image: Tensor, rng: np.random.Generator) -> Tensor:
    """Copies of the head along the phase direction, from motion or pulsation."""
    axis = int(rng.choice((-2, -1)))
    shift = int(rng.integers(12, image.shape[axis] // 2))
    strength = float(rng.uniform(0.03, 0.16))
    copies = torch.roll(image, shift, dims=axis) + torch.roll(image, -shift, dims=axis)
    return (1 - strength) * image + strength * copies * 0.7


def _cut(image: Tensor, rng: np.random.Generator) -> Tensor:
    """A field of view that ends inside the head: cut, or wrapped around."""
    axis = int(rng.choice((-2, -1)))
    size = image.shape[axis]
    edge = int(rng.integers(4, size // 6))
    position = torch.arange(size, device=image.device)
    position = position[:, None] if axis == -2 else position[None, :]
    inside = (position >= edge) & (position < size - edge)
    cut = image * inside
    if rng.random() < 0.5:
        view = size - 2 * edge
        before = torch.roll(image * (position < edge), view, dims=axis)
        after = torch.roll(image * (position >= size - edge), -view, dims=axis)
        cut = cut + 0.8 * (before + after)
    return cut


def _blur(image: Tensor, sigma: float) -> Tensor:
    weights = np.exp(-0.5 * (np.arange(-2, 3) / sigma) ** 2)
    weights /= weights.sum()
    for axis in (-2, -1):  # a few sums are faster than a convolution of one channel
        image = sum(  # type: ignore[assignment]
            float(w) * torch.roll(image, k, dims=axis) for k, w in zip(range(-2, 3), weights, strict=True)
        )
    return image


def drop_sequences(rng: np.random.Generator, present: np.ndarray) -> np.ndarray:
    """Leave out sequences, so that any one or two suffice at prediction.

    Parameters
    ----------
    rng : Generator
    present : array of bool, shape (s,)

    Returns
    -------
    array of bool, shape (s,)
        At least one of those that were present.

    Examples
    --------
    >>> kept = drop_sequences(np.random.default_rng(0), np.array([True, True, False]))
    >>> bool(kept.any()), bool(kept[2])
    (True, False)
    """
    there = np.flatnonzero(present)
    if len(there) < 2:
        return present.copy()
    keep = min(len(there), int(rng.choice((3, 2, 1), p=(0.5, 0.25, 0.25))))
    kept = np.zeros_like(present)
    kept[rng.choice(there, keep, replace=False)] = True
    return kept
