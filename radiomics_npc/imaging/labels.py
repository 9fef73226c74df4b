"""Which regions of a mask file a label means: by value, by name, or by another name of the same volume."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from radiomics_npc.cohort.cases import Label
from radiomics_npc.cohort.labels import parse_label
from radiomics_npc.cohort.region_names import ALIASES, name_comparisons
from radiomics_npc.cohort.tables import plain
from radiomics_npc.errors import MaskError, RegionAbsentError

__all__ = ["ALIASES", "Region", "as_optional", "find_regions", "parse_label"]

_MOST_NAMES = 12


@dataclass(frozen=True)
class Region:
    """A region that a mask file holds.

    Parameters
    ----------
    values : tuple of int
        Its value in the array, the number of the segment, or of the ROI; several where a table makes one
        region of several values.
    names : tuple of str
        What the file calls it, the name proper first.
    layer : int
        Which of several arrays it lies in.
    """

    values: tuple[int, ...]
    names: tuple[str, ...] = ()
    layer: int = 0


def as_optional(label: Label | tuple[Label, ...] | None) -> Label | tuple[Label, ...] | None:
    """The same label with every part of it optional (``GTVnd?``): any of them will do.

    Examples
    --------
    >>> as_optional(("GTVnd_L", "GTVnd_R?", 2)), as_optional(None)
    (('GTVnd_L?', 'GTVnd_R?', '2?'), None)
    """
    if isinstance(label, tuple):
        return tuple(f"{str(part).removesuffix('?')}?" for part in label)
    return label


def find_regions(regions: Sequence[Region], label: Label | tuple[Label, ...], file: str) -> list[Region]:
    """Find the regions that a label means.

    A name is looked for as it is written; then without regard to case, spaces, ``-`` and ``_``; then
    among the other names of the same target volume (:data:`ALIASES`). Each step must find one region.

    Parameters
    ----------
    regions : sequence of Region
        What the file holds.
    label : int, str or tuple of them
        Value or name; several are merged. A part that ends in ``?`` need not be there (``gtvp +
        gtvnd?``: a patient without involved nodes).
    file : str
        For the message.

    Returns
    -------
    list of Region
        At least one.

    Raises
    ------
    RegionAbsentError
        The file has no such region.
    MaskError
        Some parts are there and others are not; a name fits several regions; the file names none.

    Examples
    --------
    >>> there = [Region((1,), ("GTV_Prim",)), Region((2,), ("GTVnd",)), Region((3,), ("Brain",))]
    >>> [r.values for r in find_regions(there, "gtvp", "a.seg.nrrd")]
    [(1,)]
    >>> [r.values for r in find_regions(there, ("gtvnx", "GTVn", "GTVrpn?"), "a.seg.nrrd")]
    [(1,), (2,)]
    >>> find_regions(there, "Brain 2", "a.seg.nrrd")
    Traceback (most recent call last):
    ...
    radiomics_npc.errors.RegionAbsentError: a.seg.nrrd has no segment 'Brain 2'. It has: GTV_Prim,
    GTVnd, Brain. Nearest: Brain.
    """
    found: list[Region] = []
    missing: list[tuple[str, RegionAbsentError]] = []
    parts = label if isinstance(label, tuple) else (label,)
    for part in parts:
        wanted, optional = _is_optional(part, regions)
        try:
            found.append(_find(regions, wanted, file))
        except RegionAbsentError as error:
            if not optional or len(parts) == 1:
                missing.append((str(wanted), error))
    if found and missing:
        name, fault = missing[0]
        raise MaskError(
            f"{fault.message}, which is to be merged with others",
            f"{fault.remedy} If it need not be drawn in every patient, write {name}? for it.".strip(),
        )
    if missing:
        raise missing[0][1]
    if not found:
        raise RegionAbsentError(f"{file} has none of {', '.join(map(str, parts))}", _what_is_there(regions))
    return list(dict.fromkeys(found))


def _is_optional(part: Label, regions: Sequence[Region]) -> tuple[Label, bool]:
    if isinstance(part, int) or not part.endswith("?") or any(part in r.names for r in regions):
        return part, False
    bare = part.removesuffix("?").strip()
    return (int(bare) if re.fullmatch(r"[+-]?\d+", bare) else bare), True


def _find(regions: Sequence[Region], wanted: Label, file: str) -> Region:
    if isinstance(wanted, int):
        if there := [r for r in regions if r.values == (wanted,)]:
            return _one(there, wanted, file)
        raise RegionAbsentError(f"{file} holds no label {wanted}", _what_is_there(regions, values=True))
    if not any(r.names for r in regions):
        raise MaskError(
            f"{file} has no segment {wanted!r}: it names none",
            "Give the value of the region, or put a table of names beside the file (ITK-SNAP labels, a .ctbl"
            " of 3D Slicer, or dataset.json).",
        )
    for same in name_comparisons(wanted):
        if there := [r for r in regions if any(same(name) for name in r.names)]:
            return _one(there, wanted, file)
    raise RegionAbsentError(f"{file} has no segment {wanted!r}", _what_is_there(regions, wanted))


def _one(there: Iterable[Region], wanted: Label, file: str) -> Region:
    unique = {(r.layer, r.values): r for r in there}
    if len(unique) > 1:
        names = " or ".join(_called(r, True) for r in unique.values())
        raise MaskError(
            f"{wanted!r} may be {names} in {file}",
            "Write the name as it stands there, or merge them with +; regions of one name must be renamed.",
        )
    return next(iter(unique.values()))


def _called(region: Region, value: bool = False) -> str:
    number = "+".join(map(str, region.values))
    if not region.names:
        return number
    return f"{region.names[0]} ({number})" if value else region.names[0]


def _what_is_there(regions: Sequence[Region], wanted: str = "", *, values: bool = False) -> str:
    if not regions:
        return "It holds no segment at all."
    named = [r for r in regions if r.names]
    names = list(dict.fromkeys(_called(r, values) for r in named or regions))
    shown = ", ".join(names[:_MOST_NAMES])
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    by_plain = {plain(name): name for r in named for name in r.names}
    near = get_close_matches(plain(wanted), by_plain, n=1, cutoff=0.6) if len(names) > 1 else []
    begin = "It has" if named else "Values in it"
    return f"{begin}: {shown}{more}." + (f" Nearest: {by_plain[near[0]]}." if near else "")
