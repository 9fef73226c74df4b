"""Morphology of a tumor as published with the data set: four numbers a mask."""

from __future__ import annotations

import math

from radiomics_npc.imaging.mesh import mesh_geometry
from radiomics_npc.imaging.volume import Mask

__all__ = ["morphology"]


def morphology(mask: Mask) -> dict[str, float]:
    """Volume, surface area, maximum diameter and surface regularity.

    Parameters
    ----------
    mask : Mask

    Returns
    -------
    dict
        ``volume_cm3``, ``surface_cm2``, ``max_diameter_cm`` and
        ``surface_regularity`` = V / (4/3 pi R^3), where R is the radius of the
        sphere with the same surface: 1 for a sphere, less for anything else.

    Raises
    ------
    MaskError
        The mask is empty.

    Examples
    --------
    >>> import numpy as np
    >>> cube = Mask(np.ones((20, 20, 20)), (1.0, 1.0, 1.0))
    >>> {name: round(value, 2) for name, value in morphology(cube).items()}
    {'volume_cm3': 7.97, 'surface_cm2': 23.29, 'max_diameter_cm': 3.35, 'surface_regularity': 0.75}
    """
    mesh = mesh_geometry(mask.array, mask.spacing_mm)
    radius = math.sqrt(mesh.area_mm2 / (4 * math.pi))
    return {
        "volume_cm3": mesh.volume_mm3 / 1000,
        "surface_cm2": mesh.area_mm2 / 100,
        "max_diameter_cm": mesh.max_diameter_mm / 10,
        "surface_regularity": mesh.volume_mm3 / (4 / 3 * math.pi * radius**3),
    }
