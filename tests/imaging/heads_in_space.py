"""A head as a function of the place in space, so that it can be imaged on any grid after any motion."""

import numpy as np
import SimpleITK as sitk

from radiomics_npc.imaging.volume import Volume

# center (mm), half axes (mm), signal of two contrasts
PARTS = (
    ((0, 0, 0), (72, 88, 70), (100, 60)),
    ((0, 10, 12), (55, 62, 40), (60, 140)),
    ((18, -40, -20), (14, 26, 16), (20, 25)),
    ((-22, -38, -14), (10, 20, 14), (25, 15)),
    ((38, 20, -30), (14, 12, 26), (170, 90)),
    ((-34, 28, -26), (16, 14, 22), (150, 110)),
    ((4, 48, 4), (9, 12, 34), (40, 220)),
    ((0, -8, -6), (13, 11, 12), (10, 10)),
    ((24, -2, 24), (12, 22, 9), (190, 40)),
)


def direction_of(degrees=(0.0, 0.0, 0.0)):
    """Direction cosines of a grid that is turned."""
    turn = sitk.Euler3DTransform()
    turn.SetRotation(*np.radians(degrees).tolist())
    return tuple(turn.GetMatrix())


def image(contrast=0, still=lambda p: p, size=(64, 74, 13), spacing=(2.6, 2.6, 5.5), direction=None, seed=0):
    """The head after a motion; ``still`` says for each point what point of the unmoved head is there."""
    direction = direction or direction_of()
    axes = np.reshape(direction, (3, 3)) * np.array(spacing)
    origin = -axes @ (np.array(size) - 1) / 2
    index = np.indices(size[::-1], dtype=float)[::-1].reshape(3, -1).T
    points = still(origin + index @ axes.T)
    array = np.zeros(len(points))
    for center, radii, signal in PARTS:
        depth = 1 - np.sqrt((((points - center) / radii) ** 2).sum(axis=1))
        inside = 1 / (1 + np.exp(-depth * min(radii)))  # an edge of some mm
        array += inside * (signal[contrast] - array)
    array += np.random.default_rng(seed).normal(0, 2, array.shape)
    return Volume(array.reshape(size[::-1]), spacing, tuple(origin.tolist()), tuple(direction))


def motion(degrees, shift):
    """A rigid motion as matrix and step: where a point of the fixed image lies in the moving one."""
    return np.reshape(direction_of(degrees), (3, 3)), np.array(shift, dtype=float)


def landmarks():
    return np.random.default_rng(1).uniform((-50, -60, -30), (50, 60, 30), (40, 3))
