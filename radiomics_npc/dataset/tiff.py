"""Images as TIFF: a stack, or a file a slice, with the size of their pixels."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from radiomics_npc.imaging.volume import Volume
from radiomics_npc.storage import write_atomic

__all__ = ["slice_paths", "write_tiff"]


def slice_paths(path: Path, slices: int, ending: str = "") -> list[Path]:
    """Names of the slices of an image, numbered as the authors of the published data number them.

    Examples
    --------
    >>> [p.name for p in slice_paths(Path("001/T1WI.tif"), 2, "_mask")]
    ['T1WI_000_mask.tif', 'T1WI_001_mask.tif']
    """
    return [path.with_name(f"{path.stem}_{k:03d}{ending}{path.suffix}") for k in range(slices)]


def write_tiff(path: Path, volume: Volume, note: str = "") -> None:
    """Write an image as a TIFF file, a page a slice.

    The resolution tags hold pixels per centimeter; spacing, origin and direction in mm stand as JSON in the
    description, for what the format has no tags. Nothing depends on the time or the machine.

    Parameters
    ----------
    path : Path
    volume : Volume
    note : str
        For the description as well.
    """
    import tifffile

    about = {
        "spacing_mm": [float(s) for s in volume.spacing_mm],
        "origin_mm": [float(o) for o in volume.origin_mm],
        "direction": [float(d) for d in volume.direction],
        **({"note": note} if note else {}),
    }
    with write_atomic(path) as temporary:
        tifffile.imwrite(
            temporary,
            np.ascontiguousarray(volume.array),
            photometric="minisblack",
            resolution=(10 / volume.spacing_mm[0], 10 / volume.spacing_mm[1]),
            resolutionunit="CENTIMETER",
            description=json.dumps(about),
            software="radiomics-npc",
            metadata=None,
        )
