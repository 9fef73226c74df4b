"""Images and masks as they might have been: moved, swollen, drawn anew, noisier.

References
----------
Zwanenburg A et al. Assessing robustness of radiomic features by image
perturbation. Sci Rep 2019;9:614 (the kinds of perturbation and their order).
Immerkaer J. Fast noise variance estimation. Comput Vis Image Underst
1996;64:300 (the noise operator; taken here with a median instead of a mean).
"""

from __future__ import annotations

import zlib
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from radiomics_npc.errors import ConfigError, MaskError
from radiomics_npc.imaging.mask_changes import box_around, cut, motion, move_mask, paste, resize_mask
from radiomics_npc.imaging.resampling import require_splines
from radiomics_npc.imaging.supervoxels import redraw_contour
from radiomics_npc.imaging.volume import Mask, Volume

__all__ = ["Perturbation", "default_perturbations", "noise_level", "perturb"]

Vector = tuple[float, float, float]

#: Image around the tumor that supervoxels and the noise level are taken from.
_AROUND_MM = 25.0


@dataclass(frozen=True)
class Perturbation:
    """What is done to an image and its mask, in the order of the parameters.

    Parameters
    ----------
    name : str
        Key of the repetition in all tables.
    noise : float
        Standard deviation of the Gaussian noise that is added, in units of the
        noise that the image holds already.
    rotate_degrees : float
        About the slice normal through the centroid of the mask.
    translate_mm : tuple of 3 floats
        Along rows, columns and slices (the axes x, y, z of the grid).
    translate_voxels : tuple of 3 floats
        The same in voxels; both are added up.
    moves : {"mask", "both"}
        Rotation and translation take the mask along (a contour drawn
        elsewhere), or image and mask (a patient placed differently, as in MIRP).
    grow : float
        Change of the volume: 0.1 grows by 10%, -0.1 shrinks.
    contour : bool
        Draw the contour anew along supervoxels.
    seed : int
        Of all that is random. The voxels of the mask enter, too, so patients differ.

    Raises
    ------
    ConfigError
        A parameter that makes no sense.

    Examples
    --------
    >>> Perturbation("swollen", grow=0.1).is_identity, Perturbation("original").is_identity
    (False, True)
    """

    name: str
    noise: float = 0.0
    rotate_degrees: float = 0.0
    translate_mm: Vector = (0.0, 0.0, 0.0)
    translate_voxels: Vector = (0.0, 0.0, 0.0)
    moves: Literal["mask", "both"] = "mask"
    grow: float = 0.0
    contour: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("translate_mm", "translate_voxels"):
            object.__setattr__(self, name, tuple(float(step) for step in getattr(self, name)))
        steps = (*self.translate_mm, *self.translate_voxels)
        if not self.name:
            raise ConfigError("a perturbation has no name", "The name is its key in all tables.")
        if len(steps) != 6 or not np.isfinite([*steps, self.noise, self.rotate_degrees, self.grow]).all():
            raise ConfigError(f"perturbation {self.name}: three finite steps are needed, along x, y, z")
        if self.noise < 0 or self.grow <= -1 or self.seed < 0:
            raise ConfigError(
                f"perturbation {self.name}: noise and seed are not negative, grow is more than -1"
            )
        if self.moves not in ("mask", "both"):
            raise ConfigError(f"perturbation {self.name}: moves is {self.moves!r}", "Take mask or both.")

    @property
    def is_identity(self) -> bool:
        """Whether nothing is changed."""
        return self == Perturbation(self.name, moves=self.moves, seed=self.seed)

    def to_dict(self) -> dict[str, Any]:
        """All that values depend on, for JSON: everything but the name."""
        return {key: value for key, value in asdict(self).items() if key != "name"}


