"""What a registration found: where every point of one image lies in another, as plain numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np
import SimpleITK as sitk
from numpy.typing import ArrayLike, NDArray

from radiomics_npc.errors import ConfigError, ImageError
from radiomics_npc.imaging.registration_search import mapped

__all__ = ["Deformation", "Registration", "floats"]

_FORMAT: Final = 1


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
            self.method, floats(back), floats(center), floats(-np.array(self.translation_mm)), None,
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
            deformation = None if spline is None else Deformation(*(floats(spline[k]) for k in _SPLINE))
            values |= {name: floats(values[name]) for name in _VECTORS}
            return cls(deformation=deformation, **values)
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigError("this is no registration", "Register the images again.") from error


_VECTORS: Final = ("matrix", "center_mm", "translation_mm")
_SPLINE: Final = ("grid", "shifts_mm")


def floats(values: ArrayLike) -> tuple[float, ...]:
    """Numbers as a flat tuple of plain floats."""
    return tuple(float(value) for value in np.ravel(values))
