"""Whether a registration can be trusted: by landmarks where there are some, else by the images alone.

References
----------
Brock KK et al. Use of image registration and fusion algorithms and techniques in radiotherapy: report
of the AAPM Radiation Therapy Committee Task Group No. 132. Med Phys 2017;44:e43 (mean below 2 mm,
largest below 5 mm). Fitzpatrick JM, West JB. The distribution of target registration error in rigid-body
point-based registration. IEEE Trans Med Imaging 2001;20:917 (the error at points that did not steer it).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
import SimpleITK as sitk

from radiomics_npc.errors import CohortError, ImageError
from radiomics_npc.imaging.normalize import body_mask
from radiomics_npc.imaging.registration import move_image, registration_distance
from radiomics_npc.imaging.registration_result import Registration
from radiomics_npc.imaging.registration_search import multi_start_search
from radiomics_npc.imaging.similarity import mutual_information
from radiomics_npc.imaging.volume import Volume

__all__ = [
    "FLAGS", "RegistrationFlag", "RegistrationQuality", "TargetError", "assess_registration",
    "target_registration_error",
]  # fmt: skip

#: TG-132: mean and largest error that are good enough for treatment planning.
TG132_MEAN_MM, TG132_MAX_MM = 2.0, 5.0

# Limits of the flags, set on simulated heads (python -m benchmarks.registration): sound registrations stay on
# the near side of each with room, failed ones (wrong patient, not moved, stuck) lie beyond at least one.
_MOST_RETURN_MM: Final = 0.8
_LEAST_OVERLAP: Final = 0.85
_LEAST_COVERED: Final = 0.7
_LARGEST_SHIFT_MM, _LARGEST_DEGREES = 40.0, 30.0
_LEAST_JACOBIAN: Final = 0.2
#: Where the second search begins, from where the first one ended.
_AWAY_MM, _AWAY_DEGREES = 6.0, 5.0


@dataclass(frozen=True)
class RegistrationFlag:
    """One reason to look at a registration: its code in tables, what was seen, what to do."""

    code: str
    sentence: str
    remedy: str


_LOOK: Final = "Look at the checkerboard and at the mask; draw it anew where they do not fit."
FLAGS: Final[dict[str, RegistrationFlag]] = {
    flag.code: flag
    for flag in (
        RegistrationFlag("no_gain", "the images share less information than before", _LOOK),
        RegistrationFlag(
            "not_reproducible",
            f"a second search from nearby ends more than {_MOST_RETURN_MM:g} mm away",
            _LOOK,
        ),
        RegistrationFlag(
            "outlines_differ",
            f"the outlines of the body overlap to a Dice below {_LEAST_OVERLAP:g}",
            "Check that both series are of the same patient; then look at the checkerboard.",
        ),
        RegistrationFlag(
            "little_overlap",
            f"less than {_LEAST_COVERED:.0%} of the body in one image is within the other",
            "Check that both series cover the tumor.",
        ),
        RegistrationFlag(
            "large_motion",
            f"more than {_LARGEST_SHIFT_MM:g} mm or {_LARGEST_DEGREES:g} degrees between two series",
            "Check that the headers of both series are right; then look at the checkerboard.",
        ),
        RegistrationFlag("folds", "the deformation folds or nearly does", "Take method: rigid."),
    )
}


@dataclass(frozen=True, eq=False)
class TargetError:
    """Distances between landmarks after a registration.

    Parameters
    ----------
    errors_mm : Series
        One a landmark, by its name.
    """

    errors_mm: pd.Series

    @property
    def mean_mm(self) -> float:
        """Mean distance."""
        return float(self.errors_mm.mean())

    @property
    def max_mm(self) -> float:
        """Largest distance."""
        return float(self.errors_mm.max())

    @property
    def meets_tg132(self) -> bool:
        """Whether the mean is below 2 mm and the largest below 5 mm."""
        return self.mean_mm < TG132_MEAN_MM and self.max_mm < TG132_MAX_MM

    def to_frame(self) -> pd.DataFrame:
        """One row: landmarks, mean_mm, max_mm, meets_tg132."""
        values = [len(self.errors_mm), self.mean_mm, self.max_mm, self.meets_tg132]
        return pd.DataFrame([values], columns=["landmarks", "mean_mm", "max_mm", "meets_tg132"])

    def _repr_html_(self) -> str:
        return self.to_frame().to_html(index=False, float_format="{:.2f}".format)


def target_registration_error(
    registration: Registration, fixed_points: pd.DataFrame, moving_points: pd.DataFrame
) -> TargetError:
    """Measure a registration at landmarks that were set in both images.

    Parameters
    ----------
    registration : Registration
    fixed_points, moving_points : DataFrame
        Columns ``x_mm``, ``y_mm``, ``z_mm`` in patient space (LPS, as DICOM has it); the index names the
        landmarks, and those in both tables count.

    Returns
    -------
    TargetError

    Raises
    ------
    CohortError
        A column is missing, a landmark occurs twice or is no number, or no landmark is in both tables.

    Examples
    --------
    >>> axes = ["x_mm", "y_mm", "z_mm"]
    >>> fixed = pd.DataFrame([[0.0, 0, 0], [9, 0, 0]], ["apex", "crista"], axes)
    >>> moving = pd.DataFrame([[1.0, 0, 0], [9, 3, 0]], ["apex", "crista"], axes)
    >>> target_registration_error(Registration("rigid"), fixed, moving).to_frame().values.tolist()
    [[2, 2.0, 3.0, False]]
    """
    axes = ["x_mm", "y_mm", "z_mm"]
    remedy = "Give a table with landmark, x_mm, y_mm and z_mm for each image, the same names in both."
    for table in (fixed_points, moving_points):
        if not set(axes) <= set(table.columns):
            raise CohortError("a table of landmarks lacks x_mm, y_mm or z_mm", remedy)
        if table.index.has_duplicates or not np.isfinite(table[axes].to_numpy(float)).all():
            raise CohortError("a landmark occurs twice, or one of its coordinates is no number", remedy)
    shared = fixed_points.index.intersection(moving_points.index, sort=False)
    if shared.empty:
        raise CohortError("no landmark is in both tables", remedy)
    ends = registration.transform_points(fixed_points.loc[shared, axes].to_numpy(float))
    errors = np.linalg.norm(ends - moving_points.loc[shared, axes].to_numpy(float), axis=1)
    return TargetError(pd.Series(errors, index=shared, name="error_mm"))


@dataclass(frozen=True)
class RegistrationQuality:
    """What the images alone say of a registration.

    Parameters
    ----------
    mutual_information_before, mutual_information_after : float
        In nats, where the two images overlap, on the grid of the fixed one.
    body_dice_before, body_dice_after : float
        Of the outlines of the body, within the field of view of both.
    covered : float
        Share of the fixed image's body that lies within the moving image.
    return_mm : float
        How far from it a second, rigid search ends that begins 6 mm and 5 degrees away; of a B-spline,
        from its rigid part.
    least_jacobian : float
        Smallest determinant of the deformation: 1 is no change of volume, 0 or less a fold.
    flags : tuple of str
        Codes of :data:`FLAGS`; none is no proof that it is right.
    """

    mutual_information_before: float
    mutual_information_after: float
    body_dice_before: float
    body_dice_after: float
    covered: float
    return_mm: float
    least_jacobian: float
    flags: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing speaks against it."""
        return not self.flags

    def to_frame(self) -> pd.DataFrame:
        """One row, flags separated by semicolons."""
        return pd.DataFrame([self.to_dict() | {"flags": "; ".join(self.flags)}])

    def to_dict(self) -> dict[str, Any]:
        """The same as plain JSON, without a number where a search found nothing."""
        values = {**self.__dict__, "flags": list(self.flags)}
        return values if np.isfinite(self.return_mm) else values | {"return_mm": None}

    def _repr_html_(self) -> str:
        return self.to_frame().to_html(index=False, float_format="{:.3f}".format)


