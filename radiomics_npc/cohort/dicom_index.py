"""The DICOM series of a folder, found by their headers wherever the files lie."""

from __future__ import annotations

import os
import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from radiomics_npc.cohort.contour_headers import referenced_images, referenced_series, structure_names
from radiomics_npc.cohort.dicom_headers import (
    FRAME_GROUPS,
    HEADER_TAGS,
    functional_group,
    is_image,
    plane_of,
    readable,
    series_headers,
)
from radiomics_npc.cohort.dicom_series import DicomIndex, DicomSeries
from radiomics_npc.cohort.findings import Finding
from radiomics_npc.cohort.sequence_headers import SeriesHeaders
from radiomics_npc.cohort.sequences import judge_sequence
from radiomics_npc.errors import CohortError

__all__ = ["DicomIndex", "DicomSeries", "index_dicom"]

_EXPORT = "Export it again, or remove it."


def index_dicom(root: Path, names: Mapping[Any, Sequence[str]] | None = None) -> DicomIndex:
    """Find the DICOM series in and below a folder by their headers.

    Files belong together by SeriesInstanceUID, whatever their names and
    folders. Pixels are not read: about 0.5 ms a file.

    Parameters
    ----------
    root : Path
    names : mapping of sequence to texts, optional
        ``cohort.sequence_names``; see
        :func:`radiomics_npc.cohort.sequences.judge_sequence`.

    Returns
    -------
    DicomIndex
        A sequence of DicomSeries. What cannot be read is among its findings and
        hides nothing else; files that are no DICOM are counted there.

    Raises
    ------
    CohortError
        There is no such folder.

    Examples
    --------
    >>> index_dicom(Path("/somewhere"))
    Traceback (most recent call last):
    ...
    radiomics_npc.errors.CohortError: folder somewhere does not exist. Check the path.
    """
    root = Path(root)
    if not root.is_dir():
        raise CohortError(f"folder {root.name} does not exist", "Check the path.")
    scan = _Scan()
    with warnings.catch_warnings():
        # pydicom warns of odd values in elements; what is used is checked here
        warnings.simplefilter("ignore")
        for path in _files(root):
            scan.add(path)
        return scan.index(names or {})


