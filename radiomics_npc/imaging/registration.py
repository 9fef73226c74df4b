"""One image brought onto another: rigid motion, or rigid motion and B-spline, by mutual information.

Off unless a study asks for it. Where each sequence has its own contour, features come from its own
grid: a mask carried over half a slice of 5.5 mm loses overlap (Dice 0.62 in one phantom; for tumors of
several slices see :mod:`radiomics_npc.imaging.mask_moving`), and linear resampling of the image cut its
in-plane texture by 15 to 51%. So a registration moves masks here, and never the image that is measured.

References
----------
Mattes D et al. PET-CT image registration in the chest using free-form deformations. IEEE Trans Med
Imaging 2003;22:120. Powell MJD. An efficient method for finding the minimum of a function of several
variables without calculating derivatives. Comput J 1964;7:155. Styner M et al. Parametric estimate of
intensity inhomogeneities applied to MRI. IEEE Trans Med Imaging 2000;19:153 (one-plus-one evolution).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal, get_args

import numpy as np
import SimpleITK as sitk
from numpy.typing import ArrayLike, NDArray

from radiomics_npc.errors import ConfigError, ImageError
from radiomics_npc.imaging.registration_search import (
    Found,
    bspline_search,
    deu_search,
    lattice,
    mapped,
    mattes,
    multi_start_search,
)
from radiomics_npc.imaging.volume import Volume

__all__ = ["Deformation", "Method", "Registration", "move_image", "register", "registration_distance"]

Method = Literal["rigid", "bspline", "deu"]
_FORMAT: Final = 1
_INTERPOLATIONS: Final = {
    "nearest": sitk.sitkNearestNeighbor,
    "linear": sitk.sitkLinear,
    "bspline": sitk.sitkBSpline,
}


@dataclass(frozen=True)
class Deformation:
    """A cubic B-spline over the fixed image, as plain numbers.

    Parameters
    ----------
    grid : tuple of 18 floats
        Knots along x, y, z; origin; spacing in mm; direction cosines (ITK's fixed parameters).
    shifts_mm : tuple of floats
        Of every knot, all along x first.
    """

    grid: tuple[float, ...]
    shifts_mm: tuple[float, ...]

    def to_sitk(self) -> sitk.BSplineTransform:
        """Return the same as SimpleITK has it."""
        spline = sitk.BSplineTransform(3, 3)
        spline.SetFixedParameters(self.grid)
        spline.SetParameters(self.shifts_mm)
        return spline


@dataclass(frozen=True)
class Registration:
    """Where every point of the fixed image lies in the moving one.

    Parameters
    ----------
    method : {"rigid", "bspline", "deu"}
    matrix : tuple of 9 floats
        Rotation, row-major.
    center_mm, translation_mm : tuple of 3 floats
        The rotation turns about ``center_mm``, the middle of the fixed image; then ``translation_mm``
        is added. In patient space (LPS).
    deformation : Deformation, optional
        Applied before the rotation.
    metric_before, metric_after : float
        Mattes mutual information in nats at voxels of about 4 mm; more is better. 0 where the images
        do not overlap.
    iterations : int
    stop_reason : str
        Why the optimizer ended.
    seconds : float
        Not part of the comparison of two registrations.

    Examples
    --------
    >>> turned = Registration("rigid", (0.0, -1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0), (1.0, 0.0, 0.0),
    ...                       (0.0, 0.0, 5.0))
    >>> turned.transform_points([[2.0, 0.0, 0.0]]).tolist(), turned.rotation_degrees, turned.shift_mm
    ([[1.0, 1.0, 5.0]], 90.0, 5.0)
    >>> turned == Registration.from_dict(turned.to_dict())
    True
    """

    method: str
    matrix: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
    center_mm: tuple[float, ...] = (0.0, 0.0, 0.0)
    translation_mm: tuple[float, ...] = (0.0, 0.0, 0.0)
    deformation: Deformation | None = None
    metric_before: float = 0.0
    metric_after: float = 0.0
    iterations: int = 0
    stop_reason: str = ""
    seconds: float = field(default=0.0, compare=False)

    @property
    def shift_mm(self) -> float:
        """How far the middle of the fixed image is moved by the rigid part."""
        return float(np.linalg.norm(self.translation_mm))

    @property
    def rotation_degrees(self) -> float:
        """Angle of the rotation about its own axis."""
        cosine = (np.trace(np.reshape(self.matrix, (3, 3))) - 1) / 2
        return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))

    def rigid_part(self) -> sitk.AffineTransform:
        """Return the rotation and the translation as SimpleITK has them."""
        rigid = sitk.AffineTransform(3)
        rigid.SetMatrix(self.matrix)
        rigid.SetCenter(self.center_mm)
        rigid.SetTranslation(self.translation_mm)
        return rigid

    def to_sitk(self) -> sitk.Transform:
        """Return the transform from fixed to moving points, which resamples the moving image."""
        if self.deformation is None:
            return self.rigid_part()
        # ITK applies the last one first
        return sitk.CompositeTransform([self.rigid_part(), self.deformation.to_sitk()])

    def transform_points(self, points_mm: ArrayLike) -> NDArray[np.float64]:
        """Where points of the fixed image lie in the moving one.

        Parameters
        ----------
        points_mm : array-like, shape (n, 3)
            x, y, z in patient space.

        Returns
        -------
        array, shape (n, 3)
        """
        points = np.asarray(points_mm, dtype=float).reshape(-1, 3)
        if self.deformation is not None:
            points = mapped(self.deformation.to_sitk(), points).reshape(-1, 3)
        center = np.array(self.center_mm)
        return (points - center) @ np.reshape(self.matrix, (3, 3)).T + center + np.array(self.translation_mm)

    def inverse(self) -> Registration:
        """Return the way back, from the moving image to the fixed one.

        Raises
        ------
        ImageError
            A B-spline has no inverse in closed form.
        """
        if self.deformation is not None:
            raise ImageError("a B-spline cannot be inverted", "Register the images the other way round.")
        back = np.reshape(self.matrix, (3, 3)).T
        center = np.array(self.center_mm) + np.array(self.translation_mm)
        return Registration(
            self.method, _floats(back), _floats(center), _floats(-np.array(self.translation_mm)), None,
            self.metric_before, self.metric_after, self.iterations, self.stop_reason, self.seconds,
        )  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain JSON; numbers keep all their digits."""
        return {"format": _FORMAT, **asdict(self)}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Registration:
        """Make what :meth:`to_dict` gave, also after JSON turned its tuples into lists.

        Raises
        ------
        ConfigError
            It is no registration, or of a later version.
        """
        try:
            values = dict(content)
            if values.pop("format") != _FORMAT:
                raise ConfigError("the registration is of another version", "Register the images again.")
            spline = values.pop("deformation")
            deformation = None if spline is None else Deformation(*(_floats(spline[k]) for k in _SPLINE))
            values |= {name: _floats(values[name]) for name in _VECTORS}
            return cls(deformation=deformation, **values)
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigError("this is no registration", "Register the images again.") from error


_VECTORS: Final = ("matrix", "center_mm", "translation_mm")
_SPLINE: Final = ("grid", "shifts_mm")


def _floats(values: ArrayLike) -> tuple[float, ...]:
    return tuple(float(value) for value in np.ravel(values))


def register(
    moving: Volume, fixed: Volume, method: Method = "rigid", *, random_state: int = 0
) -> Registration:
    """Find where the points of one image lie in another of the same patient.

    Parameters
    ----------
    moving : Volume
        Whose masks or landmarks shall be moved, e.g. CE-T1.
    fixed : Volume
        Onto which they shall be moved, e.g. T2; of any contrast, grid and orientation.
    method : {"rigid", "bspline", "deu"}
        ``rigid``: rotation and translation, found by Powell's method on images averaged to 8 mm in plane
        (no average across thick slices) from two starts, and from four more by chance if these two end
        in different places; then at 4 mm. ``bspline``: after it, knots every 70 mm move as well.
        ``deu``: the recipe of the DEU paper (one-plus-one evolution, radius 0.004, at most 300
        iterations) from where the headers put the images, kept to compare with: its steps are too
        small to get anywhere. See Notes.
    random_state : int
        Of the further starts, and of the evolution.

    Returns
    -------
    Registration
        The same bits for the same images, whatever the number of threads.

    Raises
    ------
    ConfigError
        There is no such method.
    ImageError
        An image has one value only, values that are not finite or fewer than 4 slices, or the images
        cannot be brought to overlap.

    Notes
    -----
    On 40 simulated heads that moved by up to 10 mm and 8 degrees between T1 and T2 or CE-T1
    (``python -m benchmarks.registration``) NUMBERS.

    Examples
    --------
    >>> z, y, x = np.ogrid[-4:5, -20:21, -20:21]
    >>> head = Volume(np.exp(-(x / 9) ** 2 - (y / 13) ** 2 - (z / 3) ** 2) + (x > y), (3.0, 3.0, 5.0))
    >>> turned = Volume(head.array, head.spacing_mm, (4.0, 0.0, 0.0))
    >>> np.round(register(turned, head).translation_mm).tolist()
    [4.0, 0.0, 0.0]
    """
    if method not in get_args(Method):
        raise ConfigError(f"there is no registration {method!r}", f"Take {', '.join(get_args(Method))}.")
    begin = time.perf_counter()
    if method == "deu":
        found = deu_search(fixed, moving, random_state % (2**31 - 1) + 1)
    else:
        found = multi_start_search(fixed, moving, np.random.default_rng(random_state))
    rigid = found.transform
    deformation = None
    if method == "bspline":
        bent = bspline_search(fixed, moving, rigid)
        deformation = Deformation(
            _floats(bent.transform.GetFixedParameters()), _floats(bent.transform.GetParameters())
        )
        found = Found(rigid, bent.metric, found.iterations + bent.iterations, bent.stop_reason)
    return Registration(
        method, _floats(rigid.GetMatrix()), _floats(rigid.GetCenter()), _floats(rigid.GetTranslation()),
        deformation, mattes(fixed, moving, sitk.Transform(3, sitk.sitkIdentity)), found.metric,
        found.iterations, found.stop_reason, time.perf_counter() - begin,
    )  # fmt: skip


def registration_distance(a: Registration, b: Registration, fixed: Volume) -> float:
    """Mean distance in mm between where two registrations bring the points of an image.

    Parameters
    ----------
    a, b : Registration
    fixed : Volume
        The middle 70% of its field of view along each axis counts.

    Returns
    -------
    float

    Examples
    --------
    >>> image = Volume(np.zeros((5, 5, 5)), (1.0, 1.0, 1.0))
    >>> registration_distance(Registration("rigid"), Registration("rigid", translation_mm=(3, 4, 0)), image)
    5.0
    """
    points = lattice(fixed.to_sitk())
    return float(np.linalg.norm(a.transform_points(points) - b.transform_points(points), axis=1).mean())


def move_image(
    volume: Volume, registration: Registration, like: Volume, interpolation: str = "linear"
) -> Volume:
    """The moving image as it looks on the grid of the fixed one: to look at, not to be measured.

    Parameters
    ----------
    volume : Volume
        The moving image.
    registration : Registration
    like : Volume
        The fixed image.
    interpolation : {"nearest", "linear", "bspline"}

    Returns
    -------
    Volume
        On the grid of ``like``; NaN where the moving image has nothing.

    Examples
    --------
    >>> image = Volume(np.arange(8.0).reshape(1, 1, 8), (1.0, 1.0, 1.0))
    >>> move_image(image, Registration("rigid", translation_mm=(2, 0, 0)), image).array.ravel().tolist()
    [2.0, 3.0, 4.0, 5.0, 6.0, 7.0, nan, nan]
    """
    source = Volume(volume.array.astype(np.float64), volume.spacing_mm, volume.origin_mm, volume.direction)
    found = sitk.Resample(
        source.to_sitk(), like.to_sitk(), registration.to_sitk(), _INTERPOLATIONS[interpolation], np.nan
    )
    return Volume(sitk.GetArrayFromImage(found), like.spacing_mm, like.origin_mm, like.direction)
