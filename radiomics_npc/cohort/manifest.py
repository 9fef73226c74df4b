"""The manifest: a table with one line an image, written by hand or by ``write_manifest``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath

from radiomics_npc.cohort.cases import Case, ImageFiles, Label
from radiomics_npc.cohort.findings import Finding
from radiomics_npc.cohort.labels import as_label, parse_label
from radiomics_npc.cohort.regions import image_names, region_name
from radiomics_npc.cohort.sequence_names import named_sequence
from radiomics_npc.cohort.tables import plain, read_cells
from radiomics_npc.errors import CohortError

__all__ = ["ALL_DRAWN", "MANIFEST_COLUMNS", "read_manifest"]

Parts = Mapping[str, Sequence[Label]]

#: Columns and what they may be called, as :func:`radiomics_npc.cohort.tables.plain` reduces them.
_ALIASES = {
    "patient_id": ("patientid", "patient", "id", "case", "subject"),
    "sequence": ("sequence", "modality", "series"),
    "region": ("region", "structure"),
    "image": ("image", "imagepath", "imagefile"),
    "mask": ("mask", "maskpath", "maskfile", "roi", "segmentation"),
    "label": ("label", "labelvalue", "masklabel"),
    "center": ("center", "centre", "hospital", "site"),
    "series_uid": ("seriesuid", "seriesinstanceuid"),
    "reference": ("reference", "referencemask", "referencetissue"),
    "reference_label": ("referencelabel",),
}
MANIFEST_COLUMNS = tuple(_ALIASES)
#: A label that takes all that is drawn, whatever the regions of the study are made of.
ALL_DRAWN = "*"
_NEEDED = ("patient_id", "sequence", "image")


def read_manifest(
    path: Path, sequences: Sequence[str], regions: Parts | None = None, optional: Sequence[str] = ()
) -> tuple[list[Case], list[Finding]]:
    """Read a manifest: one line an image.

    Parameters
    ----------
    path : Path
        CSV or XLSX with columns patient_id, sequence, image and, if there are any, mask, label (a value
        or name, several as ``gtvp + gtvnd``, ``*`` for all that is drawn), center, series_uid (where a
        folder holds several DICOM series), reference and reference_label (mask of a tissue that
        intensities are scaled by), region.
        Paths are relative to the folder of the file. Other columns, such as note, are not read.
    sequences : sequence of str
        The ones wanted; lines of others are passed over and counted.
    regions : mapping of str to sequence of int or str, optional
        Regions of the study, by their values or names in the masks. A label in a line goes first. With
        several regions a line without one is of all of them.
    optional : sequence of str
        Regions that not every patient has.

    Returns
    -------
    list of Case
        In the order of patient_id.
    list of Finding
        Unknown sequences and regions, lines without image, repeated lines.

    Raises
    ------
    CohortError
        The file is no table or lacks a needed column.
    """
    cells, findings = read_cells(path)
    columns = {name: _column(list(cells.columns), name, path.name) for name in _ALIASES}
    table = _Lines(path, tuple(sequences), dict(regions or {}), frozenset(optional))
    for line, row in cells.iterrows():
        cell = {name: row[column] if column else "" for name, column in columns.items()}
        findings += table.add(cell, f"{path.name} line {line}")
    for name, count in table.passed.items():
        problem = f"{count} lines of {name} passed over: the study does not ask for it"
        findings.append(Finding.info(problem, where=path.name))
    return table.cases(), findings


def _column(columns: list[str], name: str, file: str) -> str | None:
    for alias in _ALIASES[name]:
        alike = [c for c in columns if plain(c) == alias]
        if alike:
            return alike[0]
    if name in _NEEDED:
        raise CohortError(f"{file} has no column {name}", "See configs/manifest_template.csv.")
    return None


@dataclass
class _Lines:
    """What the lines of a manifest said so far."""

    path: Path
    sequences: tuple[str, ...]
    regions: dict[str, Sequence[Label]]
    optional: frozenset[str]
    images: dict[str, dict[str, ImageFiles]] = field(default_factory=dict)
    centers: dict[str, str] = field(default_factory=dict)
    passed: Counter[str] = field(default_factory=Counter)

    def add(self, cell: Mapping[str, str], where: str) -> list[Finding]:
        """Take a line in; what is wrong with it."""
        patient, sequence = cell["patient_id"], named_sequence(cell["sequence"])
        mine = self.images.setdefault(patient, {}) if patient else {}
        try:
            sequence = _known(cell, sequence)
            mask = self._path(cell["mask"])
            region = self._region(cell, sequence in self.sequences)
            names = self._names(sequence, region, cell["label"], mask is not None)
            if again := [name for name in names if name in mine]:
                raise CohortError(
                    f"a second line for {again[0]} of this patient",
                    "Keep one line a patient and sequence (and region).",
                )
            reference = self._path(cell["reference"]), parse_label(cell["reference_label"])
        except CohortError as error:
            return [Finding.error(error.message, error.remedy, patient, sequence or "", where)]
        findings = []
        if cell["center"] and self.centers.setdefault(patient, cell["center"]) != cell["center"]:
            findings.append(Finding.error("patient has two centers", "Give one.", patient, where=where))
        if not names:
            self.passed[sequence if sequence not in self.sequences else f"region {region}"] += 1
        image = self._path(cell["image"])
        assert image is not None  # _known asks for it
        for name, own in names.items():
            part = region or name.partition("-")[2] or next(iter(self.regions), "")
            mine[name] = ImageFiles(
                image, mask, own, cell["series_uid"] or None, *reference, part in self.optional
            )
        return findings

    def _region(self, cell: Mapping[str, str], wanted: bool) -> str:
        """Region of a line as the study spells it."""
        if not cell["region"] or not wanted:
            return ""
        alike = [name for name in self.regions if plain(name) == plain(cell["region"])]
        if alike or len(self.regions) == 1:
            return alike[0] if alike else cell["region"]
        raise CohortError(
            f"region {cell['region']!r} is not among cohort.regions",
            "Name it there, as {gtvp: [1], gtvnd: [2]}; a label in the manifest goes first.",
        )

    def _names(
        self, sequence: str, region: str, text: str, masked: bool
    ) -> dict[str, Label | tuple[Label, ...] | None]:
        """Names in the study that a line is for, each with its label."""
        label = None if text == ALL_DRAWN else parse_label(text)
        if sequence not in self.sequences or (region and region not in self.regions):
            return {}
        if len(self.regions) < 2:
            own = next((as_label(parts) for parts in self.regions.values()), None)
            return {sequence: label if text or not masked else own}
        if text and not region:
            raise CohortError(
                "the line has a label, and the study several regions",
                "Say in a column region which it is, or leave the label out.",
            )
        parts = {region: self.regions[region]} if region else self.regions
        return {
            region_name(sequence, name): label if text or not masked else as_label(values)
            for name, values in parts.items()
        }

    def _path(self, text: str) -> Path | None:
        if not text:
            return None
        path = Path(PureWindowsPath(text).as_posix() if "\\" in text else text)
        return path if path.is_absolute() else self.path.parent / path

    def cases(self) -> list[Case]:
        """Patients in the order of their identifiers."""
        order = image_names(self.sequences, self.regions)
        return [
            Case(who, {name: images[name] for name in order if name in images}, self.centers.get(who, ""))
            for who, images in sorted(self.images.items())
        ]


def _known(cell: Mapping[str, str], sequence: str | None) -> str:
    if not cell["patient_id"]:
        raise CohortError("no patient in this line", "Give the patient, or delete the line.")
    if sequence is None:
        raise CohortError(f"{cell['sequence']!r} is no sequence", "Write t1, t2 or ce_t1.")
    if not cell["image"]:
        raise CohortError("no image in this line", "Give the file or folder, or delete the line.")
    return sequence