def assess_registration(
    registration: Registration, moving: Volume, fixed: Volume, *, random_state: int = 0
) -> RegistrationQuality:
    """Judge a registration without landmarks.

    Parameters
    ----------
    registration : Registration
    moving, fixed : Volume
        As they were registered.
    random_state : int
        Of where the second search begins.

    Returns
    -------
    RegistrationQuality

    Raises
    ------
    ImageError
        An image has one value only, or values that are not finite.

    Notes
    -----
    Calibrated on simulated heads, see :func:`radiomics_npc.imaging.registration.register`: none of 40
    sound registrations had a flag, all 35 failures of ``deu`` and 38 of 38 failures made on purpose had.
    """
    still = Registration("rigid")
    bodies = _body(fixed), _body(moving)
    before, after = (_compared(one, moving, fixed, bodies) for one in (still, registration))
    jacobian = _least_jacobian(registration, fixed)
    back = _return_mm(registration, moving, fixed, random_state)
    found = {
        "no_gain": after[0] < before[0],
        "not_reproducible": not back <= _MOST_RETURN_MM,
        "outlines_differ": after[1] < _LEAST_OVERLAP,
        "little_overlap": after[2] < _LEAST_COVERED,
        "large_motion": registration.shift_mm > _LARGEST_SHIFT_MM
        or registration.rotation_degrees > _LARGEST_DEGREES,
        "folds": jacobian < _LEAST_JACOBIAN,
    }
    flags = tuple(code for code in FLAGS if found[code])
    return RegistrationQuality(before[0], after[0], before[1], after[1], after[2], back, jacobian, flags)


