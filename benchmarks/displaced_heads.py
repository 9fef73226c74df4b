"""Two series of a simulated head that moved rigidly in between: tissues are moved, then imaged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from radiomics_npc.imaging.volume import Mask, Volume
from radiomics_npc.settings import Sequence
from radiomics_npc.simulate.acquisition import Series, draw_series
from radiomics_npc.simulate.anatomy import Head, build_head
from radiomics_npc.simulate.physics import take_image
from radiomics_npc.simulate.published import SCANNERS
from radiomics_npc.simulate.tumor import INNER, Growth, Interior, contour, draw_interior, grow
from radiomics_npc.simulate.variation import draw_variation

Points = NDArray[np.float64]
_VOLUME_CM3 = 9.0


@dataclass(frozen=True, eq=False)
class DisplacedHead:
    """``fixed`` before the head moved, ``moving`` after it, the tumor in ``fixed``; the true way is known."""

    fixed: Volume
    moving: Volume
    mask: Mask
    true_points: Callable[[Points], Points]

    @property
    def landmarks(self) -> Points:
        """100 points in the head, within 50, 60 and 45 mm of the nasopharynx along x, y and z."""
        lines = np.linspace(-50, 50, 5), np.linspace(-60, 60, 5), np.linspace(-45, 45, 4)
        return np.stack(np.meshgrid(*lines, indexing="ij"), axis=-1).reshape(-1, 3)


def displaced_head(
    seed: int,
    sequences: tuple[Sequence, Sequence] = ("t1", "t2"),
    most_mm: float = 10.0,
    most_degrees: float = 8.0,
    matrix: int = 192,
) -> DisplacedHead:
    """Draw a head, a motion up to the limits about and along random axes, and take both series."""
    rng = np.random.default_rng([seed, 77])
    series = draw_series(rng, sorted(SCANNERS)[int(rng.integers(len(SCANNERS)))], matrix)
    before, after = (series[name] for name in sequences)
    ends = np.array([one.axes[0][[0, -1]] for one in series.values()])
    # room for what the motion brings into view
    head = build_head(rng, (ends.min() - 25, ends.max() + 25), (), draw_variation(rng))
    growth = grow(rng, head, "T3", 1.0)
    interior = draw_interior(rng, head, growth, _VOLUME_CM3 * INNER, 0.0)
    turn, shift = draw_motion(rng, rng.uniform(0, most_mm), rng.uniform(0, most_degrees))
    fixed = take_image(rng, head, interior, before)
    moving = take_image(rng, *_moved(head, interior, turn, shift), after)
    mask = contour(rng, growth, before, _VOLUME_CM3)
    geometry = (before.spacing_mm, before.origin_mm, before.direction)
    return DisplacedHead(
        Volume(fixed, *geometry), Volume(moving, after.spacing_mm, after.origin_mm, after.direction),
        Mask(mask, *geometry), _true(before, after, turn, shift),
    )  # fmt: skip


def draw_motion(rng: np.random.Generator, mm: float, degrees: float) -> tuple[Points, Points]:
    """A rotation by ``degrees`` about a random axis, and a step of ``mm`` in a random direction."""
    axis, step = rng.normal(size=3), rng.normal(size=3)
    turn = sitk.VersorTransform((axis / np.linalg.norm(axis)).tolist(), float(np.radians(degrees)))
    return np.reshape(turn.GetMatrix(), (3, 3)), mm * step / np.linalg.norm(step)


def _true(before: Series, after: Series, turn: Points, shift: Points) -> Callable[[Points], Points]:
    """At p the moved head has what the old one had at ``turn @ p + shift``; both may have moved besides."""
    to_patient = np.reshape(before.direction, (3, 3))

    def true(points: Points) -> Points:
        scan = np.asarray(points) @ to_patient + before.motion_mm
        return np.asarray(((scan - shift) @ turn - after.motion_mm) @ to_patient.T)

    return true


def _moved(head: Head, interior: Interior, turn: Points, shift: Points) -> tuple[Head, Interior]:
    motion = sitk.AffineTransform(3)
    motion.SetMatrix(turn.ravel().tolist())
    motion.SetTranslation(shift.tolist())

    def move(array: NDArray, kind: int = sitk.sitkLinear) -> NDArray:
        image = sitk.GetImageFromArray(array)
        image.SetSpacing([float(axis[1] - axis[0]) for axis in head.axes[::-1]])
        image.SetOrigin([float(axis[0]) for axis in head.axes[::-1]])
        return sitk.GetArrayFromImage(sitk.Resample(image, image, motion, kind, 0.0))

    def spread(part: NDArray) -> NDArray:
        whole = np.zeros(head.tissue.shape, part.dtype)
        whole[interior.box] = part
        return whole

    nearest = sitk.sitkNearestNeighbor
    everywhere = tuple(slice(0, n) for n in head.tissue.shape)
    inside = move(spread(interior.inside.astype(np.uint8)), nearest) > 0
    return (
        replace(head, tissue=move(head.tissue, nearest), fine=move(head.fine), coarse=move(head.coarse)),
        Interior(everywhere, inside, move(spread(interior.mottle)), move(spread(interior.necrosis))),  # type: ignore[arg-type]
    )


def displaced_header(volume: Volume, rng: np.random.Generator, mm: float, degrees: float) -> Volume:
    """The same pixels whose header says that they lie elsewhere."""
    turn, shift = draw_motion(rng, mm, degrees)
    origin = turn @ np.array(volume.origin_mm) + shift
    direction = turn @ np.reshape(volume.direction, (3, 3))
    return replace(volume, origin_mm=tuple(origin.tolist()), direction=tuple(direction.ravel().tolist()))


def mask_on_shifted_grids(seed: int, volume_cm3: float, shares: tuple[float, ...]) -> list[Mask]:
    """The contour of one tumor on grids shifted along the slice normal by shares of the slice spacing."""
    rng = np.random.default_rng([seed, 5])
    series = draw_series(rng, sorted(SCANNERS)[seed % len(SCANNERS)], 256)["t1"]
    axis = series.axes[0]
    head = build_head(rng, (axis[0] - 5, axis[-1] + 5), (), draw_variation(rng))
    growth: Growth = grow(rng, head, "T3", 1.0)
    turned = np.reshape(series.direction, (3, 3))
    masks = []
    for share in shares:
        first = np.add(series.first_mm, (0, 0, share * series.spacing_mm[2]))
        drawn = contour(rng, growth, replace(series, first_mm=tuple(first.tolist())), volume_cm3, 0.0)
        masks.append(
            Mask(drawn, series.spacing_mm, tuple((turned @ first).tolist()), series.direction)  # type: ignore[arg-type]
        )
    return masks
