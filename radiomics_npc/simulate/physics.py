"""From tissues to pixels.

Slices average what lies in them, coils see near tissue better, a coarse matrix is sampled and
enlarged. Noise is complex and Gaussian, hence Rician in the magnitude (Gudbjartsson H., Patz S.,
Magn Reson Med 1995; 34:910).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from radiomics_npc.simulate.acquisition import Series
from radiomics_npc.simulate.anatomy import IN_PLANE_MM, Head
from radiomics_npc.simulate.artifacts import add_ghosts, fat_left, fold, spoil_near_air_and_metal
from radiomics_npc.simulate.fields import (
    Array,
    apply_separable,
    blur_matrix,
    lanczos_matrix,
    linear_matrix,
    smooth_noise,
)
from radiomics_npc.simulate.signal import enhance, spin_echo
from radiomics_npc.simulate.tissue import Tissue, tissue_table
from radiomics_npc.simulate.tumor import Interior

__all__ = ["take_image"]


def take_image(
    rng: np.random.Generator, head: Head, interior: Interior, series: Series
) -> NDArray[np.uint16]:
    """Take one series.

    Parameters
    ----------
    rng : Generator
    head, interior : Head, Interior
    series : Series

    Returns
    -------
    array of uint16, shape (slices, rows, columns)
    """
    faults = series.faults
    signal = _tissue_signal(head, interior, series)
    if faults.fat_saturation:
        signal *= fat_left(rng, head.tissue, head.axes, faults.fat_saturation)
    spoil_near_air_and_metal(signal, head.tissue, head.axes, faults.susceptibility)
    z, y, x = (a + m for a, m in zip(series.axes, series.motion_mm[::-1], strict=True))
    slabs = np.tensordot(_slice_profile(head.axes[0], z, series.thickness_mm), signal, axes=1)
    slabs *= _coil(rng, (z, head.axes[1], head.axes[2]), series.bias)
    # what is sampled, then enlarged to the matrix that is stored
    fov = series.matrix * series.spacing_mm[0]
    step = fov / series.acquired_matrix
    sampled = (np.arange(series.acquired_matrix) - (series.acquired_matrix - 1) / 2) * step
    y_sampled, x_sampled = sampled + y.mean(), sampled + x.mean()
    spread = max(0.45 * step, 0.5 * IN_PLANE_MM)
    acquired = np.matmul(
        np.matmul(blur_matrix(head.axes[1], y_sampled, spread), slabs),
        blur_matrix(head.axes[2], x_sampled, spread).T,
    )
    acquired = fold(add_ghosts(acquired, faults), step, faults.phase_mm)
    acquired *= np.exp(faults.uneven * rng.normal(size=(len(acquired), 1, 1))).astype(np.float32)
    noisy = _rician(rng, acquired, series.noise)
    image = np.matmul(np.matmul(lanczos_matrix(y_sampled, y), noisy), lanczos_matrix(x_sampled, x).T)
    image *= series.gain
    return np.clip(np.rint(image, out=image), 0, 65535, out=image).astype(np.uint16)


def _tissue_signal(head: Head, interior: Interior, series: Series) -> Array:
    """Signal of every voxel of the tissue grid, with the grain of each tissue."""
    table = tissue_table(series.field_tesla, head.variation.properties)
    t1, t2 = table["t1_ms"], table["t2_ms"]
    if series.contrast:
        t1, t2 = enhance(t1, t2, table["gadolinium_mM"])
    timing = {"tr_ms": series.repetition_time, "te_ms": series.echo_time, "flip_deg": series.flip_angle}
    plain = spin_echo(table["density"], t1, t2, **timing).astype(np.float32)
    grain = (plain * table["texture"]).astype(np.float32)
    signal = plain[head.tissue] + grain[head.tissue] * (0.75 * head.fine + 0.65 * head.coarse)
    part = signal[interior.box]
    part[interior.inside] = _tumor_signal(table, interior, series, timing)
    return np.maximum(signal, 0)


def _tumor_signal(
    table: dict[str, Array], interior: Interior, series: Series, timing: dict[str, float]
) -> Array:
    density, t1, t2, uptake = (
        float(table[name][Tissue.TUMOR]) for name in ("density", "t1_ms", "t2_ms", "gadolinium_mM")
    )
    mottle, dead = interior.mottle[interior.inside], interior.necrosis[interior.inside]
    # cellular parts: shorter T2, more uptake; necrosis: water-like, without uptake
    t2_local: Array = t2 * np.exp(mottle) * (1 - dead) + 260 * dead
    t1_local: Array = t1 * np.exp(0.8 * mottle) * (1 - dead) + 2200 * dead
    density_local = density * np.exp(0.15 * mottle) * (1 - dead) + 0.97 * dead
    if series.contrast:
        concentration = uptake * np.clip(np.exp(-4.0 * mottle), 0.06, 4.0) * (1 - dead) + 0.02 * dead
        t1_local, t2_local = enhance(t1_local, t2_local, concentration)
    return spin_echo(density_local, t1_local, t2_local, **timing)


def _slice_profile(source: NDArray[np.float64], centers: NDArray[np.float64], thickness: float) -> Array:
    """Rows that average over a slice whose edges are as soft as those of a real pulse."""
    distance = np.abs(centers[:, None] - source[None, :]) / (thickness / 2)
    weight = 1 / (1 + np.minimum(distance, 6) ** 8)
    return np.asarray(weight / weight.sum(axis=1, keepdims=True), dtype=np.float32)


def _coil(
    rng: np.random.Generator,
    axes: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]],
    strength: float,
) -> Array:
    """Sensitivity: smooth, and a little higher near the surface than in the middle."""
    knots = tuple(np.linspace(a[0], a[-1], n) for a, n in zip(axes, (5, 9, 9), strict=True))
    log = strength * smooth_noise(rng, knots, 70.0)  # type: ignore[arg-type]
    radius = (knots[1][:, None] / 95) ** 2 + (knots[2][None, :] / 75) ** 2
    log = log + np.float32(0.06) * radius.astype(np.float32)
    return np.exp(apply_separable(log, *(linear_matrix(k, a) for k, a in zip(knots, axes, strict=True))))


def _rician(rng: np.random.Generator, signal: Array, noise: float) -> Array:
    real = signal + np.float32(noise) * rng.standard_normal(signal.shape, dtype=np.float32)
    imaginary = np.float32(noise) * rng.standard_normal(signal.shape, dtype=np.float32)
    # the same as np.hypot, several times faster
    return np.sqrt(real * real + imaginary * imaginary)
