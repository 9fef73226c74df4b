"""The layout of BIDS: facts in file names, masks beside the images or among the derivatives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from radiomics_npc.cohort.cases import Label
from radiomics_npc.cohort.findings import Finding
from radiomics_npc.cohort.labels import as_label, parse_label
from radiomics_npc.cohort.regions import FoundCase, FoundImage, Structures, file_stem
from radiomics_npc.cohort.sequence_names import named_sequence
from radiomics_npc.cohort.tables import plain, read_cells
from radiomics_npc.errors import CohortError

__all__ = ["find_bids", "parse_name"]

_IMAGES = (".nii.gz", ".nii", ".nrrd", ".mha")
_MASKS = {"mask", "dseg", "seg", "roi", "lesion", "label"}
#: What an image and its mask must agree on, where both say it.
_SAME = ("ses", "acq", "run", "rec")
_NO_AGENT = {"none", "no", "pre", "native"}
_CONTRAST = {"ce", "gd", "gad", "post", "postcontrast", "contrast", "enhanced", "t1c", "cet1", "gadolinium"}


@dataclass(frozen=True)
class BidsName:
    """What the name of a file says.

    Parameters
    ----------
    path : Path
    entities : mapping of str to str
        ``sub``, ``ses``, ``acq``, ``ce``, ``label``, ...
    words : tuple of str
        Parts that are no entity; the last is the suffix, such as ``T1w`` or ``mask``.
    """

    path: Path
    entities: Mapping[str, str]
    words: tuple[str, ...]

    @property
    def suffix(self) -> str:
        """Last part of the name."""
        return self.words[-1] if self.words else ""


def parse_name(path: Path) -> BidsName:
    """Take the name of a file apart.

    Examples
    --------
    >>> name = parse_name(Path("sub-01_ses-pre_ce-gadolinium_T1w.nii.gz"))
    >>> dict(name.entities), name.suffix
    ({'sub': '01', 'ses': 'pre', 'ce': 'gadolinium'}, 'T1w')
    """
    entities, words = {}, []
    for part in file_stem(path).split("_"):
        key, dash, value = part.partition("-")
        if dash and key.isalnum():
            entities[key.casefold()] = value
        else:
            words.append(part)
    return BidsName(path, entities, tuple(words))


def find_bids(
    root: Path, sequences: Sequence[str], names: Mapping[str, Sequence[str]] | None = None
) -> tuple[list[FoundCase], list[Finding]]:
    """Find patients in the layout of BIDS, or one like it.

    Parameters
    ----------
    root : Path
        Holds ``sub-XX[/ses-YY]/anat/sub-XX_*_T1w.nii.gz``; ``ce-gadolinium``, or contrast in ``acq-`` or
        ``desc-``, makes CE-T1 of it. Masks end in ``_mask``, ``_dseg``, ``_seg`` or ``_roi`` and lie
        beside the images or in ``derivatives``; ``label-`` (or ``desc-``) names what is drawn, a
        ``_dseg.tsv`` (columns index and name) what the values of a label map are.
    sequences : sequence of str
        The ones wanted; others are passed over.
    names : mapping of str to sequence of str, optional
        Values of any entity, or suffixes, that stand for a sequence here.

    Returns
    -------
    list of FoundCase
        In the order of their folders, whose names are the patients'.
    list of Finding
        Two images of one sequence (the first session or run is taken), two masks of one structure.

    Raises
    ------
    CohortError
        There is no ``sub-`` folder.
    """
    root = Path(root)
    folders = [p for p in sorted(root.glob("sub-*")) if p.is_dir()]
    if not folders:
        raise CohortError(
            f"{root.name or 'the folder'} holds no sub- folders",
            "Expected sub-01/anat/sub-01_T1w.nii.gz; otherwise write a manifest.",
        )
    cases, findings = [], []
    for folder in folders:
        images = _images(folder, names)
        masks = list(_masks(root, folder))
        chosen = {}
        for sequence in (s for s in sequences if s in images):
            image, *others = images[sequence]
            findings += [_ambiguous(folder.name, sequence, image, others)] if others else []
            structures, faults = _structures(root, image, sequence, masks, names)
            findings += [
                Finding.warning(problem, "Keep one, or write a manifest.", folder.name, sequence)
                for problem in faults
            ]
            chosen[sequence] = FoundImage(image.path, structures)
        cases.append(FoundCase(folder.name, chosen))
    return cases, findings


def _ambiguous(patient: str, sequence: str, image: BidsName, others: list[BidsName]) -> Finding:
    rest = ", ".join(other.path.name for other in others)
    return Finding.warning(
        f"{image.path.name} is taken; {rest} would do as well",
        "Say which in a manifest, or name one under cohort.sequence_names.",
        patient,
        sequence,
    )


def _files(folder: Path) -> Iterator[BidsName]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name.startswith("sub-") and path.name.casefold().endswith(_IMAGES):
            yield parse_name(path)


def _images(folder: Path, names: Mapping[str, Sequence[str]] | None) -> dict[str, list[BidsName]]:
    """Images of each sequence; those that the study names go before those that read alike."""
    found: dict[str, list[BidsName]] = {}
    by_own: dict[str, list[BidsName]] = {}
    for name in _files(folder):
        if name.suffix.casefold() in _MASKS:
            continue
        own = _own_sequence(name, names)
        sequence = own or _sequence(name, None)
        if sequence is not None:
            (by_own if own else found).setdefault(sequence, []).append(name)
    return found | by_own


def _said(name: BidsName) -> list[str]:
    """Words that may tell a sequence."""
    return [*name.words, *(v for key, v in name.entities.items() if key not in ("sub", "ses", "label"))]


def _own_sequence(name: BidsName, names: Mapping[str, Sequence[str]] | None) -> str | None:
    """Sequence by the study's own names."""
    for sequence, own in (names or {}).items():
        if {plain(word) for word in _said(name)} & set(map(plain, own)):
            return sequence
    return None


