"""Folders of DICOM files in any order: which series of a patient is measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from radiomics_npc.cohort.dicom_index import index_dicom
from radiomics_npc.cohort.dicom_series import DicomSeries
from radiomics_npc.cohort.findings import Finding
from radiomics_npc.cohort.regions import SETTLE, FoundCase, FoundImage, Structures
from radiomics_npc.errors import CohortError

__all__ = ["find_dicom"]

_PLANES = ("axial", "coronal", "sagittal")
_CONTOURS = ("SEG", "RTSTRUCT")


def find_dicom(
    root: Path, sequences: Sequence[str], names: Mapping[str, Sequence[str]] | None = None
) -> tuple[list[FoundCase], list[Finding]]:
    """Find patients among DICOM files, wherever they lie.

    Of several series of a sequence, one with contours goes before one without, axial before other
    planes, and more slices before fewer.

    Parameters
    ----------
    root : Path
        Any folders; patients are told apart by PatientID, series by SeriesInstanceUID.
    sequences : sequence of str
        The ones wanted.
    names : mapping of str to sequence of str, optional
        Descriptions of series, by sequence; they overrule what the headers say.

    Returns
    -------
    list of FoundCase
        In the order of PatientID; SEG and RTSTRUCT belong to the series that they refer to.
    list of Finding
        Series that would have done as well, series of no known sequence, contours of no series.

    Raises
    ------
    CohortError
        No image series is found.
    """
    index = index_dicom(Path(root), names)
    images = [series for series in index if series.modality not in _CONTOURS and series.slices]
    if not images:
        raise CohortError(
            f"{Path(root).name or 'the folder'} holds no DICOM images", "Check the path, or write a manifest."
        )
    findings = [*index.findings, *_unknown(images)]
    contours = [series for series in index if series.modality in _CONTOURS]
    patients = {series.patient_id for series in images}
    cases = []
    for patient in sorted(patients):
        # identifiers of series are not always unique; but contours may have kept another name of a patient
        drawn = _drawn([series for series in contours if series.patient_id not in patients - {patient}])
        mine = [series for series in images if series.patient_id == patient]
        if not patient:
            problem = f"{len(mine)} series name no patient: passed over"
            findings.append(Finding.error(problem, "Give each patient an identifier in PatientID."))
            continue
        found = {}
        for sequence in sequences:
            series, faults = _chosen([s for s in mine if s.sequence == sequence], drawn, patient, sequence)
            findings += faults
            if series is not None:
                masks = _masks(drawn.get(series.uid, []))
                image = series.files[0] if len(series.files) == 1 else series.folder
                found[sequence] = FoundImage(image, masks, series.uid)
        cases.append(FoundCase(patient, found))
    return cases, findings + _orphans(index, images)


def _drawn(contours: list[DicomSeries]) -> dict[str, list[DicomSeries]]:
    """Contours by the series that they refer to."""
    found: dict[str, list[DicomSeries]] = {}
    for series in contours:
        for uid in series.references:
            found.setdefault(uid, []).append(series)
    return found


def _rank(series: DicomSeries, drawn: Mapping[str, list[DicomSeries]]) -> tuple[bool, int, int]:
    plane = _PLANES.index(series.plane) if series.plane in _PLANES else len(_PLANES)
    return series.uid not in drawn, plane, -series.slices


def _chosen(
    series: list[DicomSeries], drawn: Mapping[str, list[DicomSeries]], patient: str, sequence: str
) -> tuple[DicomSeries | None, list[Finding]]:
    """The series of one sequence that is measured, and those that would do as well."""
    if not series:
        return None, []
    best, *others = sorted(series, key=lambda s: _rank(s, drawn))
    shown = ", ".join(map(_shown, others))
    same = [s for s in others if _rank(s, drawn) == _rank(best, drawn)]
    if same:
        alike = ", ".join(map(_shown, same))
        problem = f"{_shown(best)} is taken; {alike} would do as well"
        return best, [Finding.warning(problem, SETTLE, patient, sequence)]
    if others:
        return best, [Finding("info", f"{_shown(best)} goes before {shown}", SETTLE, patient, sequence)]
    return best, []


def _shown(series: DicomSeries) -> str:
    """A series in a message: what the scanner calls it, and where its files begin."""
    name = series.description or series.protocol or "without description"
    return f"{name!r} ({series.plane or 'no plane'}, {series.slices} slices, {series.folder.name})"


def _masks(objects: Sequence[DicomSeries]) -> Structures:
    """Files with contours on a series, and what they are called in each: one of them is taken by that."""
    if len(objects) < 2:
        return Structures(next((found.files[0] for found in objects), None))
    return Structures(objects[0].files[0], rivals={found.files[0]: found.regions for found in objects})


def _unknown(images: list[DicomSeries]) -> list[Finding]:
    """Series that are none of the sequences, counted by what they are called."""
    unsure = [series for series in images if series.sequence is None]
    found = []
    for (name, why), count in sorted(Counter((s.description or s.protocol, s.why) for s in unsure).items()):
        problem = f"{count} series {name!r} passed over" + (f": {why}" if why else "")
        remedy = "If they are one of the sequences, name them under cohort.sequence_names."
        found.append(Finding.info(problem, remedy))
    return found


def _orphans(index: Sequence[DicomSeries], images: list[DicomSeries]) -> list[Finding]:
    """Contours that refer to no series that is there."""
    known = {series.uid for series in images}
    return [
        Finding.warning(
            f"{series.modality} {series.files[0].name} refers to no series that is there: passed over",
            "Put its images into the folder, or name image and mask in a manifest.",
            series.patient_id,
        )
        for series in index
        if series.modality in _CONTOURS and not known & set(series.references)
    ]