def _files(root: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(root):
        folders.sort()
        for name in sorted(names):
            if not name.startswith("."):
                yield Path(folder, name)


@dataclass
class _Part:
    """What is kept of the files of one series: what the first one tells, and where all lie."""

    facts: SeriesHeaders
    number: int
    references: tuple[str, ...]
    sources: tuple[str, ...]
    regions: tuple[str, ...]
    files: list[Path] = field(default_factory=list)
    images: list[_Image] = field(default_factory=list)

    @classmethod
    def of(cls, header: Any) -> _Part:
        """Decode now what a damaged header may fail at, while its file can be named."""
        number = str(header.get("SeriesNumber") or "")
        return cls(
            series_headers(header),
            int(number) if number.isdigit() else 0,
            referenced_series(header),
            referenced_images(header),
            structure_names(header),
        )


@dataclass(frozen=True)
class _Image:
    """Of one image, or one frame: where it lies, and what must not vary within a sequence."""

    orientation: tuple[float, ...]
    position: tuple[float, ...]
    echo: float
    inverted: bool


@dataclass
class _Scan:
    parts: dict[tuple[str, str, str, str], _Part] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    #: Series by SOPInstanceUID, and what was read already: the same object at the same place is a copy.
    series_of: dict[str, str] = field(default_factory=dict)
    seen: set[tuple[str, str, tuple[_Image, ...]]] = field(default_factory=set)
    in_folder: dict[Path, set[str]] = field(default_factory=lambda: defaultdict(set))
    passed: int = 0
    copies: int = 0

    def add(self, path: Path) -> None:
        """Read the header of one file."""
        import pydicom

        try:
            with path.open("rb") as stream:
                start = stream.read(132)
                if start[128:] != b"DICM":
                    self._pass_over(path, start)
                    return
                stream.seek(0)
                header = pydicom.dcmread(stream, stop_before_pixels=True, specific_tags=HEADER_TAGS)
                if path.name == "DICOMDIR" or header.file_meta.get("MediaStorageSOPClassUID") == _DICOMDIR:
                    self.passed += 1
                    return
                if header.get("Modality") == "RTSTRUCT" and not referenced_series(header):
                    # its contours may still name their slices; they are read only then, for they are long
                    stream.seek(0)
                    header = pydicom.dcmread(stream, specific_tags=[*HEADER_TAGS, "ROIContourSequence"])
                self._keep(path, header)
        except Exception as error:  # noqa: BLE001
            # damaged files make pydicom fail in many ways (EOFError, KeyError, ...): all mean the same
            self._fault(path, f"the header is damaged or truncated ({type(error).__name__})")

    def _pass_over(self, path: Path, start: bytes) -> None:
        # without the preamble of today's files, the first group is still that of a header
        if path.suffix.lower() == ".dcm" or start[:2] in (b"\x02\x00", b"\x08\x00"):
            self._fault(path, "is no DICOM file, or is damaged")
        else:
            self.passed += 1

    def _fault(self, path: Path, problem: str, patient_id: str = "") -> None:
        self.findings.append(Finding.error(problem, _EXPORT, patient_id, where=path.name))

    def _keep(self, path: Path, header: Any) -> None:
        patient, study, uid, instance = (
            readable(str(header.get(tag) or ""), header).strip()
            for tag in ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
        )
        if not uid:
            self._fault(path, "the header lacks SeriesInstanceUID", patient)
            return
        image = is_image(header)
        images = _images(header) if image else []
        # contours of several series are often sent as one series: each object is one of its own
        kind = "image" if image else f"{header.get('Modality') or ''} {instance}"
        key = (patient, study, uid, kind)
        part = self.parts.get(key) or _Part.of(header)
        if instance:
            if (instance, uid, tuple(images)) in self.seen:
                self.copies += 1
                return
            self.seen.add((instance, uid, tuple(images)))
            self.series_of[instance] = uid
        self.parts[key] = part
        part.files.append(path)
        part.images += images
        self.in_folder[path.parent].add(uid)

    def index(self, names: Mapping[Any, Sequence[str]]) -> DicomIndex:
        """Make the series, once all files are read."""
        order = sorted(self.parts, key=lambda k: (k[0], k[1], self.parts[k].number, k[2:]))
        series = tuple(self._series(key, self.parts[key], names) for key in order)
        counts = (
            (self.passed, "files that are no DICOM, or a DICOMDIR, passed over"),
            (self.copies, "copies of images passed over (same SOPInstanceUID)"),
        )
        infos = [Finding.info(f"{count} {what}") for count, what in counts if count]
        return DicomIndex(series, (*self.findings, *infos))

    def _series(
        self, key: tuple[str, str, str, str], part: _Part, names: Mapping[Any, Sequence[str]]
    ) -> DicomSeries:
        patient, study, uid, kind = key
        folder = part.files[0].parent
        alone = folder.name if self.in_folder[folder] == {uid} else ""
        plane, slices, conflict = _geometry(part.images)
        facts = replace(part.facts, folder=alone, conflict=conflict)
        found = DicomSeries(
            patient, study, uid, facts.description, facts.protocol, facts.modality, tuple(part.files)
        )
        if kind != "image":
            # a SEG may name the images that it was drawn on, and not their series
            drawn_on = dict.fromkeys(self.series_of[s] for s in part.sources if s in self.series_of)
            references = part.references or tuple(drawn_on)
            return replace(found, why="no image", references=references, regions=part.regions)
        if any(image.inverted for image in part.images):
            self.findings.append(
                Finding.warning(
                    "low values are meant to be bright (MONOCHROME1): turned around when read",
                    "See whether tissue is as bright as in other patients.",
                    patient,
                    where=facts.description or part.files[0].name,
                )
            )
        judged = judge_sequence(facts, names)
        return replace(found, sequence=judged.sequence, why=judged.why, plane=plane, slices=slices)


_DICOMDIR = "1.2.840.10008.1.3.10"


def _images(header: Any) -> list[_Image]:
    """One entry an image or frame that has a place in space."""
    inverted = header.get("PhotometricInterpretation") == "MONOCHROME1"
    if FRAME_GROUPS[1] not in header:
        places = [(header, header, header.get("EchoTime"))]
    else:
        places = [
            (
                functional_group(header, i, "PlaneOrientationSequence") or {},
                functional_group(header, i, "PlanePositionSequence") or {},
                (functional_group(header, i, "MREchoSequence") or {}).get("EffectiveEchoTime"),
            )
            for i in range(len(header[FRAME_GROUPS[1]].value))
        ]
    found = []
    for orientation, position, echo in places:
        cosines, at = orientation.get("ImageOrientationPatient"), position.get("ImagePositionPatient")
        if cosines is not None and at is not None and len(cosines) == 6 and len(at) == 3:
            placed = tuple(float(x) for x in cosines), tuple(float(x) for x in at)
            found.append(_Image(*placed, float(echo or 0), inverted))
    return found


def _geometry(images: list[_Image]) -> tuple[str, int, str]:
    """Plane, number of slices, and why the images make no single stack (empty if they may)."""
    if not images:
        return "", 0, "no position in space"
    cosines = np.array([image.orientation for image in images])
    positions = np.array([image.position for image in images])
    # 0.01 is half a degree: as stored, not as the reader demands
    if np.abs(cosines - cosines[0]).max() > 0.01:
        planes = {plane_of(c) for c in np.unique(cosines.round(3), axis=0)}
        places = len(np.unique(np.hstack([cosines, positions]).round(2), axis=0))
        return (
            (planes.pop() if len(planes) == 1 else "mixed"),
            places,
            "several orientations, as a localizer has",
        )
    along = positions @ np.cross(cosines[0, :3], cosines[0, 3:])
    places = len(np.unique(along.round(2)))
    conflict = ""
    if len({round(image.echo, 1) for image in images}) > 1:
        conflict = "several echo times"
    elif places < len(images):
        conflict = "several images at the same place"
    elif places == 1:
        conflict = "a single slice"
    return plane_of(cosines[0]), places, conflict
