"""How each series is taken: scanner, timing, resolution and grid, drawn as in the published Table 1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from radiomics_npc.settings import SEQUENCES, Sequence
from radiomics_npc.simulate.artifacts import CLEAN, Faults, draw_faults
from radiomics_npc.simulate.published import SCANNERS

__all__ = ["COVERAGE_MM", "Series", "draw_series"]

COVERAGE_MM: Final = 120.0
_CENTER_Z_MM: Final = 3.0

Choice = tuple[tuple[float, ...], tuple[float, ...]]


@dataclass(frozen=True)
class Series:
    """Everything that is known of one series before it is taken.

    Lengths in mm, times in ms. ``first_mm`` is the center of the first voxel (x, y, z) in the frame
    of the scan; ``direction`` holds the row-major cosines of that frame in the patient, and ``motion_mm``
    what the patient moved since the first series. ``noise`` is the standard deviation of the
    complex signal where 1 is the signal of water without any decay. ``faults`` is what went wrong.
    """

    sequence: Sequence
    model: str
    field_tesla: float
    echo_time: float
    repetition_time: float
    flip_angle: float
    spacing_mm: tuple[float, float, float]
    thickness_mm: float
    slices: int
    matrix: int
    acquired_matrix: int
    first_mm: tuple[float, float, float]
    direction: tuple[float, ...]
    motion_mm: tuple[float, float, float]
    gain: float
    noise: float
    bias: float
    downward: bool
    faults: Faults = CLEAN

    @property
    def contrast(self) -> bool:
        """Whether gadolinium was given."""
        return self.sequence == "ce_t1"

    @property
    def axes(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Voxel centers along z, y, x in the frame of the scan."""
        counts = (self.slices, self.matrix, self.matrix)
        z, y, x = (
            first + step * np.arange(n, dtype=np.float64)
            for first, step, n in zip(self.first_mm[::-1], self.spacing_mm[::-1], counts, strict=True)
        )
        return z, y, x

    @property
    def origin_mm(self) -> tuple[float, float, float]:
        """Center of the first voxel in patient coordinates, as it will stand in the headers."""
        x, y, z = np.round(np.array(self.direction).reshape(3, 3) @ self.first_mm, 4)
        return float(x), float(y), float(z)


# echo times by scanner family: values and their weights
_ECHO: Final[dict[str, dict[str, Choice]]] = {
    "Philips": {
        "t1": ((10.0, 12.0, 15.0), (0.15, 0.80, 0.05)),
        "t2": ((70.0, 80.0, 100.0), (0.10, 0.85, 0.05)),
    },
    "SIEMENS": {
        "t1": ((12.0, 14.0, 15.0), (0.45, 0.35, 0.20)),
        "t2": ((80.0, 93.0, 99.0, 117.0), (0.25, 0.25, 0.35, 0.15)),
    },
    "GE": {
        "t1": ((8.6, 9.2, 10.5, 16.4), (0.4, 0.3, 0.2, 0.1)),
        "t2": ((68.1, 85.2, 102.4, 122.6), (0.1, 0.3, 0.4, 0.2)),
    },
}
# repetition times: lowest, most frequent, highest (triangular)
_REPETITION: Final[dict[str, dict[str, tuple[float, float, float]]]] = {
    "Philips": {"t1": (460, 560, 690), "t2": (2500, 3000, 3700), "ce_t1": (480, 620, 760)},
    "SIEMENS": {"t1": (480, 570, 760), "t2": (2600, 3400, 4600), "ce_t1": (480, 640, 900)},
    "GE": {"t1": (380, 540, 900), "t2": (2800, 3800, 6200), "ce_t1": (400, 620, 1000)},
}
# field of view in mm, matrix, weight
_GRIDS: Final[dict[str, tuple[tuple[int, int, float], ...]]] = {
    "t1": ((220, 512, 0.60), (230, 512, 0.13), (240, 512, 0.10), (250, 512, 0.07), (220, 560, 0.06),
           (250, 640, 0.04)),
    "t2": ((220, 512, 0.47), (230, 512, 0.15), (240, 512, 0.12), (250, 512, 0.10), (250, 640, 0.06),
           (230, 320, 0.06), (250, 256, 0.04)),
    "ce_t1": ((220, 512, 0.30), (220, 480, 0.25), (230, 512, 0.19), (240, 512, 0.12), (250, 512, 0.07),
              (240, 576, 0.04), (220, 432, 0.03)),
}  # fmt: skip
# slice thickness and spacing in mm, weight
_SLICES: Final = (
    (4.0, 4.4, 0.06), (4.0, 5.0, 0.08), (5.0, 5.0, 0.10), (5.0, 5.5, 0.48), (5.0, 6.0, 0.14),
    (5.5, 6.05, 0.04), (6.0, 6.5, 0.06), (6.2, 7.0, 0.04),
)  # fmt: skip