def _body(volume: Volume) -> Volume:
    return Volume(body_mask(volume).astype(np.float32), volume.spacing_mm, volume.origin_mm, volume.direction)


def _compared(
    registration: Registration, moving: Volume, fixed: Volume, bodies: tuple[Volume, Volume]
) -> tuple[float, float, float]:
    """Mutual information, Dice of the bodies, and the share of the fixed body within the moving image."""
    moved = move_image(moving, registration, fixed).array
    within, body = np.isfinite(moved), bodies[0].array > 0.5
    other = move_image(bodies[1], registration, fixed, "nearest").array[within] > 0.5
    here = body[within]
    total = int(here.sum()) + int(other.sum())
    return (
        mutual_information(fixed.array, moved),
        2 * int((here & other).sum()) / total if total else 0.0,
        float(here.sum() / body.sum()),
    )


def _return_mm(registration: Registration, moving: Volume, fixed: Volume, random_state: int) -> float:
    """Distance to where a second search ends; infinite where it finds no overlap."""
    random = np.random.default_rng([random_state, 1])
    away, axis = random.normal(size=3), random.normal(size=3)
    turn = sitk.VersorTransform((axis / np.linalg.norm(axis)).tolist(), float(np.radians(_AWAY_DEGREES)))
    start = sitk.Euler3DTransform()
    start.SetCenter(registration.center_mm)
    start.SetMatrix(
        (np.reshape(turn.GetMatrix(), (3, 3)) @ np.reshape(registration.matrix, (3, 3))).ravel().tolist()
    )
    shift = np.array(registration.translation_mm) + _AWAY_MM * away / np.linalg.norm(away)
    start.SetTranslation(shift.tolist())
    try:
        second = multi_start_search(fixed, moving, random, around=start).transform
    except ImageError:
        return float("inf")
    other = Registration("rigid", second.GetMatrix(), second.GetCenter(), second.GetTranslation())
    rigid = Registration("rigid", registration.matrix, registration.center_mm, registration.translation_mm)
    return registration_distance(rigid, other, fixed)


def _least_jacobian(registration: Registration, fixed: Volume) -> float:
    """Of the deformation, at points some 8 mm apart within the fixed image."""
    if registration.deformation is None:
        return 1.0
    spline = registration.deformation.to_sitk()
    reference = fixed.to_sitk()
    size = [
        max(2, round(n * s / 8)) for n, s in zip(reference.GetSize(), reference.GetSpacing(), strict=True)
    ]
    spacing = [n * s / m for n, s, m in zip(reference.GetSize(), reference.GetSpacing(), size, strict=True)]
    field = sitk.TransformToDisplacementField(
        spline, sitk.sitkVectorFloat64, size, reference.GetOrigin(), spacing, reference.GetDirection()
    )
    return float(sitk.GetArrayFromImage(sitk.DisplacementFieldJacobianDeterminant(field)).min())