def default_perturbations(random_state: int = 0) -> tuple[Perturbation, ...]:
    """Eight measurements of a patient: the original, six kinds of change, and a chain of them.

    Parameters
    ----------
    random_state : int

    Returns
    -------
    tuple of Perturbation

    Examples
    --------
    >>> [perturbation.name for perturbation in default_perturbations()]
    ['original', 'translate', 'rotate', 'grow', 'shrink', 'contour', 'noise', 'chain']
    """
    return (
        Perturbation("original"),
        Perturbation("translate", translate_mm=(1.0, -1.0, 0.0)),
        Perturbation("rotate", rotate_degrees=5.0),
        Perturbation("grow", grow=0.1, seed=random_state),
        Perturbation("shrink", grow=-0.1, seed=random_state),
        Perturbation("contour", contour=True, seed=random_state),
        Perturbation("noise", noise=1.0, seed=random_state),
        Perturbation("chain", rotate_degrees=-5.0, grow=0.1, contour=True, seed=random_state + 1),
    )


def perturb(image: Volume, mask: Mask, perturbation: Perturbation) -> tuple[Volume, Mask]:
    """Apply a perturbation.

    Parameters
    ----------
    image, mask : Volume, Mask
        On the same grid.
    perturbation : Perturbation

    Returns
    -------
    Volume, Mask
        On the same grid as before; the same objects where nothing is changed.

    Raises
    ------
    MaskError
        The mask is empty, or would be, or has no room to grow.

    Examples
    --------
    >>> z, y, x = np.ogrid[:10, :40, :40]
    >>> ball = ((z - 5) * 4.0) ** 2 + (y - 20) ** 2 + (x - 20) ** 2 < 12**2
    >>> image, mask = Volume(np.where(ball, 2.0, 1.0), (1, 1, 4)), Mask(ball, (1, 1, 4))
    >>> grown = perturb(image, mask, Perturbation("grow", grow=0.1))[1]
    >>> int(mask.array.sum()), int(grown.array.sum())
    (1721, 1893)
    """
    if not mask.array.any():
        raise MaskError("mask is empty", "Draw the tumor and save the mask again.")
    random = np.random.default_rng([perturbation.seed, zlib.crc32(np.packbits(mask.array).tobytes())])
    if perturbation.noise:
        level = perturbation.noise * noise_level(image, mask)
        image = replace(image, array=image.array + random.normal(0, level, image.array.shape))
    steps = np.multiply(perturbation.translate_voxels, mask.spacing_mm) + perturbation.translate_mm
    if steps.any() or perturbation.rotate_degrees:
        moved = motion(mask, tuple(steps.tolist()), perturbation.rotate_degrees)
        if perturbation.moves == "both":
            image = _moved_image(image, moved)
        mask = move_mask(mask, moved, random)
    if perturbation.grow:
        mask = resize_mask(mask, perturbation.grow, random)
    if perturbation.contour:
        box = box_around(mask, _AROUND_MM)
        mask = paste(redraw_contour(cut(image, box), cut(mask, box), random).array, box, mask)
    return image, mask


def noise_level(image: Volume, mask: Mask) -> float:
    """Estimate the standard deviation of the noise around the tumor, in units of the image.

    Immerkaer's operator in each slice, which does not see planes and edges along
    rows and columns, and the median of its size, which does not see the few
    voxels on other edges. Images that the scanner interpolated hold less noise
    between neighbors than they hold in all: for them it is too low.

    Examples
    --------
    >>> array = 100 + np.random.default_rng(0).normal(0, 5, (8, 40, 40))
    >>> mask = Mask(np.ones(array.shape), (1.0, 1.0, 1.0))
    >>> round(noise_level(Volume(array, (1.0, 1.0, 1.0)), mask), 1)
    5.0
    """
    array = cut(image, box_around(mask, _AROUND_MM)).array.astype(float)
    across = np.array([1.0, -2.0, 1.0])
    found = ndimage.convolve1d(ndimage.convolve1d(array, across, axis=1), across, axis=2)
    inner = found[:, 1:-1, 1:-1] if min(found.shape[1:]) > 2 else found
    return float(np.median(np.abs(inner)) / 0.6744897501960817 / 6.0)


def _moved_image(image: Volume, moved: sitk.AffineTransform) -> Volume:
    source = replace(image, array=image.array.astype(np.float64)).to_sitk()
    require_splines(image)
    found = sitk.Resample(source, source, moved.GetInverse(), sitk.sitkBSpline, float(image.array.min()))
    return replace(image, array=sitk.GetArrayFromImage(found))
