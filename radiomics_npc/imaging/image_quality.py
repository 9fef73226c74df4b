"""How good an image is: noise, ghosts, spikes, saturation, and what its field of view cuts.

Numbers for every image; a warning only where a number leaves what sound images have, see
:data:`LIMITS`. Everything but the search for spikes works on every n-th voxel of the plane.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from radiomics_npc.imaging.normalize import body_mask
from radiomics_npc.imaging.volume import Mask, Volume

__all__ = ["LIMITS", "ImageQuality", "measure_quality"]

#: A number beyond its limit is a warning. Of 160 simulated series without ghosts and of the public MR images
#: none was (SNR 14 to 85, ghosts up to 0.7%, spike ratio up to 16, saturated and isolated voxels none).
LIMITS: Final = {
    "snr": 10.0, "ghost_percent": 2.5, "spike_ratio": 40.0, "saturated_percent": 0.05, "isolated_voxels": 10,
}  # fmt: skip

#: Magnitude of noise alone from 1, 2, 4 and 8 coils (chi distribution with 2 degrees of freedom a coil): mean
#: over standard deviation, and standard deviation over that of the noise. One coil: Rayleigh.
_RATIO_OF_COILS: Final = (1.913, 2.755, 3.943, 5.615)
_SD_OF_COILS: Final = (0.655, 0.682, 0.695, 0.701)
_NOISE_RATIO: Final = (1.4, 6.0)
_CUT_EDGE: Final = 0.2  # part of the edge that is body: a cropped image, whose dark parts are no air
_ZEROED: Final = 0.5  # part of the air that has the lowest value: cut away, not measured
_PADDED: Final = 0.05
_ACROSS: Final = 160  # voxels across the plane that are looked at
_TILE: Final = 8
_FEWEST_TILES: Final = 20
_MARGIN_MM: Final = 5.0
_LINES: Final = 4  # of k-space around each axis, where edges of the body along it pile up
_NEIGHBORHOOD: Final = 9
_TOO_BRIGHT: Final = 3.0
_TOP: Final = 0.02

Array = NDArray[np.float32]


@dataclass(frozen=True)
class ImageQuality:
    """Quality of one image; not a number where it cannot be measured.

    Parameters
    ----------
    signal : float
        Median intensity of the body.
    snr : float
        Signal over the standard deviation of the noise.
    background : str
        Why noise and ghosts were not measured; empty if they were.
    ghost_percent : float
        Signal of the air beside the body over that of the body, the larger of the two directions.
    ghost_direction : str
        ``rows`` if the ghosts lie along the rows of the image, ``columns``.
    spike_ratio : float
        Largest power of a point of k-space over the mean of its neighborhood, of all slices; at most 81.
    isolated_voxels : int
        Voxels more than three times as bright as each neighbor in their slice, and brighter than the body.
    saturated_percent : float
        Voxels of the highest value, as part of the body; 0 if not more than those within 2% below it.
    edge_percent : float
        Part of the edge of the slices that is body: what the field of view cuts, or folds over.
    slices_beyond : float
        Slices between the mask and the nearer end of the image; not a number without mask.
    """

    signal: float
    snr: float
    background: str
    ghost_percent: float
    ghost_direction: str
    spike_ratio: float
    isolated_voxels: int
    saturated_percent: float
    edge_percent: float
    slices_beyond: float = float("nan")

    def oddities(self) -> list[str]:
        """What is beyond the limits, in words."""
        found = []
        if self.snr < LIMITS["snr"]:
            found.append(f"noisy: signal-to-noise ratio {self.snr:.1f} (below {LIMITS['snr']:g})")
        if self.ghost_percent > LIMITS["ghost_percent"]:
            found.append(
                f"ghosts along the {self.ghost_direction}: {self.ghost_percent:.1f}% of the signal beside "
                f"the body (above {LIMITS['ghost_percent']:g}%): motion or flow"
            )
        if self.spike_ratio > LIMITS["spike_ratio"]:
            found.append("stripes through a slice: a spike in k-space")
        if self.isolated_voxels > LIMITS["isolated_voxels"]:
            found.append(f"{self.isolated_voxels} single voxels far brighter than their neighbors")
        if self.saturated_percent > LIMITS["saturated_percent"]:
            found.append(f"{self.saturated_percent:.2g}% of the body has the highest value: clipped?")
        return found

    def to_row(self) -> dict[str, Any]:
        """As a row of a table."""
        return asdict(self)


def measure_quality(image: Volume, mask: Mask | None = None) -> ImageQuality:
    """Measure the quality of an image.

    Parameters
    ----------
    image : Volume
        At least two different intensities, all finite.
    mask : Mask, optional
        On the image's grid.

    Returns
    -------
    ImageQuality

    Raises
    ------
    ImageError
        All intensities are equal, or some are not finite.

    Notes
    -----
    Noise: standard deviation within small squares of air, in its quietest part, divided by 0.655 for the
    Rayleigh distribution of magnitudes without signal (NEMA MS 1-2008, method 4; there in air beside a
    phantom), by up to 0.701 where several coils were combined, which the mean over the standard deviation
    tells (Constantinides et al., Magn Reson Med 1997;38:852). Interpolation by the scanner lowers it, so
    values compare within a protocol. It is not measured where the air was set to one value, or is no air.

    Ghosts: level of the air beside the body, along rows and along columns, minus that of the corners, over
    the signal; the level is the median of the means of small squares. It is the percent signal ghosting of
    the phantom test of the American College of Radiology (MRI accreditation, phantom test guidance), whose
    limit of 2.5% is taken over. It sees what reaches the air; motion that blurs alone is not seen.

    Spikes: a wrong point of k-space is a wave through its slice (Heiland, Clin Neuroradiol 2008;18:25). It
    stands out of its neighbors in the Fourier transform of the slice.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> array = np.abs(rng.normal(0, 5, (4, 160, 160)) + 1j * rng.normal(0, 5, (4, 160, 160)))
    >>> array[:, 40:120, 40:120] += 200
    >>> found = measure_quality(Volume(array, (1.0, 1.0, 5.0)))
    >>> round(found.snr), found.oddities()
    (42, [])
    """
    array = image.array
    step = max(1, min(array.shape[1:]) // _ACROSS)
    thin: Array = np.ascontiguousarray(array[:, ::step, ::step], dtype=np.float32)
    x, y, z = image.spacing_mm
    body = body_mask(Volume(thin, (x * step, y * step, z)))
    signal = float(np.median(thin[body]))
    margins = (int(np.ceil(_MARGIN_MM / (y * step))), int(np.ceil(_MARGIN_MM / (x * step))))
    tiles = _air_tiles(thin, body, margins)
    ends = np.concatenate([body[:, [0, -1]].ravel(), body[:, :, [0, -1]].ravel()])
    noise, background = _noise(tiles, float(ends.mean()))
    ghosts = _ghosts(tiles) if not background else (np.nan, np.nan)
    direction = int(np.nanargmax(ghosts)) if np.isfinite(ghosts).any() else 0
    return ImageQuality(
        signal=signal,
        snr=signal / noise if noise else np.nan,
        background=background,
        ghost_percent=100 * ghosts[direction] / signal if signal > 0 else np.nan,
        ghost_direction=("rows", "columns")[direction],
        spike_ratio=_spike(array),
        isolated_voxels=_isolated(array, float(np.percentile(thin[body], 99.5))),
        saturated_percent=100 * _saturated(array, signal) / (float(body.sum()) * step**2),
        edge_percent=100 * float(ends.mean()),
        slices_beyond=_slices_beyond(mask),
    )


@dataclass(frozen=True)
class _Tiles:
    """Squares of the plane that hold air alone: mean and standard deviation.

    ``parts`` are those beside the body along rows, along columns, and those in the corners.
    """

    mean: NDArray[np.float64]
    sd: NDArray[np.float64]
    parts: tuple[NDArray[np.bool_], ...]
    zeroed: float

    def levels(self) -> list[float]:
        """Median of each part, for dim tissue may be among them; not a number where it is too small."""
        return [float(np.median(self.mean[p])) if p.sum() >= _FEWEST_TILES else np.nan for p in self.parts]


def _air_tiles(thin: Array, body: NDArray[np.bool_], margins: tuple[int, int]) -> _Tiles:
    near = body.astype(np.uint8)
    for axis, margin in zip((1, 2), margins, strict=True):
        near = ndimage.maximum_filter1d(near, 2 * margin + 1, axis=axis)
    lowest = thin <= thin.min()
    outside = near == 0
    zeroed = float(lowest[outside].mean()) if outside.any() else 0.0
    if zeroed > _PADDED:  # corners that gradient correction leaves empty
        outside &= ~lowest
    rows, columns = (n // _TILE for n in thin.shape[1:])
    shape = (len(thin), rows, _TILE, columns, _TILE)
    cut = (slice(None), slice(rows * _TILE), slice(columns * _TILE))
    whole = outside[cut].reshape(shape).all(axis=(2, 4))
    place = np.nonzero(whole)
    values = thin[cut].reshape(shape).transpose(0, 1, 3, 2, 4)[place].reshape(-1, _TILE**2).astype(float)
    return _Tiles(values.mean(axis=1), values.std(axis=1), _parts(body, place), zeroed)


def _parts(body: NDArray[np.bool_], place: tuple[NDArray[np.intp], ...]) -> tuple[NDArray[np.bool_], ...]:
    """Which tiles lie beside the body along rows, along columns, and in the corners."""
    in_row, in_column = body.sum(axis=2), body.sum(axis=1)
    # rows and columns that hold a good deal of body; one voxel of each tile tells
    thick_row = in_row >= 0.5 * np.maximum(in_row.max(axis=1, keepdims=True), 1)
    thick_column = in_column >= 0.5 * np.maximum(in_column.max(axis=1, keepdims=True), 1)
    z, row, column = place
    beside = thick_row[z, row * _TILE + _TILE // 2]
    above = thick_column[z, column * _TILE + _TILE // 2]
    return beside & ~above, above & ~beside, ~beside & ~above


def _noise(tiles: _Tiles, edge: float) -> tuple[float, str]:
    """Standard deviation of the noise, or why it cannot be measured."""
    if edge > _CUT_EDGE:
        return np.nan, "the image is cut within the body"
    if tiles.zeroed > _ZEROED:
        return np.nan, "the air was set to one value"
    if len(tiles.mean) < _FEWEST_TILES:
        return np.nan, "there is no air around the body"
    levels = tiles.levels()
    quiet = (
        tiles.parts[int(np.nanargmin(levels))]
        if np.isfinite(levels).any()
        else np.ones(len(tiles.mean), bool)
    )
    spread = float(np.median(tiles.sd[quiet]))
    ratio = float(np.median(tiles.mean[quiet])) / spread if spread else np.inf
    if not _NOISE_RATIO[0] <= ratio <= _NOISE_RATIO[1]:
        return np.nan, "what lies around the body is not noise alone"
    return spread / float(np.interp(ratio, _RATIO_OF_COILS, _SD_OF_COILS)), ""


def _ghosts(tiles: _Tiles) -> tuple[float, float]:
    """Level of the air beside the body above that of the corners: along rows, along columns."""
    rows, columns, corners = tiles.levels()
    if not np.isfinite([rows, columns]).any():
        return np.nan, np.nan
    floor = corners if np.isfinite(corners) else float(np.nanmin([rows, columns]))
    return rows - floor, columns - floor


def _spike(array: NDArray[Any]) -> float:
    """Largest power of a point of k-space over the mean around it."""
    step = 2 if min(array.shape[1:]) >= 384 else 1  # a wave stays a wave on every second voxel
    found = fft.rfft2(np.ascontiguousarray(array[:, ::step, ::step], dtype=np.float32), axes=(1, 2))
    power = found.real**2 + found.imag**2
    around = ndimage.uniform_filter(power, (0, _NEIGHBORHOOD, _NEIGHBORHOOD), mode="wrap")
    inner = (slice(None), slice(_LINES, 1 - _LINES), slice(_LINES, 1 - _LINES))
    power, around = power[inner], around[inner]
    if not power.size or not around.max() > 0:
        return 0.0
    # where there is next to nothing, rounding decides
    known = around > 1e-9 * around.max()
    return float((power[known] / around[known]).max())


def _isolated(array: NDArray[Any], bright: float) -> int:
    """Voxels that stand alone: above the body's brightest, and three times each of their neighbors."""
    z, y, x = np.unravel_index(np.flatnonzero(array > bright), array.shape)
    inside = (y > 0) & (y < array.shape[1] - 1) & (x > 0) & (x < array.shape[2] - 1)
    z, y, x = z[inside], y[inside], x[inside]
    value = array[z, y, x].astype(float)
    alone = np.ones(len(z), dtype=bool)
    for dy, dx in ((0, 1), (0, -1), (1, 0), (-1, 0)):
        alone &= value > _TOO_BRIGHT * array[z, y + dy, x + dx]
    return int(alone.sum())


def _saturated(array: NDArray[Any], signal: float) -> int:
    """Voxels of the highest value, if they pile up there."""
    highest = float(array.max())
    bright = array[array >= highest - _TOP * max(highest - signal, 0.0)]
    count = int(np.count_nonzero(bright == array.max()))
    return count if 1 < count > bright.size - count else 0


def _slices_beyond(mask: Mask | None) -> float:
    if mask is None or not mask.array.any():
        return float("nan")
    drawn = np.flatnonzero(mask.array.any(axis=(1, 2)))
    return float(min(drawn[0], len(mask.array) - 1 - drawn[-1]))