def _sequence(name: BidsName, names: Mapping[str, Sequence[str]] | None) -> str | None:
    """Sequence that a name tells of an image, or of what a mask was drawn on."""
    if own := _own_sequence(name, names):
        return own
    found = {s for word in _said(name) if (s := named_sequence(word)) is not None}
    if "ce_t1" in found or ("t1" in found and _enhanced(name)):
        return "ce_t1"
    if not found and _enhanced(name) and "ce" in name.entities:
        return "ce_t1"  # a mask that names the agent alone
    return next(iter(found)) if len(found) == 1 else None


def _enhanced(name: BidsName) -> bool:
    agent = plain(name.entities.get("ce", "none"))
    said = {plain(name.entities.get(key, "")) for key in ("acq", "desc", "rec")}
    return agent not in _NO_AGENT or bool(said & _CONTRAST)


def _masks(root: Path, folder: Path) -> Iterator[BidsName]:
    """Masks of a patient, beside the images first."""
    places = [folder, *sorted(p for p in root.glob(f"derivatives/**/{folder.name}") if p.is_dir())]
    for place in places:
        yield from (name for name in _files(place) if name.suffix.casefold() in _MASKS)


def _structures(
    root: Path,
    image: BidsName,
    sequence: str,
    masks: list[BidsName],
    names: Mapping[str, Sequence[str]] | None,
) -> tuple[Structures, list[str]]:
    """Masks of one image: those that name its sequence, or else those that name none."""
    fitting = [m for m in masks if all(_agree(image, m, key) for key in _SAME)]
    told = [(m, _sequence(m, names)) for m in fitting]
    mine = [m for m, s in told if s == sequence] or [m for m, s in told if s is None]
    files: dict[str, Path] = {}
    wholes: list[BidsName] = []
    faults = []
    for mask in mine:
        named = mask.entities.get("label") or _structure(mask)
        if not named or mask.suffix.casefold() == "dseg":
            wholes.append(mask)
        elif named in files:
            faults.append(f"{mask.path.name} passed over: {files[named].name} is the mask of {named}")
        else:
            files[named] = mask.path
    if len(wholes) > 1:
        rest = ", ".join(mask.path.name for mask in wholes[1:])
        faults.append(f"{rest} passed over: {wholes[0].path.name} is the mask")
    whole = wholes[0].path if wholes else None
    return Structures(whole, _table(root, whole) if whole else {}, files), faults


def _agree(image: BidsName, mask: BidsName, key: str) -> bool:
    ours, theirs = image.entities.get(key), mask.entities.get(key)
    return ours is None or theirs is None or ours == theirs


def _structure(mask: BidsName) -> str:
    """Name of a structure in ``desc-``, unless that speaks of the image."""
    said = mask.entities.get("desc", "")
    return "" if named_sequence(said) or plain(said) in _CONTRAST else said


def _table(root: Path, mask: Path) -> dict[str, Label | tuple[Label, ...]]:
    """Names of a label map's values: the table of the same name, or the nearest ``dseg.tsv`` above."""
    own = mask.with_name(f"{file_stem(mask)}.tsv")
    above = [p for folder in mask.parents if folder == root or root in folder.parents
             for p in sorted(folder.glob("*dseg.tsv")) if not p.name.startswith("sub-")]  # fmt: skip
    file = own if own.is_file() else next(iter(above), None)
    if file is None:
        return {}
    cells, _ = read_cells(file)
    columns = {plain(str(column)): column for column in cells.columns}
    if "index" not in columns or "name" not in columns:
        raise CohortError(f"{file.name} names no values", "It needs the columns index and name.")
    found: dict[str, list[Label]] = {}
    for index, name in zip(cells[columns["index"]], cells[columns["name"]], strict=True):
        value = parse_label(index)
        if isinstance(value, int) and value and name:
            found.setdefault(name, []).append(value)
    labels = {name: as_label(values) for name, values in found.items()}
    return {name: label for name, label in labels.items() if label is not None}