def _family(model: str) -> str:
    return SCANNERS[model].manufacturer.split()[0]


def _weighted(rng: np.random.Generator, choice: Choice) -> float:
    values, weights = choice
    return float(rng.choice(values, p=np.array(weights) / np.sum(weights)))


def _timing(rng: np.random.Generator, sequence: Sequence, family: str) -> tuple[float, float, float]:
    """Echo and repetition time, flip angle. Above 90 degrees the header tells the refocusing pulse."""
    echo = _weighted(rng, _ECHO[family]["t2" if sequence == "t2" else "t1"])
    repetition = round(float(rng.triangular(*_REPETITION[family][sequence])), 2)
    if family == "Philips":
        flip = 90.0
    elif family == "SIEMENS":
        flip = _weighted(rng, ((90.0, 180.0 if sequence == "t2" else 120.0), (0.75, 0.25)))
    else:
        flip = _weighted(rng, ((90.0, 111.0, 142.0), (0.5, 0.3, 0.2)))
    return echo, repetition, flip


def _tilt(rng: np.random.Generator) -> tuple[float, ...]:
    """Axial planes are planned along the palate: turned about x, and now and then a little about y."""
    pitch = np.radians(np.clip(rng.normal(0, 6), -15, 15)) if rng.random() < 0.7 else 0.0
    roll = np.radians(np.clip(rng.normal(0, 1.5), -4, 4)) if rng.random() < 0.3 else 0.0
    turn_x = np.array([[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]])
    turn_y = np.array([[np.cos(roll), 0, np.sin(roll)], [0, 1, 0], [-np.sin(roll), 0, np.cos(roll)]])
    return tuple(float(c) for c in (turn_x @ turn_y).ravel())


def draw_series(rng: np.random.Generator, model: str, matrix: int | None = None) -> dict[Sequence, Series]:
    """Draw the three series of one examination.

    Parameters
    ----------
    rng : Generator
    model : str
        One of :data:`radiomics_npc.simulate.published.SCANNERS`.
    matrix : int, optional
        Rows and columns of all series; the field of view stays as drawn.

    Returns
    -------
    dict of Series
        By sequence: t1, t2, ce_t1.
    """
    family, field = _family(model), SCANNERS[model].field_tesla
    thickness, spacing, _ = _SLICES[int(rng.choice(len(_SLICES), p=[row[2] for row in _SLICES]))]
    slices = int(np.clip(round(COVERAGE_MM / spacing), 20, 28))
    direction = _tilt(rng)
    gain = {"Philips": 1500.0, "SIEMENS": 900.0, "GE": 3200.0}[family] * float(np.exp(rng.normal(0, 0.15)))
    noise = 0.011 / field**0.8 * float(np.exp(rng.normal(0, 0.15)))
    bias = 0.05 * field + 0.02
    downward = family != "SIEMENS"
    series: dict[Sequence, Series] = {}
    for number, sequence in enumerate(SEQUENCES):
        echo, repetition, flip = _timing(rng, sequence, family)
        grids = _GRIDS[sequence]
        fov, size, _ = grids[int(rng.choice(len(grids), p=[row[2] for row in grids]))]
        size = matrix or size
        pixel = round(fov / size, 6)
        shift = rng.uniform((-2, -2, -1), (2, 2, 1))
        half = (size - 1) / 2 * pixel
        first = (
            float(shift[0] - half),
            float(shift[1] - 4 - half),
            float(shift[2] + _CENTER_Z_MM - (slices - 1) / 2 * spacing),
        )
        motion = rng.normal(0, 0.35, 3) * min(number, 1)
        acquired = min(size, round(fov / rng.uniform(*((0.62, 0.80) if sequence == "t2" else (0.70, 0.90)))))
        series[sequence] = Series(
            sequence, model, field, echo, repetition, flip, (pixel, pixel, spacing), thickness, slices, size,
            acquired, first, direction, (float(motion[0]), float(motion[1]), float(motion[2])),
            gain * float(np.exp(rng.normal(0, 0.1))), noise, bias, downward,
            draw_faults(rng, sequence),
        )  # fmt: skip
    return series
