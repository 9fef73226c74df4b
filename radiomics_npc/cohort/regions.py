"""Regions of a study: what a layout found of masks becomes one file and label for each of them.

With several regions each is measured on its own, and its name is a further part of the sequence's:
``t1-gtvp``. With one, or none, the sequence keeps its name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from radiomics_npc.cohort.cases import Case, ImageFiles, Label
from radiomics_npc.cohort.findings import Finding
from radiomics_npc.cohort.labels import as_label
from radiomics_npc.cohort.region_names import find_name
from radiomics_npc.cohort.tables import plain
from radiomics_npc.errors import CohortError

__all__ = [
    "FoundCase", "FoundImage", "Structures", "assign_regions", "file_stem", "image_names", "region_name",
    "split_name",
]  # fmt: skip

Regions = Mapping[str, Sequence[Label]]
SETTLE = "Say which in a manifest (radiomics-npc manifest writes one for editing)."
_ENDINGS = (".seg.nrrd", ".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd", ".dcm")


@dataclass(frozen=True)
class Structures:
    """Masks that belong to one image, as a layout finds them.

    Parameters
    ----------
    whole : Path, optional
        A file that may hold several structures.
    values : mapping of str to int, str or tuple
        Names that a table beside it gives to what stands in that file.
    files : mapping of str to Path
        Files that hold one structure each.
    rivals : mapping of Path to sequence of str
        Where several files could be ``whole``: each, with the names that stand in it.
    """

    whole: Path | None = None
    values: Mapping[str, Label | tuple[Label, ...]] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)
    rivals: Mapping[Path, Sequence[str]] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """Structures known by name."""
        return [*self.files, *(name for name in self.values if name not in self.files)]


@dataclass(frozen=True)
class FoundImage:
    """An image of one sequence, and the masks that belong to it."""

    image: Path
    masks: Structures = field(default_factory=Structures)
    series: str | None = None


@dataclass(frozen=True)
class FoundCase:
    """One patient as a layout finds the files: images by sequence."""

    patient_id: str
    images: Mapping[str, FoundImage]


def region_name(sequence: str, region: str = "") -> str:
    """Name of a region of a sequence; the sequence itself where there is no other region.

    Examples
    --------
    >>> region_name("t1", "gtvp"), region_name("t1")
    ('t1-gtvp', 't1')
    """
    return f"{sequence}-{region}" if region else sequence


def split_name(name: str) -> tuple[str, str]:
    """Sequence and region of a name.

    Examples
    --------
    >>> split_name("ce_t1-gtvnd"), split_name("t2")
    (('ce_t1', 'gtvnd'), ('t2', ''))
    """
    sequence, _, region = name.partition("-")
    return sequence, region


def image_names(sequences: Iterable[str], regions: Iterable[str]) -> tuple[str, ...]:
    """What a study measures: its sequences, each with every region if there are several.

    Examples
    --------
    >>> image_names(["t1", "t2"], ["gtvp", "gtvnd"])
    ('t1-gtvp', 't1-gtvnd', 't2-gtvp', 't2-gtvnd')
    >>> image_names(["t1", "t2"], ["tumor"])
    ('t1', 't2')
    """
    several = list(regions)
    parts = several if len(several) > 1 else [""]
    return tuple(region_name(sequence, region) for sequence in sequences for region in parts)


def file_stem(path: Path) -> str:
    """Name of a file without its ending, be it ``.nii.gz`` or ``.seg.nrrd``.

    Examples
    --------
    >>> file_stem(Path("case_01_OAR_Parotid_L.seg.nrrd"))
    'case_01_OAR_Parotid_L'
    """
    name = path.name
    ending = next((e for e in _ENDINGS if name.casefold().endswith(e)), path.suffix)
    return name[: len(name) - len(ending)]


def assign_regions(
    found: Iterable[FoundCase], regions: Regions, optional: Iterable[str] = ()
) -> tuple[list[Case], list[Finding]]:
    """Choose the mask and label of every region.

    Parameters
    ----------
    found : iterable of FoundCase
    regions : mapping of str to sequence of int or str
        Values or names that each region is made of, in the union; a part that ends in ``?`` need not be
        there. Empty takes the only structure there is.
    optional : iterable of str
        Regions that not every patient has.

    Returns
    -------
    list of Case
        In the order given. A region whose file is not there has no mask.
    list of Finding
        Regions that cannot be told from one another, names that nobody has, parts that some have not.

    Examples
    --------
    >>> masks = Structures(Path("m.nii"), {"GTVp": 1, "GTVnd": 2})
    >>> found = [FoundCase("7", {"t1": FoundImage(Path("t1.nii"), masks)})]
    >>> cases, _ = assign_regions(found, {"primary": ["gtvp"], "nodes": ["gtvnd"]}, ["nodes"])
    >>> {name: (files.label, files.optional) for name, files in cases[0].images.items()}
    {'t1-primary': (1, False), 't1-nodes': (2, True)}
    """
    everyone = list(found)
    findings = _misnamed(everyone, regions)
    if not regions:
        return _without_regions(everyone, findings)
    cases, may_lack = [], set(optional)
    partly: Counter[tuple[str, str]] = Counter()
    for case in everyone:
        images: dict[str, ImageFiles] = {}
        for sequence, image in case.images.items():
            for region, parts in regions.items():
                name = region_name(sequence, region if len(regions) > 1 else "")
                one, doubts = _settled(image, parts, case.patient_id, name)
                findings += doubts
                try:
                    files, lacking = _chosen(one, parts, region in may_lack)
                except CohortError as error:
                    findings.append(Finding.error(error.message, error.remedy, case.patient_id, name))
                    files, lacking = ImageFiles(image.image, series=image.series), []
                partly.update((region, part) for part in lacking)
                images[name] = replace(files, optional=region in may_lack)
        cases.append(Case(case.patient_id, images))
    for (region, part), count in sorted(partly.items()):
        problem = f"{count} images have no {part}: region {region} is made of the rest"
        findings.append(Finding.info(problem, where="cohort.regions"))
    return cases, findings


def _settled(
    image: FoundImage, parts: Sequence[Label], patient: str, name: str
) -> tuple[FoundImage, list[Finding]]:
    """Of several files, the one that holds all parts of a region by their names; else the first, in doubt."""
    rivals = image.masks.rivals
    if not rivals:
        return image, []
    needed = {plain(part) for part in parts if isinstance(part, str) and not part.endswith("?")}
    holding = [file for file, names in rivals.items() if needed and needed <= set(map(plain, names))]
    first, *others = holding or rivals
    shown = ", ".join(file.name for file in others)
    problem = f"{first.name} is taken for the contours; {shown} refers to the same series"
    doubts = [Finding.warning(problem, SETTLE, patient, name)] if others else []
    return replace(image, masks=replace(image.masks, whole=first)), doubts


def _without_regions(found: list[FoundCase], findings: list[Finding]) -> tuple[list[Case], list[Finding]]:
    cases, all_clear = [], True
    for case in found:
        for sequence, image in case.images.items():
            findings += _settled(image, (), case.patient_id, sequence)[1]
        chosen = {sequence: _only(image) for sequence, image in case.images.items()}
        cases.append(Case(case.patient_id, {sequence: files for sequence, (files, _) in chosen.items()}))
        all_clear = all_clear and all(clear for _, clear in chosen.values())
    return cases, findings if all_clear else [*findings, _which_one(found)]


def _only(image: FoundImage) -> tuple[ImageFiles, bool]:
    """The mask where no region is named, and whether it is the only one."""
    masks, names = image.masks, image.masks.names
    if masks.whole is not None and not masks.files:
        label = next(iter(masks.values.values())) if len(names) == 1 else None
        return ImageFiles(image.image, masks.whole, label, image.series), len(names) <= 1
    if masks.whole is None and len(names) == 1:
        return ImageFiles(image.image, masks.files[names[0]], None, image.series), True
    return ImageFiles(image.image, None, None, image.series), not names


def _which_one(found: list[FoundCase]) -> Finding:
    known = sorted({name for case in found for image in case.images.values() for name in image.masks.names})
    shown = ", ".join(known[:12]) + (f" and {len(known) - 12} more" if len(known) > 12 else "")
    return Finding.error(
        f"the masks hold several structures ({shown}), and cohort.regions does not say which is measured",
        f"Write regions: {{tumor: [{known[0]}]}}; several in one list are merged.",
        where="cohort.regions",
    )


def _chosen(image: FoundImage, parts: Sequence[Label], optional: bool) -> tuple[ImageFiles, list[str]]:
    """Files of one region, and the parts of it that this patient does not have (``GTVnd?`` need not be)."""
    masks = image.masks
    parts = [_spelled(part, masks.names) for part in parts]
    files = {plain(name): path for name, path in masks.files.items()}
    single = [files[plain(str(part))] for part in parts if plain(str(part)) in files]
    if single or masks.whole is None:
        lacking = [part for part in parts if plain(str(part)) not in files]
        if single and (needed := [str(part) for part in lacking if not _may_lack(part, optional)]):
            raise CohortError(
                f"there is no {' and no '.join(needed)}, which is to be merged with others",
                f"If it need not be drawn in every patient, write {needed[0]}? for it.",
            )
        return _of_files(image, single), [str(part).removesuffix("?") for part in lacking if single]
    known = {plain(name): value for name, value in masks.values.items()}
    values: list[Label] = []
    for part in parts:
        value = known.get(plain(part), part) if isinstance(part, str) else part
        mark = "?" if isinstance(part, str) and part.endswith("?") and plain(part) in known else ""
        own = value if isinstance(value, tuple) else (value,)
        values.extend(f"{v}?" if mark else v for v in own)
    return ImageFiles(image.image, masks.whole, as_label(values), image.series), []


def _spelled(part: Label, names: Iterable[str]) -> Label:
    """A part by the name that a structure has here, if one means the same."""
    if not isinstance(part, str):
        return part
    bare = part.removesuffix("?").strip()
    name = find_name(names, bare)
    return part if name is None else name + ("?" if part.endswith("?") else "")


def _may_lack(part: Label, optional: bool) -> bool:
    return optional or (isinstance(part, str) and part.endswith("?"))


def _of_files(image: FoundImage, paths: list[Path]) -> ImageFiles:
    """One file as it is; several of one folder as that folder, with their names as label."""
    if len(paths) < 2:
        return ImageFiles(image.image, next(iter(paths), None), None, image.series)
    if len({path.parent for path in paths}) > 1:
        names = ", ".join(path.name for path in paths)
        raise CohortError(f"{names} lie in different folders", "Put them side by side, or write a manifest.")
    return ImageFiles(image.image, paths[0].parent, as_label(map(file_stem, paths)), image.series)


def _misnamed(found: list[FoundCase], regions: Regions) -> list[Finding]:
    """Parts of regions that no patient has, where structures are known by name: misspelt, most likely."""
    known = {name for case in found for image in case.images.values() for name in image.masks.names}
    whole = any(
        image.masks.whole is not None and not image.masks.values
        for case in found
        for image in case.images.values()
    )
    if not known or whole:  # what a file names inside is known to its reader alone
        return []
    alike = {plain(name) for name in known}
    everywhere = [image.masks.names for case in found for image in case.images.values()]
    labeled = any(image.masks.whole is not None for case in found for image in case.images.values())
    shown = ", ".join(sorted(known)[:12])
    return [
        Finding.error(
            f"nobody has a structure {str(part)!r}, of which region {region} is made",
            f"There are: {shown}.",
            where="cohort.regions",
        )
        for region, parts in regions.items()
        for part in parts
        if (
            not any(plain(str(_spelled(part, names))) in alike for names in everywhere)
            if isinstance(part, str)
            else not labeled
        )
    ]
