"""The classes of one case, from a label map, a file a class, a DICOM SEG or an RTSTRUCT."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from radiomics_npc.cohort.cases import Label
from radiomics_npc.cohort.labels import as_label
from radiomics_npc.cohort.regions import Structures, file_stem
from radiomics_npc.cohort.tables import plain
from radiomics_npc.dataset.case_files import MAPS
from radiomics_npc.errors import CohortError, RegionAbsentError
from radiomics_npc.imaging.dicom_objects import find_mask_object, read_object
from radiomics_npc.imaging.label_maps import LabelMap, open_label_map
from radiomics_npc.imaging.label_tables import read_table_names
from radiomics_npc.imaging.labels import Region, find_regions
from radiomics_npc.imaging.mask_folders import read_structures
from radiomics_npc.imaging.reading import read_mask
from radiomics_npc.imaging.rtstruct import roi_names
from radiomics_npc.imaging.seg import segment_names
from radiomics_npc.imaging.volume import Mask, Volume

__all__ = ["CaseMasks", "Drawn", "WantedClass", "name_classes"]


@dataclass(frozen=True)
class WantedClass:
    """A class to be evaluated.

    Parameters
    ----------
    name : str
        As tables call it; files and segments of this name are found by it, too.
    label : int, str or tuple of them, optional
        Its value, or its name in the files; None for the only region of each.
    values : int or tuple of int, optional
        Its values in label maps without names, where the label is a name.
    alone : bool
        It is the only class: maps without names may hold it as whatever value.
    """

    name: str
    label: Label | tuple[Label, ...] | None
    values: Label | tuple[Label, ...] | None = None
    alone: bool = False

    @property
    def is_value(self) -> bool:
        """Whether the label holds no name."""
        parts = self.label if isinstance(self.label, tuple) else (self.label,)
        return all(isinstance(part, int) for part in parts)


@dataclass(frozen=True)
class Drawn:
    """What a case says of a class.

    Parameters
    ----------
    mask : Mask, optional
        None where nothing is drawn.
    said : bool
        False where there is no file for the class: nobody said anything of it.
    grid : Mask, optional
        Without content, if the grid of an empty mask is known.
    """

    mask: Mask | None = None
    said: bool = True
    grid: Mask | None = None


class CaseMasks:
    """The masks of one case, of which a label map is read once.

    Parameters
    ----------
    found : Structures
    like : Volume, optional
        The image: an RTSTRUCT is drawn on its grid.

    Raises
    ------
    MaskError
        The one file of the case is damaged.
    """

    def __init__(self, found: Structures, like: Volume | None = None) -> None:
        self.files = dict(found.files)
        self.whole = found.whole
        self.like = like
        is_map = self.whole is not None and self.whole.is_file() and self.whole.suffix != ".dcm"
        self.map: LabelMap | None = open_label_map(self.whole) if is_map and self.whole else None

    @property
    def needs_image(self) -> bool:
        """Whether its contours lie on no grid of their own."""
        return self.whole is not None and self.map is None and find_mask_object(self.whole)[1] == "RTSTRUCT"

    def regions(self) -> list[Region]:
        """What it holds, by name where there are names, else by value."""
        if self.map is not None:
            return self.map.named() or [Region((value,)) for value in self.map.values()]
        if self.whole is not None:
            file, kind = find_mask_object(self.whole)
            header = read_object(file, stop_before_pixels=True)
            return segment_names(header) if kind == "SEG" else roi_names(header)
        return [Region((number,), (name,)) for number, name in enumerate(self.files, start=1)]

    def read(self, wanted: WantedClass) -> Drawn:
        """Read a class.

        A file that holds several regions and not this one says that nothing is drawn of it; a folder with a
        file a class and none for this one says nothing.

        Raises
        ------
        MaskError
            The file is damaged, or does not tell which region the class is.
        """
        try:
            if self.map is not None:
                return Drawn(self.map.mask(_label_in(self.map, wanted)))
            if self.whole is not None:
                return Drawn(read_mask(self.whole, wanted.label, self.like))
            return self._of_files(wanted)
        except RegionAbsentError:
            return Drawn(grid=None if self.map is None else self.map.empty)

    def _of_files(self, wanted: WantedClass) -> Drawn:
        by_name = [Region((number,), (name,)) for number, name in enumerate(self.files)]
        for label in (wanted.name,) if wanted.is_value else (wanted.label, wanted.name):
            try:
                regions = find_regions(by_name, label, "the folder") if label is not None else []
            except RegionAbsentError:
                continue
            return self._merged([self.files[region.names[0]] for region in regions])
        only = next(iter(self.files.values())) if len(self.files) == 1 else None
        if only is None:
            return Drawn(said=False)
        alone = CaseMasks(Structures(only))
        if not wanted.is_value and not wanted.alone and not _has_name(alone.regions(), wanted):
            return Drawn(said=False)  # the file of another class
        return alone.read(wanted)

    def _merged(self, paths: list[Path]) -> Drawn:
        if len(paths) == 1:
            alone = open_label_map(paths[0])
            try:
                return Drawn(alone.mask())
            except RegionAbsentError:
                return Drawn(grid=alone.empty)
        return Drawn(read_structures(paths[0].parent, tuple(f"{file_stem(p)}?" for p in paths), self.like))


def _has_name(regions: Iterable[Region], wanted: WantedClass) -> bool:
    names = {plain(name) for region in regions for name in region.names}
    parts = wanted.label if isinstance(wanted.label, tuple) else (wanted.label,)
    return any(plain(str(part)) in names for part in (*parts, wanted.name))


def _label_in(found: LabelMap, wanted: WantedClass) -> Label | tuple[Label, ...] | None:
    """The label of a class in a label map: its name where there are names, else its value."""
    if wanted.is_value or found.named():
        return wanted.label
    return wanted.label if wanted.values is None and not wanted.alone else wanted.values


def name_classes(found: Mapping[str, Structures]) -> list[WantedClass]:
    """The classes that the reference holds.

    Parameters
    ----------
    found : mapping of str to Structures
        By case.

    Returns
    -------
    list of WantedClass
        Names of files; or names that segments have, or a table beside the maps gives (``dataset.json`` and
        others); else values. Maps with one value all have the class ``tumor``.

    Raises
    ------
    CohortError
        Nothing is drawn in any case.
    MaskError
        A file is damaged.
    """
    named: dict[str, Label | tuple[Label, ...] | None] = {}
    values: set[int] = set()
    for masks in found.values():
        regions, tabled = _regions(masks)
        for region in regions:
            if region.names:
                named.setdefault(region.names[0], as_label(region.values) if tabled else None)
            else:
                values.update(region.values)
    if named:
        return [WantedClass(name, name, known, len(named) == 1) for name, known in named.items()]
    if not values:
        raise CohortError("nothing is drawn in the reference", "Name the folder of the reference masks.")
    if len(values) == 1:
        return [WantedClass("tumor", None)]
    return [WantedClass(str(value), value) for value in sorted(values)]


def _regions(masks: Structures) -> tuple[list[Region], bool]:
    """What a case holds, and whether a table beside its map says so, which then holds for other maps too."""
    whole = masks.whole
    if whole is not None and whole.name.casefold().endswith(MAPS) and not whole.name.endswith("nrrd"):
        named = read_table_names(whole)  # saves reading the map
        if named:
            return named, True
    opened = CaseMasks(masks)
    return opened.regions(), opened.map is not None and not opened.map.segments
