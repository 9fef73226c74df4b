"""Regions by name, on one grid."""

from __future__ import annotations

from collections.abc import Mapping

from radiomics_npc.errors import MaskError
from radiomics_npc.imaging.grid import grid_difference
from radiomics_npc.imaging.volume import Mask

__all__ = ["named_masks"]


def named_masks(mask: Mask | Mapping[str, Mask]) -> dict[str, Mask]:
    """Regions by name, all on one grid; a mask alone is the primary tumor.

    Raises
    ------
    MaskError
        There is none, a name is empty, or the grids differ.

    Examples
    --------
    >>> import numpy as np
    >>> list(named_masks(Mask(np.ones((2, 3, 4)), (1.0, 1.0, 1.0))))
    ['GTVp']
    """
    masks = dict(mask) if isinstance(mask, Mapping) else {"GTVp": mask}
    if not masks or not all(name.strip() for name in masks):
        raise MaskError("there is no mask to write, or one without name", "Give at least one, with its name.")
    first = next(iter(masks.values()))
    for name, other in masks.items():
        if (difference := grid_difference(first, other)) is not None:
            raise MaskError(
                f"{name} lies on another grid than {next(iter(masks))}: {difference}",
                "Bring them onto one grid, or write a file for each.",
            )
    return masks
