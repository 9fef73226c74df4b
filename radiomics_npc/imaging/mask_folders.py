"""Folders with a mask file for every structure, merged by the names of the files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from radiomics_npc.cohort.cases import Label
from radiomics_npc.cohort.regions import file_stem
from radiomics_npc.errors import MaskError, RegionAbsentError
from radiomics_npc.imaging.grid import embed_mask, grid_difference, reorient_mask
from radiomics_npc.imaging.label_maps import read_label_map
from radiomics_npc.imaging.volume import Mask, Volume

__all__ = ["read_structures", "structure_files"]

_ENDINGS = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd")


def structure_files(folder: Path, label: Label | tuple[Label, ...] | None) -> dict[str, Path]:
    """Files of a folder that are named as the parts of a label.

    Parameters
    ----------
    folder : Path
    label : str or tuple of str
        Names of files without their ending; a ``?`` after a name says that it need not be there.

    Returns
    -------
    dict of str to Path
        By the part of the label; empty where no part is a file.
    """
    parts = [part for part in (label if isinstance(label, tuple) else (label,)) if isinstance(part, str)]
    there = {
        file_stem(path): path
        for path in sorted(folder.iterdir())
        if parts and path.is_file() and path.name.casefold().endswith(_ENDINGS)
    }
    found = {part: there.get(part, there.get(part.removesuffix("?"))) for part in parts}
    return {part: path for part, path in found.items() if path is not None}


def read_structures(
    folder: Path, label: Label | tuple[Label, ...] | None, like: Volume | None = None
) -> Mask:
    """Read the files of several structures as one region.

    Parameters
    ----------
    folder : Path
    label : str or tuple of str
        As in :func:`structure_files`.
    like : Volume, optional
        The image; files that were cropped are put back in place on its grid.

    Returns
    -------
    Mask
        The union.

    Raises
    ------
    RegionAbsentError
        Nothing is drawn in any of them.
    MaskError
        A file is absent or nothing is drawn in it, and its part need not be there only with ``?``; the
        files lie on different grids.
    """
    files = structure_files(folder, label)
    parts = label if isinstance(label, tuple) else (label,)
    masks: list[Mask] = []
    absent: list[str] = []
    for part in parts:
        name = str(part)
        try:
            if name not in files:
                raise RegionAbsentError(f"{folder.name} has no file {name.removesuffix('?')}")
            masks.append(read_label_map(files[name], None))
        except RegionAbsentError as error:
            absent += [] if name.endswith("?") else [error.message]
    if not masks:
        raise RegionAbsentError(f"nothing is drawn in {', '.join(path.name for path in files.values())}")
    if absent:
        raise MaskError(
            f"{absent[0]}, which is to be merged with others",
            "If it need not be drawn in every patient, write a ? after its name.",
        )
    return _union(masks, [path.name for path in files.values()], like)


def _union(masks: list[Mask], names: list[str], like: Volume | None) -> Mask:
    first, *others = masks
    if any(grid_difference(first, other) is not None for other in others):
        placed = [None if like is None else _in_place(mask, like) for mask in masks]
        if any(mask is None for mask in placed):
            raise MaskError(
                f"{' and '.join(names)} lie on different grids",
                "Export them on the grid of their image, or merge them into one file.",
            )
        first, *others = [mask for mask in placed if mask is not None]
    array = first.array.copy()
    for other in others:
        array |= other.array
    return replace(first, array=array)


def _in_place(mask: Mask, like: Volume) -> Mask | None:
    placed = reorient_mask(mask, like)
    return embed_mask(mask, like) if placed is None else placed
